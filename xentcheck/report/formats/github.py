"""Writes a report as GitHub workflow commands: annotations of the code, or of the run.

A step shows ten annotations of each type and drops the rest. So the ten gravest come first, and a
notice says how many more there are.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from xentcheck.gate.outcome import stale
from xentcheck.model import Finding, Report, Standing
from xentcheck.report import words
from xentcheck.report.verdict import verdict_of

MOST = 10
"""The most annotations of one type that a step shows."""


def render(report: Report, root: Path) -> str:
    """The commands, one per line, and a last line for the log.

    File paths are absolute. The runner makes them relative to the repository, whatever the step's
    working directory is. Relative paths in the report start at ``root``.
    """
    errors, warnings = list(_errors(report, root)), list(_warnings(report, root))
    lines = [*errors[:MOST], *warnings[:MOST], *_notices(report, errors, warnings)[:MOST]]
    return "".join(f"{line}\n" for line in (*lines, _last(report)))


def _errors(report: Report, root: Path) -> Iterator[str]:
    for text in report.uncertified:
        yield _command("error", f"not audited: {text}", "xentcheck: no certified result")
    for text in words.omitted_lines(report):
        message = f"not audited, though the configuration names it: {text}"
        yield _command(
            "error", message, "xentcheck: not audited", **_in_configuration(report, root)
        )
    if report.strict and (count := stale(report)):
        message = f"{count:,} stale {'entry' if count == 1 else 'entries'} in {report.baseline}"
        yield _command("error", message, "xentcheck: stale in the baseline")
    for violation in words.leading(report.violations):
        finding = violation.finding
        told = words.finding_lines(report, finding, *words.limit_lines(violation))
        yield _about(report, "error", finding, words.rule_text(violation), told, root)


def _warnings(report: Report, root: Path) -> Iterator[str]:
    """The stale entries of a baseline, and in a survey the gravest faults."""
    if report.interrupted:
        yield _command("warning", "interrupted: only a part was audited", "xentcheck")
    for change in report.changes:
        if change.standing is Standing.GONE and not change.into:
            text = f"{words.change_text(change)}\nin {report.baseline or 'the baseline'}"
            yield _command("warning", text, "xentcheck: stale in the baseline")
    if not report.gated:
        new, repeated = words.faults(report)
        for finding in new + repeated:
            told = words.finding_lines(report, finding)
            yield _about(report, "warning", finding, str(finding.kind), told, root)


def _notices(report: Report, errors: Sequence[str], warnings: Sequence[str]) -> list[str]:
    notices = [
        _command(
            "notice",
            f"{words.count(len(each) - MOST, f'more {noun}')}: --format json has all",
            "xentcheck",
        )
        for noun, each in (("error", errors), ("warning", warnings))
        if len(each) > MOST
    ]
    better = [each for each in report.changes if each.standing is Standing.BETTER]
    if better:
        text = "\n".join(map(words.change_text, better))
        notices.append(_command("notice", text, "xentcheck: better than the baseline has it"))
    return notices


def _last(report: Report) -> str:
    return f"xentcheck: {verdict_of(report).text}"


def _about(
    report: Report,
    level: str,
    finding: Finding,
    rule: str,
    told: Sequence[tuple[str, str]],
    root: Path,
) -> str:
    """An annotation at the implementation's code, or at the configuration."""
    where = words.location(report, finding.cell)
    place = {}
    if where is not None:
        place = {"file": str((root / where[0]).resolve()), "line": str(where[1])}
    title = f"{rule}: {words.place_text(finding.cell)}"
    return _command(level, f"{words.gist(finding)}\n\n{words.aligned(told)}", title, **place)


def _in_configuration(report: Report, root: Path) -> dict[str, str]:
    return {"file": str((root / report.path).resolve()), "line": "1"} if report.path else {}


def _command(level: str, message: str, title: str, **place: str) -> str:
    known = {**place, "title": title}
    properties = ",".join(f"{name}={_property(text)}" for name, text in known.items())
    return f"::{level} {properties}::{_data(message)}"


def _data(text: str) -> str:
    """The text after the last ``::``, escaped as in GitHub's toolkit."""
    escaped = words.clean(text).replace("%", "%25")
    return escaped.replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """The value of a property, escaped as in GitHub's toolkit."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
