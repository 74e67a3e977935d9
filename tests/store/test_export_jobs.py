from dataclasses import replace

import pytest

from catalog.errors import NotFound
from catalog.jobs import JobEvent, JobState
from catalog.store.export_jobs import SQL, ExportJobStore
from catalog.store.jobs import JobStore
from tests.builders import a_dataset, a_job


@pytest.fixture
async def submitted(db, scope):
    dataset_id = await a_dataset(db, scope)
    return [(await a_job(db, scope, dataset_id=dataset_id)).id for _ in range(5)]


def ids(page):
    return [export.job.id for export in page]


async def test_pages_follow_one_another_while_jobs_are_being_created(db, scope, submitted):
    exports = ExportJobStore(db)
    first = ids(await exports.page(scope, limit=2))
    await a_job(db, scope)
    second = ids(await exports.page(scope, limit=2, after=first[-1]))
    third = ids(await exports.page(scope, limit=2, after=second[-1]))
    assert first + second + third == submitted[::-1]


async def test_the_oldest_come_first_when_asked(db, scope, submitted):
    exports = ExportJobStore(db)
    first = ids(await exports.page(scope, limit=3, is_newest_first=False))
    rest = ids(await exports.page(scope, limit=3, after=first[-1], is_newest_first=False))
    assert first + rest == submitted


async def test_pages_skip_and_filter(db, scope, submitted):
    exports = ExportJobStore(db)
    job = await JobStore(db).find(scope, submitted[1], kind="export")
    await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)
    assert ids(await exports.page(scope, limit=9, skip=3)) == submitted[1::-1]
    assert ids(await exports.page(scope, limit=9, states=[JobState.CANCELLED])) == [submitted[1]]


async def test_foreign_jobs_are_neither_listed_nor_found(db, foreign_scope, submitted):
    exports = ExportJobStore(db)
    assert await exports.page(foreign_scope, limit=9) == ()
    with pytest.raises(NotFound):
        await exports.find(foreign_scope, submitted[0])


async def test_an_export_job_names_its_batch(db, scope, submitted):
    found = await ExportJobStore(db).find(scope, submitted[0])
    batch_id = await db.fetchval("SELECT id FROM batches WHERE job_id = $1", submitted[0])
    assert found.batch_id == batch_id


async def test_a_page_is_read_from_the_index(db, scope, submitted):
    await db.execute(
        'INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,'
        " created_by, request_id, created_at)"
        ' SELECT sandbox_id, organisation_id, kind, dataset_id, "order", snapshot, created_by,'
        " request_id, now() - n * interval '1 second' FROM jobs, generate_series(1, 2000) AS n"
    )
    await db.execute("ANALYZE jobs")
    explained = replace(SQL["newest_first"], text="EXPLAIN " + SQL["newest_first"].text)
    plan = await explained.rows(
        db,
        sandbox_id=scope.sandbox_id,
        organisation_id=scope.organisation_id,
        sandbox_name=scope.sandbox_name,
        states=list(JobState),
        after_id=submitted[0],
        limit=10,
        skip=0,
    )
    assert any("export_jobs_of_a_sandbox" in row[0] for row in plan)
