"""Spaces in PostgreSQL: the views of a sandbox."""

from __future__ import annotations

from typing import Any

from catalog.errors import AlreadyExists, NotFound
from catalog.organisations import Scope
from catalog.properties import PropertyKind
from catalog.spaces import Space, SpaceDraft, SpaceNumber
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

#: The column that says what of a kind a space may use.
_COLUMNS = {
    PropertyKind.IDENTITY: "identities",
    PropertyKind.USER: "user_properties",
    PropertyKind.TAG: "tags",
}


class SpaceStore:
    """The spaces of a sandbox, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, scope: Scope, draft: SpaceDraft, *, actor: str) -> Space:
        """Make a space; refuses a name that is taken."""
        await SQL["lock_changes"].rows(self._db, **_of(scope))
        row = await SQL["add"].row(self._db, **_of(scope), **_columns(draft), actor=actor)
        if row is None:
            raise AlreadyExists(f"a space has the name {draft.name} already")
        return _space(row)

    async def numbered(self, scope: Scope, number: SpaceNumber) -> Space | None:
        """Find a space by its number."""
        row = await SQL["numbered"].row(self._db, **_of(scope), number=number)
        return _space(row) if row else None

    async def all(self, scope: Scope) -> tuple[Space, ...]:
        """The spaces of a sandbox, the first made first."""
        rows = await SQL["all"].rows(self._db, **_of(scope))
        return tuple(map(_space, rows))

    async def revise(
        self, scope: Scope, number: SpaceNumber, draft: SpaceDraft, *, actor: str
    ) -> Space:
        """Change a space that is there; refuses a name that is taken."""
        await SQL["lock_changes"].rows(self._db, **_of(scope))
        row = await SQL["revise"].row(
            self._db, **_of(scope), **_columns(draft), number=number, actor=actor
        )
        if row is None:
            raise AlreadyExists(f"a space has the name {draft.name} already")
        return _space(row)

    async def remove(self, scope: Scope, number: SpaceNumber) -> None:
        """Forget a space; its segments become those of the project."""
        await SQL["vacate"].rows(self._db, **_of(scope), number=number)
        if await SQL["remove"].row(self._db, **_of(scope), number=number) is None:
            raise NotFound("space", number)


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _columns(draft: SpaceDraft) -> dict[str, Any]:
    allowed = {
        column: sorted(draft.allowed[kind]) if kind in draft.allowed else None
        for kind, column in _COLUMNS.items()
    }
    return {"name": draft.name, "description": draft.description, **allowed}


def _space(row: Record) -> Space:
    return Space(
        number=SpaceNumber(row["number"]),
        name=row["name"],
        description=row["description"],
        allowed={
            kind: frozenset(row[column])
            for kind, column in _COLUMNS.items()
            if row[column] is not None
        },
        created_by=row["created_by"],
        updated_by=row["updated_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
