"""The diagnosis after an audit: one task for each implementation of a loss that fails somewhere."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeAlias, TypeVar

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

    if len(asked) > MOST_DESCRIBED:
        asked = [replace(each, described=False) for each in asked]
    shared = [each.implementation for each in asked]
    results: list[Diagnosed] = []
    interrupted = False
    try:
        with run_tasks(_work, asked, workers, _again(deaths), shared=shared) as came:
            results.extend(each for _, each in came)
        open_lines = [
            _Unexplained(subject.implementation, blocks[0], quantity)
            for subject, each in zip(asked, results, strict=True)
            for (_, quantity), blocks in each.unexplained.items()
        ]
        with run_tasks(_facts, open_lines, workers, _again(deaths), shared=shared) as told:
            facts = [each for _, each in told]
        results = _with_facts(results, iter(facts))
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


Facts: TypeAlias = tuple[tuple[str, ...], tuple[str, ...]]
"""What experiments show of a function, and messages about what went wrong."""

_Asked = TypeVar("_Asked", Subject, "_Unexplained")


def _again(deaths: list[str]) -> Callable[[Death[_Asked]], _Asked]:
    """What is done after a worker died: the same once more, and then nothing."""

    def again(death: Death[_Asked]) -> _Asked:
        name = death.task.implementation.name
        deaths.append(f"a worker died of {death.how} while {name} was diagnosed")
        return death.task if death.attempt == 1 else replace(death.task, given_up=True)

    return again


@dataclass(frozen=True, slots=True, eq=False)
class _Unexplained:
    """Failing rows that no form explains. Experiments describe the function there."""

    implementation: Implementation
    block: FailingBlock
    quantity: Quantity
    given_up: bool = False


def _facts(rows: _Unexplained, tell: Callable[[str], None]) -> Facts:
    """What experiments show of a function where no form explains its rows."""
    name = rows.implementation.name
    if rows.given_up:
        return (), (f"{INTERNAL_ERROR}: the experiments with {name} died twice",)
    try:
        return tuple(facts_of(rows.implementation, rows.block, rows.quantity, tell)), ()
    except Exception as error:  # a fault of ours costs the experiments, not the report
        what = f"{type(error).__name__}: {error}"
        return (), (f"{INTERNAL_ERROR}: the experiments with {name}: {what}",)


def _with_facts(results: Iterable[Diagnosed], facts: Iterator[Facts]) -> list[Diagnosed]:
    """The diagnoses, with the facts of each of their unexplained lines in turn."""
    described = []
    for each in results:
        own = list(islice(facts, len(each.unexplained)))
        evidence = tuple(fact for known, _ in own for fact in known)
        diagnoses = tuple(
            replace(one, evidence=evidence) if one.cause is Cause.UNKNOWN else one
            for one in each.diagnoses
        )
        failures = (*each.failures, *(failure for _, failed in own for failure in failed))
        described.append(replace(each, diagnoses=diagnoses, failures=failures))
    return described


def _work(subject: Subject, tell: Callable[[str], None]) -> Diagnosed:
    name = subject.name
    if subject.given_up:
        return Diagnosed(failures=(f"{INTERNAL_ERROR}: the diagnosis of {name} died twice",))
    tell(name)
    try:
        return _diagnosed(subject)
    except Exception as error:  # a fault of ours costs its diagnosis, not the report
        what = f"{type(error).__name__}: {error}"
        message = f"{INTERNAL_ERROR}: the diagnosis of {name}: {what}"
        return Diagnosed(failures=(message,))


def _diagnosed(subject: Subject) -> Diagnosed:
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
        found = diagnose(subject.loss, subject.name, more, found)
    unexplained = found.unexplained if subject.described else {}
    return replace(found, fits=(), unexplained=unexplained)


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
