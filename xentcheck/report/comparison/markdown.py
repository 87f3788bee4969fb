"""Writes a comparison of two reports as Markdown for a comment on a pull request.

GitHub takes comments of up to 65,536 characters. Worse cells come first. Cells that do not fit are
counted.
"""

from collections.abc import Sequence

from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.comparison import ORDER, Comparison, Pair
from xentcheck.model import Report, Standing
from xentcheck.report import words
from xentcheck.report.comparison import pairs
from xentcheck.report.formats.markdown import Page, code, fenced, inline

LARGEST = 65_536
"""The most bytes of a comment. GitHub allows as many characters, and a character has at least one
byte.
"""

_RESERVED = 1024  # bytes for the lines that say what was left out
_MOST_DETAILS = 50
_HEADERS = (
    "| standing | loss | implementation | dtype | quantity | sweep | base | head | what |",
    "|---|---|---|---|---|---|---:|---:|---|",
)
_FOLDED = (Standing.NEW, Standing.GONE, Standing.BETTER)


def render(comparison: Comparison, names: tuple[str, str], largest: int = LARGEST) -> str:
    """The comparison as GitHub-flavoured Markdown of at most ``largest`` bytes of UTF-8.

    ``names`` are the files of base and head.
    """
    page = Page(largest - _RESERVED)
    page.add(f"### xentcheck: {inline(pairs.verdict(comparison))}", "")
    page.add(f"{_counts(comparison)} Head {code(names[1])} against base {code(names[0])}.", "")
    warnings = [note for note in comparison.notes if note.warning]
    page.add_some(f"- **{inline(note.topic)}**: {inline(note.text)}" for note in warnings)
    if warnings:
        page.add("")
    tail = Page(page.room // 4)
    _environment(tail, comparison)
    page.room -= sum(len(each.encode()) + 1 for each in tail.blocks)
    worse = [pair for pair in comparison.pairs if pair.standing is Standing.WORSE]
    if worse:
        _table(page, worse, page.room // 2)
        _details(page, comparison.head, worse, page.room * 3 // 4)
    for standing in _FOLDED:
        several = [pair for pair in comparison.pairs if pair.standing is standing]
        if several and page.add(f"<details><summary>{len(several):,} {standing}</summary>", ""):
            _table(page, several, page.room // 2)
            page.add("</details>", "")
    return "\n".join([*page.blocks, *tail.blocks]).rstrip("\n") + "\n"


def _counts(comparison: Comparison) -> str:
    tally = comparison.tally
    counts = ", ".join(f"{tally[each]:,} {each}" for each in ORDER if tally[each])
    return f"{counts or 'no cells'}."


def _table(page: Page, pairs: Sequence[Pair], room: int) -> None:
    """One line per cell, as many as fit."""
    part = Page(room)
    if part.add(*_HEADERS):
        left = part.add_some(map(_row, pairs))
        part.blocks.append("")
        if left:
            part.blocks += [f"… and {left:,} more: `--format json` has them all.", ""]
    page.blocks += part.blocks
    page.room -= room - part.room


def _row(pair: Pair) -> str:
    cell, shown = pair.cell, pairs.leading(pair)
    standing = pair.standing.value
    texts = [" · ".join(pairs.changes(pair)), pairs.lacking(pair)]
    if shown is not None:
        for name, witness in (("base", shown.base_witness), ("head", shown.head_witness)):
            texts.append("" if witness is None else f"{name} {pairs.witness_text(witness)}")
    cells = (
        f"**{standing}**" if pair.standing is Standing.WORSE else standing,
        inline(cell.loss),
        code(cell.implementation),
        inline(cell.dtype),
        cell.quantity.value,
        code(cell.sweep),
        pairs.largest(pair.base),
        pairs.largest(pair.head),
        "<br>".join(inline(text) for text in texts if text),
    )
    return f"| {' | '.join(cells)} |"


def _details(page: Page, head: Report, worse: Sequence[Pair], room: int) -> None:
    part = Page(room)
    blocks = [_detail(head, pair) for pair in pairs.distinct(worse)]
    left = part.add_some(blocks, _MOST_DETAILS)
    page.blocks += part.blocks
    page.room -= room - part.room
    if left:
        page.blocks += [f"… and the witnesses of {left:,} more in full: `--format json`.", ""]


def _detail(head: Report, pair: Pair) -> str:
    """A worse cell, folded under its name, with both witnesses and a command to copy."""
    cell, shown = pair.cell, pairs.leading(pair)
    changes = inline(" · ".join(pairs.changes(pair)))
    place = f"{inline(f'{cell.loss}, {cell.dtype} {cell.quantity}')}, sweep {code(cell.sweep)}"
    summary = f"{code(cell.implementation)} ({place}): {changes}"
    parts = [f"<details><summary>{summary}</summary>", ""]
    if shown is not None:
        parts += [fenced(words.aligned(pairs.side_by_side(shown)), "text"), ""]
        if command := pairs.replay(head, pair, shown):
            parts += [fenced(words.folded(command, 100), "sh"), ""]
    return "\n".join([*parts, "</details>", ""])


def _environment(page: Page, comparison: Comparison) -> None:
    """The differences that do not affect the comparison and the measure, folded."""
    told = [(note.topic, note.text) for note in comparison.notes if not note.warning]
    if comparison.slack:
        told.append(("slack", pairs.slack_text(comparison.slack)))
    told.append(("measure", f"ulp: {ULP_DEFINITION}"))
    if not page.add("<details><summary>What else differs, and what was measured</summary>", ""):
        return
    left = page.add_some(f"- {inline(topic)}: {inline(text)}" for topic, text in told)
    page.blocks += [*([f"- … and {left:,} more"] if left else []), "", "</details>", ""]
