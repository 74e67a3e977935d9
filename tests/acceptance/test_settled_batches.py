"""What compaction dropped comes back when the batch that it was dropped for is taken back.

Batches are settled at once here; by default they are when they are thirty days old.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from catalog.compaction import CompactionPolicy
from catalog.jobs import JobError, JobKind
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from service.engine.local import EngineDied
from service.settings import CompactionSettings
from service.worker.attempts import give_up
from service.worker.compactions import AFTER_A_FAILURE, Upkeep
from tests.acceptance.workbench import (
    IMPORT,
    call,
    dataset_id,
    exported,
    reach,
    rows,
    send,
    submit,
    working,
)
from tests.builders import LEASE, WORKER
from tests.patience import PATIENCE_SECONDS
from tests.surfaces.client import adobe, operations, running
from tests.surfaces.client import settings as usual_settings

__all__ = ["adobe", "dataset_id", "operations", "running", "usual_settings", "working"]

BATCH = "/data/foundation/catalog/batches"
CITIES = [{"ann": "Rome", "bob": "Oslo"}, {"ann": "Bern", "eve": "Lima"}, {"ann": "Kyiv"}]


@pytest.fixture
def settings(usual_settings):
    compaction = CompactionSettings(revertible=timedelta(0))
    return usual_settings.model_copy(update={"compaction": compaction})


@pytest.fixture
def upkeep(database):
    policy = CompactionPolicy(least_files=2)
    return Upkeep(database, policy, horizon=timedelta(days=30), revertible=timedelta(0))


@pytest.fixture
async def batches(adobe, working, dataset_id):
    """Three batches of one data set, each of which says anew where Ann lives."""
    async with working():
        ids = [await send(adobe, dataset_id, rows(**cities)) for cities in CITIES]
        for id in ids:
            await reach(adobe, f"{BATCH}/{id}", "success")
    return ids


@pytest.fixture
def compacted(db, upkeep, working):
    """Compacts the store while the block before it is over."""

    async def compacted():
        (job,) = await upkeep.submit_due()
        async with working():
            await ended(db, job)

    return compacted


async def ended(db, job):
    async def has_ended():
        found = await JobStore(db).find(job.scope, job.id, kind=job.kind)
        return found.finished_at is not None

    await until(db, has_ended)


async def until(db, is_true):
    """Wait for something that is so once a job has moved."""
    heard = asyncio.Event()
    await db.add_listener("jobs", lambda *_: heard.set())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await is_true():
            await heard.wait()
            heard.clear()


async def record_rows(db):
    found = await db.fetchrow(
        "SELECT sum(row_count)::int AS rows, count(*) AS files FROM store_files"
        " WHERE kind = 'records' AND removed IS NULL"
    )
    return tuple(found)


async def rebuilds(db):
    return [row["state"] for row in await db.fetch("SELECT state FROM jobs WHERE kind = 'rebuild'")]


async def test_a_settled_batch_is_taken_back_by_making_the_store_anew(
    adobe, db, working, batches, compacted
):
    assert await record_rows(db) == (5, 3)
    await compacted()
    assert await record_rows(db) == (3, 1)
    pinned = await submit(adobe)
    reverted = await call(adobe.post, f"{IMPORT}/{batches[2]}?action=REVERT")
    (told,) = reverted[batches[2]]["errors"] if batches[2] in reverted else reverted["errors"]
    assert told["code"] == "store_rebuilt"
    later = await submit(adobe)
    async with working():
        assert await exported(adobe, pinned) == {"ann": "Kyiv", "bob": "Oslo", "eve": "Lima"}
        assert await exported(adobe, later) == {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
    assert await rebuilds(db) == ["succeeded"]
    assert await record_rows(db) == (4, 2)


async def test_a_batch_whose_rows_were_dropped_is_taken_back_without_that(
    adobe, db, working, batches, compacted
):
    await compacted()
    await call(adobe.post, f"{IMPORT}/{batches[1]}?action=REVERT")
    assert await rebuilds(db) == []
    async with working():
        assert await exported(adobe, await submit(adobe)) == {"ann": "Kyiv", "bob": "Oslo"}


async def test_what_remains_can_be_compacted_and_taken_back_again(
    adobe, db, working, batches, compacted
):
    await compacted()
    await call(adobe.post, f"{IMPORT}/{batches[2]}?action=REVERT")
    async with working():
        assert await exported(adobe, await submit(adobe))
    await compacted()
    assert await record_rows(db) == (3, 1)
    await call(adobe.post, f"{IMPORT}/{batches[1]}?action=REVERT")
    async with working():
        assert await exported(adobe, await submit(adobe)) == {"ann": "Rome", "bob": "Oslo"}
    assert await rebuilds(db) == ["succeeded", "succeeded"]


async def test_several_are_taken_back_before_anybody_works(adobe, working, batches, compacted):
    await compacted()
    jobs = []
    for id in (batches[2], batches[1]):
        await call(adobe.post, f"{IMPORT}/{id}?action=REVERT")
        jobs.append(await submit(adobe))
    async with working():
        first, second = [await exported(adobe, job) for job in jobs]
    assert first == {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
    assert second == {"ann": "Rome", "bob": "Oslo"}


async def test_what_replaces_or_deletes_a_settled_batch_makes_the_store_anew_too(
    adobe, working, dataset_id, batches, compacted
):
    await compacted()
    async with working():
        replay = {"predecessors": [batches[2]], "reason": "replace"}
        id = await send(adobe, dataset_id, rows(dan="Graz"), replay=replay)
        await reach(adobe, f"{BATCH}/{id}", "success")
        want = {"ann": "Bern", "bob": "Oslo", "dan": "Graz", "eve": "Lima"}
        assert await exported(adobe, await submit(adobe)) == want
    await compacted()
    await adobe.delete(f"{BATCH}/{batches[1]}")
    async with working():
        want = {"ann": "Rome", "bob": "Oslo", "dan": "Graz"}
        assert await exported(adobe, await submit(adobe)) == want


async def test_no_export_leaves_out_what_a_rebuild_that_failed_has_to_bring_back(
    adobe, db, working, batches, compacted, upkeep
):
    await compacted()
    await call(adobe.post, f"{IMPORT}/{batches[2]}?action=REVERT")
    rebuild = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert rebuild.kind is JobKind.REBUILD
    died = JobError(code="engine_died", message="it died")
    await give_up(db, rebuild, died, limit=1, actor=WORKER)
    job = await submit(adobe)
    async with working():
        await until(db, lambda: gave_up(db, job, "store_incomplete"))
    assert await upkeep.submit_due() == ()
    pinned = await submit(adobe)
    await db.execute(
        "UPDATE jobs SET finished_at = finished_at - $1::interval WHERE kind = 'rebuild'",
        AFTER_A_FAILURE,
    )
    (again,) = await upkeep.submit_due()
    assert again.kind is JobKind.REBUILD
    async with working():
        want = {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
        assert await exported(adobe, await submit(adobe)) == want
        assert await exported(adobe, pinned) == want, "it waited for what makes its snapshot whole"


async def test_a_rebuild_that_is_cut_off_goes_on_with_the_batches_that_are_left(
    adobe, db, working, batches, compacted, monkeypatch
):
    keep, kept = RebuildStore.keep, []

    async def keep_one(store, job, batch_id, *files, **more):
        if job.attempt == 1 and kept:
            raise EngineDied(-9)
        await keep(store, job, batch_id, *files, **more)
        kept.append((job.attempt, batch_id))

    monkeypatch.setattr(RebuildStore, "keep", keep_one)
    await compacted()
    await call(adobe.post, f"{IMPORT}/{batches[2]}?action=REVERT")
    async with working():
        want = {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
        assert await exported(adobe, await submit(adobe)) == want
    assert kept == [(1, batches[0]), (2, batches[1])]
    assert await rebuilds(db) == ["succeeded"]
    assert await record_rows(db) == (4, 2)


async def gave_up(db, job, code):
    """Whether an attempt was given up for a reason."""
    errors = await db.fetchval("SELECT errors::text FROM jobs WHERE id = $1", int(job["id"]))
    return code in errors
