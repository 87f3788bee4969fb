"""Quantiles of a stream: exact while it is short, bounded in size and error when it is long."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xentcheck.measurement.quantiles import EXACT, Quantiles

ERRORS = st.floats(min_value=0.0, allow_infinity=False, allow_nan=False)
SHARES = (0.0, 0.5, 0.99, 1.0)


def holding(*parts):
    quantiles = Quantiles()
    for part in parts:
        quantiles.add(np.asarray(part, dtype=np.float64))
    return quantiles


def true_quantile(numbers, share):
    """The smallest number that at least so many others do not exceed: index ⌈share (n − 1)⌉."""
    return float(np.sort(numbers)[int(np.ceil(share * (len(numbers) - 1)))])


def everywhere(quantiles):
    return [quantiles.at(share) for share in (*SHARES, 0.1, 0.25, 0.75, 0.999)]


def lognormal(count, seed=0):
    return np.exp(np.random.default_rng(seed).normal(scale=30, size=count))


@given(st.lists(ERRORS, min_size=1, max_size=50), st.floats(0.0, 1.0))
def test_few_numbers_have_exact_quantiles(numbers, share):
    assert holding(numbers).at(share) == true_quantile(numbers, share)


def test_quantiles_are_exact_up_to_the_last_number_that_is_kept():
    numbers = lognormal(EXACT)
    quantiles = holding(numbers[:1000], numbers[1000:])
    for share in SHARES:
        assert quantiles.at(share) == true_quantile(numbers, share)


@pytest.mark.parametrize("count", [EXACT + 1, 3 * EXACT + 17])
@pytest.mark.parametrize("share", [*SHARES, 0.001, 0.9999])
def test_beyond_it_quantiles_are_at_most_a_thousandth_above_and_never_below(count, share):
    numbers = lognormal(count)
    found, true = holding(numbers).at(share), true_quantile(numbers, share)
    assert true <= found <= true * 1.001


def test_the_largest_is_exact_however_many_there_are():
    numbers = np.append(lognormal(2 * EXACT), 1.2345678901234567e300)
    quantiles = holding(numbers)
    assert quantiles.at(1.0) == quantiles.largest == 1.2345678901234567e300


@settings(deadline=None, max_examples=12)
@given(st.data())
def test_the_order_of_merging_does_not_matter(data):
    parts = data.draw(
        st.lists(st.lists(ERRORS, max_size=8), min_size=2, max_size=4), label="numbers"
    )
    # some parts are long enough to be counted in buckets
    long = data.draw(st.lists(st.booleans(), min_size=len(parts), max_size=len(parts)))
    arrays = [
        np.concatenate([np.array(part, dtype=np.float64), lognormal(EXACT, seed)])
        if grown
        else np.array(part, dtype=np.float64)
        for seed, (part, grown) in enumerate(zip(parts, long, strict=True))
    ]
    order = data.draw(st.permutations(range(len(arrays))), label="order")
    whole = holding(np.concatenate(arrays))
    merged = Quantiles()
    for number in order:
        merged.merge(holding(arrays[number]))
    assert merged.count == whole.count == sum(len(each) for each in arrays)
    np.testing.assert_equal(merged.largest, whole.largest)
    np.testing.assert_equal(everywhere(merged), everywhere(whole))


def test_merging_in_a_tree_is_like_merging_in_a_row():
    arrays = [lognormal(EXACT // 2, seed) for seed in range(5)]
    row = Quantiles()
    for each in arrays:
        row.merge(holding(each))
    pairs = [holding(arrays[0], arrays[1]), holding(arrays[2]), holding(arrays[3], arrays[4])]
    pairs[1].merge(pairs[2])
    pairs[0].merge(pairs[1])
    assert everywhere(pairs[0]) == everywhere(row)
    assert pairs[0].count == row.count == 5 * (EXACT // 2)


def test_merging_leaves_the_other_as_it_was():
    other = holding(lognormal(10))
    before = everywhere(other)
    mine = holding(lognormal(2 * EXACT, 1))
    mine.merge(other)
    assert everywhere(other) == before
    assert other.count == 10


def test_nothing_has_no_quantile():
    quantiles = holding([])
    assert np.isnan(quantiles.at(0.5))
    assert np.isnan(quantiles.largest)
    assert quantiles.count == 0
    quantiles.merge(Quantiles())
    assert np.isnan(quantiles.at(1.0))


def test_zeros_are_zero_in_buckets_too():
    numbers = np.concatenate([np.zeros(2 * EXACT), np.full(EXACT, 0.5), [3.0]])
    quantiles = holding(numbers)
    assert quantiles.at(0.0) == quantiles.at(0.5) == 0.0
    assert 0.5 <= quantiles.at(0.99) <= 0.5005
    assert quantiles.at(1.0) == 3.0


def test_subnormals_and_huge_numbers_are_told_apart():
    smallest, huge = 2.0**-1022, np.finfo(np.float64).max
    numbers = np.concatenate(
        [np.full(EXACT, smallest), np.full(EXACT, 2.0**-500), np.full(EXACT, huge)]
    )
    quantiles = holding(numbers)
    assert smallest <= quantiles.at(0.1) <= smallest * 1.001
    assert 2.0**-500 <= quantiles.at(0.5) <= 2.0**-500 * 1.001
    assert quantiles.at(0.9) == quantiles.at(1.0) == huge


def test_what_is_nothing_in_every_dtype_counts_as_zero_in_buckets():
    numbers = np.concatenate([np.full(2 * EXACT, 2.0**-1040), [1.0]])
    assert holding(numbers).at(0.5) <= 2.0**-1032
    assert holding(numbers[-5:]).at(0.5) == 2.0**-1040


@pytest.mark.parametrize("share", SHARES)
def test_one_number_is_all_of_its_quantiles(share):
    assert holding([0.75]).at(share) == 0.75
    assert holding(np.full(EXACT + 5, 0.75)).at(share) == 0.75


def test_what_is_kept_does_not_grow_with_what_is_added():
    quantiles, sizes = Quantiles(), []
    for seed in range(24):
        quantiles.add(np.exp2(np.random.default_rng(seed).uniform(-10, 10, EXACT)))
        sizes.append(len(pickle.dumps(quantiles)))
    assert quantiles.count == 24 * EXACT
    # 20 powers of two in steps of 2^-10: 20,480 buckets, which two parts all but fill
    assert sizes[-1] <= 1.05 * sizes[3]
    assert sizes[-1] < sizes[0]
