"""Rows that are made on demand. Any range of rows can be made without the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from xentcheck.deferred import np
from xentcheck.model import Array

MOST_ELEMENTS = 1 << 20
"""Largest count of numbers that are made at once; a longer row is made whole."""

MOST_REDUCED = 1 << 24
"""Largest count of numbers that are reduced at once. An input up to this size is reduced whole."""

Maker = Callable[[int, int], Array]
"""Makes the rows from a first one up to a last one, which is left out."""

Stream: TypeAlias = "Callable[..., np.random.Generator]"
"""Opens a generator's own random stream; with arguments, the stream of a place within it."""

Sampler: TypeAlias = "Callable[[np.random.Generator, tuple[int, ...]], Array]"
"""Draws rows of the given shape, (rows, classes) or (rows,)."""


def chunk_rows(classes: int, *, reduced: bool = False) -> int:
    """Return how many rows of ``classes`` numbers (0: elementwise) are made at once; at least 1.

    ``reduced``: return how many rows a reduction takes at once.
    """
    return max(1, (MOST_REDUCED if reduced else MOST_ELEMENTS) // max(1, classes))


def stacked(pieces: Sequence[tuple[int, Maker]], first: int, last: int) -> Array:
    """Return rows ``first`` up to ``last`` of pieces that lie one below the other.

    Each piece is a number of rows and their maker.
    """
    made = []
    start = 0
    for count, make in pieces:
        low, high = max(first - start, 0), min(last - start, count)
        if low < high:
            made.append(make(low, high))
        start += count
    return made[0] if len(made) == 1 else np.concatenate(made)


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Random rows of a `Series`, in chunks. A chunk is drawn without the chunks before it."""

    series: Series
    number: int
    rows: int
    classes: int
    sample: Sampler

    def between(self, first: int, last: int) -> Array:
        """Return rows ``first`` up to ``last``. Draws every chunk that holds some of them."""
        size = chunk_rows(self.classes)
        made = []
        for chunk in range(first // size, -(-last // size)):
            start = chunk * size
            made.append(self._chunk(chunk)[max(first - start, 0) : last - start])
        return made[0] if len(made) == 1 else np.concatenate(made)

    def _chunk(self, chunk: int) -> Array:
        size = chunk_rows(self.classes)
        rng = self.series.stream_of(self.number, chunk)
        return self.draw(rng, min(size, self.rows - chunk * size))

    def draw(self, rng: np.random.Generator, rows: int) -> Array:
        """Draw ``rows`` rows from a stream."""
        return self.sample(rng, (rows, self.classes) if self.classes else (rows,))


class Series:
    """The draws of one generator, and the random stream of each of their chunks.

    The first draws share one stream, one after the other, as long as the draws before them hold no
    more than `MOST_ELEMENTS` numbers. To reach a place in this stream, the numbers before it are
    drawn again. Every other chunk has its own stream.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._draws: list[Draws] = []
        self._sharing = 0  # number of draws that begin in the shared stream
        self._elements = 0
        self._states: list[Any] = []  # state of the shared stream before each of the first draws

    def draws(self, rows: int, classes: int, sample: Sampler) -> Draws:
        """Add draws to the series and return them; ``classes`` is 0 for single numbers."""
        made = Draws(self, len(self._draws), rows, classes, sample)
        self._draws.append(made)
        if self._elements <= MOST_ELEMENTS:
            self._sharing += 1
        self._elements += rows * max(1, classes)
        return made

    def stream_of(self, number: int, chunk: int) -> np.random.Generator:
        """Return the stream of a chunk of the draws with this number."""
        if chunk or number >= self._sharing:
            return self._stream("draws", number, chunk)
        rng = self._stream()
        if not self._states:
            self._states.append(rng.bit_generator.state)
        known = min(number, len(self._states) - 1)
        rng.bit_generator.state = self._states[known]
        for each in self._draws[known:number]:
            each.draw(rng, each.rows)
            self._states.append(rng.bit_generator.state)
        return rng
