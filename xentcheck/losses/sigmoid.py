"""The sigmoid family, elementwise: sigmoid, log_sigmoid, softplus, sigmoid BCE and focal loss.

With σ(x) = 1/(1 + exp(−x)) and softplus(x) = log(1 + exp(x)):

* ``sigmoid``      σ(x), gradient σ(x) σ(−x)
* ``log_sigmoid``  −softplus(−x), gradient σ(−x)
* ``softplus``     log(1 + exp(x)), gradient σ(x)
* ``sigmoid_binary_cross_entropy``  w z softplus(−x) + (1−z) softplus(x), gradient
  (1−z) σ(x) − w z σ(−x), with w = pos_weight and z the smoothed target z (1−ε) + ε/2
* ``sigmoid_focal_loss``  α_t q^γ BCE(x, z) with q = z σ(−x) + (1−z) σ(x) = 1 − p_t and
  α_t = α z + (1−α)(1−z)

Domain: real x, ±inf (as limits), targets in [0, 1]. Losses are in nats. The rearranged forms depend
on the sign of x: exponentials never exceed 1, and every sum has only positive terms.

Sources: Mächler, "Accurately computing log(1 − exp(−|a|))", 2012 (softplus and related functions);
``torch.nn.functional.binary_cross_entropy_with_logits``; Lin et al., "Focal loss for dense object
detection", 2017; the label smoothing of Keras's BinaryCrossentropy.
"""

from collections.abc import Callable
from dataclasses import dataclass

from xentcheck.deferred import np
from xentcheck.losses.spec import (
    Arithmetic,
    Block,
    Components,
    Evaluator,
    ExactValue,
    Loss,
    Number,
    Row,
    RowResult,
)
from xentcheck.losses.terms import of_binary_cross_entropy, of_focal_loss, of_one_minus, of_sigmoid
from xentcheck.model import (
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    Parameter,
    ParameterKind,
    Quantity,
)

NAN = float("nan")
INF = float("inf")


@dataclass(frozen=True, slots=True, eq=False)
class _Logistic:
    """σ(x), σ(−x), softplus(x) and softplus(−x) of one finite x."""

    up: Number
    down: Number
    softplus_up: Number
    softplus_down: Number


def _rearranged(ops: Arithmetic, x: float) -> _Logistic:
    small = ops.exp(ops.number(-abs(x)))
    log_term = ops.log1p(small)
    large_side, small_side = 1 / (small + 1), small / (small + 1)
    linear = log_term + ops.number(abs(x))
    if x >= 0:
        return _Logistic(large_side, small_side, linear, log_term)
    return _Logistic(small_side, large_side, log_term, linear)


def _textbook(ops: Arithmetic, x: float) -> _Logistic:
    up, down = ops.exp(ops.number(x)), ops.exp(ops.number(-x))
    return _Logistic(1 / (1 + down), 1 / (1 + up), ops.log(1 + up), ops.log(1 + down))


def _scalar(row: Row) -> float:
    return float(row.x)


def _target(ops: Arithmetic, row: Row) -> tuple[Number, Number]:
    """(z, 1 − z) after label smoothing."""
    assert isinstance(row.label, float)
    z = ops.number(row.label)
    rest = 1 - z
    smoothing = row.parameters.get("label_smoothing", 0.0)
    if smoothing:
        keep = ops.number(1.0) - smoothing
        half = ops.number(1.0) * smoothing / 2
        return z * keep + half, rest * keep + half
    return z, rest


def _one(value: Number | float, gradient: Number | float) -> RowResult:
    return RowResult(Components([ExactValue(value)]), Components([ExactValue(gradient)]))


_Form = Callable[[Arithmetic, float], _Logistic]
_Pair = tuple[Number, Number]


def _of_sigmoid(parts: _Logistic) -> _Pair:
    return parts.up, parts.up * parts.down


def _of_log_sigmoid(parts: _Logistic) -> _Pair:
    return -parts.softplus_down, parts.down


def _of_softplus(parts: _Logistic) -> _Pair:
    return parts.softplus_up, parts.up


def _without_target(
    limits: dict[float, tuple[float, float]], pick: Callable[[_Logistic], _Pair], form: _Form
) -> Evaluator:
    """An evaluator: ``pick`` gives (value, gradient) of finite x, ``limits`` those of ±inf."""

    def evaluate(ops: Arithmetic, row: Row) -> RowResult:
        x = _scalar(row)
        if x != x:
            return _one(NAN, NAN)
        if abs(x) == INF:
            value, gradient = limits[x]
            return _one(value if abs(value) == INF else ops.number(value), ops.number(gradient))
        return _one(*pick(form(ops, x)))

    return evaluate


def _bce_parts(parts: _Logistic, z: Number, rest: Number, weight: float) -> _Pair:
    value = z * parts.softplus_down * weight + rest * parts.softplus_up
    gradient = rest * parts.up - z * parts.down * weight
    return value, gradient


def _define_bce(ops: Arithmetic, row: Row) -> RowResult:
    """w z (−log σ(x)) − (1−z) log(1 − σ(x)), gradient σ(x) − z (for w = 1)."""
    x = _scalar(row)
    z, rest = _target(ops, row)
    weight = float(row.parameters.get("pos_weight", 1.0))
    p = 1 / (1 + ops.exp(ops.number(-x)))
    value = -(z * ops.log(p) * weight) - rest * ops.log(1 - p)
    return _one(value, p * (z * weight + rest) - z * weight)


def _evaluate_bce(ops: Arithmetic, row: Row) -> RowResult:
    x = _scalar(row)
    if x != x or not abs(row.label) < INF:
        return _one(NAN, NAN)
    z, rest = _target(ops, row)
    weight = float(row.parameters.get("pos_weight", 1.0))
    if abs(x) == INF:
        against = rest if x > 0 else z * weight
        gradient = rest if x > 0 else -(z * weight)
        return _one(0.0 if against.is_zero else INF, gradient)
    return _one(*_bce_parts(_rearranged(ops, x), z, rest, weight))


def _focal(ops: Arithmetic, row: Row, form: _Form) -> RowResult:
    x = _scalar(row)
    if x != x or not 0.0 <= row.label <= 1.0:
        return _one(NAN, NAN)
    z, rest = _target(ops, row)
    gamma = float(row.parameters.get("gamma", 2.0))
    alpha = row.parameters.get("alpha")
    balance = (
        ops.number(1.0)
        if alpha is None
        else z * ops.number(float(alpha)) + rest * (1 - ops.number(float(alpha)))
    )
    if abs(x) == INF:
        return _focal_limit(ops, x, z, rest, balance, gamma)
    if balance.is_zero:
        return _one(0.0, 0.0)
    parts = form(ops, x)
    entropy, slope = _bce_parts(parts, z, rest, 1.0)
    miss = z * parts.down + rest * parts.up
    if gamma == 0.0:
        return _one(balance * entropy, balance * slope)
    modulation = ops.power(miss, gamma)
    miss_slope = (rest - z) * parts.up * parts.down
    gradient = modulation * slope + modulation / miss * miss_slope * entropy * gamma
    return _one(balance * modulation * entropy, balance * gradient)


def _focal_limit(
    ops: Arithmetic, x: float, z: Number, rest: Number, balance: Number, gamma: float
) -> RowResult:
    """The result at ±inf.

    q tends to the target mass on the other side. BCE tends to infinity, unless that mass is 0.
    """
    against = rest if x > 0 else z
    if against.is_zero or balance.is_zero:
        return _one(0.0, 0.0)
    slope = against if x > 0 else -against
    modulation = ops.power(against, gamma) if gamma else ops.number(1.0)
    return _one(INF, balance * modulation * slope)


def _evaluate_focal(ops: Arithmetic, row: Row) -> RowResult:
    return _focal(ops, row, _rearranged)


def _define_focal(ops: Arithmetic, row: Row) -> RowResult:
    return _focal(ops, row, _textbook)


def _by_value(block: Block, value: Float64Array, gradient: Float64Array) -> Float64Array:
    return np.asarray(1.0 + np.abs(block.x * gradient) / np.abs(value))


def _condition_sigmoid(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    if quantity is Quantity.VALUE:
        return _by_value(block, value, gradient)
    up, down = _sides(block.x)
    return np.asarray(1.0 + np.abs(block.x) * np.abs(up - down))


def _condition_log(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """For log_sigmoid and softplus. The gradient σ(∓x) has the condition number |x| σ(±x)."""
    if quantity is Quantity.VALUE:
        return _by_value(block, value, gradient)
    size = np.abs(block.x)
    large, small = _sides(size)
    return np.asarray(1.0 + size * np.where(gradient > 0.5, small, large))


def _sides(x: Float64Array) -> tuple[Float64Array, Float64Array]:
    """σ(x) and σ(−x)."""
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-x)), 1 / (1 + np.exp(x))


def _smoothed(block: Block) -> Float64Array:
    smoothing = float(block.parameters.get("label_smoothing", 0.0))
    return np.asarray(np.asarray(block.labels) * (1.0 - smoothing) + smoothing / 2)


def _condition_bce(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """The gradient is the difference of (1−z) σ(x) and w z σ(−x), which may cancel."""
    if quantity is Quantity.VALUE:
        return _by_value(block, value, gradient)
    z, weight = _smoothed(block), float(block.parameters.get("pos_weight", 1.0))
    up, down = _sides(block.x)
    parts = (1 - z) * up + z * weight * down
    moves = np.abs(block.x) * ((1 - z) + z * weight) * up * down
    return np.asarray(np.maximum((parts + moves) / np.abs(gradient), 1.0))


def _condition_focal(
    block: Block, value: Float64Array, gradient: Float64Array, quantity: Quantity
) -> Float64Array:
    """The gradient is a sum of three terms with the factor q^γ. With soft targets they cancel.

    q is rounded before the power, so this one rounding counts γ times.
    """
    gamma = float(block.parameters.get("gamma", 2.0))
    if quantity is Quantity.VALUE:
        return gamma + _by_value(block, value, gradient)
    alpha = block.parameters.get("alpha")
    z, x, size = np.asarray(block.labels), block.x, np.abs(block.x)
    up, down = _sides(x)
    balance = 1.0 if alpha is None else alpha * z + (1.0 - alpha) * (1.0 - z)
    missed = z * down + (1 - z) * up
    hard = (z == 0.0) | (z == 1.0)  # then q is σ(±x), which may underflow
    slope = np.where(hard, np.where(z > 0.5, up, down), up * down / missed)
    soft = np.log1p(np.exp(-size))
    entropy = z * (soft + np.maximum(-x, 0.0)) + (1 - z) * (soft + np.maximum(x, 0.0))
    of_missed = np.abs(1 - 2 * z) * slope  # |q'/q|
    # (term / q^γ, its relative change with x) of the three terms; the last term is γ q'/q BCE
    terms = (
        ((1 - z) * up, gamma * of_missed + down),
        (z * down, gamma * of_missed + up),
        (
            gamma * of_missed * entropy,
            abs(gamma - 1) * of_missed + np.abs(up - down) + ((1 - z) * up + z * down) / entropy,
        ),
    )
    parts = sum(term * (1.0 + gamma + size * move) for term, move in terms)
    whole = np.abs(gradient) / (balance * missed**gamma)
    whole = np.where(hard, sum(term for term, _ in terms), whole)
    return np.asarray(np.maximum(parts / whole, 1.0))


_REDUCTION = Parameter(
    "reduction",
    ParameterKind.CHOICE,
    "over the elements",
    default="none",
    choices=("none", "mean", "sum"),
)
_SOURCE = "Mächler 2012, 'Accurately computing log(1 - exp(-|a|))'"
_AT_INFINITY = "at ±inf: the limits"
_PROPAGATE = "NaN stays NaN, in its own element"

_SIGMOID_LIMITS = {INF: (1.0, 0.0), -INF: (0.0, 0.0)}
_LOG_SIGMOID_LIMITS = {INF: (0.0, 0.0), -INF: (-INF, 1.0)}
_SOFTPLUS_LIMITS = {INF: (INF, 1.0), -INF: (0.0, 0.0)}

SIGMOID = Loss(
    id="sigmoid",
    summary="the logistic function",
    formula="1 / (1 + exp(−x))",
    gradient_formula="σ(x) σ(−x)",
    domain=Domain.LOGITS,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.NONE,),
    conventions=(_AT_INFINITY, _PROPAGATE),
    units="probability",
    source=_SOURCE,
    evaluate=_without_target(_SIGMOID_LIMITS, _of_sigmoid, _rearranged),
    definition=_without_target(_SIGMOID_LIMITS, _of_sigmoid, _textbook),
    condition=_condition_sigmoid,
    terms=of_sigmoid,
    nonnegative=True,
    reducible=False,
)

LOG_SIGMOID = Loss(
    id="log_sigmoid",
    summary="logarithm of the logistic function",
    formula="−log(1 + exp(−x))",
    gradient_formula="σ(−x)",
    domain=Domain.LOGITS,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.NONE,),
    conventions=(_AT_INFINITY, _PROPAGATE),
    units="nats",
    source=_SOURCE,
    evaluate=_without_target(_LOG_SIGMOID_LIMITS, _of_log_sigmoid, _rearranged),
    definition=_without_target(_LOG_SIGMOID_LIMITS, _of_log_sigmoid, _textbook),
    condition=_condition_log,
    terms=of_one_minus,
    reducible=False,
)

SOFTPLUS = Loss(
    id="softplus",
    summary="a smooth maximum of x and 0",
    formula="log(1 + exp(x))",
    gradient_formula="σ(x)",
    domain=Domain.LOGITS,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.NONE,),
    conventions=(_AT_INFINITY, _PROPAGATE),
    units="nats",
    source=_SOURCE,
    evaluate=_without_target(_SOFTPLUS_LIMITS, _of_softplus, _rearranged),
    definition=_without_target(_SOFTPLUS_LIMITS, _of_softplus, _textbook),
    condition=_condition_log,
    nonnegative=True,
    reducible=False,
)

SIGMOID_BINARY_CROSS_ENTROPY = Loss(
    id="sigmoid_binary_cross_entropy",
    summary="binary cross-entropy of targets with the sigmoid of logits",
    formula="w z softplus(−x) + (1−z) softplus(x)",
    gradient_formula="(1−z) σ(x) − w z σ(−x)",
    domain=Domain.LOGITS,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.TARGET,),
    conventions=(
        "at ±inf: (inf, 1) = (−inf, 0) = 0, otherwise inf; gradient σ(x) − z",
        "label_smoothing ε: z (1−ε) + ε/2",
        _PROPAGATE,
    ),
    units="nats",
    source=_SOURCE + "; torch.nn.functional.binary_cross_entropy_with_logits",
    evaluate=_evaluate_bce,
    definition=_define_bce,
    condition=_condition_bce,
    terms=of_binary_cross_entropy,
    parameters=(
        Parameter(
            "pos_weight",
            ParameterKind.REAL,
            "weight w of the positive class",
            default=1.0,
            minimum=0.0,
        ),
        Parameter(
            "label_smoothing",
            ParameterKind.REAL,
            "z becomes z (1−ε) + ε/2",
            default=0.0,
            minimum=0.0,
            maximum=1.0,
        ),
        _REDUCTION,
    ),
    nonnegative=True,
)

SIGMOID_FOCAL_LOSS = Loss(
    id="sigmoid_focal_loss",
    summary="binary cross-entropy that discounts what is already right",
    formula="α_t (1 − p_t)^γ BCE(x, z),  α_t = α z + (1−α)(1−z),  1 − p_t = z σ(−x) + (1−z) σ(x)",
    gradient_formula="α_t (q^γ (σ(x) − z) + γ q^(γ−1) (1−2z) σ(x) σ(−x) BCE),  q = 1 − p_t",
    domain=Domain.LOGITS,
    layout=Layout.ELEMENTWISE,
    label_kinds=(LabelKind.TARGET,),
    conventions=(
        _AT_INFINITY,
        "alpha not given: no balancing (α_t = 1)",
        "soft targets enter BCE, p_t and α_t alike; a target outside [0, 1] gives NaN",
        _PROPAGATE,
    ),
    units="nats",
    source="Lin et al. 2017, arXiv:1708.02002",
    evaluate=_evaluate_focal,
    definition=_define_focal,
    condition=_condition_focal,
    terms=of_focal_loss,
    parameters=(
        Parameter(
            "alpha", ParameterKind.REAL, "balance of the positive class", minimum=0.0, maximum=1.0
        ),
        Parameter("gamma", ParameterKind.REAL, "focusing exponent", default=2.0, minimum=0.0),
        _REDUCTION,
    ),
    nonnegative=True,
)
