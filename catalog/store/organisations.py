"""Organisations, sandboxes and clients as PostgreSQL keeps them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from catalog.access import Access
from catalog.errors import AlreadyExists, InvalidKey, NotFound
from catalog.organisations import Client, ClientId, OrganisationId, Sandbox, SandboxId, Scope
from catalog.store.database import Connection, Record
from catalog.store.queries import beside

SQL = beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What our rows say of a caller who named a client, an organisation and a sandbox."""

    #: None when the client has no row, as those of an external issuer need none.
    client_organisation_id: OrganisationId | None
    scopes: frozenset[Access]
    is_disabled: bool
    #: None when the organisation has no sandbox of that name.
    sandbox_id: SandboxId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledClient:
    """A client as operators list it."""

    client: Client
    created_at: datetime
    disabled_at: datetime | None


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

    async def sandbox_numbered(
        self, organisation_id: OrganisationId, number: int
    ) -> Sandbox | None:
        """The sandbox of an organisation that has a number."""
        return await self._sandbox_by("sandbox_numbered", organisation_id, number)

    async def sandbox_of_space(
        self, organisation_id: OrganisationId, number: int
    ) -> Sandbox | None:
        """The sandbox of an organisation that has the space of a number."""
        return await self._sandbox_by("sandbox_of_space", organisation_id, number)

    async def sandbox_of_job(self, organisation_id: OrganisationId, number: int) -> Sandbox | None:
        """The sandbox of an organisation that has the job of a number."""
        return await self._sandbox_by("sandbox_of_job", organisation_id, number)

    async def default_sandbox(self, organisation_id: OrganisationId) -> Sandbox:
        """The sandbox that an organisation's callers mean who name none; refuses with NotFound."""
        sandboxes = await self.sandboxes(organisation_id)
        if not sandboxes or not sandboxes[0].is_default:
            raise NotFound("default sandbox of organisation", organisation_id)
        return sandboxes[0]

    async def retitle(self, scope: Scope, title: str) -> Sandbox:
        """Give a sandbox another title."""
        row = await SQL["retitle"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            title=title,
        )
        if row is None:
            raise NotFound("sandbox", scope.sandbox_name)
        return _sandbox(row)

    async def _sandbox_by(
        self, query: str, organisation_id: OrganisationId, number: int
    ) -> Sandbox | None:
        row = await SQL[query].row(self._db, organisation_id=organisation_id, number=number)
        return _sandbox(row) if row else None

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

    async def client_by_secret(self, secret_hash: bytes) -> Client:
        """Find the client that has a secret; refuses with InvalidKey."""
        row = await SQL["client_by_secret"].row(self._db, secret_hash=secret_hash)
        if row is None:
            raise InvalidKey("no client has this secret")
        return _client(row)

    async def client_names(
        self, organisation_id: OrganisationId, ids: Iterable[str]
    ) -> dict[str, str]:
        """What those of some clients are called that have a row, by id."""
        rows = await SQL["client_names"].rows(
            self._db, organisation_id=organisation_id, ids=list(ids)
        )
        return {row["id"]: row["name"] for row in rows}

    async def standing(
        self, client_id: ClientId, organisation_id: OrganisationId, sandbox_name: str
    ) -> Standing:
        """What there is to know of a caller, in one look. Missing things are None."""
        row = await SQL["standing"].row(
            self._db,
            client_id=client_id,
            organisation_id=organisation_id,
            sandbox_name=sandbox_name,
        )
        assert row is not None
        return Standing(
            client_organisation_id=row["client_organisation_id"],
            scopes=_scopes(row["scopes"] or ()),
            is_disabled=row["is_disabled"],
            sandbox_id=row["sandbox_id"],
        )

    async def clients(self, organisation_id: OrganisationId) -> list[EnrolledClient]:
        """Every client of an organisation, the first made first."""
        rows = await SQL["clients_of"].rows(self._db, organisation_id=organisation_id)
        return [
            EnrolledClient(
                client=_client(row), created_at=row["created_at"], disabled_at=row["disabled_at"]
            )
            for row in rows
        ]

    async def disable(self, organisation_id: OrganisationId, id: ClientId) -> None:
        """Shut a client out; refuses with NotFound. Shutting out twice is fine."""
        if await SQL["disable"].row(self._db, id=id, organisation_id=organisation_id) is None:
            raise NotFound("client", id)


def _sandbox(row: Record) -> Sandbox:
    return Sandbox(**row)


def _client(row: Record) -> Client:
    return Client(
        id=row["id"],
        organisation_id=row["organisation_id"],
        name=row["name"],
        scopes=_scopes(row["scopes"]),
    )


def _scopes(words: Iterable[str]) -> frozenset[Access]:
    """Those of a row that this release knows: a newer one may have written it."""
    return frozenset(each for each in Access if each in words)
