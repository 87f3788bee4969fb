"""Counts rows and their errors in the bins of the axes, in bounded memory.

The bins are fixed (`xentcheck.measurement.axes`). So the order of adding and merging does not
change a profile.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xentcheck.measurement.axes import AXES, CODES, NOWHERE, Codes, binned
from xentcheck.measurement.scoring import DECISIVE
from xentcheck.model import Float64Array, Profile, ProfileBin
from xentcheck.model.profiles import ERROR

Rows = npt.NDArray[np.bool_]
_Counts = npt.NDArray[np.int64]

_DIGITS = 3
"""Significant digits of the largest error of a bin: scores are settled to 2^-10 of themselves."""


_BINS = {
    code: (axis.name, *axis.bin(code))
    for axis in AXES.values()
    for code in range(axis.first, axis.end)
}
"""The axis and the edges of each bin, by code."""


def _no_counts() -> _Counts:
    return np.zeros(CODES, dtype=np.int64)


def _no_errors() -> Float64Array:
    return np.full(CODES, -1.0)


@dataclass(slots=True, eq=False)
class Profiles:
    """What the rows of a cell add to the bins of every axis, by code of the bin.

    Attributes:
        results: number of rows so far.
        rows: number of rows by bin.
        counts: number of rows by bin that are faults, have a NaN, an infinity, or a result that
            flushing would explain.
        worst: the largest finite error in ulps; -1 without one.
    """

    results: int = 0
    rows: _Counts = field(default_factory=_no_counts)
    counts: dict[str, _Counts] = field(default_factory=dict)
    worst: Float64Array = field(default_factory=_no_errors)

    def add(self, codes: Codes, worst: Float64Array, **marked: Rows) -> None:
        """Add rows.

        Args:
            codes: (axes, rows), the bins of the rows.
            worst: (rows,), the error of each row in ulps; -1 without a finite one.
            marked: (rows,) masks of the rows to count: ``failing``, ``nan``, ``infinite``,
                ``flushed``.
        """
        errors = binned({ERROR: worst})
        errors[:, worst < 0] = NOWHERE
        every = np.concatenate([codes, errors])
        self.results += len(worst)
        self.rows += np.bincount(every.ravel(), minlength=CODES)
        for bins in every.astype(np.intp):
            np.maximum.at(self.worst, bins, worst)
        for name, mask in marked.items():
            if mask.any():
                self._count(name, np.bincount(every[:, mask].ravel(), minlength=CODES))

    def merge(self, other: "Profiles") -> None:
        """Add the rows of another part."""
        self.results += other.results
        self.rows += other.rows
        for name, counts in other.counts.items():
            self._count(name, counts)
        np.maximum(self.worst, other.worst, out=self.worst)

    def _count(self, name: str, counts: _Counts) -> None:
        if name in self.counts:
            self.counts[name] += counts
        else:
            self.counts[name] = counts.copy()

    def closed(self, *, flushes: bool) -> tuple[Profile, ...]:
        """The profiles along every axis on which rows lie in several bins, and the errors.

        Args:
            flushes: the implementation flushes subnormal results: what flushing explains is no
                fault.
        """
        if self.results < 2:
            return ()
        none = np.zeros(CODES, dtype=np.int64)
        failing, nan, infinite, flushed = (
            self.counts.get(name, none) for name in ("failing", "nan", "infinite", "flushed")
        )
        counted = (self.rows, failing if flushes else failing + flushed, nan, infinite)
        codes = np.flatnonzero(self.rows[NOWHERE + 1 :]) + NOWHERE + 1
        counts = (each[codes].tolist() for each in counted)
        errors = map(_rounded, self.worst[codes].tolist())
        bins: dict[str, list[ProfileBin]] = {}
        for code, *numbers, error in zip(codes.tolist(), *counts, errors, strict=True):
            axis, low, high = _BINS[code]
            rows, at_fault, nans, infinities = numbers
            found = ProfileBin(low, high, rows, at_fault, nans, infinities, error)
            bins.setdefault(axis, []).append(found)
        return tuple(
            Profile(axis, tuple(each)) for axis, each in bins.items() if len(each) > (axis != ERROR)
        )


def _rounded(error: float) -> float:
    """An error as a profile has it; 0 if a score does not tell it from 0, NaN below 0."""
    if error < DECISIVE:
        return 0.0 if error >= 0 else math.nan
    return float(f"{error:.{_DIGITS}g}")
