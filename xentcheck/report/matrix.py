"""The matrix of a report: the implementations of each loss by dtype and quantity.

An entry is a line of the report, over all sweeps: its grade and the bits that it loses.
"""

import math
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from xentcheck.floats import FORMATS, LARGEST_ULP
from xentcheck.model import NOTES, Grade, Kind, Quantity, gravity, rank
from xentcheck.report.lines import Line, by_loss

LETTERS: Mapping[Grade, str] = {
    Grade.BROKEN: "B",
    Grade.LOSSY: "L",
    Grade.ABSOLUTE: "A",
    Grade.ACCURATE: "a",
    Grade.FAITHFUL: "f",
    Grade.ROUNDED: "r",
}
"""A letter for each grade. The grades with small letters keep their digits."""

MARKS: Mapping[str, str] = {"FAIL": "!", "tolerated": "~"}
"""A mark for the verdicts of a gate that need a look."""

_WORDS: Mapping[Kind, str] = {Kind.NAN: "NaN", Kind.SPURIOUS_OVERFLOW: "inf"}


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """An implementation of a loss.

    Attributes:
        implementation: the implementation, by name.
        entries: its lines by dtype and quantity.
        worst: the line that is worst.
    """

    implementation: str
    entries: Mapping[tuple[str, Quantity], Line]
    worst: Line

    @property
    def faulty(self) -> bool:
        """Whether a line of it needs a look."""
        return any(line.faulty for line in self.entries.values())

    @property
    def grade(self) -> Grade | None:
        """Its worst grade; None if nothing is graded."""
        grades = [line.grade for line in self.entries.values() if line.grade is not None]
        return min(grades, key=rank, default=None)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A loss with the rows of its implementations, the worst first."""

    loss: str
    rows: tuple[Row, ...]


def blocks(lines: Iterable[Line]) -> list[Block]:
    """The matrix of some lines, loss by loss, in the order of the lines."""
    made = []
    for loss, own in by_loss(lines):
        rows: dict[str, list[Line]] = defaultdict(list)
        for line in own:
            rows[line.implementation].append(line)
        made.append(Block(loss, tuple(_row(name, some) for name, some in rows.items())))
    return made


def _row(implementation: str, lines: Sequence[Line]) -> Row:
    return Row(implementation, {(each.dtype, each.quantity): each for each in lines}, lines[0])


def columns(lines: Sequence[Line]) -> list[tuple[str, tuple[Quantity, ...]]]:
    """The dtypes of some lines, narrow to wide, each with the quantities that were audited."""
    found: dict[str, set[Quantity]] = defaultdict(set)
    for line in lines:
        found[line.dtype].add(line.quantity)
    return [
        (dtype, tuple(each for each in Quantity if each in found[dtype]))
        for dtype in sorted(found, key=_position)
    ]


def _position(dtype: str) -> tuple[int, str]:
    known = FORMATS.get(dtype)
    return (known.bits, dtype) if known is not None else (0, dtype)


def bits_text(line: Line) -> str:
    """The bits that a line loses in three characters at most; ``NaN`` or ``inf`` if it gives these.

    Results that are flushed to zero do not count: `Kind.FTZ` is a note. ``-``: there is no finite
    error, for example after an exception.
    """
    faults = [kind for kind, rows in line.counts.items() if rows and kind not in NOTES]
    gravest = min(faults, key=gravity, default=None)
    if gravest is not None and gravest in _WORDS and line.grade in (Grade.BROKEN, None):
        return _WORDS[gravest]
    worst = line.max_ulp if math.isnan(line.max_normal_ulp) else line.max_normal_ulp
    lost = lost_bits(worst, next(iter(line.result_dtypes), line.dtype))
    return "-" if lost is None else f"{lost:.0f}"


def lost_bits(ulp_error: float, dtype: str) -> float | None:
    """The bits that an error loses: 1 + log2(error), from 0 to the precision of the dtype.

    An error of at most half an ulp loses no bits. None: there is no finite error.
    """
    precision = FORMATS[dtype].precision if dtype in FORMATS else math.inf
    if math.isnan(ulp_error):
        return None
    if ulp_error >= LARGEST_ULP:
        return float(precision)
    return min(1.0 + math.log2(ulp_error), float(precision)) if ulp_error > 0.5 else 0.0


def allotted(parts: Sequence[Block], room: int, cost: int) -> list[int]:
    """The number of rows to show of each loss, so that the matrix has about ``room`` lines.

    Each loss has a heading, its worst row, and a line that counts the rows left out. Further rows
    come in turn: first those that need a look, then the others.

    Args:
        parts: the losses.
        room: the number of lines for all of it.
        cost: the number of lines of a row.
    """
    if sum(1 + cost * len(each.rows) for each in parts) <= room:
        return [len(each.rows) for each in parts]
    faulty = [sum(row.faulty for row in each.rows) for each in parts]
    shown = [min(1, len(each.rows)) for each in parts]
    left = room - sum(2 + cost * number for number in shown)
    for most in (faulty, [len(each.rows) for each in parts]):
        while left >= cost and any(map(operator.lt, shown, most)):
            for place, number in enumerate(most):
                if shown[place] < number and left >= cost:
                    shown[place] += 1
                    left -= cost
    return shown
