"""How the commands' own client takes what a service answers."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from service.cli import api
from service.cli.access import Access
from service.cli.api import Refused, Service, Unreachable

#: The client, and its secret too.
CLIENT = "client"

REFUSAL = {
    "title": "NotFoundError",
    "status": 404,
    "detail": "no export job 7",
    "report": {"code": "not_found", "requestId": "r-1"},
}


class Answers(deque[web.Response]):
    """What a server will answer, one after the other, and what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.token_count = 0
        self.token_lasts = 3600

    async def token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == "client_credentials"
        if form["client_secret"] != CLIENT:
            refused = {"error": "invalid_client", "error_description": "no such client"}
            return web.json_response(refused, status=401)
        self.token_count += 1
        body = {"access_token": f"t{self.token_count}", "expires_in": self.token_lasts}
        return web.json_response(body)

    async def any(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        self.bodies.append(await request.read())
        return self.popleft()


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
async def access(answers: Answers) -> AsyncIterator[Access]:
    app = web.Application()
    app.add_routes(
        [web.post("/ims/token/v3", answers.token), web.route("*", "/{_:.*}", answers.any)]
    )
    async with TestServer(app) as server:
        yield Access(
            base_url=str(server.make_url("/")).rstrip("/"),
            org_id="ORG",
            client_id=CLIENT,
            client_secret=CLIENT,
            sandbox="dev",
        )


@pytest.fixture
async def service(access: Access, monkeypatch) -> AsyncIterator[Service]:
    monkeypatch.setattr(api, "_FIRST_PAUSE_SECONDS", 0)
    async with Service.connect(access) as service:
        yield service


async def test_every_call_says_who_calls_and_where(service, answers):
    answers.append(web.json_response({}))
    await service.get("/data/x")
    headers = answers.requests[0].headers
    assert headers["Authorization"] == "Bearer t1"
    assert (headers["x-api-key"], headers["x-gw-ims-org-id"]) == ("client", "ORG")
    assert headers["x-sandbox-name"] == "dev"


async def test_a_token_is_asked_for_once_and_again_before_it_ends(service, answers):
    answers.extend(web.json_response({}) for _ in range(4))
    await service.get("/x")
    await service.get("/x")
    assert answers.token_count == 1
    answers.token_lasts = 30
    service._token = None
    await service.get("/x")
    await service.get("/x")
    assert answers.token_count == 3


async def test_a_refusal_is_one_line_with_the_request_id(service, answers):
    answers.append(web.json_response(REFUSAL, status=404))
    with pytest.raises(Refused) as refused:
        await service.get("/x")
    assert refused.value.message == "no export job 7 (404, request r-1)"
    assert (refused.value.code, refused.value.exit_code) == ("not_found", 1)


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (
            web.json_response({"error_code": "403010", "message": "no token"}, status=403),
            "no token (403)",
        ),
        (web.Response(text="<html>", status=502, content_type="text/html"), "no reason (502)"),
        (web.json_response(["odd"], status=400), "no reason (400)"),
        (web.json_response({"report": None, "detail": "no"}, status=400), "no (400)"),
    ],
)
async def test_other_refusals_are_readable_too(service, answers, answer, line):
    answers.append(answer)
    with pytest.raises(Refused, match=line.replace("(", r"\(").replace(")", r"\)")):
        await service.post("/x", {})


async def test_wrong_credentials_are_said_to_be_wrong(access):
    wrong = Access(
        base_url=access.base_url, org_id="ORG", client_id=CLIENT, client_secret=CLIENT.upper()
    )
    async with Service.connect(wrong) as service:
        with pytest.raises(Refused, match="no such client"):
            await service.get("/x")


async def test_questions_are_asked_again_and_orders_are_not(service, answers):
    away = [web.Response(status=503) for _ in range(2)]
    answers.extend([*away, web.json_response({"x": 1})])
    assert await service.get("/x") == {"x": 1}
    answers.append(web.Response(status=503))
    with pytest.raises(Refused):
        await service.post("/x", {})
    assert len(answers.requests) == 4


async def test_an_upload_is_sent_in_pieces_of_a_known_length(service, answers):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    answers.append(web.Response())
    await service.upload("/file", pieces(), 6)
    assert answers.bodies == [b"onetwo"]
    assert answers.requests[0].headers["Content-Length"] == "6"
    assert answers.requests[0].content_type == "application/octet-stream"


async def test_paths_are_sent_as_they_are_quoted(service, answers):
    answers.append(web.Response())
    await service.get("/files/a%2Fb%20c", {"path": "d e/f"})
    assert answers.requests[0].raw_path == "/files/a%2Fb%20c?path=d+e/f"


async def test_nobody_there_is_said_with_the_address(monkeypatch):
    monkeypatch.setattr(api, "_FIRST_PAUSE_SECONDS", 0)
    nowhere = f"http://127.0.0.1:{unused_port()}"
    gone = Access(base_url=nowhere, org_id="o", client_id=CLIENT, client_secret=CLIENT)
    async with Service.connect(gone) as service:
        with pytest.raises(Unreachable, match=f"no answer from {nowhere}"):
            await service.get("/x")
