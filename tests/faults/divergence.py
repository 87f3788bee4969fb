"""Faulty and sound KL and JS divergences, as a user would hand them in."""

import numpy as np


def _xlogy(x, log_y):
    with np.errstate(invalid="ignore"):
        product = x * log_y
    return np.where((x == 0) & ~np.isnan(log_y), 0, product)


def _reduce(losses, reduction):
    return {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum}[reduction]()


# sound ---------------------------------------------------------------------------------------


def sound_kl(logs, labels, log_target=False, reduction="none"):
    x, t = logs.astype(np.longdouble), labels.astype(np.longdouble)
    with np.errstate(divide="ignore", invalid="ignore"):
        log_t, t = (t, np.exp(t)) if log_target else (np.log(t), t)
        difference = np.where((t == 0) & ~np.isnan(x), 0, log_t - x)
        losses = _xlogy(t, difference).sum(axis=1)
    return np.asarray(_reduce(losses, reduction)).astype(logs.dtype)


def sound_kl_gradient(logs, labels, log_target=False, reduction="none"):
    t = labels.astype(np.longdouble)
    gradient = -np.exp(t) if log_target else -t
    if reduction == "mean":
        gradient = gradient / len(gradient)
    return np.where(np.isnan(logs), np.nan, gradient).astype(logs.dtype)


def sound_js(probabilities, labels, reduction="none"):
    p, q = probabilities.astype(np.longdouble), labels.astype(np.longdouble)
    absent = (p == 0) & (q == 0)
    terms = _xlogy(p, _log_share(p, q)) + _xlogy(q, _log_share(q, p))
    losses = np.where(absent, 0, terms).sum(axis=1)
    return np.asarray(_reduce(losses, reduction)).astype(probabilities.dtype)


def sound_js_gradient(probabilities, labels):
    p, q = probabilities.astype(np.longdouble), labels.astype(np.longdouble)
    gradient = np.where(np.isnan(p).any(axis=1, keepdims=True), np.nan, _log_share(p, q))
    return gradient.astype(probabilities.dtype)


def _log_share(p, q):
    """½ log(2p/(p + q)): by log1p where the two are near, as a quotient where p is tiny."""
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.log1p((p - q) / (p + q))
        return np.where(2 * p > q, near, np.log(2 * p / (p + q))) / 2


# kl_divergence -------------------------------------------------------------------------------


def kl_plain(logs, labels):
    return (labels * (np.log(labels) - logs)).sum(axis=1)


def kl_plain_log_target(logs, labels, log_target=False):
    return (np.exp(labels) * (labels - logs)).sum(axis=1)


def kl_clipped(logs, labels):
    epsilon = logs.dtype.type(1e-7)
    q, t = np.clip(np.exp(logs), epsilon, 1), np.clip(labels, epsilon, 1)
    return (t * np.log(t / q)).sum(axis=1)


def kl_of_cross_entropy_and_entropy(logs, labels):
    with np.errstate(divide="ignore"):
        entropy = -_xlogy(labels, np.log(labels)).sum(axis=1)
    return -_xlogy(labels, logs).sum(axis=1) - entropy


def kl_terms_in_one_accumulator(logs, labels):
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(labels == 0, 0, labels * (np.log(labels) - logs)).astype(logs.dtype)
    return np.add.accumulate(terms, axis=1)[:, -1]


def kl_through_the_ratio_gradient(logs, labels):
    q = np.exp(logs)
    return -(labels / q) * q


def kl_clipped_gradient(logs, labels):
    inside = np.exp(logs) >= 1e-7
    return np.where(inside, -labels, 0).astype(logs.dtype)


# js_divergence -------------------------------------------------------------------------------


def js_plain(probabilities, labels):
    middle = (probabilities + labels) / 2
    left = probabilities * np.log(probabilities / middle)
    return (left + labels * np.log(labels / middle)).sum(axis=1) / 2


def js_of_entropies(probabilities, labels):
    def entropy(p):
        with np.errstate(divide="ignore"):
            return -_xlogy(p, np.log(p)).sum(axis=1)

    middle = (probabilities + labels) / 2
    return entropy(middle) - (entropy(probabilities) + entropy(labels)) / 2


def js_epsilon(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-7)
    return js_plain(probabilities + epsilon, labels + epsilon)


def js_plain_gradient(probabilities, labels):
    middle = (probabilities + labels) / 2
    return np.log(probabilities / middle) / 2


def js_epsilon_gradient(probabilities, labels):
    epsilon = probabilities.dtype.type(1e-7)
    middle = (probabilities + labels) / 2
    return np.log((probabilities + epsilon) / (middle + epsilon)) / 2


def js_through_narrow_logs_gradient(probabilities, labels):
    """log p and log m rounded to the buffer before they are subtracted."""
    middle = (probabilities + labels) / 2
    return (np.log(probabilities) - np.log(middle)) / 2
