"""The adapters of XGBoost and LightGBM: right on ordinary inputs, and what is known elsewhere."""

import math
import pickle
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from tests.frameworks.asking import the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.frameworks.boosting import (
    lightgbm_implementations,
    xgboost_implementations,
)
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("xgboost", "lightgbm")

ALL = xgboost_implementations() + lightgbm_implementations()
BINARY = "sigmoid_binary_cross_entropy"

no_xgboost = pytest.mark.skipif(find_spec("xgboost") is None, reason="XGBoost is not installed")
no_lightgbm = pytest.mark.skipif(find_spec("lightgbm") is None, reason="LightGBM is not installed")

EACH = [
    pytest.param(
        each,
        id=f"{each.loss}-{each.name}",
        marks=no_xgboost if each.name.startswith("xgboost") else no_lightgbm,
    )
    for each in ALL
]


def _targets(found: Implementation) -> tuple[float, ...]:
    return (0.0, 1.0) if found.name == "lightgbm.binary_logloss" else (0.0, 1.0, 0.25, 0.5)


@pytest.mark.parametrize("found", EACH)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    refused = []
    for case in cases(found, targets=_targets(found)):
        try:
            assert_textbook(found, case, Quantity.VALUE)
        except UnsupportedError:
            refused.append(case.parameters["reduction"])
        else:
            assert called(found, case, Quantity.VALUE).dtype == case.dtype
    assert refused == (["sum"] if found.name.startswith("lightgbm") else [])
    assert found.gradient is None


@pytest.mark.parametrize("found", EACH)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found, targets=_targets(found)))
    sent = pickle.loads(pickle.dumps(found))
    assert called(sent, case, Quantity.VALUE).tobytes() == (
        called(found, case, Quantity.VALUE).tobytes()
    )


@fact
@no_xgboost
@pytest.mark.parametrize("variant", ["", "@inplace"])
def test_xgboosts_sigmoid_is_flat_below_88_7(variant: str) -> None:
    """It bounds the exponent: σ(−100) is 3.8e-44, σ(−104) underflows, both come out as e^−88.7."""
    found = the(ALL, "sigmoid", "xgboost.binary-logistic" + variant)
    floor = value(found, [-88.7])[0]
    assert floor == pytest.approx(math.exp(-88.7), rel=1e-4, abs=0.0)
    assert value(found, [-90.0, -104.0, -1e30, -math.inf]).tolist() == [floor] * 4


@fact
@no_xgboost
@pytest.mark.parametrize("variant", ["", "@inplace"])
def test_xgboosts_softmax_keeps_its_row_and_masks(variant: str) -> None:
    found = the(ALL, "softmax", "xgboost.multi-softprob" + variant)
    p = value(found, [[-math.inf, 0.0, 0.0], [1e30, -1e30, 0.0]])
    assert p.tolist() == [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]]
    assert value(found, [[1.0], [2.0]]).tolist() == [[1.0], [1.0]]


@fact
@no_lightgbm
@pytest.mark.parametrize(("name", "eps"), [("binary_logloss", 1e-15), ("cross_entropy", 1e-12)])
def test_lightgbms_metrics_are_flat_beyond_their_eps(name: str, eps: float) -> None:
    """BCE(x, 1) is −x far below 0; two metrics of one loss stop at two heights."""
    found = the(ALL, BINARY, "lightgbm." + name)
    losses = value(found, [-50.0, -1000.0], np.ones(2), "float64")
    assert losses == pytest.approx([-math.log(eps)] * 2, rel=1e-7)


@fact
@no_lightgbm
def test_lightgbms_multiclass_metric_is_flat_beyond_its_eps() -> None:
    found = the(ALL, "softmax_cross_entropy", "lightgbm.multi_logloss")
    losses = value(found, [[1000.0, 0.0, 0.0]], [1], "float64")
    assert losses == pytest.approx([-math.log(1e-15)], rel=1e-7)


@fact
@no_lightgbm
def test_lightgbms_metrics_lose_small_losses() -> None:
    """BCE(40, 1) is 4.2e-18: log of a probability that rounds to 1 is 0."""
    for name in ("binary_logloss", "cross_entropy"):
        found = the(ALL, BINARY, "lightgbm." + name)
        assert value(found, [40.0], np.ones(1), "float64").tolist() == [0.0]


@fact
@no_lightgbm
def test_lightgbm_takes_a_nan_score_for_zero() -> None:
    """log 2, the loss of a score of 0, where NaN is due."""
    found = the(ALL, BINARY, "lightgbm.binary_logloss")
    assert value(found, [math.nan], np.ones(1), "float64") == pytest.approx([math.log(2)])


@fact
@no_lightgbm
def test_lightgbm_rounds_targets_to_float32() -> None:
    """BCE(3, 0.1) has slope −3 in the target; 1 − 0.1 is taken in float32 as well."""
    found = the(ALL, BINARY, "lightgbm.cross_entropy")
    wanted = math.log1p(math.exp(3.0)) - 0.1 * 3.0
    actual = value(found, [3.0], np.array([0.1]), "float64")[0]
    assert actual == pytest.approx(wanted, abs=3e-7)
    assert actual != pytest.approx(wanted, abs=1e-9)


@fact
@no_lightgbm
def test_what_lightgbm_does_not_take_is_said() -> None:
    many: Any = np.zeros((1, 4097))
    for loss, name, x, labels, words in (
        (BINARY, "binary_logloss", [0.0], np.array([0.5]), "0 and 1"),
        ("softmax_cross_entropy", "multi_logloss", [[0.0]], [0], "two classes"),
        ("softmax_cross_entropy", "multi_logloss", many, [0], "4096 classes"),
    ):
        with pytest.raises(UnsupportedError, match=words):
            value(the(ALL, loss, "lightgbm." + name), x, labels, "float64")
