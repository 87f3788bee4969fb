"""Writes a report as one HTML file that works from a disk, a mail or an artefact of CI."""

from typing import Any

from xentcheck.floats import ULP_DEFINITION
from xentcheck.model import Cause, Finding, Report
from xentcheck.report import words
from xentcheck.report.extras import require_html
from xentcheck.report.lines import merged
from xentcheck.report.page import content
from xentcheck.report.verdict import counts_text, verdict_of
from xentcheck.report.words import CauseGroup

_MOST_CAUSES = 10  # that are not folded
_MOST_UNEXPLAINED = 20
_FIRST = ("explains", "shown", "witness", "instead", "replay")  # of a cause, unfolded


def render(report: Report) -> str:
    """The report as a page.

    Raises:
        UsageError: the extra ``html`` is not installed.
    """
    require_html("the format html")
    from xentcheck.report.page import rendering  # noqa: PLC0415

    lines = merged(report)
    cells = content.shown_cells(report)
    verdict = verdict_of(report)
    causes = [_cause(report, group) for group in words.cause_groups(report)]
    unexplained = _unexplained(report)
    data = content.data(report, cells)
    data |= {"row": "measurement", "findings": "Findings, each with its worst input"}
    return rendering.rendered(
        "report.html.j2",
        data,
        content.details(report, cells),
        [each.measurement for each in cells],
        title=f"xentcheck: {verdict.text}",
        brand=_brand(report),
        sections=_sections(causes, unexplained),
        matrix_heading="Grades",
        matrix_about="A row is an implementation. A cell has the letter of its grade, the sign of "
        "its gravest kind, and the bits that its largest error loses. Arrow keys move; Enter opens "
        "a cell.",
        table_heading="Measurements",
        table_about="Click a heading to sort. Number filters take > 4, <= 1e3, 2..8 or none. The "
        "address has the search, the filters and the order: copy it to share them.",
        verdict=verdict,
        sign=rendering.SIGNS[verdict.state],
        audited=counts_text(report, lines),
        troubles=content.troubles(report),
        remarks=_remarks(report),
        grades=content.grade_counts(cells),
        cells=words.count(len(cells), "cell"),
        skips=words.count(len(report.skips), "thing"),
        skipped=[words.clean(each) for each in words.skipped_lines(report.skips)],
        causes=causes,
        most_causes=_MOST_CAUSES,
        causes_heading=_causes_heading(report),
        unexplained=unexplained,
        unexplained_heading="Violations" if report.gated else "The gravest findings",
        environment=_environment(report),
    )


def _brand(report: Report) -> str:
    named = report.config.get("target") or report.path or report.config.get("loss") or ""
    return words.clean(str(named))


def _sections(causes: list[Any], unexplained: list[Any]) -> list[tuple[str, str]]:
    return [
        ("verdict", "Verdict"),
        *([("causes", "Causes")] if causes else []),
        *([("unexplained", "Findings")] if unexplained else []),
        ("matrix", "Grades"),
        ("cell", "A cell"),
        ("measurements", "Measurements"),
        ("environment", "Environment"),
    ]


def _remarks(report: Report) -> list[str]:
    """What would pass, contests, the baseline and ranges, one sentence each."""
    found = [*words.loosened_lines(report), *words.contest_lines(report)]
    if report.baseline:
        found.append(words.baseline_text(report))
    return [words.clean(each) for each in found]


def _causes_heading(report: Report) -> str:
    known = {each.cause for each in report.diagnoses if each.cause is not Cause.UNKNOWN}
    return f"{words.count(len(known), 'cause')}, with the remedy" if known else "No cause is known"


def _cause(report: Report, group: CauseGroup) -> dict[str, Any]:
    told = [(label, words.clean(text)) for label, text in words.cause_lines(report, group)]
    cell = group.first.cell
    return {
        "name": str(group.cause),
        "says": words.clean(words.says_of(group)),
        "first": sorted(
            (each for each in told if each[0] in _FIRST), key=lambda each: _FIRST.index(each[0])
        ),
        "rest": [each for each in told if each[0] not in _FIRST],
        "cell": "" if cell is None else content.link(cell),
    }


def _unexplained(report: Report) -> list[dict[str, str]]:
    """The gravest findings that no cause explains, each kind of an implementation once."""
    if report.gated:
        found = [each.finding for each in words.leading(report.violations)]
    else:
        new, _ = words.faults(report)
        found = list(new)
    return [_finding(each) for each in found if not each.cause][:_MOST_UNEXPLAINED]


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "cell": content.link(finding.cell),
        "head": words.clean(words.headline(finding)),
        "gist": words.clean(words.gist(finding)),
    }


def _environment(report: Report) -> list[tuple[str, str]]:
    told = [*report.environment.items(), ("seed", str(report.seed)), ("ulp", ULP_DEFINITION)]
    return [(words.clean(name), words.clean(text)) for name, text in told]
