"""Saved labellings: which of them a snapshot may start from, and how long each is kept.

The file behind a labelling is described in :mod:`service.engine.labels`.
"""

from __future__ import annotations

from catalog.errors import NotFound
from catalog.jobs import JobId
from catalog.labellings import Labelling, NewLabelling
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


class LabellingStore:
    """The labellings of sandboxes, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def newest(self, scope: Scope, commit: int, *, engine_version: str) -> Labelling | None:
        """Find the labelling a snapshot is best started from: the newest that is valid for it."""
        row = await SQL["newest"].row(
            self._db, **_of(scope), commit=commit, engine_version=engine_version
        )
        return _labelling(row) if row else None

    async def save(self, scope: Scope, new: NewLabelling, *, job_id: JobId) -> Labelling | None:
        """Save what a job worked out; None when its snapshot has a labelling by now.

        Older ones that no other unfinished export may be reading go, and their files with them.
        Something it was made from may have gone meanwhile: then it serves no later snapshot.
        The sandbox's row stays locked until the transaction ends.
        """
        if await SQL["lock"].row(self._db, **_of(scope)) is None:
            raise NotFound("sandbox", scope.sandbox_name)
        row = await SQL["save"].row(
            self._db,
            **_of(scope),
            commit=new.commit,
            engine_version=new.engine_version,
            main_dataset_id=new.main_dataset_id,
            key=new.key,
            size_bytes=new.size_bytes,
            row_count=new.row_count,
        )
        if row is None:
            return None
        await SQL["forget"].rows(self._db, **_of(scope), commit=new.commit, job_id=job_id)
        return _labelling(row)

    async def discard_before(self, scope: Scope, commit: int) -> None:
        """Let no snapshot from a commit on start from anything that was saved before it."""
        await SQL["discard_before"].rows(self._db, **_of(scope), commit=commit)
        await SQL["forget"].rows(self._db, **_of(scope), commit=commit, job_id=None)

    async def discard(self, scope: Scope, commit: int) -> None:
        """Let no snapshot from a commit on start from what was known before it.

        For whoever removes store files by that commit; when none of them held links or records,
        labellings stay.
        """
        if await SQL["discard"].rows(self._db, **_of(scope), commit=commit):
            await SQL["forget"].rows(self._db, **_of(scope), commit=commit, job_id=None)


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _labelling(row: Record) -> Labelling:
    return Labelling(
        commit=row["commit_number"],
        engine_version=row["engine_version"],
        main_dataset_id=row["main_dataset_id"],
        key=row["key"],
        size_bytes=row["size_bytes"],
        row_count=row["row_count"],
        discarded=row["discarded"],
    )
