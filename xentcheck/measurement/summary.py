"""Turns the tally of a cell into its measurement and its findings."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from xentcheck.errors import UncertifiedError
from xentcheck.floats import from_float64, to_float64
from xentcheck.implementations.layouts import UNWRITABLE
from xentcheck.losses import LOSSES
from xentcheck.measurement.borderline import certain, settled
from xentcheck.measurement.candidate import Candidate
from xentcheck.measurement.confirmation import Arbitration, input_of
from xentcheck.measurement.grading import ACCURATE_ULP
from xentcheck.measurement.needs import EXCUSABLE, Need, add_need, merge_needs
from xentcheck.measurement.scoring import unflushed_kind
from xentcheck.measurement.tally import Tally, offer
from xentcheck.model import (
    ABOUT,
    BREAKING,
    GRADES,
    KINDS,
    WITHOUT_RESULT,
    Cell,
    Domain,
    Finding,
    Grade,
    Input,
    Kind,
    Measurement,
    Quantity,
    Tolerance,
    Witness,
    rank,
)


def _find_plateaus(collected: Tally) -> str:
    """Count rows on plateaus as `Kind.PLATEAU` instead of their own kind.

    Returns:
        Height and onset of the plateau with the most rows, as text; "" without a plateau.
    """
    plateaus = {}
    for height, found in collected.heights.known.items():
        if found.is_plateau(height, collected.smallest):
            plateaus[height] = found
            for need in found.needs.values():
                add_need(collected.needs, Kind.PLATEAU, need)
            continue
        merge_needs(collected.needs, found.needs)
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
    """Turn rows that flushing would excuse into faults, if the implementation does not flush.

    Returns:
        Details for the findings that this creates, by kind.
    """
    flushing = collected.flushing
    if flushing.flushes:
        return {}
    for kind in {*collected.needs} - {Kind.FTZ}:
        add_need(collected.needs, kind, collected.needs.get(Kind.FTZ, Need(0.0, 0.0)))
    renamed: dict[int, Candidate] = {}

    def again(shown: Candidate | None) -> Candidate | None:
        if shown is None or shown.kind is not Kind.FTZ:
            return shown
        kind = unflushed_kind(quantity, shown.actual)
        return renamed.setdefault(id(shown), replace(shown, kind=kind))

    named = again(collected.shown.get(None))
    if named is not None:
        collected.shown[None] = named
    collected.largest = again(collected.largest)
    collected.most_excess = again(collected.most_excess)
    grading = collected.grading
    grading.worst, grading.normwise = again(grading.worst), again(grading.normwise)
    grading.doubtful = again(grading.doubtful)
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
        # other results of this kind do not depend on flushing and say more
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
    """The measurement of a cell and its findings, gravest first. Call it once per tally.

    Args:
        cell: the cell.
        collected: its tally, with all its cases. It is changed.
        tolerance: the tolerance of the cell.
        arbitration: scores the witnesses against the arbiter, and records failures.
    """
    plateau = _find_plateaus(collected)
    details = {Kind.PLATEAU: plateau, **_blame_unflushed(collected, cell.quantity)}

    known: dict[tuple[bool, int, int | None, str, Kind | None], Witness] = {}

    def settle(shown: Candidate) -> Witness:
        key = (*shown.place, shown.index, repr(shown.actual), shown.kind)
        if key not in known:
            flushes = collected.flushing.flushes
            known[key] = arbitration.witness(shown, cell, tolerance, flushes=flushes)
        return known[key]

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
                witness=Witness(input_of(collected.incident_cases[kind]), note=detail),
                hint=ABOUT[kind].hint,
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
            hint=hint_for(kind, cell, witnesses.get(kind)),
            detail=details.get(kind, ""),
            least=_least(kind, collected.needs),
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
    grade, graded = _grade(collected, cell.quantity, findings, largest, settle)
    max_norm, normwise = _norm(collected, cell.quantity, arbitration, settle)
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
        grade=grade,
        graded=graded,
        max_norm=max_norm,
        normwise=normwise,
        profiles=collected.profiles.closed(flushes=collected.flushing.flushes),
    )
    return measurement, findings


def _least(kind: Kind, needs: Mapping[Kind, Need]) -> Mapping[str, float]:
    """The smallest bounds at which no row would show a kind."""
    if kind not in (*EXCUSABLE, Kind.PLATEAU, Kind.FTZ):
        return {}
    need = needs.get(kind) or needs.get(Kind.FTZ)  # rows that are at fault as nothing is flushed
    return {} if need is None else need.bounds


def _only_refuses(collected: Tally) -> bool:
    """Whether the function writes into its input, and only unwritable layouts matter."""
    ways = collected.ways.get(Kind.LAYOUT_DEPENDENT, {})
    return Kind.MUTATED_INPUT in collected.incidents and UNWRITABLE.issuperset(ways)


def _with_ways(kind: Kind, detail: str, ways: Iterable[str]) -> str:
    """The detail of a finding, with the batch sizes, layouts or upstream gradients that show it."""
    names = list(ways)
    if not names:
        return detail
    if kind in (Kind.ROW_DEPENDENT, Kind.BATCH_VARIANT):
        sizes = ", ".join(sorted(names, key=int))
        return f"{detail}; in batches of {sizes} rows they differ from the whole block"
    what = {Kind.LAYOUT_DEPENDENT: "layouts", Kind.INVARIANT: "broken invariants"}
    told = f"{what.get(kind, 'upstream gradients')}: {', '.join(names)}"
    return detail if len(names) == 1 else f"{detail}; {told}"


_MANY = 1000  # with at least this many classes, the order of summation affects the result
_FAR = 16.0  # ratio from which a difference loses at least four bits


def hint_for(kind: Kind, cell: Cell, witness: Witness | None) -> str:
    """What to look for in the code. For lost digits, the input shows where they may be lost."""
    told = ABOUT[kind].hint
    if kind is not Kind.INACCURATE or witness is None or witness.scored is None:
        return told
    inputs = to_float64(witness.logits)
    finite = np.abs(inputs[np.isfinite(inputs)])
    largest = float(finite.max()) if finite.size else 0.0
    try:
        exact = abs(float(witness.exact))
    except ValueError:  # the text is not a number: the exact result is only known to be near 0
        exact = 0.0
    seen = []
    if LOSSES[cell.loss].domain is Domain.LOGITS and exact:
        values = inputs[np.isfinite(inputs)]
        spread = float(values.max()) - float(values.min()) if values.size else 0.0
        if values.size > 1 and largest > _FAR * max(spread, 1.0):
            seen.append(f"all logits are near {values[0]:.3g}: take the largest off first")
        elif cell.quantity is Quantity.VALUE and largest > _FAR * exact:
            seen.append(
                f"the result is {exact:.2g} beside logits of {largest:.3g}: a difference of "
                "larger numbers loses its digits"
            )
    if inputs.ndim and inputs.shape[-1] >= _MANY:
        seen.append(
            f"{inputs.shape[-1]:,} classes are summed: add them pairwise, or in a wider dtype"
        )
    return "; ".join(seen) or told


def _met(largest: Candidate | None, witness: Witness | None, tolerance: Tolerance) -> str:
    """Which of `OTHER_BOUNDS` allows a largest error above ``max_ulp``; "" if none is needed."""
    if largest is None or largest.kind is not None or witness is None:
        return ""
    if not witness.ulp_error > tolerance.max_ulp:
        return ""
    if witness.excess_bits is not None and witness.excess_bits <= tolerance.or_excess_bits:
        return "or_excess_bits"
    if witness.abs_error <= tolerance.or_abs:
        return "or_abs"
    return "times_condition" if tolerance.times_condition else "or_rel"


def _first_break(collected: Tally) -> tuple[Kind, Input] | None:
    """The first row whose result has a fault, or that has no result."""
    seen = [shown for kind, shown in collected.incident_cases.items() if kind in WITHOUT_RESULT]
    if collected.first is not None:
        seen.append(collected.first)
    first = min(seen, key=lambda each: each.place, default=None)
    if first is None or first.kind is None:
        return None
    return first.kind, input_of(first)


def _farthest(
    collected: Tally,
    witnesses: Mapping[Kind | None, Witness],
    settle: Callable[[Candidate], Witness],
) -> Witness | None:
    """The witness of the largest finite error, scored by the arbiter."""
    if collected.largest is None:
        return None
    same = collected.shown[None] is collected.largest
    return witnesses[None] if same else settle(collected.largest)


def _excess(collected: Tally, settle: Callable[[Candidate], Witness]) -> float | None:
    """The most excess bits, computed by the arbiter if there is a row to compute them from."""
    if collected.most_excess is None:
        return collected.max_excess_bits
    return settle(collected.most_excess).excess_bits


def _grade(
    collected: Tally,
    quantity: Quantity,
    findings: Iterable[Finding],
    largest: Witness | None,
    settle: Callable[[Candidate], Witness],
) -> tuple[Grade | None, Witness | None]:
    """The grade of the worst row, and that row; None for both if no result was scored."""
    for finding in findings:
        if finding.kind in BREAKING:
            return Grade.BROKEN, finding.witness
    grading = collected.grading
    found, shown = grading.rank, grading.worst
    if not collected.ulps.count and shown is None:
        return None, None
    if grading.unflushed < found and not collected.flushing.flushes:
        found, shown = grading.unflushed, grading.doubtful
    if found > rank(Grade.LOSSY) and _beyond_condition(collected, quantity):
        found, shown = rank(Grade.ABSOLUTE), collected.most_excess
    return GRADES[found], largest if shown is None else settle(shown)


_SLACK = 2.0**-18  # relative uncertainty of a condition number, with some room


def _beyond_condition(collected: Tally, quantity: Quantity) -> bool:
    """Whether an error is above 4 times its condition number, and above 4 ulp."""
    over, shown = collected.over_condition, collected.most_excess
    if shown is None or abs(over - ACCURATE_ULP) > _SLACK * ACCURATE_ULP:
        return over > ACCURATE_ULP
    element = shown.element(quantity)
    actual = from_float64(np.array([shown.actual]), shown.result_dtype)
    times = Tolerance(max_ulp=ACCURATE_ULP, times_condition=True)
    try:
        stands = settled(element, actual, certain(element, shown.result_dtype), times)
    except UncertifiedError:
        return True  # its witness says so
    return bool(stands.beyond[0])


def _norm(
    collected: Tally,
    quantity: Quantity,
    arbitration: Arbitration,
    settle: Callable[[Candidate], Witness],
) -> tuple[float, Witness | None]:
    """The largest error relative to the scale of its row, from the arbiter, and its witness."""
    shown = collected.grading.normwise
    if shown is None:
        return (0.0 if collected.ulps.count else np.nan), None
    witness = settle(shown)
    norm = arbitration.norm(shown, collected.grading.top, quantity)
    return (collected.grading.norm if norm is None else norm), witness
