"""The array forms of the losses in `xentcheck.losses.softmax.declared`, rearranged.

With m the largest logit of a row, d_j = (x_j − m)/T ≤ 0, tail = Σ_{j≠m} exp(d_j) and whole = 1 +
tail: p_j = exp(d_j)/whole, log S − z_j = log1p(tail) − d_j, and 1 − p_j = (whole − exp(d_j))/whole
(tail/whole at m). All terms are positive, so bounds stay relative. The difference in 1 − p_j does
not cancel either: ``whole ≤ 2 (whole − exp(d_j))`` for j ≠ m, so a relative bound r of both numbers
becomes a bound of 4r.

The gradient of cross-entropy with distributions, (Σc) p_j − c_j, is computed as
``(Σc − c_j) p_j − c_j (1 − p_j)``. Each part has a relative bound. Where charges are exact
products, Σc is kept as two numbers. The second one is the sum of the errors of the additions
(Ogita, Rump and Oishi, "Accurate sum and dot product", SIAM J. Sci. Comput. 26, 2005). So Σc − c is
exactly 0 for a one-hot distribution.

Logits of −inf drop out: exp(d) = 0. Noise enters the differences, (x_j − x_m) + (n_j − n_m). Their
bound is absolute where the two signs differ.
"""

from collections.abc import Set
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from xentcheck.losses.labels import ignored_rows, masses
from xentcheck.losses.spec import Block
from xentcheck.model import Accepts, Array, Float64Array, LabelKind, Quantity
from xentcheck.reference.balls import FLOAT64, SLACK, ArrayArithmetic, Ball, compound, times
from xentcheck.reference.double_double import DoubleDouble, two_sum
from xentcheck.reference.forms.result import Form, FormResult, Mask, Partial

INF = float("inf")
NAN = float("nan")
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
FEW_CLASSES = 32  # up to this many classes a row is too short for loops along it


@dataclass(frozen=True, slots=True, eq=False)
class _Special:
    """Masks of the rows without an ordinary softmax."""

    nan: Mask
    one: Mask  # one logit of +inf
    several: Mask
    empty: Mask  # all −inf

    @property
    def any(self) -> Mask:
        return self.nan | self.one | self.several | self.empty


class _Softmax:
    """Parts of the softmax of ordinary rows. Special rows count as rows of zeros.

    ``top`` is the class of the largest logit. ``power`` is exp(d), which is exactly 1 at the top.
    All classes tied with the top have the same p and 1 − p.
    """

    def __init__(self, arithmetic: ArrayArithmetic, block: Block) -> None:
        x = block.x
        few = x.shape[1] <= FEW_CLASSES
        if few:
            x = np.asfortranarray(x)
        noise = block.parameters.get("noise")
        self.arithmetic = arithmetic
        self.rows = np.arange(len(x))
        self.few = few and noise is None
        self.special = None
        largest = x.max(axis=1)
        if not np.isfinite(largest).all():
            self.special = _special(x, largest)
            self.hot = x.argmax(axis=1)
            x = np.where(self.special.any[:, np.newaxis], 0.0, x)
            largest = x.max(axis=1)
        self.x = x
        self.temperature = float(block.parameters.get("temperature", 1.0))
        if not self.few:
            self.top = np.asarray((x if noise is None else x + noise).argmax(axis=1))
            largest = x[self.rows, self.top]
        self.pivot = arithmetic.exact(largest)
        self.drop = self._drops(x, noise)
        if noise is not None:
            self._repivot(x, noise)
        self.power = self.drop.exp()
        self.tail = self._tail(largest)
        self.whole = self.tail + 1.0
        if self.tail.absolute is None:
            self.log_whole = self.tail.log1p()

    def _tail(self, largest: Float64Array) -> Ball:
        """Σ exp(d) over all classes but the top."""
        power = self.power.midpoint
        if self.few:
            # for short rows a sum is cheaper than access to single elements
            at_top = self.x == largest[:, np.newaxis]
            others = Ball(
                self.arithmetic,
                np.where(at_top, self.arithmetic.zeros(()), power),
                self.power.relative,
                sign=1,
            )
            ties = np.add.reduce(at_top, axis=1, dtype=np.float64) - 1.0
            return others.total() + self.arithmetic.exact(ties, sign=1)
        power[self.rows, self.top] = 0.0
        if self.power.absolute is not None:
            self.power.absolute[self.rows, self.top] = 0.0
        tail = self.power.total()
        power[self.rows, self.top] = 1.0
        return tail

    def _repivot(self, x: Float64Array, noise: Array) -> None:
        """Make sure that no difference is above 0, because `Ball.exp` does not cover that.

        Rounded sums x + n can tie or swap where the exact sums do not. So the top is chosen again
        from the differences. A difference that is still above 0, by rounding, counts as 0. Its
        radius covers both numbers: the exact difference is above 0 by at most this radius.
        """
        top = np.asarray(self.drop.midpoint.argmax(axis=1))
        if (top != self.top).any():
            self.top = top
            self.pivot = self.arithmetic.exact(x[self.rows, top])
            self.drop = self._drops(x, noise)
        drop = self.drop
        above = np.maximum(drop.midpoint, self.arithmetic.zeros(()))
        if (above > 0).any():
            radius = (drop.radius + above) * SLACK
            midpoint = np.minimum(drop.midpoint, self.arithmetic.zeros(()))
            self.drop = Ball(self.arithmetic, midpoint, drop.relative, radius)

    def _drops(self, x: Float64Array, noise: Array | None) -> Ball:
        """The differences z_j − z_m; −inf for classes that drop out."""
        wide = self.arithmetic is not FLOAT64
        masked = None
        if wide and np.isneginf(x.min(initial=0.0)):
            masked = np.isneginf(x)
            x = np.where(masked, 0.0, x)
        drop = self.arithmetic.exact(x) - self.pivot[:, np.newaxis]
        if noise is not None:
            own = self.arithmetic.exact(noise)
            drop = drop + (own - own[self.rows, self.top][:, np.newaxis])
        else:
            drop = drop.within(drop.relative, -1)
        if self.temperature != 1.0:
            drop = drop / self.temperature
        if masked is not None:
            # binary128's exp does not take −inf; it underflows for this number
            takes = isinstance(drop.midpoint, DoubleDouble)
            drop.midpoint[masked] = -INF if takes else -2.0 * self.arithmetic.widest
        return drop

    @cached_property
    def masked(self) -> Mask | None:
        """A mask of the classes that drop out; None if there are none."""
        return np.isneginf(self.x) if np.isneginf(self.x.min(initial=0.0)) else None

    def scaled(self, factor: Ball | None = None, *, last: bool = False) -> Ball:
        """p_j, or p_j times a factor per row.

        ``last``: the powers are not needed afterwards, so the result may overwrite their array.
        """
        one = self.arithmetic.exact(1.0, sign=1)
        share = (one if factor is None else factor) / _relative(self.whole)
        if last and self.power.absolute is None and self.whole.absolute is None:
            relative = compound(self.power.relative, share.relative, self.arithmetic.unit)
            product = self.power.midpoint
            np.multiply(product, share.midpoint[:, np.newaxis], out=product)
            p = Ball(self.arithmetic, product, relative)
        else:
            p = self.power * share[:, np.newaxis]
        if self.whole.absolute is not None:
            # p = power/whole with an absolute bound δ of whole: |δ(1/whole)| ≤ δ, whole ≥ 1
            largest = self.power.midpoint * (1.0 + self.power.relative)
            if self.power.absolute is not None:
                largest = largest + self.power.absolute
            extra = times(largest, self.whole.absolute[:, np.newaxis])
            size = 1.0 if factor is None else np.abs(factor.midpoint)[:, np.newaxis]
            absolute = extra * size * (2.0 * SLACK)
            p.absolute = absolute if p.absolute is None else p.absolute + absolute
        p.sign = 1 if factor is None else factor.sign
        p.below_one = factor is None and self.competing
        return p

    @cached_property
    def competing(self) -> bool:
        """Whether every row has a second class, so that every p and every 1 − p is below 1."""
        return self.x.shape[1] > 1 and self.masked is None

    def others(self, column: Array) -> Ball:
        """1 − p of one class per row."""
        power = self.power[self.rows, column]
        if self.few:
            at_top = self.x[self.rows, column] == self.pivot.midpoint.astype(np.float64)
        else:
            at_top = column == self.top
        rest = np.where(at_top, self.tail.midpoint, self.whole.midpoint - power.midpoint)
        relative = compound(4.0 * max(self.whole.relative, power.relative), self.arithmetic.unit)
        mine = Ball(self.arithmetic, rest, relative, sign=1)
        result = mine / _relative(self.whole)
        if self.whole.absolute is not None:
            assert power.absolute is not None
            absolute = (4.0 * SLACK) * (self.whole.absolute + power.absolute)
            result.absolute = np.asarray(absolute)
        result.below_one = self.competing
        return result

    def complement(self) -> Ball:
        """1 − p of every class, for rows without noise."""
        rest = self.whole.midpoint[:, np.newaxis] - self.power.midpoint
        if self.few:
            at_top = self.x == self.pivot.midpoint.astype(np.float64)[:, np.newaxis]
            rest = np.where(at_top, self.tail.midpoint[:, np.newaxis], rest)
        else:
            rest[self.rows, self.top] = self.tail.midpoint
        relative = compound(4.0 * self.whole.relative, self.arithmetic.unit)
        return Ball(self.arithmetic, rest, relative, sign=1) / self.whole[:, np.newaxis]

    def surprise(self) -> Ball:
        """log S − z of every class; +inf for classes that drop out."""
        surprise = self.log_whole[:, np.newaxis] - self.drop
        if self.masked is not None:
            surprise.midpoint[self.masked] = INF
        return surprise

    def surprise_at(self, column: Array) -> Ball:
        """log S − z of one class per row; +inf if it drops out."""
        surprise = self.log_whole - self.drop[self.rows, column]
        surprise.midpoint[np.isneginf(self.x[self.rows, column])] = INF
        return surprise

    def logsumexp(self) -> Ball:
        """log S."""
        return self.pivot / self.temperature + self.log_whole


def _relative(ball: Ball) -> Ball:
    """The ball without its absolute bound. The caller must account for that bound."""
    return ball if ball.absolute is None else ball.within(ball.relative)


def _special(x: Float64Array, largest: Float64Array) -> _Special:
    infinite = largest == INF
    count = np.count_nonzero(x == INF, axis=1)
    return _Special(
        np.isnan(largest), infinite & (count == 1), infinite & (count > 1), largest == -INF
    )


def softmax(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """p_k, and the gradient of the component i that the label names: p_i (δ_ij − p_j) / T."""
    assert block.labels is not None
    it = _Softmax(arithmetic, block)
    classes = block.x.shape[1]
    pieces = FormResult()
    p = it.scaled()
    if GRADIENT in wanted:
        mine = p[it.rows, block.labels]
        own = mine * it.others(block.labels)
        gradient = -(p * mine[:, np.newaxis])
        gradient.overwrite((it.rows, block.labels), own)
        gradient.sign = 0
        if it.temperature != 1.0:
            gradient = gradient / it.temperature
        pieces.quantities[GRADIENT] = Partial(gradient)
    if VALUE in wanted:
        pieces.quantities[VALUE] = Partial(p)
    if it.special is not None:
        for quantity, piece in pieces.quantities.items():
            _undefined(piece, it.special, classes)
            piece.put(it.special.one, 0.0, Accepts.NAN)
            if quantity is VALUE:
                piece.put(it.special.nan, NAN)  # of one class p is 1, not 0
                _put_one(piece, it.special.one, it.hot, 1.0)
    return pieces


def log_softmax(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """z_k − log S, and the gradient of the component i that the label names: δ_ij − p_j."""
    assert block.labels is not None
    it = _Softmax(arithmetic, block)
    classes = block.x.shape[1]
    pieces = FormResult()
    if VALUE in wanted:
        pieces.quantities[VALUE] = Partial(-it.surprise())
    if GRADIENT in wanted:
        gradient = -it.scaled()
        gradient.overwrite((it.rows, block.labels), it.others(block.labels))
        gradient.sign = 0
        pieces.quantities[GRADIENT] = Partial(gradient)
    if it.special is not None:
        one = it.special.one
        for quantity, piece in pieces.quantities.items():
            _undefined(piece, it.special, classes)
            if quantity is VALUE:
                piece.put(one, -INF, Accepts.NAN)
                _put_one(piece, one, it.hot, 0.0)
            else:
                piece.put(one, 0.0, Accepts.NAN)
                elsewhere = one & (it.hot != block.labels)
                _put_one(piece, elsewhere, it.hot, -1.0)
                _put_one(piece, elsewhere, block.labels, 1.0)
    return pieces


def logsumexp(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """log S, gradient p."""
    it = _Softmax(arithmetic, block)
    pieces = FormResult()
    if VALUE in wanted:
        pieces.quantities[VALUE] = Partial(it.logsumexp())
    if GRADIENT in wanted:
        pieces.quantities[GRADIENT] = Partial(it.scaled())
    if it.special is None:
        return pieces
    special = it.special
    for quantity, piece in pieces.quantities.items():
        piece.put(special.nan, NAN)
        if quantity is VALUE:
            piece.put(special.one | special.several, INF, Accepts.NAN)
            piece.put(special.empty, -INF)
        else:
            piece.put(special.several | special.empty, NAN, Accepts.ANYTHING)
            piece.put(special.one, 0.0, Accepts.NAN)
            _put_one(piece, special.one, it.hot, 1.0)
    return pieces


def softmax_cross_entropy(
    arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]
) -> FormResult:
    """Σ_k c_k (log S − z_k) + z_loss (log S)², gradient ((Σc) p_j − c_j + 2 z_loss log S p_j)/T."""
    it = _Softmax(arithmetic, block)
    smoothing = float(block.parameters.get("label_smoothing", 0.0))
    ignored = ignored_rows(block)
    left = None
    if block.label_kind is LabelKind.INTEGER and not smoothing:
        pieces = _of_labels(it, block, ignored, wanted)
    else:
        pieces = _of_distributions(it, block, smoothing, wanted)
        assert block.labels is not None
        if block.label_kind is LabelKind.DISTRIBUTION:
            left = ~np.isfinite(block.labels).all(axis=1)
    z_loss = float(block.parameters.get("z_loss", 0.0))
    if z_loss:
        _add_z_loss(pieces, it, z_loss)
    _cross_entropy_special(pieces, it, block, smoothing, bool(z_loss))
    for piece in pieces.quantities.values():
        piece.put(ignored, 0.0)
    return FormResult(pieces.quantities, left if left is not None and left.any() else None)


def _of_labels(it: _Softmax, block: Block, ignored: Mask, wanted: Set[Quantity]) -> FormResult:
    assert block.labels is not None
    arithmetic = it.arithmetic
    labels = np.where(ignored, 0, block.labels) if ignored.any() else block.labels
    weight = block.parameters.get("weight")
    own = None if weight is None else arithmetic.exact(weight[labels], sign=1)
    pieces = FormResult()
    if VALUE in wanted:
        value = it.surprise_at(labels)
        if own is not None:
            value = _times_surprise(own, value)
        pieces.quantities[VALUE] = Partial(value)
    if GRADIENT in wanted:
        factor = own
        if it.temperature != 1.0:
            one = arithmetic.exact(1.0, sign=1)
            factor = (one if own is None else own) / it.temperature
        at_label = it.others(labels)
        gradient = it.scaled(factor, last=not block.parameters.get("z_loss", 0.0))
        if factor is not None:
            at_label = at_label * factor
        gradient.overwrite((it.rows, labels), -at_label)
        gradient.sign = 0
        pieces.quantities[GRADIENT] = Partial(gradient)
    return pieces


def _times_surprise(charge: Ball, surprise: Ball) -> Ball:
    """charge · surprise; 0 where the charge is 0, even for a class that drops out."""
    nothing = np.asarray(charge.midpoint == 0)
    if nothing.any():
        nothing = np.broadcast_to(nothing, surprise.midpoint.shape)
        kept = np.where(nothing, np.zeros_like(surprise.midpoint), surprise.midpoint)
        surprise = surprise.within(surprise.relative)
        surprise.midpoint = kept
    return charge * surprise


def _charges(arithmetic: ArrayArithmetic, block: Block, smoothing: float) -> Ball:
    """The charge c_k of every class. Without smoothing it is exact.

    The reason is that the arithmetic can hold the product of two significands of the dtype.
    """
    mass = masses(block)
    weight = block.parameters.get("weight")
    sign = int(bool((mass >= 0.0).all()))
    charge = arithmetic.exact(mass, sign)
    if smoothing:
        share = arithmetic.exact(smoothing, sign=1) / float(mass.shape[1])
        keep = (1.0 - arithmetic.exact(smoothing)).within(2 * arithmetic.unit, 1)
        charge = charge * keep + share
    if weight is not None:
        relative = charge.relative
        charge = charge * arithmetic.exact(weight, sign=1)
        if not relative:
            charge = charge.within(0.0)
    return charge


def _of_distributions(
    it: _Softmax, block: Block, smoothing: float, wanted: Set[Quantity]
) -> FormResult:
    charge = _charges(it.arithmetic, block, smoothing)
    pieces = FormResult()
    if VALUE in wanted:
        value = Partial(_times_surprise(charge, it.surprise()).total())
        if it.masked is not None:
            # the value is +inf for a charge of any sign: such a row counts as infinitely wrong
            value.put(np.asarray(((charge.midpoint != 0) & it.masked).any(axis=1)), INF)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        gradient = _remainder(charge) * it.scaled() - charge * it.complement()
        if it.temperature != 1.0:
            gradient = gradient / it.temperature
        pieces.quantities[GRADIENT] = Partial(gradient)
    return pieces


def _remainder(charge: Ball) -> Ball:
    """Σc − c_k of every class."""
    unit = charge.arithmetic.unit
    if charge.relative:
        return charge.total()[:, np.newaxis] - charge
    if isinstance(charge.midpoint, DoubleDouble):
        return _remainder_of_pairs(charge)
    high, low, spread = _compensated(charge.midpoint)
    rest = (high[:, np.newaxis] - charge.midpoint) + low[:, np.newaxis]
    # the two roundings err by u of |high − c| ≤ |rest| + |low| and of |rest|
    own = np.abs(low) * (2.0 * unit)
    bound = spread * (charge.midpoint.shape[1] * unit * SLACK) + own
    absolute = np.broadcast_to(bound[:, np.newaxis], rest.shape) * SLACK
    return Ball(charge.arithmetic, rest, 2.0 * unit * SLACK, absolute)


def _remainder_of_pairs(charge: Ball) -> Ball:
    """The same of exact double-double numbers: leading parts exactly, the others in float64."""
    unit = 2.0**-53
    numbers = charge.midpoint
    high, low, spread = _compensated(numbers.hi)
    lows = np.add.reduce(numbers.lo, axis=1)
    sizes = np.add.reduce(np.abs(numbers.lo), axis=1)
    total = DoubleDouble(*two_sum(high, low + lows))
    rest = total[:, np.newaxis] - numbers
    terms = numbers.shape[1] + 1
    bound = ((spread + sizes) * terms + np.abs(low) + np.abs(lows)) * (2.0 * unit * SLACK)
    exact = (spread == 0.0) & (sizes == 0.0)
    bound = np.where(exact & (low == 0.0), 0.0, bound)
    absolute = np.broadcast_to(bound[:, np.newaxis], rest.shape) * SLACK
    return Ball(charge.arithmetic, rest, 2.0 * charge.arithmetic.unit * SLACK, absolute)


def _compensated(terms: Array) -> tuple[Array, Array, Array]:
    """(high, low, spread): the sum along the rows is high + low, with an error of n·u·spread.

    Numbers are added in pairs, and the error of each addition is computed. ``low`` is the sum of
    these errors. ``spread`` is the sum of their magnitudes, and 0 if every addition was exact.
    """
    high = terms
    low = spread = np.zeros_like(terms)
    while high.shape[1] > 1:
        half = high.shape[1] // 2
        one, other = high[:, :half], high[:, half : 2 * half]
        total = one + other
        back = total - one
        error = (one - (total - back)) + (other - back)
        high = np.concatenate([total, high[:, 2 * half :]], axis=1)
        low = _paired(low, error, half)
        spread = _paired(spread, np.abs(error), half)
    return high[:, 0], low[:, 0], spread[:, 0] * (1.0 + terms.shape[1] * 2.0**-50)


def _paired(errors: Array, new: Array, half: int) -> Array:
    """Add errors in the same pairs as their numbers, and the errors of the new additions."""
    joined = new + errors[:, :half] + errors[:, half : 2 * half]
    return np.concatenate([joined, errors[:, 2 * half :]], axis=1)


def _add_z_loss(pieces: FormResult, it: _Softmax, z_loss: float) -> None:
    lse = it.logsumexp()
    if VALUE in pieces.quantities:
        piece = pieces.quantities[VALUE]
        square = lse * lse * z_loss
        square.sign = 1
        piece.ball = piece.ball + square
    if GRADIENT in pieces.quantities:
        piece = pieces.quantities[GRADIENT]
        factor = lse * z_loss * 2.0
        if it.temperature != 1.0:
            factor = factor / it.temperature
        piece.ball = piece.ball + it.scaled() * factor[:, np.newaxis]


def _cross_entropy_special(
    pieces: FormResult, it: _Softmax, block: Block, smoothing: float, z_loss: bool
) -> None:
    special = it.special
    if special is None:
        return
    classes = block.x.shape[1]
    several = special.several | special.one if z_loss else special.several
    one = np.zeros_like(special.one) if z_loss else special.one
    grouped = _Special(special.nan, one, several, special.empty)
    for piece in pieces.quantities.values():
        _undefined(piece, grouped, classes)
    if not one.any():
        return
    here = block.part(one)
    charge = _charges(it.arithmetic, here, smoothing)
    rows, hot = np.arange(len(here.x)), it.hot[one]
    if VALUE in pieces.quantities:
        elsewhere = np.asarray(charge.midpoint != 0)
        elsewhere[rows, hot] = False
        value = np.zeros(len(it.rows))
        value[one] = np.where(elsewhere.any(axis=1), INF, 0.0)
        pieces.quantities[VALUE].put(one, value, Accepts.NAN)
    if GRADIENT in pieces.quantities:
        limit = -charge
        limit.overwrite((rows, hot), _remainder(charge)[rows, hot])
        limit = limit / it.temperature
        piece = pieces.quantities[GRADIENT]
        piece.put(one, 0.0, Accepts.NAN)
        piece.ball.overwrite(one, limit)


def _undefined(piece: Partial, special: _Special, classes: int) -> None:
    """Set the results of rows with NaN, with several infinities, and of empty rows."""
    piece.put(special.nan, NAN, Accepts.ZERO if classes == 1 else Accepts.NOTHING)
    piece.put(special.several, NAN, Accepts.ANYTHING)
    piece.put(special.empty, NAN, Accepts.ZERO)


def _put_one(piece: Partial, rows: Mask, column: Array, number: float) -> None:
    """Set one component of some rows. What is accepted there does not change."""
    chosen = np.flatnonzero(rows)
    if len(chosen):
        piece.ball.overwrite((chosen, column[chosen]), number)


FORMS: dict[str, Form] = {
    "softmax": softmax,
    "log_softmax": log_softmax,
    "logsumexp": logsumexp,
    "softmax_cross_entropy": softmax_cross_entropy,
}
