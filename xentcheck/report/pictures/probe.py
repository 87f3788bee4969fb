"""The figure of a probe: the error of every implementation on one input, value beside gradient."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import altair as alt

from xentcheck.errors import UnknownNameError
from xentcheck.model import (
    NOTES,
    SURVEY_TOLERANCE,
    Input,
    ProbeLine,
    ProbeNumber,
    ProbeResult,
    Quantity,
    Witness,
)
from xentcheck.report import words
from xentcheck.report.pictures.bins import Rows
from xentcheck.report.pictures.figures import Figure, named, quantities
from xentcheck.report.probe import severity

MOST_ROWS = 200
"""The most rows of an input that are drawn for each implementation, the worst ones."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """How a result is drawn: colour never stands alone."""

    shape: str
    color: str


_WITHIN, _NOTED, _BEYOND = "within the tolerance", "accepted, with a note", "beyond the tolerance"
_NAN, _INFINITE = "NaN", "wrong infinity"
_NO_RESULT, _NOT_AUDITED = "no result", "not audited"
_BAR = "M-1,-0.3H1V0.3H-1Z"  # a shape as a path of SVG
_MARKS: Mapping[str, _Mark] = {
    _WITHIN: _Mark("circle", "#009e73"),
    _NOTED: _Mark("square", "#b58900"),
    _BEYOND: _Mark("triangle-up", "#d55e00"),
    _NAN: _Mark("diamond", "#b3261e"),
    _INFINITE: _Mark("triangle-right", "#7b3fa0"),
    _NO_RESULT: _Mark("cross", "#14171a"),
    _NOT_AUDITED: _Mark(_BAR, "#6b7280"),
}

_LEAST, _MOST = 0.1, 1e18  # ulps; errors beyond are drawn there, with their number
_ROUNDED = 0.5  # ulps; the largest error of a correctly rounded result
_WIDTH, _STEP = 330, 22
_TICK = (
    f"datum.value == {math.log10(_LEAST):g} ? '≤ {_LEAST:g}' : "
    f"datum.value == {math.log10(_MOST):g} ? '≥ 1e{math.log10(_MOST):g}' : "
    "datum.value < 4 ? format(pow(10, datum.value), ',') : '1e' + datum.value"
)


def probe_figure(
    result: ProbeResult, *, dtype: str | None = None, implementations: Sequence[str] | None = None
) -> Any:
    """The errors of a probe as a chart of Altair.

    Args:
        result: the probe.
        dtype: the dtype; None: all, one below the other.
        implementations: those that are drawn; None: all.

    Raises:
        UnknownNameError: the probe has no such dtype or implementation.
    """
    lines = result.lines
    if implementations is not None:
        known = sorted({line.implementation for line in lines})
        for name in implementations:
            if name not in known:
                raise UnknownNameError("implementation of this probe", name, known)
        lines = tuple(line for line in lines if line.implementation in implementations)
    dtypes = list(dict.fromkeys(line.dtype for line in lines))
    if not dtypes or (dtype is not None and dtype not in dtypes):
        raise UnknownNameError("dtype of this probe", dtype or "", dtypes)
    charts = [
        _chart(result, [line for line in lines if line.dtype == each])
        for each in ([dtype] if dtype is not None else dtypes)
    ]
    return charts[0] if len(charts) == 1 else alt.vconcat(*charts)


def probe_figures(result: ProbeResult) -> Iterator[Figure]:
    """A figure for each dtype of a probe, those with a fault first."""
    made = []
    loss = _loss(result)
    for dtype in dict.fromkeys(line.dtype for line in result.lines):
        own = [line for line in result.lines if line.dtype == dtype]
        faulty = any(_is_faulty(line) for line in own)
        ordered = sorted(own, key=_severity_of)
        says = (
            f"{loss}, {dtype}, {_input(result, dtype)}: "
            f"the errors in ulps of {named(ordered)}, {quantities(own)}"
        )
        draw = partial(probe_figure, result, dtype=dtype)
        made.append(Figure(f"{loss}-{dtype}-probe", says, faulty, draw))
    yield from sorted(made, key=lambda each: not each.faulty)


def _loss(result: ProbeResult) -> str:
    cells = [each.cell for each in result.report.measurements]
    return cells[0].loss if cells else "probe"


def _input(result: ProbeResult, dtype: str) -> str:
    """The input in a few words."""
    shown: list[Witness | Input] = [result.rows[dtype]] if dtype in result.rows else []
    if not shown:
        rows: dict[int, Witness] = {}
        for each in result.report.measurements:
            if each.cell.dtype == dtype and each.witness is not None:
                rows.setdefault(each.witness.row, each.witness)
        shown = list(rows.values())
    asked = {number.row for line in result.lines for number in line.results}
    if len(asked) > 1 or not shown:
        return words.count(len(asked), "row")
    return words.input_text(shown[0])


def _is_faulty(line: ProbeLine) -> bool:
    return not line.results or any(each.kind not in (None, *NOTES) for each in line.results)


def _severity_of(line: ProbeLine) -> tuple[float, float]:
    """A sort key, worst first. Worst of all is what has no result."""
    return min(map(severity, line.results), default=(-1.0, 0.0))


def _chart(result: ProbeResult, lines: Sequence[ProbeLine]) -> Any:
    """The chart of one dtype. Value and gradient have the same implementations and scale."""
    ordered = sorted(lines, key=_severity_of)
    names = [words.clean(each) for each in dict.fromkeys(line.implementation for line in ordered)]
    quantities = [each for each in Quantity if any(line.quantity is each for line in lines)]
    points = {each: _points(names, lines, each) for each in quantities}
    drawn = [row for rows in points.values() for row in rows]
    scale = _scale(drawn)
    used = [each for each in _MARKS if any(row["outcome"] == each for row in drawn)]
    parts = [
        _panel(points[quantity], names, used, scale, first=not place).properties(
            title=alt.Title(str(quantity), anchor="start")
        )
        for place, quantity in enumerate(quantities)
    ]
    dtype = lines[0].dtype
    title = alt.Title(
        words.clean(f"{_loss(result)}, {dtype}"),
        subtitle=words.clean(_input(result, dtype)),
        anchor="start",
    )
    return alt.hconcat(*parts, title=title)


def _points(names: Sequence[str], lines: Sequence[ProbeLine], quantity: Quantity) -> Rows:
    """For each implementation its rows, each with its worst component; the worst row has a text."""
    made: Rows = []
    own = {words.clean(line.implementation): line for line in lines if line.quantity is quantity}
    for name in names:
        line = own.get(name)
        if line is None or not line.results:
            outcome = _NOT_AUDITED if line is None else _NO_RESULT
            made.append({"implementation": name, "outcome": outcome, "x": None, "text": outcome})
            continue
        by_row: dict[int, list[ProbeNumber]] = defaultdict(list)
        for number in line.results:
            by_row[number.row].append(number)
        worst = sorted((min(each, key=severity) for each in by_row.values()), key=severity)
        for place, number in enumerate(worst[:MOST_ROWS]):
            made.append(_point(name, number, shown=not place))
    return made


def _point(name: str, number: ProbeNumber, *, shown: bool) -> dict[str, Any]:
    error = number.ulp_error
    return {
        "implementation": name,
        "outcome": _outcome(number),
        "x": None if math.isnan(error) else math.log10(min(max(error, _LEAST), _MOST)),
        "text": _text(number) if shown else "",
        "row": number.row,
        "component": "" if number.index is None else str(number.index),
        "actual": words.digits(number.actual, number.result_dtype),
        "exact": words.exact_text(number.exact),
        "error": words.ulps(error),
        "kind": str(number.kind or "ok"),
    }


def _outcome(number: ProbeNumber) -> str:
    if number.kind is None:
        return _WITHIN
    if number.kind in NOTES:
        return _NOTED
    if math.isnan(number.ulp_error):
        if math.isnan(number.actual):
            return _NAN
        if math.isinf(number.actual):
            return _INFINITE
    return _BEYOND


def _text(number: ProbeNumber) -> str:
    """The error, and the kind where the error alone does not say it."""
    if math.isnan(number.ulp_error):
        plain = not math.isfinite(number.actual) and number.kind not in NOTES
        return words.decimal(number.actual) if plain else str(number.kind or "")
    told = words.ulps(number.ulp_error)
    return told if number.kind is None or number.kind == "inaccurate" else f"{told} {number.kind}"


@dataclass(frozen=True, slots=True)
class _Scale:
    """The axis: log10 of the errors up to ``top``, then a band for what has no finite error.

    ``low`` and ``high`` are the ends of the band; equal to ``top`` if nothing is in it. ``beside``
    has the outcomes in the band, each of which has a place of its own.
    """

    top: float
    low: float
    high: float
    beside: tuple[str, ...] = ()

    @property
    def ticks(self) -> list[float]:
        least = math.log10(_LEAST)
        step = max(1, math.ceil((self.top - least) / 6))
        room = (self.top - least) / 9  # between two labels
        last = [self.top] if self.top == math.log10(_MOST) else []
        powers = [each for each in range(0, math.floor(self.top) + 1, step) if each - least >= room]
        return [least, *(each for each in powers if not last or self.top - each >= room), *last]

    def place(self, row: Mapping[str, Any]) -> float:
        """Where a row of data is drawn."""
        if row["x"] is not None:
            return float(row["x"])
        share = (self.beside.index(row["outcome"]) + 1) / (len(self.beside) + 1)
        return self.low + share * (self.high - self.low)


def _scale(points: Rows) -> _Scale:
    largest = max((row["x"] for row in points if row["x"] is not None), default=0.0)
    top = max(2.0, math.ceil(largest))
    without = {row["outcome"] for row in points if row["x"] is None}
    if not without:
        return _Scale(top, top, top)
    span = top - math.log10(_LEAST)
    beside = tuple(each for each in _MARKS if each in without)
    return _Scale(top, top + 0.06 * span, top + (0.2 + 0.08 * len(beside)) * span, beside)


def _panel(
    points: Rows, names: Sequence[str], used: Sequence[str], scale: _Scale, *, first: bool
) -> Any:
    """The points of one quantity."""
    ticks = alt.Axis(
        title=["error in ulps", *_LINES],
        values=scale.ticks,
        labelExpr=_TICK,
        labelFlush=False,
        titleFontWeight="normal",
    )
    domain = [math.log10(_LEAST), scale.high]
    x = alt.X("x:Q").scale(domain=domain, nice=False, zero=False).axis(ticks)
    y = alt.Y("implementation:N", sort=list(names)).scale(domain=list(names))
    y = y.axis(title=None, labelLimit=400, grid=True, labels=first, ticks=first)
    color = alt.Color("outcome:N").scale(
        domain=list(used), range=[_MARKS[each].color for each in used]
    )
    shape = alt.Shape("outcome:N").scale(
        domain=list(used), range=[_MARKS[each].shape for each in used]
    )
    legend = alt.Legend(title=None, orient="bottom", columns=4, labelLimit=400, symbolSize=80)
    placed = [{**row, "x": scale.place(row)} for row in points]
    marks = (
        _rows(placed)
        .mark_point(size=80, filled=True, opacity=1, strokeWidth=2)
        .encode(
            x=x,
            y=y,
            color=color.legend(legend),
            shape=shape.legend(legend),
            tooltip=[f"{each}:N" for each in _TOLD],
        )
    )
    texts = (
        _rows([row for row in placed if row["text"]])
        .mark_text(align="left", dx=6, fontSize=11)
        .encode(x=alt.value("width"), y=y, text="text:N")
    )
    layers = [
        *_band(scale, x),
        _rule(_ROUNDED, [2, 2], x),
        _rule(SURVEY_TOLERANCE.max_ulp, [6, 3], x),
        marks,
        texts,
    ]
    return alt.layer(*layers).properties(width=_WIDTH, height=alt.Step(_STEP))


_LINES = (f"dashed: tolerance, {SURVEY_TOLERANCE.max_ulp:g}; dotted: rounded, {_ROUNDED:g}",)
_TOLD = ("implementation", "row", "component", "actual", "exact", "error", "kind")


def _rows(rows: Rows) -> Any:
    return alt.Chart(alt.InlineData(values=rows))


def _rule(ulps: float, dash: list[int], x: Any) -> Any:
    rule = _rows([{"x": math.log10(ulps)}])
    return rule.mark_rule(strokeDash=dash, strokeWidth=1.5, color="gray").encode(x=x)


def _band(scale: _Scale, x: Any) -> list[Any]:
    """The band at the right end for what has no finite error, named above it."""
    if scale.low == scale.high:
        return []
    band = _rows([{"x": scale.low, "x2": scale.high}])
    return [
        band.mark_rect(color="gray", opacity=0.15).encode(x=x, x2="x2:Q"),
        band.mark_text(align="right", baseline="bottom", color="gray").encode(
            x=alt.value("width"), y=alt.value(-4), text=alt.value("no finite error")
        ),
    ]
