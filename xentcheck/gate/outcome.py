"""How a run ended. The exit status and every verdict in words follow from this one answer."""

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
    """How a run ended: the worst outcome that applies. A survey passes if it was complete."""
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
    """The number of baseline entries whose fault is gone, without another fault in its place."""
    return sum(each.standing is Standing.GONE and not each.into for each in report.changes)
