"""The lines of a report's table. A line is a loss × implementation × dtype × quantity, over all
sweeps.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from xentcheck.model import (
    BREAKING,
    NOTES,
    Cell,
    Finding,
    Grade,
    Kind,
    Measurement,
    Quantity,
    Report,
    Witness,
    gravity,
    rank,
)
from xentcheck.report import words

UNGRADED = "ungraded"
"""The verdict of a survey on what has no grade."""

VERDICTS = (
    *("FAIL", "tolerated", Grade.BROKEN, Grade.LOSSY, Grade.ABSOLUTE, UNGRADED),
    *(Grade.ACCURATE, Grade.FAITHFUL, Grade.ROUNDED, "ok"),
)
"""The verdicts of a line, the worst first: those of a gate, and the grades in a survey."""


_OF_A_GATE = frozenset({"FAIL", "tolerated", "ok"})


_RANKS = {verdict: rank for rank, verdict in enumerate(VERDICTS)}


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of the table: a loss × implementation × dtype × quantity over all its sweeps.

    Each error is the worst of the sweeps. ``counts`` and ``rows`` are sums over the sweeps.
    """

    loss: str
    implementation: str
    dtype: str
    quantity: Quantity
    verdict: str
    rows: int
    max_ulp: float
    p99_ulp: float
    median_ulp: float
    max_abs: float
    counts: Mapping[Kind, int]
    witness: Witness | None
    result_dtypes: tuple[str, ...]
    negative_zeros: int
    max_normal_ulp: float = math.nan  # of results that were not flushed to zero
    grade: Grade | None = None  # of the worst sweep; None: not graded
    met: str = ""  # the alternative that allows an error beyond `max_ulp` in a line without a fault

    @property
    def faulty(self) -> bool:
        """Whether it needs a look.

        In a gate: whether a violation is in it, also a tolerated one. In a survey: whether it has a
        fault, or a grade worse than accurate.
        """
        if self.verdict in _OF_A_GATE:
            return self.verdict != "ok"
        bad = self.grade is not None and rank(self.grade) < rank(Grade.ACCURATE)
        return bad or _has_fault(self.counts)

    @property
    def severity(self) -> tuple[float, ...]:
        """A sort key, worst first: verdict, gravest kind, ulps, its rows, absolute error."""
        faults = [kind for kind in self.counts if kind not in NOTES]
        gravest = min(map(gravity, faults), default=math.inf)
        often = sum(self.counts[kind] for kind in faults if gravity(kind) == gravest)
        ulp, absolute = worst_of([self.max_ulp], -1.0), worst_of([self.max_abs], -1.0)
        return (_RANKS[self.verdict], gravest, -ulp, -often, -absolute)


def merged(report: Report) -> list[Line]:
    """One line per loss × implementation × dtype × quantity, worst first.

    Findings in cells without a measurement also get a line, for example if the implementation
    raised at once. Kinds that a measurement does not count are counted from the findings.
    """
    measured: dict[tuple[str, str, str, Quantity], list[Measurement]] = defaultdict(list)
    found: dict[tuple[str, str, str, Quantity], list[Finding]] = defaultdict(list)
    for measurement in report.measurements:
        measured[measurement.cell.line].append(measurement)
    for finding in report.findings:
        found[finding.cell.line].append(finding)
    failing = {each.finding.cell.line for each in report.violations}
    tolerated = {each.finding.cell.line for each in report.tolerated}
    places = dict.fromkeys([*measured, *found, *failing, *tolerated])
    lines = []
    for place in places:
        grade = grade_of(measured[place], found[place])
        word = verdict(report, grade, failing=place in failing, tolerated=place in tolerated)
        lines.append(_line(place, measured[place], found[place], grade, word))
    return sorted(lines, key=lambda line: line.severity)


def _line(
    place: tuple[str, str, str, Quantity],
    measurements: Sequence[Measurement],
    findings: Sequence[Finding],
    grade: Grade | None,
    verdict: str,
) -> Line:
    counts = counts_of(measurements, findings)
    failing = verdict != "ok" if verdict in _OF_A_GATE else _has_fault(counts)
    return Line(
        *place,
        verdict=verdict,
        rows=sum(each.rows for each in measurements),
        max_ulp=worst_of([each.max_ulp for each in measurements]),
        p99_ulp=worst_of([each.p99_ulp for each in measurements]),
        median_ulp=worst_of([each.median_ulp for each in measurements]),
        max_abs=worst_of([each.max_abs for each in measurements]),
        counts=counts,
        witness=_worst_witness(measurements, findings),
        result_dtypes=tuple(dict.fromkeys(m.result_dtype for m in measurements if m.result_dtype)),
        negative_zeros=sum(each.negative_zeros for each in measurements),
        max_normal_ulp=worst_of([each.max_normal_ulp for each in measurements]),
        grade=grade,
        met="" if failing else _met(measurements),
    )


def _has_fault(counts: Mapping[Kind, int]) -> bool:
    return any(rows and kind not in NOTES for kind, rows in counts.items())


def grade_of(measurements: Sequence[Measurement], findings: Iterable[Finding]) -> Grade | None:
    """The worst grade of some cells; None if none is graded.

    A cell without a measurement is broken if a finding says so, such as an exception.
    """
    grades = [each.grade for each in measurements if each.grade is not None]
    measured = {each.cell for each in measurements}
    if any(each.kind in BREAKING and each.cell not in measured for each in findings):
        grades.append(Grade.BROKEN)
    return min(grades, key=rank, default=None)


def _met(measurements: Sequence[Measurement]) -> str:
    """The text that says which alternative allows an error beyond `max_ulp`; "" if none did."""
    allowed = [each for each in measurements if each.met]
    if not allowed:
        return ""
    worst = max(allowed, key=lambda each: each.max_normal_ulp)
    if worst.met != "or_excess_bits" or worst.normal is None:
        return f"within {worst.met}"
    return f"explained by conditioning: {worst.normal.excess_bits or 0:.1f} excess bits"


def counts_of(measurements: Sequence[Measurement], findings: Sequence[Finding]) -> Counter[Kind]:
    """The number of rows of each kind, including findings that no measurement counts."""
    counts: Counter[Kind] = Counter()
    counted = set()
    for measurement in measurements:
        counts.update(measurement.counts)
        counted |= {(measurement.cell.sweep, kind) for kind in measurement.counts}
    for finding in findings:
        if (finding.cell.sweep, finding.kind) not in counted:
            counts[finding.kind] += finding.rows
    return counts


def verdict(report: Report, grade: Grade | None, *, failing: bool, tolerated: bool) -> str:
    """The verdict of a cell or a line in one word, one of `VERDICTS`.

    Args:
        report: says whether the run is a gate or a survey.
        grade: the grade, which is the verdict of a survey; None: it has none.
        failing: whether a violation is in it.
        tolerated: whether a tolerated violation is in it.
    """
    if failing:
        return "FAIL"
    if tolerated:
        return "tolerated"
    return "ok" if report.gated else str(grade or UNGRADED)


def verdicts(report: Report) -> Counter[str]:
    """The number of cells by verdict, the worst first. Every format uses this count."""
    found: dict[Cell, list[Finding]] = defaultdict(list)
    for finding in report.findings:
        found[finding.cell].append(finding)
    measured = {each.cell: each for each in report.measurements}
    failing = {each.finding.cell for each in report.violations}
    tolerated = {each.finding.cell for each in report.tolerated}
    tally = Counter(
        verdict(
            report,
            grade_of([measured[cell]] if cell in measured else [], found[cell]),
            failing=cell in failing,
            tolerated=cell in tolerated,
        )
        for cell in dict.fromkeys([*measured, *found, *failing, *tolerated])
    )
    return Counter({word: tally[word] for word in VERDICTS if tally[word]})


def _worst_witness(
    measurements: Sequence[Measurement], findings: Sequence[Finding]
) -> Witness | None:
    """The witness of the gravest finding; without findings, the witness of the largest error."""
    shown = [each for each in findings if each.witness is not None]
    if shown:
        return min(shown, key=words.severity).witness
    with_witness = [each for each in measurements if each.witness is not None]
    if not with_witness:
        return None
    return max(with_witness, key=lambda each: worst_of([each.max_ulp], -1.0)).witness


def worst_of(values: Iterable[float], default: float = math.nan) -> float:
    return max((value for value in values if not math.isnan(value)), default=default)


def by_loss(lines: Iterable[Line]) -> Iterator[tuple[str, list[Line]]]:
    """The losses in the order of their worst line, each with its lines, worst first."""
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[line.loss].append(line)
    yield from groups.items()
