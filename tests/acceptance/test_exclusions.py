"""Who is left out of an export can be read from its batch."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq

from tests.acceptance.workbench import (
    EXPORT,
    call,
    dataset_id,
    exported,
    reach,
    rows,
    send,
    submit,
    working,
)
from tests.surfaces.client import adobe, operations, running, settings

__all__ = ["adobe", "dataset_id", "operations", "running", "settings", "working"]


def a_crowd(hub, size):
    """Rows that all name one identity: together they are one profile of too many."""
    return b"".join(
        json.dumps(
            {"identityMap": {"Email": [{"id": f"{n}", "primary": True}], "Phone": [{"id": hub}]}}
        ).encode()
        + b"\n"
        for n in range(size)
    )


async def test_a_profile_of_too_many_identities_is_told_in_the_meta_of_the_batch(
    adobe, working, dataset_id
):
    async with working():
        content = rows(ann="Rome") + a_crowd("hub", 50)
        batch_id = await send(adobe, dataset_id, content)
        await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")
        stitched = await submit(adobe, mergePolicy={"id": "timestampOrdered-pdg-mp"})
        assert await exported(adobe, stitched) == {"ann": "Rome"}
        alone = await submit(adobe, mergePolicy={"id": "timestampOrdered-none-mp"})
        assert len(await exported(adobe, alone)) == 51

    meta = f"{EXPORT}/batches/{stitched['destination']['batchId']}/meta"
    (entry,) = (await call(adobe.get, meta))["data"]
    assert entry["name"] == "exclusions.parquet"
    answer = await adobe.get(f"{meta}?path=exclusions.parquet")
    content = await answer.read()
    assert (answer.content_type, str(len(content))) == ("application/parquet", entry["length"])
    (row,) = pq.read_table(pa.BufferReader(content)).to_pylist()
    assert (row["reason"], row["identityCount"]) == ("too_many_identities", 51)
    assert {"namespace": "Phone", "id": "hub"} in row["identities"]
    of_the_other = f"{EXPORT}/batches/{alone['destination']['batchId']}/meta"
    assert (await call(adobe.get, of_the_other))["data"] == []
