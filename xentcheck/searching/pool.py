"""The worst rows that a search knows, kept apart by class count and parameters."""

from dataclasses import dataclass, field

import numpy as np

from xentcheck.model import Case, Float64Array
from xentcheck.searching.climbing import fittest
from xentcheck.searching.space import Setting
from xentcheck.searching.trials import joined

KEPT = 12  # rows of each island
MOST_CLASSES = 160  # of islands that strategies go on from


def key_of(case: Case, setting: Setting) -> tuple[int, str]:
    """What rows have in common that can be in one call: the class count and the parameters."""
    return case.classes, repr(sorted(setting.items()))


@dataclass(frozen=True, slots=True, eq=False)
class Island:
    """Rows with one class count and one setting, the worst first.

    Attributes:
        setting: the parameters.
        people: the rows.
        worth: (rows,), how bad they are.
    """

    setting: Setting
    people: Case
    worth: Float64Array

    @property
    def worst(self) -> float:
        """How bad its worst row is."""
        return float(self.worth[0])


@dataclass(slots=True, eq=False)
class Pool:
    """The worst rows of every island; strategies share it."""

    islands: dict[tuple[int, str], Island] = field(default_factory=dict)

    def add(self, case: Case, setting: Setting, worth: Float64Array) -> None:
        """Keep the worst of these rows. Rows without a finite error are not kept."""
        good = np.flatnonzero(worth > 0)
        if not len(good):
            return
        key = key_of(case, setting)
        known = self.islands.get(key)
        if known is not None:
            if len(known.worth) >= KEPT:
                good = good[worth[good] > known.worth[-1]]
            if not len(good):
                return
        people, own = case.part(good), worth[good]
        if known is not None:
            people, own = joined(known.people, people), np.concatenate([known.worth, own])
        people, own, _ = fittest(people, own, own, KEPT)
        self.islands[key] = Island(setting, people, own)

    def ranked(self) -> list[Island]:
        """The islands, the one with the worst row first."""
        return sorted(self.islands.values(), key=lambda each: -each.worst)

    def drawn(self, rng: np.random.Generator) -> Island | None:
        """An island; those with the worst rows are drawn more often. None if there is none.

        Islands of many classes are left out: each of their calls takes as long as many others.
        """
        ranked = [each for each in self.ranked() if each.people.classes <= MOST_CLASSES]
        return ranked[int(len(ranked) * rng.random() ** 2)] if ranked else None
