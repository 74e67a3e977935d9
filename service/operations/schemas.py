"""What callers may ask about schemas, their identity descriptors and their unions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog import schema_documents
from catalog.audit import Action, ObjectKind
from catalog.errors import Conflict, Invalid, InvalidField, NotFound
from catalog.identities import Namespace
from catalog.organisations import Caller
from catalog.schemas import Descriptor, IdentityDescriptor, Kind, Path, Schema, field_at
from catalog.standard_schemas import Known
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.descriptors import DescriptorStore
from catalog.store.namespaces import NamespaceStore
from catalog.store.schemas import SchemaStore
from catalog.unions import Union, breaking_changes

Document = Mapping[str, Any]

#: Kinds of fields that hold one value, as an identity has to be.
_SCALARS = frozenset(Kind) - {
    Kind.OBJECT,
    Kind.ARRAY,
    Kind.MAP,
    Kind.IDENTITY_MAP,
    Kind.SEGMENT_MEMBERSHIP,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorDraft:
    """What a caller says of a field that holds an identity."""

    schema_id: str
    path: Path
    #: The namespace's code, or its number where ``is_by_number``.
    namespace: str
    is_by_number: bool
    is_primary: bool
    #: All of it as the caller wrote it.
    document: Document


class Schemas:
    """Register schemas, change them so that old rows still fit, and see what they add up to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, document: Document, *, by: Caller) -> Schema:
        """Register a schema; refuses a document that cannot be read as one."""
        async with self._database.transaction() as db:
            made = await SchemaStore(db).add(by.scope, document, actor=by.client_id)
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.SCHEMA, made.id)
            return made

    async def find(self, id: str, *, by: Caller) -> Schema:
        async with self._database.transaction() as db:
            return await SchemaStore(db).find(by.scope, id)

    async def list(self, *, by: Caller) -> tuple[Schema, ...]:
        async with self._database.transaction() as db:
            return await SchemaStore(db).all(by.scope)

    async def revise(
        self, id: str, change: Callable[[Document], Document], *, by: Caller
    ) -> Schema:
        """Change the document of a schema, by a pure function from the old one to the new.

        The class and the union tag stay. Once a schema is in use, by a data set or in the union,
        it refuses changes that rows of the old one, or jobs under way, would not survive: fields
        stay and only widen, none becomes required.
        """
        async with self._database.transaction() as db:
            schemas = SchemaStore(db)
            await schemas.begin(by.scope)
            old = await schemas.lock(by.scope, id)
            document = change(old.document)
            is_used = old.is_union or await schemas.is_used(by.scope, old.id)
            _must_be_compatible(old, document, await schemas.known(by.scope), is_used=is_used)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.SCHEMA, old.id)
            return await schemas.revise(by.scope, old.id, document)

    async def remove(self, id: str, *, by: Caller) -> None:
        """Forget a schema and its descriptors; refuses one that is in use."""
        async with self._database.transaction() as db:
            schemas = SchemaStore(db)
            await schemas.begin(by.scope)
            found = await schemas.lock(by.scope, id)
            if found.is_union:
                raise Conflict(f"schema {found.title!r} is in the union: this cannot be undone")
            if await schemas.is_used(by.scope, found.id):
                raise Conflict(f"schema {found.title!r} is that of a data set")
            await schemas.remove(by.scope, found.id)
            await AuditStore(db).note(by, Action.REMOVE, ObjectKind.SCHEMA, found.id)

    async def union(self, *, by: Caller) -> Union:
        """What profiles and their events look like now, by all schemas that take part."""
        async with self._database.transaction() as db:
            return await SchemaStore(db).union(by.scope)

    async def add_descriptor(self, draft: DescriptorDraft, *, by: Caller) -> Descriptor:
        """Say that a field holds an identity. A namespace nobody registered is registered now.

        Refuses a path that leads to no field or to one that is not a single value, and a
        second primary identity.
        """
        async with self._database.transaction() as db:
            schema = await _named_schema(db, draft.schema_id, by)
            field = field_at(schema.fields, draft.path)
            where = "/" + "/".join(draft.path)
            if field is None:
                raise InvalidField(
                    "xdm:sourceProperty", f"schema {schema.title!r} has no field {where}"
                )
            if field.kind not in _SCALARS:
                raise InvalidField(
                    "xdm:sourceProperty",
                    f"{where} is {field.kind}: an identity is a single value",
                )
            namespace = await _namespace_of(db, draft, by)
            identity = IdentityDescriptor(
                path=draft.path, namespace=namespace.code, is_primary=draft.is_primary
            )
            made = await DescriptorStore(db).add(
                by.scope, schema.id, identity, document=draft.document
            )
            await AuditStore(db).note(
                by, Action.CREATE, ObjectKind.DESCRIPTOR, made.id, schema=schema.id
            )
            return made

    async def keep_descriptor(
        self, schema_id: str, type: str, document: Document, *, by: Caller
    ) -> Descriptor:
        """Keep a descriptor that is not about an identity. Nothing depends on it."""
        async with self._database.transaction() as db:
            schema = await _named_schema(db, schema_id, by)
            made = await DescriptorStore(db).keep(by.scope, schema.id, type, document=document)
            await AuditStore(db).note(
                by, Action.CREATE, ObjectKind.DESCRIPTOR, made.id, schema=schema.id
            )
            return made

    async def remove_descriptor(self, id: str, *, by: Caller) -> None:
        """Forget a descriptor; refuses the identity of a schema that is in use.

        What was ingested by it stays linked, and rows to come would not be.
        """
        async with self._database.transaction() as db:
            schemas, descriptors = SchemaStore(db), DescriptorStore(db)
            found = await descriptors.find(by.scope, id)
            schema = await schemas.lock(by.scope, found.schema_id)
            is_used = schema.is_union or await schemas.is_used(by.scope, schema.id)
            if found.identity is not None and is_used:
                raise Conflict(f"schema {schema.title!r} is in use: its identities stay")
            await descriptors.remove(by.scope, id)
            await AuditStore(db).note(
                by, Action.REMOVE, ObjectKind.DESCRIPTOR, id, schema=schema.id
            )

    async def descriptors(self, *, by: Caller) -> tuple[Descriptor, ...]:
        async with self._database.transaction() as db:
            return await DescriptorStore(db).all(by.scope)

    async def find_descriptor(self, id: str, *, by: Caller) -> Descriptor:
        async with self._database.transaction() as db:
            return await DescriptorStore(db).find(by.scope, id)


async def _named_schema(db: Connection, id: str, by: Caller) -> Schema:
    """The schema a descriptor is about, held against change."""
    try:
        return await SchemaStore(db).lock(by.scope, id)
    except NotFound as missing:
        raise InvalidField("xdm:sourceSchema", str(missing)) from missing


async def _namespace_of(db: Connection, draft: DescriptorDraft, by: Caller) -> Namespace:
    namespaces = NamespaceStore(db)
    if draft.is_by_number:
        for namespace in await namespaces.registered(by.scope):
            if str(namespace.id) == draft.namespace:
                return namespace
        raise InvalidField("xdm:namespace", f"no namespace has the number {draft.namespace}")
    await namespaces.register_seen(by.scope, [draft.namespace])
    return await namespaces.find(by.scope, draft.namespace)


def _must_be_compatible(old: Schema, document: Document, others: Known, *, is_used: bool) -> None:
    if old.is_union and not schema_documents.is_union(document):
        raise InvalidField(
            "meta:immutableTags", f"schema {old.title!r} is in the union: this cannot be undone"
        )
    if schema_documents.class_of(document, others) != old.class_id:
        raise InvalidField("allOf", f"schema {old.title!r} is of class {old.class_id} for good")
    fields = schema_documents.fields_of(document, others)
    if is_used and (problem := next(breaking_changes(old.fields, fields), None)):
        raise Invalid(
            f"{problem}: rows of schema {old.title!r} that were accepted before would not fit"
        )
