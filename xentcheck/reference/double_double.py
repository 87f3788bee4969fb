"""Arrays of double-double numbers: the unevaluated sum of two float64 numbers.

A number is hi + lo with |lo| ≤ u |hi|, u = 2^-53. Operations work without fused multiply-add. Their
bounds, in the absence of underflow and overflow, are those of M. Joldes, J.-M. Muller and V.
Popescu, "Tight and rigorous error bounds for basic building blocks of double-word arithmetic", ACM
TOMS 44 (2017):

* sum (their algorithm 6): 3u² + 13u³ relative to the exact sum, also where the terms cancel;
* product (algorithm 10): 7u²; quotient (algorithm 17): 15u² + 56u³;
* with one float64 number: sum (algorithm 4) 2u², product (algorithm 8) 3u².

The exact sum of two numbers is D. Knuth's, the exact product T. Dekker's, with G. Veltkamp's
splitting. `UNIT` = 16u² covers all of them.

exp: with n = rint(512 x/ln 2), x − n ln 2/512 is formed with ln 2/512 in three parts. The first two
have 33 bits, so that their products with n are exact. What is left, r, is at most 2^-10.5 in
magnitude. Its exponential minus 1 is r + (r²/2 + r³/6 + …), with the bracket in float64: at most
2^-22, with a relative error below 2^-50. The table has 2^(j/512) as two numbers. The first has 26
bits, so that its product with the first half of r is exact; the rest is in float64, below 2^-26.

log: x = 2^e m with m in [√½, √2), and c the nearest multiple of 1/256. log m is log c + 2 atanh s
with s = (m − c)/(m + c), |s| < 2^-8.9. 2 atanh s = 2s + (2s³/3 + …), with the bracket in float64:
at most 2^-18 |s|, with a relative error below 2^-50. Only for c = 1 and e = 0 the result may be
small, and there it is 2 atanh s alone, so the bound stays relative.

`FUNCTION` = 2^-68 bounds the relative error of both: the brackets contribute 2^-72 (exp) and
2^-68.9 (log; 2 atanh s and log c cancel by at most a factor of 2), what the series leave out 2^-72
and 2^-74, the rest is below 2^-76. The tests measure them against mpmath, at every switch-over.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, Literal

import mpmath
import numpy as np
import numpy.typing as npt

Float64Array = npt.NDArray[np.float64]

UNIT: Final = 2.0**-102
FUNCTION: Final = 2.0**-68
STEPS: Final = 512
_STEP_BITS: Final = 9
"""Entries of the table of exp, and their logarithm."""

TABLE: Final = 256
"""Entries of the table of log for an octave."""

LOWEST: Final = -741.0
TINY: Final = 2.0**-1070
"""What stands for a number that underflows, such as exp of less than `LOWEST`. 0 is exactly 0."""

LARGEST_FACTOR: Final = 2.0**30
SMALLEST_NUMBER: Final = 2.0**-800
LARGEST_NUMBER: Final = 2.0**900
"""The ranges of factors and of numbers where the bounds hold; see `FLOOR`."""

FLOOR: Final = 2.0**-950
"""Absolute bound of the error that underflow causes in a result.

An operation errs by at most 2^-1069 where it underflows. A result multiplies that by at most three
numbers up to `LARGEST_FACTOR` and adds fewer than 2^23 of them.
"""

SPLITTER: Final = 2.0**27 + 1.0
CHUNK: Final = 1 << 12
"""Numbers whose exponentials are computed together: few enough for the cache of one core."""


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The sum of two numbers and its error, exactly."""
    total = a + b
    back = total - a
    lost = total - back
    lost -= a
    back = b - back
    back -= lost
    return total, back


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """The same for |a| ≥ |b|."""
    total = a + b
    rest = total - a
    return total, b - rest


def split(a: Any) -> tuple[Any, Any]:
    """A number as the sum of two of 26 bits."""
    high = SPLITTER * a
    rest = high - a
    high -= rest
    return high, a - high


def two_product(a: Any, b: Any) -> tuple[Any, Any]:
    """The product of two numbers and its error, exactly."""
    product = a * b
    a_high, a_low = split(a)
    b_high, b_low = split(b)
    error = a_high * b_high
    error -= product
    error += a_high * b_low
    error += a_low * b_high
    error += a_low * b_low
    return product, error


class DoubleDouble:
    """An array of double-double numbers that NumPy's functions take, as far as forms need them.

    ``exact``: the numbers are float64 numbers, so their lower parts are 0.
    """

    __slots__ = ("_lo", "hi")
    __array_priority__ = 100.0

    def __init__(self, hi: Any, lo: Any = None) -> None:
        self.hi: Float64Array = np.asarray(hi, dtype=np.float64)
        self._lo: Float64Array | None = None if lo is None else np.asarray(lo, dtype=np.float64)

    @property
    def exact(self) -> bool:
        return self._lo is None

    @property
    def lo(self) -> Float64Array:
        """The lower parts."""
        if self._lo is None:
            self._lo = np.zeros_like(self.hi)
        return self._lo

    # what an array has ------------------------------------------------------------------------

    @property
    def shape(self) -> tuple[int, ...]:
        return self.hi.shape

    @property
    def ndim(self) -> int:
        return self.hi.ndim

    @property
    def size(self) -> int:
        return self.hi.size

    def __len__(self) -> int:
        return len(self.hi)

    def __bool__(self) -> bool:
        return bool(self.hi)

    def __float__(self) -> float:
        return float(self.hi)

    def __getitem__(self, index: Any) -> "DoubleDouble":
        return DoubleDouble(self.hi[index], None if self._lo is None else self._lo[index])

    def __setitem__(self, index: Any, numbers: Any) -> None:
        given = _double(numbers)
        self.hi[index] = given.hi
        self.lo[index] = given.lo

    def astype(self, dtype: Any, copy: bool = True) -> Float64Array:
        """The nearest float64 numbers."""
        assert np.dtype(dtype) == np.float64
        return self.hi.copy() if copy else self.hi

    def any(self) -> bool:
        return bool(self.hi.any())

    def argmax(self, axis: int) -> npt.NDArray[np.intp]:
        return np.asarray(self.hi.argmax(axis=axis))

    # arithmetic -------------------------------------------------------------------------------

    def __neg__(self) -> "DoubleDouble":
        return DoubleDouble(-self.hi, None if self._lo is None else -self._lo)

    def __add__(self, other: Any) -> "DoubleDouble":
        other = _double(other)
        high, error = two_sum(self.hi, other.hi)
        if self.exact and other.exact:
            return _finite(high, error)
        if self.exact or other.exact:
            return _pair(high, error + (other.lo if self.exact else self.lo))
        low, rest = two_sum(self.lo, other.lo)
        return _renormalised(high, error + low, rest)

    __radd__ = __add__

    def __sub__(self, other: Any) -> "DoubleDouble":
        return self + (-_double(other))

    def __rsub__(self, other: Any) -> "DoubleDouble":
        return _double(other) + (-self)

    def __mul__(self, other: Any) -> "DoubleDouble":
        other = _double(other)
        high, error = two_product(self.hi, other.hi)
        if not (self.exact or other.exact):
            error = error + (self.hi * other.lo + self.lo * other.hi)
        elif not self.exact:
            error = error + self.lo * other.hi
        elif not other.exact:
            error = error + self.hi * other.lo
        return _pair(_sticky(high, self.hi, other.hi), error)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "DoubleDouble":
        other = _double(other)
        quotient = np.asarray(self.hi / other.hi)
        high, error = two_product(other.hi, quotient)
        high, rest = fast_two_sum(high, other.lo * quotient)
        high, low = fast_two_sum(high, rest + error)
        left = (self.hi - high) + (self.lo - low)
        return _pair(_sticky(quotient, self.hi, other.hi), left / other.hi)

    def __rtruediv__(self, other: Any) -> "DoubleDouble":
        return _double(other) / self

    def _compared(self, other: Any, compare: Callable[[Any, Any], Any]) -> Any:
        """By the sign of the difference; numbers that are equal have equal parts."""
        other = _double(other)
        same = self.hi == other.hi
        return np.where(same, compare(self.lo, other.lo), compare(self.hi, other.hi))

    def __eq__(self, other: object) -> Any:
        other = _double(other)
        return np.asarray((self.hi == other.hi) & (self.lo == other.lo))

    def __ne__(self, other: object) -> Any:
        return ~self.__eq__(other)

    __hash__ = None  # type: ignore[assignment]

    def __lt__(self, other: Any) -> Any:
        return self._compared(other, np.less)

    def __le__(self, other: Any) -> Any:
        return self._compared(other, np.less_equal)

    def __gt__(self, other: Any) -> Any:
        return self._compared(other, np.greater)

    def __ge__(self, other: Any) -> Any:
        return self._compared(other, np.greater_equal)

    # functions --------------------------------------------------------------------------------

    def exp(self) -> "DoubleDouble":
        """e^x for x ≤ 0."""
        return DoubleDouble(*_blocked(_exp, self.hi, self.lo))

    def log(self) -> "DoubleDouble":
        """log x for x ≥ 0."""
        return DoubleDouble(*_blocked(_log, self.hi, self.lo))

    def log1p(self) -> "DoubleDouble":
        """log(1 + x) for x ≥ −1."""
        return DoubleDouble(*_blocked(_log1p, self.hi, self.lo))

    def absolute(self) -> "DoubleDouble":
        sign = np.where(np.signbit(self.hi), -1.0, 1.0)
        return DoubleDouble(np.abs(self.hi), None if self._lo is None else self._lo * sign)

    def total(self) -> tuple["DoubleDouble", float]:
        """The sum along the last axis, and its error in units of `UNIT` times the magnitudes.

        Leading parts are added exactly, in pairs; the errors and the lower parts are added in
        float64. These are at most u(1 + log₂ n) times the magnitudes.
        """
        high, low = self.hi, self.lo
        count = terms = high.shape[-1]
        if not count:
            return DoubleDouble(np.zeros(high.shape[:-1])), 0.0
        rounds = 0
        while count > 1:
            half = count // 2
            sums, error = two_sum(high[..., :half], high[..., half : 2 * half])
            lows = low[..., :half] + low[..., half : 2 * half]
            lows += error
            if count % 2:
                last, error = two_sum(sums[..., 0], high[..., -1])
                sums[..., 0] = last
                lows[..., 0] += low[..., -1] + error
            high, low, count = sums, lows, half
            rounds += 3
        sums, rest = two_sum(high[..., 0], low[..., 0])
        # each lower part goes through `rounds` additions, of magnitudes of at most (1 + rounds) u
        factor = (rounds + 2) * (rounds + 2) * 2.0**-106 / UNIT if terms > 1 else 0.0
        return _finite(sums, rest), factor

    # NumPy's protocols ------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **more: Any) -> Any:
        out = more.pop("out", None)
        if method != "__call__" or more or ufunc not in _UFUNCS:
            return NotImplemented
        result = _UFUNCS[ufunc](*inputs)
        if out is None:
            return result
        (target,) = out
        target.hi[...], target.lo[...] = result.hi, result.lo
        return target

    def __array_function__(
        self, function: Any, types: Any, arguments: Sequence[Any], named: dict[str, Any]
    ) -> Any:
        if function not in _FUNCTIONS:
            return NotImplemented
        return _FUNCTIONS[function](*arguments, **named)


def _double(given: Any) -> DoubleDouble:
    return given if isinstance(given, DoubleDouble) else DoubleDouble(given)


def _sticky(result: Any, one: Any, other: Any) -> Any:
    """A product or a quotient that is 0 only where it is exactly 0."""
    zero = result == 0.0
    if not np.any(zero):
        return result
    gone = zero & (one != 0.0) & (other != 0.0) & np.isfinite(other)
    return np.where(gone, np.copysign(TINY, result), result)


def _pair(high: Any, low: Any) -> DoubleDouble:
    """high + low for |low| ≤ |high|; what is not finite has no lower part."""
    total, rest = fast_two_sum(high, low)
    finite = np.isfinite(high)
    if not finite.all():
        total, rest = np.where(finite, total, high), np.where(finite, rest, 0.0)
    return DoubleDouble(total, rest)


def _finite(high: Any, low: Any) -> DoubleDouble:
    """high + low; what is not finite has no lower part."""
    finite = np.isfinite(high)
    return DoubleDouble(high, low if finite.all() else np.where(finite, low, 0.0))


def _renormalised(high: Any, low: Any, rest: Any) -> DoubleDouble:
    total, error = fast_two_sum(high, low)
    last, lowest = fast_two_sum(total, rest + error)
    finite = np.isfinite(high)
    if not finite.all():
        last, lowest = np.where(finite, last, high), np.where(finite, lowest, 0.0)
    return DoubleDouble(last, lowest)


def _where(mask: Any, one: Any, other: Any) -> DoubleDouble:
    one, other = _double(one), _double(other)
    return DoubleDouble(np.where(mask, one.hi, other.hi), np.where(mask, one.lo, other.lo))


def _maximum(one: Any, other: Any) -> DoubleDouble:
    one, other = _double(one), _double(other)
    return _where(one >= other, one, other)


def _minimum(one: Any, other: Any) -> DoubleDouble:
    one, other = _double(one), _double(other)
    return _where(one <= other, one, other)


def _frexp(number: DoubleDouble) -> tuple[DoubleDouble, Any]:
    _, exponent = np.frexp(number.hi)
    return DoubleDouble(np.ldexp(number.hi, -exponent), np.ldexp(number.lo, -exponent)), exponent


def _concatenate(arrays: Sequence[Any], axis: int = 0) -> DoubleDouble:
    several = [_double(each) for each in arrays]
    return DoubleDouble(
        np.concatenate([each.hi for each in several], axis=axis),
        np.concatenate([each.lo for each in several], axis=axis),
    )


def _power(number: DoubleDouble, exponent: float) -> DoubleDouble:
    """x^exponent by repeated multiplication; see `powers` for the exponents."""
    assert exponent in POWERS
    result = DoubleDouble(np.ones_like(number.hi))
    for _ in range(int(exponent)):
        result = result * number
    return result


POWERS: Final = frozenset({0.0, 1.0, 2.0, 3.0, 4.0, 5.0})
"""The exponents of powers; the others are left to a wider format."""


_UFUNCS: dict[Any, Callable[..., Any]] = {
    np.add: lambda a, b: _double(a) + b,
    np.subtract: lambda a, b: _double(a) - b,
    np.multiply: lambda a, b: _double(a) * b,
    np.true_divide: lambda a, b: _double(a) / b,
    np.negative: lambda a: -a,
    np.absolute: lambda a: a.absolute(),
    np.exp: lambda a: a.exp(),
    np.log: lambda a: a.log(),
    np.log1p: lambda a: a.log1p(),
    np.power: _power,
    np.maximum: _maximum,
    np.minimum: _minimum,
    np.less: lambda a, b: _double(a) < b,
    np.less_equal: lambda a, b: _double(a) <= b,
    np.greater: lambda a, b: _double(a) > b,
    np.greater_equal: lambda a, b: _double(a) >= b,
    np.equal: lambda a, b: _double(a) == b,
    np.not_equal: lambda a, b: _double(a) != b,
    np.isfinite: lambda a: np.isfinite(a.hi),
    np.isnan: lambda a: np.isnan(a.hi),
    np.isinf: lambda a: np.isinf(a.hi),
    np.frexp: _frexp,
}

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.zeros_like: lambda a: DoubleDouble(np.zeros_like(a.hi)),
    np.concatenate: _concatenate,
    np.broadcast_to: lambda a, shape: DoubleDouble(
        np.broadcast_to(a.hi, shape), np.broadcast_to(a.lo, shape)
    ),
    np.isneginf: lambda a: np.isneginf(a.hi),
    np.shape: lambda a: a.shape,
}


# Elementary functions


def _blocked(
    function: Callable[[Float64Array, Float64Array], tuple[Any, Any]],
    hi: Float64Array,
    lo: Float64Array,
) -> tuple[Float64Array, Float64Array]:
    """A function of many numbers, computed in blocks that stay in the cache."""
    order: Literal["C", "F"] = "C"
    if hi.flags.f_contiguous and not hi.flags.c_contiguous:
        order = "F"
    high, low = np.empty(hi.shape, order=order), np.empty(hi.shape, order=order)
    flat, rest, *ends = (each.reshape(-1, order=order) for each in (hi, lo, high, low))
    for start in range(0, flat.size, CHUNK):
        part = slice(start, start + CHUNK)
        ends[0][part], ends[1][part] = function(flat[part], rest[part])
    return high, low


def _parts(number: Any, *bits: int) -> tuple[float, ...]:
    """A number as a sum of floats: each but the last has so many bits, counted from its first."""
    found = []
    with mpmath.workprec(300):
        left = mpmath.mpf(number)
        for count in bits:
            unit = mpmath.ldexp(1, int(mpmath.floor(mpmath.log(abs(left), 2))) + 1 - count)
            part = mpmath.floor(left / unit) * unit
            found.append(float(part))
            left -= part
        found.append(float(left))
    return tuple(found)


def _tabulated(numbers: Sequence[Any]) -> tuple[Float64Array, Float64Array]:
    high = np.array([float(each) for each in numbers])
    low = np.array([float(each - float(each)) for each in numbers])
    return high, low


@cache
def _exp_constants() -> tuple[Any, ...]:
    with mpmath.workprec(300):
        step = mpmath.log(2) / STEPS
        powers = [mpmath.mpf(2) ** (mpmath.mpf(j) / STEPS) for j in range(STEPS)]
        heads = [split(float(each))[0] for each in powers]
        tails = [float(each - head) for each, head in zip(powers, heads, strict=True)]
        return (float(1 / step), *_parts(step, 33, 33), np.array(heads), np.array(tails))


def _exp(hi: Float64Array, lo: Float64Array) -> tuple[Float64Array, Float64Array]:
    inverse, first, second, third, heads, tails = _exp_constants()
    gone = ~(hi >= LOWEST)  # NaN too
    some = gone.any()
    x = np.where(gone, 0.0, hi) if some else hi
    n = np.rint(x * inverse)
    # x − n·step: the first difference is exact, for n·first is between x/2 and 2x
    r = n * first
    np.subtract(x, r, out=r)
    r, low = two_sum(r, n * -second)
    low += np.where(gone, 0.0, lo) if some else lo
    low -= n * third
    r, low = fast_two_sum(r, low)
    bracket = r * (1 / 120)
    for term in (1 / 24, 1 / 6, 0.5):
        bracket += term
        bracket *= r
    bracket += low
    bracket *= r
    bracket += low
    index = n.astype(np.int64)
    j = index & (STEPS - 1)
    head, tail = heads[j], tails[j]
    # head·(r's head) is exact
    r_head, r_rest = split(r)
    r_rest += bracket
    r_rest *= head
    r += bracket
    r *= tail
    r_head *= head
    total, rest = fast_two_sum(head, r_head)
    r += tail
    r += r_rest
    rest += r
    total, rest = fast_two_sum(total, rest)
    index >>= _STEP_BITS
    if index.size and int(index.min()) > -1000:
        index += 1023
        index <<= 52
        scale = index.view(np.float64)
        total *= scale
        rest *= scale
    else:
        shift = index.astype(np.int32)
        total, rest = np.ldexp(total, shift), np.ldexp(rest, shift)
    if some:
        stand_in = np.where(hi == -np.inf, 0.0, np.where(np.isnan(hi), hi, TINY))
        total = np.where(gone, stand_in, total)
        rest = np.where(gone, 0.0, rest)
    return total, rest


@cache
def _log_constants() -> tuple[Any, ...]:
    with mpmath.workprec(300):
        first = TABLE // 2
        table = _tabulated([mpmath.log(mpmath.mpf(i) / TABLE) for i in range(first, 2 * TABLE)])
        return (first, *_parts(mpmath.log(2), 42), *table)


def _log(hi: Float64Array, lo: Float64Array) -> tuple[Float64Array, Float64Array]:
    return _log_of(hi, lo, None, None)


def _log1p(hi: Float64Array, lo: Float64Array) -> tuple[Float64Array, Float64Array]:
    whole = DoubleDouble(hi, lo) + 1.0
    return _log_of(whole.hi, whole.lo, hi, lo)


def _log_of(
    hi: Float64Array, lo: Float64Array, given: Float64Array | None, given_low: Float64Array | None
) -> tuple[Float64Array, Float64Array]:
    """log(hi + lo); next to 1 of ``1 + given`` itself, if it is given."""
    base, ln2, ln2_low, table, table_low = _log_constants()
    odd = ~((hi > 0.0) & np.isfinite(hi))
    x, low = np.where(odd, 1.0, hi), np.where(odd, 0.0, lo)
    _, exponent = np.frexp(x)
    mantissa = np.ldexp(x, -exponent)
    small = mantissa < 0.7071067811865476
    exponent = exponent - small
    mantissa = np.ldexp(x, -exponent)
    low = np.ldexp(low, -exponent)
    i = np.rint(mantissa * TABLE)
    c = i * (1.0 / TABLE)
    above, under = two_sum(mantissa - c, low)
    beyond = DoubleDouble(mantissa, low) + c
    if given is not None and given_low is not None:
        near = (exponent == 0) & (i == TABLE)
        above = np.where(near, given, above)
        under = np.where(near, given_low, under)
    s = DoubleDouble(above, under) / beyond
    t = s.hi * s.hi
    bracket = s.hi * t * (2 / 3 + t * (2 / 5 + t * (2 / 7)))
    place = i.astype(np.int64) - base
    e = exponent.astype(np.float64)
    total, first = two_sum(e * ln2, table[place])
    total, second = two_sum(total, 2.0 * s.hi)
    rest = ((first + second) + (e * ln2_low + table_low[place])) + (2.0 * s.lo + bracket)
    total, rest = fast_two_sum(total, rest)
    if odd.any():
        special = np.where(hi == 0.0, -np.inf, np.where(hi == np.inf, np.inf, np.nan))
        total = np.where(odd, special, total)
        rest = np.where(odd, 0.0, rest)
    return total, rest
