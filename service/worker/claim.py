"""One claim of one job: its heartbeat, its progress, and the end of it when the lease is lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from typing import TypeVar

import structlog

from catalog.errors import OutcomeUnknown, Unavailable
from catalog.jobs import Job
from catalog.store.database import Connection, Database
from catalog.store.jobs import JobStore
from service.engine.orders import Progress

log = structlog.get_logger()

#: A lease is renewed at least this many times before it would run out, however long a heartbeat
#: was set: with one, a beat that is late by a moment costs a job that is well.
BEATS_PER_LEASE = 3
#: Between two tries to write something while the database is away.
AGAIN_SECONDS = 0.2

T = TypeVar("T")


class LeaseLost(Exception):
    """Another attempt may be running: stop at once and write nothing."""


class HandedBack(Exception):
    """The worker shuts down: what is finished is kept, the rest is for another attempt."""


class Claim:
    """A job this worker holds, for as long as it keeps saying so."""

    def __init__(
        self,
        database: Database,
        job: Job,
        *,
        lease: timedelta,
        heartbeat: timedelta,
        claimed_at: float,
    ) -> None:
        """``claimed_at``: the lease runs from there, by :func:`time.monotonic`."""
        self.job = job
        self._database = database
        self._lease_seconds = lease.total_seconds()
        self._beat_seconds = min(heartbeat.total_seconds(), self._lease_seconds / BEATS_PER_LEASE)
        self._renewed_at = claimed_at
        self._progress: dict[str, object] = {}
        self._is_ending = False
        self._is_lost = False
        self._is_winding_down = False
        self._is_to_beat = asyncio.Event()

    @property
    def is_kept(self) -> bool:
        """Whether its lease is being renewed, however late."""
        return not (self._is_ending or self._is_lost)

    def note(self, progress: Progress, **found: object) -> None:
        """Keep what the engine reports, and what was found out from it, instead of the last.

        Callers see it with the next heartbeat.
        """
        told = progress.model_dump(exclude={"kind"}, exclude_defaults=True)
        self._progress = {**told, **found}

    def start_over(self) -> None:
        """Forget what was reported: the work begins anew."""
        self._progress = {}

    def end(self) -> None:
        """Renew no more: what follows is the one transaction that ends the job, fenced itself."""
        self._is_ending = True

    def look(self) -> None:
        """Renew at once: the job may have been cancelled when nobody heard."""
        self._is_to_beat.set()

    def wind_down(self) -> None:
        """Ask for the work to be left at the next point where nothing of it is lost."""
        self._is_winding_down = True

    def rest(self) -> None:
        """Such a point. Raises :class:`HandedBack` once :meth:`wind_down` was called."""
        if self._is_winding_down:
            raise HandedBack

    async def write(self, transaction: Callable[[Connection], Awaitable[T]]) -> T:
        """Do one transaction under this claim, again while the database is away.

        What it writes must bear being written twice: when the answer to a commit is lost, nobody
        knows whether it was made. Raises :class:`LeaseLost` when the lease ran out meanwhile.
        """
        while True:
            try:
                async with self._database.transaction() as db:
                    return await transaction(db)
            except (Unavailable, OutcomeUnknown) as away:
                log.warning("cannot write", job=self.job.id, reason=str(away))
                if self._silent_seconds() > self._lease_seconds:
                    raise LeaseLost from away
            await asyncio.sleep(AGAIN_SECONDS)

    async def keep(self) -> None:
        """Renew the lease until the claim ends; raise :class:`LeaseLost` when that fails.

        A database that does not answer is asked again, but only until the lease would have run
        out by this machine's own clock: behind that, someone else may hold the job. Who slept
        longer than that asks once: as long as nobody took the job, it is still this worker's.
        """
        try:
            await self._beat()
        finally:
            self._is_lost = not self._is_ending

    async def _beat(self) -> None:
        pause = self._beat_seconds
        while not self._is_ending:
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._is_to_beat.wait()
            self._is_to_beat.clear()
            asked_at = time.monotonic()
            try:
                async with asyncio.timeout(self._patience_seconds()):
                    is_held = await self._renew()
            except Exception as error:
                log.warning("heartbeat failed", job=self.job.id, reason=type(error).__name__)
                if self._silent_seconds() >= self._lease_seconds:
                    raise LeaseLost from error
                pause = min(self._beat_seconds, AGAIN_SECONDS)
                continue
            if not is_held and not self._is_ending:
                raise LeaseLost
            self._renewed_at, pause = asked_at, self._beat_seconds

    def _patience_seconds(self) -> float:
        """How long one renewal may take: there is to be time for another."""
        left_seconds = self._lease_seconds - self._silent_seconds()
        share_seconds = self._lease_seconds / BEATS_PER_LEASE
        return min(share_seconds, left_seconds) if left_seconds > 0 else share_seconds

    def _silent_seconds(self) -> float:
        return time.monotonic() - self._renewed_at

    async def _renew(self) -> bool:
        async with self._database.transaction() as db:
            return await JobStore(db).renew(
                self.job,
                lease=timedelta(seconds=self._lease_seconds),
                progress=self._progress,
            )
