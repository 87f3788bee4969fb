"""Actual results against exact ones: ulp errors, absolute errors, kinds.

ulp_error = |actual − exact| / ulp(exact) with the exact result unrounded and Goldberg's ulp,
extended to the reals (`xentcheck.floats.ulp`), in the format of the result. Where an enclosure
touches a power of two the smaller of the two possible ulps is used, so an error is never
understated.
"""

import math
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, LARGEST_ULP, Format, format_of, to_float64, ulp_exponent
from xentcheck.model import KINDS, RIGHT, Accepts, Array, Float64Array, Kind, Quantity, Tolerance
from xentcheck.reference.enclosures import Balls, Enclosures


def lost_kind(quantity: Quantity) -> Kind:
    """The kind of a zero that should not be one, unless subnormal results are flushed to it."""
    is_gradient = quantity is Quantity.GRADIENT
    return Kind.VANISHED_GRADIENT if is_gradient else Kind.SPURIOUS_UNDERFLOW


def unflushed_kind(quantity: Quantity, actual: float) -> Kind:
    """What `Kind.FTZ` becomes where nothing is seen to flush."""
    return lost_kind(quantity) if actual == 0 else Kind.INACCURATE


_CODE = {kind: np.int8(position) for position, kind in enumerate(KINDS)}

NOTHING = 2.0**-50
"""Errors below this many ulps count as exact, even under a limit of 0."""

DECISIVE = 2.0**-10
"""A score is settled when the radius is below this many ulps, or this fraction of the error."""

_MOST_ULP = 2.0**1022
"""No condition number allows more ulps: an error that has saturated is beyond every limit."""

_FAR = 2.0**900
"""From so many ulps on, absolute errors are taken directly: a bound in ulps may overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One number per result: errors (NaN where not finite) and positions in `KINDS`.

    ``undecided``: where the enclosure is too wide to settle the score, the kind or a limit;
    ``near``: where a limit is as near as float64 can tell. ``far``: where the error is larger than
    the tolerance's ``p99_ulp``.
    """

    ulp_error: Float64Array
    abs_error: Float64Array
    kinds: npt.NDArray[np.int8]
    undecided: npt.NDArray[np.bool_]
    near: npt.NDArray[np.bool_]
    far: npt.NDArray[np.bool_]

    def shaped(self, shape: tuple[int, ...]) -> "Scores":
        """The same in another shape."""
        return Scores(*(getattr(self, each.name).reshape(shape) for each in fields(self)))

    def patched(self, rows: npt.NDArray[np.intp] | tuple[int, ...], other: "Scores") -> "Scores":
        """With other scores at some rows, or at one position."""
        result = Scores(*(getattr(self, each.name).copy() for each in fields(self)))
        for each in fields(self):
            theirs = getattr(other, each.name)
            getattr(result, each.name)[rows] = theirs[0] if isinstance(rows, tuple) else theirs
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """For each result: how it stands to a tolerance, decided exactly; see `stands`."""

    beyond: npt.NDArray[np.bool_]
    far: npt.NDArray[np.bool_]
    signed: npt.NDArray[np.bool_]


def score(
    actual: Array,
    exact: Enclosures | Balls,
    condition: Float64Array | None = None,
    *,
    quantity: Quantity,
    tolerance: Tolerance,
    nonnegative: bool = False,
    terms: int = 1,
    settled: Settled | None = None,
) -> Scores:
    """Score an array of results.

    Args:
        actual: what the implementation returned, in its own floating-point dtype.
        exact: enclosures of the same shape.
        condition: condition numbers of the same shape, wanted where the tolerance depends on them
            (`conditioned`; NaN: not defined, taken as 1).
        quantity: names the kind of a zero that should not be one.
        tolerance: beyond it a finite result is at fault.
        nonnegative: the exact result is known not to be negative, even where it is below 2^-1100.
        terms: how many terms a result may be the sum of, each of which may have been flushed.
        settled: how the results stand to the tolerance, where that was decided otherwise.

    Raises:
        TypeError: if ``actual`` is not of a known floating-point format.
    """
    target = format_of(actual.dtype)
    if target is None:
        message = f"{actual.dtype} is not a floating-point format that can be scored"
        raise TypeError(message)
    if actual.ndim == 0:
        one = score(
            actual.reshape(1),
            exact.at(()),
            None if condition is None else np.reshape(condition, 1),
            quantity=quantity,
            tolerance=tolerance,
            nonnegative=nonnegative,
            terms=terms,
            settled=settled,
        )
        return one.shaped(())
    # frameworks return signalling NaNs too, for which even a comparison is an invalid operation
    with np.errstate(invalid="ignore", over="ignore"):
        a = to_float64(actual)
        held = _Held.to(tolerance, condition, target)
        judged = _Judged(a, target, quantity, held, nonnegative, max(terms, 1))
        if isinstance(exact, Enclosures):
            return _scored(judged, exact, settled)
        narrow = exact.absolute is None and exact.relative <= _TOUCHING
        if narrow and settled is None and held.simple:
            return _screened(judged, exact)
        return _scored(judged, exact.enclosures(), settled)


def conditioned(tolerance: Tolerance) -> bool:
    """Whether what a tolerance allows depends on the condition number."""
    return (
        tolerance.times_condition
        or math.isfinite(tolerance.max_excess_bits)
        or tolerance.or_excess_bits > -math.inf
    )


def allowed(
    tolerance: Tolerance, condition: Float64Array | None, target: Format
) -> float | Float64Array:
    """By how many ulps a result may be off: a number, or an array where it is `conditioned`."""
    return _Held.to(tolerance, condition, target).limit


def movable(tolerance: Tolerance, condition: Float64Array | None) -> float | Float64Array:
    """By how many ulps a result may move that ought to stay: a number, or an array with conditions.

    A result that has lost so many bits, and one that has lost none, are 2^bits ulps apart.
    """
    factor: float | Float64Array = 1.0
    if condition is not None:
        factor = np.fmax(condition, 1.0)
    bound = min(tolerance.max_ulp, tolerance.p99_ulp)
    most = scaled_bound(bound, factor) if tolerance.times_condition else bound
    if tolerance.max_excess_bits < math.inf:
        most = np.minimum(most, scaled_bound(2.0 ** min(tolerance.max_excess_bits, 1000.0), factor))
    if tolerance.or_excess_bits > -math.inf:
        most = np.maximum(most, scaled_bound(2.0 ** min(tolerance.or_excess_bits, 1000.0), factor))
    return most


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What results are held to, in ulps of each, and otherwise.

    ``limit`` and ``p99`` are numbers, or arrays where they depend on the condition numbers. These
    are approximate: to ``slack`` relatively, and as far as the exact result is known.
    ``unsigned``: where the problem does not settle the sign, so that a wrong one counts by its
    ulps; ``unsure``: where that is open.
    """

    limit: float | Float64Array
    p99: float | Float64Array
    or_abs: float
    or_rel: float
    slack: float
    unsigned: npt.NDArray[np.bool_] | None = None
    unsure: npt.NDArray[np.bool_] | None = None

    @classmethod
    def to(cls, tolerance: Tolerance, condition: Float64Array | None, target: Format) -> "_Held":
        limit: float | Float64Array = tolerance.max_ulp
        p99: float | Float64Array = tolerance.p99_ulp
        others = (tolerance.or_abs, tolerance.or_rel)
        if condition is None or not conditioned(tolerance):
            return cls(limit, p99, *others, 2.0**-51)
        slack = 2.0**-20
        factor = np.fmax(condition, 1.0)
        if tolerance.times_condition:
            limit = scaled_bound(tolerance.max_ulp, factor)
            p99 = scaled_bound(tolerance.p99_ulp, factor)
        limit = np.minimum(limit, _in_ulps(tolerance.max_excess_bits, factor, target))
        explained = _in_ulps(tolerance.or_excess_bits, factor, target)
        limit, p99 = np.maximum(limit, explained), np.maximum(p99, explained)
        loose = 2.0 ** (target.precision - 1)  # inputs that are off by half an ulp turn the sign
        unsure = np.abs(factor - loose) <= slack * loose
        return cls(limit, p99, *others, slack, factor >= loose, unsure)

    @property
    def simple(self) -> bool:
        """Whether there is no bound but one of the ulps, and one of the absolute error."""
        return not self.or_rel and not np.min(self.p99) < np.inf and self.unsigned is None

    @property
    def conditioned(self) -> bool:
        """Whether the bounds depend on the condition numbers."""
        return self.unsigned is not None

    def at(self, where: npt.NDArray[np.bool_]) -> "_Held":
        """What some of the results are held to."""
        chosen: dict[str, Any] = {
            each.name: value[where]
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), np.ndarray) and value.ndim
        }
        return replace(self, **chosen)


def _in_ulps(bits: float, factor: Float64Array, target: Format) -> float | Float64Array:
    """By how many ulps a result may be off to have at most so many excess bits."""
    if bits >= target.precision:
        return math.inf
    if bits == -math.inf:
        return 0.0
    # log2(2·ulps) − log2(condition) ≤ bits; an error of half an ulp has lost nothing
    return np.fmax(scaled_bound(2.0 ** (bits - 1.0), factor), 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Results in float64, and what they are held to."""

    a: Float64Array
    target: Format
    quantity: Quantity
    held: _Held
    nonnegative: bool
    terms: int

    def at(self, where: npt.NDArray[np.bool_]) -> "_Judged":
        return replace(self, a=self.a[where], held=self.held.at(where))


def _scored(judged: _Judged, exact: Enclosures, settled: Settled | None = None) -> Scores:
    """Scores against enclosures of any kind."""
    a, target, held = judged.a, judged.target, judged.held
    errors = _errors(a, exact, target)
    ulp_error, abs_error, radius = errors.ulps, errors.absolute, errors.radius
    by_abs, by_rel = _other_bounds(held, exact, errors)
    excused = ulp_error <= np.maximum(by_abs, by_rel)
    if settled is None:
        beyond = (ulp_error - radius > held.limit) & ~excused
        far = (ulp_error - radius > held.p99) & ~excused
        signed = ~excused if held.unsigned is None else np.where(held.unsigned, beyond, ~excused)
    else:
        beyond, far, signed = settled.beyond, settled.far, settled.signed

    kinds = np.full(a.shape, RIGHT, dtype=np.int8)
    undefined = np.isnan(exact.hi)
    infinite = np.isinf(exact.hi)
    overflowing, unsettled = _overflows(exact, target)
    overflowing &= ~undefined & ~infinite
    finite = ~(undefined | infinite | overflowing)
    # what rounds to zero has no sign to get wrong
    vanishing = target.min_exponent - target.precision
    sign = np.where(exact.exponent < vanishing, 0.0, np.sign(exact.hi))
    negative = (sign < 0) | ((sign == 0) & (a < 0) & judged.nonnegative)

    is_nan, is_inf = np.isnan(a), np.isinf(a)
    is_number = ~(is_nan | is_inf)
    opposite = np.where(sign == 0, negative, np.sign(a) * sign < 0)
    # what flushing to zero can take away: each term that is below the normal range
    flushed = judged.terms * np.ldexp(1.0, np.clip(target.min_exponent - errors.unit, -5000, 5000))
    # a format without infinities overflows to NaN, or stops at its largest number
    right = (undefined & is_nan) | (infinite & (a == exact.hi)) | (overflowing & is_inf & ~opposite)
    saturated = np.zeros(a.shape, dtype=np.bool_)
    if not target.has_infinity:
        right |= (overflowing | infinite) & is_nan
        saturated = (overflowing | infinite) & (np.abs(a) == target.max) & ~opposite

    def mark(kind: Kind, where: npt.NDArray[np.bool_]) -> None:
        kinds[where & (kinds == RIGHT) & ~right] = _CODE[kind]

    mark(Kind.CONVENTION, saturated)
    mark(Kind.NAN, ~undefined & is_nan)
    mark(Kind.MISSED_NAN, undefined & ~is_nan)
    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)
    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)
    mark(Kind.MISSED_OVERFLOW, infinite & is_number)
    mark(Kind.MISSED_OVERFLOW, overflowing & is_number & beyond)
    mark(Kind.WRONG_SIGN, finite & is_number & signed & (a != 0) & opposite)
    wrong = finite & is_number & beyond
    mark(Kind.FTZ, wrong & (ulp_error < flushed) & _normal_or_zero(a, target))
    mark(lost_kind(judged.quantity), wrong & (a == 0))
    mark(Kind.INACCURATE, wrong)

    accepted = _accepted(exact.accepts, a, is_nan)
    noted = ((kinds != RIGHT) & accepted) | saturated
    kinds[noted] = _CODE[Kind.CONVENTION]

    unknown = radius > DECISIVE * np.maximum(ulp_error, 1.0)
    unknown |= errors.touches & (ulp_error > DECISIVE)
    unknown |= (np.abs(exact.hi) <= exact.radius) & (radius > DECISIVE) & beyond & (a != 0)
    # which kind it is may depend on what a ball reaches across
    unknown |= wrong & (np.abs(ulp_error - flushed) <= radius)
    of_sign = signed & (np.sign(a) * np.sign(exact.hi) <= 0) & (a != 0)
    unknown |= of_sign & _reaches(exact, vanishing)
    undecided = (exact.radius > 0) & ~undefined & ~infinite
    undecided &= (unknown & is_number) | unsettled | np.isinf(exact.radius)
    near = np.zeros(a.shape, dtype=np.bool_)
    if settled is None:
        turned = opposite & (a != 0)
        near = _near(held, errors, by_abs, by_rel, turned)
        near &= is_number & ~undefined & ~infinite
        undecided |= near

    scored = (finite | overflowing) & is_number & ~noted
    ulp_error = np.where(right, 0.0, np.where(scored, ulp_error, np.nan))
    abs_error = np.where(right, 0.0, np.where(scored, abs_error, np.nan))
    return Scores(ulp_error, abs_error, kinds, undecided, near, far & scored)


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """How far off results are, meaningful where both sides are finite.

    ``ulps``: in ulps of the exact result, ``unit`` the exponent of these ulps. ``radius``: of the
    enclosure, in ulps. ``touches``: it reaches a power of two, where the ulp changes.
    """

    ulps: Float64Array
    absolute: Float64Array
    radius: Float64Array
    touches: npt.NDArray[np.bool_]
    unit: npt.NDArray[Any]
    shift: npt.NDArray[Any]
    target: Format


def _normal_or_zero(a: Float64Array, target: Format) -> npt.NDArray[np.bool_]:
    """What comes back where subnormal numbers are flushed."""
    return np.asarray((a == 0) | (np.abs(a) >= target.smallest_normal))


def _other_bounds(
    held: _Held, exact: Enclosures, errors: _Errors
) -> tuple[Float64Array, Float64Array]:
    """The absolute and the relative bound in ulps of each result; 0 where there is none.

    In ulps they do not underflow where absolute errors do, below the smallest number of float64.
    """
    nothing = np.zeros(errors.ulps.shape)
    by_abs = by_rel = nothing
    if held.or_abs:
        by_abs = np.ldexp(held.or_abs, -errors.unit)
        far = errors.ulps >= _FAR
        if far.any():
            met = errors.absolute <= held.or_abs
            by_abs = np.where(far, np.where(met, np.inf, 0.0), by_abs)
    if held.or_rel:
        by_rel = held.or_rel * np.ldexp(np.abs(exact.hi), errors.shift)
    return by_abs, by_rel


def _reaches(exact: Enclosures, power: int) -> npt.NDArray[np.bool_]:
    """Whether an enclosure has magnitudes on both sides of 2^power."""
    shift = np.clip(exact.exponent - power, -5000, 5000)
    size, rest = np.abs(exact.hi), np.abs(exact.lo) + exact.radius
    low = np.ldexp(np.maximum(size - rest, 0.0), shift)
    return np.asarray((low < 1.0) & (np.ldexp(size + rest, shift) >= 1.0))


def _near(
    held: _Held,
    errors: _Errors,
    by_abs: Float64Array,
    by_rel: Float64Array,
    turned: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    """Where an enclosure, or float64 itself, leaves it open on which side of a limit a result is.

    It is not where another bound is met for certain. ``turned``: results of the wrong sign, whose
    kind depends on whether the problem settles the sign.
    """
    ulps, radius = errors.ulps, errors.radius
    otherwise = _Sides.none(ulps.shape)
    if held.or_abs:
        otherwise = otherwise.or_of(ulps, by_abs, radius + 2.0**-50 * _finite(by_abs))
    if held.or_rel:
        margin = radius * (1.0 + held.or_rel) + 2.0**-50 * by_rel
        otherwise = otherwise.or_of(ulps, by_rel, margin)
    slack: float | Float64Array = held.slack
    if held.conditioned:
        # a condition number is known as far as the exact result is
        slack = slack + np.minimum(radius * 2.0 ** (2 - errors.target.precision), 1e300)
    near = turned & ~(otherwise.met | otherwise.missed)
    if held.unsure is not None:
        near |= turned & held.unsure & ~otherwise.met
    right = ulps + radius <= NOTHING
    for bounds in (held.limit, held.p99):
        sides = _Sides.of(ulps, bounds, radius + slack * _finite(bounds))
        met, missed = sides.met | right, sides.missed & ~right
        near |= ~(met | otherwise.met | (missed & otherwise.missed))
    return near


def _finite(bounds: float | Float64Array) -> Float64Array:
    return np.where(np.isfinite(bounds), bounds, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Sides:
    """Where one of some bounds is met for certain, and where all of them are missed."""

    met: npt.NDArray[np.bool_]
    missed: npt.NDArray[np.bool_]

    @staticmethod
    def none(shape: tuple[int, ...]) -> "_Sides":
        """No bound: nothing that could be met."""
        return _Sides(np.zeros(shape, dtype=np.bool_), np.ones(shape, dtype=np.bool_))

    @staticmethod
    def of(error: Float64Array, bound: float | Float64Array, margin: Float64Array) -> "_Sides":
        """One bound, of errors that are known to within a margin."""
        return _Sides((error + margin < bound) | (error + margin == 0), error - margin > bound)

    def or_of(
        self, error: Float64Array, bound: float | Float64Array, margin: Float64Array
    ) -> "_Sides":
        """With another bound."""
        other = _Sides.of(error, bound, margin)
        return _Sides(self.met | other.met, self.missed & other.missed)


_TOUCHING = 2.0**-38
"""So near to a power of two, relatively, `_screened` takes an enclosure to reach across it."""

_EXPONENT = np.int64(0x7FF0000000000000)
_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_NEAR = np.int64(1 << (52 - 37))  # at least _TOUCHING, in the last place of a number in [1, 2)


def _screened(judged: _Judged, exact: Balls) -> Scores:
    """Scores against narrow balls: what is plain in a few passes, the rest like `_scored`.

    Plain is a finite result of the right sign, or one within the limit. Exponents are read from
    the bits of the midpoints. No result may be of more than 32 bits: ``ulp = 2^-126-24`` at least.
    """
    a, target, limit = judged.a, judged.target, judged.held.limit
    precision = target.precision
    if target.bits > 32 or np.max(limit, initial=0.0) >= 2.0 ** (precision - 1):
        # so high a limit is also met across an overflow, or with the wrong sign
        return _scored(judged, exact.enclosures())
    midpoint = np.ascontiguousarray(exact.midpoint)
    with np.errstate(all="ignore"):
        abs_error = a - midpoint
        np.abs(abs_error, out=abs_error)
        magnitude = midpoint.view(np.int64) & _MAGNITUDE
        # 1/ulp = 2^(p − 1 − e), e the exponent of the lower end
        scale = magnitude - _NEAR
        np.maximum(scale, np.int64((target.min_exponent + 1023) << 52), out=scale)
        scale &= _EXPONENT
        inverse = scale.view(np.uint64)
        np.subtract(np.uint64((2046 + precision - 1) << 52), inverse, out=inverse)
        ulp_error = abs_error * inverse.view(np.float64)
        magnitude += _NEAR
        magnitude &= _EXPONENT ^ _MAGNITUDE
        near = magnitude <= 2 * _NEAR
        radius = exact.relative * 2.0**precision
        near &= ulp_error > DECISIVE
        if exact.below_one and near.any():
            near &= np.abs(np.abs(midpoint) - 1.0) > 2.0**-30
        undecided = near
        kinds = np.full(a.shape, RIGHT, dtype=np.int8)
        none = np.zeros(a.shape, dtype=np.bool_)  # what is near is left to the arbiter
        margin = radius + judged.held.slack * limit
        may_be_beyond = ~(ulp_error < limit - margin)  # also NaN
        # among subnormals a result of the wrong sign may be within the limit
        turned = (a < 0) != (midpoint < 0)
        turned &= a != 0
        flushable = 2.0 * judged.terms * target.smallest_normal
        if exact.accepts is None and not may_be_beyond.any() and not turned.any():
            return Scores(ulp_error, abs_error, kinds, undecided, none, none)
        beyond = ulp_error > limit + margin
        undecided |= may_be_beyond & ~beyond
        or_abs = judged.held.or_abs
        if or_abs:
            beyond &= ~(abs_error <= or_abs)
            known = exact.relative * np.abs(midpoint) + 2.0**-50 * or_abs
            undecided |= np.abs(abs_error - or_abs) <= known
        odd = ~(ulp_error < np.inf)
        odd |= turned | (beyond & ((a == 0) | (abs_error < flushable)))
        if judged.nonnegative:
            odd |= beyond & (a < 0)
        if not (midpoint.max() < target.max and midpoint.min() > -target.max):  # also NaN
            odd |= beyond & (np.abs(midpoint) >= target.max)
        if exact.accepts is not None:
            odd |= exact.accepts != 0
    kinds[beyond] = _CODE[Kind.INACCURATE]
    if odd.any():
        rest = _scored(judged.at(odd), exact.at(odd).enclosures())
        ulp_error[odd], abs_error[odd] = rest.ulp_error, rest.abs_error
        kinds[odd], undecided[odd] = rest.kinds, rest.undecided
    return Scores(ulp_error, abs_error, kinds, undecided, none, none)


def _accepted(
    accepts: npt.NDArray[np.uint8], a: Float64Array, is_nan: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    anything = (accepts & Accepts.ANYTHING) != 0
    nan = ((accepts & Accepts.NAN) != 0) & is_nan
    zero = ((accepts & Accepts.ZERO) != 0) & (a == 0)
    return np.asarray(anything | nan | zero, dtype=np.bool_)


def _overflows(
    exact: Enclosures, target: Format
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Whether |exact| rounds to beyond the format's largest number; where that is unsettled.

    It does from max + ulp(max)/2 on; without infinities only above that, since the tie is to even.
    """
    half = 2.0**-target.precision
    top = math.ldexp(target.max, -target.max_exponent)
    near = np.abs(exact.exponent - target.max_exponent) < 900
    with np.errstate(all="ignore"):
        # the threshold top + half in units of the result's own exponent, kept in two parts
        shift = np.where(near, target.max_exponent - exact.exponent, 900)
        above = (np.abs(exact.hi) - np.ldexp(top, shift)) + (
            np.abs(exact.lo) - np.ldexp(half, shift)
        )
        reached = above >= 0 if target.has_infinity else above > 0
        over = (exact.exponent > target.max_exponent) | (near & reached)
        unsettled = near & (np.abs(above) <= exact.radius)
    return (exact.hi != 0) & over, (exact.hi != 0) & unsettled


def _errors(a: Float64Array, exact: Enclosures, target: Format) -> _Errors:
    with np.errstate(all="ignore"):
        below = (np.abs(exact.hi) - 1.0) + np.abs(exact.lo) < exact.radius
        own = np.where(exact.hi == 0, target.min_exponent, exact.exponent - below)
        unit = ulp_exponent(own, target.name)
        shift = np.clip(exact.exponent - unit, -5000, 5000)
        # everything in ulps of the exact result: exact for neighbours (Sterbenz), else to 2^-53
        error = np.abs((np.ldexp(a, -unit) - np.ldexp(exact.hi, shift)) - np.ldexp(exact.lo, shift))
        error = np.where(np.isinf(error), LARGEST_ULP, error)
        absolute = np.ldexp(error, unit)
        direct = np.abs(a - np.ldexp(exact.hi, np.clip(exact.exponent, -5000, 5000)))
        absolute = np.where(error >= _FAR, direct, absolute)
        radius = np.ldexp(exact.radius, shift)
        above = (2.0 - np.abs(exact.hi)) - np.abs(exact.lo) <= exact.radius
        lower_end = below & (exact.exponent > target.min_exponent)
        upper_end = above & (exact.exponent >= target.min_exponent)
        if exact.below_one:
            lower_end &= exact.exponent != 0
            upper_end &= exact.exponent != -1
        touches = (exact.hi != 0) & (lower_end | upper_end)
    return _Errors(error, absolute, radius, touches, unit, shift, target)


def scaled_bound(bound: float, factor: float | Float64Array) -> Float64Array:
    """A bound times condition numbers; nothing stays nothing, however hard the problem is."""
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.asarray(np.where(bound == 0, 0.0, bound * np.asarray(factor)), np.float64)
    return product if bound == math.inf else np.minimum(product, _MOST_ULP)


def excess_bits(ulp_error: float, condition: float, dtype: str) -> float:
    """Bits lost beyond what the condition number explains: log2(2·error) − log2(condition), ≥ 0.

    An error of at most half an ulp has lost nothing, and at most all bits count: they do where the
    error is more ulps than float64 can hold.
    """
    if not ulp_error > 0.5:
        return 0.0
    if ulp_error >= LARGEST_ULP:
        return float(FORMATS[dtype].precision)
    lost = 1.0 + math.log2(ulp_error)
    explained = math.log2(condition) if condition > 1.0 else 0.0
    return min(max(lost - explained, 0.0), float(FORMATS[dtype].precision))
