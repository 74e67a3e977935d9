import pytest

from catalog.jobs import JobEvent, JobId, JobKind, JobState, WorkerId
from catalog.schemas import PROFILE_CLASS, PROFILE_UNION
from catalog.store.jobs import JobStore
from catalog.store.schemas import SchemaStore
from service.surfaces.adobe.wire import export_jobs as wire
from tests.builders import LEASE, a_dataset
from tests.surfaces.client import problem

JOBS = "/data/core/ups/export/jobs"

SCHEMA = {
    "title": "Customers",
    "type": "object",
    "meta:immutableTags": ["union"],
    "allOf": [
        {"$ref": PROFILE_CLASS},
        {
            "type": "object",
            "properties": {
                "personalEmail": {
                    "type": "object",
                    "properties": {"address": {"type": "string"}},
                }
            },
        },
    ],
}


@pytest.fixture
async def destination(db, scope):
    async with db.transaction():
        await SchemaStore(db).add(scope, SCHEMA, actor="test")
    return await a_dataset(db, scope, schema_id=PROFILE_UNION)


def documented(dataset_id, **more):
    """The published create call, without its segment filter."""
    return {
        "fields": "identities.id, personalEmail.address",
        "mergePolicy": {"id": "timestampOrdered-none-mp", "version": 1},
        "additionalFields": {
            "eventList": {
                "fields": "_id,timestamp",
                "filter": {"fromIngestTimestamp": "2018-10-25T13:22:04-07:00"},
            }
        },
        "destination": {"datasetId": dataset_id},
        "schema": {"name": "_xdm.context.profile"},
        **more,
    }


async def submitted(adobe, dataset_id, **more):
    answer = await adobe.post(JOBS, json=documented(dataset_id, **more))
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def test_the_documented_create_call_is_answered_in_its_shape(adobe, destination, scope):
    answer = await adobe.post(
        JOBS, json=documented(destination), headers={"x-profile-instance-id": "ups"}
    )
    assert answer.status == 200
    job = await answer.json()
    assert answer.headers["X-Location"] == f"{JOBS}/{job['id']}"
    assert isinstance(job["id"], int)
    assert isinstance(job.pop("creationTime"), int)
    assert isinstance(job.pop("updateTime"), int)
    assert len(job["destination"].pop("batchId")) > 8
    assert list(job.pop("metrics")) == ["totalTime"]
    assert job == {
        "id": job["id"],
        "jobType": "BATCH",
        "profileInstanceId": "ups",
        "status": "NEW",
        "schema": {"name": "_xdm.context.profile"},
        "fields": "identities.id, personalEmail.address",
        "mergePolicy": {"id": "timestampOrdered-none-mp", "version": 1},
        "additionalFields": {
            "eventList": {
                "fields": "_id,timestamp",
                "filter": {"fromIngestTimestamp": "2018-10-25T13:22:04-07:00"},
            }
        },
        "destination": {
            "datasetId": destination,
            "dataSetId": destination,
            "segmentPerBatch": False,
        },
        "computeGatewayJobId": {},
        "errors": [],
        "imsOrgId": scope.organisation_id,
        "requestId": answer.headers["x-request-id"],
    }


async def test_either_spelling_of_the_data_set_is_taken_and_unknown_keys_are_echoed(
    adobe, destination
):
    job = await submitted(
        adobe, destination, destination={"dataSetId": destination}, createdBy={"userId": "amy"}
    )
    assert job["destination"]["datasetId"] == destination
    assert job["createdBy"] == {"userId": "amy"}


async def test_the_smallest_request_exports_every_field_unmerged(adobe, destination, db):
    body = {"destination": {"datasetId": destination}, "schema": {"name": "_xdm.context.profile"}}
    answer = await adobe.post(JOBS, json=body)
    job = await answer.json()
    assert (answer.status, job["mergePolicy"]) == (200, {})
    selection = await db.fetchval('SELECT "order" -> $1 FROM jobs', "selection")
    assert selection["identity_graph"] == "none"
    assert (selection["fields"], selection["events"]) == ([], None)


POLICIES = "/data/core/ups/config/mergePolicies"


async def test_a_job_is_pinned_to_the_version_of_a_policy_that_was_asked_for(
    adobe, destination, db
):
    made = await (await adobe.post(POLICIES, json={"name": "Ours"})).json()
    graph = {"op": "add", "path": "/identityGraph.type", "value": "pdg"}
    await adobe.patch(f"{POLICIES}/{made['id']}", json=graph)

    async def pinned(policy):
        job = await submitted(adobe, destination, mergePolicy=policy)
        selection = await db.fetchval(
            'SELECT "order" -> $1 FROM jobs ORDER BY id DESC', "selection"
        )
        return job["mergePolicy"].get("version"), selection["identity_graph"]

    assert await pinned({"id": made["id"], "version": 1}) == (1, "none")
    assert await pinned({"id": made["id"], "version": 2}) == (2, "pdg")
    assert await pinned({"id": made["id"]}) == (2, "pdg")
    assert await pinned({"version": 1}) == (None, "none")
    await adobe.patch(
        f"{POLICIES}/{made['id']}", json={"op": "add", "path": "/default", "value": "true"}
    )
    assert await pinned({}) == (3, "pdg")
    assert await pinned({"version": 1}) == (1, "none")
    answer = await adobe.post(
        JOBS, json=documented(destination, mergePolicy={"id": made["id"], "version": 9})
    )
    body = await answer.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith("mergePolicy.version: ")
    assert "the newest is 3" in body["detail"]


async def test_an_explicit_null_is_an_absent_key(adobe, destination, db):
    nothing = {
        "fields": None,
        "mergePolicy": {"id": None, "version": None},
        "filter": {
            "segments": None,
            "segmentQualificationTime": {"startTime": None},
            "emptyProfiles": None,
        },
        "additionalFields": {"eventList": None},
        "evaluationInfo": None,
        "destination": {"datasetId": destination, "dataSetId": None, "segmentPerBatch": None},
        "schema": {"name": "_xdm.context.profile"},
        "createdBy": None,
    }
    answer = await adobe.post(JOBS, json=nothing)
    job = await answer.json()
    assert answer.status == 200, job
    assert "createdBy" not in job
    assert "fields" not in job
    bare = {"destination": {"datasetId": destination}, "schema": {"name": "_xdm.context.profile"}}
    await adobe.post(JOBS, json=bare)
    selections = await db.fetch('SELECT DISTINCT "order" -> $1 FROM jobs', "selection")
    assert len(selections) == 1


async def test_a_filter_by_segments_is_understood_in_every_documented_form(adobe, destination, db):
    segments = [
        {"segmentId": "a"},
        {"segmentId": "b", "segmentNs": "AAM", "status": "exiting"},
        {"segmentId": "c", "segmentNs": None, "status": ["Realized", "existing", "realized"]},
        {"segmentId": "d", "segmentNs": "", "status": [], "extra": 1},
    ]
    time = {"startTime": "2018-11-25T13:22:04-07:00", "endTime": "2018-11-26T00:00:00Z"}
    job = await submitted(
        adobe, destination, filter={"segments": segments, "segmentQualificationTime": time}
    )
    assert job["destination"]["segmentPerBatch"] is False
    selection = await db.fetchval('SELECT "order" -> $1 FROM jobs', "selection")
    members = ["realized", "existing"]
    assert selection["segments"] == {
        "choices": [
            {"segment_id": "a", "namespace": "ups", "statuses": members},
            {"segment_id": "b", "namespace": "AAM", "statuses": ["exited"]},
            {"segment_id": "c", "namespace": "ups", "statuses": members},
            {"segment_id": "d", "namespace": "ups", "statuses": members},
        ],
        "qualified_from": "2018-11-25T13:22:04-07:00",
        "qualified_until": "2018-11-26T00:00:00Z",
        "is_split": False,
    }


async def test_a_batch_per_segment_needs_segments(adobe, destination):
    body = documented(destination, destination={"datasetId": destination, "segmentPerBatch": True})
    answer = await adobe.post(JOBS, json=body)
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_there_is_nothing_to_evaluate_first(adobe, destination):
    job = await submitted(adobe, destination, evaluationInfo={"segmentation": True})
    assert job["evaluationInfo"] == {"segmentation": True}


async def test_a_running_job_tells_how_far_it_is(adobe, destination, db):
    job = await submitted(adobe, destination)
    claimed = await JobStore(db).claim_next(WorkerId("w"), lease=LEASE)
    assert claimed is not None
    shown = await (await adobe.get(f"{JOBS}/{job['id']}")).json()
    assert shown["metrics"]["progress"] == {"percent": 0.0, "profiles": 0, "bytes": 0}
    told = {"phase": "merging", "done": 3, "total": 8, "profiles": 70, "bytes": 9}
    found = {**told, "percent": 37.5, "estimated_end_ms": 1_700_000_000_000}
    assert await JobStore(db).renew(claimed, lease=LEASE, progress=found)
    shown = await (await adobe.get(f"{JOBS}/{job['id']}")).json()
    assert shown["metrics"]["progress"] == {
        "phase": "merging",
        "percent": 37.5,
        "profiles": 70,
        "bytes": 9,
        "estimatedEndTimeInMs": 1_700_000_000_000,
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schema": {"name": "_xdm.context.experienceevent"}}, "schema.name"),
        ({"schema": None}, "schema"),
        ({"schema": {}}, "schema.name"),
        ({"destination": {}}, "destination.datasetId"),
        ({"destination": {"datasetId": "nosuch"}}, "destination.datasetId"),
        ({"mergePolicy": {"id": "nosuch"}}, "mergePolicy.id"),
        ({"fields": "personalEmail.adress"}, "fields"),
        ({"fields": 7}, "fields"),
        ({"filter": {"fromIngestTimestamp": "yesterday"}}, "filter.fromIngestTimestamp"),
        ({"filter": {"segments": [{"segmentNs": "ups"}]}}, "filter.segments.0.segmentId"),
        ({"filter": {"segments": [{"segmentId": ""}]}}, "filter.segments.0.segmentId"),
        ({"filter": {"segments": {"segmentId": "s"}}}, "filter.segments"),
        (
            {"filter": {"segments": [{"segmentId": "s", "status": ["gone"]}]}},
            "filter.segments.0.status.0",
        ),
        (
            {"filter": {"segmentQualificationTime": {"startTime": "2026-01-01T00:00:00Z"}}},
            "filter.segmentQualificationTime",
        ),
        (
            {"filter": {"segmentQualificationTime": {"endTime": 1}}},
            "filter.segmentQualificationTime.endTime",
        ),
        ({"mergePolicy": {"id": "timestampOrdered-none-mp", "version": 2}}, "mergePolicy.version"),
        ({"mergePolicy": {"version": "1"}}, "mergePolicy.version"),
        (
            {"additionalFields": {"eventList": {"fields": "nosuch"}}},
            "additionalFields.eventList.fields",
        ),
    ],
)
async def test_a_bad_request_names_the_field_and_leaves_nothing(
    adobe, destination, db, change, field
):
    answer = await adobe.post(JOBS, json={**documented(destination), **change})
    body = await answer.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith(f"{field}: ")
    assert await db.fetchval("SELECT count(*) FROM jobs") == 0
    assert await db.fetchval("SELECT count(*) FROM batches") == 0


async def test_the_published_sample_with_its_missing_comma_is_a_bad_request(adobe):
    answer = await adobe.post(JOBS, data=b'{"fields": "a" "destination": {}}')
    assert problem(await answer.json())[0] == 400


async def test_only_data_sets_on_the_union_schema_receive_exports(adobe, db, scope, destination):
    other = await a_dataset(db, scope)
    answer = await adobe.post(
        JOBS, json={**documented(destination), "destination": {"datasetId": other}}
    )
    assert answer.status == 400
    assert PROFILE_UNION in (await answer.json())["detail"]


async def test_a_list_walks_from_page_to_page_by_its_own_links(adobe, destination):
    ids = [(await submitted(adobe, destination))["id"] for _ in range(5)]
    seen, link = [], "/export/jobs/?limit=2"
    while link:
        page = await (await adobe.get("/data/core/ups" + link)).json()
        seen += [job["id"] for job in page["records"]]
        last = page["records"][-1]
        assert page["page"] == {
            "sortField": "createdTime",
            "sort": "desc",
            "pageOffset": f"{last['creationTime']}_{last['id']}",
            "pageSize": len(page["records"]),
        }
        link = page["link"]["next"]
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "sort=updateTime:asc",
        "sort=status:desc",
        "sort=id:asc",
        "status=NEW",
        "sort=status:asc&status=NEW",
    ],
)
async def test_links_keep_to_what_was_asked(adobe, destination, query):
    ids = [(await submitted(adobe, destination))["id"] for _ in range(5)]
    await adobe.delete(f"{JOBS}/{ids[1]}")
    whole = await (await adobe.get(f"{JOBS}?{query}")).json()
    seen, link = [], f"/export/jobs/?{query}&limit=2"
    while link:
        page = await (await adobe.get("/data/core/ups" + link)).json()
        seen += [job["id"] for job in page["records"]]
        link = page["link"]["next"]
        # One known client takes everything behind the last of these words for the cursor.
        assert not link or link.rpartition("offset=")[2] == page["page"]["pageOffset"]
    assert seen == [job["id"] for job in whole["records"]]


async def test_a_list_skips_filters_and_sorts(adobe, destination):
    ids = [(await submitted(adobe, destination))["id"] for _ in range(3)]
    await adobe.delete(f"{JOBS}/{ids[1]}")

    async def listed(query):
        answer = await adobe.get(f"{JOBS}?{query}")
        assert answer.status == 200, await answer.text()
        return [job["id"] for job in (await answer.json())["records"]]

    assert await listed("start=1") == ids[1::-1]
    assert await listed("offset=2") == ids[:1]
    assert await listed("page=1&limit=2") == ids[:1]
    assert await listed("sort=creationTime:asc") == ids
    assert await listed("sort=updateTime:asc") == [ids[0], ids[2], ids[1]]
    assert await listed("sort=id:asc") == ids
    assert await listed("sort=status:desc&limit=2") == [ids[2], ids[0]]
    assert await listed("status=CANCELLED") == [ids[1]]
    assert await listed("status=NEW") == [ids[2], ids[0]]
    assert await listed("status=SUCEEDED") == []
    assert await listed("limit=1&limit=2") == ids[:0:-1]


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=1001", "limit=x", "start=-1", "offset=x", "status=DONE", "sort=size"],
)
async def test_a_list_call_that_makes_no_sense_is_refused(adobe, query):
    answer = await adobe.get(f"{JOBS}?{query}")
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_job_is_cancelled_once_and_for_all(adobe, destination, db):
    job = await submitted(adobe, destination)
    for call in (adobe.delete, adobe.delete, adobe.post):
        answer = await call(f"{JOBS}/{job['id']}")
        assert answer.status == 200
        assert await answer.json() == {
            "status": True,
            "message": "Export job has been marked for cancelling",
        }
    shown = await (await adobe.get(f"{JOBS}/{job['id']}")).json()
    assert (shown["status"], shown["destination"]["batchId"]) == ("CANCELLED", "")
    assert await db.fetchval("SELECT state FROM batches") == "aborted"


async def test_a_finished_job_cannot_be_cancelled(adobe, destination, db):
    job = await submitted(adobe, destination)
    claimed = await JobStore(db).claim_next(WorkerId("w"), lease=LEASE)
    assert claimed is not None
    await JobStore(db).move(claimed, JobEvent.COMPLETE, actor="w", metrics=COUNTED)
    answer = await adobe.delete(f"{JOBS}/{job['id']}")
    body = await answer.json()
    assert problem(body) == (409, "illegal_transition")
    assert "is succeeded: cannot cancel" in body["detail"]


COUNTED = {
    "counters": {"profiles": 3, "events": 2, "excluded": 1, "shortened": 4, "namespace:Email": 2},
    "export_started_ms": 100,
    "export_finished_ms": 150,
    "write_started_ms": 150,
    "write_finished_ms": 152,
}


async def test_a_job_that_succeeded_tells_its_times_and_counts(adobe, destination, db):
    job = await submitted(adobe, destination)
    claimed = await JobStore(db).claim_next(WorkerId("w"), lease=LEASE)
    assert claimed is not None
    running = await (await adobe.get(f"{JOBS}/{job['id']}")).json()
    assert running["status"] == "PROCESSING"
    await JobStore(db).move(claimed, JobEvent.COMPLETE, actor="w", metrics=COUNTED)
    metrics = (await (await adobe.get(f"{JOBS}/{job['id']}")).json())["metrics"]
    total = metrics.pop("totalTime")
    assert total["totalTimeInMs"] == total["endTimeInMs"] - total["startTimeInMs"]
    assert metrics == {
        "profileExportTime": {"startTimeInMs": 100, "endTimeInMs": 150, "totalTimeInMs": 50},
        "aCPDatasetWriteTime": {"startTimeInMs": 150, "endTimeInMs": 152, "totalTimeInMs": 2},
        "totalExportedProfileCounter": 3,
        "exportedProfileByNamespaceCounter": {"Email": 2},
        "totalExportedEventCounter": 2,
        "excludedProfileCounter": 1,
        "shortenedProfileCounter": 4,
    }


@pytest.mark.parametrize("id", ["0", "999999", "99999999999999999999999", "abc", "-1"])
async def test_an_unknown_job_is_not_found(adobe, id):
    for call in (adobe.get, adobe.delete):
        answer = await call(f"{JOBS}/{id}")
        assert problem(await answer.json()) == (404, "not_found")


async def test_another_organisation_sees_no_job_and_no_data_set(adobe, foreign, destination):
    job = await submitted(adobe, destination)
    for call in (foreign.get, foreign.delete):
        assert (await call(f"{JOBS}/{job['id']}")).status == 404
    assert (await (await foreign.get(JOBS)).json())["records"] == []
    assert (await foreign.post(JOBS, json=documented(destination))).status == 400


async def test_a_job_pins_its_snapshot_and_the_union_of_its_day(adobe, destination, db, scope):
    job = await submitted(adobe, destination)
    await db.execute("UPDATE sandboxes SET commit_number = 9")
    found = await JobStore(db).find(scope, JobId(job["id"]), kind=JobKind.EXPORT)
    assert found.snapshot == 0
    fields = [field["name"] for field in found.order["selection"]["profile_fields"]]
    assert "personalEmail" in fields


def test_every_state_has_a_status_in_this_dialect():
    assert wire.STATUS.keys() == set(JobState)
