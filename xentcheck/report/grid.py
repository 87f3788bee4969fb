"""Helpers for tables as text, shared by the formats for terminals. They use rich."""

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xentcheck.report import words


def to_text(renderable: RenderableType, width: int, *, color: bool) -> str:
    """The text of a renderable. It does not depend on environment variables."""
    console = Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        no_color=not color,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
        _environ={},
    )
    with console.capture() as capture:
        console.print(renderable, soft_wrap=False)
    return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())


def labelled(lines: Sequence[tuple[str, str]]) -> RenderableType:
    """Labels on the left, texts on the right. Long texts are folded.

    On less than `NARROW` columns each text stands below its label.
    """
    return _Labelled(tuple((word, words.clean(text)) for word, text in lines))


def column_widths(
    headers: Sequence[str],
    rows: Sequence[Sequence[Text]],
    width: int,
    foldable: Mapping[str, int],
) -> list[int]:
    """Column widths that fit the contents; if too wide, some columns shrink.

    Args:
        headers: the headers.
        rows: the cells, row by row.
        width: the largest sum of the widths, with a blank between two columns.
        foldable: the columns that may shrink, in this order, with their least widths. Numbers are
            never cut.
    """
    widths = [
        max(len(header), *(row[i].cell_len for row in rows)) for i, header in enumerate(headers)
    ]
    for name, least in foldable.items():
        excess = sum(widths) + len(widths) - 1 - width
        if excess > 0 and name in headers:
            column = headers.index(name)
            widths[column] = max(min(widths[column], least), widths[column] - excess)
    return widths


def grid_row(
    cells: Sequence[Text], headers: Sequence[str], widths: Sequence[int], numbers: Collection[str]
) -> Table:
    """One row as a grid of its own. The columns of ``numbers`` are set to the right."""
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for header, column_width in zip(headers, widths, strict=True):
        right = header in numbers
        grid.add_column(width=column_width, justify="right" if right else "left", overflow="fold")
    grid.add_row(*cells)
    return grid


NARROW = 60
"""Columns; on fewer there is no room for texts beside their labels."""


@dataclass(frozen=True, slots=True)
class _Labelled:
    lines: tuple[tuple[str, str], ...]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < NARROW:
            for word, text in self.lines:
                yield Padding(Text(word, style="dim"), (0, 0, 0, 2))
                yield Padding(Text(text, overflow="fold"), (0, 0, 0, 4))
            return
        grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
        grid.add_column(no_wrap=True, style="dim")
        grid.add_column(overflow="fold", ratio=1)
        for word, text in self.lines:
            grid.add_row(Text(word), Text(text))
        yield Padding(grid, (0, 0, 0, 2))
