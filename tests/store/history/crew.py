"""Workers that claim jobs, and finish them, or do not, when they are told to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from catalog.errors import Conflict, Stale
from catalog.jobs import Job, JobId, JobKind, WorkerId
from catalog.organisations import SandboxId
from catalog.store.database import Connection, Database
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from service.engine.orders import IdentityRules, Limits, PromotionOrder
from service.storage import keys
from service.worker import rebuilds
from service.worker.attempts import AttemptFailed, release_expired
from service.worker.claim import Claim, HandedBack, LeaseLost
from service.worker.compactions import Compactions
from service.worker.exports import Exports, PartSizes
from service.worker.rebuilds import Rebuilds
from service.worker.worker import Timing, Worker
from tests.patience import until_locked_out
from tests.store.history.disk import Disk
from tests.store.history.engine import Engine

#: What failed is tried again after so long, and leases last as long.
HOUR = timedelta(hours=1)
#: Batches are settled, and what was taken back is to be erased, when they are as old.
MONTH = timedelta(days=30)
TIMING = Timing(lease=HOUR, heartbeat=HOUR, grace=HOUR, poll=HOUR)
SIZES = PartSizes(part_row_count=1, part_size_bytes=1, slice_size_bytes=1, labelling_size_bytes=1)
#: A job that has failed as often fails for good.
ATTEMPTS = 2
#: So many work at once.
WORKERS = 3
#: Why attempts may fail that nobody told to.
EXCUSES = frozenset({"told_to", "store_incomplete"})


@dataclass(slots=True)
class Attempt:
    """A claimed job, with what it needs read, which somebody is about to finish."""

    job: Job
    engine: Engine
    ending: asyncio.Task[None] | None = None
    is_silent: bool = False


class Crew:
    """The workers of a deployment, and what each of them is at."""

    def __init__(self, database: Database, disk: Disk) -> None:
        self._database = database
        self._disk = disk
        self.attempts: list[Attempt] = []
        #: Whose jobs were worked on, until somebody looks.
        self.touched: set[SandboxId] = set()
        #: What a worker would only have logged.
        self.defects: list[Exception] = []
        #: Jobs that were refused since the store lacks rows.
        self.refused: list[Job] = []

    async def claim(self) -> None:
        """Claim a job, if somebody is free, and read what it needs."""
        if self._free() >= 1:
            await self._begin(await self._claimed())

    async def claim_two(self, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Claim a job while another claim cannot be seen yet; something may happen between."""
        if self._free() < 2:
            return
        async with self._database.transaction() as db:
            first = await JobStore(db).claim_next(WorkerId("first"), lease=HOUR)
            await meanwhile()
            other = asyncio.create_task(self._claimed())
            await self._database.read(partial(until_locked_out, doing=other, may_end=True))
        await self._begin(first)
        await self._begin(await other)

    async def advance(self, attempt: Attempt) -> None:
        """Let an attempt do one thing of those that it has to do: an export keeps its plan."""
        attempt.engine.go_on_once()
        await self._until_it_reads(attempt)

    async def finish(self, attempt: Attempt) -> None:
        """Let an attempt end as it will; whoever was silent has lost it."""
        attempt.engine.go_on()
        await self._end(attempt)

    async def fail(self, attempt: Attempt, *, is_final: bool) -> None:
        """Let the engine say that it cannot do it."""
        attempt.engine.fail(is_final=is_final)
        await self._end(attempt)

    async def hand_back(self, attempt: Attempt) -> None:
        """Let the worker shut down."""
        assert attempt.ending is not None
        attempt.ending.cancel()
        await self._end(attempt)

    async def fall_silent(self, attempt: Attempt) -> None:
        """Let the lease run out; the worker may wake up later."""
        attempt.is_silent = True
        self.touched.add(attempt.job.scope.sandbox_id)
        await self.release([attempt.job.id])

    async def release(self, ids: Collection[JobId]) -> None:
        """Take jobs from whoever has them."""
        async with self._database.transaction() as db:
            await db.execute(
                "UPDATE jobs SET lease_expires_at = now() - interval '1 second'"
                " WHERE state = 'running' AND id = ANY ($1)",
                [*ids],
            )
        await release_expired(self._database, limit=ATTEMPTS, actor="reaper")

    async def leave(self) -> None:
        """End whatever is left, somehow."""
        endings = [attempt.ending for attempt in self.attempts if attempt.ending is not None]
        for ending in endings:
            ending.cancel()
        await asyncio.gather(*endings, return_exceptions=True)

    def _free(self) -> int:
        return WORKERS - sum(not attempt.is_silent for attempt in self.attempts)

    async def _claimed(self) -> Job | None:
        async with self._database.transaction() as db:
            return await JobStore(db).claim_next(WorkerId("second"), lease=HOUR)

    async def _begin(self, job: Job | None) -> None:
        if job is None:
            return
        engine = Engine(self._disk)
        attempt = Attempt(job, engine)
        works = {
            JobKind.COMPACTION: Compactions(engine, threads=1, revertible=MONTH).run,
            JobKind.REBUILD: Rebuilds(
                engine, threads=1, rules=IdentityRules(), limits=Limits()
            ).run,
            JobKind.USER_LIST: Exports(engine, threads=1, sizes=SIZES).run,
        }
        assert job.worker_id is not None
        work = {job.kind: partial(self._watched, works[job.kind])}
        worker = Worker(
            job.worker_id, self._database, work, slots=1, timing=TIMING, attempts=ATTEMPTS
        )
        claim = Claim(self._database, job, lease=HOUR, heartbeat=HOUR, claimed_at=time.monotonic())
        attempt.ending = asyncio.create_task(worker._attempt(claim))
        self.attempts.append(attempt)
        await self._until_it_reads(attempt)

    async def _until_it_reads(self, attempt: Attempt) -> None:
        """Wait until an attempt has read what it needs, or has ended."""
        assert attempt.ending is not None
        self.touched.add(attempt.job.scope.sandbox_id)
        reading = asyncio.create_task(attempt.engine.has_read.wait())
        await asyncio.wait((attempt.ending, reading), return_when=asyncio.FIRST_COMPLETED)
        reading.cancel()
        if attempt.ending.done():
            await self._end(attempt)

    async def _end(self, attempt: Attempt) -> None:
        assert attempt.ending is not None
        self.touched.add(attempt.job.scope.sandbox_id)
        self.attempts.remove(attempt)
        await attempt.ending

    async def _watched(self, work: Callable[[Claim], Awaitable[None]], claim: Claim) -> None:
        try:
            await work(claim)
        except (Conflict, Stale, LeaseLost, HandedBack):
            raise
        except AttemptFailed as failed:
            if failed.error.code == "store_incomplete":
                self.refused.append(claim.job)
            if failed.error.code not in EXCUSES:
                self.defects.append(failed)
            raise
        except Exception as defect:
            self.defects.append(defect)
            raise


async def promotion_order(db: Connection, job: Job, dataset_id: str, **told: Any) -> PromotionOrder:
    """What the worker tells an engine for which schemas and identities mean nothing."""
    folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
    await FolderStore(db).note_attempt(job, folder)
    return PromotionOrder(
        folder=folder,
        is_event=dataset_id.startswith("events"),
        fields=(),
        identities=(),
        unlinked_namespaces=(),
        for_profile=True,
        secret=b"",
        identity_rules=told.pop("rules"),
        **told,
    )


#: Where the worker looks for what :func:`promotion_order` stands in for.
PROMOTION_ORDER = (rebuilds, "promotion_order", promotion_order)
