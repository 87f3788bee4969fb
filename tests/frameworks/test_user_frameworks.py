"""Users' own code for torch, JAX and TensorFlow, through the command with ``--framework``.

Every loss here is right on ordinary logits, where the exact gradient has no small component, unless
its name says otherwise.
"""

import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent

import pytest

from tests.implementations.test_user_code import (
    CE,
    EXAMPLES,
    Told,
    commands_of,
    implementations,
    probed,
    write,
    xentcheck,
)

LIMIT = 4.0
"""What `check` allows: a few roundings."""


def needs(module: str) -> pytest.MarkDecorator:
    absent = importlib.util.find_spec(module) is None
    return pytest.mark.skipif(absent, reason=f"needs {module}: pip install 'xentcheck[{module}]'")


TORCH = """\
import functools

import torch
from torch import nn
from torch.nn import functional


def plain(logits, labels, label_smoothing=0.0):
    assert isinstance(logits, torch.Tensor) and labels.dtype == torch.int64
    smoothing = {"label_smoothing": label_smoothing}
    return functional.cross_entropy(logits, labels, reduction="none", **smoothing)


class Module(nn.Module):
    def __init__(self, reduction="mean", scale=2.0):
        super().__init__()
        self.reduction = reduction
        self.scale = scale

    def forward(self, logits, labels, label_smoothing=0.0):
        losses = self.scale * plain(logits, labels, label_smoothing) / 2.0
        return losses if self.reduction == "none" else losses.mean()


class Fixed(nn.Module):
    def forward(self, logits, labels):
        return plain(logits, labels)


instance = Module(reduction="none")
scaled = functools.partial(Module, scale=2.0)


def with_power(power, logits, labels):
    return plain(logits, labels) ** power


partial = functools.partial(with_power, 1)


class Right(torch.autograd.Function):
    factor = 1.0

    @staticmethod
    def forward(ctx, logits, labels):
        ctx.save_for_backward(logits, labels)
        return plain(logits, labels)

    @staticmethod
    def backward(ctx, upstream):
        logits, labels = ctx.saved_tensors
        return upstream[:, None] * slope(logits, labels), None


class Vanishing(Right):
    @staticmethod
    def backward(ctx, upstream):
        return torch.zeros_like(ctx.saved_tensors[0]), None


class Doubled(Right):
    @staticmethod
    def backward(ctx, upstream):
        return 2 * Right.backward(ctx, upstream)[0], None


def slope(logits, labels):
    wide = logits.double()
    gradient = wide.softmax(1) - functional.one_hot(labels, logits.shape[1])
    return gradient.to(logits.dtype)


def flat(logits, labels):
    return torch.zeros_like(logits)


def severed(logits, labels):
    return plain(logits.detach(), labels)
"""

JAX = """\
import functools

import jax
import jax.numpy as jnp


def plain(logits, labels, label_smoothing=0.0):
    assert isinstance(logits, jax.Array) and labels.dtype == jnp.int64
    targets = jax.nn.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    targets = targets * (1 - label_smoothing) + label_smoothing / logits.shape[1]
    return -(targets * jax.nn.log_softmax(logits)).sum(axis=1)


class Callable:
    def __call__(self, logits, labels):
        return plain(logits, labels)


instance = Callable()
compiled = jax.jit(plain)


def with_power(power, logits, labels):
    return plain(logits, labels) ** power


partial = functools.partial(with_power, 1)


def slope(logits, labels):
    onehot = jax.nn.one_hot(labels, logits.shape[1])
    return (jax.nn.softmax(logits.astype(float)) - onehot).astype(logits.dtype)


def own(factor):
    @jax.custom_vjp
    def loss(logits, labels):
        return plain(logits, labels)

    def forward(logits, labels):
        return plain(logits, labels), (logits, labels)

    def backward(saved, upstream):
        return factor * upstream[:, None] * slope(*saved), None

    loss.defvjp(forward, backward)
    return loss


right, vanishing, doubled = own(1.0), own(0.0), own(2.0)


def flat(logits, labels):
    return jnp.zeros_like(logits)


def severed(logits, labels):
    return plain(jax.lax.stop_gradient(logits), labels)
"""

TENSORFLOW = """\
import functools

import keras
import tensorflow as tf


def plain(logits, labels, label_smoothing=0.0):
    assert tf.is_tensor(logits) and labels.dtype == tf.int64
    targets = tf.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    targets = targets * (1 - label_smoothing) + label_smoothing / logits.shape[1]
    return -tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=1)


compiled = tf.function(plain)


class Keras(keras.losses.Loss):
    def call(self, y_true, y_pred):  # Keras has made floats of the labels
        return plain(y_pred, tf.cast(y_true, tf.int64))


instance = Keras(name="mine")


def labels_first(y_true, y_pred):
    return plain(y_pred, y_true)


def with_power(power, logits, labels):
    return plain(logits, labels) ** power


partial = functools.partial(with_power, 1)


def slope(logits, labels):
    wide = tf.cast(logits, tf.float64)
    onehot = tf.one_hot(labels, logits.shape[1], dtype=tf.float64)
    return tf.cast(tf.nn.softmax(wide) - onehot, logits.dtype)


def own(factor):
    @tf.custom_gradient
    def inner(logits, labels):
        def backward(upstream):
            return factor * upstream[:, None] * slope(logits, labels), None

        return plain(logits, labels), backward

    return lambda logits, labels: inner(logits, labels)


right, vanishing, doubled = own(1.0), own(0.0), own(2.0)


def flat(logits, labels):
    return tf.zeros_like(logits)


def severed(logits, labels):
    return plain(tf.stop_gradient(logits), labels)
"""

SOURCES = {"torch": TORCH, "jax": JAX, "tensorflow": TENSORFLOW}

EACH = [pytest.param(name, marks=needs(name)) for name in SOURCES]
by_framework = pytest.mark.parametrize("framework", EACH)

NAMES = {
    "torch": (
        *("plain", "Module", "Fixed", "instance", "scaled", "partial"),
        *("Right", "Vanishing", "Doubled"),
    ),
    "jax": ("plain", "instance", "compiled", "partial", "right", "vanishing", "doubled"),
    "tensorflow": (
        *("plain", "compiled", "Keras", "instance", "labels_first", "partial"),
        *("right", "vanishing", "doubled"),
    ),
}
"""What is right, or differentiated as the name says."""

SWEEP = """\
sweeps:
  few:
    losses: softmax_cross_entropy
    dtypes: float32
    implementations: [{}]
    inputs: [{{generator: explicit, values: [[1, 2, 4], [0.5, 0, -1]], labels: [0, 1]}}]
"""


def surveyed(place: Path, framework: str, targets: Mapping[str, str], form: str = "json") -> Told:
    """A run of targets of mine.py: names in reports, and the further words of their entries."""
    write(place, {"mine.py": SOURCES[framework]})
    entries = "".join(
        f"  - {{loss: {CE}, framework: {framework}, name: {name}, {rest}}}\n"
        for name, rest in targets.items()
    )
    text = f"implementations:\n{entries}{SWEEP.format(', '.join(targets))}"
    write(place, {"few.yaml": text})
    told = xentcheck(place, "run", "few.yaml", "-vv", "--format", form, "--workers", "1")
    assert told.status == 0, told.stderr
    return told


def replays(table: str) -> list[tuple[str, list[str]]]:
    """Every kind that is shown with its replay line, in words."""
    found = []
    for block in table.split("\n\n"):
        above, _, line = block.partition("  replay ")
        kinds = re.findall(r"^([a-z-]+)  \S", above, re.MULTILINE)  # not the lines of a cause
        if kinds and line.lstrip().startswith("xentcheck "):
            found.append((kinds[-1], shlex.split(line.replace("\\\n", " "))))
    return found


@by_framework
def test_what_can_be_a_target(tmp_path: Path, framework: str) -> None:
    """Each gets arrays of the framework, and what it has of an own backward is used."""
    names = NAMES[framework]
    told = surveyed(tmp_path, framework, {each: f'target: "mine.py:{each}"' for each in names})
    findings = {(name.lower(), quantity, kind) for name, quantity, kind in told.findings}
    assert findings == {
        ("vanishing", "gradient", "vanished-gradient"),
        ("doubled", "gradient", "inaccurate"),
        ("doubled", "gradient", "other-function"),
    }
    values, gradients = told.errors(), told.errors("gradient")
    assert set(values) == set(gradients) == set(names)
    assert max(values.values()) <= LIMIT
    for name in names:
        if name.lower() not in ("vanishing", "doubled"):
            assert gradients[name] <= LIMIT, name


@by_framework
def test_gradients_by_a_function(tmp_path: Path, framework: str) -> None:
    """It is taken instead of the framework's, which has nothing to say of a severed loss."""
    told = surveyed(
        tmp_path,
        framework,
        {
            "by-function": 'target: "mine.py:severed", gradient: slope',
            "severed": 'target: "mine.py:severed", gradient: auto',
            "flat": 'target: "mine.py:plain", gradient: "mine.py:flat"',
        },
    )
    gradients = told.errors("gradient")
    assert gradients["by-function"] <= LIMIT
    # JAX's derivative of a constant is zero; the others say that there is none
    kind = "vanished-gradient" if framework == "jax" else "raised"
    assert told.findings == {
        ("flat", "gradient", "vanished-gradient"),
        ("severed", "gradient", kind),
    }


@by_framework
def test_no_gradient(tmp_path: Path, framework: str) -> None:
    write(tmp_path, {"mine.py": SOURCES[framework]})
    own = (*implementations("mine.py:plain"), "--framework", framework)
    told = probed(tmp_path, *own, "--gradient", "none")
    assert set(told.errors()) == {"mine.py:plain"}
    assert told.errors("gradient") == {}
    assert [skip["reason"] for skip in told.report["skips"]] == ["has no gradient"]


@by_framework
def test_parameters_are_those_of_the_signature(tmp_path: Path, framework: str) -> None:
    write(tmp_path, {"mine.py": SOURCES[framework]})
    target = "mine.py:Module" if framework == "torch" else "mine.py:plain"
    own = (*implementations(target), "--framework", framework)
    told = probed(tmp_path, *own, "--param", "label_smoothing=0.25", logits="0,0.25,-0.25")
    assert told.findings == set()
    assert told.errors()[target] <= LIMIT
    assert told.errors("gradient")[target] <= LIMIT
    told = xentcheck(
        tmp_path,
        *("probe", "--loss", CE, "--logits=1,2", "--label=0", "--param", "temperature=2"),
        *own,
    )
    assert told.status == 3
    assert "does not take temperature" in told.stderr


@needs("torch")
def test_parameters_of_an_autograd_function(tmp_path: Path) -> None:
    """Its apply takes no keywords."""
    source = """\
        import torch
        from torch.nn import functional

        class Smoothed(torch.autograd.Function):
            @staticmethod
            def forward(ctx, logits, labels, weight=None, label_smoothing=0.0):
                with torch.enable_grad():
                    x = logits.detach().requires_grad_()
                    losses = functional.cross_entropy(
                        x, labels, weight, reduction="none", label_smoothing=label_smoothing
                    )
                    (slope,) = torch.autograd.grad(losses.sum(), x)
                ctx.save_for_backward(slope)
                return losses.detach()

            @staticmethod
            def backward(ctx, upstream):
                return upstream[:, None] * ctx.saved_tensors[0], None, None, None
    """
    write(tmp_path, {"mine.py": source})
    own = (*implementations("mine.py:Smoothed"), "--framework", "torch")
    for parameter in ("label_smoothing=0.25", "weight=1,2,0.5"):
        told = probed(tmp_path, *own, "--param", parameter, logits="0,0.25,-0.25")
        assert told.findings == set(), told.details
        assert told.errors()["mine.py:Smoothed"] <= LIMIT
        assert told.errors("gradient")["mine.py:Smoothed"] <= LIMIT


@needs("torch")
def test_an_autograd_function_without_ctx_in_its_forward(tmp_path: Path) -> None:
    source = """\
        import torch
        from torch.nn import functional

        class Smoothed(torch.autograd.Function):
            @staticmethod
            def forward(logits, labels, label_smoothing):
                return functional.cross_entropy(
                    logits, labels, reduction="none", label_smoothing=label_smoothing
                )

            @staticmethod
            def setup_context(ctx, inputs, output):
                ctx.save_for_backward(*inputs[:2])
                ctx.smoothing = inputs[2]

            @staticmethod
            def backward(ctx, upstream):
                logits, labels = ctx.saved_tensors
                onehot = functional.one_hot(labels, logits.shape[1])
                target = (1 - ctx.smoothing) * onehot + ctx.smoothing / logits.shape[1]
                return upstream[:, None] * (logits.softmax(1) - target), None, None
    """
    write(tmp_path, {"mine.py": source})
    own = (*implementations("mine.py:Smoothed"), "--framework", "torch")
    told = probed(tmp_path, *own, "--param", "label_smoothing=0.25", logits="0,0.25,-0.25")
    assert told.findings == set(), told.details
    assert told.errors()["mine.py:Smoothed"] <= LIMIT
    assert told.errors("gradient")["mine.py:Smoothed"] <= LIMIT


@by_framework
def test_replay_command_name_the_framework_and_reproduce(tmp_path: Path, framework: str) -> None:
    wrong = "Doubled" if framework == "torch" else "doubled"
    told = surveyed(tmp_path, framework, {wrong: f'target: "mine.py:{wrong}"'}, form="table")
    lines = dict(replays(told.stdout))
    assert lines.keys() == {"inaccurate", "other-function"}
    words = lines["inaccurate"]
    assert words[-4:] == ["--implementation", f"mine.py:{wrong}", "--framework", framework]
    again = xentcheck(tmp_path, *words[1:], "--format", "json")
    assert again.findings == {(f"mine.py:{wrong}", "gradient", "inaccurate")}
    assert again.errors("gradient")[f"mine.py:{wrong}"] > 1e6  # twice as large: 2^23 ulps


@needs("torch")
def test_check_finds_a_wrong_backward_and_its_replay_command_reproduce(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": TORCH})
    told = xentcheck(
        tmp_path,
        *("check", "mine.py:Vanishing", "--loss", CE, "--framework", "torch"),
        *("--dtype", "float32", "--or-abs", "1e-6", "--workers", "1", "-vv"),
    )
    assert told.status == 1
    lines = replays(told.stdout)
    assert "vanished-gradient" in [kind for kind, _ in lines]
    for kind, words in lines:
        assert words[-4:] == ["--implementation", "mine.py:Vanishing", "--framework", "torch"]
        if kind == "vanished-gradient":
            again = xentcheck(tmp_path, *words[1:], "--format", "json")
            assert ("mine.py:Vanishing", "gradient", kind) in again.findings


@needs("torch")
def test_the_example_goes_wrong_as_its_readme_says(tmp_path: Path) -> None:
    folder = tmp_path / "torch_module"
    shutil.copytree(EXAMPLES / "torch_module", folder)
    commands = commands_of(folder / "README.md")
    targets = [words[2] for words in commands]
    assert targets == ["mine.py:CrossEntropy", "mine.py:FusedCrossEntropy", "mine.py:cross_entropy"]
    options = ("--dtype", "float32", "--workers", "1")
    for words in commands:
        assert words[:2] == ["xentcheck", "check"]
        told = xentcheck(folder, *words[1:], *options, "--or-abs", "1e-6", "--format", "json")
        kinds = {(v["quantity"], v["kind"]) for v in told.report["violations"]}
        if words[2] == "mine.py:cross_entropy":
            assert told.status == 1
            assert kinds >= {("value", "nan"), ("value", "inaccurate")}
        else:
            assert (told.status, kinds) == (0, set())
    assert xentcheck(folder, *commands[1][1:], *options).status == 1


def test_a_framework_that_is_not_installed_is_said_with_the_remedy(tmp_path: Path) -> None:
    write(tmp_path, {"mine.py": dedent(TORCH)})
    absent = [name for name in SOURCES if importlib.util.find_spec(name) is None]
    if not absent:
        pytest.skip("every framework is installed")
    for name in absent:
        told = xentcheck(tmp_path, "check", "mine.py:plain", "--loss", CE, "--framework", name)
        assert told.status == 2
        said = f"error: mine.py:plain: {name} is not installed: pip install 'xentcheck[{name}]'"
        assert said in told.stderr.splitlines()
        assert sys.executable not in told.stderr


IN_PROCESS = {
    "torch": """\
        import torch
        from torch.nn import functional

        torch.set_num_threads(2)
        setting = torch.get_num_threads

        def loss(logits, labels):
            return functional.cross_entropy(logits, labels, reduction="none")

        class Module(torch.nn.Module):
            def forward(self, logits, labels):
                return loss(logits, labels)

        subjects = [loss, Module, Module()]
        """,
    "jax": """\
        import jax
        import jax.numpy as jnp

        def setting():
            return jax.config.jax_enable_x64

        def loss(logits, labels):
            rows = jax.nn.log_softmax(logits)
            return -jnp.take_along_axis(rows, labels[:, None], 1)[:, 0]

        subjects = [loss, lambda logits, labels: loss(logits, labels)]
        """,
    "tensorflow": """\
        import tensorflow as tf

        def setting():
            return None

        def loss(logits, labels):
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)

        subjects = [loss]
        """,
}
ASKING = """
import json
import xentcheck

told = []
for subject in subjects:
    before = setting()
    report = xentcheck.audit(
        subject, "softmax_cross_entropy", framework=FRAMEWORK, dtypes=["float64"], or_abs=1e-13
    )
    told.append({
        "changed": setting() != before,
        "version": report.environment.get(FRAMEWORK, report.environment.get(f"{FRAMEWORK}_cpu")),
        "dtypes": sorted({m.result_dtype for m in report.measurements}),
        "quantities": sorted({m.cell.quantity for m in report.measurements}),
        "ordinary": [m.max_abs for m in report.measurements if m.cell.sweep == "ordinary"],
    })
print(json.dumps(told))
"""


class TestFunctionsOfThisProcess:
    @pytest.mark.parametrize(
        "framework", [pytest.param(each, marks=needs(each)) for each in IN_PROCESS]
    )
    def test_they_are_audited_where_they_are(self, tmp_path: Path, framework: str) -> None:
        script = tmp_path / "asking.py"
        script.write_text(dedent(IN_PROCESS[framework]) + f"FRAMEWORK = {framework!r}\n" + ASKING)
        done = subprocess.run(
            [sys.executable, str(script)], capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        for told in json.loads(done.stdout.splitlines()[-1]):
            assert not told["changed"]
            assert told["version"]
            assert told["dtypes"] == ["float64"]
            assert told["quantities"] == ["gradient", "value"]
            assert len(told["ordinary"]) == 2
            assert max(told["ordinary"]) < 1e-13
