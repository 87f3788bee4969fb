"""What comes of a part of a step, and of the whole step."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from xentcheck import sweeps
from xentcheck.measurement import Candidate, Tally
from xentcheck.model import Cell, Finding, Measurement, Skip
from xentcheck.reference import Tier


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """A step's measurements and findings; ``worst`` has each cell's worst row."""

    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    worst: tuple[tuple[Cell, Candidate], ...] = ()
    arbitrated: int = 0
    failures: tuple[str, ...] = ()


@dataclass(slots=True)
class PartResult:
    """What came of a task; its rows are numbered from 0.

    ``found`` counts the rows that were searched for, which are no rows of the sweep's own.
    ``closed``: what the tallies come to, where the task is all of its step.
    """

    rows: int = 0
    found: int = 0
    closed: Closed | None = None
    tallies: dict[Cell, Tally] = field(default_factory=dict)
    yields: sweeps.RowCount = field(default_factory=sweeps.RowCount)
    skips: list[Skip] = field(default_factory=list)
    decided: Counter[Tier] = field(default_factory=Counter)
    sampled: int = 0
    uncertified: list[str] = field(default_factory=list)

    def worst(self) -> Iterator[tuple[Cell, float]]:
        """Each cell's largest finite error in ulps, NaN where there is none."""
        if self.closed is not None:
            yield from ((each.cell, each.max_ulp) for each in self.closed.measurements)
        yield from ((cell, tally.worst) for cell, tally in self.tallies.items())

    def merge(self, other: "PartResult") -> None:
        """Take in what came of the next part of the same step."""
        self.closed = other.closed
        for cell, tally in other.tallies.items():
            self.tallies.setdefault(cell, Tally()).merge(tally, self.rows, self.found)
        self.rows += other.rows
        self.found += other.found
        self.yields.merge(other.yields)
        self.skips += other.skips
        self.decided += other.decided
        self.sampled += other.sampled
        self.uncertified += other.uncertified
