"""Explains one result: the known form that gives it, step by step, and the form that is right."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from xentcheck.auditing.asking import asked_near
from xentcheck.diagnosis.explaining import shown_steps
from xentcheck.diagnosis.fingerprint import Variant, computed, fingerprint, merged_blocks
from xentcheck.diagnosis.models import sound_model
from xentcheck.floats import to_float64
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Case,
    Explanation,
    Implementation,
    Quantity,
)


def explained(
    implementation: Implementation, case: Case, quantity: Quantity
) -> Iterator[Explanation]:
    """The explanation of one result; none if the call gives no result, or it is right.

    Args:
        implementation: is called once more, on rows near the case.
        case: a case of one row, without a reduction.
        quantity: value or gradient.
    """
    failing = asked_near(implementation, case, quantity, SURVEY_TOLERANCE)
    if failing is None:
        return
    first = next((each for each in failing.blocks if _same(each.case, case)), None)
    if first is None:  # the row itself is right
        return
    found = fingerprint(
        case.loss, quantity, merged_blocks(failing.blocks), merged_blocks(failing.passing)
    )
    sound = sound_model(case.loss, quantity)
    finite = bool(np.isfinite(to_float64(case.logits)).all())
    own = first.at(np.arange(1))
    form, cause, evidence = "", None, ""
    steps: tuple[Any, ...] = ()
    if found.matches:
        match = found.matches[0]
        form = match.variant.text
        evidence = (
            f"{match.variant.name} gives the same on {int(match.agreed.sum()):,} of {found.rows:,} "
            "failing rows near this one"
        )
        cause = computed(match.variant, own)[1][0]
        steps = shown_steps(match.variant, case) if finite else ()
    actual, exact = own.actual[0], own.exact[0]
    worst = int(np.nan_to_num(np.abs(actual - exact), nan=np.inf).argmax())
    at = f"[{worst}] " if len(actual) > 1 else ""
    yield Explanation(
        implementation.name,
        case.dtype,
        quantity,
        form,
        cause,
        evidence,
        steps,
        "" if sound is None else sound.says,
        shown_steps(Variant(sound, sound.options), case) if sound is not None and finite else (),
        f"{at}{actual[worst]:.6g}",
        f"exact {exact[worst]:.6g}",
    )


def _same(one: Case, other: Case) -> bool:
    """Whether the first row of a case is the row of another."""
    if one.logits.shape[1:] != other.logits.shape[1:]:
        return False
    first, own = to_float64(one.logits[:1]), to_float64(other.logits)
    return bool(np.array_equal(first, own, equal_nan=True))
