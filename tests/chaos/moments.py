"""Tells at which moment the service is: what its jobs have come to, what its callers are doing."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

import asyncpg

from tests.chaos.plan import CALLS, WORK, Moment
from tests.chaos.rig import Rig

#: The moments between two parts last some tens of milliseconds.
LOOK_SECONDS = 0.01

#: The shorter a moment lasts, the more it tells.
RAREST_FIRST = (
    Moment.REBUILDING,
    Moment.COMPACTING,
    Moment.PUBLISHING,
    Moment.PLANNED,
    Moment.WRITING,
    Moment.CLAIMED,
    Moment.PROMOTING,
    *CALLS,
)

_STANDING = """
SELECT jobs.id, jobs.kind, jobs.worker_id, plans.task_count,
       (SELECT count(*) FROM parts WHERE parts.plan_id = plans.id) AS part_count
  FROM jobs LEFT JOIN plans ON plans.job_id = jobs.id
 WHERE jobs.state = 'running'
 ORDER BY jobs.id
"""


#: How a question ends when PostgreSQL is the one that was attacked.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a running job stands, and which process has it."""

    job_id: int
    moment: Moment
    worker_pid: int


class Watch:
    """Looks at the database past the proxy, and at what the callers have in progress."""

    def __init__(self, rig: Rig, in_progress: Counter[Moment]) -> None:
        self._rig = rig
        self._in_progress = in_progress
        self._connection: asyncpg.Connection | None = None

    async def close(self) -> None:
        if self._connection is not None:
            self._connection.terminate()

    async def standing(self) -> list[Standing]:
        """Every running job; none when the database is away."""
        try:
            if self._connection is None or self._connection.is_closed():
                self._connection = await asyncpg.connect(**self._rig.direct, timeout=2)
            rows = await self._connection.fetch(_STANDING, timeout=2)
        except BaseException as error:
            if self._connection is not None:  # also one that was left in the middle of an answer
                self._connection.terminate()
                self._connection = None
            if isinstance(error, AWAY):
                return []
            raise
        return [
            Standing(
                job_id=row["id"],
                moment=_moment(row),
                worker_pid=int(row["worker_id"].rpartition("-")[2]),
            )
            for row in rows
        ]

    async def wait_for(self, moment: Moment, seconds: float) -> Standing | None:
        """Wait until a job, or a call, is at a moment; then return the job, if it is one's."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if moment in CALLS and self._in_progress[moment]:
                return None
            for standing in await self.standing() if moment in WORK else ():
                if standing.moment is moment:
                    return standing
            await asyncio.sleep(LOOK_SECONDS)
        return None

    async def now(self, asked: Moment, worker_pid: int | None = None) -> Moment:
        """What goes on, in a word: what was asked for, if it does; else the rarest.

        Of jobs, only those of one worker count when one is named.
        """
        standing: Iterable[Standing] = []
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                standing = await self.standing()
        found = {
            each.moment for each in standing if worker_pid is None or each.worker_pid == worker_pid
        }
        found |= {moment for moment, count in self._in_progress.items() if count}
        return next((each for each in (asked, *RAREST_FIRST) if each in found), Moment.IDLE)


_OF_KIND = {"compaction": Moment.COMPACTING, "rebuild": Moment.REBUILDING}


def _moment(row: asyncpg.Record) -> Moment:
    if row["kind"] != "export":
        return _OF_KIND.get(row["kind"], Moment.PROMOTING)
    if row["task_count"] is None:
        return Moment.CLAIMED
    if row["part_count"] == 0:
        return Moment.PLANNED
    return Moment.PUBLISHING if row["part_count"] == row["task_count"] else Moment.WRITING
