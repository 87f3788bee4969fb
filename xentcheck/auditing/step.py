"""A step: a sweep of one loss in one dtype, with its implementations and their bounds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from xentcheck import sweeps
from xentcheck.losses.spec import Loss
from xentcheck.measurement import Questions
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Cell,
    Implementation,
    Layout,
    Quantity,
    Sweep,
    Tolerance,
)
from xentcheck.sweeps import Part, adaptive_inputs

TOGETHER = 1 << 16
"""Maximum count of input numbers in the parts of one task, in a step with searches."""


@dataclass(frozen=True, slots=True)
class CellBounds:
    """The bounds of a cell.

    Attributes:
        tolerance: how far results may be off.
        invariant: the result of a row must not change with its batch.
        against: the names of the peers that no row may be worse than.
    """

    tolerance: Tolerance = SURVEY_TOLERANCE
    invariant: bool = False
    against: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Step:
    """A sweep of one loss in one dtype, with the implementations that are audited on it.

    A step can be pickled if its implementations can. The copy makes its parts again.

    Attributes:
        sweep: the sweep.
        loss: the loss.
        dtype: the dtype, by name.
        seed: the seed of all random numbers.
        chosen: the implementations.
        bounds: bounds by name of implementation and quantity; the survey tolerance for the others.
        examined: number of failing rows of each kind that a cell keeps for the diagnosis.
        turn: how many steps of the same loss and dtype come before.
        invariants: names of the invariants that are asked; None: all that the loss has.
    """

    sweep: Sweep
    loss: Loss
    dtype: str
    seed: int
    chosen: tuple[Implementation, ...]
    bounds: Mapping[tuple[str, Quantity], CellBounds]
    examined: int = 0
    turn: int = 0
    invariants: tuple[str, ...] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def parts(self) -> Sequence[Part]:
        """The parts of the sweep for this loss and dtype."""
        return sweeps.parts(self.sweep, self.loss, self.dtype, self.seed)

    @cached_property
    def adaptive(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The searches of this step with their options."""
        return adaptive_inputs(self.sweep, self.loss, self.dtype)

    @property
    def groups(self) -> Iterator[range]:
        """The parts in groups: one task each. In a step with searches, short parts form one group,
        because a search starts from the worst rows of its group.
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

    @cached_property
    def contestants(self) -> frozenset[str]:
        """The names of the implementations that are held against peers, and of the peers."""
        held = {name: bound.against for (name, _), bound in self.bounds.items() if bound.against}
        return frozenset(held).union(*held.values())

    @property
    def what(self) -> str:
        """The step as text for messages."""
        return f"{self.sweep.name}: {self.loss.id} in {self.dtype}"

    @cached_property
    def weight(self) -> float:
        """The amount of work: count of input numbers times implementations."""
        return sum(part.rows * part.classes for part in self.parts) * float(len(self.chosen))

    def cell(self, name: str, quantity: Quantity) -> Cell:
        """The cell of an implementation's quantity."""
        return Cell(self.loss.id, name, self.dtype, quantity, self.sweep.name)

    def bound(self, cell: Cell) -> CellBounds:
        """The bounds of a cell."""
        return self.bounds.get((cell.implementation, cell.quantity), _SURVEYED)

    @cached_property
    def telling(self) -> int:
        """The number of the first part with rows of several classes, if that means anything."""
        several = (part.number for part in self.parts if part.classes > 1)
        return 0 if self.loss.layout is Layout.ELEMENTWISE else next(several, 0)

    def questions(
        self, name: str, quantity: Quantity, *, often: bool, once: bool
    ) -> Questions | None:
        """Which invariants a case asks of an implementation; None: none.

        Args:
            name: the name of the implementation.
            quantity: the quantity.
            often: the case asks for all invariants of a cell that a limit governs.
            once: the case asks for the one whose turn it is in a survey.
        """
        if (name, quantity) in self.bounds or self.invariants is not None:
            return Questions(self.invariants) if often else None
        return Questions(turn=self.turn) if once else None


_SURVEYED = CellBounds()


@dataclass(frozen=True, slots=True)
class Task:
    """Consecutive parts of a step, mostly one part.

    ``crashed`` has the implementations that killed a worker on these parts, and how.
    """

    step: Step
    parts: range
    crashed: tuple[tuple[str, str], ...] = ()
    lost: str = ""  # why the task was given up, "" if it was not
