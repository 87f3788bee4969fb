"""The progress of a run in two lines.

The first has the share, rows, rate and time left. The second has the current work and the worst
error so far.
"""

import math

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from xentcheck.model import Progress
from xentcheck.report import words

_LEAST_SHARE = 0.0002  # share of the work that must be done before the time left is shown


def render(progress: Progress, elapsed: float, width: int) -> RenderableType:
    """Two lines of at most ``width`` columns. ``elapsed`` is in seconds."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(justify="right", width=4)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True)
    figures = [words.count(progress.rows, "row")]
    if elapsed > 0:
        figures.append(f"{_rate(progress.rows / elapsed)} rows/s")
    figures.append(_left(progress.share, elapsed))
    bar = ProgressBar(total=1.0, completed=progress.share)
    grid.add_row(Text(f"{math.floor(100 * progress.share)} %"), bar, Text("  ".join(figures)))
    grid.width = width
    what = progress.what
    if not math.isnan(progress.worst):
        what += f"; worst so far {words.ulps(progress.worst)} ulp ({progress.where})"
    text = Text(words.clean(what), no_wrap=True, overflow="ellipsis")
    return Group(grid, text)


def _rate(rows: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rows >= size:
            return f"{rows / size:.1f} {letter}"
    return f"{rows:.0f}"


def _left(share: float, elapsed: float) -> str:
    """The time left, if the rest goes at the same rate."""
    if share < _LEAST_SHARE:
        return "time left unknown"
    seconds = round(elapsed * (1.0 - share) / share)
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02} left" if hours else f"{minutes}:{seconds:02} left"
