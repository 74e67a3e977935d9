"""What callers may ask about classes, field groups and data types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from catalog.audit import Action, ObjectKind
from catalog.errors import Conflict, Invalid
from catalog.organisations import Caller, Scope
from catalog.schema_documents import all_references, fields_of, is_of_events
from catalog.schema_parts import PartId, PartKind, SchemaPart, check, known
from catalog.schemas import Field, Schema
from catalog.standard_schemas import STANDARD, Document, Known
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.schema_parts import NOUNS, SchemaPartStore
from catalog.store.schemas import SchemaStore
from catalog.unions import breaking_changes

_LONG_AGO = datetime.fromtimestamp(0, UTC)


class SchemaParts:
    """Register parts of schemas, and change them so that what is composed of them still stands."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, kind: PartKind, document: Document, *, by: Caller) -> SchemaPart:
        """Register a part; refuses a document that cannot be read as one."""
        async with self._database.transaction() as db:
            schemas = SchemaStore(db)
            await schemas.begin(by.scope)
            check(kind, document, await schemas.known(by.scope))
            made = await SchemaPartStore(db).add(by.scope, kind, document, actor=by.client_id)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.SCHEMA, made.id)
            return made

    async def find(
        self, kind: PartKind, id: str, *, by: Caller
    ) -> tuple[SchemaPart, tuple[Field, ...]]:
        """A part, and the fields it brings with everything it refers to. Also a standard one."""
        async with self._database.transaction() as db:
            parts = SchemaPartStore(db)
            others = known(await parts.all(by.scope))
            if STANDARD.get(id, {}).get("meta:resourceType") == kind:
                found = _standard(STANDARD[id])
            else:
                found = await parts.find(by.scope, kind, id)
            return found, check(kind, found.document, others)

    async def list(self, kind: PartKind, *, by: Caller) -> tuple[SchemaPart, ...]:
        """The parts callers registered, the oldest first."""
        async with self._database.transaction() as db:
            return await SchemaPartStore(db).all(by.scope, kind)

    async def revise(
        self, kind: PartKind, id: str, change: Callable[[Document], Document], *, by: Caller
    ) -> SchemaPart:
        """Change a part, and with it every schema that is composed of it.

        Refuses what would no longer let one of those be read, and what rows of one that is in
        use would not survive, each by the schema's name.
        """
        async with self._database.transaction() as db:
            schemas, parts = SchemaStore(db), SchemaPartStore(db)
            await schemas.begin(by.scope)
            old = await parts.find(by.scope, kind, id)
            before = await schemas.known(by.scope)
            document = change(old.document)
            after = _with(before, old, document)
            check(kind, document, after)
            for part in await parts.all(by.scope):
                if old.id in all_references(part.document, before):
                    check(part.kind, part.document, after)
            composed = await _composed(schemas, by.scope, old.id, before)
            for schema in composed:
                await _must_survive(db, schema, before, after, by.scope)
            revised = await parts.revise(by.scope, old.id, document)
            for schema in composed:
                if fields_of(schema.document, after) != schema.fields:
                    await schemas.revise(by.scope, schema.id, schema.document)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.SCHEMA, old.id)
            return revised

    async def remove(self, kind: PartKind, id: str, *, by: Caller) -> None:
        """Forget a part; refuses one that something is composed of, by its name."""
        async with self._database.transaction() as db:
            schemas, parts = SchemaStore(db), SchemaPartStore(db)
            await schemas.begin(by.scope)
            found = await parts.find(by.scope, kind, id)
            others = await schemas.known(by.scope)
            users = [
                f"{NOUNS[part.kind]} {part.title!r}"
                for part in await parts.all(by.scope)
                if found.id in all_references(part.document, others)
            ]
            composed = await _composed(schemas, by.scope, found.id, others)
            users += [f"schema {schema.title!r}" for schema in composed]
            if users:
                raise Conflict(f"{NOUNS[kind]} {found.title!r} is used by {users[0]}")
            await parts.remove(by.scope, found.id)
            await AuditStore(db).note(by, Action.REMOVE, ObjectKind.SCHEMA, found.id)


def _standard(document: Document) -> SchemaPart:
    """A part that comes with the service."""
    return SchemaPart(
        id=PartId(document["$id"]),
        alt_id="_xdm." + ".".join(document["$id"].split("/")[-2:]),
        kind=PartKind(document["meta:resourceType"]),
        title=document["title"],
        document=document,
        version=1,
        created_by="profile-exports",
        created_at=_LONG_AGO,
        updated_at=_LONG_AGO,
    )


def _with(others: Known, part: SchemaPart, document: Mapping[str, Any]) -> Known:
    new = {**document, "$id": part.id, "meta:resourceType": part.kind.value}
    return {**others, part.id: new, part.alt_id: new}


async def _composed(
    schemas: SchemaStore, scope: Scope, id: PartId, others: Known
) -> tuple[Schema, ...]:
    """The schemas that refer to a part, themselves or by way of other parts."""
    return tuple(
        schema
        for schema in await schemas.all(scope)
        if id in all_references(schema.document, others)
    )


async def _must_survive(
    db: Connection, schema: Schema, before: Known, after: Known, scope: Scope
) -> None:
    if is_of_events(schema.class_id, before) is not is_of_events(schema.class_id, after):
        raise Invalid(f"schema {schema.title!r} is of a class that keeps what it is built on")
    fields = fields_of(schema.document, after)
    locked = await SchemaStore(db).lock(scope, schema.id)
    if not locked.is_union and not await SchemaStore(db).is_used(scope, schema.id):
        return
    if problem := next(breaking_changes(schema.fields, fields), None):
        raise Invalid(f"{problem}: rows of schema {schema.title!r}, which is in use, would not fit")
