"""Rates rows of one call for a search: how bad is each row, by what the search maximises."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from xentcheck.floats import format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.escalation import Part
from xentcheck.model import KINDS, RIGHT, Array, Case, Domain, Float64Array, Kind, Quantity
from xentcheck.reference import Reference


class Aim(StrEnum):
    """What a search maximises.

    ``ulp``: the error in ulps. ``excess``: the error in ulps over the condition number. ``norm``:
    the error of a row over its scale, see `normwise`.
    """

    ULP = "ulp"
    EXCESS = "excess"
    NORM = "norm"


@dataclass(frozen=True, slots=True, eq=False)
class Rated:
    """The ratings of rows, as far as the tiers below the arbiter know them.

    Attributes:
        worth: (rows,), what the search maximises; -1 for a row without a finite error.
        ulps: (rows,), the largest finite error in ulps; -1 without one.
        kinds: (rows,), positions in `KINDS`, or `RIGHT`: the gravest kind of each row, where every
            error counts, however small.
    """

    worth: Float64Array
    ulps: Float64Array
    kinds: npt.NDArray[np.int8]


def rate(results: Array, case: Case, truth: Reference, quantity: Quantity, aim: Aim) -> Rated:
    """Rate the rows of a case.

    A component whose exact result is subnormal has few bits, and many back ends flush it: its error
    counts as 0. A component that the tiers below the arbiter leave undecided does not count.

    Args:
        results: the results of the case.
        case: one block, without a reduction.
        truth: the exact results of the case.
        quantity: the value or the gradient.
        aim: what to maximise.
    """
    target = format_of(results.dtype)
    assert target is not None
    part = Part(case, slice(0, case.rows), quantity, target.name, truth)
    scores = part.rough(results, LOSSES[case.loss])
    shape = (case.rows, -1)
    open_ = scores.undecided.reshape(shape)
    finite = np.isfinite(scores.ulp_error).reshape(shape) & ~open_
    counted = finite & part.normal(slice(None)).reshape(shape)
    ulps = np.where(counted, scores.ulp_error.reshape(shape), 0.0)
    lost = ~finite.any(axis=1)
    kinds = np.where(open_, RIGHT, scores.kinds.reshape(shape)).min(axis=1).astype(np.int8)
    # a fault without a finite error, such as NaN, is not measured by the errors beside it
    lost |= (kinds < KINDS.index(Kind.WRONG_SIGN)) & (kinds != RIGHT)
    errors = ulps
    match aim:
        case Aim.EXCESS:
            condition = truth.condition(quantity, slice(None), target.name).reshape(case.rows, -1)
            errors = ulps / np.fmax(condition, 1.0)
        case Aim.NORM:
            absolute = np.where(counted, scores.abs_error.reshape(shape), 0.0)
            errors = normwise(absolute, truth.midpoints(quantity, slice(None)), case, quantity)
    worst, worth = ulps.max(axis=1), errors.max(axis=1)
    worst[lost] = worth[lost] = -1.0
    return Rated(worth, worst, kinds)


def normwise(
    absolute: Float64Array, exact: Float64Array, case: Case, quantity: Quantity
) -> Float64Array:
    """The errors of rows over the scale of their row, (rows, components).

    The scale of a gradient is its largest component. That of a value is the largest of 1, the
    values of the row and, for logits, the gaps between them; for a single logit, the logit.

    Args:
        absolute: (rows, components), absolute errors.
        exact: the exact results, approximated.
        case: the rows.
        quantity: the value or the gradient.
    """
    sizes = np.abs(exact.reshape(case.rows, -1))
    scale = np.max(sizes, axis=1, initial=0.0, where=np.isfinite(sizes))
    if quantity is Quantity.VALUE:
        scale = np.maximum(scale, 1.0)
        if LOSSES[case.loss].domain is Domain.LOGITS:
            scale = np.maximum(scale, _gaps(case))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        errors = absolute / scale[:, None]
    return np.asarray(np.where(absolute > 0, errors, 0.0))


def _gaps(case: Case) -> Float64Array:
    logits = to_float64(case.logits)
    if logits.ndim == 1:
        return np.asarray(np.where(np.isfinite(logits), np.abs(logits), 0.0))
    known = np.isfinite(logits)
    highest = np.max(logits, axis=1, initial=-np.inf, where=known)
    lowest = np.min(logits, axis=1, initial=np.inf, where=known)
    with np.errstate(over="ignore"):
        gaps = highest / 2 - lowest / 2  # twice this may be beyond float64
        return np.asarray(np.where(known.any(axis=1), np.minimum(2 * gaps, np.finfo(float).max), 0))
