"""Grades the rows of a part: how much their errors matter.

The grade of a cell is that of its worst row, so only rows that may be worse than the worst so far
are looked at more closely. Whether a row is within 4 times its condition number is known at the end
(`Tally.over_condition`). A result so near to a bound that its enclosure does not tell the side is
decided in exact arithmetic.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.borderline import PRECISIONS, distance_from, ulps_between
from xentcheck.measurement.candidate import Candidate, moved
from xentcheck.measurement.scales import few, grading_scale
from xentcheck.measurement.scoring import DECISIVE
from xentcheck.model import KINDS, Array, Float64Array, Grade, Kind, Quantity, rank
from xentcheck.reference import Element, ends

if TYPE_CHECKING:
    from xentcheck.measurement.scored_part import ScoredPart

Rows = npt.NDArray[np.intp]

ACCURATE_ULP = 4.0
"""An error of at most this many ulps, or this many times the condition number, is accurate."""

_OPEN = 2.0 * DECISIVE
"""Relative uncertainty of a score that is settled, with some room."""

_BROKEN, _LOSSY, _ABSOLUTE, _ACCURATE, _FAITHFUL, _ROUNDED = (rank(grade) for grade in Grade)
_WITHOUT_NUMBER = {
    KINDS.index(kind): found
    for kind, found in (
        (Kind.NAN, _BROKEN),
        (Kind.MISSED_NAN, _BROKEN),
        (Kind.SPURIOUS_OVERFLOW, _BROKEN),
        (Kind.WRONG_SIGN, _BROKEN),
        (Kind.MISSED_OVERFLOW, _LOSSY),
    )
}
"""The grade of a result without a finite error, by the code of its kind."""


@dataclass(slots=True, eq=False)
class Grading:
    """What is known about the grade of a cell so far.

    Attributes:
        rank: the rank of the worst row that is not graded by its condition number alone.
        worst: the row that has it; None for a rank better than `Grade.ABSOLUTE`.
        unflushed: the rank of the worst row with errors that flushing explains, if the
            implementation turns out not to flush.
        doubtful: the row that has it.
        norm: the largest error relative to the scale of its row.
        normwise: the row that has it.
        top: the component with the largest exact magnitude in that row.
    """

    rank: int = _ROUNDED
    worst: Candidate | None = None
    unflushed: int = _ROUNDED
    doubtful: Candidate | None = None
    norm: float = 0.0
    normwise: Candidate | None = None
    top: int = 0

    def merge(self, other: "Grading", offset: int, found: int) -> None:
        """Add what is known from later cases; see `Tally.merge`."""
        if other.rank < self.rank:
            self.rank, self.worst = other.rank, _moved(other.worst, offset, found)
        if other.unflushed < self.unflushed:
            self.unflushed, self.doubtful = other.unflushed, _moved(other.doubtful, offset, found)
        if other.norm > self.norm:
            self.norm, self.top = other.norm, other.top
            self.normwise = _moved(other.normwise, offset, found)


def _moved(shown: Candidate | None, offset: int, found: int) -> Candidate | None:
    return None if shown is None else moved(shown, offset, found)


def collect(scored: "ScoredPart") -> None:
    """Add the rows of a part to the grading of its cell."""
    grading, part = scored.tally.grading, scored.part
    errors = scored.largest
    scales = part.scales()
    norms = errors / scales.size
    row = int(norms.argmax())
    most = float(norms[row])
    if most > grading.norm:
        column = int(np.nan_to_num(scored.absolute[row], nan=-1.0).argmax())
        grading.norm, grading.top = most, int(scales.top[row])
        grading.normwise = scored.shown_at(row, column)
    if grading.rank > _ACCURATE:
        _in_ulps(scored)
    bound = few(part.case, part.quantity) * 2.0 ** -FORMATS[part.dtype].precision
    if grading.rank > _BROKEN and most > bound * (1.0 - _OPEN):
        least = ACCURATE_ULP * (1.0 - _OPEN)
        rows = np.flatnonzero((norms > bound * (1.0 - _OPEN)) & (scored.worst > least))
        if len(rows):
            _BeyondScale(scored, rows, bound).grade()


def collect_without_number(scored: "ScoredPart", rows: Rows) -> None:
    """Grade the rows among these that have results without a finite error."""
    grading = scored.tally.grading
    codes = np.where(np.isnan(scored.ulps[rows]), scored.kinds[rows], len(KINDS))
    for code in np.unique(codes).tolist():
        found = _WITHOUT_NUMBER.get(code)
        if found is not None and found < grading.rank:
            place, column = np.unravel_index(int((codes == code).argmax()), codes.shape)
            grading.rank, grading.worst = found, scored.shown_at(int(rows[place]), int(column))


def _in_ulps(scored: "ScoredPart") -> None:
    """Tell correctly rounded rows, rows within an ulp and others apart."""
    grading = scored.tally.grading
    most = float(scored.worst.max())
    for bound, beyond in ((1.0, _ACCURATE), (0.5, _FAITHFUL)):
        if grading.rank <= beyond or most < bound - DECISIVE:
            continue
        if most > bound + DECISIVE or _any_beyond(scored, bound):
            grading.rank = beyond


def _any_beyond(scored: "ScoredPart", bound: float) -> bool:
    """Whether a result that is near to a bound in ulps is beyond it: above 0.5, or 1 and above."""

    def answer(least: Fraction, most: Fraction) -> bool | None:
        limit = Fraction(bound)
        if bound == 1.0:
            return True if least >= limit else False if most < limit else None
        return True if least > limit else False if most <= limit else None

    with np.errstate(invalid="ignore"):
        distances = np.abs(scored.ulps - bound)
        near = (distances <= DECISIVE) & scored.alive[:, np.newaxis]
    near &= distances <= scored.part.radii(near) + 2.0**-40
    for row, column in np.argwhere(near).tolist():
        shown = scored.shown_at(row, column)
        for precision in PRECISIONS:
            bounds = ends(shown.element(scored.part.quantity), precision)
            if bounds is None:
                break
            said = answer(*ulps_between(shown.actual, bounds, shown.result_dtype))
            if said is not None:
                if said:
                    return True
                break
        else:  # it lies exactly on the bound
            if bound == 1.0:
                return True
    return False


@dataclass(frozen=True, slots=True, eq=False)
class _BeyondScale:
    """Rows of a part with errors that may be beyond a few roundings of their scale.

    Attributes:
        scored: the part.
        rows: the rows, counted from the start of the part.
        bound: a few roundings, relative to the scale.
    """

    scored: "ScoredPart"
    rows: Rows
    bound: float

    def grade(self) -> None:
        """Lower the grade of the cell to that of the worst of these rows."""
        scored, part, grading = self.scored, self.scored.part, self.scored.tally.grading
        block = scored.results.ndim == 0
        places = np.arange(part.span.start, part.span.stop)
        places = places if block else places[self.rows]
        size = grading_scale(part.truth, part.quantity, places, part.scales().size[self.rows])
        errors = scored.absolute[self.rows]
        limit = self.bound * size[:, np.newaxis]
        with np.errstate(invalid="ignore"):
            over = errors > limit * (1.0 - _OPEN)
            # what is below the normal range is no more than what flushing takes
            over &= errors >= FORMATS[part.dtype].smallest_normal
        if not over.any():
            return
        over &= ~self._explained(places)
        grave = over & self._grave(places)
        flushed = scored.kinds[self.rows] == KINDS.index(Kind.FTZ)
        near = over & (errors <= limit * (1.0 + _OPEN))
        for where, found in ((grave, _BROKEN), (over, _LOSSY)):
            if grading.rank > found:
                shown = self._first(where & ~flushed, near, size)
                if shown is not None:
                    grading.rank, grading.worst = found, shown
            if grading.unflushed > found and (where & flushed).any():
                shown = self._first(where & flushed, near, size)
                if shown is not None:
                    grading.unflushed, grading.doubtful = found, shown

    def _explained(self, places: Rows) -> npt.NDArray[np.bool_]:
        """Which errors are within 4 times the condition number."""
        scored, part = self.scored, self.scored.part
        condition = part.truth.condition(part.quantity, places, part.dtype)
        ulps = scored.ulps[self.rows]
        explained = np.fmax(condition, 1.0).reshape(len(self.rows) if condition.ndim else 1, -1)
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(ulps <= ACCURATE_ULP * explained)

    def _grave(self, places: Rows) -> npt.NDArray[np.bool_]:
        """Which results have the wrong sign, or are a gradient of 0 where the exact one is not."""
        scored, part = self.scored, self.scored.part
        actual = _rows_of(scored.results, part.span, self.rows)
        if scored.results.ndim == 0:
            exact = part.truth.at(part.quantity, part.span).midpoints()
        else:
            exact = part.truth.midpoints(part.quantity, places)
        exact = exact.reshape(actual.shape)
        with np.errstate(invalid="ignore"):
            opposite = np.sign(actual) * np.sign(exact) < 0
            if part.quantity is Quantity.VALUE:
                return np.asarray(opposite | (LOSSES[part.case.loss].nonnegative & (actual < 0)))
            return np.asarray(opposite | ((actual == 0) & (exact != 0)))

    def _first(
        self, where: npt.NDArray[np.bool_], near: npt.NDArray[np.bool_], size: Float64Array
    ) -> Candidate | None:
        """The result with the largest error in units of its scale, if any of these is beyond it."""
        if not where.any():
            return None
        shares = np.where(where, self.scored.absolute[self.rows] / size[:, np.newaxis], -1.0)
        for at in np.argsort(-shares, axis=None, kind="stable").tolist():
            place, column = (int(each) for each in np.unravel_index(at, shares.shape))
            if not where[place, column]:
                return None
            row = int(self.rows[place])
            shown = self.scored.shown_at(row, column)
            if not near[place, column] or self._beyond(shown, row, float(size[place])):
                return shown
        return None

    def _beyond(self, shown: Candidate, row: int, size: float) -> bool:
        """Whether an error is beyond a few roundings of its scale, in exact arithmetic."""
        part = self.scored.part
        scales = part.scales()
        top = int(scales.top[row]) if shown.index is not None else None
        own = shown.element(part.quantity)
        largest = Element(own.case, own.row, own.quantity, top)
        known = size > float(scales.size[row])  # it is that of the terms, a float
        actual, few_ = Fraction(shown.actual), Fraction(self.bound)
        for precision in PRECISIONS:
            bounds, sizes = ends(own, precision), ends(largest, precision)
            if bounds is None or sizes is None:
                return True
            least, most = distance_from(actual, bounds)
            low, high = distance_from(Fraction(0), sizes)
            floor = Fraction(size) if known else part.least_scale(row)
            if least > few_ * max(high, floor):
                return True
            if most <= few_ * max(low, floor):
                return False
        return False


def _rows_of(results: Array, span: slice, rows: Rows) -> Float64Array:
    """Some rows of a part's results, (rows, components)."""
    own = results.reshape(1, 1) if results.ndim == 0 else results[span][rows]
    return to_float64(own).reshape(len(rows), -1)
