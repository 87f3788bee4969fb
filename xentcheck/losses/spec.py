"""What a loss declares: everything the other rooms need to know about it.

A loss states its formula twice, over an abstract `Arithmetic`: as the textbook has it
(``definition``), and rearranged so that nothing cancels (``evaluate``). The two are algebraically
the same function; the reference evaluates the second for every row and holds it against the first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

import numpy as np
import numpy.typing as npt

from xentcheck.model import Accepts, Domain, Float64Array, LabelKind, Layout, Parameter, Quantity


class Number(Protocol):
    """A real number in some arithmetic; operators mix with ints and floats, taken as exact."""

    @property
    def is_zero(self) -> bool:
        """Whether it is exactly zero."""

    def __add__(self, other: Any, /) -> "Number": ...
    def __radd__(self, other: Any, /) -> "Number": ...
    def __sub__(self, other: Any, /) -> "Number": ...
    def __rsub__(self, other: Any, /) -> "Number": ...
    def __mul__(self, other: Any, /) -> "Number": ...
    def __rmul__(self, other: Any, /) -> "Number": ...
    def __truediv__(self, other: Any, /) -> "Number": ...
    def __rtruediv__(self, other: Any, /) -> "Number": ...
    def __neg__(self) -> "Number": ...


class Arithmetic(Protocol):
    """The operations a formula is written in."""

    def number(self, value: float) -> Number:
        """The exact real number that a finite float stands for."""

    def exp(self, x: Any) -> Number:
        """e^x."""

    def log(self, x: Any) -> Number:
        """Natural logarithm of x > 0."""

    def log1p(self, x: Any) -> Number:
        """log(1 + x) for x > -1, without forming 1 + x where that would lose x."""

    def power(self, x: Any, exponent: float) -> Number:
        """x^exponent for x > 0."""

    def total(self, terms: Sequence[Any], counts: Sequence[int] | None = None) -> Number:
        """The sum of the terms, each taken ``counts`` times."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row as exact float64 numbers.

    ``x`` is (classes,); a single number for elementwise losses. ``label`` is an int (integer
    labels, may be the ignored one), a float64 array (distribution), a float (target) or None.
    Vector parameters are float64 arrays, and per-row ones are already this row's.
    """

    x: Float64Array
    label: Any
    parameters: Mapping[str, Any]
    label_kind: LabelKind


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The rows of a case, or some of them, as exact float64 numbers.

    ``x`` is (rows, classes), or (rows,) for elementwise losses. ``labels`` is int64 (rows,),
    float64 (rows, classes) or (rows,), or None. Array parameters are float64, those of two
    dimensions (rows, classes).
    """

    x: Float64Array
    labels: npt.NDArray[Any] | None
    parameters: Mapping[str, Any]
    label_kind: LabelKind

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return int(self.x.shape[0])

    def row(self, number: int) -> Row:
        """One of its rows."""
        label: Any = None
        if self.labels is not None:
            label = self.labels[number]
            if self.label_kind is LabelKind.INTEGER:
                label = int(label)
            elif self.label_kind is LabelKind.TARGET:
                label = float(label)
        return Row(self.x[number], label, picked(self.parameters, number), self.label_kind)

    def part(self, rows: Any) -> "Block":
        """Some of its rows, by a NumPy index of one dimension."""
        return Block(
            self.x[rows],
            None if self.labels is None else self.labels[rows],
            picked(self.parameters, rows),
            self.label_kind,
        )


def picked(parameters: Mapping[str, Any], rows: Any) -> dict[str, Any]:
    """The parameters of some rows: arrays of two dimensions have one row each."""
    return {
        name: value[rows] if isinstance(value, np.ndarray) and value.ndim == 2 else value
        for name, value in parameters.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class ExactValue:
    """One exact result: a `Number`, or a float for NaN and the infinities (and exact zero).

    ``accepts``: what else the convention lets an implementation return.
    """

    number: Number | float
    accepts: Accepts = Accepts.NOTHING


Item = TypeVar("Item")


class Deferred(Sequence[Item]):
    """A sequence whose items are made when they are first asked for: a vocabulary has many."""

    __slots__ = ("_count", "_made", "_make")

    def __init__(self, count: int, make: Callable[[int], Item]) -> None:
        self._count = count
        self._make = make
        self._made: dict[int, Item] = {}

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | Sequence[Item]:
        if isinstance(place, slice):
            return [self[k] for k in range(*place.indices(self._count))]
        if not -self._count <= place < self._count:
            raise IndexError(place)
        k = place % self._count
        if k not in self._made:
            self._made[k] = self._make(k)
        return self._made[k]


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Results of one row: ``outcomes[index[i]]`` is component i; no index means in order.

    Sharing outcomes between equal components keeps a vocabulary of equal logits cheap.
    """

    outcomes: Sequence[ExactValue]
    index: npt.NDArray[np.intp] | None = None

    def at(self, component: int) -> ExactValue:
        """One of the results."""
        return self.outcomes[component if self.index is None else int(self.index[component])]


@dataclass(frozen=True, slots=True, eq=False)
class RowResult:
    """Value (one component, or one per class) and gradient (one per class) of a row."""

    value: Components
    gradient: Components


Evaluator = Callable[[Arithmetic, Row], RowResult]
Conditioner = Callable[[Block, Float64Array, Float64Array, Quantity], Float64Array]


def roundings(terms: int) -> float:
    """By how many roundings a sum of that many terms is off, in whatever order: about √n.

    Condition numbers count them, as they count the one of the result itself: a sound formula adds
    its terms in the dtype, and cannot be held to less.

    Source: N. Higham and T. Mary, "A new approach to probabilistic rounding error analysis", SIAM
    J. Sci. Comput. 41(5), 2019.
    """
    return math.sqrt(max(terms - 1, 0))


def _ones(block: Block) -> Float64Array:
    return np.ones(block.rows)


@dataclass(frozen=True, slots=True)
class Loss:
    """A mathematical function with parameters and a domain.

    ``per_class``: the value is one number per class instead of one per row. ``label_kinds``: the
    first is the default. ``nonnegative``: the exact value is never below 0.
    ``definition`` covers finite rows in the interior of the domain; ``evaluate`` covers every row,
    by the ``limit`` convention.
    ``row_weights`` is what each row adds to the denominator of ``reduction: mean``.
    ``condition`` gives the condition numbers of one quantity in float64, of its shape, from a block
    and its approximate exact values and gradients.
    """

    id: str
    summary: str
    formula: str
    gradient_formula: str
    domain: Domain
    layout: Layout
    label_kinds: tuple[LabelKind, ...]
    conventions: tuple[str, ...]
    units: str
    source: str
    evaluate: Evaluator
    definition: Evaluator
    condition: Conditioner
    parameters: tuple[Parameter, ...] = ()
    per_class: bool = False
    nonnegative: bool = False
    reducible: bool = True
    row_weights: Callable[[Block], Float64Array] = _ones

    def __reduce__(self) -> tuple[Callable[[str], "Loss"], tuple[str]]:
        """A loss is sent to other processes by its name: its functions are no values."""
        return _declared, (self.id,)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((each for each in self.parameters if each.name == name), None)


def _declared(name: str) -> Loss:
    from xentcheck.losses import LOSSES  # noqa: PLC0415  (it imports this module)

    return LOSSES[name]
