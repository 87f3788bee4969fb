"""The nouns: frozen values that flow from one room to the next.

Arrays inside these values are never written to after construction.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from xentcheck.model.inputs import Array, ParameterValue, Quantity
from xentcheck.model.kinds import NOTES, Kind


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """A row, or under a reduction a block, complete enough to be computed again.

    Attributes:
        logits: (classes,) or a scalar array; of a block all its rows.
        labels: what goes with it, None for a loss without labels.
        parameters: the parameters of the loss, by name.
        row: its number within its sweep, for this loss and dtype.
        generator: the generator that made it.
        place: its place in the block, where there is one.
    """

    logits: Array
    labels: Array | None
    parameters: Mapping[str, ParameterValue]
    row: int = 0
    generator: str = ""
    place: int = 0


@dataclass(frozen=True, slots=True)
class Scored:
    """A result of an implementation, and how far off it is.

    Attributes:
        actual: the result.
        expected: the exact result, rounded to the dtype of the result.
        exact: the exact result as decimal text, in more digits than the dtype has.
        ulp_error: the error in ulps; NaN where it has none, such as of a NaN.
        abs_error: the absolute error; NaN likewise.
        index: the component of a gradient, or of a value per class. None: a value per row.
        result_dtype: the dtype of the result.
        excess_bits: bits lost beyond what the condition number explains, where that is known.
        radius_ulp: how far from ``exact`` the true value may lie, in ulps.
    """

    actual: float
    expected: float
    exact: str
    ulp_error: float
    abs_error: float
    index: int | None = None
    result_dtype: str = ""
    excess_bits: float | None = None
    radius_ulp: float = 0.0


_NOT_SCORED = Scored(math.nan, math.nan, "", math.nan, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Witness:
    """An input that shows what was found, and what came of it.

    ``scored`` is None where the call gave no result that could be scored; ``note`` says why. The
    fields of both parts are attributes of the witness too.
    """

    input: Input
    scored: Scored | None = None
    note: str = ""

    @property
    def logits(self) -> Array:
        return self.input.logits

    @property
    def labels(self) -> Array | None:
        return self.input.labels

    @property
    def parameters(self) -> Mapping[str, ParameterValue]:
        return self.input.parameters

    @property
    def row(self) -> int:
        return self.input.row

    @property
    def generator(self) -> str:
        return self.input.generator

    @property
    def place(self) -> int:
        return self.input.place

    @property
    def actual(self) -> float:
        return (self.scored or _NOT_SCORED).actual

    @property
    def expected(self) -> float:
        return (self.scored or _NOT_SCORED).expected

    @property
    def exact(self) -> str:
        return (self.scored or _NOT_SCORED).exact

    @property
    def ulp_error(self) -> float:
        return (self.scored or _NOT_SCORED).ulp_error

    @property
    def abs_error(self) -> float:
        return (self.scored or _NOT_SCORED).abs_error

    @property
    def index(self) -> int | None:
        return (self.scored or _NOT_SCORED).index

    @property
    def result_dtype(self) -> str:
        return (self.scored or _NOT_SCORED).result_dtype

    @property
    def excess_bits(self) -> float | None:
        return (self.scored or _NOT_SCORED).excess_bits

    @property
    def radius_ulp(self) -> float:
        return (self.scored or _NOT_SCORED).radius_ulp


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
    first_break: tuple[Kind, Input] | None = None
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
    notebooks show it by ``_repr_html_``.
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

    def rows(self) -> list[dict[str, Any]]:
        """The cells, one mapping each, for a data frame; the columns are those of the CSV."""
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.rows(self)

    def to_json(self) -> str:
        """The report as JSON, as ``--format json`` writes it."""
        return self._as("json")

    def to_markdown(self) -> str:
        """The report as Markdown, as ``--format markdown`` writes it."""
        return self._as("markdown")

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> None:
        """Write the report to a file, in the format of its suffix or in ``form``.

        Args:
            path: the file; its suffix is that of a format, such as ``.json`` or ``.md``.
            form: one of the formats of ``xentcheck run``, whatever the suffix.

        Raises:
            UsageError: the suffix is not that of a format.
            UnknownNameError: there is no such format.
            OSError: the file cannot be written.
        """
        from xentcheck.report import shown  # noqa: PLC0415

        shown.save(self, path, form)

    def _as(self, form: str) -> str:
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.text(self, form)

    def __str__(self) -> str:
        return self._as("table")

    def _repr_html_(self) -> str:
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.html(self)

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


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    ``share`` of the work is done (0 to 1), ``rows`` rows of it; ``what`` comes next. ``worst`` is
    the largest finite error in ulps so far (NaN: none), seen in ``where``.
    """

    share: float
    rows: int
    what: str
    worst: float = float("nan")
    where: str = ""


@dataclass(frozen=True, slots=True)
class ProbeNumber:
    """One result of a probe against the exact one.

    ``row`` is its number in the input, for a row of a sweep in that sweep; ``index`` its component,
    None for a value per row.
    """

    row: int
    index: int | None
    actual: float
    exact: str
    expected: float
    ulp_error: float
    kind: Kind | None
    result_dtype: str


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """What one implementation returned for one quantity in one dtype.

    ``note`` says what else it did, other than to return a result.
    """

    implementation: str
    dtype: str
    quantity: Quantity
    results: tuple[ProbeNumber, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProbeResult:
    """All implementations of a loss on one input.

    ``rows`` has, by dtype, the row of a sweep that was asked about. ``notes`` say what of the
    input may not be what was meant.

    ``str()`` and notebooks show what `xentcheck probe` prints; ``to_json()``, ``to_markdown()``
    and ``save()`` are those of its report.
    """

    report: Report
    lines: tuple[ProbeLine, ...]
    rows: Mapping[str, Input] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> str:
        """The report of the probe as JSON."""
        return self.report.to_json()

    def to_markdown(self) -> str:
        """The report of the probe as Markdown."""
        return self.report.to_markdown()

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> None:
        """Write the report of the probe to a file, as `Report.save`; the table is ``str()``."""
        from xentcheck.report import shown  # noqa: PLC0415

        shown.save_probe(self, path, form)

    def __str__(self) -> str:
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.probe_text(self)

    def _repr_html_(self) -> str:
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.probe_html(self)

    def __repr__(self) -> str:
        losses = dict.fromkeys(each.cell.loss for each in self.report.measurements)
        dtypes = dict.fromkeys(line.dtype for line in self.lines)
        names = {line.implementation for line in self.lines}
        wrong = sum(
            any(number.kind not in (None, *NOTES) for number in line.results) for line in self.lines
        )
        return (
            f"<ProbeResult of {', '.join(losses) or 'nothing'}: {len(names)} implementations in "
            f"{', '.join(dtypes) or 'no dtype'}, {wrong} of {len(self.lines)} results wrong>"
        )
