"""The scale of a row: the number that its errors are small or large against.

The scale of a gradient is its largest component, max |g*|. That of a value is max(1, |v*|, the gap
of the logits); losses of probabilities have no gap. No scale is below the smallest normal number of
the results' dtype, under which the format itself has no relative precision.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import roundings
from xentcheck.losses.terms import gaps
from xentcheck.model import Case, Domain, Float64Array, Quantity
from xentcheck.reference import Reference, block_of, row_weights
from xentcheck.reference.enclosures import Balls, Enclosures

FEW = 8.0
"""How many roundings of its scale a row may be off and still be `Grade.ABSOLUTE`.

Four ulps are at most 8 roundings: a rounding is u = 2^-p of the scale, half an ulp or less.
"""

_NARROW = 2.0**-30
"""A scale is known when the radii of its row are below this fraction of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Scales:
    """The scales of the rows of a part.

    Attributes:
        size: float64 (rows,), accurate to `_NARROW`.
        top: (rows,), the component with the largest exact magnitude.
    """

    size: Float64Array
    top: npt.NDArray[np.intp]


def few(case: Case, quantity: Quantity) -> float:
    """How many roundings are a few: `FEW`, or √(n − 1) for a sum of more than 65 terms.

    The terms are the classes, and the rows for the value of a reduction.
    """
    rows = case.rows if case.reduced and quantity is Quantity.VALUE else 1
    return max(FEW, roundings(case.classes), roundings(rows))


def least_scale(case: Case, quantity: Quantity, dtype: str, rows: slice) -> Float64Array:
    """The scale without the results, (rows,); (1,) for the value of a reduction."""
    smallest = FORMATS[dtype].smallest_normal
    block = case.reduced and quantity is Quantity.VALUE
    count = 1 if block else len(range(*rows.indices(case.rows)))
    if quantity is not Quantity.VALUE:
        return np.full(count, smallest)
    if LOSSES[case.loss].domain is not Domain.LOGITS:
        return np.ones(count)
    gap = gaps(to_float64(case.logits if block else case.logits[rows]))
    return np.maximum(gap.max(keepdims=True) if block else gap, 1.0)


def scales(truth: Reference, quantity: Quantity, dtype: str, rows: slice) -> Scales:
    """The scales of consecutive rows; one for the value of a reduction.

    Raises:
        UncertifiedError: the arbiter cannot decide some row.
    """
    key = ("scales", quantity, dtype, rows.start, rows.stop)
    return truth.derived(key, lambda: _scales(truth, quantity, dtype, rows))


def _scales(truth: Reference, quantity: Quantity, dtype: str, rows: slice) -> Scales:
    least = least_scale(truth.case, quantity, dtype, rows)
    block = truth.case.reduced and quantity is Quantity.VALUE
    exact = truth.at(quantity, rows)
    sizes = _magnitudes(exact, len(least))
    top = sizes.argmax(axis=1)
    size = np.maximum(sizes[np.arange(len(least)), top], least)
    wide = np.flatnonzero(_radii(exact, len(least)) > _NARROW * size)
    for level in range(1, len(truth.tiers)):
        if not len(wide):
            break
        places = np.arange(rows.start, rows.stop) if block else rows.start + wide
        sharper = truth.sharper(quantity, places, level)
        sizes = _magnitudes(sharper, len(wide))
        top[wide] = sizes.argmax(axis=1)
        size[wide] = np.maximum(sizes[np.arange(len(wide)), top[wide]], least[wide])
        wide = wide[_radii(sharper, len(wide)) > _NARROW * size[wide]]
    return Scales(size, top)


def _magnitudes(exact: Balls | Enclosures, rows: int) -> Float64Array:
    """The finite magnitudes, (rows, components); 0 for NaN and infinities."""
    sizes = np.abs(exact.midpoints()).reshape(rows, -1)
    if not sizes.max(initial=0.0) < np.inf:  # also NaN
        sizes = np.where(np.isfinite(sizes), sizes, 0.0)
    return sizes


def _radii(exact: Balls | Enclosures, rows: int) -> Float64Array:
    """The largest radius of each row, apart from what is far below `_NARROW` of the result."""
    if isinstance(exact, Balls):
        if exact.absolute is None:
            return np.zeros(rows)
        return np.asarray(exact.absolute.reshape(rows, -1).max(axis=1))
    with np.errstate(over="ignore", under="ignore"):
        radii = np.ldexp(exact.radius, np.clip(exact.exponent, -5000, 5000))
    return np.asarray(radii.reshape(rows, -1).max(axis=1))


def grading_scale(
    truth: Reference, quantity: Quantity, rows: npt.NDArray[np.intp], size: Float64Array
) -> Float64Array:
    """The scale that grades are given by: the row's, or that of the terms of its result.

    Args:
        truth: the exact results of the case.
        quantity: the value or the gradient.
        rows: the rows; all of them for the value of a reduction.
        size: their scales, (rows,); (1,) for the value of a reduction.

    Returns:
        An array of the shape of ``size``.
    """
    case = truth.case
    loss = LOSSES[case.loss]
    terms = loss.terms(block_of(case, rows), quantity)
    if case.reduced:
        if quantity is Quantity.VALUE:
            terms = terms.sum(keepdims=True)
        if case.parameters.get("reduction") == "mean":
            whole = float(row_weights(loss, case).sum())
            terms = terms / whole if whole else np.zeros_like(terms)
    return np.maximum(size, terms)


def ratio(actual: float, exact: Fraction | None, scale: Fraction) -> float:
    """The error of a result relative to a scale. ``exact`` None is far below every number."""
    error = abs(Fraction(actual) - (exact or Fraction(0)))
    try:
        return float(error / scale)
    except OverflowError:
        return float("inf")
