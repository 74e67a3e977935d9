"""Batches, the files callers sent for them, and the files readers find in them."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from catalog.batches import (
    LIFECYCLE,
    Batch,
    BatchError,
    BatchEvent,
    BatchId,
    BatchMetric,
    BatchState,
    DatasetFile,
    InputFormat,
    NewBatch,
    NewDatasetFile,
    Replay,
    Upload,
)
from catalog.errors import Conflict, NotFound
from catalog.filters import Wanted
from catalog.jobs import JobId
from catalog.organisations import Scope
from catalog.store import filters, queries
from catalog.store.batch_rows import batch_of
from catalog.store.database import Connection
from catalog.store.listing_columns import BATCH_COLUMNS

SQL = queries.beside(__file__)


class BatchStore:
    """Batches, read and moved along their lifecycle inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def open(self, scope: Scope, new: NewBatch, *, actor: str) -> Batch:
        """Open a batch that callers upload to."""
        return await self._add(
            scope,
            state=BatchState.LOADING,
            dataset_id=new.dataset_id,
            input_format=asdict(new.input_format),
            external_id=new.external_id,
            tags=dict(new.tags),
            replay=_replay_document(new.replay),
            tolerated_percentage=new.tolerated_percentage,
            has_diagnostics=new.has_diagnostics,
            job_id=None,
            place=0,
            actor=actor,
        )

    async def open_for_export(
        self, scope: Scope, *, dataset_id: str, job_id: JobId, actor: str, place: int = 0
    ) -> Batch:
        """Open a batch that an export job will fill; of several, each has its ``place``."""
        return await self._add(
            scope,
            state=BatchState.EXPORTING,
            dataset_id=dataset_id,
            input_format=asdict(InputFormat()),
            external_id=None,
            tags={},
            replay=None,
            tolerated_percentage=0.0,
            has_diagnostics=False,
            job_id=job_id,
            place=place,
            actor=actor,
        )

    async def find(self, scope: Scope, id: BatchId) -> Batch:
        row = await SQL["find"].row(self._db, **_of(scope), id=id)
        if row is None:
            raise NotFound("batch", id)
        return batch_of(row)

    async def lock(self, scope: Scope, id: BatchId) -> Batch:
        """Find a batch and hold it against every change until the transaction ends."""
        row = await SQL["lock"].row(self._db, **_of(scope), id=id)
        if row is None:
            raise NotFound("batch", id)
        return batch_of(row)

    async def predecessors(
        self, scope: Scope, dataset_id: str, replay: Replay
    ) -> tuple[tuple[BatchId, str | None, BatchState], ...]:
        """The batches a replay names that there are: id, external id and state of each."""
        rows = await SQL["of_dataset"].rows(
            self._db,
            **_of(scope),
            dataset_id=dataset_id,
            ids=list(replay.predecessors),
            external_ids=list(replay.external_ids),
        )
        return tuple((row["id"], row["external_id"], BatchState(row["state"])) for row in rows)

    async def of_job(self, job_id: JobId) -> tuple[Batch, ...]:
        """The batches a job fills, by their place among them."""
        return tuple(batch_of(row) for row in await SQL["of_job"].rows(self._db, job_id=job_id))

    async def listing(
        self, scope: Scope, wanted: Wanted, *, skip: int, most: int
    ) -> tuple[Batch, ...]:
        """One page of the sandbox's batches that pass a filter."""
        rows = await filters.page(
            self._db, SQL["listing"], BATCH_COLUMNS, wanted, limit=most, skip=skip, **_of(scope)
        )
        return tuple(batch_of(row) for row in rows)

    async def describe(
        self,
        scope: Scope,
        id: BatchId,
        *,
        external_id: str | None,
        tags: Mapping[str, list[str]],
        actor: str,
    ) -> Batch:
        """Change what callers say of a batch; nothing depends on it."""
        row = await SQL["describe"].row(
            self._db, **_of(scope), id=id, external_id=external_id, tags=dict(tags), actor=actor
        )
        if row is None:
            raise NotFound("batch", id)
        return batch_of(row)

    async def next_ingest_number(self, scope: Scope) -> int:
        """Take the sandbox's next place in merge order; its row stays locked until the end.

        Whatever is numbered after it and must agree with it, such as the job that promotes
        the batch, is to be inserted in the same transaction.
        """
        row = await SQL["next_ingest_number"].row(self._db, **_of(scope))
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return int(row["ingest_number"])

    async def complete(
        self, scope: Scope, id: BatchId, *, ingest_number: int, job_id: JobId, actor: str
    ) -> Batch:
        """Close a batch to uploads and give it its place and the job that promotes it."""
        row = await SQL["complete"].row(
            self._db,
            **_of(scope),
            **_along(BatchEvent.COMPLETE),
            id=id,
            ingest_number=ingest_number,
            job_id=job_id,
            actor=actor,
        )
        if row is None:
            found = await self.find(scope, id)
            LIFECYCLE.after(found.state, BatchEvent.COMPLETE, id=id)  # refuses, naming the state
            raise Conflict(f"batch {id} was moved by someone else: ask again")
        return batch_of(row)

    async def give_up(
        self,
        scope: Scope,
        id: BatchId,
        *,
        actor: str,
        event: BatchEvent = BatchEvent.ABORT,
        errors: Sequence[BatchError] = (),
    ) -> Batch | None:
        """End a batch that no job fills, or return None: one does by now, or it has ended.

        A batch that a job fills ends with the job, and then by :meth:`abort` or :meth:`fail`.
        """
        row = await SQL["give_up"].row(
            self._db,
            **_of(scope),
            **_along(event),
            id=id,
            actor=actor,
            errors=[asdict(error) for error in errors],
        )
        return batch_of(row) if row else None

    async def withdraw(
        self, scope: Scope, ids: Sequence[BatchId], event: BatchEvent, *, actor: str
    ) -> tuple[BatchId, ...]:
        """Take active batches from their readers, and return which of ``ids`` those were.

        Their rows leave the profile store by :meth:`StoreFileStore.remove`, in the same
        transaction and after this: whoever locks batches and a sandbox locks the batches first.
        """
        rows = await SQL["withdraw"].rows(
            self._db, **_of(scope), **_along(event), ids=list(ids), actor=actor
        )
        return tuple(row["id"] for row in rows)

    async def tell(self, scope: Scope, id: BatchId, error: BatchError) -> Batch:
        """Add to what a batch says of itself."""
        row = await SQL["tell"].row(self._db, **_of(scope), id=id, errors=[asdict(error)])
        if row is None:
            raise NotFound("batch", id)
        return batch_of(row)

    async def activate(
        self,
        job_id: JobId,
        *,
        files: Sequence[NewDatasetFile],
        metrics: Mapping[BatchMetric, int],
        errors: Sequence[BatchError] = (),
        ignored_fields: Sequence[str] = (),
    ) -> None:
        """Show the files of a job: every batch it fills becomes active, or none does.

        Output is counted from the files. Errors tell what was set aside. The caller has moved the
        job in the same transaction, under its fence: this asks nothing about who holds it.
        """
        seen: Counter[BatchId] = Counter()
        numbers = []
        for file in files:
            seen[file.batch_id] += 1
            numbers.append(seen[file.batch_id])
        moved = await SQL["activate"].rows(
            self._db,
            **_along(BatchEvent.ACTIVATE),
            job_id=job_id,
            actor=_actor(job_id),
            metrics=dict(metrics),
            errors=[asdict(error) for error in errors],
            ignored_fields=list(ignored_fields),
            batch_ids=[file.batch_id for file in files],
            numbers=numbers,
            names=[file.name for file in files],
            keys=[file.key for file in files],
            sizes=[file.size_bytes for file in files],
            rows=[file.row_count for file in files],
            hashes=[file.sha256 for file in files],
        )
        strangers = seen.keys() - {row["id"] for row in moved}
        if strangers or not moved:
            raise Conflict(f"job {job_id} cannot activate {sorted(strangers) or 'any batch'}")

    async def fail(
        self,
        job_id: JobId,
        errors: Sequence[BatchError],
        metrics: Mapping[BatchMetric, int],
        *,
        actor: str | None = None,
        ignored_fields: Sequence[str] = (),
    ) -> None:
        """End every batch of a job as failed, each with the same reasons.

        Without ``actor`` the job did it.
        """
        await self._finish(
            job_id,
            BatchEvent.FAIL,
            actor=actor or _actor(job_id),
            errors=errors,
            metrics=metrics,
            ignored_fields=ignored_fields,
        )

    async def abort(self, job_id: JobId, *, actor: str | None = None) -> None:
        """End every batch of a cancelled job as aborted. Without ``actor`` the job did it."""
        await self._finish(job_id, BatchEvent.ABORT, actor=actor or _actor(job_id))

    async def keep_upload(self, batch_id: BatchId, upload: Upload, *, sha256: str) -> str | None:
        """Name a stored file as what was sent under its path; return the key it replaces.

        The caller holds the batch with :meth:`lock` and has seen that it is loading.
        """
        row = await SQL["keep_upload"].row(
            self._db,
            batch_id=batch_id,
            path=upload.path,
            key=upload.key,
            size_bytes=upload.size_bytes,
            sha256=sha256,
        )
        return row["replaced_key"] if row else None

    async def uploads(self, batch_id: BatchId) -> tuple[Upload, ...]:
        """What was sent for a batch, in the order of its rows: by the bytes of the path."""
        rows = await SQL["uploads"].rows(self._db, batch_id=batch_id)
        return tuple(Upload(**row) for row in rows)

    async def upload(self, batch_id: BatchId, path: str) -> Upload | None:
        """What was sent under one path, if anything."""
        row = await SQL["upload"].row(self._db, batch_id=batch_id, path=path)
        return Upload(**row) if row else None

    async def count_others(self, batch_id: BatchId, path: str) -> int:
        """How many files of a batch were sent, or begun, under other paths."""
        row = await SQL["count_others"].row(self._db, batch_id=batch_id, path=path)
        if row is None:
            raise AssertionError("a count answers with a row")
        return int(row["files"])

    async def count_files(self, scope: Scope, batch_id: BatchId) -> int:
        """How many files readers find in a batch: none until it is active."""
        row = await SQL["count_files"].row(self._db, **_of(scope), batch_id=batch_id)
        if row is None:
            raise NotFound("batch", batch_id)
        return int(row["files"])

    async def files(
        self, scope: Scope, batch_id: BatchId, *, skip: int, most: int
    ) -> tuple[DatasetFile, ...]:
        """One page of the files readers find in a batch, by number."""
        rows = await SQL["files"].rows(
            self._db, **_of(scope), batch_id=batch_id, skip=skip, most=most
        )
        return tuple(DatasetFile(**row) for row in rows)

    async def file(self, scope: Scope, batch_id: BatchId, number: int) -> DatasetFile:
        row = await SQL["file"].row(self._db, **_of(scope), batch_id=batch_id, number=number)
        if row is None:
            raise NotFound("file", f"{batch_id}-{number}")
        return DatasetFile(**row)

    async def _add(self, scope: Scope, **values: Any) -> Batch:
        row = await SQL["add"].row(
            self._db, **_of(scope), id=BatchId(secrets.token_hex(16)), **values
        )
        if row is None:
            raise AssertionError("an insert answers with its row")
        return batch_of(row)

    async def _finish(
        self,
        job_id: JobId,
        event: BatchEvent,
        *,
        actor: str,
        errors: Sequence[BatchError] = (),
        metrics: Mapping[BatchMetric, int] | None = None,
        ignored_fields: Sequence[str] = (),
    ) -> None:
        moved = await SQL["finish"].rows(
            self._db,
            **_along(event),
            job_id=job_id,
            actor=actor,
            errors=[asdict(error) for error in errors],
            metrics=dict(metrics or {}),
            ignored_fields=list(ignored_fields),
        )
        if not moved:
            raise Conflict(f"job {job_id} has no batch left to {event}")


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _along(event: BatchEvent) -> dict[str, Any]:
    return {
        "event": event,
        "sources": LIFECYCLE.sources(event),
        "target": LIFECYCLE.target(event),
    }


def _actor(job_id: JobId) -> str:
    return f"job {job_id}"


def _replay_document(replay: Replay | None) -> dict[str, Any] | None:
    if replay is None:
        return None
    return {"predecessors": list(replay.predecessors), "reason": replay.reason}
