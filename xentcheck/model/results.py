"""The results of an audit and of a probe.

Nobody writes to the arrays inside these values after construction.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from xentcheck.model.grades import Grade
from xentcheck.model.inputs import Array, Case, ParameterValue, Quantity, picked
from xentcheck.model.kinds import NOTES, Kind
from xentcheck.model.profiles import Profile
from xentcheck.model.usual import UsualTest

if TYPE_CHECKING:
    from xentcheck.model.contests import Contest
    from xentcheck.model.diagnosis import Attainable, Diagnosis, Explanation, SafeRange
    from xentcheck.model.searched import Searched


@dataclass(frozen=True, slots=True, eq=False)
class Input:
    """A row, or under a reduction a block, with everything that is needed to compute it again.

    Attributes:
        logits: (classes,), or a scalar array for an elementwise loss; for a block, all its rows.
        labels: the labels of the row or block; None for a loss without labels.
        parameters: the parameters of the loss, by name.
        row: the number of the row within its sweep, for this loss and dtype.
        generator: the name of the generator that made it.
        place: the index of the row in the block; 0 without a reduction.
    """

    logits: Array
    labels: Array | None
    parameters: Mapping[str, ParameterValue]
    row: int = 0
    generator: str = ""
    place: int = 0

    @classmethod
    def of(cls, case: Case, index: int | None, row: int = 0, place: int = 0) -> "Input":
        """The input of the row of a case with this index; None: of the whole block."""
        where: Any = slice(None) if index is None else index
        return cls(
            case.logits[where],
            None if case.labels is None else case.labels[where],
            picked(case.parameters, where),
            row=row,
            generator=case.generator,
            place=place,
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """A result of an implementation and its error.

    Attributes:
        actual: the result.
        expected: the exact result, rounded to the dtype of the result.
        exact: the exact result as decimal text, in more digits than the dtype has.
        ulp_error: the error in ulps; NaN if there is no finite one, for example for a NaN.
        abs_error: the absolute error; NaN likewise.
        index: the component of a gradient, or of a value per class. None: a value per row.
        result_dtype: the dtype of the result, by name.
        excess_bits: bits lost beyond what the condition number explains, if that is known.
        radius_ulp: largest possible distance of the true value from ``exact``, in ulps.
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
    """An input that shows a finding, with its result.

    ``scored`` is None if the call gave no result that can be scored; ``note`` says why. The fields
    of ``input`` and ``scored`` are also attributes of the witness.
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
    """The unit of measurement: one loss, implementation, dtype, quantity and sweep."""

    loss: str
    implementation: str
    dtype: str
    quantity: Quantity
    sweep: str

    @property
    def line(self) -> tuple[str, str, str, Quantity]:
        """The line of reports that it belongs to, over all its sweeps."""
        return (self.loss, self.implementation, self.dtype, self.quantity)


@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """The errors of one cell. The error of a row is the error of its worst component.

    Attributes:
        cell: the cell.
        rows: number of rows.
        max_ulp: largest finite error in ulps; NaN if no row has a finite error.
        p99_ulp: 99th percentile of the finite errors in ulps; NaN likewise.
        median_ulp: their median in ulps; NaN likewise.
        max_abs: largest finite absolute error; NaN likewise.
        counts: number of rows by kind, without kinds that have no rows.
        witness: the worst row.
        result_dtype: the dtype of the results, by name.
        max_excess_bits: the most bits lost beyond what the condition number explains, over all
            components with a finite error. None: not known.
        negative_zeros: number of values −0 of a loss that is never negative. They equal 0 and are
            not faults, but worth knowing.
        first_break: the first row of the sweep that has a fault (not a note) or no result, with
            its kind. In a sweep from mild to extreme inputs, the implementation breaks there.
        scored: number of rows with a finite error.
        far: number of these rows with an error larger than the limit's ``p99_ulp``.
        farthest: the witness of the largest finite error.
        max_normal_ulp: largest finite error in ulps without the results that are flushed to zero
            (`Kind.FTZ`); equal to ``max_ulp`` if nothing is flushed.
        normal: the witness of that error.
        met: the bound that allows that error if it is more than ``max_ulp``: one of
            `OTHER_BOUNDS`. Otherwise "".
        grade: the grade of its worst row; None: not graded.
        graded: the witness of the grade.
        max_norm: the largest error relative to the scale of its row: for a gradient
            max |g − g*| / max |g*|, for a value |v − v*| / max(1, |v*|, the logits' gaps). The
            smallest normal number is the least scale. NaN if no row has a finite one.
        normwise: the witness of that error; for a gradient its worst component.
        attainable: what the best known form attains on its failing rows; None: not known.
        profiles: the errors along the axes of the sweep.
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
    grade: Grade | None = None
    graded: Witness | None = None
    max_norm: float = math.nan
    normwise: Witness | None = None
    attainable: "Attainable | None" = None
    profiles: tuple[Profile, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """A kind of fault in one cell, with its worst witness.

    Attributes:
        kind: the kind.
        cell: the cell.
        rows: number of rows that show it.
        witness: the worst row.
        cause: the root cause, if it is certain.
        hint: what to look for in the code.
        detail: text for the reader, such as the text of an exception, or the height and onset of a
            plateau.
        distance: if two results are compared, their distance in ulps.
        least: the smallest bounds of a limit at which no row would show it, each by itself, by
            name. Without a name the bound excuses no such result, or it is not known.
        original: the worst row, if ``witness`` is a smaller input that was made of it; else None.
        distance: if two results are compared, their distance in ulps; of a broken invariant, how
            far it is off in ulps of the row's scale.
        usual: what usual tests would have said; empty: they were not made.
    """

    kind: Kind
    cell: Cell
    rows: int
    witness: Witness | None = None
    cause: str | None = None
    hint: str = ""
    detail: str = ""
    distance: float = 0.0
    least: Mapping[str, float] = field(default_factory=dict)
    original: Witness | None = None
    usual: tuple[UsualTest, ...] = ()


class Standing(StrEnum):
    """How something compares with the baseline."""

    NEW = "new"
    WORSE = "worse"
    SAME = "same"
    BETTER = "better"
    GONE = "gone"


@dataclass(frozen=True, slots=True, eq=False)
class Violation:
    """A finding beyond a limit.

    Attributes:
        finding: the finding.
        limit: says which limit it is and what it allows.
        rule: the rule that it breaks: one of `RULES`, or ``against`` and a peer.
        standing: how it compares with the baseline; None without a baseline.
        accepted: says what the baseline tolerates there; "" without a baseline.
        place: the place of the limit in the configuration.
        bounds: what the limit would have to be, each bound by itself, by name.
    """

    finding: Finding
    limit: str
    rule: str = ""
    standing: Standing | None = None
    accepted: str = ""
    place: str = ""
    bounds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that was not audited, and the reason. An empty field matches everything.

    ``missing`` is the name of the process (and of the extra) that lacks installed modules.
    """

    reason: str
    loss: str = ""
    implementation: str = ""
    dtype: str = ""
    quantity: str = ""
    sweep: str = ""
    missing: str = ""

    def covers(self, cell: Cell) -> bool:
        """Whether the skip includes a cell."""
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
    """An entry of a baseline that has become better, or is not there any more (stale).

    Attributes:
        cell: the cell of the entry.
        rule: the rule, as in `Violation`; "" for an entry as a whole.
        standing: how the present result compares with the entry.
        text: says what changed.
        into: the rules that are broken instead; "" if no rule is.
    """

    cell: Cell
    rule: str
    standing: Standing
    text: str
    into: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """The place of an implementation's code. ``line`` counts from 1."""

    loss: str
    implementation: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class Yield:
    """The number of rows that a generator made, and of distinct ones (None: not counted)."""

    sweep: str
    generator: str
    loss: str
    dtype: str
    rows: int
    distinct: int | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report:
    """The complete result of a run, ready for output.

    ``violations`` fail a gate; ``tolerated`` are violations that the baseline accepts. ``changes``
    are baseline entries that need an update: they have become better, or they are stale. Stale ones
    also fail the gate if it is ``strict``. ``omissions`` are skips of things that the configuration
    names; they fail it too.

    ``rows()`` gives the cells for a data frame. ``str()`` gives the table for a terminal.
    ``to_json()`` and ``to_markdown()`` give these formats. ``save(path)`` writes the format of the
    file's suffix. Notebooks use ``_repr_html_``.
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
    deaths: tuple[str, ...] = ()  # messages about worker processes that died
    reference: Mapping[str, Any] = field(default_factory=dict)
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by "loss implementation"
    sources: tuple[Source, ...] = ()
    baseline: str = ""  # the path of its file
    tolerated: tuple[Violation, ...] = ()
    changes: tuple[Change, ...] = ()
    unaudited: tuple[Cell, ...] = ()  # described by the configuration, but not audited
    path: str = ""  # the configuration's file
    timeout_s: float | None = None  # seconds for each call; None: the limit of each process
    omissions: tuple[Skip, ...] = ()
    strict: bool = False
    baseline_note: str = ""  # processors that it was recorded on, if this one is not among them
    diagnoses: "tuple[Diagnosis, ...]" = ()  # the causes of the findings, the gravest first
    safe_ranges: "tuple[SafeRange, ...]" = ()
    contests: "tuple[Contest, ...]" = ()  # cells against peers
    searches: "tuple[Searched, ...]" = ()  # worst-case searches, one for each cell

    def rows(self) -> list[dict[str, Any]]:
        """The cells for a data frame: one mapping per cell, with the columns of the CSV."""
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
            path: the file. Without ``form`` its suffix names the format, such as ``.json`` or
                ``.md``.
            form: one of the formats of ``xentcheck run``. It overrides the suffix.

        Raises:
            UsageError: the suffix does not name a format.
            UnknownNameError: there is no such format.
            OSError: the file cannot be written.
        """
        from xentcheck.report import shown  # noqa: PLC0415

        shown.save(self, path, form)

    def plot(
        self,
        figure: str = "grades",
        *,
        loss: str | None = None,
        dtype: str | None = None,
        axis: str | None = None,
        implementations: Sequence[str] | None = None,
    ) -> Any:
        """A figure as a chart of Altair, which notebooks show; ``chart.save(path)`` writes it.

        Args:
            figure: ``grades``, a heat map of one loss; ``errors``, the largest errors along an axis
                of the sweep; or ``distribution``, the share of the rows by their error.
            loss: the loss; None: that of the worst line.
            dtype: the dtype; None: that of the worst line of the loss. ``grades`` has all dtypes.
            axis: the axis of ``errors``, such as ``gap``; None: the first that there is.
            implementations: those that are drawn; None: in ``grades`` all, in the others the worst
                ones and the best one.

        Raises:
            UnknownNameError: the report has nothing of that name.
            UsageError: the extra ``html`` is not installed.
        """
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.plot(
            self, figure, loss=loss, dtype=dtype, axis=axis, implementations=implementations
        )

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
        """Whether a gate passed, as its exit status says: 0 is passed.

        None for a survey, which has no limits.
        """
        if not self.gated:
            return None
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.passed(self)

    def __repr__(self) -> str:
        verdict = {True: "passed", False: "not passed", None: "a survey"}[self.passed]
        counts = {"measurement": len(self.measurements), "finding": len(self.findings)}
        if self.gated:
            counts["violation"] = len(self.violations)
        told = (f"{count} {noun}{'s' * (count != 1)}" for noun, count in counts.items())
        return f"<Report: {verdict}, {', '.join(told)}>"


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a run.

    Attributes:
        share: the fraction of the work that is done, 0 to 1.
        rows: number of rows that are done.
        what: the work in progress.
        worst: the largest finite error so far, in ulps; NaN: none.
        where: the place of that error.
    """

    share: float
    rows: int
    what: str
    worst: float = float("nan")
    where: str = ""


@dataclass(frozen=True, slots=True)
class ProbeProgress:
    """The progress of a probe: the lines that are there, in the order in which they came."""

    lines: "tuple[ProbeLine, ...]"


@dataclass(frozen=True, slots=True)
class ProbeNumber:
    """One result of a probe and the exact one.

    Attributes:
        row: the number of the row in the input; for a row of a sweep, in that sweep.
        index: the component; None for a value per row.
        actual: the result.
        exact: the exact result as decimal text.
        expected: the exact result, rounded to the dtype of the result.
        ulp_error: the error in ulps; NaN if there is no finite one.
        kind: the kind of the fault or note; None if the result is right.
        result_dtype: the dtype of the result, by name.
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
    """The results of one implementation for one quantity in one dtype.

    ``note`` describes incidents of the call, such as an exception.
    """

    implementation: str
    dtype: str
    quantity: Quantity
    results: tuple[ProbeNumber, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProbeResult:
    """The results of all implementations of a loss on one input.

    ``rows`` has the row of a sweep, by dtype, if the probe is about one. ``notes`` are about input
    that may be a mistake. ``explanations`` has what is wrong, step by step, if that was asked for.

    ``str()`` and notebooks show what `xentcheck probe` prints. ``plot()`` draws the errors.
    ``to_json()``, ``to_markdown()`` and ``save()`` are for its report.
    """

    report: Report
    lines: tuple[ProbeLine, ...]
    rows: Mapping[str, Input] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    explanations: "tuple[Explanation, ...]" = ()

    def to_json(self) -> str:
        """The report of the probe as JSON."""
        return self.report.to_json()

    def to_markdown(self) -> str:
        """The report of the probe as Markdown."""
        return self.report.to_markdown()

    def save(self, path: str | os.PathLike[str], form: str | None = None) -> None:
        """Write the report of the probe to a file, like `Report.save`; as a table, ``str()``."""
        from xentcheck.report import shown  # noqa: PLC0415

        shown.save_probe(self, path, form)

    def plot(
        self, *, dtype: str | None = None, implementations: Sequence[str] | None = None
    ) -> Any:
        """The error of every implementation, value beside gradient, as a chart of Altair.

        Errors are in ulps on a logarithmic scale, with the tolerance. What has no finite error
        stands in a band of its own: NaN, a wrong infinity, no result. Colour and shape say which.
        With several rows every row is a point; a row has the error of its worst component.

        Args:
            dtype: the dtype; None: all, one below the other.
            implementations: those that are drawn; None: all.

        Raises:
            UnknownNameError: the probe has nothing of that name.
            UsageError: the extra ``html`` is not installed.
        """
        from xentcheck.report import shown  # noqa: PLC0415

        return shown.probe_plot(self, dtype=dtype, implementations=implementations)

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
