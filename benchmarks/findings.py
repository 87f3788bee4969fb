"""What a subject hands back: figures with their targets, and every raw time."""

from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.timing import Spread, Times


@dataclass(frozen=True, slots=True)
class Target:
    """A bound that a figure is meant to keep: at most, or at least."""

    bound: float
    at_most: bool

    def met_by(self, value: float) -> bool:
        """Whether a figure keeps it; NaN never does."""
        return value <= self.bound if self.at_most else value >= self.bound


def at_most(bound: float) -> Target:
    """A target that is an upper bound."""
    return Target(bound, at_most=True)


def at_least(bound: float) -> Target:
    """A target that is a lower bound."""
    return Target(bound, at_most=False)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line: of what, a number and what it counts, its spread where it was repeated.

    ``place`` is what it has in common with its neighbours, ``name`` what it has not ("": nothing).
    ``unit`` begins with ``×`` for a ratio, and says of what.
    """

    place: str
    name: str
    unit: str
    value: float
    low: float | None = None
    high: float | None = None
    target: Target | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without one."""
        return None if self.target is None else self.target.met_by(self.value)


def figure(
    place: str, name: str, unit: str, spread: Spread, target: Target | None = None
) -> Figure:
    """A figure that was repeated."""
    return Figure(place, name, unit, spread.median, spread.low, spread.high, target)


@dataclass(slots=True)
class Findings:
    """What came of one subject; it grows while the subject runs.

    ``missing`` names the peers that are not installed, ``notes`` what one has to know to read the
    figures, ``failure`` the error that ended it early. ``measured`` has raw numbers that are no
    times.
    """

    figures: list[Figure] = field(default_factory=list)
    times: list[Times] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    measured: dict[str, float] = field(default_factory=dict)
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a subject is to be measured.

    ``quick``: smaller inputs. ``asked``: a number of repetitions that overrides the subject's own.
    ``say`` takes a line about what is being done.
    """

    quick: bool
    asked: int | None
    say: Callable[[str], None]

    def repetitions(self, full: int, quick: int) -> int:
        """How often, unless it was asked for otherwise."""
        return self.asked or (quick if self.quick else full)


class BenchmarkError(Exception):
    """Something that has to hold for the figures to mean anything does not."""
