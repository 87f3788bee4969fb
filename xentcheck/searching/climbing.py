"""A short climb in ulp space: from rows with a large error to neighbours with a larger one."""

import numpy as np

from xentcheck.model import Array, Case, Float64Array
from xentcheck.searching.moves import children
from xentcheck.searching.trials import Found, Trials, block_rows, chosen, joined

POPULATION = 8
PATIENCE = 6
"""After so many rounds without a larger error a climb ends."""


def climb(
    trials: Trials, starts: Case, rng: np.random.Generator, *, rounds: int, kept: int
) -> Found | None:
    """Rows with a larger error than any of the starts, the largest first; None: there are none.

    Args:
        trials: who is asked.
        starts: rows of at most a few dozen finite numbers, the worst first.
        rng: what the moves are drawn from.
        rounds: so many blocks of rows are tried at most.
        kept: so many rows are returned at most.

    Raises what a call of `Trials` does. A row whose result is at fault and has no finite error,
    such as NaN, counts as larger than all, and ends the climb.
    """
    size = block_rows(starts)
    known = min(starts.rows, POPULATION)
    people = chosen(starts, np.arange(known))
    block = joined(people, children(people, size - known, rng))
    errors, results = trials.of(block)
    least = float(errors[:known].max())
    if not np.isfinite(least):
        return None
    people, worth, returned = block, errors, results
    people, worth, returned = _fittest(people, worth, returned)
    idle = 0
    for _ in range(rounds - 1):
        if np.isinf(worth[0]) or idle >= PATIENCE:
            break
        before = worth[0]
        block = children(people, size, rng)
        errors, results = trials.of(block)
        people, worth, returned = _fittest(
            joined(people, block),
            np.concatenate([worth, errors]),
            np.concatenate([returned, results]),
        )
        idle = 0 if worth[0] > before else idle + 1
    better = np.flatnonzero(worth > least)[:kept]
    return Found(chosen(people, better), returned[better]) if len(better) else None


def _fittest(people: Case, worth: Float64Array, results: Array) -> tuple[Case, Float64Array, Array]:
    """The rows with the largest errors, each once, largest first."""
    _, first = np.unique(_keys(people), axis=0, return_index=True)
    first.sort()
    order = first[np.argsort(-worth[first], kind="stable")][:POPULATION]
    return chosen(people, order), worth[order], results[order]


def _keys(people: Case) -> Array:
    """The bytes of each row, (rows, bytes): of its numbers, and of its label."""
    parts = [people.logits] if people.labels is None else [people.logits, people.labels]
    parts += [np.asarray(v) for v in people.parameters.values() if np.ndim(v) == 2]
    rows = [np.ascontiguousarray(part).reshape(people.rows, -1).view(np.uint8) for part in parts]
    return np.concatenate(rows, axis=1)
