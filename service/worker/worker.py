"""A worker: claims jobs, does them under a lease, and hands them back when it must stop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import structlog

from catalog.errors import Conflict, Stale
from catalog.jobs import Job, JobError, JobId, JobKind, JobState, WorkerId
from catalog.store.database import Database
from catalog.store.jobs import JobStore
from catalog.store.notices import LOOK_AGAIN, Notices
from service.engine.local import EngineDied
from service.worker.attempts import (
    AttemptFailed,
    bury,
    end_silent,
    give_up,
    hand_back,
    release_expired,
)
from service.worker.claim import Claim, HandedBack, LeaseLost

log = structlog.get_logger()

Work = Callable[[Claim], Awaitable[None]]

#: Leases that ran out are looked for this many times a lease, and at least every second.
REAPS_PER_LEASE = 2
LONGEST_REAP_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long a worker waits for what; see ``WorkerSettings``, where each is explained."""

    lease: timedelta
    heartbeat: timedelta
    grace: timedelta
    poll: timedelta


class Worker:
    """Does jobs until it is told to stop, ``slots`` of them at a time."""

    def __init__(
        self,
        id: WorkerId,
        database: Database,
        work: Mapping[JobKind, Work],
        *,
        slots: int,
        timing: Timing,
        attempts: int,
        most_running: int | None = None,
    ) -> None:
        """``most_running`` is of one sandbox, whoever runs them; None is no limit."""
        self.id = id
        self._database = database
        self._work = work
        self._slots = slots
        self._timing = timing
        self._attempts = attempts
        self._most_running = most_running
        self._running: dict[JobId, asyncio.Task[None]] = {}
        self._claims: dict[JobId, Claim] = {}
        self._cancelled: set[JobId] = set()
        # Since the last claim began: it may be that job's, which is not among those that run yet.
        self._has_missed_a_cancel = False
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Claim nothing more and hand back what runs; :meth:`run` returns soon after.

        Soon is at the next point where no work is lost, and at the end of the grace at the latest.
        """
        self._stopping.set()
        self._wake.set()

    async def run(self, notices: Notices) -> None:
        """Work until :meth:`stop`. A lost notice costs one poll, never a job."""
        helpers = [
            asyncio.create_task(self._listen(notices)),
            asyncio.create_task(self._reap()),
        ]
        try:
            while not self._stopping.is_set():
                self._wake.clear()
                pause = await self._claim_one()
                if pause:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), pause.total_seconds())
            await self._wind_down()
        finally:
            for task in (*helpers, *self._running.values()):
                task.cancel()
            await asyncio.gather(*helpers, *self._running.values(), return_exceptions=True)

    async def _wind_down(self) -> None:
        """Give what runs the time to leave off without loss. Leases are renewed meanwhile."""
        for claim in self._claims.values():
            claim.wind_down()
        if self._running:
            await asyncio.wait(self._running.values(), timeout=self._timing.grace.total_seconds())

    async def _claim_one(self) -> timedelta:
        """Claim a job and start on it; return how long to sleep before looking again."""
        if len(self._running) >= self._slots:
            return self._timing.poll
        self._has_missed_a_cancel = False
        asked_at = time.monotonic()
        try:
            async with self._database.transaction() as db:
                job = await JobStore(db).claim_next(
                    self.id, lease=self._timing.lease, most_running=self._most_running
                )
                if job is None:
                    due = await JobStore(db).next_due()
                    return self._timing.poll if due is None else min(due, self._timing.poll)
        except Exception as error:  # noqa: BLE001  # a database that is away comes back
            log.warning("cannot claim", reason=type(error).__name__)
            return self._timing.poll
        claim = Claim(
            self._database,
            job,
            lease=self._timing.lease,
            heartbeat=self._timing.heartbeat,
            claimed_at=asked_at,
        )
        if self._has_missed_a_cancel:
            claim.look()
        task = asyncio.create_task(self._attempt(claim), name=f"job {job.id}")
        self._running[job.id] = task
        self._claims[job.id] = claim
        task.add_done_callback(partial(self._forget, job.id))
        return timedelta(0)

    def _forget(self, id: JobId, ended: asyncio.Task[None]) -> None:
        if self._running.get(id) is ended:  # a later attempt may have taken its place
            del self._running[id], self._claims[id]
            self._cancelled.discard(id)
        self._wake.set()

    async def _attempt(self, claim: Claim) -> None:
        """Do one attempt of a job, and see that it ends one way or another."""
        job = claim.job
        log.info("job claimed", job=job.id, job_kind=job.kind, attempt=job.attempt)
        try:
            async with asyncio.TaskGroup() as group:
                beat = group.create_task(claim.keep())
                await self._work[job.kind](claim)
                beat.cancel()
        except* asyncio.CancelledError:
            if job.id not in self._cancelled:
                await self._end(job, hand_back(self._database, job, actor=self.id))
        except* HandedBack:
            await self._end(job, hand_back(self._database, job, actor=self.id))
        except* (AttemptFailed, Stale) as failed:
            why = AttemptFailed.of(failed.exceptions[0])
            await self._end(job, self._give_up(job, why.error, is_final=why.is_final))
        except* (LeaseLost, Conflict) as lost:
            log.warning("claim lost", job=job.id, reason=str(lost.exceptions[0]))
        except* EngineDied as died:
            (death, *_) = died.exceptions
            assert isinstance(death, EngineDied)
            await self._end(job, self._bury(job, death))
        except* Exception as defect:
            log.exception("attempt broke", job=job.id, exc_info=defect)
            error = JobError(code="internal", message="the worker failed; its log has the details")
            await self._end(job, self._give_up(job, error))

    async def _give_up(self, job: Job, error: JobError, *, is_final: bool = False) -> None:
        async with self._database.transaction() as db:
            await give_up(db, job, error, limit=self._attempts, actor=self.id, is_final=is_final)

    async def _bury(self, job: Job, died: EngineDied) -> None:
        async with self._database.transaction() as db:
            await bury(db, job, died, limit=self._attempts, actor=self.id)

    async def _end(self, job: Job, ending: Awaitable[None]) -> None:
        """Write how an attempt ended; when that fails the lease will run out and tell."""
        try:
            await ending
        except Exception as error:  # noqa: BLE001  # the lease is the last word
            log.warning("attempt not ended", job=job.id, reason=str(error))

    async def _listen(self, notices: Notices) -> None:
        """Wake when a job may be claimed, and stop the engines of cancelled ones at once.

        A job that ended may be the one that others waited for. What was not heard is looked up.
        """
        async for notice in notices:
            if notice == LOOK_AGAIN:
                self._has_missed_a_cancel = True
                for claim in self._claims.values():
                    claim.look()
            state, _, id = notice.partition(":")
            if state != JobState.RUNNING:
                self._wake.set()
            if state == JobState.CANCELLED:
                self._stop_engine(JobId(int(id)))

    def _stop_engine(self, id: JobId) -> None:
        if task := self._running.get(id):
            self._cancelled.add(id)
            task.cancel()
        else:
            self._has_missed_a_cancel = True

    async def _reap(self) -> None:
        """Free the jobs of workers that went silent, on a timer of its own.

        Those of this worker are left to their heartbeats: after a pause of the whole machine both
        are late, and who is awake is not silent.
        """
        while True:
            pause = self._timing.lease.total_seconds() / REAPS_PER_LEASE
            await asyncio.sleep(min(pause, LONGEST_REAP_PAUSE_SECONDS))
            try:
                await end_silent(self._database, silence=self._timing.lease)
                kept = [id for id, claim in self._claims.items() if claim.is_kept]
                await release_expired(
                    self._database, limit=self._attempts, actor=self.id, kept=kept
                )
            except Exception as error:  # noqa: BLE001  # a database that is away comes back
                log.warning("cannot reap", reason=type(error).__name__)
