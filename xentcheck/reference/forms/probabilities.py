"""The array forms of the losses in `xentcheck.losses.probabilities`.

Inputs are exact, so logarithms have a relative bound, even next to p = 1. 1 − p and p − z have one
rounding each. Only the gradient of the entropy, −(log p + 1), cancels, near p = 1/e. Its bound is
absolute.
"""

from collections.abc import Set

import numpy as np

from xentcheck.losses.labels import ignored_rows, masses
from xentcheck.losses.spec import Block
from xentcheck.model import Accepts, Array, Float64Array, LabelKind, Quantity
from xentcheck.reference.balls import ArrayArithmetic, Ball
from xentcheck.reference.forms.result import Form, FormResult, Mask, Partial

INF = float("inf")
NAN = float("nan")
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


def surprise(arithmetic: ArrayArithmetic, p: Float64Array) -> Ball:
    """−log p of exact numbers p > 0. The sign is known if no p is above 1."""
    ball = -arithmetic.exact(p, sign=1).log()
    return ball.within(ball.relative, int(bool((p <= 1.0).all())))


def _quotient(numerator: Ball, denominator: Ball) -> Ball:
    """A quotient of exact numbers. The bound is 0 where the quotient is exactly a power of two.

    Multiplication by a power of two is exact, so it gives back the numerator only if the quotient
    is exact.
    """
    quotient = numerator / denominator
    mantissa, _ = np.frexp(quotient.midpoint)  # in the ball's format: float64 would round it
    exact = (np.abs(mantissa) == 0.5) & (
        quotient.midpoint * denominator.midpoint == numerator.midpoint
    )
    return quotient.by_element(np.asarray(exact))


def categorical_cross_entropy(
    arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]
) -> FormResult:
    """−Σ_k y_k log p_k, gradient −y_k / p_k."""
    assert block.labels is not None
    x = block.x
    invalid = ~((x >= 0.0) & np.isfinite(x))
    if block.label_kind is LabelKind.INTEGER:
        return _categorical_of_labels(arithmetic, block, invalid, wanted)
    mass = masses(block)
    blurred = np.isnan(mass)
    undefined = blurred.any(axis=1) | (invalid & (mass != 0.0)).any(axis=1)
    others = invalid.any(axis=1) & ~undefined
    free = mass == 0.0
    infinite = ~free & (x == 0.0) & ~undefined[:, np.newaxis]
    ordinary = ~(free | infinite | invalid | blurred)
    p = np.where(ordinary, x, 1.0)
    y = arithmetic.exact(np.where(ordinary, mass, 0.0), int(bool((mass >= 0.0).all())))
    pieces = FormResult()
    if VALUE in wanted:
        value = Partial((y * surprise(arithmetic, p)).total())
        value.put(infinite.any(axis=1), INF)
        _note_others(value, others)
        value.put(undefined, NAN)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        gradient = Partial(-_quotient(y, arithmetic.exact(p, sign=1)))
        gradient.put(infinite, -INF)
        _note_others(gradient, others)
        vague = free & (x == 0.0) & ~undefined[:, np.newaxis]
        if vague.any():
            gradient.allow(vague, Accepts.NAN)
        if undefined.any():
            own = np.isnan(x) | (x < 0.0) | blurred
            kept = undefined[:, np.newaxis] & ~free
            gradient.put(kept & own, NAN)
            gradient.put(kept & ~own, NAN, Accepts.ANYTHING)
            gradient.put(undefined[:, np.newaxis] & free, 0.0, Accepts.NAN)
        pieces.quantities[GRADIENT] = gradient
    return pieces


def _note_others(piece: Partial, others: Mask) -> None:
    """Accept NaN in these rows: an invalid number of a class outside the formula may spread."""
    if others.any():
        piece.allow(others, Accepts.NAN)


def _categorical_of_labels(
    arithmetic: ArrayArithmetic, block: Block, invalid: Array, wanted: Set[Quantity]
) -> FormResult:
    """The form for integer labels, where only the label's class has a term."""
    assert block.labels is not None
    x, labels = block.x, block.labels
    rows = np.arange(len(x))
    own = x[rows, labels]
    undefined = invalid[rows, labels]
    others = invalid.any(axis=1) & ~undefined
    infinite = own == 0.0
    p = np.where(undefined | infinite, 1.0, own)
    pieces = FormResult()
    if VALUE in wanted:
        value = Partial(surprise(arithmetic, p))
        value.put(infinite, INF)
        _note_others(value, others)
        value.put(undefined, NAN)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        slope = -_quotient(arithmetic.exact(1.0, sign=1), arithmetic.exact(p, sign=1))
        midpoint, absolute = arithmetic.zeros(x.shape), arithmetic.no_bounds(x.shape)
        midpoint[rows, labels], absolute[rows, labels] = slope.midpoint, slope.absolute
        gradient = Partial(Ball(arithmetic, midpoint, 0.0, absolute))
        at_label = np.zeros(x.shape, dtype=np.bool_)
        at_label[rows, labels] = True
        gradient.put(at_label & infinite[:, np.newaxis], -INF)
        _note_others(gradient, others)
        vague = (x == 0.0) & ~at_label & ~undefined[:, np.newaxis]
        if vague.any():
            gradient.allow(vague, Accepts.NAN)
        if undefined.any():
            wrong = np.isnan(x) | (x < 0.0)
            kept = undefined[:, np.newaxis] & at_label
            gradient.put(kept & wrong, NAN)
            gradient.put(kept & ~wrong, NAN, Accepts.ANYTHING)
            gradient.allow(undefined[:, np.newaxis] & ~at_label, Accepts.NAN)
        pieces.quantities[GRADIENT] = gradient
    return pieces


def binary_cross_entropy(
    arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]
) -> FormResult:
    """−z log p − (1−z) log(1−p), gradient (p − z) / (p (1−p))."""
    assert block.labels is not None
    z = block.labels
    undefined = ~((block.x >= 0.0) & (block.x <= 1.0)) | np.isnan(z)
    left = np.isinf(z) & ~undefined
    edge = (block.x == 0.0) | (block.x == 1.0)
    p = np.where(undefined | edge, 0.5, block.x)
    z = np.where(undefined | left, 0.5, z)
    inside = int(bool(((z >= 0.0) & (z <= 1.0)).all()))
    chance = arithmetic.exact(p, sign=1)
    target = arithmetic.exact(z, inside)
    rest = 1.0 - target
    rest.sign = inside
    pieces = FormResult(left=left if left.any() else None)
    if VALUE in wanted:
        against = -(-chance).log1p()
        value = Partial(target * surprise(arithmetic, p) + rest * against)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        beside = 1.0 - chance
        beside.sign = 1
        gradient = Partial(((chance - target) / (chance * beside)).by_element())
        pieces.quantities[GRADIENT] = gradient
    if edge.any():
        _binary_edges(pieces, block.x, edge & ~undefined, target, rest)
    for piece in pieces.quantities.values():
        piece.put(undefined, NAN)
    return pieces


def _binary_edges(
    pieces: FormResult, x: Float64Array, edge: Mask, target: Ball, rest: Ball
) -> None:
    """Set the results at p = 0 and p = 1: the target mass on the impossible side decides."""
    impossible = np.where(x == 0.0, target.midpoint, rest.midpoint)
    nothing = np.asarray(impossible == 0)
    side = np.where(x == 0.0, -1.0, 1.0)
    if VALUE in pieces.quantities:
        pieces.quantities[VALUE].put(edge, np.where(nothing, 0.0, INF))
    if GRADIENT in pieces.quantities:
        pieces.quantities[GRADIENT].put(edge, np.where(nothing, -side, side * INF))


def nll_loss(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """−w_y x_y, gradient −w_y at the label. Products of two inputs are exact."""
    assert block.labels is not None
    x = block.x
    rows = np.arange(len(x))
    ignored = ignored_rows(block)
    labels = np.where(ignored, 0, block.labels)
    weight = block.parameters.get("weight")
    w = np.ones(len(x)) if weight is None else weight[labels]
    own = x[rows, labels]
    finite = np.isfinite(own)
    others = np.isnan(x).any(axis=1) & ~ignored
    pieces = FormResult()
    if VALUE in wanted:
        product = -(arithmetic.exact(np.where(finite, own, 0.0)) * arithmetic.exact(w))
        value = Partial(product.within(0.0))
        value.put(np.isinf(own) & ~ignored, np.where(w != 0.0, -own, 0.0))
        if others.any():
            value.allow(others, Accepts.NAN)
        value.put(np.isnan(own), NAN)
        value.put(ignored, 0.0)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        midpoint = arithmetic.zeros(x.shape)
        midpoint[rows, labels] = arithmetic.exact(-w).midpoint
        gradient = Partial(Ball(arithmetic, midpoint))
        if others.any():
            gradient.allow(others, Accepts.NAN)
        gradient.put(ignored, 0.0)
        pieces.quantities[GRADIENT] = gradient
    return pieces


def entropy(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """−Σ_k p_k log_b p_k, gradient −(log p_k + 1) / log b."""
    x = block.x
    outside = ~((x >= 0.0) & np.isfinite(x))
    undefined = np.asarray(outside.any(axis=1))
    zero = x == 0.0
    p = np.where(zero | outside, 1.0, x)
    log_p = surprise(arithmetic, p)
    base = str(block.parameters.get("base", "e"))
    unit = None if base == "e" else arithmetic.exact(float(base), sign=1).log()
    if unit is not None:
        unit = unit.within(unit.relative, 1)
    pieces = FormResult()
    if VALUE in wanted:
        share = arithmetic.exact(np.where(zero | outside, 0.0, x), sign=1)
        total = (share * log_p).total()
        value = Partial(total if unit is None else total / unit)
        value.put(undefined, NAN)
        pieces.quantities[VALUE] = value
    if GRADIENT in wanted:
        slope = log_p - 1.0
        gradient = Partial(slope if unit is None else slope / unit)
        gradient.put(zero, INF)
        if undefined.any():
            own = np.isnan(x) | (x < 0.0)
            gradient.put(undefined[:, np.newaxis] & own, NAN)
            gradient.put(undefined[:, np.newaxis] & ~own, NAN, Accepts.ANYTHING)
        pieces.quantities[GRADIENT] = gradient
    return pieces


FORMS: dict[str, Form] = {
    "categorical_cross_entropy": categorical_cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
    "nll_loss": nll_loss,
    "entropy": entropy,
}
