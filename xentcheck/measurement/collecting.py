"""Calls an implementation on one case, scores the results, and adds them to the totals of a cell.

The error of a row is that of its worst component. Its kind is the gravest of its components.
Results are scored against the lowest tier. Rows that it leaves undecided go to the next tier.
"""

from functools import partial

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Incident, Returned, observe
from xentcheck.floats import Format, format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.asking import Asked
from xentcheck.measurement.batches import renamed
from xentcheck.measurement.escalation import PART_ELEMENTS, Part
from xentcheck.measurement.flushing import approximately
from xentcheck.measurement.invariants import Questions, invariants
from xentcheck.measurement.layouts import layouts
from xentcheck.measurement.scored_part import ScoredPart
from xentcheck.measurement.scoring import Scores
from xentcheck.measurement.tally import Tally, note
from xentcheck.measurement.upstream import cotangents
from xentcheck.model import (
    KINDS,
    Array,
    Case,
    Float64Array,
    Implementation,
    Kind,
    LabelKind,
    Quantity,
    Tolerance,
)
from xentcheck.reference import Reference, row_parts

SIGNALS = 8
"""Rows with a floating-point signal after which no more are searched for in a part of a sweep."""


def measure(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
    *,
    thorough: bool = True,
    otherwise: bool | None = None,
    invariant: bool = False,
    parts: list[ScoredPart] | None = None,
    questions: Questions | None = None,
) -> Returned:
    """Call an implementation on one case, score the results and collect them.

    Args:
        collected: the totals of the cell.
        implementation: the code.
        case: the block of rows.
        truth: the exact results of the case.
        quantity: the value or the gradient.
        tolerance: what the cell is held to.
        thorough: call it again with the same rows, and with the rows reordered and regrouped.
        otherwise: also call it with other memory layouts and other upstream gradients. None: as
            ``thorough``.
        invariant: also call it in batches of many sizes, if ``thorough``.
        parts: takes the scored parts of the case.
        questions: which invariants of the loss to ask; None: none.

    Returns:
        The results of the plain call.
    """
    signalled = collected.incident_rows[Kind.FP_SIGNAL]
    observed = observe(
        implementation,
        case,
        quantity,
        thorough=thorough,
        finite=partial(_finite, truth, quantity) if signalled < SIGNALS else None,
    )
    collected.rows += case.rows
    incidents = list(observed.incidents)
    if observed.results is not None:
        came = (observed.results, observed.valid)
        scored = _take(collected, implementation, case, *came, truth, quantity, tolerance)
        if parts is not None:
            parts += scored
        asked = Asked(implementation, truth, quantity, tolerance, observed)
        if thorough:
            incidents = renamed(incidents, asked, invariant=invariant)
        if thorough if otherwise is None else otherwise:
            incidents += layouts(asked, collected.ways.get(Kind.LAYOUT_DEPENDENT, ()))
            if thorough or not implementation.plain:  # a variant may have to compile for it
                incidents += cotangents(asked, collected.ways.get(Kind.COTANGENT, ()))
        if questions is not None:
            ways = (collected.ways.get(each, ()) for each in (Kind.INVARIANT, Kind.INCONSISTENT))
            incidents += invariants(asked, set().union(*ways), questions)
    for incident in incidents:
        note(collected, incident, case)
    return observed


def take(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    results: Array,
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
) -> list[ScoredPart]:
    """Score and collect the results of a call that is done; every row has a result.

    Returns:
        The scored parts of the case.
    """
    collected.rows += case.rows
    valid = np.ones(case.rows, dtype=np.bool_)
    return _take(collected, implementation, case, results, valid, truth, quantity, tolerance)


def _take(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    results: Array,
    valid: npt.NDArray[np.bool_],
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
) -> list[ScoredPart]:
    loss = LOSSES[case.loss]
    is_value = quantity is Quantity.VALUE
    target = format_of(results.dtype)
    assert target is not None
    collected.result_dtype = target.name
    if is_value and loss.nonnegative:
        collected.negative_zeros += int(np.count_nonzero((results == 0) & np.signbit(results)))
    if is_value and results.ndim == 1:  # where plateaus are watched
        sizes = np.abs(to_float64(results[valid]))
        collected.smallest = min(collected.smallest, sizes.min(initial=np.inf, where=sizes > 0))
    spans = [slice(0, case.rows)] if results.ndim == 0 else row_parts(case, PART_ELEMENTS)
    parts = []
    for span in spans:
        part = Part(case, span, quantity, target.name, truth)
        scores = part.scores(results, tolerance, loss)
        parts.append(ScoredPart.of(collected, part, results, scores, valid[span]))
        parts[-1].collect()
    collected.flushing.examine(implementation, quantity)
    return parts


def scores_of(results: Array, truth: Reference, quantity: Quantity, tolerance: Tolerance) -> Scores:
    """Certified scores of results of a case, whoever computed them.

    Args:
        results: in the shape that the loss has for the quantity.
        truth: the exact results of the case.
        quantity: value or gradient.
        tolerance: decides which results are at fault.

    Raises:
        UncertifiedError: an exact result cannot be certified.
    """
    target = format_of(results.dtype)
    assert target is not None
    case = truth.case
    part = Part(case, slice(0, case.rows), quantity, target.name, truth)
    return part.scores(results, tolerance, LOSSES[case.loss])


def weigh(results: Array, case: Case, truth: Reference, quantity: Quantity) -> Float64Array:
    """The error of each row in ulps, as far as the tiers below the arbiter know it.

    Args:
        results: the results of the case.
        case: one block, without a reduction.
        truth: the exact results of the case.
        quantity: the value or the gradient.

    Returns:
        float64 (rows,). Infinite for a fault without a finite error, -1 where nothing is known, 0
        for a subnormal result: it has few bits, and many back ends flush it.
    """
    target = format_of(results.dtype)
    assert target is not None
    part = Part(case, slice(0, case.rows), quantity, target.name, truth)
    scores = part.rough(results, LOSSES[case.loss])
    ulps = scores.ulp_error.reshape(case.rows, -1)
    kinds = scores.kinds.reshape(case.rows, -1)
    without = np.isnan(ulps) & (kinds < KINDS.index(Kind.INACCURATE))
    known = np.where(without, np.inf, np.nan_to_num(ulps, nan=0.0, posinf=np.inf))
    known[~part.normal(slice(None)).reshape(known.shape) & np.isfinite(known)] = 0.0
    known[scores.undecided.reshape(case.rows, -1)] = -1.0
    return np.asarray(known.max(axis=1))


def _finite(truth: Reference, quantity: Quantity, target: Format) -> npt.NDArray[np.bool_]:
    """Which rows have finite inputs, and exact results that are finite in a format: (rows,).

    Code often computes a gradient from the value. So the value has to be finite too, if it is
    known. A row for which a convention accepts another result does not count.
    """
    case = truth.case
    arrays = [case.logits, *(each for each in case.parameters.values() if np.ndim(each) == 2)]
    if case.labels is not None and case.label_kind is not LabelKind.INTEGER:
        arrays.append(case.labels)
    with np.errstate(invalid="ignore"):
        by_row = [np.isfinite(to_float64(each)) for each in arrays]
        for each in truth.quantities & {quantity, Quantity.VALUE}:
            by_row.append(np.abs(approximately(truth, each)) < target.max)
            accepts = truth.at(each, slice(None)).accepts
            if accepts is not None:
                by_row.append(accepts == 0)
    rows = np.ones(case.rows, dtype=np.bool_)
    for finite in by_row:
        rows &= finite.reshape(len(np.atleast_1d(finite)), -1).all(axis=1)
    shared = [each for each in case.parameters.values() if np.ndim(each) == 1]
    return rows & all(bool(np.isfinite(to_float64(each)).all()) for each in shared)


def lost(collected: Tally, case: Case, kind: Kind, how: str) -> None:
    """Note that a case was not called, because the implementation was lost on an earlier one."""
    collected.rows += case.rows
    note(collected, Incident(kind, (), how), case)
