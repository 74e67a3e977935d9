"""Export jobs in PostgreSQL: the jobs of their kind, each with the batch it writes."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.batches import BatchId
from catalog.errors import NotFound
from catalog.export_jobs import ExportJob
from catalog.jobs import JobId, JobState
from catalog.organisations import Scope
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
            sandbox_name=scope.sandbox_name,
        )
        if row is None:
            raise NotFound("export job", id)
        return export_job_of(row)

    async def page(
        self,
        scope: Scope,
        *,
        limit: int,
        skip: int = 0,
        after: JobId | None = None,
        states: Sequence[JobState] = tuple(JobState),
        is_newest_first: bool = True,
    ) -> tuple[ExportJob, ...]:
        """Return jobs in order of creation, beginning behind the job ``after`` names.

        Jobs that are submitted meanwhile never shift a page that follows a cursor.
        """
        rows = await SQL["newest_first" if is_newest_first else "oldest_first"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            sandbox_name=scope.sandbox_name,
            states=list(states),
            after_id=after,
            limit=limit,
            skip=skip,
        )
        return tuple(export_job_of(row) for row in rows)


def export_job_of(row: Record) -> ExportJob:
    """An export job from a row that need not carry the schemas it pinned."""
    job = job_of(row)
    return ExportJob(
        job=job,
        batch_id=BatchId(row["batch_id"]),
        echo=job.order["echo"],
        merge_policy_id=job.order["merge_policy_id"],
        merge_policy_version=job.order["merge_policy_version"],
    )
