"""Arithmetic of any width over arrays, with integers, for the few rows with severe cancellation.

A number is ``mantissa·2**scale``. The mantissa is a Python integer of at most ``bits`` bits. Sums,
differences and products are exact while they fit. The accuracy does not depend on a mathematical
library or a library of long floating-point numbers. It is slow: some microseconds per number and
operation.

Sources: R. P. Brent, "Fast multiple-precision evaluation of elementary functions", J. ACM 23,
1976 (halved arguments, one Newton step); J. Machin's formula for log 2 as in J. Gourdon and
P. Sebah, "The logarithmic constant: log 2", 2004.
"""

import math
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.implementations.numpy.double_double import DoubleDouble, normalised
from xentcheck.implementations.numpy.tracked import (
    EXACT,
    ZERO_EXPONENT,
    Exponents,
    Mask,
    Operand,
    Tracked,
    error_of_exp,
    error_of_far_exp,
    error_of_log,
    error_of_product,
    error_of_quotient,
    error_of_sum,
)
from xentcheck.model import Float64Array

Integers = npt.NDArray[np.object_]

_BEYOND = 30  # exponent of two: for |x| > 2^30, e^x is replaced by e^±2^30
_FAR = 2**31  # exponent that stands in for that of e^2^30
_NEAR_ONE = -6  # exponent of two: for |x − 1| < 2^−6 log x uses its series in x − 1
_GUARD = 8  # spare bits of intermediate results


@dataclass(frozen=True, slots=True, eq=False)
class Wide(Tracked):
    """An array of finite numbers ``mantissa·2**scale`` with at most ``bits`` bits."""

    mantissa: Integers
    scale: Exponents
    exponent: Exponents
    error: Exponents
    bits: int

    @classmethod
    def of(cls, values: npt.ArrayLike, bits: int) -> "Wide":
        """Convert finite float64 numbers exactly; ``bits`` is at least 53."""
        fraction, exponent = np.frexp(np.asarray(values, dtype=np.float64))
        mantissa = np.ldexp(fraction, 53).astype(np.int64).astype(object)
        return _rounded(mantissa, exponent.astype(np.int64) - 53, EXACT, bits)

    @property
    def fraction(self) -> Float64Array:
        """The number divided by 2**exponent."""
        return np.asarray(_FRACTION(self.mantissa)).astype(np.float64)

    def __getitem__(self, index: Any) -> "Wide":
        return Wide(
            _integers(self.mantissa[index]),
            np.asarray(self.scale[index]),
            np.asarray(self.exponent[index]),
            np.asarray(self.error[index]),
            self.bits,
        )

    def __neg__(self) -> "Wide":
        return Wide(_integers(-self.mantissa), self.scale, self.exponent, self.error, self.bits)

    def __add__(self, other: Operand) -> "Wide":
        b = self._like(other)
        top = np.maximum(self.exponent, b.exponent)
        own, others = np.where(self.is_zero, b.scale, self.scale), b.scale
        others = np.where(b.is_zero, own, others)
        base = np.maximum(np.minimum(own, others), top - self.bits - _GUARD)
        cut = np.minimum(own, others) < base
        total = _SHIFTED(self.mantissa, own - base) + _SHIFTED(b.mantissa, others - base)
        error = error_of_sum(self, b, np.where(cut, base, EXACT))
        return _rounded(total, base, error, self.bits)

    def __sub__(self, other: Operand) -> "Wide":
        return self + -self._like(other)

    def __mul__(self, other: Operand) -> "Wide":
        b = self._like(other)
        error = error_of_product(self, b, EXACT)
        return _rounded(self.mantissa * b.mantissa, self.scale + b.scale, error, self.bits)

    def __truediv__(self, other: Operand) -> "Wide":
        """Return the quotient; a divisor of 0 is not allowed."""
        b = self._like(other)
        shift = np.maximum(self.bits + _GUARD + _lengths(b.mantissa) - _lengths(self.mantissa), 0)
        quotient = _SHIFTED(self.mantissa, shift) // b.mantissa
        scale = self.scale - shift - b.scale
        rounding = np.where(self.is_zero, EXACT, scale)
        return _rounded(quotient, scale, error_of_quotient(self, b, rounding), self.bits)

    def sum(self, axis: int) -> "Wide":
        """Return the sum along an axis, rounded once."""
        count = self.mantissa.shape[axis]
        top = self.exponent.max(axis=axis, keepdims=True, initial=ZERO_EXPONENT)
        scale = np.where(self.is_zero, top, self.scale)
        lowest = scale.min(axis=axis, keepdims=True, initial=-ZERO_EXPONENT)
        doublings = count.bit_length()
        base = np.maximum(lowest, top - self.bits - _GUARD - doublings)
        rounding = np.squeeze(np.where(lowest < base, base, EXACT), axis)
        base = np.where(top == ZERO_EXPONENT, 0, base)
        shifted = _SHIFTED(self.mantissa, np.where(self.is_zero, 0, self.scale - base))
        total = np.asarray(shifted, dtype=object).sum(axis=axis, initial=0)
        error = np.maximum(self.error.max(axis=axis, initial=EXACT), rounding) + doublings + 1
        return _rounded(total, np.squeeze(base, axis), error, self.bits)

    def exp(self) -> "Wide":
        """Return e^x, exactly 1 at 0. Beyond ±2^30 it takes ±2^30."""
        parts: Any = np.frompyfunc(partial(_exp, bits=self.bits + _GUARD), 2, 2)
        mantissa, scale = parts(self.mantissa, self.scale)
        result = _rounded(mantissa, scale, EXACT, self.bits)
        rounding = np.where(self.is_zero, EXACT, result.exponent - self.bits)
        error = error_of_exp(self, result.exponent, rounding)
        edge = error_of_far_exp(self, self.mantissa < 0, result.exponent)
        return result._with_error(np.where(self.exponent > _BEYOND, edge, error))

    def log(self) -> "Wide":
        """Return the natural logarithm of x > 0."""
        minus_one = self - 1.0
        near = minus_one.exponent < _NEAR_ONE
        parts: Any = np.frompyfunc(partial(_log, bits=self.bits + _GUARD), 2, 2)
        far = self.chosen(near, 2.0, self)
        mantissa, scale = parts(far.mantissa, far.scale)
        result = _rounded(mantissa, scale, EXACT, self.bits)
        result = self.chosen(near, self.chosen(near, minus_one, 0.0)._small_log1p(), result)
        rounding = np.where(result.is_zero, EXACT, result.exponent - self.bits + _GUARD)
        # Near 1 the difference x − 1 may itself be rounded.
        rounding = np.maximum(rounding, np.where(near, minus_one.error + 2, EXACT))
        return result._with_error(error_of_log(self, rounding))

    def log1p(self) -> "Wide":
        """Return log(1 + x) for x > −1, also for an x that 1 would absorb."""
        near = self.exponent < _NEAR_ONE
        small = self.chosen(near, self, 0.0)._small_log1p()
        rounding = np.where(small.is_zero, EXACT, small.exponent - self.bits + _GUARD)
        small = small._with_error(np.maximum(self.error + 2, rounding) + 1)
        return self.chosen(near, small, self.chosen(near, 1.0, self + 1.0).log())

    def _small_log1p(self) -> "Wide":
        """Return log(1 + x) = 2 atanh(x/(2 + x)) for |x| < 2^−5, by its series."""
        ratio = self / (self + 2.0)
        square = ratio * ratio
        work = self.bits + _GUARD
        series = np.frompyfunc(partial(_odd_series, bits=work), 1, 1)
        sums = series(_SHIFTED(square.mantissa, square.scale + work))
        return (ratio * _rounded(sums, np.full(self.shape, -work), EXACT, self.bits)).doubled()

    def doubled(self, times: int = 1) -> "Wide":
        """Multiply by 2**times, exactly."""
        exponent = np.where(self.is_zero, self.exponent, self.exponent + times)
        return Wide(self.mantissa, self.scale + times, exponent, self.error + times, self.bits)

    def chosen(self, condition: Mask, a: Operand, b: Operand) -> "Wide":
        """Choose a where the condition holds and b elsewhere."""
        x, y = self._like(a), self._like(b)
        return Wide(
            np.where(condition, x.mantissa, y.mantissa),
            np.where(condition, x.scale, y.scale),
            np.where(condition, x.exponent, y.exponent),
            np.where(condition, x.error, y.error),
            self.bits,
        )

    def to_double_double(self) -> DoubleDouble:
        """Return the 106 leading bits."""
        high, low = _LEADING(self.mantissa)
        hi = np.ldexp(np.asarray(high).astype(np.float64), -53)
        lo = np.ldexp(np.asarray(low).astype(np.float64), -106)
        whole = hi + lo
        error = np.maximum(self.error, self.exponent - 106) + 1
        return normalised(whole, lo - (whole - hi), self.exponent, error)

    def _like(self, value: Operand) -> "Wide":
        if isinstance(value, Wide):
            return value
        assert not isinstance(value, Tracked)
        return Wide.of(value, self.bits)

    def _with_error(self, error: Exponents) -> "Wide":
        return Wide(self.mantissa, self.scale, self.exponent, error, self.bits)


def _integers(values: Any) -> Integers:
    return np.asarray(values, dtype=object)


def _lengths(mantissa: Integers) -> Exponents:
    return np.asarray(_LENGTH(mantissa)).astype(np.int64)


def _rounded(mantissa: Any, scale: Any, error: Any, bits: int) -> Wide:
    """Return ``mantissa·2**scale`` cut to ``bits`` bits."""
    mantissa, scale = _integers(mantissa), np.asarray(scale).astype(np.int64)
    error = np.broadcast_to(np.asarray(error, dtype=np.int64), mantissa.shape)
    excess = np.maximum(_lengths(mantissa) - bits, 0)
    mantissa, scale = _integers(_SHIFTED(mantissa, -excess)), scale + excess
    error = np.where(excess > 0, np.maximum(error, scale) + 1, error)
    length = _lengths(mantissa)
    exponent = np.where(length == 0, ZERO_EXPONENT, scale + length)
    return Wide(mantissa, np.broadcast_to(scale, mantissa.shape), exponent, error, bits)


# Functions of a single number


def _shifted(value: int, places: int) -> int:
    """Return value·2**places, rounded down."""
    return value << places if places >= 0 else value >> -places


def _leading(mantissa: int) -> tuple[int, int]:
    """Return the first 53 bits of a mantissa and the next 53, with the sign of the mantissa."""
    leading = _shifted(abs(mantissa), 106 - mantissa.bit_length())
    sign = -1 if mantissa < 0 else 1
    return sign * (leading >> 53), sign * (leading & (2**53 - 1))


_SHIFTED = np.frompyfunc(_shifted, 2, 1)
_LEADING: Any = np.frompyfunc(_leading, 1, 2)
_LENGTH = np.frompyfunc(int.bit_length, 1, 1)
_FRACTION = np.frompyfunc(lambda value: value / (1 << value.bit_length()), 1, 1)


def _odd_series(square: int, bits: int) -> int:
    """Return Σ q^n/(2n + 1) = atanh(√q)/√q for 0 <= q < ½; all are integers over 2**bits."""
    total, power, odd = 0, 1 << bits, 1
    while power:
        total += power // odd
        power = power * square >> bits
        odd += 2
    return total


@cache
def _log_2_of(bits: int) -> int:
    work = bits + 32

    def inverse(n: int) -> int:
        """Return atanh(1/n)."""
        return _odd_series((1 << work) // (n * n), work) // n

    return (18 * inverse(26) - 2 * inverse(4801) + 8 * inverse(8749)) >> 32


def _log_2(bits: int) -> int:
    """Return log 2 over 2**bits, rounded down, or one less."""
    step = -(-bits // 256) * 256  # rounds up to a few widths, so that few are computed
    return _log_2_of(step) >> (step - bits)


def _exp(mantissa: int, scale: int, bits: int) -> tuple[int, int]:
    """Return e^(mantissa·2**scale) as (mantissa, scale), with a relative error within 2**−bits.

    It uses e^x = 2^n (e^(r/2^k))^(2^k). The squarings lose k bits, the halved argument k more.
    """
    if not mantissa:
        return 1, 0
    top = mantissa.bit_length() + scale
    if top > _BEYOND:
        return 1, -_FAR if mantissa < 0 else _FAR
    top = max(top, 0)
    halvings = math.isqrt(bits)
    work = bits + 2 * halvings + 16
    turns, rest = divmod(_shifted(mantissa, scale + work + top), _log_2(work + top))
    rest >>= top + halvings
    total = term = 1 << work
    count = 1
    while term:
        term = (term * rest >> work) // count
        total += term
        count += 1
    for _ in range(halvings):
        total = total * total >> work
    return total, turns - work


def _log(mantissa: int, scale: int, bits: int) -> tuple[int, int]:
    """Return log(mantissa·2**scale) as (mantissa, scale), within 2**−bits.

    It uses log f = y + log(f e^−y), which holds for any y. The closer y is to log f, the sooner the
    series ends.
    """
    length = mantissa.bit_length()
    exponent = length + scale
    work = bits + 16 + exponent.bit_length()
    fraction = _shifted(mantissa, work - length)
    start = round(math.log(mantissa / (1 << length)) * 2**60)
    inverse, places = _exp(-start, -60, work)
    rest = _shifted(fraction * inverse, places) - (1 << work)
    ratio = (rest << work) // ((2 << work) + rest)
    series = 2 * (ratio * _odd_series(ratio * ratio >> work, work) >> work)
    return _shifted(start, work - 60) + series + exponent * _log_2(work), -work
