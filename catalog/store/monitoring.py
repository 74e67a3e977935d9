"""What the rows of jobs tell those who run the service, whichever process did the work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.jobs import WENT_SILENT
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDepth:
    """How many jobs of a kind are in a state, and how old the oldest is."""

    kind: str
    state: str
    count: int
    oldest_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedJob:
    """How a job ended, and how long it waited and worked."""

    kind: str
    state: str
    waited_seconds: float
    worked_seconds: float


class MonitoringStore:
    """Reads across all sandboxes: what it answers holds nothing of anybody's."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def instant(self, *, behind: timedelta) -> datetime:
        """The database's clock, so long ago."""
        row = await SQL["instant"].row(self._db, behind=behind)
        assert row is not None
        instant: datetime = row["now"]
        return instant

    async def queue(self) -> list[QueueDepth]:
        return [QueueDepth(**row) for row in await SQL["queue"].rows(self._db)]

    async def ended(self, since: datetime, until: datetime) -> list[EndedJob]:
        """Jobs that ended later than ``since`` and not later than ``until``."""
        rows = await SQL["ended"].rows(self._db, since=since, until=until)
        return [EndedJob(**row) for row in rows]

    async def lost_leases(self, since: datetime, until: datetime) -> int:
        row = await SQL["lost"].row(self._db, since=since, until=until, reason=WENT_SILENT)
        assert row is not None
        return int(row["count"])

    async def swept(self, since: datetime, until: datetime) -> dict[str, int]:
        """What the sweeper removed meanwhile, and how many of each."""
        rows = await SQL["swept"].rows(self._db, since=since, until=until)
        return {row["what"]: row["count"] for row in rows}
