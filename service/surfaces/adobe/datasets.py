"""Data sets, as Adobe's Catalog keeps them. Answers are keyed by id; changes answer references."""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus

from aiohttp import web

from catalog.datasets import Dataset, DatasetDraft, DatasetId, view_id
from catalog.errors import NotFound
from service.surfaces.adobe.conditions import tagged, terms
from service.surfaces.adobe.wire import datasets as wire
from service.surfaces.adobe.wire.documents import Change, Document, merged
from service.surfaces.adobe.wire.filters import Selection
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, checked, query, read

_CATALOG = "/data/foundation/catalog"
_DATASETS = f"{_CATALOG}/dataSets"


@creating
async def create(request: web.Request) -> web.Response:
    """Make a data set; a trial makes none and has no reference to answer."""
    body, asked = await read(request, Document), terms(request)
    draft = checked(wire.NewDataset, body.root, "the data set").draft()
    made = await request.app[OPERATIONS].datasets.create(draft, terms=asked, by=request[CALLER])
    if asked.is_trial:
        return answer([])
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
    asked, caller, id = query(request, Selection), request[CALLER], _id(request)
    found = await request.app[OPERATIONS].datasets.find(id, by=caller)
    shown = wire.dataset(found, caller.scope)
    if "observableSchema" in (asked.names() or ()):
        fields = await request.app[OPERATIONS].data_access.observed(id, by=caller)
        shown |= wire.observable_schema(fields)
    return answer({id: asked.of(shown)}, headers=tagged(found.dataset.version))


async def change(request: web.Request) -> web.Response:
    asked = await read(request, Change)
    return await _revised(request, lambda old: _draft(asked.applied(wire.written(old))))


async def merge(request: web.Request) -> web.Response:
    """Lay an object over what is said of a data set, at any depth."""
    asked = await read(request, Document)
    return await _revised(request, lambda old: _draft(merged(wire.written(old), asked.root)))


async def replace(request: web.Request) -> web.Response:
    asked = await read(request, Document)
    return await _revised(request, lambda _: _draft(asked.root))


async def remove(request: web.Request) -> web.Response:
    gone = await request.app[OPERATIONS].datasets.delete(
        _id(request), terms=terms(request), by=request[CALLER]
    )
    return answer([wire.reference(gone)])


async def list_files(request: web.Request) -> web.Response:
    asked, caller = query(request, wire.Files), request[CALLER]
    found = await request.app[OPERATIONS].datasets.files(
        asked.filter(request.query.getall("property", [])),
        limit=asked.limit,
        skip=asked.start,
        by=caller,
    )
    return answer(dict(asked.keyed(found, caller.scope)))


async def list_files_of_view(request: web.Request) -> web.Response:
    asked, caller, id = query(request, wire.Files), request[CALLER], _id(request)
    view = request.match_info["view"]
    if view != view_id(id):
        raise NotFound(f"view of data set {id}", view)
    found = await request.app[OPERATIONS].datasets.files(
        asked.filter(request.query.getall("property", []), of=id),
        of=id,
        limit=asked.limit,
        skip=asked.start,
        by=caller,
    )
    return answer(dict(asked.keyed(found, caller.scope)))


async def last_batches(request: web.Request) -> web.Response:
    asked, caller = query(request, wire.LastBatches), request[CALLER]
    found = await request.app[OPERATIONS].datasets.page(
        asked.filter(request.query.getall("property", [])),
        limit=asked.limit,
        skip=asked.start,
        by=caller,
    )
    return answer({each.dataset.id: asked.of(wire.latest(each, caller.scope)) for each in found})


async def _revised(request: web.Request, change: Callable[[Dataset], DatasetDraft]) -> web.Response:
    changed = await request.app[OPERATIONS].datasets.revise(
        _id(request), change, terms=terms(request), by=request[CALLER]
    )
    return answer([wire.reference(changed)])


def _draft(document: dict[str, object]) -> DatasetDraft:
    return checked(wire.NewDataset, document, "the data set").draft()


def _id(request: web.Request) -> DatasetId:
    return DatasetId(request.match_info["id"])


ROUTES = [
    web.get(_DATASETS, listing),
    web.post(_DATASETS, create),
    web.get(_DATASETS + "/{id}", show),
    web.patch(_DATASETS + "/{id}", change),
    web.post(_DATASETS + "/{id}", merge),
    web.put(_DATASETS + "/{id}", replace),
    web.delete(_DATASETS + "/{id}", remove),
    web.patch(_CATALOG + "/v2/dataSets/{id}", merge),
    web.get(_DATASETS + "/{id}/views/{view}/files", list_files_of_view),
    web.get(_CATALOG + "/dataSetFiles", list_files),
    web.get(_CATALOG + "/lastBatches", last_batches),
]
