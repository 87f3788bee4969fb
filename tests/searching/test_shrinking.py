"""Witnesses are made smaller: to forms that are derived by hand from what the fault needs."""

import hashlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.searching.test_searching import KINDS, starting
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import Case, Domain, LabelKind
from xentcheck.searching.shrinking import MOST_CALLS, shrink
from xentcheck.searching.simplicity import effort, shortest, simpler

CE = "softmax_cross_entropy"


def case_of(
    logits: Any,
    labels: Any = None,
    *,
    loss: str = CE,
    dtype: str = "float32",
    **parameters: Any,
) -> Case:
    """A case with labels of the kind that their type says."""
    x = from_float64(np.asarray(logits, dtype=np.float64), dtype)
    kind, given = LabelKind.NONE, None
    if labels is not None:
        raw = np.asarray(labels)
        if raw.dtype.kind in "iu":
            kind, given = LabelKind.INTEGER, raw.astype(np.int64)
        else:
            kind = LabelKind.DISTRIBUTION if x.ndim == 2 else LabelKind.TARGET
            given = from_float64(raw, dtype)
    return Case("s", "s", loss, dtype, x, kind, given, parameters)


def gap(case: Case) -> np.ndarray:
    """How far the label's logit is above every other one; 0 where there is none."""
    x = to_float64(case.logits)
    assert case.labels is not None
    rows = np.arange(len(x))
    own = x[rows, case.labels].copy()
    x[rows, case.labels] = -np.inf
    best = x.max(axis=1)
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(best), own - best, 0.0)


def row(case: Case) -> list[float]:
    assert case.rows == 1
    return to_float64(case.logits)[0].tolist()


# what the fault needs ------------------------------------------------------------------------


def test_a_gap_is_left_with_two_classes_label_0_and_one_digit() -> None:
    start = case_of([[3.7, -11.25, 49.187, 0.3, -8.0, 2.0, 2.0, 1.5, 11.4, 0.01]], [2])
    small = shrink(start, lambda case: gap(case) >= 36.74)
    # 40 is the smallest number of one digit that is not below 36.74
    assert row(small) == [40.0, 0.0]
    assert small.labels.tolist() == [0]


def test_a_narrow_gap_keeps_its_digits() -> None:
    start = case_of([[51.740001, 15.0, 3.0]], [0])
    small = shrink(start, lambda case: np.abs(gap(case) - 36.74) < 1e-4)
    assert row(small) == [float(np.float32(36.74)), 0.0]


def test_one_large_logit_needs_one_class() -> None:
    small = shrink(
        case_of([[1.0, 93.71828, -4.0]], [0]),
        lambda case: (to_float64(case.logits) > 88.73).any(axis=1),
    )
    assert row(small) == [90.0]
    assert small.labels.tolist() == [0]


def test_equal_logits_become_zeros() -> None:
    def three_are_largest(case: Case) -> np.ndarray:
        x = to_float64(case.logits)
        return (x == x.max(axis=1, keepdims=True)).sum(axis=1) >= 3

    start = case_of([[1.37, 7.11, -2.0, 7.11, 7.11, 5.0]], [4])
    assert row(shrink(start, three_are_largest)) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("special", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_stays_where_it_is_needed(special: float) -> None:
    def has_it(case: Case) -> np.ndarray:
        x = to_float64(case.logits)
        same = np.isnan(x) if math.isnan(special) else x == special
        return same.any(axis=1)

    small = shrink(case_of([[1.5, special, 7.25]], [0]), has_it)
    (only,) = row(small)
    assert only == special or (math.isnan(only) and math.isnan(special))


def test_what_is_not_finite_goes_where_it_is_not_needed() -> None:
    small = shrink(case_of([[25.3, -math.inf, math.nan, 1.0]], [0]), lambda case: gap(case) > 16.7)
    assert row(small) == [20.0, 0.0]


def test_a_vocabulary_becomes_two_classes() -> None:
    x = np.linspace(-8.0, 8.0, 65_540)
    x[33_088] = 28.61
    seen: list[tuple[int, ...]] = []

    def fails(case: Case) -> np.ndarray:
        seen.append(case.logits.shape)
        return gap(case) > 16.7

    small = shrink(case_of([x], [33_088]), fails)
    assert row(small) == [20.0, 0.0]
    assert sum(rows * classes for rows, classes in seen) < 40 * 65_540


def test_as_many_classes_stay_as_are_needed() -> None:
    start = case_of([np.linspace(-1.0, 1.0, 1000)], [999])
    small = shrink(start, lambda case: np.full(case.rows, case.classes >= 257))
    assert row(small) == [0.0] * 257


def test_a_label_that_is_needed_stays() -> None:
    start = case_of([[2.7, 1.3, 9.6]], [2])
    small = shrink(start, lambda case: np.asarray(case.labels == 1))
    assert (row(small), small.labels.tolist()) == ([0.0, 0.0], [1])
    small = shrink(start, lambda case: np.asarray(case.labels == case.classes - 1))
    assert (row(small), small.labels.tolist()) == ([0.0], [0])


def test_parameters_go_where_the_fault_does_not_need_them() -> None:
    weight = from_float64(np.array([0.513, 1.7, 2.0]), "float32")
    given = {"label_smoothing": float(np.float32(0.137)), "temperature": 3.25, "weight": weight}
    start = case_of([[25.3, 1.0, 2.0]], [0], **given)
    assert shrink(start, lambda case: gap(case) > 16.7).parameters == {}

    def smoothed(case: Case) -> np.ndarray:
        return np.full(case.rows, 0 < float(case.parameters.get("label_smoothing", 0)) < 0.15)

    small = shrink(start, smoothed)
    assert small.parameters == {"label_smoothing": float(np.float32(0.1))}
    assert row(small) == [0.0]


def test_weights_keep_the_numbers_of_the_classes_that_are_left() -> None:
    weight = from_float64(np.array([0.513, 1.7, 0.0, 2.0]), "float32")

    def needs_no_weight(case: Case) -> np.ndarray:
        own = case.parameters.get("weight")
        if own is None or case.labels is None or case.classes < 2:
            return np.zeros(case.rows, dtype=np.bool_)
        assert own.shape == (case.classes,)
        return to_float64(own)[case.labels] == 0

    small = shrink(case_of([[1.0, 2.5, 3.25, 4.0]], [2], weight=weight), needs_no_weight)
    assert row(small) == [0.0, 0.0]
    weights = to_float64(small.parameters["weight"]).tolist()
    assert weights[int(small.labels[0])] == 0.0
    assert all(0 <= each <= 2 for each in weights)


def test_a_distribution_becomes_one_hot_and_its_class_the_first() -> None:
    def masked(case: Case) -> np.ndarray:
        x, y = to_float64(case.logits), to_float64(case.labels)
        return ((x == -np.inf) & (y == 0)).any(axis=1)

    start = case_of([[1.7, -np.inf, 3.3, 0.1]], [[0.25, 0.0, 0.5, 0.25]])
    small = shrink(start, masked)
    assert sorted(row(small)) == [-math.inf, 0.0]
    assert sorted(to_float64(small.labels)[0].tolist()) == [0.0, 1.0]
    assert bool(masked(small)[0])


def test_a_single_number_and_its_target() -> None:
    start = case_of([57.61], [0.8999], loss="sigmoid_binary_cross_entropy")
    small = shrink(start, lambda case: to_float64(case.logits) > 36.8)
    assert (small.logits.tolist(), small.labels.tolist()) == ([40.0], [0.0])


# blocks --------------------------------------------------------------------------------------


def test_a_reduction_keeps_the_rows_that_it_needs() -> None:
    x = np.arange(60.0).reshape(20, 3) / 7

    def far_apart(case: Case) -> np.ndarray:
        assert case.reduced
        highest = to_float64(case.logits).max(axis=1)
        return np.array([highest.max() - highest.min() > 5.0])

    start = case_of(x, np.zeros(20, dtype=int), reduction="mean")
    small = shrink(start, far_apart)
    assert (small.rows, small.classes) == (2, 1)
    assert sorted(to_float64(small.logits).ravel().tolist()) == [0.0, 6.0]
    assert small.parameters == {"reduction": "mean"}
    assert small.labels.tolist() == [0, 0]


def test_one_row_of_a_reduction_is_enough_for_a_fault_of_a_row() -> None:
    x = np.zeros((50, 4))
    x[31, 2] = 97.5
    start = case_of(x, np.arange(50) % 4, reduction="sum")
    small = shrink(start, lambda case: np.array([(to_float64(case.logits) > 88.8).any()]))
    assert to_float64(small.logits).tolist() == [[90.0]]


# the way there -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "float8_e4m3fn"])
@pytest.mark.parametrize(("loss", "kind"), KINDS, ids=lambda each: getattr(each, "id", each))
def test_every_candidate_is_in_the_domain_and_calls_are_bounded(
    loss: Loss, kind: LabelKind, dtype: str
) -> None:
    """Whatever fails: here a third of all inputs, chosen by their bytes."""
    axes: list[dict[str, Any]] = [{}]
    if loss.parameter("log_target") is not None:
        axes.append({"log_target": (True,)})
    for parameters in axes:
        start = starting(loss, kind, dtype, **parameters)
        one = case_like(start, slice(0, 1))
        normalised = kind is LabelKind.DISTRIBUTION and not parameters and sums_to_1(one.labels)
        shapes: dict[tuple[int, str], set[int]] = {}

        def fails(
            case: Case,
            loss: Loss = loss,
            kind: LabelKind = kind,
            normalised: bool = normalised,
            shapes: dict[tuple[int, str], set[int]] = shapes,
        ) -> np.ndarray:
            shapes.setdefault((case.classes, repr(case.parameters)), set()).add(case.rows)
            x = to_float64(case.logits)
            assert case.logits.dtype == FORMATS[dtype].dtype
            assert not np.isnan(x).any()
            match loss.domain:
                case Domain.PROBABILITIES:
                    assert ((x >= 0) & (x <= 1)).all()
                case Domain.LOG_PROBABILITIES:
                    assert (x <= 0).all()
            if kind is LabelKind.INTEGER:
                assert ((case.labels >= 0) & (case.labels < case.classes)).all()
            elif case.labels is not None:
                y = to_float64(case.labels)
                logarithmic = bool(case.parameters.get("log_target"))
                assert ((y <= 0) if logarithmic else (y >= 0) & (y <= 1)).all()
                assert not normalised or sums_to_1(case.labels)
            return np.array([digest(case, k) % 3 == 0 for k in range(case.rows)])

        small = shrink(one, fails)
        assert small.rows == 1
        assert all(len(rows) == 1 for rows in shapes.values())  # a framework compiles once
        again = shrink(one, fails)
        assert again.logits.tobytes() == small.logits.tobytes()


def case_like(case: Case, rows: slice) -> Case:
    from dataclasses import replace

    return replace(
        case,
        logits=case.logits[rows],
        labels=None if case.labels is None else case.labels[rows],
        parameters={n: v[rows] if np.ndim(v) == 2 else v for n, v in case.parameters.items()},
    )


def sums_to_1(labels: Any) -> bool:
    epsilon = FORMATS[next(n for n, f in FORMATS.items() if f.dtype == labels.dtype)].epsilon
    sums = to_float64(labels).sum(axis=1)
    return bool((np.abs(sums - 1) <= (labels.shape[1] + 1) * epsilon).all())


def digest(case: Case, place: int) -> int:
    labels = b"" if case.labels is None else case.labels[place].tobytes()
    data = case.logits[place].tobytes() + labels + repr(case.parameters).encode()
    return hashlib.sha256(data).digest()[0]


def counting(fails: Callable[[Case], np.ndarray]) -> tuple[Callable[[Case], np.ndarray], list[int]]:
    calls: list[int] = []

    def counted(case: Case) -> np.ndarray:
        calls.append(case.rows)
        return fails(case)

    return counted, calls


def test_calls_are_bounded() -> None:
    start = case_of([np.linspace(-50.0, 50.0, 40)], [39])
    fails, calls = counting(lambda case: np.zeros(case.rows, dtype=np.bool_))
    assert shrink(start, fails) is start
    assert len(calls) <= MOST_CALLS
    fails, calls = counting(lambda case: np.full(case.rows, case.classes == 40))
    shrink(start, fails, most_calls=7)
    assert len(calls) <= 7


def test_the_result_fails() -> None:
    asked: dict[bytes, bool] = {}

    def fails(case: Case) -> np.ndarray:
        results = np.array([digest(case, k) % 5 < 2 for k in range(case.rows)])
        for k, failing in enumerate(results):
            asked[case.logits[k].tobytes() + case.labels[k].tobytes()] = bool(failing)
        return results

    for seed in range(20):
        x = np.random.default_rng(seed).normal(size=(1, 5)) * 10
        start = case_of(x, [seed % 5])
        small = shrink(start, fails)
        if small is not start:
            assert asked[small.logits[0].tobytes() + small.labels[0].tobytes()]


# numbers -------------------------------------------------------------------------------------


def test_what_is_simple() -> None:
    ordered = [0.0, 1.0, 20.0, -20.0, 0.5, 36.7, 36.74, 19.87654]
    efforts = [effort(float(np.float32(each)), "float32") for each in ordered]
    assert efforts[0] == 0
    assert efforts[1] < efforts[2] < efforts[3]
    assert efforts[5] < efforts[6] < efforts[7]
    assert effort(0.5, "float32") < effort(float(np.float32(0.1)), "float32")
    assert effort(0.1, "float64") == pytest.approx(effort(0.5, "float64"), abs=0.02)
    assert shortest(float(np.float32(36.74)), "float32") == "3.674e+01"


@pytest.mark.parametrize("value", [19.87654, -0.333, 1e-30, 3e38, 65504.0])
def test_simpler_numbers_are_simpler_and_of_the_dtype(value: float) -> None:
    own = float(np.float32(value))
    near = simpler(own, "float32")
    assert near
    assert near[0] == 0
    efforts = [effort(each, "float32") for each in near]
    assert efforts == sorted(efforts)
    assert all(each < effort(own, "float32") for each in efforts)
    assert all(float(np.float32(each)) == each for each in near)
    assert not simpler(0.0, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_largest_number_has_simpler_ones(dtype: str) -> None:
    """Rounded up to a few bits it is infinite; that is no number to propose."""
    most = FORMATS[dtype].max
    for value in (most, -most, np.nextafter(most, 0)):
        near = simpler(float(value), dtype)
        assert near
        assert np.isfinite(near).all()


def test_losses_have_no_other_domains() -> None:
    """Another domain would need candidates of its own."""
    known = {Domain.LOGITS, Domain.PROBABILITIES, Domain.LOG_PROBABILITIES}
    assert {each.domain for each in LOSSES.values()} <= known
