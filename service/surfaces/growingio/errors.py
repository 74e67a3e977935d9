"""Refusals in GrowingIO's words: the body of its portal, in the language that was asked for."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web

from catalog import errors
from service.surfaces.growingio.languages import explained, failure, language_of
from service.surfaces.http import REQUEST_ID, answer, defect_detail
from service.surfaces.refusals import headers_of

STATUS: dict[type[errors.Refusal], HTTPStatus] = {
    errors.Refusal: HTTPStatus.BAD_REQUEST,
    errors.NotFound: HTTPStatus.NOT_FOUND,
    errors.Conflict: HTTPStatus.CONFLICT,
    errors.Stale: HTTPStatus.PRECONDITION_FAILED,
    errors.Invalid: HTTPStatus.BAD_REQUEST,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.AddressTooLong: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.KeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.TooManyIdentities: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedMedia: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.TooSlow: HTTPStatus.REQUEST_TIMEOUT,
    errors.Unauthenticated: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.Limited: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Unavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.OutcomeUnknown: HTTPStatus.SERVICE_UNAVAILABLE,
}


def refused(request: web.Request, refusal: errors.Refusal) -> web.Response:
    """The answer to a refusal."""
    status = next(STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS)
    said = explained(refusal, language_of(request))
    problem = _problem(request, refusal.code, said, str(refusal))
    return answer(problem, status, headers_of(refusal, status))


def from_http(request: web.Request, error: web.HTTPError) -> web.Response:
    """What the HTTP library refused by itself: no such path, no such method, too much."""
    status = HTTPStatus(error.status)
    details = {
        HTTPStatus.NOT_FOUND: f"no such path: {request.path}",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed on {request.path}",
    }
    detail = details.get(status, error.text or status.phrase)
    said = failure(detail, status, language_of(request))
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else None
    return answer(_problem(request, status.name.lower(), said, detail), status, headers)


def defect(request: web.Request) -> web.Response:
    """What a caller is told of a failure of the service."""
    status, detail = HTTPStatus.INTERNAL_SERVER_ERROR, defect_detail(request)
    said = failure(detail, status, language_of(request))
    return answer(_problem(request, "defect", said, detail), status)


def unsatisfiable(request: web.Request, size_bytes: int) -> web.Response:
    """What a caller is told that asks for bytes beyond the end of a file."""
    status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
    detail = f"the file has {size_bytes} bytes"
    said = failure(detail, status, language_of(request))
    headers = {"Content-Range": f"bytes */{size_bytes}"}
    return answer(_problem(request, "range_not_satisfiable", said, detail), status, headers)


def _problem(request: web.Request, code: str, message: str, detail: str) -> dict[str, object]:
    return {
        "success": False,
        "code": code,
        "message": _as_text(message),
        "detail": _as_text(detail),
        "requestId": request.get(REQUEST_ID, ""),
    }


def _as_text(said: str) -> str:
    """What a caller sent may come back in words, and may be no text."""
    return said.encode(errors="backslashreplace").decode()
