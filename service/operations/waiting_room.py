"""How many jobs of a sandbox may wait. One more is refused before anything of it is written."""

from __future__ import annotations

import time
from datetime import timedelta

from catalog.errors import TooManyJobs
from catalog.organisations import SandboxId, Scope
from catalog.store.database import Connection
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore

#: How long a count is believed. Counting ten thousand takes a millisecond or two, and would be
#: most of what a submission costs.
_COUNT_LASTS_SECONDS = 1.0

#: Where so few places are left, jobs come in one transaction after the other, each counting. More
#: than other processes let in within a second, while this one believes a count.
_FEW_PLACES = 2000

#: What full sandboxes are told. A guess: a job takes seconds.
_ASK_AGAIN_AFTER = timedelta(seconds=5)


class WaitingRoom:
    """Counts the waiting jobs of each sandbox: now and then, or always where few places are left.

    In between it counts what it let in. Processes do not know of one another, but where it matters
    they wait for one another, so that together they let in as many as may wait and no more.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._counts: dict[SandboxId, tuple[float, int]] = {}

    async def enter(self, db: Connection, scope: Scope) -> None:
        """Let one more job in; refuses with TooManyJobs when as many wait as may."""
        if not await self.let_in(db, scope, 1):
            raise self.full(scope)

    async def let_in(self, db: Connection, scope: Scope, wanting: int) -> int:
        """Let in so many more jobs, or as many of them as may wait; return how many those are."""
        counted_at, count = self._counts.get(scope.sandbox_id, (float("-inf"), 0))
        jobs = JobStore(db)
        if time.monotonic() - counted_at > _COUNT_LASTS_SECONDS:
            counted_at = time.monotonic()
            count = await jobs.count_waiting(scope, at_most=self._most)
        if count + wanting > self._most - _FEW_PLACES:
            # Before the queue, as everybody who begins something: an erasure waits for all of them.
            await ErasureStore(db).keep(scope)
            await jobs.queue_up(scope)
            counted_at = time.monotonic()
            count = await jobs.count_waiting(scope, at_most=self._most)
        let_in = max(0, min(wanting, self._most - count))
        self._counts[scope.sandbox_id] = (counted_at, count + let_in)
        return let_in

    def full(self, scope: Scope) -> TooManyJobs:
        """What those are told who were not let in."""
        return TooManyJobs(
            f"{self._most} jobs wait in sandbox {scope.sandbox_name}, which is the most",
            retry_after=_ASK_AGAIN_AFTER,
        )
