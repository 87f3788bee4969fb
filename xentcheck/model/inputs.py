"""The inputs of an audit: terms that describe losses, cases and sweeps.

Nobody writes to the arrays inside these values after construction.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntFlag, StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from xentcheck.deferred import np, npt

if TYPE_CHECKING:
    Array: TypeAlias = npt.NDArray[Any]
    Float64Array: TypeAlias = npt.NDArray[np.float64]
else:  # annotations of other modules are evaluated, and must not import NumPy

    class Array:
        """An array of NumPy."""

    class Float64Array(Array):
        """An array of NumPy, of float64."""


ParameterValue: TypeAlias = float | int | str | bool | Array


class Quantity(StrEnum):
    """The quantity of a loss that is scored."""

    VALUE = "value"
    GRADIENT = "gradient"

    @property
    def of(self) -> str:
        """What it is the gradient of: ``logits`` unless its name says another; "" for a value.

        A gradient of another argument is called ``gradient-ARGUMENT``.
        """
        return "" if self is Quantity.VALUE else self.value.partition("-")[2] or "logits"


class Layout(StrEnum):
    """The shape of the first argument: (rows, classes), or (rows,) for elementwise losses."""

    ROWS = "rows"
    ELEMENTWISE = "elementwise"


class Domain(StrEnum):
    """The meaning of the first argument."""

    LOGITS = "logits"
    PROBABILITIES = "probabilities"
    LOG_PROBABILITIES = "log-probabilities"


class LabelKind(StrEnum):
    """The meaning of the second argument.

    ``integer``: class numbers as int64, (rows,). ``distribution``: (rows, classes) in the dtype.
    ``target``: (rows,) in the dtype, for an elementwise loss. ``none``: the loss has no second
    argument.
    """

    NONE = "none"
    INTEGER = "integer"
    DISTRIBUTION = "distribution"
    TARGET = "target"


class Accepts(IntFlag):
    """Results that the convention in force accepts besides the exact value."""

    NOTHING = 0
    NAN = 1
    ZERO = 2
    ANYTHING = 4


class ParameterKind(StrEnum):
    """The type of a parameter's values.

    ``real``: a float, rounded to the dtype. ``class-vector``: (classes,) in the dtype.
    ``row-matrix``: (rows, classes) in the dtype. ``choice``: one of the parameter's words.
    """

    REAL = "real"
    INTEGER = "integer"
    FLAG = "flag"
    CHOICE = "choice"
    CLASS_VECTOR = "class-vector"
    ROW_MATRIX = "row-matrix"

    @property
    def words(self) -> tuple[str, ...]:
        """Words that stand for an array of any size; empty if only values are allowed."""
        return _WORDS_FOR_NUMBERS.get(self.value, ())


_WORDS_FOR_NUMBERS = {
    "class-vector": ("random", "zeros-some"),
    "row-matrix": ("random", "gumbel"),
}


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a loss.

    Attributes:
        name: the name of the implementation's argument.
        kind: the type of its values.
        doc: its meaning in a few words; this is printed.
        default: the value if the user gives none. None: the parameter is not passed then.
        minimum: the smallest allowed number.
        maximum: the largest allowed number.
        choices: the allowed words.
        label_kinds: the kinds of label that it goes with; empty: every kind.
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
        """Whether it can be used with labels of a kind."""
        return not self.label_kinds or kind in self.label_kinds

    def out_of_range(self, number: float) -> str:
        """The range that a number violates, as text; "" if the number is allowed."""
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

    Attributes:
        name: its name.
        kind: ``integer``, ``real``, ``choice``, ``text``, ``path`` or ``rows`` (a list of lists of
            reals).
        doc: its meaning in a few words; this is printed.
        default: the value if the configuration gives none.
        minimum: the smallest allowed number.
        maximum: the largest allowed number.
        choices: the allowed words.
        many: a list of values is allowed and is an axis; a single value is a list of one.
        required: the configuration has to set it.
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
    """Whether the parameters ask for one result for all rows."""
    return bool(parameters.get("reduction", "none") != "none")


def picked(parameters: Mapping[str, ParameterValue], rows: Any) -> dict[str, ParameterValue]:
    """The parameters of some rows: picks these rows of two-dimensional arrays, keeps the rest."""
    return {
        name: value[rows] if isinstance(value, np.ndarray) and value.ndim == 2 else value
        for name, value in parameters.items()
    }


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """A block of rows of one shape, rounded to the dtype once.

    Attributes:
        sweep: the name of its sweep.
        generator: the name of the generator that made it.
        loss: the name of the loss.
        dtype: the name of the dtype.
        logits: the first argument, whatever the loss calls it, in the dtype: (rows, classes), or
            (rows,) for an elementwise loss.
        label_kind: the kind of label.
        labels: the second argument; see `LabelKind` for shape and dtype. None without labels.
        parameters: the values that were asked for, including defaults, by name.
        start: the number of its first row within its sweep.
        again: an earlier case has the same rows. The sweep counts them once; they are compared
            once more here.
        fixed: the labels are of the kind that was asked for, and no search changes them.
        integers: targets are passed as int64.
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
        """The number of rows."""
        return int(self.logits.shape[0])

    @property
    def classes(self) -> int:
        """The number of classes of a row (1 for an elementwise loss)."""
        return int(self.logits.shape[1]) if self.logits.ndim == 2 else 1

    @property
    def reduced(self) -> bool:
        """Whether there is one result for all rows."""
        return reduces(self.parameters)

    def part(self, rows: "slice | npt.NDArray[np.intp]") -> "Case":
        """The case of these rows, in this order. A row may be repeated."""
        return replace(
            self,
            logits=self.logits[rows],
            labels=None if self.labels is None else self.labels[rows],
            parameters=picked(self.parameters, rows),
        )


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One generator with its options, as in a configuration."""

    generator: str
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sweep:
    """A named description of inputs and of the audit on them.

    Attributes:
        name: its name.
        losses: names of losses.
        dtypes: names of dtypes.
        inputs: the generators.
        quantities: the quantities.
        implementations: patterns of implementation names.
        label_kind: the kind of label; None: the first kind of the loss.
        targets: the labels of a row: `all`, `random`, `argmax`, `argmin`, `ends` or `soft`.
        parameters: for each parameter name, an axis of values.
        integers: targets of an elementwise loss are passed as int64 0 and 1.
        named: losses, dtypes and quantities that the configuration writes by name, not by a
            pattern, ``all`` or a default.
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


SHRUNK = "shrunk"
"""The generator of an input that was made smaller. No sweep has it; it keeps its row's number."""

ADAPTIVE = frozenset({"climb", "threshold"})
"""Generators that search. Their rows depend on the implementation and are not rows of the sweep."""
