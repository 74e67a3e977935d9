"""Segments of a project or a space: list them, have them computed, say which space they are of."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from catalog.spaces import PlacedSegment
from service.surfaces.growingio.languages import computation_triggered, language_of
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API
from service.surfaces.growingio.wire import segments as wire
from service.surfaces.growingio.wire.pages import Page, makers, page
from service.surfaces.http import CALLER, OPERATIONS, answer, query


async def listing(request: web.Request) -> web.Response:
    asked, place = query(request, Page), await place_of(request)
    found, total_count = await request.app[OPERATIONS].placed_segments.page(
        place, limit=asked.limit, skip=asked.offset
    )
    return answer(page(await _told(request, found), asked, total_count))


async def show(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].placed_segments.find(
        request.match_info["key"], await place_of(request)
    )
    return answer((await _told(request, [found]))[0])


async def put(request: web.Request) -> web.Response:
    """Give a segment to a space, or to the project as a whole."""
    placed = await request.app[OPERATIONS].placed_segments.put(
        request.match_info["key"], await place_of(request)
    )
    return answer((await _told(request, [placed]))[0])


async def compute(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].placed_segments.compute(
        request.match_info["key"], await place_of(request)
    )
    return answer({"value": True, "message": computation_triggered(language_of(request))})


async def _told(request: web.Request, found: Sequence[PlacedSegment]) -> list[dict[str, object]]:
    operations = request.app[OPERATIONS]
    who = makers([each.segment for each in found])
    names = await operations.clients.names(who, by=request[CALLER])
    ids = await operations.hash_ids.known()
    return [wire.segment(each, names, ids) for each in found]


_PROJECT = OPEN_API + "/projects/{project}/segment_profiles"
_SPACE = OPEN_API + "/projects/{project}/spaces/{space}/segment_profiles"

ROUTES = [
    web.get(_PROJECT, listing),
    web.get(_SPACE, listing),
    web.get(_PROJECT + "/{key}", show),
    web.get(_SPACE + "/{key}", show),
    web.put(_PROJECT + "/{key}", put),
    web.put(_SPACE + "/{key}", put),
    web.post(_PROJECT + "/{key}/computes", compute),
    web.post(_SPACE + "/{key}/computes", compute),
]
