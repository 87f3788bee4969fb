"""Known forms of the losses of logits with classes, sound and unsound, as `Steps`.

Every form takes the logits (rows, classes), the labels and the parameters of the loss, and the
options that tell the forms apart: how the row is shifted, how the logarithm of p is written, an
epsilon, how the gradient is written.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xentcheck.diagnosis.steps import BEYOND, Steps, as_float64
from xentcheck.floats import FORMATS
from xentcheck.model import Array, Cause

Options = Mapping[str, Any]

CLAMP = -64
"""The lowest shift of the form that clamps it, as old Paddle did."""


class Powers:
    """The shifted logits of rows, their powers and the sum of these.

    Attributes:
        shift: (rows, 1)
        gap: x − shift, (rows, classes)
        powers: exp of that
        total: their sum, (rows, 1)
    """

    def __init__(self, s: Steps, x: Array, options: Options) -> None:
        how = options.get("shift", "max")
        x = s.keep("x", x)
        top = x.max(axis=1, keepdims=True)
        zero = x[:, :1] * 0 if s.exact else np.zeros_like(top)
        shifts = {"max": top, "none": zero, "zero": np.maximum(top, zero), "first": x[:, :1]}
        shifts["clamp"] = np.maximum(top, zero + s.number(CLAMP, x))
        self.shift = shifts[how]
        contracted = options.get("contracted", 0.0)
        if contracted and not s.exact:
            self.gap = s.keep("fma(x, c, −m)", _contracted(s, x, contracted))
            self.shift = self.shift * s.number(contracted, x)
        else:
            self.gap = s.keep("x − m" if how != "none" else "x", x - self.shift)
        s.blame(
            Cause.INF_MINUS_INF,
            lambda: np.where(
                (np.isnan(as_float64(self.gap)) & ~np.isnan(as_float64(x))).any(axis=1), np.inf, 0.0
            ),
        )
        self.powers = s.keep("exp(x − m)" if how != "none" else "exp(x)", np.exp(self.gap))
        over = Cause.EXP_OVERFLOW if how == "none" else Cause.WRONG_SHIFT

        def overflows() -> Array:
            where = np.isinf(as_float64(self.powers))
            return np.where(where.any(axis=1), np.inf, 0.0)

        s.blame(over, overflows)
        self.total = s.keep("s = Σ exp", s.total(self.powers, over if how != "max" else None))
        if how != "max":

            def underflows() -> Array:
                sums, tops = as_float64(self.total)[:, 0], as_float64(self.shift)[:, 0]
                highest = as_float64(top)[:, 0]
                dead = (sums == 0) & np.isfinite(highest)
                # the sum is made of subnormal numbers, which have few digits
                least = _smallest_normal(s)
                coarse = np.where(
                    (sums > 0) & (sums < least), s.u * (least / np.maximum(sums, 5e-324)), 0
                )
                return np.where(dead & (tops != highest), np.inf, coarse)

            s.blame(Cause.WRONG_SHIFT, underflows)

    @property
    def p(self) -> Array:
        """The softmax, (rows, classes)."""
        return np.asarray(self.powers / self.total)


def _contracted(s: Steps, x: Array, scale: float) -> Array:
    """x·c − max(x·c) with the product left unrounded, as a compiler contracts it."""
    number = s.number(scale, x)
    largest = as_float64((x * number).max(axis=1, keepdims=True))
    wide = as_float64(x) * float(number) - largest
    gap = np.asarray(wide.astype(x.dtype))
    s.blame(
        Cause.COMPILER_CONTRACTION,
        lambda: np.where(
            np.isfinite(as_float64(x)).all(axis=1),
            np.where(np.isinf(np.exp(gap)).any(axis=1), np.inf, np.abs(wide.max(axis=1))),
            0.0,
        ),
    )
    return gap


def _smallest_normal(s: Steps) -> float:
    return FORMATS[s.dtype].smallest_normal


def _tail(s: Steps, x: Array) -> tuple[Array, Array, Array]:
    """The gaps to the largest logit, their powers, and the sum of all powers but its own."""
    x = s.keep("x", x)
    top = x.argmax(axis=1)[:, None]
    gap = s.keep("x − m", x - np.take_along_axis(x, top, axis=1))
    powers = s.keep("exp(x − m)", np.exp(gap))
    others = powers.copy()
    np.put_along_axis(others, top, others[0, 0] * 0 if s.exact else 0, axis=1)
    return gap, powers, s.keep("tail = Σ over the others", others.sum(axis=1, keepdims=True))


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
        gap, _, tail = _tail(s, x)
        return np.asarray(s.keep("log1p(tail)", np.log1p(tail)) - gap)
    own = Powers(s, x, options)
    if form == "shifted":
        logs = s.keep("log s", np.log(own.total))
        _absorbed(s, own.total)
        if options.get("shift", "max") != "max":
            _offset(s, logs)
        return np.asarray(logs - own.gap)
    if form == "lse":
        logs = s.keep("log s", np.log(own.total))
        _absorbed(s, own.total)
        lse = s.keep("lse", own.shift + logs)
        _offset(s, lse)
        return np.asarray(lse - x)
    p = s.keep("p", own.p)
    return -_logarithm(s, p, asked, options)


def _absorbed(s: Steps, total: Array) -> None:
    """Blame the sum 1 + tail: it rounds the tail to a multiple of the ulp of 1."""
    s.blame(
        Cause.ABSORBED_TAIL,
        lambda: np.where(as_float64(total)[:, 0] < 2, s.u, 0.0),
    )


def _offset(s: Steps, large: Array) -> None:
    """Blame a difference of large numbers: the first of them, (rows, 1), was rounded."""

    def rounded() -> Array:
        wide = as_float64(large)[:, 0]
        return np.where(np.isfinite(wide), s.u * np.abs(wide), 0.0)

    s.blame(Cause.COMMON_OFFSET_CANCELLATION, rounded)


def _logarithm(s: Steps, p: Array, asked: Array, options: Options) -> Array:
    """log p with what the options do to p before, (rows, classes)."""
    form, low = options["form"], options.get("epsilon", 0.0)
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
    if form != "log_p":

        def moved() -> Array:
            wide, changed = as_float64(before), as_float64(p)
            size = np.abs(np.log(changed) - np.log(wide))
            size = np.where(wide == changed, 0.0, np.where(np.isfinite(size), size, BEYOND))
            return np.where(asked & (changed > 0), size, 0.0)

        s.blame(Cause.EPSILON_CLIP, moved)

        def useless() -> Array:
            return np.where(asked & (as_float64(p) == 0), np.inf, 0.0)

        s.blame(Cause.INEFFECTIVE_EPSILON, useless)
    if low_log := options.get("clamp"):
        clamped = s.keep("max(log p, −h)", np.maximum(logs, s.number(-low_log, logs)))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(asked & (as_float64(clamped) != as_float64(logs)), BEYOND, 0.0),
        )
        logs = clamped

    def rounded() -> Array:
        wide = as_float64(p)
        least = _smallest_normal(s)
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
    x = _tempered(s, x, parameters)
    dense, kept = charges(s, x, labels, parameters)
    counts = as_float64(dense) != 0 if not s.exact else np.asarray(dense != 0, dtype=bool)
    terms = surprises(s, x, counts, options)
    if options.get("apart") and parameters.get("label_smoothing"):
        stored = {"stored as": parameters.get("input dtype", "")} if options.get("stored") else {}
        return _smoothed_apart(s, labels, terms, {**parameters, **stored})
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
        gap, _, tail = _tail(s, x)
        lse = (x - gap)[:, 0] + np.log1p(tail)[:, 0]
        result = result + s.number(z_loss, x) * lse * lse
    return np.asarray(np.where(kept, result, result * 0))


def _smoothed_apart(s: Steps, labels: Array, terms: Array, parameters: Options) -> Array:
    """(1 − ε) · term of the label + ε/C · Σ of all terms, with the sum in the dtype."""
    part = s.number(parameters["label_smoothing"], terms)
    if stored := parameters.get("stored as", ""):
        terms = terms.astype(FORMATS[stored].dtype)
        part = s.number(parameters["label_smoothing"], terms)
    plain = {name: each for name, each in parameters.items() if name != "label_smoothing"}
    dense, kept = charges(s, terms, labels, plain)
    own = np.where(np.asarray(dense != 0, dtype=bool), dense * terms, terms * 0)
    whole = s.keep("Σ terms", s.total(terms))[:, 0]
    one, classes = s.number(1.0, terms), s.number(terms.shape[1], terms)
    loss = (one - part) * own.sum(axis=1) + part / classes * whole
    return np.asarray(np.where(kept, loss, loss * 0).astype(labels_dtype(s)))


def labels_dtype(s: Steps) -> Any:
    """The dtype of the computation."""
    return object if s.exact else FORMATS[s.dtype].dtype


def cross_entropy_gradient(
    s: Steps, x: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of softmax_cross_entropy, (rows, classes)."""
    x = _tempered(s, x, parameters)
    dense, kept = charges(s, x, labels, parameters)
    mass = dense.sum(axis=1, keepdims=True)
    if options["form"] == "log1p":
        gradient = _sound_gradient(s, x, dense, mass)
    else:
        gradient = _unsound_gradient(s, x, dense, mass, options)
    if z_loss := parameters.get("z_loss", 0.0):
        gap, powers, tail = _tail(s, x)
        lse = (x - gap)[:, :1] + np.log1p(tail)
        gradient = gradient + s.number(2 * z_loss, x) * lse * powers / (s.number(1.0, x) + tail)
    temperature = parameters.get("temperature", 1.0)
    if temperature != 1:
        gradient = gradient / s.number(temperature, x)
    if not kept.all():
        gradient = np.where(
            kept[:, None], gradient, gradient * 0 if s.exact else np.zeros_like(gradient)
        )
    return s.keep("gradient", np.asarray(gradient))


def _sound_gradient(s: Steps, x: Array, dense: Array, mass: Array) -> Array:
    """Σ_j (c_j p_k − c_k p_j), without subtracting from 1: mass·p_k − c_k."""
    _, powers, tail = _tail(s, x)
    top = x.argmax(axis=1)[:, None]
    one = s.number(1.0, x)
    whole = one + tail
    p = powers / whole
    complement = (one + (tail - powers)) / whole
    np.put_along_axis(complement, top, tail / whole, axis=1)
    # for a class with the whole mass: −mass (1 − p); elsewhere mass·p − c
    alone = np.asarray(dense == mass, dtype=bool)
    return np.asarray(np.where(alone, -mass * complement, mass * p - dense))


def _unsound_gradient(s: Steps, x: Array, dense: Array, mass: Array, options: Options) -> Array:
    form, epsilon = options["form"], options.get("epsilon", 0.0)
    if form == "exp_log_p":
        own = Powers(s, x, options)
        p = s.keep("p = exp(log p)", np.exp(s.keep("log p", own.gap - np.log(own.total))))
    elif form == "exp_lse":
        own = Powers(s, x, options)
        lse = s.keep("lse", own.shift + np.log(own.total))
        p = s.keep("p = exp(x − lse)", np.exp(s.keep("log p", x - lse)))
        _offset(s, lse)
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
    elif form == "p_minus_plus":
        own_p = (p * dense).sum(axis=1, keepdims=True) / mass
        factor = own_p / (own_p + s.number(epsilon, x))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: (
                np.where(np.isfinite(as_float64(factor)), np.abs(1 - as_float64(factor)), 0.0)[:, 0]
                * np.abs(as_float64(gradient)).max(axis=1)
            ),
        )
        s.blame(
            Cause.INEFFECTIVE_EPSILON,
            lambda: np.where(
                np.isnan(as_float64(factor)) & ~np.isnan(as_float64(own_p)), np.inf, 0.0
            ),
        )
        gradient = factor * gradient
    _cancelled(s, mass)
    return np.asarray(gradient)


def _cancelled(s: Steps, mass: Array) -> None:
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: s.u * np.abs(as_float64(mass))[:, 0])


# softmax, log_softmax, logsumexp


def softmax(s: Steps, x: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """The softmax, (rows, classes)."""
    noise = parameters.get("noise")
    x = x if noise is None else x + noise
    if options.get("contracted"):
        scale = 1.0 / parameters.get("temperature", 1.0)
        return s.keep("p", Powers(s, x, {**options, "contracted": scale}).p)
    x = _tempered(s, x, parameters)
    if options["form"] == "log1p":
        _, powers, tail = _tail(s, x)
        return np.asarray(powers / (s.number(1.0, x) + tail))
    p = s.keep("p", Powers(s, x, options).p)
    if options["form"] == "exp_log_p":
        own = Powers(s, x, options)
        return np.asarray(np.exp(own.gap - np.log(own.total)))
    return p


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
        inner = s.keep("δ / p_y − Σ", outer - (outer * p).sum(axis=1, keepdims=True)) * p
        _cancelled(s, mass)
    else:
        p = s.keep("p", Powers(s, x, options).p)
        inner = s.keep("δ − p", dense - p)
        _cancelled(s, mass)
    own = (p * dense).sum(axis=1, keepdims=True)
    gradient = own * inner
    temperature = parameters.get("temperature", 1.0)
    return np.asarray(gradient if temperature == 1 else gradient / s.number(temperature, x))


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
        _, _, tail = _tail(s, x)
        return np.asarray((x.max(axis=1, keepdims=True) + np.log1p(tail))[:, 0])
    if options["form"] == "logaddexp" and not s.exact:
        return np.asarray(np.logaddexp.reduce(x, axis=1))
    own = Powers(s, x, options)
    logs = s.keep("log s", np.log(own.total))
    _absorbed(s, own.total)
    result = s.keep("m + log s", own.shift + logs)
    return np.asarray(result[:, 0])


def logsumexp_gradient(
    s: Steps, x: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """The gradient of logsumexp: the softmax."""
    return softmax(s, x, labels, {}, options)
