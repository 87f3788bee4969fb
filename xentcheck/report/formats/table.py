"""Shows a report on a terminal: the table, findings in detail, a summary. It uses rich.

Every piece of text is a `Text`, never markup, so names with ``[brackets]`` stay intact. Colour only
repeats what a word already says.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from xentcheck.floats import LARGEST_ULP, ULP_DEFINITION
from xentcheck.losses.invariants import NO_LOSS
from xentcheck.model import (
    ABOUT,
    ABOUT_GRADES,
    GRADES,
    NOTIONS,
    Cause,
    Finding,
    Kind,
    Report,
    Witness,
    gravity,
)
from xentcheck.report import words
from xentcheck.report.grid import labelled, to_text
from xentcheck.report.lines import Line, by_loss, grades_text, merged, verdicts

WIDTH = 100  # columns, if the width of the output is unknown
_NARROW = 92  # columns; narrower tables omit the 99th percentile and the median
_WIDE = 150  # columns; tables of this width have columns for other kinds and the witness
_FOLDABLE = {"worst witness": 40, "other kinds": 24, "implementation": 12}  # least widths
_NUMBERS = frozenset({"NaN", "inf", "max ulp", "p99", "median", "max abs"})
_INDENT = 8
_MOST_DETAILS = 12
_MOST_CAUSES = 10
_MOST_VIOLATIONS = 20
_MOST_CHANGES = 12

_STYLES = {
    "FAIL": "bold red",
    "broken": "red",
    "inexact": "yellow",
    "tolerated": "yellow",
    "ok": "green",
}


def render(report: Report, width: int, *, color: bool = False, verbose: bool = False) -> str:
    """The whole report as text. No line is wider than ``width`` columns.

    ANSI sequences are used only for colour. ``verbose``: with the legend and every violation, also
    where causes explain them.
    """
    return to_text(render_table(report, width, verbose=verbose), width, color=color)


def render_table(report: Report, width: int, *, verbose: bool = False) -> Group:
    """The table of all cells, the causes, the findings that no cause explains, the summary."""
    lines = merged(report)
    brief = bool(report.diagnoses) and not verbose
    parts: list[RenderableType] = []
    if lines:
        if not brief:
            parts += [_legend(report, width), Text()]
        parts += _rows(lines, width, brief=brief)
    parts += _causes(report, width, verbose=verbose)
    parts += (
        _violations(report, width, brief=brief and not report.baseline)
        if report.gated
        else _top_findings(report, width, brief=brief)
    )
    parts += _ranges(report)
    parts += _changes(report)
    if not brief and (explained := list(_explained(lines))):
        parts += [Text("what the words mean", style="bold"), Text(), labelled(explained), Text()]
    parts.append(_summary(report, lines, brief=brief))
    return Group(*parts)


def _causes(report: Report, width: int, *, verbose: bool) -> list[RenderableType]:
    """The causes, those that explain the most rows first."""
    groups = words.cause_groups(report)
    if not groups:
        return []
    shown = groups if verbose else groups[:_MOST_CAUSES]
    known = sum(group.cause is not Cause.UNKNOWN for group in groups)
    heading = words.count(known, "cause") if known else "no cause is known"
    parts: list[RenderableType] = [Text(heading, style="bold")]
    for group in shown:
        parts.append(Text(words.clean(words.headline_of_cause(group))))
        parts += [labelled(list(words.cause_lines(report, group, width))), Text()]
    if more := len(groups) - len(shown):
        parts += [Text(f"and {more:,} more: -v has them all"), Text()]
    return parts


def _legend(report: Report, width: int) -> Text:
    verdicts = (
        "FAIL: beyond a limit · "
        + ("tolerated: beyond it, but no worse than the baseline · " if report.baseline else "")
        + "ok: within the limits"
        if report.gated
        else "broken: returned NaN or a wrong infinity, the wrong sign, a zero gradient, or "
        "nothing · "
        "inexact: off by more than the tolerance · ok: neither"
    )
    errors = "max, p99, median ulp and max abs" if width >= _NARROW else "max ulp and max abs"
    return Text(
        f"{verdicts}. NaN, inf: rows of kind nan and spurious-overflow. {errors}: the worst of all "
        "sweeps, over the rows with a finite error.",
        style="dim",
    )


def _headers(width: int) -> tuple[str, ...]:
    percentiles = ("p99", "median") if width >= _NARROW else ()
    more = ("other kinds", "worst witness") if width >= _WIDE else ()
    head = ("verdict", "implementation", "dtype", "quantity", "grade", "NaN", "inf")
    return (*head, "max ulp", *percentiles, "max abs", *more)


def _cells(line: Line, headers: Sequence[str]) -> list[Text]:
    texts = {
        "verdict": Text(line.verdict, style=_STYLES[line.verdict]),
        "implementation": Text(words.clean(line.implementation)),
        "dtype": Text(line.dtype),
        "quantity": Text(line.quantity),
        "grade": Text(line.grade or ""),
        "NaN": Text(_count(line.counts.get(Kind.NAN, 0))),
        "inf": Text(_count(line.counts.get(Kind.SPURIOUS_OVERFLOW, 0))),
        "max ulp": Text(words.ulps(line.max_ulp)),
        "p99": Text(words.ulps(line.p99_ulp)),
        "median": Text(words.ulps(line.median_ulp)),
        "max abs": Text(words.scientific(line.max_abs)),
        "other kinds": Text(_other_kinds(line)),
        "worst witness": Text(_witness(line.witness)),
    }
    return [texts[header] for header in headers]


def _widths(headers: Sequence[str], rows: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Column widths that fit the contents; if too wide, the columns of `_FOLDABLE` shrink.

    Numbers are never cut.
    """
    widths = [
        max(len(header), *(row[i].cell_len for row in rows)) for i, header in enumerate(headers)
    ]
    for name, least in _FOLDABLE.items():
        excess = sum(widths) + len(widths) - 1 - width
        if excess > 0 and name in headers:
            column = headers.index(name)
            widths[column] = max(min(widths[column], least), widths[column] - excess)
    return widths


def _grid(cells: Sequence[Text], headers: Sequence[str], widths: Sequence[int]) -> Table:
    grid = Table.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for header, column_width in zip(headers, widths, strict=True):
        right = header in _NUMBERS
        grid.add_column(width=column_width, justify="right" if right else "left", overflow="fold")
    grid.add_row(*cells)
    return grid


def _rows(lines: Sequence[Line], width: int, *, brief: bool) -> Iterator[RenderableType]:
    """The table, grouped by loss.

    Wide terminals have columns for other kinds and the witness. On narrower ones, that text is
    below its line. A single `Table` would squeeze it into one column, so each line is a grid of its
    own, and all grids have the same column widths.
    """
    headers = _headers(width)
    widths = _widths(headers, [_cells(line, headers) for line in lines], width)
    for loss, group in by_loss(lines):
        yield Text(loss, style="bold")
        yield _grid([Text(header, style="dim") for header in headers], headers, widths)
        for line in group:
            yield _grid(_cells(line, headers), headers, widths)
            if width < _WIDE and (below := _below(line, brief=brief)):
                yield Padding(Text(below, style="dim"), (0, 0, 0, _INDENT))
        yield Text()


def _below(line: Line, *, brief: bool) -> str:
    if brief:  # the causes say more than the kinds
        return line.met
    witness = "" if line.verdict == "ok" else _witness(line.witness)
    return " · ".join(part for part in (line.met, _other_kinds(line), witness) if part)


def _count(number: int) -> str:
    return f"{number:,}" if number else ""


def _other_kinds(line: Line) -> str:
    """The kinds without a column, and the dtype of the result if it differs from the line's."""
    others = dict(line.counts)
    for kind in (Kind.NAN, Kind.SPURIOUS_OVERFLOW):
        others.pop(kind, None)
    parts = [words.kinds(others)]
    if Kind.FTZ in others and line.max_normal_ulp != line.max_ulp:
        parts.append(f"{words.ulps(line.max_normal_ulp)} ulp without ftz")
    if line.negative_zeros:
        parts.append(f"−0 for 0 {line.negative_zeros:,}")
    if line.result_dtypes not in ((), (line.dtype,)):
        parts.append(f"scored as {', '.join(line.result_dtypes)}")
    return ", ".join(part for part in parts if part)


def _witness(witness: Witness | None) -> str:
    if witness is None:
        return ""
    return f"{words.input_text(witness)} → {words.outcome_text(witness)}"


def _violations(report: Report, width: int, *, brief: bool) -> list[RenderableType]:
    """The violations with the commands that replay them, each kind before repetitions.

    ``brief``: only those that no cause explains.
    """
    ordered = words.leading(report.violations)
    if brief:
        ordered = [each for each in ordered if not each.finding.cause]
    if not ordered:
        return []
    chosen = ordered[:_MOST_VIOLATIONS]
    heading = f"{words.count(len(ordered), 'violation')}, the gravest first"
    if brief:
        heading = f"{words.count(len(ordered), 'violation')} that no cause explains"
    parts: list[RenderableType] = [Text(heading, style="bold red"), Text()]
    for violation in chosen:
        told = _detail(report, violation.finding, width, *words.limit_lines(violation))
        parts += [*told, Text()]
    if more := len(ordered) - len(chosen):
        parts += [Text(f"and {more:,} more: --format json has them all"), Text()]
    return parts


def _ranges(report: Report) -> list[RenderableType]:
    """Where the grades hold, if it was searched."""
    told = words.range_lines(report)
    return [Text("where it holds", style="bold"), Text(), labelled(told), Text()] if told else []


def _changes(report: Report) -> list[RenderableType]:
    """The entries of the baseline that changed: better, turned or stale."""
    if not report.changes:
        return []
    changed = {words.change_word(each) for each in report.changes}
    heading = "better than the baseline tolerates, or stale; --ratchet takes it back"
    if changed == {"turned"}:
        heading = "not as the baseline has it: another kind has come instead"
    chosen = report.changes[:_MOST_CHANGES]
    told = [(words.change_word(each), words.change_text(each)) for each in chosen]
    if more := len(report.changes) - len(chosen):
        told.append(("", f"and {more:,} more: --format json has them all"))
    return [Text(heading, style="bold"), Text(), labelled(told), Text()]


def _top_findings(report: Report, width: int, *, brief: bool) -> list[RenderableType]:
    new, repeated = words.faults(report)
    if brief:
        new, repeated = ([each for each in some if not each.cause] for some in (new, repeated))
    if not new:
        return []
    chosen = new[:_MOST_DETAILS]
    count = words.count(len(new) + len(repeated), "finding")
    what = f"{count} that no cause explains" if brief else count
    heading = f"{len(chosen)} of {what}, the gravest first; --format json has them all"
    parts: list[RenderableType] = [Text(heading, style="bold"), Text()]
    for finding in chosen:
        parts += [*_detail(report, finding, width), Text()]
    return parts


def _detail(
    report: Report, finding: Finding, width: int, *more: tuple[str, str]
) -> Iterator[RenderableType]:
    yield Text(words.clean(words.headline(finding)))
    yield labelled(words.finding_lines(report, finding, *more, width=width))


def _summary(report: Report, lines: Sequence[Line], *, brief: bool) -> RenderableType:
    tally = verdicts(report)
    counts = ", ".join(f"{verdict} {tally[verdict]:,}" for verdict in _STYLES if tally[verdict])
    if brief:
        entries = [("audited", f"{_audited(report, lines)}: {counts}")]
    else:
        entries = [("audited", _audited(report, lines))]
        if report.yields:
            entries.append(("inputs", _inputs(report)))
        if counts:
            entries.append(("verdicts", f"{counts} of {words.count(tally.total(), 'cell')}"))
    kinds = sum((Counter(line.counts) for line in lines), Counter[Kind]())
    if kinds and not brief:
        entries.append(("kinds", f"{words.kinds(kinds)} (rows)"))
    entries += [("against", text) for text in words.contest_lines(report)]
    entries += [("omitted", text) for text in words.omitted_lines(report)]
    entries += [("skipped", text) for text in words.skipped_lines(report.skips)]
    if "decided_by" in report.reference and (not brief or report.reference["confirmations_failed"]):
        entries.append(("truth", _truth(report.reference)))
    entries += [("died", death) for death in report.deaths]
    if _unknown(report):
        names = ", ".join(report.config.get("invariants", ()))
        entries.append(("invariants", f"{names}; no exact result is known; seed {report.seed}"))
    elif not brief:
        entries.append(("measure", f"ulp: {ULP_DEFINITION}; seed {report.seed}"))
    if report.interrupted:
        entries.append(("partial", "interrupted: this is what was finished until then"))
    if report.baseline:
        entries.append(("baseline", words.baseline_text(report)))
    entries += [("enough", text) for text in words.loosened_lines(report)]
    entries.append(("gate" if report.gated else "survey", words.ending(report)))
    if brief:
        entries.append(
            ("more", "-v: every violation, the legend and the truth; --format json: all")
        )
    if grades := grades_text(lines):
        entries.append(("grades", grades))
    return labelled(entries)


def _explained(lines: Sequence[Line]) -> Iterator[tuple[str, str]]:
    """The meaning of the printed kinds, gravest first, and of other printed words and signs."""
    kinds = {kind for line in lines for kind, count in line.counts.items() if count}
    for kind in sorted(kinds, key=gravity):
        yield str(kind), ABOUT[kind].says
    grades = {line.grade for line in lines}
    yield from ((f"grade {each}", ABOUT_GRADES[each]) for each in GRADES if each in grades)
    printed = {
        "−0 for 0": any(line.negative_zeros for line in lines),
        "excess bits": any(line.met.endswith("excess bits") for line in lines),
        "[k]": any(line.witness and line.witness.index is not None for line in lines),
        ">1e308": any(line.max_ulp == LARGEST_ULP for line in lines),
    }
    yield from ((sign, NOTIONS[sign]) for sign, there in printed.items() if there)


def _truth(reference: Mapping[str, Any]) -> str:
    """The rows that each tier decided, and the rows that mpmath re-checked."""
    decided = [f"{rows:,} by {tier}" for tier, rows in reference["decided_by"].items() if rows] or [
        "none"
    ]
    sampled, shown = reference["rows_sampled_by_mpmath"], reference["witnesses_by_mpmath"]
    definition = reference["witnesses_confirmed_by_definition"]
    failed = reference["confirmations_failed"]
    checked = f"mpmath confirmed {sampled:,} sampled and {shown:,} shown rows"
    checked += f", the textbook definition {definition:,} worst ones"
    missing = "" if reference["binary128"] else "; numpy-quaddtype is not installed"
    return f"rows decided {', '.join(decided)}{missing}; {checked}; " + (
        f"{failed:,} FAILED" if failed else "none failed"
    )


def _audited(report: Report, lines: Sequence[Line]) -> str:
    if not report.measurements:
        return "nothing"
    rows = sum(measurement.rows for measurement in report.measurements)
    implementations = len({(line.loss, line.implementation) for line in lines})
    losses, dtypes = len({line.loss for line in lines}), len({line.dtype for line in lines})
    return (
        f"{words.count(implementations, 'implementation')} of "
        f"{losses} {'loss' if losses == 1 else 'losses'} in {words.count(dtypes, 'dtype')}: "
        f"{words.count(verdicts(report).total(), 'cell')}, "
        f"{words.count(rows, 'row')} {'asked' if _unknown(report) else 'scored'}"
    )


def _unknown(report: Report) -> bool:
    """Whether nobody said what is computed, so that only invariants were checked."""
    return any(each.cell.loss == NO_LOSS for each in report.measurements)


def _inputs(report: Report) -> str:
    sweeps = len({each.sweep for each in report.yields})
    rows = sum(each.rows for each in report.yields)
    given = f"{words.count(rows, 'row')} from {words.count(sweeps, 'sweep')}"
    counted = [each for each in report.yields if each.distinct is not None]
    if not counted:
        return given
    distinct = sum(each.distinct or 0 for each in counted)
    if len(counted) < len(report.yields):
        few = sum(each.rows for each in counted)
        return f"{given}; of {few:,} that were compared {distinct:,} are distinct"
    return f"{given}, {distinct:,} of them distinct"
