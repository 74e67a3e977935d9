"""What Catalog's listings are asked for: each documented filter, alone and together."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.batches import NewDatasetFile
from catalog.store.batches import BatchStore
from tests.builders import a_batch, a_dataset, a_loaded_batch
from tests.surfaces.client import problem

CATALOG = "/data/foundation/catalog"
DATASETS = f"{CATALOG}/dataSets"
BATCHES = f"{CATALOG}/batches"


async def found(client, collection: str, query: str, *, by: str) -> list[Any]:
    answer = await client.get(f"{collection}?{query}&properties={by}")
    assert answer.status == 200, await answer.text()
    return [each.get(by) for each in (await answer.json()).values()]


@pytest.fixture
async def shelf(db, scope) -> None:
    """Three data sets with times, versions and tags that tell them apart."""
    for number, (name, tags) in enumerate(
        (
            ("CRM", {"tier": ["gold"], "unifiedProfile": ["enabled:true"]}),
            ("te*t", {"tier": ["silver", "golden"], "none": []}),
            ("test", {}),
        )
    ):
        id = await a_dataset(db, scope, id=f"ds-{number}")
        await db.execute(
            "UPDATE datasets SET name = $2, tags = $3, version = $4::integer, description = $5,"
            " created_at = timestamptz 'epoch' + $4::integer * interval '1 ms' + interval '400 us',"
            " updated_at = timestamptz 'epoch' + interval '9 ms',"
            " extras = $6 WHERE id = $1",
            id,
            name,
            tags,
            number * 5 + 1,
            "" if number else "Customers",
            {"extensions": {}, "enableErrorDiagnostics": True} if number else {},
        )


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["CRM", "te*t", "test"]),
        ("name=CRM", ["CRM"]),
        ("name=!CRM", ["te*t", "test"]),
        ("name=CRM,test", ["CRM", "test"]),
        ("name=!CRM,test", ["te*t"]),
        ("name=te*t", ["te*t", "test"]),
        ("name=te**t", ["te*t"]),
        ("name=*", ["CRM", "te*t", "test"]),
        ("name=crm", []),
        ("id=ds-2,ds-0", ["CRM", "test"]),
        ("created=6", ["te*t"]),
        ("created=!6", ["CRM", "test"]),
        ("createdAfter=1", ["te*t", "test"]),
        ("createdBefore=11", ["CRM", "te*t"]),
        ("createdAfter=1&createdBefore=11", ["te*t"]),
        ("updated=9", ["CRM", "te*t", "test"]),
        ("updatedAfter=9", []),
        ("version=1.0.5", ["te*t"]),
        ("version=1.0.0,1.0.10", ["CRM", "test"]),
        ("createdUser=test", ["CRM", "te*t", "test"]),
        ("createdClient=!test", []),
        ("state=DRAFT&status=enabled&namespace=ACP", ["CRM", "te*t", "test"]),
        ("state=!DRAFT", []),
        ("tags=tier:gold", ["CRM"]),
        ("tags=tier:gold*", ["CRM", "te*t"]),
        ("tags=tier:*", ["CRM", "te*t"]),
        ("tags=none:*", ["te*t"]),
        ("tags=tier:gold*,none:*", ["te*t"]),
        ("tags=unifiedProfile:enabled:true", ["CRM"]),
        ("tags=absent:*", []),
        ("property=name", ["CRM", "te*t", "test"]),
        ("property=!name", []),
        ("property=extensions", ["te*t", "test"]),
        ("property=!extensions", ["CRM"]),
        ("property=lastBatchId", []),
        ("property=name==CRM", ["CRM"]),
        ("property=name!=CRM", ["te*t", "test"]),
        ("property=name==t*", ["te*t", "test"]),
        ("property=name~^te", ["te*t", "test"]),
        (r"property=name~^te\*", ["te*t"]),
        ("property=name<a", ["CRM"]),
        ("property=name>=te*t", ["te*t", "test"]),
        ("property=version>1.0.5", ["test"]),
        ("property=version>=1.0.5", ["te*t", "test"]),
        ("property=version<1.0.10", ["CRM", "te*t"]),
        ("property=version<=1.0", []),
        ("property=version~0$", ["CRM", "test"]),
        ("property=created>1", ["te*t", "test"]),
        ("property=enableErrorDiagnostics==true", ["te*t", "test"]),
        ("property=classification.dataBehavior==record", ["CRM", "te*t", "test"]),
        ("property=name~^te&property=version>1.0.5", ["test"]),
        ("property=name~^te&name=!test", ["te*t"]),
        ("orderBy=desc:name", ["test", "te*t", "CRM"]),
        ("orderBy=updated,desc:created", ["test", "te*t", "CRM"]),
        ("sort=desc:updated,asc:version", ["CRM", "te*t", "test"]),
        ("orderBy=desc:version&limit=1", ["test"]),
        ("start=1&limit=1", ["te*t"]),
        ("offset=2", ["test"]),
        ("start=3", []),
    ],
)
@pytest.mark.usefixtures("shelf")
async def test_data_sets_are_filtered_and_ordered(adobe, query, names):
    assert await found(adobe, DATASETS, query, by="name") == names


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("colour=red", "colour"),
        ("requestDataSource=true", "requestDataSource"),
        ("orderBy=up:name", "orderBy"),
        ("orderBy=tags", "orderBy"),
        ("state=FINAL", "state"),
        ("created=today", "created"),
        ("property=name~(", "property"),
        ("property=", "property"),
        ("property=tags>1", "property"),
        ("property=name;DROP TABLE datasets", "property"),
        ("tags=tier", "tags"),
        ("tags=:x", "tags"),
    ],
)
@pytest.mark.usefixtures("shelf")
async def test_what_cannot_be_asked_of_data_sets_is_refused_by_name(adobe, query, named):
    answer = await adobe.get(f"{DATASETS}?{query}")
    body = await answer.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith(f"{named}: ")


@pytest.mark.usefixtures("shelf")
async def test_a_filter_reaches_no_other_sandbox(foreign):
    for query in ("name=*", "property=name", "property=name!=x", "id=ds-0", "tags=tier:*"):
        assert await found(foreign, DATASETS, query, by="name") == []


async def test_batches_are_filtered_and_ordered(adobe, db, scope, subtests):
    batches = BatchStore(db)
    active = await a_loaded_batch(db, scope)
    file = NewDatasetFile(
        batch_id=active.id, name="x", key="k", size_bytes=70, row_count=7, sha256="00"
    )
    await batches.activate(active.job_id, files=[file], metrics={"failed_row_count": 3})
    other = await a_batch(db, scope, external_id="night run", tags={"flow": ["f-1"]})
    await db.execute(
        "UPDATE batches SET created_at = timestamptz 'epoch' + interval '5 ms',"
        " started_at = timestamptz 'epoch' + interval '6 ms',"
        " finished_at = timestamptz 'epoch' + interval '7 ms' WHERE id = $1",
        active.id,
    )
    both = [other.id, active.id]
    for query, ids in (
        ("", both),
        (f"batch={active.id}", [active.id]),
        (f"id=!{active.id}", [other.id]),
        (f"dataSet={other.dataset_id}", [other.id]),
        (f"dataSetId=!{other.dataset_id}", [active.id]),
        ("status=success", [active.id]),
        ("status=!success,failed", [other.id]),
        ("status=!stalled", both),
        ("externalId=night run", [other.id]),
        ("externalId=!night run", [active.id]),
        ("created=5", [active.id]),
        ("createdAfter=5", [other.id]),
        ("createdBefore=6", [active.id]),
        ("started=6", [active.id]),
        ("startAfter=5&startBefore=7", [active.id]),
        ("startAfter=6", []),
        ("completed=7", [active.id]),
        ("endAfter=6&endBefore=8", [active.id]),
        ("endBefore=7", []),
        ("recordCount=7", [active.id]),
        ("failedRecordCount=3", [active.id]),
        ("size=70", [active.id]),
        ("createdUser=test", both),
        ("createdClient=nobody", []),
        (f"updatedUser=job {active.job_id}", [active.id]),
        ("version=1.0.0", [other.id]),
        ("tags=flow:f-*", [other.id]),
        ("property=externalId", [other.id]),
        ("property=!externalId", [active.id]),
        ("property=externalId~^night", [other.id]),
        ("property=size>69", [active.id]),
        ("property=recordCount<1", [other.id]),
        ("property=status==active", [active.id]),
        ("orderBy=created", both[::-1]),
        ("orderBy=size,desc:created", both),
        ("orderBy=desc:started", both[::-1]),
        ("orderBy=completed,externalId", both[::-1]),
    ):
        with subtests.test(query):
            assert await found(adobe, BATCHES, query, by="id") == ids
