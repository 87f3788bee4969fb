"""Array arithmetic with error bounds: midpoints of three formats, each with a radius.

A `Ball` is an array of real numbers x with ``|x − midpoint| ≤ relative·|midpoint| + absolute``.
``relative`` is one number for the whole array. ``absolute`` is an array, or None for 0.

Midpoints are in float64, in double-double or in binary128. What holds for double-double is in
`xentcheck.reference.double_double`. Assumptions of the others, with the unit roundoff u = 2^-53
(float64) or 2^-113 (binary128):

* ``+ − × ÷`` round to nearest. The relative error is at most u/(1 − u) of the computed result
  (N. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, SIAM 2002, §2.2).
* A sum of n terms, added in any order, has an error of at most (n−1)u/(1 − (n−1)u) times the sum
  of their magnitudes (Higham, §4.2). Long sums are added in chunks of `CHUNK` terms, so n counts
  `CHUNK` per level.
* ``exp``, ``log``, ``log1p`` and powers have an error of at most `FUNCTION_ULPS` ulps of 2u each.
  NumPy's own float64 loops and those of the common mathematical libraries stay below 4 ulps (V.
  Innocente and P. Zimmermann, "Accuracy of mathematical functions in single, double, extended
  double and quadruple precision", 2024). SLEEF's binary128 functions stay below 1 ulp (SLEEF's
  manual, functions of the class u10). The bound is twice the larger of these. The tests check that
  the installed functions keep it.
* Relative errors that multiply are bounded by s(1 + s), where s ≤ 1/2 is their sum.

Consequences:

* Numbers of the same known sign add without cancellation and keep a relative bound. Where the
  signs differ or are not known, the bound becomes absolute.
* exp(x ± a) has a relative error of at most a(1 + a) for a ≤ 1/2. Here a ≤ `widest`·relative,
  because the exponential underflows below ``−widest``.
* log(x(1 ± r)) has an absolute error of at most r(1 + r). log1p(x) has a relative error of at most
  r for x ≥ 0, because the condition number x/((1+x) log1p(x)) is at most 1.

Underflow: a result below the normal range counts as 0 here, flushed or not. Its error is at most
2^-1022 (float64) or 2^-16382 (binary128). The loss families multiply or divide it by at most three
numbers of the input format's range (2^±150 where float64 is used, 2^±1080 where binary128 is used),
and add fewer than 2^23 such terms. So a final radius grows by
`xentcheck.reference.enclosures.FLOOR` = 2^-500 in float64, which is negligible in every dtype that
float64 serves. In binary128 it grows by 2^-13000, which matters only where the midpoint itself is
below 2^-2700.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from xentcheck.model import Array, Float64Array
from xentcheck.reference.double_double import FLOOR, FUNCTION, UNIT, DoubleDouble
from xentcheck.reference.enclosures import Balls, Enclosures

CHUNK: Final = 128  # terms of a long sum that are added in one step
FUNCTION_ULPS: Final = 8  # error bound of elementary functions, in ulps
SLACK: Final = 1.0 + 2.0**-30  # factor that covers the rounding of the bounds themselves

try:
    from numpy_quaddtype import QuadPrecDType

    _BINARY128: Any = QuadPrecDType("sleef")
except ImportError:
    _BINARY128 = None


@dataclass(frozen=True, slots=True)
class ArrayArithmetic:
    """A floating-point format whose arrays serve as midpoints.

    Attributes:
        name: its name.
        dtype: the dtype of its arrays; that of the bounds for double-double.
        unit: the relative error of one operation.
        widest: exp(−widest) underflows.
        function: the relative error of an elementary function.
    """

    name: str
    dtype: Any
    unit: float
    widest: float
    function: float

    def array(self, numbers: Any) -> Any:
        """Float64 numbers, or midpoints as they are, as an array of midpoints."""
        return np.asarray(numbers, dtype=self.dtype)

    def exact(self, numbers: Any, sign: int = 0) -> "Ball":
        """Exact float64 numbers as a ball. It may share their memory, so do not write to it."""
        given = np.asarray(numbers, dtype=np.float64)
        return Ball(self, self.array(given), sign=sign)

    def zeros(self, shape: Any) -> Any:
        """An array of zeros in this format."""
        return np.zeros(shape, dtype=self.dtype)

    def no_bounds(self, shape: Any) -> Array:
        """Absolute bounds of 0."""
        return np.zeros(shape, dtype=self.dtype)

    def leading(self, midpoint: Any) -> Array:
        """Midpoints as bounds are computed with, up to `SLACK`."""
        return np.asarray(midpoint)

    def total(self, terms: Any) -> tuple[Any, float]:
        """The sum along the last axis, and its error in units of u times the magnitudes."""
        return _summed(terms, self)

    def unknown(self, shape: Any) -> "Ball":
        """Numbers with a radius of inf: nothing is known about them."""
        return Ball(self, self.zeros(shape), absolute=self.no_bounds(shape) + np.inf)


class _DoubleDoubleArithmetic(ArrayArithmetic):
    """Double-double midpoints, with bounds in float64."""

    __slots__ = ()

    def array(self, numbers: Any) -> Any:
        return numbers if isinstance(numbers, DoubleDouble) else DoubleDouble(numbers)

    def zeros(self, shape: Any) -> Any:
        return DoubleDouble(np.zeros(shape))

    def leading(self, midpoint: Any) -> Array:
        return np.asarray(midpoint.hi)

    def total(self, terms: Any) -> tuple[Any, float]:
        return (
            DoubleDouble.total(terms)
            if isinstance(terms, DoubleDouble)
            else _summed(terms, FLOAT64)
        )


FLOAT64 = ArrayArithmetic(
    "float64", np.dtype(np.float64), 2.0**-53, 746.0, 2 * FUNCTION_ULPS * 2.0**-53
)
DOUBLE_DOUBLE = _DoubleDoubleArithmetic(
    "double-double", np.dtype(np.float64), UNIT, 746.0, FUNCTION
)
BINARY128 = (
    None
    if _BINARY128 is None
    else ArrayArithmetic("binary128", _BINARY128, 2.0**-113, 11400.0, 2 * FUNCTION_ULPS * 2.0**-113)
)


def rounds_to_nearest() -> bool:
    """Whether this process rounds to nearest and keeps subnormal numbers, as all bounds assume.

    A library can change both for the thread that loads it: the rounding mode, or flush-to-zero.
    """
    one = np.array([1.0, -1.0])
    step = one * 2.0**-52
    nearest = (one + step * 0.5 == one) & (one + step * 0.75 == one + step)
    kept = np.array([2.0**-1070]) * np.array([0.5]) * np.array([2.0]) == 2.0**-1070
    return bool(nearest.all() and kept.all())


def compound(*relatives: float) -> float:
    """An upper bound of Π(1 + r) − 1."""
    total = sum(relatives)
    return total * (1.0 + total) * SLACK


class Ball:
    """An enclosed array of real numbers.

    ``sign``: 1 if no number is below 0, -1 if no number is above 0, 0 if unknown. ``below_one``:
    every finite number is below 1 in magnitude; only negation keeps this.

    Operators take balls of the same arithmetic, and Python floats, which count as exact.
    """

    __slots__ = ("absolute", "arithmetic", "below_one", "midpoint", "relative", "sign")

    def __init__(
        self,
        arithmetic: ArrayArithmetic,
        midpoint: Any,
        relative: float = 0.0,
        absolute: Array | None = None,
        sign: int = 0,
    ) -> None:
        self.arithmetic = arithmetic
        self.midpoint = midpoint
        self.relative = relative
        self.absolute = absolute
        self.sign = sign
        self.below_one = False

    def _like(
        self, midpoint: Any, relative: float, absolute: Array | None = None, sign: int = 0
    ) -> "Ball":
        return Ball(self.arithmetic, midpoint, relative, absolute, sign)

    def _ball(self, other: "Ball | float") -> "Ball":
        if isinstance(other, Ball):
            return other
        return self.arithmetic.exact(other, int(np.sign(other)))

    @property
    def radius(self) -> Array:
        """The radius of each element, in the arithmetic's own dtype."""
        radius = np.abs(self.arithmetic.leading(self.midpoint)) * (self.relative * SLACK)
        if self.absolute is not None:
            radius = (radius + self.absolute) * SLACK
        return np.asarray(radius)

    def __getitem__(self, index: Any) -> "Ball":
        absolute = None if self.absolute is None else self.absolute[index]
        return self._like(self.midpoint[index], self.relative, absolute, self.sign)

    def overwrite(self, index: Any, source: "Ball | float | Array") -> None:
        """Replace the numbers at an index, and their bounds. Floats and arrays count as exact."""
        if isinstance(source, Ball):
            numbers, absolute = source.midpoint, source.absolute
            self.relative = max(self.relative, source.relative)
            self.below_one &= source.below_one
        else:
            numbers, absolute = np.asarray(source), None
            size = np.abs(numbers)
            self.below_one &= not bool(((size >= 1.0) & (size < np.inf)).any())
        self.midpoint[index] = numbers
        if self.absolute is None and absolute is not None:
            self.absolute = self.arithmetic.no_bounds(self.midpoint.shape)
        if self.absolute is not None:
            self.absolute[index] = 0.0 if absolute is None else absolute

    def __neg__(self) -> "Ball":
        negative = self._like(-self.midpoint, self.relative, self.absolute, -self.sign)
        negative.below_one = self.below_one
        return negative

    def __add__(self, other: "Ball | float") -> "Ball":
        other = self._ball(other)
        unit = self.arithmetic.unit * SLACK
        midpoint = self.midpoint + other.midpoint
        if self.sign * other.sign > 0 or (self.relative == 0.0 == other.relative):
            relative = compound(max(self.relative, other.relative), unit)
            absolute = _sum(self.absolute, other.absolute)
            if absolute is not None and absolute.shape != midpoint.shape:
                absolute = np.broadcast_to(absolute, midpoint.shape)
            sign = self.sign if self.sign == other.sign else 0
            return self._like(midpoint, relative, absolute, sign)
        return self._like(midpoint, unit, (self.radius + other.radius) * SLACK)

    __radd__ = __add__

    def __sub__(self, other: "Ball | float") -> "Ball":
        return self + (-self._ball(other))

    def __rsub__(self, other: float) -> "Ball":
        return -self + other

    def __mul__(self, other: "Ball | float") -> "Ball":
        other = self._ball(other)
        midpoint = self.midpoint * other.midpoint
        relative = compound(self.relative, other.relative, self.arithmetic.unit)
        absolute = None
        leading = self.arithmetic.leading
        if self.absolute is not None:
            absolute = self.absolute * np.abs(leading(other.midpoint)) * (1.0 + other.relative)
        if other.absolute is not None:
            mine = np.abs(leading(self.midpoint)) * (1.0 + self.relative)
            if self.absolute is not None:
                mine = mine + self.absolute
            absolute = _sum(absolute, other.absolute * mine)
        if absolute is not None:
            absolute = absolute * (SLACK * SLACK)
        return self._like(midpoint, relative, absolute, self.sign * other.sign)

    __rmul__ = __mul__

    def __truediv__(self, other: "Ball | float") -> "Ball":
        """Divide by numbers that have only a relative bound."""
        other = self._ball(other)
        assert other.absolute is None
        midpoint = self.midpoint / other.midpoint
        relative = compound(self.relative, 2.0 * other.relative, self.arithmetic.unit)
        absolute = None
        if self.absolute is not None:
            size = np.abs(self.arithmetic.leading(other.midpoint))
            absolute = self.absolute / size * (1.0 + 2.0 * other.relative) * (SLACK * SLACK)
        return self._like(midpoint, relative, absolute, self.sign * other.sign)

    def __rtruediv__(self, other: float) -> "Ball":
        return self._ball(other) / self

    def within(self, relative: float, sign: int = 0) -> "Ball":
        """The same midpoints with a relative bound that the caller has proved."""
        return self._like(self.midpoint, relative, None, sign or self.sign)

    def by_element(self, exact: Array | None = None) -> "Ball":
        """The same numbers with an absolute bound, which is 0 where ``exact`` is true."""
        radius = self.radius
        if exact is not None:
            radius = np.where(exact, np.zeros_like(radius), radius)
        return self._like(self.midpoint, 0.0, radius * SLACK, self.sign)

    def exp(self) -> "Ball":
        """e^x for x ≤ 0."""
        arithmetic = self.arithmetic
        with np.errstate(under="ignore"):
            midpoint = np.exp(self.midpoint)
        given = self.relative * arithmetic.widest
        relative = compound(given * (1.0 + given), arithmetic.function)
        absolute = None
        if self.absolute is not None:
            # |e^a − 1| ≤ a(1 + a) for a ≤ 1. For larger a, e^x is known only where it certainly
            # underflows; an underflow of the midpoint alone does not prove that.
            spread = self.absolute * (1.0 + self.absolute)
            absolute = times(arithmetic.leading(midpoint), spread) * (1.0 + 2.0 * relative) * SLACK
            leading = arithmetic.leading(self.midpoint)
            reach = leading * (1.0 - self.relative) / SLACK + self.absolute
            gone = (reach < -arithmetic.widest) | (leading == -np.inf)
            unknown = ~(self.absolute < 0.5) & ~gone
            absolute = np.where(unknown, np.inf, absolute)
        return self._like(midpoint, relative, absolute, 1)

    def log(self) -> "Ball":
        """log x for x > 0 with only a relative bound."""
        assert self.absolute is None
        midpoint = np.log(self.midpoint)
        absolute = None
        if self.relative:
            absolute = self.arithmetic.no_bounds(midpoint.shape) + compound(self.relative)
        return self._like(midpoint, self.arithmetic.function, absolute)

    def log1p(self, condition: float = 1.0) -> "Ball":
        """log(1 + x) for x with only a relative bound.

        ``condition`` bounds the condition number |x / ((1+x) log1p(x))|: 1 for x ≥ 0.
        """
        assert self.absolute is None
        given = compound(condition * self.relative)
        relative = compound(given, self.arithmetic.function)
        return self._like(np.log1p(self.midpoint), relative, None, self.sign)

    def power(self, exponent: float) -> "Ball":
        """x^exponent for exponent ≥ 0 and x ≥ 0 with only a relative bound.

        No x may have underflowed if the exponent is between 0 and 1.
        """
        assert self.absolute is None
        given = exponent * self.relative
        relative = compound(given * (1.0 + given), self.arithmetic.function)
        return self._like(np.power(self.midpoint, exponent), relative, None, 1)

    def total(self) -> "Ball":
        """The sum along the last axis, which may be empty."""
        terms = self.midpoint.shape[-1]
        midpoint, factor = self.arithmetic.total(self.midpoint)
        slack = factor * self.arithmetic.unit
        absolute = None
        if self.absolute is not None and terms:
            absolute = np.add.reduce(self.absolute, axis=-1) * (1.0 + terms * 2.0**-52) * SLACK
        if self.sign:
            relative = compound(self.relative, slack * SLACK)
            return self._like(midpoint, relative, absolute, self.sign)
        sizes = np.abs(self.arithmetic.leading(self.midpoint))
        magnitude, _ = self.arithmetic.total(sizes)
        spread = magnitude * (compound(self.relative, slack * SLACK) * (SLACK * SLACK))
        return self._like(midpoint, 0.0, spread if absolute is None else spread + absolute)

    def balls(self, accepts: Array | None = None) -> Balls:
        """The numbers as float64 `Balls`. Works for the float64 arithmetic only."""
        absolute = None
        if self.absolute is not None:
            absolute = np.asarray(self.absolute, dtype=np.float64)
        return Balls(self.midpoint, self.relative * SLACK, absolute, accepts, self.below_one)

    def enclosures(self, accepts: Array | None = None) -> Enclosures:
        """The numbers as normalised `Enclosures`."""
        if self.arithmetic is FLOAT64:
            return self.balls(accepts).enclosures()
        if self.arithmetic is DOUBLE_DOUBLE:
            return _of_pairs(self, accepts)
        return _normalised(self, accepts)


def _sum(one: Array | None, other: Array | None) -> Array | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other


def times(one: Array, other: Array) -> Array:
    """The product of two arrays, where 0 · inf is 0."""
    return np.where(one == 0, one, one * np.where(one == 0, 1.0, other))


def _summed(terms: Array, arithmetic: ArrayArithmetic) -> tuple[Array, float]:
    """(sum along the last axis, its error bound in units of u times the sum of magnitudes)."""
    count = terms.shape[-1]
    if not count:
        return arithmetic.zeros(terms.shape[:-1]), 0.0
    factor = 0.0
    while arithmetic is not FLOAT64 and count > CHUNK:
        # binary128 adds whole arrays faster than it reduces them
        half = count // 2
        sums = terms[..., :half] + terms[..., half : 2 * half]
        if count % 2:
            sums[..., 0] += terms[..., -1]
        terms, count = sums, half
        factor += 2
    while count > CHUNK and terms.flags.c_contiguous:
        whole, rest = divmod(count, CHUNK)
        head = terms[..., : whole * CHUNK].reshape(*terms.shape[:-1], whole, CHUNK)
        sums = np.add.reduce(head, axis=-1)
        if rest:
            tail = np.add.reduce(terms[..., whole * CHUNK :], axis=-1, keepdims=True)
            sums = np.concatenate([sums, tail], axis=-1)
        terms, count = sums, sums.shape[-1]
        factor += CHUNK
    return np.add.reduce(terms, axis=-1), (factor + count) * (1.0 + 2.0**-20)


def _normalised(ball: Ball, accepts: Array | None) -> Enclosures:
    """Binary128 numbers as two float64 numbers of the same sign, and a radius."""
    with np.errstate(all="ignore"):
        middle, absolute = ball.midpoint, ball.absolute
        hi = np.asarray(middle.astype(np.float64))
        scale = _scale(hi, middle, absolute)
        if scale.any():
            factor = _power_of_two(scale, middle.dtype)
            middle = middle * factor
            absolute = None if absolute is None else absolute * factor
            hi = np.asarray(middle.astype(np.float64))
        lo = np.where(np.isfinite(hi), (middle - hi.astype(middle.dtype)).astype(np.float64), 0.0)
        outward = np.sign(lo) * np.sign(hi) < 0
        inner = np.where(outward, np.nextafter(hi, 0.0), hi)
        lo = lo + (hi - inner)
        # bits that two float64 numbers cannot hold, and underflow of binary128 itself
        width = np.abs(hi) * (ball.relative * SLACK) + np.abs(lo) * 2.0**-52
        if absolute is not None:
            width = (width + absolute.astype(np.float64)) * SLACK
        width = width + np.where(scale > 0, np.where(scale < 12000, 2.0**-1000, 1.0), 0.0)
    if accepts is None:
        accepts = np.zeros(hi.shape, dtype=np.uint8)
    return Enclosures.of(inner, lo, width, -scale, accepts, below_one=ball.below_one)


_UNDERFLOWED = 2.0**-900
"""Numbers from here on have no lower part that may have underflowed."""


def _of_pairs(ball: Ball, accepts: Array | None) -> Enclosures:
    """Double-double numbers as two float64 numbers of the same sign, and a radius."""
    hi, lo = np.asarray(ball.midpoint.hi), np.asarray(ball.midpoint.lo)
    with np.errstate(all="ignore"):
        outward = ((lo < 0.0) != (hi < 0.0)) & (lo != 0.0)
        inner = (hi.view(np.int64) - outward).view(np.float64)  # the next number towards 0
        finite = np.isfinite(hi)
        lo = lo + (hi - inner) if finite.all() else np.where(finite, lo + (hi - inner), 0.0)
        size = np.abs(hi)
        # where the lower part changed its sign it was rounded
        width = size * (ball.relative * SLACK) + np.where(outward, size * 2.0**-103, 0.0)
        known = hi == 0.0  # 0 is exactly 0
        if ball.absolute is not None:
            width = (width + ball.absolute) * SLACK
        if not ball.relative:
            known |= (size >= _UNDERFLOWED) & (width == 0.0)
        width += np.where(known, 0.0, FLOOR)
    if accepts is None:
        accepts = np.zeros(hi.shape, dtype=np.uint8)
    nothing = np.zeros(hi.shape, dtype=np.int64)
    return Enclosures.of(inner, lo, width, nothing, accepts, below_one=ball.below_one)


def _scale(hi: Float64Array, middle: Array, absolute: Array | None) -> npt.NDArray[np.int64]:
    """Exponents of 2 that scale binary128 numbers into float64's range; 0 where they fit."""
    size = np.abs(hi)
    scale = np.zeros(hi.shape, dtype=np.int64)
    tiny = size < 2.0**-900
    if absolute is not None:
        tiny &= absolute.astype(np.float64) < 2.0**-900
    far = (tiny | (size > 2.0**1000)) & np.asarray(np.isfinite(middle))
    if far.any():
        _, exponent = np.frexp(middle[far])
        # zero has no exponent, but an underflow to zero has a bound that needs scaling
        binary = np.clip(exponent.astype(np.int64), -16000, 16000)
        scale[far] = np.where(middle[far] == 0, 1800, -binary)
    return scale


def _power_of_two(exponent: npt.NDArray[np.int64], dtype: Any) -> Array:
    """2^exponent in binary128, multiplied in steps that float64 can represent."""
    power = np.ones(exponent.shape).astype(dtype)
    while exponent.any():
        step = np.clip(exponent, -1000, 1000)
        power = power * np.ldexp(1.0, step).astype(dtype)
        exponent = exponent - step
    return np.asarray(power)
