"""Results that come back for many different exact ones: a clip's ceiling or floor.

Which rows stand on a plateau is known only at the end, so rows that may are watched by the value
that came back, in bounded memory.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from xentcheck.measurement.candidate import Candidate, badness, moved
from xentcheck.model import Float64Array, Kind

PLATEAU_ROWS = 3
"""So many different exact values must come out as one before that counts as a plateau."""

SMALLEST_PART = 8
"""Exact values that span less than the height over this lie next to zero, or to each other."""

CLIPPED = (Kind.MISSED_OVERFLOW, Kind.INACCURATE)
"""What rows on a plateau are found as, one by one."""

MANY_HEIGHTS = 64
"""Of so many different results in one part, only those that come back often may be plateaus."""

MOST_HEIGHTS = 1024
"""So many results are watched as possible plateaus; those seen least are dropped first."""


@dataclass(frozen=True, slots=True)
class Height:
    """Rows that came back as one value, and may stand on a plateau.

    ``exact`` holds up to `PLATEAU_ROWS` different exact values; ``lowest``, ``highest`` and
    ``nearest`` (to the height) are over all; ``best`` has the worst row of each kind, ``farthest``
    the row whose exact value is farthest from the height.
    """

    counts: Mapping[Kind, int]
    exact: frozenset[float]
    lowest: float
    highest: float
    nearest: float
    best: Mapping[Kind, Candidate]
    farthest: Candidate
    distance: float

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    def with_(self, other: "Height", height: float) -> "Height":
        best = dict(self.best)
        for kind, shown in other.best.items():
            if kind not in best or badness(shown) > badness(best[kind]):
                best[kind] = shown
        mine = (self.distance, badness(self.farthest))
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
        )

    def moved(self, offset: int, more: int = 0) -> "Height":
        """The same in a sweep with ``offset`` more rows, or ``more`` found, before it."""
        return replace(
            self,
            best={kind: moved(shown, offset, more) for kind, shown in self.best.items()},
            farthest=moved(self.farthest, offset, more),
        )

    def is_plateau(self, height: float, least: float) -> bool:
        """Whether one result stands for exact ones that differ by a factor of two or more.

        All of them must lie on the same side of it: a ceiling or a floor, not coarse rounding.
        Exact values next to zero, beside which the height is large, come in steps too: a floor has
        no result below it but 0. ``least`` is the smallest of the others, in magnitude.
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
    """The results that are watched, and the rows they came back for."""

    known: dict[float, Height] = field(default_factory=dict)

    def wanted(self, actual: Float64Array) -> list[float]:
        """The results to watch: all when they are few, else those known or seen often enough."""
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
        """Take in rows that came back as one value."""
        known = self.known.get(height)
        self.known[height] = found if known is None else known.with_(found, height)

    def forgotten(self) -> list[Height]:
        """Drop the results seen least, when there are too many; they count as no plateau."""
        dropped = []
        while len(self.known) > MOST_HEIGHTS:
            least = min(self.known, key=lambda each: (self.known[each].rows, each))
            dropped.append(self.known.pop(least))
        return dropped
