"""Scans: rows that differ in one number only, from one end of its range to the other."""

from dataclasses import replace
from functools import partial

import numpy as np

from xentcheck.execution import Caller, same_bits
from xentcheck.floats import FORMATS, Format, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import Invariant
from xentcheck.measurement.asking import SAMPLE_NUMBERS, Rows, spread_rows
from xentcheck.measurement.deviations import Broken, Deviations, Subject, scale_of, verdict
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind

SCANNED = 2
"""Maximum number of rows of a case that are scanned along an axis."""

SCAN_POINTS = 33
"""Equally spaced points of a scan; beside them are the neighbours of the row's own numbers."""

SCAN_ULPS = 4
"""How many neighbours on each side of a number are in a scan."""

SCANS = ("decreasing", "increasing")


def of_scans(subject: Subject, invariant: Invariant, few: Rows, scanned: int) -> Broken | None:
    """Call rows that differ in one number only, from one end of the range to the other."""
    found: list[Broken] = []
    for row in _to_scan(subject, few, scanned).tolist():
        case, points, falls = _scan(subject, row)
        caller = Caller(subject.implementation, case, subject.quantity)
        values = caller.call()
        rises = partial(_rises, subject, invariant, row, falls=falls)
        seen = rises(case, points, values)
        if seen is None or not same_bits(caller.call(), values).all():
            continue
        kept = np.flatnonzero(subject.accepted(case, values))
        seen = rises(case.part(kept), points[kept], values[kept]) if len(kept) > 1 else None
        found += [] if seen is None else [seen]
    if not found:
        return None
    worst = max(found, key=lambda each: each.distance)
    rows = dict.fromkeys(row for each in (worst, *found) for row in each.rows)
    return replace(worst, rows=tuple(rows))


def _to_scan(subject: Subject, few: Rows, scanned: int) -> Rows:
    """The rows to scan: with labels of 0 and 1, as many of each; with labels of classes only."""
    case = subject.case
    if SAMPLE_NUMBERS // case.classes < 2 * SCAN_POINTS or case.labels is None:
        return spread_rows(few, scanned) if case.labels is None else few[:0]
    labels = case.labels[few]
    if case.label_kind is LabelKind.INTEGER:
        return spread_rows(few[(labels >= 0) & (labels < case.classes)], scanned)
    labels = to_float64(labels)
    ends = [spread_rows(few[labels == each], max(scanned // 2, 1)) for each in (0.0, 1.0)]
    return np.concatenate(ends)


def _scan(subject: Subject, row: int) -> tuple[Case, Float64Array, bool]:
    """Copies of a row with one number changed; the numbers; whether the value has to fall."""
    case = subject.case
    target = FORMATS[case.dtype]
    own = case.part(np.array([row]))
    label = 0
    if case.label_kind is LabelKind.INTEGER:
        label = int(np.asarray(own.labels)[0])
    flat = to_float64(own.logits).reshape(-1)
    points = _points(flat, label, LOSSES[case.loss].domain, target, subject.ends(flat))
    copies = case.part(np.full(len(points), row))
    logits = copies.logits.copy()
    if case.logits.ndim > 1:
        logits[:, label] = from_float64(points, case.dtype)
    else:
        logits = from_float64(points, case.dtype)
    falls = case.label_kind is LabelKind.INTEGER
    if case.label_kind is LabelKind.TARGET:
        falls = bool(to_float64(np.asarray(own.labels))[0] == 1.0)
    return replace(copies, logits=logits), points, falls


def _points(
    row: Float64Array, place: int, domain: Domain, target: Format, ends: tuple[float, float]
) -> Float64Array:
    """The numbers of a scan in the dtype, ascending and distinct.

    They go from one end to the other, and from ulp to ulp near the row's own number and near its
    largest other one, where formulas change their branch.
    """
    low, high = ends
    grid = np.linspace(low, high, SCAN_POINTS)
    if domain is Domain.PROBABILITIES:
        halves = 2.0 ** -np.arange(0.0, SCAN_POINTS // 2 + 1)
        grid = np.concatenate([halves, 1.0 - halves])
    others = np.delete(row, place)
    near = [row[place], *([others.max()] if len(others) else [])]
    centre = ordinals(from_float64(np.array(near), target.name))
    steps = np.arange(-SCAN_ULPS, SCAN_ULPS + 1)
    around = np.clip(centre[:, None] + steps, -target.last_ordinal, target.last_ordinal)
    close = to_float64(from_ordinals(around.ravel(), target.name))
    whole = to_float64(from_float64(np.concatenate([grid, close]), target.name))
    return np.unique(whole[(whole >= low) & (whole <= high)])


def _rises(
    subject: Subject,
    invariant: Invariant,
    row: int,
    case: Case,
    points: Float64Array,
    values: Array,
    *,
    falls: bool,
) -> Broken | None:
    """Where a value rises above the smallest one before it, by more than rounding explains."""
    numbers = to_float64(values)
    ordered = numbers if falls else -numbers
    lowest = np.fmin.accumulate(ordered)
    places = np.arange(len(points))
    since = np.maximum.accumulate(np.where(ordered == lowest, places, 0))
    scale = scale_of(case, subject.quantity, numbers)
    with np.errstate(invalid="ignore"):
        off = np.where(ordered[1:] == lowest[:-1], 0.0, ordered[1:] - lowest[:-1])
    before = since[:-1]

    def says(place: int) -> str:
        a, b = before[place], place + 1
        if np.isnan(numbers[b]):
            return f"the value is nan at {points[b]:.9g}"
        word = "grows" if falls else "falls"
        return (
            f"the value {word}: {numbers[a]:.9g} at {points[a]:.9g}, {numbers[b]:.9g} at "
            f"{points[b]:.9g}"
        )

    seen = Deviations(
        np.full(len(points) - 1, row), off, np.maximum(scale[1:], scale[before]), says
    )
    found = verdict(subject, invariant, seen)
    return None if found is None else replace(found, rows=(row,))
