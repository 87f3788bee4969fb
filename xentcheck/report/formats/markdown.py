"""Writes a report as Markdown for the summary of a CI step or a comment: verdict, lines, findings.

It uses what GitHub renders: tables, fenced code, ``<details>``. Names may contain anything, so each
of their special characters becomes a character reference. The text stays below the size limit of a
step summary. Parts that do not fit are counted.
"""

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from xentcheck.floats import ULP_DEFINITION
from xentcheck.model import Finding, Report, Violation
from xentcheck.report import words
from xentcheck.report.illustration import Picture
from xentcheck.report.lines import UNGRADED, Line, merged
from xentcheck.report.verdict import counts_text, obstacles, verdict_of

LARGEST = 2**20 - 2**15
"""The most bytes of the text. A step summary may have 1 MiB; the rest is for the step's other
output.
"""

_TAIL = 2**17  # the most bytes for skips and environment
_MOST_FINDINGS = 50  # findings in detail
_CLOSING = 64  # bytes for the end of a list
_SPECIAL = re.compile(r"^\W|(?<!\w)_|_(?!\w)|[\\`*\[\]<>&#|~$^@!]|:(?=\w)|\.(?=\s|$)")
_TEXTS = ("grade", "loss", "implementation", "dtype", "quantity", "kinds (rows)")
_NUMBERS = ("max ulp", "max abs")


@dataclass(slots=True)
class Page:
    """Blocks of text with a limit on their total size. ``room`` is the number of bytes left."""

    room: int
    blocks: list[str] = field(default_factory=list)

    def add(self, *blocks: str) -> bool:
        """Append all of these blocks, or none if they do not fit. Returns whether they fit."""
        size = sum(len(block.encode("utf-8", "replace")) + 1 for block in blocks)
        if size > self.room:
            return False
        self.room -= size
        self.blocks += blocks
        return True

    def add_some(self, blocks: Iterable[str], keep: int = 0) -> int:
        """Append blocks one by one, as long as ``keep`` bytes stay free.

        Returns the number of blocks that were left out.
        """
        known = list(blocks)
        self.room -= keep
        i = 0
        while i < len(known) and self.add(known[i]):
            i += 1
        self.room += keep
        return len(known) - i


def render(report: Report, pictures: Sequence[Picture] = (), largest: int = LARGEST) -> str:
    """The report as GitHub-flavoured Markdown of at most ``largest`` bytes of UTF-8.

    ``pictures`` are the saved figures, those that need a look first.
    """
    tail = Page(min(_TAIL, largest // 4))
    _skips(tail, report)
    _environment(tail, report)
    page = Page(largest - sum(len(each.encode("utf-8", "replace")) + 1 for each in tail.blocks))
    lines = merged(report)
    bad = [line for line in lines if line.faulty]
    page.room -= 1024  # bytes for the lines that say what was left out
    page.add(f"## xentcheck: {inline(verdict_of(report).text)}", "")
    page.add(f"{inline(counts_text(report, lines))}.", "")
    for trouble in _troubles(report):
        page.add(f"- {trouble}", "")
    for text in words.loosened_lines(report):
        page.add(f"- {inline(text)}", "")
    for text in words.contest_lines(report):
        page.add(f"- {inline(text)}", "")
    _causes(page, report)
    _pictures(page, pictures)
    _table(page, report, bad)
    if report.gated:
        ordered = words.leading(report.violations)
        blocks = [_violation(report, each) for each in ordered[:_MOST_FINDINGS]]
        _findings(page, "Violations", blocks, len(ordered))
    else:
        new, repeated = words.faults(report)
        blocks = [_finding(report, each) for each in new[:_MOST_FINDINGS]]
        _findings(page, "The gravest findings", blocks, len(new) + len(repeated))
    _list(page, "Tolerated by the baseline", [_tolerated(each) for each in report.tolerated])
    _list(
        page,
        "Changes of the baseline",
        [inline(words.change_text(each)) for each in report.changes],
    )
    _list(
        page,
        "Where it holds",
        [f"{inline(place)}: {inline(text)}" for place, text in words.range_lines(report)],
    )
    _rest(page, report, [line for line in lines if not line.faulty])
    return "\n".join([*page.blocks, *tail.blocks]).rstrip("\n") + "\n"


_MOST_CAUSES = 10


def _causes(page: Page, report: Report) -> None:
    """The causes, those that explain the most rows first."""
    groups = words.cause_groups(report)
    if not groups:
        return
    page.add("### Causes", "")
    for group in groups[:_MOST_CAUSES]:
        told = [f"  - {word}: {inline(text)}" for word, text in words.cause_lines(report, group)]
        page.add(f"- **{inline(group.cause)}**: {inline(words.says_of(group))}", *told)
    if len(groups) > _MOST_CAUSES:
        page.add(f"- and {len(groups) - _MOST_CAUSES:,} more")
    page.add("")


_MOST_UNFOLDED = 3  # pictures


def _pictures(page: Page, pictures: Sequence[Picture]) -> None:
    """The figures, the first of them at once and the others folded."""
    if not pictures or not page.add("### Figures", ""):
        return
    blocks = [f"![{alternative(each.says)}]({each.link})\n" for each in pictures]
    rest = blocks[_MOST_UNFOLDED:]
    left = page.add_some(blocks[:_MOST_UNFOLDED], keep=page.room // 2)
    if rest and page.add(f"<details><summary>{words.count(len(rest), 'more figure')}</summary>\n"):
        left += page.add_some(rest, keep=page.room // 2)
        page.add("</details>", "")
    else:
        left += len(rest)
    if left:
        page.add(f"… and {words.count(left, 'figure')} that are not shown here.", "")


def _troubles(report: Report) -> list[str]:
    """The reasons why the report is incomplete."""
    return [inline(each) for each in obstacles(report)]


def _table(page: Page, report: Report, lines: Sequence[Line]) -> None:
    if lines and page.add(*_headers(report)):
        rows = [_row(report, line) for line in lines]
        left = page.add_some(rows, keep=page.room // 2)  # the findings get that half
        page.add("")
        if left:
            page.add(f"… and {words.count(left, 'more line')}.", "")


def _headers(report: Report) -> tuple[str, str]:
    """The first two lines of a table. Only a gate has verdicts of its lines."""
    texts = ("verdict", *_TEXTS) if report.gated else _TEXTS
    rule = "|".join(["---"] * len(texts) + ["---:"] * len(_NUMBERS))
    return f"| {' | '.join((*texts, *_NUMBERS))} |", f"|{rule}|"


def _row(report: Report, line: Line) -> str:
    grade = str(line.grade or UNGRADED)
    first, *more = [line.verdict, grade] if report.gated else [grade]
    cells = (
        f"**{first}**" if line.faulty else first,
        *more,
        inline(line.loss),
        code(line.implementation),
        inline(line.dtype),
        str(line.quantity),
        words.kinds(line.counts),
        words.ulps(line.max_ulp),
        words.scientific(line.max_abs),
    )
    return f"| {' | '.join(cells)} |"


def _rest(page: Page, report: Report, lines: Sequence[Line]) -> None:
    """The lines that are ok, folded."""
    if not lines:
        return
    rows = [_row(report, line) for line in lines]
    summary = f"<details><summary>{words.count(len(lines), 'line')} in order</summary>"
    size = sum(len(row.encode("utf-8", "replace")) + 1 for row in rows)
    if size + 512 > page.room:
        page.add(f"{words.count(len(lines), 'line')} in order.", "")
    else:
        page.add(summary, "", *_headers(report), *rows, "", "</details>", "")


def _findings(page: Page, heading: str, blocks: Sequence[str], total: int) -> None:
    """Findings in detail, and how many of the ``total`` are not shown."""
    if not blocks or not page.add(f"### {heading}", ""):
        return
    if left := page.add_some(blocks) + total - len(blocks):
        page.add(f"… and {left:,} more: `--format json` has them all.", "")


def _violation(report: Report, violation: Violation) -> str:
    return _folded(
        report, violation.finding, words.rule_text(violation), words.limit_lines(violation)
    )


def _finding(report: Report, finding: Finding) -> str:
    return _folded(report, finding, str(finding.kind), ())


def _folded(report: Report, finding: Finding, rule: str, more: Sequence[tuple[str, str]]) -> str:
    """A finding folded under its headline. The command that replays it is a block to copy."""
    command = words.replay_command(report, finding)
    told = words.finding_lines(report, finding, *more)
    if command:
        told = [each for each in told if each[0] != "replay"]
    rows = f"{words.count(finding.rows, 'row')}: {words.gist(finding)}"
    summary = (
        f"<b>{html_text(rule)}</b> {html_text(words.place_text(finding.cell))}, {html_text(rows)}"
    )
    parts = [f"<details><summary>{summary}</summary>", "", fenced(words.aligned(told), "text")]
    if command:
        parts += ["", fenced(words.folded(command, 100), "sh")]
    return "\n".join([*parts, "", "</details>", ""])


def _tolerated(violation: Violation) -> str:
    finding = violation.finding
    known = violation.accepted or violation.limit
    return (
        f"{inline(words.rule_text(violation))}: {inline(words.place_text(finding.cell))}, "
        f"{words.count(finding.rows, 'row')} ({inline(known)})"
    )


def _list(page: Page, heading: str, items: Sequence[str]) -> None:
    """A list folded under its heading."""
    heading = f"<details><summary>{heading}: {len(items):,}</summary>"
    if items and page.room > len(heading) + _CLOSING and page.add(heading, ""):
        left = page.add_some((f"- {item}" for item in items), keep=_CLOSING)
        page.add(*([f"- … and {left:,} more"] if left else []), "", "</details>", "")


def _skips(page: Page, report: Report) -> None:
    _list(page, "Skipped", [inline(text) for text in words.skipped_lines(report.skips)])


def _environment(page: Page, report: Report) -> None:
    known = {**report.environment, "ulp": ULP_DEFINITION}
    if report.baseline:
        known["baseline"] = report.baseline
    _list(page, "Environment", [f"{inline(name)}: {inline(text)}" for name, text in known.items()])


def inline(text: str) -> str:
    """Any text within a line or a cell. Markup is escaped and newlines become ``<br>``."""
    escaped = _SPECIAL.sub(lambda found: f"&#{ord(found[0])};", words.clean(text))
    return escaped.replace("&#10;", "\n").replace("\n", "<br>")


def alternative(text: str) -> str:
    """Any text as the alternative of a picture: one line, in which nothing is markup."""
    return inline(" ".join(text.split()))


def code(name: str) -> str:
    return f"<code>{inline(name)}</code>"


def html_text(text: str) -> str:
    """Any text within an HTML block. Newlines become ``<br>``: an empty line ends the block."""
    return html.escape(words.clean(text)).replace("\n", "<br>")


def fenced(text: str, language: str) -> str:
    """A block of code. Its fence is longer than any run of backticks in the text."""
    ticks = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, ticks + 1)
    return f"{fence}{language}\n{words.clean(text)}\n{fence}"
