"""What the database holds, across all organisations: for those who run it, never for callers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from catalog.jobs import JobId, WorkerId
from catalog.store.database import Connection
from catalog.store.migrate import migrations
from catalog.store.queries import beside

SQL = beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A worker's hold on a job."""

    job_id: JobId
    kind: str
    worker_id: WorkerId
    attempt: int
    expires_at: datetime
    is_expired: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The database as its server describes it."""

    version: str
    name: str
    size_bytes: int


class Inventory:
    """Counts and names of what there is. Reads whole tables: not for every minute."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def server(self) -> Server:
        row = await SQL["server"].row(self._db)
        assert row is not None
        return Server(**row)

    async def applied_migrations(self) -> list[str]:
        """Names of what was applied, oldest first; none in an empty database."""
        row = await SQL["is_migrated"].row(self._db)
        if row is None or not row["answer"]:
            return []
        return [row["name"] for row in await SQL["migrations"].rows(self._db)]

    async def missing_migrations(self) -> list[str]:
        """Names of what this release would still apply."""
        applied = set(await self.applied_migrations())
        return [each.name for each in migrations() if each.name not in applied]

    async def named_keys(self) -> set[str]:
        """Every stored file that some row names."""
        return {row["key"] for row in await SQL["named_keys"].rows(self._db)}

    async def discarded_keys(self) -> set[str]:
        """Every stored file whose row went, and that is about to be removed."""
        return {row["key"] for row in await SQL["discarded_keys"].rows(self._db)}

    async def folder_keys(self) -> set[str]:
        """Every folder whose files are the sweeper's to judge, those in use included."""
        return {row["key"] for row in await SQL["folder_keys"].rows(self._db)}

    async def leases(self) -> list[Lease]:
        """Who works on what."""
        return [
            Lease(
                job_id=row["id"],
                kind=row["kind"],
                worker_id=row["worker_id"],
                attempt=row["attempt"],
                expires_at=row["lease_expires_at"],
                is_expired=row["is_expired"],
            )
            for row in await SQL["leases"].rows(self._db)
        ]
