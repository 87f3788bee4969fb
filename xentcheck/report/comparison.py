"""A comparison of two reports → a table for a terminal, or a JSON document of its own schema.

As in the table of one report, every piece of text is a `Text`, and colour only repeats a word.
"""

import json
import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.comparison import MAX_ULP, ORDER, Comparison, Difference, Pair, Side
from xentcheck.gate.extent import Extent
from xentcheck.model import Finding, Kind, Report, Standing, Witness, gravity
from xentcheck.reading.json import number, plain
from xentcheck.report import words
from xentcheck.report.document import of_witness
from xentcheck.report.table import labelled, to_text, verdicts

SCHEMA_VERSION = 1

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
_MOST_NUMBERS = 64  # of a row; longer ones are abbreviated


def render(comparison: Comparison, names: tuple[str, str], width: int, *, color: bool) -> str:
    """The comparison as text, no line wider than ``width``; ``names`` are those of the files."""
    return to_text(render_table(comparison, names, width), width, color=color)


def render_table(comparison: Comparison, names: tuple[str, str], width: int) -> Group:
    """What is not the same, what is worse in detail, and a summary."""
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
    """A line per cell and below it what has changed, loss by loss."""
    cells = {id(pair): _cells(pair) for pair in pairs}
    widths = _widths(list(cells.values()), width)
    by_loss: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_loss[pair.cell.loss].append(pair)
    for loss, group in by_loss.items():
        yield Text(words.clean(loss), style="bold")
        yield _grid([Text(header, style="dim") for header in _HEADERS], widths)
        for pair in group:
            yield _grid(cells[id(pair)], widths)
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


def _widths(rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """As wide as the contents; where that is too much, the columns of `_FOLDABLE` are folded."""
    widths = [
        max(len(header), *(row[i].cell_len for row in rows)) for i, header in enumerate(_HEADERS)
    ]
    for name, least in _FOLDABLE.items():
        column = _HEADERS.index(name)
        excess = max(sum(widths) + len(widths) - 1 - width, 0)
        widths[column] = max(min(widths[column], least), widths[column] - excess)
    return widths


def _grid(cells: Sequence[Text], widths: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for header, column_width in zip(_HEADERS, widths, strict=True):
        right = header in _NUMBERS
        grid.add_column(width=column_width, justify="right" if right else "left", overflow="fold")
    grid.add_row(*cells)
    return grid


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
    """What is worse with both witnesses in full, each kind of it first."""
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


def summary(comparison: Comparison, names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """What was compared, how it came out and what else differs, as (what, text)."""
    tally = comparison.tally
    for word, name, report in zip(
        ("base", "head"), names, (comparison.base, comparison.head), strict=True
    ):
        cells = words.count(verdicts(report).total(), "cell")
        rows = words.count(sum(each.rows for each in report.measurements), "row")
        yield word, f"{name}: {cells}, {rows}, seed {report.seed}"
    counts = ", ".join(f"{each} {tally[each]:,}" for each in ORDER if tally[each])
    yield "cells", counts or "none"
    if comparison.slack:
        yield "slack", slack_text(comparison.slack)
    for note in comparison.notes:
        yield note.topic, note.text
    yield "measure", f"ulp: {ULP_DEFINITION}"
    yield "verdict", verdict(comparison)


def slack_text(slack: float) -> str:
    """What a slack lets pass."""
    return f"errors in ulps that change by a factor of up to {1 + slack:g} count as the same"


def verdict(comparison: Comparison) -> str:
    """How it came out, in a few words."""
    if not comparison.shared:
        return "nothing was compared: no cell is in both reports"
    worse, better = comparison.tally[Standing.WORSE], comparison.tally[Standing.BETTER]
    shared = f"of {words.count(comparison.shared, 'cell')} in both reports"
    if worse:
        return f"{worse:,} {shared} {'is' if worse == 1 else 'are'} worse"
    return f"none {shared} is worse" + (f", {better:,} better" if better else "")


def lacking(pair: Pair) -> str:
    """Which report lacks a cell and why, where it says so."""
    if not pair.reason:
        return ""
    return f"not in {'base' if pair.base is None else 'head'}: {pair.reason}"


def leading(pair: Pair) -> Difference | None:
    """The difference that is shown with its witnesses; None where there is nothing to show."""
    return next(iter(pair.changes), None)


def distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """The same, but the first of each loss, implementation and rule before all others."""
    seen: set[tuple[str, str, str]] = set()
    new: list[Pair] = []
    repeated: list[Pair] = []
    for pair in pairs:
        shown = leading(pair)
        key = (pair.cell.loss, pair.cell.implementation, shown.rule if shown else "")
        (repeated if key in seen else new).append(pair)
        seen.add(key)
    return new + repeated


def changes(pair: Pair) -> list[str]:
    """``nan new: 3 of 61 rows``, ``inaccurate worse: 5 → 60 of 61 rows, 12 → 9.3e6 ulp``.

    In a cell that is new or gone as a whole, so are all of its faults.
    """
    whole = pair.base is None or pair.head is None
    texts = []
    for each in pair.changes:
        name = "max ulp" if each.rule == MAX_ULP else each.rule
        stands = "" if whole else f" {each.standing}"
        texts.append(f"{name}{stands}: {_change(each.rule, each.base, each.head)}")
    return texts


def _change(rule: str, base: Extent | None, head: Extent | None) -> str:
    if base is None or head is None:
        only = head or base
        assert only is not None
        ulp = "" if only.ulp is None else f", {words.ulps(only.ulp)} ulp"
        was = "" if base is None else "was "
        return f"{was}{only.rows:,} of {words.count(only.of, 'row')}{ulp}"
    parts = []
    if rule != MAX_ULP:
        rows = "row" if head.of == 1 else "rows"
        before = f"{base.rows:,}" if base.of == head.of else f"{base.rows:,} of {base.of:,}"
        same = (base.rows, base.of) == (head.rows, head.of)
        parts.append(f"{'' if same else f'{before} → '}{head.rows:,} of {head.of:,} {rows}")
    if base.ulp != head.ulp:
        parts.append(_ulps(base.ulp, head.ulp))
    return ", ".join(parts)


def _ulps(before: float | None, now: float | None) -> str:
    """``12 → 9.3e6 ulp``, with as many digits as it takes to see a difference."""
    texts = ["none" if each is None else words.ulps(each) for each in (before, now)]
    if texts[0] == texts[1] and before is not None and now is not None:
        texts = [words.decimal(each) for each in (before, now)]
    return f"{' → '.join(texts)} ulp"


def largest(side: Side | None) -> str:
    """The worst of a cell: a kind that has no error in ulps, such as nan, else the largest finite
    error; nothing where the report lacks the cell.
    """
    if side is None:
        return ""
    beyond = [kind for kind in side.faults if side.is_beyond_ulps(kind)]
    return str(min(beyond, key=gravity)) if beyond else words.ulps(side.max_ulp)


def witness_text(witness: Witness) -> str:
    """The witness in one line: ``[20, 0, 0] label 0 → 0, exact 4.122e-9, 9.3e6 ulp``."""
    error = "" if math.isnan(witness.ulp_error) else f", {words.ulps(witness.ulp_error)} ulp"
    return f"{words.input_text(witness)} → {words.outcome_text(witness)}{error}"


def side_by_side(difference: Difference) -> list[tuple[str, str]]:
    """Both witnesses in full, as (what, text); of one input, what they share is told once."""
    base, head = difference.base_witness, difference.head_witness
    before, now = _told(base), _told(head)
    shared = []
    if base is not None and head is not None and _same_input(base, head):
        shared = [line for line in before if line in now]
    sides = (("base", before), ("head", now))
    return shared + [
        (f"{name} {word}", text)
        for name, told in sides
        for word, text in told
        if (word, text) not in shared
    ]


def _told(witness: Witness | None) -> list[tuple[str, str]]:
    """A witness in full, or its input and what happened instead of a result."""
    if witness is None:
        return []
    lines = words.witness_lines(witness, _MOST_NUMBERS)
    return lines if witness.exact or not witness.note else [*lines, ("note", witness.note)]


def _same_input(one: Witness, other: Witness) -> bool:
    """Whether two witnesses are of the same numbers, to the bit."""
    first, second = (of_witness(each) or {} for each in (one, other))
    return all(first[key] == second[key] for key in ("logits", "labels", "parameters"))


def replay(head: Report, pair: Pair, difference: Difference) -> list[str]:
    """The words of the command that shows head's witness again; none where that is too long."""
    kinds = {kind.value: kind for kind in Kind}
    kind = kinds.get(difference.rule) if difference.head is not None else None
    rows = 0 if difference.head is None else difference.head.rows
    shown = Finding(kind or Kind.INACCURATE, pair.cell, rows, difference.head_witness)
    return words.replay_command(head, shown) or []


def one_line(text: str) -> str:
    """Text from elsewhere on one line, with escapes for what would break it."""
    return words.clean(text).replace("\n", "\\n")


def to_json(comparison: Comparison, names: tuple[str, str]) -> str:
    """The document as text, strict JSON; what is the same has its numbers, but no witnesses."""
    tally = comparison.tally
    document = {
        "schema_version": SCHEMA_VERSION,
        "ulp": ULP_DEFINITION,
        "slack": comparison.slack,
        "worse": tally[Standing.WORSE] > 0,
        "counts": {each.value: tally[each] for each in ORDER},
        "base": _report(comparison.base, names[0]),
        "head": _report(comparison.head, names[1]),
        "notes": [
            {"topic": each.topic, "warning": each.warning, "text": each.text}
            for each in comparison.notes
        ],
        "cells": [_pair(comparison, pair) for pair in comparison.pairs],
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _report(report: Report, name: str) -> dict[str, Any]:
    return {
        "file": name,
        "environment": plain(report.environment),
        "seed": report.seed,
        "interrupted": report.interrupted,
    }


def _pair(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    cell = pair.cell
    return {
        "loss": cell.loss,
        "implementation": cell.implementation,
        "dtype": cell.dtype,
        "quantity": cell.quantity.value,
        "sweep": cell.sweep,
        "standing": pair.standing.value,
        "reason": pair.reason,
        "base": _side(pair.base),
        "head": _side(pair.head),
        "faults": [_difference(comparison, pair, each) for each in pair.differences],
    }


def _side(side: Side | None) -> dict[str, Any] | None:
    return None if side is None else {"rows": side.rows, "max_ulp": number(side.max_ulp)}


def _difference(comparison: Comparison, pair: Pair, difference: Difference) -> dict[str, Any]:
    found = {
        "rule": difference.rule,
        "standing": difference.standing.value,
        "base": _extent(difference.base),
        "head": _extent(difference.head),
    }
    if difference.standing is Standing.SAME:
        return {**found, "base_witness": None, "head_witness": None, "replay": ""}
    return {
        **found,
        "base_witness": of_witness(difference.base_witness),
        "head_witness": of_witness(difference.head_witness),
        "replay": words.shell(replay(comparison.head, pair, difference)),
    }


def _extent(extent: Extent | None) -> dict[str, Any] | None:
    if extent is None:
        return None
    ulp = None if extent.ulp is None else number(extent.ulp)
    return {"rows": extent.rows, "of": extent.of, "ulp": ulp}
