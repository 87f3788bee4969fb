"""Labels for rows: which of them, and how often a row is repeated to have them all."""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UsageError
from xentcheck.floats import from_float64, next_down, next_up, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, Domain, Float64Array, LabelKind, ParameterValue
from xentcheck.sweeps.domain import to_probabilities
from xentcheck.sweeps.parameters import MANY_CLASSES

TARGETS = ("all", "random", "argmax", "argmin")
FEW_CLASSES = 16  # up to here `all` means every class
SOFT_TARGETS = (0.5, 0.1, 0.9)
KINDS_PER_ROW = 3

Index = npt.NDArray[np.intp]
_Maker = Callable[[Float64Array, np.random.Generator], Float64Array]


def labelled(
    rows: Array,
    loss: Loss,
    kind: LabelKind,
    targets: str,
    parameters: Mapping[str, ParameterValue],
    recorded: Array | None,
    dtype: str,
    rng: np.random.Generator,
) -> tuple[Index, Array | None]:
    """Which row each labelled row is, and its label; the label None where the loss takes none.

    ``rows``: of the dtype, at least one. ``recorded``: labels that came with the rows; they take
    the place of ``targets`` where they fit the kind. Raises UsageError for labels out of range.
    """
    if targets not in TARGETS:
        message = f"targets {targets!r}; known: {', '.join(TARGETS)}"
        raise UsageError(message)
    every = np.arange(len(rows))
    if kind is LabelKind.NONE:
        return every, None
    wide = to_float64(rows)
    if kind is LabelKind.INTEGER:
        ignored = parameters.get("ignore_index")
        if recorded is not None and recorded.shape == (len(rows),):
            index, labels = every, _checked(recorded, rows.shape[1], ignored)
        else:
            index, labels = _integers(wide, targets, rng, sparse=loss.per_class)
        if isinstance(ignored, int) and not loss.per_class:
            return _with_ignored(wide, index, labels, ignored)
        return index, labels
    if recorded is not None and recorded.shape == rows.shape and _is_real(recorded):
        return every, from_float64(recorded.astype(np.float64), dtype)
    if kind is LabelKind.TARGET:
        index, soft = _elementwise(wide, targets, rng, loss.domain)
        return index, from_float64(soft, dtype)
    return _distributions(wide, loss, targets, bool(parameters.get("log_target")), dtype, rng)


def _is_real(labels: Array) -> bool:
    return labels.dtype.kind in "fiub"


def _checked(labels: Array, classes: int, ignored: object) -> Array:
    if labels.dtype.kind not in "iu":
        message = f"labels of type {labels.dtype} where integers are expected"
        raise UsageError(message)
    labels = labels.astype(np.int64)
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignored)
    if wrong.any():
        row = int(np.argmax(wrong))
        message = f"label {labels[row]} of row {row} is none of the {classes} classes"
        raise UsageError(message)
    return labels


def _integers(
    rows: Float64Array, targets: str, rng: np.random.Generator, *, sparse: bool
) -> tuple[Index, Array]:
    count, classes = rows.shape
    highest, lowest = rows.argmax(axis=1), rows.argmin(axis=1)
    drawn = rng.integers(0, classes, (2, count))
    if targets == "argmax":
        columns = [highest]
    elif targets == "argmin":
        columns = [lowest]
    elif targets == "random":
        columns = [drawn[0]]
    elif sparse:
        columns = [highest, lowest, drawn[0]]
    elif classes <= FEW_CLASSES:
        columns = [np.full(count, label) for label in range(classes)]
    else:
        ends = [np.full(count, 0), np.full(count, classes - 1)]
        columns = [highest, lowest, *ends, *drawn]
    candidates = np.stack(columns, axis=1).astype(np.int64)
    fresh = np.ones(candidates.shape, dtype=bool)
    for column in range(1, candidates.shape[1]):
        fresh[:, column] = ~(candidates[:, :column] == candidates[:, [column]]).any(axis=1)
    return np.repeat(np.arange(count), fresh.sum(axis=1)), candidates[fresh]


def _with_ignored(
    rows: Float64Array, index: Index, labels: Array, ignored: int
) -> tuple[Index, Array]:
    """Add the ignored label: for every row that is not finite, and for every fourth that is."""
    chosen = np.array(~np.isfinite(rows).all(axis=1))
    chosen[::4] = True
    extra = np.flatnonzero(chosen)
    return (
        np.concatenate([index, extra]),
        np.concatenate([labels, np.full(len(extra), ignored, dtype=np.int64)]),
    )


def _elementwise(
    rows: Float64Array, targets: str, rng: np.random.Generator, domain: Domain
) -> tuple[Index, Float64Array]:
    count = len(rows)
    positive = (rows > (0.5 if domain is Domain.PROBABILITIES else 0.0)).astype(np.float64)
    every = np.arange(count)
    if targets == "argmax":
        return every, positive
    if targets == "argmin":
        return every, 1.0 - positive
    drawn = rng.random(count)
    if targets == "random":
        return every, np.where(every % 2 == 0, np.round(drawn), drawn)
    some = every[::4]
    kinds = np.arange(len(some)) % (len(SOFT_TARGETS) + 1)
    soft = np.where(
        kinds == len(SOFT_TARGETS), drawn[some], np.resize((*SOFT_TARGETS, 0), len(some))
    )
    index = np.concatenate([np.repeat(every, 2), some])
    return index, np.concatenate([np.tile([0.0, 1.0], count), soft])


# distributions -------------------------------------------------------------------------------


def _one_hot(at: Index, classes: int) -> Float64Array:
    rows = np.zeros((len(at), classes))
    rows[np.arange(len(at)), at] = 1.0
    return rows


def _highest(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return _one_hot(p.argmax(axis=1), p.shape[1])


def _lowest(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return _one_hot(p.argmin(axis=1), p.shape[1])


def _even(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return np.full(p.shape, 1.0 / p.shape[1])


def _dirichlet(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    if p.shape[1] > MANY_CLASSES:
        weights = rng.integers(1, 5, p.shape).astype(np.float64)
    else:
        weights = rng.standard_exponential(p.shape)
    return _normalised(weights)


def _zeros(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Exact zeros where the row is impossible, and on about half of the other classes."""
    keep = (p > 0) & (rng.random(p.shape) < 0.5)
    keep[np.arange(len(p)), p.argmax(axis=1)] = True
    return _normalised(_dirichlet(p, rng) * keep)


def _same(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return p


def _nearly_same(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return p  # moved by single ulps once it is rounded


def _unnormalised(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    totals = np.array([0.0, 0.5, 2.0])
    return np.asarray(_dirichlet(p, rng) * rng.choice(totals, (len(p), 1)))


def _disjoint(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    """All mass where the row has none, or as little as it has anywhere."""
    return _normalised((p == p.min(axis=1, keepdims=True)).astype(np.float64))


def _normalised(weights: Float64Array) -> Float64Array:
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


_CROSS_ENTROPY: tuple[_Maker, ...] = (
    _highest,
    _lowest,
    _even,
    _dirichlet,
    _zeros,
    _same,
    _unnormalised,
)
_DIVERGENCE: tuple[_Maker, ...] = (
    _same,
    _nearly_same,
    _highest,
    _lowest,
    _zeros,
    _dirichlet,
    _even,
    _disjoint,
)


def _distributions(
    rows: Float64Array,
    loss: Loss,
    targets: str,
    logarithmic: bool,
    dtype: str,
    rng: np.random.Generator,
) -> tuple[Index, Array]:
    """Distributions (n, classes); kinds take turns, so that a few rows see them all."""
    p = to_probabilities(rows, loss.domain)
    divergence = LabelKind.INTEGER not in loss.label_kinds
    makers = _DIVERGENCE if divergence else _CROSS_ENTROPY
    several = targets == "all" and rows.shape[1] > 1
    index = np.repeat(np.arange(len(rows)), KINDS_PER_ROW if several else 1)
    if targets in ("argmax", "argmin"):
        kinds = np.full(len(index), makers.index(_highest if targets == "argmax" else _lowest))
    elif targets == "random":
        kinds = rng.integers(0, len(makers), len(index))
    else:
        kinds = (np.arange(len(index)) + rng.integers(0, len(makers))) % len(makers)
    soft = np.empty((len(index), rows.shape[1]))
    for number, maker in enumerate(makers):
        chosen = kinds == number
        if chosen.any():
            soft[chosen] = maker(p[index[chosen]], rng)
    if logarithmic:
        with np.errstate(divide="ignore"):
            soft = np.log(soft)
    labels = from_float64(soft, dtype)
    if divergence:
        near = kinds == makers.index(_nearly_same)
        labels[near] = _moved(labels[near], 0.0 if logarithmic else 1.0, rng)
    return index, labels


def _moved(labels: Array, most: float, rng: np.random.Generator) -> Array:
    """About two thirds of the numbers moved by one ulp; zeros and infinities stay."""
    step = rng.integers(-1, 2, labels.shape)
    wide, above, below = (to_float64(each) for each in (labels, next_up(labels), next_down(labels)))
    stays = (wide == 0) | ~np.isfinite(wide)
    up = (step == 1) & ~stays & (above <= most)
    down = (step == -1) & ~stays & np.isfinite(below)
    return np.where(up, next_up(labels), np.where(down, next_down(labels), labels))
