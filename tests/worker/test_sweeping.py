"""What the sweeper removes, and what it leaves: bytes on disk beside real rows."""

from __future__ import annotations

import os
from collections import Counter
from datetime import timedelta

from catalog.batches import Upload
from catalog.jobs import JobEvent, JobKind, JobState
from catalog.large_files import Chunk, Span
from catalog.store.batches import BatchStore
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from catalog.store.large_files import LargeFileStore
from catalog.store.plans import PlanStore
from catalog.store.sweeping import SweepingStore
from service.operations.checkup import Checkup
from service.storage import keys
from service.worker import sweeping
from service.worker.sweeping import LOOK_UNTIL, Keeping, Sweeper
from tests.builders import WORKER, a_batch, a_job
from tests.worker.swept import (
    DAY,
    KEEPING,
    a_failed_job,
    a_promoted_batch,
    a_succeeded_export,
    an_attempt,
    claimed_again,
    ended_ago,
    files,
    finished_ago,
    on_disk,
    store,
    sweep,
)

__all__ = ["files", "sweep"]


async def test_what_a_failed_job_wrote_is_removed(db, scope, files, sweep):
    _, folder = await a_failed_job(db, scope)
    store(files, f"{folder}/part-00000.parquet")
    store(files, f"{folder}/runs/records-0.parquet")
    store(files, f"{folder}/.part-00001.parquet.ab.partial")
    swept = await sweep()
    assert swept["unnamed_files"] == 3
    assert on_disk(files) == set()
    assert not (files.root / folder).exists()


async def test_what_a_cancelled_job_wrote_is_removed_with_its_plan(db, scope, files, sweep):
    job = await a_job(db, scope, is_claimed=True)
    folder = await an_attempt(db, job)
    plan = store(files, f"{folder}/plan.json")
    await PlanStore(db).replace(job, key=plan, engine_version="1", task_count=2)
    await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
    await sweep()
    assert on_disk(files) == set()
    assert await db.fetchval("SELECT count(*) FROM plans") == 0


async def test_a_running_jobs_files_are_never_touched(db, scope, files, sweep):
    job = await a_job(db, scope, is_claimed=True)
    kept = store(files, f"{await an_attempt(db, job)}/part-00000.parquet")
    await sweep()
    assert on_disk(files) == {kept}


async def test_a_job_that_waits_for_another_attempt_keeps_what_the_last_one_wrote(
    db, scope, files, sweep
):
    job = await a_job(db, scope, is_claimed=True)
    kept = store(files, f"{await an_attempt(db, job)}/part-00000.parquet")
    await JobStore(db).move(job, JobEvent.RELEASE, actor=WORKER)
    await sweep()
    assert on_disk(files) == {kept}


async def test_a_lost_attempt_leaves_its_plan_and_its_parts_to_the_next_and_nothing_else(
    db, scope, files, sweep
):
    first = await a_job(db, scope, is_claimed=True)
    lost = await an_attempt(db, first)
    leftover = store(files, f"{lost}/half.parquet")
    second = await claimed_again(db, first)
    planned = await an_attempt(db, second)
    plan = store(files, f"{planned}/plan.json")
    run = store(files, f"{planned}/runs/records-0.parquet")
    await PlanStore(db).replace(second, key=plan, engine_version="1", task_count=2)
    third = await claimed_again(db, second)
    current = store(files, f"{await an_attempt(db, third)}/part-00001.parquet")
    await sweep()
    assert on_disk(files) == {plan, run, current}
    assert not files.exists(leftover)


async def test_a_success_keeps_what_readers_find_and_no_more(db, scope, files, sweep):
    _, _, shown = await a_succeeded_export(db, files, scope)
    await sweep()
    assert on_disk(files) == shown


async def test_a_stopped_process_that_finishes_its_write_late_is_swept_later(
    db, scope, files, sweep
):
    job, folder = await a_failed_job(db, scope)
    await sweep()
    store(files, f"{folder}/late.parquet")
    await ended_ago(db, job, LOOK_UNTIL - timedelta(minutes=1))
    await sweep()
    assert on_disk(files) == set()


async def test_after_a_day_nobody_looks_below_a_folder_any_more(db, scope, sweep):
    job, _ = await a_failed_job(db, scope)
    await sweep()
    assert await db.fetchval("SELECT count(*) FROM folders") == 1
    await ended_ago(db, job, LOOK_UNTIL)
    await sweep()
    assert await db.fetchval("SELECT count(*) FROM folders") == 0


async def test_a_round_by_itself_looks_only_at_what_is_due(database, db, scope, files, sweep):
    _, folder = await a_failed_job(db, scope)
    await sweep()
    late = store(files, f"{folder}/late.parquet")
    await Sweeper(database, files, KEEPING, actor="test").sweep()
    assert on_disk(files) == {late}
    await db.execute("UPDATE folders SET due_at = now()")
    await Sweeper(database, files, KEEPING, actor="test").sweep()
    assert on_disk(files) == set()


async def test_who_sweeps_by_hand_looks_below_all_folders_however_many_they_are(
    database, db, scope, files, sweep, monkeypatch
):
    monkeypatch.setattr(sweeping, "MOST_AT_ONCE", 1)
    for _ in range(3):
        _, folder = await a_failed_job(db, scope)
        store(files, f"{folder}/part")
    await Sweeper(database, files, KEEPING, actor="test").sweep()
    assert len(on_disk(files)) == 2
    assert (await sweep())["unnamed_files"] == 2
    assert on_disk(files) == set()


async def test_the_files_of_a_job_that_is_gone_with_its_rows_go_too(db, scope, files, sweep):
    job, folder = await a_failed_job(db, scope)
    store(files, f"{folder}/part")
    await db.execute("DELETE FROM batches")
    await db.execute("DELETE FROM jobs")
    await sweep()
    assert on_disk(files) == set()
    assert job.id


async def test_an_upload_nobody_named_goes_when_its_batch_takes_no_more(db, scope, files, sweep):
    batch = await a_batch(db, scope)
    folder = keys.upload_folder(scope.sandbox_id, batch.id)
    await FolderStore(db).note_uploads(batch.id, folder)
    named, stray = (store(files, keys.upload(scope.sandbox_id, batch.id)) for _ in range(2))
    await BatchStore(db).keep_upload(
        batch.id, Upload(path="a", key=named, size_bytes=7), sha256="ab"
    )
    await sweep()
    assert on_disk(files) == {named, stray}
    await BatchStore(db).give_up(scope, batch.id, actor="amy")
    await sweep()
    assert on_disk(files) == {named}


async def test_uploads_go_when_their_batch_has_ended_long_enough(db, scope, files, sweep):
    batch, named = await a_promoted_batch(db, files, scope)
    await finished_ago(db, batch, KEEPING.uploads - timedelta(minutes=1))
    await sweep()
    assert named["upload"] in on_disk(files)
    await finished_ago(db, batch, KEEPING.uploads)
    assert (await sweep())["uploads"] == 1
    assert on_disk(files) == {named["shown"], named["stored"]}


async def test_chunks_of_a_batch_that_was_given_up_go_as_uploads_do(db, scope, files, sweep):
    batch = await a_batch(db, scope)
    key = store(files, keys.upload(scope.sandbox_id, batch.id))
    await LargeFileStore(db).begin(batch.id, "big")
    span = Span(first_byte=0, size_bytes=7, total_bytes=None)
    await LargeFileStore(db).keep_chunk(batch.id, "big", Chunk(span=span, key=key))
    await BatchStore(db).give_up(scope, batch.id, actor="amy")
    await finished_ago(db, batch, KEEPING.uploads)
    await sweep()
    assert on_disk(files) == set()


async def test_an_upload_that_was_sent_again_goes_even_if_the_service_died_in_between(
    db, scope, files, sweep
):
    batch = await a_batch(db, scope)
    old, new = (store(files, keys.upload(scope.sandbox_id, batch.id)) for _ in range(2))
    for key in (old, new):
        upload = Upload(path="a", key=key, size_bytes=7)
        await BatchStore(db).keep_upload(batch.id, upload, sha256="ab")
    await sweep()
    assert on_disk(files) == {new}


async def test_what_the_database_does_not_know_stays_where_it_is(database, db, scope, files, sweep):
    """As after restoring an older database: its jobs will even be given the same numbers."""
    await a_promoted_batch(db, files, scope)
    job, _ = await a_failed_job(db, scope)
    before = on_disk(files)
    newer = {
        store(files, keys.attempt_folder(scope.sandbox_id, job.id, 1) + "/records.parquet"),
        store(files, keys.attempt_folder(scope.sandbox_id, job.id + 1, 1) + "/part.parquet"),
        store(files, keys.upload(scope.sandbox_id, "a-later-batch")),
    }
    everything_expired = Keeping(
        loading=timedelta(0), uploads=DAY, reverted=DAY, diagnostics=DAY, rows=None
    )
    await sweep(everything_expired)
    assert on_disk(files) == before | newer
    found = await Checkup(database, files, sweeps_every=timedelta(0)).examine()
    assert found.files is not None
    assert set(found.files.unknown) == newer
    assert len(found.complaints) == 1


async def test_a_sweeper_that_died_before_removing_files_is_made_up_for(db, scope, files, sweep):
    batch, named = await a_promoted_batch(db, files, scope)
    await db.execute("DELETE FROM store_files")
    assert await db.fetchval("SELECT key FROM discarded_files") == named["stored"]
    os.unlink(files.root / named["stored"])  # noqa: PTH108  # as one does that dies right after
    assert (await sweep())["files"] == 0
    assert await db.fetchval("SELECT count(*) FROM discarded_files") == 0
    assert batch.id


async def test_answers_are_forgotten_when_their_keys_are_free_again(db, scope, sweep):
    for key, expires in (("old", "-1 minute"), ("new", "1 minute")):
        await db.execute(
            "INSERT INTO kept_answers (sandbox_id, organisation_id, operation, key, request_digest,"
            " expires_at) VALUES ($1, $2, 'o', $3, '', now() + $4::text::interval)",
            scope.sandbox_id,
            scope.organisation_id,
            key,
            expires,
        )
    assert (await sweep())["answers"] == 1
    assert await db.fetchval("SELECT key FROM kept_answers") == "new"


async def test_one_sweeps_at_a_time(database, sweep):
    async with database.transaction() as other:
        assert await SweepingStore(other).try_lock()
        assert await sweep() is None
    assert await sweep() is not None


async def test_a_round_says_what_it_did(database, db, scope, files, sweep):
    _, folder = await a_failed_job(db, scope)
    store(files, f"{folder}/part")
    await sweep()
    async with database.transaction() as reading:
        last = await SweepingStore(reading).last_sweep()
    assert last is not None
    assert last.actor == "test"
    assert +Counter(last.counts) == {"unnamed_files": 1}
    assert last.started_at <= last.ended_at


async def test_a_job_that_runs_again_meets_nothing_of_the_sweeper(db, scope, files, sweep):
    job = await a_job(db, scope, is_claimed=True)
    store(files, f"{await an_attempt(db, job)}/half")
    again = await claimed_again(db, job)
    await sweep()
    kept = store(files, f"{await an_attempt(db, again)}/part")
    await sweep()
    assert on_disk(files) == {kept}
    found = await JobStore(db).find(scope, job.id, kind=JobKind.EXPORT)
    assert found.state is JobState.RUNNING
