"""Arrays of numbers that know how wrong they may be.

A tracked number stands for a real number within ``2**error`` of it. Every operation computes the
bound of its result from the bounds of its operands and its own rounding, so a result shows at the
end how much of it cancelled. `double_double.DoubleDouble` and `wide.Wide` are the two kinds; a
formula that is written for `Tracked` computes in either.

The bounds are powers of two and rounded up at every step. ``EXACT`` marks a number without error.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.model import Float64Array

Exponents: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]

ZERO_EXPONENT = -(2**40)  # of the number 0: below every exponent that a calculation reaches
EXACT = ZERO_EXPONENT  # an error of nothing
UNKNOWN = 2**36  # an error that nothing is known about; above every exponent reached


class Tracked(ABC):
    """An array of finite numbers with error bounds.

    ``exponent`` e: |number| lies in [2**(e − 1), 2**e], or the number is 0 and e is
    `ZERO_EXPONENT`. ``error``: the exact number lies within 2**error. All shapes broadcast.
    """

    __slots__ = ()

    exponent: Exponents
    error: Exponents

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""
        return self.exponent.shape

    @property
    @abstractmethod
    def fraction(self) -> Float64Array:
        """The number over 2**exponent, within one ulp of float64."""

    @property
    def is_zero(self) -> Mask:
        """Where the computed number is 0."""
        return np.asarray(self.exponent == ZERO_EXPONENT)

    @abstractmethod
    def __getitem__(self, index: Any) -> "Tracked": ...

    @abstractmethod
    def __neg__(self) -> "Tracked": ...

    @abstractmethod
    def __add__(self, other: "Operand") -> "Tracked": ...

    @abstractmethod
    def __sub__(self, other: "Operand") -> "Tracked": ...

    @abstractmethod
    def __mul__(self, other: "Operand") -> "Tracked": ...

    @abstractmethod
    def __truediv__(self, other: "Operand") -> "Tracked":
        """The quotient; a divisor of 0 is not allowed."""

    @abstractmethod
    def sum(self, axis: int) -> "Tracked":
        """The sum along an axis: the same in any company of other rows."""

    @abstractmethod
    def exp(self) -> "Tracked":
        """e^x"""

    @abstractmethod
    def log(self) -> "Tracked":
        """Natural logarithm of x > 0."""

    @abstractmethod
    def log1p(self) -> "Tracked":
        """log(1 + x) for x > −1, also for x that vanish beside 1."""

    def asymmetry(self) -> "Tracked":
        """(1 + d) log(1 + d) + (1 − d) log(1 − d) for |d| < 1; next to d = 0 the terms cancel."""
        own, other = self.log1p(), (-self).log1p()
        return (self + 1.0) * own + (-self + 1.0) * other

    @abstractmethod
    def doubled(self, times: int = 1) -> "Tracked":
        """Multiplied by 2**times, exactly."""

    @abstractmethod
    def chosen(self, condition: Mask, a: "Operand", b: "Operand") -> "Tracked":
        """a where the condition holds and b elsewhere, in the kind of this number."""

    def approximately(self) -> Float64Array:
        """Within one ulp; infinities and zeros beyond the range of float64."""
        return np.ldexp(self.fraction, np.clip(self.exponent, -(2**20), 2**20).astype(np.int32))

    def in_doubt(self, bits: int, absolute: int) -> Mask:
        """Where neither the error is below 2**−bits of the number nor below 2**absolute."""
        return np.asarray(self.error > np.maximum(self.exponent - bits - 1, absolute))


Operand: TypeAlias = Tracked | Float64Array | float


def where(condition: Mask, a: Operand, b: Operand) -> Tracked:
    """Elementwise choice; at least one of the two is tracked."""
    kind = a if isinstance(a, Tracked) else b
    assert isinstance(kind, Tracked)
    return kind.chosen(condition, a, b)


def x_log_x(x: Tracked) -> Tracked:
    """x log x for x >= 0, with 0 log 0 = 0."""
    return x * where(x.is_zero, 1.0, x).log()


# Error bounds, as exponents of two. ``rounding`` bounds the error that the operation itself adds.


def error_of_sum(a: Tracked, b: Tracked, rounding: Any) -> Exponents:
    """Of a + b and a − b."""
    return np.asarray(np.maximum(np.maximum(a.error, b.error), rounding) + 2)


def error_of_product(a: Tracked, b: Tracked, rounding: Any) -> Exponents:
    """|ab − a'b'| <= |a − a'| |b| + |a'| |b − b'|, where a' and b' are the computed numbers."""
    size = np.maximum(b.exponent, b.error) + 1
    carried = np.maximum(a.error + size, a.exponent + b.error)
    return np.asarray(np.maximum(carried, rounding) + 2)


def error_of_quotient(a: Tracked, b: Tracked, rounding: Any) -> Exponents:
    """|a/b − a'/b'| <= (|a − a'| + |a'/b'| |b − b'|) / |b|, with |b| >= |b'| / 2."""
    carried = np.maximum(a.error, a.exponent - b.exponent + 1 + b.error) - (b.exponent - 2)
    bound = np.maximum(carried, rounding) + 2
    return np.where(b.error > b.exponent - 2, UNKNOWN, bound)


def error_of_exp(x: Tracked, exponent: Exponents, rounding: Any) -> Exponents:
    """e^d − 1 <= 2 |d| for |d| <= 1; ``exponent`` is that of the result."""
    bound = np.maximum(exponent + x.error + 1, rounding) + 1
    return np.where(x.error > 0, UNKNOWN, bound)


def error_of_far_exp(x: Tracked, negative: Mask, exponent: Exponents) -> Exponents:
    """Where e^±L of this exponent stands for e^x, |x| >= L.

    For x <= −L it is too large by less than itself. With an error of at most |x|/2, x <= −L/2
    still holds, and e^(−L/2) bounds both.
    """
    sure = negative & (x.error <= x.exponent - 2)
    return np.where(sure, exponent // 2 + 1, UNKNOWN)


def error_of_log(x: Tracked, rounding: Any) -> Exponents:
    """|log x − log x'| <= |x − x'| / min(x, x'), with x >= x'/2."""
    bound = np.maximum(x.error - (x.exponent - 2), rounding) + 1
    return np.where(x.error > x.exponent - 2, UNKNOWN, bound)
