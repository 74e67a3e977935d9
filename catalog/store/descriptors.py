"""Descriptors of schemas in PostgreSQL."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from catalog.errors import Conflict, NotFound
from catalog.organisations import Scope
from catalog.schemas import Descriptor, IdentityDescriptor, SchemaId
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

#: The type of descriptors that name an identity.
IDENTITY = "xdm:descriptorIdentity"


class DescriptorStore:
    """What is said of schemas besides their documents, inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self,
        scope: Scope,
        schema_id: SchemaId,
        identity: IdentityDescriptor,
        *,
        document: Mapping[str, Any],
    ) -> Descriptor:
        """Say that a field of a schema holds an identity.

        Refuses with Conflict a second one for the same field, and a second primary one for
        the same schema.
        """
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=secrets.token_hex(20),
            schema_id=schema_id,
            type=IDENTITY,
            path=list(identity.path),
            namespace=identity.namespace,
            is_primary=identity.is_primary,
            document=dict(document),
        )
        if row is None:
            raise await self._conflict(scope, schema_id, identity)
        return _descriptor(row)

    async def keep(
        self, scope: Scope, schema_id: SchemaId, type: str, *, document: Mapping[str, Any]
    ) -> Descriptor:
        """Keep a descriptor of another type, without effect."""
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=secrets.token_hex(20),
            schema_id=schema_id,
            type=type,
            path=None,
            namespace=None,
            is_primary=False,
            document=dict(document),
        )
        assert row is not None
        return _descriptor(row)

    async def identities(self, scope: Scope, schema_id: SchemaId) -> tuple[IdentityDescriptor, ...]:
        """The fields of a schema that hold identities, in the order they were added."""
        found = await self.all(scope, schema_id)
        return tuple(each.identity for each in found if each.identity is not None)

    async def all(self, scope: Scope, schema_id: SchemaId | None = None) -> tuple[Descriptor, ...]:
        """The descriptors of a schema, or of every schema, in the order they were added."""
        rows = await SQL["all"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_id=schema_id,
        )
        return tuple(map(_descriptor, rows))

    async def find(self, scope: Scope, id: str) -> Descriptor:
        row = await SQL["find"].row(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id, id=id
        )
        if row is None:
            raise NotFound("descriptor", id)
        return _descriptor(row)

    async def remove(self, scope: Scope, id: str) -> None:
        row = await SQL["remove"].row(
            self._db, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id, id=id
        )
        if row is None:
            raise NotFound("descriptor", id)

    async def _conflict(
        self, scope: Scope, schema_id: SchemaId, identity: IdentityDescriptor
    ) -> Conflict:
        for other in await self.identities(scope, schema_id):
            where = "/".join(("", *other.path))
            if other.path == identity.path:
                return Conflict(
                    f"{where} of schema {schema_id} is already an identity of namespace "
                    f"{other.namespace}"
                )
            if other.is_primary and identity.is_primary:
                return Conflict(
                    f"schema {schema_id} already has a primary identity, {where}: a schema has one"
                )
        return Conflict(f"schema {schema_id} was changed by someone else: ask again")


def _descriptor(row: Record) -> Descriptor:
    return Descriptor(
        id=row["id"],
        schema_id=SchemaId(row["schema_id"]),
        type=row["type"],
        identity=IdentityDescriptor(
            path=tuple(row["path"]), namespace=row["namespace"], is_primary=row["is_primary"]
        )
        if row["type"] == IDENTITY
        else None,
        document=row["document"],
        created_at=row["created_at"],
    )
