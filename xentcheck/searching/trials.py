"""Calls of one implementation in a search. Every call has the same number of rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from xentcheck.execution import Incident, Returned, observe
from xentcheck.measurement import weigh
from xentcheck.model import (
    Array,
    Case,
    Float64Array,
    Implementation,
    Kind,
    ParameterValue,
    Quantity,
)
from xentcheck.reference import Reference

ROWS = 64  # rows of classes in every call
SINGLE_NUMBERS = 256  # numbers in every call of an elementwise loss

_HALTING = (Kind.CRASHED, Kind.TIMED_OUT, Kind.RAISED, Kind.WRONG_SHAPE, Kind.WRONG_DTYPE)


def block_rows(case: Case) -> int:
    """Return the number of rows of every call. It is fixed: frameworks compile for each shape."""
    return ROWS if case.logits.ndim == 2 else SINGLE_NUMBERS


def joined(one: Case, other: Case) -> Case:
    """Stack the rows of two cases of one shape and the same parameters."""
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
    """Rows that a search found, and the results of the implementation for them."""

    case: Case
    results: Array


class HaltedError(Exception):
    """A call of a search had no result for some rows. Has the incident and the case."""

    def __init__(self, incident: Incident, case: Case) -> None:
        super().__init__(incident.detail)
        self.incident = incident
        self.case = case


@dataclass(frozen=True, slots=True)
class Trials:
    """Calls one function of an implementation.

    Attributes:
        implementation: the implementation.
        quantity: selects the function.
        tell: gets the implementation's name before a call, and "" after it.
        reduction: parameters of a function that returns one result for all its rows: each row is
            called alone then, with these parameters. Empty: rows are called together.
    """

    implementation: Implementation
    quantity: Quantity
    tell: Callable[[str], None]
    reduction: Mapping[str, ParameterValue] = field(default_factory=dict, hash=False)

    def of(self, case: Case) -> tuple[Float64Array, Array]:
        """Return each row's error as computed by `weigh`, and the results.

        Raises:
            HaltedError: the call gave no result, or none for some row.
            UncertifiedError: only the arbiter can compute the exact results, and fails for a row.
            UnsupportedError: the implementation reports that it does not take such inputs.
        """
        truth = Reference(case, {self.quantity})
        observed, incident = self.call(case)
        if incident is not None:
            raise HaltedError(incident, case)
        assert observed.results is not None
        return weigh(observed.results, case, truth, self.quantity), observed.results

    def call(self, case: Case) -> tuple[Returned, Incident | None]:
        """Return what came of one call, and the incident that left rows without a result, if any.

        Raises:
            UnsupportedError: the implementation reports that it does not take such inputs.
        """
        self.tell(self.implementation.name)
        if self.reduction:
            observed = self._one_by_one(case)
        else:
            observed = observe(self.implementation, case, self.quantity, thorough=False)
        self.tell("")
        for incident in observed.incidents:
            if incident.kind in _HALTING and (incident.rows or observed.results is None):
                return observed, incident
        return observed, None

    def reduced(self, case: Case, row: int) -> Case:
        """A row as the block of a reduction; a case of it alone if there is no reduction."""
        own = case.part(np.array([row]))
        return replace(own, parameters={**own.parameters, **self.reduction})

    def _one_by_one(self, case: Case) -> Returned:
        """The results of calls with one row each, as if they were of one call."""
        single = [
            observe(self.implementation, self.reduced(case, row), self.quantity, thorough=False)
            for row in range(case.rows)
        ]
        incidents = tuple(
            replace(incident, rows=(row,))
            for row, each in enumerate(single)
            for incident in each.incidents
        )
        valid = np.array([each.results is not None for each in single])
        known = [each.results for each in single if each.results is not None]
        if not known:
            return Returned(None, valid, incidents)
        shape = () if self.quantity is Quantity.VALUE else case.logits.shape[1:]
        filler = np.zeros(shape, dtype=known[0].dtype)
        rows = [filler if each.results is None else each.results.reshape(shape) for each in single]
        return Returned(np.stack(rows), valid, incidents)
