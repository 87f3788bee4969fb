"""The loop: sweep → case → exact → each implementation → scores → measurements and findings.

The exact results of a case are computed once and shared by every implementation and both
quantities. What a cell prints as its worst row is confirmed afterwards by the textbook definition.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import metadata
from typing import Any

import numpy as np

from xentcheck import __version__, registry
from xentcheck.collection import Tally, close, measure
from xentcheck.errors import EmptySweepError, UncertifiedError, UnknownNameError, UsageError
from xentcheck.execution import unsupported
from xentcheck.gate import judge
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Case,
    Cell,
    Config,
    Exact,
    Finding,
    Implementation,
    Measurement,
    Quantity,
    Report,
    Skip,
    Sweep,
    Tolerance,
)
from xentcheck.reference import confirm, exact
from xentcheck.scoring import (
    ULP_DEFINITION,
)
from xentcheck.sweeps import cases, fitted, inapplicable, tally

SURVEY_TOLERANCE = Tolerance()
METHOD = "mpmath intervals, precision raised until decided"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: ``done`` of ``total`` steps, and the step that comes next."""

    done: int
    total: int
    what: str


def audit(
    config: Config,
    *,
    select: Sequence[str] = (),
    extra: Sequence[Implementation] = (),
    progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Run a configuration.

    Args:
        config: what to audit; its targets are loaded and join the registry.
        select: patterns of implementation names; empty selects all that the sweeps do.
        extra: further implementations, beside the registered ones.
        progress: called before each step.

    Raises:
        TargetError: a target of the configuration cannot be loaded.
        UnknownNameError: a pattern in ``select`` matches nothing.
        UsageError: two implementations of a loss have one name.

    A case whose exact results cannot be certified is not scored; the report says so.
    """
    registered, skips = registry.load_registered()
    targets = tuple(registry.load_target(target) for target in config.targets)
    known = (*registered, *targets, *extra)
    _check_unique(known)
    check_patterns(select, known)
    run = _Audit(config, known, tuple(select), list(skips), progress)
    return run.report()


def _check_unique(known: Iterable[Implementation]) -> None:
    """Refuse two implementations that would be measured as one."""
    seen = Counter((each.loss, each.name) for each in known)
    for (loss, name), count in seen.items():
        if count > 1:
            message = f"{count} implementations of {loss} are called {name!r}; rename one of them"
            raise UsageError(message)


def check_patterns(select: Sequence[str], known: Iterable[Implementation]) -> None:
    """Refuse a pattern that matches no implementation's name, with the nearest name."""
    names = sorted({each.name for each in known})
    for pattern in select:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise UnknownNameError("implementation", pattern, names)


class _Audit:
    """One run; its lists grow step by step, so an interrupted one still has all that is done."""

    def __init__(
        self,
        config: Config,
        known: Sequence[Implementation],
        select: tuple[str, ...],
        skips: list[Skip],
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self.config = config
        self.known = known
        self.select = select
        self.progress = progress
        self.skips: dict[Skip, None] = dict.fromkeys(skips)
        self.measurements: list[Measurement] = []
        self.findings: list[Finding] = []
        self.yields: list[Any] = []
        self.confirmable: dict[tuple[str, ...], tuple[float, Case, int]] = {}
        self.uncertified: list[str] = []
        self.rows = 0
        self.confirmed = 0
        self.beyond_definition = 0

    def report(self) -> Report:
        interrupted = False
        try:
            steps = [
                (sweep, loss_id, dtype)
                for sweep in self.config.sweeps
                for loss_id in sweep.losses
                for dtype in sweep.dtypes
            ]
            for done, (sweep, loss_id, dtype) in enumerate(steps):
                if self.progress is not None:
                    what = f"{sweep.name}: {loss_id} in {dtype}"
                    self.progress(Progress(done, len(steps), what))
                self._step(sweep, LOSSES[loss_id], dtype)
            self._confirm()
        except KeyboardInterrupt:
            interrupted = True
        findings = tuple(self.findings)
        return Report(
            environment=environment(),
            seed=self.config.seed,
            config=self.config.document,
            measurements=tuple(self.measurements),
            findings=findings,
            violations=judge(self.config, findings),
            skips=tuple(self.skips),
            yields=tuple(self.yields),
            gated=bool(self.config.limits),
            interrupted=interrupted,
            uncertified=tuple(self.uncertified),
            reference={
                "method": METHOD,
                "ulp": ULP_DEFINITION,
                "rows": self.rows,
                "witnesses_confirmed_by_definition": self.confirmed,
                "witnesses_beyond_definition": self.beyond_definition,
            },
        )

    def _step(self, sweep: Sweep, loss: Loss, dtype: str) -> None:
        narrowed, left_out = fitted(sweep, loss)
        for reason in left_out:
            self._skip(Skip(reason, loss.id, sweep=sweep.name))
        if narrowed is None:
            return
        sweep = narrowed
        chosen = self._chosen(sweep, loss, dtype)
        for generator, reason in inapplicable(sweep, loss, dtype):
            self._skip(Skip(f"{generator}: {reason}", loss.id, sweep=sweep.name))
        if not chosen:
            return
        try:
            blocks = list(cases(sweep, loss, dtype, self.config.seed))
        except EmptySweepError as error:
            self._skip(Skip(str(error), loss.id, dtype=dtype, sweep=sweep.name))
            return
        tallies: dict[Cell, Tally] = {}
        for case in blocks:
            truth: Exact | None = None
            for implementation in chosen:
                reason = unsupported(implementation, case)
                if reason:
                    self._skip(Skip(reason, loss.id, implementation.name, dtype, "", sweep.name))
                    continue
                if truth is None:
                    truth = self._truth(case)
                if truth is None:
                    break
                for quantity in sweep.quantities:
                    if function_for(implementation, quantity) is None:
                        continue
                    cell = Cell(loss.id, implementation.name, dtype, quantity, sweep.name)
                    tolerance = self._tolerance(cell)
                    measure(
                        tallies.setdefault(cell, Tally()),
                        implementation,
                        loss,
                        case,
                        truth,
                        quantity,
                        tolerance,
                    )
        self.yields.extend(tally(blocks))
        for cell, collected in tallies.items():
            measurement, findings = close(cell, collected)
            self.measurements.append(measurement)
            self.findings += findings
            self._remember(cell, collected)

    def _truth(self, case: Case) -> Exact | None:
        """The exact results, or None where they cannot be certified: the run goes on without."""
        try:
            truth = exact(case)
        except UncertifiedError as error:
            self.uncertified.append(str(error))
            return None
        self.rows += case.rows
        return truth

    def _chosen(self, sweep: Sweep, loss: Loss, dtype: str) -> list[Implementation]:
        chosen = []
        for each in self.known:
            if each.loss != loss.id:
                continue
            if not any(fnmatchcase(each.name, pattern) for pattern in sweep.implementations):
                continue
            if self.select and not any(fnmatchcase(each.name, p) for p in self.select):
                continue
            chosen.append(each)
            for quantity in sweep.quantities:
                if function_for(each, quantity) is None:
                    skip = Skip(f"has no {quantity}", loss.id, each.name, quantity=quantity.value)
                    self._skip(skip)
        if not chosen:
            self._skip(Skip("no implementation selected", loss.id, sweep=sweep.name))
        return chosen

    def _skip(self, skip: Skip) -> None:
        self.skips.setdefault(skip)

    def _tolerance(self, cell: Cell) -> Tolerance:
        limit = self.config.limit_for(cell)
        return SURVEY_TOLERANCE if limit is None else limit.tolerance

    def _remember(self, cell: Cell, collected: Tally) -> None:
        """Keep the worst row of what the table prints as one line, for confirmation."""
        worst = collected.shown.get(None)
        if worst is None:
            return
        line = (cell.loss, cell.implementation, cell.dtype, cell.quantity.value)
        gravity = worst.ulp_error if np.isfinite(worst.ulp_error) else np.inf
        if line not in self.confirmable or gravity > self.confirmable[line][0]:
            self.confirmable[line] = (gravity, worst.case, worst.row)

    def _confirm(self) -> None:
        unique = {(id(case), row): (case, row) for _, case, row in self.confirmable.values()}
        for case, row in unique.values():
            try:
                confirmed = confirm(case, row)
            except UncertifiedError as error:
                self.uncertified.append(str(error))
                continue
            self.confirmed += confirmed
            self.beyond_definition += not confirmed


def function_for(implementation: Implementation, quantity: Quantity) -> Callable[..., Any] | None:
    """The function of an implementation that computes a quantity, or None."""
    return implementation.value if quantity is Quantity.VALUE else implementation.gradient


def environment() -> dict[str, str]:
    """Versions of everything that can change a result, and the platform."""
    versions = {"xentcheck": __version__, "python": platform.python_version()}
    for package in ("numpy", "mpmath", "ml_dtypes"):
        versions[package] = metadata.version(package)
    versions["platform"] = f"{platform.system()} {platform.machine()}"
    return versions
