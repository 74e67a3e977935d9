"""Bytes that are almost HTTP, and HTTP that nobody would send: no crash, no 500, no silence.

Each case is one connection to the real listener: a head, framing or body that was bent in one
or several of many ways, in pieces or at once. ``HTTP_FUZZ_REQUESTS`` says how many; ``make fuzz``
sends 20,000. The seed of a failure is in its message.
"""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import zlib
from collections.abc import AsyncIterator
from random import Random

import pytest
from structlog.testing import capture_logs

from catalog.organisations import Scope
from catalog.store.database import Database
from service.app import ROUTES, application
from service.cli.listening import bound, listening
from service.settings import HttpSettings
from service.surfaces.http import Operations
from tests.patience import PATIENCE_SECONDS
from tests.surfaces.client import headers_for

REQUESTS = int(os.environ.get("HTTP_FUZZ_REQUESTS", "400"))
SEED = int(os.environ.get("HTTP_FUZZ_SEED", "1"))
#: The longest any answer may take; slow peers are cut off a good deal earlier. In the suite the
#: machine does other things besides.
MOST_SECONDS = 5 if "HTTP_FUZZ_REQUESTS" in os.environ else PATIENCE_SECONDS
AT_ONCE = 8

METHODS = [b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"]
ODD_METHODS = [b"CONNECT", b"get", b"M-SEARCH", b"\x00", b"G T", b"A" * 300, b"PRI", b""]
VERSIONS = [b"HTTP/1.1"] * 12 + [
    b"HTTP/1.0",
    b"HTTP/0.9",
    b"HTTP/2.0",
    b"HTTP/1.15",
    b"http/1.1",
    b"",
]
TYPES = [b"application/json", b"application/octet-stream", b"application/x-www-form-urlencoded"]
TYPES += [b"multipart/form-data; boundary=x", b"text/plain; charset=utf-7", b"\xff", b";;;"]
BODIES = [b"", b"{}", b"[]", b"null", b'{"a":' * 2000, b"[" * 100_000, b'"\\ud800"', b"\xff\xfe{"]
BODIES += [b'{"name": "x", "schema": {"name": "y"}, "destination": {}}', b"a=b&" * 500, b"1e999999"]
BODIES += [b'{"limit": NaN, "fields": 1e400}', b"\x00" * 1000, b'{"id": "' + b"x" * 100_000 + b'"}']
VALUES = [
    b"",
    b"\x7f",
    b"\xff\xfe",
    b"0",
    b"-1",
    b"1" * 30,
    b"*",
    b"bytes=0-",
    b"bytes=5-1,2-",
    b'W/"x"',
]
VALUES += [
    b"a" * 15_000,
    b"a" * 20_000,
    b"%00",
    b"..",
    b"identity;q=0, *;q=0",
    b"\tx\t",
    b"Bearer x",
]
NAMES = [
    b"Host",
    b"Accept",
    b"Accept-Encoding",
    b"Authorization",
    b"Range",
    b"If-Range",
    b"If-Match",
]
NAMES += [b"If-None-Match", b"If-Modified-Since", b"Expect", b"Cookie", b"Upgrade", b"Connection"]
NAMES += [b"x-api-key", b"x-gw-ims-org-id", b"x-sandbox-name", b"x-request-id", b"Content-Range"]
NAMES += [
    b"Idempotency-Key",
    b"Content-Type",
    b"Content-Encoding",
    b"Sec-WebSocket-Key",
    b"X Y",
    b"",
]
NAMES += [
    b"Transfer-Encoding",
    b"Content-Length",
    b"Forwarded",
    b"Trailer",
    b"TE",
    b"Date",
    b"\xc3\xa9",
]


#: A few kilobytes that become 20 MB.
BOMB = gzip.compress(b"0" * 20_000_000)


class Bender:
    """Makes up requests, the same for the same seed."""

    def __init__(self, seed: int, headers: dict[str, str]) -> None:
        self._random = Random(seed)  # noqa: S311 -- to be repeated, not to be secret
        self._credentials = [f"{k}: {v}".encode() for k, v in headers.items()]

    def pieces(self) -> list[bytes]:
        """One connection's bytes, in the pieces in which they are sent."""
        whole = b"".join(self._request() for _ in range(self._random.choice([1, 1, 1, 2, 5])))
        if self._chance(0.1):
            whole = self._bitten(whole)
        if self._chance(0.1):
            whole = whole[: self._random.randrange(len(whole) + 1)]
        if self._chance(0.7):
            return [whole]
        cuts = sorted(self._random.randrange(len(whole) + 1) for _ in range(3))
        return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]

    def _request(self) -> bytes:
        if self._chance(0.03):
            return self._random.randbytes(self._random.randrange(2000))
        pick = self._random.choice
        method = pick(METHODS) if self._chance(0.95) else pick(ODD_METHODS)
        head = [b" ".join([method, self._target(), pick(VERSIONS)])]
        if self._chance(0.95):
            head.append(b"Host: localhost")
        if self._chance(0.7):
            head += self._credentials
        for _ in range(self._random.choice([0, 0, 1, 2, 4])):
            head.append(pick(NAMES) + pick([b": ", b":", b" : "]) + pick(VALUES))
        if self._chance(0.02):
            head += [b"X-%d: y" % number for number in range(self._random.choice([90, 300]))]
        framing, body = self._body()
        end = b"\r\n" if self._chance(0.97) else pick([b"\n", b"\r", b"\r\r\n"])
        return end.join([*head, *framing, b"", b""]) + body

    def _target(self) -> bytes:
        route = self._random.choice(ROUTES).path
        path = re.sub(r"\{[^}]*\}", lambda _: self._part(), route).encode()
        if self._chance(0.3):
            query = "&".join(f"{self._part()}={self._part()}" for _ in range(3))
            path += b"?" + query.encode()
        if self._chance(0.1):
            odd = [
                b"*",
                b"http://other/x",
                b"//x",
                b"/../../etc/passwd",
                b"/%2e%2e/",
                b"/\xff",
                b"x",
            ]
            odd += [b"/data/" + b"x" * 3000, b"/" + b"y" * 70_000, b"/data/%", b"/%zz", b"/a b"]
            path = self._random.choice(odd)
        return path

    def _part(self) -> str:
        words = ["1", "-1", "%00", "%2F", "..", "a%20b", "%F0%9F%98%80", "%ff", "x" * 200, "9" * 40]
        words += [
            "path",
            "limit",
            "start",
            "offset",
            "action",
            "COMPLETE",
            "prod",
            "%5B%5D",
            "*",
            "'",
        ]
        return self._random.choice(words)

    def _body(self) -> tuple[list[bytes], bytes]:
        """Framing headers and a body that mostly, but not always, fit one another."""
        pick = self._random.choice
        if self._chance(0.4):
            return [], b""
        body, framing = pick(BODIES), [b"Content-Type: " + pick(TYPES)]
        if self._chance(0.2):
            coding, coded = pick(
                [
                    (b"gzip", gzip.compress(body)),
                    (b"deflate", zlib.compress(body)),
                    (b"gzip", body),
                    (b"br", body),
                    (b"gzip", BOMB),
                ]
            )
            framing, body = [*framing, b"Content-Encoding: " + coding], coded
        how = self._random.random()
        if how < 0.6:
            return [*framing, b"Content-Length: %d" % len(body)], body
        if how < 0.7:
            wrong = pick([b"-1", b"abc", b"1, 2", b"99999999999999999999", b"0x5", b"+3", b""])
            return [*framing, b"Content-Length: " + wrong], body
        if how < 0.75:
            return [*framing, b"Content-Length: %d" % (len(body) + 3)], body
        return [
            *framing,
            b"Transfer-Encoding: " + pick([b"chunked"] * 5 + [b"gzip", b"x, chunked"]),
        ], (self._chunked(body))

    def _chunked(self, body: bytes) -> bytes:
        sizes = [b"%x" % len(body)] * 6 + [b"0", b"-1", b"zz", b"f" * 20, b"%x;ext=1" % len(body)]
        return self._random.choice(sizes) + b"\r\n" + body + b"\r\n0\r\n\r\n"

    def _bitten(self, whole: bytes) -> bytes:
        bitten = bytearray(whole)
        for _ in range(self._random.choice([1, 3, 20])):
            if bitten:
                bitten[self._random.randrange(len(bitten))] = self._random.randrange(256)
        return bytes(bitten)

    def _chance(self, share: float) -> bool:
        return self._random.random() < share


@pytest.fixture
async def port(operations: Operations) -> AsyncIterator[int]:
    settings = HttpSettings.model_validate(
        {"host": "127.0.0.1", "port": 0, "patience": 0.5, "idle": 1}
    )
    with bound(settings.host, settings.port) as sockets:
        async with listening(application(operations), sockets, settings):
            yield sockets[0].getsockname()[1]


async def exchange(port: int, pieces: list[bytes]) -> bytes:
    """Send a connection's bytes; return what comes back until the service is done or waits.

    It may wait for the rest of what was begun, but not for long: then it cuts us off.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0)
        while more := await reader.read(65536):
            answer += more
            if is_whole(answer):
                break
    except ConnectionError:
        pass
    finally:
        writer.close()
    return answer


def is_whole(answer: bytes) -> bool:
    """Whether the first answer has come to its end; more may follow."""
    head, end, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    return bool(end) and length is not None and len(body) >= int(length[1])


async def test_nothing_that_can_be_sent_breaks_the_service_or_keeps_it_waiting(
    port: int,
    scope: Scope,
    database: Database,
    operations: Operations,
    caplog: pytest.LogCaptureFixture,
):
    headers = dict(await headers_for(scope, database, operations))
    numbers = iter(range(REQUESTS))

    async def send_some() -> None:
        for number in numbers:
            pieces = Bender(SEED * 1_000_000 + number, headers).pieces()
            try:
                async with asyncio.timeout(MOST_SECONDS):
                    answer = await exchange(port, pieces)
            except TimeoutError:
                pytest.fail(f"no end within {MOST_SECONDS} s, seed {SEED}, request {number}")
            broken = re.search(rb"HTTP/1\.[01] (500|501|502|504) ", answer)
            assert not broken, f"seed {SEED}, request {number}: {answer[:500]!r}"

    # Whoever comes first waits for connections to the database: that is not what is measured.
    lines_of = [f"{name}: {value}" for name, value in headers.items()]
    well = "\r\n".join(["GET /data/core/ups/export/jobs HTTP/1.1", "Host: h", *lines_of, "", ""])
    await asyncio.gather(*(exchange(port, [well.encode()]) for _ in range(AT_ONCE)))
    with capture_logs() as lines:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(send_some())
    assert [line for line in lines if line["event"] == "a defect"] == []
    assert "Traceback" not in caplog.text
    alive = await exchange(port, [b"GET /ready HTTP/1.1\r\nHost: h\r\n\r\n"])
    assert alive.startswith(b"HTTP/1.1 200 ")
