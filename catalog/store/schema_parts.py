"""Classes, field groups and data types in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from catalog.errors import NotFound
from catalog.organisations import Scope
from catalog.schema_documents import title_of
from catalog.schema_parts import PartId, PartKind, SchemaPart
from catalog.schemas import tenant_id
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

#: How people call a part of a kind.
NOUNS = {
    PartKind.CLASS: "class",
    PartKind.FIELD_GROUP: "field group",
    PartKind.DATA_TYPE: "data type",
}


class SchemaPartStore:
    """The parts schemas are composed of, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self, scope: Scope, kind: PartKind, document: Mapping[str, Any], *, actor: str
    ) -> SchemaPart:
        """Register a part that was checked."""
        tenant, serial = tenant_id(scope.organisation_id), secrets.token_hex(20)
        row = await SQL["add"].row(
            self._db,
            **_of(scope),
            id=f"https://ns.adobe.com/{tenant}/{kind}/{serial}",
            alt_id=f"_{tenant}.{kind}.{serial}",
            kind=kind,
            title=title_of(document),
            document=dict(document),
            actor=actor,
        )
        assert row is not None
        return _part(row)

    async def find(self, scope: Scope, kind: PartKind, id: str) -> SchemaPart:
        """Find a part by its id or its alternative id."""
        row = await SQL["find"].row(self._db, **_of(scope), kind=kind, id=id)
        if row is None:
            raise NotFound(NOUNS[kind], id)
        return _part(row)

    async def all(self, scope: Scope, kind: PartKind | None = None) -> tuple[SchemaPart, ...]:
        """The parts of a kind, or all, the oldest first."""
        rows = await SQL["all"].rows(self._db, **_of(scope), kind=kind)
        return tuple(map(_part, rows))

    async def revise(self, scope: Scope, id: PartId, document: Mapping[str, Any]) -> SchemaPart:
        """Give a part a new document that was checked, with all that is composed of it."""
        row = await SQL["revise"].row(
            self._db, **_of(scope), id=id, title=title_of(document), document=dict(document)
        )
        if row is None:
            raise NotFound("part of schemas", id)
        return _part(row)

    async def remove(self, scope: Scope, id: PartId) -> None:
        """Forget a part that nothing is composed of."""
        if await SQL["remove"].row(self._db, **_of(scope), id=id) is None:
            raise NotFound("part of schemas", id)


def _of(scope: Scope) -> dict[str, Any]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}


def _part(row: Record) -> SchemaPart:
    return SchemaPart(
        id=PartId(row["id"]),
        alt_id=row["alt_id"],
        kind=PartKind(row["kind"]),
        title=row["title"],
        document=row["document"],
        version=row["version"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
