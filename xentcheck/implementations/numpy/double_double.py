"""Double-double arithmetic over arrays: about 100 bits, and no overflow or underflow.

A number is ``(hi + lo)·2**exponent``. |lo| is at most half an ulp of hi, and hi lies in [½, 1) or
is 0. Because of the separate exponent, e^−800 and the square of the largest float64 need no special
treatment. Relative errors stay below 2^−102 for arithmetic (for addition of opposite signs relative
to the larger operand), 2^−100 for e^x and 2^−96 for logarithms. ``error`` bounds their accumulated
effect (`tracked`).

Sources: T. J. Dekker, "A floating-point technique for extending the available precision", 1971;
Y. Hida, X. S. Li and D. H. Bailey, "Library for double-double and quad-double arithmetic", 2007;
M. Joldes, J.-M. Muller and V. Popescu, "Tight and rigorous error bounds for basic building blocks
of double-word arithmetic", ACM TOMS 44(2), 2017; S. Boldo and G. Melquiond on rounding to odd,
"Emulation of FMA and correctly rounded sums", 2008.
"""

import decimal
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

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

Pair: TypeAlias = tuple[Float64Array, Float64Array]

_SPLITTER = 134217729.0  # 2^27 + 1
_NEGLIGIBLE = -2000  # an operand that is shifted this far (power of two) has no effect on a sum
_ARITHMETIC = 102  # correct bits of a sum, a product or a quotient
_EXPONENTIAL = 100  # correct bits of e^x
_LOGARITHM = 96  # correct bits of a logarithm or `asymmetry`
_UNBROKEN = 900  # a float64 in [½, 1) loses nothing when shifted down by fewer places than this


def _two_sum(a: Float64Array, b: Float64Array) -> Pair:
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _quick_two_sum(a: Float64Array, b: Float64Array) -> Pair:
    """Return a + b as a pair, for |a| >= |b|."""
    s = a + b
    return s, b - (s - a)


def _split(a: Float64Array) -> Pair:
    t = _SPLITTER * a
    high = t - (t - a)
    return high, a - high


def _two_product(a: Float64Array, b: Float64Array) -> Pair:
    p = a * b
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return p, ((a1 * b1 - p) + a1 * b2 + a2 * b1) + a2 * b2


def _add(a: Pair, b: Pair) -> Pair:
    s, e = _two_sum(a[0], b[0])
    t, f = _two_sum(a[1], b[1])
    s, e = _quick_two_sum(s, e + t)
    return _quick_two_sum(s, e + f)


def _multiply(a: Pair, b: Pair) -> Pair:
    p, e = _two_product(a[0], b[0])
    return _quick_two_sum(p, e + (a[0] * b[1] + a[1] * b[0]))


def _divide(a: Pair, b: Pair) -> Pair:
    q1 = a[0] / b[0]
    r = _add(a, _negative(_multiply(b, (q1, np.zeros_like(q1)))))
    q2 = r[0] / b[0]
    r = _add(r, _negative(_multiply(b, (q2, np.zeros_like(q2)))))
    q3 = r[0] / b[0]
    q1, q2 = _quick_two_sum(q1, q2)
    return _add((q1, q2), (q3, np.zeros_like(q3)))


def _negative(a: Pair) -> Pair:
    return -a[0], -a[1]


def _constants(*values: decimal.Decimal) -> Pair:
    """Return decimals as pairs, correctly rounded to about 107 bits."""
    hi = [float(value) for value in values]
    lo = [float(v - decimal.Decimal(h)) for v, h in zip(values, hi, strict=True)]
    return np.array(hi), np.array(lo)


_STEPS = 64  # e^(j/64) and log(j/64) are tabulated
with decimal.localcontext() as _context:
    _context.prec = 60
    _D = decimal.Decimal
    _EXP_TABLE = _constants(*((_D(j) / _STEPS).exp() for j in range(-23, 24)))
    _LOG_TABLE = _constants(*((_D(j) / _STEPS).ln() for j in range(45, 92)))
    _INVERSE_FACTORIALS = _constants(*(1 / _D(int(np.prod(range(1, n + 1)))) for n in range(14)))
    _INVERSE_ODD = _constants(*(1 / _D(2 * n + 1) for n in range(10)))
    _ENTROPY_SERIES = _constants(*(1 / _D(n * (2 * n - 1)) for n in range(1, 9)))
    _LN2 = _D(2).ln()
    _LN2_HI = round(float(_LN2) * 2**30) / 2**30  # its product with an integer below 2^23 is exact
    _LN2_LO = _constants(_LN2 - _D(_LN2_HI))


def _horner(x: Pair, coefficients: Pair, exact_from: int) -> Pair:
    """Return Σ c_n x^n; terms from ``exact_from`` on are so small that float64 is enough."""
    tail = np.zeros_like(x[0])
    for n in range(len(coefficients[0]) - 1, exact_from - 1, -1):
        tail = tail * x[0] + coefficients[0][n]
    result: Pair = (tail, np.zeros_like(tail))
    for n in range(exact_from - 1, -1, -1):
        result = _add(_multiply(result, x), (coefficients[0][n], coefficients[1][n]))
    return result


@dataclass(frozen=True, slots=True, eq=False)
class DoubleDouble(Tracked):
    """An array of finite, normalised numbers ``(hi + lo)·2**exponent``."""

    hi: Float64Array
    lo: Float64Array
    exponent: Exponents
    error: Exponents

    @classmethod
    def of(cls, values: npt.ArrayLike) -> "DoubleDouble":
        """Convert finite float64 numbers exactly."""
        values = np.asarray(values, dtype=np.float64)
        return normalised(values, np.zeros_like(values), np.zeros(values.shape, np.int64), EXACT)

    @property
    def fraction(self) -> Float64Array:
        """The same as ``hi``."""
        return self.hi

    def __getitem__(self, index: Any) -> "DoubleDouble":
        return DoubleDouble(
            np.asarray(self.hi[index]),
            np.asarray(self.lo[index]),
            np.asarray(self.exponent[index]),
            np.asarray(self.error[index]),
        )

    def __neg__(self) -> "DoubleDouble":
        return DoubleDouble(-self.hi, -self.lo, self.exponent, self.error)

    def __add__(self, other: Operand) -> "DoubleDouble":
        b = _as_double_double(other)
        exponent = np.maximum(self.exponent, b.exponent)
        # The sum of two float64 numbers is exact if their exponents are not too far apart.
        short = (self.lo == 0) & (b.lo == 0)
        apart = np.abs(self.exponent - b.exponent)
        exact = short & ((apart < _UNBROKEN) | self.is_zero | b.is_zero)
        error = error_of_sum(self, b, np.where(exact, EXACT, exponent - _ARITHMETIC))
        return normalised(*_add(self._at(exponent), b._at(exponent)), exponent, error)

    def __sub__(self, other: Operand) -> "DoubleDouble":
        return self + -_as_double_double(other)

    def __mul__(self, other: Operand) -> "DoubleDouble":
        b = _as_double_double(other)
        product = _multiply((self.hi, self.lo), (b.hi, b.lo))
        exponent = self.exponent + b.exponent
        rounding = np.where((self.lo == 0) & (b.lo == 0), EXACT, exponent - _ARITHMETIC)
        return normalised(*product, exponent, error_of_product(self, b, rounding))

    def __truediv__(self, other: Operand) -> "DoubleDouble":
        """Return the quotient; a divisor of 0 is not allowed."""
        b = _as_double_double(other)
        quotient = _divide((self.hi, self.lo), (b.hi, b.lo))
        exponent = self.exponent - b.exponent
        error = error_of_quotient(self, b, exponent + 1 - _ARITHMETIC)
        return normalised(*quotient, exponent, error)

    def _at(self, exponent: Exponents) -> Pair:
        shift = np.clip(self.exponent - exponent, _NEGLIGIBLE, -_NEGLIGIBLE).astype(np.int32)
        return np.ldexp(self.hi, shift), np.ldexp(self.lo, shift)

    def sum(self, axis: int) -> "DoubleDouble":
        """Return the sum along an axis, added pairwise; other rows do not affect a row's sum."""
        exponent = self.exponent.max(axis=axis, keepdims=True, initial=ZERO_EXPONENT)
        hi, lo = (np.moveaxis(each, axis, 0) for each in self._at(exponent))
        if not len(hi):
            return DoubleDouble.of(np.zeros(hi.shape[1:]))
        # Each addition that a term takes part in adds a rounding error, a fraction of Σ|term|.
        size = np.frexp(np.abs(hi).sum(axis=0))[1] + len(hi).bit_length().bit_length()
        largest = self.error.max(axis=axis, keepdims=True)
        shares = np.exp2(np.maximum(self.error - largest, _NEGLIGIBLE).astype(np.float64))
        carried = np.squeeze(largest, axis) + np.frexp(shares.sum(axis=axis))[1]
        while len(hi) > 1:
            half = len(hi) // 2
            odd = (hi[2 * half :], lo[2 * half :])
            hi, lo = _add((hi[:half], lo[:half]), (hi[half : 2 * half], lo[half : 2 * half]))
            hi, lo = np.concatenate([hi, odd[0]]), np.concatenate([lo, odd[1]])
        exponent = np.squeeze(exponent, axis)
        error = np.maximum(carried, exponent + size - _ARITHMETIC) + 1
        return normalised(hi[0], lo[0], exponent, error)

    def exp(self) -> "DoubleDouble":
        """See `exp`."""
        return exp(self)

    def log(self) -> "DoubleDouble":
        """See `log`."""
        return log(self)

    def log1p(self) -> "DoubleDouble":
        """See `log1p`."""
        return log1p(self)

    def asymmetry(self) -> "DoubleDouble":
        """See `asymmetry`; valid for |d| < 2^−6."""
        return asymmetry(self)

    def chosen(self, condition: Mask, a: Operand, b: Operand) -> "DoubleDouble":
        """See `where`."""
        return where(condition, a, b)

    def to_float64(self) -> Float64Array:
        """Round once to the nearest float64, also in the subnormal range."""
        subnormal = self.exponent < -1021
        hi, lo = self._at(np.where(subnormal, -1074, self.exponent))  # in smallest subnormals
        whole = np.rint(hi)
        rest = (hi - whole) + lo
        whole = whole + (rest > 0.5) - (rest < -0.5)
        return np.where(subnormal, np.ldexp(whole, -1074), self.approximately())

    def to_odd(self) -> Float64Array:
        """Return a float64 that rounds to formats of at most 51 bits as the number itself does."""
        even = (self.hi.view(np.int64) & 1) == 0
        toward = np.nextafter(self.hi, np.copysign(np.inf, self.lo))
        odd = np.where(even & (self.lo != 0), toward, self.hi)
        return np.ldexp(odd, np.clip(self.exponent, -(2**20), 2**20).astype(np.int32))

    def doubled(self, times: int = 1) -> "DoubleDouble":
        """Multiply by 2**times, exactly."""
        exponent = np.where(self.is_zero, self.exponent, self.exponent + times)
        return DoubleDouble(self.hi, self.lo, exponent, self.error + times)

    def replaced(self, rows: npt.NDArray[np.intp], new: "DoubleDouble") -> "DoubleDouble":
        """Return a copy with these rows, of shape (rows, …), replaced by ``new``."""
        parts = []
        for old, part in (
            (self.hi, new.hi),
            (self.lo, new.lo),
            (self.exponent, new.exponent),
            (self.error, new.error),
        ):
            copy: Any = np.array(old)
            copy[rows] = part
            parts.append(copy)
        return DoubleDouble(*parts)


def _as_double_double(value: Operand) -> DoubleDouble:
    if isinstance(value, DoubleDouble):
        return value
    assert not isinstance(value, Tracked)
    return DoubleDouble.of(value)


def normalised(hi: Any, lo: Any, exponent: Any, error: Any) -> DoubleDouble:
    """Return ``(hi + lo)·2**exponent`` with hi in [½, 1), or 0 with the smallest exponent.

    Args:
        hi: leading part, any shape.
        lo: small part, broadcasts to the shape of ``hi``.
        exponent: power of two of the given number, broadcasts.
        error: power of two of its error bound, broadcasts.
    """
    hi = np.asarray(hi, dtype=np.float64)
    mantissa, shift = np.frexp(hi)
    low = np.ldexp(np.asarray(lo, dtype=np.float64), -shift)
    new = np.where(mantissa == 0, ZERO_EXPONENT, np.asarray(exponent) + shift)
    return DoubleDouble(
        mantissa,
        np.broadcast_to(low, mantissa.shape),
        new.astype(np.int64),
        np.broadcast_to(np.asarray(error, dtype=np.int64), mantissa.shape),
    )


def where(condition: Mask, a: Operand, b: Operand) -> DoubleDouble:
    """Choose elementwise."""
    x, y = _as_double_double(a), _as_double_double(b)
    return DoubleDouble(
        np.where(condition, x.hi, y.hi),
        np.where(condition, x.lo, y.lo),
        np.where(condition, x.exponent, y.exponent),
        np.where(condition, x.error, y.error),
    )


def _with_error(x: DoubleDouble, error: Exponents) -> DoubleDouble:
    return DoubleDouble(x.hi, x.lo, x.exponent, error)


def exp(x: DoubleDouble) -> DoubleDouble:
    """Return e^x; relative error below 2^−100·max(1, |x|/16). Beyond ±2^20 it takes ±2^20."""
    given, beyond = x, x.exponent > 20
    x = where(beyond, DoubleDouble.of(np.copysign(2.0**20, x.hi)), x)
    turns = np.rint(x.approximately() / _LN2_HI)
    # If turns is 0, x may be too small for float64. Then e^x is 1 + x to all digits.
    reduced = (x - DoubleDouble.of(turns * _LN2_HI)) - DoubleDouble.of(turns) * _LN2_LO_NUMBER
    pair = reduced._at(np.zeros_like(reduced.exponent))
    step = np.clip(np.rint(pair[0] * _STEPS), -23, 23)
    r = _add(pair, (-step / _STEPS, np.zeros_like(step)))
    series = _horner(r, _INVERSE_FACTORIALS, 8)
    index = step.astype(np.intp) + 23
    product = _multiply(series, (_EXP_TABLE[0][index], _EXP_TABLE[1][index]))
    result = normalised(*product, turns.astype(np.int64), EXACT)
    rounding = result.exponent + np.maximum(x.exponent - 4, 0) - _EXPONENTIAL
    rounding = np.where(given.is_zero, EXACT, rounding)
    error = error_of_exp(given, result.exponent, rounding)
    edge = error_of_far_exp(given, given.hi < 0, result.exponent)
    return _with_error(result, np.where(beyond, edge, error))


def log(x: DoubleDouble) -> DoubleDouble:
    """Return the natural logarithm of x > 0; relative error below 2^−96, also near 1."""
    result = _log(x, None)
    return _with_error(result, error_of_log(x, _rounding_of_log(result)))


def log1p(x: DoubleDouble) -> DoubleDouble:
    """Return log(1 + x) for x > −1; relative error below 2^−96, also for small x."""
    whole = x + 1.0
    result = _log(whole, x)
    # For small x the series uses x itself. Otherwise it uses the sum, which was rounded.
    near = _with_error(whole, np.where(x.exponent < _NEAR_ONE, x.error, whole.error))
    return _with_error(result, error_of_log(near, _rounding_of_log(result)))


def _rounding_of_log(result: DoubleDouble) -> Exponents:
    return np.where(result.is_zero, EXACT, result.exponent - _LOGARITHM)


def _log(x: DoubleDouble, minus_one: DoubleDouble | None) -> DoubleDouble:
    # m in [1/√2, √2) and the nearest c = j/64: log x = e log 2 + log c + log(1 + (m − c)/c)
    low = x.hi < 0.70710678
    exponent = np.where(low, x.exponent - 1, x.exponent)
    scale = np.where(low, 2.0, 1.0)
    hi, lo = x.hi * scale, x.lo * scale
    step = np.clip(np.rint(hi * _STEPS), 45, 91)
    center = step / _STEPS
    zero = np.zeros_like(center)
    u = normalised(*_divide(_add((hi, lo), (-center, zero)), (center, zero)), 0, EXACT)
    if minus_one is not None:
        near = minus_one.exponent < _NEAR_ONE
        u = where(near, minus_one, u)
        step, exponent = np.where(near, _STEPS, step), np.where(near, 0, exponent)
    s = u / (u + 2.0)  # log(1 + u) = 2 atanh(u/(2 + u))
    square = _multiply(*(((s * 1.0)._at(np.zeros_like(s.exponent)),) * 2))
    series = (s * normalised(*_horner(square, _INVERSE_ODD, 5), 0, EXACT)).doubled()
    index = step.astype(np.intp) - 45
    table = normalised(_LOG_TABLE[0][index], _LOG_TABLE[1][index], 0, EXACT)
    turns = exponent.astype(np.float64)
    whole = DoubleDouble.of(turns * _LN2_HI) + (DoubleDouble.of(turns) * _LN2_LO_NUMBER + table)
    return whole + series


def asymmetry(d: DoubleDouble) -> DoubleDouble:
    """(1 + d) log(1 + d) + (1 − d) log(1 − d) for |d| < 2^−6, where the terms nearly cancel.

    It uses the series Σ d^2n/(n (2n − 1)), n >= 1.
    """
    square = d * d
    pair = square._at(np.zeros_like(d.exponent))
    return square * normalised(*_horner(pair, _ENTROPY_SERIES, 4), 0, -_LOGARITHM)


_NEAR_ONE = -8  # exponent of two: for |x| < 2^−8 log1p uses its series in x itself
_low = normalised(*_LN2_LO, 0, EXACT)
_LN2_LO_NUMBER = DoubleDouble(_low.hi[0], _low.lo[0], _low.exponent[0], _low.error[0])
