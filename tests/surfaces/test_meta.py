"""What Data Access tells about batches and data sets beside their files: section 4 of the sheet."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from hashlib import sha256

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.batches import BatchEvent, MetaFile, NewDatasetFile
from catalog.store.batches import BatchStore
from catalog.store.meta_files import MetaFileStore
from service.operations import data_access
from tests.builders import a_batch, a_dataset, a_loaded_batch
from tests.surfaces.client import problem

EXPORT = "/data/foundation/export"


async def told(db, scope, files, **contents):
    """An active batch about which these files tell; their names with _ for a slash."""
    batch = await a_loaded_batch(db, scope)
    await BatchStore(db).activate(batch.job_id, files=[], metrics={})
    meta = []
    for name, content in contents.items():
        with files.create(f"meta/{batch.id}/{name}") as file:
            file.write(content)
        path = name.replace("__", "/") + ".parquet"
        digest = sha256(content).hexdigest()
        meta.append(MetaFile(path=path, key=file.key, size_bytes=len(content), sha256=digest))
    await MetaFileStore(db).add(batch.id, meta)
    return batch


async def listed(client, href):
    body = await (await client.session.get(href)).json()
    return {entry["name"]: entry for entry in body["data"]}, body["_page"]["count"]


async def test_the_links_lead_from_the_meta_of_a_batch_to_the_bytes(adobe, db, scope, files):
    batch = await told(db, scope, files, exclusions=b"abc", rows__a=b"de", rows__b=b"f")
    here = str(adobe.make_url(f"{EXPORT}/batches/{batch.id}/meta"))
    found, count = await listed(adobe, here)
    assert {name: each["length"] for name, each in found.items()} == {
        "exclusions.parquet": "3",
        "rows": "0",
    }
    assert count == 2
    below, _ = await listed(adobe, found["rows"]["_links"]["self"]["href"])
    assert list(below) == ["a.parquet", "b.parquet"]
    href = below["a.parquet"]["_links"]["self"]["href"]
    assert href == f"{here}?path=rows%2Fa.parquet"
    answer = await adobe.session.get(href, headers={"Range": "bytes=1-"})
    assert (answer.status, await answer.read()) == (206, b"e")
    assert answer.headers["ETag"] == f'"{sha256(b"de").hexdigest()}"'


async def test_a_long_folder_is_walked_by_its_links(adobe, db, scope, files):
    batch = await told(db, scope, files, r__a=b"1", r__b=b"2", r__c=b"3")
    href, names = str(adobe.make_url(f"{EXPORT}/batches/{batch.id}/meta?path=r&limit=2")), []
    while href:
        page = await (await adobe.session.get(href)).json()
        names += [entry["name"] for entry in page["data"]]
        href = page["_links"].get("next", {}).get("href")
    assert names == ["a.parquet", "b.parquet", "c.parquet"]


async def test_nothing_is_told_of_a_batch_that_has_not_ended_or_was_taken_back(
    adobe, db, scope, files
):
    loading = await a_batch(db, scope)
    batch = await told(db, scope, files, exclusions=b"abc")
    await BatchStore(db).withdraw(scope, [batch.id], BatchEvent.REVERT, actor="test")
    for id in (loading.id, batch.id):
        answer = await adobe.get(f"{EXPORT}/batches/{id}/meta")
        assert (await answer.json())["data"] == []
        answer = await adobe.get(f"{EXPORT}/batches/{id}/meta?path=exclusions.parquet")
        assert problem(await answer.json()) == (404, "not_found")


async def test_another_organisation_is_told_nothing(foreign, db, scope, files):
    batch = await told(db, scope, files, exclusions=b"abc")
    for path in (
        f"batches/{batch.id}/meta",
        f"batches/{batch.id}/meta?path=exclusions.parquet",
        f"datasets/{batch.dataset_id}/preview",
    ):
        answer = await foreign.get(f"{EXPORT}/{path}")
        assert problem(await answer.json()) == (404, "not_found")


async def filled(db, scope, files, dataset_id, *tables):
    """An active batch of these tables, a file for each."""
    batch = await a_loaded_batch(db, scope, dataset_id=dataset_id)
    new = []
    for number, table in enumerate(tables):
        with files.create(f"jobs/{batch.id}/{number}") as file:
            pq.write_table(table, pa.PythonFile(file, mode="w"))
        new.append(
            NewDatasetFile(
                batch_id=batch.id,
                name=f"{number}.parquet",
                key=file.key,
                size_bytes=file.size_bytes,
                row_count=table.num_rows,
                sha256="00",
            )
        )
    await BatchStore(db).activate(batch.job_id, files=new, metrics={})
    return batch


async def previewed(client, dataset_id):
    answer = await client.get(f"{EXPORT}/datasets/{dataset_id}/preview")
    assert answer.status == 200
    return (await answer.json())["data"]


async def test_a_preview_has_the_first_hundred_rows_of_the_data_set(adobe, db, scope, files):
    dataset_id = await a_dataset(db, scope)
    assert await previewed(adobe, dataset_id) == []
    empty, some = pa.table({"n": pa.array([], pa.int64())}), pa.table({"n": range(30)})
    gone = await filled(db, scope, files, dataset_id, pa.table({"n": [-1]}))
    await filled(db, scope, files, dataset_id, empty, some)
    await filled(db, scope, files, dataset_id, pa.table({"n": range(30, 500)}))
    await BatchStore(db).withdraw(scope, [gone.id], BatchEvent.REVERT, actor="test")
    await a_loaded_batch(db, scope, dataset_id=dataset_id)
    assert await previewed(adobe, dataset_id) == [{"n": n} for n in range(100)]


async def test_a_preview_says_values_as_json_does_and_leaves_nulls_out(adobe, db, scope, files):
    dataset_id = await a_dataset(db, scope)
    row = {
        "at": datetime(2020, 1, 2, tzinfo=UTC),
        "number": math.nan,
        "person": {"name": "Ann", "age": None},
        "tags": ["a"],
        "map": [("k", 1)],
    }
    types = {"at": pa.timestamp("us", "UTC"), "map": pa.map_(pa.string(), pa.int64())}
    columns = {name: pa.array([value], types.get(name)) for name, value in row.items()}
    await filled(db, scope, files, dataset_id, pa.table(columns))
    assert await previewed(adobe, dataset_id) == [
        {
            "at": "2020-01-02T00:00:00Z",
            "number": None,
            "person": {"name": "Ann"},
            "tags": ["a"],
            "map": {"k": 1},
        }
    ]


async def test_large_rows_make_a_preview_shorter(adobe, db, scope, files, monkeypatch):
    monkeypatch.setattr(data_access, "PREVIEW_BYTES", 1000)
    dataset_id = await a_dataset(db, scope)
    table = pa.table({"text": ["x" * 100] * 90})
    await filled(db, scope, files, dataset_id, table, table)
    assert len(await previewed(adobe, dataset_id)) == 10
