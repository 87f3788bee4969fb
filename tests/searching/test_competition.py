"""Strategies compete for the worst row: planted faults, prefixes, what is kept."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.searching.test_searching import implementation
from xentcheck.errors import UnsupportedError
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import Aim
from xentcheck.model import Case, Domain, Float64Array, Kind, LabelKind, Quantity
from xentcheck.searching import Trials
from xentcheck.searching.competition import CONTROL, SWEEP, Competition, Course, grouped
from xentcheck.searching.space import CHANCES, COUNTS, Space, settings_of
from xentcheck.searching.strategies import STRATEGIES, Uniform
from xentcheck.sweeps.generator import stream
from xentcheck.sweeps.landmarks import exp_thresholds

# float32's exp overflows above this number, so it is a landmark; the spike is two ulps further
OVERFLOW = np.float32(exp_thresholds(FORMATS["float32"])["exp_overflow"])
SPIKE = np.nextafter(np.nextafter(OVERFLOW, np.float32(200)), np.float32(200))


def right_softplus(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    return (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)


def spiked(x: np.ndarray) -> np.ndarray:
    """Right to half an ulp, but at one number 4,096 ulps too large."""
    result = right_softplus(x)
    return np.where(x == SPIKE, result * np.float32(1 + 2**-11), result)


def right_logsumexp(x: np.ndarray) -> np.ndarray:
    wide = x.astype(np.float64)
    top = wide.max(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):
        return (top + np.log(np.exp(wide - top[:, None]).sum(axis=1))).astype(x.dtype)


def nan_at_one_gap(x: np.ndarray) -> np.ndarray:
    """NaN where the first logit is exactly 37 above the second, of two."""
    result = right_logsumexp(x)
    if x.shape[1] == 2:
        wide = x.astype(np.float64)
        result = np.where(wide[:, 0] - wide[:, 1] == 37.0, np.float32(np.nan), result)
    return result


def competition(value: Any, loss: str, dtype: str = "float32", **changes: Any) -> Competition:
    made = value if not callable(value) else implementation(value, loss)
    spec = LOSSES[loss]
    fields: dict[str, Any] = {
        "trials": Trials(made, changes.pop("quantity", Quantity.VALUE), lambda _: None),
        "space": changes.pop("space", Space(spec, dtype, spec.label_kinds[0])),
        "starts": (),
        "aim": Aim.ULP,
        "wanted": None,
        "shows": lambda _: True,
        "stream": lambda purpose: stream(changes.get("seed", 0), "test", purpose),
    }
    return Competition(**{**fields, **{k: v for k, v in changes.items() if k != "seed"}})


def run(held: Competition, budget: int) -> Course:
    return held.run(budget, lambda: False, lambda _: None)


def drawn_at_random(held: Competition, budget: int) -> list[Case]:
    """Cases that the control alone proposes."""
    control = Uniform(held.space, Course().pool, np.random.default_rng(5))
    return [control.propose().case for _ in range(-(-budget // held.space.size))]


# planted faults ------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_spike_at_one_number_beside_a_boundary_is_found_and_not_by_chance(seed: int) -> None:
    held = competition(spiked, "softplus", seed=seed)
    course = run(held, 20_000)
    assert course.winner not in (CONTROL, "")
    # 2^-11 of a number just above 88.7, whose ulp is 2^-17, is 5,678 ulps
    assert course.worst == pytest.approx(float(SPIKE) * 2**-11 / 2**-17, abs=1.0)
    worst = course.pool.ranked()[0].people
    assert worst.logits[0] == SPIKE
    assert not any((case.logits == SPIKE).any() for case in drawn_at_random(held, 40_000))


@pytest.mark.parametrize("seed", range(3))
def test_a_nan_at_one_gap_is_found_and_not_by_chance(seed: int) -> None:
    held = competition(nan_at_one_gap, "logsumexp", seed=seed)
    course = run(held, 20_000)
    first = course.first[Kind.NAN]
    x = to_float64(first.logits)[0]
    assert x[0] - x[1] == 37.0
    for case in drawn_at_random(held, 40_000):
        x = to_float64(case.logits)
        assert case.classes != 2 or not (x[:, 0] - x[:, 1] == 37.0).any()


def test_a_climb_that_chance_does_not_make() -> None:
    """The error grows towards a gap of 50.3 with equal other logits, up to 2^20 ulps."""

    def hill(x: np.ndarray) -> np.ndarray:
        wide = x.astype(np.float64)
        order = np.sort(wide, axis=1)
        gap = order[:, -1] - order[:, 0]
        bits = np.maximum(20.0 - np.abs(gap - 50.3) * 4, 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            return (right_logsumexp(x) * (1 + 2.0 ** (bits - 23))).astype(x.dtype)

    held = competition(hill, "logsumexp")
    course = run(held, 20_000)
    assert course.worst > 2**18
    assert course.winner != CONTROL


def test_a_sound_function_stays_sound() -> None:
    course = run(competition(right_softplus, "softplus"), 10_000)
    assert course.worst <= 0.5 + 2**-10
    assert not course.first


# prefixes ------------------------------------------------------------------------------------


def rows_tried(budget: int, seed: int = 0, loss: str = "logsumexp") -> tuple[list[bytes], Course]:
    rows: list[bytes] = []

    def watched(x: np.ndarray, *_: Any) -> np.ndarray:
        rows.extend(each.tobytes() for each in x)
        return right_logsumexp(x) if x.ndim == 2 else right_softplus(x)

    course = run(competition(watched, loss, seed=seed), budget)
    return rows, course


@pytest.mark.parametrize("loss", ["logsumexp", "softplus"])
def test_the_rows_of_a_budget_are_the_first_of_a_larger_one(loss: str) -> None:
    small, one = rows_tried(1_500, loss=loss)
    large, two = rows_tried(3_000, loss=loss)
    assert one.evaluations == 1_500
    assert two.evaluations == 3_000
    assert small[:1_500] == large[:1_500]
    assert one.curve == [each for each in two.curve if each.evaluations <= 1_500]
    assert sum(one.shares.values()) == 1_500
    again, _ = rows_tried(1_500, loss=loss)
    assert again == small


def test_another_seed_tries_other_rows() -> None:
    assert rows_tried(600)[0] != rows_tried(600, seed=1)[0]


def test_every_strategy_is_tried_and_the_control_has_its_share() -> None:
    _, course = rows_tried(8_000)
    assert set(course.shares) == {SWEEP, *STRATEGIES}
    assert all(course.shares[name] > 0 for name in STRATEGIES)
    assert course.shares[CONTROL] == pytest.approx(8_000 / 16, abs=64)
    assert [each.worth for each in course.curve] == sorted(each.worth for each in course.curve)


# starts, aims and kinds ----------------------------------------------------------------------


def test_a_search_starts_from_the_rows_that_are_given() -> None:
    space = Space(LOSSES["softplus"], "float32", LabelKind.NONE)
    start = space.case(np.array([SPIKE], dtype=np.float32), None, {})
    course = run(competition(spiked, "softplus", starts=grouped([(start, {})])), 300)
    assert course.winner == SWEEP
    assert course.curve[-1].evaluations == 1
    assert course.shares[SWEEP] == space.size


def test_a_kind_ends_the_search_when_it_is_found() -> None:
    held = competition(nan_at_one_gap, "logsumexp", wanted=Kind.NAN)
    course = run(held, 50_000)
    assert course.reached is not None
    assert course.evaluations < 50_000
    x = to_float64(course.reached.logits)[0]
    assert x[0] - x[1] == 37.0
    refused = run(replace(held, shows=lambda _: False), 2_000)
    assert refused.reached is None
    assert refused.evaluations == 2_000


def test_the_normwise_error_of_a_gradient_is_that_of_its_row() -> None:
    """One component is off by a tenth of the row's largest: no row is worse than that."""

    def gradient(x: np.ndarray) -> np.ndarray:
        wide = x.astype(np.float64)
        with np.errstate(over="ignore"):
            p = np.exp(wide - wide.max(axis=1, keepdims=True))
            p /= p.sum(axis=1, keepdims=True)
        p[:, 0] += np.where(wide[:, 0] < wide.max(axis=1), 0.1 * p.max(axis=1), 0.0)
        return p.astype(x.dtype)

    made = implementation(right_logsumexp, "logsumexp", gradient=gradient)
    held = competition(made, "logsumexp", quantity=Quantity.GRADIENT, aim=Aim.NORM)
    course = run(held, 3_000)
    assert course.worst == pytest.approx(0.1, rel=1e-5)
    in_ulps = run(replace(held, aim=Aim.ULP), 3_000)
    assert in_ulps.worst > 1e10  # small components are off by all their digits


def test_excess_is_what_the_condition_number_does_not_explain() -> None:
    """Next to a logsumexp of 0 a right sum is off by many ulps, and by no excess bit."""

    def tail(x: np.ndarray) -> np.ndarray:
        rows, top = np.arange(len(x)), x.argmax(axis=1)
        with np.errstate(over="ignore"):
            others = np.exp(x - x[rows, top][:, None])
        others[rows, top] = 0
        return x[rows, top] + np.log1p(others.sum(axis=1))

    held = competition(tail, "logsumexp")
    assert run(held, 6_000).worst > 1e3
    assert run(replace(held, aim=Aim.EXCESS), 6_000).worst < 4


# what goes wrong on the way ------------------------------------------------------------------


def test_rows_that_raise_are_kept_and_the_search_goes_on() -> None:
    def picky(x: np.ndarray) -> np.ndarray:
        if (x > 300).any():
            raise ValueError("too large")
        return right_softplus(x)

    course = run(competition(picky, "softplus"), 5_000)
    assert course.incidents[Kind.RAISED].detail.startswith("ValueError")
    assert (course.first[Kind.RAISED].logits > 300).all()
    assert course.evaluations == 5_000
    assert not course.ended


def test_a_function_that_always_raises_ends_the_search() -> None:
    def broken(x: np.ndarray) -> np.ndarray:
        raise ValueError("no")

    course = run(competition(broken, "logsumexp"), 5_000)
    assert course.ended == "most calls fail"
    assert course.evaluations < 600
    assert Kind.RAISED in course.first


def test_inputs_that_it_does_not_take_end_the_search_with_the_reason() -> None:
    def refusing(x: np.ndarray) -> np.ndarray:
        raise UnsupportedError("does not take such rows")

    course = run(competition(refusing, "logsumexp"), 5_000)
    assert "does not take such rows" in course.ended


def test_an_interrupt_keeps_what_is_known() -> None:
    calls = []

    def interrupted(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        if len(calls) == 20:
            raise KeyboardInterrupt
        return spiked(x)

    course = run(competition(interrupted, "softplus"), 50_000)
    assert course.interrupted
    assert course.curve
    assert course.evaluations < 50_000


# the space -----------------------------------------------------------------------------------

KINDS = [(loss, kind) for loss in LOSSES.values() for kind in loss.label_kinds]


@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
@pytest.mark.parametrize(("loss", "kind"), KINDS, ids=lambda each: getattr(each, "id", each))
def test_no_strategy_leaves_the_domain(loss: Any, kind: LabelKind, dtype: str) -> None:
    names = [each.name for each in loss.parameters]
    settings = settings_of(loss, kind, {}, names, dtype)
    for targets in ("all", "ends", "soft"):
        if targets != "all" and kind not in (LabelKind.TARGET, LabelKind.DISTRIBUTION):
            continue
        space = Space(loss, dtype, kind, targets, settings=settings)
        course = Course()
        for number, (name, make) in enumerate(STRATEGIES.items()):
            strategy = make(space, course.pool, np.random.default_rng(number))
            rng = np.random.default_rng(7)
            for _ in range(8):
                block = strategy.propose()
                check_inside(block.case, loss, kind, space, targets, name)
                worth: Float64Array = rng.exponential(size=block.case.rows)
                course.pool.add(block.case, block.setting, worth)
                strategy.learn(block, worth)


def check_inside(
    case: Case, loss: Any, kind: LabelKind, space: Space, targets: str, name: str
) -> None:
    x = to_float64(case.logits)
    assert case.rows == space.size, name
    assert case.logits.dtype == FORMATS[case.dtype].dtype
    assert np.isfinite(x).all(), name
    match loss.domain:
        case Domain.PROBABILITIES:
            assert ((x >= 0) & (x <= 1)).all()
        case Domain.LOG_PROBABILITIES:
            assert (x <= 0).all()
    for each in case.parameters:
        declared = loss.parameter(each)
        value = case.parameters[each]
        if isinstance(value, float):
            assert not declared.out_of_range(value), (each, value)
    if kind is LabelKind.INTEGER:
        assert ((case.labels >= 0) & (case.labels < case.classes)).all()
    elif case.labels is not None:
        y = to_float64(case.labels)
        logarithmic = bool(case.parameters.get("log_target"))
        assert ((y <= 0) if logarithmic else (y >= 0) & (y <= 1)).all(), name
        if targets == "ends" and not logarithmic:
            assert np.isin(y, (0.0, 1.0)).all(), name
        if targets == "soft" and kind is LabelKind.TARGET:
            assert ((y > 0) & (y < 1)).all(), name


def test_settings_change_one_parameter_and_keep_what_is_asked_for() -> None:
    loss = LOSSES["softmax_cross_entropy"]
    takes = ("label_smoothing", "temperature", "reduction", "weight")
    settings = settings_of(loss, LabelKind.INTEGER, {"temperature": 2.0}, takes, "float32")
    assert settings[0] == {"temperature": 2.0}
    assert all(each["temperature"] == 2.0 for each in settings)
    assert all(len(each) <= 2 for each in settings)
    changed = {name for each in settings for name in each}
    assert changed == {"temperature", "label_smoothing", "weight"}  # never the reduction


def test_anchors_are_numbers_of_the_dtype() -> None:
    for loss in ("softplus", "entropy", "nll_loss"):
        for dtype in FORMATS:
            spec = LOSSES[loss]
            anchors = Space(spec, dtype, spec.label_kinds[0]).anchors
            assert len(anchors) > 20
            assert len(set(anchors.tolist())) == len(anchors)
            assert (to_float64(from_float64(anchors, dtype)) == anchors).all()


def test_class_counts_are_those_that_have_chances() -> None:
    assert len(set(COUNTS)) == len(COUNTS)
    assert math.isclose(sum(CHANCES), 1.0)
