"""Failures that services of this kind are known for, each by its name; see docs/reliability.md."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from catalog.errors import Conflict, Unavailable
from catalog.jobs import JobEvent, JobKind, JobState, WorkerId
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from service.engine.orders import Done
from service.worker import claim as claims
from service.worker.attempts import release_expired
from service.worker.exports import Exports, PartSizes
from service.worker.worker import Timing, Worker
from tests.builders import LEASE, WORKER, a_job
from tests.patience import PATIENCE_SECONDS
from tests.worker.running import reach, running
from tests.worker.test_exports import ORDER, PART, PLANNED

GONE = timedelta(seconds=-1)
HOUR = timedelta(hours=1)
AT_ONCE = timedelta(0)
SIZES = PartSizes(part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=1)


class Engine:
    """Answers as an engine does, and stops before one answer until it may go on."""

    def __init__(self, *, stops_before: object = None) -> None:
        self.reached = asyncio.Event()
        self.may_go_on = asyncio.Event()
        self.ended = asyncio.Event()
        self.orders: list[object] = []
        self._stops_before = stops_before

    @asynccontextmanager
    async def run(self, order):
        self.orders.append(order)
        try:
            yield self._answers(order)
        finally:
            self.ended.set()

    async def _answers(self, order):
        finished = order.finished if order.plan_key else ()
        answers = [PLANNED, PART] if not order.plan_key else [PART][len(finished) :]
        for answer in (*answers, Done(exclusions=(None,))):
            if answer is self._stops_before or type(answer) is self._stops_before:
                self.reached.set()
                await self.may_go_on.wait()
            yield answer


@pytest.fixture
def working(database, where):
    """Runs a worker with an engine for as long as the block lasts."""

    @asynccontextmanager
    async def run(engine, *, lease=LEASE, heartbeat=HOUR, grace=AT_ONCE):
        exports = Exports(engine, threads=1, sizes=SIZES)
        worker = Worker(
            WorkerId("worker-2"),
            database,
            {JobKind.EXPORT: exports.run},
            slots=1,
            timing=Timing(lease=lease, heartbeat=heartbeat, grace=grace, poll=HOUR),
            attempts=3,
        )
        async with running(worker, where):
            yield worker

    return run


async def beats(db, job, count):
    """Wait until a lease was renewed so often; return by how much each time."""
    found = []
    expiry = "SELECT lease_expires_at, lease_expires_at - now() AS lasts FROM jobs WHERE id = $1"
    last = (await db.fetchrow(expiry, job.id))["lease_expires_at"]
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(found) < count:
            await asyncio.sleep(0.01)
            row = await db.fetchrow(expiry, job.id)
            if row["lease_expires_at"] != last:
                last = row["lease_expires_at"]
                found.append(row["lasts"])
    return found


async def test_a_heartbeat_set_longer_than_the_lease_costs_no_job_that_is_well(
    working, db, scope, monkeypatch
):
    monkeypatch.setattr(claims, "BEATS_PER_LEASE", 60)  # three are of no use within a second
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=PLANNED)
    async with working(engine, lease=LEASE, heartbeat=HOUR):
        await engine.reached.wait()
        await beats(db, job, 3)
        found = await JobStore(db).find(scope, job.id, kind=job.kind)
        assert (found.state, found.attempt) == (JobState.RUNNING, 1)
        engine.may_go_on.set()
        assert (await reach(db, scope, job, JobState.SUCCEEDED)).failed_attempts == 0


async def test_a_renewal_is_for_the_lease_that_was_set(working, db, scope):
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=PLANNED)
    async with working(engine, lease=HOUR, heartbeat=timedelta(milliseconds=100)):
        await engine.reached.wait()
        for lasts in await beats(db, job, 3):
            assert HOUR - timedelta(seconds=PATIENCE_SECONDS) < lasts <= HOUR


async def test_a_worker_that_kills_itself_on_a_job_each_time_does_not_get_it_for_ever(
    database, db, scope
):
    job = await a_job(db, scope)
    for _ in range(3):
        await db.execute("UPDATE jobs SET run_after = now()")
        assert await JobStore(db).claim_next(WORKER, lease=GONE)
        assert await release_expired(database, limit=3, actor="reaper") == 1
    found = await JobStore(db).find(scope, job.id, kind=job.kind)
    assert (found.state, found.attempt) == (JobState.FAILED, 3)
    assert [error.code for error in found.errors] == ["lease_expired"]
    assert await db.fetchval("SELECT state FROM batches WHERE job_id = $1", job.id) == "failed"


async def test_a_first_lost_worker_costs_no_wait_and_every_further_one_twice_the_last(
    database, db, scope, monkeypatch
):
    move, waits = JobStore.move, []

    async def noted(jobs, *asked, delay, **more):
        waits.append(delay.total_seconds())
        return await move(jobs, *asked, delay=delay, **more)

    monkeypatch.setattr(JobStore, "move", noted)
    await a_job(db, scope)
    for _ in range(4):
        await db.execute("UPDATE jobs SET run_after = now()")
        assert await JobStore(db).claim_next(WORKER, lease=GONE)
        await release_expired(database, limit=9, actor="reaper")
    assert waits == [0, 1, 2, 4]


async def test_a_worker_that_is_busy_frees_the_jobs_of_one_that_went_silent(working, db, scope):
    engine = Engine(stops_before=PLANNED)
    async with working(engine):
        busy = await a_job(db, scope, order=ORDER)
        await engine.reached.wait()
        await until_reaped(db, scope)
        found = await JobStore(db).find(scope, busy.id, kind=busy.kind)
        assert (found.state, found.attempt) == (JobState.RUNNING, 1)


async def until_reaped(db, scope):
    """Leave a job to a worker that is gone, and wait until another worker has freed it."""
    silent = await a_job(db, scope)
    await db.execute(
        "UPDATE jobs SET state = 'running', attempt = 1, worker_id = 'gone',"
        " lease_expires_at = now() WHERE id = $1",
        silent.id,
    )
    await reach(db, scope, silent, JobState.QUEUED)


async def test_a_worker_that_slept_through_its_lease_does_not_take_its_job_from_itself(
    working, db, scope
):
    """As after a pause of the whole machine, when the heartbeat and the reaper are both due."""
    engine = Engine(stops_before=PLANNED)
    async with working(engine):
        job = await a_job(db, scope, order=ORDER)
        await engine.reached.wait()
        await db.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 hour'")
        await until_reaped(db, scope)  # of two the one that is silent for longer comes first
        found = await JobStore(db).find(scope, job.id, kind=job.kind)
        assert (found.state, found.attempt) == (JobState.RUNNING, 1)


async def test_a_worker_that_was_stopped_with_its_hand_on_a_job_does_not_keep_it(
    working, database, db, scope
):
    """Stopped where the server waits for the second half of a statement that keeps a part."""
    job = await a_job(db, scope, order=ORDER, is_claimed=True, lease=timedelta(seconds=1))

    async def keep_a_part_and_stop_in_it():
        async with database.transaction() as stopped:
            await JobStore(stopped).hold(job)
            await stopped.prepare("INSERT INTO parts (plan_id) VALUES (1)")
            async with working(Engine(), lease=timedelta(seconds=1)):
                assert (await reach(db, scope, job, JobState.SUCCEEDED)).attempt == 2
            await JobStore(stopped).hold(job)

    with pytest.raises(Unavailable):
        await keep_a_part_and_stop_in_it()


async def test_a_worker_started_again_under_its_old_name_is_another_worker(db, scope):
    """The fence is the attempt: a process id, and with it a name, comes back sooner or later."""
    before = await a_job(db, scope, is_claimed=True, lease=GONE)
    await JobStore(db).move(before, JobEvent.RELEASE, actor="reaper")
    after = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert after is not None
    assert after.worker_id == before.worker_id
    assert not await JobStore(db).renew(before, lease=LEASE, progress={})
    with pytest.raises(Conflict):
        await JobStore(db).move(before, JobEvent.COMPLETE, actor=WORKER)
    with pytest.raises(Conflict):
        await JobStore(db).hold(before)


@pytest.mark.parametrize("moment", [PLANNED, PART, Done], ids=["plan", "part", "end"])
async def test_a_cancel_at_any_moment_ends_the_work_and_shows_nothing(working, db, scope, moment):
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=moment)
    async with working(engine):
        await engine.reached.wait()
        async with db.transaction():
            await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
            await BatchStore(db).abort(job.id)
        await engine.ended.wait()
    found = await JobStore(db).find(scope, job.id, kind=job.kind)
    assert found.state is JobState.CANCELLED
    assert await db.fetchval("SELECT count(*) FROM dataset_files") == 0
    assert await db.fetchval("SELECT state FROM batches WHERE job_id = $1", job.id) == "aborted"


async def test_a_worker_told_to_stop_first_keeps_the_part_it_writes(working, db, scope):
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=PART)
    async with working(engine, grace=timedelta(seconds=PATIENCE_SECONDS)) as worker:
        await engine.reached.wait()
        worker.stop()
        engine.may_go_on.set()
        await reach(db, scope, job, JobState.QUEUED)
    found = await JobStore(db).find(scope, job.id, kind=job.kind)
    assert (found.attempt, found.failed_attempts) == (1, 0)
    assert await db.fetchval("SELECT count(*) FROM parts") == 1
    again = Engine()
    async with working(again):
        await reach(db, scope, job, JobState.SUCCEEDED)
    assert [[part.number for part in order.finished] for order in again.orders] == [[0]]


async def test_a_worker_told_to_stop_waits_for_no_part_longer_than_its_grace(working, db, scope):
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=PART)
    async with working(engine, grace=timedelta(milliseconds=50)):
        await engine.reached.wait()
    found = await JobStore(db).find(scope, job.id, kind=job.kind)
    assert (found.state, found.failed_attempts) == (JobState.QUEUED, 0)
    assert engine.ended.is_set()


async def test_one_slow_heartbeat_costs_no_job_and_a_late_one_none_that_nobody_took(
    working, db, scope, monkeypatch
):
    monkeypatch.setattr(claims, "BEATS_PER_LEASE", 60)  # a beat may take half a second
    job = await a_job(db, scope, order=ORDER)
    engine = Engine(stops_before=PLANNED)
    with capture_logs() as lines:
        async with working(engine, heartbeat=timedelta(milliseconds=50)):
            await engine.reached.wait()
            async with db.transaction():  # the heartbeat waits for the row
                await db.execute(
                    "UPDATE jobs SET lease_expires_at = now() - interval '1 hour' WHERE id = $1",
                    job.id,
                )
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while "heartbeat failed" not in [line["event"] for line in lines]:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
            await beats(db, job, 2)
            engine.may_go_on.set()
            found = await reach(db, scope, job, JobState.SUCCEEDED)
    assert (found.attempt, found.failed_attempts) == (1, 0)
