"""Segment jobs: have segments evaluated, follow the job, stop it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from catalog.audit import Action, ObjectKind
from catalog.errors import InvalidField
from catalog.export_jobs import BUILT_IN_POLICIES
from catalog.jobs import JobEvent, JobKind, JobState
from catalog.merge_policies import MergeRules
from catalog.organisations import Caller, Scope
from catalog.segment_jobs import (
    SegmentJob,
    SegmentJobFilter,
    SegmentJobId,
    SegmentJobRequest,
    SegmentsOfPolicy,
    SegmentToEvaluate,
)
from catalog.segments import SegmentDefinition
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.merge_policies import MergePolicyStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.store.segment_jobs import SegmentJobStore
from catalog.store.segments import SegmentStore
from catalog.store.store_files import StoreFileStore
from service.operations.waiting_room import WaitingRoom


class SegmentJobs:
    """What callers may ask about segment jobs."""

    def __init__(self, database: Database, waiting_room: WaitingRoom) -> None:
        self._database = database
        self._waiting_room = waiting_room

    async def submit(self, request: SegmentJobRequest, *, by: Caller) -> SegmentJob:
        """Pin the rules of segments and what they are evaluated on, and queue the job.

        Refuses with InvalidField when there is no such segment, or none at all, and with
        TooManyJobs when as many wait as may.
        """
        async with self._database.transaction() as db:
            await ErasureStore(db).keep(by.scope)
            await self._waiting_room.enter(db, by.scope)
            segments = await _segments(db, by.scope, request.segment_ids)
            union = await SchemaStore(db).union(by.scope)
            namespaces = await NamespaceStore(db).registered(by.scope)
            job = await SegmentJobStore(db).submit(
                by,
                policies=await _by_policy(db, by.scope, segments),
                shapes={
                    "profile_fields": [field.to_json() for field in union.profile_fields],
                    "event_fields": [field.to_json() for field in union.event_fields],
                    "namespaces": {one.code.lower(): one.code for one in namespaces},
                },
                echo=request.echo,
                snapshot=await StoreFileStore(db).snapshot(by.scope),
            )
            await AuditStore(db).note(
                by, Action.CREATE, ObjectKind.SEGMENT_JOB, job.id, segments=len(segments)
            )
            return job

    async def find(self, id: SegmentJobId, *, by: Caller) -> SegmentJob:
        return await self._database.read(lambda db: SegmentJobStore(db).find(by.scope, id))

    async def page(
        self, wanted: SegmentJobFilter, *, by: Caller, limit: int, skip: int = 0
    ) -> tuple[tuple[SegmentJob, ...], int]:
        """A page of segment jobs, and how many there are on all of them."""

        async def read(db: Connection) -> tuple[tuple[SegmentJob, ...], int]:
            jobs = SegmentJobStore(db)
            page = await jobs.page(by.scope, wanted, limit=limit, skip=skip)
            return page, await jobs.count(by.scope, wanted)

        return await self._database.read(read)

    async def cancel(self, id: SegmentJobId, *, by: Caller) -> None:
        """Stop a job for good; nothing it found out ever counts. Cancelling again is fine.

        Refuses a job that has succeeded or failed.
        """
        async with self._database.transaction() as db:
            found = await SegmentJobStore(db).find(by.scope, id)
            job = await JobStore(db).lock(by.scope, found.job.id, kind=JobKind.SEGMENTATION)
            if job.state is not JobState.CANCELLED:
                await JobStore(db).move(job, JobEvent.CANCEL, actor=by.client_id, is_fenced=False)
                await AuditStore(db).note(by, Action.CANCEL, ObjectKind.SEGMENT_JOB, id)


async def _segments(
    db: Connection, scope: Scope, asked: Sequence[str] | None
) -> tuple[SegmentDefinition, ...]:
    """The segments asked for, each once, by id; refuses what is not there."""
    every = await SegmentStore(db).every(scope)
    if asked is None:
        if not every:
            raise InvalidField("segments", "there is no segment in this sandbox to evaluate")
        return every
    known = {segment.id: segment for segment in every} | {one.key: one for one in every}
    for name in asked:
        if name not in known:
            raise InvalidField("segmentId", f"no segment {name}")
    if not asked:
        raise InvalidField("segments", "names no segment; name some, or all of them by *")
    wanted = {known[name].id for name in asked}
    return tuple(segment for segment in every if segment.id in wanted)


async def _by_policy(
    db: Connection, scope: Scope, segments: Sequence[SegmentDefinition]
) -> list[SegmentsOfPolicy]:
    """The segments by the policies that they are evaluated under, each as it is now."""
    in_order = sorted(segments, key=attrgetter("merge_policy_id"))
    together = []
    for id, own in groupby(in_order, key=attrgetter("merge_policy_id")):
        version, rules = await _policy(db, scope, id)
        together.append(
            SegmentsOfPolicy(
                merge_policy_id=id,
                merge_policy_version=version,
                rules=rules,
                segments=tuple(
                    SegmentToEvaluate(
                        id=one.id, version=one.version, rule=one.rule, ttl_days=one.ttl_days
                    )
                    for one in own
                ),
            )
        )
    return together


async def _policy(db: Connection, scope: Scope, id: str) -> tuple[int, MergeRules]:
    if id in BUILT_IN_POLICIES:
        return 1, BUILT_IN_POLICIES[id]
    policy = await MergePolicyStore(db).find(scope, id)
    return policy.version, policy.rules
