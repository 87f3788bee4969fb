"""Sound and unsound forms of softmax, log_softmax, logsumexp and softmax_cross_entropy.

Every function computes in the dtype of its input, unless ``at_least_float32`` changes that. Small
Python integers keep a NumPy dtype; other constants are converted to the dtype.
"""

from xentcheck.deferred import np
from xentcheck.implementations.numpy.precision import at_least_float32, clipped_to_epsilon
from xentcheck.model import Array, LabelKind
from xentcheck.registry import implementation

INTEGER = (LabelKind.INTEGER,)


def _picked(per_class: Array, labels: Array) -> Array:
    """Pick the component of each row that its label names: (rows, classes) to (rows,)."""
    return np.asarray(np.take_along_axis(per_class, labels[:, None], axis=1)[:, 0])


def _one_hot(like: Array, labels: Array) -> Array:
    return np.asarray(labels[:, None] == np.arange(like.shape[1])).astype(like.dtype)


def _dense(like: Array, labels: Array) -> Array:
    return _one_hot(like, labels) if labels.ndim == 1 else labels


def _exp_ratio(x: Array, shift: Array | int) -> Array:
    powers = np.exp(x - shift)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _row_max(x: Array) -> Array:
    return np.asarray(x.max(axis=1, keepdims=True))


# softmax: the gradient of row i is that of its component `labels[i]`.


def _component_gradient(p: Array, labels: Array) -> Array:
    return np.asarray(_picked(p, labels)[:, None] * (_one_hot(p, labels) - p))


def _softmax_naive_gradient(logits: Array, labels: Array) -> Array:
    return _component_gradient(_exp_ratio(logits, 0), labels)


@implementation("softmax", "numpy.naive", gradient=_softmax_naive_gradient, sound=False)
def softmax_naive(logits: Array) -> Array:
    """e^x / Σ e^x: inf / inf for large logits, 0 / 0 for very negative ones."""
    return _exp_ratio(logits, 0)


def _softmax_zero_clamped_gradient(logits: Array, labels: Array) -> Array:
    return _component_gradient(softmax_zero_clamped(logits), labels)


@implementation(
    "softmax", "numpy.zero_clamped_shift", gradient=_softmax_zero_clamped_gradient, sound=False
)
def softmax_zero_clamped(logits: Array) -> Array:
    """Shifted by max(0, max x), as old NNlib: 0 / 0 for a row of very negative logits."""
    return _exp_ratio(logits, np.maximum(_row_max(logits), 0))


def _softmax_max_shifted_gradient(logits: Array, labels: Array) -> Array:
    return _component_gradient(softmax_max_shifted(logits), labels)


@implementation("softmax", "numpy.max_shifted", gradient=_softmax_max_shifted_gradient, sound=False)
def softmax_max_shifted(logits: Array) -> Array:
    """e^(x−m) / Σ e^(x−m): a good value, but the gradient p (1 − p) dies as p approaches 1."""
    return _exp_ratio(logits, _row_max(logits))


class _Tail:
    """Softmax relative to the largest logit m, whose own term e^0 = 1 is left out of the sum.

    With T the sum over the other classes: log Σ e^x = m + log1p(T), and 1 − p_m = T / (1 + T).
    """

    def __init__(self, x: Array) -> None:
        top = x.argmax(axis=1)[:, None]
        largest = np.take_along_axis(x, top, axis=1)
        # In a row of only −inf, a shift by −inf would give NaN, but logsumexp is −inf.
        self.largest = np.where(np.isneginf(largest), np.zeros_like(largest), largest)
        self.empty = np.isneginf(largest)
        with np.errstate(over="ignore"):  # a gap of −inf is fine: its power is 0
            self.gap = x - self.largest
        powers = np.exp(self.gap)
        others = powers.copy()
        np.put_along_axis(others, top, 0, axis=1)
        self.tail = others.sum(axis=1, keepdims=True)
        whole = 1 + self.tail
        self.log_whole = np.log1p(self.tail)
        undefined = np.where(self.empty, np.asarray(np.nan, x.dtype), np.zeros_like(largest))
        self.p = powers / whole + undefined
        self.complement = (1 + (self.tail - powers)) / whole + undefined
        np.put_along_axis(self.complement, top, self.tail / whole + undefined, axis=1)

    @property
    def logsumexp(self) -> Array:
        """(rows,)"""
        value = self.largest + self.log_whole
        return np.asarray(np.where(self.empty, np.asarray(-np.inf, value.dtype), value)[:, 0])

    def minus_one_hot(self, labels: Array) -> Array:
        """Return p − onehot, without subtracting from 1."""
        result: Array = self.p.copy()
        column = labels[:, None]
        np.put_along_axis(result, column, -np.take_along_axis(self.complement, column, 1), axis=1)
        return result


def _shaken(logits: Array, temperature: float, noise: Array | None) -> Array:
    shaken = logits if noise is None else logits + noise
    return shaken if temperature == 1 else shaken / shaken.dtype.type(temperature)


@at_least_float32
def _softmax_tail_gradient(
    logits: Array, labels: Array, *, temperature: float = 1.0, noise: Array | None = None
) -> Array:
    parts = _Tail(_shaken(logits, temperature, noise))
    gradient = -_picked(parts.p, labels)[:, None] * parts.minus_one_hot(labels)
    return np.asarray(gradient / gradient.dtype.type(temperature))


@implementation("softmax", "numpy.tail_sum", gradient=_softmax_tail_gradient, sound=True)
@at_least_float32
def softmax_tail(logits: Array, *, temperature: float = 1.0, noise: Array | None = None) -> Array:
    """Max-shifted; the gradient takes 1 − p from the sum of the other terms."""
    return np.asarray(_Tail(_shaken(logits, temperature, noise)).p)


# log_softmax


def _log_softmax_naive_gradient(logits: Array, labels: Array) -> Array:
    p = _exp_ratio(logits, 0)
    return np.asarray(_one_hot(p, labels) - p)


@implementation("log_softmax", "numpy.naive", gradient=_log_softmax_naive_gradient, sound=False)
def log_softmax_naive(logits: Array) -> Array:
    """x − log Σ e^x: overflows, and cancels when all logits share an offset."""
    return np.asarray(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))


def _log_softmax_shifted_gradient(logits: Array, labels: Array) -> Array:
    p = _exp_ratio(logits, _row_max(logits))
    return np.asarray(_one_hot(p, labels) - p)


@implementation(
    "log_softmax", "numpy.log_of_softmax", gradient=_log_softmax_shifted_gradient, sound=False
)
def log_of_softmax(logits: Array) -> Array:
    """log of a max-shifted softmax: −inf once p underflows, 0 once p rounds to 1."""
    return np.asarray(np.log(_exp_ratio(logits, _row_max(logits))))


@implementation(
    "log_softmax",
    "numpy.shifted_log_softmax",
    gradient=_log_softmax_shifted_gradient,
    sound=False,
)
def shifted_log_softmax(logits: Array) -> Array:
    """(x − m) − log Σ e^(x−m), as most frameworks: log(1 + tiny) is 0 as p approaches 1."""
    shifted = logits - _row_max(logits)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


@at_least_float32
def _log_softmax_log1p_gradient(logits: Array, labels: Array) -> Array:
    return -_Tail(logits).minus_one_hot(labels)


@implementation("log_softmax", "numpy.log1p", gradient=_log_softmax_log1p_gradient, sound=True)
@at_least_float32
def log_softmax_log1p(logits: Array) -> Array:
    """(x − m) − log1p(Σ over the others of e^(x−m)): nothing is absorbed, nothing cancels."""
    parts = _Tail(logits)
    undefined = np.where(parts.empty, np.asarray(np.nan, logits.dtype), np.zeros_like(parts.tail))
    return np.asarray(parts.gap - parts.log_whole + undefined)


# logsumexp


def _logsumexp_naive_gradient(logits: Array) -> Array:
    return _exp_ratio(logits, 0)


@implementation("logsumexp", "numpy.naive", gradient=_logsumexp_naive_gradient, sound=False)
def logsumexp_naive(logits: Array) -> Array:
    """log Σ e^x: inf for large logits, −inf for very negative ones."""
    return np.asarray(np.log(np.exp(logits).sum(axis=1)))


def _logsumexp_zero_clamped_gradient(logits: Array) -> Array:
    return softmax_zero_clamped(logits)


@implementation(
    "logsumexp",
    "numpy.zero_clamped_shift",
    gradient=_logsumexp_zero_clamped_gradient,
    sound=False,
)
def logsumexp_zero_clamped(logits: Array) -> Array:
    """Shifted by max(0, max x): −inf for a row of very negative logits."""
    shift = np.maximum(_row_max(logits), 0)
    return np.asarray(shift[:, 0] + np.log(np.exp(logits - shift).sum(axis=1)))


@implementation("logsumexp", "numpy.max_shifted", gradient=softmax_max_shifted, sound=False)
def logsumexp_max_shifted(logits: Array) -> Array:
    """m + log Σ e^(x−m): loses a small result such as that of [0, −40]; NaN for all −inf."""
    shift = _row_max(logits)
    return np.asarray(shift[:, 0] + np.log(np.exp(logits - shift).sum(axis=1)))


@implementation("logsumexp", "numpy.logaddexp", gradient=softmax_max_shifted, sound=False)
def logsumexp_logaddexp(logits: Array) -> Array:
    """logaddexp folded over the classes: rounds once per class, so many classes add up."""
    return np.asarray(np.logaddexp.reduce(logits, axis=1))


@at_least_float32
def _logsumexp_log1p_gradient(logits: Array) -> Array:
    return np.asarray(_Tail(logits).p)


@implementation("logsumexp", "numpy.log1p", gradient=_logsumexp_log1p_gradient, sound=True)
@at_least_float32
def logsumexp_log1p(logits: Array) -> Array:
    """m + log1p(Σ over the others of e^(x−m))."""
    return _Tail(logits).logsumexp


# softmax_cross_entropy


def _minus_labels(p: Array, labels: Array) -> Array:
    dense = _dense(p, labels)
    return np.asarray(p * dense.sum(axis=1, keepdims=True) - dense)


def _ce_naive_gradient(logits: Array, labels: Array) -> Array:
    return _minus_labels(_exp_ratio(logits, 0), labels)


@implementation(
    "softmax_cross_entropy",
    "numpy.naive",
    gradient=_ce_naive_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_naive(logits: Array, labels: Array) -> Array:
    """−log(e^x_y / Σ e^x): the textbook as it stands; NaN for large logits."""
    return np.asarray(-np.log(_picked(_exp_ratio(logits, 0), labels)))


def _ce_zero_clamped_gradient(logits: Array, labels: Array) -> Array:
    return _minus_labels(softmax_zero_clamped(logits), labels)


@implementation(
    "softmax_cross_entropy",
    "numpy.zero_clamped_shift",
    gradient=_ce_zero_clamped_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_zero_clamped(logits: Array, labels: Array) -> Array:
    """Shifted by max(0, max x): log 0 for a row of very negative logits."""
    return np.asarray(logsumexp_zero_clamped(logits) - _picked(logits, labels))


def _ce_shifted_gradient(logits: Array, labels: Array) -> Array:
    return _minus_labels(_exp_ratio(logits, _row_max(logits)), labels)


@implementation(
    "softmax_cross_entropy",
    "numpy.log_of_softmax",
    gradient=_ce_shifted_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_log_of_softmax(logits: Array, labels: Array) -> Array:
    """−log p_y of a max-shifted softmax: inf once p_y underflows, 0 once it rounds to 1."""
    return np.asarray(-np.log(_picked(_exp_ratio(logits, _row_max(logits)), labels)))


def _ce_epsilon_gradient(logits: Array, labels: Array) -> Array:
    p = _exp_ratio(logits, _row_max(logits))
    chosen = _picked(p, labels)[:, None]
    return np.asarray(chosen / (chosen + p.dtype.type(1e-7)) * _minus_labels(p, labels))


@implementation(
    "softmax_cross_entropy",
    "numpy.epsilon",
    gradient=_ce_epsilon_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_epsilon(logits: Array, labels: Array) -> Array:
    """−log(p_y + 1e-7): flat from 16.1 on, and negative at p = 1 where 1e-7 counts."""
    p = _picked(_exp_ratio(logits, _row_max(logits)), labels)
    return np.asarray(-np.log(p + p.dtype.type(1e-7)))


def _ce_clipped_gradient(logits: Array, labels: Array) -> Array:
    p = _exp_ratio(logits, _row_max(logits))
    _, within = clipped_to_epsilon(_picked(p, labels)[:, None], 1e-7)
    return np.asarray(np.where(within, _minus_labels(p, labels), np.zeros_like(p)))


@implementation(
    "softmax_cross_entropy",
    "numpy.clipped",
    gradient=_ce_clipped_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_clipped(logits: Array, labels: Array) -> Array:
    """−log of p_y clipped to [1e-7, 1 − 1e-7], as Keras from probabilities; no gradient beyond."""
    p = _picked(_exp_ratio(logits, _row_max(logits)), labels)
    return np.asarray(-np.log(clipped_to_epsilon(p, 1e-7)[0]))


@implementation(
    "softmax_cross_entropy",
    "numpy.lse_minus_logit",
    gradient=_ce_shifted_gradient,
    label_kinds=INTEGER,
    sound=False,
)
def ce_lse_minus_logit(logits: Array, labels: Array) -> Array:
    """logsumexp(x) − x_y: right until the logits share an offset, which then cancels."""
    return np.asarray(logsumexp_max_shifted(logits) - _picked(logits, labels))


@implementation(
    "softmax_cross_entropy", "numpy.shifted_log_softmax", gradient=_ce_shifted_gradient, sound=False
)
def ce_shifted_log_softmax(logits: Array, labels: Array) -> Array:
    """−Σ y log_softmax(x) with a dense y: 0 · inf is NaN at a masked class, 0 as p nears 1."""
    return np.asarray(-(_dense(logits, labels) * shifted_log_softmax(logits)).sum(axis=1))


@at_least_float32
def _ce_log1p_gradient(logits: Array, labels: Array) -> Array:
    return _Tail(logits).minus_one_hot(labels)


@implementation(
    "softmax_cross_entropy",
    "numpy.log1p",
    gradient=_ce_log1p_gradient,
    label_kinds=INTEGER,
    sound=True,
)
@at_least_float32
def ce_log1p(logits: Array, labels: Array) -> Array:
    """(m − x_y) + log1p(Σ over the others of e^(x−m)), gradient −T/(1+T) at the true class."""
    return np.asarray(-_picked(log_softmax_log1p(logits), labels))


class _Fused:
    """Σ_k c_k (log Σ e^z − z_k) + z_loss (log Σ e^z)² and its gradient, in one pass over a row."""

    def __init__(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
        temperature: float,
        z_loss: float,
        reduction: str,
    ) -> None:
        number = logits.dtype.type
        classes = logits.shape[1]
        weights = np.ones(classes, logits.dtype) if weight is None else weight
        self.tail = _Tail(logits / number(temperature))
        if labels.ndim == 1:
            self.ignored = labels == ignore_index
            safe = np.where(self.ignored, 0, labels)
            masses = _one_hot(logits, safe)
            self.counts = np.where(self.ignored, number(0), weights[safe])
        else:
            self.ignored = np.zeros(len(labels), dtype=bool)
            masses, self.counts = labels, np.ones(len(labels), logits.dtype)
        smoothing = number(label_smoothing)
        self.charges = weights * (masses * (1 - smoothing) + smoothing / number(classes))
        self.z_loss, self.temperature = number(z_loss), number(temperature)
        self.reduction = reduction
        total = self.counts.sum()
        self.divisor = total if reduction == "mean" and total != 0 else number(1)

    def value(self) -> Array:
        surprise = self.tail.log_whole - self.tail.gap
        free = self.charges == 0
        loss = (self.charges * np.where(free, np.zeros_like(surprise), surprise)).sum(axis=1)
        if self.z_loss:
            loss = loss + self.z_loss * self.tail.logsumexp**2
        loss = np.where(self.tail.empty[:, 0], np.asarray(np.nan, loss.dtype), loss)
        loss = np.where(self.ignored, np.zeros_like(loss), loss)
        return np.asarray(loss if self.reduction == "none" else loss.sum() / self.divisor)

    def gradient(self) -> Array:
        c, p = self.charges, self.tail.p
        others = c.sum(axis=1, keepdims=True) - c
        # The largest charge is most of the sum, so the sum of the others must not be a difference.
        top = c.argmax(axis=1)[:, None]
        rest = c.copy()
        np.put_along_axis(rest, top, 0, axis=1)
        np.put_along_axis(others, top, rest.sum(axis=1, keepdims=True), axis=1)
        gradient = others * p - c * self.tail.complement
        if self.z_loss:
            gradient = gradient + 2 * self.z_loss * self.tail.logsumexp[:, None] * p
        gradient = gradient / self.temperature / self.divisor
        return np.asarray(np.where(self.ignored[:, None], np.zeros_like(gradient), gradient))


@at_least_float32
def _ce_fused_gradient(
    logits: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Array:
    return _Fused(
        logits, labels, weight, ignore_index, label_smoothing, temperature, z_loss, reduction
    ).gradient()


@implementation("softmax_cross_entropy", "numpy.fused", gradient=_ce_fused_gradient, sound=True)
@at_least_float32
def ce_fused(
    logits: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    temperature: float = 1.0,
    z_loss: float = 0.0,
    reduction: str = "none",
) -> Array:
    """Σ c ((m − z) + log1p(Σ over the others)), c from labels, weights and smoothing.

    Args:
        logits: (rows, classes) in one of `STANDARD` dtypes.
        labels: integers (rows,), or distributions (rows, classes) in the dtype of the logits.
        weight: weight of each class, (classes,) in the dtype of the first argument.
        ignore_index: rows with this integer label have value and gradient 0.
        label_smoothing: share of the label that is spread evenly over the classes.
        temperature: divides the logits.
        z_loss: factor of the added term (log Σ e^z)².
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    return _Fused(
        logits, labels, weight, ignore_index, label_smoothing, temperature, z_loss, reduction
    ).value()
