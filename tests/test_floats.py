"""Formats: every pattern of the 8- and 16-bit ones, and properties of the wider ones.

Expected numbers come from `decoded`, which reads a bit pattern by the text of the standards, from
Python's own correctly rounded arithmetic (int division, `struct`), or from NumPy.
"""

import math
import struct
from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from xentcheck import floats


class Encoding(NamedTuple):
    """Widths of the fields of a pattern, as the standards give them."""

    exponent_bits: int
    mantissa_bits: int
    infinities: bool

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits


ENCODINGS = {
    "float16": Encoding(5, 10, infinities=True),
    "bfloat16": Encoding(8, 7, infinities=True),
    "float32": Encoding(8, 23, infinities=True),
    "float64": Encoding(11, 52, infinities=True),
    "float8_e4m3fn": Encoding(4, 3, infinities=False),
    "float8_e5m2": Encoding(5, 2, infinities=True),
}
NARROW = [name for name, encoding in ENCODINGS.items() if encoding.bits <= 16]
WIDE = ["float32", "float64"]

each_format = pytest.mark.parametrize("name", ENCODINGS)
each_narrow = pytest.mark.parametrize("name", NARROW)
each_wide = pytest.mark.parametrize("name", WIDE)


def decoded(pattern: int, name: str) -> Fraction | None:
    """The magnitude of a pattern without its sign bit; None for infinities and NaN."""
    encoding = ENCODINGS[name]
    field, mantissa = divmod(pattern, 1 << encoding.mantissa_bits)
    all_ones = (1 << encoding.exponent_bits) - 1
    if field == all_ones and (encoding.infinities or mantissa == 7):
        return None
    bias = (1 << (encoding.exponent_bits - 1)) - 1
    significand = mantissa + (1 << encoding.mantissa_bits if field else 0)
    return significand * Fraction(2) ** (max(field, 1) - bias - encoding.mantissa_bits)


@cache
def magnitudes(name: str) -> list[Fraction]:
    """All finite magnitudes of a narrow format; the index is the pattern."""
    patterns = range(1 << (ENCODINGS[name].bits - 1))
    return [
        value for value in (decoded(pattern, name) for pattern in patterns) if value is not None
    ]


@cache
def midpoints(name: str) -> list[Fraction]:
    """Between each finite magnitude and the next, the last one half an ulp beyond max."""
    finite = magnitudes(name)
    gaps = [above - below for below, above in pairwise(finite)]
    return [value + gap / 2 for value, gap in zip(finite, [*gaps, gaps[-1]], strict=True)]


def from_patterns(patterns: npt.ArrayLike, name: str) -> npt.NDArray[Any]:
    unsigned = np.asarray(patterns).astype(f"uint{ENCODINGS[name].bits}")
    return unsigned.view(floats.FORMATS[name].dtype)


def patterns_of(array: npt.ArrayLike, name: str) -> npt.NDArray[np.int64]:
    """The patterns of a narrow array, unsigned; -1 for NaN, whose bits say nothing."""
    values = np.asarray(array)
    assert values.dtype == floats.FORMATS[name].dtype
    patterns = values.view(f"uint{ENCODINGS[name].bits}").astype(np.int64)
    return np.where(patterns % sign_bit(name) > last_pattern(name), -1, patterns)


def sign_bit(name: str) -> int:
    return 1 << (ENCODINGS[name].bits - 1)


def last_pattern(name: str) -> int:
    """The pattern of infinity, or of the largest number where there is none."""
    encoding = ENCODINGS[name]
    return sign_bit(name) - (1 << encoding.mantissa_bits) if encoding.infinities else 0x7E


def signed_bits(value: float, name: str) -> int:
    """Sign and magnitude of a float32 or float64 as an integer, by `struct` alone."""
    letters = ("<d", "<Q") if name == "float64" else ("<f", "<I")
    (pattern,) = struct.unpack(letters[1], struct.pack(letters[0], value))
    magnitude = int(pattern) % sign_bit(name)
    return magnitude if pattern == magnitude else -magnitude


def scalars(name: str, *, infinities: bool = False) -> st.SearchStrategy[float]:
    double = name == "float64"
    return st.floats(width=64 if double else 32, allow_nan=False, allow_infinity=infinities)


def reals() -> st.SearchStrategy[Fraction]:
    """Reals of every size, among them many that lie on a midpoint of float32 or close to one."""
    near_ties = st.builds(
        lambda odd, exponent, tail, sign: (
            sign * (Fraction(odd) + tail) * Fraction(2) ** (exponent - 25)
        ),
        st.integers(0, 2**26),
        st.integers(-160, 140),
        st.sampled_from([0, Fraction(1, 2**80), -Fraction(1, 2**80), Fraction(1, 3)]),
        st.sampled_from([1, -1]),
    )
    scaled = st.builds(
        lambda value, exponent: value * Fraction(2) ** exponent,
        st.fractions(max_denominator=10**25),
        st.integers(-1150, 1100),
    )
    return st.one_of(near_ties, scaled)


# ---------------------------------------------------------------------------------------- limits


@each_format
def test_limits_are_those_of_the_encoding(name: str) -> None:
    encoding, known = ENCODINGS[name], floats.FORMATS[name]
    last = last_pattern(name) - (1 if encoding.infinities else 0)
    assert known.name == name
    assert known.bits == encoding.bits == 8 * known.dtype.itemsize
    assert known.precision == encoding.mantissa_bits + 1
    assert known.has_infinity == encoding.infinities
    assert Fraction(known.max) == decoded(last, name)
    assert decoded(last + 1, name) is None
    assert Fraction(2) ** known.max_exponent <= known.max < Fraction(2) ** (known.max_exponent + 1)
    assert Fraction(known.smallest_subnormal) == decoded(1, name)
    assert Fraction(known.smallest_normal) == decoded(1 << encoding.mantissa_bits, name)
    assert Fraction(known.smallest_normal) == Fraction(2) ** known.min_exponent
    one = ((1 << (encoding.exponent_bits - 1)) - 1) << encoding.mantissa_bits
    above_one = decoded(one + 1, name)
    assert decoded(one, name) == 1
    assert above_one is not None
    assert Fraction(known.epsilon) == above_one - 1


@each_format
def test_limits_agree_with_ml_dtypes(name: str) -> None:
    known = floats.FORMATS[name]
    info = ml_dtypes.finfo(known.dtype)  # type: ignore[no-untyped-call]
    assert (known.max, known.smallest_normal) == (float(info.max), float(info.smallest_normal))
    assert known.smallest_subnormal == float(info.smallest_subnormal)
    assert known.epsilon == float(info.eps)


@pytest.mark.parametrize(
    ("name", "largest"),
    [
        ("float16", 65504.0),
        ("bfloat16", float.fromhex("0x1.fep127")),
        ("float32", float.fromhex("0x1.fffffep127")),
        ("float64", float.fromhex("0x1.fffffffffffffp1023")),
        ("float8_e4m3fn", 448.0),
        ("float8_e5m2", 57344.0),
    ],
)
def test_max_is_the_published_number(name: str, largest: float) -> None:
    assert floats.FORMATS[name].max == largest


@each_format
def test_a_dtype_leads_to_its_format_in_any_byte_order(name: str) -> None:
    known = floats.FORMATS[name]
    assert floats.format_of(known.dtype) is known
    if name in ("float16", "float32", "float64"):
        assert floats.format_of(np.dtype(name).newbyteorder()) is known


@pytest.mark.parametrize(
    "dtype", [np.int64, np.complex64, np.longdouble, np.bool_, object, "V2", "U3", ml_dtypes.int4]
)
def test_other_dtypes_have_no_format(dtype: Any) -> None:
    assert floats.format_of(np.dtype(dtype)) is None
    with pytest.raises(TypeError, match="is none of float16, bfloat16"):
        floats.to_float64(np.zeros(2, dtype))


# ---------------------------------------------------------------------- conversion to and from


@each_narrow
def test_every_pattern_becomes_the_float64_it_encodes(name: str) -> None:
    finite = magnitudes(name)
    for sign, start in ((1, 0), (-1, sign_bit(name))):
        patterns = np.arange(start, start + sign_bit(name))
        numbers = floats.to_float64(from_patterns(patterns, name))
        assert numbers.dtype == np.float64
        assert [Fraction(x) for x in numbers[: len(finite)].tolist()] == [sign * v for v in finite]
        assert math.copysign(1.0, numbers[0]) == sign
        rest = numbers[len(finite) :]
        if ENCODINGS[name].infinities:
            assert rest[0] == sign * np.inf
            rest = rest[1:]
        assert rest.size
        assert np.isnan(rest).all()


@each_narrow
def test_every_pattern_survives_float64_and_back(name: str) -> None:
    every = from_patterns(np.arange(2 * sign_bit(name)), name)
    back = floats.from_float64(floats.to_float64(every), name)
    np.testing.assert_array_equal(patterns_of(back, name), patterns_of(every, name))


def test_a_signalling_nan_converts_without_a_warning() -> None:
    signalling = np.array([0x7F800001], np.uint32).view(np.float32)
    assert np.isnan(floats.to_float64(signalling)).all()
    assert np.isnan(floats.from_float64(signalling, "float16").astype(np.float64)).all()


@each_narrow
@pytest.mark.parametrize("sign", [1, -1])
def test_every_midpoint_goes_to_even_and_its_float64_neighbours_to_the_nearer_number(
    name: str, sign: int
) -> None:
    # Each midpoint is labelled with the pattern below it; above that of max comes what overflow
    # gives, infinity or NaN, so that the last midpoint is the overflow threshold.
    below = np.arange(len(magnitudes(name)))
    exact = midpoints(name)
    points = np.array([float(point) for point in exact])
    assert [Fraction(point) for point in points.tolist()] == exact
    for inputs, magnitude in (
        (points, below + below % 2),
        (np.nextafter(points, np.inf), below + 1),
        (np.nextafter(points, 0.0), below),
    ):
        expected = from_patterns(magnitude + (sign_bit(name) if sign < 0 else 0), name)
        actual = floats.from_float64(sign * inputs, name)
        np.testing.assert_array_equal(patterns_of(actual, name), patterns_of(expected, name))


@each_narrow
@pytest.mark.parametrize("sign", [1, -1])
def test_every_midpoint_as_an_exact_real_goes_to_even_and_a_hair_off_it_to_the_nearer_number(
    name: str, sign: int
) -> None:
    below = np.arange(len(magnitudes(name)))
    exact = midpoints(name)
    for hair, magnitude in (
        (Fraction(0), below + below % 2),
        (Fraction(1, 2**300), below + 1),
        (-Fraction(1, 2**300), below),
    ):
        expected = from_patterns(magnitude + (sign_bit(name) if sign < 0 else 0), name)
        actual = [floats.round_exact(sign * (point + hair), name) for point in exact]
        np.testing.assert_array_equal(
            patterns_of(np.array(actual, expected.dtype), name), patterns_of(expected, name)
        )


@each_format
def test_overflow_begins_half_an_ulp_beyond_max(name: str) -> None:
    encoding, largest = ENCODINGS[name], Fraction(floats.FORMATS[name].max)
    below_largest = decoded(last_pattern(name) - (2 if encoding.infinities else 1), name)
    assert below_largest is not None
    threshold = largest + (largest - below_largest) / 2
    hair = Fraction(1, 10**50)
    for sign in (1, -1):
        beyond = float(floats.round_exact(sign * (threshold + hair), name))
        within = float(floats.round_exact(sign * (threshold - hair), name))
        at = float(floats.round_exact(sign * threshold, name))
        assert within == sign * largest
        if encoding.infinities:
            assert beyond == at == sign * math.inf
        else:
            assert math.isnan(beyond)
            assert at == sign * largest


@given(reals())
@example(1 + Fraction(1, 2**24) + Fraction(1, 2**70))
@example(Fraction(2) ** 128 - Fraction(2) ** 104)
@example(Fraction(2) ** 128 - Fraction(2) ** 103)
@example(-(Fraction(2) ** 1024))
def test_round_exact_gives_the_nearest_float32(value: Fraction) -> None:
    rounded = floats.round_exact(value, "float32")
    assert type(rounded) is np.float32
    limit = Fraction(2) ** 128 - Fraction(2) ** 103
    if abs(value) >= limit:
        assert rounded == (math.inf if value > 0 else -math.inf)
        return
    error = abs(Fraction(float(rounded)) - value)
    with np.errstate(all="ignore"):
        neighbours = np.nextafter(rounded, np.array([np.inf, -np.inf], np.float32))
    for neighbour in neighbours:
        if np.isfinite(neighbour):
            other = abs(Fraction(float(neighbour)) - value)
            assert error < other or (
                error == other and signed_bits(float(rounded), "float32") % 2 == 0
            )


@given(reals())
@example(-(Fraction(2) ** 1024))
def test_round_exact_to_float64_is_python_s_true_division(value: Fraction) -> None:
    try:
        expected = value.numerator / value.denominator  # CPython rounds this one correctly
    except OverflowError:
        expected = math.inf if value > 0 else -math.inf
    assert floats.round_exact(value, "float64").tobytes() == np.float64(expected).tobytes()


@each_format
def test_reals_below_half_the_smallest_subnormal_round_to_a_zero_of_their_sign(name: str) -> None:
    half = Fraction(floats.FORMATS[name].smallest_subnormal) / 2
    for value, sign in ((half, 1.0), (-half, -1.0), (half / 10**400, 1.0), (-half / 10**400, -1.0)):
        rounded = floats.round_exact(value, name)
        assert rounded.dtype == floats.FORMATS[name].dtype
        assert float(rounded) == 0
        assert math.copysign(1.0, float(rounded)) == sign
    assert math.copysign(1.0, float(floats.round_exact(Fraction(0), name))) == 1.0


def test_rounding_through_float64_would_lose_what_round_exact_keeps() -> None:
    value = 1 + Fraction(1, 2**24) + Fraction(1, 2**70)
    assert float(floats.round_exact(value, "float32")) == 1 + 2**-23
    assert np.float32(float(value)) == 1.0  # the trap: to float64 first, then a tie to even


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("bfloat16", 1 + 2**-8 + 2**-40, 1 + 2**-7),
        ("bfloat16", 1 + 3 * 2**-8 - 2**-40, 1 + 2**-7),
        ("float8_e4m3fn", 1 + 2**-4 + 2**-40, 1 + 2**-3),
        ("float8_e5m2", -(1 + 2**-3 + 2**-40), -(1 + 2**-2)),
        ("float16", 2**-25 + 2**-60, 2**-24),
        ("float16", 2**-24 * (1.5 - 2**-45), 2**-24),
    ],
)
def test_float64_is_rounded_once_not_through_float32(
    name: str, value: float, expected: float
) -> None:
    assert float(floats.from_float64(value, name)) == expected
    assert float(floats.round_exact(Fraction(value), name)) == expected
    through_float32 = float(np.float32(value).astype(floats.FORMATS[name].dtype))
    assert through_float32 != expected


@each_format
@given(
    st.one_of(
        scalars("float64", infinities=True),
        scalars("float32"),
        st.floats(-70000, 70000),
    )
)
def test_from_float64_agrees_with_round_exact(name: str, value: float) -> None:
    actual = floats.from_float64(np.array([value]), name)
    assert actual.dtype == floats.FORMATS[name].dtype
    if math.isfinite(value) and value:
        expected = float(floats.round_exact(Fraction(value), name))
    else:
        expected = value if ENCODINGS[name].infinities or not value else math.nan
    np.testing.assert_array_equal(floats.to_float64(actual), [expected])
    if not math.isnan(expected):
        assert math.copysign(1.0, float(actual[0])) == math.copysign(1.0, value)


@given(scalars("float64", infinities=True))
def test_from_float64_to_float32_is_struct_s_rounding(value: float) -> None:
    try:
        (expected,) = struct.unpack("<f", struct.pack("<f", value))
    except OverflowError:
        expected = math.copysign(math.inf, value)
    assert float(floats.from_float64(value, "float32")) == expected


@each_format
def test_conversions_keep_shape_and_accept_any_memory_layout(name: str) -> None:
    grid = np.arange(24.0).reshape(4, 6)
    for values in (grid, grid.T, grid[::2, ::-3], grid[:0], grid[1, 1]):
        narrow = floats.from_float64(values, name)
        assert narrow.shape == values.shape
        wide = floats.to_float64(narrow)
        assert wide.shape == values.shape
        if ENCODINGS[name].mantissa_bits >= 4:
            np.testing.assert_array_equal(wide, values)
        for derived in (floats.ordinals(narrow), floats.next_up(narrow), floats.next_down(narrow)):
            assert isinstance(derived, np.ndarray)
            assert derived.shape == values.shape


def test_from_float64_refuses_what_float64_does_not_hold() -> None:
    for values in (np.array([1j]), np.array([Fraction(1, 3)]), ["1.0"]):
        with pytest.raises(TypeError):
            floats.from_float64(values, "float32")


@pytest.mark.skipif(np.dtype(np.longdouble).itemsize == 8, reason="longdouble is float64 here")
def test_from_float64_refuses_longdouble_which_would_be_rounded_twice() -> None:
    with pytest.raises(TypeError):
        floats.from_float64(np.array([1.0], np.longdouble), "float32")


# ------------------------------------------------------------------------------------------- ulp


@each_narrow
def test_ulp_of_every_number_is_the_gap_above_it(name: str) -> None:
    finite = magnitudes(name)
    gaps = [above - below for below, above in pairwise(finite)]
    gaps.append(gaps[-1])  # max lies in one binade with its predecessor
    for sign in (1, -1):
        assert [floats.ulp(sign * value, name) for value in finite] == gaps
    assert [floats.ulp(float(value), name) for value in finite] == gaps


@each_narrow
def test_a_real_between_two_numbers_has_the_ulp_of_the_smaller_one(name: str) -> None:
    finite = magnitudes(name)
    hair = Fraction(1, 2**300)
    for below, above in pairwise(finite):
        assert floats.ulp(below + hair, name) == above - below
        assert floats.ulp(hair - above, name) == above - below


@each_wide
@given(data=st.data())
def test_ulp_of_wide_numbers_is_numpy_s_spacing(name: str, data: st.DataObject) -> None:
    value = np.dtype(name).type(data.draw(scalars(name)))
    assume(abs(value) != floats.FORMATS[name].max)  # NumPy takes the gap to infinity there
    with np.errstate(all="ignore"):  # NumPy warns when the spacing is subnormal
        gap = float(np.spacing(abs(value)))
    assert floats.ulp(float(value), name) == Fraction(gap)


@pytest.mark.parametrize(
    ("name", "value", "exponent"),
    [
        ("float32", 0.0, -149),
        ("float32", float.fromhex("0x1p-126"), -149),
        ("float32", float.fromhex("0x1.fffffep-1"), -24),
        ("float32", 1.0, -23),
        ("float32", -2.0, -22),
        ("float32", Fraction(2) ** 128 - Fraction(2) ** 104, 104),
        ("float32", Fraction(2) ** 128, 105),
        ("float32", Fraction(1, 10**400), -149),
        ("float64", 0.0, -1074),
        ("float64", float.fromhex("0x1.fffffffffffffp1023"), 971),
        ("float64", Fraction(2) ** 5000, 4948),
        ("float64", 1 - Fraction(1, 2**200), -53),
        ("bfloat16", 9.4, -4),
        ("float8_e4m3fn", 448.0, 5),
    ],
)
def test_ulp_by_hand(name: str, value: float | Fraction, exponent: int) -> None:
    assert floats.ulp(value, name) == Fraction(2) ** exponent


@each_format
def test_ulp_exponent_follows_the_binade_down_to_the_subnormals(name: str) -> None:
    known = floats.FORMATS[name]
    exponents = np.arange(known.min_exponent - 5, known.max_exponent + 4, dtype=np.int64)
    actual = floats.ulp_exponent(exponents, name)
    assert actual.shape == exponents.shape
    expected = [floats.ulp(Fraction(2) ** e * Fraction(3, 2), name) for e in exponents.tolist()]
    assert [Fraction(2) ** e for e in actual.tolist()] == expected


def test_what_has_no_ulp_is_refused() -> None:
    with pytest.raises(ValueError, match="NaN"):
        floats.ulp(math.nan, "float32")
    with pytest.raises(OverflowError):
        floats.ulp(-math.inf, "float32")


# ----------------------------------------------------------------------- ordinals and neighbours


def all_in_order(name: str) -> npt.NDArray[Any]:
    """Every number of a narrow format with its infinities, ascending, +0 alone of the zeros."""
    positive = np.arange(1, last_pattern(name) + 1)
    return from_patterns(np.r_[positive[::-1] + sign_bit(name), 0, positive], name)


@each_narrow
def test_ordinals_count_every_number_in_order(name: str) -> None:
    every = all_in_order(name)
    assert (np.diff(floats.to_float64(every)) > 0).all()
    positions = floats.ordinals(every)
    assert positions.dtype == np.int64
    last = last_pattern(name)
    np.testing.assert_array_equal(positions, np.arange(-last, last + 1))
    assert floats.FORMATS[name].last_ordinal == last
    np.testing.assert_array_equal(
        patterns_of(floats.from_ordinals(positions, name), name), patterns_of(every, name)
    )


@each_format
def test_both_zeros_are_ordinal_zero(name: str) -> None:
    zeros = floats.from_float64([0.0, -0.0], name)
    assert floats.ordinals(zeros).tolist() == [0, 0]
    assert floats.ulp_distance(zeros[0], zeros[1]) == 0


@each_narrow
def test_every_nan_is_without_ordinal_and_without_distance(name: str) -> None:
    every = np.arange(2 * sign_bit(name))
    nans = from_patterns(every[every % sign_bit(name) > last_pattern(name)], name)
    assert nans.size
    assert np.isnan(floats.to_float64(nans)).all()
    one = floats.from_float64([1.0], name)
    for nan in nans[:: max(1, nans.size // 50)]:
        with pytest.raises(ValueError, match="NaN"):
            floats.ordinals(nan)
        with pytest.raises(ValueError, match="NaN"):
            floats.ulp_distance(one, nan)
    assert np.isnan(floats.to_float64(floats.next_up(nans))).all()
    assert np.isnan(floats.to_float64(floats.next_down(nans))).all()


@each_format
def test_one_nan_among_numbers_is_enough_to_be_refused(name: str) -> None:
    with pytest.raises(ValueError, match="NaN"):
        floats.ordinals(floats.from_float64([1.0, math.nan, 2.0], name))


@each_format
def test_positions_beyond_the_last_number_are_refused(name: str) -> None:
    last = floats.FORMATS[name].last_ordinal
    ends = floats.to_float64(floats.from_ordinals([-last, last], name))
    limit = math.inf if ENCODINGS[name].infinities else 448.0
    assert ends.tolist() == [-limit, limit]
    for position in (last + 1, -last - 1, np.iinfo(np.int64).min):
        with pytest.raises(ValueError, match=name):
            floats.from_ordinals([0, position], name)


@each_narrow
def test_neighbours_of_every_number(name: str) -> None:
    every = all_in_order(name)
    order = patterns_of(every, name)
    up = patterns_of(floats.next_up(every), name)
    down = patterns_of(floats.next_down(every), name)
    # IEEE 754, 5.3.1: nextUp of the negative number of least magnitude is −0.
    zero = len(order) // 2
    expected_up, expected_down = order[1:].copy(), order[:-1].copy()
    expected_up[zero - 1] = sign_bit(name)
    np.testing.assert_array_equal(up[:-1], expected_up)
    np.testing.assert_array_equal(down[1:], expected_down)
    stays = ENCODINGS[name].infinities
    assert up[-1] == (order[-1] if stays else -1)
    assert down[0] == (order[0] if stays else -1)


@each_format
def test_both_zeros_step_to_the_smallest_subnormals(name: str) -> None:
    zeros = floats.from_float64([0.0, -0.0], name)
    tiny = floats.FORMATS[name].smallest_subnormal
    assert floats.to_float64(floats.next_up(zeros)).tolist() == [tiny, tiny]
    assert floats.to_float64(floats.next_down(zeros)).tolist() == [-tiny, -tiny]


@each_wide
@given(data=st.data())
def test_wide_neighbours_are_numpy_s_nextafter(name: str, data: st.DataObject) -> None:
    values = np.array(data.draw(st.lists(scalars(name, infinities=True), min_size=1)), name)
    for actual, towards in ((floats.next_up(values), np.inf), (floats.next_down(values), -np.inf)):
        with np.errstate(all="ignore"):  # NumPy warns when the neighbour is subnormal or infinite
            expected = np.nextafter(values, np.dtype(name).type(towards))
        assert actual.tobytes() == expected.tobytes()


@each_wide
@given(data=st.data())
def test_wide_ordinals_and_distances_are_those_of_the_bits(name: str, data: st.DataObject) -> None:
    pairs = st.tuples(scalars(name, infinities=True), scalars(name, infinities=True))
    a, b = np.array(data.draw(st.lists(pairs, min_size=1)), name).T
    left = [signed_bits(x, name) for x in a.tolist()]
    right = [signed_bits(x, name) for x in b.tolist()]
    assert floats.ordinals(a).tolist() == left
    np.testing.assert_array_equal(floats.from_ordinals(floats.ordinals(a), name), a)
    distances = floats.ulp_distance(a, b)
    assert distances.dtype == np.uint64
    assert distances.tolist() == [abs(x - y) for x, y in zip(left, right, strict=True)]


def test_byte_order_does_not_change_an_ordinal() -> None:
    values = np.array([1.5, -3e-45, np.inf], ">f4")
    expected = floats.ordinals(values.astype("<f4")).tolist()
    assert floats.ordinals(values).tolist() == expected == [0x3FC00000, -2, 0x7F800000]
    assert floats.next_up(values)[0] == np.float32(1.5) + np.float32(2**-23)


@pytest.mark.parametrize(
    ("name", "a", "b", "distance"),
    [
        ("float16", 3.0, -3.0, 33_792),  # twice the pattern of 3, 0x4200
        ("float16", 65504.0, math.inf, 1),
        ("float32", math.inf, -math.inf, 2 * 0x7F800000),
        ("float32", float.fromhex("0x1.fffffep127"), math.inf, 1),
        ("float64", math.inf, -math.inf, 2 * 0x7FF0000000000000),
        ("float64", 1.0, 1.0, 0),
        ("float64", 5e-324, -5e-324, 2),
        ("bfloat16", 1.0, 1.0078125, 1),
        ("float8_e4m3fn", 448.0, -448.0, 252),
    ],
)
def test_ulp_distance_by_hand(name: str, a: float, b: float, distance: int) -> None:
    left, right = floats.from_float64(a, name), floats.from_float64(b, name)
    assert int(floats.ulp_distance(left, right)) == distance
    assert int(floats.ulp_distance(right, left)) == distance


def test_ulp_distance_broadcasts() -> None:
    column = np.array([[1.0], [0.0]], np.float32)
    row = np.array([1.0, np.nextafter(np.float32(1), np.float32(2))], np.float32)
    assert floats.ulp_distance(column, row).tolist() == [[0, 1], [0x3F800000, 0x3F800001]]


def test_ulp_distance_of_different_dtypes_is_refused() -> None:
    with pytest.raises(TypeError, match="float16 and float32"):
        floats.ulp_distance(np.float16(1), np.float32(1))
    with pytest.raises(TypeError, match="int64"):
        floats.ulp_distance(np.array([1]), np.array([2]))


# ------------------------------------------------------------------------------------------ text


@given(st.floats(allow_nan=False))
def test_hex_text_is_read_back_without_loss(value: float) -> None:
    text = floats.hex_text(value)
    assert struct.pack("<d", float.fromhex(text)) == struct.pack("<d", value)


def test_hex_text_of_what_is_not_finite() -> None:
    assert [floats.hex_text(x) for x in (math.nan, -math.nan, math.inf, -math.inf)] == [
        "nan",
        "nan",
        "inf",
        "-inf",
    ]
    assert floats.hex_text(-0.0) == "-0x0.0p+0"
