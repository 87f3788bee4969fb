"""Calls of one implementation on rows that are only tried, always as many at once."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from xentcheck.execution import Incident, observe
from xentcheck.losses.spec import picked
from xentcheck.measurement import weigh
from xentcheck.model import Array, Case, Float64Array, Implementation, Kind, Quantity
from xentcheck.reference import Reference

ROWS = 64
SINGLE_NUMBERS = 256

_HALTING = (Kind.CRASHED, Kind.TIMED_OUT, Kind.RAISED, Kind.WRONG_SHAPE, Kind.WRONG_DTYPE)


def block_rows(case: Case) -> int:
    """How many rows every call of a search has; frameworks compile for each shape anew."""
    return ROWS if case.logits.ndim == 2 else SINGLE_NUMBERS


def chosen(case: Case, rows: Array) -> Case:
    """A case of some rows of another, in that order; a row may come several times."""
    return replace(
        case,
        logits=case.logits[rows],
        labels=None if case.labels is None else case.labels[rows],
        parameters=picked(case.parameters, rows),
    )


def joined(one: Case, other: Case) -> Case:
    """The rows of two cases of one shape and the same parameters, one below the other."""
    parameters = dict(one.parameters)
    for name, value in other.parameters.items():
        if isinstance(value, np.ndarray) and value.ndim == 2:
            parameters[name] = np.concatenate([np.asarray(one.parameters[name]), value])
    labels = None
    if one.labels is not None and other.labels is not None:
        labels = np.concatenate([one.labels, other.labels])
    logits = np.concatenate([one.logits, other.logits])
    return replace(one, logits=logits, labels=labels, parameters=parameters)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """Rows that were found, and what the implementation returned for them."""

    case: Case
    results: Array


class HaltedError(Exception):
    """A call of a search that gave nothing, or not for every row: what happened, on which case."""

    def __init__(self, incident: Incident, case: Case) -> None:
        super().__init__(incident.detail)
        self.incident = incident
        self.case = case


@dataclass(frozen=True, slots=True)
class Trials:
    """One function of an implementation, asked about rows; ``tell`` is told who is called."""

    implementation: Implementation
    quantity: Quantity
    tell: Callable[[str], None]

    def of(self, case: Case) -> tuple[Float64Array, Array]:
        """Each row's error as `weigh` has it, and the results.

        Raises:
            HaltedError: the call, or some row of it, gave no result.
            UncertifiedError: there is no tier but the arbiter, and it cannot decide some row.
            UnsupportedError: the implementation says that it does not take such inputs.
        """
        truth = Reference(case, {self.quantity})
        self.tell(self.implementation.name)
        observed = observe(self.implementation, case, self.quantity, thorough=False)
        self.tell("")
        for incident in observed.incidents:
            if incident.kind in _HALTING and (incident.rows or observed.results is None):
                raise HaltedError(incident, case)
        assert observed.results is not None
        return weigh(observed.results, case, truth, self.quantity), observed.results
