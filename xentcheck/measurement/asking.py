"""Calls an implementation again, on a few rows whose plain results are right.

Wrong plain results are reported already. The result of another call is compared with the exact
result, or with the plain one, within the tolerance of the cell. Before a difference is reported,
the same few rows are called in the plain way, and that result has to be right as well.
"""

from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Caller, CallError, Returned, same_bits
from xentcheck.floats import format_of, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement.scoring import Scores, conditioned, score
from xentcheck.model import (
    KINDS,
    NOTES,
    Array,
    Case,
    Float64Array,
    Implementation,
    Kind,
    Quantity,
    Tolerance,
)
from xentcheck.reference import Reference

Rows = npt.NDArray[np.intp]


SAMPLE = 16
"""Maximum number of rows of a case that are called again."""


SAMPLE_NUMBERS = 1 << 13
"""Maximum number of numbers in these rows together; under a reduction, in the whole block."""


ROUNDINGS = 32.0
"""Allowed difference in another layout or with another upstream gradient, beyond the tolerance.

The unit is a rounding of the largest number of the row.
"""


FAULT = np.array([*(kind not in NOTES for kind in KINDS), False])
"""By position in `KINDS`: whether the kind is a fault and not a note."""


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """One quantity of one case, with the results of the plain call and the exact results."""

    implementation: Implementation
    truth: Reference
    quantity: Quantity
    tolerance: Tolerance
    observed: Returned

    @property
    def case(self) -> Case:
        """The block of rows."""
        return self.truth.case

    @property
    def results(self) -> Array:
        """The results of the plain call."""
        assert self.observed.results is not None
        return self.observed.results

    def saw(self, kind: Kind) -> bool:
        """Whether the plain call, or its repetition, showed an incident of a kind."""
        return any(each.kind is kind for each in self.observed.incidents)

    def scores(self, results: Array, rows: Rows) -> Scores:
        """Scores of the results of some rows, by the tiers below the arbiter."""
        target = format_of(results.dtype)
        assert target is not None
        loss = LOSSES[self.case.loss]
        scoring = partial(
            score,
            quantity=self.quantity,
            tolerance=self.tolerance,
            nonnegative=loss.nonnegative and self.quantity is Quantity.VALUE,
            terms=self.case.classes,
        )

        def condition(of: Rows) -> Float64Array | None:
            if not conditioned(self.tolerance):
                return None
            return self.truth.condition(self.quantity, of, target.name)

        whole = self.truth.at(self.quantity, slice(0, self.case.rows))
        if not results.ndim:
            return scoring(results, whole, condition(np.arange(self.case.rows)))
        scores = scoring(results, whole.at(rows), condition(rows))
        for level in range(1, len(self.truth.tiers) - 1):
            where = np.flatnonzero(scores.undecided.reshape(len(rows), -1).any(axis=1))
            if len(where):
                sharper = self.truth.sharper(self.quantity, rows[where], level)
                again = scoring(results[where], sharper, condition(rows[where]))
                scores = scores.patched(where, again)
        return scores

    def right(self, results: Array, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which rows have only results that are certainly right; one answer for a scalar result."""
        scores = self.scores(results, rows)
        wrong = FAULT[scores.kinds] | scores.undecided | scores.near
        return np.asarray(~wrong.reshape(len(np.atleast_1d(results)), -1).any(axis=1))

    def faults(self, results: Array, rows: Rows) -> npt.NDArray[np.bool_]:
        """Which results are certainly at fault, in the shape of the results."""
        scores = self.scores(results, rows)
        return np.asarray(FAULT[scores.kinds] & ~scores.undecided & ~scores.near)

    def chosen(self, among: Rows, sample: int = SAMPLE) -> Rows:
        """At most ``sample`` of these rows with right plain results, from the first to the last."""
        most = min(sample, SAMPLE_NUMBERS // self.case.classes)
        if not len(among) or not most:
            return np.zeros(0, dtype=np.intp)
        few = spread_rows(among, 4 * most)
        return spread_rows(few[self.right(self.results[few], few)], most)

    @property
    def called(self) -> Rows:
        """The rows that have plain results."""
        return np.flatnonzero(self.observed.valid)

    @property
    def short(self) -> bool:
        """Whether the block is small enough to be called many times."""
        return self.case.rows * self.case.classes <= SAMPLE_NUMBERS


def spread_rows(rows: Rows, most: int) -> Rows:
    """At most ``most`` of these rows, equally spaced."""
    if len(rows) <= most:
        return rows
    return rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def apart(there: Array, plain: Array) -> npt.NDArray[np.bool_]:
    """Which results differ by more than `ROUNDINGS` roundings of the largest number of their row.

    Smaller differences come from another order of summation. They may move a result just beyond a
    limit that the plain result just meets.
    """
    target = format_of(there.dtype)
    assert target is not None
    a, b = to_float64(there), to_float64(plain)
    scale = np.abs(b)
    if b.ndim > 1:
        scale = np.fmax.reduce(scale, axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        near = np.abs(a - b) <= ROUNDINGS * 2.0**-target.precision * scale
    return np.asarray(~near)


def works(asked: Asked, caller: Caller, rows: Rows) -> bool:
    """Whether a call with packed arrays gives right results for these rows."""
    try:
        plain = caller.call(None if asked.case.reduced else rows)
    except CallError:
        return False
    return bool(asked.right(plain, rows).all())


def as_before(asked: Asked, caller: Caller, rows: Rows) -> bool:
    """Whether these rows, called without the others, give a steady and right gradient."""
    if asked.case.reduced:
        return True
    try:
        alone, again = caller.call(rows), caller.call(rows)
    except CallError:
        return False
    return bool(same_bits(again, alone).all() and asked.right(alone, rows).all())
