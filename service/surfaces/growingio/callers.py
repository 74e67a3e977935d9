"""Who is calling, from a token alone: ``Bearer x`` as documented, ``Token x``, or x by itself."""

from __future__ import annotations

from aiohttp import web

from catalog.errors import InvalidToken, MissingCredentials
from service.surfaces.growingio.access import NEEDS
from service.surfaces.http import CALLER, OPERATIONS, REQUEST_ID
from service.surfaces.permitting import permit

#: Every path below asks for a token, also those that lead nowhere.
GUARDED = ("/v1/api/", "/v2/api/", "/cdp/api/", "/download", "/graphql", "/projects/")
#: The one that gives tokens.
TOKENS = "/accounts/"

_SCHEMES = frozenset({"bearer", "token"})


def speaks_at(path: str) -> bool:
    """Whether this dialect speaks at a path, in small letters."""
    return path.startswith((*GUARDED, TOKENS))


async def identify(request: web.Request) -> None:
    """Put the caller beside the request before any handler sees it, or refuse."""
    if request.path.lower().startswith(GUARDED):
        caller = await request.app[OPERATIONS].bearers.identify(
            _token(request), request_id=request[REQUEST_ID]
        )
        request[CALLER] = caller
        permit(request, caller, NEEDS)


def _token(request: web.Request) -> str:
    said = request.headers.get("Authorization", "").strip()
    scheme, _, rest = said.partition(" ")
    token = rest.strip() if scheme.lower() in _SCHEMES else said
    if not token:
        raise MissingCredentials("the header Authorization carries no token")
    if not (token.isascii() and token.isprintable()):
        raise InvalidToken("the token is no printable ASCII text")
    return token
