"""Batches in the catalog: find them and see what became of them. Answers are keyed by id."""

from __future__ import annotations

from aiohttp import web

from catalog.batches import BatchId
from service.surfaces.adobe.wire import batches as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, query

_BATCHES = "/data/foundation/catalog/batches"


async def listing(request: web.Request) -> web.Response:
    asked, caller = query(request, wire.Listing), request[CALLER]
    found = await request.app[OPERATIONS].batches.listing(
        asked.filter(),
        newest_first=asked.is_newest_first,
        skip=asked.start,
        most=asked.limit,
        by=caller,
    )
    return answer({batch.id: wire.batch(batch, caller.scope) for batch in found})


async def show(request: web.Request) -> web.Response:
    id, caller = BatchId(request.match_info["id"]), request[CALLER]
    batch = await request.app[OPERATIONS].batches.find(id, by=caller)
    return answer({batch.id: wire.batch(batch, caller.scope)})


ROUTES = [
    web.get(_BATCHES, listing),
    web.get(_BATCHES + "/{id}", show),
]
