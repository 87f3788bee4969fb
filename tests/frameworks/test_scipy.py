"""The adapter of SciPy: right on ordinary inputs, and what is known of it elsewhere."""

import math
import pickle
from importlib.util import find_spec
from typing import Any

import mpmath
import numpy as np
import pytest

from tests.frameworks.asking import gradient, the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.floats import ulp_distance
from xentcheck.implementations.frameworks.scipy import scipy_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("scipy")

pytestmark = pytest.mark.skipif(find_spec("scipy") is None, reason="SciPy is not installed")

ALL = scipy_implementations()

mp = mpmath.MPContext()
mp.prec = 300


def _named(each: Implementation) -> str:
    return f"{each.loss}-{each.name}"


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    for case in cases(found):
        assert_textbook(found, case, Quantity.VALUE)
        if found.gradient is not None:
            assert_textbook(found, case, Quantity.GRADIENT)


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found))
    sent = pickle.loads(pickle.dumps(found))
    assert called(sent, case, Quantity.VALUE).tobytes() == (
        called(found, case, Quantity.VALUE).tobytes()
    )


@fact
def test_narrow_dtypes_come_back_as_scipy_widens_them() -> None:
    """NumPy takes the first loop that fits: of expit that is float64, of entr float32."""
    widened = {
        ("softmax", "scipy.special.softmax"): "float16",
        ("log_softmax", "scipy.special.log_softmax"): "float16",
        ("logsumexp", "scipy.special.logsumexp"): "float16",
        ("softplus", "scipy.special.softplus"): "float16",
        ("sigmoid", "scipy.special.expit"): "float64",
        ("log_sigmoid", "scipy.special.log_expit"): "float64",
        ("entropy", "scipy.special.entr"): "float32",
        ("entropy", "scipy.stats.entropy"): "float32",
    }
    for (loss, name), dtype in widened.items():
        found = the(ALL, loss, name)
        case = next(case for case in cases(found) if case.dtype == "float16")
        assert called(found, case, Quantity.VALUE).dtype == dtype
    for found in ALL:
        for case in cases(found):
            if case.dtype in ("float32", "float64"):
                assert called(found, case, Quantity.VALUE).dtype == case.dtype


@fact
@pytest.mark.parametrize("variant", ["", "@axis0"])
def test_log_softmax_loses_a_small_loss(variant: str) -> None:
    """log(1 + 2e^−20) is 4.12e-9; log of a sum that rounds to 1 is 0."""
    name = "scipy.special.log_softmax-gather" + variant
    found = the(ALL, "softmax_cross_entropy", name)
    assert value(found, [[20.0, 0.0, 0.0]], [0]).tolist() == [0.0]
    assert value(found, [[40.0, 0.0, 0.0]], [0], "float64").tolist() == [0.0]


@fact
@pytest.mark.parametrize("variant", ["", "@axis0"])
def test_logsumexp_keeps_a_small_result(variant: str) -> None:
    """log1p(e^−40), which max-shifted forms without log1p round to 0."""
    found = the(ALL, "logsumexp", "scipy.special.logsumexp" + variant)
    wanted = float(mp.log(1 + mp.exp(-40)))
    actual = value(found, [[0.0, -40.0]], dtype="float64")
    assert ulp_distance(actual, np.array([wanted])).max() <= 1
    assert value(found, [[-math.inf, -math.inf]]).tolist() == [-math.inf]


@fact
def test_logsumexp_minus_the_logit_cancels_under_an_offset() -> None:
    """log 3 below 1e8 is less than half a spacing of float32."""
    found = the(ALL, "softmax_cross_entropy", "scipy.special.logsumexp-gather")
    assert value(found, [[1e8, 1e8, 1e8]], [0]).tolist() == [0.0]
    shifted = the(ALL, "softmax_cross_entropy", "scipy.special.log_softmax-gather")
    assert value(shifted, [[1e8, 1e8, 1e8]], [0])[0] == pytest.approx(math.log(3), rel=1e-6)


@fact
def test_log_of_softmax_is_infinite_once_the_probability_underflows() -> None:
    found = the(ALL, "softmax_cross_entropy", "scipy.special.softmax-log")
    with np.errstate(divide="ignore"):
        assert value(found, [[0.0, 200.0]], [0]).tolist() == [math.inf]


@fact
def test_a_masked_class_without_label_makes_the_dense_form_nan() -> None:
    found = the(ALL, "softmax_cross_entropy", "scipy.special.log_softmax-sum")
    with np.errstate(invalid="ignore"):
        assert np.isnan(value(found, [[-math.inf, 0.0]], [[0.0, 1.0]])).all()


@fact
def test_the_gradient_of_logsumexp_is_softmax() -> None:
    found = the(ALL, "logsumexp", "scipy.special.logsumexp")
    assert gradient(found, [[0.0, math.log(3.0)]], dtype="float64")[0] == pytest.approx(
        [0.25, 0.75]
    )
    assert [each.loss for each in ALL if each.gradient] == ["logsumexp"] * 2


def _bce(x: float, z: float) -> Any:
    x, z = mp.mpf(x), mp.mpf(z)
    return z * mp.log(1 + mp.exp(-x)) + (1 - z) * mp.log(1 + mp.exp(x))


@fact
def test_the_log_expit_composition_is_within_two_ulp() -> None:
    found = the(ALL, "sigmoid_binary_cross_entropy", "scipy.special.log_expit")
    x = np.linspace(-30, 30, 241)
    for z in (0.0, 1.0):
        for dtype in ("float32", "float64"):
            actual = value(found, x, np.full_like(x, z), dtype)
            given = x.astype(dtype).astype(float)
            wanted = np.array([_bce(each, z) for each in given])
            spacing = np.spacing(wanted.astype(dtype)).astype(float)
            errors = [abs(mp.mpf(float(a)) - w) for a, w in zip(actual, wanted, strict=True)]
            assert max(float(e) / s for e, s in zip(errors, spacing, strict=True)) <= 2


@fact
def test_softplus_minus_xz_and_expit_xlogy_lose_a_small_loss() -> None:
    """BCE(20, 1) is 2.06e-9: 20 absorbs it in float32, and expit(20) rounds to 1."""
    for name in ("scipy.special.softplus-minus-xz", "scipy.special.expit-xlogy"):
        found = the(ALL, "sigmoid_binary_cross_entropy", name)
        assert value(found, [20.0], np.array([1.0])).tolist() == [0.0]


@fact
def test_jensenshannon_is_nan_where_its_sum_rounds_below_zero() -> None:
    """scipy/scipy#20083: two close distributions, in float32."""
    found = the(ALL, "js_divergence", "scipy.spatial.distance.jensenshannon-squared")
    x = float(np.nextafter(0.5, 0))
    with np.errstate(invalid="ignore"):
        assert np.isnan(value(found, [[x, 1 - x]], np.array([[1 - x, x]]), "float64")).all()


@fact
def test_rel_entr_of_an_underflowed_probability_is_infinite() -> None:
    """KL is linear in log q: a target of 1 at log q = −200 has 200, and exp(−200) is 0."""
    found = the(ALL, "kl_divergence", "scipy.special.rel_entr")
    assert value(found, [[-200.0, 0.0]], np.array([[1.0, 0.0]])).tolist() == [math.inf]
