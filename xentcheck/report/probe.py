"""Shows the results of every implementation for one input, as rich renderables."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Group, JustifyMethod, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xentcheck.floats import ULP_DEFINITION
from xentcheck.model import ABOUT_CAUSES, NOTES, Input, Kind, Quantity, Witness, gravity
from xentcheck.report import words
from xentcheck.report.grid import labelled
from xentcheck.report.words import skipped_lines

if TYPE_CHECKING:
    from xentcheck.model import Explanation, ProbeLine, ProbeNumber, ProbeResult, ShownStep

_MOST_COMPONENTS = 12  # if there are more, only the worst are shown
_HEADERS = ("implementation", "result", "hex", "ulp", "verdict")
_SHORTEST_NAME = 8  # columns, while a probe goes on
_LEAST = {"implementation": 16, "verdict": 10}  # least widths of the columns that may be folded


def render_probe(result: "ProbeResult", width: int) -> Group:
    """The rounded input per dtype, then the exact value and the results of all implementations."""
    groups: dict[str, dict[Quantity, list[ProbeLine]]] = defaultdict(lambda: defaultdict(list))
    for line in result.lines:
        groups[line.dtype][Quantity(line.quantity)].append(line)
    parts: list[RenderableType] = []
    for dtype, quantities in groups.items():
        parts.append(Text(dtype, style="bold"))
        parts.append(labelled([("input", each) for each in _inputs(result, dtype)]))
        for quantity, lines in quantities.items():
            parts += [Text(), *_results(quantity, lines, width)]
        parts.append(Text())
    for explanation in result.explanations:
        parts += [*explained(explanation), Text()]
    entries = [("skipped", text) for text in skipped_lines(result.report.skips)]
    entries.append(("measure", f"ulp: {ULP_DEFINITION}; worst first"))
    parts.append(labelled(entries))
    return Group(*parts)


def render_values(lines: Sequence["ProbeLine"], width: int, height: int) -> RenderableType:
    """The values of a probe that are there so far, worst first, one line each.

    Args:
        lines: of one dtype.
        width: the width in columns.
        height: the most lines.
    """
    numbers = [
        (line.implementation, number)
        for line in lines
        if line.quantity == Quantity.VALUE and line.results
        for number in [min(line.results, key=severity)]
    ]
    numbers.sort(key=lambda each: severity(each[1]))
    rows = []
    for each in numbers[: max(height, 1)]:
        name, result, _, ulps, verdict = _cells(*each)
        rows.append((name, result, Text.assemble(ulps, " ulp"), verdict))
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    columns = list(zip(*rows, strict=True)) or [()] * 4
    widths = [max((cell.cell_len for cell in column), default=0) for column in columns]
    names = max(min(widths[0], width - sum(widths[1:]) - 6), _SHORTEST_NAME)
    grid.add_column(width=names, no_wrap=True, overflow="ellipsis")
    for each_width in widths[1:3]:
        grid.add_column(width=each_width, justify="right", no_wrap=True)
    grid.add_column(no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*row)
    return grid


_STEP_HEADERS = ("step", "computed", "exact", "error")


def explained(explanation: "Explanation") -> Iterator[RenderableType]:
    """One result explained: the form that gives it, step by step, and the form that is right."""
    place = f"{explanation.implementation}  {explanation.dtype}  {explanation.quantity}"
    yield Text(words.clean(f"{place}: {explanation.result}, {explanation.error}"), style="bold")
    entries = []
    if explanation.cause is not None:
        says = ABOUT_CAUSES[explanation.cause].says
        entries.append(("cause", f"{explanation.cause}: {says}"))
    if explanation.form:
        entries += [("form", explanation.form), ("evidence", explanation.evidence)]
    else:
        entries.append(("form", "no known form gives these results"))
    yield labelled(entries)
    if explanation.steps:
        yield _steps(explanation.steps)
    if explanation.better:
        yield labelled([("instead", explanation.instead)])
        yield _steps(explanation.better)


def _steps(steps: "Sequence[ShownStep]") -> RenderableType:
    """The steps of a form as a table; the one that loses the bits is marked."""
    grid = Table.grid(padding=(0, 2, 0, 0), pad_edge=False)
    for header in _STEP_HEADERS:
        grid.add_column(overflow="fold", justify="right" if header == "error" else "left")
    grid.add_column()
    grid.add_row(*(Text(header, style="dim") for header in _STEP_HEADERS))
    for step in steps:
        computed = ", ".join(words.brief(each) for each in step.computed)
        grid.add_row(
            Text(step.name),
            Text(computed),
            Text(", ".join(step.exact)),
            Text(f"{words.ulps(step.error_ulp)} ulp"),
            Text("← here" if step.loses else "", style="bold red"),
        )
    return Padding(grid, (0, 0, 0, 4))


def _inputs(result: "ProbeResult", dtype: str) -> list[str]:
    """The rows in decimal and hex, each once. They come from the witnesses of measurements."""
    if dtype in result.rows:
        asked = result.rows[dtype]
        return [f"row {asked.row:,} of the sweep, from {asked.generator}: {_input(asked)}"]
    rows: dict[int, Witness] = {}
    for measurement in result.report.measurements:
        if measurement.cell.dtype == dtype and measurement.witness is not None:
            rows.setdefault(measurement.witness.row, measurement.witness)
    return [_input(witness) for _, witness in sorted(rows.items())]


def _input(witness: Witness | Input) -> str:
    return "  ".join(f"{word} {text}" for word, text in words.input_lines(witness))


def _results(
    quantity: Quantity, lines: Sequence["ProbeLine"], width: int
) -> Iterator[RenderableType]:
    numbers: dict[tuple[int, int | None], list[tuple[str, ProbeNumber]]] = defaultdict(list)
    for line in lines:
        for number in line.results:
            numbers[number.row, number.index].append((line.implementation, number))
    for results in numbers.values():
        results.sort(key=lambda each: severity(each[1]))
    worst = sorted(numbers, key=lambda place: severity(numbers[place][0][1]))
    chosen = set(worst[:_MOST_COMPONENTS])
    rows = {p: [_cells(*each) for each in numbers[p]] for p in numbers if p in chosen}
    widths = _widths([cells for group in rows.values() for cells in group], width)
    several_rows = len({row for row, _ in numbers}) > 1
    for (row, index), group in rows.items():
        component = f"{quantity}{'' if index is None else f'[{index}]'}"
        first = numbers[row, index][0][1]
        expected = words.value_text(first.expected)
        exact = f"exact {words.exact_text(first.exact)}, expected {expected}"
        word = f"row {row}: {component}" if several_rows else component
        yield labelled([(word, f"{exact} ({first.result_dtype})")])
        yield _grid([list(map(Text, _HEADERS)), *group], widths)
    if len(numbers) > len(chosen):
        yield Text(f"  the worst {len(chosen)} of {len(numbers):,} components: --format json")
    notes = [f"{line.implementation}: {line.note}" for line in lines if line.note]
    if notes:
        yield labelled([("  note", words.clean(note)) for note in notes])


def severity(number: "ProbeNumber") -> tuple[float, float]:
    """A sort key of results, worst first."""
    grave = len(Kind) if number.kind is None else gravity(number.kind)
    error = -1.0 if math.isnan(number.ulp_error) else number.ulp_error
    return (grave, -error)


def _cells(implementation: str, number: "ProbeNumber") -> list[Text]:
    verdict = "ok" if number.kind is None else str(number.kind)
    style = "green" if number.kind is None else "yellow" if number.kind in NOTES else "red"
    return [
        Text(words.clean(implementation)),
        Text(words.digits(number.actual, number.result_dtype)),
        Text(words.hexadecimal(number.actual)),
        Text(words.ulps(number.ulp_error)),
        Text(verdict, style=style),
    ]


def _widths(rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    columns = zip(*rows, strict=True) if rows else [()] * len(_HEADERS)
    widths = [
        max([len(header), *(cell.cell_len for cell in column)])
        for header, column in zip(_HEADERS, columns, strict=True)
    ]
    for name, least in _LEAST.items():
        column = _HEADERS.index(name)
        excess = max(sum(widths) + len(widths) + 3 - width, 0)
        widths[column] = max(min(widths[column], least), widths[column] - excess)
    return widths


def _grid(rows: Sequence[Sequence[Text]], widths: Sequence[int]) -> RenderableType:
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for header, column_width in zip(_HEADERS, widths, strict=True):
        justify: JustifyMethod = "left" if header in _LEAST else "right"
        grid.add_column(width=column_width, justify=justify, overflow="fold")
    for row in rows:
        grid.add_row(*row)
    return Padding(grid, (0, 0, 0, 4))
