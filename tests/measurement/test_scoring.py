"""The measure: ulp errors against exact values, kinds, tolerances, limits."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.reference.enclosing import enclose
from xentcheck.floats import FORMATS, from_float64, round_exact, ulp
from xentcheck.gate.limits import judge
from xentcheck.measurement.scoring import DECISIVE, excess_bits, movable, score
from xentcheck.model import (
    KINDS,
    RIGHT,
    Accepts,
    Cell,
    Config,
    Finding,
    Kind,
    Limit,
    Quantity,
    Tolerance,
    kind_of,
)
from xentcheck.reference.enclosures import Balls, Enclosures, decimal_text, expected, radius_in_ulps

WIDE = Tolerance(max_ulp=1e300)


def scored(actual, exact, dtype="float32", *, quantity=Quantity.VALUE, tolerance=None, **more):
    condition = more.pop("condition", np.nan)
    accepts = more.pop("accepts", Accepts.NOTHING)
    radius = more.pop("radius", 0.0)
    scores = score(
        np.array([actual], dtype=FORMATS[dtype].dtype),
        enclose([exact], accepts, radius),
        np.array([condition]),
        quantity=quantity,
        tolerance=tolerance or Tolerance(),
        **more,
    )
    kind = None if scores.kinds[0] == RIGHT else KINDS[scores.kinds[0]]
    return float(scores.ulp_error[0]), kind


@given(
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.floats(min_value=-1e300, max_value=1e300),
    st.fractions(min_value=-1000, max_value=1000, max_denominator=10**6),
)
def test_ulp_error_is_the_fraction_computed_exactly(dtype, start, offset):
    actual = from_float64(np.array(start), dtype)
    if not np.isfinite(actual.astype(np.float64)):
        return
    near = Fraction(float(actual))
    exact = near + offset * ulp(near, dtype)
    if exact == 0 or abs(exact) >= Fraction(FORMATS[dtype].max):
        return
    want = abs(near - exact) / ulp(exact, dtype)
    got, _ = scored(float(actual), exact, dtype, tolerance=WIDE)
    assert got == pytest.approx(float(want), rel=1e-12, abs=1e-12)


def test_an_ulp_below_a_power_of_two_is_half_the_one_above():
    tiny = Fraction(1, 2**60)
    assert scored(1 + 2**-23, Fraction(1))[0] == 1.0
    assert scored(1 + 2**-23, Fraction(1) - tiny)[0] == pytest.approx(2.0)
    assert scored(1 + 2**-23, Fraction(1) + tiny)[0] == pytest.approx(1.0)


def test_an_enclosure_that_touches_a_power_of_two_uses_the_smaller_ulp():
    assert scored(1 + 2**-23, Fraction(1), radius=2.0**-90)[0] == 2.0


def test_the_exact_value_is_not_rounded_before_subtracting():
    exact = 1 + Fraction(1, 2**24) + Fraction(1, 2**70)
    error, _ = scored(1.0, exact)
    assert error > 0.5
    assert scored(1 + 2**-23, exact)[0] < 0.5


def test_a_correctly_rounded_float64_is_within_half_an_ulp_of_bits_beyond_float64():
    exact = 1 + Fraction(1, 2**53) + Fraction(1, 2**100)
    assert scored(1.0, exact, "float64")[0] > 0.5
    assert scored(1 + 2**-52, exact, "float64")[0] < 0.5


def test_subnormal_results_are_measured_in_the_smallest_subnormal():
    tiny = Fraction(1, 2**149)
    assert scored(2.0**-149, tiny * Fraction(5, 2))[0] == pytest.approx(1.5)
    assert scored(5e-324, Fraction(1, 2**1074) * Fraction(5, 2), "float64")[0] == 1.5


def test_a_value_below_half_the_smallest_subnormal_is_met_by_zero():
    assert scored(0.0, Fraction(1, 2**151)) == (0.25, None)
    assert scored(-0.0, Fraction(1, 2**151)) == (0.25, None)
    assert scored(0.0, Fraction(0)) == (0.0, None)


def test_infinity_is_never_one_ulp_beyond_max():
    largest = Fraction(FORMATS["float32"].max)
    assert scored(np.inf, largest)[1] is Kind.SPURIOUS_OVERFLOW
    assert scored(np.inf, largest, tolerance=WIDE)[1] is Kind.SPURIOUS_OVERFLOW


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_overflow_is_right_from_half_an_ulp_beyond_max(dtype):
    largest = Fraction(FORMATS[dtype].max)
    half = ulp(largest, dtype) / 2
    tiny = half / 2**40
    assert scored(np.inf, largest + half, dtype) == (0.0, None)
    assert scored(np.inf, largest + half - tiny, dtype)[1] is Kind.SPURIOUS_OVERFLOW
    assert scored(-np.inf, -(largest + half), dtype) == (0.0, None)
    assert scored(-np.inf, largest + half, dtype)[1] is Kind.WRONG_SIGN


def test_a_finite_result_for_an_infinite_one_is_a_missed_overflow_at_any_budget():
    assert scored(3e38, np.inf, tolerance=WIDE)[1] is Kind.MISSED_OVERFLOW
    assert scored(1.0, Fraction(2) ** 200)[1] is Kind.MISSED_OVERFLOW


def test_opposite_infinities_have_the_wrong_sign():
    assert scored(-np.inf, np.inf)[1] is Kind.WRONG_SIGN
    assert scored(np.inf, np.inf) == (0.0, None)


def test_nan_is_right_only_where_nan_is_expected():
    assert scored(np.nan, np.nan) == (0.0, None)
    error, kind = scored(np.nan, Fraction(1), tolerance=WIDE)
    assert np.isnan(error)
    assert kind is Kind.NAN
    assert scored(np.nan, np.inf)[1] is Kind.NAN
    assert scored(1.0, np.nan)[1] is Kind.MISSED_NAN
    assert scored(np.inf, np.nan)[1] is Kind.MISSED_NAN


def test_conventions_turn_accepted_results_into_notes():
    assert scored(np.nan, Fraction(1), accepts=Accepts.NAN)[1] is Kind.CONVENTION
    assert scored(0.0, np.nan, accepts=Accepts.ZERO)[1] is Kind.CONVENTION
    assert scored(0.5, np.nan, accepts=Accepts.ZERO)[1] is Kind.MISSED_NAN
    assert scored(0.5, np.nan, accepts=Accepts.ANYTHING)[1] is Kind.CONVENTION
    assert scored(2.0, Fraction(1), accepts=Accepts.NAN)[1] is Kind.INACCURATE


def test_zero_for_something_has_a_kind_by_quantity():
    assert scored(0.0, Fraction(1, 10**9))[1] is Kind.SPURIOUS_UNDERFLOW
    gradient = scored(0.0, Fraction(1, 10**9), quantity=Quantity.GRADIENT)
    assert gradient[1] is Kind.VANISHED_GRADIENT
    assert scored(0.0, Fraction(1, 2**140))[1] is Kind.FTZ


def test_a_negative_result_of_a_positive_exact_value_is_a_wrong_sign():
    assert scored(-1e-8, Fraction(1, 10**9))[1] is Kind.WRONG_SIGN
    assert scored(-1e-8, Fraction(0), nonnegative=True)[1] is Kind.WRONG_SIGN
    assert scored(-1e-8, Fraction(0))[1] is Kind.INACCURATE
    assert scored(1e-8, Fraction(0), nonnegative=True)[1] is Kind.INACCURATE


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("side", [1, -1])
def test_what_rounds_to_the_smallest_subnormal_has_a_sign_and_what_rounds_to_zero_has_none(
    dtype, side
):
    """Both in a result of the other sign, more than an ulp off."""
    smallest = Fraction(FORMATS[dtype].smallest_subnormal)
    limit = Tolerance(max_ulp=1.0)
    for part in (Fraction(1, 2) + Fraction(1, 2**40), Fraction(3, 4), Fraction(999, 1000)):
        exact = side * part * smallest
        assert round_exact(exact, dtype) != 0
        wrong = scored(-side * float(smallest), exact, dtype, tolerance=limit)
        assert wrong == (pytest.approx(1 + float(part)), Kind.WRONG_SIGN)
    for part in (Fraction(1, 2) - Fraction(1, 2**40), Fraction(1, 3)):
        exact = side * part * smallest
        assert round_exact(exact, dtype) == 0
        wrong = scored(-side * float(smallest), exact, dtype, tolerance=limit)
        assert wrong == (pytest.approx(1 + float(part)), Kind.INACCURATE)


def test_a_limit_exactly_met_passes_and_the_next_number_fails():
    limit = Tolerance(max_ulp=4.0)
    assert scored(1 + 4 * 2.0**-23, Fraction(1), tolerance=limit) == (4.0, None)
    beyond = Fraction(1) - Fraction(1, 2**100)
    assert scored(1 + 4 * 2.0**-23, Fraction(1) + Fraction(1, 2**60), tolerance=limit)[1] is None
    assert scored(1 + 4 * 2.0**-23, beyond, tolerance=limit)[1] is Kind.INACCURATE
    assert scored(1 + 5 * 2.0**-23, Fraction(1), tolerance=limit)[1] is Kind.INACCURATE


@pytest.mark.parametrize("condition", [np.nan, 2.0])
def test_an_error_of_exactly_p99_ulp_is_not_far_and_the_next_one_is(condition):
    bound = 4.0 if condition != condition else 2.0
    tolerance = Tolerance(max_ulp=100.0, p99_ulp=bound, times_condition=condition == condition)
    for ulps, far in ((3, False), (4, False), (5, True)):
        scores = score(
            np.array([1.5 + ulps * 2.0**-23], dtype=np.float32),
            enclose([Fraction(3, 2)]),
            np.array([condition]),
            quantity=Quantity.VALUE,
            tolerance=tolerance,
        )
        assert scores.ulp_error[0] == ulps
        assert bool(scores.far[0]) is far


def test_absolute_error_can_meet_a_limit_instead():
    exact = Fraction(4122, 10**12)
    assert scored(0.0, exact)[1] is Kind.SPURIOUS_UNDERFLOW
    assert scored(0.0, exact, tolerance=Tolerance(or_abs=1e-7))[1] is None
    assert scored(0.0, exact, tolerance=Tolerance(or_abs=1e-9))[1] is Kind.SPURIOUS_UNDERFLOW


@pytest.mark.parametrize("size", [Fraction(1, 3), Fraction(1), Fraction(1000), Fraction(1, 2**130)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_relative_error_can_meet_a_limit_instead_whatever_the_size_of_the_result(size, dtype):
    actual = float(size * (1 + Fraction(1, 1000)))
    actual = float(from_float64(np.array(actual), dtype))
    for bound, kind in ((2e-3, None), (5e-4, Kind.INACCURATE)):
        tolerance = Tolerance(max_ulp=1.0, or_rel=bound)
        assert scored(actual, size, dtype, tolerance=tolerance)[1] is kind


def test_a_condition_number_widens_only_a_tolerance_that_asks_for_it():
    actual, exact = 1 + 100 * 2.0**-23, Fraction(1)
    asked = Tolerance(times_condition=True)
    assert scored(actual, exact, condition=1e6)[1] is Kind.INACCURATE
    assert scored(actual, exact, condition=1e6, tolerance=asked)[1] is None
    assert scored(actual, exact, condition=np.nan, tolerance=asked)[1] is Kind.INACCURATE
    assert scored(actual, exact, condition=1e-6, tolerance=asked)[1] is Kind.INACCURATE


def test_enormous_errors_stay_numbers():
    error, kind = scored(1e300, Fraction(1, 2**1074), "float64")
    assert error == np.finfo(np.float64).max
    assert kind is Kind.INACCURATE
    assert scored(1e300, Fraction(0), "float64")[1] is Kind.INACCURATE


@pytest.mark.parametrize(
    ("actual", "exact"),
    [
        (1.0, 1 + Fraction(1, 2**60)),  # beyond the bits of float64
        (-1.0, -1 - Fraction(1, 2**60)),
        (1e300, Fraction(1, 2**1074)),  # more ulps than float64 has numbers for
        (1e300, Fraction(0)),
        (-3.0, Fraction(10) ** 300),
    ],
)
def test_the_absolute_error_is_the_difference_to_the_exact_value(actual, exact):
    scores = score(
        np.array([actual]), enclose([exact]), quantity=Quantity.VALUE, tolerance=Tolerance()
    )
    want = float(abs(Fraction(actual) - exact))
    assert scores.abs_error[0] == pytest.approx(want, rel=1e-15, abs=0.0)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="int64"):
        score(
            np.array([1]),
            enclose([Fraction(1)]),
            np.array([1.0]),
            quantity=Quantity.VALUE,
            tolerance=Tolerance(),
        )


def test_expected_rounds_the_exact_value_once():
    exact = enclose([1 + Fraction(1, 2**24) + Fraction(1, 2**70)])
    assert expected(exact, (0,), "float32") == 1 + 2**-23
    assert expected(enclose([Fraction(2) ** 200]), (0,), "float32") == np.inf
    assert np.isnan(expected(enclose([np.nan]), (0,), "float32"))


def test_magnitudes_beyond_all_formats_are_expected_as_infinity_or_zero_and_told_by_their_power():
    for power in (2000, 30000):
        huge, tiny = enclose([Fraction(2) ** power]), enclose([-(Fraction(2) ** -power)])
        for dtype in ("float16", "float64"):
            assert expected(huge, (0,), dtype) == np.inf
            assert expected(tiny, (0,), dtype) == 0
            assert np.signbit(expected(tiny, (0,), dtype))
            assert scored(np.inf, Fraction(2) ** power, dtype) == (0.0, None)
            assert scored(-np.inf, -(Fraction(2) ** power), dtype) == (0.0, None)
    # 30000 · log10(2) = 9030.8998…
    assert decimal_text(enclose([Fraction(2) ** 30000]), (0,)) == "10^9030.9"
    assert decimal_text(enclose([-(Fraction(2) ** -30000)]), (0,)) == "-10^-9030.9"


def test_decimal_text_has_more_digits_than_float64():
    third = enclose([Fraction(1, 3)])
    assert decimal_text(third, (0,), 22) == "0.3333333333333333333333"
    assert decimal_text(enclose([Fraction(-1, 4)]), (0,)) == "-0.25"
    assert decimal_text(enclose([np.inf]), (0,)) == "inf"
    assert decimal_text(enclose([Fraction(1, 10**400)]), (0,), 6) == "1.00000e-400"


def test_excess_bits_are_what_conditioning_does_not_explain():
    assert excess_bits(0.5, 1.0, "float32") == 0.0
    assert excess_bits(2.0**20, 1.0, "float32") == 21.0
    assert excess_bits(2.0**20, 2.0**20, "float32") == 1.0
    assert excess_bits(1e300, 1.0, "float32") == 24.0
    assert excess_bits(2.0**20, 2.0**40, "float32") == 0.0


def test_the_radius_is_told_in_ulps_of_the_result():
    exact = enclose([Fraction(3, 2)], radius=2.0**-80)
    assert radius_in_ulps(exact, (0,), "float32") == 2.0**-57
    assert radius_in_ulps(exact, (0,), "float64") == 2.0**-28
    subnormal = enclose([Fraction(3, 2**1075)], radius=2.0**-80)
    assert radius_in_ulps(subnormal, (0,), "float64") == 2.0**-80


def test_only_what_is_beyond_the_limit_everywhere_in_its_enclosure_is_at_fault():
    unit = 2.0**-23
    actual, exact = 1.5 + 5 * unit, Fraction(3, 2)
    assert scored(actual, exact, radius=0.5 * unit) == (5.0, Kind.INACCURATE)
    assert scored(actual, exact, radius=2 * unit) == (5.0, None)


# Fast scores of narrow balls against the same balls as enclosures.

NARROW = 2.0**-43
MIDPOINTS = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, 0.5, 2.0, 65504.0, 3.4e38, 3.5e38, np.inf, -np.inf, np.nan]),
    st.floats(-1e4, 1e4, allow_subnormal=False),
    st.builds(np.ldexp, st.floats(1.0, 2.0), st.integers(-150, 130)),
    st.builds(lambda side, power: side * 2.0**power, st.sampled_from([1, -1]), st.integers(-9, 9)),
)
NEARBY = st.one_of(
    st.integers(-40, 40),
    st.sampled_from([10**4, -(10**4)]),
    st.none(),  # a special number instead
)
SPECIAL = st.sampled_from([0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 3e38, 2.0**-149])


@st.composite
def balls_and_results(draw):
    """(results, balls): numbers near the midpoints of narrow balls, and quite other ones."""
    dtype = draw(st.sampled_from(["float16", "bfloat16", "float32"]))
    middle, actual = [], []
    for _ in range(draw(st.integers(1, 6))):
        exact = draw(MIDPOINTS) * (1.0 + draw(st.integers(-4, 4)) * 2.0**-41)
        steps = draw(NEARBY)
        middle.append(exact)
        near = from_float64(np.array(exact), dtype)
        if steps is None or not np.isfinite(near.astype(np.float64)):
            actual.append(draw(SPECIAL))
        else:
            unit = float(ulp(float(near), dtype))
            actual.append(float(near) + steps * unit)
    accepts = draw(st.one_of(st.none(), st.lists(st.integers(0, 7), min_size=6, max_size=6)))
    flags = None if accepts is None else np.array(accepts[: len(middle)], dtype=np.uint8)
    below_one = draw(st.booleans()) and bool((np.abs(middle) <= 1.0).all())
    relative = draw(st.sampled_from([0.0, NARROW, 2.0**-39]))
    balls = Balls(np.array(middle), relative, None, flags, below_one)
    return from_float64(np.array(actual), dtype), balls


def undecided_without_need(actual, scores, balls, tolerance):
    """Where it does not matter what `undecided` says: the error is within the limit anyway."""
    precision = FORMATS[str(actual.dtype)].precision
    with np.errstate(invalid="ignore"):
        return scores.ulp_error < tolerance.max_ulp - balls.relative * 2.0**precision


@settings(max_examples=400, deadline=None)
@example(
    (np.float16([-6e-8, 0.0]), Balls(np.array([-1e-38, 0.0]), 0.0, None, None)),
    4.0,
    0.0,
    Quantity.VALUE,
    True,
)
@given(
    balls_and_results(),
    st.sampled_from([0.5, 1.0, 4.0, 1000.0]),
    st.sampled_from([0.0, 1e-7, 1.0]),
    st.sampled_from(list(Quantity)),
    st.booleans(),
)
def test_scores_of_balls_are_those_of_their_enclosures(given_pair, limit, or_abs, quantity, signed):
    actual, balls = given_pair
    tolerance = Tolerance(max_ulp=limit, or_abs=or_abs)
    more = {"quantity": quantity, "tolerance": tolerance, "nonnegative": signed}
    fast, slow = score(actual, balls, **more), score(actual, balls.enclosures(), **more)
    assert fast.kinds.shape == fast.ulp_error.shape == fast.undecided.shape == actual.shape
    # caution may differ one way only, and where it decides nothing
    careless = slow.undecided & ~fast.undecided
    assert not (careless & ~undecided_without_need(actual, slow, balls, tolerance)).any()
    settled = ~(fast.undecided | slow.undecided)
    np.testing.assert_array_equal(fast.kinds[settled], slow.kinds[settled])
    for name in ("ulp_error", "abs_error"):
        mine, other = getattr(fast, name)[settled], getattr(slow, name)[settled]
        np.testing.assert_array_equal(np.isnan(mine), np.isnan(other))
    mine, other = fast.ulp_error[settled], slow.ulp_error[settled]
    # next to a power of two an error below 2^-10 ulp may be told in the smaller of the two ulps
    close = np.abs(mine - other) <= 2.0**-20 * np.maximum(np.abs(other), 1.0)
    tiny = (mine <= 2 * DECISIVE) & (other <= 2 * DECISIVE)
    assert (close | tiny | np.isnan(mine)).all()


def test_scores_of_balls_follow_a_limit_for_each_result():
    actual = np.array([1.5, 1.5], dtype=np.float32) + np.float32(8 * 2.0**-23)
    balls = Balls(np.array([1.5, 1.5]), NARROW, None, None)
    tolerance = Tolerance(max_ulp=4.0, times_condition=True)
    scores = score(
        actual, balls, np.array([1.0, 3.0]), quantity=Quantity.VALUE, tolerance=tolerance
    )
    assert scores.ulp_error.tolist() == [8.0, 8.0]
    assert scores.kinds.tolist() == [KINDS.index(Kind.INACCURATE), RIGHT]


def test_balls_are_held_to_p99_ulp():
    balls = Balls(np.array([1.5, 1.5]), NARROW, None, None)
    actual = np.array([1.5 + 2 * 2.0**-23, 1.5 + 9 * 2.0**-23], dtype=np.float32)
    tolerance = Tolerance(max_ulp=1000.0, p99_ulp=4.0)
    scores = score(actual, balls, quantity=Quantity.VALUE, tolerance=tolerance)
    assert scores.far.tolist() == [False, True]
    assert scores.kinds.tolist() == [RIGHT, RIGHT]


@pytest.mark.parametrize("limit", [2.0**23, 2.0**24, 3.0**22])
def test_a_limit_of_as_many_ulps_as_there_are_numbers_lets_no_sign_through(limit):
    balls = Balls(np.array([1.5, 1.5, -1.5]), NARROW, None, None)
    actual = np.array([-1e-30, 1e-30, 1e-30], dtype=np.float32)
    tolerance = Tolerance(max_ulp=limit)
    scores = score(actual, balls, quantity=Quantity.VALUE, tolerance=tolerance)
    wrong, right = KINDS.index(Kind.WRONG_SIGN), RIGHT
    within = limit >= 1.5 * 2**23
    assert scores.kinds[[0, 2]].tolist() == [wrong, wrong]
    assert scores.kinds[1] == (right if within else KINDS.index(Kind.INACCURATE))


def test_float64_results_below_the_floor_of_balls_are_undecided():
    """A ball has a radius of 2^-500 at least; no result of 32 bits is as small as that."""
    exact = np.array([1.5, 1e-155, -1e-155, 1e300, 1e-100])
    balls = Balls(exact, 2.0**-49, None, None)
    actual = exact * np.array([1.0 + 2.0**-20, 1.0 + 2.0**-20, 3.0, 1.0 - 2.0**-20, 2.0])
    scores = score(actual, balls, quantity=Quantity.VALUE, tolerance=Tolerance())
    assert scores.undecided.tolist() == [False, True, True, False, False]


@pytest.mark.parametrize(("condition", "kind"), [(1.0, Kind.INACCURATE), (3.0, None)])
def test_a_single_result_is_held_to_its_own_condition_number(condition, kind):
    balls = Balls(np.array(1.5), NARROW, None, None)
    tolerance = Tolerance(max_ulp=4.0, times_condition=True)
    actual = np.array(1.5 + 8 * 2.0**-23, dtype=np.float32)
    scores = score(actual, balls, np.array(condition), quantity=Quantity.VALUE, tolerance=tolerance)
    assert scores.kinds.shape == ()
    assert kind_of(int(scores.kinds)) is kind


@pytest.mark.parametrize("wrong", [0.0, 100.0])
def test_a_single_result_is_scored_as_a_single_result(wrong):
    """Of a reduced block: no shape."""
    balls = Balls(np.array(1.5), NARROW, None, None)
    actual = np.array(1.5 + wrong * 2.0**-23, dtype=np.float32)
    scores = score(actual, balls, quantity=Quantity.VALUE, tolerance=Tolerance())
    assert scores.ulp_error.shape == scores.kinds.shape == scores.undecided.shape == ()
    assert float(scores.ulp_error) == wrong
    assert int(scores.kinds) == (KINDS.index(Kind.INACCURATE) if wrong else RIGHT)


# What a radius leaves open.


def undecided(actual, exact, radius, dtype="float32", *, tolerance=None):
    """Whether the enclosure of one exact value is too wide to score a result against."""
    scores = score(
        np.array([actual], dtype=FORMATS[dtype].dtype),
        enclose([exact], radius=radius),
        quantity=Quantity.VALUE,
        tolerance=tolerance or Tolerance(),
    )
    return bool(scores.undecided[0])


UNIT = 2.0**-23  # of a float32 in [1, 2)


def test_a_result_at_the_limit_is_undecided_and_beside_it_decided():
    exact, radius = Fraction(3, 2), 2.0**-43
    for steps, open_ in ((3, False), (4, True), (5, False)):
        assert undecided(1.5 + steps * UNIT, exact, radius) is open_
    outside = exact - 2 * Fraction(radius)
    assert not undecided(1.5 + 4 * UNIT, outside, radius)
    assert undecided(1.5 + 4 * UNIT, exact - Fraction(radius) / 2, radius)


def test_a_result_at_the_absolute_limit_is_undecided_and_beside_it_decided():
    exact, radius = Fraction(3, 2), 2.0**-43
    # 6 ulps off, and allowed so much
    for share, open_ in ((1.0, True), (0.5, False), (2.0, False)):
        tolerance = Tolerance(max_ulp=1.0, or_abs=6 * UNIT * share)
        assert undecided(1.5 + 6 * UNIT, exact, radius, tolerance=tolerance) is open_


def test_a_result_beside_a_power_of_two_is_undecided_only_with_an_error():
    """Above it an ulp is twice the one below."""
    assert undecided(1.0 + 3 * UNIT, Fraction(1), 2.0**-43)
    assert not undecided(1.0, Fraction(1), 2.0**-43)
    above = Fraction(1) + Fraction(1, 2**40)
    assert not undecided(1.0 + 3 * UNIT, above, 2.0**-43)
    assert undecided(1.0 + 3 * UNIT, above, 2.0**-39)


def test_one_that_is_known_to_be_below_one_is_decided_beside_it():
    """All p are below 1, however near, so the smaller ulp counts."""
    balls = Balls(np.array([1.0, 1.0 - 2.0**-50]), NARROW, None, None, below_one=True)
    actual = np.array([1.0 - 3 * UNIT] * 2, dtype=np.float32)
    for exact in (balls, balls.enclosures()):
        scores = score(actual, exact, quantity=Quantity.VALUE, tolerance=Tolerance(100.0))
        assert not scores.undecided.any()
        assert scores.ulp_error == pytest.approx(6.0, abs=2.0**-15)


@pytest.mark.parametrize("result", [np.inf, float(np.finfo(np.float32).max)])
def test_what_may_just_overflow_is_undecided(result):
    threshold = Fraction(FORMATS["float32"].max) + ulp(FORMATS["float32"].max, "float32") / 2
    for offset, open_ in ((0, True), (4, False), (-4, False)):
        exact = threshold * (1 + offset * Fraction(1, 2**40))
        assert undecided(result, exact, 2.0**-41) is open_


@pytest.mark.parametrize("actual", [1.0, -1.0, 2.0, 1e-30])
def test_a_sign_that_an_enclosure_leaves_open_is_undecided_among_subnormals_too(actual):
    """Where the error is certain to many digits, but not whether the sign is wrong."""
    exact = Fraction(1, 2**140)
    assert undecided(actual, exact, 2.0)
    assert not undecided(actual, exact, 0.5)


def test_an_infinite_radius_is_undecided_whatever_came_back():
    for actual in (1.5, 0.0, np.nan, np.inf):
        assert undecided(actual, Fraction(3, 2), np.inf)
        assert undecided(actual, Fraction(0), np.inf)


def test_a_radius_of_many_ulps_is_undecided_unless_the_error_is_far_larger():
    radius = 2.0**-43 * 2**29  # 2^-14: 512 float32 ulps
    assert undecided(1.5, Fraction(3, 2), radius)
    assert undecided(1.5 + 1000 * UNIT, Fraction(3, 2), radius)
    assert not undecided(1e30, Fraction(3, 2), radius)


@given(
    st.sampled_from(["float16", "bfloat16", "float32", "float64"]),
    st.one_of(
        st.sampled_from([np.nan, np.inf, -np.inf]),
        st.fractions(-1000, 1000, max_denominator=4096),
    ),
    st.one_of(st.floats(-1e4, 1e4), st.sampled_from([np.nan, np.inf, 0.0, 1.0, 0.5, -2.0])),
    st.sampled_from([0.0, 0.5, 1.0, 4.0]),
)
def test_an_exact_point_is_never_undecided(dtype, exact, actual, limit):
    value = float(from_float64(np.array(actual), dtype))
    assert not undecided(value, exact, 0.0, dtype, tolerance=Tolerance(limit))


CELL = Cell("softplus", "mine", "float32", Quantity.VALUE, "sweep")


def violations(*limits, kind=Kind.INACCURATE, distance=0.0):
    finding = Finding(kind, CELL, rows=1, distance=distance)
    return judge(Config(sweeps=(), limits=limits), [finding])


def test_the_last_limit_that_selects_a_cell_governs_it():
    strict, lenient = Limit(), Limit(allow=frozenset({Kind.INACCURATE}))
    assert not violations(strict, lenient)
    assert len(violations(lenient, strict)) == 1
    assert not violations(lenient, Limit(dtype="float16"))
    assert len(violations(lenient, Limit(dtype="float*"))) == 1


def test_a_limit_allows_the_kinds_it_names_and_notes_and_nothing_else():
    limit = Limit(allow=frozenset({Kind.NAN}))
    passing = {kind for kind in Kind if not violations(limit, kind=kind)}
    notes = {Kind.FP_SIGNAL, Kind.BATCH_VARIANT, Kind.FTZ, Kind.CONVENTION}
    assert passing == {Kind.NAN} | notes
    assert not violations(kind=Kind.NAN)


def test_a_result_may_move_by_what_the_tolerance_allows_it_to_be_off():
    condition = np.array([[0.5, 10.0], [np.nan, 100.0]])
    assert movable(Tolerance(4.0), condition) == 4.0
    assert movable(Tolerance(math.inf, p99_ulp=3.0), None) == 3.0
    assert movable(Tolerance(math.inf, max_excess_bits=2.0), None) == 4.0
    times = movable(Tolerance(4.0, times_condition=True), condition)
    assert times.tolist() == [[4.0, 40.0], [4.0, 400.0]]
    explained = movable(Tolerance(4.0, or_excess_bits=2.0), condition)
    assert explained.tolist() == [[4.0, 40.0], [4.0, 400.0]]
    bounded = movable(Tolerance(10.0, max_excess_bits=1.0), condition)
    assert bounded.tolist() == [[2.0, 10.0], [2.0, 10.0]]


def test_a_nan_elsewhere_in_a_block_hides_no_overflow():
    balls = Balls(np.array([np.nan, 131008.0]), 2.0**-43, None, None)
    actual = np.array([np.nan, 15.9], dtype=np.float16)
    scores = score(actual, balls, quantity=Quantity.VALUE, tolerance=Tolerance())
    assert KINDS[scores.kinds[1]] is Kind.MISSED_OVERFLOW
    assert scores.kinds[0] == RIGHT


def test_a_limit_of_nothing_stays_nothing_at_an_infinite_condition_number():
    tolerance = Tolerance(0.0, times_condition=True)
    exact = Enclosures(
        np.array([1.0]), np.zeros(1), np.array([-1]), np.zeros(1), np.zeros(1, dtype=np.uint8)
    )
    scored = score(
        np.array([0.5 + 2.0**-24], dtype=np.float32),
        exact,
        np.array([np.inf]),
        quantity=Quantity.VALUE,
        tolerance=tolerance,
    )
    assert kind_of(int(scored.kinds[0])) is Kind.INACCURATE
