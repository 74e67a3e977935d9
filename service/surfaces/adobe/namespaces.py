"""Identity namespaces, as Adobe's Identity Service lists and registers them."""

from __future__ import annotations

from aiohttp import web

from service.surfaces.adobe.wire import namespaces as wire
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, read

_NAMESPACES = "/data/core/idnamespace/identities"


async def listing(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].namespaces.list(by=request[CALLER])
    return answer([wire.namespace(each) for each in found])


async def show(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].namespaces.find(
        request.match_info["id"], by=request[CALLER]
    )
    return answer(wire.namespace(found))


@creating
async def register(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewNamespace)
    made = await request.app[OPERATIONS].namespaces.register(asked.draft(), by=request[CALLER])
    return answer(wire.namespace(made))


ROUTES = [
    web.get(_NAMESPACES, listing),
    web.post(_NAMESPACES, register),
    web.get(_NAMESPACES + "/{id}", show),
]
