"""Data Access: which files a batch has, what is told about it, and bytes, whole or in part."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import PurePosixPath

from aiohttp import hdrs, web

from catalog.batches import BatchId, DatasetFile, MetaFile
from catalog.datasets import DatasetId
from catalog.errors import InvalidField, NotFound
from service.surfaces.adobe.errors import problem
from service.surfaces.adobe.wire import data_access as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, query
from service.surfaces.ranges import Span, Unsatisfiable, asked_span
from service.surfaces.sending import stream

#: By what a file's name ends with. Files of JSON have a document on each line.
_MEDIA_TYPES = {".parquet": "application/parquet", ".json": "application/x-ndjson"}


#: Whoever got it may keep it, and must ask whether it may still be seen.
_CACHE_CONTROL = "private, no-cache"


async def list_files(request: web.Request) -> web.Response:
    asked, batch_id = query(request, wire.Page), BatchId(request.match_info["id"])
    found = await request.app[OPERATIONS].data_access.files(
        batch_id, skip=asked.start, most=asked.limit, by=request[CALLER]
    )
    return answer(wire.batch_files(batch_id, found, asked, _host(request)))


async def show_file(request: web.Request) -> web.StreamResponse:
    """Describe a file or, with ``path``, send its bytes."""
    batch_id, number = wire.parse_file_id(request.match_info["id"])
    path = request.query.get("path")
    if path is None and request.method == hdrs.METH_HEAD:
        raise InvalidField("path", "name the file, as its listing does")
    file = await request.app[OPERATIONS].data_access.file(batch_id, number, by=request[CALLER])
    if path is None:
        return answer(wire.single_file(file, query(request, wire.Page), _host(request)))
    if path != file.name:
        raise NotFound(f"file in {wire.file_id(file)} named", path)
    return await _send(request, file, f"{batch_id}/{file.name}")


async def show_meta(request: web.Request) -> web.StreamResponse:
    """List what is told about a batch or, when ``path`` is that of a file, send its bytes."""
    batch_id = BatchId(request.match_info["id"])
    files = await request.app[OPERATIONS].data_access.meta(batch_id, by=request[CALLER])
    folder = wire.Folder(batch_id, "meta")
    return await _show_folder(request, folder, files, query(request, wire.Page))


async def show_failed(request: web.Request) -> web.StreamResponse:
    """List the files of a batch's refused rows or, when ``path`` names one, send its bytes."""
    batch_id = BatchId(request.match_info["id"])
    files = await request.app[OPERATIONS].data_access.failed(batch_id, by=request[CALLER])
    folder = wire.Folder(batch_id, "failed")
    return await _show_folder(request, folder, files, query(request, wire.Page))


async def _show_folder(
    request: web.Request, folder: wire.Folder, files: Sequence[MetaFile], asked: wire.Page
) -> web.StreamResponse:
    path = request.query.get("path", "").strip("/")
    for file in files:
        if file.path == path:
            return await _send(request, file, f"{folder.batch_id}/{folder.name}/{file.path}")
    below = [file for file in files if file.path.startswith(f"{path}/")] if path else files
    if path and not below:
        raise NotFound(f"{folder.name} file of batch {folder.batch_id} under", path)
    return answer(wire.meta_files(folder, below, path, asked, _host(request)))


async def preview(request: web.Request) -> web.Response:
    dataset_id = DatasetId(request.match_info["id"])
    rows = await request.app[OPERATIONS].data_access.preview(dataset_id, by=request[CALLER])
    return answer({"data": rows})


async def _send(
    request: web.Request, file: DatasetFile | MetaFile, called: str
) -> web.StreamResponse:
    """Send a file, or what is asked of it, once the audit log has it under what it is called."""
    etag = f'"{file.sha256}"'
    headers = {
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: _CACHE_CONTROL,
        hdrs.ETAG: etag,
        hdrs.CONTENT_TYPE: _media_type(file),
    }
    if any(known.value in {file.sha256, "*"} for known in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={hdrs.ETAG: etag})
    try:
        span = _asked_span(request, file, etag)
    except Unsatisfiable:
        return _unsatisfiable(request, file)
    start, length = (0, file.size_bytes) if span is None else (span.start, span.length)
    if span is not None:
        headers[hdrs.CONTENT_RANGE] = f"bytes {start}-{start + length - 1}/{file.size_bytes}"
    response = web.StreamResponse(
        status=HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT, headers=headers
    )
    response.content_length = length
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    data_access = request.app[OPERATIONS].data_access
    await data_access.note_download(called, is_whole=span is None, by=request[CALLER])
    chunks = data_access.content(file, start, length)
    return await stream(request, response, chunks)


def _asked_span(request: web.Request, file: DatasetFile | MetaFile, etag: str) -> Span | None:
    if request.method == hdrs.METH_HEAD or request.headers.get(hdrs.IF_RANGE, etag) != etag:
        return None
    return asked_span(request.headers.get(hdrs.RANGE), file.size_bytes)


def _media_type(file: DatasetFile | MetaFile) -> str:
    name = file.name if isinstance(file, DatasetFile) else file.path
    return _MEDIA_TYPES.get(PurePosixPath(name).suffix, "application/octet-stream")


def _unsatisfiable(request: web.Request, file: DatasetFile | MetaFile) -> web.Response:
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    detail = f"{request.headers[hdrs.RANGE]}: the file has {file.size_bytes} bytes"
    body = problem(request, status, code="range_not_satisfiable", detail=detail)
    return answer(body, status, {hdrs.CONTENT_RANGE: f"bytes */{file.size_bytes}"})


def _host(request: web.Request) -> str:
    """Where this service is, as the caller reached it; headers of proxies are not believed."""
    return f"{request.scheme}://{request.host}"


ROUTES = [
    web.get(wire.EXPORT + "/batches/{id}/files", list_files),
    web.get(wire.EXPORT + "/batches/{id}/failed", show_failed),
    web.get(wire.EXPORT + "/batches/{id}/meta", show_meta),
    web.get(wire.EXPORT + "/datasets/{id}/preview", preview),
    web.get(wire.EXPORT + "/files/{id}", show_file),
]
