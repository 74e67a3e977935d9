"""Whether the database and the stored files agree, and who works. It only looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from catalog.jobs import JobId
from catalog.store.database import Database
from catalog.store.inventory import Inventory, Lease, Server
from service.storage import keys
from service.storage.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFiles:
    """How the files on disk and those the database names compare."""

    named_count: int
    #: Named by a row and not there: readers of them fail. Restore them.
    missing: tuple[str, ...]
    #: There, and named by nothing. What killed attempts left; but after the database was
    #: restored from a backup, also everything newer than that backup. So never deleted here.
    unknown: tuple[str, ...]
    #: There, and of jobs that have not ended.
    unfinished_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a checkup saw."""

    server: Server
    applied_migrations: tuple[str, ...]
    missing_migrations: tuple[str, ...]
    #: Null when the schema is not the one this release reads.
    files: StoredFiles | None
    leases: tuple[Lease, ...]

    @property
    def complaints(self) -> list[str]:
        """What an operator should look at, worst first."""
        found = []
        if self.files is not None and self.files.missing:
            found.append(f"{len(self.files.missing)} files the database names are not on disk")
        if self.missing_migrations:
            found.append(f"{len(self.missing_migrations)} migrations are not applied")
        expired = [lease for lease in self.leases if lease.is_expired]
        if expired:
            found.append(f"{len(expired)} leases ran out and no worker has taken over")
        return found


class Checkup:
    """Compares what the database says with what is there."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    async def examine(self) -> Findings:
        """Look at everything. Files that come or go meanwhile may be counted wrongly."""
        async with self._database.transaction() as db:
            inventory = Inventory(db)
            missing = await inventory.missing_migrations()
            is_current = not missing
            return Findings(
                server=await inventory.server(),
                applied_migrations=tuple(await inventory.applied_migrations()),
                missing_migrations=tuple(missing),
                files=await self._compare(inventory) if is_current else None,
                leases=tuple(await inventory.leases()) if is_current else (),
            )

    async def _compare(self, inventory: Inventory) -> StoredFiles:
        # The disk first: a file is complete before its row is written, never the other way round.
        stored = await asyncio.to_thread(lambda: set(self._files.keys()))
        named = await inventory.named_keys()
        plans = await inventory.plan_folders()
        strays = {key for key in stored - named if not key.startswith(plans)}
        unfinished = _of_jobs(strays, await inventory.unfinished_jobs())
        return StoredFiles(
            named_count=len(named),
            missing=tuple(sorted(key for key in named - stored if not self._files.exists(key))),
            unknown=tuple(sorted(strays - unfinished)),
            unfinished_count=len(unfinished),
        )


def _of_jobs(stored: Iterable[str], jobs: set[JobId]) -> set[str]:
    return {key for key in stored if keys.job_of(key) in jobs}
