"""Running totals of one cell, updated case by case.

The error of a row is the error of its worst component. The kind of a row is the gravest kind of its
components. The witness of a kind is the row with the largest error; among rows without a finite
error, it is the row with the fewest classes. The witness of a cell is the worst row: one with a
fault without a finite error, otherwise the one with the largest error.

Results are scored with the lowest tier. Rows that it leaves undecided are scored again with the
next. Witnesses are scored by the arbiter at the end, which has to find the same kind. Memory does
not grow with the number of rows, and tallies of parts of a sweep can be merged.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.execution import Incident
from xentcheck.measurement.candidate import Candidate, alone, badness, moved
from xentcheck.measurement.failing import FailingRows
from xentcheck.measurement.flushing import Flushing
from xentcheck.measurement.grading import Grading
from xentcheck.measurement.needs import Needs, merge_needs
from xentcheck.measurement.plateaus import Heights
from xentcheck.measurement.profiles import Profiles
from xentcheck.measurement.quantiles import Quantiles
from xentcheck.model import Case, Kind


@dataclass(slots=True, eq=False)
class Tally:
    """Running totals of one cell, updated case by case.

    ``shown`` has the candidate for the witness of each kind; the one under None is for the cell.
    ``heights`` watches results that may be plateaus. ``flushing`` watches results that may be
    flushed; they count as `Kind.FTZ` until the cell is closed. ``leaders`` has the row with the
    largest finite error for each class count and generator, among short finite rows; searches start
    from them. It is None without a search, and merging drops it. ``failing`` has rows for the
    diagnosis; None without one.
    """

    rows: int = 0
    ulps: Quantiles = field(default_factory=Quantiles)
    max_abs: float = 0.0
    max_excess_bits: float | None = None
    over_condition: float = 0.0  # the largest error in ulps over its condition number
    far: int = 0  # rows whose finite error is beyond the tolerance's p99_ulp
    counts: Counter[Kind] = field(default_factory=Counter)
    shown: dict[Kind | None, Candidate] = field(default_factory=dict)
    largest: Candidate | None = None  # the largest finite error
    normal: Candidate | None = None  # the largest one that flushing does not explain
    most_excess: Candidate | None = None  # the most excess bits, if any
    first: Candidate | None = None  # the first row with a fault
    grading: Grading = field(default_factory=Grading)
    heights: Heights = field(default_factory=Heights)
    flushing: Flushing = field(default_factory=Flushing)
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    incident_rows: Counter[Kind] = field(default_factory=Counter)
    incident_cases: dict[Kind, Candidate] = field(default_factory=dict)
    ways: dict[Kind, dict[str, None]] = field(default_factory=dict)  # all `Incident.ways`
    result_dtype: str = ""
    negative_zeros: int = 0
    smallest: float = np.inf  # the smallest magnitude of a nonzero result
    leaders: dict[tuple[int, str], Candidate] | None = None
    failing: FailingRows | None = None
    needs: Needs = field(default_factory=dict)  # what the rows of each kind need to pass
    profiles: Profiles = field(default_factory=Profiles)

    @property
    def worst(self) -> float:
        """The largest finite error so far, in ulps; NaN if there is none."""
        return self.ulps.largest

    def merge(self, other: "Tally", offset: int, found: int = 0) -> None:
        """Add the tally of later cases.

        Args:
            other: the tally of the later cases.
            offset: the number of their first row.
            found: the number of their first row that a search found.
        """
        self.rows += other.rows
        self.ulps.merge(other.ulps)
        self.max_abs = max(self.max_abs, other.max_abs)
        if other.max_excess_bits is not None:
            if other.most_excess and other.max_excess_bits > (self.max_excess_bits or 0.0):
                self.most_excess = moved(other.most_excess, offset, found)
            self.max_excess_bits = max(self.max_excess_bits or 0.0, other.max_excess_bits)
        self.over_condition = max(self.over_condition, other.over_condition)
        self.grading.merge(other.grading, offset, found)
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
        if self.failing is None:
            self.failing = other.failing
        elif other.failing is not None:
            self.failing.merge(other.failing)
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
        merge_needs(self.needs, other.needs)
        self.profiles.merge(other.profiles)


def place_found(collected: Tally, rows: int) -> None:
    """Number the rows that a search found after the ``rows`` rows of the sweep."""
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
    known += [(collected.grading, name) for name in ("worst", "doubtful", "normwise")]
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
    """The candidate with the larger error; ``mine`` if they are equal. ``theirs`` comes later."""
    if theirs is None or (mine is not None and mine.ulp_error >= theirs.ulp_error):
        return mine
    return moved(theirs, offset, found)


def note(collected: Tally, incident: Incident, case: Case) -> None:
    """Count an incident on a case. The incident with the largest distance becomes the finding."""
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
    """Keep a candidate if it is worse than the present one: larger error, then fewer classes."""
    held = collected.shown.get(kind)
    if held is None or badness(shown) > badness(held):
        collected.shown[kind] = shown


def forget_heights(collected: Tally) -> None:
    """Drop the rarest heights if there are too many. Their rows keep their kinds."""
    for found in collected.heights.forgotten():
        merge_needs(collected.needs, found.needs)
        for kind, shown in found.best.items():
            offer(collected, kind, shown)
