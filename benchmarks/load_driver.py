"""Calls a service over and over and measures: as fast as it answers, or at a rate of its own.

It speaks just enough HTTP to keep a server busy from half a core: requests are bytes that were
made before, of answers only the status, the length and a part of the body are looked at.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

Make = Callable[[int], bytes]

_LENGTH = re.compile(rb"[Cc]ontent-[Ll]ength: (\d+)")


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of one run."""

    seconds: float
    #: Of each call, in the order of their ends.
    latencies: list[float] = field(repr=False)
    #: Answers that were not 200, the first few of them.
    failures: list[str]

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


class Line:
    """One connection that is kept open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def to(cls, host: str, port: int) -> Line:
        return cls(*await asyncio.open_connection(host, port, limit=2**22))

    async def call(self, request: bytes) -> tuple[int, bytes]:
        """Send one request; return the status and the body of its answer."""
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        body = await self._reader.readexactly(int(found[1])) if found else b""
        return int(head[9:12]), body

    def close(self) -> None:
        self._writer.close()


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def as_fast_as_it_goes(
    port: int, make: Make, *, seconds: float, lines: int, warm_up: float = 1.0
) -> Measured:
    """Call from so many connections, each again as soon as it was answered."""
    latencies: list[float] = []
    failures: list[str] = []
    started = time.perf_counter()
    begins, ends = started + warm_up, started + warm_up + seconds

    async def one(number: int) -> None:
        line = await Line.to("127.0.0.1", port)
        while (sent := time.perf_counter()) < ends:
            status, body = await line.call(make(number))
            number += lines
            if sent >= begins:
                latencies.append(time.perf_counter() - sent)
            if status != HTTPStatus.OK:
                failures.append(f"{status} {body[:300]!r}")
        line.close()

    await asyncio.gather(*(one(number) for number in range(lines)))
    return Measured(time.perf_counter() - begins, latencies, failures[:5])


async def at_a_rate(port: int, make: Make, *, rate: float, seconds: float, lines: int) -> Measured:
    """Call at fixed instants, whether earlier calls were answered or not.

    A latency counts from the instant a call was due: time it waited for a free connection is
    the service's, not ours.
    """
    latencies: list[float] = []
    failures: list[str] = []
    due: asyncio.Queue[tuple[int, float] | None] = asyncio.Queue()
    started = time.perf_counter()

    async def one() -> None:
        line = await Line.to("127.0.0.1", port)
        while (next_one := await due.get()) is not None:
            number, at = next_one
            status, body = await line.call(make(number))
            latencies.append(time.perf_counter() - at)
            if status != HTTPStatus.OK:
                failures.append(f"{status} {body[:300]!r}")
        line.close()

    async with asyncio.TaskGroup() as group:
        for _ in range(lines):
            group.create_task(one())
        number, count = 0, int(rate * seconds)
        while number < count:
            passed = time.perf_counter() - started
            while number < min(passed * rate, count):
                due.put_nowait((number, started + number / rate))
                number += 1
            await asyncio.sleep(0.001)
        for _ in range(lines):
            due.put_nowait(None)
    return Measured(time.perf_counter() - started, latencies, failures[:5])
