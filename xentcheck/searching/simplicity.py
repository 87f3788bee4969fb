"""How simple numbers are to read, and simpler numbers near a number."""

import contextlib
import functools
import math
from collections.abc import Iterable

import numpy as np

from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.model import Float64Array

MOST_DIGITS = 17


@functools.lru_cache(maxsize=1 << 16)
def rounded(value: float, dtype: str) -> float:
    """A number rounded to the dtype."""
    return float(to_float64(from_float64(value, dtype)))


@functools.lru_cache(maxsize=1 << 16)
def shortest(value: float, dtype: str) -> str:
    """The decimal with the fewest significant digits that rounds to a finite number of the dtype.

    The text has the form ``-3.674e+01``.
    """
    for digits in range(MOST_DIGITS):
        text = f"{value:.{digits}e}"
        if rounded(float(text), dtype) == value:
            return text
    return repr(value)


@functools.lru_cache(maxsize=1 << 16)
def effort(value: float, dtype: str) -> float:
    """How hard a number is to read: 0 for 0, and more for every digit in decimal or hexadecimal.

    Large and small powers of ten cost, and so does a decimal that only rounds to the number. A sign
    and the size break ties.
    """
    if value == 0:
        return 0.0
    if not math.isfinite(value):
        return 3.0 if math.isinf(value) else 4.0
    mantissa, _, exponent = shortest(abs(value), dtype).partition("e")
    digits = len(mantissa.replace(".", "").rstrip("0"))
    power = int(exponent)
    apart = 2.0 if not -3 <= power <= 4 else 0.0
    rounds = 1.5 if float(f"{mantissa}e{exponent}") != abs(value) else 0.0
    in_decimal = 2.0 + 3.0 * (digits - 1) + apart + rounds
    fraction = value.hex().partition("p")[0].partition(".")[2].rstrip("0")
    in_hexadecimal = 7.0 + 3.0 * len(fraction)
    ties = 0.5 * (value < 0) + 0.01 * abs(math.log10(abs(value)))
    return min(in_decimal, in_hexadecimal) + ties


def simpler(value: float, dtype: str) -> list[float]:
    """Simpler numbers of the dtype near a number, or of a smaller size; the simplest first."""
    most = FORMATS[dtype].max
    if not math.isfinite(value):
        near: Iterable[float] = (0.0, 1.0, math.copysign(100.0, value), math.copysign(most, value))
    else:
        near = _near(value)
    own = effort(value, dtype)
    found = {rounded(each, dtype) for each in near if abs(each) <= most} - {value}
    return sorted(
        (each for each in found if effort(each, dtype) < own), key=lambda v: effort(v, dtype)
    )


def _near(value: float) -> list[float]:
    if value == 0:
        return []
    power = math.floor(math.log10(abs(value)))
    sign = math.copysign(1.0, value)
    found = [0.0, sign, 0.5 * sign, -value]
    for lower in (0, -1):
        scale = _power_of_ten(power + lower)
        found += [sign * each * scale for each in range(1, 10)]
    found.append(sign * _power_of_ten(power + 1))
    for digits in range(1, 9):
        unit = _power_of_ten(power - digits)
        whole = abs(value) / unit if unit else math.inf
        if math.isfinite(whole):
            found += [
                sign * each * unit for each in (round(whole), math.floor(whole), math.ceil(whole))
            ]
        found.append(float(f"{value:.{digits}e}"))
    for bits in range(1, 12):  # few significant bits
        mantissa, exponent = math.frexp(value)
        with contextlib.suppress(OverflowError):  # the largest number, rounded up
            found.append(math.ldexp(round(mantissa * 2**bits), exponent - bits))
    return [each for each in found if math.isfinite(each)]


def _power_of_ten(power: int) -> float:
    return float(f"1e{power}")


def to_digits(values: Float64Array, places: int) -> Float64Array:
    """Numbers rounded to a count of decimal places. Infinities and NaN stay."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(np.isfinite(values), np.round(values, places), values)


def grown(values: Float64Array) -> Float64Array:
    """Numbers of one significant digit, the next away from 0. Infinities and NaN stay."""
    with np.errstate(all="ignore"):
        unit = 10.0 ** np.floor(np.log10(np.abs(values)))
        larger = np.sign(values) * np.ceil(np.abs(values) / unit) * unit
    return np.where(np.isfinite(larger), larger, np.where(np.isfinite(values), 0.0, values))
