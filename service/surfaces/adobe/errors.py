"""Refusals in Adobe's words: one body that every known client digests.

Clients read ``title`` and ``detail``, or ``error_code`` and ``message``, or ``report.code``; so
each body has them all. It never has a top-level ``error``: one client takes that for OAuth's.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from catalog import errors
from service.surfaces.http import REQUEST_ID, answer, defect_detail
from service.surfaces.refusals import headers_of

STATUS: dict[type[errors.Refusal], HTTPStatus] = {
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.IllegalTransition: HTTPStatus.CONFLICT,
    errors.AlreadyExists: HTTPStatus.CONFLICT,
    errors.NameTaken: HTTPStatus.UNPROCESSABLE_ENTITY,  # as the documents of segments have it
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.InvalidField: HTTPStatus.BAD_REQUEST,
    errors.TooManyProperties: HTTPStatus.BAD_REQUEST,
    errors.UnknownProperties: HTTPStatus.BAD_REQUEST,
    errors.InvalidRule: HTTPStatus.BAD_REQUEST,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.AddressTooLong: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyIdentities: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.MissingOrganisation: HTTPStatus.BAD_REQUEST,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.MissingCredentials: HTTPStatus.FORBIDDEN,
    errors.InvalidToken: HTTPStatus.UNAUTHORIZED,
    errors.MissingKey: HTTPStatus.FORBIDDEN,
    errors.InvalidKey: HTTPStatus.FORBIDDEN,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.NotEntitled: HTTPStatus.FORBIDDEN,
    errors.InsufficientScope: HTTPStatus.FORBIDDEN,
    errors.Limited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyCalls: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyJobs: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutcomeUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
}

#: The gateway's own numbers and words, for refusals it makes before any service sees the call.
GATEWAY: dict[type[errors.Refusal], tuple[str, str]] = {
    errors.MissingCredentials: ("403010", "Oauth token is missing."),
    errors.InvalidToken: ("401013", "Oauth token is not valid"),
    errors.MissingKey: ("403000", "Api Key is required"),
    errors.InvalidKey: ("403003", "Api Key is invalid"),
    errors.MissingOrganisation: ("400003", "Header x-gw-ims-org-id is missing"),
    errors.NotEntitled: ("403025", "Client is not entitled for this organisation"),
}

#: Titles that clients compare; other statuses say what HTTP calls them.
TITLES = {
    HTTPStatus.BAD_REQUEST: "BadRequestError",
    HTTPStatus.NOT_FOUND: "NotFoundError",
    HTTPStatus.NOT_ACCEPTABLE: "NotAcceptableError",
}

_PROBLEMS = "http://ns.adobe.com/adobecloud/problem/"


def refused(request: web.Request, refusal: errors.Refusal) -> web.Response:
    """The answer to a refusal."""
    status = next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)
    number, words = GATEWAY.get(type(refusal), (refusal.code, str(refusal)))
    body = dict(problem(request, status, code=refusal.code, detail=str(refusal)))
    if isinstance(refusal, errors.InvalidRule) and refusal.line is not None:
        body["report"] = {**body["report"], "line": refusal.line, "column": refusal.column}
    headers = headers_of(refusal, status)
    return answer({**body, "error_code": number, "message": words}, status, headers)


def problem(
    request: web.BaseRequest, status: HTTPStatus, *, code: str, detail: str
) -> Mapping[str, Any]:
    """The body every refusal has."""
    # What a caller sent may come back in words, and may be no text.
    detail = detail.encode(errors="backslashreplace").decode()
    title = TITLES.get(status, f"HTTP {status.value} {status.phrase}")
    return {
        "type": _PROBLEMS + code.replace("_", "-"),
        "title": title,
        "status": status.value,
        "detail": detail,
        "report": {"code": code, "message": detail, "requestId": request.get(REQUEST_ID, "")},
        "error_code": code,
        "message": detail,
    }


def from_http(request: web.BaseRequest, error: web.HTTPError) -> web.Response:
    """What the HTTP library refused by itself: no such path, no such method, too much."""
    status = HTTPStatus(error.status)
    details = {
        HTTPStatus.NOT_FOUND: f"no such path: {request.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed on {request.path}",
    }
    code = status.name.lower()
    detail = details.get(status, error.text or status.phrase)
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return answer(problem(request, status, code=code, detail=detail), status, headers)


def defect(request: web.Request) -> web.Response:
    """What a caller is told of a failure of the service."""
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    body = problem(request, status, code="defect", detail=defect_detail(request))
    return answer(body, status)
