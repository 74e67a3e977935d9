"""Identities: their XIDs, and which of them are linked."""

from __future__ import annotations

from aiohttp import web

from service.surfaces.adobe.wire import identities as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read


async def show(request: web.Request) -> web.Response:
    asked = query(request, wire.IdentityQuery).asked()
    xid, namespace = await request.app[OPERATIONS].entities.identify(asked, by=request[CALLER])
    return answer(wire.identity(xid, namespace, asked.id))


async def show_graphs(request: web.Request) -> web.Response:
    asked = await read(request, wire.GraphRequest)
    found = await request.app[OPERATIONS].entities.clusters(
        asked.asked(),
        by=request[CALLER],
        is_stitched=asked.is_stitched,
        with_edges=asked.projection_type is wire.Projection.GRAPH,
    )
    return answer(wire.graphs(found, asked))


ROUTES = [
    web.get(wire.IDENTITY, show),
    web.post(wire.GRAPH, show_graphs),
]
