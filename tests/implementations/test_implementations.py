"""The NumPy field guide: `numpy.accurate` is right to the last ulp, the unsound forms are not.

Exact values come from the textbook formulas in mpmath at 2,500 bits, written here anew; that is
enough to tell 1 from 1 − 2^−2400.
"""

import math
import pickle
import warnings
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest

from xentcheck.floats import FORMATS, from_float64, to_float64, ulp
from xentcheck.implementations import numpy_implementations
from xentcheck.implementations.numpy import double_double
from xentcheck.implementations.numpy.double_double import DoubleDouble
from xentcheck.losses import LOSSES
from xentcheck.model import Domain, Implementation, LabelKind, Layout, Quantity

FIELD_GUIDE = {(each.loss, each.name): each for each in numpy_implementations()}
ACCURATE = {loss: FIELD_GUIDE[loss, "numpy.accurate"] for loss in LOSSES}
DTYPES = ("float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2")
INF, NAN = math.inf, math.nan

mp = mpmath.MPContext()
mp.prec = 2500


# The textbook: value and gradient of one row, x a list of mpf (one, if elementwise).


def _p(x: list[Any]) -> list[Any]:
    powers = [mp.exp(each) for each in x]
    return [each / mp.fsum(powers) for each in powers]


def _lse(x: list[Any]) -> Any:
    return mp.log(mp.fsum(mp.exp(each) for each in x))


def _xlogy(x: Any, y: Any) -> Any:
    return mp.zero if x == 0 else x * mp.log(y)


def _sigma(x: Any) -> Any:
    return 1 / (1 + mp.exp(-x))


def _softplus(x: Any) -> Any:
    return mp.log(1 + mp.exp(x))


def _bce(x: Any, z: Any) -> Any:
    return z * _softplus(-x) + (1 - z) * _softplus(x)


def _focal(x: Any, z: Any) -> tuple[Any, Any]:
    s = _sigma(x)
    q = z * (1 - s) + (1 - z) * s
    return q**2 * _bce(x, z), q**2 * (s - z) + 2 * q * (1 - 2 * z) * s * (1 - s) * _bce(x, z)


def _one_hot(i: int, n: int) -> list[int]:
    return [int(i == j) for j in range(n)]


def _softmax_gradient(x: list[Any], i: int) -> list[Any]:
    p = _p(x)
    return [p[i] * (d - each) for d, each in zip(_one_hot(i, len(x)), p, strict=True)]


def _log_softmax_gradient(x: list[Any], i: int) -> list[Any]:
    return [d - each for d, each in zip(_one_hot(i, len(x)), _p(x), strict=True)]


def _js(p: list[Any], q: list[Any]) -> Any:
    pairs = list(zip(p, q, strict=True))
    return (
        mp.fsum(_xlogy(a, 2 * a / (a + b)) + _xlogy(b, 2 * b / (a + b)) for a, b in pairs if a + b)
        / 2
    )


Textbook = Callable[[list[Any], Any], Any]
TEXTBOOK: dict[str, tuple[Textbook, Textbook]] = {
    "softmax": (lambda x, _: _p(x), _softmax_gradient),
    "log_softmax": (lambda x, _: [each - _lse(x) for each in x], _log_softmax_gradient),
    "logsumexp": (lambda x, _: _lse(x), lambda x, _: _p(x)),
    "softmax_cross_entropy": (
        lambda x, y: _lse(x) - x[y],
        lambda x, y: [-each for each in _log_softmax_gradient(x, y)],
    ),
    "sigmoid": (lambda x, _: _sigma(x[0]), lambda x, _: _sigma(x[0]) * _sigma(-x[0])),
    "log_sigmoid": (lambda x, _: -_softplus(-x[0]), lambda x, _: _sigma(-x[0])),
    "softplus": (lambda x, _: _softplus(x[0]), lambda x, _: _sigma(x[0])),
    "sigmoid_binary_cross_entropy": (
        lambda x, z: _bce(x[0], z),
        lambda x, z: (1 - z) * _sigma(x[0]) - z * _sigma(-x[0]),
    ),
    "sigmoid_focal_loss": (lambda x, z: _focal(x[0], z)[0], lambda x, z: _focal(x[0], z)[1]),
    "categorical_cross_entropy": (
        lambda p, y: -mp.log(p[y]),
        lambda p, y: [-d / each for d, each in zip(_one_hot(y, len(p)), p, strict=True)],
    ),
    "binary_cross_entropy": (
        lambda p, z: -_xlogy(z, p[0]) - _xlogy(1 - z, 1 - p[0]),
        lambda p, z: (1 - z) / (1 - p[0]) - z / p[0],
    ),
    "nll_loss": (lambda x, y: -x[y], lambda x, y: [-d for d in _one_hot(y, len(x))]),
    "kl_divergence": (
        lambda x, t: mp.fsum(_xlogy(b, b) - b * a for a, b in zip(x, t, strict=True)),
        lambda _, t: [-b for b in t],
    ),
    "js_divergence": (
        _js,
        lambda p, q: [mp.log(2 * a / (a + b)) / 2 for a, b in zip(p, q, strict=True)],
    ),
    "entropy": (
        lambda p, _: -mp.fsum(_xlogy(each, each) for each in p),
        lambda p, _: [-mp.log(each) - 1 for each in p],
    ),
}


def _exact(loss: str, quantity: Quantity, row: Any, label: Any) -> list[Any]:
    """The components of one exact result; numbers too small for any dtype may be 0."""
    x = [mp.mpf(float(each)) for each in np.atleast_1d(to_float64(row))]
    if isinstance(label, np.ndarray):
        label = [mp.mpf(float(each)) for each in to_float64(label)]
    elif label is not None and LOSSES[loss].label_kinds[0] is LabelKind.TARGET:
        label = mp.mpf(float(label))
    result = TEXTBOOK[loss][quantity is Quantity.GRADIENT](x, label)
    return result if isinstance(result, list) else [result]


def _fraction(x: Any) -> Fraction:
    if x == 0 or mp.mag(x) < -1200:
        return Fraction(0)
    sign, mantissa, exponent, _ = mp.convert(x)._mpf_
    return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** exponent


def _ulps(actual: float, exact: Any, dtype: str) -> float:
    """The error in ulps; 0 where both overflow alike, inf for NaN and wrong infinities."""
    fraction = _fraction(exact)
    unit = ulp(fraction, dtype)
    if math.isnan(actual):
        return INF
    if math.isinf(actual):
        threshold = Fraction(FORMATS[dtype].max) + ulp(FORMATS[dtype].max, dtype) / 2
        return 0.0 if fraction * int(math.copysign(1, actual)) >= threshold else INF
    return float(abs(Fraction(actual) - fraction) / unit)


def _call(found: Implementation, quantity: Quantity, x: Any, labels: Any, **more: Any) -> Any:
    loss = LOSSES[found.loss]
    function = found.value if quantity is Quantity.VALUE else found.gradient
    assert function is not None
    unlabelled = loss.label_kinds == (LabelKind.NONE,)
    if unlabelled or (loss.per_class and quantity is Quantity.VALUE):
        return function(x, **more)
    return function(x, labels, **more)


def _logits(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Any:
    """Ordinary and extreme, each of a scale of its own."""
    known = FORMATS[dtype]
    scale = np.exp2(rng.uniform(known.min_exponent, known.max_exponent, shape))
    kinds = [
        rng.normal(size=shape),
        rng.normal(size=shape) * 30,
        -rng.exponential(400, shape),
        rng.choice([0.0, known.max, -known.max, known.smallest_subnormal, 20.0, -745.0], shape),
        rng.normal(size=shape) * scale,
    ]
    return np.clip(np.choose(rng.integers(0, 5, shape), kinds), -known.max, known.max)


def _probabilities(rng: np.random.Generator, dtype: str, shape: tuple[int, ...]) -> Any:
    """Inside (0, 1), up to its ends."""
    known = FORMATS[dtype]
    low = known.min_exponent - known.precision + 1
    near_zero = np.exp2(rng.uniform(low, 0, shape))
    near_one = 1 - np.exp2(-rng.integers(1, known.precision + 1, shape).astype(float))
    kinds = [rng.uniform(0.001, 0.999, shape), near_zero, near_one]
    return np.choose(rng.integers(0, 3, shape), kinds)


def _inputs(loss: str, dtype: str, rows: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng([seed, list(LOSSES).index(loss), DTYPES.index(dtype)])
    spec = LOSSES[loss]
    classes = int(rng.integers(1, 6))
    shape = (rows,) if spec.layout is Layout.ELEMENTWISE else (rows, classes)
    if spec.domain is Domain.LOGITS:
        x = _logits(rng, dtype, shape)
    else:
        x = _probabilities(rng, dtype, shape)
        x = np.log(x) if spec.domain is Domain.LOG_PROBABILITIES else x
    labels: Any = None
    match spec.label_kinds[0]:
        case LabelKind.INTEGER:
            labels = rng.integers(0, classes, rows)
        case LabelKind.DISTRIBUTION:
            labels = from_float64(_probabilities(rng, dtype, shape), dtype)
        case LabelKind.TARGET:
            labels = from_float64(rng.integers(0, 2, rows).astype(float), dtype)
    x = from_float64(x, dtype)
    if spec.domain is Domain.PROBABILITIES:  # rounding may have reached an end
        x = np.where((to_float64(x) > 0) & (to_float64(x) < 1), x, from_float64(0.5, dtype))
    return x, labels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES)
def test_accurate_is_within_one_ulp_of_the_textbook(loss: str, dtype: str) -> None:
    """4 ulp are allowed in float64; double-double arithmetic meets 1 there too."""
    result_dtype = "float32" if "float8" in dtype else dtype
    for seed in range(4):
        x, labels = _inputs(loss, dtype, 6, seed)
        for quantity in Quantity:
            results = _call(ACCURATE[loss], quantity, x, labels)
            assert results.dtype == FORMATS[result_dtype].dtype
            assert results.shape in {x.shape, (len(x),)}
            for row, result in enumerate(to_float64(results)):
                label = None if labels is None else labels[row]
                exact = _exact(loss, quantity, x[row], label)
                for actual, wanted in zip(np.atleast_1d(result), exact, strict=True):
                    assert _ulps(float(actual), wanted, result_dtype) <= 1, (x[row], label)


def test_the_measuring_stick_of_these_tests_measures() -> None:
    assert _ulps(1.0, mp.mpf(1) + mp.mpf(2) ** -53, "float64") == 0.5
    assert _ulps(INF, mp.mpf(2) ** 1024, "float64") == 0
    assert _ulps(INF, mp.mpf(2) ** 1023, "float64") == INF
    assert _ulps(-INF, mp.mpf(2) ** 1024, "float64") == INF
    assert _ulps(NAN, mp.mpf(1), "float64") == INF
    assert _ulps(5e-324, mp.mpf(2) ** -1500, "float64") == 1


# Parameters, against the formulas of the brief in mpmath.


def _row_cross_entropy(
    x: Sequence[float],
    charges: Sequence[Any],
    temperature: float = 1.0,
    z_loss: float = 0.0,
) -> tuple[Any, list[Any]]:
    z = [mp.mpf(each) / mp.mpf(temperature) for each in x]
    lse, p = _lse(z), _p(z)
    value = mp.fsum(c * (lse - each) for c, each in zip(charges, z, strict=True))
    slope = mp.fsum(charges) + 2 * mp.mpf(z_loss) * lse
    gradient = [(share * slope - c) / temperature for share, c in zip(p, charges, strict=True)]
    return value + mp.mpf(z_loss) * lse**2, gradient


def test_cross_entropy_with_every_parameter_at_once() -> None:
    x, w = np.array([[0.5, -2.0, 30.25], [1e4, 1e4 + 1, -1e300]]), np.array([0.5, 2.0, 3.0])
    labels, smoothing = np.array([2, 0]), 2.0**-60
    found = ACCURATE["softmax_cross_entropy"]
    parameters = {
        "weight": w,
        "label_smoothing": smoothing,
        "temperature": 0.75,
        "z_loss": 0.125,
    }
    value = _call(found, Quantity.VALUE, x, labels, **parameters)
    gradient = _call(found, Quantity.GRADIENT, x, labels, **parameters)
    for row, label in enumerate(labels):
        share = mp.mpf(smoothing) / 3
        charges = [
            mp.mpf(w[k]) * ((1 - mp.mpf(smoothing)) * (k == label) + share) for k in range(3)
        ]
        exact, slopes = _row_cross_entropy(x[row], charges, 0.75, 0.125)
        assert _ulps(value[row], exact, "float64") <= 1
        for actual, wanted in zip(gradient[row], slopes, strict=True):
            assert _ulps(actual, wanted, "float64") <= 1
    mean = _call(found, Quantity.VALUE, x, labels, reduction="mean", **parameters)
    assert mean.shape == ()
    assert mean == pytest.approx(value.sum() / (w[2] + w[0]), rel=1e-15)


def test_a_tiny_smoothing_is_not_lost_beside_a_sure_prediction() -> None:
    """p_y = 1 − e^−90: what is left of the gradient is the smoothing, 2^−70 (C−1)/C."""
    found, epsilon = ACCURATE["softmax_cross_entropy"], 2.0**-70
    gradient = _call(
        found,
        Quantity.GRADIENT,
        np.array([[90.0, 0.0]]),
        np.array([0]),
        label_smoothing=epsilon,
    )
    assert gradient[0, 0] == pytest.approx(epsilon / 2, rel=1e-15)
    assert gradient[0, 1] == pytest.approx(-epsilon / 2, rel=1e-15)


def test_distributions_need_not_sum_to_one() -> None:
    """The derivative is (Σy) p − y: labels (2, 0) on logits (0, 1)."""
    found = ACCURATE["softmax_cross_entropy"]
    x, y = np.array([[0.0, 1.0]]), np.array([[2.0, 0.0]])
    exact, slopes = _row_cross_entropy([0.0, 1.0], [mp.mpf(2), mp.zero])
    assert _ulps(_call(found, Quantity.VALUE, x, y)[0], exact, "float64") <= 1
    for actual, wanted in zip(_call(found, Quantity.GRADIENT, x, y)[0], slopes, strict=True):
        assert _ulps(actual, wanted, "float64") <= 1


def test_a_gradient_that_is_exactly_zero_is_zero() -> None:
    """Ten equal logits, y_0 = Σy / 10: then c_0 = Σc / 10, whatever the smoothing."""
    y = np.array([[0.1015625, 0.9140625, 0, 0, 0, 0, 0, 0, 0, 0]])
    gradient = _call(
        ACCURATE["softmax_cross_entropy"],
        Quantity.GRADIENT,
        np.full((1, 10), -448.0),
        y,
        label_smoothing=0.1015625,
    )
    assert gradient[0, 0] == 0
    assert (gradient[0, 1:] != 0).all()


def test_softmax_with_noise_divides_the_unrounded_sum_by_the_temperature() -> None:
    """Both logits are the largest number: their noise alone tells them apart."""
    x = np.full((1, 2), FORMATS["float64"].max)
    noise = np.array([[0.25, -0.125]])
    value = _call(ACCURATE["softmax"], Quantity.VALUE, x, None, noise=noise, temperature=0.5)
    assert _ulps(value[0, 0], _sigma(mp.mpf("0.75")), "float64") <= 1


def test_binary_parameters() -> None:
    x, z, smoothing = 3.5, 1.0, 2.0**-60
    on, off = 1 - mp.mpf(smoothing) / 2, mp.mpf(smoothing) / 2
    found = ACCURATE["sigmoid_binary_cross_entropy"]
    more = {"pos_weight": 3.0, "label_smoothing": smoothing}
    value = _call(found, Quantity.VALUE, np.array([x]), np.array([z]), **more)
    gradient = _call(found, Quantity.GRADIENT, np.array([x]), np.array([z]), **more)
    x = mp.mpf(x)
    assert _ulps(value[0], 3 * on * _softplus(-x) + off * _softplus(x), "float64") <= 1
    assert _ulps(gradient[0], off * _sigma(x) - 3 * on * _sigma(-x), "float64") <= 1


@pytest.mark.parametrize("gamma", [0.0, 0.5, 3.7])
def test_focal_parameters(gamma: float) -> None:
    found = ACCURATE["sigmoid_focal_loss"]
    x, z = np.array([60.0, -3.0]), np.array([1.0, 0.0])
    value = _call(found, Quantity.VALUE, x, z, alpha=0.25, gamma=gamma)
    gradient = _call(found, Quantity.GRADIENT, x, z, alpha=0.25, gamma=gamma)
    for i, (alpha, sign) in enumerate([(mp.mpf("0.25"), -1), (mp.mpf("0.75"), 1)]):
        t = sign * mp.mpf(x[i])  # the loss is that of label 0 on t
        q, g = _sigma(t), mp.mpf(gamma)
        assert _ulps(value[i], alpha * q**g * _softplus(t), "float64") <= 1
        slope = alpha * (q**g * q + g * q**g * _sigma(-t) * _softplus(t))
        assert _ulps(gradient[i], sign * slope, "float64") <= 1


def test_entropy_in_other_bases_and_kl_of_log_targets() -> None:
    quarter = np.full((1, 4), 0.25)
    assert _call(ACCURATE["entropy"], Quantity.VALUE, quarter, None, base="2") == 2.0
    tenth = _call(ACCURATE["entropy"], Quantity.VALUE, np.array([[0.1]]), None, base="10")
    exact = -mp.mpf(0.1) * mp.log(mp.mpf(0.1), 10)
    assert _ulps(tenth[0], exact, "float64") <= 1
    x, t = np.array([[-3.0, -0.5]]), np.array([[-1.0, -INF]])
    kl = ACCURATE["kl_divergence"]
    value = _call(kl, Quantity.VALUE, x, t, log_target=True)
    assert _ulps(value[0], mp.exp(-1) * 2, "float64") <= 1
    gradient = _call(kl, Quantity.GRADIENT, x, t, log_target=True)
    assert _ulps(gradient[0, 0], -mp.exp(-1), "float64") <= 1
    assert gradient[0, 1] == 0


# Conventions


CONVENTIONS = [
    # loss, x, labels, value, gradient
    ("softmax_cross_entropy", [0.0, -INF], 0, 0.0, [0.0, 0.0]),
    ("softmax_cross_entropy", [0.0, -INF], 1, INF, [1.0, -1.0]),
    ("softmax_cross_entropy", [0.0, INF], 1, 0.0, [0.0, 0.0]),
    ("softmax_cross_entropy", [0.0, INF], 0, INF, [-1.0, 1.0]),
    ("softmax_cross_entropy", [NAN, 0.0], 1, NAN, [NAN, NAN]),
    ("softmax_cross_entropy", [-INF, -INF], 0, NAN, [NAN, NAN]),
    ("softmax_cross_entropy", [NAN, -INF], -100, 0.0, [0.0, 0.0]),
    ("softmax_cross_entropy", [-INF, 0.0], [0.0, 1.0], 0.0, [0.0, 0.0]),
    ("softmax_cross_entropy", [5.0], 0, 0.0, [0.0]),
    ("logsumexp", [-INF, -INF], None, -INF, [NAN, NAN]),
    ("logsumexp", [INF, 0.0], None, INF, [1.0, 0.0]),
    ("log_softmax", [0.0, -INF], 1, [0.0, -INF], [-1.0, 1.0]),
    ("softmax", [0.0, INF], 1, [0.0, 1.0], [0.0, 0.0]),
    ("sigmoid_binary_cross_entropy", INF, 1.0, 0.0, 0.0),
    ("sigmoid_binary_cross_entropy", -INF, 0.0, 0.0, 0.0),
    ("sigmoid_binary_cross_entropy", INF, 0.0, INF, 1.0),
    ("sigmoid_binary_cross_entropy", -INF, 0.75, INF, -0.75),
    ("sigmoid_binary_cross_entropy", NAN, 0.75, NAN, NAN),
    ("sigmoid_focal_loss", INF, 1.0, 0.0, 0.0),
    ("sigmoid_focal_loss", INF, 0.0, INF, 1.0),
    ("sigmoid_focal_loss", NAN, 0.0, NAN, NAN),
    ("sigmoid", INF, None, 1.0, 0.0),
    ("log_sigmoid", -INF, None, -INF, 1.0),
    ("softplus", INF, None, INF, 1.0),
    ("binary_cross_entropy", 0.0, 0.0, 0.0, 1.0),
    ("binary_cross_entropy", 1.0, 1.0, 0.0, -1.0),
    ("binary_cross_entropy", 1.0, 0.0, INF, INF),
    ("binary_cross_entropy", 0.0, 1.0, INF, -INF),
    ("categorical_cross_entropy", [0.0, 1.0], 1, 0.0, [0.0, -1.0]),
    ("categorical_cross_entropy", [0.0, 1.0], 0, INF, [-INF, 0.0]),
    ("nll_loss", [-INF, 0.0], 0, INF, [-1.0, 0.0]),
    ("nll_loss", [-INF, -2.0], 1, 2.0, [0.0, -1.0]),
    ("nll_loss", [NAN, -2.0], -100, 0.0, [0.0, 0.0]),
    ("kl_divergence", [-INF, 0.0], [0.0, 1.0], 0.0, [0.0, -1.0]),
    ("kl_divergence", [-INF, 0.0], [0.5, 0.5], INF, [-0.5, -0.5]),
    ("js_divergence", [0.0, 1.0], [0.0, 1.0], 0.0, None),
    ("js_divergence", [NAN, 1.0], [0.0, 1.0], NAN, [NAN, NAN]),
    ("entropy", [0.0, 1.0], None, 0.0, [INF, -1.0]),
]


def _label_array(labels: Any) -> Any:
    if labels is None:
        return None
    return np.array([labels], dtype=np.int64 if isinstance(labels, int) else np.float64)


@pytest.mark.parametrize(("loss", "x", "labels", "value", "gradient"), CONVENTIONS)
def test_accurate_keeps_the_limit_convention(
    loss: str, x: Any, labels: Any, value: Any, gradient: Any
) -> None:
    block, label = np.array([x]), _label_array(labels)
    actual = _call(ACCURATE[loss], Quantity.VALUE, block, label)
    np.testing.assert_array_equal(actual, np.array([value]))
    assert not np.signbit(actual[actual == 0]).any()
    if gradient is not None:
        slopes = _call(ACCURATE[loss], Quantity.GRADIENT, block, label)
        np.testing.assert_array_equal(slopes, np.array([gradient]))


def test_a_class_without_weight_costs_nothing() -> None:
    more = {"weight": np.array([0.0, 1.0])}
    for loss in ("nll_loss", "softmax_cross_entropy"):
        value = _call(
            ACCURATE[loss], Quantity.VALUE, np.array([[-INF, 0.0]]), np.array([0]), **more
        )
        assert value[0] == 0.0


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "nll_loss"])
def test_a_mean_over_nothing_is_zero_with_a_zero_gradient(loss: str) -> None:
    x, labels = np.array([[1.0, NAN]]), np.array([-100])
    assert _call(ACCURATE[loss], Quantity.VALUE, x, labels, reduction="mean") == 0.0
    gradient = _call(ACCURATE[loss], Quantity.GRADIENT, x, labels, reduction="mean")
    np.testing.assert_array_equal(gradient, np.zeros((1, 2)))


def test_a_vocabulary_of_equal_float16_logits_does_not_overflow() -> None:
    """log(65540) = 11.0904…, in float16 11.09375 (a multiple of 2^−7)."""
    x = np.zeros((2, 65540), np.float16)
    value = _call(ACCURATE["softmax_cross_entropy"], Quantity.VALUE, x, np.array([0, 65539]))
    assert list(value) == [np.float16(11.09375)] * 2


# The field guide as a whole


def test_every_loss_has_an_accurate_form_with_all_its_parameters_and_label_kinds() -> None:
    for loss in LOSSES.values():
        found = ACCURATE[loss.id]
        assert {each.name for each in loss.parameters} == found.parameters
        assert set(loss.label_kinds) <= set(found.label_kinds)
        assert found.gradient is not None
        assert found.dtypes == DTYPES


def test_every_form_is_named_once_says_what_it_is_and_makes_a_claim() -> None:
    everything = numpy_implementations()
    assert len(everything) == len(FIELD_GUIDE)
    for each in everything:
        assert each.loss in LOSSES
        assert each.summary.endswith(".")
        assert each.sound is not None
        known = {parameter.name for parameter in LOSSES[each.loss].parameters}
        assert each.parameters <= known


def test_every_loss_shows_right_and_wrong() -> None:
    for loss in LOSSES:
        claims = {each.sound for each in FIELD_GUIDE.values() if each.loss == loss}
        assert claims == {True, False}


# For every unsound form an input on which it fails, value or gradient.
CE, BCE, FOCAL = "softmax_cross_entropy", "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
CCE, BCE_P = "categorical_cross_entropy", "binary_cross_entropy"
FAULTS: dict[tuple[str, str], tuple[str, Quantity, Any, Any]] = {
    ("softmax", "numpy.naive"): ("float32", Quantity.VALUE, [1000.0, 0.0], 0),
    ("softmax", "numpy.zero_clamped_shift"): ("float64", Quantity.VALUE, [-1e4, -1e4], 0),
    ("softmax", "numpy.max_shifted"): ("float32", Quantity.GRADIENT, [20.0, 0.0], 0),
    ("log_softmax", "numpy.naive"): ("float32", Quantity.VALUE, [1000.0, 0.0], 0),
    ("log_softmax", "numpy.log_of_softmax"): ("float32", Quantity.VALUE, [0.0, -200.0], 0),
    ("log_softmax", "numpy.shifted_log_softmax"): ("float32", Quantity.VALUE, [20.0, 0.0], 0),
    ("logsumexp", "numpy.naive"): ("float32", Quantity.VALUE, [-200.0, -200.0], None),
    ("logsumexp", "numpy.zero_clamped_shift"): ("float32", Quantity.VALUE, [-200.0] * 2, None),
    ("logsumexp", "numpy.max_shifted"): ("float64", Quantity.VALUE, [0.0, -40.0], None),
    ("logsumexp", "numpy.logaddexp"): ("bfloat16", Quantity.VALUE, [1.0] * 4000, None),
    (CE, "numpy.naive"): ("float64", Quantity.VALUE, [1000.0, 2000.0, 3000.0], 0),
    (CE, "numpy.zero_clamped_shift"): ("float32", Quantity.VALUE, [-200.0] * 4, 0),
    (CE, "numpy.log_of_softmax"): ("float32", Quantity.VALUE, [0.0, -200.0], 1),
    (CE, "numpy.epsilon"): ("float64", Quantity.VALUE, [0.0, -30.0], 1),
    (CE, "numpy.clipped"): ("float64", Quantity.GRADIENT, [0.0, -30.0], 1),
    (CE, "numpy.lse_minus_logit"): ("float32", Quantity.VALUE, [1e8, 1e8], 0),
    (CE, "numpy.shifted_log_softmax"): ("float32", Quantity.VALUE, [20.0, 0.0], 0),
    ("sigmoid", "numpy.naive"): ("float32", Quantity.VALUE, -95.0, None),
    ("sigmoid", "numpy.exp_ratio"): ("float64", Quantity.VALUE, 710.0, None),
    ("sigmoid", "numpy.tanh"): ("float32", Quantity.VALUE, -20.0, None),
    ("softplus", "numpy.naive"): ("float32", Quantity.VALUE, 100.0, None),
    ("softplus", "numpy.log1p_exp"): ("float32", Quantity.VALUE, 100.0, None),
    ("softplus", "numpy.max_log"): ("float32", Quantity.VALUE, -20.0, None),
    ("softplus", "numpy.threshold"): ("float64", Quantity.VALUE, 20.1, None),
    ("log_sigmoid", "numpy.naive"): ("float32", Quantity.VALUE, -100.0, None),
    ("log_sigmoid", "numpy.log_of_branch"): ("float32", Quantity.VALUE, 20.0, None),
    ("log_sigmoid", "numpy.min_log"): ("float32", Quantity.VALUE, 20.0, None),
    (BCE, "numpy.naive"): ("float32", Quantity.VALUE, 100.0, 1.0),
    (BCE, "numpy.clipped"): ("float32", Quantity.VALUE, -60.0, 1.0),
    (BCE, "numpy.clamped"): ("float32", Quantity.VALUE, -120.0, 1.0),
    (BCE, "numpy.max_abs"): ("float32", Quantity.GRADIENT, 20.0, 1.0),
    (FOCAL, "numpy.naive"): ("float32", Quantity.VALUE, 100.0, 1.0),
    (FOCAL, "numpy.one_minus_p"): ("float32", Quantity.VALUE, 16.0, 1.0),
    (CCE, "numpy.naive"): ("float32", Quantity.VALUE, [0.0, 1.0], 1),
    (CCE, "numpy.epsilon"): ("float64", Quantity.VALUE, [1e-20, 1.0], 0),
    (CCE, "numpy.clipped"): ("float64", Quantity.GRADIENT, [1e-20, 1.0], 0),
    (BCE_P, "numpy.naive"): ("float32", Quantity.VALUE, 1e-9, 0.0),
    (BCE_P, "numpy.clipped"): ("float16", Quantity.VALUE, 6e-8, 1.0),
    (BCE_P, "numpy.clamped"): ("float64", Quantity.VALUE, 1e-60, 1.0),
    ("nll_loss", "numpy.one_hot"): ("float32", Quantity.VALUE, [-INF, -1.0], 1),
    ("kl_divergence", "numpy.naive"): ("float32", Quantity.VALUE, [-1.0, -1.0], [0.0, 1.0]),
    ("kl_divergence", "numpy.epsilon"): ("float64", Quantity.VALUE, [-1.0], [1e-9]),
    ("kl_divergence", "numpy.entropy_difference"): ("float32", Quantity.VALUE, [-INF], [0.0]),
    ("js_divergence", "numpy.naive"): ("float32", Quantity.VALUE, [0.0, 1.0], [0.5, 0.5]),
    ("js_divergence", "numpy.masked"): (
        "float32",
        Quantity.VALUE,
        [0.027501475, 0.055202297],
        [0.027537677, 0.055334348],
    ),
    ("entropy", "numpy.naive"): ("float32", Quantity.VALUE, [0.0, 0.5], None),
    ("entropy", "numpy.epsilon"): ("float64", Quantity.GRADIENT, [1e-13], None),
}


def _worst(found: Implementation, dtype: str, quantity: Quantity, x: Any, labels: Any) -> float:
    block = from_float64(np.array([x]), dtype)
    label = _label_array(labels)
    if label is not None and label.dtype != np.int64:
        label = from_float64(label, dtype)
    results = to_float64(_call(found, quantity, block, label))[0]
    exact = _exact(found.loss, quantity, block[0], None if label is None else label[0])
    return max(
        _ulps(float(actual), wanted, dtype)
        for actual, wanted in zip(np.atleast_1d(results), exact, strict=True)
    )


def test_every_unsound_form_has_an_input_that_shows_it() -> None:
    assert {key for key, each in FIELD_GUIDE.items() if not each.sound} == set(FAULTS)


MASKED = {("nll_loss", "numpy.one_hot"), ("kl_divergence", "numpy.entropy_difference")}


@pytest.mark.parametrize("key", [key for key in FAULTS if key not in MASKED])
def test_an_unsound_form_fails_where_the_accurate_one_does_not(key: tuple[str, str]) -> None:
    witness = FAULTS[key]
    assert _worst(FIELD_GUIDE[key], *witness) > 40
    assert _worst(ACCURATE[key[0]], *witness) <= 1


@pytest.mark.parametrize("key", sorted(MASKED))
def test_zero_times_infinity_is_nan_in_the_forms_that_do_not_mask(key: tuple[str, str]) -> None:
    """The exact values: −(−1) for the label's own class, and an empty sum."""
    dtype, quantity, x, labels = FAULTS[key]
    block, label = np.array([x], dtype), np.array([labels])
    exact = {"nll_loss": 1.0, "kl_divergence": 0.0}[key[0]]
    assert np.isnan(_call(FIELD_GUIDE[key], quantity, block, label)[0])
    assert _call(ACCURATE[key[0]], quantity, block, label)[0] == exact


def _ordinary(loss: str, dtype: str) -> tuple[Any, Any]:
    """Eight rows that no sound formula has trouble with."""
    rng = np.random.default_rng(5)
    spec = LOSSES[loss]
    shape = (8,) if spec.layout is Layout.ELEMENTWISE else (8, 5)
    p = rng.dirichlet(np.ones(5), 8) if len(shape) == 2 else rng.uniform(0.1, 0.9, 8)
    x = {
        Domain.LOGITS: rng.normal(size=shape),
        Domain.PROBABILITIES: p,
        Domain.LOG_PROBABILITIES: np.log(p),
    }[spec.domain]
    labels = {
        LabelKind.NONE: None,
        LabelKind.INTEGER: rng.integers(0, 5, 8),
        LabelKind.DISTRIBUTION: from_float64(rng.dirichlet(np.ones(5), 8), dtype),
        LabelKind.TARGET: from_float64(rng.integers(0, 2, 8).astype(float), dtype),
    }[spec.label_kinds[0]]
    return from_float64(x, dtype), labels


@pytest.mark.parametrize("dtype", DTYPES[:4])
@pytest.mark.parametrize("key", FIELD_GUIDE)
def test_a_form_keeps_dtype_shape_and_input_and_depends_on_its_row_alone(
    key: tuple[str, str], dtype: str
) -> None:
    x, labels = _ordinary(key[0], dtype)
    before = x.tobytes()
    for quantity in Quantity:
        results = _call(FIELD_GUIDE[key], quantity, x, labels)
        per_class = LOSSES[key[0]].per_class or quantity is Quantity.GRADIENT
        assert results.dtype == x.dtype
        assert results.shape == (x.shape if per_class else (8,))
        turned = None if labels is None else labels[::-1].copy()
        again = _call(FIELD_GUIDE[key], quantity, x[::-1].copy(), turned)
        assert again[::-1].tobytes() == results.tobytes()
    assert x.tobytes() == before


@pytest.mark.parametrize("key", [key for key, each in FIELD_GUIDE.items() if each.sound])
def test_a_sound_form_is_within_a_few_ulps_of_the_accurate_one(key: tuple[str, str]) -> None:
    """In the 16-bit dtypes, where it computes in float32: half an ulp and a trace."""
    for dtype in ("float16", "bfloat16"):
        x, labels = _ordinary(key[0], dtype)
        for quantity in Quantity:
            results = to_float64(_call(FIELD_GUIDE[key], quantity, x, labels))
            for row, result in enumerate(results):
                label = None if labels is None else labels[row]
                exact = _exact(key[0], quantity, x[row], label)
                for actual, wanted in zip(np.atleast_1d(result), exact, strict=True):
                    assert _ulps(float(actual), wanted, dtype) < 0.52


def test_no_form_warns_and_all_can_be_sent_to_another_process() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for key, found in FIELD_GUIDE.items():
            spec = LOSSES[key[0]]
            extreme = [-1e30, 1e30] if spec.domain is Domain.LOGITS else [0.0, 1.0]
            x = np.array(extreme, np.float32)
            labels = np.array([0.0, 1.0], np.float32)
            if spec.layout is Layout.ROWS:
                x = np.stack([x, x[::-1]])
                integer = spec.label_kinds[0] is LabelKind.INTEGER
                labels = np.array([0, 0]) if integer else np.eye(2, dtype=np.float32)
            for quantity in Quantity:
                _call(pickle.loads(pickle.dumps(found)), quantity, x, labels)


# Double-double arithmetic


def _pairs(values: Any, seed: int) -> DoubleDouble:
    """Numbers of about 107 bits next to the given ones."""
    rng = np.random.default_rng(seed)
    values = np.asarray(values)
    return DoubleDouble.of(values) + DoubleDouble.of(
        values * rng.uniform(-1, 1, values.shape) * 2.0**-54
    )


def _real(number: DoubleDouble) -> list[Any]:
    return [
        (mp.mpf(float(hi)) + mp.mpf(float(lo))) * mp.mpf(2) ** int(exponent)
        for hi, lo, exponent in zip(number.hi, number.lo, number.exponent, strict=True)
    ]


_RNG = np.random.default_rng(0)
_SPREAD = 10.0 ** _RNG.uniform(-300, 2.8, 60)
_NEAR_ONE = 1 + _RNG.uniform(-1, 1, 60) * 2.0 ** -_RNG.integers(1, 52, 60)
_STEPS = np.arange(-60, 60) / 128 + 2.0**-8


@pytest.mark.parametrize(
    ("function", "exact", "values"),
    [
        (double_double.exp, mp.exp, np.concatenate([_SPREAD, -_SPREAD, _STEPS])),
        (double_double.log, mp.log, np.concatenate([_SPREAD, _NEAR_ONE, [5e-324, 1.7e308]])),
        (double_double.log1p, lambda x: mp.log(1 + x), np.concatenate([_SPREAD, _STEPS])),
        (double_double.log1p, lambda x: mp.log(1 + x), -1 + 2.0 ** -np.arange(1, 50)),
        (
            double_double.asymmetry,
            lambda d: (1 + d) * mp.log(1 + d) + (1 - d) * mp.log(1 - d),
            np.array([2.0**-6, -(2.0**-7), 1e-3, -1e-20, 1e-200]),
        ),
        (lambda x: x * x, lambda x: x * x, _SPREAD),
        (lambda x: DoubleDouble.of(1.0) / x, lambda x: 1 / x, _SPREAD),
    ],
)
def test_double_double_functions_have_95_bits(
    function: Callable[[DoubleDouble], DoubleDouble], exact: Callable[[Any], Any], values: Any
) -> None:
    x = _pairs(values[values != 0], 1)
    with np.errstate(all="ignore"):
        results = _real(function(x))
    for given, result in zip(_real(x), results, strict=True):
        wanted = exact(given)
        assert abs(result - wanted) <= abs(wanted) * mp.mpf(2) ** -95, given


def test_exponents_beyond_float64_are_kept() -> None:
    tiny = double_double.exp(DoubleDouble.of([-2000.0]))
    huge = DoubleDouble.of([1e300]) * 1e300 * 1e300
    assert tiny.to_float64()[0] == 0
    product = (tiny * double_double.exp(DoubleDouble.of([2000.0]))).to_float64()[0]
    assert product == pytest.approx(1.0, rel=1e-15)
    assert (huge / 1e300 / 1e300).to_float64()[0] == 1e300


def test_a_sum_adds_terms_of_every_size() -> None:
    terms = DoubleDouble.of([[1.0, 2.0**-80, -1.0, 2.0**-90, 2.0**-1074]])
    assert terms.sum(1).to_float64()[0] == 2.0**-80 + 2.0**-90
    assert DoubleDouble.of(np.zeros((2, 0))).sum(1).to_float64().tolist() == [0.0, 0.0]


def test_rounding_happens_once() -> None:
    """A tail far below decides a tie: of float32 at 2^−24, and of the smallest subnormals."""
    above = DoubleDouble.of([1.0 + 2.0**-24]) + 2.0**-70
    assert from_float64(above.to_odd(), "float32")[0] == np.float32(1 + 2.0**-23)
    below = DoubleDouble.of([1.0 + 2.0**-24]) - 2.0**-70
    assert from_float64(below.to_odd(), "float32")[0] == 1
    for tail, wanted in ((2.0**-80, 2.0**-1022), (-(2.0**-80), 2.0**-1022 - 2.0**-1074)):
        tie = DoubleDouble.of([1.0 - 2.0**-53]) + tail
        assert tie.doubled(-1022).to_float64()[0] == wanted
