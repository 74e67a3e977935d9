"""Schemas in PostgreSQL, the unions they make, and the shape of a data set's rows."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from catalog import schema_documents
from catalog.errors import NotFound
from catalog.identities import unlinked
from catalog.organisations import Scope
from catalog.schema_parts import known
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
from catalog.standard_schemas import Known
from catalog.store import queries
from catalog.store.database import Connection, Record
from catalog.store.descriptors import DescriptorStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schema_parts import SchemaPartStore
from catalog.unions import Union, union

SQL = queries.beside(__file__)


class SchemaStore:
    """Schemas, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def begin(self, scope: Scope) -> None:
        """Keep others from changing schemas, and what they are composed of, until the end.

        To be asked before anything that a change depends on is read: two schemas that disagree
        with each other must not join their union at the same time.
        """
        await SQL["begin"].rows(self._db, sandbox_id=scope.sandbox_id)

    async def known(self, scope: Scope) -> Known:
        """All that schemas may refer to here."""
        return known(await SchemaPartStore(self._db).all(scope))

    async def add(self, scope: Scope, document: Mapping[str, Any], *, actor: str) -> Schema:
        """Register a schema. Refuses a document that cannot be read, and a union that breaks."""
        await self.begin(scope)
        others = await self.known(scope)
        tenant, serial = tenant_id(scope.organisation_id), secrets.token_hex(20)
        class_id = schema_documents.class_of(document, others)
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=f"https://ns.adobe.com/{tenant}/schemas/{serial}",
            alt_id=f"_{tenant}.schemas.{serial}",
            class_id=class_id,
            is_event=schema_documents.is_of_events(class_id, others),
            actor=actor,
            **_read(document, others),
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

        Whether rows of the old one still fit is for the caller to ask. Also how a schema takes
        on what has changed of its parts: with the document it has.
        """
        row = await SQL["revise"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=id,
            **_read(document, await self.known(scope)),
        )
        if row is None:
            raise NotFound("schema", id)
        return await self._settled(scope, _schema(row))

    async def remove(self, scope: Scope, id: SchemaId) -> None:
        """Forget a schema that nothing uses, and its descriptors."""
        row = await SQL["remove"].row(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id, id=id
        )
        if row is None:
            raise NotFound("schema", id)

    async def union(self, scope: Scope) -> Union:
        """What profiles and their events look like now, by every schema that takes part."""
        schemas = await self._all(scope, only_unions=True)
        records = [schema for schema in schemas if schema.class_id == PROFILE_CLASS]
        events = [schema for schema in schemas if schema.class_id == EVENT_CLASS]
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
        if row["is_event"] is None:
            is_event = schema_id == EVENT_UNION
            both = await self.union(scope)
            fields = both.event_fields if is_event else both.profile_fields
        else:
            is_event, fields = row["is_event"], _fields(row)
        return RowShape(
            fields=fields,
            is_event=is_event,
            identities=await DescriptorStore(self._db).identities(scope, schema_id),
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
        if schema.is_union and schema.is_about_people:
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


def _read(document: Mapping[str, Any], others: Known) -> dict[str, Any]:
    """The columns that follow from a document, and from what it refers to."""
    return {
        "title": schema_documents.title_of(document),
        "document": dict(document),
        "fields": [field.to_json() for field in schema_documents.fields_of(document, others)],
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
        is_event=row["is_event"],
    )
