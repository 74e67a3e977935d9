"""Export jobs and merge policies as known clients call them: sections 12 and 13 of the sheet.

Each test does what the client's own code does with an answer, not only what it sends.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.surfaces.client import HttpClient

UPS = "/data/core/ups"
JOBS = f"{UPS}/export/jobs"
POLICIES = f"{UPS}/config/mergePolicies"
PROFILE = {"name": "_xdm.context.profile"}


async def submitted(client: HttpClient, body: Any, **headers: str) -> dict[str, Any]:
    answer = await client.post(JOBS, json=body, headers=headers)
    job: dict[str, Any] = await answer.json()
    assert answer.status == 200, job
    return job


async def test_aepp_creates_follows_and_deletes_a_job(adobe: HttpClient, destination: str):
    """It always sends a version, and reads the job's id as a number."""
    definition = {
        "fields": "",
        "mergePolicy": {"id": "timestampOrdered-none-mp", "version": 1},
        "filter": {"segments": [{"segmentId": "s", "segmentNs": "ups", "status": ["realized"]}]},
        "additionalFields": {"eventList": {"fields": "", "filter": {}}},
        "destination": {"datasetId": destination, "segmentPerBatch": False},
        "schema": PROFILE,
    }
    job = await submitted(adobe, definition, Accept="application/vnd.adobe.xdm+json")
    assert isinstance(job["id"], int)
    shown = await (await adobe.get(f"{JOBS}/{job['id']}")).json()
    assert shown["destination"]["batchId"] == job["destination"]["batchId"]
    assert (await adobe.delete(f"{JOBS}/{job['id']}")).status == 200


async def test_aepp_always_sends_version_1_and_there_always_is_one(
    adobe: HttpClient, destination: str
):
    """A policy that was changed still has a version 1, so the job is made and says so."""
    made = await (await adobe.post(POLICIES, json={"name": "Ours"})).json()
    operation = [{"op": "replace", "path": "/name", "value": "Yours"}]
    await adobe.patch(f"{POLICIES}/{made['id']}", json=operation)
    body = {"destination": {"datasetId": destination}, "schema": PROFILE}
    job = await submitted(adobe, {**body, "mergePolicy": {"id": made["id"], "version": 1}})
    assert job["mergePolicy"] == {"id": made["id"], "version": 1}


async def test_aepp_walks_all_jobs_by_the_text_behind_offset(adobe: HttpClient, destination: str):
    body = {"destination": {"datasetId": destination}, "schema": PROFILE}
    ids = [(await submitted(adobe, body))["id"] for _ in range(5)]
    for status in ({}, {"status": "NEW"}):
        found, params = [], {"limit": "2", **status}
        while True:
            page = await (await adobe.get(JOBS, params=params)).json()
            found += [record["id"] for record in page["records"]]
            following = page.get("link", {}).get("next", "")
            if following == "":
                break
            params["offset"] = following.split("offset=")[1]
        assert found == ids[::-1], status
    assert (await (await adobe.get(f"{JOBS}?status=SUCEEDED")).json())["records"] == []
    page = await (await adobe.get(f"{JOBS}/?limit=100")).json()
    assert len(page["records"]) == 5


async def test_aepp_follows_merge_policies_with_limit_given_twice(adobe: HttpClient):
    for number in range(3):
        await adobe.post(POLICIES, json={"name": f"Policy {number}", "schema": PROFILE})
    page = await (await adobe.get(POLICIES, params={"limit": 2})).json()
    href = page["_links"]["next"]["href"]
    asked = urlsplit(href.removeprefix("@/mergePolicies"))
    assert parse_qs(asked.query)["start"] == ["2"]
    rest = await (await adobe.get(f"{POLICIES}?{asked.query}&limit=2")).json()
    assert len(page["children"]) + len(rest["children"]) == 3
    assert rest["_links"]["next"]["href"] == ""


async def test_the_npm_client_calls_with_its_own_request_id(adobe: HttpClient, destination: str):
    body = {"destination": {"datasetId": destination}, "schema": PROFILE}
    job = await submitted(adobe, body, **{"x-request-id": "aio-1", "x-profile-instance-id": "ups"})
    assert job["requestId"] == "aio-1"
    answer = await adobe.post(JOBS, json={}, headers={"x-request-id": "aio-2"})
    assert (answer.status, answer.headers["x-request-id"]) == (400, "aio-2")
    cancelled = await (await adobe.delete(f"{JOBS}/{job['id']}")).json()
    assert cancelled["status"] is True


async def test_the_workshop_names_no_sandbox_and_writes_bearer_small(
    adobe: HttpClient, stranger: HttpClient, destination: str
):
    """And reads the id of the data set that it was answered with in the older spelling."""
    known = adobe.session.headers
    headers = {
        "Authorization": known["Authorization"].replace("Bearer", "bearer"),
        "x-api-key": known["x-api-key"],
        "x-gw-ims-org-id": known["x-gw-ims-org-id"],
    }
    body = {
        "fields": "identities.id",
        "mergePolicy": {"id": "timestampOrdered-none-mp"},
        "destination": {"dataSetId": destination, "segmentPerBatch": False},
        "schema": PROFILE,
    }

    job = await submitted(stranger, body, **headers)
    assert job["destination"]["dataSetId"] == destination
    answer = await stranger.get(f"{JOBS}/{job['id']}", headers=headers)
    assert (await answer.json())["status"] == "NEW"


async def test_the_guides_curl_cancels_by_post_without_a_body(adobe: HttpClient, destination: str):
    job = await submitted(adobe, {"destination": {"datasetId": destination}, "schema": PROFILE})
    answer = await adobe.post(f"{JOBS}/{job['id']}")
    assert answer.status == 200
    assert (await (await adobe.get(f"{JOBS}/{job['id']}")).json())["status"] == "CANCELLED"
