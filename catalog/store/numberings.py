"""Saved numberings: the newest of a sandbox alone says which numbers were given to whom.

The file behind a numbering is described in :mod:`service.engine.numbering`.
"""

from __future__ import annotations

from catalog.errors import NotFound
from catalog.numberings import NewNumbering, Numbering
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


class NumberingStore:
    """The numberings of sandboxes, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def newest(self, scope: Scope, commit: int) -> Numbering | None:
        """Find the numbering that counts, and whether it says all there is to say at a commit."""
        row = await SQL["newest"].row(self._db, **_of(scope), commit=commit)
        if row is None:
            return None
        return Numbering(
            commit=row["commit_number"],
            key=row["key"],
            size_bytes=row["size_bytes"],
            row_count=row["row_count"],
            merged_key=row["merged_key"],
            merged_count=row["merged_count"],
            next_number=row["next_number"],
            is_current=row["is_current"],
        )

    async def save(self, scope: Scope, new: NewNumbering, *, base_key: str | None) -> bool:
        """Let a numbering count that went on from another; False when that is no longer the last.

        Then somebody else has given numbers meanwhile, perhaps the same ones: number anew. Those
        before it go, and their files with them, but for what unfinished jobs go by. Saving the
        same again is fine. The sandbox's row stays locked until the transaction ends.
        """
        if await SQL["lock"].row(self._db, **_of(scope)) is None:
            raise NotFound("sandbox", scope.sandbox_name)
        row = await SQL["save"].row(
            self._db,
            **_of(scope),
            commit=new.commit,
            key=new.key,
            size_bytes=new.size_bytes,
            row_count=new.row_count,
            merged_key=new.merged_key,
            merged_count=new.merged_count,
            next_number=new.next_number,
            base_key=base_key,
        )
        if row is None:
            last = await SQL["is_last"].row(self._db, **_of(scope), key=new.key)
            return bool(last and last["answer"])
        await SQL["forget"].rows(self._db, **_of(scope), key=new.key)
        return True


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
