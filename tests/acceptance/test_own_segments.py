"""Segments from their definition to the exports and look-ups that know their members."""

from __future__ import annotations

from tests.acceptance.workbench import (
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

SEGMENTS = "/data/core/ups/segment"
STITCHED = "timestampOrdered-pdg-mp"


async def define(adobe, name, rule, **more):
    expression = {"type": "PQL", "format": "pql/text", "value": rule}
    body = {"name": name, "expression": expression, "schema": {"name": "_xdm.context.profile"}}
    return (await call(adobe.post, f"{SEGMENTS}/definitions", json={**body, **more}))["id"]


async def ingested(adobe, dataset_id, **cities):
    batch_id = await send(adobe, dataset_id, rows(**cities))
    await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")


async def evaluated(adobe, *ids):
    job = await call(
        adobe.post, f"{SEGMENTS}/jobs", json=[{"segmentId": id} for id in ids or ("*",)]
    )
    return await reach(adobe, f"{SEGMENTS}/jobs/{job['id']}", "SUCCEEDED")


async def members(adobe, *ids, status=None, **asked):
    told = [{"segmentId": id, **({"status": [status]} if status else {})} for id in ids]
    job = await submit(adobe, filter={"segments": told}, **asked)
    return await exported(adobe, job)


async def looked_up(adobe, name):
    asked = {"schema.name": "_xdm.context.profile", "entityId": name, "entityIdNS": "Email"}
    answer = await adobe.get("/data/core/ups/access/entities", params=asked)
    (found,) = (await answer.json()).values()
    told = found["entity"].get("segmentMembership", {}).get("ups", {})
    return {id: one["status"] for id, one in told.items()}


async def test_members_enter_stay_and_leave_and_exports_and_look_ups_say_so(
    adobe, working, dataset_id
):
    romans = await define(adobe, "romans", 'city = "Rome"')
    somewhere = await define(adobe, "somewhere", "city.isNotNull()")
    async with working():
        await ingested(adobe, dataset_id, ann="Rome", bob="Oslo")
        job = await evaluated(adobe)
        assert job["metrics"]["totalProfiles"] == 2
        assert job["metrics"]["segmentedProfileCounter"] == {romans: 1, somewhere: 2}
        assert await members(adobe, romans) == {"ann": "Rome"}
        assert await members(adobe, romans, somewhere) == {"ann": "Rome", "bob": "Oslo"}
        assert await looked_up(adobe, "ann") == {romans: "realized", somewhere: "realized"}
        await ingested(adobe, dataset_id, ann="Kiel", bob="Rome")
        assert await members(adobe, romans) == {"ann": "Kiel"}
        job = await evaluated(adobe, romans)
        counters = job["metrics"]["segmentedProfileByStatusCounter"]
        assert counters == {romans: {"realized": 1, "exited": 1}}
        assert await members(adobe, romans) == {"bob": "Rome"}
        assert await members(adobe, romans, status="exited") == {"ann": "Kiel"}
        assert await looked_up(adobe, "ann") == {romans: "exited", somewhere: "realized"}
        answer = await adobe.delete(f"{SEGMENTS}/definitions/{romans}")
        assert answer.status == 200
        assert await members(adobe, romans) == {}
        assert await looked_up(adobe, "ann") == {somewhere: "realized"}


async def test_an_export_is_under_the_policy_of_its_segments_unless_it_names_one(
    adobe, working, dataset_id
):
    stitched = await define(adobe, "stitched", 'city = "Rome"', mergePolicyId=STITCHED)
    plain = await define(adobe, "plain", 'city = "Rome"')
    async with working():
        await ingested(adobe, dataset_id, ann="Rome")
        job = await evaluated(adobe)
        assert set(job["metrics"]["totalProfilesByMergePolicy"].values()) == {1}
        found = await submit(adobe, filter={"segments": [{"segmentId": stitched}]})
        assert found["mergePolicy"]["id"] == STITCHED
        assert await exported(adobe, found) == {"ann": "Rome"}
        none = {"id": "timestampOrdered-none-mp"}
        assert await members(adobe, stitched, mergePolicy=none) == {}
        assert await members(adobe, plain, mergePolicy=none) == {"ann": "Rome"}
    target = found["destination"]["datasetId"]
    body = {
        "destination": {"datasetId": target},
        "schema": {"name": "_xdm.context.profile"},
        "filter": {"segments": [{"segmentId": stitched}, {"segmentId": plain}]},
    }
    answer = await adobe.post("/data/core/ups/export/jobs", json=body)
    assert answer.status == 400
    assert "mergePolicy.id" in await answer.text()


async def test_an_export_may_evaluate_by_itself_and_keeps_nothing(adobe, working, dataset_id):
    romans = await define(adobe, "romans", 'city = "Rome"')
    async with working():
        await ingested(adobe, dataset_id, ann="Rome", bob="Oslo")
        assert await members(adobe, romans) == {}
        now = {"segmentation": True}
        assert await members(adobe, romans, evaluationInfo=now) == {"ann": "Rome"}
        assert await members(adobe, romans) == {}
