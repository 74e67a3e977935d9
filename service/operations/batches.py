"""What may be asked of batches: open one, upload to it, complete it, take it back, look at it."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from dataclasses import replace

from catalog.audit import Action, ObjectKind
from catalog.batches import (
    LIFECYCLE,
    Amendment,
    Batch,
    BatchError,
    BatchEvent,
    BatchId,
    BatchState,
    NewBatch,
    Replay,
    Upload,
    must_take_uploads,
    upload_path,
)
from catalog.datasets import DatasetId
from catalog.errors import Conflict, Invalid, InvalidField, TooLarge
from catalog.filters import Wanted
from catalog.jobs import JobError, JobEvent, JobId, JobKind
from catalog.organisations import Caller
from catalog.schemas import UNION_OF
from catalog.store.audit import AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database, tried
from catalog.store.datasets import DatasetStore
from catalog.store.erasure import ErasureStore
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from catalog.store.large_files import LargeFileStore
from catalog.store.rebuilds import RebuildStore
from catalog.store.store_files import StoreFileStore
from catalog.terms import UNCONDITIONALLY, Terms
from service.operations.large_files import must_have_room
from service.operations.superseded import naming
from service.operations.waiting_room import WaitingRoom
from service.storage import keys, streams
from service.storage.files import Files

#: What a batch says of itself when nothing but its caller's word is known.
FAILED_BY_CALLER = BatchError(code="failed_by_caller", description="its caller said that it failed")


class Batches:
    """The batches of a caller's sandbox."""

    def __init__(
        self,
        database: Database,
        files: Files,
        waiting_room: WaitingRoom,
        *,
        largest_upload_bytes: int,
        most_files: int,
    ) -> None:
        self._database = database
        self._files = files
        self._waiting_room = waiting_room
        self._largest_upload_bytes = largest_upload_bytes
        self._most_files = most_files

    async def open(self, new: NewBatch, *, terms: Terms = UNCONDITIONALLY, by: Caller) -> Batch:
        """Open a batch of a data set that takes uploads.

        A batch that replays others names them here, while they are what they are; they stay
        until it is active.
        """
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            await ErasureStore(db).keep(by.scope)
            dataset = await DatasetStore(db).find(by.scope, DatasetId(new.dataset_id))
            if dataset.schema_id in UNION_OF.values():
                raise Invalid(
                    f"data set {dataset.id} is on a union schema: it receives exports only"
                )
            batches = BatchStore(db)
            if new.replay is not None:
                new = replace(new, replay=await _resolved(batches, new, new.replay, by=by))
            opened = await batches.open(by.scope, new, actor=by.client_id)
            await AuditStore(db).note(
                by, Action.CREATE, ObjectKind.BATCH, opened.id, dataset=new.dataset_id
            )
            return opened

    async def upload(
        self,
        id: BatchId,
        dataset_id: str,
        path: str,
        chunks: AsyncIterable[bytes],
        *,
        announced_bytes: int | None,
        by: Caller,
    ) -> Upload:
        """Keep a file for a batch that is loading; a repeat under the same path replaces it.

        The bytes are on disk before the row that names them is written, so that whatever
        happens the row names a whole file. Bytes no row names are all a failure can leave.
        """
        upload_path(path)
        async with self._database.transaction() as db:
            must_take_uploads(await BatchStore(db).find(by.scope, id), dataset_id)
            await FolderStore(db).note_uploads(id, keys.upload_folder(by.scope.sandbox_id, id))
        if announced_bytes is not None and announced_bytes > self._largest_upload_bytes:
            raise TooLarge(
                f"{announced_bytes} bytes are announced, {self._largest_upload_bytes} is the most"
            )
        written = await streams.store(
            self._files,
            keys.upload(by.scope.sandbox_id, id),
            chunks,
            at_most=self._largest_upload_bytes,
        )
        upload = Upload(path=path, key=written.key, size_bytes=written.size_bytes)
        async with naming(self._files, written.key) as superseded:
            replaced = await self._keep(upload, id, dataset_id, sha256=written.sha256, by=by)
            superseded.extend(replaced)
        return upload

    async def complete(self, id: BatchId, *, by: Caller) -> Batch:
        """Close a batch to uploads, give it its place in merge order and queue its promotion.

        Safe to repeat: a batch that was completed before is answered as it stands. What decides
        the result later, whether its rows reach the profile store and whether they patch, is
        what the data set says now.
        """
        async with self._database.transaction() as db:
            await ErasureStore(db).keep(by.scope)
            batches = BatchStore(db)
            batch = await batches.lock(by.scope, id)
            if batch.ingest_number is not None and batch.state is not BatchState.ABORTED:
                return batch
            LIFECYCLE.after(batch.state, BatchEvent.COMPLETE, id=id)
            if unfinished := await LargeFileStore(db).unfinished(id):
                raise Conflict(f"file {unfinished[0]} of batch {id} is not complete yet")
            dataset = await DatasetStore(db).find(by.scope, DatasetId(batch.dataset_id))
            await self._waiting_room.enter(db, by.scope)
            await AuditStore(db).note(by, Action.COMPLETE, ObjectKind.BATCH, id)
            # Before the job gets its id: promotions of a data set go by id, in ingest order.
            ingest_number = await batches.next_ingest_number(by.scope)
            job = await JobStore(db).submit(
                by.scope,
                kind=JobKind.PROMOTION,
                dataset_id=batch.dataset_id,
                order={
                    "batch_id": id,
                    "for_profile": dataset.is_profile_enabled,
                    "is_upsert": dataset.is_upsert,
                },
                actor=by.client_id,
                request_id=by.request_id,
            )
            return await batches.complete(
                by.scope, id, ingest_number=ingest_number, job_id=job.id, actor=by.client_id
            )

    async def abort(self, id: BatchId, *, by: Caller) -> Batch:
        """Give a batch up before it is active, and its promotion with it. Safe to repeat."""
        return await self._give_up(id, BatchEvent.ABORT, errors=(), by=by)

    async def fail(self, id: BatchId, *, by: Caller) -> Batch:
        """As :meth:`abort`, but the batch counts as failed: its caller knows that it is bad."""
        return await self._give_up(id, BatchEvent.FAIL, errors=(FAILED_BY_CALLER,), by=by)

    async def revert(self, id: BatchId, *, by: Caller) -> Batch:
        """Take an active batch out of its data set and of the profile store. Safe to repeat.

        Whoever asks from now on finds nothing of it. Export jobs that were submitted before
        pinned what there was and finish with it. Where compaction has dropped what this batch
        superseded, a job makes the store files of the data set anew; jobs that are submitted from
        now on wait for it, and the batch says so.
        """
        async with self._database.transaction() as db:
            batches = BatchStore(db)
            batch = await batches.lock(by.scope, id)
            if batch.state is not BatchState.INACTIVE:
                LIFECYCLE.after(batch.state, BatchEvent.REVERT, id=id)
                await batches.withdraw(by.scope, [id], BatchEvent.REVERT, actor=by.client_id)
                await AuditStore(db).note(by, Action.REVERT, ObjectKind.BATCH, id)
                commit = await StoreFileStore(db).remove(by.scope, [id])
                rebuild = await RebuildStore(db).submitted_at(by.scope, batch.dataset_id, commit)
                if rebuild is not None:
                    return await batches.tell(by.scope, id, _rebuilding(rebuild, batch.dataset_id))
            return await batches.find(by.scope, id)

    async def amend(
        self,
        id: BatchId,
        change: Callable[[Batch], Amendment],
        *,
        terms: Terms = UNCONDITIONALLY,
        by: Caller,
    ) -> Batch:
        """Change what is said of a batch, or take it a step along its lifecycle.

        What is to change is a pure function of what the batch is. A step is the same as asking
        for it by its own name, with the same refusals.
        """
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            batches = BatchStore(db)
            batch = await batches.lock(by.scope, id)
            terms.admit("batch", id, batch.version)
            amended = change(batch)
            amended.must_be_one_thing(batch)
            if amended.event is None:
                await AuditStore(db).note(by, Action.CHANGE, ObjectKind.BATCH, id)
                return await batches.describe(
                    by.scope,
                    id,
                    external_id=amended.external_id,
                    tags=amended.tags,
                    actor=by.client_id,
                )
            LIFECYCLE.after(batch.state, amended.event, id=id)
        if terms.is_trial:
            return batch
        steps = {
            BatchEvent.COMPLETE: self.complete,
            BatchEvent.ABORT: self.abort,
            BatchEvent.FAIL: self.fail,
            BatchEvent.REVERT: self.revert,
        }
        return await steps[amended.event](id, by=by)

    async def delete(self, id: BatchId, *, terms: Terms = UNCONDITIONALLY, by: Caller) -> None:
        """Erase a batch: as :meth:`revert`, but no export that pinned its rows is left to finish.

        Those are cancelled and say why. Refuses a batch that an export job is writing.
        """
        async with self._database.transaction() as db, tried(db, is_trial=terms.is_trial):
            erasure, batches = ErasureStore(db), BatchStore(db)
            await erasure.begin(by.scope)
            batch = await batches.find(by.scope, id)
            terms.admit("batch", id, batch.version)
            if batch.state is BatchState.EXPORTING:
                raise Conflict(f"batch {id} is written by export job {batch.job_id}: cancel that")
            why = JobError(code="batch_deleted", message=f"batch {id} was deleted")
            cancelled = await erasure.erase(by.scope, [id], why=why, actor=by.client_id)
            await AuditStore(db).note(
                by, Action.REMOVE, ObjectKind.BATCH, id, cancelled_jobs=list(cancelled)
            )

    async def find(self, id: BatchId, *, by: Caller) -> Batch:
        return await self._database.read(lambda db: BatchStore(db).find(by.scope, id))

    async def listing(
        self, wanted: Wanted, *, skip: int, most: int, by: Caller
    ) -> tuple[Batch, ...]:
        """One page of the sandbox's batches that pass a filter."""
        async with self._database.transaction() as db:
            return await BatchStore(db).listing(by.scope, wanted, skip=skip, most=most)

    async def _keep(
        self, upload: Upload, id: BatchId, dataset_id: str, *, sha256: str, by: Caller
    ) -> tuple[str, ...]:
        """Name a stored file, and return the keys of what it replaces: another, or its chunks."""
        async with self._database.transaction() as db:
            batches = BatchStore(db)
            must_take_uploads(await batches.lock(by.scope, id), dataset_id)
            await must_have_room(db, id, upload.path, most_files=self._most_files)
            replaced = await batches.keep_upload(id, upload, sha256=sha256)
            await AuditStore(db).note(by, Action.UPLOAD, ObjectKind.BATCH, id, path=upload.path)
            chunks = await LargeFileStore(db).forget(id, upload.path)
            return chunks if replaced is None else (*chunks, replaced)

    async def _give_up(
        self, id: BatchId, event: BatchEvent, *, errors: tuple[BatchError, ...], by: Caller
    ) -> Batch:
        async with self._database.transaction() as db:
            ended = await BatchStore(db).give_up(
                by.scope, id, actor=by.client_id, event=event, errors=errors
            )
            if ended is not None:
                await AuditStore(db).note(by, Action.CANCEL, ObjectKind.BATCH, id, event=event)
                return ended
        async with self._database.transaction() as db:
            return await _give_up_with_job(db, id, event, errors=errors, by=by)


def _rebuilding(job_id: JobId, dataset_id: str) -> BatchError:
    return BatchError(
        code="store_rebuilt",
        description=f"what this batch had superseded was dropped before it was taken back: job"
        f" {job_id} makes the store files of data set {dataset_id} anew of its own files, and"
        " exports that are submitted from now on wait for it",
    )


async def _resolved(batches: BatchStore, new: NewBatch, replay: Replay, *, by: Caller) -> Replay:
    """A replay by ids alone. Refuses what names no batch, and a batch whose rows are to come."""
    found = await batches.predecessors(by.scope, new.dataset_id, replay)
    states = {id: state for id, _, state in found}
    for id in replay.predecessors:
        if id not in states:
            raise InvalidField(
                "replay.predecessors", f"data set {new.dataset_id} has no batch {id}"
            )
        if states[id] is BatchState.LOADING:
            raise Conflict(f"batch {id} is loading: complete it, or give it up, to replace it")
    named = {external_id: id for id, external_id, state in found if state is not BatchState.LOADING}
    for external_id in replay.external_ids:
        if external_id not in named:
            raise InvalidField(
                "replay.predecessorsByExternalId",
                f"data set {new.dataset_id} has no complete batch with the external id"
                f" {external_id}",
            )
    also = [id for id, _, state in found if state is not BatchState.LOADING]
    return Replay(
        predecessors=tuple(dict.fromkeys((*replay.predecessors, *also))), reason=replay.reason
    )


async def _give_up_with_job(
    db: Connection, id: BatchId, event: BatchEvent, *, errors: tuple[BatchError, ...], by: Caller
) -> Batch:
    """End a batch that a promotion fills: the job first, as its worker locks them."""
    batches, jobs = BatchStore(db), JobStore(db)
    batch = await batches.find(by.scope, id)
    if batch.state is BatchState.LOADED and batch.job_id is not None:
        job = await jobs.lock(by.scope, batch.job_id, kind=JobKind.PROMOTION)
        batch = await batches.find(by.scope, id)
        if batch.state is BatchState.LOADED:
            await jobs.move(job, JobEvent.CANCEL, actor=by.client_id, is_fenced=False)
            await AuditStore(db).note(by, Action.CANCEL, ObjectKind.BATCH, id, event=event)
            if event is BatchEvent.FAIL:
                await batches.fail(job.id, errors, {}, actor=by.client_id)
            else:
                await batches.abort(job.id, actor=by.client_id)
            return await batches.find(by.scope, id)
    if batch.state is BatchState.EXPORTING:
        raise Conflict(f"batch {id} is written by export job {batch.job_id}: cancel that")
    if batch.state is not LIFECYCLE.target(event):
        LIFECYCLE.after(batch.state, event, id=id)
    return batch
