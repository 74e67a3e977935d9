from datetime import UTC, datetime

import numpy as np
import pyarrow as pa

from service.engine.arrow_types import INSTANT
from service.engine.kernel import Contest, event_order, folded, last_ingested, ordered_with_text
from service.engine.marks import marks


def numbers(*values):
    return np.array(values, np.int64)


def test_a_row_stands_until_a_later_row_of_its_fragment_replaces_it():
    stands, place = folded(
        dataset=numbers(0, 0, 0, 1, 0),
        key=numbers(0, 0, 0, 0, 1),
        key_count=2,
        weakest_first=numbers(4, 2, 3, 0, 1),
        is_patch=np.array([False, True, False, False, False]),
    )
    assert stands.tolist() == [True, True, False, True, True]
    assert place.tolist() == [4, 4, 4, 2, 0]


def test_the_last_row_with_a_value_wins_and_profiles_without_one_have_none():
    contest = Contest.between(numbers(0, 1, 2, 3), numbers(2, 2, 0, 2), 3, numbers(5, 9, 1, 7))
    has_value = np.array([True, False, False, True])
    assert contest.winners(has_value).tolist() == [-1, -1, 3]
    assert contest.winners().tolist() == [2, -1, 1]


def test_a_contest_among_some_rows_forgets_the_others():
    contest = Contest.between(numbers(0, 1, 2), numbers(0, 0, 1), 2, numbers(1, 2, 1))
    assert contest.within(numbers(0, -1, -1)).winners().tolist() == [0, -1]


def test_a_contest_without_rows_has_no_winners():
    assert Contest.between(numbers(), numbers(), 2, numbers()).winners().tolist() == [-1, -1]


def test_only_events_of_one_data_set_profile_and_id_supersede_each_other():
    ids = pa.array(["a", "a", "a", "a", None, None])
    stands = last_ingested(
        marks(ids).fill_null(0).to_numpy(),
        ids.take,
        numbers(0, 0, 1, 0, 0, 0).take,
        numbers(0, 0, 0, 1, 0, 0),
        numbers(2, 1, 1, 1, 1, 2).take,
    )
    assert stands.tolist() == [True, False, True, True, True, True]


def test_events_whose_marks_agree_are_the_same_only_if_their_ids_are():
    ids = pa.array(["a", "b", "a", None, None])
    same = numbers(0, 0, 0, 0, 0)
    age = numbers(3, 1, 2, 4, 5).take
    stands = last_ingested(same.astype(np.uint64), ids.take, same.take, same, age)
    assert stands.tolist() == [True, True, False, True, True]


def test_events_sort_by_time_then_id_then_arrival_and_what_is_missing_comes_first():
    noon = datetime(2024, 1, 1, 12, tzinfo=UTC)
    later = noon.replace(microsecond=1)
    order = event_order(
        numbers(0, 0, 0, 0, 0, 0),
        pa.array([later, noon, noon, noon, None, noon], INSTANT),
        pa.array(["a", "b", "b", None, "z", "a"]).take,
        numbers(1, 3, 2, 1, 1, 1).take,
    )
    assert order.tolist() == [4, 3, 5, 2, 1, 0]


def test_texts_sort_by_their_bytes():
    texts = pa.array(["\U0001f600", "￿", "é", "z", "Z", "", None])
    assert ordered_with_text([numbers(*[0] * 7)], texts.take).tolist() == [6, 5, 4, 3, 2, 1, 0]
