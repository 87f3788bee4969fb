"""The adapter of MLX: right on ordinary inputs, and what is known of it elsewhere."""

import math
import pickle
from importlib.util import find_spec

import numpy as np
import pytest

from tests.frameworks.asking import gradient, the, value
from tests.frameworks.moderate import assert_textbook, called, cases
from xentcheck.errors import UnsupportedError
from xentcheck.implementations.frameworks.mlx import mlx_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("mlx")

pytestmark = pytest.mark.skipif(find_spec("mlx") is None, reason="MLX is not installed")

ALL = mlx_implementations()
CE, BCE = "mlx.nn.losses.cross_entropy", "mlx.nn.losses.binary_cross_entropy"
FLOAT64 = 1e-6  # its exp and log of float64 have the accuracy of float32


def _named(each: Implementation) -> str:
    return f"{each.loss}-{each.name}"


def _always(found: Implementation) -> dict[str, bool]:
    return {"log_target": True} if found.loss == "kl_divergence" else {}


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_ordinary_inputs_give_the_textbook(found: Implementation) -> None:
    for case in cases(found, always=_always(found)):
        for quantity in Quantity:
            assert_textbook(found, case, quantity, FLOAT64 if case.dtype == "float64" else 0.0)
            assert called(found, case, quantity).dtype == case.logits.dtype


@pytest.mark.parametrize("found", ALL, ids=_named)
def test_it_travels_to_another_process(found: Implementation) -> None:
    case = next(cases(found, always=_always(found)))
    sent = pickle.loads(pickle.dumps(found))
    for quantity in Quantity:
        assert called(sent, case, quantity).tobytes() == called(found, case, quantity).tobytes()


@fact
def test_kl_takes_log_targets_only() -> None:
    found = the(ALL, "kl_divergence", "mlx.nn.losses.kl_div_loss")
    with pytest.raises(UnsupportedError, match="log-probabilities only"):
        value(found, [[-1.0, -1.0]], [[0.5, 0.5]])


@fact
@pytest.mark.parametrize("variant", ["", "@compile", "@axis0"])
def test_float64_is_only_as_accurate_as_float32(variant: str) -> None:
    """softmax([20, 0, 0]) has 1/(e^20 + 2); some 1e-7 of it is missing, 2^29 roundings."""
    found = the(ALL, "softmax", "mlx.core.softmax" + variant)
    wanted = 1 / (math.exp(20) + 2)
    actual = value(found, [[20.0, 0.0, 0.0]], dtype="float64")[0, 1]
    assert actual == pytest.approx(wanted, rel=1e-6, abs=0.0)
    assert actual != pytest.approx(wanted, rel=1e-10, abs=0.0)


@fact
@pytest.mark.parametrize("variant", ["", "@compile", "@axis0"])
def test_a_small_loss_is_lost_and_an_offset_is_not(variant: str) -> None:
    """log(1 + 2e^−20) is 4.12e-9; three equal logits have log 3, whatever they share."""
    found = the(ALL, "softmax_cross_entropy", CE + variant)
    assert value(found, [[20.0, 0.0, 0.0]], [0]).tolist() == [0.0]
    assert value(found, [[1e8] * 3], [0])[0] == pytest.approx(math.log(3), rel=1e-6)


@fact
def test_softmax_of_float16_sums_in_float16_unless_it_is_precise() -> None:
    """Of 4096 equal logits each has 2^−12; a sum of ones that is kept in float16 sticks at 2048."""
    row = np.ones((1, 4096))
    plain = value(the(ALL, "softmax", "mlx.core.softmax"), row, dtype="float16")
    precise = value(the(ALL, "softmax", "mlx.core.softmax-precise"), row, dtype="float16")
    assert precise[0].tolist() == [2.0**-12] * 4096
    assert plain[0].tolist() == [2.0**-11] * 4096


@fact
def test_bce_with_logits_loses_a_small_loss() -> None:
    """softplus(x) − x z: BCE(20, 1) = 2.06e-9 is absorbed by 20, and its slope with it."""
    found = the(ALL, "sigmoid_binary_cross_entropy", BCE)
    assert value(found, [20.0], np.ones(1)).tolist() == [0.0]
    assert gradient(found, [20.0], np.ones(1)).tolist() == [0.0]


@fact
def test_bce_of_a_sure_probability_is_clipped_and_its_gradient_nan() -> None:
    """The clip at −100 hides log 0; behind it 0 · 1/0 remains. Want the slope −1."""
    found = the(ALL, "binary_cross_entropy", BCE + "-with_logits-False")
    assert value(found, [1.0], np.ones(1)).tolist() == [0.0]
    assert np.isnan(gradient(found, [1.0], np.ones(1))).all()
    assert value(found, [0.0], np.ones(1)).tolist() == [100.0]
