"""From what was collected of a cell to its measurement and findings."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from xentcheck.collection.arbitration import Arbitration, bare_witness
from xentcheck.collection.shown import Shown
from xentcheck.collection.tally import Tally, offer
from xentcheck.implementations.layouts import UNWRITABLE
from xentcheck.model import (
    Cell,
    Finding,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
    Witness,
)
from xentcheck.scoring import (
    KINDS,
    unflushed_kind,
)

HINTS: Mapping[Kind, str] = {
    Kind.CRASHED: "the process died in the call: compiled code, a stack overflow, or os._exit",
    Kind.TIMED_OUT: "the call did not come back; --timeout gives it longer",
    Kind.RAISED: "the call raised; the other rows were scored without it",
    Kind.OTHER_FUNCTION: "mild inputs already show it: no question of numerical stability",
    Kind.WRONG_SHAPE: "one value per row (or per class), and a gradient shaped like the logits",
    Kind.WRONG_DTYPE: "return a floating-point array no narrower than the input",
    Kind.MUTATED_INPUT: "copy before writing: callers reuse their arrays",
    Kind.NON_DETERMINISTIC: "the same inputs gave other bits; look for shared state",
    Kind.LAYOUT_DEPENDENT: "strides, offset and flags are part of an array: index by them, or copy "
    "the array first",
    Kind.COTANGENT: "the gradient of every row is its upstream gradient times the local one",
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
    Kind.FP_SIGNAL: "under errstate(all='raise') or warnings as errors the call would raise",
    Kind.BATCH_VARIANT: "the last bits of a row depend on its batch: one code for every row, with "
    "sums in one order, would give the same bits",
    Kind.FTZ: "subnormal results are flushed to zero",
    Kind.CONVENTION: "differs from the limit convention in a way that is accepted",
}


def _find_plateaus(collected: Tally) -> str:
    """Move the rows on plateaus to that kind. Returns the widest one's height and onset, or ''."""
    plateaus = {}
    for height, found in collected.heights.known.items():
        if found.is_plateau(height, collected.smallest):
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


def _blame_unflushed(collected: Tally, quantity: Quantity) -> dict[Kind, str]:
    """Call what flushing would excuse a fault where nothing is seen to flush.

    Returns what there is to say about the findings that this makes, by kind.
    """
    flushing = collected.flushing
    if flushing.flushes:
        return {}
    renamed: dict[int, Shown] = {}

    def again(shown: Shown | None) -> Shown | None:
        if shown is None or shown.kind is not Kind.FTZ:
            return shown
        kind = unflushed_kind(quantity, shown.actual)
        return renamed.setdefault(id(shown), replace(shown, kind=kind))

    named = again(collected.shown.get(None))
    if named is not None:
        collected.shown[None] = named
    collected.largest = again(collected.largest)
    collected.most_excess = again(collected.most_excess)
    said = {}
    for doubtful in (flushing.zeros, flushing.partial):
        worst, first = again(doubtful.worst), again(doubtful.first)
        if worst is None or first is None or worst.kind is None:
            continue
        others = collected.counts[worst.kind]
        collected.counts -= doubtful.rows
        collected.counts[worst.kind] += doubtful.rows.total()
        collected.shown.pop(Kind.FTZ, None)
        offer(collected, worst.kind, worst)
        if collected.first is None or first.number <= collected.first.number:
            collected.first = first
        # results that are no question of flushing tell more
        if doubtful is flushing.zeros and not others:
            said[worst.kind] = (
                "other subnormal results come back, so nothing is flushed"
                if flushing.subnormals
                else "the exact results are subnormal, and nothing shows that such results are "
                "flushed"
            )
    return said


def close(
    cell: Cell, collected: Tally, tolerance: Tolerance, arbitration: Arbitration
) -> tuple[Measurement, list[Finding]]:
    """The measurement of a cell, and its findings, gravest first. To be called once per tally."""
    plateau = _find_plateaus(collected)
    details = {Kind.PLATEAU: plateau, **_blame_unflushed(collected, cell.quantity)}

    def settle(shown: Shown) -> Witness:
        return arbitration.witness(shown, cell, tolerance, flushes=collected.flushing.flushes)

    witnesses: dict[Kind | None, Witness] = {
        kind: settle(shown)
        for kind, shown in collected.shown.items()
        if kind is None or collected.counts[kind]
    }
    findings = []
    for kind, incident in collected.incidents.items():
        if kind is Kind.LAYOUT_DEPENDENT and _only_refuses(collected):
            continue
        count = collected.incident_rows[kind]
        collected.counts[kind] += count
        detail = _with_ways(kind, incident.detail, collected.ways.get(kind, {}))
        findings.append(
            Finding(
                kind,
                cell,
                count,
                witness=bare_witness(collected.incident_cases[kind], detail),
                hint=HINTS.get(kind, ""),
                detail=detail,
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
            detail=details.get(kind, ""),
        )
        for kind in KINDS
        if collected.counts[kind] and kind not in collected.incidents
    ]
    findings.sort(key=lambda finding: KINDS.index(finding.kind))
    witness = witnesses.get(None)
    if witness is None and findings:
        witness = findings[0].witness
    largest = _farthest(collected, witnesses, settle)
    normal = largest
    if collected.flushing.flushes and collected.normal is not collected.largest:
        normal = None if collected.normal is None else settle(collected.normal)
    measurement = Measurement(
        cell=cell,
        rows=collected.rows,
        max_ulp=np.nan if largest is None else largest.ulp_error,
        p99_ulp=collected.ulps.at(0.99),
        median_ulp=collected.ulps.at(0.5),
        max_abs=collected.max_abs if collected.ulps.count else np.nan,
        counts={kind: collected.counts[kind] for kind in KINDS if collected.counts[kind]},
        witness=witness,
        result_dtype=collected.result_dtype,
        negative_zeros=collected.negative_zeros,
        max_excess_bits=_excess(collected, settle),
        first_break=_first_break(collected),
        scored=collected.ulps.count,
        far=collected.far,
        farthest=largest,
        max_normal_ulp=np.nan if normal is None else normal.ulp_error,
        normal=normal,
        met=_met(collected.largest if normal is largest else collected.normal, normal, tolerance),
    )
    return measurement, findings


def _only_refuses(collected: Tally) -> bool:
    """Whether the layouts that matter are those in which a function that writes cannot write."""
    ways = collected.ways.get(Kind.LAYOUT_DEPENDENT, {})
    return Kind.MUTATED_INPUT in collected.incidents and UNWRITABLE.issuperset(ways)


def _with_ways(kind: Kind, detail: str, ways: Iterable[str]) -> str:
    """What was seen, and in which ways of calling."""
    names = list(ways)
    if not names:
        return detail
    if kind in (Kind.ROW_DEPENDENT, Kind.BATCH_VARIANT):
        sizes = ", ".join(sorted(names, key=int))
        return f"{detail}; in batches of {sizes} rows they differ from the whole block"
    what = "layouts" if kind is Kind.LAYOUT_DEPENDENT else "upstream gradients"
    return detail if len(names) == 1 else f"{detail}; {what}: {', '.join(names)}"


def _met(largest: Shown | None, witness: Witness | None, tolerance: Tolerance) -> str:
    """By which of `OTHER_BOUNDS` the largest error is allowed, beyond ``max_ulp``; "": by none."""
    if largest is None or largest.kind is not None or witness is None:
        return ""
    if not witness.ulp_error > tolerance.max_ulp:
        return ""
    if witness.excess_bits is not None and witness.excess_bits <= tolerance.or_excess_bits:
        return "or_excess_bits"
    if witness.abs_error <= tolerance.or_abs:
        return "or_abs"
    return "times_condition" if tolerance.times_condition else "or_rel"


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
    first = min(seen, key=lambda each: each.place, default=None)
    if first is None or first.kind is None:
        return None
    return first.kind, bare_witness(first, "")


def _farthest(
    collected: Tally, witnesses: Mapping[Kind | None, Witness], settle: Callable[[Shown], Witness]
) -> Witness | None:
    """The largest finite error, as the arbiter has it."""
    if collected.largest is None:
        return None
    same = collected.shown[None] is collected.largest
    return witnesses[None] if same else settle(collected.largest)


def _excess(collected: Tally, settle: Callable[[Shown], Witness]) -> float | None:
    """The most excess bits, as the arbiter has them."""
    if collected.most_excess is None:
        return collected.max_excess_bits
    return settle(collected.most_excess).excess_bits
