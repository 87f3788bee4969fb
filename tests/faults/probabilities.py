"""Faulty and sound losses of probabilities, as a user would hand them in."""

import numpy as np


def _dense(p, labels):
    return labels if labels.ndim == 2 else labels[:, None] == np.arange(p.shape[1])


def _xlogy(x, log_y):
    """x·log y with 0·log 0 = 0 and NaN kept."""
    with np.errstate(invalid="ignore"):
        product = x * log_y
    return np.where((x == 0) & ~np.isnan(log_y), 0, product)


def _ratio(x, y):
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where((x == 0) & ~np.isnan(y), 0, x / y)


def _reduce(losses, reduction):
    return {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum}[reduction]()


def _log(p):
    with np.errstate(divide="ignore"):
        return np.log(p.astype(np.longdouble))


def _log1m(p):
    with np.errstate(divide="ignore"):
        return np.log1p(-p.astype(np.longdouble))


# sound ---------------------------------------------------------------------------------------


def sound_categorical(probabilities, labels, reduction="none"):
    y = _dense(probabilities, labels).astype(np.longdouble)
    losses = -_xlogy(y, _log(probabilities)).sum(axis=1)
    return np.asarray(_reduce(losses, reduction)).astype(probabilities.dtype)


def sound_categorical_gradient(probabilities, labels, reduction="none"):
    y = _dense(probabilities, labels).astype(np.longdouble)
    p = probabilities.astype(np.longdouble)
    gradient = np.where(np.isnan(p).any(axis=1, keepdims=True), np.nan, _ratio(-y, p))
    if reduction == "mean":
        gradient = gradient / len(gradient)
    return gradient.astype(probabilities.dtype)


def sound_binary(probabilities, labels, reduction="none"):
    z = labels.astype(np.longdouble)
    losses = -_xlogy(z, _log(probabilities)) - _xlogy(1 - z, _log1m(probabilities))
    return np.asarray(_reduce(losses, reduction)).astype(probabilities.dtype)


def sound_binary_gradient(probabilities, labels, reduction="none"):
    p, z = probabilities.astype(np.longdouble), labels.astype(np.longdouble)
    # −z/p + (1−z)/(1−p) = (p − z)/(p (1 − p)), which is infinite where a nonzero z meets p = 0
    with np.errstate(divide="ignore", invalid="ignore"):
        inner = (p - z) / (p * (1 - p))
    edge = _ratio(-z, p) + _ratio(1 - z, 1 - p)
    gradient = np.where((p == 0) | (p == 1), edge, inner)
    if reduction == "mean":
        gradient = gradient / len(gradient)
    return gradient.astype(probabilities.dtype)


def sound_entropy(probabilities, base="e", reduction="none"):
    unit = {"e": np.longdouble(1), "2": np.log(np.longdouble(2)), "10": np.log(np.longdouble(10))}
    p = probabilities.astype(np.longdouble)
    losses = -_xlogy(p, _log(probabilities)).sum(axis=1) / unit[base]
    return np.asarray(_reduce(losses, reduction)).astype(probabilities.dtype)


def sound_entropy_gradient(probabilities, base="e", reduction="none"):
    unit = {"e": np.longdouble(1), "2": np.log(np.longdouble(2)), "10": np.log(np.longdouble(10))}
    gradient = -(_log(probabilities) + 1) / unit[base]
    gradient = np.where(np.isnan(gradient).any(axis=1, keepdims=True), np.nan, gradient)
    if reduction == "mean":
        gradient = gradient / len(gradient)
    return gradient.astype(probabilities.dtype)


# categorical_cross_entropy -------------------------------------------------------------------


def categorical_plain_sum(probabilities, labels):
    return -(_dense(probabilities, labels) * np.log(probabilities)).sum(axis=1)


def categorical_clipped(probabilities, labels):
    epsilon = np.finfo(probabilities.dtype).eps
    p = np.clip(probabilities, epsilon, 1 - epsilon)
    return -(_dense(p, labels) * np.log(p)).sum(axis=1)


def categorical_doubled_epsilon(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-7)
    p = np.clip(probabilities, epsilon, 1 - epsilon)
    return -(_dense(p, labels) * np.log(p + epsilon)).sum(axis=1)


def categorical_renormalised(probabilities, labels):
    return sound_categorical(probabilities / probabilities.sum(axis=1, keepdims=True), labels)


def categorical_flushed_log(probabilities, labels):
    p = np.where(probabilities < np.finfo(probabilities.dtype).smallest_normal, 0, probabilities)
    return sound_categorical(p.astype(probabilities.dtype), labels)


def categorical_clipped_gradient(probabilities, labels):
    inside = (probabilities >= 1e-7) & (probabilities <= 1 - 1e-7)
    return np.where(inside, sound_categorical_gradient(probabilities, labels), 0).astype(
        probabilities.dtype
    )


def categorical_epsilon_gradient(probabilities, labels):
    return -(_dense(probabilities, labels) / (probabilities + probabilities.dtype.type(1e-7)))


# binary_cross_entropy ------------------------------------------------------------------------


def binary_plain(probabilities, labels):
    return -labels * np.log(probabilities) - (1 - labels) * np.log(1 - probabilities)


def binary_ineffective_clip(probabilities, labels):
    """1 − 1e-9 is 1 in float32, and 0 times log 0 is NaN."""
    epsilon = probabilities.dtype.type(1e-9)
    return binary_plain(np.clip(probabilities, epsilon, 1 - epsilon), labels)


def binary_clip_of_float64(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-15)
    return binary_plain(np.clip(probabilities, epsilon, 1 - epsilon), labels)


def binary_clip_in_float16(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-7)
    return binary_plain(np.clip(probabilities, epsilon, 1 - epsilon), labels)


def binary_epsilon_in_the_log(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-12)
    positive = labels * np.log(probabilities + epsilon)
    return -(positive + (1 - labels) * np.log(1 - probabilities + epsilon))


def binary_logs_at_least_minus_100(probabilities, labels):
    positive = np.maximum(np.log(probabilities), -100)
    negative = np.maximum(np.log1p(-probabilities), -100)
    return -labels * positive - (1 - labels) * negative


def binary_log_of_one_minus_p(probabilities, labels):
    return -_xlogy(labels, np.log(probabilities)) - _xlogy(1 - labels, np.log(1 - probabilities))


def binary_floored_denominator_gradient(probabilities, labels):
    variance = probabilities * (1 - probabilities)
    return (probabilities - labels) / np.maximum(variance, probabilities.dtype.type(1e-12))


def binary_clipped_gradient(probabilities, labels):
    inside = (probabilities >= 1e-7) & (probabilities <= 1 - 1e-7)
    return np.where(inside, sound_binary_gradient(probabilities, labels), 0).astype(
        probabilities.dtype
    )


def binary_plain_ratio_gradient(probabilities, labels):
    return -labels / probabilities + (1 - labels) / (1 - probabilities)


# entropy -------------------------------------------------------------------------------------


def entropy_plain(probabilities):
    return -(probabilities * np.log(probabilities)).sum(axis=1)


def entropy_epsilon_in_the_log(probabilities):
    return -(probabilities * np.log(probabilities + probabilities.dtype.type(1e-7))).sum(axis=1)


def entropy_of_flushed_probabilities(probabilities):
    p = np.where(probabilities < np.finfo(probabilities.dtype).eps, 0, probabilities)
    return sound_entropy(p.astype(probabilities.dtype))


def entropy_in_nats(probabilities, base="e"):
    return sound_entropy(probabilities)


def entropy_epsilon_gradient(probabilities):
    shifted = probabilities + probabilities.dtype.type(1e-7)
    return -(np.log(shifted) + probabilities / shifted)


def entropy_masked_gradient(probabilities):
    """0 · (log 0 + 1) from a mask that multiplies, where the limit is infinite."""
    return (probabilities > 0) * -(np.log(probabilities) + 1)
