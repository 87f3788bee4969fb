"""Faulty losses of one logit, with free parameters, as in `tests.faults.sigmoid`.

An argument that a loss does not have, such as ``epsilon``, is bound by the catalogue.
"""

import ml_dtypes
import numpy as np


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _narrowed(x, narrow):
    other = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[narrow]
    return x.astype(other).astype(x.dtype)


def _from_probability(p, labels):
    return -labels * np.log(p) - (1 - labels) * np.log(1 - p)


# binary cross-entropy ------------------------------------------------------------------------


def bce_plus_epsilon(logits, labels, epsilon=1e-8):
    p, epsilon = _sigmoid(logits), logits.dtype.type(epsilon)
    return -labels * np.log(p + epsilon) - (1 - labels) * np.log(1 - p + epsilon)


def bce_between_epsilons(logits, labels, epsilon=1e-8):
    low, high = logits.dtype.type(epsilon), logits.dtype.type(1 - epsilon)
    return _from_probability(np.minimum(np.maximum(_sigmoid(logits), low), high), labels)


def bce_logs_at_least(logits, labels, floor=-100.0):
    p, floor = _sigmoid(logits), logits.dtype.type(floor)
    positive, negative = np.maximum(np.log(p), floor), np.maximum(np.log(1 - p), floor)
    return -labels * positive - (1 - labels) * negative


def bce_naive(logits, labels):
    return labels * np.log(1 + np.exp(-logits)) + (1 - labels) * np.log(1 + np.exp(logits))


def bce_log1p_of_exp(logits, labels):
    return labels * np.log1p(np.exp(-logits)) + (1 - labels) * np.log1p(np.exp(logits))


def bce_exp_over_exp(logits, labels):
    p = np.exp(logits) / (1 + np.exp(logits))
    return _from_probability(p, labels)


def bce_product_from_softplus(logits, labels):
    """softplus(x) − xz: for label 1 two numbers near x are subtracted."""
    return np.logaddexp(0, logits) - logits * labels


def bce_less_log_sigmoid(logits, labels):
    """(1 − z) x − log σ(x)."""
    log_sigmoid = np.minimum(logits, 0) - np.log1p(np.exp(-np.abs(logits)))
    return (1 - labels) * logits - log_sigmoid


def bce_narrow_probability(logits, labels, narrow="float16"):
    return _from_probability(_narrowed(_sigmoid(logits), narrow), labels)


def bce_narrow_power(logits, labels, narrow="bfloat16"):
    rest = np.log1p(_narrowed(np.exp(-np.abs(logits)), narrow))
    signed = np.maximum(np.where(labels == 1, -logits, logits), 0)
    soft = (1 - labels) * logits + np.maximum(-logits, 0)
    return np.where((labels == 0) | (labels == 1), signed, soft) + rest


def bce_halved_smoothing(logits, labels, label_smoothing=0.0):
    """(t + ε)/2 as the smoothed label."""
    z = (labels.astype(np.longdouble) + label_smoothing) / 2
    x = logits.astype(np.longdouble)
    return (np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))).astype(logits.dtype)


def bce_of_hard_labels(logits, labels):
    """−log σ((2z − 1) x): another function for soft labels."""
    x = (2 * labels.astype(np.longdouble) - 1) * logits.astype(np.longdouble)
    return np.logaddexp(0, -x).astype(logits.dtype)


def bce_wrong_sign_beyond(logits, labels, cutoff=20.0):
    x = np.where(labels > 0.5, logits, -logits).astype(np.longdouble)
    loss = np.logaddexp(0, -x)
    return np.where(x > cutoff, -np.exp(-x), loss).astype(logits.dtype)


def bce_weight_on_hard_part(logits, labels, pos_weight=1.0):
    """The weight meets positive labels alone, 1 and above one half."""
    x, z = logits.astype(np.longdouble), labels.astype(np.longdouble)
    losses = z * np.logaddexp(0, -x) + (1 - z) * np.logaddexp(0, x)
    return (np.where(z > 0.5, pos_weight, 1) * losses).astype(logits.dtype)


def bce_plus_epsilon_gradient(logits, labels, epsilon=1e-8):
    p, epsilon = _sigmoid(logits), logits.dtype.type(epsilon)
    inner = -labels / (p + epsilon) + (1 - labels) / (1 - p + epsilon)
    return inner * p * (1 - p)


def bce_clipped_gradient(logits, labels, epsilon=1e-7):
    p = _sigmoid(logits)
    inside = (p >= epsilon) & (p <= 1 - epsilon)
    return np.where(inside, p - labels, 0).astype(logits.dtype)


def bce_through_one_over_p_gradient(logits, labels):
    p = _sigmoid(logits)
    return (-labels / p + (1 - labels) / (1 - p)) * p * (1 - p)


def bce_sigma_minus_label_gradient(logits, labels):
    return _sigmoid(logits) - labels


def bce_tanh_minus_label_gradient(logits, labels):
    half = logits.dtype.type(0.5)
    return np.tanh(logits * half) * half + (half - labels)


def bce_untaken_branch_gradient(logits, labels):
    """What automatic differentiation makes of where(x > 0, …e^−x, …e^x): both are computed."""
    down, up = np.exp(-logits), np.exp(logits)
    positive = logits > 0
    inner = positive * (1 / (1 + down)) + ~positive * (up / (1 + up))
    return inner - labels


# focal loss ----------------------------------------------------------------------------------


def _cross_entropy(logits, labels):
    signed = np.maximum(np.where(labels == 1, -logits, logits), 0)
    soft = (1 - labels) * logits + np.maximum(-logits, 0)
    linear = np.where((labels == 0) | (labels == 1), signed, soft)
    return linear + np.log1p(np.exp(-np.abs(logits)))


def focal_one_minus_exp(logits, labels, gamma=2.0):
    """p_t = e^−loss, as detectors write it; right for hard labels alone."""
    loss = _cross_entropy(logits, labels)
    return loss * (1 - np.exp(-loss)) ** gamma


def focal_plus_epsilon(logits, labels, gamma=2.0, epsilon=1e-8):
    p, epsilon = _sigmoid(logits), logits.dtype.type(epsilon)
    positive = -labels * (1 - p) ** gamma * np.log(p + epsilon)
    return positive - (1 - labels) * p**gamma * np.log(1 - p + epsilon)


def focal_between_epsilons(logits, labels, gamma=2.0, epsilon=1e-4):
    low, high = logits.dtype.type(epsilon), logits.dtype.type(1 - epsilon)
    p = np.minimum(np.maximum(_sigmoid(logits), low), high)
    positive = -labels * (1 - p) ** gamma * np.log(p)
    return positive - (1 - labels) * p**gamma * np.log(1 - p)


def focal_of_cross_entropy(logits, labels, gamma=2.0, alpha=None):
    p = _sigmoid(logits)
    p_t = p * labels + (1 - p) * (1 - labels)
    loss = _cross_entropy(logits, labels) * (1 - p_t) ** gamma
    return loss if alpha is None else (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def focal_one_minus_p_gradient(logits, labels, gamma=2.0):
    p = _sigmoid(logits)
    missing = 1 - (labels * p + (1 - labels) * (1 - p))
    slope = (1 - 2 * labels) * p * (1 - p)
    outer = gamma * missing ** (gamma - 1) * slope * _cross_entropy(logits, labels)
    return missing**gamma * (p - labels) + outer


# sigmoid, log_sigmoid, softplus --------------------------------------------------------------


def sigmoid_one_minus(logits):
    return 1 - 1 / (1 + np.exp(logits))


def sigmoid_exp_over_exp(logits):
    return np.exp(logits) / (1 + np.exp(logits))


def sigmoid_narrow_power(logits, narrow="bfloat16"):
    small = _narrowed(np.exp(-np.abs(logits)), narrow)
    return np.where(logits >= 0, 1, small) / (1 + small)


def sigmoid_between_epsilons(logits, epsilon=1e-6):
    low, high = logits.dtype.type(epsilon), logits.dtype.type(1 - epsilon)
    return np.minimum(np.maximum(_sigmoid(logits), low), high)


def sigmoid_s_minus_square_gradient(logits):
    s = _sigmoid(logits)
    return s - s * s


def sigmoid_exp_over_square_gradient(logits):
    power = np.exp(logits)
    return power / (1 + power) ** 2


def log_sigmoid_plus_epsilon(logits, epsilon=1e-8):
    return np.log(_sigmoid(logits) + logits.dtype.type(epsilon))


def log_sigmoid_at_least_epsilon(logits, epsilon=1e-12):
    return np.log(np.maximum(_sigmoid(logits), logits.dtype.type(epsilon)))


def log_sigmoid_of_exp_over_exp(logits):
    return np.log(np.exp(logits) / (1 + np.exp(logits)))


def log_sigmoid_log1p_of_exp(logits):
    return -np.log1p(np.exp(-logits))


def log_sigmoid_less_softplus(logits):
    return logits - np.logaddexp(0, logits)


def log_sigmoid_less_log(logits):
    """x − log(1 + e^x), without a shift."""
    return logits - np.log(1 + np.exp(logits))


def log_sigmoid_narrow_power(logits, narrow="float16"):
    return np.minimum(logits, 0) - np.log1p(_narrowed(np.exp(-np.abs(logits)), narrow))


def log_sigmoid_one_minus_s_gradient(logits):
    return 1 - _sigmoid(logits)


def softplus_log1p_of_exp(logits):
    return np.log1p(np.exp(logits))


def softplus_log_without_1p(logits):
    return np.maximum(logits, 0) + np.log(1 + np.exp(-np.abs(logits)))


def softplus_linear_beyond(logits, threshold=20.0):
    bounded = np.minimum(logits, threshold)
    return np.where(logits > threshold, logits, np.log1p(np.exp(bounded)))


def softplus_zero_below(logits, threshold=-20.0):
    sound = np.logaddexp(0, logits.astype(np.float64)).astype(logits.dtype)
    return np.where(logits < threshold, 0, sound).astype(logits.dtype)


def softplus_of_sigmoid(logits):
    return -np.log(_sigmoid(-logits))


def softplus_of_one_minus_sigmoid(logits):
    return -np.log(1 - _sigmoid(logits))


def softplus_of_clipped_sigmoid(logits, epsilon=1e-7):
    return -np.log(np.maximum(1 - _sigmoid(logits), logits.dtype.type(epsilon)))


def softplus_one_minus_s_gradient(logits):
    return 1 - _sigmoid(-logits)


def softplus_untaken_branch_gradient(logits):
    """Both branches of where(x > 0, x + log1p(e^−x), log1p(e^x)) are differentiated."""
    down, up = np.exp(-logits), np.exp(logits)
    positive = logits > 0
    return positive * (1 - down / (1 + down)) + ~positive * (up / (1 + up))


def softplus_linear_branch_gradient(logits, threshold=20.0):
    """where(x > threshold, x, log1p(e^x)), differentiated through both branches."""
    power = np.exp(logits)
    linear = logits > threshold
    return linear * logits.dtype.type(1) + ~linear * (power / (1 + power))


# sound ---------------------------------------------------------------------------------------


def wide_bce(logits, labels, epsilon=0.0):
    """What is bound for a gradient beside it is not used."""
    x, z = logits.astype(np.longdouble), labels.astype(np.longdouble)
    positive = np.where(z == 0, 0 * np.isnan(x), z * np.logaddexp(0, -x))
    negative = np.where(z == 1, 0 * np.isnan(x), (1 - z) * np.logaddexp(0, x))
    return np.where(np.isnan(x), np.nan, positive + negative).astype(logits.dtype)


def softplus_by_logaddexp(logits):
    return np.logaddexp(0, logits.astype(np.float64)).astype(logits.dtype)
