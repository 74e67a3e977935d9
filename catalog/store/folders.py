"""Folders that something may have been written below: what the sweeper knows of the disk.

A folder is noted before anything is written below it, so whatever a lost process left lies in a
folder that is known. Files in any other folder are not the sweeper's: they may be newer than a
database that was restored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.batches import BatchId
from catalog.jobs import Job, JobId
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """One folder that is due; it belongs to a job's attempt or to the uploads of a batch."""

    key: str
    job_id: JobId | None
    batch_id: BatchId | None
    #: How long ago the sweeper first looked; null when it never did.
    known_for: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """What is to be done with the files of a folder."""

    #: Of the files that were asked about, those that no row names or ever will.
    unnamed: tuple[str, ...]
    #: How long ago its owner ended, or was found to be gone; null while it has not ended.
    ended_for: timedelta | None

    def is_over(self, patience: timedelta) -> bool:
        """Whether nobody will write below the folder any more, ``patience`` after the end."""
        return self.ended_for is not None and self.ended_for >= patience


class FolderStore:
    """Folders, noted by whoever is about to write, and looked at by the sweeper."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def note_attempt(self, job: Job, key: str) -> None:
        """Note the folder that an attempt is about to write below."""
        await SQL["note"].row(self._db, key=key, job_id=job.id, attempt=job.attempt, batch_id=None)

    async def note_uploads(self, batch_id: BatchId, key: str) -> None:
        """Note where files of a batch are written. Noted again it stays as it is."""
        await SQL["note"].row(self._db, key=key, job_id=None, attempt=None, batch_id=batch_id)

    async def due(self, *, until: datetime, most: int | None) -> tuple[Folder, ...]:
        """Folders that are due by an instant, and that nobody with a claim may write below.

        Those that wait longest come first; all of them when ``most`` is None.
        """
        rows = await SQL["due"].rows(self._db, until=until, most=most)
        return tuple(Folder(**row) for row in rows)

    async def judge(self, folder: Folder, found: Collection[str]) -> Remains:
        """Say which of the files that were ``found`` below a folder nothing names.

        Reads under the owner's lock. Whoever wrote them has no claim any more, so what is
        unnamed now stays so, and may be removed after the transaction. What a job that ended
        had kept for later attempts is forgotten on the way.
        """
        if folder.job_id is not None:
            return await self._judge_attempt(folder, folder.job_id, found)
        assert folder.batch_id is not None
        batch = await SQL["lock_batch"].row(self._db, batch_id=folder.batch_id)
        if batch is not None and batch["state"] == "loading":
            return Remains(unnamed=(), ended_for=None)
        named = await SQL["named_of_batch"].rows(self._db, batch_id=folder.batch_id)
        return _remains(folder, batch, found, named)

    async def _judge_attempt(
        self, folder: Folder, job_id: JobId, found: Collection[str]
    ) -> Remains:
        job = await SQL["lock_job"].row(self._db, job_id=job_id)
        if job is None or job["finished_at"] is not None:
            await SQL["drop_plan"].row(self._db, job_id=job_id)
            await SQL["drop_rebuilt"].row(self._db, job_id=job_id)
        plan = await SQL["plan_key"].row(self._db, job_id=job_id)
        if plan is not None and plan["key"].startswith(folder.key + "/"):
            # Later attempts go on from it, and the files beside it only the plan names.
            return Remains(unnamed=(), ended_for=None)
        named = await SQL["named_of_job"].rows(self._db, job_id=job_id, keys=list(found))
        return _remains(folder, job, found, named)

    async def put_off(self, folder: Folder, pause: timedelta) -> None:
        await SQL["put_off"].row(self._db, key=folder.key, pause=pause)

    async def forget(self, folder: Folder) -> None:
        await SQL["forget"].row(self._db, key=folder.key)


def _remains(
    folder: Folder, owner: Record | None, found: Collection[str], rows: list[Record]
) -> Remains:
    named = {row["key"] for row in rows}
    return Remains(
        unnamed=tuple(key for key in found if key not in named),
        ended_for=owner["ended_for"] if owner else folder.known_for or timedelta(0),
    )
