"""Sound and unsound forms of losses of probabilities and log-probabilities, and of divergences.

Every function computes in the dtype of its input, unless ``at_least_float32`` changes that.
"""

import math
from typing import Any

from xentcheck.deferred import np
from xentcheck.implementations.numpy.precision import at_least_float32, clipped_to_epsilon
from xentcheck.model import Array, LabelKind
from xentcheck.registry import implementation

INTEGER = (LabelKind.INTEGER,)


def _dense(like: Array, labels: Array) -> Array:
    if labels.ndim == 2:
        return labels
    return np.asarray(labels[:, None] == np.arange(like.shape[1])).astype(like.dtype)


def _picked(per_class: Array, labels: Array) -> Array:
    return np.asarray(np.take_along_axis(per_class, labels[:, None], axis=1)[:, 0])


def _reduced(per_row: Array, reduction: str, weights: Any = None) -> Array:
    """Reduce the rows; the mean divides by the sum of weights, or by the number of rows."""
    if reduction == "none":
        return per_row
    total = per_row.sum()
    if reduction == "sum":
        return np.asarray(total)
    count = per_row.dtype.type(len(per_row)) if weights is None else weights.sum()
    return np.asarray(total / count)


def _shared(gradient: Array, reduction: str) -> Array:
    return np.asarray(gradient / gradient.dtype.type(len(gradient) if reduction == "mean" else 1))


def _x_log_y(x: Array, y: Array) -> Array:
    """Return x log y with 0 log 0 = 0; the unused logarithm signals nothing."""
    return np.asarray(np.where(x == 0, np.zeros_like(y), x * np.log(_unless(x == 0, y))))


def _ratio(y: Array, p: Array) -> Array:
    """Return y / p with 0/0 = 0; the unused quotient signals nothing."""
    return np.asarray(np.where(y == 0, np.zeros_like(p), y / _unless(y == 0, p)))


def _unless(other: Array, x: Array) -> Array:
    """Replace x by 1 where another result is used, so that nothing is signalled there."""
    return np.asarray(np.where(other, np.ones_like(x), x))


# categorical_cross_entropy


def _cce_naive_gradient(probabilities: Array, labels: Array) -> Array:
    return np.asarray(-_dense(probabilities, labels) / probabilities)


@implementation(
    "categorical_cross_entropy", "numpy.naive", gradient=_cce_naive_gradient, sound=False
)
def cce_naive(probabilities: Array, labels: Array) -> Array:
    """−Σ y log p with a dense y: 0 · log 0 is NaN."""
    return np.asarray(-(_dense(probabilities, labels) * np.log(probabilities)).sum(axis=1))


def _cce_epsilon_gradient(probabilities: Array, labels: Array) -> Array:
    epsilon = probabilities.dtype.type(1e-7)
    return np.asarray(-_dense(probabilities, labels) / (probabilities + epsilon))


@implementation(
    "categorical_cross_entropy", "numpy.epsilon", gradient=_cce_epsilon_gradient, sound=False
)
def cce_epsilon(probabilities: Array, labels: Array) -> Array:
    """−Σ y log(p + 1e-7): flat from 16.1 on, negative at p = 1, no help at all in float16."""
    epsilon = probabilities.dtype.type(1e-7)
    logs = np.log(probabilities + epsilon)
    return np.asarray(-(_dense(probabilities, labels) * logs).sum(axis=1))


def _cce_clipped_gradient(probabilities: Array, labels: Array) -> Array:
    total = probabilities.sum(axis=1, keepdims=True)
    p = probabilities / total
    clipped, within = clipped_to_epsilon(p, 1e-7)
    kept = np.where(within, _dense(p, labels), np.zeros_like(p))
    return np.asarray((kept.sum(axis=1, keepdims=True) - kept / clipped) / total)


@implementation(
    "categorical_cross_entropy", "numpy.clipped", gradient=_cce_clipped_gradient, sound=False
)
def cce_clipped(probabilities: Array, labels: Array) -> Array:
    """p / Σp clipped to [1e-7, 1 − 1e-7], as Keras: flat at 16.1, and another function of p."""
    p, _ = clipped_to_epsilon(probabilities / probabilities.sum(axis=1, keepdims=True), 1e-7)
    return np.asarray(-(_dense(p, labels) * np.log(p)).sum(axis=1))


@at_least_float32
def _cce_gather_gradient(probabilities: Array, labels: Array) -> Array:
    return -_ratio(_dense(probabilities, labels), probabilities)


@implementation(
    "categorical_cross_entropy",
    "numpy.gather",
    gradient=_cce_gather_gradient,
    label_kinds=INTEGER,
    sound=True,
)
@at_least_float32
def cce_gather(probabilities: Array, labels: Array) -> Array:
    """−log p_y: only the label's own probability is looked at."""
    return np.asarray(0 - np.log(_picked(probabilities, labels)))


@at_least_float32
def _cce_masked_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    return -_ratio(_shared(_dense(probabilities, labels), reduction), probabilities)


@implementation(
    "categorical_cross_entropy", "numpy.masked", gradient=_cce_masked_gradient, sound=True
)
@at_least_float32
def cce_masked(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """−Σ y log p over the classes with y > 0."""
    terms = _x_log_y(_dense(probabilities, labels), probabilities)
    return _reduced(np.asarray(0 - terms.sum(axis=1)), reduction)


# binary_cross_entropy


def _bce_naive_gradient(probabilities: Array, labels: Array) -> Array:
    return np.asarray((1 - labels) / (1 - probabilities) - labels / probabilities)


@implementation("binary_cross_entropy", "numpy.naive", gradient=_bce_naive_gradient, sound=False)
def bce_naive(probabilities: Array, labels: Array) -> Array:
    """−z log p − (1 − z) log(1 − p): 0 · log 0 is NaN, and 1 absorbs a small p."""
    p = probabilities
    return np.asarray(-labels * np.log(p) - (1 - labels) * np.log(1 - p))


def _bce_clipped_gradient(probabilities: Array, labels: Array) -> Array:
    _, within = clipped_to_epsilon(probabilities, 1e-7)
    gradient = _bce_naive_gradient(probabilities, labels)
    return np.asarray(np.where(within, gradient, np.zeros_like(gradient)))


@implementation(
    "binary_cross_entropy", "numpy.clipped", gradient=_bce_clipped_gradient, sound=False
)
def bce_clipped(probabilities: Array, labels: Array) -> Array:
    """p clipped to [1e-7, 1 − 1e-7], as Keras: flat at 16.1 with no gradient, inf in float16."""
    return bce_naive(clipped_to_epsilon(probabilities, 1e-7)[0], labels)


def _bce_clamped_gradient(probabilities: Array, labels: Array) -> Array:
    p = probabilities
    return np.asarray((p - labels) / np.maximum(p * (1 - p), p.dtype.type(1e-12)))


@implementation(
    "binary_cross_entropy", "numpy.clamped", gradient=_bce_clamped_gradient, sound=False
)
def bce_clamped(probabilities: Array, labels: Array) -> Array:
    """Logarithms clamped at −100, as torch's BCELoss: flat at 100, gradient at most 1e12."""
    log_p = np.maximum(np.log(probabilities), -100)
    log_q = np.maximum(np.log1p(-probabilities), -100)
    return np.asarray(-labels * log_p - (1 - labels) * log_q)


@at_least_float32
def _bce_log1p_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    p, z = probabilities, labels
    certain = (z == 0) | (z == 1)
    soft = (p - z) / _unless(certain, p) / _unless(certain, 1 - p)
    hard = 1 / _unless(~certain, np.asarray(np.where(z == 0, 1 - p, -p)))
    return _shared(np.asarray(np.where(certain, hard, soft)), reduction)


@implementation("binary_cross_entropy", "numpy.log1p", gradient=_bce_log1p_gradient, sound=True)
@at_least_float32
def bce_log1p(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """−z log p − (1 − z) log1p(−p) without the terms that are 0; gradient (p − z)/(p (1 − p))."""
    z, rest = labels, 1 - labels
    kept = np.where(rest == 0, np.zeros_like(z), probabilities)
    against = np.where(rest == 0, np.zeros_like(z), rest * np.log1p(-kept))
    return _reduced(np.asarray(0 - _x_log_y(z, probabilities) - against), reduction)


# nll_loss


def _nll_one_hot_gradient(log_probabilities: Array, labels: Array) -> Array:
    return -_dense(log_probabilities, labels)


@implementation("nll_loss", "numpy.one_hot", gradient=_nll_one_hot_gradient, sound=False)
def nll_one_hot(log_probabilities: Array, labels: Array) -> Array:
    """−Σ onehot · x: 0 · −inf is NaN when any class has probability 0."""
    return np.asarray(-(_dense(log_probabilities, labels) * log_probabilities).sum(axis=1))


def _nll_weights(
    x: Array, labels: Array, weight: Array | None, ignore_index: int
) -> tuple[Array, Array]:
    """Return the labels with 0 for ignored ones, and w_y with 0 for ignored rows."""
    ignored = labels == ignore_index
    safe = np.where(ignored, 0, labels)
    chosen = np.ones(len(x), x.dtype) if weight is None else weight[safe]
    return safe, np.asarray(np.where(ignored, np.zeros_like(chosen), chosen))


@at_least_float32
def _nll_gather_gradient(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    safe, chosen = _nll_weights(log_probabilities, labels, weight, ignore_index)
    total = chosen.sum()
    if reduction == "mean" and total > 0:
        chosen = chosen / total
    gradient = np.zeros_like(log_probabilities)
    np.put_along_axis(gradient, safe[:, None], -chosen[:, None], axis=1)
    return gradient


@implementation("nll_loss", "numpy.gather", gradient=_nll_gather_gradient, sound=True)
@at_least_float32
def nll_gather(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    """−w_y x_y: only the label's own class is looked at.

    Args:
        log_probabilities: (rows, classes) in one of `STANDARD` dtypes.
        labels: integers (rows,).
        weight: weight of each class, (classes,) in the dtype of the first argument.
        ignore_index: rows with this integer label have value and gradient 0.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    safe, chosen = _nll_weights(log_probabilities, labels, weight, ignore_index)
    x = _picked(log_probabilities, safe)
    loss = np.where(chosen == 0, np.zeros_like(x), -chosen * x)
    return _reduced(np.asarray(loss), reduction, chosen)


# kl_divergence


def _kl_gradient(log_probabilities: Array, labels: Array) -> Array:
    return -labels


@implementation("kl_divergence", "numpy.naive", gradient=_kl_gradient, sound=False)
def kl_naive(log_probabilities: Array, labels: Array) -> Array:
    """Σ t (log t − x): 0 · log 0 is NaN."""
    return np.asarray((labels * (np.log(labels) - log_probabilities)).sum(axis=1))


@implementation("kl_divergence", "numpy.epsilon", gradient=_kl_gradient, sound=False)
def kl_epsilon(log_probabilities: Array, labels: Array) -> Array:
    """Σ t (log(t + 1e-8) − x): not 0 for equal distributions; nothing in float16."""
    logs = np.log(labels + labels.dtype.type(1e-8))
    return np.asarray((labels * (logs - log_probabilities)).sum(axis=1))


@implementation("kl_divergence", "numpy.entropy_difference", gradient=_kl_gradient, sound=False)
def kl_entropy_difference(log_probabilities: Array, labels: Array) -> Array:
    """Σ t log t − Σ t x: two large sums cancel where the distributions are close."""
    own = _x_log_y(labels, labels).sum(axis=1)
    return np.asarray(own - (labels * log_probabilities).sum(axis=1))


@at_least_float32
def _kl_masked_gradient(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    return _shared(-(np.exp(labels) if log_target else labels), reduction)


@implementation("kl_divergence", "numpy.masked", gradient=_kl_masked_gradient, sound=True)
@at_least_float32
def kl_masked(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    """Σ t (log t − x) over the classes with t > 0.

    Args:
        log_probabilities: (rows, classes) in one of `STANDARD` dtypes.
        labels: target distributions (rows, classes) in the dtype of the first argument.
        log_target: whether the labels are log-probabilities.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    t = np.exp(labels) if log_target else labels
    log_t = labels if log_target else np.log(_unless(labels == 0, labels))
    terms = np.where(t == 0, np.zeros_like(t), t * (log_t - log_probabilities))
    return _reduced(np.asarray(terms.sum(axis=1)), reduction)


# js_divergence


def _js_naive_gradient(probabilities: Array, labels: Array) -> Array:
    return np.asarray(np.log(2 * probabilities / (probabilities + labels)) / 2)


@implementation("js_divergence", "numpy.naive", gradient=_js_naive_gradient, sound=False)
def js_naive(probabilities: Array, labels: Array) -> Array:
    """Both logarithms as they stand: 0 · log 0 is NaN, and near-equal distributions cancel."""
    p, q = probabilities, labels
    middle = (p + q) / 2
    return np.asarray((p * np.log(p / middle) + q * np.log(q / middle)).sum(axis=1) / 2)


@implementation("js_divergence", "numpy.masked", gradient=_js_naive_gradient, sound=False)
def js_masked(probabilities: Array, labels: Array) -> Array:
    """With 0 log 0 = 0, as SciPy: for near-equal distributions it cancels, down to below 0."""
    p, q = probabilities, labels
    middle = (p + q) / 2
    terms = _x_log_y(p, p / middle) + _x_log_y(q, q / middle)
    return np.asarray(terms.sum(axis=1) / 2)


@at_least_float32
def _js_series_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    p, q = probabilities, labels
    total = p + q
    d = (p - q) / total
    ratio = 2 * p / total
    # A subnormal ratio is too coarse. Its logarithm is large, so a difference loses nothing there.
    coarse = ratio < np.finfo(ratio.dtype).tiny
    apart = np.log(p) - np.log(total / 2)
    far = np.where(coarse, apart, np.log(_unless(coarse, ratio)))
    near = d > -0.5
    logs = np.where(near, np.log1p(np.where(near, d, np.zeros_like(d))), far)
    return _shared(np.asarray(logs / 2), reduction)


@implementation("js_divergence", "numpy.atanh", gradient=_js_series_gradient, sound=True)
@at_least_float32
def js_atanh(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """Per class ¼ (p + q) (2 d atanh d + log1p(−d²)) with d = (p − q)/(p + q): never below 0."""
    p, q = probabilities, labels
    total = p + q
    whole = _unless(total == 0, total)
    d = (p - q) / whole
    alike = np.abs(d) < 0.5
    small = np.where(alike, d, np.zeros_like(d))
    near = 2 * small * np.arctanh(small) + np.log1p(-small * small)
    far = _x_log_y(2 * p / whole, 2 * p / whole) + _x_log_y(2 * q / whole, 2 * q / whole)
    shares = total * np.where(alike, near, far)
    return _reduced(np.asarray(shares.sum(axis=1) / 4), reduction)


# entropy


def _entropy_gradient(probabilities: Array) -> Array:
    return np.asarray(-(np.log(probabilities) + 1))


@implementation("entropy", "numpy.naive", gradient=_entropy_gradient, sound=False)
def entropy_naive(probabilities: Array) -> Array:
    """−Σ p log p: 0 · log 0 is NaN."""
    return np.asarray(-(probabilities * np.log(probabilities)).sum(axis=1))


def _entropy_epsilon_gradient(probabilities: Array) -> Array:
    shifted = probabilities + probabilities.dtype.type(1e-12)
    return np.asarray(-(np.log(shifted) + probabilities / shifted))


@implementation("entropy", "numpy.epsilon", gradient=_entropy_epsilon_gradient, sound=False)
def entropy_epsilon(probabilities: Array) -> Array:
    """−Σ p log(p + 1e-12): NaN again in float16, wrong for small p elsewhere."""
    logs = np.log(probabilities + probabilities.dtype.type(1e-12))
    return np.asarray(-(probabilities * logs).sum(axis=1))


_UNITS = {"e": 1.0, "2": math.log(2), "10": math.log(10)}


@at_least_float32
def _entropy_masked_gradient(
    probabilities: Array, *, base: str = "e", reduction: str = "none"
) -> Array:
    unit = probabilities.dtype.type(_UNITS[base])
    return _shared(np.asarray(-(np.log(probabilities) + 1) / unit), reduction)


@implementation("entropy", "numpy.masked", gradient=_entropy_masked_gradient, sound=True)
@at_least_float32
def entropy_masked(probabilities: Array, *, base: str = "e", reduction: str = "none") -> Array:
    """−Σ p log p over the classes with p > 0, divided by the logarithm of the base."""
    nats = 0 - _x_log_y(probabilities, probabilities).sum(axis=1)
    return _reduced(np.asarray(nats / nats.dtype.type(_UNITS[base])), reduction)
