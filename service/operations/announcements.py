"""Wakes workers when jobs wait, once for all that were submitted meanwhile."""

from __future__ import annotations

import asyncio

import structlog

from catalog.errors import Refusal
from catalog.store.database import Connection, Database
from catalog.store.jobs import JobStore

log = structlog.get_logger(__name__)

#: Between two announcements. Nobody notices so short a wait, and the first of many never waits.
_PAUSE_SECONDS = 0.05


class Announcements:
    """Says that jobs wait, after they were committed.

    A notice in the transaction of each would make all commits wait for one another. One that is
    lost, with the process or the database, costs a worker's poll and never a job.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._is_due = False
        self._telling: asyncio.Task[None] | None = None

    def announce(self, db: Connection) -> None:
        """Tell workers once the transaction of ``db`` is made for good."""
        self._database.afterwards(db, self._announce)

    def _announce(self) -> None:
        self._is_due = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell())

    async def _tell(self) -> None:
        while self._is_due:
            self._is_due = False
            try:
                await self._database.read(lambda db: JobStore(db).announce())
            except Refusal as refusal:
                log.warning("cannot announce jobs", reason=refusal.code)
            await asyncio.sleep(_PAUSE_SECONDS)
