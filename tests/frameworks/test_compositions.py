"""The compositions that articles warn about, each with the failure it is known for, by command.

Exact values are those of the formulas: softmax cross-entropy of [0, g] with label 0 is g to the
last digit for g ≥ 20, and so is the binary one of −g with label 1. e^−104 is less than half the
smallest float32, 2^−149, so that a softmax is 0 there; its logarithm is −inf. What a clip or an
epsilon of 1e-7 leaves of a loss is −log 1e-7 = 16.118.
"""

import math

import pytest

from tests.frameworks.test_facts import asked, kinds, measured, number
from xentcheck.registry import load_registered

pytestmark = pytest.mark.fact(
    "torch", "jax", "optax", "tensorflow-cpu", "keras", "scipy", "scikit-learn", "onnxruntime"
)

CE, BCE, FOCAL = "softmax_cross_entropy", "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
INF = math.inf
PLATEAU = -math.log(1e-7)
SOFTMAX = "torch.nn.functional.softmax"
ROW = ("--logits=0,104", "--label=0")
SOFT_ROW = ("--logits=0,104", "--labels=1,0")
ELEMENT = ("--logits=-104", "--label=1")

# loss, name, input, what comes back, its kind; the exact value is 104
KNOWN = [
    (CE, f"{SOFTMAX}+log+nll_loss", ROW, INF, "spurious-overflow"),
    (CE, f"{SOFTMAX}+log-gather", ROW, INF, "spurious-overflow"),
    (CE, f"{SOFTMAX}+log-dot", SOFT_ROW, INF, "spurious-overflow"),
    (CE, f"{SOFTMAX}+epsilon+log-dot", ROW, PLATEAU, "inaccurate"),
    (BCE, "torch.sigmoid+binary_cross_entropy", ELEMENT, 100.0, "inaccurate"),
    (BCE, "torch.sigmoid+log", ELEMENT, INF, "spurious-overflow"),
    (CE, "jax.nn.softmax+jnp.log+take_along_axis", ROW, INF, "spurious-overflow"),
    (CE, "jax.nn.softmax+jnp.log+sum", SOFT_ROW, INF, "spurious-overflow"),
    (CE, "jax.nn.softmax+epsilon+jnp.log+sum", ROW, PLATEAU, "inaccurate"),
    (BCE, "jax.nn.sigmoid+jnp.log", ELEMENT, INF, "spurious-overflow"),
    (CE, "tf.nn.softmax+tf.math.log", SOFT_ROW, INF, "spurious-overflow"),
    (CE, "tf.nn.softmax+tf.math.log+tf.gather", ROW, INF, "spurious-overflow"),
    (CE, "tf.nn.softmax+epsilon+tf.math.log", ROW, PLATEAU, "inaccurate"),
    (CE, "tf.nn.softmax+tf.clip_by_value+tf.math.log", ROW, -math.log(1e-10), "inaccurate"),
    (BCE, "tf.sigmoid+tf.math.log", ELEMENT, INF, "spurious-overflow"),
    (CE, "tf.nn.softmax+keras.losses.CategoricalCrossentropy", SOFT_ROW, PLATEAU, "inaccurate"),
    (CE, "tf.nn.softmax+keras.losses.SparseCategoricalCrossentropy", ROW, PLATEAU, "inaccurate"),
    (BCE, "tf.sigmoid+keras.losses.BinaryCrossentropy", ELEMENT, PLATEAU, "inaccurate"),
]


@pytest.mark.parametrize(("loss", "name", "given", "returned", "kind"), KNOWN)
def test_a_large_loss_overflows_or_ends_in_a_plateau(
    loss: str, name: str, given: tuple[str, ...], returned: float, kind: str
) -> None:
    document = asked(loss, name, *given)
    witness = measured(document, "value")["witness"]
    assert float(witness["exact"]) == 104
    assert number(witness["actual"]) == pytest.approx(returned, rel=1e-5)
    assert kind in kinds(document, "value")
    gradient = measured(document, "gradient")
    # −1 for the label: 0 behind a clip, −e^−104/ε behind an epsilon, 0/0 behind a log of 0
    assert {"nan", "vanished-gradient", "inaccurate"} & kinds(document, "gradient"), gradient


@pytest.mark.parametrize(
    ("loss", "name", "given"),
    [
        (CE, "keras.layers.Softmax+CategoricalCrossentropy", SOFT_ROW),
        (CE, "keras.layers.Softmax+SparseCategoricalCrossentropy", ROW),
        (BCE, "keras.layers.Activation+BinaryCrossentropy", ELEMENT),
        (CE, "tf.nn.softmax+keras.losses.SparseCategoricalCrossentropy@function", ROW),
        (BCE, "tf.sigmoid+keras.losses.BinaryCrossentropy@function", ELEMENT),
    ],
)
def test_keras_finds_the_logits_behind_its_own_layers_and_in_a_graph(
    loss: str, name: str, given: tuple[str, ...]
) -> None:
    """Keras 3 on TensorFlow takes the logits for what seems to be probabilities."""
    document = asked(loss, name, *given)
    assert number(measured(document, "value")["witness"]["actual"]) == 104
    assert not kinds(document, "value")


@pytest.mark.parametrize(
    "name", ["torch.sigmoid+log", "jax.nn.sigmoid+jnp.log", "tf.sigmoid+tf.math.log"]
)
def test_focal_loss_of_a_sigmoid_is_nan_where_it_should_be_0(name: str) -> None:
    """At 20, sigmoid is 1 in float32, and 0 · log 0 is NaN; exact: (e^−20)³, about 8.757e-27."""
    document = asked(FOCAL, name, "--logits=20", "--label=1")
    witness = measured(document, "value")["witness"]
    assert float(witness["exact"]) == pytest.approx(8.7565e-27, rel=1e-4)
    assert math.isnan(number(witness["actual"]))


@pytest.mark.parametrize(
    "name", ["torch.log+sum", "jax.numpy.log+sum", "tf.math.log+tf.reduce_sum"]
)
def test_a_target_of_0_makes_kl_and_entropy_nan(name: str) -> None:
    """0 · log 0; exact: log 2 for the target [1, 0] against [log ½, log ½], 0 for [1, 0] alone."""
    half = repr(math.log(0.5))
    document = asked("kl_divergence", name, f"--logits={half},{half}", "--labels=1,0")
    assert math.isnan(number(measured(document, "value")["witness"]["actual"]))
    document = asked("entropy", name, "--logits=1,0")
    assert math.isnan(number(measured(document, "value")["witness"]["actual"]))


def test_compositions_are_registered_and_kept_apart_by_a_plus_in_the_name() -> None:
    """No framework is needed to list them; a fused function has the name that it is imported by."""
    compositions = {(loss, name.partition("@")[0]) for loss, name, *_ in KNOWN}
    assert compositions <= {(each.loss, each.name) for each in load_registered()[0]}
    assert all("+" in name for _, name in compositions)
