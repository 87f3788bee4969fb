"""One input, every implementation: what may be asked, and the numbers of known cases."""

import math

import numpy as np
import pytest
from mpmath import mp

from xentcheck.auditing.probe import probe
from xentcheck.errors import UnknownNameError, UsageError
from xentcheck.floats import FORMATS
from xentcheck.model import Implementation, Kind, LabelKind, Quantity

CE = "softmax_cross_entropy"
ACCURATE = ("numpy.accurate",)


def mine(loss, value, gradient=None, **fields):
    known = {
        "dtypes": ("float32",),
        "label_kinds": tuple(LabelKind),
        "parameters": frozenset({"*"}),
    }
    return Implementation(loss, "mine", value, gradient, **(known | fields))


def asked(loss, logits, dtype="float32", patterns=ACCURATE, quantity=Quantity.VALUE, **more):
    """The numbers of one implementation for one quantity."""
    result = probe(loss, logits, dtypes=(dtype,), implementations=patterns, **more)
    (line,) = [each for each in result.lines if each.quantity is quantity]
    return line.results


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_saturated_row_has_the_small_loss_it_has(dtype):
    with mp.workdps(60):
        exact = mp.log1p(2 * mp.exp(-20))
        true = mp.nstr(exact, 20)
        (number,) = asked(CE, [20, 0, 0], dtype, labels=0)
        assert mp.nstr(mp.mpf(number.exact), 20) == true
        if dtype == "float64":
            assert number.actual == float(exact)
    assert number.expected == float(np.float64(number.exact).astype(FORMATS[dtype].dtype))
    assert number.ulp_error <= 1
    assert number.kind is None


def test_a_saturated_row_of_a_naive_implementation_vanishes():
    (number,) = asked(CE, [20, 0, 0], patterns=("numpy.naive",), labels=0)
    assert number.actual == 0
    assert number.kind is Kind.SPURIOUS_UNDERFLOW
    assert number.result_dtype == "float32"


def test_the_input_is_rounded_to_each_dtype():
    """One class: logsumexp is the logit itself."""
    assert [asked("logsumexp", [0.1], dtype)[0].exact for dtype in ("bfloat16", "float16")] == [
        "0.10009765625",
        "0.0999755859375",
    ]


def test_real_parameters_are_rounded_to_each_dtype():
    """Two equal logits: the loss is log 2 whatever the temperature; z_loss adds z·log²2."""
    logs = math.log(2)
    (number,) = asked(CE, [0, 0], "bfloat16", labels=1, parameters={"z_loss": 0.1})
    assert float(number.exact) == pytest.approx(logs + 0.10009765625 * logs**2, rel=1e-14)


def test_an_elementwise_loss_has_a_row_per_number_and_a_target_for_all():
    numbers = asked("sigmoid_binary_cross_entropy", [0, 0, 0], labels=0.25)
    assert [number.row for number in numbers] == [0, 1, 2]
    assert {number.index for number in numbers} == {None}
    assert [float(number.exact) for number in numbers] == pytest.approx([math.log(2)] * 3)
    each = asked("sigmoid_binary_cross_entropy", [800, 800], labels=[0, 1])
    assert float(each[0].exact) == 800
    assert mp.almosteq(mp.mpf(each[1].exact), mp.exp(-800), 1e-14)


def test_a_gradient_has_a_number_per_class():
    numbers = asked(CE, [0, 0, 0, 0], labels=[0.5, 0.5, 0, 0], quantity=Quantity.GRADIENT)
    assert [number.index for number in numbers] == [0, 1, 2, 3]
    assert [number.actual for number in numbers] == [-0.25, -0.25, 0.25, 0.25]


def test_softmax_differentiates_the_largest_component_unless_one_is_named():
    """With p = ½, ¼, ¼ the gradient of component i is p_i(δ_ij − p_j)."""
    logits = [math.log(2), 0, 0]
    by_default = asked("softmax", logits, quantity=Quantity.GRADIENT)
    assert [n.actual for n in by_default] == pytest.approx([0.25, -0.125, -0.125], rel=1e-6)
    second = asked("softmax", logits, quantity=Quantity.GRADIENT, labels=1)
    assert [n.actual for n in second] == pytest.approx([-0.125, 0.1875, -0.0625], rel=1e-6)


def test_a_reduction_gives_one_number():
    logits = {"labels": [0, 1], "parameters": {"reduction": "sum"}}
    numbers = asked("sigmoid_binary_cross_entropy", [0, 0], **logits)
    assert len(numbers) == 1
    assert float(numbers[0].exact) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize(
    ("loss", "logits", "more", "message"),
    [
        (CE, [1, 2], {}, "needs integer or distribution labels"),
        (CE, [1, 2], {"labels": 2}, "label 2 is not one of the classes 0 to 1"),
        (CE, [1, 2], {"labels": -1}, "label -1 is not one of the classes"),
        (CE, [1, 2], {"labels": 0.5}, "label 0.5 is not a class number"),
        (CE, [1, 2], {"labels": math.nan}, "label nan is not a class number"),
        (CE, [1, 2], {"labels": math.inf}, "label inf is not a class number"),
        (CE, [1, 2], {"labels": [1, 0, 0]}, "3 labels for 2 logits"),
        (CE, [], {"labels": 0}, "there are no logits"),
        ("sigmoid", [], {}, "there are no logits"),
        ("logsumexp", [1, 2], {"labels": 0}, "takes no labels"),
        ("nll_loss", [-1, -2], {"labels": [1, 0]}, "takes a class number"),
        ("kl_divergence", [-1, -2], {"labels": 0}, "needs a distribution"),
        (CE, [1, 2], {"labels": 0, "parameters": {"weigth": [1, 2]}}, "did you mean 'weight'"),
        (CE, [1, 2], {"labels": 0, "parameters": {"weight": [1, 2, 3]}}, "3 numbers for 2 classes"),
        (
            CE,
            [1, 2],
            {"labels": [1, 0], "parameters": {"ignore_index": 1}},
            "goes with integer labels",
        ),
    ],
)
def test_what_does_not_go_with_the_loss_is_refused(loss, logits, more, message):
    with pytest.raises(UsageError, match=message):
        probe(loss, logits, **more)


@pytest.mark.parametrize(
    ("loss", "more", "message"),
    [
        ("softmax_cross_entropi", {}, f"did you mean '{CE}'"),
        (CE, {"implementations": ("numpy.nave",)}, "did you mean 'numpy.naive'"),
        (CE, {"dtypes": ("float31",)}, "did you mean 'float32'"),
    ],
)
def test_unknown_names_are_answered_with_the_nearest(loss, more, message):
    with pytest.raises(UnknownNameError, match=message):
        probe(loss, [1, 2], labels=0, **more)


def test_an_ignored_label_may_be_asked_about():
    (number,) = asked(CE, [1, 2], labels=-100)
    assert (number.actual, number.exact) == (0.0, "0")
    (number,) = asked(CE, [1, 2], labels=7, parameters={"ignore_index": 7})
    assert (number.actual, number.exact) == (0.0, "0")


def test_what_an_implementation_does_not_take_is_said():
    only = mine(CE, lambda x, _y: x[:, 0], parameters=frozenset())
    result = probe(CE, [1, 2], labels=0, implementations=("mine",), extra=[only])
    reasons = {(skip.dtype, skip.quantity): skip.reason for skip in result.report.skips}
    assert reasons[("float64", "")] == "does not take float64"
    assert reasons[("", "gradient")] == "has no gradient"
    assert [line.dtype for line in result.lines] == ["float32"]
    weighed = probe(
        CE,
        [1, 2],
        labels=0,
        implementations=("mine",),
        extra=[only],
        dtypes=("float32",),
        parameters={"weight": [1, 2]},
    )
    assert [skip.reason for skip in weighed.report.skips] == ["does not take weight"]
    assert weighed.lines == ()


def test_a_row_that_raises_has_no_number_and_the_others_have_theirs():
    def picky(x):
        if (x == 2).any():
            raise ValueError("two")
        return np.maximum(x, np.log1p(np.exp(x)))

    result = probe(
        "softplus",
        [1, 2, 3],
        dtypes=("float32",),
        implementations=("mine",),
        extra=[mine("softplus", picky)],
    )
    (line,) = result.lines
    assert [number.row for number in line.results] == [0, 2]
    assert line.note.startswith("ValueError: two")
    assert [finding.kind for finding in result.report.findings] == [Kind.RAISED]


def test_the_report_is_ungated_and_confirmed_by_the_definition():
    report = probe(CE, [20, 0, 0], labels=0, dtypes=("float32",)).report
    assert not report.gated
    assert report.violations == ()
    assert report.findings
    assert report.reference["witnesses_confirmed_by_definition"] == 1
