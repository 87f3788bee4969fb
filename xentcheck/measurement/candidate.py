"""Candidates for witnesses."""

from dataclasses import dataclass, replace

import numpy as np

from xentcheck.losses.spec import picked
from xentcheck.model import ADAPTIVE, Case, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A candidate for a witness: a case of its row alone (under a reduction: the block).

    ``row`` is its place in that case, ``number`` its number within the sweep; rows that were found
    by a search are numbered on their own until the sweep is closed.
    """

    case: Case
    row: int
    number: int
    index: int | None
    actual: float
    result_dtype: str
    kind: Kind | None
    ulp_error: float
    abs_error: float
    single: bool = False  # the result is one number for all rows

    @property
    def found(self) -> bool:
        """Whether a search made it, for one implementation; it is no row of the sweep's own."""
        return self.case.generator in ADAPTIVE

    @property
    def place(self) -> tuple[bool, int]:
        """Where it comes among the rows of its sweep: what was found comes last."""
        return (self.found, self.number)

    @property
    def position(self) -> tuple[int, ...]:
        """Where its result stands among those of its case."""
        if self.single:
            return ()
        return (self.row,) if self.index is None else (self.row, self.index)


def moved(shown: Candidate, offset: int, found: int = 0) -> Candidate:
    """The same candidate in a sweep with ``offset`` more rows, or ``found`` more, before it."""
    if shown.found:
        return replace(shown, number=shown.number + found)
    return replace(shown, number=shown.number + offset)


def alone(case: Case, row: int) -> tuple[Case, int]:
    """A case of one row only, and the row's place in it; under a reduction the whole block."""
    if case.reduced:
        return case, row
    rows = slice(row, row + 1)
    own = replace(
        case,
        logits=case.logits[rows].copy(),
        labels=None if case.labels is None else case.labels[rows].copy(),
        parameters=picked(case.parameters, rows),
        start=case.start + row,
    )
    return own, 0


def gravity(error: float) -> float:
    """An error in ulps, infinite where there is no finite one."""
    return np.inf if np.isnan(error) else float(error)


def badness(shown: Candidate) -> tuple[float, float]:
    """How bad a candidate is: larger error, then fewer classes."""
    return (gravity(shown.ulp_error), -float(shown.case.classes))
