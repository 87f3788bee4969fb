"""Calling an implementation on one case, scoring the results, and collecting them in a tally.

A row's error is that of its worst component, its kind the gravest of its components'. Results are
scored against the lowest tier; rows that it leaves undecided are scored again by the next.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Incident, Returned, observe
from xentcheck.floats import FORMATS, Format, format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.asking import Asked
from xentcheck.measurement.batches import renamed
from xentcheck.measurement.candidate import Candidate, gravity
from xentcheck.measurement.escalation import PART_ELEMENTS, Part
from xentcheck.measurement.flushing import approximately, subnormal
from xentcheck.measurement.layouts import layouts
from xentcheck.measurement.plateaus import CLIPPED, PLATEAU_ROWS, Height
from xentcheck.measurement.scoring import Scores, excess_bits, lost_kind
from xentcheck.measurement.tally import Tally, forget_heights, note, offer
from xentcheck.measurement.upstream import cotangents
from xentcheck.model import (
    KINDS,
    NOTES,
    RIGHT,
    Array,
    Case,
    Float64Array,
    Implementation,
    Kind,
    LabelKind,
    Quantity,
    Tolerance,
    kind_of,
)
from xentcheck.reference import Reference, row_parts

MOST_LED = 64
"""So many numbers a row has at most that is gone on from: as many as a command can hold."""

SIGNALS = 8
"""After so many rows that signal, no more are looked for in the same part of a sweep."""


def measure(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
    *,
    thorough: bool = True,
    otherwise: bool | None = None,
    invariant: bool = False,
) -> Returned:
    """Run, score and collect one case. Returns what came back.

    ``thorough``: call it again with the same rows, and with them in other order and company.
    ``otherwise``: also with arrays that lie otherwise in memory, and with other upstream gradients;
    as ``thorough`` unless given. ``invariant``: also in batches of many sizes, if it is thorough.
    """
    signalled = collected.incident_rows[Kind.FP_SIGNAL]
    observed = observe(
        implementation,
        case,
        quantity,
        thorough=thorough,
        finite=partial(_finite, truth, quantity) if signalled < SIGNALS else None,
    )
    collected.rows += case.rows
    incidents = list(observed.incidents)
    if observed.results is not None:
        came = (observed.results, observed.valid)
        _take(collected, implementation, case, *came, truth, quantity, tolerance)
        asked = Asked(implementation, truth, quantity, tolerance, observed)
        if thorough:
            incidents = renamed(incidents, asked, invariant=invariant)
        if thorough if otherwise is None else otherwise:
            incidents += layouts(asked, collected.ways.get(Kind.LAYOUT_DEPENDENT, ()))
            if thorough or not implementation.plain:  # a variant may have to compile for it
                incidents += cotangents(asked, collected.ways.get(Kind.COTANGENT, ()))
    for incident in incidents:
        note(collected, incident, case)
    return observed


def take(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    results: Array,
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
) -> None:
    """Score and collect a case that was called already; there is a result for every row."""
    collected.rows += case.rows
    valid = np.ones(case.rows, dtype=np.bool_)
    _take(collected, implementation, case, results, valid, truth, quantity, tolerance)


def _take(
    collected: Tally,
    implementation: Implementation,
    case: Case,
    results: Array,
    valid: npt.NDArray[np.bool_],
    truth: Reference,
    quantity: Quantity,
    tolerance: Tolerance,
) -> None:
    loss = LOSSES[case.loss]
    is_value = quantity is Quantity.VALUE
    target = format_of(results.dtype)
    assert target is not None
    collected.result_dtype = target.name
    if is_value and loss.nonnegative:
        collected.negative_zeros += int(np.count_nonzero((results == 0) & np.signbit(results)))
    if is_value and results.ndim == 1:  # where plateaus are watched
        sizes = np.abs(to_float64(results[valid]))
        collected.smallest = min(collected.smallest, sizes.min(initial=np.inf, where=sizes > 0))
    spans = [slice(0, case.rows)] if results.ndim == 0 else row_parts(case, PART_ELEMENTS)
    for span in spans:
        part = Part(case, span, quantity, target.name, truth)
        scores = part.scores(results, tolerance, loss)
        _collect(collected, part, results, scores, valid[span])
    collected.flushing.examine(implementation, quantity)


def weigh(results: Array, case: Case, truth: Reference, quantity: Quantity) -> Float64Array:
    """The error of each row in ulps, (rows,), as well as it is known without the arbiter.

    Infinite where a result is at fault and has no finite error, and -1 where nothing is known.
    Subnormal results have no weight: their bits are few, and many back ends flush them. The case is
    of one block, and under no reduction.
    """
    target = format_of(results.dtype)
    assert target is not None
    part = Part(case, slice(0, case.rows), quantity, target.name, truth)
    scores = part.rough(results, LOSSES[case.loss])
    ulps = scores.ulp_error.reshape(case.rows, -1)
    kinds = scores.kinds.reshape(case.rows, -1)
    without = np.isnan(ulps) & (kinds < KINDS.index(Kind.INACCURATE))
    known = np.where(without, np.inf, np.nan_to_num(ulps, nan=0.0, posinf=np.inf))
    known[~part.normal(slice(None)).reshape(known.shape) & np.isfinite(known)] = 0.0
    known[scores.undecided.reshape(case.rows, -1)] = -1.0
    return np.asarray(known.max(axis=1))


def _finite(truth: Reference, quantity: Quantity, target: Format) -> npt.NDArray[np.bool_]:
    """Which rows have finite inputs, and exact results that are finite in a format: (rows,).

    A gradient is often made with the value: where that is known, it has to be finite as well. A
    result beside which the convention accepts another one counts as none.
    """
    case = truth.case
    arrays = [case.logits, *(each for each in case.parameters.values() if np.ndim(each) == 2)]
    if case.labels is not None and case.label_kind is not LabelKind.INTEGER:
        arrays.append(case.labels)
    with np.errstate(invalid="ignore"):
        by_row = [np.isfinite(to_float64(each)) for each in arrays]
        for each in truth.quantities & {quantity, Quantity.VALUE}:
            by_row.append(np.abs(approximately(truth, each)) < target.max)
            accepts = truth.at(each, slice(None)).accepts
            if accepts is not None:
                by_row.append(accepts == 0)
    rows = np.ones(case.rows, dtype=np.bool_)
    for finite in by_row:
        rows &= finite.reshape(len(np.atleast_1d(finite)), -1).all(axis=1)
    shared = [each for each in case.parameters.values() if np.ndim(each) == 1]
    return rows & all(bool(np.isfinite(to_float64(each)).all()) for each in shared)


def lost(collected: Tally, case: Case, kind: Kind, how: str) -> None:
    """Note that an implementation that was lost on an earlier case was not called on this one."""
    collected.rows += case.rows
    note(collected, Incident(kind, (), how), case)


def _collect(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    valid: npt.NDArray[np.bool_],
) -> None:
    block = results.ndim == 0
    rows = 1 if block else part.span.stop - part.span.start
    kinds = scores.kinds.reshape(rows, -1)
    ulps = scores.ulp_error.reshape(rows, -1)
    absolute = scores.abs_error.reshape(rows, -1)
    alive = np.ones(1, dtype=np.bool_) if block else valid
    worst = ulps.max(axis=1) if ulps.shape[1] > 1 else ulps[:, 0]
    if np.isnan(worst).any():
        worst = np.fmax.reduce(ulps, axis=1, initial=-1.0)
    gravest = kinds.min(axis=1) if kinds.shape[1] > 1 else kinds[:, 0]
    kept = worst[alive & (worst >= 0)]
    if len(kept):
        collected.ulps.add(kept)
        far = scores.far.reshape(rows, -1).any(axis=1)
        collected.far += int(np.count_nonzero(far & alive & (worst >= 0)))
        whole = absolute if alive.all() else absolute[alive]
        largest = whole.max()
        if np.isnan(largest):
            largest = np.nanmax(whole)
        collected.max_abs = max(collected.max_abs, float(largest))
        _collect_excess(collected, part, results, scores, worst, alive)
    _offer_worst(collected, part, results, scores, worst, gravest, alive)
    _collect_subnormals(collected, part, results, alive)
    at_fault = alive & (gravest != RIGHT)
    if not at_fault.any():
        return
    broken = np.flatnonzero(at_fault & ~_NOTED[gravest])
    if collected.first is None and len(broken):
        row = int(broken[0])
        column, kind = int(kinds[row].argmin()), KINDS[gravest[row]]
        collected.first = part.shown(results, scores, row, column, kind)
    _collect_doubtful(collected, part, results, scores, gravest, alive)
    watched = _collect_heights(collected, part, results, scores, at_fault)
    for code in np.unique(gravest[at_fault]).tolist():
        here = np.flatnonzero(at_fault & (gravest == code))
        collected.counts[KINDS[code]] += len(here)
        if watched is not None:
            here = here[~watched[here]]
        if len(here):
            _offer_kind(collected, part, results, scores, worst, here, code)


_NOTED = np.array([*(kind in NOTES for kind in KINDS), True])
"""By the code of a kind, and of what is right: whether it is no fault."""


def _collect_subnormals(
    collected: Tally, part: Part, results: Array, alive: npt.NDArray[np.bool_]
) -> None:
    """Count the rows with subnormal results where the exact ones are subnormal."""
    if collected.flushing.subnormals:  # one is proof enough
        return
    found = subnormal(results if results.ndim == 0 else results[part.span])
    if not found.any():
        return
    smallest = FORMATS[part.dtype].smallest_normal
    if results.ndim == 0:
        exact = part.truth.at(part.quantity, part.span).midpoints()
    else:
        exact = part.truth.midpoints(part.quantity, part.span)
    found &= np.abs(exact) < smallest
    rows = found.reshape(len(alive), -1).any(axis=1) & alive
    collected.flushing.subnormals += int(np.count_nonzero(rows))


def _collect_doubtful(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    gravest: npt.NDArray[np.int8],
    alive: npt.NDArray[np.bool_],
) -> None:
    """Note the rows whose kind depends on whether subnormal results are flushed."""
    kinds = scores.kinds.reshape(len(gravest), -1)
    flushed = kinds == KINDS.index(Kind.FTZ)
    if not flushed.any():
        return
    own = results if results.ndim == 0 else results[part.span]
    zero = flushed & (to_float64(own).reshape(kinds.shape) == 0)
    flushing, none = collected.flushing, np.zeros(len(gravest), dtype=np.bool_)
    for doubtful, where, kind, others in (
        (flushing.zeros, zero, lost_kind(part.quantity), none),
        (flushing.partial, flushed & ~zero, Kind.INACCURATE, zero.any(axis=1)),
    ):
        rows = np.flatnonzero(where.any(axis=1) & ~others & alive & (gravest > KINDS.index(kind)))
        if not len(rows):
            continue
        errors = np.where(where[rows], scores.ulp_error.reshape(kinds.shape)[rows], -1.0)
        place, column = (int(each) for each in np.unravel_index(errors.argmax(), errors.shape))
        first = int(rows[0])
        codes, counts = np.unique(gravest[rows], return_counts=True)
        worst = part.shown(results, scores, int(rows[place]), column, Kind.FTZ)
        doubtful.add(
            Counter({KINDS[code]: int(n) for code, n in zip(codes, counts, strict=True)}),
            worst,
            part.shown(results, scores, first, int(where[first].argmax()), Kind.FTZ),
        )
        flushing.latest = worst


def _offer_kind(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    worst: Float64Array,
    rows: npt.NDArray[np.intp],
    code: int,
) -> None:
    """Offer the component of a kind with the largest error in these rows; without one the first."""
    kinds = scores.kinds.reshape(len(worst), -1)
    ulps = scores.ulp_error.reshape(len(worst), -1)
    held = collected.shown.get(KINDS[code])
    # mostly a row's worst component is of its gravest kind: then one row is enough to look at
    first = rows[worst[rows].argmax()]
    if held is not None and 0 <= worst[first] < gravity(held.ulp_error):
        return
    column = int(np.nan_to_num(ulps[first], nan=-1.0).argmax())
    if worst[first] < 0 or kinds[first, column] != code:
        errors = np.where(kinds[rows] == code, np.nan_to_num(ulps[rows], nan=-1.0), -2.0)
        place, column = (int(each) for each in np.unravel_index(errors.argmax(), errors.shape))
        first = rows[place]
    offer(collected, KINDS[code], part.shown(results, scores, int(first), column, KINDS[code]))


def _offer_worst(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    worst: Float64Array,
    gravest: npt.NDArray[np.int8],
    alive: npt.NDArray[np.bool_],
) -> None:
    """Offer the worst component of all: one without a finite error, the gravest first.

    Conventions are accepted: they have no error, and are no cell's worst.
    """
    rows = len(worst)
    kinds = scores.kinds.reshape(rows, -1)
    ulps = scores.ulp_error.reshape(rows, -1)

    def shown(row: int, column: int) -> Candidate:
        return part.shown(results, scores, row, column, kind_of(int(kinds[row, column])))

    def worst_of(rows: Float64Array, held: Candidate | None, codes: Array) -> Candidate | None:
        """What takes the place of the largest error held: among equal ones the gravest kind."""
        most = float(rows.max())
        if most < 0 or (held is not None and held.ulp_error >= most):
            return None
        ties = np.flatnonzero(rows == most)
        gravities = np.where(ulps[ties] == most, codes[ties], RIGHT + 1)
        place, column = np.unravel_index(int(gravities.argmin()), gravities.shape)
        return shown(int(ties[place]), int(column))

    largest = np.where(alive, worst, -1.0)
    if collected.leaders is not None:
        _lead(collected.leaders, part, largest, shown, ulps)
    same = collected.normal is collected.largest
    new = worst_of(largest, collected.largest, kinds)
    if new is not None:
        collected.largest = new
        offer(collected, None, new)
    flushed = kinds == KINDS.index(Kind.FTZ)
    if same and not flushed.any():
        collected.normal = collected.largest
    else:
        others = np.fmax.reduce(np.where(flushed, np.nan, ulps), axis=1, initial=-1.0)
        codes = np.where(flushed, RIGHT + 1, kinds)
        normal = worst_of(np.where(alive, others, -1.0), collected.normal, codes)
        collected.normal = normal or collected.normal
    candidates = np.flatnonzero(alive & (gravest < KINDS.index(Kind.INACCURATE)))
    if not len(candidates):
        return
    blamed = np.isnan(ulps[candidates]) & (kinds[candidates] != KINDS.index(Kind.CONVENTION))
    if blamed.any():
        codes = np.where(blamed, kinds[candidates], RIGHT + 1)
        place, column = np.unravel_index(int(codes.argmin()), codes.shape)
        offer(collected, None, shown(int(candidates[place]), int(column)))


def _lead(
    leaders: dict[tuple[int, str], Candidate],
    part: Part,
    errors: Float64Array,
    shown: Callable[[int, int], Candidate],
    ulps: Float64Array,
) -> None:
    """Keep the row with the largest finite error of this part, if it can be gone on from.

    Subnormal results are no reason to, as for `weigh`.
    """
    case = part.case
    if case.classes > MOST_LED or case.reduced:
        return
    key = (case.classes, case.generator)
    least = leaders[key].ulp_error if key in leaders else 0.0
    if not errors.max() > least:
        return
    given = [case.logits[part.span]]
    if case.labels is not None and case.labels.dtype.kind != "i":
        given.append(case.labels[part.span])
    numbers = np.concatenate([to_float64(each).reshape(len(errors), -1) for each in given], axis=1)
    fit = np.isfinite(numbers).all(axis=1) & (errors > least)
    rows = np.flatnonzero(fit)
    if not len(rows):
        return
    worth = np.where(part.normal(rows).reshape(len(rows), -1), ulps[rows], -1.0)
    worth = np.nan_to_num(worth, nan=-1.0)
    if worth.size and worth.max() > least:
        place, column = np.unravel_index(int(worth.argmax()), worth.shape)
        leaders[key] = shown(int(rows[place]), int(column))


def _collect_excess(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    worst: Float64Array,
    alive: npt.NDArray[np.bool_],
) -> None:
    """Note the most bits lost beyond what the conditioning explains.

    Only rows that could exceed what is known are looked at: conditioning can but explain bits.
    """
    ulps = scores.ulp_error.reshape(len(worst), -1)
    if collected.max_excess_bits is None:
        collected.max_excess_bits = 0.0
    least = max(0.5, 0.5 * 2.0**collected.max_excess_bits)
    rows = np.flatnonzero(alive & (worst > least))
    if not len(rows):
        return
    chosen: slice | npt.NDArray[np.intp] = part.span.start + rows
    if len(rows) == len(worst):
        chosen = part.span
    errors = ulps[rows] if len(rows) < len(worst) else ulps
    condition = part.truth.condition(part.quantity, chosen, part.dtype)
    explained = condition.reshape(len(rows) if condition.ndim else 1, -1)
    with np.errstate(invalid="ignore"):
        explained = np.maximum(explained, 1.0)
    beyond = errors / explained
    place, column = np.unravel_index(int(beyond.argmax()), beyond.shape)
    if np.isnan(beyond[place, column]):
        explained = np.where(np.isnan(explained), 1.0, explained)
        beyond = np.nan_to_num(errors / explained, nan=-1.0)
        place, column = np.unravel_index(int(beyond.argmax()), beyond.shape)
    given = np.broadcast_to(explained, errors.shape)[place, column]
    bits = excess_bits(float(errors[place, column]), float(given), part.dtype)
    if bits > collected.max_excess_bits:
        row, at = int(rows[place]), int(column)
        kind = kind_of(int(scores.kinds.reshape(len(worst), -1)[row, at]))
        collected.max_excess_bits = bits
        collected.most_excess = part.shown(results, scores, row, at, kind)


def _collect_heights(
    collected: Tally,
    part: Part,
    results: Array,
    scores: Scores,
    at_fault: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_] | None:
    """Watch values that may be plateaus. Returns the rows that are watched, or None."""
    loss = LOSSES[part.case.loss]
    if part.quantity is not Quantity.VALUE or loss.per_class or results.ndim == 0:
        return None
    codes = [KINDS.index(kind) for kind in CLIPPED]
    suspicious = at_fault & ((scores.kinds == codes[0]) | (scores.kinds == codes[1]))
    rows = np.flatnonzero(suspicious)
    if not len(rows):
        return None
    actual = to_float64(results[part.span])
    exact = part.truth.midpoints(part.quantity, part.span.start + rows)
    watched = np.zeros(len(actual), dtype=np.bool_)
    for height in collected.heights.wanted(actual[rows]):
        here = rows[actual[rows] == height]
        values = exact[actual[rows] == height]
        watched[here] = True
        collected.heights.watch(height, _height(part, results, scores, height, here, values))
    forget_heights(collected)
    return watched


def _height(
    part: Part,
    results: Array,
    scores: Scores,
    height: float,
    rows: npt.NDArray[np.intp],
    exact: Float64Array,
) -> Height:
    codes = scores.kinds[rows]
    errors = np.nan_to_num(scores.ulp_error[rows], nan=np.inf)
    with np.errstate(invalid="ignore", over="ignore"):
        distances = np.abs(exact - height)

    def shown(place: int) -> Candidate:
        return part.shown(results, scores, int(rows[place]), 0, KINDS[codes[place]])

    best = {
        KINDS[code]: shown(int(np.where(codes == code, errors, -1.0).argmax()))
        for code in np.unique(codes)
    }
    farthest = int(np.lexsort((errors, distances))[-1])
    return Height(
        counts={KINDS[code]: int(np.count_nonzero(codes == code)) for code in np.unique(codes)},
        exact=frozenset(np.unique(exact)[:PLATEAU_ROWS].tolist()),
        lowest=float(exact.min()),
        highest=float(exact.max()),
        nearest=float(exact[distances.argmin()]),
        best=best,
        farthest=shown(farthest),
        distance=float(distances[farthest]),
    )
