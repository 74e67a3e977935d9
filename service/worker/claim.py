"""One claim of one job: its heartbeat, its progress, and the end of it when the lease is lost."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import structlog

from catalog.jobs import Job
from catalog.store.database import Database
from catalog.store.jobs import JobStore
from service.engine.orders import Progress

log = structlog.get_logger()

#: A lease is renewed this many times before it would run out, and at least every second, which
#: is also how old the progress that callers see may be.
BEATS_PER_LEASE = 5
LONGEST_BEAT_SECONDS = 1.0


class LeaseLost(Exception):
    """Another attempt may be running: stop at once and write nothing."""


class Claim:
    """A job this worker holds, for as long as it keeps saying so."""

    def __init__(self, database: Database, job: Job, *, lease: timedelta) -> None:
        self.job = job
        self._database = database
        self._lease = lease
        self._progress: dict[str, object] = {}
        self._is_ending = False

    def note(self, progress: Progress) -> None:
        """Keep what the engine reports; callers see it with the next heartbeat."""
        self._progress |= progress.model_dump(exclude={"kind"})

    def count(self, **counts: int) -> None:
        """Add to the counts that callers see beside the progress."""
        for name, more in counts.items():
            before = self._progress.get(name, 0)
            assert isinstance(before, int)
            self._progress[name] = before + more

    def start_over(self) -> None:
        """Forget what was reported and counted: the work begins anew."""
        self._progress = {}

    def end(self) -> None:
        """Renew no more: what follows is the one transaction that ends the job, fenced itself."""
        self._is_ending = True

    async def keep(self) -> None:
        """Renew the lease until the claim ends; raise :class:`LeaseLost` when that fails.

        A database that cannot be reached is asked again, but only until the lease would have
        run out by this machine's own clock: behind that, someone else may hold the job.
        """
        lease_seconds = self._lease.total_seconds()
        period = min(lease_seconds / BEATS_PER_LEASE, LONGEST_BEAT_SECONDS)
        renewed_at = time.monotonic()
        while not self._is_ending:
            await asyncio.sleep(period)
            asked_at = time.monotonic()
            try:
                left_seconds = lease_seconds - (asked_at - renewed_at)
                async with asyncio.timeout(min(left_seconds, lease_seconds / 2)):
                    is_held = await self._renew()
            except Exception as error:
                log.warning("heartbeat failed", job=self.job.id, reason=type(error).__name__)
                if time.monotonic() - renewed_at > lease_seconds - period:
                    raise LeaseLost from error
                continue
            if not is_held and not self._is_ending:
                raise LeaseLost
            renewed_at = asked_at

    async def _renew(self) -> bool:
        async with self._database.transaction() as db:
            return await JobStore(db).renew(self.job, lease=self._lease, progress=self._progress)
