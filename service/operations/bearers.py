"""Who is calling, from a token alone: GrowingIO's callers name no organisation and no key."""

from __future__ import annotations

import hashlib
from datetime import timedelta

from catalog.errors import InvalidToken, NotFound
from catalog.organisations import Caller
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore
from catalog.store.personal_tokens import Bearer, PersonalTokenStore
from service.operations.callers import Callers, entitled
from service.operations.personal_tokens import is_personal, token_hash
from service.operations.rates import Rates
from service.operations.remembered import Remembered

#: How long a token that was revoked, or one whose client was disabled, may go on.
_BEARERS_LAST = timedelta(seconds=5)
_MOST_REMEMBERED = 10_000


class Bearers:
    """Tells who is calling from a personal token, or from one that clients get by their secret."""

    def __init__(self, database: Database, callers: Callers, rates: Rates) -> None:
        self._database = database
        self._callers = callers
        self._rates = rates
        self._known: Remembered[bytes, Bearer] = Remembered(most=_MOST_REMEMBERED)

    async def identify(self, token: str, *, request_id: str) -> Caller:
        """Return the caller, or refuse with InvalidToken, InvalidKey or TooManyCalls.

        Its scope is that of calls which name no project: the sandbox of a personal token, the
        organisation's default one otherwise.
        """
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        bearer = self._known.get(digest)
        if bearer is None:
            bearer = await (self._personal(token) if is_personal(token) else self._client(token))
            self._known.keep(digest, bearer, lasts=_BEARERS_LAST)
        self._rates.take(bearer.client_id)
        return Caller(
            client_id=bearer.client_id, scope=bearer.scope, request_id=request_id, may=bearer.may
        )

    async def _personal(self, token: str) -> Bearer:
        async with self._database.transaction() as db:
            bearer = await PersonalTokenStore(db).bearer(token_hash(token.lower()))
        if bearer is None:
            raise InvalidToken("the token is nobody's, or it was revoked")
        return bearer

    async def _client(self, token: str) -> Bearer:
        claims = await self._callers.verify(token)
        async with self._database.transaction() as db:
            organisations = OrganisationStore(db)
            organisation_id = claims.organisation_id
            if organisation_id is None:
                client, _ = await organisations.client(claims.client_id)
                organisation_id = client.organisation_id
            try:
                sandbox = await organisations.default_sandbox(organisation_id)
            except NotFound as missing:
                raise InvalidToken(f"the token is of no use here: {missing}") from missing
            standing = await organisations.standing(claims.client_id, organisation_id, sandbox.name)
        return Bearer(
            client_id=claims.client_id,
            scope=sandbox.scope,
            may=entitled(claims, standing, organisation_id),
        )
