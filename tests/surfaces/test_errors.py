"""What refusals and defects look like to the clients of Adobe's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from structlog.contextvars import merge_contextvars
from structlog.processors import format_exc_info
from structlog.testing import capture_logs

from catalog import errors
from service.app import application
from service.surfaces.adobe.errors import GATEWAY, STATUS
from service.surfaces.http import Operations
from tests.surfaces.client import HttpClient, problem

MANUAL = Path(__file__).parents[2] / "docs" / "errors.md"


def every_refusal(kind: type[errors.Refusal] = errors.Refusal) -> Iterator[type[errors.Refusal]]:
    for child in kind.__subclasses__():
        yield child
        yield from every_refusal(child)


@pytest.mark.parametrize("kind", list(every_refusal()), ids=lambda kind: kind.__name__)
def test_every_refusal_has_a_status(kind: type[errors.Refusal]):
    assert 400 <= STATUS[kind] <= 503


@pytest.mark.parametrize("kind", list(every_refusal()), ids=lambda kind: kind.__name__)
def test_the_manual_knows_the_status_and_the_gateways_number(kind: type[errors.Refusal]):
    number, _ = GATEWAY.get(kind, ("", ""))
    row = f"| `{kind.code}` | {STATUS[kind].value} | {number} |".replace("|  |", "| |")
    assert row in MANUAL.read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", list(GATEWAY), ids=lambda kind: kind.__name__)
def test_a_gateway_number_begins_with_its_status(kind: type[errors.Refusal]):
    number, _ = GATEWAY[kind]
    assert number.startswith(str(STATUS[kind].value))


async def test_a_refusal_is_said_in_every_field_that_a_client_reads(adobe: HttpClient):
    answer = await adobe.get("/data/core/ups/export/jobs/404404", headers={"x-request-id": "req-1"})
    body = await answer.json()
    assert body == {
        "type": "http://ns.adobe.com/adobecloud/problem/not-found",
        "title": "NotFoundError",
        "status": 404,
        "detail": "no export job 404404",
        "report": {
            "code": "not_found",
            "message": "no export job 404404",
            "requestId": "req-1",
        },
        "error_code": "not_found",
        "message": "no export job 404404",
    }


async def test_an_unknown_path_is_refused_like_anything_else(adobe: HttpClient):
    answer = await adobe.get("/data/foundation/nothing")
    assert answer.status == 404
    assert problem(await answer.json()) == (404, "not_found")


async def test_a_method_that_is_not_allowed_names_those_that_are(adobe: HttpClient):
    answer = await adobe.delete("/data/core/ups/export/jobs")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD,POST"
    assert problem(await answer.json()) == (405, "method_not_allowed")


@pytest.mark.parametrize("body", [b"", b"[", b"[]", b'"x"', b"\xff\xfe", b'{"name": "\\ud800"}'])
async def test_a_body_that_cannot_be_read_is_refused(adobe: HttpClient, body: bytes):
    answer = await adobe.post("/data/core/ups/export/jobs", data=body)
    assert answer.status == 400
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_body_that_is_too_large_is_refused(adobe: HttpClient):
    answer = await adobe.post("/data/core/ups/export/jobs", data=BytesIO(b" " * (9 * 1024 * 1024)))
    assert answer.status == 413
    assert problem(await answer.json()) == (413, "too_large")


@pytest.mark.parametrize("path", ["/data/foundation/catalog/batches?x=", "/data/foundation/"])
async def test_an_address_that_is_too_long_is_refused(adobe: HttpClient, path: str):
    answer = await adobe.get(path + "x" * (2001 - len(path)))
    assert problem(await answer.json()) == (414, "address_too_long")
    answer = await adobe.get(path + "x" * (2000 - len(path)))
    assert answer.status in {200, 400, 404}


async def test_a_body_that_is_not_what_its_encoding_says_is_refused(adobe: HttpClient):
    answer = await adobe.post(
        "/data/core/ups/export/jobs",
        data=b"this was never compressed",
        headers={"Content-Encoding": "deflate"},
    )
    assert answer.status == 400


async def test_a_character_the_database_cannot_keep_is_refused_in_a_body(adobe: HttpClient):
    body = json.dumps({"name": "a\0b", "schemaRef": {"id": "x"}})
    answer = await adobe.post("/data/foundation/catalog/dataSets", data=body)
    assert problem(await answer.json()) == (400, "invalid_field")


@pytest.mark.parametrize(
    "path",
    [
        "/data/core/ups/config/mergePolicies/a%00b",
        "/data/foundation/catalog/batches/a%00b",
        "/data/foundation/catalog/batches?status=a%00b",
        "/data/foundation/catalog/batches?a%00b=c",
    ],
)
async def test_a_character_the_database_cannot_keep_is_refused_in_an_address(
    adobe: HttpClient, path: str
):
    answer = await adobe.get(path)
    assert problem(await answer.json()) == (400, "invalid")


@pytest.fixture
def broken_app(operations: Operations) -> web.Application:
    """The real application with a handler that has a defect, and one that fails in mid-answer."""

    async def breaks(_: web.Request) -> web.Response:
        raise RuntimeError("the secret is swordfish")

    async def breaks_late(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half an answer")
        raise errors.Conflict("too late to say so")

    app = application(operations)
    app.router.add_get("/breaks", breaks)
    app.router.add_get("/breaks-late", breaks_late)
    return app


async def test_a_defect_is_answered_with_its_request_id_and_nothing_more(
    broken_app: web.Application,
):
    steps = [merge_contextvars, format_exc_info]
    with capture_logs(processors=steps) as lines:
        async with TestClient(TestServer(broken_app)) as client:
            answer = await client.get("/breaks", headers={"x-request-id": "req-2"})
            body = await answer.json()
    assert answer.status == 500
    assert problem(body) == (500, "defect")
    assert body["report"]["requestId"] == "req-2"
    assert "swordfish" not in json.dumps(body)
    (line,) = [line for line in lines if line["event"] == "a defect"]
    assert line["request_id"] == "req-2"
    assert "swordfish" in line["exception"]


async def test_an_answer_that_fails_half_way_is_cut_off_and_not_continued(
    broken_app: web.Application,
):
    async with TestClient(TestServer(broken_app)) as client:
        with pytest.raises(Exception, match=r"payload is not completed|closed"):
            await (await client.get("/breaks-late")).read()


@pytest.mark.parametrize("sane", ["a", "f" * 128, "6f1ed002-ab55-4c32"])
async def test_the_callers_own_request_id_comes_back(stranger: HttpClient, sane: str):
    answer = await stranger.get("/health", headers={"x-request-id": sane})
    assert answer.headers["x-request-id"] == sane


@pytest.mark.parametrize("odd", ["f" * 129, "two words", "gr\u00fc\u00df"])
async def test_a_request_id_that_no_log_should_hold_is_replaced(stranger: HttpClient, odd: str):
    answer = await stranger.get("/health", headers={"x-request-id": odd})
    assert answer.headers["x-request-id"].isalnum()
    assert answer.headers["x-request-id"] != odd


async def test_every_answer_carries_an_id_of_its_own(stranger: HttpClient):
    first = await stranger.get("/no/such/path")
    second = await stranger.get("/no/such/path")
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    assert first.headers["X-Content-Type-Options"] == "nosniff"
