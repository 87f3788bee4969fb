"""Remedies and their proof: the best known form, run in the same dtype on the same rows."""

from collections.abc import Collection, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from xentcheck.diagnosis.fingerprint import WIDER, Variant, run
from xentcheck.diagnosis.models import sound_model
from xentcheck.errors import UncertifiedError
from xentcheck.floats import from_float64
from xentcheck.measurement import FailingBlock, Scores, scores_of
from xentcheck.model import (
    ABOUT_CAUSES,
    KINDS,
    NOTES,
    Attainable,
    Cause,
    Fault,
    Float64Array,
    Quantity,
    Tolerance,
)
from xentcheck.reference import Reference

_FINE = np.array([*(kind in NOTES for kind in KINDS), True])
PROVEN = 64
"""Rows of a cause and a line on which the best known form is run."""

_BLOCKS = 6  # blocks that these rows are from
Codes = npt.NDArray[np.int8]


_LONGEST = 1 << 15  # numbers of these rows


def remedy_of(cause: Cause, loss: str, quantities: Collection[Quantity]) -> str:
    """What to write instead, as a formula."""
    forms = [
        sound.says
        for quantity in Quantity
        if quantity in quantities and (sound := sound_model(loss, quantity)) is not None
    ]
    if cause is Cause.UNKNOWN:
        return ""
    general = ABOUT_CAUSES[cause].remedy
    if cause in _BY_FORM and forms:
        return "; ".join(forms)
    return general


_BY_FORM = frozenset(
    {
        Cause.LOG_OF_SATURATED_PROBABILITY,
        Cause.ABSORBED_TAIL,
        Cause.COMMON_OFFSET_CANCELLATION,
        Cause.ONE_MINUS_P_CANCELLATION,
        Cause.EPSILON_CLIP,
        Cause.INEFFECTIVE_EPSILON,
        Cause.DIVISION_BY_SATURATED_P,
        Cause.EXP_OVERFLOW,
        Cause.ZERO_TIMES_INF,
    }
)
"""Causes whose remedy is the best known form of the loss itself."""


def attained(
    blocks: Iterable[FailingBlock],
    loss: str,
    quantity: Quantity,
    tolerance: Tolerance,
    most: int = PROVEN,
) -> Attainable | None:
    """What the best known form attains on failing rows, in their dtype and in a wider one.

    Args:
        blocks: the rows.
        loss: the loss.
        quantity: value or gradient.
        tolerance: decides which results pass.
        most: number of rows on which the form is run.
    """
    sound = sound_model(loss, quantity)
    if sound is None:
        return None
    same = wide = explained = np.nan
    faults = dict.fromkeys(Fault, 0)
    wider, left = "", most
    for block in [each for each in blocks if each.case.logits.size <= _LONGEST][:_BLOCKS]:
        if left <= 0:
            break
        few = block.at(np.arange(min(left, block.results)))
        left -= few.results
        truth = Reference(few.case, {quantity})
        wider = WIDER.get(block.case.dtype, "")
        narrow = _scored(Variant(sound, sound.options), few, truth, quantity, tolerance)
        if narrow is None:
            continue
        kinds, ulps = narrow
        passes = np.asarray(_FINE[kinds].all(axis=1))
        same = np.fmax(same, np.fmax.reduce(ulps.ravel(), initial=np.nan))
        helps = np.zeros(len(passes), dtype=np.bool_)
        if wider:
            again = _scored(Variant(sound, sound.options, wider), few, truth, quantity, tolerance)
            if again is not None:
                kinds, ulps = again
                helps = np.asarray(_FINE[kinds].all(axis=1))
                wide = np.fmax(wide, np.fmax.reduce(ulps.ravel(), initial=np.nan))
        condition = truth.condition(quantity, slice(0, few.case.rows), few.result_dtype)
        half = 0.5 * np.fmax.reduce(np.asarray(condition).ravel(), initial=np.nan)
        explained = np.fmax(explained, half)
        faults[Fault.FORMULA] += int(passes.sum())
        faults[Fault.FORMAT] += int((~passes & helps).sum())
        faults[Fault.PROBLEM] += int((~passes & ~helps).sum())
    rows = sum(faults.values())
    if not rows:
        return None
    return Attainable(
        sound.says, rows, float(same), wider, float(wide), float(explained), tuple(faults.items())
    )


def together(parts: Sequence[Attainable]) -> Attainable:
    """What the best known form attains on the rows of several parts of a line."""
    first = parts[0]
    counts = [dict(each.faults) for each in parts]

    def most(numbers: Iterable[float]) -> float:
        return float(np.fmax.reduce(list(numbers), initial=np.nan))

    return Attainable(
        first.form,
        sum(each.rows for each in parts),
        most(each.same_ulp for each in parts),
        first.wider,
        most(each.wider_ulp for each in parts),
        most(each.explained_ulp for each in parts),
        tuple((fault, sum(each[fault] for each in counts)) for fault in Fault),
    )


def _scored(
    variant: Variant,
    block: FailingBlock,
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
) -> tuple[Codes, Float64Array] | None:
    """Kinds and errors in ulps of a variant on the rows of a block, in the dtype of the input."""
    case = block.case
    wide, _ = run(variant, case, case.dtype, blaming=False)
    try:
        scores = scores_of(from_float64(wide, case.dtype), truth, quantity, tolerance)
    except UncertifiedError:
        return None
    return _own_rows(block, scores)


def _own_rows(block: FailingBlock, scores: Scores) -> tuple[Codes, Float64Array]:
    """Kinds and errors in ulps of the failing rows: (rows, components) each."""
    rows = 1 if block.single else block.case.rows
    kinds, ulps = scores.kinds.reshape(rows, -1), scores.ulp_error.reshape(rows, -1)
    return (kinds, ulps) if block.rows is None else (kinds[block.rows], ulps[block.rows])
