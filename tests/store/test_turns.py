"""Sandboxes take turns: a queue that is long delays nobody but itself."""

from __future__ import annotations

import json
import time
from math import inf
from typing import Any

import pytest

from catalog.jobs import JobKind
from catalog.organisations import SandboxId, Scope
from catalog.store.database import Connection
from catalog.store.jobs import SQL, JobStore
from tests.builders import LEASE, WORKER, a_dataset, a_job

MANY = 10_000
#: A claim takes 2 ms where nothing else runs. Looking at all that waits took 60.
SOON_SECONDS = 0.05
#: Of so many one is not disturbed, whatever else the machine does.
TRIES = 100


async def many_jobs(db: Connection, scope: Scope, *, kind: JobKind = JobKind.EXPORT) -> None:
    await db.execute(
        'INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,'
        " created_by, request_id)"
        " SELECT $1, $2, $3, $4, '{}', CASE WHEN $3 <> 'promotion' THEN 0 END, 'test', 'r'"
        " FROM generate_series(1, $5)",
        scope.sandbox_id,
        scope.organisation_id,
        kind,
        await a_dataset(db, scope),
        MANY,
    )
    await db.execute("ANALYZE jobs")


async def claimed(db: Connection, **limits: Any) -> SandboxId | None:
    job = await JobStore(db).claim_next(WORKER, lease=LEASE, **limits)
    return job.scope.sandbox_id if job else None


async def end_all(db: Connection) -> None:
    await db.execute(
        "UPDATE jobs SET state = 'cancelled', worker_id = NULL, lease_expires_at = NULL,"
        " finished_at = now() WHERE state = 'running'"
    )


async def test_ten_thousand_jobs_of_one_sandbox_do_not_delay_the_first_of_another(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    await many_jobs(db, scope)
    assert await claimed(db) == scope.sandbox_id
    await end_all(db)
    await a_job(db, foreign_scope)
    assert await claimed(db) == foreign_scope.sandbox_id, "though nothing else runs"
    await end_all(db)
    assert await claimed(db) == scope.sandbox_id


async def test_sandboxes_take_turns_though_one_worker_does_one_job_at_a_time(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    for each in (scope, scope, scope, foreign_scope, foreign_scope):
        await a_job(db, each)
    turns = []
    for _ in range(5):
        turns.append(await claimed(db))
        await end_all(db)
    ours, theirs = scope.sandbox_id, foreign_scope.sandbox_id
    assert turns == [ours, theirs, ours, theirs, ours]


async def test_a_sandbox_has_no_more_jobs_running_than_it_may(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    for each in (scope, scope, scope, foreign_scope):
        await a_job(db, each)
    for expected in (scope.sandbox_id, foreign_scope.sandbox_id, scope.sandbox_id, None):
        assert await claimed(db, most_running=2) == expected
    await end_all(db)
    assert await claimed(db, most_running=2) == scope.sandbox_id


@pytest.mark.parametrize("kind", [JobKind.EXPORT, JobKind.PROMOTION])  # of others one waits
async def test_a_claim_takes_no_longer_when_much_waits(
    db: Connection, scope: Scope, foreign_scope: Scope, kind: JobKind
):
    await many_jobs(db, scope, kind=kind)
    for _ in range(3):
        await a_job(db, foreign_scope)
    took = inf
    for _ in range(TRIES):
        started = time.perf_counter()
        assert await claimed(db) is not None
        took = min(took, time.perf_counter() - started)
        if took < SOON_SECONDS:
            break
    assert took < SOON_SECONDS


async def test_a_claim_looks_at_the_jobs_of_one_sandbox_only(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    await many_jobs(db, scope)
    await many_jobs(db, foreign_scope)
    query = SQL["claim_next"]
    values = {"worker_id": WORKER, "lease": LEASE, "most_running": None}
    async with db.transaction():
        (said,) = await db.fetchrow(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {query.text}",
            *(values[name] for name in query.parameters),
        )
    plans = json.loads(said) if isinstance(said, str) else said
    read = rows_read(plans[0]["Plan"])
    assert read < 100


def rows_read(plan: dict[str, Any]) -> int:
    """How many rows of jobs the steps of a plan read."""
    own = plan.get("Actual Rows", 0) * plan.get("Actual Loops", 1)
    filtered = plan.get("Rows Removed by Filter", 0) * plan.get("Actual Loops", 1)
    below = sum(rows_read(each) for each in plan.get("Plans", []))
    return below + (int(own + filtered) if plan.get("Relation Name") == "jobs" else 0)
