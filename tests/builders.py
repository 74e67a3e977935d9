"""Makes the things a test is not about, with defaults for all that it does not say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from secrets import token_hex
from typing import Any

from catalog.batches import Batch, NewBatch
from catalog.export_jobs import BUILT_IN_POLICIES, PROFILE_SCHEMA_NAME, UNMERGED_POLICY
from catalog.jobs import Job, JobKind, WorkerId
from catalog.organisations import Caller, ClientId, Scope
from catalog.schemas import Field
from catalog.segment_jobs import SegmentJob, SegmentsOfPolicy, SegmentToEvaluate
from catalog.segments import RuleFormat, SegmentDraft
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from catalog.store.segment_jobs import SegmentJobStore
from catalog.store.segments import SegmentStore
from catalog.store.store_files import StoreFileStore

WORKER = WorkerId("worker-1")
LEASE = timedelta(seconds=30)


async def a_dataset(
    db: Connection, scope: Scope, *, id: str | None = None, schema_id: str = "https://any/schema"
) -> str:
    """A data set's row; return its id."""
    id = id or token_hex(12)
    await db.execute(
        "INSERT INTO datasets (id, sandbox_id, organisation_id, name, schema_id,"
        " schema_content_type, created_by, updated_by)"
        " VALUES ($1, $2, $3, 'any', $4, '', 'test', 'test')",
        id,
        scope.sandbox_id,
        scope.organisation_id,
        schema_id,
    )
    return id


async def a_job(
    db: Connection,
    scope: Scope,
    *,
    kind: JobKind = JobKind.EXPORT,
    dataset_id: str | None = None,
    order: dict[str, Any] | None = None,
    is_claimed: bool = False,
    lease: timedelta = LEASE,
) -> Job:
    """A queued job with its batch, or one that :data:`WORKER` has just claimed."""
    dataset_id = dataset_id or await a_dataset(db, scope)
    export = {"echo": {}, "merge_policy_id": None, "merge_policy_version": None, "selection": {}}
    job = await JobStore(db).submit(
        scope,
        kind=kind,
        dataset_id=dataset_id,
        order=order or (export if kind is JobKind.EXPORT else {}),
        snapshot=None if kind is JobKind.PROMOTION else 0,
        actor="test",
        request_id="r-1",
    )
    await BatchStore(db).open_for_export(scope, dataset_id=dataset_id, job_id=job.id, actor="test")
    if is_claimed:
        claimed = await JobStore(db).claim_next(WORKER, lease=lease)
        assert claimed is not None
        assert claimed.id == job.id
        return claimed
    return job


async def a_segment(db: Connection, scope: Scope, rule: str = "true", **told: Any) -> str:
    """A segment definition; return its id."""
    draft = SegmentDraft(
        name=token_hex(4),
        schema_name=PROFILE_SCHEMA_NAME,
        format=RuleFormat.TEXT,
        expression=rule,
        **told,
    )
    return (await SegmentStore(db).add(scope, draft, rule=rule, actor="test")).id


async def a_segment_job(
    db: Connection,
    scope: Scope,
    *,
    rules: Mapping[str, str],
    policy_id: str = UNMERGED_POLICY,
    profile_fields: Sequence[Field] = (),
) -> SegmentJob:
    """A queued job that evaluates segments under one policy; ``rules`` are by segment."""
    segments = [SegmentToEvaluate(id=id, version=1, rule=rule) for id, rule in rules.items()]
    policy = SegmentsOfPolicy(
        merge_policy_id=policy_id,
        merge_policy_version=1,
        rules=BUILT_IN_POLICIES[policy_id],
        segments=tuple(segments),
    )
    by = Caller(client_id=ClientId("test"), scope=scope, request_id="r-1")
    return await SegmentJobStore(db).submit(
        by,
        policies=[policy],
        shapes={
            "profile_fields": [field.to_json() for field in profile_fields],
            "event_fields": [],
            "namespaces": {},
        },
        echo={},
        snapshot=await StoreFileStore(db).snapshot(scope),
    )


async def a_batch(
    db: Connection, scope: Scope, *, dataset_id: str | None = None, **asked: Any
) -> Batch:
    """A batch that callers may upload to."""
    new = NewBatch(dataset_id=dataset_id or await a_dataset(db, scope), **asked)
    return await BatchStore(db).open(scope, new, actor="test")


async def a_loaded_batch(db: Connection, scope: Scope, *, dataset_id: str | None = None) -> Batch:
    """A completed batch whose promotion waits for a worker."""
    batches, batch = BatchStore(db), await a_batch(db, scope, dataset_id=dataset_id)
    ingest_number = await batches.next_ingest_number(scope)
    job = await JobStore(db).submit(
        scope,
        kind=JobKind.PROMOTION,
        dataset_id=batch.dataset_id,
        order={"batch_id": batch.id, "for_profile": True, "is_upsert": False},
        actor="test",
        request_id="r-1",
    )
    return await batches.complete(
        scope, batch.id, ingest_number=ingest_number, job_id=job.id, actor="test"
    )
