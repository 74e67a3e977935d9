"""Profiles one by one: their merged attributes, their events, and why they are so."""

from __future__ import annotations

from aiohttp import web

from service.surfaces.adobe.wire import entities as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read


async def show(request: web.Request) -> web.Response:
    asked = query(request, wire.EntityQuery)
    order = asked.request()
    (found,) = await request.app[OPERATIONS].entities.look_up(order, by=request[CALLER])
    if order.events is not None:
        return answer(wire.events(found, asked))
    return answer(wire.profile(found, is_explained=asked.explain))


async def show_many(request: web.Request) -> web.Response:
    asked = await read(request, wire.EntityLookup)
    is_explained = query(request, wire.Explaining).explain
    order = asked.request(is_explained=is_explained)
    found = await request.app[OPERATIONS].entities.look_up(order, by=request[CALLER])
    if order.events is not None:
        return answer(wire.many_events(found, asked, is_explained=is_explained))
    return answer(wire.profiles(found, is_explained=is_explained))


ROUTES = [
    web.get(wire.ENTITIES, show),
    web.post(wire.ENTITIES, show_many),
]
