"""Projects and their spaces: list them, make and change them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from service.surfaces.creating import creating
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API, PORTAL
from service.surfaces.growingio.wire import projects as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, read


async def listing(request: web.Request) -> web.Response:
    operations = request.app[OPERATIONS]
    ids = await operations.hash_ids.known()
    return answer(
        [wire.project(each, ids) for each in await operations.projects.all(by=request[CALLER])]
    )


@creating
async def create(request: web.Request) -> web.Response:
    asked, operations = await read(request, wire.NewProject), request.app[OPERATIONS]
    made = await operations.projects.open(asked.key, asked.name, by=request[CALLER])
    return answer(wire.project(made, await operations.hash_ids.known()))


async def rename(request: web.Request) -> web.Response:
    asked, operations = await read(request, wire.NewTitle), request.app[OPERATIONS]
    changed = await operations.projects.retitle(await place_of(request), asked.name)
    return answer(wire.project(changed, await operations.hash_ids.known()))


async def list_spaces(request: web.Request) -> web.Response:
    operations = request.app[OPERATIONS]
    found = await operations.projects.spaces(await place_of(request))
    ids = await operations.hash_ids.known()
    return answer([wire.space(each, ids) for each in found])


@creating
async def create_space(request: web.Request) -> web.Response:
    asked, operations = await read(request, wire.NewSpace), request.app[OPERATIONS]
    made = await operations.projects.add_space(await place_of(request), asked.draft())
    return answer(wire.space(made, await operations.hash_ids.known()))


async def replace_space(request: web.Request) -> web.Response:
    asked, operations = await read(request, wire.NewSpace), request.app[OPERATIONS]
    changed = await operations.projects.revise_space(await place_of(request), asked.draft())
    return answer(wire.space(changed, await operations.hash_ids.known()))


async def remove_space(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].projects.remove_space(await place_of(request))
    return web.Response(status=HTTPStatus.NO_CONTENT)


ROUTES = [
    web.get(OPEN_API + "/projects", listing),
    web.post(OPEN_API + "/projects", create),
    web.put(OPEN_API + "/projects/{project}", rename),
    web.get(PORTAL + "/spaces", list_spaces),
    web.post(PORTAL + "/spaces", create_space),
    web.put(PORTAL + "/spaces/{space}", replace_space),
    web.delete(PORTAL + "/spaces/{space}", remove_space),
]
