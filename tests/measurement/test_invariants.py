"""Invariants: planted violations that no reference finding explains, and no false ones."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xentcheck import audit
from xentcheck.errors import UnsupportedError
from xentcheck.execution import answer
from xentcheck.floats import from_float64
from xentcheck.implementations import numpy_implementations
from xentcheck.implementations.bridge import Bridge, Call, Job
from xentcheck.losses import LOSSES
from xentcheck.losses.invariants import INVARIANTS, invariants_of
from xentcheck.measurement import Questions, Tally, measure
from xentcheck.measurement.deviations import Subject
from xentcheck.measurement.invariants import broken, eligible
from xentcheck.model import (
    Array,
    Case,
    Domain,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Process,
    Quantity,
    Report,
    Tolerance,
)
from xentcheck.reference import Reference

CE, BCE = "softmax_cross_entropy", "sigmoid_binary_cross_entropy"
OFF = 1e-7  # within or_abs 1e-6; in float64 no rounding explains it
Function = Callable[..., Array]


# Sound forms, in which the violations are planted.


def lse(x: Array) -> Array:
    most = x.max(axis=1)
    return most + np.log(np.exp(x - most[:, None]).sum(axis=1))


def softmax(x: Array) -> Array:
    parts = np.exp(x - x.max(axis=1, keepdims=True))
    return parts / parts.sum(axis=1, keepdims=True)


def gathered(x: Array, y: Array) -> Array:
    return np.take_along_axis(x, y[:, None], axis=1)[:, 0]


def ce(x: Array, y: Array) -> Array:
    gaps = x - gathered(x, y)[:, None] if y.ndim == 1 else x
    return lse(gaps) if y.ndim == 1 else lse(x) * y.sum(axis=1) - (x * y).sum(axis=1)


def ce_gradient(x: Array, y: Array) -> Array:
    return softmax(x) - np.eye(x.shape[1])[y]


def gap(x: Array, y: Array) -> Array:
    others = np.where(np.eye(x.shape[1], dtype=bool)[y], -np.inf, x)
    return gathered(x, y) - others.max(axis=1)


def bce(x: Array, z: Array) -> Array:
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-np.abs(x)))


def sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def js(p: Array, q: Array) -> Array:
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(p > 0, p * np.log(p / middle), 0) + np.where(
            q > 0, q * np.log(q / middle), 0
        )
    return np.maximum(terms.sum(axis=1) / 2, 0)


def log_softmax(x: Array) -> Array:
    return x - lse(x)[:, None]


PLANTED: list[tuple[str, str, Function, Function | None]] = [
    (CE, "shift", lambda x, y: ce(x, y) + OFF * (x.max(axis=1) > 1), None),
    (CE, "permutation", lambda x, y: ce(x, y) + OFF * (x[:, 0] > x[:, -1]), None),
    (CE, "nonnegative", lambda x, y: ce(x, y) - OFF, None),
    (CE, "decreasing", lambda x, y: ce(x, y) + OFF * (gap(x, y) > 0), None),
    (CE, "one-hot", lambda x, y: ce(x, y) + OFF * (y.ndim > 1), None),
    (CE, "gradient-sum", ce, lambda x, y: ce_gradient(x, y) + OFF),
    (BCE, "reflection", lambda x, z: bce(x, z) + OFF * (x > 0), None),
    (BCE, "decreasing", lambda x, z: bce(x, z) + OFF * np.where(z == 1, x > 20, x < -20), None),
    ("softmax", "probability", lambda x: softmax(x) + OFF, None),
    ("softmax", "probability-sum", lambda x: softmax(x) * (1 + OFF), None),
    ("log_softmax", "log-probability", lambda x: log_softmax(x) + OFF, None),
    ("logsumexp", "shift-equivariance", lambda x: lse(x) + OFF * (x.max(axis=1) > 1), None),
    ("logsumexp", "increasing", lambda x: lse(x) - OFF * (x[:, 0] > -15), None),
    ("logsumexp", "gradient-sum-one", lse, lambda x: softmax(x) * (1 + OFF)),
    ("sigmoid", "complement", lambda x: sigmoid(x) * (1 + OFF * (x > 0)), None),
    ("sigmoid", "increasing", lambda x: sigmoid(x) - OFF * (x > 20), None),
    ("softplus", "nonnegative", lambda x: np.logaddexp(0, x) - OFF, None),
    ("js_divergence", "almost-nonnegative", lambda p, q: js(p, q) - 0.01 * OFF, None),
    ("js_divergence", "exchange", lambda p, q: js(p, q) + OFF * (p[:, 0] > q[:, 0]), None),
]


def kinds(report: Report) -> set[Kind]:
    return {each.kind for each in report.findings}


@pytest.mark.parametrize(
    ("loss", "name", "value", "gradient"), PLANTED, ids=[f"{a}-{b}" for a, b, *_ in PLANTED]
)
def test_a_planted_violation_is_found_that_the_reference_accepts(
    loss: str, name: str, value: Function, gradient: Function | None
) -> None:
    mild = audit_mild(loss, value, gradient, (name,))
    found = [each for each in mild.findings if each.kind is Kind.INVARIANT]
    assert found, "nothing was found"
    assert {each.finding.kind for each in mild.violations} == {Kind.INVARIANT}
    for each in found:
        assert name in each.detail
        assert each.witness is not None
        assert each.distance > 1.0
    assert not audit_mild(loss, value, gradient, ()).violations


def audit_mild(
    loss: str, value: Function, gradient: Function | None, names: tuple[str, ...]
) -> Report:
    """An audit on mild rows with an absolute limit, asking these invariants only."""
    rng = np.random.default_rng(0)
    spec = LOSSES[loss]
    if spec.layout is Layout.ELEMENTWISE:
        logits = rng.uniform(-30, 30, 40).round(3)
    elif spec.domain is Domain.PROBABILITIES:
        logits = rng.dirichlet([1.0, 1.0, 1.0], 40)
    else:
        logits = (rng.integers(-240, 240, (40, 3)) / 8).astype(np.float64)
    kind = spec.label_kinds[0]
    inputs: Any = logits
    if kind is LabelKind.INTEGER:
        inputs = (
            logits,
            np.where(rng.random(40) < 0.5, logits.argmax(axis=1), rng.integers(0, 3, 40)),
        )
    elif kind is LabelKind.TARGET:
        inputs = (logits, rng.integers(0, 2, 40).astype(np.float64))
    elif kind is LabelKind.DISTRIBUTION:
        inputs = (logits, np.where(np.arange(40)[:, None] % 2, logits, logits[::-1]))
    return audit(
        value,
        loss,
        gradient=gradient,
        inputs=inputs,
        or_abs=1e-6,
        max_ulp=0,
        invariants=names or "none",
        sanity_check=False,
    )


def test_the_distance_is_in_ulps_of_the_rows_scale() -> None:
    # the smallest logits are below 1 in magnitude: the scale is 1, whose ulp is 2^-52
    inputs = (np.array([[0.5, 0.25]]), np.array([0]))
    wrong = lambda x, y: np.full(len(x), -(2.0**-40))  # noqa: E731
    report = audit(
        wrong, CE, inputs=inputs, or_abs=1, max_ulp=0, invariants="nonnegative", sanity_check=False
    )
    (found,) = [each for each in report.findings if each.kind is Kind.INVARIANT]
    assert found.distance == 2.0**12
    assert found.detail == (
        "nonnegative: value -9.09494702e-13, not at least 0: 9.09e-13 off, and rounding explains "
        "nothing"
    )


def test_what_the_reference_blames_is_not_counted_twice() -> None:
    def value(x: Array, y: Array) -> Array:
        return np.where(gap(x, y) > 2, -1.0, ce(x, y))

    report = audit_mild(CE, value, None, ("nonnegative", "decreasing", "shift"))
    blamed = {kind: n for each in report.measurements for kind, n in each.counts.items()}
    assert blamed[Kind.WRONG_SIGN] > 1
    found = [each for each in report.findings if each.kind is Kind.INVARIANT]
    assert not [each for each in found if "nonnegative" in each.detail]


def test_a_twin_that_raises_breaks_the_invariant_where_no_sweep_says_so() -> None:
    def value(x: Array, y: Array) -> Array:
        if y.ndim > 1:
            raise ValueError("integer labels only")
        if (np.diff(x, axis=1) < 0).all():
            raise ValueError("not sorted")
        return ce(x, y)

    case = block(CE, [[0.0, 1.0], [0.5, 2.0]], [0, 1])
    made = Implementation(CE, "mine", value, None, ("float64",), tuple(LabelKind), frozenset())
    results = value(case.logits, np.array([0, 1]))
    subject = Subject(made, case, Quantity.VALUE, results)
    found = broken(subject, ("permutation", "one-hot"), np.arange(2), np.arange(2))
    assert set(found) == {"permutation"}  # it need not take distributions
    assert found["permutation"].distance == np.inf
    assert "not sorted" in found["permutation"].detail
    judged = asked(value, case)
    assert Kind.INVARIANT not in judged.incidents


def test_a_twin_that_the_reference_blames_is_not_for_an_invariant_to_say() -> None:
    def value(x: Array, y: Array) -> Array:
        return np.where(x[:, 0] > x[:, -1], np.nan, ce(x, y))

    case = block(CE, [[0.0, 1.0], [0.5, 2.0]], [0, 1])
    assert not asked(value, case).incidents
    off = asked(lambda x, y: ce(x, y) + np.where(x[:, 0] > x[:, -1], OFF, 0), case)
    assert "permutation" in off.ways[Kind.INVARIANT]


def test_a_user_function_is_asked_for_one_hot_labels_only_by_name() -> None:
    seen: list[int] = []

    def value(x: Array, y: Array) -> Array:
        seen.append(y.ndim)
        return ce(x, y)

    inputs = (np.array([[0.0, 1.0], [0.5, 2.0]]), np.array([0, 1]))
    audit(value, CE, inputs=inputs, sanity_check=False, diagnosis=False)
    assert set(seen) == {1}
    audit(value, CE, inputs=inputs, sanity_check=False, invariants="one-hot")
    assert set(seen) == {1, 2}


def test_calls_stay_in_the_range_of_the_block() -> None:
    largest = 0.0

    def value(x: Array, y: Array) -> Array:
        nonlocal largest
        largest = max(largest, float(np.abs(x).max()))
        return ce(x, y)

    inputs = (np.array([[0.0, 1.0], [-3.0, 2.0]]), np.array([0, 1]))
    audit(value, CE, inputs=inputs, sanity_check=False, diagnosis=False)
    assert largest == 3.0


def test_random_results_are_not_blamed_for_an_invariant() -> None:
    rng = np.random.default_rng(1)

    def value(x: Array, y: Array) -> Array:
        return ce(x, y) + rng.uniform(0, OFF, len(x))

    report = audit_mild(CE, value, None, ("shift", "permutation", "decreasing"))
    assert Kind.NON_DETERMINISTIC in kinds(report)
    assert Kind.INVARIANT not in kinds(report)


class TwoPaths(Bridge):
    """A framework whose value is another one on the way to a gradient."""

    process = Process("here")
    dtypes = ("float64",)
    tracks = True

    def __init__(self, off: float) -> None:
        self.off = off

    def value(self, job: Job) -> Array:
        result = job.function(*job.data)
        return np.asarray(result + self.off if job.tracked else result)


@pytest.mark.parametrize(("off", "differs"), [(OFF, True), (2.0**-52, False), (0.0, False)])
def test_the_value_on_the_way_to_a_gradient_is_compared(off: float, *, differs: bool) -> None:
    case = block(CE, [[0.0, 1.0], [0.5, 2.0]], [0, 1])
    tally = asked(Call(TwoPaths(off), ce, CE, Quantity.VALUE), case)
    assert (Kind.INCONSISTENT in tally.incidents) is differs
    assert Kind.INVARIANT not in tally.incidents
    if differs:
        assert tally.incidents[Kind.INCONSISTENT].detail.startswith(
            "paths: value of the way to a gradient"
        )


def block(loss: str, logits: Any, labels: Any, dtype: str = "float64", **parameters: Any) -> Case:
    spec = LOSSES[loss]
    kind = spec.label_kinds[0]
    given = None if labels is None else np.asarray(labels)
    if given is not None and kind is not LabelKind.INTEGER:
        given = from_float64(given.astype(np.float64), dtype)
    x = from_float64(np.asarray(logits, dtype=np.float64), dtype)
    return Case("s", "g", loss, dtype, x, kind, given, parameters)


def asked(function: Function, case: Case, quantity: Quantity = Quantity.VALUE) -> Tally:
    tally = Tally()
    implementation = Implementation(
        case.loss, "mine", function, function, (case.dtype,), tuple(LabelKind), frozenset()
    )
    truth = Reference(case)
    tolerance = Tolerance(max_ulp=0, or_abs=1e-6)
    names = tuple(each.name for each in invariants_of(case.loss) if each.name != "one-hot")
    measure(tally, implementation, case, truth, quantity, tolerance, questions=Questions(names))
    return tally


def test_in_a_survey_one_invariant_is_asked_in_turn() -> None:
    case = block(CE, [[0.0, 1.0], [0.5, 2.0]], [0, 1])
    known = [each.name for each in invariants_of(CE) if Quantity.VALUE in each.quantities]
    met = [name for turn in range(20) for name in Questions(turn=turn).of(_asked(case), ())]
    assert set(met) == set(known) - {"one-hot", "paths"}  # a user's function is asked for neither
    assert len(met) <= 11


def _asked(case: Case) -> Any:
    """Enough of `Asked` to choose the questions."""

    class Some:
        pass

    some = Some()
    some.case = case  # type: ignore[attr-defined]
    some.quantity = Quantity.VALUE  # type: ignore[attr-defined]
    some.implementation = Implementation(  # type: ignore[attr-defined]
        CE, "mine", ce, None, ("float64",), tuple(LabelKind), frozenset()
    )
    return some


# Nothing is found in what is right.

ACCURATE = {each.loss: each for each in numpy_implementations() if each.name == "numpy.accurate"}
SOUND = [each for each in numpy_implementations() if each.sound]
FINITE = st.floats(-60, 60, width=16)
PROBABILITY = st.integers(1, 64).map(lambda k: k / 64)


def holds(implementation: Implementation, case: Case) -> None:
    for quantity in Quantity:
        function = implementation.value if quantity is Quantity.VALUE else implementation.gradient
        if function is None:
            continue
        rows = eligible(case, np.arange(case.rows))
        results = answer(implementation, case, quantity)
        assert results is not None
        names = [
            each.name
            for each in invariants_of(case.loss)
            if quantity in each.quantities and each.goes_with(case.parameters, case.label_kind)
        ]
        found = broken(Subject(implementation, case, quantity, results), names, rows, rows)
        assert not found, (implementation.name, case.logits, case.labels, found)


@pytest.mark.parametrize("loss", LOSSES)
@given(data=st.data())
@settings(max_examples=8, deadline=None)
def test_accurate_results_keep_every_invariant(loss: str, data: st.DataObject) -> None:
    spec = LOSSES[loss]
    dtype = data.draw(st.sampled_from(["float16", "bfloat16", "float32", "float64"]))
    holds(ACCURATE[loss], drawn(loss, data, dtype))
    for each in SOUND:
        if each.loss == loss and spec.label_kinds[0] in each.label_kinds:
            holds(each, drawn(loss, data, "float32"))


def drawn(loss: str, data: st.DataObject, dtype: str) -> Case:
    """Two rows of a loss."""
    spec = LOSSES[loss]
    number = PROBABILITY if spec.domain is Domain.PROBABILITIES else FINITE
    if spec.domain is Domain.LOG_PROBABILITIES:
        number = FINITE.map(lambda x: -abs(x))
    classes = data.draw(st.integers(1, 5))
    row = st.lists(number, min_size=classes, max_size=classes)
    kind = spec.label_kinds[0]
    rows: Any = data.draw(st.lists(row, min_size=2, max_size=2))
    if spec.layout is Layout.ELEMENTWISE:
        rows = [rows[0][0], rows[1][0]]
    labels: Any = None
    if kind is LabelKind.INTEGER:
        labels = [data.draw(st.integers(0, classes - 1)) for _ in range(2)]
    elif kind is LabelKind.TARGET:
        labels = [data.draw(st.sampled_from([0.0, 1.0, 0.25])) for _ in range(2)]
    elif kind is LabelKind.DISTRIBUTION:
        weights = st.lists(PROBABILITY, min_size=classes, max_size=classes)
        labels = np.array([data.draw(weights) for _ in range(2)])
    return block(loss, rows, labels, dtype)


def test_an_unsupported_input_breaks_nothing() -> None:
    def value(x: Array, y: Array) -> Array:
        if x[0, 0] > x[0, -1]:
            raise UnsupportedError("sorted rows only")
        return ce(x, y)

    case = block(CE, [[0.0, 1.0]], [0])
    implementation = Implementation(
        CE, "mine", value, None, ("float64",), tuple(LabelKind), frozenset()
    )
    subject = Subject(implementation, case, Quantity.VALUE, ce(case.logits, np.array([0])))
    assert not broken(subject, ("permutation",), np.arange(1), np.arange(1))


@pytest.mark.parametrize("name", sorted(INVARIANTS))
def test_every_invariant_is_planted_here(name: str) -> None:
    assert name in {each[1] for each in PLANTED} | {"paths"}


def test_a_reversal_that_makes_a_label_the_ignored_one_is_not_asked() -> None:
    """With label 1 of two classes reversed to 0, the row would be ignored and its gradient 0."""

    def sound(x: Array, y: Array, ignore_index: int = -100) -> Array:
        return np.where(y == ignore_index, 0, -x[np.arange(len(y)), y]).astype(x.dtype)

    inputs = (np.array([[-0.5, -1.0], [-0.25, -1.5]]), np.array([1, 1]))
    report = audit(sound, "nll_loss", inputs=inputs, parameters={"ignore_index": 0}, gradient=None)
    assert not [each for each in report.findings if each.kind is Kind.INVARIANT]
