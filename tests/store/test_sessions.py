"""Sessions whose process fell silent: they hold nobody up for longer than they may."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from catalog.errors import OutcomeUnknown, Unavailable
from catalog.store.database import Connection, Database
from catalog.store.sessions import SessionStore
from tests.patience import PATIENCE_SECONDS

A_MOMENT = timedelta(milliseconds=200)
LONG = timedelta(minutes=1)


async def nothing_more(_silent: Connection) -> None:
    """Stop between two statements."""


async def prepare_a_statement(silent: Connection) -> None:
    """Stop between the two messages of a statement that the connection has not run before."""
    await silent.prepare("SELECT count(*) FROM organisations")


async def ended(db: Connection, silence: timedelta) -> int:
    """End silent sessions as soon as there are some; return how many there were."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            await asyncio.sleep(silence.total_seconds() / 2)
            if count := await SessionStore(db).end_silent(silence=silence):
                return count


async def fall_silent(database: Database, db: Connection, then: Any) -> None:
    """Lock a table, send nothing more, and see another lock it before that was let go."""
    async with database.transaction() as silent:
        await silent.execute("LOCK TABLE jobs")
        await then(silent)
        assert await ended(db, A_MOMENT) == 1
        async with asyncio.timeout(PATIENCE_SECONDS), db.transaction():
            await db.execute("LOCK TABLE jobs")


@pytest.mark.parametrize("then", [nothing_more, prepare_a_statement])
async def test_a_transaction_of_which_nothing_is_heard_gives_its_locks_back(
    database: Database, db: Connection, then: Any
):
    """A process that was stopped within one, wherever it was, holds up nobody for longer."""
    with pytest.raises((OutcomeUnknown, Unavailable)):
        await fall_silent(database, db, then)


async def test_who_is_in_no_transaction_or_no_session_of_the_service_may_be_silent(
    database: Database, db: Connection
):
    async with database.transaction() as first:
        assert await first.fetchval("SELECT 1") == 1
    async with db.transaction(), database.transaction() as looking:
        assert await db.fetchval("SELECT 1") == 1
        assert await SessionStore(looking).end_silent(silence=timedelta(0)) == 0
        assert await db.fetchval("SELECT 1") == 1


async def test_who_was_heard_of_a_moment_ago_is_not_silent(database: Database, db: Connection):
    async with database.transaction() as lent:
        assert await SessionStore(db).end_silent(silence=LONG) == 0
        assert await lent.fetchval("SELECT 1") == 1
