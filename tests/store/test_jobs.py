import asyncio
from datetime import timedelta

import pytest

from catalog.errors import Conflict, IllegalTransition, NotFound
from catalog.jobs import ENDED, LIFECYCLE, JobError, JobEvent, JobKind, JobState, WorkerId
from catalog.store.jobs import JobStore
from tests.builders import LEASE, WORKER, a_dataset, a_job
from tests.patience import PATIENCE_SECONDS

OTHER = WorkerId("worker-2")
GONE = timedelta(seconds=-1)
BROKEN = JobError(code="broken", message="it broke")


@pytest.fixture
def jobs(db):
    return JobStore(db)


async def test_a_job_is_claimed_once_and_counts_its_attempts(jobs, db, scope):
    job = await a_job(db, scope)
    claimed = await jobs.claim_next(WORKER, lease=LEASE)
    assert claimed is not None
    assert (claimed.id, claimed.state, claimed.attempt) == (job.id, JobState.RUNNING, 1)
    assert claimed.worker_id == WORKER
    assert await jobs.claim_next(OTHER, lease=LEASE) is None


async def test_many_workers_claim_every_job_once(database, db, scope):
    dataset_id = await a_dataset(db, scope)
    submitted = [(await a_job(db, scope, dataset_id=dataset_id)).id for _ in range(12)]

    async def drain(name):
        claimed = []
        while True:
            async with database.transaction() as connection:
                job = await JobStore(connection).claim_next(WorkerId(name), lease=LEASE)
            if job is None:
                return claimed
            claimed.append(job.id)

    drained = await asyncio.gather(*(drain(f"w{number}") for number in range(4)))
    assert sorted(id for ids in drained for id in ids) == sorted(submitted)


async def test_a_job_is_found_while_a_row_that_names_it_is_written(database, db, jobs, scope):
    job = await a_job(db, scope)
    async with database.transaction() as other:
        await other.execute(
            "INSERT INTO job_events (job_id, event, state, attempt, actor)"
            " VALUES ($1, 'note', 'queued', 0, 'test')",
            job.id,
        )
        claimed = await jobs.claim_next(WORKER, lease=GONE)
        assert claimed is not None
        assert claimed.id == job.id
        expired = await jobs.expired()
        assert expired is not None
        assert expired.id == job.id


async def test_the_sandbox_with_the_fewest_running_jobs_comes_first(jobs, db, scope, foreign_scope):
    for _ in range(3):
        await a_job(db, scope)
    foreign = await a_job(db, foreign_scope)
    first = await jobs.claim_next(WORKER, lease=LEASE)
    second = await jobs.claim_next(WORKER, lease=LEASE)
    assert first is not None
    assert first.scope == scope
    assert second is not None
    assert second.id == foreign.id


async def test_promotions_of_a_data_set_go_one_after_the_other(jobs, db, scope):
    dataset_id = await a_dataset(db, scope)
    first = await a_job(db, scope, kind=JobKind.PROMOTION, dataset_id=dataset_id)
    second = await a_job(db, scope, kind=JobKind.PROMOTION, dataset_id=dataset_id)
    other = await a_job(db, scope, kind=JobKind.PROMOTION)
    running = await jobs.claim_next(WORKER, lease=LEASE)
    assert running is not None
    assert running.id == first.id
    meanwhile = await jobs.claim_next(OTHER, lease=LEASE)
    assert meanwhile is not None
    assert meanwhile.id == other.id
    assert await jobs.claim_next(OTHER, lease=LEASE) is None
    await jobs.move(running, JobEvent.FAIL, actor=WORKER, failure=BROKEN)
    after = await jobs.claim_next(OTHER, lease=LEASE)
    assert after is not None
    assert after.id == second.id


async def test_a_worker_that_lost_its_lease_changes_nothing(jobs, db, scope):
    slow = await a_job(db, scope, is_claimed=True, lease=GONE)
    expired = await jobs.expired()
    assert expired is not None
    await jobs.move(expired, JobEvent.RELEASE, actor="reaper", failure=BROKEN)
    await db.execute("UPDATE jobs SET run_after = now()")
    quick = await jobs.claim_next(OTHER, lease=LEASE)
    assert quick is not None
    assert quick.attempt == 2
    assert not await jobs.renew(slow, lease=LEASE, progress={})
    with pytest.raises(Conflict, match="no longer runs"):
        await jobs.hold(slow)
    with pytest.raises(Conflict, match="moved by someone else"):
        await jobs.move(slow, JobEvent.COMPLETE, actor=WORKER)
    assert (await jobs.move(quick, JobEvent.COMPLETE, actor=OTHER)).state is JobState.SUCCEEDED


async def test_a_failed_attempt_waits_before_the_next(jobs, db, scope):
    job = await a_job(db, scope, is_claimed=True)
    released = await jobs.move(
        job, JobEvent.RELEASE, actor=WORKER, failure=BROKEN, delay=timedelta(hours=1)
    )
    assert (released.state, released.failed_attempts) == (JobState.QUEUED, 1)
    assert released.errors == (), "only the failure a job ends with is its error"
    assert await jobs.claim_next(OTHER, lease=LEASE) is None


async def test_handing_back_costs_no_attempt(jobs, db, scope):
    job = await a_job(db, scope, is_claimed=True)
    released = await jobs.move(job, JobEvent.RELEASE, actor=WORKER)
    assert released.failed_attempts == 0
    again = await jobs.claim_next(OTHER, lease=LEASE)
    assert again is not None
    assert again.attempt == 2


async def test_success_is_refused_once_a_job_was_cancelled(jobs, db, scope):
    job = await a_job(db, scope, is_claimed=True)
    await jobs.move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
    with pytest.raises(IllegalTransition, match=f"job {job.id} is cancelled: cannot complete"):
        await jobs.move(job, JobEvent.COMPLETE, actor=WORKER)


async def test_a_heartbeat_keeps_the_lease_and_what_the_engine_reports(jobs, db, scope):
    job = await a_job(db, scope, is_claimed=True, lease=GONE)
    assert await jobs.renew(job, lease=LEASE, progress={"done": 3})
    assert await jobs.expired() is None
    found = await jobs.find(scope, job.id, kind=JobKind.EXPORT)
    assert found.progress == {"done": 3}


async def test_history_tells_who_moved_a_job_and_why(jobs, db, scope):
    job = await a_job(db, scope, is_claimed=True)
    await jobs.move(job, JobEvent.FAIL, actor=WORKER, failure=BROKEN)
    history = await db.fetch("SELECT * FROM job_events WHERE job_id = $1 ORDER BY at", job.id)
    assert [(row["event"], row["state"], row["actor"], row["reason"]) for row in history] == [
        ("submit", "queued", "test", None),
        ("claim", "running", WORKER, None),
        ("fail", "failed", WORKER, "it broke"),
    ]
    found = await jobs.find(scope, job.id, kind=JobKind.EXPORT)
    assert found.errors == (BROKEN,)


async def test_foreign_jobs_are_not_found(jobs, db, scope, foreign_scope):
    job = await a_job(db, scope)
    for ask in (jobs.find, jobs.lock):
        with pytest.raises(NotFound):
            await ask(foreign_scope, job.id, kind=JobKind.EXPORT)
        with pytest.raises(NotFound):
            await ask(scope, job.id, kind=JobKind.PROMOTION)


async def test_the_table_alone_decides_which_moves_are_allowed(jobs, db, scope):
    dataset_id = await a_dataset(db, scope)
    for state in JobState:
        for event in (JobEvent.COMPLETE, JobEvent.FAIL, JobEvent.RELEASE, JobEvent.CANCEL):
            job = await a_job(db, scope, dataset_id=dataset_id)
            await db.execute(
                "UPDATE jobs SET state = $2, finished_at = CASE WHEN $3 THEN now() END,"
                " worker_id = CASE WHEN $2 = 'running' THEN 'w' END,"
                " lease_expires_at = CASE WHEN $2 = 'running' THEN now() END WHERE id = $1",
                job.id,
                state,
                state in ENDED,
            )
            if event in LIFECYCLE.edges[state]:
                moved = await jobs.move(job, event, actor="test")
                assert moved.state is LIFECYCLE.after(state, event)
            else:
                with pytest.raises(IllegalTransition):
                    await jobs.move(job, event, actor="test")


async def test_workers_hear_of_new_and_cancelled_jobs(jobs, db, scope):
    heard: asyncio.Queue[str] = asyncio.Queue()
    await db.add_listener("jobs", lambda *notice: heard.put_nowait(notice[-1]))
    job = await a_job(db, scope)
    await jobs.move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
    assert await asyncio.wait_for(heard.get(), PATIENCE_SECONDS) == f"queued:{job.id}"
    assert await asyncio.wait_for(heard.get(), PATIENCE_SECONDS) == f"cancelled:{job.id}"
