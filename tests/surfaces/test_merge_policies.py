"""Merge policies over HTTP: the documented calls, and what is refused."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from catalog.organisations import Scope
from tests.surfaces.client import HttpClient, problem

POLICIES = "/data/core/ups/config/mergePolicies"
DATASETS = "/data/foundation/catalog/dataSets"
UNION = "https://ns.adobe.com/xdm/context/profile__union"


async def make(client: HttpClient, **body: Any) -> dict[str, Any]:
    answer = await client.post(POLICIES, json=body)
    made: dict[str, Any] = await answer.json()
    assert answer.status == 200, made
    return made


async def a_dataset(client: HttpClient) -> str:
    answer = await client.post(DATASETS, json={"schemaRef": {"id": UNION}})
    return str((await answer.json())[0].rpartition("/")[2])


async def show(client: HttpClient, policy: dict[str, Any]) -> dict[str, Any]:
    answer = await client.get(f"{POLICIES}/{policy['id']}")
    shown: dict[str, Any] = await answer.json()
    assert answer.status == 200
    return shown


async def test_a_policy_is_created_as_the_documents_do(adobe: HttpClient, scope: Scope):
    order = [await a_dataset(adobe) for _ in range(2)]
    made = await make(
        adobe,
        name="Loyalty members ordered by ID",
        identityGraph={"type": "none"},
        attributeMerge={"type": "dataSetPrecedence", "order": order},
        schema={"name": "_xdm.context.profile"},
        isActiveOnEdge=True,
        default=True,
    )
    assert str(UUID(made["id"])) == made["id"]
    assert made.pop("updateEpoch") > 1_600_000_000
    assert made == {
        "id": made["id"],
        "name": "Loyalty members ordered by ID",
        "imsOrgId": scope.organisation_id,
        "sandbox": {
            "sandboxId": str(scope.sandbox_id),
            "sandboxName": "prod",
            "type": "production",
            "default": True,
        },
        "schema": {"name": "_xdm.context.profile"},
        "version": 1,
        "identityGraph": {"type": "none"},
        "attributeMerge": {"type": "dataSetPrecedence", "order": order},
        "isActiveOnEdge": True,
        "default": True,
    }
    assert (await show(adobe, made)).items() >= made.items()


async def test_what_is_not_said_is_plain(adobe: HttpClient):
    made = await make(adobe, name="Plain")
    assert made["identityGraph"] == {"type": "none"}
    assert made["attributeMerge"] == {"type": "timestampOrdered"}
    assert made["schema"] == {"name": "_xdm.context.profile"}
    assert made["default"] is False


async def test_a_new_default_takes_the_place_of_the_old_one(adobe: HttpClient):
    first = await make(adobe, name="First", default=True)
    events = await make(
        adobe, name="Events", default=True, schema={"name": "_xdm.context.experienceevent"}
    )
    second = await make(adobe, name="Second", default="true")
    assert (await show(adobe, first))["default"] is False
    assert (await show(adobe, first))["version"] == 2
    assert (await show(adobe, second))["default"] is True
    assert (await show(adobe, events))["default"] is True
    operation = {"op": "add", "path": "/default", "value": "true"}
    answer = await adobe.patch(f"{POLICIES}/{first['id']}", json=operation)
    assert (await answer.json())["default"] is True
    assert (await show(adobe, second))["default"] is False


async def test_a_new_policy_on_edge_takes_the_place_of_the_old_one(adobe: HttpClient):
    first = await make(adobe, name="First", isActiveOnEdge="true")
    events = {"name": "_xdm.context.experienceevent"}
    second = await make(adobe, name="Second", isActiveOnEdge=True, schema=events)
    shown = await show(adobe, first)
    assert (shown["isActiveOnEdge"], shown["version"]) == (False, 2)
    assert (await show(adobe, second))["isActiveOnEdge"] is True
    assert (await adobe.delete(f"{POLICIES}/{first['id']}")).status == 200


async def test_an_organisation_has_five_policies_at_most(adobe: HttpClient, foreign: HttpClient):
    made = [await make(adobe, name=f"Policy {n}") for n in range(5)]
    answer = await adobe.post(POLICIES, json={"name": "One too many"})
    body = await answer.json()
    assert problem(body) == (400, "invalid")
    assert "5 merge policies" in body["detail"]
    assert (await make(foreign, name="Theirs"))["version"] == 1
    await adobe.delete(f"{POLICIES}/{made[0]['id']}")
    await make(adobe, name="Another")


async def test_bad_policies_are_refused_with_the_place(
    adobe: HttpClient, subtests: pytest.Subtests
):
    for body, said in (
        ([], "object"),
        ({"name": 5}, "name"),
        ({"identityGraph": {"type": "public"}}, "identityGraph.type"),
        ({"identityGraph": "pdg"}, "identityGraph"),
        ({"attributeMerge": {"type": "newest"}}, "attributeMerge.type"),
        ({"attributeMerge": {"type": "dataSetPrecedence"}}, "attributeMerge.order"),
        ({"attributeMerge": {"type": "dataSetPrecedence", "order": []}}, "attributeMerge.order"),
        ({"attributeMerge": {"type": "dataSetPrecedence", "order": ["x"]}}, "no data set x"),
        ({"attributeMerge": {"type": "dataSetPrecedence", "order": ["x", "x"]}}, "twice"),
        ({"attributeMerge": {"type": "dataSetPrecedence", "order": "x"}}, "attributeMerge.order"),
        ({"attributeMerge": {"type": "timestampOrdered", "order": ["x"]}}, "only goes with"),
        ({"schema": {"name": "_xdm.context.account"}}, "schema.name"),
        ({"schema": {}}, "schema.name"),
        ({"default": "perhaps"}, "default"),
    ):
        with subtests.test(f"{body} {said}"):
            answer = await adobe.post(POLICIES, json=body)
            refused = await answer.json()
            assert answer.status == 400
            assert said in refused["detail"]


async def test_listings_link_to_the_next_page_until_the_end(adobe: HttpClient):
    made = [await make(adobe, name=f"Policy {n}") for n in range(3)]
    answer = await adobe.get(POLICIES, params={"limit": 2, "orderBy": "-name"})
    page = await answer.json()
    assert page["_page"] == {"totalCount": 3, "pageSize": 2}
    assert [each["name"] for each in page["children"]] == ["Policy 2", "Policy 1"]
    href = page["_links"]["next"]["href"]
    assert href.startswith("@/mergePolicies?")
    answer = await adobe.get(f"{POLICIES}?{href.partition('?')[2]}&limit=2")
    page = await answer.json()
    assert [each["id"] for each in page["children"]] == [made[0]["id"]]
    assert page["_links"] == {"next": {"href": ""}}


async def test_an_empty_listing_still_has_a_next_link(adobe: HttpClient):
    page = await (await adobe.get(POLICIES + "/")).json()
    assert page == {
        "_page": {"totalCount": 0, "pageSize": 0},
        "children": [],
        "_links": {"next": {"href": ""}},
    }


async def test_listings_are_filtered(adobe: HttpClient, subtests: pytest.Subtests):
    await make(adobe, name="Graph", identityGraph={"type": "pdg"}, default=True)
    await make(adobe, name="Events", schema={"name": "_xdm.context.experienceevent"})
    for params, found in (
        ({"default": "true"}, ["Graph"]),
        ({"identityGraph.type": "pdg"}, ["Graph"]),
        ({"attributeMerge.type": "timestampOrdered"}, ["Graph", "Events"]),
        ({"schema.name": "_xdm.context.experienceevent"}, ["Events"]),
        ({"isActiveOnEdge": "true"}, []),
        ({"version": "1"}, ["Graph", "Events"]),
        ({"orderBy": "+name"}, ["Events", "Graph"]),
    ):
        with subtests.test(f"{params} {found}"):
            page = await (await adobe.get(POLICIES, params=params)).json()
            assert [each["name"] for each in page["children"]] == found


async def test_bad_queries_are_refused(adobe: HttpClient, subtests: pytest.Subtests):
    for params in (
        {"limit": "0"},
        {"start": "-1"},
        {"start": "9" * 30},
        {"orderBy": "size"},
        {"identityGraph.type": "x"},
        {"version": "9" * 12},
    ):
        with subtests.test(f"{params}"):
            answer = await adobe.get(POLICIES, params=params)
            assert problem(await answer.json()) == (400, "invalid_field")


async def test_a_policy_is_replaced_whole(adobe: HttpClient):
    made = await make(adobe, name="Old", identityGraph={"type": "pdg"}, default=True)
    answer = await adobe.put(f"{POLICIES}/{made['id']}", json={**made, "name": "New"})
    changed = await answer.json()
    assert answer.status == 200
    assert (changed["name"], changed["version"]) == ("New", 2)
    assert changed["identityGraph"] == {"type": "pdg"}
    answer = await adobe.put(f"{POLICIES}/{made['id']}", json={"name": "Bare"})
    assert (await answer.json())["identityGraph"] == {"type": "none"}


async def test_a_policy_is_changed_by_one_operation_or_several(adobe: HttpClient):
    made = await make(adobe, name="Old")
    dataset = await a_dataset(adobe)
    one = {"op": "add", "path": "/identityGraph.type", "value": "pdg"}
    several = [
        {"op": "replace", "path": "/attributeMerge.type", "value": "dataSetPrecedence"},
        {"op": "add", "path": "/attributeMerge/order", "value": [dataset]},
        {"op": "add", "path": "/isActiveOnEdge", "value": "true"},
    ]
    for version, body in enumerate((one, several), 2):
        answer = await adobe.patch(f"{POLICIES}/{made['id']}", json=body)
        assert answer.status == 200
        assert (await answer.json())["version"] == version
    shown = await show(adobe, made)
    assert shown["identityGraph"] == {"type": "pdg"}
    assert shown["attributeMerge"] == {"type": "dataSetPrecedence", "order": [dataset]}
    assert shown["isActiveOnEdge"] is True


async def test_bad_changes_are_refused_and_change_nothing(
    adobe: HttpClient, subtests: pytest.Subtests
):
    made = await make(adobe, name="Old")
    for body in (
        {"op": "replace", "path": "/attributeMerge.type", "value": "dataSetPrecedence"},
        {"op": "replace", "path": "/identityGraph.type", "value": "x"},
        {"op": "add", "path": "/default", "value": "perhaps"},
        {"op": "remove", "path": "/schema.name"},
        {"op": "jump", "path": "/default"},
        [1],
        "x",
    ):
        with subtests.test(f"{body}"):
            answer = await adobe.patch(f"{POLICIES}/{made['id']}", json=body)
            assert problem(await answer.json()) == (400, "invalid_field")
            assert await show(adobe, made) == made


async def test_a_policy_is_removed_unless_it_is_active_on_edge(adobe: HttpClient):
    plain, on_edge = await make(adobe, name="a"), await make(adobe, isActiveOnEdge=True)
    answer = await adobe.delete(f"{POLICIES}/{plain['id']}")
    assert (answer.status, await answer.read()) == (200, b"")
    answer = await adobe.get(f"{POLICIES}/{plain['id']}")
    assert problem(await answer.json()) == (404, "not_found")
    answer = await adobe.delete(f"{POLICIES}/{on_edge['id']}")
    assert problem(await answer.json()) == (409, "conflict")


async def test_several_policies_are_found_at_once(adobe: HttpClient, foreign: HttpClient):
    made = [await make(adobe, name=f"Policy {n}") for n in range(2)]
    theirs = await make(foreign, name="Theirs")
    ids = [{"id": each["id"]} for each in (*made, theirs)]
    answer = await adobe.post(f"{POLICIES}/bulk-get", json={"ids": ids})
    assert answer.status == 207
    assert await answer.json() == {"results": {each["id"]: each for each in made}}


async def test_foreign_and_unknown_policies_are_not_found(adobe: HttpClient, foreign: HttpClient):
    made = await make(adobe, name="Ours", default=True)
    for id in (made["id"], "nothing"):
        for answer in (
            await foreign.get(f"{POLICIES}/{id}"),
            await foreign.put(f"{POLICIES}/{id}", json={"name": "x"}),
            await foreign.patch(f"{POLICIES}/{id}", json=[]),
            await foreign.delete(f"{POLICIES}/{id}"),
        ):
            assert problem(await answer.json()) == (404, "not_found")
    await make(foreign, name="Theirs", default=True)
    assert (await show(adobe, made))["default"] is True
    answer = await foreign.post(
        POLICIES,
        json={"attributeMerge": {"type": "dataSetPrecedence", "order": [await a_dataset(adobe)]}},
    )
    assert problem(await answer.json()) == (400, "invalid_field")
