"""Writes a comparison of two reports as one HTML file, in the style of a report's page."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from xentcheck.floats import FORMATS
from xentcheck.gate.comparison import ORDER, Comparison, Pair
from xentcheck.model import Kind, Quantity, Report, Standing, gravity
from xentcheck.report import words
from xentcheck.report.comparison import pairs
from xentcheck.report.extras import require_html
from xentcheck.report.matrix import lost_bits
from xentcheck.report.page import content
from xentcheck.report.page.columns import Column, documents, stored, told
from xentcheck.report.page.marks import STANDING_TONES
from xentcheck.report.pictures.bins import axes
from xentcheck.report.pictures.limits import limit_of

_MOST_CHANGES = 10


def render(comparison: Comparison, names: tuple[str, str]) -> str:
    """The comparison as a page. ``names`` are the files of base and head.

    Raises:
        UsageError: the extra ``html`` is not installed.
    """
    require_html("the format html")
    from xentcheck.report.page import rendering  # noqa: PLC0415

    sides = [_measured(comparison.base), _measured(comparison.head)]
    cells = [pair.cell for pair in comparison.pairs]
    measurements = [side.get(cell) for side in sides for cell in cells]
    tally = comparison.tally
    state = "failed" if tally[Standing.WORSE] else "passed" if comparison.shared else "incomplete"
    changes = _changes(comparison)
    verdict = words.clean(pairs.verdict(comparison))
    return rendering.rendered(
        "comparison.html.j2",
        _data(comparison, measurements),
        [_details(comparison, pair) for pair in comparison.pairs],
        measurements,
        title=f"xentcheck: {verdict}",
        brand="comparison",
        sections=[
            ("verdict", "Verdict"),
            *([("changes", "Changes")] if changes else []),
            ("matrix", "Standings"),
            ("cell", "A cell"),
            ("measurements", "All cells"),
        ],
        matrix_heading="Standings",
        matrix_about="A cell has the sign of its standing, the sign of its gravest fault in head, "
        "and the bits that its largest error loses in head. Arrow keys move; Enter opens a cell.",
        table_heading="Cells",
        table_about="Click a heading to sort. Number filters take > 4, <= 1e3, 2..8 or none. The "
        "address has the search, the filters and the order: copy it to share them.",
        state=state,
        sign=rendering.SIGNS[state],
        verdict=verdict,
        warnings=[words.clean(f"{e.topic}: {e.text}") for e in comparison.notes if e.warning],
        cells=words.count(len(comparison.pairs), "cell"),
        standings=[
            (
                str(each),
                STANDING_TONES[str(each)].letter,
                tally[each],
                STANDING_TONES[str(each)].says,
            )
            for each in ORDER
            if tally[each]
        ],
        summary=[(words.clean(a), words.clean(b)) for a, b in pairs.summary(comparison, names)],
        changes=changes,
    )


def _measured(report: Report) -> dict[Any, Any]:
    return {each.cell: each for each in report.measurements}


def _data(comparison: Comparison, measurements: list[Any]) -> dict[str, Any]:
    return {
        "what": "comparison",
        "columns": _table(comparison),
        "lines": _lines(comparison),
        "ranges": content.ranges(comparison.head),
        "tones": {name: [tone.letter, tone.says] for name, tone in STANDING_TONES.items()},
        "kinds": content.kinds(),
        "dtypes": list(FORMATS),
        "axes": axes(each for each in measurements if each is not None),
        "number": "lost bits in head",
        "toned": "standing",
        "row": "cell",
        "findings": "What changed, with both results on the same input where there is one",
        "sides": ["base", "head"],
    }


def _table(comparison: Comparison) -> list[dict[str, Any]]:
    columns = [
        Column("standing", "standing", "word", [str(each) for each in ORDER]),
        Column("loss", "loss", "word"),
        Column("implementation", "implementation", "word"),
        Column("dtype", "dtype", "word", list(FORMATS)),
        Column("quantity", "quantity", "word", [str(each) for each in Quantity]),
        Column("sweep", "sweep", "word"),
        Column("rule", "gravest change", "word", [str(each) for each in Kind]),
        Column("base_ulp", "base max ulp", "number"),
        Column("head_ulp", "head max ulp", "number"),
        Column("rows", "rows", "number", title="rows in head, or in base where head has no cell"),
        Column("what", "what", "text"),
    ]
    for pair in comparison.pairs:
        cell, shown, side = pair.cell, pairs.leading(pair), pair.head or pair.base
        values = (
            str(pair.standing),
            words.clean(cell.loss),
            words.clean(cell.implementation),
            words.clean(cell.dtype),
            str(cell.quantity),
            words.clean(cell.sweep),
            shown.rule if shown else "",
            pair.base.max_ulp if pair.base else None,
            pair.head.max_ulp if pair.head else None,
            side.rows if side else 0,
            words.clean(_what(pair)),
        )
        for column, value in zip(columns, values, strict=True):
            column.values.append(value)
    return documents(columns)


def _what(pair: Pair) -> str:
    return " · ".join(filter(None, (*pairs.changes(pair), pairs.lacking(pair))))


def _lines(comparison: Comparison) -> dict[str, list[Any]]:
    """The cells of the heat map: of each line the worst standing of its sweeps."""
    found: dict[Any, list[Pair]] = defaultdict(list)
    for pair in comparison.pairs:
        found[pair.cell.line].append(pair)
    places = {kind: place for place, kind in enumerate(Kind)}
    made: dict[str, list[Any]] = defaultdict(list)
    for line, group in found.items():
        loss, implementation, dtype, quantity = line
        ulp = max((e.head.max_ulp for e in group if e.head and e.head.max_ulp >= 0), default=None)
        counts: dict[Kind, int] = defaultdict(int)
        for pair in group:
            for kind, finding in (pair.head.faults if pair.head else {}).items():
                counts[kind] += finding.rows
        limit, name = limit_of(comparison.head, group[0].cell)
        bits = None if ulp is None else lost_bits(ulp, dtype)
        made["loss"].append(words.clean(loss))
        made["implementation"].append(words.clean(implementation))
        made["dtype"].append(words.clean(dtype))
        made["quantity"].append(str(quantity))
        made["verdict"].append("")
        made["tone"].append(str(min((each.standing for each in group), key=ORDER.index)))
        made["number"].append(None if bits is None else round(bits))
        made["ulp"].append(stored(ulp))
        made["limit"].append(stored(limit))
        made["limit_name"].append(name)
        made["kinds"].append([[places[each], counts[each]] for each in sorted(counts, key=gravity)])
        made["rows"].append(sum(each.head.rows for each in group if each.head))
        made["met"].append("")
    return dict(made)


def _details(comparison: Comparison, pair: Pair) -> list[list[Any]]:
    """Each change of a cell with both witnesses; a cell without changes says so."""
    if pair.reason and not pair.changes:
        return [[str(pair.standing), told([("reason", pairs.lacking(pair))])]]
    if not pair.changes:
        return [[str(pair.standing), []]]
    return [[head, told(lines)] for head, lines in _changed(comparison, pair)]


def _changed(comparison: Comparison, pair: Pair) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for text, difference in zip(pairs.changes(pair), pair.changes, strict=True):
        lines = list(pairs.side_by_side(difference))
        command = pairs.replay(comparison.head, pair, difference)
        if command:
            lines.append(("replay", words.shell(command)))
        yield words.clean(text), lines


def _changes(comparison: Comparison) -> list[dict[str, Any]]:
    """The worst cells for the first screen, each kind of change of an implementation once."""
    shown: dict[tuple[str, str, str], Pair] = {}
    for pair in comparison.pairs:
        change = pairs.leading(pair)
        if pair.standing is Standing.WORSE and change is not None:
            shown.setdefault((pair.cell.loss, pair.cell.implementation, change.rule), pair)
    return [_change(comparison, pair) for pair in list(shown.values())[:_MOST_CHANGES]]


def _change(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    shown = pairs.leading(pair)
    lines: list[tuple[str, str]] = []
    if shown is not None:
        for name, witness in (("base", shown.base_witness), ("head", shown.head_witness)):
            if witness is not None:
                lines.append((name, pairs.witness_text(witness)))
        if command := pairs.replay(comparison.head, pair, shown):
            lines.append(("replay", words.shell(command)))
    return {
        "cell": content.link(pair.cell),
        "head": words.clean(words.place_text(pair.cell)),
        "text": words.clean(_what(pair)),
        "lines": [(label, words.clean(text)) for label, text in lines],
    }
