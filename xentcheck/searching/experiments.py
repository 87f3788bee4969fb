"""Experiments: what an implementation does along each axis, as facts that speak for a cause.

A fact is a threshold, a plateau, a growth law or an asymmetry. Thresholds are compared with numbers
that are known in closed form, such as ln 2^24, where 1 + exp(−x) rounds to 1 in float32.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import numpy as np

from xentcheck.execution import Caller, CallError
from xentcheck.floats import FORMATS, STANDARD, to_float64
from xentcheck.floats import ulp as ulp_of
from xentcheck.model import Grade, Kind, Layout, Quantity, SafeRange, rank
from xentcheck.searching.axes import PER_OCTAVE, Axis, Setting, growing
from xentcheck.searching.grading_of_rows import Symptom
from xentcheck.searching.ranges import lower, obstacle, range_of, surveyed, upper
from xentcheck.searching.series import Budget, Point, Series, Span, Tell, Test, narrowed, spans_of

LEAST_POINTS = 4  # of the scan, for a threshold
PLATEAU_POINTS = 6  # of the scan with the same result, for a plateau
FAR_POINTS = 3  # of these, whose exact results are far away
SMALLEST_PART = 8  # the exact results on a plateau span at least its height over this
LEAST_OCTAVES = 4
MOST_HEIGHT = 700.0  # of a plateau whose epsilon float64 can hold
VANISHING = 2
"""The rows of an offset differ by 1. Offsets whose ulp is above 2^-VANISHING take that away."""

ABOVE_ROUNDING = 4.0
"""Errors of a growth law are at least this many roundings of the result, or of 1."""

COMPANY = 8  # rows that are asked alone


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that an experiment showed.

    Attributes:
        kind: ``threshold``, ``plateau``, ``growth``, ``asymmetry`` or ``failure``.
        quantity: value or gradient.
        axis: the axis, by name; "" if it is about none.
        says: the fact as a sentence.
        what: what happens from a threshold on: ``NaN``, ``infinite``, ``zero``; the two sides of an
            asymmetry: ``label``, ``quantity``, ``company``; the kind of a failure.
        at: the first number where it happens, in the dtype; NaN: there is none.
        before: the neighbouring number where it does not happen; NaN likewise.
        rising: it happens from ``at`` upwards; otherwise downwards.
        component: the component of the gradient, or of a value per class; None: a value per row.
        known: names of numbers in closed form that a threshold agrees with to the last place.
        height: the height of a plateau.
        epsilon: exp(−height), an epsilon that explains the plateau.
        exponent: the fitted exponent of a growth law.
        decades: the decades that it was fitted to.
    """

    kind: str
    quantity: Quantity
    axis: str
    says: str
    what: str = ""
    at: float = math.nan
    before: float = math.nan
    rising: bool = True
    component: int | None = None
    known: tuple[str, ...] = ()
    height: float = math.nan
    epsilon: float = math.nan
    exponent: float = math.nan
    decades: float = math.nan


@dataclass(frozen=True, slots=True)
class Held:
    """A stretch on which a grade holds.

    Attributes:
        first: its first number; None: the axis begins there.
        last: its last number; None: the axis ends there.
    """

    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Explored:
    """What experiments found out about one function in one dtype.

    Attributes:
        setting: what was asked.
        ranges: where grades hold, by axis.
        facts: the facts.
        calls: number of calls that were made.
        left_out: what was left out, with the reason.
        held: the first and the last number of the stretches of each grade, by axis; None for an
            end of the axis.
    """

    setting: Setting
    ranges: tuple[SafeRange, ...] = ()
    facts: tuple[Fact, ...] = ()
    calls: int = 0
    left_out: tuple[str, ...] = ()
    held: Mapping[str, Mapping[Grade, Sequence[Held]]] = field(default_factory=dict)


def experiments(
    setting: Setting,
    budget: Budget,
    tell: Tell,
    axes: Sequence[str] = (),
    without: Sequence[str] = (),
) -> Explored:
    """Ask an implementation along every axis.

    Deterministic. Never more calls than the budget allows; axes that it does not reach are left
    out, and so is everything after a crash.

    Args:
        setting: what is asked.
        budget: the calls that may be made.
        tell: gets the implementation's name before a call, and "" after it.
        axes: names of axes, or how they begin; empty: all.
        without: the same of axes that are left out.
    """
    reason = obstacle(setting)
    if reason:
        return Explored(setting, left_out=(reason,))
    before = budget.made
    ranges, facts, left_out = [], [], []
    held: dict[str, dict[Grade, tuple[Held, ...]]] = {}
    for series, spans in surveyed(setting, budget, tell, axes, without):
        if series.points:
            facts += _facts(series)
            ranges.append(range_of(series, spans))
            held[series.axis.name] = {
                grade: tuple(_held(series.axis, span) for span in some)
                for grade, some in spans.items()
            }
        if series.failed is not None:
            facts.append(_failure(series, series.failed))
        if series.ended:
            left_out.append(f"{series.axis.name}: {series.ended}")
        if series.axis.name.startswith("gap") and not held.keys() - {series.axis.name}:
            facts += _company(series)
    facts += _of_labels(setting, held)
    made = budget.made - before
    return Explored(setting, tuple(ranges), tuple(facts), made, tuple(left_out), held)


def _lost(
    good: Mapping[Grade, Sequence[Held]], bad: Mapping[Grade, Sequence[Held]]
) -> Grade | None:
    """The grade that holds all along one axis and not all along another; None: there is none."""
    for grade in (Grade.LOSSY, Grade.ABSOLUTE):
        if _everywhere(good.get(grade, ())) and not _everywhere(bad.get(grade, ())):
            return grade
    return None


def _everywhere(stretches: Sequence[Held]) -> bool:
    return any(each.first is None and each.last is None for each in stretches)


def _held(axis: Axis, span: Span) -> Held:
    return Held(
        None if span.before is None else axis.number(span.first),
        None if span.after is None else axis.number(span.last),
    )


def _of_labels(
    setting: Setting, held: Mapping[str, Mapping[Grade, Sequence[Held]]]
) -> Iterator[Fact]:
    """Axes that differ only in the label, and on only one of which a grade holds everywhere."""
    families: dict[str, list[str]] = {}
    for name in held:
        base, _, fixed = name.partition(", ")
        if fixed.startswith(("label", "target")):
            families.setdefault(base, []).append(name)
    for base, names in families.items():
        for good in names:
            for bad in names:
                grade = _lost(held[good], held[bad])
                if grade is None:
                    continue
                one, other = (each.partition(", ")[2] for each in (good, bad))
                says = f"along the {base} the {setting.quantity} is {_KEPT[grade]} with {one}, but"
                says = f"{says} {_LOST[grade]} with {other}."
                yield Fact("asymmetry", setting.quantity, bad, says, "label")


_KEPT = {Grade.LOSSY: "never broken", Grade.ABSOLUTE: "never lossy"}
_LOST = {Grade.LOSSY: "broken in places", Grade.ABSOLUTE: "lossy in places"}


def _failure(series: Series, kind: Kind) -> Fact:
    says = f"a call along {series.axis.name} gave no result: {series.ended}."
    return Fact("failure", series.setting.quantity, series.axis.name, says, str(kind))


def _facts(series: Series) -> list[Fact]:
    """The thresholds, plateaus and growth laws of one axis."""
    facts = list(_growth(series)) if series.axis.name.startswith("offset") else []
    scanned = [series.points[place] for place in series.axis.scan if place in series.points]
    wanted: dict[str, tuple[Test, Sequence[Span]]] = {}
    marks: dict[str, tuple[str, int | None, float]] = {}

    def want(what: str, component: int | None, height: float, test: Test, least: int) -> None:
        spans = [span for span in spans_of(scanned, test) if span.points >= least]
        if spans:
            name = f"{what} {component} {height!r}"
            wanted[name] = (test, spans)
            marks[name] = (what, component, height)

    least = 1 if series.axis.together == 1 else LEAST_POINTS
    for symptom in (Symptom.NAN, Symptom.INFINITE, Symptom.SIGN):
        want(symptom, None, math.nan, _shows(symptom), least)
    if series.axis.counted:
        lossy = rank(Grade.LOSSY)
        want("lossy", None, math.nan, lambda point: point.rank == lossy, 1)
    shown = len(scanned[0].actual) if scanned else 0
    several = series.setting.quantity is not Quantity.VALUE or series.setting.loss.per_class
    for k in range(min(shown, 2)):
        component = k if several and series.setting.loss.layout is Layout.ROWS else None
        want("zero", component, math.nan, _vanishes(k), least)
        for height in _heights(scanned, k):
            want("plateau", component, height, _equals(k, height), PLATEAU_POINTS)
    for name, spans in narrowed(series, wanted).items():
        what, component, height = marks[name]
        for span in spans:
            if what == "plateau":
                facts.append(_plateau(series, span, component, height))
            else:
                facts += _thresholds(series, span, what, component)
    return facts


def _shows(symptom: Symptom) -> Test:
    return lambda point: point.symptom is symptom


def _vanishes(component: int) -> Test:
    """Whether a component is 0 though the exact one does not round to 0."""

    def test(point: Point) -> bool:
        exact = abs(point.exact[component])
        least = FORMATS[point.result_dtype].smallest_subnormal
        return point.actual[component] == 0 and exact >= least

    return test


def _equals(component: int, height: float) -> Test:
    return lambda point: point.actual[component] == height


def _heights(points: Sequence[Point], component: int) -> Iterator[float]:
    """The results that many neighbouring points have, though the exact ones move away."""
    told: set[float] = set()
    for height, some in groupby(points, key=lambda point: point.actual[component]):
        run = list(some)
        if height == 0 or not math.isfinite(height) or len(run) < PLATEAU_POINTS:
            continue
        least = 16.0 * float(ulp_of(height, run[0].result_dtype))
        far = [
            point
            for point in run
            if abs(point.exact[component] - height) > least and point.rank <= rank(Grade.ABSOLUTE)
        ]
        exact = sorted(point.exact[component] for point in run)
        moves = exact[-1] - exact[0] >= abs(height) / SMALLEST_PART
        if len(far) >= FAR_POINTS and moves and height not in told:
            told.add(height)
            yield height


def _thresholds(series: Series, span: Span, what: str, component: int | None) -> Iterator[Fact]:
    axis, quantity = series.axis, series.setting.quantity
    of = _named(quantity, component)
    state = "0, which it should not be," if what == "zero" else what
    if span.whole:
        says = f"{of} is {state} for every {axis.noun[0]}."
        yield Fact("threshold", quantity, axis.name, says, what, component=component)
        return
    for at, before in ((span.first, span.before), (span.last, span.after)):
        if before is None:
            continue
        if what == "zero" and not _is_nonzero(series.points[before], component or 0):
            continue  # 0 becomes right there, or something worse begins
        rising = at > before
        known = _known(axis, at, before)
        told = f" ({known[0]})" if known else ""
        says = f"{of} is {state} {_onset(axis, at, rising)}{told}."
        ends = axis.number(at), axis.number(before)
        yield Fact("threshold", quantity, axis.name, says, what, *ends, rising, component, known)


def _is_nonzero(point: Point, component: int) -> bool:
    actual = point.actual[component]
    return actual != 0 and math.isfinite(actual)


def _named(quantity: Quantity, component: int | None) -> str:
    return f"the {quantity}" if component is None else f"component {component} of the {quantity}"


def _onset(axis: Axis, at: int, rising: bool) -> str:
    """Where something begins, as text."""
    if rising:
        return f"from {axis.one} of {lower(axis, at)} on"
    return f"up to {axis.one} of {upper(axis, at)}"


def _plateau(series: Series, span: Span, component: int | None, height: float) -> Fact:
    axis, quantity = series.axis, series.setting.quantity
    rising = span.before is not None
    at = span.first if rising else span.last
    before = span.before if rising else span.after
    where = f"for every {axis.noun[0]}" if span.whole else _onset(axis, at, rising)
    epsilon = math.nan
    if quantity is Quantity.VALUE and 0 < height < MOST_HEIGHT:
        epsilon = math.exp(-height)
    fitted = f" = −log({epsilon:.4g})" if epsilon < 1.0 else ""
    return Fact(
        "plateau",
        quantity,
        axis.name,
        f"{_named(quantity, component)} stays at {height:.6g}{fitted} {where}.",
        at=axis.number(at),
        before=math.nan if before is None else axis.number(before),
        rising=rising,
        component=component,
        known=() if before is None else _known(axis, at, before),
        height=height,
        epsilon=epsilon,
    )


def _growth(series: Series) -> Iterator[Fact]:
    """Fit the growth of the error along the offset: the exponent of |error| ∝ offset^exponent."""
    if series.ended or series.axis.together == 1:
        return
    setting, axis = series.setting, series.axis
    octaves = FORMATS[axis.dtype].precision - VANISHING
    growth = Series(setting, growing(setting, octaves), series.budget, series.tell)
    growth.scan()
    sizes, errors = [], []
    for octave in range(octaves):
        places = range(octave * PER_OCTAVE, (octave + 1) * PER_OCTAVE)
        known = [growth.points[place] for place in places if place in growth.points]
        if len(known) < PER_OCTAVE or any(math.isnan(point.abs_error) for point in known):
            break
        largest = max(point.abs_error for point in known)
        least = ABOVE_ROUNDING * 2.0 ** -FORMATS[known[0].result_dtype].precision
        if largest >= least * max(1.0, *(abs(point.exact[0]) for point in known)):
            sizes.append(float(octave))
            errors.append(math.log2(largest))
    if len(sizes) < LEAST_OCTAVES:
        return
    exponent = float(np.polyfit(sizes, errors, 1)[0])
    decades = (sizes[-1] - sizes[0]) * math.log10(2.0)
    if exponent < 0.5:
        return
    law = "ulp(offset)" if abs(exponent - 1.0) <= 0.1 else f"offset^{exponent:.2f}"
    quantity = series.setting.quantity
    says = f"the error of the {quantity} grows like {law}: exponent {exponent:.2f} over"
    yield Fact(
        "growth",
        quantity,
        axis.name,
        f"{says} {decades:.1f} decades.",
        "ulp(offset)" if abs(exponent - 1.0) <= 0.1 else "",
        exponent=exponent,
        decades=decades,
    )


def _company(series: Series) -> Iterator[Fact]:
    """Compare the results of rows alone with those in a block."""
    setting, axis = series.setting, series.axis
    if series.ended or axis.together == 1:
        return
    finite = [point for point in series.ordered if all(map(math.isfinite, point.actual))]
    step = max(1, len(finite) // COMPANY)
    differ = []
    for point in finite[::step][:COMPANY]:
        if series.budget.spent:
            return
        series.budget.made += 1
        series.tell(setting.implementation.name)
        try:
            caller = Caller(setting.implementation, axis.make([point.place]), setting.quantity)
            alone = to_float64(caller.call()).reshape(-1)[: len(point.actual)]
        except CallError:
            return
        finally:
            series.tell("")
        if tuple(alone.tolist()) != point.actual:
            differ.append(axis.number(point.place))
    if differ:
        says = (
            f"a row alone gives another {setting.quantity} than in a block of {axis.together} rows,"
            f" at {len(differ)} of {COMPANY} {axis.noun[1]}, such as {differ[0]:g}."
        )
        yield Fact("asymmetry", setting.quantity, axis.name, says, "company", differ[0])


def _known(axis: Axis, at: int, before: int) -> tuple[str, ...]:
    """The numbers in closed form that lie between two neighbouring numbers, or on one of them.

    Those of the axis's own dtype come first.
    """
    if axis.counted:
        ends = sorted((at, before))
        return tuple(name for name, count in _COUNTS if ends[0] <= count <= ends[1])
    low, high = sorted((abs(axis.number(at)), abs(axis.number(before))))
    names = [name for name, number in _NUMBERS if low <= number <= high]
    return tuple(sorted(names, key=lambda name: not name.endswith(f"in {axis.dtype}")))


def _closed_forms() -> Iterator[tuple[str, float]]:
    """Numbers where exp, 1 + exp(−x) and sums change, by name."""
    for dtype in reversed(STANDARD):
        target = FORMATS[dtype]
        p = target.precision
        overflow = math.log(target.max) + math.log1p(2.0 ** -(p + 1) / (1.0 - 2.0**-p))
        underflow = math.log(2.0) * (p - target.min_exponent)
        yield f"ln 2^{p}: 1 absorbs exp(−x) in {dtype}", p * math.log(2.0)
        yield f"ln 2^{p + 1}: exp(x) absorbs 1 in {dtype}", (p + 1) * math.log(2.0)
        yield f"exp overflows in {dtype}", overflow
        yield f"a sum of two exp overflows in {dtype}", overflow - math.log(2.0)
        yield f"exp underflows to 0 in {dtype}", underflow


_NUMBERS: tuple[tuple[str, float], ...] = tuple(_closed_forms())

_COUNTS: tuple[tuple[str, int], ...] = (
    ("2^8: a running sum of ones stalls in bfloat16", 2**8),
    ("2^11: a running sum of ones stalls in float16", 2**11),
    ("65,520: a sum of ones overflows in float16", 65_520),
    ("2^7: an index of int8 wraps", 2**7),
    ("2^8: an index of uint8 wraps", 2**8),
    ("2^15: an index of int16 wraps", 2**15),
    ("2^16: an index of uint16 wraps", 2**16),
)
