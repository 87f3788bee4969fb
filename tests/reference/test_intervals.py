"""Interval arithmetic: outward, and as narrow as its precision; the arbiter's escalation."""

import dataclasses
import json
from fractions import Fraction

import flint
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import libmp

from tests.running import invoke
from xentcheck.errors import UncertifiedError
from xentcheck.losses import LOSSES
from xentcheck.losses.spec import Components, ExactValue, Row, RowResult
from xentcheck.model import Accepts, Case, LabelKind, Quantity
from xentcheck.reference import Element, arbiter, confirm, exact, tiers
from xentcheck.reference.intervals import Interval, IntervalArithmetic, UndecidedError

OPS = IntervalArithmetic(64)
FINITE = st.floats(allow_nan=False, allow_infinity=False, width=64)
MODERATE = st.floats(min_value=-1e6, max_value=1e6)


def fraction(end):
    return Fraction(*map(int, libmp.to_rational(end)))


def contains(interval, value):
    return fraction(interval.lower) <= value <= fraction(interval.upper)


def holds_ball(interval, ball):
    """Whether an arb ball (far narrower than the interval) lies inside it."""
    middle, radius = ball.mid(), ball.rad()
    lower, upper = (flint.arb(mid_of(end)) for end in (interval.lower, interval.upper))
    return bool(lower <= middle - radius) and bool(middle + radius <= upper)


def mid_of(end):
    sign, man, exp, _ = end
    return flint.arb(int(man) * (-1 if sign else 1)) * flint.arb(2) ** int(exp)


@pytest.fixture
def precise():
    before = flint.ctx.prec
    flint.ctx.prec = 3000
    yield
    flint.ctx.prec = before


@given(MODERATE, MODERATE)
def test_arithmetic_contains_the_exact_result(a, b):
    x, y = OPS.number(a), OPS.number(b)
    third_x, third_y = x / 3, y / 7
    p, q = Fraction(a) / 3, Fraction(b) / 7
    assert contains(third_x + third_y, p + q)
    assert contains(third_x - third_y, p - q)
    assert contains(third_x * third_y, p * q)
    assert contains(1 - third_x, 1 - p)
    assert contains(-third_x, -p)
    if b:
        assert contains(third_x / third_y, p / q)
        assert contains(2 / third_y, 2 / q)


@given(st.lists(MODERATE, min_size=1, max_size=8), st.data())
def test_totals_contain_the_exact_sum_with_counts(values, data):
    counts = [data.draw(st.integers(1, 10**6)) for _ in values]
    total = OPS.total([OPS.number(v) / 3 for v in values], counts)
    want = sum(Fraction(v) / 3 * n for v, n in zip(values, counts, strict=True))
    assert contains(total, want)


@pytest.mark.usefixtures("precise")
def test_elementary_functions_contain_what_arb_computes():
    rng = np.random.default_rng(3)
    arguments = np.concatenate(
        [rng.normal(size=200) * 10.0 ** rng.integers(-30, 4, size=200), [2.0**-1074, 1e-300]]
    )
    for argument in map(float, arguments):
        ball = flint.arb(argument)
        assert holds_ball(OPS.exp(OPS.number(argument)), ball.exp())
        assert holds_ball(OPS.log(OPS.number(abs(argument))), abs(ball).log())
        if argument > -1:
            assert holds_ball(OPS.log1p(OPS.number(argument)), ball.log1p())
        power = OPS.power(OPS.number(abs(argument)), 0.7)
        assert holds_ball(power, (abs(ball).log() * flint.arb(0.7)).exp())


def test_wide_arguments_keep_both_ends():
    wide = Interval(libmp.from_float(-1.0), libmp.from_float(2.0), 64)
    assert contains(OPS.exp(wide), Fraction(1, 2))
    assert contains(OPS.exp(wide), Fraction(7))
    assert not contains(OPS.exp(wide), Fraction(8))
    half = Interval(libmp.from_float(-0.5), libmp.from_float(0.5), 64)
    assert contains(OPS.log1p(half), Fraction(-69, 100))
    assert contains(OPS.log1p(half), Fraction(2, 5))


def test_results_known_exactly_stay_points():
    zero, one = OPS.number(0.0), OPS.number(1.0)
    assert OPS.exp(zero).is_point
    assert OPS.exp(zero).lower == libmp.fone
    assert OPS.log(one).is_zero
    assert OPS.log1p(zero).is_zero
    assert (OPS.exp(zero) / (OPS.exp(zero) + 1)).is_point
    assert not OPS.exp(one).is_point
    assert not (one / 3).is_point


@given(FINITE)
@settings(max_examples=300)
def test_exponentials_of_any_float_have_full_relative_precision(x):
    power = OPS.exp(OPS.number(x))
    assert libmp.mpf_sign(power.lower) > 0
    width = libmp.mpf_sub(power.upper, power.lower, 20, "u")
    assert libmp.mpf_le(width, libmp.mpf_shift(power.upper, -60)) or power.is_point


def test_what_cannot_be_divided_or_logged_is_undecided():
    around_zero = OPS.number(1.0) / 3 * 3 - 1
    assert not around_zero.is_point
    for operation in (
        lambda: 1 / around_zero,
        lambda: OPS.log(around_zero),
        lambda: OPS.log1p(around_zero - 1),
    ):
        with pytest.raises(UndecidedError):
            operation()


def test_nan_and_infinities_are_not_numbers():
    for value in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ValueError, match="not a real number"):
            OPS.number(value)


def one(loss, logits, labels=None, **parameters):
    kind = LOSSES[loss].label_kinds[0]
    labels = None if labels is None else np.array(labels)
    logits = np.array(logits, dtype=np.float64)
    return Case("sweep", "explicit", loss, "float64", logits, kind, labels, parameters)


def ratio(enclosures, index=0):
    position = np.unravel_index(index, enclosures.shape)
    middle = Fraction(float(enclosures.hi[position])) + Fraction(float(enclosures.lo[position]))
    return middle * Fraction(2) ** int(enclosures.exponent[position])


def test_two_precisions_that_agree_on_zero_are_not_believed():
    # log(e^100 + e^0) - 100 = log1p(e^-100): 0.0 at 64 and at 128 bits
    loss = ratio(exact(one("softmax_cross_entropy", [[100.0, 0.0]], [0])).value)
    assert abs(loss / Fraction("3.720075976020835962959695803863e-44") - 1) < Fraction(1, 10**28)


def test_a_fixed_precision_would_lose_softplus_far_out():
    loss = ratio(exact(one("softplus", [-745.0])).value)
    assert abs(loss / Fraction("5.007929159149216e-324") - 1) < 1


def undecidable(ops, row):
    third = ops.number(1.0) / 3
    return RowResult(Components([ExactValue(third - third)]), Components([ExactValue(third)]))


def test_a_row_that_stays_undecided_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setattr(arbiter, "HORIZON", 10**9)
    stubborn = dataclasses.replace(LOSSES["softplus"], evaluate=undecidable)
    monkeypatch.setattr(arbiter, "LOSSES", {"softplus": stubborn})
    with pytest.raises(UncertifiedError, match=r"softplus in float64, sweep 'sweep', row 0 \[0x1"):
        exact(one("softplus", [1.5]))


def test_a_row_that_no_loss_is_defined_for_is_an_error_that_names_it():
    labels = np.array([[0.5, 0.5], [np.inf, 0.0]])
    rows = Case(
        *("sweep", "explicit", "softmax_cross_entropy", "float64"),
        np.array([[1.0, 2.0], [3.0, 4.0]]),
        LabelKind.DISTRIBUTION,
        labels,
        {},
    )
    message = r"inf is not a real number: softmax_cross_entropy in float64, sweep 'sweep', row 1 "
    with pytest.raises(UncertifiedError, match=message):
        exact(rows)


def test_a_number_beyond_all_exponents_is_a_point_at_the_largest_of_its_sign():
    """e^(1e300): no float64 has its exponent, and no dtype is near it."""
    logs, labels = np.array([[-1.0]]), np.array([[1e300]])
    kind, parameters = LabelKind.DISTRIBUTION, {"log_target": True}
    row = Case("sweep", "explicit", "kl_divergence", "float64", logs, kind, labels, parameters)
    for found, sign in ((exact(row).value, 1.0), (exact(row).gradient, -1.0)):
        parts = (found.hi, found.lo, found.exponent, found.radius)
        assert [each.item() for each in parts] == [sign, 0.0, arbiter.EXPONENT_LIMIT, 0.0]
        assert arbiter.EXPONENT_LIMIT > 2000


@pytest.mark.parametrize(("classes", "more"), [(7, False), (8, False), (9, True)])
def test_a_row_is_named_by_its_first_eight_numbers(classes, more):
    named = arbiter.place(one("softmax", np.zeros((1, classes)), [0]), 0)
    shown = ", ".join(["0x0.0p+0"] * min(classes, 8))
    assert f"[{shown}{', …' if more else ''}]" in named


def test_a_rearrangement_that_is_wrong_is_caught_by_the_definition(monkeypatch):
    loss = LOSSES["logsumexp"]

    def wrong(ops, row: Row):
        right = loss.evaluate(ops, row)
        number = right.value.outcomes[0].number + ops.number(2.0**-60)
        return RowResult(Components([ExactValue(number)]), right.gradient)

    case = one("logsumexp", [[1.0, 2.0]])
    assert confirm(case, 0)
    table = {"logsumexp": dataclasses.replace(loss, evaluate=wrong)}
    monkeypatch.setattr(arbiter, "LOSSES", table)
    with pytest.raises(UncertifiedError, match="by the definition"):
        confirm(case, 0)


def test_a_rearrangement_that_is_infinite_where_the_definition_is_not_is_caught(monkeypatch):
    loss = LOSSES["logsumexp"]

    def wrong(ops, row: Row):
        return RowResult(Components([ExactValue(np.inf)]), loss.evaluate(ops, row).gradient)

    table = {"logsumexp": dataclasses.replace(loss, evaluate=wrong)}
    monkeypatch.setattr(arbiter, "LOSSES", table)
    with pytest.raises(UncertifiedError, match="by the definition"):
        confirm(one("logsumexp", [[1.0, 2.0]]), 0)


def test_the_definition_does_not_speak_of_infinities():
    assert not confirm(one("logsumexp", [[1.0, -np.inf]]), 0)


ROWS = [[1.0, 2.0, -3.0], [0.5, -1.5, 0.25], [-4.0, 7.0, 1.0]]


def holds(bounds, ball):
    """Whether two ends have an arb ball between them, and lie within 2^-100 of it."""
    lower, upper = (
        flint.arb(flint.fmpq(int(each.numerator), int(each.denominator))) for each in bounds
    )
    slack = flint.arb(2) ** -100
    return bool(lower <= ball) and bool(ball <= upper) and bool(upper - lower < slack)


@pytest.mark.usefixtures("precise")
def test_the_ends_of_a_result_are_of_its_own_row_and_component():
    case = one("softmax", ROWS, [2, 0, 1])
    for row, logits in enumerate(ROWS):
        powers = [flint.arb(each).exp() for each in logits]
        p = [each / sum(powers) for each in powers]
        mine = p[int(case.labels[row])]
        for k in range(3):
            own = int(k == int(case.labels[row]))
            assert holds(arbiter.ends(Element(case, row, Quantity.VALUE, k), 128), p[k])
            slope = mine * (own - p[k])
            assert holds(arbiter.ends(Element(case, row, Quantity.GRADIENT, k), 128), slope)


@pytest.mark.usefixtures("precise")
@pytest.mark.parametrize(("reduction", "divisor"), [("sum", 1), ("mean", 6)])
def test_the_ends_of_a_reduced_result_are_of_all_rows(reduction, divisor):
    weight = np.array([1.0, 3.0, 2.0])
    case = one("softmax_cross_entropy", ROWS, [2, 0, 1], reduction=reduction, weight=weight)
    total = flint.arb(0)
    for row, (logits, label) in enumerate(zip(ROWS, [2, 0, 1], strict=True)):
        powers = [flint.arb(each).exp() for each in logits]
        total += weight[label] * (sum(powers).log() - logits[label])
        for k in range(3):
            slope = weight[label] * (powers[k] / sum(powers) - int(k == label)) / divisor
            assert holds(arbiter.ends(Element(case, row, Quantity.GRADIENT, k), 128), slope)
    assert holds(arbiter.ends(Element(case, 0, Quantity.VALUE, 0), 128), total / divisor)


def test_a_result_that_is_no_number_has_no_ends_and_an_exact_zero_is_both_its_ends():
    case = one("softmax_cross_entropy", [[np.nan, 0.0], [np.inf, 0.0], [1.0, 2.0]], [0, 1, -100])
    assert arbiter.ends(Element(case, 0, Quantity.VALUE, 0), 128) is None
    assert arbiter.ends(Element(case, 1, Quantity.VALUE, 0), 128) is None
    assert arbiter.ends(Element(case, 2, Quantity.VALUE, 0), 128) == (0, 0)
    assert arbiter.ends(Element(case, 2, Quantity.GRADIENT, 1), 128) == (0, 0)
    # e^-13000 and e^-14000 are on either side of 2^-20000
    far = one("sigmoid", [-13000.0, -14000.0])
    assert arbiter.ends(Element(far, 0, Quantity.VALUE, 0), 128) is not None
    assert arbiter.ends(Element(far, 1, Quantity.VALUE, 0), 128) is None


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_reductions_weigh_rows_as_documented(reduction):
    logits = [[0.0, 0.0], [0.0, 0.0], [5.0, 1.0]]
    weight = np.array([1.0, 3.0])
    parameters = {"reduction": reduction, "weight": weight, "ignore_index": 7}
    result = exact(one("softmax_cross_entropy", logits, [0, 1, 7], **parameters))
    log_two = Fraction("0.693147180559945309417232121458176568075500134360255")
    total = 4 * log_two
    want = total if reduction == "sum" else total / 4
    assert result.value.shape == ()
    assert abs(ratio(result.value) - want) < Fraction(1, 10**28)
    divisor = 1 if reduction == "sum" else 4
    gradient = [ratio(result.gradient, k) for k in range(6)]
    assert gradient == [
        Fraction(-1, 2 * divisor),
        Fraction(1, 2 * divisor),
        Fraction(3, 2 * divisor),
        Fraction(-3, 2 * divisor),
        0,
        0,
    ]


def test_a_mean_over_nothing_is_undefined_with_no_gradient():
    case = one("softmax_cross_entropy", [[1.0, 2.0]], [-100], reduction="mean")
    result = exact(case)
    assert np.isnan(result.value.hi)
    assert result.gradient.hi.tolist() == [[0.0, 0.0]]


@pytest.mark.parametrize("side", [1, -1])
def test_an_elementary_function_may_err_by_32_units_of_its_last_place(monkeypatch, side):
    # exp(±2^-100) lies beyond 1 on one side, and 32 units of 76 bits take the result to the other
    computed = libmp.mpf_sub(libmp.fone, libmp.from_man_exp(side * 32, -76))
    monkeypatch.setattr(libmp, "mpf_exp", lambda *_: computed)
    assert contains(OPS.exp(OPS.number(side * 2.0**-100)), 1 + side * Fraction(1, 2**100))


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("argument", [1.5, -20.0, 0.75, 2.0**-20])
@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
@pytest.mark.usefixtures("precise")
def test_every_elementary_function_may_be_off_by_63_parts_in_2_to_the_76(
    monkeypatch, name, argument, side
):
    """64 times the error that is documented, at 64 bits and the 12 that guard them."""
    argument = argument if name == "exp" else abs(argument)
    ball = getattr(flint.arb(argument), name)()
    true = {"mpf_exp": libmp.mpf_exp, "mpf_log": libmp.mpf_log}

    def off(function):
        def wrong(x, precision, rounding):
            assert precision == OPS.precision + 12
            factor = libmp.mpf_add(libmp.fone, libmp.from_man_exp(side * 63, -precision))
            return libmp.mpf_mul(true[function](x, precision + 200, rounding), factor)

        return wrong

    for function in true:
        monkeypatch.setattr(libmp, function, off(function))
    assert holds_ball(getattr(OPS, name)(OPS.number(argument)), ball)


@pytest.mark.parametrize(
    ("logits", "label", "value", "gradient"),
    [
        ([0.0, -np.inf, 0.0], 0, np.log(2), [-0.5, 0.0, 0.5]),
        ([0.0, -np.inf, 0.0], 1, np.inf, [0.5, -1.0, 0.5]),
        ([np.nan, -np.inf, 0.0], 2, np.nan, [np.nan] * 3),
        ([0.0, np.nan, 0.0], 2, np.nan, [np.nan] * 3),
        ([np.inf, np.nan, 0.0], 0, np.nan, [np.nan] * 3),
        ([np.inf, 0.0, 0.0], 0, 0.0, [0.0, 0.0, 0.0]),
        ([np.inf, 0.0, 0.0], 1, np.inf, [1.0, -1.0, 0.0]),
        ([1.0, 2.0, 3.0], -100, 0.0, [0.0, 0.0, 0.0]),
        ([np.nan, -np.inf, np.inf], -100, 0.0, [0.0, 0.0, 0.0]),
    ],
)
def test_cross_entropy_of_special_rows_is_the_limit(logits, label, value, gradient):
    found = exact(one("softmax_cross_entropy", [logits], [label]))
    with np.errstate(over="ignore"):
        assert np.ldexp(found.value.hi, found.value.exponent) == pytest.approx(
            [value], rel=1e-15, nan_ok=True
        )
        np.testing.assert_array_equal(
            np.ldexp(found.gradient.hi, found.gradient.exponent), [gradient]
        )
    if np.isnan(value):
        assert not found.value.accepts.any()
        assert not found.gradient.accepts.any()


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_a_row_of_masked_classes_alone_is_undefined_and_0_may_stand_for_it(reduction):
    parameters = {} if reduction == "none" else {"reduction": reduction}
    case = one("softmax_cross_entropy", [[-np.inf, -np.inf]], [0], **parameters)
    result = exact(case)
    assert np.isnan(result.value.hi).all()
    assert (result.value.accepts & Accepts.ZERO).all()


def test_a_run_with_a_row_that_stays_undecided_reports_the_rest_and_is_no_success(
    monkeypatch, tmp_path
):
    monkeypatch.setattr(arbiter, "HORIZON", 10**9)
    stubborn = dataclasses.replace(LOSSES["softplus"], evaluate=undecidable)
    monkeypatch.setattr(arbiter, "LOSSES", {**LOSSES, "softplus": stubborn})
    monkeypatch.setattr(tiers, "tiers_for", lambda _dtype: (tiers.Tier.MPMATH,))
    survey = tmp_path / "survey.yaml"
    survey.write_text(
        "sweeps: {small: {losses: [softplus, sigmoid], dtypes: float32, "
        "implementations: numpy.accurate, inputs: [{generator: explicit, values: [1.5]}]}}"
    )
    result = invoke("run", str(survey), "--format", "json")
    assert result.exit_code == 4
    assert "undecided" in result.stderr
    assert "softplus in float32, sweep 'small', row 0" in result.stderr
    measured = {each["loss"] for each in json.loads(result.stdout)["measurements"]}
    assert measured == {"sigmoid"}
