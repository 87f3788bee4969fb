"""Reduces an input that shows a fault to a small one that still does.

Greedy: fewer rows and classes first, then parameters at their defaults, a simple label, then
rounder numbers. A candidate is taken if it is simpler and the fault is still there. Every candidate
is in the loss's domain. The order of the candidates is fixed, so the result is too.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import equal
from xentcheck.model import Array, Case, Domain, Float64Array, LabelKind
from xentcheck.searching.simplicity import effort, grown, rounded, simpler, to_digits
from xentcheck.searching.trials import ROWS, block_rows

MOST_CALLS = 160
"""Most calls of one reduction. A long call counts as several: one for each `CALL_NUMBERS`."""

CALL_NUMBERS = 1 << 14

MOST_NUMBERS = 1 << 17
"""Numbers of one call at most; with more classes a call has fewer rows."""

MANY = 64  # numbers of a row that are simplified one by one
EACH_ALONE = 24
"""Candidates of one step where each is a call of its own: a block of rows."""

StillFails = Callable[[Case], npt.NDArray[np.bool_]]
"""Whether rows show the fault: takes a case, returns (rows,). For a block: whether any does."""


def shrink(
    case: Case, still_fails: StillFails, *, together: bool = False, most_calls: int = MOST_CALLS
) -> Case:
    """Reduce a row, or a block of rows, that shows a fault.

    Args:
        case: one row; or a block, if it is reduced to one result or its rows are needed together.
        still_fails: asked about blocks of rows of one shape with the same parameters. Rows that are
            reduced alone come many at a time, in calls of one size for each class count.
        together: the rows of the case are one input, though there is no reduction.
        most_calls: the most calls of ``still_fails``.

    Returns:
        A case of one row, or a block, for which ``still_fails`` said True; ``case`` itself if
        nothing simpler was found.
    """
    search = _Search(case, still_fails, together or case.reduced or case.rows > 1, most_calls)
    return search.run()


@dataclass(frozen=True, eq=False)
class _State:
    """An input: the numbers, labels and parameters of its rows."""

    x: Array
    labels: Array | None
    parameters: Mapping[str, Any]

    @property
    def rows(self) -> int:
        return len(self.x)

    @property
    def classes(self) -> int:
        return self.x.shape[1] if self.x.ndim == 2 else 1


@dataclass(eq=False)
class _Search:
    """A reduction in progress."""

    case: Case
    still_fails: StillFails
    block: bool
    most: int
    calls: int = 0
    too_few: int = 0  # classes that were not enough in this round
    normalised: frozenset[str] = field(default_factory=frozenset)

    def run(self) -> Case:
        first = _State(self.case.logits, self.case.labels, dict(self.case.parameters))
        state = first
        self.normalised = frozenset(
            name for name in ("x", "labels") if self._sums_to_one(state, name)
        )
        passes = (
            self._fewer_rows,
            self._fewer_classes,
            self._defaults,
            self._simple_labels,
            self._whole,
            self._numbers,
            self._label_numbers,
            self._parameter_numbers,
        )
        while self.calls < self.most:
            before, self.too_few = state, 0
            for each in passes:
                state = self._settled(state, each)
            if state is before:
                break
        return self.case if state is first else self._as_case([state])

    def _settled(self, state: _State, step: Callable[[_State], Iterator[list[_State]]]) -> _State:
        """Repeat a pass as long as it finds something simpler."""
        while self.calls < self.most:
            for candidates in step(state):
                better = self._best(state, candidates)
                if better is not None:
                    state = better
                    break
            else:
                break
        return state

    def _best(self, state: _State, candidates: Iterable[_State]) -> _State | None:
        """The simplest candidate that still fails and is simpler than the state."""
        own = self._key(state)
        keyed = [(self._key(each), number, each) for number, each in enumerate(candidates)]
        fit = [each for each in keyed if each[0] < own and self._allowed(each[2])]
        fit.sort(key=lambda each: each[:2])
        ordered = [each for _, _, each in fit]
        if self.block:
            return next((each for each in ordered[:EACH_ALONE] if self._fails([each])[0]), None)
        failing = self._fails(ordered)
        return next((each for each, fails in zip(ordered, failing, strict=True) if fails), None)

    # asking ----------------------------------------------------------------------------------

    def _fails(self, candidates: Sequence[_State]) -> list[bool]:
        """Whether each candidate still fails; False for those that are beyond the most calls."""
        failing = [False] * len(candidates)
        if self.block:
            if candidates and self.calls < self.most:
                self.calls += max(1, candidates[0].x.size // CALL_NUMBERS)
                failing[0] = bool(np.any(self.still_fails(self._as_case(candidates[:1]))))
            return failing
        groups: dict[tuple[Any, ...], list[int]] = {}
        for number, each in enumerate(candidates):
            groups.setdefault((each.classes, _parameter_key(each)), []).append(number)
        for (classes, _), numbers in groups.items():
            size = self._size(classes)
            for first in range(0, len(numbers), size):
                if self.calls >= self.most:
                    return failing
                some = numbers[first : first + size]
                padded = [candidates[n] for n in (*some, *[some[-1]] * (size - len(some)))]
                self.calls += max(1, size * classes // CALL_NUMBERS)
                for number, fails in zip(
                    some, self.still_fails(self._as_case(padded)), strict=False
                ):
                    failing[number] = bool(fails)
        return failing

    def _size(self, classes: int) -> int:
        """Rows of a call."""
        if self.case.logits.ndim == 1:
            return block_rows(self.case)
        return max(1, min(ROWS, MOST_NUMBERS // classes))

    def _as_case(self, states: Sequence[_State]) -> Case:
        first = states[0]
        parameters = {
            name: np.concatenate([each.parameters[name] for each in states])
            if np.ndim(value) == 2
            else value
            for name, value in first.parameters.items()
        }
        labels = None
        if first.labels is not None:
            labels = np.concatenate([each.labels for each in states if each.labels is not None])
        logits = np.concatenate([each.x for each in states])
        return replace(self.case, logits=logits, labels=labels, parameters=parameters)

    # judging ---------------------------------------------------------------------------------

    def _key(self, state: _State) -> tuple[float, ...]:
        """What is simple: few rows, classes and parameters, label 0, numbers with few digits."""
        loss, dtype = LOSSES[self.case.loss], self.case.dtype
        given = 0
        numbers = 0.0
        for name, value in state.parameters.items():
            parameter = loss.parameter(name)
            if name == "reduction" or parameter is None or equal(parameter, value, None, dtype):
                continue
            given += 1
            if not isinstance(value, str | bool):
                numbers += self._effort(np.atleast_1d(np.asarray(value)))
        if state.labels is not None:
            if self.case.label_kind is LabelKind.INTEGER:
                numbers += float(np.minimum(np.abs(state.labels), 9).sum())
            else:
                numbers += self._effort(state.labels)
        return (
            state.rows,
            state.classes,
            len(state.parameters) if given else 0,
            given,
            numbers + self._effort(state.x),
            len(state.parameters),
        )

    def _effort(self, array: Array) -> float:
        """How hard numbers are to read; a number that is there already is easy."""
        values = (to_float64(array) if array.dtype.kind not in "iub" else array).ravel()
        distinct, first, counts = np.unique(values, return_index=True, return_counts=True)
        if len(distinct) > MANY:
            return 100.0 * len(distinct)
        total = 0.0
        for value, count in zip(values[first].tolist(), counts.tolist(), strict=True):
            own = effort(float(value), self.case.dtype)
            total += own + (count - 1) * min(own, 1.0)
        return total

    def _allowed(self, state: _State) -> bool:
        """Whether a candidate is in the domain, as far as the input was."""
        return all(self._sums_to_one(state, name) for name in self.normalised)

    def _sums_to_one(self, state: _State, name: str) -> bool:
        """Whether the rows are probabilities that add up to 1."""
        loss = LOSSES[self.case.loss]
        array = state.x if name == "x" else state.labels
        if array is None or array.ndim != 2:
            return False
        if name == "x" and loss.domain is not Domain.PROBABILITIES:
            return False
        if name == "labels" and state.parameters.get("log_target"):
            return False
        epsilon = FORMATS[self.case.dtype].epsilon
        with np.errstate(invalid="ignore"):
            sums = to_float64(array).sum(axis=1)
            return bool((np.abs(sums - 1.0) <= (array.shape[1] + 1) * epsilon).all())

    def _inside(self, values: Float64Array) -> Array:
        """Numbers of the dtype in the loss's domain, the nearest to each value."""
        match LOSSES[self.case.loss].domain:
            case Domain.PROBABILITIES:
                values = np.clip(values, 0.0, 1.0)
            case Domain.LOG_PROBABILITIES:
                values = np.minimum(values, 0.0)
        return from_float64(values, self.case.dtype)

    # passes ----------------------------------------------------------------------------------

    def _fewer_rows(self, state: _State) -> Iterator[list[_State]]:
        rows = state.rows
        if rows == 1 or not self.block:
            return
        every = np.arange(rows)
        if rows <= MANY:
            yield [self._of_rows(state, every[k : k + 1]) for k in range(rows)]
            yield [
                self._of_rows(state, every[[j, k]])
                for j in range(min(rows, 6))
                for k in range(j + 1, min(rows, 6))
            ]
        parts = 2
        while parts < 2 * rows and parts <= 32:
            cuts = np.array_split(every, min(parts, rows))
            yield [self._of_rows(state, each) for each in cuts if 0 < len(each) < rows]
            yield [
                self._of_rows(state, np.setdiff1d(every, each))
                for each in cuts
                if 0 < len(each) < rows
            ]
            parts *= 2

    def _of_rows(self, state: _State, rows: npt.NDArray[np.intp]) -> _State:
        return _State(
            state.x[rows],
            None if state.labels is None else state.labels[rows],
            {n: v[rows] if np.ndim(v) == 2 else v for n, v in state.parameters.items()},
        )

    def _fewer_classes(self, state: _State) -> Iterator[list[_State]]:
        classes = state.classes
        if state.x.ndim == 1 or classes == 1:
            return
        for size in _sizes(classes):
            if size > self.too_few:
                yield list(self._of_size(state, size))
                self.too_few = size

    def _of_size(self, state: _State, size: int) -> Iterator[_State]:
        """Candidates with fewer classes: the label's class and some of the others."""
        wide = to_float64(state.x)
        classes = state.classes
        with np.errstate(invalid="ignore"):
            first = np.nan_to_num(wide[0], nan=np.inf)
        own = self._own_class(state)
        most = max(1, min(ROWS, MOST_NUMBERS // size))
        orders = [np.argsort(-first, kind="stable"), np.argsort(first, kind="stable")]
        orders += [np.arange(classes), np.arange(classes)[::-1]]
        if own is not None and math.isfinite(first[own]):
            with np.errstate(invalid="ignore"):
                orders.append(np.argsort(np.abs(first - first[own]), kind="stable"))
        chosen = []
        for order in orders:
            if own is None:
                chosen.append(order[:size])
            else:
                chosen.append(np.append(order[order != own][: size - 1], own))
        if size == 2 and own is not None and classes <= MANY:
            chosen += [np.array([own, k], dtype=np.intp) for k in range(classes) if k != own]
        made = {each.tobytes(): each for each in map(np.sort, chosen)}
        given = 0
        for columns in made.values():
            for candidate in self._of_columns(state, columns):
                yield candidate
                given += 1
            if given >= most:
                return
        if own is not None and self.case.label_kind is LabelKind.INTEGER:
            yield from self._renamed(state, size, orders[:2])
        if size == 2 and own is not None:
            yield from self._folded(state, own)

    def _renamed(
        self, state: _State, size: int, orders: Sequence[npt.NDArray[np.intp]]
    ) -> Iterator[_State]:
        """Candidates without the label's class; another class becomes the label."""
        assert state.labels is not None
        several = [order[:size] for order in orders]
        if size == 1 and state.classes <= MANY:
            several = [np.array([k]) for k in range(state.classes)]
        for columns in several:
            for label in {0, size - 1}:
                known = (state.labels >= 0) & (state.labels < state.classes)
                moved = np.where(known, columns[label], state.labels)
                yield from self._of_columns(replace(state, labels=moved), columns)

    def _own_class(self, state: _State) -> int | None:
        """The class that a label names, in the first row; None if there is none."""
        if state.labels is None:
            return None
        if self.case.label_kind is LabelKind.INTEGER:
            own = int(state.labels[0])
            return own if 0 <= own < state.classes else None
        return int(np.nan_to_num(to_float64(state.labels[0]), nan=0.0).argmax())

    def _of_columns(self, state: _State, columns: npt.NDArray[np.intp]) -> Iterator[_State]:
        """The state with these classes only. Lost mass goes to the last class, or the largest."""
        labels = state.labels
        parameters = {
            name: value
            if not isinstance(value, np.ndarray) or value.shape[-1] != state.classes
            else value[..., columns]
            for name, value in state.parameters.items()
        }
        xs = [state.x[:, columns]]
        if "x" in self.normalised:
            xs = [self._completed(state.x, columns, place) for place in (-1, 0)]
        elif LOSSES[self.case.loss].domain is Domain.LOG_PROBABILITIES:
            xs += [self._completed(state.x, columns, place, logarithmic=True) for place in (-1, 0)]
        if labels is None:
            several: list[Array | None] = [None]
        elif self.case.label_kind is LabelKind.INTEGER:
            place = np.full(state.classes, -1, dtype=np.int64)
            place[columns] = np.arange(len(columns))
            fit = (labels >= 0) & (labels < state.classes)
            moved = place[np.where(fit, labels, 0)]
            if (moved[fit] < 0).any():
                return
            several = [np.where(fit, moved, labels).astype(np.int64)]
        elif "labels" in self.normalised:
            several = [self._completed(labels, columns, place) for place in (-1, 0)]
        else:
            several = [labels[:, columns]]
        for x in xs:
            for own in several:
                yield _State(x, own, parameters)

    def _completed(
        self, array: Array, columns: npt.NDArray[np.intp], place: int, *, logarithmic: bool = False
    ) -> Array:
        """Some columns of distributions, or of their logarithms; one gets what the others had."""
        kept = to_float64(array)[:, columns]
        if logarithmic:
            kept = np.exp(kept)
        rest = np.delete(kept, place, axis=1).sum(axis=1)
        kept[:, place] = np.maximum(1.0 - rest, 0.0)
        if logarithmic:
            with np.errstate(divide="ignore"):
                return self._inside(np.maximum(np.log(kept), -FORMATS[self.case.dtype].max))
        return from_float64(kept, self.case.dtype)

    def _folded(self, state: _State, own: int) -> Iterator[_State]:
        """Two classes: the label's own, and one that weighs as much as all others together."""
        wide = to_float64(state.x)
        domain = LOSSES[self.case.loss].domain
        others = np.delete(wide, own, axis=1)
        if domain is Domain.PROBABILITIES or not np.isfinite(others).all():
            return
        highest = others.max(axis=1, keepdims=True)
        with np.errstate(over="ignore"):
            folded = highest[:, 0] + np.log(np.exp(others - highest).sum(axis=1))
        for candidate in self._of_columns(state, np.array([own, (own + 1) % state.classes])):
            pair = np.stack([wide[:, own], folded], axis=1)
            yield replace(candidate, x=self._inside(pair))

    def _defaults(self, state: _State) -> Iterator[list[_State]]:
        """Parameters that are left out: all of them, or one."""
        names = [
            name
            for name, value in state.parameters.items()
            if name != "reduction" and not (name == "log_target" and value)  # it is about labels
        ]
        if not names:
            return
        kept = {n: v for n, v in state.parameters.items() if n not in names}
        yield [
            replace(state, parameters=kept),
            *(
                replace(state, parameters={n: v for n, v in state.parameters.items() if n != name})
                for name in names
            ),
        ]

    def _simple_labels(self, state: _State) -> Iterator[list[_State]]:
        labels = state.labels
        if labels is None:
            return
        match self.case.label_kind:
            case LabelKind.INTEGER:
                yield list(self._first_class(state))
            case LabelKind.TARGET:
                if self.case.fixed and not np.isin(to_float64(labels), (0.0, 1.0)).all():
                    return
                yield [
                    self._labelled(state, np.full(labels.shape, each)) for each in (0.0, 1.0, 0.5)
                ]
            case LabelKind.DISTRIBUTION:
                if state.parameters.get("log_target"):
                    return
                yield list(self._hard(state))

    def _first_class(self, state: _State) -> Iterator[_State]:
        """The label's class first, the others behind it; or class 0 as the label."""
        assert state.labels is not None
        yield replace(state, labels=np.zeros_like(state.labels))
        own = self._own_class(state)
        if own is None or state.x.ndim == 1:
            return
        others = [k for k in range(state.classes) if k != own]
        swapped = np.arange(state.classes)
        swapped[[0, own]] = swapped[[own, 0]]
        for order in (np.array([own, *others]), swapped):
            parameters = {
                name: value[..., order]
                if isinstance(value, np.ndarray) and value.shape[-1] == state.classes
                else value
                for name, value in state.parameters.items()
            }
            place = np.argsort(order)
            known = (state.labels >= 0) & (state.labels < state.classes)
            labels = np.where(known, place[np.where(known, state.labels, 0)], state.labels)
            yield _State(state.x[:, order], labels, parameters)

    def _hard(self, state: _State) -> Iterator[_State]:
        """One-hot labels, and even ones."""
        assert state.labels is not None
        wide = to_float64(state.labels)
        if self.case.fixed and not np.isin(wide, (0.0, 1.0)).all():
            return
        for hot in range(min(state.classes, 8)):
            onehot = np.zeros(wide.shape)
            onehot[:, hot] = 1.0
            yield self._labelled(state, onehot)
        if not self.case.fixed:
            yield self._labelled(state, np.full(wide.shape, 1.0 / state.classes))

    def _labelled(self, state: _State, labels: Float64Array) -> _State:
        return replace(state, labels=from_float64(labels, self.case.dtype))

    def _whole(self, state: _State) -> Iterator[list[_State]]:
        """Changes of all numbers: rounded together, shifted so that one is 0, equal, in order."""
        if state.x.size > MANY * ROWS:
            return
        wide = to_float64(state.x)
        domain = LOSSES[self.case.loss].domain
        made: list[Float64Array] = [to_digits(wide, digits) for digits in (-1, 0, 1, 2, 3, 4, 6)]
        if domain is not Domain.PROBABILITIES:
            made += [np.zeros(wide.shape)]
        if wide.ndim == 2 and wide.shape[1] > 1:
            with np.errstate(over="ignore", invalid="ignore"):
                if domain is Domain.LOGITS:
                    for column in range(min(wide.shape[1], 8)):
                        shifted = wide - wide[:, column : column + 1]
                        made += [shifted, *(to_digits(shifted, digits) for digits in (-1, 0, 1, 2))]
                        made.append(grown(shifted))
                for column in range(min(wide.shape[1], 8)):
                    for other in (0.0, wide.min(), wide.max()):
                        alone = np.full(wide.shape, other)
                        alone[:, column] = wide[:, column]
                        made.append(alone)
        finite = [self._inside(each) for each in made if not np.isnan(each).any()]
        yield [*(replace(state, x=each) for each in finite), *self._alike(state)]

    def _alike(self, state: _State) -> Iterator[_State]:
        """Rounded labels, and the same distribution as the input: faults at equal distributions."""
        labels, domain = state.labels, LOSSES[self.case.loss].domain
        distributed = "labels" in self.normalised and state.classes > 1
        if labels is None or not distributed or domain is Domain.LOGITS:
            return
        columns = np.arange(state.classes)
        for places in (1, 2, 3, 4):
            rounded_ = to_digits(to_float64(labels), places)
            p = self._completed(from_float64(rounded_, self.case.dtype), columns, 0)
            if domain is Domain.PROBABILITIES:
                yield replace(state, x=p, labels=p)
                continue
            with np.errstate(divide="ignore"):
                yield replace(state, x=self._inside(np.log(to_float64(p))), labels=p)

    def _numbers(self, state: _State) -> Iterator[list[_State]]:
        if state.x.size > MANY:
            return
        yield from self._each(state, state.x, "x")

    def _label_numbers(self, state: _State) -> Iterator[list[_State]]:
        labels = state.labels
        if labels is None or self.case.label_kind is LabelKind.INTEGER or labels.size > MANY:
            return
        yield from self._each(state, labels, "labels")

    def _each(self, state: _State, array: Array, name: str) -> Iterator[list[_State]]:
        """Changes of single numbers of the rows or labels, to simpler ones or to one another."""
        wide = to_float64(array)
        flat = wide.ravel()
        order = np.argsort([-effort(float(v), self.case.dtype) for v in flat], kind="stable")
        for place in order.tolist():
            value = float(flat[place])
            others = [float(each) for each in np.unique(flat) if each != value]
            near = simpler(value, self.case.dtype)
            candidates: list[_State] = []
            for each in dict.fromkeys([*near, *others]):
                changed = flat.copy()
                changed[place] = each
                candidates += self._renewed(state, changed.reshape(wide.shape), place, name)
            yield candidates[:ROWS] if not self.block else candidates

    def _renewed(
        self, state: _State, wide: Float64Array, place: int, name: str
    ) -> Iterator[_State]:
        """The state with other numbers; of distributions, one other number makes up for it."""
        if name == "labels" and state.parameters.get("log_target"):
            if (wide > 0).any():
                return
        elif name == "labels" and ((wide < 0) | (wide > 1)).any():
            return
        if name == "labels" and self.case.fixed and np.isin(wide, (0.0, 1.0)).any():
            hard = state.labels is not None and np.isin(to_float64(state.labels), (0, 1)).all()
            if not (hard and np.isin(wide, (0.0, 1.0)).all()):
                return
        several = [wide]
        if name in self.normalised:
            row, column = divmod(place, wide.shape[1])
            several = []
            for other in range(min(wide.shape[1], 6)):
                if other == column:
                    continue
                made = wide.copy()
                made[row, other] = 0.0
                made[row, other] = 1.0 - made[row].sum()
                if 0.0 <= made[row, other] <= 1.0:
                    several.append(made)
        for each in several:
            if name == "x":
                yield replace(state, x=self._inside(each))
            else:
                yield self._labelled(state, each)

    def _parameter_numbers(self, state: _State) -> Iterator[list[_State]]:
        """Rounder values of parameters, within their range."""
        loss, dtype = LOSSES[self.case.loss], self.case.dtype
        for name, value in state.parameters.items():
            parameter = loss.parameter(name)
            if parameter is None or isinstance(value, str | bool | int):
                continue
            if not isinstance(value, np.ndarray):
                yield [
                    replace(state, parameters={**state.parameters, name: rounded(each, dtype)})
                    for each in simpler(float(value), dtype)
                    if not parameter.out_of_range(each)
                ]
                continue
            if value.size > MANY:
                continue
            wide = to_float64(value)
            made: list[Float64Array] = [np.ones(wide.shape), to_digits(wide, 0), to_digits(wide, 1)]
            for place in range(wide.size):
                for each in simpler(float(wide.flat[place]), dtype)[:12]:
                    changed = wide.copy()
                    changed.flat[place] = each
                    made.append(changed)
            yield [
                replace(state, parameters={**state.parameters, name: from_float64(each, dtype)})
                for each in made
                if not any(parameter.out_of_range(float(v)) for v in each.ravel())
            ]


def _sizes(classes: int) -> list[int]:
    """The class counts to try, the smallest first."""
    few = [1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32, 48]
    size = 64
    while size < classes:
        few.append(size)
        size *= 2
    few += [classes - (classes >> k) for k in range(1, 17)] + [classes - 1]
    return sorted({each for each in few if 0 < each < classes})


def _parameter_key(state: _State) -> str:
    return repr(
        sorted(
            (name, value.tobytes() if isinstance(value, np.ndarray) else value)
            for name, value in state.parameters.items()
            if np.ndim(value) < 2
        )
    ) + repr(sorted(name for name, value in state.parameters.items() if np.ndim(value) == 2))
