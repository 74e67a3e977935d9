"""Wraps the handlers that create: an answer and what it tells of are there together, or neither is.

A create may carry ``Idempotency-Key``: then its caller may send it again, and is answered as the
first time.
"""

from __future__ import annotations

from functools import wraps
from hashlib import sha256

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from catalog.errors import InvalidField
from catalog.retries import KEY_LENGTH, Attempt, KeptAnswer
from service.surfaces.http import BODY, CALLER, OPERATIONS, document

HEADER = "Idempotency-Key"
#: Says that an answer is an earlier call's.
REPLAYED = "Idempotent-Replayed"


def creating(handler: Handler) -> Handler:
    """Make a handler that creates one that creates once. Its body must be a document."""

    async def as_one(request: web.Request) -> web.StreamResponse:
        return await request.app[OPERATIONS].retries.as_one(lambda: handler(request))

    return _once(handler, keyless=as_one)


def creating_by_itself(handler: Handler) -> Handler:
    """As :func:`creating`, where the operation makes the answer in its own transaction."""
    return _once(handler, keyless=handler)


def _once(handler: Handler, *, keyless: Handler) -> Handler:
    @wraps(handler)
    async def once(request: web.Request) -> web.StreamResponse:
        request[BODY] = await document(request)
        attempt = _attempt(request)
        if attempt is None:
            return await keyless(request)

        is_repeated = True

        async def create() -> KeptAnswer:
            nonlocal is_repeated
            is_repeated = False
            response = await handler(request)
            assert isinstance(response, web.Response)
            assert isinstance(response.body, bytes)
            headers = {name: value for name, value in response.headers.items() if name not in _OURS}
            return KeptAnswer(status=response.status, headers=headers, body=response.body)

        retries = request.app[OPERATIONS].retries
        kept = await retries.once(create, attempt, by=request[CALLER])
        headers = {**kept.headers, **({REPLAYED: "true"} if is_repeated else {})}
        return web.Response(body=kept.body, status=kept.status, headers=headers)

    return once


#: What the library says of the bytes of one answer.
_OURS = frozenset({hdrs.CONTENT_LENGTH})


def _attempt(request: web.Request) -> Attempt | None:
    key = request.headers.get(HEADER)
    if key is None:
        return None
    key = key.strip()
    if not (0 < len(key) <= KEY_LENGTH and key.isascii() and key.isprintable()):
        raise InvalidField(
            f"the header {HEADER}", f"must be 1 to {KEY_LENGTH} printable ASCII characters"
        )
    asked = sha256(request.raw_path.encode())
    # A trial must not answer for the call that means it.
    asked.update(b"\0" + request.headers.get(hdrs.PRAGMA, "").encode(errors="replace"))
    asked.update(b"\0" + request[BODY])
    resource = request.match_info.route.resource
    route = resource.canonical if resource is not None else request.path
    return Attempt(operation=f"{request.method} {route}", key=key, digest=asked.digest())
