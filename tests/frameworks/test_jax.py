"""JAX and optax: right on moderate inputs however they are called, and what is known of them."""

import importlib.util
import math
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.frameworks.asking import epsilon_slack, gradient, the, value
from xentcheck.errors import UnsupportedError
from xentcheck.floats import FORMATS, STANDARD, from_float64, to_float64
from xentcheck.implementations.bridge import Call
from xentcheck.implementations.frameworks import jax as adapter
from xentcheck.implementations.frameworks.jax import JAX, jax_implementations
from xentcheck.losses import LOSSES
from xentcheck.model import Case, Domain, Implementation, LabelKind, Layout, Quantity
from xentcheck.reference import exact

fact = pytest.mark.fact("jax", "optax")

MISSING = [name for name in JAX.process.modules if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

FOUND = jax_implementations()
CE, KL = "softmax_cross_entropy", "kl_divergence"
INTEGER = "optax.softmax_cross_entropy_with_integer_labels"
ONE_HOT = "optax.softmax_cross_entropy+one_hot"
LOG_TARGETS = "optax.losses.kl_divergence_with_log_targets"
ROWS, CLASSES = 5, 4  # not a power of two: every moderate block is padded
INF = math.inf


@pytest.fixture(scope="module", autouse=True)
def _on_the_cpu() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_PLATFORMS", os.environ.get("JAX_PLATFORMS", "cpu"))
        yield


def _of(loss: str, name: str) -> Implementation:
    return the(FOUND, loss, name)


# The moderate inputs


def _log_softmax(x: Any) -> Any:
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def _parameters(found: Implementation) -> list[dict[str, Any]]:
    """Without parameters, and with all of them; each number is one of every dtype."""
    values: dict[str, Any] = {
        "temperature": 2.5,
        "noise": np.linspace(-1, 1, ROWS * CLASSES).reshape(ROWS, CLASSES),
        "label_smoothing": 0.125,
        "alpha": 0.25,
        "gamma": 1.5,
        "log_target": True,
    }
    known = {name: values[name] for name in sorted(found.parameters)}
    if found.name.startswith(LOG_TARGETS):
        return [known]
    return [{}, known] if known else [{}]


def _case(found: Implementation, dtype: str, kind: LabelKind, parameters: dict[str, Any]) -> Case:
    spec = LOSSES[found.loss]
    rng = np.random.default_rng(7)
    elementwise = spec.layout is Layout.ELEMENTWISE
    x = rng.normal(size=(ROWS,) if elementwise else (ROWS, CLASSES)) * 1.5
    if spec.domain is Domain.PROBABILITIES:
        x = 1 / (1 + np.exp(-x)) if elementwise else np.exp(_log_softmax(x))
    elif spec.domain is Domain.LOG_PROBABILITIES:
        x = _log_softmax(x)
    labels: Any = None
    if kind is LabelKind.INTEGER:
        labels = rng.integers(0, CLASSES, ROWS)
    elif kind is LabelKind.TARGET:
        labels = from_float64(np.array([0, 1, 0.25, 1, 0.5]), dtype)
    elif kind is LabelKind.DISTRIBUTION:
        logs = _log_softmax(rng.normal(size=(ROWS, CLASSES)))
        labels = from_float64(logs if "log_target" in parameters else np.exp(logs), dtype)
    given = {
        name: from_float64(each, dtype) if isinstance(each, np.ndarray) else each
        for name, each in parameters.items()
    }
    return Case("moderate", "", found.loss, dtype, from_float64(x, dtype), kind, labels, given)


def _cases(found: Implementation, dtype: str) -> Iterator[Case]:
    for kind in found.label_kinds:
        for parameters in _parameters(found):
            yield _case(found, dtype, kind, parameters)


def _results(found: Implementation, case: Case) -> Iterator[tuple[Quantity, Any]]:
    """Of both quantities, as the audit asks for them."""
    labels = () if case.labels is None else (case.labels,)
    assert found.value is not None
    valued = () if LOSSES[found.loss].per_class else labels
    yield Quantity.VALUE, found.value(case.logits, *valued, **case.parameters)
    if found.gradient is not None:
        yield Quantity.GRADIENT, found.gradient(case.logits, *labels, **case.parameters)


def _declared() -> list[Any]:
    """Every implementation in every dtype; most of the compiling of variants is for slow runs."""

    def marks(found: Implementation, dtype: str) -> list[pytest.MarkDecorator]:
        return [pytest.mark.slow] if found.plain and dtype != "float32" else []

    return [
        pytest.param(
            found, dtype, marks=marks(found, dtype), id=f"{found.loss}-{found.name}-{dtype}"
        )
        for found in FOUND
        for dtype in found.dtypes
    ]


@pytest.mark.parametrize(("found", "dtype"), _declared())
def test_moderate_inputs_give_the_exact_results(found: Implementation, dtype: str) -> None:
    """To a few units of what the largest number on the way, about 4, is rounded to."""
    unit = 2.0 ** (1 - FORMATS[dtype].precision)
    if dtype == "float64" and found.loss == "binary_cross_entropy":
        unit *= 8  # log1p, see below
    slack = 6 * unit + epsilon_slack(found)
    for case in _cases(found, dtype):
        wanted = exact(case)
        for quantity, result in _results(found, case):
            side = wanted.value if quantity is Quantity.VALUE else wanted.gradient
            assert result.dtype == FORMATS[dtype].dtype
            assert result.shape == side.shape
            np.testing.assert_allclose(to_float64(result), side.midpoints(), rtol=slack, atol=slack)


def test_moderate_inputs_are_padded_and_far_from_zero() -> None:
    """Otherwise the test above would pass for what returns zeros, or what leaves rows out."""
    for found in FOUND:
        assert found.dtypes == STANDARD
        for case in _cases(found, "float32"):
            assert np.abs(exact(case).value.midpoints()).max() > 0.1
            assert np.abs(exact(case).gradient.midpoints()).max() > 0.05
            assert case.rows == ROWS


VARIED = [each for each in FOUND if each.plain]


@pytest.mark.parametrize("found", VARIED, ids=lambda each: f"{each.loss}-{each.name}")
def test_variants_agree_with_the_plain_call(found: Implementation) -> None:
    plain = _of(found.loss, found.plain)
    assert (plain.parameters, plain.label_kinds) == (found.parameters, found.label_kinds)
    for case in _cases(found, "float32"):
        by_plain = dict(_results(plain, case))
        for quantity, result in _results(found, case):
            np.testing.assert_allclose(result, by_plain[quantity], rtol=1e-6, atol=1e-6)


def test_every_variant_of_the_bridge_is_declared_and_has_a_gradient_but_jvp() -> None:
    declared = {each.name.partition("@")[2] for each in VARIED}
    assert declared == set(JAX.variants)
    for each in FOUND:
        assert (each.gradient is None) == each.name.endswith("@jvp")


def test_inputs_are_not_written_to_and_results_repeat_to_the_bit() -> None:
    for found in FOUND:
        for case in _cases(found, "float32"):
            given = [case.logits, case.labels, *case.parameters.values()]
            before = [each.tobytes() for each in given if isinstance(each, np.ndarray)]
            first = [result.tobytes() for _, result in _results(found, case)]
            again = [result.tobytes() for _, result in _results(found, case)]
            assert first == again
            assert before == [each.tobytes() for each in given if isinstance(each, np.ndarray)]


def test_names_are_unique_and_implementations_survive_pickling() -> None:
    assert len({(each.loss, each.name) for each in FOUND}) == len(FOUND)
    for each in FOUND:
        found = pickle.loads(pickle.dumps(each))
        assert (found.name, found.process, found.dtypes) == (each.name, JAX.process, STANDARD)
        assert found.value.function is each.value.function
        assert each.summary


def test_declaring_imports_neither_jax_nor_optax() -> None:
    code = (
        "import sys; from xentcheck.implementations.frameworks.jax import jax_implementations;"
        "assert jax_implementations(); print(*{'jax', 'jaxlib', 'optax'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == ""


# The bridge, with functions as a user writes them

SEEN: list[Any] = []


def seen(logits: Any, labels: Any) -> Any:
    """Keeps the shape it is called with: of every call when eager, of every compilation else."""
    SEEN.append(logits.shape)
    return logits[:, 0] + labels


def kept(logits: Any, labels: Any, *, noise: Any, weight: Any) -> Any:
    """Keeps the arrays it is called with."""
    SEEN.append([np.asarray(each) for each in (logits, labels, noise, weight)])
    return logits[:, 0]


def weighted(logits: Any, labels: Any, *, weight: Any, reduction: str = "none") -> Any:
    """A weighted picked logit, and its mean."""
    result = weight[labels] * logits[np.arange(len(labels)), labels]
    return result if reduction == "none" else result.mean()


def of_a_row(logits: Any, labels: Any, *, noise: Any, weight: Any) -> Any:
    """A weighted picked logit with noise, of one row."""
    return weight[labels] * (logits + noise)[labels]


def signed(logits: Any, *, parameter: Any) -> Any:
    """The sign of a parameter that is a constant, zero's too, or 2 for a flag."""
    sign = 2.0 if parameter is True else math.copysign(1.0, parameter)
    return logits[:, 0] * 0 + sign


def squared(logits: Any, labels: Any = None) -> Any:
    """Every logit by itself; with labels, these are added."""
    return logits**2 if labels is None else logits**2 + labels[:, None]


def scalar(logits: Any, labels: Any) -> Any:
    """One number, where one for each row is wanted."""
    return logits[0, 0] + labels[0]


def refused(logits: Any, labels: Any) -> Any:
    """Raises on what it is given."""
    raise ValueError(f"not of {logits.dtype}")


def _call(function: Any, quantity: Quantity = Quantity.VALUE, variant: str = "") -> Call:
    return Call(JAX, function, CE, quantity, variant)


@pytest.mark.parametrize("variant", ["", "eager"])
def test_rows_are_padded_to_few_sizes(variant: str) -> None:
    SEEN.clear()
    for rows in (1, 3, 16, 17, 255, 256, 257, 300):
        x = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
        result = _call(seen, variant=variant)(x, np.arange(rows))
        np.testing.assert_array_equal(result, x[:, 0] + np.arange(rows))
    shapes = list(dict.fromkeys(SEEN))
    assert shapes == [(256, 3), (4096, 3)]
    assert len(SEEN) == (8 if variant == "eager" else 2)


def test_large_blocks_are_padded_to_powers_of_two() -> None:
    SEEN.clear()
    for rows in (1, 16):  # 256 rows of so many classes cost more than a program
        x = np.zeros((rows, 1025), dtype=np.float32)
        _call(seen)(x, np.zeros(rows, dtype=np.int64))
    assert SEEN == [(16, 1025)]
    SEEN.clear()
    for rows in (20, 33):
        x = np.zeros((rows, 4096), dtype=np.float32)
        _call(seen)(x, np.zeros(rows, dtype=np.int64))
    assert SEEN == [(32, 4096), (64, 4096)]


def test_what_is_compiled_is_forgotten_when_it_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapter, "MOST_COMPILED", 2)
    adapter._compiled_for.clear()
    x = np.zeros((3, 3), dtype=np.float32)
    labels = np.zeros(3, dtype=np.int64)
    for classes in (1, 2, 3):
        _call(seen)(x[:, :classes], labels)
    assert len(adapter._compiled_for) == 1
    SEEN.clear()
    _call(seen)(x[:, :3], labels)
    assert SEEN == []  # still there
    _call(seen)(x[:, :1], labels)
    assert SEEN == [(256, 1)]  # compiled again


def test_padding_is_copies_of_the_first_row_and_vectors_of_classes_have_none() -> None:
    SEEN.clear()
    x = np.arange(9, dtype=np.float32).reshape(3, 3)
    _call(kept)(x, np.array([2, 0, 1]), noise=-x, weight=x[1])
    ((logits, labels, noise, weight),) = SEEN
    np.testing.assert_array_equal(logits, x[[0, 1, 2, *[0] * 253]])
    np.testing.assert_array_equal(labels, [2, 0, 1, *[2] * 253])
    np.testing.assert_array_equal(noise, -logits)
    np.testing.assert_array_equal(weight, x[1])
    assert labels.dtype == np.int64


@pytest.mark.parametrize("variant", ["", "eager"])
def test_users_functions_with_array_parameters(variant: str) -> None:
    x, weight = np.array([[1.5, -2.0], [0.5, 4.0], [8.0, 1.0]]), np.array([2.0, 3.0])
    labels = np.array([1, 1, 0])
    result = _call(weighted, variant=variant)(x, labels, weight=weight)
    np.testing.assert_array_equal(result, [-6.0, 12.0, 16.0])
    slopes = _call(weighted, Quantity.GRADIENT, variant)(x, labels, weight=weight)
    np.testing.assert_array_equal(slopes, [[0, 3], [0, 3], [2, 0]])
    assert result.dtype == slopes.dtype == np.float64


def test_single_rows_get_their_own_label_and_noise_and_all_of_the_weights() -> None:
    x, weight = np.array([[1.5, -2.0], [0.5, 4.0], [8.0, 1.0]]), np.array([2.0, 3.0])
    labels, noise = np.array([1, 1, 0]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    more = {"noise": noise, "weight": weight}
    result = _call(of_a_row, variant="vmap")(x, labels, **more)
    np.testing.assert_array_equal(result, [0.0, 24.0, 26.0])
    slopes = _call(of_a_row, Quantity.GRADIENT, "vmap")(x, labels, **more)
    np.testing.assert_array_equal(slopes, [[0, 3], [0, 3], [2, 0]])


@pytest.mark.parametrize("variant", ["", "eager"])
def test_a_reduction_is_over_the_rows_that_were_given(variant: str) -> None:
    x, labels, weight = np.array([[1.0, 2.0]] * 4 + [[6.0, 3.0]]), np.zeros(5, int), np.ones(2)
    more = {"weight": weight, "reduction": "mean"}
    assert _call(weighted, variant=variant)(x, labels, **more) == 2.0
    slopes = _call(weighted, Quantity.GRADIENT, variant)(x, labels, **more)
    np.testing.assert_allclose(slopes, [[0.2, 0]] * 5, rtol=1e-15)


@pytest.mark.parametrize("variant", ["", "eager"])
def test_constants_that_are_equal_but_not_the_same_are_compiled_apart(variant: str) -> None:
    ask = Call(JAX, signed, "logsumexp", Quantity.VALUE, variant)
    x = np.ones((2, 3), dtype=np.float32)
    results = [float(ask(x, parameter=each)[1]) for each in (0.0, -0.0, 1.0, True, 0.0)]
    assert results == [1.0, -1.0, 1.0, 2.0, 1.0]


def test_labels_say_which_component_is_differentiated_and_are_given_where_they_are_asked_for() -> (
    None
):
    x, labels = np.array([[1.0, 3.0], [2.0, 5.0], [4.0, 7.0]]), np.array([1, 0, 1])
    slopes = Call(JAX, squared, "softmax", Quantity.GRADIENT)(x, labels)
    np.testing.assert_array_equal(slopes, [[0, 6], [4, 0], [0, 14]])
    values = Call(JAX, squared, "softmax", Quantity.VALUE)(x, labels)
    np.testing.assert_array_equal(values, x**2 + labels[:, None])


def test_a_wrong_shape_and_an_error_come_through_as_they_are() -> None:
    x, labels = np.ones((3, 2)), np.array([1, 0, 0])
    assert _call(scalar)(x, labels).shape == ()
    with pytest.raises(ValueError, match="not of float64"):
        _call(refused)(x, labels)


def test_log_targets_are_all_that_one_takes() -> None:
    for variant in ("", "@eager", "@axis0"):
        found = _of(KL, LOG_TARGETS + variant)
        for ask in (value, gradient):
            with pytest.raises(UnsupportedError, match="takes targets as log-probabilities only"):
                ask(found, [[-1.0, -0.5]], [[0.25, 0.75]])


# What is known of them. Exact values are of the formulas, in float64.


@fact
@pytest.mark.parametrize("name", [INTEGER, ONE_HOT, "optax.safe_softmax_cross_entropy+one_hot"])
@pytest.mark.parametrize("variant", ["", "@eager"])
def test_a_sure_prediction_costs_nothing(name: str, variant: str) -> None:
    """Exact: log1p(2 e^−20) = 4.122e-9; and the gradients of a row do not sum to 0."""
    found = _of(CE, name + variant)
    tail = math.exp(-20)
    assert math.log1p(2 * tail) == pytest.approx(4.122e-9, rel=1e-3)
    assert value(found, [[20, 0, 0]], [0])[0] == 0
    slopes = gradient(found, [[20, 0, 0]], [0])[0]
    assert slopes[0] == 0
    np.testing.assert_allclose(slopes[1:], tail / (1 + 2 * tail), rtol=1e-6)


@fact
@pytest.mark.parametrize("variant", ["", "@eager"])
def test_integer_labels_lose_the_loss_under_a_common_offset(variant: str) -> None:
    """logsumexp(x) − x_y in bfloat16 on 1000, in float32 on 1e8: 0 instead of log 4 and log 2."""
    integer, one_hot = _of(CE, INTEGER + variant), _of(CE, ONE_HOT + variant)
    assert value(integer, [[1000] * 4], [0], "bfloat16")[0] == 0
    assert value(integer, [[1e8, 1e8]], [0])[0] == 0
    assert value(one_hot, [[1e8, 1e8]], [0])[0] == np.float32(math.log(2))
    # log 4 = 1.38629 lies between 1.3828125 and 1.390625, nearer to the former
    assert value(one_hot, [[1000] * 4], [0], "bfloat16")[0] == 1.3828125
    assert value(integer, [[1e6 + 2, 1e6 - 1]], [0])[0] == 0.0625  # log(1 + e^−3) = 0.0486


@fact
def test_fenchel_young_loses_it_too() -> None:
    found = _of(CE, "optax.losses.make_fenchel_young_loss")
    assert value(found, [[1e8, 1e8]], [0])[0] == 0


MASKED, LEFT = [[1, 2, -INF]], math.log1p(math.exp(-1))


@fact
def test_a_masked_class_makes_nan_of_one_hot_labels_but_not_of_their_gradient() -> None:
    """0 · −inf."""
    found, p = _of(CE, f"{ONE_HOT}@eager"), 1 / (1 + math.e)
    assert np.isnan(value(found, MASKED, [1])[0])
    np.testing.assert_allclose(gradient(found, MASKED, [1]), [[p, -p, 0]], rtol=1e-6)


@fact
def test_the_compiler_takes_that_nan_away() -> None:
    """jit makes a selection of a product with what is 0 or 1; distributions keep the NaN."""
    assert value(_of(CE, ONE_HOT), MASKED, [1])[0] == pytest.approx(LEFT, rel=1e-6)
    dense = _of(CE, "optax.softmax_cross_entropy")
    assert np.isnan(value(dense, MASKED, [[0.0, 1.0, 0.0]])[0])


@fact
@pytest.mark.parametrize("name", [INTEGER, "optax.safe_softmax_cross_entropy+one_hot"])
def test_the_safe_form_and_integer_labels_keep_a_masked_class_out(name: str) -> None:
    assert pytest.approx(0.31326, rel=1e-5) == LEFT
    for variant in ("", "@eager", "@jvp"):
        assert value(_of(CE, name + variant), MASKED, [1])[0] == pytest.approx(LEFT, rel=1e-6)


@fact
def test_smoothing_of_nothing_charges_a_masked_class() -> None:
    """0 · −inf, as long as XLA does not make a selection of it."""
    found = _of(CE, "optax.smooth_labels+softmax_cross_entropy@eager")
    assert np.isnan(value(found, MASKED, [1])[0])


@fact
def test_the_sum_of_a_vocabulary_overflows_float16() -> None:
    """log 65536 = 11.09, of a sum of e^0 that is rounded to float16: up to 65,519 to 65,504."""
    found, parts = _of("logsumexp", "jax.nn.logsumexp"), _of("log_softmax", "jax.nn.log_softmax")
    assert value(found, np.zeros((1, 65536)), dtype="float16")[0] == INF
    assert (value(parts, np.zeros((1, 65536)), dtype="float16") == -INF).all()
    assert value(found, np.zeros((1, 65520)), dtype="float16")[0] == INF
    assert value(found, np.zeros((1, 65519)), dtype="float16")[0] == np.float16(math.log(65519))


@fact
def test_compiled_tempered_softmax_is_nan_at_1e10() -> None:
    """The quotient is rounded for the maximum, and not for the difference to it."""
    x = np.float32([[1, -0.3, 0.2]]) * np.float32(1e10)
    name = "jax.nn.softmax+temperature"
    eager = value(_of("softmax", f"{name}@eager"), x, temperature=0.3)
    np.testing.assert_array_equal(eager, [[1, 0, 0]])
    compiled = value(_of("softmax", name), x, temperature=0.3)
    np.testing.assert_array_equal(compiled, [[np.nan, 0, 0]])


@fact
def test_kl_divergence_is_nan_where_nothing_is_predicted_and_nothing_wanted() -> None:
    """0 · (0 − −inf), and e^−inf · −inf; the limits are 0."""
    found, logs = _of(KL, "optax.kl_divergence"), _of(KL, LOG_TARGETS)
    assert np.isnan(value(found, [[-INF, 0.0]], [[0.0, 1.0]])[0])
    np.testing.assert_array_equal(gradient(found, [[-INF, 0.0]], [[0.0, 1.0]]), [[0, -1]])
    assert np.isnan(value(logs, [[-1.0, -1.0]], [[-INF, 0.0]], log_target=True)[0])
    # a target of 0 alone is no trouble: 1 · (0 − −0.5)
    assert value(found, [[-1.0, -0.5]], [[0.0, 1.0]])[0] == 0.5


@fact
def test_subnormal_results_are_flushed() -> None:
    """e^−100 = 3.7e-44 is a subnormal float32, e^−720 = 2e-313 a subnormal float64."""
    for dtype, x in (("float32", -100.0), ("float64", -720.0)):
        assert 0 < math.exp(x) < 2.0 ** FORMATS[dtype].min_exponent
        assert from_float64(np.array([math.exp(x)]), dtype)[0] != 0
        for variant in ("", "@eager"):
            assert value(_of("sigmoid", f"jax.nn.sigmoid{variant}"), [x], dtype=dtype)[0] == 0
            assert value(_of("softplus", f"jax.nn.softplus{variant}"), [x], dtype=dtype)[0] == 0
            rows = value(_of("softmax", f"jax.nn.softmax{variant}"), [[0, x]], dtype=dtype)
            np.testing.assert_array_equal(rows, [[1, 0]])


@fact
def test_binary_cross_entropy_at_infinity() -> None:
    """0 · inf where the limit is 0; the gradient σ(x) − z is right everywhere."""
    found = _of("sigmoid_binary_cross_entropy", "optax.sigmoid_binary_cross_entropy")
    x, z = [INF, -INF, INF, -INF], [1.0, 0.0, 0.0, 1.0]
    np.testing.assert_array_equal(value(found, x, z), [np.nan, np.nan, INF, INF])
    np.testing.assert_array_equal(gradient(found, x, z), [0, 0, 1, -1])


@fact
def test_focal_loss_keeps_its_gradient_where_p_is_one() -> None:
    """γ = ½ at x = 17: 1 − σ(17) = q is 4.1e-8; the slope is q^½ (−q − ½ σ(17) softplus(−17))."""
    found = _of("sigmoid_focal_loss", "optax.sigmoid_focal_loss")
    q = 1 / (1 + math.exp(17))
    cost = math.log1p(math.exp(-17))
    slope = -(q**0.5) * (q + 0.5 * (1 - q) * cost)
    assert value(found, [17.0], [1.0], gamma=0.5)[0] == pytest.approx(q**0.5 * cost, rel=1e-5)
    assert gradient(found, [17.0], [1.0], gamma=0.5)[0] == pytest.approx(slope, rel=1e-5)


@fact
def test_softplus_at_zero_has_slope_one_half() -> None:
    for variant in ("", "@eager"):
        assert gradient(_of("softplus", f"jax.nn.softplus{variant}"), [0.0])[0] == 0.5


@fact
def test_xlogy_has_no_gradient_at_nothing() -> None:
    """Its value at (0, 0) is 0, its derivative x / y is 0 / 0."""
    found = _of("categorical_cross_entropy", "jax.scipy.special.xlogy-sum")
    assert value(found, [[0.0, 1.0]], [[0.0, 1.0]])[0] == 0
    np.testing.assert_array_equal(gradient(found, [[0.0, 1.0]], [[0.0, 1.0]]), [[np.nan, -1]])


@fact
def test_log1p_of_float64_is_a_hundred_ulps_off_below_zero() -> None:
    """At −0.4127, where float32's is right."""
    name = "jax.scipy.special.xlogy+xlog1py"
    for variant in ("", "@eager"):
        found = _of("binary_cross_entropy", name + variant)
        wanted = -math.log1p(-0.4127)
        off = abs(value(found, [0.4127], [0.0], "float64")[0] - wanted) / math.ulp(wanted)
        assert 50 < off < 200
        wanted = -math.log1p(-float(np.float32(0.4127)))
        assert value(found, [0.4127], [0.0])[0] == pytest.approx(wanted, rel=2.0**-22)
