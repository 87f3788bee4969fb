"""Rows on which each cause fails, the code that fails on them, and their exact results.

The remedies of ``ABOUT_CAUSES`` are run on these rows, in float32 and in float64, by every package
that they are written for.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from xentcheck.floats import FORMATS
from xentcheck.model import Cause

DTYPES = ("float32", "float64")
_MP = mpmath.mp.clone()
_MP.dps = 60

Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Proof:
    """What a remedy of a cause has to give.

    Attributes:
        inputs: the inputs in a dtype, by the names of the remedy.
        faulty: what people write; it gives the result, or another number of another shape.
        exact: the exact results, as mpmath's numbers.
        result: the name of the remedy's result.
        differentiated: whether ``faulty`` and ``exact`` are of the gradient of the result.
    """

    inputs: Callable[[str], Inputs]
    faulty: Callable[..., Any]
    exact: Callable[..., Sequence[Any]]
    result: str
    differentiated: bool = False


def _rows(
    float32: Any, float64: Any, labels: Sequence[int] | None = None
) -> Callable[[str], Inputs]:
    def made(dtype: str) -> Inputs:
        x = np.array(float64 if dtype == "float64" else float32, dtype)
        return {"x": x} if labels is None else {"x": x, "y": np.array(labels)}

    return made


def _exp(x: Any) -> Any:
    return _MP.exp(_MP.mpf(float(x)))


def _probabilities(x: Any, temperature: float = 1.0, **_: Any) -> list[Any]:
    scale = _MP.mpf(temperature)
    powers = [[_MP.exp(_MP.mpf(float(each)) / scale) for each in row] for row in x]
    return [[power / sum(row) for power in row] for row in powers]


def _losses(x: Any, y: Any) -> list[Any]:
    return [
        _MP.log1p(sum(_exp(other) for k, other in enumerate(row) if k != label) / _exp(row[label]))
        for row, label in zip(x, y, strict=True)
    ]


def _gradients(x: Any, y: Any) -> list[Any]:
    found = _probabilities(x)
    for row, label in zip(found, y, strict=True):
        row[label] = -sum(p for k, p in enumerate(row) if k != label)
    return found


def _softmax(x: Any) -> Any:
    powers = np.exp(x - x.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _picked(x: Any, y: Any) -> Any:
    return x[np.arange(len(x)), y]


def _naive(x: Any) -> Any:
    return np.exp(x) / np.exp(x).sum(axis=1, keepdims=True)


def _shifted_by_at_least_minus_64(x: Any, mask: Any) -> Any:
    powers = np.exp(x - np.maximum(x.max(axis=1, keepdims=True), -64))
    return powers / powers.sum(axis=1, keepdims=True)


def _masked_probabilities(x: Any, mask: Any) -> list[Any]:
    kept = np.where(mask, x, -np.inf)
    return _probabilities(kept)


def _masked(dtype: str) -> Inputs:
    low = -200.0 if dtype == "float32" else -2000.0
    x = np.array([[low, low - 1, low + 8], [low, low, low], [3, 2, 9]], dtype)
    return {"x": x, "mask": np.array([[True, True, False]] * 3)}


def _terms(dtype: str) -> Inputs:
    largest = float(FORMATS[dtype].max)
    return {"v": np.array([largest, largest / 2, largest / 4, 1], dtype)}


def _sum_less_target(x: Any, y: Any) -> Any:
    m = x.max(axis=1)
    return m + np.log(np.exp(x - m[:, None]).sum(axis=1)) - _picked(x, y)


def _log_of_sum(x: Any, y: Any) -> Any:
    shifted = x - x.max(axis=1, keepdims=True)
    return np.log(np.exp(shifted).sum(axis=1)) - _picked(shifted, y)


def _clipped(x: Any, y: Any) -> Any:
    return -np.log(np.maximum(_picked(_softmax(x), y), x.dtype.type(1e-8)))


def _clipped_in_vain(x: Any, y: Any) -> Any:
    p = np.minimum(_softmax(x), x.dtype.type(1 - 1e-17))
    return -np.log(1 - (p.sum(axis=1) - _picked(p, y)))


def _stored_narrow(x: Any, y: Any) -> Any:
    shifted = (x - x.max(axis=1, keepdims=True)).astype(np.float16).astype(x.dtype)
    return np.log1p(np.exp(shifted).sum(axis=1) - 1) - _picked(shifted, y)


def _of_probabilities(dtype: str) -> Inputs:
    gaps = (20, 30) if dtype == "float32" else (40, 80)
    return {"p": _softmax(np.array([[gap, 0, -1] for gap in gaps], dtype)), "y": np.array([0, 0])}


def _from_probabilities(p: Any, y: Any) -> list[Any]:
    found = [[_MP.mpf(float(each)) for each in row] for row in p]
    for row, label in zip(found, y, strict=True):
        row[label] = -sum(each for k, each in enumerate(row) if k != label)
    return found


def _minus_one(p: Any, y: Any) -> Any:
    return p - (y[:, None] == np.arange(p.shape[1]))


def _through_one_over_p(x: Any, y: Any) -> Any:
    p = _softmax(x)
    chosen = _picked(p, y)[:, None]
    return -1 / chosen * chosen * ((y[:, None] == np.arange(x.shape[1])) - p)


def _log_with_mask(dtype: str) -> Inputs:
    log_p = np.array([[-np.inf, 0, -3], [-1, -2, -np.inf]], dtype)
    return {"log_p": log_p, "y": np.array([[0, 1, 0], [0.5, 0.5, 0]], dtype)}


def _contracted(x: Any, temperature: float) -> Any:
    scale = x.dtype.type(1 / temperature)
    exact = x.astype(np.longdouble) * np.longdouble(scale)
    largest = (x * scale).max(axis=1, keepdims=True)
    powers = np.exp((exact - largest).astype(x.dtype))
    return powers / powers.sum(axis=1, keepdims=True)


def _large(dtype: str) -> Inputs:
    size = 1e10 if dtype == "float32" else 1e19
    return {"x": np.array([[size, 0, -size], [size, size, 0]], dtype), "temperature": 0.3}


def _many(dtype: str) -> Inputs:
    return {"e": np.full((2, 1_000_000), 0.1, dtype)}


def _wrapped(x: Any, y: Any) -> Any:
    rows = np.arange(len(x), dtype=np.uint16)
    return x.reshape(-1)[rows * np.uint16(x.shape[1]) + y]


def _of_many_classes(dtype: str) -> Inputs:
    x = np.zeros((2, 40_000), dtype)
    x[1, 30_000] = 5
    return {"x": x, "y": np.array([3, 30_000], np.uint16)}


def _softplus_slope(x: Any) -> Any:
    e, small = np.exp(x), np.exp(-x)
    return (x > 0) * (1 / (1 + small)) + (x <= 0) * (e / (1 + e))


PROOFS: Mapping[Cause, Proof] = {
    Cause.EXP_OVERFLOW: Proof(
        _rows([[100, 99, 90], [1e6, 1e6, 999_990]], [[1000, 999, 990], [1e9, 1e9, 1e9 - 10]]),
        _naive,
        _probabilities,
        "p",
    ),
    Cause.SUM_OVERFLOW: Proof(
        _terms,
        lambda v: v.sum() / len(v),
        lambda v: sum(_MP.mpf(float(each)) for each in v) / len(v),
        "mean",
    ),
    Cause.WRONG_SHIFT: Proof(_masked, _shifted_by_at_least_minus_64, _masked_probabilities, "p"),
    Cause.LOG_OF_SATURATED_PROBABILITY: Proof(
        _rows([[20, 0, -1], [0, 200, 1]], [[40, 0, -1], [0, 2000, 1]], [0, 0]),
        lambda x, y: -np.log(_picked(_softmax(x), y)),
        _losses,
        "loss",
    ),
    Cause.EPSILON_CLIP: Proof(
        _rows([[0, 40, 1], [0, 200, 1]], [[0, 40, 1], [0, 2000, 1]], [0, 0]),
        _clipped,
        _losses,
        "loss",
    ),
    Cause.INEFFECTIVE_EPSILON: Proof(
        _rows([[0, 40, 1], [0, 200, 1]], [[0, 40, 1], [0, 2000, 1]], [0, 0]),
        _clipped_in_vain,
        _losses,
        "loss",
    ),
    Cause.ZERO_TIMES_INF: Proof(
        _log_with_mask,
        lambda log_p, y: -(y * log_p).sum(axis=1),
        lambda log_p, y: [_MP.mpf(0), _MP.mpf(1.5)],
        "loss",
    ),
    Cause.INF_MINUS_INF: Proof(
        _rows([[-np.inf, -np.inf], [np.inf, 0]], [[-np.inf, -np.inf], [np.inf, 0]]),
        lambda x: x.max(axis=1) + np.log(np.exp(x - x.max(axis=1, keepdims=True)).sum(axis=1)),
        lambda x: [-_MP.inf, _MP.inf],
        "lse",
    ),
    Cause.ABSORBED_TAIL: Proof(
        _rows([[20, 0, -1], [12, 0, 0]], [[40, 0, -1], [30, 0, 0]], [0, 0]),
        _log_of_sum,
        _losses,
        "loss",
    ),
    Cause.COMMON_OFFSET_CANCELLATION: Proof(
        _rows([[1e8, 1e8], [1e6 + 2, 1e6 - 1]], [[1e17, 1e17], [1e12 + 2, 1e12 - 1]], [0, 0]),
        _sum_less_target,
        _losses,
        "loss",
    ),
    Cause.ONE_MINUS_P_CANCELLATION: Proof(_of_probabilities, _minus_one, _from_probabilities, "g"),
    Cause.NARROW_INTERMEDIATE: Proof(
        _rows([[20.3125, 0], [0, 3.00048828125]], [[20.3125, 0], [0, 3.00048828125]], [1, 0]),
        _stored_narrow,
        _losses,
        "loss",
    ),
    Cause.LOW_PRECISION_ACCUMULATION: Proof(
        _many,
        lambda e: np.cumsum(e, axis=1)[:, -1],
        lambda e: [1_000_000 * _MP.mpf(float(row[0])) for row in e],
        "s",
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: Proof(
        _rows([100, -100, 3], [1000, -1000, 3]),
        _softplus_slope,
        lambda x: [1 / (1 + _exp(-each)) for each in x],
        "gradient",
        differentiated=True,
    ),
    Cause.DIVISION_BY_SATURATED_P: Proof(
        _rows([[0, 200, 1], [20, 0, -1]], [[0, 2000, 1], [40, 0, -1]], [0, 0]),
        _through_one_over_p,
        _gradients,
        "g",
    ),
    Cause.EMPTY_MEAN: Proof(
        lambda dtype: {"losses": np.ones(3, dtype), "kept": np.zeros(3, bool)},
        lambda losses, kept: losses[kept].sum() / losses.dtype.type(kept.sum()),
        lambda losses, kept: _MP.mpf(0),
        "loss",
    ),
    Cause.INDEX_WRAP: Proof(
        _of_many_classes,
        _wrapped,
        lambda x, y: [_MP.mpf(0), _MP.mpf(5)],
        "x_y",
    ),
    Cause.COMPILER_CONTRACTION: Proof(_large, _contracted, _probabilities, "p"),
}

ONE_LOGIT = ((20, 1), (20, 0), (-20, 1), (-20, 0), (80, 1), (80, 0), (-80, 1), (-80, 0), (0, 1))
"""Logits and labels for the remedies of losses of one logit."""


def one_logit(kind: str, x: float, z: float) -> Any:
    """The exact binary cross-entropy of a logit and a label (``loss``), or its gradient (``g``)."""
    x, z = _MP.mpf(x), _MP.mpf(z)
    if kind == "g":
        return (1 - z) / (1 + _MP.exp(-x)) - z / (1 + _MP.exp(x))
    return z * _MP.log1p(_MP.exp(-x)) + (1 - z) * _MP.log1p(_MP.exp(x))


def ulps(actual: Any, exact: Any, dtype: str) -> float:
    """The largest error of an array against mpmath's numbers, in ulps; inf if not finite.

    An exact infinity is met by itself, and anything below the smallest normal number by 0.
    """
    flat = np.asarray(actual, np.float64).reshape(-1)
    numbers = _flat(exact)
    assert len(flat) == len(numbers), (flat.shape, len(numbers))
    found = FORMATS[dtype]
    worst = 0.0
    for got, want in zip(flat, numbers, strict=True):
        if _MP.isinf(want) or abs(want) < found.smallest_normal:
            near = got == float(want) or (_MP.isfinite(want) and abs(got) < found.smallest_normal)
            worst = max(worst, 0.0 if near else np.inf)
        elif not np.isfinite(got):
            return np.inf
        else:
            unit = _MP.mpf(2) ** (int(_MP.floor(_MP.log(abs(want), 2))) + 1 - found.precision)
            worst = max(worst, float(abs(_MP.mpf(float(got)) - want) / unit))
    return worst


def _flat(exact: Any) -> list[Any]:
    if not isinstance(exact, list):
        return [exact]
    return [number for each in exact for number in _flat(each)]
