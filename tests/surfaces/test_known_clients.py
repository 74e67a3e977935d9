"""The calls known clients make of the catalog and of the schema registry, as they make them.

Written after sections 12.2, 12.4 and 13 of the contract sheet: the paths, slashes, media types and
spellings are those clients' own, and what is asserted is what they read of the answers.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.builders import a_batch
from tests.surfaces.client import HttpClient

CATALOG = "/data/foundation/catalog"
REGISTRY = "/data/foundation/schemaregistry"
IMPORT = "/data/foundation/import"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
CONTENT_TYPE = "application/vnd.adobe.xed-full-notext+json; version=1"
JSON_PATCH = {"Content-Type": "application/json-patch+json"}


async def call(
    client: HttpClient, method: str, path: str, *, status: int = 200, **sent: Any
) -> Any:
    answer = await client.request(method, path, **sent)
    assert answer.status == status, await answer.text()
    text = await answer.text()
    return await answer.json() if text else None


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
            "fileDescription": {
                "persisted": True,
                "containerFormat": "parquet",
                "format": "parquet",
            },
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
    made = await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/descriptors",
        status=201,
        json={
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema["$id"],
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": "/id",
            "xdm:namespace": "crm",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        },
    )
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


async def luma_schema(client: HttpClient, title: str, *references: str) -> dict[str, Any]:
    parts = [{"$ref": each, "type": "object", "meta:xdmType": "object"} for each in references]
    made: dict[str, Any] = await call(
        client,
        "POST",
        f"{REGISTRY}/tenant/schemas",
        status=201,
        headers={"Accept": "application/json"},
        json={
            "meta:resourceType": "schemas",
            "title": title,
            "type": "object",
            "description": "",
            "allOf": parts,
            "meta:extensible": False,
            "meta:abstract": False,
            "meta:extends": ["https://ns.adobe.com/xdm/common/auditable", *references],
            "meta:xdmType": "object",
            "meta:immutableTags": ["union"],
        },
    )
    return made


async def luma_batch(client: HttpClient, schema_id: str, name: str, rows: str) -> None:
    """Make a data set under the singular path, and send it a file."""
    (reference,) = await call(
        client,
        "POST",
        f"{CATALOG}/dataSet",
        status=201,
        json={
            "name": name,
            "schemaRef": {"id": schema_id, "contentType": CONTENT_TYPE},
            "fileDescription": {
                "persisted": True,
                "containerFormat": "parquet",
                "format": "parquet",
            },
            "tags": {"unifiedProfile": ["enabled:true"], "unifiedIdentity": ["enabled:true"]},
            "enableErrorDiagnostics": True,
        },
    )
    dataset_id = reference.split("/")[2]
    body = {"datasetId": dataset_id, "inputFormat": {"format": "json"}}
    batch = await call(client, "POST", f"{IMPORT}/batches", status=201, json=body)
    await call(
        client,
        "PUT",
        f"{IMPORT}/batches/{batch['id']}/datasets/{dataset_id}/files/rows.json",
        headers={"Content-Type": "application/octet-stream"},
        data=rows,
    )
    await call(client, "POST", f"{IMPORT}/batches/{batch['id']}?action=COMPLETE")
    shown = (await call(client, "GET", f"{CATALOG}/batch/{batch['id']}"))[batch["id"]]
    assert shown["status"] == "loaded"


async def test_luma_keeps_its_products_in_a_class_of_its_own(adobe: HttpClient):
    product_class = await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/classes",
        status=201,
        json={
            "type": "object",
            "title": "Luma Product Catalog Class",
            "description": "Luma Product Catalog Class",
            "allOf": [{"$ref": "https://ns.adobe.com/xdm/data/record"}],
        },
    )
    text = {"type": "string", "isRequired": False, "meta:xdmType": "string"}
    group = await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/mixins",
        status=201,
        json={
            "meta:resourceType": "mixins",
            "title": "Luma Product Catalog Field Group",
            "type": "object",
            "description": "",
            "properties": {
                "_tenant": {
                    "type": "object",
                    "properties": {
                        "product": {
                            "type": "object",
                            "properties": {
                                "sku": text,
                                "price": {"type": "number", "meta:xdmType": "number"},
                                "stockQuantity": {"type": "integer", "meta:xdmType": "integer"},
                            },
                            "meta:xdmType": "object",
                            "required": ["sku"],
                        }
                    },
                }
            },
            "meta:extensible": True,
            "meta:abstract": True,
            "meta:intendedToExtend": [product_class["$id"]],
            "meta:xdmType": "object",
        },
    )
    schema = await luma_schema(adobe, "Luma Products", product_class["$id"], group["$id"])
    assert schema["meta:altId"]
    await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/descriptors",
        status=201,
        json={
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": schema["$id"],
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": "/_tenant/product/sku",
            "xdm:namespace": "lumaProductSKU",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        },
    )
    await luma_batch(adobe, schema["$id"], "Luma Products", '[{"_tenant":{"product":{"sku":"1"}}}]')


async def test_luma_composes_profiles_and_events_of_standard_groups(adobe: HttpClient):
    identities = await call(
        adobe,
        "POST",
        f"{REGISTRY}/tenant/fieldgroups",
        status=201,
        json={
            "title": "Luma Identity profile field group",
            "type": "object",
            "allOf": [{"$ref": "#/definitions/customFields"}],
            "definitions": {
                "customFields": {
                    "type": "object",
                    "properties": {
                        "_tenant": {
                            "type": "object",
                            "properties": {
                                "systemIdentifier": {
                                    "type": "object",
                                    "properties": {"crmId": {"type": "string"}},
                                }
                            },
                        }
                    },
                }
            },
        },
    )
    context = "https://ns.adobe.com/xdm/context"
    people = await luma_schema(
        adobe,
        "Luma Test Profiles Schema",
        f"{context}/profile",
        f"{context}/profile-personal-details",
        f"{context}/profile-person-details",
        f"{context}/profile-test-profile",
        identities["$id"],
    )
    events = await luma_schema(
        adobe,
        "Luma Web Events Schema",
        f"{context}/experienceevent",
        "https://ns.adobe.com/experience/aep-web-sdk-experienceevent",
        f"{context}/experienceevent-consumer",
    )
    for body in (
        {
            "@type": "xdm:descriptorIdentity",
            "xdm:sourceSchema": people["$id"],
            "xdm:sourceProperty": "/_tenant/systemIdentifier/crmId",
            "xdm:namespace": "lumaCrmId",
            "xdm:property": "xdm:code",
            "xdm:isPrimary": True,
        },
        {
            "@type": "xdm:descriptorReferenceIdentity",
            "xdm:sourceSchema": events["$id"],
            "xdm:sourceProperty": "/productListItems[*]/SKU",
            "xdm:identityNamespace": "lumaProductSKU",
        },
        {
            "@type": "xdm:descriptorOneToOne",
            "xdm:sourceSchema": events["$id"],
            "xdm:sourceProperty": "/productListItems[*]/SKU",
            "xdm:destinationSchema": people["$id"],
            "xdm:destinationVersion": 1,
            "xdm:destinationProperty": "/_tenant/systemIdentifier/crmId",
        },
    ):
        sent = {**body, "xdm:sourceVersion": 1}
        await call(adobe, "POST", f"{REGISTRY}/tenant/descriptors", status=201, json=sent)
    await luma_batch(adobe, people["$id"], "People", '[{"testProfile": true}]')
    await luma_batch(adobe, events["$id"], "Web", '[{"eventType": "web.webpagedetails.pageViews"}]')


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


SEGMENTS = "/data/core/ups/segment"
PROFILE_CLASS = {"name": "_xdm.context.profile"}


async def people_with_genders(client: HttpClient) -> None:
    """Have the union hold what the clients' sample rules ask for."""
    await luma_schema(
        client,
        "People",
        "https://ns.adobe.com/xdm/context/profile",
        "https://ns.adobe.com/xdm/context/profile-person-details",
    )


async def test_summit_exports_a_segment_under_the_policy_that_its_job_names(adobe: HttpClient):
    await people_with_genders(adobe)
    tree = (
        '{"nodeType":"fnApply","fnName":"in","params":[{"nodeType":"fieldLookup",'
        '"fieldName":"gender","object":{"nodeType":"fieldLookup","fieldName":"person",'
        '"object":{"nodeType":"literal","literalType":"XDMObject","value":"profile"}}},'
        '{"literalType":"List","nodeType":"literal","value":["female"]}]}'
    )
    females = await call(
        adobe,
        "POST",
        f"{SEGMENTS}/definitions",
        json={
            "name": "All Females",
            "expression": {"type": "PQL", "format": "pql/json", "value": tree},
            "createdBy": "amy",
            "schema": PROFILE_CLASS,
            "ttlInDays": 90,
        },
    )
    males = {"type": "PQL", "format": "pql/text", "value": 'person.gender = "male"'}
    await call(
        adobe,
        "POST",
        f"{SEGMENTS}/definitions",
        json={
            "name": "All Males",
            "expression": males,
            "createdBy": "October TTT",
            "schema": PROFILE_CLASS,
            "ttlInDays": 90,
        },
    )
    job = await call(adobe, "POST", f"{SEGMENTS}/jobs", json=[{"segmentId": females["id"]}])
    seen = await call(adobe, "GET", f"{SEGMENTS}/jobs/{job['id']}")
    policy_id = seen["segments"][0]["segment"]["mergePolicy"]["id"]
    body = {"name": "amy_ProfileSegmentDataset", "schema": "@/xdms/context/profile"}
    path = f"{CATALOG}/dataSets?requestDataSource=true"
    (reference,) = await call(adobe, "POST", path, status=201, json=body)
    export = await call(
        adobe,
        "POST",
        "/data/core/ups/export/jobs",
        json={
            "filter": {"segments": [{"segmentId": females["id"]}]},
            "destination": {"datasetId": reference[11:]},
            "schema": PROFILE_CLASS,
            "mergePolicy": {"id": policy_id, "version": 1},
        },
    )
    assert export["mergePolicy"] == {"id": policy_id, "version": 1}


async def test_aepp_keeps_segments_and_runs_them(adobe: HttpClient):
    await people_with_genders(adobe)
    made = []
    for number in range(101):
        rule = {"type": "PQL", "format": "pql/text", "value": f'person.gender = "{number}"'}
        body = {"name": f"segment {number}", "description": "one of many", "expression": rule}
        body |= {"schema": PROFILE_CLASS, "ttlInDays": 60}
        made.append(await call(adobe, "POST", f"{SEGMENTS}/definitions", json=body))
    found = await call(adobe, "GET", f"{SEGMENTS}/definitions")
    listed = found["segments"]
    assert (len(listed), found["page"]["totalPages"]) == (100, 2)
    for page in range(1, found["page"]["totalPages"] + 1):
        query = f"page={page}&limit=100"
        listed += (await call(adobe, "GET", f"{SEGMENTS}/definitions?{query}"))["segments"]
    assert {each["id"] for each in listed} == {each["id"] for each in made}
    assert len(listed) == len(made)
    real_time = "page=1&limit=100&evaluationInfo.continuous.enabled=True"
    assert (await call(adobe, "GET", f"{SEGMENTS}/definitions?{real_time}"))["segments"] == []

    one = await call(adobe, "GET", f"{SEGMENTS}/definitions/{made[0]['id']}")
    changed = await call(
        adobe, "PATCH", f"{SEGMENTS}/definitions/{one['id']}", json={**one, "ttlInDays": 30}
    )
    assert changed["ttlInDays"] == 30
    ids = [{"segmentId": each["id"]} for each in made[:2]]
    job = await call(adobe, "POST", f"{SEGMENTS}/jobs", json=ids)
    shown = await call(adobe, "GET", f"{SEGMENTS}/jobs/{job['id']}")
    assert {each["segmentId"] for each in shown["segments"]} == {each["segmentId"] for each in ids}
    jobs = await call(adobe, "GET", f"{SEGMENTS}/jobs?limit=100&start=0")
    assert [each["id"] for each in jobs["children"]] == [job["id"]]
    assert jobs["_links"].get("href", "") == ""
    assert await call(adobe, "DELETE", f"{SEGMENTS}/jobs/{job['id']}", status=204) is None
    assert await call(adobe, "DELETE", f"{SEGMENTS}/definitions/{one['id']}") is None


async def test_every_client_finds_the_sandboxes(adobe: HttpClient):
    for path in ("sandboxes", "sandboxes/"):
        found = await call(adobe, "GET", f"/data/foundation/sandbox-management/{path}")
        assert [each["name"] for each in found["sandboxes"]] == ["prod"]
