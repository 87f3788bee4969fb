"""Faulty and sound softmax, log_softmax, logsumexp and nll_loss, as a user would hand them in."""

import numpy as np


def _one_hot(x, labels):
    return labels[:, None] == np.arange(x.shape[1])


def _picked(x, labels):
    return np.take_along_axis(x, labels[:, None], axis=1)


def _softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _tail(x, temperature=1.0):
    """(largest, gap to it, powers, sum of all powers but the largest), in extended precision."""
    x = x.astype(np.longdouble)
    top = x.argmax(axis=1)[:, None]
    largest = np.take_along_axis(x, top, axis=1)
    gap = (x - largest) / np.longdouble(temperature)
    powers = np.exp(gap)
    others = powers.copy()
    np.put_along_axis(others, top, 0, axis=1)
    tail = np.where(np.isnan(largest), np.nan, others.sum(axis=1, keepdims=True))
    return largest, gap, powers, tail


def _minus_one_hot(x, labels, temperature=1.0):
    """p − onehot without a subtraction from 1, and p."""
    _, _, powers, tail = _tail(x, temperature)
    top = _one_hot(x, x.argmax(axis=1))
    complement = np.where(top, tail, 1 + (tail - powers)) / (1 + tail)
    p = powers / (1 + tail)
    return np.where(_one_hot(x, labels), -complement, p), p


# sound ---------------------------------------------------------------------------------------


def sound_softmax(logits, temperature=1.0, noise=None):
    x = logits.astype(np.longdouble) + (0 if noise is None else noise.astype(np.longdouble))
    _, _, powers, tail = _tail(x, temperature)
    return (powers / (1 + tail)).astype(logits.dtype)


def sound_softmax_gradient(logits, labels, temperature=1.0, noise=None):
    x = logits.astype(np.longdouble) + (0 if noise is None else noise.astype(np.longdouble))
    difference, p = _minus_one_hot(x, labels, temperature)
    return (-_picked(p, labels) * difference / np.longdouble(temperature)).astype(logits.dtype)


def sound_log_softmax(logits):
    _, gap, _, tail = _tail(logits)
    return (gap - np.log1p(tail)).astype(logits.dtype)


def sound_log_softmax_gradient(logits, labels):
    return (-_minus_one_hot(logits, labels)[0]).astype(logits.dtype)


def sound_logsumexp(logits):
    largest, _, _, tail = _tail(logits)
    with np.errstate(invalid="ignore"):
        value = np.where(np.isinf(largest), largest, largest + np.log1p(tail))
    value = np.where(np.isnan(logits.astype(float)).any(axis=1, keepdims=True), np.nan, value)
    return value[:, 0].astype(logits.dtype)


def sound_logsumexp_gradient(logits):
    return sound_softmax(logits)


def sound_nll_loss(logits, labels, weight=None, ignore_index=-100, reduction="none"):
    kept = labels != ignore_index
    safe = np.where(kept, labels, 0)
    scale = np.where(kept, 1 if weight is None else weight[safe].astype(np.longdouble), 0)
    chosen = _picked(logits, safe)[:, 0].astype(np.longdouble)
    losses = np.where(scale == 0, np.where(kept & np.isnan(chosen), np.nan, 0), -scale * chosen)
    if reduction == "none":
        return losses.astype(logits.dtype)
    return (losses.sum() / (scale.sum() if reduction == "mean" else 1)).astype(logits.dtype)


def sound_nll_loss_gradient(logits, labels, weight=None, ignore_index=-100, reduction="none"):
    kept = labels != ignore_index
    scale = np.ones(logits.shape[1], np.longdouble) if weight is None else weight
    hot = _one_hot(logits, labels) & kept[:, None]
    gradient = np.where(hot, -scale.astype(np.longdouble), 0)
    if reduction == "mean":
        total = -gradient.sum()
        gradient = gradient / (total if total else 1)
    return gradient.astype(logits.dtype)


# softmax -------------------------------------------------------------------------------------


def softmax_naive(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_shifted_by_at_least_0(logits):
    powers = np.exp(logits - np.maximum(logits.max(axis=1, keepdims=True), 0))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_floored(logits):
    powers = np.exp(logits - np.maximum(logits.max(axis=1, keepdims=True), -1e4))
    return powers / np.maximum(powers.sum(axis=1, keepdims=True), logits.dtype.type(1e-6))


def softmax_fast_exp(logits):
    x = np.maximum(logits - logits.max(axis=1, keepdims=True), np.float32(-87.33654))
    powers = np.exp(x)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_contracted(logits, temperature=1.0):
    """As a compiler makes it: the largest from rounded products, the exponent by fma."""
    scale = np.float32(1 / temperature)
    largest = (logits * scale).max(axis=1, keepdims=True)
    exponent = logits.astype(np.float64) * np.float64(scale) - largest.astype(np.float64)
    powers = np.exp(exponent.astype(np.float32))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_flushed(logits):
    p = sound_softmax(logits)
    return np.where(p < np.finfo(p.dtype).smallest_normal, 0, p).astype(p.dtype)


def softmax_one_minus_p_gradient(logits, labels):
    p = _softmax(logits)
    return _picked(p, labels) * (_one_hot(p, labels) - p)


def softmax_naive_gradient(logits, labels):
    p = softmax_naive(logits)
    return _picked(p, labels) * (_one_hot(p, labels) - p)


def softmax_logarithmic_gradient(logits, labels):
    p = _softmax(logits)
    outer = _one_hot(p, labels) / _picked(p, labels)
    return _picked(p, labels) * p * (outer - (outer * p).sum(axis=1, keepdims=True))


# log_softmax ---------------------------------------------------------------------------------


def log_softmax_of_softmax(logits):
    return np.log(_softmax(logits))


def log_softmax_minus_logsumexp(logits):
    largest = logits.max(axis=1, keepdims=True)
    return logits - (largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True)))


def log_softmax_of_sum(logits):
    x = logits - logits.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


def log_softmax_sum_in_input_dtype(logits):
    x = logits - logits.max(axis=1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True, dtype=x.dtype))


def log_softmax_one_minus_p_gradient(logits, labels):
    return _one_hot(logits, labels) - _softmax(logits)


def log_softmax_exp_of_value_gradient(logits, labels):
    """p recovered from the stored value, in a narrow buffer."""
    p = np.exp(log_softmax_minus_logsumexp(logits))
    return _one_hot(logits, labels) - p


# logsumexp -----------------------------------------------------------------------------------


def logsumexp_naive(logits):
    return np.log(np.exp(logits).sum(axis=1))


def logsumexp_of_masked_row(logits):
    largest = logits.max(axis=1)
    return largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))


def logsumexp_mask_of_lowest(logits):
    lowest = np.finfo(logits.dtype).min
    return sound_logsumexp(np.where(np.isneginf(logits), lowest, logits))


def logsumexp_naive_gradient(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def logsumexp_shift_of_first_gradient(logits):
    powers = np.exp(logits - logits[:, :1])
    return powers / powers.sum(axis=1, keepdims=True)


# nll_loss ------------------------------------------------------------------------------------


def nll_loss_one_hot_product(logits, labels):
    return -(_one_hot(logits, labels) * logits).sum(axis=1)


def nll_loss_kept_as_factor(logits, labels, ignore_index=-100):
    return -_picked(logits, labels)[:, 0] * (labels != ignore_index)


def nll_loss_mean_summed_in_input_dtype(logits, labels, reduction="none"):
    return -_picked(logits, labels).sum(dtype=logits.dtype) / logits.dtype.type(len(labels))


def nll_loss_mean_over_nothing_gradient(logits, labels, ignore_index=-100, reduction="none"):
    kept = (labels != ignore_index)[:, None]
    hot = (_one_hot(logits, labels) & kept).astype(logits.dtype)
    return -hot / logits.dtype.type(kept.sum())


def nll_loss_scatter_of_ones_gradient(logits, labels):
    return _one_hot(logits, labels).astype(logits.dtype)


def nll_loss_scaled_by_last_row_gradient(logits, labels, ignore_index=-100):
    gradient = sound_nll_loss_gradient(logits, labels, ignore_index=ignore_index)
    return gradient * (labels[-1] != ignore_index)
