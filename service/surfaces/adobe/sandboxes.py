"""Sandboxes, as Adobe's Sandbox API lists them and as other answers tell of them."""

from __future__ import annotations

from aiohttp import web

from catalog import organisations
from service.surfaces.adobe.wire.sandboxes import Sandbox, Sandboxes
from service.surfaces.http import CALLER, OPERATIONS, answer


async def list_all(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].sandboxes.list(by=request[CALLER])
    return answer(Sandboxes(sandboxes=[Sandbox.of(each) for each in found]))


async def of_caller(request: web.Request) -> organisations.Sandbox:
    """The sandbox of the caller, whose kind many answers tell."""
    caller = request[CALLER]
    sandboxes = await request.app[OPERATIONS].sandboxes.list(by=caller)
    return next(each for each in sandboxes if each.id == caller.scope.sandbox_id)


ROUTES = [
    web.get("/data/foundation/sandbox-management/sandboxes", list_all),
]
