"""Runs promotions: tells the engine what a batch is, and makes what it wrote visible."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import structlog

from catalog.batches import (
    BatchError,
    BatchEvent,
    BatchId,
    BatchMetric,
    InputFormat,
    MetaFile,
    NewDatasetFile,
    Replay,
)
from catalog.identities import may_be_brought
from catalog.jobs import Job, JobError, JobEvent
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from catalog.store.folders import FolderStore
from catalog.store.jobs import JobStore
from catalog.store.meta_files import MetaFileStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.secrets import IDENTITY_SECRET, SecretStore
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile
from service.engine.local import LocalRunner
from service.engine.orders import (
    Failed,
    Identity,
    IdentityRules,
    Limits,
    Progress,
    Promoted,
    PromotionOrder,
    Reading,
    RowError,
    UploadedFile,
)
from service.engine.rows import NO_DIAGNOSTICS, REFUSED_ROWS
from service.storage import keys
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim

log = structlog.get_logger()


class Promotions:
    """Promotes one batch for each job it is given."""

    def __init__(
        self, runner: LocalRunner, *, threads: int, rules: IdentityRules, limits: Limits
    ) -> None:
        """Promote on so many threads; rules say all but the codes, which are the sandbox's."""
        self._runner = runner
        self._threads = threads
        self._rules = rules
        self._limits = limits

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
                    case Promoted(is_refused=False):
                        await self._publish(claim, answer, has_diagnostics=order.with_diagnostics)
                    case Promoted():
                        await self._fail(claim, answer, has_diagnostics=order.with_diagnostics)
                    case unexpected:
                        raise TypeError(f"a promotion is never answered by {unexpected.kind}")

    async def _order(self, job: Job, db: Connection) -> PromotionOrder:
        batches = BatchStore(db)
        (batch,) = await batches.of_job(job.id)
        uploads = await batches.uploads(batch.id)
        order = await promotion_order(
            db,
            job,
            batch.dataset_id,
            uploads=tuple(
                UploadedFile(path=upload.path, key=upload.key, size_bytes=upload.size_bytes)
                for upload in uploads
            ),
            reading=_reading(batch.input_format),
            is_upsert=job.order["is_upsert"],
            rules=self._rules,
        )
        rules = order.identity_rules
        most_brought = may_be_brought(len(rules.codes))
        changes = {
            "identity_rules": rules.model_copy(update={"most_brought": most_brought}),
            "for_profile": job.order["for_profile"],
            "tolerated_percentage": batch.tolerated_percentage,
            "with_diagnostics": batch.has_diagnostics,
            "limits": self._limits,
            "threads": self._threads,
        }
        return order.model_copy(update=changes)

    async def _publish(self, claim: Claim, promoted: Promoted, *, has_diagnostics: bool) -> None:
        """Make the rows of a batch visible, in the data set and in the profile store at once.

        The batches it replays go in the same transaction and by the same commit number.
        """
        claim.end()
        errors = errors_of(promoted, has_diagnostics=has_diagnostics)
        await claim.write(partial(_show, claim.job, promoted, errors))
        log.info(
            "batch promoted",
            job=claim.job.id,
            batch=claim.job.order["batch_id"],
            rows=promoted.output_row_count,
        )

    async def _fail(self, claim: Claim, promoted: Promoted, *, has_diagnostics: bool) -> None:
        """End a batch whose rows were refused: trying again would end the same way."""
        claim.end()
        job = claim.job
        count = promoted.failed_row_count
        summary = JobError(code="invalid_rows", message=f"{count} rows were refused")

        async def refuse(db: Connection) -> None:
            await JobStore(db).move(job, JobEvent.FAIL, actor=str(job.worker_id), failure=summary)
            await BatchStore(db).fail(
                job.id,
                errors_of(promoted, has_diagnostics=has_diagnostics),
                _metrics(promoted),
                ignored_fields=promoted.ignored_fields,
            )
            await MetaFileStore(db).add(BatchId(job.order["batch_id"]), _meta_files(promoted))

        await claim.write(refuse)
        log.info("batch refused", job=job.id, batch=job.order["batch_id"], rows=count)


async def promotion_order(
    db: Connection,
    job: Job,
    dataset_id: str,
    *,
    uploads: tuple[UploadedFile, ...],
    reading: Reading,
    is_upsert: bool,
    rules: IdentityRules,
) -> PromotionOrder:
    """Say how rows of a data set reach the profile store, by what its schema says now.

    Notes the folder of the job's attempt. The codes of ``rules`` are the sandbox's.
    """
    shape = await SchemaStore(db).row_shape(job.scope, dataset_id)
    folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
    await FolderStore(db).note_attempt(job, folder)
    namespaces = await NamespaceStore(db).registered(job.scope)
    codes = {str(namespace.id): namespace.code for namespace in namespaces}
    return PromotionOrder(
        folder=folder,
        uploads=uploads,
        reading=reading,
        is_event=shape.is_event,
        fields=tuple(field.to_json() for field in shape.fields),
        identities=tuple(
            Identity(path=one.path, namespace=one.namespace, is_primary=one.is_primary)
            for one in shape.identities
        ),
        unlinked_namespaces=shape.unlinked_namespaces,
        for_profile=True,
        is_upsert=is_upsert,
        secret=await SecretStore(db).find_or_make(IDENTITY_SECRET),
        identity_rules=rules.model_copy(update={"codes": codes}),
    )


async def _show(job: Job, promoted: Promoted, errors: Sequence[BatchError], db: Connection) -> None:
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
        errors=errors,
        ignored_fields=promoted.ignored_fields,
    )
    await MetaFileStore(db).add(batch_id, _meta_files(promoted))
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


def errors_of(promoted: Promoted, *, has_diagnostics: bool) -> list[BatchError]:
    """What was refused in all; then why, in order of first sight; then what was skipped."""
    found = [
        BatchError(
            code=reason.code,
            description=reason.message,
            rows=_named(promoted.errors, reason.code, reason.message),
            record_count=reason.row_count,
        )
        for reason in promoted.reasons
    ]
    if found:
        found.insert(0, _summary(promoted, has_diagnostics=has_diagnostics))
    if promoted.skipped:
        first = promoted.skipped[0]
        skipped = BatchError(
            code=first.code,
            description=f"{first.message}: the row is in the data set and not in profiles",
            rows=_named(promoted.skipped, first.code, first.message),
            record_count=promoted.skipped_row_count,
        )
        found.append(skipped)
    return found


def _summary(promoted: Promoted, *, has_diagnostics: bool) -> BatchError:
    refused = (
        f"{promoted.failed_row_count} of {promoted.input_row_count} rows were refused,"
        f" {promoted.output_row_count} ingested"
    )
    more = (
        "the batch's row_errors tell all of them"
        if has_diagnostics
        else "send the batch again with enableErrorDiagnostics to be told all of them"
    )
    return BatchError(
        code=REFUSED_ROWS if has_diagnostics else NO_DIAGNOSTICS,
        description=f"{refused}: {more}",
        record_count=promoted.failed_row_count,
    )


def _named(rows: Iterable[RowError], code: str, message: str) -> tuple[str, ...]:
    return tuple(
        f"{row.path}:{row.row}" for row in rows if (row.code, row.message) == (code, message)
    )


def _meta_files(promoted: Promoted) -> list[MetaFile]:
    return [
        MetaFile(path=file.path, key=file.key, size_bytes=file.size_bytes, sha256=file.sha256)
        for file in promoted.meta_files
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
        BatchMetric.SKIPPED_ROW_COUNT: promoted.skipped_row_count,
    }
