"""Merge policies, as Adobe's Real-Time Customer Profile API configures them."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.merge_policies import MergePolicy, MergePolicyDraft
from service.surfaces.adobe.sandboxes import of_caller
from service.surfaces.adobe.wire import merge_policies as wire
from service.surfaces.adobe.wire.documents import Patch
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, query, read

_POLICIES = "/data/core/ups/config/mergePolicies"


@creating
async def create(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewMergePolicy)
    made = await request.app[OPERATIONS].merge_policies.create(asked.draft(), by=request[CALLER])
    return answer(wire.policy(made, await of_caller(request)))


async def listing(request: web.Request) -> web.Response:
    asked = query(request, wire.Listing)
    found, total_count = await request.app[OPERATIONS].merge_policies.page(
        by=request[CALLER], limit=asked.limit, skip=asked.start, filter=asked.filter()
    )
    sandbox, words = await of_caller(request), dict(request.query)
    return answer(wire.listing(found, total_count, asked, words, sandbox))


async def show(request: web.Request) -> web.Response:
    found = await request.app[OPERATIONS].merge_policies.find(_id(request), by=request[CALLER])
    return answer(wire.policy(found, await of_caller(request)))


async def show_many(request: web.Request) -> web.Response:
    asked = await read(request, wire.Wanted)
    found = await request.app[OPERATIONS].merge_policies.find_many(
        [each.id for each in asked.ids], by=request[CALLER]
    )
    sandbox = await of_caller(request)
    results = {each.id: wire.policy(each, sandbox) for each in found}
    return answer({"results": results}, HTTPStatus.MULTI_STATUS)


async def replace(request: web.Request) -> web.Response:
    draft = (await read(request, wire.NewMergePolicy)).draft()
    changed = await request.app[OPERATIONS].merge_policies.revise(
        _id(request), lambda _: draft, by=request[CALLER]
    )
    return answer(wire.policy(changed, await of_caller(request)))


async def patch(request: web.Request) -> web.Response:
    asked = await read(request, Patch)

    def change(old: MergePolicy) -> MergePolicyDraft:
        document = wire.patched(old, asked)
        return checked(wire.NewMergePolicy, document, "the merge policy").draft()

    changed = await request.app[OPERATIONS].merge_policies.revise(
        _id(request), change, by=request[CALLER]
    )
    return answer(wire.policy(changed, await of_caller(request)))


async def remove(request: web.Request) -> web.Response:
    await request.app[OPERATIONS].merge_policies.remove(_id(request), by=request[CALLER])
    return web.Response()


def _id(request: web.Request) -> str:
    return request.match_info["id"]


ROUTES = [
    web.get(_POLICIES, listing),
    web.post(_POLICIES, create),
    web.post(_POLICIES + "/bulk-get", show_many),
    web.get(_POLICIES + "/{id}", show),
    web.put(_POLICIES + "/{id}", replace),
    web.patch(_POLICIES + "/{id}", patch),
    web.delete(_POLICIES + "/{id}", remove),
]
