"""The progress of a run in two lines, and that of a probe as the results that are there.

The first line of a run has the share, rows, rate and time left. The second has the current work,
what it waits for, and the worst error so far.
"""

import math

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from xentcheck.model import ProbeProgress, Progress
from xentcheck.report import words
from xentcheck.report.probe import render_values

_LEAST_SHARE = 0.0002  # share of the work that must be done before the time left is shown


def render(
    progress: Progress | None, elapsed: float, width: int, doing: str = ""
) -> RenderableType:
    """Two lines of at most ``width`` columns; one line before there is any progress.

    Args:
        progress: the progress; None before there is any.
        elapsed: the time so far, in seconds.
        width: the width in columns.
        doing: what is waited for, "" for nothing.
    """
    if progress is None:
        return _line(doing)
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
    what = "; ".join(filter(None, (progress.what, doing)))
    if not math.isnan(progress.worst):
        what += f"; worst so far {words.ulps(progress.worst)} ulp ({progress.where})"
    return Group(grid, _line(what))


def of_probe(progress: ProbeProgress, doing: str, width: int, height: int) -> RenderableType:
    """The results of a probe that are there, worst first, and what is waited for.

    Args:
        progress: has the results; those of the last dtype are shown.
        doing: what is waited for, "" for nothing.
        width: the width in columns.
        height: the most lines; values come first.
    """
    dtype = progress.lines[-1].dtype
    lines = [each for each in progress.lines if each.dtype == dtype]
    return Group(render_values(lines, width, height - 1), _line(doing))


def _line(text: str) -> Text:
    return Text(words.clean(text), no_wrap=True, overflow="ellipsis")


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
