"""The array forms of the losses in `xentcheck.losses.divergence`.

KL is a sum of terms of both signs, so it has an absolute bound. Each class of JS uses one of two
forms, with s = p + q and d = (p − q)/s, which has a relative error of at most 3u:

* for |d| ≤ ½: ``s/4 · (2 |d| atanh |d| + log1p(−d²))`` with 2 atanh |d| = log1p(2|d|/(1 − |d|)).
  The first term is at least 2d² and the second at least −1.16 d², so for any d neither term is
  larger than three times their sum;
* otherwise: ``½ (p log(2p/s) + q log(2q/s))``. The logarithm of the larger number is above
  log(3/2), and the two terms never cancel by more than a factor of 4.

The gradient ½ log(2p/s) is computed as ½ log1p(d) for d ≥ −½ (condition number at most 1.5).
Elsewhere it is a logarithm below −log 2.
"""

from collections.abc import Set

import numpy as np

from xentcheck.losses.spec import Block
from xentcheck.model import Accepts, Quantity
from xentcheck.reference.balls import ArrayArithmetic, Ball, compound
from xentcheck.reference.forms.result import Form, FormResult, Mask, Partial

INF = float("inf")
NAN = float("nan")
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


def kl_divergence(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """Σ_k t_k (log t_k − x_k), gradient −t_k."""
    assert block.labels is not None
    log_target = bool(block.parameters.get("log_target", False))
    x, label = block.x, block.labels
    if log_target:
        wrong = ~(label < INF)
        empty = np.isneginf(label)
    else:
        wrong = ~((label >= 0.0) & np.isfinite(label))
        empty = label == 0.0
    ordinary = ~(empty | wrong)
    undefined = np.asarray(wrong.any(axis=1))
    # an invalid number of a class that does not enter a result may spread: NaN is accepted
    blurred = np.asarray(np.isnan(x).any(axis=1) | undefined)
    unknown = (np.isnan(x) & ordinary).any(axis=1)
    infinite = np.isinf(x) & ordinary
    filled = np.where(ordinary, label, 0.0 if log_target else 1.0)
    if log_target:
        # a given logarithm may be above 0, which `Ball.exp` does not cover
        left = np.asarray((filled > 0.0).any(axis=1))
        log_t = arithmetic.exact(np.minimum(filled, 0.0))
        t = log_t.exp()
    else:
        left = np.zeros(len(x), dtype=np.bool_)
        t = arithmetic.exact(filled, sign=1)
        log_t = t.log()
    pieces = FormResult(left=left if left.any() else None)
    if VALUE in wanted:
        summed = ordinary & np.isfinite(x)
        terms = _kept(t, summed) * (log_t - arithmetic.exact(np.where(summed, x, 0.0)))
        value = Partial(terms.total())
        for infinity in (INF, -INF):
            value.put((infinite & (x == infinity)).any(axis=1), -infinity)
        both = (infinite & (x == INF)).any(axis=1) & (infinite & (x == -INF)).any(axis=1)
        if blurred.any():
            value.allow(blurred, Accepts.NAN)
        value.put(both | unknown | undefined, NAN)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        gradient = Partial(-_kept(t, ordinary))
        if blurred.any():
            gradient.allow(blurred, Accepts.NAN)
        gradient.put(wrong, NAN)
        pieces.quantities[GRADIENT] = gradient
    return pieces


def _kept(ball: Ball, where: Mask) -> Ball:
    """The numbers of the ball where the mask is true, and exactly 0 elsewhere."""
    midpoint = np.where(where, ball.midpoint, np.zeros_like(ball.midpoint))
    return Ball(ball.arithmetic, midpoint, ball.relative, sign=1)


def js_divergence(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """½ Σ p_k log(2 p_k/(p_k+q_k)) + ½ Σ q_k log(2 q_k/(p_k+q_k)), gradient ½ log(2 p_k/s)."""
    assert block.labels is not None
    p, q = block.x, block.labels
    outside = ~((p >= 0.0) & np.isfinite(p)) | ~((q >= 0.0) & np.isfinite(q))
    undefined = np.asarray(outside.any(axis=1))
    empty = (p == 0.0) & (q == 0.0)
    alone = ~empty & ((p == 0.0) | (q == 0.0))
    both = ~(empty | alone | outside)
    one = arithmetic.exact(np.where(both, p, 1.0), sign=1)
    other = arithmetic.exact(np.where(both, q, 1.0), sign=1)
    total = one + other
    difference = (one - other) / total
    two = arithmetic.exact(2.0, sign=1)
    log_two = two.log()
    log_two.sign = 1
    pieces = FormResult()
    if VALUE in wanted:
        share = _share(arithmetic, one, other, total, difference)
        single = arithmetic.exact(np.where(alone, np.maximum(p, q), 0.0), sign=1) * log_two * 0.5
        terms = _kept(share, both) + single
        value = Partial(terms.total())
        value.put(undefined, NAN)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        near = np.asarray(difference.midpoint >= -0.5)
        small = Ball(
            arithmetic,
            np.where(near, difference.midpoint, 0.0 * difference.midpoint),
            difference.relative,
        ).log1p(condition=1.5)
        far = (one / total * 2.0).log()
        slope = _merged(near, small, far) * 0.5
        slope = slope.within(slope.relative)
        gradient = Partial(slope)
        gradient.put(alone & (p == 0.0), -INF)
        half = log_two * 0.5
        side = (alone & (q == 0.0)) | (empty & ~undefined[:, np.newaxis])
        if side.any():
            gradient.ball.overwrite(side, half)
        if empty.any():
            gradient.allow(empty & ~undefined[:, np.newaxis], Accepts.ANYTHING)
        if undefined.any():
            own = ~((p >= 0.0) & (q >= 0.0))
            gradient.put(undefined[:, np.newaxis] & own, NAN)
            gradient.put(undefined[:, np.newaxis] & ~own, NAN, Accepts.ANYTHING)
        pieces.quantities[GRADIENT] = gradient
    return pieces


def _share(
    arithmetic: ArrayArithmetic, one: Ball, other: Ball, total: Ball, difference: Ball
) -> Ball:
    """The share of each class in JS, which is ≥ 0, with a relative bound."""
    distance = np.abs(difference.midpoint)
    near = np.asarray(distance <= 0.5)
    d = Ball(arithmetic, np.where(near, distance, 0.0 * distance), difference.relative, sign=1)
    # 1 − |d| ≥ ½ has a relative error of at most 2u + |d|·r ≤ 3r
    beside = Ball(arithmetic, 1.0 - d.midpoint, compound(3.0 * d.relative, arithmetic.unit), sign=1)
    rising = d * (d * 2.0 / beside).log1p()
    square = -(d * d)
    falling = square.log1p(condition=1.16)
    gap = rising.midpoint + falling.midpoint
    # |rising| ≤ 2.2 d² + gap …: each term is at most three times the gap
    relative = compound(3.0 * rising.relative, 3.0 * falling.relative, arithmetic.unit)
    close = Ball(arithmetic, gap, relative, sign=1) * total * 0.25
    far = _far(one, other, total)
    return Ball(
        arithmetic,
        np.where(near, close.midpoint, far.midpoint),
        max(close.relative, far.relative),
        sign=1,
    )


def _far(one: Ball, other: Ball, total: Ball) -> Ball:
    """½ (p log(2p/s) + q log(2q/s)) for |p − q| > s/2."""
    halves = []
    for part in (one, other):
        ratio = part / total * 2.0
        log_ratio = Ball(part.arithmetic, np.log(ratio.midpoint), 0.0)
        # the error of the ratio changes the logarithm by r(1 + r) < ⅓ ulp of a log above log(3/2)
        halves.append((part, log_ratio, ratio.relative))
    (p, log_p, r), (q, log_q, _) = halves
    middle = p.midpoint * log_p.midpoint + q.midpoint * log_q.midpoint
    # relative to the sum: Σ |part·log| ≤ 4 sums; for the errors of the ratios (p + q) ≤ 8 sums
    relative = compound(
        4.0 * compound(p.arithmetic.function, p.arithmetic.unit), 8.0 * r, p.arithmetic.unit
    )
    return Ball(p.arithmetic, middle, relative, sign=1) * 0.5


def _merged(where: Mask, one: Ball, other: Ball) -> Ball:
    """``one`` where the mask is true, elsewhere ``other``, which is a logarithm below −log 2."""
    relative = other.relative
    if other.absolute is not None:
        bound = compound(other.relative, 1.5 * float(np.max(other.absolute.astype(np.float64))))
        relative = bound
    return Ball(
        one.arithmetic,
        np.where(where, one.midpoint, other.midpoint),
        max(one.relative, relative),
    )


FORMS: dict[str, Form] = {
    "kl_divergence": kl_divergence,
    "js_divergence": js_divergence,
}
