"""The diagnosis after an audit: one task for each implementation of a loss that fails somewhere."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from xentcheck.diagnosis import Diagnosed, FailingLine, Variant, diagnose
from xentcheck.errors import INTERNAL_ERROR
from xentcheck.execution import Death, run_tasks
from xentcheck.measurement import FailingRows
from xentcheck.model import (
    NOTES,
    OF_CALLS,
    WITHOUT_RESULT,
    Cause,
    Cell,
    Diagnosis,
    Finding,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
)


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One implementation of a loss, with the lines on which it fails."""

    loss: str
    implementation: str
    lines: tuple[FailingLine, ...]
    given_up: bool = False


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
    tolerance: Callable[[Cell], Tolerance],
) -> list[Subject]:
    """The implementations that fail, in the order of their cells.

    Args:
        failing: the failing rows, by cell.
        findings: all findings.
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
            *name,
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
    return kind not in NOTES | OF_CALLS | WITHOUT_RESULT


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
        deaths.append(
            f"a worker died of {death.how} while {death.task.implementation} was diagnosed"
        )
        return death.task if death.attempt == 1 else replace(death.task, given_up=True)

    results: list[Diagnosed] = []
    interrupted = False
    try:
        with run_tasks(_work, asked, workers, again) as came:
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
            (subject.loss, subject.implementation): each.variants
            for subject, each in zip(asked, results, strict=False)
        },
    )


def _work(subject: Subject, tell: Callable[[str], None]) -> Diagnosed:
    if subject.given_up:
        return Diagnosed(
            failures=(f"{INTERNAL_ERROR}: the diagnosis of {subject.implementation} died twice",)
        )
    tell(subject.implementation)
    try:
        return diagnose(subject.loss, subject.implementation, subject.lines)
    except Exception as error:  # a fault of ours costs its diagnosis, not the report
        what = f"{type(error).__name__}: {error}"
        message = f"{INTERNAL_ERROR}: the diagnosis of {subject.implementation}: {what}"
        return Diagnosed(failures=(message,))
