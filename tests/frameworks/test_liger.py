"""Liger Kernel's Triton kernels, interpreted, in the process that they are declared for.

Triton reads how it runs when it is imported; here it may be imported already.
"""

import functools
import importlib.util
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.frameworks import moderate
from tests.frameworks.asking import gradient, the, value
from xentcheck.errors import UnsupportedError
from xentcheck.execution import hosts
from xentcheck.implementations.frameworks.liger import PROCESS, liger_implementations
from xentcheck.model import Implementation, Quantity

fact = pytest.mark.fact("liger-kernel")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(each) is None for each in PROCESS.modules),
    reason="needs torch, triton and liger_kernel: pip install 'xentcheck[liger]'",
)

NARROW = {"float16", "bfloat16"}
SINGLE = 4e-6  # all that is computed in float32 is right to, also from float64


def _there(function: Callable[..., Any] | None) -> Callable[..., Any]:
    assert function is not None

    def asked(*data: Any, **parameters: Any) -> Any:
        return hosts.ask(PROCESS, functools.partial(function, **parameters), *data)

    return asked


DECLARED = tuple(
    replace(each, value=_there(each.value), gradient=_there(each.gradient))
    for each in liger_implementations()
    if not each.plain
)
CE = the(
    DECLARED, "softmax_cross_entropy", "liger_kernel.transformers.functional.liger_cross_entropy"
)


@pytest.mark.parametrize("implementation", DECLARED, ids=lambda each: str(each.name))
def test_what_is_declared_is_right_on_moderate_inputs(implementation: Implementation) -> None:
    settable = replace(implementation, parameters=implementation.parameters - {"z_loss"})
    for case in moderate.cases(settable):
        for quantity in Quantity:
            slack = 0.0 if case.dtype in NARROW else SINGLE
            moderate.assert_textbook(implementation, case, quantity, slack)


@fact
def test_z_loss_adds_the_square_of_logsumexp() -> None:
    x = [0.5, -1.0, 2.0]
    lse = math.log(sum(map(math.exp, x)))
    p = [math.exp(each - lse) for each in x]
    right = lse - x[0] + 0.25 * lse**2
    slopes = [each * (1 + 0.5 * lse) - (k == 0) for k, each in enumerate(p)]
    assert value(CE, [x], [0], z_loss=0.25)[0] == pytest.approx(right, rel=1e-6)
    assert gradient(CE, [x], [0], z_loss=0.25)[0] == pytest.approx(slopes, rel=1e-6)


def test_the_gradient_is_written_over_the_logits() -> None:
    """So that a large vocabulary is held in memory once."""
    (declared,) = (each for each in liger_implementations() if each.name == CE.name)
    data = (np.array([[1.0, 2.0]], dtype=np.float32), np.array([0]))
    assert declared.value is not None
    assert declared.gradient is not None
    assert hosts.invoke(PROCESS, declared.value, data, {}, (1,)).mutated == ()
    assert hosts.invoke(PROCESS, declared.gradient, data, {}, (1, 2)).mutated == ("logits",)


@fact
def test_logsumexp_less_the_logit_cancels_under_an_offset() -> None:
    """m + log d is rounded before x_y is taken from it: at 1e8, float32 counts in eights."""
    assert value(CE, [[1e8, 1e8]], [0]) == 0
    assert value(CE, [[1e4, 1e4]], [0])[0] != pytest.approx(math.log(2), rel=1e-5)
    assert value(CE, [[0.0, 0.0]], [0])[0] == pytest.approx(math.log(2), rel=1e-6)


@fact
def test_a_sure_prediction_costs_nothing_and_its_label_learns_nothing() -> None:
    """log(1 + 2 e^−20) is 4.122e-9, whose tail float32 absorbs."""
    assert value(CE, [[20.0, 0.0, 0.0]], [0]) == 0
    slope = gradient(CE, [[20.0, 0.0, 0.0]], [0])[0]
    assert slope[0] == 0
    assert slope[1:] == pytest.approx(math.exp(-20), rel=1e-6)


@fact
def test_an_ignored_row_of_minus_infinities_is_zero() -> None:
    x, labels = [[-math.inf, -math.inf], [1.0, 2.0]], [-100, 0]
    assert value(CE, x, labels)[0] == 0
    assert gradient(CE, x, labels)[0].tolist() == [0.0, 0.0]


@fact
def test_float16_sums_65540_equal_logits_in_float32() -> None:
    result = value(CE, np.zeros((1, 65540)), [0], "float16")
    assert result == np.float16(math.log(65540))


def test_on_a_device_it_is_compiled_elsewhere_or_says_that_there_is_none() -> None:
    on_device = [each for each in liger_implementations() if each.plain]
    assert {each.name.rpartition("@")[2] for each in on_device} == {"cuda"}
    x, labels = np.float32([[1.0, 2.0, 3.0]]), np.array([0])
    for each in on_device:
        assert each.process is not None
        assert each.process != PROCESS
        assert each.value is not None
        data = (x, labels) if each.loss == "softmax_cross_entropy" else (x,)
        try:
            result = hosts.ask(each.process, each.value, *data)
        except UnsupportedError as error:
            assert "CUDA" in str(error) or "importing" in str(error)  # noqa: PT017
        else:
            p = np.exp([-2.0, -1.0, 0.0]) / np.exp([-2.0, -1.0, 0.0]).sum()
            exact = -np.log(p[:1]) if len(data) == 2 else p[None]
            np.testing.assert_allclose(result, exact, rtol=1e-5)
