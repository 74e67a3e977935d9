"""Segment jobs over HTTP: the documented calls, and what is refused. No worker runs here."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from catalog.jobs import Job, JobError, JobEvent, JobId, JobKind
from catalog.organisations import Scope
from catalog.store.database import Connection
from catalog.store.jobs import JobStore
from service.surfaces.adobe.wire import segment_jobs as wire
from tests.builders import LEASE, WORKER
from tests.surfaces.client import HttpClient, problem

JOBS = "/data/core/ups/segment/jobs"
DEFINITIONS = "/data/core/ups/segment/definitions"
PROFILE = {"name": "_xdm.context.profile"}


async def define(client: HttpClient, name: str, **more: Any) -> str:
    """The id of a new segment."""
    expression = {"type": "PQL", "format": "pql/text", "value": f'_id   =   "{name}"'}
    body = {"name": name, "expression": expression, "schema": PROFILE, **more}
    answer = await client.post(DEFINITIONS, json=body)
    assert answer.status == 200, await answer.text()
    return str((await answer.json())["id"])


async def submit(client: HttpClient, *ids: str) -> dict[str, Any]:
    answer = await client.post(JOBS, json=[{"segmentId": id} for id in ids])
    job: dict[str, Any] = await answer.json()
    assert answer.status == 200, job
    return job


async def show(client: HttpClient, id: str) -> dict[str, Any]:
    answer = await client.get(f"{JOBS}/{id}")
    job: dict[str, Any] = await answer.json()
    assert answer.status == 200, job
    return job


async def listed(client: HttpClient, query: str = "") -> tuple[list[str], dict[str, Any]]:
    """The ids of the jobs on a page, and what the answer says beside them."""
    answer = await client.get(JOBS + query)
    page = await answer.json()
    assert answer.status == 200, page
    return [each["id"] for each in page.pop("children")], page


async def claimed(db: Connection) -> Job:
    """The next job, as its worker holds it."""
    async with db.transaction():
        job = await JobStore(db).claim_next(WORKER, lease=LEASE)
    assert job is not None
    assert job.kind is JobKind.SEGMENTATION
    return job


async def ended(db: Connection, event: JobEvent, **how: Any) -> None:
    """Have a worker end the next job."""
    job = await claimed(db)
    async with db.transaction():
        await JobStore(db).move(job, event, actor=WORKER, **how)


async def test_the_documented_create_call_is_answered_in_its_shape(adobe: HttpClient, scope: Scope):
    id = await define(adobe, "US")
    answer = await adobe.post(JOBS, json=[{"segmentId": id}])
    job = await answer.json()
    assert answer.status == 200
    assert answer.headers["X-Location"] == f"{JOBS}/{job['id']}"
    assert str(UUID(job["id"])) == job["id"]
    assert job == await show(adobe, job["id"])
    times = {key: job.pop(key) for key in ("creationTime", "updateTime", "updateEpoch")}
    assert times["updateEpoch"] == times["updateTime"] // 1000
    assert isinstance(job.pop("computeJobId"), int)
    href = f"/segment/jobs/{job['id']}"
    assert job == {
        "id": job["id"],
        "imsOrgId": scope.organisation_id,
        "sandbox": {
            "sandboxId": str(scope.sandbox_id),
            "sandboxName": "prod",
            "type": "production",
            "default": True,
        },
        "profileInstanceId": "ups",
        "source": "api",
        "status": "NEW",
        "computeGatewayJobId": "",
        "segments": [
            {
                "segmentId": id,
                "segment": {
                    "id": id,
                    "version": 1,
                    "expression": {"type": "PQL", "format": "pql/text", "value": '_id = "US"'},
                    "mergePolicyId": "timestampOrdered-none-mp",
                    "mergePolicy": {"id": "timestampOrdered-none-mp", "version": 1},
                },
            }
        ],
        "metrics": {
            "totalTime": {"startTimeInMs": times["creationTime"]},
            "profileSegmentationTime": {},
        },
        "errors": [],
        "requestId": answer.headers["x-request-id"],
        "schema": PROFILE,
        "_links": {
            "cancel": {"href": href, "method": "DELETE"},
            "checkStatus": {"href": href, "method": "GET"},
        },
    }


async def test_what_was_counted_is_told_when_the_job_has_succeeded(
    adobe: HttpClient, db: Connection
):
    id = await define(adobe, "US")
    job = await submit(adobe, id)
    policy = "timestampOrdered-none-mp"
    count = {"entered": 1000, "stayed": 33, "left": 12, "by_namespace": {"Email": 1012}}
    await ended(
        db,
        JobEvent.COMPLETE,
        metrics={
            "profiles": {policy: 20_000},
            "segments": {id: count},
            "evaluation_started_ms": 1_763_822_590_500,
            "evaluation_finished_ms": 1_763_822_592_900,
        },
    )
    shown = await show(adobe, job["id"])
    assert (shown["status"], shown["computeGatewayJobId"]) == (
        "SUCCEEDED",
        f"{shown['computeJobId']}-1",
    )
    metrics = shown["metrics"]
    span = metrics.pop("totalTime")
    assert span["totalTimeInMs"] == span["endTimeInMs"] - span["startTimeInMs"]
    assert metrics == {
        "profileSegmentationTime": {
            "startTimeInMs": 1_763_822_590_500,
            "endTimeInMs": 1_763_822_592_900,
            "totalTimeInMs": 2400,
        },
        "totalProfiles": 20_000,
        "segmentedProfileCounter": {id: 1033},
        "segmentedProfileByNamespaceCounter": {id: {"Email": 1012}},
        "segmentedProfileByStatusCounter": {id: {"realized": 1033, "exited": 12}},
        "totalProfilesByMergePolicy": {policy: 20_000},
    }


async def test_a_job_keeps_what_its_segments_said(adobe: HttpClient):
    id = await define(adobe, "US")
    job = await submit(adobe, id)
    change = {"expression": {"value": '_id = "CA"'}}
    assert (await adobe.patch(f"{DEFINITIONS}/{id}", json=change)).status == 200
    shown = await show(adobe, job["id"])
    assert shown["segments"][0]["segment"]["expression"]["value"] == '_id = "US"'
    assert (await adobe.delete(f"{DEFINITIONS}/{id}")).status == 200
    assert (await show(adobe, job["id"]))["segments"] == shown["segments"]


async def test_all_segments_are_evaluated_each_under_its_policy(adobe: HttpClient):
    body = {"name": "Stitched", "schema": PROFILE, "identityGraph": {"type": "pdg"}}
    answer = await adobe.post("/data/core/ups/config/mergePolicies", json=body)
    policy = (await answer.json())["id"]
    by_policy = {
        await define(adobe, "a"): "timestampOrdered-none-mp",
        await define(adobe, "b", mergePolicyId=policy): policy,
    }
    for asked in (
        {"schema": PROFILE, "segments": [{"segmentId": "*"}]},
        {"segments": [{"segmentId": "*"}]},
        [{"segmentId": "*"}],
        [{"segmentId": id} for id in by_policy] * 2,
    ):
        answer = await adobe.post(JOBS, json=asked)
        job = await answer.json()
        assert answer.status == 200, job
        assert {
            each["segmentId"]: each["segment"]["mergePolicy"]["id"] for each in job["segments"]
        } == by_policy


async def test_a_job_of_very_many_segments_lists_none(adobe: HttpClient, monkeypatch):
    monkeypatch.setattr(wire, "MOST_LISTED", 2)
    ids = [await define(adobe, str(number)) for number in range(3)]
    assert len((await submit(adobe, *ids[:2]))["segments"]) == 2
    job = await submit(adobe, *ids)
    assert job["segments"] == [{"segmentId": "*"}]
    assert (await show(adobe, job["id"]))["segments"] == [{"segmentId": "*"}]


async def test_bad_jobs_are_refused_and_nothing_is_queued(
    adobe: HttpClient, foreign: HttpClient, subtests: pytest.Subtests
):
    theirs = await define(foreign, "theirs")
    ours = await define(adobe, "ours")
    for body, said in (
        ([{"segmentId": "4afe34ae-8c98-4513-8a1d-67ccaa54bc05"}], "no segment 4afe34ae"),
        ([{"segmentId": ours}, {"segmentId": theirs}], f"no segment {theirs}"),
        ([], "names no segment"),
        ({"segments": []}, "names no segment"),
        ({}, "segments"),
        ([{"segmentId": ""}], "segmentId"),
        ([{"id": ours}], "segmentId"),
        ([ours], "object"),
        ("*", "object"),
        ({"schema": {"name": "_xdm.context.account"}, "segments": [{"segmentId": "*"}]}, "schema"),
    ):
        with subtests.test(f"{body}"):
            answer = await adobe.post(JOBS, json=body)
            refused = await answer.json()
            assert problem(refused) == (400, "invalid_field")
            assert said in refused["detail"]
    assert (await listed(adobe))[0] == []


async def test_a_sandbox_without_segments_has_none_to_evaluate(adobe: HttpClient):
    answer = await adobe.post(JOBS, json=[{"segmentId": "*"}])
    assert "there is no segment" in (await answer.json())["detail"]


async def test_a_cancelled_job_stays_cancelled(adobe: HttpClient, db: Connection):
    job = await submit(adobe, await define(adobe, "US"))
    for _ in range(2):
        answer = await adobe.delete(f"{JOBS}/{job['id']}")
        assert (answer.status, await answer.read()) == (204, b"")
    assert (await show(adobe, job["id"]))["status"] == "CANCELLED"
    running = await submit(adobe, (await show(adobe, job["id"]))["segments"][0]["segmentId"])
    await claimed(db)
    assert (await show(adobe, running["id"]))["status"] == "PROCESSING"
    assert (await adobe.delete(f"{JOBS}/{running['id']}")).status == 204


async def test_a_job_that_has_ended_cannot_be_cancelled(adobe: HttpClient, db: Connection):
    job = await submit(adobe, await define(adobe, "US"))
    failure = JobError(code="engine", message="the disk is full")
    await ended(db, JobEvent.FAIL, failure=failure)
    answer = await adobe.delete(f"{JOBS}/{job['id']}")
    assert problem(await answer.json()) == (409, "illegal_transition")
    shown = await show(adobe, job["id"])
    assert (shown["status"], shown["errors"]) == (
        "FAILED",
        [{"code": "engine", "msg": "the disk is full", "callStack": ""}],
    )


async def test_unknown_jobs_are_not_found(adobe: HttpClient):
    for id in ("4afe34ae-8c98-4513-8a1d-67ccaa54bc05", "7", "bulk-get"):
        for method in ("GET", "DELETE"):
            answer = await adobe.request(method, f"{JOBS}/{id}")
            assert problem(await answer.json()) == (404, "not_found")


async def test_lists_are_paged_sorted_and_filtered(adobe: HttpClient, subtests: pytest.Subtests):
    us, ca = await define(adobe, "US"), await define(adobe, "CA")
    a, b, c = [(await submit(adobe, *ids))["id"] for ids in ((us,), (ca,), (us, ca))]
    await adobe.delete(f"{JOBS}/{a}")
    for query, expected in (
        ("", [c, b, a]),
        ("?sort=creationTime:asc", [a, b, c]),
        ("?sort=updateTime:desc", [a, c, b]),
        ("?limit=2", [c, b]),
        ("?limit=2&start=2", [a]),
        ("?start=3", []),
        ("?status=NEW", [c, b]),
        ("?status=QUEUED", [c, b]),
        ("?status=CANCELLED", [a]),
        ("?status=CANCELLING", []),
        (f"?property=segments~segmentId=={us}", [c, a]),
        (f"?property=segments~segmentId=={us}&status=NEW", [c]),
        ("?property=segments~segmentId==nobody", []),
        ("?property=status==CANCELLED", [a]),
        ("?property=status==CANCELLED&status=NEW", []),
        ("?snapshot.name=any", [c, b, a]),
    ):
        with subtests.test(query):
            assert (await listed(adobe, query))[0] == expected
    _, page = await listed(adobe)
    assert page == {"_page": {"totalCount": 3, "pageSize": 3}, "_links": {"next": {}}}
    query = f"?limit=1&sort=creationTime:asc&property=segments~segmentId=={us}"
    _, page = await listed(adobe, query)
    assert page["_page"] == {"totalCount": 2, "pageSize": 1}
    ids, last = await listed(adobe, page["_links"]["next"]["href"].removeprefix("/segment/jobs"))
    assert (ids, last["_links"]) == ([c], {"next": {}})


async def test_bad_lists_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    for query, said in (
        ("?limit=0", "limit"),
        ("?start=-1", "start"),
        ("?status=DONE", "status"),
        ("?sort=size", "sort"),
        ("?sort=creationTime:up", "sort"),
        ("?property=segments", "property"),
        ("?property=name==x", "property"),
        ("?property=status==DONE", "status"),
    ):
        with subtests.test(query):
            answer = await adobe.get(JOBS + query)
            refused = await answer.json()
            assert problem(refused) == (400, "invalid_field")
            assert said in refused["detail"]


async def test_a_create_that_is_sent_again_creates_once(adobe: HttpClient):
    id = await define(adobe, "US")
    headers = {"Idempotency-Key": "once"}
    answers = [await adobe.post(JOBS, json=[{"segmentId": id}], headers=headers) for _ in range(2)]
    first, second = [await each.json() for each in answers]
    assert first == second
    assert len((await listed(adobe))[0]) == 1


async def test_an_export_job_is_no_segment_job(adobe: HttpClient, db: Connection, scope: Scope):
    job = await submit(adobe, await define(adobe, "US"))
    assert (await adobe.get(f"/data/core/ups/export/jobs/{job['computeJobId']}")).status == 404
    async with db.transaction():
        found = await JobStore(db).find(
            scope, JobId(job["computeJobId"]), kind=JobKind.SEGMENTATION
        )
    assert found.dataset_id is None
