"""The keys the built-in issuer signs tokens with, as PostgreSQL keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from catalog.store.database import Connection
from catalog.store.queries import beside

SQL = beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """One key pair, private half included: never log or answer it."""

    kid: str
    private_jwk: dict[str, Any] = field(repr=False)
    age: timedelta

    @property
    def public_jwk(self) -> dict[str, Any]:
        """What verifies: read a thousand times as fast as the other half, and no secret."""
        return {name: self.private_jwk[name] for name in ("kty", "n", "e")}


class SigningKeyStore:
    """Key pairs by age. The newest signs; all that are not retired verify."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def lock(self) -> None:
        """Wait until no other process is adding a key; lasts until the transaction ends."""
        await SQL["lock"].rows(self._db)

    async def published(self) -> list[SigningKey]:
        """Every key that verifies, the newest first."""
        rows = await SQL["published"].rows(self._db)
        return [
            SigningKey(kid=row["kid"], private_jwk=row["private_jwk"], age=row["age"])
            for row in rows
        ]

    async def add(self, kid: str, private_jwk: dict[str, Any]) -> None:
        """Add a key, which signs from now on."""
        await SQL["add"].rows(self._db, kid=kid, private_jwk=private_jwk)

    async def retire(self, *, older_than: timedelta) -> None:
        """Withdraw keys of this age: no token signed with them is alive."""
        await SQL["retire"].rows(self._db, older_than=older_than)
