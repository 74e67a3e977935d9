"""The profile store's files: which of them make up a snapshot, and how new ones join."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from catalog.batches import BatchId
from catalog.errors import NotFound, Stale
from catalog.home_files import FORMAT, NewHomeFile
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.home_files import HomeFileStore
from catalog.store.labellings import LabellingStore
from catalog.store.rebuilds import RebuildStore
from catalog.store_files import (
    LiveFile,
    NewStoreFile,
    StoreFile,
    StoreFileId,
    StoreFileKind,
    StoreFileSource,
)

SQL = queries.beside(__file__)

#: Batches may be taken back however old they are.
FOR_EVER = timedelta(days=36500)
#: The share of a file's rows for whose sake it is worth writing the others again.
WORTH = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """A stored file that is about to take the place of others of its data set and kind."""

    dataset_id: str
    file: NewStoreFile
    replaced: tuple[StoreFileId, ...]
    #: Of the batches in it, by their number in it.
    ingest_numbers: tuple[int, ...]
    #: Numbers of batches for whose sake rows of older ones are not in it.
    relied_on: tuple[int, ...] = ()
    #: Rows that may be left out when none of its batches can be taken back any more.
    superseded_count: int = 0
    home: NewHomeFile | None = None


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

        Snapshots below that number still have it, so jobs that pinned one go on. Where rows are
        missed without it, a rebuild is submitted, for which jobs of later snapshots wait. The
        sandbox's row stays locked until the transaction ends, as by :meth:`add`.
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

    async def next_commit(self, scope: Scope, *, is_of_files: bool = True) -> int:
        """Take the sandbox's next commit number.

        What joins or leaves snapshots beside files is not ``is_of_files``. The sandbox's row stays
        locked until the transaction ends, as by :meth:`add`.
        """
        commit, _ = await self._next_commit(scope, is_of_files=is_of_files)
        return commit

    async def files_at(self, scope: Scope, commit: int) -> tuple[StoreFile, ...]:
        """Every file of a snapshot, ordered by ingest number, then by the bytes of its key."""
        rows = await SQL["files_at"].rows(self._db, **_of(scope), commit=commit)
        return tuple(_store_file(row) for row in rows)

    async def to_be_replaced(
        self, scope: Scope, ids: Sequence[StoreFileId], commit: int
    ) -> tuple[StoreFile, ...]:
        """Those of some files whose place another may take, as a snapshot has them, in that order.

        That is whatever no other has taken the place of since and lacks no rows: a file made of
        one that does would not say so.
        """
        of_ids = {"ids": list(ids), "commit": commit}
        rows = await SQL["to_be_replaced"].rows(self._db, **_of(scope), **of_ids)
        return tuple(_store_file(row) for row in rows)

    async def compact(self, scope: Scope, compacted: Sequence[Compacted]) -> int:
        """Let new files take the place of others, and return the commit number.

        Snapshots below it still have the others. Rows of batches that were taken back while the
        new files were made are in them and count no more. Labellings stay: nobody is linked
        otherwise. The sandbox's row stays locked until the transaction ends, as by :meth:`add`.
        Raises :class:`Stale` when others have taken the place of one of the old meanwhile.
        """
        commit, _ = await self._next_commit(scope)
        for one in compacted:
            whole = await SQL["whole"].rows(self._db, **_of(scope), ids=list(one.replaced))
            if len(whole) < len(one.replaced):
                raise Stale(f"store files of data set {one.dataset_id} were replaced meanwhile")
            if one.file.row_count:
                added = await SQL["add_compacted"].rows(
                    self._db,
                    **_of(scope),
                    ids=list(one.replaced),
                    dataset_id=one.dataset_id,
                    kind=one.file.kind,
                    key=one.file.key,
                    size_bytes=one.file.size_bytes,
                    row_count=one.file.row_count,
                    numbers=list(range(len(one.ingest_numbers))),
                    ingest_numbers=list(one.ingest_numbers),
                    relied_on=list(one.relied_on),
                    superseded_count=one.superseded_count,
                    commit=commit,
                )
                if added and one.home is not None:
                    id = StoreFileId(added[0]["file_id"])
                    await HomeFileStore(self._db).add(scope, id, one.home)
            await SQL["replace"].rows(self._db, **_of(scope), ids=list(one.replaced), commit=commit)
        await RebuildStore(self._db).submit_for(scope, commit)
        return commit

    async def live(
        self,
        *,
        horizon: timedelta,
        revertible: timedelta = FOR_EVER,
        patience: timedelta = timedelta(0),
        engine_version: str = "",
    ) -> tuple[LiveFile, ...]:
        """Files of the last snapshots of all sandboxes in which no compaction is under way.

        Rows of batches that were deleted, or taken back ``horizon`` ago, are to be erased. So are
        superseded ones, where they are many, ``revertible`` after the last batch of their file.
        Sandboxes whose compaction failed less than ``patience`` ago are left out, and files that
        lack rows. Files that a labelling of ``engine_version`` could give a home file are told, by
        their kind.
        """
        rows = await SQL["live"].rows(
            self._db,
            horizon=horizon,
            revertible=revertible,
            patience=patience,
            worth=WORTH,
            engine_version=engine_version,
            home_format=FORMAT,
        )
        return tuple(
            LiveFile(
                id=StoreFileId(row["id"]),
                scope=Scope(
                    organisation_id=OrganisationId(row["organisation_id"]),
                    sandbox_id=SandboxId(row["sandbox_id"]),
                    sandbox_name=row["sandbox_name"],
                ),
                dataset_id=row["dataset_id"],
                kind=StoreFileKind(row["kind"]),
                size_bytes=row["size_bytes"],
                is_to_be_rid=row["is_to_be_rid"],
                is_busy=row["is_busy"],
                is_homeless=row["is_homeless"],
            )
            for row in rows
        )

    async def _remove(self, scope: Scope, batch_ids: Sequence[BatchId], commit: int) -> None:
        removal = {**_of(scope), "commit": commit}
        await SQL["remove"].rows(self._db, **removal, batch_ids=list(batch_ids))
        touched = await SQL["remove_from_compacted"].rows(
            self._db, **removal, batch_ids=list(batch_ids)
        )
        ids = sorted({row["file_id"] for row in touched})
        await SQL["remove_empty"].rows(self._db, **removal, ids=ids)
        await LabellingStore(self._db).discard(scope, commit)
        await RebuildStore(self._db).submit_for(scope, commit)

    async def _next_commit(self, scope: Scope, *, is_of_files: bool = True) -> tuple[int, datetime]:
        row = await SQL["next_commit"].row(self._db, **_of(scope), is_of_files=is_of_files)
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return row["commit_number"], row["last_ingested_at"]


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _store_file(row: Record) -> StoreFile:
    sources = tuple(
        StoreFileSource(**{**one, "ingested_at": datetime.fromisoformat(one["ingested_at"])})
        for one in row["sources"]
    )
    return StoreFile(**{**row, "kind": StoreFileKind(row["kind"]), "sources": sources})
