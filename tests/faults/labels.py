"""The causes that a diagnosis may claim of each fault of `tests.faults.catalogue`.

They are decided from the code of the fault and the mathematics: what is the first step that loses
the digits on the rows that fail, in this dtype, under the standard sweep? They are never taken from
what an engine says.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from xentcheck.model import Cause

EXP = Cause.EXP_OVERFLOW
SUM = Cause.SUM_OVERFLOW
SHIFT = Cause.WRONG_SHIFT
LOG = Cause.LOG_OF_SATURATED_PROBABILITY
CLIP = Cause.EPSILON_CLIP
LOST_CLIP = Cause.INEFFECTIVE_EPSILON
ZERO_INF = Cause.ZERO_TIMES_INF
INF_INF = Cause.INF_MINUS_INF
TAIL = Cause.ABSORBED_TAIL
OFFSET = Cause.COMMON_OFFSET_CANCELLATION
ONE_P = Cause.ONE_MINUS_P_CANCELLATION
NARROW = Cause.NARROW_INTERMEDIATE
ACCUMULATION = Cause.LOW_PRECISION_ACCUMULATION
BRANCH = Cause.UNTAKEN_BRANCH_GRADIENT
DIVISION = Cause.DIVISION_BY_SATURATED_P
EMPTY = Cause.EMPTY_MEAN
WRAP = Cause.INDEX_WRAP
CONTRACTION = Cause.COMPILER_CONTRACTION


@dataclass(frozen=True, slots=True)
class Expected:
    """What a diagnosis may say of a fault.

    Attributes:
        main: the causes of which at least one has to be claimed. Empty: the fault is no question of
            the arithmetic, or of no cause in the table, so that none can be certain.
        reason: why, in a few words.
        also: causes that are at work on other rows, and may be claimed beside.
    """

    main: tuple[Cause, ...]
    reason: str
    also: tuple[Cause, ...] = ()


def _of(reason: str, *main: Cause, also: tuple[Cause, ...] = ()) -> Expected:
    return Expected(main, reason, also)


LOG_1_MINUS_P = (TAIL, ONE_P, LOG)
"""log(1 − p) of a tiny p: 1 absorbs p, 1 − p cancels, the logarithm is that of a rounded number."""

_UNSHIFTED = (SUM, SHIFT)  # sums of finite powers; rows so low that every power is 0

_CE = "softmax_cross_entropy"
_BCE = "sigmoid_binary_cross_entropy"
_FOCAL = "sigmoid_focal_loss"
_CCE = "categorical_cross_entropy"
_BINARY = "binary_cross_entropy"

LABELS: Mapping[tuple[str, str], Expected] = {
    (_CE, "OVF-03"): _of("e^x unshifted, then log of p", EXP, also=(LOG, *_UNSHIFTED)),
    (_CE, "OVF-14"): _of("e^x unshifted; p − 1 after it", EXP, also=(ONE_P, *_UNSHIFTED)),
    (_CE, "SHIFT-04"): _of(
        "max(largest, −64) is no row's maximum below −64; elsewhere log(1 + tail)",
        SHIFT,
        also=(TAIL, OFFSET, INF_INF),
    ),
    (_CE, "SHIFT-07"): _of(
        "e^x unshifted; lse − x_y under an offset where it is finite",
        EXP,
        also=(OFFSET, TAIL, INF_INF, *_UNSHIFTED),
    ),
    (_CE, "BATCH"): _of(
        "the batch's maximum is not the row's", SHIFT, also=(TAIL, OFFSET, INF_INF)
    ),
    (_CE, "LOG0-01"): _of("log of a rounded softmax", LOG),
    (_CE, "LOG0-07"): _of("log of a softmax that underflowed, in the smoothing term", LOG),
    (_CE, "EPS-10e"): _of("p + 1e-7: plateau, negative at p = 1", CLIP, also=(LOG,)),
    (_CE, "EPS-08"): _of("clip at 1e-7 on both sides", CLIP, also=(LOG,)),
    (_CE, "EPS-08g"): _of("0 outside of the clip", CLIP, also=(ONE_P,)),
    (_CE, "EPS-17"): _of(
        "p/max(p, 1e-16): a floor under a p that is divided by", CLIP, DIVISION, also=(ONE_P,)
    ),
    (_CE, "EPS-13"): _of("NaN inputs are replaced: no arithmetic"),
    (_CE, "CAN-01"): _of("(m + log Σ) − x_y", OFFSET, also=(TAIL,)),
    (_CE, "CAN-02"): _of("lse rounded to the dtype of the logits, then − x_y", OFFSET, NARROW),
    (_CE, "CAN-04"): _of("log(1 + tail)", TAIL),
    (_CE, "CAN-04g"): _of("p − 1", ONE_P),
    (_CE, "CAN-07"): _of("p rounded to the buffer, then p − 1", ONE_P, NARROW),
    (_CE, "CAN-08"): _of("logits cut to bfloat16", NARROW),
    (_CE, "CAN-18"): _of("small entries are set to 0 on purpose", also=(CLIP,)),
    (_CE, "INF-01"): _of("0 · log 0 in Σ y·log p", ZERO_INF, also=(TAIL,)),
    (_CE, "INF-12"): _of("0 · NaN on ignored rows", ZERO_INF),
    (_CE, "MASK-01"): _of("a sentinel wins over a low row: a question of the mask"),
    (_CE, "EPS-15"): _of("one-hot 0 · −inf in float16", ZERO_INF, also=(TAIL, INF_INF)),
    (_CE, "MASK-03"): _of("log 2 too much: another meaning"),
    (_CE, "GRAD-03"): _of("−1/p with a p that underflowed", DIVISION, also=(ONE_P,)),
    (_CE, "GRAD-05"): _of("scaled by what the last row kept: another meaning"),
    (_CE, "ACC-01"): _of("65,540 ones overflow float16", SUM, also=(TAIL,)),
    (_CE, "ACC-02"): _of("Σ −log p overflows float16", SUM),
    (_CE, "ACC-03"): _of(
        "the sum before the mean overflows; so does the count", SUM, also=(INF_INF,)
    ),
    (_CE, "ACC-09"): _of("one bfloat16 accumulator stalls at 256", ACCUMULATION, also=(TAIL,)),
    (_CE, "EMPTY-01"): _of("0/0 over no rows", EMPTY),
    (_CE, "IDX-01"): _of(
        "uint16 offsets wrap; log Σ absorbs tails below 2^-64", WRAP, also=(TAIL,)
    ),
    (_CE, "SEM-04"): _of("ε/(C − 1): another meaning"),
    (_CE, "S7"): _of("p − y for labels of another sum: another meaning"),
    (_CE, "CALL-01"): _of("written inputs: the call"),
    (_CE, "CALL-02"): _of("random numbers: the call"),
    (_CE, "CALL-03"): _of("shape: the call"),
    (_CE, "SEM-02"): _of("an exception: the call"),
    (_CE, "CALL-04"): _of("the result's dtype: the call", also=(NARROW,)),
    ("softmax", "OVF-03s"): _of("e^x unshifted", EXP, also=_UNSHIFTED),
    ("softmax", "OVF-03sg"): _of("e^x unshifted; 1 − p after it", EXP, also=(ONE_P, *_UNSHIFTED)),
    ("softmax", "SHIFT-01"): _of("max(0, largest) is no row's maximum below 0", SHIFT),
    ("softmax", "INF-15"): _of("shift and sum are floored", SHIFT, CLIP),
    ("softmax", "SHIFT-06"): _of("exp ends at e^−87.3: a bound in exp", also=(CLIP,)),
    ("softmax", "FMA-01"): _of("x·c − max(x·c) contracted", CONTRACTION),
    ("softmax", "FTZ-02"): _of("flushed subnormals: no cause of the table"),
    ("softmax", "CAN-04sg"): _of("p (1 − p)", ONE_P),
    ("softmax", "GRAD-07"): _of("1/p of a p that underflowed; 1/p − 1", DIVISION, also=(ONE_P,)),
    ("log_softmax", "LOG0-03"): _of("log of a rounded softmax", LOG),
    ("log_softmax", "CAN-01l"): _of("x − (m + log Σ)", OFFSET, also=(TAIL,)),
    ("log_softmax", "CAN-04l"): _of("log(1 + tail)", TAIL),
    ("log_softmax", "ACC-01l"): _of("65,540 ones overflow float16", SUM, also=(TAIL,)),
    ("log_softmax", "CAN-04lg"): _of("1 − p", ONE_P),
    ("log_softmax", "DTYPE-01"): _of(
        "exp of x − lse under an offset; 1 − p near 1", OFFSET, ONE_P, also=(TAIL, NARROW)
    ),
    ("logsumexp", "OVF-04"): _of(
        "e^x unshifted: terms or sums overflow", EXP, SUM, also=(SHIFT, TAIL)
    ),
    ("logsumexp", "CAN-05"): _of(
        "log(1 + tail); −inf − −inf in empty rows; m + log Σ beside 0",
        TAIL,
        also=(INF_INF, OFFSET),
    ),
    ("logsumexp", "INF-07"): _of(
        "−inf − −inf in empty rows; log(1 + tail); m + log Σ beside 0",
        INF_INF,
        also=(TAIL, OFFSET),
    ),
    ("logsumexp", "MASK-04"): _of("a sentinel for −inf: a question of the mask"),
    ("logsumexp", "OVF-03g"): _of("e^x unshifted", EXP, also=_UNSHIFTED),
    ("logsumexp", "SHIFT-02"): _of(
        "shifted by the first logit; −inf − −inf where it is masked",
        SHIFT,
        EXP,
        also=(SUM, INF_INF),
    ),
    ("nll_loss", "INF-01n"): _of("one-hot 0 · −inf", ZERO_INF),
    ("nll_loss", "EMPTY-02"): _of("0 · −inf on ignored rows", ZERO_INF),
    ("nll_loss", "ACC-03n"): _of(
        "the sum before the mean overflows; so does the count", SUM, also=(INF_INF,)
    ),
    ("nll_loss", "EMPTY-01n"): _of("0/0 over no rows", EMPTY),
    ("nll_loss", "SEM-08"): _of("+1 for −1: another meaning"),
    ("nll_loss", "GRAD-05n"): _of("scaled by what the last row kept: another meaning"),
    ("sigmoid", "OVF-01"): _of("e^x / (1 + e^x)", EXP),
    ("sigmoid", "OVF-02"): _of("1/(1 + e^−x): e^−x is inf where the result is subnormal", EXP),
    ("sigmoid", "CAN-06"): _of("½ + ½ tanh: 1 − t after t rounded to 1", ONE_P),
    ("sigmoid", "OVF-07"): _of("e^−x and its square overflow", EXP),
    ("sigmoid", "CAN-06g"): _of("σ (1 − σ)", ONE_P, also=(EXP,)),
    ("log_sigmoid", "LOG0-09"): _of(
        "log of σ = 1/(1 + e^−x); e^−x is inf from −88.7 on, and is absorbed by 1",
        LOG,
        also=(EXP, TAIL),
    ),
    ("log_sigmoid", "INF-11"): _of("inf − inf at −inf; log(1 + tail)", INF_INF, TAIL),
    ("log_sigmoid", "CAN-13"): _of("log(1 + e^−|x|)", TAIL),
    ("log_sigmoid", "CAN-13g"): _of("1 − σ", ONE_P),
    ("softplus", "OVF-05"): _of("log(1 + e^x): overflows above, absorbs below", EXP, TAIL),
    ("softplus", "CAN-14"): _of("the tail is left out above 20 on purpose", also=(TAIL,)),
    ("softplus", "NAN-01"): _of("NaN is swallowed: no arithmetic"),
    ("softplus", "OVF-05g"): _of("e^x / (1 + e^x)", EXP),
    ("softplus", "TIE-01"): _of("derivatives at a kink: no cause of the table"),
    ("softplus", "INF-13"): _of(
        "0 · (inf/inf) of the branch not taken; in float32 its results are those of OVF-05g",
        BRANCH,
        EXP,
    ),
    (_BCE, "LOG0-04"): _of(
        "log p and log(1 − p) of a rounded σ, times 0",
        LOG,
        ZERO_INF,
        also=(EXP, ONE_P, TAIL),
    ),
    (_BCE, "OVF-11"): _of(
        "log(1 + e^−x); x + log(1 + e^−x) cancels below 0", EXP, also=(TAIL, ZERO_INF, OFFSET)
    ),
    (_BCE, "INF-10"): _of("inf − inf·z", INF_INF, ZERO_INF, also=(OFFSET,)),
    (_BCE, "CAN-13b"): _of("log(1 + e^−|x|)", TAIL),
    (_BCE, "EPS-12"): _of("σ clipped at 1e-7", CLIP, also=LOG_1_MINUS_P),
    (_BCE, "EPS-12g"): _of("0 outside of the clip", CLIP, also=(ONE_P,)),
    (_BCE, "OVF-08"): _of("e^−x over 1 + e^−x; 0 · e^−x", EXP, also=(ZERO_INF,)),
    (_BCE, "TIE-01b"): _of("derivatives at a kink: no cause of the table", also=(ONE_P,)),
    (_BCE, "EPS-06"): _of("p (1 − p) floored at 1e-12", CLIP, DIVISION, also=(ONE_P,)),
    (_BCE, "CAN-07b"): _of("σ − 1; e^−x is inf where σ is subnormal", ONE_P, also=(EXP,)),
    (_FOCAL, "OVF-06"): _of("log1p(e^−x)", EXP, also=(ONE_P, ZERO_INF)),
    (_FOCAL, "LOG0-05"): _of("0 · log of a σ that is 0", LOG, ZERO_INF, also=(EXP,)),
    (_FOCAL, "CAN-11"): _of("1 − p_t", ONE_P, also=(EXP, ZERO_INF, INF_INF, OFFSET)),
    (_FOCAL, "CAN-11g"): _of(
        "1 − p_t is 0, and 0^−½ · 0", ONE_P, also=(DIVISION, ZERO_INF, INF_INF, EXP)
    ),
    (_CCE, "INF-01c"): _of("0 · log 0", ZERO_INF),
    (_CCE, "EPS-10"): _of("clip at the dtype's epsilon", CLIP),
    (_CCE, "EPS-11"): _of("clip at the dtype's epsilon", CLIP),
    (_CCE, "EPS-07"): _of("clip at 1e-7, and 1e-7 added", CLIP),
    (_CCE, "EPS-09"): _of("divided by the row's sum: another meaning, 0/0", also=(LOG,)),
    (_CCE, "FTZ-01"): _of("flushed subnormals: no cause of the table", also=(LOG,)),
    (_CCE, "EPS-08c"): _of("0 outside of the clip", CLIP),
    (_CCE, "EPS-05c"): _of("−y/(p + 1e-7)", CLIP),
    (_BINARY, "LOG0-06"): _of("0 · log 0", ZERO_INF, also=LOG_1_MINUS_P),
    (_BINARY, "EPS-01"): _of(
        "1 − 1e-9 is 1 in float32, so 0 · log 0; the low side clips",
        LOST_CLIP,
        also=(CLIP, ZERO_INF, *LOG_1_MINUS_P),
    ),
    (_BINARY, "EPS-02"): _of(
        "1 − 1e-15 is 1 in float32, so 0 · log 0; the low side clips",
        LOST_CLIP,
        also=(CLIP, ZERO_INF, *LOG_1_MINUS_P),
    ),
    (_BINARY, "EPS-03"): _of(
        "1 − 1e-7 is 1 in float16, so 0 · log 0; the low side clips",
        LOST_CLIP,
        also=(CLIP, ZERO_INF, *LOG_1_MINUS_P),
    ),
    (_BINARY, "EPS-05"): _of("1e-12 in both logarithms", CLIP, also=LOG_1_MINUS_P),
    (_BINARY, "S10"): _of("logarithms clamped at −100", CLIP),
    (_BINARY, "CAN-15"): _of("log(1 − p) of a tiny p", *LOG_1_MINUS_P),
    (_BINARY, "EPS-06p"): _of("p (1 − p) floored at 1e-12", CLIP, DIVISION, also=(ONE_P,)),
    (_BINARY, "EPS-08b"): _of("0 outside of the clip", CLIP),
    (_BINARY, "LOG0-06g"): _of("0/0 at p = z", DIVISION, ZERO_INF),
    ("entropy", "INF-06"): _of("0 · log 0", ZERO_INF),
    ("entropy", "EPS-05e"): _of("log(p + 1e-7)", CLIP),
    ("entropy", "FTZ-03"): _of("small probabilities count as 0 on purpose", also=(CLIP,)),
    ("entropy", "SEM-09"): _of("nats for bits: another meaning"),
    ("entropy", "EPS-05eg"): _of("log(p + 1e-7)", CLIP),
    ("entropy", "INF-03e"): _of("mask 0 · log 0", ZERO_INF, BRANCH),
    ("kl_divergence", "INF-04"): _of("0 · log 0", ZERO_INF, also=(INF_INF,)),
    ("kl_divergence", "INF-03"): _of("e^−inf · (−inf − x)", ZERO_INF, INF_INF, also=(SUM,)),
    ("kl_divergence", "S9"): _of("clip at 1e-7", CLIP, also=(LOG,)),
    ("kl_divergence", "CAN-12"): _of(
        "a difference of two sums: in no row of the table exactly", also=(OFFSET, ONE_P)
    ),
    ("kl_divergence", "ACC-10"): _of("one bfloat16 accumulator", ACCUMULATION),
    ("kl_divergence", "GRAD-03k"): _of("t/q with a q that underflowed", DIVISION),
    ("kl_divergence", "S9g"): _of("0 where clipped", CLIP),
    ("js_divergence", "INF-04j"): _of("0 · log 0", ZERO_INF, also=(OFFSET,)),
    ("js_divergence", "CAN-09"): _of(
        "a difference of entropies: in no row of the table exactly", also=(OFFSET, ONE_P)
    ),
    ("js_divergence", "EPS-05j"): _of("1e-7 added", CLIP, also=(OFFSET,)),
    ("js_divergence", "INF-04jg"): _of(
        "log of a quotient that is rounded towards 1, of a mean that underflows: in no row exactly",
        also=(LOG, TAIL, DIVISION),
    ),
    ("js_divergence", "EPS-05jg"): _of("1e-7 added", CLIP, also=(TAIL,)),
    ("js_divergence", "CAN-07j"): _of(
        "log p − log m, each rounded to bfloat16", NARROW, OFFSET, also=(INF_INF,)
    ),
}
"""By loss and id."""
