"""Finds the smallest limits that would pass.

Each finding knows the bounds that would excuse its results (`Finding.least`). The bounds of a limit
have to excuse all of its violations at once. They are rounded up, by so little that one per cent
less would not pass: the errors of results are known to 2^-10, so a part of that is a margin.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_UP, Context, Decimal

from xentcheck.floats import FORMATS
from xentcheck.model import (
    AGAINST,
    IN_TOLERANCE,
    MAX_NORM,
    MIN_GRADE,
    P99,
    Finding,
    Grade,
    Kind,
    Limit,
    Measurement,
    Report,
    Violation,
    rank,
)

MOST = 1e4
"""A larger bound in ulps allows that no digit is right. It is not told."""

MOST_ABS = 0.1
"""A larger absolute error is no tolerance: a loss that ends at a plateau would pass."""

TOLD = ("or_abs", "max_ulp", P99)
"""The bounds that are told."""

UNDECIDED = frozenset({Kind.ROW_DEPENDENT, Kind.INCONSISTENT})
"""Kinds that compare two results within the bounds; what they would need is not measured."""

SIZED = IN_TOLERANCE | {Kind.WRONG_SIGN, Kind.MISSED_OVERFLOW, Kind.FTZ}
"""Kinds that a bound may excuse, if it is large enough."""

_MARGIN = 1 + Decimal(2) ** -9
_TINIEST = 5e-324
_KEPT_BITS = 4  # a bound in ulps that leaves fewer bits is not told


@dataclass(frozen=True, slots=True)
class Loosened:
    """What one limit would have to be.

    Attributes:
        place: the place of the limit in the configuration.
        alternatives: bounds by name; each alternative excuses every violation that a bound excuses.
            ``min_grade`` is a grade, the others are numbers.
        excluded: kinds of violations that no bound up to `MOST` excuses, the gravest first.
        undecided: kinds of which it is not known.
    """

    place: str
    alternatives: tuple[Mapping[str, Decimal | Grade], ...]
    excluded: tuple[Kind, ...] = ()
    undecided: tuple[Kind, ...] = ()


def bounds(finding: Finding, limit: Limit, findings: Iterable[Finding]) -> Mapping[str, float]:
    """The bounds at which a finding, and what it hides, would be within a limit.

    Args:
        finding: a violation of the limit.
        limit: the limit.
        findings: all findings. Rows of an allowed kind that a bound excuses in part show other
            kinds, which may not be allowed: the bounds excuse them too.
    """
    together = [finding]
    if limit.allow:
        together += [
            each
            for each in findings
            if each.cell == finding.cell and each.kind in limit.allow and each.least
        ]
    tolerance = limit.tolerance
    simple = not tolerance.times_condition and tolerance.max_excess_bits == math.inf
    names = ("or_abs", "max_ulp") if simple and tolerance.max_ulp < math.inf else ("or_abs",)
    needed = {name: max(each.least.get(name, math.inf) for each in together) for name in names}
    digits = FORMATS[finding.cell.dtype].precision - _KEPT_BITS
    most = {"or_abs": MOST_ABS, "max_ulp": min(MOST, 2.0**digits)}
    return {name: bound for name, bound in needed.items() if bound <= most[name]}


def percentile(measurement: Measurement, limit: Limit) -> Mapping[str, float]:
    """The bound at which the 99th percentile of a cell would be within a limit."""
    found = measurement.p99_ulp
    return {P99: found} if found <= MOST and not limit.tolerance.times_condition else {}


def would_pass(report: Report) -> tuple[Loosened, ...]:
    """The smallest limits that would pass, for each limit that is violated.

    An omission is not a matter of limits: it fails the gate at any.
    """
    by_limit: dict[str, list[Violation]] = {}
    for violation in report.violations:
        by_limit.setdefault(violation.place, []).append(violation)
    return tuple(_loosened(place, found, report) for place, found in by_limit.items())


def _loosened(place: str, violations: Sequence[Violation], report: Report) -> Loosened:
    of_cells = [each for each in violations if each.rule in (MAX_NORM, MIN_GRADE)]
    rows = [each for each in violations if each not in of_cells]
    bounded = [each for each in rows if each.bounds]
    others = {each.finding.kind for each in rows if not each.bounds}
    if of_cells and not rows:
        return Loosened(place, (_of_cells(of_cells, report),))
    # of rows that a bound excuses in part, the rest may be of another kind: then nothing is certain
    certain = not others & SIZED
    return Loosened(
        place,
        tuple(_alternatives(bounded, report, graded=not others))
        if certain and not of_cells
        else (),
        tuple(kind for kind in Kind if kind in others - UNDECIDED),
        tuple(kind for kind in Kind if kind in others & UNDECIDED),
    )


def _of_cells(violations: Sequence[Violation], report: Report) -> Mapping[str, Decimal | Grade]:
    """The grade and the normwise error that all cells with these violations have."""
    found: dict[str, Decimal | Grade] = {}
    for rule in (MIN_GRADE, MAX_NORM):
        cells = {each.finding.cell for each in violations if each.rule == rule}
        measured = [each for each in report.measurements if each.cell in cells]
        if rule == MAX_NORM and measured:
            found[rule] = rounded_up(max(each.max_norm for each in measured))
        elif measured:
            grades = [each.grade for each in measured if each.grade is not None]
            found[rule] = min(grades, key=rank)
    return found


def _alternatives(
    violations: Sequence[Violation], report: Report, *, graded: bool
) -> Iterator[Mapping[str, Decimal | Grade]]:
    """The bounds that excuse all of these violations: absolute, in ulps, and by grade."""
    if not violations:
        return
    if all("or_abs" in each.bounds for each in violations):
        yield {"or_abs": _largest(violations, "or_abs")}
    if all({"max_ulp", P99} & each.bounds.keys() for each in violations):
        yield {
            name: _largest([each for each in violations if name in each.bounds], name)
            for name in ("max_ulp", P99)
            if any(name in each.bounds for each in violations)
        }
    grades = [each.grade for each in report.measurements]
    relative = any(each.rule.startswith(AGAINST) for each in violations)
    if graded and not relative and grades and None not in grades:
        worst = min((each for each in grades if each is not None), key=rank)
        if worst is not Grade.BROKEN:
            yield {"min_grade": worst}


def _largest(violations: Iterable[Violation], name: str) -> Decimal:
    return rounded_up(max(each.bounds[name] for each in violations))


def rounded_up(needed: float) -> Decimal:
    """The shortest number that is certainly enough, while one per cent less is not.

    It has two significant digits, or up to four.
    """
    exactly = Decimal(max(needed, _TINIEST))
    for digits in (2, 3, 4):
        found = Context(prec=digits, rounding=ROUND_UP).create_decimal(exactly * _MARGIN)
        if found * Decimal("0.99") < exactly:
            break
    return found
