"""Export jobs: ask for merged profiles, follow the job, stop it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from catalog.audit import Action, ObjectKind
from catalog.export_jobs import ExportFilter, ExportJob, ExportRequest
from catalog.jobs import JobEvent, JobId, JobKind, JobState
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from catalog.store.export_jobs import ExportJobStore
from catalog.store.jobs import JobStore
from service.operations.submissions import Submissions

Answer = TypeVar("Answer")


class ExportJobs:
    """What callers may ask about export jobs."""

    def __init__(self, database: Database, submissions: Submissions) -> None:
        self._database = database
        self._submissions = submissions

    async def submit(
        self, request: ExportRequest, *, by: Caller, answered: Callable[[ExportJob], Answer]
    ) -> Answer:
        """As :meth:`Submissions.submit`."""
        return await self._submissions.submit(request, by=by, answered=answered)

    async def find(self, id: JobId, *, by: Caller) -> ExportJob:
        return await self._database.read(lambda db: ExportJobStore(db).find(by.scope, id))

    async def page(
        self, wanted: ExportFilter, *, by: Caller, limit: int, skip: int = 0
    ) -> tuple[ExportJob, ...]:
        """Export jobs in the order asked for, beginning behind the filter's cursor."""
        return await self._database.read(
            lambda db: ExportJobStore(db).page(by.scope, wanted, limit=limit, skip=skip)
        )

    async def cancel(self, id: JobId, *, by: Caller) -> None:
        """Stop a job for good; nothing it wrote is ever visible. Cancelling again is fine.

        Refuses a job that has succeeded or failed.
        """
        async with self._database.transaction() as db:
            job = await JobStore(db).lock(by.scope, id, kind=JobKind.EXPORT)
            if job.state is not JobState.CANCELLED:
                await JobStore(db).move(job, JobEvent.CANCEL, actor=by.client_id, is_fenced=False)
                await AuditStore(db).note(by, Action.CANCEL, ObjectKind.EXPORT_JOB, id)
                await BatchStore(db).abort(job.id)
