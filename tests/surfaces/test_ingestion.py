"""Batch ingestion over HTTP: section 3 of the contract sheet, and what clients make of it."""

from __future__ import annotations

import asyncio
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st
from yarl import URL

from catalog.batches import NewDatasetFile
from catalog.schemas import PROFILE_UNION
from catalog.store.batches import BatchStore
from service.settings import DataSettings, HttpSettings, Settings
from service.storage import streams
from tests.builders import a_batch, a_dataset, a_loaded_batch
from tests.surfaces.client import problem

BATCHES = "/data/foundation/import/batches"
LIMIT = 4096


@pytest.fixture
def settings(tmp_path):
    return Settings(
        data=DataSettings(data_dir=tmp_path / "data"), http=HttpSettings(upload_bytes=LIMIT)
    )


@pytest.fixture
def batches(db):
    return BatchStore(db)


@pytest.fixture
async def dataset_id(db, scope):
    return await a_dataset(db, scope)


@pytest.fixture
async def batch(adobe, dataset_id):
    answer = await adobe.post(BATCHES, json={"datasetId": dataset_id})
    assert answer.status == 201
    return await answer.json()


def file_url(batch, path="a.parquet", dataset_id=None):
    dataset_id = dataset_id or batch["relatedObjects"][0]["id"]
    return URL(f"{BATCHES}/{batch['id']}/datasets/{dataset_id}/files/{path}", encoded=True)


def put(client, batch, data=b"bytes", path="a.parquet", **asked):
    headers = {"Content-Type": "application/octet-stream", **asked.pop("headers", {})}
    return client.put(file_url(batch, path, **asked), data=data, headers=headers)


async def act(client, batch, action):
    return await client.post(f"{BATCHES}/{batch['id']}?action={action}")


def stored(settings):
    """The bytes of every file on disk, unfinished ones included."""
    found = settings.data.files_dir.rglob("*")
    return sorted(path.read_bytes() for path in found if path.is_file())


async def kept(db, batch):
    rows = await db.fetch("SELECT path, size_bytes FROM uploads WHERE batch_id = $1", batch["id"])
    return {row["path"]: row["size_bytes"] for row in rows}


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


async def test_an_upload_is_answered_with_an_empty_object(adobe, db, settings, batch):
    answer = await put(adobe, batch, b"hello")
    assert (answer.status, await answer.json()) == (200, {})
    assert await kept(db, batch) == {"a.parquet": 5}
    assert stored(settings) == [b"hello"]


@hypothesis(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=LIMIT), is_chunked=st.booleans())
async def test_any_bytes_come_back_as_they_were_sent(adobe, db, settings, batch, data, is_chunked):
    async def chunks():
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    answer = await put(adobe, batch, chunks() if is_chunked else data)
    assert answer.status == 200
    assert stored(settings) == [data]
    assert await db.fetchval("SELECT sha256 FROM uploads") == sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        ("part1=a/part2=b/x.parquet", "part1=a/part2=b/x.parquet"),
        ("part1=a%2Fx.parquet", "part1=a/x.parquet"),
        ("a%20b/%C3%BC.json", "a b/ü.json"),
        ("100%25.csv", "100%.csv"),
        ("files/files/x", "files/files/x"),
    ],
)
async def test_a_path_may_have_folders_and_any_spelling(adobe, db, batch, sent, path):
    assert (await put(adobe, batch, path=sent)).status == 200
    assert list(await kept(db, batch)) == [path]


@pytest.mark.parametrize(
    "sent", ["a/%2E%2E/b", "%2Fetc/passwd", "a//b", "a/", "a%00b", "a%0Ab", "x" * 1025]
)
async def test_a_path_that_could_lead_elsewhere_is_refused(adobe, settings, batch, sent):
    answer = await put(adobe, batch, path=sent)
    assert problem(await answer.json())[0] == 400
    assert stored(settings) == []


@pytest.mark.parametrize("media_type", ["application/json", "multipart/form-data; boundary=x"])
async def test_files_are_sent_as_bytes_and_nothing_else(adobe, settings, batch, media_type):
    answer = await put(adobe, batch, headers={"Content-Type": media_type})
    assert problem(await answer.json()) == (415, "unsupported_media")
    assert stored(settings) == []


async def test_a_missing_media_type_is_tolerated(adobe, batch):
    answer = await adobe.put(file_url(batch), data=b"bytes", skip_auto_headers=["Content-Type"])
    assert answer.status == 200


async def test_a_file_of_the_limit_is_taken_and_one_byte_more_leaves_nothing(
    adobe, db, settings, batch
):
    async def in_chunks(size):
        yield b"x" * (size - 1)
        yield b"x"

    for data in (b"x" * (LIMIT + 1), in_chunks(LIMIT + 1)):
        answer = await put(adobe, batch, data)
        assert problem(await answer.json()) == (413, "too_large")
    assert (await kept(db, batch), stored(settings)) == ({}, [])
    for data in (b"x" * LIMIT, in_chunks(LIMIT)):
        assert (await put(adobe, batch, data)).status == 200


async def test_a_repeat_replaces_the_file_and_its_bytes(adobe, db, settings, batch):
    for data in (b"one", b"three"):
        await put(adobe, batch, data)
    assert await kept(db, batch) == {"a.parquet": 5}
    assert stored(settings) == [b"three"]


async def test_repeats_that_race_leave_one_whole_file(adobe, db, settings, batch):
    sent = [str(n).encode() * 900 for n in range(5)]
    answers = await asyncio.gather(*(put(adobe, batch, data) for data in sent))
    assert [answer.status for answer in answers] == [200] * 5
    (left,) = stored(settings)
    assert left in sent
    assert await db.fetchval("SELECT sha256 FROM uploads") == sha256(left).hexdigest()


async def test_a_client_that_goes_away_leaves_nothing(
    adobe, running, db, settings, batch, monkeypatch
):
    begun, ended, store = asyncio.Event(), asyncio.Event(), streams.store

    async def watched(files, key, chunks, *, at_most):
        async def passing():
            async for chunk in chunks:
                begun.set()
                yield chunk

        try:
            return await store(files, key, passing(), at_most=at_most)
        finally:
            ended.set()

    monkeypatch.setattr(streams, "store", watched)
    _, writer = await asyncio.open_connection(running.host, running.port)
    lines = [f"{name}: {value}" for name, value in adobe.session.headers.items()]
    head = f"PUT {file_url(batch)} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n"
    writer.write((head + "\r\n".join(lines) + "\r\n\r\n").encode() + b"x" * 100)
    await begun.wait()
    writer.close()
    await ended.wait()
    assert (await kept(db, batch), stored(settings)) == ({}, [])


async def test_a_completed_batch_takes_no_more_files(adobe, settings, batch):
    await act(adobe, batch, "COMPLETE")
    answer = await put(adobe, batch)
    body = await answer.json()
    assert problem(body) == (409, "conflict")
    assert "is loaded: it takes no more files" in body["detail"]
    assert stored(settings) == []


async def test_a_file_that_arrives_while_its_batch_is_completed_is_not_kept(
    adobe, db, settings, batch
):
    begun, completed = asyncio.Event(), asyncio.Event()

    async def slowly():
        yield b"x"
        begun.set()
        await completed.wait()
        yield b"y"

    upload = asyncio.create_task(put(adobe, batch, slowly()))
    await begun.wait()
    # The head has left the client; the server may still be looking the batch up.
    assert (await act(adobe, batch, "COMPLETE")).status == 200
    completed.set()
    assert problem(await (await upload).json()) == (409, "conflict")
    assert (await kept(db, batch), stored(settings)) == ({}, [])


async def test_a_file_for_another_data_set_than_the_batchs_is_refused(adobe, db, scope, batch):
    other = await a_dataset(db, scope)
    answer = await put(adobe, batch, dataset_id=other)
    assert problem(await answer.json()) == (404, "not_found")


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
