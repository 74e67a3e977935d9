"""Restarts under load: what callers see of them is a connection that is reset, and nothing else."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable

from catalog.store.database import Connection, connected
from tests.chaos import evidence
from tests.chaos.callers import Callers
from tests.chaos.rig import Kept, running
from tests.chaos.siege import enter, until_ready
from tests.patience import PATIENCE_SECONDS

#: Leases of the default length: a machine that is busy with other tests loses none.
ORDINARY = {"PROFILE_EXPORTS_WORKER_LEASE": "30", "PROFILE_EXPORTS_WORKER_HEARTBEAT": "1"}
NO_ANSWER, UNAVAILABLE = 0, 503


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not is_so():  # noqa: ASYNC110  # processes and other tasks, who tell nobody
            await asyncio.sleep(0.05)


async def until_all_ended(db: Connection) -> None:
    """Wait for jobs that no caller follows: rebuilds, and those whose caller got no answer."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await evidence.unfinished(db):  # noqa: ASYNC110  # processes, who tell nobody
            await asyncio.sleep(0.05)


async def restart(kept: Kept) -> None:
    """Tell a process to end, and wait until the next one runs."""
    before = kept.starts
    assert kept.pid is not None
    os.kill(kept.pid, signal.SIGTERM)
    await until(lambda: kept.starts > before)


async def some_calls(callers: Callers, count: int) -> None:
    before = callers.ledger.answers.total()
    await until(lambda: callers.ledger.answers.total() > before + count)


def failures(callers: Callers) -> set[int]:
    return {status for _, status in callers.ledger.answers if status == 0 or status >= 500}


async def test_a_rolling_restart_under_load_fails_no_call_and_costs_no_attempt():
    async with running(**ORDINARY) as rig:
        callers = await enter(rig, seed=1)
        callers.start()
        for kept in (*rig.workers, rig.server, *rig.workers, rig.server):
            await some_calls(callers, 20)
            await restart(kept)
            await until_ready(rig)
        await callers.finish()
        await callers.close()
        async with connected(**rig.direct) as db:
            await until_all_ended(db)
            failed = await db.fetchval("SELECT sum(failed_attempts) FROM jobs")
            ended = "SELECT DISTINCT state FROM jobs WHERE kind <> 'compaction'"
            states = await db.fetch(ended)
    assert failures(callers) <= {NO_ANSWER}
    assert callers.ledger.violations == []
    assert failed == 0
    assert {row["state"] for row in states} <= {"succeeded", "cancelled"}


async def test_a_database_restart_under_load_is_told_as_unavailable_and_costs_no_attempt():
    async with running(**ORDINARY, PROFILE_EXPORTS_WORKER_POLL="600") as rig:
        callers = await enter(rig, seed=2)
        callers.start()
        for how in (signal.SIGINT, signal.SIGKILL):
            await some_calls(callers, 20)
            await rig.take_down_postgres(how)
            await until_ready(rig)
        await callers.finish()
        # Workers look by themselves every ten minutes only: it is their listener that wakes them.
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await callers.export() == "SUCCEEDED"
        await callers.close()
        async with connected(**rig.direct) as db:
            failed = await db.fetchval("SELECT sum(failed_attempts) FROM jobs")
    assert failures(callers) <= {NO_ANSWER, UNAVAILABLE}
    assert callers.ledger.violations == []
    assert failed == 0
