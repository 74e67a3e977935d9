"""Exports of users: submit, ask how it stands, download."""

from __future__ import annotations

from hashlib import sha256
from http import HTTPStatus
from urllib.parse import quote, unquote

from aiohttp import hdrs, web

from catalog.errors import InvalidField, NotFound
from catalog.jobs import JobId
from catalog.properties import PropertyKind
from catalog.spaces import Place
from catalog.user_lists import Charset, ListFormat, ListKind, UserList
from service.operations.hash_ids import Noun
from service.surfaces.creating import creating
from service.surfaces.growingio.errors import unsatisfiable
from service.surfaces.growingio.languages import language_of, outcome
from service.surfaces.growingio.places import place_of
from service.surfaces.growingio.wire import OPEN_API
from service.surfaces.growingio.wire import exports as wire
from service.surfaces.http import CALLER, OPERATIONS, answer, document, read
from service.surfaces.ranges import Span, Unsatisfiable, asked_span
from service.surfaces.sending import stream

#: Whoever got it may keep it, and must ask whether it may still be seen.
_CACHE_CONTROL = "private, no-cache"

_MEDIA_TYPES = {ListFormat.CSV: "text/csv", ListFormat.JSON: "application/x-ndjson"}

_NOT_IN_QUOTES = str.maketrans('"\\', "__")

#: What the standards call them that callers call otherwise.
_CHARSETS = {Charset.UTF_8_MARKED: "UTF-8", Charset.UTF_16LE: "UTF-16"}


@creating
async def submit_segment(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewExport) if await _has_body(request) else wire.NewExport()
    operations, place = request.app[OPERATIONS], await place_of(request)
    found = await operations.placed_segments.find(request.match_info["key"], place)
    columns = await operations.properties.columns(asked.properties or [], place)
    made = await operations.user_lists.submit(
        asked.request(
            ListKind.SEGMENT,
            found.segment.name,
            columns,
            segment_id=found.segment.id,
            space_number=place.space_number,
        ),
        by=place.by,
    )
    return answer(wire.submitted(made, await operations.hash_ids.known()))


@creating
async def submit_tag(request: web.Request) -> web.Response:
    asked = await read(request, wire.NewExport) if await _has_body(request) else wire.NewExport()
    operations, place = request.app[OPERATIONS], await place_of(request)
    tag = await operations.properties.find(request.match_info["key"], place, PropertyKind.TAG)
    columns = await operations.properties.columns(asked.properties or [], place)
    made = await operations.user_lists.submit(
        asked.request(
            ListKind.TAG,
            tag.name,
            columns,
            having=tag.path,
            space_number=place.space_number,
        ),
        by=place.by,
    )
    return answer(wire.submitted(made, await operations.hash_ids.known()))


async def show_result(request: web.Request) -> web.Response:
    operations, place = request.app[OPERATIONS], await place_of(request)
    id = request.match_info["id"]
    number = (await operations.hash_ids.known()).number(Noun.JOB, id)
    if number is None:
        raise NotFound("user list", id)
    found = await operations.user_lists.find(JobId(number), by=place.by)
    if "project" in request.match_info and not _is_in(found, place):
        raise NotFound("user list", id)
    return answer(wire.result(found, outcome(found, language_of(request))))


async def download(request: web.Request) -> web.StreamResponse:
    """Send a file, or what is asked of it, once the audit log has it under its path."""
    operations, by = request.app[OPERATIONS], request[CALLER]
    found = await _found(request)
    digest = sha256("".join(piece.sha256 for piece in found.pieces).encode()).hexdigest()
    etag = f'"{digest}"'
    if any(known.value in {digest, "*"} for known in request.if_none_match or ()):
        return web.Response(status=HTTPStatus.NOT_MODIFIED, headers={hdrs.ETAG: etag})
    try:
        span = _asked_span(request, found, etag)
    except Unsatisfiable:
        return unsatisfiable(request, found.size_bytes)
    start, length = (0, found.size_bytes) if span is None else (span.start, span.length)
    response = web.StreamResponse(
        status=HTTPStatus.OK if span is None else HTTPStatus.PARTIAL_CONTENT,
        headers={**_headers(found), hdrs.ETAG: etag},
    )
    if span is not None:
        response.headers[hdrs.CONTENT_RANGE] = (
            f"bytes {start}-{start + length - 1}/{found.size_bytes}"
        )
    response.content_length = length
    if request.method == hdrs.METH_HEAD:
        await response.prepare(request)
        return response
    await operations.user_lists.note_download(found, is_whole=span is None, by=by)
    return await stream(request, response, operations.user_lists.content(found, start, length))


async def _has_body(request: web.Request) -> bool:
    """Whether there is a body: every field of one may be missing, and so may it."""
    return bool((await document(request)).strip())


def _is_in(found: UserList, place: Place) -> bool:
    """Whether a list was asked for in a place: its project, and no other space of it."""
    is_of_project = found.job.scope.sandbox_id == place.by.scope.sandbox_id
    elsewhere = place.space is not None and found.space_number not in {None, place.space_number}
    return is_of_project and not elsewhere


async def _found(request: web.Request) -> UserList:
    """The list whose file is asked for, however its path was encoded.

    Browsers and libraries write a blank as a plus, and some a plus as itself.
    """
    path = request.query.get("file", "")
    if not path:
        raise InvalidField("file", "is missing: put a uri of a job's result behind ?file=")
    _, _, raw = request.rel_url.raw_query_string.partition("file=")
    spellings = dict.fromkeys((path, unquote(raw.partition("&")[0])))
    lists = request.app[OPERATIONS].user_lists
    for spelling in spellings:
        try:
            return await lists.download(spelling, by=request[CALLER])
        except NotFound:
            continue
    raise NotFound("file", path)


def _asked_span(request: web.Request, found: UserList, etag: str) -> Span | None:
    if request.method == hdrs.METH_HEAD or request.headers.get(hdrs.IF_RANGE, etag) != etag:
        return None
    return asked_span(request.headers.get(hdrs.RANGE), found.size_bytes)


def _headers(found: UserList) -> dict[str, str]:
    charset = _CHARSETS.get(found.charset, str(found.charset))
    is_text = found.format is ListFormat.CSV
    # Who reads but the first name, as curl does, gets one that no other file has.
    plain = found.file_name if found.file_name.isascii() else f"{found.name}.{found.format}"
    plain = plain.translate(_NOT_IN_QUOTES)
    named = quote(found.file_name, safe="")
    return {
        hdrs.ACCEPT_RANGES: "bytes",
        hdrs.CACHE_CONTROL: _CACHE_CONTROL,
        hdrs.CONTENT_TYPE: _MEDIA_TYPES[found.format] + (f"; charset={charset}" if is_text else ""),
        # RFC 6266: the second is read by all that know it, and by them alone.
        hdrs.CONTENT_DISPOSITION: f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}",
    }


ROUTES = [
    web.post(
        OPEN_API + "/projects/{project}/spaces/{space}/segment_profiles/{key}/export_jobs",
        submit_segment,
    ),
    web.post(OPEN_API + "/projects/{project}/segment_profiles/{key}/export_jobs", submit_segment),
    web.post(
        OPEN_API + "/projects/{project}/spaces/{space}/user_tags/{key}/export_jobs", submit_tag
    ),
    web.post(OPEN_API + "/projects/{project}/user_tags/{key}/export_jobs", submit_tag),
    web.post(OPEN_API + "/user_tags/{key}/export_jobs", submit_tag),
    web.get(OPEN_API + "/job/result/{id}", show_result),
    web.get(OPEN_API + "/projects/{project}/job/result/{id}", show_result),
    web.get("/download", download),
]
