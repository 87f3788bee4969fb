"""Finds what is worse than a peer that a limit names, and what could not be held against it.

Rows are compared where they are measured (`xentcheck.measurement.contests`). Faults of whole calls,
such as a write into the input, have no rows of their own: one that the peer does not show in the
same cell is worse.
"""

from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import replace

from xentcheck.gate.would_pass import MOST
from xentcheck.model import (
    AGAINST,
    NOTES,
    WITHOUT_RESULT,
    Cell,
    Config,
    Contest,
    Finding,
    Implementation,
    Kind,
    Skip,
    Violation,
    function_for,
)

OF_ROWS = WITHOUT_RESULT | {
    Kind.NAN,
    Kind.MISSED_NAN,
    Kind.SPURIOUS_OVERFLOW,
    Kind.MISSED_OVERFLOW,
    Kind.WRONG_SIGN,
    Kind.VANISHED_GRADIENT,
    Kind.SPURIOUS_UNDERFLOW,
    Kind.PLATEAU,
    Kind.INACCURATE,
}
"""Faults of single rows, which contests compare."""

_HINT = "the peer does better in the same dtype: it is the implementation, not the precision"
_MIXED = "the peer does better on this row and worse on others: both lose digits, on different rows"
_UNCOMPARED = "no row could be held against it"


def violations(
    config: Config, findings: Sequence[Finding], contests: Iterable[Contest]
) -> Iterator[Violation]:
    """What is worse than a peer: rows by cell and peer, then faults of whole calls."""
    for contest in contests:
        limit = config.limit_for(contest.cell)
        kinds = [kind for kind in contest.kinds if limit is None or kind not in limit.allow]
        if kinds:
            place = "" if limit is None else limit.path
            least = {"or_abs": contest.or_abs} if contest.or_abs <= MOST else {}
            yield replace(_of_rows(contest, kinds), place=place, bounds=least)
    shown = {(each.cell, each.kind) for each in findings}
    for finding in findings:
        limit = config.limit_for(finding.cell)
        if limit is None:
            name = finding.cell.implementation
            if finding.kind is Kind.OTHER_FUNCTION and _is_peer(config, name):
                text = f"{AGAINST}it: a peer computes the loss"
                yield Violation(finding, text, finding.kind.value)
            continue
        if finding.kind in OF_ROWS | NOTES | limit.allow or not limit.relative:
            continue
        for peer in limit.against:
            if (replace(finding.cell, implementation=peer), finding.kind) not in shown:
                text = f"{AGAINST}{peer}: it does not show {finding.kind}"
                yield Violation(finding, text, finding.kind.value, place=limit.path)
                break


def _is_peer(config: Config, name: str) -> bool:
    return any(name in limit.against for limit in config.limits)


def _of_rows(contest: Contest, kinds: Sequence[Kind]) -> Violation:
    shown = contest.worst[kinds[0]]
    rows = sum(contest.kinds[kind] for kind in kinds)
    theirs, own = shown.peer, shown.witness
    if theirs.scored is None:
        there = theirs.note
    else:
        place = "" if theirs.index is None or theirs.index == own.index else f"[{theirs.index}]"
        there = f"{theirs.actual:.9g}{place}"
        if theirs.ulp_error == theirs.ulp_error:
            there += f", {theirs.ulp_error:.3g} ulp"
    finding = Finding(
        kinds[0],
        contest.cell,
        rows,
        witness=own,
        hint=_HINT if contest.leads else _MIXED,
        detail=f"{contest.peer} on this row: {there}; worse on {rows:,} of {contest.rows:,} rows, "
        f"better on {contest.better:,}",
    )
    limit = f"no row worse than {contest.peer}'s (by kind, or above 4 ulp and twice its error)"
    return Violation(finding, limit, f"{AGAINST}{contest.peer}")


def unmatched(
    config: Config,
    measured: Set[Cell],
    contests: Iterable[Contest],
    known: Iterable[Implementation],
    skips: Iterable[Skip],
) -> tuple[Skip, ...]:
    """The peers that a measured line could not be held against in any sweep, with the reason.

    Args:
        config: the configuration of the run.
        measured: the cells with a measurement.
        contests: the contests of the run.
        known: every available implementation.
        skips: the skips of the run.
    """
    held = {(each.cell.line, each.peer) for each in contests if each.rows}
    by_name = {(each.loss, each.name): each for each in known}
    skips = tuple(skips)
    found: dict[Skip, None] = {}
    for cell in sorted(measured, key=lambda each: (*each.line, each.sweep)):
        limit = config.limit_for(cell)
        for peer in () if limit is None else limit.against:
            if peer == cell.implementation or (cell.line, peer) in held:
                continue
            there = replace(cell, implementation=peer)
            reason = _reason(there, by_name.get((cell.loss, peer)), skips)
            found[Skip(reason, cell.loss, peer, cell.dtype, cell.quantity.value)] = None
    return tuple(found)


def _reason(cell: Cell, peer: Implementation | None, skips: Iterable[Skip]) -> str:
    """Why nothing could be held against a peer."""
    for skip in skips:
        if skip.missing:
            process = None if peer is None else peer.process
            if process is not None and process.name == skip.missing:
                return skip.reason
        elif skip.implementation and skip.covers(cell):
            return skip.reason
    if peer is not None and function_for(peer, cell.quantity) is None:
        return f"has no {cell.quantity}"
    return _UNCOMPARED
