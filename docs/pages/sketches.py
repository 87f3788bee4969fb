"""Causes that no form of the catalogue shows along one axis: a few lines of NumPy each.

They are the lines of `docs.pages.examples`, with a number that moves.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from xentcheck.model import Cause

MP = mpmath.mp.clone()
MP.dps = 60


@dataclass(frozen=True, slots=True)
class Sketch:
    """What a figure shows.

    Attributes:
        faulty: what the lines with the cause do, in words.
        sound: what the lines without it do.
        wrong: the result with the cause, for a number on the axis.
        right: the result without it.
        exact: the exact result, as mpmath's number.
        axis: what moves, in words.
        numbers: the numbers on the axis.
        dtype: the dtype of the results.
        quantity: value or gradient.
        log: whether the axis is logarithmic.
    """

    faulty: str
    sound: str
    wrong: Callable[[Any], Any]
    right: Callable[[Any], Any]
    exact: Callable[[Any], Any]
    axis: str
    numbers: Sequence[float]
    dtype: str = "float32"
    quantity: str = "value"
    log: bool = False


def _to(end: float) -> list[float]:
    return list(np.linspace(0, end, 49).tolist())


def _counts(end: int) -> list[float]:
    """Whole numbers from 1 to the end, about evenly on a logarithmic axis."""
    return list(np.unique(np.geomspace(1, end, 49).astype(int)).tolist())


def _between(start: float, end: float) -> list[float]:
    return list(np.geomspace(start, end, 49).astype(np.float32).tolist())


def _float32(*numbers: float) -> Any:
    return np.array(numbers, np.float32)


def _softmax(x: Any) -> Any:
    powers = np.exp(x - x.max())
    return powers / powers.sum()


def _clipped(x: float) -> Any:
    p = np.minimum(1 / (1 + np.exp(np.float16(-x))), np.float16(1 - 1e-7))
    return -np.log(1 - p)


def _softplus(x: float) -> Any:
    one = np.float16(x)
    return np.maximum(one, 0) + np.log1p(np.exp(-np.abs(one)))


def _soft(x: float, all_classes: bool) -> Any:
    """The loss for the logits [−x, 0, 0] and the labels [0, ½, ½]."""
    y, log_p = _float32(0, 0.5, 0.5), np.log(_softmax(_float32(-x, 0, 0)))
    counts = (y > 0) | all_classes
    return -(y[counts] * log_p[counts]).sum()


def _masked(n: float, shift: Callable[[Any], Any]) -> Any:
    """logsumexp of four logits of 0, of which n are masked."""
    x = np.where(np.arange(4) < n, -np.inf, 0).astype(np.float32)
    return shift(x.max()) + np.log(np.exp(x - shift(x.max())).sum())


def _of_wrong_row(x: float, dtype: str) -> Any:
    """The loss for the logits [x, 0] and the label 1, with x in another dtype in between."""
    between = np.float32(np.dtype(dtype).type(x))
    return between + np.log1p(np.exp(-between))


def _where(x: float, guard: float) -> Any:
    """The derivative of where(x > 20, x, log1p(exp(x))), with exp of min(x, guard)."""
    e = np.exp(np.minimum(np.float32(x), np.float32(guard)))
    return np.float32((x > 20) * 1 + (x <= 20) * (e / (1 + e)))


def _divided(x: float) -> Any:
    p = _softmax(_float32(0, x))[0]
    return -1 / p * p * (1 - p)


def _kept(n: float, least: float) -> Any:
    """The mean of losses of 1 over the first n of four rows."""
    return (np.ones(4, np.float32) * (np.arange(4) < n)).sum() / np.float32(max(n, least))


_LOGITS = np.arange(1, 201, dtype=np.float32).repeat(1000)


def _gathered(row: float, index: type[np.integer[Any]]) -> Any:
    """The logit of the label 500 in a row of 1,000 classes; those of row r are r + 1."""
    return _LOGITS[np.array([int(row)], index) * index(1000) + index(500)][0]


def _scaled(x: float, fused: bool) -> Any:
    """Class 0 of the softmax of [x, 0] / 0.3."""
    logits, c = _float32(x, 0), np.float32(1 / 0.3)
    m = (logits * c).max()
    shifted = logits * c - m
    if fused:
        shifted = (logits.astype(np.float64) * np.float64(c) - np.float64(m)).astype(np.float32)
    e = np.exp(shifted)
    return e[0] / e.sum()


SKETCHES: Mapping[Cause, Sketch] = {
    Cause.SUM_OVERFLOW: Sketch(
        "the sum in float16",
        "the sum in float32",
        lambda n: np.log(np.ones(n, np.float16).sum()),
        lambda n: np.float16(np.log(np.ones(n, np.float16).sum(dtype=np.float32))),
        MP.log,
        "number of equal logits",
        _counts(2**18),
        dtype="float16",
        log=True,
    ),
    Cause.INEFFECTIVE_EPSILON: Sketch(
        "p clipped to 1 − 1e-7",
        "max(x, 0) + log1p(exp(−|x|))",
        _clipped,
        _softplus,
        lambda x: MP.log1p(MP.exp(x)),
        "x of the logit, label 0",
        np.arange(0, 20.25, 0.25).tolist(),
        dtype="float16",
    ),
    Cause.ZERO_TIMES_INF: Sketch(
        "y · log p over all classes",
        "over the classes with y > 0",
        lambda x: _soft(x, all_classes=True),
        lambda x: _soft(x, all_classes=False),
        lambda x: MP.log(2 + MP.exp(-x)),
        "x of the logits [−x, 0, 0], labels [0, ½, ½]",
        _to(120),
    ),
    Cause.INF_MINUS_INF: Sketch(
        "shifted by the maximum",
        "not shifted by −inf",
        lambda n: _masked(n, lambda m: m),
        lambda n: _masked(n, lambda m: m if m > -np.inf else np.float32(0)),
        lambda n: MP.log(4 - n),
        "classes at −inf, of 4",
        [0, 1, 2, 3, 4],
    ),
    Cause.NARROW_INTERMEDIATE: Sketch(
        "x in float16 in between",
        "x in float32 throughout",
        lambda x: _of_wrong_row(x, "float16"),
        lambda x: _of_wrong_row(x, "float32"),
        lambda x: x + MP.log1p(MP.exp(-x)),
        "x of the logits [x, 0], label 1",
        _between(0.013, 1.1e6),
        log=True,
    ),
    Cause.LOW_PRECISION_ACCUMULATION: Sketch(
        "a running sum in float16",
        "a running sum in float32",
        lambda n: np.cumsum(np.ones(n, np.float16))[-1],
        lambda n: np.float16(np.cumsum(np.ones(n, np.float16), dtype=np.float32)[-1]),
        MP.mpf,
        "number of ones that are summed",
        _counts(60_000),
        dtype="float16",
        log=True,
    ),
    Cause.UNTAKEN_BRANCH_GRADIENT: Sketch(
        "exp(x) in the branch that is not taken",
        "exp(min(x, 20)) there",
        lambda x: _where(x, np.inf),
        lambda x: _where(x, 20),
        lambda x: 1 / (1 + MP.exp(-x)),
        "x",
        _to(120),
        quantity="gradient",
    ),
    Cause.DIVISION_BY_SATURATED_P: Sketch(
        "−1/p · p · (1 − p)",
        "p − 1",
        _divided,
        lambda x: _softmax(_float32(0, x))[0] - 1,
        lambda x: -1 / (1 + MP.exp(-x)),
        "x of the logits [0, x], label 0",
        _to(120),
        quantity="gradient",
    ),
    Cause.EMPTY_MEAN: Sketch(
        "divided by the count",
        "divided by max(count, 1)",
        lambda n: _kept(n, 0),
        lambda n: _kept(n, 1),
        lambda n: MP.mpf(n > 0),
        "rows that count, of 4",
        [0, 1, 2, 3, 4],
    ),
    Cause.INDEX_WRAP: Sketch(
        "row · 1000 + label in 16 bits",
        "in 64 bits",
        lambda row: _gathered(row, np.uint16),
        lambda row: _gathered(row, np.int64),
        lambda row: MP.mpf(row + 1),
        "row of 1,000 classes",
        np.arange(0, 200, 4).tolist(),
    ),
    Cause.COMPILER_CONTRACTION: Sketch(
        "x · c − max in one operation",
        "x · c rounded first",
        lambda x: _scaled(x, fused=True),
        lambda x: _scaled(x, fused=False),
        lambda x: 1 / (1 + MP.exp(-x * MP.mpf(10) / 3)),
        "x of the logits [x, 0], temperature 0.3",
        _between(10, 1e12),
        log=True,
    ),
}
