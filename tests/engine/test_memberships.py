"""Who is a member of a segment, one rule each; and how exports of segments are cut."""

import pytest

from catalog.segments import MembershipStatus
from service.engine import plan
from service.engine.orders import SegmentChoice, SegmentFilter
from tests.engine.builders import ALL_EVENTS, a_batch, an_event_batch, day, named

REALIZED, EXISTING, EXITED = MembershipStatus
MEMBERS = (REALIZED, EXISTING)


def a_person(name, **memberships):
    """A record of somebody with memberships in segments of the service's own namespace."""
    return {
        "identityMap": named(f"crm:{name}"),
        "first": name,
        "segmentMembership": {"ups": memberships} if memberships else None,
    }


def since(number, status=REALIZED):
    return {"status": status.value, "lastQualificationTime": day(number)}


def segment(id="vip", statuses=MEMBERS, namespace="ups"):
    return SegmentChoice(segment_id=id, namespace=namespace, statuses=statuses)


def names(rows):
    return sorted(row["first"] for row in rows)


def exported(store, *people, segments, **changes):
    batches = [a_batch("crm", number, person) for number, person in enumerate(people, 1)]
    return store.export_of(*batches, segments=SegmentFilter(**segments), **changes)


PEOPLE = (
    a_person("ann", vip=since(1)),
    a_person("bob", vip=since(2, EXISTING)),
    a_person("cid", vip=since(3, EXITED)),
    a_person("dan", other=since(1)),
    a_person("eve"),
)


@pytest.mark.parametrize(
    ("statuses", "found"),
    [
        (MEMBERS, ["ann", "bob"]),
        ((REALIZED,), ["ann", "bob"]),
        ((EXISTING,), ["ann", "bob"]),
        ((EXITED,), ["cid"]),
        ((EXITED, REALIZED), ["ann", "bob", "cid"]),
    ],
)
def test_realized_and_existing_both_say_that_a_profile_is_a_member(store, statuses, found):
    export = exported(store, *PEOPLE, segments={"choices": (segment(statuses=statuses),)})
    assert names(export.rows) == found
    assert export.counters["profiles"] == len(found)
    assert export.counters["namespace:CRM"] == len(found)


def test_membership_in_any_of_several_segments_is_enough(store):
    export = exported(store, *PEOPLE, segments={"choices": (segment("vip"), segment("other"))})
    assert names(export.rows) == ["ann", "bob", "dan"]


def test_a_segment_nobody_knows_leaves_one_empty_part_with_the_whole_schema(store):
    export = exported(store, *PEOPLE, segments={"choices": (segment("nosuch"),)})
    assert export.rows == []
    assert "segmentMembership" in export.tables[0].column_names


def test_namespaces_of_segments_are_matched_without_regard_to_case(store):
    ann = {**a_person("ann"), "segmentMembership": {"UPS": {"vip": since(1)}}}
    bob = {**a_person("bob"), "segmentMembership": {"aam": {"vip": since(1)}}}
    export = exported(store, ann, bob, segments={"choices": (segment(namespace="Ups"),)})
    assert names(export.rows) == ["ann"]


def test_of_two_spellings_of_a_namespace_the_latest_word_counts(store):
    left = {"ups": {"vip": since(1)}, "UPS": {"vip": since(2, EXITED)}}
    came = {"ups": {"vip": since(2)}, "UPS": {"vip": since(1, EXITED)}}
    people = [
        {**a_person("ann"), "segmentMembership": left},
        {**a_person("bob"), "segmentMembership": came},
    ]
    export = exported(store, *people, segments={"choices": (segment(),)})
    assert names(export.rows) == ["bob"]


@pytest.mark.parametrize(
    ("after", "until", "found"),
    [
        (None, None, ["ann", "bob", "fay"]),
        (day(2), None, ["bob"]),
        (None, day(1), ["ann"]),
        (day(1), day(2), ["ann", "bob"]),
    ],
)
def test_qualification_is_bounded_on_both_ends_and_needs_a_time_then(store, after, until, found):
    fay = a_person("fay", vip={"status": "realized"})
    export = exported(
        store,
        *PEOPLE,
        fay,
        segments={"choices": (segment(),), "qualified_from": after, "qualified_until": until},
    )
    assert names(export.rows) == found


def test_membership_is_decided_after_merging(store):
    export = store.export_of(
        a_batch("crm", 1, a_person("ann", vip=since(1))),
        a_batch("loyalty", 2, a_person("ann", vip=since(2, EXITED))),
        segments=SegmentFilter(choices=(segment(),)),
    )
    assert export.rows == []


def test_memberships_need_not_be_exported_to_be_filtered_by(store):
    export = exported(store, *PEOPLE, segments={"choices": (segment(),)}, fields=(("first",),))
    assert names(export.rows) == ["ann", "bob"]
    assert export.tables[0].column_names == ["first"]


def test_profiles_without_a_record_are_members_of_nothing(store):
    export = store.export_of(
        a_batch("crm", 1, a_person("ann", vip=since(1))),
        an_event_batch("clicks", 2, {"identityMap": named("crm:zoe"), "timestamp": day(1)}),
        segments=SegmentFilter(choices=(segment(),)),
        with_empty_profiles=True,
        events=ALL_EVENTS,
    )
    assert names(export.rows) == ["ann"]


def test_every_segment_has_a_part_of_its_own_in_the_order_asked_for(store, monkeypatch):
    monkeypatch.setattr(plan, "BATCHES_OF_A_TASK", 2)
    choices = (segment("other"), segment("vip"), segment("nosuch"))
    export = exported(store, *PEOPLE, segments={"choices": choices, "is_split": True})
    assert [names(export.of_batch(place)) for place in range(3)] == [["dan"], ["ann", "bob"], []]
    assert len({table.schema for table in export.tables}) == 1
    assert export.planned.task_count == 2
    assert export.counters["profiles"] == 3


def test_rows_of_many_segments_do_not_wait_for_full_row_groups(store):
    export = exported(
        store,
        *PEOPLE,
        segments={"choices": (segment(), segment(), segment("other")), "is_split": True},
        slice_size_bytes=1,
    )
    assert names(export.of_batch(0)) == names(export.of_batch(1)) == ["ann", "bob"]
