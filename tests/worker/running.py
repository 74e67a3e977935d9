"""Runs a worker for as long as a block lasts, and waits for what becomes of its jobs."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

from catalog.store.jobs import JobStore
from catalog.store.notices import Notices
from tests.patience import PATIENCE_SECONDS


@asynccontextmanager
async def running(worker, where):
    """Run a worker on the database at ``where``; a block that takes too long fails."""
    async with Notices(**where) as notices, asyncio.timeout(PATIENCE_SECONDS):
        task = asyncio.create_task(worker.run(notices))
        try:
            yield worker
        finally:
            worker.stop()
            await task


async def reach(db, scope, job, *states):
    """Wait until a job stands in one of the states; return it."""
    heard = asyncio.Event()
    await db.add_listener("jobs", lambda *_: heard.set())
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            heard.clear()
            found = await JobStore(db).find(scope, job.id, kind=job.kind)
            if found.state in states:
                return found
            await heard.wait()
