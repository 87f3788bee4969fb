"""Floating-point formats: their limits, rounding into them, ulps, ordinals.

Formats and parameters follow IEEE 754-2019 (binary16, binary32, binary64), Intel's bfloat16
definition of 2018, and the OCP 8-bit Floating Point Specification 1.0 (E4M3, which has no
infinities, and E5M2). All rounding is to nearest, ties to even, and happens once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import Any

from xentcheck.deferred import ml_dtypes, np, npt


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    `precision` p counts the leading bit. `min_exponent` and `max_exponent` are emin and emax of
    IEEE 754: normal numbers lie in ``2**emin <= |x| < 2**(emax + 1)``. In a format without
    infinities the highest bit pattern is NaN, and overflow gives NaN.
    """

    name: str
    bits: int
    precision: int
    min_exponent: int
    max_exponent: int
    has_infinity: bool

    @functools.cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of arrays in this format."""
        dtype: np.dtype[Any] = np.dtype(
            getattr(np, self.name, None) or getattr(ml_dtypes, self.name)
        )
        return dtype

    @property
    def max(self) -> float:
        """The largest finite number."""
        significand = 2**self.precision - (1 if self.has_infinity else 2)
        return math.ldexp(significand, self.max_exponent - self.precision + 1)

    @property
    def smallest_normal(self) -> float:
        """2^emin."""
        return math.ldexp(1.0, self.min_exponent)

    @property
    def smallest_subnormal(self) -> float:
        """2^(emin − p + 1), the smallest positive number."""
        return math.ldexp(1.0, self.min_exponent - self.precision + 1)

    @property
    def epsilon(self) -> float:
        """2^(1 − p), the distance from 1 to the next larger number."""
        return math.ldexp(1.0, 1 - self.precision)

    @property
    def last_ordinal(self) -> int:
        """The ordinal of infinity, or of `max` in a format without infinities; NaN lies beyond."""
        sign_bit = 1 << (self.bits - 1)
        return sign_bit - (1 << (self.precision - 1)) if self.has_infinity else sign_bit - 2


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        known.name: known
        for known in (
            Format("float16", 16, 11, -14, 15, has_infinity=True),
            Format("bfloat16", 16, 8, -126, 127, has_infinity=True),
            Format("float32", 32, 24, -126, 127, has_infinity=True),
            Format("float64", 64, 53, -1022, 1023, has_infinity=True),
            Format("float8_e4m3fn", 8, 4, -6, 8, has_infinity=False),
            Format("float8_e5m2", 8, 3, -14, 15, has_infinity=True),
        )
    }
)

ULP_DEFINITION = "Goldberg, extended to the reals: |actual - exact| / ulp(exact), exact unrounded"

STANDARD = ("float16", "bfloat16", "float32", "float64")
"""The dtypes of an implementation that declares none."""

INPUT_DTYPES = (*STANDARD, "float8_e4m3fn", "float8_e5m2")
"""The dtypes that an implementation may declare."""

LARGEST_ULP = FORMATS["float64"].max
"""Limit on reported errors, in ulps: the largest float64."""


@functools.cache
def _by_scalar() -> Mapping[type, Format]:
    return {known.dtype.type: known for known in FORMATS.values()}


def format_of(dtype: np.dtype[Any]) -> Format | None:
    """Return the format of a NumPy dtype in any byte order; None if it is not in `FORMATS`."""
    return _by_scalar().get(dtype.type)


def to_float64(array: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Convert to float64 exactly; shape kept.

    Raises TypeError if the array's dtype is not in `FORMATS`.
    """
    values = np.asarray(array)
    _format_of(values)
    with np.errstate(invalid="ignore"):  # a signalling NaN becomes quiet, which is fine
        return values.astype(np.float64)


def from_float64(array: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Round float64 numbers once to the named format; shape, −0 and NaN kept.

    Overflow gives an infinity of the same sign, or NaN in a format without infinities. Raises
    TypeError for a dtype that float64 does not hold exactly (such as longdouble), KeyError for a
    name that is not in `FORMATS`.
    """
    target = FORMATS[name]
    with np.errstate(all="ignore"):
        values = np.asarray(array).astype(np.float64, casting="safe")
        if name not in ("float32", "float64"):
            # ml_dtypes converts through float32 and so rounds twice. So it gets only numbers that
            # are already in the format. Scaling by powers of two is exact at every step.
            quantum = ulp_exponent(np.frexp(values)[1] - 1, name)
            values = np.ldexp(np.rint(np.ldexp(values, -quantum)), quantum)
            # The cast turns an infinity into NaN if the format has none.
            values = np.where(np.abs(values) > target.max, np.copysign(np.inf, values), values)
        return np.asarray(values.astype(target.dtype))


def round_exact(value: Fraction, name: str) -> Any:
    """Round a real number once to the named format; returns a NumPy scalar.

    A negative number that rounds to zero gives −0. Overflow works as in `from_float64`. It begins
    at ``max + ulp(max)/2``, or just above it in a format without infinities, because there ``max``
    is even. Raises KeyError for a name that is not in `FORMATS`.
    """
    target = FORMATS[name]
    quantum = ulp(value, name)
    rounded = abs(round(value / quantum)) * quantum
    if rounded <= target.max:
        magnitude = float(rounded)
    else:
        magnitude = math.inf if target.has_infinity else math.nan
    return target.dtype.type(-magnitude if value < 0 else magnitude)


def ulp(value: float | Fraction, name: str) -> Fraction:
    """Return Goldberg's unit in the last place, extended to the reals.

    It is ``2^(max(e, emin) − p + 1)`` for ``2^e <= |value| < 2^(e+1)``. At zero and below the
    normal range that is the smallest subnormal. Beyond ``max`` it keeps growing. Raises ValueError
    for NaN, OverflowError for an infinity, KeyError for a name that is not in `FORMATS`.

    Source: D. Goldberg, "What every computer scientist should know about floating-point
    arithmetic", ACM Computing Surveys 23(1), 1991.
    """
    real = abs(Fraction(value))
    target = FORMATS[name]
    if real < Fraction(target.smallest_normal):
        exponent = target.min_exponent
    else:
        exponent = real.numerator.bit_length() - real.denominator.bit_length()
        if real < Fraction(2) ** exponent:
            exponent -= 1
    return Fraction(2) ** (exponent - target.precision + 1)


def ulp_exponent(exponent: npt.NDArray[np.integer[Any]], name: str) -> npt.NDArray[Any]:
    """Return log2 of the ulp of a number with ``floor(log2|x|) == exponent``; shape kept."""
    target = FORMATS[name]
    return np.asarray(np.maximum(exponent, target.min_exponent) - (target.precision - 1))


def ordinals(array: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the position of each number in the order of its format; shape kept.

    Neighbours differ by 1. −0 and +0 are both 0. An infinity follows the largest finite number.
    Raises ValueError for NaN, TypeError if the array's dtype is not in `FORMATS`.
    """
    values = np.asarray(array)
    target = _format_of(values)
    positions = _mirrored(_patterns(values, target), target)
    if np.any(np.abs(positions) > target.last_ordinal):
        message = "NaN has no ordinal"
        raise ValueError(message)
    return positions


def from_ordinals(positions: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    """Return the numbers at these positions of the named format: the inverse of `ordinals`.

    The shape is kept. Raises ValueError for a position beyond the infinities (or ``max`` in a
    format without infinities).
    """
    target = FORMATS[name]
    wanted = np.asarray(positions).astype(np.int64, casting="safe", copy=False)
    if np.any((wanted > target.last_ordinal) | (wanted < -target.last_ordinal)):
        message = f"{name} has no number beyond ordinal ±{target.last_ordinal}"
        raise ValueError(message)
    return _numbers(_mirrored(wanted, target), target)


def ulp_distance(a: npt.ArrayLike, b: npt.ArrayLike) -> npt.NDArray[np.uint64]:
    """Return the number of steps between neighbours from ``a`` to ``b``; shapes broadcast.

    Raises ValueError for NaN, TypeError if the dtypes differ or are not in `FORMATS`.
    """
    left, right = np.asarray(a), np.asarray(b)
    if _format_of(left) is not _format_of(right):
        message = f"an ulp distance needs one dtype, not {left.dtype} and {right.dtype}"
        raise TypeError(message)
    first, second = np.broadcast_arrays(ordinals(left), ordinals(right))
    # Float64 has more than 2^63 steps from end to end. Unsigned arithmetic wraps to the right
    # result.
    high = np.maximum(first, second).astype(np.uint64)
    low = np.minimum(first, second).astype(np.uint64)
    with np.errstate(over="ignore"):
        return np.asarray(high - low)


def next_up(array: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the least number greater than each one (nextUp of IEEE 754); shape and dtype kept.

    NaN and +inf stay. In a format without infinities, NaN follows ``max``. Raises TypeError if the
    array's dtype is not in `FORMATS`.
    """
    values = np.asarray(array)
    target = _format_of(values)
    return _numbers(_stepped_up(_patterns(values, target), target), target)


def next_down(array: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return the greatest number less than each one: ``-next_up(-array)``."""
    values = np.asarray(array)
    target = _format_of(values)
    flip = -(1 << (target.bits - 1))
    return _numbers(_stepped_up(_patterns(values, target) ^ flip, target) ^ flip, target)


def hex_text(value: float) -> str:
    """Write a number exactly, as ``float.hex`` does; also ``nan``, ``inf`` and ``-inf``."""
    return float(value).hex()


def _format_of(values: npt.NDArray[Any]) -> Format:
    found = format_of(values.dtype)
    if found is None:
        message = f"{values.dtype} is none of {', '.join(FORMATS)}"
        raise TypeError(message)
    return found


def _patterns(values: npt.NDArray[Any], target: Format) -> npt.NDArray[np.int64]:
    """Return the bits of each number as a signed integer of the same width."""
    native = values.astype(target.dtype, copy=False)
    return native.view(f"int{target.bits}").astype(np.int64)


def _numbers(patterns: npt.NDArray[np.int64], target: Format) -> npt.NDArray[Any]:
    """Return the numbers with these bits: the inverse of `_patterns`."""
    return np.asarray(patterns.astype(f"int{target.bits}")).view(target.dtype)


def _mirrored(integers: npt.NDArray[np.int64], target: Format) -> npt.NDArray[np.int64]:
    """Convert sign and magnitude to two's complement, or back: the function is its own inverse."""
    lowest = -(1 << (target.bits - 1))
    return np.where(integers < 0, lowest - integers, integers)


def _stepped_up(patterns: npt.NDArray[np.int64], target: Format) -> npt.NDArray[np.int64]:
    """Return the patterns of the next larger numbers; −0 steps like +0 to the smallest positive."""
    lowest = -(1 << (target.bits - 1))
    magnitude = patterns & ~lowest
    stays = (magnitude > target.last_ordinal) | (
        target.has_infinity & (patterns == target.last_ordinal)
    )
    stepped = np.where(patterns < 0, patterns - 1, patterns + 1)
    return np.where(stays, patterns, np.where(patterns == lowest, 1, stepped))
