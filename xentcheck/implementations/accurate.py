"""``numpy.accurate``: every loss to the last ulp, in every dtype, by one algorithm.

Inputs are taken as the exact numbers they are, everything is computed in double-double arithmetic
with exponents of its own (`double_double`), in forms in which nothing cancels but what the problem
itself cancels, and the result is rounded once. Infinities and NaN follow the ``limit`` convention.
All parameters, label kinds and reductions of each loss are supported; 8-bit inputs give float32
results. It is slow (about a microsecond per logit) and meant as proof that a limit can be met.

A result is a pair: the finite numbers, and ``special``, float64, which is 0 where the number holds
and NaN or an infinity where that is the result.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.floats import format_of, from_float64, to_float64
from xentcheck.implementations.double_double import (
    LN_10,
    DoubleDouble,
    asymmetry,
    exp,
    log,
    log1p,
    where,
    x_log_x,
)
from xentcheck.model import Array, Float64Array
from xentcheck.registry import INPUT_DTYPES, implementation

Mask: TypeAlias = npt.NDArray[np.bool_]
Result: TypeAlias = tuple[DoubleDouble, Float64Array]

NAME = "numpy.accurate"
_number = DoubleDouble.of


def _rounded(result: Result, like: Array) -> Array:
    """The result in the dtype of ``like`` (float32 for 8-bit inputs), rounded once."""
    number, special = result
    known = format_of(like.dtype)
    assert known is not None
    if known.name == "float64":
        nearest = number.to_float64()
    else:
        nearest = from_float64(number.to_odd(), known.name if known.bits > 8 else "float32")
    # special + 0: no −0 where the result is 0
    return np.asarray(np.where(special == 0, nearest + 0, special.astype(nearest.dtype)))


def _reduced(result: Result, like: Array, reduction: str, weights: Float64Array) -> Array:
    """Values of rows, (rows,), or their sum or weighted mean, (); a mean over nothing is 0."""
    if reduction == "none":
        return _rounded(result, like)
    total, special = result[0].sum(0), result[1].sum()
    if reduction == "mean":
        divisor = _number(weights).sum(0)
        if divisor.is_zero:
            return _rounded((_number(0.0), np.zeros(())), like)
        total = total / divisor
    return _rounded((total, special), like)


def _shared(result: Result, like: Array, reduction: str, weights: Float64Array) -> Array:
    """The gradient of what `_reduced` gives."""
    if reduction != "mean":
        return _rounded(result, like)
    divisor = _number(weights).sum(0)
    if divisor.is_zero:
        return _rounded((_number(np.zeros(result[0].shape)), np.zeros(result[0].shape)), like)
    return _rounded((result[0] / divisor, result[1]), like)


def _ones(array: Array) -> Float64Array:
    return np.ones(len(array))


def _finite(x: Float64Array, fallback: float = 0.0) -> DoubleDouble:
    return _number(np.where(np.isfinite(x), x, fallback))


def _infinity(sign: Any) -> Float64Array:
    """An infinity of that sign; NaN for 0 and NaN."""
    return np.where(np.abs(sign) > 0, np.copysign(np.inf, sign), np.nan)


def _special(nan: Mask, infinite: Mask | None = None, sign: Any = 1.0) -> Float64Array:
    """NaN, an infinity of that sign, or 0."""
    special = np.zeros(nan.shape) if infinite is None else np.where(infinite, _infinity(sign), 0.0)
    return np.where(nan, np.nan, special)


def _in_row(mask: Mask) -> Mask:
    """Which rows have it: (rows, classes) to (rows,)."""
    return np.asarray(mask.any(axis=1))


def _one_hot(labels: Array, classes: int) -> Mask:
    return np.asarray(labels[:, None] == np.arange(classes))


# The softmax family


class _Softmax:
    """Softmax of each row about its largest term m, which is kept out of the sum.

    With z = (x + noise)/temperature and T = Σ_{j≠m} e^(z_j − z_m): log Σ e^z = z_m + log1p(T),
    p_m = 1/(1 + T), 1 − p_m = T/(1 + T). A row with one +inf is the limit: every other class
    drops out of it. ``undefined`` rows hold NaN, several +inf, or nothing but −inf.
    """

    def __init__(self, logits: Array, temperature: float = 1.0, noise: Array | None = None) -> None:
        x = to_float64(logits)
        shake = np.zeros_like(x) if noise is None else to_float64(noise)
        infinite = x == np.inf
        count = infinite.sum(axis=1, keepdims=True)
        nan = _in_row(np.isnan(x) | ~np.isfinite(shake))[:, None]
        self.dropped = (x == -np.inf) | ((count == 1) & ~infinite)
        self.empty = self.dropped.all(axis=1) & ~nan[:, 0]
        self.undefined = self.empty | (nan | (count > 1))[:, 0]
        self.infinite = (count > 0)[:, 0] & ~nan[:, 0]
        self.nan = nan[:, 0]
        self.temperature = temperature
        parts = [_finite(x)] if noise is None else [_finite(x), _finite(shake)]

        def above(column: npt.NDArray[np.intp]) -> DoubleDouble:
            """x + noise less that of one class; apart, for one may vanish beside the other."""
            differences = [part - _at(part, column) for part in parts]
            return differences[0] if noise is None else differences[0] + differences[1]

        # Rounded sums may tie where the exact ones do not: look again from near the top.
        first = self._top_of(np.where(np.isfinite(x), x, 0.0) / 4 + shake / 4)
        self.top = self._top_of(above(first).approximately())
        self.largest = _at(parts[0], self.top)[:, 0] / temperature
        self.gap = above(self.top) / temperature
        self.powers = where(self.dropped, 0.0, exp(self.gap))
        self.is_top = _one_hot(self.top[:, 0], x.shape[1])
        self.tail = where(self.is_top, 0.0, self.powers).sum(1)[:, None]
        self.log_whole = log1p(self.tail)

    def _top_of(self, approximate: Float64Array) -> npt.NDArray[np.intp]:
        return np.asarray(np.where(self.dropped, -np.inf, approximate).argmax(axis=1)[:, None])

    @property
    def p(self) -> DoubleDouble:
        """(rows, classes)"""
        return self.powers / (self.tail + 1.0)

    @property
    def rest(self) -> DoubleDouble:
        """The sum over the other classes, (rows, classes)"""
        return where(self.is_top, self.tail, self.tail + 1.0 - self.powers)

    @property
    def complement(self) -> DoubleDouble:
        """1 − p, (rows, classes)"""
        return self.rest / (self.tail + 1.0)

    @property
    def surprise(self) -> DoubleDouble:
        """−log p >= 0, (rows, classes); what stands at a dropped class means nothing."""
        return self.log_whole - self.gap

    @property
    def logsumexp(self) -> DoubleDouble:
        """(rows,), for rows without +inf and without noise"""
        return self.largest + self.log_whole[:, 0]

    @property
    def per_class(self) -> Float64Array:
        """The special values of results per class that are finite in every defined row."""
        return _special(np.broadcast_to(self.undefined[:, None], self.dropped.shape))


def _at(z: DoubleDouble, column: npt.NDArray[np.intp]) -> DoubleDouble:
    return z[np.arange(len(column))[:, None], column]


def _softmax_gradient(
    logits: Array, labels: Array, *, temperature: float = 1.0, noise: Array | None = None
) -> Array:
    rows = _Softmax(logits, temperature, noise)
    column = labels[:, None].astype(np.intp)
    minus = where(_one_hot(labels, logits.shape[1]), rows.complement, -rows.p)
    return _rounded((_at(rows.p, column) * minus / temperature, rows.per_class), logits)


@implementation("softmax", NAME, gradient=_softmax_gradient, dtypes=INPUT_DTYPES, sound=True)
def softmax(logits: Array, *, temperature: float = 1.0, noise: Array | None = None) -> Array:
    """e^(z−m) / (1 + Σ over the others) in double-double arithmetic."""
    rows = _Softmax(logits, temperature, noise)
    return _rounded((rows.p, rows.per_class), logits)


def _log_softmax_gradient(logits: Array, labels: Array) -> Array:
    rows = _Softmax(logits)
    minus = where(_one_hot(labels, logits.shape[1]), rows.complement, -rows.p)
    return _rounded((minus, rows.per_class), logits)


@implementation(
    "log_softmax", NAME, gradient=_log_softmax_gradient, dtypes=INPUT_DTYPES, sound=True
)
def log_softmax(logits: Array) -> Array:
    """−((m − x) + log1p(Σ over the others)) in double-double arithmetic."""
    rows = _Softmax(logits)
    undefined = np.broadcast_to(rows.undefined[:, None], rows.dropped.shape)
    return _rounded((-rows.surprise, _special(undefined, rows.dropped, -1.0)), logits)


def _logsumexp_gradient(logits: Array) -> Array:
    rows = _Softmax(logits)
    return _rounded((rows.p, rows.per_class), logits)


@implementation("logsumexp", NAME, gradient=_logsumexp_gradient, dtypes=INPUT_DTYPES, sound=True)
def logsumexp(logits: Array) -> Array:
    """m + log1p(Σ over the others) in double-double arithmetic."""
    rows = _Softmax(logits)
    sign = np.where(rows.empty, -1.0, 1.0)
    return _rounded((rows.logsumexp, _special(rows.nan, rows.infinite | rows.empty, sign)), logits)


class _CrossEntropy:
    """Σ_k c_k (log Σ e^z − z_k) + z_loss (log Σ e^z)², with c_k from labels, weights, smoothing."""

    def __init__(
        self,
        logits: Array,
        labels: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
        temperature: float,
        z_loss: float,
    ) -> None:
        classes = logits.shape[1]
        self.rows = _Softmax(logits, temperature)
        weights = np.ones(classes) if weight is None else to_float64(weight)
        if labels.ndim == 1:
            self.ignored = labels == ignore_index
            safe = np.where(self.ignored, 0, labels)
            masses = _one_hot(safe, classes).astype(np.float64)
            self.row_weights = np.where(self.ignored, 0.0, weights[safe])
        else:
            self.ignored = np.zeros(len(labels), dtype=bool)
            masses = to_float64(labels)
            self.row_weights = _ones(labels)
        bad_label = _in_row(~np.isfinite(masses))
        # Times the number of classes, and divided by it at the end: no rounding of ε/C, so that a
        # gradient that is exactly 0 comes out as 0.
        self.scale = classes if label_smoothing else 1
        self.charges = _finite(masses)
        if label_smoothing:
            keep = (_number(1.0) - label_smoothing) * classes
            self.charges = self.charges * keep + label_smoothing
        if weight is not None:
            self.charges = self.charges * weights
        self.z_loss = z_loss
        undefined = self.rows.undefined | bad_label | (self.rows.infinite & (z_loss != 0))
        self.undefined = undefined & ~self.ignored

    def value(self) -> Result:
        """(rows,)"""
        rows, charged = self.rows, ~self.charges.is_zero
        counted = charged & ~rows.dropped
        value = where(counted, self.charges * rows.surprise, 0.0).sum(1) / self.scale
        if self.z_loss:
            value = value + rows.logsumexp * rows.logsumexp * self.z_loss
        infinite = np.where(charged & rows.dropped, _infinity(self.charges.hi), 0.0)
        special = np.where(self.undefined, np.nan, infinite.sum(axis=1))
        return where(self.ignored, 0.0, value), np.where(self.ignored, 0.0, special)

    def gradient(self) -> Result:
        """(rows, classes)"""
        rows = self.rows
        gradient = _sum_of_others(self.charges) * rows.powers - self.charges * rows.rest
        gradient = gradient / (rows.tail + 1.0) / self.scale
        if self.z_loss:
            gradient = gradient + (rows.logsumexp * self.z_loss).doubled()[:, None] * rows.p
        undefined = np.broadcast_to(self.undefined[:, None], rows.dropped.shape)
        return where(self.ignored[:, None], 0.0, gradient / rows.temperature), _special(undefined)


def _sum_of_others(c: DoubleDouble) -> DoubleDouble:
    """Σ_{k≠j} c_k for each class j, without subtracting a c_j that is most of the sum."""
    largest = np.abs(np.ldexp(c.hi, np.maximum(c.exponent - c.exponent.max(initial=0), -1070)))
    is_largest = _one_hot(largest.argmax(axis=1), c.shape[1])
    rest = where(is_largest, 0.0, c).sum(1)[:, None]
    total = where(is_largest, c, 0.0).sum(1)[:, None] + rest
    return where(is_largest, rest, total - c)


def _cross_entropy_gradient(
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
    case = _CrossEntropy(logits, labels, weight, ignore_index, label_smoothing, temperature, z_loss)
    return _shared(case.gradient(), logits, reduction, case.row_weights)


@implementation(
    "softmax_cross_entropy",
    NAME,
    gradient=_cross_entropy_gradient,
    dtypes=INPUT_DTYPES,
    sound=True,
)
def softmax_cross_entropy(
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
    """Σ c_k ((m − z_k) + log1p(Σ over the others)) in double-double arithmetic."""
    case = _CrossEntropy(logits, labels, weight, ignore_index, label_smoothing, temperature, z_loss)
    return _reduced(case.value(), logits, reduction, case.row_weights)


# The sigmoid family


class _Logistic:
    """σ(±x) and the finite part of softplus(±x); at ±inf their limits."""

    def __init__(self, logits: Array) -> None:
        x = to_float64(logits)
        self.nan = np.isnan(x)
        self.above, self.below = x == np.inf, x == -np.inf
        infinite = self.above | self.below
        e = where(infinite, 0.0, exp(-_finite(np.abs(x))))
        large, small = _number(1.0) / (e + 1.0), e / (e + 1.0)
        self.positive = x >= 0
        self.up, self.down = where(self.positive, large, small), where(self.positive, small, large)
        self._tail = log1p(e)
        self._magnitude = _finite(np.abs(x))

    @property
    def softplus_up(self) -> DoubleDouble:
        """softplus(x); infinite at +inf."""
        return self._tail + where(self.positive, self._magnitude, 0.0)

    @property
    def softplus_down(self) -> DoubleDouble:
        """softplus(−x); infinite at −inf."""
        return self._tail + where(self.positive, 0.0, self._magnitude)


def _sigmoid_gradient(logits: Array) -> Array:
    parts = _Logistic(logits)
    return _rounded((parts.up * parts.down, _special(parts.nan)), logits)


@implementation("sigmoid", NAME, gradient=_sigmoid_gradient, dtypes=INPUT_DTYPES, sound=True)
def sigmoid(logits: Array) -> Array:
    """With e = e^−|x|: 1/(1+e) or e/(1+e), in double-double arithmetic."""
    parts = _Logistic(logits)
    return _rounded((parts.up, _special(parts.nan)), logits)


def _log_sigmoid_gradient(logits: Array) -> Array:
    parts = _Logistic(logits)
    return _rounded((parts.down, _special(parts.nan)), logits)


@implementation(
    "log_sigmoid", NAME, gradient=_log_sigmoid_gradient, dtypes=INPUT_DTYPES, sound=True
)
def log_sigmoid(logits: Array) -> Array:
    """min(x, 0) − log1p(e^−|x|) in double-double arithmetic."""
    parts = _Logistic(logits)
    return _rounded((-parts.softplus_down, _special(parts.nan, parts.below, -1.0)), logits)


@implementation("softplus", NAME, gradient=sigmoid, dtypes=INPUT_DTYPES, sound=True)
def softplus(logits: Array) -> Array:
    """max(x, 0) + log1p(e^−|x|) in double-double arithmetic."""
    parts = _Logistic(logits)
    return _rounded((parts.softplus_up, _special(parts.nan, parts.above)), logits)


class _Binary:
    """on·softplus(−x) + off·softplus(x), with on and off from target, weight and smoothing."""

    def __init__(
        self, logits: Array, labels: Array, pos_weight: float = 1.0, label_smoothing: float = 0.0
    ) -> None:
        z = to_float64(labels)
        self.parts = _Logistic(logits)
        self.nan = self.parts.nan | ~np.isfinite(z)
        self.on = _finite(z)
        self.off = _number(1.0) - self.on
        if label_smoothing:
            keep, half = _number(1.0) - label_smoothing, _number(label_smoothing).doubled(-1)
            self.on, self.off = self.on * keep + half, self.off * keep + half
        self.on = self.on * pos_weight
        self.infinite = (self.parts.above & ~self.off.is_zero) | (
            self.parts.below & ~self.on.is_zero
        )

    @property
    def value(self) -> DoubleDouble:
        """(rows,), where it is finite"""
        return self.on * self.parts.softplus_down + self.off * self.parts.softplus_up

    @property
    def slope(self) -> DoubleDouble:
        """(rows,)"""
        return self.off * self.parts.up - self.on * self.parts.down


def _sigmoid_bce_gradient(
    logits: Array,
    labels: Array,
    *,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Array:
    case = _Binary(logits, labels, pos_weight, label_smoothing)
    return _shared((case.slope, _special(case.nan)), logits, reduction, _ones(logits))


@implementation(
    "sigmoid_binary_cross_entropy",
    NAME,
    gradient=_sigmoid_bce_gradient,
    dtypes=INPUT_DTYPES,
    sound=True,
)
def sigmoid_binary_cross_entropy(
    logits: Array,
    labels: Array,
    *,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Array:
    """z softplus(−x) + (1 − z) softplus(x) in double-double arithmetic."""
    case = _Binary(logits, labels, pos_weight, label_smoothing)
    special = _special(case.nan, case.infinite)
    return _reduced((case.value, special), logits, reduction, _ones(logits))


class _Focal:
    """α_t q^γ BCE(x, z), with q = z σ(−x) + (1 − z) σ(x) the chance of being wrong."""

    def __init__(self, logits: Array, labels: Array, alpha: float | None, gamma: float) -> None:
        self.case = case = _Binary(logits, labels)
        self.gamma = gamma
        self.balance = _number(np.ones(len(labels)))
        if alpha is not None:
            self.balance = case.on * alpha + case.off * (_number(1.0) - alpha)
        wrong = case.on * case.parts.down + case.off * case.parts.up
        self.sure = wrong.is_zero
        self.wrong = where(self.sure, 1.0, wrong)
        self.modulation = self.balance if gamma == 0 else self.balance * self._power()
        self.absent = self.sure | self.balance.is_zero

    def _power(self) -> DoubleDouble:
        return exp(log(self.wrong) * self.gamma)

    def value(self) -> Result:
        """(rows,)"""
        value = where(self.absent, 0.0, self.modulation * self.case.value)
        return value, _special(self.case.nan, self.case.infinite & ~self.absent)

    def gradient(self) -> Result:
        """(rows,)"""
        case = self.case
        parts = case.parts
        share = (case.off - case.on) * parts.up * parts.down / self.wrong * case.value
        gradient = self.modulation * (case.slope + share * self.gamma)
        return where(self.absent, 0.0, gradient), _special(case.nan)


def _focal_gradient(
    logits: Array,
    labels: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Array:
    case = _Focal(logits, labels, alpha, gamma)
    return _shared(case.gradient(), logits, reduction, _ones(logits))


@implementation(
    "sigmoid_focal_loss", NAME, gradient=_focal_gradient, dtypes=INPUT_DTYPES, sound=True
)
def sigmoid_focal_loss(
    logits: Array,
    labels: Array,
    *,
    alpha: float | None = None,
    gamma: float = 2.0,
    reduction: str = "none",
) -> Array:
    """e^(γ log q) times the softplus form, q a sum of positives, in double-double arithmetic."""
    case = _Focal(logits, labels, alpha, gamma)
    return _reduced(case.value(), logits, reduction, _ones(logits))


# Losses of probabilities and log-probabilities


def _positive(p: Float64Array) -> DoubleDouble:
    """The numbers where a logarithm can be taken of them, 1 elsewhere."""
    return _number(np.where((p > 0) & np.isfinite(p), p, 1.0))


def _masses(labels: Array, classes: int) -> Float64Array:
    dense = _one_hot(labels, classes) if labels.ndim == 1 else to_float64(labels)
    return dense.astype(np.float64)


def _outside(p: Float64Array) -> Mask:
    """Where p is no number that a probability rounds to."""
    return ~((p >= 0) & np.isfinite(p))


def _categorical_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    p = to_float64(probabilities)
    y = _masses(labels, p.shape[1])
    nan = _in_row(_outside(p) | ~np.isfinite(y))[:, None]
    gradient = -(_finite(y) / _positive(p))
    special = _special(np.broadcast_to(nan, p.shape), (p == 0) & (y != 0), -np.sign(y))
    return _shared((gradient, special), probabilities, reduction, _ones(p))


@implementation(
    "categorical_cross_entropy",
    NAME,
    gradient=_categorical_gradient,
    dtypes=INPUT_DTYPES,
    sound=True,
)
def categorical_cross_entropy(
    probabilities: Array, labels: Array, *, reduction: str = "none"
) -> Array:
    """−Σ y log p over the classes with y > 0, in double-double arithmetic."""
    p = to_float64(probabilities)
    y = _masses(labels, p.shape[1])
    nan = _in_row(_outside(p) | ~np.isfinite(y))
    value = -(_finite(y) * log(_positive(p))).sum(1)
    special = _special(nan, _in_row((p == 0) & (y != 0)))
    return _reduced((value, special), probabilities, reduction, _ones(p))


def _binary_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    p, z = to_float64(probabilities), to_float64(labels)
    nan = _outside(p) | (p > 1) | ~np.isfinite(z)
    # (p − z)/(p (1 − p)), where p = 0 or 1 cancels against z = 0 or 1
    chance, rest = _number(np.where((p > 0) & (p <= 1), p, 1.0)), _number(1.0) - _finite(p)
    rest = where(rest.is_zero, 1.0, rest)
    soft = (_finite(p) - _finite(z)) / chance / rest
    hard = where(z == 0, _number(1.0) / rest, _number(-1.0) / chance)
    gradient = where((z == 0) | (z == 1), hard, soft)
    special = np.where((p == 0) & (z != 0), -np.inf, np.where((p == 1) & (z != 1), np.inf, 0.0))
    special = np.where(nan, np.nan, special)
    return _shared((gradient, special), probabilities, reduction, _ones(p))


@implementation(
    "binary_cross_entropy", NAME, gradient=_binary_gradient, dtypes=INPUT_DTYPES, sound=True
)
def binary_cross_entropy(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """−z log p − (1 − z) log1p(−p) in double-double arithmetic."""
    p, z = to_float64(probabilities), to_float64(labels)
    nan = _outside(p) | (p > 1) | ~np.isfinite(z)
    against = log1p(-_number(np.where((p >= 0) & (p < 1), p, 0.0)))
    value = -(_finite(z) * log(_positive(p)) + (_number(1.0) - _finite(z)) * against)
    special = _special(nan, ((p == 0) & (z != 0)) | ((p == 1) & (z != 1)))
    return _reduced((value, special), probabilities, reduction, _ones(p))


def _nll_weights(
    labels: Array, classes: int, weight: Array | None, ignore_index: int
) -> tuple[npt.NDArray[np.intp], Float64Array]:
    """The labels with 0 for ignored ones, and w_y with 0 for ignored rows."""
    ignored = labels == ignore_index
    safe = np.where(ignored, 0, labels).astype(np.intp)
    weights = np.ones(classes) if weight is None else to_float64(weight)
    return safe, np.where(ignored, 0.0, weights[safe])


def _nll_gradient(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    classes = log_probabilities.shape[1]
    safe, weights = _nll_weights(labels, classes, weight, ignore_index)
    gradient = where(_one_hot(safe, classes), -_number(weights)[:, None], 0.0)
    result = (gradient, np.zeros(gradient.shape))
    return _shared(result, log_probabilities, reduction, weights)


@implementation("nll_loss", NAME, gradient=_nll_gradient, dtypes=INPUT_DTYPES, sound=True)
def nll_loss(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    """−w_y x_y, an exact product rounded once."""
    safe, weights = _nll_weights(labels, log_probabilities.shape[1], weight, ignore_index)
    x = np.take_along_axis(to_float64(log_probabilities), safe[:, None], axis=1)[:, 0]
    ignored = labels == ignore_index
    special = _special(np.isnan(x) & ~ignored, np.isinf(x) & (weights != 0), -np.sign(x))
    value = -(_finite(x) * weights)
    return _reduced((value, special), log_probabilities, reduction, weights)


def _kl_target(labels: Array, log_target: bool) -> tuple[DoubleDouble, DoubleDouble, Mask, Mask]:
    """(t, log t, where t is 0, where t is no number)."""
    given = to_float64(labels)
    if log_target:
        absent, nan = given == -np.inf, np.isnan(given) | (given == np.inf)
        return where(absent, 0.0, exp(_finite(given))), _finite(given), absent, nan
    return _finite(given), log(_positive(given)), given == 0, _outside(given)


def _kl_gradient(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    t, _, _, nan = _kl_target(labels, log_target)
    special = _special(np.broadcast_to(_in_row(nan)[:, None], nan.shape))
    return _shared((-t, special), log_probabilities, reduction, _ones(labels))


@implementation("kl_divergence", NAME, gradient=_kl_gradient, dtypes=INPUT_DTYPES, sound=True)
def kl_divergence(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    """Σ t (log t − x) over the classes with t > 0, in double-double arithmetic."""
    x = to_float64(log_probabilities)
    t, log_t, absent, nan = _kl_target(labels, log_target)
    value = where(absent, 0.0, t * (log_t - _finite(x))).sum(1)
    infinite = np.where(np.isinf(x) & ~absent, -x, 0.0).sum(axis=1)
    special = np.where(_in_row(nan | np.isnan(x)), np.nan, infinite)
    return _reduced((value, special), log_probabilities, reduction, _ones(labels))


def _js_parts(
    probabilities: Array, labels: Array
) -> tuple[Float64Array, Float64Array, Mask, DoubleDouble, DoubleDouble]:
    """(p, q, rows with NaN, p + q, (p − q)/(p + q)), the last 0 where p = q = 0."""
    p, q = to_float64(probabilities), to_float64(labels)
    nan = _in_row(_outside(p) | _outside(q))
    safe_p, safe_q = np.where(_outside(p), 0.0, p), np.where(_outside(q), 0.0, q)
    total = _number(safe_p) + _number(safe_q)
    difference = _number(safe_p) - _number(safe_q)
    return safe_p, safe_q, nan, total, difference / where(total.is_zero, 1.0, total)


def _js_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    p, q, nan, total, d = _js_parts(probabilities, labels)
    near = (d.exponent < 0) & ~total.is_zero  # |d| < 1/2
    ratio = _number(p).doubled() / where(total.is_zero, 1.0, total)
    # Where p = q = 0 anything is accepted; 2 is the ratio as p tends to 0.
    ratio = where(total.is_zero, 2.0, where(near | (p == 0), 1.0, ratio))
    logs = where(near, log1p(where(near, d, 0.0)), log(ratio))
    special = _special(np.broadcast_to(nan[:, None], p.shape), (p == 0) & (q > 0), -1.0)
    return _shared((logs.doubled(-1), special), probabilities, reduction, _ones(p))


@implementation("js_divergence", NAME, gradient=_js_gradient, dtypes=INPUT_DTYPES, sound=True)
def js_divergence(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """¼ Σ (p + q) g((p − q)/(p + q)) with g by its series near 0, in double-double arithmetic."""
    p, q, nan, total, d = _js_parts(probabilities, labels)
    near = d.exponent < -6
    divisor = where(total.is_zero, 1.0, total)
    far = x_log_x(_number(p).doubled() / divisor) + x_log_x(_number(q).doubled() / divisor)
    shares = total * where(near, asymmetry(where(near, d, 0.0)), far)
    value = (shares.sum(1)).doubled(-2)
    return _reduced((value, _special(nan)), probabilities, reduction, _ones(p))


def _unit(base: str) -> DoubleDouble:
    return DoubleDouble.of_decimal(LN_10) if base == "10" else log(_number(2.0))


def _entropy_gradient(probabilities: Array, *, base: str = "e", reduction: str = "none") -> Array:
    p = to_float64(probabilities)
    gradient = -(log(_positive(p)) + 1.0)
    if base != "e":
        gradient = gradient / _unit(base)
    nan = np.broadcast_to(_in_row(_outside(p))[:, None], p.shape)
    return _shared((gradient, _special(nan, p == 0)), probabilities, reduction, _ones(p))


@implementation("entropy", NAME, gradient=_entropy_gradient, dtypes=INPUT_DTYPES, sound=True)
def entropy(probabilities: Array, *, base: str = "e", reduction: str = "none") -> Array:
    """−Σ p log p over the classes with p > 0, over log of the base, in double-double arithmetic."""
    p = to_float64(probabilities)
    value = -x_log_x(_number(np.where(_outside(p), 1.0, p))).sum(1)
    if base != "e":
        value = value / _unit(base)
    result = (value, _special(_in_row(_outside(p))))
    return _reduced(result, probabilities, reduction, _ones(p))
