"""What a page shows of a report, as plain values."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from xentcheck.floats import FORMATS
from xentcheck.model import (
    ABOUT,
    GRADES,
    NOTES,
    Cell,
    Finding,
    Grade,
    Kind,
    Measurement,
    Quantity,
    Report,
    SafeRange,
    Violation,
    gravity,
    rank,
)
from xentcheck.report import words
from xentcheck.report.lines import VERDICTS, Line, counts_of, grade_of, merged, verdict
from xentcheck.report.matrix import lost_bits
from xentcheck.report.page.columns import Column, documents, stored, told
from xentcheck.report.page.marks import GRADE_TONES, SHAPES
from xentcheck.report.pictures.bins import axes
from xentcheck.report.pictures.limits import limit_of
from xentcheck.report.verdict import obstacles

_DTYPES = tuple(FORMATS)
_QUANTITIES = tuple(map(str, Quantity))
_KINDS = tuple(map(str, Kind))


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """Everything that a page has of one cell."""

    cell: Cell
    measurement: Measurement | None
    findings: tuple[Finding, ...]
    violations: tuple[Violation, ...]
    tolerated: tuple[Violation, ...]
    counts: Mapping[Kind, int]

    @property
    def gravest(self) -> Finding | None:
        """The gravest violation, or else the gravest finding; None without any."""
        found = [each.finding for each in self.violations] or self.findings
        return min(found, key=words.severity, default=None)

    @property
    def grade(self) -> Grade | None:
        """The grade of the cell."""
        measured = [self.measurement] if self.measurement else []
        return grade_of(measured, self.findings)


def shown_cells(report: Report) -> list[Shown]:
    """The cells of a report, in its order."""
    found: dict[Cell, list[Finding]] = defaultdict(list)
    violated: dict[Cell, list[Violation]] = defaultdict(list)
    tolerated: dict[Cell, list[Violation]] = defaultdict(list)
    for finding in report.findings:
        found[finding.cell].append(finding)
    for several, given in ((violated, report.violations), (tolerated, report.tolerated)):
        for violation in given:
            several[violation.finding.cell].append(violation)
    measured = {each.cell: each for each in report.measurements}
    cells = dict.fromkeys([*measured, *found, *violated, *tolerated])
    return [
        Shown(
            cell,
            measured.get(cell),
            tuple(found[cell]),
            tuple(violated[cell]),
            tuple(tolerated[cell]),
            counts_of([measured[cell]] if cell in measured else [], found[cell]),
        )
        for cell in cells
    ]


def faults_of(counts: Mapping[Kind, int]) -> list[Kind]:
    """The kinds of fault, the gravest first; notes are none."""
    return sorted((each for each in counts if each not in NOTES), key=gravity)


def table(report: Report, cells: Sequence[Shown]) -> list[dict[str, Any]]:
    """The columns of the table of measurements. Only a gate has verdicts of its cells."""
    columns = [
        *([Column("verdict", "verdict", "word", VERDICTS)] if report.gated else []),
        Column("grade", "grade", "word", [str(each) for each in GRADES]),
        Column("loss", "loss", "word"),
        Column("implementation", "implementation", "word"),
        Column("dtype", "dtype", "word", _DTYPES),
        Column("quantity", "quantity", "word", _QUANTITIES),
        Column("sweep", "sweep", "word"),
        Column("kind", "gravest kind", "word", _KINDS),
        Column("cause", "cause", "word"),
        Column("failing", "failing", "number", title="rows with a fault"),
        Column("rows", "rows", "number"),
        Column("max_ulp", "max ulp", "number", title="the largest finite error in ulps"),
        Column("p99_ulp", "p99 ulp", "number", title="the 99th percentile of the errors in ulps"),
        Column("median_ulp", "median ulp", "number", title="the median error in ulps"),
        Column("max_abs", "max abs", "number", title="the largest finite absolute error"),
        Column(
            "max_norm", "max norm", "number", title="the largest error over the scale of its row"
        ),
        Column(
            "excess_bits",
            "excess bits",
            "number",
            title="bits lost beyond what the condition number explains",
        ),
        Column("worst", "worst input", "text"),
    ]
    for shown in cells:
        for column, value in zip(columns, _row(report, shown), strict=True):
            column.values.append(value)
    return documents(columns)


def _row(report: Report, shown: Shown) -> tuple[Any, ...]:
    cell, measured, gravest = shown.cell, shown.measurement, shown.gravest
    word = verdict(
        report,
        grade_of([] if shown.measurement is None else [shown.measurement], shown.findings),
        failing=bool(shown.violations),
        tolerated=bool(shown.tolerated),
    )
    causes = [each.cause for each in shown.findings if each.cause]
    faults = faults_of(shown.counts)
    numbers: tuple[float | None, ...] = (None,) * 6
    if measured is not None:
        numbers = (
            measured.max_ulp,
            measured.p99_ulp,
            measured.median_ulp,
            measured.max_abs,
            measured.max_norm,
            measured.max_excess_bits,
        )
    return (
        *((word,) if report.gated else ()),
        str(shown.grade or ""),
        words.clean(cell.loss),
        words.clean(cell.implementation),
        words.clean(cell.dtype),
        str(cell.quantity),
        words.clean(cell.sweep),
        str(gravest.kind if gravest else ""),
        words.clean(causes[0] if causes else ""),
        sum(shown.counts[kind] for kind in faults),
        measured.rows if measured else max((each.rows for each in shown.findings), default=0),
        *numbers,
        _gist(shown),
    )


def _gist(shown: Shown) -> str:
    gravest = shown.gravest
    if gravest is not None:
        return words.clean(words.gist(gravest))
    witness = shown.measurement.witness if shown.measurement else None
    if witness is None:
        return ""
    return words.clean(f"{words.input_text(witness)} → {words.outcome_text(witness)}")


def details(report: Report, cells: Sequence[Shown]) -> list[list[Any]]:
    """For each cell its findings: headline, and (label, text) pairs as a flat list.

    A cell without findings has its worst row.
    """
    return [[[head, told(lines)] for head, lines in _told(report, shown)] for shown in cells]


def _told(report: Report, shown: Shown) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    listed = set()
    for violation in words.gravest((*shown.violations, *shown.tolerated)):
        finding = violation.finding
        listed.add(finding.kind)
        lines = words.finding_lines(report, finding, *words.limit_lines(violation))
        rows = words.count(finding.rows, "row")
        yield words.clean(f"{words.rule_text(violation)}: {rows}"), lines
    for finding in sorted(shown.findings, key=words.severity):
        if finding.kind not in listed:
            head = f"{finding.kind}: {words.count(finding.rows, 'row')}"
            yield words.clean(head), words.finding_lines(report, finding)
    witness = shown.measurement.witness if shown.measurement else None
    if not (shown.findings or shown.violations or shown.tolerated) and witness is not None:
        worst = Finding(Kind.INACCURATE, shown.cell, 1, witness)
        yield "the worst row", words.finding_lines(report, worst)


def lines(report: Report, merged_lines: Sequence[Line]) -> dict[str, Any]:
    """The cells of the heat map, over all sweeps, column by column."""
    made: dict[str, list[Any]] = defaultdict(list)
    shown_kinds = {kind: place for place, kind in enumerate(Kind)}
    for line in merged_lines:
        limit, name = limit_of(report, Cell(*_place(line), sweep="*"))
        made["loss"].append(words.clean(line.loss))
        made["implementation"].append(words.clean(line.implementation))
        made["dtype"].append(words.clean(line.dtype))
        made["quantity"].append(str(line.quantity))
        made["verdict"].append(line.verdict if report.gated else "")
        made["tone"].append(str(line.grade or ""))
        bits = lost_bits(line.max_ulp, line.dtype)
        made["number"].append(None if bits is None else round(bits))
        made["ulp"].append(stored(line.max_ulp))
        made["limit"].append(stored(limit))
        made["limit_name"].append(name)
        ordered = sorted(line.counts, key=lambda kind: (kind in NOTES, gravity(kind)))
        made["kinds"].append([[shown_kinds[kind], line.counts[kind]] for kind in ordered])
        made["rows"].append(line.rows)
        made["met"].append(line.met)
    return dict(made)


def _place(line: Line) -> tuple[str, str, str, Quantity]:
    return (line.loss, line.implementation, line.dtype, line.quantity)


def ranges(report: Report) -> list[dict[str, Any]]:
    """Where grades hold, with the numbers at which one is lost."""
    return [
        {
            "loss": words.clean(each.loss),
            "implementation": words.clean(each.implementation),
            "dtype": words.clean(each.dtype),
            "quantity": str(each.quantity),
            "axis": each.axis.partition(",")[0],
            "where": each.axis,
            "text": words.clean(each.text),
            "breaks": breaks(each),
        }
        for each in report.safe_ranges
    ]


def breaks(found: SafeRange) -> list[dict[str, Any]]:
    """The breaking points of a range: the ends of the stretch of each grade, worst grade first.

    An end at the first or the last number that was asked is none. Grades better than accurate have
    no breaking points here: beyond them nothing breaks.
    """
    if not found.stretches:
        return []
    least = min(each.first for each in found.stretches)
    most = max(each.last for each in found.stretches)
    largest = FORMATS[found.dtype].max if found.dtype in FORMATS else math.inf
    made: dict[float, str] = {}
    for stretch in found.stretches:
        if rank(stretch.grade) > rank(Grade.ACCURATE):
            continue
        for end, edge in ((stretch.first, least), (stretch.last, most)):
            inner = end != edge or (found.always is None and abs(end) < largest and end != 0)
            if inner and end not in made:
                made[end] = f"{stretch.grade} {'from' if end == stretch.first else 'to'} "
    return [
        {"number": number, "text": f"{text}{words.brief(number)}"} for number, text in made.items()
    ]


def kinds() -> list[list[str]]:
    """Every kind with its shape and what it means, the gravest first."""
    return [[str(kind), SHAPES[str(kind)], ABOUT[kind].says] for kind in Kind]


def data(report: Report, cells: Sequence[Shown]) -> dict[str, Any]:
    """Everything that the script needs before a cell is opened."""
    measurements = [each for each in (shown.measurement for shown in cells) if each is not None]
    return {
        "what": "report",
        "columns": table(report, cells),
        "lines": lines(report, merged(report)),
        "ranges": ranges(report),
        "tones": {name: [tone.letter, tone.says] for name, tone in GRADE_TONES.items()},
        "kinds": kinds(),
        "dtypes": _DTYPES,
        "axes": axes(measurements),
        "number": "lost bits",
        "toned": "grade",
    }


def grade_counts(cells: Iterable[Shown]) -> list[tuple[str, str, int, str]]:
    """The grades with their letters, the number of cells and what they mean; worst first."""
    counted = Counter(str(each.grade) for each in cells if each.grade is not None)
    return [
        (name, tone.letter, counted[name], tone.says)
        for name, tone in GRADE_TONES.items()
        if counted[name]
    ]


def troubles(report: Report) -> list[str]:
    """Why a report is incomplete, one sentence each."""
    return [words.clean(each) for each in obstacles(report)]


def link(cell: Cell) -> str:
    """The link to a cell within a page, without the ``#``. It names the cell as the page does."""
    named = {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": str(cell.quantity),
        "sweep": cell.sweep,
    }
    return f"cell&{urlencode({name: words.clean(text) for name, text in named.items()})}"
