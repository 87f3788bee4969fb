"""Faulty and sound softmax cross-entropies, as a user would hand them in."""

import numpy as np

_rng = np.random.default_rng(0)


def _rows(x):
    return np.arange(len(x))


def _one_hot(x, labels):
    return labels[:, None] == np.arange(x.shape[1])


def _reduce(losses, reduction, count):
    if reduction == "none":
        return losses
    return losses.sum() / (count if reduction == "mean" else 1)


def _softmax(x):
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


# sound ---------------------------------------------------------------------------------------


def _tail(x, temperature=1.0):
    """(gap to the largest, powers, sum of all powers but the largest, its log1p), extended."""
    x = x.astype(np.longdouble)
    top = x.argmax(axis=1)[:, None]
    largest = np.take_along_axis(x, top, axis=1)
    gap = (x - largest) / np.longdouble(temperature)
    powers = np.exp(gap)
    others = powers.copy()
    np.put_along_axis(others, top, 0, axis=1)
    tail = np.where(np.isnan(largest), np.nan, others.sum(axis=1, keepdims=True))
    return gap, powers, tail, np.log1p(tail)


def _coefficients(x, labels, weight, label_smoothing):
    hard = _one_hot(x, labels) if labels.ndim == 1 else labels.astype(np.longdouble)
    soft = np.longdouble(label_smoothing)
    mixed = (1 - soft) * hard + soft / x.shape[1]
    if weight is None:
        return mixed
    weight = weight.astype(np.longdouble)
    if labels.ndim == 2:
        return weight * mixed
    return (1 - soft) * weight[labels][:, None] * hard + soft / x.shape[1] * weight


def sound(
    logits, labels, weight=None, ignore_index=-100, label_smoothing=0.0, temperature=1.0,
    z_loss=0.0, reduction="none",
):  # fmt: skip
    kept = labels != ignore_index if labels.ndim == 1 else np.ones(len(labels), bool)
    safe = np.where(kept, labels, 0) if labels.ndim == 1 else labels
    x = logits.astype(np.longdouble) / np.longdouble(temperature)
    gap, _, _, log_whole = _tail(logits, temperature)
    share = _coefficients(x, safe, weight, label_smoothing)
    losses = (np.where(share == 0, 0, share * (log_whole - gap))).sum(axis=1)
    losses[np.isnan(x).any(axis=1)] = np.nan
    if z_loss:
        losses += np.longdouble(z_loss) * (x.max(axis=1) + log_whole[:, 0]) ** 2
    losses = np.where(kept, losses, 0)
    return np.asarray(_reduce(losses, reduction, _mean_count(labels, kept, weight))).astype(
        logits.dtype
    )


def _mean_count(labels, kept, weight):
    if labels.ndim == 2 or weight is None:
        return kept.sum()
    return weight.astype(np.longdouble)[labels[kept]].sum()


def sound_gradient(
    logits, labels, weight=None, ignore_index=-100, label_smoothing=0.0, temperature=1.0,
    z_loss=0.0, reduction="none",
):  # fmt: skip
    kept = labels != ignore_index if labels.ndim == 1 else np.ones(len(labels), bool)
    safe = np.where(kept, labels, 0) if labels.ndim == 1 else labels
    x = logits.astype(np.longdouble) / np.longdouble(temperature)
    gap, powers, tail, log_whole = _tail(logits, temperature)
    share = _coefficients(x, safe, weight, label_smoothing)
    p = powers / (1 + tail)
    if labels.ndim == 1 and not label_smoothing:
        top = _one_hot(x, x.argmax(axis=1))
        complement = np.where(top, tail, 1 + (tail - powers)) / (1 + tail)
        scale = share.sum(axis=1, keepdims=True)
        gradient = scale * np.where(_one_hot(x, safe), -complement, p)
    elif x.shape[1] <= 16:
        # (Σ c) p_k − c_k = Σ_j (c_j p_k − c_k p_j): small where the labels are the prediction
        near = (gap[:, None, :] > -1) & (gap[:, :, None] > -1)
        terms = np.where(near, np.expm1(gap)[:, :, None], powers[:, :, None])
        others = np.where(near, np.expm1(gap)[:, None, :], powers[:, None, :])
        pairs = share[:, None, :] * terms - share[:, :, None] * others
        pairs += np.where(near, share[:, None, :] - share[:, :, None], 0)
        gradient = pairs.sum(axis=2) / (1 + tail)
    else:
        gradient = share.sum(axis=1, keepdims=True) * p - share
    if z_loss:
        lse = x.max(axis=1, keepdims=True) + log_whole
        gradient += 2 * np.longdouble(z_loss) * lse * p
    gradient = np.where(kept[:, None], gradient / np.longdouble(temperature), 0)
    if reduction == "mean":
        gradient /= max(_mean_count(labels, kept, weight), 1)
    return gradient.astype(logits.dtype)


# no shift, or a wrong one --------------------------------------------------------------------


def naive(logits, labels):
    powers = np.exp(logits)
    return -np.log(powers[_rows(logits), labels] / powers.sum(axis=1))


def naive_gradient(logits, labels):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True) - _one_hot(logits, labels)


def largest_at_least_minus_64(logits, labels):
    shifted = logits - np.maximum(logits.max(axis=1, keepdims=True), -64)
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[_rows(logits), labels]


def no_shift_in_exported_graph(logits, labels):
    return np.log(np.exp(logits).sum(axis=1)) - logits[_rows(logits), labels]


def largest_of_the_batch(logits, labels):
    shifted = logits - logits.max()
    return np.log(np.exp(shifted).sum(axis=1)) - shifted[_rows(logits), labels]


# logarithm of a saturated probability, epsilons ----------------------------------------------


def log_of_softmax(logits, labels):
    return -np.log(_softmax(logits)[_rows(logits), labels])


def smoothing_by_log_of_softmax(logits, labels, label_smoothing=0.0):
    x = logits - logits.max(axis=1, keepdims=True)
    hard = np.log1p(np.exp(x).sum(axis=1) - 1) - x[_rows(x), labels]
    soft = -np.log(_softmax(logits)).mean(axis=1)
    return (1 - label_smoothing) * hard + label_smoothing * soft


def epsilon_in_the_log(logits, labels):
    return -np.log(_softmax(logits)[_rows(logits), labels] + logits.dtype.type(1e-7))


def clipped(logits, labels):
    p = _softmax(logits)[_rows(logits), labels]
    return -np.log(np.clip(p, 1e-7, 1 - 1e-7))


def clipped_gradient(logits, labels):
    p = _softmax(logits)
    chosen = p[_rows(p), labels][:, None]
    inside = (chosen >= 1e-7) & (chosen <= 1 - 1e-7)
    return np.where(inside, p - _one_hot(p, labels), 0).astype(logits.dtype)


def floored_denominator_gradient(logits, labels):
    p = _softmax(logits)
    chosen = p[_rows(p), labels][:, None]
    outer = -1 / np.maximum(chosen, p.dtype.type(1e-16))
    return outer * chosen * (_one_hot(p, labels) - p)


def invalid_input_hidden(logits, labels):
    return sound(np.nan_to_num(logits, nan=0.0), labels)


# cancellation --------------------------------------------------------------------------------


def logsumexp_minus_target(logits, labels):
    largest = logits.max(axis=1)
    lse = largest + np.log(np.exp(logits - largest[:, None]).sum(axis=1))
    return lse - logits[_rows(logits), labels]


def logsumexp_in_storage_dtype(logits, labels):
    wide = logits.astype(np.float64)
    largest = wide.max(axis=1)
    lse = largest + np.log(np.exp(wide - largest[:, None]).sum(axis=1))
    return lse.astype(logits.dtype) - logits[_rows(logits), labels]


def log_of_sum(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def p_minus_one_hot_gradient(logits, labels):
    return _softmax(logits) - _one_hot(logits, labels)


def truncated_logits_in_forward(logits, labels):
    bits = logits.view(np.uint32) & np.uint32(0xFFFF0000)
    return sound(bits.view(np.float32), labels)


def probability_rounded_to_buffer_gradient(logits, labels):
    _, powers, tail, _ = _tail(logits)
    p = powers / (1 + tail)
    return p.astype(logits.dtype) - _one_hot(logits, labels).astype(logits.dtype)


# zero times infinity, masks, ignored rows ----------------------------------------------------


def labels_times_log_softmax(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True)
    return -(labels * (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))).sum(axis=1)


def ignored_rows_multiplied_gradient(logits, labels, ignore_index=-100):
    kept = (labels != ignore_index)[:, None]
    return (sound_gradient(logits, labels) * kept).astype(logits.dtype)


def finite_mask(logits, labels):
    return sound(np.where(np.isneginf(logits), logits.dtype.type(-1e4), logits), labels)


def mask_of_minus_1e9(logits, labels):
    with np.errstate(over="ignore"):
        sentinel = np.array(-1e9).astype(logits.dtype)
    x = np.where(np.isneginf(logits), sentinel, logits)
    x = x - x.max(axis=1, keepdims=True)
    return -(_one_hot(x, labels) * (x - np.log(np.exp(x).sum(axis=1, keepdims=True)))).sum(axis=1)


# backward formulas ---------------------------------------------------------------------------


def through_one_over_p_gradient(logits, labels):
    p = _softmax(logits)
    outer = -(_one_hot(p, labels) / p)
    return p * (outer - (outer * p).sum(axis=1, keepdims=True))


def small_entries_dropped_gradient(logits, labels):
    gradient = sound_gradient(logits, labels)
    return np.where(np.abs(gradient) < 2.0**-12, 0, gradient).astype(logits.dtype)


def scaled_by_last_row_gradient(logits, labels, ignore_index=-100):
    gradient = sound_gradient(logits, labels, ignore_index=ignore_index)
    return gradient * (labels[-1] != ignore_index)


# accumulation --------------------------------------------------------------------------------


def sum_in_input_dtype(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True)
    total = np.exp(x).sum(axis=1, dtype=logits.dtype)
    return np.log(total) - x[_rows(x), labels]


def one_accumulator(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True)
    total = np.add.accumulate(np.exp(x), axis=1)[:, -1]
    return np.log(total) - x[_rows(x), labels]


def smoothing_sum_in_input_dtype(logits, labels, label_smoothing=0.0):
    x = logits.astype(np.float64)
    x = x - x.max(axis=1, keepdims=True)
    surprise = (np.log(np.exp(x).sum(axis=1, keepdims=True)) - x).astype(logits.dtype)
    total = np.add.reduce(surprise, axis=1, dtype=logits.dtype)
    hard = surprise[_rows(x), labels]
    return (1 - label_smoothing) * hard + label_smoothing / x.shape[1] * total


def mean_summed_in_input_dtype(logits, labels, reduction="none"):
    losses = sound(logits, labels)
    return losses.sum(dtype=losses.dtype) / losses.dtype.type(len(losses))


# reductions, labels, indices -----------------------------------------------------------------


def mean_over_nothing_gradient(logits, labels, ignore_index=-100, reduction="none"):
    kept = labels != ignore_index
    return sound_gradient(logits, labels, ignore_index=ignore_index) / logits.dtype.type(kept.sum())


def flat_index_of_16_bits(logits, labels):
    flat = (_rows(logits) * logits.shape[1] + labels).astype(np.uint16)
    target = np.take(logits.reshape(-1), flat, mode="wrap").astype(np.longdouble)
    x = logits.astype(np.longdouble)
    largest = x.max(axis=1)
    return (np.log(np.exp(x - largest[:, None]).sum(axis=1)) + (largest - target)).astype(
        logits.dtype
    )


def smoothing_over_the_other_classes(logits, labels, label_smoothing=0.0):
    classes = logits.shape[1]
    return sound(logits, labels, label_smoothing=label_smoothing * classes / max(classes - 1, 1))


def counted_once_per_shard(logits, labels):
    return sound(logits, labels) + np.log(logits.dtype.type(2))


def unnormalised_labels_gradient(logits, labels):
    _, powers, tail, _ = _tail(logits)
    return (powers / (1 + tail) - labels).astype(logits.dtype)


# behaviour -----------------------------------------------------------------------------------


def shifted_in_place(logits, labels):
    logits -= logits.max(axis=1, keepdims=True)
    return sound(logits, labels)


def dropout_left_on(logits, labels):
    return sound(logits, labels) * _rng.integers(1, 3, size=len(logits)).astype(logits.dtype)


def squeezed(logits, labels):
    return np.squeeze(sound(logits, labels)[:, None] * np.ones((1, 2), logits.dtype))


def two_classes_at_least(logits, labels):
    if logits.shape[1] < 2:
        message = "need at least two classes"
        raise ValueError(message)
    return sound(logits, labels)


def stored_in_float16(logits, labels):
    return sound(logits, labels).astype(np.float16)
