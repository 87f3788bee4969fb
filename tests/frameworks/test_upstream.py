"""Upstream gradients and memory layouts of users' own code for torch, JAX and TensorFlow.

Each framework lives in one process, which the run starts; every loss is right but for its backward
pass, or for how it reads a tensor.
"""

import importlib.util
from pathlib import Path
from textwrap import dedent

import numpy as np
import pytest

from xentcheck import config
from xentcheck.auditing.run import audit
from xentcheck.execution import Caller, hosts, open_targets
from xentcheck.model import Case, Finding, Kind, LabelKind, Quantity, Target

CE = "softmax_cross_entropy"
BLOCK = np.array([[0.0, 1.0, 2.0], [3.0, 0.0, 0.0], [1.0, 1.0, 1.5]], dtype=np.float32)
SECOND_ROW = [-0.0905570014873, 0.0452785007436, 0.0452785007436]

TORCH = """\
import torch
from torch.nn import functional


def value(x, y):
    return functional.cross_entropy(x, y, reduction="none")


def made(rule):
    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            ctx.save_for_backward(x, y)
            return value(x, y)

        @staticmethod
        def backward(ctx, grad_output):
            x, y = ctx.saved_tensors
            one_hot = functional.one_hot(y, x.shape[1])
            local = torch.softmax(x, 1) - one_hot.to(x.dtype)
            return local * torch.as_tensor(rule(grad_output)).expand(len(x))[:, None], None

    return Loss


sound = made(lambda g: g)
composed = lambda x, y: -torch.log(torch.softmax(x, 1))[torch.arange(len(x)), y]
first = made(lambda g: g[0])
ignored = made(lambda g: torch.ones_like(g))
mean = made(lambda g: g.mean())
divided = made(lambda g: 1 / g)
twice = made(lambda g: g * g)
half = made(lambda g: g.half().to(g.dtype))
strided = made(lambda g: torch.as_strided(g, g.shape, (1,), g.storage_offset()))


def packed(x, y):
    return value(torch.as_strided(x, x.shape, (x.shape[1], 1), x.storage_offset()), y)


def from_start(x, y):
    return value(torch.as_strided(x, x.shape, x.stride(), 0), y)


def insists(x, y):
    assert x.is_contiguous(), "contiguous tensors only"
    return value(x, y)
"""

JAX = """\
import jax
import jax.numpy as jnp


def value(x, y):
    return jax.nn.logsumexp(x, axis=1) - jnp.take_along_axis(x, y[:, None], axis=1)[:, 0]


def made(rule):
    @jax.custom_vjp
    def loss(x, y):
        return value(x, y)

    def forward(x, y):
        return value(x, y), (x, y)

    def backward(saved, g):
        x, y = saved
        local = jax.nn.softmax(x, axis=1) - jax.nn.one_hot(y, x.shape[1], dtype=x.dtype)
        return local * jnp.broadcast_to(rule(g), g.shape)[:, None], None

    loss.defvjp(forward, backward)
    return loss


sound = made(lambda g: g)
composed = lambda x, y: -jnp.log(jax.nn.softmax(x, axis=1))[jnp.arange(len(x)), y]
first = made(lambda g: g[0])
ignored = made(jnp.ones_like)
divided = made(lambda g: 1 / g)
twice = made(lambda g: g * g)
half = made(lambda g: g.astype(jnp.float16).astype(g.dtype))
"""

TENSORFLOW = """\
import tensorflow as tf


def value(x, y):
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=x)


def made(rule):
    def loss(x, y):
        @tf.custom_gradient
        def of(x):
            def backward(g):
                local = tf.nn.softmax(x) - tf.one_hot(y, tf.shape(x)[1], dtype=x.dtype)
                return local * tf.broadcast_to(rule(g), tf.shape(g))[:, None]

            return value(x, y), backward

        return of(x)

    return loss


sound = made(lambda g: g)
composed = lambda x, y: -tf.math.log(tf.gather(tf.nn.softmax(x), y, batch_dims=1))
first = made(lambda g: g[0])
ignored = made(tf.ones_like)
divided = made(lambda g: 1 / g)
twice = made(lambda g: g * g)
half = made(lambda g: tf.cast(tf.cast(g, tf.float16), g.dtype))
"""

SOURCES = {"torch": TORCH, "jax": JAX, "tensorflow": TENSORFLOW}
SAID = {
    "first": "the upstream gradient of the first row is applied to every row",
    "ignored": "the upstream gradient is ignored",
    "mean": "the mean of all upstream gradients is applied to every row",
    "divided": "it is divided by the upstream gradient",
    "twice": "the upstream gradient is applied twice",
    "half": "2^16",
}

FOUND = dict[tuple[str, str], dict[Kind, Finding]]


@pytest.fixture(scope="module", params=SOURCES)
def framework(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"needs {name}: pip install 'xentcheck[{name}]'")
    return name


@pytest.fixture(scope="module")
def found(framework: str, tmp_path_factory: pytest.TempPathFactory) -> FOUND:
    """Findings by name and quantity, by kind."""
    folder = tmp_path_factory.mktemp(framework)
    (folder / "mine.py").write_text(SOURCES[framework])
    names = [each for each in names_of(framework) if each not in ("made", "value")]
    listed = "".join(
        f"  - {{loss: {CE}, target: mine.py:{each}, framework: {framework}, name: {each}}}\n"
        for each in names
    )
    sweep = f"""\
    sweeps:
      small:
        losses: {CE}
        dtypes: [float32, float64]
        implementations: {names}
        inputs:
          - {{generator: explicit, values: [[0, 3, 1], [1, 0, 1], [2, 0, 1.5], [0, 0.5, 1]]}}
          - {{generator: normal, rows: 8, classes: 3}}
    """
    (folder / "own.yaml").write_text(f"implementations:\n{listed}{dedent(sweep)}")
    report = audit(config.load(folder / "own.yaml"))
    assert {each.cell.implementation for each in report.measurements} == set(names)
    kinds: FOUND = {
        (each.cell.implementation, each.cell.quantity.value): {} for each in report.measurements
    }
    for each in report.findings:
        kinds[each.cell.implementation, each.cell.quantity.value][each.kind] = each
    return kinds


def names_of(framework: str) -> list[str]:
    """The names that a source defines for itself."""
    lines = SOURCES[framework].splitlines()
    defined = [each.split("(")[0].removeprefix("def ") for each in lines if each[:4] == "def "]
    return defined + [each.split(" = ")[0] for each in lines if " = " in each and each[0] != " "]


OTHERWISE = {Kind.COTANGENT, Kind.LAYOUT_DEPENDENT}


def test_sound_losses_follow_and_lie_as_they_like(found: FOUND) -> None:
    for name in ("sound", "composed"):
        for quantity in ("value", "gradient"):
            assert not set(found[name, quantity]) & OTHERWISE


@pytest.mark.parametrize("name", SAID)
def test_a_backward_pass_that_does_not_follow_is_found(found: FOUND, name: str) -> None:
    if (name, "gradient") not in found:
        pytest.skip("one framework has it")
    finding = found[name, "gradient"][Kind.COTANGENT]
    assert SAID[name] in finding.detail
    assert not set(found[name, "value"]) & OTHERWISE
    assert Kind.LAYOUT_DEPENDENT not in found[name, "gradient"]


@pytest.mark.parametrize(
    ("name", "layout"),
    [("packed", "transposed"), ("from_start", "offset"), ("insists", "contiguous tensors only")],
)
def test_a_tensor_read_otherwise_than_it_lies_is_found(
    found: FOUND, name: str, layout: str
) -> None:
    if (name, "value") not in found:
        pytest.skip("has no strides")
    for quantity in ("value", "gradient"):
        assert layout in found[name, quantity][Kind.LAYOUT_DEPENDENT].detail


def test_the_upstream_gradient_lies_otherwise_too(found: FOUND) -> None:
    if ("strided", "gradient") not in found:
        pytest.skip("has no strides")
    assert not set(found["strided", "value"]) & OTHERWISE
    assert "stepped" in found["strided", "gradient"][Kind.LAYOUT_DEPENDENT].detail


def test_the_gradient_is_the_upstream_one_times_that_of_the_row(
    framework: str, tmp_path: Path
) -> None:
    """Weights 0, 1, 2: the first row has no gradient, the second its own, the third twice it."""
    (tmp_path / "mine.py").write_text(SOURCES[framework])
    labels = np.array([1, 0, 2])
    case = Case("s", "explicit", CE, "float32", BLOCK, LabelKind.INTEGER, labels)
    weights = np.array([0, 1, 2], dtype=np.float32)
    try:
        for name in ("sound", "composed", "first"):
            place = f"{tmp_path}/mine.py:{name}"
            (mine,) = open_targets([Target(CE, place, name, "auto", framework=framework)])
            caller = Caller(mine, case, Quantity.GRADIENT)
            weighted, plain = caller.call(cotangent=weights), caller.call()
            np.testing.assert_allclose(plain[1], SECOND_ROW, rtol=1e-5)
            if name == "first":
                assert not weighted.any()
                continue
            np.testing.assert_allclose(weighted, weights[:, None] * plain, rtol=1e-5, atol=1e-12)
    finally:
        hosts.close()


@pytest.mark.parametrize("loss", ["softmax", "log_sigmoid"])
def test_losses_of_several_results_follow_too(framework: str, tmp_path: Path, loss: str) -> None:
    """The gradient of one component per row, and of elementwise losses."""
    text = {
        "torch": "import torch\nfrom torch.nn import functional as f\n"
        "def softmax(x):\n    return torch.softmax(x, 1)\n"
        "def log_sigmoid(x):\n    return f.logsigmoid(x)\n",
        "jax": "import jax\n"
        "def softmax(x):\n    return jax.nn.softmax(x, axis=1)\n"
        "def log_sigmoid(x):\n    return jax.nn.log_sigmoid(x)\n",
        "tensorflow": "import tensorflow as tf\n"
        "def softmax(x):\n    return tf.nn.softmax(x)\n"
        "def log_sigmoid(x):\n    return tf.math.log_sigmoid(x)\n",
    }[framework]
    (tmp_path / "own.py").write_text(text)
    labels = np.array([1, 0, 2])
    block, kind, weights = BLOCK, LabelKind.INTEGER, np.array([3, 0, -2], dtype=np.float32)
    if loss == "log_sigmoid":
        block, kind = BLOCK[0], LabelKind.NONE
    case = Case(
        "s", "explicit", loss, "float32", block, kind, labels if kind is LabelKind.INTEGER else None
    )
    try:
        place = f"{tmp_path}/own.py:{loss}"
        (mine,) = open_targets([Target(loss, place, loss, "auto", framework=framework)])
        caller = Caller(mine, case, Quantity.GRADIENT)
        weighted, plain = caller.call(cotangent=weights), caller.call()
    finally:
        hosts.close()
    factors = weights[:, None] if plain.ndim == 2 else weights
    assert plain.any()
    np.testing.assert_allclose(weighted, factors * plain, rtol=1e-5, atol=1e-12)
