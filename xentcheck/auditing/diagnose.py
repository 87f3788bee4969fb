"""The diagnosis after an audit: one task for each implementation of a loss that fails somewhere."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from xentcheck.auditing.asking import asked_near, facts_of
from xentcheck.diagnosis import Diagnosed, FailingLine, Variant, diagnose
from xentcheck.errors import INTERNAL_ERROR
from xentcheck.execution import Death, run_tasks
from xentcheck.measurement import FailingBlock, FailingRows
from xentcheck.model import (
    NOTES,
    OF_CALLS,
    WITHOUT_RESULT,
    Case,
    Cause,
    Cell,
    Diagnosis,
    Finding,
    Implementation,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
)

FEW = 16
"""A line with fewer failing rows is asked for more of them: several forms may give the same."""

ENOUGH = 200
"""A line with so many failing rows is not asked for more, though some stay unexplained."""

NEAR = 6
"""Rows of a line near which an implementation is asked."""

LONGEST = 1 << 10
"""The most numbers of such a row."""


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One implementation of a loss, with the lines on which it fails.

    ``described``: whether experiments describe what no form explains.
    """

    loss: str
    implementation: Implementation
    lines: tuple[FailingLine, ...]
    given_up: bool = False
    described: bool = True

    @property
    def name(self) -> str:
        """The name of the implementation."""
        return self.implementation.name


MOST_DESCRIBED = 8
"""Experiments are made if so many implementations fail, at most: in a survey of hundreds they take
longer than the audit. A check of one of them makes them."""


@dataclass(frozen=True, slots=True, eq=False)
class Diagnosing:
    """What the diagnosis adds to a report.

    Attributes:
        diagnoses: the causes of all implementations.
        findings: the findings, with their causes.
        measurements: the measurements, with what is attainable.
        failures: messages about results that the arbiter cannot decide.
        interrupted: whether it was interrupted.
        variants: the forms that explain the rows, by loss and implementation.
    """

    diagnoses: tuple[Diagnosis, ...]
    findings: tuple[Finding, ...]
    measurements: tuple[Measurement, ...]
    failures: tuple[str, ...] = ()
    interrupted: bool = False
    variants: Mapping[tuple[str, str], Mapping[tuple[Cause, str, str], Variant]] = field(
        default_factory=dict
    )


def subjects(
    failing: Mapping[Cell, FailingRows],
    findings: Iterable[Finding],
    implementations: Mapping[tuple[str, str], Implementation],
    tolerance: Callable[[Cell], Tolerance],
) -> list[Subject]:
    """The implementations that fail, in the order of their cells.

    Args:
        failing: the failing rows, by cell.
        findings: all findings.
        implementations: the implementations, by loss and name.
        tolerance: gives the tolerance of a cell.
    """
    found: dict[Cell, list[Finding]] = defaultdict(list)
    for finding in findings:
        if _in_results(finding.kind):
            found[finding.cell].append(finding)
    lines: dict[tuple[str, str], dict[tuple[str, Quantity], list[Cell]]] = {}
    for cell in failing:
        own = lines.setdefault((cell.loss, cell.implementation), {})
        own.setdefault((cell.dtype, cell.quantity), []).append(cell)
    return [
        Subject(
            name[0],
            implementations[name],
            tuple(
                FailingLine(
                    *line,
                    tuple(cells),
                    tuple(failing[cell] for cell in cells),
                    tolerance(cells[0]),
                    tuple(finding for cell in cells for finding in found[cell]),
                )
                for line, cells in own.items()
            ),
        )
        for name, own in lines.items()
    ]


def _in_results(kind: Kind) -> bool:
    """Whether a kind is a fault in results, which a formula may explain."""
    return kind is Kind.ROW_DEPENDENT or kind not in NOTES | OF_CALLS | WITHOUT_RESULT


def diagnosed(
    asked: Sequence[Subject],
    findings: Sequence[Finding],
    measurements: Sequence[Measurement],
    workers: int,
    deaths: list[str],
) -> Diagnosing:
    """Diagnose every subject.

    Args:
        asked: the subjects.
        findings: the findings of the audit.
        measurements: its measurements.
        workers: number of processes.
        deaths: messages about workers that died are added here.
    """

    def again(death: Death[Subject]) -> Subject:
        deaths.append(f"a worker died of {death.how} while {death.task.name} was diagnosed")
        return death.task if death.attempt == 1 else replace(death.task, given_up=True)

    if len(asked) > MOST_DESCRIBED:
        asked = [replace(each, described=False) for each in asked]
    results: list[Diagnosed] = []
    interrupted = False
    try:
        shared = [each.implementation for each in asked]
        with run_tasks(_work, asked, workers, again, shared=shared) as came:
            results += [each for _, each in came]
    except KeyboardInterrupt:
        interrupted = True
    causes = {(cell, kind): cause for each in results for cell, kind, cause in each.causes}
    attainable = {cell: known for each in results for cell, known in each.attainable}
    return Diagnosing(
        tuple(diagnosis for each in results for diagnosis in each.diagnoses),
        tuple(
            replace(each, cause=causes.get((each.cell, str(each.kind)), each.cause))
            for each in findings
        ),
        tuple(
            replace(each, attainable=attainable.get(each.cell, each.attainable))
            for each in measurements
        ),
        tuple(failure for each in results for failure in each.failures),
        interrupted,
        {
            (subject.loss, subject.name): each.variants
            for subject, each in zip(asked, results, strict=False)
        },
    )


def _work(subject: Subject, tell: Callable[[str], None]) -> Diagnosed:
    name = subject.name
    if subject.given_up:
        return Diagnosed(failures=(f"{INTERNAL_ERROR}: the diagnosis of {name} died twice",))
    tell(name)
    try:
        return _diagnosed(subject, tell)
    except Exception as error:  # a fault of ours costs its diagnosis, not the report
        what = f"{type(error).__name__}: {error}"
        message = f"{INTERNAL_ERROR}: the diagnosis of {name}: {what}"
        return Diagnosed(failures=(message,))


def _diagnosed(subject: Subject, tell: Callable[[str], None]) -> Diagnosed:
    """The diagnosis of a subject, which is asked more where its rows leave something open."""

    def ask(line: FailingLine, blocks: Iterable[FailingBlock]) -> FailingLine:
        return _asked(subject.implementation, line, blocks)

    lines = [
        ask(line, (block for each in line.failing for block in each.blocks))
        if line.rows < FEW
        else line
        for line in subject.lines
    ]
    found = diagnose(subject.loss, subject.name, lines)
    more = [
        ask(line, found.unexplained.get((line.dtype, line.quantity), ()))
        if FEW <= line.rows < ENOUGH
        else line
        for line in lines
    ]
    if any(each is not line for each, line in zip(more, lines, strict=True)):
        found = diagnose(subject.loss, subject.name, more)
    facts = [
        fact
        for (_, quantity), blocks in found.unexplained.items()
        if subject.described
        for fact in facts_of(subject.implementation, blocks[0], quantity, tell)
    ]
    diagnoses = [
        replace(each, evidence=tuple(facts)) if each.cause is Cause.UNKNOWN else each
        for each in found.diagnoses
    ]
    return replace(found, diagnoses=tuple(diagnoses))


def _asked(
    implementation: Implementation,
    line: FailingLine,
    blocks: Iterable[FailingBlock],
) -> FailingLine:
    """A line with further rows, near some of its own."""
    asked = [
        asked_near(implementation, case, line.quantity, line.tolerance)
        for case in islice(_single(blocks), NEAR)
    ]
    if not asked:
        return line
    return replace(line, asked=tuple(each for each in asked if each is not None))


def _single(blocks: Iterable[FailingBlock]) -> Iterator[Case]:
    """The rows of some blocks as cases, one of each block in turn."""
    short = [
        each for each in blocks if not each.case.reduced and each.case.logits[0].size <= LONGEST
    ]
    for row in range(max((each.results for each in short), default=0)):
        for block in short:
            if row < block.results:
                yield block.at(np.array([row])).case
