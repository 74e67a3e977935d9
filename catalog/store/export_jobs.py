"""Export jobs in PostgreSQL: the jobs of their kind, each with the batches it writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from catalog.batches import BatchId
from catalog.errors import NotFound
from catalog.export_jobs import ExportCursor, ExportFilter, ExportJob, ExportSort, SegmentBatch
from catalog.jobs import JobId
from catalog.organisations import Scope
from catalog.segments import MembershipStatus, SegmentChoice
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.jobs import job_of

SQL = queries.beside(__file__)


class ExportJobStore:
    """Export jobs, read for callers. Submitting and moving them is :class:`JobStore`'s."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def find(self, scope: Scope, id: JobId) -> ExportJob:
        row = await SQL["find"].row(
            self._db,
            job_id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        if row is None:
            raise NotFound("export job", id)
        return export_job_of(row)

    async def page(
        self, scope: Scope, wanted: ExportFilter, *, limit: int, skip: int = 0
    ) -> tuple[ExportJob, ...]:
        """Return jobs in the order asked for, beginning behind the filter's cursor.

        Jobs that are submitted meanwhile never shift a page that follows a cursor.
        """
        if wanted.sort is ExportSort.CREATION and wanted.after is not None:
            wanted = replace(wanted, after=await self._exactly(scope, wanted.after))
        rows = await SQL[block(wanted)].rows(
            self._db, **arguments(scope, wanted, limit=limit, skip=skip)
        )
        return tuple(export_job_of(row) for row in rows)

    async def _exactly(self, scope: Scope, after: ExportCursor) -> ExportCursor:
        """A place that is told to the millisecond, to the microsecond if its job is there."""
        row = await SQL["submitted_at"].row(
            self._db,
            job_id=after.id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return after if row is None else replace(after, at=row["created_at"])


def block(wanted: ExportFilter) -> str:
    """The name of the statement that lists in an order."""
    return f"by_{wanted.sort}_{'descending' if wanted.is_descending else 'ascending'}"


def arguments(scope: Scope, wanted: ExportFilter, *, limit: int, skip: int) -> dict[str, Any]:
    """What that statement takes."""
    after = wanted.after
    given: dict[str, Any] = {
        "sandbox_id": scope.sandbox_id,
        "organisation_id": scope.organisation_id,
        "states": sorted(set(wanted.states)),
        "after_id": after.id if after else None,
        "limit": limit,
        "skip": skip,
    }
    if wanted.sort in {ExportSort.CREATION, ExportSort.UPDATE}:
        given["after_at"] = after.at if after else None
    if wanted.sort is ExportSort.STATE:
        given["after_state"] = after.state if after else None
    return given


def export_job_of(row: Mapping[str, Any] | Record) -> ExportJob:
    """An export job from a row of the view."""
    job = job_of(row)
    return ExportJob(
        job=job,
        batch_ids=tuple(row["batch_ids"]),
        segment_batches=_segment_batches(row["batch_ids"], job.order.get("segments")),
        echo=job.order["echo"],
        merge_policy_id=job.order["merge_policy_id"],
        merge_policy_version=job.order["merge_policy_version"],
    )


def _segment_batches(
    ids: Sequence[BatchId], choices: Sequence[Mapping[str, Any]] | None
) -> tuple[SegmentBatch, ...] | None:
    if choices is None:
        return None
    return tuple(
        SegmentBatch(
            batch_id=id,
            choice=SegmentChoice(
                segment_id=choice["segment_id"],
                namespace=choice["namespace"],
                statuses=tuple(map(MembershipStatus, choice["statuses"])),
            ),
        )
        for id, choice in zip(ids, choices, strict=True)
    )
