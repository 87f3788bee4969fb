"""Results of some parts of a step, and of the whole step."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from xentcheck import sweeps
from xentcheck.measurement import Candidate, ContestTally, FailingRows, Tally
from xentcheck.model import Cell, Contest, Finding, Measurement, Skip
from xentcheck.reference import Tier


@dataclass(frozen=True, slots=True, eq=False)
class Closed:
    """The measurements and findings of a step.

    Attributes:
        measurements: one per cell.
        findings: the findings of all cells.
        worst: the worst row of each cell.
        arbitrated: number of results that the arbiter computed.
        failures: messages about results that the arbiter cannot decide or scores differently.
        failing: failing rows of the cells that have some, for the diagnosis.
        contests: one per cell and peer.
    """

    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    worst: tuple[tuple[Cell, Candidate], ...] = ()
    arbitrated: int = 0
    failures: tuple[str, ...] = ()
    failing: tuple[tuple[Cell, FailingRows], ...] = ()
    contests: tuple[Contest, ...] = ()


@dataclass(slots=True)
class PartResult:
    """The result of a task. Its rows are numbered from 0.

    Attributes:
        rows: number of rows of the sweep.
        found: number of rows that searches found. They are not rows of the sweep.
        closed: measurements and findings, if the task is the whole step.
        tallies: tallies by cell; empty if ``closed`` is there.
        contests: tallies by cell and peer; likewise.
        yields: number of rows, and of distinct ones, by generator.
        skips: what was not audited.
        decided: number of rows by the tier that decided them.
        sampled: number of rows that the arbiter re-checked.
        uncertified: messages about exact results that cannot be certified.
    """

    rows: int = 0
    found: int = 0
    closed: Closed | None = None
    tallies: dict[Cell, Tally] = field(default_factory=dict)
    contests: dict[tuple[Cell, str], ContestTally] = field(default_factory=dict)
    yields: sweeps.RowCount = field(default_factory=sweeps.RowCount)
    skips: list[Skip] = field(default_factory=list)
    decided: Counter[Tier] = field(default_factory=Counter)
    sampled: int = 0
    uncertified: list[str] = field(default_factory=list)

    def worst(self) -> Iterator[tuple[Cell, float]]:
        """The largest finite error of each cell in ulps; NaN if there is none."""
        if self.closed is not None:
            yield from ((each.cell, each.max_ulp) for each in self.closed.measurements)
        yield from ((cell, tally.worst) for cell, tally in self.tallies.items())

    def merge(self, other: "PartResult") -> None:
        """Add the result of the next parts of the same step."""
        self.closed = other.closed
        for cell, tally in other.tallies.items():
            self.tallies.setdefault(cell, Tally()).merge(tally, self.rows, self.found)
        for pair, contest in other.contests.items():
            known = self.contests.setdefault(pair, ContestTally())
            known.merge(contest, self.rows, self.found)
        self.rows += other.rows
        self.found += other.found
        self.yields.merge(other.yields)
        self.skips += other.skips
        self.decided += other.decided
        self.sampled += other.sampled
        self.uncertified += other.uncertified
