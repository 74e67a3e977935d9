"""Jobs in PostgreSQL: the queue, its leases and its fence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from catalog.errors import Conflict, NotFound
from catalog.jobs import (
    ENDED,
    LIFECYCLE,
    Job,
    JobError,
    JobEvent,
    JobId,
    JobKind,
    JobState,
    WorkerId,
)
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


class JobStore:
    """Jobs, submitted and moved inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def submit(
        self,
        scope: Scope,
        *,
        kind: JobKind,
        dataset_id: str | None,
        order: Mapping[str, Any],
        actor: str,
        request_id: str,
        snapshot: int | None = None,
    ) -> Job:
        """Queue a job; workers hear of it when the transaction commits."""
        row = await SQL["submit"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            kind=kind,
            dataset_id=dataset_id,
            order=dict(order),
            snapshot=snapshot,
            actor=actor,
            request_id=request_id,
        )
        assert row is not None
        return job_of(row)

    async def find(self, scope: Scope, id: JobId, *, kind: JobKind) -> Job:
        return await self._one("find", scope, id, kind)

    async def lock(self, scope: Scope, id: JobId, *, kind: JobKind) -> Job:
        """Find a job and hold it against every change until the transaction ends."""
        return await self._one("lock", scope, id, kind)

    async def claim_next(
        self, worker_id: WorkerId, *, lease: timedelta, most_running: int | None = None
    ) -> Job | None:
        """Lease a waiting job to a worker, or return None when nothing waits that may run.

        Sandboxes take turns; one in which ``most_running`` jobs run waits for one to end.

        A lease is a promise, not a lock: a worker that stops renewing it loses the job while
        it may still be writing. The attempt number of the claim fences what it writes.
        """
        row = await SQL["claim_next"].row(
            self._db, worker_id=worker_id, lease=lease, most_running=most_running
        )
        return job_of(row) if row else None

    async def count_waiting(self, scope: Scope, *, at_most: int) -> int:
        """How many jobs of a sandbox wait, exports and promotions together, up to a bound."""
        row = await SQL["count_waiting"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            at_most=at_most,
        )
        assert row is not None
        return int(row["count"])

    async def queue_up(self, scope: Scope) -> None:
        """Wait for others who do so in this sandbox, and make others wait until the end."""
        await SQL["queue_up"].row(self._db, sandbox_id=scope.sandbox_id)

    async def announce(self) -> None:
        """Tell workers that jobs wait which were submitted without a word."""
        await SQL["announce"].row(self._db)

    async def next_due(self) -> timedelta | None:
        """How long until the first job that was put off may be claimed; None when none was."""
        row = await SQL["next_due"].row(self._db)
        assert row is not None
        due: timedelta | None = row["due"]
        return due

    async def renew(self, job: Job, *, lease: timedelta, progress: Mapping[str, Any]) -> bool:
        """Extend the lease of a claim. False: the claim is lost and the work must stop."""
        row = await SQL["renew"].row(
            self._db, job_id=job.id, attempt=job.attempt, lease=lease, progress=dict(progress)
        )
        return row is not None

    async def hold(self, job: Job) -> None:
        """Keep a claim valid until the transaction ends, or refuse: the claim is lost."""
        if await SQL["hold"].row(self._db, job_id=job.id, attempt=job.attempt) is None:
            raise Conflict(f"attempt {job.attempt} of job {job.id} no longer runs")

    async def move(
        self,
        job: Job,
        event: JobEvent,
        *,
        actor: str,
        is_fenced: bool = True,
        failure: JobError | None = None,
        delay: timedelta = timedelta(0),
        metrics: Mapping[str, Any] | None = None,
    ) -> Job:
        """Take a job along one edge of its lifecycle and note who moved it, and why.

        The check and the change are one statement, so of two callers racing for the same job
        exactly one wins; the other is told what state it found. Workers stay fenced: one that
        has lost its lease can no longer move the job, even back to where it is. A ``failure``
        counts as a failed attempt; it becomes an error of the job only if the job ends with it.
        """
        target = LIFECYCLE.target(event)
        is_last_word = failure is not None and target in ENDED
        row = await SQL["move"].row(
            self._db,
            job_id=job.id,
            event=event,
            sources=LIFECYCLE.sources(event),
            target=target,
            ended=sorted(ENDED),
            attempt=job.attempt if is_fenced else None,
            actor=actor,
            reason=failure.message if failure else None,
            delay=delay,
            failed_attempts=int(failure is not None),
            errors=[asdict(failure)] if failure and is_last_word else [],
            metrics=dict(metrics or {}),
        )
        if row is None:
            found = await self.find(job.scope, job.id, kind=job.kind)
            # Refuses, naming the state it found.
            LIFECYCLE.after(found.state, event, id=job.id, kind=job.kind)
            raise Conflict(f"job {job.id} was moved by someone else: ask again")
        return job_of(row)

    async def was_released_for(self, job: Job, reason: str) -> bool:
        """Whether an earlier attempt ended for a reason that begins so."""
        row = await SQL["was_released_for"].row(self._db, job_id=job.id, reason=reason)
        assert row is not None
        return bool(row["answer"])

    async def expired(self, *, kept: Sequence[JobId] = ()) -> Job | None:
        """Lock one running job whose worker went silent, none of ``kept``, or return None."""
        row = await SQL["expired"].row(self._db, kept=list(kept))
        return job_of(row) if row else None

    async def _one(self, query: str, scope: Scope, id: JobId, kind: JobKind) -> Job:
        row = await SQL[query].row(
            self._db,
            job_id=id,
            kind=kind,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        if row is None:
            raise NotFound(f"{kind} job", id)
        return job_of(row)


def job_of(row: Mapping[str, Any] | Record) -> Job:
    """A job from a row of ``jobs`` joined with the name of its sandbox."""
    return Job(
        id=JobId(row["id"]),
        kind=JobKind(row["kind"]),
        scope=Scope(
            organisation_id=OrganisationId(row["organisation_id"]),
            sandbox_id=SandboxId(row["sandbox_id"]),
            sandbox_name=row["sandbox_name"],
        ),
        state=JobState(row["state"]),
        dataset_id=row["dataset_id"],
        order=row["order"],
        snapshot=row["snapshot"],
        attempt=row["attempt"],
        failed_attempts=row["failed_attempts"],
        worker_id=WorkerId(row["worker_id"]) if row["worker_id"] else None,
        progress=row["progress"],
        metrics=row["metrics"],
        errors=tuple(JobError(**error) for error in row["errors"]),
        created_by=row["created_by"],
        request_id=row["request_id"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )
