"""The pool: connections that died while idle, a server that is away, transactions that fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from catalog.errors import Unavailable
from catalog.store.database import Connection, Database, connected
from catalog.store.obstacles import Obstacle

OTHERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> $1"


async def cut_off_all_others(db: Connection) -> None:
    """End every other session of this database, as a restart of the server would."""
    own = await db.fetchval("SELECT pg_backend_pid()")
    for row in await db.fetch(OTHERS, own):
        await db.execute("SELECT pg_terminate_backend($1, 10000)", row["pid"])


async def test_a_transaction_survives_connections_that_died_while_idle(
    database: Database, db: Connection
):
    async with database.transaction() as one, database.transaction() as two:
        assert await one.fetchval("SELECT 1") == await two.fetchval("SELECT 1")
    await cut_off_all_others(db)
    for _ in range(3):
        async with database.transaction() as lent:
            assert await lent.fetchval("SELECT 1") == 1


async def test_a_database_that_is_gone_makes_the_service_unavailable(
    where: dict[str, Any], server: dict[str, Any], database: Database
):
    async with connected(**server) as admin:
        await admin.execute(f"ALTER DATABASE {where['database']} WITH ALLOW_CONNECTIONS false")
        await admin.fetch(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1",
            where["database"],
        )
        with pytest.raises(Unavailable):
            async with database.transaction():
                pass
        await admin.execute(f"ALTER DATABASE {where['database']} WITH ALLOW_CONNECTIONS true")


async def test_what_a_failed_transaction_wrote_is_gone(database: Database, db: Connection):
    with pytest.raises(ZeroDivisionError):
        await _found_and_fail(database)
    assert await db.fetchval("SELECT count(*) FROM organisations") == 0


async def _found_and_fail(database: Database) -> None:
    async with database.transaction() as lent:
        await lent.execute("INSERT INTO organisations (id, name) VALUES ('O', 'O')")
        raise ZeroDivisionError


async def test_what_a_transaction_wrote_is_seen_when_it_is_left(database: Database, db: Connection):
    async with database.transaction() as lent:
        await lent.execute("INSERT INTO organisations (id, name) VALUES ('O', 'O')")
        assert await db.fetchval("SELECT count(*) FROM organisations") == 0
    assert await db.fetchval("SELECT count(*) FROM organisations") == 1


async def test_a_failed_transaction_gives_its_connection_back(where: dict[str, Any]):
    database = await Database.connect(most=1, **where)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await _found_and_fail(database)
    async with database.transaction() as lent:
        assert await lent.fetchval("SELECT 1") == 1
    await database.close()


async def test_a_server_that_is_not_there_is_an_obstacle():
    with pytest.raises(Obstacle, match="cannot be reached"):
        async with connected(host="127.0.0.1", port=1, user="u", database="d"):
            pass


NAMES = "SELECT array_agg(id ORDER BY id) FROM organisations"


async def named(database: Database, name: str) -> int:
    """Keep a row in a transaction; return how many a question right behind it sees."""
    async with database.transaction() as db:
        await db.execute("INSERT INTO organisations (id, name) VALUES ($1, $1)", name)
    return int(await database.read(lambda one: one.fetchval("SELECT count(*) FROM organisations")))


async def broken_off(database: Database, *names: str, beside: str | None = None) -> None:
    async with database.together():
        for name in names:
            await named(database, name)
        if beside:
            await asyncio.gather(named(database, beside))
        raise ZeroDivisionError


async def test_transactions_inside_of_one_are_kept_or_undone_with_it(
    database: Database, db: Connection
):
    async with database.together():
        assert [await named(database, name) for name in "ab"] == [1, 2]
        assert await db.fetchval(NAMES) is None
    with pytest.raises(ZeroDivisionError):
        await broken_off(database, "c")
    assert await db.fetchval(NAMES) == ["a", "b"]
    assert await named(database, "d") == 3


async def test_what_runs_beside_a_transaction_is_no_part_of_it(database: Database, db: Connection):
    with pytest.raises(ZeroDivisionError):
        await broken_off(database, "a", beside="b")
    assert await db.fetchval(NAMES) == ["b"]
