"""Listening: what is heard, and what is said when something may have been missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from catalog.store import notices as listening
from catalog.store.database import Connection
from catalog.store.notices import LOOK_AGAIN, Notices
from tests.patience import PATIENCE_SECONDS

#: The one session of this test that is not the one which asks.
LISTENER = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


class Relay:
    """Stands between a client and the server, and can stop passing anything on."""

    def __init__(self, folder: Path, where: dict[str, Any]) -> None:
        self.address = {"host": str(folder), "port": 1}
        self._where = where
        self._pipes: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        path = f"{self.address['host']}/.s.PGSQL.1"
        self._server = await asyncio.start_unix_server(self._pass_on, path)

    def go_quiet(self) -> None:
        """Keep the connections there are, and pass nothing on in them."""
        for pipe in self._pipes:
            pipe.cancel()

    async def ended(self) -> None:
        """Wait until both sides of every connection are closed."""
        await asyncio.gather(*self._pipes)

    async def close(self) -> None:
        self.go_quiet()
        await asyncio.gather(*self._pipes, return_exceptions=True)
        for end in self._ends:
            end.close()
            with suppress(ConnectionError):
                await end.wait_closed()
        if self._server:
            self._server.close()
            await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self._upstream()
        self._ends |= {writer, back}
        for source, target in ((reader, back), (there, writer)):
            self._pipes.add(asyncio.create_task(_pipe(source, target)))

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if "host" in self._where:
            path = f"{self._where['host']}/.s.PGSQL.{self._where['port']}"
            return await asyncio.open_unix_connection(path)
        url = urlsplit(self._where["dsn"])
        return await asyncio.open_connection(url.hostname, url.port or 5432)


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        target.write(data)
    target.close()


@pytest.fixture
async def relay(tmp_path: Path, where: dict[str, Any]) -> AsyncIterator[Relay]:
    relay = Relay(tmp_path, where)
    yield relay
    await relay.close()


async def next_of(notices: Notices) -> str:
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await anext(notices)


async def test_the_first_notice_is_to_look_for_what_came_before(where: dict[str, Any]):
    async with Notices(**where) as notices:
        assert await next_of(notices) == LOOK_AGAIN


async def test_a_notice_tells_the_state_and_the_job(where: dict[str, Any], db: Connection):
    async with Notices(**where) as notices:
        assert await next_of(notices) == LOOK_AGAIN
        await db.execute("SELECT pg_notify('jobs', 'queued:7'), pg_notify('jobs', 'cancelled:6')")
        assert await next_of(notices) == "queued:7"
        assert await next_of(notices) == "cancelled:6"


async def test_a_database_restart_does_not_silently_kill_the_listener(
    where: dict[str, Any], db: Connection
):
    async with Notices(**where) as notices:
        assert await next_of(notices) == LOOK_AGAIN
        (pid,) = [row["pid"] for row in await db.fetch(LISTENER)]
        await db.execute("SELECT pg_terminate_backend($1)", pid)
        assert await next_of(notices) == LOOK_AGAIN
        await db.execute("SELECT pg_notify('jobs', 'queued:8')")
        assert await next_of(notices) == "queued:8"


async def test_a_connection_that_went_quiet_is_found_out(
    where: dict[str, Any], relay: Relay, monkeypatch
):
    """As when a firewall forgets a connection: nobody closes it, and nothing comes through."""
    monkeypatch.setattr(listening, "CHECK_SECONDS", 0.2)
    await relay.open()
    async with Notices(**{**where, **relay.address}) as notices:
        assert await next_of(notices) == LOOK_AGAIN
        relay.go_quiet()
        assert await next_of(notices) == LOOK_AGAIN


async def test_a_server_that_is_away_is_tried_again_until_it_is_back(
    where: dict[str, Any], relay: Relay, db: Connection
):
    async with Notices(**{**where, **relay.address}) as notices:
        await relay.open()
        assert await next_of(notices) == LOOK_AGAIN
        await db.execute("SELECT pg_notify('jobs', 'queued:9')")
        assert await next_of(notices) == "queued:9"


async def test_leaving_closes_the_connection(where: dict[str, Any], relay: Relay):
    await relay.open()
    async with Notices(**{**where, **relay.address}) as notices:
        assert await next_of(notices) == LOOK_AGAIN
    async with asyncio.timeout(PATIENCE_SECONDS):
        await relay.ended()
