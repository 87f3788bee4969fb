"""Timing by turns: A, B, A, B, …, so that what slows the machine down slows both of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

LEAST_SECONDS = 0.02
"""A repetition takes at least so long: shorter work is done several times within it."""

Clock = Callable[[], float]
"""Does its work once, and returns the seconds that count."""


@dataclass(frozen=True, slots=True)
class Work:
    """What is timed: so many of ``unit`` at every call of the clock."""

    name: str
    clock: Clock
    amount: float = 1.0
    unit: str = "run"


@dataclass(frozen=True, slots=True)
class Times:
    """The seconds of every repetition of some work."""

    name: str
    amount: float
    unit: str
    seconds: tuple[float, ...]

    @property
    def each(self) -> tuple[float, ...]:
        """Seconds per unit, by repetition."""
        return tuple(seconds / self.amount for seconds in self.seconds)

    @property
    def median(self) -> float:
        """Seconds per unit."""
        return statistics.median(self.each)


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure, and the least and the largest of its repetitions."""

    median: float
    low: float
    high: float


def clocked(work: Callable[[], object]) -> Clock:
    """A clock of one call."""

    def clock() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return clock


def steady(work: Callable[[], object]) -> Clock:
    """A clock of short work: the mean of as many calls as fill `LEAST_SECONDS`.

    The work is done once right here, which is not timed, and once to learn how long it takes.
    """
    work()
    calls = max(1, round(LEAST_SECONDS / max(clocked(work)(), 1e-9)))

    def clock() -> float:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        return (time.perf_counter() - start) / calls

    return clock


def by_turns(works: Sequence[Work], repetitions: int) -> tuple[Times, ...]:
    """Time every work once, then every one again, and so on."""
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(repetitions):
        for place, work in enumerate(works):
            seconds[place].append(work.clock())
    return tuple(
        Times(work.name, work.amount, work.unit, tuple(taken))
        for work, taken in zip(works, seconds, strict=True)
    )


def ratio(one: Times, other: Times) -> Spread:
    """How many times the other's time per unit the one takes.

    The median is that of medians; the spread is over repetitions that stood side by side.
    """
    pairs = [a / b for a, b in zip(one.each, other.each, strict=True)]
    return Spread(one.median / other.median, min(pairs), max(pairs))


def difference(one: Times, other: Times) -> Spread:
    """How many seconds per unit the one takes more than the other; medians as in `ratio`."""
    pairs = [a - b for a, b in zip(one.each, other.each, strict=True)]
    return Spread(one.median - other.median, min(pairs), max(pairs))


def rate(times: Times) -> Spread:
    """Units a second."""
    rates = [1.0 / each for each in times.each]
    return Spread(1.0 / times.median, min(rates), max(rates))
