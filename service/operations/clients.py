"""Whom an operator lets call: credentials with the scopes they carry."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from catalog.access import ALL, Access
from catalog.audit import Action, ObjectKind
from catalog.organisations import Caller, Client, ClientId, OrganisationId
from catalog.store.audit import AuditStore
from catalog.store.database import Connection, Database
from catalog.store.organisations import EnrolledClient, OrganisationStore
from service.operations.tokens import new_secret, secret_hash


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A client as others of its organisation may see it."""

    id: ClientId
    name: str
    scopes: frozenset[Access]
    joined_at: datetime


class Clients:
    """The clients of an organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, client: Client, *, by: ClientId) -> str:
        """Make a client; return its secret, of which only a hash is kept."""
        secret = new_secret()
        async with self._database.transaction() as db:
            await OrganisationStore(db).enrol(client, secret_hash=secret_hash(secret))
            caller = await _operator(db, client.organisation_id, by)
            await AuditStore(db).note(
                caller,
                Action.CREATE,
                ObjectKind.CLIENT,
                client.id,
                name=client.name,
                scopes=sorted(client.scopes),
            )
        return secret

    async def list(self, organisation_id: OrganisationId) -> list[EnrolledClient]:
        """Every client, the first made first."""
        async with self._database.transaction() as db:
            return await OrganisationStore(db).clients(organisation_id)

    async def names(self, ids: Collection[str], *, by: Caller) -> dict[str, str]:
        """What some clients of a caller's organisation are called; without a row, by their ids."""
        async with self._database.transaction() as db:
            known = await OrganisationStore(db).client_names(by.scope.organisation_id, ids)
        return {id: known.get(id, id) for id in ids}

    async def members(self, *, by: Caller) -> tuple[Member, ...]:
        """The clients of a caller's organisation that are not shut out, the first made first."""
        return tuple(
            Member(
                id=each.client.id,
                name=each.client.name,
                scopes=each.client.scopes,
                joined_at=each.created_at,
            )
            for each in await self.list(by.scope.organisation_id)
            if each.disabled_at is None
        )

    async def disable(self, organisation_id: OrganisationId, id: ClientId, *, by: ClientId) -> None:
        """Shut a client out, within seconds; refuses with NotFound."""
        async with self._database.transaction() as db:
            await OrganisationStore(db).disable(organisation_id, id)
            caller = await _operator(db, organisation_id, by)
            await AuditStore(db).note(caller, Action.REMOVE, ObjectKind.CLIENT, id)


async def _operator(db: Connection, organisation_id: OrganisationId, by: ClientId) -> Caller:
    """Whoever gives the commands, as the audit log knows callers.

    Clients are the whole organisation's: it is told of them in its default sandbox.
    """
    sandbox = await OrganisationStore(db).default_sandbox(organisation_id)
    return Caller(client_id=by, scope=sandbox.scope, request_id=uuid4().hex, may=ALL)
