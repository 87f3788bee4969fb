"""Worst-case search: the standard sweep of an implementation, then a competition of strategies.

A search is a survey: it says how bad the worst row is that it found, and never that there is none.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.auditing.check import CHECK_TOLERANCE
from xentcheck.auditing.confirm import Confirmation
from xentcheck.auditing.environment import METHOD, WITHOUT_BINARY128, environment
from xentcheck.auditing.plan import patient, reachable
from xentcheck.auditing.run import Options, audit
from xentcheck.auditing.shrink import shrunk
from xentcheck.errors import UncertifiedError, UnknownNameError, UnsupportedError, UsageError
from xentcheck.execution import hosts, observe, unsupported
from xentcheck.floats import ULP_DEFINITION, format_of, to_float64
from xentcheck.implementations.user.command import Command
from xentcheck.losses import LOSSES
from xentcheck.measurement import Aim, Arbitration, Tally, close, measure, note
from xentcheck.measurement.escalation import Part
from xentcheck.model import (
    ANY_PARAMETER,
    KINDS,
    RIGHT,
    Case,
    Cell,
    Config,
    Finding,
    Implementation,
    Input,
    Kind,
    LabelKind,
    Measurement,
    Process,
    Progress,
    Report,
    Searched,
    Skip,
    Sweep,
    Tolerance,
    Witness,
    function_for,
    reduces,
    selected,
)
from xentcheck.reference import Reference, Tier, tiers_for
from xentcheck.searching import Trials
from xentcheck.searching.competition import SWEEP, Competition, Course, grouped
from xentcheck.searching.space import NAME, Space, settings_of
from xentcheck.searching.strategies import Block
from xentcheck.sweeps.generator import stream

SWEEPS = ("ordinary", "extreme", "zeros", "exhaustive")
"""The standard sweeps whose worst rows a search starts from. The others have infinities, or rows
that are too long to be tried often."""

FINDABLE = (
    Kind.CRASHED,
    Kind.TIMED_OUT,
    Kind.RAISED,
    Kind.NAN,
    Kind.SPURIOUS_OVERFLOW,
    Kind.MISSED_OVERFLOW,
    Kind.WRONG_SIGN,
    Kind.VANISHED_GRADIENT,
    Kind.SPURIOUS_UNDERFLOW,
    Kind.INACCURATE,
)
"""The kinds that a search can look for: a single finite row shows them."""

_MOST_ROWS = 64  # of a block that a search starts from

BUDGET = 20_000
"""Rows that are tried for each implementation, dtype and quantity unless it is said otherwise."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search looks for, and how long.

    Attributes:
        aim: ``ulp``, ``excess``, ``norm``, or one of `FINDABLE`.
        budget: rows to try for each implementation, dtype and quantity. None: no such limit.
        seconds: seconds of all searches together, after the standard sweep. None: no such limit.
        tolerance: a result beyond it is a finding.
    """

    aim: str = "ulp"
    budget: int | None = None
    seconds: float | None = None
    tolerance: Tolerance = CHECK_TOLERANCE

    def __post_init__(self) -> None:
        known = [*map(str, Aim), *map(str, FINDABLE)]
        if self.aim not in known:
            if self.aim in list(map(str, Kind)):
                message = f"{self.aim} is no kind that a single finite row shows"
                raise UsageError(f"{message}\n    help: look for one of {', '.join(known)}")
            raise UnknownNameError("aim of a search", self.aim, known)
        if self.budget is not None and self.budget < 1:
            raise UsageError(f"a budget of {self.budget}: there has to be one evaluation at least")
        if self.seconds is not None and not self.seconds > 0:
            raise UsageError(f"{self.seconds:g} seconds: it has to be more than 0")

    @property
    def kind(self) -> Kind | None:
        """The kind that is looked for; None if an error is maximised."""
        return Kind(self.aim) if self.aim in list(map(str, Kind)) else None

    @property
    def maximised(self) -> Aim:
        """What the competition maximises; for a kind it is the error in ulps."""
        return Aim.ULP if self.kind is not None else Aim(self.aim)

    @property
    def rows(self) -> int | None:
        """The rows to try; `BUDGET` if neither limit is given."""
        return BUDGET if self.budget is None and self.seconds is None else self.budget


def search(config: Config, wanted: Wanted, options: Options) -> Report:
    """Search for the worst rows of the implementations that a configuration selects.

    Args:
        config: the standard sweeps of one loss.
        wanted: what to look for.
        options: how the sweeps are audited; the searches use this process and the hosts.

    Returns:
        The report, with one measurement and one of ``searches`` for each implementation, dtype and
        quantity. After KeyboardInterrupt it has what is known until then.

    Raises:
        XentcheckError: as `audit`.
    """
    sweeps = tuple(each for each in config.sweeps if each.name in SWEEPS)
    narrowed = replace(config, sweeps=sweeps, limits=())
    with hosts.kept():
        run = _Run(narrowed, wanted, options, audit(narrowed, options))
        run.run()
    return run.report()


@dataclass(frozen=True, slots=True, eq=False)
class _Target:
    """One search: an implementation, a dtype and a quantity, with the sweep that says the rest."""

    implementation: Implementation
    cell: Cell
    sweep: Sweep

    @property
    def trials(self) -> Trials:
        """The calls. Under a reduction every row is a call of its own."""
        asked = _asked(self.sweep)
        reduction = {"reduction": asked["reduction"]} if reduces(asked) else {}
        return Trials(self.implementation, self.cell.quantity, _silent, reduction)


@dataclass(slots=True, eq=False)
class _Run:
    """The searches of a report; its lists grow, so that an interrupted run keeps what is done."""

    config: Config
    wanted: Wanted
    options: Options
    standard: Report
    measurements: list[Measurement] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    searches: list[Searched] = field(default_factory=list)
    skips: dict[Skip, None] = field(default_factory=dict)
    uncertified: list[str] = field(default_factory=list)
    confirmation: Confirmation = field(default_factory=Confirmation)
    decided: Counter[Tier] = field(default_factory=Counter)
    known: tuple[Implementation, ...] = ()
    processes: set[Process] = field(default_factory=set)
    interrupted: bool = False
    arbitrated: int = 0
    rows: int = 0

    def run(self) -> None:
        """Do all searches."""
        self.skips = dict.fromkeys(self.standard.skips)
        self.uncertified += self.standard.uncertified
        self.interrupted = self.standard.interrupted
        targets = list(self._targets())
        started = time.monotonic()
        for number, target in enumerate(targets):
            if self.interrupted:
                return
            left = None
            if self.wanted.seconds is not None:
                left = self.wanted.seconds - (time.monotonic() - started)
                left /= len(targets) - number
            try:
                self._search(target, left, number, len(targets))
            except KeyboardInterrupt:
                self.interrupted = True
        self.interrupted |= self.confirmation.run(1, [])
        self.uncertified += self.confirmation.failures

    def _targets(self) -> Iterator[_Target]:
        """What is searched. Everything else becomes a skip."""
        obstacles: dict[Process, str] = {}
        timeout_s = self.options.timeout_s
        registered = registry.load_registered()[0]
        every = [patient(each, timeout_s) for each in (*registered, *self.options.extra)]
        swept = {each.cell.line for each in self.standard.measurements if each.cell.sweep in SWEEPS}
        swept |= {each.cell.line for each in self.standard.findings if each.cell.sweep in SWEEPS}
        for each in every:
            whole = [s for s in self.config.sweeps if _selects(s, each)]
            if not whole or not reachable(each, self.skips.setdefault, obstacles):
                continue
            self.known += (each,)
            for dtype in dict.fromkeys(d for sweep in whole for d in sweep.dtypes):
                for quantity in whole[0].quantities:
                    cell = Cell(each.loss, each.name, dtype, quantity, NAME)
                    reason = self._obstacle(each, cell, whole[0], swept)
                    if reason is None:
                        if each.process is not None:
                            self.processes.add(each.process)
                        yield _Target(each, cell, whole[0])
                    elif reason:
                        self.skips.setdefault(
                            Skip(reason, cell.loss, cell.implementation, cell.dtype)
                        )

    def _obstacle(
        self, each: Implementation, cell: Cell, sweep: Sweep, swept: set[Any]
    ) -> str | None:
        """Why a cell is not searched; "" if the audit has said it, None if it is searched."""
        function = function_for(each, cell.quantity)
        if isinstance(function, Command):
            return "search: each call of a command starts a program"
        asked = _asked(sweep)
        if asked.get("reduction") == "mean" and "weight" in asked:
            return "search: the mean of one row has no weight, and more rows are not searched"
        return "" if function is None or cell.line not in swept else None

    def _search(self, target: _Target, left: float | None, number: int, count: int) -> None:
        """Search one cell, measure the rows that it found, and make their findings smaller."""
        space = self._space(target)
        seed, cell = self.config.seed, target.cell
        place = (NAME, cell.loss, cell.implementation, cell.dtype, cell.quantity)
        competition = Competition(
            target.trials,
            space,
            self._starts(target, space),
            self.wanted.maximised,
            self.wanted.kind,
            partial(self._shows, target),
            lambda purpose: stream(seed, *place, purpose),
        )
        end = None if left is None else time.monotonic() + left

        def told(course: Course) -> None:
            self._announce(target, course, number, count, left, end)

        enough = (lambda: False) if end is None else (lambda: time.monotonic() >= end)
        course = competition.run(self.wanted.rows, enough, told)
        self.rows += course.evaluations
        self.interrupted |= course.interrupted
        self._collect(target, space, course)

    def _space(self, target: _Target) -> Space:
        sweep, cell = target.sweep, target.cell
        loss = LOSSES[cell.loss]
        kind = sweep.label_kind or loss.label_kinds[0]
        takes = target.implementation.parameters
        names = () if takes == ANY_PARAMETER else tuple(sorted(takes))
        trials = target.trials
        apart = {**trials.reduction}
        asked = {n: each for n, each in _asked(sweep).items() if n not in apart}
        if apart:
            names = tuple(each for each in names if each != "weight")
        settings = settings_of(loss, kind, asked, names, cell.dtype)
        targets = sweep.targets if kind in (LabelKind.TARGET, LabelKind.DISTRIBUTION) else "all"
        space = Space(
            loss,
            cell.dtype,
            kind,
            targets if targets in ("ends", "soft") else "all",
            sweep.integers,
            settings,
        )
        fit = [
            each
            for each in settings
            if not unsupported(target.implementation, trials.reduced(_example(space, each), 0))
        ]
        return replace(space, settings=tuple(fit or settings[:1]))

    def _starts(self, target: _Target, space: Space) -> list[Block]:
        """The rows of the standard sweep that are known by their numbers: the worst of the cell."""
        inputs: list[Input] = []
        for each in self.standard.measurements:
            if each.cell.line == target.cell.line:
                shown = (each.witness, each.farthest, each.normal)
                inputs += [witness.input for witness in shown if witness is not None]
        for finding in self.standard.findings:
            if finding.cell.line == target.cell.line and finding.witness is not None:
                inputs.append(finding.witness.input)
        setting = space.settings[0]
        rows = [
            (space.case(each.logits[np.newaxis], _label(each), setting), setting)
            for whole in inputs
            for each in _rows_of(whole, space)
            if _startable(each, space)
        ]
        return grouped(rows)

    def _shows(self, target: _Target, case: Case) -> bool:
        """Whether a row shows the kind that is looked for, within the tolerance."""
        case = target.trials.reduced(case, 0)
        try:
            observed = observe(target.implementation, case, target.cell.quantity, thorough=False)
            if observed.results is None:
                return False
            scores = self._part(target, case, observed.results.dtype).scores(
                observed.results, self.wanted.tolerance, LOSSES[case.loss]
            )
        except (UncertifiedError, UnsupportedError):
            return False
        code = int(scores.kinds.min())
        return code != RIGHT and KINDS[code] is self.wanted.kind

    def _part(self, target: _Target, case: Case, dtype: Any) -> Part:
        found = format_of(dtype)
        assert found is not None
        truth = Reference(case, {target.cell.quantity})
        return Part(case, slice(0, case.rows), target.cell.quantity, found.name, truth)

    def _announce(
        self,
        target: _Target,
        course: Course,
        number: int,
        count: int,
        left: float | None,
        end: float | None,
    ) -> None:
        if self.options.progress is None:
            return
        if end is not None and left:
            share = 1.0 - (end - time.monotonic()) / left
        else:
            share = course.evaluations / (self.wanted.rows or 1)
        cell = target.cell
        what = f"search: {cell.implementation}, {cell.loss} in {cell.dtype}, {cell.quantity}"
        worst = course.worst if course.curve else float("nan")
        whole = (number + min(max(share, 0.0), 1.0)) / count
        self.options.progress(
            Progress(whole, self.rows + course.evaluations, what, worst, course.winner)
        )

    # what came of it -------------------------------------------------------------------------

    def _collect(self, target: _Target, space: Space, course: Course) -> None:
        cell, tolerance = target.cell, self.wanted.tolerance
        tally, start = Tally(), 0
        shown = course.shown()
        if course.reached is not None and self.wanted.kind not in course.incidents:
            shown = [course.reached, *shown]
        trials = target.trials
        if trials.reduction:
            shown = [trials.reduced(each, row) for each in shown for row in range(each.rows)]
        for case in shown:
            numbered = replace(case, start=start)
            start += case.rows
            try:
                truth = Reference(numbered, {cell.quantity})
                measure(
                    tally,
                    target.implementation,
                    numbered,
                    truth,
                    cell.quantity,
                    tolerance,
                    thorough=False,
                )
                self.decided += truth.decided()
            except UncertifiedError as error:
                self.uncertified.append(str(error))
            except UnsupportedError as error:
                self.skips.setdefault(Skip(str(error), cell.loss, cell.implementation))
        for kind, incident in course.incidents.items():
            if kind in tally.incidents:
                continue
            tally.rows += 1
            note(tally, replace(incident, rows=(0,)), replace(course.first[kind], start=start))
            start += 1
        arbitration = Arbitration()
        measurement, findings = close(cell, tally, tolerance, arbitration)
        worst, witness = self._worst(target, tally, measurement, course, arbitration)
        self.arbitrated += arbitration.confirmed
        self.uncertified += arbitration.failures
        for candidate in filter(None, (tally.shown.get(None), tally.largest)):
            self.confirmation.remember(cell, candidate)
        smaller = partial(
            shrunk,
            implementation=target.implementation,
            tolerance=tolerance,
            tell=_silent,
            fixed=space.targets != "all",
            integers=space.integers,
        )
        self.findings += map(smaller, findings)
        self.measurements.append(measurement)
        before = [each.worth for each in course.curve if each.strategy == SWEEP]
        self.searches.append(
            Searched(
                cell=cell,
                aim=self.wanted.aim,
                evaluations=course.evaluations,
                worst=worst,
                witness=witness,
                before=_told(before[-1], self.wanted.maximised) if before else float("nan"),
                curve=tuple(course.curve),
                shares=dict(course.shares),
                reached=None if self.wanted.kind is None else course.reached is not None,
                ended=course.ended,
            )
        )

    def _worst(
        self,
        target: _Target,
        tally: Tally,
        measurement: Measurement,
        course: Course,
        arbitration: Arbitration,
    ) -> tuple[float, Witness | None]:
        """How bad the worst row is by what is maximised, and its witness; the arbiter says both."""
        flushes = tally.flushing.flushes
        if self.wanted.maximised is Aim.ULP or not course.pool.islands:
            return measurement.max_ulp, measurement.farthest
        if self.wanted.maximised is Aim.EXCESS:
            if tally.most_excess is None:
                return measurement.max_excess_bits or 0.0, measurement.farthest
            found = arbitration.witness(
                tally.most_excess, target.cell, self.wanted.tolerance, flushes=flushes
            )
            return found.excess_bits or 0.0, found
        return measurement.max_norm, measurement.normwise

    def report(self) -> Report:
        """The report of all searches."""
        standard = self.standard
        sane = [each for each in standard.findings if each.cell.sweep not in SWEEPS]
        measured = [each for each in standard.measurements if each.cell.sweep not in SWEEPS]
        binary128 = Tier.BINARY128 in tiers_for("float64")
        return Report(
            environment=environment(self.processes),
            seed=self.config.seed,
            config=self.config.document,
            measurements=(*(measured if sane else ()), *self.measurements),
            findings=(*sane, *self.findings),
            violations=(),
            skips=tuple(self.skips),
            yields=(),
            gated=False,
            interrupted=self.interrupted,
            uncertified=tuple(dict.fromkeys(self.uncertified)),
            deaths=standard.deaths,
            reference={
                "method": METHOD if binary128 else WITHOUT_BINARY128,
                "ulp": ULP_DEFINITION,
                "binary128": binary128,
                "rows": sum(each.rows for each in self.measurements),
                "decided_by": {tier.value: self.decided[tier] for tier in Tier},
                "rows_sampled_by_mpmath": 0,
                "witnesses_by_mpmath": self.arbitrated,
                "witnesses_confirmed_by_definition": self.confirmation.confirmed,
                "witnesses_beyond_definition": self.confirmation.beyond,
                "confirmations_failed": len(self.confirmation.failures),
            },
            origins={
                f"{each.loss} {each.name}": each.probe_words
                for each in self.known
                if each.probe_words
            },
            timeout_s=self.options.timeout_s,
            searches=tuple(self.searches),
        )


def _silent(_name: str) -> None:
    """A search runs in one process: nobody has to know whom it calls."""


def _selects(sweep: Sweep, each: Implementation) -> bool:
    return each.loss in sweep.losses and selected(each.name, sweep.implementations)


def _asked(sweep: Sweep) -> dict[str, Any]:
    """The parameters that the sweep asks for, by name."""
    return {
        name: axis[0] for name, axis in sweep.parameters.items() if axis and axis[0] is not None
    }


def _example(space: Space, setting: Any) -> Case:
    rng = np.random.default_rng(0)
    shape = (space.size,) if space.elementwise else (space.size, space.counts[0])
    logits = space.ordinary(shape, rng)
    return space.case(logits, space.labels(logits, rng, setting), setting)


def _rows_of(given: Input, space: Space) -> list[Input]:
    """The rows of an input: one, or up to `_MOST_ROWS` of the block of a reduction."""
    if given.logits.ndim == (0 if space.elementwise else 1):
        return [given]
    return [
        replace(given, logits=row, labels=None if given.labels is None else given.labels[place])
        for place, row in enumerate(given.logits[:_MOST_ROWS])
    ]


def _startable(given: Input, space: Space) -> bool:
    """Whether a search can start from an input: a finite row with a label of the right kind."""
    if given.logits.ndim != (0 if space.elementwise else 1):
        return False
    arrays = [given.logits]
    if given.labels is not None and space.kind is LabelKind.INTEGER:
        if not 0 <= int(given.labels) < max(given.logits.size, 1):
            return False
    elif given.labels is not None:
        arrays.append(given.labels)
    return all(bool(np.isfinite(to_float64(each)).all()) for each in arrays)


def _label(given: Input) -> Any:
    return None if given.labels is None else given.labels[np.newaxis]


def _told(worth: float, aim: Aim) -> float:
    """What is shown for a worth: excess bits for ulps over the condition number."""
    if aim is not Aim.EXCESS:
        return worth
    return max(float(np.log2(2.0 * worth)), 0.0) if worth > 0 else 0.0
