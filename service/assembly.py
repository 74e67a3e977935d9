"""The one module that constructs things and joins them."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import Awaitable, Callable

from catalog.store.database import Database
from service.operations.callers import Callers
from service.operations.issuers import Expected, Issuer, OwnKeys, PublishedKeys
from service.operations.readiness import Readiness
from service.operations.sandboxes import Sandboxes
from service.operations.tokens import AUDIENCE, ISSUER, Tokens
from service.settings import Settings, TokenSettings
from service.storage.files import Files
from service.surfaces.http import Operations

_FETCH_TIMEOUT_SECONDS = 5
#: Real key sets have a few kilobytes.
_MOST_JWKS_BYTES = 1024 * 1024


def operations(database: Database, files: Files, settings: Settings) -> Operations:  # noqa: ARG001
    """All that surfaces may ask, upon one database and one place for files."""
    return Operations(
        callers=Callers(database, issuer(database, settings.token)),
        readiness=Readiness(database),
        sandboxes=Sandboxes(database),
        tokens=Tokens(database, lasts=settings.token.lifetime),
    )


def issuer(database: Database, settings: TokenSettings) -> Issuer:
    """Whose tokens are believed: an external issuer's when one is set, else our own."""
    if settings.issuer is None or settings.audience is None:
        own = Expected(issuer=ISSUER, audience=AUDIENCE, leeway=settings.leeway)
        return Issuer(OwnKeys(database), own)
    return Issuer(
        PublishedKeys(_key_fetcher(settings)),
        Expected(
            issuer=settings.issuer,
            audience=settings.audience,
            leeway=settings.leeway,
            client_claim=settings.client_claim,
            organisation_claim=settings.organisation_claim,
        ),
    )


def _key_fetcher(settings: TokenSettings) -> Callable[[], Awaitable[bytes]]:
    file, url = settings.jwks_file, settings.jwks_url

    def fetch() -> bytes:
        if file is not None:
            return file.read_bytes()
        with urllib.request.urlopen(str(url), timeout=_FETCH_TIMEOUT_SECONDS) as answer:  # noqa: S310 -- settings allow http and https only
            body: bytes = answer.read(_MOST_JWKS_BYTES)
            return body

    return lambda: asyncio.to_thread(fetch)
