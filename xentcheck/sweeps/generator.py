"""Generators, the requests that they get, and the batches that they return."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from xentcheck.deferred import np
from xentcheck.errors import UsageError, did_you_mean
from xentcheck.floats import Format
from xentcheck.model import Array, Domain, LabelKind, Layout, Option
from xentcheck.reading.numbers import parse_number
from xentcheck.sweeps.rows import Maker, Stream, stacked

EVERY_LAYOUT = frozenset(Layout)
ROWS_ONLY = frozenset({Layout.ROWS})
DOMAIN_BOUNDS: Mapping[Domain, tuple[float, float]] = {
    Domain.LOGITS: (-math.inf, math.inf),
    Domain.PROBABILITIES: (0.0, 1.0),
    Domain.LOG_PROBABILITIES: (-math.inf, 0.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A request to a generator: its options, the kind of input and the format.

    ``loss`` is the id of the loss that gets the rows, ``label_kind`` the kind of its labels.
    ``stream`` opens the generator's own random streams. Draws from them must not depend on
    ``format``: every dtype of a sweep gets the same numbers before rounding.
    """

    options: Mapping[str, Any]
    layout: Layout
    domain: Domain
    format: Format
    stream: Stream
    loss: str
    label_kind: LabelKind

    @property
    def widths(self) -> tuple[int, ...]:
        """The class counts of the request; (0,) for an elementwise loss."""
        return tuple(self.options["classes"]) if self.layout is Layout.ROWS else (0,)


class LabelMaker(Protocol):
    """Makes the labels of the rows from a first one up to a last one, which is left out."""

    def __call__(self, first: int, last: int, *, logarithmic: bool) -> Array | None:
        """Return the labels; ``logarithmic``: as log-probabilities instead of probabilities."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The array that recorded rows come from, and its leading shape. Used in messages."""

    array: str = ""
    lead: tuple[int, ...] = ()

    def row(self, number: int) -> str:
        """Name a row by its number, or by one index per axis if the array had several."""
        place = f"row {number}"
        if len(self.lead) > 1:
            index = np.unravel_index(number, self.lead)
            place = f"place ({', '.join(str(int(each)) for each in index)})"
        return f"{self.array}, {place}" if self.array else place


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows that are not made yet: (rows, classes), or (rows,) if ``classes`` is 0.

    * ``make`` makes any range of the rows without the others: in float64 before rounding, or in the
      format.
    * ``verbatim``: the rows are in the loss's domain. Otherwise they are logits, and are converted.
    * ``saturate``: a finite number beyond the format becomes its largest number, not infinity.
    * ``distinct``: rows that become equal by rounding are kept once (among rows made together).
    * ``labels``: an array, used if it fits the loss, or a function that makes the labels.
    * ``period``: number of rows that repeat, with all their labels, to fill the batch (0: rows do
      not repeat). The batch is one case, and a reduction gives one result.
    * ``origin``: where the array of labels comes from.
    """

    rows: int
    classes: int
    make: Maker
    verbatim: bool = False
    saturate: bool = True
    distinct: bool = False
    labels: Array | LabelMaker | None = None
    period: int = 0
    origin: Origin = Origin()


def batch_of(array: Array, **treatment: Any) -> Batch:
    """Make a batch of existing rows; ``treatment``: the other fields of `Batch`."""
    classes = array.shape[1] if array.ndim == 2 else 0
    return Batch(len(array), classes, lambda first, last: array[first:last], **treatment)


def stack_of(pieces: Sequence[tuple[int, Maker]], classes: int, **treatment: Any) -> Batch:
    """Make a batch of pieces one below the other. Each is a number of rows and their maker."""
    rows = sum(count for count, _ in pieces)
    return Batch(rows, classes, partial(stacked, pieces), **treatment)


def _no_obstacle(_request: Request) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Generator:
    """A way to make inputs, and the options that a configuration may set.

    ``obstacle`` says why it has no rows for a request of a fitting layout, or "". ``adaptive``: the
    rows depend on the implementation and are found during its audit; ``produce`` yields no batch.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    layouts: frozenset[Layout]
    produce: Callable[[Request], Iterator[Batch]]
    obstacle: Callable[[Request], str] = _no_obstacle
    adaptive: bool = False

    def reason_against(self, request: Request) -> str:
        """Say why this generator has no rows for the request; "" if it has."""
        if request.layout not in self.layouts:
            return f"{self.name} makes {_plural(self.layouts)}, and this loss takes " + (
                "single numbers" if request.layout is Layout.ELEMENTWISE else "rows of classes"
            )
        return self.obstacle(request)


def _plural(layouts: frozenset[Layout]) -> str:
    return "rows of classes" if Layout.ROWS in layouts else "single numbers"


def with_defaults(
    generator: Generator, options: Mapping[str, Any], dtype: str | None = None
) -> dict[str, Any]:
    """Return every option of the generator: as given, or its default. Axes become tuples.

    Numbers given by name (``max``) get their value from ``dtype``; without a dtype they stay names.
    Raises UsageError for an unknown option and for a missing required one.
    """
    known = {option.name: option for option in generator.options}
    for name in options:
        if name not in known:
            message = f"generator {generator.name} has no option {name!r}"
            raise UsageError(message + did_you_mean(name, known))
    filled: dict[str, Any] = {}
    for name, option in known.items():
        if option.required and name not in options:
            message = f"generator {generator.name} needs the option {name!r}: {option.doc}"
            raise UsageError(message)
        value = options.get(name, option.default)
        if option.many:
            value = tuple(value) if isinstance(value, list | tuple) else (value,)
        if dtype is not None and option.kind in ("real", "rows"):
            value = _resolved(value, dtype)
        filled[name] = value
    return filled


def _resolved(value: Any, dtype: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(_resolved(each, dtype) for each in value)
    return parse_number(value, dtype) if isinstance(value, str) else value


def stream(seed: int, *place: object) -> np.random.Generator:
    """Open the random stream of one place in a sweep, independent of every other place.

    The seed and the place (sweep, position of the input, purpose, …) are hashed together. So a new
    sweep or loss elsewhere does not change the draws here.
    """
    text = "\0".join(map(str, (seed, *place)))
    entropy = int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")
    return np.random.default_rng(entropy)
