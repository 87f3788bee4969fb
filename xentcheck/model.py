"""The nouns: frozen values that flow from one room to the next.

Arrays inside these values are never written to after construction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntFlag, StrEnum
from fnmatch import fnmatchcase
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Float64Array: TypeAlias = npt.NDArray[np.float64]
ParameterValue: TypeAlias = float | int | str | bool | Array


class Quantity(StrEnum):
    """What of a loss is scored."""

    VALUE = "value"
    GRADIENT = "gradient"


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


class Kind(StrEnum):
    """Kinds of finding, gravest first: when a row shows several, the first one names it."""

    CRASHED = "crashed"
    TIMED_OUT = "timed-out"
    RAISED = "raised"
    OTHER_FUNCTION = "other-function"
    WRONG_SHAPE = "wrong-shape"
    WRONG_DTYPE = "wrong-dtype"
    MUTATED_INPUT = "mutated-input"
    NON_DETERMINISTIC = "non-deterministic"
    LAYOUT_DEPENDENT = "layout-dependent"
    COTANGENT = "cotangent"
    NAN = "nan"
    MISSED_NAN = "missed-nan"
    SPURIOUS_OVERFLOW = "spurious-overflow"
    MISSED_OVERFLOW = "missed-overflow"
    WRONG_SIGN = "wrong-sign"
    VANISHED_GRADIENT = "vanished-gradient"
    SPURIOUS_UNDERFLOW = "spurious-underflow"
    PLATEAU = "plateau"
    INACCURATE = "inaccurate"
    ROW_DEPENDENT = "row-dependent"
    INCONSISTENT = "inconsistent"
    INVARIANT = "invariant"
    FP_SIGNAL = "fp-signal"
    BATCH_VARIANT = "batch-variant"
    FTZ = "ftz"
    CONVENTION = "convention"


NOTES = frozenset({Kind.FP_SIGNAL, Kind.BATCH_VARIANT, Kind.FTZ, Kind.CONVENTION})
"""Kinds of what the field accepts, a result or a signal; a gate forbids them only by name."""


class Accepts(IntFlag):
    """What, besides the exact value, the convention in force lets an implementation return."""

    NOTHING = 0
    NAN = 1
    ZERO = 2
    ANYTHING = 4


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a loss.

    ``kind``: ``real`` (a float rounded to the dtype), ``flag``, ``choice``, ``class-vector``
    ((classes,) in the dtype), ``row-matrix`` ((rows, classes) in the dtype), ``integer``.
    """

    name: str
    kind: str
    doc: str
    default: float | int | str | bool | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    label_kinds: tuple[LabelKind, ...] = ()  # empty: with every kind of label

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


@dataclass(frozen=True, slots=True, eq=False)
class Enclosures:
    """An array of exact values, each as ``(hi + lo ± radius)·2**exponent``.

    All fields have one shape. For a finite nonzero value ``1 <= |hi| < 2`` and ``lo`` has the
    sign of ``hi`` (truncation, so ``floor(log2|exact|) == exponent`` for the midpoint); zero has
    ``hi == lo == 0``; NaN and infinities stand in ``hi``. ``radius >= 0`` bounds the distance from
    midpoint to the real result. ``accepts`` holds `Accepts` flags. ``below_one``: all exact values
    are known to be below 1 in magnitude, also where an enclosure reaches across it.
    """

    hi: Float64Array
    lo: Float64Array
    exponent: npt.NDArray[np.int64]
    radius: Float64Array
    accepts: npt.NDArray[np.uint8]
    below_one: bool = False

    @classmethod
    def of(
        cls,
        hi: Float64Array,
        lo: Float64Array,
        radius: Float64Array,
        exponent: npt.NDArray[np.int64],
        accepts: npt.NDArray[np.uint8],
        *,
        below_one: bool = False,
    ) -> "Enclosures":
        """``(hi + lo ± radius)·2**exponent`` normalised; ``lo`` has the sign of ``hi``."""
        with np.errstate(all="ignore"):
            mantissa, binary = np.frexp(hi)
            finite = np.isfinite(hi)
            plain = finite & (hi != 0)
            shift = np.where(plain, binary.astype(np.int64) - 1, 0)
            radius = np.where(finite, np.ldexp(radius, -shift), 0.0)
            return cls(
                np.where(plain, mantissa * 2.0, hi),
                np.where(plain, np.ldexp(lo, -shift), 0.0),
                np.where(finite, shift + exponent, 0),
                np.where(np.isnan(radius), np.inf, radius),
                accepts,
                below_one,
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """The common shape."""
        return self.hi.shape

    @classmethod
    def joined(cls, parts: "Sequence[Enclosures]") -> "Enclosures":
        """The enclosures of several arrays, one behind the other along the first axis."""
        return cls(
            np.concatenate([part.hi for part in parts]),
            np.concatenate([part.lo for part in parts]),
            np.concatenate([part.exponent for part in parts]),
            np.concatenate([part.radius for part in parts]),
            np.concatenate([part.accepts for part in parts]),
            all(part.below_one for part in parts),
        )

    def reshaped(self, shape: tuple[int, ...]) -> "Enclosures":
        """The same in another shape."""
        return Enclosures(
            self.hi.reshape(shape),
            self.lo.reshape(shape),
            self.exponent.reshape(shape),
            self.radius.reshape(shape),
            self.accepts.reshape(shape),
            self.below_one,
        )

    def midpoints(self) -> Float64Array:
        """The midpoints in float64 (0 or inf where they do not fit)."""
        with np.errstate(over="ignore", under="ignore"):
            exponent = np.clip(self.exponent, -5000, 5000)
            return np.asarray(np.ldexp(self.hi, exponent), dtype=np.float64)

    def at(self, index: Any) -> "Enclosures":
        """The enclosures at a NumPy index, as at least one-dimensional arrays."""
        return Enclosures(
            np.atleast_1d(self.hi[index]),
            np.atleast_1d(self.lo[index]),
            np.atleast_1d(self.exponent[index]),
            np.atleast_1d(self.radius[index]),
            np.atleast_1d(self.accepts[index]),
            self.below_one,
        )


FLOOR = 2.0**-500
"""What an underflow in float64 arithmetic may add up to in a result."""


@dataclass(frozen=True, slots=True, eq=False)
class Balls:
    """An array of exact values known to float64: ``|exact − midpoint| ≤ relative·|midpoint| +
    absolute + FLOOR``.

    NaN and infinities stand in ``midpoint``. ``absolute`` has the shape of ``midpoint`` or is None
    (nothing), and so has ``accepts`` (None: `Accepts.NOTHING` everywhere). ``below_one`` is as in
    `Enclosures`.
    """

    midpoint: Float64Array
    relative: float
    absolute: Float64Array | None
    accepts: npt.NDArray[np.uint8] | None
    below_one: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The common shape."""
        return self.midpoint.shape

    def at(self, index: Any) -> "Balls":
        """The balls at a NumPy index, as at least one-dimensional arrays."""
        return Balls(
            np.atleast_1d(self.midpoint[index]),
            self.relative,
            None if self.absolute is None else np.atleast_1d(self.absolute[index]),
            None if self.accepts is None else np.atleast_1d(self.accepts[index]),
            self.below_one,
        )

    def midpoints(self) -> Float64Array:
        """The midpoints."""
        return self.midpoint

    def enclosures(self) -> Enclosures:
        """The same as `Enclosures`."""
        with np.errstate(all="ignore"):
            radius = np.abs(self.midpoint) * self.relative + FLOOR
            if self.absolute is not None:
                radius = (radius + self.absolute) * (1.0 + 2.0**-40)
        nothing = np.zeros(self.shape, dtype=np.int64)
        accepts = nothing.astype(np.uint8) if self.accepts is None else self.accepts
        return Enclosures.of(
            self.midpoint,
            np.zeros(self.shape),
            radius,
            nothing,
            accepts,
            below_one=self.below_one,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Exact:
    """What a case's results ought to be: the unrounded real results and their conditioning.

    ``value`` has shape (rows,), (rows, classes) where the loss returns one number per class, or
    () under a reduction; ``gradient`` has the shape of the logits. The condition numbers have the
    same shapes (approximate, in float64, NaN where none is defined).
    """

    value: Enclosures
    gradient: Enclosures
    value_condition: Float64Array
    gradient_condition: Float64Array


@dataclass(frozen=True, slots=True)
class Process:
    """A process that implementations run in, apart from the reference and from each other.

    ``modules`` have to be importable there, and are imported as it starts; ``install`` is the
    command that makes them so. ``environment`` holds its further environment variables. Two equal
    values are one process.
    """

    name: str
    modules: tuple[str, ...] = ()
    install: str = ""
    environment: tuple[tuple[str, str], ...] = ()
    timeout_s: float = 300.0  # for each call, and for the start
    quiet: bool = True  # what it prints is only shown, in part, when it dies


@dataclass(frozen=True, slots=True)
class Implementation:
    """Code that computes a loss.

    ``value`` is called as ``value(logits, labels, **parameters)``, without ``labels`` where the
    loss has none; ``gradient`` likewise, returning the shape of ``logits``. ``parameters`` are the
    names it understands. ``sound`` is what the field guide says of it (None: nothing claimed).
    ``process`` None: it runs where the reference is computed; else ``value`` and ``gradient`` are
    sent there, and have to pickle. ``plain`` is the name of the implementation that this one is
    another way to call, "" for none: the two ought to agree. ``origin`` are the words that name it
    to `xentcheck probe`, where its name does not. ``defined`` is the file and the line of its code,
    where Python can tell. ``built_in`` are values of the loss's parameters that it computes with
    and is not passed; ``own_defaults`` those of its arguments whose default is not the loss's (None
    where one has no default).
    """

    loss: str
    name: str
    value: Callable[..., Any] | None
    gradient: Callable[..., Any] | None
    dtypes: tuple[str, ...]
    label_kinds: tuple[LabelKind, ...]
    parameters: frozenset[str]
    summary: str = ""
    sound: bool | None = None
    source: str = ""
    process: Process | None = None
    plain: str = ""
    origin: tuple[str, ...] = ()
    defined: tuple[str, int] | None = None
    built_in: Mapping[str, Any] = field(default_factory=dict, hash=False)
    own_defaults: Mapping[str, Any] = field(default_factory=dict, hash=False)


ANY_PARAMETER = frozenset({"*"})
"""The ``parameters`` of an implementation that takes any keyword argument."""

UNREACHABLE = ("",)
"""The ``origin`` of an implementation that no command can name: a function of one process only."""


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


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a result may be off before it counts as inaccurate.

    Met in ulps (``max_ulp``, and no more than ``max_excess_bits`` beyond what the problem's
    condition number explains) or, where they are given, in absolute or relative error, or by having
    no more than ``or_excess_bits``. With
    ``times_condition`` the ulps are multiplied by the condition number where that is above 1.
    ``p99_ulp`` is for a cell: of a hundred rows, one may be farther off than that.
    """

    max_ulp: float = 4.0
    or_abs: float = 0.0
    or_rel: float = 0.0
    times_condition: bool = False
    max_excess_bits: float = math.inf
    p99_ulp: float = math.inf
    or_excess_bits: float = -math.inf


OTHER_BOUNDS = ("times_condition", "or_excess_bits", "or_abs", "or_rel")
"""The fields of a tolerance that allow more ulps than `max_ulp`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What a gate allows in the cells its patterns (fnmatch) select.

    ``allow`` are kinds that are no violation there, ``forbid`` notes that are one.
    """

    tolerance: Tolerance = field(default_factory=Tolerance)
    allow: frozenset[Kind] = frozenset()
    forbid: frozenset[Kind] = frozenset()
    loss: str = "*"
    implementation: str = "*"
    dtype: str = "*"
    quantity: str = "*"
    sweep: str = "*"
    path: str = ""  # where it stands in the configuration
    line: int = field(default=0, compare=False)

    @property
    def batch_invariant(self) -> bool:
        """Whether a row may not change with its batch at all: `Kind.BATCH_VARIANT` is forbidden."""
        return Kind.BATCH_VARIANT in self.forbid

    def selects(self, cell: "Cell") -> bool:
        """Whether all five patterns match the cell."""
        return (
            fnmatchcase(cell.loss, self.loss)
            and fnmatchcase(cell.implementation, self.implementation)
            and fnmatchcase(cell.dtype, self.dtype)
            and fnmatchcase(cell.quantity.value, self.quantity)
            and fnmatchcase(cell.sweep, self.sweep)
        )


@dataclass(frozen=True, slots=True)
class Target:
    """A user's implementation, as a configuration or the command line names it.

    ``target`` is ``module:attr`` or ``file.py:attr``, and ``gradient`` the same, an attribute
    beside it, ``auto`` (the framework's own differentiation, or a function beside it by its name)
    or None. ``framework`` says what arrays it is given. With ``command`` instead of ``target`` it
    is a program, as is ``gradient_command``; see `implementations.command`. ``parameters`` are
    keyword arguments of every call, or of a class's constructor; ``built_in`` are values of the
    loss's parameters that are computed and not passed. ``shape`` is that of the function's
    arguments, one of `implementations.shapes.SHAPES`; ``label_dtype`` is of integer labels.
    """

    loss: str
    target: str
    name: str
    gradient: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    framework: str = "numpy"
    command: tuple[str, ...] = ()
    gradient_command: tuple[str, ...] = ()
    timeout_s: float | None = None  # for loading it and for each call; None: as `Process` has it
    built_in: Mapping[str, Any] = field(default_factory=dict)
    shape: str = "rows"
    label_dtype: str = "int64"


@dataclass(frozen=True, slots=True)
class Config:
    """A checked configuration. ``limits`` empty: a survey. ``document`` is what the file said.

    ``baseline`` is the path of the file that says what is tolerated today, "" for none. With
    ``allow_skips`` what is named and cannot be audited fails no gate.
    """

    sweeps: tuple[Sweep, ...]
    limits: tuple[Limit, ...] = ()
    targets: tuple[Target, ...] = ()
    seed: int = 0
    path: str = ""
    baseline: str = ""
    document: Mapping[str, Any] = field(default_factory=dict)
    allow_skips: bool = False

    def limit_for(self, cell: "Cell") -> Limit | None:
        """The limit that governs a cell: the last one that selects it."""
        return next((limit for limit in reversed(self.limits) if limit.selects(cell)), None)


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """An input that shows what was found, complete enough to be replayed.

    ``logits`` is the row, (classes,) or a scalar array; under a reduction the whole block.
    ``index`` is the component of the gradient (or of a per-class value) that is shown, None for a
    value per row; ``row`` is the row's number within its sweep, for this loss and dtype, and
    ``place`` its place in the block where there is one. ``exact`` is decimal text with more digits
    than the dtype has.
    """

    logits: Array
    labels: Array | None
    parameters: Mapping[str, ParameterValue]
    actual: float
    expected: float
    exact: str
    ulp_error: float
    abs_error: float
    index: int | None = None
    row: int = 0
    generator: str = ""
    result_dtype: str = ""
    excess_bits: float | None = None
    radius_ulp: float = 0.0  # how far from ``exact`` the true value may lie, in ulps
    note: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured as one: a loss, an implementation of it, a dtype, a quantity, a sweep."""

    loss: str
    implementation: str
    dtype: str
    quantity: Quantity
    sweep: str


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The errors of one cell. A row's error is that of its worst component.

    ``max_ulp``, ``p99_ulp`` and ``median_ulp`` are over the rows with a finite error (NaN when
    there is none); ``counts`` over all rows, by kind, only nonzero ones. ``negative_zeros`` counts
    the values −0 of a loss that is never negative: equal to 0, and no fault, but worth knowing.
    ``max_excess_bits``: the most bits lost, over all components with a finite error, beyond what
    the conditioning explains. ``first_break`` is the first row of the sweep whose result has a
    fault (no note), or that has none, with its kind: on a sweep that goes from mild to extreme,
    where the implementation breaks. ``scored`` is how many rows have a finite error, ``far`` how
    many of them are farther off than the limit's ``p99_ulp``, and ``farthest`` the witness of the
    largest of these errors. ``max_normal_ulp`` and ``normal`` are the largest error and its witness
    without the results that were flushed to zero (`Kind.FTZ`): those of all where there are none.
    ``met`` is the bound by which that error is allowed, where it is more
    than ``max_ulp``: one of `OTHER_BOUNDS`, "" otherwise.
    """

    cell: Cell
    rows: int
    max_ulp: float
    p99_ulp: float
    median_ulp: float
    max_abs: float
    counts: Mapping[Kind, int]
    witness: Witness | None = None
    result_dtype: str = ""
    max_excess_bits: float | None = None
    negative_zeros: int = 0
    first_break: tuple[Kind, Witness] | None = None
    scored: int = 0
    far: int = 0
    farthest: Witness | None = None
    max_normal_ulp: float = math.nan
    normal: Witness | None = None
    met: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A kind of fault seen in one cell, with its worst witness.

    ``rows`` is how many rows showed it; ``detail`` is for people (an exception's text, the height
    and onset of a plateau); ``cause`` is a root cause where one is certain; ``distance`` is by how
    many ulps two results differed where two were compared.
    """

    kind: Kind
    cell: Cell
    rows: int
    witness: Witness | None = None
    cause: str | None = None
    hint: str = ""
    detail: str = ""
    distance: float = 0.0


class Standing(StrEnum):
    """How something stands to what was recorded before."""

    NEW = "new"
    WORSE = "worse"
    SAME = "same"
    BETTER = "better"
    GONE = "gone"


@dataclass(frozen=True, slots=True, eq=False)
class Violation:
    """A finding beyond a limit; ``limit`` says which and what it allows.

    ``rule`` is what it breaks: the name of its kind, or ``p99_ulp``. ``standing`` is what a
    baseline makes of it, and ``accepted`` says what is tolerated there; "" without a baseline.
    """

    finding: Finding
    limit: str
    rule: str = ""
    standing: Standing | None = None
    accepted: str = ""


@dataclass(frozen=True, slots=True)
class Skip:
    """What was not audited, and why. Empty fields mean: whatever they are.

    ``missing`` is the name of the process (and the extra) whose modules are not installed.
    """

    reason: str
    loss: str = ""
    implementation: str = ""
    dtype: str = ""
    quantity: str = ""
    sweep: str = ""
    missing: str = ""

    def covers(self, cell: Cell) -> bool:
        """Whether a cell is among what was not audited."""
        pairs = (
            (self.loss, cell.loss),
            (self.implementation, cell.implementation),
            (self.dtype, cell.dtype),
            (self.quantity, cell.quantity.value),
            (self.sweep, cell.sweep),
        )
        return all(given in ("", found) for given, found in pairs)


@dataclass(frozen=True, slots=True)
class Change:
    """What a baseline still tolerates and has become better, or is not there any more (stale).

    ``rule`` is as in `Violation`, "" for an entry as a whole; ``text`` says what changed. ``into``
    are the rules that are broken in its place, "" where there are none.
    """

    cell: Cell
    rule: str
    standing: Standing
    text: str
    into: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the code of an implementation stands. ``line`` counts from 1."""

    loss: str
    implementation: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Yield:
    """How many rows a generator gave, and how many of them were distinct (None: not counted)."""

    sweep: str
    generator: str
    loss: str
    dtype: str
    rows: int
    distinct: int | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report:
    """Everything a run found out, ready to be rendered.

    ``violations`` fail a gate; ``tolerated`` are those that the baseline accepts. ``changes`` are
    what the baseline has to be told: entries that have become better, and stale ones, which fail it
    as well if it is ``strict``. So do ``omissions``, skips of what the configuration names.

    ``rows()`` are its cells for a data frame, ``str()`` is the table of a terminal, ``to_json()``
    and ``to_markdown()`` are those formats, ``save(path)`` writes the one of the file's suffix, and
    notebooks show it by ``_repr_html_``. Nouns do not know how they look: `xentcheck.api` defines
    these, and whoever gets a report from `xentcheck` has them.
    """

    environment: Mapping[str, str]
    seed: int
    config: Mapping[str, Any]
    measurements: tuple[Measurement, ...]
    findings: tuple[Finding, ...]
    violations: tuple[Violation, ...]
    skips: tuple[Skip, ...]
    yields: tuple[Yield, ...]
    gated: bool
    interrupted: bool = False
    uncertified: tuple[str, ...] = ()  # cases whose exact results could not be certified
    deaths: tuple[str, ...] = ()  # worker processes that died, and what became of their work
    reference: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by "loss implementation"
    sources: tuple[Source, ...] = ()
    baseline: str = ""  # the path of its file
    tolerated: tuple[Violation, ...] = ()
    changes: tuple[Change, ...] = ()
    unaudited: tuple[Cell, ...] = ()  # described by the configuration, but not audited
    path: str = ""  # the configuration's file
    timeout_s: float | None = None  # what calls were allowed, unless it was each process's own
    omissions: tuple[Skip, ...] = ()
    strict: bool = False
    baseline_note: str = ""  # on which processors it was recorded, if not on this one

    rows: ClassVar[Callable[["Report"], list[dict[str, Any]]]]
    to_json: ClassVar[Callable[["Report"], str]]
    to_markdown: ClassVar[Callable[["Report"], str]]
    save: ClassVar[Callable[..., None]]
    _repr_html_: ClassVar[Callable[["Report"], str]]

    @property
    def passed(self) -> bool | None:
        """Whether a gate passed: audited to the end, and nothing beyond a limit.

        None of a survey, which has no limits to pass.
        """
        if not self.gated:
            return None
        audited = bool(self.measurements or self.findings)
        broken = self.violations or self.uncertified or self.interrupted
        return audited and not broken

    def __repr__(self) -> str:
        verdict = {True: "passed", False: "not passed", None: "a survey"}[self.passed]
        counts = {"measurement": len(self.measurements), "finding": len(self.findings)}
        if self.gated:
            counts["violation"] = len(self.violations)
        told = (f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts.items())
        return f"<Report: {verdict}, {', '.join(told)}>"
