"""From what was collected of a cell to its measurement and findings."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from xentcheck.collection.shown import Shown
from xentcheck.collection.tally import Tally, offer
from xentcheck.errors import INTERNAL_ERROR, UncertifiedError
from xentcheck.floats import from_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import picked
from xentcheck.model import (
    Case,
    Cell,
    Enclosures,
    Exact,
    Finding,
    Float64Array,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
    Witness,
)
from xentcheck.reference import exact_component
from xentcheck.scoring import (
    KINDS,
    decimal_text,
    excess_bits,
    expected,
    kind_of,
    radius_in_ulps,
    score,
)

HINTS: Mapping[Kind, str] = {
    Kind.CRASHED: "the process died in the call: compiled code, a stack overflow, or os._exit",
    Kind.TIMED_OUT: "the call did not come back; --timeout gives it longer",
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
    Kind.INCONSISTENT: "the same function, called another way, gives another result",
    Kind.FTZ: "subnormal results are flushed to zero",
    Kind.CONVENTION: "differs from the limit convention in a way that is accepted",
}


def _find_plateaus(collected: Tally) -> str:
    """Move the rows on plateaus to that kind. Returns the widest one's height and onset, or ''."""
    plateaus = {}
    for height, found in collected.heights.known.items():
        if found.is_plateau(height):
            plateaus[height] = found
            continue
        for kind, shown in found.best.items():
            offer(collected, kind, shown)
    if not plateaus:
        return ""
    for found in plateaus.values():
        collected.counts[Kind.PLATEAU] += found.rows
        collected.counts -= Counter(found.counts)
    height, widest = max(plateaus.items(), key=lambda each: each[1].rows)
    collected.shown[Kind.PLATEAU] = widest.farthest
    return f"height {height:.6g}, from exact {widest.nearest:.6g} on"


@dataclass(slots=True)
class Arbitration:
    """The arbiter's word on what is shown, each result asked for once.

    ``confirmed`` counts the results whose scores came out as the lower tiers had them.
    """

    decide: Callable[[Case], Exact]
    confirmed: int = 0
    failures: list[str] = field(default_factory=list)
    _blocks: dict[tuple[Any, ...], Exact] = field(default_factory=dict)
    _known: dict[tuple[Any, ...], tuple[Enclosures, Float64Array]] = field(default_factory=dict)

    def exact(self, shown: Shown, quantity: Quantity) -> tuple[Enclosures, Float64Array]:
        """The enclosure and the condition number of a shown result, (1,) each."""
        key = (*content(shown.case), quantity, shown.position)
        if key not in self._known:
            if shown.case.reduced:
                self._known[key] = self._of_block(shown, quantity)
            else:
                self._known[key] = exact_component(
                    shown.case, shown.row, quantity, shown.index or 0
                )
            self.confirmed += 1
        return self._known[key]

    def _of_block(self, shown: Shown, quantity: Quantity) -> tuple[Enclosures, Float64Array]:
        key = content(shown.case)
        if key not in self._blocks:
            self._blocks[key] = self.decide(shown.case)
        exact = self._blocks[key]
        is_value = quantity is Quantity.VALUE
        enclosures = (exact.value if is_value else exact.gradient).at(shown.position)
        conditions = exact.value_condition if is_value else exact.gradient_condition
        return enclosures, np.atleast_1d(conditions[shown.position])

    def witness(self, shown: Shown, cell: Cell, tolerance: Tolerance) -> Witness:
        """The witness, scored again against the arbiter's enclosure."""
        try:
            enclosures, condition = self.exact(shown, cell.quantity)
        except UncertifiedError as error:
            self.failures.append(str(error))
            return _bare_witness(shown, str(error))
        actual = from_float64(np.array([shown.actual]), shown.result_dtype)
        again = score(
            actual,
            enclosures,
            condition,
            quantity=cell.quantity,
            tolerance=tolerance,
            nonnegative=LOSSES[cell.loss].nonnegative and cell.quantity is Quantity.VALUE,
        )
        kind = kind_of(int(again.kinds[0]))
        if kind is not shown.kind:
            self.failures.append(
                f"{INTERNAL_ERROR}: {cell.quantity} of {cell.implementation} on row {shown.number} "
                f"of sweep {cell.sweep!r} ({cell.loss}, {cell.dtype}) is {shown.kind or 'right'} "
                f"by a fast tier and {kind or 'right'} by mpmath"
            )
        ulp_error = float(again.ulp_error[0])
        return Witness(
            **_input(shown),
            actual=shown.actual,
            expected=expected(enclosures, (0,), shown.result_dtype),
            exact=decimal_text(enclosures, (0,)),
            ulp_error=ulp_error,
            abs_error=float(again.abs_error[0]),
            index=shown.index,
            result_dtype=shown.result_dtype,
            radius_ulp=radius_in_ulps(enclosures, (0,), shown.result_dtype),
            excess_bits=(
                excess_bits(ulp_error, float(condition[0]), shown.result_dtype)
                if np.isfinite(ulp_error)
                else None
            ),
        )


def content(case: Case) -> tuple[Any, ...]:
    """What the exact results of a case depend on."""
    parameters = tuple(
        (name, value.tobytes() if isinstance(value, np.ndarray) else value)
        for name, value in sorted(case.parameters.items())
    )
    labels = None if case.labels is None else case.labels.tobytes()
    return (case.loss, case.dtype, case.logits.shape, case.logits.tobytes(), labels, parameters)


def _input(shown: Shown) -> dict[str, Any]:
    """The fields of a witness that replay it: a row, under a reduction the whole block."""
    where: Any = slice(None) if shown.case.reduced else shown.row
    case = shown.case
    return {
        "logits": case.logits[where],
        "labels": None if case.labels is None else case.labels[where],
        "parameters": picked(case.parameters, where),
        "row": shown.number,
        "generator": case.generator,
    }


def close(
    cell: Cell, collected: Tally, tolerance: Tolerance, arbitration: Arbitration
) -> tuple[Measurement, list[Finding]]:
    """The measurement of a cell, and its findings, gravest first. To be called once per tally."""
    plateau = _find_plateaus(collected)

    def settle(shown: Shown) -> Witness:
        return arbitration.witness(shown, cell, tolerance)

    witnesses: dict[Kind | None, Witness] = {
        kind: settle(shown)
        for kind, shown in collected.shown.items()
        if kind is None or collected.counts[kind]
    }
    findings = []
    for kind, incident in collected.incidents.items():
        count = collected.incident_rows[kind]
        collected.counts[kind] += count
        findings.append(
            Finding(
                kind,
                cell,
                count,
                witness=_bare_witness(collected.incident_cases[kind], incident.detail),
                hint=HINTS.get(kind, ""),
                detail=incident.detail,
                distance=incident.distance,
            )
        )
    findings += [
        Finding(
            kind,
            cell,
            collected.counts[kind],
            witness=witnesses.get(kind),
            hint=HINTS.get(kind, ""),
            detail=plateau if kind is Kind.PLATEAU else "",
        )
        for kind in KINDS
        if collected.counts[kind] and kind not in collected.incidents
    ]
    findings.sort(key=lambda finding: KINDS.index(finding.kind))
    witness = witnesses.get(None)
    if witness is None and findings:
        witness = findings[0].witness
    measurement = Measurement(
        cell=cell,
        rows=collected.rows,
        max_ulp=_settled(collected, witnesses, settle),
        p99_ulp=collected.ulps.at(0.99),
        median_ulp=collected.ulps.at(0.5),
        max_abs=collected.max_abs if collected.ulps.count else np.nan,
        counts={kind: collected.counts[kind] for kind in KINDS if collected.counts[kind]},
        witness=witness,
        result_dtype=collected.result_dtype,
        negative_zeros=collected.negative_zeros,
        max_excess_bits=collected.max_excess_bits,
        first_break=_first_break(collected),
    )
    return measurement, findings


_WITHOUT_RESULT = (
    Kind.CRASHED,
    Kind.TIMED_OUT,
    Kind.RAISED,
    Kind.WRONG_SHAPE,
    Kind.WRONG_DTYPE,
)


def _first_break(collected: Tally) -> tuple[Kind, Witness] | None:
    """The first row with a fault of its result, or without one."""
    seen = [shown for kind, shown in collected.incident_cases.items() if kind in _WITHOUT_RESULT]
    if collected.first is not None:
        seen.append(collected.first)
    first = min(seen, key=lambda each: each.number, default=None)
    if first is None or first.kind is None:
        return None
    return first.kind, _bare_witness(first, "")


def _settled(
    collected: Tally, witnesses: Mapping[Kind | None, Witness], settle: Callable[[Shown], Witness]
) -> float:
    """The largest finite error, as the arbiter has it."""
    largest = collected.largest
    if largest is None:
        return float("nan")
    known = witnesses[None] if collected.shown[None] is largest else settle(largest)
    return known.ulp_error


def _bare_witness(shown: Shown, note: str) -> Witness:
    """A row whose result cannot be shown, only its input."""
    return Witness(
        **_input(shown),
        actual=np.nan,
        expected=np.nan,
        exact="",
        ulp_error=np.nan,
        abs_error=np.nan,
        note=note,
    )
