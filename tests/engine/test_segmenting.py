"""Who enters, stays in and leaves segments, and what exports tell of it; one example each."""

from datetime import timedelta

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from catalog.segments import MembershipStatus
from service.engine.orders import Evaluation, Rule, SegmentChoice, SegmentFilter
from tests.engine.builders import (
    ALL_EVENTS,
    STITCHED,
    a_batch,
    an_event_batch,
    an_order,
    day,
    named,
    text,
    with_kept,
)

REALIZED, EXISTING, EXITED = MembershipStatus
MEMBERS = (REALIZED, EXISTING)
EVENT_FIELDS = (
    Field("_id", Kind.STRING),
    Field("timestamp", Kind.TIMESTAMP),
    text("kind"),
    IDENTITY_MAP,
)


def a_person(name, **fields):
    return {"identityMap": named(f"crm:{name}"), "first": name, **fields}


class Told:
    """Batches in a store, and orders for all of them."""

    def __init__(self, store, *batches, **changes):
        self.store = store
        self.batches = list(batches)
        self.files = [file for batch in batches for file in store.put(batch)]
        self.changes = changes

    def add(self, batch):
        self.batches.append(batch)
        self.files += self.store.put(batch)

    def order(self, *kept, **changes):
        told = {"files": tuple(self.files), **self.changes, **changes}
        return with_kept(an_order(self.batches, **told), *kept)

    def segment(self, rules, *, at, before=()):
        return self.store.segment(self.order(), rules, at=at, before=before)

    def export(self, *kept, **changes):
        return self.store.export(self.order(*kept, **changes)).rows


def own(row):
    """What a row says of the service's own segments."""
    told = (row.get("segmentMembership") or {}).get("ups", {})
    return {id: (one["status"], one["lastQualificationTime"]) for id, one in told.items()}


def memberships(rows):
    return {row["first"]: own(row) for row in rows}


def in_segments(*ids, statuses=MEMBERS, **filter):
    choices = tuple(SegmentChoice(segment_id=id, namespace="ups", statuses=statuses) for id in ids)
    return SegmentFilter(choices=choices, **filter)


def names(rows):
    return sorted(row["first"] for row in rows)


def test_who_qualifies_is_shown_from_then_on(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A"), a_person("bob", last="B")))
    kept = told.segment({"a": 'last = "A"', "all": "first.isNotNull()"}, at=day(2))
    assert memberships(told.export(kept)) == {
        "ann": {"a": ("realized", day(2)), "all": ("realized", day(2))},
        "bob": {"all": ("realized", day(2))},
    }
    assert (kept.count("entered", "a"), kept.count("entered", "all")) == (1, 2)
    assert sum(task.profile_count for task in kept.tasks) == 2


def test_who_still_qualifies_keeps_the_time_and_who_does_not_leaves(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A"), a_person("bob", last="A")))
    rules = {"a": 'last = "A"'}
    first = told.segment(rules, at=day(2))
    told.add(a_batch("crm", 3, a_person("bob", last="B"), a_person("cid", last="A")))
    second = told.segment(rules, at=day(4), before=[first])
    assert memberships(told.export(first, second)) == {
        "ann": {"a": ("realized", day(2))},
        "bob": {"a": ("exited", day(4))},
        "cid": {"a": ("realized", day(4))},
    }
    counts = [second.count(name, "a") for name in ("entered", "stayed", "left")]
    assert counts == [1, 1, 1]


def test_who_comes_back_enters_anew(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A")))
    kept = []
    for number, last in enumerate("ABA", 2):
        told.add(a_batch("crm", number * 10, a_person("ann", last=last)))
        kept.append(told.segment({"a": 'last = "A"'}, at=day(number), before=kept))
    assert memberships(told.export(*kept)) == {"ann": {"a": ("realized", day(4))}}


def test_who_left_is_forgotten_after_thirty_days(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A")))
    rules = {"a": 'last = "A"'}
    kept = [told.segment(rules, at=day(2))]
    told.add(a_batch("crm", 3, a_person("ann", last="B")))
    kept.append(told.segment(rules, at=day(4), before=kept))
    kept.append(told.segment(rules, at=day(34), before=kept))
    assert memberships(told.export(*kept)) == {"ann": {"a": ("exited", day(4))}}
    kept.append(told.segment(rules, at=day(34) + timedelta(seconds=1), before=kept))
    assert memberships(told.export(*kept)) == {"ann": {}}


def test_of_each_segment_the_last_job_that_evaluated_it_counts(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A")))
    first = told.segment({"a": 'last = "A"', "b": 'last = "A"'}, at=day(2))
    second = told.segment({"b": 'last = "B"'}, at=day(3), before=[first])
    assert memberships(told.export(first, second)) == {
        "ann": {"a": ("realized", day(2)), "b": ("exited", day(3))}
    }


def test_events_decide_also_for_profiles_without_a_record(store):
    def click(name, kind):
        return {"identityMap": named(f"crm:{name}"), "timestamp": day(1), "kind": kind}

    told = Told(
        store,
        a_batch("crm", 1, a_person("ann"), a_person("bob")),
        an_event_batch("web", 2, click("ann", "buy"), click("bob", "look"), click("zoe", "buy")),
    )
    kept = told.segment({"a": 'exists E from xEvent where E.kind = "buy"'}, at=day(3))
    assert kept.count("entered", "a") == 2
    assert memberships(told.export(kept)) == {"ann": {"a": ("realized", day(3))}, "bob": {}}
    rows = told.export(kept, segments=in_segments("a"), with_empty_profiles=True, events=ALL_EVENTS)
    assert len(rows) == 2


def test_members_are_counted_by_the_namespaces_of_their_identities(store):
    told = Told(
        store,
        a_batch(
            "crm",
            1,
            {"identityMap": named("crm:ann", "email:a@x"), "first": "ann"},
            {"identityMap": named("crm:bob"), "first": "bob"},
        ),
    )
    kept = told.segment({"all": "first.isNotNull()", "ann": 'first = "ann"'}, at=day(2))
    (task,) = kept.tasks
    assert task.by_namespace == {"CRM": (2, 1), "Email": (1, 1)}


def test_own_memberships_stand_beside_ingested_ones_and_before_those_of_the_same_segment(store):
    since = {"status": "realized", "lastQualificationTime": day(9)}
    left = {"status": "exited", "lastQualificationTime": day(9)}
    ingested = {"AAM": {"a": left}, "UPS": {"a": left, "x": since}, "ups": {"y": since}}
    told = Told(store, a_batch("crm", 1, a_person("ann", segmentMembership=ingested)))
    kept = told.segment({"a": 'first = "ann"'}, at=day(2))
    (row,) = told.export(kept)
    shown = {
        namespace: {id: one["status"] for id, one in segments.items()}
        for namespace, segments in row["segmentMembership"].items()
    }
    assert shown == {
        "AAM": {"a": "exited"},
        "UPS": {"x": "realized"},
        "ups": {"a": "realized", "y": "realized"},
    }
    assert names(told.export(kept, segments=in_segments("a"))) == ["ann"]
    assert names(told.export(kept, segments=in_segments("x"))) == ["ann"]
    assert told.export(kept, segments=in_segments("a", statuses=(EXITED,))) == []


def test_filters_by_own_segments_need_no_map_of_memberships(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A"), a_person("bob", last="B")))
    kept = told.segment({"a": 'last = "A"', "b": 'last = "B"'}, at=day(2))
    rows = told.export(kept, segments=in_segments("a", "b"), fields=(("first",),))
    assert sorted(row["first"] for row in rows) == ["ann", "bob"]
    assert told.export(kept, segments=in_segments("a"), fields=(("first",),)) == [{"first": "ann"}]
    late = in_segments("a", qualified_from=day(3))
    assert told.export(kept, segments=late, fields=(("first",),)) == []


def test_of_joined_profiles_the_latest_word_counts_and_members_win_a_tie(store):
    told = Told(
        store,
        a_batch("crm", 1, a_person("ann", last="A"), a_person("bob", last="A")),
        identity_graph=STITCHED,
    )
    first = told.segment({"a": 'last = "A"'}, at=day(2))
    told.add(a_batch("crm", 3, a_person("bob", last="B")))
    second = told.segment({"a": 'last = "A"'}, at=day(4), before=[first])
    told.add(a_batch("web", 5, {"identityMap": named("crm:ann", "crm:bob")}))
    (row,) = told.export(first, second)
    assert own(row) == {"a": ("exited", day(4))}
    third = told.segment({"a": "first.isNotNull()"}, at=day(6), before=[first, second])
    (row,) = told.export(first, second, third)
    assert own(row) == {"a": ("realized", day(6))}


def test_an_export_may_evaluate_by_itself_and_keeps_nothing(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A"), a_person("bob", last="B")))
    kept = told.segment({"a": 'last = "B"', "old": "first.isNotNull()"}, at=day(2))
    evaluation = Evaluation(rules=(Rule(segment_id="a", text='last = "A"'),), evaluated_at=day(5))
    rows = told.export(kept, evaluation=evaluation)
    assert memberships(rows) == {
        "ann": {"a": ("realized", day(5)), "old": ("realized", day(2))},
        "bob": {"a": ("exited", day(5)), "old": ("realized", day(2))},
    }
    rows = told.export(kept, evaluation=evaluation, segments=in_segments("a"))
    assert names(rows) == ["ann"]
    assert memberships(told.export(kept))["bob"]["a"] == ("realized", day(2))


def test_rules_may_ask_for_identities_and_for_memberships(store):
    since = {"status": "realized", "lastQualificationTime": day(1)}
    told = Told(
        store,
        a_batch(
            "crm",
            1,
            a_person("ann", segmentMembership={"AAM": {"x": since}}),
            {"identityMap": named("crm:bob", "email:b@x"), "first": "bob"},
            fields=(text("first"), SEGMENT_MEMBERSHIP, IDENTITY_MAP),
        ),
    )
    rules = {
        "mail": 'identityMap.keys().includes("Email")',
        "x": 'segmentMembership.get("AAM").get("x").status = "realized"',
    }
    kept = told.segment(rules, at=day(2))
    found = {name: sorted(ids) for name, ids in memberships(told.export(kept)).items()}
    assert found == {"ann": ["x"], "bob": ["mail"]}


def test_an_empty_store_has_no_members(store):
    told = Told(store)
    kept = told.segment({"a": "true"}, at=day(2))
    assert kept.count("entered", "a") == 0
    assert told.export(kept) == []


def test_a_membership_with_a_time_to_live_says_so_and_ends(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A")))
    kept = told.segment({"a": 'last = "A"'}, at=day(2))

    def exported(at, **changes):
        order = with_kept(told.order(asked_at=at, **changes), kept, ttl_days={"a": 5})
        return store.export(order).rows

    (row,) = exported(day(7) - timedelta(microseconds=1))
    assert row["segmentMembership"]["ups"]["a"]["validUntil"] == day(7)
    assert memberships(exported(day(7))) == {"ann": {}}
    assert exported(day(7), segments=in_segments("a")) == []


def test_exits_are_told_of_for_thirty_days_also_without_another_job(store):
    told = Told(store, a_batch("crm", 1, a_person("ann", last="A")))
    kept = [told.segment({"a": 'last = "A"'}, at=day(2))]
    told.add(a_batch("crm", 3, a_person("ann", last="B")))
    kept.append(told.segment({"a": 'last = "A"'}, at=day(4), before=kept))
    assert memberships(told.export(*kept, asked_at=day(34)))["ann"]
    late = day(34) + timedelta(seconds=1)
    assert memberships(told.export(*kept, asked_at=late)) == {"ann": {}}
