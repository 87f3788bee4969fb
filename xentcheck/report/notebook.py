"""Writes reports and probes as HTML for notebooks.

The HTML needs no script and no style sheet. Its colours are readable on light and on dark
backgrounds. All text goes through `html.escape`.
"""

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from xentcheck.gate.outcome import Outcome, outcome
from xentcheck.model import Grade, Kind, ProbeResult, Report
from xentcheck.report import words
from xentcheck.report.grid import to_text
from xentcheck.report.lines import UNGRADED, Line, merged, verdicts
from xentcheck.report.probe import render_probe

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
_HEADERS = (
    *("verdict", "implementation", "dtype", "quantity", "grade", "NaN", "inf"),
    *("max ulp", "p99", "median", "max abs", "other kinds", "worst input"),
)
_NUMBERS = _HEADERS[5:11]
_LONG = _HEADERS[11:]


def of_report(report: Report) -> str:
    """The worst lines of the table, the gravest violations or findings, and the skips."""
    lines = merged(report)
    parts = [_paragraph(_verdict(report, lines), "font-weight:bold")]
    parts += [_paragraph(each) for each in _warnings(report)]
    for group in words.cause_groups(report)[:MOST_TOLD]:
        parts.append(_paragraph(words.headline_of_cause(group), "font-weight:bold"))
        parts.append(_list(f"{word}: {text}" for word, text in words.cause_lines(report, group)))
    if lines:
        parts.append(_table(lines[:MOST_LINES]))
    if len(lines) > MOST_LINES:
        more = words.count(len(lines) - MOST_LINES, "line")
        parts.append(_paragraph(f"and {more} more: rows() has all cells", _FAINT))
    parts += _told(report)
    told = [f"skipped {each}" for each in words.skipped_lines(report.skips)]
    told += [f"{name} {version}" for name, version in report.environment.items()]
    parts.append(_folded("skipped, environment", _list((*told, f"seed {report.seed}"))))
    return f'<div style="font-size:13px;line-height:1.45">{"".join(parts)}</div>'


def of_probe(result: ProbeResult) -> str:
    """The output of `xentcheck probe` as HTML."""
    return _plain(to_text(render_probe(result, _WIDTH), _WIDTH, color=False))


def _verdict(report: Report, lines: Sequence[Line]) -> str:
    if not lines:
        return "nothing was audited"
    tally = verdicts(report)
    counts = ", ".join(f"{verdict} {tally[verdict]:,}" for verdict in tally)
    cells = f"{counts} of {words.count(tally.total(), 'cell')}"
    ended = outcome(report)
    if ended is not Outcome.PASSED:
        return f"{words.ending(report)}: {cells}"
    return f"{'within limits' if report.gated else 'survey'}: {cells}"


def _warnings(report: Report) -> Iterator[str]:
    if report.interrupted:
        yield "interrupted: this is what was finished until then"
    yield from (f"not audited, though it is named: {each}" for each in words.omitted_lines(report))
    yield from (f"not audited: {each}" for each in report.uncertified)
    yield from report.deaths
    if report.tolerated:
        count = words.count(len(report.tolerated), "violation")
        yield f"{count} tolerated by the baseline {report.baseline}"


def _table(lines: Sequence[Line]) -> str:
    rows = [_row(_HEADERS, "th", f"{_FAINT};font-weight:normal")]
    for loss in dict.fromkeys(line.loss for line in lines):
        heading = _tag("th", escape(loss), f"{_CELL};text-align:left", f'colspan="{len(_HEADERS)}"')
        rows.append(_tag("tr", heading, f"border-top:{_RULE};background:none"))
        rows += [_line(line) for line in lines if line.loss == loss]
    style = (
        "border-collapse:collapse;font-size:inherit;font-variant-numeric:tabular-nums;margin:6px 0"
    )
    return _tag("div", _tag("table", "".join(rows), style), "overflow-x:auto")


def _line(line: Line) -> str:
    others = {kind: count for kind, count in line.counts.items() if kind not in _COUNTED}
    faulty = line.witness is not None and line.faulty
    witness = ""
    if faulty and line.witness is not None:
        witness = f"{words.input_text(line.witness)} → {words.outcome_text(line.witness)}"
    texts = (
        line.verdict,
        words.clean(line.implementation),
        line.dtype,
        str(line.quantity),
        str(line.grade or ""),
        *(f"{line.counts[kind]:,}" if line.counts.get(kind) else "" for kind in _COUNTED),
        *(words.ulps(each) for each in (line.max_ulp, line.p99_ulp, line.median_ulp)),
        words.scientific(line.max_abs),
        words.kinds(others),
        words.clean(witness),
    )
    return _row(texts, "td", "", _COLORS[line.verdict])


_COUNTED = (Kind.NAN, Kind.SPURIOUS_OVERFLOW)


def _row(texts: Sequence[str], cell: str, style: str, color: str = "") -> str:
    cells = []
    for header, text in zip(_HEADERS, texts, strict=True):
        align = "right" if header in _NUMBERS else "left"
        wide = ";white-space:normal;min-width:14em" if header in _LONG else ""
        mark = _tag("span", "●", f"color:{color};margin-right:5px") if color else ""
        shown = f"{mark if header == 'verdict' else ''}{escape(text)}"
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
