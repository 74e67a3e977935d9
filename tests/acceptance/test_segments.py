"""Members of segments, from the rows that say so to the batches that hold them."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.acceptance.workbench import (
    EXPORT,
    call,
    dataset_id,
    exported,
    reach,
    send,
    submit,
    working,
)
from tests.surfaces.client import adobe, operations, running, settings

__all__ = ["adobe", "dataset_id", "operations", "running", "settings", "working"]

VIP, NEWS = "4edc8488-2c35-4f6d-b4c6-9075c68d2df4", "news"


def a_person(name, city, **memberships):
    return {
        "identityMap": {"Email": [{"id": name, "primary": True}]},
        "city": city,
        "segmentMembership": {"ups": memberships} if memberships else {},
    }


def since(day, status="realized"):
    return {"lastQualificationTime": f"2026-11-{day:02}T00:00:00Z", "status": status}


PEOPLE = [
    a_person("ann", "Rome", **{VIP: since(1), NEWS: since(2)}),
    a_person("bob", "Oslo", **{VIP: since(3, "existing")}),
    a_person("cid", "Kiel", **{VIP: since(4, "exited")}),
    a_person("dan", "Bonn"),
]


async def ingested(adobe, dataset_id):
    content = b"".join(json.dumps(row).encode() + b"\n" for row in PEOPLE)
    batch_id = await send(adobe, dataset_id, content)
    await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")


async def files_of(adobe, batch_id):
    """The tables of a batch, file by file."""
    tables = []
    for entry in (await call(adobe.get, f"{EXPORT}/batches/{batch_id}/files"))["data"]:
        described = await call(adobe.get, f"{EXPORT}/files/{entry['dataSetFileId']}")
        answer = await adobe.session.get(described["data"][0]["_links"]["self"]["href"])
        tables.append(pq.read_table(pa.BufferReader(await answer.read())))
    return tables


async def test_an_export_holds_the_profiles_that_stand_to_a_segment_as_asked(
    adobe, working, dataset_id
):
    async with working():
        await ingested(adobe, dataset_id)
        for filter, names in (
            ({"segments": [{"segmentId": VIP}]}, {"ann", "bob"}),
            ({"segments": [{"segmentId": VIP, "segmentNs": "UPS", "status": "exiting"}]}, {"cid"}),
            ({"segments": [{"segmentId": NEWS}, {"segmentId": VIP}]}, {"ann", "bob"}),
            (
                {"segments": [{"segmentId": VIP, "status": ["exited", "existing"]}]},
                {"ann", "bob", "cid"},
            ),
            (
                {
                    "segments": [{"segmentId": VIP}],
                    "segmentQualificationTime": {"startTime": "2026-11-02T00:00:00Z"},
                },
                {"bob"},
            ),
            ({"segments": []}, {"ann", "bob", "cid", "dan"}),
        ):
            job = await submit(adobe, filter=filter, fields="identityMap,city")
            told = [segment["segmentId"] for segment in job["filter"]["segments"]]
            assert told == [segment["segmentId"] for segment in filter["segments"]]
            found = await exported(adobe, job)
            assert set(found) == names, filter


async def test_every_segment_has_a_batch_and_all_are_visible_at_once(adobe, working, dataset_id):
    segments = [
        {"segmentId": NEWS},
        {"segmentId": VIP, "segmentNs": "ups", "status": ["realized", "exited"]},
        {"segmentId": "nobody"},
    ]
    async with working():
        await ingested(adobe, dataset_id)
        target = (await submit(adobe))["destination"]["datasetId"]
        job = await call(
            adobe.post,
            "/data/core/ups/export/jobs",
            json={
                "destination": {"dataSetId": target, "segmentPerBatch": True},
                "schema": {"name": "_xdm.context.profile"},
                "filter": {"segments": segments},
            },
        )
        batches = job["destination"]["batches"]
        assert [batch["segmentId"] for batch in batches] == [NEWS, VIP, "nobody"]
        assert [batch["segmentNs"] for batch in batches] == ["ups"] * 3
        assert [batch["status"] for batch in batches] == [
            ["realized", "existing"],
            ["realized", "exited"],
            ["realized", "existing"],
        ]
        assert (job["destination"]["segmentPerBatch"], job["destination"]["batchId"]) == (True, "")
        done = await reach(adobe, f"/data/core/ups/export/jobs/{job['id']}", "SUCCEEDED")
    assert done["destination"] == job["destination"]
    assert done["metrics"]["totalExportedProfileCounter"] == 4
    assert done["metrics"]["exportedProfileByNamespaceCounter"] == {"Email": 4}
    names, schemas = [], set()
    for batch in batches:
        shown = await call(adobe.get, f"/data/foundation/catalog/batches/{batch['batchId']}")
        assert shown[batch["batchId"]]["status"] == "success"
        tables = await files_of(adobe, batch["batchId"])
        schemas |= {table.schema for table in tables}
        column = pa.chunked_array([c for t in tables for c in t["city"].chunks], pa.string())
        names.append(sorted(column.to_pylist()))
    assert names == [["Rome"], ["Kiel", "Oslo", "Rome"], []]
    assert len(schemas) == 1


@pytest.mark.usefixtures("dataset_id")
async def test_nothing_of_any_segment_is_left_of_a_cancelled_job(adobe):
    segments = [{"segmentId": VIP}, {"segmentId": NEWS}]
    target = (await submit(adobe))["destination"]["datasetId"]
    destination = {"datasetId": target, "segmentPerBatch": True}
    job = await submit(adobe, filter={"segments": segments}, destination=destination)
    await call(adobe.delete, f"/data/core/ups/export/jobs/{job['id']}")
    shown = await call(adobe.get, f"/data/core/ups/export/jobs/{job['id']}")
    assert [batch["batchId"] for batch in shown["destination"]["batches"]] == ["", ""]
    for batch in job["destination"]["batches"]:
        found = await call(adobe.get, f"/data/foundation/catalog/batches/{batch['batchId']}")
        assert found[batch["batchId"]]["status"] == "aborted"
