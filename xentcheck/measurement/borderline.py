"""Decides results in exact arithmetic that are too near to a limit for float64."""

import math
from fractions import Fraction

import numpy as np

from xentcheck.floats import FORMATS, Format, format_of, to_float64
from xentcheck.measurement.scoring import (
    NOTHING,
    Settled,
    conditioned,
    excess_bits,
    scaled_bound,
    score,
)
from xentcheck.model import Array, Float64Array, Quantity, Tolerance
from xentcheck.reference import Element, ends, exact, exact_component, exact_in_block, few_distinct
from xentcheck.reference.enclosures import Enclosures, Exact, midpoint


def exceeds(
    actual: float,
    ends: tuple[Fraction, Fraction],
    dtype: str,
    tolerance: Tolerance,
    condition: float,
    bits: float,
) -> tuple[bool | None, bool | None, bool | None]:
    """Compare one finite result with a tolerance, in exact arithmetic.

    Args:
        actual: the result.
        ends: a lower and an upper bound of the exact result.
        dtype: the dtype of the result, by name.
        tolerance: the tolerance. A result exactly on a bound meets it.
        condition: the condition number. NaN means not defined and counts as 1.
        bits: the excess bits of the result, as reports print them.

    Returns:
        Whether the result is beyond the tolerance, whether its error is larger than ``p99_ulp``,
        and whether a wrong sign counts as a fault. None means that ``ends`` leave it open.
    """
    result = Fraction(actual)
    lower, upper = ends
    largest, smallest = max(abs(lower), abs(upper)), min(abs(lower), abs(upper))
    if lower < 0 < upper:
        smallest = Fraction(0)
    least, most = distance_from(result, ends)

    def met(bound: float, low: Fraction, high: Fraction) -> bool | None:
        if bound == math.inf:
            return True
        return True if high <= Fraction(bound) else False if low > Fraction(bound) else None

    known = max(1.0, condition) if condition == condition else 1.0
    factor = known if tolerance.times_condition else 1.0
    ulps = ulps_between(actual, ends, dtype)
    if ulps[1] <= NOTHING:
        ulps = (Fraction(0), Fraction(0))
    excused = [met(tolerance.or_abs, least, most)] if tolerance.or_abs else []
    if tolerance.or_rel:
        bound = Fraction(tolerance.or_rel)
        within = True if most <= bound * smallest else False if least > bound * largest else None
        excused.append(within)
    explained = bits <= tolerance.or_excess_bits
    in_ulps = met(float(scaled_bound(tolerance.max_ulp, factor)), *ulps)
    if bits > tolerance.max_excess_bits:
        in_ulps = False
    p99 = met(float(scaled_bound(tolerance.p99_ulp, factor)), *ulps)
    beyond = _not_any([in_ulps, explained, *excused])
    loose = conditioned(tolerance) and known >= 2.0 ** (FORMATS[dtype].precision - 1)
    loose |= tolerance.of_scale
    return beyond, _not_any([p99, explained, *excused]), beyond if loose else _not_any(excused)


def distance_from(number: Fraction, ends: tuple[Fraction, Fraction]) -> tuple[Fraction, Fraction]:
    """The least and the largest distance of a number from one within bounds."""
    lower, upper = ends
    ways = (abs(number - lower), abs(number - upper))
    return (Fraction(0) if lower <= number <= upper else min(ways)), max(ways)


def ulps_between(
    actual: float, ends: tuple[Fraction, Fraction], dtype: str
) -> tuple[Fraction, Fraction]:
    """The least and the largest error of a finite result in ulps.

    Args:
        actual: the result.
        ends: a lower and an upper bound of the exact result.
        dtype: the dtype of the result, by name.
    """
    lower, upper = ends
    smallest, largest = sorted((abs(lower), abs(upper)))
    if lower < 0 < upper:
        smallest = Fraction(0)
    small, large = (
        Fraction(2) ** _unit_exponent(each, FORMATS[dtype]) for each in (smallest, largest)
    )
    least, most = distance_from(Fraction(actual), ends)
    return least / large, most / small


def _not_any(answers: list[bool | None]) -> bool | None:
    if True in answers:
        return False
    return None if None in answers else True


def _unit_exponent(magnitude: Fraction, target: Format) -> int:
    """The exponent of the ulp of a real number with this magnitude."""
    if not magnitude:
        return target.min_exponent - target.precision + 1
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    if magnitude < Fraction(2) ** exponent:
        exponent -= 1
    return max(exponent, target.min_exponent) - target.precision + 1


PRECISIONS = (128, 512, 2048, 8192)
"""Precisions of the enclosures that are tried, in bits.

Different numbers that agree to the last precision do not occur in practice. A result that is still
undecided there lies exactly on the limit and meets it.
"""

Certain = tuple[Enclosures, Float64Array]
"""An enclosure by the arbiter and the condition number, of shape (1,) each."""


def certain(element: Element, dtype: str) -> Certain:
    """The exact result that belongs to one result of a dtype.

    Raises:
        UncertifiedError: the arbiter cannot decide it.
    """
    if not element.case.reduced:
        return exact_component(element, dtype)
    if not few_distinct(element.case):
        return exact_in_block(element, dtype)
    place = (element.row,) if element.index is None else (element.row, element.index)
    of_block = element.quantity is Quantity.VALUE
    return one_of(exact(element.case), element.quantity, () if of_block else place)


def one_of(block: Exact, quantity: Quantity, position: tuple[int, ...]) -> Certain:
    """The enclosure and the condition number at one position of a block, of shape (1,) each."""
    is_value = quantity is Quantity.VALUE
    conditions = block.value_condition if is_value else block.gradient_condition
    enclosures = block.value if is_value else block.gradient
    return enclosures.at(position), np.atleast_1d(conditions[position])


def settled(element: Element, actual: Array, truth: Certain, tolerance: Tolerance) -> Settled:
    """Compare one result with a tolerance, at as many bits as needed.

    Args:
        element: which result it is.
        actual: the result, of shape (1,), in its own dtype.
        truth: the enclosure and the condition number, from `certain`.
        tolerance: the tolerance.

    Returns:
        Arrays of shape (1,).
    """
    enclosures, condition = truth
    target = format_of(actual.dtype)
    assert target is not None
    quantity = element.quantity
    plain = score(actual, enclosures, condition, quantity=quantity, tolerance=Tolerance())
    bits = excess_bits(float(plain.ulp_error[0]), float(condition[0]), target.name)

    def asked(bounds: tuple[Fraction, Fraction]) -> tuple[bool | None, bool | None, bool | None]:
        value = float(to_float64(actual)[0])
        return exceeds(value, bounds, target.name, tolerance, float(condition[0]), bits)

    answers: tuple[bool | None, bool | None, bool | None] = (None, None, None)
    exactly = midpoint(enclosures, (0,)) if enclosures.radius[0] == 0 else None
    if exactly is not None:
        answers = asked((exactly, exactly))
    for precision in PRECISIONS if exactly is None else ():
        bounds = ends(element, precision)
        if bounds is None:
            break
        answers = asked(bounds)
        if None not in answers:
            break
    return Settled(*(np.array([bool(each)]) for each in answers))
