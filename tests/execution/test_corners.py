"""Corners in which the instrument was wrong once, each as a class, judged by exact arithmetic."""

import math
from dataclasses import replace
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from mpmath import libmp

from tests.reference.enclosing import enclose
from xentcheck.auditing.run import audit
from xentcheck.config import loads
from xentcheck.floats import FORMATS, from_float64, to_float64, ulp
from xentcheck.losses import LOSSES
from xentcheck.measurement import Tally, measure
from xentcheck.measurement.quantiles import EXACT, Quantiles
from xentcheck.measurement.scoring import Settled, excess_bits, score
from xentcheck.model import (
    KINDS,
    RIGHT,
    Accepts,
    Case,
    Implementation,
    Kind,
    LabelKind,
    Layout,
    Quantity,
    Tolerance,
    kind_of,
)
from xentcheck.reference import Reference, Tier, exact
from xentcheck.reference.arbiter import _pack
from xentcheck.reference.balls import BINARY128, FLOAT64, Ball
from xentcheck.reference.enclosures import Balls
from xentcheck.reference.intervals import Interval
from xentcheck.reference.tiers import outside, tiers_of
from xentcheck.report import words

INF, NAN = math.inf, math.nan
ARITHMETICS = [FLOAT64] + ([] if BINARY128 is None else [BINARY128])


def case(loss, logits, labels=None, dtype="float32", **parameters):
    spec = LOSSES[loss]
    x = from_float64(np.array(logits, dtype=np.float64), dtype)
    kind = LabelKind.NONE
    given = None
    if labels is not None:
        soft = np.ndim(labels) == 2
        kind = LabelKind.DISTRIBUTION if soft else LabelKind.INTEGER
        if spec.layout is Layout.ELEMENTWISE:
            kind = LabelKind.TARGET
        whole = kind is LabelKind.INTEGER
        given = np.array(labels) if whole else from_float64(np.array(labels, np.float64), dtype)
    for name in ("noise", "weight"):
        if name in parameters:
            parameters[name] = from_float64(np.array(parameters[name], np.float64), dtype)
    return Case("sweep", "explicit", loss, dtype, x, kind, given, parameters)


def assert_contained(given):
    """Every tier contains what the arbiter says of value and gradient."""
    certain = exact(given)
    for tier in tiers_of(given)[:-1]:
        truth = Reference(given, tiers=(tier, Tier.MPMATH))
        for quantity, want in (
            (Quantity.VALUE, certain.value),
            (Quantity.GRADIENT, certain.gradient),
        ):
            claimed = truth.at(quantity, slice(0, given.rows))
            assert outside(claimed, want) is None, (tier, quantity)


def found(actual, exactly, dtype, *, radius=0.0, **more):
    """(ulp error, kind, undecided) of one result."""
    quantity = more.pop("quantity", Quantity.VALUE)
    tolerance = more.pop("tolerance", Tolerance())
    scores = score(
        np.array([actual], dtype=FORMATS[dtype].dtype),
        enclose([exactly], radius=radius),
        more.pop("condition", np.full(1, NAN)),
        quantity=quantity,
        tolerance=tolerance,
        **more,
    )
    return float(scores.ulp_error[0]), kind_of(int(scores.kinds[0])), bool(scores.undecided[0])


class TestPivots:
    """A pivot or a branch is never decided by a rounded number."""

    @pytest.mark.parametrize(
        ("dtype", "logits", "noise", "temperature"),
        [
            ("float32", [1e20, 1e20], [0, 1000], 1.0),
            ("float32", [1e20, 1e20], [1000, 0], 1.0),
            ("bfloat16", [1e30, 1e30, 1e30], [0, 1000, 990], 1.0),
            ("float64", [1e30, 1e30], [0, 12000], 1.0),
            ("float32", [-1e17, -1e17], [-1.121, 0.03214], 2.0**-10),
            ("float64", [1e300, 1e300], [1.25, -1.0], 2.0**-14),
            ("float32", [1e17, 0.0], [-1e17, 3.0], 1.0),
            ("float32", [1e17, 1e17, 0.0], [0.0, 5.0, 1e17], 1.0),
            ("float32", [-INF, 1e20, 1e20], [9.0, 0.0, 700.0], 1.0),
        ],
    )
    def test_noise_that_a_rounded_sum_swallows_still_chooses_the_top(
        self, dtype, logits, noise, temperature
    ):
        more = {} if temperature == 1.0 else {"temperature": temperature}
        for label in range(len(logits)):
            given = case("softmax", [logits], [label], dtype, noise=[noise], **more)
            assert_contained(given)
            for tier in tiers_of(given)[:-1]:
                claimed = Reference(given, tiers=(tier, Tier.MPMATH)).at(
                    Quantity.VALUE, slice(0, 1)
                )
                assert not np.isnan(claimed.midpoints()).any()

    def test_gumbel_noise_at_a_low_temperature_is_decided_for_every_offset(self):
        text = (
            "sweeps: {s: {losses: softmax, dtypes: [float32, float64], implementations: "
            "numpy.accurate, parameters: {noise: gumbel, temperature: [0.001]}, "
            "inputs: [{generator: offset}]}}\nlimits: [{max_ulp: 4}]"
        )
        report = audit(loads(text))
        assert not report.uncertified
        assert not report.violations

    @pytest.mark.parametrize("arithmetic", ARITHMETICS, ids=lambda each: each.name)
    def test_an_exponential_is_only_known_to_underflow_where_its_whole_ball_does(self, arithmetic):
        def ball(midpoint, absolute):
            made, radius = arithmetic.exact([midpoint]), arithmetic.exact([absolute])
            with np.errstate(all="ignore"):
                return Ball(arithmetic, made.midpoint, absolute=radius.midpoint).exp()

        widest = arithmetic.widest
        assert ball(-2 * widest, 1.9 * widest).absolute[0] == np.inf  # may be e^(−widest/10)
        assert ball(-2 * widest, 0.5 * widest).absolute[0] < 1e-300
        assert ball(-INF, INF).absolute[0] == 0  # a class that dropped out


class TestQuotients:
    """That a quotient is a power of two is asked of the quotient, not of a rounding of it."""

    @pytest.mark.skipif(BINARY128 is None, reason="numpy-quaddtype is not installed")
    @pytest.mark.parametrize("mass", [5e-324, 1.5e-323, 2.0**-1060, 1.0])
    def test_a_subnormal_quotient_is_not_exact(self, mass):
        p = 1 - np.arange(1, 9) * 2.0**-53
        given = case("categorical_cross_entropy", p[:, None], np.full((8, 1), mass), "float64")
        tiers = (Tier.BINARY128, Tier.MPMATH)
        claimed = Reference(given, tiers=tiers).at(Quantity.GRADIENT, slice(0, 8))
        for row in range(8):
            unit = Fraction(2) ** int(claimed.exponent[row, 0])
            middle = (Fraction(claimed.hi[row, 0]) + Fraction(claimed.lo[row, 0])) * unit
            want = -Fraction(mass) / Fraction(p[row])
            assert abs(middle - want) <= Fraction(claimed.radius[row, 0]) * unit

    @pytest.mark.parametrize(("tier", "exponent"), [("double-double", -700), ("binary128", -900)])
    def test_a_power_of_two_comes_out_exact(self, tier, exponent):
        if tier == "binary128" and BINARY128 is None:
            pytest.skip("numpy-quaddtype is not installed")
        given = case("categorical_cross_entropy", [[0.25]], [[2.0**exponent]], "float64")
        truth = Reference(given, tiers=(Tier(tier), Tier.MPMATH))
        claimed = truth.at(Quantity.GRADIENT, slice(0, 1))
        assert claimed.radius[0, 0] == 0
        assert (claimed.hi[0, 0], claimed.exponent[0, 0]) == (-1.0, exponent + 2)


class TestReductions:
    """Infinite, NaN and undecided rows in one sum."""

    LOG_TARGETS = ([[NAN, -1.0], [-INF, -1.0]], [[0.5, -1.0], [-1.0, -1.0]])

    @pytest.mark.parametrize("reduction", ["sum", "mean"])
    def test_an_infinite_row_hides_no_row_that_is_still_open(self, reduction):
        x, t = self.LOG_TARGETS
        given = case("kl_divergence", x, t, log_target=True, reduction=reduction)
        assert np.isnan(exact(given).value.hi)  # row 0 has NaN
        assert_contained(given)

    @pytest.mark.parametrize("loss", ["softmax_cross_entropy"])
    @pytest.mark.parametrize("others", [[[1.0, 2.0]], [[-INF, 2.0]], [[1.0, 2.0], [NAN, 0.0]], []])
    def test_a_row_that_may_be_nan_or_0_counts_as_0_or_makes_nan(self, loss, others):
        empty = [-INF, -INF]
        given = case(loss, [empty, *others], [0] * (len(others) + 1), reduction="sum")
        assert_contained(given)
        certain = exact(given).value
        if not others:
            assert np.isnan(certain.hi)
            assert certain.accepts == Accepts.ZERO
            return
        alone = exact(replace(given, parameters={})).value
        rest = alone.midpoints()[1:].sum()
        assert np.isnan(certain.hi) == np.isnan(rest)
        if not np.isnan(rest):
            assert certain.midpoints() == pytest.approx(rest)
            results = {
                NAN: Kind.CONVENTION,
                float(rest): None,
                float(rest) + 1: Kind.INACCURATE if math.isfinite(rest) else None,
            }
            for actual, kind in results.items():
                scores = score(
                    np.array(actual, np.float32),
                    certain,
                    quantity=Quantity.VALUE,
                    tolerance=Tolerance(),
                )
                assert kind_of(int(scores.kinds)) is kind, actual


class TestLimitsBelowFloat64:
    """Errors that underflow as absolute numbers are still held to a limit."""

    @pytest.mark.parametrize("x", [-708.5, -712.25, -720.0, -735.5, -740.5])
    def test_a_limit_below_half_an_ulp_fails_among_subnormals(self, x):
        mpmath.mp.prec = 200
        value = mpmath.exp(x) / (1 + mpmath.exp(x))
        exactly = Fraction(int(value * mpmath.mpf(2) ** 1300)) / Fraction(2) ** 1300
        actual = float(value)  # rounded once, so at most half an ulp off
        error = abs(Fraction(actual) - exactly) / ulp(exactly, "float64")
        assert 0 < error <= Fraction(1, 2)
        for bounds in ({}, {"or_rel": 1e-300}):
            below, above = float(error) * 0.999, float(error) * 1.001
            for bound, kind in ((below, Kind.INACCURATE), (above, None)):
                tolerance = Tolerance(max_ulp=bound, **bounds)
                assert found(actual, exactly, "float64", tolerance=tolerance)[1] is kind

    def test_a_tiny_absolute_bound_is_compared_as_it_stands(self):
        smallest = Fraction(2) ** -1074
        exactly = smallest * Fraction(5, 4)  # 0.25 ulp from 1, 0.75 from 2
        at_most = Tolerance(max_ulp=0.1, or_abs=float(smallest))
        assert found(2.0**-1073, exactly, "float64", tolerance=at_most)[1] is None
        assert found(2.0**-1074, exactly, "float64", tolerance=at_most)[1] is None
        assert found(3 * 2.0**-1074, exactly, "float64", tolerance=at_most)[1] is Kind.INACCURATE

    def test_the_survey_s_sigmoid_fails_a_quarter_ulp(self):
        text = (
            "sweeps: {s: {losses: sigmoid, dtypes: float64, quantities: value, implementations: "
            "numpy.accurate, inputs: [{generator: gap, from: -708.4, to: -740.7, points: 50}]}}\n"
            "limits: [{max_ulp: 0.25}]"
        )
        report = audit(loads(text))
        assert [each.finding.kind for each in report.violations] == [Kind.INACCURATE]


class TestSigns:
    """A wrong sign is wrong at any number of ulps, unless the problem does not settle it."""

    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
    @pytest.mark.parametrize("share", [0.5, 0.6, 1.04, 3.0])
    def test_among_subnormals_too(self, dtype, share):
        smallest = Fraction(FORMATS[dtype].smallest_subnormal)
        exactly = Fraction(share) * smallest
        actual = -float(smallest)
        assert found(actual, exactly, dtype)[1] is Kind.WRONG_SIGN
        assert found(actual, exactly, dtype, tolerance=Tolerance(max_ulp=1e9))[1] is Kind.WRONG_SIGN
        assert found(-actual, exactly, dtype)[1] is None
        assert found(0.0, exactly, dtype)[1] is None
        close = Tolerance(or_abs=float(5 * smallest))
        assert found(actual, exactly, dtype, tolerance=close)[1] is None

    @pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
    def test_what_rounds_to_zero_has_none(self, dtype):
        smallest = Fraction(FORMATS[dtype].smallest_subnormal)
        below = smallest * Fraction(499, 1000)
        assert found(-float(smallest), below, dtype)[1] is None
        assert found(-float(smallest), below, dtype, nonnegative=True)[1] is Kind.WRONG_SIGN

    def test_a_softplus_below_zero_in_float16(self):
        def value(logits):
            return np.full(logits.shape, -5.96e-8, dtype=np.float16)

        mine = Implementation("softplus", "mine", value, None, ("float16",), (), frozenset())
        tally = Tally()
        given = case("softplus", [-16.59375], dtype="float16")
        measure(tally, mine, given, Reference(given), Quantity.VALUE, Tolerance(), thorough=False)
        assert tally.counts == {Kind.WRONG_SIGN: 1}

    def test_a_sign_that_the_inputs_do_not_settle_is_no_fault_within_the_limit(self):
        asked = {"tolerance": Tolerance(times_condition=True)}
        for condition, kind in ((2.0**23, None), (2.0**22, Kind.WRONG_SIGN)):
            held = {**asked, "condition": np.full(1, condition)}
            assert found(-0.5, Fraction(1, 2), "float32", **held)[1] is kind

    def test_where_that_is_a_close_call_the_arbiter_s_condition_number_decides(self):
        asked = Tolerance(times_condition=True)
        close = np.full(1, 2.0**23 * (1 + 2.0**-21))
        scores = score(
            np.array([-0.5], np.float32),
            enclose([Fraction(1, 2)]),
            close,
            quantity=Quantity.VALUE,
            tolerance=asked,
        )
        assert scores.near[0]
        for signed, kind in ((False, None), (True, Kind.WRONG_SIGN)):
            answer = Settled(np.array([False]), np.array([False]), np.array([signed]))
            again = score(
                np.array([-0.5], np.float32),
                enclose([Fraction(1, 2)]),
                close,
                quantity=Quantity.VALUE,
                tolerance=asked,
                settled=answer,
            )
            assert kind_of(int(again.kinds[0])) is kind

    def test_a_wrong_sign_within_the_limit_is_one_kind_for_every_tier(self):
        row = "[-0x1.3b970b7223502p+1, -0x1.6baf233319a90p-4]"
        text = (
            "sweeps: {s: {losses: logsumexp, dtypes: float64, implementations: numpy.log1p, "
            f"inputs: [{{generator: explicit, values: [{row}]}}]}}}}\n"
            "limits: [{max_ulp: 4, times_condition: true}]"
        )
        report = audit(loads(text))
        assert not report.uncertified
        assert report.reference["confirmations_failed"] == 0


class TestFormatsWithoutInfinities:
    """float8_e4m3fn overflows to NaN, from above 464 on: that tie is to even, which is 448."""

    @pytest.mark.parametrize("sign", [1, -1])
    @pytest.mark.parametrize(
        ("exactly", "actual", "kind"),
        [
            (Fraction(464), 448.0, None),
            (Fraction(464), NAN, Kind.NAN),
            (Fraction(465), NAN, None),
            (Fraction(465), 448.0, Kind.CONVENTION),
            (Fraction(10) ** 30, NAN, None),
            (Fraction(10) ** 30, 448.0, Kind.CONVENTION),
            (Fraction(10) ** 30, -448.0, Kind.WRONG_SIGN),
            (Fraction(10) ** 30, 256.0, Kind.MISSED_OVERFLOW),
            (INF, NAN, None),
            (INF, 448.0, Kind.CONVENTION),
            (INF, 256.0, Kind.MISSED_OVERFLOW),
            (Fraction(440), NAN, Kind.NAN),
        ],
    )
    def test_overflow_is_nan_or_saturates(self, sign, exactly, actual, kind):
        assert found(sign * actual, sign * exactly, "float8_e4m3fn")[1] is kind

    def test_formats_with_infinities_round_the_tie_away(self):
        tie = Fraction(57344) + Fraction(4096)
        assert found(INF, tie, "float8_e5m2")[1] is None
        assert found(NAN, tie, "float8_e5m2")[1] is Kind.NAN
        assert found(INF, tie - 1, "float8_e5m2")[1] is Kind.SPURIOUS_OVERFLOW


class TestKindsAtTheirBounds:
    """A ball that reaches across the bound of a kind leaves the kind open."""

    def test_a_zero_at_the_smallest_normal_number(self):
        bound = Fraction(2) ** -126
        for exactly in (bound * (1 - Fraction(1, 2**40)), bound * (1 + Fraction(1, 2**40))):
            assert not found(0.0, exactly, "float32", radius=2.0**-45)[2]
            assert found(0.0, exactly, "float32", radius=2.0**-39)[2]
            # what is right, or has a kind for another reason, is not left open by it
            assert not found(float(bound), exactly, "float32", radius=2.0**-39)[2]

    def test_a_wrong_sign_at_half_the_smallest_subnormal(self):
        half = Fraction(2) ** -150
        for exactly in (half * (1 - Fraction(1, 2**20)), half * (1 + Fraction(1, 2**20))):
            assert not found(-(2.0**-149), exactly, "float32", radius=2.0**-30)[2]
            assert found(-(2.0**-149), exactly, "float32", radius=2.0**-19)[2]
            assert not found(2.0**-149, exactly, "float32", radius=2.0**-19)[2]


class TestConditionNumbers:
    """At a zero of the result, and against derivatives taken by mpmath."""

    def test_the_focal_gradient_crosses_zero_with_soft_targets(self):
        row = case(
            "sigmoid_focal_loss",
            [-0.021379658352613087],
            [0.4977601775434207],
            "float64",
            gamma=2.0,
        )
        condition = Reference(row).condition(Quantity.GRADIENT, np.arange(1), "float64")
        assert excess_bits(3825.0, float(condition[0]), "float64") == 0

    @pytest.mark.parametrize("dtype", ["float32", "float64"])
    def test_at_an_exact_zero_it_is_finite_and_forgives_no_arbitrary_result(self, dtype):
        """p = y exactly: the inputs' rounding explains an error of some units of 1, not of 0.25."""
        row = case("softmax_cross_entropy", [[0.0, 0.0]], [[0.5, 0.5]], dtype)
        tolerance = Tolerance(times_condition=True)

        def off_by(error):
            def gradient(logits, _labels):
                return np.full(logits.shape, error, dtype=logits.dtype)

            both = (gradient, gradient)
            return Implementation(row.loss, "mine", *both, (dtype,), tuple(LabelKind), frozenset())

        for error, kinds in ((FORMATS[dtype].epsilon, {}), (0.25, {Kind.INACCURATE: 1})):
            tally, mine = Tally(), off_by(error)
            measure(tally, mine, row, Reference(row), Quantity.GRADIENT, tolerance, thorough=False)
            assert tally.counts == kinds

    def test_a_result_of_more_than_all_its_digits_is_not_explained_by_a_large_condition(self):
        """torch.logsumexp at [-2.75e-15, -33.5] is off by 10^9 times the result."""
        assert excess_bits(2.0**54, 2.0**35, "float32") == pytest.approx(20.0)
        assert excess_bits(2.0**60, 2.0, "float32") == 24.0
        # nor by one that has no larger float64 above it
        assert excess_bits(np.finfo(np.float64).max, 2.0**1023, "float64") == 53.0

    @pytest.mark.parametrize("offset", [0.0, 1e20])
    def test_noise_under_an_offset_that_swallows_it_has_the_same_one(self, offset):
        x, noise = [[offset, offset, offset]], [[-40.0, 0.0, -3.0]]
        given = case("softmax", x, [0], "float64", noise=noise)
        found = Reference(given).condition(Quantity.VALUE, np.arange(1), "float64")
        alone = case("softmax", noise, [0], "float64")
        want = Reference(alone).condition(Quantity.VALUE, np.arange(1), "float64")
        np.testing.assert_allclose(found, want, rtol=1e-9)

    @pytest.mark.parametrize("loss", sorted(LOSSES))
    def test_they_are_at_least_what_moving_each_input_makes_of_the_result(self, loss):
        """Relative moves of the logits (of their distances where an offset changes nothing)."""
        mpmath.mp.prec = 300
        rng = np.random.default_rng([7, sorted(LOSSES).index(loss)])
        for given in _interior(loss, rng):
            for quantity in Quantity:
                claimed = Reference(given).condition(quantity, np.arange(given.rows), "float64")
                want = _measured(given, quantity)
                assert claimed.shape == want.shape
                assert (claimed >= want * (1 - 1e-6)).all(), (given, quantity)
                # no blank cheque: what sums and the result's own rounding add is small
                slack = (2.0 + given.classes + float(given.parameters.get("gamma", 0.0))) * 4
                assert (claimed <= 3 * want + slack * _parts(given, quantity)).all()


def _interior(loss, rng):
    """Blocks of a few mild rows inside the domain, soft and hard labels."""
    spec = LOSSES[loss]
    rows, classes = 4, 3
    shape = (rows,) if spec.layout is Layout.ELEMENTWISE else (rows, classes)
    x = rng.normal(size=shape) * 6
    if spec.domain.value == "probabilities":
        x = 1 / (1 + np.exp(-x))
    if spec.domain.value == "log-probabilities":
        x = -np.abs(x)
    for kind in spec.label_kinds:
        labels = None
        if kind is LabelKind.INTEGER:
            labels = rng.integers(0, classes, rows)
        elif kind is LabelKind.TARGET:
            labels = rng.uniform(0.05, 0.95, rows)
        elif kind is LabelKind.DISTRIBUTION:
            labels = rng.dirichlet(np.ones(classes), rows)
        yield case(loss, x, labels, "float64")
        if kind is LabelKind.TARGET:
            yield case(loss, x, np.round(labels), "float64")


def _measured(given, quantity):
    """Σ |x_i ∂f/∂x_i| / |f| by central differences at 300 bits, with the arbiter's own results."""
    spec = LOSSES[given.loss]
    step = 2.0**-20
    base = _results(given, quantity)
    total = np.zeros(base.shape)
    x = to_float64(given.logits)
    shifted = x - x.max(axis=-1, keepdims=True) if _is_shift_invariant(given.loss) else x
    columns = [None] if spec.layout is Layout.ELEMENTWISE else range(x.shape[1])
    for column in columns:
        here = (slice(None),) if column is None else (slice(None), column)
        ends = []
        for side in (1.0, -1.0):
            moved = shifted.copy()
            moved[here] = shifted[here] * (1.0 + side * step)
            ends.append(_results(replace(given, logits=moved), quantity))
        total += np.abs(ends[0] - ends[1]) / (2 * step)
    # a component that is 0 whatever the logits moves by nothing
    return np.divide(total, np.abs(base), out=np.zeros(base.shape), where=base != 0)


def _results(given, quantity):
    certain = exact(given)
    return (certain.value if quantity is Quantity.VALUE else certain.gradient).midpoints()


def _is_shift_invariant(loss):
    return loss in ("softmax", "log_softmax", "softmax_cross_entropy")


def _parts(given, quantity):
    """How much more the terms of a result are than the result itself, where they have two signs."""
    results = np.abs(_results(given, quantity))
    soft = given.label_kind in (LabelKind.DISTRIBUTION, LabelKind.TARGET)
    if given.loss in ("kl_divergence", "js_divergence", "entropy", "binary_cross_entropy") or soft:
        size = 4.0 * (1.0 + np.abs(to_float64(given.logits)).max())
        return 1.0 + size / np.where(results == 0, np.inf, results)
    return np.ones(results.shape)


def test_of_two_numbers_in_the_middle_the_larger_is_the_median():
    few = Quantiles()
    few.add(np.array([1.0, 2.0]))
    assert few.at(0.5) == 2.0
    many = Quantiles()
    many.add(np.repeat([1.0, 2.0], EXACT))
    assert many.at(0.5) == 2.0


def test_codes_of_kinds_are_their_places():
    assert [kind_of(code) for code in range(RIGHT)] == list(KINDS)


def test_errors_of_more_ulps_than_float64_holds_say_so():

    error, kind, _ = found(-1.0, Fraction(2) ** -1074, "float64")
    assert kind is Kind.WRONG_SIGN
    assert error == np.finfo(np.float64).max
    assert words.ulps(error) == ">1e308"


def test_balls_are_scored_as_their_enclosures():
    """The quick look at narrow balls has the same kinds as the thorough one, wrong signs too."""
    smallest = FORMATS["float32"].smallest_subnormal
    middle = np.array([1.0, 1.04 * smallest, 0.4 * smallest, 3.0, -2.0, 1e-39])
    actual = np.array([1.0, -smallest, -smallest, -3.0, -2.0000005, 0.0], np.float32)
    quick = Balls(middle, 2.0**-45, None, None)
    both = [
        score(actual, each, quantity=Quantity.VALUE, tolerance=Tolerance())
        for each in (quick, quick.enclosures())
    ]
    assert both[0].kinds.tolist() == both[1].kinds.tolist()
    assert kind_of(int(both[0].kinds[1])) is Kind.WRONG_SIGN
    assert kind_of(int(both[0].kinds[2])) is None


class TestPackedEnclosures:
    """Two float64 numbers and a radius contain what the interval did, to the last bit."""

    @pytest.mark.parametrize("bits", [120, 160, 300, 1000])
    def test_both_ends_of_an_interval_are_contained(self, bits):
        rng = np.random.default_rng(bits)
        for ones in range(40, 110):
            # a significand whose bits beyond the 106 that are kept are nearly all ones
            head = int(rng.integers(1 << 52, 1 << 53)) << (bits - 53)
            significand = head + (1 << (bits - 53)) - 1 - (1 << max(bits - 53 - ones, 0))
            width = int(rng.integers(1, 4))
            lower, upper = (
                libmp.from_man_exp(each, -bits) for each in (significand, significand + width)
            )
            hi, lo, exponent, radius = _pack(Interval(lower, upper, bits))
            unit = Fraction(2) ** exponent
            middle = (Fraction(hi) + Fraction(lo)) * unit
            for end in (significand, significand + width):
                assert abs(Fraction(end, 1 << bits) - middle) <= Fraction(radius) * unit

    def test_a_gradient_with_a_tiny_smoothed_label(self):
        """The radius was too small by 10^-66 of itself, for its sum was rounded to nearest."""
        x = [2.577497254562487, 2.8695968935184917, -4.660713864002368, 4.8049766842484845]
        x += [-4.816675483369343, 4.311542683402317, 4.2885459172053775]
        y = [2.6353216813158968e-83, 6.777084066750574e-33, 1.4630693475125588e-129]
        y += [1.078541341708665e-12, 1.991657854198404e-183, 4.644605422654764e-308]
        y += [4.090986402116148e-227]
        more = {"label_smoothing": 5e-324, "temperature": 6.103515625e-05}
        given = case("softmax_cross_entropy", [x], [y], "float64", **more)
        claimed = exact(given).gradient
        # (Σc p_6 − c_6) over the temperature, by the textbook
        with mpmath.workprec(12_000):
            z = [mpmath.mpf(each) / mpmath.mpf(more["temperature"]) for each in x]
            share = mpmath.mpf(more["label_smoothing"]) / 7
            keep = 1 - mpmath.mpf(more["label_smoothing"])
            charges = [keep * mpmath.mpf(each) + share for each in y]
            total = mpmath.fsum(mpmath.exp(each - z[3]) for each in z)
            p = mpmath.exp(z[6] - z[3]) / total
            want = (mpmath.fsum(charges) * p - charges[6]) / mpmath.mpf(more["temperature"])
            unit = mpmath.mpf(2) ** int(claimed.exponent[0, 6])
            middle = (mpmath.mpf(claimed.hi[0, 6]) + mpmath.mpf(claimed.lo[0, 6])) * unit
            assert abs(want - middle) <= mpmath.mpf(claimed.radius[0, 6]) * unit
