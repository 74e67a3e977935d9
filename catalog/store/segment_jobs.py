"""Segment jobs in PostgreSQL: the jobs of their kind, each with the UUID callers know it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from catalog.errors import NotFound
from catalog.jobs import JobKind, JobState
from catalog.merge_policies import AttributeMerge, IdentityGraph, MergeRules
from catalog.organisations import Caller, Scope
from catalog.segment_jobs import (
    SegmentCount,
    SegmentCounts,
    SegmentJob,
    SegmentJobFilter,
    SegmentJobId,
    SegmentJobSort,
    SegmentsOfPolicy,
    SegmentToEvaluate,
)
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.jobs import JobStore, job_of

SQL = queries.beside(__file__)


class SegmentJobStore:
    """Segment jobs, submitted and read for callers. Moving them is :class:`JobStore`'s."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def submit(
        self,
        by: Caller,
        *,
        policies: Sequence[SegmentsOfPolicy],
        shapes: Mapping[str, Any],
        echo: Mapping[str, Any],
        snapshot: int,
    ) -> SegmentJob:
        """Queue a job; workers hear of it when the transaction commits.

        ``shapes`` are what the engine must know of schemas and namespaces; callers never see them.
        """
        told = {"echo": dict(echo), "policies": [asdict(each) for each in policies]}
        job = await JobStore(self._db).submit(
            by.scope,
            kind=JobKind.SEGMENTATION,
            dataset_id=None,
            order={**told, "shapes": dict(shapes)},
            snapshot=snapshot,
            actor=by.client_id,
            request_id=by.request_id,
        )
        row = await SQL["name"].row(self._db, **_of(by.scope), job_id=job.id)
        assert row is not None
        return SegmentJob(
            id=SegmentJobId(row["segment_job_id"]),
            job=job,
            policies=tuple(policies),
            echo=echo,
            counts=None,
        )

    async def find(self, scope: Scope, id: SegmentJobId) -> SegmentJob:
        row = await SQL["find"].row(self._db, **_of(scope), id=id)
        if row is None:
            raise NotFound("segment job", id)
        return segment_job_of(row)

    async def page(
        self, scope: Scope, wanted: SegmentJobFilter, *, limit: int, skip: int = 0
    ) -> tuple[SegmentJob, ...]:
        """Segment jobs in the order asked for, after ``skip`` others."""
        rows = await SQL["page"].rows(
            self._db,
            **_of(scope),
            states=sorted(set(wanted.states)),
            segment_id=wanted.segment_id,
            direction=-1 if wanted.is_descending else 1,
            is_by_update=wanted.sort is SegmentJobSort.UPDATE,
            limit=limit,
            skip=skip,
        )
        return tuple(segment_job_of(row) for row in rows)

    async def count(self, scope: Scope, wanted: SegmentJobFilter) -> int:
        """How many there are on all pages."""
        row = await SQL["count"].row(
            self._db,
            **_of(scope),
            states=sorted(set(wanted.states)),
            segment_id=wanted.segment_id,
        )
        assert row is not None
        return int(row["count"])


def segment_job_of(row: Mapping[str, Any] | Record) -> SegmentJob:
    """A segment job from a row of ``jobs`` with the UUID beside it."""
    job = job_of(row)
    return SegmentJob(
        id=SegmentJobId(row["segment_job_id"]),
        job=job,
        policies=policies_of(job.order),
        echo=job.order["echo"],
        counts=_counts(job.metrics) if job.state is JobState.SUCCEEDED else None,
    )


def policies_of(order: Mapping[str, Any]) -> tuple[SegmentsOfPolicy, ...]:
    """What a job's order says of its segments."""
    return tuple(
        SegmentsOfPolicy(
            merge_policy_id=each["merge_policy_id"],
            merge_policy_version=each["merge_policy_version"],
            rules=MergeRules(
                identity_graph=IdentityGraph(each["rules"]["identity_graph"]),
                attribute_merge=AttributeMerge(each["rules"]["attribute_merge"]),
                dataset_order=tuple(each["rules"]["dataset_order"]),
            ),
            segments=tuple(SegmentToEvaluate(**one) for one in each["segments"]),
        )
        for each in order["policies"]
    )


def _counts(metrics: Mapping[str, Any]) -> SegmentCounts:
    told = {**metrics}
    segments = {id: SegmentCount(**count) for id, count in told.pop("segments").items()}
    return SegmentCounts(**told, segments=segments)


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
