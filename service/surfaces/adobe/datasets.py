"""Data sets, as Adobe's Catalog keeps them. Answers are keyed by id; changes answer references."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog.datasets import Dataset, DatasetDraft, DatasetId
from service.surfaces.adobe.wire import datasets as wire
from service.surfaces.adobe.wire.documents import Change, Document
from service.surfaces.adobe.wire.filters import Selection
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, query, read

_DATASETS = "/data/foundation/catalog/dataSets"


async def create(request: web.Request) -> web.Response:
    body = await read(request, Document)
    draft = checked(wire.NewDataset, body.root, "the data set").draft()
    made = await request.app[OPERATIONS].datasets.create(draft, by=request[CALLER])
    location = {"Location": f"{_DATASETS}/{made.id}"}
    return answer([wire.reference(made)], HTTPStatus.CREATED, location)


async def listing(request: web.Request) -> web.Response:
    asked, caller = query(request, wire.Listing), request[CALLER]
    found = await request.app[OPERATIONS].datasets.page(
        asked.filter(request.query.getall("property", [])),
        limit=asked.limit,
        skip=asked.start,
        by=caller,
    )
    return answer({each.dataset.id: asked.of(wire.dataset(each, caller.scope)) for each in found})


async def show(request: web.Request) -> web.Response:
    asked, caller = query(request, Selection), request[CALLER]
    found = await request.app[OPERATIONS].datasets.find(_id(request), by=caller)
    return answer({found.dataset.id: asked.of(wire.dataset(found, caller.scope))})


async def change(request: web.Request) -> web.Response:
    asked = await read(request, Change)

    def revise(old: Dataset) -> DatasetDraft:
        document = asked.applied(wire.written(old))
        return checked(wire.NewDataset, document, "the data set").draft()

    changed = await request.app[OPERATIONS].datasets.revise(
        _id(request), revise, by=request[CALLER]
    )
    return answer([wire.reference(changed)])


def _id(request: web.Request) -> DatasetId:
    return DatasetId(request.match_info["id"])


ROUTES = [
    web.get(_DATASETS, listing),
    web.post(_DATASETS, create),
    web.get(_DATASETS + "/{id}", show),
    web.patch(_DATASETS + "/{id}", change),
]
