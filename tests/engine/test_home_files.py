"""Home files spare work and change nothing: no byte of an export, whoever has moved since."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.merge_policies import IdentityGraph
from catalog.store_files import StoreFileKind
from service.engine import home_files, moves
from service.engine.home_files import BROUGHT_HOME
from service.engine.labels import PROFILE_HI, PROFILE_LO, keys_of
from service.engine.neighbours import numbers_in_order
from service.engine.plan import load_plan
from service.engine.store_files import StoreFile
from tests.engine.builders import (
    STITCHED,
    Store,
    a_batch,
    an_event_batch,
    an_order,
    day,
    key_of,
    named,
)
from tests.engine.tables import a_table, every, export_table, last, leaf
from tests.engine.test_compaction import grouped, in_order, without
from tests.engine.test_merge_properties import QUICKLY, UNLINKED, choices, worlds

depths = st.integers(0, 4)

RULES = {
    "marked": "mark.isNotNull()",
    "seen": "exists E from xEvent where E.mark.isNotNull()",
    "plain": "mark.isNull()",
}


def labelling_of(store, files):
    """The labelling that an export of some files makes; None when nobody is linked."""
    made = store.export(an_order(files=in_order(files), identity_graph=STITCHED)).planned.labelling
    return None if made is None else made.key


def sized(data):
    """Limits that are met by small stores too."""
    depth = data.draw(depths)
    limit = data.draw(st.sampled_from([50, 3, 2]))
    stack = ExitStack()
    for module, name, value in [
        (home_files, "MOST_IDENTITIES", limit),
        (moves, "MOST_IDENTITIES", limit),
        (moves, "WORTH_READING", data.draw(st.sampled_from([0, 0, 4]))),
        (home_files, "RUN_BYTES", data.draw(st.sampled_from([1, 200, 1 << 20]))),
        (home_files, "depth_for", lambda _: depth),
    ]:
        stack.enter_context(patch.object(module, name, value))
    return stack


def kept_at_home(data, store, batches):
    """Put batches into a store, compact some, and bring some home; give files and home files."""
    puts = [store.put(batch, depth=data.draw(depths), group_rows=2) for batch in batches]
    files = [file for put in puts for file in put]
    known = [
        labelling_of(store, [file for put in puts[:count] for file in put])
        for count in data.draw(st.sets(st.integers(1, max(1, len(puts))), max_size=2))
    ]
    compacted = []
    for group in grouped(files):
        cut = data.draw(st.integers(0, len(group)))
        compacted += [*(store.compact(group[:cut]) if cut else []), *group[cut:]]
    homes = []
    for file in compacted:
        labelling = data.draw(st.sampled_from([*known, None]))
        if labelling is not None and file.kind in BROUGHT_HOME:
            homes.append(store.home_of(file, labelling))
    return compacted, tuple(homes)


def stitched(data, files, profile_fields, event_fields, **more):
    """An order of all fields of profiles that are united, in slices of some size."""
    return an_order(
        files=in_order(files),
        profile_fields=tuple(field.to_json() for field in profile_fields),
        event_fields=tuple(field.to_json() for field in event_fields),
        identity_graph=STITCHED,
        slice_size_bytes=data.draw(st.sampled_from([300, 1000])),
        threads=1,
        **more,
    )


@QUICKLY
@given(st.data())
def test_tables_have_the_same_bytes_with_home_files(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    with sized(data), tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files, homes = kept_at_home(data, store, batches)
        order = stitched(
            data,
            files,
            profile_fields,
            event_fields,
            table=a_table(last("crm", "crm"), every("web", "web"), leaf("mark", "mark")),
        )
        plain = export_table(store, order, "plain")
        spared = export_table(store, order, "spared", homes=homes)
        assert spared.whole == plain.whole


@QUICKLY
@given(st.data())
def test_an_export_has_the_same_bytes_with_home_files_by_whatever_labelling(data):
    batches, profile_fields, event_fields = data.draw(worlds(is_evolving=data.draw(st.booleans())))
    chosen = data.draw(choices(profile_fields, event_fields))
    graphs = [IdentityGraph.PRIVATE, IdentityGraph.PRIVATE, IdentityGraph.NONE]
    chosen |= {
        "identity_graph": data.draw(st.sampled_from(graphs)),
        "slice_size_bytes": data.draw(st.sampled_from([300, 1000])),
        "threads": data.draw(st.sampled_from([1, 1, 1, 3])),
    }
    with sized(data), tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        compacted, homes = kept_at_home(data, store, batches)

        def must_be_alike(some):
            order = an_order(files=in_order(some), **chosen)
            plain = store.export(order)
            spared = store.export(order.model_copy(update={"homes": homes}))
            assert [part.sha256 for part in spared.parts] == [part.sha256 for part in plain.parts]
            assert spared.counters == plain.counters
            assert spared.exclusions == plain.exclusions

        must_be_alike(compacted)
        if batches:
            gone = data.draw(st.sampled_from(batches)).ingest_number
            must_be_alike(without(compacted, gone))


def segmented(store, order, homes, **told):
    """What a segment job writes and counts, with home files and without."""
    kept = store.segment(order.model_copy(update={"homes": homes}), RULES, **told)
    return kept, [(task.sha256, task.profile_count, task.by_namespace) for task in kept.tasks]


@QUICKLY
@given(st.data())
def test_a_segment_job_finds_the_same_members_with_home_files(data):
    batches, profile_fields, event_fields = data.draw(worlds())
    with sized(data), tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files, homes = kept_at_home(data, store, batches)
        order = stitched(data, files, profile_fields, event_fields)
        kept, plain = segmented(store, order, (), at=day(9))
        _, spared = segmented(store, order, homes, at=day(9))
        assert spared == plain
        if batches:
            gone = data.draw(st.sampled_from(batches)).ingest_number
            order = order.model_copy(update={"files": in_order(without(files, gone))})
        _, plain = segmented(store, order, (), at=day(12), before=[kept])
        _, spared = segmented(store, order, homes, at=day(12), before=[kept])
        assert spared == plain


@pytest.fixture
def world(store):
    """Twenty people with two identities each, one of which only events know, and their files."""
    people = [
        a_batch("crm", 1, *({"identityMap": named(f"crm:{n}", f"web:{n}")} for n in range(20)))
    ]
    events = [an_event_batch("clicks", 2, *({"identityMap": named(f"web:{n}")} for n in range(20)))]
    return [file for batch in (*people, *events) for file in store.put(batch)]


def planned(store, files, homes):
    order = an_order(
        files=in_order(files), homes=tuple(homes), identity_graph=STITCHED, slice_size_bytes=200
    ).model_copy(update={"with_empty_profiles": True})
    exported = store.export(order)
    return load_plan(exported.planned.key, store.files), exported


def homes_of(store, files, labelling):
    return [store.home_of(file, labelling) for file in files if file.kind in BROUGHT_HOME]


def rows_moved(store, plan):
    """Of all but identities, which every plan brings home anew, each once."""
    moved = [run for run in plan.runs if run.kind is not StoreFileKind.IDENTITIES]
    runs = [StoreFile(store.files.open(run.key)) for run in moved]
    return sum(sum(run.layout.row_counts) for run in runs)


def test_a_plan_moves_nothing_where_nobody_moved_since_home_files_were_written(store, world):
    before, plain = planned(store, world, [])
    homes = homes_of(store, world, plain.planned.labelling.key)
    after, spared = planned(store, world, homes)
    assert rows_moved(store, before) > 5
    assert rows_moved(store, after) == 0
    assert {home.key for home in after.homes} == {home.key for home in homes}
    assert [home.leavers for home in after.homes] == [None] * len(homes)
    assert spared.parts[0].sha256 == plain.parts[0].sha256


def test_a_plan_moves_the_rows_of_those_alone_who_moved_since(store, world):
    _, plain = planned(store, world, [])
    homes = homes_of(store, world, plain.planned.labelling.key)
    met = a_batch("crm", 3, {"identityMap": named("crm:3", "web:5")})
    files = [*world, *store.put(met)]
    before, without_homes = planned(store, files, [])
    after, spared = planned(store, files, homes)
    assert 0 < rows_moved(store, after) < 5 < rows_moved(store, before)
    assert all(home.leavers is not None for home in after.homes)
    assert [part.sha256 for part in spared.parts] == [part.sha256 for part in without_homes.parts]


def test_home_files_are_passed_over_when_they_or_their_labelling_are_lost(store, world):
    _, plain = planned(store, world, [])
    homes = homes_of(store, world, plain.planned.labelling.key)
    store.files.delete(homes[0].key)
    plan, spared = planned(store, world, homes)
    assert {home.key for home in plan.homes} == {home.key for home in homes[1:]}
    assert spared.parts[0].sha256 == plain.parts[0].sha256
    store.files.delete(plain.planned.labelling.key)
    plan, spared = planned(store, world, homes)
    assert plan.homes == ()
    assert spared.parts[0].sha256 == plain.parts[0].sha256


def test_home_files_are_passed_over_when_most_have_moved(store, world):
    _, plain = planned(store, world, [])
    homes = homes_of(store, world, plain.planned.labelling.key)
    everybody = named("crm:1", *(f"crm:{n}" for n in range(2, 20)))
    files = [*world, *store.put(a_batch("crm", 3, {"identityMap": everybody}))]
    plan, _ = planned(store, files, homes)
    assert plan.homes == ()


def test_a_home_file_has_the_rows_of_strays_by_profile_and_no_others(store, world):
    _, plain = planned(store, world, [])
    (events,) = [file for file in world if file.kind is StoreFileKind.EVENTS]
    home = store.home_of(events, plain.planned.labelling.key)
    rows = StoreFile(store.files.open(home.key)).slice(
        0, 0, ("_key_hi", "_key_lo", PROFILE_HI, PROFILE_LO)
    )
    profiles = numbers_in_order(keys_of(rows, PROFILE_HI, PROFILE_LO))
    assert profiles == sorted(key_of(("crm", str(n))) for n in range(20))
    assert set(numbers_in_order(keys_of(rows))) == {key_of(("web", str(n))) for n in range(20)}
