"""The address the service is reached at: taken before anything is started, served once it is."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

from aiohttp import web

from catalog.store.obstacles import Obstacle
from service.cli.connections import Connection, Doorman
from service.settings import HttpSettings

#: Longer request lines the HTTP library refuses in words of its own; up to here we do in ours.
_LONGEST_LINE = 64 * 1024
#: Header lines of one call. Clients send a dozen, proxies add as many.
_MOST_HEADERS = 100
#: How long a body that nobody wants is read, so that its sender gets to read why.
_LONGEST_LINGER_SECONDS = 10.0
#: Connections the system holds for us while we are busy.
_BACKLOG = 1024


@contextmanager
def bound(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Take the address for as long as the block lasts, or raise Obstacle. Nobody is heard yet.

    A name that stands for several addresses takes them all, under one port.
    """
    with ExitStack() as taken:
        sockets: list[socket.socket] = []
        try:
            for family, *_, address in socket.getaddrinfo(
                host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            ):
                one = taken.enter_context(socket.socket(family, socket.SOCK_STREAM))
                one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                one.bind((address[0], port or _port(sockets), *address[2:]))
                sockets.append(one)
        except OSError as error:
            raise _taken(host, port, error) from error
        yield sockets


def address_of(host: str, sockets: list[socket.socket]) -> str:
    """An address this machine reaches the service by, also when it listens on all of them."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 -- read, not listened on
    port = _port(sockets)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@asynccontextmanager
async def listening(
    app: web.Application, sockets: list[socket.socket], settings: HttpSettings
) -> AsyncIterator[None]:
    """Answer calls; at the end take no more and let those in progress finish."""
    loop = asyncio.get_running_loop()
    doorman = Doorman(
        most=settings.connections, patience=settings.patience, slowest_bytes=settings.slowest
    )
    runner = web.AppRunner(
        app, access_log=None, shutdown_timeout=settings.shutdown_grace.total_seconds()
    )
    await runner.setup()
    server = runner.server
    assert server is not None

    def connection() -> Connection:
        return Connection(
            server,
            doorman,
            loop=loop,
            access_log=None,
            keepalive_timeout=settings.idle.total_seconds(),
            lingering_time=min(settings.patience.total_seconds(), _LONGEST_LINGER_SECONDS),
            max_line_size=_LONGEST_LINE,
            max_field_size=settings.header_bytes,
            max_headers=_MOST_HEADERS,
        )

    doors: list[asyncio.Server] = []
    try:
        async with doorman.at_the_door():
            for each in sockets:
                try:
                    doors.append(await loop.create_server(connection, sock=each, backlog=_BACKLOG))
                except OSError as error:
                    raise _taken(settings.host, settings.port, error) from error
            yield
    finally:
        for door in doors:
            door.close()
        await runner.cleanup()


def _port(sockets: list[socket.socket]) -> int:
    """The port the first of them was given; 0 when there is none yet."""
    return int(sockets[0].getsockname()[1]) if sockets else 0


def _taken(host: str, port: int, error: OSError) -> Obstacle:
    return Obstacle(
        f"cannot listen on {host} port {port} ({error.strerror or error}): choose others with "
        "--host and --port; 0 is any port"
    )
