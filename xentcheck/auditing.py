"""The loop: sweep → case → truth → each implementation → scores → measurements and findings.

The work is cut into tasks, each a part of a sweep for one loss and dtype, that need nothing of each
other; they go to worker processes, and what comes back is put together in their order. So the
results are the same, and in the same order, for any number of workers. The truth of a case is
computed once and shared by every implementation and both quantities. What is printed is scored by
the arbiter, and the worst row of each printed line is confirmed by the textbook definition.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import metadata
from typing import Any

import numpy as np

from xentcheck import recognition, registry, sweeps
from xentcheck._version import __version__
from xentcheck.errors import (
    INTERNAL_ERROR,
    ConfigError,
    EmptySweepError,
    Problem,
    UncertifiedError,
    UnknownNameError,
    UnsupportedError,
    UsageError,
)
from xentcheck.execution import (
    Death,
    Outcomes,
    cores,
    hosts,
    open_targets,
    run_tasks,
    unasked,
    unsupported,
)
from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.baseline import Baseline, Weighed, bounds_of, observed, weigh
from xentcheck.gate.limits import judge
from xentcheck.gate.omissions import omissions
from xentcheck.implementations.command import Command
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.measurement import (
    Arbitration,
    Candidate,
    Tally,
    close,
    compare_variants,
    content,
    gravity,
    lost,
    measure,
    note,
    place_found,
    take,
)
from xentcheck.measurement.candidate import alone
from xentcheck.measurement.collecting import MOST_LED
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Case,
    Cell,
    Config,
    Finding,
    Implementation,
    Kind,
    Measurement,
    Process,
    Progress,
    Quantity,
    Report,
    Skip,
    Source,
    Sweep,
    Tolerance,
    Yield,
    function_for,
    selected,
)
from xentcheck.reference import Tier, Truth, confirm, disagreement, exact, tiers_for
from xentcheck.searching import Found, HaltedError, Trials, climb, joined, thresholds
from xentcheck.sweeps import Part, adaptive_inputs, divided, fitted, inapplicable
from xentcheck.sweeps.generator import stream

METHOD = "enclosures of rising precision: float64, binary128, mpmath intervals"
WITHOUT_BINARY128 = "enclosures of rising precision: float64, mpmath intervals (no numpy-quaddtype)"

SAMPLE = 1 << 17
"""One row of so many is held against the arbiter."""

FIRST_SAMPLE = 8
"""Of the first part of a sweep so many rows are held against the arbiter, if they are short: of
up to `FIRST_SAMPLE_CLASSES` numbers together."""

FIRST_SAMPLE_CLASSES = 1 << 11

THOROUGH = 16
"""The first part of a sweep, and one of so many others, is called repeatedly."""


OTHERWISE = 5
"""The first parts of a sweep, so many, and all that are called repeatedly, are also called with
arrays that lie otherwise in memory, and with other upstream gradients: one case for each reduction
and set of parameters."""

TOGETHER = 1 << 16
"""Numbers of the parts that are one task where something is searched for."""

MOST_HOSTING = 4
"""So many workers at most, unless told otherwise, where each loads frameworks of its own."""


def audit(
    config: Config,
    *,
    select: Sequence[str] = (),
    extra: Sequence[Implementation] = (),
    baseline: Baseline | None = None,
    slack: float | None = None,
    workers: int | None = 1,
    timeout_s: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    sanity_check: bool = False,
) -> Report:
    """Run a configuration.

    Args:
        config: what to audit; its targets are loaded and join the registry.
        select: patterns of implementation names; empty selects all that the sweeps do.
        extra: further implementations, beside the registered ones.
        baseline: what is tolerated of what is beyond the limits.
        slack: by how much that may change; None: as `ratchet.slack_for` has it.
        workers: how many processes share the work; the report does not depend on it. None: all
            cores, but at most `MOST_HOSTING` where each of them loads frameworks or users' code.
            With one everything else runs in this process, and what kills it kills the run.
        timeout_s: how long one call of a framework or of users' code may take.
        progress: called whenever a part of the work is done.
        sanity_check: first ask users' own functions about mild rows; what is among ``extra`` and
            recognised as another function is not swept.

    Raises:
        ConfigError: a limit selects nothing that could be audited.
        TargetError: a target of the configuration cannot be loaded, or one of ``extra`` cannot be
            called as asked.
        UnknownNameError: a pattern in ``select`` matches nothing.
        UsageError: two implementations of a loss have one name.

    A case whose exact results cannot be certified is not scored; the report says so. On
    KeyboardInterrupt what is under way is finished, and the report has all that is done.
    """
    check_time(timeout_s)
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: there has to be one at least")
    registered, skips = registry.load_registered()
    try:
        targets = open_targets([replace(each, timeout_s=timeout_s) for each in config.targets])
        known = tuple(patient(each, timeout_s) for each in (*registered, *targets, *extra))
        _check_unique(known)
        check_patterns(select, known)
        check_sweeps(config, known, skips)
        described = described_cells(config, known)
        check_limits(config, described, known)
        sane = recognition.Sanity(config)
        if sanity_check:
            own = (patient(each, timeout_s) for each in extra)
            chosen = [each for each in targets if selected(each.name, select or ("*", "*@*"))]
            sane = recognition.check(config, tuple(own), chosen, workers or cores())
        run = _Audit(
            sane.config, known, tuple(select), list(skips), described, baseline, slack, progress
        )
        run.begin(sane)
        return replace(run.report(workers), timeout_s=timeout_s)
    finally:
        hosts.close()


def check_time(timeout_s: float | None) -> None:
    """Refuse what is no time limit. Raises UsageError."""
    if timeout_s is not None and not timeout_s > 0:
        raise UsageError(f"a time limit of {timeout_s:g} s: it has to be more than 0")


def patient(implementation: Implementation, timeout_s: float | None) -> Implementation:
    """The implementation, with another time limit for its calls unless that is None."""
    process = implementation.process
    if process is None or timeout_s is None:
        return implementation
    return replace(implementation, process=replace(process, timeout_s=timeout_s))


def _check_unique(known: Iterable[Implementation]) -> None:
    """Refuse two implementations that would be measured as one."""
    seen = Counter((each.loss, each.name) for each in known)
    for (loss, name), count in seen.items():
        if count > 1:
            message = f"{count} implementations of {loss} are called {name!r}; rename one of them"
            raise UsageError(message)


def check_patterns(select: Sequence[str], known: Iterable[Implementation]) -> None:
    """Refuse a pattern that matches no implementation's name, with the nearest name."""
    known = list(known)
    names = sorted({each.name for each in known})
    for pattern in _unmatched(select, names):
        hint = registry.meant_by(pattern, known)
        raise UnknownNameError("implementation", pattern, names, f"; {hint}" if hint else "")


def _unmatched(patterns: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """The patterns that select none of the names."""
    for pattern in patterns:
        if not any(selected(name, (pattern,)) for name in names):
            yield pattern


def described_cells(config: Config, known: Sequence[Implementation]) -> tuple[Cell, ...]:
    """Every cell that a configuration describes, whether or not it can be audited here."""
    return tuple(
        Cell(loss, each.name, dtype, quantity, sweep.name)
        for sweep in config.sweeps
        for loss in sweep.losses
        for each in known
        if each.loss == loss and selected(each.name, sweep.implementations)
        for dtype in sweep.dtypes
        for quantity in sweep.quantities
    )


def check_sweeps(
    config: Config, known: Iterable[Implementation], skips: Iterable[Skip] = ()
) -> None:
    """Refuse a sweep that names an implementation which nobody declares.

    ``skips`` tell what could not be loaded.
    """
    known = list(known)
    names = sorted({each.name for each in known})
    unloaded = [skip.reason for skip in skips if skip.implementation]
    problems = []
    for sweep in config.sweeps:
        for pattern in _unmatched(sweep.implementations, names):
            remedy = "; ".join(filter(None, (registry.meant_by(pattern, known), *unloaded)))
            message = f"no implementation is called {pattern!r}"
            place = f"sweeps.{sweep.name}.implementations"
            problems.append(Problem(place, message, config.path, remedy=remedy))
    if problems:
        raise ConfigError(problems)


def check_limits(
    config: Config, described: Sequence[Cell], known: Sequence[Implementation]
) -> None:
    """Refuse a limit that governs no cell: nobody has its implementation, or later ones hide it.

    The latter of limits in a file, where someone expects them to count.
    """
    problems = []
    governing = {id(config.limit_for(cell)) for cell in described}
    for limit in config.limits:
        if id(limit) in governing:
            continue
        if any(limit.selects(cell) for cell in described):
            if limit.line:
                message = "never applies: later limits select all that it does"
                remedy = "the last limit that selects a cell governs it"
                problems.append(Problem(limit.path, message, config.path, limit.line, remedy))
            continue
        if limit.implementation == "*":
            continue
        anyone = replace(limit, implementation="*")
        names = dict.fromkeys(each.implementation for each in described if anyone.selects(each))
        message = f"no implementation audited here matches {limit.implementation!r}"
        there = [each for each in known if each.name in names]
        remedy = registry.meant_by(limit.implementation, there)
        remedy = remedy or "nothing is audited there at all"
        path = f"{limit.path}.implementation"
        problems.append(Problem(path, message, config.path, limit.line, remedy))
    if problems:
        raise ConfigError(problems)


@dataclass(frozen=True, slots=True)
class _Task:
    """Parts of a step that follow each other, most often one.

    ``crashed``: implementations that killed a worker on them, and how.
    """

    step: int
    parts: range
    crashed: tuple[tuple[str, str], ...] = ()
    lost: str = ""  # why it is given up


@dataclass(frozen=True, slots=True, eq=False)
class _Closed:
    """A step's measurements and findings; ``worst`` has each cell's worst row."""

    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    worst: tuple[tuple[Cell, Candidate], ...] = ()
    arbitrated: int = 0
    failures: tuple[str, ...] = ()


@dataclass(slots=True)
class _Outcome:
    """What came of a task; its rows are numbered from 0.

    ``found`` counts the rows that were searched for, which are no rows of the sweep's own.
    ``closed``: what the tallies come to, where the task is all of its step.
    """

    rows: int = 0
    found: int = 0
    closed: _Closed | None = None
    tallies: dict[Cell, Tally] = field(default_factory=dict)
    yields: sweeps.Tally = field(default_factory=sweeps.Tally)
    skips: list[Skip] = field(default_factory=list)
    decided: Counter[Tier] = field(default_factory=Counter)
    sampled: int = 0
    uncertified: list[str] = field(default_factory=list)

    def worst(self) -> Iterator[tuple[Cell, float]]:
        """Each cell's largest finite error in ulps, NaN where there is none."""
        if self.closed is not None:
            yield from ((each.cell, each.max_ulp) for each in self.closed.measurements)
        yield from ((cell, tally.worst) for cell, tally in self.tallies.items())

    def merge(self, other: "_Outcome") -> None:
        """Take in what came of the next part of the same step."""
        self.closed = other.closed
        for cell, tally in other.tallies.items():
            self.tallies.setdefault(cell, Tally()).merge(tally, self.rows, self.found)
        self.rows += other.rows
        self.found += other.found
        self.yields.merge(other.yields)
        self.skips += other.skips
        self.decided += other.decided
        self.sampled += other.sampled
        self.uncertified += other.uncertified


@dataclass(frozen=True, eq=False)
class _Step:
    """A sweep of one loss in one dtype, and who is audited on it."""

    sweep: Sweep
    loss: Loss
    dtype: str
    seed: int
    chosen: tuple[Implementation, ...]
    limits: Config

    @cached_property
    def parts(self) -> Sequence[Part]:
        return sweeps.parts(self.sweep, self.loss, self.dtype, self.seed)

    @cached_property
    def adaptive(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The inputs that are found for each implementation, with their options."""
        return adaptive_inputs(self.sweep, self.loss, self.dtype)

    @property
    def tasks(self) -> Iterator[range]:
        """The parts in groups. Where something is searched for, short ones go together: a search
        starts from the worst rows of its group.
        """
        count = len(self.parts)
        if not self.adaptive:
            yield from (range(part, part + 1) for part in range(count))
            return
        first, numbers = 0, 0
        for number, part in enumerate(self.parts):
            own = part.rows * part.classes
            if number > first and numbers + own > TOGETHER:
                yield range(first, number)
                first, numbers = number, 0
            numbers += own
        yield range(first, count)

    @property
    def what(self) -> str:
        return f"{self.sweep.name}: {self.loss.id} in {self.dtype}"

    @cached_property
    def weight(self) -> float:
        """How much work it is, in numbers times implementations."""
        return sum(part.rows * part.classes for part in self.parts) * float(len(self.chosen))

    def tolerance(self, cell: Cell) -> Tolerance:
        limit = self.limits.limit_for(cell)
        return SURVEY_TOLERANCE if limit is None else limit.tolerance

    def invariant(self, cell: Cell) -> bool:
        """Whether a row may not change with its batch at all."""
        limit = self.limits.limit_for(cell)
        return limit is not None and limit.batch_invariant

    def do(self, task: _Task, tell: Callable[[str], None]) -> _Outcome:
        """Audit every implementation on one part."""
        outcome = _Outcome()
        if task.lost:
            outcome.uncertified.append(task.lost)
            return outcome
        hosts.start(each.process for each in self.chosen if each.process is not None)
        search = _Search(self, outcome, tell) if self.adaptive else None
        for number in task.parts:
            self._part(self.parts[number], task, outcome, tell, search)
        if search is not None:
            search.run(task.parts)
        if len(self.parts) == len(task.parts):
            outcome.closed = self.close(outcome)
            outcome.tallies.clear()  # nothing is merged with them
        return outcome

    def _part(
        self,
        part: Part,
        task: _Task,
        outcome: _Outcome,
        tell: Callable[[str], None],
        search: "_Search | None",
    ) -> None:
        rng = stream(self.seed, self.sweep.name, self.loss.id, self.dtype, "part", part.number)
        thorough = part.number == 0 or rng.integers(THOROUGH) == 0
        gone = {
            (name, quantity): (Kind.CRASHED, how)
            for name, how in task.crashed
            for quantity in Quantity
        }
        settings: set[tuple[str, ...]] = set()
        for case in part.cases():
            numbered = replace(case, start=outcome.rows)
            if search is not None:
                search.notice(case)
            setting = (str(case.parameters.get("reduction", "")), *sorted(case.parameters))
            otherwise = (thorough or part.number < OTHERWISE) and setting not in settings
            settings.add(setting)
            how = {"thorough": thorough, "otherwise": otherwise}
            truth = self._case(numbered, outcome, gone, tell, **how)
            if truth is not None:
                self._sample(truth, outcome, rng, first=part.number == 0)
            outcome.rows += case.rows
            if not case.again:
                outcome.yields.add(case)
        if search is not None:
            search.gone.update(gone)

    def close(self, outcome: _Outcome) -> _Closed:
        """Turn all that was collected into measurements and findings."""
        arbitration = Arbitration(exact)
        measurements, findings, worst = [], [], []
        for cell, collected in outcome.tallies.items():
            place_found(collected, outcome.rows)
            measurement, found = close(cell, collected, self.tolerance(cell), arbitration)
            measurements.append(measurement)
            findings += found
            shown = collected.shown.get(None)
            if shown is not None:
                worst.append((cell, shown))
        return _Closed(
            tuple(measurements),
            tuple(findings),
            tuple(worst),
            arbitration.confirmed,
            tuple(arbitration.failures),
        )

    def _case(
        self,
        case: Case,
        outcome: _Outcome,
        gone: dict[tuple[str, Quantity], tuple[Kind, str]],
        tell: Callable[[str], None],
        *,
        thorough: bool,
        otherwise: bool,
    ) -> Truth | None:
        """Audit every implementation on one case; those in ``gone`` are not called any more."""
        truth: Truth | None = None
        observed: dict[tuple[str, Quantity], Outcomes] = {}
        for implementation in self.chosen:
            name = implementation.name
            reason = unsupported(implementation, case)
            if reason:
                outcome.skips.append(self._skip(name, reason))
                continue
            for quantity in self.sweep.quantities:
                if function_for(implementation, quantity) is None:
                    continue
                cell = Cell(self.loss.id, name, self.dtype, quantity, self.sweep.name)
                tally = outcome.tallies.get(cell) or Tally(leaders={} if self.adaptive else None)
                if (name, quantity) in gone:
                    lost(tally, case, *gone[name, quantity])
                    outcome.tallies[cell] = tally
                    continue
                try:
                    if truth is None:
                        truth = Truth(case, frozenset(self.sweep.quantities))
                    tell(name)
                    invariant = self.invariant(cell)
                    came = measure(
                        tally,
                        implementation,
                        case,
                        truth,
                        quantity,
                        self.tolerance(cell),
                        thorough=thorough or invariant,
                        otherwise=otherwise,
                        invariant=invariant,
                    )
                    tell("")
                except UnsupportedError as error:
                    outcome.skips.append(self._skip(name, str(error), quantity))
                    continue
                except UncertifiedError as error:
                    outcome.uncertified.append(str(error))
                    if truth is None:
                        return None
                    continue
                finally:
                    if tally.rows:
                        outcome.tallies[cell] = tally
                observed[name, quantity] = came
                for incident in came.incidents:
                    if incident.kind in (Kind.CRASHED, Kind.TIMED_OUT):
                        gone[name, quantity] = (incident.kind, incident.detail)
                compare_variants(
                    tally, implementation, quantity, observed, truth, self.tolerance(cell)
                )
        if truth is not None:
            outcome.decided += truth.decided()
        return truth

    def _skip(self, name: str, reason: str, quantity: Quantity | None = None) -> Skip:
        return Skip(reason, self.loss.id, name, self.dtype, quantity or "", self.sweep.name)

    def _sample(
        self, truth: Truth, outcome: _Outcome, rng: np.random.Generator, *, first: bool
    ) -> None:
        """Hold some rows of the lowest tier against the arbiter."""
        case = truth.case
        if truth.tiers[0] is Tier.MPMATH:
            return
        share = case.rows / SAMPLE
        wanted = int(share) + int(rng.random() < share - int(share))
        if first and case.start < FIRST_SAMPLE:
            wanted = max(wanted, min(FIRST_SAMPLE, FIRST_SAMPLE_CLASSES // case.classes))
        if not wanted:
            return
        rows = rng.choice(case.rows, min(wanted, case.rows), replace=False)
        if case.reduced:
            rows = rows[:1]
        for row in rows.tolist():
            try:
                wrong = disagreement(truth, row)
            except UncertifiedError as error:
                outcome.uncertified.append(str(error))
                continue
            outcome.sampled += 1
            if wrong:
                outcome.uncertified.append(f"{INTERNAL_ERROR}: a fast tier misses {wrong}")


class _Search:
    """The inputs of a task's step that are found for each implementation and quantity.

    ``gone``: who is not called any more.
    """

    def __init__(self, step: _Step, outcome: _Outcome, tell: Callable[[str], None]) -> None:
        self.step = step
        self.outcome = outcome
        self.tell = tell
        self.gone: set[tuple[str, Quantity]] = set()
        self.examples: dict[str, Case] = {}
        self.seen = self.short = 0

    def notice(self, case: Case) -> None:
        """Keep one short case for each setting of the parameters, to ask with."""
        self.seen += not case.reduced
        self.short += not case.reduced and case.classes <= MOST_LED
        short = case.logits.ndim == 1 or case.classes == 2
        if short and not case.reduced and case.rows:
            named = {name: v for name, v in case.parameters.items() if np.ndim(v) < 2}
            self.examples.setdefault(f"{case.label_kind} {named}", case)

    def run(self, parts: range) -> None:
        """Search for every implementation and quantity, and collect what is found."""
        step = self.step
        for generator, options in step.adaptive:
            reason = self._obstacle(generator)
            if reason:
                self.outcome.skips.append(Skip(reason, step.loss.id, sweep=step.sweep.name))
                continue
            for implementation in step.chosen:
                for quantity in step.sweep.quantities:
                    cell = Cell(
                        step.loss.id, implementation.name, step.dtype, quantity, step.sweep.name
                    )
                    tally = self.outcome.tallies.get(cell)
                    function = function_for(implementation, quantity)
                    if tally is None or function is None:
                        continue
                    if isinstance(function, Command):
                        reason = f"{generator}: each call of a command starts a program"
                        self.outcome.skips.append(
                            Skip(reason, cell.loss, cell.implementation, sweep=cell.sweep)
                        )
                        continue
                    place = (generator, parts.start, implementation.name, quantity)
                    rng = stream(step.seed, step.sweep.name, step.loss.id, step.dtype, *place)
                    trials = Trials(implementation, quantity, self.tell)
                    for start in self._starts(generator, options, tally):
                        if (implementation.name, quantity) in self.gone:
                            break
                        self._search(generator, options, start, trials, cell, rng)
        for tally in self.outcome.tallies.values():
            tally.leaders = None

    def _obstacle(self, generator: str) -> str:
        """Why there is nothing to go on from, though there are rows that are not reduced."""
        if not self.seen:
            return ""
        if generator == "threshold" and not self.examples:
            return f"{generator}: it moves the first of two classes, and no row has two"
        if generator == "climb" and not self.short:
            return f"{generator}: no row has at most {MOST_LED} numbers"
        return ""

    def _starts(self, generator: str, options: Mapping[str, Any], tally: Tally) -> Sequence[Case]:
        """What each search goes on from: an example, or the worst rows of one class count."""
        if generator == "threshold":
            return tuple(self.examples.values())
        worst = tally.shown.get(None)
        if worst is None or np.isnan(worst.ulp_error):
            return ()
        leaders = sorted((tally.leaders or {}).values(), key=lambda each: -each.ulp_error)
        counts = tuple(dict.fromkeys(each.case.classes for each in leaders))
        return [
            _together([each.case for each in leaders if each.case.classes == count])
            for count in counts[: options["starts"]]
        ]

    def _search(
        self,
        generator: str,
        options: Mapping[str, Any],
        start: Case,
        trials: Trials,
        cell: Cell,
        rng: np.random.Generator,
    ) -> None:
        """One search; what it finds is collected as rows of its own generator."""
        start = replace(start, generator=generator, start=self.outcome.found)
        tally = self.outcome.tallies[cell]
        try:
            if generator == "climb":
                found = climb(trials, start, rng, rounds=options["rounds"], kept=options["rows"])
            else:
                found = thresholds(trials, start, options["from"], options["to"])
            if found is not None:
                self._collect(found, trials.implementation, tally, cell)
        except HaltedError as halted:
            self._note(halted, tally, cell)
        except UnsupportedError as error:
            self.outcome.skips.append(
                Skip(f"{generator}: {error}", cell.loss, cell.implementation, sweep=cell.sweep)
            )
        except UncertifiedError as error:
            self.outcome.uncertified.append(str(error))

    def _collect(
        self, found: Found, implementation: Implementation, tally: Tally, cell: Cell
    ) -> None:
        truth = Truth(found.case, frozenset(self.step.sweep.quantities))
        came = (found.case, found.results)
        take(tally, implementation, *came, truth, cell.quantity, self.step.tolerance(cell))
        self.outcome.found += found.case.rows
        self.outcome.yields.add(found.case)
        self.outcome.decided += truth.decided()

    def _note(self, halted: HaltedError, tally: Tally, cell: Cell) -> None:
        """Count the call that gave nothing: as its first row that did, or as its first row."""
        incident = halted.incident
        row = incident.rows[0] if incident.rows else 0
        tally.rows += 1
        note(tally, replace(incident, rows=(0,)), alone(halted.case, row)[0])
        self.outcome.found += 1
        if incident.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            self.gone.add((cell.implementation, cell.quantity))


def _together(rows: Sequence[Case]) -> Case:
    """Cases of one row each with equal parameters as one; those with other ones are left out."""
    first = rows[0]
    plain = {name: value for name, value in first.parameters.items() if np.ndim(value) < 2}

    def fits(case: Case) -> bool:
        own = {name: value for name, value in case.parameters.items() if np.ndim(value) < 2}
        return repr(own) == repr(plain) and case.parameters.keys() == first.parameters.keys()

    whole = first
    for each in rows[1:]:
        if fits(each):
            whole = joined(whole, each)
    return whole


class _Audit:
    """One run; its lists grow step by step, so an interrupted one still has all that is done."""

    def __init__(
        self,
        config: Config,
        known: Sequence[Implementation],
        select: tuple[str, ...],
        skips: list[Skip],
        described: tuple[Cell, ...],
        baseline: Baseline | None,
        slack: float | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.config = config
        self.described = described
        self.baseline = baseline
        self.slack = slack
        self.known = known
        self.select = select
        self.progress = progress
        self.skips: dict[Skip, None] = dict.fromkeys(skips)
        self.recognised = False
        self.measurements: list[Measurement] = []
        self.findings: list[Finding] = []
        self.yields: list[Yield] = []
        self.confirmable: dict[tuple[str, ...], tuple[float, Quantity, Candidate]] = {}
        self.uncertified: list[str] = []
        self.deaths: list[str] = []
        self.decided: Counter[Tier] = Counter()
        self.rows = 0
        self.sampled = 0
        self.arbitrated = 0
        self.confirmed = 0
        self.beyond_definition = 0
        self.failed = 0
        self.done = 0.0
        self.worst = (float("nan"), "")
        self.obstacles: dict[Process, str] = {}
        self.processes: set[Process] = set()

    def begin(self, sane: recognition.Sanity) -> None:
        """What the sanity check found stands before everything else."""
        self.measurements += sane.measurements
        self.findings += sane.findings
        self.arbitrated += sum(bool(each.witness and each.witness.exact) for each in sane.findings)
        self.recognised = bool(sane.skips)
        for skip in sane.skips:
            self._skip(skip)

    def report(self, workers: int | None) -> Report:
        steps: list[_Step] = []
        interrupted = False
        try:
            steps = list(self._steps())
            self._announce(steps[0].what if steps else "", steps)
        except KeyboardInterrupt:
            interrupted = True
        if workers is None:
            workers = min(cores(), MOST_HOSTING) if self.processes else cores()
        if workers > 1:
            hosts.close()  # workers have their own
        with hosts.sharing():
            interrupted |= self._run(steps, workers)
            hosts.close()
        interrupted |= self._confirm(workers)
        findings = tuple(self.findings)
        versions = environment(self.processes)
        measured = {each.cell for each in self.measurements}
        unaudited = tuple(each for each in self.described if each not in measured)
        entered = () if self.baseline is None else self.baseline.entries
        unmet: tuple[Skip, ...] = ()
        # what is another function is left out on purpose
        excused = self.recognised or self.config.allow_skips
        if not (interrupted or self.uncertified or excused):
            unmet = omissions(
                self.config,
                self.known,
                self.described,
                measured | {each.cell for each in findings},
                self.skips,
                self.select,
                {each.cell for each in entered if each.platform in ("", versions["platform"])},
            )
        violations = judge(self.config, findings, self.measurements)
        weighed = Weighed(violations)
        if self.baseline is not None:
            bounds = bounds_of(self.config, self.described)
            seen = observed(versions, self.measurements, violations, unaudited, bounds)
            weighed = weigh(violations, self.baseline, seen, self.slack)
        return Report(
            environment=versions,
            origins={f"{each.loss} {each.name}": each.origin for each in self.known if each.origin},
            path=self.config.path,
            seed=self.config.seed,
            config=self.config.document,
            measurements=tuple(self.measurements),
            findings=findings,
            violations=weighed.violations,
            tolerated=weighed.tolerated,
            changes=weighed.changes,
            baseline_note=weighed.note,
            baseline="" if self.baseline is None else self.baseline.path,
            unaudited=unaudited,
            sources=self._sources(measured),
            skips=tuple(self.skips),
            yields=tuple(self.yields),
            gated=bool(self.config.limits),
            interrupted=interrupted,
            uncertified=tuple(self.uncertified),
            deaths=tuple(self.deaths),
            omissions=unmet,
            reference={
                "method": METHOD if Tier.BINARY128 in tiers_for("float64") else WITHOUT_BINARY128,
                "ulp": ULP_DEFINITION,
                "binary128": Tier.BINARY128 in tiers_for("float64"),
                "rows": self.rows,
                "decided_by": {tier.value: self.decided[tier] for tier in Tier},
                "rows_sampled_by_mpmath": self.sampled,
                "witnesses_by_mpmath": self.arbitrated,
                "witnesses_confirmed_by_definition": self.confirmed,
                "witnesses_beyond_definition": self.beyond_definition,
                "confirmations_failed": self.failed,
            },
        )

    def _sources(self, measured: Set[Cell]) -> tuple[Source, ...]:
        """Where the code of what was measured stands, as far as Python can tell."""
        called = {(cell.loss, cell.implementation) for cell in measured}
        return tuple(
            Source(each.loss, each.name, *each.defined)
            for each in self.known
            if each.defined is not None and (each.loss, each.name) in called
        )

    def _steps(self) -> Iterator[_Step]:
        for whole in self.config.sweeps:
            for loss_id in whole.losses:
                loss = LOSSES[loss_id]
                sweep, left_out = fitted(whole, loss)
                for reason in left_out:
                    self._skip(Skip(reason, loss.id, sweep=whole.name))
                if sweep is None:
                    continue
                for dtype in sweep.dtypes:
                    chosen = self._chosen(sweep, loss)
                    for generator, reason in (
                        *inapplicable(sweep, loss, dtype),
                        *divided(sweep, loss, dtype),
                    ):
                        self._skip(Skip(f"{generator}: {reason}", loss.id, sweep=sweep.name))
                    if not chosen:
                        continue
                    step = _Step(sweep, loss, dtype, self.config.seed, chosen, self.config)
                    try:
                        step.parts  # noqa: B018
                    except EmptySweepError as error:
                        self._skip(Skip(str(error), loss.id, dtype=dtype, sweep=sweep.name))
                        continue
                    yield step

    def _run(self, steps: Sequence[_Step], workers: int) -> bool:
        """Do all tasks and put together what comes of them. Returns whether it was interrupted."""
        tasks = (_Task(number, parts) for number, step in enumerate(steps) for parts in step.tasks)
        whole = sum(step.weight for step in steps) or 1.0

        def work(task: _Task, tell: Callable[[str], None]) -> tuple[_Task, _Outcome]:
            return task, steps[task.step].do(task, tell)

        def again(death: Death[_Task]) -> _Task:
            return self._again(steps[death.task.step], death)

        interrupted = False
        current: tuple[int, _Outcome] | None = None
        with run_tasks(work, tasks, workers, again) as results:
            while True:
                try:
                    for _, (task, outcome) in results:
                        if current is not None and current[0] != task.step:
                            self._close(steps[current[0]], current[1])
                            current = None
                        if current is None:
                            current = (task.step, _Outcome())
                        current[1].merge(outcome)
                        self._advance(steps, task, outcome, current[1], whole)
                    break
                except KeyboardInterrupt:
                    if interrupted:
                        break
                    interrupted = True
                    results.drain()
        if current is not None:
            self._close(steps[current[0]], current[1])
        return interrupted

    def _again(self, step: _Step, death: Death[_Task]) -> _Task:
        """What to do when a worker died: the same once more, then without who killed it."""
        where = f"part {death.task.parts.start} of sweep {step.what}"
        by = f" in {death.note}" if death.note else ""
        died = f"a worker died of {death.how}{by}, on {where}"
        if death.attempt == 1:
            self.deaths.append(f"{died}; it was done again")
            return death.task
        if death.note and death.note not in dict(death.task.crashed):
            self.deaths.append(f"{died} again; it was done without that implementation")
            return replace(
                death.task, crashed=(*death.task.crashed, (death.note, f"died of {death.how}"))
            )
        self.deaths.append(f"{died} again; it was given up")
        return replace(death.task, lost=f"{died}, repeatedly; its rows were not audited")

    def _advance(
        self, steps: Sequence[_Step], task: _Task, outcome: _Outcome, so_far: _Outcome, whole: float
    ) -> None:
        step = steps[task.step]
        numbers = sum(step.parts[k].rows * step.parts[k].classes for k in task.parts)
        self.done += numbers * len(step.chosen) / whole
        self.rows += outcome.rows + outcome.found
        for cell, worst in so_far.worst():
            if worst == worst and not worst <= self.worst[0]:
                self.worst = (worst, f"{cell.implementation}, {cell.loss} in {cell.dtype}")
        self._announce(step.what, steps)

    def _announce(self, what: str, steps: Sequence[_Step]) -> None:
        if self.progress is not None and steps:
            self.progress(Progress(min(self.done, 1.0), self.rows, what, *self.worst))

    def _close(self, step: _Step, outcome: _Outcome) -> None:
        """Turn what was collected in a step into measurements and findings."""
        for skip in outcome.skips:
            self._skip(skip)
        self._blame(dict.fromkeys(outcome.uncertified))
        self.decided += outcome.decided
        self.sampled += outcome.sampled
        self.yields.extend(outcome.yields.yields())
        if not outcome.rows and not outcome.uncertified:
            message = f"sweep {step.what}: every row was dropped"
            self._skip(Skip(message, step.loss.id, dtype=step.dtype, sweep=step.sweep.name))
        closed = outcome.closed or step.close(outcome)
        self.measurements += closed.measurements
        self.findings += closed.findings
        self.arbitrated += closed.arbitrated
        self._blame(closed.failures)
        for cell, shown in closed.worst:
            self._remember(cell, shown)

    def _blame(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self.uncertified.append(problem)
            self.failed += problem.startswith(INTERNAL_ERROR)

    def _chosen(self, sweep: Sweep, loss: Loss) -> tuple[Implementation, ...]:
        chosen = []
        for each in self.known:
            if each.loss != loss.id:
                continue
            if not selected(each.name, sweep.implementations):
                continue
            if self.select and not selected(each.name, self.select):
                continue
            if each.process is not None:
                obstacle = self._obstacle(each.process)
                if obstacle:
                    self._skip(Skip(obstacle, missing=each.process.name))
                    continue
                self.processes.add(each.process)
            chosen.append(each)
            for quantity in sweep.quantities:
                if function_for(each, quantity) is None:
                    skip = Skip(f"has no {quantity}", loss.id, each.name, quantity=quantity.value)
                    self._skip(skip)
            reason = unasked(each)
            if reason and Quantity.GRADIENT in sweep.quantities:
                self._skip(Skip(reason, loss.id, each.name, quantity=Quantity.GRADIENT.value))
        if not chosen:
            self._skip(Skip("no implementation selected", loss.id, sweep=sweep.name))
        return tuple(chosen)

    def _obstacle(self, process: Process) -> str:
        if process not in self.obstacles:
            self.obstacles[process] = hosts.missing(process)
        return self.obstacles[process]

    def _skip(self, skip: Skip) -> None:
        self.skips.setdefault(skip)

    def _remember(self, cell: Cell, shown: Candidate) -> None:
        """Keep the worst row of what the table prints as one line, for confirmation."""
        line = (cell.loss, cell.implementation, cell.dtype, cell.quantity.value)
        error = gravity(shown.ulp_error)
        if line not in self.confirmable or error > self.confirmable[line][0]:
            self.confirmable[line] = (error, cell.quantity, shown)

    def _confirm(self, workers: int) -> bool:
        """Hold the worst row of each printed line against the textbook definition.

        Returns whether it was interrupted.
        """
        unique = {
            (*content(shown.case), quantity, shown.position): (quantity, shown)
            for _, quantity, shown in self.confirmable.values()
        }

        def work(task: tuple[Quantity, Candidate], tell: Callable[[str], None]) -> tuple[bool, str]:
            tell("the reference")
            quantity, shown = task
            try:
                return confirm(shown.case, shown.row, (quantity, shown.index or 0)), ""
            except UncertifiedError as error:
                return False, str(error)

        def again(death: Death[tuple[Quantity, Candidate]]) -> tuple[Quantity, Candidate]:
            if death.attempt == 1:
                self.deaths.append(f"a worker died of {death.how}, confirming; it was done again")
                return death.task
            message = f"a worker died of {death.how} while a worst row was confirmed"
            raise UncertifiedError(message)

        try:
            with run_tasks(work, unique.values(), workers, again) as results:
                for _, (confirmed, wrong) in results:
                    self.confirmed += confirmed
                    self.beyond_definition += not confirmed and not wrong
                    self._blame([wrong] if wrong else [])
        except KeyboardInterrupt:
            return True
        return False


def environment(processes: Iterable[Process] = ()) -> dict[str, str]:
    """Versions of everything that can change a result, and the platform.

    ``processes``: the frameworks that were called.
    """
    versions = {"xentcheck": __version__, "python": platform.python_version()}
    for package in ("numpy", "mpmath", "ml_dtypes"):
        versions[package] = metadata.version(package)
    try:
        versions["numpy-quaddtype"] = metadata.version("numpy-quaddtype")
    except metadata.PackageNotFoundError:
        versions["numpy-quaddtype"] = "not installed"
    modules = {name.partition(".")[0] for process in processes for name in process.modules}
    distributions = metadata.packages_distributions() if modules else {}
    for module in sorted(modules):
        for distribution in sorted(set(distributions.get(module, ())))[:1]:
            versions[distribution] = metadata.version(distribution)
    versions["platform"] = f"{platform.system()} {platform.machine()}"
    versions["cpu"] = _cpu()
    return versions


def _cpu() -> str:
    """The vector instructions that NumPy uses here, by its own names: results depend on them."""
    known = np.show_config(mode="dicts")["SIMD Extensions"]
    return " ".join([*known.get("baseline", ()), *known.get("found", ())]) or "none"
