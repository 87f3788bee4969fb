"""The kinds of finding: one row for each, in plain words."""

from collections.abc import Mapping
from enum import StrEnum


class Kind(StrEnum):
    """Kinds of finding, gravest first: when a row shows several, the first one names it."""

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


NOTES = frozenset({Kind.FP_SIGNAL, Kind.BATCH_VARIANT, Kind.FTZ, Kind.CONVENTION})
"""Kinds of what the field accepts, a result or a signal; a gate forbids them only by name."""

MEANINGS: Mapping[Kind, str] = {
    Kind.CRASHED: "The process died in the call.",
    Kind.TIMED_OUT: "The call did not come back in time.",
    Kind.RAISED: "The call raised an exception.",
    Kind.OTHER_FUNCTION: "On mild inputs it computes something else than the loss.",
    Kind.WRONG_SHAPE: "The result has another shape than it should have.",
    Kind.WRONG_DTYPE: "The result has a dtype that is not allowed.",
    Kind.MUTATED_INPUT: "The call wrote into its input.",
    Kind.NON_DETERMINISTIC: "The same input gave another result.",
    Kind.LAYOUT_DEPENDENT: "The result changes with how the arrays lie in memory.",
    Kind.COTANGENT: "The gradient does not follow the upstream gradient.",
    Kind.NAN: "NaN where the exact result is a number.",
    Kind.MISSED_NAN: "A number where NaN is right.",
    Kind.SPURIOUS_OVERFLOW: "An infinity where the exact result is finite.",
    Kind.MISSED_OVERFLOW: "A finite number where the exact result is infinite.",
    Kind.WRONG_SIGN: "The result has the wrong sign.",
    Kind.VANISHED_GRADIENT: "A gradient of zero where the exact one is not.",
    Kind.SPURIOUS_UNDERFLOW: "Zero where the exact result can be represented.",
    Kind.PLATEAU: "The result is constant where the exact one goes on.",
    Kind.INACCURATE: "The result is farther off than the tolerance.",
    Kind.ROW_DEPENDENT: "The result of a row changes with its neighbours.",
    Kind.INCONSISTENT: "Two ways to call one function disagree.",
    Kind.INVARIANT: "A property that every result has does not hold.",
    Kind.FP_SIGNAL: "The call signalled an overflow, an invalid operation or a division by zero.",
    Kind.BATCH_VARIANT: "The last bits of a row change with its batch, within the tolerance.",
    Kind.FTZ: "Subnormal results are flushed to zero.",
    Kind.CONVENTION: "The result follows another convention, which is accepted.",
}
"""What a finding of the kind says, in a sentence."""

HINTS: Mapping[Kind, str] = {
    Kind.CRASHED: "look at compiled code, the depth of recursion, and os._exit",
    Kind.TIMED_OUT: "--timeout gives it longer",
    Kind.RAISED: "the other rows were scored without it; xentcheck --debug prints the traceback",
    Kind.OTHER_FUNCTION: "mild inputs already show it: no question of numerical stability",
    Kind.WRONG_SHAPE: "one value per row (or per class), and a gradient shaped like the logits",
    Kind.WRONG_DTYPE: "return a floating-point array no narrower than the input",
    Kind.MUTATED_INPUT: "copy before writing: callers reuse their arrays",
    Kind.NON_DETERMINISTIC: "look for shared state, and for random numbers",
    Kind.LAYOUT_DEPENDENT: "strides, offset and flags are part of an array: index by them, or copy "
    "the array first",
    Kind.COTANGENT: "the gradient of every row is its upstream gradient times the local one",
    Kind.NAN: "usually inf - inf, 0 * inf or inf / inf: shift by the row's maximum, mask products",
    Kind.MISSED_NAN: "a NaN was swallowed, by a clip or a comparison",
    Kind.SPURIOUS_OVERFLOW: "an intermediate overflowed, or a logarithm met a probability of 0",
    Kind.MISSED_OVERFLOW: "a clip or a finite sentinel hides the infinity",
    Kind.WRONG_SIGN: "rounding went past zero: a difference of nearly equal terms",
    Kind.VANISHED_GRADIENT: "the gradient is 0 but should not be: p - 1 rounded to 0, or a clip "
    "has slope 0; compute 1 - p as the sum of the other probabilities",
    Kind.SPURIOUS_UNDERFLOW: "a small result was rounded to 0: use log1p of the sum of "
    "exp(x_j - x_label) over the other classes, and expm1 instead of exp - 1",
    Kind.PLATEAU: "look for a clip, or for an epsilon that is added to a probability",
    Kind.INACCURATE: "digits were lost in a sum, a difference or a narrow intermediate",
    Kind.ROW_DEPENDENT: "look for a shift or a sum over the batch, or along the wrong axis",
    Kind.INCONSISTENT: "the detail names the other call; look for code of its own there",
    Kind.FP_SIGNAL: "under errstate(all='raise') or warnings as errors the call would raise",
    Kind.BATCH_VARIANT: "the last bits of a row depend on its batch: one code for every row, with "
    "sums in one order, would give the same bits",
    Kind.FTZ: "a setting of the processor or the compiler (-ffast-math, XLA on CPU), no formula",
    Kind.CONVENTION: "frameworks disagree here; `xentcheck list losses LOSS` has the conventions",
}
"""What to look for in the code, where that can be said of a kind as a whole."""

NOTIONS: Mapping[str, str] = {
    "−0 for 0": "rows whose result is −0 where the exact one is 0; no fault",
    "excess bits": "bits lost beyond what the condition number of the input explains",
    "[k]": "the component of a gradient (or of a value per class) that is shown, from 0",
    ">1e308": "an error in ulps that float64 cannot hold",
}
"""Other words and signs that reports use."""

KINDS: tuple[Kind, ...] = tuple(Kind)
"""Gravest first; `Scores.kinds` holds positions in it."""

RIGHT = len(KINDS)
"""The position that stands for nothing wrong."""


def kind_of(code: int) -> Kind | None:
    """The kind at a position in `KINDS`; None for `RIGHT`."""
    return None if code == RIGHT else KINDS[code]


OF_CALLS = frozenset(
    {
        Kind.CRASHED,
        Kind.TIMED_OUT,
        Kind.RAISED,
        Kind.WRONG_SHAPE,
        Kind.WRONG_DTYPE,
        Kind.MUTATED_INPUT,
        Kind.NON_DETERMINISTIC,
        Kind.LAYOUT_DEPENDENT,
        Kind.COTANGENT,
        Kind.ROW_DEPENDENT,
        Kind.INCONSISTENT,
        Kind.BATCH_VARIANT,
    }
)  # of the call with a whole block, of which the witness is but a row


_GRAVITY = {kind: position for position, kind in enumerate(Kind)}


def gravity(kind: Kind) -> int:
    """The position of a kind in the order of gravity; 0 is the gravest."""
    return _GRAVITY[kind]
