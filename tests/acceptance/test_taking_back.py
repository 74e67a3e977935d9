"""What is taken back leaves later exports, and only later ones."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.jobs import WorkerId
from catalog.schemas import PROFILE_CLASS, PROFILE_UNION
from catalog.store.notices import Notices
from service import assembly
from service.storage.files import Files
from tests.surfaces.client import adobe, operations, running, settings

__all__ = ["adobe", "operations", "running", "settings"]

PATIENCE = 60
IMPORT = "/data/foundation/import/batches"
EXPORT = "/data/foundation/export"
REGISTRY = "/data/foundation/schemaregistry/tenant"


@pytest.fixture
def working(database, where, settings):
    """Runs a worker with real engines for as long as the block lasts."""

    @asynccontextmanager
    async def run():
        deployed = assembly.Deployment(
            settings=settings,
            database=database,
            files=Files(settings.data.files_dir),
            where=where,
            postgres=None,
            migrated=(),
        )
        async with (
            assembly.worker(deployed, WorkerId("worker-1")) as worker,
            Notices(**where) as notices,
        ):
            task = asyncio.create_task(worker.run(notices))
            try:
                yield
            finally:
                worker.stop()
                await task

    return run


@pytest.fixture
async def dataset_id(adobe):
    """A data set of people, by their email address."""
    document = {"title": "people", "type": "object", "allOf": [{"$ref": PROFILE_CLASS}, PERSON]}
    schema_id = (await call(adobe.post, f"{REGISTRY}/schemas", json=document))["$id"]
    union = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
    await call(adobe.patch, f"{REGISTRY}/schemas/{quote(schema_id, safe='')}", json=union)
    return await a_dataset(adobe, schema_id, tags={"unifiedProfile": ["enabled:true"]})


PERSON = {"type": "object", "properties": {"city": {"type": "string"}}}


async def a_dataset(adobe, schema_id, **asked):
    content = "application/vnd.adobe.xed+json;version=1"
    new = {"name": "any", "schemaRef": {"id": schema_id, "contentType": content}, **asked}
    (reference,) = await call(adobe.post, "/data/foundation/catalog/dataSets", json=new)
    return reference.rpartition("/")[2]


async def call(method, path, **asked) -> Any:
    answer = await method(path, **asked)
    body = await answer.json()
    assert answer.status in {200, 201}, body
    return body


def rows(**cities):
    return b"".join(
        json.dumps(
            {"identityMap": {"Email": [{"id": name, "primary": True}]}, "city": city}
        ).encode()
        + b"\n"
        for name, city in cities.items()
    )


async def send(adobe, dataset_id, content, *, open_by=None, **asked):
    """Open a batch, send it one file and complete it; return its id."""
    new = {"datasetId": dataset_id, "inputFormat": {"format": "json"}, **asked}
    batch_id = (await call(open_by or adobe.post, IMPORT, json=new))["id"]
    await call(
        adobe.put,
        f"{IMPORT}/{batch_id}/datasets/{dataset_id}/files/a.json",
        data=content,
        headers={"Content-Type": "application/octet-stream"},
    )
    await call(adobe.post, f"{IMPORT}/{batch_id}?action=COMPLETE")
    return batch_id


async def reach(adobe, path, status):
    """Ask until something has this status. There is no call that waits: clients poll."""
    async with asyncio.timeout(PATIENCE):
        while True:
            shown = await call(adobe.get, path)
            shown = shown.get(path.rpartition("/")[2], shown)
            if shown["status"] == status:
                return shown
            assert shown["status"] not in {"failed", "FAILED"}, shown
            await asyncio.sleep(0.05)


async def submit(adobe):
    target = await a_dataset(adobe, PROFILE_UNION)
    order = {"destination": {"datasetId": target}, "schema": {"name": "_xdm.context.profile"}}
    return await call(adobe.post, "/data/core/ups/export/jobs", json=order)


async def exported(adobe, job):
    """Wait for an export job; return the city of each email address in its batch."""
    await reach(adobe, f"/data/core/ups/export/jobs/{job['id']}", "SUCCEEDED")
    batch_id, cities = job["destination"]["batchId"], {}
    for entry in (await call(adobe.get, f"{EXPORT}/batches/{batch_id}/files"))["data"]:
        described = await call(adobe.get, f"{EXPORT}/files/{entry['dataSetFileId']}")
        answer = await adobe.session.get(described["data"][0]["_links"]["self"]["href"])
        table = pq.read_table(pa.BufferReader(await answer.read()))
        for row in table.to_pylist(maps_as_pydicts="strict"):
            cities[row["identityMap"]["Email"][0]["id"]] = row["city"]
    return cities


async def test_a_later_export_lacks_the_rows_of_a_reverted_batch_and_an_earlier_one_has_them(
    adobe, working, dataset_id
):
    async with working():
        first = await send(adobe, dataset_id, rows(ann="Rome", bob="Oslo"))
        second = await send(adobe, dataset_id, rows(ann="Bern", eve="Lima"))
        for batch_id in (first, second):
            await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")
    # Nobody works now: the job pins its snapshot, and is run after the batch has gone.
    pinned = await submit(adobe)
    await call(adobe.post, f"{IMPORT}/{second}?action=REVERT")
    later = await submit(adobe)
    async with working():
        assert await exported(adobe, pinned) == {"ann": "Bern", "bob": "Oslo", "eve": "Lima"}
        assert await exported(adobe, later) == {"ann": "Rome", "bob": "Oslo"}


async def test_a_replay_takes_the_place_of_its_predecessors_in_one_step(adobe, working, dataset_id):
    async with working():
        kept = await send(adobe, dataset_id, rows(bob="Oslo"))
        old = await send(adobe, dataset_id, rows(ann="Rome", eve="Lima"), externalId="monday")
        await reach(adobe, f"/data/foundation/catalog/batches/{old}", "success")
        new = await send(
            adobe,
            dataset_id,
            rows(ann="Bern"),
            open_by=adobe.patch,
            replay={"predecessors": [f"${old}"], "reason": "replace"},
        )
        await reach(adobe, f"/data/foundation/catalog/batches/{new}", "success")
        for batch_id, status in ((old, "inactive"), (kept, "success")):
            await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", status)
        assert await exported(adobe, await submit(adobe)) == {"ann": "Bern", "bob": "Oslo"}
