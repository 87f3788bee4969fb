"""`numpy.accurate` next to a zero of a result, where the terms of the problem cancel.

The rows are found, not listed: one number of a row is moved to where the exact result changes its
sign, and the numbers beside that place are judged. Exact results are the textbook formulas in ball
arithmetic (`arb_witness`). The promise is 4 ulp in float64 and 1 ulp in narrower dtypes. What is
asserted is what the error bounds of the implementation say: half an ulp of rounding and 2^−6.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import flint
import numpy as np
import numpy.typing as npt
import pytest
from flint import arb

from tests.reference.arb_witness import negligible, witness
from xentcheck.floats import FORMATS, from_float64, from_ordinals, ordinals, to_float64, ulp
from xentcheck.implementations import numpy_implementations
from xentcheck.implementations.numpy import accurate, double_double
from xentcheck.implementations.numpy.double_double import DoubleDouble
from xentcheck.implementations.numpy.tracked import EXACT, UNKNOWN, Tracked
from xentcheck.implementations.numpy.wide import Wide
from xentcheck.losses import LOSSES
from xentcheck.model import LabelKind, Quantity

ACCURATE = {each.loss: each for each in numpy_implementations() if each.name == "numpy.accurate"}
DTYPES = ("float16", "bfloat16", "float32", "float64")
BOUND = 0.5 + 2.0**-6  # ulp
VALUE, GRADIENT = Quantity.VALUE, Quantity.GRADIENT
Real = npt.NDArray[np.float64]


# The judge


def _fraction(ball: arb) -> Fraction:
    if negligible(ball):
        return Fraction(0)
    mantissa, exponent = ball.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def _ulps(actual: float, exact: arb, dtype: str) -> float:
    """The error in ulps; 0 for the right infinity, infinite for NaN and a wrong infinity."""
    real = _fraction(exact)
    if not math.isfinite(actual):
        limit = Fraction(FORMATS[dtype].max) + ulp(FORMATS[dtype].max, dtype) / 2
        return 0.0 if abs(real) >= limit and (real > 0) == (actual > 0) else math.inf
    return float(abs(Fraction(actual) - real) / ulp(real, dtype))


def _call(loss: str, quantity: Quantity, x: Any, labels: Any, **parameters: Any) -> Any:
    spec = LOSSES[loss]
    function = ACCURATE[loss].value if quantity is VALUE else ACCURATE[loss].gradient
    assert function is not None
    bare = spec.label_kinds == (LabelKind.NONE,) or (spec.per_class and quantity is VALUE)
    return function(x, **parameters) if bare else function(x, labels, **parameters)


def _exact(
    loss: str,
    quantity: Quantity,
    x: Any,
    label: Any,
    parameters: dict[str, Any],
    precision: int = 128,
) -> list[Any]:
    """The components of one row."""
    kind = "integer" if isinstance(label, int) else "distribution"
    if LabelKind.TARGET in LOSSES[loss].label_kinds:
        label = float(np.ravel(label)[0])
    return witness(loss, x, label, parameters, kind, precision=precision)[quantity is GRADIENT]


def _worst(loss: str, quantity: Quantity, x: Any, labels: Any, **parameters: Any) -> float:
    """The worst ulp error of a block, over all its rows and components."""
    dtype = next(name for name, known in FORMATS.items() if known.dtype == x.dtype)
    results = to_float64(_call(loss, quantity, x, labels, **parameters))
    worst = 0.0
    noise = parameters.pop("noise", None)
    for row, result in enumerate(results):
        if noise is not None:
            parameters["noise"] = noise[row]
        label = None if labels is None else labels[row]
        if isinstance(label, np.integer):
            label = int(label)
        elif label is not None:
            label = to_float64(label)
        exact = _exact(loss, quantity, to_float64(x)[row], label, parameters)
        for actual, wanted in zip(np.atleast_1d(result), exact, strict=True):
            if wanted is not None:
                worst = max(worst, _ulps(float(actual), wanted, dtype))
    return worst


@pytest.fixture
def _many_bits() -> Iterator[None]:
    before = flint.ctx.prec
    flint.ctx.prec = 4000
    yield
    flint.ctx.prec = before


# Rows with which the promise was refuted: in float64, 150 to 10^6 ulp in two words


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("loss", "quantity", "x", "labels"),
    [
        ("logsumexp", VALUE, [[-5.786119732405701, -0.003074592736476145]], None),
        (
            "sigmoid_binary_cross_entropy",
            GRADIENT,
            [-29.85450741135938],
            [1.082311246501969e-13],
        ),
        ("sigmoid_focal_loss", GRADIENT, [-0.021379658352613087], [0.4977601775434207]),
        (
            "kl_divergence",
            VALUE,
            [[-5.097267636628243, -0.006095268225085581]],
            [[0.006792959776983968, 0.993207040223016]],
        ),
    ],
)
def test_the_rows_that_refuted_the_promise(
    loss: str, quantity: Quantity, x: Any, labels: Any, dtype: str
) -> None:
    label = None if labels is None else from_float64(np.array(labels), dtype)
    assert _worst(loss, quantity, from_float64(np.array(x), dtype), label) <= BOUND


# Rows next to zeros of results


@dataclass
class Crossing:
    """A row one number of which is to be moved until one component of a result changes sign."""

    loss: str
    quantity: Quantity
    x: Real
    label: Any = None
    parameters: dict[str, Any] = field(default_factory=dict)
    moved: str = "x"  # or the label
    index: int = 0
    component: int = 0
    low: float = -60.0
    high: float = 60.0


def _logits(rng: np.random.Generator, least: int = 2) -> Real:
    return np.asarray(rng.normal(size=rng.integers(least, 6)) * rng.choice([0.3, 3.0, 12.0]))


def _shares(rng: np.random.Generator, classes: int) -> Real:
    return np.asarray(rng.dirichlet(np.full(classes, 0.7)))


def _targets(rng: np.random.Generator) -> Real:
    """One target inside (0, 1), as a row of one."""
    return np.asarray([rng.choice([rng.uniform(0.01, 0.99), 10.0 ** rng.uniform(-4, -1)])])


def _of_logsumexp(rng: np.random.Generator) -> Crossing:
    others = -np.exp(rng.uniform(-0.5, 3.5, rng.integers(1, 5)))
    x = np.concatenate([[0.0], others - math.log(len(others))])
    return Crossing("logsumexp", VALUE, x, low=-100.0, high=0.0)


def _of_bce_logit(rng: np.random.Generator) -> Crossing:
    parameters = [{}, {"pos_weight": 2.5}, {"label_smoothing": 0.125}]
    more = parameters[rng.integers(3)] | {"reduction": "none"}
    return Crossing("sigmoid_binary_cross_entropy", GRADIENT, np.zeros(1), _targets(rng), more)


def _of_bce_target(rng: np.random.Generator) -> Crossing:
    x = np.asarray([rng.choice([rng.normal(), rng.uniform(-40, 10)])])
    return Crossing(
        "sigmoid_binary_cross_entropy", GRADIENT, x, np.zeros(1), moved="label", low=0.0, high=1.0
    )


def _of_bce_value(rng: np.random.Generator) -> Crossing:
    """The target log(1 + e^x)/x > 1 is beyond the domain, and finite."""
    x = np.asarray([rng.uniform(0.5, 20)])
    return Crossing(
        "sigmoid_binary_cross_entropy", VALUE, x, np.zeros(1), moved="label", low=0.5, high=20.0
    )


def _of_focal(rng: np.random.Generator) -> Crossing:
    gamma = float(rng.choice([0.0, 0.5, 1.0, 2.0, 3.3]))
    more = {"gamma": gamma} | ({"alpha": 0.25} if rng.integers(2) else {})
    z = np.asarray([rng.uniform(0.05, 0.95)])
    return Crossing("sigmoid_focal_loss", GRADIENT, np.zeros(1), z, more, low=-30.0, high=30.0)


def _cross_entropy_parameters(rng: np.random.Generator, classes: int) -> dict[str, Any]:
    everything = {
        "weight": rng.uniform(0.5, 2, classes),
        "label_smoothing": 0.1,
        "temperature": 0.7,
        "z_loss": 0.01,
    }
    return {name: value for name, value in everything.items() if rng.integers(3) == 0}


def _of_cross_entropy_label(rng: np.random.Generator) -> Crossing:
    x = _logits(rng)
    index = int(rng.integers(len(x)))
    return Crossing(
        "softmax_cross_entropy",
        GRADIENT,
        x,
        _shares(rng, len(x)),
        _cross_entropy_parameters(rng, len(x)),
        "label",
        index,
        index,
        0.0,
        1000.0,
    )


def _of_cross_entropy_logit(rng: np.random.Generator) -> Crossing:
    x = _logits(rng)
    index, component = (int(each) for each in rng.integers(len(x), size=2))
    more = _cross_entropy_parameters(rng, len(x))
    label = _shares(rng, len(x))
    return Crossing("softmax_cross_entropy", GRADIENT, x, label, more, "x", index, component)


def _of_z_loss(rng: np.random.Generator) -> Crossing:
    """An integer label: p_y (1 + 2 z lse) = 1."""
    x = _logits(rng)
    index = int(rng.integers(len(x)))
    more = {"z_loss": float(rng.choice([0.0001, 0.01, 0.5]))}
    return Crossing(
        "softmax_cross_entropy", GRADIENT, x, index, more, "x", index, index, -20.0, 100.0
    )


def _of_cross_entropy_value(rng: np.random.Generator) -> Crossing:
    """A label below 0 is beyond the domain, and finite."""
    x = rng.normal(size=2)
    return Crossing("softmax_cross_entropy", VALUE, x, np.array([1.5, -0.5]), low=-30.0, high=30.0)


def _of_kl(rng: np.random.Generator) -> Crossing:
    t = np.maximum(_shares(rng, int(rng.integers(1, 6))), 1e-3)
    x = np.log(t) * rng.uniform(0.2, 1.0, len(t))
    log_target = bool(rng.integers(2))
    label = np.log(t) if log_target else t
    index = int(rng.integers(len(t)))
    more = {"log_target": log_target}
    return Crossing("kl_divergence", VALUE, x, label, more, "x", index, 0, -30000.0, 0.0)


def _of_entropy_gradient(rng: np.random.Generator) -> Crossing:
    base = {"base": str(rng.choice(["e", "2", "10"]))}
    return Crossing("entropy", GRADIENT, np.array([0.3, 0.2]), None, base, low=0.25, high=0.5)


def _of_entropy(rng: np.random.Generator) -> Crossing:
    """A probability above 1 is beyond the domain, and finite."""
    x = np.array([rng.uniform(1.05, 1.35), 0.1])
    return Crossing("entropy", VALUE, x, index=1, low=1e-4, high=0.36)


def _of_categorical(rng: np.random.Generator) -> Crossing:
    x = np.array([rng.uniform(1.05, 1.5), 0.1])
    label = rng.uniform(0.3, 0.7, 2)
    return Crossing("categorical_cross_entropy", VALUE, x, label, index=1, low=0.01, high=1.0)


def _of_binary(rng: np.random.Generator) -> Crossing:
    return Crossing(
        "binary_cross_entropy", GRADIENT, np.array([0.5]), _targets(rng), low=1e-7, high=0.995
    )


def _of_js(rng: np.random.Generator) -> Crossing:
    q = rng.uniform(0.01, 0.9, 3)
    return Crossing("js_divergence", GRADIENT, q.copy(), q, low=0.001, high=1.0)


CROSSINGS: dict[str, Callable[[np.random.Generator], Crossing]] = {
    "logsumexp": _of_logsumexp,
    "BCE gradient, logit moved": _of_bce_logit,
    "BCE gradient, target moved": _of_bce_target,
    "BCE value": _of_bce_value,
    "focal gradient": _of_focal,
    "cross-entropy gradient, label moved": _of_cross_entropy_label,
    "cross-entropy gradient, logit moved": _of_cross_entropy_logit,
    "z_loss": _of_z_loss,
    "cross-entropy value": _of_cross_entropy_value,
    "KL": _of_kl,
    "entropy gradient": _of_entropy_gradient,
    "entropy": _of_entropy,
    "categorical cross-entropy": _of_categorical,
    "binary cross-entropy gradient": _of_binary,
    "JS gradient": _of_js,
}


def _moved(case: Crossing, position: int, dtype: str) -> tuple[Any, Any]:
    """The row with its moved number at that ordinal of the dtype."""
    x = from_float64(case.x, dtype)
    label = case.label if isinstance(case.label, int | None) else from_float64(case.label, dtype)
    target = x if case.moved == "x" else label
    target[case.index] = from_ordinals(np.array(position), dtype)
    return x, label


def _sign(case: Crossing, position: int, dtype: str) -> int:
    x, label = _moved(case, position, dtype)
    exact = label if isinstance(label, int | None) else to_float64(label)
    ball = _exact(case.loss, case.quantity, to_float64(x), exact, case.parameters)[case.component]
    return 0 if negligible(ball) else 1 if ball > 0 else -1


def _at_the_zero(case: Crossing, dtype: str) -> int | None:
    """The ordinal beyond which the exact result has the other sign; None where it has one sign."""
    low, high = (
        int(ordinals(from_float64(np.array(each), dtype))) for each in (case.low, case.high)
    )
    left = _sign(case, low, dtype)
    if left * _sign(case, high, dtype) != -1:
        return None
    while high - low > 1:
        middle = (low + high) // 2
        if _sign(case, middle, dtype) == left:
            low = middle
        else:
            high = middle
    return low


def near_zeros(
    name: str, dtype: str, seed: int, reach: int = 2
) -> Iterator[tuple[Crossing, Any, Any]]:
    """Cases, without end, each with ``reach`` neighbouring rows on both sides of a zero."""
    rng = np.random.default_rng([seed, list(CROSSINGS).index(name), DTYPES.index(dtype)])
    while True:
        case = CROSSINGS[name](rng)
        zero = _at_the_zero(case, dtype)
        if zero is None:
            continue
        rows = [_moved(case, zero + step, dtype) for step in range(1 - reach, 1 + reach)]
        x = np.array([row[0] for row in rows])
        labels = None if case.label is None else np.array([row[1] for row in rows])
        if LOSSES[case.loss].layout.value == "elementwise":
            x, labels = x[:, 0], None if labels is None else labels[:, 0]
        yield case, x, labels


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CROSSINGS)
def test_next_to_a_zero_of_the_result(name: str, dtype: str) -> None:
    for (case, x, labels), _ in zip(near_zeros(name, dtype, 0), range(8), strict=False):
        parameters = case.parameters
        assert _worst(case.loss, case.quantity, x, labels, **parameters) <= BOUND, (x, labels)


@pytest.mark.parametrize("dtype", DTYPES)
def test_divergences_of_neighbouring_distributions(dtype: str) -> None:
    rng = np.random.default_rng(7)
    q = from_float64(rng.dirichlet(np.ones(4), 12), dtype)
    p = from_ordinals(np.maximum(ordinals(q) + rng.integers(-2, 3, q.shape), 1), dtype)
    x = from_float64(np.log(to_float64(q)), dtype)
    assert _worst("js_divergence", VALUE, p, q) <= BOUND
    assert _worst("js_divergence", GRADIENT, p, q) <= BOUND
    assert _worst("kl_divergence", VALUE, x, q) <= BOUND


# However much cancels: each exact result is of another size than its terms by the named bits.


@pytest.mark.parametrize(
    ("loss", "quantity", "x", "labels", "parameters"),
    [
        # y = (½, ½, 0): what is left of p − y is −e^−700/4, 2^−1012
        (
            "softmax_cross_entropy",
            GRADIENT,
            [[0.0, 0.0, -700.0], [0.0, 0.0, -300.0], [5.0, 5.0, -80.0]],
            [[0.5, 0.5, 0.0]] * 3,
            {"temperature": 1.0},
        ),
        # the same with charges of two words, beside which 2^−1012 is lost in a third
        (
            "softmax_cross_entropy",
            GRADIENT,
            [[0.0, 0.0, -700.0], [1.0, 1.0, -150.0]],
            [[0.1, 0.1, 0.0]] * 2,
            {"weight": np.array([0.3, 0.3, 0.3])},
        ),
        # 1 + 2^−70 + t log t − 1 − 2^−70, in an order in which two words keep the first two only
        (
            "kl_divergence",
            VALUE,
            [[-1.0, 1.0, 0.0, 0.0, -(2.0**-70), 2.0**-70, 0.0, 0.0]],
            [[1.0, 1.0, 1e-300, 0.0, 1.0, 1.0, 0.0, 0.0]],
            {},
        ),
        # σ(x) − ½ is about x/4: up to 2^−1071
        (
            "sigmoid_binary_cross_entropy",
            GRADIENT,
            [1e-10, -1e-30, 1e-100, 3e-200, 1e-300, 5e-324],
            [0.5] * 6,
            {},
        ),
        ("sigmoid_focal_loss", GRADIENT, [1e-30, -1e-150, 1e-300], [0.5] * 3, {"gamma": 2.0}),
        # 1 + t log t − 1, and the same with the small term between the large ones: 2^−990
        (
            "kl_divergence",
            VALUE,
            [[-1.0, 0.0, 1.0], [-1.0, 1.0, 0.0], [0.0, -1.0, 1.0]],
            [[1.0, 1e-300, 1.0], [1.0, 1.0, 1e-300], [1e-30, 1.0, 1.0]],
            {},
        ),
        # log(e^x + e^−700) with x = −e^−700: what the rounding of x leaves is a subnormal number
        ("logsumexp", VALUE, [[-math.exp(-700.0), -700.0], [-math.exp(-40.0), -40.0]], None, {}),
        # q^γ with γ = 10^300: 1 − q = e^−1000 decides
        (
            "sigmoid_focal_loss",
            GRADIENT,
            [-690.0, -700.0, -1000.0, -40.0],
            [1.0] * 4,
            {"gamma": 1e300},
        ),
        (
            "sigmoid_focal_loss",
            VALUE,
            [-690.0, -700.0, -1000.0, -40.0],
            [1.0] * 4,
            {"gamma": 1e300},
        ),
    ],
)
def test_however_much_cancels(
    loss: str, quantity: Quantity, x: Any, labels: Any, parameters: dict[str, Any]
) -> None:
    label = None if labels is None else np.array(labels)
    assert _worst(loss, quantity, np.array(x), label, **parameters) <= BOUND


def test_noise_that_takes_the_logits_back() -> None:
    """x + noise is of the size of 1, x and noise up to 2^900; p is e^ of it."""
    rng = np.random.default_rng(3)
    scale = np.exp2(rng.uniform(50, 900, (20, 3)))
    noise = -scale + rng.normal(size=scale.shape)
    shifted = scale + rng.normal(size=scale.shape)
    labels = np.zeros(20, np.int64)
    for more in ({}, {"temperature": 3.0}):
        assert _worst("softmax", VALUE, scale, labels, noise=noise, **more) <= BOUND
        assert _worst("softmax", GRADIENT, shifted, labels, noise=noise, **more) <= BOUND


def test_what_is_exactly_zero_is_zero() -> None:
    """By symmetry, or because every term is a multiple of log 2; no width tells it from 0."""
    half = np.array([0.5, 0.5])
    bce, focal = "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"
    assert not _call(bce, GRADIENT, np.zeros(2), half).any()
    assert not _call(bce, GRADIENT, np.zeros(2), half, label_smoothing=0.1).any()
    assert not _call(focal, GRADIENT, np.zeros(2), half, alpha=0.3).any()
    equal, thirds = np.full((1, 3), 0.7), np.full((1, 3), 1 / 3)
    assert not _call("softmax_cross_entropy", GRADIENT, equal, thirds, temperature=0.3).any()
    t = np.array([[2.0, 0.5, 0.5, 0.5, 0.5]])
    assert _call("kl_divergence", VALUE, np.zeros((1, 5)), t)[0] == 0
    p = np.array([[0.1, 0.9]])
    assert _call("js_divergence", VALUE, p, p)[0] == 0
    assert not _call("js_divergence", GRADIENT, p, p).any()


@pytest.mark.usefixtures("_many_bits")
@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize(("name", "loss"), [("KL", "kl_divergence"), ("entropy", "entropy")])
def test_rows_that_cancel_in_a_reduction(name: str, loss: str, reduction: str) -> None:
    """The second row is moved until it is what takes the first one back."""
    rng = np.random.default_rng(11)
    for _ in range(5):
        t, x = rng.dirichlet(np.ones(3), 2), np.log(rng.dirichlet(np.ones(3), 2))
        label: Any = t if name == "KL" else None
        if name == "entropy":
            x = np.array([[1.2, 0.6], [1.0, 1.0]]) * rng.uniform(0.9, 1.0, (2, 2))

        def total(moved: float, rows: Any = x, label: Any = label) -> arb:
            rows[1, 0] = moved
            value = arb(0)
            for row in range(2):
                one = None if label is None else label[row]
                value += _exact(loss, VALUE, rows[row], one, {}, 600)[0]
            return value

        low, high = (-200.0, 200.0) if name == "KL" else (0.5, 30.0)
        assert (total(low) > 0) != (total(high) > 0)
        while high not in (low, np.nextafter(low, np.inf)):
            middle = low + (high - low) / 2
            if (total(middle) > 0) == (total(low) > 0):
                low = middle
            else:
                high = middle
        for moved in (low, high):
            exact = total(moved)
            actual = _call(loss, VALUE, x, label, reduction=reduction)
            if reduction == "mean":
                exact /= 2
            assert _ulps(float(actual), exact, "float64") <= BOUND


# What it costs


def _widths(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """(rows, bits) of every pass in wide arithmetic from now on, as they come."""
    passes: list[tuple[int, int]] = []
    original = Wide.of

    def counted(values: Any, bits: int) -> Wide:
        passes.append((len(np.atleast_1d(values)), bits))
        return original(values, bits)

    monkeypatch.setattr(accurate.wide.Wide, "of", counted)
    return passes


def test_ordinary_rows_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = _widths(monkeypatch)
    rng = np.random.default_rng(0)
    logits, p, q = rng.normal(size=(200, 10)) * 4, *rng.dirichlet(np.ones(10), (2, 200))
    targets = np.where(rng.integers(2, size=200) == 1, 1.0, rng.uniform(size=200))
    for loss, spec in LOSSES.items():
        x: Any = {"logits": logits, "probabilities": p}.get(spec.domain.value, np.log(p))
        labels: Any = rng.integers(0, 10, 200)
        if spec.label_kinds[-1] is LabelKind.DISTRIBUTION:
            labels = q
        if spec.layout.value == "elementwise":
            x, labels = x[:, 0], targets
        for quantity in Quantity:
            bare = labels if spec.label_kinds != (LabelKind.NONE,) else None
            _call(loss, quantity, x, bare)
    assert passes == []


@pytest.mark.parametrize("loss", LOSSES)
def test_extreme_rows_are_settled(loss: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hard labels nothing cancels, however far apart the logits are."""
    passes = _widths(monkeypatch)
    spec = LOSSES[loss]
    ends = [1e-300, 1e-20, 30.0, 700.0, 1e5, 1e30, 1.7e308]
    if spec.domain.value != "logits":
        ends = [5e-324, 1e-300, 1e-20, 0.25, 1 - 2.0**-53]
    numbers = np.array(ends + [-each for each in ends] if spec.domain.value == "logits" else ends)
    if spec.domain.value == "log-probabilities":
        numbers = np.log(numbers)
    grid = np.stack([each.ravel() for each in np.meshgrid(numbers, numbers)], axis=1)
    if spec.layout.value == "elementwise":
        x, labels = np.concatenate([numbers, numbers]), np.repeat([0.0, 1.0], len(numbers))
    else:
        x, labels = np.concatenate([grid, grid]), np.repeat([0, 1], len(grid))
        if spec.label_kinds == (LabelKind.DISTRIBUTION,):
            labels = np.eye(2)[labels]
    for quantity in Quantity:
        assert np.isfinite(_call(loss, quantity, x, labels)).any()
        if loss != "logsumexp" or quantity is GRADIENT:
            assert passes == []
    assert max((bits for _, bits in passes), default=0) <= 2048


def test_only_rows_in_which_too_much_cancelled_are_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    passes = _widths(monkeypatch)
    x = np.zeros((50, 3))
    x[7] = [0.0, 0.0, -700.0]
    labels = np.full((50, 3), [0.5, 0.25, 0.25])
    labels[7] = [0.5, 0.5, 0.0]
    whole = _call("softmax_cross_entropy", GRADIENT, x, labels)
    widths = [bits for _, bits in passes]
    assert sorted(set(widths)) == [256, 512, 1024, 2048]
    assert {rows for rows, _ in passes} == {1}
    alone = _call("softmax_cross_entropy", GRADIENT, x[7:8], labels[7:8])
    np.testing.assert_array_equal(whole[7:8], alone)


def test_a_narrow_dtype_is_content_with_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half the digits of double-double arithmetic are enough for float32, not for float64."""
    passes = _widths(monkeypatch)
    x = np.array([2.0**-40])
    for dtype, again in (("float32", False), ("float64", True)):
        passes.clear()
        _call("sigmoid_binary_cross_entropy", GRADIENT, x.astype(dtype), np.full(1, 0.5, dtype))
        assert bool(passes) == again


# The error bounds of both arithmetics


def _balls(number: Tracked) -> list[arb]:
    if isinstance(number, DoubleDouble):
        parts = zip(number.hi, number.lo, number.exponent, strict=True)
        return [(arb(float(hi)) + arb(float(lo))) * arb(2) ** int(e) for hi, lo, e in parts]
    assert isinstance(number, Wide)
    pairs = zip(number.mantissa, number.scale, strict=True)
    return [arb(int(mantissa)) * arb(2) ** int(scale) for mantissa, scale in pairs]


def _assert_within_bounds(number: Tracked, exact: list[arb]) -> None:
    for ball, wanted, bound in zip(_balls(number), exact, number.error, strict=True):
        assert abs(ball - wanted) <= arb(2) ** int(bound), (ball, wanted, bound)


_RNG = np.random.default_rng(2)
_SPREAD = _RNG.choice([-1, 1], 80) * 10.0 ** _RNG.uniform(-300, 2.8, 80)
_NEAR_ONE = 1 + _RNG.uniform(-1, 1, 80) * 2.0 ** -_RNG.integers(1, 52, 80)
_BELOW_ONE = -1 + 2.0 ** -np.arange(1, 51)
_OPERANDS = {
    "exp": np.concatenate([_SPREAD, [0.0, -1.0, 700.0, -(2.0**19)]]),
    "log": np.concatenate([np.abs(_SPREAD), _NEAR_ONE, [1.0, 2.0, 5e-324, 1.7e308]]),
    "log1p": np.concatenate([np.abs(_SPREAD), _BELOW_ONE, [0.0, 2.0**-7, -(2.0**-7)]]),
}
MAKERS = {
    "double-double": DoubleDouble.of,
    "64 bits": lambda values: Wide.of(values, 64),
    "256 bits": lambda values: Wide.of(values, 256),
    "1024 bits": lambda values: Wide.of(values, 1024),
}


@pytest.mark.usefixtures("_many_bits")
@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("function", _OPERANDS)
def test_functions_are_within_their_bounds_and_the_bounds_are_close(
    function: str, maker: str
) -> None:
    values = _OPERANDS[function]
    number = getattr(MAKERS[maker](values), function)()
    exact = [getattr(arb(float(each)), function)() for each in values]
    _assert_within_bounds(number, exact)
    bits = {"double-double": 90, "64 bits": 54, "256 bits": 246, "1024 bits": 1014}[maker]
    nonzero = ~number.is_zero
    slack = 12 if function == "exp" and maker == "double-double" else 0  # |x|/16 of 2^19
    assert (number.error < number.exponent - bits + slack)[nonzero].all()


@pytest.mark.usefixtures("_many_bits")
@pytest.mark.parametrize("maker", MAKERS)
def test_sums_products_and_quotients_of_doubtful_numbers_stay_within_their_bounds(
    maker: str,
) -> None:
    """Chains in which each step takes what the one before left uncertain, and cancels."""
    number = MAKERS[maker]
    rng = np.random.default_rng(5)
    a, b, c = rng.normal(size=(3, 60)) * 2.0 ** rng.integers(-40, 40, (3, 60))
    x, y, z = (number(each) for each in (a, b, c))
    balls = [[arb(float(each)) for each in part] for part in (a, b, c)]
    quotient, exact = x / y, [i / j for i, j, _ in zip(*balls, strict=True)]
    _assert_within_bounds(quotient, exact)
    # (a/b)·b − a is 0; a/b + c − c is a/b again, with what c took from it
    _assert_within_bounds(quotient * y - x, [arb(0)] * 60)
    _assert_within_bounds(quotient + z - z, exact)
    _assert_within_bounds(
        (quotient + z - z) * (quotient * y - x + z),
        [e * k for e, k in zip(exact, balls[2], strict=True)],
    )
    block = number(np.stack([a, b, -a, c, -b], axis=1)) / 3.0
    _assert_within_bounds(block.sum(1), [k / 3 for k in balls[2]])


@pytest.mark.parametrize("maker", MAKERS)
def test_exact_operations_are_known_to_be_exact(maker: str) -> None:
    number = MAKERS[maker]
    values = np.array([0.1, 3.0, 1e-30])
    x = number(values)
    for exact in (x - values, x + x, x.doubled(-3), x * values if maker != "64 bits" else x):
        assert (exact.error < EXACT // 2).all()
    one = number(np.zeros(1)).exp()
    assert one.error[0] < EXACT // 2
    assert one.log().error[0] < EXACT // 2
    assert (number(np.ones(1)) - one).is_zero.all()


@pytest.mark.parametrize("maker", MAKERS)
def test_nothing_is_claimed_of_what_is_lost_altogether(maker: str) -> None:
    """1/3 − 1/3 is anything near 0, so its inverse and its logarithm are anything at all."""
    number = MAKERS[maker]
    third = number(np.array([1.0])) / 3.0
    tiny = number(np.array([2.0**-1000])) * 2.0**-900
    lost = third - third + tiny
    assert (third / lost).error[0] >= UNKNOWN
    assert lost.log().error[0] >= UNKNOWN
    assert (lost / tiny).exp().error[0] >= UNKNOWN
    assert (tiny / tiny).exp().error[0] < -50


def test_powers_beyond_their_range_are_bounded() -> None:
    """e^−10^300 lies between 0 and what stands for it; of e^10^300 nothing is known."""
    for number in (DoubleDouble.of, MAKERS["256 bits"]):
        low, high = number(np.array([-1e300, 1e300])).exp()[0:1], number(np.array([1e300])).exp()
        assert low.error[0] < -(2**19)
        assert low.exponent[0] < -(2**20)
        assert high.error[0] >= UNKNOWN
        assert high.exponent[0] > 2**20


@pytest.mark.usefixtures("_many_bits")
def test_asymmetry_in_both_arithmetics() -> None:
    d = np.array([2.0**-6.5, -(2.0**-7), 1e-3, -1e-12])
    exact = [(1 + e) * (1 + e).log() + (1 - e) * (1 - e).log() for e in (arb(float(v)) for v in d)]
    _assert_within_bounds(double_double.asymmetry(DoubleDouble.of(d)), exact)
    _assert_within_bounds(Wide.of(d, 256).asymmetry(), exact)
    assert _worst("js_divergence", VALUE, np.array([[0.5, 0.5]]), np.array([[0.25, 0.75]])) <= BOUND


@pytest.mark.usefixtures("_many_bits")
def test_a_wide_number_keeps_its_106_leading_bits() -> None:
    number = Wide.of(np.array([1.0, -2.0, 3e-300, 0.0]), 256) / 3.0
    pair = number.to_double_double()
    _assert_within_bounds(pair, [arb(v) / 3 for v in (1.0, -2.0, 3e-300, 0.0)])
    assert (pair.error <= pair.exponent - 100)[:3].all()
    assert pair.is_zero.tolist() == [False, False, False, True]
