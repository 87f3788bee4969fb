"""Scores consecutive rows together, and each with as sharp a tier as it needs."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import numpy as np
import numpy.typing as npt

from xentcheck.floats import FORMATS, to_float64, ulp_exponent
from xentcheck.losses.spec import Loss
from xentcheck.measurement.axes import conditions
from xentcheck.measurement.borderline import certain, settled
from xentcheck.measurement.candidate import Candidate, alone
from xentcheck.measurement.scales import Scales, least_scale, scales
from xentcheck.measurement.scoring import DECISIVE, Scores, conditioned, score
from xentcheck.model import Array, Case, Float64Array, Kind, Quantity, Tolerance
from xentcheck.reference import Element, Reference
from xentcheck.reference.enclosures import Enclosures

PART_ELEMENTS = 1 << 16
"""Maximum number of results scored together: few enough for a core's cache, and many enough that
the calls cost little."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Consecutive rows of a case that are scored together.

    Attributes:
        case: the case.
        span: the rows.
        quantity: value or gradient.
        dtype: the dtype of the results, by name.
        truth: the exact results of the case.
    """

    case: Case
    span: slice
    quantity: Quantity
    dtype: str
    truth: Reference

    def scores(self, results: Array, tolerance: Tolerance, loss: Loss) -> Scores:
        """Scores of the rows, each with as sharp a tier as it needs.

        Args:
            results: the results of the whole case.
            tolerance: the tolerance of the cell.
            loss: the loss of the case.
        """
        own = results if results.ndim == 0 else results[self.span]
        rows = np.arange(self.span.start, self.span.stop)
        scoring = partial(
            score,
            quantity=self.quantity,
            tolerance=tolerance,
            nonnegative=loss.nonnegative and self.quantity is Quantity.VALUE,
            terms=self.case.classes,
        )

        def condition(of: npt.NDArray[np.intp]) -> Float64Array | None:
            if not conditioned(tolerance):
                return None
            return self.truth.condition(self.quantity, of, self.dtype)

        known = condition(rows)
        scores = scoring(own, self.truth.at(self.quantity, self.span), known)
        for level in range(1, len(self.truth.tiers)):
            if not scores.undecided.any():
                break
            if own.ndim == 0:
                sharper = self.truth.sharper(self.quantity, rows, level)
                scores = scoring(own, sharper, condition(rows))
                continue
            where = np.flatnonzero(scores.undecided.reshape(len(own), -1).any(axis=1))
            sharper = self.truth.sharper(self.quantity, rows[where], level)
            finer = condition(rows[where])
            scores = scores.patched(where, scoring(own[where], sharper, finer))
            if known is not None and finer is not None:
                known = known.copy()
                known[where] = finer
        if known is not None and known.ndim:
            conditions(self.truth, self.quantity, self.dtype, self.span, known)
        if scores.near.any():
            scores = self._settled(own, scores, tolerance, scoring)
        return scores

    def scales(self) -> Scales:
        """The scales of the rows."""
        return scales(self.truth, self.quantity, self.dtype, self.span)

    def least_scale(self, row: int) -> Fraction:
        """The scale of a row, counted from the start, without its result."""
        least = least_scale(self.case, self.quantity, self.dtype, self.span)
        return Fraction(float(least[row]))

    def radii(self, where: npt.NDArray[np.bool_]) -> Float64Array:
        """The radii of some enclosures in ulps; 0 elsewhere.

        Args:
            where: (rows, components), which ones. They are of settled scores.
        """
        exact = self.truth.at(self.quantity, self.span)
        held = exact.at(where.reshape(exact.shape))
        held = held if isinstance(held, Enclosures) else held.enclosures()
        own = np.where(held.hi == 0, FORMATS[self.dtype].min_exponent, held.exponent)
        shift = np.clip(held.exponent - ulp_exponent(own, self.dtype), -5000, 5000)
        radii = np.zeros(where.shape)
        with np.errstate(over="ignore", under="ignore"):
            radii[where] = np.minimum(2.0 * np.ldexp(held.radius, shift), DECISIVE)
        return radii

    def normal(self, rows: slice | npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        """Which exact results of some of these rows are normal numbers in the results' dtype."""
        places = np.arange(self.span.start, self.span.stop)[rows]
        exact = np.abs(self.truth.midpoints(self.quantity, places))
        return np.asarray(exact >= FORMATS[self.dtype].smallest_normal)

    def rough(self, results: Array, loss: Loss) -> Scores:
        """Scores by the tiers below the arbiter; some may stay undecided."""
        scoring = partial(
            score,
            quantity=self.quantity,
            tolerance=Tolerance(max_ulp=0.0),
            nonnegative=loss.nonnegative and self.quantity is Quantity.VALUE,
        )
        scores = scoring(results, self.truth.at(self.quantity, self.span))
        for level in range(1, len(self.truth.tiers) - 1):
            where = np.flatnonzero(scores.undecided.reshape(len(results), -1).any(axis=1))
            if len(where):
                sharper = self.truth.sharper(self.quantity, where, level)
                scores = scores.patched(where, scoring(results[where], sharper))
        return scores

    def _settled(
        self, own: Array, scores: Scores, tolerance: Tolerance, scoring: Callable[..., Scores]
    ) -> Scores:
        """Decide the results that are near a limit even for the arbiter. Returns new scores."""
        positions = np.argwhere(scores.near).tolist()
        for position in map(tuple, positions):
            row = self.span.start + position[0] if position else 0
            index = position[1] if len(position) == 2 else None
            element = Element(self.case, row, self.quantity, index)
            truth = certain(element, self.dtype)
            actual = np.atleast_1d(own[position])
            stand = settled(element, actual, truth, tolerance)
            scores = scores.patched(position, scoring(actual, *truth, settled=stand))
        return scores

    def shown(
        self, results: Array, scores: Scores, row: int, column: int, kind: Kind | None
    ) -> Candidate:
        """The candidate of one result.

        Args:
            results: the results of the whole case.
            scores: the scores of this part.
            row: the row, counted from the start of this part.
            column: the component; ignored if there is one result per row or per block.
            kind: the kind of the fault or note; None if the result is right.
        """
        place = self.span.start + row
        position = () if results.ndim == 0 else (place,) if results.ndim == 1 else (place, column)
        here = () if results.ndim == 0 else (row,) if results.ndim == 1 else (row, column)
        case, own = alone(self.case, place)
        return Candidate(
            case=case,
            row=own,
            number=self.case.start + place,
            index=None if results.ndim < 2 else column,
            actual=float(to_float64(np.asarray(results[position]))),
            result_dtype=self.dtype,
            kind=kind,
            ulp_error=float(scores.ulp_error[here]),
            abs_error=float(scores.abs_error[here]),
            single=results.ndim == 0,
        )
