"""Compactions as workers run them: beside exports, reverts and deletions, on real files."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from catalog.batches import BatchEvent
from catalog.compaction import CompactionPolicy
from catalog.errors import Conflict
from catalog.jobs import JobError, JobEvent, JobKind, JobState
from catalog.labellings import NewLabelling
from catalog.store.batches import BatchStore
from catalog.store.erasure import ErasureStore
from catalog.store.home_files import HomeFileStore
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store.store_files import FOR_EVER, StoreFileStore
from catalog.store.sweeping import SweepingStore
from catalog.store_files import NewStoreFile, StoreFileKind
from service.engine.compaction import compact
from service.engine.local import LocalRunner
from service.engine.orders import Fragments, HomeFile
from service.worker.attempts import give_up
from service.worker.claim import Claim
from service.worker.compactions import Compactions, Upkeep
from service.worker.exports import labelling_at
from service.worker.sweeping import Keeping, Sweeper
from tests.builders import LEASE, WORKER, a_dataset, a_job, a_loaded_batch
from tests.engine import oracle
from tests.engine.builders import STITCHED, a_batch, an_order, key_of, named
from tests.engine.oracle import in_any_order

DAY = timedelta(days=1)
POLICY = CompactionPolicy(least_files=2)
NAMES = ["Ann", "Bob", "Cid", "Dan"]


class InProcess:
    """Runs compactions where the test is; what happens meanwhile happens before the answer."""

    def __init__(self, files):
        self._files = files
        self.meanwhile = None

    @asynccontextmanager
    async def run(self, order):
        yield self._answers(order)

    async def _answers(self, order):
        made = compact(order, self._files, lambda _: None)
        if self.meanwhile is not None:
            await self.meanwhile()
        yield made


@pytest.fixture
def runner(store):
    return InProcess(store.files)


async def ingest(db, scope, store, dataset_id, *rows):
    """Promote a batch, by hand, with its store files; return it and what the oracle takes."""
    batch = await a_loaded_batch(db, scope, dataset_id=dataset_id)
    job = await JobStore(db).claim_next(WORKER, lease=LEASE)
    told = a_batch(dataset_id, batch.ingest_number, *rows)
    files = store.put(told)
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)
    await BatchStore(db).activate(job.id, files=[], metrics={})
    await StoreFileStore(db).add(
        scope,
        batch.id,
        is_upsert=False,
        files=[
            NewStoreFile(
                kind=file.kind, key=file.key, size_bytes=file.size_bytes, row_count=file.row_count
            )
            for file in files
        ],
    )
    return batch, told


@pytest.fixture
async def told(db, scope, store):
    """Four batches of one data set, each with a person of its own and one whom all know."""
    dataset_id = await a_dataset(db, scope)
    return [
        await ingest(
            db,
            scope,
            store,
            dataset_id,
            {"identityMap": named(f"crm:{name}", "email:all"), "first": name},
            {"identityMap": named("crm:known"), "first": f"{name} knows", "last": name},
        )
        for name in NAMES
    ]


async def labelled(database, db, scope, store):
    """Export as a worker does who keeps the labelling that it made."""
    files = StoreFileStore(db)
    commit = await files.snapshot(scope)
    found = tuple(Fragments.of(file) for file in await files.files_at(scope, commit))
    made = store.export(an_order(files=found, identity_graph=STITCHED)).planned.labelling
    job = await a_job(db, scope, is_claimed=True)
    async with database.transaction() as saving:
        await LabellingStore(saving).save(scope, labelling_at(commit, made), job_id=job.id)
    await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)


async def homes(db, scope):
    commit = await StoreFileStore(db).snapshot(scope)
    return tuple(map(HomeFile.of, await HomeFileStore(db).at(scope, commit)))


async def submitted(database, policy=POLICY, revertible=FOR_EVER):
    return await Upkeep(database, policy, horizon=30 * DAY, revertible=revertible).submit_due()


async def compacted(database, db, runner, revertible=FOR_EVER, policy=POLICY):
    """Submit what is due and do it as a worker does."""
    (job,) = await submitted(database, policy, revertible=revertible)
    claimed = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert claimed is not None
    assert claimed.id == job.id
    claim = Claim(database, claimed, lease=LEASE, heartbeat=LEASE, claimed_at=time.monotonic())
    await Compactions(runner, threads=1, revertible=revertible).run(claim)
    return claimed


async def revert(db, scope, batch):
    await BatchStore(db).withdraw(scope, [batch.id], BatchEvent.REVERT, actor="test")
    return await StoreFileStore(db).remove(scope, [batch.id])


async def exported(db, scope, store, told, commit=None):
    """What an export of a commit says, and which files it reads."""
    files = StoreFileStore(db)
    commit = await files.snapshot(scope) if commit is None else commit
    found = tuple(Fragments.of(file) for file in await files.files_at(scope, commit))
    order = an_order(
        [each for _, each in told],
        files=found,
        homes=tuple(map(HomeFile.of, await HomeFileStore(db).at(scope, commit))),
        slice_size_bytes=200,
        identity_graph=STITCHED,
    )
    return in_any_order(store.export(order).rows), found


def expected(told):
    order = an_order([each for _, each in told], identity_graph=STITCHED)
    return in_any_order(oracle.export([each for _, each in told], order, key_of=key_of).rows)


async def test_exports_say_the_same_of_fewer_files(database, db, scope, store, runner, told):
    before, files_before = await exported(db, scope, store, told)
    await compacted(database, db, runner)
    after, files_after = await exported(db, scope, store, told)
    assert before == after == expected(told)
    assert (len(files_before), len(files_after)) == (12, 3)
    assert await submitted(database) == ()


async def test_a_file_is_written_again_when_a_quarter_of_it_can_no_longer_come_back(
    database, db, scope, store, runner, told
):
    await compacted(database, db, runner)
    assert await submitted(database) == ()
    assert await submitted(database, revertible=DAY) == ()
    await compacted(database, db, runner, revertible=0 * DAY)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    (records,) = (file for file in files if file.kind is StoreFileKind.RECORDS)
    assert (records.row_count, len(records.sources)) == (5, 4)
    assert await submitted(database, revertible=0 * DAY) == ()


async def test_jobs_that_pinned_a_snapshot_still_find_its_files(
    database, db, scope, store, runner, told
):
    commit = await StoreFileStore(db).snapshot(scope)
    pinning = await a_job(db, scope)
    await db.execute("UPDATE jobs SET snapshot = $2 WHERE id = $1", pinning.id, commit)
    await JobStore(db).claim_next(WORKER, lease=LEASE)
    await compacted(database, db, runner)
    await swept(database, store)
    rows, files = await exported(db, scope, store, told, commit)
    assert rows == expected(told)
    assert len(files) == 12
    await JobStore(db).move(pinning, JobEvent.CANCEL, actor="amy", is_fenced=False)
    await swept(database, store)
    assert not any(store.files.exists(file.key) for file in files)


async def swept(database, store):
    keeping = Keeping(loading=DAY, uploads=DAY, reverted=DAY, diagnostics=DAY, rows=None)
    await Sweeper(database, store.files, keeping, actor="test").sweep(is_eager=True)


@pytest.mark.parametrize("place", range(len(NAMES)))
async def test_a_batch_is_taken_back_out_of_a_compacted_file_at_once(
    database, db, scope, store, runner, told, place
):
    await compacted(database, db, runner)
    before = await StoreFileStore(db).snapshot(scope)
    gone, _ = told.pop(place)
    await revert(db, scope, gone)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    assert len(files) == 3
    _, pinned = await exported(db, scope, store, told, before)
    assert [len(file.sources) for file in pinned] == [4, 4, 4]


async def test_a_batch_taken_back_while_its_files_were_compacted_does_not_come_back(
    database, db, scope, store, runner, told
):
    gone, _ = told.pop(1)
    runner.meanwhile = lambda: revert(db, scope, gone)
    await compacted(database, db, runner)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    assert [(len(file.sources), file.source_count) for file in files] == [(3, 4)] * 3


async def test_a_file_of_which_no_batch_is_left_is_in_no_later_snapshot(
    database, db, scope, runner, told
):
    await compacted(database, db, runner)
    for batch, _ in told:
        commit = await revert(db, scope, batch)
    assert await StoreFileStore(db).files_at(scope, commit) == ()
    assert len(await StoreFileStore(db).files_at(scope, commit - 1)) == 3


async def test_batches_that_come_later_are_compacted_with_the_others(
    database, db, scope, store, runner, told
):
    await compacted(database, db, runner)
    gone, _ = told.pop(2)
    await revert(db, scope, gone)
    row = {"identityMap": named("crm:known", "email:new"), "first": "Eve"}
    told.append(await ingest(db, scope, store, told[0][0].dataset_id, row))
    await compacted(database, db, runner)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    assert [file.source_count for file in files] == [4, 4, 4]


async def test_what_was_deleted_is_written_out_of_compacted_files(
    database, db, scope, store, runner, told
):
    await compacted(database, db, runner)
    gone, _ = told.pop(0)
    async with database.transaction() as erasing:
        erasure = ErasureStore(erasing)
        await erasure.begin(scope)
        why = JobError(code="deleted", message="gone")
        await erasure.erase(scope, [gone.id], why=why, actor="amy")
    job = await compacted(database, db, runner)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    assert [file.source_count for file in files] == [3, 3, 3]
    assert job.order["groups"]
    await swept(database, store)
    kept = {key for key in store.files.below("") if "export" not in key}
    assert kept == {file.key for file in files}


async def test_a_deletion_cancels_a_compaction_that_reads_its_rows(
    database, db, scope, store, runner, told
):
    async def erase():
        async with database.transaction() as erasing:
            erasure = ErasureStore(erasing)
            await erasure.begin(scope)
            why = JobError(code="deleted", message="gone")
            await erasure.erase(scope, [told[0][0].id], why=why, actor="amy")

    runner.meanwhile = erase
    with pytest.raises(Conflict):
        await compacted(database, db, runner)
    told.pop(0)
    runner.meanwhile = None
    rows, _ = await exported(db, scope, store, told)
    assert rows == expected(told)


async def test_a_compaction_that_fails_ends_and_takes_no_batch_along(
    database, db, scope, store, told
):
    assert store
    assert told
    (job,) = await submitted(database)
    claimed = await JobStore(db).claim_next(WORKER, lease=LEASE)
    error = JobError(code="engine_died", message="it died")
    await give_up(db, claimed, error, limit=1, actor=WORKER)
    found = await JobStore(db).find(scope, job.id, kind=JobKind.COMPACTION)
    assert found.state is JobState.FAILED
    assert await submitted(database) == ()
    await db.execute("UPDATE jobs SET finished_at = finished_at - interval '1 hour'")
    assert len(await submitted(database)) == 1


async def test_few_files_are_left_alone_while_other_jobs_wait(database, db, scope, told):
    assert told
    waiting = await a_job(db, scope)
    assert await submitted(database) == ()
    await JobStore(db).move(waiting, JobEvent.CANCEL, actor="amy", is_fenced=False)
    assert len(await submitted(database)) == 1
    assert await submitted(database) == ()


async def test_who_sweeps_is_not_disturbed(database, told):
    assert told
    async with database.transaction() as sweeping:
        assert await SweepingStore(sweeping).try_lock()
        assert await submitted(database) == ()


async def test_a_labelling_outlives_compaction_and_ends_with_a_batch_it_knew(
    database, db, scope, runner, told
):
    commit = await StoreFileStore(db).snapshot(scope)
    job = await a_job(db, scope, is_claimed=True)
    new = NewLabelling(
        commit=commit, engine_version="e", main_dataset_id=None, key="l", size_bytes=1, row_count=1
    )
    async with database.transaction() as saving:
        await LabellingStore(saving).save(scope, new, job_id=job.id)
    await compacted(database, db, runner)

    async def newest():
        last = await StoreFileStore(db).snapshot(scope)
        return await LabellingStore(db).newest(scope, last, engine_version="e")

    assert (await newest()).commit == commit
    await revert(db, scope, told[1][0])
    assert await newest() is None


HOMELY = CompactionPolicy(least_files=2, home_from_bytes=1)


async def test_what_is_compacted_by_a_labelling_has_home_files(
    database, db, scope, store, runner, told
):
    await labelled(database, db, scope, store)
    await compacted(database, db, runner, policy=HOMELY)
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    with_homes = {home.store_file for home in await homes(db, scope)}
    assert with_homes == {file.key for file in files if file.kind is not StoreFileKind.LINKS}
    assert await submitted(database, HOMELY) == ()
    gone, _ = told.pop(2)
    await revert(db, scope, gone)
    rows, _ = await exported(db, scope, store, told)
    assert rows == expected(told)


async def test_files_that_stay_as_they_are_are_given_home_files_once_it_is_known_who_is_who(
    database, db, scope, store, runner, told
):
    await compacted(database, db, runner, policy=HOMELY)
    assert await homes(db, scope) == ()
    assert await submitted(database, HOMELY) == ()
    await labelled(database, db, scope, store)
    before = await StoreFileStore(db).snapshot(scope)
    job = await compacted(database, db, runner, policy=HOMELY)
    assert job.order["groups"] == []
    assert await StoreFileStore(db).snapshot(scope) == before
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    with_homes = {home.store_file for home in await homes(db, scope)}
    assert with_homes == {file.key for file in files if file.kind is not StoreFileKind.LINKS}
    assert await submitted(database, HOMELY) == ()


async def test_home_files_are_swept_with_the_files_they_repeat_and_not_before(
    database, db, scope, store, runner, told
):
    await labelled(database, db, scope, store)
    await compacted(database, db, runner, policy=HOMELY)
    first = await homes(db, scope)
    await swept(database, store)
    assert all(store.files.exists(home.key) for home in first)
    row = {"identityMap": named("crm:known", "email:new"), "first": "Eve"}
    told.append(await ingest(db, scope, store, told[0][0].dataset_id, row))
    await compacted(database, db, runner, policy=HOMELY)
    await swept(database, store)
    assert not any(store.files.exists(home.key) for home in first)
    rows, _ = await exported(db, scope, store, told)
    assert rows == expected(told)


async def test_the_engines_own_process_compacts(database, db, scope, store, told):
    runner = LocalRunner(store.files.root, silence_seconds=30)
    try:
        await compacted(database, db, runner)
    finally:
        await runner.close()
    rows, files = await exported(db, scope, store, told)
    assert rows == expected(told)
    assert len(files) == 3
