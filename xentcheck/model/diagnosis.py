"""What a diagnosis says: the causes of the findings, and how far an implementation can be trusted.

Nobody writes to the arrays inside these values after construction.
"""

from dataclasses import dataclass

from xentcheck.model.causes import Cause
from xentcheck.model.grades import Grade
from xentcheck.model.inputs import Quantity
from xentcheck.model.results import Finding, Witness


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
        finding: the finding that the witness is from; None if there is none.
        remedy: what to write instead, for this implementation; "" without one.
        proofs: what the remedied form gives on the same rows.
        ruled_out: causes that the evidence excludes, where the cause is unknown.
        original: the witness before it was reduced; None if it was not.
    """

    cause: Cause
    loss: str
    implementation: str
    explains: tuple[Explained, ...]
    evidence: tuple[str, ...] = ()
    witness: Witness | None = None
    finding: Finding | None = None
    remedy: str = ""
    proofs: tuple[Proof, ...] = ()
    ruled_out: tuple[str, ...] = ()
    original: Witness | None = None


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
