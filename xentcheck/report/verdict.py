"""The first and the last line of a report: how it ended and why, and what to do next."""

from collections import Counter
from collections.abc import Sequence

from xentcheck.gate.outcome import Outcome, outcome, stale
from xentcheck.model import Cause, Report, Violation
from xentcheck.report.lines import Line, verdicts
from xentcheck.report.words.finding import (
    ending,
    gravest,
    omitted_lines,
    rule_text,
    skipped_lines,
)
from xentcheck.report.words.numbers import count

_MOST_REASONS = 3
_KNOWN = frozenset(map(str, Cause)) - {str(Cause.UNKNOWN)}


def verdict_text(report: Report) -> str:
    """The verdict in one line.

    A gate passed or failed, and why; a survey has so many cells of each grade.
    """
    tally = verdicts(report)
    ended = outcome(report)
    if ended is Outcome.NOTHING:
        return ending(report)
    if ended is Outcome.PASSED:
        if not report.gated:
            counts = ", ".join(f"{number:,} {word}" for word, number in tally.items())
            return f"survey: {counts} {'cell' if tally.total() == 1 else 'cells'}"
        known = f", {tally['tolerated']:,} tolerated by the baseline" if tally["tolerated"] else ""
        return f"gate passed: {count(tally['ok'], 'cell')} within the limits{known}"
    head = f"{'gate' if report.gated else 'survey'} {ending(report)}"
    if ended is Outcome.FAILED:
        return f"{head}: {_why(report)}"
    return head


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


def audited(report: Report, lines: Sequence[Line]) -> list[str]:
    """How much was audited: implementations, losses, dtypes, cells and rows."""
    losses = len({line.loss for line in lines})
    return [
        count(len({(line.loss, line.implementation) for line in lines}), "implementation"),
        f"{losses:,} {'loss' if losses == 1 else 'losses'}",
        count(len({line.dtype for line in lines}), "dtype"),
        count(verdicts(report).total(), "cell"),
        count(sum(each.rows for each in report.measurements), "row"),
    ]


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
