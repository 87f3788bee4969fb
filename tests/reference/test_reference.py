"""The package's exact values against an independent witness in ball arithmetic."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from flint import arb, ctx

from tests.reference.arb_witness import WITNESSES, witness
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import Array, Case, Domain, LabelKind, Layout
from xentcheck.reference import exact
from xentcheck.reference.enclosures import Enclosures

DTYPES = tuple(FORMATS)
# Every result is rounded to a dtype whose smallest positive number is at least 2^-1074.
NEGLIGIBLE = -1100
RELATIVE = -70

Rng = np.random.Generator
Rows = Callable[[Rng, int, float], Array]
Draw = Callable[[Rng, int, int], Any]


def normal(scale: float) -> Rows:
    return lambda rng, classes, _top: rng.normal(scale=scale, size=(4, classes))


def near_largest(rng: Rng, classes: int, top: float) -> Array:
    return rng.choice([top, -top, top / 2, 0.0, 1.0], size=(4, classes))


def subnormal(rng: Rng, classes: int, _top: float) -> Array:
    return rng.choice([5e-324, -5e-324, 1e-310, 1e-45, -1e-40, 6e-8, 1e-3], size=(4, classes))


def common_offset(rng: Rng, classes: int, top: float) -> Array:
    offset = rng.choice([1.0, -1.0], size=(4, 1)) * min(1e30, top / 4)
    return offset + rng.integers(-4, 5, size=(4, classes)) * abs(offset) * 2.0**-3


def one_gap(rng: Rng, classes: int, top: float) -> Array:
    gap = np.exp(rng.uniform(np.log(0.5), np.log(top / 2), size=(4, 1)))
    rows = np.zeros((4, classes))
    rows[:, :1] = gap * rng.choice([1.0, -1.0], size=(4, 1))
    return rows


def saturating_gap(rng: Rng, classes: int, _top: float) -> Array:
    """Gaps over which p goes to 1 and exp to its underflow, from float16 to float64."""
    rows = rng.normal(size=(4, classes))
    rows[:, 0] += rng.choice([8.0, 12.0, 17.0, 37.0, 88.0, 104.0, 710.0, 745.0], size=4)
    return rows


def ties(rng: Rng, classes: int, top: float) -> Array:
    return np.repeat(rng.choice([0.0, 3.0, -2.5, 100.0, top / 2], size=(4, 1)), classes, axis=1)


LOGITS: Mapping[str, Rows] = {
    "normal-1": normal(1.0),
    "normal-10": normal(10.0),
    "normal-100": normal(100.0),
    "near-largest": near_largest,
    "subnormal": subnormal,
    "common-offset": common_offset,
    "one-gap": one_gap,
    "saturating-gap": saturating_gap,
    "ties": ties,
}


def softmax_of(scale: float) -> Rows:
    def rows(rng: Rng, classes: int, _top: float) -> Array:
        weights = np.exp(rng.normal(scale=scale, size=(4, classes)))
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))

    return rows


def near_zero_and_one(rng: Rng, classes: int, _top: float) -> Array:
    edges = [1.0, 1 - 2.0**-53, 1 - 2.0**-24, 0.9990234375, 0.5, 2.0**-14, 1e-38, 5e-324, 0.0]
    return rng.choice(edges, size=(4, classes))


PROBABILITIES: Mapping[str, Rows] = {
    "ordinary": softmax_of(1.0),
    "confident": softmax_of(8.0),
    "very-confident": softmax_of(150.0),
    "uniform": lambda rng, classes, _top: rng.uniform(size=(4, classes)),
    "near-zero-and-one": near_zero_and_one,
    "equal": lambda _rng, classes, _top: np.full((4, classes), 1 / classes),
}

LOG_PROBABILITIES: Mapping[str, Rows] = {
    "logs": lambda rng, classes, _top: np.log(softmax_of(2.0)(rng, classes, 0)),
    "near-zero": lambda rng, classes, _top: -(2.0 ** rng.uniform(-60, 0, size=(4, classes))),
    "far-below": lambda rng, classes, top: -rng.choice([1e3, 200.0, top], size=(4, classes)),
    "zero": lambda _rng, classes, _top: np.zeros((4, classes)),
}

FAMILIES = {
    Domain.LOGITS: LOGITS,
    Domain.PROBABILITIES: PROBABILITIES,
    Domain.LOG_PROBABILITIES: LOG_PROBABILITIES,
}


def number(*values: float) -> Draw:
    return lambda rng, _rows, _classes: float(rng.choice(values))


def anything(*values: Any) -> Draw:
    return lambda rng, _rows, _classes: values[int(rng.integers(len(values)))]


def class_weights(rng: Rng, _rows: int, classes: int) -> Array:
    return rng.choice([0.0, 0.25, 1.0, 3.0, 0.3], size=classes)


PARAMETERS: Mapping[str, Mapping[str, Draw]] = {
    "softmax_cross_entropy": {
        "weight": class_weights,
        "ignore_index": anything(0, 1),
        "label_smoothing": number(0.1, 0.5, 1.0),
        "temperature": number(0.3, 2.0, 16.0),
        "z_loss": number(0.25, 0.0625),
    },
    "sigmoid_binary_cross_entropy": {
        "pos_weight": number(0.0, 0.3, 4.0),
        "label_smoothing": number(0.1, 0.5),
    },
    "categorical_cross_entropy": {},
    "binary_cross_entropy": {},
    "nll_loss": {"weight": class_weights, "ignore_index": anything(0, 1)},
    "kl_divergence": {"log_target": anything(True)},
    "js_divergence": {},
    "entropy": {"base": anything("2", "10")},
    "sigmoid_focal_loss": {"alpha": number(0.0, 0.25, 1.0), "gamma": number(0.0, 0.5, 1.0, 5.0)},
    "softmax": {
        "temperature": number(0.3, 2.0, 16.0),
        "noise": lambda rng, rows, classes: rng.gumbel(size=(rows, classes)),
    },
    "log_softmax": {},
    "logsumexp": {},
    "sigmoid": {},
    "log_sigmoid": {},
    "softplus": {},
}


def rounded(values: Any, dtype: str) -> Array:
    with np.errstate(over="ignore"):
        return from_float64(np.asarray(values, dtype=np.float64), dtype)


def parameter_sets(loss: Loss, kind: LabelKind) -> Iterator[tuple[str, ...]]:
    """None, each one alone, and all together."""
    names = tuple(
        each.name
        for each in loss.parameters
        if each.name != "reduction" and (not each.label_kinds or kind in each.label_kinds)
    )
    yield ()
    yield from ((name,) for name in names)
    if len(names) > 1:
        yield names


def draw_parameters(
    loss: Loss, names: tuple[str, ...], rng: Rng, rows: int, classes: int, dtype: str
) -> dict[str, Any]:
    drawn: dict[str, Any] = {}
    for name in names:
        value = PARAMETERS[loss.id][name](rng, rows, classes)
        parameter = loss.parameter(name)
        assert parameter is not None
        if parameter.kind == "real":
            value = float(to_float64(rounded(value, dtype)))
        elif parameter.kind in {"class-vector", "row-matrix"}:
            value = rounded(value, dtype)
        drawn[name] = value
    return drawn


def draw_labels(
    loss: Loss, kind: LabelKind, logs: bool, shape: tuple[int, ...], rng: Rng, dtype: str
) -> Array | None:
    rows, classes = shape[0], shape[-1]
    if kind is LabelKind.NONE:
        return None
    if kind is LabelKind.INTEGER:
        return rng.integers(classes, size=rows)
    if kind is LabelKind.TARGET:
        return rounded(rng.choice([0.0, 1.0, 0.5, 0.125, 0.9], size=rows), dtype)
    if logs:
        return rounded(rng.uniform(-20, 0, size=shape), dtype)
    rows_of_labels = np.exp(rng.normal(scale=3, size=shape))
    rows_of_labels /= rows_of_labels.sum(axis=1, keepdims=True)
    rows_of_labels[0] = np.arange(classes) == rng.integers(classes)
    rows_of_labels[1:2] *= 1.5  # need not sum to 1
    return rounded(rows_of_labels, dtype)


def cases(loss: Loss, dtype: str, seed: int) -> Iterator[Case]:
    top = FORMATS[dtype].max
    for kind in loss.label_kinds:
        for number_of_set, names in enumerate(parameter_sets(loss, kind)):
            for number_of_family, (family, rows_of) in enumerate(FAMILIES[loss.domain].items()):
                rng = np.random.default_rng([seed, number_of_set, number_of_family])
                # The last family has all logits or probabilities equal: one class is such a row.
                last = number_of_family == len(FAMILIES[loss.domain]) - 1
                classes = 1 if last and not names else int(rng.integers(2, 6))
                x = np.clip(rows_of(rng, classes, top), -top, top)
                x = x.reshape(-1) if loss.layout is Layout.ELEMENTWISE else x
                parameters = draw_parameters(loss, names, rng, 4, classes, dtype)
                labels = draw_labels(loss, kind, "log_target" in parameters, x.shape, rng, dtype)
                yield Case(
                    sweep="test",
                    generator=family,
                    loss=loss.id,
                    dtype=dtype,
                    logits=rounded(x, dtype),
                    label_kind=kind,
                    labels=labels,
                    parameters=parameters,
                )


def row_of(case: Case, row: int) -> tuple[Array, Any, dict[str, Any]]:
    labels = None if case.labels is None else case.labels[row]
    if labels is not None:
        labels = int(labels) if case.label_kind is LabelKind.INTEGER else to_float64(labels)
    parameters: dict[str, Any] = {}
    for name, value in case.parameters.items():
        if isinstance(value, np.ndarray):
            parameters[name] = to_float64(value[row] if name == "noise" else value)
        else:
            parameters[name] = value
    return to_float64(case.logits[row]), labels, parameters


def ball(enclosures: Enclosures, index: Any) -> arb:
    hi, lo = float(enclosures.hi[index]), float(enclosures.lo[index])
    middle = arb(arb(hi) + arb(lo), float(enclosures.radius[index]))
    return middle * arb((1, int(enclosures.exponent[index])))


def assert_agrees(expected: arb | None, enclosures: Enclosures, index: Any, where: str) -> None:
    hi = float(enclosures.hi[index])
    if expected is None:
        assert not np.isfinite(hi) or enclosures.accepts[index], where
        return
    assert np.isfinite(hi), where
    precision = ctx.prec
    try:
        ctx.prec = 400
        actual = ball(enclosures, index)
        assert actual.overlaps(expected), f"{where}: reference {actual}, witness {expected}"
        radius = arb(float(enclosures.radius[index])) * arb((1, int(enclosures.exponent[index])))
        narrow = radius <= abs(actual.mid()) * arb((1, RELATIVE))
        assert narrow or radius <= arb((1, NEGLIGIBLE)), f"{where}: radius {radius} of {actual}"
    finally:
        ctx.prec = precision


def describe(case: Case, row: int, quantity: str) -> str:
    x, label, parameters = row_of(case, row)
    return f"{case.loss} {case.dtype} {case.generator} {quantity} {x!r} {label!r} {parameters!r}"


def test_every_loss_has_a_witness_and_every_parameter_is_drawn() -> None:
    assert set(WITNESSES) == set(LOSSES) == set(PARAMETERS)
    for loss in LOSSES.values():
        assert {each.name for each in loss.parameters} - {"reduction"} == set(PARAMETERS[loss.id])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.id)
def test_reference_and_witness_enclose_the_same_number(loss: Loss, dtype: str) -> None:
    compared = 0
    for case in cases(loss, dtype, seed=2024):
        found = exact(case)
        assert found.value.shape == (case.logits.shape if loss.per_class else (case.rows,))
        assert found.gradient.shape == case.logits.shape
        for row in range(case.rows):
            x, label, parameters = row_of(case, row)
            value, gradient = witness(loss.id, x, label, parameters, case.label_kind)
            for quantity, expected, enclosures in (
                ("value", value, found.value),
                ("gradient", gradient, found.gradient),
            ):
                flat = enclosures.at(row)
                for component, each in enumerate(expected):
                    where = describe(case, row, f"{quantity}[{component}]")
                    assert_agrees(each, flat, component, where)
                    compared += each is not None
    assert compared >= 6 * len(FAMILIES[loss.domain])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize(
    "loss", [each for each in LOSSES.values() if each.reducible], ids=lambda loss: loss.id
)
def test_reductions_enclose_the_witness_combined_over_rows(loss: Loss, reduction: str) -> None:
    for case in cases(loss, "float32", seed=7):
        rows = [row_of(case, row) for row in range(case.rows)]
        results = [witness(loss.id, *row, case.label_kind) for row in rows]
        values = [value[0] for value, _ in results]
        weights = [mean_weight(case, label, parameters) for _, label, parameters in rows]
        total = sum(weights) if reduction == "mean" else 1.0
        if any(value is None for value in values) or total == 0:
            continue
        reduced = Case(
            **{name: getattr(case, name) for name in Case.__dataclass_fields__}
            | {"parameters": {**case.parameters, "reduction": reduction}}
        )
        found = exact(reduced)
        assert found.value.shape == ()
        precision = ctx.prec
        ctx.prec = 4000
        try:
            expected = sum((value for value in values if value is not None), arb(0)) / arb(total)
            gradients = [
                [None if each is None else each / arb(total) for each in gradient]
                for _, gradient in results
            ]
        finally:
            ctx.prec = precision
        assert_agrees(expected, found.value.at(...), 0, f"{describe(case, 0, 'value')} {reduction}")
        for row, gradient in enumerate(gradients):
            flat = found.gradient.at(row)
            for component, each in enumerate(gradient):
                where = f"{describe(case, row, f'gradient[{component}]')} {reduction}"
                assert_agrees(each, flat, component, where)


def mean_weight(case: Case, label: Any, parameters: Mapping[str, Any]) -> float:
    """What a row adds to the denominator of a mean: torch's Σ w_y over the kept rows."""
    if case.label_kind is not LabelKind.INTEGER:
        return 1.0
    if label == parameters.get("ignore_index", -100):
        return 0.0
    return float(parameters["weight"][label]) if "weight" in parameters else 1.0


def one_row(loss: str, x: list[float], label: int | None, dtype: str = "float64") -> Case:
    """A single row of logits with an integer label."""
    kind = LabelKind.NONE if label is None else LabelKind.INTEGER
    labels = None if label is None else np.array([label])
    return Case("test", "test", loss, dtype, rounded([x], dtype), kind, labels)


@pytest.mark.parametrize(
    ("loss", "x", "label", "component", "digits"),
    [
        # Published, computed with 53 bits and an extended exponent range.
        ("softmax", [1e3, 2e3, 3e3, 4e3, 5e3], 0, 0, "6.6385371046556741e-1738"),
        ("softmax", [1e3, 2e3, 3e3, 4e3, 5e3], 0, 1, "1.3078390189212505e-1303"),
        ("softmax", [1e3, 2e3, 3e3, 4e3, 5e3], 0, 2, "2.5765358729611501e-869"),
        ("softmax", [1e3, 2e3, 3e3, 4e3, 5e3], 0, 3, "5.0759588975494576e-435"),
        ("softmax", [1.0, 2.0, 3.0, 4.0, 5.0], 0, 0, "0.01165623"),
        ("softmax", [1.0, 2.0, 3.0, 4.0, 5.0], 0, 4, "0.63640865"),
        ("softmax", [2.0, 3.0, 5.0], 0, 0, "0.04201007"),
        ("softmax_cross_entropy", [0.0, -150.0, 0.0, 0.0, 0.0], 1, 0, "151.386"),
        ("softmax_cross_entropy", [20.0, 0.0], 0, 0, "2.0612e-9"),
        ("softmax_cross_entropy", [40.0, 0.0, 0.0], 0, 0, "8.5e-18"),
        ("softmax_cross_entropy", [100.0, 0.0], 0, 0, "3.7e-44"),
        ("logsumexp", [0.0, -40.0], None, 0, "4.248e-18"),
    ],
)
def test_reference_gives_the_published_digits(
    loss: str, x: list[float], label: int | None, component: int, digits: str
) -> None:
    found = exact(one_row(loss, x, label)).value.at(0)
    precision = ctx.prec
    try:
        ctx.prec = 400
        published = arb(digits)
        significant = len(digits.split("e", maxsplit=1)[0].replace(".", "").lstrip("0"))
        # One unit of the last digit, or of the 53 bits the extended-range program computed with.
        tolerance = max(10.0 ** (1 - significant), 2.0**-52)
        assert abs(ball(found, component) / published - 1) < tolerance
    finally:
        ctx.prec = precision
