"""Connections that are lost in the middle: what callers of the pool are told, and what is so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from catalog.errors import OutcomeUnknown, Unavailable
from catalog.store.database import Connection, Database
from tests.chaos.proxy import Proxy
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
async def distant(proxy: Proxy, where: dict[str, Any]) -> AsyncIterator[Database]:
    """The database as it is reached through the proxy."""
    database = await Database.connect(**{**where, "host": "127.0.0.1", "port": proxy.port})
    yield database
    async with asyncio.timeout(PATIENCE_SECONDS):
        await database.close()


async def add(db: Connection, name: str) -> None:
    await db.execute("INSERT INTO organisations (id, name) VALUES ($1, $1)", name)


async def add_while(distant: Database, happens: Callable[[Connection], Awaitable[object]]) -> None:
    """Write before and after something happens, in one transaction."""
    async with distant.transaction() as lent:
        await add(lent, "before")
        await happens(lent)
        await add(lent, "after")


async def names(db: Connection) -> set[str]:
    return {row["id"] for row in await db.fetch("SELECT id FROM organisations")}


async def test_a_transaction_whose_connection_is_cut_did_nothing_and_says_so(
    distant: Database, proxy: Proxy, db: Connection
):
    async def cut(_lent: Connection) -> None:
        proxy.cut_all()

    with pytest.raises(Unavailable):
        await add_while(distant, cut)
    assert await names(db) == set()


async def test_a_transaction_that_is_ended_by_the_server_did_nothing_and_says_so(
    distant: Database, db: Connection
):
    async def end(lent: Connection) -> None:
        pid = await lent.fetchval("SELECT pg_backend_pid()")
        await db.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)

    with pytest.raises(Unavailable):
        await add_while(distant, end)
    assert await names(db) == set()


async def test_a_commit_that_is_not_answered_is_known_to_be_unknown(
    distant: Database, proxy: Proxy, db: Connection
):
    async def lose(_lent: Connection) -> None:
        proxy.lose_a_commit()

    with pytest.raises(OutcomeUnknown):
        await add_while(distant, lose)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await names(db) != {"before", "after"}:  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.01)


async def test_the_pool_is_of_use_again_after_every_kind_of_loss(distant: Database, proxy: Proxy):
    async def cut(_lent: Connection) -> None:
        proxy.cut_all()

    for _ in range(5):
        with pytest.raises(Unavailable):
            await add_while(distant, cut)
        async with distant.transaction() as lent:
            assert await lent.fetchval("SELECT 1") == 1


async def test_who_is_cancelled_while_the_server_is_silent_waits_for_it_no_longer(
    distant: Database, proxy: Proxy
):
    inside = asyncio.Event()

    async def wait() -> None:
        async with distant.transaction() as lent:
            proxy.fall_silent()
            inside.set()
            await lent.fetchval("SELECT 1")

    waiting = asyncio.create_task(wait())
    await inside.wait()
    waiting.cancel()
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(asyncio.CancelledError):
            await waiting
    proxy.cut_all()
    proxy.speak()


async def test_a_defect_in_a_transaction_is_no_loss(distant: Database):
    with pytest.raises(asyncpg.UndefinedTableError):
        async with distant.transaction() as lent:
            await lent.execute("SELECT * FROM nowhere")
