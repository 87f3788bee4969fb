"""What an audit is made of: losses' words, cases and sweeps.

Arrays inside these values are never written to after construction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

Float64Array: TypeAlias = npt.NDArray[np.float64]

ParameterValue: TypeAlias = float | int | str | bool | Array


class Quantity(StrEnum):
    """What of a loss is scored."""

    VALUE = "value"
    GRADIENT = "gradient"

    @property
    def of(self) -> str:
        """What it is the gradient of: ``logits`` unless its name says another; "" for a value.

        A gradient of another argument is called ``gradient-ARGUMENT``.
        """
        return "" if self is Quantity.VALUE else self.value.partition("-")[2] or "logits"


class Layout(StrEnum):
    """How the first argument is shaped: (rows, classes), or (rows,) for elementwise losses."""

    ROWS = "rows"
    ELEMENTWISE = "elementwise"


class Domain(StrEnum):
    """What the first argument is."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    LOG_PROBABILITIES = "log-probabilities"


class LabelKind(StrEnum):
    """What the second argument is.

    ``integer``: int64 (rows,). ``distribution``: (rows, classes) in the dtype. ``target``: (rows,)
    in the dtype, of an elementwise loss. ``none``: the loss has no second argument.
    """

    NONE = "none"
    INTEGER = "integer"
    DISTRIBUTION = "distribution"
    TARGET = "target"


class Accepts(IntFlag):
    """What, besides the exact value, the convention in force lets an implementation return."""

    NOTHING = 0
    NAN = 1
    ZERO = 2
    ANYTHING = 4


class ParameterKind(StrEnum):
    """What values a parameter takes.

    ``real``: a float, rounded to the dtype. ``class-vector``: (classes,) in the dtype.
    ``row-matrix``: (rows, classes) in the dtype. ``choice``: one of its words.
    """

    REAL = "real"
    INTEGER = "integer"
    FLAG = "flag"
    CHOICE = "choice"
    CLASS_VECTOR = "class-vector"
    ROW_MATRIX = "row-matrix"

    @property
    def words(self) -> tuple[str, ...]:
        """The words that stand for numbers of any size; empty where only values are taken."""
        return _WORDS_FOR_NUMBERS.get(self.value, ())


_WORDS_FOR_NUMBERS = {
    "class-vector": ("random", "zeros-some"),
    "row-matrix": ("random", "gumbel"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a loss.

    Attributes:
        name: as an implementation's argument is called.
        kind: what values it takes.
        doc: what it means, in a few words; it is printed.
        default: the value where nobody gives one. None: it is not given.
        minimum: the least number it takes.
        maximum: the largest number it takes.
        choices: the words it takes.
        label_kinds: the kinds of label it goes with; empty: every kind.
    """

    name: str
    kind: ParameterKind
    doc: str
    default: float | int | str | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    label_kinds: tuple[LabelKind, ...] = ()

    def goes_with(self, kind: LabelKind) -> bool:
        """Whether it can be given with labels of a kind."""
        return not self.label_kinds or kind in self.label_kinds

    def out_of_range(self, number: float) -> str:
        """What a number has to be that this parameter does not take; "" where it does."""
        low, high = self.minimum, self.maximum
        if (low is None or number >= low) and (high is None or number <= high):
            return ""
        bounds = (
            "" if low is None else f"at least {low:g}",
            "" if high is None else f"at most {high:g}",
        )
        return f"has to be {' and '.join(filter(None, bounds))}"


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a generator, as a configuration may set it.

    ``kind``: ``integer``, ``real``, ``choice``, ``text``, ``path``, ``rows`` (a list of lists of
    reals). ``many``: a list of such values is an axis; a single one is a list of one.
    """

    name: str
    kind: str
    doc: str
    default: Any = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    many: bool = False
    required: bool = False


def reduces(parameters: Mapping[str, Any]) -> bool:
    """Whether parameters make one result of all rows."""
    return bool(parameters.get("reduction", "none") != "none")


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A block of rows of one shape, rounded to the dtype once.

    ``logits`` is the first argument, whatever the loss calls it: (rows, classes), or (rows,) for
    an elementwise loss. ``parameters`` holds what was asked for, also where that is the default.
    ``start`` is the number of its first row within its sweep. ``again``: its rows stand in a case
    before it too; the sweep has them once, and they are compared once more. ``fixed``: the labels
    are of the kind that was asked for, and no search changes them. ``integers``: targets are given
    as int64.
    """

    sweep: str
    generator: str
    loss: str
    dtype: str
    logits: Array
    label_kind: LabelKind
    labels: Array | None = None
    parameters: Mapping[str, ParameterValue] = field(default_factory=dict)
    start: int = 0
    again: bool = False
    fixed: bool = False
    integers: bool = False

    @property
    def rows(self) -> int:
        """How many rows the block has."""
        return int(self.logits.shape[0])

    @property
    def classes(self) -> int:
        """How many classes a row has (1 for an elementwise loss)."""
        return int(self.logits.shape[1]) if self.logits.ndim == 2 else 1

    @property
    def reduced(self) -> bool:
        """Whether the rows make one result."""
        return reduces(self.parameters)


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One generator with its options, as a configuration names it."""

    generator: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A named description of inputs and of what is to be audited on them.

    ``targets``: which labels a row gets (`all`, `random`, `argmax`, `argmin`, `ends`, `soft`);
    ``label_kind`` None is the loss's own first kind. ``parameters`` maps a name to its axis of
    values. ``integers``: targets of an elementwise loss are given as int64 0 and 1. ``named`` are
    the losses, dtypes and quantities that stand there by name, not by a pattern, ``all`` or a
    default.
    """

    name: str
    losses: tuple[str, ...]
    dtypes: tuple[str, ...]
    inputs: tuple[InputSpec, ...]
    quantities: tuple[Quantity, ...] = (Quantity.VALUE, Quantity.GRADIENT)
    implementations: tuple[str, ...] = ("*",)
    label_kind: LabelKind | None = None
    targets: str = "all"
    parameters: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    integers: bool = False
    named: frozenset[str] = frozenset()


ADAPTIVE = frozenset({"climb", "threshold"})
"""Generators that search: their rows depend on the implementation, and belong to no sweep."""
