"""Writes a comparison of two reports as a table for a terminal.

As in the table of one report, every piece of text is a `Text`, and colour only repeats a word.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from xentcheck.gate.comparison import Comparison, Pair
from xentcheck.model import Report, Standing
from xentcheck.report import words
from xentcheck.report.comparison.pairs import (
    changes,
    distinct,
    lacking,
    largest,
    leading,
    one_line,
    replay,
    side_by_side,
    summary,
    witness_text,
)
from xentcheck.report.grid import column_widths, grid_row, labelled, to_text

_STYLES = {
    Standing.WORSE: "bold red",
    Standing.NEW: "yellow",
    Standing.GONE: "yellow",
    Standing.BETTER: "green",
    Standing.SAME: "",
}
_HEADERS = ("standing", "implementation", "dtype", "quantity", "sweep", "base", "head")
_NUMBERS = frozenset({"base", "head"})
_FOLDABLE = {"implementation": 16, "sweep": 8, "dtype": 8}  # least widths
_INDENT = 8
_MOST_DETAILS = 12


def render(comparison: Comparison, names: tuple[str, str], width: int, *, color: bool) -> str:
    """The comparison as text.

    Args:
        comparison: the comparison to show.
        names: the files of base and head.
        width: the largest width of a line, in columns.
        color: whether to use ANSI colours.
    """
    return to_text(render_table(comparison, names, width), width, color=color)


def render_table(comparison: Comparison, names: tuple[str, str], width: int) -> Group:
    """The changed cells, the worse cells in detail, and a summary."""
    told = [pair for pair in comparison.pairs if pair.standing is not Standing.SAME]
    parts: list[RenderableType] = []
    if told:
        legend = (
            "worse, new, gone, better: head against base. base, head: the gravest kind of the cell "
            "that has no error in ulps, else its largest error in ulps."
        )
        parts += [Text(legend, style="dim"), Text()]
        parts += _rows(told, width)
    parts += _details(comparison, width)
    parts.append(labelled(list(summary(comparison, names))))
    return Group(*parts)


def _rows(pairs: Sequence[Pair], width: int) -> Iterator[RenderableType]:
    """One line per cell with its changes below, grouped by loss."""
    cells = {id(pair): _cells(pair) for pair in pairs}
    widths = column_widths(_HEADERS, list(cells.values()), width, _FOLDABLE)
    by_loss: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_loss[pair.cell.loss].append(pair)
    for loss, group in by_loss.items():
        yield Text(words.clean(loss), style="bold")
        titles = [Text(header, style="dim") for header in _HEADERS]
        yield grid_row(titles, _HEADERS, widths, _NUMBERS)
        for pair in group:
            yield grid_row(cells[id(pair)], _HEADERS, widths, _NUMBERS)
            below = [one_line(text) for text in _below(pair)]
            if below:
                yield Padding(Text("\n".join(below), style="dim"), (0, 0, 0, _INDENT))
        yield Text()


def _cells(pair: Pair) -> list[Text]:
    cell = pair.cell
    return [
        Text(pair.standing.value, style=_STYLES[pair.standing]),
        Text(one_line(cell.implementation)),
        Text(cell.dtype),
        Text(cell.quantity.value),
        Text(one_line(cell.sweep)),
        Text(largest(pair.base)),
        Text(largest(pair.head)),
    ]


def _below(pair: Pair) -> list[str]:
    texts = [text for text in (" · ".join(changes(pair)), lacking(pair)) if text]
    shown = leading(pair)
    if shown is None:
        return texts
    for name, witness in (("base", shown.base_witness), ("head", shown.head_witness)):
        if witness is not None:
            texts.append(f"{name} {witness_text(witness)}")
    return texts


def _details(comparison: Comparison, width: int) -> list[RenderableType]:
    """The worse cells with both witnesses in full, each kind before repetitions."""
    worse = [pair for pair in comparison.pairs if pair.standing is Standing.WORSE]
    if not worse:
        return []
    chosen = distinct(worse)[:_MOST_DETAILS]
    more = f", {len(chosen):,} of them" if len(chosen) < len(worse) else ""
    heading = f"{words.count(len(worse), 'cell')} worse{more}, the gravest first"
    parts: list[RenderableType] = [Text(heading, style="bold red"), Text()]
    for pair in chosen:
        cell = pair.cell
        head = f"{cell.loss}  {cell.implementation}  {cell.dtype}  {cell.quantity}"
        parts.append(Text(one_line(f"{head}  (sweep {cell.sweep})")))
        parts += [labelled(_in_full(comparison.head, pair, width)), Text()]
    if left := len(worse) - len(chosen):
        parts += [Text(f"and {left:,} more: --format json has them all"), Text()]
    return parts


def _in_full(head: Report, pair: Pair, width: int) -> list[tuple[str, str]]:
    lines = [("change", text) for text in changes(pair)]
    shown = leading(pair)
    if shown is None:
        return lines
    lines += side_by_side(shown)
    command = replay(head, pair, shown)
    if command:
        margin = 4 + max(len(word) for word, _ in lines)
        lines.append(("replay", words.folded(command, width - margin)))
    return lines
