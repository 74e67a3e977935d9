"""Counts what workers did. They may be anywhere; the database knows of all of them."""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from catalog.store.database import Database
from catalog.store.monitoring import MonitoringStore
from service.telemetry import (
    JOB_SECONDS,
    JOB_WAIT_SECONDS,
    JOBS,
    LEASES_LOST,
    OLDEST_JOB_SECONDS,
    SWEPT,
)

#: An event is dated a moment before it is committed. What takes longer than this is missed.
_BEHIND = timedelta(seconds=2)
#: Whoever asks for metrics is answered with what is known when the database is slow.
_PATIENCE_SECONDS = 3

_LOG = logging.getLogger(__name__)


class Monitoring:
    """Brings the metrics of jobs up to date, from what happened since it was last asked."""

    def __init__(self, database: Database) -> None:
        self._database = database
        #: Up to when it was counted; None before the first look, which only sets the mark.
        self._until: datetime | None = None
        self._lock = asyncio.Lock()

    async def look(self) -> None:
        """Count what is new. Without a database nothing is, and a line is logged."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS), self._lock:
                await self._count()
        except Exception:  # noqa: BLE001 -- metrics of the process are worth having all the more
            _LOG.warning("the metrics of jobs cannot be had", exc_info=True)

    async def _count(self) -> None:
        async with self._database.transaction() as db:
            store = MonitoringStore(db)
            until = await store.instant(behind=_BEHIND)
            queue = await store.queue()
            since = self._until or until
            ended = await store.ended(since, until)
            lost = await store.lost_leases(since, until)
            swept = await store.swept(since, until)
        self._until = until
        JOBS.clear()
        OLDEST_JOB_SECONDS.clear()
        for depth in queue:
            JOBS.labels(depth.kind, depth.state).set(depth.count)
            OLDEST_JOB_SECONDS.labels(depth.kind, depth.state).set(depth.oldest_seconds)
        for job in ended:
            JOB_WAIT_SECONDS.labels(job.kind).observe(job.waited_seconds)
            JOB_SECONDS.labels(job.kind, job.state).observe(job.worked_seconds)
        LEASES_LOST.inc(lost)
        for what, count in swept.items():
            SWEPT.labels(what).inc(count)
