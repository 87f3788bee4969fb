"""Rows that may become the witness of a finding."""

from dataclasses import dataclass, replace

import numpy as np

from xentcheck.model import ADAPTIVE, Case, Kind, Quantity
from xentcheck.reference import Element


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A row that may become a witness, with its result.

    Attributes:
        case: a case of this row only; under a reduction, the whole block.
        row: the index of the row in ``case``.
        number: the number of the row in its sweep. Rows that a search found have their own
            numbering until the sweep is closed.
        index: the component of the result; None for a value per row or per block.
        actual: the result.
        result_dtype: the dtype of the result, by name.
        kind: the kind of the fault or note; None if the result is right.
        ulp_error: the error in ulps; NaN if there is no finite one.
        abs_error: the absolute error; NaN likewise.
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
        """Whether a search found the row for one implementation: it is not a row of the sweep."""
        return self.case.generator in ADAPTIVE

    @property
    def place(self) -> tuple[bool, int]:
        """Sort key for the order within a sweep: rows that a search found come last."""
        return (self.found, self.number)

    def element(self, quantity: Quantity) -> Element:
        """Which result of its case it is."""
        return Element(self.case, self.row, quantity, self.index)

    @property
    def position(self) -> tuple[int, ...]:
        """The index of the result in the array of results of the case."""
        if self.single:
            return ()
        return (self.row,) if self.index is None else (self.row, self.index)


def moved(shown: Candidate, offset: int, found: int = 0) -> Candidate:
    """A copy with a later row number: ``offset`` rows, or ``found`` found ones, come before."""
    if shown.found:
        return replace(shown, number=shown.number + found)
    return replace(shown, number=shown.number + offset)


def alone(case: Case, row: int) -> tuple[Case, int]:
    """A case of one row and the row's index in it. Under a reduction it is the whole block."""
    if case.reduced:
        return case, row
    return replace(case.part(np.array([row])), start=case.start + row), 0


def gravity(error: float) -> float:
    """An error in ulps as a sort key: NaN becomes infinity."""
    return np.inf if np.isnan(error) else float(error)


def badness(shown: Candidate) -> tuple[float, float]:
    """Sort key: a larger error is worse, then fewer classes."""
    return (gravity(shown.ulp_error), -float(shown.case.classes))
