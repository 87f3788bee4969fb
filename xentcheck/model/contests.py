"""Contests: a cell against the same cell of a peer, row by row, with the same exact results."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from xentcheck.model.kinds import Kind
from xentcheck.model.results import Cell, Witness

CLEARLY = 4
"""Where both are better somewhere, chance decides many rows: this ratio says which is ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class Encounter:
    """One row as both implementations compute it.

    Attributes:
        witness: the row with the result of the implementation: its worst component.
        peer: the row with the result of the peer: the peer's worst component.
        peer_kind: the kind of the peer's result; None if it is right.
    """

    witness: Witness
    peer: Witness
    peer_kind: Kind | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Contest:
    """How the rows of one cell compare with those of a peer.

    Attributes:
        cell: the cell.
        peer: the name of the peer.
        rows: number of rows that both were called with.
        worse: number of these on which the implementation is worse, beyond the slack.
        better: number of these on which the peer is worse, beyond the slack.
        kinds: the rows that are worse, by the kind of their result.
        worst: the worst of these rows, by kind, the gravest kind first.
        best: the row on which the implementation is better by most; None if it is on none.
        worse_rows: the numbers of the first rows of the sweep that are worse, in their order.
        better_rows: the same for the rows that are better.
        peer_dtype: the dtype of the peer's results, by name.
        or_abs: the absolute error that would have to be fine for no row to be worse; infinite if a
            row has a graver fault; 0 if none is worse.
    """

    cell: Cell
    peer: str
    rows: int
    worse: int = 0
    better: int = 0
    kinds: Mapping[Kind, int] = field(default_factory=dict)
    worst: Mapping[Kind, Encounter] = field(default_factory=dict)
    best: Encounter | None = None
    worse_rows: tuple[int, ...] = ()
    better_rows: tuple[int, ...] = ()
    peer_dtype: str = ""
    or_abs: float = 0.0

    @property
    def leads(self) -> bool:
        """Whether the peer is clearly ahead: it is better at least `CLEARLY` times as often."""
        return self.worse >= CLEARLY * self.better

    @property
    def equal(self) -> int:
        """The number of rows that are neither worse nor better."""
        return self.rows - self.worse - self.better
