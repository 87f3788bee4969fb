"""What a loss declares: everything the other rooms need to know about it.

A loss states its formula twice, over an abstract `Arithmetic`: as the textbook has it
(``definition``), and rearranged so that nothing cancels (``evaluate``). The two are algebraically
the same function; the reference evaluates the second for every row and holds it against the first.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from xentcheck.model import (
    Accepts,
    Domain,
    Float64Array,
    LabelKind,
    Layout,
    Parameter,
    Quantity,
)


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
class Outcome:
    """One exact result: a `Number`, or a float for NaN and the infinities (and exact zero).

    ``accepts``: what else the convention lets an implementation return.
    """

    number: Number | float
    accepts: Accepts = Accepts.NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Components:
    """Results of one row: ``outcomes[index[i]]`` is component i; no index means in order.

    Sharing outcomes between equal components keeps a vocabulary of equal logits cheap.
    """

    outcomes: Sequence[Outcome]
    index: npt.NDArray[np.intp] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class RowResult:
    """Value (one component, or one per class) and gradient (one per class) of a row."""

    value: Components
    gradient: Components


Evaluator = Callable[[Arithmetic, Row], RowResult]
Conditioner = Callable[[Row, Float64Array, Float64Array], tuple[Float64Array, Float64Array]]


@dataclass(frozen=True, slots=True)
class Loss:
    """A mathematical function with parameters and a domain.

    ``per_class``: the value is one number per class instead of one per row. ``label_kinds``: the
    first is the default. ``nonnegative``: the exact value is never below 0.
    ``cancels``: the quantities whose problem itself is ill-conditioned, by the kind of labels: a
    difference of what the inputs give only rounded. There a limit may be multiplied by the
    condition number, and `check` does so.
    ``definition`` covers finite rows in the interior of the domain; ``evaluate`` covers every row,
    by the ``limit`` convention.
    ``row_weight`` is what a row adds to the denominator of ``reduction: mean``.
    ``condition`` gives (value, gradient) condition numbers in float64 from the row and its
    approximate exact value and gradient.
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
    cancels: frozenset[tuple[Quantity, LabelKind]] = frozenset()
    reducible: bool = True
    row_weight: Callable[[Row], float] = field(default=lambda _row: 1.0)

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, or None."""
        return next((each for each in self.parameters if each.name == name), None)
