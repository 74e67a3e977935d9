"""Field groups, data types and classes over HTTP, and the schemas that are composed of them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.surfaces.client import HttpClient, problem
from tests.surfaces.test_schemas import (
    DATASETS,
    DESCRIPTORS,
    EVENT,
    PROFILE,
    REGISTRY,
    SCHEMAS,
    STRING,
    TAG_AS_UNION,
    a_schema,
    an_object,
    make,
    named,
    patch,
)

TENANT = REGISTRY + "/tenant"
FULL = {"Accept": "application/vnd.adobe.xed-full+json; version=1"}
RECORD = "https://ns.adobe.com/xdm/data/record"
TIME_SERIES = "https://ns.adobe.com/xdm/data/time-series"
KINDS = ("fieldgroups", "datatypes", "classes")


def a_group(title: str = "Identities", **properties: Any) -> dict[str, Any]:
    return {"title": title, **an_object(**properties)}


def a_part(kind: str, **properties: Any) -> dict[str, Any]:
    part = a_group(title=kind, **(properties or {"a": STRING}))
    return {**part, "allOf": [{"$ref": RECORD}]} if kind == "classes" else part


async def register(client: HttpClient, kind: str, document: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(f"{TENANT}/{kind}", json=document)
    body: dict[str, Any] = await answer.json()
    assert answer.status == 201, body
    return body


async def ask(client: HttpClient, method: str, kind: str, id: str, **sent: Any) -> tuple[int, Any]:
    answer = await client.request(method, f"{TENANT}/{kind}/{quote(id, safe='')}", **sent)
    return answer.status, await answer.json() if answer.status != 204 else None


@pytest.mark.parametrize("kind", KINDS)
async def test_a_part_is_registered_found_listed_changed_and_forgotten(
    adobe: HttpClient, foreign: HttpClient, kind: str
):
    document = a_part(kind)
    made = await register(adobe, kind, {**document, "description": None, "version": "9"})
    assert made["meta:resourceType"] == kind
    assert f"/{kind}/" in made["$id"]
    assert made["meta:altId"].split(".")[1] == kind
    assert (made["title"], made["version"], made["description"]) == (kind, "1.0", "")
    for id in (made["$id"], made["meta:altId"]):
        assert await ask(adobe, "GET", kind, id) == (200, made)
        assert (await ask(foreign, "GET", kind, id))[0] == 404
    listed = await (await adobe.get(f"{TENANT}/{kind}/")).json()
    assert listed["results"] == [made]
    assert listed["_page"] == {"orderby": "created", "next": None, "count": 1}
    assert (await (await foreign.get(f"{TENANT}/{kind}")).json())["results"] == []

    renamed = [{"op": "replace", "path": "/title", "value": "Renamed"}]
    status, body = await ask(adobe, "PATCH", kind, made["$id"], json=renamed)
    assert (status, body["title"], body["version"]) == (200, "Renamed", "1.1")
    status, body = await ask(adobe, "PUT", kind, made["$id"], json=document)
    assert (status, body["title"], body["version"]) == (200, kind, "1.2")
    for method in ("PATCH", "PUT", "DELETE"):
        sent = renamed if method == "PATCH" else document
        assert (await ask(foreign, method, kind, made["$id"], json=sent))[0] == 404
    assert await ask(adobe, "DELETE", kind, made["$id"]) == (204, None)
    assert (await ask(adobe, "GET", kind, made["$id"]))[0] == 404


@pytest.mark.parametrize("collection", ["mixins", "fieldGroups", "FIELDGROUPS/"])
async def test_field_groups_go_by_their_older_name_and_any_spelling(adobe, collection):
    made = await register(adobe, collection, a_group(a=STRING))
    assert made["meta:resourceType"] == "fieldgroups"
    assert (await ask(adobe, "GET", collection.rstrip("/"), made["$id"]))[0] == 200


@pytest.mark.parametrize(
    ("kind", "document", "said"),
    [
        ("fieldgroups", {}, "title"),
        ("fieldgroups", a_group(a={"type": "strange"}), "a: type 'strange'"),
        ("fieldgroups", a_group(a={"$ref": "https://nowhere"}), "nothing is known"),
        ("fieldgroups", {"title": "x", "allOf": [{"$ref": PROFILE}]}, "is a class"),
        ("datatypes", {"title": "x", "properties": []}, "properties"),
        ("datatypes", {"title": "x", "description": 5}, "description"),
        ("classes", {"title": "x"}, "built on one behaviour"),
        ("classes", {"title": "x", "allOf": [{"$ref": RECORD}, {"$ref": TIME_SERIES}]}, "one"),
    ],
)
async def test_a_part_that_cannot_be_read_is_refused(adobe, kind, document, said):
    answer = await adobe.post(f"{TENANT}/{kind}", json=document)
    body = await answer.json()
    assert (answer.status, body["title"]) == (400, "BadRequestError")
    assert said in body["detail"]


async def test_a_schema_is_composed_of_groups_and_types(adobe: HttpClient):
    price = await register(adobe, "datatypes", a_group("Price", amount={"type": "number"}))
    shop = await register(
        adobe, "fieldgroups", a_group("Shop", price={"$ref": price["$id"]}, code=STRING)
    )
    person = "https://ns.adobe.com/xdm/context/profile-person-details"
    made = await make(adobe, a_schema({"$ref": shop["$id"]}, {"$ref": person}))
    assert {shop["$id"], person, PROFILE} <= set(made["meta:extends"])
    answer = await adobe.get(f"{SCHEMAS}/{made['meta:altId']}", headers=FULL)
    full = (await answer.json())["properties"]
    assert full["price"]["properties"]["amount"]["type"] == "number"
    assert "firstName" in full["person"]["properties"]["name"]["properties"]
    _, group = await ask(adobe, "GET", "fieldgroups", shop["$id"], headers=FULL)
    assert group["properties"]["price"]["properties"]["amount"]["type"] == "number"
    status, standard = await ask(adobe, "GET", "fieldgroups", person)
    assert (status, standard["meta:containerId"]) == (200, "global")
    for kind, part in (("datatypes", price), ("fieldgroups", shop)):
        status, body = await ask(adobe, "DELETE", kind, part["$id"])
        assert problem(body) == (409, "conflict")
    assert "'Luma CRM'" in body["detail"]


async def test_a_part_that_changes_changes_what_is_composed_of_it(adobe: HttpClient):
    price = await register(adobe, "datatypes", a_group("Price", amount={"type": "integer"}))
    shop = await register(adobe, "fieldgroups", a_group("Shop", price={"$ref": price["$id"]}))
    made = await make(adobe, a_schema({"$ref": shop["$id"]}))
    assert (await patch(adobe, made, TAG_AS_UNION))[0] == 200

    async def union() -> dict[str, Any]:
        answer = await adobe.get(f"{TENANT}/unions/_xdm.context.profile__union")
        fields: dict[str, Any] = (await answer.json())["properties"]["price"]["properties"]
        return fields

    more = [{"op": "add", "path": "/properties/currency", "value": STRING}]
    assert (await ask(adobe, "PATCH", "datatypes", price["$id"], json=more))[0] == 200
    assert set(await union()) == {"amount", "currency"}
    for path, value, said in (
        ("/properties/amount", STRING, "price.amount was long and is string"),
        ("/properties", {"currency": STRING}, "price.amount is gone"),
        ("/required", ["currency"], "was not required"),
        ("/properties/self", {"$ref": price["$id"]}, "levels"),
    ):
        change = [{"op": "add", "path": path, "value": value}]
        status, body = await ask(adobe, "PATCH", "datatypes", price["$id"], json=change)
        assert status == 400
        assert said in body["detail"]
    assert set(await union()) == {"amount", "currency"}


async def test_what_nobody_uses_may_change_as_it_likes(adobe: HttpClient):
    shop = await register(adobe, "fieldgroups", a_group("Shop", price=STRING))
    made = await make(adobe, a_schema({"$ref": shop["$id"]}))
    status, _ = await ask(
        adobe, "PUT", "fieldgroups", shop["$id"], json=a_group("Shop", price={"type": "number"})
    )
    assert status == 200
    answer = await adobe.get(f"{SCHEMAS}/{made['meta:altId']}", headers=FULL)
    full = await answer.json()
    assert (full["properties"]["price"]["type"], full["version"]) == ("number", "1.1")
    status, _ = await patch(adobe, made, [{"op": "remove", "path": "/allOf/1"}])
    assert status == 200
    assert (await ask(adobe, "DELETE", "fieldgroups", shop["$id"]))[0] == 204
    assert (await ask(adobe, "DELETE", "schemas", made["$id"]))[0] == 204
    assert (await ask(adobe, "GET", "schemas", made["$id"]))[0] == 404


async def test_a_schema_in_use_stays(adobe: HttpClient, foreign: HttpClient):
    used, tagged = await make(adobe, a_schema()), await make(adobe, a_schema(title="Tagged"))
    answer = await adobe.post(DATASETS, json={"schemaRef": {"id": used["$id"]}})
    (reference,) = await answer.json()
    assert (await patch(adobe, tagged, TAG_AS_UNION))[0] == 200
    for made, said in ((used, "data set"), (tagged, "union")):
        _, body = await ask(adobe, "DELETE", "schemas", made["$id"])
        assert problem(body) == (409, "conflict")
        assert said in body["detail"]
        assert (await ask(foreign, "DELETE", "schemas", made["$id"]))[0] == 404
    assert (await adobe.delete(f"{DATASETS}/{reference.rpartition('/')[2]}")).status == 200
    assert (await ask(adobe, "DELETE", "schemas", used["$id"]))[0] == 204


async def test_a_schema_is_said_anew(adobe: HttpClient):
    made = await make(adobe, a_schema(an_object(a=STRING)))
    status, body = await ask(
        adobe, "PUT", "schemas", made["$id"], json=a_schema(an_object(b=STRING), title="New")
    )
    assert (status, body["title"], body["version"]) == (200, "New", "1.1")
    status, body = await ask(adobe, "PUT", "schemas", made["$id"], json=a_schema(of=EVENT))
    assert status == 400


async def test_rows_of_a_class_of_ones_own_never_become_part_of_profiles(adobe, db):
    product = await register(adobe, "classes", a_part("classes", sku=STRING))
    visits = {"title": "Visits", "allOf": [{"$ref": TIME_SERIES}]}
    visit = await register(adobe, "classes", visits)
    for made_class, behaviour in ((product, "record"), (visit, "time-series")):
        document = a_schema(an_object(name=STRING), of=made_class["$id"], title="Things")
        made = await make(adobe, {**document, "meta:immutableTags": ["union"]})
        assert made["meta:class"] == made_class["$id"]
        body = {
            "name": behaviour,
            "schemaRef": {"id": made["$id"]},
            "tags": {"unifiedProfile": ["enabled:true"]},
        }
        (reference,) = await (await adobe.post(DATASETS, json=body)).json()
        id = reference.rpartition("/")[2]
        shown = (await (await adobe.get(f"{DATASETS}/{id}")).json())[id]
        assert shown["classification"]["dataBehavior"] == behaviour
        assert shown["tags"]["unifiedProfile"] == ["enabled:true"]
        row = await db.fetchrow("SELECT is_profile_enabled FROM datasets WHERE id = $1", id)
        assert not row["is_profile_enabled"]
    union = await (await adobe.get(f"{TENANT}/unions/_xdm.context.profile__union")).json()
    assert {"sku", "name"}.isdisjoint(union["properties"])


async def test_listings_are_paged_and_ordered(adobe: HttpClient):
    for title in ("b", "c", "a"):
        await register(adobe, "fieldgroups", a_group(title, x=STRING))

    async def page(**params: Any) -> tuple[list[str], Any]:
        body = await (await adobe.get(f"{TENANT}/fieldgroups", params=params)).json()
        return [each["title"] for each in body["results"]], body["_page"]["next"]

    assert await page() == (["b", "c", "a"], None)
    assert await page(orderby="title") == (["a", "b", "c"], None)
    assert await page(orderby="-title", limit=2) == (["c", "b"], "2")
    assert await page(orderby="-title", limit=2, start=2) == (["a"], None)
    assert await page(orderby="version,-title", start=1) == (["b", "a"], None)
    assert await page(property="title>=b") == (["b", "c"], None)
    assert await page(property="!description2") == (["b", "c", "a"], None)
    assert await page(property="version<=1.0", start=3) == ([], None)
    for params in ({"limit": 0}, {"start": -1}, {"orderby": "size"}, {"property": "=x"}):
        answer = await adobe.get(f"{TENANT}/fieldgroups", params=params)
        assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_schema_has_a_form_for_every_accept(adobe: HttpClient):
    made = await make(adobe, {**a_schema(an_object(title=STRING)), "description": "People"})
    await named(adobe, made, "/title")

    async def shown(accept: str) -> dict[str, Any]:
        headers = {"Accept": f"application/vnd.adobe.{accept}+json; version=1"}
        answer = await adobe.get(f"{SCHEMAS}/{made['meta:altId']}", headers=headers)
        assert answer.status == 200
        body: dict[str, Any] = await answer.json()
        return body

    assert await shown("xed") == await shown("nonsense") == made
    without = await shown("xed-full-notext")
    assert not {"title", "description"} & set(without)
    assert "title" in without["properties"]
    (descriptor,) = (await shown("xed-full-desc"))["meta:descriptors"]
    assert descriptor["xdm:sourceProperty"] == "/title"


async def test_descriptors_of_other_types_are_kept_without_effect(
    adobe: HttpClient, foreign: HttpClient
):
    made = await make(adobe, a_schema(an_object(sku=STRING)))
    identity = await (await named(adobe, made, "/sku", **{"xdm:isPrimary": None})).json()
    assert identity["xdm:isPrimary"] is False
    bodies = [
        {
            "@type": "xdm:descriptorReferenceIdentity",
            "xdm:sourceSchema": made["$id"],
            "xdm:sourceVersion": 1,
            "xdm:sourceProperty": "/productListItems[*]/SKU",
            "xdm:identityNamespace": "lumaProductSKU",
        },
        {
            "@type": "xdm:descriptorOneToOne",
            "xdm:sourceSchema": made["$id"],
            "xdm:sourceProperty": "/productListItems[*]/SKU",
            "xdm:destinationSchema": made["$id"],
            "xdm:destinationProperty": "/sku",
        },
    ]
    kept = []
    for body in bodies:
        answer = await adobe.post(DESCRIPTORS, json=body)
        assert answer.status == 201
        kept.append(await answer.json())
        assert kept[-1].items() >= body.items()
    listed = await (await adobe.get(DESCRIPTORS)).json()
    assert listed["results"] == [identity, *kept]

    async def form(accept: str) -> Any:
        headers = {"Accept": f"application/vnd.adobe.{accept}+json"}
        return await (await adobe.get(DESCRIPTORS, headers=headers)).json()

    types = ["xdm:descriptorIdentity", *(body["@type"] for body in bodies)]
    ids = [each["@id"] for each in (identity, *kept)]
    assert await form("xdm-id") == {type: [id] for type, id in zip(types, ids, strict=True)}
    links = await form("xdm-link")
    assert links[types[0]] == [f"/tenant/descriptors/{ids[0]}"]
    assert (await form("xdm"))[types[1]] == [kept[0]]
    assert (await form("xdm-v2"))["_page"]["next"] is None

    assert (await ask(foreign, "DELETE", "descriptors", ids[1]))[0] == 404
    for id in ids:
        assert (await ask(adobe, "DELETE", "descriptors", id))[0] == 204
    assert (await (await adobe.get(DESCRIPTORS)).json())["results"] == []


async def test_the_identity_of_a_schema_in_use_stays(adobe: HttpClient):
    made = await make(adobe, a_schema(an_object(sku=STRING)))
    identity = await (await named(adobe, made, "/sku")).json()
    assert (await adobe.post(DATASETS, json={"schemaRef": {"id": made["$id"]}})).status == 201
    _, body = await ask(adobe, "DELETE", "descriptors", identity["@id"])
    assert problem(body) == (409, "conflict")


async def test_schemas_that_type_a_field_apart_widen_or_do_not_agree(adobe, subtests):
    def typed(title: str, **field: Any) -> dict[str, Any]:
        return {**a_schema(an_object(x=field), title=title), "meta:immutableTags": ["union"]}

    await make(adobe, typed("Small", type="integer", **{"meta:xdmType": "int"}))
    await make(adobe, typed("Wide", type="integer"))
    union = await (await adobe.get(f"{TENANT}/unions/_xdm.context.profile__union")).json()
    assert union["properties"]["x"]["meta:xdmType"] == "long"
    for field in ({"type": "number"}, STRING, {"type": "array", "items": {"type": "integer"}}):
        with subtests.test(str(field)):
            answer = await adobe.post(SCHEMAS, json=typed("Other", **field))
            body = await answer.json()
            assert problem(body) == (409, "conflict")
            assert "field x cannot be in the union" in body["detail"]
            assert "'Other'" in body["detail"]
