"""What is known of frameworks, found again through the installed command.

The expected numbers are exact results to the digits given, or what the frameworks themselves were
seen to return when the facts were collected, without this tool.
"""

import json
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.fact(
    "torch", "jax", "optax", "tensorflow-cpu", "keras", "scipy", "scikit-learn", "onnxruntime"
)

CE, BCE = "softmax_cross_entropy", "sigmoid_binary_cross_entropy"
MODULES = {
    "torch": "torch",
    "optax": "optax",
    "jax": "jax",
    "tf": "tensorflow",
    "keras": "tensorflow",
    "scipy": "scipy",
    "sklearn": "sklearn",
    "onnxruntime": "onnxruntime",
}

INTEGER_CE = (
    "torch.nn.functional.cross_entropy",
    "torch.nn.functional.log_softmax+nll_loss",
    "optax.softmax_cross_entropy_with_integer_labels",
    "tf.nn.sparse_softmax_cross_entropy_with_logits",
    "keras.losses.SparseCategoricalCrossentropy",
    "scipy.special.log_softmax-gather",
    "sklearn._loss.HalfMultinomialLoss",
    "onnxruntime.SoftmaxCrossEntropyLoss",
)
ONE_HOT_CE = (
    "torch.nn.functional.cross_entropy",
    "optax.softmax_cross_entropy",
    "tf.nn.softmax_cross_entropy_with_logits",
)


def asked(loss: str, name: str, *options: str) -> dict[str, Any]:
    """The JSON of a probe of one implementation."""
    module = MODULES[name.partition(".")[0]]
    if find_spec(module) is None:
        pytest.skip(f"{module} is not installed")
    command = [sys.executable, "-m", "xentcheck", "probe", "--loss", loss, "--format", "json"]
    done = subprocess.run(
        [*command, "--implementation", name, *options], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def measured(document: dict[str, Any], quantity: str) -> dict[str, Any]:
    (found,) = [each for each in document["measurements"] if each["quantity"] == quantity]
    return dict(found)


def number(written: float | str) -> float:
    return float(written)


def kinds(document: dict[str, Any], quantity: str) -> set[str]:
    return {each["kind"] for each in document["findings"] if each["quantity"] == quantity}


@pytest.mark.parametrize("name", INTEGER_CE)
def test_a_confident_row_has_no_loss_and_the_label_no_gradient(name: str) -> None:
    document = asked(CE, name, "--logits=20,0,0", "--label=0")
    value = measured(document, "value")["witness"]
    assert number(value["actual"]) == 0
    assert float(value["exact"]) == pytest.approx(4.122307236e-9)
    assert kinds(document, "value") == {"spurious-underflow"}
    if any(each["quantity"] == "gradient" for each in document["measurements"]):
        gradient = measured(document, "gradient")["witness"]
        assert (gradient["index"], number(gradient["actual"])) == (0, 0)
        assert kinds(document, "gradient") == {"vanished-gradient"}


def test_torch_bce_with_logits_is_0_at_17() -> None:
    name = "torch.nn.functional.binary_cross_entropy_with_logits"
    document = asked(BCE, name, "--logits=-17", "--label=0")
    value = measured(document, "value")["witness"]
    assert number(value["actual"]) == 0
    assert float(value["exact"]) == pytest.approx(4.1399376e-8)


def test_the_gradient_of_torch_bce_vanishes_in_float64() -> None:
    name = "torch.nn.functional.binary_cross_entropy_with_logits"
    document = asked(BCE, name, "--logits=40", "--label=1", "--dtype=float64")
    gradient = measured(document, "gradient")["witness"]
    assert number(gradient["actual"]) == 0
    assert float(gradient["exact"]) == pytest.approx(-4.248354e-18)


@pytest.mark.parametrize(
    ("logits", "dtype", "exact"),
    [("1000,1000,1000,1000", "bfloat16", math.log(4)), ("1e8,1e8", "float32", math.log(2))],
)
def test_optax_integer_labels_lose_a_common_offset(logits: str, dtype: str, exact: float) -> None:
    name = "optax.softmax_cross_entropy_with_integer_labels"
    document = asked(CE, name, f"--logits={logits}", "--label=0", f"--dtype={dtype}")
    value = measured(document, "value")["witness"]
    assert number(value["actual"]) == 0
    assert float(value["exact"]) == pytest.approx(exact)


@pytest.mark.parametrize("name", ONE_HOT_CE)
def test_one_hot_labels_meet_a_masked_class_as_nan_with_a_finite_gradient(name: str) -> None:
    document = asked(CE, name, "--logits=1,2,-inf", "--labels=0,1,0")
    value = measured(document, "value")["witness"]
    assert math.isnan(number(value["actual"]))
    assert float(value["exact"]) == pytest.approx(0.313261688)
    assert kinds(document, "value") == {"nan"}
    assert not kinds(document, "gradient") & {"nan"}


def test_the_safe_form_of_optax_is_right_there() -> None:
    name = "optax.safe_softmax_cross_entropy"
    document = asked(CE, name, "--logits=1,2,-inf", "--labels=0,1,0")
    assert not document["findings"]


def test_the_gradient_of_tf_weighted_cross_entropy_is_0_at_logit_0() -> None:
    name = "tf.nn.weighted_cross_entropy_with_logits"
    document = asked(BCE, name, "--logits=0", "--label=1")
    gradient = measured(document, "gradient")["witness"]
    assert number(gradient["actual"]) == 0
    assert float(gradient["exact"]) == -0.5


def test_torch_kl_div_is_nan_where_both_mask_a_class() -> None:
    # input log_softmax([2, 1, -inf]), target softmax([1, 2, -inf])
    p = 1 / (1 + math.exp(-1))
    logits = f"{math.log(p)!r},{math.log(1 - p)!r},-inf"
    labels = f"{1 - p!r},{p!r},0"
    document = asked(
        "kl_divergence",
        "torch.nn.functional.kl_div",
        f"--logits={logits}",
        f"--labels={labels}",
        "--dtype=float64",
    )
    value = measured(document, "value")["witness"]
    assert math.isnan(number(value["actual"]))
    assert float(value["exact"]) == pytest.approx(0.46211716)  # tanh(1/2)


@pytest.mark.parametrize(("classes", "finite"), [(65_519, True), (65_520, False)])
def test_torch_float16_cross_entropy_of_a_vocabulary(classes: int, finite: bool) -> None:
    name = "torch.nn.functional.cross_entropy"
    zeros = ",".join(["0"] * classes)
    document = asked(CE, name, f"--logits={zeros}", "--label=0", "--dtype=float16")
    value = measured(document, "value")["witness"]
    assert float(value["exact"]) == pytest.approx(math.log(classes))
    assert math.isinf(number(value["actual"])) is not finite
    assert ("spurious-overflow" in kinds(document, "value")) is not finite


@pytest.mark.parametrize(
    ("name", "quantity", "most"),
    [
        ("sklearn._loss.HalfBinomialLoss@loss_gradient", "value", 1.0),
        ("sklearn._loss.HalfBinomialLoss@loss_gradient", "gradient", 1.0),
        ("scipy.special.log_expit", "value", 2.0),
    ],
)
def test_what_is_accurate_is_praised(name: str, quantity: str, most: float) -> None:
    logits = ",".join(repr(k / 8) for k in range(-80, 81))
    document = asked(BCE, name, f"--logits={logits}", "--label=1")
    assert number(measured(document, quantity)["max_ulp"]) <= most


def test_flushing_to_zero_in_torch_reaches_neither_the_reference_nor_numpy(tmp_path: Path) -> None:
    if find_spec("torch") is None:
        pytest.skip("torch is not installed")
    file = tmp_path / "flushing.py"
    file.write_text(
        "import torch\n"
        "torch.set_flush_denormal(True)\n"
        "def loss(x):\n"
        "    return torch.nn.functional.softplus(x)\n"
    )
    command = [sys.executable, "-m", "xentcheck", "probe", "--loss", "softplus", "--logits=-100"]
    own = ("--implementation", f"{file}:loss", "--framework", "torch")
    done = subprocess.run(
        [*command, *("--format", "json", "--implementation", "numpy.accurate"), *own],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    by_name = {
        each["implementation"]: each["witness"]
        for each in found["measurements"]
        if each["quantity"] == "value"
    }
    # e^-100 = 3.72e-44 is 26.5 times the smallest subnormal
    assert number(by_name[f"{file}:loss"]["actual"]) == 0
    assert number(by_name["numpy.accurate"]["actual"]) == pytest.approx(27 * 2.0**-149)
    assert float(by_name["numpy.accurate"]["exact"]) == pytest.approx(math.exp(-100))
