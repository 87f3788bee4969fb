"""Balls contain the real numbers they stand for: in one operation, a chain, a long sum."""

from fractions import Fraction
from functools import partial

import mpmath
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from xentcheck.reference.balls import BINARY128, CHUNK, FLOAT64, FUNCTION_ULPS, Ball
from xentcheck.reference.enclosures import FLOOR

MP = mpmath.MPContext()
MP.prec = 400

needs_binary128 = pytest.mark.skipif(
    BINARY128 is None, reason="numpy-quaddtype is not installed: there is no binary128"
)
ARITHMETICS = [
    pytest.param(FLOAT64, id="float64"),
    pytest.param(BINARY128, id="binary128", marks=needs_binary128),
]
WIDEST_INPUT = {"float64": 150, "binary128": 1080}  # log2 of what an input format holds
NOTHING = {"float64": Fraction(FLOOR), "binary128": Fraction(1, 2**13000)}
LEAST_NORMAL = {"float64": -1022, "binary128": -16382}

real = np.vectorize(lambda fraction: MP.mpf(fraction.numerator) / fraction.denominator, ["O"])


def exactly(numbers):
    """Midpoints as exact fractions, whatever their format; binary128 is read from its bits."""
    numbers = np.asarray(numbers)
    result = np.empty(numbers.shape, dtype=object)
    if numbers.dtype == np.float64:
        result[...] = np.vectorize(Fraction, ["O"])(numbers) if numbers.size else result
        return result
    pattern = np.ascontiguousarray(numbers).tobytes()
    flat = [_fraction(pattern[at : at + 16]) for at in range(0, len(pattern), 16)]
    return np.array(flat, dtype=object).reshape(numbers.shape)


def _fraction(pattern):
    """IEEE 754 binary128, little-endian: a sign, 15 bits of exponent, 112 of significand."""
    bits = int.from_bytes(pattern, "little")
    exponent, significand = bits >> 112 & 0x7FFF, bits & (1 << 112) - 1
    assert exponent != 0x7FFF, "not a finite number"
    if exponent:
        significand += 1 << 112
    sign = -1 if bits >> 127 else 1
    return sign * significand * Fraction(2) ** (max(exponent, 1) - 16383 - 112)


def contains(ball, truth, *, floor=Fraction(0)):
    """Assert that ``|truth − midpoint| ≤ relative·|midpoint| + absolute + floor``, everywhere."""
    middle, bound = exactly(ball.midpoint), Fraction(ball.relative)
    spread = None
    if ball.absolute is not None:
        spread = np.broadcast_to(exactly(ball.absolute), middle.shape)
    truth = np.broadcast_to(truth, middle.shape)
    for at in np.ndindex(middle.shape):
        radius = bound * abs(middle[at]) + floor + (0 if spread is None else spread[at])
        if isinstance(truth[at], Fraction):
            assert abs(truth[at] - middle[at]) <= radius, (at, truth[at], middle[at])
        else:
            off = MP.fabs(truth[at] - real(middle[at]))
            assert off <= real(radius) * (1 + MP.mpf(2) ** -60), (at, truth[at], middle[at])


def signed(numbers):
    """What is known of the sign of numbers, as forms say it."""
    if (numbers >= 0).all():
        return 1
    return -1 if (numbers <= 0).all() else 0


# One random expression: a list of instructions on a growing list of balls and their real numbers.


def drawn(style, rng, shape, widest):
    """Exact inputs of one kind, all of them in the range of an input format."""
    sign = rng.choice([-1.0, 1.0], shape)
    if style == "ordinary":
        return rng.normal(size=shape)
    if style == "wide":
        return sign * np.exp2(rng.uniform(-widest + 1, widest - 1, shape))
    if style == "positive":
        return np.exp2(rng.uniform(-widest + 1, widest - 1, shape))
    if style == "probabilities":
        return rng.uniform(size=shape)
    if style == "powers of two":
        return sign * 2.0 ** rng.integers(-20, 20, shape)
    if style == "with zeros":
        return rng.normal(size=shape) * rng.integers(0, 2, shape)
    return -rng.exponential(300.0, shape)  # exponents from everyday to beyond exp's underflow


STYLES = (
    "ordinary",
    "wide",
    "positive",
    "probabilities",
    "powers of two",
    "with zeros",
    "exponents",
)
OPERATIONS = (
    "add",
    "subtract",
    "multiply",
    "divide",
    "negate",
    "exp",
    "log",
    "log1p",
    "power",
    "total",
    "nearly cancel",
    "python float",
)
INSTRUCTIONS = st.tuples(
    st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30), st.integers(0, 7)
)


def moderate(truth, bits=200):
    """Whether nonzero numbers are far from where products underflow or overflow."""
    ends = MP.mpf(2) ** -bits, MP.mpf(2) ** bits
    return all(each == 0 or ends[0] < abs(each) < ends[1] for each in np.asarray(truth).flat)


def positive(truth):
    return all(each > 0 for each in np.asarray(truth).flat)


def applied(instruction, balls, truths):
    """The next ball and its real numbers; None where the operation does not take these."""
    name, first, second, choice = instruction
    one, x = balls[first % len(balls)], truths[first % len(truths)]
    other, y = balls[second % len(balls)], truths[second % len(truths)]
    relative = one.absolute is None
    if name == "negate":
        return -one, -x
    if name == "python float":
        number = (1.0, -0.5, 3.0, 0.1)[choice % 4]
        two = MP.mpf(number)
        if choice < 4:
            return one + number, x + two
        return (number - one, two - x) if moderate(x) else None
    if name in {"add", "nearly cancel"}:
        return one + other, x + y
    if name == "subtract":
        return one - other, x - y
    if name == "multiply":
        return (one * other, x * y) if moderate(x) and moderate(y) else None
    if name == "divide":
        known = other.absolute is None and not any(each == 0 for each in np.asarray(y).flat)
        return (one / other, x / y) if known and moderate(x) and moderate(y) else None
    if name == "exp":
        return (one.exp(), np.vectorize(MP.exp, ["O"])(x)) if one.sign < 0 else None
    if name == "log":
        ready = relative and positive(x) and moderate(x, 2000)
        return (one.log(), np.vectorize(MP.log, ["O"])(x)) if ready else None
    if name == "log1p":
        ready = relative and one.sign > 0
        return (one.log1p(), np.vectorize(MP.log1p, ["O"])(x)) if ready else None
    if name == "power":
        exponent = (0.0, 0.1, 0.5, 1.0, 2.0, 2.5)[choice % 6]
        if not (relative and positive(x) and moderate(x)):
            return None
        return one.power(exponent), np.vectorize(lambda each: each**exponent, ["O"])(x)
    if one.midpoint.ndim < 2:
        return None
    total = np.array([MP.fsum(row) for row in x], dtype=object)[:, np.newaxis]
    return one.total()[:, np.newaxis], total


def evaluated(arithmetic, instructions, styles, seed, terms):
    """Every ball of a program that has bounds that mean something, with its real numbers."""
    rng = np.random.default_rng(seed)
    balls, truths = [], []
    widest = 45 if arithmetic is FLOAT64 else 200
    for style in styles:
        x = drawn(style, rng, (2, terms), widest)
        balls.append(arithmetic.exact(x, signed(x)))
        truths.append(real(exactly(x)))
    for instruction in instructions:
        if instruction[0] == "nearly cancel":
            # a number minus its neighbour: what is left is as large as a rounding
            near = -np.nextafter(balls[0].midpoint.astype(np.float64), np.inf)
            balls.append(arithmetic.exact(near, signed(near)))
            truths.append(real(exactly(near)))
            continue
        found = applied(instruction, balls, truths)
        if found is None or not np.isfinite(found[0].midpoint).all():
            continue
        balls.append(found[0])
        truths.append(found[1])
    return list(zip(balls, truths, strict=True))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(INSTRUCTIONS, min_size=1, max_size=7),
    st.lists(st.sampled_from(STYLES), min_size=1, max_size=3),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 3, 7]),
)
def test_a_random_expression_contains_its_real_value(arithmetic, instructions, styles, seed, terms):
    with np.errstate(all="ignore"):
        for ball, truth in evaluated(arithmetic, instructions, styles, seed, terms):
            contains(ball, truth, floor=NOTHING[arithmetic.name])


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(INSTRUCTIONS, min_size=1, max_size=14),
    st.lists(st.sampled_from(STYLES), min_size=1, max_size=4),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 5, 40, 127, 128, 129, 300]),
)
def test_random_expressions_of_many_terms_contain_their_real_value(
    arithmetic, instructions, styles, seed, terms
):
    with np.errstate(all="ignore"):
        for ball, truth in evaluated(arithmetic, instructions, styles, seed, terms):
            contains(ball, truth, floor=NOTHING[arithmetic.name])


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
@pytest.mark.parametrize("signs", [(1, 1), (-1, -1), (1, -1), (0, 0)])
def test_sums_and_products_of_exact_numbers_are_exact_fractions_within_their_bounds(
    arithmetic, signs
):
    rng = np.random.default_rng(5)
    widest = WIDEST_INPUT[arithmetic.name]
    for size in (2, widest):
        x, y = (np.exp2(rng.uniform(max(-size, -1070), min(size, 1020), 400)) for _ in range(2))
        x, y = (
            each * (sign or rng.choice([-1.0, 1.0], 400))
            for each, sign in zip((x, y), signs, strict=True)
        )
        one, other = arithmetic.exact(x, signs[0]), arithmetic.exact(y, signs[1])
        p, q = exactly(x), exactly(y)
        contains(one + other, p + q)
        contains(one - other, p - q)
        contains(one * other, p * q)
        contains(one / other, p / q)
        contains((one + other) * other, (p + q) * q)
        contains((one - other) * (one + other), (p - q) * (p + q))
        contains((one - other) / (one * other), (p - q) / (p * q))


def test_a_bound_is_relative_where_signs_are_known_and_absolute_where_they_are_not():
    third = FLOAT64.exact([1.0, 1.0], sign=1) / 3.0
    assert (third + third).absolute is None
    assert (third - third).absolute is not None
    unknown = third.within(third.relative)
    unknown.sign = 0
    assert (unknown + third).absolute is not None


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_what_is_uncertain_of_an_exponent_is_magnified_by_its_size(arithmetic):
    """A third of −2000 is known to u of itself: 700 u of the exponential, and 16 u are its own."""
    x = -np.random.default_rng(6).uniform(0, 2000, 2000)
    power = (arithmetic.exact(x, sign=-1) / 3.0).exp()
    contains(power, np.vectorize(lambda each: MP.exp(MP.mpf(each) / 3), ["O"])(x))


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_function_of_a_wide_ball_contains_that_of_either_end(arithmetic, side):
    """Of balls that are known to 2^-16 of themselves, far wider than any rounding."""
    width = Fraction(1, 2**16)
    x = np.random.default_rng(6).uniform(0.01, 600.0, 200)
    ball = arithmetic.exact(x, sign=1).within(float(width))
    ends = real(exactly(x) * (1 + side * width))
    for exponent in (0.5, 1.0, 2.0, 7.25):
        contains(ball.power(exponent), np.array([MP.power(each, exponent) for each in ends]))
    contains(ball.log(), np.array([MP.log(each) for each in ends]))
    contains(ball.log1p(), np.array([MP.log1p(each) for each in ends]))
    contains((-ball).exp(), np.array([MP.exp(-each) for each in ends]))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_difference_of_exact_numbers_has_no_known_sign(arithmetic):
    """Added to a positive number it may cancel, so the bound has to be absolute."""
    rng = np.random.default_rng(6)
    x, y = rng.uniform(0, 1, 300), rng.uniform(1, 2, 300)
    gap = (exactly(x) - exactly(y)) * -3
    near = np.array([float(each) for each in gap])
    difference = arithmetic.exact(x, 1) - arithmetic.exact(y, 1)
    third = arithmetic.exact(near, 1) / 3.0
    contains(difference + third, exactly(x) - exactly(y) + exactly(near) / 3)


# What is assumed of the elementary functions at hand.


def spread(rng, count, low, high):
    """Numbers with all exponents from 2^low to 2^high."""
    return np.exp2(rng.uniform(low, high, count))


def near(rng, count, centre, steps=1 << 40):
    """Numbers so near to a centre that float64 tells them apart by few steps."""
    return centre * (1.0 + np.ldexp(rng.integers(-steps, steps, count).astype(float), -52))


def exponents(rng, count, widest):
    return -np.concatenate(
        [
            spread(rng, count, -1070, np.log2(widest) - 1e-9),
            rng.uniform(0, 50, count),
            rng.uniform(0, widest, count),
            widest - rng.uniform(0, 60, count),  # where results become subnormal, and 0
            [0.0, 2.0**-1074, widest],
        ]
    )


def positives(rng, count, _widest):
    return np.concatenate(
        [
            spread(rng, count, -1074, 1023),
            near(rng, count, 1.0),
            near(rng, count, 1.0, 1 << 12),
            near(rng, count, 2.0),
            rng.uniform(0.5, 2.0, count),
            [1.0, 2.0**-1074, np.finfo(float).max],
        ]
    )


def increments(rng, count, _widest):
    """Arguments of log1p: x ≥ 0 of all sizes, and −1 < x < 0 as forms have them."""
    below = -np.concatenate([spread(rng, count, -1022, -1e-9), rng.uniform(0, 1, count)])
    beside_one = -(1.0 - spread(rng, count, -53, -1))
    return np.concatenate([[0.0], spread(rng, 2 * count, -1022, 1000), below, beside_one])


def shares(rng, count, _widest):
    return np.concatenate(
        [
            spread(rng, count, -400, 0),
            rng.uniform(0, 1, count),
            near(rng, count, 1.0),
            spread(rng, count, 0, 10),
        ]
    )


def power_of(exponent, x):
    return np.power(x, exponent)


def real_power(exponent, x):
    return MP.mpf(x) ** exponent


FUNCTIONS = {
    "exp": (np.exp, MP.exp, exponents),
    "log": (np.log, MP.log, positives),
    "log1p": (np.log1p, MP.log1p, increments),
    **{
        f"power {exponent}": (
            partial(power_of, exponent),
            partial(real_power, exponent),
            shares,
        )
        for exponent in (0.1, 0.5, 2.0, 2.5, 5.0)
    },
}


def worst_ulps(arithmetic, name, count, seed=11):
    """The largest relative error of a function in units of 2u, away from its underflow."""
    at_hand, truth, arguments = FUNCTIONS[name]
    with np.errstate(all="ignore"):
        x = arguments(np.random.default_rng(seed), count, arithmetic.widest)
        found = exactly(at_hand(x.astype(arithmetic.dtype)))
    least = MP.mpf(2) ** LEAST_NORMAL[arithmetic.name]
    worst = MP.mpf(0)
    for argument, result in zip(x.tolist(), found, strict=True):
        want = truth(MP.mpf(argument))
        if abs(want) < least:
            assert abs(real(result)) <= least, argument  # counts as 0 either way
            continue
        worst = max(worst, abs(real(result) / want - 1))
    return float(worst / (2 * arithmetic.unit))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_elementary_functions_err_by_less_than_half_of_what_is_assumed(arithmetic, name):
    assert worst_ulps(arithmetic, name, 500) <= FUNCTION_ULPS / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_elementary_functions_err_as_little_on_tens_of_thousands_of_points(arithmetic, name):
    assert worst_ulps(arithmetic, name, 5_000, seed=3) <= FUNCTION_ULPS / 2


# Sums.


def exact_sum(numbers):
    """The sum of float64 numbers, as a fraction."""
    mantissas, exponents = np.frexp(numbers)
    integers = (mantissas * 2.0**53).astype(np.int64).tolist()
    least = int(exponents.min())
    shifts = (exponents - least).tolist()
    whole = sum(each << shift for each, shift in zip(integers, shifts, strict=True))
    return whole * Fraction(2) ** (least - 53)


def in_order(order, numbers, rng):
    """Numbers in an order that a summation may find hard."""
    if order == "rising":
        return numbers[np.argsort(np.abs(numbers))]
    if order == "falling":
        return numbers[np.argsort(-np.abs(numbers))]
    if order == "cancelling":
        # large ones come and go again, what is small is added in between
        half = numbers[: len(numbers) // 2]
        return np.concatenate([1e6 * half, numbers, -1e6 * half[::-1]])
    if order == "one and many":
        return np.concatenate([[1.0], np.full(len(numbers), 2.0**-53), -numbers[:1]])
    return rng.permutation(numbers)


ORDERS = ("rising", "falling", "cancelling", "one and many", "shuffled")
COUNTS = (1, 2, 127, 128, 129, 300, 16385)


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("known", [True, False], ids=["one sign", "mixed signs"])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_sums_contain_the_exact_sum_in_any_order_and_layout(arithmetic, known, order, layout):
    rng = np.random.default_rng(7)
    for count in COUNTS:
        rows = [
            in_order(order, np.exp2(rng.uniform(-30, 30, count)) * sign, rng)
            for sign in (1.0, 1.0 if known else rng.choice([-1.0, 1.0], count))
        ]
        terms = np.asarray(np.stack(rows), order=layout)
        if known:
            terms = np.abs(terms)
        plain = arithmetic.exact(terms, sign=int(known))
        exact = np.array([exact_sum(row) for row in terms], dtype=object)
        contains(plain.total(), exact)
        contains((plain / 3.0).total(), exact / 3)  # of inexact numbers


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_sums_of_a_hundred_thousand_terms_contain_the_exact_sum(arithmetic, layout):
    rng = np.random.default_rng(8)
    for order in ORDERS:
        numbers = rng.normal(size=100_000) * np.exp2(rng.uniform(-20, 20, 100_000))
        terms = np.asarray(in_order(order, numbers, rng)[np.newaxis], order=layout)
        for ball, sign in ((arithmetic.exact(np.abs(terms), 1), 1), (arithmetic.exact(terms), 0)):
            want = np.abs(terms[0]) if sign else terms[0]
            contains(ball.total(), np.array([exact_sum(want)], dtype=object))


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_long_sum_of_one_sign_is_known_by_chunks_and_not_by_terms(arithmetic):
    terms = np.ones((1, 1 << 20))
    total = arithmetic.exact(terms, sign=1).total()
    assert total.absolute is None
    assert total.relative < 4 * CHUNK * arithmetic.unit


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_an_empty_sum_is_zero(arithmetic):
    total = arithmetic.exact(np.zeros((3, 0)), sign=1).total()
    assert total.midpoint.shape == (3,)
    contains(total, np.array([Fraction(0)] * 3, dtype=object))


def test_absolute_bounds_add_up_in_a_sum():
    terms = np.array([[1.0, -2.0, 3.0]])
    ball = Ball(FLOAT64, terms, 0.0, np.full((1, 3), 0.25)).total()
    for shift in (-0.75, 0.75):
        contains(ball, np.array([Fraction(2) + Fraction(shift)], dtype=object))
    assert float(ball.radius[0]) < 0.76


# Underflow, and the way out.


def bounds(enclosures, at):
    """The ends of an enclosure as exact fractions."""
    unit = Fraction(2) ** int(enclosures.exponent[at])
    middle = Fraction(float(enclosures.hi[at])) + Fraction(float(enclosures.lo[at]))
    radius = Fraction(float(enclosures.radius[at]))
    return (middle - radius) * unit, (middle + radius) * unit


def test_results_below_the_range_of_float64_are_covered_by_the_floor():
    x = np.array([-700.0, -740.0, -745.0, -746.0, -1e4])
    with np.errstate(all="ignore"):
        power = FLOAT64.exact(x, sign=-1).exp()
        for factor in (1.0, 2.0**150, 2.0**-150):
            enclosures = (power * factor).enclosures()
            for at in range(len(x)):
                lower, upper = bounds(enclosures, at)
                truth = MP.exp(x[at]) * MP.mpf(factor)
                assert real(lower) <= truth <= real(upper)


@needs_binary128
def test_results_below_the_range_of_binary128_are_covered_by_the_floor():
    x = np.array([-11300.0, -11380.0, -11399.0, -1e5])
    with np.errstate(all="ignore"):
        enclosures = BINARY128.exact(x, sign=-1).exp().enclosures()
    for at in range(len(x)):
        lower, upper = bounds(enclosures, at)
        assert real(lower) <= MP.exp(x[at]) <= real(upper)
        assert upper < Fraction(1, 2**1100)


def far_numbers(rng, exponents):
    """Binary128 numbers with 113 bits and exponents that float64 does not have."""
    middle = BINARY128.exact(rng.uniform(1.0, 2.0, len(exponents)) * rng.choice([-1.0, 1.0]))
    middle = (middle / 3.0).midpoint
    for step in (1000, -1000):
        power = BINARY128.exact(2.0**step).midpoint
        count = np.maximum(exponents * np.sign(step), 0) // 1000
        for taken in range(int(count.max(initial=0))):
            middle = np.where(count > taken, middle * power, middle)
    rest = np.sign(exponents) * (np.abs(exponents) % 1000)
    return middle * BINARY128.exact(np.exp2(rest.astype(float))).midpoint


def assert_normalised(enclosures):
    finite = np.isfinite(enclosures.hi)
    plain = finite & (enclosures.hi != 0)
    assert (np.abs(enclosures.hi[plain]) >= 1).all()
    assert (np.abs(enclosures.hi[plain]) < 2).all()
    assert (enclosures.lo[finite] * enclosures.hi[finite] >= 0).all()
    assert (np.abs(enclosures.lo[plain]) <= 2.0**-52).all()
    assert (enclosures.radius >= 0).all()


@needs_binary128
@pytest.mark.parametrize("relative", [0.0, 2.0**-98, 2.0**-30])
def test_binary128_leaves_as_two_numbers_an_exponent_and_a_radius(relative):
    rng = np.random.default_rng(9)
    exponents = rng.integers(-15_000, 15_001, 300)
    exponents[:8] = [-15_000, 15_000, -1074, -1022, 1023, 0, -900, 1000]
    with np.errstate(all="ignore"):
        middle = far_numbers(rng, exponents)
        enclosures = Ball(BINARY128, middle, relative).enclosures()
    assert_normalised(enclosures)
    assert np.isfinite(enclosures.hi).all()
    for at, middle_at in enumerate(exactly(middle)):
        lower, upper = bounds(enclosures, at)
        radius = Fraction(relative) * abs(middle_at)
        assert lower <= middle_at - radius, exponents[at]
        assert upper >= middle_at + radius, exponents[at]
        if exponents[at] > -2000:
            assert upper - lower <= 4 * radius + abs(middle_at) / 2**100


@needs_binary128
def test_binary128_that_rounds_up_to_a_float64_keeps_a_second_part_of_its_sign():
    beside = BINARY128.exact([2.0, -2.0, 1.0, 2.0**-1000]).midpoint
    tiny = BINARY128.exact([2.0**-100, -(2.0**-100), 2.0**-110, 2.0**-1074]).midpoint
    for middle in (beside - tiny, beside + tiny):
        enclosures = Ball(BINARY128, middle).enclosures()
        assert_normalised(enclosures)
        for at, middle_at in enumerate(exactly(middle)):
            lower, upper = bounds(enclosures, at)
            assert lower <= middle_at <= upper


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_what_is_not_finite_leaves_as_it_is(arithmetic):
    special = arithmetic.exact([np.nan, np.inf, -np.inf, 0.0]).enclosures()
    assert np.isnan(special.hi[0])
    assert special.hi[1:].tolist() == [np.inf, -np.inf, 0.0]
    assert special.lo.tolist() == [0.0] * 4


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_what_is_overwritten_brings_its_bound_along(arithmetic):
    def below_one():
        ball = Ball(arithmetic, arithmetic.zeros((3,)) + 0.5, 2.0**-50)
        ball.below_one = True
        return ball

    for exact, still in (
        (0.25, True),
        (np.nan, True),
        (-np.inf, True),
        (1.0, False),
        (-1.0, False),
    ):
        ball = below_one()
        ball.overwrite(np.array([False, True, False]), exact)
        assert ball.below_one is still
        assert np.array_equal(ball.midpoint.astype(np.float64), [0.5, exact, 0.5], equal_nan=True)

    ball, source = below_one(), Ball(arithmetic, arithmetic.zeros((1,)) + 0.75, 2.0**-40)
    ball.overwrite(np.array([1]), source)
    assert (ball.relative, ball.absolute, ball.below_one) == (2.0**-40, None, False)

    source.absolute = arithmetic.zeros((1,)) + 0.125
    source.below_one = True
    ball = below_one()
    ball.overwrite(np.array([2]), source)
    assert ball.below_one
    assert ball.absolute.astype(np.float64).tolist() == [0.0, 0.0, 0.125]
    ball.overwrite(np.array([2]), 0.0)
    assert ball.absolute.astype(np.float64).tolist() == [0.0, 0.0, 0.0]
