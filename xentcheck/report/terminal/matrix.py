"""The matrix of a report as lines of text, for a width."""

import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence

from rich.cells import cell_len, chop_cells, set_cell_size
from rich.text import Text

from xentcheck.model import GRADES, Grade, Quantity, rank
from xentcheck.report import words
from xentcheck.report.lines import Line
from xentcheck.report.matrix import (
    LETTERS,
    MARKS,
    Row,
    allotted,
    bits_text,
    blocks,
    columns,
)
from xentcheck.report.verdict import fitted

ROOM = 56
"""Lines that a matrix may take; losses beyond that are shown by their worst implementation."""

GRADE_STYLES = {
    Grade.BROKEN: "bold red",
    Grade.LOSSY: "magenta",
    Grade.ABSOLUTE: "yellow",
    Grade.ACCURATE: "green",
    Grade.FAITHFUL: "green",
    Grade.ROUNDED: "green",
}

_UNGRADED = "?"
_ENTRY = 5  # columns: a letter, a blank, three characters for the bits
_HEADINGS = {Quantity.VALUE: "value", Quantity.GRADIENT: "grad"}
_GAP = 2  # columns between dtypes
_INDENT = 2
_LEAST_NAME = 16  # columns for names; with less, each dtype has a line of its own


def matrix_lines(lines: Sequence[Line], width: int, room: int = ROOM) -> Iterator[Text]:
    """The matrix of some lines, one `Text` per line, at most ``width`` columns wide.

    The dtypes stand side by side, or, where there is no room for that, below each other. The line
    at the end says what letters and marks mean.
    """
    layout = _Layout(lines, width)
    parts = blocks(lines)
    heads = layout.headings()
    yield from heads
    shown = allotted(parts, room - len(heads), layout.cost)
    for block, number in zip(parts, shown, strict=True):
        yield from layout.heading(block.loss)
        for row in block.rows[:number]:
            yield from layout.row(row)
        if left := block.rows[number:]:
            yield from _rest(left, width)
    yield from _key(lines, width)


class _Layout:
    """Where things stand: the columns of names and of dtypes."""

    def __init__(self, lines: Sequence[Line], width: int) -> None:
        self._width = width
        self._columns = columns(lines)
        self._mark = 1 if any(line.verdict in MARKS for line in lines) else 0
        dtypes = sum(self._of(dtype, quantities) + _GAP for dtype, quantities in self._columns)
        longest = max(cell_len(words.clean(line.implementation)) for line in lines) + _INDENT
        losses = max(cell_len(words.clean(line.loss)) for line in lines)
        self._name = min(max(longest, losses, _LEAST_NAME), width - dtypes)
        self._longest = longest
        self.stacked = self._name < min(_LEAST_NAME, longest)
        if self.stacked:
            pair = len(_HEADINGS) * (_ENTRY + self._mark + 1) + _GAP
            self._name = max(min(max(longest, losses), width - pair), 1)

    @property
    def cost(self) -> int:
        """The most lines that a row takes."""
        if self.stacked:
            return 1 + len(self._columns)
        return 2 if self._longest > self._name else 1

    def _entry(self) -> int:
        return _ENTRY + self._mark

    def _of(self, dtype: str, quantities: Sequence[Quantity]) -> int:
        """The width of a dtype with its quantities."""
        return max(len(quantities) * (self._entry() + 1) - 1, len(dtype))

    def headings(self) -> list[Text]:
        """The lines above the losses."""
        if self.stacked:
            return []
        text = Text(" " * self._name)
        for dtype, quantities in self._columns:
            text.append(" " * _GAP)
            text.append(dtype.ljust(self._of(dtype, quantities)), style="bold")
        return [text]

    def heading(self, loss: str) -> Iterator[Text]:
        """The line of a loss, with the quantities; two lines if its name needs one for itself."""
        name = words.clean(loss)
        if cell_len(name) > self._name:
            for part in _folded(name, self._width, 0):
                part.stylize("bold")
                yield part
            name = ""
        text = Text(set_cell_size(name, self._name), style="bold")
        quantities = (
            [(_widest(self._columns), 0)]
            if self.stacked
            else [(own, self._of(dtype, own)) for dtype, own in self._columns]
        )
        for own, least in quantities:
            told = " ".join(_HEADINGS[each].ljust(self._entry()) for each in own)
            text.append(" " * _GAP + told.ljust(least), style="not bold dim")
        yield text

    def row(self, row: Row) -> Iterator[Text]:
        """The lines of an implementation. Its name is folded if it has no room, and never cut."""
        name = words.clean(row.implementation)
        if self.stacked:
            yield from _folded(name, self._width)
            audited = {dtype for dtype, _ in row.entries}
            for dtype in (each for each, _ in self._columns if each in audited):
                text = Text(set_cell_size(" " * 2 * _INDENT + dtype, self._name))
                self._append(text, row, dtype, _widest(self._columns), 0)
                yield text
            return
        if _INDENT + cell_len(name) > self._name:
            yield from _folded(name, self._width)
            name = ""
        text = Text(set_cell_size(" " * _INDENT + name, self._name))
        for dtype, quantities in self._columns:
            self._append(text, row, dtype, quantities, self._of(dtype, quantities))
        yield text

    def _append(
        self, text: Text, row: Row, dtype: str, quantities: Sequence[Quantity], least: int
    ) -> None:
        """Append the entries of a dtype."""
        text.append(" " * (_GAP - 1))
        before = len(text)
        for quantity in quantities:
            text.append(" ")
            line = row.entries.get((dtype, quantity))
            if line is None:
                text.append(" " * self._entry())
                continue
            letter = _UNGRADED if line.grade is None else LETTERS[line.grade]
            style = "" if line.grade is None else GRADE_STYLES[line.grade]
            text.append(f"{letter} {bits_text(line):>3}", style=style)
            if self._mark:
                text.append(MARKS.get(line.verdict, " "), style="bold red")
        text.append(" " * (least + 1 - (len(text) - before)))


def _widest(known: Sequence[tuple[str, Sequence[Quantity]]]) -> Sequence[Quantity]:
    found = {each for _, quantities in known for each in quantities}
    return [each for each in Quantity if each in found]


def _folded(name: str, width: int, indent: int = _INDENT) -> Iterator[Text]:
    """A name on lines of its own."""
    room = max(width - indent, 1)
    for part in chop_cells(name, room):
        yield Text(" " * indent + part)


def _rest(rows: Sequence[Row], width: int) -> Iterator[Text]:
    """The rows that are left out: how many of each grade, and the names of the good ones."""
    counts = Counter(row.grade for row in rows)
    told = [f"{counts[grade]:,} {grade}" for grade in GRADES if counts[grade]]
    told += [f"{counts[None]:,} ungraded"] if counts[None] else []
    head = f"and {len(rows):,} more: {', '.join(told)}"
    good = [words.clean(row.implementation) for row in rows if _good(row)]
    good.reverse()  # the best first
    if good:
        text = fitted(f"{head}: ", good, "", width - _INDENT)
        head = text if len(text) <= width - _INDENT else head
    for part in textwrap.wrap(head, width, initial_indent="  ", subsequent_indent="    "):
        yield Text(part, style="dim")


def _good(row: Row) -> bool:
    return row.grade is not None and rank(row.grade) >= rank(Grade.ACCURATE)


def _key(lines: Sequence[Line], width: int) -> Iterator[Text]:
    """What the letters and marks in the matrix mean."""
    grades = {line.grade for line in lines}
    told = [f"{LETTERS[each]} {each}" for each in GRADES if each in grades]
    told += [f"{_UNGRADED} not graded"] if None in grades else []
    told += ["number: bits lost"]
    verdicts = {line.verdict for line in lines}
    told += ["! beyond a limit"] if "FAIL" in verdicts else []
    told += ["~ tolerated"] if "tolerated" in verdicts else []
    for line in textwrap.wrap(", ".join(told), width):
        yield Text(line, style="dim")
