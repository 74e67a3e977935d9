"""What is counted of jobs: how they ended, how long it took, and what waits; each once."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from prometheus_client import REGISTRY

from catalog.jobs import WENT_SILENT, JobError, JobEvent, JobKind
from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from catalog.store.jobs import JobStore
from service.operations.monitoring import Monitoring
from tests.builders import LEASE, WORKER, a_job


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"profile_exports_{name}", labels) or 0


async def long_ago(db: Connection) -> None:
    """Let what happened so far be older than what monitoring still waits for."""
    await db.execute("UPDATE job_events SET at = at - interval '3 seconds'")


@pytest.fixture
async def monitoring(database: Database) -> Monitoring:
    """One that looked before anything happened."""
    monitoring = Monitoring(database)
    monitoring._until = datetime(2000, 1, 1, tzinfo=UTC)
    return monitoring


async def test_a_job_that_ended_is_counted_once_under_its_kind_and_outcome(
    monitoring: Monitoring, db: Connection, scope: Scope
):
    job = await a_job(db, scope, kind=JobKind.EXPORT, is_claimed=True)
    await JobStore(db).move(job, JobEvent.COMPLETE, actor=WORKER)
    await long_ago(db)
    labels = {"kind": "export", "outcome": "succeeded"}
    before = value("job_seconds_count", **labels), value("job_wait_seconds_count", kind="export")
    for _ in range(3):
        await monitoring.look()
    after = value("job_seconds_count", **labels), value("job_wait_seconds_count", kind="export")
    assert after == (before[0] + 1, before[1] + 1)


async def test_a_lost_lease_is_counted(monitoring: Monitoring, db: Connection, scope: Scope):
    job = await a_job(db, scope, is_claimed=True)
    silent = JobError(code="lease_expired", message=WENT_SILENT)
    await JobStore(db).move(job, JobEvent.RELEASE, actor="reaper", failure=silent)
    await long_ago(db)
    before = value("leases_lost_total")
    await monitoring.look()
    await monitoring.look()
    assert value("leases_lost_total") == before + 1


async def test_what_was_swept_is_counted_by_what_it_was(monitoring: Monitoring, db: Connection):
    for count in (2, 3):
        await db.execute(
            "INSERT INTO sweeps (actor, counts, started_at, ended_at)"
            " VALUES ('w', $1, now(), now() - interval '3 seconds')",
            {"uploads": count, "files": 0},
        )
    before = value("swept_total", what="uploads")
    await monitoring.look()
    await monitoring.look()
    assert value("swept_total", what="uploads") == before + 5


async def test_what_waits_and_runs_is_told_as_it_is_now(
    monitoring: Monitoring, db: Connection, scope: Scope
):
    for _ in range(3):
        await a_job(db, scope, kind=JobKind.EXPORT)
    await JobStore(db).claim_next(WORKER, lease=LEASE)
    await monitoring.look()
    assert value("jobs", kind="export", state="queued") == 2
    assert value("jobs", kind="export", state="running") == 1
    assert value("oldest_job_seconds", kind="export", state="queued") > 0
    await db.execute(
        "UPDATE jobs SET state = 'cancelled', finished_at = now(), worker_id = NULL,"
        " lease_expires_at = NULL"
    )
    await monitoring.look()
    assert value("jobs", kind="export", state="queued") == 0


async def test_metrics_are_answered_without_a_database(
    monitoring: Monitoring, database: Database, caplog: pytest.LogCaptureFixture
):
    await database.close()
    await monitoring.look()
    assert "the metrics of jobs cannot be had" in caplog.text
