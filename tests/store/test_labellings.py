"""Saved labellings: each serves the snapshots between its own and the first removal after it."""

from __future__ import annotations

import pytest

from catalog.batches import BatchEvent
from catalog.jobs import JobEvent, JobKind
from catalog.labellings import NewLabelling
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store.store_files import Compacted, StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import a_job, a_loaded_batch


@pytest.fixture
def store(db):
    return LabellingStore(db)


def a_labelling(commit, key=None, version="1"):
    return NewLabelling(
        commit=commit,
        engine_version=version,
        main_dataset_id="crm",
        key=key or f"labels-{commit}",
        size_bytes=10,
        row_count=3,
    )


async def committed(db, scope, *kinds):
    """A batch that brings a file of each kind to the profile store, with its commit number."""
    batch = await a_loaded_batch(db, scope)
    files = [
        NewStoreFile(kind=kind, key=f"{batch.id}-{kind}", size_bytes=1, row_count=1)
        for kind in kinds
    ]
    return batch, await StoreFileStore(db).add(scope, batch.id, is_upsert=False, files=files)


async def test_a_snapshot_starts_from_the_newest_labelling_not_newer_than_itself(
    store, db, scope, foreign_scope
):
    job = await a_job(db, scope)
    for commit in (2, 4):
        assert await store.save(scope, a_labelling(commit), job_id=job.id)
    await db.execute("UPDATE jobs SET snapshot = 2 WHERE kind = 'export'")
    found = [await store.newest(scope, n, engine_version="1") for n in (1, 2, 3, 4, 9)]
    assert [one and one.commit for one in found] == [None, None, None, 4, 4]
    assert await store.newest(scope, 9, engine_version="2") is None
    assert await store.newest(foreign_scope, 9, engine_version="1") is None


async def test_a_removal_of_links_ends_what_was_known_before_it(store, db, scope):
    batch, commit = await committed(db, scope, StoreFileKind.LINKS)
    job = await a_job(db, scope)
    await db.execute(
        "UPDATE jobs SET snapshot = 1 WHERE kind = 'export'"
    )  # an export that pinned it is under way
    await store.save(scope, a_labelling(commit), job_id=job.id)
    removed = await StoreFileStore(db).remove(scope, [batch.id])
    pinned = await store.newest(scope, removed - 1, engine_version="1")
    assert pinned is not None
    assert pinned.discarded == removed
    assert await store.newest(scope, removed, engine_version="1") is None


async def test_what_is_made_anew_ends_what_was_known_before_though_it_was_to_end_later(
    store, db, scope
):
    batch, _ = await committed(db, scope, StoreFileKind.LINKS)
    job = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = 1 WHERE id = $1", job.id)
    await store.save(scope, a_labelling(1), job_id=job.id)
    await StoreFileStore(db).next_commit(scope)
    removed = await StoreFileStore(db).remove(scope, [batch.id])
    assert (await store.newest(scope, removed - 1, engine_version="1")).discarded == removed
    await store.discard_before(scope, removed - 1)
    assert await store.newest(scope, removed - 1, engine_version="1") is None
    assert (await store.newest(scope, removed - 2, engine_version="1")).commit == 1


async def test_a_removal_of_events_and_of_newer_links_leaves_labellings_alone(store, db, scope):
    events, _ = await committed(db, scope, StoreFileKind.EVENTS, StoreFileKind.IDENTITIES)
    job = await a_job(db, scope)
    await store.save(scope, a_labelling(1), job_id=job.id)
    newer, _ = await committed(db, scope, StoreFileKind.LINKS)
    removed = await StoreFileStore(db).remove(scope, [events.id, newer.id])
    found = await store.newest(scope, removed, engine_version="1")
    assert found is not None
    assert found.commit == 1


async def taken_back(db, scope, batch):
    """Take a batch back as its callers do, and return the commit number."""
    await db.execute("UPDATE batches SET state = 'active', finished_at = now()")
    await BatchStore(db).withdraw(scope, [batch.id], BatchEvent.REVERT, actor="test")
    return await StoreFileStore(db).remove(scope, [batch.id])


async def test_what_was_removed_while_a_labelling_was_made_is_seen_to_when_it_is_saved(
    store, db, scope
):
    batch, commit = await committed(db, scope, StoreFileKind.RECORDS)
    removed = await taken_back(db, scope, batch)
    job = await a_job(db, scope)
    saved = await store.save(scope, a_labelling(commit), job_id=job.id)
    assert saved is not None
    assert saved.discarded == removed
    assert await store.newest(scope, removed, engine_version="1") is None


async def test_what_was_removed_meanwhile_is_seen_to_though_its_file_was_compacted_and_swept(
    store, db, scope
):
    batch, commit = await committed(db, scope, StoreFileKind.LINKS)
    job = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = $1 WHERE kind = 'export'", commit)
    (file,) = await StoreFileStore(db).files_at(scope, commit)
    anew = NewStoreFile(kind=file.kind, key="compacted", size_bytes=1, row_count=1)
    compacted = Compacted(
        dataset_id=file.dataset_id,
        file=anew,
        replaced=(file.id,),
        ingest_numbers=(file.ingest_number,),
    )
    await StoreFileStore(db).compact(scope, [compacted])
    removed = await taken_back(db, scope, batch)
    assert await SweepingStore(db).forget_superseded(scope.sandbox_id, most=10) == 1
    await store.save(scope, a_labelling(commit), job_id=job.id)
    assert await store.newest(scope, commit, engine_version="1") is not None
    assert await store.newest(scope, removed, engine_version="1") is None


async def test_of_two_that_label_one_snapshot_the_first_stands(store, db, scope):
    job = await a_job(db, scope)
    assert await store.save(scope, a_labelling(3, "first"), job_id=job.id)
    assert await store.save(scope, a_labelling(3, "second"), job_id=job.id) is None
    found = await store.newest(scope, 3, engine_version="1")
    assert found is not None
    assert found.key == "first"


async def test_older_labellings_go_with_their_files_unless_another_export_may_read_them(
    store, db, scope
):
    other, own = await a_job(db, scope), await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = 5 WHERE kind = 'export'")
    await store.save(scope, a_labelling(5), job_id=own.id)
    await db.execute("UPDATE jobs SET snapshot = 7 WHERE id = $1", own.id)
    await store.save(scope, a_labelling(7), job_id=own.id)
    assert await store.newest(scope, 5, engine_version="1") is not None
    await JobStore(db).lock(scope, other.id, kind=JobKind.EXPORT)
    await JobStore(db).move(other, JobEvent.CANCEL, actor="test", is_fenced=False)
    await store.save(scope, a_labelling(8), job_id=own.id)
    assert await store.newest(scope, 7, engine_version="1") is None
    discarded = {row["key"] for row in await db.fetch("SELECT key FROM discarded_files")}
    assert discarded == {"labels-5", "labels-7"}


async def test_labellings_of_an_engine_that_was_replaced_go_too(store, db, scope):
    job = await a_job(db, scope)
    await store.save(scope, a_labelling(1, version="1"), job_id=job.id)
    await store.save(scope, a_labelling(2, version="2"), job_id=job.id)
    assert await store.newest(scope, 9, engine_version="1") is None
    assert await store.newest(scope, 9, engine_version="2") is not None
    assert [row["key"] for row in await db.fetch("SELECT key FROM discarded_files")] == ["labels-1"]
