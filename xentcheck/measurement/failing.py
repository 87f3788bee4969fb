"""A bounded selection of the rows on which a cell fails, for the diagnosis.

The selection depends on the rows alone: the report is the same for any number of workers.
"""

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from xentcheck.model import Array, Case, Float64Array

MOST_NUMBERS = 1 << 17
"""Rows with more numbers are not kept. A vocabulary of 128,256 classes is."""

FEW = 2
"""Rows of more than `LONG` numbers that are kept of each kind."""

LONG = 1 << 10

PASSING_BLOCKS = 12
"""Blocks of passing rows that are kept of a cell."""

PASSING_ROWS = 8
"""Passing rows of a block."""


@dataclass(frozen=True, slots=True, eq=False)
class FailingBlock:
    """Rows of a case that fail, with their results; under a reduction the whole case.

    Attributes:
        case: the rows.
        actual: (rows, components), the results in float64, which holds them exactly.
        exact: (rows, components), the exact results, as far as float64 holds them.
        kinds: (rows, components), codes of kinds.
        gravest: (rows,), the code of each row.
        result_dtype: the dtype of the results, by name.
        single: there is one result for the block: one row of numbers.
        rows: under a reduction, which rows of the case fail; None: all.
        called: (rows, 2), the largest and the mean of all logits of the call that a row was part
            of, in the dtype; None: the case is the whole call.
    """

    case: Case
    actual: Float64Array
    exact: Float64Array
    kinds: npt.NDArray[np.int8]
    gravest: npt.NDArray[np.int8]
    result_dtype: str
    single: bool = False
    rows: npt.NDArray[np.intp] | None = None
    called: Float64Array | None = None

    @property
    def results(self) -> int:
        """The number of results: of rows, or one for a block."""
        return len(self.actual)

    def at(self, rows: npt.NDArray[np.intp]) -> "FailingBlock":
        """Some of the rows. A block with one result stays whole."""
        if self.single or self.case.reduced:
            return self
        case = self.case.part(rows)
        return replace(
            self,
            case=case,
            actual=self.actual[rows],
            exact=self.exact[rows],
            kinds=self.kinds[rows],
            gravest=self.gravest[rows],
            called=None if self.called is None else self.called[rows],
        )


def extent(logits: Array) -> Float64Array:
    """The largest of all logits and their mean in their own dtype, (2,)."""
    with np.errstate(all="ignore"):
        return np.array([logits.max(), logits.mean()], dtype=np.float64)


@dataclass(slots=True)
class FailingRows:
    """The selection of one cell.

    Attributes:
        most: number of rows that are kept of each kind.
        blocks: the rows.
        passing: a few rows that pass, which a model of the implementation has to pass as well.
        kept: number of rows kept, by kind.
        seen: number of failing rows, by kind.
    """

    most: int
    blocks: list[FailingBlock] = field(default_factory=list)
    passing: list[FailingBlock] = field(default_factory=list)
    kept: Counter[int] = field(default_factory=Counter)
    seen: Counter[int] = field(default_factory=Counter)

    def wanted(
        self, gravest: npt.NDArray[np.int8], rows: npt.NDArray[np.intp], numbers: int
    ) -> npt.NDArray[np.intp]:
        """Count failing rows of one part, and choose those to keep.

        Args:
            gravest: (rows of the part,), the code of each row.
            rows: the failing rows.
            numbers: count of numbers in a row.
        """
        chosen: list[npt.NDArray[np.intp]] = []
        codes, counts = np.unique(gravest[rows], return_counts=True)
        for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
            self.seen[code] += count
            room = self.most - self.kept[code]
            if numbers > LONG:
                room = min(room, FEW) if numbers <= MOST_NUMBERS else 0
            if room <= 0:
                continue
            here = rows[gravest[rows] == code]
            if len(here) > room:
                here = here[np.linspace(0, len(here) - 1, room).astype(np.intp)]
            self.kept[code] += len(here)
            chosen.append(here)
        return np.sort(np.concatenate(chosen)) if chosen else rows[:0]

    def merge(self, others: "FailingRows") -> None:
        """Add the selection of later parts, up to the bound."""
        self.seen.update(others.seen)
        self.passing += others.passing[: PASSING_BLOCKS - len(self.passing)]
        for block in others.blocks:
            room = {code: self.most - self.kept[code] for code in set(block.gravest.tolist())}
            keep: list[int] = []
            for row, code in enumerate(block.gravest.tolist()):
                if room[code] > 0:
                    room[code] -= 1
                    keep.append(row)
            if keep:
                self.add(block.at(np.array(keep, dtype=np.intp)))

    def add(self, block: FailingBlock) -> None:
        """Keep a block; `wanted` has counted its rows, or `merge`."""
        self.blocks.append(block)

    @property
    def rows(self) -> int:
        """The number of rows kept."""
        return sum(each.results for each in self.blocks)

    @property
    def failing(self) -> int:
        """The number of failing rows."""
        return self.seen.total()
