"""What a look-up shows of a profile is what an export would hold of it, and it can say why."""

import json
import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from catalog.user_lists import ListFormat
from service.engine.labelling import Labeller
from service.engine.looking_up import look_up
from service.engine.lookup_orders import EventPage, LookupOrder
from service.engine.open_store import OpenStore
from service.engine.orders import EventChoice, SavedLabelling
from service.engine.snapshot import Snapshot
from tests.engine.builders import (
    ALL_EVENTS,
    RANKED,
    STITCHED,
    Store,
    a_batch,
    an_event_batch,
    an_order,
    day,
    key_of,
    named,
    text,
)
from tests.engine.oracle import comparable, identities_of, in_any_order
from tests.engine.tables import a_table, export_table, last
from tests.engine.test_merge_properties import QUICKLY, UNLINKED, choices, worlds

EVERYTHING = EventPage(limit=10_000)


def ask(identity):
    namespace, _, value = identity.partition(":")
    return f"{key_of((namespace, value)):032x}"


def looked_up(store, order, *identities, **changes):
    asked = LookupOrder(export=order, identities=tuple(map(ask, identities)), **changes)
    return look_up(asked, OpenStore(store.files)).profiles


def saved_after(store, order, count):
    """The labelling of the first batches of an order, as a later one is told of it."""
    numbers = sorted({file.ingest_number for file in order.files})[:count]
    files = tuple(file for file in order.files if file.ingest_number in numbers)
    labeller = Labeller(Snapshot(order.model_copy(update={"files": files})), store.files)
    if not files or not labeller.is_needed:
        return None
    made = labeller.write("saved/labels")
    commit = max(file.added for file in files)
    return SavedLabelling(key=made.key, commit=commit, main_dataset_id=made.main_dataset_id)


def as_row(found, order):
    events = {} if order.events is None else {"timeSeriesEvents": [e.entity for e in found.events]}
    return {**found.entity, **events}


def entity_value(entity, path):
    for name in path:
        entity = entity[name]
    return entity


@QUICKLY
@given(st.data())
def test_a_look_up_shows_what_an_export_holds(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    chosen = data.draw(choices(profile_fields, event_fields))
    chosen |= {"segments": None, "updated_after": None, "with_empty_profiles": True}
    if chosen["events"] is not None:
        chosen["events"] = EventChoice(fields=chosen["events"].fields)
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        depths = st.integers(0, 4)
        files = [f for b in batches for f in store.put(b, depth=data.draw(depths), group_rows=3)]
        order = an_order(files=tuple(files), **chosen)
        exported = store.export(order)
        saved = saved_after(store, order, data.draw(st.integers(0, len(batches))))
        people = {i for b in batches for row in b.rows for i in identities_of(row, ())[0]}
        found = looked_up(
            store,
            order.model_copy(update={"labelling": saved}),
            *(":".join(one) for one in sorted(people)),
            events=EVERYTHING if order.events is not None else None,
        )
    by_profile = {
        tuple(member.key for member in one.members): one for one in found if not one.is_excluded
    }
    rows = [as_row(one, order) for one in by_profile.values() if one.entity is not None]
    if not order.fields or any(
        path[0] not in ("identityMap", "identities") for path in order.fields
    ):
        assert in_any_order(rows) == in_any_order(exported.rows)
    assert len(rows) == len(exported.rows)
    for one in by_profile.values():
        assert len(one.members) <= order.identities_per_profile


@QUICKLY
@given(st.data())
def test_the_row_that_is_named_for_a_leaf_has_its_value(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    chosen = data.draw(choices(profile_fields, event_fields))
    chosen |= {"segments": None, "updated_after": None, "events": None}
    by_number = {batch.ingest_number: batch for batch in batches}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files = [file for batch in batches for file in store.put(batch)]
        order = an_order(files=tuple(files), **chosen)
        people = {i for b in batches for row in b.rows for i in identities_of(row, ())[0]}
        found = looked_up(
            store, order, *(":".join(one) for one in sorted(people)), with_explanation=True
        )
    for one in found:
        for leaf in one.explanation:
            row = by_number[leaf.source.ingest_number].rows[leaf.source.row]
            _, primary = identities_of(row, ())
            assert leaf.source.dataset_id == by_number[leaf.source.ingest_number].dataset_id
            assert leaf.source.identity.key == f"{key_of(primary):032x}"
            assert leaf.source.identity.key in {member.key for member in one.members}
            value = entity_value(one.entity, leaf.path)
            assert comparable(value) == comparable(entity_value(row, leaf.path))


@QUICKLY
@given(
    st.lists(
        st.lists(
            st.lists(
                st.sampled_from([f"{each}:{n}" for each in ("crm", "email") for n in "abcd"]),
                min_size=1,
                max_size=3,
                unique=True,
            ),
            min_size=1,
            max_size=4,
        ),
        min_size=1,
        max_size=4,
    )
)
def test_the_identity_that_was_named_last_is_the_one_a_table_has(drawn):
    batches = [
        a_batch("crm", number, *({"identityMap": named(*row)} for row in rows))
        for number, rows in enumerate(drawn, start=1)
    ]
    table = a_table(last("crm", "CRM"), last("email", "email"))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        order = an_order_for(store, *batches, identity_graph=STITCHED)
        as_json = table.model_copy(update={"format": ListFormat.JSON})
        text = export_table(store, order, "x", table=as_json).text
        people = sorted({identity for rows in drawn for row in rows for identity in row})
        found = looked_up(store, order, *people)
    rows = {
        namespace: {row["identifications"][namespace]: row["identifications"] for row in rows}
        for rows in [[json.loads(line) for line in text.splitlines()]]
        for namespace in ("crm", "email")
    }
    assert found
    for each in found:
        told = dict(each.last_named)
        assert told
        for namespace, value in told.items():
            row = rows[namespace][value]
            assert {name: row[name] for name in ("crm", "email") if row[name]} == told


def an_order_for(store, *batches, **changes):
    files = tuple(file for batch in batches for file in store.put(batch))
    return an_order(batches, files=files, **changes)


def test_every_leaf_names_the_fragment_that_won_and_the_rule(store):
    fields = (text("first"), text("last"), text("nick"))
    crm = a_batch(
        "crm",
        1,
        {"identityMap": named("crm:1", "email:a"), "first": "Ann", "last": "A"},
        fields=fields,
    )
    shop = a_batch(
        "shop", 2, {"identityMap": named("email:a"), "last": "B", "nick": "annie"}, fields=fields
    )
    newest = an_order_for(store, crm, shop, identity_graph=STITCHED)
    (found,) = looked_up(store, newest, "email:a", with_explanation=True)
    told = {
        leaf.path: (leaf.rule, leaf.source.dataset_id, leaf.beaten_count)
        for leaf in found.explanation
    }
    assert told == {
        ("first",): ("onlyValue", "crm", 0),
        ("last",): ("newestFragment", "shop", 1),
        ("nick",): ("onlyValue", "shop", 0),
    }
    ranked = newest.model_copy(update={"attribute_merge": RANKED, "dataset_order": ("crm", "shop")})
    (found,) = looked_up(store, ranked, "crm:1", with_explanation=True)
    last = next(leaf for leaf in found.explanation if leaf.path == ("last",))
    assert (last.rule, last.source.dataset_id, last.beaten_count) == ("dataSetPrecedence", "crm", 1)
    assert (last.source.identity.namespace, last.source.identity.value) == ("crm", "1")
    assert found.entity["last"] == "A"


def test_a_profile_is_found_by_any_of_its_identities_and_by_its_key(store):
    order = an_order_for(
        store,
        a_batch("crm", 1, {"identityMap": named("crm:1", "email:a"), "first": "Ann"}),
        an_event_batch("clicks", 2, {"identityMap": named("web:x", "email:a"), "_id": "e1"}),
        identity_graph=STITCHED,
    )
    found = looked_up(store, order, "crm:1", "email:a", "web:x")
    assert [one.entity["first"] for one in found] == ["Ann"] * 3
    by_key = LookupOrder(export=order, identities=(found[2].key,))
    assert look_up(by_key, OpenStore(store.files)).profiles[0].members == found[0].members
    assert found[0].dataset_ids == ("clicks", "crm")
    assert found[0].ingest_numbers == (1, 2)
    assert found[0].updated_at == day(2)


def test_without_stitching_a_row_belongs_to_its_primary_identity_alone(store):
    order = an_order_for(
        store, a_batch("crm", 1, {"identityMap": named("crm:1", "email:a"), "first": "Ann"})
    )
    of_primary, of_other = looked_up(store, order, "crm:1", "email:a")
    assert of_primary.entity["first"] == "Ann"
    assert of_other.entity is None


def test_whom_no_row_names_has_nothing(store):
    (found,) = looked_up(store, an_order_for(store), "crm:1", with_explanation=True)
    assert (found.entity, found.updated_at, found.explanation) == (None, None, ())
    assert [(member.namespace, member.value) for member in found.members] == [(None, None)]


@pytest.mark.parametrize("is_saved", [False, True])
def test_more_identities_than_one_person_has_are_said_to_be_too_many(store, is_saved):
    order = an_order_for(
        store,
        a_batch("crm", 1, *({"identityMap": named(f"crm:{n}", "email:a")} for n in range(5))),
        identity_graph=STITCHED,
        identities_per_profile=5,
    )
    if is_saved:
        order = order.model_copy(update={"labelling": saved_after(store, order, 1)})
    (found,) = looked_up(store, order, "crm:3")
    assert found.is_excluded
    assert found.entity is None


def test_events_come_in_pages_by_their_time_in_either_direction(store):
    events = [
        {"identityMap": named("crm:1"), "_id": f"e{n}", "timestamp": day(n)} for n in range(1, 7)
    ]
    order = an_order_for(store, an_event_batch("clicks", 1, *events), events=ALL_EVENTS)

    def page(**asked):
        (found,) = looked_up(store, order, "crm:1", events=EventPage(**asked))
        return [event.id for event in found.events], found.has_more_events

    assert page(limit=4) == (["e1", "e2", "e3", "e4"], True)
    assert page(limit=4, start=4) == (["e5", "e6"], False)
    assert page(limit=2, is_newest_first=True) == (["e6", "e5"], True)
    assert page(since=day(2), until=day(5)) == (["e2", "e3", "e4"], False)


def test_an_event_names_its_row_and_when_it_came(store):
    batch = an_event_batch(
        "clicks",
        3,
        {"identityMap": named("crm:2"), "_id": "other"},
        {"identityMap": named("crm:1"), "_id": "e", "timestamp": day(1)},
    )
    order = an_order_for(store, batch, events=EventChoice(fields=(("kind",),)))
    (found,) = looked_up(store, order, "crm:1", events=EVERYTHING)
    (event,) = found.events
    assert (event.source.dataset_id, event.source.ingest_number, event.source.row) == (
        "clicks",
        3,
        1,
    )
    assert event.source.identity.value == "1"
    assert (event.time, event.ingested_at) == (day(1), day(3))


def test_links_name_the_batches_that_hold_them(store):
    order = an_order_for(
        store,
        a_batch("crm", 1, {"identityMap": named("crm:1", "email:a")}),
        a_batch("shop", 2, {"identityMap": named("email:a", "crm:1")}),
        a_batch("shop", 3, {"identityMap": named("email:b", "crm:2")}),
        identity_graph=STITCHED,
    )
    (found,) = looked_up(store, order, "crm:1", with_profiles=False, with_links=True)
    (link,) = found.links
    assert set(link.keys) == {f"{key_of(('crm', '1')):032x}", f"{key_of(('email', 'a')):032x}"}
    assert link.ingest_numbers == (1, 2)
