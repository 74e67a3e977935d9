"""Rebuilds: store files that lack rows are made anew of the data set's own files.

Compaction leaves rows out that a later batch supersedes, once that batch cannot be taken back any
more. When it is taken back all the same, or expires, or is replaced, what it superseded is missed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import itemgetter

from catalog.batches import BatchId
from catalog.errors import Stale
from catalog.jobs import Job, JobId, JobKind
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store import queries
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store_files import NewStoreFile, StoreFileKind

SQL = queries.beside(__file__)

#: Who submits rebuilds, in the history of a job.
ACTOR = "upkeep"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFile:
    """One file of a data set, as it lies in storage."""

    name: str
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LackingBatch:
    """A batch whose rows lie in store files that lack rows."""

    id: BatchId
    is_upsert: bool
    #: By the kind of those store files, the commit since which they are to be made anew.
    since: Mapping[StoreFileKind, int]
    files: tuple[OwnFile, ...]


#: Store files that were made anew, by kind, each with its batch.
Rebuilt = Mapping[StoreFileKind, Sequence[tuple[BatchId, NewStoreFile]]]


class RebuildStore:
    """What lacks rows, and what takes its place, inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def submit_for(self, scope: Scope, commit: int) -> tuple[Job, ...]:
        """Submit rebuilds for what lacks rows because of a commit that is being made."""
        rows = await SQL["lacking"].rows(self._db, **_of(scope), commit=commit)
        return tuple([await self.submit(scope, row["dataset_id"], commit) for row in rows])

    async def left(self, *, patience: timedelta) -> tuple[tuple[Scope, str], ...]:
        """Data sets, in any sandbox, that lack rows and whose rebuild ended ``patience`` ago."""
        return tuple(
            (
                Scope(
                    organisation_id=OrganisationId(row["organisation_id"]),
                    sandbox_id=SandboxId(row["sandbox_id"]),
                    sandbox_name=row["sandbox_name"],
                ),
                row["dataset_id"],
            )
            for row in await SQL["left"].rows(self._db, patience=patience)
        )

    async def submit(self, scope: Scope, dataset_id: str, commit: int) -> Job:
        """Submit a rebuild of what a data set lacks in a snapshot that nobody reads yet."""
        return await JobStore(self._db).submit(
            scope,
            kind=JobKind.REBUILD,
            dataset_id=dataset_id,
            order={},
            snapshot=commit,
            actor=ACTOR,
            request_id=ACTOR,
        )

    async def submitted_at(self, scope: Scope, dataset_id: str, commit: int) -> JobId | None:
        """The rebuild of a data set that a commit made necessary; None when it did not."""
        row = await SQL["submitted_at"].row(
            self._db, **_of(scope), dataset_id=dataset_id, commit=commit
        )
        return None if row is None else JobId(row["id"])

    async def lacking_at(self, scope: Scope, commit: int) -> tuple[str, ...]:
        """Data sets whose store files lack rows in a snapshot: what is read there is not whole."""
        rows = await SQL["lacking_at"].rows(self._db, **_of(scope), commit=commit)
        return tuple(row["dataset_id"] for row in rows)

    async def batches(self, job: Job) -> tuple[LackingBatch, ...]:
        """What a rebuild has to read, in ingest order; nothing when another has done its work."""
        rows = await SQL["batches"].rows(
            self._db, **_of(job.scope), dataset_id=job.dataset_id, commit=job.snapshot
        )
        return tuple(
            [
                LackingBatch(
                    id=BatchId(row["batch_id"]),
                    is_upsert=row["is_upsert"],
                    since={StoreFileKind(kind): at for kind, at in row["since"].items()},
                    files=await self._files(job.scope, row["batch_id"]),
                )
                for row in rows
            ]
        )

    async def keep(
        self, job: Job, batch_id: BatchId, files: Sequence[NewStoreFile], *, engine_version: str
    ) -> None:
        """Keep what was made of a batch, in place of what was, for later attempts of the job.

        Refused when the claim was lost.
        """
        await JobStore(self._db).hold(job)
        await SQL["discard_kept"].row(self._db, job_id=job.id, batch_id=batch_id)
        await SQL["keep"].row(
            self._db,
            job_id=job.id,
            batch_id=batch_id,
            attempt=job.attempt,
            engine_version=engine_version,
            kinds=[file.kind for file in files],
            keys=[file.key for file in files],
            sizes=[file.size_bytes for file in files],
            rows=[file.row_count for file in files],
        )

    async def kept(
        self, job: Job, *, engine_version: str
    ) -> Mapping[BatchId, tuple[NewStoreFile, ...]]:
        """What attempts of a job have made so far, of which batches, by the same engine."""
        rows = await SQL["kept"].rows(self._db, job_id=job.id, engine_version=engine_version)
        return {
            BatchId(batch_id): tuple(
                NewStoreFile(
                    kind=StoreFileKind(row["kind"]),
                    key=row["key"],
                    size_bytes=row["size_bytes"],
                    row_count=row["row_count"],
                )
                for row in of_batch
            )
            for batch_id, of_batch in groupby(rows, key=itemgetter("batch_id"))
        }

    async def replace(self, job: Job, lacking: Sequence[LackingBatch], rebuilt: Rebuilt) -> None:
        """Let files take the place of those that lack rows, since they lack them.

        Snapshots below that keep the others. The caller has moved the job in the same transaction,
        and holds the sandbox's row by taking a commit number. Raises :class:`Stale` when what
        lacks rows is not ``lacking`` any more: files were replaced, or made of these.
        """
        if await self.batches(job) != tuple(lacking):
            raise _meanwhile(job)
        since = {(batch.id, kind): at for batch in lacking for kind, at in batch.since.items()}
        for commit in sorted(set(since.values())):
            for kind, files in rebuilt.items():
                anew = [(id, file) for id, file in files if since[id, kind] == commit]
                if anew:
                    await self._replace(job, kind, commit, anew)
        # No snapshot starts from labellings that were saved before it.
        await LabellingStore(self._db).discard_before(job.scope, min(since.values()))

    async def _replace(
        self,
        job: Job,
        kind: StoreFileKind,
        commit: int,
        files: Sequence[tuple[BatchId, NewStoreFile]],
    ) -> None:
        place = {**_of(job.scope), "kind": kind, "commit": commit}
        of_batches = {"dataset_id": job.dataset_id, "batch_ids": [id for id, _ in files]}
        found = await SQL["strangers"].row(self._db, **place, **of_batches)
        if found is None or found["answer"]:
            raise _meanwhile(job)
        for batch_id, file in files:
            if file.row_count:
                await SQL["add"].row(
                    self._db,
                    **place,
                    batch_id=batch_id,
                    key=file.key,
                    size_bytes=file.size_bytes,
                    row_count=file.row_count,
                )
        await SQL["replace"].rows(self._db, **place, **of_batches)
        await SQL["forget"].rows(self._db, **place, **of_batches)

    async def _files(self, scope: Scope, batch_id: str) -> tuple[OwnFile, ...]:
        rows = await SQL["dataset_files"].rows(self._db, **_of(scope), batch_id=batch_id)
        return tuple(OwnFile(**row) for row in rows)


def _meanwhile(job: Job) -> Stale:
    return Stale(f"store files of data set {job.dataset_id} changed meanwhile")


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
