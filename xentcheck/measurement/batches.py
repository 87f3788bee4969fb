"""Checks whether the result of a row changes with the other rows of its batch."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Caller, CallError, Incident, same_bits
from xentcheck.floats import format_of, to_float64, ulp_distance
from xentcheck.measurement.asking import SAMPLE_NUMBERS, Asked, Rows, spread_rows
from xentcheck.measurement.grading import ACCURATE_ULP
from xentcheck.measurement.scales import few, grading_scale, scales
from xentcheck.measurement.scoring import conditioned, movable
from xentcheck.model import Array, Float64Array, Grade, Kind, Tolerance, rank

BATCHED = 32
"""Maximum number of rows that are called in batches of every size."""


BATCH_SIZES = (1, 2, 3, 5, 8, 17, 32, 64)
"""Rows per batch."""


def company(asked: Asked, *, invariant: bool) -> list[Incident]:
    """Check rows in another order, with other neighbours and in other batch sizes.

    A row that changes by more than the tolerance is `Kind.ROW_DEPENDENT`. A row that changes by
    less is `Kind.BATCH_VARIANT`, which is a note.

    Args:
        asked: the implementation, with its results in the plain order and in another one.
        invariant: also call batches of many sizes.
    """
    found = [each for each in asked.observed.incidents if each.kind is Kind.ROW_DEPENDENT]
    moves = _Moves(asked)
    if asked.observed.regrouped is not None:
        for each in found:
            rows = np.array(each.rows, dtype=np.intp)
            moves.note(asked.results[rows], asked.observed.regrouped[rows], rows)
        found = []
    if invariant and asked.results.ndim and not asked.case.reduced:
        found += _batches(asked, moves)
    return [*found, *moves.incidents()]


class _Moves:
    """Rows whose results changed, by how many ulps, and whether by more than the tolerance."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.within: dict[int, float] = {}
        self.beyond: dict[int, float] = {}
        self.sizes: dict[bool, set[int]] = {True: set(), False: set()}

    def note(self, plain: Array, other: Array, rows: Rows, size: int = 0) -> None:
        """Compare results of some rows from two calls.

        Args:
            plain: results of the plain call, (rows, ...), in the dtype of the results.
            other: results of the other call, of the same shape.
            rows: the numbers of the rows.
            size: rows per batch in the other call; 0 if it is not about batch sizes.
        """
        different = ~same_bits(other, plain).reshape(len(rows), -1).all(axis=1)
        if not different.any():
            return
        rows, plain, other = rows[different], plain[different], other[different]
        distances = distances_between(plain, other)
        far = self._far(plain, other, rows, distances)
        worst = distances.reshape(len(rows), -1).max(axis=1)
        for row, beyond, distance in zip(rows.tolist(), far, worst.tolist(), strict=True):
            held = self.beyond if beyond else self.within
            held[row] = max(held.get(row, 0.0), distance)
            if size:
                self.sizes[bool(beyond)].add(size)

    def _far(
        self, plain: Array, other: Array, rows: Rows, distances: Float64Array
    ) -> npt.NDArray[np.bool_]:
        asked, tolerance = self.asked, self.asked.tolerance
        target = format_of(plain.dtype)
        assert target is not None
        if plain.dtype != other.dtype:
            return np.ones(len(rows), dtype=np.bool_)
        condition = None
        if conditioned(tolerance):
            condition = asked.truth.condition(asked.quantity, rows, target.name)
        a, b = to_float64(plain), to_float64(other)
        with np.errstate(invalid="ignore", over="ignore"):
            apart = np.abs(a - b)
            near = apart <= tolerance.or_abs
            near |= apart <= tolerance.or_rel * np.fmax(np.abs(a), np.abs(b))
        if tolerance.of_scale:
            far = ~self._near_for_its_scale(apart, rows, distances)
        else:
            far = (distances > movable(tolerance, condition)) & ~near
        by_row = far.reshape(len(rows), -1).any(axis=1)
        # a right result that becomes wrong counts, however small the change
        wrong = asked.faults(other, rows).reshape(len(rows), -1).any(axis=1)
        return np.asarray(by_row | (wrong & asked.right(plain, rows)))

    def _near_for_its_scale(
        self, apart: Float64Array, rows: Rows, distances: Float64Array
    ) -> npt.NDArray[np.bool_]:
        """Which results both may be accurate, or a few roundings of their scale off."""
        asked, narrow = self.asked, self.asked.results.dtype
        target = format_of(narrow)
        assert target is not None
        condition = asked.truth.condition(asked.quantity, rows, target.name)
        near = distances <= movable(Tolerance(2.0 * ACCURATE_ULP, times_condition=True), condition)
        grade = asked.tolerance.min_grade
        if grade is None or rank(grade) <= rank(Grade.ABSOLUTE):
            size = scales(asked.truth, asked.quantity, target.name, slice(0, asked.case.rows)).size
            size = grading_scale(asked.truth, asked.quantity, rows, size[rows])
            few_ = few(asked.case, asked.quantity) * 2.0**-target.precision
            near |= apart <= 2.0 * few_ * size.reshape(-1, *[1] * (apart.ndim - 1))
        return np.asarray(near)

    def incidents(self) -> list[Incident]:
        """One incident for rows that changed by more than the tolerance, one for the others."""
        for row in self.beyond:
            self.within.pop(row, None)
        found = []
        for kind, rows, beyond in (
            (Kind.ROW_DEPENDENT, self.beyond, True),
            (Kind.BATCH_VARIANT, self.within, False),
        ):
            if rows:
                distance = max(rows.values())
                detail = f"the same rows in other company differ by up to {distance:g} ulp"
                sizes = tuple(map(str, sorted(self.sizes[beyond])))
                found.append(Incident(kind, tuple(sorted(rows)), detail, distance, sizes))
        return found


def distances_between(a: Array, b: Array) -> Float64Array:
    """Distances in ulps between results; inf if only one is NaN or the dtypes differ."""
    if a.dtype != b.dtype:
        return np.full(a.shape, np.inf)
    distances = np.zeros(a.shape)
    nan = (a != a) | (b != b)
    distances[nan & ~same_bits(a, b)] = np.inf
    distances[~nan] = ulp_distance(a[~nan], b[~nan]).astype(np.float64)
    return distances


def _batches(asked: Asked, moves: _Moves) -> list[Incident]:
    """Call some rows in batches of many sizes. Returns an incident if a call fails."""
    caller = Caller(asked.implementation, asked.case, asked.quantity)
    sample = spread_rows(asked.called, min(BATCHED, max(SAMPLE_NUMBERS // asked.case.classes, 1)))
    if not len(sample):
        return []
    failed: dict[int, str] = {}
    for size in BATCH_SIZES:
        if size > 1 and size * asked.case.classes > SAMPLE_NUMBERS * 8:
            break
        rows = np.resize(sample, -(-len(sample) // size) * size)
        for batch in rows.reshape(-1, size):
            try:
                results = caller.call(batch)
            except CallError as error:
                failed[size] = str(error)
                break
            moves.note(asked.results[batch], results, batch, size)
    if not failed:
        return []
    first, text = next(iter(failed.items()))
    rows_of = tuple(sample.tolist())
    detail = f"batches of {first}: {text}"
    return [Incident(Kind.ROW_DEPENDENT, rows_of, detail, float("inf"), tuple(map(str, failed)))]


def renamed(incidents: Iterable[Incident], asked: Asked, *, invariant: bool) -> list[Incident]:
    """The incidents, with those about other rows in the batch replaced by what `company` finds."""
    others = [each for each in incidents if each.kind is not Kind.ROW_DEPENDENT]
    return [*others, *company(asked, invariant=invariant)]
