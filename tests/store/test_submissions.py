"""Exports as they begin: upon ground that is as it was looked at, and beside others who lock it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from dataclasses import replace
from typing import TypeVar

import asyncpg
import pytest

from catalog.access import ALL
from catalog.datasets import DatasetId
from catalog.errors import NotFound
from catalog.export_jobs import PROFILE_SCHEMA_NAME, ExportJob
from catalog.jobs import JobKind
from catalog.organisations import Caller, ClientId, Scope
from catalog.schemas import PROFILE_CLASS, PROFILE_UNION
from catalog.store.database import Connection, Database
from catalog.store.erasure import ErasureStore
from catalog.store.jobs import JobStore
from catalog.store.notices import LOOK_AGAIN, Notices
from catalog.store.schemas import SchemaStore
from catalog.store.submissions import Ground, Submission, SubmissionStore
from catalog.store.sweeping import SweepingStore
from service.operations.announcements import Announcements
from tests.builders import a_dataset
from tests.patience import PATIENCE_SECONDS, until_locked_out

Found = TypeVar("Found")

SCHEMA = {
    "title": "Customers",
    "type": "object",
    "meta:immutableTags": ["union"],
    "allOf": [{"$ref": PROFILE_CLASS}],
}


@pytest.fixture
def by(scope: Scope) -> Caller:
    return Caller(client_id=ClientId("amy"), scope=scope, request_id="r", may=ALL)


async def look(db: Connection, scope: Scope, dataset_id: str) -> Ground:
    return await SubmissionStore(db).look(
        scope, dataset_id=dataset_id, schema_name=PROFILE_SCHEMA_NAME
    )


async def submit(
    db: Connection, by: Caller, dataset_id: str, mark: str, *, batch_count: int = 1
) -> ExportJob | None:
    jobs = await submit_many(db, [a_submission(by, batch_count=batch_count)], dataset_id, mark)
    return jobs[0] if jobs else None


async def submit_many(
    db: Connection, submissions: Sequence[Submission], dataset_id: str, mark: str
) -> tuple[ExportJob, ...] | None:
    return await SubmissionStore(db).submit(
        submissions[0].by.scope,
        submissions,
        dataset_id=dataset_id,
        schema_name=PROFILE_SCHEMA_NAME,
        mark=mark,
        shapes=json.dumps({"namespaces": {"crm": "CRM"}}),
    )


def a_submission(by: Caller, *, field: str = "_id", batch_count: int = 1) -> Submission:
    return Submission(
        by=by,
        order={"echo": {"fields": field}, "merge_policy_id": None, "merge_policy_version": None},
        selection=json.dumps({"fields": [field]}),
        batch_count=batch_count,
    )


async def counts(db: Connection) -> dict[str, int]:
    tables = ("jobs", "job_events", "batches", "audit_entries")
    return {name: await db.fetchval(f"SELECT count(*) FROM {name}") for name in tables}  # noqa: S608


async def change_schema(db: Connection, scope: Scope, _dataset_id: str) -> None:
    async with db.transaction():
        await SchemaStore(db).add(scope, SCHEMA, actor="test")


async def change_namespace(db: Connection, scope: Scope, _dataset_id: str) -> None:
    await db.execute("UPDATE namespaces SET name = name WHERE sandbox_id = $1", scope.sandbox_id)


async def delete_dataset(db: Connection, scope: Scope, dataset_id: str) -> None:
    await db.execute(
        "UPDATE datasets SET deleted_at = now() WHERE id = $1 AND sandbox_id = $2",
        dataset_id,
        scope.sandbox_id,
    )


async def test_a_submission_is_a_job_with_its_batches_and_an_entry(
    db: Connection, by: Caller, destination: DatasetId
):
    ground = await look(db, by.scope, destination)
    job = await submit(db, by, destination, ground.mark, batch_count=3)
    assert job is not None
    assert await counts(db) == {"jobs": 1, "job_events": 1, "batches": 3, "audit_entries": 1}
    found = await db.fetchrow('SELECT "order", snapshot FROM jobs WHERE id = $1', job.job.id)
    commit_number = await db.fetchval(
        "SELECT commit_number FROM sandboxes WHERE id = $1", by.scope.sandbox_id
    )
    assert found["snapshot"] == commit_number == job.job.snapshot
    assert found["order"]["selection"] == {"fields": ["_id"], "namespaces": {"crm": "CRM"}}
    opened = await db.fetch("SELECT id, place FROM batches ORDER BY place")
    assert [row["place"] for row in opened] == [0, 1, 2]
    assert tuple(row["id"] for row in opened) == job.batch_ids


async def test_of_many_submissions_each_has_its_own_job_batches_and_entry(
    db: Connection, by: Caller, destination: DatasetId
):
    people = [replace(by, client_id=ClientId(name), request_id=name) for name in "abc"]
    asked = [
        a_submission(person, field=person.client_id, batch_count=count)
        for count, person in enumerate(people, 1)
    ]
    ground = await look(db, by.scope, destination)
    jobs = await submit_many(db, asked, destination, ground.mark)
    assert jobs is not None
    assert await counts(db) == {"jobs": 3, "job_events": 3, "batches": 6, "audit_entries": 3}
    for job, submission in zip(jobs, asked, strict=True):
        id, name = job.job.id, submission.by.client_id
        assert (job.job.created_by, job.job.request_id, job.echo) == (name, name, {"fields": name})
        kept = await db.fetchval('SELECT "order" FROM jobs WHERE id = $1', id)
        assert kept["selection"] == {"fields": [name], "namespaces": {"crm": "CRM"}}
        opened = await db.fetch(
            "SELECT id, created_by FROM batches WHERE job_id = $1 ORDER BY place", id
        )
        assert [tuple(row) for row in opened] == [(batch_id, name) for batch_id in job.batch_ids]
        assert len(opened) == submission.batch_count
        assert await db.fetchval("SELECT actor FROM job_events WHERE job_id = $1", id) == name
        entry = await db.fetchrow(
            "SELECT actor, request_id FROM audit_entries WHERE object_id = $1", str(id)
        )
        assert tuple(entry) == (name, name)


@pytest.mark.parametrize("change", [change_schema, change_namespace, delete_dataset])
async def test_upon_ground_that_changed_nothing_is_submitted(
    db: Connection, by: Caller, destination: DatasetId, change
):
    await db.execute(
        "INSERT INTO namespaces (sandbox_id, organisation_id, code, lower_code, name, id_type)"
        " VALUES ($1, $2, 'Loyal', 'loyal', 'Loyal', 'CROSS_DEVICE')",
        by.scope.sandbox_id,
        by.scope.organisation_id,
    )
    before = await look(db, by.scope, destination)
    await change(db, by.scope, destination)
    assert await submit(db, by, destination, before.mark) is None
    assert set((await counts(db)).values()) == {0}
    assert (await look(db, by.scope, destination)).mark != before.mark


async def test_ground_that_nobody_changed_keeps_its_mark(
    db: Connection, by: Caller, destination: DatasetId
):
    before = await look(db, by.scope, destination)
    assert await submit(db, by, destination, before.mark) is not None
    assert await look(db, by.scope, destination) == before


async def test_a_data_set_of_another_organisation_is_no_ground(
    db: Connection, by: Caller, foreign_scope: Scope
):
    foreign = await a_dataset(db, foreign_scope, schema_id=PROFILE_UNION)
    assert (await look(db, by.scope, foreign)).schema_id is None


async def test_a_sandbox_that_is_not_there_is_not_found(
    db: Connection, scope: Scope, foreign_scope: Scope
):
    mixed = Scope(
        organisation_id=foreign_scope.organisation_id,
        sandbox_id=scope.sandbox_id,
        sandbox_name="prod",
    )
    with pytest.raises(NotFound):
        await look(db, mixed, "any")


async def waiting(db: Connection, doing: Awaitable[Found]) -> asyncio.Future[Found]:
    """Begin something, and return as soon as it waits for a lock."""
    future = asyncio.ensure_future(doing)
    await until_locked_out(db, doing=future)
    return future


async def test_a_sweep_waits_for_a_submission_under_way_and_sees_its_pin(
    database: Database, db: Connection, by: Caller, destination: DatasetId
):
    """What the submission pinned would go otherwise, since its pin cannot be seen yet."""
    await a_superseded_file(db, by.scope, destination)

    async def sweep() -> int:
        async with database.transaction() as sweeping:
            return await SweepingStore(sweeping).forget_superseded(by.scope.sandbox_id, most=9)

    async with database.transaction() as submitting:
        ground = await look(submitting, by.scope, destination)
        job = await submit(submitting, by, destination, ground.mark)
        assert job is not None
        await db.execute("UPDATE store_files SET removed = $1", (job.job.snapshot or 0) + 1)
        swept = await waiting(db, sweep())
    assert await swept == 0
    assert await db.fetchval("SELECT count(*) FROM store_files") == 1


async def test_a_submission_waits_for_a_sweep_under_way_and_pins_what_is_left(
    database: Database, db: Connection, by: Caller, destination: DatasetId
):
    await a_superseded_file(db, by.scope, destination)
    ground = await look(db, by.scope, destination)

    async def begin() -> ExportJob | None:
        async with database.transaction() as submitting:
            return await submit(submitting, by, destination, ground.mark)

    async with database.transaction() as sweeping:
        assert await SweepingStore(sweeping).forget_superseded(by.scope.sandbox_id, most=9) == 1
        await sweeping.execute("UPDATE sandboxes SET commit_number = commit_number + 1")
        submitted = await waiting(db, begin())
    job = await submitted
    assert job is not None
    assert job.job.snapshot == await db.fetchval(
        "SELECT commit_number FROM sandboxes WHERE id = $1", by.scope.sandbox_id
    )


async def test_a_submission_waits_for_an_erasure_under_way_and_finds_the_data_set_gone(
    database: Database, db: Connection, by: Caller, destination: DatasetId
):
    ground = await look(db, by.scope, destination)

    async def begin() -> ExportJob | None:
        async with database.transaction() as submitting:
            return await submit(submitting, by, destination, ground.mark)

    async with database.transaction() as erasing:
        await ErasureStore(erasing).begin(by.scope)
        await delete_dataset(erasing, by.scope, destination)
        submitted = await waiting(db, begin())
    assert await submitted is None
    assert set((await counts(db)).values()) == {0}


async def test_workers_are_told_once_a_submission_is_committed_and_not_before(
    database: Database, where, db: Connection, by: Caller, destination: DatasetId
):
    ground = await look(db, by.scope, destination)
    announcements = Announcements(database)

    async def fail_after_a_submission() -> None:
        async with database.transaction() as failing:
            await submit(failing, by, destination, ground.mark)
            announcements.announce(failing)
            await failing.execute("SELECT 1 / 0")

    async with Notices(**where) as notices, asyncio.timeout(PATIENCE_SECONDS):
        assert await anext(notices) == LOOK_AGAIN
        with pytest.raises(asyncpg.DivisionByZeroError):
            await fail_after_a_submission()
        async with database.transaction() as submitting:
            await submit(submitting, by, destination, ground.mark)
            announcements.announce(submitting)
            await db.execute("SELECT pg_notify('jobs', 'before the commit')")
        assert await anext(notices) == "before the commit"
        assert await anext(notices) == "queued:"


async def test_jobs_that_are_submitted_otherwise_announce_themselves(
    where, db: Connection, by: Caller, destination: DatasetId
):
    async with Notices(**where) as notices, asyncio.timeout(PATIENCE_SECONDS):
        assert await anext(notices) == LOOK_AGAIN
        async with db.transaction():
            job = await JobStore(db).submit(
                by.scope,
                kind=JobKind.EXPORT,
                dataset_id=destination,
                order={},
                snapshot=1,
                actor="amy",
                request_id="r",
            )
        assert await anext(notices) == f"queued:{job.id}"


async def a_superseded_file(db: Connection, scope: Scope, dataset_id: DatasetId) -> None:
    """A store file that left the last snapshot."""
    await db.execute("UPDATE sandboxes SET commit_number = 5 WHERE id = $1", scope.sandbox_id)
    await db.execute(
        "INSERT INTO store_files (sandbox_id, organisation_id, dataset_id, kind, key, size_bytes,"
        " row_count, is_upsert, ingest_number, ingested_at, added, removed)"
        " VALUES ($1, $2, $3, 'records', 'k', 1, 1, false, 1, now(), 1, 4)",
        scope.sandbox_id,
        scope.organisation_id,
        dataset_id,
    )
