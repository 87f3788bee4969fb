"""Faulty losses of probabilities and divergences, with free parameters.

An argument that a loss does not have, such as ``epsilon``, is bound by the catalogue.
"""

import ml_dtypes
import numpy as np


def _dense(p, labels):
    return labels if labels.ndim == 2 else labels[:, None] == np.arange(p.shape[1])


def _between(p, epsilon):
    low, high = p.dtype.type(epsilon), p.dtype.type(1 - epsilon)
    return np.minimum(np.maximum(p, low), high)


def _narrowed(x, narrow):
    other = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[narrow]
    return x.astype(other).astype(x.dtype)


# categorical cross-entropy -------------------------------------------------------------------


def categorical_plus_epsilon(probabilities, labels, epsilon=1e-8):
    logs = np.log(probabilities + probabilities.dtype.type(epsilon))
    return -(_dense(probabilities, labels) * logs).sum(axis=1)


def categorical_between_epsilons(probabilities, labels, epsilon=1e-8):
    return -(_dense(probabilities, labels) * np.log(_between(probabilities, epsilon))).sum(axis=1)


def categorical_at_least_epsilon(probabilities, labels, epsilon=1e-8):
    p = np.maximum(probabilities, probabilities.dtype.type(epsilon))
    return -(_dense(p, labels) * np.log(p)).sum(axis=1)


def categorical_logs_at_least(probabilities, labels, floor=-100.0):
    logs = np.maximum(np.log(probabilities), probabilities.dtype.type(floor))
    return -(_dense(probabilities, labels) * logs).sum(axis=1)


def categorical_one_hot_product(probabilities, labels):
    return -(_dense(probabilities, labels) * np.log(probabilities)).sum(axis=1)


def categorical_narrow(probabilities, labels, narrow="bfloat16"):
    p = _narrowed(probabilities, narrow)
    return -np.log(np.take_along_axis(p, labels[:, None], axis=1))[:, 0]


def categorical_at_least_epsilon_gradient(probabilities, labels, epsilon=1e-8):
    p = np.maximum(probabilities, probabilities.dtype.type(epsilon))
    return -(_dense(p, labels) / p)


# binary cross-entropy ------------------------------------------------------------------------


def binary_plus_epsilon(probabilities, labels, epsilon=1e-8):
    epsilon = probabilities.dtype.type(epsilon)
    positive = labels * np.log(probabilities + epsilon)
    return -(positive + (1 - labels) * np.log(1 - probabilities + epsilon))


def binary_between_epsilons(probabilities, labels, epsilon=1e-8):
    p = _between(probabilities, epsilon)
    return -labels * np.log(p) - (1 - labels) * np.log(1 - p)


def binary_between_eps_of_dtype(probabilities, labels):
    return binary_between_epsilons(probabilities, labels, ml_dtypes.finfo(probabilities.dtype).eps)


def binary_logs_at_least(probabilities, labels, floor=-100.0):
    floor = probabilities.dtype.type(floor)
    positive = np.maximum(np.log(probabilities), floor)
    negative = np.maximum(np.log1p(-probabilities), floor)
    return -labels * positive - (1 - labels) * negative


def binary_without_log1p(probabilities, labels):
    with np.errstate(invalid="ignore"):
        positive = np.where(labels == 0, 0, labels * np.log(probabilities))
        negative = np.where(labels == 1, 0, (1 - labels) * np.log(1 - probabilities))
    return -(np.where(np.isnan(probabilities), np.nan, positive + negative)).astype(
        probabilities.dtype
    )


def binary_plus_epsilon_gradient(probabilities, labels, epsilon=1e-8):
    p, epsilon = probabilities, probabilities.dtype.type(epsilon)
    return -labels / (p + epsilon) + (1 - labels) / (1 - p + epsilon)


def binary_floored_gradient(probabilities, labels, epsilon=1e-8):
    p = probabilities
    return (p - labels) / np.maximum(p * (1 - p), p.dtype.type(epsilon))


# entropy -------------------------------------------------------------------------------------


def entropy_plus_epsilon(probabilities, epsilon=1e-8):
    logs = np.log(probabilities + probabilities.dtype.type(epsilon))
    return -(probabilities * logs).sum(axis=1)


def entropy_at_least_epsilon(probabilities, epsilon=1e-8):
    p = np.maximum(probabilities, probabilities.dtype.type(epsilon))
    return -(p * np.log(p)).sum(axis=1)


def entropy_product(probabilities):
    return -(probabilities * np.log2(probabilities)).sum(axis=1) * probabilities.dtype.type(
        np.log(2)
    )


def entropy_plus_epsilon_gradient(probabilities, epsilon=1e-8):
    shifted = probabilities + probabilities.dtype.type(epsilon)
    return -(np.log(shifted) + probabilities / shifted)


# Kullback–Leibler divergence -----------------------------------------------------------------


def kl_plus_epsilon(logs, labels, epsilon=1e-8):
    epsilon = logs.dtype.type(epsilon)
    return (labels * (np.log(labels + epsilon) - np.log(np.exp(logs) + epsilon))).sum(axis=1)


def kl_at_least_epsilon(logs, labels, epsilon=1e-8):
    epsilon = logs.dtype.type(epsilon)
    q, t = np.maximum(np.exp(logs), epsilon), np.maximum(labels, epsilon)
    return (t * (np.log(t) - np.log(q))).sum(axis=1)


def kl_log_of_exp(logs, labels):
    return _kl_terms(logs, labels, np.log(np.exp(logs)))


def kl_log_of_narrow_exp(logs, labels, narrow="float16"):
    return _kl_terms(logs, labels, np.log(_narrowed(np.exp(logs), narrow)))


def _kl_terms(logs, labels, log_q):
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(labels == 0, 0, labels * (np.log(labels) - log_q))
    return np.where(np.isnan(logs).any(axis=1), np.nan, terms.sum(axis=1)).astype(logs.dtype)


def kl_product(logs, labels):
    return (labels * np.log(labels) - labels * logs).sum(axis=1)


def kl_at_least_epsilon_gradient(logs, labels, epsilon=1e-6):
    return np.where(np.exp(logs) > epsilon, -labels, 0).astype(logs.dtype)


def kl_through_exp_gradient(logs, labels):
    q = np.exp(logs)
    return np.where(labels == 0, 0, -labels / q * q).astype(logs.dtype)


# Jensen–Shannon divergence -------------------------------------------------------------------


def js_plus_epsilon(probabilities, labels, epsilon=1e-8):
    epsilon = probabilities.dtype.type(epsilon)
    p, q = probabilities + epsilon, labels + epsilon
    middle = (p + q) / 2
    return (p * np.log(p / middle) + q * np.log(q / middle)).sum(axis=1) / 2


def js_at_least_epsilon(probabilities, labels, epsilon=1e-8):
    epsilon = probabilities.dtype.type(epsilon)
    p, q = np.maximum(probabilities, epsilon), np.maximum(labels, epsilon)
    middle = (p + q) / 2
    return (p * (np.log(p) - np.log(middle)) + q * (np.log(q) - np.log(middle))).sum(axis=1) / 2


def js_product_of_logs(probabilities, labels):
    log_middle = np.log((probabilities + labels) / 2)
    left = probabilities * (np.log(probabilities) - log_middle)
    return (left + labels * (np.log(labels) - log_middle)).sum(axis=1) / 2


# negative log-likelihood ---------------------------------------------------------------------


def nll_one_hot_sum(logits, labels):
    return -(_dense(logits, labels).astype(logits.dtype) * logits).sum(axis=1)


def nll_at_most(logits, labels, ceiling=100.0):
    chosen = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return np.minimum(-chosen, logits.dtype.type(ceiling))


def nll_narrow(logits, labels, narrow="bfloat16"):
    with np.errstate(over="ignore"):
        return -np.take_along_axis(_narrowed(logits, narrow), labels[:, None], axis=1)[:, 0]


def nll_of_exp(logits, labels):
    """Back to the probability and to its logarithm again."""
    return -np.log(np.exp(np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]))


def nll_of_exp_plus_epsilon(logits, labels, epsilon=1e-8):
    chosen = np.exp(np.take_along_axis(logits, labels[:, None], axis=1)[:, 0])
    return -np.log(chosen + logits.dtype.type(epsilon))


# sound values beside gradients; what is bound for these is not used -----------------------------


def _xlogy(x, log_y):
    with np.errstate(invalid="ignore"):
        return np.where((x == 0) & ~np.isnan(log_y), 0, x * log_y)


def _logs(p):
    with np.errstate(divide="ignore"):
        return np.log(p.astype(np.longdouble)), np.log1p(-p.astype(np.longdouble))


def wide_categorical(probabilities, labels, epsilon=0.0):
    losses = -_xlogy(_dense(probabilities, labels), _logs(probabilities)[0]).sum(axis=1)
    return losses.astype(probabilities.dtype)


def wide_binary(probabilities, labels, epsilon=0.0):
    log_p, log_rest = _logs(probabilities)
    z = labels.astype(np.longdouble)
    return (-_xlogy(z, log_p) - _xlogy(1 - z, log_rest)).astype(probabilities.dtype)


def wide_entropy(probabilities, epsilon=0.0):
    p = probabilities.astype(np.longdouble)
    return -_xlogy(p, _logs(p)[0]).sum(axis=1).astype(probabilities.dtype)


def wide_kl(logs, labels, epsilon=0.0):
    t, log_t = labels.astype(np.longdouble), _logs(labels)[0]
    with np.errstate(invalid="ignore"):
        difference = np.where((t == 0) & ~np.isnan(logs), 0, log_t - logs)
    return _xlogy(t, difference).sum(axis=1).astype(logs.dtype)
