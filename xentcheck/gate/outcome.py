"""How a run ended: one answer, from which the exit status and every verdict in words are made."""

from enum import StrEnum

from xentcheck.model import Report, Standing


class Outcome(StrEnum):
    """How a run ended."""

    UNCERTIFIED = "uncertified"
    INTERRUPTED = "interrupted"
    NOTHING = "nothing"
    FAILED = "failed"
    PASSED = "passed"


def outcome(report: Report) -> Outcome:
    """How a run ended, the worst first. A survey passes where it was complete."""
    if report.uncertified:
        return Outcome.UNCERTIFIED
    if report.interrupted:
        return Outcome.INTERRUPTED
    if report.violations:
        return Outcome.FAILED
    if not report.measurements and not report.findings:
        return Outcome.NOTHING
    if report.omissions or (report.strict and stale(report)):
        return Outcome.FAILED
    return Outcome.PASSED


def stale(report: Report) -> int:
    """How many entries of the baseline tolerate what is not there any more."""
    return sum(each.standing is Standing.GONE and not each.into for each in report.changes)
