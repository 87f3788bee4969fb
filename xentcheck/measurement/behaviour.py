"""What the results of a row depend on besides the row: company, memory, the upstream gradient.

Every question is asked of few rows, whose plain results are right: what is wrong anyway is told of
already. What another call gives is held to the exact result, or to the plain one, with the
tolerance of the cell. Before anything is said, the plain call of the same few rows is made, and has
to be right as well.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UnsupportedError
from xentcheck.execution import Caller, CallError, Incident, Returned, same_bits
from xentcheck.floats import FORMATS, format_of, from_float64, to_float64, ulp_distance
from xentcheck.implementations.layouts import ONE_CLASS, ONE_ROW, UNWRITABLE
from xentcheck.losses import LOSSES
from xentcheck.measurement.scoring import Scores, conditioned, movable, score
from xentcheck.model import (
    KINDS,
    NOTES,
    Array,
    Case,
    Domain,
    Float64Array,
    Implementation,
    Kind,
    Quantity,
    Tolerance,
)
from xentcheck.reference import Reference

Rows = npt.NDArray[np.intp]

SAMPLE = 16
"""So many rows of a case at most are asked about."""

SAMPLE_NUMBERS = 1 << 13
"""They have so many numbers together at most; under a reduction the whole block has."""

BATCHED = 32
"""So many rows are called in batches of every size."""

BATCH_SIZES = (1, 2, 3, 5, 8, 17, 32, 64)

ROUNDINGS = 32.0
"""By so many roundings of the largest number of its row a result may differ, in another layout or
with another upstream gradient, beyond what the tolerance allows."""

MILD_SPREAD = {"float16": 3.0}
"""How far apart the logits of a row may be that is asked with loss scales: by then a probability or
its inverse, times the scale, has not left the range of the dtype. 16 where nothing is said."""

_FAULT = np.array([*(kind not in NOTES for kind in KINDS), False])


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One quantity of one case, what came of the plain call, and what is known of it."""

    implementation: Implementation
    truth: Reference
    quantity: Quantity
    tolerance: Tolerance
    observed: Returned

    @property
    def case(self) -> Case:
        """The block of rows."""
        return self.truth.case

    @property
    def results(self) -> Array:
        """What the plain call gave."""
        assert self.observed.results is not None
        return self.observed.results

    def saw(self, kind: Kind) -> bool:
        """Whether the plain call, or repeating it, showed something of a kind."""
        return any(each.kind is kind for each in self.observed.incidents)

    def scores(self, results: Array, rows: Rows) -> Scores:
        """Scores of results of some rows, by the tiers below the arbiter."""
        target = format_of(results.dtype)
        assert target is not None
        loss = LOSSES[self.case.loss]
        scoring = partial(
            score,
            quantity=self.quantity,
            tolerance=self.tolerance,
            nonnegative=loss.nonnegative and self.quantity is Quantity.VALUE,
            terms=self.case.classes,
        )

        def condition(of: Rows) -> Float64Array | None:
            if not conditioned(self.tolerance):
                return None
            return self.truth.condition(self.quantity, of, target.name)

        whole = self.truth.at(self.quantity, slice(0, self.case.rows))
        if not results.ndim:
            return scoring(results, whole, condition(np.arange(self.case.rows)))
        scores = scoring(results, whole.at(rows), condition(rows))
        for level in range(1, len(self.truth.tiers) - 1):
            where = np.flatnonzero(scores.undecided.reshape(len(rows), -1).any(axis=1))
            if len(where):
                sharper = self.truth.sharper(self.quantity, rows[where], level)
                again = scoring(results[where], sharper, condition(rows[where]))
                scores = scores.patched(where, again)
        return scores

    def right(self, results: Array, rows: Rows) -> npt.NDArray[np.bool_]:
        """Of which of some rows all results are right for certain; one answer for a scalar."""
        scores = self.scores(results, rows)
        wrong = _FAULT[scores.kinds] | scores.undecided | scores.near
        return np.asarray(~wrong.reshape(len(np.atleast_1d(results)), -1).any(axis=1))

    def faults(self, results: Array, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which results of some rows are at fault for certain, in the shape of the results."""
        scores = self.scores(results, rows)
        return np.asarray(_FAULT[scores.kinds] & ~scores.undecided & ~scores.near)

    def chosen(self, among: Rows) -> Rows:
        """Few of some rows, from the first to the last, whose plain results are right."""
        most = min(SAMPLE, SAMPLE_NUMBERS // self.case.classes)
        if not len(among) or not most:
            return np.zeros(0, dtype=np.intp)
        few = _spread(among, 4 * most)
        return _spread(few[self.right(self.results[few], few)], most)

    @property
    def called(self) -> Rows:
        """The rows that came back."""
        return np.flatnonzero(self.observed.valid)

    @property
    def short(self) -> bool:
        """Whether the whole block may be called again and again."""
        return self.case.rows * self.case.classes <= SAMPLE_NUMBERS


def _spread(rows: Rows, most: int) -> Rows:
    """So many of some rows at most, at equal distances."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


# Company


def company(asked: Asked, *, invariant: bool) -> list[Incident]:
    """What other order, other neighbours and other batch sizes make of the rows.

    A row that moves beyond the tolerance depends on its neighbours; one that moves within it varies
    with its batch, a note.

    Args:
        asked: what was called, in other order and company as well.
        invariant: call batches of many sizes too.
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
    """By how many ulps rows moved, and which of them beyond the tolerance."""

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.within: dict[int, float] = {}
        self.beyond: dict[int, float] = {}
        self.sizes: dict[bool, set[int]] = {True: set(), False: set()}

    def note(self, plain: Array, other: Array, rows: Rows, size: int = 0) -> None:
        """Take in what some rows gave plainly and otherwise, there in batches of a size."""
        different = ~same_bits(other, plain).reshape(len(rows), -1).all(axis=1)
        if not different.any():
            return
        rows, plain, other = rows[different], plain[different], other[different]
        distances = _distances(plain, other)
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
        far = (distances > movable(tolerance, condition)) & ~near
        by_row = far.reshape(len(rows), -1).any(axis=1)
        # a right result that company makes a wrong one, however little it moved
        wrong = asked.faults(other, rows).reshape(len(rows), -1).any(axis=1)
        return np.asarray(by_row | (wrong & asked.right(plain, rows)))

    def incidents(self) -> list[Incident]:
        """One for the rows that moved beyond the tolerance, one for those that moved within it."""
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


def _distances(a: Array, b: Array) -> Float64Array:
    """Steps between results; inf where only one is NaN, or the dtypes differ."""
    if a.dtype != b.dtype:
        return np.full(a.shape, np.inf)
    distances = np.zeros(a.shape)
    nan = (a != a) | (b != b)
    distances[nan & ~same_bits(a, b)] = np.inf
    distances[~nan] = ulp_distance(a[~nan], b[~nan]).astype(np.float64)
    return distances


def _batches(asked: Asked, moves: _Moves) -> list[Incident]:
    """Call some rows in batches of many sizes."""
    caller = Caller(asked.implementation, asked.case, asked.quantity)
    sample = _spread(asked.called, min(BATCHED, max(SAMPLE_NUMBERS // asked.case.classes, 1)))
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


# Memory


def layouts(asked: Asked, known: Iterable[str] = ()) -> list[Incident]:
    """What memory layouts make of the results. ``known`` are those that were found to matter."""
    caller = Caller(asked.implementation, asked.case, asked.quantity)
    wanted = [each for each in caller.layouts if each not in known]
    case = asked.case
    if not wanted or asked.saw(Kind.NON_DETERMINISTIC):
        return []
    rows = asked.called
    if case.reduced:
        whole = asked.right(asked.results, rows).all() if len(rows) == case.rows else False
        if not (asked.short and whole):
            return []
    else:
        rows = asked.chosen(rows)
        if not len(rows):
            return []
    mutates = asked.saw(Kind.MUTATED_INPUT)
    found: dict[str, tuple[Rows, str, float]] = {}
    for layout in wanted:
        if mutates and layout in UNWRITABLE:
            continue  # that it writes into its arguments is told of already
        try:
            seen = _in_layout(asked, caller, rows, layout)
        except UnsupportedError:
            continue
        if seen is not None:
            found[layout] = seen
    incidents = [] if mutates else caller.mutations()
    if found:
        worst = max(found, key=lambda each: found[each][2])
        everywhere = np.unique(np.concatenate([seen[0] for seen in found.values()]))
        first = found[worst][0][:1]
        ordered = (*first.tolist(), *(row for row in everywhere.tolist() if row not in first))
        detail = f"{worst}: {found[worst][1]}"
        incidents.append(
            Incident(Kind.LAYOUT_DEPENDENT, ordered, detail, found[worst][2], tuple(found))
        )
    return incidents


def _in_layout(
    asked: Asked, caller: Caller, rows: Rows, layout: str
) -> tuple[Rows, str, float] | None:
    """The rows that come out wrong in a layout, what was seen, and by how many ulps."""
    case = asked.case
    flat = all(np.ndim(each) < 2 for each in _arrays(case))
    if layout == "transposed" and flat:
        return None
    if layout == ONE_CLASS:
        return _of_one_class(asked, caller, rows)
    if layout == ONE_ROW:
        if case.reduced:
            return None
        rows = np.full(max(len(rows), 3), rows[len(rows) // 2])
    try:
        there = caller.call(None if case.reduced else rows, layout=layout)
    except CallError as error:
        return (rows, str(error), np.inf) if _works(asked, caller, rows) else None
    known = asked.results[rows] if there.ndim and not case.reduced else asked.results
    if same_bits(there, known).all():  # that is right: no scores are needed
        return None
    faults = asked.faults(there, rows) & _apart(there, known)
    if not faults.any():
        return None
    wanted = None if case.reduced else rows
    try:  # twice: a function that gives now this, now that is told of elsewhere
        plain, again = caller.call(wanted), caller.call(wanted)
    except CallError:
        return None
    if not same_bits(again, plain).all():
        return None
    if plain.ndim:
        good = asked.right(plain, rows)
        faults &= good.reshape(-1, *[1] * (plain.ndim - 1))
    else:
        faults &= asked.right(plain, rows).all()
    if not faults.any():
        return None
    errors = asked.scores(there, rows).ulp_error
    errors = np.where(np.isnan(errors), np.inf, errors)
    worst = np.unravel_index(int(np.where(faults, errors, -1.0).argmax()), faults.shape)
    place = f"[{worst[1]}]" if len(worst) > 1 else ""
    actual, expected = float(to_float64(there)[worst]), float(to_float64(plain)[worst])
    detail = f"{asked.quantity}{place} {actual:.9g}, where the packed array gives {expected:.9g}"
    where = rows
    if there.ndim:
        where = rows[faults.reshape(len(rows), -1).any(axis=1)]
        where = np.concatenate([rows[worst[0]][None], where])
    return where, detail, float(errors[worst])


def _apart(there: Array, plain: Array) -> npt.NDArray[np.bool_]:
    """Which results differ by more than roundings of the largest number of their row.

    Sums that are added up in another order do, and may just miss the limit that others just meet.
    """
    target = format_of(there.dtype)
    assert target is not None
    a, b = to_float64(there), to_float64(plain)
    scale = np.abs(b)
    if b.ndim > 1:
        scale = np.fmax.reduce(scale, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= ROUNDINGS * 2.0**-target.precision * scale
    return np.asarray(~near)


def _arrays(case: Case) -> list[Array]:
    """All arrays that a call may be given."""
    given = (case.logits, case.labels, *case.parameters.values())
    return [each for each in given if isinstance(each, np.ndarray)]


def _works(asked: Asked, caller: Caller, rows: Rows) -> bool:
    """Whether the packed call of some rows gives right results."""
    try:
        plain = caller.call(None if asked.case.reduced else rows)
    except CallError:
        return False
    return bool(asked.right(plain, rows).all())


def _of_one_class(asked: Asked, caller: Caller, rows: Rows) -> tuple[Rows, str, float] | None:
    """As `_in_layout`: rows of equal numbers, against a packed copy of the same numbers.

    They are no rows of the case: the exact results are not known, and only what differs beyond all
    rounding counts. Probabilities do not add up to 1 there.
    """
    case = asked.case
    if case.logits.ndim < 2 or case.classes < 2 or case.reduced:
        return None
    if LOSSES[case.loss].domain is not Domain.LOGITS:
        return None
    first = to_float64(case.logits[rows])[:, :1]
    rows = rows[(np.isfinite(first) & (np.abs(first) < 64.0))[:, 0]]
    if not len(rows):
        return None
    logits = np.broadcast_to(case.logits[rows][:, :1], (len(rows), case.classes))
    try:
        plain, again = caller.on(logits, rows), caller.on(logits, rows)
        if not (np.isfinite(to_float64(plain)).all() and same_bits(again, plain).all()):
            return None
    except CallError:
        return None
    try:
        there = caller.on(logits, rows, layout=ONE_CLASS)
    except CallError as error:
        return rows, str(error), np.inf
    a, b = to_float64(there), to_float64(plain)
    scale = np.abs(b).reshape(len(rows), -1).max(axis=1).reshape(-1, *[1] * (b.ndim - 1))
    with np.errstate(invalid="ignore"):
        faults = ~(np.abs(a - b) <= 2.0**-4 * scale)
    if not faults.any():
        return None
    worst = np.unravel_index(int(faults.argmax()), faults.shape)
    place = f"[{worst[1]}]" if len(worst) > 1 else ""
    detail = (
        f"{asked.quantity}{place} {a[worst]:.9g} of equal logits, where a packed copy of them "
        f"gives {b[worst]:.9g}"
    )
    distance = float(_distances(there[faults], plain[faults]).max())
    return rows[faults.reshape(len(rows), -1).any(axis=1)], detail, distance


# The upstream gradient


def cotangents(asked: Asked, known: Iterable[str] = ()) -> list[Incident]:
    """Whether a gradient follows the upstream one: row by row, and from a loss scale to another.

    ``known`` are the upstream gradients that it was found not to follow.
    """
    case = asked.case
    if asked.quantity is not Quantity.GRADIENT or asked.saw(Kind.NON_DETERMINISTIC):
        return []
    caller = Caller(asked.implementation, case, asked.quantity)
    if not caller.follows or (case.reduced and not asked.short):
        return []
    rows = _mild(asked)
    if not len(rows):
        return []
    exact = asked.truth.midpoints(Quantity.GRADIENT, rows)
    plain = to_float64(asked.results[rows])
    given = _upstream_gradients(case.dtype, 0 if case.reduced else len(rows), case.rows)
    found: dict[str, tuple[npt.NDArray[np.bool_], str, float]] = {}
    for name, upstream in given.items():
        if name in known:
            continue
        pulled = from_float64(upstream, case.dtype)
        try:
            there = caller.call(None if case.reduced else rows, cotangent=pulled)
        except UnsupportedError:
            return []
        except CallError as error:
            if _works(asked, caller, np.arange(case.rows) if case.reduced else rows):
                found[name] = (np.ones(len(rows), dtype=np.bool_), str(error), np.inf)
            continue
        if case.reduced:
            there = there[rows]
        seen = _unfollowed(asked, there, plain, exact, to_float64(pulled))
        if seen is not None:
            found[name] = seen
    if not found or not _as_before(asked, caller, rows):
        return []
    name = next(iter(found))
    where = np.flatnonzero(np.any([seen[0] for seen in found.values()], axis=0))
    first = int(np.flatnonzero(found[name][0])[0])
    ordered = (int(rows[first]), *(int(rows[k]) for k in where.tolist() if k != first))
    distance = max(seen[2] for seen in found.values())
    detail = f"{name}: {found[name][1]}"
    return [Incident(Kind.COTANGENT, ordered, detail, distance, tuple(found))]


def _mild(asked: Asked) -> Rows:
    """Rows whose gradient is right and of an ordinary size, and where no scale leaves the range.

    Few of them; under a reduction, where the whole block is called, all.
    """
    case, rows = asked.case, asked.called
    numbers = to_float64(case.logits[rows]).reshape(len(rows), -1)
    most = MILD_SPREAD.get(case.dtype, 16.0)
    with np.errstate(invalid="ignore"):
        match LOSSES[case.loss].domain:
            case Domain.LOGITS:
                spread = numbers.max(axis=1, initial=0.0) - numbers.min(axis=1, initial=0.0)
                mild = (spread <= most) & (np.abs(numbers).max(axis=1) <= 64.0)
            case Domain.PROBABILITIES:
                mild = ((numbers >= np.exp(-most)) & (numbers <= 1.0 - 2.0**-6)).all(axis=1)
            case _:
                mild = ((numbers >= -most) & (numbers <= 0.0)).all(axis=1)
    rows = np.asarray(rows[mild])
    if not len(rows):
        return rows
    if not case.reduced:
        rows = _spread(rows, 16 * SAMPLE)
    sizes = np.abs(asked.truth.midpoints(Quantity.GRADIENT, rows)).reshape(len(rows), -1)
    largest = sizes.max(axis=1)
    if case.reduced:
        rows = rows[largest >= 2.0**-4 * largest.max()] if largest.max() > 0.0 else rows[:0]
        rows = rows[asked.right(asked.results[rows], rows)] if len(rows) else rows
        return np.asarray(rows)
    return asked.chosen(rows[(largest >= 2.0**-4) & (largest <= 8.0)])


def _upstream_gradients(dtype: str, rows: int, block: int) -> Mapping[str, Float64Array]:
    """Upstream gradients by name, (rows,), or () for no rows: those of a block under a reduction.

    None of them is 1. The inverse of a count has no short binary expansion: an upstream gradient
    that is rounded to fewer bits shows.
    """
    count = rows or block
    count += count & (count - 1) == 0
    count += count == 2
    scales = {"1/n": 1.0 / count, "2^-24": 2.0**-24}
    if FORMATS[dtype].max_exponent > 16:
        scales["2^16"] = 2.0**16
    else:
        scales["2^8"] = 2.0**8
    if not rows:
        return {each: np.array(c) for each, c in {"-1.5": -1.5, "0": 0.0, **scales}.items()}
    place = np.arange(rows)
    weights = (place + 3.0) / 2.0 * np.where(place % 3 == 2, -1.0, 1.0)
    weights[1 : rows - 1 : 4] = 0.0
    return {"weights of the rows": weights, **{n: np.full(rows, c) for n, c in scales.items()}}


def _unfollowed(
    asked: Asked, there: Array, plain: Float64Array, exact: Float64Array, upstream: Float64Array
) -> tuple[npt.NDArray[np.bool_], str, float] | None:
    """Rows that do not follow an upstream gradient, what was seen, and by how many ulps.

    As much as the plain gradient is off, and some roundings of the largest number of the row, are
    no matter, nor is what flushing takes away.
    """
    target = format_of(there.dtype)
    assert target is not None
    rows = len(exact)
    narrow = min(target.precision, FORMATS[asked.case.dtype].precision)
    factor = np.broadcast_to(upstream, (rows,)).reshape(-1, *[1] * (exact.ndim - 1))
    wanted = factor * exact + 0.0  # no -0
    largest = np.abs(exact).reshape(rows, -1).max(axis=1).reshape(factor.shape)
    most = max(ROUNDINGS, 2.0 * min(asked.tolerance.max_ulp, 2.0**narrow / 8.0))
    slack = np.abs(factor) * (most * 2.0**-narrow * largest + 2.0 * np.abs(plain - exact))
    smallest = max(target.smallest_normal, FORMATS[asked.case.dtype].smallest_normal)
    slack = slack + 2.0 * (asked.case.classes + 1) * smallest
    actual = to_float64(there)
    with np.errstate(invalid="ignore"):
        off = np.abs(actual - wanted)
        wrong = ~(off <= slack)
    if not wrong.any():
        return None
    by_row = wrong.reshape(rows, -1).any(axis=1)
    with np.errstate(invalid="ignore", over="ignore"):
        scale = max(np.abs(upstream).max(), 2.0**-1000) * largest
        ulps = np.where(np.isfinite(off), off / scale * 2.0**narrow, np.inf)
    row = int(np.flatnonzero(by_row)[0])
    column = int(wrong.reshape(rows, -1)[row].argmax())
    place = (row, column) if exact.ndim > 1 else (row,)
    index = f"[{column}]" if exact.ndim > 1 else ""
    detail = (
        f"gradient{index} {actual[place]:.9g} with {factor.reshape(-1)[row]:.9g} upstream, "
        f"where {wanted[place]:.9g} is exact"
    )
    shown = (actual.reshape(rows, -1), exact.reshape(rows, -1), factor.reshape(-1))
    why = _explained(*shown, by_row)
    return by_row, detail + (f": {why}" if why else ""), float(ulps[wrong].max())


def _explained(
    actual: Float64Array, exact: Float64Array, given: Float64Array, wrong: npt.NDArray[np.bool_]
) -> str:
    """What the numbers say a backward pass does with the upstream gradient, "" for nothing.

    Args:
        actual: the gradients that came back, (rows, classes).
        exact: those with an upstream gradient of one.
        given: the upstream gradients, (rows,).
        wrong: which rows do not follow, (rows,).
    """
    odd = ~np.isfinite(actual).all(axis=1)
    if (odd & (given != 0)).any():
        return "the result is not finite"
    if odd.any():
        text = "where the upstream gradient is 0 the result is not finite"
        others = given != 0
        rest = ""
        if (wrong & others).any():
            rest = _explained(actual[others], exact[others], given[others], wrong[others])
        return f"{rest}, and {text}" if rest else text
    size = (exact * exact).sum(axis=1)
    factor = (actual * exact).sum(axis=1) / size
    rest = np.abs(actual - factor[:, None] * exact).max(axis=1)
    if (rest > 2.0**-5 * np.abs(factor) * np.sqrt(size) + 2.0**-20 * np.abs(given).max()).any():
        return ""

    def like(expected: Float64Array | float, where: Sequence[bool] | None = None) -> bool:
        wanted = np.broadcast_to(np.asarray(expected, np.float64), factor.shape)
        chosen = np.ones(len(factor), dtype=np.bool_) if where is None else np.asarray(where)
        near = np.abs(factor - wanted) <= 2.0**-5 * np.abs(wanted) + 2.0**-40
        return bool(near[chosen].all())

    several = len(np.unique(given)) > 1
    nonzero = (given != 0).tolist()
    with np.errstate(divide="ignore", over="ignore"):
        known: list[tuple[str, bool]] = [
            ("the upstream gradient is ignored", like(1.0)),
            ("the result is 0", like(0.0)),
            ("the upstream gradient is rounded to fewer bits", like(given)),
            ("it has the wrong sign", like(-given)),
            ("the upstream gradient is applied twice", like(given * given)),
            ("it is divided by the upstream gradient", any(nonzero) and like(1 / given, nonzero)),
            ("the magnitude of the upstream gradient is applied", several and like(np.abs(given))),
            (
                "the sum of all upstream gradients is applied to every row",
                several and like(given.sum()),
            ),
            (
                "the mean of all upstream gradients is applied to every row",
                several and like(given.mean()),
            ),
            (
                "the upstream gradient of the first row is applied to every row",
                several and like(given[0]),
            ),
            (
                "the upstream gradient of the last row is applied to every row",
                several and like(given[-1]),
            ),
        ]
    told = next((text for text, fits in known if fits), "")
    if told or not several:
        return told
    near = np.abs(factor[:, None] - given[None]) <= 2.0**-5 * np.abs(given[None]) + 2.0**-40
    return "the upstream gradient of another row is applied" if near.any(axis=1).all() else ""


def _as_before(asked: Asked, caller: Caller, rows: Rows) -> bool:
    """Whether few rows alone have the gradient that they have among all."""
    if asked.case.reduced:
        return True
    try:
        alone, again = caller.call(rows), caller.call(rows)
    except CallError:
        return False
    return bool(same_bits(again, alone).all() and asked.right(alone, rows).all())


def renamed(incidents: Iterable[Incident], asked: Asked, *, invariant: bool) -> list[Incident]:
    """The incidents of a plain call, with those of other company as the tolerance has them."""
    others = [each for each in incidents if each.kind is not Kind.ROW_DEPENDENT]
    return [*others, *company(asked, invariant=invariant)]
