"""Forms run over exact numbers give the exact values of their steps."""

import mpmath
import numpy as np
import pytest

from xentcheck.diagnosis.exact_numbers import exact_array
from xentcheck.diagnosis.explaining import shown_steps
from xentcheck.diagnosis.fingerprint import Variant
from xentcheck.diagnosis.models import models_of
from xentcheck.model import Case, LabelKind, Quantity


def _model(loss: str, quantity: Quantity, name: str) -> Variant:
    model = next(each for each in models_of(loss, quantity) if each.name == name)
    return Variant(model, model.options)


def _row(*logits: float, label: int = 0) -> Case:
    return Case(
        "one", "one", "softmax_cross_entropy", "float32",
        np.array([logits], dtype=np.float32), LabelKind.INTEGER, np.array([label]), {},
    )  # fmt: skip


def test_the_step_that_loses_the_digits_is_marked() -> None:
    """At a gap of 20 the sum 1 + e^−20 is 1, and its logarithm 0 instead of e^−20."""
    steps = shown_steps(
        _model("softmax_cross_entropy", Quantity.VALUE, "numpy.shifted_log_softmax"), _row(20, 0)
    )
    marked = [step for step in steps if step.loses]
    assert [step.name for step in marked] == ["log s"]
    exact = mpmath.log1p(mpmath.exp(-20))
    assert float(marked[0].exact[0]) == pytest.approx(float(exact), rel=1e-5)
    assert marked[0].computed == (0.0,)


def test_no_step_is_marked_where_nothing_is_lost() -> None:
    steps = shown_steps(
        _model("softmax_cross_entropy", Quantity.VALUE, "numpy.shifted_log_softmax"), _row(1, 0)
    )
    assert steps
    assert not any(step.loses for step in steps)


def test_tails_far_below_float64_are_exact() -> None:
    """log1p(e^−5000) is e^−5000, about 10^−2171."""
    x = np.array([5000.0])
    turned = exact_array(x)
    value = np.log1p(np.exp(-turned(x)))[0].value
    with mpmath.workdps(60):
        assert abs(value / mpmath.exp(-5000) - 1) < mpmath.mpf(10) ** -50


def test_divisions_by_zero_are_infinite_or_undefined() -> None:
    zero, one = exact_array()(np.array([0.0, 1.0]))
    assert float(one / zero) == np.inf
    assert np.isnan(float(zero / zero))
    assert float(zero.log()) == -np.inf
