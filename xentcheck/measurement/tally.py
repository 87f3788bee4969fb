"""What is collected of one cell while its cases go by, and what comes of it.

A row's error is that of its worst component, its kind the gravest of its components'. The witness
of a kind is the row with the largest error; among rows without one, the row with fewest classes.
The witness of a cell is the worst of all: a fault without a finite error, else the largest error.

Results are scored against the lowest tier; rows that it leaves undecided are scored again by the
next. What is shown at the end is scored by the arbiter, and has to come out as the same kind.
Memory does not grow with the number of rows, and tallies of parts of a sweep can be merged.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.execution import Incident
from xentcheck.measurement.candidate import Candidate, alone, badness, moved
from xentcheck.measurement.flushing import Flushing
from xentcheck.measurement.plateaus import Heights
from xentcheck.measurement.quantiles import Quantiles
from xentcheck.model import Case, Kind


@dataclass(slots=True, eq=False)
class Tally:
    """What is collected of one cell while its cases go by.

    ``shown`` has the witness of each kind, and under None that of the cell. ``heights`` watches
    results that may be plateaus, ``flushing`` those that may be flushed (`Kind.FTZ`, until it is
    closed). ``leaders`` has the largest finite error of short finite rows, by their class count and
    generator, where somebody wants to go on from them; merging drops them.
    """

    rows: int = 0
    ulps: Quantiles = field(default_factory=Quantiles)
    max_abs: float = 0.0
    max_excess_bits: float | None = None
    far: int = 0  # rows whose finite error is beyond the tolerance's p99_ulp
    counts: Counter[Kind] = field(default_factory=Counter)
    shown: dict[Kind | None, Candidate] = field(default_factory=dict)
    largest: Candidate | None = None  # the largest finite error
    normal: Candidate | None = None  # the largest one of a result that flushing does not explain
    most_excess: Candidate | None = None  # the most excess bits, if there are any
    first: Candidate | None = None  # the first row with a fault
    heights: Heights = field(default_factory=Heights)
    flushing: Flushing = field(default_factory=Flushing)
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    incident_rows: Counter[Kind] = field(default_factory=Counter)
    incident_cases: dict[Kind, Candidate] = field(default_factory=dict)
    ways: dict[Kind, dict[str, None]] = field(default_factory=dict)  # all `Incident.ways`
    result_dtype: str = ""
    negative_zeros: int = 0
    smallest: float = np.inf  # the smallest result but 0, in magnitude
    leaders: dict[tuple[int, str], Candidate] | None = None

    @property
    def worst(self) -> float:
        """The largest finite error so far in ulps; NaN when there is none."""
        return self.ulps.largest

    def merge(self, other: "Tally", offset: int, found: int = 0) -> None:
        """Take in the tally of later cases, whose rows are numbered from ``offset``.

        Those that were searched for are numbered from ``found``.
        """
        self.rows += other.rows
        self.ulps.merge(other.ulps)
        self.max_abs = max(self.max_abs, other.max_abs)
        if other.max_excess_bits is not None:
            if other.most_excess and other.max_excess_bits > (self.max_excess_bits or 0.0):
                self.most_excess = moved(other.most_excess, offset, found)
            self.max_excess_bits = max(self.max_excess_bits or 0.0, other.max_excess_bits)
        self.far += other.far
        self.counts += other.counts
        for kind, shown in other.shown.items():
            offer(self, kind, moved(shown, offset, found))
        same = self.normal is self.largest and other.normal is other.largest
        self.largest = _larger(self.largest, other.largest, offset, found)
        self.normal = self.largest if same else _larger(self.normal, other.normal, offset, found)
        if other.first is not None:
            first = moved(other.first, offset, found)
            if self.first is None or first.place < self.first.place:
                self.first = first
        for height, seen in other.heights.known.items():
            self.heights.watch(height, seen.moved(offset, found))
        forget_heights(self)
        self.flushing.merge(other.flushing, offset, found)
        for name, incident in other.incidents.items():
            known = self.incidents.get(name)
            if known is None or incident.distance > known.distance:
                self.incidents[name] = incident
                self.incident_cases[name] = moved(other.incident_cases[name], offset, found)
        self.incident_rows += other.incident_rows
        for kind, ways in other.ways.items():
            self.ways.setdefault(kind, {}).update(ways)
        self.result_dtype = other.result_dtype or self.result_dtype
        self.negative_zeros += other.negative_zeros
        self.smallest = min(self.smallest, other.smallest)


def place_found(collected: Tally, rows: int) -> None:
    """Number what was found after the rows of the sweep's own, of which there are so many."""
    moves: dict[int, Candidate] = {}

    def placed(shown: Candidate) -> Candidate:
        return moves.setdefault(id(shown), moved(shown, 0, rows))

    collected.shown = {kind: placed(shown) for kind, shown in collected.shown.items()}
    collected.incident_cases = {
        kind: placed(shown) for kind, shown in collected.incident_cases.items()
    }
    known: list[tuple[Any, str]] = [
        (collected, name) for name in ("largest", "normal", "most_excess", "first")
    ]
    for doubtful in (collected.flushing.zeros, collected.flushing.partial):
        known += [(doubtful, name) for name in ("worst", "first")]
    for holder, name in known:
        shown = getattr(holder, name)
        if shown is not None:
            setattr(holder, name, placed(shown))
    for height, found in collected.heights.known.items():
        collected.heights.known[height] = found.moved(0, rows)


def _larger(
    mine: Candidate | None, theirs: Candidate | None, offset: int, found: int
) -> Candidate | None:
    """The larger of two errors, mine where they are equal; theirs is of later rows."""
    if theirs is None or (mine is not None and mine.ulp_error >= theirs.ulp_error):
        return mine
    return moved(theirs, offset, found)


def note(collected: Tally, incident: Incident, case: Case) -> None:
    """Count an incident on a case; the one with the largest distance is kept to be shown."""
    kind = incident.kind
    rows = len(incident.rows) or case.rows
    collected.incident_rows[kind] += rows
    if incident.ways:
        collected.ways.setdefault(kind, {}).update(dict.fromkeys(incident.ways))
    known = collected.incidents.get(kind)
    if known is None or incident.distance > known.distance:
        row = incident.rows[0] if incident.rows else 0
        collected.incidents[kind] = replace(incident, rows=())
        single, own = alone(case, row)
        collected.incident_cases[kind] = Candidate(
            single, own, case.start + row, None, np.nan, "", kind, np.nan, np.nan
        )


def offer(collected: Tally, kind: Kind | None, shown: Candidate) -> None:
    """Take a witness if it is worse than the one held: larger error, then fewer classes."""
    held = collected.shown.get(kind)
    if held is None or badness(shown) > badness(held):
        collected.shown[kind] = shown


def forget_heights(collected: Tally) -> None:
    for found in collected.heights.forgotten():
        for kind, shown in found.best.items():
            offer(collected, kind, shown)
