"""Errors along an axis of a sweep, in a bounded number of bins."""

from dataclasses import dataclass

ERROR = "error"
"""The axis whose bins are the distribution of the errors."""

CONDITION = "condition number"
"""The axis of the condition numbers."""


@dataclass(frozen=True, slots=True)
class ProfileBin:
    """The rows whose number on the axis lies in one bin.

    Attributes:
        low: the lower edge of the bin, inclusive.
        high: the upper edge, exclusive; equal to ``low`` for a single number, such as 0.
        rows: number of rows.
        failing: number of rows with a fault.
        nan: number of rows with a NaN that should not be there.
        infinite: number of rows with an infinity where the exact result is finite.
        max_ulp: largest finite error in ulps, to three digits, and 0 below 2^-10: scores are not
            more accurate. NaN if no row has a finite error.
    """

    low: float
    high: float
    rows: int
    failing: int
    nan: int
    infinite: int
    max_ulp: float


@dataclass(frozen=True, slots=True)
class Profile:
    """The errors of a cell along one axis.

    The rows are those with a result: of the sweep, and those that a search found. Under a
    reduction a value is the result of its block, so a block counts as one row there. Rows without a
    finite number on an axis are not on it. The edges of the bins belong to the axis: they are the
    same for every cell. `xentcheck.measurement.axes` has them.

    Attributes:
        axis: the axis, one of these.

            ``largest logit``: the largest magnitude of a finite logit of the row. For an
            elementwise loss it is the magnitude of the logit.

            ``gap``: the distance of the label's logit from the largest other logit. The label of a
            distribution is the class with the largest mass. Without labels, and for a loss with
            a value per class, it is the largest logit minus the smallest.

            ``offset``: the distance of the finite logits from 0: the smallest magnitude if all
            have one sign, 0 otherwise.

            ``smallest probability``: the smallest of the row. For an elementwise loss it is that of
            p and 1 − p.

            ``negative log-probability``: the largest of the row.

            ``classes``: number of classes.

            ``condition number``: the largest finite one of the results of the row.

            ``error``: the error of the row in ulps. The bins are the distribution of the errors.
            Errors below 2^-10 ulp are in one bin.
        bins: the bins that have rows, in ascending order. They do not overlap.
    """

    axis: str
    bins: tuple[ProfileBin, ...]
