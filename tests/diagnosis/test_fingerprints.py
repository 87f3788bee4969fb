"""The results of known forms are recognised, and a form that only looks alike is not."""

from collections.abc import Sequence

import numpy as np
import pytest

from xentcheck import registry
from xentcheck.diagnosis.agreement import Agreement
from xentcheck.diagnosis.exact_numbers import exact_array
from xentcheck.diagnosis.fingerprint import (
    TRIED,
    Fingerprint,
    Variant,
    fingerprint,
    merged_blocks,
    options_of,
    predicted,
    ranking,
    screened,
    tiers_of_variants,
)
from xentcheck.diagnosis.models import models_of, sound_model
from xentcheck.diagnosis.steps import Steps
from xentcheck.floats import FORMATS, from_float64, to_float64
from xentcheck.losses import LOSSES
from xentcheck.measurement import FailingBlock, FailingRows, Tally, take
from xentcheck.model import (
    KINDS,
    SURVEY_TOLERANCE,
    Array,
    Case,
    Cause,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Quantity,
    function_for,
)
from xentcheck.reference import Reference
from xentcheck.sweeps import chosen_labels, parts, standard_sweeps

DTYPES = ("float16", "bfloat16", "float32", "float64")


def _cases(loss: str, dtype: str, kind: LabelKind | None = None) -> Sequence[Case]:
    """A few cases of the standard sweep, without parameters and of few classes."""
    spec = LOSSES[loss]
    found = []
    chosen = kind or chosen_labels(spec, None, None)[0]
    for sweep in standard_sweeps(spec, (dtype,), chosen, {}, None):
        for part in parts(sweep, spec, dtype, 0)[:4]:
            found += [case for case in part.cases() if case.classes <= 10 and not case.reduced]
    return found


def _print(
    implementation: Implementation, dtype: str, quantity: Quantity, kind: LabelKind | None = None
) -> Fingerprint:
    """The fingerprint of an implementation on the failing rows of the standard sweep."""
    return _of_cases(implementation, _cases(implementation.loss, dtype, kind), quantity)


def _of_cases(
    implementation: Implementation, cases: Sequence[Case], quantity: Quantity = Quantity.VALUE
) -> Fingerprint:
    """The fingerprint of an implementation on the failing rows of some cases."""
    failing = _failing(implementation, cases, quantity)
    return fingerprint(
        implementation.loss,
        quantity,
        merged_blocks(failing.blocks),
        merged_blocks(failing.passing),
    )


def _failing(
    implementation: Implementation, cases: Sequence[Case], quantity: Quantity = Quantity.VALUE
) -> FailingRows:
    """The failing rows of an implementation among those of some cases."""
    function = function_for(implementation, quantity)
    assert function is not None
    tally = Tally(failing=FailingRows(200))
    for case in cases:
        with np.errstate(all="ignore"):
            alone = LOSSES[case.loss].per_class and quantity is Quantity.VALUE
            arguments = (
                [case.logits] if case.labels is None or alone else [case.logits, case.labels]
            )
            results = np.asarray(function(*arguments))
        truth = Reference(case, {quantity})
        take(tally, implementation, case, results, truth, quantity, SURVEY_TOLERANCE)
    assert tally.failing is not None
    return tally.failing


def _own(loss: str, function: object, name: str = "own") -> Implementation:
    assert callable(function)
    return Implementation(loss, name, function, None, DTYPES, LOSSES[loss].label_kinds, frozenset())


_REGISTERED = {
    (each.loss, each.name): each
    for each in registry.load_registered()[0]
    if each.name.startswith("numpy.") and each.process is None
}
_UNSOUND = [
    key for key, each in _REGISTERED.items() if each.sound is False and each.value is not None
]


_WITHOUT_A_NAME = {
    ("logsumexp", "numpy.logaddexp"),  # it rounds at every class
    ("softmax", "numpy.max_shifted"),  # powers of few digits are divided
    ("softmax", "numpy.zero_clamped_shift"),  # the same, where the largest logit is positive
    ("categorical_cross_entropy", "numpy.clipped"),  # it divides by the row's sum first
    ("kl_divergence", "numpy.naive"),  # terms of both signs cancel
    ("kl_divergence", "numpy.epsilon"),
    ("js_divergence", "numpy.naive"),
    ("js_divergence", "numpy.masked"),
}
"""Forms with losses that are in no row of the table of causes."""


@pytest.mark.parametrize(("loss", "name"), _UNSOUND, ids=str)
def test_the_field_guide_is_recognised(loss: str, name: str) -> None:
    """The results of every unsound form of the field guide are those of a model."""
    kinds = _REGISTERED[loss, name].label_kinds
    usual = chosen_labels(LOSSES[loss], None, None)[0]
    kind = usual if usual in kinds or not kinds else kinds[0]
    found = _print(_REGISTERED[loss, name], "float32", Quantity.VALUE, kind)
    if not found.rows:
        pytest.skip("the form is sound for the value: what is unsound is its gradient")
    assert found.matches, [(each.variant.name, each.share) for each in found.others]
    assert found.matches[0].share >= 0.95
    explained = sum(each is not None for each in found.causes.tolist())
    assert explained >= 0.9 * found.rows or (loss, name) in _WITHOUT_A_NAME


@pytest.mark.parametrize(("loss", "name"), _UNSOUND[::5], ids=str)
def test_forms_that_are_dropped_early_are_none_of_the_best(loss: str, name: str) -> None:
    """The ranking is that of all forms on all rows, as far as anybody looks."""
    implementation = _REGISTERED[loss, name]
    usual = chosen_labels(LOSSES[loss], None, None)[0]
    kinds = implementation.label_kinds
    cases = _cases(loss, "float32", usual if usual in kinds or not kinds else kinds[0])
    blocks = merged_blocks(_failing(implementation, cases).blocks)
    if not blocks:
        pytest.skip("the form is sound for the value: what is unsound is its gradient")
    few = screened(blocks)
    variants = [v for some in tiers_of_variants(loss, Quantity.VALUE, blocks, ()) for v in some]

    def share(variant: Variant) -> float:
        agreed = [each.rows(predicted(variant, each.block)) for each in few]
        return float(np.concatenate(agreed).mean())

    whole = sorted(((each, share(each)) for each in variants), key=lambda each: -each[1])
    found = ranking(variants, few)
    assert [each.name for each, _ in found[:TRIED]] == [each.name for each, _ in whole[:TRIED]]
    least = whole[TRIED // 2][1]
    more = ranking(variants, few, least=least)
    assert {each.name for each, _ in more} >= {each.name for each, own in whole if own > least}


def test_agreement_is_that_of_errors() -> None:
    """The same NaN or infinity, or the same error to a sixteenth; a zero only by a zero."""
    logits = np.zeros((6, 1), dtype=np.float32)
    case = Case("test", "given", "log_softmax", "float32", logits, LabelKind.NONE, None)
    least = 2.0**-149
    exact = np.array([[1.0], [1.0], [1.0], [1.0], [4 * least], [0.0]])
    actual = np.array([[1.5], [np.nan], [np.inf], [0.0], [0.0], [0.5]])
    gravest = np.zeros(6, dtype=np.int8)
    block = FailingBlock(case, actual, exact, gravest[:, None], gravest, "float32")

    def agreed(*out: float) -> list[bool]:
        return [bool(each) for each in Agreement(block).rows(np.array(out)[:, None])]

    assert agreed(1.5, np.nan, np.inf, 0.0, -0.0, 0.5) == [True] * 6
    assert agreed(1.53, 1.0, -np.inf, 0.06, 0.0, 0.47) == [True, False, False, True, True, True]
    assert agreed(1.54, np.inf, 3e38, 0.07, least, 0.46) == [False] * 6
    accepted = np.full(6, KINDS.index(Kind.FTZ), dtype=np.int8)
    passing = FailingBlock(case, actual, exact, accepted[:, None], accepted, "float32")
    assert Agreement(passing).rows(np.full((6, 1), 9.0)).all()


@pytest.mark.parametrize("epsilon", [3.3e-8, 7e-6, 2.5e-10])
def test_an_epsilon_that_nobody_guessed_is_fitted(epsilon: float) -> None:
    """The plateau at −log ε gives the ε to two digits."""

    def loss(logits: Array, labels: Array) -> Array:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        p = (powers / powers.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels]
        return np.asarray(-np.log(p + logits.dtype.type(epsilon)))

    found = _print(_own("softmax_cross_entropy", loss), "float32", Quantity.VALUE)
    assert found.matches
    assert found.matches[0].variant.model.fitted == "epsilon"
    assert found.matches[0].variant.options["epsilon"] == pytest.approx(epsilon, rel=2e-2)
    assert Cause.EPSILON_CLIP in found.causes.tolist()


def test_a_narrow_intermediate_is_found() -> None:
    """The logsumexp is stored in bfloat16 before the logit is subtracted."""

    def loss(logits: Array, labels: Array) -> Array:
        m = logits.max(axis=1)
        lse = m + np.log(np.exp(logits - m[:, None]).sum(axis=1))
        narrow = lse.astype(FORMATS["bfloat16"].dtype).astype(logits.dtype)
        return np.asarray(narrow - logits[np.arange(len(labels)), labels])

    found = _print(_own("softmax_cross_entropy", loss), "float32", Quantity.VALUE)
    assert found.matches
    assert ("lse", "bfloat16") in found.matches[0].variant.narrow
    assert found.causes.tolist().count(Cause.NARROW_INTERMEDIATE) > 0.8 * found.rows


def test_another_function_is_not_explained() -> None:
    """A loss that is 1 % too large fails nearly everywhere, and no form does that."""

    def loss(logits: Array, labels: Array) -> Array:
        m = logits.max(axis=1)
        sums = np.log(np.exp(logits - m[:, None]).sum(axis=1))
        return np.asarray(
            logits.dtype.type(1.01) * (m - logits[np.arange(len(labels)), labels] + sums)
        )

    found = _print(_own("softmax_cross_entropy", loss), "float32", Quantity.VALUE)
    assert not found.matches
    assert not any(found.causes.tolist())


def test_a_model_that_fails_where_the_implementation_passes_is_not_accepted() -> None:
    """Without a shift it is inf for every row beyond 88.7; this one only where x_y is 50."""

    def loss(logits: Array, labels: Array) -> Array:
        m = logits.max(axis=1)
        own = logits[np.arange(len(labels)), labels]
        top = logits.argmax(axis=1)[:, None]
        others = np.exp(logits - m[:, None])
        np.put_along_axis(others, top, 0, axis=1)
        result = (m - own) + np.log1p(others.sum(axis=1))
        return np.asarray(np.where(own < 0, logits.dtype.type(np.inf), result))

    found = _print(_own("softmax_cross_entropy", loss), "float32", Quantity.VALUE)
    assert not found.matches


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("loss", list(LOSSES))
def test_sound_models_are_right_on_ordinary_rows(loss: str, dtype: str) -> None:
    """Ordinary rows: gaps up to a few units, far from every threshold."""
    for quantity in Quantity:
        sound = sound_model(loss, quantity)
        if sound is None:
            continue
        case = _ordinary(loss, dtype, quantity)
        with np.errstate(all="ignore"):
            out = sound.form(Steps(dtype), case.logits, case.labels, {}, sound.options)
        truth = Reference(case, {quantity}).midpoints(quantity, slice(0, case.rows))
        scale = np.maximum(np.abs(truth), 1.0)
        assert (np.abs(to_float64(out) - truth) <= 16 * FORMATS[dtype].epsilon * scale).all()


@pytest.mark.parametrize("loss", list(LOSSES))
def test_every_model_is_the_loss_on_ordinary_rows(loss: str) -> None:
    """A form that is wrong everywhere is no model of the loss."""
    for quantity in Quantity:
        case = _ordinary(loss, "float64", quantity)
        truth = Reference(case, {quantity}).midpoints(quantity, slice(0, case.rows))
        for model in models_of(loss, quantity):
            given = {**model.options, model.fitted: _FITTED[model.fitted]}
            options = options_of(Variant(model, given), case)
            with np.errstate(all="ignore"):
                out = model.form(Steps("float64"), case.logits, case.labels, {}, options)
            near = np.isclose(to_float64(out), truth, rtol=1e-6, atol=1e-8)
            if not options.get("normalised"):
                assert near.all(), (model.name, out, truth)


@pytest.mark.parametrize("loss", list(LOSSES))
def test_every_model_runs_over_exact_numbers(loss: str) -> None:
    """`xentcheck explain` shows the exact value of each step beside the computed one."""
    for quantity in Quantity:
        case = _ordinary(loss, "float64", quantity)
        turned = exact_array(case.logits)
        truth = Reference(case, {quantity}).midpoints(quantity, slice(0, case.rows))
        for model in models_of(loss, quantity):
            given = {**model.options, model.fitted: _FITTED[model.fitted]}
            options = {
                name: turned(value) if isinstance(value, np.ndarray) else value
                for name, value in options_of(Variant(model, given), case).items()
            }
            steps = Steps("")
            with np.errstate(all="ignore"):
                out = model.form(steps, turned(case.logits), turned(case.labels), {}, options)
            exact = np.asarray(out, dtype=np.float64)
            rtol = 1e-6 if options.get("epsilon") else 1e-12
            if not options.get("normalised"):
                assert np.allclose(exact, truth, rtol=rtol, atol=1e-2 * rtol), model.name


_FITTED = {"epsilon": 1e-12, "clamp": 100.0, "block": 2, "": None}


def _narrow_power(logits: Array) -> Array:
    e = np.exp(-np.abs(logits)).astype(FORMATS["float16"].dtype).astype(logits.dtype)
    return np.asarray(np.minimum(logits, 0) - np.log1p(e))


def _wrapped_labels(logits: Array, labels: Array) -> Array:
    m = logits.max(axis=1)
    others = np.exp(logits - m[:, None])
    np.put_along_axis(others, logits.argmax(axis=1)[:, None], 0, axis=1)
    own = logits[np.arange(len(labels)), labels.astype(np.uint8)]
    return np.asarray((m - own) + np.log1p(others.sum(axis=1)))


def test_a_narrow_power_of_a_loss_of_one_logit_is_found() -> None:
    found = _print(_own("log_sigmoid", _narrow_power), "float32", Quantity.VALUE)
    assert found.matches
    assert found.matches[0].variant.narrow == (("exp(−|x|)", "float16"),)
    assert set(found.causes.tolist()) <= {Cause.NARROW_INTERMEDIATE, None}
    assert Cause.NARROW_INTERMEDIATE in found.causes.tolist()


def test_labels_that_wrap_are_found() -> None:
    """Labels of 300 classes in eight bits."""
    rng = np.random.default_rng(5)
    logits = from_float64(rng.uniform(-5, 5, (40, 300)), "float32")
    case = Case("own", "own", "softmax_cross_entropy", "float32", logits, LabelKind.INTEGER,
                np.arange(240, 280), {})  # fmt: skip
    found = _of_cases(_own("softmax_cross_entropy", _wrapped_labels), [case])
    assert set(found.causes.tolist()) == {Cause.INDEX_WRAP}


def test_what_two_forms_have_in_common_alone_is_claimed() -> None:
    """Where e^x is inf, (x > 20) · 1 + (x ≤ 20) · e^x/(1 + e^x) and e^x/(1 + e^x) are NaN."""

    def gradient(logits: Array) -> Array:
        power = np.exp(logits)
        return np.asarray(
            (logits > 20) * logits.dtype.type(1) + (logits <= 20) * (power / (1 + power))
        )

    logits = from_float64(np.array([90.0, 95.0, 200.0]), "float32")
    case = Case("own", "own", "softplus", "float32", logits,
                LabelKind.NONE, None, {})  # fmt: skip
    implementation = Implementation("softplus", "own", gradient, gradient, DTYPES,
                                    LOSSES["softplus"].label_kinds, frozenset())  # fmt: skip
    found = _of_cases(implementation, [case], Quantity.GRADIENT)
    assert {match.variant.model.name for match in found.matches}
    assert set(found.causes.tolist()) == {Cause.EXP_OVERFLOW}


def _ordinary(loss: str, dtype: str, quantity: Quantity) -> Case:
    spec = LOSSES[loss]
    rng = np.random.default_rng(3)
    shape = (6,) if spec.layout is Layout.ELEMENTWISE else (6, 3)
    numbers = rng.uniform(-2, 2, shape)
    if spec.domain == "probabilities":
        numbers = rng.uniform(0.1, 0.9, shape)
        numbers = numbers if len(shape) == 1 else numbers / numbers.sum(axis=1, keepdims=True)
    elif spec.domain == "log-probabilities":
        numbers = -np.abs(numbers)
    kind = spec.label_kinds[0]
    labels = {
        LabelKind.INTEGER: np.array([0, 1, 2, 0, 1, 2]),
        LabelKind.TARGET: from_float64(np.array([0.0, 1.0, 0.0, 1.0, 0.0, 1.0]), dtype),
        LabelKind.DISTRIBUTION: from_float64(np.full((6, 3), [0.5, 0.25, 0.25]), dtype),
        LabelKind.NONE: None,
    }[kind]
    if labels is None and spec.per_class and quantity is Quantity.GRADIENT:
        labels = np.array([0, 1, 2, 0, 1, 2])
    return Case("ordinary", "ordinary", loss, dtype, from_float64(numbers, dtype), kind, labels, {})
