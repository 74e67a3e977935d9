"""Membership sets in PostgreSQL: which of them count in a snapshot, and of which segments.

They come and go by the commit numbers of their sandbox, as store files do, so that whoever
pinned a snapshot has pinned its memberships with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from catalog.jobs import Job
from catalog.memberships import MembershipFile, MembershipSet, MembershipSetId, NewMembershipSet
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection
from catalog.store.store_files import StoreFileStore

SQL = queries.beside(__file__)


class MembershipStore:
    """The membership sets of sandboxes, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, job: Job, sets: Sequence[NewMembershipSet]) -> int:
        """Let what a job found out count, and return the commit number from which it does.

        What older sets say of its segments counts no more, under whichever policy; nor does what
        these say of segments that were deleted meanwhile. The sandbox's row stays locked until the
        transaction ends: call this late in it.
        """
        commit = await StoreFileStore(self._db).next_commit(job.scope, is_of_files=False)
        told = [id for each in sets for id in each.segment_ids]
        await self._supersede(job.scope, told, commit)
        for each in sets:
            row = await SQL["add"].row(
                self._db,
                **_of(job.scope),
                job_id=job.id,
                merge_policy_id=each.merge_policy_id,
                evaluated_at=each.evaluated_at,
                commit=commit,
            )
            assert row is not None
            await SQL["add_segments"].row(
                self._db,
                **_of(job.scope),
                set_id=row["id"],
                segment_ids=list(each.segment_ids),
                commit=commit,
            )
            await SQL["add_files"].row(
                self._db,
                set_id=row["id"],
                keys=[file.key for file in each.files],
                sizes=[file.size_bytes for file in each.files],
                rows=[file.row_count for file in each.files],
            )
        return commit

    async def forget(self, scope: Scope, segment_ids: Sequence[str]) -> int:
        """Let memberships of segments that are deleted count no more; return the commit number.

        Snapshots below that number still have them. The sandbox's row stays locked until the
        transaction ends.
        """
        commit = await StoreFileStore(self._db).next_commit(scope, is_of_files=False)
        await self._supersede(scope, segment_ids, commit)
        return commit

    async def sets_at(
        self, scope: Scope, commit: int, merge_policy_id: str
    ) -> tuple[MembershipSet, ...]:
        """The sets of a merge policy in one snapshot, oldest first."""
        rows = await SQL["sets_at"].rows(
            self._db, **_of(scope), commit=commit, merge_policy_id=merge_policy_id
        )
        return tuple(
            MembershipSet(
                id=MembershipSetId(row["id"]),
                evaluated_at=row["evaluated_at"],
                added=row["added"],
                segment_ids={int(n): id for n, id in (row["segment_ids"] or {}).items()},
                ttl_days={int(n): days for n, days in (row["ttl_days"] or {}).items()},
                segment_count=row["segment_count"],
                files=tuple(MembershipFile(**file) for file in row["files"]),
            )
            for row in rows
        )

    async def _supersede(self, scope: Scope, segment_ids: Sequence[str], commit: int) -> None:
        rows = await SQL["supersede"].rows(
            self._db, **_of(scope), segment_ids=list(segment_ids), commit=commit
        )
        touched = sorted({row["set_id"] for row in rows})
        await SQL["remove_empty"].rows(self._db, **_of(scope), ids=touched, commit=commit)


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
