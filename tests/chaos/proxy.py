"""Stands between the service and PostgreSQL, and treats connections as bad networks do."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from random import Random

#: A ``Query`` message, as asyncpg ends a transaction.
_COMMIT = b"Q\x00\x00\x00\x0cCOMMIT;\x00"
_PIECE_BYTES = 65536


class Link:
    """One connection of the service, and the proxy's own behind it."""

    def __init__(self, near: asyncio.StreamWriter, far: asyncio.StreamWriter) -> None:
        self.near = near
        self.far = far

    def cut(self) -> None:
        """Reset both sides: what was on its way is lost."""
        for end in (self.near, self.far):
            end.transport.abort()


class Proxy:
    """Passes everything on to the server's socket, unless told otherwise."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self.port = 0
        #: Each piece of data is held back so long.
        self.delay_seconds = 0.0
        self._links: set[Link] = set()
        self._passing = asyncio.Event()
        self._passing.set()
        self._loses_commit = False
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.speak()
        self.cut_all()
        if self._server is not None:
            self._server.close()

    def cut_all(self) -> int:
        """Reset every connection; return how many there were."""
        links = list(self._links)
        for link in links:
            link.cut()
        return len(links)

    def cut_one(self, rng: Random) -> int:
        links = list(self._links)
        if links:
            rng.choice(links).cut()
        return min(len(links), 1)

    def fall_silent(self) -> None:
        """Pass nothing on and close nothing, as a firewall that forgot its connections."""
        self._passing.clear()

    def speak(self) -> None:
        self._passing.set()

    def lose_a_commit(self) -> None:
        """Pass the next commit on, and cut the connection instead of passing the answer back."""
        self._loses_commit = True

    async def _accept(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter) -> None:
        try:
            there, far = await asyncio.open_unix_connection(str(self.socket))
        except OSError:  # PostgreSQL is away: the service sees a connection that is refused
            near.transport.abort()
            return
        link = Link(near, far)
        self._links.add(link)
        try:
            await asyncio.gather(self._forward(reader, link), self._backward(there, link))
        finally:
            self._links.discard(link)
            link.cut()

    async def _forward(self, source: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while data := await source.read(_PIECE_BYTES):
                await self._hold()
                link.far.write(data)
                await link.far.drain()
                if self._loses_commit and _COMMIT in data:
                    self._loses_commit = False
                    link.near.transport.abort()
                    await asyncio.sleep(0.2)  # the server reads the commit all the same
        link.cut()

    async def _backward(self, source: asyncio.StreamReader, link: Link) -> None:
        with suppress(OSError):
            while data := await source.read(_PIECE_BYTES):
                await self._hold()
                link.near.write(data)
                await link.near.drain()
        link.cut()

    async def _hold(self) -> None:
        if self.delay_seconds:
            await asyncio.sleep(self.delay_seconds)
        await self._passing.wait()
