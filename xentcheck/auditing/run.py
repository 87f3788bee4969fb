"""Runs an audit: plan → tasks → worker processes → measurements and findings → report.

A task is a part of a sweep for one loss and dtype. Tasks are independent of each other. They go to
worker processes, and their results are put together in their order. So the report is the same for
any number of workers. The reference of a case is computed once, for every implementation and both
quantities. The arbiter scores everything that is printed, and the textbook definition confirms the
worst row of each line.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from xentcheck import recognition, registry
from xentcheck.auditing.check import DEFAULT_LIMITS
from xentcheck.auditing.confirm import Confirmation
from xentcheck.auditing.diagnose import Diagnosing, diagnosed, subjects
from xentcheck.auditing.environment import METHOD, WITHOUT_BINARY128, environment
from xentcheck.auditing.part import close_step, work
from xentcheck.auditing.plan import Plan, check_time, patient
from xentcheck.auditing.ranges import Ranges
from xentcheck.auditing.refine import refined
from xentcheck.auditing.result import PartResult
from xentcheck.auditing.step import Step, Task
from xentcheck.errors import INTERNAL_ERROR, UsageError
from xentcheck.execution import Death, cores, hosts, open_targets, run_tasks
from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.against import unmatched
from xentcheck.gate.baseline import Baseline, Weighed, bounds_of, observed, weigh
from xentcheck.gate.limits import judge
from xentcheck.gate.omissions import omissions
from xentcheck.measurement import FailingRows
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Cell,
    Config,
    Contest,
    Finding,
    Implementation,
    Measurement,
    Process,
    Progress,
    Report,
    Skip,
    Source,
    Tolerance,
    Yield,
    selected,
)
from xentcheck.reference import Tier, tiers_for

MOST_HOSTING = 4
"""The most workers by default where each of them loads frameworks."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a configuration is audited.

    Attributes:
        select: patterns of implementation names; empty: all that the sweeps select.
        extra: further implementations, beside the registered ones.
        baseline: what is tolerated beyond the limits.
        slack: the relative change of a tolerated fault that counts as none. None: as
            `gate.baseline.weigh` chooses.
        workers: how many processes share the work; the report does not depend on it. None: all
            cores, but at most `MOST_HOSTING` where each of them loads frameworks or users' code.
            With one, everything else runs in this process, and what kills it kills the run.
        timeout_s: how long one call of a framework or of users' code may take, in seconds.
        progress: called whenever a part of the work is done.
        sanity_check: first ask users' own functions about mild rows. One of ``extra`` that is
            recognised as another function is not swept.
        diagnosis: find the causes of the findings afterwards.
        ranges: also search where every implementation keeps its grades (`Report.safe_ranges`).
    """

    select: Sequence[str] = ()
    extra: Sequence[Implementation] = ()
    baseline: Baseline | None = None
    slack: float | None = None
    workers: int | None = 1
    timeout_s: float | None = None
    progress: Callable[[Progress], None] | None = None
    sanity_check: bool = False
    diagnosis: bool = False
    ranges: bool = False


def audit(config: Config, options: Options | None = None, **changes: Any) -> Report:
    """Run a configuration.

    Args:
        config: what to audit; its targets are loaded and join the registry.
        options: how.
        changes: fields of the options, by name.

    Returns:
        The report. A case whose exact results cannot be certified is not scored; the report says
        so. After KeyboardInterrupt the work under way is finished, and the report has all that is
        done.

    Raises:
        ConfigError: a sweep or a limit selects nothing that could be audited.
        TargetError: a target cannot be loaded, or one of ``extra`` cannot be called as asked.
        UnknownNameError: a pattern of ``select`` matches nothing.
        UsageError: two implementations of a loss have one name.
    """
    options = replace(options or Options(), **changes)
    timeout_s, workers = options.timeout_s, options.workers
    check_time(timeout_s)
    if workers is not None and workers < 1:
        raise UsageError(f"{workers} workers: there has to be one at least")
    registered, skips = registry.load_registered()
    with hosts.sharing():
        targets = open_targets([replace(each, timeout_s=timeout_s) for each in config.targets])
        extra = tuple(patient(each, timeout_s) for each in options.extra)
        known = (*(patient(each, timeout_s) for each in (*registered, *targets)), *extra)
        plan = Plan.of(config, known, skips, options.select)
        sane = recognition.Sanity(config)
        if options.sanity_check:
            patterns = options.select or ("*", "*@*")
            chosen = [each for each in targets if selected(each.name, patterns)]
            sane = recognition.check(config, extra, chosen, workers or cores())
        examined = examined_rows(len(plan.described)) if options.diagnosis else 0
        run = _Audit(replace(plan, config=sane.config, examined=examined), options)
        run.begin(sane)
        return replace(run.report(workers), timeout_s=timeout_s)


def examined_rows(cells: int) -> int:
    """The number of failing rows of each kind that a cell keeps: fewer where there are many."""
    return max(_LEAST_EXAMINED, min(_MOST_EXAMINED, _EXAMINED // max(cells, 1)))


_EXAMINED = 1 << 16
_LEAST_EXAMINED = 32
_MOST_EXAMINED = 1 << 11


class _Audit:
    """One run. Its lists grow step by step, so an interrupted run keeps everything that is done."""

    def __init__(self, plan: Plan, options: Options) -> None:
        self.plan = plan
        self.config = plan.config
        self.baseline = options.baseline
        self.slack = options.slack
        self.progress = options.progress
        self.ranges = Ranges() if options.ranges else None
        self.skips: dict[Skip, None] = dict.fromkeys(plan.skips)
        self.recognised = False
        self.measurements: list[Measurement] = []
        self.findings: list[Finding] = []
        self.contests: list[Contest] = []
        self.yields: list[Yield] = []
        self.confirmation = Confirmation()
        self.failing: dict[Cell, FailingRows] = {}
        self.uncertified: list[str] = []
        self.deaths: list[str] = []
        self.decided: Counter[Tier] = Counter()
        self.rows = 0
        self.sampled = 0
        self.arbitrated = 0
        self.failed = 0
        self.done = 0.0
        self.worst = (float("nan"), "")

    def begin(self, sane: recognition.Sanity) -> None:
        """Put the findings of the sanity check before all others."""
        self.measurements += sane.measurements
        self.findings += sane.findings
        self.arbitrated += sum(bool(each.witness and each.witness.scored) for each in sane.findings)
        self.recognised = bool(sane.skips)
        for skip in sane.skips:
            self.skips.setdefault(skip)

    def report(self, workers: int | None) -> Report:
        steps: list[Step] = []
        interrupted = False
        try:
            steps = list(self.plan.steps(self.skips.setdefault))
            if steps:
                self._announce(steps[0].what)
        except KeyboardInterrupt:
            interrupted = True
        processes = {each.process for step in steps for each in step.chosen if each.process}
        if workers is None:
            workers = min(cores(), MOST_HOSTING) if processes else cores()
        if workers > 1:
            hosts.release()  # to the workers
        interrupted |= self._run(steps, workers)
        if self.ranges is not None and not interrupted:
            self._announce("where it holds")
            interrupted |= self.ranges.run(steps, workers, self.deaths)
            for skip in self.ranges.skips:
                self.skips.setdefault(skip)
        found = Diagnosing((), tuple(self.findings), tuple(self.measurements))
        if self.failing and not interrupted:
            self._announce("causes")
            hosts.close(but=self._failing_processes())
            found = self._diagnosed(workers)
            interrupted |= found.interrupted
        hosts.close()
        interrupted |= self.confirmation.run(workers, self.deaths)
        self._blame(self.confirmation.failures)
        findings = found.findings
        versions = environment(processes)
        measured = {each.cell for each in self.measurements}
        unaudited = tuple(each for each in self.plan.described if each not in measured)
        entered = () if self.baseline is None else self.baseline.entries
        unmet: tuple[Skip, ...] = ()
        # what is another function is left out on purpose
        excused = self.recognised or self.config.allow_skips
        if not (interrupted or self.uncertified or excused):
            unmet = omissions(
                self.config,
                self.plan.known,
                self.plan.described,
                measured | {each.cell for each in findings},
                self.skips,
                self.plan.select,
                {each.cell for each in entered if each.platform in ("", versions["platform"])},
            )
            unmet += unmatched(self.config, measured, self.contests, self.plan.known, self.skips)
        violations = judge(self.config, findings, self.measurements, self.contests)
        weighed = Weighed(violations)
        if self.baseline is not None:
            bounds = bounds_of(self.config, self.plan.described)
            seen = observed(versions, self.measurements, violations, unaudited, bounds)
            weighed = weigh(violations, self.baseline, seen, self.slack)
        return Report(
            environment=versions,
            origins={
                f"{each.loss} {each.name}": each.probe_words
                for each in self.plan.known
                if each.probe_words
            },
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
            diagnoses=found.diagnoses,
            skips=tuple(self.skips),
            yields=tuple(self.yields),
            gated=bool(self.config.limits),
            interrupted=interrupted,
            uncertified=tuple(self.uncertified),
            deaths=tuple(self.deaths),
            omissions=unmet,
            contests=tuple(self.contests),
            safe_ranges=() if self.ranges is None else tuple(self.ranges.found),
            reference={
                "method": METHOD if Tier.BINARY128 in tiers_for("float64") else WITHOUT_BINARY128,
                "ulp": ULP_DEFINITION,
                "binary128": Tier.BINARY128 in tiers_for("float64"),
                "rows": self.rows,
                "decided_by": {tier.value: self.decided[tier] for tier in Tier},
                "rows_sampled_by_mpmath": self.sampled,
                "witnesses_by_mpmath": self.arbitrated,
                "witnesses_confirmed_by_definition": self.confirmation.confirmed,
                "witnesses_beyond_definition": self.confirmation.beyond,
                "confirmations_failed": self.failed,
            },
        )

    def _diagnosed(self, workers: int) -> Diagnosing:
        """The causes of the findings, with witnesses that are as small as may be."""
        implementations = {(each.loss, each.name): each for each in self.plan.known}
        asked = subjects(self.failing, self.findings, implementations, self._tolerance)
        found = diagnosed(asked, self.findings, self.measurements, workers, self.deaths)
        self._blame(found.failures)
        self.measurements = list(found.measurements)
        if found.interrupted:
            return found
        try:
            diagnoses, findings, failures = refined(
                found.diagnoses,
                found.findings,
                found.variants,
                implementations,
                self._tolerance,
                workers,
                self.deaths,
            )
        except KeyboardInterrupt:
            return replace(found, interrupted=True)
        self._blame(failures)
        return replace(found, diagnoses=diagnoses, findings=findings)

    def _failing_processes(self) -> set[Process]:
        """The processes of the implementations with failing rows."""
        failing = {(cell.loss, cell.implementation) for cell in self.failing}
        own = [each for each in self.plan.known if (each.loss, each.name) in failing]
        return {each.process for each in own if each.process is not None}

    def _tolerance(self, cell: Cell) -> Tolerance:
        limit = self.config.limit_for(cell)
        return SURVEY_TOLERANCE if limit is None else limit.tolerance

    def _sources(self, measured: Set[Cell]) -> tuple[Source, ...]:
        """The file and line of each implementation that was measured, where Python can tell."""
        called = {(cell.loss, cell.implementation) for cell in measured}
        return tuple(
            Source(each.loss, each.name, *each.code_at)
            for each in self.plan.known
            if each.code_at is not None and (each.loss, each.name) in called
        )

    def _run(self, steps: Sequence[Step], workers: int) -> bool:
        """Do all tasks and put their results together. Return whether the run was interrupted."""
        tasks = [Task(step, parts) for step in steps for parts in step.groups]
        whole = sum(step.weight for step in steps) or 1.0
        interrupted = False
        step: Step | None = None
        merged = PartResult()
        compiled = any(each.process for step in steps for each in step.chosen)
        alike = _programs if compiled else None
        with run_tasks(work, tasks, workers, self._again, shared=steps, alike=alike) as results:
            while True:
                try:
                    for position, result in results:
                        task = tasks[position]
                        if step is not None and step is not task.step:
                            self._close(step, merged)
                            merged = PartResult()
                        step = task.step
                        merged.merge(result)
                        self._advance(task, result, merged, whole)
                    break
                except KeyboardInterrupt:
                    if interrupted:
                        break
                    interrupted = True
                    results.drain()
        if step is not None:
            self._close(step, merged)
        return interrupted

    def _again(self, death: Death[Task]) -> Task:
        """After a worker died: do the task again, then without the implementation to blame."""
        where = f"part {death.task.parts.start} of sweep {death.task.step.what}"
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

    def _advance(self, task: Task, result: PartResult, so_far: PartResult, whole: float) -> None:
        step = task.step
        numbers = sum(step.parts[k].rows * step.parts[k].classes for k in task.parts)
        self.done += numbers * len(step.chosen) / whole
        self.rows += result.rows + result.found
        for cell, worst in so_far.worst():
            if worst == worst and not worst <= self.worst[0]:
                self.worst = (worst, f"{cell.implementation}, {cell.loss} in {cell.dtype}")
        self._announce(step.what)

    def _announce(self, what: str) -> None:
        if self.progress is not None:
            self.progress(Progress(min(self.done, 1.0), self.rows, what, *self.worst))

    def _close(self, step: Step, outcome: PartResult) -> None:
        """Turn the totals of a step into measurements and findings."""
        for skip in outcome.skips:
            self.skips.setdefault(skip)
        self._blame(dict.fromkeys(outcome.uncertified))
        self.decided += outcome.decided
        self.sampled += outcome.sampled
        self.yields.extend(outcome.yields.yields())
        if not outcome.rows and not outcome.uncertified:
            message = f"sweep {step.what}: every row was dropped"
            skip = Skip(message, step.loss.id, dtype=step.dtype, sweep=step.sweep.name)
            self.skips.setdefault(skip)
        closed = outcome.closed or close_step(step, outcome)
        self.measurements += closed.measurements
        self.findings += closed.findings
        self.contests += closed.contests
        self.arbitrated += closed.arbitrated
        self._blame(closed.failures)
        self.failing.update(closed.failing)
        for cell, shown in closed.worst:
            self.confirmation.remember(cell, shown)

    def _blame(self, problems: Iterable[str]) -> None:
        for problem in problems:
            self.uncertified.append(problem)
            self.failed += problem.startswith(INTERNAL_ERROR)


def _programs(task: Task) -> tuple[str, str]:
    """What tasks have in common that are served by the same compiled programs."""
    return task.step.loss.id, task.step.dtype


def audit_config(
    config: Config, options: Options | None = None, *, seed: int | None = None
) -> Report:
    """Audit what a configuration describes, and hold it against its limits and a baseline.

    Args:
        config: what to audit. With a baseline, one without limits has the default ones.
        options: how; a baseline replaces that of the configuration.
        seed: replaces that of the configuration.

    Raises:
        XentcheckError: as `audit`.
    """
    options = options or Options(sanity_check=True, diagnosis=True)
    if options.baseline is None and config.baseline:
        from xentcheck.gate import baseline_file  # noqa: PLC0415  (it needs YAML)

        options = replace(options, baseline=baseline_file.load(config.baseline))
    if options.baseline is not None and not config.limits:
        config = replace(config, limits=DEFAULT_LIMITS)
    return audit(config if seed is None else replace(config, seed=seed), options)
