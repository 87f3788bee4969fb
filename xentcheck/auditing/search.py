"""Searches for inputs of a step, separately for each implementation and quantity."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from xentcheck.auditing.result import PartResult
from xentcheck.auditing.step import Step
from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import unsupported
from xentcheck.implementations.user.command import Command
from xentcheck.measurement import ContestTally, Side, Tally, measure, note, take
from xentcheck.measurement.candidate import alone
from xentcheck.measurement.scored_part import MOST_LED, ScoredPart
from xentcheck.model import Case, Cell, Implementation, Kind, Quantity, Skip, function_for
from xentcheck.reference import Reference
from xentcheck.searching import Found, HaltedError, Trials, climb, joined, thresholds
from xentcheck.sweeps.generator import stream


class Search:
    """The searches of a task.

    Attributes:
        step: the step of the task.
        outcome: takes the results.
        tell: is told the name of the implementation that is called.
        gone: implementations and quantities that are not called any more.
        examples: a short case for each kind of label and set of parameters.
        seen: number of cases that are not reduced.
        short: number of those with at most `MOST_LED` classes.
    """

    def __init__(self, step: Step, outcome: PartResult, tell: Callable[[str], None]) -> None:
        self.step = step
        self.outcome = outcome
        self.tell = tell
        self.gone: set[tuple[str, Quantity]] = set()
        self.examples: dict[str, Case] = {}
        self.seen = self.short = 0

    def notice(self, case: Case) -> None:
        """Keep one short case for each kind of label and set of parameters, to start from."""
        self.seen += not case.reduced
        self.short += not case.reduced and case.classes <= MOST_LED
        short = case.logits.ndim == 1 or case.classes == 2
        if short and not case.reduced and case.rows:
            named = {name: v for name, v in case.parameters.items() if np.ndim(v) < 2}
            self.examples.setdefault(f"{case.label_kind} {named}", case)

    def run(self, parts: range) -> None:
        """Search for every implementation and quantity, and score the rows that are found."""
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
        """Why a search has nothing to start from; "" if it has, or if all rows are reduced."""
        if not self.seen:
            return ""
        if generator == "threshold" and not self.examples:
            return f"{generator}: it moves the first of two classes, and no row has two"
        if generator == "climb" and not self.short:
            return f"{generator}: no row has at most {MOST_LED} numbers"
        return ""

    def _starts(self, generator: str, options: Mapping[str, Any], tally: Tally) -> Sequence[Case]:
        """The start of each search: an example, or the worst rows with one number of classes."""
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
        """Do one search, and score the rows that it finds.

        Args:
            generator: the name of the search. The rows that it finds have it as their generator.
            options: the options of the search.
            start: the rows it starts from.
            trials: calls the implementation.
            cell: the cell whose tally takes the results.
            rng: the random numbers of the search.
        """
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
        truth = Reference(found.case, frozenset(self.step.sweep.quantities))
        came = (found.case, found.results)
        bound = self.step.bound(cell)
        parts = take(tally, implementation, *came, truth, cell.quantity, bound.tolerance)
        self.outcome.found += found.case.rows
        self.outcome.yields.add(found.case)
        for peer in self.step.chosen:
            if peer.name in bound.against and peer.name != cell.implementation:
                self._hold_against(peer, Side(found.case, parts), truth, cell)
        self.outcome.decided += truth.decided()

    def _hold_against(self, peer: Implementation, mine: Side, truth: Reference, cell: Cell) -> None:
        """Call a peer on the rows that a search found, and hold the results against it."""
        bound = self.step.bound(replace(cell, implementation=peer.name))
        function = function_for(peer, cell.quantity)
        if function is None or unsupported(peer, mine.case):
            return
        if (peer.name, cell.quantity) in self.gone:
            return
        parts: list[ScoredPart] = []
        self.tell(peer.name)
        how = (truth, cell.quantity, bound.tolerance)
        came = measure(Tally(), peer, mine.case, *how, thorough=False, parts=parts)
        self.tell("")
        if any(each.kind in (Kind.CRASHED, Kind.TIMED_OUT) for each in came.incidents):
            self.gone.add((peer.name, cell.quantity))
        contest = self.outcome.contests.setdefault((cell, peer.name), ContestTally())
        theirs = Side.of(mine.case, parts, came.incidents)
        contest.add(mine, theirs, self.step.bound(cell).tolerance.or_abs)

    def _note(self, halted: HaltedError, tally: Tally, cell: Cell) -> None:
        """Count a call without results as one row: the first affected one, or the first row."""
        incident = halted.incident
        row = incident.rows[0] if incident.rows else 0
        tally.rows += 1
        note(tally, replace(incident, rows=(0,)), alone(halted.case, row)[0])
        self.outcome.found += 1
        if incident.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            self.gone.add((cell.implementation, cell.quantity))


def _together(rows: Sequence[Case]) -> Case:
    """Join cases of one row each. Cases whose parameters differ from the first are left out."""
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
