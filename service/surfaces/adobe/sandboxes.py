"""Sandboxes, as Adobe's Sandbox API lists them."""

from __future__ import annotations

from aiohttp import web

from service.surfaces.adobe.wire.sandboxes import Sandbox, Sandboxes
from service.surfaces.http import CALLER, OPERATIONS, answer


async def list_all(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].sandboxes.list(by=request[CALLER])
    return answer(Sandboxes(sandboxes=[Sandbox.of(each) for each in found]))


ROUTES = [
    web.get("/data/foundation/sandbox-management/sandboxes", list_all),
]
