from dataclasses import replace
from itertools import product

import pytest

from catalog.errors import NotFound
from catalog.export_jobs import ExportCursor, ExportFilter, ExportSort
from catalog.jobs import JobEvent, JobKind, JobState
from catalog.segments import MembershipStatus
from catalog.store.batches import BatchStore
from catalog.store.export_jobs import SQL, ExportJobStore, arguments, block
from catalog.store.jobs import JobStore
from tests.builders import WORKER, a_dataset, a_job

NEWEST = ExportFilter()
OLDEST = ExportFilter(is_descending=False)
SORTS = list(product(ExportSort, [True, False]))
INDICES = {
    ExportSort.CREATION: "export_jobs_by_creation",
    ExportSort.UPDATE: "export_jobs_by_update",
    ExportSort.STATE: "export_jobs_by_id",
    ExportSort.ID: "export_jobs_by_id",
}


@pytest.fixture
async def submitted(db, scope):
    dataset_id = await a_dataset(db, scope)
    return [(await a_job(db, scope, dataset_id=dataset_id)).id for _ in range(5)]


def ids(page):
    return [export.job.id for export in page]


def behind(export):
    """The cursor of a job, with all that any order needs."""
    one = export.job
    return ExportCursor(id=one.id, at=one.updated_at, state=one.state)


def behind_creation(export):
    return ExportCursor(id=export.job.id, at=export.job.created_at)


async def cancel(db, scope, id):
    job = await JobStore(db).find(scope, id, kind=JobKind.EXPORT)
    await JobStore(db).move(job, JobEvent.CANCEL, actor="amy", is_fenced=False)


async def test_pages_follow_one_another_while_jobs_are_being_created(db, scope, submitted):
    exports = ExportJobStore(db)
    seen, after = [], None
    for _ in range(3):
        page = await exports.page(scope, replace(NEWEST, after=after), limit=2)
        seen += ids(page)
        after = behind_creation(page[-1])
        await a_job(db, scope)
    assert seen == submitted[::-1]


async def test_the_oldest_come_first_when_asked(db, scope, submitted):
    exports = ExportJobStore(db)
    first = await exports.page(scope, OLDEST, limit=3)
    rest = await exports.page(scope, replace(OLDEST, after=behind_creation(first[-1])), limit=3)
    assert ids(first) + ids(rest) == submitted


async def test_pages_skip_and_filter(db, scope, submitted):
    exports = ExportJobStore(db)
    await cancel(db, scope, submitted[1])
    assert ids(await exports.page(scope, NEWEST, limit=9, skip=3)) == submitted[1::-1]
    cancelled = ExportFilter(states=(JobState.CANCELLED,))
    assert ids(await exports.page(scope, cancelled, limit=9)) == [submitted[1]]


@pytest.mark.parametrize(("sort", "is_descending"), SORTS)
async def test_every_order_holds_across_pages(db, scope, submitted, sort, is_descending):
    """With jobs of every state, some created and some updated at one instant."""
    for id in submitted[1:4:2]:
        await cancel(db, scope, id)
    await JobStore(db).claim_next(WORKER, lease=(await db.fetchval("SELECT interval '1 minute'")))
    await db.execute(
        "UPDATE jobs SET created_at = '2026-01-01', updated_at = '2026-01-02' WHERE id = ANY ($1)",
        submitted[2:],
    )
    keys = {
        ExportSort.CREATION: lambda e: (e.job.created_at, e.job.id),
        ExportSort.UPDATE: lambda e: (e.job.updated_at, e.job.id),
        ExportSort.STATE: lambda e: (e.job.state.value, e.job.id),
        ExportSort.ID: lambda e: e.job.id,
    }
    wanted = ExportFilter(sort=sort, is_descending=is_descending)
    exports = ExportJobStore(db)
    everything = await exports.page(scope, wanted, limit=9)
    assert list(everything) == sorted(everything, key=keys[sort], reverse=is_descending)
    assert len(everything) == 5
    seen, after = [], None
    while page := await exports.page(scope, replace(wanted, after=after), limit=2):
        seen += ids(page)
        after = behind_creation(page[-1]) if sort is ExportSort.CREATION else behind(page[-1])
    assert seen == ids(everything)


async def test_a_place_in_a_list_outlives_its_job_and_its_changes(db, scope, submitted):
    exports = ExportJobStore(db)
    by_update = ExportFilter(sort=ExportSort.UPDATE)
    first = await exports.page(scope, by_update, limit=2)
    await cancel(db, scope, submitted[3])  # it is now the newest by update
    rest = await exports.page(scope, replace(by_update, after=behind(first[-1])), limit=9)
    assert ids(first) + ids(rest) == submitted[::-1]

    first = await exports.page(scope, NEWEST, limit=2)
    await db.execute("UPDATE batches SET job_id = NULL, state = 'aborted', finished_at = now()")
    await db.execute("DELETE FROM jobs WHERE id = $1", first[-1].job.id)
    rest = await exports.page(scope, replace(NEWEST, after=behind_creation(first[-1])), limit=9)
    assert ids(first) + ids(rest) == submitted[::-1]


async def test_foreign_jobs_are_neither_listed_nor_found(db, foreign_scope, submitted):
    exports = ExportJobStore(db)
    for sort, is_descending in SORTS:
        wanted = ExportFilter(sort=sort, is_descending=is_descending)
        assert await exports.page(foreign_scope, wanted, limit=9) == ()
    with pytest.raises(NotFound):
        await exports.find(foreign_scope, submitted[0])


async def test_an_export_job_names_its_batch(db, scope, submitted):
    found = await ExportJobStore(db).find(scope, submitted[0])
    batch_id = await db.fetchval("SELECT id FROM batches WHERE job_id = $1", submitted[0])
    assert found.batch_ids == (batch_id,)
    assert found.segment_batches is None


async def test_an_export_job_names_the_batches_of_its_segments_in_order(db, scope):
    segments = [
        {"segment_id": id, "namespace": "ups", "statuses": ["realized", "exited"]} for id in "cab"
    ]
    order = {"echo": {}, "merge_policy_id": None, "merge_policy_version": None}
    job = await a_job(db, scope, order={**order, "segments": segments, "selection": {}})
    for place in (2, 1):
        await BatchStore(db).open_for_export(
            scope, dataset_id=job.dataset_id, job_id=job.id, actor="test", place=place
        )
    found = await ExportJobStore(db).find(scope, job.id)
    assert [one.choice.segment_id for one in found.segment_batches] == ["c", "a", "b"]
    assert tuple(one.batch_id for one in found.segment_batches) == found.batch_ids
    places = await db.fetch("SELECT place, id FROM batches")
    assert found.batch_ids == tuple(id for _, id in sorted(map(tuple, places)))
    statuses = (MembershipStatus.REALIZED, MembershipStatus.EXITED)
    assert found.segment_batches[0].choice.statuses == statuses


@pytest.mark.usefixtures("submitted")
async def test_every_page_is_read_from_an_index_in_its_own_order(db, scope):
    """So that it takes as long with a million jobs: whatever is sorted is one page a state."""
    await db.execute(
        'INSERT INTO jobs (sandbox_id, organisation_id, kind, dataset_id, "order", snapshot,'
        " created_by, request_id, created_at, updated_at, state, finished_at)"
        ' SELECT sandbox_id, organisation_id, kind, dataset_id, "order", snapshot, created_by,'
        " request_id, now() - n * interval '1 second', now() + n * interval '1 second',"
        " CASE n % 3 WHEN 0 THEN 'failed' ELSE 'succeeded' END, now()"
        " FROM jobs, generate_series(1, 2000) AS n"
    )
    await db.execute("ANALYZE jobs")
    (job,) = await ExportJobStore(db).page(scope, NEWEST, limit=1)
    for (sort, is_descending), states in product(SORTS, [tuple(JobState), (JobState.FAILED,)]):
        wanted = ExportFilter(
            states=states, sort=sort, is_descending=is_descending, after=behind(job)
        )
        query = SQL[block(wanted)]
        explained = replace(query, text="EXPLAIN (ANALYZE) " + query.text)
        plan = [
            r[0] for r in await explained.rows(db, **arguments(scope, wanted, limit=10, skip=0))
        ]
        told = "\n".join(plan)
        assert f"using {INDICES[sort]} on jobs" in told, (wanted, told)
        assert "Seq Scan on jobs" not in told, (wanted, told)
        (read,) = [node for node in told.split("->") if f"using {INDICES[sort]} on jobs" in node]
        assert "Rows Removed by Filter" not in read, (wanted, told)
