"""The rules of ``docs/merging.md`` for events, one example each."""

from datetime import UTC, datetime, timedelta

import pytest

from service.engine.orders import EventChoice
from tests.engine.builders import (
    ALL_EVENTS,
    a_batch,
    an_event_batch,
    day,
    named,
)
from tests.engine.people import a_click, event_ids, only, person


def test_an_unknown_identitys_event_never_lands_on_a_stranger(store):
    people = [{"identityMap": named(f"crm:{n}"), "first": str(n)} for n in range(50)]
    strangers = [a_click(f"e{n}", identityMap=named(f"web:{n}")) for n in range(50)]
    exported = store.export_of(
        a_batch("crm", 1, *people), an_event_batch("clicks", 2, *strangers), events=ALL_EVENTS
    )
    assert all(row["timeSeriesEvents"] == [] for row in exported.rows)
    assert exported.counters["events"] == 0


def test_of_events_with_one_id_in_one_data_set_the_last_ingested_stands(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click(kind="old"), a_click(kind="newer")),
        an_event_batch("clicks", 3, a_click(kind="newest")),
        an_event_batch("orders", 4, a_click(kind="another data set")),
        events=ALL_EVENTS,
    )
    kinds = [event["kind"] for event in only(exported.rows)["timeSeriesEvents"]]
    assert kinds == ["newest", "another data set"]


def test_an_event_without_an_id_is_like_no_other(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click(None), a_click(None), a_click("")),
        events=ALL_EVENTS,
    )
    assert event_ids(only(exported.rows)) == [None, None, ""]


def test_repeats_are_dropped_before_the_ingest_window_is_looked_through(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click("again"), a_click("once")),
        an_event_batch("clicks", 3, a_click("again")),
        events=EventChoice(ingested_until=day(2)),
    )
    assert event_ids(only(exported.rows)) == ["once"]


def test_the_ingest_window_starts_after_its_start_and_ends_at_its_end(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        *(an_event_batch("clicks", n, a_click(f"e{n}")) for n in (2, 3, 4, 5)),
        events=EventChoice(ingested_after=day(2), ingested_until=day(4)),
    )
    assert event_ids(only(exported.rows)) == ["e3", "e4"]


def test_events_of_one_instant_are_ordered_by_id_then_by_arrival(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("orders", 2, a_click("b", kind="first"), a_click("é"), a_click("Z")),
        an_event_batch("clicks", 3, a_click("b", kind="second"), a_click("a", timestamp=day(2))),
        events=ALL_EVENTS,
    )
    events = only(exported.rows)["timeSeriesEvents"]
    assert [event["_id"] for event in events] == ["Z", "b", "b", "é", "a"]
    assert [event["kind"] for event in events[1:3]] == ["first", "second"]


@pytest.mark.parametrize("unit", [timedelta(microseconds=1), timedelta(days=1)])
def test_events_from_the_year_1_to_9999_stay_with_their_people_and_in_order(store, unit):
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    times = [last + unit * 0, first + unit, last - unit, first, day(1)]
    people = [{"identityMap": named(f"crm:{n}"), "first": str(n)} for n in range(40)]
    clicks = [
        a_click(f"{n}", timestamp=time, kind=str(n), identityMap=named(f"crm:{n}"))
        for n in range(40)
        for time in times
    ]
    clicks = [{**click, "_id": str(number)} for number, click in enumerate(clicks)]
    exported = store.export_of(
        a_batch("crm", 1, *people), an_event_batch("clicks", 2, *clicks), events=ALL_EVENTS
    )
    assert len(exported.rows) == 40
    for row in exported.rows:
        assert [event["timestamp"] for event in row["timeSeriesEvents"]] == sorted(times)
        assert {event["kind"] for event in row["timeSeriesEvents"]} == {row["first"]}


def test_an_event_whose_projected_fields_are_all_null_is_still_an_event(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click()),
        events=EventChoice(fields=(("kind",),)),
    )
    assert only(exported.rows)["timeSeriesEvents"] == [{"kind": None}]
