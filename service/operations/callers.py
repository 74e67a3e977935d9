"""Who is calling, and where they may look."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import timedelta

from catalog.errors import InvalidKey, MissingKey, NotEntitled
from catalog.organisations import Caller, ClientId, OrganisationId, Scope
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore
from service.operations.issuers import Claims, Issuer
from service.operations.remembered import Remembered

#: A token that was verified is not verified again until it expires, but for the key it was
#: signed with to be withdrawn it must be within the hour; ten minutes also bounds the work to
#: 0.2 % of that of verifying each call at one call a second.
_TOKENS_LAST = timedelta(minutes=10)

#: How long a disabled client may go on. Saves three queries on every call of a busy one.
_SCOPES_LAST = timedelta(seconds=5)

#: About 300 bytes each: some 3 MB when as many clients call at once.
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a request says of its sender, not yet believed."""

    token: str = field(repr=False)
    #: The client's id once more: a token that leaked into a log is no use without knowing it.
    key: str | None
    organisation_id: OrganisationId
    sandbox_name: str


class Callers:
    """Tells who is calling from what their request says."""

    def __init__(self, database: Database, issuer: Issuer) -> None:
        self._database = database
        self._issuer = issuer
        self._claims: Remembered[bytes, Claims] = Remembered(most=_MOST_REMEMBERED)
        self._scopes: Remembered[tuple[Claims, OrganisationId, str], Scope] = Remembered(
            most=_MOST_REMEMBERED
        )

    async def identify(self, said: Credentials, *, request_id: str) -> Caller:
        """Return the caller, or refuse.

        In this order: InvalidToken, MissingKey, InvalidKey, NotEntitled, and NotFound for a
        sandbox the organisation does not have.
        """
        claims = await self._verify(said.token)
        if said.key is None:
            raise MissingKey("the request carries no API key")
        if said.key != claims.client_id:
            raise InvalidKey("the API key is not that of the token's client")
        scope = await self._scope(claims, said.organisation_id, said.sandbox_name)
        return Caller(client_id=claims.client_id, scope=scope, request_id=request_id)

    async def _verify(self, token: str) -> Claims:
        """Check the token, once in a while: signatures are the dearest part of a small call."""
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._claims.get(digest)
        if claims is None:
            claims = await self._issuer.verify(token)
            self._claims.keep(digest, claims, lasts=min(claims.lasts, _TOKENS_LAST))
        return claims

    async def _scope(
        self, claims: Claims, organisation_id: OrganisationId, sandbox_name: str
    ) -> Scope:
        asked = (claims, organisation_id, sandbox_name)
        scope = self._scopes.get(asked)
        if scope is not None:
            return scope
        async with self._database.transaction() as db:
            store = OrganisationStore(db)
            if await _organisation(store, claims) != organisation_id:
                raise NotEntitled(
                    f"client {claims.client_id} does not belong to organisation {organisation_id}"
                )
            sandbox = await store.sandbox(organisation_id, sandbox_name)
        scope = Scope(
            organisation_id=organisation_id, sandbox_id=sandbox.id, sandbox_name=sandbox.name
        )
        self._scopes.keep(asked, scope, lasts=_SCOPES_LAST)
        return scope


async def _organisation(store: OrganisationStore, claims: Claims) -> OrganisationId:
    """The organisation a client belongs to: as its issuer says, or else as our rows do.

    Clients of an external issuer need no row of ours, but a row that was disabled shuts them out.
    """
    client_id = ClientId(claims.client_id)
    if claims.organisation_id is None:
        client, _ = await store.client(client_id)
        return client.organisation_id
    if await store.is_disabled(client_id):
        raise InvalidKey(f"client {client_id} is disabled")
    return claims.organisation_id
