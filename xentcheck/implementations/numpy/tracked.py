"""Arrays of numbers with error bounds.

A tracked number stands for an exact real number that is at most ``2**error`` away. Every operation
computes the bound of its result from the bounds of its operands and its own rounding. So the result
shows how much of it was lost to cancellation. The two kinds are `double_double.DoubleDouble` and
`wide.Wide`; a formula written for `Tracked` works with both.

The bounds are powers of two, rounded up at every step. ``EXACT`` marks a number without error.
"""

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

from xentcheck.deferred import np, npt
from xentcheck.model import Float64Array

Exponents: TypeAlias = "npt.NDArray[np.int64]"
Mask: TypeAlias = "npt.NDArray[np.bool_]"

ZERO_EXPONENT = -(2**40)  # exponent of the number 0: below all exponents that a calculation reaches
EXACT = ZERO_EXPONENT  # exponent of an error of 0
UNKNOWN = 2**36  # exponent of an unbounded error: above all others


class Tracked(ABC):
    """An array of finite numbers with error bounds.

    ``exponent`` e: |number| lies in [2**(e − 1), 2**e], or the number is 0 and e is
    `ZERO_EXPONENT`. ``error``: the exact number is at most 2**error away. All shapes broadcast.
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
        """The number divided by 2**exponent, within one ulp of float64."""

    @property
    def is_zero(self) -> Mask:
        """True where the computed number is 0."""
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
        """Return the quotient; a divisor of 0 is not allowed."""

    @abstractmethod
    def sum(self, axis: int) -> "Tracked":
        """Return the sum along an axis; a row's sum does not depend on the other rows."""

    @abstractmethod
    def exp(self) -> "Tracked":
        """e^x"""

    @abstractmethod
    def log(self) -> "Tracked":
        """Return the natural logarithm of x > 0."""

    @abstractmethod
    def log1p(self) -> "Tracked":
        """Return log(1 + x) for x > −1, also for an x that 1 would absorb."""

    def asymmetry(self) -> "Tracked":
        """(1 + d) log(1 + d) + (1 − d) log(1 − d) for |d| < 1; near d = 0 the terms cancel."""
        own, other = self.log1p(), (-self).log1p()
        return (self + 1.0) * own + (-self + 1.0) * other

    @abstractmethod
    def doubled(self, times: int = 1) -> "Tracked":
        """Multiply by 2**times, exactly."""

    @abstractmethod
    def chosen(self, condition: Mask, a: "Operand", b: "Operand") -> "Tracked":
        """Choose a where the condition holds and b elsewhere, as numbers of this kind."""

    def approximately(self) -> Float64Array:
        """Return float64 numbers within one ulp; infinity or 0 beyond the range of float64."""
        return np.ldexp(self.fraction, np.clip(self.exponent, -(2**20), 2**20).astype(np.int32))

    def in_doubt(self, bits: int, absolute: int) -> Mask:
        """True where the error is neither below 2**−bits of the number nor below 2**absolute."""
        return np.asarray(self.error > np.maximum(self.exponent - bits - 1, absolute))


Operand: TypeAlias = Tracked | Float64Array | float


def where(condition: Mask, a: Operand, b: Operand) -> Tracked:
    """Choose elementwise; at least one of the two is tracked."""
    kind = a if isinstance(a, Tracked) else b
    assert isinstance(kind, Tracked)
    return kind.chosen(condition, a, b)


def x_log_x(x: Tracked) -> Tracked:
    """Return x log x for x >= 0, with 0 log 0 = 0."""
    return x * where(x.is_zero, 1.0, x).log()


# Error bounds, as exponents of two. ``rounding`` bounds the error that the operation itself adds.


def error_of_sum(a: Tracked, b: Tracked, rounding: Any) -> Exponents:
    """Bound the error of a + b and a − b."""
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
    """Bound the error where e^±L with this exponent replaces e^x, |x| >= L.

    For x <= −L the replacement is too large by less than itself. If the error of x is at most
    |x|/2, then x <= −L/2 still holds, and e^(−L/2) bounds both.
    """
    sure = negative & (x.error <= x.exponent - 2)
    return np.where(sure, exponent // 2 + 1, UNKNOWN)


def error_of_log(x: Tracked, rounding: Any) -> Exponents:
    """|log x − log x'| <= |x − x'| / min(x, x'), with x >= x'/2."""
    bound = np.maximum(x.error - (x.exponent - 2), rounding) + 1
    return np.where(x.error > x.exponent - 2, UNKNOWN, bound)
