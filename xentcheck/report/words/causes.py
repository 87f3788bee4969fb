"""The causes of a report in words: what is wrong, what it explains, and what to write instead."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from xentcheck.model import (
    ABOUT_CAUSES,
    Attainable,
    Cause,
    Diagnosis,
    Explained,
    Fault,
    Finding,
    Proof,
    Quantity,
    Report,
    gravity,
)
from xentcheck.report.words.finding import aligned, replay_command, usual_text
from xentcheck.report.words.numbers import count, folded, shell, ulps
from xentcheck.report.words.profiles import chart_columns, profile_text, telling
from xentcheck.report.words.witness import input_text, outcome_text

MOST_NAMES = 6
"""Implementations that are named in a group."""

_FAULTS = {
    Fault.FORMULA: "the formula: {} passes in the same dtype",
    Fault.FORMAT: "the format: the best known form passes only in a wider one",
    Fault.PROBLEM: "the problem: no known form passes, also in a wider format",
}

FACTS = 3
"""Facts that are shown of what no cause explains."""


def _gravity(diagnosis: Diagnosis) -> tuple[bool, float, int]:
    kind = math.inf if diagnosis.kind is None else gravity(diagnosis.kind)
    return (diagnosis.witness is None, kind, -diagnosis.rows)


@dataclass(frozen=True, slots=True, eq=False)
class CauseGroup:
    """The diagnoses of a report with one cause, of one loss or of several."""

    cause: Cause
    diagnoses: tuple[Diagnosis, ...]

    @property
    def first(self) -> Diagnosis:
        """The diagnosis that is shown: with a witness, of the gravest kind, with the most rows."""
        return min(self.diagnoses, key=_gravity)

    @property
    def severity(self) -> tuple[bool, float, int]:
        """A sort key, gravest first: known causes, the gravest kind of a witness, the rows."""
        return (self.cause is Cause.UNKNOWN, _gravity(self.first)[1], -self.rows)

    @property
    def rows(self) -> int:
        """The number of rows explained."""
        return sum(each.rows for each in self.diagnoses)


def cause_groups(report: Report) -> list[CauseGroup]:
    """The causes of a report: the known ones first, the gravest first."""
    found: dict[Cause, list[Diagnosis]] = defaultdict(list)
    for diagnosis in report.diagnoses:
        found[diagnosis.cause].append(diagnosis)
    groups = [CauseGroup(cause, tuple(own)) for cause, own in found.items()]
    return sorted(groups, key=lambda each: each.severity)


def headline_of_cause(group: CauseGroup) -> str:
    """The cause and what it means, on one line."""
    return f"{group.cause}: {says_of(group)}"


def says_of(group: CauseGroup) -> str:
    """What the cause means, in a sentence."""
    return ABOUT_CAUSES[group.cause].says


def cause_lines(
    report: Report, group: CauseGroup, width: int | None = None
) -> Iterator[tuple[str, str]]:
    """The cause in full, as (label, text) pairs.

    Args:
        report: the report.
        group: the cause.
        width: width in columns of labels and texts together, for the command; None: one line.
    """
    first = group.first
    single = len(group.diagnoses) == 1
    if not single:
        yield "explains", _over_implementations(group.diagnoses)
    yield ("explains" if single else "shown"), _shown(first, alone=_alone(report))
    if first.witness is not None:
        where = first.explains[0]
        outcome = outcome_text(first.witness)
        place = f"{where.dtype} {where.quantity}"
        if not math.isnan(first.witness.ulp_error):
            place = f"{ulps(first.witness.ulp_error)} ulp, {place}"
        yield "witness", f"{input_text(first.witness)} → {outcome} ({place})"
        yield from _along(report, first, width)
    for text in first.evidence[: FACTS if first.cause is Cause.UNKNOWN else 1]:
        yield "evidence", text
    for text in first.ruled_out:
        yield "tried", text
    if first.remedy:
        yield "instead", first.remedy
    if first.proofs:
        yield "proof", proofs_text(first.proofs)
    if made := [each for each in first.usual if each.passes is not None]:
        yield "tests", usual_text(made)
    if fault := fault_text(first.attainable, "the form above" if first.remedy else "a known form"):
        yield "at fault", fault
    command = replay_of(report, first)
    if command:
        yield "replay", shell(command) if width is None else folded(command, width - 14)


def brief_cause_lines(report: Report, group: CauseGroup, width: int) -> Iterator[tuple[str, str]]:
    """The cause in three or four lines: what it explains, the witness, a profile, the remedy."""
    first = group.first
    names = dict.fromkeys((each.loss, each.implementation) for each in group.diagnoses)
    shown = f"{first.implementation} ({first.loss})"
    if first.witness is not None:
        place = first.explains[0]
        shown = f"{first.implementation} ({first.loss}, {place.dtype} {place.quantity})"
    if len(names) > 1:
        shown = f"{count(len(names), 'implementation')}; here {shown}"
    yield "explains", f"{count(group.rows, 'row')} of {shown}"
    if first.witness is not None:
        yield "witness", f"{input_text(first.witness)} → {outcome_text(first.witness)}"
        yield from _along(report, first, width)
    if first.remedy:
        yield "instead", first.remedy
    elif first.evidence:
        yield "evidence", first.evidence[0]


def _along(report: Report, diagnosis: Diagnosis, width: int | None) -> Iterator[tuple[str, str]]:
    """The errors of the witness's cell along an axis of its sweep, if they are known."""
    for measurement in report.measurements:
        if measurement.cell == diagnosis.cell:
            chosen = telling(measurement.profiles)
            if chosen is not None and width is not None:
                dtype = measurement.result_dtype or measurement.cell.dtype
                yield "along", profile_text(chosen, dtype, chart_columns(width))
            return


def causes_text(report: Report) -> list[str]:
    """Each cause as plain text of a few lines."""
    parts = []
    for group in cause_groups(report):
        told = [(word, text) for word, text in cause_lines(report, group) if word in _ESSENTIAL]
        parts.append(f"{headline_of_cause(group)}\n{aligned(told)}")
    return parts


_ESSENTIAL = frozenset({"explains", "shown", "witness", "instead", "proof"})


def replay_of(report: Report, diagnosis: Diagnosis) -> list[str]:
    """The words of a command that shows the witness of a diagnosis again; none without one."""
    if diagnosis.witness is None or diagnosis.cell is None or diagnosis.kind is None:
        return []
    finding = Finding(diagnosis.kind, diagnosis.cell, 1, diagnosis.witness)
    return replay_command(report, finding)


def _alone(report: Report) -> bool:
    return len({(each.loss, each.implementation) for each in report.diagnoses}) == 1


def _shown(diagnosis: Diagnosis, *, alone: bool) -> str:
    told = explained_text(diagnosis.explains)
    return told if alone else f"{diagnosis.implementation} ({diagnosis.loss}): {told}"


def _over_implementations(diagnoses: Sequence[Diagnosis]) -> str:
    names = dict.fromkeys(f"{each.implementation} ({each.loss})" for each in diagnoses)
    rows = sum(each.rows for each in diagnoses)
    shown = list(names)[:MOST_NAMES]
    more = f" and {len(names) - len(shown)} more" if len(names) > len(shown) else ""
    return (
        f"{count(rows, 'row')} of {count(len(names), 'implementation')}: {', '.join(shown)}{more}"
    )


def explained_text(explains: Sequence[Explained]) -> str:
    """How many failing rows a cause explains, by dtype and quantity."""
    if len(explains) > _FEW_PLACES:
        rows, examined, failing = (
            sum(getattr(each, name) for each in explains)
            for name in ("rows", "examined", "failing")
        )
        text = f"{rows:,} of {failing:,} failing rows, in {_places(explains)}"
        return text if examined == failing else f"{text} ({examined:,} examined)"
    parts = []
    for each in explains:
        text = f"{each.rows:,} of {each.failing:,} failing rows of {each.dtype} {each.quantity}"
        if each.examined < each.failing:
            text += f" ({each.examined:,} examined)"
        parts.append(text)
    if len(parts) > 1:
        parts = [parts[0], *(each.replace(" failing rows", "") for each in parts[1:])]
    return ", ".join(parts)


_FEW_PLACES = 4
"""Dtypes and quantities that are named one by one; of more, the sums are given."""


def _places(items: Iterable[Explained | Proof]) -> str:
    """The dtypes and quantities of some items: ``float16, float32; value and gradient``."""
    known = list(items)
    dtypes = dict.fromkeys(each.dtype for each in known)
    quantities = dict.fromkeys(str(each.quantity) for each in known)
    return f"{', '.join(dtypes)}; {' and '.join(sorted(quantities, reverse=True))}"


def proofs_text(proofs: Sequence[Proof]) -> str:
    """What the remedied form gives on the same rows, in all dtypes and quantities."""
    if len(proofs) <= _FEW_PLACES:
        return "; ".join(proof_text(each) for each in proofs)
    rows = sum(each.rows for each in proofs)
    passing = rows - sum(each.failing for each in proofs)
    return f"passes on {passing:,} of {rows:,} rows tried, in {_places(proofs)}"


def proof_text(proof: Proof) -> str:
    """What the remedied form gives on the same rows."""
    place = f"{proof.dtype} {proof.quantity}"
    error = "" if math.isnan(proof.max_ulp) else f", at most {ulps(proof.max_ulp)} ulp"
    passing = proof.rows - proof.failing
    rows = f"all {proof.rows:,}" if not proof.failing else f"{passing:,} of {proof.rows:,}"
    return f"{place}: passes on {rows} rows tried{error}"


def fault_text(attainable: Iterable[tuple[str, Quantity, Attainable]], form: str) -> str:
    """Whether the formula, the format or the problem is at fault.

    Args:
        attainable: what the best known form attains, by dtype and quantity.
        form: that form, as the reader knows it.
    """
    by_fault: dict[Fault, list[str]] = defaultdict(list)
    for dtype, quantity, known in attainable:
        by_fault[known.fault].append(f"{dtype} {quantity}")
    if len(by_fault) == 1:
        return _FAULTS[next(iter(by_fault))].format(form)
    return "; ".join(
        f"{_FAULTS[fault].format(form)} ({', '.join(dict.fromkeys(places))})"
        for fault, places in by_fault.items()
    )


def attainable_text(known: Attainable) -> str:
    """What the best known form attains on the failing rows of a cell."""
    parts = [f"{known.form} attains {ulps(known.same_ulp)} ulp in the same dtype"]
    if known.wider:
        parts.append(f"{ulps(known.wider_ulp)} ulp computing in {known.wider}")
    parts.append(f"conditioning explains up to {ulps(known.explained_ulp)} ulp")
    counts = ", ".join(
        f"the {fault} on {count(rows, 'row')}" for fault, rows in known.faults if rows
    )
    return f"{', '.join(parts)}; at fault: {counts}"
