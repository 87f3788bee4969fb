"""Makes the witness of a finding smaller, as long as the finding stays."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import Incident, observe, unsupported
from xentcheck.floats import format_of, from_float64, to_float64
from xentcheck.implementations.user.command import Command
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.measurement import Arbitration, Tally, measure
from xentcheck.measurement.confirmation import input_of
from xentcheck.measurement.escalation import Part
from xentcheck.measurement.scoring import Scores
from xentcheck.measurement.summary import hint_for
from xentcheck.model import (
    KINDS,
    OF_CALLS,
    SHRUNK,
    WITHOUT_RESULT,
    Array,
    Case,
    Finding,
    Implementation,
    Input,
    Kind,
    LabelKind,
    Layout,
    ParameterKind,
    Quantity,
    Tolerance,
    Witness,
    function_for,
    kind_of,
)
from xentcheck.reference import Reference
from xentcheck.searching.shrinking import MOST_CALLS, shrink

Bools: TypeAlias = npt.NDArray[np.bool_]

SameCause: TypeAlias = Callable[[Case, Array], Bools]
"""Whether rows fail for the same cause: takes a case and its results, returns (rows,)."""

KEPT_BITS = 0.5
"""The share of the lost bits that a smaller witness has to lose as well."""

THOROUGH_CALLS = 40
"""Most candidates where each takes many calls: to see whether rows depend on one another."""

_NEVER = frozenset({Kind.CRASHED, Kind.TIMED_OUT, Kind.OTHER_FUNCTION, Kind.INCONSISTENT})
"""Kinds whose witnesses stay: every try would end a process, or they need two functions."""

_COMPANY = (Kind.ROW_DEPENDENT, Kind.BATCH_VARIANT, Kind.NON_DETERMINISTIC)


def shrunk(
    finding: Finding,
    implementation: Implementation,
    tolerance: Tolerance,
    tell: Callable[[str], None],
    *,
    same_cause: SameCause | None = None,
    fixed: bool = False,
    integers: bool = False,
    most_calls: int = MOST_CALLS,
) -> Finding:
    """The finding with a smaller witness that shows the same kind, and the original beside it.

    The smaller input is beyond the tolerance as well and loses at least half of the bits that the
    original loses. The arbiter scores it, like every witness.

    Args:
        finding: the finding.
        implementation: what it is about.
        tolerance: the tolerance of its cell.
        tell: is told the name of the implementation before a call, and "" after it.
        same_cause: says which rows fail for the same cause; None: the kind is enough.
        fixed: labels of soft or hard kind stay of that kind.
        integers: targets are passed as int64.
        most_calls: most calls of the implementation.

    Returns:
        The finding as it was if there is nothing smaller, or if the arbiter does not confirm it.
    """
    witness = finding.witness
    function = function_for(implementation, finding.cell.quantity)
    if witness is None or finding.kind in _NEVER or finding.original is not None:
        return finding
    if function is None or isinstance(function, Command):
        return finding
    case = replace(case_of(witness.input, finding), fixed=fixed, integers=integers)
    asked = _Asked(implementation, finding, tolerance, tell, same_cause)
    try:
        if finding.kind in OF_CALLS and finding.kind not in WITHOUT_RESULT:
            smaller = asked.of_company(case)
        else:
            smaller = asked.of_rows(case, most_calls)
    except (UncertifiedError, UnsupportedError):
        return finding
    return smaller or finding


def case_of(given: Input, finding: Finding) -> Case:
    """The case of an input: one row, or the block of a reduction.

    Args:
        given: the input of a witness.
        finding: has its cell.
    """
    loss = LOSSES[finding.cell.loss]
    whole = is_block(given.logits, loss)

    def rows(array: Array) -> Array:
        return array if whole else array[np.newaxis]

    parameters = {
        name: rows(np.asarray(value)) if _by_row(loss, name) else value
        for name, value in given.parameters.items()
    }
    labels = None if given.labels is None else rows(given.labels)
    return Case(
        finding.cell.sweep,
        SHRUNK,
        loss.id,
        finding.cell.dtype,
        rows(given.logits),
        _label_kind(loss, labels),
        labels,
        parameters,
        start=given.row,
    )


def is_block(logits: Array, loss: Loss) -> bool:
    """Whether the logits of an input are a block of rows and not one row."""
    return logits.ndim == (1 if loss.layout is Layout.ELEMENTWISE else 2)


def _by_row(loss: Loss, name: str) -> bool:
    """Whether a parameter has a number for each row and class."""
    declared = loss.parameter(name)
    return declared is not None and declared.kind is ParameterKind.ROW_MATRIX


def _label_kind(loss: Loss, labels: Array | None) -> LabelKind:
    if labels is None:
        return LabelKind.NONE
    if labels.dtype.kind in "iu":
        return LabelKind.INTEGER
    return LabelKind.TARGET if LabelKind.TARGET in loss.label_kinds else LabelKind.DISTRIBUTION


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """Asks the implementation of a finding about other inputs."""

    implementation: Implementation
    finding: Finding
    tolerance: Tolerance
    tell: Callable[[str], None]
    same_cause: SameCause | None

    @property
    def quantity(self) -> Quantity:
        return self.finding.cell.quantity

    # rows ------------------------------------------------------------------------------------

    def of_rows(self, case: Case, most_calls: int) -> Finding | None:
        """The finding with a smaller row, or a smaller block of a reduction."""
        without = self.finding.kind in WITHOUT_RESULT
        code = KINDS.index(self.finding.kind) if without else self._code(case)
        if code is None or not bool(np.any(self._fails(case, code))):
            return None  # the row alone does not show it
        smaller = shrink(case, lambda some: self._fails(some, code), most_calls=most_calls)
        if smaller is case or not bool(np.any(self._fails(smaller, code))):
            return None
        return self._confirmed(smaller, code)

    def _called(self, case: Case) -> tuple[Array | None, Bools, Incident | None]:
        """The results of one call, the rows that have one, and the incident of the others."""
        self.tell(self.implementation.name)
        observed = observe(self.implementation, case, self.quantity, thorough=False)
        self.tell("")
        lost = [each for each in observed.incidents if each.kind is self.finding.kind]
        return observed.results, observed.valid, lost[0] if lost else None

    def _scored(self, case: Case, results: Array) -> tuple[Part, Scores]:
        target = format_of(results.dtype)
        assert target is not None
        truth = Reference(case, {self.quantity})
        part = Part(case, slice(0, case.rows), self.quantity, target.name, truth)
        return part, part.scores(results, self.tolerance, LOSSES[case.loss])

    def _code(self, case: Case) -> int | None:
        """The kind of the original row's result, as scoring sees it; None if it is not wrong.

        A plateau, for example, is an inaccurate result that other rows have as well.
        """
        results, valid, _ = self._called(case)
        if results is None or not valid.any():
            return None
        code = int(self._scored(case, results)[1].kinds.min())
        kind = kind_of(code)
        same = kind is self.finding.kind
        judged_later = kind is Kind.FTZ or self.finding.kind is Kind.PLATEAU
        return code if same or (kind is not None and judged_later) else None

    def _fails(self, case: Case, code: int) -> Bools:
        """Which rows show the finding; one answer for a reduction."""
        rows = 1 if case.reduced else case.rows
        none = np.zeros(rows, dtype=np.bool_)
        if unsupported(self.implementation, case):
            return none
        try:
            results, valid, incident = self._called(case)
            if self.finding.kind in WITHOUT_RESULT:
                return self._without(incident, case, none)
            if results is None:
                return none
            scores = self._scored(case, results)[1]
        except (UncertifiedError, UnsupportedError):
            return none
        kinds = scores.kinds.reshape(rows, -1)
        errors = np.where(kinds == code, scores.ulp_error.reshape(rows, -1), np.nan)
        worst = np.fmax.reduce(errors, axis=1, initial=-1.0)
        failing = np.asarray(kinds.min(axis=1) == code)
        if not case.reduced:
            failing &= valid
        if not np.isnan(self._original.ulp_error):
            most = self._original.ulp_error
            failing &= worst >= min(most, most**KEPT_BITS)
        if self.finding.kind is Kind.PLATEAU:
            own = to_float64(results).reshape(rows, -1)
            failing &= (own == self._original.actual).any(axis=1)
        if self.same_cause is not None and failing.any():
            failing &= self.same_cause(case, results)
        return failing

    @property
    def _original(self) -> Witness:
        assert self.finding.witness is not None
        return self.finding.witness

    def _without(self, incident: Incident | None, case: Case, none: Bools) -> Bools:
        """Which rows have no result, for the same reason as far as its first word says it."""
        if incident is None:
            return none
        said = incident.detail.partition(":")[0] == self.finding.detail.partition(":")[0]
        if case.reduced or not incident.rows:
            return none | (said and case.rows == 1) if not case.reduced else none | said
        failing = none.copy()
        failing[list(incident.rows)] = said
        return failing

    def _confirmed(self, case: Case, code: int) -> Finding | None:
        """The finding with this input as its witness, if the arbiter confirms it."""
        results, _, incident = self._called(case)
        if self.finding.kind in WITHOUT_RESULT:
            if incident is None:
                return None
            return self._with(Witness(self._input(case, 0), note=incident.detail))
        assert results is not None
        part, scores = self._scored(case, results)
        rows = 1 if case.reduced and results.ndim == 0 else case.rows
        kinds = scores.kinds.reshape(rows, -1)
        errors = np.where(kinds == code, np.nan_to_num(scores.ulp_error.reshape(rows, -1)), -1.0)
        row, column = (int(each) for each in np.unravel_index(errors.argmax(), errors.shape))
        kind = kind_of(code)
        shown = part.shown(results, scores, row, column, kind)
        arbitration = Arbitration()
        flushes = kind is Kind.FTZ
        witness = arbitration.witness(shown, self.finding.cell, self.tolerance, flushes=flushes)
        if arbitration.failures or witness.scored is None:
            return None
        return self._with(replace(witness, input=self._numbered(input_of(shown))))

    # rows that need company ------------------------------------------------------------------

    def of_company(self, case: Case) -> Finding | None:
        """The finding with a smaller block, for a kind that repeated calls show."""
        for start in self._companies(case):
            if not self._shows(start):
                continue
            block = start.rows > 1
            smaller = shrink(
                start,
                lambda some: np.full(some.rows, self._shows(some)),
                together=True,
                most_calls=THOROUGH_CALLS,
            )
            if smaller is case and not block:
                return None
            tally = self._tally(smaller)
            if tally is None or self.finding.kind not in tally.incidents:
                return None
            incident = tally.incidents[self.finding.kind]
            row = tally.incident_cases[self.finding.kind].number - smaller.start
            given = self._input(smaller, max(row, 0))
            return replace(
                self._with(Witness(given, note=incident.detail)),
                detail=incident.detail,
                distance=incident.distance,
            )
        return None

    def _companies(self, case: Case) -> list[Case]:
        """The row alone; where the rows matter, also beside rows of other sizes."""
        starts = [case]
        if self.finding.kind not in _COMPANY or case.reduced or case.rows > 1:
            return starts
        loss = LOSSES[case.loss]
        wide = to_float64(case.logits)
        others = [np.zeros(wide.shape), wide + 100.0, wide - 100.0, -wide, wide * 0.5, wide / 16.0]
        low, high = {"probabilities": (0.0, 1.0), "log-probabilities": (-np.inf, 0.0)}.get(
            loss.domain, (-np.inf, np.inf)
        )
        pair = np.zeros(2, dtype=np.intp)
        for other in others:
            if not np.isfinite(other).all():
                continue
            second = from_float64(np.clip(other, low, high), case.dtype)
            both = case.part(pair)
            starts.append(replace(both, logits=np.concatenate([case.logits, second])))
        return starts

    def _tally(self, case: Case) -> Tally | None:
        if unsupported(self.implementation, case):
            return None
        tally = Tally()
        self.tell(self.implementation.name)
        try:
            truth = Reference(case, {self.quantity})
            invariant = self.finding.kind is Kind.BATCH_VARIANT
            measure(
                tally,
                self.implementation,
                case,
                truth,
                self.quantity,
                self.tolerance,
                thorough=True,
                invariant=invariant,
            )
        except (UncertifiedError, UnsupportedError):
            return None
        finally:
            self.tell("")
        return tally

    def _shows(self, case: Case) -> bool:
        tally = self._tally(case)
        return tally is not None and self.finding.kind in tally.incidents

    # the result ------------------------------------------------------------------------------

    def _input(self, case: Case, place: int) -> Input:
        """The input of a case: its row, or all of it if it is a block."""
        single = case.rows == 1 and not case.reduced
        if single:
            return self._numbered(Input.of(case, 0))
        return self._numbered(Input.of(case, None, place=place))

    def _numbered(self, given: Input) -> Input:
        """The input with the number of the row that it was made of."""
        return replace(given, row=self._original.row, generator=SHRUNK)

    def _with(self, witness: Witness) -> Finding:
        hint = hint_for(self.finding.kind, self.finding.cell, witness)
        return replace(self.finding, witness=witness, original=self._original, hint=hint)
