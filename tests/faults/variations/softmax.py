"""Faulty softmax cross-entropies, softmaxes and their logarithms, with free parameters.

An argument that a loss does not have, such as ``epsilon``, is bound by the catalogue.
"""

import ml_dtypes
import numpy as np


def _rows(x):
    return np.arange(len(x))


def _one_hot(x, labels):
    return labels[:, None] == np.arange(x.shape[1])


def _shifted(x):
    return x - x.max(axis=1, keepdims=True)


def _softmax(x):
    powers = np.exp(_shifted(x))
    return powers / powers.sum(axis=1, keepdims=True)


def _chosen(logits, labels):
    return _softmax(logits)[_rows(logits), labels]


def _narrowed(x, narrow):
    """Stored in another dtype, and read again."""
    other = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[narrow]
    with np.errstate(over="ignore"):
        return x.astype(other).astype(x.dtype)


# epsilons and clips --------------------------------------------------------------------------


def plus_epsilon(logits, labels, epsilon=1e-8):
    return -np.log(_chosen(logits, labels) + logits.dtype.type(epsilon))


def at_least_epsilon(logits, labels, epsilon=1e-8):
    return -np.log(np.maximum(_chosen(logits, labels), logits.dtype.type(epsilon)))


def between_epsilons(logits, labels, epsilon=1e-8):
    low, high = logits.dtype.type(epsilon), logits.dtype.type(1 - epsilon)
    return -np.log(np.minimum(np.maximum(_chosen(logits, labels), low), high))


def at_least_tiny(logits, labels):
    tiny = ml_dtypes.finfo(logits.dtype).smallest_normal
    return -np.log(np.maximum(_chosen(logits, labels), tiny))


def log_at_least(logits, labels, floor=-100.0):
    return -np.maximum(np.log(_chosen(logits, labels)), logits.dtype.type(floor))


def epsilon_after_log(logits, labels, epsilon=1e-6):
    return -(np.log(_chosen(logits, labels)) + logits.dtype.type(epsilon))


def epsilon_in_denominator(logits, labels, epsilon=1e-6):
    powers = np.exp(_shifted(logits))
    total = powers.sum(axis=1) + logits.dtype.type(epsilon)
    return -np.log(powers[_rows(logits), labels] / total)


def logits_clipped(logits, labels, bound=50.0):
    x = np.minimum(np.maximum(logits, logits.dtype.type(-bound)), logits.dtype.type(bound))
    return sum_of_powers(x, labels)


# shifts --------------------------------------------------------------------------------------


def shifted_by_mean(logits, labels):
    x = logits - logits.mean(axis=1, keepdims=True)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def shifted_by_half(logits, labels):
    x = logits - logits.max(axis=1, keepdims=True) / 2
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def shifted_by_target(logits, labels):
    return np.log(np.exp(logits - logits[_rows(logits), labels][:, None]).sum(axis=1))


def others_shifted_by_target(logits, labels):
    powers = np.exp(logits - logits[_rows(logits), labels][:, None])
    return np.log1p(np.where(_one_hot(logits, labels), 0, powers).sum(axis=1))


def naive_over_temperature(logits, labels, temperature=1.0):
    x = logits / logits.dtype.type(temperature)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def shifted_before_temperature(logits, labels, temperature=1.0):
    """The maximum of the logits, not of the scaled ones."""
    x = logits / logits.dtype.type(temperature) - logits.max(axis=1, keepdims=True)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def naive_two_logs(logits, labels):
    powers = np.exp(logits)
    return np.log(powers.sum(axis=1)) - np.log(powers[_rows(logits), labels])


# a tail that is absorbed, an offset that cancels ---------------------------------------------


def sum_of_powers(logits, labels):
    x = _shifted(logits)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def sum_less_one(logits, labels):
    x = _shifted(logits)
    return np.log1p(np.exp(x).sum(axis=1) - 1) - x[_rows(x), labels]


def quotient_of_powers(logits, labels):
    """log(Σ / e_y): the inverse of the probability, without the probability."""
    powers = np.exp(_shifted(logits))
    return np.log(powers.sum(axis=1) / powers[_rows(logits), labels])


def reduced_by_logaddexp(logits, labels):
    return np.logaddexp.reduce(logits, axis=1) - logits[_rows(logits), labels]


def logsumexp_and_target(logits, labels):
    largest = logits.max(axis=1)
    lse = np.log(np.exp(logits - largest[:, None]).sum(axis=1)) + largest
    return lse - logits[_rows(logits), labels]


def difference_after_offset(logits, labels):
    """The shift is taken back before the target is subtracted."""
    largest = logits.max(axis=1)
    log_sum = np.log1p(np.where(_top(logits), 0, np.exp(_shifted(logits))).sum(axis=1))
    return (log_sum + largest) - logits[_rows(logits), labels]


def _top(x):
    return _one_hot(x, x.argmax(axis=1))


def _running(logits, block):
    """(maximum, sum of the powers) over blocks of classes, each block corrected by the next."""
    largest = np.full(len(logits), -np.inf, logits.dtype)
    total = np.zeros(len(logits), logits.dtype)
    for start in range(0, logits.shape[1], block):
        part = logits[:, start : start + block]
        higher = np.maximum(largest, part.max(axis=1))
        safe = np.where(np.isneginf(higher), 0, higher)
        total = total * np.exp(largest - safe) + np.exp(part - safe[:, None]).sum(axis=1)
        largest = higher
    return largest, total


def running_maximum(logits, labels, block=4):
    largest, total = _running(logits, block)
    return largest + np.log(total) - logits[_rows(logits), labels]


def running_maximum_shifted(logits, labels, block=4):
    largest, total = _running(logits, block)
    return np.log(total) + (largest - logits[_rows(logits), labels])


def running_maximum_of_masked(logits, labels, block=1):
    """−inf − (−inf) while only masked classes have been seen."""
    largest = np.full(len(logits), -np.inf, logits.dtype)
    total = np.zeros(len(logits), logits.dtype)
    for start in range(0, logits.shape[1], block):
        part = logits[:, start : start + block]
        higher = np.maximum(largest, part.max(axis=1))
        total = total * np.exp(largest - higher) + np.exp(part - higher[:, None]).sum(axis=1)
        largest = higher
    return np.log(total) + (largest - logits[_rows(logits), labels])


def rest_subtracted(logits, labels):
    rest = np.where(_one_hot(logits, labels), 0, _softmax(logits)).sum(axis=1)
    return -np.log(1 - rest)


def log2_of_softmax(logits, labels):
    return -np.log2(_chosen(logits, labels)) * logits.dtype.type(np.log(2))


# products with labels ------------------------------------------------------------------------


def one_hot_times_log_softmax(logits, labels):
    x = _shifted(logits)
    logs = x - np.log(np.exp(x).sum(axis=1, keepdims=True))
    return -(_one_hot(logits, labels) * logs).sum(axis=1)


def one_hot_times_log_of_softmax(logits, labels):
    return -(_one_hot(logits, labels) * np.log(_softmax(logits))).sum(axis=1)


def one_hot_times_logits(logits, labels):
    x = _shifted(logits)
    return np.log(np.exp(x).sum(axis=1)) - (_one_hot(x, labels) * x).sum(axis=1)


def labels_times_log_of_softmax(logits, labels):
    return -(labels * np.log(_softmax(logits))).sum(axis=1)


def labels_times_plus_epsilon(logits, labels, epsilon=1e-8):
    return -(labels * np.log(_softmax(logits) + logits.dtype.type(epsilon))).sum(axis=1)


# label smoothing, temperature ----------------------------------------------------------------


def smoothing_of_naive(logits, labels, label_smoothing=0.0):
    powers = np.exp(logits)
    surprise = -np.log(powers / powers.sum(axis=1, keepdims=True))
    hard = surprise[_rows(logits), labels]
    return (1 - label_smoothing) * hard + label_smoothing * surprise.mean(axis=1)


def smoothing_of_log_of_softmax(logits, labels, label_smoothing=0.0):
    surprise = -np.log(_softmax(logits))
    hard = surprise[_rows(logits), labels]
    return (1 - label_smoothing) * hard + label_smoothing * surprise.mean(axis=1)


def smoothing_of_clipped(logits, labels, label_smoothing=0.0, epsilon=1e-7):
    surprise = -np.log(np.maximum(_softmax(logits), logits.dtype.type(epsilon)))
    hard = surprise[_rows(logits), labels]
    return (1 - label_smoothing) * hard + label_smoothing * surprise.mean(axis=1)


def smoothing_by_logsumexp(logits, labels, label_smoothing=0.0):
    largest = logits.max(axis=1)
    lse = largest + np.log(np.exp(_shifted(logits)).sum(axis=1))
    hard = lse - logits[_rows(logits), labels]
    return (1 - label_smoothing) * hard + label_smoothing * (lse - logits.mean(axis=1))


def smoothing_only_for_the_target(logits, labels, label_smoothing=0.0):
    return (1 - label_smoothing) * sum_of_powers(logits.astype(np.longdouble), labels).astype(
        logits.dtype
    )


def logs_over_temperature(logits, labels, temperature=1.0):
    x = _shifted(logits.astype(np.longdouble))
    loss = np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]
    return (loss / temperature).astype(logits.dtype)


def mean_of_kept_over_all(logits, labels, ignore_index=-100, reduction="none"):
    """Ignored rows add nothing, but are counted."""
    kept = np.where(labels == ignore_index, 0, labels)
    losses = wide_tail(logits, kept).astype(np.float64)
    return (np.where(labels == ignore_index, 0, losses).sum() / len(logits)).astype(logits.dtype)


def smoothing_of_ignored_rows(logits, labels, label_smoothing=0.0, ignore_index=-100):
    """The smoothing term of ignored rows is multiplied by 0, though it may be NaN or infinite."""
    kept = labels != ignore_index
    x = _shifted(logits.astype(np.float64))
    tail = np.where(_top(logits), 0, np.exp(x)).sum(axis=1, keepdims=True)
    surprise = np.log1p(tail) - x
    hard = np.where(kept, surprise[_rows(x), np.where(kept, labels, 0)], 0)
    losses = (1 - label_smoothing) * hard + label_smoothing * surprise.mean(axis=1) * kept
    return losses.astype(logits.dtype)


# narrow intermediates, narrow sums -----------------------------------------------------------


def narrow_logits(logits, labels, narrow="float16"):
    return sum_of_powers(_narrowed(logits, narrow), labels)


def narrow_gaps(logits, labels, narrow="float16"):
    x = _narrowed(_shifted(logits), narrow)
    return np.log(np.exp(x).sum(axis=1)) - x[_rows(x), labels]


def narrow_powers(logits, labels, narrow="float16"):
    x = _shifted(logits)
    return np.log(_narrowed(np.exp(x), narrow).sum(axis=1)) - x[_rows(x), labels]


def narrow_sum(logits, labels, narrow="float16"):
    x = _shifted(logits)
    return np.log(_narrowed(np.exp(x).sum(axis=1), narrow)) - x[_rows(x), labels]


def narrow_log(logits, labels, narrow="float16"):
    x = _shifted(logits)
    return _narrowed(np.log(np.exp(x).sum(axis=1)), narrow) - x[_rows(x), labels]


def narrow_probability(logits, labels, narrow="float16"):
    return -np.log(_narrowed(_softmax(logits), narrow)[_rows(logits), labels])


def upcast_after_softmax(logits, labels):
    p = _softmax(logits).astype(np.float32)
    return -np.log(p[_rows(logits), labels]).astype(logits.dtype)


def upcast_after_softmax_with_epsilon(logits, labels, epsilon=1e-8):
    p = _softmax(logits).astype(np.float32) + np.float32(epsilon)
    return -np.log(p[_rows(logits), labels]).astype(logits.dtype)


def added_in_turn(logits, labels):
    x = _shifted(logits)
    return np.log(np.add.accumulate(np.exp(x), axis=1)[:, -1]) - x[_rows(x), labels]


def tail_added_in_turn(logits, labels):
    x = _shifted(logits)
    others = np.where(_top(logits), 0, np.exp(x)).astype(x.dtype)
    return np.log1p(np.add.accumulate(others, axis=1)[:, -1]) - x[_rows(x), labels]


# gradients of cross-entropy ------------------------------------------------------------------


def clipped_gradient(logits, labels, epsilon=1e-7):
    p = _softmax(logits)
    chosen = p[_rows(p), labels][:, None]
    inside = (chosen >= epsilon) & (chosen <= 1 - epsilon)
    return np.where(inside, p - _one_hot(p, labels), 0).astype(logits.dtype)


def plus_epsilon_gradient(logits, labels, epsilon=1e-8):
    p = _softmax(logits)
    chosen = p[_rows(p), labels][:, None]
    return chosen / (chosen + p.dtype.type(epsilon)) * (p - _one_hot(p, labels))


def p_minus_one_hot_gradient(logits, labels):
    return _softmax(logits) - _one_hot(logits, labels).astype(logits.dtype)


def p_minus_labels_gradient(logits, labels):
    return labels.sum(axis=1, keepdims=True) * _softmax(logits) - labels


def exp_of_log_softmax_gradient(logits, labels):
    x = _shifted(logits)
    p = np.exp(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))
    return p - _one_hot(p, labels)


def exp_of_difference_gradient(logits, labels):
    largest = logits.max(axis=1, keepdims=True)
    lse = largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return np.exp(logits - lse) - _one_hot(logits, labels)


def naive_gradient(logits, labels):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True) - _one_hot(logits, labels)


def shift_of_first_gradient(logits, labels):
    powers = np.exp(logits - logits[:, :1])
    return powers / powers.sum(axis=1, keepdims=True) - _one_hot(logits, labels)


def through_one_over_p_gradient(logits, labels):
    p = _softmax(logits)
    outer = -1 / p[_rows(p), labels][:, None]
    return outer * p[_rows(p), labels][:, None] * (_one_hot(p, labels) - p)


def narrow_probability_gradient(logits, labels, narrow="float16"):
    return _narrowed(_softmax(logits), narrow) - _one_hot(logits, labels)


def mean_over_weights_gradient(logits, labels, ignore_index=-100, reduction="none"):
    weights = (labels != ignore_index).astype(logits.dtype)
    gradient = _softmax(logits) - _one_hot(logits, labels)
    return gradient * (weights / weights.sum())[:, None]


# softmax -------------------------------------------------------------------------------------


def softmax_plus_epsilon(logits, epsilon=1e-6):
    powers = np.exp(_shifted(logits))
    return powers / (powers.sum(axis=1, keepdims=True) + logits.dtype.type(epsilon))


def softmax_shifted_by_mean(logits):
    powers = np.exp(logits - logits.mean(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_of_difference(logits):
    largest = logits.max(axis=1, keepdims=True)
    return np.exp(logits - (largest + np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))))


def softmax_narrow(logits, narrow="float16"):
    return _narrowed(_softmax(logits), narrow)


def softmax_narrow_logits(logits, narrow="bfloat16"):
    return _softmax(_narrowed(logits, narrow))


def softmax_naive_over_temperature(logits, temperature=1.0):
    powers = np.exp(logits / logits.dtype.type(temperature))
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_naive(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def softmax_at_least_epsilon(logits, epsilon=1e-8):
    return np.maximum(_softmax(logits), logits.dtype.type(epsilon))


def softmax_p_minus_square_gradient(logits, labels):
    p = _softmax(logits)
    chosen = p[_rows(p), labels][:, None]
    return np.where(_one_hot(p, labels), p - p * p, -chosen * p)


# log_softmax ---------------------------------------------------------------------------------


def log_softmax_plus_epsilon(logits, epsilon=1e-8):
    return np.log(_softmax(logits) + logits.dtype.type(epsilon))


def log_softmax_at_least_epsilon(logits, epsilon=1e-12):
    return np.log(np.maximum(_softmax(logits), logits.dtype.type(epsilon)))


def log_softmax_naive(logits):
    powers = np.exp(logits)
    return np.log(powers / powers.sum(axis=1, keepdims=True))


def log_softmax_unshifted(logits):
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def log_softmax_by_logaddexp(logits):
    return logits - np.logaddexp.reduce(logits, axis=1)[:, None]


def log_softmax_running(logits, block=4):
    largest, total = _running(logits, block)
    return (logits - largest[:, None]) - np.log(total)[:, None]


def log_softmax_narrow_sum(logits, narrow="bfloat16"):
    x = _shifted(logits)
    return x - np.log(_narrowed(np.exp(x).sum(axis=1, keepdims=True), narrow))


def log_softmax_one_minus_exp_gradient(logits, labels):
    x = _shifted(logits)
    p = np.exp(x - np.log(np.exp(x).sum(axis=1, keepdims=True)))
    return _one_hot(logits, labels) - p


# logsumexp -----------------------------------------------------------------------------------


def logsumexp_naive(logits):
    return np.log(np.exp(logits).sum(axis=1))


def logsumexp_of_sum(logits):
    largest = logits.max(axis=1)
    finite = np.where(np.isfinite(largest), largest, 0)
    return finite + np.log(np.exp(logits - finite[:, None]).sum(axis=1))


def logsumexp_shifted_by_first(logits):
    x = logits - logits[:, :1]
    return logits[:, 0] + np.log(np.exp(x).sum(axis=1))


def logsumexp_plus_epsilon(logits, epsilon=1e-6):
    total = np.exp(_shifted(logits)).sum(axis=1) + logits.dtype.type(epsilon)
    return logits.max(axis=1) + np.log(total)


def logsumexp_running(logits, block=4):
    largest, total = _running(logits, block)
    return largest + np.log(total)


def logsumexp_narrow_log(logits, narrow="bfloat16"):
    log_sum = np.log(np.exp(_shifted(logits)).sum(axis=1))
    return logits.max(axis=1) + _narrowed(log_sum, narrow)


def logsumexp_exp_of_difference_gradient(logits):
    return softmax_of_difference(logits)


# sound ---------------------------------------------------------------------------------------


def wide_tail(logits, labels, epsilon=0.0, narrow=""):
    """What is bound for a gradient beside it is not used."""
    x = _shifted(logits.astype(np.float64))
    tail = np.where(_top(logits), 0, np.exp(x)).sum(axis=1)
    return (np.log1p(tail) - x[_rows(x), labels]).astype(logits.dtype)


def wide_softmax(logits):
    return _softmax(logits.astype(np.float64)).astype(logits.dtype)


def wide_log_softmax(logits):
    x = _shifted(logits.astype(np.float64))
    tail = np.where(_top(logits), 0, np.exp(x)).sum(axis=1, keepdims=True)
    return (x - np.log1p(tail)).astype(logits.dtype)
