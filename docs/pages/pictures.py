"""Pictures of what commands print, as SVG: ``python -m docs.pages.pictures``.

It follows the tutorial in a folder of its own and writes ``docs/pictures/NAME.svg`` for every
command that the page wants a picture of. The pictures need no font and no address from outside.
"""

import os
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

from docs.pages.blocks import Command, blocks, commands

DOCS = Path(__file__).resolve().parent.parent
PICTURES = DOCS / "pictures"
PAGE = DOCS / "tutorial.md"

WIDTH = 100  # columns
MOST_LINES = 45  # of a picture

# That of rich, without the fonts that it fetches: the browser's own will do.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
    <style>
    .{unique_id}-matrix {{
        font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
        font-size: {char_height}px;
        line-height: {line_height}px;
        font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
    {styles}
    </style>
    <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
    </clipPath>
    {lines}
    </defs>
    {chrome}
    <g transform="translate({terminal_x}, {terminal_y})"
       clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
    </g>
</svg>
"""


def printed(command: Command, folder: Path) -> str:
    """What a command writes to stdout in a folder, on a terminal with colours of WIDTH columns.

    Raises RuntimeError if it ends with another status than the page says.
    """
    done = command.run(folder, {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH)})
    if done.returncode != command.status:
        raise RuntimeError(f"{command.text}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def drawn(title: str, output: str, name: str) -> str:
    """The picture of what a command printed, with colours as terminals encode them."""
    lines = output.rstrip("\n").split("\n")
    if len(lines) > MOST_LINES:
        lines[MOST_LINES:] = ["…"]
    console = Console(
        width=WIDTH, record=True, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text.from_ansi("\n".join(lines)))
    return console.export_svg(title=title, code_format=_FORMAT, unique_id=name)


def outputs() -> Iterator[tuple[str, str, str]]:
    """The pictures that the page wants: name, command, and what it prints."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for block in blocks(PAGE.read_text(encoding="utf-8")):
            if block.file:
                (folder / block.file).write_text(block.text, encoding="utf-8")
            if block.picture:
                *_, command = commands(block)
                yield block.picture, command.text, printed(command, folder)


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, title, output in outputs():
        (PICTURES / f"{name}.svg").write_text(drawn(f"$ {title}", output, name), encoding="utf-8")
