"""How many jobs of a sandbox may wait. One more is refused before anything of it is written."""

from __future__ import annotations

import time
from datetime import timedelta

from catalog.errors import TooManyJobs
from catalog.organisations import SandboxId, Scope
from catalog.store.database import Connection
from catalog.store.jobs import JobStore

#: How long a count is believed. Counting ten thousand takes a millisecond or two, and would be
#: most of what a submission costs.
_COUNT_LASTS_SECONDS = 1.0

#: What full sandboxes are told. A guess: a job takes seconds.
_ASK_AGAIN_AFTER = timedelta(seconds=5)


class WaitingRoom:
    """Counts the waiting jobs of each sandbox, now and then, and in between what it let in.

    It counts anew before it refuses. Processes do not know of one another and a count not of
    what is not committed yet: together they may let in as many more as they take in a second.
    """

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._counts: dict[SandboxId, tuple[float, int]] = {}

    async def enter(self, db: Connection, scope: Scope) -> None:
        """Let one more job in; refuses with TooManyJobs when as many wait as may."""
        counted_at, count = self._counts.get(scope.sandbox_id, (float("-inf"), 0))
        is_stale = time.monotonic() - counted_at > _COUNT_LASTS_SECONDS
        if is_stale or count >= self._most:
            counted_at = time.monotonic()
            count = await JobStore(db).count_waiting(scope, at_most=self._most)
        if count >= self._most:
            raise TooManyJobs(
                f"{count} jobs wait in sandbox {scope.sandbox_name}, which is the most",
                retry_after=_ASK_AGAIN_AFTER,
            )
        self._counts[scope.sandbox_id] = (counted_at, count + 1)
