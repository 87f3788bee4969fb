"""Texts and lines that describe a finding, for every format."""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

from xentcheck.gate.outcome import stale
from xentcheck.model import (
    ABOUT_CAUSES,
    NOTES,
    UNREACHABLE,
    Cause,
    Cell,
    Change,
    Finding,
    Kind,
    Report,
    Skip,
    Standing,
    UsualTest,
    Violation,
    gravity,
)
from xentcheck.report.words.numbers import clean, count, folded, shell, ulps
from xentcheck.report.words.replay import replay
from xentcheck.report.words.witness import input_text, outcome_text, witness_lines

_LONGEST_COMMAND = 16_384  # characters
_MOST_NAMES = 6  # skipped things that are named per reason
_MOST_NUMBERS = _LONGEST_COMMAND // 2  # each number takes at least a digit and a comma
_Item = TypeVar("_Item")


def severity(finding: Finding) -> tuple[float, ...]:
    """A sort key, gravest first: kind, error, number of rows. Notes come after all faults."""
    witness = finding.witness
    error = math.inf if witness is None or math.isnan(witness.ulp_error) else witness.ulp_error
    in_order = gravity(finding.kind) + (len(Kind) if finding.kind in NOTES else 0)
    return (in_order, -error, -finding.rows)


def distinct(
    items: Sequence[_Item], finding_of: Callable[[_Item], Finding]
) -> tuple[list[_Item], list[_Item]]:
    """Split into the first item of each loss, implementation and kind, and all others."""
    seen: set[tuple[str, str, Kind]] = set()
    new: list[_Item] = []
    repeated: list[_Item] = []
    for item in items:
        finding = finding_of(item)
        key = (finding.cell.loss, finding.cell.implementation, finding.kind)
        (repeated if key in seen else new).append(item)
        seen.add(key)
    return new, repeated


def gravest(violations: Iterable[Violation]) -> list[Violation]:
    """The violations, the gravest first."""
    return sorted(violations, key=lambda each: severity(each.finding))


def leading(violations: Iterable[Violation]) -> list[Violation]:
    """The violations, the gravest first; those that are not `distinct` come last."""
    new, repeated = distinct(gravest(violations), lambda each: each.finding)
    return new + repeated


def faults(report: Report) -> tuple[list[Finding], list[Finding]]:
    """The findings without notes, the gravest first: the `distinct` ones, and the others."""
    found = (each for each in report.findings if each.kind not in NOTES)
    return distinct(sorted(found, key=severity), lambda each: each)


def place_text(cell: Cell) -> str:
    """A cell in words: ``numpy.naive (softplus, float32 value, sweep extreme)``."""
    return f"{cell.implementation} ({cell.loss}, {cell.dtype} {cell.quantity}, sweep {cell.sweep})"


def headline(finding: Finding) -> str:
    """The finding on one line, without its witness."""
    cell = finding.cell
    head = f"{finding.kind}  {cell.loss}  {cell.implementation}  {cell.dtype}  {cell.quantity}"
    return f"{head}  ({count(finding.rows, 'row')} of sweep {cell.sweep})"


def gist(finding: Finding) -> str:
    """The fault in one line: ``[1000, 0] label 0 → nan, exact 0``.

    Without a witness it is the detail, the hint or the kind.
    """
    witness = finding.witness
    if witness is None:
        return finding.detail or finding.hint or str(finding.kind)
    return f"{input_text(witness)} → {outcome_text(witness) or finding.detail}"


def replay_command(report: Report, finding: Finding) -> list[str]:
    """The words of a command that shows the finding again; none if it would be too long."""
    command = replay(report, finding, _MOST_NUMBERS)
    return command if sum(map(len, command)) <= _LONGEST_COMMAND else []


def finding_lines(
    report: Report, finding: Finding, *more: tuple[str, str], width: int | None = None
) -> list[tuple[str, str]]:
    """The finding in full, as (label, text) pairs.

    Args:
        report: the report that has the finding.
        finding: the finding to describe.
        more: pairs to put first.
        width: width in columns of labels and texts together; the command that replays the finding
            is folded to fit. None: the command is one line.
    """
    told = list(more)
    if finding.detail:
        told.append(("detail", finding.detail))
    if finding.cause in list(map(str, Cause)):
        about = ABOUT_CAUSES[Cause(finding.cause)]
        told += [("cause", f"{finding.cause}: {about.says}"), ("instead", about.remedy)]
    elif finding.hint:
        told.append(("hint", finding.hint))
    if finding.usual:
        told.append(("tests", usual_text(finding.usual)))
    witness = finding.witness
    if witness is None:
        return told
    told += witness_lines(witness)
    if finding.original is not None:
        error = finding.original.ulp_error
        size = "" if math.isnan(error) else f", {ulps(error)} ulp"
        told.append(("found as", f"{input_text(finding.original)}{size}"))
    command = replay_command(report, finding)
    origin = report.origins.get(f"{finding.cell.loss} {finding.cell.implementation}")
    if origin == UNREACHABLE:
        return told
    if not command:  # it would be too long, and no file has the input
        where = f"row {witness.row:,} of sweep {finding.cell.sweep}"
        told.append(("replay", f"{witness.logits.size:,} numbers: --format json has them; {where}"))
    elif width is None:
        told.append(("replay", shell(command)))
    else:
        margin = 4 + max(len(word) for word, _ in told)
        told.append(("replay", folded(command, width - margin)))
    return told


def usual_text(tests: Sequence[UsualTest]) -> str:
    """What usual tests would have said of a finding, in one line; "" if none were made."""
    groups: dict[str, list[str]] = {}
    for each in tests:
        if each.passes is None:
            verdict = f"was not made: {each.reason}"
        elif not each.passes:
            verdict = "would fail"
        elif each.on_sweep is False:
            rows = count(each.rows, "row")
            verdict = f"would pass here, and fail elsewhere in the sweep ({rows} tried)"
        else:
            verdict = "would pass"
        groups.setdefault(verdict, []).append(each.name)
    return "; ".join(f"{_listed(names)} {verdict}" for verdict, names in groups.items())


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def limit_lines(violation: Violation) -> tuple[tuple[str, str], ...]:
    """The limit that a violation breaks and what the baseline tolerates, as (label, text)."""
    told = [("limit", violation.limit)] if violation.limit else []
    if violation.standing is not None:
        told.append(("baseline", f"{violation.standing}; tolerated: {violation.accepted}"))
    return tuple(told)


def rule_text(violation: Violation) -> str:
    """The name of the broken rule, one of `RULES`."""
    return violation.rule or str(violation.finding.kind)


def aligned(told: Sequence[tuple[str, str]]) -> str:
    """Labels on the left, texts beside them, as plain text without a final newline."""
    margin = max((len(word) for word, _ in told), default=0) + 2
    return "\n".join(
        f"{word:<{margin}}{clean(text)}".replace("\n", "\n" + " " * margin) for word, text in told
    )


def in_full(report: Report, finding: Finding, *more: tuple[str, str]) -> str:
    """The finding as plain text of several lines. The last one replays it."""
    told = aligned(finding_lines(report, finding, *more))
    return f"{clean(headline(finding))}\n{told}".rstrip()


def causes(report: Report) -> list[str]:
    """Why a gate fails, with counts: ``2 violations``, ``1 omission``, ``6 stale entries``."""
    counted = (
        (len(report.violations), "violation", "violations"),
        (len(list(omitted_lines(report))), "omission", "omissions"),
        (stale(report) if report.strict else 0, "stale entry", "stale entries"),
    )
    return [f"{n:,} {one if n == 1 else several}" for n, one, several in counted if n]


def omitted_lines(report: Report) -> Iterator[str]:
    """The omissions, one line per reason."""
    yield from skipped_lines(report.omissions)


def skipped_lines(skips: Sequence[Skip]) -> Iterator[str]:
    """One line per reason, with the count and names. Missing packages share one line."""
    by_reason: dict[str, list[Skip]] = defaultdict(list)
    missing = [skip for skip in skips if skip.missing]
    if len(missing) == 1:
        yield missing[0].reason
    elif missing:
        absent = ", ".join(sorted({skip.missing for skip in missing}))
        yield f"not installed: {absent}; pip install 'xentcheck[NAME]'"
    for skip in skips:
        if not skip.missing:
            by_reason[skip.reason].append(skip)
    for reason, group in by_reason.items():
        named = (" ".join(filter(None, _skip_parts(each, reason))) for each in group)
        names = list(dict.fromkeys(filter(None, named)))
        shown = names[:_MOST_NAMES]
        if len(names) > len(shown):
            shown.append(f"{len(names) - len(shown):,} more")
        yield f"{len(group):,} × {reason}" + (f": {', '.join(shown)}" if shown else "")


def _skip_parts(skip: Skip, reason: str) -> tuple[str, ...]:
    """The name, dtype, quantity or sweep of a skip, without the words that its reason has."""
    what = skip.implementation or skip.loss
    said = set(re.findall(r"[\w-]+", reason))
    more = (each for each in (skip.dtype, skip.quantity) if each not in said)
    return (what, *more, "" if what else skip.sweep)


def baseline_text(report: Report) -> str:
    """A summary of the baseline in one line: ``b.yaml: 12 tolerated, 2 better, 1 stale``."""
    tally = Counter(map(change_word, report.changes))
    new = sum(each.standing is Standing.NEW for each in report.violations)
    worse = sum(each.standing is Standing.WORSE for each in report.violations)
    parts = [f"{len(report.tolerated):,} tolerated"]
    parts += [
        f"{number:,} {word}"
        for word, number in (
            ("new", new),
            ("worse", worse),
            ("better", tally["better"]),
            ("turned", tally["turned"]),
            ("stale", tally["stale"]),
        )
        if number
    ]
    note = f"; {report.baseline_note}" if report.baseline_note else ""
    return f"{report.baseline}: {', '.join(parts)}{note}"


def change_word(change: Change) -> str:
    """The change of a baseline entry in one word."""
    if change.standing is not Standing.GONE:
        return str(change.standing)
    return "turned" if change.into else "stale"


def change_text(change: Change) -> str:
    """The change of a baseline entry in one line."""
    rule = f"{change.rule}: " if change.rule else ""
    return f"{place_text(change.cell)}: {rule}{change.text or change.standing}"


def location(report: Report, cell: Cell) -> tuple[str, int] | None:
    """The file and line to point at: the implementation's code, or else the configuration.

    None if neither is known.
    """
    for source in report.sources:
        if (source.loss, source.implementation) == (cell.loss, cell.implementation):
            return source.file, source.line
    return (report.path, 1) if report.path else None
