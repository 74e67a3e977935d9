"""Whether the database and the stored files agree, and who works. It only looks."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import PurePosixPath

from catalog.store.database import Database
from catalog.store.inventory import Inventory, Lease, Server
from catalog.store.sweeping import Sweep, SweepingStore
from service.storage.files import Files

#: Rounds that may be missed before it is a complaint: one that follows a start, or much that goes
#: at once, delays the next.
_MISSED_ROUNDS = 3
#: However often rounds are due, so much delay is none: some thousand files take minutes.
_LEAST_DELAY = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFiles:
    """How the files on disk and those the database names compare."""

    named_count: int
    #: Named by a row and not there: readers of them fail. Restore them.
    missing: tuple[str, ...]
    #: There, and the database knows neither them nor their folders: after it was restored from a
    #: backup, what is newer than that backup. Nothing ever deletes them.
    unknown: tuple[str, ...]
    #: There, and in use by jobs and uploads under way, or waiting to be swept.
    passing_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What a checkup saw."""

    server: Server
    applied_migrations: tuple[str, ...]
    missing_migrations: tuple[str, ...]
    #: Null when the schema is not the one this release reads.
    files: StoredFiles | None
    leases: tuple[Lease, ...]
    #: Null when the sweeper never ran.
    last_sweep: Sweep | None
    #: How often a round is due; zero when sweeping is off.
    sweeps_every: timedelta
    #: How long none has ended although the database was there.
    unswept_for: timedelta

    @property
    def complaints(self) -> list[str]:
        """What an operator should look at, worst first."""
        found = []
        if self.files is not None and self.files.missing:
            found.append(f"{len(self.files.missing)} files the database names are not on disk")
        if self.files is not None and self.files.unknown:
            found.append(
                f"{len(self.files.unknown)} files on disk are newer than the database, or not the"
                " service's: nothing removes them"
            )
        if self.missing_migrations:
            found.append(f"{len(self.missing_migrations)} migrations are not applied")
        expired = [lease for lease in self.leases if lease.is_expired]
        if expired:
            found.append(f"{len(expired)} leases ran out and no worker has taken over")
        patience = max(_MISSED_ROUNDS * self.sweeps_every, _LEAST_DELAY)
        if self.sweeps_every and self.unswept_for > patience:
            found.append(
                f"nothing was swept for {_whole(self.unswept_for)}, and every"
                f" {_whole(self.sweeps_every)} it should be: see whether a worker runs, and its log"
            )
        return found


class Checkup:
    """Compares what the database says with what is there."""

    def __init__(self, database: Database, files: Files, *, sweeps_every: timedelta) -> None:
        self._database = database
        self._files = files
        self._sweeps_every = sweeps_every

    async def examine(self) -> Findings:
        """Look at everything. Files that come or go meanwhile may be counted wrongly."""
        async with self._database.transaction() as db:
            inventory, sweeping = Inventory(db), SweepingStore(db)
            missing = await inventory.missing_migrations()
            is_current = not missing
            return Findings(
                server=await inventory.server(),
                applied_migrations=tuple(await inventory.applied_migrations()),
                missing_migrations=tuple(missing),
                files=await self._compare(inventory) if is_current else None,
                leases=tuple(await inventory.leases()) if is_current else (),
                last_sweep=await sweeping.last_sweep() if is_current else None,
                sweeps_every=self._sweeps_every,
                unswept_for=await sweeping.unswept_for() if is_current else timedelta(0),
            )

    async def _compare(self, inventory: Inventory) -> StoredFiles:
        # The disk first: a file is complete before its row is written, never the other way round.
        stored = await asyncio.to_thread(lambda: set(self._files.keys()))
        named = await inventory.named_keys()
        strays = stored - named
        passing = strays & await inventory.discarded_keys()
        passing |= _below(strays, await inventory.folder_keys())
        return StoredFiles(
            named_count=len(named),
            missing=tuple(sorted(key for key in named - stored if not self._files.exists(key))),
            unknown=tuple(sorted(strays - passing)),
            passing_count=len(passing),
        )


def _whole(time: timedelta) -> str:
    """A duration as people say it, without fractions of a second."""
    return str(timedelta(seconds=round(time.total_seconds())))


def _below(stored: Iterable[str], folders: set[str]) -> set[str]:
    """Which files lie in one of some folders, or deeper."""
    return {
        key
        for key in stored
        if any(str(folder) in folders for folder in PurePosixPath(key).parents)
    }
