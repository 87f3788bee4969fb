"""What is collected of one cell while its cases go by, and what comes of it.

A row's error is that of its worst component, its kind the gravest of its components'. The witness
of a kind is the row with the largest error; among rows without one, the row with fewest classes.
The witness of a cell is the worst of all: a fault without a finite error, else the largest error.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from xentcheck.execution import Incident, observe
from xentcheck.floats import FORMATS, format_of, to_float64
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

CLIPPED = (Kind.MISSED_OVERFLOW, Kind.INACCURATE)
"""What rows on a plateau are found as, one by one."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """What came back for one case, and its scores; ``valid`` is (rows,), False where it raised."""

    results: Array
    scores: Scores
    valid: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
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
        return Witness(
            **_input(self.case, self.row),
            actual=self.actual,
            expected=expected(self.exact, self.position, self.result_dtype),
            exact=decimal_text(self.exact, self.position),
            ulp_error=self.ulp_error,
            abs_error=self.abs_error,
            index=self.index,
            result_dtype=self.result_dtype,
            radius_ulp=radius_in_ulps(self.exact, self.position, self.result_dtype),
            excess_bits=(
                excess_bits(self.ulp_error, self.condition, self.result_dtype)
                if np.isfinite(self.ulp_error)
                else None
            ),
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Clipped:
    """A row whose value may stand on a plateau."""

    exact: float
    kind: Kind
    shown: Shown


def _input(case: Case, row: int) -> dict[str, Any]:
    """The fields of a witness that replay it: a row, under a reduction the whole block."""
    block = case.parameters.get("reduction", "none") != "none"
    where: Any = slice(None) if block else row
    return {
        "logits": case.logits[where],
        "labels": None if case.labels is None else case.labels[where],
        "parameters": {
            name: value[where] if isinstance(value, np.ndarray) and value.ndim == 2 else value
            for name, value in case.parameters.items()
        },
        "row": case.start + row,
        "generator": case.generator,
    }


@dataclass(slots=True, eq=False)
class Tally:
    """What is collected of one cell while its cases go by.

    ``shown`` has the witness of each kind, and under None that of the cell. ``clipped`` groups the
    rows whose value may stand on a plateau by what came back, each with its exact value.
    """

    rows: int = 0
    ulps: list[Float64Array] = field(default_factory=list)
    max_abs: float = 0.0
    max_excess_bits: float | None = None
    counts: Counter[Kind] = field(default_factory=Counter)
    shown: dict[Kind | None, Shown] = field(default_factory=dict)
    clipped: dict[float, list[_Clipped]] = field(default_factory=lambda: defaultdict(list))
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
) -> Scored | None:
    """Run, score and collect one case. Returns what came back, None where nothing can be scored."""
    observed = observe(implementation, case, quantity)
    collected.rows += case.rows
    for incident in observed.incidents:
        _note(collected, incident, case)
    if observed.results is None:
        return None
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
    scored = Scored(results, scores, observed.valid)
    _collect(collected, case, scored, enclosures, condition, target.name)
    if is_value and not loss.per_class and results.ndim:
        _collect_clipped(collected, case, scored, enclosures, condition, target.name)
    return scored


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
    scored: Scored,
    enclosures: Enclosures,
    condition: Float64Array,
    dtype: str,
) -> None:
    results, scores = scored.results, scored.scores
    block = results.ndim == 0
    rows = 1 if block else case.rows
    kinds = scores.kinds.reshape(rows, -1)
    ulps = scores.ulp_error.reshape(rows, -1)
    absolute = scores.abs_error.reshape(rows, -1)
    alive = np.ones(rows, dtype=np.bool_) if block else scored.valid
    finite = np.where(np.isnan(ulps), -1.0, ulps)
    worst_ulp = finite.max(axis=1)
    gravest = kinds.min(axis=1)
    kept = worst_ulp[alive & (worst_ulp >= 0)]
    if len(kept):
        collected.ulps.append(kept)
        collected.max_abs = max(collected.max_abs, float(np.nanmax(absolute[alive])))
        _collect_excess(collected, ulps[alive], condition.reshape(rows, -1)[alive], dtype)

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

    # conventions are accepted: they have no error, and are no cell's worst
    blamed = np.isnan(ulps) & (kinds != KINDS.index(Kind.CONVENTION))
    severity = np.where(alive[:, np.newaxis], np.where(blamed, np.inf, finite), -1.0)
    if severity.max() >= 0:
        gravest_first = np.where(severity == severity.max(), kinds, RIGHT + 1)
        row, column = np.unravel_index(int(gravest_first.argmin()), kinds.shape)
        _offer(collected, None, show(int(row), int(column)))
    for code in np.unique(gravest[alive & (gravest != RIGHT)]):
        kind = KINDS[code]
        here = np.flatnonzero(alive & (gravest == code))
        collected.counts[kind] += len(here)
        # among components of the kind, the largest error; otherwise the first
        score_here = np.where(kinds[here] == code, finite[here], -2.0)
        place, column = np.unravel_index(int(score_here.argmax()), score_here.shape)
        _offer(collected, kind, show(int(here[place]), int(column)))


def _collect_excess(
    collected: Tally, ulps: Float64Array, condition: Float64Array, dtype: str
) -> None:
    """Note the most bits lost beyond what the conditioning explains."""
    explained = np.fmax(condition, 1.0)
    beyond = np.minimum(ulps, 2.0 ** (FORMATS[dtype].precision - 1)) / explained
    worst = np.unravel_index(int(np.nanargmax(beyond)), beyond.shape)
    bits = excess_bits(float(ulps[worst]), float(explained[worst]), dtype)
    collected.max_excess_bits = max(collected.max_excess_bits or 0.0, bits)


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
    scored: Scored,
    enclosures: Enclosures,
    condition: Float64Array,
    dtype: str,
) -> None:
    kinds = scored.scores.kinds
    actual = to_float64(scored.results)
    suspicious = np.isin(kinds, [KINDS.index(kind) for kind in CLIPPED])
    for row in np.flatnonzero(suspicious & scored.valid).tolist():
        shown = Shown(
            case=case,
            row=row,
            index=None,
            actual=float(actual[row]),
            result_dtype=dtype,
            exact=enclosures,
            position=(row,),
            ulp_error=float(scored.scores.ulp_error[row]),
            abs_error=float(scored.scores.abs_error[row]),
            condition=float(condition[row]),
        )
        clipped = _Clipped(expected(enclosures, (row,), "float64"), KINDS[kinds[row]], shown)
        collected.clipped[float(actual[row])].append(clipped)


def _is_plateau(height: float, rows: Sequence[_Clipped]) -> bool:
    """Whether one result stands for exact ones that differ by a factor of two or more.

    All of them must lie on the same side of it: a ceiling or a floor, not coarse rounding.
    """
    values = np.array([each.exact for each in rows])
    if height == 0 or len(np.unique(values)) < PLATEAU_ROWS:
        return False
    one_side = np.all(values >= height) or np.all(values <= height)
    with np.errstate(over="ignore"):
        return bool(one_side and np.abs(values).max() >= 2.0 * np.abs(values).min())


def _find_plateaus(collected: Tally) -> str:
    """Move the rows on plateaus to that kind. Returns the widest one's height and onset, or ''."""
    plateaus = {
        height: rows for height, rows in collected.clipped.items() if _is_plateau(height, rows)
    }
    if not plateaus:
        return ""
    moved = Counter(each.kind for rows in plateaus.values() for each in rows)
    collected.counts[Kind.PLATEAU] = moved.total()
    for kind, count in moved.items():
        collected.counts[kind] -= count
        del collected.shown[kind]
    for height, rows in collected.clipped.items():
        for each in () if height in plateaus else rows:
            if each.kind in moved:
                _offer(collected, each.kind, each.shown)
    height, widest = max(plateaus.items(), key=lambda each: len(each[1]))

    def beyond(each: _Clipped) -> float:
        return abs(each.exact - height)

    farthest = max(widest, key=lambda each: (beyond(each), _badness(each.shown)))
    collected.shown[Kind.PLATEAU] = farthest.shown
    return f"height {height:.6g}, from exact {min(widest, key=beyond).exact:.6g} on"


def close(cell: Cell, collected: Tally) -> tuple[Measurement, list[Finding]]:
    """The measurement of a cell, and its findings, gravest first. To be called once per tally."""
    plateau = _find_plateaus(collected)
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
        if collected.counts[kind] and kind not in collected.incidents:
            shown = collected.shown.get(kind)
            findings.append(
                Finding(
                    kind,
                    cell,
                    collected.counts[kind],
                    witness=None if shown is None else shown.witness(),
                    hint=HINTS.get(kind, ""),
                    detail=plateau if kind is Kind.PLATEAU else "",
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
        max_excess_bits=collected.max_excess_bits,
    )
    return measurement, findings


def _bare_witness(case: Case, row: int, note: str) -> Witness:
    """A row whose result cannot be shown, only its input."""
    return Witness(
        **_input(case, row),
        actual=np.nan,
        expected=np.nan,
        exact="",
        ulp_error=np.nan,
        abs_error=np.nan,
        note=note,
    )
