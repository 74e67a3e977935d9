import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.engine.ranking import (
    Keys,
    distinct,
    grouped,
    ordered,
    places,
    repeated,
    run_offsets,
)
from tests.engine.key_pairs import WORD, halves, keys_of, pairs_in

longs = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
key_lists = st.lists(st.tuples(halves, halves), max_size=30)


@given(st.lists(st.tuples(longs, longs, longs), max_size=40))
def test_rows_are_ordered_by_all_columns_and_ties_stay_in_order(rows):
    columns = [np.array([row[n] for row in rows], np.int64) for n in range(3)]
    want = sorted(range(len(rows)), key=lambda n: rows[n])
    assert ordered(*columns).tolist() == want


@pytest.mark.parametrize("spread", [1, 2**20, 2**40, 2**62])
def test_the_order_is_the_same_whether_the_columns_fit_one_word_or_not(spread):
    numbers = np.random.default_rng(spread % 97).integers(-spread, spread, (3, 500))
    want = sorted(range(500), key=lambda n: tuple(numbers[:, n]))
    assert ordered(*numbers).tolist() == want


@given(key_lists)
def test_distinct_keys_ascend_and_every_row_finds_its_own(pairs):
    known, number = distinct(keys_of(pairs))
    assert pairs_in(known) == sorted(set(pairs))
    assert [pairs_in(known)[n] for n in number] == pairs


@given(key_lists, key_lists)
def test_a_key_is_found_only_where_both_halves_match(wanted, among):
    known, _ = distinct(keys_of(among))
    want = [pairs_in(known).index(key) if key in among else -1 for key in wanted]
    assert places(keys_of(wanted), known).tolist() == want


@pytest.mark.parametrize("spread", [2**63, 2**20, 2**9])
def test_keys_are_found_however_they_crowd(spread):
    draw = np.random.default_rng(spread % 97)
    near, far = draw.integers(0, spread, 900, np.uint64), draw.integers(0, WORD, 100, np.uint64)
    hi = np.concatenate([near, far + np.uint64(1)])
    known, _ = distinct(Keys(hi, draw.integers(0, 3, 1000, np.uint64)))
    wanted = Keys(
        np.concatenate([known.hi, hi, hi + np.uint64(1)]),
        np.concatenate([known.lo, draw.integers(0, 4, 2000, np.uint64)]),
    )
    where = {key: at for at, key in enumerate(pairs_in(known))}
    assert places(wanted, known).tolist() == [where.get(key, -1) for key in pairs_in(wanted)]


@given(st.lists(st.tuples(st.integers(0, 3), st.tuples(halves, halves)), max_size=40))
def test_numbered_keys_are_sorted_by_number_then_key(rows):
    order = grouped(np.array([n for n, _ in rows], np.int64), keys_of([key for _, key in rows]))
    assert sorted(order.tolist()) == list(range(len(rows)))
    assert [rows[at] for at in order] == sorted(rows)


@given(st.lists(st.tuples(st.integers(0, 3) | st.just(2**60), halves), max_size=40))
def test_no_pair_that_occurs_twice_is_missed(rows):
    numbers = np.array([n for n, _ in rows], np.int64)
    found = repeated(numbers, np.array([word for _, word in rows], np.uint64)).tolist()
    assert len(set(found)) == len(found)
    assert set(found) >= {at for at, row in enumerate(rows) if rows.count(row) > 1}


def test_pairs_whose_words_differ_early_do_not_repeat():
    words = np.random.default_rng(1).integers(0, WORD, 1000, dtype=np.uint64)
    assert repeated(np.arange(1000) % 7, words).tolist() == []


def test_missing_numbers_have_empty_runs():
    assert run_offsets(np.array([1, 1, 3]), 5).tolist() == [0, 0, 2, 2, 3, 3]
