"""Rates rows of one call for a search: how bad is each row, by what the search maximises."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from xentcheck.floats import format_of
from xentcheck.losses import LOSSES
from xentcheck.measurement.escalation import Part
from xentcheck.measurement.scales import scales
from xentcheck.model import KINDS, RIGHT, Array, Case, Float64Array, Kind, Quantity
from xentcheck.reference import Reference


class Aim(StrEnum):
    """What a search maximises.

    ``ulp``: the error in ulps. ``excess``: the error in ulps over the condition number. ``norm``:
    the error of a row over its scale, see `scales`.
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
            size = scales(truth, quantity, target.name, slice(0, case.rows)).size
            with np.errstate(over="ignore"):
                errors = absolute / size[:, None]
    worst, worth = ulps.max(axis=1), errors.max(axis=1)
    worst[lost] = worth[lost] = -1.0
    return Rated(worth, worst, kinds)
