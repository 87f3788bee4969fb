"""Shows a report on a terminal. It uses rich.

The default is one or two screens: the verdict, a matrix, the causes, what was not audited, what to
do next. More detail is the table of cells, and every finding with its witness.

Every piece of text is a `Text`, never markup, so names with ``[brackets]`` stay intact. Colour only
repeats what a letter or a word already says.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from xentcheck.floats import LARGEST_ULP, ULP_DEFINITION
from xentcheck.model import (
    ABOUT,
    ABOUT_GRADES,
    GRADES,
    NOTES,
    NOTIONS,
    Cause,
    Finding,
    Kind,
    Report,
    Violation,
    gravity,
)
from xentcheck.report import words
from xentcheck.report.detail import Detail
from xentcheck.report.grid import NARROW, labelled, to_text
from xentcheck.report.lines import Line, merged, verdicts
from xentcheck.report.terminal.cells import cell_rows
from xentcheck.report.terminal.matrix import matrix_lines
from xentcheck.report.verdict import (
    State,
    audited_text,
    is_unknown,
    next_text,
    omission_lines,
    verdict_of,
)

WIDTH = 100  # columns, if the width of the output is unknown
_MOST_CAUSES = 10
_MOST_IN_FULL = 3  # causes, or findings without one, that are shown in full on a screen
_MOST_BRIEF = 8  # findings in brief
_FEW = 3  # of them beside causes
_MOST_LINES = 12  # changes of a baseline, contests, ranges

_VERDICT_STYLES = {
    State.PASSED: "bold green",
    State.FAILED: "bold red",
    State.SURVEY: "bold",
    State.INCOMPLETE: "bold yellow",
}


def render(
    report: Report, width: int, *, color: bool = False, detail: Detail = Detail.SCREEN
) -> str:
    """The whole report as text. No line is wider than ``width`` columns.

    ANSI sequences are used only for colour. ``detail``: how much is shown.
    """
    return to_text(render_table(report, width, detail=detail), width, color=color)


def render_table(report: Report, width: int, *, detail: Detail = Detail.SCREEN) -> Group:
    """The verdict, the matrix or the table of cells, causes and findings, the summary."""
    ended = verdict_of(report)
    verdict = Text(ended.text, style=_VERDICT_STYLES[ended.state])
    if detail is Detail.VERDICT:
        return Group(verdict)
    lines = merged(report)
    parts: list[RenderableType] = [verdict]
    parts += [Text(audited)] if (audited := audited_text(report, lines)) else []
    parts.append(Text())
    if any(line.grade is not None for line in lines) and detail is Detail.SCREEN:
        parts += [*matrix_lines(lines, width), Text()]
    elif lines:
        parts += cell_rows(report, lines, width)
    parts += _causes(report, width, detail)
    parts += _findings(report, width, detail)
    parts += _ranges(report, detail)
    parts += _changes(report)
    if detail is Detail.FINDINGS and (explained := list(_explained(lines))):
        parts += [Text("what the words mean", style="bold"), labelled(explained), Text()]
    parts.append(_summary(report, lines, width, detail))
    return Group(*parts)


def _causes(report: Report, width: int, detail: Detail) -> list[RenderableType]:
    """The causes, the gravest first."""
    groups = words.cause_groups(report)
    if not groups:
        return []
    known = [group for group in groups if group.cause is not Cause.UNKNOWN]
    heading = words.count(len(known), "cause") if known else "no cause is known"
    in_full = detail >= Detail.CELLS or len(groups) <= _MOST_IN_FULL
    shown = groups if in_full else known[: _MOST_CAUSES if width >= NARROW else _MOST_CAUSES // 2]
    if len(shown) < len(known):
        heading += f", the gravest {len(shown)} of them; -v has all"
    parts: list[RenderableType] = [Text(heading, style="bold")]
    for group in shown:
        headline = Text(words.clean(words.headline_of_cause(group)))
        headline.stylize("bold", 0, len(group.cause))
        parts.append(headline)
        if in_full:
            told = [*words.cause_lines(report, group, width)]
            if detail is Detail.SCREEN and group.cause is not Cause.UNKNOWN:
                told = [each for each in told if each[0] not in _EVIDENCE]
            parts += [labelled(told), Text()]
        else:
            told = [*words.brief_cause_lines(report, group, width)]
            if group is shown[0]:  # one can be tried at once; -v has the others
                told += [
                    each for each in words.cause_lines(report, group, width) if each[0] == "replay"
                ]
            parts.append(labelled(told))
    return parts if in_full else [*parts, Text()]


_EVIDENCE = frozenset({"evidence", "tried", "tests"})
"""What stands behind a cause; a screen leaves it out."""


def _findings(report: Report, width: int, detail: Detail) -> list[RenderableType]:
    """The violations of a gate, or the findings of a survey: all, or those without a cause."""
    ordered: list[tuple[Finding, Violation | None]]
    if report.gated:
        ordered = [(each.finding, each) for each in words.leading(report.violations)]
        noun = "violation"
    else:
        new, repeated = words.faults(report)
        ordered, noun = [(each, None) for each in (*new, *repeated)], "finding"
    every = detail is Detail.FINDINGS
    if not every and report.diagnoses:
        ordered = [each for each in ordered if not each[0].cause]
    if not ordered:
        return []
    heading = words.count(len(ordered), noun)
    if not every and report.diagnoses:
        heading += " that no cause explains"
    most = _FEW if report.diagnoses else _MOST_BRIEF
    chosen = ordered if every else ordered[:most]
    in_full = every or len(ordered) + len(report.diagnoses) <= _MOST_IN_FULL
    parts: list[RenderableType] = [
        Text(f"{heading}, the gravest first", style="bold red" if report.gated else "bold")
    ]
    for finding, violation in chosen:
        limit = words.limit_lines(violation) if violation is not None else ()
        parts.append(Text(words.clean(words.headline(finding))))
        if in_full:
            lines = words.finding_lines(report, finding, *limit, width=width)
            parts += [labelled(lines), Text()]
        else:
            brief = [*_brief(finding, limit)]
            if finding is ordered[0][0] and not report.diagnoses:  # the gravest of all
                brief += [
                    each
                    for each in words.finding_lines(report, finding, width=width)
                    if each[0] == "replay"
                ]
            parts.append(labelled(brief))
    if not in_full:
        more = len(ordered) - len(chosen)
        others = f"and {more:,} more: " if more else ""
        parts += [Text(f"{others}-vv has every finding and its replay line", style="dim"), Text()]
    return parts


def _brief(finding: Finding, limit: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """A finding in a line or two: its limit, and the input with the result."""
    yield from limit
    if finding.detail or finding.witness is None:
        yield "detail", finding.detail or finding.hint
    if finding.witness is not None:
        yield "witness", words.gist(finding)


def _ranges(report: Report, detail: Detail) -> list[RenderableType]:
    """Where the grades hold, if it was searched."""
    told = words.range_lines(report)
    if not told:
        return []
    shown = told if detail >= Detail.CELLS else told[:_MOST_LINES]
    if more := len(told) - len(shown):
        shown = [*shown, ("", f"and {more:,} more: -v has them all")]
    return [Text("where it holds", style="bold"), labelled(shown), Text()]


def _changes(report: Report) -> list[RenderableType]:
    """The entries of the baseline that changed: better, turned or stale."""
    if not report.changes:
        return []
    changed = {words.change_word(each) for each in report.changes}
    heading = "better than the baseline tolerates, or stale; --ratchet takes it back"
    if changed == {"turned"}:
        heading = "not as the baseline has it: another kind has come instead"
    chosen = report.changes[:_MOST_LINES]
    told = [(words.change_word(each), words.change_text(each)) for each in chosen]
    if more := len(report.changes) - len(chosen):
        told.append(("", f"and {more:,} more: --format json has them all"))
    return [Text(heading, style="bold"), labelled(told), Text()]


def _summary(report: Report, lines: Sequence[Line], width: int, detail: Detail) -> RenderableType:
    """What else has to be known, and in the last line what to do next."""
    brief = detail is Detail.SCREEN
    entries: list[tuple[str, str]] = []
    kinds = sum((Counter(line.counts) for line in lines), Counter[Kind]())
    if not brief:
        if report.yields:
            entries.append(("inputs", _inputs(report)))
        if tally := verdicts(report):
            counts = ", ".join(f"{word} {number:,}" for word, number in tally.items())
            entries.append(("cells", f"{counts} of {words.count(tally.total(), 'cell')}"))
        if kinds:
            entries.append(("kinds", f"{words.kinds(kinds)} (rows)"))
    entries += [("against", text) for text in _some(words.contest_lines(report), brief=brief)]
    notes = Counter({kind: rows for kind, rows in kinds.items() if kind in NOTES})
    if brief and notes:
        entries.append(("notes", f"{words.kinds(notes)}: rows that are accepted; -v shows where"))
    entries += [("omitted", text) for text in words.omitted_lines(report)]
    if brief:
        room = width - (4 if width < NARROW else _MARGIN)
        entries += [("not audited", text) for text in omission_lines(report, room)]
    else:
        entries += [("not audited", text) for text in words.skipped_lines(report.skips)]
    if "decided_by" in report.reference and (not brief or report.reference["confirmations_failed"]):
        entries.append(("truth", _truth(report.reference)))
    entries += [
        ("uncertified", text) for text in report.uncertified[: _MOST_BRIEF if brief else None]
    ]
    entries += [("died", death) for death in report.deaths]
    if is_unknown(report):
        names = ", ".join(report.config.get("invariants", ()))
        entries.append(("invariants", f"{names}; no exact result is known; seed {report.seed}"))
    elif not brief:
        entries.append(("measure", f"ulp: {ULP_DEFINITION}; seed {report.seed}"))
    if report.interrupted:
        entries.append(("partial", "interrupted: this is what was finished until then"))
    if report.baseline:
        entries.append(("baseline", words.baseline_text(report)))
    entries += [("enough", text) for text in words.loosened_lines(report)]
    entries.append(("next", next_text(report, _MORE[detail])))
    return labelled(entries)


_MORE = {
    Detail.SCREEN: "-v: cells, -vv: findings",
    Detail.CELLS: "-vv: findings",
    Detail.FINDINGS: "--format json: all numbers",
}
"""What shows more than a detail does."""


def _some(texts: Sequence[str], *, brief: bool) -> Sequence[str]:
    """The texts; in brief the first of them, and how many there are more."""
    if not brief or len(texts) <= _MOST_LINES:
        return texts
    return (*texts[:_MOST_LINES], f"and {len(texts) - _MOST_LINES:,} more: -v has them all")


_MARGIN = 15
"""Columns of the labels in the summary: the longest of them, and what stands around it."""


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
