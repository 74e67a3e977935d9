"""Batches in the catalog: find them and see what became of them. Answers are keyed by id."""

from __future__ import annotations

from aiohttp import web

from catalog.batches import BatchId
from service.surfaces.adobe.wire import batches as wire
from service.surfaces.adobe.wire.filters import Selection
from service.surfaces.http import CALLER, OPERATIONS, answer, query

_BATCHES = "/data/foundation/catalog/batches"


async def listing(request: web.Request) -> web.Response:
    asked, caller = query(request, wire.Listing), request[CALLER]
    found = await request.app[OPERATIONS].batches.listing(
        asked.filter(request.query.getall("property", [])),
        skip=asked.start,
        most=asked.limit,
        by=caller,
    )
    return answer({batch.id: asked.of(wire.batch(batch, caller.scope)) for batch in found})


async def show(request: web.Request) -> web.Response:
    asked, caller = query(request, Selection), request[CALLER]
    batch = await request.app[OPERATIONS].batches.find(_id(request), by=caller)
    return answer({batch.id: asked.of(wire.batch(batch, caller.scope))})


def _id(request: web.Request) -> BatchId:
    return BatchId(request.match_info["id"])


ROUTES = [
    web.get(_BATCHES, listing),
    web.get(_BATCHES + "/{id}", show),
]
