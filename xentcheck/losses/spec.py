"""The declaration of a loss: everything that other packages need to know about it.

A loss states its formula twice, over an abstract `Arithmetic`. ``definition`` is the textbook
formula. ``evaluate`` is rearranged so that nothing cancels. Algebraically they are the same
function. The reference uses ``evaluate`` for every row and checks it against ``definition``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, overload

from xentcheck.deferred import np, npt
from xentcheck.losses.shapes import ONE_PER_CLASS, ONE_PER_ROW, Shape, Shapes
from xentcheck.model import (
    Accepts,
    Case,
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    Parameter,
    Quantity,
)
from xentcheck.model.inputs import picked


class Number(Protocol):
    """A real number in some arithmetic. Operators also take ints and floats, as exact numbers."""

    @property
    def is_zero(self) -> bool:
        """Whether the number is exactly zero."""

    def __add__(self, other: Any, /) -> Number: ...
    def __radd__(self, other: Any, /) -> Number: ...
    def __sub__(self, other: Any, /) -> Number: ...
    def __rsub__(self, other: Any, /) -> Number: ...
    def __mul__(self, other: Any, /) -> Number: ...
    def __rmul__(self, other: Any, /) -> Number: ...
    def __truediv__(self, other: Any, /) -> Number: ...
    def __rtruediv__(self, other: Any, /) -> Number: ...
    def __neg__(self) -> Number: ...


class Arithmetic(Protocol):
    """The operations that formulas are written with."""

    def number(self, value: float) -> Number:
        """The exact real number of a finite float."""

    def exp(self, x: Any) -> Number:
        """e^x."""

    def log(self, x: Any) -> Number:
        """Natural logarithm of x > 0."""

    def log1p(self, x: Any) -> Number:
        """log(1 + x) for x > -1, without losing a small x in the sum 1 + x."""

    def power(self, x: Any, exponent: float) -> Number:
        """x^exponent for x > 0."""

    def total(self, terms: Sequence[Any], counts: Sequence[int] | None = None) -> Number:
        """The sum of the terms; term i counts ``counts[i]`` times, or once without ``counts``."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One row as exact float64 numbers.

    ``x`` has shape (classes,), or is a single number for an elementwise loss. ``label`` is an int
    (an integer label, possibly the ignored one), a float64 array (distribution), a float (target)
    or None. Vector parameters are float64 arrays. Per-row parameters contain this row only.
    """

    x: Float64Array
    label: Any
    parameters: Mapping[str, Any]
    label_kind: LabelKind


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """All rows of a case, or some of them, as exact float64 numbers.

    ``x`` has shape (rows, classes), or (rows,) for an elementwise loss. ``labels`` is int64
    (rows,), float64 (rows, classes) or (rows,), or None. Array parameters are float64.
    Two-dimensional ones have shape (rows, classes).
    """

    x: Float64Array
    labels: npt.NDArray[Any] | None
    parameters: Mapping[str, Any]
    label_kind: LabelKind

    @property
    def rows(self) -> int:
        """The number of rows."""
        return int(self.x.shape[0])

    def row(self, number: int) -> Row:
        """The row at this index."""
        label: Any = None
        if self.labels is not None:
            label = self.labels[number]
            if self.label_kind is LabelKind.INTEGER:
                label = int(label)
            elif self.label_kind is LabelKind.TARGET:
                label = float(label)
        return Row(self.x[number], label, picked(self.parameters, number), self.label_kind)

    def part(self, rows: Any) -> Block:
        """The rows at a one-dimensional NumPy index, as a block."""
        return Block(
            self.x[rows],
            None if self.labels is None else self.labels[rows],
            picked(self.parameters, rows),
            self.label_kind,
        )


@dataclass(frozen=True, slots=True, eq=False)
class ExactValue:
    """One exact result: a `Number`, or a float for NaN, an infinity or exact zero.

    ``accepts`` says what else the convention lets an implementation return.
    """

    number: Number | float
    accepts: Accepts = Accepts.NOTHING


Item = TypeVar("Item")


class Deferred(Sequence[Item]):
    """A sequence that makes each item on first access, because a vocabulary has many items."""

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
    """Results of one row: component i is ``outcomes[index[i]]``, or ``outcomes[i]`` without index.

    Equal components share an outcome, which keeps a vocabulary of equal logits cheap.
    """

    outcomes: Sequence[ExactValue]
    index: npt.NDArray[np.intp] | None = None

    def at(self, component: int) -> ExactValue:
        """The result of one component."""
        return self.outcomes[component if self.index is None else int(self.index[component])]


@dataclass(frozen=True, slots=True, eq=False)
class RowResult:
    """The value (one component, or one per class) and gradient (one per class) of a row."""

    value: Components
    gradient: Components


Evaluator = Callable[[Arithmetic, Row], RowResult]
"""Computes the results of one row in an arithmetic."""

Conditioner = Callable[[Block, Float64Array, Float64Array, Quantity], Float64Array]
"""Computes condition numbers of a block of rows.

Args:
    block: the rows.
    value: their approximate exact values, float64 (rows,), or (rows, classes) for ``per_class``.
    gradient: their approximate exact gradients, float64, in the shape of ``block.x``.
    quantity: the quantity to compute condition numbers of.

Returns:
    Condition numbers (no unit), float64, in the shape of this quantity.
"""


Sizer = Callable[[Block, Quantity], Float64Array]
"""Computes the size of the terms that the results of each row are differences of.

Args:
    block: the rows.
    quantity: the value or the gradient.

Returns:
    float64 (rows,), without a reduction; 0 where nothing is subtracted.
"""


def roundings(terms: int) -> float:
    """The error of a sum of ``terms`` numbers, added in any order, in roundings: about √n.

    Condition numbers include these roundings and the rounding of the result itself. A sound formula
    adds its terms in the dtype, so it cannot be more accurate than that.

    Source: N. Higham and T. Mary, "A new approach to probabilistic rounding error analysis", SIAM
    J. Sci. Comput. 41(5), 2019.
    """
    return math.sqrt(max(terms - 1, 0))


def _ones(block: Block) -> Float64Array:
    return np.ones(block.rows)


def no_terms(block: Block, _quantity: Quantity) -> Float64Array:
    """The `Sizer` of a loss whose results are no differences of larger terms."""
    return np.zeros(block.rows)


@dataclass(frozen=True, slots=True)
class Loss:
    """A mathematical function with parameters and a domain.

    * ``label_kinds``: the first one is the default.
    * ``evaluate`` covers every row, by the ``limit`` convention.
    * ``definition`` covers finite rows in the interior of the domain.
    * ``condition`` computes condition numbers (see `Conditioner`).
    * ``per_class``: the value is one number per class instead of one per row.
    * ``nonnegative``: the exact value is never below 0.
    * ``row_weights`` computes what each row adds to the denominator of ``reduction: mean``.
    * ``terms`` computes the size of the terms that results are differences of (see `Sizer`).
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
    terms: Sizer = no_terms
    shapes: Shapes | None = None  # None: those that `layout` and `per_class` say

    @property
    def shaped(self) -> Shapes:
        """The shapes of its arrays."""
        if self.shapes is not None:
            return self.shapes
        return ONE_PER_CLASS if self.per_class else ONE_PER_ROW

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """What of it is scored: its value and every gradient."""
        return self.shaped.quantities

    def classes(self, first: Shape, parameters: Mapping[str, Any]) -> int:
        """How many classes a label can name, for a first argument of this shape."""
        return self.shaped.classes(first, parameters)

    def result_shape(self, case: Case, quantity: Quantity) -> Shape:
        """The shape of a quantity of a case; () for the value of a reduction."""
        if case.reduced and quantity is Quantity.VALUE:
            return ()
        return self.shaped.of(quantity, case.logits.shape, case.parameters)

    def numbers(self, case: Case) -> int:
        """The most numbers that a row of a case has, in its first argument or in a result."""
        first = case.logits.shape
        shapes = (self.shaped.of(each, first, case.parameters) for each in self.quantities)
        return int(max(math.prod(each[1:]) for each in (first, *shapes)))

    def __reduce__(self) -> tuple[Callable[[str], Loss], tuple[str]]:
        """Pickle a loss by its id, because some of its functions cannot be pickled."""
        return _declared, (self.id,)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter with this name, or None."""
        return next((each for each in self.parameters if each.name == name), None)


def _declared(name: str) -> Loss:
    from xentcheck.losses import LOSSES  # noqa: PLC0415  (it imports this module)

    return LOSSES[name]
