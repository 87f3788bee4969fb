"""The generator `zero-crossing`: how near its rows come to a zero, by python-flint's balls."""

import math
from collections.abc import Iterator
from typing import Any

import flint
import numpy as np
import pytest
from flint import arb

from xentcheck.floats import FORMATS, ordinals, to_float64
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Loss
from xentcheck.model import Case, InputSpec, LabelKind, Layout, Sweep
from xentcheck.sweeps import cases, inapplicable
from xentcheck.sweeps.crossing import CHAINED, DEEPEST, ZEROS
from xentcheck.sweeps.generator import DOMAIN_BOUNDS

STANDARD_DTYPES = ("float16", "bfloat16", "float32", "float64")


def rows_near_zeros(
    loss: str, dtype: str, kind: LabelKind, log_target: bool = False, **options: Any
) -> list[Case]:
    parameters = {"log_target": (True,)} if log_target else {}
    spec = InputSpec("zero-crossing", options)
    sweep = Sweep(
        name="s",
        losses=(loss,),
        dtypes=(dtype,),
        inputs=(spec,),
        label_kind=kind,
        parameters=parameters,
    )
    return list(cases(sweep, LOSSES[loss], dtype, 0))


@pytest.fixture(autouse=True)
def precision() -> Iterator[None]:
    before = flint.ctx.prec
    flint.ctx.prec = 400
    yield
    flint.ctx.prec = before


def exactly(numbers: np.ndarray) -> list[arb]:
    return [arb(each) for each in to_float64(numbers).tolist()]


def size(x: arb) -> float:
    return abs(float(x.mid()))


@pytest.mark.parametrize("dtype", STANDARD_DTYPES)
@pytest.mark.parametrize(("loss", "kind"), ZEROS, ids=str)
def test_the_rows_and_their_labels_are_of_the_domain(
    loss: str, kind: LabelKind, dtype: str
) -> None:
    lowest, highest = DOMAIN_BOUNDS[LOSSES[loss].domain]
    for logarithmic in (False, True) if loss == "kl_divergence" else (False,):
        found = rows_near_zeros(loss, dtype, kind, logarithmic)
        assert sum(case.rows for case in found) == 24 * len(found)
        for case in found:
            x = to_float64(case.logits)
            assert np.isfinite(x).all()
            assert ((lowest <= x) & (x <= highest)).all()
            if case.labels is not None:
                y = to_float64(case.labels)
                assert np.isfinite(y).all()
                assert (y <= 0).all() if logarithmic else ((y >= 0) & (y <= 1)).all()


@pytest.mark.parametrize("dtype", STANDARD_DTYPES)
def test_logsumexp_lies_next_to_zero_on_both_sides(dtype: str) -> None:
    signs = set()
    for case in rows_near_zeros("logsumexp", dtype, LabelKind.NONE):
        nearest = math.inf
        for row in case.logits:
            result = sum((x.exp() for x in exactly(row)), arb(0)).log()
            signs.add(result > 0)
            # beside what the logits add to the result: p_k x_k
            terms = [size(x.exp() * x) for x in exactly(row)]
            nearest = min(nearest, size(result) / max(terms))
        # what is solved for is a logit of 2^3 to 2^6: its last bit counts for so much
        depth = min(case.classes - 1, CHAINED) * (FORMATS[dtype].precision - 7)
        assert nearest < max(2.0**-depth, 64 * DEEPEST)
    assert signs == {True, False}


def test_logsumexp_in_float32_comes_nearer_than_a_minute_of_hill_climbing() -> None:
    found = rows_near_zeros("logsumexp", "float32", LabelKind.NONE, classes=(3,))
    results = [
        size(sum((x.exp() for x in exactly(row)), arb(0)).log())
        for case in found
        for row in case.logits
    ]
    assert min(results) < 2.68e-24  # found by the search on [-2.7536e-15, -33.5259]


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_lies_next_to_zero(log_target: bool) -> None:
    for case in rows_near_zeros("kl_divergence", "float32", LabelKind.DISTRIBUTION, log_target):
        nearest = math.inf
        for row, labels in zip(case.logits, case.labels, strict=True):
            t = exactly(labels)
            log_t = t if log_target else [each.log() for each in t]
            p = [each.exp() for each in t] if log_target else t
            surplus = [a - b for a, b in zip(log_t, exactly(row), strict=True)]
            result = sum((a * b for a, b in zip(p, surplus, strict=True)), arb(0))
            nearest = min(nearest, size(result))
        assert nearest < 2.0**-33  # distributions rounded to float32 leave about 2^-25


def gradients(case: Case) -> Iterator[list[tuple[arb, arb]]]:
    """The two terms of each component of the gradient, whose difference it is."""
    for number in range(case.rows):
        x = exactly(np.atleast_1d(case.logits[number]))
        y = exactly(np.atleast_1d(case.labels[number]))
        match case.loss:
            case "softmax_cross_entropy":
                total = sum((each.exp() for each in x), arb(0))
                mass = sum(y, arb(0))
                yield [(a.exp() / total * mass, b) for a, b in zip(x, y, strict=True)]
            case "sigmoid_binary_cross_entropy":
                yield [(1 / (1 + (-x[0]).exp()), y[0])]
            case "sigmoid_focal_loss":
                s, t, z = 1 / (1 + (-x[0]).exp()), 1 / (1 + x[0].exp()), y[0]
                q = z * t + (1 - z) * s
                loss = -z * s.log() - (1 - z) * t.log()
                pull, push = q * q * z * t + 4 * q * z * s * t * loss, 2 * q * s * t * loss
                yield [(q * q * s * (1 - z) + push, pull)]


@pytest.mark.parametrize(
    ("loss", "kind", "depth"),
    [
        ("softmax_cross_entropy", LabelKind.DISTRIBUTION, 2.0**-33),
        ("sigmoid_binary_cross_entropy", LabelKind.TARGET, 2.0**-33),
        ("sigmoid_focal_loss", LabelKind.TARGET, 2.0**-33),
    ],
)
def test_gradients_lie_next_to_zero(loss: str, kind: LabelKind, depth: float) -> None:
    for case in rows_near_zeros(loss, "float32", kind):
        signs, nearest = set(), math.inf
        for components in gradients(case):
            for one, other in components:
                signs.add(one > other)
                if size(other):
                    nearest = min(nearest, size(one - other) / size(other))
        assert nearest < depth  # rounding a label to float32 leaves about 2^-25
        assert signs == {True, False}


def test_binary_targets_are_neighbours_of_the_probability() -> None:
    (case,) = rows_near_zeros("binary_cross_entropy", "float32", LabelKind.TARGET)
    steps = ordinals(case.labels) - ordinals(case.logits)
    assert set(steps.tolist()) == {1, -1, 2}


def test_entropy_has_the_neighbours_of_its_gradients_zero_and_of_certainty() -> None:
    inverse = np.float32(math.exp(-1.0))
    for case in rows_near_zeros("entropy", "float32", LabelKind.NONE):
        found = set(case.logits.ravel().tolist())
        beside = {inverse, np.nextafter(inverse, np.float32(0)), np.nextafter(inverse, 1)}
        assert {float(each) for each in beside} <= found
        assert {1.0, float(np.nextafter(np.float32(1), np.float32(0)))} <= found


def test_distributions_are_a_few_ulps_apart() -> None:
    for case in rows_near_zeros("js_divergence", "float32", LabelKind.DISTRIBUTION):
        steps = np.abs(ordinals(case.labels) - ordinals(case.logits)).max(axis=1)
        assert set(steps.tolist()) == {1, 2, 8, 64, 1024}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=lambda loss: loss.id)
def test_a_loss_without_a_zero_to_cross_is_left_out_with_the_reason(loss: Loss) -> None:
    for kind in loss.label_kinds:
        sweep = Sweep(
            name="s",
            losses=(loss.id,),
            dtypes=("float32",),
            inputs=(InputSpec("zero-crossing", {}),),
            label_kind=kind,
        )
        found = inapplicable(sweep, loss)
        if (loss.id, kind) in ZEROS:
            assert found == ()
        else:
            ((name, reason),) = found
            assert name == "zero-crossing"
            assert loss.id in reason
            assert "crosses no zero" in reason


def test_elementwise_losses_have_single_numbers() -> None:
    for loss, kind in ZEROS:
        shapes = {case.logits.ndim for case in rows_near_zeros(loss, "float32", kind)}
        assert shapes == {1 if LOSSES[loss].layout is Layout.ELEMENTWISE else 2}
