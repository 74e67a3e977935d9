"""Batch ingestion: open a batch, send its files, complete it, give it up or take it back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http import HTTPStatus

from aiohttp import hdrs, web

from catalog.batches import Batch, BatchId
from catalog.errors import Invalid, InvalidField, UnsupportedMedia
from service.operations.large_files import Place
from service.surfaces.adobe.wire import batches as wire
from service.surfaces.adobe.wire import previews
from service.surfaces.creating import creating
from service.surfaces.http import CALLER, OPERATIONS, answer, query, read
from service.surfaces.ranges import received_header, sent_span

_BATCHES = "/data/foundation/import/batches"
#: Line breaks too: a path that holds one is refused by name, not unheard of.
_FILE = _BATCHES + r"/{id}/datasets/{dataset_id}/files/{path:[\s\S]+}"
_BYTES = "application/octet-stream"


@creating
async def open_batch(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewBatch)
    batch = await request.app[OPERATIONS].batches.open(asked.noun(), by=request[CALLER])
    return answer(_wire(request, batch), HTTPStatus.CREATED)


@creating
async def replay(request: web.Request) -> web.Response:
    """Open a batch that takes the place of others. One known client does it so, others by POST."""
    asked = (await read(request, wire.NewBatch)).noun()
    if asked.replay is None:
        raise InvalidField("replay", "names no batch to take the place of")
    batch = await request.app[OPERATIONS].batches.open(asked, by=request[CALLER])
    return answer(_wire(request, batch), HTTPStatus.CREATED)


async def show(request: web.Request) -> web.Response:
    return answer(
        _wire(request, await request.app[OPERATIONS].batches.find(_id(request), by=request[CALLER]))
    )


async def act(request: web.Request) -> web.Response:
    batches, action = request.app[OPERATIONS].batches, _action(request)
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
    _expect_bytes(request)
    await request.app[OPERATIONS].batches.upload(
        _id(request),
        request.match_info["dataset_id"],
        request.match_info["path"],
        _body(request),
        announced_bytes=request.content_length,
        by=request[CALLER],
    )
    return answer({})


async def act_on_file(request: web.Request) -> web.Response:
    """Begin a large file, or complete it. The answer has a body: one client demands it with 201."""
    large_files, action = request.app[OPERATIONS].large_files, _action(request)
    place, size_bytes = _place(request), 0
    match action:
        case "INITIALIZE":
            await large_files.begin(place, by=request[CALLER])
        case "COMPLETE":
            size_bytes = (await large_files.complete(place, by=request[CALLER])).size_bytes
        case _:
            raise InvalidField("action", f"{action!r} is none of INITIALIZE, COMPLETE")
    return answer(wire.file(place.path, size_bytes), HTTPStatus.CREATED)


async def receive(request: web.Request) -> web.Response:
    _expect_bytes(request)
    place = _place(request)
    spans = await request.app[OPERATIONS].large_files.receive(
        place,
        sent_span(request.headers.get(hdrs.CONTENT_RANGE)),
        _body(request),
        announced_bytes=request.content_length,
        by=request[CALLER],
    )
    received_bytes = sum(span.size_bytes for span in spans)
    return answer(wire.file(place.path, received_bytes), headers=received_header(spans))


async def measure(request: web.Request) -> web.Response:
    """Tell in a header which bytes of a file have come."""
    spans = await request.app[OPERATIONS].large_files.received(_place(request), by=request[CALLER])
    return web.Response(headers=received_header(spans), content_type="application/json")


async def preview(request: web.Request) -> web.Response:
    """Show the first rows of what was sent for a batch so far."""
    asked = query(request, previews.AskedPreview)
    shown = await request.app[OPERATIONS].previews.of_batch(
        _id(request), request.match_info["dataset_id"], asked.look(), by=request[CALLER]
    )
    return answer(previews.preview(shown))


def _expect_bytes(request: web.Request) -> None:
    # aiohttp takes a missing media type for application/octet-stream.
    if request.content_type != _BYTES:
        raise UnsupportedMedia(f"files are sent as {_BYTES}, not as {request.content_type}")


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    """The body as it comes; refuses one that is not what its own headers say."""
    try:
        async for chunk in request.content.iter_any():
            yield chunk
    except web.RequestPayloadError as error:
        raise Invalid("the body cannot be read to its end: nothing of it is kept") from error


def _id(request: web.Request) -> BatchId:
    return BatchId(request.match_info["id"])


def _action(request: web.Request) -> str:
    return request.query.get("action", "").upper()


def _place(request: web.Request) -> Place:
    return Place(
        batch_id=_id(request),
        dataset_id=request.match_info["dataset_id"],
        path=request.match_info["path"],
    )


def _wire(request: web.Request, batch: Batch) -> object:
    return wire.batch(batch, request[CALLER].scope)


ROUTES = [
    web.post(_BATCHES, open_batch),
    web.patch(_BATCHES, replay),
    web.get(_BATCHES + "/{id}", show),
    web.post(_BATCHES + "/{id}", act),
    web.get(_BATCHES + "/{id}/datasets/{dataset_id}/preview", preview),
    web.put(_FILE, upload),
    web.post(_FILE, act_on_file),
    web.patch(_FILE, receive),
    web.head(_FILE, measure),
]
