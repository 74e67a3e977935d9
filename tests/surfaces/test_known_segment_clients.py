"""What Luma's scripts and the clients' samples of segments send, as they send it.

Written after section 12.4 of the contract sheet, as test_known_clients.py is.
"""

from __future__ import annotations

from typing import Any

from tests.surfaces.client import HttpClient
from tests.surfaces.known_clients import (
    CATALOG,
    CONTENT_TYPE,
    IMPORT,
    IN_PARQUET,
    REGISTRY,
    call,
    identified,
)


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
            "fileDescription": IN_PARQUET,
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
    await identified(adobe, schema["$id"], "/_tenant/product/sku", "lumaProductSKU")
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
    await identified(adobe, people["$id"], "/_tenant/systemIdentifier/crmId", "lumaCrmId")
    for body in (
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
