"""Compaction changes no export: not at once, not again, and not when a batch is taken back."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from datetime import datetime
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
    day,
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


class Upkeep:
    """Compacts files and takes batches back, as the service does it with its database."""

    def __init__(self, store: Store, put: list[Fragments]) -> None:
        self._store = store
        #: By kind and ingest number: the file that its batch came with.
        self._put = {(file.kind, file.ingest_number): file for file in put}
        #: By key of a file: ingest numbers of the batches for whose sake rows are not in it.
        self._relied_on: dict[str, set[int]] = defaultdict(set)

    def compact(self, files: list[Fragments], settled_until: datetime | None) -> list[Fragments]:
        relied_on = set().union(*(self._relied_on[file.key] for file in files))
        made = self._store.compact(files, settled_until=settled_until, relied_on=relied_on)
        for file in made:
            self._relied_on[file.key] |= relied_on
        return made

    def revert(self, files: list[Fragments], gone: int) -> list[Fragments]:
        """Take a batch back, and make files anew in which rows are missed without it."""
        return [new for file in without(files, gone) for new in self._mended(file, gone)]

    def is_relied_on(self, file: Fragments, number: int) -> bool:
        older = any(source.ingest_number < number for source in file.all_sources)
        return older and number in self._relied_on[file.key]

    def _mended(self, file: Fragments, gone: int) -> list[Fragments]:
        if not self.is_relied_on(file, gone):
            return [file]
        return [self._put[file.kind, source.ingest_number] for source in file.all_sources]


@QUICKLY
@given(st.data())
def test_exports_do_not_miss_what_was_superseded_for_good(data):
    """A revert of what is settled makes files anew; of anything else it needs none."""
    batches, profile_fields, event_fields = data.draw(worlds(is_evolving=data.draw(st.booleans())))
    chosen = data.draw(choices(profile_fields, event_fields))
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder), unlinked=UNLINKED)
        files = [file for batch in batches for file in store.put(batch)]
        upkeep = Upkeep(store, files)

        def export(some):
            return in_any_order(store.export(an_order(files=in_order(some), **chosen)).rows)

        def want(some):
            order = an_order(**chosen)
            return in_any_order(oracle.export(some, order, key_of=key_of, unlinked=UNLINKED).rows)

        for _ in range(data.draw(st.integers(1, 3))):
            settled_until = day(data.draw(st.integers(0, len(batches) + 1)))
            groups = grouped(files)
            cuts = [data.draw(st.integers(0, len(group))) for group in groups]
            files = [file for group, cut in zip(groups, cuts, strict=True) for file in group[cut:]]
            for group, cut in zip(groups, cuts, strict=True):
                files += upkeep.compact(group[:cut], settled_until) if cut else []
            assert export(files) == want(batches)
            if batches and data.draw(st.booleans()):
                gone = data.draw(st.sampled_from(batches))
                files = upkeep.revert(files, gone.ingest_number)
                batches = [batch for batch in batches if batch is not gone]
                assert export(files) == want(batches)


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


def left(store, files, settled_until, *names):
    """Compact files of one kind and give what of their rows is left."""
    relied_on = set()
    (one,) = store.compact(files, settled_until=settled_until, relied_on=relied_on)
    rows = StoreFile(store.files.open(one.key)).slice(0, 0, (SOURCE, *names))
    return rows.to_pylist(), relied_on


def of_kind(kind, *puts):
    return [file for files in puts for file in files if file.kind is kind]


def test_a_record_goes_when_one_that_replaced_it_can_no_longer_be_taken_back(store):
    batches = [
        a_batch("crm", n, {"identityMap": named("crm:1"), "first": name})
        for n, name in enumerate(["Ann", "Bob", "Cid"], start=1)
    ]
    records = of_kind(StoreFileKind.RECORDS, *(store.put(batch) for batch in batches))
    ann, bob, cid = ({SOURCE: n, "first": name} for n, name in enumerate(["Ann", "Bob", "Cid"]))
    assert left(store, records, day(1), "first") == ([ann, bob, cid], set())
    assert left(store, records, day(2), "first") == ([bob, cid], {2})
    assert left(store, records, day(3), "first") == ([cid], {3})


def test_a_patch_goes_when_settled_ones_have_said_all_it_says_again(store):
    identity = {"identityMap": named("crm:1")}
    batches = [
        a_batch("crm", n, identity | row, is_upsert=True)
        for n, row in enumerate(
            [{"first": "Ann"}, {"first": "Anna", "last": "Lee"}, {"last": "Lea"}, {}], start=1
        )
    ]
    records = of_kind(StoreFileKind.RECORDS, *(store.put(batch) for batch in batches))
    rows, relied_on = left(store, records, day(4), "first", "last")
    assert [(row["first"], row["last"]) for row in rows] == [
        ("Anna", "Lee"),
        (None, "Lea"),
        (None, None),
    ]
    assert relied_on == {2, 4}


def test_an_event_goes_when_a_settled_batch_has_its_id_again(store):
    batches = [
        an_event_batch("clicks", n, *({"identityMap": named("crm:1"), "_id": id} for id in ids))
        for n, ids in enumerate([["a", "b", None], ["a"], ["b", "b"]], start=1)
    ]
    events = of_kind(StoreFileKind.EVENTS, *(store.put(batch) for batch in batches))
    rows, relied_on = left(store, events, day(2), "_id")
    assert sorted((row[SOURCE], row["_id"] or "") for row in rows) == [
        (0, ""),
        (0, "b"),
        (1, "a"),
        (2, "b"),
    ]
    assert relied_on == {2}


def test_a_mention_goes_when_a_settled_batch_is_as_sure_of_it(store):
    batches = [
        a_batch("crm", n, {"identityMap": named("crm:1", state=state)})
        for n, state in enumerate(["authenticated", "ambiguous", "loggedOut"], start=1)
    ]
    mentions = of_kind(StoreFileKind.IDENTITIES, *(store.put(batch) for batch in batches))
    rows, relied_on = left(store, mentions, day(3))
    assert [row[SOURCE] for row in rows] == [0, 2]
    assert relied_on == {3}


def test_no_link_ever_goes(store):
    batches = [a_batch("crm", n, {"identityMap": named("crm:1", "email:a")}) for n in (1, 2)]
    links = of_kind(StoreFileKind.LINKS, *(store.put(batch) for batch in batches))
    rows, relied_on = left(store, links, day(9))
    assert (len(rows), relied_on) == (2, set())


def test_a_file_tells_how_many_rows_will_go_once_its_batches_are_settled(store):
    batches = [
        a_batch("crm", n, {"identityMap": named("crm:1"), "first": "Ann"}) for n in range(1, 5)
    ]
    records = of_kind(StoreFileKind.RECORDS, *(store.put(batch) for batch in batches))
    for settled, count in [(None, 3), (day(2), 2), (day(4), 0)]:
        merger, _ = merger_of(records, settled_until=settled)
        order = CompactionOrder(folder=f"settled-{count}", mergers=(merger,), secret=SECRET)
        (made,) = compact(order, store.files, lambda _: None).files
        assert made.superseded_count == count
