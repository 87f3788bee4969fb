"""Asks an implementation more than a sweep did, where its rows leave open what it computes.

Few rows do not tell two forms apart. So the implementation is called on rows near them: a row's
numbers scaled, shifted and exchanged. What is still open then is described by experiments.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import Caller, observe
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import FailingBlock, FailingRows, Tally, take
from xentcheck.model import Case, Domain, Implementation, LabelKind, Quantity, Tolerance
from xentcheck.reference import Reference
from xentcheck.searching.axes import OF_LENGTHS, Setting
from xentcheck.searching.experiments import experiments
from xentcheck.searching.series import Budget, Tell

ROWS = 64
"""Rows near one row on which an implementation is called, that row first."""

MOST_CALLS = 96
"""Most calls of the experiments with one function in one dtype."""

FACTS = 4
"""Facts that are told of one function in one dtype."""


def asked_near(
    implementation: Implementation, case: Case, quantity: Quantity, tolerance: Tolerance
) -> FailingRows | None:
    """The failing and the passing rows near a row; None if the call gives no certain result.

    Args:
        implementation: is called once, on `ROWS` rows.
        case: a case of one row, without a reduction.
        quantity: value or gradient.
        tolerance: decides which rows fail.
    """
    whole = rows_near(case)
    tally = Tally(failing=FailingRows(ROWS))
    try:
        returned = observe(implementation, whole, quantity, thorough=False)
        if returned.results is None:
            return None
        truth = Reference(whole, {quantity})
        take(tally, implementation, whole, returned.results, truth, quantity, tolerance)
    except (UncertifiedError, UnsupportedError):
        return None
    return tally.failing


def facts_of(
    implementation: Implementation, block: FailingBlock, quantity: Quantity, tell: Tell
) -> list[str]:
    """What experiments show of a function with the dtype and parameters of a block of rows.

    Args:
        implementation: is called `MOST_CALLS` times at most.
        block: failing rows.
        quantity: value or gradient.
        tell: gets the implementation's name before a call, and "" after it.

    Returns:
        Sentences, those about numbers that are known in closed form first.
    """
    case = block.case
    if case.reduced or any(isinstance(each, np.ndarray) for each in case.parameters.values()):
        return []
    setting = Setting(
        implementation, case.dtype, quantity, case.label_kind, case.parameters, case.integers
    )
    # each number of classes is a program of its own there, and costs more than all other axes
    without = OF_LENGTHS if Caller(implementation, case, quantity).compiles else ()
    found = experiments(setting, Budget(MOST_CALLS), tell, without=without).facts
    told = sorted(found, key=lambda fact: not fact.known)
    return [f"{case.dtype}: {fact.says}" for fact in told[:FACTS]]


def rows_near(case: Case) -> Case:
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
        with np.errstate(over="ignore"):  # what overflows is clipped
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
