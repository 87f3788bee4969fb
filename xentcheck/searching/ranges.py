"""Where an implementation keeps its grades: stretches of axes whose ends are exact numbers.

An axis is scanned at some hundred places first, so several stretches are found as several. Every
change of grade is then narrowed to neighbouring numbers, and both of them are graded by mpmath.
Between the ends, every place that was asked has the grade; the places that were not asked are not
proven to have it.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_FLOOR, Context
from itertools import pairwise

from xentcheck.floats import FORMATS
from xentcheck.implementations.user.command import Command
from xentcheck.model import GRADES, Grade, SafeRange, Stretch, function_for, rank
from xentcheck.searching.axes import Axis, Setting, axes_of
from xentcheck.searching.grading_of_rows import Symptom
from xentcheck.searching.series import (
    Budget,
    Point,
    Series,
    Span,
    Tell,
    Test,
    between,
    narrowed,
    spans_of,
)

BUDGET = 1000
"""Calls of one function that are allowed by default."""

LEAST_POINTS = 4
"""Points of the scan that a stretch has at least, so that a good result by chance is not one."""

LEAST_SHARE = 0.1
"""Share of the scan that a stretch of the two best grades has at least: rounding is random."""

MOST_STRETCHES = 4
ROUNDS = 5
"""Rounds of narrowing. Another one follows if the arbiter changed the grade of an end, or if denser
places on its inner side lose the grade."""
_DIGITS = 6

COMMAND = "each call of a command starts a program"


def safe_ranges(
    setting: Setting, budget: Budget, tell: Tell, axes: Sequence[str] = ()
) -> tuple[tuple[SafeRange, ...], tuple[str, ...]]:
    """Find where an implementation keeps its grades, along every axis that fits.

    Args:
        setting: what is asked.
        budget: the calls that may be made. Axes that it does not reach are left out.
        tell: gets the implementation's name before a call, and "" after it.
        axes: names of axes, or how they begin; empty: all.

    Returns:
        The ranges, and what was left out with the reason.
    """
    ranges, left_out = [], []
    for series, spans in surveyed(setting, budget, tell, axes):
        if series.points:
            ranges.append(range_of(series, spans))
        if series.ended:
            left_out.append(f"{series.axis.name}: {series.ended}")
    return tuple(ranges), tuple(left_out)


def surveyed(
    setting: Setting,
    budget: Budget,
    tell: Tell,
    axes: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Iterator[tuple[Series, Mapping[Grade, Sequence[Span]]]]:
    """Scan and narrow axes. Yields each series with the stretches of each grade."""
    for axis in axes_of(setting):
        if axes and not axis.name.startswith(tuple(axes)):
            continue
        if axis.name.startswith(tuple(without)):
            continue
        series = Series(setting, axis, budget, tell)
        yield series, graded(series)
        if series.gone:
            return


def obstacle(setting: Setting) -> str:
    """Why an implementation is not asked at all; "" if it is."""
    function = function_for(setting.implementation, setting.quantity)
    if function is None:
        return f"has no {setting.quantity}"
    return COMMAND if isinstance(function, Command) else ""


def graded(series: Series) -> dict[Grade, list[Span]]:
    """Scan an axis, and narrow the stretches of every grade; mpmath confirms their ends."""
    series.scan()
    found: dict[str, list[Span]] = {}
    tried = set(series.axis.scan)
    for _ in range(ROUNDS):
        scanned = [series.points[place] for place in sorted(tried) if place in series.points]
        wanted = {}
        for grade in GRADES[1:]:
            test = _at_least(grade)
            wanted[str(grade)] = (test, _chosen(spans_of(scanned, test), series, grade))
        found = narrowed(series, wanted)
        spans = [span for some in found.values() for span in some]
        ends = [place for span in spans for place in span.ends]
        changed = series.certify(ends)
        more = _inside(series, found)
        series.ask(more)
        tried.update(more)
        if series.ended or not (changed or _fails_inside(series, found, more)):
            break
    return {Grade(name): spans for name, spans in found.items()}


def _at_least(grade: Grade) -> Test:
    least = rank(grade)
    return lambda point: point.rank >= least


def _inside(series: Series, found: Mapping[str, Sequence[Span]]) -> list[int]:
    """Places evenly spaced over the outermost octave of each stretch, next to its ends.

    Near an end a grade is often lost at a few numbers first.
    """
    axis = series.axis
    if axis.together == 1 or axis.counted:
        return []
    octave = 1 << (FORMATS[axis.dtype].precision - 1)
    ends = set()
    for name, spans in found.items():
        if rank(Grade(name)) > rank(Grade.ACCURATE):
            continue
        for span in spans:
            length = min(octave, span.last - span.first)
            if span.before is not None:
                ends.add((span.first, span.first + length))
            if span.after is not None:
                ends.add((span.last - length, span.last))
    share = axis.together // max(1, len(ends))
    places = [place for low, high in sorted(ends) for place in between(low, high, share)]
    return [place for place in dict.fromkeys(places) if place not in series.points]


def _fails_inside(
    series: Series, found: Mapping[str, Sequence[Span]], places: Sequence[int]
) -> bool:
    """Whether a grade is lost at one of some places that lie on its stretches."""
    known = [series.points[place] for place in places if place in series.points]
    return any(
        span.first < point.place < span.last and point.rank < rank(Grade(name))
        for name, spans in found.items()
        if rank(Grade(name)) <= rank(Grade.ACCURATE)
        for span in spans
        for point in known
    )


def _chosen(spans: Sequence[Span], series: Series, grade: Grade) -> list[Span]:
    """The stretches that are long enough to be told, at most `MOST_STRETCHES`, ascending.

    Their points are those of the scan, without denser ones.
    """
    scan = series.axis.scan
    spans = [
        replace(span, points=bisect_right(scan, span.last) - bisect_left(scan, span.first))
        for span in spans
    ]
    fine = rank(grade) >= rank(Grade.FAITHFUL)
    alone = series.axis.together == 1
    least = 2 if alone else LEAST_POINTS
    if fine:
        least = max(least, round(LEAST_SHARE * len(series.axis.scan)))
    most = 1 if alone or fine else MOST_STRETCHES
    if alone and fine:  # each step of narrowing would need a call of its own
        spans = [span for span in spans if span.whole]
    long = [span for span in spans if span.points >= least or span.whole]
    longest = sorted(long, key=lambda span: (-span.points, span.first))[:most]
    return sorted(longest, key=lambda span: span.first)


def range_of(series: Series, spans: Mapping[Grade, Sequence[Span]]) -> SafeRange:
    """The stretches of an axis, and what they say in a line."""
    setting, axis = series.setting, series.axis
    told = _told(spans)
    worst = min(point.rank for point in series.points.values())
    stretches = tuple(
        Stretch(grade, axis.number(span.first), axis.number(span.last))
        for grade in sorted(told, key=rank)
        for span in told[grade]
    )
    return SafeRange(
        setting.loss.id,
        setting.implementation.name,
        setting.dtype,
        setting.quantity,
        axis.name,
        stretches,
        _text(series, told, spans[Grade.LOSSY]),
        None if worst == rank(Grade.BROKEN) else GRADES[worst],
    )


def _told(spans: Mapping[Grade, Sequence[Span]]) -> dict[Grade, Sequence[Span]]:
    """The grades worth telling, best first: each holds where the better ones do not."""
    told: dict[Grade, Sequence[Span]] = {}
    before: list[tuple[int, int]] = []
    for grade in reversed(GRADES[1:]):
        ends = [(span.first, span.last) for span in spans[grade]]
        if not ends or ends == before:
            continue
        told[grade] = spans[grade]
        before = ends
        if spans[grade][0].whole:
            break
    return told


def _text(series: Series, told: Mapping[Grade, Sequence[Span]], sound: Sequence[Span]) -> str:
    axis = series.axis
    parts: list[str] = []
    ends: set[int] = set()
    for grade, spans in told.items():
        if spans[0].whole:
            parts.append(f"{grade} for any {axis.noun[0]}")
            continue
        if rank(grade) >= rank(Grade.FAITHFUL) and len(told) > 1:
            continue  # how a result is rounded changes from number to number
        where = " and ".join(_where(axis, span) for span in spans)
        parts.append(f"{grade}{'' if parts else f' for {axis.noun[1]}'} {where}")
        ends = {place for span in spans for place in (span.first, span.last)}
    parts += _broken(series, sound, ends)
    if not parts:
        parts.append(f"no grade holds on a stretch of {axis.noun[1]}")
    if series.ended:
        parts.append(series.ended)
    _, _, fixed = axis.name.partition(", ")
    return ", ".join(parts) + (f" ({fixed})" if fixed else "")


def _where(axis: Axis, span: Span) -> str:
    rough = "" if span.narrow else "at least "
    if span.before is None:
        return f"up to {rough}{upper(axis, span.last)}"
    if span.after is None:
        return f"from {rough}{lower(axis, span.first)} on"
    return f"from {rough}{lower(axis, span.first)} to {upper(axis, span.last)}"


def _broken(series: Series, sound: Sequence[Span], ends: Set[int]) -> list[str]:
    """What is returned between the stretches that are not broken.

    Args:
        series: the points.
        sound: the stretches that are not broken.
        ends: places whose numbers need not be repeated.
    """
    axis, points = series.axis, series.ordered
    broken = [point for point in points if point.broken]
    if not broken:
        return []
    if len(broken) == len(points):
        return [f"{_symptoms(broken)} for every {axis.noun[0]}"]
    told = []
    for left, right in pairwise((None, *sound, None)):
        first = points[0].place if left is None else left.after
        last = points[-1].place if right is None else right.before
        if first is None or last is None:
            continue
        inside = [point for point in broken if first <= point.place <= last]
        if not inside:
            continue
        what = _symptoms(inside)
        if left is not None and right is not None:
            told.append(f"{what} from {lower(axis, first)} to {upper(axis, last)}")
        elif left is not None:
            told.append(f"{what} beyond{'' if left.last in ends else f' {upper(axis, left.last)}'}")
        elif right is not None:
            below = "" if right.first in ends else f" {lower(axis, right.first)}"
            told.append(f"{what} below{below}")
        else:
            told.append(f"{what} at some {axis.noun[1]}")
    return told


def _symptoms(points: Sequence[Point]) -> str:
    seen = dict.fromkeys(point.symptom for point in points)
    return " or ".join(symptom for symptom in Symptom if symptom in seen)


def upper(axis: Axis, place: int) -> str:
    """The number at a place in a few digits, not above it."""
    return _digits(axis, place, ROUND_FLOOR)


def lower(axis: Axis, place: int) -> str:
    """The number at a place in a few digits, not below it."""
    return _digits(axis, place, ROUND_CEILING)


def _digits(axis: Axis, place: int, rounding: str) -> str:
    if axis.counted:
        return f"{place:,}"
    number = Context(prec=_DIGITS, rounding=rounding).create_decimal_from_float(axis.number(place))
    if number == 0:
        return "0"
    adjusted = number.adjusted()
    if -4 <= adjusted < 9:
        text = f"{number:f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, _, exponent = f"{number:e}".partition("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"
