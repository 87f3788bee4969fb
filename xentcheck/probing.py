"""A question in the moment: every implementation of a loss on one input."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from xentcheck import registry
from xentcheck.auditing import (
    SURVEY_TOLERANCE,
    check_patterns,
    environment,
    function_for,
    patient,
)
from xentcheck.collection import Arbitration, Tally, close, compare, measure
from xentcheck.errors import UnknownNameError, UnsupportedError, UsageError
from xentcheck.execution import Outcomes, hosts, unsupported
from xentcheck.floats import FORMATS, format_of, from_float64, to_float64
from xentcheck.losses import loss_of
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Array,
    Case,
    Cell,
    Enclosures,
    Finding,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Measurement,
    ParameterValue,
    Process,
    Quantity,
    Report,
    Skip,
)
from xentcheck.reference import Tier, Truth, confirm, exact
from xentcheck.scoring import ULP_DEFINITION, decimal_text, expected, kind_of, score
from xentcheck.sweeps.parameters import combinations, materialise

METHOD = "mpmath intervals, precision raised until decided"


@dataclass(frozen=True, slots=True)
class ProbeNumber:
    """One result of a probe against the exact one."""

    row: int
    index: int | None
    actual: float
    exact: str
    expected: float
    ulp_error: float
    kind: Kind | None
    result_dtype: str


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """What one implementation returned for one quantity in one dtype."""

    implementation: str
    dtype: str
    quantity: Quantity
    results: tuple[ProbeNumber, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class ProbeResult:
    """All implementations of a loss on one input."""

    report: Report
    lines: tuple[ProbeLine, ...]


def probe(
    loss_id: str,
    logits: Sequence[float],
    *,
    labels: float | Sequence[float] | None = None,
    parameters: Mapping[str, Any] | None = None,
    dtypes: Sequence[str] = ("float16", "bfloat16", "float32", "float64"),
    implementations: Sequence[str] = ("*",),
    extra: Sequence[Implementation] = (),
    timeout_s: float | None = None,
) -> ProbeResult:
    """All implementations of a loss on one input.

    Args:
        loss_id: the loss.
        logits: one row; for an elementwise loss each number is a row of its own.
        labels: an integer class, a distribution, or for an elementwise loss one target or one per
            number. For softmax and log_softmax the component that is differentiated (default: the
            largest).
        parameters: by name; reals are rounded to each dtype, lists become class vectors.
        dtypes: the logits are rounded to each of them.
        implementations: patterns of names.
        extra: further implementations, beside the registered ones.
        timeout_s: how long one call of a framework or of users' code may take.

    Frameworks are loaded side by side, each in a process of its own, while NumPy's implementations
    are called.

    Raises:
        UnknownNameError: no such loss or dtype, or a pattern that matches nothing.
        UsageError: no logits, or labels or parameters that do not go with the loss.
    """
    loss = loss_of(loss_id)
    registered, skips = registry.load_registered()
    known = [patient(each, timeout_s) for each in (*registered, *extra) if each.loss == loss.id]
    check_patterns(implementations, known)
    unique: dict[Skip, None] = dict.fromkeys(skips)
    chosen = []
    for each in known:
        if registry.selected(each.name, implementations):
            obstacle = "" if each.process is None else hosts.missing(each.process)
            if obstacle:
                assert each.process is not None
                unique.setdefault(Skip(obstacle, missing=each.process.name))
            else:
                chosen.append(each)
    chosen.sort(key=lambda each: each.process is not None)
    processes = {each.process for each in chosen if each.process is not None}
    hosts.start(processes)
    try:
        return _probe(loss, logits, labels, parameters or {}, dtypes, chosen, unique, processes)
    finally:
        hosts.close()


def _probe(
    loss: Loss,
    logits: Sequence[float],
    labels: float | Sequence[float] | None,
    parameters: Mapping[str, Any],
    dtypes: Sequence[str],
    chosen: Sequence[Implementation],
    unique: dict[Skip, None],
    processes: Iterable[Process],
) -> ProbeResult:
    lines: list[ProbeLine] = []
    measurements: list[Measurement] = []
    findings: list[Finding] = []
    confirmed = 0
    for dtype in dtypes:
        case = _probe_case(loss, dtype, logits, labels, parameters)
        certain = exact(case)
        truth = Truth(case, tiers=(Tier.MPMATH,))
        arbitration = Arbitration(exact)
        came: dict[tuple[str, Quantity], Outcomes] = {}
        confirmed += sum(confirm(case, row) for row in range(case.rows))
        for each in chosen:
            reason = unsupported(each, case)
            if reason:
                unique.setdefault(Skip(reason, loss.id, each.name, dtype))
                continue
            for quantity in Quantity:
                if function_for(each, quantity) is None:
                    unique.setdefault(
                        Skip(f"has no {quantity}", loss.id, each.name, quantity=quantity.value)
                    )
                    continue
                cell = Cell(loss.id, each.name, dtype, quantity, "probe")
                collected = Tally()
                try:
                    observed = measure(collected, each, case, truth, quantity, SURVEY_TOLERANCE)
                except UnsupportedError as error:
                    skip = Skip(str(error), loss.id, each.name, dtype, quantity.value)
                    unique.setdefault(skip)
                    continue
                came[each.name, quantity] = observed
                compare(collected, each, quantity, came, truth, SURVEY_TOLERANCE)
                note = "; ".join(incident.detail for incident in collected.incidents.values())
                measurement, found = close(cell, collected, SURVEY_TOLERANCE, arbitration)
                measurements.append(measurement)
                findings += found
                enclosures = certain.value if quantity is Quantity.VALUE else certain.gradient
                numbers = _numbers(observed, enclosures, loss, quantity)
                lines.append(ProbeLine(each.name, dtype, quantity, numbers, note))
    report = Report(
        environment=environment(processes),
        seed=0,
        config={},
        measurements=tuple(measurements),
        findings=tuple(findings),
        violations=(),
        skips=tuple(unique),
        yields=(),
        gated=False,
        reference={
            "method": METHOD,
            "ulp": ULP_DEFINITION,
            "witnesses_confirmed_by_definition": confirmed,
        },
    )
    return ProbeResult(report, tuple(lines))


def _numbers(
    observed: Outcomes, truth: Enclosures, loss: Loss, quantity: Quantity
) -> tuple[ProbeNumber, ...]:
    results = observed.results
    if results is None:
        return ()
    scores = score(
        results,
        truth,
        quantity=quantity,
        tolerance=SURVEY_TOLERANCE,
        nonnegative=loss.nonnegative and quantity is Quantity.VALUE,
    )
    target = format_of(results.dtype)
    assert target is not None
    numbers = []
    for position in np.ndindex(results.shape):
        if position and not observed.valid[position[0]]:
            continue
        numbers.append(
            ProbeNumber(
                row=position[0] if position else 0,
                index=position[1] if len(position) > 1 else None,
                actual=float(to_float64(np.asarray(results[position]))),
                exact=decimal_text(truth, position),
                expected=expected(truth, position, target.name),
                ulp_error=float(scores.ulp_error[position]),
                kind=kind_of(int(scores.kinds[position])),
                result_dtype=target.name,
            )
        )
    return tuple(numbers)


def _probe_case(
    loss: Loss,
    dtype: str,
    logits: Sequence[float],
    labels: float | Sequence[float] | None,
    parameters: Mapping[str, Any],
) -> Case:
    if dtype not in FORMATS:
        raise UnknownNameError("dtype", dtype, FORMATS)
    if not len(logits):
        message = "there are no logits"
        raise UsageError(message)
    x = from_float64(np.asarray(logits, dtype=np.float64), dtype)
    if loss.layout is Layout.ROWS:
        x = x[np.newaxis]
    declared = loss.parameter("ignore_index")
    ignored = parameters.get("ignore_index", declared.default if declared else None)
    kind, label = _probe_labels(loss, dtype, x, labels, ignored)
    return Case(
        sweep="probe",
        generator="explicit",
        loss=loss.id,
        dtype=dtype,
        logits=x,
        label_kind=kind,
        labels=label,
        parameters=_probe_parameters(loss, kind, dtype, x, parameters),
    )


def _probe_labels(
    loss: Loss,
    dtype: str,
    x: Array,
    labels: float | Sequence[float] | None,
    ignored: int | None,
) -> tuple[LabelKind, Array | None]:
    kinds = loss.label_kinds
    size = x.shape[-1]
    if LabelKind.NONE in kinds:
        if labels is not None:
            message = f"{loss.id} takes no labels"
            raise UsageError(message)
        return LabelKind.NONE, None
    if labels is None:
        if loss.per_class:
            return LabelKind.INTEGER, np.array([np.argmax(to_float64(x))], dtype=np.int64)
        message = f"{loss.id} needs {' or '.join(kinds)} labels"
        raise UsageError(message)
    if isinstance(labels, (int, float)):
        if LabelKind.TARGET in kinds:
            return LabelKind.TARGET, from_float64(np.full(size, float(labels)), dtype)
        if LabelKind.INTEGER not in kinds:
            message = f"{loss.id} needs a distribution, one number per class"
            raise UsageError(message)
        if not float(labels).is_integer():
            message = f"label {labels} is not a class number"
            raise UsageError(message)
        if not (0 <= labels < size or labels == ignored):
            message = f"label {int(labels)} is not one of the classes 0 to {size - 1}"
            raise UsageError(message)
        return LabelKind.INTEGER, np.array([int(labels)], dtype=np.int64)
    if len(labels) != size:
        message = f"{len(labels)} labels for {size} logits"
        raise UsageError(message)
    rounded = from_float64(np.asarray(labels, dtype=np.float64), dtype)
    if LabelKind.TARGET in kinds:
        return LabelKind.TARGET, rounded
    if LabelKind.DISTRIBUTION not in kinds:
        message = f"{loss.id} takes a class number as its label, not a distribution"
        raise UsageError(message)
    return LabelKind.DISTRIBUTION, rounded[np.newaxis]


def _probe_parameters(
    loss: Loss, kind: LabelKind, dtype: str, x: Array, parameters: Mapping[str, Any]
) -> dict[str, ParameterValue]:
    axes = {name: (value,) for name, value in parameters.items()}
    (combination,) = combinations(loss, kind, axes)
    for name, (_, value) in combination.items():
        if isinstance(value, list | tuple) and len(value) != x.shape[-1]:
            message = f"{name} has {len(value)} numbers for {x.shape[-1]} classes"
            raise UsageError(message)
    return materialise(combination, x.shape, dtype, seed=0, place=("probe",))
