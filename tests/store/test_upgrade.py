"""A newer release finds the database of an older one, left in the middle of its work."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from catalog.batches import BatchId
from catalog.jobs import JobState
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store import migrate as migrating
from catalog.store.batches import BatchStore
from catalog.store.database import Database, prepare
from catalog.store.export_jobs import ExportJobStore
from catalog.store.jobs import JobStore
from catalog.store.migrate import migrate, migrations
from service.worker.attempts import release_expired
from tests.builders import LEASE, WORKER

ALL = list(migrations())
#: The first with jobs and batches, and every one after it but the last.
OLDER = [migration.number for migration in ALL if 4 <= migration.number < len(ALL)]

#: An export in the middle of its first attempt, and a batch that waits for its promotion.
IN_THE_MIDDLE = """
INSERT INTO organisations (id, name) VALUES ('O', 'O');
INSERT INTO sandboxes (organisation_id, name, title, ingest_number) VALUES ('O', 'prod', 'P', 1);
INSERT INTO datasets (id, sandbox_id, organisation_id, name, schema_id, schema_content_type,
                      created_by, updated_by)
SELECT 'D', id, 'O', 'D', 'S', '', 'c', 'c' FROM sandboxes;
INSERT INTO jobs (sandbox_id, organisation_id, kind, state, dataset_id, "order", snapshot, attempt,
                  worker_id, lease_expires_at, started_at, created_by, request_id)
SELECT id, 'O', 'export', 'running', 'D',
       '{"echo": {}, "merge_policy_id": null, "merge_policy_version": null, "selection": {}}', 0, 1,
       'w', now() - interval '1 minute', now(), 'c', 'r' FROM sandboxes;
INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", created_by, request_id)
SELECT id, 'O', 'promotion', 'D',
       '{"batch_id": "waiting", "for_profile": false, "is_upsert": false}', 'c', 'r'
  FROM sandboxes;
INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format, job_id,
                     ingest_number, created_by)
SELECT 'filling', id, 'O', 'D', 'exporting', '{"format": "parquet"}'::jsonb, 1, NULL, 'c'
  FROM sandboxes
UNION ALL
SELECT 'waiting', id, 'O', 'D', 'loaded', '{"format": "json"}', 2, 1, 'c' FROM sandboxes;
"""


@pytest.mark.parametrize("number", OLDER)
async def test_jobs_that_an_older_release_ran_go_on_under_this_one(
    empty: dict[str, Any], monkeypatch: pytest.MonkeyPatch, number: int
):
    connection = await asyncpg.connect(**empty)
    await prepare(connection)
    with monkeypatch.context() as older:
        older.setattr(migrating, "migrations", lambda: iter(ALL[:number]))
        await migrate(connection)
    await connection.execute(IN_THE_MIDDLE)
    applied = await migrate(connection)
    assert applied == [migration.name for migration in ALL[number:]]
    database = await Database.connect(**empty)
    row = await connection.fetchrow("SELECT id FROM sandboxes")
    scope = Scope(
        organisation_id=OrganisationId("O"), sandbox_id=SandboxId(row["id"]), sandbox_name="prod"
    )
    assert await release_expired(database, limit=5, actor="w2") == 1
    await connection.execute("UPDATE jobs SET run_after = now()")
    async with database.transaction() as db:
        claimed = [await JobStore(db).claim_next(WORKER, lease=LEASE) for _ in range(2)]
        assert [(job.id, job.attempt) for job in claimed if job] == [(1, 2), (2, 1)]
        assert claimed[0] is not None
        shown = await ExportJobStore(db).find(scope, claimed[0].id)
        assert (shown.job.state, shown.batch_ids) == (JobState.RUNNING, ("filling",))
        assert (await BatchStore(db).find(scope, BatchId("waiting"))).ingest_number == 1
        assert await JobStore(db).renew(claimed[0], lease=timedelta(seconds=9), progress={})
    await database.close()
    await connection.close()
