"""Interval arithmetic on mpmath's floats. Every operation rounds outward.

``mpmath.libmp`` rounds addition, multiplication and division correctly in the requested direction.
It does not promise this for the exponential and the logarithm. They are computed with 12 guard bits
and then widened by a relative 2**-(precision + 6), which is 64 times their documented error of one
unit in the last place. Exponents are unbounded integers, so nothing here overflows or underflows.

Source of the operations: R. E. Moore, *Interval Analysis*, 1966; mpmath's ``libmpi``.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

from mpmath import libmp

Mpf: TypeAlias = tuple[int, int, int, int]

_ZERO: Mpf = libmp.fzero
_ONE: Mpf = libmp.fone
_DOWN = libmp.round_floor
_UP = libmp.round_ceiling
_GUARD = 12


class UndecidedError(ArithmeticError):
    """The operands of an operation are too wide at this precision."""


def magnitude(x: Mpf) -> int:
    """The integer e with 2**(e-1) <= |x| < 2**e, for x != 0."""
    return int(x[2]) + int(x[3])


@lru_cache(maxsize=64)
def _widening(precision: int) -> tuple[Mpf, Mpf]:
    tiny = libmp.mpf_shift(_ONE, -(precision + 6))
    return libmp.mpf_sub(_ONE, tiny), libmp.mpf_add(_ONE, tiny)


class Interval:
    """A closed interval [lower, upper] of real numbers, computed with ``precision`` bits."""

    __slots__ = ("lower", "precision", "upper")

    def __init__(self, lower: Mpf, upper: Mpf, precision: int) -> None:
        self.lower = lower
        self.upper = upper
        self.precision = precision

    def __repr__(self) -> str:
        return f"[{libmp.to_str(self.lower, 20)}, {libmp.to_str(self.upper, 20)}]"

    @property
    def is_point(self) -> bool:
        """Whether the interval contains only one number."""
        return bool(self.lower == self.upper)

    @property
    def is_zero(self) -> bool:
        """Whether the interval is exactly zero."""
        return bool(self.lower == _ZERO and self.upper == _ZERO)

    def _coerce(self, other: Any) -> "Interval":
        if isinstance(other, Interval):
            return other
        exact = libmp.from_int(other) if isinstance(other, int) else _finite(float(other))
        return Interval(exact, exact, self.precision)

    def __neg__(self) -> "Interval":
        return Interval(libmp.mpf_neg(self.upper), libmp.mpf_neg(self.lower), self.precision)

    def __add__(self, other: Any) -> "Interval":
        other = self._coerce(other)
        return Interval(
            libmp.mpf_add(self.lower, other.lower, self.precision, _DOWN),
            libmp.mpf_add(self.upper, other.upper, self.precision, _UP),
            self.precision,
        )

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Interval":
        other = self._coerce(other)
        return Interval(
            libmp.mpf_sub(self.lower, other.upper, self.precision, _DOWN),
            libmp.mpf_sub(self.upper, other.lower, self.precision, _UP),
            self.precision,
        )

    def __rsub__(self, other: Any) -> "Interval":
        return self._coerce(other) - self

    def __mul__(self, other: Any) -> "Interval":
        other = self._coerce(other)
        lower, upper = libmp.mpi_mul(
            (self.lower, self.upper), (other.lower, other.upper), self.precision
        )
        return Interval(lower, upper, self.precision)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Interval":
        other = self._coerce(other)
        if libmp.mpf_sign(other.lower) * libmp.mpf_sign(other.upper) <= 0:
            message = "division by an interval that contains zero"
            raise UndecidedError(message)
        lower, upper = libmp.mpi_div(
            (self.lower, self.upper), (other.lower, other.upper), self.precision
        )
        return Interval(lower, upper, self.precision)

    def __rtruediv__(self, other: Any) -> "Interval":
        return self._coerce(other) / self

    def widened(self) -> "Interval":
        """A slightly larger interval that covers the error of an elementary function."""
        less, more = _widening(self.precision)
        negative_lower = libmp.mpf_sign(self.lower) < 0
        negative_upper = libmp.mpf_sign(self.upper) < 0
        return Interval(
            libmp.mpf_mul(self.lower, more if negative_lower else less, self.precision, _DOWN),
            libmp.mpf_mul(self.upper, less if negative_upper else more, self.precision, _UP),
            self.precision,
        )

    def intersects(self, other: "Interval") -> bool:
        """Whether the two intervals have a number in common."""
        return not (libmp.mpf_lt(self.upper, other.lower) or libmp.mpf_lt(other.upper, self.lower))


def _finite(value: float) -> Mpf:
    exact: Mpf = libmp.from_float(value)
    if not exact[1] and exact[2]:
        message = f"{value} is not a real number"
        raise ValueError(message)
    return exact


class IntervalArithmetic:
    """The operations of `xentcheck.losses.spec.Arithmetic` on intervals of ``precision`` bits."""

    def __init__(self, precision: int) -> None:
        self.precision = precision

    def number(self, value: float) -> Interval:
        """The point interval of a finite float."""
        exact = _finite(float(value))
        return Interval(exact, exact, self.precision)

    def exp(self, x: Interval) -> Interval:
        """e^x, which is exactly 1 for exactly 0."""
        if x.is_zero:
            return Interval(_ONE, _ONE, self.precision)
        return self._monotone(libmp.mpf_exp, x)

    def log(self, x: Interval) -> Interval:
        """The natural logarithm, which is exactly 0 for exactly 1."""
        if libmp.mpf_sign(x.lower) <= 0:
            message = "logarithm of an interval that reaches zero"
            raise UndecidedError(message)
        if x.lower == _ONE and x.upper == _ONE:
            return Interval(_ZERO, _ZERO, self.precision)
        return self._monotone(libmp.mpf_log, x)

    def log1p(self, x: Interval) -> Interval:
        """log(1 + x) for x > -1, which is exactly 0 for exactly 0."""
        return Interval(
            self._log1p(x.lower, lower=True), self._log1p(x.upper, lower=False), self.precision
        )

    def power(self, x: Interval, exponent: float) -> Interval:
        """x^exponent = exp(exponent · log x) for x > 0."""
        return self.exp(self.log(x) * exponent)

    def total(self, terms: Sequence[Interval], counts: Sequence[int] | None = None) -> Interval:
        """The sum of the terms; term i counts ``counts[i]`` times, or once without ``counts``."""
        lower, upper = _ZERO, _ZERO
        for position, term in enumerate(terms):
            low, high = term.lower, term.upper
            if counts is not None and counts[position] != 1:
                low = libmp.mpf_mul_int(low, counts[position], self.precision, _DOWN)
                high = libmp.mpf_mul_int(high, counts[position], self.precision, _UP)
            lower = libmp.mpf_add(lower, low, self.precision, _DOWN)
            upper = libmp.mpf_add(upper, high, self.precision, _UP)
        return Interval(lower, upper, self.precision)

    def _monotone(self, function: Any, x: Interval) -> Interval:
        lower = function(x.lower, self.precision + _GUARD, "n")
        upper = lower if x.is_point else function(x.upper, self.precision + _GUARD, "n")
        return Interval(lower, upper, self.precision).widened()

    def _log1p(self, x: Mpf, *, lower: bool) -> Mpf:
        if x == _ZERO:
            return _ZERO
        small = magnitude(x)
        if small < -(self.precision + 8):
            # x - x^2 <= log(1 + x) <= x for |x| <= 1/2
            if not lower:
                return x
            square = libmp.mpf_mul(x, x, self.precision, _UP)
            below: Mpf = libmp.mpf_sub(x, square, self.precision, _DOWN)
            return below
        precision = self.precision + _GUARD
        # 1 + x keeps all bits of x that a relative error of 2**-precision needs
        shifted = libmp.mpf_add(_ONE, x, precision + max(0, -small), _DOWN if lower else _UP)
        if libmp.mpf_sign(shifted) <= 0:
            message = "log1p of an interval that reaches -1"
            raise UndecidedError(message)
        if shifted == _ONE:
            return _ZERO
        value = libmp.mpf_log(shifted, precision, "n")
        widened = Interval(value, value, self.precision).widened()
        bound: Mpf = widened.lower if lower else widened.upper
        return bound
