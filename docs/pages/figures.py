"""Figures of causes: the error of a faulty form along an axis, beside that of a sound one.

They are drawn when the site is built.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from mpmath import libmp

from docs.pages.courses import COURSES, Course
from docs.pages.sketches import MP, SKETCHES, Sketch
from xentcheck import probe
from xentcheck.floats import ulp
from xentcheck.model import Cause

mpl.rcParams["svg.hashsalt"] = "xentcheck"  # the same figure is the same file
mpl.rcParams["svg.fonttype"] = "none"

_TOP = 1e12  # where rows without a finite error are drawn, in ulps
_LEAST = 1e-2  # an error of 0 is drawn here


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A figure for each cause, as SVG."""
    figures: dict[Cause, Course | Sketch] = {**COURSES, **SKETCHES}
    for cause, shown in figures.items():
        yield f"{cause}.svg", drawn(shown).splitlines()


def drawn(shown: Course | Sketch) -> str:
    """A figure as SVG."""
    figure = Figure(figsize=(5.6, 3.6), layout="constrained")
    axes = figure.subplots()
    lines = zip((shown.faulty, shown.sound), errors_of(shown), strict=True)
    looks = (("#c0392b", "o", 5), ("#2471a3", "s", 3))  # where both are right, both are seen
    for (name, errors), (colour, mark, size) in zip(lines, looks, strict=True):
        finite = [max(each, _LEAST) if math.isfinite(each) else math.nan for each in errors]
        axes.plot(shown.numbers, finite, color=colour, marker=mark, markersize=size, label=name)
        lost = [x for x, each in zip(shown.numbers, errors, strict=True) if math.isinf(each)]
        axes.plot(lost, [_TOP] * len(lost), "x", color=colour, clip_on=False)
    axes.axhline(4, color="#7f8c8d", linewidth=1, linestyle="--")
    for height, text in ((4, "4 ulp"), (_TOP, "NaN, inf")):
        beside = axes.get_yaxis_transform()
        axes.text(1.005, height, text, transform=beside, va="center", fontsize=9)
    label = ", label 0" if isinstance(shown, Course) else ""
    axes.set(
        yscale="log",
        xscale="log" if shown.log else "linear",
        ylim=(_LEAST / 2, _TOP),
        xlabel=f"{shown.axis}{label}",
        ylabel=f"error of the {shown.quantity} in ulps",
    )
    if not shown.log:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=9, loc="lower left", bbox_to_anchor=(0, 1.02), frameon=False)
    file = StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def errors_of(shown: Course | Sketch) -> tuple[Sequence[float], Sequence[float]]:
    """The errors in ulps of the faulty form and of the sound one, for each number on the axis.

    An error is inf where it is not finite.
    """
    return _probed(shown) if isinstance(shown, Course) else _computed(shown)


def _probed(course: Course) -> tuple[Sequence[float], Sequence[float]]:
    """The errors of rows, each that of its worst component."""
    rows = [course.row(x) for x in course.numbers]
    names = [course.faulty, course.sound]
    found = probe(
        course.loss, rows, labels=[0] * len(rows), dtypes=[course.dtype], implementations=names
    )
    errors = {name: [0.0] * len(rows) for name in names}
    for line in found.lines:
        if line.quantity == course.quantity:
            for each in line.results:
                error = math.inf if math.isnan(each.ulp_error) else each.ulp_error
                own = errors[line.implementation]
                own[each.row] = max(own[each.row], error)
    return errors[course.faulty], errors[course.sound]


def _computed(sketch: Sketch) -> tuple[Sequence[float], Sequence[float]]:
    def errors(form: Callable[[Any], Any]) -> list[float]:
        return [_error(form(x), MP.mpf(sketch.exact(x)), sketch.dtype) for x in sketch.numbers]

    with np.errstate(all="ignore"):
        return errors(sketch.wrong), errors(sketch.right)


def _error(actual: Any, exact: Any, dtype: str) -> float:
    number = float(actual)
    if number == exact:
        return 0
    if not math.isfinite(number):
        return math.inf
    real = Fraction(*libmp.to_rational(exact._mpf_))
    return float(abs(Fraction(number) - real) / ulp(real, dtype))
