"""The grade of each row of a block, from its results and the exact ones.

The scale of a row is max(1, |v*|, the logits' gaps) for a value v*, and max(1, max |g*_k|) for the
gradient g* of a loss of logits. A result is within a few roundings of it if it is off by at most
`FEW_ROUNDINGS` (for very many terms, `roundings`) times 2^-p of the scale, for the precision p of
the result's dtype, or by less than the smallest normal number.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import roundings
from xentcheck.measurement.escalation import Part
from xentcheck.model import (
    KINDS,
    Array,
    Case,
    Domain,
    Float64Array,
    Grade,
    Kind,
    Quantity,
    Tolerance,
    rank,
)
from xentcheck.reference import Reference

FEW_ROUNDINGS = 8.0
ACCURATE_ULP = 4.0

_GRAVE = (Kind.NAN, Kind.MISSED_NAN, Kind.SPURIOUS_OVERFLOW)


class Symptom(StrEnum):
    """What a broken row shows; printed."""

    NONE = ""
    NAN = "NaN"
    INFINITE = "infinite"
    NUMBER = "a number instead of NaN"
    SIGN = "the wrong sign"
    ZERO = "a zero gradient"
    RAISED = "no result"


@dataclass(frozen=True, slots=True, eq=False)
class RowGrades:
    """The grades of the rows of a block; all arrays have shape (rows,).

    Attributes:
        ranks: positions in `GRADES`; 0 is broken.
        symptoms: what broken rows show.
        ulp_error: largest finite error of the row in ulps; NaN: there is none.
        abs_error: largest finite absolute error; NaN likewise.
    """

    ranks: npt.NDArray[np.intp]
    symptoms: tuple[Symptom, ...]
    ulp_error: Float64Array
    abs_error: Float64Array


def row_grades(case: Case, results: Array, truth: Reference, quantity: Quantity) -> RowGrades:
    """Grade the rows of a block. The value of a reduction is one row.

    Args:
        case: the block.
        results: its results, in the dtype and the shape that they were returned in.
        truth: the exact results of the block.
        quantity: value or gradient.

    Raises:
        UncertifiedError: only the arbiter can decide a row, and fails.
    """
    target = format_of(results.dtype)
    assert target is not None
    part = Part(case, slice(0, case.rows), quantity, target.name, truth)
    # without a limit no result is near one, which would take the arbiter for each of them
    scores = part.scores(results, Tolerance(max_ulp=np.inf), LOSSES[case.loss])
    rows = 1 if results.ndim == 0 else case.rows
    actual = to_float64(results).reshape(rows, -1)
    kinds = scores.kinds.reshape(rows, -1)
    accepted = kinds == KINDS.index(Kind.CONVENTION)
    ulps = np.where(accepted, 0.0, scores.ulp_error.reshape(rows, -1))
    off = np.where(accepted, 0.0, scores.abs_error.reshape(rows, -1))
    exact = exact_numbers(truth, quantity).reshape(rows, -1)
    condition = np.fmax(truth.condition(quantity, slice(0, case.rows), target.name), 1.0)
    condition = condition.reshape(rows, -1)

    scale = _scale(case, exact, quantity)
    few = max(FEW_ROUNDINGS, roundings(case.classes), roundings(case.rows if rows == 1 else 1))
    bound = few * 2.0**-target.precision * scale
    with np.errstate(invalid="ignore", over="ignore"):
        within = (off <= bound[:, np.newaxis]) | (off < target.smallest_normal)
        accurate = ulps <= ACCURATE_ULP * condition
    grave = np.isin(kinds, [KINDS.index(kind) for kind in _GRAVE]) & ~accepted
    turned = (kinds == KINDS.index(Kind.WRONG_SIGN)) & ~within & ~accurate
    dead = (actual == 0) & ~within & ~accurate & ~grave & (quantity is not Quantity.VALUE)
    broken = grave | turned | dead

    ranks = np.full(rows, rank(Grade.LOSSY), dtype=np.intp)
    for grade, met in (
        (Grade.ABSOLUTE, within | accurate),
        (Grade.ACCURATE, accurate),
        (Grade.FAITHFUL, ulps < 1.0),
        (Grade.ROUNDED, ulps <= 0.5),
    ):
        ranks[met.all(axis=1)] = rank(grade)
    ranks[broken.any(axis=1)] = rank(Grade.BROKEN)
    symptoms = tuple(
        _symptom(actual[row][grave[row]], bool(turned[row].any()))
        if ranks[row] == rank(Grade.BROKEN)
        else Symptom.NONE
        for row in range(rows)
    )
    return RowGrades(ranks, symptoms, _largest(ulps), _largest(off))


def exact_numbers(truth: Reference, quantity: Quantity) -> Float64Array:
    """Float64 approximations of the exact results of a block; shape () for a reduced value."""
    if truth.case.reduced and quantity is Quantity.VALUE:
        return truth.at(quantity, slice(None)).midpoints()
    return truth.midpoints(quantity, slice(None))


def _scale(case: Case, exact: Float64Array, quantity: Quantity) -> Float64Array:
    """The scale of each row, (rows,): what its errors are compared with."""
    with np.errstate(invalid="ignore", over="ignore"):
        largest = np.where(np.isfinite(exact), np.abs(exact), 0.0).max(axis=1)
        domain = LOSSES[case.loss].domain
        if quantity is not Quantity.VALUE:
            return np.asarray(np.maximum(largest, 1.0) if domain is Domain.LOGITS else largest)
        gaps = np.zeros(case.rows)
        if domain is Domain.LOGITS:
            x = to_float64(case.logits).reshape(case.rows, -1)
            x = np.where(np.isfinite(x), x, np.nan)
            gaps = np.abs(x[:, 0]) if case.logits.ndim == 1 else np.ptp(x, axis=1)
            gaps = np.nan_to_num(gaps, nan=0.0) / float(str(case.parameters.get("temperature", 1)))
        if len(exact) != case.rows:
            gaps = gaps.max(keepdims=True)
        gaps = np.minimum(gaps, FORMATS["float64"].max)
        return np.asarray(np.maximum(np.maximum(largest, gaps), 1.0))


def _symptom(actual: Float64Array, turned: bool) -> Symptom:
    """What a broken row shows, from its components that are no number or should be none."""
    if np.isnan(actual).any():
        return Symptom.NAN
    if np.isinf(actual).any():
        return Symptom.INFINITE
    if len(actual):
        return Symptom.NUMBER
    return Symptom.SIGN if turned else Symptom.ZERO


def _largest(errors: Float64Array) -> Float64Array:
    """The largest finite error of each row; NaN if there is none."""
    known = np.where(np.isfinite(errors), errors, -1.0).max(axis=1)
    return np.asarray(np.where(known < 0, np.nan, known))
