"""The results of a part, scored: what they add to the totals of their cell."""

from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import axes, grading
from xentcheck.measurement.axes import conditions, conditions_are_open
from xentcheck.measurement.candidate import Candidate, gravity
from xentcheck.measurement.escalation import Part
from xentcheck.measurement.failing import (
    LONG,
    PASSING_BLOCKS,
    PASSING_ROWS,
    FailingBlock,
    FailingRows,
    extent,
)
from xentcheck.measurement.flushing import calculated, subnormal
from xentcheck.measurement.needs import Needs, merge_needs, needs_of
from xentcheck.measurement.plateaus import CLIPPED, PLATEAU_ROWS, Height
from xentcheck.measurement.scoring import Scores, excess_bits, lost_kind
from xentcheck.measurement.tally import Tally, forget_heights, offer
from xentcheck.model import KINDS, NOTES, RIGHT, Array, Float64Array, Kind, Quantity, kind_of

MOST_LED = 64
"""Numbers of the longest row that a search starts from: as many as a command can hold."""


def _largest(errors: Float64Array, alive: npt.NDArray[np.bool_]) -> Float64Array:
    """The largest error of each row; -1 for a row without a finite error or without a result."""
    largest = errors.max(axis=1) if errors.shape[1] > 1 else errors[:, 0]
    if np.isnan(largest).any():
        largest = np.fmax.reduce(errors, axis=1, initial=-1.0)
    return largest if alive.all() else np.where(alive, largest, -1.0)


_NOTED = np.array([*(kind in NOTES for kind in KINDS), True])
"""For the code of each kind, and of a right result: whether it is not a fault."""

_INFINITE = KINDS.index(Kind.SPURIOUS_OVERFLOW)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredPart:
    """Results of consecutive rows with their scores; one row of numbers for each row of the part.

    A reduction has one result for all rows: it is one row here.

    Attributes:
        tally: the totals that the part is added to.
        part: the rows.
        results: the results of the whole case.
        scores: the scores of the part.
        alive: (rows,), which rows have a result.
        kinds: (rows, components), codes of kinds.
        ulps: (rows, components), errors in ulps; NaN without a finite error.
        absolute: (rows, components), absolute errors.
        worst: (rows,), the largest error of each row in ulps; -1 without a finite one.
        largest: (rows,), the largest absolute error of each row; -1 without a finite one.
        gravest: (rows,), the gravest kind of each row.
    """

    tally: Tally
    part: Part
    results: Array
    scores: Scores
    alive: npt.NDArray[np.bool_]
    kinds: npt.NDArray[np.int8]
    ulps: Float64Array
    absolute: Float64Array
    worst: Float64Array
    largest: Float64Array
    gravest: npt.NDArray[np.int8]

    @classmethod
    def of(
        cls,
        tally: Tally,
        part: Part,
        results: Array,
        scores: Scores,
        valid: npt.NDArray[np.bool_],
    ) -> "ScoredPart":
        """The scores of a part, row by row; ``valid`` (rows,) says which rows have a result."""
        block = results.ndim == 0
        rows = 1 if block else part.span.stop - part.span.start
        alive = np.ones(1, dtype=np.bool_) if block else valid
        kinds = scores.kinds.reshape(rows, -1)
        ulps = scores.ulp_error.reshape(rows, -1)
        absolute = scores.abs_error.reshape(rows, -1)
        return cls(
            tally,
            part,
            results,
            scores,
            alive,
            kinds,
            ulps,
            absolute,
            _largest(ulps, alive),
            _largest(absolute, alive),
            kinds.min(axis=1) if kinds.shape[1] > 1 else kinds[:, 0],
        )

    def shown(self, row: int, column: int, kind: Kind | None) -> Candidate:
        """The candidate for a witness at a row and a component of it."""
        return self.part.shown(self.results, self.scores, row, column, kind)

    def shown_at(self, row: int, column: int) -> Candidate:
        """The candidate for a witness at a row and a component of it, of its own kind."""
        return self.shown(row, column, kind_of(int(self.kinds[row, column])))

    def collect(self) -> None:
        """Add the part to the totals of its cell."""
        kept = self.worst[self.worst >= 0]
        if len(kept):
            self.tally.ulps.add(kept)
            far = self.scores.far.reshape(len(self.worst), -1).any(axis=1)
            self.tally.far += int(np.count_nonzero(far & (self.worst >= 0)))
            self.tally.max_abs = max(self.tally.max_abs, float(self.largest.max()))
            self._collect_excess()
            grading.collect(self)
        self._offer_worst()
        self._collect_subnormals()
        at_fault = self.alive & (self.gravest != RIGHT)
        self._collect_profiles()
        if self.tally.failing is not None and not self.part.case.reduced:
            self._keep_passing(self.tally.failing, self.alive & ~at_fault)
        if not at_fault.any():
            return
        broken = np.flatnonzero(at_fault & ~_NOTED[self.gravest])
        if self.tally.failing is not None and len(broken):
            self._keep_failing(self.tally.failing, broken)
        grading.collect_without_number(self, broken)
        if self.tally.first is None and len(broken):
            row = int(broken[0])
            column, kind = int(self.kinds[row].argmin()), KINDS[self.gravest[row]]
            self.tally.first = self.shown(row, column, kind)
        self._collect_doubtful()
        watched = self._collect_heights(at_fault)
        for code in np.unique(self.gravest[at_fault]).tolist():
            here = np.flatnonzero(at_fault & (self.gravest == code))
            self.tally.counts[KINDS[code]] += len(here)
            if watched is not None:
                here = here[~watched[here]]
            if len(here):
                self._offer_kind(here, code)
        kept = at_fault if watched is None else at_fault & ~watched
        merge_needs(self.tally.needs, self._needs(np.flatnonzero(kept)))

    def _collect_profiles(self) -> None:
        """Count the rows in the bins of every axis."""
        codes = axes.codes(self.part.truth, self.part.quantity, self.part.dtype, self.part.span)
        worst, gravest, kinds = self.worst, self.gravest, self.kinds
        if not self.alive.all():
            codes, worst = codes[:, self.alive], worst[self.alive]
            gravest, kinds = gravest[self.alive], kinds[self.alive]
        infinite = gravest == _INFINITE
        hidden = np.flatnonzero(gravest < _INFINITE)  # beside a NaN in another component
        infinite[hidden] = (kinds[hidden] == _INFINITE).any(axis=1)
        self.tally.profiles.add(
            codes,
            worst,
            failing=~_NOTED[gravest],
            nan=gravest == KINDS.index(Kind.NAN),
            infinite=infinite,
            flushed=gravest == KINDS.index(Kind.FTZ),
        )

    def _needs(self, rows: npt.NDArray[np.intp]) -> Needs:
        """The bounds at which these rows would not be at fault."""
        return needs_of(
            self.kinds[rows],
            self.ulps[rows],
            self.absolute[rows],
            self.gravest[rows],
            FORMATS[self.part.dtype].max,
        )

    def _keep_failing(self, failing: FailingRows, rows: npt.NDArray[np.intp]) -> None:
        """Keep some failing rows for the diagnosis."""
        case = self.part.case
        if case.reduced and self.results.ndim and self.part.span != slice(0, case.rows):
            return  # a block in several parts: it is long, and its rows cannot be told apart
        numbers = int(case.logits.size) if case.reduced else case.classes
        chosen = failing.wanted(self.gravest, rows, numbers)
        if len(chosen):
            failing.blocks.append(self._block(chosen))

    def _keep_passing(self, failing: FailingRows, passes: npt.NDArray[np.bool_]) -> None:
        """Keep a few rows that pass."""
        if len(failing.passing) >= PASSING_BLOCKS or self.part.case.classes > LONG:
            return
        rows = np.flatnonzero(passes)
        if len(rows):
            few = np.unique(np.linspace(0, len(rows) - 1, PASSING_ROWS).astype(np.intp))
            failing.passing.append(self._block(rows[few]))

    def _block(self, chosen: npt.NDArray[np.intp]) -> FailingBlock:
        """Rows of this part with their results; under a reduction the whole case."""
        case, span, single = self.part.case, self.part.span, self.results.ndim == 0
        if single:
            exact = self.part.truth.at(self.part.quantity, span).midpoints()
        else:
            exact = self.part.truth.midpoints(self.part.quantity, span.start + chosen)
        called = None
        if not case.reduced:
            called = np.broadcast_to(extent(case.logits), (len(chosen), 2))
            case = case.part(span.start + chosen)
        own = self.results if single else self.results[span]
        return FailingBlock(
            case,
            to_float64(own).reshape(len(self.gravest), -1)[chosen],
            np.asarray(exact, dtype=np.float64).reshape(len(chosen), -1),
            self.kinds[chosen],
            self.gravest[chosen],
            self.part.dtype,
            single=single,
            rows=chosen if case.reduced and not single else None,
            called=called,
        )

    def _collect_subnormals(self) -> None:
        """Note whether a subnormal result was calculated for a subnormal exact result."""
        if self.tally.flushing.subnormals:
            return
        single, span = self.results.ndim == 0, self.part.span
        own = self.results if single else self.results[span]
        found = subnormal(own)
        if not found.any():
            return
        truth, quantity = self.part.truth, self.part.quantity
        exact = truth.at(quantity, span).midpoints() if single else truth.midpoints(quantity, span)
        found &= np.abs(exact) < FORMATS[self.part.dtype].smallest_normal
        if not single:
            found.reshape(len(self.alive), -1)[~self.alive] = False
        case = self.part.case if single else self.part.case.part(span)
        self.tally.flushing.subnormals = bool(found.any()) and calculated(own, found, case)

    def _collect_doubtful(self) -> None:
        """Note the rows whose kind depends on whether subnormal results are flushed."""
        flushed = self.kinds == KINDS.index(Kind.FTZ)
        if not flushed.any():
            return
        own = self.results if self.results.ndim == 0 else self.results[self.part.span]
        zero = flushed & (to_float64(own).reshape(self.kinds.shape) == 0)
        flushing, none = self.tally.flushing, np.zeros(len(self.gravest), dtype=np.bool_)
        for doubtful, where, kind, others in (
            (flushing.zeros, zero, lost_kind(self.part.quantity), none),
            (flushing.partial, flushed & ~zero, Kind.INACCURATE, zero.any(axis=1)),
        ):
            rows = np.flatnonzero(
                where.any(axis=1) & ~others & self.alive & (self.gravest > KINDS.index(kind))
            )
            if not len(rows):
                continue
            errors = np.where(
                where[rows], self.scores.ulp_error.reshape(self.kinds.shape)[rows], -1.0
            )
            place, column = (int(each) for each in np.unravel_index(errors.argmax(), errors.shape))
            first = int(rows[0])
            codes, counts = np.unique(self.gravest[rows], return_counts=True)
            largest = self.shown(int(rows[place]), column, Kind.FTZ)
            doubtful.add(
                Counter({KINDS[code]: int(n) for code, n in zip(codes, counts, strict=True)}),
                largest,
                self.shown(first, int(where[first].argmax()), Kind.FTZ),
            )
            flushing.latest = largest

    def _offer_kind(self, rows: npt.NDArray[np.intp], code: int) -> None:
        """Offer the component of a kind with the largest error in these rows, or the first one."""
        held = self.tally.shown.get(KINDS[code])
        # Mostly a row's worst component is of its gravest kind: then one row is enough.
        first = rows[self.worst[rows].argmax()]
        if held is not None and 0 <= self.worst[first] < gravity(held.ulp_error):
            return
        column = int(np.nan_to_num(self.ulps[first], nan=-1.0).argmax())
        if self.worst[first] < 0 or self.kinds[first, column] != code:
            errors = np.where(
                self.kinds[rows] == code, np.nan_to_num(self.ulps[rows], nan=-1.0), -2.0
            )
            place, column = (int(each) for each in np.unravel_index(errors.argmax(), errors.shape))
            first = rows[place]
        offer(self.tally, KINDS[code], self.shown(int(first), column, KINDS[code]))

    def _offer_worst(self) -> None:
        """Offer the worst component: one without a finite error, the gravest first.

        A convention is accepted. It has no error, so it is never the worst of a cell.
        """

        def worst_of(rows: Float64Array, held: Candidate | None, codes: Array) -> Candidate | None:
            """What replaces the largest error held. Among equal errors it is the gravest kind."""
            most = float(rows.max())
            if most < 0 or (held is not None and held.ulp_error >= most):
                return None
            ties = np.flatnonzero(rows == most)
            gravities = np.where(self.ulps[ties] == most, codes[ties], RIGHT + 1)
            place, column = np.unravel_index(int(gravities.argmin()), gravities.shape)
            return self.shown_at(int(ties[place]), int(column))

        largest = self.worst
        if self.tally.leaders is not None:
            self._lead(self.tally.leaders, largest)
        same = self.tally.normal is self.tally.largest
        new = worst_of(largest, self.tally.largest, self.kinds)
        if new is not None:
            self.tally.largest = new
            offer(self.tally, None, new)
        flushed = self.kinds == KINDS.index(Kind.FTZ)
        if same and not flushed.any():
            self.tally.normal = self.tally.largest
        else:
            others = np.fmax.reduce(np.where(flushed, np.nan, self.ulps), axis=1, initial=-1.0)
            codes = np.where(flushed, RIGHT + 1, self.kinds)
            normal = worst_of(np.where(self.alive, others, -1.0), self.tally.normal, codes)
            self.tally.normal = normal or self.tally.normal
        candidates = np.flatnonzero(self.alive & (self.gravest < KINDS.index(Kind.INACCURATE)))
        if not len(candidates):
            return
        blamed = np.isnan(self.ulps[candidates]) & (
            self.kinds[candidates] != KINDS.index(Kind.CONVENTION)
        )
        if blamed.any():
            codes = np.where(blamed, self.kinds[candidates], RIGHT + 1)
            place, column = np.unravel_index(int(codes.argmin()), codes.shape)
            offer(self.tally, None, self.shown_at(int(candidates[place]), int(column)))

    def _lead(self, leaders: dict[tuple[int, str], Candidate], errors: Float64Array) -> None:
        """Keep the row with the largest finite error of this part, if a search can start from it.

        Subnormal results do not count, as in `weigh`.
        """
        case = self.part.case
        if case.classes > MOST_LED or case.reduced:
            return
        key = (case.classes, case.generator)
        least = leaders[key].ulp_error if key in leaders else 0.0
        if not errors.max() > least:
            return
        given = [case.logits[self.part.span]]
        if case.labels is not None and case.labels.dtype.kind != "i":
            given.append(case.labels[self.part.span])
        numbers = np.concatenate(
            [to_float64(each).reshape(len(errors), -1) for each in given], axis=1
        )
        fit = np.isfinite(numbers).all(axis=1) & (errors > least)
        rows = np.flatnonzero(fit)
        if not len(rows):
            return
        worth = np.where(self.part.normal(rows).reshape(len(rows), -1), self.ulps[rows], -1.0)
        worth = np.nan_to_num(worth, nan=-1.0)
        if worth.size and worth.max() > least:
            place, column = np.unravel_index(int(worth.argmax()), worth.shape)
            leaders[key] = self.shown_at(int(rows[place]), int(column))

    def _collect_excess(self) -> None:
        """Note the most bits lost beyond what conditioning explains.

        Only rows that could exceed the known maximum are examined: conditioning only explains bits.
        """
        if self.tally.max_excess_bits is None:
            self.tally.max_excess_bits = 0.0
        least = max(0.5, 0.5 * 2.0**self.tally.max_excess_bits)
        rows = np.flatnonzero(self.worst > least)
        if not len(rows):
            return
        errors = self.ulps[rows] if len(rows) < len(self.worst) else self.ulps
        condition = self._condition(rows)
        explained = condition.reshape(len(rows) if condition.ndim else 1, -1)
        with np.errstate(invalid="ignore"):
            explained = np.maximum(explained, 1.0)
        beyond = errors / explained
        place, column = np.unravel_index(int(beyond.argmax()), beyond.shape)
        if np.isnan(beyond[place, column]):
            explained = np.where(np.isnan(explained), 1.0, explained)
            beyond = np.nan_to_num(errors / explained, nan=-1.0)
            place, column = np.unravel_index(int(beyond.argmax()), beyond.shape)
        given = np.broadcast_to(explained, errors.shape)[place, column]
        over = float(errors[place, column] / given)
        self.tally.over_condition = max(self.tally.over_condition, over)
        bits = excess_bits(float(errors[place, column]), float(given), self.part.dtype)
        if bits > self.tally.max_excess_bits:
            row, at = int(rows[place]), int(column)
            kind = kind_of(int(self.scores.kinds.reshape(len(self.worst), -1)[row, at]))
            self.tally.max_excess_bits = bits
            self.tally.most_excess = self.shown(row, at, kind)

    def _condition(self, rows: npt.NDArray[np.intp]) -> Float64Array:
        """The condition numbers of some rows. If all rows need them later, all are found now."""
        truth, span = self.part.truth, self.part.span
        quantity, dtype = self.part.quantity, self.part.dtype
        if self.results.ndim == 0 or not conditions_are_open(truth, quantity, dtype, span):
            return truth.condition(quantity, span.start + rows, dtype)
        condition = truth.condition(quantity, span, dtype)
        conditions(truth, quantity, dtype, span, condition)
        return condition if len(rows) == len(condition) else condition[rows]

    def _collect_heights(self, at_fault: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
        """Watch values that may be plateaus. Return which rows are watched, or None."""
        loss = LOSSES[self.part.case.loss]
        if self.part.quantity is not Quantity.VALUE or loss.per_class or self.results.ndim == 0:
            return None
        codes = [KINDS.index(kind) for kind in CLIPPED]
        suspicious = at_fault & ((self.scores.kinds == codes[0]) | (self.scores.kinds == codes[1]))
        rows = np.flatnonzero(suspicious)
        if not len(rows):
            return None
        actual = to_float64(self.results[self.part.span])
        exact = self.part.truth.midpoints(self.part.quantity, self.part.span.start + rows)
        watched = np.zeros(len(actual), dtype=np.bool_)
        for height in self.tally.heights.wanted(actual[rows]):
            here = rows[actual[rows] == height]
            values = exact[actual[rows] == height]
            watched[here] = True
            self.tally.heights.watch(height, self._height(height, here, values))
        forget_heights(self.tally)
        return watched

    def _height(self, height: float, rows: npt.NDArray[np.intp], exact: Float64Array) -> Height:
        codes = self.scores.kinds[rows]
        errors = np.nan_to_num(self.scores.ulp_error[rows], nan=np.inf)
        with np.errstate(invalid="ignore", over="ignore"):
            distances = np.abs(exact - height)

        def shown(place: int) -> Candidate:
            return self.shown(int(rows[place]), 0, KINDS[codes[place]])

        best = {
            KINDS[code]: shown(int(np.where(codes == code, errors, -1.0).argmax()))
            for code in np.unique(codes)
        }
        farthest = int(np.lexsort((errors, distances))[-1])
        return Height(
            counts={KINDS[code]: int(np.count_nonzero(codes == code)) for code in np.unique(codes)},
            exact=frozenset(np.unique(exact)[:PLATEAU_ROWS].tolist()),
            lowest=float(exact.min()),
            highest=float(exact.max()),
            nearest=float(exact[distances.argmin()]),
            best=best,
            farthest=shown(farthest),
            distance=float(distances[farthest]),
            needs=self._needs(rows),
        )
