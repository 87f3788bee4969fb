"""Holds the results of an implementation against those of a peer, row by row.

Both are scored against the same exact results. A row is worse than the peer's if

* it has a graver fault that is not measured in ulps (no result, a NaN, a wrong infinity), or
* neither has such a fault, and its error is above `CONSTANT` ulps (times the condition number, if
  that is above 1) and above `FACTOR` times the error of the peer's row.

The error of a row is that of its worst component. Better is the same the other way round.
`docs/decisions/0032-against.md` has the reasons.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Incident
from xentcheck.measurement.candidate import Candidate, alone, moved
from xentcheck.measurement.confirmation import Arbitration, input_of
from xentcheck.measurement.scored_part import ScoredPart
from xentcheck.measurement.scoring import unflushed_kind
from xentcheck.measurement.tally import Tally
from xentcheck.model import (
    ADAPTIVE,
    KINDS,
    NOTES,
    RIGHT,
    WITHOUT_RESULT,
    Case,
    Cell,
    Contest,
    Encounter,
    Float64Array,
    Kind,
    Tolerance,
    Witness,
    kind_of,
)

CONSTANT = 4.0
"""Errors of at most this many ulps, times the condition number, are never worse than a peer's."""

FACTOR = 2.0
"""Neither are errors of at most this many times the peer's."""

_SURE = 1.0 + 2.0**-8
"""Scores are known to 2^-10 of the error. A row so near to the slack does not count."""

_ROUNDED = 0.5  # ulps: below, a result is correctly rounded, and ratios say nothing
_LISTED = 100  # row numbers that are kept

_FTZ = KINDS.index(Kind.FTZ)
_FAULT = np.array([*(kind not in NOTES for kind in KINDS), False])


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """The results of one implementation on one case.

    Attributes:
        case: the case.
        parts: the scored parts of the case, in order; empty if the call gave no result.
        kind: the kind of rows without a result.
        detail: what happened there.
    """

    case: Case
    parts: Sequence[ScoredPart] = ()
    kind: Kind = Kind.RAISED
    detail: str = ""

    @classmethod
    def of(cls, case: Case, parts: Sequence[ScoredPart], incidents: Iterable[Incident]) -> "Side":
        """The side of a call that is done."""
        for incident in incidents:
            if incident.kind in WITHOUT_RESULT:
                return cls(case, parts, incident.kind, incident.detail)
        return cls(case, parts)


@dataclass(frozen=True, slots=True, eq=False)
class _Pair:
    """A row as both compute it, first the side that is worse.

    ``rank`` orders such rows: the largest is shown. ``details`` says why there is no result.
    """

    rank: tuple[float, float]
    one: Candidate
    other: Candidate
    details: tuple[str, str]

    def moved(self, offset: int, found: int) -> "_Pair":
        return replace(
            self, one=moved(self.one, offset, found), other=moved(self.other, offset, found)
        )


@dataclass(slots=True, eq=False)
class _Lead:
    """The rows on which one side is worse.

    Attributes:
        rows: how many.
        kinds: the same by the kind of the result.
        pairs: the worst row of each kind.
        numbers: the numbers of the first rows of the sweep.
        or_abs: the absolute error that excuses all of them; infinite if nothing does.
    """

    rows: int = 0
    kinds: Counter[Kind] = field(default_factory=Counter)
    pairs: dict[Kind, _Pair] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=list)
    or_abs: float = 0.0

    def note(self, worse: npt.NDArray[np.intp], one: "_Rows", other: "_Rows") -> None:
        """Add rows on which ``one`` is worse than ``other``."""
        if not len(worse):
            return
        self.rows += len(worse)
        self.or_abs = max(self.or_abs, one.needed(worse, other))
        ratios = one.errors[worse] / np.maximum(other.errors[worse], _ROUNDED)
        kinds = one.kinds(worse)
        start = one.case.start + one.start
        if one.case.generator not in ADAPTIVE:
            few = worse[: max(_LISTED - len(self.numbers), 0)]
            self.numbers += [start + each for each in few.tolist()]
        for code in np.unique(kinds).tolist():
            here = np.flatnonzero(kinds == code)
            kind = KINDS[code]
            self.kinds[kind] += len(here)
            # where the peer has a fault too, it says less
            place = int(here[np.lexsort((ratios[here], other.gravest[worse[here]]))[-1]])
            row = int(worse[place])
            rank = (float(other.gravest[row]), float(ratios[place]))
            if kind not in self.pairs or rank > self.pairs[kind].rank:
                self.pairs[kind] = _Pair(
                    rank, one.shown(row), other.shown(row), (one.side.detail, other.side.detail)
                )

    def merge(self, other: "_Lead", offset: int, found: int) -> None:
        """Add the rows of later cases."""
        self.rows += other.rows
        self.or_abs = max(self.or_abs, other.or_abs)
        self.kinds += other.kinds
        for kind, pair in other.pairs.items():
            if kind not in self.pairs or pair.rank > self.pairs[kind].rank:
                self.pairs[kind] = pair.moved(offset, found)
        self.numbers += [each + offset for each in other.numbers]
        del self.numbers[_LISTED:]


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Consecutive rows as one side computes them.

    Attributes:
        side: the side.
        part: the scored part; None if the call gave no result.
        start: the first row, counted in the case.
        gravest: (rows,), codes of the gravest fault that is not measured in ulps, or `RIGHT`.
        ulps: (rows, components), errors in ulps; NaN without a finite one.
        errors: (rows,), the largest of them; 0 if there is none.
    """

    side: Side
    part: ScoredPart | None
    start: int
    gravest: npt.NDArray[np.int8]
    ulps: Float64Array
    errors: Float64Array

    @classmethod
    def of(cls, side: Side, part: ScoredPart | None, start: int, count: int) -> "_Rows":
        """The rows of a part, or ``count`` rows without a result."""
        lost = np.int8(KINDS.index(side.kind))
        if part is None:
            nothing = np.full((count, 1), np.nan)
            return cls(side, None, start, np.full(count, lost), nothing, np.zeros(count))
        unmeasured = np.isnan(part.ulps) & _FAULT[part.kinds]
        gravest = np.where(unmeasured, part.kinds, np.int8(RIGHT)).min(axis=1)
        gravest = np.where(part.alive, gravest, lost)
        return cls(side, part, start, gravest, part.ulps, np.maximum(part.worst, 0.0))

    def unflushed(self) -> "_Rows":
        """The same without results that may be flushed."""
        if self.part is None or not (self.part.kinds == _FTZ).any():
            return self
        ulps = np.where(self.part.kinds == _FTZ, np.nan, self.ulps)
        return replace(self, ulps=ulps, errors=np.fmax.reduce(ulps, axis=1, initial=0.0))

    @property
    def case(self) -> Case:
        """The case of the rows."""
        return self.side.case

    def worse(self, other: "_Rows", or_abs: float) -> npt.NDArray[np.intp]:
        """The rows that are worse than the other side's, in their order.

        Args:
            other: the same rows of the other side.
            or_abs: an absolute error that is never worse.
        """
        measured = (self.gravest == RIGHT) & (other.gravest == RIGHT)
        with np.errstate(over="ignore"):
            most = _SURE * np.maximum(CONSTANT, FACTOR * other.errors)
        larger = np.flatnonzero(measured & (self.errors > most))
        if len(larger):
            beyond = self._unexplained(larger, other)
            beyond &= ~(self._absolute(larger) <= or_abs)
            larger = larger[beyond.any(axis=1)]
        graver = np.flatnonzero(self.gravest < other.gravest)
        return np.sort(np.concatenate([graver, larger]))

    def needed(self, worse: npt.NDArray[np.intp], other: "_Rows") -> float:
        """The absolute error that would have to be fine for none of these rows to be worse."""
        if (self.gravest[worse] != RIGHT).any():
            return math.inf
        beyond = self._unexplained(worse, other)
        return float(self._absolute(worse).max(initial=0.0, where=beyond))

    def _absolute(self, rows: npt.NDArray[np.intp]) -> Float64Array:
        assert self.part is not None
        return self.part.absolute[rows]

    def _unexplained(self, rows: npt.NDArray[np.intp], other: "_Rows") -> npt.NDArray[np.bool_]:
        """Which components are worse than the other side's row, beyond what conditioning explains.

        (rows, components)
        """
        assert self.part is not None
        inner = self.part.part
        chosen: slice | npt.NDArray[np.intp] = inner.span.start + rows
        if len(rows) == len(self.errors):
            chosen = inner.span
        condition = inner.truth.condition(inner.quantity, chosen, inner.dtype)
        factor = np.fmax(condition.reshape(len(rows) if condition.ndim else 1, -1), 1.0)
        ulps = self.ulps[rows]
        with np.errstate(over="ignore", invalid="ignore"):
            most = _SURE * np.maximum(CONSTANT * factor, FACTOR * other.errors[rows, None])
            return np.asarray(ulps > most)

    def kinds(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.int8]:
        """The codes of the faults of rows that are worse; an error in ulps is a fault here."""
        codes = self.gravest[rows]
        measured = np.flatnonzero(codes == RIGHT)
        if self.part is not None and len(measured):
            here = rows[measured]
            codes[measured] = self.part.kinds[here, self._columns(here)]
        return np.where(_FAULT[codes], codes, np.int8(KINDS.index(Kind.INACCURATE)))

    def _columns(self, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
        return np.asarray(np.where(np.isnan(self.ulps[rows]), -1.0, self.ulps[rows]).argmax(axis=1))

    def shown(self, row: int) -> Candidate:
        """The candidate of a row: its component with the gravest fault or the largest error."""
        if self.part is None or not self.part.alive[row]:
            single, own = alone(self.case, self.start + row)
            place = self.case.start + self.start + row
            kind = self.side.kind
            return Candidate(single, own, place, None, np.nan, "", kind, np.nan, np.nan)
        kinds = self.part.kinds[row]
        column = int(self._columns(np.array([row]))[0])
        if self.gravest[row] != RIGHT:
            column = int(((kinds == self.gravest[row]) & np.isnan(self.ulps[row])).argmax())
        return self.part.shown(row, column, kind_of(int(kinds[column])))


def _together(mine: Side, theirs: Side) -> Iterator[tuple[_Rows, _Rows]]:
    """The rows of a case on both sides, part by part."""
    parts = list(zip_longest(mine.parts, theirs.parts))
    if not parts:
        rows = 1 if mine.case.reduced else mine.case.rows
        yield _Rows.of(mine, None, 0, rows), _Rows.of(theirs, None, 0, rows)
    for one, other in parts:
        known = one or other
        place = (known.part.span.start, len(known.worst))
        yield _Rows.of(mine, one, *place), _Rows.of(theirs, other, *place)


@dataclass(slots=True, eq=False)
class ContestTally:
    """Running totals of a contest, updated case by case. Tallies of parts of a sweep can be merged.

    Zeros in place of subnormal results are accepted only if the implementation is seen to flush.
    That is known at the end, so ``strict`` counts them as errors and ``flushed`` does not.
    """

    rows: int = 0
    strict: _Lead = field(default_factory=_Lead)
    flushed: _Lead = field(default_factory=_Lead)
    better: _Lead = field(default_factory=_Lead)

    def add(self, mine: Side, theirs: Side, or_abs: float = 0.0) -> None:
        """Compare the results of one case; an absolute error within ``or_abs`` is never worse."""
        for ours, others in _together(mine, theirs):
            self.rows += len(ours.errors)
            worse = ours.worse(others, or_abs)
            self.strict.note(worse, ours, others)
            unflushed = ours.unflushed()
            if unflushed is not ours:
                worse = unflushed.worse(others, or_abs)
            self.flushed.note(worse, unflushed, others)
            theirs_unflushed = others.unflushed()
            self.better.note(theirs_unflushed.worse(ours, or_abs), theirs_unflushed, ours)

    def merge(self, other: "ContestTally", offset: int, found: int) -> None:
        """Add the tally of later cases; see `Tally.merge`."""
        self.rows += other.rows
        self.strict.merge(other.strict, offset, found)
        self.flushed.merge(other.flushed, offset, found)
        self.better.merge(other.better, offset, found)

    def place_found(self, rows: int) -> None:
        """Number the rows that a search found after the ``rows`` rows of the sweep."""
        for lead in (self.strict, self.flushed, self.better):
            lead.pairs = {kind: pair.moved(0, rows) for kind, pair in lead.pairs.items()}


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """A side of a contest when the sweep is over.

    Attributes:
        cell: its cell.
        tally: the totals of the cell.
        tolerance: the tolerance that its results were scored with.
    """

    cell: Cell
    tally: Tally
    tolerance: Tolerance

    def witness(self, shown: Candidate, detail: str, arbitration: Arbitration) -> Witness:
        """The witness of a candidate, scored by the arbiter if it has a result."""
        if not shown.result_dtype:
            return Witness(input_of(shown), note=detail)
        flushes = self.tally.flushing.flushes
        if shown.kind is Kind.FTZ and not flushes:
            shown = replace(shown, kind=unflushed_kind(self.cell.quantity, shown.actual))
        return arbitration.witness(shown, self.cell, self.tolerance, flushes=flushes)


def decided(
    contest: ContestTally, mine: Contestant, theirs: Contestant, arbitration: Arbitration
) -> Contest:
    """The result of a contest.

    Args:
        contest: its tally, with all its cases.
        mine: the implementation.
        theirs: the peer.
        arbitration: scores the witnesses against the arbiter, and records failures.
    """
    lead = contest.flushed if mine.tally.flushing.flushes else contest.strict

    def met(pair: _Pair, swapped: bool = False) -> Encounter:
        one, other = (theirs, mine) if swapped else (mine, theirs)
        ahead = one.witness(pair.one, pair.details[0], arbitration)
        behind = other.witness(pair.other, pair.details[1], arbitration)
        if swapped:
            return Encounter(behind, ahead, pair.one.kind)
        return Encounter(ahead, behind, pair.other.kind)

    best = max(contest.better.pairs.values(), key=lambda each: each.rank, default=None)
    return Contest(
        mine.cell,
        theirs.cell.implementation,
        contest.rows,
        worse=lead.rows,
        better=contest.better.rows,
        kinds={kind: lead.kinds[kind] for kind in KINDS if lead.kinds[kind]},
        worst={kind: met(lead.pairs[kind]) for kind in KINDS if kind in lead.pairs},
        best=None if best is None else met(best, swapped=True),
        worse_rows=tuple(lead.numbers),
        better_rows=tuple(contest.better.numbers),
        peer_dtype=theirs.tally.result_dtype,
        or_abs=lead.or_abs,
    )
