"""Count rows, and how many of them are distinct."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from xentcheck.deferred import np, npt
from xentcheck.model import Array, Case, Yield

MOST_COUNTED = 1 << 16
"""Distinct rows are counted up to this many rows; above it, only the number of rows is kept."""

_Hashes: TypeAlias = "npt.NDArray[np.uint64]"
_Key = tuple[str, str, str, str]

_HALF = 32
_DOWN = 44  # bits; moves sign and exponent of a float64 below bit 20
_ODD = 0x9E37_79B9_7F4A_7C15
_WORD = 8  # bytes
_BLOCK = 1 << 14  # words that are hashed at once; they fit in a core's cache


@dataclass(slots=True)
class RowCount:
    """Counts rows, and how many of them are distinct (bit by bit, with labels and parameters).

    64-bit hashes tell rows apart. Once a sweep, generator, loss and dtype have more than
    `MOST_COUNTED` rows, only the number of rows is kept.
    """

    _rows: dict[_Key, int] = field(default_factory=dict)
    _hashes: dict[_Key, list[_Hashes]] = field(default_factory=dict)

    def add(self, case: Case) -> None:
        """Count the rows of a case."""
        key = (case.sweep, case.generator, case.loss, case.dtype)
        if self._grow(key, case.rows):
            self._hashes.setdefault(key, []).append(_row_hashes(case))

    def merge(self, other: "RowCount") -> None:
        """Add the rows of another count."""
        for key, rows in other._rows.items():
            if self._grow(key, rows):
                self._hashes.setdefault(key, []).extend(other._hashes[key])

    def yields(self) -> tuple[Yield, ...]:
        """Return the counts per sweep, generator, loss and dtype."""
        return tuple(Yield(*key, rows, self._distinct(key)) for key, rows in self._rows.items())

    def _grow(self, key: _Key, rows: int) -> bool:
        """Count rows. Return whether they are few enough to keep their hashes."""
        self._rows[key] = self._rows.get(key, 0) + rows
        few = self._rows[key] <= MOST_COUNTED
        if not few:
            self._hashes.pop(key, None)
        return few

    def _distinct(self, key: _Key) -> int | None:
        hashes = self._hashes.get(key)
        return None if hashes is None else len(np.unique(np.concatenate(hashes)))


def tally(blocks: Iterable[Case]) -> tuple[Yield, ...]:
    """Count rows and distinct rows of cases per sweep, generator, loss and dtype.

    Skips cases that repeat rows of earlier cases.
    """
    counted = RowCount()
    for case in blocks:
        if not case.again:
            counted.add(case)
    return counted.yields()


def _row_hashes(case: Case) -> _Hashes:
    """Return a hash of each row (rows,): of its bits, labels, shape and parameters."""
    common = hashlib.blake2b(repr(case.logits.shape[1:]).encode(), digest_size=_WORD)
    parts = [case.logits] if case.labels is None else [case.logits, case.labels]
    for name, value in sorted(case.parameters.items()):
        common.update(name.encode() + b"=")
        if isinstance(value, np.ndarray) and value.ndim == 2:
            parts.append(value)
        else:
            content = value.tobytes() if isinstance(value, np.ndarray) else repr(value).encode()
            common.update(content + b";")
    start = int.from_bytes(common.digest(), "little")
    hashes = np.full(case.rows, start, dtype=np.uint64)
    for part in parts:
        hashes = _mixed(hashes + _content(part))
    return hashes


def _content(part: Array) -> _Hashes:
    """Return a hash of the bytes of each row (rows,)."""
    rows = np.ascontiguousarray(part).reshape(len(part), -1).view(np.uint8)
    padding = -rows.shape[1] % _WORD
    padded = np.pad(rows, ((0, 0), (0, padding))) if padding else rows
    words = padded.view(np.uint64)
    width = words.shape[1]
    factors = _factors(width)
    hashes = np.zeros(len(words), dtype=np.uint64)
    high = max(1, _BLOCK // width)
    for top in range(0, len(words), high):
        for left in range(0, width, _BLOCK):
            down, along = slice(top, top + high), slice(left, left + _BLOCK)
            hashes[down] += _folded(words[down, along], factors[along])
    return hashes


def _folded(words: _Hashes, factors: _Hashes) -> _Hashes:
    """Mix each word with the factor of its place, and return the sum of each row."""
    # Words may differ only in their topmost bits (signs, exponents of round numbers), and a product
    # carries upwards only. So the upper bits are shifted down between the two products.
    mixed = words * _ODD
    mixed ^= mixed >> _DOWN
    mixed *= factors
    return np.asarray(mixed.sum(axis=1, dtype=np.uint64))


def _mixed(hashes: _Hashes) -> _Hashes:
    hashes = np.asarray((hashes ^ (hashes >> _HALF)) * _ODD, np.uint64)
    return np.asarray(hashes ^ (hashes >> _HALF))


@lru_cache(maxsize=8)
def _factors(count: int) -> _Hashes:
    """Return ``count`` odd numbers, the same in every call."""
    drawn = np.random.default_rng(0).integers(0, 1 << 64, count, dtype=np.uint64)
    return drawn | np.uint64(1)
