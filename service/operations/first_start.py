"""What a deployment must have before anybody can call it."""

from __future__ import annotations

from catalog.organisations import DEFAULT_SANDBOX, Client, OrganisationId
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore
from service.operations.tokens import secret_hash


class FirstStart:
    """Makes the first organisation, sandbox and client. Repeating it changes nothing."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def welcome(self, client: Client, secret: str, *, organisation_name: str) -> None:
        """See that this client can call the default sandbox of its organisation."""
        organisation_id = OrganisationId(client.organisation_id)
        async with self._database.transaction() as db:
            store = OrganisationStore(db)
            await store.found(organisation_id, name=organisation_name)
            await store.open_sandbox(
                organisation_id, DEFAULT_SANDBOX, title="Production", is_default=True
            )
            await store.enrol(client, secret_hash=secret_hash(secret))
