"""Data sets over HTTP: the documented calls, and what is refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from catalog.batches import NewDatasetFile
from catalog.organisations import Scope
from catalog.store.batches import BatchStore
from catalog.store.database import Connection
from service.settings import Settings
from service.storage.files import Files
from tests.builders import a_loaded_batch
from tests.surfaces.client import HttpClient, problem

DATASETS = "/data/foundation/catalog/dataSets"
SCHEMAS = "/data/foundation/schemaregistry/tenant/schemas"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
UNION = PROFILE + "__union"
CONTENT_TYPE = "application/vnd.adobe.xed-full-notext+json; version=1"
PATCH = {"Content-Type": "application/json-patch+json"}


async def a_schema(client: HttpClient, *, of: str = PROFILE, is_union: bool = True) -> str:
    body = {
        "title": "A schema",
        "allOf": [{"$ref": of}],
        "meta:immutableTags": ["union"] if is_union else [],
    }
    made: dict[str, str] = await (await client.post(SCHEMAS, json=body)).json()
    return made["$id"]


async def create(client: HttpClient, **body: Any) -> str:
    """Make a data set and return its id, as clients do: from the reference."""
    answer = await client.post(DATASETS, json=body)
    (reference,) = await answer.json()
    assert answer.status == 201
    assert reference.startswith("@/dataSets/")
    return str(reference.rpartition("/")[2])


async def a_dataset(client: HttpClient, **body: Any) -> str:
    return await create(client, **{"name": "Exports", "schemaRef": {"id": UNION}, **body})


async def show(client: HttpClient, id: str) -> dict[str, Any]:
    answer = await client.get(f"{DATASETS}/{id}")
    assert answer.status == 200
    shown: dict[str, Any] = (await answer.json())[id]
    return shown


async def test_a_data_set_is_created_as_the_documents_do(adobe: HttpClient, scope: Scope):
    schema_id = await a_schema(adobe)
    answer = await adobe.post(
        DATASETS + "?requestDataSource=true",
        json={
            "name": "Luma CRM Dataset",
            "description": "Customers",
            "schemaRef": {"id": schema_id, "contentType": CONTENT_TYPE},
            "fileDescription": {
                "persisted": True,
                "containerFormat": "parquet",
                "format": "parquet",
            },
            "tags": {"unifiedProfile": ["enabled: true"], "unifiedIdentity": ["enabled:true"]},
            "fields": [],
        },
    )
    (reference,) = await answer.json()
    id = reference.removeprefix("@/dataSets/")
    assert answer.status == 201
    assert answer.headers["Location"].endswith(f"/dataSets/{id}")
    assert len(id) == 24
    shown = await show(adobe, id)
    created = shown.pop("created")
    assert shown.pop("updated") == created
    assert len(shown.pop("viewId")) == 24
    assert shown.pop("files").startswith(f"@/dataSets/{id}/views/")
    assert shown == {
        "name": "Luma CRM Dataset",
        "description": "Customers",
        "schemaRef": {"id": schema_id, "contentType": CONTENT_TYPE},
        "fileDescription": {"persisted": True, "containerFormat": "parquet", "format": "parquet"},
        "tags": {
            "unifiedProfile": ["enabled: true"],
            "unifiedIdentity": ["enabled:true"],
            "adobe/pqs/table": ["luma_crm_dataset"],
        },
        "fields": [],
        "imsOrg": scope.organisation_id,
        "sandboxId": str(scope.sandbox_id),
        "namespace": "ACP",
        "state": "DRAFT",
        "status": "enabled",
        "version": "1.0.0",
        "createdClient": "client-of-OURS@AdobeOrg",
        "createdUser": "client-of-OURS@AdobeOrg",
        "updatedUser": "client-of-OURS@AdobeOrg",
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"},
    }


async def test_an_export_target_is_created_on_the_union(adobe: HttpClient):
    answer = await adobe.post(
        DATASETS + "/",
        json={
            "name": "Profile Data Export",
            "schemaRef": {
                "id": UNION,
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
        },
    )
    (reference,) = await answer.json()
    shown = await show(adobe, reference.rpartition("/")[2])
    assert shown["tags"] == {"adobe/pqs/table": ["profile_data_export"]}
    assert shown["schemaRef"]["id"] == UNION


async def test_a_schema_may_be_named_the_old_way(adobe: HttpClient):
    id = await create(adobe, name="Old", schema="@/xdms/context/Profile")
    assert (await show(adobe, id))["schemaRef"]["id"] == UNION


async def test_the_collection_is_found_under_every_spelling(
    adobe: HttpClient, subtests: pytest.Subtests
):
    id = await a_dataset(adobe)
    for collection in ("dataSet", "datasets", "DATASETS", "dataSets/"):
        with subtests.test(collection):
            answer = await adobe.get(f"/data/foundation/catalog/{collection}")
            assert list(await answer.json()) == [id]


async def test_event_data_sets_are_classified_as_time_series(adobe: HttpClient):
    id = await create(adobe, name="Web", schemaRef={"id": await a_schema(adobe, of=EVENT)})
    assert (await show(adobe, id))["classification"]["dataBehavior"] == "time-series"


async def test_no_two_data_sets_are_one_table(adobe: HttpClient):
    ids = [await a_dataset(adobe) for _ in range(2)]
    tables = {(await show(adobe, id))["tags"]["adobe/pqs/table"][0] for id in ids}
    assert tables == {"exports", f"exports_{ids[1][-6:]}"}


async def test_a_data_set_without_a_name_is_named_after_its_id(adobe: HttpClient):
    id = await create(adobe, schemaRef={"id": UNION})
    assert (await show(adobe, id))["name"] == id


async def test_bad_data_sets_are_refused_with_the_place(
    adobe: HttpClient, subtests: pytest.Subtests
):
    for body, said in (
        ({}, "schemaRef"),
        ([], "object"),
        ({"schemaRef": "x"}, "schemaRef"),
        ({"schemaRef": {}}, "schemaRef.id"),
        ({"schemaRef": {"id": ""}}, "schemaRef.id"),
        ({"schemaRef": {"id": "https://ns.adobe.com/t/schemas/nothing"}}, "schemaRef.id"),
        ({"schema": "@/xdms/context/account"}, "schema"),
        ({"schemaRef": {"id": UNION}, "name": 5}, "name"),
        ({"schemaRef": {"id": UNION}, "tags": []}, "tags"),
        ({"schemaRef": {"id": UNION}, "tags": {"a": "b"}}, "tags.a"),
        ({"schemaRef": {"id": UNION}, "tags": {"a": [5]}}, "tags.a"),
        ({"schemaRef": {"id": UNION}, "fields": "\0"}, "U+0000"),
    ):
        with subtests.test(f"{body} {said}"):
            answer = await adobe.post(DATASETS, json=body)
            assert answer.status == 400
            assert said in (await answer.json())["detail"]
            assert await (await adobe.get(DATASETS)).json() == {}


async def test_enabling_needs_a_schema_in_the_union(adobe: HttpClient, subtests: pytest.Subtests):
    outside, inside = await a_schema(adobe, is_union=False), await a_schema(adobe)
    for value in ("enabled:true", "enabled: true"):
        with subtests.test(value):
            tags = {"unifiedProfile": [value]}
            answer = await adobe.post(DATASETS, json={"schemaRef": {"id": outside}, "tags": tags})
            refused = await answer.json()
            assert problem(refused) == (400, "invalid_field")
            assert "To enable profile datasets the schema should be valid" in refused["detail"]
            assert await create(adobe, schemaRef={"id": inside}, tags=tags)
            id = await create(adobe, schemaRef={"id": outside})
            answer = await adobe.patch(f"{DATASETS}/{id}", json={"tags": tags})
            assert answer.status == 400


async def test_a_data_set_is_enabled_later_by_json_patch(adobe: HttpClient):
    id = await create(adobe, name="CRM", schemaRef={"id": await a_schema(adobe)})
    for headers in (PATCH, {}):
        operation = {
            "op": "add",
            "path": "/tags/unifiedProfile",
            "value": ["enabled:true", "isUpsert:true"],
        }
        answer = await adobe.patch(f"{DATASETS}/{id}", json=[operation], headers=headers)
        assert answer.status == 200
        assert await answer.json() == [f"@/dataSets/{id}"]
    shown = await show(adobe, id)
    assert shown["tags"]["unifiedProfile"] == ["enabled:true", "isUpsert:true"]
    assert shown["tags"]["adobe/pqs/table"] == ["crm"]
    assert shown["version"] == "1.0.2"


async def test_replacing_a_tag_that_is_not_there_makes_it(adobe: HttpClient):
    id = await create(adobe, schemaRef={"id": await a_schema(adobe)})
    operation = {"op": "replace", "path": "/tags/unifiedProfile", "value": ["enabled:true"]}
    answer = await adobe.patch(f"{DATASETS}/{id}", json=[operation], headers=PATCH)
    assert answer.status == 200


async def test_a_partial_object_changes_what_it_names(adobe: HttpClient):
    id = await a_dataset(adobe, description="Old", tags={"a": ["1"]}, owner="amy")
    body = {"name": "New", "tags": {"b": ["2"]}, "owner": None}
    assert (await adobe.patch(f"{DATASETS}/{id}", json=body)).status == 200
    shown = await show(adobe, id)
    assert (shown["name"], shown["description"]) == ("New", "Old")
    assert shown["tags"] == {"a": ["1"], "b": ["2"], "adobe/pqs/table": ["exports"]}
    assert "owner" not in shown


async def test_bad_changes_are_refused_and_change_nothing(
    adobe: HttpClient, subtests: pytest.Subtests
):
    for body, said in (
        ({"schemaRef": {"id": "https://ns.adobe.com/else"}}, "for good"),
        ({"tags": {"a": "b"}}, "tags.a"),
        ({"tags": "b"}, "tags"),
        ({"name": {"x": 1}}, "name"),
        ([{"op": "remove", "path": "/tags/nothing"}], "nothing to remove"),
        ([{"op": "add", "path": "/tags/a~1b/0", "value": "x"}], "no 'a/b' on the way"),
        ([{"op": "remove", "path": "/schemaRef"}], "schemaRef"),
        ([{"op": "add", "path": "/tags", "value": 5}], "tags"),
        (["x"], "0"),
        ("x", "object"),
    ):
        with subtests.test(f"{body} {said}"):
            id = await a_dataset(adobe)
            before = await show(adobe, id)
            answer = await adobe.patch(f"{DATASETS}/{id}", json=body)
            assert answer.status == 400
            assert said in (await answer.json())["detail"]
            assert await show(adobe, id) == before


async def test_what_the_service_says_of_a_data_set_cannot_be_written(adobe: HttpClient):
    id = await a_dataset(adobe, version="9.9.9", lastBatchId="x", id="y")
    shown = await show(adobe, id)
    assert shown["version"] == "1.0.0"
    assert "lastBatchId" not in shown
    assert "id" not in shown


async def test_listings_are_paged_and_hold_at_most_a_hundred(adobe: HttpClient):
    ids = [await a_dataset(adobe, name=f"Set {n}") for n in range(3)]

    async def listed(**params: Any) -> list[str]:
        answer = await adobe.get(DATASETS, params=params)
        assert answer.status == 200
        return list(await answer.json())

    assert await listed() == ids
    assert await listed(limit=100, start=1) == ids[1:]
    assert await listed(limit=1, offset=1) == ids[1:2]
    assert await listed(start=3) == []
    assert await listed(orderBy="desc:name", limit=2) == ids[:0:-1]
    for limit in ("0", "101", "-1", "x", "1.5"):
        answer = await adobe.get(DATASETS, params={"limit": limit})
        assert problem(await answer.json()) == (400, "invalid_field")


async def test_listings_are_filtered_by_name(adobe: HttpClient, subtests: pytest.Subtests):
    for each in ("CRM", "CRM 2", "100%"):
        await a_dataset(adobe, name=each)
    for name, found in (
        ("CRM", ["CRM"]),
        ("!CRM", ["CRM 2", "100%"]),
        ("CRM,100%", ["CRM", "100%"]),
        ("!CRM,100%", ["CRM 2"]),
        ("CRM*", ["CRM", "CRM 2"]),
        ("*%", ["100%"]),
        ("nothing", []),
        ("", []),
    ):
        with subtests.test(f"{name} {found}"):
            answer = await adobe.get(DATASETS, params={"name": name, "properties": "name"})
            assert [each["name"] for each in (await answer.json()).values()] == found


async def test_only_the_properties_asked_for_are_shown(adobe: HttpClient):
    id = await a_dataset(adobe)
    answer = await adobe.get(f"{DATASETS}/{id}?properties=name,%20version,basePath")
    assert await answer.json() == {id: {"name": "Exports", "version": "1.0.0"}}
    answer = await adobe.get(f"{DATASETS}/{id}?properties=basePath")
    assert await answer.json() == {id: {}}


async def test_the_observable_schema_holds_the_fields_that_have_values(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    name = {
        "type": "object",
        "properties": {"first": {"type": "string"}, "last": {"type": "string"}},
    }
    body = {
        "title": "People",
        "allOf": [{"$ref": PROFILE}],
        "properties": {"name": name, "tags": {"type": "array", "items": {"type": "string"}},
                       "age": {"type": "integer"}, "home": name},
    }  # fmt: skip
    schema_id = (await (await adobe.post(SCHEMAS, json=body)).json())["$id"]
    id = await create(adobe, name="People", schemaRef={"id": schema_id})
    asked = f"{DATASETS}/{id}?properties=observableSchema"
    empty = {"type": "object", "meta:xdmType": "object", "properties": {}}
    assert await (await adobe.get(asked)).json() == {id: {"observableSchema": empty}}

    table = pa.table(
        {
            "name": pa.array(
                [{"first": "Ann", "last": None}, None],
                pa.struct({"first": pa.string(), "last": pa.string()}),
            ),
            "tags": pa.array([["a"], []]),
            "age": pa.array([None, None], pa.int64()),
        }
    )
    with Files(settings.data.files_dir).create("people.parquet") as file:
        pq.write_table(table, file)
    batch = await a_loaded_batch(db, scope, dataset_id=id)
    file = NewDatasetFile(
        batch_id=batch.id, name="x", key="people.parquet", size_bytes=1, row_count=2, sha256="00"
    )
    await BatchStore(db).activate(batch.job_id, files=[file], metrics={})
    shown = (await (await adobe.get(asked)).json())[id]["observableSchema"]
    assert set(shown["properties"]) == {"name", "tags"}
    assert set(shown["properties"]["name"]["properties"]) == {"first"}


async def test_a_data_set_tells_its_latest_batches(adobe: HttpClient, db: Connection, scope: Scope):
    id = await a_dataset(adobe)
    for number, state in enumerate(("active", "failed", "loading")):
        await db.execute(
            "INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state,"
            " input_format, created_by, created_at, finished_at) VALUES ($1, $2, $3, $4, $5, '{}',"
            " 'amy', now() + $6 * interval '1 s', CASE WHEN $5 <> 'loading' THEN now() END)",
            f"{id}-{state}",
            scope.sandbox_id,
            scope.organisation_id,
            id,
            state,
            number,
        )
    shown = await show(adobe, id)
    assert shown["lastBatchId"] == f"{id}-loading"
    assert shown["lastBatchStatus"] == "loading"
    assert shown["lastSuccessfulBatch"] == f"{id}-active"
    assert shown["lastFailedBatch"] == f"{id}-failed"


async def test_foreign_and_unknown_data_sets_are_not_found(adobe: HttpClient, foreign: HttpClient):
    id = await a_dataset(adobe)
    assert await (await foreign.get(DATASETS)).json() == {}
    for path in (id, "nothing"):
        for answer in (
            await foreign.get(f"{DATASETS}/{path}"),
            await foreign.patch(f"{DATASETS}/{path}", json={"name": "x"}),
        ):
            assert problem(await answer.json()) == (404, "not_found")
    schema_id = await a_schema(adobe)
    answer = await foreign.post(DATASETS, json={"schemaRef": {"id": schema_id}})
    assert problem(await answer.json()) == (400, "invalid_field")
