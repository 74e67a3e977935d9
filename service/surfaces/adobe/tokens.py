"""Tokens for client credentials, as Adobe's identity management answers them (OAuth 2, RFC 6749).

Parameters come in a form or in the query: one known client sends all of them in the query.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.errors import InvalidField, InvalidKey
from catalog.organisations import ClientId
from service.surfaces.http import OPERATIONS, answer, form

#: RFC 6749 section 5.1: a token is never cached on its way.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


async def issue(request: web.Request) -> web.Response:
    try:
        asked = {**request.query, **await form(request)}
    except InvalidField as refusal:
        return _failed("invalid_request", str(refusal))
    grant = asked.get("grant_type", "client_credentials")
    if grant != "client_credentials":
        return _failed("unsupported_grant_type", f"grant_type {grant!r} is not supported")
    missing = [name for name in ("client_id", "client_secret") if not asked.get(name)]
    if missing:
        return _failed("invalid_request", f"missing: {', '.join(missing)}")
    try:
        issued = await request.app[OPERATIONS].tokens.issue(
            ClientId(asked["client_id"]), asked["client_secret"]
        )
    except InvalidKey as refusal:
        return _failed("invalid_client", str(refusal), HTTPStatus.UNAUTHORIZED)
    body = {
        "access_token": issued.token,
        "token_type": "bearer",
        "expires_in": int(issued.lasts.total_seconds()) - 1,
    }
    return answer(body, headers=_UNCACHED)


async def keys(request: web.Request) -> web.Response:
    return answer({"keys": await request.app[OPERATIONS].tokens.published()})


def _failed(
    error: str, description: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
) -> web.Response:
    """OAuth's own error body, the only one that has ``error`` on top."""
    return answer({"error": error, "error_description": description}, status, _UNCACHED)


ROUTES = [
    web.post("/ims/token/v3", issue),
    web.post("/ims/token/v2", issue),
    web.get("/ims/keys", keys),
]
