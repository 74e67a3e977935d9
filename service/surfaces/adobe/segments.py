"""Segment definitions, as Adobe's Segmentation API keeps them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.segments import SegmentDefinition, SegmentDraft
from service.surfaces.adobe.conditions import terms
from service.surfaces.adobe.sandboxes import of_caller
from service.surfaces.adobe.wire import segments as wire
from service.surfaces.adobe.wire.documents import Document, merged
from service.surfaces.adobe.wire.merge_policies import Wanted
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, query, read


@creating
async def create(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewSegment)
    made = await request.app[OPERATIONS].segments.create(
        asked.draft(), by=request[CALLER], is_trial=terms(request).is_trial
    )
    return answer(wire.segment(made, await of_caller(request)))


async def listing(request: web.Request) -> web.Response:
    asked = query(request, wire.Listing)
    found, total_count = await request.app[OPERATIONS].segments.page(
        asked.wanted(), by=request[CALLER], limit=asked.limit, skip=asked.skip
    )
    return answer(wire.listing(found, total_count, asked, await of_caller(request)))


async def show(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].segments.find(_id(request), by=request[CALLER])
    return answer(wire.segment(found, await of_caller(request)))


async def show_many(request: web.Request) -> web.Response:
    asked = await read(request, Wanted)
    found = await request.app[OPERATIONS].segments.find_many(
        [each.id for each in asked.ids], by=request[CALLER]
    )
    sandbox = await of_caller(request)
    results = {each.id: wire.segment(each, sandbox) for each in found}
    return answer({"results": results}, HTTPStatus.MULTI_STATUS)


async def change(request: web.Request) -> web.Response:
    asked = await read(request, Document)

    def changed(old: SegmentDefinition) -> SegmentDraft:
        document = merged(wire.written(old), asked.root)
        return checked(wire.NewSegment, document, "the segment").draft()

    made = await request.app[OPERATIONS].segments.revise(_id(request), changed, by=request[CALLER])
    return answer(wire.segment(made, await of_caller(request)))


async def remove(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].segments.remove(_id(request), by=request[CALLER])
    return web.Response()


def _id(request: web.Request) -> str:
    return request.match_info["id"]


ROUTES = [
    web.get(wire.DEFINITIONS, listing),
    web.post(wire.DEFINITIONS, create),
    web.post(wire.DEFINITIONS + "/bulk-get", show_many),
    web.get(wire.DEFINITIONS + "/{id}", show),
    web.patch(wire.DEFINITIONS + "/{id}", change),
    web.delete(wire.DEFINITIONS + "/{id}", remove),
]
