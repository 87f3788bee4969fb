"""The sanity check of functions of tensors: what it says of them, and that sound ones pass it."""

import importlib
import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.frameworks.test_user_frameworks import needs
from tests.running import Result, invoke
from xentcheck.execution import hosts
from xentcheck.losses import LOSSES
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
