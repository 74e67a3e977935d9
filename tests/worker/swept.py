"""Jobs and batches with files of all kinds, and the round of a sweeper that goes through them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from catalog.batches import BatchEvent, MetaFile, NewDatasetFile, Upload
from catalog.jobs import JobEvent
from catalog.store.batches import BatchStore
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from catalog.store.meta_files import MetaFileStore
from catalog.store.plans import PlanStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from service.storage import keys
from service.storage.files import Files
from service.worker.sweeping import Keeping, Sweeper
from tests.builders import LEASE, WORKER, a_job, a_loaded_batch

DAY = timedelta(days=1)
KEEPING = Keeping(
    loading=30 * DAY, uploads=7 * DAY, reverted=30 * DAY, diagnostics=30 * DAY, rows=None
)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def sweep(database, files):
    """One round that looks everywhere; afterwards files and rows agree."""

    async def one_round(keeping=KEEPING):
        return await Sweeper(database, files, keeping, actor="test").sweep(is_eager=True)

    return one_round


def store(files, key):
    with files.create(key) as file:
        file.write(b"content")
    return key


def on_disk(files):
    return set(files.below(""))


async def an_attempt(db, job):
    """The folder of a claimed job's attempt, noted as a worker notes it."""
    folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
    await FolderStore(db).note_attempt(job, folder)
    return folder


async def claimed_again(db, job):
    await JobStore(db).move(job, JobEvent.RELEASE, actor=WORKER)
    again = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert again is not None
    assert again.id == job.id
    return again


async def ended_ago(db, job, age):
    await db.execute(
        "UPDATE jobs SET finished_at = now() - $2::interval WHERE id = $1", job.id, age
    )


async def a_failed_job(db, scope):
    job = await a_job(db, scope, is_claimed=True)
    folder = await an_attempt(db, job)
    await JobStore(db).move(job, JobEvent.FAIL, actor=WORKER)
    return job, folder


async def a_succeeded_export(db, files, scope):
    """An export with a plan, one part and exclusions, ended; its folder and what it shows."""
    job = await a_job(db, scope, is_claimed=True)
    folder = await an_attempt(db, job)
    exclusions = MetaFile(
        path="exclusions.parquet",
        key=store(files, f"{folder}/exclusions.parquet"),
        size_bytes=7,
        sha256="ab",
    )
    await PlanStore(db).replace(
        job,
        key=store(files, f"{folder}/plan.json"),
        engine_version="1",
        task_count=1,
    )
    store(files, f"{folder}/runs/records-0.parquet")
    (batch,) = await BatchStore(db).of_job(job.id)
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)
    part = NewDatasetFile(
        batch_id=batch.id,
        name="part-00000.parquet",
        key=store(files, f"{folder}/part-00000.parquet"),
        size_bytes=7,
        row_count=1,
        sha256="ab",
    )
    await BatchStore(db).activate(job.id, files=[part], metrics={})
    await MetaFileStore(db).add(batch.id, [exclusions])
    return job, batch, {part.key, exclusions.key}


async def a_promoted_batch(db, files, scope, *, dataset_id=None):
    """An active batch with an upload, a data set file and a store file."""
    batch = await a_loaded_batch(db, scope, dataset_id=dataset_id)
    uploaded = store(files, keys.upload(scope.sandbox_id, batch.id))
    await BatchStore(db).keep_upload(
        batch.id, Upload(path="a", key=uploaded, size_bytes=7), sha256="ab"
    )
    job = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert job is not None
    assert job.id == batch.job_id
    folder = await an_attempt(db, job)
    shown = NewDatasetFile(
        batch_id=batch.id,
        name="1.parquet",
        key=store(files, f"{folder}/1.parquet"),
        size_bytes=7,
        row_count=1,
        sha256="ab",
    )
    stored = NewStoreFile(
        kind=StoreFileKind.RECORDS,
        key=store(files, f"{folder}/records.parquet"),
        size_bytes=7,
        row_count=1,
    )
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)
    await BatchStore(db).activate(job.id, files=[shown], metrics={})
    await StoreFileStore(db).add(scope, batch.id, is_upsert=False, files=[stored])
    return batch, {"upload": uploaded, "shown": shown.key, "stored": stored.key}


async def finished_ago(db, batch, age):
    await db.execute(
        "UPDATE batches SET finished_at = now() - $2::interval, updated_at = now() - $2::interval"
        " WHERE id = $1",
        batch.id,
        age,
    )


async def revert(db, scope, batch):
    await BatchStore(db).withdraw(scope, [batch.id], BatchEvent.REVERT, actor="test")
    await StoreFileStore(db).remove(scope, [batch.id])
