"""Who is calling, and where they may look."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta

from catalog.access import ALL, Access
from catalog.errors import InvalidKey, MissingKey, NotEntitled, NotFound
from catalog.organisations import Caller, OrganisationId, SandboxId, Scope
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore, Standing
from service.operations.issuers import Claims, Issuer
from service.operations.rates import Rates
from service.operations.remembered import Remembered

#: A token that was verified is not verified again until it expires, but for the key it was
#: signed with to be withdrawn it must be within the hour; ten minutes also bounds the work to
#: 0.2 % of that of verifying each call at one call a second.
_TOKENS_LAST = timedelta(minutes=10)

#: How long a client that was disabled, or lost a scope, may go on. Saves a query on every call of
#: a busy one.
_CALLERS_LAST = timedelta(seconds=5)

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


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of a caller."""

    scope: Scope
    may: frozenset[Access]


class Callers:
    """Tells who is calling from what their request says."""

    def __init__(self, database: Database, issuer: Issuer, rates: Rates) -> None:
        self._database = database
        self._issuer = issuer
        self._rates = rates
        self._claims: Remembered[bytes, Claims] = Remembered(most=_MOST_REMEMBERED)
        self._known: Remembered[tuple[Claims, OrganisationId, str], _Known] = Remembered(
            most=_MOST_REMEMBERED
        )

    async def identify(self, said: Credentials, *, request_id: str) -> Caller:
        """Return the caller, or refuse.

        In this order: InvalidToken, MissingKey, InvalidKey, TooManyCalls, NotEntitled, and
        NotFound for a sandbox the organisation does not have.
        """
        claims = await self.verify(said.token)
        if said.key is None:
            raise MissingKey("the request carries no API key")
        if not hmac.compare_digest(said.key.encode(), claims.client_id.encode()):
            raise InvalidKey("the API key is not that of the token's client")
        self._rates.take(claims.client_id)
        known = await self._look_up(claims, said.organisation_id, said.sandbox_name)
        return Caller(
            client_id=claims.client_id, scope=known.scope, request_id=request_id, may=known.may
        )

    async def verify(self, token: str) -> Claims:
        """Say what a token says; refuses with InvalidToken.

        It is checked once in a while: signatures are the dearest part of a small call.
        """
        digest = hashlib.sha256(token.encode()).digest()
        claims = self._claims.get(digest)
        if claims is None:
            claims = await self._issuer.verify(token)
            self._claims.keep(digest, claims, lasts=min(claims.lasts, _TOKENS_LAST))
        return claims

    async def _look_up(
        self, claims: Claims, organisation_id: OrganisationId, sandbox_name: str
    ) -> _Known:
        asked = (claims, organisation_id, sandbox_name)
        known = self._known.get(asked)
        if known is not None:
            return known
        async with self._database.transaction() as db:
            found = await OrganisationStore(db).standing(
                claims.client_id, organisation_id, sandbox_name
            )
        may = entitled(claims, found, organisation_id)
        if found.sandbox_id is None:
            raise NotFound("sandbox", sandbox_name)
        scope = Scope(
            organisation_id=organisation_id,
            sandbox_id=SandboxId(found.sandbox_id),
            sandbox_name=sandbox_name,
        )
        known = _Known(scope, may)
        self._known.keep(asked, known, lasts=_CALLERS_LAST)
        return known


def entitled(claims: Claims, found: Standing, organisation_id: OrganisationId) -> frozenset[Access]:
    """What a caller may do in an organisation; refuses one that does not belong to it.

    Organisation and scopes are what the issuer says or else what our row does. Clients of an
    external issuer need no row of ours, but a row that was disabled shuts them out.
    """
    if found.is_disabled:
        raise InvalidKey(f"client {claims.client_id} is disabled")
    if claims.organisation_id is None and found.client_organisation_id is None:
        raise InvalidKey(f"no client {claims.client_id}")
    if (claims.organisation_id or found.client_organisation_id) != organisation_id:
        raise NotEntitled(
            f"client {claims.client_id} does not belong to organisation {organisation_id}"
        )
    if claims.organisation_id is None:
        return found.scopes
    return ALL if claims.scopes is None else claims.scopes
