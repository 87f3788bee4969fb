"""Writes a report as an atlas in Markdown: the error of each function and dtype, and where it
breaks.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from xentcheck.floats import to_float64
from xentcheck.model import Finding, Input, Kind, Measurement, Quantity, Report
from xentcheck.report import words
from xentcheck.report.lines import grade_of

_MISSING = "–"
_FROM_MILD_TO_EXTREME = "gap"  # the generator with the "breaks at" row
_COMPONENTS = ("xentcheck", "python", "platform", "numpy", "mpmath", "ml_dtypes")


def render(report: Report, date: str) -> str:
    """The atlas as text. ``date`` is the date of the measurement."""
    lines = [*_heading(report, date), *_functions(report), *_variants(report), *_skips(report)]
    return "\n".join(lines) + "\n"


def _heading(report: Report, date: str) -> Iterator[str]:
    environment = report.environment
    frameworks = [name for name in environment if name not in _COMPONENTS]
    yield "# Atlas"
    yield ""
    yield f"Measured on {date} on {environment['platform']} with Python {environment['python']}:"
    yield f"xentcheck {environment['xentcheck']}, {_versions(environment, frameworks)}."
    ways = len({m.cell.implementation for m in report.measurements})
    yield (
        f"{words.count(ways, 'way')} to call, "
        f"{sum(m.rows for m in report.measurements):,} rows scored, seed {report.seed}."
    )
    yield ""
    yield (
        "Errors are against certified exact results: the largest finite one in ulps of the "
        "result's dtype, and the largest absolute one. [Grades](grades.md) say how much they "
        "matter. Kinds are counted in rows. **Breaks at** is "
        "the first fault on the way from an even to a certain row, or, where no sweep goes that "
        "way, the mildest first fault of the sweeps; beyond 4 ulp counts as a fault. Only plain "
        "calls are listed; variants follow where they disagree with them."
    )
    yield ""


def _versions(environment: Mapping[str, str], frameworks: Iterable[str]) -> str:
    names = [*frameworks, *_COMPONENTS[3:]]
    return ", ".join(f"{name} {environment[name]}" for name in names if name in environment)


@dataclass(frozen=True, slots=True)
class Function:
    """What was measured of one function in one dtype: its value or its gradient, as text.

    Attributes:
        loss: the loss.
        name: the implementation.
        dtype: the dtype.
        quantity: value or gradient.
        grade: the worst grade; "" if none is graded.
        max_ulp: the largest finite error in ulps of the result's dtype; "" if there is none.
        max_abs: the largest finite absolute error; "" if there is none.
        kinds: the kinds of findings, with the number of rows; "" if there is none.
        breaks_at: the mildest input that shows a fault, and its kind; "" if there is none.
    """

    loss: str
    name: str
    dtype: str
    quantity: Quantity
    grade: str
    max_ulp: str
    max_abs: str
    kinds: str
    breaks_at: str


def functions(report: Report) -> Iterator[Function]:
    """Every function, dtype and quantity of a report, loss by loss, without the variants."""
    variants = _variant_names(report)
    ways = _ways(report)
    cells: dict[str, dict[tuple[str, str, Quantity], list[Measurement]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for measurement in report.measurements:
        cell = measurement.cell
        if cell.implementation not in variants:
            cells[cell.loss][cell.implementation, cell.dtype, cell.quantity].append(measurement)
    for loss, places in cells.items():
        names = list(dict.fromkeys(name for name, _, _ in places))
        ordered = sorted(places.items(), key=lambda each: names.index(each[0][0]))
        for (name, dtype, quantity), measurements in ordered:
            yield Function(loss, name, dtype, quantity, *_measured(measurements, ways))


def _functions(report: Report) -> Iterator[str]:
    """One table per loss, with one line per function, dtype and quantity."""
    for loss, lines in groupby(functions(report), lambda each: each.loss):
        yield f"## {loss}"
        yield ""
        yield "| function | dtype | quantity | grade | max ulp | max abs | kinds | breaks at |"
        yield "|---|---|---|---|---:|---:|---|---|"
        for each in lines:
            shown = (each.grade, each.max_ulp, each.max_abs, each.kinds or "ok", each.breaks_at)
            known = (text or _MISSING for text in shown)
            yield _line([f"`{each.name}`", each.dtype, str(each.quantity), *known])
        yield ""


def _ways(report: Report) -> frozenset[str]:
    """The sweeps whose first generator goes from mild to extreme rows."""
    first: dict[str, str] = {}
    for each in report.yields:
        first.setdefault(each.sweep, each.generator)
    return frozenset(s for s, generator in first.items() if generator == _FROM_MILD_TO_EXTREME)


def _measured(measurements: Sequence[Measurement], ways: frozenset[str]) -> list[str]:
    counts: Counter[Kind] = Counter()
    for measurement in measurements:
        counts += Counter(measurement.counts)
    ulps = [m.max_ulp for m in measurements if m.max_ulp == m.max_ulp]
    absolute = [m.max_abs for m in measurements if m.max_abs == m.max_abs]
    return [
        str(grade_of(measurements, ()) or ""),
        words.ulps(max(ulps)) if ulps else "",
        words.scientific(max(absolute)) if absolute else "",
        words.kinds(counts),
        _break(measurements, ways),
    ]


def _break(measurements: Sequence[Measurement], ways: frozenset[str]) -> str:
    """The first input on which the function fails as rows become certain, and the kind; or ""."""
    broken = [each for each in measurements if each.first_break is not None]
    if any(each.cell.sweep in ways for each in measurements):
        broken = [each for each in broken if each.cell.sweep in ways]
    breaks = [each.first_break for each in broken if each.first_break is not None]
    if not breaks:
        return ""
    kind, witness = min(breaks, key=lambda each: _extremity(each[1]))
    return f"{words.input_text(witness)}: {kind}"


def _extremity(witness: Input) -> float:
    """The largest magnitude in an input; infinite if an element is NaN."""
    largest = float(np.abs(to_float64(witness.logits)).max(initial=0.0))
    return math.inf if math.isnan(largest) else largest


def _variant_names(report: Report) -> set[str]:
    return {m.cell.implementation for m in report.measurements if "@" in m.cell.implementation}


def _variants(report: Report) -> Iterator[str]:
    """The variants that disagree with the plain call, each with its worst input."""
    worst: dict[tuple[str, str, str, Quantity], Finding] = {}
    rows: Counter[tuple[str, str, str, Quantity]] = Counter()
    for finding in report.findings:
        if finding.kind is Kind.INCONSISTENT and "@" in finding.cell.implementation:
            place = finding.cell.line
            rows[place] += finding.rows
            if place not in worst or finding.distance > worst[place].distance:
                worst[place] = finding
    compared = _variant_names(report)
    if not compared:
        return
    yield "## Variants"
    yield ""
    agreeing = len(compared) - len({place[1] for place in worst})
    yield (
        f"{len(compared):,} other ways to call the functions above; {agreeing:,} agree with the "
        "plain call everywhere, to within twice 4 ulp. The others, with the input on which they "
        "are farthest apart:"
    )
    yield ""
    yield "| variant | loss | dtype | rows | input | what comes |"
    yield "|---|---|---|---:|---|---|"
    for place, finding in worst.items():
        loss, name, dtype, _ = place
        shown = words.input_text(finding.witness) if finding.witness else _MISSING
        yield _line([f"`{name}`", loss, dtype, f"{rows[place]:,}", shown, finding.detail])
    yield ""


def _skips(report: Report) -> Iterator[str]:
    """The things that were not measured because a package, device or dtype is missing."""
    named: dict[str, dict[str, None]] = defaultdict(dict)
    for skip in report.skips:
        if skip.missing:
            named[skip.reason] = {}
        elif skip.implementation and skip.quantity and skip.sweep:  # it refused the call
            named[skip.reason][skip.implementation] = None
    if not named:
        return
    yield "## Not measured"
    yield ""
    for reason, names in named.items():
        listed = ", ".join(f"`{name}`" for name in names)
        yield f"- {words.clean(reason)}{': ' if listed else ''}{listed}"
    yield ""


def _line(cells: Iterable[str]) -> str:
    escaped = (words.clean(cell).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"
