"""Batch ingestion over HTTP: section 3 of the contract sheet, and what clients make of it."""

from __future__ import annotations

import asyncio

import pytest

from catalog.batches import NewDatasetFile
from catalog.schemas import PROFILE_UNION
from catalog.store.batches import BatchStore
from tests.builders import a_batch, a_dataset, a_loaded_batch
from tests.surfaces.client import problem
from tests.surfaces.uploading import (
    BATCHES,
    act,
    batch,
    batches,
    dataset_id,
    put,
    settings,
    stored,
)

__all__ = ["batch", "batches", "dataset_id", "settings"]


async def test_the_documented_create_call_answers_the_documented_batch(adobe, scope, dataset_id):
    answer = await adobe.post(
        BATCHES,
        json={"datasetId": dataset_id, "inputFormat": {"format": "json", "isMultiLineJson": True}},
    )
    batch = await answer.json()
    assert answer.status == 201
    assert batch["imsOrg"] == scope.organisation_id
    assert batch["status"] == "loading"
    assert batch["relatedObjects"] == [{"type": "dataSet", "id": dataset_id}]
    assert batch["inputFormat"] == {"format": "json", "isMultiLineJson": True}
    assert (batch["version"], batch["tags"]) == ("1.0.0", {})
    assert batch["createdUser"] == batch["updatedUser"] == f"client-of-{scope.organisation_id}"
    assert isinstance(batch["created"], int)
    assert batch["created"] == batch["updated"]


@pytest.mark.parametrize(
    ("asked", "format"),
    [
        ({}, {"format": "parquet"}),
        ({"inputFormat": None}, {"format": "parquet"}),
        ({"inputFormat": {}}, {"format": "parquet"}),
        ({"inputFormat": {"format": "Parquet"}}, {"format": "parquet"}),
        ({"inputFormat": {"format": "JSON"}}, {"format": "json", "isMultiLineJson": False}),
        (
            {"inputFormat": {"format": "CSV", "delimiter": ";", "escape": "\\"}},
            {"format": "csv", "delimiter": ";", "quote": '"', "escape": "\\"},
        ),
        (
            {
                "replay": None,
                "enableErrorDiagnostics": False,
                "partialIngestionPercentage": 0,
                "unheardOf": {"x": 1},
            },
            {"format": "parquet"},
        ),
    ],
)
async def test_what_asks_for_nothing_special_is_accepted(adobe, dataset_id, asked, format):
    answer = await adobe.post(BATCHES, json={"datasetId": dataset_id, **asked})
    assert answer.status == 201
    assert (await answer.json())["inputFormat"] == format


async def test_a_batch_keeps_the_callers_own_name_and_tags(adobe, dataset_id):
    asked = {"datasetId": dataset_id, "externalId": "e-1", "tags": {"a": ["b"], "c": "d"}}
    batch = await (await adobe.post(BATCHES, json=asked)).json()
    assert (batch["externalId"], batch["tags"]) == ("e-1", {"a": ["b"], "c": ["d"]})


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"replay": {"predecessors": ["${x}"], "reason": "replace"}}, "replay.predecessors"),
        (
            {"replay": {"predecessorsByExternalId": ["mine"]}},
            "replay.predecessorsByExternalId",
        ),
        ({"replay": {"predecessors": "x"}}, "replay.predecessors"),
        ({"replay": {"predecessors": ["x"] * 1001}}, "replay.predecessors"),
        ({"enableErrorDiagnostics": "yes"}, "enableErrorDiagnostics"),
        ({"partialIngestionPercentage": -1}, "partialIngestionPercentage"),
        ({"partialIngestionPercentage": 100.5}, "partialIngestionPercentage"),
        ({"partialIngestionPercentage": "many"}, "partialIngestionPercentage"),
        ({"inputFormat": {"format": "avro"}}, "inputFormat.format"),
        ({"inputFormat": {"format": 7}}, "inputFormat.format"),
        ({"inputFormat": {"format": "csv", "delimiter": "||"}}, "inputFormat.delimiter"),
        ({"inputFormat": {"format": "csv", "quote": "é"}}, "inputFormat.quote"),
        ({"inputFormat": {"format": "csv", "charset": "latin1"}}, "inputFormat.charset"),
        ({"inputFormat": {"format": "csv", "nullMarker": "NULL"}}, "inputFormat.nullMarker"),
        ({"inputFormat": {"format": "csv", "header": ["a"]}}, "inputFormat.header"),
        ({"tags": ["a"]}, "tags"),
        ({"datasetId": ""}, "datasetId"),
        ({"datasetId": None}, "datasetId"),
    ],
)
async def test_what_cannot_be_done_is_refused_by_name(adobe, db, dataset_id, asked, named):
    answer = await adobe.post(BATCHES, json={"datasetId": dataset_id, **asked})
    body = await answer.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith(f"{named}: ")
    assert await db.fetchval("SELECT count(*) FROM batches") == 0


@pytest.mark.parametrize("decorated", ["{}", "${}", "${{{}}}"])
@pytest.mark.parametrize("method", ["post", "patch"])
async def test_a_replay_names_its_predecessors_in_any_spelling(
    adobe, db, scope, dataset_id, decorated, method
):
    old = await a_loaded_batch(db, scope, dataset_id=dataset_id)
    asked = {
        "datasetId": dataset_id,
        "inputFormat": {"format": "json"},
        "replay": {"predecessors": [decorated.format(old.id)], "reason": "replace"},
    }
    answer = await getattr(adobe, method)(BATCHES, json=asked)
    assert answer.status == 201
    replay = (await answer.json())["replay"]
    assert replay == {"predecessors": [old.id], "reason": "replace"}


async def test_a_replay_by_external_id_names_every_batch_that_has_it(
    adobe, batches, db, scope, dataset_id
):
    first, second, _ = [
        await a_batch(db, scope, dataset_id=dataset_id, external_id="mine") for _ in range(3)
    ]
    for old in (first, second):
        await batches.give_up(scope, old.id, actor="test")
    asked = {
        "datasetId": dataset_id,
        "replay": {"predecessors": [second.id], "predecessorsByExternalId": ["${mine}"]},
    }
    shown = await (await adobe.post(BATCHES, json=asked)).json()
    assert shown["replay"]["predecessors"] == [second.id, first.id]


async def test_a_batch_that_is_loading_or_of_another_data_set_is_not_replaced(
    adobe, db, scope, dataset_id, batch
):
    other = await a_batch(db, scope)
    for id, expected in ((batch["id"], (409, "conflict")), (other.id, (400, "invalid_field"))):
        asked = {"datasetId": dataset_id, "replay": {"predecessors": [id]}}
        assert problem(await (await adobe.post(BATCHES, json=asked)).json()) == expected


async def test_patching_is_for_replays_alone(adobe, dataset_id):
    answer = await adobe.patch(BATCHES, json={"datasetId": dataset_id, "replay": {}})
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_batch_needs_a_data_set_of_the_caller(adobe, foreign, dataset_id):
    for client, id in ((adobe, "nothing"), (foreign, dataset_id)):
        answer = await client.post(BATCHES, json={"datasetId": id})
        assert problem(await answer.json()) == (404, "not_found")


async def test_a_data_set_on_the_union_schema_takes_no_uploads(adobe, db, scope):
    union = await a_dataset(db, scope, schema_id=PROFILE_UNION)
    answer = await adobe.post(BATCHES, json={"datasetId": union})
    body = await answer.json()
    assert problem(body) == (400, "invalid")
    assert "receives exports only" in body["detail"]


@pytest.mark.parametrize("action", ["COMPLETE", "complete", "Complete"])
async def test_completing_gives_the_batch_its_place_and_its_promotion(adobe, db, batch, action):
    await db.execute("UPDATE datasets SET is_profile_enabled = true, is_upsert = true")
    await put(adobe, batch)
    answer = await act(adobe, batch, action)
    assert answer.status == 200
    assert (await answer.json())["status"] == "loaded"
    job = await db.fetchrow(
        'SELECT kind, jobs.state, "order", request_id, batches.ingest_number FROM jobs'
        " JOIN batches ON batches.job_id = jobs.id"
    )
    assert (job["kind"], job["state"], job["ingest_number"]) == ("promotion", "queued", 1)
    assert job["order"] == {"batch_id": batch["id"], "for_profile": True, "is_upsert": True}
    assert job["request_id"] == answer.headers["x-request-id"]


async def test_an_empty_batch_can_be_completed(adobe, batch):
    shown = await (await act(adobe, batch, "COMPLETE")).json()
    assert shown["metrics"]["inputFileCount"] == 0


async def test_completing_twice_doubles_nothing_also_when_both_arrive_at_once(adobe, db, batch):
    answers = await asyncio.gather(*(act(adobe, batch, "COMPLETE") for _ in range(6)))
    answers.append(await act(adobe, batch, "COMPLETE"))
    assert [answer.status for answer in answers] == [200] * 7
    assert await db.fetchval("SELECT count(*) FROM jobs") == 1
    assert await db.fetchval("SELECT count(*) FROM batch_events") == 1
    assert await db.fetchval("SELECT max(ingest_number) FROM sandboxes") == 1


async def test_batches_are_promoted_in_the_order_in_which_they_were_completed(
    adobe, db, dataset_id
):
    opened = [
        await (await adobe.post(BATCHES, json={"datasetId": dataset_id})).json() for _ in range(6)
    ]
    await asyncio.gather(*(act(adobe, batch, "COMPLETE") for batch in opened))
    rows = await db.fetch("SELECT job_id, ingest_number FROM batches ORDER BY ingest_number")
    assert [row["ingest_number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert [row["job_id"] for row in rows] == sorted(row["job_id"] for row in rows)


async def test_a_batch_that_ended_is_still_complete_when_asked_again(adobe, db, batch):
    await act(adobe, batch, "COMPLETE")
    job_id = await db.fetchval("SELECT id FROM jobs")
    await BatchStore(db).activate(job_id, files=[], metrics={})
    answer = await act(adobe, batch, "COMPLETE")
    assert (answer.status, (await answer.json())["status"]) == (200, "success")


async def test_giving_up_a_loading_batch_closes_it(adobe, batch):
    for _ in range(2):
        answer = await act(adobe, batch, "abort")
        assert (answer.status, (await answer.json())["status"]) == (200, "aborted")
    for again in (await put(adobe, batch), await act(adobe, batch, "COMPLETE")):
        assert problem(await again.json())[0] == 409


async def test_giving_up_a_loaded_batch_cancels_its_promotion(adobe, db, batch):
    await act(adobe, batch, "COMPLETE")
    for _ in range(2):
        answer = await act(adobe, batch, "ABORT")
        assert (answer.status, (await answer.json())["status"]) == (200, "aborted")
    assert await db.fetchval("SELECT state FROM jobs") == "cancelled"
    actors = await db.fetch("SELECT actor FROM batch_events")
    assert {row["actor"] for row in actors} == {batch["createdUser"]}


async def test_giving_up_and_completing_at_once_ends_in_one_of_both(adobe, db, dataset_id):
    for _ in range(5):
        batch = await (await adobe.post(BATCHES, json={"datasetId": dataset_id})).json()
        await asyncio.gather(*(act(adobe, batch, action) for action in ("COMPLETE", "ABORT")))
        row = await db.fetchrow(
            "SELECT batches.state, jobs.state AS job_state"
            " FROM batches LEFT JOIN jobs ON jobs.id = job_id WHERE batches.id = $1",
            batch["id"],
        )
        # ABORT always succeeds: before COMPLETE, which is then refused, or after it.
        assert (row["state"], row["job_state"]) in {("aborted", None), ("aborted", "cancelled")}


async def test_an_active_batch_cannot_be_given_up(adobe, db, batch):
    await act(adobe, batch, "COMPLETE")
    file = NewDatasetFile(
        batch_id=batch["id"], name="f", key="k", size_bytes=1, row_count=1, sha256="00"
    )
    job_id = await db.fetchval("SELECT id FROM jobs")
    await BatchStore(db).activate(job_id, files=[file], metrics={})
    answer = await act(adobe, batch, "ABORT")
    body = await answer.json()
    assert problem(body) == (409, "illegal_transition")
    assert body["detail"] == f"batch {batch['id']} is active: cannot abort"


@pytest.mark.parametrize("is_completed", [False, True])
async def test_a_batch_fails_by_its_callers_word_and_its_promotion_with_it(
    adobe, db, batch, is_completed
):
    if is_completed:
        await act(adobe, batch, "COMPLETE")
    for _ in range(2):
        answer = await act(adobe, batch, "FAIL")
        shown = await answer.json()
        assert (answer.status, shown["status"]) == (200, "failed")
        assert [error["code"] for error in shown["errors"]] == ["failed_by_caller"]
    assert await db.fetch("SELECT FROM jobs WHERE state <> 'cancelled'") == []
    assert problem(await (await act(adobe, batch, "ABORT")).json()) == (409, "illegal_transition")


@pytest.mark.parametrize("action", ["REVERT", "revert"])
async def test_a_reverted_batch_is_inactive_and_lists_no_files(adobe, db, batch, action):
    await act(adobe, batch, "COMPLETE")
    file = NewDatasetFile(
        batch_id=batch["id"], name="f", key="k", size_bytes=1, row_count=1, sha256="00"
    )
    job_id = await db.fetchval("SELECT id FROM jobs")
    await BatchStore(db).activate(job_id, files=[file], metrics={})
    for _ in range(2):
        answer = await act(adobe, batch, action)
        assert (answer.status, (await answer.json())["status"]) == (200, "inactive")
    assert await db.fetchval("SELECT commit_number FROM sandboxes") == 1
    listed = await adobe.get(f"/data/foundation/export/batches/{batch['id']}/files")
    assert (await listed.json())["data"] == []
    found = await adobe.get("/data/foundation/catalog/batches?status=inactive")
    assert list(await found.json()) == [batch["id"]]
    for again in ("ABORT", "FAIL"):
        body = await (await act(adobe, batch, again)).json()
        assert problem(body) == (409, "illegal_transition")


async def test_only_an_active_batch_can_be_reverted(adobe, batch):
    for action in ("COMPLETE", "FAIL"):
        body = await (await act(adobe, batch, "REVERT")).json()
        assert problem(body) == (409, "illegal_transition")
        await act(adobe, batch, action)
    body = await (await act(adobe, batch, "REVERT")).json()
    assert body["detail"] == f"batch {batch['id']} is failed: cannot revert"


@pytest.mark.parametrize("action", ["REPLACE", "INITIALIZE", ""])
async def test_other_actions_are_refused(adobe, batch, action):
    answer = await act(adobe, batch, action)
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_another_organisation_can_do_nothing_with_a_batch(adobe, foreign, batch, settings):
    for answer in (
        await foreign.get(f"{BATCHES}/{batch['id']}"),
        await put(foreign, batch),
        await act(foreign, batch, "COMPLETE"),
        await act(foreign, batch, "ABORT"),
        await act(foreign, batch, "FAIL"),
        await act(foreign, batch, "REVERT"),
    ):
        assert problem(await answer.json()) == (404, "not_found")
    assert stored(settings) == []
    shown = await (await adobe.get(f"{BATCHES}/{batch['id']}")).json()
    assert shown == batch
