"""Quantiles of a stream of errors in bounded memory.

Up to `EXACT` numbers are kept as they are. More are counted in buckets of 2^-10 relative width (the
upper 21 bits of a float64: exponent and ten bits of the significand). A quantile is then the upper
end of its bucket: above the true one by at most 0.1 %, and never below it. Numbers below 2^-1022
count as 0. The order of adding and merging does not change the quantiles.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xentcheck.model import Float64Array

EXACT = 1 << 16
"""Number of errors that are kept exactly."""

_SHIFT = 42  # drops this many of the 52 bits of the significand, and keeps ten
_FIRST = 1 << (52 - _SHIFT)  # the bucket of the smallest normal number

_Counts = npt.NDArray[np.int64]


def _no_counts() -> _Counts:
    return np.zeros(0, dtype=np.int64)


@dataclass(slots=True)
class Quantiles:
    """Quantiles of finite numbers ≥ 0.

    It holds the buckets from the lowest to the highest one seen. Zeros have a bucket of their own.
    """

    count: int = 0
    largest: float = float("nan")
    _kept: list[Float64Array] = field(default_factory=list)
    _zeros: int = 0
    _lowest: int = 0
    _counts: _Counts = field(default_factory=_no_counts)

    def add(self, numbers: Float64Array) -> None:
        """Add an array of finite numbers ≥ 0."""
        if not len(numbers):
            return
        self.largest = float(np.fmax(self.largest, numbers.max()))
        self.count += len(numbers)
        if self._spilt:
            self._spill(numbers)
            return
        self._kept.append(numbers)
        if self.count > EXACT:
            self._spill_kept()

    def merge(self, other: "Quantiles") -> None:
        """Add all numbers of another one."""
        for numbers in other._kept:
            self.add(numbers)
        if not other._spilt:
            return
        self._spill_kept()
        self._zeros += other._zeros
        self._count(other._lowest, other._counts)
        self.count += other.count
        self.largest = float(np.fmax(self.largest, other.largest))

    def at(self, share: float) -> float:
        """The smallest number, or end of a bucket, that is not below at least this share of all."""
        if not self.count:
            return float("nan")
        if not self._spilt:
            return float(np.quantile(np.concatenate(self._kept), share, method="higher"))
        # method="higher" takes this position, counted from 0: ceil(share · (count − 1))
        position = int(np.ceil(share * (self.count - 1)))
        if position < self._zeros:
            return 0.0
        reached = self._zeros + np.cumsum(self._counts)
        bucket = self._lowest + int(np.searchsorted(reached, position, side="right"))
        last: npt.NDArray[np.int64] = np.array(((bucket + 1) << _SHIFT) - 1, dtype=np.int64)
        return min(float(last.view(np.float64)), self.largest)

    @property
    def _spilt(self) -> bool:
        return bool(self._zeros or len(self._counts))

    def _spill_kept(self) -> None:
        for each in self._kept:
            self._spill(each)
        self._kept = []

    def _spill(self, numbers: Float64Array) -> None:
        keys = np.ascontiguousarray(numbers).view(np.int64) >> _SHIFT
        lowest = int(keys.min())
        if lowest < _FIRST:
            keys = keys[keys >= _FIRST]
            self._zeros += len(numbers) - len(keys)
            if not len(keys):
                return
            lowest = int(keys.min())
        keys -= lowest
        self._count(lowest, np.bincount(keys))

    def _count(self, lowest: int, counts: _Counts) -> None:
        """Add the counts of consecutive buckets. The range of buckets grows if needed."""
        if not len(counts):
            return
        if not len(self._counts):
            self._lowest, self._counts = lowest, counts.astype(np.int64)
            return
        first = min(lowest, self._lowest)
        end = max(lowest + len(counts), self._lowest + len(self._counts))
        if end - first > len(self._counts):
            held = np.zeros(end - first, dtype=np.int64)
            held[self._lowest - first :][: len(self._counts)] = self._counts
            self._lowest, self._counts = first, held
        self._counts[lowest - self._lowest :][: len(counts)] += counts
