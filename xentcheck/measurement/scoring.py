"""Compare results with exact ones: ulp errors, absolute errors and kinds.

ulp_error = |actual − exact| / ulp(exact). The exact result is not rounded. The ulp is Goldberg's,
extended to the reals (`xentcheck.floats.ulp`), in the format of the result. If an enclosure touches
a power of two, two ulps are possible; the smaller one is used, so an error is never understated.
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
    """The kind of a zero that should not be zero, if flushing does not explain it."""
    is_gradient = quantity is Quantity.GRADIENT
    return Kind.VANISHED_GRADIENT if is_gradient else Kind.SPURIOUS_UNDERFLOW


def unflushed_kind(quantity: Quantity, actual: float) -> Kind:
    """The kind that replaces `Kind.FTZ` if the implementation is not seen to flush."""
    return lost_kind(quantity) if actual == 0 else Kind.INACCURATE


_CODE = {kind: np.int8(position) for position, kind in enumerate(KINDS)}

NOTHING = 2.0**-50
"""Errors below this many ulps count as exact, even under a limit of 0."""

DECISIVE = 2.0**-10
"""A score is settled when the radius is below this many ulps, or this fraction of the error."""

_MOST_ULP = 2.0**1022
"""Upper bound, in ulps, of a limit that is scaled by a condition number.

It is below `LARGEST_ULP`, where errors saturate, so a saturated error is beyond every such limit.
"""

_FAR = 2.0**900
"""Errors of this many ulps or more get an absolute error of their own: ulps may overflow."""


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """Scores of results. All arrays have the shape of the results.

    Attributes:
        ulp_error: errors in ulps; NaN if there is no finite one.
        abs_error: absolute errors; NaN likewise.
        kinds: positions in `KINDS`, or `RIGHT`.
        undecided: the enclosure is too wide to settle the score, the kind or a limit.
        near: the result is so near to a limit that float64 cannot tell on which side it is.
        far: the error is larger than the tolerance's ``p99_ulp``.
    """

    ulp_error: Float64Array
    abs_error: Float64Array
    kinds: npt.NDArray[np.int8]
    undecided: npt.NDArray[np.bool_]
    near: npt.NDArray[np.bool_]
    far: npt.NDArray[np.bool_]

    def shaped(self, shape: tuple[int, ...]) -> "Scores":
        """The same scores in another shape."""
        return Scores(*(getattr(self, each.name).reshape(shape) for each in fields(self)))

    def patched(self, rows: npt.NDArray[np.intp] | tuple[int, ...], other: "Scores") -> "Scores":
        """A copy with the scores of ``other`` at some rows, or at one position."""
        result = Scores(*(getattr(self, each.name).copy() for each in fields(self)))
        for each in fields(self):
            theirs = getattr(other, each.name)
            getattr(result, each.name)[rows] = theirs[0] if isinstance(rows, tuple) else theirs
        return result


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """How each result compares with a tolerance, decided exactly (`borderline.settled`).

    Attributes:
        beyond: the result is beyond the tolerance.
        far: its error is larger than ``p99_ulp``.
        signed: a wrong sign counts as a fault.
    """

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
        actual: results of the implementation in its own floating-point dtype, of any shape.
        exact: enclosures of the same shape.
        condition: condition numbers of the same shape, in float64. Needed if the tolerance depends
            on them (`conditioned`). NaN means not defined and counts as 1.
        quantity: decides the kind of a zero that should not be zero.
        tolerance: a finite result beyond it is at fault.
        nonnegative: the exact result is known not to be negative, even if it is below 2^-1100.
        terms: number of terms that a result may be the sum of. Each of them may have been flushed.
        settled: how the results compare with the tolerance, if that is decided already.

    Returns:
        Scores of the shape of ``actual``.

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
    # frameworks also return signalling NaNs: comparing one is an invalid operation
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
    """Whether the bounds of a tolerance depend on the condition number."""
    return (
        tolerance.times_condition
        or math.isfinite(tolerance.max_excess_bits)
        or tolerance.or_excess_bits > -math.inf
    )


def allowed(
    tolerance: Tolerance, condition: Float64Array | None, target: Format
) -> float | Float64Array:
    """The largest allowed error in ulps. It is an array if the tolerance is `conditioned`."""
    return _Held.to(tolerance, condition, target).limit


def movable(tolerance: Tolerance, condition: Float64Array | None) -> float | Float64Array:
    """How many ulps a result may change between calls that should give the same result.

    A result that has lost ``bits`` bits and one that has lost none are 2^bits ulps apart.

    Returns:
        A number, or an array if condition numbers are given.
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
    """The bounds of a tolerance for some results.

    Condition numbers are approximate, and so are the bounds that depend on them.

    Attributes:
        limit: largest allowed error in ulps; an array if it depends on the condition numbers.
        p99: the same for ``p99_ulp``.
        or_abs: allowed absolute error.
        or_rel: allowed relative error.
        slack: relative error of ``limit`` and ``p99``, beside the uncertainty of the exact result.
        unsigned: the problem does not determine the sign, so a wrong sign counts by its ulps. All
            if the tolerance is `Tolerance.of_scale`.
        unsure: it is not certain whether the problem determines the sign.
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
            unsigned = np.ones((), dtype=np.bool_) if tolerance.of_scale else None
            return cls(limit, p99, *others, 2.0**-51, unsigned)
        slack = 2.0**-20
        factor = np.fmax(condition, 1.0)
        if tolerance.times_condition:
            limit = scaled_bound(tolerance.max_ulp, factor)
            p99 = scaled_bound(tolerance.p99_ulp, factor)
        limit = np.minimum(limit, _in_ulps(tolerance.max_excess_bits, factor, target))
        explained = _in_ulps(tolerance.or_excess_bits, factor, target)
        limit, p99 = np.maximum(limit, explained), np.maximum(p99, explained)
        loose = 2.0 ** (target.precision - 1)  # from here on, half an ulp of input flips the sign
        unsure = np.abs(factor - loose) <= slack * loose
        return cls(limit, p99, *others, slack, factor >= loose, unsure)

    @property
    def simple(self) -> bool:
        """Whether ``max_ulp`` and ``or_abs`` are the only bounds."""
        return not self.or_rel and not np.min(self.p99) < np.inf and self.unsigned is None

    @property
    def conditioned(self) -> bool:
        """Whether the bounds depend on the condition numbers."""
        return self.unsigned is not None

    def at(self, where: npt.NDArray[np.bool_]) -> "_Held":
        """The bounds of some of the results."""
        chosen: dict[str, Any] = {
            each.name: value[where]
            for each in fields(self)
            if isinstance(value := getattr(self, each.name), np.ndarray) and value.ndim
        }
        return replace(self, **chosen)


def _in_ulps(bits: float, factor: Float64Array, target: Format) -> float | Float64Array:
    """The largest error in ulps with at most ``bits`` excess bits."""
    if bits >= target.precision:
        return math.inf
    if bits == -math.inf:
        return 0.0
    # log2(2·ulps) − log2(condition) ≤ bits; an error of half an ulp loses no bits
    return np.fmax(scaled_bound(2.0 ** (bits - 1.0), factor), 0.5)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Results in float64 and their bounds."""

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
    # an exact result that rounds to zero has no sign
    vanishing = target.min_exponent - target.precision
    sign = np.where(exact.exponent < vanishing, 0.0, np.sign(exact.hi))
    negative = (sign < 0) | ((sign == 0) & (a < 0) & judged.nonnegative)

    is_nan, is_inf = np.isnan(a), np.isinf(a)
    is_number = ~(is_nan | is_inf)
    opposite = np.where(sign == 0, negative, np.sign(a) * sign < 0)
    # largest error that flushing explains, in ulps: every term is just below the normal range
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
    # the kind is open if the enclosure crosses the boundary between two kinds
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
    """Errors of results. They mean something only if the result and the exact one are finite.

    Attributes:
        ulps: errors in ulps of the exact result.
        absolute: absolute errors.
        radius: radius of the enclosure in ulps.
        touches: the enclosure reaches a power of two, where the ulp changes.
        unit: exponents of the ulps.
        shift: ``ldexp`` by it turns the enclosure's numbers into ulps.
        target: the format of the results.
    """

    ulps: Float64Array
    absolute: Float64Array
    radius: Float64Array
    touches: npt.NDArray[np.bool_]
    unit: npt.NDArray[Any]
    shift: npt.NDArray[Any]
    target: Format


def _normal_or_zero(a: Float64Array, target: Format) -> npt.NDArray[np.bool_]:
    """Whether results can come from code that flushes subnormal numbers."""
    return np.asarray((a == 0) | (np.abs(a) >= target.smallest_normal))


def _other_bounds(
    held: _Held, exact: Enclosures, errors: _Errors
) -> tuple[Float64Array, Float64Array]:
    """The absolute and the relative bound, converted to ulps of each result; 0 without a bound.

    Absolute errors below the smallest number of float64 underflow; the same errors in ulps do not.
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
    """Whether an enclosure holds magnitudes below 2^power and others from there on."""
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
    """Which results are too near to a limit: the enclosure or float64 leaves the side open.

    A result that certainly meets another bound is not near.

    Args:
        held: the bounds.
        errors: the errors of the results.
        by_abs: the absolute bound in ulps, of the shape of the results.
        by_rel: the relative bound in ulps, of the same shape.
        turned: results of the wrong sign. Their kind depends on whether the problem determines the
            sign.
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
        # the exact result's uncertainty limits how well the condition number is known
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
    """For alternative bounds: where one is certainly met, and where all are certainly missed."""

    met: npt.NDArray[np.bool_]
    missed: npt.NDArray[np.bool_]

    @staticmethod
    def none(shape: tuple[int, ...]) -> "_Sides":
        """No bounds: none is met, all are missed."""
        return _Sides(np.zeros(shape, dtype=np.bool_), np.ones(shape, dtype=np.bool_))

    @staticmethod
    def of(error: Float64Array, bound: float | Float64Array, margin: Float64Array) -> "_Sides":
        """One bound for errors that are known to within a margin."""
        return _Sides((error + margin < bound) | (error + margin == 0), error - margin > bound)

    def or_of(
        self, error: Float64Array, bound: float | Float64Array, margin: Float64Array
    ) -> "_Sides":
        """These bounds and another one as an alternative."""
        other = _Sides.of(error, bound, margin)
        return _Sides(self.met | other.met, self.missed & other.missed)


_TOUCHING = 2.0**-38
"""Relative distance to a power of two: `_screened` assumes that nearer enclosures cross it."""

_EXPONENT = np.int64(0x7FF0000000000000)
_MAGNITUDE = np.int64(0x7FFFFFFFFFFFFFFF)
_NEAR = np.int64(1 << (52 - 37))  # at least _TOUCHING, in the last place of a number in [1, 2)


def _screened(judged: _Judged, exact: Balls) -> Scores:
    """Scores against narrow balls: plain results in a few array passes, the others by `_scored`.

    A result is plain if it is finite and has the right sign, or if it is within the limit.
    Exponents are read from the bits of the midpoints. That works for results of at most 32 bits,
    where an ulp is at least ``2^-126-24``; wider ones all go to `_scored`.
    """
    a, target, limit = judged.a, judged.target, judged.held.limit
    precision = target.precision
    if target.bits > 32 or np.max(limit, initial=0.0) >= 2.0 ** (precision - 1):
        # so high a limit also allows an overflow or the wrong sign
        return _scored(judged, exact.enclosures())
    midpoint = np.ascontiguousarray(exact.midpoint)
    with np.errstate(all="ignore"):
        abs_error = a - midpoint
        np.abs(abs_error, out=abs_error)
        magnitude = midpoint.view(np.int64) & _MAGNITUDE
        # 1/ulp = 2^(p − 1 − e), where e is the exponent of the enclosure's lower end
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
        none = np.zeros(a.shape, dtype=np.bool_)  # near results are undecided, for a sharper tier
        margin = radius + judged.held.slack * limit
        may_be_beyond = ~(ulp_error < limit - margin)  # also NaN
        # a subnormal result of the wrong sign may be within the limit
        turned = (a < 0) != (midpoint < 0)
        if judged.nonnegative:
            turned |= a < 0
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
    """Where |exact| rounds to more than the format's largest number, and where that is open.

    It does from max + ulp(max)/2 on. In a format without infinities it does only above that: the
    tie rounds to even.
    """
    half = 2.0**-target.precision
    top = math.ldexp(target.max, -target.max_exponent)
    near = np.abs(exact.exponent - target.max_exponent) < 900
    with np.errstate(all="ignore"):
        # the threshold is top + half, scaled to the exponent of the exact result, in two parts
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
        # in ulps of the exact result: exact for neighbours (Sterbenz), otherwise accurate to 2^-53
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
    """A bound in ulps times condition numbers. A bound of 0 stays 0 for every condition number."""
    with np.errstate(invalid="ignore", over="ignore"):
        product = np.asarray(np.where(bound == 0, 0.0, bound * np.asarray(factor)), np.float64)
    return product if bound == math.inf else np.minimum(product, _MOST_ULP)


def excess_bits(ulp_error: float, condition: float, dtype: str) -> float:
    """Bits lost beyond what the condition number explains: log2(2·error) − log2(condition), ≥ 0.

    An error of at most half an ulp loses no bits. An error of more ulps than float64 can hold loses
    all bits of the dtype.
    """
    if not ulp_error > 0.5:
        return 0.0
    if ulp_error >= LARGEST_ULP:
        return float(FORMATS[dtype].precision)
    lost = 1.0 + math.log2(ulp_error)
    explained = math.log2(condition) if condition > 1.0 else 0.0
    return min(max(lost - explained, 0.0), float(FORMATS[dtype].precision))
