"""How far an export is, and when it will be done."""

from datetime import UTC, datetime, timedelta

from service.engine.orders import Progress
from service.worker.estimates import Pace

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def at(seconds):
    return NOON + timedelta(seconds=seconds)


def merging(done, total=10):
    return Progress(phase="merging", done=done, total=total)


def end_in_ms(seconds):
    return int(at(seconds).timestamp() * 1000)


def test_planning_is_nothing_done_and_says_nothing_of_the_end():
    assert Pace().estimate(Progress(phase="planning", done=2, total=3), NOON) == {"percent": 0.0}


def test_the_rest_takes_as_long_as_what_was_done():
    pace = Pace()
    assert pace.estimate(merging(0), NOON) == {"percent": 0.0}
    assert pace.estimate(merging(4), at(8)) == {"percent": 40.0, "estimated_end_ms": end_in_ms(20)}
    assert pace.estimate(merging(5), at(20))["estimated_end_ms"] == end_in_ms(40)


def test_what_an_earlier_attempt_did_says_nothing_of_the_pace():
    pace = Pace()
    assert pace.estimate(merging(6), NOON) == {"percent": 60.0}
    assert pace.estimate(merging(8), at(10))["estimated_end_ms"] == end_in_ms(20)


def test_all_is_not_done_before_the_job_has_succeeded():
    pace = Pace()
    pace.estimate(merging(0), NOON)
    assert pace.estimate(merging(10), at(5)) == {"percent": 99.9, "estimated_end_ms": end_in_ms(5)}


def test_an_export_without_slices_is_not_divided_by():
    assert Pace().estimate(merging(0, 0), NOON) == {"percent": 0.0}
