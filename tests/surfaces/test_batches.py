"""Batches in the catalog over HTTP: sections 2.2 and 2.3 of the contract sheet."""

from __future__ import annotations

import pytest

from catalog.batches import BatchError, BatchMetric, NewDatasetFile
from catalog.store.batches import BatchStore
from tests.builders import a_batch, a_dataset, a_job, a_loaded_batch
from tests.surfaces.client import problem

BATCHES = "/data/foundation/catalog/batches"


@pytest.fixture
def batches(db):
    return BatchStore(db)


async def show(client, id):
    answer = await client.get(f"{BATCHES}/{id}")
    body = await answer.json()
    assert answer.status == 200
    assert list(body) == [id]
    return body[id]


async def listed(client, query=""):
    answer = await client.get(BATCHES + query)
    body = await answer.json()
    assert answer.status == 200, body
    assert all(batch["id"] == id for id, batch in body.items())
    return list(body)


def a_file(batch):
    return NewDatasetFile(
        batch_id=batch.id, name="f", key=batch.id, size_bytes=70, row_count=7, sha256="00"
    )


async def test_an_active_batch_says_what_was_read_and_written(adobe, batches, db, scope):
    batch = await a_loaded_batch(db, scope)
    counted = {BatchMetric.INPUT_ROW_COUNT: 7, BatchMetric.FAILED_ROW_COUNT: 0}
    await batches.activate(batch.job_id, files=[a_file(batch)], metrics=counted)
    shown = await show(adobe, batch.id)
    assert shown["status"] == "success"
    assert (shown["recordCount"], shown["failedRecordCount"], shown["size"]) == (7, 0, 70)
    assert shown["created"] <= shown["started"] <= shown["completed"] == shown["updated"]
    assert shown["metrics"] == {
        "inputFileCount": 0,
        "inputByteSize": 0,
        "inputRecordCount": 7,
        "recordsRead": 7,
        "outputFileCount": 1,
        "outputByteSize": 70,
        "outputRecordCount": 7,
        "recordsWritten": 7,
        "failedRecordCount": 0,
        "recordsFailed": 0,
        "startTime": shown["started"],
        "endTime": shown["completed"],
    }
    assert shown["errors"] == []
    assert shown["imsOrg"] == scope.organisation_id
    assert shown["sandboxId"] == str(scope.sandbox_id)
    assert shown["relatedObjects"] == [{"type": "dataSet", "id": batch.dataset_id}]


async def test_a_failed_batch_says_why(adobe, batches, db, scope):
    batch = await a_loaded_batch(db, scope)
    reason = BatchError(
        code="INGEST-1555-400",
        description="_id is missing",
        rows=("a.json:1", "a.json:2"),
        record_count=2,
    )
    counted = {BatchMetric.INPUT_ROW_COUNT: 9, BatchMetric.FAILED_ROW_COUNT: 2}
    await batches.fail(batch.job_id, [reason], counted)
    shown = await show(adobe, batch.id)
    assert shown["status"] == "failed"
    assert shown["errors"] == [
        {
            "code": "INGEST-1555-400",
            "description": "_id is missing",
            "rows": ["a.json:1", "a.json:2"],
            "recordCount": 2,
        }
    ]
    assert (shown["recordCount"], shown["failedRecordCount"], shown["size"]) == (9, 2, 0)


async def test_the_status_follows_the_batch_and_its_job(adobe, batches, db, scope):
    loading, loaded = await a_batch(db, scope), await a_loaded_batch(db, scope)
    exporting = (await batches.of_job((await a_job(db, scope)).id))[0]
    aborted = await a_batch(db, scope)
    await batches.give_up(scope, aborted.id, actor="test")
    expected = {
        loading.id: "loading",
        loaded.id: "loaded",
        exporting.id: "processing",
        aborted.id: "aborted",
    }
    assert {id: (await show(adobe, id))["status"] for id in expected} == expected


async def test_a_batch_is_processing_while_its_promotion_runs(adobe, db, scope):
    batch = await a_loaded_batch(db, scope)
    await db.execute("UPDATE jobs SET state = 'running', worker_id = 'w', lease_expires_at = now()")
    assert (await show(adobe, batch.id))["status"] == "processing"
    assert await listed(adobe, "?status=processing") == [batch.id]
    assert await listed(adobe, "?status=loaded") == []


@pytest.mark.parametrize(
    "path", ["batch/{}", "batches/{}/", "Batches/{}", "batches/{}?aggregate=true"]
)
async def test_every_documented_spelling_of_the_path_is_served(adobe, db, scope, path):
    batch = await a_batch(db, scope)
    answer = await adobe.get("/data/foundation/catalog/" + path.format(batch.id))
    assert list(await answer.json()) == [batch.id]


async def test_a_listing_is_newest_first_and_paged(adobe, db, scope):
    ids = [(await a_batch(db, scope)).id for _ in range(22)]
    assert await listed(adobe) == ids[::-1][:20]
    assert await listed(adobe, "/?limit=100") == ids[::-1]
    assert await listed(adobe, "?start=20") == ids[1::-1]
    assert await listed(adobe, "?offset=21&limit=5") == ids[:1]
    assert await listed(adobe, "?start=22") == []
    assert await listed(adobe, "?orderBy=asc:created&limit=2") == ids[:2]
    assert await listed(adobe, "?orderBy=created&limit=2") == ids[:2]
    assert await listed(adobe, "?sort=desc:created&limit=1") == ids[-1:]


async def test_a_listing_is_filtered_by_data_set_status_and_time(adobe, batches, db, scope):
    first, second = await a_batch(db, scope), await a_loaded_batch(db, scope)
    await batches.activate(second.job_id, files=[], metrics={})
    third = await a_batch(db, scope, dataset_id=first.dataset_id)
    for moment, batch in enumerate((first, second, third)):
        await db.execute(
            "UPDATE batches SET created_at = timestamptz 'epoch' + $2 * interval '1 ms'"
            " + interval '400 us' WHERE id = $1",
            batch.id,
            1000 + moment,
        )
    assert await listed(adobe, f"?dataSet={first.dataset_id}") == [third.id, first.id]
    assert await listed(adobe, f"?dataSet={first.dataset_id},{second.dataset_id}&limit=1") == [
        third.id
    ]
    assert await listed(adobe, "?dataSet=nothing") == []
    for status in ("success", "active", "Success,failed"):
        assert await listed(adobe, f"?status={status}") == [second.id]
    assert await listed(adobe, "?status=loading,success") == [third.id, second.id, first.id]
    assert await listed(adobe, "?status=stalled") == []
    assert await listed(adobe, "?createdAfter=1000") == [third.id, second.id]
    assert await listed(adobe, "?createdBefore=1002") == [second.id, first.id]
    assert await listed(adobe, "?createdAfter=1000&createdBefore=1002") == [second.id]
    assert await listed(adobe, "?createdAfter=1002") == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("start=-1", "start"),
        ("start=99999999999999999999", "start"),
        ("orderBy=desc:tags", "orderBy"),
        ("orderBy=created,desc:colour", "orderBy"),
        ("orderBy=down:created", "orderBy"),
        ("status=wonderful", "status"),
        ("status=!success,wonderful", "status"),
        ("property=status~succ", "property"),
        ("size=large", "size"),
        ("version=1.0.x", "version"),
        ("tags=a", "tags"),
        ("createdAfter=yesterday", "createdAfter"),
        ("createdBefore=999999999999999999", "createdBefore"),
        ("colour=red", "colour"),
        ("property=colour", "property"),
        ("property=size=1", "property"),
        ("property=!size>1", "property"),
        ("property=externalId~(", "property"),
    ],
)
async def test_a_query_that_cannot_be_answered_is_refused_by_name(adobe, query, named):
    answer = await adobe.get(f"{BATCHES}?{query}")
    body = await answer.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith(f"{named}: ")


async def test_ingestion_shows_the_same_batch_on_its_own(adobe, db, scope):
    batch = await a_batch(db, scope)
    answer = await adobe.get(f"/data/foundation/import/batches/{batch.id}")
    assert await answer.json() == await show(adobe, batch.id)


async def test_another_organisation_sees_no_batch(adobe, foreign, db, scope):
    batch = await a_batch(db, scope, dataset_id=await a_dataset(db, scope))
    for path in (f"{BATCHES}/{batch.id}", f"/data/foundation/import/batches/{batch.id}"):
        assert problem(await (await foreign.get(path)).json()) == (404, "not_found")
    assert await listed(foreign) == []
    assert await listed(adobe) == [batch.id]


async def test_an_unknown_batch_is_not_found(adobe):
    for id in ("nothing", "0" * 1000, "%00", "ü"):
        assert (await adobe.get(f"{BATCHES}/{id}")).status in {400, 404}
