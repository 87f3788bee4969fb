"""Quantiles of a stream of errors in bounded memory.

Up to `EXACT` numbers are kept as they are. Beyond, they are counted in buckets of 2^-10 relative
width (the upper 21 bits of a float64: exponent and ten bits of the significand), and a quantile is
the upper end of its bucket: above the true one by at most 0.1 %, and never below it unless that is
below 2^-1032, which counts as 0. Adding and merging in any order gives the same.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xentcheck.model import Float64Array

EXACT = 1 << 16
_SHIFT = 42  # of 52 bits of significand ten are kept


@dataclass(slots=True)
class Quantiles:
    """Counts finite numbers ≥ 0, and tells their quantiles."""

    count: int = 0
    largest: float = float("nan")
    _kept: list[Float64Array] = field(default_factory=list)
    _buckets: dict[int, int] = field(default_factory=dict)

    def add(self, numbers: Float64Array) -> None:
        """Take in an array of finite numbers ≥ 0."""
        if not len(numbers):
            return
        self.largest = float(np.fmax(self.largest, numbers.max()))
        self.count += len(numbers)
        if self._buckets:
            self._spill(numbers)
            return
        self._kept.append(numbers)
        if self.count > EXACT:
            for each in self._kept:
                self._spill(each)
            self._kept = []

    def merge(self, other: "Quantiles") -> None:
        """Take in all that another one has."""
        for numbers in other._kept:
            self.add(numbers)
        if not other._buckets:
            return
        for numbers in self._kept:
            self._spill(numbers)
        self._kept = []
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.count += sum(other._buckets.values())
        self.largest = float(np.fmax(self.largest, other.largest))

    def at(self, share: float) -> float:
        """The smallest number (or bucket's end) that at least this share does not exceed."""
        if not self.count:
            return float("nan")
        if not self._buckets:
            return float(np.quantile(np.concatenate(self._kept), share, method="higher"))
        buckets = np.array(sorted(self._buckets), dtype=np.int64)
        reached = np.cumsum([self._buckets[bucket] for bucket in buckets.tolist()])
        # the position that method="higher" takes: ceil(share · (count − 1)), from 0
        position = int(np.ceil(share * (self.count - 1)))
        found = buckets[int(np.searchsorted(reached, position, side="right"))]
        return min(float(_upper_end(found)), self.largest)

    def _spill(self, numbers: Float64Array) -> None:
        keys = np.ascontiguousarray(numbers).view(np.int64) >> _SHIFT
        lowest = int(keys.min())
        counts = np.bincount(keys - lowest)
        for place in np.flatnonzero(counts).tolist():
            bucket = lowest + place
            self._buckets[bucket] = self._buckets.get(bucket, 0) + int(counts[place])


def _upper_end(bucket: np.int64) -> np.float64:
    """The largest number of a bucket; the lowest one counts as zero."""
    if bucket == 0:
        return np.float64(0.0)
    last: npt.NDArray[np.int64] = np.array(((int(bucket) + 1) << _SHIFT) - 1, dtype=np.int64)
    return np.float64(last.view(np.float64))
