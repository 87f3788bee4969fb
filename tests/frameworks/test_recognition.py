"""The sanity check of functions of tensors: what it says of them, and that sound ones pass it."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.test_user_frameworks import needs
from tests.running import Result, invoke
from xentcheck.execution import hosts
from xentcheck.implementations.user import given
from xentcheck.losses import LOSSES
from xentcheck.model import LabelKind, Quantity, Target
from xentcheck.recognition import recognised

CE = "softmax_cross_entropy"
TORCH = """\
import torch
from torch import nn
from torch.nn import functional

def plain(logits, labels):
    return functional.cross_entropy(logits, labels, reduction="none")

def methods(logits, labels):
    return -logits.log_softmax(-1).gather(1, labels[:, None])[:, 0]

class Needs(nn.Module):
    def __init__(self, num_classes):
        super().__init__()

    def forward(self, logits, labels):
        return plain(logits, labels)

class Mean(nn.Module):
    def forward(self, logits, labels):
        return plain(logits, labels).mean()

class Backwards(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits, labels):
        ctx.save_for_backward(logits, labels)
        return plain(logits, labels)

    @staticmethod
    def backward(ctx, cotangent):
        logits, labels = ctx.saved_tensors
        onehot = functional.one_hot(labels, logits.shape[1])
        return (onehot - logits.softmax(-1)) * cotangent[:, None], None

def arrays(logits, labels):
    import numpy as np

    if not isinstance(logits, np.ndarray):
        raise TypeError("no array")
    shifted = logits - logits.max(axis=1, keepdims=True)
    every = np.log(np.exp(shifted).sum(axis=1)) - shifted.T
    return every.T[np.arange(len(labels)), labels]
"""


def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *more: str) -> Result:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(TORCH)
    words = ["check", f"mine.py:{name}", "--loss", CE, "--dtype", "float32", "--format", "csv"]
    return invoke(*words, *more)


@needs("torch")
@pytest.mark.parametrize("name", ["plain", "methods"])
def test_tensors_expected(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = checked(tmp_path, monkeypatch, name)
    assert done.exit_code == 2, done.output
    assert "it wants tensors of torch: --framework torch" in done.output
    assert "help: --framework torch" in done.output


@needs("torch")
@pytest.mark.parametrize(
    ("name", "status", "said"),
    [
        ("Needs", 2, "--bind num_classes=VALUE"),
        ("Mean", 1, "the mean over the rows: it is checked as that"),
        ("Backwards", 1, "it looks like the negative of softmax_cross_entropy"),
        ("arrays", 2, "it wants arrays of NumPy: --framework numpy"),
    ],
)
def test_of_tensors(
    name: str, status: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = checked(tmp_path, monkeypatch, name, "--framework", "torch")
    assert done.exit_code == status, done.output
    assert said in done.output
    # a mean is swept as one, and of a wrong gradient the value
    assert ("ordinary" in done.output) == (name in ("Backwards", "Mean"))


RETURNING = {
    "torch": """\
import numpy as np
import torch

def loss(logits, labels):
    return torch.nn.functional.cross_entropy(
        torch.as_tensor(logits), torch.as_tensor(labels), reduction="none"
    )

def negative(logits, labels):
    return -loss(logits, labels)

def numpy_alone(logits, labels):
    return loss(torch.from_numpy(logits), torch.from_numpy(labels))

def numpy_in_the_end(logits, labels):
    return np.asarray(loss(logits, labels))
""",
    "jax": """\
import jax
import jax.numpy as jnp
import numpy as np

def loss(logits, labels):
    shifted = jax.nn.log_softmax(logits)
    return -jnp.take_along_axis(shifted, labels[:, None], axis=1)[:, 0]

def negative(logits, labels):
    return -loss(jnp.asarray(logits), labels)

def numpy_alone(logits, labels):
    if not isinstance(logits, np.ndarray):
        raise TypeError("no array")
    return loss(logits, labels)

def numpy_in_the_end(logits, labels):
    return np.asarray(loss(logits, labels))
""",
    "tensorflow": """\
import numpy as np
import tensorflow as tf

def loss(logits, labels):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

def negative(logits, labels):
    return -loss(logits, labels)

def numpy_alone(logits, labels):
    if not isinstance(logits, np.ndarray):
        raise TypeError("no array")
    return loss(logits, labels)

def numpy_in_the_end(logits, labels):
    return loss(logits, labels).numpy()
""",
}
by_framework = pytest.mark.parametrize(
    "framework", [pytest.param(name, marks=needs(name)) for name in RETURNING]
)


@by_framework
def test_arrays_returned_that_were_not_given(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What returns a framework's arrays is audited with that framework, or not at all."""
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(RETURNING[framework])
    words = ("--loss", CE, "--dtype", "float32", "--format", "csv")
    for name in ("loss", "negative"):
        done = invoke("check", f"mine.py:{name}", *words)
        assert done.exit_code == 2, done.output
        arrays = "arrays" if framework == "jax" else "tensors"
        assert f"it returns {arrays} of {framework}, though it is given" in done.output
        assert f"help: --framework {framework}" in done.output
    for name in ("numpy_alone", "numpy_in_the_end"):
        done = invoke("check", f"mine.py:{name}", *words)
        assert done.exit_code == 1, done.output  # it has faults, and is audited
        assert "ordinary" in done.output


@by_framework
def test_arrays_returned_by_what_a_configuration_names(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(RETURNING[framework])
    text = (
        "implementations:\n- {loss: softmax_cross_entropy, target: 'mine.py:loss'MORE}\n"
        "sweeps:\n  two: {losses: softmax_cross_entropy, dtypes: float32, quantities: value,"
        " implementations: 'mine.*', inputs: [{generator: explicit, values: [[1, 2]]}]}\n"
    )
    Path("two.yaml").write_text(text.replace("MORE", ""))
    done = invoke("run", "two.yaml")
    assert done.exit_code == 2, done.output
    assert f"help: framework: {framework}" in done.output
    Path("two.yaml").write_text(text.replace("MORE", f", framework: {framework}"))
    assert invoke("run", "two.yaml").exit_code == 0


@by_framework
def test_arrays_returned_by_a_function_of_this_process(
    framework: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked by itself: in its own process, and without the settings that are left there."""
    module = importlib.import_module(framework)
    double = framework != "jax" or module.config.jax_enable_x64
    space: dict[str, Any] = {}
    exec(RETURNING[framework], space)
    found = recognised(
        given(CE, "mine", space["loss"], None, Target(CE, "", "mine"), ()),
        CE,
        LabelKind.INTEGER,
        {},
        "float32",
        (Quantity.VALUE,),
    )
    assert found is not None
    assert found.foreign
    assert found.refused
    assert double == (framework != "jax" or module.config.jax_enable_x64)


FRAMEWORKS = {
    "torch": ("pytorch", "torch_implementations"),
    "jax": ("jax", "jax_implementations"),
}


@pytest.mark.parametrize(
    "framework", [pytest.param(name, marks=needs(name)) for name in FRAMEWORKS]
)
def test_no_function_of_a_framework_is_taken_for_another(framework: str) -> None:
    module, declaring = FRAMEWORKS[framework]
    found: Any = importlib.import_module(f"xentcheck.implementations.frameworks.{module}")
    seen = 0
    try:
        for each in getattr(found, declaring)():
            if "@" in each.name:
                continue
            for kind in LOSSES[each.loss].label_kinds:
                if kind in each.label_kinds or kind == "none":
                    looks = recognised(each, each.loss, kind, {}, "float32")
                    assert looks is None, (each.loss, each.name, looks.text)
                    seen += 1
    finally:
        hosts.close()
    assert seen > 20
