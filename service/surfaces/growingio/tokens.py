"""Tokens: personal ones, and those that clients get by their secret."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.errors import InvalidField, InvalidKey
from catalog.organisations import ClientId
from service.operations.tokens import IssuedToken
from service.surfaces.growingio.wire import OPEN_API
from service.surfaces.growingio.wire import tokens as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, form, read

#: RFC 6749 section 5.1: a token is never cached on its way.
_UNCACHED = {"Cache-Control": "no-store", "Pragma": "no-cache"}

#: As documented: the secret alone says who asks.
_ANY_CLIENT = "api"
_ONLY_SCOPE = "system"
_GRANT = "client_credentials"
_FIELDS = ("grant_type", "client_id", "client_secret")


async def issue(request: web.Request) -> web.Response:
    """Give a token for a client's secret, in OAuth's own words (RFC 6749)."""
    try:
        asked = await form(request)
    except InvalidField as refusal:
        return _failed("invalid_request", str(refusal))
    if (grant := asked.get("grant_type", _GRANT)) != _GRANT:
        return _failed("unsupported_grant_type", f"grant_type {grant!r} is not supported")
    if asked.get("scope", _ONLY_SCOPE) != _ONLY_SCOPE:
        return _failed("invalid_scope", f"the only scope is {_ONLY_SCOPE}")
    if missing := [name for name in _FIELDS if not asked.get(name)]:
        what = f"send {', '.join(missing)} in a form (application/x-www-form-urlencoded)"
        return _failed("invalid_request", what)
    try:
        issued = await _issued(request, asked["client_id"], asked["client_secret"])
    except InvalidKey as refusal:
        return _failed("invalid_client", str(refusal), HTTPStatus.UNAUTHORIZED)
    body = {
        "access_token": issued.token,
        "token_type": "bearer",
        "expires_in": int(issued.lasts.total_seconds()) - 1,
        "scope": _ONLY_SCOPE,
    }
    return answer(body, headers=_UNCACHED)


async def listing(request: web.Request) -> web.Response:
    operations = request.app[OPERATIONS]
    ids = await operations.hash_ids.known()
    found = await operations.personal_tokens.all(by=request[CALLER])
    return answer([wire.token(each, ids) for each in found])


async def make(request: web.Request) -> web.Response:
    """Make a token. It must not be made anew for a key: answers that are kept would hold it."""
    asked, operations = await read(request, wire.NewToken), request.app[OPERATIONS]
    scopes = None if asked.scopes is None else frozenset(asked.scopes)
    by = request[CALLER]
    if asked.project_id is not None:
        by = (await operations.projects.enter(asked.project_id, by=by)).by
    made, secret = await operations.personal_tokens.make(asked.name, scopes, by=by)
    told = wire.token(made, await operations.hash_ids.known())
    return answer({**told, "token": secret}, headers=_UNCACHED)


async def revoke(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].personal_tokens.revoke(
        request.match_info["id"], by=request[CALLER]
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def _issued(request: web.Request, client_id: str, secret: str) -> IssuedToken:
    tokens = request.app[OPERATIONS].tokens
    if client_id == _ANY_CLIENT:
        return await tokens.issue_for_secret(secret)
    return await tokens.issue(ClientId(client_id), secret)


def _failed(
    error: str, description: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST
) -> web.Response:
    """OAuth's own error body."""
    return answer({"error": error, "error_description": description}, status, _UNCACHED)


ROUTES = [
    web.post("/accounts/oauth/access_token", issue),
    web.get(OPEN_API + "/tokens", listing),
    web.post(OPEN_API + "/tokens", make),
    web.delete(OPEN_API + "/tokens/{id}", revoke),
]
