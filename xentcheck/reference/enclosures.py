"""Enclosures of exact values, and functions that read them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, round_exact, to_float64, ulp_exponent
from xentcheck.model import Float64Array

LEAST_CERTAIN = -1000
"""The binary exponent below which a double-double number may be the stand-in of a smaller one."""


@dataclass(frozen=True, slots=True, eq=False)
class Enclosures:
    """An array of exact values, each as ``(hi + lo ± radius)·2**exponent``.

    All arrays have the same shape. For a finite nonzero value ``1 <= |hi| < 2``, and ``lo`` has the
    sign of ``hi`` (truncation, so ``floor(log2|exact|) == exponent`` for the midpoint). Zero has
    ``hi == lo == 0``. ``hi`` also holds NaN and infinities. ``radius >= 0`` bounds the distance
    from the midpoint to the real result. ``accepts`` holds `Accepts` flags. ``below_one``: all
    exact values are known to be below 1 in magnitude, even where an enclosure contains 1.
    """

    hi: Float64Array
    lo: Float64Array
    exponent: npt.NDArray[np.int64]
    radius: Float64Array
    accepts: npt.NDArray[np.uint8]
    below_one: bool = False

    @classmethod
    def of(
        cls,
        hi: Float64Array,
        lo: Float64Array,
        radius: Float64Array,
        exponent: npt.NDArray[np.int64],
        accepts: npt.NDArray[np.uint8],
        *,
        below_one: bool = False,
    ) -> "Enclosures":
        """Normalise ``(hi + lo ± radius)·2**exponent``.

        Args:
            hi: leading part, float64, of any magnitude; NaN and infinities are kept.
            lo: the rest of the midpoint, float64, with the sign of ``hi``.
            radius: error bound, float64, in the unit of ``hi``.
            exponent: binary exponent, int64.
            accepts: `Accepts` flags, uint8.
            below_one: all exact values are known to be below 1 in magnitude.
        """
        with np.errstate(all="ignore"):
            mantissa, binary = np.frexp(hi)
            finite = np.isfinite(hi)
            plain = finite & (hi != 0)
            if plain.all() and binary.min(initial=0) > -1000:
                binary -= 1
                scale = np.ldexp(1.0, -binary)
                radius = radius * scale
                return cls(
                    mantissa * 2.0,
                    lo * scale,
                    exponent + binary,
                    np.where(np.isnan(radius), np.inf, radius),
                    accepts,
                    below_one,
                )
            shift = np.where(plain, binary.astype(np.int64) - 1, 0)
            radius = np.where(finite, np.ldexp(radius, -shift), 0.0)
            return cls(
                np.where(plain, mantissa * 2.0, hi),
                np.where(plain, np.ldexp(lo, -shift), 0.0),
                np.where(finite, shift + exponent, 0),
                np.where(np.isnan(radius), np.inf, radius),
                accepts,
                below_one,
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all arrays."""
        return self.hi.shape

    @classmethod
    def joined(cls, parts: "Sequence[Enclosures]") -> "Enclosures":
        """Concatenate the enclosures of several arrays along the first axis."""
        return cls(
            np.concatenate([part.hi for part in parts]),
            np.concatenate([part.lo for part in parts]),
            np.concatenate([part.exponent for part in parts]),
            np.concatenate([part.radius for part in parts]),
            np.concatenate([part.accepts for part in parts]),
            all(part.below_one for part in parts),
        )

    def vanishing(self, rows: npt.NDArray[np.bool_]) -> "Enclosures":
        """The same with what is below 2^`LEAST_CERTAIN` in these rows known to be nearly 0.

        It keeps its sign: the enclosure reaches from 0 to 2^-1199.
        """
        known = np.ldexp(1.0, np.clip(self.exponent, -1100, 1000))
        gone = (
            (self.hi != 0.0) & (self.exponent < LEAST_CERTAIN) & (self.radius * known <= 2.0**-940)
        )
        gone &= rows.reshape(-1, *(1,) * (self.hi.ndim - 1))
        if not gone.any():
            return self
        return replace(
            self,
            hi=np.where(gone, np.sign(self.hi), self.hi),
            lo=np.where(gone, 0.0, self.lo),
            exponent=np.where(gone, -1200, self.exponent),
            radius=np.where(gone, 1.0, self.radius),
        )

    def _mapped(self, change: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> "Enclosures":
        return replace(
            self,
            hi=change(self.hi),
            lo=change(self.lo),
            exponent=change(self.exponent),
            radius=change(self.radius),
            accepts=change(self.accepts),
        )

    def room_for(self, rows: int) -> "Enclosures":
        """Arrays for so many rows of this shape, to be filled with `holding`."""
        return self._mapped(lambda each: np.empty((rows, *each.shape[1:]), dtype=each.dtype))

    def holding(self, part: "Enclosures", rows: slice) -> "Enclosures":
        """These enclosures with a part copied into some rows, in place."""
        self.hi[rows] = part.hi
        self.lo[rows] = part.lo
        self.exponent[rows] = part.exponent
        self.radius[rows] = part.radius
        self.accepts[rows] = part.accepts
        return replace(self, below_one=self.below_one and part.below_one)

    def reshaped(self, shape: tuple[int, ...]) -> "Enclosures":
        """The same enclosures in another shape."""
        return self._mapped(lambda each: each.reshape(shape))

    def midpoints(self) -> Float64Array:
        """The midpoints in float64, or 0 or inf if they are out of its range."""
        with np.errstate(over="ignore", under="ignore"):
            exponent = np.clip(self.exponent, -5000, 5000)
            return np.asarray(np.ldexp(self.hi, exponent), dtype=np.float64)

    def at(self, index: Any) -> "Enclosures":
        """The enclosures at a NumPy index, as at least one-dimensional arrays."""
        return self._mapped(lambda each: np.atleast_1d(each[index]))


FLOOR = 2.0**-500
"""Absolute bound of the error that underflow in float64 arithmetic causes in a result."""


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """An array of exact values with float64 midpoints and error bounds.

    ``|exact − midpoint| ≤ relative·|midpoint| + absolute + FLOOR``. ``midpoint`` also holds NaN and
    infinities. ``absolute`` and ``accepts`` have the shape of ``midpoint``, or are None: this means
    0 and `Accepts.NOTHING` everywhere. ``below_one`` is as in `Enclosures`.
    """

    midpoint: Float64Array
    relative: float
    absolute: Float64Array | None
    accepts: npt.NDArray[np.uint8] | None
    below_one: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of all arrays."""
        return self.midpoint.shape

    def at(self, index: Any) -> "Balls":
        """The balls at a NumPy index, as at least one-dimensional arrays."""
        return Balls(
            np.atleast_1d(self.midpoint[index]),
            self.relative,
            None if self.absolute is None else np.atleast_1d(self.absolute[index]),
            None if self.accepts is None else np.atleast_1d(self.accepts[index]),
            self.below_one,
        )

    def midpoints(self) -> Float64Array:
        """The midpoints."""
        return self.midpoint

    def enclosures(self) -> Enclosures:
        """The same values as `Enclosures`."""
        with np.errstate(all="ignore"):
            radius = np.abs(self.midpoint) * self.relative + FLOOR
            if self.absolute is not None:
                radius = (radius + self.absolute) * (1.0 + 2.0**-40)
        nothing = np.zeros(self.shape, dtype=np.int64)
        accepts = nothing.astype(np.uint8) if self.accepts is None else self.accepts
        return Enclosures.of(
            self.midpoint,
            np.zeros(self.shape),
            radius,
            nothing,
            accepts,
            below_one=self.below_one,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """The exact results of a case, not rounded to a dtype, and their condition numbers.

    ``value`` has shape (rows,), or (rows, classes) if the loss returns one number per class, or ()
    under a reduction. ``gradient`` has the shape of the logits. The condition numbers have the same
    shapes. They are approximate, in float64, and NaN where they are not defined.
    """

    value: Enclosures
    gradient: Enclosures
    value_condition: Float64Array
    gradient_condition: Float64Array


def midpoint(exact: Enclosures, index: tuple[int, ...]) -> Fraction | None:
    """The midpoint of one enclosure as an exact fraction.

    None for NaN, for infinities and for magnitudes beyond 2^±20000.
    """
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
    """The radius of one enclosure in ulps of the dtype."""
    exponent = exact.exponent[index]
    target = FORMATS[dtype]
    own = target.min_exponent if exact.hi[index] == 0 else exponent
    unit = ulp_exponent(np.asarray(own), dtype)
    shift = int(np.clip(exponent - unit, -5000, 5000))
    return math.ldexp(float(exact.radius[index]), shift)
