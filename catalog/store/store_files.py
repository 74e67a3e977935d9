"""The profile store's files: which of them make up a snapshot, and how new ones join."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from catalog.batches import BatchId
from catalog.errors import NotFound
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.labellings import LabellingStore
from catalog.store_files import NewStoreFile, StoreFile, StoreFileKind

SQL = queries.beside(__file__)


class StoreFileStore:
    """The profile store's files, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self,
        scope: Scope,
        batch_id: BatchId,
        *,
        is_upsert: bool,
        files: Sequence[NewStoreFile],
        replacing: Sequence[BatchId] = (),
    ) -> int:
        """Add what a batch brings and return the commit number from which it can be seen.

        What the batches it is ``replacing`` brought goes with the same number: no snapshot has
        both, and none has neither. The sandbox's row stays locked until the transaction ends:
        call this late in it. A batch without rows has no files and still takes a number.
        """
        commit, ingested_at = await self._next_commit(scope)
        added = await SQL["add"].rows(
            self._db,
            **_of(scope),
            batch_id=batch_id,
            is_upsert=is_upsert,
            ingested_at=ingested_at,
            commit=commit,
            kinds=[file.kind for file in files],
            keys=[file.key for file in files],
            sizes=[file.size_bytes for file in files],
            rows=[file.row_count for file in files],
        )
        if len(added) != len(files):
            raise NotFound("batch", batch_id)
        await self._remove(scope, replacing, commit)
        return commit

    async def remove(self, scope: Scope, batch_ids: Sequence[BatchId]) -> int:
        """Take what batches brought out of the profile store; return the commit number.

        Snapshots below that number still have it, so jobs that pinned one go on. The sandbox's
        row stays locked until the transaction ends, as by :meth:`add`.
        """
        commit, _ = await self._next_commit(scope)
        await self._remove(scope, batch_ids, commit)
        return commit

    async def snapshot(self, scope: Scope) -> int:
        """The sandbox's last commit number: what an export pinned now would read."""
        row = await SQL["snapshot"].row(self._db, **_of(scope))
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return int(row["commit_number"])

    async def files_at(self, scope: Scope, commit: int) -> tuple[StoreFile, ...]:
        """Every file of a snapshot, ordered by ingest number, then by the bytes of its key."""
        rows = await SQL["files_at"].rows(self._db, **_of(scope), commit=commit)
        return tuple(_store_file(row) for row in rows)

    async def _remove(self, scope: Scope, batch_ids: Sequence[BatchId], commit: int) -> None:
        await SQL["remove"].rows(self._db, **_of(scope), batch_ids=list(batch_ids), commit=commit)
        await LabellingStore(self._db).discard(scope, commit)

    async def _next_commit(self, scope: Scope) -> tuple[int, datetime]:
        row = await SQL["next_commit"].row(self._db, **_of(scope))
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return row["commit_number"], row["last_ingested_at"]


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _store_file(row: Record) -> StoreFile:
    return StoreFile(**{**row, "kind": StoreFileKind(row["kind"])})
