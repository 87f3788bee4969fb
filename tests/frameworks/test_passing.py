"""torch's functions and classes as people name them: defaults, constructors, tensors, shapes."""

import functools
import json

import pytest

import xentcheck
from tests.running import invoke
from xentcheck.auditing.check import Check, checking

torch = pytest.importorskip("torch")
CE, BCE = "softmax_cross_entropy", "sigmoid_binary_cross_entropy"

OWN = """
import torch


def sequences(x, y):
    assert x.dim() == 3 and y.dtype == torch.int32
    loss = torch.nn.functional.cross_entropy(x.flatten(0, 1), y.flatten().long(), reduction="none")
    return loss.view(y.shape)


def class_second(x, y):
    return torch.nn.functional.cross_entropy(x, y, reduction="none")


class Smooth(torch.nn.Module):
    def __init__(self, label_smoothing):
        super().__init__()
        self.inner = torch.nn.CrossEntropyLoss(label_smoothing=label_smoothing, reduction="none")

    def forward(self, x, y):
        return self.inner(x, y)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own.py").write_text(OWN)
    return tmp_path


def audited(loss, target, parameters, bound=None, **how):
    """A target of torch on mild rows: the largest absolute errors by quantity, and the report."""
    sweep = {
        "losses": loss,
        "implementations": ["own"],
        "dtypes": "float32",
        "inputs": [{"generator": "normal", "rows": 6} | ({"classes": 5} if loss == CE else {})],
        **({"parameters": parameters} if parameters else {}),
    }
    own = {"loss": loss, "target": target, "name": "own", "framework": "torch", **how}
    own |= {"parameters": bound} if bound else {}
    report = xentcheck.audit({"version": 1, "implementations": [own], "sweeps": {"mild": sweep}})
    faults = {each.kind for each in report.findings} - {"fp-signal", "inaccurate"}
    assert not faults, report.findings[0].detail
    return {each.cell.quantity: each.max_abs for each in report.measurements}, report


@pytest.mark.parametrize(
    ("target", "loss", "parameters", "how"),
    [
        ("torch.nn.functional:cross_entropy", CE, {}, {}),
        ("torch.nn.functional:cross_entropy", CE, {"reduction": ["none", "mean", "sum"]}, {}),
        ("torch.nn:CrossEntropyLoss", CE, {"label_smoothing": [0, 0.1, 0.3]}, {}),
        ("torch.nn:CrossEntropyLoss", CE, {"weight": "random"}, {}),
        ("torch.nn:CrossEntropyLoss", CE, {"reduction": ["none", "sum"]}, {}),
        (
            "torch.nn:CrossEntropyLoss",
            CE,
            {"label_smoothing": [0.1]},
            {"bound": {"label_smoothing": 0.1}},
        ),
        ("torch.nn:BCEWithLogitsLoss", BCE, {"pos_weight": [1, 3]}, {}),
        (
            "torch.nn.functional:binary_cross_entropy_with_logits",
            BCE,
            {"pos_weight": [1, 3], "reduction": ["none", "mean"]},
            {},
        ),
        ("own.py:Smooth", CE, {"label_smoothing": [0.2]}, {"bound": {"label_smoothing": 0.2}}),
        ("own.py:Smooth", CE, {"label_smoothing": [0, 0.2]}, {}),
        ("own.py:sequences", CE, {}, {"shape": "sequence", "label_dtype": "int32"}),
        ("own.py:class_second", CE, {}, {"shape": "class-second"}),
    ],
)
def test_torchs_losses_are_audited_as_they_are_named(here, target, loss, parameters, how):
    errors, report = audited(loss, target, parameters, **how)
    assert errors.keys() == {"value", "gradient"}
    assert max(errors.values()) < 2e-5  # of a sum of some 50
    assert not [each for each in report.skips if "take" in each.reason or "built" in each.reason]


def test_another_value_than_the_bound_one_is_a_skip(here):
    errors, report = audited(
        CE, "torch.nn:CrossEntropyLoss", {"label_smoothing": [0.1]}, {"label_smoothing": 0.2}
    )
    assert not errors
    assert "has label_smoothing=0.2 built in" in "".join(each.reason for each in report.skips)


def checked(target, *options):
    words = ["check", target, "--loss", CE, "--framework", "torch", "--dtype", "float32"]
    done = invoke(*words, "--or-abs", "1e-6", "--format", "json", *options)
    return done, json.loads(done.stdout)


def test_the_default_mean_of_a_function_is_told(here):
    done, report = checked("torch.nn.functional:cross_entropy")
    assert "reduction=none is passed, for the function's own default is mean" in done.stderr
    assert done.exit_code == 0, report["violations"][0]["text"]


def test_what_a_class_is_made_with_is_computed(here):
    done, report = checked(
        *("own.py:Smooth", "--bind", "label_smoothing=0.1", "--or-rel", "1e-2", "--or-abs", "1e-2"),
        *("--invariants", "none"),
    )
    assert report["config"]["built_in"] == {"label_smoothing": 0.1}
    assert {each["rule"] for each in report["violations"]} <= {"spurious-overflow"}
    assert "label_smoothing=0.1 is computed" in done.stderr


@pytest.mark.parametrize(
    ("made", "built_in"),
    [
        (
            lambda: torch.nn.CrossEntropyLoss(label_smoothing=0.1),
            {"label_smoothing": 0.1, "reduction": "mean"},
        ),
        (lambda: torch.nn.CrossEntropyLoss(reduction="none"), {}),
        (
            lambda: functools.partial(
                torch.nn.functional.cross_entropy, label_smoothing=0.1, reduction="none"
            ),
            {"label_smoothing": 0.1},
        ),
    ],
)
def test_instances_and_partials_are_described_by_what_they_hold(here, made, built_in):
    own = checking(made(), CE, Check(framework="torch"))
    assert own.implementation.built_in == built_in
