"""Personal tokens: made for a client, shown once, good until they are revoked."""

from __future__ import annotations

import hashlib
from uuid import UUID, uuid4

from catalog.access import Access
from catalog.audit import Action, ObjectKind
from catalog.errors import Forbidden, NotFound
from catalog.names import check_name
from catalog.organisations import Caller
from catalog.personal_tokens import NAME_LENGTH, PersonalToken, TokenNumber
from catalog.store.audit import AuditStore
from catalog.store.database import Database
from catalog.store.personal_tokens import PersonalTokenStore
from service.operations.hash_ids import HashIdSource, Noun


def token_hash(token: str) -> bytes:
    """The form in which a token is stored: 122 random bits need no slow hash to be safe in."""
    return hashlib.sha256(token.encode()).digest()


def is_personal(token: str) -> bool:
    """Whether a token is in the form of a personal one, that of a UUID."""
    try:
        return str(UUID(token)) == token.lower()
    except ValueError:
        return False


class PersonalTokens:
    """The tokens of a caller."""

    def __init__(self, database: Database, ids: HashIdSource) -> None:
        self._database = database
        self._ids = ids

    async def make(
        self, name: str, scopes: frozenset[Access] | None, *, by: Caller
    ) -> tuple[PersonalToken, str]:
        """Make a token, which is told this once.

        It lets its bearer do what its maker may, or those ``scopes`` of it; calls that name no
        project look into the maker's sandbox.
        """
        check_name(name, most=NAME_LENGTH)
        if scopes is not None and (beyond := scopes - by.may):
            raise Forbidden(f"you may not do {', '.join(sorted(beyond))}: nor may your token")
        secret = str(uuid4())
        async with self._database.transaction() as db:
            made = await PersonalTokenStore(db).add(
                by.scope,
                by.client_id,
                name=name,
                token_hash=token_hash(secret),
                scopes=by.may if scopes is None else scopes,
            )
            await AuditStore(db).note(by, Action.CREATE, ObjectKind.PERSONAL_TOKEN, made.number)
        return made, secret

    async def all(self, *, by: Caller) -> tuple[PersonalToken, ...]:
        """The caller's tokens, revoked ones too, the first made first."""
        async with self._database.transaction() as db:
            return await PersonalTokenStore(db).all(by.scope.organisation_id, by.client_id)

    async def revoke(self, id: str, *, by: Caller) -> None:
        """Take a token of the caller out of use, within seconds; refuses with NotFound."""
        number = (await self._ids.known()).number(Noun.TOKEN, id)
        if number is None:
            raise NotFound("personal token", id)
        async with self._database.transaction() as db:
            await PersonalTokenStore(db).revoke(
                by.scope.organisation_id, by.client_id, TokenNumber(number)
            )
            await AuditStore(db).note(by, Action.REMOVE, ObjectKind.PERSONAL_TOKEN, number)
