"""Series of calls along one axis: ask at places, then narrow changes to neighbouring places."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import Caller, CallError, unsupported
from xentcheck.floats import to_float64
from xentcheck.model import Array, Case, Kind, rank
from xentcheck.model.grades import Grade
from xentcheck.reference import Reference, Tier
from xentcheck.searching.axes import Axis, Setting
from xentcheck.searching.grading_of_rows import Symptom, exact_numbers, row_grades

ROUNDS = 80  # largest number of rounds of narrowing
COMPONENTS = 4  # components of a result that a point keeps

Tell: TypeAlias = Callable[[str], None]
Test: TypeAlias = "Callable[[Point], bool]"


@dataclass(frozen=True, slots=True)
class Point:
    """What an implementation returned at one place of an axis.

    If a place has several rows, it has the grade and the errors of the worst, and the numbers of
    the first.

    Attributes:
        place: the place.
        rank: position of the grade in `GRADES`.
        symptom: what a broken row shows.
        ulp_error: largest finite error in ulps; NaN: there is none.
        abs_error: largest finite absolute error; NaN likewise.
        actual: the first components of the result.
        exact: those of the exact result, in float64.
        result_dtype: the dtype of the result, by name.
    """

    place: int
    rank: int
    symptom: Symptom
    ulp_error: float
    abs_error: float
    actual: tuple[float, ...]
    exact: tuple[float, ...]
    result_dtype: str

    @property
    def broken(self) -> bool:
        """Whether the grade is the worst."""
        return self.rank == rank(Grade.BROKEN)


@dataclass(slots=True)
class Budget:
    """Calls of an implementation: how many may be made, and how many were."""

    most: int
    made: int = 0

    @property
    def spent(self) -> bool:
        """Whether no call is left."""
        return self.made >= self.most


@dataclass(slots=True, eq=False)
class Series:
    """The points of one axis that are known.

    Attributes:
        setting: what is asked.
        axis: the axis.
        budget: the calls that are left.
        tell: gets the implementation's name before a call, and "" after it.
        points: the points by place.
        certain: places whose grade the arbiter confirmed.
        ended: why the series ended before its end; "" if it did not.
        gone: the implementation crashed or timed out; it is not called any more.
        failed: the kind of a call without a result; None: there was none.
    """

    setting: Setting
    axis: Axis
    budget: Budget
    tell: Tell
    points: dict[int, Point] = field(default_factory=dict)
    certain: set[int] = field(default_factory=set)
    ended: str = ""
    gone: bool = False
    failed: Kind | None = None

    @property
    def ordered(self) -> list[Point]:
        """The points in ascending order."""
        return [self.points[place] for place in sorted(self.points)]

    def scan(self) -> None:
        """Ask at the places of the axis that are to be tried first."""
        reason = unsupported(self.setting.implementation, self.axis.make(self.axis.scan[:1]))
        if reason:
            self.ended = reason
            return
        self.ask(self.axis.scan)

    def ask(self, places: Sequence[int]) -> None:
        """Ask at places that are not known yet, until the series ends."""
        new = [place for place in dict.fromkeys(places) if place not in self.points]
        for some, case, results in self._calls(new):
            try:
                truth = Reference(case)
                self._take(some, case, results, truth)
            except UncertifiedError as error:
                self.ended = str(error)
                return

    def certify(self, places: Sequence[int]) -> bool:
        """Grade places again by the arbiter. Returns whether a grade changed."""
        open_ = [place for place in dict.fromkeys(places) if place not in self.certain]
        changed = False
        for some, whole, padded in self._calls(open_):
            case, results = whole, padded
            if self.axis.together > 1:
                case, results = whole.part(np.arange(len(some))), padded[: len(some)]
            before = {place: self.points[place].rank for place in some}
            try:
                truth = Reference(case, tiers=(Tier.MPMATH,))
                self._take(some, case, results, truth)
            except UncertifiedError as error:
                self.ended = str(error)
                break
            self.certain.update(some)
            changed |= any(self.points[place].rank != before[place] for place in some)
        return changed

    def _calls(self, places: Sequence[int]) -> Iterator[tuple[Sequence[int], Case, Array]]:
        """The places of each call, its case and its results, until the series ends."""
        size = self.axis.together
        for start in range(0, len(places), size):
            some = places[start : start + size]
            called = self._called(some)
            if called is None:
                return
            yield some, *called

    def _called(self, places: Sequence[int]) -> tuple[Case, Array] | None:
        """The case of some places, padded to the size of a block, and its results.

        None if the series has ended.
        """
        if self.ended:
            return None
        if self.budget.spent:
            self.ended = f"the budget of {self.budget.most:,} calls was spent"
            return None
        short = self.axis.together - len(places)
        case = self.axis.make([*places, *[places[-1]] * short])
        implementation = self.setting.implementation
        self.budget.made += 1
        self.tell(implementation.name)
        try:
            return case, Caller(implementation, case, self.setting.quantity).call()
        except UnsupportedError as error:
            self.ended = str(error)
        except CallError as error:
            self.failed = error.kind
            self.gone = error.kind in (Kind.CRASHED, Kind.TIMED_OUT)
            first, last = (self.axis.number(each) for each in (min(places), max(places)))
            where = f"at {first:g}" if first == last else f"between {first:g} and {last:g}"
            self.ended = f"{error.kind} {where}: {error}"
        finally:
            self.tell("")
        return None

    def _take(self, places: Sequence[int], case: Case, results: Array, truth: Reference) -> None:
        quantity = self.setting.quantity
        grades = row_grades(case, results, truth, quantity)
        rows = len(grades.ranks)
        actual = to_float64(results).reshape(rows, -1)[:, :COMPONENTS].tolist()
        exact = exact_numbers(truth, quantity).reshape(rows, -1)[:, :COMPONENTS].tolist()
        dtype = str(results.dtype)
        if self.axis.together == 1:
            worst = int(np.argmin(grades.ranks))
            picked = [(places[0], worst, 0)]
            errors = (_most(grades.ulp_error), _most(grades.abs_error))
        else:
            picked = [(place, row, row) for row, place in enumerate(places)]
        for place, row, shown in picked:
            if self.axis.together > 1:
                errors = (float(grades.ulp_error[row]), float(grades.abs_error[row]))
            self.points[place] = Point(
                place,
                int(grades.ranks[row]),
                grades.symptoms[row],
                *errors,
                tuple(actual[shown]),
                tuple(exact[shown]),
                dtype,
            )


def _most(errors: npt.NDArray[np.float64]) -> float:
    known = errors[~np.isnan(errors)]
    return float(known.max()) if len(known) else float("nan")


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of an axis where every known point passes a test.

    Attributes:
        first: its first place.
        last: its last place.
        before: the place before it, where the test fails; None: the axis begins there.
        after: the place after it, where the test fails; None: the axis ends there.
        points: number of points of the scan on it.
    """

    first: int
    last: int
    before: int | None
    after: int | None
    points: int

    @property
    def whole(self) -> bool:
        """Whether it is the whole axis."""
        return self.before is None and self.after is None

    @property
    def ends(self) -> tuple[int, ...]:
        """Its ends, and the places beyond them."""
        known = (self.first, self.last, self.before, self.after)
        return tuple(place for place in known if place is not None)

    @property
    def narrow(self) -> bool:
        """Whether its ends are known to the neighbouring place."""
        left = self.before is None or self.first - self.before == 1
        return left and (self.after is None or self.after - self.last == 1)


def spans_of(points: Sequence[Point], test: Test) -> list[Span]:
    """The stretches of ascending points that pass a test."""
    found: list[Span] = []
    start: int | None = None
    for k, point in enumerate((*points, None)):
        passes = point is not None and test(point)
        if passes and start is None:
            start = k
        elif not passes and start is not None:
            before = points[start - 1].place if start else None
            after = None if point is None else point.place
            found.append(Span(points[start].place, points[k - 1].place, before, after, k - start))
            start = None
    return found


def narrowed(
    series: Series, wanted: Mapping[str, tuple[Test, Sequence[Span]]]
) -> dict[str, list[Span]]:
    """Narrow the ends of stretches to neighbouring places, all together.

    On the way every stretch is asked at further places near its ends. If the test fails at one of
    them, the stretch ends before it.

    Args:
        series: the points that are known.
        wanted: tests by name, and the stretches that pass them.

    Returns:
        The stretches by name. Where the series ended, an end may be farther than one place.
    """
    ends = [
        _End(name, k, test, *pair)
        for name, (test, spans) in wanted.items()
        for k, span in enumerate(spans)
        for pair in _pairs(span)
    ]
    for _ in range(ROUNDS):
        open_ = [each for each in ends if abs(each.fails - each.holds) > 1]
        if not open_ or series.ended:
            break
        share = max(1, series.axis.together // len({each.ends for each in open_}))
        asked = {each.ends: between(*each.ends, share) for each in open_}
        series.ask([place for some in asked.values() for place in some])
        for each in open_:
            each.move([series.points[p] for p in asked[each.ends] if p in series.points])
    result: dict[str, list[Span]] = {}
    for name, (_, spans) in wanted.items():
        moved = []
        for k, span in enumerate(spans):
            first, before, last, after = span.first, span.before, span.last, span.after
            for end in ends:
                if (end.name, end.span) != (name, k):
                    continue
                if end.fails < end.holds:
                    first, before = end.holds, end.fails
                else:
                    last, after = end.holds, end.fails
            moved.append(Span(first, last, before, after, span.points))
        result[name] = moved
    return result


@dataclass(slots=True)
class _End:
    """One end of a stretch: the last known place where the test holds, and one where it fails."""

    name: str
    span: int
    test: Test
    holds: int
    fails: int

    @property
    def ends(self) -> tuple[int, int]:
        return (min(self.holds, self.fails), max(self.holds, self.fails))

    def move(self, points: Sequence[Point]) -> None:
        """Move to the first change among points in between, as seen from the stretch."""
        outwards = points if self.fails > self.holds else points[::-1]
        for point in outwards:
            if not self.test(point):
                self.fails = point.place
                return
            self.holds = point.place


def _pairs(span: Span) -> list[tuple[int, int]]:
    pairs = [(span.first, span.before), (span.last, span.after)]
    return [(holds, fails) for holds, fails in pairs if fails is not None]


def between(low: int, high: int, count: int) -> list[int]:
    """Up to ``count`` evenly spaced places strictly between two."""
    count = min(count, high - low - 1)
    return [low + (high - low) * k // (count + 1) for k in range(1, count + 1)]
