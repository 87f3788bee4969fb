"""The adapter of scikit-learn: right on ordinary inputs, and what is known of it elsewhere."""

import math
import pickle
from importlib.util import find_spec
from typing import Any

import mpmath
import numpy as np
import pytest

from tests.frameworks.asking import gradient, the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.frameworks.sklearn import sklearn_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("scikit-learn")

pytestmark = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is missing")

ALL = sklearn_implementations()
BINOMIAL, MULTINOMIAL = "sklearn._loss.HalfBinomialLoss", "sklearn._loss.HalfMultinomialLoss"
LOG_LOSS = "sklearn.metrics.log_loss"

mp = mpmath.MPContext()
mp.prec = 300


def _named(each: Implementation) -> str:
    return f"{each.loss}-{each.name}"


def _targets(found: Implementation) -> tuple[float, ...]:
    return (0.0, 1.0) if found.name == LOG_LOSS else (0.0, 1.0, 0.25, 0.5)


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    refused = []
    for case in cases(found, targets=_targets(found)):
        for quantity in Quantity:
            if quantity is Quantity.GRADIENT and found.gradient is None:
                continue
            try:
                assert_textbook(found, case, quantity)
            except UnsupportedError:
                refused.append((quantity, case.parameters["reduction"]))
            else:
                assert called(found, case, quantity).dtype == case.dtype
    objects = "HalfBinomialLoss" in found.name or found.loss == "softmax_cross_entropy"
    assert set(refused) == (
        {
            (Quantity.VALUE, "sum"),
            (Quantity.GRADIENT, "sum"),
            (Quantity.GRADIENT, "mean"),
        }
        if objects
        else set()
    )


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found, targets=_targets(found)))
    sent = pickle.loads(pickle.dumps(found))
    assert called(sent, case, Quantity.VALUE).tobytes() == (
        called(found, case, Quantity.VALUE).tobytes()
    )


def _exact_bce(x: float, z: float) -> tuple[Any, Any]:
    x, z = mp.mpf(x), mp.mpf(z)
    value = z * mp.log(1 + mp.exp(-x)) + (1 - z) * mp.log(1 + mp.exp(x))
    return value, (1 - z) / (1 + mp.exp(-x)) - z / (1 + mp.exp(x))


def _worst(actual: Any, wanted: list[Any]) -> float:
    """In ulps of the result's dtype."""
    rounded = np.array([float(each) for each in wanted]).astype(actual.dtype)
    errors = [abs(mp.mpf(float(a)) - w) for a, w in zip(actual, wanted, strict=True)]
    return max(
        float(e) / float(s) for e, s in zip(errors, np.spacing(np.abs(rounded)), strict=True)
    )


@fact
def test_loss_gradient_of_the_binomial_loss_is_within_two_ulp_and_loss_is_not() -> None:
    """The one path takes log1p(e^−x); the other log(1 + e^x) − x, which cancels."""
    x = np.linspace(-30, 30, 241)
    given = x.astype(np.float32).astype(float)
    for z in (0.0, 1.0):
        labels = np.full_like(x, z)
        both = [_exact_bce(each, z) for each in given]
        careful = the(ALL, "sigmoid_binary_cross_entropy", BINOMIAL + "@loss_gradient")
        assert _worst(value(careful, x, labels), [each for each, _ in both]) <= 2
        assert _worst(gradient(careful, x, labels), [each for _, each in both]) <= 2
    plain = the(ALL, "sigmoid_binary_cross_entropy", BINOMIAL)
    assert _worst(value(plain, x, np.ones_like(x)), [_exact_bce(each, 1)[0] for each in given]) > 4


@fact
def test_a_small_binomial_loss_by_both_paths_in_float64() -> None:
    """BCE(40, 1) = log1p(e^−40) = 4.248e-18; 40 absorbs it."""
    wanted = float(_exact_bce(40.0, 1.0)[0])
    plain = the(ALL, "sigmoid_binary_cross_entropy", BINOMIAL)
    careful = the(ALL, "sigmoid_binary_cross_entropy", BINOMIAL + "@loss_gradient")
    assert value(plain, [40.0], np.array([1.0]), "float64").tolist() == [0.0]
    assert value(careful, [40.0], np.array([1.0]), "float64")[0] == pytest.approx(
        wanted, rel=1e-15, abs=0.0
    )


@fact
@pytest.mark.parametrize("variant", ["", "@loss_gradient", "@gradient_hessian"])
def test_the_binomial_gradient_is_finite_at_large_logits(variant: str) -> None:
    """scikit-learn#28046: it was NaN at −1000; its limits are −1 and 1."""
    found = the(ALL, "sigmoid_binary_cross_entropy", BINOMIAL + variant)
    slopes = gradient(found, [-1000.0, 1000.0], np.array([1.0, 0.0]), "float64")
    assert slopes.tolist() == [-1.0, 1.0]


@fact
@pytest.mark.parametrize("variant", ["", "@loss_gradient"])
def test_the_multinomial_loss_loses_offsets_and_small_losses(variant: str) -> None:
    """It stores logsumexp before it subtracts x_y: want log 3, 8.5e-18 and 4.12e-9."""
    found = the(ALL, "softmax_cross_entropy", MULTINOMIAL + variant)
    assert value(found, [[1e17] * 3], [0], "float64").tolist() == [0.0]
    assert value(found, [[40.0, 0.0, 0.0]], [0], "float64").tolist() == [0.0]
    assert value(found, [[20.0, 0.0, 0.0]], [0], "float32").tolist() == [0.0]


@fact
@pytest.mark.parametrize("variant", ["", "@loss_gradient", "@gradient_hessian", "@gradient_proba"])
def test_the_multinomial_gradient_of_a_sure_label_is_zero(variant: str) -> None:
    """p − 1 with p rounded to 1; the others keep 4.2e-18, and the sum is not 0."""
    found = the(ALL, "softmax_cross_entropy", MULTINOMIAL + variant)
    slopes = gradient(found, [[40.0, 0.0, 0.0]], [0], "float64")[0]
    assert slopes[0] == 0
    assert slopes[1:] == pytest.approx([math.exp(-40)] * 2, rel=1e-15, abs=0.0)


@fact
@pytest.mark.parametrize(("dtype", "eps"), [("float32", 2.0**-23), ("float64", 2.0**-52)])
def test_log_loss_is_flat_beyond_the_eps_of_the_dtype(dtype: str, eps: float) -> None:
    """−log eps is 15.94 in float32 and 36.04 in float64, however small p is."""
    binary = the(ALL, "binary_cross_entropy", LOG_LOSS)
    rows = the(ALL, "categorical_cross_entropy", LOG_LOSS)
    wanted = [-math.log(eps)] * 3
    p = np.array([0.0, 1e-30, 1e-20])
    assert value(binary, p, np.ones(3), dtype) == pytest.approx(wanted, rel=1e-6)
    dense = np.stack([p, 1 - p], axis=1)
    assert value(rows, dense, [0, 0, 0], dtype) == pytest.approx(wanted, rel=1e-6)


@fact
def test_what_scikit_learn_does_not_define_is_said() -> None:
    refusals = [
        (the(ALL, "binary_cross_entropy", LOG_LOSS), [0.5, 0.5], np.array([0.5, 1.0]), "0 and 1"),
        (the(ALL, "categorical_cross_entropy", LOG_LOSS), [[1.0]], [0], "two classes"),
        (the(ALL, "softmax_cross_entropy", MULTINOMIAL), [[1.0]], [0], "two classes"),
    ]
    for found, x, labels, words in refusals:
        with pytest.raises(UnsupportedError, match=words):
            value(found, x, labels)


@fact
def test_log_loss_refuses_nan_by_an_error_of_its_own() -> None:
    found = the(ALL, "binary_cross_entropy", LOG_LOSS)
    with pytest.raises(ValueError, match="NaN"):
        value(found, [math.nan], np.array([1.0]))
