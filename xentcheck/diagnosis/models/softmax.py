"""Known forms of the losses of logits with classes, sound and unsound, as `Steps`.

Every form takes the logits (rows, classes), the labels and the parameters of the loss, and the
options that tell the forms apart: how the row is shifted, how the logarithm of p is written, an
epsilon, how the gradient is written.
"""

from typing import Any

import numpy as np

from xentcheck.diagnosis.models.powers import (
    Options,
    Powers,
    absorbed,
    guarded_logarithm,
    guarded_probability,
    offset,
    power_of_logarithm,
    running,
    smallest_normal,
    tail_of,
    underflowed,
)
from xentcheck.diagnosis.steps import BEYOND, Steps, as_float64
from xentcheck.floats import FORMATS
from xentcheck.model import Array, Cause


def surprises(s: Steps, x: Array, asked: Array, options: Options) -> Array:
    """−log p of every class, (rows, classes), in one of the known forms.

    Args:
        s: runs the steps.
        x: the logits, (rows, classes).
        asked: (rows, classes), whether the result of the row depends on this class.
        options: ``form`` and what it needs.
    """
    form = options["form"]
    if form == "log1p":
        gap, _, tail = tail_of(s, x)
        return np.asarray(s.keep("log1p(tail)", np.log1p(tail)) - gap)
    if form in ("log1p lse", "logaddexp lse"):
        return _from_lse(s, x, form)
    if form == "running":
        largest, total = running(s, x, int(options["block"]))
        logs = s.keep("log s", np.log(total))
        absorbed(s, total)
        if options.get("lse"):
            lse = s.keep("lse", largest + logs)
            offset(s, lse)
            return np.asarray(lse - x)
        return np.asarray(logs + (largest - x))
    own = Powers(s, x, options)
    if form == "others":
        nothing = own.powers * 0 if s.exact else np.zeros_like(own.powers)
        tail = s.total(np.where(asked, nothing, own.powers), Cause.WRONG_SHIFT)
        logs = s.keep("log1p(Σ over the others)", np.log1p(tail))
        return np.asarray(logs + nothing)
    if form in ("quotient", "two logs"):
        underflowed(s, own.powers, asked)
        absorbed(s, own.total)
        if form == "quotient":
            return np.asarray(np.log(s.keep("s / exp(x − m)", own.total / own.powers)))
        logs, powers = s.keep("log s", np.log(own.total)), np.log(own.powers)
        offset(s, logs)
        return np.asarray(logs - powers)
    if form == "rest":
        p = s.keep("p", own.p)
        nothing = p * 0 if s.exact else np.zeros_like(p)
        rest = np.where(asked, nothing, p).sum(axis=1, keepdims=True)
        left = s.keep("1 − Σ over the others", s.number(1.0, p) - rest)
        s.blame(
            Cause.ONE_MINUS_P_CANCELLATION,
            lambda: np.where(as_float64(left) > 0, s.u / np.maximum(as_float64(left), s.u), np.inf),
        )
        return np.asarray(nothing - np.log(left))
    if form == "shifted":
        logs = s.keep("log s", np.log(own.total))
        absorbed(s, own.total)
        if options.get("shift", "max") != "max":
            offset(s, logs, options["shift"])
        return np.asarray(logs - own.gap)
    if form == "lse":
        logs = s.keep("log s", np.log(own.total))
        absorbed(s, own.total)
        lse = s.keep("lse", own.shift + logs)
        offset(s, lse)
        return np.asarray(lse - x)
    p = s.keep("p", own.p)
    logs = _logarithm(s, p, asked, options)
    return -(logs if s.exact else logs.astype(x.dtype))


def _from_lse(s: Steps, x: Array, form: str) -> Array:
    """lse − x with an lse whose tail is not absorbed."""
    if form == "logaddexp lse" and not s.exact:
        lse = s.keep("lse", np.logaddexp.reduce(x, axis=1, keepdims=True))
    else:
        _, _, tail = tail_of(s, x)
        top = np.take_along_axis(x, x.argmax(axis=1)[:, None], axis=1)
        lse = s.keep("lse", np.log1p(tail) + top)
    offset(s, lse)
    return np.asarray(lse - x)


def _logarithm(s: Steps, p: Array, asked: Array, options: Options) -> Array:
    """log p with what the options do to p before, (rows, classes)."""
    form, low = options["form"], options.get("epsilon", 0.0)
    if options.get("widened") and not s.exact:
        p = s.keep("p in float32", p.astype(np.float32))
    before = p
    if form == "log_p_plus":
        p = s.keep("p + ε", p + s.number(low, p))
    elif form == "log_p_clipped":
        one = s.number(1.0, p)
        p = s.keep(
            "clip(p, ε, 1 − ε)", np.minimum(np.maximum(p, s.number(low, p)), one - s.number(low, p))
        )
    elif form == "log_p_at_least":
        p = s.keep("max(p, ε)", np.maximum(p, s.number(low, p)))
    if options.get("twice"):
        p = s.keep("… + ε", p + s.number(low, p))
    logs = s.keep("log p", np.log(p))
    if form == "log_p_then_plus":
        logs = s.keep("log p + ε", logs + s.number(low, p))
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(asked, low, 0.0))
    elif form != "log_p":
        guarded_logarithm(s, before, p, asked)
    if low_log := options.get("clamp"):
        clamped = s.keep("max(log p, −h)", np.maximum(logs, s.number(-low_log, logs)))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(asked & (as_float64(clamped) != as_float64(logs)), BEYOND, 0.0),
        )
        logs = clamped

    def rounded() -> Array:
        wide = as_float64(p)
        least = smallest_normal(s)
        coarse = np.where(wide < least, s.u * (least / np.maximum(wide, 5e-324)), s.u)
        return np.where(asked, np.where(wide == 0, np.inf, coarse), 0.0)

    s.blame(Cause.LOG_OF_SATURATED_PROBABILITY, rounded)
    return np.asarray(logs)


# softmax_cross_entropy


def charges(s: Steps, x: Array, labels: Array, parameters: Options) -> tuple[Array, Array]:
    """What each class counts, (rows, classes), and which rows count at all, (rows,)."""
    zero = x * 0 if s.exact else np.zeros_like(x)
    if labels.ndim == 1:
        kept = labels != parameters.get("ignore_index", -100)
        safe = np.where(kept, labels, 0)
        dense = zero + (safe[:, None] == np.arange(x.shape[1]))
    else:
        kept, dense = np.ones(len(x), dtype=np.bool_), labels
    smoothing = parameters.get("label_smoothing", 0.0) or 0.0
    if smoothing:
        part = s.number(smoothing, x)
        dense = dense * (s.number(1.0, x) - part) + part / s.number(x.shape[1], x)
    weight = parameters.get("weight")
    if weight is not None:
        dense = dense * weight[None, :]
    return (dense if s.exact else dense.astype(x.dtype)), kept


def _tempered(s: Steps, x: Array, parameters: Options) -> Array:
    temperature = parameters.get("temperature", 1.0)
    return x if temperature == 1 else np.asarray(x / s.number(temperature, x))


def cross_entropy(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The value of softmax_cross_entropy, (rows,)."""
    options = _with_target(x, labels, parameters, options)
    x = _tempered(s, x, parameters)
    labels = _wrapped(s, labels, x.shape[1], options)
    dense, kept = charges(s, x, labels, parameters)
    counts = as_float64(dense) != 0 if not s.exact else np.asarray(dense != 0, dtype=bool)
    if options.get("by mean") and parameters.get("label_smoothing"):
        return _smoothed_by_mean(s, x, kept, {**options, **parameters})
    terms = surprises(s, x, counts, options)
    if options.get("apart") and parameters.get("label_smoothing"):
        stored = {"stored as": parameters.get("input dtype", "")} if options.get("stored") else {}
        factor = {"factor": options.get("factor", False)}
        return _smoothed_apart(s, labels, terms, {**parameters, **stored, **factor})
    if options.get("dense"):
        product = dense * terms
        s.blame(
            Cause.ZERO_TIMES_INF,
            lambda: np.where((~counts & np.isinf(as_float64(terms))).any(axis=1), np.inf, 0.0),
        )
    else:
        product = np.where(counts, dense * np.where(counts, terms, terms * 0), dense * 0)
        if not s.exact:
            product = np.where(counts, dense * terms, np.zeros_like(terms))
    result = s.keep("loss", product.sum(axis=1))
    if z_loss := parameters.get("z_loss", 0.0):
        gap, _, tail = tail_of(s, x)
        lse = (x - gap)[:, 0] + np.log1p(tail)[:, 0]
        result = result + s.number(z_loss, x) * lse * lse
    return _kept_alone(s, result, kept, factor=bool(options.get("factor")))


def _with_target(x: Array, labels: Array, parameters: Options, options: Options) -> Options:
    """The options with what a shift may depend on besides the scaled logits."""
    if labels.ndim == 1:
        at = np.where(labels == parameters.get("ignore_index", -100), 0, labels)[:, None]
    else:
        at = labels.argmax(axis=1)[:, None]
    return {
        **options,
        "unscaled": x,
        "own": lambda given: np.take_along_axis(given, at, axis=1),
    }


def _kept_alone(s: Steps, result: Array, kept: Array, *, factor: bool) -> Array:
    """The results with 0 for ignored rows: put there, or by a factor of 0."""
    out = kept.reshape(-1, *[1] * (result.ndim - 1))
    if not factor:
        return np.asarray(np.where(out, result, result * 0 if s.exact else np.zeros_like(result)))
    s.blame(
        Cause.ZERO_TIMES_INF,
        lambda: np.where(~out & ~np.isfinite(as_float64(result)), np.inf, 0.0),
    )
    return np.asarray(result * (out if s.exact else out.astype(result.dtype)))


def _wrapped(s: Steps, labels: Array, classes: int, options: Options) -> Array:
    """The labels as a narrow type of integers holds them; negative ones count from the end."""
    if "index" not in options or labels.ndim != 1:
        return labels
    narrow = labels.astype(options["index"]).astype(labels.dtype)
    wrapped = np.where(labels >= 0, np.where(narrow < 0, narrow + classes, narrow), labels)
    wrapped = np.where(wrapped >= classes, labels, wrapped)
    moved = wrapped != labels
    s.blame(Cause.INDEX_WRAP, lambda: np.where(moved, np.inf, 0.0))
    s.blame(Cause.INDEX_WRAP, lambda: np.where(moved, BEYOND, 0.0))
    return np.asarray(wrapped)


def _smoothed_by_mean(s: Steps, x: Array, kept: Array, given: Options) -> Array:
    """(1 − ε) (lse − x_y) + ε (lse − mean x), or the same of the shifted logits."""
    own = Powers(s, x, given)
    logs = s.keep("log s", np.log(own.total))
    absorbed(s, own.total)
    if given["form"] == "lse":
        logs = s.keep("lse", own.shift + logs)
        offset(s, logs)
        from_, mean = x, x.mean(axis=1)
    else:
        from_, mean = own.gap, own.gap.mean(axis=1)
    part, one = s.number(given["label_smoothing"], x), s.number(1.0, x)
    target = given["own"](from_)[:, 0]
    loss = (one - part) * (logs[:, 0] - target) + part * (logs[:, 0] - mean)
    return _kept_alone(s, s.keep("loss", loss), kept, factor=bool(given.get("factor")))


def _smoothed_apart(s: Steps, labels: Array, terms: Array, parameters: Options) -> Array:
    """(1 − ε) · term of the label + ε/C · Σ of all terms, with the sum in the dtype."""
    part = s.number(parameters["label_smoothing"], terms)
    if stored := parameters.get("stored as", ""):
        terms = terms.astype(FORMATS[stored].dtype)
        part = s.number(parameters["label_smoothing"], terms)
    plain = {name: each for name, each in parameters.items() if name != "label_smoothing"}
    dense, kept = charges(s, terms, labels, plain)
    nothing = terms * 0 if s.exact else np.zeros_like(terms)
    own = np.where(np.asarray(dense != 0, dtype=bool), dense * terms, nothing)
    whole = s.keep("Σ terms", s.total(terms))[:, 0]
    share = s.number(parameters["label_smoothing"] / terms.shape[1], terms)
    loss = (s.number(1.0, terms) - part) * own.sum(axis=1) + share * whole
    loss = loss.astype(labels_dtype(s))
    return _kept_alone(s, loss, kept, factor=bool(parameters.get("factor")))


def labels_dtype(s: Steps) -> Any:
    """The dtype of the computation."""
    return object if s.exact else FORMATS[s.dtype].dtype


def cross_entropy_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of softmax_cross_entropy, (rows, classes)."""
    options = _with_target(x, labels, parameters, options)
    x = _tempered(s, x, parameters)
    labels = _wrapped(s, labels, x.shape[1], options)
    dense, kept = charges(s, x, labels, parameters)
    mass = dense.sum(axis=1, keepdims=True)
    if options["form"] == "log1p":
        gradient = _sound_gradient(s, x, dense, mass)
    else:
        gradient = _unsound_gradient(s, x, dense, mass, options)
    if z_loss := parameters.get("z_loss", 0.0):
        gap, powers, tail = tail_of(s, x)
        lse = (x - gap)[:, :1] + np.log1p(tail)
        gradient = gradient + s.number(2 * z_loss, x) * lse * powers / (s.number(1.0, x) + tail)
    temperature = parameters.get("temperature", 1.0)
    if temperature != 1:
        gradient = gradient / s.number(temperature, x)
    if not kept.all():
        gradient = _kept_alone(s, gradient, kept, factor=bool(options.get("factor")))
    return s.keep("gradient", np.asarray(gradient))


def _sound_gradient(s: Steps, x: Array, dense: Array, mass: Array) -> Array:
    """Σ_j (c_j p_k − c_k p_j), without subtracting from 1: mass·p_k − c_k."""
    _, powers, tail = tail_of(s, x)
    top = x.argmax(axis=1)[:, None]
    one = s.number(1.0, x)
    whole = one + tail
    p = powers / whole
    complement = (one + (tail - powers)) / whole
    np.put_along_axis(complement, top, tail / whole, axis=1)
    # for a class with the whole mass: −mass (1 − p); elsewhere mass·p − c
    alone = np.asarray(dense == mass, dtype=bool)
    shared = ~alone & np.asarray(dense != 0, dtype=bool)
    s.blame(
        Cause.ONE_MINUS_P_CANCELLATION,
        lambda: np.where(shared, s.u * np.abs(as_float64(mass)), 0.0),
    )
    return np.asarray(np.where(alone, -mass * complement, mass * p - dense))


def _unsound_gradient(s: Steps, x: Array, dense: Array, mass: Array, options: Options) -> Array:
    form, epsilon = options["form"], options.get("epsilon", 0.0)
    if form in ("exp_log_p", "exp_lse"):
        p = power_of_logarithm(s, x, options)
    else:
        p = s.keep("p", Powers(s, x, options).p)
    if form == "chain":
        ratio = s.keep("c / p", dense / p)
        counted = np.asarray(dense != 0, dtype=bool)
        s.blame(
            Cause.DIVISION_BY_SATURATED_P,
            lambda: np.where(
                (counted & ~np.isfinite(as_float64(ratio))).any(axis=1)
                | (~counted & np.isnan(as_float64(ratio))).any(axis=1),
                np.inf,
                0.0,
            ),
        )
        inner = s.keep("Σ (c / p) p", (ratio * p).sum(axis=1, keepdims=True))
        _cancelled(s, mass)
        return np.asarray(p * (inner - ratio))
    gradient = s.keep("p − y", mass * p - dense)
    if form == "p_minus_clipped":
        own_p = (p * dense).sum(axis=1, keepdims=True) / mass
        low, one = s.number(epsilon, x), s.number(1.0, x)
        within = np.asarray((own_p >= low) & (own_p <= one - low), dtype=bool)
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(~within[:, 0], BEYOND, 0.0))
        gradient = np.where(within, gradient, np.zeros_like(gradient))
    elif form in _INVERSES:
        own_p = (p * dense).sum(axis=1, keepdims=True) / mass
        gradient = _inverse(s, own_p, form, epsilon, gradient) * gradient
    _cancelled(s, mass)
    return np.asarray(gradient)


_INVERSES = ("p_minus_plus", "p_minus_floored", "p_minus_inverse")


def _inverse(s: Steps, p: Array, form: str, epsilon: float, gradient: Array) -> Array:
    """1/(p + ε), 1/max(p, ε) or 1/p, times p: 1 unless p is tiny."""
    low = s.number(epsilon, p)
    one = s.number(1.0, p)
    below = {"p_minus_plus": p + low, "p_minus_floored": np.maximum(p, low)}.get(form, p)
    factor = p / below if form == "p_minus_plus" else s.keep("1 / p", one / below) * p

    def lost() -> Array:
        wide = as_float64(factor)
        off = np.where(np.isfinite(wide), np.abs(1 - wide), 0.0)[:, 0]
        return np.asarray(off * np.abs(as_float64(gradient)).max(axis=1))

    def undefined() -> Array:
        return np.where(~np.isfinite(as_float64(factor)) & ~np.isnan(as_float64(p)), np.inf, 0.0)

    if form == "p_minus_inverse":
        s.blame(Cause.DIVISION_BY_SATURATED_P, undefined)
        s.blame(Cause.DIVISION_BY_SATURATED_P, lost)
    else:
        s.blame(Cause.EPSILON_CLIP, lost)
        s.blame(Cause.INEFFECTIVE_EPSILON, undefined)
    return np.asarray(factor)


def _cancelled(s: Steps, mass: Array) -> None:
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: s.u * np.abs(as_float64(mass))[:, 0])


# softmax, log_softmax, logsumexp


def softmax(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """The softmax, (rows, classes)."""
    noise = parameters.get("noise")
    x = x if noise is None else x + noise
    options = {**options, "unscaled": x}
    if options.get("contracted"):
        scale = 1.0 / parameters.get("temperature", 1.0)
        return s.keep("p", Powers(s, x, {**options, "contracted": scale}).p)
    x = _tempered(s, x, parameters)
    form = options["form"]
    if form == "log1p":
        _, powers, tail = tail_of(s, x)
        return s.keep("p", powers / (s.number(1.0, x) + tail))
    if form in ("exp_log_p", "exp_lse"):
        return power_of_logarithm(s, x, options)
    return guarded_probability(s, s.keep("p", Powers(s, x, options).p), options)


def _dense_of(s: Steps, x: Array, labels: Array) -> Array:
    return np.asarray(
        (x * 0 if s.exact else np.zeros_like(x)) + (labels[:, None] == np.arange(x.shape[1]))
    )


def softmax_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of component ``labels`` of the softmax: p_y (δ − p)."""
    noise = parameters.get("noise")
    x = _tempered(s, x if noise is None else x + noise, parameters)
    dense = _dense_of(s, x, labels)
    mass = dense.sum(axis=1, keepdims=True)
    if options["form"] == "log1p":
        p = softmax(s, x, labels, {}, options)
        inner = -_sound_gradient(s, x, dense, mass)
    elif options["form"] == "chain":
        p = s.keep("p", Powers(s, x, options).p)
        outer = s.keep("δ / p_y", dense / (p * dense).sum(axis=1, keepdims=True))
        s.blame(
            Cause.DIVISION_BY_SATURATED_P,
            lambda: np.where(np.isfinite(as_float64(outer)).all(axis=1), 0.0, np.inf),
        )
        rest = s.keep("δ / p_y − Σ", outer - (outer * p).sum(axis=1, keepdims=True))
        _cancelled(s, mass)
        if options.get("product first"):
            square = s.keep("p_y p", (p * dense).sum(axis=1, keepdims=True) * p)
            return _scaled(s, square * rest, parameters)
        inner = rest * p
    elif options["form"] == "square":
        p = s.keep("p", Powers(s, x, options).p)
        own = (p * dense).sum(axis=1, keepdims=True)
        _cancelled(s, mass)
        square = s.keep("p_y p", own * p)
        return _scaled(s, s.keep("p_y δ − p_y p", own * dense - square), parameters)
    elif options["form"] in ("exp_log_p", "exp_lse"):
        p = power_of_logarithm(s, x, options)
        inner = s.keep("δ − p", dense - p)
        _cancelled(s, mass)
    else:
        p = s.keep("p", Powers(s, x, options).p)
        inner = s.keep("δ − p", dense - p)
        _cancelled(s, mass)
    own = (p * dense).sum(axis=1, keepdims=True)
    return _scaled(s, own * inner, parameters)


def _scaled(s: Steps, gradient: Array, parameters: Options) -> Array:
    temperature = parameters.get("temperature", 1.0)
    return np.asarray(gradient if temperature == 1 else gradient / s.number(temperature, gradient))


def log_softmax(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """log p, (rows, classes)."""
    x = _tempered(s, x, parameters)
    return -surprises(s, x, np.ones(x.shape, dtype=np.bool_), options)


def log_softmax_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of component ``labels`` of log_softmax: δ − p."""
    return -cross_entropy_gradient(s, x, labels, parameters, options)


def logsumexp(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """log Σ exp x, (rows,)."""
    if options["form"] == "log1p":
        _, _, tail = tail_of(s, x)
        return np.asarray((x.max(axis=1, keepdims=True) + np.log1p(tail))[:, 0])
    if options["form"] == "logaddexp" and not s.exact:
        return np.asarray(np.logaddexp.reduce(x, axis=1))
    if options["form"] == "running":
        shift, total = running(s, x, int(options["block"]))
    else:
        own = Powers(s, x, options)
        shift, total = own.shift, own.total
    logs = s.keep("log s", np.log(total))
    absorbed(s, total)
    s.blame(
        Cause.COMMON_OFFSET_CANCELLATION,
        lambda: np.where(
            np.isfinite(as_float64(logs)) & (as_float64(shift) != 0),
            s.u * np.abs(as_float64(logs)),
            0.0,
        ),
    )
    result = s.keep("m + log s", shift + logs)
    return np.asarray(result[:, 0])


def logsumexp_gradient(
    s: Steps, x: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """The gradient of logsumexp: the softmax."""
    return softmax(s, x, labels, {}, options)
