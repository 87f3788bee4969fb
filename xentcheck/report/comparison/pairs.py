"""Texts for a comparison of two reports and its pairs of cells."""

import math
from collections.abc import Iterator, Sequence

from xentcheck.floats import ULP_DEFINITION
from xentcheck.gate.comparison import MAX_ULP, ORDER, Comparison, Difference, Pair, Side
from xentcheck.gate.extent import Extent
from xentcheck.model import Finding, Kind, Report, Standing, Witness, gravity
from xentcheck.report import words
from xentcheck.report.document import of_witness
from xentcheck.report.lines import verdicts

_MOST_NUMBERS = 64  # numbers shown of a row; longer rows are shortened


def summary(comparison: Comparison, names: tuple[str, str]) -> Iterator[tuple[str, str]]:
    """The compared files, the outcome and the other differences, as (label, text)."""
    tally = comparison.tally
    for word, name, report in zip(
        ("base", "head"), names, (comparison.base, comparison.head), strict=True
    ):
        cells = words.count(verdicts(report).total(), "cell")
        rows = words.count(sum(each.rows for each in report.measurements), "row")
        yield word, f"{name}: {cells}, {rows}, seed {report.seed}"
    counts = ", ".join(f"{each} {tally[each]:,}" for each in ORDER if tally[each])
    yield "cells", counts or "none"
    if comparison.slack:
        yield "slack", slack_text(comparison.slack)
    for note in comparison.notes:
        yield note.topic, note.text
    yield "measure", f"ulp: {ULP_DEFINITION}"
    yield "verdict", verdict(comparison)


def slack_text(slack: float) -> str:
    """The changes that a slack ignores, in words."""
    return f"errors in ulps that change by a factor of up to {1 + slack:g} count as the same"


def verdict(comparison: Comparison) -> str:
    """The outcome in a few words."""
    if not comparison.shared:
        return "nothing was compared: no cell is in both reports"
    worse, better = comparison.tally[Standing.WORSE], comparison.tally[Standing.BETTER]
    shared = f"of {words.count(comparison.shared, 'cell')} in both reports"
    if worse:
        return f"{worse:,} {shared} {'is' if worse == 1 else 'are'} worse"
    return f"none {shared} is worse" + (f", {better:,} better" if better else "")


def lacking(pair: Pair) -> str:
    """Which report lacks a cell and why; "" if no reason is known."""
    if not pair.reason:
        return ""
    return f"not in {'base' if pair.base is None else 'head'}: {pair.reason}"


def leading(pair: Pair) -> Difference | None:
    """The difference to show with its witnesses; None if nothing changed."""
    return next(iter(pair.changes), None)


def distinct(pairs: Sequence[Pair]) -> list[Pair]:
    """The same pairs, with the first of each loss, implementation and rule before all others."""
    seen: set[tuple[str, str, str]] = set()
    new: list[Pair] = []
    repeated: list[Pair] = []
    for pair in pairs:
        shown = leading(pair)
        key = (pair.cell.loss, pair.cell.implementation, shown.rule if shown else "")
        (repeated if key in seen else new).append(pair)
        seen.add(key)
    return new + repeated


def changes(pair: Pair) -> list[str]:
    """The changes of a cell, such as ``nan new: 3 of 61 rows`` and
    ``inaccurate worse: 5 → 60 of 61 rows, 12 → 9.3e6 ulp``.

    If the whole cell is new or gone, the texts omit the standing of each fault.
    """
    whole = pair.base is None or pair.head is None
    texts = []
    for each in pair.changes:
        name = "max ulp" if each.rule == MAX_ULP else each.rule
        stands = "" if whole else f" {each.standing}"
        texts.append(f"{name}{stands}: {_change(each.rule, each.base, each.head)}")
    return texts


def _change(rule: str, base: Extent | None, head: Extent | None) -> str:
    if base is None or head is None:
        only = head or base
        assert only is not None
        ulp = "" if only.ulp is None else f", {words.ulps(only.ulp)} ulp"
        was = "" if base is None else "was "
        return f"{was}{only.rows:,} of {words.count(only.of, 'row')}{ulp}"
    parts = []
    if rule != MAX_ULP:
        rows = "row" if head.of == 1 else "rows"
        before = f"{base.rows:,}" if base.of == head.of else f"{base.rows:,} of {base.of:,}"
        same = (base.rows, base.of) == (head.rows, head.of)
        parts.append(f"{'' if same else f'{before} → '}{head.rows:,} of {head.of:,} {rows}")
    if base.ulp != head.ulp:
        parts.append(_ulps(base.ulp, head.ulp))
    return ", ".join(parts)


def _ulps(before: float | None, now: float | None) -> str:
    """``12 → 9.3e6 ulp``, with enough digits to see a difference."""
    texts = ["none" if each is None else words.ulps(each) for each in (before, now)]
    if texts[0] == texts[1] and before is not None and now is not None:
        texts = [words.decimal(each) for each in (before, now)]
    return f"{' → '.join(texts)} ulp"


def largest(side: Side | None) -> str:
    """The worst of a cell: a kind without an error in ulps, such as nan, or else the largest finite
    error. "" if the report lacks the cell.
    """
    if side is None:
        return ""
    beyond = [kind for kind in side.faults if side.is_beyond_ulps(kind)]
    return str(min(beyond, key=gravity)) if beyond else words.ulps(side.max_ulp)


def witness_text(witness: Witness) -> str:
    """The witness in one line: ``[20, 0, 0] label 0 → 0, exact 4.122e-9, 9.3e6 ulp``."""
    error = "" if math.isnan(witness.ulp_error) else f", {words.ulps(witness.ulp_error)} ulp"
    return f"{words.input_text(witness)} → {words.outcome_text(witness)}{error}"


def side_by_side(difference: Difference) -> list[tuple[str, str]]:
    """Both witnesses in full, as (label, text). For the same input, shared lines come once."""
    base, head = difference.base_witness, difference.head_witness
    before, now = _told(base), _told(head)
    shared = []
    if base is not None and head is not None and _same_input(base, head):
        shared = [line for line in before if line in now]
    sides = (("base", before), ("head", now))
    return shared + [
        (f"{name} {word}", text)
        for name, told in sides
        for word, text in told
        if (word, text) not in shared
    ]


def _told(witness: Witness | None) -> list[tuple[str, str]]:
    """A witness in full, or its input and the reason why there is no result."""
    if witness is None:
        return []
    lines = words.witness_lines(witness, _MOST_NUMBERS)
    return (
        lines
        if witness.scored is not None or not witness.note
        else [*lines, ("note", witness.note)]
    )


def _same_input(one: Witness, other: Witness) -> bool:
    """Whether two witnesses have the same input, to the bit."""
    first, second = (of_witness(each) or {} for each in (one, other))
    return all(first[key] == second[key] for key in ("logits", "labels", "parameters"))


def replay(head: Report, pair: Pair, difference: Difference) -> list[str]:
    """The words of the command that shows head's witness again; none if it would be too long."""
    kinds = {kind.value: kind for kind in Kind}
    kind = kinds.get(difference.rule) if difference.head is not None else None
    rows = 0 if difference.head is None else difference.head.rows
    shown = Finding(kind or Kind.INACCURATE, pair.cell, rows, difference.head_witness)
    return words.replay_command(head, shown) or []


def one_line(text: str) -> str:
    """Foreign text on one line, with escapes for line breaks and control characters."""
    return words.clean(text).replace("\n", "\\n")
