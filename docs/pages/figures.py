"""Figures of causes: the error of a faulty form along an axis, beside that of a sound one.

They are drawn when the site is built.
"""

import math
from collections.abc import Iterable, Iterator
from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from docs.pages.courses import COURSES, Course
from xentcheck import probe

mpl.rcParams["svg.hashsalt"] = "xentcheck"  # the same figure is the same file
mpl.rcParams["svg.fonttype"] = "none"

DTYPE = "float32"
_TOP = 1e12  # where rows without a finite error are drawn, in ulps
_LEAST = 1e-2  # an error of 0 is drawn here


def pages() -> Iterator[tuple[str, Iterable[str]]]:
    """A figure for each cause that has one, as SVG."""
    for cause, course in COURSES.items():
        yield f"{cause}.svg", drawn(course).splitlines()


def drawn(course: Course) -> str:
    """A figure as SVG."""
    figure = Figure(figsize=(7, 3.4), layout="constrained")
    axes = figure.subplots()
    errors = errors_of(course)
    for name, colour, mark in ((course.faulty, "#c0392b", "o"), (course.sound, "#2471a3", "s")):
        found = list(zip(course.numbers, errors[name], strict=True))
        shown = [max(each, _LEAST) if math.isfinite(each) else math.nan for _, each in found]
        axes.plot(course.numbers, shown, color=colour, marker=mark, markersize=3, label=name)
        lost = [x for x, each in found if math.isinf(each)]
        axes.plot(lost, [_TOP] * len(lost), "x", color=colour, clip_on=False)
    axes.axhline(4, color="#7f8c8d", linewidth=1, linestyle="--")
    for height, text in ((4, "4 ulp"), (_TOP, "NaN, inf")):
        beside = axes.get_yaxis_transform()
        axes.text(1.005, height, text, transform=beside, va="center", fontsize=8)
    axes.set(
        yscale="log",
        xscale="log" if course.log else "linear",
        ylim=(_LEAST / 2, _TOP),
        xlabel=f"{course.axis}, label 0",
        ylabel=f"error of the {course.quantity} in ulps",
    )
    axes.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.02), ncols=2, frameon=False)
    file = StringIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()


def errors_of(course: Course) -> dict[str, list[float]]:
    """The error of each row in ulps, by implementation: of its worst component, in float32.

    It is inf where there is no finite error.
    """
    rows = [course.row(x) for x in course.numbers]
    names = [course.faulty, course.sound]
    found = probe(course.loss, rows, labels=[0] * len(rows), dtypes=[DTYPE], implementations=names)
    errors = {name: [0.0] * len(rows) for name in names}
    for line in found.lines:
        if line.quantity == course.quantity:
            for each in line.results:
                error = math.inf if math.isnan(each.ulp_error) else each.ulp_error
                own = errors[line.implementation]
                own[each.row] = max(own[each.row], error)
    return errors
