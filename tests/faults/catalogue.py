"""The table of fixtures: faults that were reported, re-created in NumPy, and sound controls.

``python -m tests.faults.catalogue`` prints the table as it stands in ``docs/faults.md``.

A fixture's functions are named ``file:function``, the file being one of this folder. A fault of a
gradient has a sound value beside it, so that only the gradient can be at fault. The kinds are what
`xentcheck check` has to find; the causes are the root-cause codes that follow.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xentcheck.model import Kind, LabelKind, Quantity

FOLDER = Path(__file__).parent

CAUSES: Mapping[str, str] = {
    "OVF": "exp overflows: no shift by the maximum, or a wrong one",
    "LOG0": "logarithm of an underflowed or saturated probability",
    "EPS": "an epsilon that clips, is wrong for the dtype, or hides invalid input",
    "0INF": "zero times infinity",
    "INFINF": "infinity minus infinity",
    "LSE-X": "logsumexp minus the target's logit, under a common offset",
    "P1": "a small loss near p = 1 rounded to 0",
    "1-P": "cancellation in 1 − p, p − q or p − y",
    "WHERE": "gradient of the branch that was not taken",
    "GRAD": "a backward formula that divides by p, or uses the wrong quantity",
    "ACC": "accumulation in a narrow dtype, or an overflowing reduction",
    "DTYPE": "an intermediate rounded to a narrow buffer",
    "MASK": "a mask's sentinel that leaks, or a mask mishandled",
    "EMPTY": "0/0 from a mean over nothing",
    "SIGN": "a negative loss that cannot be negative",
    "FTZ": "subnormal numbers flushed to zero",
    "IDX": "an index that wraps",
    "TIE": "gradient at a kink of an otherwise smooth formula",
    "FMA": "a product contracted into a difference",
    "SEM": "another meaning rather than rounding",
    "CALL": "the call itself: state, shape, dtype, exceptions, written inputs",
}

NARROW = ("float16", "bfloat16", "float32")
EVERY = (*NARROW, "float64")
SINGLE = ("float32",)
HALF = ("float16",)
BRAIN = ("bfloat16",)
DOUBLE = ("float64",)


@dataclass(frozen=True, slots=True)
class Fixture:
    """A function handed in by a user, and what an audit of it has to come to."""

    id: str
    loss: str
    value: str
    summary: str
    kinds: tuple[Kind, ...] = ()
    causes: tuple[str, ...] = ()
    gradient: str | None = None
    quantity: Quantity = Quantity.VALUE
    dtypes: tuple[str, ...] = SINGLE
    label_kind: LabelKind | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    wide: bool = False  # shows (or has to hold) only beyond 65,536 classes
    bound: Mapping[str, Any] = field(default_factory=dict)  # arguments of every call

    @property
    def sound(self) -> bool:
        """Whether it is a control: nothing may be held against it."""
        return not self.kinds

    @property
    def function(self) -> str:
        """The function it is about, as ``file:function``."""
        return self.gradient if self.quantity is Quantity.GRADIENT and self.gradient else self.value


def target(function: str) -> str:
    """``file:function`` of this folder as a target of the command line."""
    file, _, name = function.partition(":")
    return f"{FOLDER / file}.py:{name}"


def _value(
    name: str,
    loss: str,
    function: str,
    kinds: str,
    causes: str,
    summary: str,
    dtypes: tuple[str, ...] = SINGLE,
    label_kind: LabelKind | None = None,
    *,
    wide: bool = False,
    **parameters: Any,
) -> Fixture:
    return Fixture(
        name,
        loss,
        f"{_FILES[loss]}:{function}",
        summary,
        tuple(map(Kind, kinds.split())),
        tuple(causes.split()),
        dtypes=dtypes,
        label_kind=label_kind,
        parameters=parameters,
        wide=wide,
    )


def _gradient(
    name: str,
    loss: str,
    function: str,
    kinds: str,
    causes: str,
    summary: str,
    dtypes: tuple[str, ...] = SINGLE,
    label_kind: LabelKind | None = None,
    *,
    wide: bool = False,
    **parameters: Any,
) -> Fixture:
    return Fixture(
        name,
        loss,
        f"{_FILES[loss]}:{_SOUND[loss]}",
        summary,
        tuple(map(Kind, kinds.split())),
        tuple(causes.split()),
        f"{_FILES[loss]}:{function}",
        Quantity.GRADIENT,
        dtypes,
        label_kind,
        parameters,
        wide,
    )


def _sound(
    loss: str,
    summary: str,
    dtypes: tuple[str, ...] = EVERY,
    label_kind: LabelKind | None = None,
    *,
    function: str = "",
    gradient: bool = True,
    report: str = "sound",
    wide: bool = False,
    **parameters: Any,
) -> Fixture:
    name = function or _SOUND[loss]
    return Fixture(
        report,
        loss,
        f"{_FILES[loss]}:{name}",
        summary,
        gradient=f"{_FILES[loss]}:{name}_gradient" if gradient else None,
        dtypes=dtypes,
        label_kind=label_kind,
        parameters=parameters,
        wide=wide,
    )


_FILES = {
    "softmax_cross_entropy": "softmax_cross_entropy",
    "softmax": "softmax_parts",
    "log_softmax": "softmax_parts",
    "logsumexp": "softmax_parts",
    "nll_loss": "softmax_parts",
    "sigmoid_binary_cross_entropy": "sigmoid",
    "sigmoid_focal_loss": "sigmoid",
    "sigmoid": "sigmoid",
    "log_sigmoid": "sigmoid",
    "softplus": "sigmoid",
    "categorical_cross_entropy": "probabilities",
    "binary_cross_entropy": "probabilities",
    "entropy": "probabilities",
    "kl_divergence": "divergence",
    "js_divergence": "divergence",
}
_SOUND = {
    "softmax_cross_entropy": "sound",
    "softmax": "sound_softmax",
    "log_softmax": "sound_log_softmax",
    "logsumexp": "sound_logsumexp",
    "nll_loss": "sound_nll_loss",
    "sigmoid_binary_cross_entropy": "sound_bce",
    "sigmoid_focal_loss": "sound_focal",
    "sigmoid": "sound_sigmoid",
    "log_sigmoid": "sound_log_sigmoid",
    "softplus": "sound_softplus",
    "categorical_cross_entropy": "sound_categorical",
    "binary_cross_entropy": "sound_binary",
    "entropy": "sound_entropy",
    "kl_divergence": "sound_kl",
    "js_divergence": "sound_js",
}
_DISTRIBUTION = LabelKind.DISTRIBUTION

_CE = "softmax_cross_entropy"
_BCE = "sigmoid_binary_cross_entropy"
_FOCAL = "sigmoid_focal_loss"
_CCE = "categorical_cross_entropy"
_BINARY = "binary_cross_entropy"

FAULTS: tuple[Fixture, ...] = (
    # softmax_cross_entropy
    _value("OVF-03", _CE, "naive", "nan spurious-overflow", "OVF LOG0",
           "−log(e^x_y / Σ e^x) without any shift"),
    _gradient("OVF-14", _CE, "naive_gradient", "nan", "OVF GRAD",
              "a sound value with a gradient from unshifted exponentials"),
    _value("SHIFT-04", _CE, "largest_at_least_minus_64", "spurious-overflow", "OVF LOG0",
           "shifted by max(largest, −64): the sum underflows in low rows"),
    _value("SHIFT-07", _CE, "no_shift_in_exported_graph", "spurious-overflow", "OVF INFINF",
           "log Σ e^x − x_y as an exported graph has it, without a shift"),
    _value("BATCH", _CE, "largest_of_the_batch", "row-dependent", "OVF CALL",
           "shifted by the largest logit of the whole batch"),
    _value("LOG0-01", _CE, "log_of_softmax", "spurious-overflow", "LOG0",
           "logarithm of a shifted softmax that underflowed"),
    _value("LOG0-07", _CE, "smoothing_by_log_of_softmax", "spurious-overflow", "LOG0",
           "only the smoothing term takes log(softmax)", label_smoothing=0.125),
    _value("EPS-10e", _CE, "epsilon_in_the_log", "plateau wrong-sign", "EPS SIGN",
           "−log(p + 1e-7): ends at 16.118, and is negative at p = 1"),
    _value("EPS-08", _CE, "clipped", "plateau", "EPS",
           "softmax clipped to [1e-7, 1 − 1e-7] before the logarithm"),
    _gradient("EPS-08g", _CE, "clipped_gradient", "vanished-gradient", "EPS",
              "the gradient through that clip is exactly 0"),
    _gradient("EPS-17", _CE, "floored_denominator_gradient", "vanished-gradient", "EPS GRAD",
              "a denominator floored at 1e-16: the worst predictions have no gradient"),
    _value("EPS-13", _CE, "invalid_input_hidden", "missed-nan", "EPS",
           "NaN logits replaced before the loss, so that it looks fine"),
    _value("CAN-01", _CE, "logsumexp_minus_target", "spurious-underflow inaccurate", "LSE-X",
           "lse − x_y under a common offset: [1e8, 1e8] gives 0 instead of log 2"),
    _value("CAN-02", _CE, "logsumexp_in_storage_dtype", "inaccurate", "LSE-X DTYPE",
           "logsumexp rounded to bfloat16 before x_y is subtracted", BRAIN),
    _value("CAN-04", _CE, "log_of_sum", "spurious-underflow", "P1",
           "log Σ e^(x−m) is log(1) once the others are below epsilon"),
    _gradient("CAN-04g", _CE, "p_minus_one_hot_gradient", "vanished-gradient", "1-P",
              "p − 1 is 0 at the true class while the other classes have a gradient"),
    _gradient("CAN-07", _CE, "probability_rounded_to_buffer_gradient", "vanished-gradient",
              "DTYPE 1-P", "p rounded to a bfloat16 buffer before 1 is subtracted", BRAIN),
    _value("CAN-08", _CE, "truncated_logits_in_forward", "inaccurate", "DTYPE",
           "the forward pass sees logits truncated to bfloat16, the backward pass does not"),
    _gradient("CAN-18", _CE, "small_entries_dropped_gradient", "vanished-gradient", "GRAD",
              "entries below 2^-12 are filtered out of the gradient"),
    _value("INF-01", _CE, "labels_times_log_softmax", "nan", "0INF",
           "−Σ y·log_softmax: a label of 0 meets a class at −inf", SINGLE, _DISTRIBUTION),
    _gradient("INF-12", _CE, "ignored_rows_multiplied_gradient", "nan", "0INF MASK",
              "ignored rows are multiplied by 0 instead of dropped", ignore_index=0),
    _value("MASK-01", _CE, "finite_mask", "inaccurate", "MASK",
           "−1e4 for masked classes wins over a row that lies below it"),
    _value("EPS-15", _CE, "mask_of_minus_1e9", "nan", "MASK EPS 0INF",
           "a mask of −1e9 is −inf in float16, and meets a one-hot 0", HALF),
    _value("MASK-03", _CE, "counted_once_per_shard", "inaccurate", "MASK SEM",
           "gathered logits reduced again over two shards: log 2 too much"),
    _gradient("GRAD-03", _CE, "through_one_over_p_gradient", "nan", "GRAD",
              "back through the softmax with 1/p, which overflows in float16", HALF),
    _gradient("GRAD-05", _CE, "scaled_by_last_row_gradient", "vanished-gradient row-dependent",
              "GRAD SEM", "all rows scaled by what the last row kept", ignore_index=0),
    _value("ACC-01", _CE, "sum_in_input_dtype", "spurious-overflow", "ACC",
           "Σ e^x of 65,540 equal logits overflows in float16", HALF, wide=True),
    _value("ACC-02", _CE, "smoothing_sum_in_input_dtype", "spurious-overflow", "ACC",
           "Σ −log p over the vocabulary overflows in float16", HALF, wide=True,
           label_smoothing=0.125),
    _value("ACC-03", _CE, "mean_summed_in_input_dtype", "spurious-overflow", "ACC",
           "the sum before a mean overflows in float16", HALF, reduction="mean"),
    _value("ACC-09", _CE, "one_accumulator", "inaccurate", "ACC",
           "one bfloat16 accumulator stagnates at 256", BRAIN, wide=True),
    _gradient("EMPTY-01", _CE, "mean_over_nothing_gradient", "nan", "EMPTY",
              "a mean over ignored rows only: 0/0 in the gradient",
              ignore_index=0, reduction="mean"),
    _value("IDX-01", _CE, "flat_index_of_16_bits", "inaccurate", "IDX",
           "the flat index of the target wraps at 2^16", wide=True),
    _value("SEM-04", _CE, "smoothing_over_the_other_classes", "inaccurate", "SEM",
           "ε/(C − 1) instead of ε/C", label_smoothing=0.125),
    _gradient("S7", _CE, "unnormalised_labels_gradient", "inaccurate", "SEM",
              "p − y although the labels do not sum to 1", SINGLE, _DISTRIBUTION),
    _value("CALL-01", _CE, "shifted_in_place", "mutated-input", "CALL",
           "the caller's logits are shifted in place"),
    _value("CALL-02", _CE, "dropout_left_on", "non-deterministic", "CALL",
           "random numbers in the loss"),
    _value("CALL-03", _CE, "squeezed", "wrong-shape", "CALL",
           "one value too many per row"),
    _value("SEM-02", _CE, "two_classes_at_least", "raised", "CALL SEM",
           "a single class is refused, where the loss is 0"),
    _value("CALL-04", _CE, "stored_in_float16", "wrong-dtype", "DTYPE CALL",
           "a float32 loss stored in float16"),
    # softmax
    _value("OVF-03s", "softmax", "softmax_naive", "nan", "OVF",
           "e^x / Σ e^x without any shift"),
    _gradient("OVF-03sg", "softmax", "softmax_naive_gradient", "nan", "OVF GRAD",
              "the Jacobian's row from unshifted exponentials"),
    _value("SHIFT-01", "softmax", "softmax_shifted_by_at_least_0", "nan", "OVF",
           "shifted by max(0, largest): 0/0 for [−1e4, −1e4]"),
    _value("INF-15", "softmax", "softmax_floored", "spurious-underflow", "MASK EPS",
           "shift floored at −1e4 and sum at 1e-6: rows below come out as 0"),
    _value("SHIFT-06", "softmax", "softmax_fast_exp", "inaccurate", "OVF MASK",
           "a fast exp ends at e^−87.3, so masked classes never come to 0"),
    _value("FMA-01", "softmax", "softmax_contracted", "nan", "FMA",
           "x·c − max(x·c) contracted: e^residual of the largest is not 1", temperature=0.3),
    _value("FTZ-02", "softmax", "softmax_flushed", "ftz", "FTZ",
           "subnormal probabilities flushed to 0"),
    _gradient("CAN-04sg", "softmax", "softmax_one_minus_p_gradient", "vanished-gradient", "1-P",
              "p (1 − p) is 0 once p rounds to 1"),
    _gradient("GRAD-07", "softmax", "softmax_logarithmic_gradient", "nan", "GRAD",
              "divides by a p that underflowed"),
    # log_softmax
    _value("LOG0-03", "log_softmax", "log_softmax_of_softmax", "spurious-overflow", "LOG0",
           "log(softmax): −inf where p underflows, [0, −150, 0, 0, 0]"),
    _value("CAN-01l", "log_softmax", "log_softmax_minus_logsumexp", "inaccurate", "LSE-X",
           "x − lse under a common offset"),
    _value("CAN-04l", "log_softmax", "log_softmax_of_sum", "spurious-underflow", "P1",
           "x − m − log Σ e^(x−m): 0 near p = 1"),
    _value("ACC-01l", "log_softmax", "log_softmax_sum_in_input_dtype", "spurious-overflow", "ACC",
           "65,540 equal float16 logits: −inf instead of −11.09", HALF, wide=True),
    _gradient("CAN-04lg", "log_softmax", "log_softmax_one_minus_p_gradient", "vanished-gradient",
              "1-P", "1 − p is 0 once p rounds to 1"),
    _gradient("DTYPE-01", "log_softmax", "log_softmax_exp_of_value_gradient", "inaccurate",
              "DTYPE GRAD", "p recovered as exp of the stored value"),
    # logsumexp
    _value("OVF-04", "logsumexp", "logsumexp_naive", "spurious-overflow", "OVF",
           "log Σ e^x: 32 equal float16 logits overflow from 7.63 on", HALF),
    _value("CAN-05", "logsumexp", "logsumexp_of_masked_row", "spurious-underflow", "P1",
           "lse([0, −40]) is 0 in float64", DOUBLE),
    _value("INF-07", "logsumexp", "logsumexp_of_masked_row", "nan", "INFINF MASK",
           "−inf − −inf in a row that is all masked"),
    _value("MASK-04", "logsumexp", "logsumexp_mask_of_lowest", "missed-overflow", "MASK",
           "−inf clamped to the lowest finite number: an empty row looks finite"),
    _gradient("OVF-03g", "logsumexp", "logsumexp_naive_gradient", "nan", "OVF GRAD",
              "inf/inf for large logits"),
    _gradient("SHIFT-02", "logsumexp", "logsumexp_shift_of_first_gradient", "nan", "OVF",
              "shifted by the first logit instead of the largest"),
    # nll_loss
    _value("INF-01n", "nll_loss", "nll_loss_one_hot_product", "nan", "0INF",
           "a one-hot product meets −inf at a class that is not the target"),
    _value("EMPTY-02", "nll_loss", "nll_loss_kept_as_factor", "nan", "0INF MASK",
           "weight 0 times −log 0 on an ignored row", ignore_index=0),
    _value("ACC-03n", "nll_loss", "nll_loss_mean_summed_in_input_dtype", "spurious-overflow", "ACC",
           "the sum before a mean overflows in float16", HALF, reduction="mean"),
    _gradient("EMPTY-01n", "nll_loss", "nll_loss_mean_over_nothing_gradient", "nan", "EMPTY",
              "0/0 when every row is ignored", ignore_index=0, reduction="mean"),
    _gradient("SEM-08", "nll_loss", "nll_loss_scatter_of_ones_gradient", "wrong-sign", "SEM GRAD",
              "+1 scattered instead of −1"),
    _gradient("GRAD-05n", "nll_loss", "nll_loss_scaled_by_last_row_gradient",
              "vanished-gradient", "GRAD", "all rows scaled by what the last row kept",
              ignore_index=0),
    # sigmoid
    _value("OVF-01", "sigmoid", "sigmoid_exp_over_exp", "nan", "OVF",
           "e^x / (1 + e^x): NaN from 88.8 on (710 in float64)", ("float32", "float64")),
    _value("OVF-02", "sigmoid", "sigmoid_naive", "spurious-underflow", "OVF",
           "1 / (1 + e^−x): 0 where the exact value is subnormal"),
    _value("CAN-06", "sigmoid", "sigmoid_by_tanh", "spurious-underflow", "1-P",
           "½ + ½ tanh(x/2): 0 once the tanh rounds to −1"),
    _gradient("OVF-07", "sigmoid", "sigmoid_squared_denominator_gradient", "nan", "OVF GRAD",
              "e^−x / (1 + e^−x)²: inf/inf"),
    _gradient("CAN-06g", "sigmoid", "sigmoid_one_minus_s_gradient", "vanished-gradient", "1-P",
              "σ (1 − σ) is 0 once σ rounds to 1"),
    # log_sigmoid
    _value("LOG0-09", "log_sigmoid", "log_sigmoid_of_sigmoid", "spurious-overflow", "LOG0",
           "log of a sigmoid that underflowed"),
    _value("INF-11", "log_sigmoid", "log_sigmoid_shifted_pair", "nan spurious-underflow",
           "INFINF P1", "the pair shifted by its maximum: −inf gives NaN, large x gives 0"),
    _value("CAN-13", "log_sigmoid", "log_sigmoid_log_without_1p", "spurious-underflow", "P1",
           "log(1 + e^−|x|) without log1p"),
    _gradient("CAN-13g", "log_sigmoid", "log_sigmoid_one_minus_s_gradient", "vanished-gradient",
              "1-P", "1 − σ is 0 once σ rounds to 1"),
    # softplus
    _value("OVF-05", "softplus", "softplus_naive", "spurious-overflow spurious-underflow",
           "OVF P1", "log(1 + e^x): inf for 100, 0 for −20"),
    _value("CAN-14", "softplus", "softplus_above_20_linear", "inaccurate", "P1 EPS",
           "x itself above 20: softplus(20.1) is 20.1", DOUBLE),
    _value("NAN-01", "softplus", "softplus_nan_swallowed", "missed-nan", "EPS",
           "fmax and a cleaned |x| swallow NaN"),
    _gradient("OVF-05g", "softplus", "softplus_naive_gradient", "nan", "OVF GRAD",
              "e^x / (1 + e^x): inf/inf"),
    _gradient("TIE-01", "softplus", "softplus_kink_gradient", "vanished-gradient", "TIE",
              "derivatives of max and |x| at 0: 0 instead of ½"),
    _gradient("INF-13", "softplus", "softplus_untaken_branch_gradient", "nan", "WHERE",
              "0 times the inf/inf of the branch that was not taken"),
    # sigmoid_binary_cross_entropy
    _value("LOG0-04", _BCE, "bce_sigmoid_then_log", "nan spurious-overflow", "LOG0 0INF 1-P",
           "sigmoid, then log p and log(1 − p)"),
    _value("OVF-11", _BCE, "bce_unstable_with_weight", "spurious-overflow", "OVF",
           "with pos_weight the stable path is left: log(1 + e^120)", pos_weight=2.0),
    _value("INF-10", _BCE, "bce_tensorflow_form", "nan", "INFINF",
           "max(x, 0) − xz + log1p(e^−|x|): inf − inf at x = inf"),
    _value("CAN-13b", _BCE, "bce_log_without_1p", "spurious-underflow", "P1",
           "log(1 + e^−|x|): 0 from 16.6 on"),
    _value("EPS-12", _BCE, "bce_clipped", "plateau", "EPS LOG0",
           "probabilities clipped to [1e-7, 1 − 1e-7]"),
    _gradient("EPS-12g", _BCE, "bce_clipped_gradient", "vanished-gradient", "EPS",
              "the gradient through that clip is exactly 0"),
    _gradient("OVF-08", _BCE, "bce_exp_over_exp_gradient", "nan", "OVF GRAD",
              "((1 − y) − y e^−x) / (1 + e^−x): inf/inf at −1000"),
    _gradient("TIE-01b", _BCE, "bce_kink_gradient", "vanished-gradient", "TIE",
              "derivatives of max and |x| at 0"),
    _gradient("EPS-06", _BCE, "bce_floored_denominator_gradient", "inaccurate vanished-gradient",
              "EPS GRAD", "(p − y)/max(p(1 − p), 1e-12)·p(1 − p): −1.9e-10 at −50, want −1"),
    _gradient("CAN-07b", _BCE, "bce_sigma_minus_label_gradient", "vanished-gradient", "1-P",
              "σ(x) − 1 is 0 once σ rounds to 1"),
    # sigmoid_focal_loss
    _value("OVF-06", _FOCAL, "focal_log1p_of_exp", "spurious-overflow", "OVF",
           "log1p(e^−x) overflows at −100"),
    _value("LOG0-05", _FOCAL, "focal_log_of_sigmoid", "nan", "LOG0 0INF",
           "(1 − t)·log σ(−x): 0 times −inf at 100"),
    _value("CAN-11", _FOCAL, "focal_one_minus_p", "spurious-underflow inaccurate", "1-P",
           "(1 − p_t)^γ: 12 % off at 16, 0 at 17"),
    _gradient("CAN-11g", _FOCAL, "focal_one_minus_p_gradient", "nan", "1-P GRAD",
              "(1 − p_t)^(γ−1) with γ = ½: 0^−½ times 0", gamma=0.5),
    # categorical_cross_entropy
    _value("INF-01c", _CCE, "categorical_plain_sum", "nan", "0INF",
           "0 times log 0", SINGLE, _DISTRIBUTION),
    _value("EPS-10", _CCE, "categorical_clipped", "plateau", "EPS",
           "clipped at epsilon: 36.0437 for p = 1e-20 in float64", DOUBLE),
    _value("EPS-11", _CCE, "categorical_clipped", "plateau", "EPS",
           "clipped at epsilon: 15.9424 where the loss is infinite"),
    _value("EPS-07", _CCE, "categorical_doubled_epsilon", "plateau spurious-underflow", "EPS P1",
           "clipped at 1e-7 and 1e-7 added again: 15.4249"),
    _value("EPS-09", _CCE, "categorical_renormalised", "nan inaccurate", "EPS SEM",
           "divided by the row's sum first: 0/0, and [1, 1] becomes [½, ½]"),
    _value("FTZ-01", _CCE, "categorical_flushed_log", "spurious-overflow", "FTZ LOG0",
           "log of a subnormal probability that was flushed"),
    _gradient("EPS-08c", _CCE, "categorical_clipped_gradient", "vanished-gradient", "EPS",
              "exactly 0 outside of the clip"),
    _gradient("EPS-05c", _CCE, "categorical_epsilon_gradient", "inaccurate", "EPS GRAD",
              "−y/(p + 1e-7)"),
    # binary_cross_entropy
    _value("LOG0-06", _BINARY, "binary_plain", "nan", "LOG0 0INF",
           "p = 0 with label 0, and p = 1 with label 1"),
    _value("EPS-01", _BINARY, "binary_ineffective_clip", "nan", "EPS",
           "clipped at 1 − 1e-9, which is 1 in float32"),
    _value("EPS-02", _BINARY, "binary_clip_of_float64", "nan", "EPS",
           "clipped at 1e-15, made for float64"),
    _value("EPS-03", _BINARY, "binary_clip_in_float16", "nan", "EPS",
           "1 − 1e-7 is 1 in float16", HALF),
    _value("EPS-05", _BINARY, "binary_epsilon_in_the_log", "wrong-sign", "EPS SIGN",
           "log(p + 1e-12): ends at 27.63, and is negative at p = 0", DOUBLE),
    _value("S10", _BINARY, "binary_logs_at_least_minus_100", "plateau", "EPS",
           "logarithms clamped at −100", DOUBLE),
    _value("CAN-15", _BINARY, "binary_log_of_one_minus_p", "spurious-underflow", "1-P",
           "log(1 − p) instead of log1p(−p)"),
    _gradient("EPS-06p", _BINARY, "binary_floored_denominator_gradient",
              "missed-overflow inaccurate", "EPS GRAD",
              "the denominator floored at 1e-12: −1e12 at p = 0"),
    _gradient("EPS-08b", _BINARY, "binary_clipped_gradient", "vanished-gradient", "EPS",
              "exactly 0 outside of the clip"),
    _gradient("LOG0-06g", _BINARY, "binary_plain_ratio_gradient", "nan", "GRAD 0INF",
              "0/0 at a certain and right prediction"),
    # entropy
    _value("INF-06", "entropy", "entropy_plain", "nan", "0INF",
           "0 times log 0 for a masked class"),
    _value("EPS-05e", "entropy", "entropy_epsilon_in_the_log", "wrong-sign inaccurate",
           "EPS SIGN", "−Σ p log(p + 1e-7): negative for a certain class"),
    _value("FTZ-03", "entropy", "entropy_of_flushed_probabilities", "spurious-underflow",
           "EPS FTZ", "probabilities below epsilon count as 0"),
    _value("SEM-09", "entropy", "entropy_in_nats", "inaccurate", "SEM",
           "nats where bits were asked for", base="2"),
    _gradient("EPS-05eg", "entropy", "entropy_epsilon_gradient", "inaccurate", "EPS",
              "−(log(p + 1e-7) + p/(p + 1e-7))"),
    _gradient("INF-03e", "entropy", "entropy_masked_gradient", "nan", "WHERE 0INF",
              "a mask times log 0, where the derivative is infinite"),
    # kl_divergence
    _value("INF-04", "kl_divergence", "kl_plain", "nan", "0INF",
           "t (log t − x) with t = 0"),
    _value("INF-03", "kl_divergence", "kl_plain_log_target", "nan", "0INF INFINF",
           "e^l (l − x) with a log-target of −inf", log_target=True),
    _value("S9", "kl_divergence", "kl_clipped", "inaccurate", "EPS",
           "both sides clipped to [1e-7, 1]"),
    _value("CAN-12", "kl_divergence", "kl_of_cross_entropy_and_entropy", "inaccurate wrong-sign",
           "SIGN 1-P", "cross-entropy minus entropy of near-equal distributions"),
    _value("ACC-10", "kl_divergence", "kl_terms_in_one_accumulator", "inaccurate", "ACC",
           "terms added one by one in bfloat16", BRAIN),
    _gradient("GRAD-03k", "kl_divergence", "kl_through_the_ratio_gradient", "nan", "GRAD 0INF",
              "−(t/q)·q with a q that underflowed"),
    _gradient("S9g", "kl_divergence", "kl_clipped_gradient", "vanished-gradient", "EPS",
              "0 where the prediction was clipped"),
    # js_divergence
    _value("INF-04j", "js_divergence", "js_plain", "nan", "0INF",
           "p log(2p/(p + q)) with p = 0"),
    _value("CAN-09", "js_divergence", "js_of_entropies", "wrong-sign", "SIGN 1-P",
           "a difference of entropies: negative for near-equal distributions"),
    _value("EPS-05j", "js_divergence", "js_epsilon", "inaccurate", "EPS",
           "1e-7 added to both distributions"),
    _gradient("INF-04jg", "js_divergence", "js_plain_gradient", "spurious-overflow", "GRAD",
              "½ log(p/m) with a quotient that underflows"),
    _gradient("EPS-05jg", "js_divergence", "js_epsilon_gradient", "inaccurate", "EPS",
              "1e-7 added before the logarithm"),
    _gradient("CAN-07j", "js_divergence", "js_through_narrow_logs_gradient",
              "vanished-gradient inaccurate", "DTYPE 1-P",
              "log p − log m, each rounded to bfloat16", BRAIN),
)  # fmt: skip

CONTROLS: tuple[Fixture, ...] = (
    _sound(_CE, "log1p of the tail sum"),
    _sound(_CE, "the same on one-hot and soft labels", HALF + BRAIN, _DISTRIBUTION,
           report="NEG tensorflow#21271"),
    _sound(_CE, "the same with label smoothing", SINGLE, label_smoothing=0.125),
    _sound(_CE, "the same at a temperature", DOUBLE, temperature=0.3),
    _sound(_CE, "the same with z-loss", BRAIN, z_loss=0.0625),
    _sound(_CE, "the same, averaged over the rows that are kept", SINGLE,
           report="NEG pytorch#22957", ignore_index=0, reduction="mean"),
    _sound("softmax", "shifted by the largest, in extended precision",
           report="NEG tensorflow#10142"),
    _sound("softmax", "the same at a temperature", SINGLE, temperature=0.3),
    _sound("log_softmax", "log1p of the tail sum"),
    _sound("logsumexp", "largest plus log1p of the tail sum", NARROW),
    _sound("nll_loss", "a look-up"),
    _sound("nll_loss", "the same, ignored rows dropped", SINGLE, ignore_index=0),
    _sound(_BCE, "softplus of either sign", report="NEG pytorch#4867"),
    _sound(_BCE, "the same with pos_weight", pos_weight=2.0),
    _sound(_BCE, "the same with label smoothing", NARROW, label_smoothing=0.125),
    _sound(_BCE, "the weighted formula that was reported as wrong", NARROW,
           function="sound_weighted_bce", gradient=False, report="NEG tensorflow#11978",
           pos_weight=2.0),
    _sound(_FOCAL, "σ(−x) for 1 − σ(x)"),
    _sound(_FOCAL, "the same with γ = ½ and α", gamma=0.5, alpha=0.25),
    _sound("sigmoid", "by the sign of x"),
    _sound("log_sigmoid", "−softplus(−x)"),
    _sound("softplus", "max(x, 0) + log1p(e^−|x|)", report="NEG pytorch#180193"),
    _sound(_CCE, "unclipped: infinite where the truth is infinite",
           report="NEG scikit-learn#17399"),
    _sound(_CCE, "the same on soft labels", SINGLE, _DISTRIBUTION),
    _sound(_BINARY, "log and log1p(−p), unclipped"),
    _sound("entropy", "0·log 0 = 0", NARROW),
    _sound("entropy", "the same in bits", SINGLE, base="2"),
    _sound("kl_divergence", "infinite where a label meets an impossible class", NARROW,
           report="NEG annotated-transformer#39"),
    _sound("kl_divergence", "the same with logarithms as targets", SINGLE,
           report="NEG pytorch#51716", log_target=True),
    _sound("js_divergence", "log1p of (p − q)/(p + q)", NARROW),
)  # fmt: skip

FIXTURES = (*FAULTS, *CONTROLS)


def lines() -> Iterator[str]:
    """The document, line by line."""
    yield "# Faults that the auditor sees"
    yield ""
    yield "Each row is a few lines of NumPy in `tests/faults/`, written for this project after a"
    yield "fault that was reported against a framework or a library, or by its pattern. The"
    yield "standard sweep of `xentcheck check` finds the kinds named here on each fault, and no"
    yield "violation in the controls; the tests hold it to that. Rows of 65,540 classes are in the"
    yield "tests only where a fault shows on nothing smaller."
    yield "`python -m tests.faults.catalogue` prints this file."
    yield ""
    yield f"## {len(FAULTS)} faults"
    yield ""
    yield "| id | what | loss | quantity | dtype | kinds found | root cause |"
    yield "|---|---|---|---|---|---|---|"
    for each in FAULTS:
        yield _row(
            each.id,
            f"`{each.function.partition(':')[2]}`: {each.summary}",
            _setting(each),
            each.quantity.value,
            ", ".join(each.dtypes),
            ", ".join(f"`{kind}`" for kind in each.kinds),
            ", ".join(each.causes),
        )
    yield ""
    yield f"## {len(CONTROLS)} sound controls"
    yield ""
    yield "A control named NEG stands for a report that turned out to be no fault."
    yield ""
    yield "| id | what | loss | dtypes |"
    yield "|---|---|---|---|"
    for each in CONTROLS:
        what = f"`{each.function.partition(':')[2]}`: {each.summary}"
        yield _row(each.id, what, _setting(each), ", ".join(each.dtypes))
    yield ""
    yield "## Root causes"
    yield ""
    yield "| code | is | faults |"
    yield "|---|---|---|"
    for code, text in CAUSES.items():
        yield _row(code, text, str(sum(code in each.causes for each in FAULTS)))


def _setting(fixture: Fixture) -> str:
    words = [f"`{fixture.loss}`"]
    if fixture.label_kind is not None:
        words.append(f"{fixture.label_kind} labels")
    words += [f"{name}={value}" for name, value in fixture.parameters.items()]
    return ", ".join(words)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    print("\n".join(lines()))  # noqa: T201
