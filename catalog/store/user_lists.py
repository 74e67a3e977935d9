"""User lists in PostgreSQL: the jobs of their kind, and the pieces of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from catalog.errors import NotFound
from catalog.jobs import Job, JobId, JobKind
from catalog.organisations import Caller, OrganisationId, Scope
from catalog.store import queries
from catalog.store.database import Connection
from catalog.store.jobs import JobStore, job_of
from catalog.user_lists import ListPiece, UserList, created_at_of, user_list_of

SQL = queries.beside(__file__)


class UserListStore:
    """User lists, submitted and read for callers. Moving their jobs is :class:`JobStore`'s."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def submit(self, by: Caller, *, order: Mapping[str, Any], snapshot: int) -> UserList:
        """Queue a list; workers hear of it when the transaction commits."""
        job = await JobStore(self._db).submit(
            by.scope,
            kind=JobKind.USER_LIST,
            dataset_id=None,
            order=order,
            snapshot=snapshot,
            actor=by.client_id,
            request_id=by.request_id,
        )
        return user_list_of(job, ())

    async def find(self, organisation_id: OrganisationId, id: JobId) -> UserList:
        """Find a list of an organisation; its job says of which sandbox."""
        row = await SQL["find"].row(self._db, job_id=id, organisation_id=organisation_id)
        if row is None:
            raise NotFound("user list", id)
        return await self._whole(job_of(row))

    async def find_by_path(self, organisation_id: OrganisationId, path: str) -> UserList:
        """Find a list of an organisation by what it is downloaded by."""
        created_at = created_at_of(path)
        if created_at is not None:
            rows = await SQL["created_at"].rows(
                self._db, organisation_id=organisation_id, created_at=created_at
            )
            for row in rows:
                found = await self._whole(job_of(row))
                if found.path == path:
                    return found
        raise NotFound("file", path)

    async def equal(
        self, scope: Scope, *, order: Mapping[str, Any], snapshot: int
    ) -> UserList | None:
        """A list of the last hour that was asked for alike and has not failed or gone since."""
        row = await SQL["equal"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            order=dict(order),
            snapshot=snapshot,
        )
        return await self._whole(job_of(row)) if row else None

    async def add_pieces(self, job: Job, pieces: Sequence[ListPiece]) -> None:
        """Let pieces, in their order, be the file of a list."""
        await SQL["add_pieces"].row(
            self._db,
            job_id=job.id,
            keys=[piece.key for piece in pieces],
            sizes=[piece.size_bytes for piece in pieces],
            rows=[piece.row_count for piece in pieces],
            hashes=[piece.sha256 for piece in pieces],
        )

    async def erase(self, age: timedelta, *, most: int) -> int:
        """Forget the files of ``most`` lists that ended so long ago; return how many pieces."""
        return len(await SQL["erase"].rows(self._db, age=age, most=most))

    async def _whole(self, job: Job) -> UserList:
        rows = await SQL["pieces"].rows(self._db, job_id=job.id)
        return user_list_of(job, tuple(ListPiece(**row) for row in rows))
