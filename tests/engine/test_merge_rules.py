"""The rules of ``docs/merging.md``, one example each."""

from datetime import UTC, datetime

from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind
from service.engine.orders import EventChoice
from tests.engine.builders import (
    ALL_EVENTS,
    EVENT_FIELDS,
    RANKED,
    STITCHED,
    Store,
    a_batch,
    an_event_batch,
    an_object,
    day,
    key_of,
    named,
    text,
)
from tests.engine.people import a_click, event_ids, first_names, only, person


def test_the_newest_fragment_that_has_a_value_wins_and_older_ones_fill_the_gaps(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann", last="Old")),
        a_batch("loyalty", 2, person(first="Anna")),
    )
    assert (only(exported.rows)["first"], only(exported.rows)["last"]) == ("Anna", "Old")


def test_a_superseded_records_fields_do_not_come_back(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann", last="Old")),
        a_batch("crm", 2, person(first="Anna")),
    )
    assert only(exported.rows)["last"] is None


def test_a_later_row_of_one_batch_replaces_the_earlier_one_whole(store):
    exported = store.export_of(a_batch("crm", 1, person(last="Old"), person(first="Anna")))
    assert (only(exported.rows)["first"], only(exported.rows)["last"]) == ("Anna", None)


def test_patches_of_an_upsert_data_set_add_up(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann", last="Old"), is_upsert=True),
        a_batch("crm", 2, person(first="Anna"), is_upsert=True),
    )
    assert (only(exported.rows)["first"], only(exported.rows)["last"]) == ("Anna", "Old")


def test_a_patched_fragment_is_as_strong_as_its_latest_patch(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann"), is_upsert=True),
        a_batch("loyalty", 2, person(first="Anna")),
        a_batch("crm", 3, person(last="New"), is_upsert=True),
    )
    assert only(exported.rows)["first"] == "Ann"


def test_a_data_set_that_became_an_upsert_one_patches_its_last_whole_row(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann")),
        a_batch("crm", 2, person(last="New")),
        a_batch("crm", 3, person(first="Anna"), is_upsert=True),
    )
    assert (only(exported.rows)["first"], only(exported.rows)["last"]) == ("Anna", "New")


def test_empty_texts_and_lists_are_values(store):
    fields = (text("first"), Field("tags", Kind.ARRAY, element=text("tag")))
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann", tags=["a"]), fields=fields),
        a_batch("loyalty", 2, person(first="", tags=[]), fields=fields),
    )
    assert (only(exported.rows)["first"], only(exported.rows)["tags"]) == ("", [])


def test_objects_merge_leaf_by_leaf_and_are_null_when_nothing_lies_beneath(store):
    name = an_object("name", text("first"), text("last"))
    home = an_object("home", an_object("address", text("city")))
    fields = (an_object("person", name, text("title")), home)
    exported = store.export_of(
        a_batch("crm", 1, person(person={"name": {"first": "Ann", "last": "A"}}), fields=fields),
        a_batch("loyalty", 2, person(person={"name": {"first": "Anna"}}), fields=fields),
    )
    row = only(exported.rows)
    assert row["person"] == {"name": {"first": "Anna", "last": "A"}, "title": None}
    assert row["home"] is None


def test_row_order_within_a_batch_decides_between_identities_of_one_profile(store):
    both = {"identityMap": named("crm:a", "email:b")}
    rows = [
        {"identityMap": named("crm:a"), "first": "from a"},
        {"identityMap": named("email:b"), "first": "from b"},
        {"identityMap": named("crm:a"), "last": "from a again"},
    ]
    exported = store.export_of(
        a_batch("links", 1, both), a_batch("crm", 2, *rows), identity_graph=STITCHED
    )
    assert only(exported.rows)["first"] == "from b"
    assert only(exported.rows)["last"] == "from a again"


def test_the_data_set_listed_first_is_the_strongest_whatever_came_last(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann")),
        a_batch("loyalty", 2, person(first="Anna", last="Loyal")),
        attribute_merge=RANKED,
        dataset_order=("crm", "loyalty"),
    )
    assert (only(exported.rows)["first"], only(exported.rows)["last"]) == ("Ann", "Loyal")


def test_record_data_sets_that_are_not_listed_count_for_nothing(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann")),
        a_batch("shop", 2, {"identityMap": named("crm:ann", "email:x"), "last": "Shop"}),
        a_batch("shop", 3, {"identityMap": named("crm:ben"), "first": "Ben"}),
        attribute_merge=RANKED,
        dataset_order=("crm",),
    )
    row = only(exported.rows)
    assert row["last"] is None
    assert list(row["identityMap"]) == ["CRM"]


def test_without_a_graph_other_identities_only_appear_in_the_map(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann", "email:a"), "first": "Ann"}),
        a_batch("loyalty", 2, {"identityMap": named("email:a"), "first": "Anna"}),
    )
    assert first_names(exported.rows) == ["Ann", "Anna"]


def test_links_of_any_row_make_one_profile_directly_or_through_others(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann", "email:a"), "first": "Ann"}),
        a_batch("loyalty", 2, {"identityMap": named("web:w"), "last": "Web"}),
        an_event_batch("clicks", 3, a_click(identityMap=named("web:w", "email:a"))),
        identity_graph=STITCHED,
    )
    row = only(exported.rows)
    assert (row["first"], row["last"]) == ("Ann", "Web")


def test_a_superseded_rows_links_and_identities_remain(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann", "email:a"), "first": "Ann"}),
        a_batch("crm", 2, person(first="Anna")),
        a_batch("loyalty", 3, {"identityMap": named("email:a"), "last": "Loyal"}),
        identity_graph=STITCHED,
    )
    row = only(exported.rows)
    assert (row["first"], row["last"]) == ("Anna", "Loyal")
    assert list(row["identityMap"]) == ["CRM", "Email"]


def test_unlinked_namespaces_are_named_but_join_nobody(tmp_path):
    store = Store(tmp_path, unlinked=frozenset({"partner"}))
    exported = store.export_of(
        a_batch(
            "crm",
            1,
            {"identityMap": named("crm:ann", "partner:p"), "first": "Ann"},
            {"identityMap": named("crm:ben", "partner:p"), "first": "Ben"},
        ),
        identity_graph=STITCHED,
    )
    assert first_names(exported.rows) == ["Ann", "Ben"]
    assert all("partner" in row["identityMap"] for row in exported.rows)


def test_the_identity_map_has_each_identity_once_in_its_strongest_state(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("CRM:ann", state="authenticated")}),
        a_batch("loyalty", 2, {"identityMap": named("crm:ann", "email:b", "email:a")}),
        an_event_batch("clicks", 3, a_click(identityMap=named("crm:ann", state="loggedOut"))),
    )
    assert only(exported.rows)["identityMap"] == {
        "CRM": [{"id": "ann", "authenticatedState": "authenticated", "primary": True}],
        "Email": [
            {"id": "a", "authenticatedState": "ambiguous", "primary": False},
            {"id": "b", "authenticatedState": "ambiguous", "primary": False},
        ],
    }


def test_the_newest_record_names_the_primary_even_when_data_sets_are_ranked(store):
    exported = store.export_of(
        a_batch("crm", 1, {"identityMap": named("crm:ann", "email:a")}),
        a_batch("loyalty", 2, {"identityMap": named("email:a")}),
        identity_graph=STITCHED,
        attribute_merge=RANKED,
        dataset_order=("crm", "loyalty"),
    )
    identity_map = only(exported.rows)["identityMap"]
    assert [entry["primary"] for entry in identity_map["CRM"]] == [False]
    assert [entry["primary"] for entry in identity_map["Email"]] == [True]


def test_legacy_identities_are_a_view_of_the_map_with_the_fields_asked_for(store):
    batches = [a_batch("crm", 1, {"identityMap": named("crm:ann", "email:a"), "first": "Ann"})]
    whole = store.export_of(*batches, fields=(("identities",), ("first",)))
    assert only(whole.rows) == {
        "first": "Ann",
        "identities": [
            {"id": "ann", "namespace": {"code": "CRM"}, "primary": True},
            {"id": "a", "namespace": {"code": "Email"}, "primary": False},
        ],
    }


def test_of_legacy_identities_only_the_id_when_only_the_id_is_asked_for(store):
    exported = store.export_of(a_batch("crm", 1, person()), fields=(("identities", "id"),))
    assert only(exported.rows) == {"identities": [{"id": "ann"}]}


def member(status, at=None):
    return {"status": status, "lastQualificationTime": at}


def test_the_latest_qualification_wins_segment_by_segment(store):
    old = {"ups": {"a": member("exited", day(9)), "b": member("old")}}
    new = {"ups": {"a": member("realized", day(8)), "b": member("new")}}
    exported = store.export_of(
        a_batch("crm", 1, person(segmentMembership=old)),
        a_batch("loyalty", 2, person(segmentMembership=new)),
    )
    segments = only(exported.rows)["segmentMembership"]["ups"]
    assert {id: one["status"] for id, one in segments.items()} == {"a": "exited", "b": "new"}


def test_a_qualification_at_any_time_beats_one_without_a_time(store):
    long_ago = {"ups": {"a": member("timed", datetime(1601, 1, 1, tzinfo=UTC))}}
    exported = store.export_of(
        a_batch("crm", 1, person(segmentMembership=long_ago)),
        a_batch("loyalty", 2, person(segmentMembership={"ups": {"a": member("untimed")}})),
    )
    assert only(exported.rows)["segmentMembership"]["ups"]["a"]["status"] == "timed"


def test_a_profile_without_a_record_is_exported_only_on_request(store):
    batches = [
        a_batch("crm", 1, person(first="Ann")),
        an_event_batch("clicks", 2, a_click(identityMap=named("web:w"))),
    ]
    without = store.export_of(*batches)
    assert first_names(without.rows) == ["Ann"]
    files = Store(store.files.root / "again")
    assert len(files.export_of(*batches, with_empty_profiles=True).rows) == 2


def test_updates_are_strictly_later_and_events_are_updates(store):
    rows = [{"identityMap": named(f"crm:{name}"), "first": name} for name in "abc"]
    exported = store.export_of(
        a_batch("crm", 1, rows[0]),
        a_batch("crm", 2, rows[1]),
        a_batch("crm", 3, rows[2]),
        an_event_batch("clicks", 4, a_click(identityMap=named("crm:a"))),
        updated_after=day(2),
    )
    assert first_names(exported.rows) == ["a", "c"]


def test_selected_profiles_are_merged_of_old_rows_too(store):
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann")),
        a_batch("loyalty", 3, person(last="New")),
        updated_after=day(2),
    )
    assert only(exported.rows)["first"] == "Ann"


def test_the_events_of_selected_profiles_start_at_their_update_unless_told(store):
    batches = [
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click("old")),
        an_event_batch("clicks", 3, a_click("new")),
    ]
    exported = store.export_of(*batches, updated_after=day(2), events=ALL_EVENTS)
    assert event_ids(only(exported.rows)) == ["new"]
    other = Store(store.files.root / "again")
    told = EventChoice(ingested_after=day(1))
    exported = other.export_of(*batches, updated_after=day(2), events=told)
    assert sorted(event_ids(only(exported.rows))) == ["new", "old"]


def test_a_profile_whose_projected_fields_are_all_null_is_still_a_row(store):
    exported = store.export_of(a_batch("crm", 1, person(first="Ann")), fields=(("last",),))
    assert exported.rows == [{"last": None}]


def test_events_alone_still_come_one_row_a_profile(store):
    exported = store.export_of(
        a_batch("crm", 1, person()),
        an_event_batch("clicks", 2, a_click()),
        fields=(("identityMap",),),
        events=ALL_EVENTS,
    )
    assert list(only(exported.rows)) == ["identityMap", "timeSeriesEvents"]


def test_a_component_with_too_many_identities_is_left_out_and_listed(store):
    crowd = [{"identityMap": named("crm:hub", f"email:{n}")} for n in range(4)]
    exported = store.export_of(
        a_batch("crm", 1, person(first="Ann"), *crowd),
        identity_graph=STITCHED,
        identities_per_profile=4,
    )
    assert first_names(exported.rows) == ["Ann"]
    assert exported.counters["excluded"] == 1
    (listed,) = exported.exclusions
    assert (listed["reason"], listed["identityCount"]) == ("too_many_identities", 5)
    assert listed["identities"] == [
        {"namespace": "CRM", "id": "hub"},
        *({"namespace": "Email", "id": str(n)} for n in range(4)),
    ]


def test_integers_of_one_data_set_become_the_unions_doubles(store):
    exported = store.export_of(
        a_batch("crm", 1, person(score=0.5), fields=(Field("score", Kind.DOUBLE),)),
        a_batch("loyalty", 2, person(score=7), fields=(Field("score", Kind.INTEGER),)),
    )
    assert only(exported.rows)["score"] == 7.0


def test_rows_ascend_by_the_key_of_their_representative(store):
    people = [{"identityMap": named(f"crm:{n}"), "first": f"{n}"} for n in range(30)]
    exported = store.export_of(a_batch("crm", 1, *people), slice_size_bytes=500)
    in_order = sorted(range(30), key=lambda n: key_of(("crm", str(n))))
    assert [row["first"] for row in exported.rows] == [str(n) for n in in_order]


def test_an_export_of_nothing_has_one_empty_part_with_the_whole_schema(store):
    exported = store.export_of(
        fields=(),
        profile_fields=tuple(f.to_json() for f in (text("first"), SEGMENT_MEMBERSHIP)),
        event_fields=tuple(f.to_json() for f in EVENT_FIELDS),
        events=ALL_EVENTS,
    )
    (table,) = exported.tables
    assert table.num_rows == 0
    columns = ["first", "segmentMembership", IDENTITY_MAP.name, "timeSeriesEvents"]
    assert table.column_names == columns
