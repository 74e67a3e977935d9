"""Batch ingestion: open a batch, send its files, complete it, give it up or take it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import web

from catalog.batches import Batch, BatchId
from catalog.errors import Invalid, InvalidField, UnsupportedMedia
from service.surfaces.adobe.wire import batches as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, read

_BATCHES = "/data/foundation/import/batches"
_BYTES = "application/octet-stream"


async def open_batch(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewBatch)
    batch = await request.app[OPERATIONS].batches.open(asked.noun(), by=request[CALLER])
    return answer(_wire(request, batch), HTTPStatus.CREATED)


async def show(request: web.Request) -> web.Response:
    return answer(
        _wire(request, await request.app[OPERATIONS].batches.find(_id(request), by=request[CALLER]))
    )


async def act(request: web.Request) -> web.Response:
    batches, action = request.app[OPERATIONS].batches, request.query.get("action", "").upper()
    actions = {
        "COMPLETE": batches.complete,
        "ABORT": batches.abort,
        "FAIL": batches.fail,
        "REVERT": batches.revert,
    }
    if action not in actions:
        raise InvalidField("action", f"{action!r} is none of {', '.join(actions)}")
    return answer(_wire(request, await actions[action](_id(request), by=request[CALLER])))


async def upload(request: web.Request) -> web.Response:
    """Keep one file. The answer is an empty object: some clients parse it, none reads it."""
    # aiohttp takes a missing media type for application/octet-stream.
    if request.content_type != _BYTES:
        raise UnsupportedMedia(f"files are sent as {_BYTES}, not as {request.content_type}")
    await request.app[OPERATIONS].batches.upload(
        _id(request),
        request.match_info["dataset_id"],
        request.match_info["path"],
        _body(request),
        announced_bytes=request.content_length,
        by=request[CALLER],
    )
    return answer({})


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes; refuses one that is not what its own headers say."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError as error:
        raise Invalid("the body cannot be read to its end: nothing of it is kept") from error


def _id(request: web.Request) -> BatchId:
    return BatchId(request.match_info["id"])


def _wire(request: web.Request, batch: Batch) -> object:
    return wire.batch(batch, request[CALLER].scope)


ROUTES = [
    web.post(_BATCHES, open_batch),
    web.get(_BATCHES + "/{id}", show),
    web.post(_BATCHES + "/{id}", act),
    # Line breaks too: a path that holds one is refused by name, not unheard of.
    web.put(_BATCHES + r"/{id}/datasets/{dataset_id}/files/{path:[\s\S]+}", upload),
]
