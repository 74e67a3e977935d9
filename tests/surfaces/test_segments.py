"""Segment definitions over HTTP: the documented calls, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import pytest

from catalog.organisations import Scope
from catalog.schemas import EVENT_CLASS, PROFILE_CLASS
from catalog.store.database import Connection
from catalog.store.schemas import SchemaStore
from tests.surfaces.client import HttpClient, problem

DEFINITIONS = "/data/core/ups/segment/definitions"
POLICIES = "/data/core/ups/config/mergePolicies"
PROFILE = {"name": "_xdm.context.profile"}
RULE = 'workAddress.country = "US"'


def a_schema(title: str, of: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "title": title,
        "type": "object",
        "meta:immutableTags": ["union"],
        "allOf": [{"$ref": of}, {"type": "object", "properties": properties}],
    }


TEXT = {"type": "string"}
PEOPLE = a_schema(
    "People",
    PROFILE_CLASS,
    {
        "person": {"type": "object", "properties": {"gender": TEXT}},
        "workAddress": {"type": "object", "properties": {"country": TEXT}},
        "age": {"type": "integer"},
    },
)
VISITS = a_schema("Visits", EVENT_CLASS, {"page": TEXT})


@pytest.fixture(autouse=True)
async def fields(db: Connection, scope: Scope, foreign_scope: Scope) -> None:
    """What rules may ask of profiles and events."""
    async with db.transaction():
        for each in (scope, foreign_scope):
            await SchemaStore(db).add(each, PEOPLE, actor="test")
            await SchemaStore(db).add(each, VISITS, actor="test")


def documented(**more: Any) -> dict[str, Any]:
    """The published create call."""
    return {
        "name": "People who work in the US",
        "profileInstanceId": "ups",
        "description": "As their address says",
        "expression": {"type": "PQL", "format": "pql/text", "value": RULE},
        "evaluationInfo": {
            "batch": {"enabled": True},
            "continuous": {"enabled": False},
            "synchronous": {"enabled": False},
        },
        "schema": PROFILE,
        "payloadSchema": "string",
        **more,
    }


async def make(client: HttpClient, **more: Any) -> dict[str, Any]:
    answer = await client.post(DEFINITIONS, json=documented(**more))
    made: dict[str, Any] = await answer.json()
    assert answer.status == 200, made
    return made


async def show(client: HttpClient, id: str) -> dict[str, Any]:
    answer = await client.get(f"{DEFINITIONS}/{id}")
    shown: dict[str, Any] = await answer.json()
    assert answer.status == 200, shown
    return shown


async def listed(client: HttpClient, query: str = "") -> tuple[list[str], dict[str, Any]]:
    """The names on a page, and what the answer says beside them."""
    answer = await client.get(DEFINITIONS + query)
    page = await answer.json()
    assert answer.status == 200, page
    return [each["name"] for each in page.pop("segments")], page


async def test_the_documented_create_call_is_answered_in_its_shape(adobe: HttpClient, scope: Scope):
    made = await make(adobe)
    assert str(UUID(made["id"])) == made["id"]
    assert made["key"].startswith("seg_")
    assert made["updateEpoch"] == made["updateTime"] // 1000
    assert made["creationTime"] <= made["updateTime"]
    assert made == await show(adobe, made["id"])
    told = {key: value for key, value in made.items() if key not in {"id", "key"}}
    times = {key: told.pop(key) for key in ("creationTime", "updateTime", "updateEpoch")}
    assert all(isinstance(each, int) for each in times.values())
    assert told == {
        "version": 1,
        "profileInstanceId": "ups",
        "imsOrgId": scope.organisation_id,
        "sandbox": {
            "sandboxId": str(scope.sandbox_id),
            "sandboxName": "prod",
            "type": "production",
            "default": True,
        },
        "name": "People who work in the US",
        "description": "As their address says",
        "expression": {"type": "PQL", "format": "pql/text", "value": RULE},
        "schema": PROFILE,
        "mergePolicyId": "timestampOrdered-none-mp",
        "evaluationInfo": {
            "batch": {"enabled": True},
            "continuous": {"enabled": False},
            "synchronous": {"enabled": False},
        },
        "createdBy": "client-of-OURS@AdobeOrg",
        "updatedBy": "client-of-OURS@AdobeOrg",
    }


async def test_what_is_not_said_is_plain(adobe: HttpClient):
    answer = await adobe.post(
        DEFINITIONS, json={"name": "x", "expression": {"value": RULE}, "schema": PROFILE}
    )
    made = await answer.json()
    assert made["description"] == ""
    assert made["expression"] == {"type": "PQL", "format": "pql/text", "value": RULE}
    assert made["evaluationInfo"]["batch"] == {"enabled": True}
    assert "ttlInDays" not in made


async def test_what_callers_wish_is_kept_and_told(adobe: HttpClient):
    wished = {
        "batch": {"enabled": False},
        "continuous": {"enabled": "true"},
        "synchronous": {"enabled": True},
    }
    made = await make(adobe, evaluationInfo=wished, ttlInDays=90)
    assert made["evaluationInfo"]["continuous"] == {"enabled": True}
    assert made["evaluationInfo"]["batch"] == {"enabled": False}
    assert (await show(adobe, made["id"]))["ttlInDays"] == 90


async def test_rules_are_taken_as_trees_and_told_as_they_were_written(adobe: HttpClient):
    tree = (
        '{"nodeType":"fnApply","fnName":"in","params":[{"nodeType":"fieldLookup",'
        '"fieldName":"gender","object":{"nodeType":"fieldLookup","fieldName":"person",'
        '"object":{"nodeType":"literal","literalType":"XDMObject","value":"profile"}}},'
        '{"literalType":"List","nodeType":"literal","value":["female"]}]}'
    )
    expression = {"type": "PQL", "format": "pql/json", "value": tree}
    made = await make(adobe, expression=expression)
    assert made["expression"] == expression


async def test_a_rule_that_cannot_be_understood_is_refused_with_its_place(
    adobe: HttpClient, subtests: pytest.Subtests
):
    for rule, place, said in (
        ("workAddress.country =", (1, 22), "expected"),
        ('workAddress.country = "US" nad age > 3', (1, 28), "found nad where expected"),
        ('age > 3 and\n  workAddress.contry = "US"', (2, 15), "did you mean country?"),
        ('age = "three"', (1, 7), "do not compare"),
        ("person.gender", (1, 8), "expected a condition"),
        ('exists E from xEvent where (E.pgae = "x")', (1, 31), "did you mean page?"),
    ):
        with subtests.test(rule):
            answer = await adobe.post(DEFINITIONS, json=documented(expression={"value": rule}))
            refused = await answer.json()
            assert problem(refused) == (400, "invalid_rule"), refused
            assert said in refused["detail"]
            line, column = refused["report"]["line"], refused["report"]["column"]
            assert (line, column) == place, refused["detail"]
            assert refused["detail"].startswith(f"line {line}, column {column}: ")


async def test_bad_segments_are_refused_with_the_place(
    adobe: HttpClient, subtests: pytest.Subtests
):
    for change, said in (
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"expression": None}, "expression"),
        ({"expression": {"value": ""}}, "expression.value"),
        ({"expression": {"type": "ARL", "value": RULE}}, "expression.type"),
        ({"expression": {"format": "pql/xml", "value": RULE}}, "expression.format"),
        ({"expression": {"format": "pql/json", "value": RULE}}, "JSON"),
        ({"schema": None}, "schema"),
        ({"schema": {"name": "_xdm.context.account"}}, "schema.name"),
        ({"mergePolicyId": "none-such"}, "no merge policy none-such"),
        ({"ttlInDays": 0}, "ttlInDays"),
        ({"ttlInDays": "soon"}, "ttlInDays"),
        ({"evaluationInfo": {"batch": {"enabled": "perhaps"}}}, "evaluationInfo.batch.enabled"),
    ):
        with subtests.test(f"{change}"):
            answer = await adobe.post(DEFINITIONS, json=documented(**change))
            refused = await answer.json()
            assert answer.status == 400, refused
            assert said in refused["detail"]
    names, _ = await listed(adobe)
    assert names == []


async def test_a_name_is_taken_once_in_a_sandbox(adobe: HttpClient, foreign: HttpClient):
    made = await make(adobe, name="Ours alone")
    answer = await adobe.post(DEFINITIONS, json=documented(name="Ours alone"))
    refused = await answer.json()
    assert problem(refused) == (422, "name_taken")
    assert made["id"] in refused["detail"]
    other = await make(adobe, name="Another")
    answer = await adobe.patch(f"{DEFINITIONS}/{other['id']}", json={"name": "Ours alone"})
    assert problem(await answer.json()) == (422, "name_taken")
    await adobe.delete(f"{DEFINITIONS}/{made['id']}")
    await make(adobe, name="Ours alone")
    await make(foreign, name="Ours alone")


async def test_a_segment_moves_with_the_default_policy_unless_it_names_another(adobe: HttpClient):
    async def policy(**body: Any) -> str:
        answer = await adobe.post(POLICIES, json={"schema": PROFILE, **body})
        assert answer.status == 200
        return str((await answer.json())["id"])

    async def policies() -> list[str]:
        return [(await show(adobe, id))["mergePolicyId"] for id in ids]

    first = await policy(name="First", default=True)
    other = await policy(name="Other")
    ids = [
        (await make(adobe, name=str(number), **named))["id"]
        for number, named in enumerate(
            ({}, {"mergePolicyId": first}, {"mergePolicyId": other}, {"mergePolicyId": None})
        )
    ]
    assert await policies() == [first, first, other, first]
    second = await policy(name="Second", default=True)
    assert await policies() == [second, second, other, second]
    answer = await adobe.delete(f"{POLICIES}/{other}")
    assert problem(await answer.json()) == (409, "conflict")
    assert (await adobe.delete(f"{POLICIES}/{second}")).status == 200
    assert await policies() == ["timestampOrdered-none-mp"] * 2 + [
        other,
        "timestampOrdered-none-mp",
    ]
    assert (await adobe.delete(f"{DEFINITIONS}/{ids[2]}")).status == 200
    assert (await adobe.delete(f"{POLICIES}/{other}")).status == 200


async def test_a_policy_for_events_is_none_for_segments(adobe: HttpClient):
    body = {"name": "Events", "schema": {"name": "_xdm.context.experienceevent"}}
    id = (await (await adobe.post(POLICIES, json=body)).json())["id"]
    answer = await adobe.post(DEFINITIONS, json=documented(mergePolicyId=id))
    assert "not for profiles" in (await answer.json())["detail"]


async def test_a_change_lays_itself_over_the_segment(adobe: HttpClient):
    made = await make(adobe, ttlInDays=90)
    answer = await adobe.patch(
        f"{DEFINITIONS}/{made['id']}",
        json={"expression": {"value": 'workAddress.country = "CA"'}, "ttlInDays": None},
    )
    changed = await answer.json()
    assert answer.status == 200
    assert changed == await show(adobe, made["id"])
    assert changed["version"] == 2
    assert changed["expression"] == {
        "type": "PQL",
        "format": "pql/text",
        "value": 'workAddress.country = "CA"',
    }
    assert "ttlInDays" not in changed
    assert changed["updateTime"] > made["updateTime"]
    kept = ("id", "key", "name", "description", "creationTime", "mergePolicyId")
    assert {key: changed[key] for key in kept} == {key: made[key] for key in kept}


async def test_what_was_read_can_be_sent_back(adobe: HttpClient):
    made = await make(adobe)
    answer = await adobe.patch(f"{DEFINITIONS}/{made['id']}", json={**made, "name": "Renamed"})
    assert (await answer.json())["name"] == "Renamed"
    answer = await adobe.patch(f"{DEFINITIONS}/{made['id']}", json={"expression": {"value": "x"}})
    assert problem(await answer.json()) == (400, "invalid_rule")
    assert (await show(adobe, made["id"]))["expression"]["value"] == RULE


async def test_a_segment_that_is_gone_is_gone(adobe: HttpClient):
    made = await make(adobe)
    answer = await adobe.delete(f"{DEFINITIONS}/{made['id']}")
    assert (answer.status, await answer.read()) == (200, b"")
    for method in ("GET", "DELETE", "PATCH"):
        answer = await adobe.request(method, f"{DEFINITIONS}/{made['id']}", json={})
        assert problem(await answer.json()) == (404, "not_found")


async def test_several_are_found_at_once(adobe: HttpClient):
    made = [await make(adobe, name=str(number)) for number in range(3)]
    ids = [made[2]["id"], made[0]["id"], "4afe34ae-8c98-4513-8a1d-67ccaa54bc05"]
    answer = await adobe.post(DEFINITIONS + "/bulk-get", json={"ids": [{"id": id} for id in ids]})
    assert answer.status == 207
    results = (await answer.json())["results"]
    assert results == {each["id"]: each for each in (made[0], made[2])}


async def test_lists_are_paged_sorted_and_filtered(adobe: HttpClient, subtests: pytest.Subtests):
    for name in ("b", "a", "c"):
        streamed = {"continuous": {"enabled": name == "a"}}
        made = await make(adobe, name=name, evaluationInfo=streamed)
        if name == "b":
            first = made
    await adobe.patch(f"{DEFINITIONS}/{first['id']}", json={"description": "changed"})
    for query, expected in (
        ("", "cab"),
        ("?sort=creationTime:asc", "bac"),
        ("?sort=updateTime:desc", "bca"),
        ("?sort=updateTime", "bca"),
        ("?sort=name:asc", "abc"),
        ("?limit=2", "ca"),
        ("?limit=2&start=1", "ab"),
        ("?limit=2&page=0", "ca"),
        ("?limit=2&page=1", "b"),
        ("?limit=2&page=2", ""),
        ("?evaluationInfo.continuous.enabled=True", "a"),
        ("?evaluationInfo.continuous.enabled=false", "cb"),
    ):
        with subtests.test(query):
            names, _ = await listed(adobe, query)
            assert "".join(names) == expected
    _, page = await listed(adobe)
    assert page == {
        "page": {
            "totalCount": 3,
            "totalPages": 1,
            "sortField": "creationTime",
            "sort": "desc",
            "pageSize": 3,
            "limit": 100,
        },
        "link": {},
    }
    _, page = await listed(adobe, "?limit=2&sort=name:asc")
    assert (page["page"]["totalCount"], page["page"]["totalPages"]) == (3, 2)
    names, last = await listed(adobe, page["link"]["next"].removeprefix("/segment/definitions"))
    assert (names, last["link"]) == (["c"], {})


async def test_bad_lists_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    for query, said in (
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?start=-1", "start"),
        ("?page=x", "page"),
        ("?sort=size", "sort"),
        ("?sort=name:up", "sort"),
        ("?evaluationInfo.continuous.enabled=perhaps", "evaluationInfo.continuous.enabled"),
    ):
        with subtests.test(query):
            answer = await adobe.get(DEFINITIONS + query)
            refused = await answer.json()
            assert problem(refused) == (400, "invalid_field")
            assert said in refused["detail"]


async def test_a_create_that_is_sent_again_creates_once(adobe: HttpClient):
    headers = {"Idempotency-Key": "once"}
    answers = [await adobe.post(DEFINITIONS, json=documented(), headers=headers) for _ in range(2)]
    first, second = [await each.json() for each in answers]
    assert first == second
    names, _ = await listed(adobe)
    assert names == ["People who work in the US"]


async def test_a_trial_checks_and_keeps_nothing(adobe: HttpClient):
    headers = {"Pragma": "validate-only"}
    answer = await adobe.post(DEFINITIONS, json=documented(), headers=headers)
    assert (answer.status, (await answer.json())["version"]) == (200, 1)
    answer = await adobe.post(
        DEFINITIONS, json=documented(expression={"value": "x"}), headers=headers
    )
    assert problem(await answer.json()) == (400, "invalid_rule")
    names, _ = await listed(adobe)
    assert names == []
