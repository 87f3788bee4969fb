"""The arbiter's word: on what is shown, and on results that are too near to a limit to tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np

from xentcheck.collection.shown import Shown
from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.floats import format_of, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import picked
from xentcheck.model import (
    Array,
    Case,
    Cell,
    Float64Array,
    Kind,
    Quantity,
    Tolerance,
    Witness,
    kind_of,
)
from xentcheck.reference import ends, exact, exact_component, exact_in_block, few_distinct
from xentcheck.reference.enclosures import (
    Enclosures,
    Exact,
    decimal_text,
    expected,
    midpoint,
    radius_in_ulps,
)
from xentcheck.scoring import Settled, excess_bits, score, stands, unflushed_kind

PRECISIONS = (128, 512, 2048, 8192)
"""In bits. Two different numbers that agree to the last of them are not met with: a result that is
that near to a limit meets it exactly."""

Certain = tuple[Enclosures, Float64Array]
"""An enclosure by the arbiter and the condition number, (1,) each."""


def certain(case: Case, row: int, quantity: Quantity, index: int | None, dtype: str) -> Certain:
    """What a result ought to be.

    Args:
        case: the block of rows.
        row: its place in the block.
        quantity: of the value or the gradient.
        index: the component, None for a value per row or per block.
        dtype: that of the result.

    Raises:
        UncertifiedError: the arbiter cannot decide it.
    """
    if case.reduced:
        if not few_distinct(case):
            return exact_in_block(case, row, quantity, index or 0, dtype)
        place = (row,) if index is None else (row, index)
        return _one_of(exact(case), quantity, () if quantity is Quantity.VALUE else place)
    return exact_component(case, row, quantity, index or 0, dtype)


def _one_of(block: Exact, quantity: Quantity, position: tuple[int, ...]) -> Certain:
    is_value = quantity is Quantity.VALUE
    conditions = block.value_condition if is_value else block.gradient_condition
    enclosures = block.value if is_value else block.gradient
    return enclosures.at(position), np.atleast_1d(conditions[position])


def settled(
    case: Case,
    row: int,
    quantity: Quantity,
    index: int | None,
    actual: Array,
    truth: Certain,
    tolerance: Tolerance,
) -> Settled:
    """How one result, (1,), stands to a tolerance, at as many bits as that takes; (1,) each."""
    enclosures, condition = truth
    target = format_of(actual.dtype)
    assert target is not None
    plain = score(actual, enclosures, condition, quantity=quantity, tolerance=Tolerance())
    bits = excess_bits(float(plain.ulp_error[0]), float(condition[0]), target.name)

    def asked(bounds: tuple[Fraction, Fraction]) -> tuple[bool | None, bool | None, bool | None]:
        value = float(to_float64(actual)[0])
        return stands(value, bounds, target.name, tolerance, float(condition[0]), bits)

    answers: tuple[bool | None, bool | None, bool | None] = (None, None, None)
    exactly = midpoint(enclosures, (0,)) if enclosures.radius[0] == 0 else None
    if exactly is not None:
        answers = asked((exactly, exactly))
    for precision in PRECISIONS if exactly is None else ():
        bounds = ends(case, row, quantity, index or 0, precision)
        if bounds is None:
            break
        answers = asked(bounds)
        if None not in answers:
            break
    return Settled(*(np.array([bool(each)]) for each in answers))


@dataclass(slots=True)
class Arbitration:
    """The arbiter's word on what is shown, each result asked for once.

    ``confirmed`` counts the results whose scores came out as the lower tiers had them.
    """

    decide: Callable[[Case], Exact]
    confirmed: int = 0
    failures: list[str] = field(default_factory=list)
    _blocks: dict[tuple[Any, ...], Exact] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], Certain] = field(default_factory=dict)

    def exact(self, shown: Shown, quantity: Quantity) -> Certain:
        """The enclosure and the condition number of a shown result, (1,) each."""
        key = (*content(shown.case), quantity, shown.position, shown.result_dtype)
        if key not in self._known:
            if shown.case.reduced:
                self._known[key] = self._of_block(shown, quantity)
            else:
                self._known[key] = exact_component(
                    shown.case, shown.row, quantity, shown.index or 0, shown.result_dtype
                )
            self.confirmed += 1
        return self._known[key]

    def _of_block(self, shown: Shown, quantity: Quantity) -> Certain:
        if not few_distinct(shown.case):
            return exact_in_block(
                shown.case, shown.row, quantity, shown.index or 0, shown.result_dtype
            )
        key = content(shown.case)
        if key not in self._blocks:
            self._blocks[key] = self.decide(shown.case)
        return _one_of(self._blocks[key], quantity, shown.position)

    def witness(
        self, shown: Shown, cell: Cell, tolerance: Tolerance, *, flushes: bool = True
    ) -> Witness:
        """The witness, scored again against the arbiter's enclosure.

        ``flushes``: whether zeros for subnormal results are flushed ones, in this cell.
        """
        try:
            enclosures, condition = self.exact(shown, cell.quantity)
        except UncertifiedError as error:
            self.failures.append(str(error))
            return bare_witness(shown, str(error))
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
            place = (shown.case, shown.row, cell.quantity, shown.index)
            again = scoring(settled=settled(*place, actual, (enclosures, condition), tolerance))
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
        return Witness(
            **_input(shown),
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


def content(case: Case) -> tuple[Any, ...]:
    """What the exact results of a case depend on."""
    parameters = tuple(
        (name, value.tobytes() if isinstance(value, np.ndarray) else value)
        for name, value in sorted(case.parameters.items())
    )
    labels = None if case.labels is None else case.labels.tobytes()
    return (case.loss, case.dtype, case.logits.shape, case.logits.tobytes(), labels, parameters)


def _input(shown: Shown) -> dict[str, Any]:
    """The fields of a witness that replay it: a row, under a reduction the whole block."""
    where: Any = slice(None) if shown.case.reduced else shown.row
    case = shown.case
    return {
        "logits": case.logits[where],
        "labels": None if case.labels is None else case.labels[where],
        "parameters": picked(case.parameters, where),
        "row": shown.number,
        "place": shown.row if case.reduced else 0,
        "generator": case.generator,
    }


def bare_witness(shown: Shown, note: str) -> Witness:
    """A row whose result cannot be shown, only its input."""
    return Witness(
        **_input(shown),
        actual=np.nan,
        expected=np.nan,
        exact="",
        ulp_error=np.nan,
        abs_error=np.nan,
        note=note,
    )
