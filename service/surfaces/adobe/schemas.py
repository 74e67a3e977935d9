"""Schemas, unions and identity descriptors, as Adobe's Schema Registry keeps them.

``Accept`` chooses between forms of one thing and is never refused: known clients send versions
that do not exist, or no such header.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.schemas import Schema
from service.surfaces.adobe.wire import schemas as wire
from service.surfaces.adobe.wire.documents import Document, Patch
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, read

_REGISTRY = "/data/foundation/schemaregistry"


async def register(request: web.Request) -> web.Response:
    body = await read(request, Document)
    made = await request.app[OPERATIONS].schemas.register(
        wire.document(body.root), by=request[CALLER]
    )
    return answer(_shown(request, made), HTTPStatus.CREATED)


async def listing(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].schemas.list(by=request[CALLER])
    return answer(_listed(request, [_shown(request, each) for each in found]))


async def show(request: web.Request) -> web.Response:
    id = _id(request)
    if wire.is_union_id(id):
        return await show_union(request)
    found = await request.app[OPERATIONS].schemas.find(id, by=request[CALLER])
    return answer(_shown(request, found))


async def change(request: web.Request) -> web.Response:
    asked = await read(request, Patch)
    changed = await request.app[OPERATIONS].schemas.revise(
        _id(request), lambda old: wire.document(asked.applied(old)), by=request[CALLER]
    )
    return answer(_shown(request, changed))


async def list_unions(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].schemas.union(by=request[CALLER])
    return answer(_listed(request, wire.unions(found)))


async def show_union(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].schemas.union(by=request[CALLER])
    return answer(wire.union(found, _id(request)))


async def add_descriptor(request: web.Request) -> web.Response:
    body = await read(request, Document)
    asked = checked(wire.NewDescriptor, body.root, "the descriptor")
    caller = request[CALLER]
    made = await request.app[OPERATIONS].schemas.add_descriptor(asked.draft(body.root), by=caller)
    return answer(wire.descriptor(made, caller.scope.organisation_id), HTTPStatus.CREATED)


async def list_descriptors(request: web.Request) -> web.Response:
    caller = request[CALLER]
    found = await request.app[OPERATIONS].schemas.descriptors(by=caller)
    shown = [wire.descriptor(each, caller.scope.organisation_id) for each in found]
    properties = request.query.getall("property", [])
    return answer(wire.listing(shown, properties, accept=""))


async def show_descriptor(request: web.Request) -> web.Response:
    caller = request[CALLER]
    found = await request.app[OPERATIONS].schemas.find_descriptor(_id(request), by=caller)
    return answer(wire.descriptor(found, caller.scope.organisation_id))


async def stats(request: web.Request) -> web.Response:
    caller = request[CALLER]
    found = await request.app[OPERATIONS].schemas.list(by=caller)
    return answer(wire.stats(found, caller.scope.organisation_id))


def _id(request: web.Request) -> str:
    """The id as a client wrote it: escaped once or not at all."""
    return request.match_info["id"].rstrip("/")


def _shown(request: web.Request, found: Schema) -> wire.Shown:
    is_full = "-full" in request.headers.get("Accept", "")
    return wire.schema(found, request[CALLER].scope.organisation_id, is_full=is_full)


def _listed(request: web.Request, found: list[wire.Shown]) -> wire.Shown:
    accept = request.headers.get("Accept", "")
    return wire.listing(found, request.query.getall("property", []), accept)


ROUTES = [
    web.get(_REGISTRY + "/stats", stats),
    web.get(_REGISTRY + "/tenant/schemas", listing),
    web.post(_REGISTRY + "/tenant/schemas", register),
    web.get(_REGISTRY + "/tenant/schemas/{id:.+}", show),
    web.patch(_REGISTRY + "/tenant/schemas/{id:.+}", change),
    web.get(_REGISTRY + "/tenant/unions", list_unions),
    web.get(_REGISTRY + "/tenant/unions/{id:.+}", show_union),
    web.get(_REGISTRY + "/tenant/descriptors", list_descriptors),
    web.post(_REGISTRY + "/tenant/descriptors", add_descriptor),
    web.get(_REGISTRY + "/tenant/descriptors/{id}", show_descriptor),
]
