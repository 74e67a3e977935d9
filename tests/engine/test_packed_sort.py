"""Sorting by packed words gives what comparing would."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from service.engine.packed_sort import ordered

words = st.integers(0, 2**64 - 1) | st.integers(0, 3) | st.integers(2**64 - 3, 2**64 - 1)
times = st.integers(-(2**63), 2**63 - 1) | st.integers(-2, 2)


@given(st.lists(st.tuples(words, words, times), max_size=60))
def test_rows_are_in_the_order_of_their_keys_and_equal_ones_in_their_own(drawn):
    rows = drawn + drawn[::2]
    high, low, time = (
        np.array([row[n] for row in rows], dtype)
        for n, dtype in enumerate((np.uint64, np.uint64, np.int64))
    )
    expected = sorted(range(len(rows)), key=lambda n: rows[n])
    assert ordered([high, low], [time]).tolist() == expected


def test_many_keys_that_share_their_leading_bits_are_told_apart():
    high = np.full(100_000, 7, np.uint64)
    high[:500] = 1 << 63
    low = np.random.default_rng(3).integers(0, 2**64, 100_000, dtype=np.uint64)
    assert np.array_equal(ordered([high, low]), np.lexsort((low, high)))
