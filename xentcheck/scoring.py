"""Actual results against exact ones: ulp errors, absolute errors, kinds.

ulp_error = |actual − exact| / ulp(exact) with the exact result unrounded and Goldberg's ulp,
extended to the reals (`xentcheck.floats.ulp`), in the format of the result. Where an enclosure
touches a power of two the smaller of the two possible ulps is used, so an error is never
understated.
"""

import math
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, Format, format_of, round_exact, to_float64, ulp_exponent
from xentcheck.model import (
    Accepts,
    Array,
    Balls,
    Enclosures,
    Float64Array,
    Kind,
    Quantity,
    Tolerance,
)

ULP_DEFINITION = "Goldberg, extended to the reals: |actual - exact| / ulp(exact), exact unrounded"

KINDS: tuple[Kind, ...] = tuple(Kind)
"""Gravest first; `Scores.kinds` holds positions in it."""

RIGHT = len(KINDS)
"""The position that stands for nothing wrong."""


def kind_of(code: int) -> Kind | None:
    """The kind at a position in `KINDS`; None for `RIGHT`."""
    return None if code == RIGHT else KINDS[code]


def lost_kind(quantity: Quantity) -> Kind:
    """The kind of a zero that should not be one, unless subnormal results are flushed to it."""
    is_gradient = quantity is Quantity.GRADIENT
    return Kind.VANISHED_GRADIENT if is_gradient else Kind.SPURIOUS_UNDERFLOW


_CODE = {kind: np.int8(position) for position, kind in enumerate(KINDS)}


NOTHING = 2.0**-50
"""So many ulps off is as good as right, whatever the limit: also one of 0."""

DECISIVE = 2.0**-10
"""A radius of so many ulps, or of that part of the error, leaves a score as good as certain."""


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
    """How each result stands to a tolerance, decided beyond doubt: see `stands`."""

    beyond: npt.NDArray[np.bool_]
    far: npt.NDArray[np.bool_]


def score(
    actual: Array,
    exact: Enclosures | Balls,
    condition: Float64Array | None = None,
    *,
    quantity: Quantity,
    tolerance: Tolerance,
    nonnegative: bool = False,
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
            settled=settled,
        )
        return one.shaped(())
    # frameworks return signalling NaNs too, for which even a comparison is an invalid operation
    with np.errstate(invalid="ignore", over="ignore"):
        a = to_float64(actual)
        held = _Held.to(tolerance, condition, target)
        judged = _Judged(a, target, quantity, held, nonnegative)
        if isinstance(exact, Enclosures):
            return _scored(judged, exact, settled)
        narrow = exact.absolute is None and exact.relative <= _TOUCHING
        if narrow and settled is None and held.simple:
            return _screened(judged, exact)
        return _scored(judged, exact.enclosures(), settled)


def conditioned(tolerance: Tolerance) -> bool:
    """Whether what a tolerance allows depends on the condition number."""
    return tolerance.times_condition or math.isfinite(tolerance.max_excess_bits)


@dataclass(frozen=True, slots=True, eq=False)
class _Held:
    """What results are held to, in ulps of each, and otherwise.

    ``limit`` and ``p99`` are numbers, or arrays where they depend on the condition numbers, which
    are approximate: ``slack`` is how far off, relatively, these are taken to be at most. ``sign``
    is the limit for results of the wrong sign: where the ulps do not bound an error, the sign has
    to be right wherever the problem settles it. ``unsure``: where these numbers leave it open
    whether excess bits are bounded at all.
    """

    limit: float | Float64Array
    p99: float | Float64Array
    sign: float | Float64Array
    or_abs: float
    or_rel: float
    slack: float
    unsure: npt.NDArray[np.bool_] | None = None

    @classmethod
    def to(cls, tolerance: Tolerance, condition: Float64Array | None, target: Format) -> "_Held":
        limit: float | Float64Array = tolerance.max_ulp
        p99: float | Float64Array = tolerance.p99_ulp
        everything = 2.0 ** (target.precision - 1)  # an error of so many ulps leaves no bit
        sign: float | Float64Array = min(limit, everything)
        slack = 2.0**-51
        unsure = None
        if condition is not None and conditioned(tolerance):
            slack = 2.0**-20
            factor = np.fmax(condition, 1.0)
            if tolerance.times_condition:
                limit = _times(tolerance.max_ulp, factor)
                p99 = _times(tolerance.p99_ulp, factor)
            if tolerance.max_excess_bits < target.precision:
                # log2(2·ulps) − log2(condition) ≤ bits, and no more bits can be lost than there are
                most = 2.0 ** (tolerance.max_excess_bits - 1.0) * factor
                limit = np.minimum(limit, np.where(most >= everything, np.inf, np.fmax(most, 0.5)))
                unsure = np.abs(most - everything) <= slack * everything
            sign = np.where(factor >= everything, limit, np.minimum(limit, everything))
        return cls(limit, p99, sign, tolerance.or_abs, tolerance.or_rel, slack, unsure)

    @property
    def simple(self) -> bool:
        """Whether there is no bound but one of the ulps, and one of the absolute error."""
        unsure = self.unsure is not None and bool(self.unsure.any())
        return not self.or_rel and not np.min(self.p99) < np.inf and not unsure

    def at(self, where: npt.NDArray[np.bool_]) -> "_Held":
        def of(bound: float | Float64Array) -> float | Float64Array:
            return bound if isinstance(bound, float | int) else bound[where]

        unsure = None if self.unsure is None else self.unsure[where]
        return replace(
            self, limit=of(self.limit), p99=of(self.p99), sign=of(self.sign), unsure=unsure
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """Results in float64, and what they are held to."""

    a: Float64Array
    target: Format
    quantity: Quantity
    held: _Held
    nonnegative: bool

    def at(self, where: npt.NDArray[np.bool_]) -> "_Judged":
        return replace(self, a=self.a[where], held=self.held.at(where))


def _scored(judged: _Judged, exact: Enclosures, settled: Settled | None = None) -> Scores:
    """Scores against enclosures of any kind."""
    a, target, held = judged.a, judged.target, judged.held
    ulp_error, abs_error, radius, touches = _errors(a, exact, target)
    otherwise = abs_error <= held.or_abs
    if held.or_rel:
        scale = np.ldexp(np.abs(exact.hi), np.clip(exact.exponent, -5000, 5000))
        otherwise |= abs_error <= held.or_rel * scale
    if settled is None:
        beyond = (ulp_error - radius > held.limit) & ~otherwise
        far = (ulp_error - radius > held.p99) & ~otherwise
    else:
        beyond, far = settled.beyond, settled.far
    # a result of the wrong sign is off by more than 2^(p − 1) ulp, but maybe by less than float64
    # can add to that
    without_sign = beyond | ((ulp_error >= (1.0 - 2.0**-10) * held.sign) & ~otherwise)

    kinds = np.full(a.shape, RIGHT, dtype=np.int8)
    undefined = np.isnan(exact.hi)
    infinite = np.isinf(exact.hi)
    overflowing, unsettled = _overflows(exact, target)
    overflowing &= ~undefined & ~infinite
    finite = ~(undefined | infinite | overflowing)
    # what rounds to zero has no sign to get wrong
    sign = np.where(exact.exponent < target.min_exponent - target.precision, 0.0, np.sign(exact.hi))
    negative = (sign < 0) | ((sign == 0) & (a < 0) & judged.nonnegative)

    is_nan, is_inf = np.isnan(a), np.isinf(a)
    is_number = ~(is_nan | is_inf)
    opposite = np.where(sign == 0, negative, np.sign(a) * sign < 0)
    subnormal = exact.exponent < target.min_exponent

    def mark(kind: Kind, where: npt.NDArray[np.bool_]) -> None:
        kinds[where & (kinds == RIGHT)] = _CODE[kind]

    mark(Kind.NAN, ~undefined & is_nan)
    mark(Kind.MISSED_NAN, undefined & ~is_nan)
    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)
    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)
    mark(Kind.MISSED_OVERFLOW, infinite & is_number)
    mark(Kind.MISSED_OVERFLOW, overflowing & is_number & beyond)
    mark(Kind.WRONG_SIGN, finite & is_number & without_sign & (a != 0) & opposite)
    wrong = finite & is_number & beyond
    mark(Kind.FTZ, wrong & (a == 0) & subnormal)
    mark(lost_kind(judged.quantity), wrong & (a == 0))
    mark(Kind.INACCURATE, wrong)

    accepted = _accepted(exact.accepts, a, is_nan)
    noted = (kinds != RIGHT) & accepted
    kinds[noted] = _CODE[Kind.CONVENTION]

    unknown = radius > DECISIVE * np.maximum(ulp_error, 1.0)
    unknown |= touches & (ulp_error > DECISIVE)
    unknown |= (np.abs(exact.hi) <= exact.radius) & (radius > DECISIVE) & beyond & (a != 0)
    undecided = (exact.radius > 0) & ~undefined & ~infinite
    undecided &= (unknown & is_number) | unsettled | np.isinf(exact.radius)
    near = np.zeros(a.shape, dtype=np.bool_)
    if settled is None:
        near = _near(held, exact, ulp_error, abs_error, radius)
        near &= is_number & ~undefined & ~infinite
        undecided |= near

    right = (undefined & is_nan) | (infinite & (a == exact.hi))
    right |= overflowing & is_inf & ~opposite
    scored = (finite | overflowing) & is_number & ~noted
    ulp_error = np.where(right, 0.0, np.where(scored, ulp_error, np.nan))
    abs_error = np.where(right, 0.0, np.where(scored, abs_error, np.nan))
    return Scores(ulp_error, abs_error, kinds, undecided, near, far & scored)


def _near(
    held: _Held,
    exact: Enclosures,
    ulp_error: Float64Array,
    abs_error: Float64Array,
    radius: Float64Array,
) -> npt.NDArray[np.bool_]:
    """Where an enclosure, or float64 itself, leaves it open on which side of a limit a result is.

    It is not where another bound is met for certain.
    """
    unit = np.ldexp(1.0, np.clip(exact.exponent, -5000, 5000))
    around = exact.radius * unit
    otherwise = _Sides.none(ulp_error.shape)
    if held.or_abs:
        otherwise = otherwise.or_of(abs_error, held.or_abs, around + 2.0**-50 * held.or_abs)
    if held.or_rel:
        bound = held.or_rel * np.abs(exact.hi) * unit
        margin = around * (1.0 + held.or_rel) + 2.0**-50 * bound
        otherwise = otherwise.or_of(abs_error, bound, margin)
    near = np.zeros(ulp_error.shape, dtype=np.bool_)
    for bounds, unsure in ((held.limit, held.unsure), (held.p99, None)):
        margin = radius + held.slack * np.where(np.isfinite(bounds), bounds, 0.0)
        sides = _Sides.of(ulp_error, bounds, margin)
        right = ulp_error + radius <= NOTHING
        met, missed = sides.met | right, sides.missed & ~right
        if unsure is not None:
            met, missed = met & (right | ~unsure), missed & ~unsure
        near |= ~(met | otherwise.met | (missed & otherwise.missed))
    return near


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
        if exact.accepts is None and not may_be_beyond.any():
            return Scores(ulp_error, abs_error, kinds, undecided, none, none)
        beyond = ulp_error > limit + margin
        undecided |= may_be_beyond & ~beyond
        or_abs = judged.held.or_abs
        if or_abs:
            beyond &= ~(abs_error <= or_abs)
            known = exact.relative * np.abs(midpoint) + 2.0**-50 * or_abs
            undecided |= np.abs(abs_error - or_abs) <= known
        odd = ~(ulp_error < np.inf)
        odd |= beyond & (a * midpoint <= 0)  # also where the product underflows
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
    """Whether |exact| >= max + ulp(max)/2, which rounds to infinity; where that is unsettled."""
    half = 2.0**-target.precision
    top = math.ldexp(target.max, -target.max_exponent)
    near = np.abs(exact.exponent - target.max_exponent) < 900
    with np.errstate(all="ignore"):
        # the threshold top + half in units of the result's own exponent, kept in two parts
        shift = np.where(near, target.max_exponent - exact.exponent, 900)
        above = (np.abs(exact.hi) - np.ldexp(top, shift)) + (
            np.abs(exact.lo) - np.ldexp(half, shift)
        )
        over = (exact.exponent > target.max_exponent) | (near & (above >= 0))
        unsettled = near & (np.abs(above) <= exact.radius)
    return (exact.hi != 0) & over, (exact.hi != 0) & unsettled


def _errors(
    a: Float64Array, exact: Enclosures, target: Format
) -> tuple[Float64Array, Float64Array, Float64Array, npt.NDArray[np.bool_]]:
    """(ulp_error, abs_error, radius in ulps, touches), meaningful where both sides are finite.

    ``touches``: the enclosure reaches a power of two, where the ulp changes.
    """
    with np.errstate(all="ignore"):
        below = (np.abs(exact.hi) - 1.0) + np.abs(exact.lo) < exact.radius
        own = np.where(exact.hi == 0, target.min_exponent, exact.exponent - below)
        unit = ulp_exponent(own, target.name)
        shift = np.clip(exact.exponent - unit, -5000, 5000)
        # everything in ulps of the exact result: exact for neighbours (Sterbenz), else to 2^-53
        error = np.abs((np.ldexp(a, -unit) - np.ldexp(exact.hi, shift)) - np.ldexp(exact.lo, shift))
        error = np.where(np.isinf(error), np.finfo(np.float64).max, error)
        absolute = np.ldexp(error, unit)
        direct = np.abs(a - np.ldexp(exact.hi, np.clip(exact.exponent, -5000, 5000)))
        absolute = np.where(error >= 2.0**900, direct, absolute)
        radius = np.ldexp(exact.radius, shift)
        above = (2.0 - np.abs(exact.hi)) - np.abs(exact.lo) <= exact.radius
        lower_end = below & (exact.exponent > target.min_exponent)
        upper_end = above & (exact.exponent >= target.min_exponent)
        if exact.below_one:
            lower_end &= exact.exponent != 0
            upper_end &= exact.exponent != -1
        touches = (exact.hi != 0) & (lower_end | upper_end)
    return error, absolute, radius, touches


def _times(bound: float, factor: float | Float64Array) -> Float64Array:
    """A bound times condition numbers; nothing stays nothing, however hard the problem is."""
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(bound == 0, 0.0, bound * np.asarray(factor)), dtype=np.float64)


def stands(
    actual: float,
    ends: tuple[Fraction, Fraction],
    dtype: str,
    tolerance: Tolerance,
    condition: float,
    bits: float,
) -> tuple[bool | None, bool | None]:
    """Whether a finite result is beyond a tolerance, and farther off than its ``p99_ulp``.

    In exact arithmetic; None where ``ends``, between which the exact result lies, leave it open.

    Args:
        actual: the result.
        ends: the lower and the upper one.
        dtype: that of the result.
        tolerance: what it is held to. A bound that is met exactly is met.
        condition: the condition number (NaN: not defined, taken as 1).
        bits: the excess bits, as they are reported.
    """
    result = Fraction(actual)
    lower, upper = ends
    largest, smallest = max(abs(lower), abs(upper)), min(abs(lower), abs(upper))
    if lower < 0 < upper:
        smallest = Fraction(0)
    most = max(abs(result - lower), abs(result - upper))
    least = (
        Fraction(0) if lower <= result <= upper else min(abs(result - lower), abs(result - upper))
    )
    units = [Fraction(2) ** _unit_exponent(each, FORMATS[dtype]) for each in (smallest, largest)]

    def met(bound: float, low: Fraction, high: Fraction) -> bool | None:
        if bound == math.inf:
            return True
        return True if high <= Fraction(bound) else False if low > Fraction(bound) else None

    factor = max(1.0, condition) if tolerance.times_condition and condition == condition else 1.0
    ulps = (least / units[1], most / units[0])
    if ulps[1] <= NOTHING:
        ulps = (Fraction(0), Fraction(0))
    otherwise = [met(tolerance.or_abs, least, most)] if tolerance.or_abs else []
    if tolerance.or_rel:
        bound = Fraction(tolerance.or_rel)
        within = True if most <= bound * smallest else False if least > bound * largest else None
        otherwise.append(within)
    in_ulps = met(float(_times(tolerance.max_ulp, factor)), *ulps)
    if bits > tolerance.max_excess_bits:
        in_ulps = False
    return (
        _not_any([in_ulps, *otherwise]),
        _not_any([met(float(_times(tolerance.p99_ulp, factor)), *ulps), *otherwise]),
    )


def _not_any(answers: list[bool | None]) -> bool | None:
    if True in answers:
        return False
    return None if None in answers else True


def _unit_exponent(magnitude: Fraction, target: Format) -> int:
    """The exponent of the ulp of a real number."""
    if not magnitude:
        return target.min_exponent - target.precision + 1
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    return max(exponent, target.min_exponent) - target.precision + 1


def midpoint(exact: Enclosures, index: tuple[int, ...]) -> Fraction | None:
    """The midpoint of one enclosure as an exact fraction; None for NaN, infinities and
    magnitudes beyond 2^±20000."""
    hi, lo = float(exact.hi[index]), float(exact.lo[index])
    exponent = int(exact.exponent[index])
    if hi == 0.0:
        return Fraction(0)
    if not math.isfinite(hi) or abs(exponent) > 20000:
        return None
    return (Fraction(hi) + Fraction(lo)) * Fraction(2) ** exponent


def expected(exact: Enclosures, index: tuple[int, ...], dtype: str) -> float:
    """The exact result rounded to the dtype."""
    middle = midpoint(exact, index)
    if middle is None:
        hi, exponent = float(exact.hi[index]), int(exact.exponent[index])
        if not math.isfinite(hi):
            return hi
        return math.copysign(math.inf if exponent > 0 else 0.0, hi)
    return float(to_float64(np.asarray(round_exact(middle, dtype))))


def decimal_text(exact: Enclosures, index: tuple[int, ...], digits: int = 22) -> str:
    """The exact result in decimal, with more digits than any dtype has."""
    hi, exponent = float(exact.hi[index]), int(exact.exponent[index])
    if math.isnan(hi):
        return "nan"
    if math.isinf(hi):
        return "inf" if hi > 0 else "-inf"
    middle = midpoint(exact, index)
    if middle is None:
        power = exponent * math.log10(2) + math.log10(abs(hi))
        return f"{'-' if hi < 0 else ''}10^{power:.6g}"
    if middle == 0:
        return "0" if float(exact.radius[index]) == 0.0 else f"0 ± 2^{exponent}"
    context = Context(prec=digits, Emin=-999999, Emax=999999)
    quotient = context.divide(Decimal(middle.numerator), Decimal(middle.denominator))
    return f"{quotient.normalize(context):g}" if -6 < quotient.adjusted() < 21 else f"{quotient:e}"


def radius_in_ulps(exact: Enclosures, index: tuple[int, ...], dtype: str) -> float:
    """The radius of one enclosure in ulps of the dtype: what the exact value is certain to."""
    exponent = exact.exponent[index]
    target = FORMATS[dtype]
    own = target.min_exponent if exact.hi[index] == 0 else exponent
    unit = ulp_exponent(np.asarray(own), dtype)
    shift = int(np.clip(exponent - unit, -5000, 5000))
    return math.ldexp(float(exact.radius[index]), shift)


def excess_bits(ulp_error: float, condition: float, dtype: str) -> float:
    """Bits lost beyond what the condition number explains: log2(error) − log2(condition), ≥ 0.

    An error of at most half an ulp has lost nothing; more than the precision cannot be lost.
    """
    if not ulp_error > 0.5:
        return 0.0
    lost = min(math.log2(2.0 * ulp_error), float(FORMATS[dtype].precision))
    explained = math.log2(condition) if condition > 1.0 else 0.0
    return max(lost - explained, 0.0)
