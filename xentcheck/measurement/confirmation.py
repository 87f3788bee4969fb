"""Scores witnesses again against the arbiter, also if they are very near to a limit."""

from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.floats import from_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.borderline import Certain, one_of, settled
from xentcheck.measurement.candidate import Candidate
from xentcheck.measurement.scales import least_scale, ratio
from xentcheck.measurement.scoring import excess_bits, score, unflushed_kind
from xentcheck.model import Case, Cell, Input, Kind, Quantity, Scored, Tolerance, Witness, kind_of
from xentcheck.reference import exact, exact_component, exact_in_block, few_distinct
from xentcheck.reference.enclosures import Exact, decimal_text, expected, midpoint, radius_in_ulps


@dataclass(slots=True)
class Arbitration:
    """The arbiter's exact results of witnesses; each is computed once.

    Attributes:
        confirmed: number of results that the arbiter computed.
        failures: messages about results that the arbiter cannot decide or scores differently.
    """

    confirmed: int = 0
    failures: list[str] = field(default_factory=list)
    _blocks: dict[tuple[Any, ...], Exact] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Certain] = field(default_factory=dict)

    def exact(self, shown: Candidate, quantity: Quantity) -> Certain:
        """The enclosure and the condition number of a candidate's result, of shape (1,) each."""
        key = (*content(shown.case), quantity, shown.position, shown.result_dtype)
        if key not in self._known:
            if shown.case.reduced:
                self._known[key] = self._of_block(shown, quantity)
            else:
                self._known[key] = exact_component(shown.element(quantity), shown.result_dtype)
            self.confirmed += 1
        return self._known[key]

    def _of_block(self, shown: Candidate, quantity: Quantity) -> Certain:
        if not few_distinct(shown.case):
            return exact_in_block(shown.element(quantity), shown.result_dtype)
        key = content(shown.case)
        if key not in self._blocks:
            self._blocks[key] = exact(shown.case)
        return one_of(self._blocks[key], quantity, shown.position)

    def norm(self, shown: Candidate, top: int, quantity: Quantity) -> float | None:
        """The error of a result relative to the scale of its row; None if it is undecided.

        Args:
            shown: the result.
            top: the component of its row with the largest exact magnitude.
            quantity: the value or the gradient.
        """
        largest = shown if shown.index is None else replace(shown, index=top)
        try:
            exact, size = (self.exact(each, quantity)[0] for each in (shown, largest))
        except UncertifiedError:
            return None
        rows = slice(0, shown.case.rows)
        least = least_scale(shown.case, quantity, shown.result_dtype, rows)
        own = float(least[0 if len(least) == 1 else shown.row])
        middle = midpoint(size, (0,)) or Fraction(0)
        return ratio(shown.actual, midpoint(exact, (0,)), max(abs(middle), Fraction(own)))

    def witness(
        self, shown: Candidate, cell: Cell, tolerance: Tolerance, *, flushes: bool = True
    ) -> Witness:
        """The witness of a candidate, scored against the arbiter's enclosure.

        Args:
            shown: the candidate. If the arbiter finds another kind, that is noted as a failure.
            cell: the cell of the candidate.
            tolerance: the tolerance of the cell.
            flushes: whether the implementation flushes subnormal results in this cell.
        """
        try:
            enclosures, condition = self.exact(shown, cell.quantity)
        except UncertifiedError as error:
            self.failures.append(str(error))
            return Witness(input_of(shown), note=str(error))
        actual = from_float64(np.array([shown.actual]), shown.result_dtype)
        scoring = partial(
            score,
            actual,
            enclosures,
            condition,
            quantity=cell.quantity,
            tolerance=tolerance,
            nonnegative=LOSSES[cell.loss].nonnegative and cell.quantity is Quantity.VALUE,
            terms=shown.case.classes,
        )
        again = scoring()
        if again.near[0]:
            element = shown.element(cell.quantity)
            again = scoring(settled=settled(element, actual, (enclosures, condition), tolerance))
        kind = kind_of(int(again.kinds[0]))
        if kind is Kind.FTZ and not flushes:
            kind = unflushed_kind(cell.quantity, shown.actual)
        if kind is not shown.kind:
            self.failures.append(
                f"{INTERNAL_ERROR}: {cell.quantity} of {cell.implementation} on row {shown.number} "
                f"of sweep {cell.sweep!r} ({cell.loss}, {cell.dtype}) is {shown.kind or 'right'} "
                f"by a fast tier and {kind or 'right'} by mpmath"
            )
        ulp_error = float(again.ulp_error[0])
        scored = Scored(
            actual=shown.actual,
            expected=expected(enclosures, (0,), shown.result_dtype),
            exact=decimal_text(enclosures, (0,)),
            ulp_error=ulp_error,
            abs_error=float(again.abs_error[0]),
            index=shown.index,
            result_dtype=shown.result_dtype,
            radius_ulp=radius_in_ulps(enclosures, (0,), shown.result_dtype),
            excess_bits=(
                excess_bits(ulp_error, float(condition[0]), shown.result_dtype)
                if np.isfinite(ulp_error)
                else None
            ),
        )
        return Witness(input_of(shown), scored)


def content(case: Case) -> tuple[Any, ...]:
    """Everything that the exact results of a case depend on, as a key."""
    parameters = tuple(
        (name, value.tobytes() if isinstance(value, np.ndarray) else value)
        for name, value in sorted(case.parameters.items())
    )
    labels = None if case.labels is None else case.labels.tobytes()
    return (case.loss, case.dtype, case.logits.shape, case.logits.tobytes(), labels, parameters)


def input_of(shown: Candidate) -> Input:
    """The input that reproduces a candidate: its row, or the whole block under a reduction."""
    if shown.case.reduced:
        return Input.of(shown.case, None, row=shown.number, place=shown.row)
    return Input.of(shown.case, shown.row, row=shown.number)
