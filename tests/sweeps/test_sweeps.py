"""Sweeps: what the generators promise, computed here independently, and how cases are made."""

import hashlib
import itertools
import json
import math
import pickle
import tracemalloc
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.places import ROOT
from xentcheck.errors import EmptySweepError, UnknownNameError, UsageError
from xentcheck.floats import FORMATS, from_ordinals, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import ADAPTIVE, Case, Domain, InputSpec, LabelKind, Layout, Sweep
from xentcheck.sweeps import (
    GENERATORS,
    Part,
    RowCount,
    cases,
    fitted,
    inapplicable,
    parts,
    standard_sweeps,
)
from xentcheck.sweeps.counting import MOST_COUNTED, tally
from xentcheck.sweeps.drawn import high_word
from xentcheck.sweeps.generator import stream, with_defaults
from xentcheck.sweeps.landmarks import landmarks
from xentcheck.sweeps.recorded import read_arrays
from xentcheck.sweeps.rows import MOST_ELEMENTS, Series

DIGITS = ROOT / "configs" / "recorded" / "digits.npz"
CE = LOSSES["softmax_cross_entropy"]
LSE = LOSSES["logsumexp"]
SOFTPLUS = LOSSES["softplus"]
CCE = LOSSES["categorical_cross_entropy"]
ENTROPY = LOSSES["entropy"]
BCE = LOSSES["sigmoid_binary_cross_entropy"]
BCE_ON_PROBABILITIES = LOSSES["binary_cross_entropy"]
NLL = LOSSES["nll_loss"]
KL = LOSSES["kl_divergence"]
STANDARD_DTYPES = ("float16", "bfloat16", "float32", "float64")
REQUIRED: Mapping[str, dict[str, Any]] = {
    "explicit": {"values": ((1.0, 2.0), (3.0, 4.0), (0.5, 0.25))},
    "recorded": {"path": str(DIGITS)},
}


def sweep_of(loss: Loss, *inputs: tuple[str, dict[str, Any]], **settings: Any) -> Sweep:
    settings = {"name": "s", "dtypes": ("float32",)} | settings
    specs = tuple(InputSpec(name, options) for name, options in inputs)
    return Sweep(losses=(loss.id,), inputs=specs, **settings)


def made(
    loss: Loss, generator: str, dtype: str = "float32", seed: int = 0, **options: Any
) -> list[Case]:
    return list(cases(sweep_of(loss, (generator, options)), loss, dtype, seed))


def numbers(loss: Loss, generator: str, dtype: str = "float32", **options: Any) -> np.ndarray:
    parts = [to_float64(each.logits).ravel() for each in made(loss, generator, dtype, **options)]
    return np.concatenate(parts)


def labelled_as(
    loss: Loss,
    kind: LabelKind,
    *inputs: tuple[str, dict[str, Any]],
    dtype: str = "float32",
    **settings: Any,
) -> list[Case]:
    return list(cases(sweep_of(loss, *inputs, label_kind=kind, **settings), loss, dtype, 0))


def content(value: Any) -> Any:
    return (value.dtype, value.shape, value.tobytes()) if isinstance(value, np.ndarray) else value


def same_bits(a: Case, b: Case) -> bool:
    (x, y), (p, q) = ((a, b), (a.parameters, b.parameters))
    return (
        all(content(getattr(x, name)) == content(getattr(y, name)) for name in CASE_FIELDS)
        and p.keys() == q.keys()
        and all(content(p[name]) == content(q[name]) for name in p)
    )


CASE_FIELDS = ("sweep", "generator", "loss", "dtype", "logits", "label_kind", "labels", "start")


# Every generator.

OWN = tuple(name for name in GENERATORS if name not in ADAPTIVE)
"""Those whose rows do not depend on the implementation."""


def fitting_loss(generator: str) -> Loss:
    return LSE if Layout.ROWS in GENERATORS[generator].layouts else SOFTPLUS


@pytest.mark.parametrize("name", OWN)
def test_generator_repeats_itself_for_a_seed_and_is_exact_in_the_dtype(name: str) -> None:
    loss = fitting_loss(name)
    first = made(loss, name, "float16", seed=5, **REQUIRED.get(name, {}))
    second = made(loss, name, "float16", seed=5, **REQUIRED.get(name, {}))
    assert len(first) == len(second) > 0
    assert all(same_bits(a, b) for a, b in zip(first, second, strict=True))
    for case in first:
        assert case.logits.dtype == np.float16
        assert case.generator == name
        assert case.rows > 0


@pytest.mark.parametrize("name", sorted(set(OWN) - {"explicit", "wide", "equal"}))
def test_generator_gives_many_distinct_rows_by_default(name: str) -> None:
    (counted,) = tally(made(fitting_loss(name), name, "bfloat16", **REQUIRED.get(name, {})))
    assert counted.distinct >= 12
    assert counted.distinct <= counted.rows


@pytest.mark.parametrize("name", GENERATORS)
def test_generator_options_are_declared_with_defaults_of_their_kind(name: str) -> None:
    generator = GENERATORS[name]
    kinds = {"integer": int, "real": float, "choice": str, "text": str, "path": str, "rows": tuple}
    names = [option.name for option in generator.options]
    assert len(set(names)) == len(names)
    assert generator.summary
    assert generator.layouts
    for option in generator.options:
        assert option.doc
        if option.required or option.default is None:
            continue
        for value in option.default if option.many else (option.default,):
            assert isinstance(value, kinds[option.kind])
            assert not option.choices or value in option.choices
            assert option.minimum is None or value >= option.minimum
            assert option.maximum is None or value <= option.maximum


@pytest.mark.parametrize("name", ["normal", "uniform", "exponential", "mixed-scale", "wide"])
def test_another_seed_draws_other_rows(name: str) -> None:
    first, second = (made(LSE, name, seed=seed)[0] for seed in (1, 2))
    assert first.logits.tobytes() != second.logits.tobytes()


def test_draws_do_not_depend_on_other_inputs_behind_or_on_the_loss() -> None:
    inputs = [("normal", {"classes": (3,)}), ("uniform", {"classes": (3,)})]
    short = list(cases(sweep_of(LSE, inputs[0]), LSE, "float32", 3))
    long = list(cases(sweep_of(CE, *inputs, targets="argmax"), CE, "float32", 3))
    np.testing.assert_array_equal(short[0].logits, long[0].logits)


def test_every_dtype_gets_the_same_draws() -> None:
    wide = numbers(SOFTPLUS, "normal", "float64", rows=200)
    for dtype, scalar in (("float32", np.float32), ("float16", np.float16)):
        rounded = wide.astype(scalar).astype(np.float64)
        np.testing.assert_array_equal(numbers(SOFTPLUS, "normal", dtype, rows=200), rounded)


# Options.


def test_defaults_fill_what_is_not_given_and_axes_become_tuples() -> None:
    options = with_defaults(GENERATORS["normal"], {"classes": 7})
    assert options["classes"] == (7,)
    assert set(options) == {option.name for option in GENERATORS["normal"].options}


def test_named_numbers_take_their_value_from_the_dtype() -> None:
    values = numbers(SOFTPLUS, "explicit", "float16", values=("max", "-smallest_subnormal", 1.0))
    np.testing.assert_array_equal(values, [65504.0, -(2.0**-24), 1.0])
    assert with_defaults(GENERATORS["gap"], {"to": "max"})["to"] == "max"


def test_unknown_missing_and_unreadable_options_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no option 'class'.*'classes'"):
        made(LSE, "normal", **{"class": 3})
    with pytest.raises(UsageError, match="needs the option 'values'"):
        made(LSE, "explicit")
    with pytest.raises(UsageError, match="gap: "):
        made(LSE, "gap", to="maxx")


def test_unknown_generators_and_dtypes_are_told_with_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="'normal'"):
        made(LSE, "nromal")
    with pytest.raises(UnknownNameError, match="'float32'"):
        made(LSE, "normal", "float23")


def test_what_goes_from_high_to_low_is_refused() -> None:
    with pytest.raises(UsageError, match="ulp-uniform"):
        made(LSE, "ulp-uniform", **{"from": 1.0, "to": 0.0})
    with pytest.raises(UsageError, match="wide"):
        made(LSE, "wide", **{"from": 1.0, "to": 0.0})


# Boundary values.


@pytest.mark.parametrize("dtype", STANDARD_DTYPES)
def test_boundary_straddles_every_threshold_of_exp(dtype: str) -> None:
    target = FORMATS[dtype]
    values = np.unique(numbers(SOFTPLUS, "boundary", dtype))
    with mpmath.workprec(200):
        most = mpmath.mpf(2) ** (target.max_exponent + 1)
        tiny = mpmath.mpf(2) ** (target.min_exponent - target.precision + 1)
        thresholds = [
            mpmath.log(most - most * mpmath.mpf(2) ** -(target.precision + 1)),
            mpmath.log(mpmath.mpf(2) ** target.min_exponent),
            mpmath.log(tiny / 2),
            target.precision * mpmath.log(2),
            -target.precision * mpmath.log(2),
        ]
        for threshold in thresholds:
            below = max(value for value in values if value <= threshold)
            above = min(value for value in values if value >= threshold)
            ulp = math.ldexp(1.0, math.frexp(abs(float(threshold)))[1] - target.precision)
            assert above - below == ulp


def test_boundary_has_the_thresholds_the_field_knows_by_number() -> None:
    near = {"float16": (11.0899, -17.329), "float32": (88.7228, -103.972, -87.3365, 16.6355)}
    near["float64"] = (709.7827, -745.1332, 36.7368, 88.7228)
    for dtype, known in near.items():
        values = numbers(SOFTPLUS, "boundary", dtype)
        for each in known:
            assert np.abs(values - each).min() < 1e-2


@pytest.mark.parametrize(
    ("dtype", "scalar"), [("float16", np.float16), ("float32", np.float32), ("float64", np.float64)]
)
def test_boundary_has_the_limits_and_the_neighbours_of_one(dtype: str, scalar: Any) -> None:
    values = numbers(SOFTPLUS, "boundary", dtype)
    info = np.finfo(scalar)
    one = scalar(1)
    for wanted in (
        info.max,
        info.tiny,
        info.smallest_subnormal,
        info.eps,
        one,
        np.nextafter(one, scalar(0)),
        np.nextafter(one, scalar(2)),
    ):
        assert float(wanted) in values
        assert -float(wanted) in values
    zeros = values[values == 0]
    assert {math.copysign(1.0, zero) for zero in zeros} == {1.0, -1.0}
    assert np.isfinite(values).all()


def test_boundary_values_take_turns_in_every_class() -> None:
    (case,) = made(LSE, "boundary", classes=(3,), patterns=("zeros",))
    assert (np.count_nonzero(case.logits, axis=1) <= 1).all()
    assert (np.count_nonzero(case.logits, axis=0) > 10).all()


def test_boundary_special_gives_infinities_and_nan_alone() -> None:
    infinite = numbers(SOFTPLUS, "boundary", special="infinite")
    assert sorted(infinite) == [-math.inf, math.inf]
    assert np.isnan(numbers(SOFTPLUS, "boundary", special="nan")).all()
    everything = numbers(SOFTPLUS, "boundary", special="all")
    assert np.isnan(everything).any()
    assert np.isinf(everything).any()
    assert len(everything) == len(numbers(SOFTPLUS, "boundary")) + 3


def test_boundary_rows_reach_the_logits_whose_exponentials_overflow_in_sum() -> None:
    (case,) = made(LSE, "boundary", "float16", classes=(3,), patterns=("equal",))
    rows = to_float64(case.logits)
    assert (rows == rows[:, :1]).all()
    threshold = math.log(65520 / 3)
    gaps = rows[:, 0] - threshold
    assert gaps[gaps > 0].min() <= 2.0**-7
    assert -gaps[gaps < 0].max() <= 2.0**-7


def test_boundary_probabilities_lie_in_the_domain_and_have_its_edges() -> None:
    values = numbers(BCE_ON_PROBABILITIES, "boundary")
    assert values.min() == 0
    assert values.max() == 1
    ulp = 2.0**-24
    for wanted in (1 - ulp, 2.0**-149, 2.0**-126, 2.0**-23, 1 - 2.0**-23, 0.5, 0.5 - ulp / 2):
        assert wanted in values
    clip = float(np.float32(1e-7))
    assert clip in values


def test_boundary_probability_rows_have_one_hot_zero_and_unnormalised_ones() -> None:
    (case,) = made(ENTROPY, "boundary", classes=(3,))
    rows = {tuple(row) for row in to_float64(case.logits)}
    assert {(0.0, 0.0, 0.0), (1.0, 1.0, 1.0)} <= rows
    assert any(sorted(row) == [0.0, 0.0, 1.0] for row in rows)
    assert any(sorted(row) == [0.0, 0.5, 0.5] for row in rows)
    assert all(0 <= value <= 1 for row in rows for value in row)


def test_boundary_log_probabilities_are_not_above_zero() -> None:
    values = numbers(NLL, "boundary")
    assert values.max() == 0
    assert values.min() == -np.inf  # of the rows that are one-hot
    assert -float(np.finfo(np.float32).max) in values


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("domain", Domain)
def test_landmarks_are_numbers_of_the_format_within_the_domain(dtype: str, domain: Domain) -> None:
    target = FORMATS[dtype]
    values = np.array(list(landmarks(target, domain).values()))
    np.testing.assert_array_equal(values.astype(target.dtype).astype(np.float64), values)
    assert np.abs(values).max() <= (1.0 if domain is Domain.PROBABILITIES else target.max)
    assert domain is not Domain.LOG_PROBABILITIES or values.max() <= 0
    assert domain is not Domain.PROBABILITIES or values.min() >= 0


# The other systematic ones.


def test_ties_are_exact_or_one_ulp_apart() -> None:
    (case,) = made(LSE, "ties", classes=(2,), values=(1.0,))
    gaps = {float(row[0]) - float(row[1]) for row in case.logits}
    assert gaps == {0.0, 2.0**-24, -(2.0**-23)}


def test_gap_is_swept_over_the_given_range_by_steps_or_ratios() -> None:
    (case,) = made(LSE, "gap", **{"from": -3.0, "to": 3.0, "points": 7, "classes": (2,)})
    gaps = np.sort(case.logits.sum(axis=1))
    np.testing.assert_array_equal(gaps, [-3, -2, -1, 0, 1, 2, 3])
    ratios = numbers(SOFTPLUS, "gap", **{"from": -1.0, "to": -4.0, "points": 3, "spacing": "log"})
    np.testing.assert_allclose(ratios, [-1, -2, -4], rtol=1e-7)
    with pytest.raises(UsageError, match="cross or touch zero"):
        made(LSE, "gap", **{"from": -1.0, "to": 1.0, "spacing": "log"})


def test_gap_is_swept_above_each_base() -> None:
    options = {"from": -1.0, "to": 1.0, "points": 3, "classes": (3,), "base": (0.5, -20.0)}
    (case,) = made(LSE, "gap", **options)
    others = np.sort(case.logits, axis=1)[:, 1]  # two are equal, so it is one of them
    np.testing.assert_array_equal(others, [0.5, 0.5, 0.5, -20.0, -20.0, -20.0])
    gaps = case.logits.sum(axis=1) - 3 * others
    np.testing.assert_array_equal(gaps, [-1.0, 0.0, 1.0, -1.0, 0.0, 1.0])
    assert set((case.logits != others[:, None]).argmax(axis=1)[[0, 2, 3, 5]]) == {0, 2}
    alone = numbers(SOFTPLUS, "gap", **{k: v for k, v in options.items() if k != "classes"})
    np.testing.assert_array_equal(alone, [-0.5, 0.5, 1.5, -21.0, -20.0, -19.0])


def test_gap_makes_the_dominating_class_the_target_and_not() -> None:
    (case,) = made(CE, "gap", **{"from": 20.0, "to": 20.0, "points": 1, "classes": (3,)})
    dominating = case.logits.argmax(axis=1)
    assert sorted(case.labels == dominating) == [False, False, True]


def test_offsets_reach_the_largest_number_and_keep_rows_finite() -> None:
    for dtype in FORMATS:
        values = numbers(LSE, "offset", dtype)
        assert np.isfinite(values).all()
        assert values.max() == FORMATS[dtype].max
        assert values.min() == -FORMATS[dtype].max
    assert 1e8 in numbers(LSE, "offset", "float32")


def test_low_rows_lie_at_the_levels_where_clamps_were_found() -> None:
    (case, *_) = made(LSE, "low", classes=(4,))
    equal = {float(row[0]) for row in case.logits if len(set(map(float, row))) == 1}
    assert {-64.0, -168.0, -200.0, -1e4, -1e5} <= equal
    assert np.isfinite(numbers(LSE, "low", "float16")).all()


def test_masked_rows_have_one_to_all_classes_at_minus_infinity_and_targets_among_them() -> None:
    found = made(CE, "masked", classes=(4,))
    (case,) = found
    masked = np.isneginf(to_float64(case.logits))
    assert set(masked.sum(axis=1)) == {1, 2, 3, 4}
    hit = masked[np.arange(case.rows), case.labels]
    assert hit.any()
    assert not hit.all()
    (zero,) = made(ENTROPY, "masked", classes=(4,))
    assert (zero.logits == 0).any()
    assert np.isfinite(zero.logits).all()


def test_mixed_scale_puts_very_different_rows_into_one_case() -> None:
    (case,) = made(LSE, "mixed-scale", rows=16, classes=(5,))
    tops = np.sort(to_float64(case.logits).max(axis=1))
    assert tops[-1] - tops[0] > 1e5
    spreads = np.ptp(to_float64(case.logits), axis=1)
    assert spreads.max() / spreads[spreads > 0].min() > 1e6


def test_equal_rows_are_equal_and_wide_ones_have_few_values_beyond_65536_classes() -> None:
    (case,) = made(LSE, "equal", values=(0.0, 5.0), classes=(1000,))
    np.testing.assert_array_equal(case.logits, np.repeat([[0.0], [5.0]], 1000, axis=1))
    (wide,) = made(LSE, "wide", "float16")
    assert wide.classes > 65_536
    assert len(set(wide.logits[0].tolist())) <= 129
    (peaked,) = made(LSE, "wide", "float16", peak=20.0)
    top, second = np.sort(to_float64(peaked.logits)[0])[[-1, -2]]
    assert top - second == 20.0


def test_explicit_rows_are_kept_as_written_and_grouped_by_width() -> None:
    found = made(LSE, "explicit", "float16", values=((1.0, 1e5), (2.0, -math.inf, math.nan)))
    assert [case.classes for case in found] == [2, 3]
    np.testing.assert_array_equal(found[0].logits, [[1.0, np.inf]])
    np.testing.assert_array_equal(found[1].logits, [[2.0, -np.inf, np.nan]])
    assert [case.start for case in found] == [0, 1]
    (single,) = made(LSE, "explicit", values=(1.0, 2.0))
    assert single.logits.shape == (1, 2)
    (flat,) = made(SOFTPLUS, "explicit", values=((1.0, 2.0), (3.0,)))
    np.testing.assert_array_equal(flat.logits, [1.0, 2.0, 3.0])


def test_explicit_labels_take_the_place_of_targets() -> None:
    (case,) = made(CE, "explicit", values=((1.0, 2.0), (3.0, 4.0)), labels=(1, 0))
    np.testing.assert_array_equal(case.labels, [1, 0])
    with pytest.raises(UsageError, match="1 labels for 2 rows"):
        made(CE, "explicit", values=((1.0, 2.0), (3.0, 4.0)), labels=(1,))
    with pytest.raises(UsageError, match="row 0: label 2 is none"):
        made(CE, "explicit", values=((1.0, 2.0),), labels=(2,))


def test_explicit_distributions_and_targets_are_the_labels_of_such_losses() -> None:
    soft = LabelKind.DISTRIBUTION
    rows = {"values": ((1.0, 2.0), (3.0, 4.0, 5.0)), "labels": (1, 0)}
    given = {**rows, "distributions": ((0.25, 0.75), (0.5, 0.5, 0.0))}
    two, three = labelled_as(CE, soft, ("explicit", given))
    np.testing.assert_array_equal(two.labels, [[0.25, 0.75]])
    np.testing.assert_array_equal(three.labels, [[0.5, 0.5, 0.0]])
    for case in labelled_as(CE, LabelKind.INTEGER, ("explicit", given)):
        assert case.labels.dtype == np.int64  # a sweep of both kinds has both
    (one,) = labelled_as(
        CE, soft, ("explicit", {"values": (1.0, 2.0), "distributions": (0.1, 0.9)})
    )
    np.testing.assert_array_equal(one.labels, np.array([[0.1, 0.9]], np.float32))
    (targets,) = made(BCE, "explicit", values=(1.0, -2.0), targets=(0.25, 1.0))
    np.testing.assert_array_equal(targets.labels, [0.25, 1.0])
    with pytest.raises(UsageError, match="a distribution of 3 for 2 classes"):
        labelled_as(CE, soft, ("explicit", {**given, "distributions": ((0.5, 0.5, 0.0),) * 2}))
    with pytest.raises(UsageError, match="1 labels for 2 rows"):
        labelled_as(CE, soft, ("explicit", {**given, "distributions": ((0.5, 0.5),)}))


def test_grid_is_the_product_of_its_values() -> None:
    (case,) = made(LSE, "grid", values=(-1.0, 0.0, 2.0), classes=(3,))
    assert len({tuple(row) for row in case.logits.tolist()}) == 27
    assert case.rows == 27
    np.testing.assert_array_equal(
        numbers(SOFTPLUS, "grid", **{"from": 0.0, "to": 1.0, "points": 5}), [0, 0.25, 0.5, 0.75, 1]
    )
    with pytest.raises(UsageError, match="1000000 rows"):
        made(LSE, "grid", points=100, classes=(3,))


@pytest.mark.parametrize(
    ("dtype", "finite"),
    [
        ("float16", 2 * 31 * 1024),
        ("bfloat16", 2 * 255 * 128),
        ("float8_e4m3fn", 254),
        ("float8_e5m2", 2 * 31 * 4),
    ],
)
def test_exhaustive_has_every_finite_value_once(dtype: str, finite: int) -> None:
    found = made(SOFTPLUS, "exhaustive", dtype)
    assert sum(case.rows for case in found) == finite
    assert max(case.rows for case in found) <= 1 << 16
    (counted,) = tally(found)
    assert counted.distinct == finite
    starts = np.cumsum([0] + [case.rows for case in found])[:-1]
    assert [case.start for case in found] == list(starts)


def test_exhaustive_special_adds_infinities_and_nan_and_probabilities_stay_in_range() -> None:
    values = numbers(SOFTPLUS, "exhaustive", "float16", special="all")
    assert np.isinf(values).sum() == 2
    assert np.isnan(values).sum() == 1
    probabilities = numbers(BCE_ON_PROBABILITIES, "exhaustive", "float16")
    assert len(set(probabilities)) == 15 * 1024 + 1
    assert probabilities.min() == 0
    assert probabilities.max() == 1


# The random ones.


def test_ulp_uniform_covers_all_exponents_evenly() -> None:
    values = numbers(SOFTPLUS, "ulp-uniform", "float64", rows=4000)
    exponents = np.frexp(values)[1]
    thirds = np.histogram(exponents, bins=3, range=(-1074, 1024))[0]
    assert thirds.min() > 4000 / 3 * 0.85
    assert 1800 < (values > 0).sum() < 2200
    mantissas = values.view(np.int64) & 0xFF
    assert len(np.unique(mantissas)) > 200  # low bits are drawn too


def test_ulp_uniform_stays_in_its_region_and_its_domain() -> None:
    region = numbers(SOFTPLUS, "ulp-uniform", "float16", rows=500, **{"from": 1.0, "to": 1.0078125})
    assert set(region) == {1 + k / 1024 for k in range(9)}
    assert numbers(BCE_ON_PROBABILITIES, "ulp-uniform", rows=300).min() >= 0
    assert numbers(BCE_ON_PROBABILITIES, "ulp-uniform", rows=300).max() <= 1
    assert numbers(NLL, "ulp-uniform", rows=300).max() <= 0


def test_distributions_have_their_scale_and_shape() -> None:
    normal = numbers(SOFTPLUS, "normal", rows=4000, scale=(10.0,), shift=5.0)
    assert abs(normal.mean() - 5) < 1
    assert abs(normal.std() - 10) < 0.5
    uniform = numbers(SOFTPLUS, "uniform", rows=4000, scale=(2.0,))
    assert -2 <= uniform.min() < -1.9
    assert 1.9 < uniform.max() <= 2
    exponential = numbers(SOFTPLUS, "exponential", rows=4000, scale=(-3.0,))
    assert exponential.max() <= 0
    assert abs(exponential.mean() + 3) < 0.3


def test_class_counts_and_scales_are_axes() -> None:
    found = made(LSE, "normal", classes=(1, 2, 1000), scale=(1.0, 100.0), rows=3)
    assert {case.classes: case.rows for case in found} == {1: 6, 2: 6, 1000: 6}


# Domains.


def test_logits_become_probabilities_in_float64_before_the_one_rounding() -> None:
    logits = ((0.0, 20.0), (3.0, -1.0))
    (case,) = made(CCE, "gap", "float32", **{"from": 20.0, "to": 20.0, "points": 1})
    with mpmath.workprec(120):
        exact = [float(1 / (1 + mpmath.exp(20))), float(1 / (1 + mpmath.exp(-20)))]
    assert set(map(float, case.logits[0])) == {float(np.float32(each)) for each in exact}
    (logs,) = made(NLL, "gap", "float64", **{"from": 20.0, "to": 20.0, "points": 1})
    with mpmath.workprec(120):
        wanted = float(-mpmath.log1p(mpmath.exp(-20)))
    assert math.isclose(float(logs.logits[0].max()), wanted, rel_tol=1e-15)
    (kept,) = made(NLL, "explicit", values=logits)  # as written, though no log-probabilities
    np.testing.assert_array_equal(kept.logits[::2], logits)


def test_logits_too_far_apart_for_float64_leave_one_certain_class() -> None:
    rows = rows_of(made(NLL, "uniform", "float64", scale=(1.7e308,), rows=64, classes=(2,)))
    assert (rows.max(axis=1) == 0).all()
    assert np.isneginf(rows.min(axis=1)).any()


def test_elementwise_probabilities_come_from_the_sigmoid() -> None:
    values = numbers(BCE_ON_PROBABILITIES, "gap", **{"from": -2.0, "to": -2.0, "points": 1})
    assert set(values) == {float(np.float32(0.11920292202211756))}


# Labels.


def test_targets_choose_the_labels_of_a_row() -> None:
    rows = {"values": ((1.0, 3.0, 2.0),)}
    of = {
        targets: labelled_as(CE, LabelKind.INTEGER, ("explicit", rows), targets=targets)[0].labels
        for targets in ("all", "argmax", "argmin", "random")
    }
    np.testing.assert_array_equal(of["all"], [0, 1, 2])
    np.testing.assert_array_equal(of["argmax"], [1])
    np.testing.assert_array_equal(of["argmin"], [0])
    assert len(of["random"]) == 1
    assert of["all"].dtype == np.int64
    with pytest.raises(UsageError, match="targets 'every'"):
        labelled_as(CE, LabelKind.INTEGER, ("explicit", rows), targets="every")


def test_all_targets_of_many_classes_are_extremes_ends_and_random_ones() -> None:
    (case,) = made(CE, "normal", rows=1, classes=(500,))
    row = to_float64(case.logits[0])
    assert {int(row.argmax()), int(row.argmin()), 0, 499} <= set(map(int, case.labels))
    assert 4 <= case.rows <= 6
    assert len(set(map(int, case.labels))) == case.rows
    assert (case.logits == case.logits[0]).all()


def test_components_of_per_class_losses_are_few_even_for_few_classes() -> None:
    (case,) = made(LOSSES["softmax"], "normal", rows=1, classes=(16,))
    row = to_float64(case.logits[0])
    assert {int(row.argmax()), int(row.argmin())} <= set(map(int, case.labels))
    assert case.rows <= 3


def test_elementwise_targets_are_hard_for_every_number_and_soft_for_some() -> None:
    loss = LOSSES["sigmoid_binary_cross_entropy"]
    (case,) = made(loss, "normal", rows=32)
    pairs = set(zip(case.logits.tolist(), case.labels.tolist(), strict=True))
    for x in set(case.logits.tolist()):
        assert {(x, 0.0), (x, 1.0)} <= pairs
    soft = {label for label in case.labels.tolist() if 0 < label < 1}
    assert {0.5, float(np.float32(0.1)), float(np.float32(0.9))} < soft
    assert case.labels.dtype == np.float32


def test_single_targets_give_every_number_one_label() -> None:
    loss = LOSSES["sigmoid_binary_cross_entropy"]
    spec = ("explicit", {"values": (-2.0, 3.0, 0.5, -1.0)})
    of = {
        targets: labelled_as(loss, LabelKind.TARGET, spec, targets=targets)[0].labels.tolist()
        for targets in ("argmax", "argmin", "random")
    }
    assert of["argmax"] == [0.0, 1.0, 1.0, 0.0]
    assert of["argmin"] == [1.0, 0.0, 0.0, 1.0]
    assert {of["random"][0], of["random"][2]} <= {0.0, 1.0}
    assert all(0 < of["random"][each] < 1 for each in (1, 3))


def test_single_targets_give_every_row_one_distribution() -> None:
    spec = ("explicit", {"values": ((1.0, 3.0, 2.0), (5.0, 4.0, 6.0))})
    of = {
        targets: labelled_as(CE, LabelKind.DISTRIBUTION, spec, targets=targets)[0].labels
        for targets in ("argmax", "argmin", "random")
    }
    np.testing.assert_array_equal(of["argmax"], [[0, 1, 0], [0, 0, 1]])
    np.testing.assert_array_equal(of["argmin"], [[1, 0, 0], [0, 1, 0]])
    assert of["random"].shape == (2, 3)


def test_recorded_distributions_are_used_as_they_are(tmp_path: Path) -> None:
    labels = np.array([[0.25, 0.75], [1.0, 0.0]])
    np.savez(tmp_path / "soft.npz", logits=np.array([[1.0, 2.0], [3.0, 4.0]]), labels=labels)
    spec = ("recorded", {"path": str(tmp_path / "soft.npz")})
    (case,) = labelled_as(CE, LabelKind.DISTRIBUTION, spec)
    np.testing.assert_array_equal(case.labels, labels)
    np.savez(tmp_path / "real.npz", logits=np.eye(2), labels=np.array([0.0, 1.0]))
    with pytest.raises(UsageError, match="labels of type float64"):
        made(CE, "recorded", path=str(tmp_path / "real.npz"))


def test_distributions_are_of_every_kind() -> None:
    spec = ("normal", {"rows": 40, "classes": (4,)})
    (case,) = labelled_as(CE, LabelKind.DISTRIBUTION, spec)
    labels = to_float64(case.labels)
    assert labels.shape == case.logits.shape
    rows = to_float64(case.logits)
    p = np.exp(rows) / np.exp(rows).sum(axis=1, keepdims=True)
    totals = labels.sum(axis=1)
    hot = labels[np.arange(len(labels)), rows.argmax(axis=1)] == 1
    assert hot.any()
    assert (labels[np.arange(len(labels)), rows.argmin(axis=1)] == 1).any()
    assert (labels == 0.25).all(axis=1).any()
    assert (np.abs(labels - p).max(axis=1) < 1e-6).any()
    assert np.any((totals > 1.9) & (totals < 2.1))
    assert ((labels == 0).any(axis=1) & (np.count_nonzero(labels, axis=1) > 1)).any()
    assert (np.count_nonzero(labels, axis=1) == 4).sum() > 20


def test_masked_classes_meet_labels_of_zero() -> None:
    spec = ("masked", {"rows": 12, "classes": (4,)})
    (case,) = labelled_as(CE, LabelKind.DISTRIBUTION, spec)
    masked = np.isneginf(to_float64(case.logits))
    meets = (masked & (case.labels == 0)).any(axis=1) & ~(masked & (case.labels > 0)).any(axis=1)
    assert meets.sum() > 5


@pytest.mark.parametrize("logarithmic", [False, True])
def test_targets_of_a_divergence_are_also_within_an_ulp_of_the_row(logarithmic: bool) -> None:
    spec = ("normal", {"rows": 40, "classes": (4,)})
    axes = {"log_target": (logarithmic,)}
    (case,) = labelled_as(KL, LabelKind.DISTRIBUTION, spec, parameters=axes)
    x = to_float64(case.logits)
    t = to_float64(case.labels)
    near = np.abs(t - (x if logarithmic else np.exp(x))).max(axis=1) < 1e-5
    equal = np.abs(t - (x if logarithmic else np.exp(x))).max(axis=1) < 5e-8
    assert near.sum() >= 20
    assert 0 < equal.sum() < near.sum() or logarithmic
    assert (np.isneginf(t) if logarithmic else (t == 0)).any()
    assert case.parameters == {"log_target": logarithmic}


def test_ignored_labels_go_to_every_broken_row_and_to_some_others() -> None:
    axes = {"ignore_index": (-100,)}
    specs = (("explicit", {"values": ((1.0, math.nan), (2.0, 1.0), (-math.inf, -math.inf))}),)
    (case,) = labelled_as(CE, LabelKind.INTEGER, *specs, parameters=axes)
    broken = ~np.isfinite(to_float64(case.logits)).all(axis=1)
    ignored = case.labels == -100
    assert (ignored & broken).sum() == 2
    assert case.parameters == {"ignore_index": -100}
    assert not (made(CE, "normal")[0].labels == -100).any()


def test_a_reduction_over_nothing_but_ignored_rows_is_among_the_cases() -> None:
    axes = {"ignore_index": (-1,), "reduction": ("mean",)}
    found = labelled_as(CE, LabelKind.INTEGER, ("normal", {"classes": (3,)}), parameters=axes)
    whole = [case for case in found if (case.labels == -1).all()]
    assert len(whole) == 1
    assert whole[0].parameters == {"ignore_index": -1, "reduction": "mean"}


def test_a_kind_of_label_that_the_loss_lacks_is_refused() -> None:
    with pytest.raises(UsageError, match="nll_loss takes integer labels"):
        labelled_as(NLL, LabelKind.DISTRIBUTION, ("normal", {}))


# Parameters.


def test_axes_multiply_and_defaults_are_kept_where_they_are_named() -> None:
    axes = {"label_smoothing": (0.0, 0.1), "reduction": ("none", "mean")}
    found = labelled_as(
        CE, LabelKind.INTEGER, ("normal", {"classes": (3,), "rows": 2}), parameters=axes
    )
    smoothing = float(np.float32(0.1))
    once = [case for case in found if not case.again]
    assert [dict(case.parameters) for case in once] == [
        {"label_smoothing": 0.0, "reduction": "none"},
        {"label_smoothing": 0.0, "reduction": "mean"},
        {"label_smoothing": smoothing, "reduction": "none"},
        {"label_smoothing": smoothing, "reduction": "mean"},
    ]
    assert all(case.logits.tobytes() == found[0].logits.tobytes() for case in once)
    # under a reduction 6 rows are reduced, then 1, 2 and 3 of them
    assert [(case.start, case.rows) for case in found] == [
        (0, 6),
        *((6, 6), (12, 1), (13, 2), (15, 3)),
        (18, 6),
        *((24, 6), (30, 1), (31, 2), (33, 3)),
    ]


def test_class_vectors_are_given_drawn_or_partly_zero() -> None:
    axes = {"weight": ((1.0, 0.1), "random", "zeros-some", None)}
    found = labelled_as(CE, LabelKind.INTEGER, ("normal", {"classes": (5,)}), parameters=axes)
    given, drawn, zeros = (to_float64(case.parameters["weight"]) for case in found[:3])
    tenth = float(np.float32(0.1))
    np.testing.assert_array_equal(given, [1.0, tenth, 1.0, tenth, 1.0])
    assert len(set(drawn)) == 5
    assert drawn.min() >= 0.5
    assert drawn.max() <= 2
    assert 0 < (zeros == 0).sum() < 5
    assert dict(found[3].parameters) == {}


def test_noise_has_the_shape_of_the_block_and_is_the_same_for_every_dtype() -> None:
    loss = LOSSES["softmax"]
    axes = {"noise": ("gumbel",), "temperature": (0.5,)}
    spec = ("normal", {"classes": (3,), "rows": 2000})
    (*parts,) = labelled_as(loss, LabelKind.INTEGER, spec, parameters=axes)
    assert len(parts) > 1
    assert all(case.parameters["noise"].shape == case.logits.shape for case in parts)
    noise = np.concatenate([to_float64(case.parameters["noise"]) for case in parts])
    assert abs(noise.mean() - np.euler_gamma) < 0.05
    (narrow, *_) = labelled_as(loss, LabelKind.INTEGER, spec, parameters=axes, dtype="float16")
    np.testing.assert_allclose(
        narrow.parameters["noise"], noise[: narrow.rows], rtol=1e-3, atol=1e-6
    )


def test_noise_may_be_given_by_class() -> None:
    loss = LOSSES["softmax"]
    spec = ("explicit", {"values": ((0.0, 1.0, 2.0),)})
    axes = {"noise": ((1.0, -1.0),)}
    (case,) = labelled_as(loss, LabelKind.INTEGER, spec, parameters=axes)
    assert (case.parameters["noise"] == [1.0, -1.0, 1.0]).all()
    with pytest.raises(UsageError, match="'gumbel'"):
        labelled_as(loss, LabelKind.INTEGER, spec, parameters={"noise": ("gumble",)})


def test_draws_over_large_vocabularies_take_few_values_so_that_references_stay_cheap() -> None:
    spec = ("equal", {"classes": (5000,)})
    axes = {"weight": ("random",)}
    found = labelled_as(CE, LabelKind.DISTRIBUTION, spec, targets="all", parameters=axes)
    for case in found:
        assert len(set(to_float64(case.parameters["weight"]))) <= 8
        assert all(len(set(row)) <= 16 for row in to_float64(case.labels).tolist())
    axes = {"noise": ("random",)}
    (noisy,) = labelled_as(LOSSES["softmax"], LabelKind.INTEGER, spec, parameters=axes)
    assert len(set(to_float64(noisy.parameters["noise"][0]).tolist())) < 150


def test_parameters_that_do_not_fit_are_refused() -> None:
    def run(loss: Loss, kind: LabelKind, axes: dict[str, Any]) -> None:
        labelled_as(loss, kind, ("normal", {}), parameters=axes)

    with pytest.raises(UsageError, match=r"no parameter 'label_smothing'.*'label_smoothing'"):
        run(CE, LabelKind.INTEGER, {"label_smothing": (0.1,)})
    with pytest.raises(UsageError, match="ignore_index of softmax_cross_entropy goes with integer"):
        run(CE, LabelKind.DISTRIBUTION, {"ignore_index": (1,)})
    with pytest.raises(UsageError, match="has no values"):
        run(CE, LabelKind.INTEGER, {"temperature": ()})
    with pytest.raises(UsageError, match="'random'"):
        run(CE, LabelKind.INTEGER, {"weight": ("rondom",)})


# Cases, counting, and nothing at all.


def test_blocks_are_bounded_and_numbered_through() -> None:
    found = made(LSE, "normal", rows=5000, classes=(2,), scale=(1.0,))
    assert [case.rows for case in found] == [4096, 904]
    assert [case.start for case in found] == [0, 4096]
    wide = made(LSE, "equal", classes=(2**19,), values=(0.0, 1.0, 2.0))
    assert [case.rows for case in wide] == [2, 1]
    single = made(SOFTPLUS, "normal", rows=70_000, scale=(1.0,))
    assert [(case.rows, case.start) for case in single] == [(65_536, 0), (4464, 65_536)]
    spec = ("normal", {"rows": 300, "scale": (1.0,)})
    axes = {"reduction": ("mean",)}
    mean = labelled_as(BCE, LabelKind.TARGET, spec, targets="random", parameters=axes)
    assert [case.rows for case in mean if not case.again] == [256, 44]
    assert [case.rows for case in mean if case.again] == [1, 2, 3, 5, 17, 65, 300]


def test_a_sweep_of_one_point_counts_as_one_distinct_row() -> None:
    (once,) = tally(made(SOFTPLUS, "explicit", values=(3.0, 3.0, 3.0)))
    assert (once.rows, once.distinct) == (3, 1)
    (zeros,) = tally(made(SOFTPLUS, "explicit", values=(0.0, -0.0, math.nan, math.nan)))
    assert (zeros.rows, zeros.distinct) == (4, 3)


def test_rows_differ_by_their_labels_and_parameters_too() -> None:
    spec = ("explicit", {"values": ((1.0, 2.0),)})
    axes = {"weight": ("random", None)}
    found = labelled_as(CE, LabelKind.INTEGER, spec, parameters=axes)
    (counted,) = tally(found)
    assert (counted.rows, counted.distinct) == (4, 4)
    counter = RowCount()
    for case in (*found, *found):
        counter.add(case)
    (twice,) = counter.yields()
    assert (twice.rows, twice.distinct) == (8, 4)
    assert (twice.sweep, twice.generator, twice.loss) == ("s", "explicit", CE.id)


def test_nothing_at_all_is_an_error_with_place_and_remedy() -> None:
    with pytest.raises(
        EmptySweepError, match=r"sweep s has no rows for softplus(.|\n)*masked: (.|\n)*help:"
    ):
        made(SOFTPLUS, "masked")
    with pytest.raises(EmptySweepError, match="no rows with these options"):
        made(SOFTPLUS, "explicit", values=())
    with pytest.raises(EmptySweepError, match="no inputs"):
        list(cases(sweep_of(SOFTPLUS), SOFTPLUS, "float32", 0))


def test_what_does_not_apply_is_named_with_its_reason() -> None:
    inputs = (("masked", {}), ("normal", {}), ("exhaustive", {}))
    sweep = sweep_of(SOFTPLUS, *inputs, dtypes=("float16", "float64"))
    assert [name for name, _ in inapplicable(sweep, SOFTPLUS)] == ["masked", "exhaustive"]
    assert "float64 has 2^64 values" in inapplicable(sweep, SOFTPLUS)[1][1]
    assert [name for name, _ in inapplicable(sweep, SOFTPLUS, "float16")] == ["masked"]
    assert {case.generator for case in cases(sweep, SOFTPLUS, "float64", 0)} == {"normal"}


@pytest.mark.parametrize(
    ("loss", "dtype", "generator", "options"),
    [
        (CCE, "float32", "offset", {}),
        (CCE, "float32", "low", {}),
        (CCE, "float32", "grid", {}),
        (CCE, "float32", "boundary", {"special": "infinite"}),
        (CCE, "float32", "ulp-uniform", {"from": 2.0}),
        (CE, "float8_e4m3fn", "masked", {}),
        (CE, "float8_e4m3fn", "boundary", {"special": "infinite"}),
        (CE, "float16", "ulp-uniform", {"from": 1e5}),
        (CE, "float16", "exhaustive", {}),
    ],
)
def test_obstacles_are_reasons_and_leave_the_sweep_empty(
    loss: Loss, dtype: str, generator: str, options: dict[str, Any]
) -> None:
    sweep = sweep_of(loss, (generator, options), dtypes=(dtype,))
    ((name, reason),) = inapplicable(sweep, loss)
    assert name == generator
    assert reason
    with pytest.raises(EmptySweepError):
        list(cases(sweep, loss, dtype, 0))


# Parts: any of them can be made alone, and memory does not grow with their number.


PIECEMEAL: Mapping[str, dict[str, Any]] = {
    "zero-crossing": {"rows": 20},
    "explicit": {"values": tuple((k / 32, -k / 64) for k in range(40))},
    "normal": {"classes": (2, 3, 2), "scale": (1.0, 5.0), "rows": 60},
    "ulp-uniform": {"classes": (2, 3), "rows": 60},
    "wide": {"classes": (9, 70), "rows": 9, "peak": 3.0},
    "mixed-scale": {"rows": 60},
    "offset": {"rows": 9},
    "gap": {"classes": (5,)},
    "masked": {"rows": 8},
    "low": {"rows": 9},
    "ties": {"values": tuple(range(40)), "classes": (3,)},
    "equal": {"values": (*range(80), *range(40)), "classes": (2,)},
    "grid": {"points": 30, "classes": (2,)},
    "recorded": {"path": str(DIGITS), "rows": 30},
    "cycle": {"rows": (200,)},
}
COMBINED: Mapping[str, Mapping[str, tuple[Any, ...]]] = {
    "softmax": {"noise": ("gumbel",), "temperature": (1.0, 0.5)},
    "softmax_cross_entropy": {"ignore_index": (-1,), "reduction": ("none", "mean")},
}


def piecemeal(name: str, loss: Loss, dtype: str = "float32") -> Sweep:
    axes = COMBINED.get(loss.id, {})
    return sweep_of(loss, (name, PIECEMEAL.get(name, {})), dtypes=(dtype,), parameters=axes)


def all_cases(planned: Iterable[Part]) -> list[Case]:
    return [case for part in planned for case in part.cases()]


def rows_of(found: Iterable[Case]) -> np.ndarray:
    return np.concatenate([case.logits for case in found])


def without_repeats(rows: np.ndarray) -> list[bytes]:
    return list(dict.fromkeys(row.tobytes() for row in rows))


GENERATORS_WITH_LOSSES = [
    (name, loss)
    for name, loss in itertools.product(
        OWN, (CE, LOSSES["softmax"], ENTROPY, KL, SOFTPLUS, BCE, BCE_ON_PROBABILITIES)
    )
    if not inapplicable(piecemeal(name, loss, "float16"), loss, "float16")
]


@pytest.mark.parametrize(
    ("name", "loss"), GENERATORS_WITH_LOSSES, ids=lambda each: getattr(each, "id", each)
)
def test_a_part_made_alone_is_the_same_and_all_of_them_are_the_cases(
    name: str, loss: Loss, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in ("MOST_ELEMENTS", "MOST_REDUCED"):
        few = 8192 if name == "exhaustive" else 24
        monkeypatch.setattr(f"xentcheck.sweeps.rows.{most}", few)
    sweep = piecemeal(name, loss, "float16")
    planned = parts(sweep, loss, "float16", 7)
    assert [part.number for part in planned] == list(range(len(planned)))
    assert len(planned) > 1
    start = 0
    numbered = []
    for part in planned:
        of_part = list(part.cases())
        assert of_part[0].start == 0
        alone = parts(sweep, loss, "float16", 7)[part.number]
        again = list(alone.cases())
        assert len(again) == len(of_part)
        assert all(map(same_bits, of_part, again))
        assert (alone.rows, alone.classes, alone.generator) == (part.rows, part.classes, name)
        assert {case.classes for case in of_part} == {part.classes}
        numbered += [replace(case, start=start + case.start) for case in of_part]
        start += sum(case.rows for case in of_part)
    chained = list(cases(sweep, loss, "float16", 7))
    assert len(chained) == len(numbered)
    assert all(map(same_bits, chained, numbered))


@pytest.mark.parametrize("name", sorted({*OWN} - {"mixed-scale", "wide"}))
def test_parts_have_the_rows_that_one_block_would_have(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first chunk of draws is the beginning of what would be drawn at once. Rows that are
    # wanted once are so within a part.
    loss = fitting_loss(name)
    sweep = piecemeal(name, loss, "float16")
    whole: dict[int, np.ndarray] = {}
    for part in parts(sweep, loss, "float16", 7):
        assert part.classes not in whole
        whole[part.classes] = rows_of(part.cases())
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 8192 if name == "exhaustive" else 64)
    drawn = name in {"normal", "uniform", "exponential", "ulp-uniform"}
    for classes, rows in whole.items():
        planned = [each for each in parts(sweep, loss, "float16", 7) if each.classes == classes]
        assert all(part.rows * classes <= 64 or name == "exhaustive" for part in planned)
        assert len(planned) >= len(rows) * classes // 64 or name == "exhaustive"
        found = rows_of(all_cases(planned[:1] if drawn and classes == 2 else planned))
        if drawn and classes != 2:
            assert len(found) == len(rows)
        elif drawn:
            np.testing.assert_array_equal(found, rows[: len(found)])
        else:
            assert without_repeats(found) == without_repeats(rows)


@pytest.mark.parametrize("name", ["normal", "ulp-uniform", "mixed-scale", "wide"])
def test_no_two_parts_are_drawn_alike(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    options = {"classes": (4, 5, 4), "rows": 200}
    sweep = sweep_of(LSE, (name, options))
    seen = [rows_of(part.cases())[:5].tobytes() for part in parts(sweep, LSE, "float64", 0)]
    assert len(set(seen)) == len(seen) > 20


def test_labels_and_noise_of_parts_are_drawn_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 400)
    softmax = LOSSES["softmax"]
    spec = ("normal", {"classes": (4,), "rows": 500})
    axes = {"noise": ("gumbel",)}
    sweep = sweep_of(softmax, spec, targets="random", parameters=axes)
    found = all_cases(parts(sweep, softmax, "float64", 0))
    assert [case.rows for case in found] == [100] * 5
    assert len({case.labels.tobytes() for case in found}) == 5
    assert len({case.parameters["noise"].tobytes() for case in found}) == 5


def test_ordinary_rows_are_the_same_at_every_offset_wherever_a_part_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    found = made(LSE, "offset", "float64", offsets=(0.0, 64.0, 0.0), rows=50, classes=(3,))
    at_zero, moved, again = rows_of(found).reshape(3, 51, 3)
    np.testing.assert_array_equal(at_zero, again)
    np.testing.assert_array_equal(at_zero + 64.0, moved)
    np.testing.assert_array_equal(at_zero[-1], [0, 0, 0])
    assert len(np.unique(at_zero[:-1])) == 150


def test_masks_go_round_the_classes_wherever_a_part_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    masked = np.isneginf(rows_of(made(LSE, "masked", rows=40, classes=(4,))))
    for count, rows in enumerate(masked[:120].reshape(3, 40, 4), 1):
        for number, row in enumerate(rows):
            assert set(np.flatnonzero(row)) == {(number + k) % 4 for k in range(count)}
    assert masked[120:].all()


def test_shuffled_scales_are_mixed_within_every_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    sweep = sweep_of(LSE, ("mixed-scale", {"rows": 160, "classes": (4,)}))
    planned = parts(sweep, LSE, "float64", 0)
    assert len(planned) == 10
    for part in planned:
        spreads = np.ptp(rows_of(part.cases()), axis=1)
        assert spreads.max() / spreads.min() > 1e6


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_every_dtype_gets_the_same_draws_in_every_part(
    dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    wide = numbers(SOFTPLUS, "normal", "float64", rows=200)
    narrow = numbers(SOFTPLUS, "normal", dtype, rows=200)
    np.testing.assert_array_equal(narrow, wide.astype(dtype).astype(np.float64))


def documented_stream(*place: object) -> np.random.Generator:
    """The stream of a place as it is described: its text, hashed, is the seed."""
    digest = hashlib.sha256("\0".join(map(str, place)).encode()).digest()
    return np.random.default_rng(int.from_bytes(digest, "little"))


def test_small_draws_come_one_after_another_from_the_stream_of_their_input() -> None:
    inputs = [
        ("uniform", {"rows": 1}),
        ("normal", {"classes": (2, 3), "scale": (1.0, 8.0), "rows": 5}),
    ]
    sweep = sweep_of(LSE, *inputs)
    rng = documented_stream(11, "s", 1)
    for part in parts(sweep, LSE, "float64", 11)[-2:]:
        shape = (5, part.classes)
        expected = np.concatenate([rng.standard_normal(shape), 8 * rng.standard_normal(shape)])
        np.testing.assert_array_equal(rows_of(part.cases()), expected)


def test_labels_of_the_first_parts_come_from_the_stream_of_their_block() -> None:
    sweep = sweep_of(CE, ("normal", {"classes": (2, 3), "rows": 50}), targets="random")
    for number, part in enumerate(parts(sweep, CE, "float32", 4)):
        rng = documented_stream(4, "s", 0, number, "labels")
        (case,) = part.cases()
        np.testing.assert_array_equal(case.labels, rng.integers(0, part.classes, (2, 50))[0])


def counted_series() -> tuple[Series, list[int], Any]:
    drawn: list[int] = []

    def sample(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        drawn.append(math.prod(shape))
        return rng.standard_normal(shape)

    return Series(partial(stream, 0, "s", 0)), drawn, sample


def test_drawing_anywhere_costs_no_more_than_two_chunks_and_what_is_small_before() -> None:
    series, drawn, sample = counted_series()
    small = series.draws(1000, 10, sample)
    large = series.draws(1 << 40, 0, sample)
    behind = series.draws(5, 7, sample)
    large.between((1 << 39) - 2, (1 << 39) + 2)
    assert sum(drawn) == 2 * MOST_ELEMENTS
    drawn.clear()
    behind.between(1, 3)
    assert drawn == [35]
    drawn.clear()
    large.between(0, 1)
    assert drawn == [10_000, MOST_ELEMENTS]
    drawn.clear()
    small.between(3, 5)
    assert drawn == [10_000]


def test_many_draws_in_turn_are_drawn_once_each() -> None:
    series, drawn, sample = counted_series()
    every = [series.draws(2, 3, sample) for _ in range(50)]
    forth = [each.between(0, 2) for each in every]
    assert len(drawn) == 99  # the draws before are made once more, by the one behind them
    back = [each.between(0, 2) for each in reversed(every)]
    np.testing.assert_array_equal(forth, back[::-1])
    np.testing.assert_array_equal(forth, stream(0, "s", 0).standard_normal((50, 2, 3)))


def test_parts_of_any_number_of_rows_are_planned_without_making_them() -> None:
    tracemalloc.start()
    try:
        wide = sweep_of(LSE, ("wide", {"rows": 1 << 32}), ("normal", {"rows": 1 << 32}))
        planned = parts(wide, LSE, "float32", 0)
        last = planned[-1]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    rows_at_once = MOST_ELEMENTS // 65_540
    of_wide = -(-(1 << 32) // rows_at_once)
    of_pairs = (1 << 32) * 2 // MOST_ELEMENTS
    of_tens = -(-(1 << 32) // (MOST_ELEMENTS // 10))
    assert len(planned) == of_wide + of_pairs + of_tens
    assert (planned[0].rows, planned[0].classes) == (rows_at_once, 65_540)
    assert planned[of_wide - 1].rows == (1 << 32) - (of_wide - 1) * rows_at_once
    assert (planned[of_wide].generator, planned[of_wide].classes) == ("normal", 2)
    assert (last.number, last.classes) == (len(planned) - 1, 10)
    assert [part.number for part in planned[5:8]] == [5, 6, 7]
    with pytest.raises(IndexError):
        planned[len(planned)]


@pytest.mark.parametrize(
    ("loss", "name", "options"),
    [
        (SOFTPLUS, "normal", {"rows": 1 << 22}),
        (SOFTPLUS, "ulp-uniform", {"rows": 1 << 22}),
        (BCE, "normal", {"rows": 1 << 22}),
        (LSE, "normal", {"rows": 1 << 19, "classes": 8}),
        (LSE, "offset", {"rows": 1 << 17, "classes": 8, "offsets": (0.0, 1.0, 2.0, 3.0)}),
        (LSE, "wide", {"rows": 64}),
        (SOFTPLUS, "exhaustive", {"from": 1.0, "to": 1.5}),
    ],
)
def test_memory_does_not_grow_with_rows(loss: Loss, name: str, options: dict[str, Any]) -> None:
    sweep = sweep_of(loss, (name, options), targets="random")
    numbers_made = 0
    tracemalloc.start()
    try:
        for case in cases(sweep, loss, "float32", 0):
            numbers_made += case.logits.size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert numbers_made > 3 * MOST_ELEMENTS
    assert peak < 8 * MOST_ELEMENTS * 8


def test_a_recording_stays_in_its_file(tmp_path: Path) -> None:
    path = tmp_path / "large.npy"
    file = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=(1 << 20, 8))
    file[:] = (np.arange(8) - 3.5) / 4
    file[-1] = 9.0
    del file
    sweep = sweep_of(LSE, ("recorded", {"path": str(path)}))
    tracemalloc.start()
    try:
        planned = parts(sweep, LSE, "float16", 0)
        *_, last = planned[len(planned) - 1].cases()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(last.logits[-1], np.full(8, 9.0))
    assert len(planned) == 8
    assert peak < 8 * MOST_ELEMENTS * 8


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_recording_is_held_once_however_many_sweeps_ask_for_it(
    tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"rows{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, np.zeros((2, 3)))
    first, second = (next(iter(read_arrays(path).values())) for _ in range(2))
    assert np.shares_memory(first, second)
    assert not first.flags.writeable
    (np.save if suffix == ".npy" else np.savez)(path, np.zeros((4, 3)))
    assert next(iter(read_arrays(path).values())).shape == (4, 3)


def test_labels_of_a_recording_go_with_their_rows_in_every_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xentcheck.sweeps.rows.MOST_ELEMENTS", 64)
    labels = np.arange(100) % 4
    np.savez(tmp_path / "a.npz", logits=np.eye(4)[labels], labels=labels)
    found = made(CE, "recorded", path=str(tmp_path / "a.npz"))
    assert len(found) == 7
    np.testing.assert_array_equal(np.concatenate([case.labels for case in found]), labels)
    np.testing.assert_array_equal(rows_of(found), np.eye(4)[labels])
    labels[77] = 4
    np.savez(tmp_path / "b.npz", logits=np.eye(4)[labels % 4], labels=labels)
    with pytest.raises(UsageError, match="row 77: label 4 is none"):
        made(CE, "recorded", path=str(tmp_path / "b.npz"))


def test_parts_are_checked_before_the_first_is_made() -> None:
    def plan(loss: Loss, *inputs: tuple[str, dict[str, Any]], **settings: Any) -> None:
        parts(sweep_of(loss, *inputs, **settings), loss, "float32", 0)

    with pytest.raises(UsageError, match="cross or touch zero"):
        plan(SOFTPLUS, ("gap", {"spacing": "log"}))
    with pytest.raises(UsageError, match="cross or touch zero"):
        plan(SOFTPLUS, ("grid", {"spacing": "log"}))
    with pytest.raises(UsageError, match=r"exhaustive: from 1\.0 lies above to 0\.0"):
        plan(SOFTPLUS, ("exhaustive", {"from": 1.0, "to": 0.0}))
    with pytest.raises(UsageError, match="no such file"):
        plan(SOFTPLUS, ("recorded", {"path": "missing.npy"}))
    with pytest.raises(UsageError, match="nll_loss takes integer labels"):
        plan(NLL, ("normal", {}), label_kind=LabelKind.DISTRIBUTION)
    with pytest.raises(UsageError, match="targets 'every'"):
        plan(CE, ("normal", {}), targets="every")
    with pytest.raises(UnknownNameError, match="'normal'"):
        plan(CE, ("nromal", {}))
    with pytest.raises(EmptySweepError, match=r"masked: (.|\n)*help:"):
        plan(SOFTPLUS, ("masked", {}))


# Every value of 32 bits.


def test_exhaustive_float32_is_planned_by_ordinals() -> None:
    sweep = sweep_of(SOFTPLUS, ("exhaustive", {}))
    planned = parts(sweep, SOFTPLUS, "float32", 0)
    finite = 2 * 255 * 2**23  # signs, exponents, significands
    sizes = [part.rows for part in planned]
    assert sum(sizes) == finite
    assert sizes[:-2] == [1 << 20] * (len(planned) - 2)
    assert sizes[-1] == 1  # −0
    most = np.finfo(np.float32).max
    first, last, zero = (rows_of(planned[at].cases()) for at in (0, -2, -1))
    assert first[0] == -most
    assert last[-1] == most
    assert zero[0] == 0
    assert np.signbit(zero[0])
    everything = parts(
        sweep_of(SOFTPLUS, ("exhaustive", {"special": "all"})), SOFTPLUS, "float32", 0
    )
    assert sum(part.rows for part in everything) == finite + 3


def test_chunks_of_exhaustive_float32_border_on_each_other() -> None:
    planned = parts(sweep_of(SOFTPLUS, ("exhaustive", {})), SOFTPLUS, "float32", 0)
    last_ordinal = FORMATS["float32"].last_ordinal
    for number in (1, 2039, 2040, 4078):
        first = -(last_ordinal - 1) + number * (1 << 20)
        chunk = rows_of(planned[number].cases())
        expected = from_ordinals(np.arange(first, first + (1 << 20)), "float32")
        assert chunk.tobytes() == expected.tobytes()
        before = rows_of(planned[number - 1].cases())
        assert np.nextafter(before[-1], np.float32(np.inf)) == chunk[0]


def test_exhaustive_probabilities_and_regions_keep_to_their_bounds() -> None:
    def count(loss: Loss, **options: Any) -> int:
        sweep = sweep_of(loss, ("exhaustive", options))
        return sum(part.rows for part in parts(sweep, loss, "float32", 0))

    assert count(BCE_ON_PROBABILITIES) == 127 * 2**23 + 1
    assert count(SOFTPLUS, **{"from": 1.0, "to": 2.0}) == 2**23 + 1
    assert count(SOFTPLUS, **{"from": -(2.0**-148), "to": 2.0**-149}) == 2 + 1 + 1 + 1
    assert count(SOFTPLUS, **{"from": 1.0, "to": 1.0, "special": "all"}) == 2
    values = numbers(SOFTPLUS, "exhaustive", "float16", **{"from": 2.0**14, "special": "all"})
    assert np.isposinf(values).sum() == 1
    assert not np.isneginf(values).any()
    assert values[0] == 2.0**14
    assert len(values) == 2 * 1024 + 2
    below = numbers(SOFTPLUS, "exhaustive", "float16", to=-1.0, special="all")
    assert below[np.isinf(below)].tolist() == [-math.inf]


def test_exhaustive_is_refused_for_float64_and_where_the_region_is_empty() -> None:
    def reason(loss: Loss, dtype: str, **options: Any) -> str:
        sweep = sweep_of(loss, ("exhaustive", options), dtypes=(dtype,))
        ((_, text),) = inapplicable(sweep, loss, dtype)
        return text

    assert reason(SOFTPLUS, "float64", **{"from": 1.0, "to": 1.0}).startswith("float64 has 2^64")
    assert "lies among probabilities" in reason(BCE_ON_PROBABILITIES, "float16", **{"from": 2.0})
    assert "is finite in float16" in reason(SOFTPLUS, "float16", **{"from": 1e5})


@pytest.mark.parametrize("dtype", FORMATS)
def test_ulp_uniform_scales_every_draw_as_integers_would(dtype: str) -> None:
    target = FORMATS[dtype]
    options = {"from": -3.0, "rows": 500, "classes": (2, 3)}
    first = int(ordinals(np.array(-3.0, dtype=target.dtype)))
    last = int(ordinals(np.array(target.max, dtype=target.dtype)))
    rng = documented_stream(0, "s", 0)
    for case in made(LSE, "ulp-uniform", dtype, **options):
        draws = rng.integers(0, 1 << 64, case.logits.shape, dtype=np.uint64)
        steps = [first + (int(draw) * (last - first + 1) >> 64) for draw in draws.ravel()]
        assert ordinals(case.logits).ravel().tolist() == steps


WORDS = st.integers(0, 2**64 - 1)


@given(st.lists(WORDS, min_size=1, max_size=20), WORDS)
@example([0, 1, 2**32 - 1, 2**32, 2**64 - 1], 2**64 - 1)
@example([2**64 - 1], 2**32 - 1)
@example([2**32 - 1, 2**64 - 2**32], 2**32)
def test_the_high_word_of_a_product_is_exact(draws: list[int], factor: int) -> None:
    found = high_word(np.array(draws, dtype=np.uint64), factor)
    assert found.tolist() == [draw * factor >> 64 for draw in draws]


# Targets at the ends.


@pytest.mark.parametrize("dtype", FORMATS)
def test_targets_at_the_ends_are_zero_and_one_for_every_number(dtype: str) -> None:
    spec = ("explicit", {"values": (-2.0, 3.0, math.nan)})
    (case,) = labelled_as(BCE, LabelKind.TARGET, spec, dtype=dtype, targets="ends")
    np.testing.assert_array_equal(to_float64(case.logits), [-2, -2, 3, 3, np.nan, np.nan])
    np.testing.assert_array_equal(to_float64(case.labels), [0, 1, 0, 1, 0, 1])
    assert case.labels.dtype == FORMATS[dtype].dtype


def test_targets_at_the_ends_are_for_single_numbers() -> None:
    kind = LabelKind.INTEGER
    with pytest.raises(UsageError, match=rf"takes {kind} labels.*'ends'(.|\n)*help: .*all"):
        labelled_as(CE, kind, ("normal", {}), targets="ends")
    narrowed, (reason,) = fitted(sweep_of(CE, label_kind=kind, targets="ends"), CE)
    assert narrowed is None
    assert f"takes {kind} labels" in reason
    # one-hot where there is a number for every class
    for case in labelled_as(CE, LabelKind.DISTRIBUTION, ("normal", {}), targets="ends"):
        labels = to_float64(case.labels)
        assert ((labels == 0) | (labels == 1)).all()
        assert (labels.sum(axis=1) == 1).all()
    sweep = sweep_of(SOFTPLUS, ("normal", {"rows": 4}), targets="ends")
    (case,) = cases(sweep, SOFTPLUS, "float32", 0)
    assert (case.rows, case.labels) == (4, None)
    assert fitted(sweep, SOFTPLUS)[0] == sweep


# Counting.


def block(logits: Any, labels: Any = None, **parameters: Any) -> Case:
    kind = LabelKind.NONE if labels is None else LabelKind.INTEGER
    return Case("s", "g", "l", "float32", np.asarray(logits), kind, labels, parameters)


def distinct(*blocks: Case) -> int | None:
    (counted,) = tally(blocks)
    return counted.distinct


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("classes", [1, 2, 3, 7, 8, 1000])
def test_rows_that_differ_anywhere_are_distinct(dtype: str, classes: int) -> None:
    rows = np.zeros((1 + 2 * classes, classes), dtype=FORMATS[dtype].dtype)
    for at in range(classes):
        rows[1 + at, at] = 1.0
        rows[1 + classes + at, at] = -0.0
    assert distinct(block(rows)) == len(rows)
    assert distinct(block(np.concatenate([rows, rows[::-1]]))) == len(rows)


def test_round_numbers_in_any_order_are_distinct() -> None:
    # Their low bits are all zero, and they differ by an exchange of classes only.
    values = 2.0 ** np.arange(-100, 100, 40)
    rows = np.array(list(itertools.product(values, repeat=6)))
    assert len(rows) == 5**6
    assert distinct(block(rows)) == len(rows)
    grid = np.array(list(itertools.product(range(40), repeat=3)), dtype=np.float64)
    assert distinct(block(grid)) == 40**3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("times", [1, 2, 4])
def test_rows_that_differ_in_few_and_high_bits_are_distinct(dtype: str, times: int) -> None:
    # Several equal numbers fill a word; a sign is its topmost bit.
    signs = np.where(np.array(list(itertools.product([0, 1], repeat=16))), -0.0, 0.0)
    powers = 2.0 ** np.array(list(itertools.product([0, 1, 2], repeat=10)))
    for rows in (signs, powers):
        repeated = np.repeat(rows, times, axis=1).astype(FORMATS[dtype].dtype)
        assert distinct(block(repeated)) == len(rows)


def test_shapes_labels_and_parameters_tell_equal_rows_apart() -> None:
    row = np.zeros((1, 2), dtype=np.float32)
    blocks = [
        block(row),
        block(np.zeros((1, 4), dtype=np.float32)),
        block(np.zeros((1, 3), dtype=np.float32)),
        block(np.zeros(1, dtype=np.float32)),
        block(row, np.array([0])),
        block(row, np.array([1])),
        block(row, np.array([0]), temperature=0.5),
        block(row, np.array([0]), temperature=0.25),
        block(row, np.array([0]), weight=np.array([0.5, 1.0], dtype=np.float32)),
        block(row, np.array([0]), weight=np.array([1.0, 0.5], dtype=np.float32)),
        block(row, np.array([0]), noise=np.array([[0.5, 1.0]], dtype=np.float32)),
        block(row, np.array([0]), sound=np.array([[0.5, 1.0]], dtype=np.float32)),
        block(row, np.array([0]), noise=np.array([[1.0, 0.5]], dtype=np.float32)),
    ]
    assert distinct(*blocks, *blocks) == len(blocks)
    assert distinct(block(np.zeros((3, 2))), block(np.zeros((5, 2)))) == 1


def test_distinct_rows_are_counted_up_to_a_number_and_then_no_more() -> None:
    values = np.arange(MOST_COUNTED, dtype=np.float64)
    counter = RowCount()
    counter.add(block(values[:-1] // 2))
    counter.add(block(values[-1:]))
    (exactly,) = counter.yields()
    assert (exactly.rows, exactly.distinct) == (MOST_COUNTED, MOST_COUNTED // 2 + 1)
    before = len(pickle.dumps(counter))
    counter.add(block(values[:1]))
    (beyond,) = counter.yields()
    assert (beyond.rows, beyond.distinct) == (MOST_COUNTED + 1, None)
    counter.add(block(values[:1]))
    assert counter.yields()[0].rows == MOST_COUNTED + 2
    assert len(pickle.dumps(counter)) < 500 < before < 9 * MOST_COUNTED


def merged(tallies: Iterable[RowCount]) -> dict[tuple[str, ...], tuple[int, int | None]]:
    whole = RowCount()
    for each in tallies:
        whole.merge(pickle.loads(pickle.dumps(each)))
    return {
        (each.sweep, each.generator, each.loss, each.dtype): (each.rows, each.distinct)
        for each in whole.yields()
    }


def test_tallies_of_parts_merge_in_any_order_to_the_tally_of_all() -> None:
    def of(*blocks: Case) -> RowCount:
        counter = RowCount()
        for case in blocks:
            counter.add(case)
        return counter

    other = replace(block(np.arange(50.0)), sweep="t")
    blocks = [block(np.arange(100.0)), block(np.arange(50.0, 250.0)), other, block(np.ones(9))]
    wanted = {("s", "g", "l", "float32"): (309, 250), ("t", "g", "l", "float32"): (50, 50)}
    for order in itertools.permutations(blocks):
        assert merged(map(of, order)) == wanted
    half = of(block(np.arange(MOST_COUNTED // 2 + 1.0)))
    for order in itertools.permutations([half, half, of(*blocks)]):
        found = merged(order)
        assert found["s", "g", "l", "float32"] == (MOST_COUNTED + 2 + 309, None)
        assert found["t", "g", "l", "float32"] == (50, 50)


def test_merging_leaves_the_other_tally_as_it_was() -> None:
    first, second = RowCount(), RowCount()
    second.add(block(np.arange(3.0)))
    first.merge(second)
    first.add(block(np.arange(5.0)))
    assert [(each.rows, each.distinct) for each in first.yields()] == [(8, 5)]
    assert [(each.rows, each.distinct) for each in second.yields()] == [(3, 3)]


# Recorded files.


def write_safetensors(path: Path, header: Any, data: bytes, length: int | None = None) -> None:
    text = json.dumps(header).encode() if not isinstance(header, bytes) else header
    size = len(text) if length is None else length
    path.write_bytes(size.to_bytes(8, "little") + text + data)


def tensor(dtype: str, shape: list[int], first: int, last: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [first, last]}


def test_a_safetensors_file_made_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    bfloat16 = b"\x80\x3f\x00\xc0"  # 1.0 and -2.0, the upper halves of their float32
    labels = (1).to_bytes(8, "little")
    header = {
        "__metadata__": {"by": "hand"},
        "logits": tensor("BF16", [1, 2], 0, 4),
        "labels": tensor("I64", [1], 4, 12),
    }
    write_safetensors(path, header, bfloat16 + labels)
    arrays = read_arrays(path)
    assert set(arrays) == {"logits", "labels"}
    assert arrays["logits"].dtype == ml_dtypes.bfloat16
    (case,) = made(CE, "recorded", path=str(path))
    np.testing.assert_array_equal(case.logits, [[1.0, -2.0]])
    np.testing.assert_array_equal(case.labels, [1])
    write_safetensors(path, {"none": tensor("F32", [0, 3], 0, 0)}, b"")
    assert read_arrays(path)["none"].shape == (0, 3)


@pytest.mark.parametrize("scalar", [np.float16, np.float32, np.float64])
def test_the_safetensors_library_is_understood(tmp_path: Path, scalar: Any) -> None:
    library = pytest.importorskip("safetensors.numpy")
    array = np.linspace(-5, 5, 12).reshape(4, 3).astype(scalar)
    path = tmp_path / "b.safetensors"
    library.save_file({"head.logits": array, "labels": np.array([2, 0, 1, 1])}, path)
    read = read_arrays(path, ("head.logits",))
    assert list(read) == ["head.logits"]
    assert read["head.logits"].dtype == scalar
    np.testing.assert_array_equal(read["head.logits"], array)
    (case,) = made(CE, "recorded", "float64", path=str(path), logits="head.logits", rows=3)
    np.testing.assert_array_equal(case.logits, array[:3])
    np.testing.assert_array_equal(case.labels, [2, 0, 1])


BROKEN_HEADERS = {
    "a length beyond the file": (b"{}", b"", 10**15),
    "no JSON": (b"not json", b"", None),
    "nested too deeply": (b"[" * 100_000, b"", None),
    "no object": (b"[]", b"", None),
    "no offsets": ({"logits": {"dtype": "F32", "shape": [1]}}, b"", None),
    "offsets beyond the file": ({"logits": tensor("F32", [2], 0, 8)}, b"1234", None),
    "a negative offset": ({"logits": tensor("F32", [1], -4, 0)}, b"1234", None),
    "a shape that does not fit": ({"logits": tensor("F32", [2], 0, 4)}, b"1234", None),
    "an unknown type": ({"logits": tensor("F4", [8], 0, 4)}, b"1234", None),
    "a shape of text": ({"logits": tensor("F32", ["1"], 0, 4)}, b"1234", None),
}


@pytest.mark.parametrize("fault", BROKEN_HEADERS)
def test_a_broken_safetensors_file_is_refused_with_its_path(tmp_path: Path, fault: str) -> None:
    path = tmp_path / "broken.safetensors"
    write_safetensors(path, *BROKEN_HEADERS[fault])
    with pytest.raises(UsageError, match=r"broken\.safetensors: not a valid"):
        read_arrays(path)


def test_numpy_files_are_read_and_pickles_are_not(tmp_path: Path) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 0.5]], dtype=np.float32)
    np.save(tmp_path / "rows.npy", rows)
    (case,) = made(LSE, "recorded", path=str(tmp_path / "rows.npy"))
    np.testing.assert_array_equal(case.logits, rows)
    (tmp_path / "renamed.npz").write_bytes((tmp_path / "rows.npy").read_bytes())
    np.testing.assert_array_equal(read_arrays(tmp_path / "renamed.npz")[""], rows)
    np.savez(tmp_path / "two.npz", a=rows, b=rows * 2)
    (chosen,) = made(LSE, "recorded", path=str(tmp_path / "two.npz"), logits="b")
    np.testing.assert_array_equal(chosen.logits, rows * 2)
    with pytest.raises(UsageError, match="name one with logits: a, b"):
        made(LSE, "recorded", path=str(tmp_path / "two.npz"))
    with pytest.raises(UsageError, match="no array 'logitz'"):
        made(LSE, "recorded", path=str(tmp_path / "two.npz"), logits="logitz")
    np.save(tmp_path / "pickle.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(UsageError, match=r"not a valid \.npy"):
        made(LSE, "recorded", path=str(tmp_path / "pickle.npy"))


def test_files_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_arrays(tmp_path / "missing.npz")
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(UsageError, match=r"folder\.npy: cannot be read"):
        read_arrays(tmp_path / "folder.npy")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(UsageError, match=r"\.npy, \.npz, \.safetensors"):
        read_arrays(tmp_path / "a.csv")
    (tmp_path / "cut.npz").write_bytes(DIGITS.read_bytes()[:5000])
    with pytest.raises(UsageError, match=r"cut\.npz"):
        read_arrays(tmp_path / "cut.npz")
    np.save(tmp_path / "whole.npy", np.arange(4))
    with pytest.raises(UsageError, match="logits of type int64"):
        made(LSE, "recorded", path=str(tmp_path / "whole.npy"))
    np.save(tmp_path / "empty.npy", np.zeros((0, 3)))
    with pytest.raises(UsageError, match="have no rows"):
        made(LSE, "recorded", path=str(tmp_path / "empty.npy"))
    np.savez(tmp_path / "odd.npz", logits=np.zeros((2, 3)), labels=np.zeros(5, dtype=int))
    with pytest.raises(UsageError, match=r"labels of shape \(5,\)"):
        made(CE, "recorded", path=str(tmp_path / "odd.npz"))
    with pytest.raises(UsageError, match="no array 'lables'"):
        made(CE, "recorded", path=str(tmp_path / "odd.npz"), labels="lables")


def test_the_shipped_recording_is_certain_and_sometimes_wrong() -> None:
    assert DIGITS.stat().st_size <= 300_000
    (case,) = made(CE, "recorded", path=str(DIGITS))
    assert case.logits.shape == (1797, 10)
    x = case.logits.astype(np.float64)
    p = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    true = p[np.arange(case.rows), case.labels]
    assert (true.astype(np.float32) == 1).sum() > 500
    wrong = x.argmax(axis=1) != case.labels
    assert 5 <= wrong.sum() <= 100
    assert true[wrong].min() < 1e-6


def test_recorded_logits_become_probabilities_unless_they_are_the_input() -> None:
    (case,) = made(ENTROPY, "recorded", path=str(DIGITS), rows=50)
    np.testing.assert_allclose(to_float64(case.logits).sum(axis=1), 1.0, rtol=1e-6)
    (kept,) = made(ENTROPY, "recorded", path=str(DIGITS), rows=50, content="input")
    with np.load(DIGITS) as recording:
        np.testing.assert_array_equal(kept.logits, recording["logits"][:50])
    assert numbers(SOFTPLUS, "recorded", path=str(DIGITS), rows=3).shape == (30,)


# The standard sweep of `check`.


def standard(loss: Loss, dtype: str, kind: LabelKind | None = None) -> dict[str, list[Case]]:
    return {
        sweep.name: list(cases(sweep, loss, dtype, 0))
        for sweep in standard_sweeps(loss, (dtype,), kind, {})
    }


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.id)
def test_standard_sweeps_fit_every_loss_and_stay_affordable(loss: Loss, dtype: str) -> None:
    for kind in loss.label_kinds:
        found = standard(loss, dtype, kind)
        every = found.pop("exhaustive", [])
        assert bool(every) is (loss.layout is Layout.ELEMENTWISE and FORMATS[dtype].bits == 16)
        flat = [case for sweep in found.values() for case in sweep]
        assert {"ordinary", "extreme", "special"} <= set(found)
        assert all(case.label_kind is kind for case in flat)
        assert sum(case.logits.size for case in flat if case.classes < 65_536) < 40_000
        assert sum(case.rows for case in flat if case.classes > 65_536) <= 4
        for sweep in standard_sweeps(loss, (dtype,), kind, {}):
            assert inapplicable(sweep, loss) == () or dtype == "float8_e4m3fn"


@pytest.mark.parametrize("loss", [CE, CCE, NLL, KL], ids=lambda loss: loss.id)
def test_standard_sweeps_have_all_class_counts(loss: Loss) -> None:
    counts = {case.classes for blocks in standard(loss, "float32").values() for case in blocks}
    assert {1, 2, 3, 5, 8, 10, 129, 1000} <= counts
    assert max(counts) > 65_536


def test_standard_sweeps_hold_infinities_and_nan_apart_from_finite_inputs() -> None:
    found = standard(CE, "float32")
    for name in ("ordinary", "extreme", "wide", "wide-peak"):
        assert all(np.isfinite(to_float64(case.logits)).all() for case in found[name])
    assert all(np.isneginf(case.logits).any() for case in found["masked"])
    assert any(np.isnan(case.logits).any() for case in found["special"])
    assert any(np.isposinf(case.logits).any() for case in found["special"])


@pytest.mark.parametrize("loss", [SOFTPLUS, BCE, BCE_ON_PROBABILITIES], ids=lambda loss: loss.id)
def test_standard_sweeps_try_every_value_of_16_bits(loss: Loss) -> None:
    sweeps = {sweep.name: sweep for sweep in standard_sweeps(loss, STANDARD_DTYPES)}
    assert sweeps["exhaustive"].dtypes == ("float16", "bfloat16")
    found = list(cases(sweeps["exhaustive"], loss, "float16", 0))
    values = 15 * 1024 + 1 if loss is BCE_ON_PROBABILITIES else 2 * 31 * 1024 + 2
    ends = 2 if loss.label_kinds[0] is LabelKind.TARGET else 1
    assert sum(case.rows for case in found) == (values + 1) * ends
    assert {label for case in found if ends == 2 for label in case.labels.tolist()} <= {0.0, 1.0}
    assert "exhaustive" not in {sweep.name for sweep in standard_sweeps(loss, ("float32",))}
    assert "exhaustive" not in {sweep.name for sweep in standard_sweeps(CE, ("float16",))}


def test_standard_sweeps_carry_labels_and_parameters_along() -> None:
    axes = {"label_smoothing": (0.25,)}
    sweeps = standard_sweeps(CE, ("float32",), LabelKind.DISTRIBUTION, axes)
    case = next(cases(sweeps[0], CE, "float32", 0))
    assert case.parameters == {"label_smoothing": 0.25}
    assert case.labels.shape == case.logits.shape


def _fails(good: Any, bad: Any, *, relative: float = 1e-3) -> bool:
    """Whether a result is not finite where it should be, or far from it."""
    good, bad = np.asarray(good), np.asarray(bad, dtype=np.float64)
    expected_finite = np.isfinite(good)
    broken = expected_finite & ~np.isfinite(bad)
    with np.errstate(invalid="ignore", divide="ignore"):
        far = expected_finite & np.isfinite(bad) & (np.abs(bad - good) > relative * np.abs(good))
    return bool((broken | far).any())


def _lse(x: np.ndarray) -> np.ndarray:
    m = x.max(axis=1)
    return m + np.log(np.exp(x - m[:, None]).sum(axis=1))


def _loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    gaps = np.delete(x.astype(np.longdouble), y, axis=0) - x[y]
    top = max(gaps.max(initial=0), 0)
    if top == 0:
        return np.log1p(np.exp(gaps).sum())
    return top + np.log(np.exp(-top) + np.exp(gaps - top).sum())


def _shifted_by(x: np.ndarray, shift: np.ndarray) -> np.ndarray:
    return shift + np.log(np.exp(x - shift[:, None]).sum(axis=1, dtype=x.dtype))


def _float16_sum(x: np.ndarray) -> np.ndarray:
    m = x.max(axis=1)
    total = np.exp(x - m[:, None]).sum(axis=1).astype(np.float16)
    return m + np.log(total.astype(np.float32))


ROW_FAULTS: Mapping[str, Any] = {
    "no shift": lambda x: np.log(np.exp(x).sum(axis=1)),
    "shift never below zero": lambda x: _shifted_by(x, np.maximum(x.max(axis=1), 0)),
    "shift never below -64": lambda x: _shifted_by(x, np.maximum(x.max(axis=1), -64)),
    "shift of the whole batch": lambda x: _shifted_by(x, np.full(len(x), x.max())),
    "masked by a finite floor of -1e4": lambda x: _lse(np.maximum(x, -1e4)),
    "a sum kept in float16": _float16_sum,
}


@pytest.mark.parametrize("fault", ROW_FAULTS)
def test_standard_sweeps_expose_faults_of_logsumexp(fault: str) -> None:
    found = standard(LSE, "float32")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert any(
            _fails(_lse(to_float64(case.logits)), ROW_FAULTS[fault](case.logits))
            for name in ("ordinary", "extreme", "wide", "wide-peak")
            for case in found[name]
        )


ELEMENT_FAULTS: Mapping[str, Any] = {
    "log(1 + exp(x))": lambda x: np.log(1 + np.exp(x)),
    "threshold 20": lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))),
    "log(sigmoid)": lambda x: -np.log(1 / (1 + np.exp(x))),
    "clamp at 100": lambda x: np.logaddexp(0, np.clip(x, -100, 100)),
    "clamp at -88": lambda x: np.logaddexp(0, np.maximum(x, -88)),
    "probability clipped at 1e-7": lambda x: -np.log(np.clip(1 / (1 + np.exp(x)), 1e-7, 1)),
}


@pytest.mark.parametrize("fault", ELEMENT_FAULTS)
def test_standard_sweeps_expose_faults_of_softplus_in_float64(fault: str) -> None:
    found = standard(SOFTPLUS, "float64")
    x = np.concatenate([case.logits for name in ("ordinary", "extreme") for case in found[name]])
    with np.errstate(all="ignore"):
        assert _fails(np.logaddexp(0, x), ELEMENT_FAULTS[fault](x), relative=1e-12)


def test_standard_sweeps_expose_the_cancellations_of_cross_entropy() -> None:
    found = standard(CE, "float32")["extreme"]
    subtracted = vanished = False
    with np.errstate(all="ignore"):
        for case in found:
            good = [
                _loss(row, y) for row, y in zip(to_float64(case.logits), case.labels, strict=True)
            ]
            x, every = case.logits, np.arange(case.rows)
            late = _lse(x) - x[every, case.labels]
            shifted = x - x.max(axis=1, keepdims=True)
            early = np.log(np.exp(shifted).sum(axis=1)) - shifted[every, case.labels]
            # a common offset makes the late subtraction wrong where the early one is right
            good = np.array(good, dtype=np.float64)
            near = np.abs(early - good) <= 1e-3 * good
            subtracted |= bool((near & ~(np.abs(late - good) <= 1e-2 * good) & (good > 0)).any())
            vanished |= bool(((early == 0) & (good > 1e-30) & (good < 1e-8)).any())
    assert subtracted
    assert vanished


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("loss", ["entropy", "logsumexp", "js_divergence", "sigmoid_focal_loss"])
def test_many_zeros_are_as_good_as_few(loss, dtype):
    sweep = Sweep(
        "s", (loss,), (dtype,), (InputSpec("zero-crossing", {"rows": 150, "classes": (2,)}),)
    )
    made = list(cases(sweep, LOSSES[loss], dtype, 0))
    assert sum(case.rows for case in made) >= 300
    assert all(np.isfinite(to_float64(case.logits)).all() for case in made)
