import asyncio
import signal
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from catalog.errors import Stale
from catalog.jobs import JobEvent, JobKind, JobState, WorkerId
from catalog.store.database import Database
from catalog.store.jobs import JobStore
from catalog.store.notices import LOOK_AGAIN, Notices
from service.engine.local import EngineDied
from service.engine.orders import Progress
from service.worker import attempts
from service.worker import claim as claims
from service.worker.attempts import AttemptFailed
from service.worker.worker import Timing, Worker
from tests.builders import a_dataset, a_job
from tests.patience import PATIENCE_SECONDS
from tests.worker.running import reach, running

HOUR = timedelta(hours=1)
AT_ONCE = timedelta(0)
#: Of leases that no worker loses because it had no processor for a while.
LONG = timedelta(minutes=1)
SOON = timedelta(milliseconds=50)


class Doing:
    """Work of a job that waits to be told how to end."""

    def __init__(self) -> None:
        self.claims: asyncio.Queue[claims.Claim] = asyncio.Queue()
        self.stopped: asyncio.Queue[claims.Claim] = asyncio.Queue()
        self.end: Callable[[claims.Claim], object] | None = None

    async def __call__(self, claim: claims.Claim) -> None:
        self.claims.put_nowait(claim)
        if self.end is not None:
            await self.end(claim)
            return
        try:
            await asyncio.Event().wait()
        finally:
            self.stopped.put_nowait(claim)


@pytest.fixture(autouse=True)
def tried_again_at_once(monkeypatch):
    """How long attempts wait for each other is told in test_failures.py."""
    monkeypatch.setattr(attempts, "SHORTEST_DELAY", timedelta(milliseconds=1))


@pytest.fixture
def doing():
    return Doing()


@pytest.fixture
def working(database, where, doing):
    """Runs a worker for as long as the block lasts."""

    @asynccontextmanager
    async def run(
        id="worker-1", *, lease=LONG, heartbeat=SOON, attempts=3, poll=HOUR, grace=AT_ONCE
    ):
        worker = Worker(
            WorkerId(id),
            database,
            {JobKind.EXPORT: doing, JobKind.PROMOTION: doing},
            slots=1,
            timing=Timing(lease=lease, heartbeat=heartbeat, grace=grace, poll=poll),
            attempts=attempts,
        )
        async with running(worker, where):
            yield worker

    return run


async def succeed(database, claim):
    async with database.transaction() as db:
        await JobStore(db).move(claim.job, JobEvent.COMPLETE, actor="worker")


async def test_a_waiting_job_is_done_at_once(working, database, db, scope, doing):
    doing.end = lambda claim: succeed(database, claim)
    async with working():
        job = await a_job(db, scope)
        await reach(db, scope, job, JobState.SUCCEEDED)


@pytest.mark.parametrize("end", [JobEvent.CANCEL, JobEvent.FAIL])
async def test_a_job_that_waited_for_another_is_done_as_soon_as_that_has_ended(
    working, db, scope, doing, end, monkeypatch
):
    """Promotions of a data set go one after the other; the first was put off for an hour."""
    claim_next, found_nothing = JobStore.claim_next, asyncio.Event()

    async def look(jobs, *asked, **more):
        if (job := await claim_next(jobs, *asked, **more)) is None:
            found_nothing.set()
        return job

    monkeypatch.setattr(JobStore, "claim_next", look)
    dataset_id = await a_dataset(db, scope)
    first = await a_job(
        db, scope, kind=JobKind.PROMOTION, dataset_id=dataset_id, is_claimed=end is JobEvent.FAIL
    )
    await db.execute("UPDATE jobs SET run_after = now() + interval '1 hour'")
    second = await a_job(db, scope, kind=JobKind.PROMOTION, dataset_id=dataset_id)
    async with working():
        other = await a_job(db, scope)
        assert (await doing.claims.get()).job.id == other.id
        found_nothing.clear()  # a worker that is busy does not look
        await JobStore(db).move(other, JobEvent.CANCEL, actor="amy", is_fenced=False)
        await found_nothing.wait()
        await JobStore(db).move(first, end, actor="amy", is_fenced=False)
        assert (await doing.claims.get()).job.id == second.id


async def test_a_job_outlives_many_leases_while_its_worker_lives(working, db, scope, doing):
    """The lease is over three times, as if the whole machine had slept; it is taken up again."""
    job = await a_job(db, scope)
    async with working():
        await doing.claims.get()
        for _ in range(3):
            await db.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 second'")
            await until_renewed(db, job)
        found = await JobStore(db).find(scope, job.id, kind=job.kind)
        assert (found.state, found.attempt) == (JobState.RUNNING, 1)


async def until_renewed(db, job):
    """Wait until a worker has said that it is there: a heartbeat tells nobody else."""
    is_held = "SELECT lease_expires_at > now() FROM jobs WHERE id = $1"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await db.fetchval(is_held, job.id):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_cancel_stops_the_work_at_once(working, db, scope, doing):
    job = await a_job(db, scope)
    async with working(lease=HOUR, heartbeat=HOUR):  # which would notice it else
        await doing.claims.get()
        await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
        await doing.stopped.get()
        again = await a_job(db, scope)
        assert (await doing.claims.get()).job.id == again.id


async def test_a_cancel_that_was_not_heard_stops_the_work_as_soon_as_notices_are(
    working, db, scope, doing, monkeypatch
):
    is_heard, connection = asyncio.Event(), Notices._connection

    @asynccontextmanager
    async def late(notices):
        await is_heard.wait()
        async with connection(notices) as found:
            yield found

    monkeypatch.setattr(Notices, "_connection", late)
    job = await a_job(db, scope)
    async with working(lease=HOUR, heartbeat=HOUR):
        await doing.claims.get()
        await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
        is_heard.set()
        await doing.stopped.get()


@pytest.mark.parametrize("is_heard", [True, False])
async def test_a_cancel_between_a_claim_and_what_the_worker_notes_of_it_stops_the_work_at_once(
    working, db, scope, doing, monkeypatch, is_heard
):
    """The claim is committed already; the notice came, or that some may have been lost."""
    job = await a_job(db, scope)
    begin, hear, claim_next = Database.transaction, Notices.__anext__, JobStore.claim_next
    claimed, listened = asyncio.Event(), asyncio.Event()

    async def claim(jobs, *asked, **more):
        found = await claim_next(jobs, *asked, **more)
        if found is not None:
            claimed.set()
        return found

    @asynccontextmanager
    async def transaction(database):
        is_first = not claimed.is_set()
        async with begin(database) as begun:
            yield begun
        if is_first and claimed.is_set():
            await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
            await listened.wait()

    async def heard(notices):
        notice = await hear(notices)
        if notice != f"cancelled:{job.id}":
            return notice
        asyncio.get_running_loop().call_soon(listened.set)  # when the worker has looked at it
        return notice if is_heard else LOOK_AGAIN

    monkeypatch.setattr(JobStore, "claim_next", claim)
    monkeypatch.setattr(Database, "transaction", transaction)
    monkeypatch.setattr(Notices, "__anext__", heard)
    async with working(lease=HOUR, heartbeat=HOUR):
        assert (await doing.stopped.get()).job.id == job.id


async def test_a_worker_told_to_stop_hands_its_job_back(working, db, scope, doing):
    job = await a_job(db, scope)
    async with working():
        await doing.claims.get()
    found = await JobStore(db).find(scope, job.id, kind=job.kind)
    assert (found.state, found.failed_attempts) == (JobState.QUEUED, 0)
    async with working("worker-2"):
        assert (await doing.claims.get()).job.attempt == 2


async def test_an_engine_that_dies_costs_an_attempt_and_is_tried_again(
    working, database, db, scope, doing
):
    async def die_first(claim):
        if claim.job.attempt == 1:
            raise EngineDied(-9)
        await succeed(database, claim)

    doing.end = die_first
    job = await a_job(db, scope)
    async with working():
        found = await reach(db, scope, job, JobState.SUCCEEDED)
    assert (found.attempt, found.failed_attempts) == (2, 1)
    assert found.errors == ()


async def test_a_poisonous_job_fails_with_the_cause_and_takes_its_batch_along(
    working, db, scope, doing
):
    async def die(_claim):
        raise EngineDied(-9)

    doing.end = die
    job = await a_job(db, scope)
    async with working(attempts=2):
        found = await reach(db, scope, job, JobState.FAILED)
    assert found.failed_attempts == 2
    assert [error.code for error in found.errors] == ["engine_died"]
    assert "signal 9" in found.errors[0].message
    assert await db.fetchval("SELECT state FROM batches WHERE job_id = $1", job.id) == "failed"


@pytest.mark.parametrize("crash", [signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS])
async def test_a_job_on_which_the_engine_crashes_twice_is_not_tried_a_third_time(
    working, db, scope, doing, crash
):
    async def crash_again(_claim):
        raise EngineDied(-crash)

    doing.end = crash_again
    job = await a_job(db, scope)
    async with working(attempts=5):
        found = await reach(db, scope, job, JobState.FAILED)
    assert (found.attempt, found.failed_attempts) == (2, 2)
    assert [error.code for error in found.errors] == ["engine_crashed"]
    assert crash.name in found.errors[0].message
    assert "twice" in found.errors[0].message
    assert await db.fetchval("SELECT state FROM batches WHERE job_id = $1", job.id) == "failed"


async def test_an_engine_that_was_killed_after_a_crash_counts_as_any_failed_attempt(
    working, database, db, scope, doing
):
    async def die_in_turn(claim):
        if claim.job.attempt <= 3:
            raise EngineDied(
                [-signal.SIGKILL, -signal.SIGSEGV, -signal.SIGKILL][claim.job.attempt - 1]
            )
        await succeed(database, claim)

    doing.end = die_in_turn
    job = await a_job(db, scope)
    async with working(attempts=5):
        found = await reach(db, scope, job, JobState.SUCCEEDED)
    assert found.failed_attempts == 3


async def test_what_can_never_succeed_is_not_tried_again(working, db, scope, doing):
    async def refuse(_claim):
        raise AttemptFailed("invalid", "no such thing", is_final=True)

    doing.end = refuse
    job = await a_job(db, scope)
    async with working():
        found = await reach(db, scope, job, JobState.FAILED)
    assert found.attempt == 1


async def test_what_has_changed_since_it_was_read_is_read_again_at_once(
    working, database, db, scope, doing
):
    async def find_it_changed(claim):
        if claim.job.attempt == 1:
            raise Stale("it has changed")
        await succeed(database, claim)

    doing.end = find_it_changed
    job = await a_job(db, scope)
    async with working(lease=HOUR):
        found = await reach(db, scope, job, JobState.SUCCEEDED)
    assert (found.attempt, found.failed_attempts) == (2, 1)
    assert await JobStore(db).was_released_for(job, "it has changed")


async def test_a_defect_shows_callers_no_more_than_that_there_is_one(working, db, scope, doing):
    async def break_down(_claim):
        raise RuntimeError("/secret/path")

    doing.end = break_down
    job = await a_job(db, scope)
    async with working(attempts=1):
        found = await reach(db, scope, job, JobState.FAILED)
    assert "/secret" not in found.errors[0].message


async def test_a_silent_worker_loses_its_job_to_another(working, db, scope, doing):
    job = await a_job(db, scope, is_claimed=True, lease=timedelta(milliseconds=1))
    async with working("worker-2"):
        taken = await doing.claims.get()
    assert (taken.job.id, taken.job.attempt) == (job.id, 2)


async def test_work_stops_when_the_lease_was_lost(working, db, scope, doing):
    await a_job(db, scope)
    async with working():
        claim = await doing.claims.get()
        await db.execute("UPDATE jobs SET attempt = attempt + 1 WHERE id = $1", claim.job.id)
        await doing.stopped.get()


async def test_what_the_engine_reports_is_seen_with_the_next_heartbeat(working, db, scope, doing):
    job = await a_job(db, scope)
    async with working():
        claim = await doing.claims.get()
        claim.note(Progress(phase="merging", done=3, total=8, profiles=5), percent=37.5)
        # The first after this may have been under way before.
        for _ in range(2):
            await db.execute("UPDATE jobs SET lease_expires_at = now()")
            await until_renewed(db, job)
        found = await JobStore(db).find(scope, job.id, kind=job.kind)
    told = {"phase": "merging", "done": 3, "total": 8, "profiles": 5, "percent": 37.5}
    assert found.progress == told
