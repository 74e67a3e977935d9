"""Organisations, sandboxes and clients as PostgreSQL keeps them."""

from __future__ import annotations

from catalog.errors import AlreadyExists, InvalidKey, NotFound
from catalog.organisations import Client, ClientId, OrganisationId, Sandbox
from catalog.store.database import Connection, Record
from catalog.store.queries import beside

SQL = beside(__file__)


class OrganisationStore:
    """Who may call, and where they may look. The one store that is not asked within a scope."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def found(self, id: OrganisationId, *, name: str) -> None:
        """Make an organisation, unless it exists."""
        await SQL["found"].rows(self._db, id=id, name=name)

    async def open_sandbox(
        self,
        organisation_id: OrganisationId,
        name: str,
        *,
        title: str,
        kind: str = "production",
        is_default: bool = False,
    ) -> Sandbox:
        """Make a sandbox, or return the one that has the name."""
        await SQL["open_sandbox"].rows(
            self._db,
            organisation_id=organisation_id,
            name=name,
            title=title,
            kind=kind,
            is_default=is_default,
        )
        return await self.sandbox(organisation_id, name)

    async def sandbox(self, organisation_id: OrganisationId, name: str) -> Sandbox:
        """Find a sandbox by name; refuses with NotFound."""
        row = await SQL["find_sandbox"].row(self._db, organisation_id=organisation_id, name=name)
        if row is None:
            raise NotFound("sandbox", name)
        return _sandbox(row)

    async def sandboxes(self, organisation_id: OrganisationId) -> list[Sandbox]:
        """Every sandbox of an organisation, the default first."""
        rows = await SQL["list_sandboxes"].rows(self._db, organisation_id=organisation_id)
        return [_sandbox(row) for row in rows]

    async def enrol(self, client: Client, *, secret_hash: bytes) -> None:
        """Make a client, or give the one there is this secret.

        Refuses with AlreadyExists when another organisation's client has the id.
        """
        row = await SQL["enrol"].row(
            self._db,
            id=client.id,
            organisation_id=client.organisation_id,
            name=client.name,
            secret_hash=secret_hash,
            scopes=sorted(client.scopes),
        )
        if row is None:
            raise AlreadyExists(f"client {client.id} belongs to another organisation")

    async def client(self, id: ClientId) -> tuple[Client, bytes]:
        """Find a client and the hash of its secret; refuses with InvalidKey."""
        row = await SQL["find_client"].row(self._db, id=id)
        if row is None:
            raise InvalidKey(f"no client {id}")
        return _client(row), row["secret_hash"]

    async def is_disabled(self, id: ClientId) -> bool:
        """Whether the client is known and was shut out; unknown clients are not."""
        row = await SQL["is_disabled"].row(self._db, id=id)
        return row is not None and bool(row["answer"])


def _sandbox(row: Record) -> Sandbox:
    return Sandbox(**row)


def _client(row: Record) -> Client:
    return Client(
        id=row["id"],
        organisation_id=row["organisation_id"],
        name=row["name"],
        scopes=frozenset(row["scopes"]),
    )
