"""The array forms of the losses in `xentcheck.losses.sigmoid`, rearranged.

With s = exp(−|x|), σ(x) = exp(min(x, 0))/(1+s) and softplus(x) = max(x, 0) + log1p(s). Both have
only positive terms. With targets that are exactly 0 or 1, BCE is softplus(tx) with t = ±1, which
keeps a relative bound. Other targets mix two terms, and the difference of these terms in the
gradient has an absolute bound.
"""

from collections.abc import Set
from functools import cached_property

import numpy as np

from xentcheck.losses.spec import Block
from xentcheck.model import Float64Array, Quantity
from xentcheck.reference.balls import ArrayArithmetic, Ball
from xentcheck.reference.forms.result import Form, FormResult, Mask, Partial, choose

INF = float("inf")
NAN = float("nan")
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT


class Logistic:
    """σ(±x) and softplus(±x) of finite x. Each is computed on first access."""

    def __init__(self, arithmetic: ArrayArithmetic, x: Float64Array) -> None:
        self.arithmetic = arithmetic
        self.x = x

    @cached_property
    def small(self) -> Ball:
        """exp(−|x|)."""
        return (-self.arithmetic.exact(np.abs(self.x), sign=1)).exp()

    @cached_property
    def whole(self) -> Ball:
        """1 + exp(−|x|)."""
        return self.small + 1.0

    @cached_property
    def log_whole(self) -> Ball:
        """log1p(exp(−|x|))."""
        return self.small.log1p()

    @cached_property
    def up(self) -> Ball:
        """σ(x)."""
        return self._side(self.x >= 0)

    @cached_property
    def down(self) -> Ball:
        """σ(−x)."""
        return self._side(self.x < 0)

    def _side(self, large: Mask) -> Ball:
        above = Ball(
            self.arithmetic,
            np.where(large, self.arithmetic.exact(1.0).midpoint, self.small.midpoint),
            self.small.relative,
            sign=1,
        )
        side = above / self.whole
        side.below_one = True
        return side

    @cached_property
    def slope(self) -> Ball:
        """σ(x) σ(−x)."""
        return self.small / (self.whole * self.whole)

    @cached_property
    def softplus_up(self) -> Ball:
        """softplus(x)."""
        return self.log_whole + self.arithmetic.exact(np.maximum(self.x, 0.0), sign=1)

    @cached_property
    def softplus_down(self) -> Ball:
        """softplus(−x)."""
        return self.log_whole + self.arithmetic.exact(np.maximum(-self.x, 0.0), sign=1)


def _finite(x: Float64Array) -> tuple[Float64Array, Mask | None]:
    """(x with 0 for numbers that are not finite, mask of these numbers, or None without any)."""
    unusual = ~np.isfinite(x)
    if not unusual.any():
        return x, None
    return np.where(unusual, 0.0, x), unusual


def _without_target(
    arithmetic: ArrayArithmetic,
    block: Block,
    wanted: Set[Quantity],
    attributes: tuple[str, str],
    limits: dict[float, tuple[float, float]],
    sign: int = 1,
) -> FormResult:
    x, unusual = _finite(block.x)
    parts = Logistic(arithmetic, x)
    pieces = FormResult()
    for quantity, name, position in ((VALUE, attributes[0], 0), (GRADIENT, attributes[1], 1)):
        if quantity not in wanted:
            continue
        ball: Ball = getattr(parts, name)
        piece = Partial(-ball if quantity is VALUE and sign < 0 else ball)
        if unusual is not None:
            for infinity in (INF, -INF):
                piece.put(block.x == infinity, limits[infinity][position])
            piece.put(np.isnan(block.x), NAN)
        pieces.quantities[quantity] = piece
    return pieces


def sigmoid(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """σ(x), gradient σ(x) σ(−x)."""
    limits = {INF: (1.0, 0.0), -INF: (0.0, 0.0)}
    return _without_target(arithmetic, block, wanted, ("up", "slope"), limits)


def log_sigmoid(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """−softplus(−x), gradient σ(−x)."""
    limits = {INF: (0.0, 0.0), -INF: (-INF, 1.0)}
    return _without_target(arithmetic, block, wanted, ("softplus_down", "down"), limits, sign=-1)


def softplus(arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]) -> FormResult:
    """log(1 + exp(x)), gradient σ(x)."""
    limits = {INF: (INF, 1.0), -INF: (0.0, 0.0)}
    return _without_target(arithmetic, block, wanted, ("softplus_up", "up"), limits)


def _targets(arithmetic: ArrayArithmetic, z: Float64Array, smoothing: float) -> tuple[Ball, Ball]:
    """(z, 1 − z) after label smoothing. The signs are known if all targets are in [0, 1]."""
    inside = bool(((z >= 0.0) & (z <= 1.0)).all())
    given = arithmetic.exact(z, sign=int(inside))
    rest = 1.0 - given
    rest = rest.within(rest.relative, int(inside))
    if not smoothing:
        return given, rest
    keep = (1.0 - arithmetic.exact(smoothing)).within(2 * arithmetic.unit, 1)
    half = arithmetic.exact(smoothing, sign=1) * 0.5
    return given * keep + half, rest * keep + half


def _hard(z: Float64Array, smoothing: float) -> bool:
    return not smoothing and bool(((z == 0.0) | (z == 1.0)).all())


def sigmoid_binary_cross_entropy(
    arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]
) -> FormResult:
    """w z softplus(−x) + (1−z) softplus(x), gradient (1−z) σ(x) − w z σ(−x)."""
    assert block.labels is not None
    smoothing = float(block.parameters.get("label_smoothing", 0.0))
    weight = float(block.parameters.get("pos_weight", 1.0))
    x, unusual = _finite(block.x)
    z = block.labels
    lost = np.isnan(block.x)
    if unusual is not None or not np.isfinite(z).all():
        lost = lost | ~np.isfinite(z)
        z = np.where(lost, 0.0, z)
    pieces = FormResult()
    if _hard(z, smoothing):
        positive = z > 0.5
        parts = Logistic(arithmetic, np.where(positive, -x, x))
        # pos_weight applies to positive targets only
        scale = np.where(positive, weight, 1.0) if weight != 1.0 else None
        if VALUE in wanted:
            value = parts.softplus_up
            if scale is not None:
                value = value * arithmetic.exact(scale, sign=1)
            pieces.quantities[VALUE] = Partial(value)
        if GRADIENT in wanted:
            signed = np.where(positive, -weight, 1.0)
            gradient = parts.up * arithmetic.exact(signed)
            gradient.below_one = weight <= 1.0
            pieces.quantities[GRADIENT] = Partial(gradient)
    else:
        mass, rest = _targets(arithmetic, z, smoothing)
        parts = Logistic(arithmetic, x)
        weighted = mass * weight
        if VALUE in wanted:
            value = weighted * parts.softplus_down + rest * parts.softplus_up
            pieces.quantities[VALUE] = Partial(value)
        if GRADIENT in wanted:
            gradient = rest * parts.up - weighted * parts.down
            gradient.below_one = weight <= 1.0 and bool(mass.sign)
            pieces.quantities[GRADIENT] = Partial(gradient)
    if unusual is not None or lost.any():
        mass, rest = _targets(arithmetic, z, smoothing)
        _bce_limits(pieces, block.x, mass * weight, rest)
        for piece in pieces.quantities.values():
            piece.put(lost, NAN)
    return pieces


def _bce_limits(pieces: FormResult, x: Float64Array, mass: Ball, rest: Ball) -> None:
    """Set the results at ±inf: the target mass on the other side decides."""
    for infinity, against, sign in ((INF, rest, 1.0), (-INF, mass, -1.0)):
        here = x == infinity
        nothing = np.asarray(against.midpoint == 0)
        if VALUE in pieces.quantities:
            pieces.quantities[VALUE].put(here, np.where(nothing, 0.0, INF).astype(x.dtype))
        if GRADIENT in pieces.quantities:
            pieces.quantities[GRADIENT].put(here, against if sign > 0 else -against)


def sigmoid_focal_loss(
    arithmetic: ArrayArithmetic, block: Block, wanted: Set[Quantity]
) -> FormResult:
    """α_t q^γ BCE and its gradient. Elements with x = ±inf are left to the next tier.

    For targets 0 and 1, q itself may underflow. For γ ≥ 1, q^γ is then as good as 0; for smaller γ
    it is exp(−γ softplus(∓x)). For targets between them, q is at least the smaller of the two
    masses times the larger of σ(x) and σ(−x).
    """
    assert block.labels is not None
    gamma = float(block.parameters.get("gamma", 2.0))
    alpha = block.parameters.get("alpha")
    smoothing = float(block.parameters.get("label_smoothing", 0.0))
    z = block.labels
    lost = ~((z >= 0.0) & (z <= 1.0)) | np.isnan(block.x)
    left = np.isinf(block.x) & ~lost
    x = np.where(np.isfinite(block.x), block.x, 0.0)
    z = np.where(lost, 0.0, z)
    mass, rest = _targets(arithmetic, z, smoothing)
    balance = None
    if alpha is not None:
        share = arithmetic.exact(float(alpha), sign=1)
        other = (1.0 - share).within(2 * arithmetic.unit, 1)
        balance = mass * share + rest * other
    parts = Logistic(arithmetic, x)
    entropy = mass * parts.softplus_down + rest * parts.softplus_up
    one_sided = (z == 0.0) | (z == 1.0) if not smoothing else np.zeros(z.shape, dtype=np.bool_)
    miss = mass * parts.down + rest * parts.up
    mixed = choose(one_sided, arithmetic.exact(np.ones(x.shape), sign=1), miss)
    if gamma >= 1.0 or not gamma:
        modulation = miss.power(gamma)
    else:
        missed = choose(z > 0.5, parts.softplus_up, parts.softplus_down)
        by_logarithm = (-(missed * gamma)).exp()
        modulation = choose(one_sided, by_logarithm, mixed.power(gamma))
    pieces = FormResult(left=left if left.any() else None)
    if VALUE in wanted:
        value = modulation * entropy
        pieces.quantities[VALUE] = Partial(value if balance is None else balance * value)
    if GRADIENT in wanted:
        # σ(x) σ(−x) / q is σ(−x) for target 0, σ(x) for target 1
        own = choose(z > 0.5, parts.down, parts.up)
        other = choose(z > 0.5, parts.up, parts.down)
        direction = arithmetic.exact(np.where(z > 0.5, -1.0, 1.0))
        ends = (own + other * (entropy * gamma)) * direction
        if not one_sided.all():
            slope = rest * parts.up - mass * parts.down
            between = (rest - mass) * (parts.up * parts.down / mixed)
            ends = _either(one_sided, ends, slope + between * entropy * gamma)
        gradient = modulation * ends
        pieces.quantities[GRADIENT] = Partial(gradient if balance is None else balance * gradient)
    for piece in pieces.quantities.values():
        piece.put(lost, NAN)
    return pieces


def _either(where: Mask, one: Ball, other: Ball) -> Ball:
    """Like `choose`, for balls that may have absolute bounds."""
    return Ball(
        one.arithmetic,
        np.where(where, one.midpoint, other.midpoint),
        0.0,
        np.where(where, one.radius, other.radius),
    )


FORMS: dict[str, Form] = {
    "sigmoid": sigmoid,
    "log_sigmoid": log_sigmoid,
    "softplus": softplus,
    "sigmoid_binary_cross_entropy": sigmoid_binary_cross_entropy,
    "sigmoid_focal_loss": sigmoid_focal_loss,
}
