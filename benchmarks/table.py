"""Findings → a table of 80 columns."""

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from benchmarks.findings import Figure, Findings, Target

WIDTH = 80


def render(name: str, summary: str, findings: Findings) -> RenderableType:
    """A subject: its figures, and below them what was missing or has to be known."""
    table = Table(box=box.SIMPLE_HEAD, width=WIDTH, padding=(0, 1), pad_edge=False)
    table.add_column("figure", ratio=1)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("spread", justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("met", no_wrap=True)
    place = ""
    for figure in findings.figures:
        if figure.place != place:
            place = figure.place
            table.add_row(Text(place, style="bold"))
        table.add_row(*(Text(cell) for cell in _cells(figure)))
    lines: list[RenderableType] = [Text(f"{name}: {summary}", style="bold"), table]
    lines += [Text(note) for note in (*findings.missing, *findings.notes)]
    if findings.failure:
        lines.append(Text(f"failed: {findings.failure}", style="bold red"))
    return Group(*lines, Text())


def _cells(figure: Figure) -> tuple[str, ...]:
    spread = "" if figure.low == figure.high else f"{_short(figure.low)}–{_short(figure.high)}"
    met = {True: "yes", False: "no", None: ""}[figure.met]
    what = ", ".join(filter(None, (figure.name, figure.unit)))
    return (f"  {what}", _short(figure.value), spread, _bound(figure.target), met)


def _bound(target: Target | None) -> str:
    if target is None:
        return ""
    return f"{'≤' if target.at_most else '≥'} {_short(target.bound)}"


def _short(value: float | None) -> str:
    """Three digits, and all those before the point, up to nine."""
    if value is None:
        return ""
    if abs(value) >= 1e9:
        return f"{value:.1e}".replace("e+", "e")
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"
