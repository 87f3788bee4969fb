"""Compares two reports cell by cell: what is better or worse in the second.

A cell's faults are its kinds of finding, without notes. In a cell that both reports have, a fault
is compared by the share of the rows that show it, and by its ulps if it is measured in ulps. The
largest error of the cell is compared too, because it may grow without becoming a fault. A new kind
is worse, a kind that is gone is better, and worse outweighs better.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xentcheck.gate.extent import Extent, extent, standing
from xentcheck.model import NOTES, Cell, Finding, Kind, Measurement, Report, Standing, Witness

MAX_ULP = "max_ulp"
"""The name of the rule for the largest error of a cell."""

_INPUTS = ("inputs", "labels", "parameters", "label_kind", "logits")
_LIMITS = ("limits", "max_ulp", "or_abs", "max_norm", "min_grade")
_MOST_NAMED = 6
ORDER = (Standing.WORSE, Standing.NEW, Standing.GONE, Standing.BETTER, Standing.SAME)
"""The order in which cells are listed, worst first."""

_COMES = (Standing.WORSE, Standing.NEW)
_GOES = (Standing.BETTER, Standing.GONE)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The data of a cell in one report.

    ``max_ulp`` is NaN if no row has a finite error. ``witness`` shows the worst row of the cell,
    ``farthest`` the row with the largest finite error. ``faults`` are the findings without notes.
    """

    rows: int
    max_ulp: float
    witness: Witness | None
    farthest: Witness | None
    faults: Mapping[Kind, Finding]

    def is_beyond_ulps(self, kind: Kind) -> bool:
        """Whether the cell has this kind of fault, and the fault is not measured in ulps."""
        return kind in self.faults and extent(self.faults[kind], self.rows).ulp is None


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """The standing of one fault of a cell. ``rule`` is the name of its kind, or `MAX_ULP`.

    The witnesses show the fault. On a side without the fault, the witness shows that side's worst
    row.
    """

    rule: str
    standing: Standing
    base: Extent | None
    head: Extent | None
    base_witness: Witness | None = None
    head_witness: Witness | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A cell of one report or of both, and its standing.

    ``differences`` has every fault, also the unchanged ones. Worse faults come first, and the
    gravest kind first among them. ``reason`` says why one report lacks the cell, "" if that report
    does not say.
    """

    cell: Cell
    standing: Standing
    base: Side | None
    head: Side | None
    differences: tuple[Difference, ...]
    reason: str = ""

    @property
    def changes(self) -> tuple[Difference, ...]:
        """The differences without the unchanged faults."""
        return tuple(each for each in self.differences if each.standing is not Standing.SAME)


@dataclass(frozen=True, slots=True)
class Note:
    """Another difference between the reports. ``warning``: it affects the comparison."""

    topic: str
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How HEAD compares to BASE, the worst cells first."""

    base: Report
    head: Report
    slack: float
    pairs: tuple[Pair, ...]
    notes: tuple[Note, ...]

    @property
    def tally(self) -> Counter[Standing]:
        """The number of cells by standing."""
        return Counter(pair.standing for pair in self.pairs)

    @property
    def shared(self) -> int:
        """The number of cells that are in both reports."""
        return sum(pair.base is not None and pair.head is not None for pair in self.pairs)


def compare(base: Report, head: Report, slack: float = 0.0) -> Comparison:
    """Compare each cell of ``head`` to the same cell of ``base``.

    ``slack`` is the relative change of an error in ulps that counts as none.
    """
    before, after = _sides(base), _sides(head)
    pairs = [
        _pair(cell, before.get(cell), after.get(cell), base, head, slack)
        for cell in dict.fromkeys([*after, *before])
    ]
    pairs.sort(key=_severity)
    return Comparison(base, head, slack, tuple(pairs), tuple(_notes(base, head, pairs)))


def nothing_shared(comparison: Comparison) -> str:
    """A text for the user that says why no cell is in both reports."""
    before, now = (list(_sides(report)) for report in (comparison.base, comparison.head))
    for name, cells in (("BASE", before), ("HEAD", now)):
        if not cells:
            return f"{name} has no cells"
    for what in ("loss", "implementation", "dtype", "quantity", "sweep"):
        one, other = ({str(getattr(cell, what)): None for cell in cells} for cells in (before, now))
        if not one.keys() & other.keys():
            return f"no {what} is in both: BASE has {_named(one)}; HEAD has {_named(other)}"
    return "no loss, implementation, dtype, quantity and sweep is in both together"


def _sides(report: Report) -> dict[Cell, Side]:
    """The side of each cell of a report. A cell may have a measurement, findings or both."""
    measured = {each.cell: each for each in report.measurements}
    faults: dict[Cell, dict[Kind, Finding]] = {}
    for finding in report.findings:
        of_cell = faults.setdefault(finding.cell, {})
        if finding.kind not in NOTES:
            of_cell[finding.kind] = finding
    cells = dict.fromkeys([*measured, *faults])
    return {cell: _side(measured.get(cell), faults.get(cell, {})) for cell in cells}


def _side(measurement: Measurement | None, faults: Mapping[Kind, Finding]) -> Side:
    if measurement is not None:
        farthest = measurement.farthest or measurement.witness
        return Side(measurement.rows, measurement.max_ulp, measurement.witness, farthest, faults)
    rows = max((finding.rows for finding in faults.values()), default=0)
    shown = next((finding.witness for finding in faults.values() if finding.witness), None)
    return Side(rows, math.nan, shown, None, faults)


def _pair(
    cell: Cell, base: Side | None, head: Side | None, before: Report, after: Report, slack: float
) -> Pair:
    differences = sorted(_differences(base, head, slack), key=_gravity)
    if base is None:
        return Pair(cell, Standing.NEW, None, head, tuple(differences), _why(before, cell))
    if head is None:
        return Pair(cell, Standing.GONE, base, None, tuple(differences), _why(after, cell))
    seen = {each.standing for each in differences}
    overall = Standing.SAME
    if seen & set(_GOES):
        overall = Standing.BETTER
    if seen & set(_COMES):
        overall = Standing.WORSE
    return Pair(cell, overall, base, head, tuple(differences))


def _differences(base: Side | None, head: Side | None, slack: float) -> Iterator[Difference]:
    """One difference per kind of fault, and one for the largest error.

    The latter is left out if it is unchanged or a fault in ulps already changed in the same way.
    """
    of_kinds = list(_of_kinds(base, head, slack))
    yield from of_kinds
    if base is None or head is None:
        return
    # NaN (no row has a finite error) compares as neither more nor less: then the kinds decide
    now, known = Extent(0, head.rows, head.max_ulp), Extent(0, base.rows, base.max_ulp)
    stands = standing(now, known, slack)
    alike = _COMES if stands is Standing.WORSE else _GOES
    in_ulps = (each for each in of_kinds if _measured(each.base) or _measured(each.head))
    if stands is not Standing.SAME and not any(each.standing in alike for each in in_ulps):
        yield Difference(MAX_ULP, stands, known, now, base.farthest, head.farthest)


def _of_kinds(base: Side | None, head: Side | None, slack: float) -> Iterator[Difference]:
    for kind in Kind:
        known, before = _fault(base, kind)
        now, after = _fault(head, kind)
        if now is None and known is None:
            continue
        yield Difference(kind.value, standing(now, known, slack), known, now, before, after)


def _fault(side: Side | None, kind: Kind) -> tuple[Extent | None, Witness | None]:
    """The extent of a kind of fault on one side and its witness.

    Without the fault the extent is None and the witness is the cell's.
    """
    if side is None:
        return None, None
    finding = side.faults.get(kind)
    if finding is None:
        return None, side.witness
    return extent(finding, side.rows), finding.witness


def _measured(fault: Extent | None) -> bool:
    return fault is not None and fault.ulp is not None


def _gravity(difference: Difference) -> tuple[int, int]:
    kinds = [kind.value for kind in Kind]
    position = kinds.index(difference.rule) if difference.rule in kinds else len(kinds)
    order = (Standing.NEW, Standing.WORSE, Standing.GONE, Standing.BETTER, Standing.SAME)
    rank = 0 if difference.standing in _COMES else order.index(difference.standing)
    return rank, position


def _severity(pair: Pair) -> tuple[Any, ...]:
    """A sort key, worst first: standing, cells with faults first, gravest kind, most ulps."""
    first = pair.differences[0] if pair.differences else None
    now = None if first is None else first.head or first.base
    ulp = 0.0 if now is None or now.ulp is None else now.ulp
    gravity = (math.inf, math.inf) if first is None else _gravity(first)
    return (ORDER.index(pair.standing), gravity, -ulp)


def _why(report: Report, cell: Cell) -> str:
    """The reason why a report lacks a cell, from its skips; "" if they do not say."""
    for skip in report.skips:
        if skip.missing and cell.implementation.partition(".")[0] == skip.missing:
            return skip.reason
        if skip.implementation and skip.covers(cell):
            return skip.reason
    return ""


def _notes(base: Report, head: Report, pairs: Sequence[Pair]) -> Iterator[Note]:
    for name, report in (("BASE", base), ("HEAD", head)):
        if report.interrupted:
            text = f"{name} was interrupted: it has only what was finished until then"
            yield Note("interrupted", text, warning=True)
        if report.uncertified:
            text = f"{name} has {len(report.uncertified):,} exact results that were not certified"
            yield Note("uncertified", text, warning=True)
    yield from _about_inputs(base, head, pairs)
    if [base.config.get(key) for key in _LIMITS] != [head.config.get(key) for key in _LIMITS]:
        text = "they differ, and which rows have a fault that is measured in ulps depends on them"
        yield Note("limits", text, warning=True)
    for name in dict.fromkeys([*base.environment, *head.environment]):
        before, now = base.environment.get(name, "none"), head.environment.get(name, "none")
        if before != now:
            same = name not in ("platform", "cpu")
            more = "" if same else "; two machines may round differently: --slack"
            yield Note("environment", f"{name} {before} → {now}{more}")


def _about_inputs(base: Report, head: Report, pairs: Sequence[Pair]) -> Iterator[Note]:
    if base.seed != head.seed:
        text = f"{base.seed} → {head.seed}: random inputs differ, so shares of rows are compared"
        yield Note("seed", text, warning=True)
    both = [pair for pair in pairs if pair.base is not None and pair.head is not None]
    sweeps = dict.fromkeys(pair.cell.sweep for pair in both)
    described = [each for each in sweeps if _inputs(base, each) != _inputs(head, each)]
    if described:
        text = f"described differently in {_named(described)}: shares of rows are compared"
        yield Note("inputs", text, warning=True)
    counts = {
        f"{pair.cell.sweep} ({pair.base.rows:,} → {pair.head.rows:,})": None
        for pair in both
        if pair.base is not None and pair.head is not None and pair.base.rows != pair.head.rows
    }
    if counts:
        text = f"their number differs in {_named(counts)}: shares of rows are compared"
        yield Note("rows", text, warning=True)


def _inputs(report: Report, sweep: str) -> list[Any]:
    """The fields of the configuration that describe a sweep's inputs.

    A command without sweeps has these fields at the top level.
    """
    sweeps = report.config.get("sweeps")
    found = sweeps.get(sweep) if isinstance(sweeps, Mapping) else report.config
    return [found.get(key) for key in _INPUTS] if isinstance(found, Mapping) else []


def _named(names: Iterable[str]) -> str:
    every = list(names)
    more = [f"{len(every) - _MOST_NAMED:,} more"] if len(every) > _MOST_NAMED else []
    return ", ".join([*every[:_MOST_NAMED], *more])
