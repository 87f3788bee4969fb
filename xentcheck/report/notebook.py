"""Writes reports and probes as HTML for notebooks.

The HTML needs no script and no style sheet. Its colours are readable on light and on dark
backgrounds. All text goes through `html.escape`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from xentcheck.model import Grade, Kind, ProbeResult, Report
from xentcheck.report import words
from xentcheck.report.grid import to_text
from xentcheck.report.lines import UNGRADED, Line, merged
from xentcheck.report.probe import render_probe
from xentcheck.report.verdict import counts_text, obstacles, verdict_of

MOST_LINES = 60
MOST_TOLD = 5

_WIDTH = 100  # columns of plain text
_COLORS = {
    "FAIL": "#d64545",
    "tolerated": "#c98a1b",
    Grade.BROKEN: "#d64545",
    Grade.LOSSY: "#b0559b",
    Grade.ABSOLUTE: "#c98a1b",
    UNGRADED: "#808080",
    Grade.ACCURATE: "#3f9d5a",
    Grade.FAITHFUL: "#3f9d5a",
    Grade.ROUNDED: "#3f9d5a",
    "ok": "#3f9d5a",
}
_RULE = "1px solid rgba(128,128,128,.35)"
_FAINT = "opacity:.7"
_CELL = "padding:2px 8px;white-space:nowrap;vertical-align:top;border:0;background:none"
_NAMES = ("grade", "implementation", "dtype", "quantity")
_NUMBERS = ("NaN", "inf", "max ulp", "p99", "median", "max abs")
_LONG = ("other kinds", "worst input")


def of_report(report: Report) -> str:
    """The worst lines of the table, the gravest violations or findings, and the skips."""
    lines = merged(report)
    parts = [_paragraph(verdict_of(report).text, "font-weight:bold")]
    parts.append(_paragraph(counts_text(report, lines), _FAINT))
    parts += [_paragraph(each) for each in _warnings(report)]
    for group in words.cause_groups(report)[:MOST_TOLD]:
        parts.append(_paragraph(words.headline_of_cause(group), "font-weight:bold"))
        parts.append(_list(f"{word}: {text}" for word, text in words.cause_lines(report, group)))
    if lines:
        parts.append(_table(report, lines[:MOST_LINES]))
    if len(lines) > MOST_LINES:
        more = words.count(len(lines) - MOST_LINES, "line")
        parts.append(_paragraph(f"and {more} more: rows() has all cells", _FAINT))
    parts += _told(report)
    told = [f"skipped {each}" for each in words.skipped_lines(report.skips)]
    told += [f"{name} {version}" for name, version in report.environment.items()]
    parts.append(_folded("skipped, environment", _list(told)))
    return f'<div style="font-size:13px;line-height:1.45">{"".join(parts)}</div>'


def of_probe(result: ProbeResult) -> str:
    """The output of `xentcheck probe` as HTML."""
    notes = "".join(_paragraph(f"note: {each}") for each in result.notes)
    return notes + _plain(to_text(render_probe(result, _WIDTH), _WIDTH, color=False))


def _warnings(report: Report) -> Iterator[str]:
    yield from obstacles(report)
    if report.tolerated:
        count = words.count(len(report.tolerated), "violation")
        yield f"{count} tolerated by the baseline {report.baseline}"


def _table(report: Report, lines: Sequence[Line]) -> str:
    """The lines, loss by loss. Only a gate has verdicts of its lines."""
    headers = (*(("verdict",) if report.gated else ()), *_NAMES, *_NUMBERS, *_LONG)
    titles = dict(zip(headers, headers, strict=True))
    rows = [_row(titles, "th", f"{_FAINT};font-weight:normal")]
    for loss in dict.fromkeys(line.loss for line in lines):
        heading = _tag("th", escape(loss), f"{_CELL};text-align:left", f'colspan="{len(headers)}"')
        rows.append(_tag("tr", heading, f"border-top:{_RULE};background:none"))
        rows += [_line(headers, line) for line in lines if line.loss == loss]
    style = (
        "border-collapse:collapse;font-size:inherit;font-variant-numeric:tabular-nums;margin:6px 0"
    )
    return _tag("div", _tag("table", "".join(rows), style), "overflow-x:auto")


def _line(headers: Sequence[str], line: Line) -> str:
    others = {kind: count for kind, count in line.counts.items() if kind not in _COUNTED}
    faulty = line.witness is not None and line.faulty
    witness = ""
    if faulty and line.witness is not None:
        witness = f"{words.input_text(line.witness)} → {words.outcome_text(line.witness)}"
    texts = {
        "verdict": line.verdict,
        "grade": str(line.grade or UNGRADED),
        "implementation": words.clean(line.implementation),
        "dtype": words.clean(line.dtype),
        "quantity": str(line.quantity),
        "NaN": _rows(line, Kind.NAN),
        "inf": _rows(line, Kind.SPURIOUS_OVERFLOW),
        "max ulp": words.ulps(line.max_ulp),
        "p99": words.ulps(line.p99_ulp),
        "median": words.ulps(line.median_ulp),
        "max abs": words.scientific(line.max_abs),
        "other kinds": words.kinds(others),
        "worst input": words.clean(witness),
    }
    return _row({each: texts[each] for each in headers}, "td", "", _COLORS[line.verdict])


def _rows(line: Line, kind: Kind) -> str:
    """The number of rows of a kind; "" for none."""
    return f"{line.counts[kind]:,}" if line.counts.get(kind) else ""


_COUNTED = (Kind.NAN, Kind.SPURIOUS_OVERFLOW)


def _row(texts: Mapping[str, str], cell: str, style: str, color: str = "") -> str:
    """A row of the table, with the texts by header. A mark of that colour stands before it."""
    cells = []
    for place, (header, text) in enumerate(texts.items()):
        align = "right" if header in _NUMBERS else "left"
        wide = ";white-space:normal;min-width:14em" if header in _LONG else ""
        mark = _tag("span", "●", f"color:{color};margin-right:5px") if color else ""
        shown = f"{'' if place else mark}{escape(text)}"
        cells.append(_tag(cell, shown, f"{_CELL};text-align:{align}{wide};{style}".rstrip(";")))
    return _tag("tr", "".join(cells), "background:none")


def _told(report: Report) -> Iterator[str]:
    """The gravest violations in full, or the gravest findings in a survey."""
    if report.violations:
        text = words.violations_text(report, MOST_TOLD)
        heading, _, rest = text.partition("\n\n")
        yield _folded(f"{heading}, the gravest in full", _plain(rest), unfolded=True)
        return
    new, repeated = words.faults(report)
    if new and not report.gated:
        text = "\n\n".join(words.in_full(report, each) for each in new[:MOST_TOLD])
        heading = f"{words.count(len(new) + len(repeated), 'finding')}, the gravest in full"
        yield _folded(heading, _plain(text))


def _tag(name: str, content: str, style: str, attributes: str = "") -> str:
    return f'<{" ".join(filter(None, (name, attributes)))} style="{style}">{content}</{name}>'


def _paragraph(text: str, style: str = "") -> str:
    return _tag("div", escape(words.clean(text)), f"margin:4px 0;{style}")


def _plain(text: str) -> str:
    style = "font-size:12px;line-height:1.4;margin:6px 0;overflow-x:auto;background:none"
    return _tag("pre", escape(words.clean(text)), style)


def _list(texts: Iterable[str]) -> str:
    return "".join(_paragraph(each, "margin-left:1em") for each in texts)


def _folded(heading: str, content: str, *, unfolded: bool = False) -> str:
    summary = _tag("summary", escape(heading), "cursor:pointer")
    return _tag("details", f"{summary}{content}", "margin:6px 0", "open" if unfolded else "")
