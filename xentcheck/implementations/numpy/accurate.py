"""``numpy.accurate``, one algorithm in one file: every loss to the last ulp, in every dtype.

It takes inputs as exact numbers and computes in double-double arithmetic with separate exponents
(`double_double`). Its formulas cancel only where the problem itself cancels. The result is rounded
once. Infinities and NaN follow the ``limit`` convention. It supports all parameters, label kinds
and reductions of each loss; 8-bit inputs give float32 results. It is slow (about two microseconds
per logit). It exists to prove that a limit can be met.

Near a zero of a result its terms cancel. Every number carries an error bound (`tracked`), so the
result shows how much was lost. Rows that lost too much are computed again with the same formulas in
wider arithmetic (`wide`), which is widened until enough bits are left.

A result is a pair: finite numbers, and ``special`` in float64. ``special`` is 0 where the number
counts, and NaN or an infinity where that is the result.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from xentcheck.deferred import deferred, np, npt
from xentcheck.floats import FORMATS, INPUT_DTYPES, Format, format_of, from_float64, to_float64
from xentcheck.implementations.numpy.tracked import ZERO_EXPONENT, Mask, Tracked, where, x_log_x
from xentcheck.model import Array, Float64Array
from xentcheck.registry import implementation

if TYPE_CHECKING:
    from xentcheck.implementations.numpy import double_double, wide
else:  # they compute tables of constants
    double_double = deferred("xentcheck.implementations.numpy.double_double")
    wide = deferred("xentcheck.implementations.numpy.wide")

Maker: TypeAlias = "Callable[[npt.ArrayLike], Tracked]"  # makes tracked numbers from float64
Rows: TypeAlias = "slice | npt.NDArray[np.intp]"
Result: TypeAlias = tuple[Tracked, Float64Array]
Settled: TypeAlias = "tuple[double_double.DoubleDouble, Float64Array]"
Formula: TypeAlias = Callable[[Maker, Rows], Result]  # computes these rows in that arithmetic

NAME = "numpy.accurate"
_ALL = slice(None)
_SPARE = 6  # an error of 2^−6 ulp is allowed on top of the half ulp of the rounding
_FIRST_WIDTH = 256  # bits of the second pass
# Any product of four float64 numbers and their inverses is below 2^4400. So 2^13 bits leave an
# error below the smallest subnormal, however much cancels. One more doubling is a safety margin.
_LAST_WIDTH = 2**14


def _result_format(like: Array) -> Format:
    known = format_of(like.dtype)
    assert known is not None
    return known if known.bits > 8 else FORMATS["float32"]


def _settled(formula: Formula, like: Array) -> Settled:
    """Compute all rows in double-double arithmetic, and doubtful rows in ever wider arithmetic.

    A row is doubtful if its error may exceed 2^−6 ulp of its result in the dtype.
    """
    known = _result_format(like)
    smallest = known.min_exponent - known.precision + 1

    def in_doubt(number: Tracked, special: Float64Array) -> Mask:
        doubt = number.in_doubt(known.precision + _SPARE, smallest - _SPARE) & (special == 0)
        return np.asarray(doubt.any(axis=tuple(range(1, doubt.ndim))))

    number, special = formula(double_double.DoubleDouble.of, _ALL)
    assert isinstance(number, double_double.DoubleDouble)
    rows, bits = np.flatnonzero(in_doubt(number, special)), _FIRST_WIDTH
    while len(rows) and bits <= _LAST_WIDTH:
        again, more = formula(partial(wide.Wide.of, bits=bits), rows)
        assert isinstance(again, wide.Wide)
        number = number.replaced(rows, again.to_double_double())
        special[rows] = more
        rows = rows[in_doubt(again, more)]
        bits *= 2
    return number, special


def _rounded(result: Settled, like: Array) -> Array:
    """Round the result once to the dtype of ``like`` (float32 for 8-bit inputs)."""
    number, special = result
    name = _result_format(like).name
    nearest = number.to_float64() if name == "float64" else from_float64(number.to_odd(), name)
    # special + 0: turns −0 into 0
    return np.asarray(np.where(special == 0, nearest + 0, special.astype(nearest.dtype)))


def _computed(formula: Formula, like: Array) -> Array:
    return _rounded(_settled(formula, like), like)


def _reduced(formula: Formula, like: Array, reduction: str, weights: Float64Array) -> Array:
    """Return the values (rows,), or their sum or weighted mean (); the mean of nothing is 0."""
    if reduction == "none":
        return _computed(formula, like)
    if reduction == "mean" and not weights.any():
        return _rounded((double_double.DoubleDouble.of(0.0), np.zeros(())), like)

    def total(number: Maker, _: Rows) -> Result:
        """Compute all rows as a single row."""
        value, special = formula(number, _ALL)
        value = value.sum(0)
        if reduction == "mean":
            value = value / number(weights).sum(0)
        return value[None], special.sum()[None]

    return np.asarray(_computed(total, like)[0])


def _shared(formula: Formula, like: Array, reduction: str, weights: Float64Array) -> Array:
    """Return the gradient of the result of `_reduced`."""
    if reduction != "mean":
        return _computed(formula, like)
    if not weights.any():
        return _rounded(
            (double_double.DoubleDouble.of(np.zeros(like.shape)), np.zeros(like.shape)), like
        )

    def share(number: Maker, rows: Rows) -> Result:
        gradient, special = formula(number, rows)
        return gradient / number(weights).sum(0), special

    return _computed(share, like)


def _ones(array: Array) -> Float64Array:
    return np.ones(len(array))


def _finite(x: Float64Array) -> Float64Array:
    """Replace numbers that are not finite by 0."""
    return np.where(np.isfinite(x), x, 0.0)


def _infinity(sign: Any) -> Float64Array:
    """Return an infinity of that sign; NaN for 0 and NaN."""
    return np.where(np.abs(sign) > 0, np.copysign(np.inf, sign), np.nan)


def _special(nan: Mask, infinite: Mask | None = None, sign: Any = 1.0) -> Float64Array:
    """Return NaN, an infinity of that sign, or 0."""
    special = np.zeros(nan.shape) if infinite is None else np.where(infinite, _infinity(sign), 0.0)
    return np.where(nan, np.nan, special)


def _in_row(mask: Mask) -> Mask:
    """Return the rows that contain a True: (rows, classes) to (rows,)."""
    return np.asarray(mask.any(axis=1))


def _one_hot(labels: Array, classes: int) -> Mask:
    return np.asarray(labels[:, None] == np.arange(classes))


# The softmax family


class _Softmax:
    """Softmax of each row relative to its largest term m, which is left out of the sum.

    With z = (x + noise)/temperature and T = Σ_{j≠m} e^(z_j − z_m): log Σ e^z = z_m + log1p(T),
    p_m = 1/(1 + T), 1 − p_m = T/(1 + T). A row with a single +inf takes the limit: all other
    classes drop out. ``undefined`` rows contain NaN or several +inf, or only −inf.
    """

    def __init__(
        self, number: Maker, logits: Array, temperature: float = 1.0, noise: Array | None = None
    ) -> None:
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
        parts = [number(_finite(each)) for each in ([x] if noise is None else [x, shake])]

        def above(column: npt.NDArray[np.intp]) -> Tracked:
            """Subtract one class from x and from noise apart: their sum may absorb one of them."""
            differences = [part - _at(part, column) for part in parts]
            return differences[0] if noise is None else differences[0] + differences[1]

        # Rounded sums may tie where the exact sums do not, so choose again relative to a class near
        # the top.
        first = self._top_of(np.where(np.isfinite(x), x, 0.0) / 4 + shake / 4)
        self.top = self._top_of(above(first).approximately())
        self.largest = _at(parts[0], self.top)[:, 0] / temperature
        self.gap = above(self.top) / temperature
        self.powers = where(self.dropped, 0.0, self.gap.exp())
        self.is_top = _one_hot(self.top[:, 0], x.shape[1])
        self.tail = where(self.is_top, 0.0, self.powers).sum(1)[:, None]
        self.log_whole = self.tail.log1p()

    def _top_of(self, approximate: Float64Array) -> npt.NDArray[np.intp]:
        return np.asarray(np.where(self.dropped, -np.inf, approximate).argmax(axis=1)[:, None])

    @property
    def p(self) -> Tracked:
        """(rows, classes)"""
        return self.powers / (self.tail + 1.0)

    @property
    def rest(self) -> Tracked:
        """Sum over the other classes, (rows, classes)"""
        return where(self.is_top, self.tail, self.tail + 1.0 - self.powers)

    @property
    def complement(self) -> Tracked:
        """1 − p, (rows, classes)"""
        return self.rest / (self.tail + 1.0)

    @property
    def surprise(self) -> Tracked:
        """−log p >= 0, (rows, classes); meaningless at a dropped class"""
        return self.log_whole - self.gap

    @property
    def logsumexp(self) -> Tracked:
        """(rows,), for rows without +inf and without noise"""
        return self.largest + self.log_whole[:, 0]

    @property
    def per_class(self) -> Float64Array:
        """Special values of per-class results that are finite in every defined row"""
        return _special(np.broadcast_to(self.undefined[:, None], self.dropped.shape))


def _at(z: Tracked, column: npt.NDArray[np.intp]) -> Tracked:
    return z[np.arange(len(column))[:, None], column]


def _softmax_gradient(
    logits: Array, labels: Array, *, temperature: float = 1.0, noise: Array | None = None
) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        label = labels[rows]
        case = _Softmax(number, logits[rows], temperature, None if noise is None else noise[rows])
        minus = where(_one_hot(label, logits.shape[1]), case.complement, -case.p)
        own = _at(case.p, label[:, None].astype(np.intp))
        return own * minus / temperature, case.per_class

    return _computed(slopes, logits)


@implementation("softmax", NAME, gradient=_softmax_gradient, dtypes=INPUT_DTYPES, sound=True)
def softmax(logits: Array, *, temperature: float = 1.0, noise: Array | None = None) -> Array:
    """e^(z−m) / (1 + Σ over the others) in double-double arithmetic."""

    def shares(number: Maker, rows: Rows) -> Result:
        case = _Softmax(number, logits[rows], temperature, None if noise is None else noise[rows])
        return case.p, case.per_class

    return _computed(shares, logits)


def _log_softmax_gradient(logits: Array, labels: Array) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        case = _Softmax(number, logits[rows])
        own = _one_hot(labels[rows], logits.shape[1])
        return where(own, case.complement, -case.p), case.per_class

    return _computed(slopes, logits)


@implementation(
    "log_softmax", NAME, gradient=_log_softmax_gradient, dtypes=INPUT_DTYPES, sound=True
)
def log_softmax(logits: Array) -> Array:
    """−((m − x) + log1p(Σ over the others)) in double-double arithmetic."""

    def log_shares(number: Maker, rows: Rows) -> Result:
        case = _Softmax(number, logits[rows])
        undefined = np.broadcast_to(case.undefined[:, None], case.dropped.shape)
        return -case.surprise, _special(undefined, case.dropped, -1.0)

    return _computed(log_shares, logits)


def _logsumexp_gradient(logits: Array) -> Array:
    return softmax(logits)


@implementation("logsumexp", NAME, gradient=_logsumexp_gradient, dtypes=INPUT_DTYPES, sound=True)
def logsumexp(logits: Array) -> Array:
    """m + log1p(Σ over the others) in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        case = _Softmax(number, logits[rows])
        sign = np.where(case.empty, -1.0, 1.0)
        return case.logsumexp, _special(case.nan, case.infinite | case.empty, sign)

    return _computed(values, logits)


class _CrossEntropy:
    """Σ_k c_k (log Σ e^z − z_k) + z_loss (log Σ e^z)², with c_k from labels, weights, smoothing."""

    def __init__(
        self,
        number: Maker,
        logits: Array,
        labels: Array,
        weight: Array | None,
        ignore_index: int,
        label_smoothing: float,
        temperature: float,
        z_loss: float,
    ) -> None:
        classes = logits.shape[1]
        self.softmax = _Softmax(number, logits, temperature)
        self.ignored = np.zeros(len(labels), dtype=bool)
        masses = to_float64(labels) if labels.ndim == 2 else np.zeros(logits.shape)
        if labels.ndim == 1:
            self.ignored = labels == ignore_index
            masses = _one_hot(np.where(self.ignored, 0, labels), classes).astype(np.float64)
        bad_label = _in_row(~np.isfinite(masses))
        # Multiply by the number of classes, and divide at the end. This avoids the rounding of ε/C,
        # so a gradient that is exactly 0 comes out as 0.
        self.scale = float(classes if label_smoothing else 1)
        self.charges = number(_finite(masses))
        if label_smoothing:
            keep = (number(1.0) - label_smoothing) * float(classes)
            self.charges = self.charges * keep + label_smoothing
        if weight is not None:
            self.charges = self.charges * to_float64(weight)
        self.z_loss = z_loss
        undefined = self.softmax.undefined | bad_label | (self.softmax.infinite & (z_loss != 0))
        self.undefined = undefined & ~self.ignored

    def value(self) -> Result:
        """(rows,)"""
        softmax, charged = self.softmax, ~self.charges.is_zero
        counted = charged & ~softmax.dropped
        value = where(counted, self.charges * softmax.surprise, 0.0).sum(1) / self.scale
        if self.z_loss:
            value = value + softmax.logsumexp * softmax.logsumexp * self.z_loss
        infinite = np.where(charged & softmax.dropped, _infinity(self.charges.fraction), 0.0)
        special = np.where(self.undefined, np.nan, infinite.sum(axis=1))
        return where(self.ignored, 0.0, value), np.where(self.ignored, 0.0, special)

    def gradient(self) -> Result:
        """(rows, classes)"""
        softmax = self.softmax
        gradient = _sum_of_others(self.charges) * softmax.powers - self.charges * softmax.rest
        gradient = gradient / (softmax.tail + 1.0) / self.scale
        if self.z_loss:
            gradient = gradient + (softmax.logsumexp * self.z_loss).doubled()[:, None] * softmax.p
        undefined = np.broadcast_to(self.undefined[:, None], softmax.dropped.shape)
        gradient = where(self.ignored[:, None], 0.0, gradient / softmax.temperature)
        return gradient, _special(undefined)


def _sum_of_others(c: Tracked) -> Tracked:
    """Return Σ_{k≠j} c_k for each class j, without subtracting a c_j that dominates the sum."""
    top = c.exponent.max(axis=1, keepdims=True, initial=ZERO_EXPONENT)
    largest = np.abs(np.ldexp(c.fraction, np.maximum(c.exponent - top, -1070)))
    is_largest = _one_hot(largest.argmax(axis=1), c.shape[1])
    rest = where(is_largest, 0.0, c).sum(1)[:, None]
    total = where(is_largest, c, 0.0).sum(1)[:, None] + rest
    return where(is_largest, rest, total - c)


def _label_weights(
    labels: Array, classes: int, weight: Array | None, ignore_index: int
) -> Float64Array:
    """Return each row's weight in a mean, (rows,): w_y, 0 if ignored, 1 for a distribution."""
    if labels.ndim == 2:
        return _ones(labels)
    ignored = labels == ignore_index
    weights = np.ones(classes) if weight is None else to_float64(weight)
    return np.where(ignored, 0.0, weights[np.where(ignored, 0, labels).astype(np.intp)])


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
    more = weight, ignore_index, label_smoothing, temperature, z_loss

    def slopes(number: Maker, rows: Rows) -> Result:
        return _CrossEntropy(number, logits[rows], labels[rows], *more).gradient()

    weights = _label_weights(labels, logits.shape[1], weight, ignore_index)
    return _shared(slopes, logits, reduction, weights)


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
    """Σ c_k ((m − z_k) + log1p(Σ over the others)) in double-double arithmetic.

    Args:
        logits: (rows, classes) in one of `INPUT_DTYPES`.
        labels: integers (rows,), or distributions (rows, classes) in the dtype of the logits.
        weight: weight of each class, (classes,) in the dtype of the first argument.
        ignore_index: rows with this integer label have value and gradient 0.
        label_smoothing: share of the label that is spread evenly over the classes.
        temperature: divides the logits.
        z_loss: factor of the added term (log Σ e^z)².
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    more = weight, ignore_index, label_smoothing, temperature, z_loss

    def values(number: Maker, rows: Rows) -> Result:
        return _CrossEntropy(number, logits[rows], labels[rows], *more).value()

    weights = _label_weights(labels, logits.shape[1], weight, ignore_index)
    return _reduced(values, logits, reduction, weights)


# The sigmoid family


class _Logistic:
    """σ(±x) and the finite part of softplus(±x); at ±inf their limits.

    With e = e^−|x|: σ(x) = ``high``/(1 + e) and σ(−x) = ``low``/(1 + e). One of ``high`` and
    ``low`` is 1, the other is e.
    """

    def __init__(self, number: Maker, logits: Array) -> None:
        x = to_float64(logits)
        self.nan = np.isnan(x)
        self.above, self.below = x == np.inf, x == -np.inf
        self.magnitude = number(_finite(np.abs(x)))
        e = where(self.above | self.below, 0.0, (-self.magnitude).exp())
        self.positive = x >= 0
        self.high, self.low = where(self.positive, 1.0, e), where(self.positive, e, 1.0)
        self.whole = e + 1.0
        self.tail = e.log1p()

    @property
    def up(self) -> Tracked:
        """σ(x)"""
        return self.high / self.whole

    @property
    def down(self) -> Tracked:
        """σ(−x)"""
        return self.low / self.whole

    @property
    def softplus_up(self) -> Tracked:
        """softplus(x); infinite at +inf."""
        return self.tail + where(self.positive, self.magnitude, 0.0)

    @property
    def softplus_down(self) -> Tracked:
        """softplus(−x); infinite at −inf."""
        return self.tail + where(self.positive, 0.0, self.magnitude)


def _sigmoid_gradient(logits: Array) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        parts = _Logistic(number, logits[rows])
        return parts.up * parts.down, _special(parts.nan)

    return _computed(slopes, logits)


@implementation("sigmoid", NAME, gradient=_sigmoid_gradient, dtypes=INPUT_DTYPES, sound=True)
def sigmoid(logits: Array) -> Array:
    """With e = e^−|x|: 1/(1+e) or e/(1+e), in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        parts = _Logistic(number, logits[rows])
        return parts.up, _special(parts.nan)

    return _computed(values, logits)


def _log_sigmoid_gradient(logits: Array) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        parts = _Logistic(number, logits[rows])
        return parts.down, _special(parts.nan)

    return _computed(slopes, logits)


@implementation(
    "log_sigmoid", NAME, gradient=_log_sigmoid_gradient, dtypes=INPUT_DTYPES, sound=True
)
def log_sigmoid(logits: Array) -> Array:
    """min(x, 0) − log1p(e^−|x|) in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        parts = _Logistic(number, logits[rows])
        return -parts.softplus_down, _special(parts.nan, parts.below, -1.0)

    return _computed(values, logits)


@implementation("softplus", NAME, gradient=sigmoid, dtypes=INPUT_DTYPES, sound=True)
def softplus(logits: Array) -> Array:
    """max(x, 0) + log1p(e^−|x|) in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        parts = _Logistic(number, logits[rows])
        return parts.softplus_up, _special(parts.nan, parts.above)

    return _computed(values, logits)


class _Binary:
    """on·softplus(−x) + off·softplus(x), with on and off from target, weight and smoothing."""

    def __init__(
        self,
        number: Maker,
        logits: Array,
        labels: Array,
        pos_weight: float = 1.0,
        label_smoothing: float = 0.0,
    ) -> None:
        z = to_float64(labels)
        self.parts = _Logistic(number, logits)
        self.nan = self.parts.nan | ~np.isfinite(z)
        self.on = number(_finite(z))
        self.off = number(1.0) - self.on
        if label_smoothing:
            keep, half = number(1.0) - label_smoothing, number(label_smoothing).doubled(-1)
            self.on, self.off = self.on * keep + half, self.off * keep + half
        self.on = self.on * pos_weight
        self.infinite = (self.parts.above & ~self.off.is_zero) | (
            self.parts.below & ~self.on.is_zero
        )

    @property
    def value(self) -> Tracked:
        """(rows,), where it is finite"""
        return self.on * self.parts.softplus_down + self.off * self.parts.softplus_up

    @property
    def slope(self) -> Tracked:
        """(rows,); divides by the common divisor last, so that an exact 0 comes out as 0"""
        return (self.off * self.parts.high - self.on * self.parts.low) / self.parts.whole


def _sigmoid_bce_gradient(
    logits: Array,
    labels: Array,
    *,
    pos_weight: float = 1.0,
    label_smoothing: float = 0.0,
    reduction: str = "none",
) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        case = _Binary(number, logits[rows], labels[rows], pos_weight, label_smoothing)
        return case.slope, _special(case.nan)

    return _shared(slopes, logits, reduction, _ones(logits))


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
    """z softplus(−x) + (1 − z) softplus(x) in double-double arithmetic.

    Args:
        logits: (rows,) in one of `INPUT_DTYPES`.
        labels: targets (rows,) in the dtype of the logits.
        pos_weight: weight of the positive class.
        label_smoothing: share of the target that is spread evenly over both classes.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """

    def values(number: Maker, rows: Rows) -> Result:
        case = _Binary(number, logits[rows], labels[rows], pos_weight, label_smoothing)
        return case.value, _special(case.nan, case.infinite)

    return _reduced(values, logits, reduction, _ones(logits))


class _Focal:
    """α_t q^γ BCE(x, z); q = z σ(−x) + (1 − z) σ(x) is the probability of being wrong.

    If the whole target lies on the side of x, q = m e/(1 + e) with e = e^−|x| and the mass m. Then
    log q = log m − |x| − log1p(e) and σ(x) σ(−x)/q = 1/(m (1 + e)) hold for any small e.
    """

    def __init__(
        self, number: Maker, logits: Array, labels: Array, alpha: float | None, gamma: float
    ) -> None:
        self.case = case = _Binary(number, logits, labels)
        self.gamma = gamma
        self.balance = number(np.ones(len(labels)))
        if alpha is not None:
            self.balance = case.on * alpha + case.off * (number(1.0) - alpha)
        parts = case.parts
        wrong = (case.on * parts.low + case.off * parts.high) / parts.whole
        sure = wrong.is_zero
        one_sided = where(parts.positive, case.off, case.on).is_zero & ~sure
        mass = where(one_sided, where(parts.positive, case.on, case.off), 1.0)
        wrong = where(sure | one_sided, 1.0, wrong)
        self.modulation = self.balance
        if gamma:
            far = mass.log() - parts.magnitude - parts.tail
            log_wrong = where(one_sided, far, wrong.log())
            self.modulation = self.balance * (log_wrong * gamma).exp()
        # σ(x) σ(−x)/q
        self.ratio = where(
            one_sided, number(1.0) / (mass * parts.whole), parts.up * parts.down / wrong
        )
        self.absent = sure | self.balance.is_zero

    def value(self) -> Result:
        """(rows,)"""
        value = where(self.absent, 0.0, self.modulation * self.case.value)
        return value, _special(self.case.nan, self.case.infinite & ~self.absent)

    def gradient(self) -> Result:
        """(rows,)"""
        case = self.case
        share = (case.off - case.on) * self.ratio * case.value
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
    def slopes(number: Maker, rows: Rows) -> Result:
        return _Focal(number, logits[rows], labels[rows], alpha, gamma).gradient()

    return _shared(slopes, logits, reduction, _ones(logits))


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
    """e^(γ log q) times the softplus form, q a sum of positives, in double-double arithmetic.

    Args:
        logits: (rows,) in one of `INPUT_DTYPES`.
        labels: targets (rows,) in the dtype of the logits.
        alpha: weight of the positive class, 1 − alpha that of the negative one; None for no
            weights.
        gamma: exponent of the probability of being wrong.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """

    def values(number: Maker, rows: Rows) -> Result:
        return _Focal(number, logits[rows], labels[rows], alpha, gamma).value()

    return _reduced(values, logits, reduction, _ones(logits))


# Losses of probabilities and log-probabilities


def _positive(p: Float64Array) -> Float64Array:
    """Replace numbers without a finite logarithm by 1."""
    return np.where((p > 0) & np.isfinite(p), p, 1.0)


def _masses(labels: Array, classes: int) -> Float64Array:
    dense = _one_hot(labels, classes) if labels.ndim == 1 else to_float64(labels)
    return dense.astype(np.float64)


def _outside(p: Float64Array) -> Mask:
    """True where p is negative, infinite or NaN: no probability rounds to it."""
    return ~((p >= 0) & np.isfinite(p))


def _categorical_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        p = to_float64(probabilities[rows])
        y = _masses(labels[rows], p.shape[1])
        nan = _in_row(_outside(p) | ~np.isfinite(y))[:, None]
        gradient = -(number(_finite(y)) / number(_positive(p)))
        return gradient, _special(np.broadcast_to(nan, p.shape), (p == 0) & (y != 0), -np.sign(y))

    return _shared(slopes, probabilities, reduction, _ones(probabilities))


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

    def values(number: Maker, rows: Rows) -> Result:
        p = to_float64(probabilities[rows])
        y = _masses(labels[rows], p.shape[1])
        nan = _in_row(_outside(p) | ~np.isfinite(y))
        value = -(number(_finite(y)) * number(_positive(p)).log()).sum(1)
        return value, _special(nan, _in_row((p == 0) & (y != 0)))

    return _reduced(values, probabilities, reduction, _ones(probabilities))


def _binary_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        p, z = to_float64(probabilities[rows]), to_float64(labels[rows])
        nan = _outside(p) | (p > 1) | ~np.isfinite(z)
        # (p − z)/(p (1 − p)); for z = 0 or 1 a factor cancels, which matters at p = 0 or 1
        chance = number(np.where((p > 0) & (p <= 1), p, 1.0))
        given, target = number(_finite(p)), number(_finite(z))
        rest = number(1.0) - given
        rest = where(rest.is_zero, 1.0, rest)
        soft = (given - target) / chance / rest
        hard = where(z == 0, number(1.0) / rest, number(-1.0) / chance)
        gradient = where((z == 0) | (z == 1), hard, soft)
        special = np.where((p == 0) & (z != 0), -np.inf, np.where((p == 1) & (z != 1), np.inf, 0.0))
        return gradient, np.where(nan, np.nan, special)

    return _shared(slopes, probabilities, reduction, _ones(probabilities))


@implementation(
    "binary_cross_entropy", NAME, gradient=_binary_gradient, dtypes=INPUT_DTYPES, sound=True
)
def binary_cross_entropy(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """−z log p − (1 − z) log1p(−p) in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        p, z = to_float64(probabilities[rows]), to_float64(labels[rows])
        nan = _outside(p) | (p > 1) | ~np.isfinite(z)
        against = (-number(np.where((p >= 0) & (p < 1), p, 0.0))).log1p()
        target = number(_finite(z))
        value = -(target * number(_positive(p)).log() + (number(1.0) - target) * against)
        return value, _special(nan, ((p == 0) & (z != 0)) | ((p == 1) & (z != 1)))

    return _reduced(values, probabilities, reduction, _ones(probabilities))


def _safe(labels: Array, ignore_index: int) -> npt.NDArray[np.intp]:
    """Replace ignored labels by 0."""
    return np.where(labels == ignore_index, 0, labels).astype(np.intp)


def _nll_gradient(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    classes = log_probabilities.shape[1]
    weights = _label_weights(labels, classes, weight, ignore_index)

    def slopes(number: Maker, rows: Rows) -> Result:
        label = _one_hot(_safe(labels[rows], ignore_index), classes)
        gradient = where(label, -number(weights[rows])[:, None], 0.0)
        return gradient, np.zeros(gradient.shape)

    return _shared(slopes, log_probabilities, reduction, weights)


@implementation("nll_loss", NAME, gradient=_nll_gradient, dtypes=INPUT_DTYPES, sound=True)
def nll_loss(
    log_probabilities: Array,
    labels: Array,
    *,
    weight: Array | None = None,
    ignore_index: int = -100,
    reduction: str = "none",
) -> Array:
    """−w_y x_y, an exact product rounded once.

    Args:
        log_probabilities: (rows, classes) in one of `INPUT_DTYPES`.
        labels: integers (rows,).
        weight: weight of each class, (classes,) in the dtype of the first argument.
        ignore_index: rows with this integer label have value and gradient 0.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """
    weights = _label_weights(labels, log_probabilities.shape[1], weight, ignore_index)

    def values(number: Maker, rows: Rows) -> Result:
        label, own = labels[rows], weights[rows]
        safe = _safe(label, ignore_index)[:, None]
        x = np.take_along_axis(to_float64(log_probabilities[rows]), safe, axis=1)[:, 0]
        special = _special(
            np.isnan(x) & (label != ignore_index), np.isinf(x) & (own != 0), -np.sign(x)
        )
        return -(number(_finite(x)) * own), special

    return _reduced(values, log_probabilities, reduction, weights)


def _kl_target(
    number: Maker, labels: Array, log_target: bool
) -> tuple[Tracked, Tracked, Mask, Mask]:
    """Return t, log t, a mask of where t is 0, and a mask of where t is not valid."""
    given = to_float64(labels)
    if log_target:
        absent, nan = given == -np.inf, np.isnan(given) | (given == np.inf)
        log_t = number(_finite(given))
        return where(absent, 0.0, log_t.exp()), log_t, absent, nan
    return number(_finite(given)), number(_positive(given)).log(), given == 0, _outside(given)


def _kl_gradient(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        t, _, _, nan = _kl_target(number, labels[rows], log_target)
        return -t, _special(np.broadcast_to(_in_row(nan)[:, None], nan.shape))

    return _shared(slopes, log_probabilities, reduction, _ones(labels))


@implementation("kl_divergence", NAME, gradient=_kl_gradient, dtypes=INPUT_DTYPES, sound=True)
def kl_divergence(
    log_probabilities: Array, labels: Array, *, log_target: bool = False, reduction: str = "none"
) -> Array:
    """Σ t (log t − x) over the classes with t > 0, in double-double arithmetic.

    Args:
        log_probabilities: (rows, classes) in one of `INPUT_DTYPES`.
        labels: target distributions (rows, classes) in the dtype of the first argument.
        log_target: whether the labels are log-probabilities.
        reduction: "none" gives (rows,); "sum" and "mean" give ().
    """

    def values(number: Maker, rows: Rows) -> Result:
        x = to_float64(log_probabilities[rows])
        t, log_t, absent, nan = _kl_target(number, labels[rows], log_target)
        value = where(absent, 0.0, t * (log_t - number(_finite(x)))).sum(1)
        infinite = np.where(np.isinf(x) & ~absent, -x, 0.0).sum(axis=1)
        return value, np.where(_in_row(nan | np.isnan(x)), np.nan, infinite)

    return _reduced(values, log_probabilities, reduction, _ones(labels))


class _JensenShannon:
    """p + q and d = (p − q)/(p + q) of each class, with d = 0 where p = q = 0."""

    def __init__(self, number: Maker, probabilities: Array, labels: Array) -> None:
        p, q = to_float64(probabilities), to_float64(labels)
        self.nan = _in_row(_outside(p) | _outside(q))
        self.p_is_zero, self.q_is_positive = p == 0, q > 0
        self.p = number(np.where(_outside(p), 0.0, p))
        self.q = number(np.where(_outside(q), 0.0, q))
        self.total = self.p + self.q
        self.divisor = where(self.total.is_zero, 1.0, self.total)
        self.d = (self.p - self.q) / self.divisor


def _js_gradient(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        case = _JensenShannon(number, probabilities[rows], labels[rows])
        nothing = case.total.is_zero
        near = (case.d.exponent < 0) & ~nothing  # |d| < 1/2
        ratio = case.p.doubled() / case.divisor
        # At p = q = 0 any result is accepted; 2 is the limit of the ratio as p tends to 0.
        ratio = where(nothing, 2.0, where(near | case.p_is_zero, 1.0, ratio))
        logs = where(near, where(near, case.d, 0.0).log1p(), ratio.log())
        nan = np.broadcast_to(case.nan[:, None], near.shape)
        return logs.doubled(-1), _special(nan, case.p_is_zero & case.q_is_positive, -1.0)

    return _shared(slopes, probabilities, reduction, _ones(probabilities))


@implementation("js_divergence", NAME, gradient=_js_gradient, dtypes=INPUT_DTYPES, sound=True)
def js_divergence(probabilities: Array, labels: Array, *, reduction: str = "none") -> Array:
    """¼ Σ (p + q) g((p − q)/(p + q)) with g by its series near 0, in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        case = _JensenShannon(number, probabilities[rows], labels[rows])
        far = x_log_x(case.p.doubled() / case.divisor) + x_log_x(case.q.doubled() / case.divisor)
        near = case.d.exponent < -6
        g = where(near, where(near, case.d, 0.0).asymmetry(), far)
        return (case.total * g).sum(1).doubled(-2), _special(case.nan)

    return _reduced(values, probabilities, reduction, _ones(probabilities))


def _in_base(nats: Tracked, base: str, number: Maker) -> Tracked:
    return nats if base == "e" else nats / number(float(base)).log()


def _entropy_gradient(probabilities: Array, *, base: str = "e", reduction: str = "none") -> Array:
    def slopes(number: Maker, rows: Rows) -> Result:
        p = to_float64(probabilities[rows])
        gradient = -(number(_positive(p)).log() + 1.0)
        nan = np.broadcast_to(_in_row(_outside(p))[:, None], p.shape)
        return _in_base(gradient, base, number), _special(nan, p == 0)

    return _shared(slopes, probabilities, reduction, _ones(probabilities))


@implementation("entropy", NAME, gradient=_entropy_gradient, dtypes=INPUT_DTYPES, sound=True)
def entropy(probabilities: Array, *, base: str = "e", reduction: str = "none") -> Array:
    """−Σ p log p over the classes with p > 0, over log of the base, in double-double arithmetic."""

    def values(number: Maker, rows: Rows) -> Result:
        p = to_float64(probabilities[rows])
        value = -x_log_x(number(np.where(_outside(p), 1.0, p))).sum(1)
        return _in_base(value, base, number), _special(_in_row(_outside(p)))

    return _reduced(values, probabilities, reduction, _ones(probabilities))
