"""Helpers for tables as text, shared by the formats for terminals. They use rich."""

import io
from collections.abc import Sequence

from rich.console import Console, RenderableType
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
    """Labels on the left, texts on the right. Long texts are folded."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column(no_wrap=True, style="dim")
    grid.add_column(overflow="fold", ratio=1)
    for word, text in lines:
        grid.add_row(Text(word), Text(words.clean(text)))
    return Padding(grid, (0, 0, 0, 2))
