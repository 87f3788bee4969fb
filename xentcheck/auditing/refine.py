"""Refines what is shown: witnesses of causes are made smaller, and usual tests are tried on them.

This calls implementations again, so it is done only for what a reader sees: of each cause the
implementation with the most rows, and the faults of an audit with few findings.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from xentcheck.auditing.shrink import KEPT_BITS, shrunk
from xentcheck.diagnosis import Variant, run
from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.execution import Death, run_tasks
from xentcheck.floats import format_of
from xentcheck.measurement.usual_tests import usual_tests
from xentcheck.model import (
    NOTES,
    OF_CALLS,
    WITHOUT_RESULT,
    Array,
    Case,
    Cause,
    Cell,
    Diagnosis,
    Finding,
    Implementation,
    Tolerance,
    UsualTest,
    gravity,
)

FEW_FINDINGS = 40
"""With more faults than this, usual tests are tried only on the witnesses of causes."""

CALLS = 48
"""Most calls that make one witness smaller."""

READABLE = 1 << 12
"""Numbers of a smaller witness. A longer one stays as it was: its replay names a row of a sweep."""

Named = tuple[str, str]  # loss and implementation
Placed = tuple[Cause, str, str]  # cause, dtype and quantity


@dataclass(frozen=True, slots=True, eq=False)
class Refining:
    """One finding whose witness is shown.

    Attributes:
        finding: the finding.
        implementation: what it is about.
        tolerance: the tolerance of its cell.
        cause: its cause; None if it is not known.
        variant: the form that gives its results; the cause has to stay.
        smaller: make the witness smaller.
        given_up: a worker died of it before.
    """

    finding: Finding
    implementation: Implementation
    tolerance: Tolerance
    cause: Cause | None = None
    variant: Variant | None = None
    smaller: bool = True
    given_up: bool = False


def _programs(task: Refining) -> tuple[str, str, str]:
    """What tasks have in common that are served by the same compiled programs."""
    cell = task.finding.cell
    return cell.loss, cell.implementation, cell.dtype


def refined(
    diagnoses: Sequence[Diagnosis],
    findings: Sequence[Finding],
    variants: Mapping[Named, Mapping[Placed, Variant]],
    implementations: Mapping[Named, Implementation],
    tolerance: Callable[[Cell], Tolerance],
    workers: int,
    deaths: list[str],
) -> tuple[tuple[Diagnosis, ...], tuple[Finding, ...], tuple[str, ...]]:
    """The diagnoses with smaller witnesses, the findings with what usual tests say, and failures.

    Args:
        diagnoses: the diagnoses.
        findings: all findings.
        variants: the forms that explain them, by implementation, cause, dtype and quantity.
        implementations: the implementations by loss and name.
        tolerance: gives the tolerance of a cell.
        workers: number of processes.
        deaths: messages about workers that died are added here.
    """
    shown = _shown(diagnoses)
    tasks: list[Refining] = []
    for diagnosis in shown:
        finding = _telling(diagnosis, findings)
        implementation = implementations[diagnosis.loss, diagnosis.implementation]
        variant = _variant_of(finding, diagnosis.cause, variants)
        tasks.append(
            Refining(finding, implementation, tolerance(finding.cell), diagnosis.cause, variant)
        )
    faults = [
        each
        for each in findings
        if each.kind not in NOTES
        and each.witness is not None
        and (each.cell.loss, each.cell.implementation) in implementations
    ]
    first: dict[tuple[object, ...], int] = {}
    if len(faults) <= FEW_FINDINGS:
        for number, each in enumerate(faults):
            alone = first.setdefault(_alike(each), number) == number
            implementation = implementations[each.cell.loss, each.cell.implementation]
            cause = Cause(each.cause) if each.cause else None
            variant = _variant_of(each, cause, variants) if cause else None
            tasks.append(
                Refining(each, implementation, tolerance(each.cell), cause, variant, smaller=alone)
            )
    else:
        faults = []

    def again(death: Death[Refining]) -> Refining:
        deaths.append(f"a worker died of {death.how} while a witness was made smaller")
        return replace(death.task, given_up=True)

    shared = list(implementations.values())
    with run_tasks(_work, tasks, workers, again, shared=shared, alike=_programs) as came:
        answers = [each for _, each in came]
    results = [finding for finding, _ in answers]
    smaller = dict(zip(map(id, shown), results[: len(shown)], strict=True))
    told = results[len(shown) :]
    refined_ones = {
        id(finding): _sharing(result, told[first[_alike(finding)]])
        for finding, result in zip(faults, told, strict=True)
    }
    return (
        tuple(
            _with(each, smaller[id(each)]) if id(each) in smaller else each for each in diagnoses
        ),
        tuple(refined_ones.get(id(each), each) for each in findings),
        tuple(message for _, message in answers if message),
    )


def _alike(finding: Finding) -> tuple[object, ...]:
    """Findings of which one small witness shows all: they differ in the sweep only."""
    cell = finding.cell
    name = (cell.loss, cell.implementation, cell.dtype, cell.quantity)
    return (*name, finding.kind, finding.cause, finding.detail)


def _sharing(finding: Finding, other: Finding) -> Finding:
    """A finding with the small witness of one that is alike, if that is bad enough for it too."""
    small, own = other.witness, finding.witness
    if finding is other or other.original is None or small is None or own is None:
        return finding
    if finding.kind in OF_CALLS | WITHOUT_RESULT or np.ndim(small.logits) != np.ndim(own.logits):
        return finding
    if small.ulp_error < min(own.ulp_error, own.ulp_error**KEPT_BITS):
        return finding
    return replace(finding, witness=small, original=own)


def _variant_of(
    finding: Finding, cause: Cause, variants: Mapping[Named, Mapping[Placed, Variant]]
) -> Variant | None:
    """The form that gives the results of a finding with a cause."""
    cell = finding.cell
    known = variants.get((cell.loss, cell.implementation), {})
    return known.get((cause, cell.dtype, cell.quantity.value))


def _shown(diagnoses: Sequence[Diagnosis]) -> list[Diagnosis]:
    """Of each cause the diagnosis that explains the most rows: the one that is shown."""
    found: dict[Cause, Diagnosis] = {}
    for each in diagnoses:
        if each.witness is None or each.cell is None or each.kind is None:
            continue
        known = found.get(each.cause)
        if known is None or each.rows > known.rows:
            found[each.cause] = each
    return list(found.values())


def _telling(diagnosis: Diagnosis, findings: Sequence[Finding]) -> Finding:
    """The finding that shows the cause best: the gravest kind, then the largest error."""
    own = [
        each
        for each in findings
        if each.cause == str(diagnosis.cause)
        and each.witness is not None
        and (each.cell.loss, each.cell.implementation) == (diagnosis.loss, diagnosis.implementation)
    ]
    if own:
        return min(own, key=lambda each: (gravity(each.kind), -_error(each)))
    assert diagnosis.kind is not None
    assert diagnosis.cell is not None
    return Finding(diagnosis.kind, diagnosis.cell, 1, diagnosis.witness)


def _error(finding: Finding) -> float:
    error = np.nan if finding.witness is None else finding.witness.ulp_error
    return float("inf") if np.isnan(error) else float(error)


def _with(diagnosis: Diagnosis, finding: Finding) -> Diagnosis:
    cell = finding.cell
    place = f"{cell.dtype} {cell.quantity}:"
    explains = sorted(
        diagnosis.explains,
        key=lambda each: (each.dtype, each.quantity) != (cell.dtype, cell.quantity),
    )
    return replace(
        diagnosis,
        witness=finding.witness,
        original=finding.original,
        cell=cell,
        kind=finding.kind,
        evidence=tuple(sorted(diagnosis.evidence, key=lambda each: not each.startswith(place))),
        explains=tuple(explains),
        usual=finding.usual,
    )


def _work(task: Refining, tell: Callable[[str], None]) -> tuple[Finding, str]:
    """The finding, refined, and a message if that failed by a fault of ours."""
    if task.given_up:
        return task.finding, ""
    try:
        return _refined(task, tell), ""
    except Exception as error:  # a fault of ours costs the smaller witness, not the report
        what = f"{type(error).__name__}: {error}"
        name = task.implementation.name
        return task.finding, f"{INTERNAL_ERROR}: a witness of {name} was not made smaller: {what}"


def _refined(task: Refining, tell: Callable[[str], None]) -> Finding:
    finding = task.finding
    if task.smaller:
        same = None
        if task.variant is not None and task.cause is not None:
            same = _same_cause(task.variant, task.cause)
        smaller = shrunk(
            finding, task.implementation, task.tolerance, tell, same_cause=same, most_calls=CALLS
        )
        if smaller.witness is not None and smaller.witness.logits.size <= READABLE:
            finding = smaller
    try:
        usual: tuple[UsualTest, ...] = usual_tests(finding, task.implementation, tell)
    except UncertifiedError:
        return finding
    return replace(finding, usual=usual)


def _same_cause(variant: Variant, cause: Cause) -> Callable[[Case, Array], npt.NDArray[np.bool_]]:
    """Whether rows have a cause, by what the form loses on them."""

    def same(case: Case, results: Array) -> npt.NDArray[np.bool_]:
        target = format_of(results.dtype)
        assert target is not None
        out, steps = run(variant, case, target.name)
        if case.reduced:  # one answer for the block: the kind is enough
            return np.ones(1, dtype=np.bool_)
        causes = steps.causes(out.reshape(case.rows, -1))
        return np.array([each is cause for each in causes.tolist()], dtype=np.bool_)

    return same
