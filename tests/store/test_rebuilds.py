"""Rebuilds go one after the other, and take the place of nothing that they have not read."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from catalog.errors import Stale
from catalog.jobs import JobEvent, JobKind
from catalog.store.database import connected
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.store_files import Compacted, StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from tests.builders import LEASE, WORKER, a_dataset, a_job, a_loaded_batch
from tests.patience import PATIENCE_SECONDS

EVENTS = StoreFileKind.EVENTS


def a_file(key):
    return NewStoreFile(kind=EVENTS, key=key, size_bytes=10, row_count=3)


@pytest.fixture
def store(db):
    return StoreFileStore(db)


@pytest.fixture
async def batches(db, store, scope):
    """Four batches in one compacted file, without what the later two of them supersede."""
    dataset_id, batches = await a_dataset(db, scope), []
    for number in range(4):
        batch = await a_loaded_batch(db, scope, dataset_id=dataset_id)
        await store.add(scope, batch.id, is_upsert=False, files=[a_file(f"own-{number}")])
        batches.append(batch)
    await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    await compact(db, store, scope, "compacted", relied_on=(2, 3))
    return batches


async def compact(db, store, scope, key, files=None, **more):
    files = files or await store.files_at(scope, await store.snapshot(scope))
    numbers = {source.ingest_number for file in files for source in file.sources}
    numbers |= {file.ingest_number for file in files if file.batch_id}
    made = Compacted(
        dataset_id=files[0].dataset_id,
        file=a_file(key),
        replaced=tuple(file.id for file in files),
        ingest_numbers=tuple(sorted(numbers)),
        **more,
    )
    async with db.transaction():
        return await store.compact(scope, [made])


async def claimed(db):
    return await JobStore(db).claim_next(WORKER, lease=LEASE)


async def submitted_at(db, scope, dataset_id, commit):
    id = await RebuildStore(db).submitted_at(scope, dataset_id, commit)
    return await JobStore(db).find(scope, id, kind=JobKind.REBUILD)


async def replace(db, job, lacking, name):
    """Let files that were made of some batches take the place of those that lacked rows."""
    made = {EVENTS: [(batch.id, a_file(f"{name}-{batch.id}")) for batch in lacking]}
    async with db.transaction():
        await RebuildStore(db).replace(job, lacking, made)


async def rebuild(db, job):
    await replace(db, job, await RebuildStore(db).batches(job), "anew")
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)


async def read_at(store, scope, commit):
    """Every batch that counts in a snapshot, as often as it does."""
    return sorted(
        batch_id
        for file in await store.files_at(scope, commit)
        for batch_id in (
            [file.batch_id] if file.batch_id else [source.batch_id for source in file.sources]
        )
    )


async def test_of_two_rebuilds_that_are_claimed_at_one_moment_the_later_waits(
    db, where, store, scope, batches
):
    for batch in (batches[3], batches[2]):
        await store.remove(scope, [batch.id])
    async with connected(**where) as other, db.transaction(), other.transaction():
        first = await claimed(db)
        assert first.kind is JobKind.REBUILD
        async with asyncio.timeout(PATIENCE_SECONDS):  # whose turn it is would wait for the first
            assert await claimed(other) is None
    assert await claimed(db) is None, "though the first is now seen to run"
    await rebuild(db, first)
    second = await claimed(db)
    assert second.id > first.id
    assert await RebuildStore(db).batches(second) == ()


async def test_a_rebuild_that_waits_for_its_next_try_is_not_overtaken(db, store, scope, batches):
    for batch in (batches[3], batches[2]):
        await store.remove(scope, [batch.id])
    first = await claimed(db)
    await JobStore(db).move(first, JobEvent.RELEASE, actor=WORKER, delay=timedelta(hours=1))
    assert await claimed(db) is None


async def test_a_rebuild_takes_nothing_out_that_another_has_put_in(db, store, scope, batches):
    commits = [await store.remove(scope, [batch.id]) for batch in (batches[3], batches[2])]
    jobs = [await submitted_at(db, scope, batches[0].dataset_id, commit) for commit in commits]
    read = [await RebuildStore(db).batches(job) for job in jobs]
    await replace(db, jobs[0], read[0], "first")
    with pytest.raises(Stale):
        await replace(db, jobs[1], read[1], "second")
    assert await read_at(store, scope, commits[1]) == sorted(batch.id for batch in batches[:2])
    assert await RebuildStore(db).lacking_at(scope, commits[1]) == ()


async def test_a_compaction_is_refused_when_a_rebuild_replaced_what_it_has_read(
    db, store, scope, batches
):
    files = await store.files_at(scope, await store.snapshot(scope))
    commit = await store.remove(scope, [batches[3].id])
    await rebuild(db, await claimed(db))
    with pytest.raises(Stale):
        await compact(db, store, scope, "late", files=files)
    assert await read_at(store, scope, commit) == sorted(batch.id for batch in batches[:3])


async def test_what_lacks_rows_is_not_compacted_before_it_was_rebuilt(db, store, scope, batches):
    horizon = timedelta(days=30)
    (file,) = await store.live(horizon=horizon)
    commit = await store.remove(scope, [batches[3].id])
    await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    assert await store.live(horizon=horizon) == ()
    assert await store.to_be_replaced(scope, [file.id], commit) == ()
    (whole,) = await store.to_be_replaced(scope, [file.id], commit - 1)
    assert whole.id == file.id


async def failed(db, scope, dataset_id, commit):
    """Let the rebuild that a commit made necessary fail for good."""
    job = await submitted_at(db, scope, dataset_id, commit)
    await db.execute("UPDATE jobs SET run_after = now() WHERE id = $1", job.id)
    claim = await claimed(db)
    assert claim.id == job.id
    await JobStore(db).move(claim, JobEvent.FAIL, actor=WORKER)


async def pin(db, scope, commit):
    """Submit a job that reads a snapshot."""
    job = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = $2 WHERE id = $1", job.id, commit)
    return job


async def submitted_again(db, store, scope):
    ((_, dataset_id),) = await RebuildStore(db).left(patience=timedelta(0))
    return await RebuildStore(db).submit(scope, dataset_id, await store.next_commit(scope))


async def test_a_rebuild_that_is_submitted_again_reaches_back_to_where_rows_were_lacking_first(
    db, store, scope, batches
):
    commit = await store.remove(scope, [batches[3].id])
    await failed(db, scope, batches[0].dataset_id, commit)
    pinned = await pin(db, scope, commit)
    again = await submitted_again(db, store, scope)
    assert again.snapshot > commit
    job = await claimed(db)
    assert job.id == again.id, "what was submitted before waits, for it lacks rows"
    await rebuild(db, job)
    assert await RebuildStore(db).lacking_at(scope, commit) == ()
    for snapshot in (commit, again.snapshot):
        assert await read_at(store, scope, snapshot) == sorted(batch.id for batch in batches[:3])
    assert await read_at(store, scope, commit - 1) == sorted(batch.id for batch in batches)
    assert (await claimed(db)).id == pinned.id


async def test_a_rebuild_mends_what_an_earlier_one_should_have_though_each_file_since_its_own_time(
    db, store, scope, batches
):
    """The first fails while the second waits, which is for another file of the same data set."""
    others = []
    for number in range(2):
        batch = await a_loaded_batch(db, scope, dataset_id=batches[0].dataset_id)
        await store.add(scope, batch.id, is_upsert=False, files=[a_file(f"other-{number}")])
        others.append(batch)
    await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    files = await store.files_at(scope, await store.snapshot(scope))
    await compact(db, store, scope, "others", files=files[1:], relied_on=(1,))
    first = await store.remove(scope, [batches[3].id])
    second = await store.remove(scope, [others[1].id])
    await failed(db, scope, batches[0].dataset_id, first)
    job = await claimed(db)
    assert job.snapshot == second
    since = {batch.id: batch.since[EVENTS] for batch in await RebuildStore(db).batches(job)}
    assert since == {
        **dict.fromkeys([each.id for each in batches[:3]], first),
        others[0].id: second,
    }
    await rebuild(db, job)
    left = [each.id for each in (*batches[:3], *others)]
    assert await read_at(store, scope, first) == sorted(left)
    assert await read_at(store, scope, second) == sorted(left[:-1])
    for snapshot in (first, second):
        assert await RebuildStore(db).lacking_at(scope, snapshot) == ()


async def test_a_rebuild_does_not_reach_back_past_a_snapshot_that_somebody_may_have_read(
    db, store, scope
):
    dataset_id, batches = await a_dataset(db, scope), []
    for number in range(4):
        batches.append(await a_loaded_batch(db, scope, dataset_id=dataset_id))
        await store.add(scope, batches[-1].id, is_upsert=False, files=[a_file(f"own-{number}")])
    await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    await compact(db, store, scope, "compacted", relied_on=(1, 3))
    lacking = await store.remove(scope, [batches[1].id])
    await failed(db, scope, dataset_id, lacking)
    whole = await store.remove(scope, [batches[0].id])
    assert await RebuildStore(db).lacking_at(scope, whole) == ()
    (read,) = await store.files_at(scope, whole)
    again = await store.remove(scope, [batches[3].id])
    await rebuild(db, await claimed(db))
    assert await store.files_at(scope, whole) == (read,)
    assert await read_at(store, scope, again) == [batches[2].id]
    assert await RebuildStore(db).lacking_at(scope, lacking) == (dataset_id,)


@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_rebuild_reaches_back_to_where_all_own_files_are_left_that_it_takes(
    db, store, scope, batches, is_kept
):
    gone = batches[0]
    commit = await store.remove(scope, [batches[3].id])
    await failed(db, scope, gone.dataset_id, commit)
    later = await store.remove(scope, [gone.id])
    if is_kept:
        await db.execute(
            "INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)"
            " VALUES ($1, 1, 'part', 'own', 1, 1, '')",
            gone.id,
        )
    await submitted_again(db, store, scope)
    await rebuild(db, await claimed(db))
    left = sorted(batch.id for batch in batches[1:3])
    assert await read_at(store, scope, later) == left
    assert await RebuildStore(db).lacking_at(scope, later) == ()
    assert await read_at(store, scope, commit) == sorted([gone.id, *left])
    assert bool(await RebuildStore(db).lacking_at(scope, commit)) is not is_kept
