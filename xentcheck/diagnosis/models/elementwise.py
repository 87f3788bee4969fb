"""Known forms of the losses of single logits, sound and unsound, as `Steps`.

Every form takes the logits (rows,), the targets (rows,) or None, the parameters of the loss, and
the options that tell the forms apart.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from xentcheck.diagnosis.models.powers import guarded_logarithm
from xentcheck.diagnosis.steps import BEYOND, Steps, as_float64
from xentcheck.floats import FORMATS
from xentcheck.model import Array, Cause

Options = Mapping[str, Any]


def _where(condition: Any, yes: Array, no: Array) -> Array:
    return np.asarray(np.where(np.asarray(condition, dtype=bool), yes, no))


def _power(s: Steps, x: Array) -> Array:
    """e^x, blamed where it overflows."""
    e = s.keep("exp", np.exp(x))
    s.blame(
        Cause.EXP_OVERFLOW,
        lambda: np.where(np.isinf(as_float64(e)), np.inf, 0.0),
    )
    return np.asarray(e)


def _sigmoid(s: Steps, x: Array, form: str) -> Array:
    one = s.number(1.0, x)
    if form == "naive":
        e = s.keep("exp", np.exp(-x))
        s.blame(
            Cause.EXP_OVERFLOW,
            lambda: np.where(np.isinf(as_float64(e)) & (np.exp(x) > 0), np.inf, 0.0),
        )
        return s.keep("p = 1 / (1 + exp(−x))", one / (one + e))
    if form == "one_minus":
        rest = s.keep("1 / (1 + exp(x))", one / (one + np.exp(x)))
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(x.shape, s.u))
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.where(rest == 1, np.inf, 0.0))
        return s.keep("p = 1 − 1 / (1 + exp(x))", one - rest)
    if form == "exp_ratio":
        e = _power(s, x)
        return s.keep("p = exp(x) / (1 + exp(x))", e / (one + e))
    if form == "tanh":
        t = s.keep("tanh(x / 2)", np.tanh(x / s.number(2.0, x)))
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(x.shape, s.u))
        return s.keep("p = (1 + tanh) / 2", (one + t) / s.number(2.0, x))
    e = s.keep("exp(−|x|)", np.exp(-np.abs(x)))
    return s.keep("p = sigmoid(x)", _where(x >= 0, one + e * 0, e) / (one + e))


def _flushed(s: Steps, p: Array, exact: Callable[[], Array]) -> None:
    """Blame a probability that became 0, or subnormal, where the exact one is not."""
    s.blame(
        Cause.EXP_OVERFLOW,
        lambda: np.where((as_float64(p) == 0) & (exact() > 0), exact(), 0.0),
    )


def _softplus(s: Steps, x: Array, form: str, name: str = "softplus") -> Array:
    one, zero = s.number(1.0, x), x * 0 if s.exact else np.zeros_like(x)
    if form == "naive":
        result = np.log(one + _power(s, x))
        s.blame(Cause.ABSORBED_TAIL, lambda: np.where(as_float64(x) < 0, s.u, 0.0))
    elif form == "log1p_exp":
        result = np.log1p(_power(s, x))
    elif form == "max_log":
        result = np.maximum(x, zero) + np.log(one + np.exp(-np.abs(x)))
        s.blame(Cause.ABSORBED_TAIL, lambda: np.full(x.shape, s.u))
    elif form == "threshold":
        over = np.asarray(x > s.number(20.0, x), dtype=bool)
        s.blame(Cause.ABSORBED_TAIL, lambda: np.where(over, np.exp(-np.abs(as_float64(x))), 0.0))
        result = _where(over, x, np.log1p(np.exp(_where(over, zero, x))))
    elif form == "logaddexp" and not s.exact:
        result = np.logaddexp(zero, x)
    elif form == "shifted_pair":
        top = np.maximum(x, zero)
        result = top + np.log(np.exp(x - top) + np.exp(-top))
        s.blame(Cause.ABSORBED_TAIL, lambda: np.full(x.shape, s.u))
    elif form.startswith(("log_of_", "log_rest_")):
        result = _softplus_of_probability(s, x, {"form": form})
    else:
        result = np.maximum(x, zero) + np.log1p(s.keep("exp(−|x|)", np.exp(-np.abs(x))))
    return s.keep(name, result)


def _softplus_of_probability(s: Steps, x: Array, options: Options) -> Array:
    """−log σ(−x), or −log(1 − σ(x))."""
    kind, form = options["form"].rsplit("_", 1)[0], options["form"]
    if kind.startswith("log_rest"):
        p = _sigmoid(s, x, form.removeprefix("log_rest_"))
        rest = s.keep("1 − p", s.number(1.0, p) - p)
        s.blame(
            Cause.ONE_MINUS_P_CANCELLATION,
            lambda: s.u / np.maximum(as_float64(rest), s.u),
        )
        return -_log_p(s, rest, options, "log(1 − p)")
    return -_log_p(s, _sigmoid(s, -x, form.removeprefix("log_of_")), options)


def sigmoid(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """1 / (1 + e^−x)."""
    x = s.keep("x", x)
    p = _sigmoid(s, x, options["form"])
    if options["form"] == "naive":
        _flushed(s, p, lambda: np.exp(np.minimum(as_float64(x), 0.0)))
    guard = options.get("guard", "")
    if not guard:
        return p
    low, one = s.number(options["epsilon"], p), s.number(1.0, p)
    moved = p + low if guard == "plus" else np.maximum(p, low)
    if guard == "clip":
        moved = np.minimum(moved, one - low)
    s.blame(
        Cause.EPSILON_CLIP,
        lambda: np.where(as_float64(p) == as_float64(moved), 0.0, BEYOND),
    )
    return s.keep("p + ε" if guard == "plus" else "clip(p)", moved)


def sigmoid_gradient(
    s: Steps, x: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """σ (1 − σ)."""
    x, form, one = s.keep("x", x), options["form"], s.number(1.0, x)
    if form == "sound":
        e = np.exp(-np.abs(x))
        return np.asarray(e / ((one + e) * (one + e)))
    if form in ("ratio", "ratio_minus"):
        e = _power(s, x if form == "ratio" else -x)
        bottom = (one + e) ** 2

        def over(size: Any) -> Array:
            infinite = np.isinf(as_float64(bottom)) & np.isfinite(as_float64(x))
            return np.where(infinite, size, 0.0)

        s.blame(Cause.EXP_OVERFLOW, lambda: over(np.inf))
        s.blame(Cause.EXP_OVERFLOW, lambda: over(np.exp(-np.abs(as_float64(x)))))
        return np.asarray(e / bottom)
    p = _sigmoid(s, x, form)
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.where(as_float64(p) > 0.5, s.u, 0.0))
    return s.keep("p (1 − p)", p * s.keep("1 − p", one - p))


def softplus(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """log(1 + e^x)."""
    x = s.keep("x", x)
    if options["form"].startswith(("log_of_", "log_rest_")):
        return _softplus_of_probability(s, x, options)
    return _softplus(s, x, options["form"])


def softplus_gradient(
    s: Steps, x: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """σ(x)."""
    form, one = options["form"], s.number(1.0, x)
    if form.startswith("rest_"):
        p = _sigmoid(s, -s.keep("x", x), form.removeprefix("rest_"))
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(x.shape, s.u))
        return s.keep("1 − p", one - p)
    if form in ("linear branch", "two branches"):
        return _both_branches(s, x, form)
    return sigmoid(s, x, labels, parameters, options)


def _both_branches(s: Steps, x: Array, form: str) -> Array:
    """What differentiation makes of a `where`: both branches, with factors of 0 and 1."""
    one, up = s.number(1.0, x), np.exp(x)
    if form == "linear branch":
        taken = np.asarray(x > s.number(_LINEAR, x), dtype=bool)
        first = one + x * 0 if s.exact else np.ones_like(x)
    else:
        taken = np.asarray(x > 0, dtype=bool)
        down = np.exp(-x)
        first = one - down / (one + down)
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.where(taken, s.u, 0.0))
    second = up / (one + up)
    if s.exact:
        return s.keep("gradient", _where(taken, first, second))
    yes, no = taken.astype(x.dtype), (~taken).astype(x.dtype)

    def untaken() -> Array:
        lost = np.where(taken, as_float64(second), as_float64(first))
        return np.where(np.isnan(lost) & ~np.isnan(as_float64(x)), np.inf, 0.0)

    s.blame(Cause.UNTAKEN_BRANCH_GRADIENT, untaken)
    return s.keep("gradient", np.asarray(yes * first + no * second))


_LINEAR = 20.0
"""Above this PyTorch's softplus is x."""


def log_sigmoid(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """log σ(x)."""
    x = s.keep("x", x)
    form = options["form"]
    if form == "less softplus":
        whole = _softplus(s, x, options["softplus"])
        s.blame(Cause.COMMON_OFFSET_CANCELLATION, lambda: _rounded(s, x))
        s.blame(
            Cause.INF_MINUS_INF,
            lambda: np.where(np.isinf(as_float64(x)) & np.isinf(as_float64(whole)), np.inf, 0.0),
        )
        return s.keep("x − softplus(x)", x - whole)
    if form.startswith("log_of_"):
        return _log_p(s, _sigmoid(s, x, form.removeprefix("log_of_")), options)
    return -_softplus(s, -x, form)


def log_sigmoid_gradient(
    s: Steps, x: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """1 − σ(x) = σ(−x)."""
    x = s.keep("x", x)
    if options["form"] == "sound":
        return _sigmoid(s, -x, "sound")
    p = _sigmoid(s, x, options["form"])
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(x.shape, s.u))
    return s.keep("1 − p", s.number(1.0, x) - p)


def _log_p(s: Steps, p: Array, options: Options, name: str = "log p", *, used: Any = None) -> Array:
    """log p, with an epsilon, a clip or a clamp as the options say."""
    before, low = p, options.get("epsilon", 0.0)
    asked = np.ones(p.shape, dtype=bool) if used is None else used
    one = s.number(1.0, p)
    guard = options.get("guard", "")
    if guard == "plus":
        p = s.keep("p + ε", p + s.number(low, p))
    elif guard == "clip":
        p = s.keep("clip(p)", np.minimum(np.maximum(p, s.number(low, p)), one - s.number(low, p)))
    elif guard == "low":
        p = s.keep("max(p, ε)", np.maximum(p, s.number(low, p)))
    if options.get("twice"):
        p = s.keep("… + ε", p + s.number(low, p))
    logs = s.keep(name, np.log(p))
    if guard in ("plus", "clip", "low"):
        guarded_logarithm(s, before, p, asked)
    if height := options.get("clamp", 0.0):
        clamped = np.maximum(logs, s.number(-height, logs))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(asked & (as_float64(clamped) != as_float64(logs)), BEYOND, 0.0),
        )
        logs = s.keep("max(log p, −h)", clamped)

    if options.get("given"):  # p is an input, and exact
        return np.asarray(logs)

    def rounded() -> Array:
        wide = as_float64(p)
        least = FORMATS[s.dtype].smallest_normal
        coarse = np.where(wide < least, s.u * (least / np.maximum(wide, 5e-324)), s.u)
        return np.where(asked, np.where(wide == 0, np.inf, coarse), 0.0)

    s.blame(Cause.LOG_OF_SATURATED_PROBABILITY, rounded)
    return np.asarray(logs)


# sigmoid_binary_cross_entropy


def _targets(s: Steps, x: Array, labels: Array, parameters: Options) -> tuple[Array, Array]:
    """What the terms of both labels count: w z' and 1 − z', with smoothing."""
    one = s.number(1.0, x)
    smoothing = parameters.get("label_smoothing", 0.0) or 0.0
    z = labels
    if smoothing:
        z = labels * (one - s.number(smoothing, x)) + s.number(smoothing / 2, x)
    weight = parameters.get("pos_weight", 1.0)
    return (z if weight == 1 else s.number(weight, x) * z), one - z


def _product(s: Steps, factor: Array, term: Array, *, masked: bool) -> Array:
    """factor · term; without a mask 0 · inf is NaN."""
    nothing = np.asarray(factor == 0, dtype=bool)
    if masked:
        return _where(nothing, term * 0 if s.exact else np.zeros_like(term), factor * term)
    s.blame(
        Cause.ZERO_TIMES_INF,
        lambda: np.where(nothing & np.isinf(as_float64(term)), np.inf, 0.0),
    )
    return np.asarray(factor * term)


def binary(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of sigmoid_binary_cross_entropy, (rows,)."""
    x, form = s.keep("x", x), options["form"]
    on, off = _targets(s, x, labels, parameters)
    if form == "probabilities":
        p = _sigmoid(s, x, options.get("sigmoid", "sound"))
        return _of_probabilities(s, p, on, off, options)
    if form == "max_abs":
        zero = x * 0 if s.exact else np.zeros_like(x)
        tail = np.exp(-np.abs(x))
        logs = np.log1p(tail) if options.get("log1p", True) else np.log(s.number(1.0, x) + tail)
        if not options.get("log1p", True):
            s.blame(Cause.ABSORBED_TAIL, lambda: np.full(x.shape, s.u))
        product = _times_label(s, x, labels, lambda: (labels == 0) | (labels == 1))
        return s.keep("loss", np.maximum(x, zero) - product + logs)
    if form == "product":
        whole = _softplus(s, x, options["softplus"], "softplus(x)")
        product = _times_label(s, x, labels, lambda: as_float64(labels) == 0)
        return s.keep("loss", whole - product)
    if form == "one_sided":
        tail = _softplus(s, -x, options["softplus"], "softplus(−x)")
        s.blame(Cause.COMMON_OFFSET_CANCELLATION, lambda: _rounded(s, off * x))
        if options.get("once"):
            return s.keep("loss", off * x + tail)
        return s.keep("loss", off * x + on * tail + off * tail)
    if form == "by_label":
        zero, one = x * 0 if s.exact else np.zeros_like(x), s.number(1.0, x)
        tail = s.keep("log(1 + exp(−|x|))", np.log(one + np.exp(-np.abs(x))))
        s.blame(Cause.ABSORBED_TAIL, lambda: np.full(x.shape, s.u))
        upper = np.asarray(labels > s.number(0.5, x), dtype=bool)
        return s.keep("loss", _where(upper, np.maximum(-x, zero), np.maximum(x, zero)) + tail)
    masked = options.get("masked", True)
    up, down = _softplus(s, -x, form, "softplus(−x)"), _softplus(s, x, form, "softplus(x)")
    return s.keep(
        "loss", _product(s, on, up, masked=masked) + _product(s, off, down, masked=masked)
    )


def _times_label(s: Steps, x: Array, labels: Array, harmless: Callable[[], Array]) -> Array:
    """x z, from which a large number is subtracted; ``harmless``: where its rounding is none."""
    product = s.keep("x z", x * labels)
    s.blame(Cause.INF_MINUS_INF, lambda: np.where(np.isinf(as_float64(x)), np.inf, 0.0))
    s.blame(
        Cause.COMMON_OFFSET_CANCELLATION,
        lambda: np.where(harmless(), 0.0, _rounded(s, product)),
    )
    return product


def _rounded(s: Steps, large: Array) -> Array:
    """The rounding of a large number that is subtracted later."""
    wide = np.abs(as_float64(large))
    return np.where(np.isfinite(wide), s.u * wide, 0.0)


def _of_probabilities(s: Steps, p: Array, on: Array, off: Array, options: Options) -> Array:
    """−on log p − off log(1 − p)."""
    one = s.number(1.0, p)
    masked = bool(options.get("masked"))
    if options.get("guard") == "clip":
        p = _clipped(s, p, options)
        options = {**options, "guard": ""}
    some_on = np.asarray(on != 0, dtype=bool)
    some_off = np.asarray(off != 0, dtype=bool)
    log_p = _log_p(s, p, options, used=some_on)
    if options.get("log1p"):
        log_q = s.keep("log1p(−p)", np.log1p(-p))
        s.blame(
            Cause.LOG_OF_SATURATED_PROBABILITY,
            lambda: np.where(some_off & np.isinf(as_float64(log_q)), np.inf, 0.0),
        )
        if not options.get("given"):
            s.blame(
                Cause.LOG_OF_SATURATED_PROBABILITY,
                lambda: np.where(some_off, s.u * np.exp(-as_float64(log_q)), 0.0),
            )
        if height := options.get("clamp", 0.0):
            before = log_q
            log_q = np.maximum(log_q, s.number(-height, log_q))
            s.blame(
                Cause.EPSILON_CLIP,
                lambda: np.where(some_off & (as_float64(before) != as_float64(log_q)), BEYOND, 0.0),
            )
    else:
        rest = s.keep("1 − p", one - p)
        s.blame(
            Cause.ONE_MINUS_P_CANCELLATION,
            lambda: np.where(some_off & (as_float64(rest) > 0), s.u, 0.0),
        )
        log_q = _log_p(s, rest, {**options, "given": False}, "log(1 − p)", used=some_off)
    return s.keep(
        "loss", -_product(s, on, log_p, masked=masked) - _product(s, off, log_q, masked=masked)
    )


def binary_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of sigmoid_binary_cross_entropy, (rows,)."""
    x, form, one = s.keep("x", x), options["form"], s.number(1.0, x)
    on, off = _targets(s, x, labels, parameters)
    if form == "sound":
        return s.keep("loss", off * _sigmoid(s, x, "sound") - on * _sigmoid(s, -x, "sound"))
    if form == "exp_over_exp":
        e = _power(s, -x)
        return np.asarray((off - on * e) / (one + e))
    p = _sigmoid(s, x, options.get("sigmoid", "sound"))
    weighted = s.keep("p − z", p * (on + off) - on)
    if form == "clipped":
        low = s.number(options["epsilon"], x)
        within = np.asarray((p >= low) & (p <= one - low), dtype=bool)
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(~within, BEYOND, 0.0))
        weighted = _where(within, weighted, weighted * 0)
    elif form == "inverses":
        return _through_inverses(s, p, on, off, options)
    elif form == "floored":
        slope = p * (one - p)
        floor = np.maximum(slope, s.number(options["epsilon"], x))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(as_float64(slope) != as_float64(floor), BEYOND, 0.0),
        )
        weighted = weighted / floor * slope
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(x.shape, s.u))
    return np.asarray(weighted)


def _through_inverses(s: Steps, p: Array, on: Array, off: Array, options: Options) -> Array:
    """(−z / p + (1 − z) / (1 − p)) p (1 − p), with an epsilon in the denominators."""
    one, epsilon = s.number(1.0, p), options.get("epsilon", 0.0)
    rest = s.keep("1 − p", one - p)
    low = s.number(epsilon, p)
    if options.get("guard") == "low":
        up, down = np.maximum(p, low), np.maximum(rest, low)
    else:
        up, down = (p + low, rest + low) if epsilon else (p, rest)
    inner = s.keep("−z / p + (1 − z) / (1 − p)", off / down - on / up)
    result = s.keep("gradient", inner * p * rest)

    def undefined() -> Array:
        return np.where(~np.isfinite(as_float64(result)), np.inf, 0.0)

    def moved() -> Array:
        wide = [as_float64(each) for each in (p, rest, up, down, on, off)]
        lost = wide[4] * wide[1] * np.abs(wide[0] / wide[2] - 1)
        lost = lost + wide[5] * wide[0] * np.abs(wide[1] / wide[3] - 1)
        return np.where(np.isfinite(lost), lost, 0.0)

    if epsilon:
        s.blame(Cause.EPSILON_CLIP, moved)
        s.blame(Cause.INEFFECTIVE_EPSILON, undefined)
    else:
        s.blame(Cause.DIVISION_BY_SATURATED_P, undefined)
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(p.shape, s.u))
    return result


# sigmoid_focal_loss


def _alpha(s: Steps, z: Array, parameters: Options) -> Array:
    alpha, one = parameters.get("alpha"), s.number(1.0, z)
    if alpha is None:
        return np.asarray(z * 0 + one)
    part = s.number(alpha, z)
    return np.asarray(part * z + (one - part) * (one - z))


def focal(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of sigmoid_focal_loss, (rows,)."""
    x, one, form = s.keep("x", x), s.number(1.0, x), options["form"]
    gamma = parameters.get("gamma", 2.0)
    z = labels
    if form == "sound":
        on, off = _sigmoid(s, x, "sound"), _sigmoid(s, -x, "sound")
        wrong = z * off + (one - z) * on
        ce = binary(s, x, labels, {}, {"form": "max_log1p"})
    elif form == "exp of loss":
        ce = binary(s, x, labels, {}, options["ce"])
        p = s.keep("p_t = exp(−ce)", np.exp(-ce))
        wrong = s.keep("1 − p_t", one - p)
        hard = np.asarray((z == 0) | (z == 1), dtype=bool)
        s.blame(
            Cause.ONE_MINUS_P_CANCELLATION,
            lambda: np.where(hard, _of_power(s, wrong, gamma) * np.abs(as_float64(ce)), 0.0),
        )
    elif form == "two_logs":
        kind = options["sigmoid"]
        up = _clipped(s, _sigmoid(s, x, kind), options)
        if options.get("rest"):
            down = s.keep("1 − p", one - up)
            s.blame(
                Cause.ONE_MINUS_P_CANCELLATION,
                lambda: np.where(as_float64(down) > 0, s.u, 0.0),
            )
        else:
            down = _sigmoid(s, -x, kind)
        number = s.number(gamma, x)
        logs = {} if options.get("guard") == "clip" else options
        log_p = _log_p(s, up, logs, "log p", used=np.asarray(z != 0, dtype=bool))
        log_q = _log_p(s, down, logs, "log q", used=np.asarray(z != 1, dtype=bool))
        first = _product(s, z * down**number, log_p, masked=False)
        second = _product(s, (one - z) * up**number, log_q, masked=False)
        return s.keep("loss", _alpha(s, z, parameters) * (-first - second))
    else:
        p = _sigmoid(s, x, options.get("sigmoid", "sound"))
        if options.get("direct"):
            wrong = z * (one - p) + (one - z) * p
        else:
            wrong = one - (p * z + (one - p) * (one - z))
        wrong = s.keep("1 − p_t", wrong)

        before = s.blamed
        ce = binary(s, x, labels, {}, options["ce"])
        s.rescale(before, lambda: np.maximum(as_float64(wrong), s.u) ** gamma)
        s.blame(
            Cause.ONE_MINUS_P_CANCELLATION,
            lambda: _of_power(s, wrong, gamma) * np.maximum(np.abs(as_float64(ce)), s.u),
        )
    power = (
        wrong * wrong if gamma == 2 and not options.get("power") else wrong ** s.number(gamma, x)
    )
    return s.keep("loss", _alpha(s, z, parameters) * _product(s, power, ce, masked=form == "sound"))


def _of_power(s: Steps, wrong: Array, gamma: float) -> Array:
    """How far (1 − p_t)^γ may be off where 1 − p_t is off by the unit roundoff."""
    wide = as_float64(wrong)
    size = gamma * s.u * np.maximum(wide, s.u) ** (gamma - 1)
    return np.where(np.isfinite(wide), size, 0.0)


def _clipped(s: Steps, p: Array, options: Options) -> Array:
    """p clipped to [ε, 1 − ε], if that is asked for."""
    if options.get("guard") != "clip":
        return p
    low, one = s.number(options["epsilon"], p), s.number(1.0, p)
    clipped = s.keep("clip(p)", np.minimum(np.maximum(p, low), one - low))
    s.blame(
        Cause.EPSILON_CLIP,
        lambda: np.where(as_float64(p) == as_float64(clipped), 0.0, BEYOND),
    )
    s.blame(
        Cause.INEFFECTIVE_EPSILON,
        lambda: np.where((as_float64(clipped) == 0) | (as_float64(clipped) == 1), np.inf, 0.0),
    )
    return clipped


def focal_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of sigmoid_focal_loss, (rows,)."""
    x, one, form = s.keep("x", x), s.number(1.0, x), options["form"]
    gamma, z = parameters.get("gamma", 2.0), labels
    if form == "sound":
        on, off = _sigmoid(s, x, "sound"), _sigmoid(s, -x, "sound")
        wrong = z * off + (one - z) * on
        ce = binary(s, x, labels, {}, {"form": "max_log1p"})
        hard = np.asarray((z == 0) | (z == 1), dtype=bool)
        soft = (one - z - z) * on * off / _where(hard, wrong * 0 + one, wrong)
        ratio = _where(z == one, -on, _where(z == 0, off, soft))
        inner = s.number(gamma, x) * _product(s, ratio, ce, masked=True) + (
            (one - z) * on - z * off
        )
        return np.asarray(_alpha(s, z, parameters) * wrong ** s.number(gamma, x) * inner)
    p = _sigmoid(s, x, options.get("sigmoid", "sound"))
    if options.get("direct"):
        wrong = z * (one - p) + (one - z) * p
    else:
        wrong = one - (p * z + (one - p) * (one - z))
    wrong = s.keep("1 − p_t", wrong)
    slope = (one - z - z) * p * (one - p)
    before = s.blamed
    ce = binary(s, x, labels, {}, options["ce"])
    s.rescale(before, lambda: np.maximum(as_float64(wrong), s.u) ** gamma)
    number = s.number(gamma, x)
    by_wrong = number * wrong ** (number - one) * slope * ce

    def cancelled() -> Array:
        wide = as_float64(wrong)
        return np.where((wide == 0) & (gamma < 1), np.inf, s.u * np.maximum(wide, s.u))

    s.blame(Cause.ONE_MINUS_P_CANCELLATION, cancelled)
    return np.asarray(_alpha(s, z, parameters) * (by_wrong + wrong**number * (p - z)))
