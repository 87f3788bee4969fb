"""Errors along an axis of a sweep, in a bounded number of bins."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProfileBin:
    """The rows whose number on the axis lies in one bin.

    Attributes:
        low: the lower edge of the bin, inclusive.
        high: the upper edge, exclusive; equal to ``low`` for a single number, such as a count.
        rows: number of rows.
        failing: number of rows with a fault.
        nan: number of rows with a NaN that should not be there.
        infinite: number of rows with an infinity that should not be there.
        max_ulp: largest finite error in ulps; NaN if no row has a finite error.
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

    Attributes:
        axis: the axis: ``largest logit``, ``gap``, ``offset``, ``classes``, ``condition number``
            or ``error``. The bins of ``error`` are the distribution of the errors in ulps.
        bins: the bins that have rows, in ascending order. They do not overlap.
    """

    axis: str
    bins: tuple[ProfileBin, ...]
