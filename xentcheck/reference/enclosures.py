"""What an enclosure of an exact value is, and how one is read."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, round_exact, to_float64, ulp_exponent
from xentcheck.model import Float64Array


@dataclass(frozen=True, slots=True, eq=False)
class Enclosures:
    """An array of exact values, each as ``(hi + lo ± radius)·2**exponent``.

    All fields have one shape. For a finite nonzero value ``1 <= |hi| < 2`` and ``lo`` has the
    sign of ``hi`` (truncation, so ``floor(log2|exact|) == exponent`` for the midpoint); zero has
    ``hi == lo == 0``; NaN and infinities stand in ``hi``. ``radius >= 0`` bounds the distance from
    midpoint to the real result. ``accepts`` holds `Accepts` flags. ``below_one``: all exact values
    are known to be below 1 in magnitude, also where an enclosure reaches across it.
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
        """``(hi + lo ± radius)·2**exponent`` normalised; ``lo`` has the sign of ``hi``."""
        with np.errstate(all="ignore"):
            mantissa, binary = np.frexp(hi)
            finite = np.isfinite(hi)
            plain = finite & (hi != 0)
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
        """The common shape."""
        return self.hi.shape

    @classmethod
    def joined(cls, parts: "Sequence[Enclosures]") -> "Enclosures":
        """The enclosures of several arrays, one behind the other along the first axis."""
        return cls(
            np.concatenate([part.hi for part in parts]),
            np.concatenate([part.lo for part in parts]),
            np.concatenate([part.exponent for part in parts]),
            np.concatenate([part.radius for part in parts]),
            np.concatenate([part.accepts for part in parts]),
            all(part.below_one for part in parts),
        )

    def reshaped(self, shape: tuple[int, ...]) -> "Enclosures":
        """The same in another shape."""
        return Enclosures(
            self.hi.reshape(shape),
            self.lo.reshape(shape),
            self.exponent.reshape(shape),
            self.radius.reshape(shape),
            self.accepts.reshape(shape),
            self.below_one,
        )

    def midpoints(self) -> Float64Array:
        """The midpoints in float64 (0 or inf where they do not fit)."""
        with np.errstate(over="ignore", under="ignore"):
            exponent = np.clip(self.exponent, -5000, 5000)
            return np.asarray(np.ldexp(self.hi, exponent), dtype=np.float64)

    def at(self, index: Any) -> "Enclosures":
        """The enclosures at a NumPy index, as at least one-dimensional arrays."""
        return Enclosures(
            np.atleast_1d(self.hi[index]),
            np.atleast_1d(self.lo[index]),
            np.atleast_1d(self.exponent[index]),
            np.atleast_1d(self.radius[index]),
            np.atleast_1d(self.accepts[index]),
            self.below_one,
        )


FLOOR = 2.0**-500
"""What an underflow in float64 arithmetic may add up to in a result."""


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """An array of exact values known to float64: ``|exact − midpoint| ≤ relative·|midpoint| +
    absolute + FLOOR``.

    NaN and infinities stand in ``midpoint``. ``absolute`` has the shape of ``midpoint`` or is None
    (nothing), and so has ``accepts`` (None: `Accepts.NOTHING` everywhere). ``below_one`` is as in
    `Enclosures`.
    """

    midpoint: Float64Array
    relative: float
    absolute: Float64Array | None
    accepts: npt.NDArray[np.uint8] | None
    below_one: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The common shape."""
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
        """The same as `Enclosures`."""
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
    """What a case's results ought to be: the unrounded real results and their conditioning.

    ``value`` has shape (rows,), (rows, classes) where the loss returns one number per class, or
    () under a reduction; ``gradient`` has the shape of the logits. The condition numbers have the
    same shapes (approximate, in float64, NaN where none is defined).
    """

    value: Enclosures
    gradient: Enclosures
    value_condition: Float64Array
    gradient_condition: Float64Array


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
