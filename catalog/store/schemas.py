"""Schemas in PostgreSQL, the unions they make, and the shape of a data set's rows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from catalog import schema_documents
from catalog.errors import NotFound
from catalog.identities import unlinked
from catalog.organisations import Scope
from catalog.schemas import (
    EVENT_CLASS,
    EVENT_UNION,
    PROFILE_CLASS,
    Field,
    RowShape,
    Schema,
    SchemaId,
    tenant_id,
)
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.descriptors import DescriptorStore
from catalog.store.namespaces import NamespaceStore
from catalog.unions import Union, union

SQL = queries.beside(__file__)


class SchemaStore:
    """Schemas, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, scope: Scope, document: Mapping[str, Any], *, actor: str) -> Schema:
        """Register a schema. Refuses a document that cannot be read, and a union that breaks."""
        tenant, serial = tenant_id(scope.organisation_id), secrets.token_hex(20)
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=f"https://ns.adobe.com/{tenant}/schemas/{serial}",
            alt_id=f"_{tenant}.schemas.{serial}",
            class_id=schema_documents.class_of(document),
            is_event=schema_documents.class_of(document) == EVENT_CLASS,
            actor=actor,
            **_read(document),
        )
        assert row is not None
        return await self._settled(scope, _schema(row))

    async def find(self, scope: Scope, id: str) -> Schema:
        """Find a schema by its id or its alternative id. Unions are no rows: see :meth:`union`."""
        return await self._one("find", scope, id)

    async def lock(self, scope: Scope, id: str) -> Schema:
        """Find a schema and hold it against change until the transaction ends."""
        return await self._one("lock", scope, id)

    async def hold(self, scope: Scope, id: str) -> Schema:
        """Find a schema that stays as it is until the transaction ends. Several may hold it."""
        return await self._one("hold", scope, id)

    async def is_used(self, scope: Scope, id: SchemaId) -> bool:
        """Whether a data set has this schema. Asked under :meth:`lock`, it stays so."""
        row = await SQL["is_used"].row(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id, id=id
        )
        return row is not None and bool(row["answer"])

    async def all(self, scope: Scope) -> tuple[Schema, ...]:
        """Every schema of a sandbox, the oldest first."""
        return await self._all(scope, only_unions=False)

    async def revise(self, scope: Scope, id: SchemaId, document: Mapping[str, Any]) -> Schema:
        """Give a schema a new document; refuses as :meth:`add` does.

        Whether rows of the old one still fit is for the caller to ask.
        """
        row = await SQL["revise"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=id,
            **_read(document),
        )
        if row is None:
            raise NotFound("schema", id)
        return await self._settled(scope, _schema(row))

    async def union(self, scope: Scope) -> Union:
        """What profiles and their events look like now, by every schema that takes part."""
        schemas = await self._all(scope, only_unions=True)
        records = [schema for schema in schemas if not schema.is_event]
        events = [schema for schema in schemas if schema.is_event]
        return Union(
            profile_fields=union(PROFILE_CLASS, records), event_fields=union(EVENT_CLASS, events)
        )

    async def row_shape(self, scope: Scope, dataset_id: str) -> RowShape:
        """What the rows of a data set look like, and which of their fields are identities."""
        row = await SQL["row_shape"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            dataset_id=dataset_id,
        )
        if row is None:
            raise NotFound("data set", dataset_id)
        schema_id = SchemaId(row["schema_id"])
        if row["class_id"] is None:
            class_id = EVENT_CLASS if schema_id == EVENT_UNION else PROFILE_CLASS
            both = await self.union(scope)
            fields = both.event_fields if class_id == EVENT_CLASS else both.profile_fields
        else:
            class_id, fields = row["class_id"], _fields(row)
        descriptors = await DescriptorStore(self._db).all(scope, schema_id)
        return RowShape(
            fields=fields,
            is_event=class_id == EVENT_CLASS,
            identities=tuple(one.identity for one in descriptors),
            unlinked_namespaces=unlinked(await NamespaceStore(self._db).registered(scope)),
        )

    async def _one(self, query: str, scope: Scope, id: str) -> Schema:
        row = await SQL[query].row(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id, id=id
        )
        if row is None:
            raise NotFound("schema", id)
        return _schema(row)

    async def _settled(self, scope: Scope, schema: Schema) -> Schema:
        """Refuse a schema that makes its union impossible; the transaction undoes its row."""
        if schema.is_union:
            await SQL["lock_unions"].rows(self._db, sandbox_id=scope.sandbox_id)
            await self.union(scope)
        return schema

    async def _all(self, scope: Scope, *, only_unions: bool) -> tuple[Schema, ...]:
        rows = await SQL["all"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            only_unions=only_unions,
        )
        return tuple(map(_schema, rows))


def _read(document: Mapping[str, Any]) -> dict[str, Any]:
    """The columns that follow from a document."""
    return {
        "title": schema_documents.title_of(document),
        "document": dict(document),
        "fields": [field.to_json() for field in schema_documents.fields_of(document)],
        "is_union": schema_documents.is_union(document),
    }


def _fields(row: Record) -> tuple[Field, ...]:
    return tuple(Field.from_json(field) for field in row["fields"])


def _schema(row: Record) -> Schema:
    return Schema(
        id=SchemaId(row["id"]),
        alt_id=row["alt_id"],
        class_id=row["class_id"],
        title=row["title"],
        document=row["document"],
        fields=_fields(row),
        is_union=row["is_union"],
        version=row["version"],
        created_by=row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
