"""What every HTTP surface shares: the operations, the caller, reading a body, answering."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl

from aiohttp import web
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json, to_json

from catalog.errors import InvalidField, Refusal, TooLarge
from catalog.organisations import Caller
from service.operations.audit import AuditLog
from service.operations.batches import Batches
from service.operations.bearers import Bearers
from service.operations.callers import Callers
from service.operations.clients import Clients
from service.operations.data_access import DataAccess
from service.operations.datasets import Datasets
from service.operations.entities import Entities
from service.operations.export_jobs import ExportJobs
from service.operations.hash_ids import HashIdSource
from service.operations.large_files import LargeFiles
from service.operations.listed_users import ListedUsers
from service.operations.merge_policies import MergePolicies
from service.operations.monitoring import Monitoring
from service.operations.namespaces import Namespaces
from service.operations.personal_tokens import PersonalTokens
from service.operations.placed_segments import PlacedSegments
from service.operations.previews import Previews
from service.operations.projects import Projects
from service.operations.properties import Properties
from service.operations.readiness import Readiness
from service.operations.retries import Retries
from service.operations.sandboxes import Sandboxes
from service.operations.schema_parts import SchemaParts
from service.operations.schemas import Schemas
from service.operations.segment_jobs import SegmentJobs
from service.operations.segments import Segments
from service.operations.tokens import Tokens
from service.operations.user_lists import UserLists
from service.operations.users import Users

Model = TypeVar("Model", bound=BaseModel)

#: The largest document any call takes, uploads apart.
MOST_DOCUMENT_BYTES = web.AppKey("most_document_bytes", int)

#: What tells a browser to make nothing of an answer but what it is. The page of the
#: documentation has a policy of its own.
_FOR_BROWSERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_MOST_PROBLEMS = 5
_MOST_FORM_FIELDS = 100
_NO_NUL = "the character U+0000 is not allowed in text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Everything a surface may ask of the service, by topic."""

    audit: AuditLog
    batches: Batches
    bearers: Bearers
    callers: Callers
    clients: Clients
    data_access: DataAccess
    datasets: Datasets
    entities: Entities
    export_jobs: ExportJobs
    hash_ids: HashIdSource
    large_files: LargeFiles
    listed_users: ListedUsers
    merge_policies: MergePolicies
    monitoring: Monitoring
    namespaces: Namespaces
    personal_tokens: PersonalTokens
    placed_segments: PlacedSegments
    previews: Previews
    projects: Projects
    properties: Properties
    readiness: Readiness
    retries: Retries
    sandboxes: Sandboxes
    schema_parts: SchemaParts
    schemas: Schemas
    segment_jobs: SegmentJobs
    segments: Segments
    tokens: Tokens
    user_lists: UserLists
    users: Users


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one surface is told who calls, and how it says what went wrong."""

    #: Whether it is the one that speaks at a path, also where nothing is.
    speaks_at: Callable[[str], bool]
    #: Puts the caller beside a request, or refuses; asked before any handler is.
    identify: Callable[[web.Request], Awaitable[None]]
    refused: Callable[[web.Request, Refusal], web.Response]
    #: What the HTTP library refused by itself: no such path, no such method, too much.
    from_http: Callable[[web.Request, web.HTTPError], web.Response]
    #: A failure of the service, of which the caller is told nothing but that.
    defect: Callable[[web.Request], web.Response]


OPERATIONS = web.AppKey("operations", Operations)
CALLER = web.RequestKey("caller", Caller)
REQUEST_ID = web.RequestKey("request_id", str)
#: Present once the body was read, for whoever reads it again.
BODY = web.RequestKey("body", bytes)
#: Present once the answer's head is on its way: from then on nothing else can be answered.
HAS_STARTED = web.RequestKey("has_started", bool)


async def read(request: web.Request, model: type[Model]) -> Model:
    """Read the body as one of the surface's own models.

    Refuses with InvalidField, naming the first fields that are wrong, and with TooLarge.
    """
    body = await document(request)
    try:
        asked = model.model_validate_json(body)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False), "the body") from error
    _refuse_nul(body)
    return asked


async def form(request: web.Request) -> dict[str, str]:
    """Read a body of form fields; one of another kind has none. Refuses as :func:`read` does."""
    if request.content_type != "application/x-www-form-urlencoded":
        return {}
    body = (await document(request)).decode(errors="replace")
    try:
        fields = dict(parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FORM_FIELDS))
    except ValueError as error:
        raise InvalidField("the form", str(error)) from error
    if _holds_nul(fields):
        raise InvalidField("the form", _NO_NUL)
    return fields


def defect_detail(request: web.Request) -> str:
    """What a caller is told of a failure of the service."""
    return f"the service failed; its log says more under request id {request[REQUEST_ID]}"


def query(request: web.Request, model: type[Model]) -> Model:
    """Read the query parameters as one of the surface's own models; refuses with InvalidField.

    Of a repeated parameter the last counts: one known client follows a link that holds ``limit``
    and adds its own.
    """
    return checked(model, dict(request.query.items()), "the query")


def checked(model: type[Model], value: object, what: str) -> Model:
    """Take a document that was read already as a model; refuses with InvalidField."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise _refusal(error.errors(include_url=False), what) from error


def answer(
    body: object,
    status: HTTPStatus = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """Answer with JSON: a model, or any nesting of models, mappings, lists and scalars.

    Numbers that JSON cannot say, infinite ones and NaN, are null.
    """
    return web.Response(
        body=to_json(body, by_alias=True, inf_nan_mode="null"),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def dress(response: web.StreamResponse, request_id: str) -> None:
    """Put on an answer what every answer carries, but for what it has of its own."""
    response.headers["x-request-id"] = request_id
    response.headers["Server"] = "profile-exports"
    for name, value in _FOR_BROWSERS.items():
        response.headers.setdefault(name, value)


async def document(request: web.Request) -> bytes:
    """Read the whole body, or give what was read before; refuses with TooLarge."""
    if BODY in request:
        return request[BODY]
    most_bytes = request.app[MOST_DOCUMENT_BYTES]
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most_bytes:
            raise TooLarge(f"the body is larger than {most_bytes} bytes")
    return bytes(body)


def _refusal(errors: list[ErrorDetails], what: str) -> InvalidField:
    """Name the first problems, each with its place in the document."""
    problems = [
        (".".join(str(step) for step in error["loc"]) or what, error["msg"]) for error in errors
    ]
    (field, problem), *others = problems[:_MOST_PROBLEMS]
    rest = "".join(f"; {field}: {problem}" for field, problem in others)
    return InvalidField(field, problem + rest)


def _refuse_nul(body: bytes) -> None:
    """Refuse the one character of JSON that PostgreSQL cannot keep."""
    if b"\\u0000" in body and _holds_nul(from_json(body)):
        raise InvalidField("the body", _NO_NUL)


def _holds_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, dict):
        return any("\0" in key or _holds_nul(each) for key, each in value.items())
    return isinstance(value, list) and any(_holds_nul(each) for each in value)
