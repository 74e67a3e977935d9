"""Batches in PostgreSQL: they move with their job, and only their own sandbox sees them."""

from __future__ import annotations

import re
from dataclasses import replace

import asyncpg
import pytest

from catalog.batches import (
    BatchError,
    BatchEvent,
    BatchId,
    BatchMetric,
    BatchState,
    FileFormat,
    InputFormat,
    NewDatasetFile,
    Upload,
)
from catalog.errors import Conflict, IllegalTransition, NotFound
from catalog.filters import Condition, Operator, Sort, Wanted
from catalog.jobs import JobKind
from catalog.store.batches import SQL, BatchStore
from catalog.store.filters import compiled
from catalog.store.listing_columns import BATCH_COLUMNS
from tests.builders import a_batch, a_dataset, a_job, a_loaded_batch

NEWEST = Wanted(order=(Sort(field="created_at", is_descending=True),))
OLDEST = Wanted(order=(Sort(field="created_at"),))


@pytest.fixture
def batches(db):
    return BatchStore(db)


def a_file(batch_id: BatchId, name: str = "part-0.parquet", **asked) -> NewDatasetFile:
    return NewDatasetFile(
        **{
            "batch_id": batch_id,
            "name": name,
            "key": f"any/{batch_id}/{name}",
            "size_bytes": 10,
            "row_count": 3,
            "sha256": "00",
            **asked,
        }
    )


async def history(db, batch_id):
    rows = await db.fetch(
        "SELECT event, state, actor FROM batch_events WHERE batch_id = $1 ORDER BY at", batch_id
    )
    return [tuple(row) for row in rows]


async def test_a_batch_comes_back_as_it_was_opened(batches, db, scope):
    csv = InputFormat(format=FileFormat.CSV, delimiter=";", quote="'", escape="\\")
    opened = await a_batch(
        db, scope, input_format=csv, external_id="mine", tags={"a": ["b"], "c": []}
    )
    assert opened == await batches.find(scope, opened.id)
    assert opened.state is BatchState.LOADING
    assert opened.input_format == csv
    assert (opened.external_id, opened.tags) == ("mine", {"a": ["b"], "c": []})
    assert (opened.ingest_number, opened.job_id, opened.started_at) == (None, None, None)


async def test_completing_counts_what_was_sent(batches, db, scope):
    batch = await a_batch(db, scope)
    for path, size in (("b", 5), ("a", 7)):
        await batches.keep_upload(
            batch.id, Upload(path=path, key=f"k/{path}", size_bytes=size), sha256="00"
        )
    job = await a_job(db, scope, kind=JobKind.PROMOTION, dataset_id=batch.dataset_id)
    done = await batches.complete(scope, batch.id, ingest_number=4, job_id=job.id, actor="me")
    assert (done.state, done.ingest_number, done.job_id) == (BatchState.LOADED, 4, job.id)
    assert done.metrics == {BatchMetric.INPUT_FILE_COUNT: 2, BatchMetric.INPUT_SIZE_BYTES: 12}
    assert done.started_at is not None
    assert await history(db, batch.id) == [("complete", "loaded", "me")]


async def test_uploads_are_ordered_by_the_bytes_of_their_paths_and_repeats_replace(
    batches, db, scope
):
    batch = await a_batch(db, scope)
    replaced = [
        await batches.keep_upload(
            batch.id, Upload(path=path, key=f"k{n}", size_bytes=n), sha256="00"
        )
        for n, path in enumerate(["é", "a", "Z", "a/b", "a", "😀"])
    ]
    assert replaced == [None, None, None, None, "k1", None]
    assert [upload.path for upload in await batches.uploads(batch.id)] == [
        "Z", "a", "a/b", "é", "😀",
    ]  # fmt: skip
    assert (await batches.uploads(batch.id))[1] == Upload(path="a", key="k4", size_bytes=4)


async def test_a_batch_that_is_not_loading_cannot_be_completed(batches, db, scope):
    batch = await a_batch(db, scope)
    await batches.give_up(scope, batch.id, actor="test")
    job = await a_job(db, scope, kind=JobKind.PROMOTION, dataset_id=batch.dataset_id)
    with pytest.raises(IllegalTransition, match="is aborted: cannot complete"):
        await batches.complete(scope, batch.id, ingest_number=1, job_id=job.id, actor="test")


async def test_the_end_of_a_job_shows_the_files_of_all_its_batches(batches, db, scope):
    first = await a_loaded_batch(db, scope)
    second = await batches.open_for_export(
        scope, dataset_id=first.dataset_id, job_id=first.job_id, actor="test"
    )
    files = [
        a_file(first.id, "x.parquet"),
        a_file(second.id, "y.parquet", row_count=5),
        a_file(first.id, "z.parquet", size_bytes=1),
    ]
    await batches.activate(first.job_id, files=files, metrics={BatchMetric.FAILED_ROW_COUNT: 2})

    active, other = await batches.of_job(first.job_id)
    assert active.state is other.state is BatchState.ACTIVE
    assert active.finished_at is not None
    assert active.metrics == {
        BatchMetric.INPUT_FILE_COUNT: 0,
        BatchMetric.INPUT_SIZE_BYTES: 0,
        BatchMetric.OUTPUT_FILE_COUNT: 2,
        BatchMetric.OUTPUT_SIZE_BYTES: 11,
        BatchMetric.OUTPUT_ROW_COUNT: 6,
        BatchMetric.FAILED_ROW_COUNT: 2,
    }
    assert other.metrics[BatchMetric.OUTPUT_ROW_COUNT] == 5
    assert [
        (file.number, file.name) for file in await batches.files(scope, first.id, skip=0, most=10)
    ] == [(1, "x.parquet"), (2, "z.parquet")]
    assert (await batches.file(scope, second.id, 1)).name == "y.parquet"
    assert (await history(db, second.id))[-1] == ("activate", "active", f"job {first.job_id}")


async def test_a_batch_without_rows_becomes_active_without_files(batches, db, scope):
    batch = await a_loaded_batch(db, scope)
    await batches.activate(batch.job_id, files=[], metrics={})
    assert (await batches.find(scope, batch.id)).state is BatchState.ACTIVE
    assert await batches.count_files(scope, batch.id) == 0


async def test_files_of_another_jobs_batch_are_refused(batches, database, db, scope):
    ours, theirs = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    with pytest.raises(Conflict, match=theirs.id):
        async with database.transaction() as connection:
            await BatchStore(connection).activate(
                ours.job_id, files=[a_file(ours.id), a_file(theirs.id)], metrics={}
            )
    assert (await batches.find(scope, ours.id)).state is BatchState.LOADED


async def test_nobody_sees_files_before_their_batch_is_active(batches, db, scope):
    batch = await a_loaded_batch(db, scope)
    await db.execute(
        "INSERT INTO dataset_files VALUES ($1, 1, 'early', 'k', 1, 1, '00', now())", batch.id
    )
    assert await batches.count_files(scope, batch.id) == 0
    assert await batches.files(scope, batch.id, skip=0, most=10) == ()
    with pytest.raises(NotFound):
        await batches.file(scope, batch.id, 1)


async def test_a_failed_job_leaves_its_reasons_with_its_batches(batches, db, scope):
    batch = await a_loaded_batch(db, scope)
    reason = BatchError(
        code="INGEST-1401-400", description="unreadable", rows=("a.json:3",), record_count=1
    )
    await batches.fail(batch.job_id, [reason], {BatchMetric.INPUT_ROW_COUNT: 9})
    failed = await batches.find(scope, batch.id)
    assert failed.state is BatchState.FAILED
    assert failed.errors == (reason,)
    assert failed.metrics[BatchMetric.INPUT_ROW_COUNT] == 9
    assert failed.metrics[BatchMetric.INPUT_FILE_COUNT] == 0


@pytest.mark.parametrize("end", ["activate", "fail", "abort"])
async def test_a_batch_ends_once(batches, db, scope, end):
    batch = await a_loaded_batch(db, scope)
    ends = {
        "activate": lambda: batches.activate(batch.job_id, files=[], metrics={}),
        "fail": lambda: batches.fail(batch.job_id, [], {}),
        "abort": lambda: batches.abort(batch.job_id),
    }
    await ends[end]()
    for again in ends.values():
        with pytest.raises(Conflict):
            await again()
    assert len(await history(db, batch.id)) == 2


async def test_giving_up_finds_only_batches_that_no_job_fills(batches, db, scope):
    loading, loaded = await a_batch(db, scope), await a_loaded_batch(db, scope)
    aborted = await batches.give_up(scope, loading.id, actor="me")
    assert aborted is not None
    assert (aborted.state, aborted.finished_at is None) == (BatchState.ABORTED, False)
    assert await batches.give_up(scope, loading.id, actor="me") is None
    assert await batches.give_up(scope, loaded.id, actor="me") is None
    assert await history(db, loading.id) == [("abort", "aborted", "me")]


async def test_giving_up_as_failed_keeps_the_reason(batches, db, scope):
    loading, reason = await a_batch(db, scope), BatchError(code="c", description="d")
    failed = await batches.give_up(
        scope, loading.id, actor="me", event=BatchEvent.FAIL, errors=[reason]
    )
    assert failed is not None
    assert (failed.state, failed.errors) == (BatchState.FAILED, (reason,))


async def test_withdrawing_hides_active_batches_and_leaves_the_others(
    batches, db, scope, foreign_scope
):
    active, loading = await a_loaded_batch(db, scope), await a_batch(db, scope)
    await batches.activate(active.job_id, files=[a_file(active.id)], metrics={})
    both = [active.id, loading.id, "nothing"]
    withdraw = batches.withdraw
    assert await withdraw(foreign_scope, both, BatchEvent.REVERT, actor="me") == ()
    assert await withdraw(scope, both, BatchEvent.REVERT, actor="me") == (active.id,)
    assert await withdraw(scope, both, BatchEvent.REVERT, actor="me") == ()
    assert await batches.count_files(scope, active.id) == 0
    assert (await batches.find(scope, active.id)).finished_at is not None
    assert (await history(db, active.id))[-1] == ("revert", "inactive", "me")


async def test_a_batch_is_worked_on_while_a_worker_holds_its_job(batches, db, scope):
    job = await a_job(db, scope, is_claimed=True)
    (batch,) = await batches.of_job(job.id)
    assert batch.is_worked_on
    assert (await batches.find(scope, batch.id)).is_worked_on
    assert (await batches.listing(scope, NEWEST, skip=0, most=9)) == (batch,)


async def test_a_listing_is_ordered_and_paged(batches, db, scope):
    first, second = await a_batch(db, scope), await a_loaded_batch(db, scope)
    third = await a_batch(db, scope, dataset_id=first.dataset_id)

    async def found(wanted=NEWEST, *, skip=0, most=10):
        return [batch.id for batch in await batches.listing(scope, wanted, skip=skip, most=most)]

    assert await found() == [third.id, second.id, first.id]
    assert await found(OLDEST, skip=1, most=1) == [second.id]
    of_a_dataset = Condition(
        field="dataset_id", operator=Operator.IS_ANY_OF, values=(first.dataset_id,)
    )
    assert await found(replace(NEWEST, conditions=(of_a_dataset,))) == [third.id, first.id]


async def test_a_batch_is_described_anew(batches, db, scope, foreign_scope):
    batch = await a_batch(db, scope, external_id="old", tags={"a": ["1"]})
    said = {"external_id": None, "tags": {"b": ["2"]}, "actor": "amy"}
    described = await batches.describe(scope, batch.id, **said)
    assert described == await batches.find(scope, batch.id)
    assert (described.external_id, described.tags) == (None, {"b": ["2"]})
    assert (described.version, described.created_by, described.updated_by) == (2, "test", "amy")
    with pytest.raises(NotFound, match=batch.id):
        await batches.describe(foreign_scope, batch.id, **said)


async def test_another_sandbox_finds_nothing(batches, db, scope, foreign_scope):
    batch = await a_loaded_batch(db, scope)
    await batches.activate(batch.job_id, files=[a_file(batch.id)], metrics={})
    for ask in (
        batches.find(foreign_scope, batch.id),
        batches.lock(foreign_scope, batch.id),
        batches.count_files(foreign_scope, batch.id),
        batches.file(foreign_scope, batch.id, 1),
        batches.complete(
            foreign_scope, batch.id, ingest_number=1, job_id=batch.job_id, actor="test"
        ),
    ):
        with pytest.raises(NotFound, match=batch.id):
            await ask
    assert await batches.files(foreign_scope, batch.id, skip=0, most=10) == ()
    assert await batches.give_up(foreign_scope, batch.id, actor="test") is None
    page = await batches.listing(foreign_scope, NEWEST, skip=0, most=9)
    assert page == ()


async def test_ingest_numbers_rise_by_one_in_each_sandbox(batches, scope, foreign_scope):
    assert [await batches.next_ingest_number(scope) for _ in range(3)] == [1, 2, 3]
    assert await batches.next_ingest_number(foreign_scope) == 1


async def test_the_schema_lists_the_states_of_the_lifecycle(db):
    check = await db.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'batch_state_is_known'"
    )
    assert set(re.findall(r"'(\w+)'", check)) == set(BatchState)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'loaded'", "a_batch_waits_for_a_job"),
        ("state = 'active'", "only_ended_batches_have_an_end"),
        ("finished_at = now()", "only_ended_batches_have_an_end"),
    ],
)
async def test_the_schema_refuses_impossible_batches(db, scope, change, constraint):
    await a_batch(db, scope)
    with pytest.raises(asyncpg.CheckViolationError, match=constraint):
        await db.execute(f"UPDATE batches SET {change}")  # noqa: S608 -- the test's own words


@pytest.mark.parametrize("wanted", [NEWEST, OLDEST])
async def test_a_listing_of_one_data_set_reads_an_index(db, scope, wanted):
    dataset_id = await a_dataset(db, scope)
    await db.execute(
        "INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,"
        " created_by) SELECT n, $1, $2, $3, 'loading', '{}', 'test'"
        " FROM generate_series(1, 3000) n",
        scope.sandbox_id,
        scope.organisation_id,
        dataset_id,
    )
    await db.execute("ANALYZE batches")
    text, arguments = compiled(
        SQL["listing"],
        BATCH_COLUMNS,
        wanted,
        limit=20,
        skip=0,
        sandbox_id=scope.sandbox_id,
        organisation_id=scope.organisation_id,
    )
    plan = await db.fetch("EXPLAIN " + text, *arguments)
    assert any("batches_of_a_sandbox" in line[0] for line in plan), plan
