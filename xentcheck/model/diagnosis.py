"""What a diagnosis says: the causes of the findings, and how far an implementation can be trusted.

Nobody writes to the arrays inside these values after construction.
"""

from dataclasses import dataclass
from enum import StrEnum

from xentcheck.model.causes import Cause
from xentcheck.model.grades import Grade
from xentcheck.model.inputs import Quantity
from xentcheck.model.kinds import Kind
from xentcheck.model.results import Cell, Witness
from xentcheck.model.usual import UsualTest


@dataclass(frozen=True, slots=True)
class Explained:
    """The rows of one line of a report that a cause explains.

    Attributes:
        dtype: the dtype, by name.
        quantity: value or gradient.
        rows: number of failing rows that the cause explains, of those examined.
        examined: number of failing rows that were examined.
        failing: number of failing rows of the line.
    """

    dtype: str
    quantity: Quantity
    rows: int
    examined: int
    failing: int


@dataclass(frozen=True, slots=True)
class Proof:
    """What the remedied form gives in the same dtype, without widening, on the rows explained.

    Attributes:
        form: the form, in a few words.
        dtype: the dtype, by name.
        quantity: value or gradient.
        rows: number of rows that it was run on.
        max_ulp: its largest error in ulps; NaN if there is no finite one.
        failing: number of these rows on which it still fails.
    """

    form: str
    dtype: str
    quantity: Quantity
    rows: int
    max_ulp: float
    failing: int = 0


class Fault(StrEnum):
    """What is at fault on a failing row: which change would mend it."""

    FORMULA = "formula"
    FORMAT = "format"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Attainable:
    """What the best known form attains on the failing rows of a cell, or of a line.

    Attributes:
        form: the form, as a formula.
        rows: number of rows that it was run on.
        same_ulp: its largest error in the same dtype, without widening, in ulps; NaN: none.
        wider: the next wider format, by name; "" if there is none here.
        wider_ulp: its largest error computing in that format, in ulps.
        explained_ulp: the largest error that the condition numbers of these rows explain, in ulps:
            no form that rounds its input can be sure of less.
        faults: number of rows by what is at fault: the formula (the form passes in the same
            dtype), the format (it passes only in the wider one), or the problem (in neither).
    """

    form: str
    rows: int
    same_ulp: float
    wider: str
    wider_ulp: float
    explained_ulp: float
    faults: tuple[tuple[Fault, int], ...]

    @property
    def fault(self) -> Fault:
        """What is at fault on most rows."""
        return max(self.faults, key=lambda each: each[1])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosis:
    """One cause of the findings of an implementation.

    Attributes:
        cause: the cause; `Cause.UNKNOWN` for what no cause explains.
        loss: the loss.
        implementation: the implementation, by name.
        explains: what it explains, by dtype and quantity.
        evidence: the evidence, one sentence each: agreement with a model, thresholds, growth laws.
        witness: the smallest witness, with its cell's dtype and quantity in ``explains[0]``.
        cell: the cell of the witness; None without one.
        kind: the kind of fault of the witness; None without one.
        remedy: what to write instead, for this implementation; "" without one.
        proofs: what the remedied form gives on the same rows.
        ruled_out: causes that the evidence excludes, where the cause is unknown.
        original: the witness before it was reduced; None if it was not.
        attainable: what the best known form attains, by dtype and quantity.
        usual: what usual tests would have said of the witness; empty: they were not made.
    """

    cause: Cause
    loss: str
    implementation: str
    explains: tuple[Explained, ...]
    evidence: tuple[str, ...] = ()
    witness: Witness | None = None
    cell: Cell | None = None
    kind: Kind | None = None
    remedy: str = ""
    proofs: tuple[Proof, ...] = ()
    ruled_out: tuple[str, ...] = ()
    original: Witness | None = None
    attainable: tuple[tuple[str, Quantity, Attainable], ...] = ()
    usual: tuple[UsualTest, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows that it explains."""
        return sum(each.rows for each in self.explains)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of an axis on which a grade holds, ends included.

    Attributes:
        grade: every result on it has this grade or a better one.
        first: its first number, in the dtype.
        last: its last number, in the dtype.
    """

    grade: Grade
    first: float
    last: float


@dataclass(frozen=True, slots=True)
class SafeRange:
    """Where an implementation keeps its grades along one axis.

    Attributes:
        loss: the loss.
        implementation: the implementation, by name.
        dtype: the dtype, by name.
        quantity: value or gradient.
        axis: the axis: ``gap``, ``offset``, ``largest logit``, ...
        stretches: the stretches of every grade, worst grade first. A grade is left out if a better
            one holds on the same stretches, or on all of the axis.
        text: one line for a docstring.
        always: the best grade that holds at every number of the axis that was asked; None: the
            results are broken somewhere.
    """

    loss: str
    implementation: str
    dtype: str
    quantity: Quantity
    axis: str
    stretches: tuple[Stretch, ...]
    text: str
    always: Grade | None = None


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step of a form: what was computed, beside the exact value.

    Attributes:
        name: the step.
        computed: its numbers, or the one with the largest error.
        exact: their exact values as text.
        error_ulp: the largest error of the step in ulps.
        loses: it is the step that loses the bits.
    """

    name: str
    computed: tuple[float, ...]
    exact: tuple[str, ...]
    error_ulp: float
    loses: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One result of an implementation, explained by a known form.

    Attributes:
        implementation: the implementation, by name.
        dtype: the dtype, by name.
        quantity: value or gradient.
        form: the known form that gives the same results; "" if none does.
        cause: what the form loses on this row; None: nothing is known.
        evidence: how the form agrees, in a sentence.
        steps: the form step by step.
        instead: the form that keeps the digits.
        better: that form step by step.
        result: what the implementation returned, as text.
        error: the error of that result, as text.
    """

    implementation: str
    dtype: str
    quantity: Quantity
    form: str
    cause: Cause | None
    evidence: str
    steps: tuple[ShownStep, ...]
    instead: str
    better: tuple[ShownStep, ...]
    result: str
    error: str
