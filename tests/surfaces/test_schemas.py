"""The schema registry over HTTP: the documented calls, and what it refuses."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.surfaces.client import HttpClient, problem

REGISTRY = "/data/foundation/schemaregistry"
SCHEMAS = REGISTRY + "/tenant/schemas"
DATASETS = "/data/foundation/catalog/dataSets"
DESCRIPTORS = REGISTRY + "/tenant/descriptors"
PROFILE = "https://ns.adobe.com/xdm/context/profile"
EVENT = "https://ns.adobe.com/xdm/context/experienceevent"
TAG_AS_UNION = [{"op": "add", "path": "/meta:immutableTags", "value": ["union"]}]
STRING = {"type": "string"}


def a_schema(*parts: dict[str, Any], title: str = "Luma CRM", of: str = PROFILE) -> dict[str, Any]:
    return {"type": "object", "title": title, "allOf": [{"$ref": of}, *parts]}


def an_object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


CRM = an_object(
    _yourTenantId=an_object(systemIdentifier=an_object(crmId=STRING, loyaltyId=STRING)),
    person=an_object(name=an_object(firstName=STRING), birthYear={"type": "integer"}),
    tags={"type": "array", "items": STRING},
)


async def make(client: HttpClient, document: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(SCHEMAS, json=document)
    body: dict[str, Any] = await answer.json()
    assert answer.status == 201, body
    return body


async def patch(client: HttpClient, schema: dict[str, Any], operations: Any) -> tuple[int, Any]:
    answer = await client.patch(f"{SCHEMAS}/{quote(schema['$id'], safe='')}", json=operations)
    return answer.status, await answer.json()


async def named(client: HttpClient, schema: dict[str, Any], path: str, **more: Any) -> Any:
    """Ask for an identity descriptor as the documents do."""
    body = {
        "@type": "xdm:descriptorIdentity",
        "xdm:sourceSchema": schema["$id"],
        "xdm:sourceVersion": 1,
        "xdm:sourceProperty": path,
        "xdm:namespace": "lumaCrmId",
        "xdm:property": "xdm:code",
        "xdm:isPrimary": True,
        **more,
    }
    return await client.post(DESCRIPTORS, json=body)


async def test_a_schema_is_registered_and_found_by_either_id(adobe: HttpClient):
    made = await make(adobe, a_schema(CRM))
    stats = await (await adobe.get(f"{REGISTRY}/stats/")).json()
    assert made["$id"].startswith(f"https://ns.adobe.com/{stats['tenantId']}/schemas/")
    assert made["meta:altId"].startswith(f"_{stats['tenantId']}.schemas.")
    assert made["version"] == "1.0"
    assert made["meta:resourceType"] == "schemas"
    assert made["meta:class"] == PROFILE
    for id in (quote(made["$id"], safe=""), made["$id"], made["meta:altId"]):
        answer = await adobe.get(f"{SCHEMAS}/{id}", headers={"Accept": "application/x; version=7"})
        assert await answer.json() == made


async def test_a_full_schema_is_one_tree_of_properties(adobe: HttpClient):
    made = await make(adobe, a_schema(CRM))
    answer = await adobe.get(
        f"{SCHEMAS}/{quote(made['$id'], safe='')}",
        headers={"Accept": "application/vnd.adobe.xed-full+json; version=1"},
    )
    body = await answer.json()
    assert "allOf" not in body
    assert body["properties"]["person"]["properties"]["birthYear"]["meta:xdmType"] == "long"
    assert {"_id", "identityMap", "segmentMembership"} < body["properties"].keys()


async def test_what_the_caller_wrote_is_kept(adobe: HttpClient):
    part = an_object(level={"type": "string", "enum": ["a"], "meta:enum": {"a": "First"}})
    made = await make(adobe, {**a_schema(part), "description": "Ours", "$id": "https://mine"})
    assert made["allOf"] == [{"$ref": PROFILE}, part]
    assert made["description"] == "Ours"
    assert made["$id"] != "https://mine"


async def test_a_listing_has_one_page_and_can_be_a_summary(adobe: HttpClient):
    made = [await make(adobe, a_schema(title=title)) for title in ("One", "Two")]
    body = await (await adobe.get(SCHEMAS + "/")).json()
    assert body["results"] == made
    assert body["_page"] == {"orderby": "created", "next": None, "count": 2}
    accept = {"Accept": "application/vnd.adobe.xed-id+json"}
    body = await (await adobe.get(SCHEMAS, headers=accept)).json()
    assert body["results"] == [
        {key: each[key] for key in ("title", "$id", "meta:altId", "version")} for each in made
    ]


async def test_repeated_properties_filter_a_listing_together(adobe: HttpClient):
    crm = await make(adobe, a_schema(title="CRM"))
    web = await make(adobe, a_schema(title="Web", of=EVENT))
    await make(adobe, a_schema(title="Loyalty"))
    for schema in (crm, web):
        assert (await patch(adobe, schema, TAG_AS_UNION))[0] == 200

    async def found(*conditions: str) -> list[str]:
        params = [("property", each) for each in conditions]
        body = await (await adobe.get(SCHEMAS, params=params)).json()
        return [each["title"] for each in body["results"]]

    assert await found("meta:immutableTags==union") == ["CRM", "Web"]
    assert await found("meta:immutableTags==union", f"meta:class=={PROFILE}") == ["CRM"]
    assert await found(f"meta:extends=={EVENT}") == ["Web"]
    assert await found("meta:extends!=https://ns.adobe.com/xdm/data/adhoc") == [
        "CRM",
        "Web",
        "Loyalty",
    ]
    assert await found("meta:immutableTags") == ["CRM", "Web"]
    assert await found("title==Web,meta:immutableTags==union") == ["Web"]


async def test_a_filter_that_nobody_understands_is_refused(adobe: HttpClient):
    answer = await adobe.get(SCHEMAS, params={"property": "title~test"})
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_bad_schemas_are_refused_with_the_place(adobe: HttpClient, subtests: pytest.Subtests):
    for body, said in (
        ({}, "allOf"),
        ([], "object"),
        ({"title": 5, "allOf": [{"$ref": PROFILE}]}, "title"),
        ({"title": "x"}, "allOf"),
        ({"title": "x", "allOf": [{"$ref": "https://ns.adobe.com/x"}]}, "allOf"),
        (a_schema({"$ref": "https://ns.adobe.com/t/mixins/1"}), "mixins/1"),
        (a_schema(an_object(a={"type": "text"})), "a"),
        (a_schema(an_object(a=[])), "a"),
        ({**a_schema(), "meta:immutableTags": ["else"]}, "meta:immutableTags"),
        ({**a_schema(), "description": "\0"}, "U+0000"),
    ):
        with subtests.test(f"{body} {said}"):
            answer = await adobe.post(SCHEMAS, json=body)
            refused = await answer.json()
            assert answer.status == 400
            assert said in refused["detail"]


async def test_bodies_that_are_not_json_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    for body in (
        b"",
        b"{",
        b'{"title": NaN}',
        b'{"a": 1e999}',
        b"\xff",
    ):
        with subtests.test(f"{body}"):
            answer = await adobe.post(
                SCHEMAS, data=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status == 400, await answer.text()


async def test_unknown_schemas_are_not_found(adobe: HttpClient, foreign: HttpClient):
    made = await make(foreign, a_schema())
    for id in ("nothing", quote(made["$id"], safe=""), made["meta:altId"]):
        answer = await adobe.get(f"{SCHEMAS}/{id}")
        assert problem(await answer.json()) == (404, "not_found")
    assert (await (await adobe.get(SCHEMAS)).json())["results"] == []


async def test_the_union_has_what_is_tagged_and_nothing_else(adobe: HttpClient):
    crm = await make(adobe, a_schema(CRM))
    await make(adobe, a_schema(an_object(secret=STRING), title="Not in the union"))
    web = await make(
        adobe, a_schema(an_object(commerce=an_object(total={"type": "number"})), of=EVENT)
    )
    for schema in (crm, web):
        status, tagged = await patch(adobe, schema, TAG_AS_UNION)
        assert status == 200
        assert tagged["meta:immutableTags"] == ["union"]
        assert tagged["version"] == "1.1"
    union = PROFILE + "__union"
    bodies = [
        await (await adobe.get(f"{REGISTRY}/tenant/{place}/{id}")).json()
        for place in ("schemas", "unions")
        for id in (quote(union, safe=""), "_xdm.context.profile__union")
    ]
    assert all(body == bodies[0] for body in bodies)
    assert bodies[0]["$id"] == union
    assert bodies[0]["properties"].keys() == {
        "_id",
        "identityMap",
        "segmentMembership",
        "_yourTenantId",
        "person",
        "tags",
        "timeSeriesEvents",
    }
    event = bodies[0]["properties"]["timeSeriesEvents"]["items"]
    assert event["properties"]["commerce"]["properties"].keys() == {"total"}


async def test_both_unions_are_listed_also_when_they_are_empty(adobe: HttpClient):
    body = await (await adobe.get(f"{REGISTRY}/tenant/unions")).json()
    assert [each["$id"] for each in body["results"]] == [PROFILE + "__union", EVENT + "__union"]
    assert all(each["title"] and each["meta:altId"] for each in body["results"])


async def test_a_schema_that_the_union_cannot_hold_is_not_tagged(adobe: HttpClient):
    one = await make(adobe, a_schema(an_object(a=an_object(b=STRING)), title="One"))
    two = await make(adobe, a_schema(an_object(a=an_object(b={"type": "number"})), title="Two"))
    assert (await patch(adobe, one, TAG_AS_UNION))[0] == 200
    status, body = await patch(adobe, two, TAG_AS_UNION)
    assert status == 409
    assert all(word in body["detail"] for word in ("a.b", "'One'", "'Two'"))
    again = await (await adobe.get(f"{SCHEMAS}/{two['meta:altId']}")).json()
    assert "meta:immutableTags" not in again
    assert again["version"] == "1.0"


async def test_the_union_tag_stays(adobe: HttpClient):
    made = await make(adobe, {**a_schema(), "meta:immutableTags": ["union"]})
    status, body = await patch(adobe, made, [{"op": "remove", "path": "/meta:immutableTags"}])
    assert status == 400
    assert "cannot be undone" in body["detail"]


async def test_a_schema_grows_and_is_renamed(adobe: HttpClient):
    made = await make(adobe, a_schema(CRM))
    status, body = await patch(
        adobe,
        made,
        [
            {"op": "replace", "path": "/title", "value": "Renamed"},
            {"op": "add", "path": "/description", "value": "More"},
            {"op": "add", "path": "/allOf/-", "value": an_object(email=STRING)},
            {"op": "add", "path": "/allOf/1/properties/person/properties/age", "value": STRING},
            {"op": "add", "path": "/version", "value": "9.9"},
        ],
    )
    assert status == 200
    assert (body["title"], body["description"], body["version"]) == ("Renamed", "More", "1.1")
    assert body["allOf"][2]["properties"].keys() == {"email"}


async def test_a_change_that_rows_would_not_survive_is_refused(
    adobe: HttpClient, subtests: pytest.Subtests
):
    made = await make(adobe, a_schema(CRM))
    assert (await adobe.post(DATASETS, json={"schemaRef": {"id": made["$id"]}})).status == 201
    for operation, said in (
        ({"op": "remove", "path": "/allOf/1"}, "is gone"),
        ({"op": "remove", "path": "/allOf/0"}, "must name one class"),
        ({"op": "replace", "path": "/allOf/0", "value": {"$ref": EVENT}}, "for good"),
        ({"op": "replace", "path": "/allOf/1/properties/tags", "value": STRING}, "was array"),
        ({"op": "add", "path": "/required", "value": ["tags"]}, "was not required"),
        ({"op": "remove", "path": "/title"}, "title"),
        ({"op": "remove", "path": "/nothing"}, "nothing to remove"),
        ({"op": "add", "path": "/allOf/9", "value": {}}, "no index"),
        ({"op": "add", "path": "/a/b/c", "value": {}}, "there is no 'a'"),
        ({"op": "add", "path": "/title/b", "value": {}}, "has no members"),
        ({"op": "add", "path": "title", "value": "x"}, "starts with a slash"),
        ({"op": "test", "path": "/title", "value": "x"}, "the test fails"),
        ({"op": "copy", "path": "/a", "from": "/allOf"}, "op"),
        ({"path": "/a"}, "op"),
        ({"op": "add", "path": 5}, "path"),
        ("title", "object"),
    ):
        with subtests.test(f"{operation} {said}"):
            status, body = await patch(adobe, made, [operation])
            assert (status, body["title"]) == (400, "BadRequestError")
            assert said in body["detail"]
            again = await (await adobe.get(f"{SCHEMAS}/{made['meta:altId']}")).json()
            assert again == made


async def test_a_field_is_named_as_an_identity(adobe: HttpClient):
    schema = await make(adobe, a_schema(CRM))
    path = "/_yourTenantId/systemIdentifier/crmId"
    answer = await named(adobe, schema, path)
    made = await answer.json()
    assert answer.status == 201
    assert made["@type"] == "xdm:descriptorIdentity"
    assert made["xdm:sourceProperty"] == path
    assert made["xdm:isPrimary"] is True
    body = await (await adobe.get(DESCRIPTORS + "/")).json()
    assert body["results"] == [made]
    assert body["_page"]["next"] is None
    assert await (await adobe.get(f"{DESCRIPTORS}/{made['@id']}")).json() == made
    params = {"property": f"@type==xdm:descriptorIdentity,xdm:sourceSchema=={schema['$id']}"}
    assert (await (await adobe.get(DESCRIPTORS, params=params)).json())["results"] == [made]


async def test_a_namespace_nobody_registered_is_registered_at_first_sight(adobe: HttpClient):
    schema = await make(adobe, a_schema(CRM))
    await named(adobe, schema, "/_yourTenantId/systemIdentifier/crmId")
    found = await (await adobe.get("/data/core/idnamespace/identities")).json()
    (namespace,) = [each for each in found if each["custom"]]
    assert (namespace["code"], namespace["idType"]) == ("lumaCrmId", "CROSS_DEVICE")


async def test_a_namespace_can_be_named_by_its_number(adobe: HttpClient):
    schema = await make(adobe, a_schema(CRM))
    more = {"xdm:namespace": 6, "xdm:property": "xdm:id"}
    path = "/_yourTenantId/systemIdentifier/crmId"
    assert (await named(adobe, schema, path, **more)).status == 201
    answer = await named(adobe, schema, path, **{**more, "xdm:namespace": 123456})
    assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_schema_has_one_primary_identity_and_a_field_is_one_identity(adobe: HttpClient):
    schema = await make(adobe, a_schema(CRM))
    first, second = "/_yourTenantId/systemIdentifier/crmId", "/person/name/firstName"
    assert (await named(adobe, schema, first)).status == 201
    for path in (first, second):
        answer = await named(adobe, schema, path)
        assert problem(await answer.json()) == (409, "conflict")
    assert (await named(adobe, schema, second, **{"xdm:isPrimary": False})).status == 201


async def test_bad_descriptors_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    schema = await make(adobe, a_schema(CRM))
    for more, said in (
        ({"xdm:sourceProperty": "/nothing"}, "no field /nothing"),
        ({"xdm:sourceProperty": "/person"}, "is object"),
        ({"xdm:sourceProperty": "/tags"}, "is array"),
        ({"xdm:sourceProperty": "/identityMap"}, "is identityMap"),
        ({"xdm:sourceProperty": "person"}, "xdm:sourceProperty"),
        ({"xdm:sourceProperty": 5}, "xdm:sourceProperty"),
        ({"xdm:sourceSchema": "https://ns.adobe.com/x"}, "xdm:sourceSchema"),
        ({"xdm:sourceSchema": None}, "xdm:sourceSchema"),
        ({"xdm:namespace": ""}, "xdm:namespace"),
        ({"xdm:namespace": {"a": 1}}, "xdm:namespace"),
        ({"xdm:property": "xdm:name"}, "xdm:property"),
        ({"xdm:isPrimary": "perhaps"}, "xdm:isPrimary"),
        ({"@type": "OneToOne"}, "@type"),
        ({"@type": None}, "@type"),
    ):
        with subtests.test(f"{more} {said}"):
            answer = await named(adobe, schema, "/_yourTenantId/systemIdentifier/crmId", **more)
            body = await answer.json()
            assert answer.status == 400
            assert said in body["detail"]
            assert (await (await adobe.get(DESCRIPTORS)).json())["results"] == []


async def test_unknown_descriptors_are_not_found(adobe: HttpClient):
    answer = await adobe.get(f"{DESCRIPTORS}/nothing")
    assert problem(await answer.json()) == (404, "not_found")
