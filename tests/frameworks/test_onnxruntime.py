"""The adapter of ONNX Runtime: right on ordinary inputs, and what is known of it elsewhere."""

import math
import pickle
from importlib.util import find_spec

import numpy as np
import pytest

from tests.frameworks.asking import the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.frameworks.onnxruntime import onnxruntime_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("onnxruntime")

pytestmark = pytest.mark.skipif(
    find_spec("onnxruntime") is None or find_spec("onnx") is None,
    reason="onnxruntime or onnx is not installed",
)

ALL = onnxruntime_implementations()
LOSS = "onnxruntime.SoftmaxCrossEntropyLoss"
NLL = "onnxruntime.NegativeLogLikelihoodLoss"
VARIANTS = ["", "@unoptimised", "@spatial"]


def _named(each: Implementation) -> str:
    return f"{each.loss}-{each.name}"


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    for case in cases(found):
        assert_textbook(found, case, Quantity.VALUE)
        assert called(found, case, Quantity.VALUE).dtype == case.dtype
    assert found.gradient is None


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found))
    sent = pickle.loads(pickle.dumps(found))
    assert called(sent, case, Quantity.VALUE).tobytes() == (
        called(found, case, Quantity.VALUE).tobytes()
    )


@fact
def test_operators_without_a_kernel_for_a_dtype_say_so() -> None:
    softplus = the(ALL, "softplus", "onnxruntime.Softplus")
    assert softplus.dtypes == ("float16", "float32")
    with pytest.raises(UnsupportedError, match=r"does not take float64: .*Softplus"):
        value(softplus, [1.0], dtype="float64")
    with pytest.raises(UnsupportedError, match="does not take bfloat16"):
        value(the(ALL, "sigmoid", "onnxruntime.Sigmoid"), [1.0], dtype="bfloat16")
    with pytest.raises(UnsupportedError, match="does not take bfloat16"):
        value(the(ALL, "softmax_cross_entropy", LOSS), [[1.0, 2.0]], [0], "bfloat16")


@fact
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_small_loss_is_lost(variant: str) -> None:
    """log(1 + 2e^−20) is 4.12e-9, and log(1 + 2e^−40) is 8.5e-18."""
    found = the(ALL, "softmax_cross_entropy", LOSS + variant)
    assert value(found, [[20.0, 0.0, 0.0]], [0]).tolist() == [0.0]
    assert value(found, [[40.0, 0.0, 0.0]], [0], "float64").tolist() == [0.0]


@fact
@pytest.mark.parametrize("variant", VARIANTS)
def test_an_ignored_row_is_zero_and_out_of_the_mean(variant: str) -> None:
    for loss, name in (("softmax_cross_entropy", LOSS), ("nll_loss", NLL)):
        found = the(ALL, loss, name + variant)
        x = np.log([[0.25, 0.75], [0.5, 0.5]])
        ignoring = {"ignore_index": 1}
        assert value(found, x, [0, 1], **ignoring) == pytest.approx([math.log(4), 0], rel=1e-6)
        mean = value(found, x, [0, 1], reduction="mean", **ignoring)
        assert mean.shape == ()
        assert mean == pytest.approx(math.log(4), rel=1e-6)
        default = value(found, x, [0, -100])
        assert default == pytest.approx([math.log(4), 0], rel=1e-6)


@fact
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_mean_over_ignored_rows_is_nan(variant: str) -> None:
    """The operator is expanded into a sum over a sum of weights: 0/0."""
    found = the(ALL, "softmax_cross_entropy", LOSS + variant)
    assert np.isnan(value(found, [[1.0, 2.0]], [-100], reduction="mean"))


@fact
@pytest.mark.parametrize("variant", ["", "@unoptimised", "@axis0"])
def test_logsumexp_is_shifted_without_log1p(variant: str) -> None:
    """It does not overflow and keeps −inf, but 1 absorbs e^−40."""
    found = the(ALL, "logsumexp", "onnxruntime.ReduceLogSumExp" + variant)
    rows = [[1e30, 0.0], [-math.inf, -math.inf], [0.0, -40.0]]
    with np.errstate(over="ignore"):
        assert value(found, rows, dtype="float64").tolist() == [1e30, -math.inf, 0.0]


@fact
@pytest.mark.parametrize("variant", ["", "@unoptimised"])
def test_sigmoid_is_zero_long_before_it_underflows(variant: str) -> None:
    """σ(−20) is 2.1e-9 and σ(−60) is 8.8e-27; what is computed is near 1 − (1 − σ)."""
    found = the(ALL, "sigmoid", "onnxruntime.Sigmoid" + variant)
    assert value(found, [-20.0]).tolist() == [0.0]
    assert value(found, [-60.0], dtype="float64").tolist() == [0.0]
    wanted = 1 / (1 + math.exp(17))
    assert value(found, [-17.0])[0] != pytest.approx(wanted, rel=0.5, abs=0.0)
    assert value(found, [-17.0])[0] == pytest.approx(wanted, abs=2.0**-23)


@fact
@pytest.mark.parametrize("variant", ["", "@unoptimised"])
def test_the_exported_logsigmoid_and_bce_are_infinite_where_the_sigmoid_saturates(
    variant: str,
) -> None:
    """log σ(−20) is −20 and BCE(20, 0) is 20, but σ(−20) and 1 − σ(20) are 0 in float32."""
    exported = the(ALL, "log_sigmoid", "onnxruntime.Sigmoid-Log" + variant)
    assert value(exported, [-20.0]).tolist() == [-math.inf]
    bce = the(ALL, "sigmoid_binary_cross_entropy", "onnxruntime.Sigmoid-Log" + variant)
    assert value(bce, [20.0], np.array([0.0])).tolist() == [math.inf]
    assert np.isnan(value(bce, [20.0], np.array([1.0]))).all()
    softplus = the(ALL, "log_sigmoid", "onnxruntime.Neg-Softplus-Neg" + variant)
    assert value(softplus, [-20.0])[0] == pytest.approx(-20.0, rel=1e-6)


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_two_calls_agree_to_the_bit(found: Implementation) -> None:
    for case in cases(found):
        first = called(found, case, Quantity.VALUE)
        assert called(found, case, Quantity.VALUE).tobytes() == first.tobytes()
