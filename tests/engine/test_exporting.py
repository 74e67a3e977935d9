"""Exports as a whole: what later attempts go on from, and what is told meanwhile and at the end."""

import pytest

from service.engine.exporting import export
from service.engine.orders import Done, FinishedPart, Part, Planned
from service.engine.plan import make_plan
from tests.engine.builders import (
    ALL_EVENTS,
    STITCHED,
    a_batch,
    an_event_batch,
    an_order,
    day,
    named,
)


@pytest.fixture
def order(store):
    people = ({"identityMap": named(f"crm:{n}"), "first": f"{n}"} for n in range(40))
    batch = a_batch("crm", 1, *people)
    files = tuple(store.put(batch, depth=3))
    return an_order([batch], files=files, folder="first", slice_size_bytes=600, part_row_count=10)


def answers_to(order, store):
    answers = []
    export(order, store.files, answers.append, answers.append)
    return answers


def of_kind(kind, answers):
    return [answer for answer in answers if isinstance(answer, kind)]


def test_a_later_attempt_goes_on_from_the_plan(order, store):
    planned = make_plan(order, store.files, lambda _: None)
    later = order.model_copy(update={"folder": "later", "plan_key": planned.key})
    answers = answers_to(later, store)
    assert of_kind(Part, answers)
    assert not of_kind(Planned, answers)


def test_a_plan_for_another_order_is_made_anew(order, store):
    planned = make_plan(order, store.files, lambda _: None)
    changes = {"folder": "later", "plan_key": planned.key, "with_empty_profiles": True}
    answers = answers_to(order.model_copy(update=changes), store)
    assert isinstance(answers[0], Planned)
    assert isinstance(answers[-1], Done)


def test_parts_that_are_kept_are_not_written_again(order, store):
    planned, *answers = answers_to(order, store)
    parts = of_kind(Part, answers)
    finished = tuple(kept(part) for part in parts[1:])
    changes = {"folder": "later", "plan_key": planned.key, "finished": finished}
    again = answers_to(order.model_copy(update=changes), store)
    (part,) = of_kind(Part, again)
    assert (part.number, part.sha256) == (parts[0].number, parts[0].sha256)
    assert again[0].profiles == sum(part.row_count for part in parts[1:])


def kept(part):
    return FinishedPart(
        number=part.number,
        batch=part.batch,
        row_count=part.row_count,
        size_bytes=part.size_bytes,
        exclusions=part.exclusions,
    )


def test_progress_rises_to_all_that_is_written(order, store):
    exported = store.export(order)
    told = exported.progress
    assert [one.done for one in told] == sorted(one.done for one in told)
    assert (told[0].profiles, told[0].bytes, told[0].done) == (0, 0, 0)
    assert told[-1].done == told[-1].total >= 4
    assert told[-1].profiles == 40
    assert 0 < told[-1].bytes <= sum(part.size_bytes for part in exported.parts)


def clicks(name, count, **more):
    return [
        {"identityMap": named(name), "_id": f"{n:03}", "timestamp": day(n), **more}
        for n in range(count)
    ]


def test_of_too_many_events_a_profile_keeps_the_newest_and_is_listed(store):
    ann, bob = {"identityMap": named("crm:ann")}, {"identityMap": named("crm:bob")}
    exported = store.export_of(
        a_batch("crm", 1, ann, bob),
        an_event_batch("clicks", 2, *clicks("crm:ann", 5)[::-1], *clicks("crm:bob", 3)),
        events=ALL_EVENTS,
        events_per_profile=3,
    )
    by_name = {row["identityMap"]["CRM"][0]["id"]: row["timeSeriesEvents"] for row in exported.rows}
    assert [event["_id"] for event in by_name["ann"]] == ["002", "003", "004"]
    assert [event["_id"] for event in by_name["bob"]] == ["000", "001", "002"]
    assert (exported.counters["shortened"], exported.counters["events"]) == (1, 6)
    assert exported.exclusions == [
        {
            "reason": "too_many_events",
            "identityCount": 1,
            "identities": [{"namespace": "CRM", "id": "ann"}],
            "eventCount": 5,
        }
    ]


def test_events_that_are_repeated_or_outside_the_window_do_not_count_to_the_limit(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann")}),
        an_event_batch("clicks", 2, *clicks("crm:ann", 3)),
        an_event_batch("clicks", 3, *clicks("crm:ann", 3)),
        events=ALL_EVENTS.model_copy(update={"ingested_after": day(2)}),
        events_per_profile=3,
    )
    assert exported.counters.get("shortened") is None
    assert exported.exclusions == []


def test_a_shortened_profile_is_listed_with_every_identity_its_rows_name(store):
    """Also when the export has no identities, and so does not read them elsewhere."""
    crowd = [{"identityMap": named("email:hub", f"web:{n}")} for n in range(5)]
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann", "crm:ANN"), "first": "Ann"}, *crowd),
        an_event_batch("clicks", 2, *clicks("web:cookie", 2), *clicks("crm:ANN", 1)),
        an_event_batch("clicks", 3, {"identityMap": named("web:cookie", "crm:ann")}),
        fields=(("first",),),
        identity_graph=STITCHED,
        events=ALL_EVENTS,
        events_per_profile=1,
        identities_per_profile=5,
    )
    crowd, ann = exported.exclusions
    assert (crowd["reason"], crowd["identityCount"], crowd["eventCount"]) == (
        "too_many_identities",
        6,
        None,
    )
    assert (ann["reason"], ann["identityCount"], ann["eventCount"]) == ("too_many_events", 3, 3)
    assert ann["identities"] == [
        {"namespace": "CRM", "id": "ANN"},
        {"namespace": "CRM", "id": "ann"},
        {"namespace": "web", "id": "cookie"},
    ]


def test_a_later_attempt_lists_what_an_earlier_one_shortened(store):
    people = ({"identityMap": named(f"crm:{n}"), "first": f"{n}"} for n in range(40))
    events = [row for n in range(40) for row in clicks(f"crm:{n}", 3)]
    batches = [a_batch("crm", 1, *people), an_event_batch("clicks", 2, *events)]
    files = tuple(file for batch in batches for file in store.put(batch, depth=3))
    changes = {"events": ALL_EVENTS, "events_per_profile": 2, "slice_size_bytes": 600}
    order = an_order(batches, files=files, part_row_count=10, **changes)
    planned, *answers = answers_to(order, store)
    (whole,) = answers[-1].exclusions
    parts = of_kind(Part, answers)
    finished = tuple(kept(part) for part in parts[:2])
    changes = {"folder": "later", "plan_key": planned.key, "finished": finished}
    *_, done = answers_to(order.model_copy(update=changes), store)
    (again,) = done.exclusions
    assert whole.row_count == again.row_count == 40
    assert whole.sha256 == again.sha256
