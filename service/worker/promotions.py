"""Runs promotions: tells the engine what a batch is, and makes what it wrote visible."""

from __future__ import annotations

from functools import partial

import structlog

from catalog.batches import (
    Batch,
    BatchError,
    BatchEvent,
    BatchId,
    BatchMetric,
    InputFormat,
    NewDatasetFile,
    Replay,
    Upload,
)
from catalog.jobs import Job, JobError, JobEvent
from catalog.schemas import RowShape
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile
from service.engine.local import LocalRunner
from service.engine.orders import (
    Failed,
    Identity,
    Progress,
    Promoted,
    PromotionOrder,
    Reading,
    UploadedFile,
)
from service.storage import keys
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim

log = structlog.get_logger()

#: Rows named in an error of a batch; the count beside them tells how many there are.
NAMED_ROWS = 100


class Promotions:
    """Promotes one batch for each job it is given."""

    def __init__(self, runner: LocalRunner, *, threads: int) -> None:
        self._runner = runner
        self._threads = threads

    async def run(self, claim: Claim) -> None:
        """Do one claimed job to its end, or raise for the attempt to be given up."""
        order = await claim.write(partial(self._order, claim.job))
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        claim.note(answer)
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Promoted(errors=()):
                        await self._publish(claim, answer)
                    case Promoted():
                        await self._fail(claim, answer)
                    case unexpected:
                        raise TypeError(f"a promotion is never answered by {unexpected.kind}")

    async def _order(self, job: Job, db: Connection) -> PromotionOrder:
        batches = BatchStore(db)
        (batch,) = await batches.of_job(job.id)
        shape = await SchemaStore(db).row_shape(job.scope, job.dataset_id)
        return promotion_order(
            batch,
            await batches.uploads(batch.id),
            shape,
            folder=keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt),
            for_profile=job.order["for_profile"],
            is_upsert=job.order["is_upsert"],
            secret=await SecretStore(db).find_or_make(IDENTITY_SECRET),
            threads=self._threads,
        )

    async def _publish(self, claim: Claim, promoted: Promoted) -> None:
        """Make the rows of a batch visible, in the data set and in the profile store at once.

        The batches it replays go in the same transaction and by the same commit number.
        """
        claim.end()
        await claim.write(partial(_show, claim.job, promoted))
        log.info(
            "batch promoted",
            job=claim.job.id,
            batch=claim.job.order["batch_id"],
            rows=promoted.output_row_count,
        )

    async def _fail(self, claim: Claim, promoted: Promoted) -> None:
        """End a batch whose rows were refused: trying again would end the same way."""
        claim.end()
        job = claim.job
        count = promoted.failed_row_count
        summary = JobError(code="invalid_rows", message=f"{count} rows were refused")

        async def refuse(db: Connection) -> None:
            await JobStore(db).move(job, JobEvent.FAIL, actor=str(job.worker_id), failure=summary)
            await BatchStore(db).fail(job.id, errors_of(promoted), _metrics(promoted))

        await claim.write(refuse)
        log.info("batch refused", job=job.id, batch=job.order["batch_id"], rows=count)


async def _show(job: Job, promoted: Promoted, db: Connection) -> None:
    batch_id = BatchId(job.order["batch_id"])
    batches = BatchStore(db)
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=str(job.worker_id))
    await batches.activate(
        job.id,
        files=[
            NewDatasetFile(
                batch_id=batch_id,
                name=file.key.rpartition("/")[2],
                key=file.key,
                size_bytes=file.size_bytes,
                row_count=file.row_count,
                sha256=file.sha256,
            )
            for file in promoted.dataset_files
        ],
        metrics=_metrics(promoted),
    )
    replay = (await batches.find(job.scope, batch_id)).replay or Replay()
    replaced = await batches.withdraw(
        job.scope, replay.predecessors, BatchEvent.REPLACE, actor=f"batch {batch_id}"
    )
    await NamespaceStore(db).register_seen(job.scope, promoted.namespaces)
    await StoreFileStore(db).add(
        job.scope,
        batch_id,
        is_upsert=job.order["is_upsert"],
        files=[
            NewStoreFile(
                kind=file.kind,
                key=file.key,
                size_bytes=file.size_bytes,
                row_count=file.row_count,
            )
            for file in promoted.store_files
        ],
        replacing=replaced,
    )


def promotion_order(
    batch: Batch,
    uploads: tuple[Upload, ...],
    shape: RowShape,
    *,
    folder: str,
    for_profile: bool,
    is_upsert: bool,
    secret: bytes,
    threads: int,
) -> PromotionOrder:
    """Everything the engine must know to promote a batch."""
    return PromotionOrder(
        folder=folder,
        uploads=tuple(
            UploadedFile(path=upload.path, key=upload.key, size_bytes=upload.size_bytes)
            for upload in uploads
        ),
        reading=_reading(batch.input_format),
        is_event=shape.is_event,
        fields=tuple(field.to_json() for field in shape.fields),
        identities=tuple(
            Identity(path=one.path, namespace=one.namespace, is_primary=one.is_primary)
            for one in shape.identities
        ),
        unlinked_namespaces=shape.unlinked_namespaces,
        for_profile=for_profile,
        is_upsert=is_upsert,
        secret=secret,
        threads=threads,
    )


def errors_of(promoted: Promoted) -> list[BatchError]:
    """The refused rows, gathered by code and message in order of first sight."""
    rows: dict[tuple[str, str], list[str]] = {}
    for error in promoted.errors:
        rows.setdefault((error.code, error.message), []).append(f"{error.path}:{error.row}")
    return [
        BatchError(
            code=code,
            description=message,
            rows=tuple(named[:NAMED_ROWS]),
            record_count=len(named),
        )
        for (code, message), named in rows.items()
    ]


def _reading(input_format: InputFormat) -> Reading:
    return Reading(
        format=input_format.format,
        delimiter=input_format.delimiter,
        quote=input_format.quote,
        escape=input_format.escape,
    )


def _metrics(promoted: Promoted) -> dict[BatchMetric, int]:
    return {
        BatchMetric.INPUT_ROW_COUNT: promoted.input_row_count,
        BatchMetric.FAILED_ROW_COUNT: promoted.failed_row_count,
    }
