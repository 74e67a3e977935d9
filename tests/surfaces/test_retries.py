"""Creates that are sent again: nothing is made twice, and nothing is left of what failed."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from catalog.schemas import PROFILE_CLASS, PROFILE_UNION
from catalog.store.database import Connection
from service.surfaces.adobe.wire import export_jobs as wire
from tests.surfaces.client import HttpClient, problem

JOBS = "/data/core/ups/export/jobs"
DATASETS = "/data/foundation/catalog/dataSets"
REGISTRY = "/data/foundation/schemaregistry/tenant"


def a_job(destination: str, **more: Any) -> dict[str, Any]:
    body = {"destination": {"datasetId": destination}, "schema": {"name": "_xdm.context.profile"}}
    return {**body, **more}


async def sent(client: HttpClient, path: str, body: Any, key: str = "k-1") -> tuple[int, Any]:
    answer = await client.post(path, json=body, headers={"Idempotency-Key": key})
    return answer.status, await answer.json()


async def test_a_job_that_is_asked_for_again_is_the_same_job(
    adobe: HttpClient, destination: str, db: Connection
):
    body = a_job(destination)
    first = await adobe.post(JOBS, json=body, headers={"Idempotency-Key": "nightly"})
    await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now()")
    again = await adobe.post(JOBS, json=body, headers={"Idempotency-Key": "nightly"})
    assert (first.status, again.status) == (200, 200)
    assert await first.read() == await again.read()
    assert first.headers["X-Location"] == again.headers["X-Location"]
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert first.headers["x-request-id"] != again.headers["x-request-id"]
    assert await db.fetchval("SELECT count(*) FROM jobs") == 1
    assert await db.fetchval("SELECT count(*) FROM batches") == 1


async def test_without_a_key_or_with_another_one_it_is_another_job(
    adobe: HttpClient, destination: str, db: Connection
):
    for key in ("a", "b"):
        assert (await sent(adobe, JOBS, a_job(destination), key))[0] == 200
    for _ in range(2):
        assert (await adobe.post(JOBS, json=a_job(destination))).status == 200
    assert await db.fetchval("SELECT count(*) FROM jobs") == 4


async def test_a_key_that_comes_with_another_request_is_refused(
    adobe: HttpClient, destination: str, db: Connection
):
    await sent(adobe, JOBS, a_job(destination))
    status, body = await sent(adobe, JOBS, a_job(destination, fields="_id"))
    assert status == 422
    assert problem(body) == (422, "key_reused")
    assert await db.fetchval("SELECT count(*) FROM jobs") == 1


async def test_a_key_counts_for_one_operation_of_one_sandbox(
    adobe: HttpClient, foreign: HttpClient
):
    for client, path, body in (
        (adobe, DATASETS, {"name": "a", "schemaRef": {"id": PROFILE_UNION}}),
        (adobe, "/data/core/ups/config/mergePolicies", {"name": "a"}),
        (foreign, DATASETS, {"name": "b", "schemaRef": {"id": PROFILE_UNION}}),
    ):
        assert (await sent(client, path, body))[0] in {200, 201}


async def test_every_create_takes_a_key(adobe: HttpClient, subtests: pytest.Subtests):
    status, schema = await sent(
        adobe, f"{REGISTRY}/schemas", {"title": "CRM", "allOf": [{"$ref": PROFILE_CLASS}]}
    )
    assert status == 201
    dataset = {"name": "CRM", "schemaRef": {"id": schema["$id"]}}
    _, (reference,) = await sent(adobe, DATASETS, dataset)
    descriptor = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema["$id"],
        "xdm:sourceProperty": "/_id",
        "xdm:namespace": "crmId",
    }
    dataset_id = reference.rpartition("/")[2]
    for path, body in (
        (f"{REGISTRY}/schemas", {"title": "CRM", "allOf": [{"$ref": PROFILE_CLASS}]}),
        (f"{REGISTRY}/descriptors", descriptor),
        (DATASETS, dataset),
        ("/data/foundation/import/batches", {"datasetId": dataset_id}),
        ("/data/core/ups/config/mergePolicies", {"name": "All"}),
        (
            "/data/core/idnamespace/identities",
            {"code": "Loyal", "name": "Loyal", "idType": "CROSS_DEVICE"},
        ),
    ):
        with subtests.test(path):
            first, again = [await sent(adobe, path, body) for _ in range(2)]
            assert first[0] in {200, 201}, first
            assert first == again


async def test_of_many_at_once_one_makes_the_job_and_all_are_answered_alike(
    adobe: HttpClient, destination: str, db: Connection
):
    answers = await asyncio.gather(*(sent(adobe, JOBS, a_job(destination)) for _ in range(6)))
    assert {status for status, _ in answers} == {200}
    assert len({body["id"] for _, body in answers}) == 1
    assert await db.fetchval("SELECT count(*) FROM jobs") == 1


async def test_what_was_refused_is_not_kept(adobe: HttpClient, destination: str, db: Connection):
    status, _ = await sent(adobe, JOBS, a_job("nosuch"))
    assert status == 400
    assert (await sent(adobe, JOBS, a_job(destination)))[0] == 200
    assert await db.fetchval("SELECT count(*) FROM kept_answers") == 1


async def test_after_a_day_a_key_is_free_again(adobe: HttpClient, destination: str, db: Connection):
    _, first = await sent(adobe, JOBS, a_job(destination))
    lasts = await db.fetchval("SELECT expires_at - created_at FROM kept_answers")
    assert lasts.total_seconds() == 24 * 60 * 60
    await db.execute("UPDATE kept_answers SET expires_at = now()")
    status, second = await sent(adobe, JOBS, a_job(destination, fields="_id"))
    assert (status, second["id"] != first["id"]) == (200, True)
    assert (await sent(adobe, JOBS, a_job(destination, fields="_id")))[1] == second


@pytest.mark.parametrize("key", ["", " ", "k" * 256, "clé"])
async def test_a_key_is_a_short_printable_text(adobe: HttpClient, destination: str, key: str):
    status, body = await sent(adobe, JOBS, a_job(destination), key)
    assert problem(body) == (400, "invalid_field"), status


@pytest.mark.parametrize("headers", [{}, {"Idempotency-Key": "k"}])
async def test_a_failure_after_the_job_was_made_leaves_no_job(
    adobe: HttpClient,
    destination: str,
    db: Connection,
    monkeypatch: pytest.MonkeyPatch,
    headers: dict[str, str],
):
    """A client sends a create again after a 500: it must not get two."""
    with monkeypatch.context() as broken:
        broken.setattr(wire, "job", lambda _: 1 / 0)
        answer = await adobe.post(JOBS, json=a_job(destination), headers=headers)
        assert answer.status == 500
    for table in ("jobs", "batches", "kept_answers", "audit_entries"):
        assert await db.fetchval(f"SELECT count(*) FROM {table}") == 0, table  # noqa: S608
    answer = await adobe.post(JOBS, json=a_job(destination), headers=headers)
    assert answer.status == 200
