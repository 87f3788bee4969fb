"""Charts made with Altair, with their data, or without: then a page fills in other data.

Colour never stands alone: series also differ in shape and dash.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

from xentcheck.model.profiles import CONDITION, ERROR
from xentcheck.report.pictures.bins import SIGNED, Rows

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b58900", "#56b4e9")
"""Colours of the series. Colour-blind people tell them apart."""

MOST = len(COLORS)
"""The most series of a chart."""

_BANDS = {"NaN": "#b3261e", "inf": "#7b3fa0"}
_POWER = "(exp(datum.value * LN10) - exp(-datum.value * LN10))"
_SHORT = "abs({0}) >= 9999 ? replace(format({0}, '.0e'), '+', '') : format({0}, '.4~g')"
_AXIS_TITLES = {
    "gap": "gap: largest logit minus the label's",
    "classes": "number of classes",
    ERROR: "error in ulps",
}
_LEGEND = alt.Legend(
    title=None, orient="bottom", columns=1, labelLimit=400, symbolOpacity=1, symbolStrokeWidth=0
)
_DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [4, 4], [1, 3]]
_TOOLTIP = ["series:N", "low:Q", "high:Q", "rows:Q", "failing:Q", "ulp:Q"]
_WIDTH, _HEIGHT = 420, 240


@dataclass(frozen=True, slots=True)
class Content:
    """What a chart shows.

    Attributes:
        data: rows of data by name: ``bins``, ``bands``, ``limits``, ``breaks``, ``conditioned``.
        names: the names of the series, in their order.
        ticks: the positions of the ticks of a signed axis.
    """

    data: Mapping[str, Rows]
    names: Sequence[str]
    ticks: Sequence[float] = ()


def errors(axis: str, content: Content | None = None) -> Any:
    """The largest error of each bin against an axis, both logarithmic.

    Without content the chart has named data, and the parameters ``names`` and ``ticks``.
    """
    x, edge = _x(axis, content), {"x": _x(axis, content), "x2": "x2:Q"}
    mid = _x(axis, content, "mid")
    y = (
        alt.Y("ulp:Q")
        .scale(type="log", domainMin=0.1, nice=False, clamp=True)
        .axis(title="largest error in ulps", labelExpr=_SHORT.format("datum.value"), tickCount=6)
    )
    bins, limits, breaks = (_chart(each, content) for each in ("bins", "limits", "breaks"))
    layers = [
        *_bands(x, content),
        limits.mark_rule(strokeDash=[5, 3], strokeWidth=1.5, color="gray").encode(y=y),
        limits.mark_text(align="right", dy=-6, color="gray").encode(
            x=alt.value("width"), y=y, text="text:N"
        ),
        breaks.mark_rule(strokeDash=[2, 2], color="gray").encode(x=x),
        breaks.mark_text(
            align="left", angle=270, dx=4, dy=-3, baseline="bottom", color="gray"
        ).encode(x=x, y=alt.value("height"), text="text:N"),
        bins.mark_line(strokeWidth=1.5).encode(
            x=mid,
            y=y,
            strokeDash=_series_channel(alt.StrokeDash, content, _DASHES),
            **_series(content),
        ),
        bins.mark_rule(strokeWidth=2.5).encode(**edge, y=y, **_series(content)),
        bins.mark_point(size=36, filled=True, opacity=1).encode(
            x=mid, y=y, tooltip=_TOOLTIP, **_series(content, shape=True)
        ),
    ]
    if axis == CONDITION:
        conditioned = _chart("conditioned", content)
        layers.append(conditioned.mark_line(strokeDash=[5, 3], color="gray").encode(x=x, y=y))
    return _finished(alt.layer(*layers), content)


def distribution(content: Content | None = None) -> Any:
    """The share of the rows by their error. Without content as in `errors`."""
    bins, limits = _chart("bins", content), _chart("limits", content)
    y = alt.Y("share:Q").scale(type="sqrt", zero=True).axis(title="share of the rows", format="~%")
    x = _x(ERROR, content)
    layers = [
        bins.mark_bar(opacity=0.3).encode(x=x, x2="x2:Q", y=y, **_series(content)),
        bins.mark_rule(strokeWidth=2.5).encode(x=x, x2="x2:Q", y=y, **_series(content)),
        bins.mark_point(size=36, filled=True, opacity=1).encode(
            x=_x(ERROR, content, "mid"), y=y, tooltip=_TOOLTIP, **_series(content, shape=True)
        ),
        limits.mark_rule(strokeDash=[5, 3], strokeWidth=1.5, color="gray").encode(x="ulp:Q"),
    ]
    return _finished(alt.layer(*layers), content)


def _chart(name: str, content: Content | None) -> Any:
    if content is None:
        return alt.Chart(alt.NamedData(name))
    return alt.Chart(alt.InlineData(values=list(content.data.get(name, ()))))


def _finished(chart: Any, content: Content | None) -> Any:
    chart = chart.properties(width=_WIDTH, height=_HEIGHT)
    if content is None:
        return chart.add_params(
            alt.param(name="names", value=[]), alt.param(name="ticks", value=[])
        )
    return chart


def _bands(x: Any, content: Content | None) -> list[Any]:
    """Bands over the whole height where results are NaN or wrongly infinite, named at the top."""
    layers: list[Any] = []
    for place, (what, color) in enumerate(_BANDS.items()):
        bands = _chart("bands", content).transform_filter(f"datum.what == '{what}'")
        layers += [
            bands.mark_rect(opacity=0.16, color=color, stroke=color, strokeWidth=2).encode(
                x=x, x2="x2:Q"
            ),
            bands.mark_text(
                baseline="top", align="left", dx=3, fontWeight="bold", color=color
            ).encode(x=x, y=alt.value(2 + 12 * place), text="what:N"),
        ]
    return layers


def _x(axis: str, content: Content | None, field: str = "x") -> Any:
    title = _AXIS_TITLES.get(axis, axis)
    if axis in SIGNED:
        return (
            alt.X(f"{field}:Q")
            .scale(nice=False, zero=False)
            .axis(
                title=title,
                values=alt.ExprRef("ticks") if content is None else list(content.ticks),
                labelExpr=_SHORT.format(_POWER),
            )
        )
    return (
        alt.X(f"{field}:Q")
        .scale(type="log", nice=False)
        .axis(title=title, labelExpr=_SHORT.format("datum.value"), tickCount=6)
    )


def _series_channel(
    channel: Any, content: Content | None, values: Sequence[Any] | None = None
) -> Any:
    """The series as colour, shape or dash. The channels have one legend together."""
    names = alt.ExprRef("names") if content is None else list(content.names)
    scale = {"domain": names} if values is None else {"domain": names, "range": list(values)}
    return channel("series:N", sort=None).scale(**scale).legend(_LEGEND)


def _series(content: Content | None, *, shape: bool = False) -> dict[str, Any]:
    made = {"color": _series_channel(alt.Color, content, COLORS)}
    return {**made, "shape": _series_channel(alt.Shape, content)} if shape else made
