"""The profile store's files: snapshots hold what was committed by then, in merge order."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from catalog.errors import NotFound
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import a_loaded_batch


@pytest.fixture
def store(db):
    return StoreFileStore(db)


def a_file(key, kind=StoreFileKind.RECORDS):
    return NewStoreFile(kind=kind, key=key, size_bytes=10, row_count=3)


async def add(store, scope, batch, *keys):
    return await store.add(scope, batch.id, is_upsert=False, files=[a_file(key) for key in keys])


async def keys_at(store, scope, commit):
    return [file.key for file in await store.files_at(scope, commit)]


async def test_a_snapshot_holds_what_was_added_by_then(store, db, scope):
    first, second = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    assert await store.snapshot(scope) == 0
    assert await add(store, scope, first, "a") == 1
    assert await add(store, scope, second, "b") == 2
    assert await store.snapshot(scope) == 2
    assert await keys_at(store, scope, 0) == []
    assert await keys_at(store, scope, 1) == ["a"]
    assert await keys_at(store, scope, 2) == ["a", "b"]


async def test_a_removed_file_stays_in_the_snapshots_it_was_in(store, db, scope):
    batch = await a_loaded_batch(db, scope)
    other = await a_loaded_batch(db, scope)
    await add(store, scope, batch, "a")
    await add(store, scope, other, "b")
    assert await store.remove(scope, [batch.id]) == 3
    assert await store.remove(scope, [batch.id]) == 4
    assert await keys_at(store, scope, 2) == ["a", "b"]
    assert await keys_at(store, scope, 3) == ["b"]


async def test_a_batch_comes_and_what_it_replaces_goes_with_one_number(store, db, scope):
    old, new = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    await add(store, scope, old, "old")
    commit = await store.add(
        scope, new.id, is_upsert=False, files=[a_file("new")], replacing=[old.id]
    )
    assert await keys_at(store, scope, commit - 1) == ["old"]
    assert await keys_at(store, scope, commit) == ["new"]


async def test_another_sandbox_removes_nothing(store, db, scope, foreign_scope):
    batch = await a_loaded_batch(db, scope)
    await add(store, scope, batch, "a")
    await store.remove(foreign_scope, [batch.id])
    assert await keys_at(store, scope, 9) == ["a"]


async def test_files_come_in_merge_order_then_by_the_bytes_of_their_keys(store, db, scope):
    first, second = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    await add(store, scope, second, "a")
    await add(store, scope, first, "z", "Z", "é", "b")
    assert await keys_at(store, scope, 2) == ["Z", "b", "z", "é", "a"]


async def test_a_file_carries_its_batchs_place_and_the_time_it_came(store, db, scope):
    batch = await a_loaded_batch(db, scope)
    await store.add(
        scope, batch.id, is_upsert=True, files=[a_file("a", kind=StoreFileKind.IDENTITIES)]
    )
    (file,) = await store.files_at(scope, 1)
    assert (file.dataset_id, file.batch_id) == (batch.dataset_id, batch.id)
    assert (file.kind, file.is_upsert) == (StoreFileKind.IDENTITIES, True)
    assert file.ingest_number == batch.ingest_number
    assert timedelta(0) <= file.ingested_at - batch.created_at < timedelta(minutes=1)


async def test_ingest_times_rise_even_when_the_clock_goes_back(store, db, scope):
    await db.execute("UPDATE sandboxes SET last_ingested_at = now() + interval '1 day'")
    for key in "ab":
        await add(store, scope, await a_loaded_batch(db, scope), key)
    earlier, later = await store.files_at(scope, 2)
    assert later.ingested_at - earlier.ingested_at == timedelta(microseconds=1)


async def test_a_batch_without_files_takes_a_commit_number_all_the_same(store, db, scope):
    assert await add(store, scope, await a_loaded_batch(db, scope)) == 1
    assert await store.files_at(scope, 1) == ()


async def test_commits_that_race_become_visible_in_order(database, db, scope):
    batches = [await a_loaded_batch(db, scope) for _ in range(6)]

    async def promote(batch):
        async with database.transaction() as connection:
            store = StoreFileStore(connection)
            commit = await store.add(scope, batch.id, is_upsert=False, files=[a_file(batch.id)])
            return commit, len(await store.files_at(scope, commit))

    seen = await asyncio.gather(*(promote(batch) for batch in batches))
    # Whoever gets number n sees exactly n files: nobody overtakes an open transaction.
    assert sorted(seen) == [(n, n) for n in range(1, 7)]


async def test_another_sandbox_sees_none_of_it(store, db, scope, foreign_scope):
    batch = await a_loaded_batch(db, scope)
    await add(store, scope, batch, "a")
    assert await store.snapshot(foreign_scope) == 0
    assert await store.files_at(foreign_scope, 1) == ()
    with pytest.raises(NotFound, match=batch.id):
        await add(store, foreign_scope, batch, "b")
