"""Finds plateaus: one result for many different exact results, such as the ceiling of a clip.

Which rows are on a plateau is known only at the end. So rows that may be on one are grouped by
their result, in bounded memory.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from xentcheck.measurement.candidate import Candidate, badness, moved
from xentcheck.measurement.needs import Need, merge_needs
from xentcheck.model import Float64Array, Kind

PLATEAU_ROWS = 3
"""Minimum number of different exact values that have the same result on a plateau."""

SMALLEST_PART = 8
"""Exact values that span less than the height over this are near zero or near each other."""

CLIPPED = (Kind.MISSED_OVERFLOW, Kind.INACCURATE)
"""Kinds that rows on a plateau have before the plateau is known."""

MANY_HEIGHTS = 64
"""If one part has more different results than this, only the frequent ones may be plateaus."""

MOST_HEIGHTS = 1024
"""Maximum number of results that are watched as possible plateaus. The rarest are dropped first."""


@dataclass(frozen=True, slots=True)
class Height:
    """Rows that have one result, the height, and may be on a plateau.

    Attributes:
        counts: number of rows by kind.
        exact: up to `PLATEAU_ROWS` different exact values.
        lowest: the smallest exact value.
        highest: the largest exact value.
        nearest: the exact value nearest to the height.
        best: the worst row of each kind, as a candidate for its witness.
        farthest: the row with the exact value farthest from the height.
        distance: the distance of that exact value from the height.
        needs: the bounds at which the rows would not be at fault, by kind.
    """

    counts: Mapping[Kind, int]
    exact: frozenset[float]
    lowest: float
    highest: float
    nearest: float
    best: Mapping[Kind, Candidate]
    farthest: Candidate
    distance: float
    needs: Mapping[Kind, Need] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """The number of rows with this result."""
        return sum(self.counts.values())

    def with_(self, other: "Height", height: float) -> "Height":
        """These rows and other ones with the same result."""
        best = dict(self.best)
        for kind, shown in other.best.items():
            if kind not in best or badness(shown) > badness(best[kind]):
                best[kind] = shown
        mine = (self.distance, badness(self.farthest))
        needs = dict(self.needs)
        merge_needs(needs, other.needs)
        farther = (other.distance, badness(other.farthest)) > mine
        return Height(
            counts=Counter(self.counts) + Counter(other.counts),
            exact=frozenset(sorted(self.exact | other.exact)[:PLATEAU_ROWS]),
            lowest=min(self.lowest, other.lowest),
            highest=max(self.highest, other.highest),
            nearest=min(self.nearest, other.nearest, key=lambda each: abs(each - height)),
            best=best,
            farthest=other.farthest if farther else self.farthest,
            distance=other.distance if farther else self.distance,
            needs=needs,
        )

    def moved(self, offset: int, more: int = 0) -> "Height":
        """A copy with later row numbers: ``offset`` rows, or ``more`` found ones, come before."""
        return replace(
            self,
            best={kind: moved(shown, offset, more) for kind, shown in self.best.items()},
            farthest=moved(self.farthest, offset, more),
        )

    def is_plateau(self, height: float, least: float) -> bool:
        """Whether the exact values differ by a factor of two or more, and lie on one side.

        On both sides of the height they would show coarse rounding, not a ceiling or a floor.
        Exact values close to zero, compared with the height, may also be rounded in coarse steps.
        Then it is a floor only if no result but 0 is smaller.

        Args:
            height: the result.
            least: the smallest magnitude of the cell's nonzero results.
        """
        if height == 0 or len(self.exact) < PLATEAU_ROWS:
            return False
        span = self.highest - self.lowest
        if span < abs(height) / SMALLEST_PART and least < abs(height):
            return False
        one_side = self.lowest >= height or self.highest <= height
        ends = sorted((abs(self.lowest), abs(self.highest)))
        crosses = self.lowest <= 0 <= self.highest
        return one_side and (crosses or ends[1] >= 2.0 * ends[0])


@dataclass(slots=True, eq=False)
class Heights:
    """The results that are watched, with their rows."""

    known: dict[float, Height] = field(default_factory=dict)

    def wanted(self, actual: Float64Array) -> list[float]:
        """The results to watch: all if they are few, otherwise the known and the frequent ones."""
        ordered = np.sort(actual)
        ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
        heights, counts = ordered[ends], np.diff(ends, prepend=-1)
        if len(heights) <= MANY_HEIGHTS:
            return [float(each) for each in heights]
        often = np.flatnonzero(counts >= PLATEAU_ROWS)
        often = often[np.argsort(-counts[often], kind="stable")][:MANY_HEIGHTS]
        known = [float(each) for each in heights if float(each) in self.known]
        return list(dict.fromkeys([*heights[often].tolist(), *known]))

    def watch(self, height: float, found: Height) -> None:
        """Add rows that have one result."""
        known = self.known.get(height)
        self.known[height] = found if known is None else known.with_(found, height)

    def forgotten(self) -> list[Height]:
        """Drop the rarest results if there are too many. Dropped ones do not count as plateaus."""
        dropped = []
        while len(self.known) > MOST_HEIGHTS:
            least = min(self.known, key=lambda each: (self.known[each].rows, each))
            dropped.append(self.known.pop(least))
        return dropped
