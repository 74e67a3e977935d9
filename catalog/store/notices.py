"""Hears what the database says of jobs, and says so when it may have missed something.

A listener that lost its connection hears nothing and notices nothing: that is how a restart of
the database silently stops a fleet of workers. So the connection here is one of its own, watched,
and made again; and each time it was made, those who listen are told to look for themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Self

import asyncpg
import structlog

#: What the trigger on ``jobs`` calls its channel; a notice reads ``state:job_id``.
CHANNEL = "jobs"
#: A notice of our own: notices may have been lost, so whatever they could have told is to be
#: looked up. Comes after every connect, the first included.
LOOK_AGAIN = "look again"

#: Between attempts to connect, doubling. A restart of PostgreSQL takes a second or two.
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 5.0
#: How often a silent connection is asked whether it is still there: a firewall or a machine
#: that vanished closes nothing.
CHECK_SECONDS = 30.0

_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

log = structlog.get_logger(__name__)


class Notices:
    """An endless stream of notices. Enter it before reading; leaving closes its connection."""

    def __init__(self, **where: Any) -> None:
        """``where`` is what :func:`asyncpg.connect` takes: a dsn, or host and user."""
        self._where = where
        self._heard: asyncio.Queue[str] = asyncio.Queue()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        return await self._heard.get()

    async def _listen(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._connection() as (connection, lost):
                    pause = FIRST_PAUSE_SECONDS
                    self._heard.put_nowait(LOOK_AGAIN)
                    await _until_lost(connection, lost)
            except _LOST as error:
                log.warning("listener cannot connect", error=str(error), retry_seconds=pause)
            else:
                log.warning("listener lost its connection", retry_seconds=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def _connection(
        self,
    ) -> AsyncIterator[tuple[asyncpg.Connection[asyncpg.Record], asyncio.Event]]:
        """Lend a connection that listens, and the event that tells when it is gone."""
        lost = asyncio.Event()
        connection = await asyncpg.connect(**self._where)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._hear)
            yield connection, lost
        finally:
            connection.terminate()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        self._heard.put_nowait(str(payload))


async def _until_lost(connection: asyncpg.Connection[asyncpg.Record], lost: asyncio.Event) -> None:
    while not lost.is_set():
        with suppress(TimeoutError):
            async with asyncio.timeout(CHECK_SECONDS):
                await lost.wait()
                return
        await connection.execute("SELECT 1", timeout=CHECK_SECONDS)
