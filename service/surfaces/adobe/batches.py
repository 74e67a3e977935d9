"""Batches in the catalog: find them, see what became of them, say other words of them.

Answers are keyed by id; changes answer references.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.batches import BatchId
from service.surfaces.adobe.conditions import tagged, terms
from service.surfaces.adobe.wire import amendments
from service.surfaces.adobe.wire import batches as wire
from service.surfaces.adobe.wire.documents import Change, Document
from service.surfaces.adobe.wire.filters import Selection
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read

_BATCHES = "/data/foundation/catalog/batches"


@creating
async def create(request: web.Request) -> web.Response:
    """Open a batch; a trial opens none and has no reference to answer."""
    new, asked = await read(request, amendments.NewBatch), terms(request)
    made = await request.app[OPERATIONS].batches.open(new.noun(), terms=asked, by=request[CALLER])
    if asked.is_trial:
        return answer([])
    location = {"Location": f"{_BATCHES}/{made.id}"}
    return answer([amendments.reference(made.id)], HTTPStatus.CREATED, location)


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
    shown = asked.of(wire.batch(batch, caller.scope))
    return answer({batch.id: shown}, headers=tagged(batch.version))


async def change(request: web.Request) -> web.Response:
    asked, caller = await read(request, Change), request[CALLER]
    amended = await request.app[OPERATIONS].batches.amend(
        _id(request),
        lambda batch: amendments.amendment(
            batch, caller.scope, asked.applied(wire.batch(batch, caller.scope))
        ),
        terms=terms(request),
        by=caller,
    )
    return answer([amendments.reference(amended.id)])


async def replace(request: web.Request) -> web.Response:
    asked, caller = await read(request, Document), request[CALLER]
    amended = await request.app[OPERATIONS].batches.amend(
        _id(request),
        lambda batch: amendments.replacement(batch, asked.root),
        terms=terms(request),
        by=caller,
    )
    return answer([amendments.reference(amended.id)])


async def remove(request: web.Request) -> web.Response:
    id = _id(request)
    await request.app[OPERATIONS].batches.delete(id, terms=terms(request), by=request[CALLER])
    return answer([amendments.reference(id)])


def _id(request: web.Request) -> BatchId:
    return BatchId(request.match_info["id"])


ROUTES = [
    web.get(_BATCHES, listing),
    web.post(_BATCHES, create),
    web.get(_BATCHES + "/{id}", show),
    web.patch(_BATCHES + "/{id}", change),
    web.put(_BATCHES + "/{id}", replace),
    web.delete(_BATCHES + "/{id}", remove),
]
