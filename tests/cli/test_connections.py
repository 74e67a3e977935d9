"""What peers may not do to the service: be slow, be many, speak something else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import cast

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from catalog.store.obstacles import Obstacle
from service.app import application
from service.cli.connections import Doorman
from service.cli.listening import address_of, bound, listening
from service.settings import HttpSettings
from service.surfaces.http import Operations
from tests.patience import PATIENCE_SECONDS

LOOPBACK = "127.0.0.1"
PATIENCE = timedelta(milliseconds=200)
#: None of these calls gets as far as asking for anything.
NO_OPERATIONS = cast("Operations", None)

Peer = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Peer]]


async def count(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def pour(request: web.Request) -> web.StreamResponse:
    """Sends without an end, until nobody takes it."""
    response = web.StreamResponse()
    await response.prepare(request)
    try:
        while True:
            await response.write(b"x" * 65536)
    except ConnectionError:
        request.app[ENDED].set()
        raise


ENDED = web.AppKey("ended", asyncio.Event)


@asynccontextmanager
async def serving(**changed: object) -> AsyncIterator[tuple[Connect, web.Application]]:
    settings = HttpSettings.model_validate(
        {"host": LOOPBACK, "port": 0, "patience": PATIENCE, **changed}
    )
    app = application(NO_OPERATIONS)
    app.on_cleanup.clear()
    app[ENDED] = asyncio.Event()
    app.router.add_post("/count", count)
    app.router.add_get("/pour", pour)
    peers: list[Peer] = []
    with bound(settings.host, settings.port) as sockets:
        async with listening(app, sockets, settings):
            port = sockets[0].getsockname()[1]

            async def connect() -> Peer:
                peers.append(await asyncio.open_connection(LOOPBACK, port))
                return peers[-1]

            try:
                yield connect, app
            finally:
                for _, writer in peers:
                    writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """All that is sent until the connection ends."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


async def one(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """The head and the body of one answer, whatever becomes of the connection."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        return head, await reader.readexactly(int(length[1]))


def post(length: int, *, more: bytes = b"") -> bytes:
    return b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length + more


def refusal_in(answer: bytes) -> dict[str, str]:
    """The report of a refusal that was written without a call, dressed as all answers are."""
    head, _, body = answer.partition(b"\r\n\r\n")
    _, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    assert len(headers) == len(lines)
    assert int(headers["content-length"]) == len(body)
    assert headers["connection"] == "close"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    report: dict[str, str] = json.loads(body)["report"]
    assert report["requestId"] == headers["x-request-id"]
    return report


async def test_a_head_that_comes_too_slowly_is_given_up_on():
    async with serving() as (connect, _):
        reader, writer = await connect()
        writer.write(b"POST /count HTTP/1.1\r\nHost: h\r\nX-Slow: ")
        answer = await rest(reader)
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert refusal_in(answer)["code"] == "too_slow"


async def test_a_peer_that_says_nothing_is_left_without_a_word():
    async with serving() as (connect, _):
        reader, _writer = await connect()
        assert await rest(reader) == b""


async def test_a_body_that_stops_coming_is_refused_and_the_connection_closed():
    async with serving() as (connect, _):
        reader, writer = await connect()
        writer.write(post(100, more=b"abc"))
        answer = await rest(reader)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert json.loads(body)["report"]["code"] == "too_slow"


async def test_a_body_that_trickles_is_refused_though_it_never_stops():
    async def trickle(writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(PATIENCE.total_seconds() / 10)

    async with serving(slowest=1000) as (connect, _):
        reader, writer = await connect()
        writer.write(post(1_000_000))
        trickling = asyncio.create_task(trickle(writer))
        answer = await rest(reader)
        trickling.cancel()
    assert answer.startswith(b"HTTP/1.1 408 ")


async def test_a_body_that_is_slow_but_fast_enough_is_taken(monkeypatch: pytest.MonkeyPatch):
    doormen = []

    async def look_when_told(doorman: Doorman) -> None:
        doormen.append(doorman)
        await asyncio.Event().wait()

    monkeypatch.setattr(Doorman, "_look", look_when_told)
    async with serving(slowest=1) as (connect, _):
        reader, writer = await connect()
        writer.write(post(10))
        for number in range(10):
            await until_arrived(doormen, len(post(10)) + number)
            (connection,) = doormen[0]._inside
            connection.look(1.1 * number * PATIENCE.total_seconds())
            writer.write(b"x")
        answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 ")


async def until_arrived(doormen: list[Doorman], count: int) -> None:
    """Wait until the one connection has brought so many bytes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while [each._came_bytes for man in doormen for each in man._inside] != [count]:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_peer_that_takes_nothing_of_its_answer_is_cut_off():
    async with serving() as (connect, app):
        _reader, writer = await connect()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET /pour HTTP/1.1\r\nHost: h\r\n\r\n")
        async with asyncio.timeout(PATIENCE_SECONDS):
            await app[ENDED].wait()


async def test_one_connection_too_many_is_told_to_come_again_and_the_others_go_on():
    async with serving(connections=2, patience=timedelta(seconds=PATIENCE_SECONDS)) as (connect, _):
        first, second = await connect(), await connect()
        for reader, writer in (first, second):
            writer.write(post(1, more=b"x"))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        reader, _writer = await connect()
        answer = await rest(reader)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After: 1\r\n" in answer
        assert refusal_in(answer)["code"] == "unavailable"
        reader, writer = first
        await reader.readexactly(1)
        writer.close()
        await writer.wait_closed()
        reader, writer = await connect()
        writer.write(post(1, more=b"x"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\r\n\r\n",
        b"G\x00T / HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nno colon\r\n\r\n",
        b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /count HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"X-Many: x\r\n" * 200 + b"\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nExpect: swordfish\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nExpect: \xff\xfe\r\n\r\n",
    ],
    ids=lambda head: head[:40].decode(errors="replace"),
)
async def test_what_is_no_http_is_refused_in_the_one_body_and_leaves_no_trace(
    head: bytes, caplog: pytest.LogCaptureFixture
):
    with capture_logs() as lines:
        async with serving() as (connect, _):
            reader, writer = await connect()
            writer.write(head)
            said, body = await one(reader)
    status = int(said.split()[1])
    problem = json.loads(body)
    assert 400 <= status < 500
    assert problem["status"] == status
    assert problem["report"]["requestId"]
    assert b"X-Content-Type-Options: nosniff" in said
    assert "Traceback" not in caplog.text
    assert "swordfish" not in str(lines)


async def test_a_port_that_is_taken_is_refused_before_anything_else_is_done():
    with bound(LOOPBACK, 0) as sockets:
        sockets[0].listen()
        port = sockets[0].getsockname()[1]
        assert address_of(LOOPBACK, sockets) == f"http://127.0.0.1:{port}"
        with pytest.raises(Obstacle, match=f"port {port}"), bound(LOOPBACK, port):
            pass


def test_a_name_of_several_addresses_is_taken_whole_under_one_port():
    with bound("localhost", 0) as sockets:
        assert len({each.getsockname()[1] for each in sockets}) == 1
        assert address_of("localhost", sockets).startswith("http://localhost:")
