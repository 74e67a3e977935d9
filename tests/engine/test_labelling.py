"""Labellings are one and the same however they come about: at once, by and by, by way of disk."""

import tempfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from service.engine.labelling import Labeller
from service.engine.labels import SCHEMA, open_labels
from service.engine.link_ends import depth_within
from service.engine.orders import SavedLabelling
from service.engine.snapshot import Snapshot
from service.engine.store_files import StoreFile
from tests.engine.builders import (
    STITCHED,
    Store,
    a_batch,
    an_event_batch,
    an_order,
    key_of,
    named,
)
from tests.engine.oracle import Graph, identities_of

people = st.sampled_from([f"{namespace}:{n}" for namespace in ("crm", "email") for n in range(12)])
rows = st.lists(people, min_size=1, max_size=4, unique=True)
#: Data set and rows; the last named data set has records of one identity only.
batches = st.lists(
    st.tuples(st.sampled_from(["crm", "clicks", "shop"]), st.lists(rows, min_size=1, max_size=4)),
    min_size=1,
    max_size=6,
)
IN_ONE, IN_MANY = 1 << 30, 1_000


def stored(store, drawn):
    """Store batches in the order they were drawn, and give each with its files."""
    made = []
    for number, (dataset_id, named_rows) in enumerate(drawn, start=1):
        one = an_event_batch if dataset_id == "clicks" else a_batch
        made.append(one(dataset_id, number, *({"identityMap": named(*r)} for r in named_rows)))
    return [(batch, store.put(batch, depth=2)) for batch in made]


def an_order_of(stored_batches, **changes):
    files = tuple(file for _, own in stored_batches for file in own)
    batches = [batch for batch, _ in stored_batches]
    return an_order(batches, files=files, identity_graph=STITCHED, **changes)


def labelled(store, stored_batches, folder, **changes):
    """Label a snapshot; give the labelling as later orders are told of it, None without links."""
    order = an_order_of(stored_batches, **changes)
    labeller = Labeller(Snapshot(order), store.files)
    if labeller.saved_key is not None:
        return order.labelling
    if not labeller.is_needed:
        return None
    written = labeller.write(f"{folder}/labels.parquet")
    commit = max(file.added for file in order.files)
    return SavedLabelling(key=written.key, commit=commit, main_dataset_id=written.main_dataset_id)


def rows_of(store, labelling):
    if labelling is None:
        return []
    return StoreFile(store.files.open(labelling.key)).slice(0, 0, SCHEMA.names).to_pylist()


@given(batches)
@settings(max_examples=40, deadline=None)
def test_a_labelling_says_of_every_linked_identity_what_its_profile_is(drawn):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        made = stored(store, drawn)
        graph, main = Graph(), set()
        labelling = labelled(store, made, "once")
        for batch, _ in made:
            for row in batch.rows:
                identities, primary = identities_of(row, ())
                graph.link(identities)
                if labelling and batch.dataset_id == labelling.main_dataset_id:
                    main.add(primary)
        linked = {i: group for i, group in graph.component.items() if len(group) > 1}
        expected = [
            {
                "key": key_of(one),
                "profile": min(map(key_of, main & group or group)),
                "count": len(group),
                "is_main": one in main,
            }
            for one, group in sorted(linked.items(), key=lambda item: key_of(item[0]))
        ]
        found = [
            {
                "key": row["_key_hi"] << 64 | row["_key_lo"],
                "profile": row["_profile_hi"] << 64 | row["_profile_lo"],
                "count": row["_identity_count"],
                "is_main": row["_is_main"],
            }
            for row in rows_of(store, labelling)
        ]
        assert found == expected


@given(batches, st.data())
@settings(max_examples=40, deadline=None)
def test_by_and_by_or_at_once_in_memory_or_on_disk_the_labelling_is_the_same(drawn, data):
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        made = stored(store, drawn)
        at_once = rows_of(store, labelled(store, made, "once"))
        sizes = st.sampled_from([IN_ONE, IN_MANY])
        saved = None
        cuts = data.draw(st.sets(st.integers(1, len(made))).map(sorted))
        for cut in (*cuts, len(made)):
            saved = labelled(
                store,
                made[:cut],
                f"until-{cut}-{data.draw(st.integers(0, 2**32))}",
                labelling=saved,
                labelling_size_bytes=data.draw(sizes),
            )
        assert rows_of(store, saved) == at_once


def test_a_labelling_that_knows_all_links_is_used_as_it_is(tmp_path):
    store = Store(tmp_path)
    made = stored(store, [("crm", [["crm:1", "email:1"]]), ("shop", [["email:2"]])])
    saved = labelled(store, made[:1], "first")
    order = an_order_of(made, labelling=saved)
    assert Labeller(Snapshot(order), store.files).saved_key == saved.key


def test_exports_with_and_without_a_saved_labelling_are_the_same_bytes(tmp_path):
    store = Store(tmp_path)
    drawn = [
        ("crm", [[f"crm:{n}"] for n in range(9)]),
        ("clicks", [[f"email:{n}", f"crm:{n}"] for n in range(5)]),
        ("shop", [[f"email:{n}"] for n in range(9)]),
        ("clicks", [["email:7", "crm:8"], ["email:2", "crm:5"]]),
    ]
    made = stored(store, drawn)
    saved = labelled(store, made[:2], "first")
    order = an_order_of(made, slice_size_bytes=500)
    plain = store.export(order)
    extended = store.export(order.model_copy(update={"labelling": saved}))
    assert plain.planned.labelling is not None
    again = SavedLabelling(
        key=extended.planned.labelling.key,
        commit=4,
        main_dataset_id=extended.planned.labelling.main_dataset_id,
    )
    reused = store.export(order.model_copy(update={"labelling": again}))
    assert reused.planned.labelling is None
    hashes = [[part.sha256 for part in each.parts] for each in (plain, extended, reused)]
    assert hashes[0] == hashes[1] == hashes[2]


def test_profiles_over_the_limit_are_excluded_whole(tmp_path):
    store = Store(tmp_path)
    made = stored(store, [("crm", [["crm:1", "crm:2", "crm:3"], ["crm:5", "crm:6"]])])
    saved = labelled(store, made, "first")
    excluded = open_labels(saved.key, store.files, 2).excluded()
    assert excluded.profile_count == 1
    found = {
        hi << 64 | lo
        for hi, lo in zip(excluded.identity.hi.tolist(), excluded.identity.lo.tolist(), strict=True)
    }
    assert found == {key_of(("crm", str(n))) for n in (1, 2, 3)}
    assert open_labels(saved.key, store.files, 3).excluded().profile_count == 0


@pytest.mark.parametrize(
    ("ends", "budget", "depth"), [(0, 1, 0), (10, 1 << 20, 0), (1 << 20, 1 << 20, 7)]
)
def test_links_are_divided_until_one_bucket_fits(ends, budget, depth):
    assert depth_within(ends, budget) == depth
