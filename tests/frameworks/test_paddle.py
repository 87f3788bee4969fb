"""The adapter of PaddlePaddle: right on ordinary inputs, and what is known of it elsewhere."""

import math
import pickle
from importlib.util import find_spec

import numpy as np
import pytest

from tests.frameworks.asking import gradient, the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.frameworks.paddle import paddle_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("paddlepaddle")

pytestmark = pytest.mark.skipif(find_spec("paddle") is None, reason="PaddlePaddle is missing")

ALL = paddle_implementations()
F = "paddle.nn.functional."
FOCAL = {"alpha": 0.25}


def _named(each: Implementation) -> str:
    return f"{each.loss}-{each.name}"


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    always = FOCAL if found.loss == "sigmoid_focal_loss" else {}
    for case in cases(found, always=always):
        slack = 0.0
        if found.name.endswith("log_loss"):
            slack = 3e-3  # it adds 1e-4 within its logarithms
        elif "label_smoothing" in case.parameters:
            slack = 1e-6  # float32 to F.label_smooth, whatever the dtype
        for quantity in Quantity:
            assert_textbook(found, case, quantity, slack)
            assert called(found, case, quantity).dtype == case.dtype


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found, always=FOCAL if found.loss == "sigmoid_focal_loss" else {}))
    sent = pickle.loads(pickle.dumps(found))
    for quantity in Quantity:
        assert called(sent, case, quantity).tobytes() == called(found, case, quantity).tobytes()


@fact
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_dtypes_are_refused_by_its_cpu_kernels(dtype: str) -> None:
    with pytest.raises(UnsupportedError, match=f"does not take {dtype}"):
        value(the(ALL, "sigmoid", F + "sigmoid"), [1.0], dtype=dtype)


@fact
def test_log_loss_takes_float32_only_and_focal_loss_an_alpha() -> None:
    with pytest.raises(UnsupportedError, match="does not take float64"):
        value(the(ALL, "binary_cross_entropy", F + "log_loss"), [0.5], np.ones(1), "float64")
    with pytest.raises(UnsupportedError, match="alpha"):
        value(the(ALL, "sigmoid_focal_loss", F + "sigmoid_focal_loss"), [0.5], np.ones(1))


@fact
def test_log_loss_is_negative_at_a_sure_prediction() -> None:
    """−log(1 + 1e-4)."""
    found = the(ALL, "binary_cross_entropy", F + "log_loss")
    assert value(found, [1.0], np.ones(1))[0] == pytest.approx(-math.log1p(1e-4), rel=1e-3)


@fact
@pytest.mark.parametrize("name", ["cross_entropy", "softmax_with_cross_entropy"])
def test_a_small_loss_is_lost_and_its_slope_with_it(name: str) -> None:
    """log(1 + 2e^−20) is 4.12e-9; so is the label's slope but for the sign."""
    found = the(ALL, "softmax_cross_entropy", F + name)
    assert value(found, [[20.0, 0.0, 0.0]], [0]).tolist() == [0.0]
    slopes = gradient(found, [[20.0, 0.0, 0.0]], [0])[0]
    assert slopes[0] == 0
    assert slopes[1:] == pytest.approx([math.exp(-20)] * 2, rel=1e-5, abs=0.0)


@fact
def test_label_smoothing_of_float64_has_the_accuracy_of_float32() -> None:
    """Two equal logits, so log 2 whatever the smoothing, but for the sum of the smoothed label."""
    found = the(ALL, "softmax_cross_entropy", F + "cross_entropy")
    actual = value(found, [[0.0, 0.0]], [0], "float64", label_smoothing=0.1)[0]
    assert actual == pytest.approx(math.log(2), rel=1e-6)
    assert actual != pytest.approx(math.log(2), rel=1e-10)


@fact
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["cross_entropy", "softmax_with_cross_entropy"])
def test_cross_entropy_is_flat_from_64_on(name: str, dtype: str) -> None:
    """Logits are clipped at 64 below the largest: CE([0, −200], 1) is 200. Its slope is right."""
    found = the(ALL, "softmax_cross_entropy", F + name)
    assert value(found, [[0.0, -200.0], [0.0, -1e5]], [1, 1], dtype).tolist() == [64.0, 64.0]
    assert gradient(found, [[0.0, -200.0]], [1], dtype)[0, 1] == -1.0


@fact
def test_binary_cross_entropy_is_flat_from_100_on_and_its_slope_from_1e12() -> None:
    """−log p is clipped at 100, and p (1 − p), by which the slope divides, at 1e-12."""
    found = the(ALL, "binary_cross_entropy", F + "binary_cross_entropy")
    assert value(found, [0.0], np.ones(1)).tolist() == [100.0]
    assert gradient(found, [1e-20], np.ones(1))[0] == pytest.approx(-1e12, rel=1e-6)


@fact
def test_logsumexp_of_a_fully_masked_row_is_nan() -> None:
    """−inf is due: the row's largest, −inf, is subtracted from itself."""
    found = the(ALL, "logsumexp", "paddle.logsumexp")
    assert np.isnan(value(found, [[-math.inf, -math.inf]])).all()


@fact
def test_softplus_is_the_identity_above_its_threshold() -> None:
    """20.5 + e^−20.5 in float64, of which e^−20.5 = 1.25e-9 is missing, in the slope too."""
    found = the(ALL, "softplus", F + "softplus")
    assert value(found, [20.5], dtype="float64").tolist() == [20.5]
    assert gradient(found, [20.5], dtype="float64").tolist() == [1.0]
