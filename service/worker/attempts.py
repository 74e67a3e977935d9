"""How attempts end badly: handed back, tried again, or given up; the same for every kind of job."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from catalog.batches import BatchError
from catalog.jobs import FILLS_BATCHES, WENT_SILENT, Job, JobError, JobEvent, JobId
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.jobs import JobStore
from catalog.store.sessions import SessionStore
from service.engine.local import EngineDied

log = structlog.get_logger()

#: The first retry comes this soon, every further one after twice the time, up to the longest. One
#: that follows a lost lease comes a step sooner: the lease was the first wait.
SHORTEST_DELAY = timedelta(seconds=1)
LONGEST_DELAY = timedelta(minutes=1)

#: Begins the reason of every attempt that ended so.
_CRASHED = "the engine crashed on what it was reading"


class AttemptFailed(Exception):
    """The engine gave up, in words a caller may read."""

    def __init__(self, code: str, message: str, *, is_final: bool) -> None:
        super().__init__(message)
        self.error = JobError(code=code, message=message)
        self.is_final = is_final

    @classmethod
    def of(cls, reason: Exception) -> AttemptFailed:
        """Whatever else than the engine had an attempt fail: others changed what it has read."""
        if isinstance(reason, cls):
            return reason
        return cls("store_changed", str(reason), is_final=False)


async def hand_back(database: Database, job: Job, *, actor: str) -> None:
    """Return a job to the queue because its worker is shutting down. Not a failed attempt."""
    async with database.transaction() as db:
        await JobStore(db).move(job, JobEvent.RELEASE, actor=actor)


async def give_up(
    db: Connection,
    job: Job,
    error: JobError,
    *,
    limit: int,
    actor: str,
    is_final: bool = False,
    has_waited: bool = False,
) -> Job:
    """End an attempt that failed: the job waits for another, or fails when it had ``limit``.

    A job that fails takes its batches with it, in the same transaction.
    """
    jobs = JobStore(db)
    if is_final or job.failed_attempts + 1 >= limit:
        ended = await jobs.move(job, JobEvent.FAIL, actor=actor, failure=error)
        reason = BatchError(code=error.code, description=error.message)
        if job.kind in FILLS_BATCHES:
            await BatchStore(db).fail(job.id, errors=[reason], metrics={})
        log.warning("job failed", job=job.id, job_kind=job.kind, code=error.code)
        return ended
    delay = _delay(job.failed_attempts - has_waited)
    log.warning("attempt failed", job=job.id, attempt=job.attempt, code=error.code)
    return await jobs.move(job, JobEvent.RELEASE, actor=actor, failure=error, delay=delay)


async def bury(db: Connection, job: Job, died: EngineDied, *, limit: int, actor: str) -> Job:
    """End an attempt whose engine died, in one way or another.

    An engine that crashed twice on a job would every time: the job fails, with attempts left.
    """
    if died.crash is None:
        error = JobError(code="engine_died", message=str(died))
        return await give_up(db, job, error, limit=limit, actor=actor)
    is_second = await JobStore(db).was_released_for(job, _CRASHED)
    often = " twice: another attempt would end the same way" if is_second else ""
    error = JobError(code="engine_crashed", message=f"{_CRASHED} ({died.crash}){often}")
    return await give_up(db, job, error, limit=limit, actor=actor, is_final=is_second)


async def end_silent(database: Database, *, silence: timedelta) -> None:
    """Take the locks from processes that were stopped in the middle of a transaction.

    They would hold a job against being taken from them, or whatever they were about to write.
    """
    async with database.transaction() as db:
        count = await SessionStore(db).end_silent(silence=silence)
    if count:
        log.warning("silent transactions ended", count=count)


async def release_expired(
    database: Database, *, limit: int, actor: str, kept: Sequence[JobId] = ()
) -> int:
    """Take jobs from workers that went silent, but for those ``kept``; return how many."""
    count = 0
    lost = JobError(code="lease_expired", message=WENT_SILENT)
    while True:
        async with database.transaction() as db:
            job = await JobStore(db).expired(kept=kept)
            if job is None:
                return count
            await give_up(db, job, lost, limit=limit, actor=actor, has_waited=True)
        count += 1


def _delay(failures_before: int) -> timedelta:
    if failures_before < 0:
        return timedelta(0)
    seconds = SHORTEST_DELAY.total_seconds() * 2.0 ** min(failures_before, 16)
    return min(timedelta(seconds=seconds), LONGEST_DELAY)
