"""The built-in token issuer: a client's secret in, a signed token out."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

from catalog.errors import InvalidKey
from catalog.organisations import Client, ClientId
from catalog.store.database import Database
from catalog.store.organisations import OrganisationStore
from catalog.store.signing_keys import SigningKey, SigningKeyStore
from service.operations.issuers import ALGORITHM

#: What our own tokens say in ``iss`` and ``aud``. Names, not addresses: a service is reached
#: under many addresses and its tokens are good under each.
ISSUER = "profile-exports"
AUDIENCE = "profile-exports"

#: A key signs for this long, then the next token makes another. Ours: the year certificates
#: last, divided so that a rotation that fails is noticed in the same quarter.
SIGNS_FOR = timedelta(days=90)

_KEY_BITS = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedToken:
    """A signed token and how long it lasts."""

    token: str = field(repr=False)
    lasts: timedelta


def new_secret() -> str:
    """Make a client secret: 256 random bits, so that a plain hash of it keeps it safe."""
    return secrets.token_urlsafe(32)


def secret_hash(secret: str) -> bytes:
    """The form in which a client's secret is stored."""
    return hashlib.sha256(secret.encode()).digest()


class Tokens:
    """Issues tokens to clients, and publishes the keys they are verified with."""

    def __init__(self, database: Database, *, lasts: timedelta) -> None:
        self._database = database
        self._lasts = lasts
        self._signing: tuple[SigningKey, RSAKey] | None = None

    async def issue(self, client_id: ClientId, secret: str) -> IssuedToken:
        """Sign a token for a client; refuses with InvalidKey when the secret is not its own.

        An unknown client and a wrong secret are refused in the same words after the same
        comparison: neither tells which client ids exist.
        """
        offered = secret_hash(secret)
        async with self._database.transaction() as db:
            try:
                client, stored = await OrganisationStore(db).client(client_id)
            except InvalidKey:
                client, stored = None, secret_hash(secrets.token_urlsafe())
        if not hmac.compare_digest(offered, stored) or client is None:
            raise InvalidKey("no client has this id and secret")
        return await self.sign(client)

    async def issue_for_secret(self, secret: str) -> IssuedToken:
        """Sign a token for whichever client has a secret; refuses with InvalidKey.

        Secrets have 256 random bits and are looked up by their hash: what comes back, and when,
        tells nothing of those that exist.
        """
        async with self._database.transaction() as db:
            client = await OrganisationStore(db).client_by_secret(secret_hash(secret))
        return await self.sign(client)

    async def sign(self, client: Client) -> IssuedToken:
        """Sign a token for a client who needs no secret because the operator asks."""
        kid, key = await self._newest()
        issued_at = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": client.id,
            "client_id": client.id,
            "org_id": client.organisation_id,
            "scope": " ".join(sorted(client.scopes)),
            "iat": issued_at,
            "exp": issued_at + int(self._lasts.total_seconds()),
            "jti": secrets.token_hex(8),
        }
        token = jwt.encode({"alg": ALGORITHM, "kid": kid}, claims, key, algorithms=[ALGORITHM])
        return IssuedToken(token=token, lasts=self._lasts)

    async def published(self) -> list[Mapping[str, Any]]:
        """Every public key a living token may be signed with, the newest first."""
        async with self._database.transaction() as db:
            keys = await SigningKeyStore(db).published()
        return [{**key.public_jwk, "kid": key.kid, "use": "sig", "alg": ALGORITHM} for key in keys]

    async def _newest(self) -> tuple[str, RSAKey]:
        """The key that signs now: read, or made when there is none or it has signed long enough."""
        async with self._database.transaction() as db:
            keys = await SigningKeyStore(db).published()
        if not keys or keys[0].age > SIGNS_FOR:
            keys = [await self._renew()]
        newest = keys[0]
        if self._signing is None or self._signing[0].kid != newest.kid:
            self._signing = (newest, RSAKey.import_key(newest.private_jwk))
        return newest.kid, self._signing[1]

    async def _renew(self) -> SigningKey:
        fresh = await asyncio.to_thread(RSAKey.generate_key, _KEY_BITS)
        async with self._database.transaction() as db:
            store = SigningKeyStore(db)
            await store.lock()
            keys = await store.published()
            if keys and keys[0].age <= SIGNS_FOR:
                return keys[0]
            await store.add(fresh.thumbprint(), dict(fresh.as_dict(private=True)))
            await store.retire(older_than=SIGNS_FOR + self._lasts)
            return (await store.published())[0]
