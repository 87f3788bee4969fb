"""What is commonly said about stable cross-entropy, held against measurement (docs/articles.md)."""

import math
from pathlib import Path

import mpmath
import numpy as np
import pytest

from xentcheck.floats import FORMATS, from_float64, from_ordinals, ordinals, to_float64
from xentcheck.model import Kind
from xentcheck.probing import probe
from xentcheck.registry import implementations

DOCUMENT = (Path(__file__).parent.parent / "docs" / "articles.md").read_text(encoding="utf-8")
DTYPES = ("float16", "bfloat16", "float32", "float64")
KNOWN = {(each.loss, each.name): each for each in implementations()}


@pytest.fixture(autouse=True)
def many_digits():
    """Published digits are compared in far more bits than they have."""
    with mpmath.workprec(300):
        yield


def results(loss, logits, implementation="numpy.accurate", quantity="value", **more):
    """The numbers of one line of a probe."""
    dtype = more.pop("dtype", "float64")
    answer = probe(loss, logits, dtypes=[dtype], implementations=[implementation], **more)
    (line,) = [each for each in answer.lines if each.quantity == quantity]
    return line.results


def exact(loss, logits, **more):
    return [mpmath.mpf(each.exact) for each in results(loss, logits, **more)]


def actual(loss, logits, implementation, **more):
    return [each.actual for each in results(loss, logits, implementation, **more)]


def first_nan(loss, name, dtype, row):
    ends = ordinals(from_float64(np.array([1.0, 1000.0]), dtype))
    good, bad = int(ends[0]), int(ends[1])
    while bad - good > 1:
        middle = (good + bad) // 2
        x = from_ordinals(np.array([middle]), dtype)
        if np.isnan(to_float64(KNOWN[loss, name].value(row(x)))).any():
            bad = middle
        else:
            good = middle
    return float(to_float64(from_ordinals(np.array([bad]), dtype))[0])


def beside_zero(x):
    return np.stack([x, np.zeros_like(x)], axis=1)


def overflow_threshold(dtype):
    """The smallest number of the dtype whose exponential rounds to infinity, by mpmath."""
    target = FORMATS[dtype]
    half_ulp = mpmath.mpf(2) ** (target.max_exponent - target.precision)
    bound = mpmath.log(mpmath.mpf(target.max) + half_ulp)
    near = ordinals(from_float64(np.array([float(bound)]), dtype))[0]
    steps = from_ordinals(near + np.arange(-2, 3), dtype)
    return next(x for x in to_float64(steps).tolist() if mpmath.mpf(x) >= bound)


def documented(text):
    assert text in DOCUMENT, f"docs/articles.md does not say {text!r}"


@pytest.mark.parametrize("dtype", DTYPES)
def test_1_the_plain_form_fails_where_the_fused_one_does_not(dtype):
    naive = results("softmax_cross_entropy", [200.0, 0.0], "numpy.naive", dtype=dtype, labels=1)
    fused = results("softmax_cross_entropy", [200.0, 0.0], "numpy.fused", dtype=dtype, labels=1)
    assert fused[0].actual == 200.0
    if dtype == "float64":
        assert naive[0].kind is None
    else:
        assert naive[0].kind in {Kind.NAN, Kind.SPURIOUS_OVERFLOW}


@pytest.mark.parametrize("dtype", DTYPES)
def test_2_naive_softmax_overflows_at_the_threshold_of_exp(dtype):
    found = first_nan("softmax", "numpy.naive", dtype, beside_zero)
    assert found == overflow_threshold(dtype)
    documented(f"| {dtype} | {found!r} |")


@pytest.mark.parametrize("dtype", DTYPES)
def test_3_the_old_expit_fails_from_the_same_threshold(dtype):
    assert first_nan("sigmoid", "numpy.exp_ratio", dtype, lambda x: x) == overflow_threshold(dtype)
    assert math.isnan(actual("sigmoid", [710.0], "numpy.exp_ratio")[0])
    assert actual("sigmoid", [710.0], "numpy.branch") == [1.0]


def test_4_one_minus_epsilon_guards_the_second_logarithm_and_vanishes_in_float16():
    saturated = {"labels": 0.0, "implementation": "numpy.clipped"}
    heights = {
        dtype: actual("binary_cross_entropy", [1.0], dtype=dtype, **saturated)[0]
        for dtype in DTYPES
    }
    # 1 - 1e-7 is 1 in the 16-bit formats: the clip does nothing, and log 0 comes out
    assert math.isinf(heights["float16"])
    assert math.isinf(heights["bfloat16"])
    # in float32 it is the number two steps below 1: -log(2^-23), not -log(1e-7)
    assert heights["float32"] == pytest.approx(23 * math.log(2), rel=1e-6)
    assert heights["float64"] == pytest.approx(-math.log(1e-7), rel=1e-6)
    documented("15.9424")
    (gradient,) = results("binary_cross_entropy", [1.0], quantity="gradient", **saturated)
    assert gradient.kind in {Kind.VANISHED_GRADIENT, Kind.MISSED_OVERFLOW}


def test_5_softmax_first_and_clip_after_makes_the_loss_too_small():
    plateau = actual("softmax_cross_entropy", [0.0, 50.0], "numpy.clipped", labels=0)[0]
    assert plateau == pytest.approx(-math.log(1e-7), rel=1e-6)
    assert actual("softmax_cross_entropy", [0.0, 50.0], "numpy.fused", labels=0) == [50.0]
    sigmoid = actual("sigmoid_binary_cross_entropy", [-50.0], "numpy.clipped", labels=1.0)[0]
    assert sigmoid == pytest.approx(-math.log(1e-7), rel=1e-6)
    documented("16.118")


def test_6_the_form_with_the_sum_of_the_labels():
    logits, labels = [1.0, 2.0, 0.5], [0.25, 0.5, 0.75]
    lse = mpmath.log(mpmath.fsum(mpmath.exp(x) for x in logits))
    dot = mpmath.fsum(x * y for x, y in zip(logits, labels, strict=True))
    want = -dot + mpmath.fsum(labels) * lse
    (value,) = exact("softmax_cross_entropy", logits, labels=labels)
    assert abs(value / want - 1) < mpmath.mpf(10) ** -20
    # -x as the estimate of log(1 + e^-x) for very negative x is right to e^x
    (softplus,) = exact("softplus", [40.0])
    assert abs(softplus - 40 - mpmath.exp(-40)) < mpmath.mpf(10) ** -19


@pytest.mark.parametrize(
    ("logits", "want", "digits"),
    [
        ([1, 2, 3, 4, 5], [0.01165623, 0.03168492, 0.08612854, 0.23412166, 0.63640865], 5e-9),
        ([1, 2, 3], [0.09, 0.24, 0.67], 5e-3),
        ([2, 3, 5], [0.04201007, 0.11419519, 0.8437947], 5e-8),
    ],
)
def test_7_9_11_softmax_of_small_logits(logits, want, digits):
    for value, number in zip(exact("softmax", logits), want, strict=True):
        assert abs(value - number) <= digits


def test_11_a_published_digit_was_cut_off_not_rounded():
    values = exact("softmax", [1, 2, 5])
    assert [mpmath.nstr(each, 2) for each in values] == ["0.017", "0.047", "0.94"]
    documented("0.94")


def test_8_exact_values_far_below_every_dtype():
    want = [
        "6.6385371046556741e-1738",
        "1.3078390189212505e-1303",
        "2.5765358729611501e-869",
        "5.0759588975494576e-435",
    ]
    logits = [1000, 2000, 3000, 4000, 5000]
    values = exact("softmax", logits)
    for value, published in zip(values, want, strict=False):
        # published from 53 bits: right to one unit of them
        assert abs(value / mpmath.mpf(published) - 1) < mpmath.mpf(2) ** -52
    assert all(math.isnan(each) for each in actual("softmax", logits, "numpy.naive"))
    for dtype in DTYPES:
        shifted = results("softmax", logits, "numpy.max_shifted", dtype=dtype)
        assert [each.actual for each in shifted] == [0, 0, 0, 0, 1]
        assert all(each.kind is None for each in shifted)


def test_9_naive_softmax_of_123_456_789():
    naive = actual("softmax", [123, 456, 789], "numpy.naive")
    assert naive[:2] == [0.0, 0.0]
    assert math.isnan(naive[2])


@pytest.mark.parametrize(
    ("row", "want"),
    [([0.2, 0.7, 0.1], "0.3567"), ([0.4, 0.6, 0.0], "0.5108")],
)
def test_10_cross_entropy_on_probabilities(row, want):
    (value,) = exact("categorical_cross_entropy", row, labels=1)
    assert mpmath.nstr(value, 4) == want


@pytest.mark.parametrize("dtype", DTYPES)
def test_12_the_shifted_form_gives_no_nan_for_a_finite_row(dtype):
    shifted = results("softmax", [-1000, 1, 10000], "numpy.max_shifted", dtype=dtype)
    assert [each.actual for each in shifted] == [0.0, 0.0, 1.0]
    assert all(each.kind is None for each in shifted)


def test_13_log_softmax_itself_fails_as_p_approaches_one():
    shifted = actual("log_softmax", [20.0, 0.0], "numpy.shifted_log_softmax", dtype="float32")
    assert shifted[0] == 0.0
    (rearranged, _) = results("log_softmax", [20.0, 0.0], "numpy.log1p", dtype="float32")
    assert rearranged.kind is None
    assert rearranged.actual == pytest.approx(-math.exp(-20), rel=1e-6)


def test_14_the_weighted_mean_divides_by_the_weights_of_the_kept_rows():
    parameters = {"weight": [1.0, 3.0], "reduction": "mean"}
    (value,) = exact("softmax_cross_entropy", [0.0, 1.0], labels=1, parameters=parameters)
    (plain,) = exact("softmax_cross_entropy", [0.0, 1.0], labels=1)
    assert abs(value / plain - 1) < mpmath.mpf(10) ** -20


def test_15_gradients_are_the_textbook_ones():
    logits = [1.0, 2.0, 3.0]
    p = exact("softmax", logits)
    jacobian = exact("softmax", logits, quantity="gradient", labels=1)
    want = [-p[1] * p[0], p[1] * (1 - p[1]), -p[1] * p[2]]
    for value, number in zip(jacobian, want, strict=True):
        assert abs(value / number - 1) < mpmath.mpf(10) ** -19
    loss = exact("softmax_cross_entropy", logits, quantity="gradient", labels=1)
    for value, number in zip(loss, [p[0], p[1] - 1, p[2]], strict=True):
        assert abs(value / number - 1) < mpmath.mpf(10) ** -19
    dead = results(
        "softmax_cross_entropy", [0.0, 50.0], "numpy.clipped", quantity="gradient", labels=0
    )
    assert {each.kind for each in dead} == {Kind.VANISHED_GRADIENT}


def test_16_entropy_units_and_kl_as_a_difference():
    p, q = [0.5, 0.25, 0.25], [0.25, 0.25, 0.5]
    bits = exact("entropy", p, parameters={"base": "2"})
    harts = exact("entropy", p, parameters={"base": "10"})
    nats = exact("entropy", p)
    assert bits == [mpmath.mpf(1.5)]
    assert abs(nats[0] / harts[0] - mpmath.log(10)) < 1e-15
    # KL takes log q rounded, so the difference is held to that rounding
    kl = exact("kl_divergence", [math.log(each) for each in q], labels=p)
    cross = exact("categorical_cross_entropy", q, labels=p)
    assert abs(kl[0] - (cross[0] - nats[0])) < 1e-15


def test_17_sigmoid_is_softmax_of_x_and_zero():
    for x in (-30.0, 0.5, 12.0):
        assert exact("sigmoid", [x])[0] == exact("softmax", [x, 0.0])[0]


def test_18_softmax_with_temperature_and_given_noise():
    parameters = {"temperature": 0.5, "noise": [0.25, -1.0]}
    values = exact("softmax", [1.0, 2.0], parameters=parameters)
    powers = [mpmath.exp(mpmath.mpf(2.5)), mpmath.exp(mpmath.mpf(2))]
    for value, power in zip(values, powers, strict=True):
        assert abs(value / (power / mpmath.fsum(powers)) - 1) < mpmath.mpf(10) ** -19
