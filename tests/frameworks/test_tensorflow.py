"""TensorFlow and Keras: what they compute on ordinary rows, and where they are known to err."""

import functools
import importlib.util
import math
import pickle
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import ml_dtypes
import mpmath
import numpy as np
import pytest

from tests.frameworks.asking import epsilon_slack, gradient, value
from xentcheck.errors import UnsupportedError
from xentcheck.floats import from_float64
from xentcheck.implementations.bridge import Call, Job, deferred
from xentcheck.implementations.frameworks.tensorflow import TENSORFLOW, tensorflow_implementations
from xentcheck.losses import LOSSES
from xentcheck.model import Array, Case, Domain, Implementation, LabelKind, Layout, Quantity
from xentcheck.reference import exact

fact = pytest.mark.fact("tensorflow-cpu", "keras")

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in TENSORFLOW.process.modules),
    reason="TensorFlow or Keras is not installed",
)

tf: Any = deferred("tensorflow")
keras: Any = deferred("keras")

ALL = {(each.loss, each.name): each for each in tensorflow_implementations()}
COMPILED = ("function", "xla")
INF, NAN = math.inf, math.nan
CE, BCE, FOCAL = "softmax_cross_entropy", "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
CCE, BCE_P = "categorical_cross_entropy", "binary_cross_entropy"
DENSE = "tf.nn.softmax_cross_entropy_with_logits"
SPARSE = "tf.nn.sparse_softmax_cross_entropy_with_logits"
SIGMOID = "tf.nn.sigmoid_cross_entropy_with_logits"
WEIGHTED = "tf.nn.weighted_cross_entropy_with_logits"
# (relative, absolute): a few roundings of each dtype, results being of the order of 1
TOLERANCES = {
    "float16": (1e-2, 5e-3),
    "bfloat16": (6e-2, 4e-2),
    "float32": (2e-5, 2e-6),
    "float64": (1e-12, 1e-13),
}


@pytest.fixture(autouse=True, scope="module")
def _environment() -> Iterator[None]:
    """That of the bridge's process; TensorFlow reads it as it is imported."""
    with pytest.MonkeyPatch.context() as patch:
        for name, setting in TENSORFLOW.process.environment:
            patch.setenv(name, setting)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for module in TENSORFLOW.process.modules:
                importlib.import_module(module)
        yield


def _ordinary(loss: str, dtype: str, kind: LabelKind) -> tuple[Array, Array]:
    """Seven rows that no formula has trouble with, and labels (for per-class losses: which one)."""
    rng = np.random.default_rng(11)
    spec = LOSSES[loss]
    rows, classes = 7, 4
    shape = (rows,) if spec.layout is Layout.ELEMENTWISE else (rows, classes)
    p = rng.uniform(0.15, 0.85, shape)
    p = p / p.sum(axis=1, keepdims=True) if len(shape) == 2 else p
    x = p if spec.domain is Domain.PROBABILITIES else rng.normal(size=shape) * 1.5
    labels = {
        LabelKind.NONE: rng.integers(0, classes, rows),
        LabelKind.INTEGER: rng.integers(0, classes, rows),
        LabelKind.DISTRIBUTION: rng.dirichlet(np.ones(classes), rows),
        LabelKind.TARGET: rng.choice([0.0, 1.0, 0.25], rows),
    }[kind]
    labels = labels if labels.dtype.kind == "i" else from_float64(labels, dtype)
    return from_float64(x, dtype), labels


def _call(found: Implementation, quantity: Quantity, x: Any, labels: Any, **more: Any) -> Array:
    spec = LOSSES[found.loss]
    call = found.value if quantity is Quantity.VALUE else found.gradient
    assert call is not None
    unlabelled = spec.label_kinds == (LabelKind.NONE,)
    if unlabelled or (spec.per_class and quantity is Quantity.VALUE):
        return np.asarray(call(x, **more))
    return np.asarray(call(x, labels, **more))


def _normalises(found: Implementation) -> bool:
    """Keras divides the probabilities of classes by their sum."""
    return found.loss == CCE


def _expected(
    found: Implementation,
    quantity: Quantity,
    dtype: str,
    x: Array,
    labels: Array,
    kind: LabelKind,
    parameters: Mapping[str, Any],
) -> Array:
    spec = LOSSES[found.loss]
    unlabelled = spec.label_kinds == (LabelKind.NONE,)
    given = None if unlabelled else labels
    kind = LabelKind.NONE if unlabelled else kind
    case = Case("s", "g", found.loss, dtype, x, kind, given, parameters)
    both = exact(case)
    if quantity is Quantity.VALUE:
        return both.value.midpoints()
    slopes = both.gradient.midpoints()
    if _normalises(found):  # −Σ y log(p / Σp) has the derivative −y/p + Σy/Σp, with both sums 1
        slopes = slopes + (1 / len(x) if parameters.get("reduction") == "mean" else 1)
    return slopes


SETTINGS: dict[str, tuple[Any, ...]] = {
    "pos_weight": (2.5,),
    "label_smoothing": (0.125,),
    "ignore_index": (2, -100),
    "alpha": (0.25,),
    "gamma": (1.5, 0.0),
    "reduction": ("mean", "sum"),
}


def _settings(found: Implementation, dtype: str) -> list[dict[str, Any]]:
    """Each parameter on its own, and all at once; less where each costs a compilation."""
    variant = found.name.partition("@")[2]
    names = sorted(found.parameters)
    if variant == "axis0":  # see the test of its label_smoothing
        names = [name for name in names if name != "label_smoothing"]
    at_once = {name: SETTINGS[name][0] for name in names}
    if variant in COMPILED:
        return [{}, at_once] if names and dtype == "float32" else [{}]
    alone = [{name: each} for name in names for each in SETTINGS[name]]
    return [{}, *alone, at_once] if len(names) > 1 else [{}, *alone]


@pytest.mark.parametrize("dtype", TOLERANCES)
@pytest.mark.parametrize("key", ALL, ids="-".join)
def test_what_is_declared_is_the_textbook_on_ordinary_rows(
    key: tuple[str, str], dtype: str
) -> None:
    found = ALL[key]
    assert dtype in found.dtypes
    relative, absolute = (each + epsilon_slack(found) for each in TOLERANCES[dtype])
    for kind in found.label_kinds:
        x, labels = _ordinary(found.loss, dtype, kind)
        before = x.tobytes(), labels.tobytes()
        for parameters in _settings(found, dtype):
            for quantity in Quantity:
                actual = _call(found, quantity, x, labels, **parameters)
                wanted = _expected(found, quantity, dtype, x, labels, kind, parameters)
                assert actual.dtype == x.dtype
                assert actual.shape == wanted.shape
                np.testing.assert_allclose(
                    actual.astype(np.float64),
                    wanted,
                    rtol=relative,
                    atol=absolute,
                    err_msg=f"{quantity} {kind} {parameters}",
                )
        assert (x.tobytes(), labels.tobytes()) == before


def test_every_declared_parameter_has_a_setting_and_every_name_stands_once() -> None:
    assert {name for each in ALL.values() for name in each.parameters} == set(SETTINGS)
    assert len(ALL) == len(tensorflow_implementations())
    for each in ALL.values():
        assert each.process is TENSORFLOW.process
        assert 0 < len(each.summary.partition(": ")[0]) <= 90


def test_implementations_pickle_and_mean_the_same_afterwards() -> None:
    for each in ALL.values():
        again = pickle.loads(pickle.dumps(each))
        for sent, own in ((again.value, each.value), (again.gradient, each.gradient)):
            assert isinstance(sent, Call)
            assert isinstance(own, Call)
            assert isinstance(sent.bridge, type(TENSORFLOW))
            assert (sent.function, sent.loss) == (own.function, each.loss)
            assert (sent.quantity, sent.variant) == (own.quantity, own.variant)


@pytest.mark.parametrize("variant", ["", "@function", "@xla"])
def test_one_graph_serves_any_number_of_rows_and_a_row_does_not_see_the_others(
    variant: str,
) -> None:
    found = ALL[CE, SPARSE + variant]
    x, labels = _ordinary(CE, "float64", LabelKind.INTEGER)
    for quantity in Quantity:
        whole = _call(found, quantity, x, labels)
        for rows in (1, 2, 5):
            part = _call(found, quantity, x[:rows], labels[:rows])
            np.testing.assert_allclose(part, whole[:rows], rtol=1e-14)


# Known facts, float32 unless said. Exact values by mpmath.


@fact
@pytest.mark.parametrize("variant", ["", "@function", "@xla", "@onehot"])
def test_cross_entropy_is_0_as_p_nears_1_and_so_is_the_gradient_of_the_label(variant: str) -> None:
    """log(1 + 2 e^−20) = 4.12e-9: 1 + 2 e^−20 is 1 in float32, and so is p."""
    found = ALL[CE, SPARSE + variant]
    assert float(mpmath.log1p(2 * mpmath.exp(-20))) == pytest.approx(4.1223072e-9)
    assert value(found, [[20, 0, 0]], [0]).tolist() == [0.0]
    slopes = gradient(found, [[20, 0, 0]], [0])[0]
    assert slopes[0] == 0
    assert slopes[1:] == pytest.approx(math.exp(-20), rel=1e-6)


MASKED_CLASS = [[1.0, 2.0, -INF]]


@fact
@pytest.mark.parametrize("name", [DENSE, f"{DENSE}@function", f"{DENSE}@axis0", f"{SPARSE}@onehot"])
def test_one_hot_labels_on_a_masked_class_cost_nan_with_a_finite_gradient(name: str) -> None:
    """0·(−inf) is NaN in the value; the gradient is p − y."""
    labels: Any = [1] if SPARSE in name else [[0.0, 1.0, 0.0]]
    assert np.isnan(value(ALL[CE, name], MASKED_CLASS, labels)[0])
    p = 1 / (1 + math.e)
    assert gradient(ALL[CE, name], MASKED_CLASS, labels)[0] == pytest.approx([p, -p, 0], rel=1e-6)


@fact
@pytest.mark.parametrize(
    ("name", "labels"),
    [(SPARSE, [1]), (f"{SPARSE}@xla", [1]), (f"{DENSE}@xla", [[0.0, 1.0, 0.0]])],
)
def test_integer_labels_and_xla_have_no_trouble_with_a_masked_class(name: str, labels: Any) -> None:
    result = value(ALL[CE, name], MASKED_CLASS, labels)
    assert result[0] == pytest.approx(math.log1p(math.exp(-1)), rel=1e-6)


@fact
@pytest.mark.parametrize("name", [DENSE, f"{DENSE}@xla", "keras.losses.CategoricalCrossentropy"])
def test_labels_that_sum_to_2_get_the_gradient_p_minus_y(name: str) -> None:
    """The derivative of the value that is returned is 2p − y."""
    found, p = ALL[CE, name], 1 / (1 + math.exp(1))
    assert value(found, [[0, 1]], [[2.0, 0.0]])[0] == pytest.approx(-2 * math.log(p), rel=1e-6)
    slopes = gradient(found, [[0, 1]], [[2.0, 0.0]])[0]
    assert slopes == pytest.approx([p - 2, 1 - p], rel=1e-6)
    assert abs(slopes[0] - (2 * p - 2)) > 0.2


@fact
def test_weighted_cross_entropy_has_no_gradient_at_0() -> None:
    """Of |x| and relu(−x) TensorFlow takes the derivative 0 there; it is σ(0) − 1 = −1/2."""
    for variant in ("", "@function", "@xla"):
        found = ALL[BCE, WEIGHTED + variant]
        assert gradient(found, [0.0], [1.0])[0] == 0
    assert gradient(ALL[BCE, SIGMOID], [0.0], [1.0])[0] == -0.5


@fact
@pytest.mark.parametrize("variant", ["", "@function", "@xla"])
def test_sigmoid_cross_entropy_is_nan_at_infinite_logits(variant: str) -> None:
    """max(x, 0) − x z: inf − inf or inf·0; the limits are inf, 0, 0. The gradient is right."""
    x, z = [INF, INF, -INF, -INF], [0.0, 1.0, 0.0, 1.0]
    found = ALL[BCE, SIGMOID + variant]
    assert np.isnan(value(found, x, z)[:3]).all()
    assert value(found, x, z)[3] == INF
    assert gradient(found, x, z).tolist() == [1, 0, 0, -1]


@fact
def test_the_graph_optimiser_loses_the_gradient_of_sigmoid_cross_entropy() -> None:
    """At (20, 1) it is −σ(−20) = −2.06e-9; Grappler adds the terms in another order."""
    assert gradient(ALL[BCE, SIGMOID], [20.0], [1.0])[0] == pytest.approx(-math.exp(-20), rel=1e-6)
    assert gradient(ALL[BCE, f"{SIGMOID}@function"], [20.0], [1.0])[0] == 0


@fact
def test_the_graph_optimiser_turns_log_of_softmax_into_log_softmax() -> None:
    name, x = "tf.nn.softmax+tf.math.log", [[0.0, 200.0]]
    assert value(ALL[CE, name], x, [0])[0] == INF
    assert value(ALL[CE, f"{name}@function"], x, [0])[0] == 200
    assert value(ALL["log_softmax", name], x)[0, 0] == -INF
    assert value(ALL["log_softmax", f"{name}@function"], x)[0, 0] == -200


@fact
def test_the_graph_optimiser_turns_log_of_1_plus_into_log1p() -> None:
    name = "tf.exp+tf.math.log"
    assert value(ALL["softplus", name], [-20.0])[0] == 0
    optimised = value(ALL["softplus", f"{name}@function"], [-20.0])[0]
    assert optimised == pytest.approx(math.exp(-20), rel=1e-6)


@fact
def test_subnormal_results_are_flushed_to_zero() -> None:
    """softplus(−90) = e^−90 = 8.2e-40."""
    for variant in ("", "@function", "@xla"):
        assert value(ALL["softplus", f"tf.nn.softplus{variant}"], [-90.0])[0] == 0


@fact
def test_logsumexp_of_nothing_is_minus_infinity_with_a_nan_gradient() -> None:
    for name in ("tf.reduce_logsumexp", "keras.ops.logsumexp"):
        found = ALL["logsumexp", name]
        assert value(found, [[-INF, -INF]])[0] == -INF
        assert np.isnan(gradient(found, [[-INF, -INF]])).all()


@fact
def test_labels_out_of_range_are_refused_taken_for_nan_or_for_no_class() -> None:
    """By the plain call, by XLA, and by one-hot labels, in that order."""
    x: Any = [[0.0, 1.0, 3.0]]
    for variant in ("", "@function"):
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside the valid range"):
            value(ALL[CE, SPARSE + variant], x, [5])
    assert np.isnan(value(ALL[CE, f"{SPARSE}@xla"], x, [5])[0])
    assert value(ALL[CE, f"{SPARSE}@onehot"], x, [5])[0] == 0


@fact
@pytest.mark.parametrize("variant", ["", "@function", "@xla"])
def test_keras_clips_probabilities_and_has_no_gradient_there(variant: str) -> None:
    """−log(1e-7) = 16.118 instead of inf; −log(1 − fl(1 − 1e-7)) = −log(2^−23) = 15.942."""
    found = ALL[BCE_P, f"keras.losses.BinaryCrossentropy{variant}"]
    heights = value(found, [0.0, 1.0], [1.0, 0.0])
    assert heights == pytest.approx([-math.log(1e-7), 23 * math.log(2)], rel=1e-6)
    assert gradient(found, [0.0, 1.0], [1.0, 0.0]).tolist() == [0, 0]


@fact
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_keras_does_not_clip_at_1_in_16_bits(dtype: str) -> None:
    """1 − 1e-7 is 1 there: inf where p = 1 is wrong, 0·(−inf) where it is right."""
    found = ALL[BCE_P, "keras.losses.BinaryCrossentropy"]
    assert value(found, [1.0], [0.0], dtype)[0] == INF
    assert np.isnan(value(found, [1.0], [1.0], dtype)[0])
    assert value(found, [1.0], [1.0], "float32")[0] < 2e-7


@fact
def test_keras_normalises_probabilities() -> None:
    """0/0 is NaN; (1, 1) becomes (½, ½), at a cost of log 2 instead of 0."""
    found = ALL[CCE, "keras.losses.CategoricalCrossentropy"]
    costs = value(found, [[0, 0, 0], [1, 1, 0]], [[1.0, 0, 0], [1.0, 0, 0]])
    assert np.isnan(costs[0])
    assert costs[1] == pytest.approx(math.log(2), rel=1e-6)


@fact
def test_keras_gives_a_gradient_to_classes_without_label() -> None:
    """By the normalisation: (−y/p + 1), so (−1, 1, 1) where −y/p is (−2, 0, 0)."""
    for name in ("CategoricalCrossentropy", "SparseCategoricalCrossentropy"):
        slopes = gradient(ALL[CCE, f"keras.losses.{name}"], [[0.5, 0.25, 0.25]], [0])[0]
        assert slopes == pytest.approx([-1, 1, 1], rel=1e-6)


@fact
@pytest.mark.parametrize(
    ("dtype", "label", "taken"), [("bfloat16", 257, 256), ("float16", 2049, 2048)]
)
def test_keras_rounds_integer_labels_to_the_dtype(dtype: str, label: int, taken: int) -> None:
    """A loss casts y_true to its dtype, where 257 (2049 in float16) is not a number."""
    x = np.zeros((1, 2100))
    x[0, label], x[0, taken] = 4.0, -4.0
    sparse = ALL[CE, "keras.losses.SparseCategoricalCrossentropy"]
    assert np.argmin(gradient(sparse, x, [label], dtype)[0].astype(float)) == taken
    wrong = value(sparse, x, [label], dtype) - value(ALL[CE, SPARSE], x, [label], dtype)
    assert wrong[0] == pytest.approx(8.0, rel=1e-2)


@fact
def test_keras_cannot_take_labels_beyond_the_range_of_float16() -> None:
    """70,000 overflows to inf, and the cast back gives −2^63."""
    found = ALL[CE, "keras.losses.SparseCategoricalCrossentropy"]
    with pytest.raises(tf.errors.InvalidArgumentError, match="-9223372036854775808"):
        value(found, np.zeros((1, 70001)), [70000], "float16")


@fact
def test_keras_smooths_by_the_last_axis_whatever_the_axis() -> None:
    """With the classes along axis 0, ε is divided by the number of rows, here 2, not 3."""
    x, labels, smoothing = [[0.0, 1.0, 3.0], [1.0, 2.0, 3.0]], [0, 1], 0.25
    found = ALL[CE, "keras.losses.CategoricalCrossentropy@axis0"]
    results = value(found, x, labels, label_smoothing=smoothing)
    for row, label, result in zip(x, labels, results, strict=True):
        lse = math.log(sum(map(math.exp, row)))
        surprise = [lse - each for each in row]
        kept = (1 - smoothing) * surprise[label]
        assert result == pytest.approx(kept + smoothing / 2 * sum(surprise), rel=1e-5)
        assert abs(result - kept - smoothing / 3 * sum(surprise)) > 0.1


@fact
def test_keras_ignores_rows_altogether_and_a_mean_over_nothing_is_0() -> None:
    found = ALL[CE, "keras.losses.SparseCategoricalCrossentropy"]
    x, labels = [[0.0, 1.0], [NAN, -INF]], [0, -100]
    assert value(found, x, labels, ignore_index=-100)[1] == 0
    assert gradient(found, x, labels, ignore_index=-100)[1].tolist() == [0, 0]
    kept = math.log1p(math.e)
    mean = value(found, x, labels, ignore_index=-100, reduction="mean")
    assert mean == pytest.approx(kept, rel=1e-6)
    assert value(found, x, [-100, -100], ignore_index=-100, reduction="mean") == 0


@fact
def test_focal_loss_underflows_long_before_its_value_does() -> None:
    """σ(−20)² · softplus(−20) = 8.8e-27, but 1 − p_t is taken from p_t = 1."""
    found = ALL[FOCAL, "keras.losses.BinaryFocalCrossentropy"]
    assert float(mpmath.exp(-60)) > np.finfo(np.float32).tiny
    assert value(found, [20.0], [1.0])[0] == 0


# A user's own callables


def _ask(
    function: Any,
    x: Any,
    labels: Any,
    quantity: Quantity = Quantity.VALUE,
    variant: str = "",
    **parameters: Any,
) -> Array:
    job = Job(function, np.asarray(x), np.asarray(labels), parameters, False, variant)
    if quantity is Quantity.VALUE:
        return TENSORFLOW.value(job)
    return TENSORFLOW.gradient(job)


ROWS = np.array([[0.5, -1.0, 2.0], [3.0, 0.0, -2.0]])
PICKED = np.array([2, 1])


def _wanted() -> Array:
    return np.asarray(np.log(np.exp(ROWS).sum(axis=1)) - ROWS[np.arange(2), PICKED])


def _mine(logits: Any, labels: Any) -> Any:
    return tf.reduce_logsumexp(logits, -1) - tf.gather(logits, labels, batch_dims=1)


def _callables() -> dict[str, Any]:
    class Mine(keras.losses.Loss):  # type: ignore[misc]
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return _mine(y_pred, tf.cast(y_true, "int64"))

    sparse = keras.losses.SparseCategoricalCrossentropy
    return {
        "function": _mine,
        "instance": sparse(from_logits=True, dtype="float64"),
        "class": sparse,
        "bound class": functools.partial(sparse, from_logits=True),
        "bound function": functools.partial(_mine),
        "subclass": Mine,
        "keras function": keras.losses.sparse_categorical_crossentropy,
        "tf.nn function": tf.nn.sparse_softmax_cross_entropy_with_logits,
    }


@pytest.mark.parametrize("variant", ["", "function", "xla"])
@pytest.mark.parametrize(
    "what",
    [
        "function",
        "bound function",
        "instance",
        "class",
        "bound class",
        "subclass",
        "keras function",
        "tf.nn function",
    ],
)
def test_a_callable_is_called_as_its_kind_is(what: str, variant: str) -> None:
    function = _callables()[what]
    more: dict[str, Any] = {"from_logits": True} if what in {"class", "keras function"} else {}
    results = _ask(function, ROWS, PICKED, variant=variant, **more)
    assert results.dtype == np.float64
    assert results == pytest.approx(_wanted(), rel=1e-12)
    slopes = _ask(function, ROWS, PICKED, Quantity.GRADIENT, variant, **more)
    p = np.exp(ROWS) / np.exp(ROWS).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(slopes, p - np.eye(3)[PICKED], rtol=1e-12)


def test_a_loss_is_reduced_as_it_is_asked_for_and_stays_as_it_was() -> None:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, dtype="float64")
    assert _ask(loss, ROWS, PICKED, reduction="sum") == pytest.approx(_wanted().sum())
    assert _ask(loss, ROWS, PICKED, reduction="mean") == pytest.approx(_wanted().mean())
    assert _ask(loss, ROWS, PICKED).shape == (2,)
    assert loss.reduction == "sum_over_batch_size"


def test_a_loss_of_elements_is_not_averaged_over_them() -> None:
    x, z = np.array([0.5, -1.0, 2.0]), np.array([1.0, 0.0, 1.0])
    wanted = np.log1p(np.exp(np.where(z == 1, -x, x)))
    for function in (
        keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64"),
        keras.losses.BinaryCrossentropy,
        keras.losses.binary_crossentropy,
        keras.ops.binary_crossentropy,
    ):
        more: dict[str, Any] = {"from_logits": True}
        if isinstance(function, keras.losses.Loss):
            more = {}
        results = _ask(function, x, z, **more)
        np.testing.assert_allclose(results, wanted, rtol=1e-12)


def test_a_callable_is_prepared_once() -> None:
    loss = keras.losses.BinaryCrossentropy()
    assert TENSORFLOW.prepared(loss) is TENSORFLOW.prepared(loss)
    assert TENSORFLOW.prepared(_mine) is _mine


def _weighted(logits: Any, labels: Any, *, weight: Any, noise: Any) -> Any:
    return tf.gather(weight, labels) * _mine(logits + noise, labels)


@pytest.mark.parametrize("variant", ["", "function", "xla"])
def test_array_parameters_come_as_tensors_of_their_rows(variant: str) -> None:
    x, labels = np.concatenate([ROWS, ROWS[:1]]), np.array([2, 1, 0])
    weight, noise = np.array([1.0, 2.0, 4.0]), np.array([[0.0], [0.0], [1.0]]) * [1.0, 2.0, 3.0]
    results = _ask(_weighted, x, labels, variant=variant, weight=weight, noise=noise)
    z = x + noise
    wanted = weight[labels] * (np.log(np.exp(z).sum(axis=1)) - z[np.arange(3), labels])
    np.testing.assert_allclose(results, wanted, rtol=1e-12)


def _first_rows(logits: Any, labels: Any) -> Any:
    return tf.gather(logits, tf.zeros_like(labels))[:, 0]


def test_the_sparse_gradient_of_a_gather_is_made_dense() -> None:
    slopes = _ask(_first_rows, ROWS, PICKED, Quantity.GRADIENT)
    np.testing.assert_array_equal(slopes, [[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])


def _constant(logits: Any, labels: Any) -> Any:
    return tf.cast(labels, logits.dtype)


def test_a_result_that_does_not_depend_on_the_logits_has_no_gradient() -> None:
    with pytest.raises(TypeError, match="no way from the result to the logits"):
        _ask(_constant, ROWS, PICKED, Quantity.GRADIENT)


def _no_kernel(logits: Any, labels: Any) -> Any:
    return tf.math.special.expint(_mine(logits, labels))


def _no_such_type(logits: Any, labels: Any) -> Any:
    return tf.math.zeta(2.0 + _mine(logits, labels), tf.ones_like(labels, logits.dtype))


@pytest.mark.parametrize("variant", ["", "function", "xla"])
@pytest.mark.parametrize("function", [_no_kernel, _no_such_type])
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_dtype_that_the_framework_refuses_is_unsupported(
    function: Any, variant: str, dtype: str
) -> None:
    with pytest.raises(UnsupportedError, match=f"does not take {dtype}: ") as caught:
        _ask(function, from_float64(ROWS, dtype), PICKED, variant=variant)
    assert len(str(caught.value)) < 160


def _mixed(logits: Any, labels: Any) -> Any:
    return _mine(logits, labels) + tf.constant(1.0, tf.float32)


def _of_integers(logits: Any, labels: Any) -> Any:
    return tf.nn.softmax(tf.cast(logits, tf.int32))[:, 0]


def _indexed_by_logits(logits: Any, labels: Any) -> Any:
    return tf.gather(logits, logits)[:, 0, 0]


@pytest.mark.parametrize("function", [_mixed, _of_integers, _indexed_by_logits])
@pytest.mark.parametrize("variant", ["", "function"])
def test_other_errors_about_types_are_the_functions_own(function: Any, variant: str) -> None:
    with pytest.raises((TypeError, tf.errors.InvalidArgumentError)):
        _ask(function, ROWS.astype(ml_dtypes.bfloat16), PICKED, variant=variant)
