"""Grouping of classes, against NumPy's unique rows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from xentcheck.losses.grouping import grouped

NUMBERS = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 5e-324, 2.0, np.inf])


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=30))
def test_groups_are_the_distinct_rows_in_their_order(rows):
    data = np.array(rows)
    groups = grouped(*data.T)
    unique, index, counts = np.unique(data, axis=0, return_inverse=True, return_counts=True)
    np.testing.assert_array_equal(groups.columns, unique)
    np.testing.assert_array_equal(groups.index, index.reshape(-1))
    assert groups.counts == counts.tolist()
