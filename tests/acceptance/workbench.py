"""The service and a worker in the test's own process, so that a test decides when work is done."""

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
from service.engine.local import LocalRunner
from service.storage.files import Files
from tests.patience import PATIENCE_SECONDS

IMPORT = "/data/foundation/import/batches"
EXPORT = "/data/foundation/export"
REGISTRY = "/data/foundation/schemaregistry/tenant"


@pytest.fixture
def working(database, where, settings, monkeypatch):
    """Runs a worker with real engines for as long as the block lasts."""
    # Of which most have one job: a spare engine would start for the one that never comes.
    monkeypatch.setattr(LocalRunner, "stand_ready", lambda _: None)

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
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            shown = await call(adobe.get, path)
            shown = shown.get(path.rpartition("/")[2], shown)
            if shown["status"] == status:
                return shown
            assert shown["status"] not in {"failed", "FAILED"}, shown
            await asyncio.sleep(0.05)


async def submit(adobe, **asked):
    target = await a_dataset(adobe, PROFILE_UNION)
    order = {
        "destination": {"datasetId": target},
        "schema": {"name": "_xdm.context.profile"},
        **asked,
    }
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
