"""Checks whether a result changes with the memory layout of the arrays."""

from collections.abc import Iterable

import numpy as np

from xentcheck.errors import UnsupportedError
from xentcheck.execution import Caller, CallError, Incident, same_bits
from xentcheck.floats import to_float64
from xentcheck.implementations.layouts import ONE_CLASS, ONE_ROW, UNWRITABLE
from xentcheck.losses import LOSSES
from xentcheck.measurement.asking import Asked, Rows, apart, works
from xentcheck.measurement.batches import distances_between
from xentcheck.model import Array, Case, Domain, Kind


def layouts(asked: Asked, known: Iterable[str] = ()) -> list[Incident]:
    """Call with other memory layouts. Layouts in ``known`` are known to matter and not tried."""
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
            continue  # there is a finding already: it writes into its arguments
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
    """Call some rows in a layout.

    Returns:
        The rows with wrong results, the detail of the finding, and the error in ulps. None if the
        layout does not matter.
    """
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
        return (rows, str(error), np.inf) if works(asked, caller, rows) else None
    known = asked.results[rows] if there.ndim and not case.reduced else asked.results
    if same_bits(there, known).all():  # the plain results are right, so these are too
        return None
    faults = asked.faults(there, rows) & apart(there, known)
    if not faults.any():
        return None
    wanted = None if case.reduced else rows
    try:  # call twice: results that change at random are `Kind.NON_DETERMINISTIC`
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


def _arrays(case: Case) -> list[Array]:
    """All arrays that a call may take."""
    given = (case.logits, case.labels, *case.parameters.values())
    return [each for each in given if isinstance(each, np.ndarray)]


def _of_one_class(asked: Asked, caller: Caller, rows: Rows) -> tuple[Rows, str, float] | None:
    """Like `_in_layout`, for rows of equal logits. Compares them with a packed copy of the numbers.

    The rows are not in the case, so their exact results are not known. Only differences that
    rounding cannot explain count. Losses of probabilities are left out: equal probabilities would
    not sum to 1.
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
    distance = float(distances_between(there[faults], plain[faults]).max())
    return rows[faults.reshape(len(rows), -1).any(axis=1)], detail, distance
