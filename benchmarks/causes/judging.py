"""What is claimed of each fault of the corpus, held against what may be claimed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import xentcheck
from tests.faults.corpus import Labelled, config_for, groups
from xentcheck.model import Cause, Diagnosis, Report


class Outcome(StrEnum):
    """How a claim compares with the label."""

    RIGHT = "right"
    BESIDE = "beside"  # what is claimed is true of some rows, but is not the fault's main cause
    NOTHING = "nothing claimed"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Claim:
    """A cause that is claimed of a fault.

    Attributes:
        cause: the cause.
        rows: number of failing rows that it explains.
        examined: number of failing rows that were examined.
        evidence: the evidence, one sentence each.
    """

    cause: Cause
    rows: int
    examined: int
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judged:
    """A fault or a control in one dtype, with the causes that are claimed of it.

    Attributes:
        labelled: the fault or control, and what may be claimed.
        dtype: the dtype, by name.
        violations: number of violations of its line; several may be about one row.
        claims: the causes that are claimed, without `Cause.UNKNOWN`.
    """

    labelled: Labelled
    dtype: str
    violations: int
    claims: tuple[Claim, ...]

    @property
    def sound(self) -> bool:
        """Whether it is a control."""
        return self.labelled.sound

    @property
    def wrong(self) -> tuple[Cause, ...]:
        """The causes that are claimed and may not be."""
        allowed = (*self.labelled.expected.main, *self.labelled.expected.also)
        return tuple(each.cause for each in self.claims if each.cause not in allowed)

    @property
    def outcome(self) -> Outcome:
        """How the claims compare with the label."""
        main = self.labelled.expected.main
        if self.wrong:
            return Outcome.WRONG
        if not main or any(each.cause in main for each in self.claims):
            return Outcome.RIGHT
        return Outcome.BESIDE if self.claims else Outcome.NOTHING

    @property
    def row(self) -> str:
        """Its row of the confusion matrix: a cause, ``no cause`` or ``sound``.

        Where more than one cause is right, the row is that of a right one that is claimed.
        """
        if self.sound:
            return "sound"
        main = self.labelled.expected.main
        claimed = [cause for cause in main if any(each.cause is cause for each in self.claims)]
        return str((*claimed, *main)[0]) if main else "no cause"


def judged(
    corpus: Sequence[Labelled], say: Callable[[str], None] = lambda _: None
) -> Iterator[Judged]:
    """Audit a corpus with the standard sweep of `xentcheck check`, and judge what is claimed.

    Faults that the limits of `check` accept are left out.

    Args:
        corpus: the faults and controls.
        say: is told what is audited next.

    Raises:
        KeyboardInterrupt: an audit was interrupted; it would return what it has.
    """
    for group in groups(corpus).values():
        say(f"{group[0].fixture.loss}: {len(group)} functions")
        report = xentcheck.audit(config_for(group))
        if report.interrupted:
            raise KeyboardInterrupt
        for trouble in dict.fromkeys(report.uncertified):
            say(f"not certified: {trouble}")
        for each in group:
            lines = (_judged(each, dtype, report) for dtype in each.fixture.dtypes)
            # What the limits of `check` accept has nothing that a cause could explain.
            yield from (line for line in lines if line.sound or line.violations)


def _judged(labelled: Labelled, dtype: str, report: Report) -> Judged:
    violations = sum(
        each.finding.cell.implementation == labelled.name
        and each.finding.cell.dtype == dtype
        and each.finding.cell.quantity in labelled.quantities
        for each in report.violations
    )
    return Judged(labelled, dtype, violations, claims_of(report.diagnoses, labelled, dtype))


def claims_of(diagnoses: Sequence[Diagnosis], labelled: Labelled, dtype: str) -> tuple[Claim, ...]:
    """The causes that are claimed of a fault in a dtype, of the quantities that it is about."""
    return tuple(
        claim
        for each in diagnoses
        if each.implementation == labelled.name and each.cause is not Cause.UNKNOWN
        if (claim := _claim(each, labelled, dtype)) is not None
    )


def _claim(diagnosis: Diagnosis, labelled: Labelled, dtype: str) -> Claim | None:
    """What a diagnosis claims of the lines that a fault is about; None if it is about others."""
    mine = [
        each
        for each in diagnosis.explains
        if each.dtype == dtype and each.quantity in labelled.quantities and each.rows
    ]
    if not mine:
        return None
    return Claim(
        diagnosis.cause,
        sum(each.rows for each in mine),
        sum(each.examined for each in mine),
        diagnosis.evidence,
    )
