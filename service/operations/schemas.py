"""What callers may ask about schemas, their identity descriptors and their unions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from catalog import schema_documents
from catalog.audit import Action, ObjectKind
from catalog.errors import Invalid, InvalidField, NotFound
from catalog.identities import Namespace
from catalog.organisations import Caller
from catalog.schemas import Descriptor, IdentityDescriptor, Kind, Path, Schema, field_at
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

        Refuses changes that rows of the old schema, or jobs under way, would not survive: the
        class and the union tag stay, fields stay and only widen, none becomes required.
        """
        async with self._database.transaction() as db:
            schemas = SchemaStore(db)
            old = await schemas.lock(by.scope, id)
            document = change(old.document)
            _must_be_compatible(old, document)
            await AuditStore(db).note(by, Action.CHANGE, ObjectKind.SCHEMA, old.id)
            return await schemas.revise(by.scope, old.id, document)

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
            schema = await _schema_of(db, draft, by)
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

    async def descriptors(self, *, by: Caller) -> tuple[Descriptor, ...]:
        async with self._database.transaction() as db:
            return await DescriptorStore(db).all(by.scope)

    async def find_descriptor(self, id: str, *, by: Caller) -> Descriptor:
        async with self._database.transaction() as db:
            return await DescriptorStore(db).find(by.scope, id)


async def _schema_of(db: Connection, draft: DescriptorDraft, by: Caller) -> Schema:
    try:
        return await SchemaStore(db).lock(by.scope, draft.schema_id)
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


def _must_be_compatible(old: Schema, document: Document) -> None:
    if old.is_union and not schema_documents.is_union(document):
        raise InvalidField(
            "meta:immutableTags", f"schema {old.title!r} is in the union: this cannot be undone"
        )
    if schema_documents.class_of(document) != old.class_id:
        raise InvalidField("allOf", f"schema {old.title!r} is of class {old.class_id} for good")
    fields = schema_documents.fields_of(document)
    if problem := next(breaking_changes(old.fields, fields), None):
        raise Invalid(
            f"{problem}: rows of schema {old.title!r} that were accepted before would not fit"
        )
