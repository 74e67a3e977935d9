"""Runs rebuilds: reads a data set's own files again, for store files that lack rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import partial

import structlog

from catalog.batches import BatchId, FileFormat
from catalog.jobs import Job, JobEvent
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from catalog.store.rebuilds import LackingBatch, RebuildStore, Rebuilt
from catalog.store.store_files import StoreFileStore
from catalog.store_files import NewStoreFile, StoreFileKind
from service.engine.local import LocalRunner
from service.engine.orders import (
    ENGINE_VERSION,
    Failed,
    IdentityRules,
    Limits,
    Progress,
    Promoted,
    PromotionOrder,
    Reading,
    UploadedFile,
)
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.promotions import promotion_order

log = structlog.get_logger()


class Rebuilds:
    """Makes those store files of one data set anew that lack rows, for each job it is given.

    Rows come as they are in the data set's own files, batch by batch, by what the schema says now.
    Links stay as they are: none of them was ever dropped.
    """

    def __init__(
        self, runner: LocalRunner, *, threads: int, rules: IdentityRules, limits: Limits
    ) -> None:
        self._runner = runner
        self._threads = threads
        # How many identities a row may name was asked when the batch came.
        self._rules = rules.model_copy(update={"most_per_row": 0})
        self._limits = limits

    async def run(self, claim: Claim) -> None:
        """Do one claimed job to its end, or raise for the attempt to be given up.

        What it has made of a batch counts for later attempts.
        """
        lacking, kept = await claim.write(partial(_work, claim.job))
        rebuilt: dict[StoreFileKind, list[tuple[BatchId, NewStoreFile]]] = defaultdict(list)
        for done, batch in enumerate(lacking):
            claim.note(Progress(phase="rebuilding", done=done, total=len(lacking)))
            files = kept.get(batch.id) or await self._made(claim, batch, done)
            for file in files:
                if file.kind in batch.since:
                    rebuilt[file.kind].append((batch.id, file))
        claim.end()
        await claim.write(partial(_complete, claim.job, lacking, rebuilt))

    async def _made(
        self, claim: Claim, batch: LackingBatch, number: int
    ) -> tuple[NewStoreFile, ...]:
        """Make store files of one batch, and keep them. From here on no attempt does so again."""
        if not batch.files:
            raise _refused(batch, "are gone")
        claim.rest()
        made = await self._promoted(claim, batch, number)
        await claim.write(partial(_keep, claim.job, batch.id, made))
        return made

    async def _promoted(
        self, claim: Claim, batch: LackingBatch, number: int
    ) -> tuple[NewStoreFile, ...]:
        """Read one batch again, and give its store files."""
        order = await claim.write(partial(self._order, claim.job, batch, number))
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        pass
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Promoted():
                        return _store_files(claim.job, batch, answer)
                    case unexpected:
                        raise TypeError(f"a rebuild is never answered by {unexpected.kind}")
        raise AttemptFailed("engine_died", "the engine ended without an answer", is_final=False)

    async def _order(
        self, job: Job, batch: LackingBatch, number: int, db: Connection
    ) -> PromotionOrder:
        assert job.dataset_id is not None
        order = await promotion_order(
            db,
            job,
            job.dataset_id,
            uploads=tuple(
                UploadedFile(path=file.name, key=file.key, size_bytes=file.size_bytes)
                for file in batch.files
            ),
            reading=Reading(format=FileFormat.PARQUET),
            is_upsert=batch.is_upsert,
            rules=self._rules,
        )
        changes = {
            "folder": f"{order.folder}/{number:05}",
            "for_dataset": False,
            # What was accepted once is not refused for what the schema says now: it stays out.
            "tolerated_percentage": 100.0,
            "limits": self._limits,
            "threads": self._threads,
        }
        return order.model_copy(update=changes)


async def must_be_whole(job: Job, db: Connection) -> None:
    """Let an attempt fail that would read store files which lack rows.

    Jobs wait for rebuilds, so one of these must have failed; upkeep submits it again.
    """
    assert job.snapshot is not None
    lacking = await RebuildStore(db).lacking_at(job.scope, job.snapshot)
    if lacking:
        raise AttemptFailed(
            "store_incomplete",
            f"the profile store lacks rows of data set {', '.join(lacking)} since a batch was taken"
            " back, and making its files anew failed: the log says why; ask again later",
            is_final=False,
        )


def _refused(batch: LackingBatch, why: str) -> AttemptFailed:
    return AttemptFailed("rebuild_refused", f"the files of batch {batch.id} {why}", is_final=True)


async def _work(
    job: Job, db: Connection
) -> tuple[tuple[LackingBatch, ...], Mapping[BatchId, tuple[NewStoreFile, ...]]]:
    """What a job is to read again, and what earlier attempts have made of that."""
    rebuilds = RebuildStore(db)
    return await rebuilds.batches(job), await rebuilds.kept(job, engine_version=ENGINE_VERSION)


async def _keep(job: Job, batch_id: BatchId, made: Sequence[NewStoreFile], db: Connection) -> None:
    await RebuildStore(db).keep(job, batch_id, made, engine_version=ENGINE_VERSION)


def _store_files(job: Job, batch: LackingBatch, promoted: Promoted) -> tuple[NewStoreFile, ...]:
    if promoted.is_refused:
        raise _refused(batch, "cannot be read again")
    if promoted.failed_row_count:
        log.warning("rows stay out", job=job.id, batch=batch.id, rows=promoted.failed_row_count)
    return tuple(
        NewStoreFile(
            kind=file.kind, key=file.key, size_bytes=file.size_bytes, row_count=file.row_count
        )
        for file in promoted.store_files
    )


async def _complete(
    job: Job, lacking: Sequence[LackingBatch], rebuilt: Rebuilt, db: Connection
) -> None:
    """Let the new files take the place of those that lack rows; refused when the claim was lost."""
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=str(job.worker_id))
    if lacking:
        await StoreFileStore(db).next_commit(job.scope)
        await RebuildStore(db).replace(job, lacking, rebuilt)
    log.info(
        "store rebuilt",
        job=job.id,
        dataset=job.dataset_id,
        files=sum(len(files) for files in rebuilt.values()),
    )
