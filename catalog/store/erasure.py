"""Erasure: what batches brought is gone for every reader, whatever they had begun.

Taking a batch back leaves jobs that pinned its rows to finish with them; erasing it does not.
The rows that name its files stay, marked by ``batches.deleted_at``, until the sweeper has
removed the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from catalog.batches import LIFECYCLE, BatchEvent, BatchId
from catalog.datasets import DatasetId
from catalog.jobs import FILLS_BATCHES, JobError, JobEvent, JobId
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from catalog.store.jobs import JobStore, job_of
from catalog.store.store_files import StoreFileStore

SQL = queries.beside(__file__)


class ErasureStore:
    """Erases batches inside one transaction.

    Whatever it locks it locks in the order of everybody else: jobs, batches, sandbox. What
    begins meanwhile cannot be seen, so everybody who begins something asks :meth:`keep`.
    """

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def keep(self, scope: Scope) -> None:
        """Keep everything of a sandbox from being erased until the transaction ends.

        To be asked first by whoever opens or completes a batch, or pins a snapshot: what it has
        read then is still there when it writes.
        """
        await SQL["keep"].row(self._db, sandbox_id=scope.sandbox_id)

    async def begin(self, scope: Scope) -> None:
        """Wait for those who keep the sandbox, and let nobody begin until the end."""
        await SQL["begin"].row(self._db, sandbox_id=scope.sandbox_id)

    async def batches_of(self, scope: Scope, dataset_id: DatasetId) -> tuple[BatchId, ...]:
        """All batches of a data set that are not erased already."""
        rows = await SQL["batches_of"].rows(self._db, **_of(scope), dataset_id=dataset_id)
        return tuple(BatchId(row["id"]) for row in rows)

    async def erase(
        self, scope: Scope, batch_ids: Sequence[BatchId], *, why: JobError, actor: str
    ) -> tuple[JobId, ...]:
        """Erase batches, and return the jobs that were cancelled for it, each with ``why``.

        Asked after :meth:`begin`.
        """
        rows = await SQL["lock_jobs"].rows(self._db, **_of(scope), batch_ids=list(batch_ids))
        jobs = [job_of(row) for row in rows]
        for job in jobs:
            await JobStore(self._db).move(
                job, JobEvent.CANCEL, actor=actor, is_fenced=False, failure=why
            )
            if job.kind in FILLS_BATCHES:
                await BatchStore(self._db).abort(job.id, actor=actor)
        await SQL["erase"].rows(
            self._db,
            **_of(scope),
            batch_ids=list(batch_ids),
            shown=LIFECYCLE.sources(BatchEvent.REVERT),
            withdrawn=LIFECYCLE.target(BatchEvent.REVERT),
            unfinished=LIFECYCLE.sources(BatchEvent.ABORT),
            given_up=LIFECYCLE.target(BatchEvent.ABORT),
            actor=actor,
        )
        await StoreFileStore(self._db).remove(scope, batch_ids)
        return tuple(job.id for job in jobs)


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
