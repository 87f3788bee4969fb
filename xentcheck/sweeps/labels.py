"""Labels for rows. A row is repeated if it gets several labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from xentcheck.deferred import np, npt
from xentcheck.errors import UsageError
from xentcheck.floats import FORMATS, format_of, from_float64, next_down, next_up, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, Domain, Float64Array, LabelKind, ParameterValue
from xentcheck.sweeps.domain import to_probabilities
from xentcheck.sweeps.generator import Origin
from xentcheck.sweeps.parameters import MANY_CLASSES

TARGETS = ("all", "random", "argmax", "argmin", "ends", "soft")
HARD_OR_SOFT = frozenset({"ends", "soft"})
"""Targets of one kind: only 0 and 1 (distributions: one-hot), or neither of them."""
CHOICES = ("ends", "soft", "all")
"""The targets that `check` accepts."""
FEW_CLASSES = 16  # up to this class count, `all` means every class
ENDS = (0.0, 1.0)
SOFT_TARGETS = (0.5, 0.1, 0.9)
KINDS_PER_ROW = 3  # distributions that a row gets if it gets several

Index: TypeAlias = "npt.NDArray[np.intp]"
_Maker: TypeAlias = "Callable[[Float64Array, np.random.Generator], Float64Array]"


def check_targets(targets: str, loss: Loss, kind: LabelKind) -> None:
    """Raise UsageError for unknown targets, or targets that do not go with the kind of label."""
    if targets not in TARGETS:
        message = f"targets {targets!r}; known: {', '.join(TARGETS)}"
        raise UsageError(message)
    reason = against_targets(targets, kind)
    if reason:
        message = (
            f"{loss.id} {reason}\n"
            "    help: use targets: all, which takes every class or kind of label in turn"
        )
        raise UsageError(message)


def against_targets(targets: str, kind: LabelKind) -> str:
    """Say why targets do not go with a kind of label; "" if they do, or if there are no labels."""
    if targets in HARD_OR_SOFT and kind is LabelKind.INTEGER:
        what = "0 and 1" if targets == "ends" else "between 0 and 1"
        return f"takes {kind} labels, and targets {targets!r} are {what}"
    return ""


def chosen_labels(
    loss: Loss, label_kind: str | None, targets: str | None
) -> tuple[LabelKind, str | None, bool]:
    """Decide which labels `check` draws.

    Args:
        loss: the loss.
        label_kind: kind of label; None: the first kind of the loss. ``integer`` for an elementwise
            loss means the integers 0 and 1.
        targets: one of `CHOICES`, or None.

    Returns:
        The kind of label, the targets (None: each sweep has its own), and whether the targets are
        given as int64.

    Raises:
        UsageError: the loss does not take such labels.
    """
    if targets is not None and targets not in CHOICES:
        message = f"targets {targets!r}; known: {', '.join(CHOICES)}"
        raise UsageError(message)
    if label_kind == LabelKind.INTEGER and LabelKind.TARGET in loss.label_kinds:
        if targets not in (None, "ends"):
            message = (
                f"targets {targets!r}: integer labels of {loss.id} are 0 and 1\n"
                "    help: leave --targets out, or leave --label-kind out for numbers in between"
            )
            raise UsageError(message)
        return LabelKind.TARGET, "ends", True
    kind = LabelKind(label_kind) if label_kind else loss.label_kinds[0]
    if kind not in loss.label_kinds:
        known = " or ".join(loss.label_kinds)
        message = f"{loss.id} takes {known} labels, not {kind} ones"
        raise UsageError(message)
    if targets == "all":
        return kind, None, False
    if kind is LabelKind.INTEGER and targets == "soft":
        has = LabelKind.DISTRIBUTION in loss.label_kinds
        message = f"targets 'soft': {loss.id} takes integer labels, which are classes"
        message += "\n    help: --label-kind distribution has soft ones" if has else ""
        raise UsageError(message)
    hard = kind in (LabelKind.INTEGER, LabelKind.NONE)  # targets do not change them
    return kind, None if hard else targets, False


def labelled(
    rows: Array,
    loss: Loss,
    kind: LabelKind,
    targets: str,
    parameters: Mapping[str, ParameterValue],
    recorded: Array | None,
    dtype: str,
    rng: np.random.Generator,
    first: int = 0,
    origin: Origin = Origin(),  # noqa: B008
) -> tuple[Index | None, Array | None]:
    """Label rows. A row may get several labels.

    Args:
        rows: (rows, classes) or (rows,), of the dtype; at least one row.
        loss: the loss that gets the rows.
        kind: kind of the labels.
        targets: which labels to make; `check_targets` has accepted them.
        parameters: the parameters on which labels depend, by name.
        recorded: labels that came with the rows, or None. They replace ``targets`` if they fit the
            kind.
        dtype: name of the format of the rows and of labels other than integers.
        rng: stream of the draws.
        first: number of the first row among the recorded rows, for messages.
        origin: where the recorded labels come from, for messages.

    Returns:
        The index of the row that each labelled row repeats, (labelled rows,), or None for every row
        once. And the labels: int64 (labelled rows,), or targets or distributions of the dtype, or
        None if the loss takes no labels.

    Raises:
        UsageError: recorded labels are not integers, or are out of range.
    """
    if kind is LabelKind.NONE:
        return None, None
    if kind is LabelKind.INTEGER:
        wide = to_float64(rows)
        classes = loss.classes(rows.shape, parameters)
        ignored = parameters.get("ignore_index")
        if recorded is not None and recorded.shape == (len(rows),):
            # No rows are added. The loss has an ignored label even if the parameter is not given.
            parameter = loss.parameter("ignore_index")
            if ignored is None and parameter is not None and not loss.per_class:
                ignored = parameter.default
            return None, _checked(recorded, classes, ignored, first, origin)
        index, labels = _integers(wide, classes, targets, rng, sparse=loss.per_class)
        if isinstance(ignored, int) and not loss.per_class:
            return _with_ignored(wide, index, labels, ignored)
        return index, labels
    if recorded is not None and recorded.shape == rows.shape and _is_real(recorded):
        whole = format_of(recorded.dtype) is None
        numbers = recorded.astype(np.float64) if whole else to_float64(recorded)
        return None, from_float64(numbers, dtype)
    if kind is LabelKind.TARGET:
        return _elementwise(rows, targets, rng, loss.domain, dtype)
    logarithmic = bool(parameters.get("log_target"))
    return _distributions(to_float64(rows), loss, targets, logarithmic, dtype, rng)


def _is_real(labels: Array) -> bool:
    return labels.dtype.kind in "fiub" or format_of(labels.dtype) is not None


def _checked(labels: Array, classes: int, ignored: object, first: int, origin: Origin) -> Array:
    if labels.dtype.kind not in "iu":
        message = (
            f"{origin.array + ': ' if origin.array else ''}labels of type {labels.dtype} where "
            "integers are expected\n"
            "    help: save the classes as integers, such as labels.astype(np.int64); a number for "
            "every class is a distribution, of the shape of the logits"
        )
        raise UsageError(message)
    labels = labels.astype(np.int64)
    wrong = ((labels < 0) | (labels >= classes)) & (labels != ignored)
    if wrong.any():
        row = int(np.argmax(wrong))
        place = origin.row(first + row)
        message = f"{place}: label {labels[row]} is none of the {classes} classes\n    help: "
        message += f"labels are 0 to {classes - 1}"
        if isinstance(ignored, int):
            message += f", and {ignored} for rows that are ignored (ignore_index)"
        raise UsageError(message)
    return labels


def _integers(
    rows: Float64Array, classes: int, targets: str, rng: np.random.Generator, *, sparse: bool
) -> tuple[Index, Array]:
    count, width = rows.shape
    highest, lowest = rows.argmax(axis=1), rows.argmin(axis=1)
    if width != classes:  # no column stands for a class
        highest, lowest = highest % classes, lowest % classes
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
    """Add the ignored label to every row that is not finite, and to every fourth row."""
    chosen = np.array(~np.isfinite(rows).all(axis=1))
    chosen[::4] = True
    extra = np.flatnonzero(chosen)
    return (
        np.concatenate([index, extra]),
        np.concatenate([labels, np.full(len(extra), ignored, dtype=np.int64)]),
    )


def _elementwise(
    rows: Array, targets: str, rng: np.random.Generator, domain: Domain, dtype: str
) -> tuple[Index | None, Array]:
    count = len(rows)
    if targets in ("argmax", "argmin"):
        positive = to_float64(rows) > (0.5 if domain is Domain.PROBABILITIES else 0.0)
        wanted = positive if targets == "argmax" else ~positive
        return None, from_float64(wanted.astype(np.float64), dtype)
    if targets == "ends":
        return np.repeat(np.arange(count), 2), np.tile(from_float64(ENDS, dtype), count)
    drawn = rng.random(count)
    if targets == "soft":
        labels = np.stack([np.resize(SOFT_TARGETS, count), drawn], axis=1).ravel()
        return np.repeat(np.arange(count), 2), from_float64(_within(labels, dtype), dtype)
    if targets == "random":
        drawn[::2] = np.round(drawn[::2])
        return None, from_float64(drawn, dtype)
    some = np.arange(0, count, 4)
    index = np.empty(2 * count + len(some), dtype=np.intp)
    labels = np.empty(len(index), dtype=FORMATS[dtype].dtype)
    index[: 2 * count].reshape(count, 2)[:] = np.arange(count)[:, None]
    labels[: 2 * count].reshape(count, 2)[:] = from_float64(ENDS, dtype)
    soft = drawn[some]
    for place, target in enumerate(SOFT_TARGETS):
        soft[place :: len(SOFT_TARGETS) + 1] = target
    index[2 * count :], labels[2 * count :] = some, from_float64(soft, dtype)
    return index, labels


def _within(labels: Float64Array, dtype: str) -> Float64Array:
    """Replace 0 and 1 by the nearest normal numbers of a dtype between; numbers above 1 stay."""
    target = FORMATS[dtype]
    labels = np.maximum(labels, target.smallest_normal)
    below = float(to_float64(next_down(from_float64(1.0, dtype))))
    return np.asarray(np.where((labels > below) & (labels < 2.0 - below), below, labels))


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
    """Return exact zeros where the row's probability is 0, and at about half of the others."""
    keep = (p > 0) & (rng.random(p.shape) < 0.5)
    keep[np.arange(len(p)), p.argmax(axis=1)] = True
    return _normalised(_dirichlet(p, rng) * keep)


def _same(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return p


def _nearly_same(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    return p  # `_moved` changes it by single ulps after rounding


def _unnormalised(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    totals = np.array([0.0, 0.5, 2.0])
    return np.asarray(_dirichlet(p, rng) * rng.choice(totals, (len(p), 1)))


def _disjoint(p: Float64Array, _rng: np.random.Generator) -> Float64Array:
    """Put all mass on the classes that have the lowest probability of the row."""
    return _normalised((p == p.min(axis=1, keepdims=True)).astype(np.float64))


def _any_one(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    return _one_hot(rng.integers(0, p.shape[1], len(p)), p.shape[1])


def _uneven(p: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Put most of the mass on the most likely class."""
    return np.asarray(0.9 * _highest(p, rng) + 0.1 * _dirichlet(p, rng))


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
    """Return distributions (n, classes). Kinds take turns, so that a few rows get all of them."""
    p = to_probabilities(rows, loss.domain)
    divergence = LabelKind.INTEGER not in loss.label_kinds
    makers = _DIVERGENCE if divergence else _CROSS_ENTROPY
    several = targets in ("all", "ends", "soft") and rows.shape[1] > 1
    index = np.repeat(np.arange(len(rows)), KINDS_PER_ROW if several else 1)
    if targets in ("argmax", "argmin"):
        kinds = np.full(len(index), makers.index(_highest if targets == "argmax" else _lowest))
    elif targets in HARD_OR_SOFT:
        ofs = (_highest, _lowest, _any_one) if targets == "ends" else (_even, _dirichlet, _uneven)
        makers = (*makers, *(each for each in ofs if each not in makers))
        places = [makers.index(each) for each in ofs]
        kinds = np.resize(places, len(index))
    elif targets == "random":
        kinds = rng.integers(0, len(makers), len(index))
    else:
        kinds = (np.arange(len(index)) + rng.integers(0, len(makers))) % len(makers)
    soft = np.empty((len(index), rows.shape[1]))
    for number, maker in enumerate(makers):
        chosen = kinds == number
        if chosen.any():
            soft[chosen] = maker(p[index[chosen]], rng)
    if targets == "soft":
        soft = _within(soft, dtype)
    if logarithmic:
        with np.errstate(divide="ignore"):
            soft = np.log(soft)
    labels = from_float64(soft, dtype)
    if divergence:
        near = kinds == makers.index(_nearly_same)
        labels[near] = _moved(labels[near], 0.0 if logarithmic else 1.0, rng)
    return index, labels


def _moved(labels: Array, most: float, rng: np.random.Generator) -> Array:
    """Move about two thirds of the numbers by one ulp; zeros and infinities stay."""
    step = rng.integers(-1, 2, labels.shape)
    wide, above, below = (to_float64(each) for each in (labels, next_up(labels), next_down(labels)))
    stays = (wide == 0) | ~np.isfinite(wide)
    up = (step == 1) & ~stays & (above <= most)
    down = (step == -1) & ~stays & np.isfinite(below)
    return np.where(up, next_up(labels), np.where(down, next_down(labels), labels))
