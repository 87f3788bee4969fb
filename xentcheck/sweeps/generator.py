"""What a generator is, what it is asked for, and what it gives."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np

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
    """What a generator is to produce: its options, for what kind of input, in what format.

    ``loss`` is the id of the loss that the rows are for, ``label_kind`` what its labels are.
    ``stream`` opens the generator's own random streams. Draws from them must not depend on
    ``format``, so that every dtype of a sweep sees the same numbers before rounding.
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
        """The class counts asked for; (0,) for an elementwise loss, which has none."""
        return tuple(self.options["classes"]) if self.layout is Layout.ROWS else (0,)


class LabelMaker(Protocol):
    """Makes the labels of the rows from a first one up to a last one, which is left out."""

    def __call__(self, first: int, last: int, *, logarithmic: bool) -> Array | None:
        """The labels; ``logarithmic``: as log-probabilities instead of probabilities."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where recorded rows are from, and the shape that they had there, for messages."""

    array: str = ""
    lead: tuple[int, ...] = ()

    def row(self, number: int) -> str:
        """The place of a row: by its number, or by an index for every axis it had."""
        place = f"row {number}"
        if len(self.lead) > 1:
            index = np.unravel_index(number, self.lead)
            place = f"place ({', '.join(str(int(each)) for each in index)})"
        return f"{self.array}, {place}" if self.array else place


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Rows that are yet to be made: (rows, classes), or (rows,) where ``classes`` is 0.

    ``make`` gives some of them, in float64 before they are rounded, or already in the format; it
    needs none of the others. ``verbatim``: they are in the loss's domain; otherwise they are
    logits, to be taken there. ``saturate``: a finite number beyond the format becomes its largest
    one instead of infinity. ``distinct``: rows that became equal by rounding are wanted once
    (among those made together). ``labels``: came with the rows, and are used where they fit the
    loss; or they are made with the rows, when they are asked for. ``period``: so many rows, with
    all their labels, stand over and over in the place of the others (0: they do not); they are one
    case, of a reduction one result. ``origin``: of labels that came with the rows.
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
    """A batch of rows that are at hand; ``treatment``: the other fields of `Batch`."""
    classes = array.shape[1] if array.ndim == 2 else 0
    return Batch(len(array), classes, lambda first, last: array[first:last], **treatment)


def stack_of(pieces: Sequence[tuple[int, Maker]], classes: int, **treatment: Any) -> Batch:
    """A batch of pieces one below the other; each is a number of rows and their maker."""
    rows = sum(count for count, _ in pieces)
    return Batch(rows, classes, partial(stacked, pieces), **treatment)


def _no_obstacle(_request: Request) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Generator:
    """A way to make inputs, with the options a configuration may give it.

    ``obstacle`` says why a request that fits the layout cannot be met, or "". ``adaptive``: its
    rows depend on the implementation, and are found while that is audited; ``produce`` gives none.
    """

    name: str
    summary: str
    options: tuple[Option, ...]
    layouts: frozenset[Layout]
    produce: Callable[[Request], Iterator[Batch]]
    obstacle: Callable[[Request], str] = _no_obstacle
    adaptive: bool = False

    def reason_against(self, request: Request) -> str:
        """Why this generator has nothing to give for the request; "" if it has."""
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
    """Every option of the generator: as given, or else its default; axes as tuples.

    Numbers given by name (``max``) take their value from ``dtype``, and stay names without one.
    Raises UsageError for an option the generator lacks, and for a required one not given.
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
    """The random stream of one place in a sweep, independent of every other place.

    The place (sweep, position of the input, purpose, …) is hashed together with the seed, so
    adding a sweep or a loss elsewhere moves no draw here.
    """
    text = "\0".join(map(str, (seed, *place)))
    entropy = int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")
    return np.random.default_rng(entropy)
