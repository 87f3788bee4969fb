"""Actual results against exact ones: ulp errors, absolute errors, kinds.

ulp_error = |actual − exact| / ulp(exact) with the exact result unrounded and Goldberg's ulp,
extended to the reals (`xentcheck.floats.ulp`), in the format of the result. Where an enclosure
touches a power of two the smaller of the two possible ulps is used, so an error is never
understated.
"""

import math
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, Format, format_of, round_exact, to_float64, ulp_exponent
from xentcheck.model import Accepts, Array, Enclosures, Float64Array, Kind, Quantity, Tolerance

ULP_DEFINITION = "Goldberg, extended to the reals: |actual - exact| / ulp(exact), exact unrounded"

KINDS: tuple[Kind, ...] = tuple(Kind)
"""Gravest first; `Scores.kinds` holds positions in it."""

RIGHT = len(KINDS)
"""The position that stands for nothing wrong."""

_CODE = {kind: np.int8(position) for position, kind in enumerate(KINDS)}


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """One number per result: errors (NaN where not finite) and positions in `KINDS`."""

    ulp_error: Float64Array
    abs_error: Float64Array
    kinds: npt.NDArray[np.int8]


def score(
    actual: Array,
    exact: Enclosures,
    condition: Float64Array,
    *,
    quantity: Quantity,
    tolerance: Tolerance,
    nonnegative: bool = False,
) -> Scores:
    """Score an array of results.

    Args:
        actual: what the implementation returned, in its own floating-point dtype.
        exact: enclosures of the same shape.
        condition: condition numbers of the same shape (NaN: not defined, taken as 1).
        quantity: names the kind of a zero that should not be one.
        tolerance: beyond it a finite result is at fault.
        nonnegative: the exact result is known not to be negative, even where it is below 2^-1100.

    Raises:
        TypeError: if ``actual`` is not of a known floating-point format.
    """
    target = format_of(actual.dtype)
    if target is None:
        message = f"{actual.dtype} is not a floating-point format that can be scored"
        raise TypeError(message)
    a = to_float64(actual)
    ulp_error, abs_error, radius = _errors(a, exact, target)
    limit = np.full(a.shape, tolerance.max_ulp)
    with np.errstate(invalid="ignore", over="ignore"):
        if tolerance.times_condition:
            limit = limit * np.fmax(condition, 1.0)
        beyond = (ulp_error - radius > limit) & ~(abs_error <= tolerance.or_abs)

    kinds = np.full(a.shape, RIGHT, dtype=np.int8)
    undefined = np.isnan(exact.hi)
    infinite = np.isinf(exact.hi)
    overflowing = ~undefined & ~infinite & _overflows(exact, target)
    finite = ~(undefined | infinite | overflowing)
    sign = np.sign(exact.hi)
    negative = (sign < 0) | ((sign == 0) & (a < 0) & nonnegative)

    is_nan, is_inf = np.isnan(a), np.isinf(a)
    is_number = ~(is_nan | is_inf)
    opposite = np.where(sign == 0, negative, np.sign(a) * sign < 0)
    zero = "vanished-gradient" if quantity is Quantity.GRADIENT else "spurious-underflow"
    subnormal = exact.exponent < target.min_exponent

    def mark(kind: Kind, where: npt.NDArray[np.bool_]) -> None:
        kinds[where & (kinds == RIGHT)] = _CODE[kind]

    mark(Kind.NAN, ~undefined & is_nan)
    mark(Kind.MISSED_NAN, undefined & ~is_nan)
    mark(Kind.SPURIOUS_OVERFLOW, finite & is_inf)
    mark(Kind.WRONG_SIGN, (infinite | overflowing) & ~is_nan & (a != 0) & opposite)
    mark(Kind.MISSED_OVERFLOW, infinite & is_number)
    mark(Kind.MISSED_OVERFLOW, overflowing & is_number & beyond)
    wrong = finite & is_number & beyond
    mark(Kind.WRONG_SIGN, wrong & (a != 0) & opposite)
    mark(Kind.FTZ, wrong & (a == 0) & subnormal)
    mark(Kind(zero), wrong & (a == 0))
    mark(Kind.INACCURATE, wrong)

    accepted = _accepted(exact.accepts, a, is_nan)
    noted = (kinds != RIGHT) & accepted
    kinds[noted] = _CODE[Kind.CONVENTION]

    right = (undefined & is_nan) | (infinite & (a == exact.hi))
    right |= overflowing & is_inf & ~opposite
    with np.errstate(invalid="ignore"):
        scored = (finite | overflowing) & is_number & ~noted
    ulp_error = np.where(right, 0.0, np.where(scored, ulp_error, np.nan))
    abs_error = np.where(right, 0.0, np.where(scored, abs_error, np.nan))
    return Scores(ulp_error, abs_error, kinds)


def _accepted(
    accepts: npt.NDArray[np.uint8], a: Float64Array, is_nan: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    anything = (accepts & Accepts.ANYTHING) != 0
    nan = ((accepts & Accepts.NAN) != 0) & is_nan
    zero = ((accepts & Accepts.ZERO) != 0) & (a == 0)
    return np.asarray(anything | nan | zero, dtype=np.bool_)


def _overflows(exact: Enclosures, target: Format) -> npt.NDArray[np.bool_]:
    """Whether |exact| >= max + ulp(max)/2, so that rounding gives infinity."""
    top = math.ldexp(target.max, -target.max_exponent)
    half = 2.0**-target.precision
    at_top = (np.abs(exact.hi) - top) + np.abs(exact.lo) >= half
    zero = exact.hi == 0
    return np.asarray(
        ~zero
        & (
            (exact.exponent > target.max_exponent)
            | ((exact.exponent == target.max_exponent) & at_top)
        ),
        dtype=np.bool_,
    )


def _errors(
    a: Float64Array, exact: Enclosures, target: Format
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """(ulp_error, abs_error, radius in ulps), meaningful where both sides are finite."""
    with np.errstate(all="ignore"):
        touches = (np.abs(exact.hi) - 1.0) + np.abs(exact.lo) < exact.radius
        own = np.where(exact.hi == 0, target.min_exponent, exact.exponent - touches)
        unit = ulp_exponent(own, target.name)
        shift = np.clip(exact.exponent - unit, -5000, 5000)
        # everything in ulps of the exact result: exact for neighbours (Sterbenz), else to 2^-53
        error = np.abs((np.ldexp(a, -unit) - np.ldexp(exact.hi, shift)) - np.ldexp(exact.lo, shift))
        error = np.where(np.isinf(error), np.finfo(np.float64).max, error)
        absolute = np.ldexp(error, unit)
        direct = np.abs(a - np.ldexp(exact.hi, np.clip(exact.exponent, -5000, 5000)))
        absolute = np.where(error >= 2.0**900, direct, absolute)
        radius = np.ldexp(exact.radius, shift)
    return error, absolute, radius


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
