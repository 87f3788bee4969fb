"""Calls every implementation of a loss on one input.

The input is a row or a block of rows, given as numbers, or a row of a sweep.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from xentcheck import registry
from xentcheck.auditing.environment import environment
from xentcheck.auditing.explain import explained
from xentcheck.auditing.part import calls
from xentcheck.auditing.plan import check_patterns, check_time, patient, reachable
from xentcheck.auditing.probe_input import Row, Rows, probe_case
from xentcheck.errors import UnknownNameError, UnsupportedError, UsageError
from xentcheck.execution import Returned, begin, hosts
from xentcheck.floats import FORMATS, STANDARD, ULP_DEFINITION, format_of, from_float64, to_float64
from xentcheck.losses import loss_of
from xentcheck.losses.spec import Loss
from xentcheck.measurement import Arbitration, Questions, Tally, close, compare_variants, measure
from xentcheck.measurement.candidate import alone
from xentcheck.measurement.scoring import score, unflushed_kind
from xentcheck.model import (
    SURVEY_TOLERANCE,
    Case,
    Cell,
    Domain,
    Explanation,
    Finding,
    Implementation,
    Input,
    Kind,
    LabelKind,
    Layout,
    Measurement,
    ProbeLine,
    ProbeNumber,
    ProbeProgress,
    ProbeResult,
    Process,
    Quantity,
    Report,
    Skip,
    Sweep,
    kind_of,
    selected,
)
from xentcheck.reference import (
    Reference,
    Tier,
    confirm,
    distinct_places,
    exact_of_block,
    few_distinct,
)
from xentcheck.reference.enclosures import Enclosures, decimal_text, expected
from xentcheck.sweeps import fitted
from xentcheck.sweeps.assembly import located

Progressing: TypeAlias = Callable[[ProbeProgress], None]

METHOD = "mpmath intervals, precision raised until decided"


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A case, and the row of it that is shown (None: all rows)."""

    case: Case
    row: int | None = None


def probe(
    loss_id: str,
    logits: Row | Rows,
    *,
    labels: float | Row | Rows | None = None,
    parameters: Mapping[str, Any] | None = None,
    dtypes: Sequence[str] = STANDARD,
    implementations: Sequence[str] = ("*",),
    extra: Sequence[Implementation] = (),
    timeout_s: float | None = None,
    explain: bool = False,
    progress: Progressing | None = None,
) -> ProbeResult:
    """Call all implementations of a loss on one input.

    Frameworks load in parallel, each in its own process, while NumPy's implementations are called.

    Args:
        loss_id: the name of the loss.
        logits: one row, or rows of equal length. For an elementwise loss each number is a row.
        labels: an integer class, or one class per row; a distribution, or one per row; for an
            elementwise loss one target, or one per number. For softmax and log_softmax it is the
            component that is differentiated (default: the largest).
        parameters: values by name. Reals are rounded to each dtype, lists become class vectors, and
            lists of rows become matrices with one number per row and class.
        dtypes: names of dtypes. The logits are rounded to each of them.
        implementations: patterns of implementation names.
        extra: more implementations, beside the registered ones.
        timeout_s: time limit in seconds for one call of a framework or of users' code. None: the
            limit of its process.
        explain: explain what is wrong step by step, where one row is asked about.
        progress: called whenever a result is there.

    Raises:
        UnknownNameError: there is no such loss or dtype, or a pattern matches nothing.
        UsageError: there are no logits, or labels or parameters do not fit the loss.
    """
    loss = loss_of(loss_id)

    def asked(dtype: str) -> _Asked:
        return _Asked(probe_case(loss, dtype, logits, labels, parameters or {}))

    how = (dtypes, implementations, extra, timeout_s)
    result = _answered(loss, asked, *how, explain=explain, progress=progress)
    return replace(result, notes=tuple(_doubts(loss, dtypes, logits, labels)))


_MOST_DOUBTED = 3  # maximum count of numbers in one note


def _doubts(
    loss: Loss, dtypes: Sequence[str], logits: Row | Rows, labels: float | Row | Rows | None
) -> Iterator[str]:
    """Notes about input that may be a mistake: numbers out of range, sums that are not 1."""
    given = {"logits" if loss.domain is Domain.LOGITS else "input": logits, "labels": labels}
    for what, numbers in given.items():
        if numbers is None:
            continue
        written = np.atleast_1d(np.asarray(numbers, dtype=np.float64))
        for dtype in dtypes:
            rounded = to_float64(from_float64(written, dtype))
            beyond = np.isfinite(written) & ~np.isfinite(rounded)
            for lost, became in ((beyond, ""), ((written != 0) & (rounded == 0), "0")):
                if lost.any():
                    shown = [f"{each:g}" for each in written[lost][:_MOST_DOUBTED].tolist()]
                    more = ", …" if int(lost.sum()) > _MOST_DOUBTED else ""
                    values = became or " and ".join(
                        dict.fromkeys(f"{each:g}" for each in rounded[lost].tolist())
                    )
                    verb = "is" if int(lost.sum()) == 1 else "are"
                    yield f"{', '.join(shown)}{more} of the {what} {verb} {values} in {dtype}"
    if loss.layout is not Layout.ROWS:
        return
    spacing = max(FORMATS[dtype].epsilon for dtype in dtypes)
    distributions = {
        "labels": labels if LabelKind.DISTRIBUTION in loss.label_kinds else None,
        "probabilities": logits if loss.domain is Domain.PROBABILITIES else None,
    }
    for what, numbers in distributions.items():
        if numbers is None or not np.ndim(numbers) or _are_classes(loss, logits, numbers, what):
            continue
        for number, row in enumerate(np.atleast_2d(np.asarray(numbers, dtype=np.float64))):
            total = float(row.sum())
            if math.isfinite(total) and abs(total - 1.0) > (len(row) + 1) * spacing:
                where = f" of row {number}" if np.ndim(numbers) == 2 else ""
                yield f"the {what}{where} sum to {total:.6g}, not to 1, and are taken as they are"


def _are_classes(loss: Loss, logits: Row | Rows, numbers: Any, what: str) -> bool:
    """Whether labels are one class per row and not a distribution."""
    return what == "labels" and np.ndim(logits) == 2 and np.ndim(numbers) == 1


def probe_row(
    loss_id: str,
    sweep: Sweep,
    row: int,
    *,
    seed: int = 0,
    block: bool = False,
    dtypes: Sequence[str] = STANDARD,
    implementations: Sequence[str] = ("*",),
    extra: Sequence[Implementation] = (),
    timeout_s: float | None = None,
    explain: bool = False,
    progress: Progressing | None = None,
) -> ProbeResult:
    """Call all implementations of a loss on a row of a sweep, like `probe`.

    Args:
        loss_id: the name of one of the sweep's losses.
        sweep: the sweep. It defines the row, its labels and its parameters; under a reduction, all
            rows of the case are used.
        row: the number of the row in the sweep, for this loss and dtype, as in reports.
        seed: the seed of the sweep's random numbers.
        block: call with the whole case of the row, as in the audit.
        dtypes: names of dtypes of the sweep. The row is a different one in each dtype.
        implementations: patterns of implementation names.
        extra: more implementations, beside the registered ones.
        timeout_s: as for `probe`.
        explain: as for `probe`.
        progress: as for `probe`.

    Raises:
        UnknownNameError: there is no such loss or dtype, or a pattern matches nothing.
        UsageError: the sweep is not for this loss or dtype, or has no such row.
    """
    loss = loss_of(loss_id)
    for kind, name, known in (
        ("loss", loss.id, sweep.losses),
        *(("dtype", dtype, sweep.dtypes) for dtype in dtypes),
    ):
        if name not in known:
            raise UnknownNameError(f"{kind} of sweep {sweep.name}", name, known)
    fitting, reasons = fitted(sweep, loss)
    if fitting is None:
        message = f"sweep {sweep.name} is not for {loss.id}, which {'; '.join(reasons)}"
        raise UsageError(message)

    def asked(dtype: str) -> _Asked:
        case, place = located(fitting, loss, dtype, seed, row)
        if block and not case.reduced:
            return _Asked(case, place)
        return _Asked(case if case.reduced else alone(case, place)[0])

    how = (dtypes, implementations, extra, timeout_s, row)
    return _answered(loss, asked, *how, explain=explain, progress=progress)


def _answered(
    loss: Loss,
    asked: Callable[[str], _Asked],
    dtypes: Sequence[str],
    implementations: Sequence[str],
    extra: Sequence[Implementation],
    timeout_s: float | None,
    numbered: int | None = None,
    *,
    explain: bool,
    progress: Progressing | None,
) -> ProbeResult:
    check_time(timeout_s)
    registered, skips = registry.load_registered()
    known = [patient(each, timeout_s) for each in (*registered, *extra) if each.loss == loss.id]
    check_patterns(implementations, known)
    unique: dict[Skip, None] = dict.fromkeys(skips)
    obstacles: dict[Process, str] = {}
    chosen = [
        each
        for each in known
        if selected(each.name, implementations) and reachable(each, unique.setdefault, obstacles)
    ]
    chosen.sort(key=lambda each: each.process is not None)
    processes = {each.process for each in chosen if each.process is not None}
    try:
        by_dtype = {dtype: asked(dtype) for dtype in dtypes}
        called = [
            (each, one.case, quantity)
            for one in by_dtype.values()
            for each, quantity in calls(one.case, chosen, None, _unheard)
        ]
        hosts.start({each.process: None for each, *_ in called if each.process is not None})
        begin(called)
        result = _probe(
            loss, by_dtype, chosen, unique, processes, explain=explain, progress=progress
        )
    finally:
        hosts.close()
    if numbered is None:
        return result
    rows = {dtype: _input(each, numbered) for dtype, each in by_dtype.items()}
    return replace(result, rows=rows)


def _unheard(_: Skip) -> None:
    """Takes a skip that is noted elsewhere."""


def _input(asked: _Asked, number: int) -> Input:
    """The row of the probe; under a reduction, its block."""
    case = asked.case
    return Input.of(case, None if case.reduced else asked.row or 0, row=number)


def _probe(
    loss: Loss,
    asked: Mapping[str, _Asked],
    chosen: Sequence[Implementation],
    unique: dict[Skip, None],
    processes: Iterable[Process],
    *,
    explain: bool,
    progress: Progressing | None,
) -> ProbeResult:
    known = environment(processes)  # here, while frameworks are imported
    answers: list[_Answer] = []
    there: list[ProbeLine] = []
    confirmed = 0
    for dtype, each_asked in asked.items():
        case, row = each_asked.case, each_asked.row
        shown = case if row is None else alone(case, row)[0]
        certain = dict(zip(Quantity, exact_of_block(shown), strict=True))
        arbited = row is None and few_distinct(case)
        truth = Reference(case, tiers=(Tier.MPMATH,) if arbited else ())
        arbitration = Arbitration()
        came: dict[tuple[str, Quantity], Returned] = {}
        confirmed += sum(confirm(shown, place) for place in distinct_places(shown))
        wanted = tuple(calls(case, chosen, None, unique.setdefault))
        found: dict[tuple[int, Quantity], _Answer | Skip] = {}
        for each, quantity in _as_ready(wanted):
            one = id(each), quantity
            collected = Tally()
            cell = Cell(loss.id, each.name, dtype, quantity, "probe")
            try:
                observed = measure(
                    collected, each, case, truth, quantity, SURVEY_TOLERANCE, questions=Questions()
                )
            except UnsupportedError as error:
                found[one] = Skip(str(error), loss.id, each.name, dtype, quantity.value)
                continue
            came[each.name, quantity] = observed
            compare_variants(collected, each, quantity, came, truth, SURVEY_TOLERANCE)
            note = "; ".join(incident.detail for incident in collected.incidents.values())
            measurement, findings = close(cell, collected, SURVEY_TOLERANCE, arbitration)
            numbers = _numbers(
                _of_row(observed, row),
                certain[quantity],
                loss,
                quantity,
                shown.start,
                classes=shown.classes,
                flushes=collected.flushing.flushes,
            )
            steps: tuple[Explanation, ...] = ()
            if explain and not shown.reduced and shown.rows == 1:
                steps = tuple(explained(each, shown, quantity))
            line = ProbeLine(each.name, dtype, quantity, numbers, note)
            found[one] = _Answer(line, measurement, tuple(findings), steps)
            there.append(line)
            if progress is not None:
                progress(ProbeProgress(tuple(there)))
        for each, quantity in wanted:
            answer = found[id(each), quantity]
            if isinstance(answer, Skip):
                unique.setdefault(answer)
            else:
                answers.append(answer)
    report = Report(
        environment=known,
        seed=0,
        config={},
        measurements=tuple(each.measurement for each in answers),
        findings=tuple(finding for each in answers for finding in each.findings),
        violations=(),
        skips=tuple(unique),
        yields=(),
        gated=False,
        reference={
            "method": METHOD,
            "ulp": ULP_DEFINITION,
            "witnesses_confirmed_by_definition": confirmed,
        },
        origins={
            f"{each.loss} {each.name}": each.probe_words for each in chosen if each.probe_words
        },
    )
    return ProbeResult(
        report,
        tuple(each.line for each in answers),
        explanations=tuple(step for each in answers for step in each.explanations),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What came of one quantity of one implementation."""

    line: ProbeLine
    measurement: Measurement
    findings: tuple[Finding, ...]
    explanations: tuple[Explanation, ...]


def _as_ready(
    wanted: Iterable[tuple[Implementation, Quantity]],
) -> Iterator[tuple[Implementation, Quantity]]:
    """The calls of this process first, then those of each other process when it is ready.

    A variant is called in the process of the implementation that it is a variant of, after it.
    """
    left: dict[Process | None, list[tuple[Implementation, Quantity]]] = {}
    for each, quantity in wanted:
        left.setdefault(each.process, []).append((each, quantity))
    yield from left.pop(None, ())
    while left:
        yield from left.pop(hosts.first_ready(filter(None, left)))


def _of_row(observed: Returned, row: int | None) -> Returned:
    """The results of one row of a block."""
    if row is None or observed.results is None:
        return observed
    return Returned(observed.results[row : row + 1], observed.valid[row : row + 1])


def _numbers(
    observed: Returned,
    truth: Enclosures,
    loss: Loss,
    quantity: Quantity,
    start: int,
    *,
    classes: int,
    flushes: bool,
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
        terms=classes,
    )
    target = format_of(results.dtype)
    assert target is not None
    numbers = []
    for position in np.ndindex(results.shape):
        if position and not observed.valid[position[0]]:
            continue
        kind = kind_of(int(scores.kinds[position]))
        if kind is Kind.FTZ and not flushes:
            kind = unflushed_kind(quantity, float(to_float64(np.asarray(results[position]))))
        numbers.append(
            ProbeNumber(
                row=start + (position[0] if position else 0),
                index=position[1] if len(position) > 1 else None,
                actual=float(to_float64(np.asarray(results[position]))),
                exact=decimal_text(truth, position),
                expected=expected(truth, position, target.name),
                ulp_error=float(scores.ulp_error[position]),
                kind=kind,
                result_dtype=target.name,
            )
        )
    return tuple(numbers)
