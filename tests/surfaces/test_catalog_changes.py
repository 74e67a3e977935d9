"""Catalog's changes over HTTP: every way to say one, on which terms, and what erasing takes."""

from __future__ import annotations

from typing import Any

import pytest

from catalog.batches import BatchState
from catalog.jobs import JobId, JobKind, JobState
from catalog.store.batches import BatchStore
from catalog.store.jobs import JobStore
from tests.builders import a_batch, a_loaded_batch
from tests.store.test_batches import a_file
from tests.surfaces.client import HttpClient, problem
from tests.surfaces.test_batches import show as show_batch
from tests.surfaces.test_datasets import DATASETS, UNION, a_dataset, a_schema, create, show

CATALOG = "/data/foundation/catalog"
BATCHES = f"{CATALOG}/batches"
V2 = f"{CATALOG}/v2/dataSets"
EXPORTS = "/data/core/ups/export/jobs"


async def ask(client: HttpClient, method: str, path: str, **sent: Any) -> tuple[int, Any]:
    answer = await client.request(method, path, **sent)
    return answer.status, await answer.json()


async def test_put_says_a_data_set_anew(adobe):
    id = await a_dataset(adobe, description="Old", owner="amy", tags={"a": ["1"]})
    before = await show(adobe, id)
    body = {"name": "New", "schemaRef": {"id": UNION}, "version": "9.9.9", "id": "x"}
    assert await ask(adobe, "PUT", f"{DATASETS}/{id}", json=body) == (200, [f"@/dataSets/{id}"])
    after = await show(adobe, id)
    assert (after["name"], after["description"], after["version"]) == ("New", "", "1.0.1")
    assert after["tags"] == {"adobe/pqs/table": ["new"]}
    assert "owner" not in after
    assert after["created"] == before["created"]
    assert (await ask(adobe, "PUT", f"{DATASETS}/{id}", json={"name": "x"}))[0] == 400


async def test_what_was_read_can_be_put_back(adobe):
    id = await a_dataset(adobe, owner="amy", description=None)
    before = await show(adobe, id)
    assert (await ask(adobe, "PUT", f"{DATASETS}/{id}", json=before))[0] == 200
    after = await show(adobe, id)
    changed = {key for key in before if before[key] != after[key]}
    assert changed == {"version", "updated"}


@pytest.mark.parametrize(("method", "base"), [("PATCH", V2), ("POST", DATASETS)])
async def test_an_object_is_merged_at_any_depth(adobe, method, base):
    id = await a_dataset(adobe, extensions={"other": {"x": 1}})
    body = {
        "extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P3M"}}},
        "tags": {"flow": ["f"]},
    }
    assert await ask(adobe, method, f"{base}/{id}", json=body) == (200, [f"@/dataSets/{id}"])
    shown = await show(adobe, id)
    assert shown["extensions"] == {"other": {"x": 1}, **body["extensions"]}
    assert shown["tags"] == {"adobe/pqs/table": ["exports"], "flow": ["f"]}
    assert (await ask(adobe, method, f"{base}/{id}", json=[]))[0] == 400


async def test_every_spelling_of_a_path_is_served(adobe):
    id = await a_dataset(adobe)
    for path in ("v2/dataSet", "v2/DATASETS", "dataSet", "datasets"):
        status, _ = await ask(adobe, "PATCH", f"{CATALOG}/{path}/{id}/", json={"name": path})
        assert status == 200
    assert (await show(adobe, id))["name"] == "datasets"


async def test_a_change_is_refused_when_the_version_is_stale(adobe, db, scope, subtests):
    id, batch = await a_dataset(adobe), await a_batch(db, scope)
    for path, changed in (
        (f"{DATASETS}/{id}", {"name": "New"}),
        (f"{BATCHES}/{batch.id}", {"externalId": "mine"}),
    ):
        answer = await adobe.get(path)
        assert answer.headers["ETag"] == '"1.0.0"'
        assert answer.headers["E-Tag"] == "1.0.0"
        for method in ("PATCH", "PUT", "DELETE"):
            for tag in ("1.0.7", '"0.0.0"', "*x", 'W/"1.0.1", "1.0.2"'):
                with subtests.test(f"{method} {path} {tag}"):
                    status, body = await ask(
                        adobe,
                        method,
                        path,
                        headers={"If-Match": tag},
                        json={**changed, "schemaRef": {"id": UNION}}
                        if method == "PUT"
                        else changed,
                    )
                    assert (status, problem(body)) == (412, (412, "stale"))
        for number, tag in enumerate(("1.0.0", '"1.0.1"', 'W/"1.0.2"', "*", '"9", 1.0.4')):
            with subtests.test(f"{path} {tag}"):
                status, _ = await ask(adobe, "PATCH", path, headers={"If-Match": tag}, json=changed)
                assert status == 200
                assert (await adobe.get(path)).headers["E-Tag"] == f"1.0.{number + 1}"


async def test_a_trial_checks_everything_and_keeps_nothing(adobe, db, scope, subtests):
    trial = {"Pragma": "validate-only"}
    id, batch = await a_dataset(adobe), await a_batch(db, scope)
    before = await show(adobe, id), await show_batch(adobe, batch.id)
    of_union = {"name": "Tried", "schemaRef": {"id": UNION}}
    for method, path, body, answered in (
        ("POST", DATASETS, of_union, []),
        ("PATCH", f"{DATASETS}/{id}", {"name": "Tried"}, [f"@/dataSets/{id}"]),
        ("PUT", f"{DATASETS}/{id}", of_union, [f"@/dataSets/{id}"]),
        ("DELETE", f"{DATASETS}/{id}", None, [f"@/dataSets/{id}"]),
        ("POST", BATCHES, {"status": "loading", "dataSetId": batch.dataset_id}, []),
        ("PATCH", f"{BATCHES}/{batch.id}", {"tags": {"a": ["b"]}}, [f"@/batches/{batch.id}"]),
        ("PATCH", f"{BATCHES}/{batch.id}", {"status": "aborted"}, [f"@/batches/{batch.id}"]),
        ("DELETE", f"{BATCHES}/{batch.id}", None, [f"@/batches/{batch.id}"]),
    ):
        with subtests.test(f"{method} {path}"):
            assert await ask(adobe, method, path, json=body, headers=trial) == (200, answered)
    for method, path, body in (
        ("POST", DATASETS, {"schemaRef": {"id": "nothing"}}),
        ("PATCH", f"{DATASETS}/{id}", {"tags": {"unifiedProfile": "enabled:true"}}),
        ("PATCH", f"{BATCHES}/{batch.id}", {"size": 5}),
    ):
        with subtests.test(f"{method} {path} {body}"):
            assert (await ask(adobe, method, path, json=body, headers=trial))[0] == 400
    assert (await show(adobe, id), await show_batch(adobe, batch.id)) == before
    assert list(await (await adobe.get(DATASETS)).json()) == [id, batch.dataset_id]


async def test_a_batch_is_opened_in_the_catalog(adobe, subtests):
    id = await create(adobe, name="CRM", schemaRef={"id": await a_schema(adobe)})
    for naming in (
        {"dataSetId": id},
        {"datasetId": id},
        {"relatedObjects": [{"type": "dataSet", "id": id}, {"type": "batch", "id": "x"}]},
        {"dataSetId": id, "externalId": None, "tags": None, "inputFormat": None},
    ):
        with subtests.test(str(naming)):
            status, body = await ask(adobe, "POST", BATCHES, json={"status": "loading", **naming})
            (reference,) = body
            assert status == 201
            assert (await show_batch(adobe, reference.removeprefix("@/batches/")))[
                "status"
            ] == "loading"
    for body, said in (
        ({"dataSetId": id}, "status"),
        ({"status": "success", "dataSetId": id}, "status"),
        ({"status": "loading"}, "dataSetId"),
        ({"status": "loading", "dataSetId": id, "relatedObjects": [{"type": "dataSet", "id": "x"}]},
         "dataSetId"),
    ):  # fmt: skip
        with subtests.test(f"{body}"):
            status, refused = await ask(adobe, "POST", BATCHES, json=body)
            assert status == 400
            assert refused["detail"].startswith(said)


async def test_words_of_a_batch_are_changed(adobe, db, scope):
    batch = await a_batch(db, scope, external_id="old", tags={"a": ["1"]})
    path = f"{BATCHES}/{batch.id}"
    for method, body, external_id, tags in (
        ("PATCH", {"tags": {"b": ["2"]}}, "old", {"a": ["1"], "b": ["2"]}),
        ("PATCH", [{"op": "replace", "path": "/externalId", "value": "new"}], "new",
         {"a": ["1"], "b": ["2"]}),
        ("PATCH", {"externalId": None, "tags": {"a": None}}, None, {"b": ["2"]}),
        ("PUT", {"tags": {"c": "3"}, "size": 17}, None, {"c": ["3"]}),
        ("PUT", {"externalId": "last", "status": "loading"}, "last", {}),
    ):  # fmt: skip
        assert await ask(adobe, method, path, json=body) == (200, [f"@/batches/{batch.id}"])
        shown = await show_batch(adobe, batch.id)
        assert (shown.get("externalId"), shown["tags"]) == (external_id, tags)
    assert shown["version"] == "1.0.5"
    assert shown["updatedUser"].startswith("client-of-")
    for body, said in (
        ({"size": 5}, "size"),
        ({"colour": "red"}, "colour"),
        ([{"op": "remove", "path": "/created"}], "created"),
        ({"externalId": 5}, "externalId"),
        ({"tags": {"a": 5}}, "tags.a"),
        ({"status": "success"}, "status"),
        ({"status": "wonderful"}, "status"),
        ({"status": "aborted", "externalId": "x"}, "status"),
    ):
        status, refused = await ask(adobe, "PATCH", path, json=body)
        assert (status, refused["detail"].partition(":")[0]) == (400, said)
    assert await show_batch(adobe, batch.id) == shown


async def test_a_status_is_changed_as_ingestion_would(adobe, db, scope):
    active = await a_loaded_batch(db, scope)
    await BatchStore(db).activate(active.job_id, files=[], metrics={})
    for batch_id, status, then in (
        ((await a_batch(db, scope)).id, "aborted", "aborted"),
        ((await a_batch(db, scope)).id, "FAILURE", "failed"),
        ((await a_loaded_batch(db, scope)).id, "failed", "failed"),
        ((await a_batch(db, scope)).id, "loaded", "loaded"),
        (active.id, "active", "success"),
        (active.id, "inactive", "inactive"),
    ):
        body = [{"op": "replace", "path": "/status", "value": status}]
        assert (await ask(adobe, "PATCH", f"{BATCHES}/{batch_id}", json=body))[0] == 200
        assert (await show_batch(adobe, batch_id))["status"] == then
    status, refused = await ask(adobe, "PATCH", f"{BATCHES}/{active.id}", json={"status": "loaded"})
    assert (status, problem(refused)) == (409, (409, "illegal_transition"))


async def an_export(adobe: HttpClient, dataset_id: str) -> JobId:
    body = {"destination": {"datasetId": dataset_id}, "schema": {"name": "_xdm.context.profile"}}
    status, job = await ask(adobe, "POST", EXPORTS, json=body)
    assert status == 200
    return JobId(job["id"])


async def with_rows(db, scope, batch) -> None:
    """Let a batch have brought a file to the profile store, as its promotion would."""
    await db.execute(
        "WITH next AS (UPDATE sandboxes SET commit_number = commit_number + 1 WHERE id = $1"
        " RETURNING commit_number) INSERT INTO store_files (sandbox_id, organisation_id,"
        " dataset_id, batch_id, kind, key, size_bytes, row_count, is_upsert, ingest_number,"
        " ingested_at, added) SELECT $1, $2, $3, $4, 'records', $4, 1, 1, false, 1, now(),"
        " commit_number FROM next",
        scope.sandbox_id,
        scope.organisation_id,
        batch.dataset_id,
        batch.id,
    )
    await db.execute(
        "UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE id = $1", batch.job_id
    )
    await BatchStore(db).activate(batch.job_id, files=[], metrics={})


async def test_deleting_a_data_set_erases_it_and_stops_what_reads_it(adobe, foreign, db, scope):
    active, other = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    target = await a_dataset(adobe)
    before = await an_export(adobe, target)
    await with_rows(db, scope, active)
    after = await an_export(adobe, target)
    waiting = await a_loaded_batch(db, scope, dataset_id=active.dataset_id)
    path = f"{DATASETS}/{active.dataset_id}"
    assert (await ask(foreign, "DELETE", path))[0] == 404
    assert await ask(adobe, "DELETE", path) == (200, [f"@/dataSets/{active.dataset_id}"])

    for gone in (
        path,
        f"{BATCHES}/{active.id}",
        f"{BATCHES}/{waiting.id}",
        f"/data/foundation/export/batches/{active.id}/files",
        f"/data/foundation/export/datasets/{active.dataset_id}/preview",
    ):
        assert (await ask(adobe, "GET", gone))[0] == 404
    assert (await ask(adobe, "DELETE", path))[0] == 404
    assert list(await (await adobe.get(DATASETS)).json()) == [other.dataset_id, target]
    body = {"datasetId": active.dataset_id, "inputFormat": {"format": "json"}}
    assert (await ask(adobe, "POST", "/data/foundation/import/batches", json=body))[0] == 404

    jobs = JobStore(db)
    assert (await jobs.find(scope, before, kind=JobKind.EXPORT)).state is JobState.QUEUED
    stopped = await jobs.find(scope, after, kind=JobKind.EXPORT)
    assert stopped.state is JobState.CANCELLED
    assert [error.code for error in stopped.errors] == ["dataset_deleted"]
    assert active.dataset_id in stopped.errors[0].message
    promotion = await jobs.find(scope, waiting.job_id, kind=JobKind.PROMOTION)
    assert promotion.state is JobState.CANCELLED
    assert (await BatchStore(db).of_job(after))[0].state is BatchState.ABORTED
    rows = await db.fetch(
        "SELECT state, deleted_at IS NOT NULL AS is_deleted FROM batches WHERE dataset_id = $1"
        " ORDER BY state",
        active.dataset_id,
    )
    assert [tuple(row) for row in rows] == [("aborted", True), ("inactive", True)]
    removed = await db.fetchval("SELECT removed FROM store_files WHERE batch_id = $1", active.id)
    assert removed == await db.fetchval("SELECT commit_number FROM sandboxes WHERE id = $1",
                                        scope.sandbox_id)  # fmt: skip


async def test_deleting_the_target_of_an_export_stops_the_export(adobe, db, scope):
    target = await a_dataset(adobe)
    job_id = await an_export(adobe, target)
    assert (await ask(adobe, "DELETE", f"{DATASETS}/{target}"))[0] == 200
    job = await JobStore(db).find(scope, job_id, kind=JobKind.EXPORT)
    assert job.state is JobState.CANCELLED
    status, shown = await ask(adobe, "GET", f"{EXPORTS}/{job_id}")
    assert (status, shown["errors"][0]["code"]) == (200, "dataset_deleted")


async def test_deleting_a_batch_erases_it_where_reverting_would_not(adobe, db, scope):
    kept, erased = await a_loaded_batch(db, scope), await a_loaded_batch(db, scope)
    await with_rows(db, scope, kept)
    first = await an_export(adobe, await a_dataset(adobe))
    await with_rows(db, scope, erased)
    second = await an_export(adobe, await a_dataset(adobe))
    status, _ = await ask(adobe, "POST", f"/data/foundation/import/batches/{kept.id}?action=REVERT")
    assert status == 200
    assert (await ask(adobe, "DELETE", f"{BATCHES}/{erased.id}"))[0] == 200
    jobs = JobStore(db)
    assert (await jobs.find(scope, first, kind=JobKind.EXPORT)).state is JobState.QUEUED
    stopped = await jobs.find(scope, second, kind=JobKind.EXPORT)
    assert (stopped.state, stopped.errors[0].code) == (JobState.CANCELLED, "batch_deleted")
    assert (await ask(adobe, "GET", f"{BATCHES}/{erased.id}"))[0] == 404
    assert (await ask(adobe, "GET", f"{DATASETS}/{erased.dataset_id}"))[0] == 200
    (exported,) = await BatchStore(db).of_job(first)
    status, refused = await ask(adobe, "DELETE", f"{BATCHES}/{exported.id}")
    assert (status, problem(refused)) == (409, (409, "conflict"))


async def test_files_are_listed_by_data_set_and_by_view(adobe, foreign, db, scope):
    batch = await a_loaded_batch(db, scope)
    files = [a_file(batch.id, "x.parquet"), a_file(batch.id, "y.parquet", row_count=5)]
    await BatchStore(db).activate(batch.job_id, files=files, metrics={})
    shown = await show(adobe, batch.dataset_id)
    reference = shown["files"].removeprefix("@")
    status, listed = await ask(adobe, "GET", CATALOG + reference)
    assert status == 200
    first = listed[f"{batch.id}-1"]
    assert list(listed) == [f"{batch.id}-1", f"{batch.id}-2"]
    assert first == {
        "id": f"{batch.id}-1",
        "batchId": batch.id,
        "dataSetId": batch.dataset_id,
        "dataSetViewId": shown["viewId"],
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "createdUser": "test",
        "createdClient": "test",
        "updatedUser": "test",
        "version": "1.0.0",
        "created": first["created"],
        "updated": first["created"],
        "isValid": True,
        "records": 3,
        "size": 10,
    }
    for query, count in (
        ("", 2),
        (f"dataSetId={batch.dataset_id}&limit=1", 1),
        (f"batch={batch.id}&start=1", 1),
        ("batch=nothing", 0),
        ("property=records>3", 1),
        ("orderBy=desc:records&properties=id", 2),
    ):
        _, found = await ask(adobe, "GET", f"{CATALOG}/dataSetFiles?{query}")
        assert len(found) == count
    assert await ask(foreign, "GET", f"{CATALOG}/dataSetFiles") == (200, {})
    for client, path in (
        (foreign, reference),
        (adobe, f"/dataSets/{batch.dataset_id}/views/x/files"),
    ):
        assert (await ask(client, "GET", CATALOG + path))[0] == 404
    assert (await ask(adobe, "GET", f"{CATALOG}/dataSetFiles?colour=x"))[0] == 400


async def test_the_last_batches_of_data_sets_are_listed(adobe, foreign, db, scope):
    first, second = await a_loaded_batch(db, scope), await a_batch(db, scope)
    await BatchStore(db).activate(first.job_id, files=[], metrics={})
    await a_dataset(adobe)
    status, listed = await ask(adobe, "GET", f"{CATALOG}/lastBatches")
    assert (status, list(listed)) == (200, [first.dataset_id, second.dataset_id])
    shown = listed[first.dataset_id]
    assert shown == {
        "lastBatchId": first.id,
        "lastBatchStatus": "success",
        "lastSuccessfulBatchId": first.id,
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "created": shown["created"],
        "updated": shown["updated"],
    }
    for query, ids in (
        (f"dataSetId={second.dataset_id}", [second.dataset_id]),
        ("lastBatchStatus=success", [first.dataset_id]),
        ("limit=1&orderBy=desc:created", [second.dataset_id]),
    ):
        _, found = await ask(adobe, "GET", f"{CATALOG}/lastBatches?{query}")
        assert list(found) == ids
    assert await ask(foreign, "GET", f"{CATALOG}/lastBatches") == (200, {})
