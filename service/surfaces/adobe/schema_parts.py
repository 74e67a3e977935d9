"""Classes, field groups and data types, as Adobe's Schema Registry keeps them: one way for all."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.schema_parts import PartKind
from service.surfaces.adobe.wire import registry, schemas
from service.surfaces.adobe.wire import schema_parts as wire
from service.surfaces.adobe.wire.documents import Document, Patch
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read

_TENANT = "/data/foundation/schemaregistry/tenant"


@creating
async def register(request: web.Request) -> web.Response:
    body, caller = await read(request, Document), request[CALLER]
    made = await request.app[OPERATIONS].schema_parts.register(
        _kind(request), schemas.document(body.root), by=caller
    )
    return answer(wire.part(made, caller.scope.organisation_id), HTTPStatus.CREATED)


async def listing(request: web.Request) -> web.Response:
    asked, caller = query(request, registry.Page), request[CALLER]
    found = await request.app[OPERATIONS].schema_parts.list(_kind(request), by=caller)
    shown = [wire.part(each, caller.scope.organisation_id) for each in found]
    properties = request.query.getall("property", [])
    return answer(asked.listing(shown, properties, request.headers.get("Accept", "")))


async def show(request: web.Request) -> web.Response:
    caller = request[CALLER]
    found, fields = await request.app[OPERATIONS].schema_parts.find(
        _kind(request), _id(request), by=caller
    )
    is_full = "-full" in request.headers.get("Accept", "")
    return answer(wire.part(found, caller.scope.organisation_id, fields if is_full else None))


async def change(request: web.Request) -> web.Response:
    asked, caller = await read(request, Patch), request[CALLER]
    changed = await request.app[OPERATIONS].schema_parts.revise(
        _kind(request),
        _id(request),
        lambda old: schemas.document(asked.applied(old)),
        by=caller,
    )
    return answer(wire.part(changed, caller.scope.organisation_id))


async def replace(request: web.Request) -> web.Response:
    body, caller = await read(request, Document), request[CALLER]
    changed = await request.app[OPERATIONS].schema_parts.revise(
        _kind(request), _id(request), lambda _: schemas.document(body.root), by=caller
    )
    return answer(wire.part(changed, caller.scope.organisation_id))


async def remove(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].schema_parts.remove(
        _kind(request), _id(request), by=request[CALLER]
    )
    return web.Response(status=HTTPStatus.NO_CONTENT)


def _kind(request: web.Request) -> PartKind:
    """The kind of parts an address is about, by the collection it names in any spelling."""
    collection = request.path.lower().removeprefix(f"{_TENANT}/").partition("/")[0]
    return wire.COLLECTIONS[collection]


def _id(request: web.Request) -> str:
    """The id as a client wrote it: escaped once or not at all."""
    return request.match_info["id"].rstrip("/")


ROUTES = [
    route
    for kind in PartKind
    for route in (
        web.get(f"{_TENANT}/{kind}", listing),
        web.post(f"{_TENANT}/{kind}", register),
        web.get(f"{_TENANT}/{kind}/{{id:.+}}", show),
        web.patch(f"{_TENANT}/{kind}/{{id:.+}}", change),
        web.put(f"{_TENANT}/{kind}/{{id:.+}}", replace),
        web.delete(f"{_TENANT}/{kind}/{{id:.+}}", remove),
    )
]
