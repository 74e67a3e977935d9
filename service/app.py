"""The aiohttp application: every surface's routes, and what happens around each call.

Around a handler, from the outside in: the call gets its id, its log line and its metrics; what
the dialect refuses is answered in its words; the caller is identified.
"""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from functools import lru_cache
from http import HTTPStatus

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import Counter, Histogram

from catalog.errors import AddressTooLong, Invalid, Refusal
from service.surfaces import probes, specification
from service.surfaces.adobe import (
    audit,
    batches,
    data_access,
    datasets,
    entities,
    export_jobs,
    identities,
    ingestion,
    merge_policies,
    namespaces,
    sandboxes,
    schema_parts,
    schemas,
    segment_jobs,
    segments,
    tokens,
)
from service.surfaces.adobe import dialect as adobe_dialect
from service.surfaces.graphql import documents as graphql
from service.surfaces.growingio import dialect as growingio_dialect
from service.surfaces.growingio import exports as user_lists
from service.surfaces.growingio import merged_users, projects, properties
from service.surfaces.growingio import segments as placed_segments
from service.surfaces.growingio import tokens as bearer_tokens
from service.surfaces.growingio import users as listed_users
from service.surfaces.http import (
    CALLER,
    HAS_STARTED,
    MOST_DOCUMENT_BYTES,
    OPERATIONS,
    REQUEST_ID,
    Dialect,
    Operations,
    dress,
)
from service.telemetry import BYTES, DURATIONS, REQUESTS

LOG = structlog.stdlib.get_logger("service.calls")

ROUTES: list[web.RouteDef] = [
    *probes.ROUTES,
    *audit.ROUTES,
    *batches.ROUTES,
    *data_access.ROUTES,
    *datasets.ROUTES,
    *entities.ROUTES,
    *export_jobs.ROUTES,
    *identities.ROUTES,
    *ingestion.ROUTES,
    *tokens.ROUTES,
    *merge_policies.ROUTES,
    *namespaces.ROUTES,
    *sandboxes.ROUTES,
    *schema_parts.ROUTES,
    *schemas.ROUTES,
    *segment_jobs.ROUTES,
    *segments.ROUTES,
    *specification.ROUTES,
    *bearer_tokens.ROUTES,
    *placed_segments.ROUTES,
    *projects.ROUTES,
    *properties.ROUTES,
    *user_lists.ROUTES,
    *listed_users.ROUTES,
    *graphql.ROUTES,
    *merged_users.ROUTES,
]

#: In each of them callers say who they are, and are told what went wrong, in its own way; the
#: first that speaks at a path answers there.
DIALECTS: tuple[Dialect, ...] = (growingio_dialect.DIALECT, adobe_dialect.DIALECT)

#: Collections whose names documents and clients spell in several ways, and all ways there are;
#: letters of either case besides.
SPELLINGS = {
    "/data/foundation/catalog/dataSets": "dataSets?",
    "/data/foundation/catalog/v2/dataSets": "dataSets?",
    "/data/foundation/catalog/dataSetFiles": "dataSetFiles?",
    "/data/foundation/catalog/lastBatches": "lastBatch(?:es)?",
    "/data/foundation/catalog/batches": "batch(?:es)?",
    "/data/core/ups/config/mergePolicies": "mergePolicies",
    "/data/foundation/schemaregistry/tenant/fieldgroups": "fieldgroups|mixins",
    "/data/foundation/schemaregistry/tenant/datatypes": "datatypes",
    "/data/foundation/schemaregistry/tenant/classes": "classes",
}

#: The route as it was written, by the tolerant pattern that stands for it in the router.
WRITTEN = web.AppKey("written", dict[str, str])

#: Nginx's number for it; no caller ever sees it.
_CALLER_WENT_AWAY = 499

#: What monitoring asks every few seconds is no news.
_ASKED_ALL_THE_TIME = {route.handler for route in probes.ROUTES}

#: The most characters of a path and its query.
MOST_CHARACTERS = web.AppKey("most_characters", int)
DOCUMENTED_ADDRESS_CHARACTERS = 2000

#: The largest document by default: a schema of 10,000 fields is 2 MB.
_DOCUMENT_BYTES = 8 * 1024 * 1024

#: Of a caller's own request id: what is safe in a log line and a header.
_SANE_ID = re.compile(r"[\x21-\x7e]{1,128}")


def application(
    operations: Operations,
    *,
    address_characters: int = DOCUMENTED_ADDRESS_CHARACTERS,
    document_bytes: int = _DOCUMENT_BYTES,
) -> web.Application:
    """Make the application. Bodies have no limit here: each reader of one has its own."""
    app = web.Application(
        middlewares=[attend, answer_refusals, identify_callers],
        client_max_size=0,
    )
    app[OPERATIONS] = operations
    app[MOST_CHARACTERS] = address_characters
    app[MOST_DOCUMENT_BYTES] = document_bytes
    app[WRITTEN] = {}
    for route in ROUTES:
        pattern = tolerant(route.path)
        registered = web.RouteDef(route.method, pattern, route.handler, route.kwargs)
        for each in registered.register(app.router):
            if each.resource is not None:
                app[WRITTEN][each.resource.canonical] = route.path
    app.on_cleanup.append(_end_lookups)
    app.on_response_prepare.append(_dress)
    return app


async def _end_lookups(app: web.Application) -> None:
    await app[OPERATIONS].entities.close()


def tolerant(path: str) -> str:
    """A pattern that matches a path in every spelling, with and without a slash at its end."""
    for written, spellings in SPELLINGS.items():
        if path == written or path.startswith(written + "/"):
            base, _, name = written.rpartition("/")
            path = f"{base}/{{{name}:(?i:{spellings})}}{path.removeprefix(written)}"
    takes_slashes = path.endswith(("+}", "*}"))
    return path if takes_slashes else path + "{_:/?}"


@web.middleware
async def attend(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give the call its id; log and count how it ended; answer a defect with the id alone."""
    request_id = _request_id(request)
    request[REQUEST_ID] = request_id
    started = time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        status, sent_bytes = HTTPStatus.INTERNAL_SERVER_ERROR.value, 0
        try:
            response = await _answered(request, handler)
            status = response.status
            sent_bytes = _body_bytes(response)
        except (ConnectionError, asyncio.CancelledError):
            status = _CALLER_WENT_AWAY
            raise
        else:
            return response
        finally:
            _note(request, status, time.perf_counter() - started, sent_bytes)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        if any("\0" in part for part in (request.path, *request.query, *request.query.values())):
            return _dialect(request).refused(
                request, Invalid("the address holds the character U+0000")
            )
        if len(request.raw_path) > request.app[MOST_CHARACTERS]:
            return _dialect(request).refused(request, _too_long(request))
        return await handler(request)
    except ConnectionError:
        raise
    except Exception:
        LOG.exception("a defect", method=request.method, path=request.path)
        if request.get(HAS_STARTED):
            raise
        return _dialect(request).defect(request)


@web.middleware
async def answer_refusals(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer refusals, and what aiohttp itself refuses, in the words of the path's dialect.

    Defects pass through to the outermost middleware, which knows how to log them.
    """
    dialect = _dialect(request)
    try:
        return await handler(request)
    except Refusal as refusal:
        if request.get(HAS_STARTED):
            raise
        return dialect.refused(request, refusal)
    except web.HTTPError as error:
        return dialect.from_http(request, error)
    except web.RequestPayloadError:
        unreadable = Invalid("the body ended early, or is not in its Content-Encoding")
        return dialect.refused(request, unreadable)


@web.middleware
async def identify_callers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let the path's dialect see who calls before any handler does."""
    await _dialect(request).identify(request)
    return await handler(request)


def _dialect(request: web.Request) -> Dialect:
    return next(each for each in DIALECTS if each.speaks_at(request.path.lower()))


def _too_long(request: web.Request) -> AddressTooLong:
    return AddressTooLong(
        f"the address has {len(request.raw_path)} characters from its path on,"
        f" {request.app[MOST_CHARACTERS]} is the most"
    )


def _request_id(request: web.Request) -> str:
    offered = request.headers.get("x-request-id", "")
    return offered if _SANE_ID.fullmatch(offered) else secrets.token_hex(16)


def _body_bytes(response: web.StreamResponse) -> int:
    """The length of an answer's body: of one that is sent already, or one that will be."""
    if isinstance(response, web.Response) and isinstance(response.body, bytes):
        return len(response.body)
    return response.body_length


def _note(request: web.Request, status: int, seconds: float, sent_bytes: int) -> None:
    """One line and a few metrics. Never the query: one known client puts its secret there."""
    route = written(request)
    calls, durations, came, went = _metrics(request.method, route, status)
    calls.inc()
    durations.observe(seconds)
    came.inc(request.content.total_bytes)
    went.inc(sent_bytes)
    caller = request.get(CALLER)
    who = (
        {
            "client_id": caller.client_id,
            "organisation_id": caller.scope.organisation_id,
            "sandbox": caller.scope.sandbox_name,
        }
        if caller
        else {}
    )
    note = LOG.debug if request.match_info.handler in _ASKED_ALL_THE_TIME else LOG.info
    note(
        "call",
        method=request.method,
        route=route,
        path=request.path,
        status=status,
        duration_ms=round(seconds * 1000, 1),
        **who,
    )


@lru_cache(maxsize=1024)
def _metrics(method: str, route: str, status: int) -> tuple[Counter, Histogram, Counter, Counter]:
    """What counts calls like this one; finding it costs more than counting."""
    return (
        REQUESTS.labels(method, route, status),
        DURATIONS.labels(method, route),
        BYTES.labels(route, "in"),
        BYTES.labels(route, "out"),
    )


def written(request: web.Request) -> str:
    """The route's template, never the path: metrics must not grow with what callers make up."""
    resource = request.match_info.route.resource
    if resource is None:
        return ""
    return request.app[WRITTEN].get(resource.canonical, resource.canonical)


async def _dress(request: web.Request, response: web.StreamResponse) -> None:
    """What every answer carries, streams included."""
    request[HAS_STARTED] = True
    dress(response, request[REQUEST_ID])
