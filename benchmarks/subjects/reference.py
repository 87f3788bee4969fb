"""The truth of a softmax_cross_entropy case against the loops one would write by hand."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import mpmath
import numpy as np

from benchmarks import peers
from benchmarks.findings import Findings, Plan, Target, at_least, at_most, figure
from benchmarks.inputs import SCALE
from benchmarks.timing import Spread, Times, Work, by_turns, ratio, steady
from xentcheck.floats import STANDARD, from_float64, to_float64
from xentcheck.model import Case, LabelKind, Quantity
from xentcheck.reference import Reference

CLASSES = (2, 10, 1000, 128_256)
LOGITS = 1 << 18
VOCABULARY_ROWS = 8
MPMATH_LOGITS = 1 << 15  # about half a second
ARB_LOGITS = 1 << 18
QUICK_SHARE = 8  # of the loops by hand so much less is done
PRECISION = 128
FLOAT64_PRECISION = 192

VALUE = "value"
BOTH = "value and gradient"
QUANTITIES = {VALUE: frozenset({Quantity.VALUE}), BOTH: frozenset(Quantity)}

Rows = list[tuple[list[float], int]]
Loop = Callable[[Rows, bool], object]


def measure(plan: Plan, findings: Findings) -> None:
    """Every dtype and class count, the value alone and with the gradient."""
    scipy = peers.find("scipy.special")
    flint = peers.find("flint")
    if scipy is None:
        findings.missing.append(peers.absence("scipy.special", "no price of the work itself"))
    if flint is None:
        findings.missing.append(peers.absence("flint", "nothing to compare with arb"))
    if peers.find("numpy_quaddtype") is None:
        findings.missing.append(
            peers.absence("numpy_quaddtype", "float64 is enclosed by mpmath, row by row")
        )
    findings.notes.append(
        "Times are per logit. The loops by hand are timed on fewer rows, or on the first classes "
        f"of a row: {_shared(MPMATH_LOGITS, plan):,} logits by mpmath and "
        f"{_shared(ARB_LOGITS, plan):,} by arb, at most. scipy is log_softmax of the "
        "same shape in float64."
    )
    repetitions = plan.repetitions(full=5, quick=3)
    for dtype in STANDARD:
        for classes in CLASSES:
            place = f"{dtype}, {classes:,} classes"
            plan.say(place)
            case = _case(dtype, classes)
            works = dict(_works(case, plan, scipy, flint))
            times = dict(zip(works, by_turns(list(works.values()), repetitions), strict=True))
            findings.times += times.values()
            _compare(findings, place, case, times)


def _shared(logits: int, plan: Plan) -> int:
    return logits // QUICK_SHARE if plan.quick else logits


def _case(dtype: str, classes: int) -> Case:
    rng = np.random.default_rng(0)
    rows = VOCABULARY_ROWS if classes == CLASSES[-1] else LOGITS // classes
    logits = from_float64(SCALE * rng.standard_normal((rows, classes)), dtype)
    labels = rng.integers(0, classes, rows)
    return Case(
        "benchmark", "normal", "softmax_cross_entropy", dtype, logits, LabelKind.INTEGER, labels
    )


def _works(
    case: Case, plan: Plan, scipy: Any | None, flint: Any | None
) -> Iterator[tuple[tuple[str, str], Work]]:
    """What is timed, by who does it and of which quantities."""
    place = f"{case.dtype}, {case.classes:,} classes"
    logits = case.logits.size
    loops: dict[str, tuple[Loop, int]] = {
        "mpmath": (partial(_by_mpmath, _precision(case.dtype)), _shared(MPMATH_LOGITS, plan))
    }
    if flint is not None:
        loops["arb"] = (partial(_by_arb, flint), _shared(ARB_LOGITS, plan))
    for of, quantities in QUANTITIES.items():
        clock = steady(partial(Reference, case, quantities))
        yield ("Reference", of), Work(f"{place}, {of}: Reference", clock, logits, "logit")
        for peer, (loop, most) in loops.items():
            rows = _first_rows(case, most)
            amount = sum(len(row) for row, _ in rows)
            clock = steady(partial(loop, rows, of == BOTH))
            yield (peer, of), Work(f"{place}, {of}: {peer}", clock, amount, "logit")
    if scipy is not None:
        wide = to_float64(case.logits)
        clock = steady(partial(scipy.log_softmax, wide, axis=1))
        yield ("scipy", VALUE), Work(f"{place}: scipy", clock, logits, "logit")


def _precision(dtype: str) -> int:
    return FLOAT64_PRECISION if dtype == "float64" else PRECISION


def _first_rows(case: Case, most: int) -> Rows:
    """Rows of about so many logits as numbers of Python; the beginning of one that is longer."""
    classes = min(case.classes, most)
    rows = min(case.rows, max(1, most // classes))
    assert case.labels is not None
    numbers = to_float64(case.logits[:rows, :classes]).tolist()
    labels = (case.labels[:rows] % classes).tolist()
    return list(zip(numbers, labels, strict=True))


def _by_mpmath(precision: int, rows: Rows, with_gradient: bool) -> list[Any]:
    mp = mpmath.MPContext()
    mp.prec = precision
    results = []
    for numbers, label in rows:
        x = [mp.mpf(number) for number in numbers]
        m = max(x)
        powers = [mp.exp(each - m) for each in x]
        s = mp.fsum(powers)
        value = m + mp.log(s) - x[label]
        gradient = [power / s for power in powers] if with_gradient else []
        if gradient:
            gradient[label] -= 1
        results.append((value, gradient))
    return results


def _by_arb(flint: Any, rows: Rows, with_gradient: bool) -> list[Any]:
    before, flint.ctx.prec = flint.ctx.prec, PRECISION
    try:
        results = []
        for numbers, label in rows:
            m = flint.arb(max(numbers))
            powers = [(flint.arb(number) - m).exp() for number in numbers]
            s = sum(powers, flint.arb(0))
            value = m + s.log() - numbers[label]
            gradient = [power / s for power in powers] if with_gradient else []
            if gradient:
                gradient[label] -= 1
            results.append((value, gradient))
        return results
    finally:
        flint.ctx.prec = before


def _compare(
    findings: Findings, place: str, case: Case, times: dict[tuple[str, str], Times]
) -> None:
    for of in QUANTITIES:
        truth = times["Reference", of]
        if ("scipy", VALUE) in times:
            price = ratio(truth, times["scipy", VALUE])
            unit = "× scipy's time"
            findings.figures.append(figure(place, of, unit, price, _price(case, of)))
        for peer in ("mpmath", "arb"):
            if (peer, of) in times:
                gain = _faster(truth, times[peer, of])
                target = _gain(case, of, peer)
                unit = f"× faster than {peer}"
                findings.figures.append(figure(place, of, unit, gain, target))
    share = ratio(times["Reference", BOTH], times["Reference", VALUE])
    findings.figures.append(figure(place, BOTH, "× the value alone", share, at_most(2)))


def _faster(truth: Times, peer: Times) -> Spread:
    return ratio(peer, truth)


def _price(case: Case, of: str) -> Target | None:
    if of != VALUE or case.classes < 10:
        return None
    if case.dtype == "float64":
        return at_most(12)
    return at_most(1.5) if case.classes >= 1000 else None


def _gain(case: Case, of: str, peer: str) -> Target | None:
    if of != VALUE:
        return None
    if case.dtype == "float64":
        if case.classes >= 10:
            return at_least({"mpmath": 200, "arb": 15}[peer])
        return at_least(60) if peer == "mpmath" else None
    if peer == "arb":
        return None
    return at_least({2: 700, 10: 800}.get(case.classes, 1000))
