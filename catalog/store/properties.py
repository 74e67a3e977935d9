"""Properties in PostgreSQL: identities, user properties and tags."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from catalog.errors import AlreadyExists, NotFound
from catalog.organisations import Scope
from catalog.properties import (
    Property,
    PropertyDraft,
    PropertyKind,
    PropertyNumber,
    ValueType,
    kind_of,
)
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


class PropertyStore:
    """The properties of a sandbox, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self,
        scope: Scope,
        draft: PropertyDraft,
        value_type: ValueType,
        *,
        is_array: bool,
        actor: str,
    ) -> Property:
        """Make a property that was checked; refuses a key or a name that is taken."""
        await SQL["lock_changes"].rows(self._db, **_of(scope))
        row = await SQL["add"].row(
            self._db,
            **_of(scope),
            **_columns(draft),
            kind=kind_of(draft.key),
            value_type=value_type,
            is_array=is_array,
            actor=actor,
        )
        if row is None:
            raise AlreadyExists(f"property {draft.key}: its key or its name {draft.name} is taken")
        return _property(row)

    async def find(self, scope: Scope, key: str) -> Property:
        row = await SQL["find"].row(self._db, **_of(scope), key=key)
        if row is None:
            raise NotFound("property", key)
        return _property(row)

    async def numbered(self, scope: Scope, number: PropertyNumber) -> Property | None:
        """Find a property by its number."""
        row = await SQL["numbered"].row(self._db, **_of(scope), number=number)
        return _property(row) if row else None

    async def keyed(self, scope: Scope, keys: Collection[str]) -> dict[str, Property]:
        """Those of some keys that are properties, by key."""
        rows = await SQL["keyed"].rows(self._db, **_of(scope), keys=list(keys))
        return {row["key"]: _property(row) for row in rows}

    async def existing(self, scope: Scope, numbers: Collection[int]) -> frozenset[int]:
        """Which of some numbers are those of properties."""
        rows = await SQL["existing"].rows(self._db, **_of(scope), numbers=list(numbers))
        return frozenset(row["number"] for row in rows)

    async def all(self, scope: Scope, kind: PropertyKind | None = None) -> tuple[Property, ...]:
        """The properties of a kind, or all, the first made first."""
        rows = await SQL["all"].rows(self._db, **_of(scope), kind=kind)
        return tuple(map(_property, rows))

    async def revise(
        self,
        scope: Scope,
        draft: PropertyDraft,
        value_type: ValueType,
        *,
        is_array: bool,
        actor: str,
    ) -> Property:
        """Change all of a property but its key; refuses a name that is taken."""
        await SQL["lock_changes"].rows(self._db, **_of(scope))
        await self.find(scope, draft.key)
        row = await SQL["revise"].row(
            self._db,
            **_of(scope),
            **_columns(draft),
            value_type=value_type,
            is_array=is_array,
            actor=actor,
        )
        if row is None:
            raise AlreadyExists(f"property {draft.key}: its name {draft.name} is taken")
        return _property(row)

    async def remove(self, scope: Scope, key: str) -> None:
        """Forget a property."""
        if await SQL["remove"].row(self._db, **_of(scope), key=key) is None:
            raise NotFound("property", key)


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _columns(draft: PropertyDraft) -> dict[str, Any]:
    return {
        "key": draft.key,
        "name": draft.name,
        "description": draft.description,
        "path": list(draft.path) if draft.path else None,
        "namespace": draft.namespace,
    }


def _property(row: Record) -> Property:
    return Property(
        number=PropertyNumber(row["number"]),
        kind=PropertyKind(row["kind"]),
        key=row["key"],
        name=row["name"],
        description=row["description"],
        path=tuple(row["path"]) if row["path"] else None,
        namespace=row["namespace"],
        value_type=ValueType(row["value_type"]),
        is_array=row["is_array"],
        created_by=row["created_by"],
        updated_by=row["updated_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
