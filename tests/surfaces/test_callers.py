"""Who is let in, in whose name, and how the others are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestServer

from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from service.surfaces.http import Operations
from tests.surfaces.client import HttpClient, headers_for

SANDBOXES = "/data/foundation/sandbox-management/sandboxes"


@pytest.fixture
async def headers(scope: Scope, database: Database, operations: Operations) -> dict[str, str]:
    return dict(await headers_for(scope, database, operations))


async def refused(stranger: HttpClient, headers: Mapping[str, str]) -> tuple[int, str, str]:
    answer = await stranger.get(SANDBOXES, headers=headers)
    body: dict[str, Any] = await answer.json()
    return answer.status, body["error_code"], body["message"]


async def test_a_client_of_the_organisation_is_let_in(
    stranger: HttpClient, headers: dict[str, str]
):
    assert (await stranger.get(SANDBOXES, headers=headers)).status == 200


async def test_the_word_bearer_may_be_written_in_any_case(
    stranger: HttpClient, headers: dict[str, str]
):
    headers["Authorization"] = headers["Authorization"].replace("Bearer", "bEARER")
    assert (await stranger.get(SANDBOXES, headers=headers)).status == 200


async def test_no_sandbox_means_prod(stranger: HttpClient, headers: dict[str, str]):
    del headers["x-sandbox-name"]
    assert (await stranger.get(SANDBOXES, headers=headers)).status == 200


@pytest.mark.parametrize(
    ("header", "sent", "status", "number", "words"),
    [
        ("Authorization", None, 403, "403010", "Oauth token is missing."),
        ("Authorization", "Basic YTpi", 403, "403010", "Oauth token is missing."),
        ("Authorization", "Bearer ", 403, "403010", "Oauth token is missing."),
        ("Authorization", "Bearer a.b.c", 401, "401013", "Oauth token is not valid"),
        ("x-api-key", None, 403, "403000", "Api Key is required"),
        ("x-api-key", "another", 403, "403003", "Api Key is invalid"),
        ("x-gw-ims-org-id", None, 400, "400003", "Header x-gw-ims-org-id is missing"),
        (
            "x-gw-ims-org-id",
            "THEIRS@AdobeOrg",
            403,
            "403025",
            "Client is not entitled for this organisation",
        ),
    ],
)
async def test_a_header_that_is_missing_or_wrong_is_refused_in_the_gateways_words(
    stranger: HttpClient,
    headers: dict[str, str],
    foreign_scope: Scope,
    header: str,
    sent: str | None,
    status: int,
    number: str,
    words: str,
):
    assert foreign_scope.organisation_id == "THEIRS@AdobeOrg"
    headers.pop(header)
    if sent is not None:
        headers[header] = sent
    assert await refused(stranger, headers) == (status, number, words)


async def test_a_token_that_is_not_valid_is_asked_for_again(stranger: HttpClient):
    answer = await stranger.get(
        SANDBOXES, headers={"Authorization": "Bearer a.b.c", "x-gw-ims-org-id": "o"}
    )
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_an_unknown_sandbox_is_not_found(stranger: HttpClient, headers: dict[str, str]):
    headers["x-sandbox-name"] = "nowhere"
    assert await refused(stranger, headers) == (404, "not_found", "no sandbox nowhere")


@pytest.mark.parametrize(
    "header", ["Authorization", "x-api-key", "x-gw-ims-org-id", "x-sandbox-name"]
)
async def test_bytes_that_are_no_text_are_refused(
    running: TestServer, headers: dict[str, str], header: str
):
    headers |= {"Host": "localhost", "Connection": "close", header: "Bearer \udcff"}
    lines = [f"GET {SANDBOXES} HTTP/1.1", *(f"{name}: {sent}" for name, sent in headers.items())]
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write("\r\n".join([*lines, "", ""]).encode(errors="surrogateescape"))
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert f"the header {header}".encode() in answer


async def test_a_disabled_client_is_refused(
    stranger: HttpClient, headers: dict[str, str], db: Connection
):
    await db.execute("UPDATE clients SET disabled_at = now()")
    assert (await refused(stranger, headers))[:2] == (403, "403003")


async def test_a_path_that_leads_nowhere_asks_for_credentials_too(stranger: HttpClient):
    assert (await stranger.get("/data/no/such/path")).status == 403
    assert (await stranger.get("/DATA/no/such/path")).status == 403


async def test_each_caller_is_told_apart_however_often_they_call(
    adobe: HttpClient, foreign: HttpClient
):
    for _ in range(2):
        ours = await (await adobe.get(SANDBOXES)).json()
        theirs = await (await foreign.get(SANDBOXES)).json()
        assert ours["sandboxes"][0]["id"] != theirs["sandboxes"][0]["id"]
