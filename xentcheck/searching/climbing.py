"""A short climb in steps of ulps, from rows with a large error to rows with a larger one."""

import numpy as np

from xentcheck.model import Array, Case, Float64Array
from xentcheck.searching.moves import children
from xentcheck.searching.trials import Found, Trials, block_rows, joined

POPULATION = 8  # rows that survive a round
PATIENCE = 6
"""A climb ends after this many rounds without a larger error."""


def climb(
    trials: Trials, starts: Case, rng: np.random.Generator, *, rounds: int, kept: int
) -> Found | None:
    """Search for rows with a larger error than all starts.

    A wrong result without a finite error, such as NaN, counts as the largest error and ends the
    climb.

    Args:
        trials: calls the implementation.
        starts: rows of at most a few dozen finite numbers, the worst row first.
        rng: stream of the moves.
        rounds: largest number of blocks of rows to try.
        kept: largest number of rows to return.

    Returns:
        The rows, the largest error first, or None if there are none.

    Raises:
        HaltedError, UncertifiedError, UnsupportedError: see `Trials.of`.
    """
    size = block_rows(starts)
    known = min(starts.rows, POPULATION)
    people = starts.part(np.arange(known))
    block = joined(people, children(people, size - known, rng))
    errors, results = trials.of(block)
    least = float(errors[:known].max())
    if not np.isfinite(least):
        return None
    people, worth, returned = block, errors, results
    people, worth, returned = fittest(people, worth, returned)
    idle = 0
    for _ in range(rounds - 1):
        if np.isinf(worth[0]) or idle >= PATIENCE:
            break
        before = worth[0]
        block = children(people, size, rng)
        errors, results = trials.of(block)
        people, worth, returned = fittest(
            joined(people, block),
            np.concatenate([worth, errors]),
            np.concatenate([returned, results]),
        )
        idle = 0 if worth[0] > before else idle + 1
    better = np.flatnonzero(worth > least)[:kept]
    return Found(people.part(better), returned[better]) if len(better) else None


def fittest(
    people: Case, worth: Float64Array, results: Array, size: int = POPULATION
) -> tuple[Case, Float64Array, Array]:
    """Return the distinct rows with the largest errors, the largest error first, and theirs.

    Args:
        people: rows of one shape.
        worth: (rows,), their errors.
        results: (rows, …), their results.
        size: largest number of rows to return.
    """
    _, first = np.unique(_keys(people), axis=0, return_index=True)
    first.sort()
    order = first[np.argsort(-worth[first], kind="stable")][:size]
    return people.part(order), worth[order], results[order]


def _keys(people: Case) -> Array:
    """Return the bytes of each row's numbers, label and parameters per row: (rows, bytes)."""
    parts = [people.logits] if people.labels is None else [people.logits, people.labels]
    parts += [np.asarray(v) for v in people.parameters.values() if np.ndim(v) == 2]
    rows = [np.ascontiguousarray(part).reshape(people.rows, -1).view(np.uint8) for part in parts]
    return np.concatenate(rows, axis=1)
