"""Sound and unsound forms of sigmoid, log_sigmoid, softplus and the binary losses made of them.

Every function computes in the dtype of its input, unless ``at_least_float32`` changes that.
"""

from typing import Any

from xentcheck.deferred import np
from xentcheck.implementations.numpy.precision import at_least_float32, clipped_to_epsilon
from xentcheck.model import Array
from xentcheck.registry import implementation

# sigmoid


def _sigmoid_naive_gradient(logits: Array) -> Array:
    s = sigmoid_naive(logits)
    return np.asarray(s * (1 - s))


@implementation("sigmoid", "numpy.naive", gradient=_sigmoid_naive_gradient, sound=False)
def sigmoid_naive(logits: Array) -> Array:
    """1 / (1 + e^−x): 0 too early below, and the gradient s (1 − s) dies above."""
    return np.asarray(1 / (1 + np.exp(-logits)))


def _sigmoid_exp_ratio_gradient(logits: Array) -> Array:
    e = np.exp(logits)
    return np.asarray(e / (1 + e) ** 2)


@implementation("sigmoid", "numpy.exp_ratio", gradient=_sigmoid_exp_ratio_gradient, sound=False)
def sigmoid_exp_ratio(logits: Array) -> Array:
    """e^x / (1 + e^x), SciPy's expit until 2014: inf / inf from 710 on in float64."""
    e = np.exp(logits)
    return np.asarray(e / (1 + e))


def _sigmoid_tanh_gradient(logits: Array) -> Array:
    t = np.tanh(logits / 2)
    return np.asarray((1 - t * t) / 4)


@implementation("sigmoid", "numpy.tanh", gradient=_sigmoid_tanh_gradient, sound=False)
def sigmoid_tanh(logits: Array) -> Array:
    """(1 + tanh(x/2)) / 2: never overflows, but 1 + (−1) cancels for negative logits."""
    return np.asarray((1 + np.tanh(logits / 2)) / 2)


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, np.ones_like(e), e) / (1 + e))


@at_least_float32
def _sigmoid_branch_gradient(logits: Array) -> Array:
    e = np.exp(-np.abs(logits))
    return np.asarray(e / (1 + e) ** 2)


@implementation("sigmoid", "numpy.branch", gradient=_sigmoid_branch_gradient, sound=True)
@at_least_float32
def sigmoid_branch(logits: Array) -> Array:
    """With e = e^−|x|: 1/(1+e) for x >= 0 and e/(1+e) below; gradient e/(1+e)²."""
    return _sigmoid(logits)


# softplus


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


@implementation("softplus", "numpy.naive", gradient=sigmoid_exp_ratio, sound=False)
def softplus_naive(logits: Array) -> Array:
    """log(1 + e^x): overflows above, 0 below once 1 absorbs e^x."""
    return np.asarray(np.log(1 + np.exp(logits)))


@implementation("softplus", "numpy.log1p_exp", gradient=sigmoid_naive, sound=False)
def softplus_log1p_exp(logits: Array) -> Array:
    """log1p(e^x): good below, still overflows above."""
    return np.asarray(np.log1p(np.exp(logits)))


@implementation("softplus", "numpy.max_log", gradient=sigmoid_naive, sound=False)
def softplus_max_log(logits: Array) -> Array:
    """max(x, 0) + log(1 + e^−|x|): without log1p, 0 once 1 absorbs the exponential."""
    return np.asarray(np.maximum(logits, 0) + np.log(1 + np.exp(-np.abs(logits))))


def _softplus_threshold_gradient(logits: Array) -> Array:
    return np.asarray(np.where(logits > 20, np.ones_like(logits), sigmoid_exp_ratio(logits)))


@implementation("softplus", "numpy.threshold", gradient=_softplus_threshold_gradient, sound=False)
def softplus_threshold(logits: Array) -> Array:
    """x above 20, log1p(e^x) below, as torch: drops 2e-9 that float64 could hold."""
    return np.asarray(np.where(logits > 20, logits, np.log1p(np.exp(logits))))


@implementation("softplus", "numpy.max_log1p", gradient=sigmoid_branch, sound=True)
@at_least_float32
def softplus_max_log1p(logits: Array) -> Array:
    """max(x, 0) + log1p(e^−|x|)."""
    return _softplus(logits)


@implementation("softplus", "numpy.logaddexp", gradient=sigmoid_branch, sound=True)
@at_least_float32
def softplus_logaddexp(logits: Array) -> Array:
    """logaddexp(0, x)."""
    return np.asarray(np.logaddexp(np.zeros_like(logits), logits))


# log_sigmoid


def _log_sigmoid_naive_gradient(logits: Array) -> Array:
    return np.asarray(1 - sigmoid_naive(logits))


@implementation("log_sigmoid", "numpy.naive", gradient=_log_sigmoid_naive_gradient, sound=False)
def log_sigmoid_naive(logits: Array) -> Array:
    """log(1 / (1 + e^−x)): −inf too early below, 0 once the sigmoid rounds to 1."""
    return np.asarray(np.log(sigmoid_naive(logits)))


def _log_of_branch_gradient(logits: Array) -> Array:
    return np.asarray(1 - _sigmoid(logits))


@implementation("log_sigmoid", "numpy.log_of_branch", gradient=_log_of_branch_gradient, sound=False)
def log_sigmoid_of_branch(logits: Array) -> Array:
    """log of a sigmoid that is itself sound: what is lost is lost in the logarithm."""
    return np.asarray(np.log(_sigmoid(logits)))


@implementation("log_sigmoid", "numpy.min_log", gradient=_log_of_branch_gradient, sound=False)
def log_sigmoid_min_log(logits: Array) -> Array:
    """min(x, 0) − log(1 + e^−|x|): without log1p, 0 once 1 absorbs the exponential."""
    return np.asarray(np.minimum(logits, 0) - np.log(1 + np.exp(-np.abs(logits))))


@at_least_float32
def _log_sigmoid_log1p_gradient(logits: Array) -> Array:
    return _sigmoid(-logits)


@implementation("log_sigmoid", "numpy.min_log1p", gradient=_log_sigmoid_log1p_gradient, sound=True)
@at_least_float32
def log_sigmoid_min_log1p(logits: Array) -> Array:
    """min(x, 0) − log1p(e^−|x|); gradient sigmoid(−x)."""
    return -_softplus(-logits)


# sigmoid_binary_cross_entropy


def _bce_naive_gradient(logits: Array, labels: Array) -> Array:
    return np.asarray(sigmoid_naive(logits) - labels)


@implementation(
    "sigmoid_binary_cross_entropy", "numpy.naive", gradient=_bce_naive_gradient, sound=False
)
def bce_naive(logits: Array, labels: Array) -> Array:
    """−z log p − (1 − z) log(1 − p) with p = 1/(1 + e^−x): 0 · inf is NaN once p is 0 or 1."""
    p = sigmoid_naive(logits)
    return np.asarray(-labels * np.log(p) - (1 - labels) * np.log(1 - p))


def _bce_clipped_gradient(logits: Array, labels: Array) -> Array:
    p = _sigmoid(logits)
    _, within = clipped_to_epsilon(p, 1e-7)
    return np.asarray(np.where(within, p - labels, np.zeros_like(p)))


@implementation(
    "sigmoid_binary_cross_entropy", "numpy.clipped", gradient=_bce_clipped_gradient, sound=False
)
def bce_clipped(logits: Array, labels: Array) -> Array:
    """p clipped to [1e-7, 1 − 1e-7], as Keras: flat at 16.1, where 1 − 1e-7 is not 1 already."""
    p, _ = clipped_to_epsilon(_sigmoid(logits), 1e-7)
    return np.asarray(-labels * np.log(p) - (1 - labels) * np.log(1 - p))


def _bce_clamped_gradient(logits: Array, labels: Array) -> Array:
    p = _sigmoid(logits)
    slope = p * (1 - p)
    return np.asarray((p - labels) / np.maximum(slope, p.dtype.type(1e-12)) * slope)


@implementation(
    "sigmoid_binary_cross_entropy", "numpy.clamped", gradient=_bce_clamped_gradient, sound=False
)
def bce_clamped(logits: Array, labels: Array) -> Array:
    """Sigmoid, then logarithms clamped at −100, as torch's BCELoss: flat at 100."""
    p = _sigmoid(logits)
    log_p, log_q = np.maximum(np.log(p), -100), np.maximum(np.log1p(-p), -100)
    return np.asarray(-labels * log_p - (1 - labels) * log_q)


def _bce_max_abs_gradient(logits: Array, labels: Array) -> Array:
    return np.asarray(_sigmoid(logits) - labels)


@implementation(
    "sigmoid_binary_cross_entropy", "numpy.max_abs", gradient=_bce_max_abs_gradient, sound=False
)
def bce_max_abs(logits: Array, labels: Array) -> Array:
    """max(x, 0) − xz + log1p(e^−|x|), as TensorFlow: good, but the gradient sigmoid(x) − z dies."""
    tail = np.log1p(np.exp(-np.abs(logits)))
    return np.asarray(np.maximum(logits, 0) - logits * labels + tail)


def _reduced(per_row: Array, reduction: str) -> Array:
    if reduction == "none":
        return per_row
    return np.asarray(per_row.mean() if reduction == "mean" else per_row.sum())


def _shared(gradient: Array, reduction: str) -> Array:
    return np.asarray(gradient / gradient.dtype.type(len(gradient) if reduction == "mean" else 1))


def _times(coefficient: Array, factor: Array) -> Array:
    """Return the product, with 0 · inf = 0 for an absent term."""
    return np.asarray(np.where(coefficient == 0, np.zeros_like(factor), coefficient * factor))


def _coefficients(labels: Array, pos_weight: float, label_smoothing: float) -> tuple[Any, Any]:
    """Return the factors of softplus(−x) and softplus(x)."""
    number = labels.dtype.type
    keep, spread = number(1) - number(label_smoothing), number(label_smoothing) / 2
    on, off = labels * keep + spread, (1 - labels) * keep + spread
    return number(pos_weight) * on, off


@at_least_float32
def _bce_softplus_gradient(
    logits: Array,
    labels: Array,
    *,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Array:
    on, off = _coefficients(labels, pos_weight, label_smoothing)
    return _shared(off * _sigmoid(logits) - on * _sigmoid(-logits), reduction)


@implementation(
    "sigmoid_binary_cross_entropy", "numpy.softplus", gradient=_bce_softplus_gradient, sound=True
)
@at_least_float32
def bce_softplus(
    logits: Array,
    labels: Array,
    *,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Array:
    """z softplus(−x) + (1 − z) softplus(x); gradient (1 − z) sigmoid(x) − z sigmoid(−x).

    Args:
        logits: (rows,) in one of `STANDARD` dtypes.
        labels: targets (rows,) in the dtype of the logits.
        pos_weight: weight of the positive class.
        label_smoothing: share of the target that is spread evenly over both classes.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    on, off = _coefficients(labels, pos_weight, label_smoothing)
    loss = _times(on, _softplus(-logits)) + _times(off, _softplus(logits))
    return _reduced(loss, reduction)


# sigmoid_focal_loss: alpha_t q^gamma ce with q = 1 − p_t


def _focal_naive_gradient(logits: Array, labels: Array) -> Array:
    p = sigmoid_naive(logits)
    q = labels * (1 - p) + (1 - labels) * p
    ce = bce_naive(logits, labels)
    return np.asarray(q * q * (p - labels) + 2 * q * (1 - 2 * labels) * p * (1 - p) * ce)


@implementation("sigmoid_focal_loss", "numpy.naive", gradient=_focal_naive_gradient, sound=False)
def focal_naive(logits: Array, labels: Array) -> Array:
    """(1 − p_t)² times a naive cross-entropy: NaN once the sigmoid is 0 or 1."""
    p = sigmoid_naive(logits)
    q = labels * (1 - p) + (1 - labels) * p
    return np.asarray(q * q * bce_naive(logits, labels))


def _alpha_t(labels: Array, alpha: float | None) -> Array:
    if alpha is None:
        return np.ones_like(labels)
    number = labels.dtype.type
    return np.asarray(number(alpha) * labels + (number(1) - number(alpha)) * (1 - labels))


def _focal_one_minus_gradient(
    logits: Array, labels: Array, *, alpha: float | None = None, gamma: float = 2.0
) -> Array:
    number = logits.dtype.type
    p = _sigmoid(logits)
    q = 1 - (p * labels + (1 - p) * (1 - labels))
    slope = (1 - 2 * labels) * p * (1 - p)
    ce = bce_max_abs(logits, labels)
    by_q = number(gamma) * q ** number(gamma - 1) * slope * ce
    return np.asarray(_alpha_t(labels, alpha) * (by_q + q ** number(gamma) * (p - labels)))


@implementation(
    "sigmoid_focal_loss", "numpy.one_minus_p", gradient=_focal_one_minus_gradient, sound=False
)
def focal_one_minus(
    logits: Array, labels: Array, *, alpha: float | None = None, gamma: float = 2.0
) -> Array:
    """A good cross-entropy times (1 − p_t)^gamma: 1 − p_t cancels, and for gamma < 1 gives NaN.

    Args:
        logits: (rows,) in one of `STANDARD` dtypes.
        labels: targets (rows,) in the dtype of the logits.
        alpha: weight of the positive class, 1 − alpha that of the negative one; None for no
            weights.
        gamma: exponent of the probability of being wrong.
    """
    p = _sigmoid(logits)
    q = 1 - (p * labels + (1 - p) * (1 - labels))
    ce = bce_max_abs(logits, labels)
    return np.asarray(_alpha_t(labels, alpha) * q ** logits.dtype.type(gamma) * ce)


def _focal_parts(x: Array, z: Array) -> tuple[Array, Array, Array, Array]:
    on, off = _sigmoid(x), _sigmoid(-x)
    ce = _times(z, _softplus(-x)) + _times(1 - z, _softplus(x))
    return on, off, z * off + (1 - z) * on, ce


@at_least_float32
def _focal_sum_gradient(
    logits: Array,
    labels: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Array:
    number = logits.dtype.type
    on, off, q, ce = _focal_parts(logits, labels)
    # q'/q = ± on·off/q. For a hard label q equals on or off, and cancels; dividing could give 0/0.
    hard = (labels == 0) | (labels == 1)
    soft = (1 - 2 * labels) * on * off / np.where(hard, np.ones_like(q), q)
    ratio = np.where(labels == 1, -on, np.where(labels == 0, off, soft))
    inner = number(gamma) * _times(ratio, ce) + ((1 - labels) * on - labels * off)
    return _shared(_alpha_t(labels, alpha) * q ** number(gamma) * inner, reduction)


@implementation("sigmoid_focal_loss", "numpy.power", gradient=_focal_sum_gradient, sound=True)
@at_least_float32
def focal_sum(
    logits: Array,
    labels: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Array:
    """(z sigmoid(−x) + (1 − z) sigmoid(x))^gamma times the softplus form: sums of positives.

    Args:
        logits: (rows,) in one of `STANDARD` dtypes.
        labels: targets (rows,) in the dtype of the logits.
        alpha: weight of the positive class, 1 − alpha that of the negative one; None for no
            weights.
        gamma: exponent of the probability of being wrong.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    _, _, q, ce = _focal_parts(logits, labels)
    loss = _alpha_t(labels, alpha) * _times(q ** logits.dtype.type(gamma), ce)
    return _reduced(loss, reduction)
