"""A loss says its shapes: one that is unlike all others goes through the whole machine."""

import sys
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from xentcheck.auditing.run import audit
from xentcheck.losses import LOSSES
from xentcheck.losses.shapes import ONE_PER_CLASS, ONE_PER_ROW, Shapes
from xentcheck.losses.spec import Components, ExactValue, RowResult, no_terms
from xentcheck.model import Config, Implementation, InputSpec, Kind, LabelKind, Quantity, Sweep

WEIGHTS = np.array([[1, 0], [0, 1], [1, 1], [2, -1], [-1, 2]], dtype=np.float64)
"""(classes, width): five classes of hidden states of two numbers."""


def evaluate(ops, row):
    """log Σ exp(W h) − (W h)_y and its gradient Wᵀ (p − one-hot), in interval arithmetic."""
    hidden = [ops.number(float(each)) for each in row.x]
    logits = [
        sum((h * ops.number(w) for h, w in zip(hidden, of, strict=True)), ops.number(0.0))
        for of in WEIGHTS.tolist()
    ]
    own = logits[int(row.label)]
    powers = [ops.exp(each - own) for each in logits]
    whole = sum(powers, ops.number(0.0))
    gradient = []
    for column in range(WEIGHTS.shape[1]):
        slope = ops.number(-float(WEIGHTS[int(row.label), column]))
        for power, of in zip(powers, WEIGHTS[:, column].tolist(), strict=True):
            slope = slope + power / whole * ops.number(of)
        gradient.append(ExactValue(slope))
    return RowResult(Components([ExactValue(ops.log1p(whole - 1))]), Components(gradient))


LINEAR = replace(
    LOSSES["softmax_cross_entropy"],
    id="linear_cross_entropy",
    label_kinds=(LabelKind.INTEGER,),
    parameters=(),
    evaluate=evaluate,
    definition=evaluate,
    condition=lambda block, value, gradient, quantity: np.ones(
        value.shape if quantity is Quantity.VALUE else gradient.shape
    ),
    terms=no_terms,
    shapes=Shapes(classes=lambda first, _: len(WEIGHTS)),
)


def value(hidden, labels):
    logits = hidden.astype(np.float64) @ WEIGHTS.T
    own = logits[np.arange(len(labels)), labels]
    return np.log(np.exp(logits - own[:, None]).sum(axis=1)).astype(hidden.dtype)


def gradient(hidden, labels):
    logits = hidden.astype(np.float64) @ WEIGHTS.T
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(labels)), labels] -= 1
    return (p @ WEIGHTS).astype(hidden.dtype)


def wrong(hidden, labels):
    return 2 * gradient(hidden, labels)


@pytest.fixture
def linear(monkeypatch):
    """The registry of losses with one more, wherever it is known by name."""
    known = MappingProxyType({**LOSSES, LINEAR.id: LINEAR})
    for name, module in list(sys.modules.items()):
        if name.startswith("xentcheck.") and getattr(module, "LOSSES", None) is LOSSES:
            monkeypatch.setattr(module, "LOSSES", known)


def made(name, backward):
    return Implementation(
        LINEAR.id, name, value, backward, ("float32",), (LabelKind.INTEGER,), frozenset()
    )


def test_a_loss_of_hidden_states_is_declared_and_audited(linear):
    inputs = (InputSpec("normal", {"rows": 6, "classes": (2,), "scale": (1.0,)}),)
    config = Config((Sweep("s", (LINEAR.id,), ("float32",), inputs),), ())
    report = audit(config, extra=[made("good", gradient), made("bad", wrong)])
    assert not report.uncertified
    cells = {(each.cell.implementation, each.cell.quantity): each for each in report.measurements}
    assert cells["good", "value"].rows == 6 * len(WEIGHTS)  # a row with each label
    assert cells["good", "value"].max_ulp < 8
    assert cells["good", "gradient"].max_ulp < 64
    assert cells["bad", "gradient"].counts[Kind.INACCURATE] > 20
    assert cells["bad", "gradient"].witness.labels < len(WEIGHTS)


def test_shapes_follow_from_the_first_argument_and_the_parameters():
    per_row, per_class = LOSSES["softmax_cross_entropy"], LOSSES["softmax"]
    assert per_row.shaped == ONE_PER_ROW
    assert per_class.shaped == ONE_PER_CLASS
    assert per_row.shaped.of(Quantity.VALUE, (3, 7), {}) == (3,)
    assert per_class.shaped.of(Quantity.VALUE, (3, 7), {}) == (3, 7)
    assert per_row.shaped.of(Quantity.GRADIENT, (3, 7), {}) == (3, 7)
    assert per_row.classes((3, 7), {}) == 7
    assert LOSSES["sigmoid"].classes((3,), {}) == 1
    assert LINEAR.classes((3, 2), {}) == 5


def test_a_quantity_says_what_it_is_the_gradient_of():
    assert Quantity.GRADIENT.of == "logits"
    assert Quantity.VALUE.of == ""
    assert LINEAR.quantities == (Quantity.VALUE, Quantity.GRADIENT)
