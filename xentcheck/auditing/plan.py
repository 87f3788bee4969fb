"""Plans which implementations are audited on which inputs; rejects impossible configurations."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from xentcheck import registry
from xentcheck.auditing.step import CellBounds, Step
from xentcheck.errors import ConfigError, EmptySweepError, Problem, UnknownNameError, UsageError
from xentcheck.execution import unasked
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Cell,
    Config,
    Implementation,
    Process,
    Quantity,
    Skip,
    Sweep,
    function_for,
    selected,
)
from xentcheck.sweeps import divided, fitted, inapplicable


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A configuration together with the existing implementations.

    Attributes:
        config: the configuration.
        known: the implementations.
        described: the cells of the configuration, whether or not they can be audited here.
        skips: implementations that cannot be loaded.
        select: patterns that narrow the selection of the sweeps; empty: no narrowing.
        examined: number of failing rows of each kind that a cell keeps for the diagnosis.
    """

    config: Config
    known: tuple[Implementation, ...]
    described: tuple[Cell, ...]
    skips: tuple[Skip, ...] = ()
    select: tuple[str, ...] = ()
    examined: int = 0

    @classmethod
    def of(
        cls,
        config: Config,
        known: Sequence[Implementation],
        skips: Sequence[Skip] = (),
        select: Sequence[str] = (),
    ) -> "Plan":
        """Make the plan of a configuration.

        Args:
            config: the configuration.
            known: the implementations.
            skips: implementations that cannot be loaded.
            select: patterns of implementation names; empty selects all that the sweeps select.

        Raises:
            UsageError: two implementations of a loss have the same name.
            UnknownNameError: a pattern in ``select`` matches nothing.
            ConfigError: a sweep or a limit names something that does not exist.
        """
        _check_unique(known)
        check_patterns(select, known)
        _check_sweeps(config, known, skips)
        described = _described(config, known)
        _check_limits(config, described, known)
        return cls(config, tuple(known), described, tuple(skips), tuple(select))

    def steps(self, note: Callable[[Skip], None]) -> Iterator[Step]:
        """The steps: one for each sweep, loss and dtype. ``note`` takes what is left out."""
        obstacles: dict[Process, str] = {}
        turns: Counter[tuple[str, str]] = Counter()
        for whole in self.config.sweeps:
            for loss_id in whole.losses:
                loss = LOSSES[loss_id]
                sweep, left_out = fitted(whole, loss)
                for reason in left_out:
                    note(Skip(reason, loss.id, sweep=whole.name))
                if sweep is None:
                    continue
                for dtype in sweep.dtypes:
                    chosen = self._chosen(sweep, loss, note, obstacles)
                    for generator, reason in (
                        *inapplicable(sweep, loss, dtype),
                        *divided(sweep, loss, dtype),
                    ):
                        note(Skip(f"{generator}: {reason}", loss.id, sweep=sweep.name))
                    if not chosen:
                        continue
                    step = self._step(sweep, loss, dtype, chosen, turns[loss.id, dtype])
                    try:
                        step.parts  # noqa: B018
                    except EmptySweepError as error:
                        note(Skip(str(error), loss.id, dtype=dtype, sweep=sweep.name))
                        continue
                    turns[loss.id, dtype] += 1
                    yield step

    def _step(
        self,
        sweep: Sweep,
        loss: Loss,
        dtype: str,
        chosen: tuple[Implementation, ...],
        turn: int,
    ) -> Step:
        bounds = {}
        for each in chosen:
            for quantity in sweep.quantities:
                cell = Cell(loss.id, each.name, dtype, quantity, sweep.name)
                limit = self.config.limit_for(cell)
                if limit is not None:
                    bounds[each.name, quantity] = CellBounds(
                        limit.tolerance, limit.batch_invariant, limit.against
                    )
        return Step(
            sweep,
            loss,
            dtype,
            self.config.seed,
            chosen,
            bounds,
            examined=self.examined,
            turn=turn,
            invariants=self.config.invariants,
        )

    def _chosen(
        self,
        sweep: Sweep,
        loss: Loss,
        note: Callable[[Skip], None],
        obstacles: dict[Process, str],
    ) -> tuple[Implementation, ...]:
        chosen = []
        peers = self.config.peers(loss.id, sweep.name)
        for each in self.known:
            if each.loss != loss.id:
                continue
            if each.name not in peers:
                if not selected(each.name, sweep.implementations):
                    continue
                if self.select and not selected(each.name, self.select):
                    continue
            if not reachable(each, note, obstacles):
                continue
            chosen.append(each)
            for quantity in sweep.quantities:
                if function_for(each, quantity) is None:
                    reason = f"has no {quantity}"
                    note(Skip(reason, loss.id, each.name, quantity=quantity.value))
            reason = unasked(each)
            if reason and Quantity.GRADIENT in sweep.quantities:
                note(Skip(reason, loss.id, each.name, quantity=Quantity.GRADIENT.value))
        if not chosen:
            note(Skip("no implementation selected", loss.id, sweep=sweep.name))
        return tuple(chosen)


def reachable(
    implementation: Implementation, note: Callable[[Skip], None], known: dict[Process, str]
) -> bool:
    """Whether the process of an implementation can start. If not, ``note`` takes the reason.

    ``known`` caches the answers, because looking for modules takes time.
    """
    process = implementation.process
    if process is None:
        return True
    if process not in known:
        known[process] = registry.missing(process)
    if known[process]:
        note(Skip(known[process], missing=process.name))
    return not known[process]


def check_time(timeout_s: float | None) -> None:
    """Reject an invalid time limit. Raises UsageError."""
    if timeout_s is not None and not timeout_s > 0:
        raise UsageError(f"a time limit of {timeout_s:g} s: it has to be more than 0")


def patient(implementation: Implementation, timeout_s: float | None) -> Implementation:
    """The implementation with another time limit for its calls; unchanged if that is None."""
    process = implementation.process
    if process is None or timeout_s is None:
        return implementation
    return replace(implementation, process=replace(process, timeout_s=timeout_s))


def _check_unique(known: Iterable[Implementation]) -> None:
    """Reject two implementations with the same name: they would be measured as one."""
    seen = Counter((each.loss, each.name) for each in known)
    for (loss, name), count in seen.items():
        if count > 1:
            message = f"{count} implementations of {loss} are called {name!r}; rename one of them"
            raise UsageError(message)


def check_patterns(select: Sequence[str], known: Iterable[Implementation]) -> None:
    """Reject a pattern that matches no implementation. The error suggests the nearest name."""
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


def _described(config: Config, known: Sequence[Implementation]) -> tuple[Cell, ...]:
    """Every cell that a configuration describes, whether or not it can be audited here."""
    return tuple(
        Cell(loss, each.name, dtype, quantity, sweep.name)
        for sweep in config.sweeps
        for loss in sweep.losses
        for each in known
        if each.loss == loss
        and (
            selected(each.name, sweep.implementations)
            or each.name in config.peers(loss, sweep.name)
        )
        for dtype in sweep.dtypes
        for quantity in sweep.quantities
    )


def _check_sweeps(
    config: Config, known: Iterable[Implementation], skips: Iterable[Skip] = ()
) -> None:
    """Reject a sweep with a pattern that matches no implementation.

    The error mentions the implementations in ``skips``, which cannot be loaded.
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


def _check_limits(
    config: Config, described: Sequence[Cell], known: Sequence[Implementation]
) -> None:
    """Reject a limit that governs no cell: no implementation matches it, or later limits hide it.

    A hidden limit is an error only if it comes from a file: there somebody wrote it and expects it
    to apply.
    """
    problems = []
    governing = {id(config.limit_for(cell)) for cell in described}
    existing = {each.name for each in known}
    for limit in config.limits:
        for peer in limit.against:
            if peer not in existing:
                message = f"no implementation is called {peer!r}"
                path = f"{limit.path}.against"
                remedy = registry.meant_by(peer, known)
                problems.append(Problem(path, message, config.path, limit.line, remedy=remedy))
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
