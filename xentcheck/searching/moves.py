"""Small changes of rows, by ulps and in other ways. Changed rows stay in the loss's domain."""

from dataclasses import replace
from enum import IntEnum

import numpy as np

from xentcheck.floats import FORMATS, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind

WIDEST = 104.0  # largest |logit| that is drawn: beyond it exp underflows to 0 in float32
FINEST = 4  # leading bits of a number that steps by ulps do not reach


class Move(IntEnum):
    """A way to change a row."""

    STEP = 0  # one number, by some ulps
    OPPOSITE = 1  # two numbers, by some ulps up and down
    SWAP = 2  # two numbers
    COPY = 3  # one number takes the place of another
    SCALE = 4  # all numbers
    SHIFT = 5  # all numbers
    REDRAW = 6  # one number, anywhere within the common range
    LABEL = 7  # another class, or one number of the label by some ulps


_CHANCES = np.array([6.0, 3.0, 0.5, 1.5, 1.5, 1.5, 2.0, 3.0])


def children(parents: Case, count: int, rng: np.random.Generator) -> Case:
    """Make ``count`` rows, each by a change of one parent. Earlier parents are used more often."""
    ancestry = np.floor(parents.rows * rng.random((count,)) ** 2).astype(np.intp)
    case = parents.part(ancestry)
    moves = _moves(case, count, rng)
    logits = case.logits.reshape(count, -1)
    loss = LOSSES[case.loss]
    changed = _changed(logits, moves, loss.domain, case.dtype, rng)
    return replace(
        case, logits=changed.reshape(case.logits.shape), labels=_relabelled(case, moves, rng)
    )


def _moves(case: Case, count: int, rng: np.random.Generator) -> Array:
    """Draw a move for each child, among those that make sense for the loss and its labels."""
    chances = _CHANCES.copy()
    if case.classes == 1:
        chances[[Move.OPPOSITE, Move.SWAP, Move.COPY]] = 0.0
    domain = LOSSES[case.loss].domain
    if domain is not Domain.LOGITS:
        chances[Move.SHIFT] = 0.0
    if domain is Domain.PROBABILITIES:
        chances[Move.SCALE] = 0.0
    if case.labels is None or (case.label_kind is LabelKind.INTEGER and case.classes == 1):
        chances[Move.LABEL] = 0.0
    if case.fixed and case.label_kind is not LabelKind.INTEGER:
        chances[Move.LABEL] = 0.0
    return rng.choice(len(chances), count, p=chances / chances.sum())


def _changed(
    rows: Array, moves: Array, domain: Domain, dtype: str, rng: np.random.Generator
) -> Array:
    """Change each row (rows, numbers) by its move. Results stay finite and in the domain."""
    target = FORMATS[dtype]
    count, width = rows.shape
    each = np.arange(count)
    one = rng.integers(0, width, (count,))
    other = (one + rng.integers(1, max(width, 2), (count,))) % width
    at: Array = ordinals(rows)
    steps = _steps(count, dtype, rng)
    most = int(ordinals(from_float64(target.max, dtype)))
    lowest = 0 if domain is Domain.PROBABILITIES else -most
    highest = {
        Domain.LOGITS: most,
        Domain.PROBABILITIES: int(ordinals(from_float64(1.0, dtype))),
        Domain.LOG_PROBABILITIES: 0,
    }[domain]

    stepping = (moves == Move.STEP) | (moves == Move.OPPOSITE)
    at[each[stepping], one[stepping]] += steps[stepping]
    opposite = moves == Move.OPPOSITE
    at[each[opposite], other[opposite]] -= steps[opposite]
    swap = moves == Move.SWAP
    at[each[swap], one[swap]] = ordinals(rows[each[swap], other[swap]])
    at[each[swap], other[swap]] = ordinals(rows[each[swap], one[swap]])
    copy = moves == Move.COPY
    at[each[copy], one[copy]] = at[each[copy], other[copy]]
    changed = from_ordinals(np.clip(at, lowest, highest), dtype)

    wide: Array = to_float64(changed)
    scale, shift = np.exp(0.5 * rng.standard_normal((count,))), 10.0 * rng.standard_normal((count,))
    scaled, shifted = moves == Move.SCALE, moves == Move.SHIFT
    with np.errstate(over="ignore"):  # it is clipped below
        wide[scaled] *= scale[scaled, None]
    wide[shifted] += shift[shifted, None]
    redrawn = moves == Move.REDRAW
    wide[each[redrawn], one[redrawn]] = _drawn(count, domain, rng)[redrawn]
    moved = scaled | shifted | redrawn
    low, high = (float(to_float64(from_ordinals(end, dtype))) for end in (lowest, highest))
    changed[moved] = from_float64(np.clip(wide[moved], low, high), dtype)
    return changed


def _steps(count: int, dtype: str, rng: np.random.Generator) -> Array:
    """Draw numbers of ulps of either sign; every order of magnitude is equally likely."""
    sizes = np.exp2(rng.uniform(0.0, max(1, FORMATS[dtype].precision - FINEST), (count,)))
    return np.asarray(np.where(rng.random((count,)) < 0.5, -1, 1) * sizes.astype(np.int64))


def _drawn(count: int, domain: Domain, rng: np.random.Generator) -> Float64Array:
    draws = rng.uniform(-WIDEST, WIDEST, (count,))
    if domain is Domain.LOGITS:
        return draws
    below = -np.abs(draws) / np.exp(rng.uniform(0.0, WIDEST / 4, (count,)))
    return below if domain is Domain.LOG_PROBABILITIES else np.exp(below)


def _relabelled(case: Case, moves: Array, rng: np.random.Generator) -> Array | None:
    labels = case.labels
    if labels is None:
        return None
    count = len(labels)
    here = np.flatnonzero(moves == Move.LABEL)
    if case.label_kind is LabelKind.INTEGER:
        drawn = rng.integers(0, case.classes, (count,))
        changed = labels.copy()
        changed[here] = drawn[here]
        return changed
    at = ordinals(labels).reshape(count, -1)
    column = rng.integers(0, at.shape[1], (count,))
    at[here, column[here]] += _steps(count, case.dtype, rng)[here]
    lowest, highest = 0, int(ordinals(from_float64(1.0, case.dtype)))
    if case.parameters.get("log_target"):
        lowest, highest = -int(ordinals(from_float64(FORMATS[case.dtype].max, case.dtype))), 0
    return np.where(
        (moves == Move.LABEL).reshape(-1, *[1] * (labels.ndim - 1)),
        from_ordinals(np.clip(at, lowest, highest), case.dtype).reshape(labels.shape),
        labels,
    )
