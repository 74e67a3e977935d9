"""Compaction changes no export: not at once, not again, and not when a batch is taken back."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from catalog.schemas import Field, Kind
from catalog.store_files import StoreFileKind
from service.engine.compaction import compact
from service.engine.orders import CompactionOrder, Fragments, merger_of
from service.engine.store_files import SOURCE, StoreFile
from tests.engine import oracle
from tests.engine.builders import (
    ALL_EVENTS,
    SECRET,
    STITCHED,
    Store,
    a_batch,
    an_event_batch,
    an_order,
    key_of,
    named,
    text,
)
from tests.engine.oracle import in_any_order
from tests.engine.test_merge_properties import QUICKLY, UNLINKED, choices, worlds


def grouped(files: list[Fragments]) -> list[list[Fragments]]:
    """Files by data set and kind."""
    groups = defaultdict(list)
    for file in files:
        groups[file.dataset_id, file.kind].append(file)
    return list(groups.values())


def without(files: list[Fragments], ingest_number: int) -> list[Fragments]:
    """The files as a snapshot has them from which a batch was taken back."""
    left = []
    for file in files:
        sources = tuple(s for s in file.all_sources if s.ingest_number != ingest_number)
        if sources:
            kept = sources if file.sources else ()
            left.append(file.model_copy(update={"sources": kept}))
    return left


def in_order(files: list[Fragments]) -> tuple[Fragments, ...]:
    return tuple(sorted(files, key=lambda file: (file.ingest_number, file.key)))


@QUICKLY
@given(st.data())
def test_an_export_is_the_same_before_and_after_and_when_a_batch_is_taken_back(data):
    batches, profile_fields, event_fields = data.draw(worlds(is_evolving=data.draw(st.booleans())))
    chosen = data.draw(choices(profile_fields, event_fields))
    cuts = {"slice_size_bytes": data.draw(st.sampled_from([300, 48 << 20]))}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        depths = st.integers(0, 4)
        files = [file for batch in batches for file in store.put(batch, depth=data.draw(depths))]

        def export(some):
            # By profile, whichever identity represents it: which data set weighs most may change.
            order = an_order(files=in_order(some), **chosen, **cuts)
            return in_any_order(store.export(order).rows)

        before = export(files)
        compacted = []
        for group in grouped(files):
            cut = data.draw(st.integers(0, len(group)))
            once = store.compact(group[:cut]) if cut else []
            again = data.draw(st.booleans())
            both = [*once, *group[cut:]]
            compacted += store.compact(both) if again and both else both
        assert export(compacted) == before
        if not batches:
            return
        gone = data.draw(st.sampled_from(batches)).ingest_number
        reverted = without(compacted, gone)
        others = [batch for batch in batches if batch.ingest_number != gone]
        want = oracle.export(others, an_order(**chosen), key_of=key_of, unlinked=UNLINKED)
        assert export(reverted) == in_any_order(want.rows)
        rewritten = [file for group in grouped(reverted) for file in store.compact(group)]
        assert export(rewritten) == in_any_order(want.rows)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


def test_rows_of_a_batch_that_is_gone_are_left_out_for_good(store):
    first = a_batch("crm", 1, {"identityMap": named("crm:1"), "first": "Ann"})
    second = a_batch("crm", 2, {"identityMap": named("crm:2"), "first": "Bob"})
    (group, *_) = grouped([*store.put(first), *store.put(second)])
    (one,) = store.compact(group)
    (two,) = store.compact(without([one], 1))
    rows = StoreFile(store.files.open(two.key)).slice(0, 0, ("first", SOURCE))
    assert rows.to_pylist() == [{"first": "Bob", SOURCE: 0}]
    assert store.compact(without([two], 2) or [two.model_copy(update={"sources": ()})])


def test_a_batch_keeps_its_number_its_time_and_its_manner(store):
    patch = a_batch("crm", 5, {"identityMap": named("crm:1"), "first": "Ann"}, is_upsert=True)
    whole = a_batch("crm", 2, {"identityMap": named("crm:1"), "last": "Lee"})
    (group, *_) = grouped([*store.put(patch), *store.put(whole)])
    merger, sources = merger_of(group)
    assert [file.numbers for file in merger.files] == [(1,), (0,)]
    assert [(s.number, s.ingest_number, s.is_upsert) for s in sources] == [
        (0, 2, False),
        (1, 5, True),
    ]
    assert [s.ingested_at for s in sources] == [whole.ingested_at, patch.ingested_at]


def test_leaves_that_came_later_are_null_before_and_narrow_ones_are_widened(store):
    score, wide = Field("score", Kind.INTEGER), Field("score", Kind.DOUBLE)
    old = a_batch("crm", 1, {"identityMap": named("crm:1"), "score": 7}, fields=(score,))
    rows = {"identityMap": named("crm:2"), "score": 0.5, "first": "Bob"}
    new = a_batch("crm", 2, rows, fields=(wide, text("first")))
    (group, *_) = grouped([*store.put(old), *store.put(new)])
    (one,) = store.compact(group)
    got = StoreFile(store.files.open(one.key)).slice(0, 0, ("score", "first")).to_pylist()
    assert sorted(got, key=str) == [
        {"score": 0.5, "first": "Bob"},
        {"score": 7.0, "first": None},
    ]


def test_files_that_nothing_holds_together_are_refused_with_both_types(store):
    one = a_batch("crm", 1, {"identityMap": named("crm:1"), "a": "x"}, fields=(text("a"),))
    two = a_batch(
        "crm", 2, {"identityMap": named("crm:1"), "a": 1}, fields=(Field("a", Kind.LONG),)
    )
    (group, *_) = grouped([*store.put(one), *store.put(two)])
    with pytest.raises(ValueError, match="no type holds both string and int64"):
        store.compact(group)


def test_files_of_another_secret_are_refused(store):
    files = store.put(a_batch("crm", 1, {"identityMap": named("crm:1")}))
    merger, _ = merger_of(files[:1])
    order = CompactionOrder(folder="f", mergers=(merger,), secret=b"another secret")
    with pytest.raises(ValueError, match="another secret"):
        compact(order, store.files, lambda _: None)


def test_compacting_twice_gives_the_same_bytes(store):
    files = [
        file
        for number in range(3)
        for file in store.put(
            a_batch("crm", number, {"identityMap": named(f"crm:{number}", "email:a")})
        )
    ]
    for group in grouped(files):
        (one,), (other,) = store.compact(group), store.compact(group)
        first, second = (store.files.open(file.key).read() for file in (one, other))
        assert first == second


def test_texts_that_all_files_store_as_words_stay_words(store):
    batches = [
        an_event_batch("clicks", n, {"identityMap": named("crm:1"), "kind": "view"}) for n in (1, 2)
    ]
    files = [file for batch in batches for file in store.put(batch)]
    events = [file for file in files if file.kind is StoreFileKind.EVENTS]
    (one,) = store.compact(events)
    compacted = StoreFile(store.files.open(one.key))
    assert compacted.schema.field("kind").type == "string"
    exported = store.export(
        an_order(
            batches,
            files=in_order([one]),
            events=ALL_EVENTS,
            identity_graph=STITCHED,
            with_empty_profiles=True,
        )
    )
    (row,) = exported.rows
    assert [event["kind"] for event in row["timeSeriesEvents"]] == ["view", "view"]
    assert SECRET
