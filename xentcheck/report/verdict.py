"""The first and the last line of a report: how it ended and why, and what to do next.

Every format for people takes its verdict from here, so all of them say it in the same words.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from xentcheck.gate.outcome import Outcome, outcome, stale
from xentcheck.losses.invariants import NO_LOSS
from xentcheck.model import NOTES, Cause, Finding, Report, Searched, Violation
from xentcheck.report.lines import Line, verdicts
from xentcheck.report.words.finding import (
    causes,
    gravest,
    omitted_lines,
    rule_text,
    skipped_lines,
)
from xentcheck.report.words.numbers import clean, count

_MOST_REASONS = 3
_KNOWN = frozenset(map(str, Cause)) - {str(Cause.UNKNOWN)}


class State(StrEnum):
    """What a verdict amounts to: it chooses the colour and the sign beside the words."""

    PASSED = "passed"
    FAILED = "failed"
    SURVEY = "survey"
    INCOMPLETE = "incomplete"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a run ended.

    Attributes:
        state: what it amounts to. Only a gate whose exit status is 0 has passed.
        text: the verdict in one line. Control characters in names are written out; markup is not
            escaped.
    """

    state: State
    text: str


def verdict_of(report: Report) -> Verdict:
    """The verdict of a run.

    A gate passed or failed, and why; a survey has so many cells of each grade; a search found rows
    beyond the limits, or none. What is incomplete says so, and has passed nothing.
    """
    state, text = _ended(report)
    return Verdict(state, clean(text).replace("\n", " "))


def _ended(report: Report) -> tuple[State, str]:
    match outcome(report):
        case Outcome.UNCERTIFIED:
            missing = count(len(report.uncertified), "case")
            return _incomplete(report, f"incomplete: {missing} without a certified result")
        case Outcome.INTERRUPTED:
            until = count(len(report.violations), "violation")
            known = f", {until} until then" if report.violations else ""
            return _incomplete(report, f"interrupted{known}")
        case Outcome.NOTHING:
            audited = "searched" if _is_search(report) else "audited"
            return State.INCOMPLETE, f"nothing was {audited}"
        case Outcome.FAILED:
            text = f"{_what(report)} failed, {' and '.join(causes(report))}: {_why(report)}"
            return State.FAILED, text
        case Outcome.PASSED if report.gated:
            return State.PASSED, _passed(report)
        case _:
            return State.SURVEY, _surveyed(report)


def _incomplete(report: Report, how: str) -> tuple[State, str]:
    found = f"; {_searched(report)}" if report.searches else ""
    return State.INCOMPLETE, f"{_what(report)} {how}{found}"


def _what(report: Report) -> str:
    if _is_search(report):
        return "search"
    return "gate" if report.gated else "survey"


def _passed(report: Report) -> str:
    tally = verdicts(report)
    known = f", {tally['tolerated']:,} tolerated by the baseline" if tally["tolerated"] else ""
    return f"gate passed: {count(tally['ok'], 'cell')} within the limits{known}"


def _surveyed(report: Report) -> str:
    if _is_search(report):
        return _searched(report)
    tally = verdicts(report)
    counts = ", ".join(f"{number:,} {word}" for word, number in tally.items())
    return f"survey: {counts} {'cell' if tally.total() == 1 else 'cells'}"


def _is_search(report: Report) -> bool:
    return bool(report.searches) or report.config.get("command") == "search"


def _searched(report: Report) -> str:
    """How many searches found rows beyond the limits."""
    whole = len(report.searches)
    if not whole:
        return "nothing was searched"
    beyond = sum(bool(faults_of_search(report, each)) for each in report.searches)
    if not beyond:
        return f"within the limits: {_searches(whole)} found no row beyond them"
    return f"{beyond:,} of {_searches(whole)} found rows beyond the limits"


def _searches(number: int) -> str:
    return f"{number:,} {'search' if number == 1 else 'searches'}"


def faults_of_search(report: Report, searched: Searched) -> list[Finding]:
    """The findings of a search, without notes."""
    return [
        each for each in report.findings if each.cell == searched.cell and each.kind not in NOTES
    ]


def _why(report: Report) -> str:
    """Why a gate fails: the causes of its violations, or their kinds; or what was not audited."""
    reasons = list(dict.fromkeys(map(_reason, gravest(report.violations))))
    reasons.sort(key=lambda each: each not in _KNOWN)
    if not reasons:
        reasons = [*omitted_lines(report)]
    if not reasons and stale(report):
        reasons = ["the baseline tolerates what is not there any more"]
    shown = reasons[:_MOST_REASONS]
    more = len(reasons) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _reason(violation: Violation) -> str:
    cause = violation.finding.cause
    return cause if cause in _KNOWN and cause is not None else rule_text(violation)


def audited_text(report: Report, lines: Sequence[Line]) -> str:
    """How much was audited: implementations, losses, dtypes, cells and rows; "" if nothing was."""
    if not report.measurements:
        return "no row could be scored" if report.findings else ""
    rows = sum(each.rows for each in report.measurements)
    implementations = len({(line.loss, line.implementation) for line in lines})
    losses, dtypes = len({line.loss for line in lines}), len({line.dtype for line in lines})
    return (
        f"{count(implementations, 'implementation')} of "
        f"{losses:,} {'loss' if losses == 1 else 'losses'} in {count(dtypes, 'dtype')}: "
        f"{count(verdicts(report).total(), 'cell')}, "
        f"{count(rows, 'row')} {'asked' if is_unknown(report) else 'scored'}"
    )


def is_unknown(report: Report) -> bool:
    """Whether nobody said what is computed, so that only invariants were checked."""
    return any(each.cell.loss == NO_LOSS for each in report.measurements)


def counts_text(report: Report, lines: Sequence[Line]) -> str:
    """What stands below the verdict where there is no matrix: what was audited, and the seed.

    Of a gate also the cells with a violation, and those with a tolerated one.
    """
    tally = verdicts(report)
    standings = [f"{tally[word]:,} {says}" for word, says in _STANDINGS.items() if tally[word]]
    parts = [", ".join(filter(None, [audited_text(report, lines), *standings]))]
    return "; ".join(filter(None, [*parts, f"seed {report.seed}"]))


_STANDINGS = {"FAIL": "failing", "tolerated": "tolerated by the baseline"}  # of cells


def obstacles(report: Report) -> list[str]:
    """Why a report is incomplete, one sentence each."""
    found = [f"not audited: {text}" for text in report.uncertified]
    found += [f"not audited, though it is named: {text}" for text in omitted_lines(report)]
    found += report.deaths
    if report.interrupted:
        found.append("interrupted: this is what was finished until then")
    return found


def next_text(report: Report, more: str = "-v: cells, -vv: findings") -> str:
    """What to do next, in one line. ``more``: the options that show more."""
    match outcome(report):
        case Outcome.UNCERTIFIED:
            return "`xentcheck --debug …` shows why; what is here is right, but not all of it"
        case Outcome.INTERRUPTED:
            return "run it again to its end, or a part of it with --select or --dtype"
        case Outcome.NOTHING:
            if any(skip.missing for skip in report.skips):
                return "install what is missing, then run it again"
            return "`xentcheck list implementations` and `list losses` say what can be audited"
        case Outcome.FAILED:
            return _mend(report, more)
        case Outcome.PASSED if report.gated:
            if report.changes:
                return "--ratchet takes into the baseline what has changed"
            return f"keep this command in CI; {more}"
        case _:
            return f"no limits in the configuration, so the exit status is 0; {more}"


def _mend(report: Report, more: str) -> str:
    if not report.violations:
        if report.omissions:
            return "--allow-skips lets it pass although something was not audited"
        return "--ratchet takes out of the baseline what is not there any more"
    if any(each.remedy for each in report.diagnoses):
        return f"write what stands beside `instead`, then run it again; {more}"
    worst = gravest(report.violations)[0].finding
    return f"`xentcheck explain {worst.kind}` says what to look for; {more}"


def omission_lines(report: Report, width: int) -> list[str]:
    """What was not audited and why, in two lines of at most ``width`` characters.

    One reason may take both lines. ``-v`` has all of them.
    """
    full = list(skipped_lines(report.skips))
    if not full:
        return []
    if sum(-(-len(each) // max(width, 1)) for each in full) <= _MOST_LINES:
        return full
    missing = sorted({skip.missing for skip in report.skips if skip.missing})
    lines = []
    if missing:
        lines.append(fitted("not installed: ", missing, "", width))
    reasons = Counter(skip.reason for skip in report.skips if not skip.missing)
    if reasons:
        told = [f"{number:,} × {reason}" for reason, number in reasons.most_common()]
        lines.append(fitted("", told, "", width))
    return lines


_MOST_LINES = 2


def fitted(head: str, items: Sequence[str], tail: str, width: int) -> str:
    """As many items as fit on a line, and the number of the others. No item is cut.

    The first item is always there.
    """
    for shown in range(len(items), 0, -1):
        more = f" and {len(items) - shown:,} more" if shown < len(items) else ""
        text = f"{head}{', '.join(items[:shown])}{more}{tail}"
        if len(text) <= width:
            return text
    return text if items else f"{head}{tail}"
