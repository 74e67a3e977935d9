"""Whom an operator lets call: credentials with the scopes they carry."""

from __future__ import annotations

from catalog.organisations import Client, ClientId, OrganisationId
from catalog.store.database import Database
from catalog.store.organisations import EnrolledClient, OrganisationStore
from service.operations.tokens import new_secret, secret_hash


class Clients:
    """The clients of an organisation."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, client: Client) -> str:
        """Make a client; return its secret, of which only a hash is kept."""
        secret = new_secret()
        async with self._database.transaction() as db:
            await OrganisationStore(db).enrol(client, secret_hash=secret_hash(secret))
        return secret

    async def list(self, organisation_id: OrganisationId) -> list[EnrolledClient]:
        """Every client, the first made first."""
        async with self._database.transaction() as db:
            return await OrganisationStore(db).clients(organisation_id)

    async def disable(self, organisation_id: OrganisationId, id: ClientId) -> None:
        """Shut a client out, within seconds; refuses with NotFound."""
        async with self._database.transaction() as db:
            await OrganisationStore(db).disable(organisation_id, id)
