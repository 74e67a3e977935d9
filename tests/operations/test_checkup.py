"""What a checkup sees when the disk and the database disagree."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from catalog.store.migrate import migrations
from service.operations.checkup import Checkup, Findings
from service.storage import keys
from service.storage.files import Files


async def examine(database: Database, files: Files) -> Findings:
    return await Checkup(database, files, sweeps_every=timedelta(minutes=5)).examine()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def store(files: Files, key: str) -> str:
    with files.create(key) as file:
        file.write(b"content")
    return key


@pytest.fixture
async def dataset_id(db: Connection, scope: Scope) -> str:
    await db.execute(
        "INSERT INTO datasets (id, sandbox_id, organisation_id, name, schema_id,"
        " schema_content_type, created_by, updated_by) VALUES ('d', $1, $2, 'd', 's', '', '', '')",
        scope.sandbox_id,
        scope.organisation_id,
    )
    await db.execute(
        "INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,"
        " created_by) VALUES ('b', $1, $2, 'd', 'loading', '{}', '')",
        scope.sandbox_id,
        scope.organisation_id,
    )
    return "d"


async def a_job(db: Connection, scope: Scope, dataset_id: str, *, lease: str | None) -> int:
    """A queued promotion, or one that runs under a lease of this long from now."""
    id: int = await db.fetchval(
        "INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, state, worker_id,"
        ' lease_expires_at, "order", created_by, request_id)'
        " VALUES ($1, $2, 'promotion', $3, CASE WHEN $4::text IS NULL THEN 'queued'"
        " ELSE 'running' END, CASE WHEN $4::text IS NOT NULL THEN 'w' END,"
        " now() + $4::text::interval, '{}', '', '') RETURNING id",
        scope.sandbox_id,
        scope.organisation_id,
        dataset_id,
        lease,
    )
    return id


async def upload(db: Connection, key: str) -> None:
    await db.execute(
        "INSERT INTO uploads (batch_id, path, key, size_bytes, sha256) VALUES ('b', $1, $1, 1, '')",
        key,
    )


async def test_files_that_are_named_and_there_are_no_news(
    database: Database, db: Connection, files: Files, scope: Scope, dataset_id: str
):
    assert dataset_id
    await upload(db, store(files, keys.upload(scope.sandbox_id, "b")))
    found = await examine(database, files)
    assert found.files is not None
    assert (found.files.named_count, found.files.missing, found.files.unknown) == (1, (), ())
    assert found.complaints == []
    assert found.applied_migrations == tuple(each.name for each in migrations())


async def test_a_file_that_is_named_and_gone_is_complained_of(
    database: Database, db: Connection, files: Files, dataset_id: str
):
    assert dataset_id
    await upload(db, "sandboxes/gone")
    found = await examine(database, files)
    assert found.files is not None
    assert found.files.missing == ("sandboxes/gone",)
    assert found.complaints == ["1 files the database names are not on disk"]


async def test_a_file_nobody_names_is_reported_and_left_where_it_is(
    database: Database, files: Files, scope: Scope
):
    stray = store(files, keys.upload(scope.sandbox_id, "b"))
    found = await examine(database, files)
    assert found.files is not None
    assert found.files.unknown == (stray,)
    (complaint,) = found.complaints
    assert complaint.startswith("1 files on disk are newer than the database")
    assert files.exists(stray)


async def test_files_of_a_job_at_work_are_nobodys_concern(
    database: Database, db: Connection, files: Files, scope: Scope, dataset_id: str
):
    job = await a_job(db, scope, dataset_id, lease="1 hour")
    folder = keys.attempt_folder(scope.sandbox_id, job, 1)
    await db.execute("INSERT INTO folders (key, job_id, attempt) VALUES ($1, $2, 1)", folder, job)
    store(files, f"{folder}/part")
    found = await examine(database, files)
    assert found.files is not None
    assert (found.files.unknown, found.files.passing_count) == ((), 1)
    assert [(lease.job_id, lease.is_expired) for lease in found.leases] == [(job, False)]


async def test_a_lease_that_ran_out_is_complained_of(
    database: Database, db: Connection, files: Files, scope: Scope, dataset_id: str
):
    await a_job(db, scope, dataset_id, lease="-1 hour")
    found = await examine(database, files)
    assert found.complaints == ["1 leases ran out and no worker has taken over"]


async def test_a_file_about_to_be_removed_is_nobodys_concern(
    database: Database, db: Connection, files: Files, dataset_id: str
):
    assert dataset_id
    await upload(db, store(files, "sandboxes/u"))
    await db.execute("DELETE FROM uploads")
    found = await examine(database, files)
    assert found.files is not None
    assert (found.files.unknown, found.files.passing_count) == ((), 1)
    assert found.complaints == []


async def test_a_database_that_was_never_migrated_is_looked_at_all_the_same(
    empty: dict[str, Any], files: Files
):
    database = await Database.connect(**empty)
    found = await examine(database, files)
    await database.close()
    assert found.files is None
    assert found.applied_migrations == ()
    assert len(found.missing_migrations) == len(list(migrations()))


async def test_sweeps_that_stay_away_are_complained_of_though_not_where_sweeping_is_off(
    database: Database, files: Files
):
    found = await examine(database, files)
    for age, is_late in ((14, False), (16, True), (60 * 24 * 3, True)):
        late = replace(found, unswept_for=timedelta(minutes=age))
        assert len(late.complaints) == is_late
        assert replace(late, sweeps_every=timedelta(0)).complaints == []
        assert replace(late, sweeps_every=timedelta(days=1)).complaints == []
    (complaint,) = replace(found, unswept_for=timedelta(days=3, microseconds=1)).complaints
    assert complaint == (
        "nothing was swept for 3 days, 0:00:00, and every 0:05:00 it should be: see whether a"
        " worker runs, and its log"
    )


async def test_sweeps_are_missed_from_when_there_could_be_one(
    database: Database, db: Connection, files: Files
):
    """A schema that was just made, or a server that was just started, had nobody to sweep it."""
    fresh = await examine(database, files)
    assert fresh.last_sweep is None
    await db.execute(
        "INSERT INTO sweeps (actor, counts, started_at, ended_at)"
        " VALUES ('w', '{}', now() - interval '2 years', now() - interval '1 year')"
    )
    long_ago = await examine(database, files)
    assert long_ago.last_sweep is not None
    assert fresh.unswept_for < long_ago.unswept_for < timedelta(hours=12)
    await db.execute("UPDATE sweeps SET ended_at = clock_timestamp()")
    assert (await examine(database, files)).unswept_for < fresh.unswept_for
