"""Known forms of the losses of probabilities and log-probabilities, sound and unsound, as `Steps`.

Every form takes the first argument, (rows, classes) or (rows,), the labels, the parameters of the
loss, and the options that tell the forms apart.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xentcheck.diagnosis.models.elementwise import _log_p, _of_probabilities, _product, _where
from xentcheck.diagnosis.steps import BEYOND, Steps, as_float64
from xentcheck.model import Array, Cause

Options = Mapping[str, Any]


def _dense(s: Steps, p: Array, labels: Array) -> Array:
    if labels.ndim == p.ndim:
        return labels
    zero = p * 0 if s.exact else np.zeros_like(p)
    return np.asarray(zero + (labels[:, None] == np.arange(p.shape[1])))


def _some(factor: Array) -> Array:
    return np.asarray(factor != 0, dtype=bool)


def _weights(s: Steps, x: Array, labels: Array, parameters: Options) -> tuple[Array, Array]:
    """The factors of each class, and the rows that count."""
    if labels.ndim == x.ndim:
        return labels, np.ones(len(x), dtype=bool)
    kept = labels != parameters.get("ignore_index", -100)
    dense = _dense(s, x, np.where(kept, labels, 0))
    weight = parameters.get("weight")
    return (dense if weight is None else dense * weight[None, :]), kept


def categorical(s: Steps, p: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of categorical_cross_entropy, (rows,)."""
    p = s.keep("p", p)
    dense = _dense(s, p, labels)
    if options.get("normalised"):
        total = p.sum(axis=1, keepdims=True)
        p = s.keep("p / Σp", p / total)
        s.blame(
            Cause.INF_MINUS_INF,
            lambda: np.where((as_float64(total) == 0)[:, 0], np.inf, 0.0),
        )
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.abs(np.log(np.maximum(as_float64(total), 1e-300)))[:, 0],
        )
    logs = _log_p(s, p, options, used=_some(dense))
    terms = _product(s, dense, logs, masked=bool(options.get("masked")))
    return s.keep("loss", (p[:, 0] * 0 if s.exact else 0) - terms.sum(axis=1))


def categorical_gradient(
    s: Steps, p: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of categorical_cross_entropy: −y / p."""
    p = s.keep("p", p)
    dense = _dense(s, p, labels)
    one = s.number(1.0, p)
    form = options["form"]
    if form == "sound":
        nothing = ~_some(dense)
        quotient = dense / _where(nothing, p * 0 + one, p)
        return -_where(nothing, dense * 0, quotient)
    if form == "plus":
        low = s.number(options["epsilon"], p)
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(_some(dense), np.abs(1 / (as_float64(p) + options["epsilon"])), 0.0),
        )
        return np.asarray(-dense / (p + low))
    if form == "clipped":
        low = s.number(options["epsilon"], p)
        within = np.asarray((p >= low) & (p <= one - low), dtype=bool)
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(~within & _some(dense), BEYOND, 0.0))
        return -_where(within, dense / p, dense * 0)
    s.blame(
        Cause.ZERO_TIMES_INF,
        lambda: np.where((~_some(dense) & (as_float64(p) == 0)), np.inf, 0.0),
    )
    return np.asarray(-dense / p)


def binary(s: Steps, p: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of binary_cross_entropy, (rows,)."""
    p = s.keep("p", p)
    return _of_probabilities(s, p, labels, s.number(1.0, p) - labels, options)


def binary_gradient(
    s: Steps, p: Array, labels: Array, parameters: Options, options: Options
) -> Array:
    """The gradient of binary_cross_entropy: (p − z) / (p (1 − p))."""
    p, one, form = s.keep("p", p), s.number(1.0, p), options["form"]
    if form == "sound":
        zero, full = np.asarray(labels == 0, dtype=bool), np.asarray(labels == 1, dtype=bool)
        certain = zero | full
        safe = p * 0 + one
        soft = (p - labels) / _where(certain, safe, p) / _where(certain, safe, one - p)
        hard = one / _where(certain, _where(zero, one - p, -p), safe)
        return _where(certain, hard, soft)
    if form == "floored":
        slope = p * (one - p)
        floor = np.maximum(slope, s.number(options["epsilon"], p))
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(as_float64(slope) != as_float64(floor), BEYOND, 0.0),
        )
        return np.asarray((p - labels) / floor)
    if form == "ratio":
        bottom = p * (one - p)
        s.blame(
            Cause.DIVISION_BY_SATURATED_P,
            lambda: np.where(as_float64(bottom) == 0, np.inf, 0.0),
        )
        return np.asarray((p - labels) / bottom)
    if form == "clipped":
        low = s.number(options["epsilon"], p)
        within = np.asarray((p >= low) & (p <= one - low), dtype=bool)
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(~within, BEYOND, 0.0))
    else:
        within = np.ones(p.shape, dtype=bool)
    first, second = (one - labels) / (one - p), labels / p

    def lost() -> Array:
        both = np.isnan(as_float64(first)) | np.isnan(as_float64(second))
        return np.where(within & both, np.inf, 0.0)

    s.blame(Cause.ZERO_TIMES_INF, lost)
    s.blame(
        Cause.ONE_MINUS_P_CANCELLATION,
        lambda: np.where(
            within & np.isfinite(as_float64(first)), s.u * np.abs(as_float64(first)), 0.0
        ),
    )
    result = first - second
    return _where(within, result, result * 0 if s.exact else np.zeros_like(result))


def nll(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of nll_loss, (rows,)."""
    x = s.keep("x", x)
    dense, kept = _weights(s, x, labels, parameters)
    terms = _product(s, dense, x, masked=bool(options.get("masked")))
    loss = (x[:, 0] * 0 if s.exact else 0) - terms.sum(axis=1)
    if not kept.all():
        if options.get("factor"):
            s.blame(
                Cause.ZERO_TIMES_INF,
                lambda: np.where(~kept & ~np.isfinite(as_float64(loss)), np.inf, 0.0),
            )
            loss = loss * kept.astype(x.dtype)
        else:
            loss = np.where(kept, loss, loss * 0 if s.exact else np.zeros_like(loss))
    return s.keep("loss", loss)


def nll_gradient(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The gradient of nll_loss: −w at the label."""
    dense, kept = _weights(s, x, labels, parameters)
    return -np.asarray(np.where(kept[:, None], dense, dense * 0))


def kl(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of kl_divergence, (rows,)."""
    x = s.keep("x", x)
    in_logs = bool(parameters.get("log_target"))
    t = s.keep("t", np.exp(labels)) if in_logs else labels
    masked = bool(options.get("masked"))
    one = s.number(1.0, x)
    some = _some(t)
    inner = _where(some, t, t * 0 + one) if masked else t
    logs = labels if in_logs else _log_p(s, inner, options, "log t", used=some)
    if options.get("factor") and not in_logs:
        t = s.keep("max(t, ε)", np.maximum(t, s.number(options["epsilon"], x)))
    if options.get("both"):
        x = _log_p(s, s.keep("q = exp(x)", np.exp(x)), options, "log q", used=some)
    if options["form"] == "difference":
        own = _product(s, t, logs, masked=masked).sum(axis=1)
        cross = _product(s, t, x, masked=bool(options.get("cross masked"))).sum(axis=1)
        s.blame(
            Cause.COMMON_OFFSET_CANCELLATION,
            lambda: np.nan_to_num(
                s.u * np.maximum(np.abs(as_float64(own)), np.abs(as_float64(cross)))
            ),
        )
        return s.keep("Σ t log t − Σ t x", own - cross)
    gap = s.keep("log t − x", logs - x)
    s.blame(
        Cause.INF_MINUS_INF,
        lambda: np.where(
            (some & np.isnan(as_float64(gap)) & ~np.isnan(as_float64(x))).any(axis=1), np.inf, 0.0
        ),
    )
    return s.keep("loss", _product(s, t, gap, masked=masked).sum(axis=1))


def kl_gradient(s: Steps, x: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The gradient of kl_divergence: −t."""
    t = np.exp(labels) if parameters.get("log_target") else labels
    if options["form"] == "ratio":
        q = s.keep("q = exp(x)", np.exp(x))
        ratio = t / q
        s.blame(
            Cause.DIVISION_BY_SATURATED_P,
            lambda: np.where(as_float64(q) == 0, np.inf, 0.0),
        )
        return np.asarray(-(ratio * q))
    if options["form"] == "clipped":
        q = np.exp(x)
        low = s.number(options["epsilon"], x)
        within = np.asarray(q >= low, dtype=bool)
        s.blame(Cause.EPSILON_CLIP, lambda: np.where(~within & _some(t), BEYOND, 0.0))
        return -_where(within, t, t * 0)
    return -t


def js(s: Steps, p: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The value of js_divergence, (rows,)."""
    p, q, half = s.keep("p", p), labels, s.number(0.5, p)
    if options["form"] == "plus_both":
        low = s.number(options["epsilon"], p)
        p, q = s.keep("p + ε", p + low), q + low
        s.blame(Cause.EPSILON_CLIP, lambda: np.full(len(p), options["epsilon"]))
    one = s.number(1.0, p)
    if options["form"] == "sound" and not s.exact:
        total = p + q
        whole = _where(total == 0, total * 0 + one, total)
        d = (p - q) / whole
        alike = np.asarray(np.abs(d) < half, dtype=bool)
        small = _where(alike, d, d * 0)
        near = 2 * small * np.arctanh(small) + np.log1p(-small * small)
        up, down = 2 * p / whole, 2 * q / whole
        far = _x_log_x(up) + _x_log_x(down)
        return np.asarray((total * _where(alike, near, far)).sum(axis=1) / s.number(4.0, p))
    middle = (p + q) / s.number(2.0, p)
    two = s.number(2.0, p)
    if options["form"] == "entropies":
        own = [_x_log_x(each).sum(axis=1) for each in (p, q, middle)]
        s.blame(
            Cause.COMMON_OFFSET_CANCELLATION,
            lambda: np.nan_to_num(s.u * np.abs(as_float64(own[2]))),
        )
        return s.keep("H(m) − …", (own[0] + own[1]) / two - own[2])
    if options["form"] == "plus":
        low = s.number(options["epsilon"], p)
        sums = [each * np.log((each + low) / (middle + low)) for each in (p, q)]
        s.blame(Cause.EPSILON_CLIP, lambda: np.full(len(p), options["epsilon"]))
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(len(p), s.u))
        return s.keep("loss", (sums[0] + sums[1]).sum(axis=1) / two)
    masked = options["form"] != "naive"
    safe = [
        (_where(_some(each), each, middle), each) if masked else (each, each) for each in (p, q)
    ]
    terms = [_product(s, each, np.log(inner / middle), masked=masked) for inner, each in safe]
    s.blame(
        Cause.ONE_MINUS_P_CANCELLATION,
        lambda: np.full(len(p), s.u),
    )
    return s.keep("loss", (terms[0] + terms[1]).sum(axis=1) / s.number(2.0, p))


def js_gradient(s: Steps, p: Array, labels: Array, parameters: Options, options: Options) -> Array:
    """The gradient of js_divergence: ½ log(2p / (p + q))."""
    p, q, two = s.keep("p", p), labels, s.number(2.0, p)
    middle = s.keep("m", (p + q) / two)
    if options["form"] == "sound" and not s.exact:
        total = p + q
        d = (p - q) / _where(total == 0, total * 0 + s.number(1.0, p), total)
        near = np.asarray(d > s.number(-0.5, p), dtype=bool)
        close = np.log1p(_where(near, d, d * 0))
        return np.asarray(_where(near, close, np.log(two * p / total)) / two)
    if options["form"] == "plus":
        low = s.number(options["epsilon"], p)
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: (
                options["epsilon"]
                / np.maximum(np.minimum(as_float64(p), as_float64(middle)), 1e-300)
            ),
        )
        s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(p.shape, s.u))
        return np.asarray(np.log((p + low) / (middle + low)) / two)
    if options["form"] == "difference":
        result = (s.keep("log p", np.log(p)) - s.keep("log m", np.log(middle))) / two
        s.blame(
            Cause.COMMON_OFFSET_CANCELLATION,
            lambda: np.nan_to_num(s.u * np.abs(np.log(as_float64(middle)))),
        )
        return np.asarray(result)
    ratio = s.keep("p / m", p / middle)
    s.blame(
        Cause.INF_MINUS_INF,
        lambda: np.where(np.isnan(as_float64(ratio)) & ~np.isnan(as_float64(p)), np.inf, 0.0),
    )
    s.blame(Cause.ONE_MINUS_P_CANCELLATION, lambda: np.full(p.shape, s.u))
    return np.asarray(np.log(ratio) / two)


def _x_log_x(x: Array) -> Array:
    return np.asarray(
        np.where(x == 0, np.zeros_like(x), x * np.log(np.where(x == 0, np.ones_like(x), x)))
    )


_UNITS = {"e": 1.0, "2": float(np.log(2.0)), "10": float(np.log(10.0))}


def entropy(s: Steps, p: Array, labels: Any, parameters: Options, options: Options) -> Array:
    """The value of entropy, (rows,)."""
    p = s.keep("p", p)
    one, some = s.number(1.0, p), _some(p)
    masked = bool(options.get("masked"))
    inner = _where(some, p, p * 0 + one) if masked else p
    logs = _log_p(s, inner, options, used=some)
    nats = (p[:, 0] * 0 if s.exact else 0) - _product(s, p, logs, masked=masked).sum(axis=1)
    return s.keep("loss", nats / s.number(_UNITS[str(parameters.get("base", "e"))], p))


def entropy_gradient(
    s: Steps, p: Array, labels: Any, parameters: Options, options: Options
) -> Array:
    """The gradient of entropy: −(log p + 1)."""
    p, one = s.keep("p", p), s.number(1.0, p)
    if options.get("factor"):
        some = _some(p)
        logs = np.log(p)
        s.blame(Cause.ZERO_TIMES_INF, lambda: np.where(np.isinf(as_float64(logs)), np.inf, 0.0))
        return np.asarray(some.astype(p.dtype) * -(logs + one))
    if low := options.get("epsilon", 0.0):
        moved = p + s.number(low, p)
        s.blame(
            Cause.EPSILON_CLIP,
            lambda: np.where(
                as_float64(p) == as_float64(moved),
                0.0,
                np.abs(np.log(as_float64(moved)) - np.log(np.maximum(as_float64(p), 1e-320))),
            ),
        )
        return np.asarray(-(np.log(moved) + p / moved))
    return np.asarray(-(np.log(p) + one) / s.number(_UNITS[str(parameters.get("base", "e"))], p))
