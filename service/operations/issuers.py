"""Whose tokens are believed: our own, and those of an external issuer.

Only RS256 is ever accepted, whatever a token's header says, and only with an RSA key that the
issuer publishes under the ``kid`` the header names: no key can be mistaken for a shared secret.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from joserfc.jws import extract_compact

from catalog.access import Access
from catalog.errors import InvalidToken, Unavailable
from catalog.organisations import ClientId, OrganisationId
from catalog.store.database import Database
from catalog.store.signing_keys import SigningKeyStore

ALGORITHM = "RS256"

#: An issuer that is asked for keys more often than this is being attacked through us.
LEAST_REFETCH = timedelta(seconds=10)
#: How long a fetched key set is trusted without asking again; keys rotate over days.
KEYS_LAST = timedelta(minutes=5)

_LOG = logging.getLogger(__name__)

#: Public keys by their ``kid``.
Keys = Mapping[str, RSAKey]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says."""

    client_id: ClientId
    #: None when the issuer leaves it to our own rows which organisation a client belongs to.
    organisation_id: OrganisationId | None
    #: None when the issuer leaves it to our own rows, or to nobody, what a client may do.
    scopes: frozenset[Access] | None
    lasts: timedelta


class KeySource(Protocol):
    """Where an issuer's public keys come from."""

    async def keys(self, kid: str | None) -> Keys:
        """Return the published keys; looks again when ``kid`` is not among those known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What a token must say to be believed, and where it says who its client is."""

    issuer: str
    audience: str
    leeway: timedelta
    client_claim: str = "client_id"
    organisation_claim: str | None = None
    scope_claim: str | None = None


class Issuer:
    """Verifies the tokens of one issuer."""

    def __init__(self, source: KeySource, expected: Expected) -> None:
        self._source = source
        self._expected = expected
        self._registry = jwt.JWTClaimsRegistry(
            leeway=int(expected.leeway.total_seconds()),
            iss={"essential": True, "value": expected.issuer},
            aud={"essential": True, "value": expected.audience},
            exp={"essential": True},
        )

    async def verify(self, token: str) -> Claims:
        """Return what the token says; refuses with InvalidToken, naming the reason."""
        try:
            kid = extract_compact(token.encode("ascii")).headers().get("kid")
            if kid is not None and not isinstance(kid, str):
                raise InvalidToken("the token's kid is not text")
            key = _choose(await self._source.keys(kid), kid)
            said = jwt.decode(token, key, algorithms=[ALGORITHM]).claims
            self._registry.validate(said)
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise InvalidToken(f"the token is not valid: {_reason(error)}") from error
        return self._claims(said)

    def _claims(self, said: dict[str, Any]) -> Claims:
        expected = self._expected
        client_id = said.get(expected.client_claim)
        if not isinstance(client_id, str) or not client_id:
            raise InvalidToken(f"the token names no client in its claim {expected.client_claim}")
        organisation_id = None
        if expected.organisation_claim is not None:
            organisation_id = said.get(expected.organisation_claim)
            if not isinstance(organisation_id, str) or not organisation_id:
                raise InvalidToken(
                    f"the token names no organisation in its claim {expected.organisation_claim}"
                )
        return Claims(
            client_id=ClientId(client_id),
            organisation_id=OrganisationId(organisation_id) if organisation_id else None,
            scopes=None
            if expected.scope_claim is None
            else _scopes(said.get(expected.scope_claim)),
            lasts=timedelta(seconds=said["exp"] - time.time()) + expected.leeway,
        )


def _scopes(said: object) -> frozenset[Access]:
    """Those of a claim that are ours: words apart by blanks (RFC 8693), or a list of them."""
    words = said.split() if isinstance(said, str) else said if isinstance(said, list) else ()
    return frozenset(each for each in Access if each in words)


def _reason(error: Exception) -> str:
    """Only what the library wrote for people: its other messages may quote the token."""
    if isinstance(error, JoseError):
        return error.description or error.error
    return "malformed"


def _choose(keys: Keys, kid: str | None) -> RSAKey:
    if kid is None:
        if len(keys) == 1:
            return next(iter(keys.values()))
        raise InvalidToken("the token does not say which key signed it")
    if kid not in keys:
        raise InvalidToken("the token was signed with a key its issuer does not publish")
    return keys[kid]


class OwnKeys:
    """The keys of the built-in issuer, from the catalog."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: Keys = {}
        self._asked_at = float("-inf")

    async def keys(self, kid: str | None) -> Keys:
        is_stale = time.monotonic() - self._asked_at > KEYS_LAST.total_seconds()
        if is_stale or kid not in self._known:
            async with self._database.transaction() as db:
                published = await SigningKeyStore(db).published()
            self._known = {key.kid: RSAKey.import_key(key.public_jwk) for key in published}
            self._asked_at = time.monotonic()
        return self._known


class PublishedKeys:
    """The keys an external issuer publishes, fetched when needed and kept when it is silent."""

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        #: None until the issuer answered once.
        self._known: Keys | None = None
        self._asked_at = float("-inf")
        self._lock = asyncio.Lock()

    async def keys(self, kid: str | None) -> Keys:
        async with self._lock:
            if self._is_due(kid):
                self._asked_at = time.monotonic()
                try:
                    self._known = _import(await self._fetch())
                except (OSError, ValueError, JoseError) as error:
                    _LOG.warning("the token issuer's keys cannot be had: %s", error)
            if self._known is None:
                raise Unavailable("the token issuer's keys cannot be had")
            return self._known

    def _is_due(self, kid: str | None) -> bool:
        age = time.monotonic() - self._asked_at
        if self._known is not None and (kid is None or kid in self._known):
            return age > KEYS_LAST.total_seconds()
        return age > LEAST_REFETCH.total_seconds()


def _import(document: bytes) -> Keys:
    """Read a JWKS, leaving out what is not an RSA key for signatures."""
    published = json.loads(document)
    if not isinstance(published, dict) or not isinstance(published.get("keys"), list):
        raise ValueError("not a JWKS: no list of keys")  # noqa: TRY004 -- as for any bad document
    keys: dict[str, RSAKey] = {}
    for number, key in enumerate(published["keys"]):
        is_rsa = isinstance(key, dict) and key.get("kty") == "RSA"
        if is_rsa and key.get("use", "sig") == "sig" and key.get("alg", ALGORITHM) == ALGORITHM:
            keys[str(key.get("kid", f"unnamed-{number}"))] = RSAKey.import_key(key)
    return keys
