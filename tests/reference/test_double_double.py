"""Double-double numbers keep the bounds that their module states: exactly, or against mpmath."""

import platform
import subprocess
import sys
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xentcheck.reference import double_double
from xentcheck.reference.balls import DOUBLE_DOUBLE
from xentcheck.reference.double_double import (
    CHUNK,
    FLOOR,
    FUNCTION,
    LOWEST,
    STEPS,
    TABLE,
    TINY,
    UNIT,
    DoubleDouble,
    fast_two_sum,
    split,
    two_product,
    two_sum,
)

MP = mpmath.MPContext()
MP.prec = 320
U = Fraction(1, 2**53)

EXPONENTS = st.integers(-200, 200)
ordinary = st.builds(
    lambda significand, exponent, sign: float(np.ldexp(sign * significand, exponent)),
    st.one_of(st.integers(2**52, 2**53 - 1), st.sampled_from([2**52, 2**53 - 1, 2**52 + 1])),
    EXPONENTS,
    st.sampled_from([-1, 1]),
)
shares = st.one_of(st.floats(-1, 1), st.sampled_from([0.0, 1.0, -1.0, 2.0**-60]))


def paired(hi: float, share: float) -> tuple[float, float]:
    """A number with a lower part of at most half an ulp."""
    return tuple(float(each) for each in fast_two_sum(hi, share * float(np.spacing(abs(hi))) / 2))


pairs = st.builds(paired, ordinary, shares)


def exact(pair: tuple[float, float]) -> Fraction:
    return Fraction(pair[0]) + Fraction(pair[1])


def value(number: DoubleDouble) -> Fraction:
    return Fraction(float(number.hi)) + Fraction(float(number.lo))


def real(hi: float, lo: float = 0.0) -> mpmath.mpf:
    return MP.mpf(float(hi)) + MP.mpf(float(lo))


# What is computed without an error


@given(ordinary, ordinary)
def test_a_sum_and_its_error_are_exact(a: float, b: float) -> None:
    assert sum(map(Fraction, two_sum(a, b))) == Fraction(a) + Fraction(b)
    larger, smaller = sorted((a, b), key=abs, reverse=True)
    assert sum(map(Fraction, fast_two_sum(larger, smaller))) == Fraction(a) + Fraction(b)


@given(ordinary, ordinary)
def test_a_product_and_its_error_are_exact(a: float, b: float) -> None:
    assert sum(map(Fraction, two_product(a, b))) == Fraction(a) * Fraction(b)


@given(ordinary)
def test_both_parts_of_a_split_have_26_bits(a: float) -> None:
    high, low = split(a)
    assert Fraction(high) + Fraction(low) == Fraction(a)
    for part in (high, low):
        significand = Fraction(part).numerator
        while significand and significand % 2 == 0:
            significand //= 2
        assert abs(significand) < 2**26


# One operation


@settings(max_examples=1000)
@given(pairs, pairs)
def test_sums_products_and_quotients_err_by_no_more_than_the_theorems_say(
    a: tuple[float, float], b: tuple[float, float]
) -> None:
    x, y = DoubleDouble(*a), DoubleDouble(*b)
    for result, truth, bound in (
        (x + y, exact(a) + exact(b), 3 * U**2 + 13 * U**3),
        (x - y, exact(a) - exact(b), 3 * U**2 + 13 * U**3),
        (x * y, exact(a) * exact(b), 7 * U**2),
        (x / y, exact(a) / exact(b), 15 * U**2 + 56 * U**3),
    ):
        assert abs(value(result) - truth) <= bound * abs(truth)
        assert bound <= Fraction(UNIT)
        assert result.hi == result.hi + result.lo


@settings(max_examples=500)
@given(pairs, ordinary, ordinary)
def test_float64_numbers_among_pairs_keep_the_bounds_and_lose_nothing_among_themselves(
    a: tuple[float, float], b: float, c: float
) -> None:
    x, y, z = DoubleDouble(*a), DoubleDouble(b), DoubleDouble(c)
    assert (x.exact, y.exact) == (False, True)
    assert value(y + z) == Fraction(b) + Fraction(c)
    assert value(y - z) == Fraction(b) - Fraction(c)
    assert value(y * z) == Fraction(b) * Fraction(c)
    for result, truth, units in (
        (x + y, exact(a) + Fraction(b), 2),
        (y - x, Fraction(b) - exact(a), 2),
        (x * y, exact(a) * Fraction(b), 3),
        (y * x, exact(a) * Fraction(b), 3),
    ):
        assert abs(value(result) - truth) <= units * U**2 * abs(truth)


@given(pairs, shares, st.integers(0, 60))
def test_numbers_that_nearly_cancel_keep_the_relative_bound(
    a: tuple[float, float], share: float, bits: int
) -> None:
    near = paired(a[0] * (1.0 + 2.0**-bits), share)
    truth = exact(near) - exact(a)
    found = value(DoubleDouble(*near) - DoubleDouble(*a))
    assert abs(found - truth) <= (3 * U**2 + 13 * U**3) * abs(truth)


@given(pairs, pairs)
def test_order_is_that_of_the_numbers(a: tuple[float, float], b: tuple[float, float]) -> None:
    for one, other in ((a, b), (a, a), (a, (a[0], b[1] * 0.0))):
        x, y = DoubleDouble(*one), DoubleDouble(*other)
        assert bool(x < y) is (exact(one) < exact(other))
        assert bool(x <= y) is (exact(one) <= exact(other))
        assert bool(x > y) is (exact(one) > exact(other))
        assert bool(x >= y) is (exact(one) >= exact(other))
        assert bool(x == y) is (exact(one) == exact(other))
        assert value(np.maximum(x, y)) == max(exact(one), exact(other))
        assert value(np.minimum(x, y)) == min(exact(one), exact(other))


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 4097, 30_000])
@pytest.mark.parametrize("signed", [False, True])
def test_a_long_sum_errs_by_no_more_than_its_factor(count: int, *, signed: bool) -> None:
    rng = np.random.default_rng(count)
    for _ in range(2 if count > 1_000 else 20):
        hi = rng.lognormal(0.0, 8.0, (2, count)) * (rng.choice([-1, 1], (2, count)) ** signed)
        lo = rng.uniform(-0.5, 0.5, (2, count)) * np.spacing(np.abs(hi))
        total, factor = DoubleDouble(hi, lo).total()
        for row in range(2):
            truth = sum(map(Fraction, hi[row].tolist())) + sum(map(Fraction, lo[row].tolist()))
            sizes = sum(map(abs, map(Fraction, hi[row].tolist())))
            off = abs(value(total[row]) - truth)
            assert off <= Fraction(factor * UNIT) * sizes


def test_the_sum_of_nothing_is_nothing() -> None:
    total, factor = DoubleDouble(np.empty((3, 0))).total()
    assert total.shape == (3,)
    assert not total.any()
    assert factor == 0.0


# exp and log


def off(number: DoubleDouble, truths: list[mpmath.mpf]) -> float:
    """The largest error relative to the exact result, beyond what underflow explains."""
    found = zip(number.hi.tolist(), number.lo.tolist(), truths, strict=True)
    errors = [(MP.fabs(real(hi, lo) - truth), MP.fabs(truth)) for hi, lo, truth in found]
    assert len(errors) > 10
    return float(max((error - FLOOR) / truth if truth else error for error, truth in errors))


def with_lower_parts(numbers: np.ndarray, seed: int = 0) -> DoubleDouble:
    rng = np.random.default_rng(seed)
    lower = rng.uniform(-0.5, 0.5, numbers.shape) * np.spacing(np.abs(numbers))
    lower[::3] = 0.0
    return DoubleDouble(*fast_two_sum(numbers, lower))


def reals(number: DoubleDouble) -> list[mpmath.mpf]:
    return [real(hi, lo) for hi, lo in zip(number.hi.tolist(), number.lo.tolist(), strict=True)]


def beside(numbers: np.ndarray) -> np.ndarray:
    """Numbers and their neighbours, up to two ulps away."""
    below, above = np.nextafter(numbers, -np.inf), np.nextafter(numbers, np.inf)
    further = np.nextafter(below, -np.inf), np.nextafter(above, np.inf)
    return np.concatenate([numbers, below, above, *further])


STEP = float(mpmath.log(2)) / STEPS
SWITCHES = (np.arange(-2 * STEPS, 0) + 0.5) * STEP  # where exp takes the next entry of the table
FAR = (np.linspace(-1068 * STEPS, -2 * STEPS, 500).round() + 0.5) * STEP
EXPONENTIALS = {
    "switch-overs": beside(SWITCHES),
    "switch-overs-far-out": beside(FAR),
    "entries": beside(np.arange(-2 * STEPS, 0) * STEP),
    "spread": -np.random.default_rng(1).exponential(100.0, 3000).clip(0, -LOWEST),
    "near-0": -np.exp2(-np.arange(0.0, 1000.0)),
    "end": beside(np.array([LOWEST + 1e-9, -708.39, -720.0])),
}


@pytest.mark.parametrize("name", EXPONENTIALS)
def test_exp_errs_by_no_more_than_its_bound(name: str) -> None:
    numbers = EXPONENTIALS[name]
    numbers = with_lower_parts(numbers[(numbers < 0) & (numbers >= LOWEST)])
    assert off(np.exp(numbers), [MP.exp(each) for each in reals(numbers)]) <= FUNCTION


def test_exp_ends_where_it_says() -> None:
    for x, least in ((LOWEST, 0.0), (np.nextafter(LOWEST, -np.inf), TINY), (-1e308, TINY)):
        found = np.exp(DoubleDouble(np.array([x])))
        assert found.hi[0] == (TINY if least else found.hi[0])
        assert 0 < found.hi[0] <= 2.0**-1068
    assert np.exp(DoubleDouble(np.array([-np.inf]))).hi[0] == 0.0
    assert np.isnan(np.exp(DoubleDouble(np.array([np.nan]))).hi[0])
    one = np.exp(DoubleDouble(np.array([0.0])))
    assert (one.hi[0], one.lo[0]) == (1.0, 0.0)


CENTRES = np.arange(TABLE // 2, 2 * TABLE) / TABLE
BETWEEN = (np.arange(TABLE // 2, 2 * TABLE) + 0.5) / TABLE
ROOTS = np.array([np.sqrt(0.5), np.sqrt(2.0), 1.0, 0.5, 2.0])
LOGARITHMS = {
    "centres": beside(CENTRES),
    "switch-overs": beside(BETWEEN),
    "roots": beside(ROOTS),
    "near-1": np.concatenate(
        [1.0 + 2.0 ** -np.arange(1.0, 53.0), 1.0 - 2.0 ** -np.arange(2.0, 54)]
    ),
    "spread": np.exp2(np.random.default_rng(2).uniform(-900, 500, 3000)),
    "ordinary": np.random.default_rng(3).lognormal(0, 2, 3000),
}


@pytest.mark.parametrize("name", LOGARITHMS)
def test_log_errs_by_no_more_than_its_bound(name: str) -> None:
    numbers = with_lower_parts(LOGARITHMS[name])
    assert off(np.log(numbers), [MP.log(each) for each in reals(numbers)]) <= FUNCTION


@pytest.mark.parametrize(
    "numbers",
    [
        pytest.param(np.exp2(-np.arange(0.0, 900.0)), id="small"),
        pytest.param(-np.exp2(-np.arange(1.0, 900.0)), id="small-below-0"),
        pytest.param(beside(BETWEEN - 1.0), id="switch-overs"),
        pytest.param(beside(CENTRES - 1.0 + 2.0**-60), id="centres"),
        pytest.param(np.exp2(np.arange(0.0, 500.0)), id="large"),
        pytest.param(np.random.default_rng(4).uniform(-0.99, 3.0, 3000), id="ordinary"),
    ],
)
def test_log1p_errs_by_no_more_than_its_bound_times_the_condition(numbers: np.ndarray) -> None:
    """1 + x is rounded: next to −1 that costs 1/|(1 + x) log(1 + x)|, elsewhere almost nothing."""
    given = with_lower_parts(numbers)
    found = np.log1p(given)
    for hi, lo, x in zip(found.hi.tolist(), found.lo.tolist(), reals(given), strict=True):
        truth = MP.log1p(x)
        allowed = MP.fabs(truth) * FUNCTION + 4 * MP.mpf(2) ** -106
        if MP.fabs(x) < MP.mpf(1) / (2 * TABLE):
            allowed = MP.fabs(truth) * FUNCTION
        assert MP.fabs(real(hi, lo) - truth) <= allowed, x


def test_infinities_stay_infinities() -> None:
    infinite = DoubleDouble(np.array([np.inf, -np.inf, np.inf]))
    other = DoubleDouble(np.array([1.0, 2.0, 3.0]), np.array([2.0**-60, 0.0, 0.0]))
    with np.errstate(invalid="ignore"):
        found_ones = (infinite + other, infinite - other, infinite + 1.0, infinite * other)
    for found in found_ones:
        np.testing.assert_array_equal(found.hi, infinite.hi)
        assert not found.lo.any()


@pytest.mark.parametrize(
    ("numbers", "truths"),
    [((0.0, np.inf, np.nan, -1.0), (-np.inf, np.inf, np.nan, np.nan))],
)
def test_log_of_what_has_none(numbers: tuple[float, ...], truths: tuple[float, ...]) -> None:
    found = np.log(DoubleDouble(np.array(numbers)))
    np.testing.assert_array_equal(found.hi, truths)
    assert not found.lo.any()


@pytest.mark.parametrize("function", [np.exp, np.log])
def test_blocks_and_orders_of_memory_change_nothing(function: np.ufunc) -> None:
    numbers = np.random.default_rng(5).lognormal(0, 1, (3, CHUNK + 7))
    numbers = -numbers if function is np.exp else numbers
    found = function(DoubleDouble(numbers))
    by_columns = function(DoubleDouble(np.asfortranarray(numbers)))
    single = [function(DoubleDouble(numbers[:, at])) for at in (0, CHUNK - 1, CHUNK, -1)]
    np.testing.assert_array_equal(found.hi, by_columns.hi)
    np.testing.assert_array_equal(found.lo, by_columns.lo)
    for at, each in zip((0, CHUNK - 1, CHUNK, -1), single, strict=True):
        np.testing.assert_array_equal(found.hi[:, at], each.hi)
        np.testing.assert_array_equal(found.lo[:, at], each.lo)


# The terms of the bounds, by exact arithmetic


def test_the_first_two_parts_of_the_step_times_any_n_are_exact() -> None:
    _, first, second, third, *_ = double_double._exp_constants()
    most = round(-LOWEST / STEP) + 1
    for part in (first, second):
        assert Fraction(part * most) == Fraction(part) * most
        assert Fraction(part).numerator.bit_length() + most.bit_length() <= 53
    sum_of = MP.mpf(first) + MP.mpf(second) + MP.mpf(third)
    assert second > 2.0**-40 * first  # so that x − n·first is exact next to half a step
    assert MP.fabs(sum_of - MP.log(2) / STEPS) * most < MP.mpf(2) ** -100


def test_the_table_of_exp_is_right_to_76_bits_and_its_heads_have_26() -> None:
    *_, heads, tails = double_double._exp_constants()
    for j, (head, tail) in enumerate(zip(heads.tolist(), tails.tolist(), strict=True)):
        truth = MP.mpf(2) ** (MP.mpf(j) / STEPS)
        assert MP.fabs(real(head, tail) - truth) < truth * MP.mpf(2) ** -78
        assert head * 2**26 == int(head * 2**26)
    assert len(heads) == STEPS


def test_the_table_of_log_is_right_to_a_hundred_bits() -> None:
    first, ln2, ln2_low, table, low = double_double._log_constants()
    for i, pair in enumerate(zip(table.tolist(), low.tolist(), strict=True), first):
        truth = MP.log(MP.mpf(i) / TABLE)
        assert MP.fabs(real(*pair) - truth) <= MP.fabs(truth) * MP.mpf(2) ** -105
    assert MP.fabs(real(ln2, ln2_low) - MP.log(2)) < MP.mpf(2) ** -94
    assert Fraction(ln2 * 1074) == Fraction(ln2) * 1074


def test_what_the_series_leave_out_is_far_below_the_bound() -> None:
    """exp: from r⁶/6! on, |r| ≤ 2^-10.5. 2 atanh: from 2 s⁹/9 on, |s| ≤ 2^-8.9."""
    r, s = MP.mpf(2) ** MP.mpf("-10.5"), MP.mpf(2) ** MP.mpf("-8.9")
    assert MP.log(2) / STEPS / 2 < r
    assert MP.mpf(1) / (2 * TABLE) / (2 * MP.sqrt(0.5) - MP.mpf(1) / (2 * TABLE)) < s
    assert MP.exp(r) - sum(r**k / MP.factorial(k) for k in range(6)) < MP.mpf(2) ** -72
    series = sum(2 * s**k / k for k in range(1, 9, 2))
    assert (2 * MP.atanh(s) - series) / (2 * s) < MP.mpf(2) ** -74


def test_an_exact_result_has_no_radius_and_one_that_may_have_underflowed_has_one() -> None:
    numbers = DOUBLE_DOUBLE.exact(np.array([3.0, 2.0**-899, 2.0**-901, 0.0]))
    assert numbers.enclosures().radius.tolist()[:2] == [0.0, 0.0]
    assert numbers.enclosures().radius[2] > 0.0
    assert numbers.enclosures().radius[3] == 0.0
    rounded = (numbers / 3.0).enclosures()
    sizes = np.ldexp(rounded.radius, rounded.exponent)
    assert (sizes[:3] >= FLOOR).all()


# What all of it assumes of the process

FE_UPWARD = {"x86_64": 0x800, "aarch64": 0x400000}
ROUNDED_UP = """
import ctypes
import numpy as np
from xentcheck import audit
from xentcheck.reference.balls import rounds_to_nearest

assert rounds_to_nearest()
def loss(x):
    return np.log1p(np.exp(-abs(x))) + np.maximum(x, 0)
assert ctypes.CDLL("libm.so.6").fesetround({mode}) == 0
assert not rounds_to_nearest()
report = audit(loss, "softplus", inputs=np.array([0.5]), sanity_check=False)
print(*report.uncertified)
"""


@pytest.mark.skipif(
    platform.system() != "Linux" or platform.machine() not in FE_UPWARD,
    reason="the rounding mode is changed by a call of glibc",
)
def test_a_process_that_rounds_upwards_certifies_nothing() -> None:
    code = ROUNDED_UP.format(mode=FE_UPWARD[platform.machine()])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "internal error: this process does not round to nearest" in done.stdout
