"""Rows and their twins: rows whose results follow from those of other rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Caller, CallError, same_bits
from xentcheck.floats import FORMATS, Format, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import PATHS, Invariant
from xentcheck.measurement.asking import Rows
from xentcheck.measurement.deviations import Broken, Deviations, Subject, scale_of, verdict
from xentcheck.model import Array, Case, Domain, Float64Array, Kind, LabelKind, Quantity

LOST = (Kind.CRASHED, Kind.TIMED_OUT)
"""Kinds of call after which no further calls are made."""


@dataclass(frozen=True, slots=True, eq=False)
class Twins:
    """Rows with their twins.

    Attributes:
        rows: (n,), positions of the rows in the case.
        case: the twins, in the same order.
        image: turns the results of the rows, (n, ...), into what those of the twins have to be.
        says: what the twin of the row at an index is.
    """

    rows: Rows
    case: Case
    image: Callable[[Float64Array], Float64Array]
    says: Callable[[int], str]


def _like(wanted: Float64Array) -> Float64Array:
    return wanted


def _shifted(subject: Subject, rows: Rows) -> Twins | None:
    """The rows plus a number that every sum of is exact in the dtype. Others are left out."""
    x = to_float64(subject.case.logits[rows])
    shifts = _exact_shifts(x, FORMATS[subject.case.dtype], subject.ends(x)[1])
    kept = shifts != 0.0
    if not kept.any():
        return None
    rows, shifts = rows[kept], shifts[kept]
    twins = subject.case.part(rows)
    logits = from_float64(to_float64(twins.logits) + shifts[:, None], twins.dtype)
    return Twins(
        rows, replace(twins, logits=logits), _like, lambda place: f"the logits + {shifts[place]:g}"
    )


def _carried(subject: Subject, rows: Rows) -> Twins | None:
    """The same, for a value that follows the shift."""
    twins = _shifted(subject, rows)
    if twins is None or subject.quantity is Quantity.GRADIENT:
        return twins
    before = to_float64(subject.case.logits[twins.rows])[:, 0]
    shifts = to_float64(twins.case.logits)[:, 0] - before
    return replace(twins, image=lambda results: results + shifts)


_FURTHER = (2, -1, 4, 6, 9)


def _exact_shifts(x: Float64Array, target: Format, reach: float) -> Float64Array:
    """For each row a number that can be added to all its numbers without rounding; 0: none found.

    Args:
        x: (rows, classes), numbers of the format.
        target: the format.
        reach: the largest magnitude of a sum.
    """
    largest = np.abs(x).max(axis=1)
    power = np.ldexp(1.0, np.frexp(np.clip(largest, 1.0, target.max / 16.0))[1] - 1)
    chosen = np.zeros(len(x))
    open_ = np.flatnonzero(largest <= target.max / 16.0)
    for each in (4.0 * power, power, -x.max(axis=1), -power, *(power * 2.0**-k for k in _FURTHER)):
        if not len(open_):
            break
        c, own = each[open_, None], x[open_]
        moved = own + c
        back = moved - own
        exact = (own - (moved - back)) + (c - back) == 0.0
        exact &= to_float64(from_float64(moved, target.name)) == moved
        fits = exact.all(axis=1) & (np.abs(moved).max(axis=1) <= reach)
        chosen[open_[fits]] = each[open_[fits]]
        open_ = open_[~fits]
    return chosen


def _reversed(subject: Subject, rows: Rows) -> Twins | None:
    """The rows with their classes in reverse order, where neither label is the ignored one."""
    case, classes = subject.case, subject.case.classes
    if classes < 2:
        return None
    ignored = case.parameters.get("ignore_index")
    if case.label_kind is LabelKind.INTEGER and ignored is not None:
        own = np.asarray(case.labels)[rows]
        rows = rows[(own != ignored) & (classes - 1 - own != ignored)]
        if not len(rows):
            return None
    twins = case.part(rows)
    labels = twins.labels
    if labels is not None and twins.label_kind is LabelKind.INTEGER:
        inside = (labels >= 0) & (labels < classes)
        labels = np.where(inside, classes - 1 - labels, labels)
    elif labels is not None:
        labels = np.ascontiguousarray(labels[:, ::-1])
    parameters = {
        name: np.ascontiguousarray(value[..., ::-1]) if isinstance(value, np.ndarray) else value
        for name, value in twins.parameters.items()
    }
    logits = np.ascontiguousarray(twins.logits[:, ::-1])
    twins = replace(twins, logits=logits, labels=labels, parameters=parameters)

    def image(results: Float64Array) -> Float64Array:
        return results[:, ::-1] if results.ndim > 1 else results

    return Twins(rows, twins, image, lambda _: "the classes in reverse order")


def _reflected(subject: Subject, rows: Rows) -> Twins | None:
    """The rows with class and complement exchanged, where 1 - p and 1 - z are exact."""
    case = subject.case
    x, z = to_float64(case.logits[rows]), to_float64(np.asarray(case.labels)[rows])
    other = -x
    kept = (z >= 0.0) & (z <= 1.0) & _exact_complement(z, case.dtype)
    if LOSSES[case.loss].domain is Domain.PROBABILITIES:
        other = 1.0 - x
        kept &= (x > 0.0) & (x < 1.0) & _exact_complement(x, case.dtype)
    if not kept.any():
        return None
    rows = rows[kept]
    twins = replace(
        case.part(rows),
        logits=from_float64(other[kept], case.dtype),
        labels=from_float64(1.0 - z[kept], case.dtype),
    )
    sign = -1.0 if subject.quantity is Quantity.GRADIENT else 1.0
    shown = other[kept], 1.0 - z[kept]
    return Twins(
        rows,
        twins,
        lambda results: sign * results,
        lambda place: f"{shown[0][place]:.9g} with label {shown[1][place]:g}",
    )


def _exact_complement(x: Float64Array, dtype: str) -> npt.NDArray[np.bool_]:
    rest = 1.0 - x
    return np.asarray((to_float64(from_float64(rest, dtype)) == rest) & (1.0 - rest == x))


def _complemented(subject: Subject, rows: Rows) -> Twins | None:
    """The rows with the opposite sign."""
    twins = subject.case.part(rows)
    x = to_float64(twins.logits)
    is_value = subject.quantity is Quantity.VALUE
    return Twins(
        rows,
        replace(twins, logits=from_float64(-x, twins.dtype)),
        (lambda results: 1.0 - results) if is_value else _like,
        lambda place: f"{-x[place]:.9g}",
    )


def _exchanged(subject: Subject, rows: Rows) -> Twins | None:
    """The rows with their two distributions exchanged."""
    twins = subject.case.part(rows)
    assert twins.labels is not None
    logits = twins.labels.astype(twins.logits.dtype)
    twins = replace(twins, logits=logits, labels=twins.logits)
    return Twins(rows, twins, _like, lambda _: "the distributions exchanged")


def _one_hot(subject: Subject, rows: Rows) -> Twins | None:
    """The rows with one-hot distributions for labels; an ignored label has none."""
    case = subject.case
    labels = np.asarray(case.labels)[rows]
    kept = (labels >= 0) & (labels < case.classes)
    if not kept.any():
        return None
    rows, labels = rows[kept], labels[kept]
    spread = from_float64(np.eye(case.classes)[labels], case.dtype)
    loss = LOSSES[case.loss]
    own = case.part(rows)
    parameters = {
        name: value
        for name, value in own.parameters.items()
        if (known := loss.parameter(name)) is None or known.goes_with(LabelKind.DISTRIBUTION)
    }
    twins = replace(own, label_kind=LabelKind.DISTRIBUTION, labels=spread, parameters=parameters)
    return Twins(rows, twins, _like, lambda _: "the one-hot distribution")


def _themselves(subject: Subject, rows: Rows) -> Twins | None:
    """The rows as they are, for another way to call the function."""
    return Twins(rows, subject.case.part(rows), _like, lambda _: "the way to a gradient")


_TWINS: Mapping[str, Callable[[Subject, Rows], Twins | None]] = MappingProxyType(
    {
        "shift": _shifted,
        "shift-equivariance": _carried,
        "permutation": _reversed,
        "reflection": _reflected,
        "complement": _complemented,
        "exchange": _exchanged,
        "one-hot": _one_hot,
        PATHS: _themselves,
    }
)


def of_twins(subject: Subject, invariant: Invariant, few: Rows) -> Broken | None:
    """Compare the results of some rows with those of their twins.

    Raises:
        CallError: a call of the twins failed and one of the rows did not; only for a crash and a
            timeout, and for one-hot labels. Otherwise that breaks the invariant.
        UnsupportedError: the implementation says that it does not take such inputs.
    """
    twins = _TWINS[invariant.name](subject, few) if len(few) else None
    if twins is None:
        return None
    implementation, quantity = subject.implementation, subject.quantity
    caller = Caller(implementation, twins.case, quantity)
    tracked = invariant.name == PATHS
    if tracked and not caller.tracks:
        return None
    try:
        there = caller.call(tracked=tracked)
    except CallError as error:
        if error.kind in LOST or invariant.name == "one-hot" or not _steady(subject, twins.rows):
            raise
        if subject.judge is not None:  # a sweep of such rows says so
            return None
        return Broken(tuple(twins.rows.tolist()), f"{twins.says(0)}: {error}", np.inf)
    seen = _apart(subject, twins, subject.results[twins.rows], there)
    if verdict(subject, invariant, seen) is None:
        return None
    own = Caller(implementation, subject.case.part(twins.rows), quantity)
    alone, again = own.call(), caller.call(tracked=tracked)
    if not same_bits(again, there).all():
        return None
    accepted = subject.accepted(twins.case, there)
    return verdict(subject, invariant, _apart(subject, twins, alone, there).only(accepted))


def _steady(subject: Subject, rows: Rows) -> bool:
    """Whether these rows can be called without the others."""
    try:
        Caller(subject.implementation, subject.case.part(rows), subject.quantity).call()
    except CallError:
        return False
    return True


def _apart(subject: Subject, twins: Twins, plain: Array, there: Array) -> Deviations:
    numbers, actual = to_float64(plain), to_float64(there)
    wanted = twins.image(numbers)
    shape = (len(twins.rows), -1)
    with np.errstate(invalid="ignore"):
        by_number = np.where(actual == wanted, 0.0, np.abs(actual - wanted)).reshape(shape)
    own = subject.case.part(twins.rows)
    scale = np.maximum(
        scale_of(own, subject.quantity, numbers), scale_of(twins.case, subject.quantity, actual)
    )
    wanted, actual = wanted.reshape(shape), actual.reshape(shape)

    def says(place: int) -> str:
        column = int(np.nan_to_num(by_number[place], nan=np.inf).argmax())
        index = f"[{column}]" if by_number.shape[1] > 1 else ""
        return (
            f"{subject.quantity}{index} of {twins.says(place)} {actual[place, column]:.9g}, where "
            f"the row's own says {wanted[place, column]:.9g}"
        )

    return Deviations(twins.rows, by_number.max(axis=1), scale, says)
