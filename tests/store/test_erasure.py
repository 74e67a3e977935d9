"""Erasure under way: nobody begins what an erasure has not seen."""

from __future__ import annotations

import asyncio

import pytest

from catalog.batches import BatchState
from catalog.datasets import DatasetId
from catalog.errors import NotFound
from catalog.jobs import JobError
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from catalog.store.datasets import DatasetStore
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import LEASE, WORKER, a_batch, a_job, a_loaded_batch
from tests.patience import until_locked_out

WHY = JobError(code="dataset_deleted", message="gone")


async def test_whoever_began_before_is_waited_for_and_seen(db, database: Database, scope):
    batch = await a_batch(db, scope)
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def opens_another() -> str:
        async with database.transaction() as other:
            await ErasureStore(other).keep(scope)
            opened = await a_batch(other, scope, dataset_id=batch.dataset_id)
            begun.set()
            await may_end.wait()
            return opened.id

    async def erases() -> set[str]:
        async with database.transaction() as other:
            erasure = ErasureStore(other)
            await erasure.begin(scope)
            ids = await erasure.batches_of(scope, DatasetId(batch.dataset_id))
            await erasure.erase(scope, ids, why=WHY, actor="amy")
            return set(ids)

    opening = asyncio.create_task(opens_another())
    await begun.wait()
    erasing = asyncio.create_task(erases())
    await until_locked_out(db)
    may_end.set()
    assert await erasing == {batch.id, await opening}


async def test_whoever_comes_later_finds_the_data_set_gone(db, database: Database, scope):
    batch = await a_batch(db, scope)
    id = DatasetId(batch.dataset_id)

    async def looks() -> None:
        async with database.transaction() as other:
            await ErasureStore(other).keep(scope)
            await DatasetStore(other).find(scope, id)

    async with database.transaction() as other:
        await ErasureStore(other).begin(scope)
        looking = asyncio.create_task(looks())
        await until_locked_out(db)
        await DatasetStore(other).delete(scope, id, actor="amy")
    with pytest.raises(NotFound, match=id):
        await looking


async def test_other_sandboxes_neither_wait_nor_lose_anything(
    db, database: Database, scope, foreign_scope
):
    ours, theirs = await a_batch(db, scope), await a_batch(db, foreign_scope)
    async with database.transaction() as other:
        erasure = ErasureStore(other)
        await erasure.begin(scope)
        async with database.transaction() as another:
            await ErasureStore(another).keep(foreign_scope)
        await erasure.erase(scope, [ours.id, theirs.id], why=WHY, actor="amy")
    assert (await BatchStore(db).find(foreign_scope, theirs.id)).state is BatchState.LOADING
    with pytest.raises(NotFound):
        await BatchStore(db).find(scope, ours.id)


async def test_who_names_batches_of_another_sandbox_has_no_job_cancelled(db, scope, foreign_scope):
    theirs = await a_loaded_batch(db, foreign_scope)
    file = NewStoreFile(kind=StoreFileKind.LINKS, key="file", size_bytes=1, row_count=1)
    files = StoreFileStore(db)
    commit = await files.add(foreign_scope, theirs.id, is_upsert=False, files=[file])
    job = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = $1 WHERE id = $2", commit, job.id)
    assert not await ErasureStore(db).erase(scope, [theirs.id], why=WHY, actor="amy")


async def test_a_worker_that_runs_an_erased_promotion_loses_its_claim(db, scope):
    batch = await a_loaded_batch(db, scope)
    claimed = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert claimed is not None
    async with db.transaction():
        erasure = ErasureStore(db)
        await erasure.begin(scope)
        assert await erasure.erase(scope, [batch.id], why=WHY, actor="amy") == (batch.job_id,)
    assert not await JobStore(db).renew(claimed, lease=LEASE, progress={})
    events = await db.fetch("SELECT event FROM batch_events WHERE batch_id = $1", batch.id)
    assert [row["event"] for row in events] == ["complete", "abort", "delete"]
