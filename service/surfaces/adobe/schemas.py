"""Schemas, unions and identity descriptors, as Adobe's Schema Registry keeps them.

``Accept`` chooses between forms of one thing and is never refused: known clients send versions
that do not exist, or no such header.
"""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from service.surfaces.adobe.wire import registry
from service.surfaces.adobe.wire import schemas as wire
from service.surfaces.adobe.wire.documents import Document, Patch
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, query, read

#: The one type of descriptors that has an effect.
IDENTITY = "xdm:descriptorIdentity"

_REGISTRY = "/data/foundation/schemaregistry"


@creating
async def register(request: web.Request) -> web.Response:
    body = await read(request, Document)
    made = await request.app[OPERATIONS].schemas.register(
        wire.document(body.root), by=request[CALLER]
    )
    shown = wire.schema(made, request[CALLER].scope.organisation_id, _accept(request))
    return answer(shown, HTTPStatus.CREATED)


async def listing(request: web.Request) -> web.Response:
    asked, caller = query(request, registry.Page), request[CALLER]
    found = await request.app[OPERATIONS].schemas.list(by=caller)
    shown = [wire.schema(each, caller.scope.organisation_id, _accept(request)) for each in found]
    properties = request.query.getall("property", [])
    return answer(asked.listing(shown, properties, _accept(request)))


async def show(request: web.Request) -> web.Response:
    id, caller = _id(request), request[CALLER]
    if wire.is_union_id(id):
        return await show_union(request)
    found = await request.app[OPERATIONS].schemas.find(id, by=caller)
    of_schema = [
        each
        for each in await request.app[OPERATIONS].schemas.descriptors(by=caller)
        if each.schema_id == found.id
    ]
    return answer(wire.schema(found, caller.scope.organisation_id, _accept(request), of_schema))


async def change(request: web.Request) -> web.Response:
    asked, caller = await read(request, Patch), request[CALLER]
    changed = await request.app[OPERATIONS].schemas.revise(
        _id(request), lambda old: wire.document(asked.applied(old)), by=caller
    )
    return answer(wire.schema(changed, caller.scope.organisation_id, _accept(request)))


async def replace(request: web.Request) -> web.Response:
    body, caller = await read(request, Document), request[CALLER]
    changed = await request.app[OPERATIONS].schemas.revise(
        _id(request), lambda _: wire.document(body.root), by=caller
    )
    return answer(wire.schema(changed, caller.scope.organisation_id, _accept(request)))


async def remove(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].schemas.remove(_id(request), by=request[CALLER])
    return web.Response(status=HTTPStatus.NO_CONTENT)


async def list_unions(request: web.Request) -> web.Response:
    asked = query(request, registry.Page)
    found = await request.app[OPERATIONS].schemas.union(by=request[CALLER])
    properties = request.query.getall("property", [])
    return answer(asked.listing(wire.unions(found), properties, _accept(request)))


async def show_union(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].schemas.union(by=request[CALLER])
    return answer(wire.union(found, _id(request)))


@creating
async def add_descriptor(request: web.Request) -> web.Response:
    """Say that a field is an identity; whatever else is said of a schema is only kept."""
    body, caller = await read(request, Document), request[CALLER]
    schemas = request.app[OPERATIONS].schemas
    if body.root.get("@type", IDENTITY) == IDENTITY:
        asked = checked(wire.NewDescriptor, body.root, "the descriptor")
        made = await schemas.add_descriptor(asked.draft(body.root), by=caller)
    else:
        other = checked(wire.OtherDescriptor, body.root, "the descriptor")
        made = await schemas.keep_descriptor(other.source_schema, other.type, body.root, by=caller)
    return answer(wire.descriptor(made, caller.scope.organisation_id), HTTPStatus.CREATED)


async def list_descriptors(request: web.Request) -> web.Response:
    """All descriptors: a page, or by their types for callers who name one of those forms."""
    asked, caller = query(request, registry.Page), request[CALLER]
    found = await request.app[OPERATIONS].schemas.descriptors(by=caller)
    accept = _accept(request)
    if any(form in accept for form in ("xdm-id+json", "xdm-link+json", "xdm+json")):
        return answer(wire.descriptors(found, caller.scope.organisation_id, accept))
    shown = [wire.descriptor(each, caller.scope.organisation_id) for each in found]
    return answer(asked.listing(shown, request.query.getall("property", []), accept=""))


async def remove_descriptor(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].schemas.remove_descriptor(_id(request), by=request[CALLER])
    return web.Response(status=HTTPStatus.NO_CONTENT)


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


def _accept(request: web.Request) -> str:
    return request.headers.get("Accept", "")


ROUTES = [
    web.get(_REGISTRY + "/stats", stats),
    web.get(_REGISTRY + "/tenant/schemas", listing),
    web.post(_REGISTRY + "/tenant/schemas", register),
    web.get(_REGISTRY + "/tenant/schemas/{id:.+}", show),
    web.patch(_REGISTRY + "/tenant/schemas/{id:.+}", change),
    web.put(_REGISTRY + "/tenant/schemas/{id:.+}", replace),
    web.delete(_REGISTRY + "/tenant/schemas/{id:.+}", remove),
    web.get(_REGISTRY + "/tenant/unions", list_unions),
    web.get(_REGISTRY + "/tenant/unions/{id:.+}", show_union),
    web.get(_REGISTRY + "/tenant/descriptors", list_descriptors),
    web.post(_REGISTRY + "/tenant/descriptors", add_descriptor),
    web.get(_REGISTRY + "/tenant/descriptors/{id}", show_descriptor),
    web.delete(_REGISTRY + "/tenant/descriptors/{id}", remove_descriptor),
]
