"""An independent witness: every loss, value and gradient, from the textbook in ball arithmetic.

Written against python-flint's ``arb`` alone, without a look at the package's own formulas. The
textbook forms cancel and overflow in floats; here they are evaluated as they stand, and the
precision is doubled until every ball is narrow. Infinite or undefined results are None.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
from flint import arb

Vector = list[arb]
Label = int | float | npt.NDArray[Any] | None
Parameters = Mapping[str, Any]
Components = list[arb | None]
Results = tuple[Components, Components]

MAX_PRECISION = 20_000
RELATIVE_BITS = 90
NEGLIGIBLE_EXPONENT = -1200


def softmax_cross_entropy(x: Vector, label: Label, p: Parameters, kind: str) -> Results:
    """w·(lse(x/T) − x_y/T), torch's label smoothing, and z·lse²."""
    if kind == "integer" and label == p.get("ignore_index", -100):
        return [arb(0)], [arb(0) for _ in x]
    classes = len(x)
    temperature, smoothing = _real(p, "temperature", 1), _real(p, "label_smoothing", 0)
    z = _real(p, "z_loss", 0)
    weight = _vector(p.get("weight", np.ones(classes)))
    scaled = [each / temperature for each in x]
    lse = _logsumexp(scaled)
    probability = [(each - lse).exp() for each in scaled]
    if kind == "integer":
        # The coefficient of (lse − x_k) is the hard label's part and the uniform part's.
        coefficient = [smoothing / classes * w for w in weight]
        coefficient[_index(label)] += (1 - smoothing) * weight[_index(label)]
    else:
        coefficient = [
            w * ((1 - smoothing) * y + smoothing / classes)
            for w, y in zip(weight, _vector(label), strict=True)
        ]
    value = _sum([c * (lse - each) for c, each in zip(coefficient, scaled, strict=True)])
    total = _sum(coefficient)
    gradient = [
        (total * q - c + 2 * z * lse * q) / temperature
        for c, q in zip(coefficient, probability, strict=True)
    ]
    return [value + z * lse * lse], list(gradient)


def sigmoid_binary_cross_entropy(x: Vector, label: Label, p: Parameters, _kind: str) -> Results:
    """pos_weight·z·softplus(−x) + (1 − z)·softplus(x), the target smoothed towards a half."""
    smoothing, weight = _real(p, "label_smoothing", 0), _real(p, "pos_weight", 1)
    z = _scalar(label) * (1 - smoothing) + smoothing / 2
    (logit,) = x
    value = weight * z * _softplus(-logit) + (1 - z) * _softplus(logit)
    gradient = -weight * z * _sigmoid(-logit) + (1 - z) * _sigmoid(logit)
    return [value], [gradient]


def categorical_cross_entropy(x: Vector, label: Label, _p: Parameters, kind: str) -> Results:
    """−Σ y_k log p_k."""
    y = _one_hot(label, len(x)) if kind == "integer" else _vector(label)
    terms = [_xlogy(each, q) for each, q in zip(y, x, strict=True)]
    return [_minus_sum(terms)], [_ratio(-each, q) for each, q in zip(y, x, strict=True)]


def binary_cross_entropy(x: Vector, label: Label, _p: Parameters, _kind: str) -> Results:
    """−z log p − (1 − z) log(1 − p)."""
    (probability,), z = x, _scalar(label)
    value = _minus_sum([_xlogy(z, probability), _xlogy(1 - z, 1 - probability)])
    left, right = _ratio(-z, probability), _ratio(1 - z, 1 - probability)
    return [value], [None if left is None or right is None else left + right]


def nll_loss(x: Vector, label: Label, p: Parameters, _kind: str) -> Results:
    """−w_y x_y."""
    gradient = [arb(0) for _ in x]
    if label == p.get("ignore_index", -100):
        return [arb(0)], list(gradient)
    y = _index(label)
    weight = _vector(p.get("weight", np.ones(len(x))))[y]
    gradient[y] = -weight
    return [-weight * x[y]], list(gradient)


def kl_divergence(x: Vector, label: Label, p: Parameters, _kind: str) -> Results:
    """Σ t (log t − x), the first argument being log-probabilities."""
    if p.get("log_target", False):
        logs = _vector(label)
        target = [each.exp() for each in logs]
        terms = [t * (log - each) for t, log, each in zip(target, logs, x, strict=True)]
    else:
        target = _vector(label)
        terms = [
            arb(0) if t == 0 else t * (t.log() - each) for t, each in zip(target, x, strict=True)
        ]
    return [_sum(terms)], [-t for t in target]


def js_divergence(x: Vector, label: Label, _p: Parameters, _kind: str) -> Results:
    """½ Σ p log(2p/(p+q)) + ½ Σ q log(2q/(p+q))."""
    terms: Vector = []
    gradient: Components = []
    for p, q in zip(x, _vector(label), strict=True):
        terms += [r * (2 * r / (p + q)).log() / 2 for r in (p, q) if r != 0]
        gradient.append(None if p == 0 else (2 * p / (p + q)).log() / 2)
    return [_sum(terms)], gradient


def entropy(x: Vector, _label: Label, p: Parameters, _kind: str) -> Results:
    """−Σ p log_b p."""
    base = p.get("base", "e")
    unit = arb(1) if base == "e" else arb(int(base)).log()
    value = -_sum([q * q.log() for q in x if q != 0]) / unit
    return [value], [None if q == 0 else -(q.log() + 1) / unit for q in x]


def sigmoid_focal_loss(x: Vector, label: Label, p: Parameters, _kind: str) -> Results:
    """α_t (1 − p_t)^γ · BCE."""
    (logit,), z, gamma = x, _scalar(label), _real(p, "gamma", 2)
    alpha = p.get("alpha")
    balance = arb(1) if alpha is None else arb(alpha) * z + (1 - arb(alpha)) * (1 - z)
    s, complement = _sigmoid(logit), _sigmoid(-logit)
    entropy_term = z * _softplus(-logit) + (1 - z) * _softplus(logit)
    missing = z * complement + (1 - z) * s
    slope = (1 - 2 * z) * s * complement
    focus = _power(missing, gamma)
    value = focus * entropy_term
    gradient = focus * (s - z)
    if gamma != 0:
        gradient += gamma * _power(missing, gamma - 1) * slope * entropy_term
    return [balance * value], [balance * gradient]


def softmax(x: Vector, label: Label, p: Parameters, _kind: str) -> Results:
    """exp(x_i) / Σ exp(x_j) of (x + noise)/T; the gradient is that of component ``label``."""
    temperature = _real(p, "temperature", 1)
    noise = _vector(p.get("noise", np.zeros(len(x))))
    terms = [((a + b) / temperature).exp() for a, b in zip(x, noise, strict=True)]
    total = _sum(terms)
    value = [each / total for each in terms]
    y = _index(label)
    gradient = [value[y] * ((j == y) - q) / temperature for j, q in enumerate(value)]
    return list(value), list(gradient)


def log_softmax(x: Vector, label: Label, _p: Parameters, _kind: str) -> Results:
    """x_i − lse(x); the gradient is that of component ``label``."""
    lse, y = _logsumexp(x), _index(label)
    gradient = [(j == y) - (each - lse).exp() for j, each in enumerate(x)]
    return [each - lse for each in x], list(gradient)


def logsumexp(x: Vector, _label: Label, _p: Parameters, _kind: str) -> Results:
    """log Σ exp(x_j)."""
    lse = _logsumexp(x)
    return [lse], [(each - lse).exp() for each in x]


def sigmoid(x: Vector, _label: Label, _p: Parameters, _kind: str) -> Results:
    """1 / (1 + e^−x)."""
    s = _sigmoid(x[0])
    return [s], [s * (1 - s)]


def log_sigmoid(x: Vector, _label: Label, _p: Parameters, _kind: str) -> Results:
    """log σ(x)."""
    s = _sigmoid(x[0])
    return [s.log()], [1 - s]


def softplus(x: Vector, _label: Label, _p: Parameters, _kind: str) -> Results:
    """log(1 + e^x)."""
    return [_softplus(x[0])], [_sigmoid(x[0])]


WITNESSES: Mapping[str, Callable[[Vector, Label, Parameters, str], Results]] = {
    function.__name__: function
    for function in (
        softmax_cross_entropy,
        sigmoid_binary_cross_entropy,
        categorical_cross_entropy,
        binary_cross_entropy,
        nll_loss,
        kl_divergence,
        js_divergence,
        entropy,
        sigmoid_focal_loss,
        softmax,
        log_softmax,
        logsumexp,
        sigmoid,
        log_sigmoid,
        softplus,
    )
}


def witness(
    loss_id: str,
    x: npt.NDArray[np.float64] | float,
    label: Label,
    parameters: Parameters,
    label_kind: str,
    *,
    precision: int = 128,
) -> Results:
    """The value and the gradient of one finite row, as balls.

    Every ball is relatively narrower than 2^-90, or lies below 2^-1200. Components that are
    infinite or undefined are None. Raises ArithmeticError when 20,000 bits do not suffice.
    """
    before = flint.ctx.prec
    try:
        while True:
            flint.ctx.prec = precision
            results = WITNESSES[loss_id](_vector(np.atleast_1d(x)), label, parameters, label_kind)
            if all(map(_narrow, results[0])) and all(map(_narrow, results[1])):
                return results
            precision *= 2
            if precision > MAX_PRECISION:
                message = f"{loss_id} is undecided at {MAX_PRECISION} bits: {x!r}, {label!r}"
                raise ArithmeticError(message)
    finally:
        flint.ctx.prec = before


def negligible(ball: arb) -> bool:
    """Whether all of the ball lies below 2^-1200."""
    return bool(ball.abs_upper() < arb(2) ** NEGLIGIBLE_EXPONENT)


def _narrow(ball: arb | None) -> bool:
    if ball is None:
        return True
    return bool(ball.is_finite()) and (
        ball.rel_accuracy_bits() >= RELATIVE_BITS or negligible(ball)
    )


def _vector(values: Any) -> Vector:
    return [arb(float(each)) for each in np.asarray(values)]


def _one_hot(label: Label, classes: int) -> Vector:
    return [arb(int(k == _index(label))) for k in range(classes)]


def _scalar(label: Label) -> arb:
    return arb(float(label))  # type: ignore[arg-type]


def _index(label: Label) -> int:
    return int(label)  # type: ignore[arg-type]


def _real(parameters: Parameters, name: str, default: float) -> arb:
    return arb(float(parameters.get(name, default)))


def _sum(terms: Vector) -> arb:
    total = arb(0)
    for each in terms:
        total += each
    return total


def _minus_sum(terms: list[arb | None]) -> arb | None:
    finite = [each for each in terms if each is not None]
    return -_sum(finite) if len(finite) == len(terms) else None


def _logsumexp(x: Vector) -> arb:
    return _sum([each.exp() for each in x]).log()


def _softplus(x: arb) -> arb:
    return (1 + x.exp()).log()


def _sigmoid(x: arb) -> arb:
    return 1 / (1 + (-x).exp())


def _power(base: arb, exponent: arb) -> arb:
    return (exponent * base.log()).exp()


def _xlogy(x: arb, y: arb) -> arb | None:
    """x·log y with 0·log 0 = 0; None for the logarithm of 0."""
    if x == 0:
        return arb(0)
    return None if y == 0 else x * y.log()


def _ratio(x: arb, y: arb) -> arb | None:
    """x / y with 0/0 = 0 (the derivative of 0·log y); None for a division by 0."""
    if x == 0:
        return arb(0)
    return None if y == 0 else x / y
