"""Texts that say how implementations compare with peers."""

from collections import defaultdict
from collections.abc import Sequence

from xentcheck.model import NOTES, Contest, Encounter, Grade, Kind, Report, Witness, gravity
from xentcheck.model.contests import CLEARLY
from xentcheck.report.words.numbers import count, ulps


def contest_lines(report: Report) -> list[str]:
    """One sentence for each line of the report and each peer that it was held against."""
    held: dict[tuple[str, ...], list[Contest]] = defaultdict(list)
    for contest in report.contests:
        if contest.rows:
            held[(*contest.cell.line, contest.peer)].append(contest)
    several = len({key[:2] for key in held}) > 1
    return [_sentence(report, contests, named=several) for contests in held.values()]


def _sentence(report: Report, contests: Sequence[Contest], *, named: bool) -> str:
    """How one line compares with one peer, over all sweeps."""
    cell, peer = contests[0].cell, contests[0].peer
    rows, worse, better = (
        sum(getattr(each, name) for each in contests) for name in ("rows", "worse", "better")
    )
    text = f"{cell.implementation}, " * named + f"{cell.dtype} {cell.quantity}: "
    if worse:
        kind, shown = min((item for each in contests for item in each.worst.items()), key=_severity)
        text += f"worse than {peer} on {worse:,} of {count(rows, 'row')} "
        text += f"({_of(kind, shown.witness)} against {_of(shown.peer_kind, shown.peer)})"
        text += f", better on {better:,}: "
        if worse >= CLEARLY * better:
            text += "the implementation, not the precision"
        elif better >= CLEARLY * worse:
            text += "ahead on the whole"
        else:
            text += "neither is ahead throughout"
    else:
        text += f"no worse than {peer} on {count(rows, 'row')}, better on {better:,}"
        faults = sum(
            rows
            for each in report.measurements
            if each.cell.line == cell.line
            for kind, rows in each.counts.items()
            if kind not in NOTES
        )
        if faults:
            text += f"; its {count(faults, 'row')} at fault are no better there: the precision, or "
            text += "a formula that both share"
    dtypes = {each.peer_dtype for each in contests} - {"", cell.dtype}
    text += "".join(f"; {peer} returns {each}" for each in sorted(dtypes))
    grades = [_grade(report, cell.line), _grade(report, (cell.loss, peer, *cell.line[2:]))]
    if all(grades):
        text += f"; grade {grades[0]} against {grades[1]}"
    return text


def _severity(item: tuple[Kind, Encounter]) -> tuple[float, float]:
    """A sort key, worst first: faults without an error in ulps by gravity, then the ratio."""
    kind, shown = item
    mine, theirs = shown.witness.ulp_error, shown.peer.ulp_error
    if mine != mine:
        return (gravity(kind), 0.0)
    return (len(Kind), -mine / max(theirs, 0.5))


def _of(kind: Kind | None, witness: Witness) -> str:
    if witness.ulp_error == witness.ulp_error:
        return f"{ulps(witness.ulp_error)} ulp"
    return str(kind or "right")


def _grade(report: Report, line: tuple[str, ...]) -> Grade | None:
    """The worst grade of a line; None if not all of its cells are graded."""
    grades = [each.grade for each in report.measurements if each.cell.line == line]
    known = [each for each in grades if each is not None]
    if not known or len(known) < len(grades):
        return None
    return min(known, key=list(Grade).index)
