"""Faulty and sound losses of one logit, as a user would hand them in."""

import numpy as np


def _softplus(x):
    """log(1 + e^x), in extended precision."""
    x = x.astype(np.longdouble)
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _sigmoid(x):
    """σ(x), in extended precision, accurate in both tails."""
    x = x.astype(np.longdouble)
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1, small) / (1 + small)


def _product(coefficient, factor):
    """A product in which a zero coefficient wins over an infinite factor, but not over NaN."""
    with np.errstate(invalid="ignore"):
        product = coefficient * factor
    return np.where((coefficient == 0) & ~np.isnan(factor), 0, product)


def _naive_sigmoid(x):
    return 1 / (1 + np.exp(-x))


def _reduce(losses, reduction):
    return {"none": lambda: losses, "mean": losses.mean, "sum": losses.sum}[reduction]()


# sound ---------------------------------------------------------------------------------------


def sound_sigmoid(logits):
    return _sigmoid(logits).astype(logits.dtype)


def sound_sigmoid_gradient(logits):
    return (_sigmoid(logits) * _sigmoid(-logits)).astype(logits.dtype)


def sound_log_sigmoid(logits):
    return (-_softplus(-logits)).astype(logits.dtype)


def sound_log_sigmoid_gradient(logits):
    return _sigmoid(-logits).astype(logits.dtype)


def sound_softplus(logits):
    return _softplus(logits).astype(logits.dtype)


def sound_softplus_gradient(logits):
    return _sigmoid(logits).astype(logits.dtype)


def sound_bce(logits, labels, pos_weight=1.0, label_smoothing=0.0, reduction="none"):
    soft = np.longdouble(label_smoothing)
    z = labels.astype(np.longdouble) * (1 - soft) + soft / 2
    positive = _product(np.longdouble(pos_weight) * z, _softplus(-logits))
    losses = positive + _product(1 - z, _softplus(logits))
    return np.asarray(_reduce(losses, reduction)).astype(logits.dtype)


def _sigmoid_minus(logits, z):
    """σ(x) − z; about the middle as ½ tanh(x/2) + (½ − z), since σ(x) of a tiny x is ½."""
    x = logits.astype(np.longdouble)
    centred = np.tanh(x / 2) / 2 + (0.5 - z)
    return np.where(np.abs(x) < 1, centred, (1 - z) * _sigmoid(logits) - z * _sigmoid(-logits))


def sound_bce_gradient(logits, labels, pos_weight=1.0, label_smoothing=0.0, reduction="none"):
    soft, weight = np.longdouble(label_smoothing), np.longdouble(pos_weight)
    z = labels.astype(np.longdouble) * (1 - soft) + soft / 2
    if weight == 1:
        gradient = _sigmoid_minus(logits, z)
    else:
        gradient = (1 - z) * _sigmoid(logits) - weight * z * _sigmoid(-logits)
    if reduction == "mean":
        gradient = gradient / len(gradient)
    return gradient.astype(logits.dtype)


def sound_weighted_bce(logits, labels, pos_weight=1.0):
    """(1 − z) x + (1 + (w − 1) z) (log1p(e^−|x|) + max(−x, 0)): reported as wrong, and right."""
    x, z = logits.astype(np.longdouble), labels.astype(np.longdouble)
    scale = 1 + (np.longdouble(pos_weight) - 1) * z
    rest = np.log1p(np.exp(-np.abs(x)))
    # For z = 0 the linear terms are max(x, 0), for z = 1 they are w·max(−x, 0).
    linear = _product(1 - z, x) + scale * np.maximum(-x, 0)
    linear = np.where(z == 0, np.maximum(x, 0), linear)
    return (linear + scale * rest).astype(logits.dtype)


def sound_focal(logits, labels, alpha=None, gamma=2.0, reduction="none"):
    z = labels.astype(np.longdouble)
    entropy = _product(z, _softplus(-logits)) + _product(1 - z, _softplus(logits))
    missing = z * _sigmoid(-logits) + (1 - z) * _sigmoid(logits)
    losses = _balance(z, alpha) * missing ** np.longdouble(gamma) * entropy
    return np.asarray(_reduce(losses, reduction)).astype(logits.dtype)


def sound_focal_gradient(logits, labels, alpha=None, gamma=2.0, reduction="none"):
    z, g = labels.astype(np.longdouble), np.longdouble(gamma)
    up, down = _sigmoid(logits), _sigmoid(-logits)
    entropy = _product(z, _softplus(-logits)) + _product(1 - z, _softplus(logits))
    missing = z * down + (1 - z) * up
    slope = (1 - 2 * z) * up * down
    gradient = missing**g * _sigmoid_minus(logits, z)
    with np.errstate(invalid="ignore"):
        more = g * missing ** (g - 1) * slope * entropy
    more = np.where((slope == 0) & ~np.isnan(up), 0, more)
    return (_balance(z, alpha) * (gradient + more)).astype(logits.dtype)


def _balance(z, alpha):
    return 1 if alpha is None else np.longdouble(alpha) * z + (1 - np.longdouble(alpha)) * (1 - z)


# sigmoid -------------------------------------------------------------------------------------


def sigmoid_exp_over_exp(logits):
    return np.exp(logits) / (1 + np.exp(logits))


def sigmoid_by_tanh(logits):
    return np.tanh(logits / 2) / 2 + logits.dtype.type(0.5)


def sigmoid_naive(logits):
    return _naive_sigmoid(logits)


def sigmoid_squared_denominator_gradient(logits):
    return np.exp(-logits) / (1 + np.exp(-logits)) ** 2


def sigmoid_one_minus_s_gradient(logits):
    s = _naive_sigmoid(logits)
    return s * (1 - s)


# log_sigmoid ---------------------------------------------------------------------------------


def log_sigmoid_of_sigmoid(logits):
    return np.log(_naive_sigmoid(logits))


def log_sigmoid_shifted_pair(logits):
    largest = np.maximum(-logits, 0)
    return -(largest + np.log(np.exp(-largest) + np.exp(-logits - largest)))


def log_sigmoid_log_without_1p(logits):
    return np.minimum(logits, 0) - np.log(1 + np.exp(-np.abs(logits)))


def log_sigmoid_one_minus_s_gradient(logits):
    return 1 - _naive_sigmoid(logits)


# softplus ------------------------------------------------------------------------------------


def softplus_naive(logits):
    return np.log(1 + np.exp(logits))


def softplus_above_20_linear(logits):
    with np.errstate(over="ignore"):
        return np.where(logits > 20, logits, np.log1p(np.exp(logits)))


def softplus_nan_swallowed(logits):
    return np.fmax(logits, 0) + np.log1p(np.exp(-np.abs(np.nan_to_num(logits))))


def softplus_naive_gradient(logits):
    return np.exp(logits) / (1 + np.exp(logits))


def softplus_kink_gradient(logits):
    """What automatic differentiation makes of max(x, 0) + log1p(e^−|x|)."""
    small = np.exp(-np.abs(logits))
    return (logits > 0) - np.sign(logits) * small / (1 + small)


def softplus_untaken_branch_gradient(logits):
    """What automatic differentiation makes of where(x > 20, x, log1p(e^x))."""
    power = np.exp(logits)
    linear = logits > 20
    return linear * logits.dtype.type(1) + ~linear * (power / (1 + power))


# sigmoid_binary_cross_entropy ----------------------------------------------------------------


def bce_sigmoid_then_log(logits, labels):
    p = _naive_sigmoid(logits)
    return -labels * np.log(p) - (1 - labels) * np.log(1 - p)


def bce_unstable_with_weight(logits, labels, pos_weight=1.0):
    positive = pos_weight * labels * np.log(1 + np.exp(-logits))
    return (1 - labels) * logits + positive + (1 - labels) * np.log(1 + np.exp(-logits))


def bce_tensorflow_form(logits, labels):
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def bce_log_without_1p(logits, labels):
    rest = np.log(1 + np.exp(-np.abs(logits)))
    largest = np.where(labels > 0.5, np.maximum(-logits, 0), np.maximum(logits, 0))
    return largest + rest


def bce_clipped(logits, labels):
    p = np.clip(_naive_sigmoid(logits), 1e-7, 1 - 1e-7).astype(logits.dtype)
    return -labels * np.log(p) - (1 - labels) * np.log(1 - p)


def bce_clipped_gradient(logits, labels):
    p = _naive_sigmoid(logits)
    inside = (p >= 1e-7) & (p <= 1 - 1e-7)
    return np.where(inside, p - labels, 0).astype(logits.dtype)


def bce_exp_over_exp_gradient(logits, labels):
    power = np.exp(-logits)
    return ((1 - labels) - labels * power) / (1 + power)


def bce_kink_gradient(logits, labels):
    small = np.exp(-np.abs(logits))
    return (logits > 0) - labels - np.sign(logits) * small / (1 + small)


def bce_floored_denominator_gradient(logits, labels):
    p = _naive_sigmoid(logits)
    variance = p * (1 - p)
    return (p - labels) / np.maximum(variance, logits.dtype.type(1e-12)) * variance


def bce_sigma_minus_label_gradient(logits, labels):
    return _naive_sigmoid(logits) - labels


# sigmoid_focal_loss --------------------------------------------------------------------------


def focal_log1p_of_exp(logits, labels):
    p = _naive_sigmoid(logits)
    entropy = labels * np.log1p(np.exp(-logits)) + (1 - labels) * np.log1p(np.exp(logits))
    return (labels * (1 - p) + (1 - labels) * p) ** 2 * entropy


def focal_log_of_sigmoid(logits, labels):
    up, down = _naive_sigmoid(logits), _naive_sigmoid(-logits)
    return -labels * down**2 * np.log(up) - (1 - labels) * up**2 * np.log(down)


def focal_one_minus_p(logits, labels, gamma=2.0):
    p = _naive_sigmoid(logits)
    entropy = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    return entropy * (1 - (labels * p + (1 - labels) * (1 - p))) ** gamma


def focal_one_minus_p_gradient(logits, labels, gamma=2.0):
    p = _naive_sigmoid(logits)
    entropy = np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))
    missing = 1 - (labels * p + (1 - labels) * (1 - p))
    inner = (1 - 2 * labels) * p * (1 - p)
    return missing**gamma * (p - labels) + entropy * gamma * missing ** (gamma - 1) * inner
