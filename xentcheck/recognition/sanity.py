"""The sanity check before a sweep: what it found, as a report has it, and what need not be swept.

What is audited by itself (`check`) is not swept where it was recognised as another function: one
finding says more than a kind of fault for every sweep. What a configuration describes is swept all
the same.
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
from xentcheck.losses.spec import picked
from xentcheck.measurement.candidate import alone
from xentcheck.measurement.scoring import score
from xentcheck.model import (
    ABOUT,
    Cell,
    Config,
    Finding,
    Implementation,
    Kind,
    LabelKind,
    Measurement,
    Quantity,
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
    """What the check came to.

    ``config`` is what is left to be swept; the others go into the report.
    """

    config: Config
    measurements: tuple[Measurement, ...] = ()
    findings: tuple[Finding, ...] = ()
    skips: tuple[Skip, ...] = ()
    recognitions: Mapping[str, Recognition] = field(default_factory=dict)  # by implementation


def check(
    config: Config,
    given: Sequence[Implementation],
    described: Sequence[Implementation],
    workers: int,
) -> Sanity:
    """Ask users' own functions about mild rows.

    Args:
        config: what is audited; its sweeps say which functions, labels, parameters and dtypes.
        given: audited by themselves: what is recognised is not swept.
        described: of the configuration: swept in any case.
        workers: more than one: a function of this process is called in another.

    Raises:
        TargetError: a given function cannot be called as asked.
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
            if found.refused and single:
                raise TargetError(f"{each.name}: {found.text}\n    help: {found.hint}")
            measurement, finding = _told(each, found)
            measurements.append(measurement)
            findings.append(finding)
            if single and found.known and not _allowed(config, measurement.cell):
                left, reason = _without(left, found.quantity)
                skips.append(Skip(reason, each.loss, each.name))
    return Sanity(left, tuple(measurements), tuple(findings), tuple(skips), recognitions)


def _sweep_of(config: Config, implementation: Implementation) -> Sweep | None:
    """The first sweep that a function is audited on."""
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
    """What comes of asking; None where the function took its process with it.

    With more than one worker a function of this process is asked in another, as in the audit.
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
    """The function took its process with it: the audit says so."""


def _takes(implementation: Implementation, kind: LabelKind) -> bool:
    return kind is LabelKind.NONE or kind in implementation.label_kinds


def _first_of(sweep: Sweep, implementation: Implementation) -> dict[str, Any] | None:
    """The first value of each axis; None where the function does not take one of them."""
    first = {name: axis[0] for name, axis in sweep.parameters.items() if axis}
    loss = LOSSES[implementation.loss]
    unfit = obstacle(loss, implementation, first, sweep.dtypes[0])
    return None if unfit else first


def _allowed(config: Config, cell: Cell) -> bool:
    limit = config.limit_for(cell)
    return limit is None or Kind.OTHER_FUNCTION in limit.allow


def _without(config: Config, quantity: Quantity) -> tuple[Config, str]:
    """What is left to sweep when a quantity is of another function, and why the rest is not."""
    reason = f"another function by the {NAME} of its {quantity}; --no-sanity-check sweeps it"
    if quantity is Quantity.VALUE:
        return replace(config, sweeps=()), reason
    kept: Iterable[Sweep] = (
        replace(sweep, quantities=tuple(q for q in sweep.quantities if q is not quantity))
        for sweep in config.sweeps
    )
    return replace(config, sweeps=tuple(each for each in kept if each.quantities)), reason


def _told(implementation: Implementation, found: Recognition) -> tuple[Measurement, Finding]:
    """A recognition as a line of a report, and its finding."""
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
    """The row that shows it, with its exact result by the arbiter where one was compared."""
    whole = found.exam.case
    case, row = (whole, found.row) if whole.reduced else alone(whole, found.row)
    where: Any = slice(None) if whole.reduced else 0
    nothing = math.nan
    bare = Witness(
        logits=case.logits[where],
        labels=None if case.labels is None else case.labels[where],
        parameters=picked(case.parameters, where),
        actual=nothing,
        expected=nothing,
        exact="",
        ulp_error=nothing,
        abs_error=nothing,
        row=whole.start + found.row,
        generator=whole.generator,
        note=found.text,
    )
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
    return replace(
        bare,
        actual=found.actual,
        expected=expected(enclosures, at, found.result_dtype),
        exact=decimal_text(enclosures, at),
        ulp_error=float(scores.ulp_error[at]),
        abs_error=float(scores.abs_error[at]),
        index=found.index,
        result_dtype=found.result_dtype,
        note="",
    )
