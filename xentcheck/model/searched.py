"""What a worst-case search found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xentcheck.model.results import Cell, Witness


@dataclass(frozen=True, slots=True)
class Improvement:
    """A point of the curve of a search: the worst row so far.

    Attributes:
        evaluations: number of rows that were tried until then.
        worth: how bad it is: ulps, ulps over the condition number, or the error over the row's
            scale, as far as the tiers below the arbiter know it.
        strategy: who found it; ``sweep`` for a row that the search started from.
    """

    evaluations: int
    worth: float
    strategy: str


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """The search for the worst row of one cell.

    Attributes:
        cell: the cell.
        aim: what was maximised: ``ulp``, ``excess``, ``norm``, or a kind that was looked for.
        evaluations: number of rows that were tried.
        worst: how bad the worst row is, confirmed by the arbiter: ulps, excess bits, or the error
            over the row's scale. For a kind, ulps. NaN: no row has a finite error.
        witness: that row; None if there is none.
        before: the same for the rows of the standard sweep that the search started from.
        curve: every improvement.
        shares: number of rows that each strategy tried.
        reached: whether the kind was found; None if none was looked for.
        ended: why the search stopped early; "" if it did not.
    """

    cell: Cell
    aim: str
    evaluations: int
    worst: float
    witness: Witness | None
    before: float
    curve: tuple[Improvement, ...] = ()
    shares: Mapping[str, int] = field(default_factory=dict)
    reached: bool | None = None
    ended: str = ""

    @property
    def winner(self) -> str:
        """The strategy that found the worst row; "" without one."""
        return self.curve[-1].strategy if self.curve else ""
