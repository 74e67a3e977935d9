"""The calls known clients make of the catalog and of the schema registry, as they make them.

Written after sections 12.2, 12.4 and 13 of the contract sheet: the paths, slashes, media types and
spellings are those clients' own, and what is asserted is what they read of the answers.
"""

from __future__ import annotations

from urllib.parse import quote

from tests.builders import a_batch
from tests.surfaces.client import HttpClient
from tests.surfaces.known_clients import (
    CATALOG,
    IN_PARQUET,
    JSON_PATCH,
    PROFILE,
    REGISTRY,
    call,
    identified,
)


async def test_aepp_makes_data_sets_and_switches_their_tags(adobe: HttpClient):
    schema = await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/schemas/",
        status=201,
        headers={"Accept": "application/vnd.adobe.xed+json"},
        json={"title": "CRM", "type": "object", "allOf": [{"$ref": PROFILE}]},
    )
    await call(
        adobe,
        "PATCH",
        f"{REGISTRY}/tenant/schemas/{quote(schema['$id'], safe='')}/",
        headers={"Accept": "application/vnd.adobe.xed+json"},
        json=[{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}],
    )
    (reference,) = await call(
        adobe,
        "POST",
        f"{CATALOG}/dataSets?requestDataSource=False",
        status=201,
        json={
            "name": "CRM",
            "schemaRef": {
                "id": schema["$id"],
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
            "fileDescription": IN_PARQUET,
            "tags": {"adobe/pqs/table": ["crm"]},
        },
    )
    id = reference.rsplit("/", 1)[1]
    for op, tag, value in (
        ("add", "unifiedProfile", ["enabled:true"]),
        ("add", "unifiedIdentity", ["enabled:true"]),
        ("replace", "unifiedProfile", ["enabled:false"]),
        ("add", "unifiedProfile", ["enabled:true", "isUpsert:true"]),
        ("replace", "unifiedIdentity", ["enabled:false"]),
    ):
        operation = {"op": op, "path": f"/tags/{tag}", "value": value}
        path = f"{CATALOG}/dataSets/{id}"
        changed = await call(adobe, "PATCH", path, json=[operation], headers=JSON_PATCH)
        assert changed == [f"@/dataSets/{id}"]
    operation = {"op": "add", "path": "/tags/acp_validationContext", "value": ["disabled"]}
    await call(adobe, "PATCH", f"{CATALOG}/dataSets/{id}", json=[operation])
    expiration = {"extensions": {"adobe_lakeHouse": {"rowExpiration": {"ttlValue": "P30D"}}}}
    await call(adobe, "PATCH", f"{CATALOG}/v2/dataSets/{id}", json=expiration)
    shown = (await call(adobe, "GET", f"{CATALOG}/dataSets/{id}"))[id]
    assert shown["tags"] == {
        "adobe/pqs/table": ["crm"],
        "unifiedProfile": ["enabled:true", "isUpsert:true"],
        "unifiedIdentity": ["enabled:false"],
        "acp_validationContext": ["disabled"],
    }
    assert shown["extensions"] == expiration["extensions"]
    await call(adobe, "PUT", f"{CATALOG}/dataSets/{id}", json=shown)
    observed = await call(adobe, "GET", f"{CATALOG}/dataSets/{id}?properties=observableSchema")
    assert observed[id]["observableSchema"]["properties"] == {}
    files = await call(adobe, "GET", f"{CATALOG}/dataSets/{id}/views/{shown['viewId']}/files")
    assert files == {}
    await call(adobe, "DELETE", f"{CATALOG}/dataSets/{id}")


async def test_aepp_lists_data_sets_and_fills_its_caches(adobe: HttpClient):
    (reference,) = await call(
        adobe,
        "POST",
        f"{CATALOG}/dataSets/",
        status=201,
        json={
            "name": "Profile Data Export",
            "schemaRef": {
                "id": f"{PROFILE}__union",
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
        },
    )
    listed = await call(adobe, "GET", f"{CATALOG}/dataSets?limit=100")
    assert list(listed) == [reference.rsplit("/", 1)[1]]
    for each in listed.values():
        assert each["name"]
        assert each["schemaRef"]["id"]
        assert each["tags"]["adobe/pqs/table"]
        assert each["classification"]["dataBehavior"] == "record"
    assert await call(adobe, "GET", f"{CATALOG}/dataSets?limit=100&start=101") == {}
    assert await call(adobe, "GET", f"{CATALOG}/dataSets?limit=100&property=name~^Prof") == listed


async def test_aepp_walks_through_batches(adobe: HttpClient, db, scope):
    batches = [await a_batch(db, scope) for _ in range(3)]
    found: list[str] = []
    for start in (0, 2, 4):
        query = f"limit=2&orderBy=desc:created&start={start}"
        page = await call(adobe, "GET", f"{CATALOG}/batches?{query}")
        found += page
        for each in page.values():
            assert each["sandboxId"]
            assert each["created"]
            assert each["errors"] == []
            assert each["relatedObjects"][0]["type"] == "dataSet"
    assert found == [batch.id for batch in reversed(batches)]
    assert await call(adobe, "GET", f"{CATALOG}/batches?status=failed&limit=10") == {}
    one = await call(adobe, "GET", f"{CATALOG}/batches/{found[0]}")
    assert list(one) == [found[0]]
    last = await call(
        adobe, "GET", f"{CATALOG}/lastBatches?limit=20&dataSetId={batches[0].dataset_id}"
    )
    assert last[batches[0].dataset_id]["lastBatchId"] == batches[0].id


async def test_aepp_reads_the_registry(adobe: HttpClient):
    accept = {"Accept": "application/vnd.adobe.xed+json"}
    stats = await call(adobe, "GET", f"{REGISTRY}/stats/", headers=accept)
    assert stats["tenantId"]
    body = {
        "title": "CRM",
        "type": "object",
        "allOf": [{"$ref": PROFILE}, {"type": "object", "properties": {"id": {"type": "string"}}}],
        "meta:immutableTags": ["union"],
    }
    schema = await call(adobe, "POST", f"{REGISTRY}/tenant/schemas/", status=201, json=body)
    adhoc = "meta:extends!=https://ns.adobe.com/xdm/data/adhoc"
    listed = await call(
        adobe,
        "GET",
        f"{REGISTRY}/tenant/schemas/",
        params={"property": adhoc},
        headers={"Accept": "application/vnd.adobe.xed+json"},
    )
    assert [each["title"] for each in listed["results"]] == ["CRM"]
    assert listed["_page"]["next"] is None
    id = quote(schema["$id"], safe="")
    full = await call(
        adobe,
        "GET",
        f"{REGISTRY}/tenant/schemas/{id}",
        headers={"Accept": "application/vnd.adobe.xdm-full+json; version=1"},
    )
    assert full["title"] == "CRM"
    assert full["properties"]["id"]["type"] == "string"
    unions = await call(adobe, "GET", f"{REGISTRY}/tenant/unions", headers=accept)
    assert {f"{PROFILE}__union"} <= {each["$id"] for each in unions["results"]}
    for path in ("unions", "schemas"):
        union = await call(
            adobe,
            "GET",
            f"{REGISTRY}/tenant/{path}/{quote(PROFILE + '__union', safe='')}",
            headers={"Accept": "application/vnd.adobe.xdm-full+json; version=1"},
        )
        assert {"identityMap", "segmentMembership", "timeSeriesEvents", "id"} <= set(
            union["properties"]
        )
    tagged = await call(
        adobe,
        "GET",
        f"{REGISTRY}/tenant/schemas?property=meta:immutableTags==union"
        f"&property=meta:class=={PROFILE}",
    )
    assert [each["$id"] for each in tagged["results"]] == [schema["$id"]]
    made = await identified(adobe, schema["$id"], "/id", "crm")
    listed = await call(
        adobe,
        "GET",
        f"{REGISTRY}/tenant/descriptors/",
        headers={"Accept": "application/vnd.adobe.xdm-v2+json"},
    )
    assert listed["results"] == [made]
    assert listed["_page"]["next"] is None


async def test_aepp_reads_groups_types_and_classes(adobe: HttpClient):
    for collection, accept in (
        ("fieldgroups", "xdm+json"),
        ("datatypes", "xdm-id+json"),
        ("classes", "xdm-id+json"),
    ):
        base = {"$ref": "https://ns.adobe.com/xdm/data/record"}
        body = {"title": collection, "allOf": [base] if collection == "classes" else []}
        path = f"{REGISTRY}/tenant/{collection}/"
        made = await call(adobe, "POST", path, status=201, json=body)
        listed = await call(
            adobe,
            "GET",
            path,
            params={"properties": "title,$id"},
            headers={"Accept": f"application/vnd.adobe.{accept}"},
        )
        assert [each["$id"] for each in listed["results"]] == [made["$id"]]
        assert listed["_page"]["next"] is None
        one = await call(
            adobe,
            "GET",
            path + quote(made["$id"], safe=""),
            headers={"Accept": "application/vnd.adobe.xdm-full+json; version=1"},
        )
        assert one["title"] == collection
        assert await call(adobe, "DELETE", path + made["meta:altId"], status=204) is None


async def test_summit_names_the_profile_schema_the_old_way(adobe: HttpClient):
    tags = {"unifiedProfile": ["enabled:true"]}
    body = {"name": "Profile Export", "schema": "@/xdms/context/profile", "tags": tags}
    (reference,) = await call(adobe, "POST", f"{CATALOG}/dataSets", status=201, json=body)
    id = reference[len("@/dataSets/") :]
    shown = (await call(adobe, "GET", f"{CATALOG}/dataSets/{id}"))[id]
    assert shown["viewId"]
    assert shown["schemaRef"]["id"] == f"{PROFILE}__union"


async def test_postman_changes_batches_in_the_catalog(adobe: HttpClient, db, scope):
    batch = await a_batch(db, scope)
    (reference,) = await call(
        adobe,
        "POST",
        f"{CATALOG}/batches",
        status=201,
        json={
            "status": "loading",
            "relatedObjects": [{"type": "dataSet", "id": batch.dataset_id}],
        },
    )
    path = CATALOG + reference.removeprefix("@")
    (shown,) = (await call(adobe, "GET", path)).values()
    await call(adobe, "PUT", path, json={**shown, "tags": {"flow": ["a"]}})
    await call(adobe, "PATCH", path, json={"externalId": "nightly"})
    (shown,) = (await call(adobe, "GET", path)).values()
    assert (shown["tags"], shown["externalId"]) == ({"flow": ["a"]}, "nightly")
    assert await call(adobe, "DELETE", path) == [reference]


async def test_every_client_finds_the_sandboxes(adobe: HttpClient):
    for path in ("sandboxes", "sandboxes/"):
        found = await call(adobe, "GET", f"/data/foundation/sandbox-management/{path}")
        assert [each["name"] for each in found["sandboxes"]] == ["prod"]
