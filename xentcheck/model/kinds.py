"""The kinds of finding, with one row of explanations for each."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of finding, gravest first. If a row shows several, it has the first of them."""

    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    RAISED = "raised"
    OTHER_FUNCTION = "other-function"
    WRONG_SHAPE = "wrong-shape"
    WRONG_DTYPE = "wrong-dtype"
    MUTATED_INPUT = "mutated-input"
    NON_DETERMINISTIC = "non-deterministic"
    LAYOUT_DEPENDENT = "layout-dependent"
    COTANGENT = "cotangent"
    NAN = "nan"
    MISSED_NAN = "missed-nan"
    SPURIOUS_OVERFLOW = "spurious-overflow"
    MISSED_OVERFLOW = "missed-overflow"
    WRONG_SIGN = "wrong-sign"
    VANISHED_GRADIENT = "vanished-gradient"
    SPURIOUS_UNDERFLOW = "spurious-underflow"
    PLATEAU = "plateau"
    INACCURATE = "inaccurate"
    ROW_DEPENDENT = "row-dependent"
    INCONSISTENT = "inconsistent"
    INVARIANT = "invariant"
    FP_SIGNAL = "fp-signal"
    BATCH_VARIANT = "batch-variant"
    FTZ = "ftz"
    CONVENTION = "convention"


@dataclass(frozen=True, slots=True)
class About:
    """One row of the table of kinds.

    Attributes:
        says: the meaning of a finding of this kind, in a sentence.
        hint: what to look for in the code, if one hint fits every finding of this kind.
        note: the field accepts it. A gate forbids it only by name.
        in_tolerance: it exists only because a result exceeds the tolerance.
        unsteady: the number of rows is random. Only the presence of the kind is compared.
        of_call: it is about the call with a whole block; the witness is one row of the block.
        without_result: the call gave no result that can be scored.
        breaks: a cell that shows it has the grade broken, whatever its errors.
    """

    says: str
    hint: str = ""
    note: bool = False
    in_tolerance: bool = False
    unsteady: bool = False
    of_call: bool = False
    without_result: bool = False
    breaks: bool = False


ABOUT: Mapping[Kind, About] = {
    Kind.CRASHED: About(
        "The process died in the call.",
        "look at compiled code, the depth of recursion, and os._exit",
        of_call=True,
        without_result=True,
        breaks=True,
    ),
    Kind.TIMED_OUT: About(
        "The call did not come back in time.",
        "--timeout gives it longer",
        unsteady=True,
        of_call=True,
        without_result=True,
        breaks=True,
    ),
    Kind.RAISED: About(
        "The call raised an exception.",
        "the other rows were scored without it; xentcheck --debug prints the traceback",
        of_call=True,
        without_result=True,
        breaks=True,
    ),
    Kind.OTHER_FUNCTION: About(
        "On mild inputs it computes something else than the loss.",
        "mild inputs already show it: no question of numerical stability",
        breaks=True,
    ),
    Kind.WRONG_SHAPE: About(
        "The result has another shape than it should have.",
        "one value per row (or per class), and a gradient shaped like the logits",
        of_call=True,
        without_result=True,
        breaks=True,
    ),
    Kind.WRONG_DTYPE: About(
        "The result has a dtype that is not allowed.",
        "return a floating-point array no narrower than the input",
        of_call=True,
        without_result=True,
        breaks=True,
    ),
    Kind.MUTATED_INPUT: About(
        "The call wrote into its input.",
        "copy before writing: callers reuse their arrays",
        of_call=True,
        breaks=True,
    ),
    Kind.NON_DETERMINISTIC: About(
        "The same input gave another result.",
        "look for shared state, and for random numbers",
        unsteady=True,
        of_call=True,
        breaks=True,
    ),
    Kind.LAYOUT_DEPENDENT: About(
        "The result changes with how the arrays lie in memory.",
        "strides, offset and flags are part of an array: index by them, or copy the array first",
        of_call=True,
        breaks=True,
    ),
    Kind.COTANGENT: About(
        "The gradient does not follow the upstream gradient.",
        "the gradient of every row is its upstream gradient times the local one",
        of_call=True,
        breaks=True,
    ),
    Kind.NAN: About(
        "NaN where the exact result is a number.",
        "usually inf - inf, 0 * inf or inf / inf: shift by the row's maximum, mask products",
        breaks=True,
    ),
    Kind.MISSED_NAN: About(
        "A number where NaN is right.",
        "a NaN was swallowed, by a clip or a comparison",
        breaks=True,
    ),
    Kind.SPURIOUS_OVERFLOW: About(
        "An infinity where the exact result is finite.",
        "an intermediate overflowed, or a logarithm met a probability of 0",
        breaks=True,
    ),
    Kind.MISSED_OVERFLOW: About(
        "A finite number where the exact result is infinite.",
        "a clip or a finite sentinel hides the infinity",
    ),
    Kind.WRONG_SIGN: About(
        "The result has the wrong sign.",
        "rounding went past zero: a difference of nearly equal terms",
    ),
    Kind.VANISHED_GRADIENT: About(
        "A gradient of zero where the exact one is not.",
        "the gradient is 0 but should not be: p - 1 rounded to 0, or a clip has slope 0; "
        "compute 1 - p as the sum of the other probabilities",
        in_tolerance=True,
    ),
    Kind.SPURIOUS_UNDERFLOW: About(
        "Zero where the exact result can be represented.",
        "a small result was rounded to 0: use log1p of the sum of exp(x_j - x_label) over"
        " the other classes, and expm1 instead of exp - 1",
        in_tolerance=True,
    ),
    Kind.PLATEAU: About(
        "The result is constant where the exact one goes on.",
        "look for a clip, or for an epsilon that is added to a probability",
        in_tolerance=True,
    ),
    Kind.INACCURATE: About(
        "The result is farther off than the tolerance.",
        "digits were lost in a sum, a difference or a narrow intermediate",
        in_tolerance=True,
    ),
    Kind.ROW_DEPENDENT: About(
        "The result of a row changes with its neighbours.",
        "look for a shift or a sum over the batch, or along the wrong axis",
        of_call=True,
    ),
    Kind.INCONSISTENT: About(
        "Two ways to call one function disagree.",
        "the detail names the other call; look for code of its own there",
        of_call=True,
    ),
    Kind.INVARIANT: About(
        "A property that every exact result has does not hold, by more than rounding explains.",
        "the detail names the property and both results; `xentcheck list invariants` has them all",
    ),
    Kind.FP_SIGNAL: About(
        "The call signalled an overflow, an invalid operation or a division by zero.",
        "under errstate(all='raise') or warnings as errors the call would raise",
        note=True,
    ),
    Kind.BATCH_VARIANT: About(
        "The last bits of a row change with its batch, within the tolerance.",
        "the last bits of a row depend on its batch: one code for every row, with sums in"
        " one order, would give the same bits",
        note=True,
        of_call=True,
    ),
    Kind.FTZ: About(
        "Subnormal results are flushed to zero.",
        "a setting of the processor or the compiler (-ffast-math, XLA on CPU), no formula",
        note=True,
    ),
    Kind.CONVENTION: About(
        "The result follows another convention, which is accepted.",
        "frameworks disagree here; `xentcheck list losses LOSS` has the conventions",
        note=True,
    ),
}
"""Everything that holds for a kind as a whole. To add a kind, add one row here."""


def _having(flag: str) -> frozenset[Kind]:
    return frozenset(kind for kind, about in ABOUT.items() if getattr(about, flag))


NOTES = _having("note")
IN_TOLERANCE = _having("in_tolerance")
UNSTEADY = _having("unsteady")
OF_CALLS = _having("of_call")
WITHOUT_RESULT = _having("without_result")
BREAKING = _having("breaks")

P99 = "p99_ulp"
"""The rule that limits a cell's 99th percentile."""

AGAINST = "against "
"""The rule that no row is worse than a peer's begins with this; the name of the peer follows."""

MAX_NORM = "max_norm"
"""The rule that limits a cell's largest error relative to the scale of its row."""

MIN_GRADE = "min_grade"
"""The rule that limits the grade of a cell."""

RULES: tuple[str, ...] = (*(kind.value for kind in Kind), P99, MAX_NORM, MIN_GRADE)
"""The names of all rules: a kind, or what limits a cell as a whole."""

DECIDED_BY_GRADE = IN_TOLERANCE | {Kind.WRONG_SIGN, Kind.MISSED_OVERFLOW}
"""The kinds that are no violation by themselves where a limit has a grade and no bound in ulps."""

NOTIONS: Mapping[str, str] = {
    "−0 for 0": "rows whose result is −0 where the exact one is 0; no fault",
    "excess bits": "bits lost beyond what the condition number of the input explains",
    "[k]": "the component of a gradient (or of a value per class) that is shown, from 0",
    ">1e308": "an error in ulps that float64 cannot hold",
}
"""Other terms and signs in reports."""

KINDS: tuple[Kind, ...] = tuple(Kind)
"""All kinds, gravest first. `Scores.kinds` holds positions in this tuple."""

RIGHT = len(KINDS)
"""The position that means: the result is right."""


def kind_of(code: int) -> Kind | None:
    """The kind at a position in `KINDS`; None for `RIGHT`."""
    return None if code == RIGHT else KINDS[code]


_GRAVITY = {kind: position for position, kind in enumerate(Kind)}


def gravity(kind: Kind) -> int:
    """The position of a kind in the order of gravity; 0 is the gravest."""
    return _GRAVITY[kind]
