"""Identity descriptors in PostgreSQL."""

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


class DescriptorStore:
    """Which fields of which schemas hold identities, inside one transaction."""

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
        """Add a descriptor to a schema that exists.

        Refuses with Conflict a second one for the same field, and a second primary one for
        the same schema.
        """
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=secrets.token_hex(20),
            schema_id=schema_id,
            path=list(identity.path),
            namespace=identity.namespace,
            is_primary=identity.is_primary,
            document=dict(document),
        )
        if row is None:
            raise await self._conflict(scope, schema_id, identity)
        return _descriptor(row)

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

    async def _conflict(
        self, scope: Scope, schema_id: SchemaId, identity: IdentityDescriptor
    ) -> Conflict:
        for other in await self.all(scope, schema_id):
            where = "/".join(("", *other.identity.path))
            if other.identity.path == identity.path:
                return Conflict(
                    f"{where} of schema {schema_id} is already an identity of namespace "
                    f"{other.identity.namespace}"
                )
            if other.identity.is_primary and identity.is_primary:
                return Conflict(
                    f"schema {schema_id} already has a primary identity, {where}: a schema has one"
                )
        return Conflict(f"schema {schema_id} was changed by someone else: ask again")


def _descriptor(row: Record) -> Descriptor:
    return Descriptor(
        id=row["id"],
        schema_id=SchemaId(row["schema_id"]),
        identity=IdentityDescriptor(
            path=tuple(row["path"]), namespace=row["namespace"], is_primary=row["is_primary"]
        ),
        document=row["document"],
        created_at=row["created_at"],
    )
