"""Personal tokens in PostgreSQL, by their hashes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.access import Access
from catalog.errors import NotFound
from catalog.organisations import ClientId, OrganisationId, SandboxId, Scope
from catalog.personal_tokens import PersonalToken, TokenNumber
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bearer:
    """Whoever calls with a token."""

    client_id: ClientId
    #: Where calls look that name no sandbox.
    scope: Scope
    may: frozenset[Access]


class PersonalTokenStore:
    """Tokens of the clients of an organisation, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(
        self,
        scope: Scope,
        client_id: ClientId,
        *,
        name: str,
        token_hash: bytes,
        scopes: frozenset[Access],
    ) -> PersonalToken:
        """Keep a new token of a client, whose calls look into a sandbox unless they name one."""
        row = await SQL["add"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            sandbox_name=scope.sandbox_name,
            organisation_id=scope.organisation_id,
            client_id=client_id,
            name=name,
            token_hash=token_hash,
            scopes=sorted(scopes),
        )
        assert row is not None
        return _token(row)

    async def bearer(self, token_hash: bytes) -> Bearer | None:
        """Who calls with a token; None: it is nobody's, was revoked, or its client is disabled."""
        row = await SQL["bearer"].row(self._db, token_hash=token_hash)
        if row is None or row["is_disabled"]:
            return None
        may, client_scopes = _scopes(row["scopes"]), row["client_scopes"]
        return Bearer(
            client_id=ClientId(row["client_id"]),
            scope=Scope(
                organisation_id=OrganisationId(row["organisation_id"]),
                sandbox_id=SandboxId(row["sandbox_id"]),
                sandbox_name=row["sandbox_name"],
            ),
            may=may if client_scopes is None else may & _scopes(client_scopes),
        )

    async def all(
        self, organisation_id: OrganisationId, client_id: ClientId
    ) -> tuple[PersonalToken, ...]:
        """The tokens of a client, revoked ones too, the first made first."""
        rows = await SQL["all"].rows(self._db, organisation_id=organisation_id, client_id=client_id)
        return tuple(map(_token, rows))

    async def revoke(
        self, organisation_id: OrganisationId, client_id: ClientId, number: TokenNumber
    ) -> None:
        """Take a token of a client out of use; refuses with NotFound."""
        row = await SQL["revoke"].row(
            self._db, organisation_id=organisation_id, client_id=client_id, number=number
        )
        if row is None:
            raise NotFound("personal token", number)


def _token(row: Record) -> PersonalToken:
    return PersonalToken(
        number=TokenNumber(row["number"]),
        client_id=ClientId(row["client_id"]),
        name=row["name"],
        scopes=_scopes(row["scopes"]),
        sandbox_name=row["sandbox_name"],
        created_at=row["created_at"],
        revoked_at=row["revoked_at"],
    )


def _scopes(words: Iterable[str]) -> frozenset[Access]:
    """Those of a row that this release knows: a newer one may have written it."""
    return frozenset(each for each in Access if each in words)
