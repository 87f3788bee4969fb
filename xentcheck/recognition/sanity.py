"""The sanity check before a sweep: its findings for the report, and the sweeps that it drops.

A function that is audited by itself (`check`) is not swept if it is recognised as another function:
one finding says more than a fault for every sweep. A function of a configuration is swept anyway.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from xentcheck.errors import TargetError, UncertifiedError
from xentcheck.execution import Death, run_tasks
from xentcheck.floats import from_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.parameters import obstacle
from xentcheck.measurement.candidate import alone
from xentcheck.measurement.scoring import score
from xentcheck.model import (
    ABOUT,
    Cell,
    Config,
    Finding,
    Implementation,
    Input,
    Kind,
    LabelKind,
    Measurement,
    Quantity,
    Scored,
    Skip,
    Sweep,
    Tolerance,
    Witness,
    selected,
)
from xentcheck.recognition.exams import NAME
from xentcheck.recognition.recognising import Recognition, recognised
from xentcheck.reference import exact
from xentcheck.reference.enclosures import decimal_text, expected

_PREFERRED = ("float32", "float64")


@dataclass(frozen=True, slots=True, eq=False)
class Sanity:
    """The result of the check.

    ``config`` has the sweeps that are still to run. The other fields go into the report.
    """

    config: Config
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    recognitions: Mapping[str, Recognition] = field(default_factory=dict)  # by implementation name


def check(
    config: Config,
    given: Sequence[Implementation],
    described: Sequence[Implementation],
    workers: int,
) -> Sanity:
    """Call users' own functions on mild rows.

    Args:
        config: the audit. Its sweeps determine the functions, labels, parameters and dtypes.
        given: functions that are audited by themselves. They are not swept if they are recognised
            as another function.
        described: functions of the configuration. They are swept in any case.
        workers: number of worker processes. If it is more than one, a function of this process is
            called in another process.

    Raises:
        TargetError: a given function cannot be called as asked, or one of either sort returns
            arrays of a framework that it is not audited with.
    """
    left = config
    measurements: list[Measurement] = []
    findings: list[Finding] = []
    skips: list[Skip] = []
    recognitions = {}
    for single, implementations in ((True, given), (False, described)):
        for each in implementations:
            sweep = _sweep_of(config, each)
            found = None if sweep is None else _asked(each, sweep, workers)
            if found is None:
                continue
            recognitions[each.name] = found
            if found.refused and (single or found.foreign):
                help_ = found.hint if single else found.hint.replace("--framework ", "framework: ")
                raise TargetError(f"{each.name}: {found.text}\n    help: {help_}")
            measurement, finding = _told(each, found)
            measurements.append(measurement)
            findings.append(finding)
            if single and found.known and not _allowed(config, measurement.cell):
                left, reason = _without(left, found.quantity)
                skips.append(Skip(reason, each.loss, each.name))
    return Sanity(left, tuple(measurements), tuple(findings), tuple(skips), recognitions)


def _sweep_of(config: Config, implementation: Implementation) -> Sweep | None:
    """Return the first sweep that audits a function, or None."""
    for sweep in config.sweeps:
        if implementation.loss in sweep.losses and selected(
            implementation.name, sweep.implementations
        ):
            return sweep
    return None


def _asked(implementation: Implementation, sweep: Sweep, workers: int) -> Recognition | None:
    loss = LOSSES[implementation.loss]
    kind = sweep.label_kind or loss.label_kinds[0]
    dtypes = [each for each in sweep.dtypes if each in implementation.dtypes]
    dtype = next((each for each in _PREFERRED if each in dtypes), dtypes[0] if dtypes else "")
    parameters = _first_of(sweep, implementation)
    if not dtype or parameters is None or not _takes(implementation, kind):
        return None

    return guarded(
        implementation,
        lambda: recognised(
            implementation,
            loss.id,
            kind,
            parameters,
            dtype,
            tuple(sweep.quantities),
            integers=sweep.integers,
        ),
        workers,
    )


def guarded(
    implementation: Implementation, ask: Callable[[], Recognition | None], workers: int
) -> Recognition | None:
    """Return the result of ``ask``; None if the function ended its process.

    With more than one worker, a function of this process is called in another one, as in the audit.
    """

    def work(task: None, tell: Any) -> Recognition | None:
        return ask()

    def again(death: Death[None]) -> None:
        raise _DiedError

    if implementation.process is not None or workers == 1:
        return work(None, None)
    try:
        with run_tasks(work, (None,), workers, again) as results:
            return next(found for _, found in results)
    except _DiedError:
        return None


class _DiedError(Exception):
    """The function ended its process. The audit reports that."""


def _takes(implementation: Implementation, kind: LabelKind) -> bool:
    return kind is LabelKind.NONE or kind in implementation.label_kinds


def _first_of(sweep: Sweep, implementation: Implementation) -> dict[str, Any] | None:
    """Return the first value of each axis; None if the function does not take one of them."""
    first = {name: axis[0] for name, axis in sweep.parameters.items() if axis}
    loss = LOSSES[implementation.loss]
    unfit = obstacle(loss, implementation, first, sweep.dtypes[0])
    return None if unfit else first


def _allowed(config: Config, cell: Cell) -> bool:
    limit = config.limit_for(cell)
    return limit is None or Kind.OTHER_FUNCTION in limit.allow


def _without(config: Config, quantity: Quantity) -> tuple[Config, str]:
    """Remove a quantity of another function from the sweeps. Return the rest, and the reason.

    If the value is of another function, no sweep is left.
    """
    reason = f"another function by the {NAME} of its {quantity}; --no-sanity-check sweeps it"
    if quantity is Quantity.VALUE:
        return replace(config, sweeps=()), reason
    kept: Iterable[Sweep] = (
        replace(sweep, quantities=tuple(q for q in sweep.quantities if q is not quantity))
        for sweep in config.sweeps
    )
    return replace(config, sweeps=tuple(each for each in kept if each.quantities)), reason


def _told(implementation: Implementation, found: Recognition) -> tuple[Measurement, Finding]:
    """Return a recognition as a measurement and a finding of the report."""
    case = found.exam.case
    rows = found.rows or case.rows
    cell = Cell(case.loss, implementation.name, case.dtype, found.quantity, NAME)
    witness = _witness(found)
    finding = Finding(
        Kind.OTHER_FUNCTION,
        cell,
        rows,
        witness=witness,
        hint=found.hint or ABOUT[Kind.OTHER_FUNCTION].hint,
        detail=found.text,
    )
    measurement = Measurement(
        cell=cell,
        rows=rows,
        max_ulp=math.nan,
        p99_ulp=math.nan,
        median_ulp=math.nan,
        max_abs=math.nan,
        counts={Kind.OTHER_FUNCTION: rows},
        witness=witness,
        result_dtype=found.result_dtype,
    )
    return measurement, finding


def _witness(found: Recognition) -> Witness:
    """Return the row that shows it. A compared row gets its exact result from the arbiter."""
    whole = found.exam.case
    case, row = (whole, found.row) if whole.reduced else alone(whole, found.row)
    given = Input.of(case, None if whole.reduced else 0, row=whole.start + found.row)
    bare = Witness(given, note=found.text)
    if not found.result_dtype:
        return bare
    try:
        certain = exact(case)
    except UncertifiedError:
        return bare
    enclosures = certain.value if found.quantity is Quantity.VALUE else certain.gradient
    at: tuple[int, ...] = () if enclosures.shape == () else (row,)
    if found.index is not None:
        at = (row, found.index)
    results = from_float64(np.full(enclosures.shape, found.actual), found.result_dtype)
    scores = score(
        results,
        enclosures,
        quantity=found.quantity,
        tolerance=Tolerance(),
        nonnegative=False,
        terms=case.classes,
    )
    scored = Scored(
        actual=found.actual,
        expected=expected(enclosures, at, found.result_dtype),
        exact=decimal_text(enclosures, at),
        ulp_error=float(scores.ulp_error[at]),
        abs_error=float(scores.abs_error[at]),
        index=found.index,
        result_dtype=found.result_dtype,
    )
    return Witness(given, scored)
