"""Does the work of a task: calls every implementation of a step on some of its parts."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from xentcheck.auditing.result import Closed, PartResult
from xentcheck.auditing.search import Search
from xentcheck.auditing.step import Step, Task
from xentcheck.errors import INTERNAL_ERROR, UncertifiedError, UnsupportedError
from xentcheck.execution import Returned, hosts, unsupported
from xentcheck.measurement import (
    Arbitration,
    Contestant,
    ContestTally,
    FailingRows,
    Side,
    Tally,
    close,
    compare_variants,
    decided,
    lost,
    measure,
    place_found,
)
from xentcheck.measurement.scored_part import ScoredPart
from xentcheck.model import Case, Implementation, Kind, Quantity, Skip, Sweep, function_for
from xentcheck.reference import Reference, Tier, disagreement
from xentcheck.sweeps import Part
from xentcheck.sweeps.generator import stream

SAMPLE = 1 << 17
"""The arbiter re-checks one row in this many."""

FIRST_SAMPLE = 8
"""Rows of the first part of a sweep that the arbiter re-checks, if the rows are short."""

FIRST_SAMPLE_CLASSES = 1 << 11
"""Maximum number of classes in these rows together."""

THOROUGH = 16
"""The first part of a sweep is called repeatedly, and so is one in this many of the others."""

OTHERWISE = 5
"""Number of parts at the start of a sweep that are called with other memory layouts and other
upstream gradients. Parts that are called repeatedly are, too. Each part uses one case for each
reduction and set of parameters. In a gate they are asked for the invariants of the loss as well."""


def work(task: Task, tell: Callable[[str], None]) -> PartResult:
    """Audit every implementation on the parts of a task.

    Args:
        task: the task.
        tell: is told the name of the implementation that is called, and "" when the call is over.
    """
    step, outcome = task.step, PartResult()
    if task.lost:
        outcome.uncertified.append(task.lost)
        return outcome
    hosts.start(each.process for each in step.chosen if each.process is not None)
    search = Search(step, outcome, tell) if step.adaptive else None
    for number in task.parts:
        _part(step, step.parts[number], task, outcome, tell, search)
    if search is not None:
        search.run(task.parts)
    if len(step.parts) == len(task.parts):
        outcome.closed = close_step(step, outcome)
        outcome.tallies.clear()  # nothing is merged with them
        outcome.contests.clear()
    return outcome


def _part(
    step: Step,
    part: Part,
    task: Task,
    outcome: PartResult,
    tell: Callable[[str], None],
    search: "Search | None",
) -> None:
    rng = stream(step.seed, step.sweep.name, step.loss.id, step.dtype, "part", part.number)
    thorough = part.number == 0 or rng.integers(THOROUGH) == 0
    gone = {
        (name, quantity): (Kind.CRASHED, how) for name, how in task.crashed for quantity in Quantity
    }
    settings: set[tuple[str, ...]] = set()
    for case in part.cases():
        numbered = replace(case, start=outcome.rows)
        if search is not None:
            search.notice(case)
        setting = (str(case.parameters.get("reduction", "")), *sorted(case.parameters))
        new = setting not in settings
        settings.add(setting)
        otherwise = (thorough or part.number < OTHERWISE) and new
        how = {"thorough": thorough, "otherwise": otherwise}
        how["telling"] = part.number == step.telling and new
        truth = _case(step, numbered, outcome, gone, tell, **how)
        if truth is not None:
            _sample(truth, outcome, rng, first=part.number == 0)
        outcome.rows += case.rows
        if not case.again:
            outcome.yields.add(case)
    if search is not None:
        search.gone.update(gone)


def calls(
    case: Case,
    chosen: Sequence[Implementation],
    sweep: Sweep | None,
    note: Callable[[Skip], None],
) -> Iterator[tuple[Implementation, Quantity]]:
    """The implementations and quantities that can be called on a case.

    Args:
        case: the case.
        chosen: the implementations.
        sweep: the sweep of the case; None for a probe, which asks for every quantity.
        note: takes a skip for everything that is left out. Quantities that an implementation lacks
            are noted for a probe only: for a sweep the plan notes them.
    """
    name = "" if sweep is None else sweep.name
    for each in chosen:
        reason = unsupported(each, case)
        if reason:
            note(Skip(reason, case.loss, each.name, case.dtype, sweep=name))
            continue
        for quantity in Quantity if sweep is None else sweep.quantities:
            if function_for(each, quantity) is not None:
                yield each, quantity
            elif sweep is None:
                reason = f"has no {quantity}"
                note(Skip(reason, case.loss, each.name, quantity=quantity.value))


def close_step(step: Step, outcome: PartResult) -> Closed:
    """Turn the tallies of a step into measurements and findings."""
    arbitration = Arbitration()
    measurements, findings, worst, failing = [], [], [], []
    for cell, collected in outcome.tallies.items():
        place_found(collected, outcome.rows)
        measurement, found = close(cell, collected, step.bound(cell).tolerance, arbitration)
        measurements.append(measurement)
        findings += found
        shown = collected.shown.get(None)
        if shown is not None:
            worst.append((cell, shown))
        if collected.failing is not None and collected.failing.failing:
            failing.append((cell, collected.failing))
    contests = []
    for (cell, peer), contest in outcome.contests.items():
        contest.place_found(outcome.rows)
        mine, theirs = (
            Contestant(each, outcome.tallies[each], step.bound(each).tolerance)
            for each in (cell, replace(cell, implementation=peer))
        )
        contests.append(decided(contest, mine, theirs, arbitration))
    return Closed(
        tuple(measurements),
        tuple(findings),
        tuple(worst),
        arbitration.confirmed,
        tuple(arbitration.failures),
        tuple(failing),
        tuple(contests),
    )


def compare_with_peers(
    step: Step, outcome: PartResult, sides: Mapping[tuple[str, Quantity], Side]
) -> None:
    """Hold the results of a case against those of the peers that the limits name."""
    for (name, quantity), mine in sides.items():
        cell = step.cell(name, quantity)
        bound = step.bound(cell)
        for peer in bound.against:
            theirs = sides.get((peer, quantity))
            if theirs is not None and peer != name:
                contest = outcome.contests.setdefault((cell, peer), ContestTally())
                contest.add(mine, theirs, bound.tolerance.or_abs)


def _case(
    step: Step,
    case: Case,
    outcome: PartResult,
    gone: dict[tuple[str, Quantity], tuple[Kind, str]],
    tell: Callable[[str], None],
    *,
    thorough: bool,
    otherwise: bool,
    telling: bool,
) -> Reference | None:
    """Audit every implementation on one case.

    Args:
        step: the step.
        case: the case.
        outcome: takes the results.
        gone: implementations and quantities that are not called any more, with kind and detail.
            New ones are added.
        tell: as for `work`.
        thorough: call each implementation repeatedly.
        otherwise: also call with other memory layouts and upstream gradients.
        telling: ask for an invariant of the loss in a survey as well.

    Returns:
        The exact results of the case; None if nothing was called or they cannot be certified.
    """
    truth: Reference | None = None
    observed: dict[tuple[str, Quantity], Returned] = {}
    sides: dict[tuple[str, Quantity], Side] = {}
    for implementation, quantity in calls(case, step.chosen, step.sweep, outcome.skips.append):
        name = implementation.name
        cell = step.cell(name, quantity)
        bound = step.bound(cell)
        tally = outcome.tallies.get(cell) or Tally(
            leaders={} if step.adaptive else None,
            failing=FailingRows(step.examined) if step.examined else None,
        )
        if (name, quantity) in gone:
            lost(tally, case, *gone[name, quantity])
            outcome.tallies[cell] = tally
            if name in step.contestants:
                sides[name, quantity] = Side(case, (), *gone[name, quantity])
            continue
        parts: list[ScoredPart] | None = [] if name in step.contestants else None
        try:
            if truth is None:
                truth = Reference(case, frozenset(step.sweep.quantities))
            tell(name)
            came = measure(
                tally,
                implementation,
                case,
                truth,
                quantity,
                bound.tolerance,
                thorough=thorough or bound.invariant,
                otherwise=otherwise,
                invariant=bound.invariant,
                parts=parts,
                questions=step.questions(name, quantity, often=otherwise, once=telling),
            )
            tell("")
        except UnsupportedError as error:
            outcome.skips.append(_skip(step, name, str(error), quantity))
            continue
        except UncertifiedError as error:
            outcome.uncertified.append(str(error))
            if truth is None:
                return None
            continue
        finally:
            if tally.rows:
                outcome.tallies[cell] = tally
        for text in hosts.remarks():
            outcome.skips.append(Skip(text, step.loss.id, name))
        observed[name, quantity] = came
        if parts is not None:
            sides[name, quantity] = Side.of(case, parts, came.incidents)
        for incident in came.incidents:
            if incident.kind in (Kind.CRASHED, Kind.TIMED_OUT):
                gone[name, quantity] = (incident.kind, incident.detail)
        compare_variants(tally, implementation, quantity, observed, truth, bound.tolerance)
    compare_with_peers(step, outcome, sides)
    if truth is not None:
        outcome.decided += truth.decided()
    return truth


def _skip(step: Step, name: str, reason: str, quantity: Quantity | None = None) -> Skip:
    return Skip(reason, step.loss.id, name, step.dtype, quantity or "", step.sweep.name)


def _sample(
    truth: Reference, outcome: PartResult, rng: np.random.Generator, *, first: bool
) -> None:
    """Re-check some rows of the lowest tier with the arbiter."""
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
