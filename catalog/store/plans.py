"""Plans of export jobs and their finished parts, in PostgreSQL.

Every write first holds the job under the writer's attempt number: a worker that lost its lease
adds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from catalog.export_jobs import ExportPart, ExportPlan
from catalog.jobs import Job
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.jobs import JobStore

SQL = queries.beside(__file__)


class PlanStore:
    """What an export job has worked out so far."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def find(self, job: Job) -> ExportPlan | None:
        row = await SQL["find"].row(self._db, job_id=job.id)
        return _plan(row) if row else None

    async def replace(
        self,
        job: Job,
        *,
        key: str,
        engine_version: str,
        task_count: int,
        numbering: str | None = None,
    ) -> ExportPlan:
        """Make this the plan of the job; an earlier one goes, with its parts.

        ``numbering`` is the key of the numbering it goes by, which stays until the job ends.
        """
        await JobStore(self._db).hold(job)
        await SQL["discard"].row(self._db, job_id=job.id)
        row = await SQL["add"].row(
            self._db,
            job_id=job.id,
            attempt=job.attempt,
            engine_version=engine_version,
            key=key,
            task_count=task_count,
            numbering=numbering,
        )
        assert row is not None
        return _plan(row)

    async def add_part(self, job: Job, part: ExportPart) -> None:
        await JobStore(self._db).hold(job)
        await SQL["add_part"].row(
            self._db,
            job_id=job.id,
            attempt=job.attempt,
            number=part.number,
            batch=part.batch,
            key=part.key,
            size_bytes=part.size_bytes,
            row_count=part.row_count,
            sha256=part.sha256,
            counters=dict(part.counters),
            exclusions=part.exclusions,
        )

    async def parts(self, job: Job) -> tuple[ExportPart, ...]:
        rows = await SQL["parts"].rows(self._db, job_id=job.id)
        return tuple(_part(row) for row in rows)


def _plan(row: Record) -> ExportPlan:
    return ExportPlan(
        key=row["key"],
        engine_version=row["engine_version"],
        task_count=row["task_count"],
    )


def _part(row: Record) -> ExportPart:
    counters: Mapping[str, Any] = row["counters"]
    return ExportPart(
        number=row["number"],
        batch=row["batch"],
        key=row["key"],
        size_bytes=row["size_bytes"],
        row_count=row["row_count"],
        sha256=row["sha256"],
        counters=counters,
        exclusions=row["exclusions"],
    )
