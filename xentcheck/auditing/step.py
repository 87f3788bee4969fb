"""A step: a sweep of one loss in one dtype, with who is audited on it and what is asked of it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from xentcheck import sweeps
from xentcheck.losses.spec import Loss
from xentcheck.model import SURVEY_TOLERANCE, Cell, Implementation, Quantity, Sweep, Tolerance
from xentcheck.sweeps import Part, adaptive_inputs

TOGETHER = 1 << 16
"""Numbers of the parts that are one task where something is searched for."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What is asked of a cell: a tolerance, and whether a row may not change with its batch."""

    tolerance: Tolerance = SURVEY_TOLERANCE
    invariant: bool = False


@dataclass(frozen=True, eq=False)
class Step:
    """A sweep of one loss in one dtype, and who is audited on it.

    ``bounds`` says what is asked of an implementation's quantity. A step pickles where its
    implementations do; its parts are made again from what it declares.
    """

    sweep: Sweep
    loss: Loss
    dtype: str
    seed: int
    chosen: tuple[Implementation, ...]
    bounds: Mapping[tuple[str, Quantity], Bound]

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @cached_property
    def parts(self) -> Sequence[Part]:
        return sweeps.parts(self.sweep, self.loss, self.dtype, self.seed)

    @cached_property
    def adaptive(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The inputs that are found for each implementation, with their options."""
        return adaptive_inputs(self.sweep, self.loss, self.dtype)

    @property
    def groups(self) -> Iterator[range]:
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

    def cell(self, name: str, quantity: Quantity) -> Cell:
        """The cell of an implementation's quantity."""
        return Cell(self.loss.id, name, self.dtype, quantity, self.sweep.name)

    def bound(self, cell: Cell) -> Bound:
        """What is asked of a cell."""
        return self.bounds.get((cell.implementation, cell.quantity), _SURVEYED)


_SURVEYED = Bound()


@dataclass(frozen=True, slots=True)
class Task:
    """Parts of a step that follow each other, most often one.

    ``crashed``: implementations that killed a worker on them, and how.
    """

    step: Step
    parts: range
    crashed: tuple[tuple[str, str], ...] = ()
    lost: str = ""  # why it is given up
