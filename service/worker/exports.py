"""Runs export jobs: hands the engine its snapshot, keeps its parts, publishes the batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

import structlog

from catalog.batches import Batch, BatchId, MetaFile, NewDatasetFile
from catalog.export_jobs import UNMERGED_POLICY, ExportPart, ExportPlan
from catalog.jobs import Job, JobEvent, JobKind
from catalog.labellings import NewLabelling
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from catalog.store.folders import FolderStore
from catalog.store.home_files import HomeFileStore
from catalog.store.jobs import JobStore
from catalog.store.labellings import LabellingStore
from catalog.store.memberships import MembershipStore
from catalog.store.meta_files import MetaFileStore
from catalog.store.plans import PlanStore
from catalog.store.store_files import StoreFileStore
from service.engine import orders
from service.engine.local import LocalRunner
from service.engine.orders import (
    ENGINE_VERSION,
    Done,
    ExportOrder,
    Failed,
    FinishedPart,
    Fragments,
    HomeFile,
    NewFile,
    Part,
    Planned,
    Progress,
    SavedLabelling,
    memberships_of,
)
from service.storage import keys
from service.worker import user_lists
from service.worker.attempts import AttemptFailed
from service.worker.claim import Claim
from service.worker.estimates import Pace
from service.worker.numberings import Overtaken, keep_numbering, numbering_for
from service.worker.rebuilds import must_be_whole

log = structlog.get_logger()

#: What readers ask for to see which profiles an export left out, and why.
EXCLUSIONS = "exclusions.parquet"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSizes:
    """How exports are cut. Each bounds the work of one step, none the size of an export."""

    part_row_count: int
    part_size_bytes: int
    slice_size_bytes: int
    labelling_size_bytes: int


@dataclass(slots=True)
class _Times:
    """When the stages of an attempt began and ended."""

    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    written_at: datetime | None = None

    def to_json(self) -> dict[str, int]:
        written_at, published_at = self.written_at or self.started_at, datetime.now(UTC)
        return {
            "export_started_ms": _milliseconds(self.started_at),
            "export_finished_ms": _milliseconds(written_at),
            "write_started_ms": _milliseconds(written_at),
            "write_finished_ms": _milliseconds(published_at),
        }


class Exports:
    """Exports one batch of merged profiles for each job it is given."""

    def __init__(self, runner: LocalRunner, *, threads: int, sizes: PartSizes) -> None:
        self._runner = runner
        self._threads = threads
        self._sizes = sizes

    async def run(self, claim: Claim) -> None:
        """Do one claimed job to its end, or raise for the attempt to be given up."""
        while True:
            try:
                return await self._attempt(claim)
            except Overtaken:
                log.info("numbers were given meanwhile", job=claim.job.id)

    async def _attempt(self, claim: Claim) -> None:
        times, pace = _Times(), Pace()
        exclusions: tuple[NewFile | None, ...] = ()
        order = await claim.write(partial(self._order, claim))
        async with self._runner.run(order) as answers:
            async for answer in answers:
                match answer:
                    case Progress():
                        claim.note(answer, **pace.estimate(answer))
                    case Planned():
                        await self._keep_plan(claim, answer)
                    case Part():
                        await self._keep_part(claim, answer)
                    case Failed():
                        raise AttemptFailed(answer.code, answer.message, is_final=answer.is_final)
                    case Done():
                        times.written_at = datetime.now(UTC)
                        exclusions = answer.exclusions
                    case unexpected:
                        raise TypeError(f"an export is never answered by {unexpected.kind}")
        await self._publish(claim, times, exclusions)

    async def _order(self, claim: Claim, db: Connection) -> ExportOrder:
        """The order of an attempt: its snapshot, and the plan and parts it goes on from."""
        claim.start_over()
        job, plans = claim.job, PlanStore(db)
        plan = await plans.find(job)
        is_usable = plan is not None and plan.engine_version == ENGINE_VERSION
        parts = await plans.parts(job) if is_usable else ()
        await must_be_whole(job, db)
        files = await StoreFileStore(db).files_at(job.scope, _snapshot(job))
        sets = await MembershipStore(db).sets_at(
            job.scope, _snapshot(job), job.order["merge_policy_id"] or UNMERGED_POLICY
        )
        membership_files, membership_sets = memberships_of(sets)
        labelling = await LabellingStore(db).newest(
            job.scope, _snapshot(job), engine_version=ENGINE_VERSION
        )
        homes = await HomeFileStore(db).at(job.scope, _snapshot(job))
        if job.kind is JobKind.USER_LIST:
            await user_lists.check(job, sets, db)
        folder = keys.attempt_folder(job.scope.sandbox_id, job.id, job.attempt)
        await FolderStore(db).note_attempt(job, folder)
        return ExportOrder(
            **job.order["selection"],
            folder=folder,
            files=(*map(Fragments.of, files), *membership_files),
            membership_sets=membership_sets,
            asked_at=job.created_at,
            labelling=SavedLabelling.of(labelling),
            homes=tuple(map(HomeFile.of, homes)),
            numbering=await numbering_for(job, _snapshot(job), db),
            labelling_size_bytes=self._sizes.labelling_size_bytes,
            part_row_count=self._sizes.part_row_count,
            part_size_bytes=self._sizes.part_size_bytes,
            slice_size_bytes=self._sizes.slice_size_bytes,
            threads=self._threads,
            plan_key=plan.key if plan and is_usable else None,
            finished=tuple(map(_finished, parts)),
        )

    async def _keep_plan(self, claim: Claim, planned: Planned) -> None:
        async def keep(db: Connection) -> None:
            await PlanStore(db).replace(
                claim.job,
                key=planned.key,
                engine_version=planned.engine_version,
                task_count=planned.task_count,
                numbering=planned.numbers,
            )
            if planned.labelling is not None:
                await LabellingStore(db).save(
                    claim.job.scope,
                    labelling_at(_snapshot(claim.job), planned.labelling),
                    job_id=claim.job.id,
                )
            await keep_numbering(claim.job, _snapshot(claim.job), planned, db)

        claim.start_over()  # parts of an earlier plan count no more
        await claim.write(keep)
        claim.rest()

    async def _keep_part(self, claim: Claim, part: Part) -> None:
        """Make a part count. From here on no later attempt does its task again."""
        kept = ExportPart(
            number=part.number,
            batch=part.batch,
            key=part.key,
            size_bytes=part.size_bytes,
            row_count=part.row_count,
            sha256=part.sha256,
            counters=part.counters,
            exclusions=part.exclusions,
        )
        await claim.write(lambda db: PlanStore(db).add_part(claim.job, kept))
        claim.rest()

    async def _publish(
        self, claim: Claim, times: _Times, exclusions: Sequence[NewFile | None]
    ) -> None:
        """Succeed and show the batches, in one transaction; refused when the claim was lost."""
        claim.end()
        await claim.write(partial(_show, claim.job, times, exclusions))
        log.info("export succeeded", job=claim.job.id)


async def _show(
    job: Job, times: _Times, exclusions: Sequence[NewFile | None], db: Connection
) -> None:
    plans = PlanStore(db)
    plan, parts = await plans.find(job), await plans.parts(job)
    if job.kind is JobKind.USER_LIST:
        if plan is None or {part.number for part in parts} != set(range(plan.task_count)):
            raise _parts_missing()
        await user_lists.publish(job, parts, _metrics(parts, times), db)
        return
    batches = await BatchStore(db).of_job(job.id)
    if plan is None or not _is_whole(plan, parts, batches):
        raise _parts_missing()
    # The job before its batches, as a cancel locks them: else each waits for the other.
    await JobStore(db).move(
        job,
        JobEvent.COMPLETE,
        actor=str(job.worker_id),
        metrics=_metrics(parts, times),
    )
    files = [
        file
        for place, batch in enumerate(batches)
        for file in _files(batch.id, [part for part in parts if part.batch == place])
    ]
    await BatchStore(db).activate(job.id, files=files, metrics={})
    for batch, listed in zip(batches, exclusions, strict=True):
        if listed is not None:
            await MetaFileStore(db).add(batch.id, [_meta_file(listed)])


def _metrics(parts: Sequence[ExportPart], times: _Times) -> dict[str, object]:
    return {"counters": _sum(parts), **times.to_json()}


def _parts_missing() -> AttemptFailed:
    return AttemptFailed(
        "parts_missing", "the engine ended before all parts were written", is_final=False
    )


def _is_whole(plan: ExportPlan, parts: Sequence[ExportPart], batches: Sequence[Batch]) -> bool:
    """Whether every task wrote parts, and every batch has as many as the others."""
    by_batch = Counter(part.batch for part in parts)
    is_even = len(set(by_batch.values())) == 1 and len(by_batch) == len(batches)
    return is_even and len({part.number for part in parts}) == plan.task_count


def labelling_at(commit: int, made: orders.NewLabelling) -> NewLabelling:
    """What is saved of a labelling that the engine made of a snapshot."""
    return NewLabelling(
        commit=commit,
        engine_version=ENGINE_VERSION,
        main_dataset_id=made.main_dataset_id,
        key=made.key,
        size_bytes=made.size_bytes,
        row_count=made.row_count,
    )


def _files(batch_id: BatchId, parts: Sequence[ExportPart]) -> list[NewDatasetFile]:
    """The files of the batch: parts that hold rows, or one empty one for its schema."""
    shown = [part for part in parts if part.row_count] or list(parts[:1])
    return [
        NewDatasetFile(
            batch_id=batch_id,
            name=f"part-{index:05d}.parquet",
            key=part.key,
            size_bytes=part.size_bytes,
            row_count=part.row_count,
            sha256=part.sha256,
        )
        for index, part in enumerate(shown)
    ]


def _finished(part: ExportPart) -> FinishedPart:
    return FinishedPart(
        number=part.number,
        batch=part.batch,
        row_count=part.row_count,
        size_bytes=part.size_bytes,
        exclusions=part.exclusions,
    )


def _meta_file(listed: NewFile) -> MetaFile:
    return MetaFile(
        path=EXCLUSIONS, key=listed.key, size_bytes=listed.size_bytes, sha256=listed.sha256
    )


def _sum(parts: Sequence[ExportPart]) -> dict[str, int]:
    counters: Counter[str] = Counter()
    for part in parts:
        counters.update(part.counters)
    return dict(counters)


def _snapshot(job: Job) -> int:
    if job.snapshot is None:
        raise ValueError(f"job {job.id} has no snapshot to read")
    return job.snapshot


def _milliseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1000)
