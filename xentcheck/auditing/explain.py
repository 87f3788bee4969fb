"""Explains one result: the known form that gives it, step by step, and the form that is right.

One row does not tell two forms apart. So the implementation is also called on rows near it: the
row's numbers scaled, shifted and exchanged.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.diagnosis.explaining import shown_steps
from xentcheck.diagnosis.fingerprint import Variant, computed, fingerprint, merged_blocks
from xentcheck.diagnosis.models import sound_model
from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import observe
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import FailingRows, Tally, take
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Case,
    Domain,
    Explanation,
    Implementation,
    LabelKind,
    Quantity,
)
from xentcheck.reference import Reference

ROWS = 64
"""Rows near the input on which the implementation is called, the input first."""


def explained(
    implementation: Implementation, case: Case, quantity: Quantity
) -> Iterator[Explanation]:
    """The explanation of one result; none if the call gives no result, or it is right.

    Args:
        implementation: is called once more, on `ROWS` rows.
        case: a case of one row, without a reduction.
        quantity: value or gradient.
    """
    whole = _near(case)
    tally = Tally(failing=FailingRows(ROWS))
    try:
        returned = observe(implementation, whole, quantity, thorough=False)
        if returned.results is None:
            return
        truth = Reference(whole, {quantity})
        take(tally, implementation, whole, returned.results, truth, quantity, SURVEY_TOLERANCE)
    except (UncertifiedError, UnsupportedError):
        return
    failing = tally.failing
    assert failing is not None
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


def _near(case: Case) -> Case:
    """`ROWS` rows: the row itself, then rows near it, in the domain of the loss."""
    numbers = to_float64(case.logits)[0]
    rng = np.random.default_rng(0)
    rows = [numbers]
    domain = LOSSES[case.loss].domain
    vary: Callable[[int], Any] = {
        Domain.LOGITS: lambda k: numbers * (0.25 * (1 + k % 8)) + (0, 0, 1, -300, 300)[k % 5],
        Domain.PROBABILITIES: lambda k: np.clip(numbers * (0.5**k), 0.0, 1.0),
        Domain.LOG_PROBABILITIES: lambda k: numbers * (0.25 * (1 + k % 8)),
    }[domain]
    while len(rows) < ROWS:
        row = np.asarray(vary(len(rows)), dtype=np.float64)
        if row.ndim and len(rows) % 3 == 0:
            row = rng.permutation(row)
        rows.append(row)
    logits = from_float64(np.clip(np.stack(rows), -_MOST, _MOST), case.dtype)
    labels = case.labels
    if labels is not None:
        labels = np.repeat(labels[:1], ROWS, axis=0)
        if case.label_kind is LabelKind.INTEGER and case.classes > 1:
            labels[1::4] = (labels[0] + 1) % case.classes
    parameters = dict(case.parameters)
    for name, value in case.parameters.items():
        if isinstance(value, np.ndarray) and value.ndim == case.logits.ndim == 2:
            parameters[name] = np.repeat(value[:1], ROWS, axis=0)
    logits[0] = case.logits[0]
    return replace(case, logits=logits, labels=labels, parameters=parameters)


_MOST = FORMATS["float64"].max
