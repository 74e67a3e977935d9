"""How long tests wait for what is sure to come, and how they wait for what tells nobody."""

from __future__ import annotations

import asyncio
from typing import Any

from catalog.store.database import Connection

#: Only what hangs takes so long: a machine that does much else may leave any process without a
#: processor for some seconds at any point, and waiting ends with what is waited for.
PATIENCE_SECONDS = 180

_LOCKED_OUT = (
    "SELECT count(DISTINCT pid) FROM pg_locks JOIN pg_stat_activity USING (pid)"
    " WHERE NOT granted AND backend_type = 'client backend' AND datname = current_database()"
)


async def until_locked_out(
    db: Connection,
    *,
    count: int = 1,
    doing: asyncio.Future[Any] | None = None,
    may_end: bool = False,
) -> None:
    """Return as soon as so many sessions of this database wait for a lock.

    ``doing`` is what is to wait, and fails the test when it ends instead, unless it ``may_end``.
    """
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await db.fetchval(_LOCKED_OUT) < count:
            if doing is not None and doing.done():
                assert may_end, "it waited for nobody"
                return
            await asyncio.sleep(0.001)
