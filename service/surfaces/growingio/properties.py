"""Identities, user properties and tags: list them, define, change and remove them."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from catalog.errors import InvalidField
from catalog.properties import Property, PropertyKind, kind_of
from service.surfaces.creating import creating
from service.surfaces.growingio.languages import computation_triggered, language_of
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API
from service.surfaces.growingio.wire import properties as wire
from service.surfaces.growingio.wire.pages import Page, makers, page
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read


async def listing(request: web.Request) -> web.Response:
    asked, place = query(request, Page), await place_of(request)
    found = await request.app[OPERATIONS].properties.all(place, _kind(request))
    shown = found[asked.offset : asked.offset + asked.limit]
    return answer(page(await _told(request, shown), asked, len(found)))


@creating
async def create(request: web.Request) -> web.Response:
    asked, place = await read(request, wire.NewProperty), await place_of(request)
    key = asked.key or ""
    if kind_of(key) is not _kind(request):
        raise InvalidField("key", f"{key} is no key of what is listed here")
    made = await request.app[OPERATIONS].properties.define(asked.draft(key), place)
    return answer((await _told(request, [made]))[0])


async def show(request: web.Request) -> web.Response:
    return answer((await _told(request, [await _found(request)]))[0])


async def replace(request: web.Request) -> web.Response:
    asked, found = await read(request, wire.NewProperty), await _found(request)
    if asked.key not in {None, found.key}:
        raise InvalidField("key", f"a key never changes: this one is {found.key}")
    changed = await request.app[OPERATIONS].properties.revise(
        asked.draft(found.key), await place_of(request)
    )
    return answer((await _told(request, [changed]))[0])


async def remove(request: web.Request) -> web.Response:
    found = await _found(request)
    await request.app[OPERATIONS].properties.remove(found.key, await place_of(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def compute(request: web.Request) -> web.Response:
    """Say that a tag is computed: its values are read with the profiles, and never out of date."""
    await _found(request)
    return answer({"value": True, "message": computation_triggered(language_of(request))})


def _kind(request: web.Request) -> PropertyKind:
    resource = request.match_info.route.resource
    written = resource.canonical if resource is not None else ""
    return next(kind for name, kind in wire.COLLECTIONS.items() if f"/{name}" in written)


async def _found(request: web.Request) -> Property:
    return await request.app[OPERATIONS].properties.find(
        request.match_info["key"], await place_of(request), _kind(request)
    )


async def _told(request: web.Request, found: Sequence[Property]) -> list[dict[str, object]]:
    operations = request.app[OPERATIONS]
    names = await operations.clients.names(makers(found), by=request[CALLER])
    ids = await operations.hash_ids.known()
    return [wire.property(each, names, ids) for each in found]


_PROJECT = OPEN_API + "/projects/{project}"

ROUTES = [
    *(web.get(f"{_PROJECT}/{each}", listing) for each in wire.COLLECTIONS),
    *(web.post(f"{_PROJECT}/{each}", create) for each in wire.COLLECTIONS),
    *(web.get(f"{_PROJECT}/{each}/{{key}}", show) for each in wire.COLLECTIONS),
    *(web.put(f"{_PROJECT}/{each}/{{key}}", replace) for each in wire.COLLECTIONS),
    *(web.delete(f"{_PROJECT}/{each}/{{key}}", remove) for each in wire.COLLECTIONS),
    web.get(OPEN_API + "/user_tags", listing),
    web.get(_PROJECT + "/spaces/{space}/user_tags", listing),
    web.post(OPEN_API + "/user_tags/{key}/computes", compute),
    web.post(_PROJECT + "/user_tags/{key}/computes", compute),
    web.post(_PROJECT + "/spaces/{space}/user_tags/{key}/computes", compute),
]
