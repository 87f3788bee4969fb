"""A competition of strategies for the worst row: who finds worse rows gets more of the calls.

The competition is a sequence of calls that depends on the seed alone. A budget only says where it
stops: the rows of a budget are the first rows of a larger one.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from xentcheck.errors import UncertifiedError, UnsupportedError
from xentcheck.execution import Incident, Returned
from xentcheck.measurement import Aim, Rated, rate
from xentcheck.measurement.candidate import alone
from xentcheck.model import KINDS, NOTES, RIGHT, Case, Float64Array, Improvement, Kind
from xentcheck.reference import Reference
from xentcheck.searching.climbing import fittest
from xentcheck.searching.moves import children
from xentcheck.searching.pool import Pool, key_of
from xentcheck.searching.space import Setting, Space
from xentcheck.searching.strategies import STRATEGIES, Block, Strategy
from xentcheck.searching.trials import Trials, joined

SWEEP = "sweep"
"""The name of the rows that the search starts from, beside those of the strategies."""

CONTROL = "random"
EVERY = 16  # one call in this many is the control's
FORGETTING = 0.96  # what a gain is still worth after the next call
EVEN = 0.4  # the share of the calls that all strategies have equally
MOST_BITS = 2.0  # the most that one gain counts for
LEAST_BITS = 1e-3  # with smaller gains than that, all strategies are equal
SHOWN = 4  # rows of each island that are kept to be measured
_MOST_SHOWN = 12
_MOST_FAILED = 6  # calls in a row that raise, or that the implementation does not take


@dataclass(slots=True, eq=False)
class Course:
    """What a competition knows so far.

    Attributes:
        evaluations: number of rows that were tried.
        curve: every improvement.
        shares: number of rows that each strategy tried.
        pool: the worst rows.
        first: for each kind the row with the largest finite error, or the first one; the first row
            of each incident. Rows that are only inaccurate are in the pool.
        errors: the errors of these rows in ulps; -1 without a finite one.
        incidents: the incident of each row of ``first`` that has no result.
        reached: the row of the kind that is looked for, once it is found.
        interrupted: the user stopped it.
        ended: why it stopped before the budget was used up; "" if it did not.
    """

    evaluations: int = 0
    curve: list[Improvement] = field(default_factory=list)
    shares: dict[str, int] = field(default_factory=dict)
    pool: Pool = field(default_factory=Pool)
    first: dict[Kind, Case] = field(default_factory=dict)
    errors: dict[Kind, float] = field(default_factory=dict)
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    reached: Case | None = None
    interrupted: bool = False
    ended: str = ""

    @property
    def worst(self) -> float:
        """How bad the worst row is; -1 without one."""
        return self.curve[-1].worth if self.curve else -1.0

    @property
    def winner(self) -> str:
        """Who found the worst row; "" without one."""
        return self.curve[-1].strategy if self.curve else ""

    def shown(self) -> list[Case]:
        """The rows that deserve to be measured: the worst of the islands, and the first of kinds.

        Rows of one case are of one shape and have the same parameters.
        """
        cases = [
            each.people.part(np.arange(min(SHOWN, each.people.rows)))
            for each in self.pool.ranked()[:_MOST_SHOWN]
        ]
        return [*cases, *(each for kind, each in self.first.items() if kind not in self.incidents)]


@dataclass(frozen=True, slots=True, eq=False)
class Competition:
    """A search for the worst row of one implementation, dtype and quantity.

    Attributes:
        trials: calls the implementation.
        space: what may be tried.
        starts: rows to begin with, each case of one shape and setting.
        aim: what to maximise.
        wanted: a kind to look for; None: look for the worst row. The search ends when it is found.
        shows: whether a case of one row shows the kind that is looked for.
        stream: opens the stream of draws of a purpose.
    """

    trials: Trials
    space: Space
    starts: Sequence[Block]
    aim: Aim
    wanted: Kind | None
    shows: Callable[[Case], bool]
    stream: Callable[[str], np.random.Generator]

    def run(
        self,
        budget: int | None,
        enough: Callable[[], bool],
        tell: Callable[[Course], None],
    ) -> Course:
        """Search until the budget is used up or ``enough()``.

        Args:
            budget: number of rows to try; None: no limit.
            enough: whether to stop; asked before every call.
            tell: is told the course after every call.
        """
        course = Course(shares=dict.fromkeys([SWEEP, *STRATEGIES], 0))
        failed = 0
        with _interruptible(course):
            for name, strategy, block in self._blocks(course):
                left = block.case.rows if budget is None else budget - course.evaluations
                if left <= 0 or course.reached is not None or enough():
                    break
                worth, went = self._tried(course, name, block, min(left, block.case.rows))
                failed = 0 if went else failed + 1
                if strategy is not None:
                    strategy.learn(block, worth)
                tell(course)
                if failed >= _MOST_FAILED or course.ended:
                    course.ended = course.ended or "most calls fail"
                    break
        return course

    def _blocks(self, course: Course) -> Iterator[tuple[str, Strategy | None, Block]]:
        """The rows of the starts, then those of the strategies, without end."""
        rng = self.stream(SWEEP)
        for start in self.starts:
            case, size = start.case, self.space.size
            for first in range(0, case.rows, size):
                own = case.part(np.arange(first, min(first + size, case.rows)))
                if own.rows < size:
                    own = joined(own, children(own, size - own.rows, rng))
                yield SWEEP, None, Block(own, start.setting)
        strategies = {
            name: make(self.space, course.pool, self.stream(name))
            for name, make in STRATEGIES.items()
        }
        rivals = [name for name in STRATEGIES if name != CONTROL]
        gains = dict.fromkeys(rivals, 0.0)
        draws = self.stream("contest")
        turn = 0
        while True:
            turn += 1
            if turn % EVERY == 0:
                name = CONTROL
            elif turn <= 2 * len(rivals):
                name = rivals[turn % len(rivals)]
            else:
                chances = _chances(np.array([gains[each] for each in rivals]))
                name = rivals[int(draws.choice(len(rivals), p=chances))]
            before = course.worst
            yield name, strategies[name], strategies[name].propose()
            for each in rivals:
                gains[each] *= FORGETTING
            if name != CONTROL and course.worst > before > 0:
                gains[name] += min(float(np.log2(course.worst / before)), MOST_BITS)

    def _tried(
        self, course: Course, name: str, block: Block, counted: int
    ) -> tuple[Float64Array, bool]:
        """Try a block. Return the worth of its rows, and whether there was any result.

        Only the first ``counted`` rows count; what comes after them is beyond the budget.
        """
        case, rows = block.case, block.case.rows
        nothing = np.full(rows, -1.0)
        start = course.evaluations
        course.evaluations += counted
        course.shares[name] += counted
        try:
            observed, incident = self.trials.call(case)
            rated = self._rated(observed, case)
        except UnsupportedError as error:
            course.ended = str(error) if block.setting == self.space.settings[0] else ""
            return nothing, False
        except UncertifiedError:  # only mpmath could tell, and it cannot
            return nothing, True
        if incident is not None:
            self._note(course, incident, case, counted)
        if rated is None:
            return nothing, False
        worth = np.where(observed.valid, rated.worth, -1.0)
        worth[counted:] = -1.0
        course.pool.add(case, block.setting, worth)
        best = int(worth.argmax())
        if worth[best] > course.worst:
            course.curve.append(Improvement(start + best + 1, float(worth[best]), name))
        self._notice(course, case, rated, observed.valid, counted)
        return worth, bool(observed.valid.any())

    def _rated(self, observed: Returned, case: Case) -> Rated | None:
        if observed.results is None:
            return None
        truth = Reference(case, {self.trials.quantity})
        return rate(observed.results, case, truth, self.trials.quantity, self.aim)

    def _note(self, course: Course, incident: Incident, case: Case, counted: int) -> None:
        """Keep the first row of an incident. A process that dies or hangs ends the competition."""
        row = incident.rows[0] if incident.rows else 0
        if row >= counted:
            return
        if incident.kind not in course.first:
            course.first[incident.kind] = alone(case, row)[0]
            course.incidents[incident.kind] = incident
        if incident.kind is self.wanted:
            course.reached = course.first[incident.kind]
        if incident.kind in (Kind.CRASHED, Kind.TIMED_OUT):
            course.ended = f"it {incident.kind.replace('-', ' ')}: {incident.detail}"

    def _notice(
        self,
        course: Course,
        case: Case,
        rated: Rated,
        valid: npt.NDArray[np.bool_],
        counted: int,
    ) -> None:
        """Keep the first row of every kind, and look for the kind that is wanted."""
        kinds = np.where(valid, rated.kinds, RIGHT)[:counted]
        for code in np.unique(kinds).tolist():
            if code == RIGHT or KINDS[code] in NOTES:
                continue
            kind = KINDS[code]
            here = np.flatnonzero(kinds == code)
            worst = int(here[rated.ulps[here].argmax()])
            if kind is not Kind.INACCURATE and rated.ulps[worst] > course.errors.get(kind, -2.0):
                course.first[kind] = alone(case, worst)[0]
                course.errors[kind] = float(rated.ulps[worst])
            if kind is self.wanted and course.reached is None:
                # the worst of the block first: for a kind that needs an error beyond a limit
                order = here[np.argsort(-rated.ulps[here], kind="stable")]
                for row in order[:2].tolist():
                    own = alone(case, row)[0]
                    if self.shows(own):
                        course.reached = own
                        break


def _chances(gains: Float64Array) -> Float64Array:
    """How likely each rival is to be next: a part equally, the rest by what they gained lately."""
    total = float(gains.sum())
    even = np.full(len(gains), 1.0 / len(gains))
    return EVEN * even + (1.0 - EVEN) * (gains / total) if total > LEAST_BITS else even


@contextmanager
def _interruptible(course: Course) -> Iterator[None]:
    """Ctrl-C stops a competition; it keeps what it knows."""
    try:
        yield
    except KeyboardInterrupt:
        course.interrupted = True


def grouped(rows: Sequence[tuple[Case, Setting]]) -> list[Block]:
    """Blocks of rows of one shape and setting, made of single rows, without repetitions."""
    groups: dict[tuple[int, str], tuple[Case, Setting]] = {}
    for case, setting in rows:
        key = key_of(case, setting)
        known = groups.get(key)
        groups[key] = (case if known is None else joined(known[0], case), setting)
    blocks = []
    for case, setting in groups.values():
        zeros = np.zeros(case.rows)
        blocks.append(Block(fittest(case, zeros, zeros, case.rows)[0], setting))
    return blocks
