"""What is collected of one cell while its cases go by, and what comes of it.

A row's error is that of its worst component, its kind the gravest of its components'. The witness
of a kind is the row with the largest error; among rows without one, the row with fewest classes.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xentcheck.execution import Incident, observe
from xentcheck.floats import format_of, to_float64
from xentcheck.losses.spec import Loss
from xentcheck.model import (
    Array,
    Case,
    Cell,
    Enclosures,
    Exact,
    Finding,
    Float64Array,
    Implementation,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
    Witness,
)
from xentcheck.scoring import (
    KINDS,
    RIGHT,
    Scores,
    decimal_text,
    excess_bits,
    expected,
    radius_in_ulps,
    score,
)

PLATEAU_ROWS = 3
"""So many different exact values must come out as one before that counts as a plateau."""

HINTS: Mapping[Kind, str] = {
    Kind.RAISED: "the call raised; the other rows were scored without it",
    Kind.WRONG_SHAPE: "one value per row (or per class), and a gradient shaped like the logits",
    Kind.WRONG_DTYPE: "return a floating-point array no narrower than the input",
    Kind.MUTATED_INPUT: "copy before writing: callers reuse their arrays",
    Kind.NON_DETERMINISTIC: "the same inputs gave other bits; look for shared state",
    Kind.NAN: "usually inf - inf, 0 * inf or inf / inf: shift by the row's maximum, mask products",
    Kind.MISSED_NAN: "a NaN was swallowed, by a clip or a comparison",
    Kind.SPURIOUS_OVERFLOW: "an intermediate overflowed, or a logarithm met a probability of 0",
    Kind.MISSED_OVERFLOW: "the exact result is infinite; a clip or a finite sentinel hides it",
    Kind.WRONG_SIGN: "rounding went past zero: a difference of nearly equal terms",
    Kind.VANISHED_GRADIENT: "nothing is learned from these rows: p - 1 or a saturated p, or a clip",
    Kind.SPURIOUS_UNDERFLOW: "a small result became 0: log(1 + tiny) wants log1p, 1 - p a tail sum",
    Kind.PLATEAU: "a clip makes the result constant where the exact one goes on",
    Kind.INACCURATE: "digits were lost; the witness shows where most of them went",
    Kind.ROW_DEPENDENT: "a row's result changes with its neighbours: a shift or sum over the batch",
    Kind.FTZ: "subnormal results are flushed to zero",
    Kind.CONVENTION: "differs from the limit convention in a way that is accepted",
}


@dataclass(slots=True, eq=False)
class Shown:
    """A candidate for a witness: where it was seen."""

    case: Case
    row: int
    index: int | None
    actual: float
    result_dtype: str
    exact: Enclosures
    position: tuple[int, ...]
    ulp_error: float
    abs_error: float
    condition: float

    def witness(self) -> Witness:
        case, row = self.case, self.row
        block = case.parameters.get("reduction", "none") != "none"
        where: Any = slice(None) if block else row
        return Witness(
            logits=case.logits[where],
            labels=None if case.labels is None else case.labels[where],
            parameters={
                name: value[where] if isinstance(value, np.ndarray) and value.ndim == 2 else value
                for name, value in case.parameters.items()
            },
            actual=self.actual,
            expected=expected(self.exact, self.position, self.result_dtype),
            exact=decimal_text(self.exact, self.position),
            ulp_error=self.ulp_error,
            abs_error=self.abs_error,
            index=self.index,
            row=case.start + row,
            generator=case.generator,
            result_dtype=self.result_dtype,
            radius_ulp=radius_in_ulps(self.exact, self.position, self.result_dtype),
            excess_bits=(
                excess_bits(self.ulp_error, self.condition, self.result_dtype)
                if np.isfinite(self.ulp_error)
                else None
            ),
        )


@dataclass(slots=True, eq=False)
class Tally:
    """What is collected of one cell while its cases go by."""

    rows: int = 0
    ulps: list[Float64Array] = field(default_factory=list)
    max_abs: float = 0.0
    counts: Counter[Kind] = field(default_factory=Counter)
    shown: dict[Kind | None, Shown] = field(default_factory=dict)
    clipped: dict[float, list[tuple[float, Shown]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    incidents: dict[Kind, Incident] = field(default_factory=dict)
    incident_rows: Counter[Kind] = field(default_factory=Counter)
    incident_cases: dict[Kind, tuple[Case, int]] = field(default_factory=dict)
    result_dtype: str = ""
    negative_zeros: int = 0


def measure(
    collected: Tally,
    implementation: Implementation,
    loss: Loss,
    case: Case,
    truth: Exact,
    quantity: Quantity,
    tolerance: Tolerance,
) -> tuple[Array | None, Scores | None]:
    """Run, score and collect one case; what came back is returned too."""
    observed = observe(implementation, case, quantity)
    collected.rows += case.rows
    for incident in observed.incidents:
        _note(collected, incident, case)
    if observed.results is None:
        return None, None
    is_value = quantity is Quantity.VALUE
    enclosures = truth.value if is_value else truth.gradient
    condition = truth.value_condition if is_value else truth.gradient_condition
    results = observed.results
    scores = score(
        results,
        enclosures,
        condition,
        quantity=quantity,
        tolerance=tolerance,
        nonnegative=loss.nonnegative and is_value,
    )
    target = format_of(results.dtype)
    assert target is not None
    collected.result_dtype = target.name
    if is_value and loss.nonnegative:
        collected.negative_zeros += int(np.count_nonzero((results == 0) & np.signbit(results)))
    _collect(collected, case, results, scores, enclosures, condition, observed.valid, target.name)
    if is_value and not loss.per_class and results.ndim:
        _collect_clipped(collected, case, results, scores, enclosures, target.name)
    return results, scores


def _note(collected: Tally, incident: Incident, case: Case) -> None:
    kind = incident.kind
    rows = len(incident.rows) or case.rows
    collected.incident_rows[kind] += rows
    known = collected.incidents.get(kind)
    if known is None or incident.distance > known.distance:
        collected.incidents[kind] = incident
        collected.incident_cases[kind] = (case, incident.rows[0] if incident.rows else 0)


def _collect(
    collected: Tally,
    case: Case,
    results: Array,
    scores: Scores,
    enclosures: Enclosures,
    condition: Float64Array,
    valid: Any,
    dtype: str,
) -> None:
    block = results.ndim == 0
    rows = 1 if block else case.rows
    kinds = scores.kinds.reshape(rows, -1)
    ulps = scores.ulp_error.reshape(rows, -1)
    absolute = scores.abs_error.reshape(rows, -1)
    alive = np.ones(rows, dtype=np.bool_) if block else valid
    finite = np.where(np.isnan(ulps), -1.0, ulps)
    worst_ulp = finite.max(axis=1)
    gravest = kinds.min(axis=1)
    kept = worst_ulp[alive & (worst_ulp >= 0)]
    if len(kept):
        collected.ulps.append(kept)
    with np.errstate(invalid="ignore"):
        if alive.any() and not np.isnan(absolute[alive]).all():
            collected.max_abs = max(collected.max_abs, float(np.nanmax(absolute[alive])))

    def show(row: int, column: int) -> Shown:
        position = () if block else (row,) if results.ndim == 1 else (row, column)
        return Shown(
            case=case,
            row=row,
            index=None if results.ndim < 2 else column,
            actual=float(to_float64(np.asarray(results[position]))),
            result_dtype=dtype,
            exact=enclosures,
            position=position,
            ulp_error=float(scores.ulp_error[position]),
            abs_error=float(scores.abs_error[position]),
            condition=float(condition[position]),
        )

    for code in np.unique(gravest[alive]):
        here = np.flatnonzero(alive & (gravest == code))
        if code == RIGHT:
            row = int(here[np.argmax(worst_ulp[here])])
            column = int(np.argmax(finite[row]))
            _offer(collected, None, show(row, column))
            continue
        kind = KINDS[code]
        collected.counts[kind] += len(here)
        # among components of the kind, the largest error; otherwise the first
        score_here = np.where(kinds[here] == code, finite[here], -2.0)
        flat = int(np.argmax(score_here))
        row, column = int(here[flat // kinds.shape[1]]), flat % kinds.shape[1]
        shown = show(row, column)
        _offer(collected, kind, shown)
        if kind is not Kind.CONVENTION:
            _offer(collected, None, shown)


def _offer(collected: Tally, kind: Kind | None, shown: Shown) -> None:
    """Take a witness if it is worse than the one held: larger error, then fewer classes."""
    held = collected.shown.get(kind)
    if held is None or _badness(shown) > _badness(held):
        collected.shown[kind] = shown


def _badness(shown: Shown) -> tuple[float, float]:
    error = np.inf if np.isnan(shown.ulp_error) else shown.ulp_error
    return (float(error), -float(shown.case.classes))


def _collect_clipped(
    collected: Tally,
    case: Case,
    results: Array,
    scores: Scores,
    enclosures: Enclosures,
    dtype: str,
) -> None:
    suspicious = [KINDS.index(Kind.INACCURATE), KINDS.index(Kind.MISSED_OVERFLOW)]
    actual = to_float64(results)
    for row in np.flatnonzero(np.isin(scores.kinds, suspicious) & (actual != 0)):
        position = (int(row),)
        value = expected(enclosures, position, "float64")
        shown = Shown(
            case=case,
            row=int(row),
            index=None,
            actual=float(actual[row]),
            result_dtype=dtype,
            exact=enclosures,
            position=position,
            ulp_error=float(scores.ulp_error[row]),
            abs_error=float(scores.abs_error[row]),
            condition=np.nan,
        )
        collected.clipped[float(actual[row])].append((value, shown))


def _plateaus(collected: Tally) -> Finding | None:
    """Rows on which one result stands for exact ones that differ by a factor of two or more.

    All of them must lie on the same side of it: a ceiling or a floor, not coarse rounding.
    """
    best: tuple[int, float, list[tuple[float, Shown]]] | None = None
    total = 0
    for height, rows in collected.clipped.items():
        values = np.array([value for value, _ in rows])
        distinct = len(np.unique(values))
        one_side = np.all(values >= height) or np.all(values <= height)
        with np.errstate(over="ignore"):
            spread = np.abs(values).max() >= 2.0 * np.abs(values).min()
        if distinct < PLATEAU_ROWS or not one_side or not spread:
            continue
        for value, _ in rows:
            kind = Kind.MISSED_OVERFLOW if np.isinf(value) else Kind.INACCURATE
            if collected.counts[kind]:
                collected.counts[kind] -= 1
        total += len(rows)
        if best is None or len(rows) > best[0]:
            best = (len(rows), height, rows)
    if best is None:
        return None
    _, height, rows = best
    collected.counts[Kind.PLATEAU] += total
    for kind in (Kind.MISSED_OVERFLOW, Kind.INACCURATE):
        if collected.counts[kind] <= 0:
            del collected.counts[kind]
            collected.shown.pop(kind, None)
    onset = min(rows, key=lambda each: abs(each[0] - height))
    worst = max(rows, key=lambda each: (abs(each[0] - height), _badness(each[1])))
    collected.shown[Kind.PLATEAU] = worst[1]
    detail = f"height {height:.6g}, from exact {onset[0]:.6g} on"
    return Finding(Kind.PLATEAU, _NOWHERE, total, detail=detail)


_NOWHERE = Cell("", "", "", Quantity.VALUE, "")


def close(cell: Cell, collected: Tally) -> tuple[Measurement, list[Finding]]:
    """The measurement of a cell, and its findings, gravest first."""
    plateau = _plateaus(collected)
    findings = []
    for kind, incident in collected.incidents.items():
        case, row = collected.incident_cases[kind]
        count = collected.incident_rows[kind]
        collected.counts[kind] += count
        findings.append(
            Finding(
                kind,
                cell,
                count,
                witness=_bare_witness(case, row, incident.detail),
                hint=HINTS.get(kind, ""),
                detail=incident.detail,
                distance=incident.distance,
            )
        )
    for kind in KINDS:
        if kind in collected.counts and kind not in collected.incidents:
            shown = collected.shown.get(kind)
            findings.append(
                Finding(
                    kind,
                    cell,
                    collected.counts[kind],
                    witness=None if shown is None else shown.witness(),
                    hint=HINTS.get(kind, ""),
                    detail=plateau.detail if plateau and kind is Kind.PLATEAU else "",
                )
            )
    findings.sort(key=lambda finding: KINDS.index(finding.kind))
    ulps = np.concatenate(collected.ulps) if collected.ulps else np.array([np.nan])
    worst = collected.shown.get(None)
    witness = None if worst is None else worst.witness()
    if witness is None and findings:
        witness = findings[0].witness
    measurement = Measurement(
        cell=cell,
        rows=collected.rows,
        max_ulp=float(ulps.max()),
        p99_ulp=float(np.quantile(ulps, 0.99, method="higher")),
        median_ulp=float(np.quantile(ulps, 0.5, method="higher")),
        max_abs=collected.max_abs if collected.ulps else np.nan,
        counts={kind: collected.counts[kind] for kind in KINDS if collected.counts[kind]},
        witness=witness,
        result_dtype=collected.result_dtype,
        negative_zeros=collected.negative_zeros,
        max_excess_bits=None if witness is None else witness.excess_bits,
    )
    return measurement, findings


def _bare_witness(case: Case, row: int, note: str) -> Witness:
    """A row whose result cannot be shown, only its input."""
    return Witness(
        logits=case.logits[row],
        labels=None if case.labels is None else case.labels[row],
        parameters=dict(case.parameters),
        actual=np.nan,
        expected=np.nan,
        exact="",
        ulp_error=np.nan,
        abs_error=np.nan,
        row=case.start + row,
        generator=case.generator,
        note=note,
    )
