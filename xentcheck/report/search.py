"""Shows worst-case searches on a terminal, as rich renderables."""

import math
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from xentcheck.floats import ULP_DEFINITION
from xentcheck.model import Finding, Report, Searched
from xentcheck.report import words
from xentcheck.report.grid import labelled
from xentcheck.report.verdict import faults_of_search, verdict_of
from xentcheck.report.words.curve import curve, shares_text, winner_text, worth_text

_LONGEST = "standard sweep"  # of the labels that are always there


def render_searches(report: Report, width: int) -> Group:
    """Each search with its curve, its winner and its witnesses, then what was not searched."""
    parts: list[RenderableType] = [Text(verdict_of(report).text, style="bold"), Text()]
    sane = [each for each in report.findings if not _of_search(report, each)]
    for finding in sane:
        parts += [Text(words.headline(finding), style="bold")]
        parts += [labelled(words.finding_lines(report, finding, width=width)), Text()]
    for searched in report.searches:
        parts += [_headline(report, searched), labelled([*_lines(report, searched, width)]), Text()]
    entries = [("skipped", text) for text in words.skipped_lines(report.skips)]
    entries.append(("measure", f"ulp: {ULP_DEFINITION}; seed {report.seed}"))
    tried = sum(each.evaluations for each in report.searches)
    entries.append(("survey", f"{words.count(tried, 'row')} tried; no limit, so no exit status"))
    if report.config.get("seconds"):
        clock = "--seconds stops by the clock: another machine may find other rows"
        entries.append(("clock", clock))
    parts.append(labelled(entries))
    return Group(*parts)


def _of_search(report: Report, finding: Finding) -> bool:
    return any(finding.cell == each.cell for each in report.searches)


def _headline(report: Report, searched: Searched) -> Text:
    cell = searched.cell
    kinds = ", ".join(dict.fromkeys(str(each.kind) for each in faults_of_search(report, searched)))
    worst = worth_text(searched.worst, searched.aim)
    place = f"{cell.implementation}  {cell.loss}  {cell.dtype}  {cell.quantity}"
    text = f"{words.clean(place)}  {worst}  {kinds or 'within the limits'}"
    return Text(text, style="red" if kinds else "green")


def _lines(report: Report, searched: Searched, width: int) -> Iterator[tuple[str, str]]:
    aim = searched.aim
    faults = faults_of_search(report, searched)
    margin = max(len(word) for word in (_LONGEST, *(each.kind for each in faults))) + 4
    if searched.reached is not None:
        rows = words.count(searched.evaluations, "row")
        yield "looked for", f"{aim}: {'found' if searched.reached else 'not found'} in {rows}"
    if not math.isnan(searched.before):
        yield "standard sweep", worth_text(searched.before, aim)
    drawn = curve(searched.curve, searched.evaluations)
    if drawn:
        first = next(each for each in searched.curve if each.worth > 0)
        ends = (words.ulps(each) for each in (first.worth, searched.curve[-1].worth))
        yield "curve", f"{drawn}  {' to '.join(ends)}, log scale"
    yield "found by", winner_text(searched)
    yield "tried", shares_text(searched)
    if searched.ended:
        yield "ended early", searched.ended
    if searched.witness is not None:
        shown = searched.witness
        yield "worst", f"{words.input_text(shown)} → {words.outcome_text(shown)}"
    if not faults:
        yield "within", "the limits of check on every row that was tried; that is no proof"
    for finding in faults:
        witness = finding.witness
        error = "" if witness is None or math.isnan(witness.ulp_error) else witness.ulp_error
        size = f" ({words.ulps(error)} ulp)" if isinstance(error, float) else ""
        yield str(finding.kind), f"{words.gist(finding)}{size}"
        command = words.replay_command(report, finding)
        if command:
            yield "replay", words.folded(command, width - margin)
