"""Asks whether results keep the invariants of their loss. No exact result is needed for that.

An invariant about one result is checked on the results that are there. An invariant about two
results takes calls with other rows: with twins of the rows (`xentcheck.measurement.twins`) or with
a scan along an axis (`xentcheck.measurement.scans`). What rounding may break is declared in
`xentcheck.losses.invariants`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import Caller, CallError, Incident, Returned
from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses.invariants import INVARIANTS, PATHS, Invariant, factors, invariants_of
from xentcheck.measurement.asking import SAMPLE_NUMBERS, Asked, Rows
from xentcheck.measurement.deviations import Broken, Deviations, Subject, scale_of, verdict
from xentcheck.measurement.scans import SCANNED, SCANS, of_scans
from xentcheck.measurement.twins import LOST, of_twins
from xentcheck.model import (
    Array,
    Case,
    Implementation,
    Kind,
    LabelKind,
    Quantity,
    Tolerance,
)
from xentcheck.reference import Reference


@dataclass(frozen=True, slots=True)
class Questions:
    """Which invariants are asked.

    Attributes:
        names: these, of all results that the limit allows; None: all that the loss has, of results
            that are right by the default limit.
        turn: ask at most one of them, the one whose turn it is: at turn 0 of value and gradient,
            then of one of the two in turn. None: ask all.
    """

    names: tuple[str, ...] | None = None
    turn: int | None = None

    def of(self, asked: Asked, known: Iterable[str]) -> list[str]:
        """The names of the invariants to ask of some results, without those in ``known``."""
        case = asked.case
        names = [
            each.name
            for each in invariants_of(case.loss)
            if (self.names is None or each.name in self.names)
            and asked.quantity in each.quantities
            and each.goes_with(case.parameters, case.label_kind)
            and (each.name != "one-hot" or self.names or _declares(asked.implementation))
            and (each.name != PATHS or _tracks(asked))
        ]
        if self.turn is not None and names:
            first = self.turn == 0 or self.turn % 2 == (asked.quantity is Quantity.VALUE)
            names = [names[(self.turn + 1) // 2 % len(names)]] if first else []
        return [name for name in names if name not in known]


TWINS = 6
"""Maximum number of rows of a case that are called with their twins."""

ALL = Questions()
"""Every invariant of the loss."""


def invariants(
    asked: Asked, known: Iterable[str] = (), questions: Questions = ALL
) -> list[Incident]:
    """Check the invariants of the loss on rows whose plain results are right.

    Args:
        asked: the implementation and its plain results.
        known: names of invariants that are known to be broken. They are not asked.
        questions: which invariants to ask.

    Returns:
        One incident if some invariant is broken, otherwise an empty list.
    """
    case = asked.case
    if case.reduced or asked.saw(Kind.NON_DETERMINISTIC):
        return []
    names = questions.of(asked, known)
    strict = _strictly(asked) if questions.names is None else asked
    if strict is asked:
        return _asked_of(asked, names)
    # Two ways to one value are compared with each other, whatever the limit allows of both.
    paths = [name for name in names if name == PATHS]
    return _asked_of(asked, paths) + _asked_of(strict, [n for n in names if n != PATHS])


def _asked_of(asked: Asked, names: Sequence[str]) -> list[Incident]:
    """The incidents of some invariants on the rows that the limit of ``asked`` calls right."""
    case = asked.case
    rows = _determined(asked, eligible(case, asked.called)) if names else asked.called[:0]
    if not len(rows):
        return []
    judge = partial(_accepted, asked)
    subject = Subject(asked.implementation, case, asked.quantity, asked.results, judge=judge)

    def right(of: Rows) -> Rows:
        return of[asked.right(asked.results[of], of)]

    again = any(name not in _OF_RESULTS for name in names)
    few = asked.chosen(rows, TWINS) if again else rows[:0]
    return incidents(broken(subject, names, rows, few, right))


def _strictly(asked: Asked) -> Asked:
    """Results that only bounds looser than the default allow are not asked.

    A gradient that became 0 instead of 2e-9 is within such a bound, but no longer adds up to 0.
    """
    own = asked.tolerance
    loose = own.of_scale or own.times_condition or own.or_abs > 0 or own.or_rel > 0
    loose |= own.max_ulp > _STRICT.max_ulp or own.or_excess_bits > _STRICT.or_excess_bits
    return replace(asked, tolerance=_STRICT) if loose else asked


_STRICT = Tolerance(max_ulp=4.0, or_excess_bits=2.0)


def _declares(implementation: Implementation) -> bool:
    """Whether it declares distributions. A user's function takes every label until it raises."""
    kinds = implementation.label_kinds
    return LabelKind.DISTRIBUTION in kinds and LabelKind.NONE not in kinds


def _accepted(asked: Asked, case: Case, results: Array) -> npt.NDArray[np.bool_]:
    """Which rows of another case have results that the reference certainly accepts."""
    try:
        truth = Reference(case, frozenset({asked.quantity}))
        observed = Returned(results, np.ones(case.rows, dtype=np.bool_))
        other = Asked(asked.implementation, truth, asked.quantity, asked.tolerance, observed)
        return other.right(results, np.arange(case.rows))
    except UncertifiedError:
        return np.zeros(case.rows, dtype=np.bool_)


def _determined(asked: Asked, rows: Rows) -> Rows:
    """The rows of which a convention accepts no other result, and that have no NaN."""
    if not len(rows):
        return rows
    accepts = asked.truth.at(asked.quantity, slice(None)).accepts
    results = asked.results[rows]
    open_ = results != results
    if accepts is not None:
        open_ = open_ | (accepts[rows] != 0)
    kept: Rows = rows[~open_.reshape(len(rows), -1).any(axis=1)]
    return kept


def _tracks(asked: Asked) -> bool:
    """Whether there is another way to its value."""
    return Caller(asked.implementation, asked.case, asked.quantity).tracks


def incidents(found: Mapping[str, Broken]) -> list[Incident]:
    """Broken invariants, by name, as incidents: two paths that differ, and all others together."""
    return [
        *_as_one(Kind.INCONSISTENT, {name: each for name, each in found.items() if name == PATHS}),
        *_as_one(Kind.INVARIANT, {name: each for name, each in found.items() if name != PATHS}),
    ]


def _as_one(kind: Kind, found: Mapping[str, Broken]) -> list[Incident]:
    if not found:
        return []
    worst = max(found, key=lambda name: found[name].distance)
    rows = dict.fromkeys(row for each in (found[worst], *found.values()) for row in each.rows)
    detail = f"{worst}: {found[worst].detail}"
    return [Incident(kind, tuple(rows), detail, found[worst].distance, tuple(found))]


def eligible(case: Case, among: Rows) -> Rows:
    """The rows with finite numbers only."""
    arrays = [each for each in case.parameters.values() if isinstance(each, np.ndarray)]
    if not all(np.isfinite(to_float64(each)).all() for each in arrays if each.ndim < 2):
        return among[:0]
    arrays = [case.logits, *(each for each in arrays if each.ndim == 2)]
    if case.labels is not None and case.labels.dtype.kind != "i":
        arrays.append(case.labels)
    finite = np.ones(len(among), dtype=np.bool_)
    for each in arrays:
        finite &= np.isfinite(to_float64(each[among])).reshape(len(among), -1).all(axis=1)
    return among[finite]


def broken(
    subject: Subject,
    names: Sequence[str],
    rows: Rows,
    few: Rows,
    right: Callable[[Rows], Rows] = lambda rows: rows,
    scanned: int = SCANNED,
) -> dict[str, Broken]:
    """The broken ones among some invariants, by name.

    Args:
        subject: the implementation with its plain results. None of them may change from call to
            call: what does not stay is left out.
        names: the invariants.
        rows: positions of the rows with results to check.
        few: positions of the rows that may be called again.
        right: takes positions and returns those that may be blamed.
        scanned: maximum number of rows that are scanned along an axis.
    """
    found: dict[str, Broken] = {}
    for name in names:
        invariant = INVARIANTS[name]
        try:
            if name in _OF_RESULTS:
                seen = _of_results(subject, invariant, rows, right)
            elif name in SCANS:
                seen = of_scans(subject, invariant, few, scanned)
            else:
                seen = of_twins(subject, invariant, few)
        except UnsupportedError:
            continue
        except CallError as error:
            if error.kind in LOST:
                found[name] = Broken(tuple(few[:1].tolist()), str(error), np.inf)
                break
            continue
        if seen is not None:
            found[name] = seen
    return found


# Properties of single results


def _sum_of(wanted: float) -> Callable[[Subject, Rows], Deviations]:
    def sums(subject: Subject, rows: Rows) -> Deviations:
        rows = _with_normalised_labels(subject.case, rows)
        numbers = to_float64(subject.results[rows])
        with np.errstate(invalid="ignore"):  # infinities of both signs
            totals = numbers.sum(axis=1)
        scale = np.abs(numbers).sum(axis=1)
        if subject.quantity is Quantity.GRADIENT:
            weight, per_degree = factors(subject.case.parameters)
            scale = np.maximum(scale, weight * per_degree)

        def says(place: int) -> str:
            return f"the {subject.quantity} sums to {totals[place]:.9g}, not to {wanted:g}"

        return Deviations(rows, np.abs(totals - wanted), np.maximum(scale, wanted), says)

    return sums


def _with_normalised_labels(case: Case, rows: Rows) -> Rows:
    if case.label_kind is not LabelKind.DISTRIBUTION or case.labels is None:
        return rows
    totals = to_float64(case.labels[rows]).sum(axis=1)
    near = 2.0 * case.classes * 2.0 ** -FORMATS[case.dtype].precision
    return np.asarray(rows[np.abs(totals - 1.0) <= near])


def _within(low: float, high: float) -> Callable[[Subject, Rows], Deviations]:
    def beyond(subject: Subject, rows: Rows) -> Deviations:
        numbers = to_float64(subject.results[rows]).reshape(len(rows), -1)
        with np.errstate(invalid="ignore"):
            over = np.where(numbers > high, numbers - high, 0.0)
            by_number = np.where(numbers < low, low - numbers, over)
        by_number[np.isnan(numbers)] = np.nan
        off = by_number.max(axis=1)
        scale = scale_of(subject.case.part(rows), subject.quantity, numbers)

        def says(place: int) -> str:
            column = int(np.nan_to_num(by_number[place], nan=np.inf).argmax())
            index = f"[{column}]" if numbers.shape[1] > 1 else ""
            bound = f"at least {low:g}" if high == np.inf else f"at most {high:g}"
            bound = bound if low == -np.inf or high == np.inf else f"between {low:g} and {high:g}"
            return f"value{index} {numbers[place, column]:.9g}, not {bound}"

        return Deviations(rows, off, scale, says)

    return beyond


_OF_RESULTS: Mapping[str, Callable[[Subject, Rows], Deviations]] = MappingProxyType(
    {
        "gradient-sum": _sum_of(0.0),
        "gradient-sum-one": _sum_of(1.0),
        "probability-sum": _sum_of(1.0),
        "probability": _within(0.0, 1.0),
        "log-probability": _within(-np.inf, 0.0),
        "nonnegative": _within(0.0, np.inf),
        "almost-nonnegative": _within(0.0, np.inf),
    }
)


def _of_results(
    subject: Subject, invariant: Invariant, rows: Rows, right: Callable[[Rows], Rows]
) -> Broken | None:
    check = _OF_RESULTS[invariant.name]
    seen = verdict(subject, invariant, check(subject, rows))
    if seen is None:
        return None
    blamed = right(np.array(seen.rows[:SAMPLE_NUMBERS], dtype=np.intp))
    return verdict(subject, invariant, check(subject, blamed)) if len(blamed) else None
