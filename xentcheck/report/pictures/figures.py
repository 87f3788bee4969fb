"""The figures of a report: charts with their data, as objects of Altair."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt

from xentcheck.errors import UnknownNameError
from xentcheck.floats import FORMATS
from xentcheck.model import Cell, Measurement, ProbeLine, Quantity, Report, SafeRange, rank
from xentcheck.model.profiles import CONDITION, ERROR
from xentcheck.report import words
from xentcheck.report.lines import Line, by_loss, merged
from xentcheck.report.matrix import lost_bits
from xentcheck.report.page.content import breaks, faults_of
from xentcheck.report.page.marks import GRADE_TONES, SHAPES
from xentcheck.report.pictures import charts
from xentcheck.report.pictures.bins import (
    LEAST,
    Rows,
    axes,
    bands_of,
    joined,
    position,
    rows_of,
    spaced,
    ticks,
)
from xentcheck.report.pictures.limits import limit_of

FIGURES = ("grades", "errors", "distribution")
"""The names of the figures of a report."""

_COLORS = ("#a3201a", "#f2905a", "#ffdf80", "#d5ecc2", "#9fd8c4", "#6db6e0")  # by grade


def figure(
    report: Report,
    name: str = "grades",
    *,
    loss: str | None = None,
    dtype: str | None = None,
    axis: str | None = None,
    implementations: Sequence[str] | None = None,
) -> Any:
    """A figure of a report, as a chart of Altair.

    Args:
        report: the report.
        name: one of `FIGURES`.
        loss: the loss; None: that of the report's worst line.
        dtype: the dtype; None: that of the worst line of the loss.
        axis: the axis of ``errors``; None: the first that the loss has.
        implementations: those that are drawn; None: of ``grades`` all, of others the worst ones and
            the best one.

    Raises:
        UnknownNameError: the report has no such figure, loss, dtype or axis.
    """
    if name not in FIGURES:
        raise UnknownNameError("figure", name, FIGURES)
    lines = merged(report)
    losses = list(dict.fromkeys(line.loss for line in lines))
    if not losses or (loss is not None and loss not in losses):
        raise UnknownNameError("loss of this report", loss or "", losses)
    own = [line for line in lines if line.loss == (loss or losses[0])]
    if implementations is not None:
        own = [line for line in own if line.implementation in implementations]
        if not own:
            known = [line.implementation for line in lines if line.loss == (loss or losses[0])]
            raise UnknownNameError("implementation", ", ".join(implementations), known)
    if name == "grades":
        return grades(own)
    dtypes = list(dict.fromkeys(line.dtype for line in own))
    if dtype is not None and dtype not in dtypes:
        raise UnknownNameError("dtype of this report", dtype, dtypes)
    of_dtype = [line for line in own if line.dtype == (dtype or dtypes[0])]
    known = axes(_measurements(report, of_dtype[0].loss, of_dtype[0].dtype))
    if name == "distribution":
        return profiles(report, of_dtype, ERROR)
    if not known or (axis is not None and axis not in known):
        raise UnknownNameError("axis of these profiles", axis or "", known)
    return profiles(report, of_dtype, axis or known[0])


def grades(lines: Sequence[Line]) -> Any:
    """The grades of one loss as a heat map: letter, sign of the gravest kind and lost bits."""
    data = [_grade_row(line) for line in lines]
    dtypes = [each for each in FORMATS if any(row["dtype"] == each for row in data)]
    columns = [f"{dtype} {quantity}" for dtype in dtypes for quantity in Quantity]
    used = {row["column"] for row in data}
    x = alt.X("column:N", sort=[each for each in columns if each in used]).axis(
        title=None, orient="top", labelAngle=-35
    )
    y = alt.Y("implementation:N", sort=None).axis(title=None, labelLimit=400)
    base = alt.Chart(alt.InlineData(values=data))
    color = alt.Color("grade:N").scale(domain=list(GRADE_TONES), range=list(_COLORS))
    white = (
        alt.when("datum.grade == 'broken'").then(alt.value("white")).otherwise(alt.value("#14171a"))
    )
    chart = alt.layer(
        base.mark_rect(stroke="white", strokeWidth=2).encode(
            x=x, y=y, color=color.legend(title=None, orient="bottom", columns=6)
        ),
        base.mark_text(fontSize=11).encode(x=x, y=y, text="text:N", color=white),
    )
    return chart.properties(
        title=words.clean(lines[0].loss), width=alt.Step(74), height=alt.Step(22)
    )


def _grade_row(line: Line) -> dict[str, Any]:
    faults = faults_of(line.counts)
    bits = lost_bits(line.max_ulp, line.dtype)
    grade = str(line.grade or "")
    parts = (
        GRADE_TONES[grade].letter if grade else "·",
        SHAPES[str(faults[0])] if faults else "",
        "" if bits is None else str(round(bits)),
    )
    return {
        "implementation": words.clean(line.implementation),
        "dtype": line.dtype,
        "column": f"{line.dtype} {line.quantity}",
        "grade": grade,
        "text": "  ".join(filter(None, parts)),
    }


def profiles(report: Report, lines: Sequence[Line], axis: str) -> Any:
    """The errors of one loss and dtype along an axis, value and gradient side by side.

    ``lines`` are of one loss and dtype, the worst first. Of more than `charts.MOST` implementations
    the worst ones and the best one are drawn.
    """
    names = _chosen(lines)
    loss, dtype = lines[0].loss, lines[0].dtype
    parts = [
        _profile(report, loss, dtype, quantity, names, axis)
        for quantity in Quantity
        if any(line.quantity is quantity for line in lines)
    ]
    return alt.hconcat(*parts, title=words.clean(f"{loss}, {dtype}"))


def _chosen(lines: Sequence[Line]) -> list[str]:
    names = list(dict.fromkeys(line.implementation for line in lines))
    if len(names) <= charts.MOST:
        return names
    best = max(
        (line for line in lines if line.grade is not None),
        key=lambda line: rank(line.grade) if line.grade else -1,
        default=lines[-1],
    ).implementation
    return [*[each for each in names if each != best][: charts.MOST - 1], best]


def _measurements(
    report: Report, loss: str, dtype: str, quantity: Quantity | None = None
) -> list[Measurement]:
    return [
        each
        for each in report.measurements
        if (each.cell.loss, each.cell.dtype) == (loss, dtype)
        and quantity in (None, each.cell.quantity)
    ]


def _profile(
    report: Report, loss: str, dtype: str, quantity: Quantity, names: Sequence[str], axis: str
) -> Any:
    measured = _measurements(report, loss, dtype, quantity)
    rows: Rows = []
    bands: Rows = []
    for name in names:
        of_name = [each for each in measured if each.cell.implementation == name]
        bins = joined(p for each in of_name for p in each.profiles if p.axis == axis)
        if bins:
            rows += rows_of(words.clean(name), axis, bins)
        if name == names[0] and axis != ERROR:
            bands = bands_of(axis, bins)
    shown = list(dict.fromkeys(row["series"] for row in rows))
    limit, word = limit_of(report, Cell(loss, names[0], dtype, quantity, "*"))
    low = min((row["x"] for row in rows), default=1.0)
    high = max((row["x2"] for row in rows), default=1.0)
    ends = (low, min(max(low, 1.0), high), high) if axis == CONDITION else ()
    data = {
        "bins": rows,
        "bands": bands,
        "limits": []
        if math.isnan(limit)
        else [{"ulp": max(limit, LEAST), "text": f"{word} {limit:g} ulp"}],
        "breaks": spaced(
            _breaks(report.safe_ranges, loss, names[0], dtype, quantity, axis), low, high
        ),
        "conditioned": [{"x": x, "ulp": 4 * max(x, 1.0)} for x in ends],
    }
    drawn = charts.Content(data, shown, ticks(axis, rows))
    chart = charts.distribution(drawn) if axis == ERROR else charts.errors(axis, drawn)
    return chart.properties(title=str(quantity))


def _breaks(
    ranges: Sequence[SafeRange],
    loss: str,
    implementation: str,
    dtype: str,
    quantity: Quantity,
    axis: str,
) -> Rows:
    place = (loss, implementation, dtype, quantity, axis)
    return [
        {"x": position(axis, each["number"]), "text": each["text"]}
        for found in ranges
        if (
            found.loss,
            found.implementation,
            found.dtype,
            found.quantity,
            found.axis.partition(",")[0],
        )
        == place
        for each in breaks(found)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A figure before it is drawn.

    Attributes:
        name: the name of its files, without suffix.
        says: what it shows, in one sentence without its full stop.
        faulty: whether something in it needs a look.
        draw: makes the chart of Altair.
    """

    name: str
    says: str
    faulty: bool
    draw: Callable[[], Any]


def all_figures(report: Report) -> Iterator[Figure]:
    """Every figure of a report: those that need a look first, and of these the worst loss first.

    The grades of each loss; of each loss and dtype with profiles, the errors along its first axis
    and against the condition number, and their distribution.
    """
    yield from sorted(_figures(report), key=lambda each: not each.faulty)


def _figures(report: Report) -> Iterator[Figure]:
    for loss, own in by_loss(merged(report)):
        faulty = any(line.faulty for line in own)
        dtypes = list(dict.fromkeys(line.dtype for line in own))
        says = f"{loss}, {', '.join(dtypes)}: the grades of {named(own)} and the bits they lose"
        yield Figure(f"{loss}-grades", says, faulty, partial(grades, own))
        for dtype in dtypes:
            of_dtype = [line for line in own if line.dtype == dtype]
            yield from _of_dtype(report, of_dtype)


def _of_dtype(report: Report, lines: Sequence[Line]) -> Iterator[Figure]:
    loss, dtype = lines[0].loss, lines[0].dtype
    faulty = any(line.faulty for line in lines)
    known = axes(_measurements(report, loss, dtype))
    shown = [("errors", axis) for axis in known[:1]]
    shown += [("condition", CONDITION)] if CONDITION in known[1:] else []
    shown += [("distribution", ERROR)] if known else []
    for name, axis in shown:
        of_whom = f"of {named(lines)}, {quantities(lines)},"
        told = f"the largest errors {of_whom} along the axis {axis}"
        if axis == ERROR:
            told = f"the rows {of_whom} by their error"
        says = f"{loss}, {dtype}: {told}"
        draw = partial(profiles, report, lines, axis)
        yield Figure(f"{loss}-{dtype}-{name}", says, faulty, draw)


_MOST_NAMED = 3


def quantities(lines: Sequence[Line | ProbeLine]) -> str:
    """The quantities of some lines: ``value and gradient``."""
    found = {line.quantity for line in lines}
    return " and ".join(each for each in Quantity if each in found)


def named(lines: Sequence[Line | ProbeLine]) -> str:
    """The implementations of some lines, the first three by name."""
    names = list(dict.fromkeys(line.implementation for line in lines))
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
