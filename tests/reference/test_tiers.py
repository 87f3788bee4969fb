"""The fast tiers against the arbiter: they contain what it says, narrowly, and are left in time."""

import dataclasses
import json
import math
import os
from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tests.places import ROOT
from tests.reference.test_reference import (
    FAMILIES,
    cases,
    draw_labels,
    draw_parameters,
    parameter_sets,
)
from xentcheck import config, sweeps
from xentcheck.auditing import run
from xentcheck.auditing.environment import METHOD, WITHOUT_BINARY128
from xentcheck.auditing.run import audit
from xentcheck.errors import EmptySweepError
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import Tally, measure
from xentcheck.model import Case, Implementation, LabelKind, Layout, Quantity, Tolerance
from xentcheck.reference import (
    Element,
    Reference,
    Tier,
    arbiter,
    balls,
    disagreement,
    exact,
    exact_component,
    exact_in_block,
    tiers,
    tiers_for,
)
from xentcheck.reference.balls import BINARY128, FLOAT64, FUNCTION_ULPS
from xentcheck.reference.double_double import FLOOR, FUNCTION, DoubleDouble
from xentcheck.reference.enclosures import Balls
from xentcheck.reference.forms import FORMS, divergence
from xentcheck.report import document

DTYPES = tuple(FORMATS)
CE = "softmax_cross_entropy"
INF, NAN = np.inf, np.nan
CONFIGS = ROOT / "configs"
SEEDS = int(os.environ.get("REFERENCE_SEEDS", "2"))

needs_binary128 = pytest.mark.skipif(
    BINARY128 is None, reason="numpy-quaddtype is not installed: there is no binary128 tier"
)


def claims(case):
    """What every tier below the arbiter says of a case, as (tier, quantity, results)."""
    truth = Reference(case)
    rows = np.arange(case.rows)
    for level, tier in enumerate(truth.tiers[:-1]):
        for quantity in Quantity:
            if level == 0:
                yield tier, quantity, truth.at(quantity, slice(0, case.rows))
            else:
                yield tier, quantity, truth.sharper(quantity, rows, level)


def enclosed(results):
    return results.enclosures() if isinstance(results, Balls) else results


def described(case, place):
    row = place[0] if place else slice(None)
    labels = None if case.labels is None else case.labels[row]
    return f"{case.generator} {case.logits[row]!r} {labels!r} {dict(case.parameters)!r}"


def assert_contained(case):
    """The fast tiers contain what the arbiter says of a case. Returns how many claims were held."""
    certain = exact(case)
    held = 0
    for tier, quantity, claimed in claims(case):
        want = certain.value if quantity is Quantity.VALUE else certain.gradient
        assert claimed.shape == want.shape
        place = tiers.outside(claimed, want)
        if place is not None:
            found = enclosed(claimed)
            message = (
                f"{case.loss} in {case.dtype}, {quantity}{list(place)} by {tier}: "
                f"{found.at(place)} does not contain {want.at(place)}: {described(case, place)}"
            )
            raise AssertionError(message)
        held += 1
    return held


def reductions(case):
    """The case as it is, and reduced where its loss can be."""
    yield case
    if LOSSES[case.loss].reducible:
        for reduction in ("mean", "sum"):
            parameters = {**case.parameters, "reduction": reduction}
            yield dataclasses.replace(case, parameters=parameters)


def tiered_below(dtype):
    """How many tiers a dtype has below the arbiter."""
    return len(tiers_for(dtype)) - 1


BY_LOSS = pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.id)
BY_DTYPE = pytest.mark.parametrize("dtype", DTYPES)


@BY_DTYPE
@BY_LOSS
def test_every_tier_contains_the_arbiter(loss, dtype):
    held = sum(
        assert_contained(each) for case in cases(loss, dtype, seed=31) for each in reductions(case)
    )
    assert held >= 2 * tiered_below(dtype) * len(FAMILIES[loss.domain])


@pytest.mark.slow
@BY_DTYPE
@BY_LOSS
def test_every_tier_contains_the_arbiter_for_many_seeds(loss, dtype, record_property):
    """With REFERENCE_SEEDS=N as many seeds as wanted; --junitxml tells how many results that is."""
    results = 0
    for seed in range(100, 100 + SEEDS):
        for case in cases(loss, dtype, seed):
            for each in reductions(case):
                assert_contained(each)
                results += sum(math.prod(loss.result_shape(each, of)) for of in Quantity)
    record_property("results of each tier", results)


# What the radii are for: functions as inaccurate as they are assumed to be at worst.


class Inaccurate:
    """NumPy, but its elementary functions are off by nearly all that is allowed to them."""

    def __init__(self, direction):
        self.direction = direction
        self.rng = np.random.default_rng(0)

    def __getattr__(self, name):
        return getattr(np, name)

    def off(self, exact_results):
        """The same, off by 2 (FUNCTION_ULPS − 1) roundings: one more is each function's own."""
        if isinstance(exact_results, DoubleDouble):
            signs = self.rng.choice([-1.0, 1.0], exact_results.shape)
            sign = (
                signs if self.direction == "any" else np.full(exact_results.shape, self.direction)
            )
            # the function itself is off by less than a seventh of its bound
            return exact_results * DoubleDouble(np.ones(signs.shape), signs * (0.85 * FUNCTION))
        wide = exact_results.dtype != np.float64
        unit = (BINARY128 if wide else FLOAT64).unit
        signs = self.rng.choice([-1.0, 1.0], exact_results.shape)
        sign = signs if self.direction == "any" else float(self.direction)
        step = np.asarray(sign * (2 * (FUNCTION_ULPS - 1) * unit)).astype(exact_results.dtype)
        finite = np.isfinite(exact_results)
        moved = exact_results + np.where(finite, exact_results, 0 * step) * step
        return np.asarray(np.where(finite, moved, exact_results))

    def exp(self, x):
        return self.off(np.exp(x))

    def log(self, x):
        return self.off(np.log(x))

    def log1p(self, x):
        return self.off(np.log1p(x))

    def power(self, x, exponent):
        return self.off(np.power(x, exponent))


@pytest.mark.parametrize("direction", ["1", "-1", "any"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@BY_LOSS
def test_the_arbiter_is_contained_with_functions_as_inaccurate_as_allowed(
    loss, dtype, direction, monkeypatch
):
    for module in (balls, divergence):
        monkeypatch.setattr(module, "np", Inaccurate(direction))
    for case in cases(loss, dtype, seed=34):
        assert_contained(case)


# What the proofs of the radii lean on.


def test_what_a_form_says_of_the_arguments_of_its_functions_is_true(monkeypatch):
    """Exponentials of nothing above 0, logarithms of what is above it, condition numbers."""
    seen = Counter()

    def condition_number(x):
        plain = np.isfinite(x) & (x != 0)
        x = np.where(plain, x, 1.0)
        with np.errstate(all="ignore"):
            return np.where(plain, np.abs(x / ((1.0 + x) * np.log1p(x))), 0.0)

    def checked(name, holds):
        function = getattr(balls.Ball, name)

        def checking(ball, *given, **named):
            x = np.asarray(ball.midpoint).astype(np.float64)
            certain = ball.relative == 0 and ball.absolute is None
            assert holds(x[~np.isnan(x)], certain, *given, **named), (name, given, named)
            seen[name] += 1
            return function(ball, *given, **named)

        monkeypatch.setattr(balls.Ball, name, checking)

    def within(x, certain, condition=1.0):
        """A condition number counts where there is an error that it magnifies."""
        small = condition_number(x) <= condition * (1 + 2.0**-40)
        return (x >= -1).all() and (certain or small.all())

    checked("exp", lambda x, _: (x <= 0).all())
    checked("log", lambda x, _: (x >= 0).all())
    checked("log1p", within)
    checked("power", lambda x, _, exponent: (x >= 0).all() and exponent >= 0)
    for loss in LOSSES.values():
        for dtype in ("float32", "float64"):
            for each in cases(loss, dtype, seed=35):
                list(claims(each))
    # p and q at every distance (p − q)/(p + q) from −1 to 1
    distance = np.linspace(-1.0, 1.0, 401)
    pairs = np.column_stack([0.5 + distance / 2, 0.5 - distance / 2])
    list(claims(case("js_divergence", pairs, pairs[:, ::-1], dtype="float64")))
    assert set(seen) == {"exp", "log", "log1p", "power"}


def form_of(given_case, quantity):
    """What the form of a case says of one quantity, in float64."""
    block = arbiter.block_of(given_case)
    with np.errstate(all="ignore"):
        found = FORMS[given_case.loss](FLOAT64, block, frozenset({quantity}))
    return found.quantities[quantity].ball


@pytest.mark.parametrize("classes", [2, 40])
def test_one_minus_p_is_known_to_at_least_what_its_derivation_gives(classes):
    """The sum S and the exponential e are known to r: p = e/S to 3r, S − e to 4r, 1 − p to 6r.

    The errors of S and e are mostly the same, so that results alone show no smaller radius.
    """
    rows = np.linspace(0.0, 3.0, classes)[np.newaxis, :] * np.array([[1.0], [-1.0]])
    labels = np.array([0, classes - 1])
    p = form_of(case("logsumexp", rows), Quantity.GRADIENT)
    least = 2.0 * p.relative - 8.0 * FLOAT64.unit  # the roundings of p are not in 6r
    of_labels = form_of(case("log_softmax", rows, labels), Quantity.GRADIENT)
    assert of_labels.relative >= least
    hot = np.eye(classes)[labels]
    of_distributions = form_of(case(CE, rows, hot), Quantity.GRADIENT)
    column = (np.arange(2), labels)
    size = np.abs(of_distributions.midpoint[column])
    assert (of_distributions.radius[column] >= least * size).all()


def test_one_minus_p_is_contained_where_its_logits_differ_by_more_bits_than_float64_has():
    """The rounding of such a difference beyond 256 is up to 256 roundings of its exponential."""
    rng = np.random.default_rng(36)
    top = rng.uniform(0.5, 1.0, 400) * 2.0**-30
    other = -rng.uniform(257.0, 300.0, 400)
    rows = from_float64(np.column_stack([top, other]), "float32")
    labels = np.zeros(400, dtype=np.int64)
    for loss, given_labels in ((CE, labels), ("log_softmax", labels), (CE, np.eye(2)[labels])):
        given_case = case(loss, to_float64(rows), given_labels)
        assert assert_contained(given_case)
        found = enclosed(Reference(given_case).at(Quantity.GRADIENT, slice(0, 400)))
        want = exact(given_case).gradient
        with np.errstate(all="ignore"):
            shift = np.ldexp(1.0, want.exponent - found.exponent)
            error = np.abs((found.hi - want.hi * shift) + (found.lo - want.lo * shift))
        # a radius a 32nd as large would not do
        assert (error[:, 0] > found.radius[:, 0] / 32).any()


# How narrow: relative to the result where nothing cancels.

WIDTH = {Tier.FLOAT64: 2.0**-38, Tier.DOUBLE_DOUBLE: 2.0**-63, Tier.BINARY128: 2.0**-94}
SMALL = -400  # below 2^SMALL the floor is what an enclosure is wide


def cancels(case, quantity):
    """Why a result of a case may be known only absolutely; '' where nothing cancels."""
    names = case.parameters
    spread = case.label_kind is LabelKind.DISTRIBUTION or "label_smoothing" in names
    if "noise" in names:
        return "differences of logits and of noise with other signs"
    if case.loss == CE and quantity is Quantity.GRADIENT and (spread or "z_loss" in names):
        return "p − y, and the slope of z-loss against it"
    if case.loss == "kl_divergence" and quantity is Quantity.VALUE:
        return "t log t − t x of both signs"
    if case.loss == "logsumexp" and quantity is Quantity.VALUE:
        return "the largest logit and the logarithm of the sum"
    if case.loss == "entropy":
        within = (to_float64(case.logits) <= 1).all() and quantity is Quantity.VALUE
        return "" if within else "log p + 1 near 1/e, and logarithms of p > 1"
    if case.loss in {"sigmoid_binary_cross_entropy", "sigmoid_focal_loss"}:
        soft = "label_smoothing" in names or not np.isin(to_float64(case.labels), (0, 1)).all()
        return "σ(x) − z between the ends" if soft and quantity is Quantity.GRADIENT else ""
    if case.loss == "categorical_cross_entropy" and quantity is Quantity.VALUE:
        return "" if (to_float64(case.logits) <= 1).all() else "logarithms of p > 1"
    return ""


@BY_DTYPE
@BY_LOSS
def test_enclosures_are_narrow_wherever_nothing_cancels(loss, dtype):
    """A sum of rows cancels nothing of its own: the values of one loss have one sign."""
    narrow = 0
    for case in (each for one in cases(loss, dtype, seed=32) for each in reductions(one)):
        for tier, quantity, claimed in claims(case):
            if cancels(case, quantity):
                continue
            found = enclosed(claimed)
            plain = np.isfinite(found.hi) & (found.hi != 0) & (found.exponent > SMALL)
            known = np.isfinite(found.radius)
            wide = plain & known & (found.radius > WIDTH[tier] * np.abs(found.hi))
            assert not wide.any(), f"{quantity} by {tier}: {case.generator} {case.parameters}"
            # double-double leaves rows beyond its range to the next tier
            assert known.all() or tier is Tier.DOUBLE_DOUBLE
            narrow += int((plain & known).sum())
    assert narrow or tiered_below(dtype) == 0


@BY_DTYPE
@BY_LOSS
def test_where_something_cancels_enclosures_are_narrow_beside_what_cancels(loss, dtype):
    """Held against the parts: masses times probabilities, largest logits, probabilities."""
    for case in cases(loss, dtype, seed=33):
        for tier, quantity, claimed in claims(case):
            if not cancels(case, quantity) or "noise" in case.parameters:
                continue
            found = enclosed(claimed)
            with np.errstate(all="ignore"):
                radius = np.ldexp(found.radius, np.clip(found.exponent, -5000, 5000))
                parts = cancelling(case, quantity)
            finite = np.isfinite(found.hi) & np.isfinite(parts)
            if tier is Tier.DOUBLE_DOUBLE:  # rows beyond its range go to the next tier
                finite &= np.isfinite(found.radius)
            bound = 8 * WIDTH[tier] * np.broadcast_to(parts, finite.shape) + 2.0**SMALL
            assert (radius <= bound)[finite].all(), f"{quantity} by {tier}: {described(case, ())}"


def cancelling(case, quantity):
    """The size of what is added and subtracted, of the shape of the results (or broadcast)."""
    x = to_float64(case.logits)
    labels = case.labels
    size = np.maximum(np.abs(x), 1.0)
    if quantity is Quantity.VALUE:
        if case.loss == "kl_divergence":
            t = to_float64(labels)
            logs = np.log(np.where(t > 0, t, 1.0))
            t, logs = (np.exp(t), t) if case.parameters.get("log_target") else (t, logs)
            return (t * (np.abs(logs) + np.abs(x))).sum(axis=1)
        if case.loss in {"entropy", "categorical_cross_entropy"}:
            logs = np.abs(np.log(np.where(x > 0, x, 1.0)))
            weights = x if case.loss == "entropy" else 1.0
            return (weights * (logs + 2.0**-30)).sum(axis=1)
        return size.max(axis=1) + np.log(size.shape[1])
    if case.loss == "entropy":
        return np.abs(np.log(np.where(x > 0, x, 1.0))) + 1.0
    if case.loss == CE:
        weight = to_float64(case.parameters.get("weight", np.ones(1))).max()
        masses = 1.0 if case.label_kind is LabelKind.INTEGER else to_float64(labels).sum(axis=1)
        smoothed = np.maximum(masses, 1.0) * max(weight, 1.0)
        temperature = float(case.parameters.get("temperature", 1.0))
        lse = (size.max(axis=1) / min(temperature, 1.0) + np.log(x.shape[1])) * 2.0
        slope = smoothed + lse * float(case.parameters.get("z_loss", 0.0))
        return (slope / temperature)[:, np.newaxis] * np.ones(x.shape)
    largest = float(case.parameters.get("pos_weight", 1.0))
    gamma = float(case.parameters.get("gamma", 2.0 if "focal" in case.loss else 0.0))
    return (1.0 + max(largest, 1.0)) * (1.0 + gamma * (size + 1.0))


# The configurations that ship.


def shipped(name, most_classes, dtypes, seed):
    """The cases of a shipped configuration, as the audit draws them."""
    for sweep in config.load(CONFIGS / name).sweeps:
        for loss_id in sweep.losses:
            loss = LOSSES[loss_id]
            fitting, _ = sweeps.fitted(sweep, loss)
            for dtype in fitting.dtypes if fitting is not None else ():
                if dtype not in dtypes:
                    continue
                try:
                    drawn = list(sweeps.cases(fitting, loss, dtype, seed))
                except EmptySweepError:
                    continue
                yield from (case for case in drawn if case.classes <= most_classes)


@pytest.mark.parametrize("name", ["sweep.yaml", "extreme.yaml"])
def test_every_tier_contains_the_arbiter_on_the_float32_cases_of(name):
    """Of each case a few rows; without a reduction they are what they would be among the others."""
    held = 0
    rng = np.random.default_rng(12)
    for whole in shipped(name, 40, {"float32"}, seed=3):
        reduced = whole.parameters.get("reduction", "none") != "none"
        few = rng.choice(whole.rows, min(whole.rows, 3), replace=False)
        held += assert_contained(whole if reduced else some_rows(whole, few))
    assert held > 100


def some_rows(case, rows):
    """Some rows of a case that has no reduction."""
    parameters = {
        name: value[rows] if name == "noise" else value for name, value in case.parameters.items()
    }
    labels = None if case.labels is None else case.labels[rows]
    return dataclasses.replace(case, logits=case.logits[rows], labels=labels, parameters=parameters)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sweep.yaml", "extreme.yaml"])
def test_every_tier_contains_the_arbiter_on_all_cases_of(name):
    assert sum(assert_contained(case) for case in shipped(name, 2000, DTYPES, seed=3)) > 100


# Any bit pattern.


@st.composite
def patterns(draw, dtype, shape):
    """Numbers of a dtype with any bits, the special ones often."""
    target = FORMATS[dtype]
    width = np.dtype(f"u{target.dtype.itemsize}")
    special = from_float64(
        np.array(
            [
                *(0.0, -0.0, 1.0, -1.0, 0.5, INF, -INF, NAN, target.max, -target.max),
                *(target.smallest_subnormal, -target.smallest_subnormal, target.smallest_normal),
            ]
        ),
        dtype,
    )
    chosen = st.sampled_from(special.view(width).tolist())
    drawn = st.integers(0, 2**target.bits - 1)
    # numbers near 1, where most losses are neither flat nor infinite
    near = st.integers(0, 255).map(
        lambda step: int(from_float64(np.array([(step - 128) / 16]), dtype).view(width)[0])
    )
    elements = draw(
        st.sampled_from([drawn, near, st.one_of(chosen, drawn), st.one_of(chosen, near)])
    )
    return draw(hnp.arrays(width, shape, elements=elements)).view(target.dtype)


CLASSES = st.one_of(st.integers(1, 40), st.sampled_from([127, 128, 129, 300, 1000]))


@st.composite
def any_case(draw, most_classes=1000):
    """A case of any loss with any logits, and now and then any labels."""
    loss = draw(st.sampled_from(list(LOSSES.values())))
    dtype = draw(st.sampled_from(DTYPES))
    kind = draw(st.sampled_from(loss.label_kinds))
    names = draw(st.sampled_from(list(parameter_sets(loss, kind))))
    classes = draw(CLASSES.filter(lambda count: count <= most_classes))
    elementwise = loss.layout is Layout.ELEMENTWISE
    shape = (4,) if elementwise else (4 if classes <= 40 else 2, classes)
    logits = draw(patterns(dtype, shape))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    parameters = draw_parameters(loss, names, rng, shape[0], shape[-1], dtype)
    labels = draw_labels(loss, kind, "log_target" in parameters, shape, rng, dtype)
    if kind in {LabelKind.TARGET, LabelKind.DISTRIBUTION} and draw(st.booleans()):
        labels = draw(patterns(dtype, shape))
        if loss.id in {CE, "categorical_cross_entropy", "binary_cross_entropy"}:
            # no convention says what these are for infinite labels, and the arbiter takes none
            labels = np.where(np.isfinite(to_float64(labels)), labels, np.zeros_like(labels))
    if loss.reducible:
        reduction = draw(st.sampled_from(["none", "none", "mean", "sum"]))
        parameters |= {} if reduction == "none" else {"reduction": reduction}
    return Case("test", "bits", loss.id, dtype, logits, kind, labels, parameters)


FUZZ = settings(
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.large_base_example,
    ],
)


@settings(FUZZ, max_examples=100)
@given(any_case(most_classes=40))
def test_every_tier_contains_the_arbiter_whatever_the_bits(case):
    assert_contained(case)


@pytest.mark.slow
@settings(FUZZ, max_examples=1500)
@given(any_case())
def test_every_tier_contains_the_arbiter_whatever_the_bits_of_many_classes(case):
    assert_contained(case)


def edges(dtype, rows, classes, seed):
    """Rows of a few kinds that an everyday run should see at every switch of the forms."""
    rng = np.random.default_rng(seed)
    x = rng.normal(scale=5.0, size=(rows, classes))
    x[0, rng.integers(classes)] = -INF
    x[1 % rows] = np.sort(x[1 % rows])  # the top comes last
    return from_float64(x, dtype)


@pytest.mark.parametrize("classes", [1, 2, 31, 32, 33, 127, 128, 129, 257, 300])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_tier_contains_the_arbiter_at_every_switch_of_the_class_count(dtype, classes):
    """The forms change their loops at 32 classes, the sums at 128."""
    x = edges(dtype, 2, classes, seed=classes)
    labels = np.array([0, classes - 1])
    for loss in ("logsumexp", "softmax", "log_softmax", CE):
        kind = LOSSES[loss].label_kinds[0]
        given_labels = None if kind is LabelKind.NONE else labels
        assert_contained(Case("test", "edges", loss, dtype, x, kind, given_labels))
    smoothed = {"label_smoothing": 0.125}
    assert_contained(Case("test", "edges", CE, dtype, x, LabelKind.INTEGER, labels, smoothed))


# One row for every branch of every form.


def case(loss, x, labels=None, *, dtype="float32", **parameters):
    """Rows of numbers, the kind of label by what the labels look like."""
    logits = from_float64(np.asarray(x, dtype=np.float64), dtype)
    declared = LOSSES[loss]
    kind = LabelKind.NONE
    if labels is not None:
        labels = np.asarray(labels)
        if declared.layout is Layout.ELEMENTWISE:
            kind = LabelKind.TARGET
        else:
            kind = LabelKind.INTEGER if labels.ndim == 1 else LabelKind.DISTRIBUTION
        if kind is not LabelKind.INTEGER:
            labels = from_float64(labels.astype(np.float64), dtype)
    for name, value in parameters.items():
        if isinstance(value, list):
            parameters[name] = from_float64(np.asarray(value, dtype=np.float64), dtype)
    return Case("test", "directed", loss, dtype, logits, kind, labels, parameters)


SOFTMAX_ROWS = {
    "top first": [3.0, 1.0, -2.0, 0.5],
    "top last": [-2.0, 1.0, 0.5, 3.0],
    "top tied": [3.0, 1.0, 3.0, 3.0],
    "all equal": [7.0, 7.0, 7.0, 7.0],
    "far apart": [1e4, -1e4, 0.0, 1e-4],
    "just apart": [1.0, 1.0009765625, 0.9990234375, 1.0],
    "offset": [-1e4, -1.0001e4, -1e4, -2e4],
    "largest": [6e4, -6e4, 6e4, 0.0],
    "one masked": [1.0, -INF, 2.0, 0.0],
    "all but one masked": [-INF, 2.0, -INF, -INF],
    "first masked": [-INF, 2.0, 1.0, 2.0],
    "one +inf": [1.0, INF, -2.0, 0.0],
    "one +inf, one masked": [-INF, 1.0, INF, 0.0],
    "several +inf": [INF, 0.0, INF, 1.0],
    "all +inf": [INF, INF, INF, INF],
    "all masked": [-INF, -INF, -INF, -INF],
    "NaN": [0.0, NAN, 1.0, 2.0],
    "NaN first": [NAN, 3.0, 1.0, 2.0],
    "NaN beside +inf": [INF, NAN, 1.0, -INF],
}
SOFTMAX_PARAMETERS = {
    "plain": {},
    "weight": {"weight": [0.0, 2.0, 0.5, 3.0]},
    "ignored": {"ignore_index": 1},
    "smoothing": {"label_smoothing": 0.25},
    "all smoothing": {"label_smoothing": 1.0},
    "temperature": {"temperature": 0.25},
    "z-loss": {"z_loss": 0.5},
    "weighted smoothing": {"weight": [0.0, 2.0, 0.5, 0.0], "label_smoothing": 0.5},
    "together": {
        "weight": [1.0, 0.0, 0.5, 3.0],
        "label_smoothing": 0.125,
        "temperature": 3.0,
        "z_loss": 0.25,
        "ignore_index": 2,
    },
}
DISTRIBUTIONS = {
    "one-hot": [0.0, 1.0, 0.0, 0.0],
    "last": [0.0, 0.0, 0.0, 1.0],
    "soft": [0.125, 0.25, 0.5, 0.125],
    "one zero": [0.5, 0.0, 0.25, 0.25],
    "does not sum to one": [2.0, 0.5, 3.0, 0.25],
    "nothing": [0.0, 0.0, 0.0, 0.0],
    "negative": [1.5, -0.5, 0.0, 0.0],
    "thirds": [1 / 3, 1 / 3, 1 / 3, 0.0],
}
BOTH = pytest.mark.parametrize("dtype", ["float32", "float64"])


@BOTH
@pytest.mark.parametrize("parameters", SOFTMAX_PARAMETERS.values(), ids=SOFTMAX_PARAMETERS)
def test_cross_entropy_with_labels_in_every_branch(parameters, dtype):
    rows = [row for row in SOFTMAX_ROWS.values() for _ in range(4)]
    labels = [label for _ in SOFTMAX_ROWS for label in range(4)]
    assert_contained(case(CE, rows, labels, dtype=dtype, **parameters))


@BOTH
@pytest.mark.parametrize("row", SOFTMAX_ROWS.values(), ids=SOFTMAX_ROWS)
def test_reductions_of_a_row_of_every_branch_with_an_ordinary_one(row, dtype):
    for each in reductions(case(CE, [row, [0.0, 1.0, 2.0, 3.0]], [1, 2], dtype=dtype)):
        assert_contained(each)


@BOTH
@pytest.mark.parametrize("parameters", SOFTMAX_PARAMETERS.values(), ids=SOFTMAX_PARAMETERS)
def test_cross_entropy_with_distributions_in_every_branch(parameters, dtype):
    rows = [row for row in SOFTMAX_ROWS.values() for _ in DISTRIBUTIONS]
    labels = [label for _ in SOFTMAX_ROWS for label in DISTRIBUTIONS.values()]
    taken = {name: value for name, value in parameters.items() if name != "ignore_index"}
    assert_contained(case(CE, rows, labels, dtype=dtype, **taken))


@BOTH
@pytest.mark.parametrize("loss", ["softmax", "log_softmax", "logsumexp"])
def test_the_rest_of_the_softmax_family_in_every_branch(loss, dtype):
    rows = [row for row in SOFTMAX_ROWS.values() for _ in range(4)]
    labels = None if loss == "logsumexp" else [label for _ in SOFTMAX_ROWS for label in range(4)]
    assert_contained(case(loss, rows, labels, dtype=dtype))
    if loss == "softmax":
        assert_contained(case(loss, rows, labels, dtype=dtype, temperature=0.25))
        noise = np.random.default_rng(4).gumbel(size=(len(rows), 4)).tolist()
        assert_contained(case(loss, rows, labels, dtype=dtype, noise=noise))
        assert_contained(case(loss, rows, labels, dtype=dtype, noise=noise, temperature=2.0))
    for one in ([[2.5]], [[-INF]], [[INF]], [[NAN]]):
        assert_contained(case(loss, one, None if labels is None else [0], dtype=dtype))


@BOTH
def test_noise_that_cancels_a_difference_of_logits_is_contained(dtype):
    """x + n all but equal: the differences are only known absolutely, and the top may be wrong."""
    tiny = 2.0**-10
    rows = [[0.0, 2.0, 4.0], [0.0, 1000.0, -1000.0], [0.0, 1e4, 2e4], [0.0, 10.0, -10.0]]
    noise = [[4.0, 2.0, tiny], [1000.0, 0.0, 2000.0 + tiny], [2e4, 1e4 + 8, 0.0], [2e4, 0.0, 0.0]]
    for temperature in (1.0, 0.0625, 16.0):
        for label in range(3):
            given_case = case(
                "softmax", rows, [label] * 4, dtype=dtype, noise=noise, temperature=temperature
            )
            assert_contained(given_case)


def test_noise_that_cancels_large_logits_is_contained_in_no_more_than_a_few_times_its_error():
    """Differences of 2^35 are rounded by up to 2^-18, those of logits and those of noise."""
    rng = np.random.default_rng(37)
    large = rng.uniform(0.5, 1.0, 400) * 2.0**36
    top = rng.uniform(2.0, 4.0, (400, 2))  # z = 0 for the one class, 4 to 8 for the other
    x = from_float64(np.column_stack([-large, top[:, 0]]), "float32")
    noise = from_float64(np.column_stack([large, top[:, 1]]), "float32")
    labels = np.ones(400, dtype=np.int64)
    given_case = case("softmax", to_float64(x), labels, noise=to_float64(noise).tolist())
    assert assert_contained(given_case)
    # p (1 − p) of the top
    found = enclosed(Reference(given_case).at(Quantity.GRADIENT, slice(0, 400)))
    want = exact(given_case).gradient
    shift = np.ldexp(1.0, want.exponent - found.exponent)
    error = np.abs((found.hi - want.hi * shift) + (found.lo - want.lo * shift))
    # a radius an 8th as large would not do
    assert (error > found.radius / 8)[:, 1].any()


@BOTH
def test_an_ignored_row_is_zero_whatever_its_logits(dtype):
    rows = [[NAN, 1.0], [INF, INF], [-INF, -INF], [1.0, 2.0]]
    ignored = case(CE, rows, [1, 1, 1, 0], dtype=dtype, ignore_index=1)
    for each in reductions(ignored):
        assert_contained(each)
    assert_contained(case(CE, rows, [-100, -100, -100, -100], dtype=dtype))
    for each in reductions(case(CE, rows, [-100] * 4, dtype=dtype)):
        assert_contained(each)  # a mean over nothing
    for tier, quantity, claimed in claims(ignored):
        found = enclosed(claimed)
        assert (found.hi[:3] == 0).all(), (tier, quantity)


@BOTH
def test_a_weight_of_zero_at_a_masked_label_adds_nothing(dtype):
    rows = [[-INF, 1.0, 2.0], [-INF, INF, 2.0]]
    given_case = case(CE, rows, [0, 0], dtype=dtype, weight=[0.0, 1.0, 2.0])
    assert_contained(given_case)
    for _, quantity, claimed in claims(given_case):
        if quantity is Quantity.VALUE:
            assert enclosed(claimed).hi[0] == 0
    soft = case(CE, rows, [[1.0, 0.0, 0.0]] * 2, dtype=dtype, weight=[0.0, 1.0, 2.0])
    assert_contained(soft)


@pytest.mark.parametrize("gap", [1.0, 10.0, 30.0, 80.0])
@pytest.mark.parametrize("classes", [2, 4, 40, 300])
@pytest.mark.parametrize("weight", [None, 0.7])
def test_a_confident_gradient_of_a_one_hot_distribution_keeps_its_digits(gap, classes, weight):
    """p − y of a one-hot y is −(1 − p) and p: nothing is left over of Σy − y, weighted or not."""
    x = np.zeros((2, classes))
    x[0, 0] = x[1, classes - 1] = gap
    labels = np.zeros((2, classes))
    labels[0, 0] = labels[1, classes - 1] = 1.0
    weights = {} if weight is None else {"weight": [weight] * classes}
    given_case = case(CE, x, labels, **weights)
    assert_contained(given_case)
    found = enclosed(Reference(given_case).at(Quantity.GRADIENT, slice(0, 2)))
    assert (found.hi != 0).all()
    assert (found.radius < 2.0**-30 * np.abs(found.hi)).all()


SIGMOID_POINTS = [0.0, -0.0, 1.0, -1.0, 1e-6, 17.0, -17.0, 100.0, -100.0, 1000.0, -1000.0, 6e4]
SIGMOID_POINTS += [-6e4, 745.0, -745.0, 2.0**-20, INF, -INF, NAN]
TARGETS = {
    "hard": [0.0, 1.0],
    "soft": [0.25, 0.5, 0.9],
    "mixed": [0.0, 0.5, 1.0, 2.0**-12],
    "outside": [-0.5, 1.5, 3.0],
    "not finite": [NAN, INF, -INF],
}


def every_pair(targets):
    """Every point with every target."""
    return [x for x in SIGMOID_POINTS for _ in targets], [
        z for _ in SIGMOID_POINTS for z in targets
    ]


@BOTH
@pytest.mark.parametrize("loss", ["sigmoid", "log_sigmoid", "softplus"])
def test_the_sigmoid_family_without_targets_in_every_branch(loss, dtype):
    assert_contained(case(loss, SIGMOID_POINTS, dtype=dtype))


@BOTH
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"pos_weight": 0.0},
        {"pos_weight": 4.0},
        {"label_smoothing": 0.25},
        {"label_smoothing": 1.0},
        {"label_smoothing": 0.5, "pos_weight": 0.25},
    ],
    ids=str,
)
def test_binary_cross_entropy_of_logits_in_every_branch(targets, parameters, dtype):
    x, z = every_pair(targets)
    assert_contained(case("sigmoid_binary_cross_entropy", x, z, dtype=dtype, **parameters))


@BOTH
@pytest.mark.parametrize("targets", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"gamma": 0.0},
        {"gamma": 0.125},
        {"gamma": 1.0, "alpha": 0.25},
        {"gamma": 5.0, "alpha": 0.0},
        {"gamma": 0.5, "alpha": 1.0},
    ],
    ids=str,
)
def test_focal_loss_in_every_branch(targets, parameters, dtype):
    x, z = every_pair(targets)
    assert_contained(case("sigmoid_focal_loss", x, z, dtype=dtype, **parameters))


@BOTH
def test_focal_loss_with_a_small_gamma_does_not_underflow_early(dtype):
    """At x = ±1000 the missed share is e^-1000, but its tenth power is e^-100."""
    gamma = float(from_float64(np.array(0.1), dtype))
    x = [1000.0, -1000.0, 1000.0, -1000.0]
    given_case = case("sigmoid_focal_loss", x, [1.0, 0.0, 0.0, 1.0], dtype=dtype, gamma=gamma)
    assert_contained(given_case)
    for tier, quantity, claimed in claims(given_case):
        found = enclosed(claimed)
        if tier is Tier.BINARY128 and quantity is Quantity.VALUE:
            # e^-100 · e^-1000, and the plain logistic loss
            assert (found.hi != 0).all()
            assert found.exponent[:2].tolist() == [-1587, -1587]
        assert np.isfinite(found.radius).all()


PROBABILITIES = [0.0, -0.0, 1.0, 0.5, 2.0**-14, 0.9990234375, 0.25, 2.0**-24, 1.5, -0.5, INF, NAN]


@BOTH
def test_binary_cross_entropy_of_probabilities_in_every_branch(dtype):
    targets = [0.0, 1.0, 0.5, 0.25, 1.5, -0.5, NAN]
    p = [each for each in PROBABILITIES for _ in targets]
    z = [each for _ in PROBABILITIES for each in targets]
    assert_contained(case("binary_cross_entropy", p, z, dtype=dtype))
    within = [each for each in zip(p, z, strict=True) if 0 <= each[0] <= 1 and each[1] in (0, 1)]
    for pair in within:
        for one in reductions(case("binary_cross_entropy", [pair[0]], [pair[1]], dtype=dtype)):
            assert_contained(one)


PROBABILITY_ROWS = [
    [0.5, 0.25, 0.25],
    [1.0, 0.0, 0.0],
    [0.0, 0.0, 0.0],
    [0.0, 1.0, 2.0**-20],
    [0.75, 0.75, 1.5],
    [2.0, 3.0, 4.0],
    [-0.5, 0.5, 1.0],
    [NAN, 0.5, 0.5],
    [0.5, INF, 0.25],
    [2.0**-14, 2.0**-24, 1.0],
]
THREE_LABELS = [
    [1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0],
    [0.25, 0.5, 0.25],
    [0.0, 0.0, 0.0],
    [2.0, 0.5, 0.0],
    [-0.5, 1.5, 0.0],
    [NAN, 0.0, 1.0],
]


@BOTH
def test_categorical_cross_entropy_in_every_branch(dtype):
    rows = [row for row in PROBABILITY_ROWS for _ in range(3)]
    labels = [label for _ in PROBABILITY_ROWS for label in range(3)]
    assert_contained(case("categorical_cross_entropy", rows, labels, dtype=dtype))
    rows = [row for row in PROBABILITY_ROWS for _ in THREE_LABELS]
    labels = [label for _ in PROBABILITY_ROWS for label in THREE_LABELS]
    assert_contained(case("categorical_cross_entropy", rows, labels, dtype=dtype))


@BOTH
@pytest.mark.parametrize("base", ["e", "2", "10"])
def test_entropy_in_every_branch(base, dtype):
    assert_contained(case("entropy", PROBABILITY_ROWS, dtype=dtype, base=base))


@BOTH
def test_the_gradient_of_entropy_vanishes_near_one_over_e(dtype):
    """−(log p + 1) of the numbers next to 1/e."""
    nearest = float(from_float64(np.array(np.exp(-1.0)), dtype))
    step = FORMATS[dtype].epsilon / 4
    steps = nearest + np.arange(-40, 41) * step
    given_case = case("entropy", steps[:, np.newaxis], dtype=dtype)
    assert_contained(given_case)
    for _, quantity, claimed in claims(given_case):
        if quantity is Quantity.GRADIENT:
            assert set(np.sign(enclosed(claimed).hi).ravel().tolist()) == {-1.0, 1.0}


@BOTH
@pytest.mark.parametrize("parameters", [{}, {"weight": [0.0, 2.0, 0.3]}, {"ignore_index": 1}])
def test_nll_in_every_branch(parameters, dtype):
    rows = [[-1.0, -2.0, -0.5], [-INF, 0.0, -1.0], [INF, -1.0, 2.0], [NAN, -1.0, -2.0]]
    rows += [[0.0, 0.0, 0.0], [-1.0, NAN, -2.0]]
    doubled = [row for row in rows for _ in range(3)]
    labels = [label for _ in rows for label in range(3)]
    for row, label in zip(doubled, labels, strict=True):
        for each in reductions(case("nll_loss", [row], [label], dtype=dtype, **parameters)):
            assert_contained(each)
    assert_contained(case("nll_loss", doubled, labels, dtype=dtype, **parameters))


@BOTH
def test_kl_divergence_in_every_branch(dtype):
    logs = [[-1.0, -2.0, -0.5], [-INF, 0.0, -1.0], [INF, -1.0, -2.0], [NAN, -1.0, -2.0]]
    logs += [[-1e4, -1e-3, 3.0], [INF, -INF, -1.0]]
    rows = [row for row in logs for _ in THREE_LABELS]
    labels = [label for _ in logs for label in THREE_LABELS]
    assert_contained(case("kl_divergence", rows, labels, dtype=dtype))
    targets = [[-1.0, -1.0, -1.0], [-INF, 0.0, -INF], [-INF, -INF, -INF], [0.5, -1.0, -2.0]]
    targets += [[NAN, -1.0, -1.0], [INF, -1.0, -1.0], [-1e3, -700.0, -20.0]]
    rows = [row for row in logs for _ in targets]
    labels = [label for _ in logs for label in targets]
    assert_contained(case("kl_divergence", rows, labels, dtype=dtype, log_target=True))


@BOTH
def test_js_divergence_where_its_two_forms_meet(dtype):
    """d = (p − q)/(p + q) is ±½ at q = p/3 and 3p; the neighbours lie on either side."""
    target = FORMATS[dtype]
    p, q = [], []
    for thrice in (0.75, 0.1875, 3 * 2.0**-13):
        for steps in range(-3, 4):
            third = thrice / 3 * (1.0 + steps * target.epsilon)
            p += [thrice, third]
            q += [third, thrice]
    rows, labels = np.array(p).reshape(-1, 2), np.array(q).reshape(-1, 2)
    given_case = case("js_divergence", rows, labels, dtype=dtype)
    x, y = to_float64(given_case.logits), to_float64(given_case.labels)
    far = np.abs(x - y) > (x + y) / 2
    assert far.any()
    assert not far.all()
    assert_contained(given_case)


@BOTH
def test_js_divergence_in_every_branch(dtype):
    rows = [row for row in PROBABILITY_ROWS for _ in PROBABILITY_ROWS]
    labels = [label for _ in PROBABILITY_ROWS for label in PROBABILITY_ROWS]
    assert_contained(case("js_divergence", rows, labels, dtype=dtype))
    same = case("js_divergence", PROBABILITY_ROWS[:4], PROBABILITY_ROWS[:4], dtype=dtype)
    for _, quantity, claimed in claims(same):
        if quantity is Quantity.VALUE:
            assert (enclosed(claimed).hi == 0).all()
    near = np.array([[0.5, 0.25], [0.125, 1.0]])
    beside = near * (1.0 + np.array([[1.0, -1.0], [2.0, 1.0]]) * FORMATS[dtype].epsilon)
    assert_contained(case("js_divergence", near, beside, dtype=dtype))


LEFT = {
    "focal loss at ±inf": case("sigmoid_focal_loss", [INF, 1.0, -INF], [0.0, 1.0, 1.0]),
    "logarithms of targets above 0": case(
        "kl_divergence", [[-1.0, -1.0]] * 2, [[0.5, -1.0], [-1.0, -2.0]], log_target=True
    ),
    "cross-entropy of infinite labels": case(CE, [[0.0, 1.0]] * 2, [[INF, 0.0], [0.5, 0.5]]),
    "infinite targets of probabilities": case("binary_cross_entropy", [0.5, 0.5], [INF, 0.5]),
}


@pytest.mark.parametrize("given_case", LEFT.values(), ids=LEFT)
def test_what_a_form_does_not_cover_is_left_to_the_next_tier(given_case):
    """Of those rows, and of no other, the lower tiers say nothing."""
    numbers = [to_float64(given_case.logits), to_float64(given_case.labels)]
    odd = ~np.isfinite(numbers[0]) | ~np.isfinite(numbers[1])
    if "log_target" in given_case.parameters:
        odd |= numbers[1] > 0
    odd = odd.reshape(given_case.rows, -1).any(axis=1)
    assert odd.any()
    assert not odd.all()
    for _, _, claimed in claims(given_case):
        unknown = np.isinf(enclosed(claimed).radius).reshape(given_case.rows, -1)
        assert unknown[odd].all()
        assert not unknown[~odd].any()


# A tier that is wrong is noticed.


def shifted(form):
    """The same form with its float64 midpoints off by 2^-30 of themselves."""

    def wrong(arithmetic, block, wanted):
        pieces = form(arithmetic, block, wanted)
        if arithmetic is FLOAT64:
            for piece in pieces.quantities.values():
                piece.ball.midpoint = piece.ball.midpoint * (1.0 + 2.0**-30)
        return pieces

    return wrong


@BY_LOSS
def test_a_form_that_is_off_by_a_billionth_is_noticed(loss, monkeypatch):
    chosen = next(
        each
        for each in cases(loss, "float32", seed=1)
        if not each.parameters and each.generator in {"normal-10", "ordinary", "logs"}
    )
    before = [disagreement(Reference(chosen), row) for row in range(chosen.rows)]
    assert before == [""] * chosen.rows
    monkeypatch.setitem(FORMS, loss.id, shifted(FORMS[loss.id]))
    after = [disagreement(Reference(chosen), row) for row in range(chosen.rows)]
    assert all(after)
    assert loss.id in after[0]


SWEEP = """
seed: 5
sweeps:
  small:
    losses: [LOSSES]
    dtypes: [float16, bfloat16, float32, float64]
    inputs: [{generator: normal, rows: 12, classes: 3}]
"""


def loaded(*losses):
    return config.loads(SWEEP.replace("LOSSES", ", ".join(losses)))


def test_an_audit_reports_a_form_that_is_off_by_a_billionth(monkeypatch):
    assert audit(loaded("logsumexp")).uncertified == ()
    monkeypatch.setitem(FORMS, "logsumexp", shifted(FORMS["logsumexp"]))
    found = audit(loaded("logsumexp")).uncertified
    assert any("internal error: a fast tier misses the" in each for each in found)
    # float64 results start on double-double, which was not touched
    assert not any("float64" in each for each in found)


# Rows go up only when they have to.


def softplus(x):
    wide = x.astype(np.float64)
    return (np.maximum(wide, 0) + np.log1p(np.exp(-np.abs(wide)))).astype(x.dtype)


def off_by(ulps):
    def function(x):
        return (softplus(x).view(np.int32) + np.int32(ulps)).view(np.float32)

    return function


POINTS = case("softplus", np.linspace(-20, 20, 40))


def measured(function, given_case=POINTS, tolerance=None, only=()):
    """(tally, truth) of a function on a case."""
    mine = Implementation(
        given_case.loss,
        "mine",
        function,
        None,
        (given_case.dtype,),
        tuple(LabelKind),
        frozenset({"*"}),
    )
    tally, truth = Tally(), Reference(given_case, tiers=only)
    measure(tally, mine, given_case, truth, Quantity.VALUE, tolerance or Tolerance())
    return tally, truth


def assert_scored_alike(mine, certain):
    assert mine.counts == certain.counts
    assert set(mine.shown) == set(certain.shown)
    for kind, shown in mine.shown.items():
        assert (shown.number, shown.index) == (
            certain.shown[kind].number,
            certain.shown[kind].index,
        )
    for share in (0.0, 0.5, 0.99, 1.0):
        assert mine.ulps.at(share) == pytest.approx(certain.ulps.at(share), rel=1e-3, abs=2.0**-10)


@pytest.mark.parametrize("function", [softplus, off_by(100)], ids=["right", "wrong"])
def test_rows_that_are_decided_stay_on_the_lowest_tier(function):
    tally, truth = measured(function)
    assert truth.level.tolist() == [0] * POINTS.rows
    assert truth.decided() == {Tier.FLOAT64: POINTS.rows}
    certain, _ = measured(function, only=(Tier.MPMATH,))
    assert_scored_alike(tally, certain)


def test_a_row_whose_error_lies_at_the_limit_goes_up():
    """The limit is what the third row is off by, to within its radius."""
    tally, _ = measured(off_by(3), some_rows(POINTS, [3]))
    limit = Tolerance(max_ulp=tally.worst)
    tally, truth = measured(off_by(3), POINTS, limit)
    assert truth.level[3] > 0
    assert np.flatnonzero(truth.level).tolist() == [3]
    certain, _ = measured(off_by(3), POINTS, limit, (Tier.MPMATH,))
    assert_scored_alike(tally, certain)


def test_float64_results_of_float32_inputs_go_up():
    def wide(x):
        return softplus(x.astype(np.float64))

    tally, truth = measured(wide)
    assert (truth.level == 1).all()
    certain, _ = measured(wide, only=(Tier.MPMATH,))
    assert_scored_alike(tally, certain)
    assert tally.worst < 4  # float64 ulps: the float64 tier alone could not tell


def test_rows_that_a_form_leaves_go_up_and_no_other():
    given_case = LEFT["focal loss at ±inf"]
    _, truth = measured(lambda x, _z: np.zeros_like(x), given_case)
    assert (truth.level[[0, 2]] > 0).all()
    assert truth.level[1] == 0


def test_under_a_reduction_all_rows_have_one_fate():
    reduced = case(CE, np.eye(3), [0, 1, 2], reduction="sum")

    def wide(x, _y, reduction):
        assert reduction == "sum"
        return np.log1p(2 * np.exp(np.float64(-1))) * len(x)

    _, truth = measured(wide, reduced)
    assert truth.level.tolist() == [1, 1, 1]


@BOTH
@BY_LOSS
def test_a_truth_of_mpmath_alone_is_the_arbiter_s(loss, dtype):
    for given_case in list(cases(loss, dtype, seed=2))[:3]:
        truth, certain = Reference(given_case, tiers=(Tier.MPMATH,)), exact(given_case)
        for quantity, want in (
            (Quantity.VALUE, certain.value),
            (Quantity.GRADIENT, certain.gradient),
        ):
            found = truth.at(quantity, slice(0, given_case.rows))
            for name in ("hi", "lo", "exponent", "radius", "accepts"):
                np.testing.assert_array_equal(getattr(found, name), getattr(want, name))
        assert truth.decided() == {Tier.MPMATH: given_case.rows}


@BY_LOSS
def test_conditions_are_the_arbiter_s_to_a_billionth(loss):
    for given_case in cases(loss, "float32", seed=3):
        truth, certain = Reference(given_case), exact(given_case)
        rows = np.arange(given_case.rows)
        for quantity, want in (
            (Quantity.VALUE, certain.value_condition),
            (Quantity.GRADIENT, certain.gradient_condition),
        ):
            found = truth.condition(quantity, rows, "float32")
            # a result that all but cancels has a condition that is only known to be large
            large = want > 2.0**20
            assert (found[large] > 2.0**19).all()
            np.testing.assert_allclose(found[~large], want[~large], rtol=1e-6, equal_nan=True)


@BOTH
@BY_LOSS
def test_one_component_of_a_row_is_what_the_whole_case_has_there(loss, dtype):
    for whole in cases(loss, dtype, seed=4):
        certain = exact(whole)
        for quantity, want, conditions in (
            (Quantity.VALUE, certain.value, certain.value_condition),
            (Quantity.GRADIENT, certain.gradient, certain.gradient_condition),
        ):
            for place in np.ndindex(want.shape):
                row, index = place[0], place[1] if len(place) > 1 else 0
                found, condition = exact_component(Element(whole, row, quantity, index))
                assert found.shape == condition.shape == (1,)
                assert tiers.outside(found, want.at(place)) is None, described(whole, place)
                assert found.radius[0] <= 2.0**-79 or found.exponent[0] <= -1000
                # next to the largest float64 what a condition depends on has no float64
                usual = np.abs(to_float64(whole.logits[row])).max() < 2.0**1000
                if usual and conditions[place] < 2.0**20:
                    assert condition[0] == pytest.approx(conditions[place], rel=1e-6)


@pytest.mark.parametrize("loss", ["sigmoid", "softplus", "log_sigmoid", "softmax", CE])
def test_what_has_vanished_is_known_without_another_tier(loss):
    """e^−5000 is 0 in float64, and beyond what a pair holds; its sign is known."""
    elementwise = LOSSES[loss].layout is Layout.ELEMENTWISE
    logits = [5e104, -5e104, -5000.0] if elementwise else [[-5000.0, 0.0], [-5e104, 3.0]]
    labels = None if elementwise else [1, 1]
    whole = case(loss, logits, labels, dtype="float64")
    truth = Reference(whole, frozenset({Quantity.GRADIENT}), (Tier.DOUBLE_DOUBLE, Tier.MPMATH))
    found = truth.at(Quantity.GRADIENT, slice(None))
    small = found.exponent < -1000
    assert small.any()
    assert (found.exponent[small] == -1200).all()
    assert (found.radius[small] == 1.0).all()
    assert_contained(whole)


def test_a_small_result_beside_other_exponentials_keeps_the_bound_of_what_underflows():
    """e^−300 of e^−700 is no number that has vanished."""
    for gap in (350.0, 700.0, 740.0, 760.0, 1400.0):
        whole = case("softmax", [[-gap, 0.0]], [0], dtype="float64")
        truth = Reference(whole, frozenset(Quantity), (Tier.DOUBLE_DOUBLE, Tier.MPMATH))
        found = truth.at(Quantity.VALUE, slice(None))
        assert np.ldexp(found.radius, found.exponent)[0, 0] >= FLOOR
        assert_contained(whole)


def test_tiers_are_those_of_the_dtype():
    wide = () if BINARY128 is None else (Tier.BINARY128,)
    assert tiers_for("float64") == (Tier.DOUBLE_DOUBLE, *wide, Tier.MPMATH)
    for dtype in set(DTYPES) - {"float64"}:
        assert tiers_for(dtype) == (Tier.FLOAT64, Tier.DOUBLE_DOUBLE, *wide, Tier.MPMATH)


# The whole audit, with the fast tiers and without.


FAMILY = ("softmax_cross_entropy", "sigmoid", "kl_divergence", "sigmoid_binary_cross_entropy")
ABOUT = ("p99_ulp", "median_ulp", "max_abs", "max_excess_bits")


def by_mpmath(monkeypatch):
    def only(_dtype):
        return (Tier.MPMATH,)

    monkeypatch.setattr(tiers, "tiers_for", only)
    monkeypatch.setattr(run, "tiers_for", only)


def split(report):
    """A report's document, without its reference; and the numbers that may differ a little."""
    whole = json.loads(document.to_json(report))
    del whole["reference"]
    numbers = [
        float(each.pop(name)) if each.get(name) is not None else None
        for each in whole["measurements"]
        for name in ABOUT
    ]
    for each in whole["measurements"]:
        for profile in each["profiles"]:
            numbers.extend(profile.pop("max_ulp"))
    for finding in whole["findings"]:
        numbers.extend(finding.pop("least").values())
    return whole, np.array(numbers, dtype=float)


def test_an_audit_finds_the_same_with_the_fast_tiers_and_by_mpmath_alone(monkeypatch):
    fast = audit(loaded(*FAMILY))
    by_mpmath(monkeypatch)
    slow = audit(loaded(*FAMILY))
    assert fast.reference["decided_by"][Tier.MPMATH] < slow.reference["decided_by"][Tier.MPMATH]
    assert sum(fast.reference["decided_by"].values()) > 0
    (mine, numbers), (certain, others) = split(fast), split(slow)
    assert mine == certain
    np.testing.assert_allclose(numbers, others, rtol=1e-3, atol=2.0**-10)


def test_without_binary128_what_is_left_goes_to_mpmath_and_finds_the_same(monkeypatch):
    monkeypatch.setattr(tiers, "LARGEST_NUMBER", 1.0)
    usual = audit(loaded("logsumexp", "sigmoid"))
    if BINARY128 is not None:
        assert usual.reference["method"] == METHOD
    monkeypatch.setattr(tiers, "BINARY128", None)
    assert tiers_for("float64") == (Tier.DOUBLE_DOUBLE, Tier.MPMATH)
    without = audit(loaded("logsumexp", "sigmoid"))
    assert without.reference["method"] == WITHOUT_BINARY128
    assert without.reference["decided_by"][Tier.BINARY128] == 0
    assert without.reference["decided_by"][Tier.MPMATH] > 0
    (mine, numbers), (certain, others) = split(without), split(usual)
    assert mine == certain
    np.testing.assert_allclose(numbers, others, rtol=1e-3, atol=2.0**-10)


@needs_binary128
def test_a_huge_float64_result_is_no_infinity():
    """z_loss · lse² of three large float64 numbers is above 2^3000."""
    assert_contained(case(CE, [[1e308, 0.0, 1.0]], [0], dtype="float64", z_loss=5e307))
    assert_contained(
        case(
            "sigmoid_binary_cross_entropy",
            [-1e308],
            [1e308],
            dtype="float64",
            pos_weight=1e308,
        )
    )


def test_condition_numbers_of_a_reduction_beyond_float64_raise_no_warning():
    """The exact loss is 3.4e308: float64 does not hold it, binary128 does."""
    logits = np.array([[1.7e308, -1.7e308], [0.0, 1.0]])
    labels = np.array([1, 0])
    whole = Case(
        "s",
        "explicit",
        "softmax_cross_entropy",
        "float64",
        logits,
        LabelKind.INTEGER,
        labels,
        {"reduction": "mean"},
    )
    condition = Reference(whole).condition(Quantity.GRADIENT, np.arange(2), "float64")
    assert condition.shape == (2, 2)
    found, _ = exact_in_block(Element(whole, 1, Quantity.GRADIENT, 0))
    assert np.isfinite(found.midpoints()).all()
