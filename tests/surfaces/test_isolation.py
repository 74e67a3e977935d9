"""Nothing of one organisation can be seen or touched from another, on any route there is."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest

from service.app import ROUTES
from tests.surfaces.client import HttpClient

#: Routes that need no credentials, and answer everybody the same.
OPEN = {
    "/health",
    "/ready",
    "/metrics",
    "/ims/keys",
    "/ims/token/v2",
    "/ims/token/v3",
    "/accounts/oauth/access_token",
    "/docs",
    "/docs/{asset}",
    "/openapi.yaml",
}
GUARDED = [route for route in ROUTES if route.path not in OPEN]
OF_A_THING = [route for route in GUARDED if "{" in route.path]
"""Routes that name a thing which the other organisation has not."""


@dataclass(frozen=True)
class Ours:
    """One thing of each kind, made by us; where a route has an id, ours stands."""

    ids: dict[str, str]

    def path(self, written: str) -> str:
        """Put our own ids into a route."""
        for collection, id in self.ids.items():
            written = re.sub(rf"(/{collection})/{{\w+}}", rf"\1/{id}", written)
        return re.sub(r"\{[^}]*\}", "1", written)


@pytest.fixture
async def ours(adobe: HttpClient) -> Ours:
    schema = await adobe.post(
        "/data/foundation/schemaregistry/tenant/schemas",
        json={
            "title": "Ours",
            "type": "object",
            "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}],
        },
    )
    schema_id = (await schema.json())["$id"]
    alt_id = (await schema.json())["meta:altId"]
    dataset = await adobe.post(
        "/data/foundation/catalog/dataSets",
        json={
            "name": "Ours",
            "schemaRef": {
                "id": schema_id,
                "contentType": "application/vnd.adobe.xed+json;version=1",
            },
        },
    )
    (reference,) = await dataset.json()
    dataset_id = reference.rpartition("/")[2]
    batch = await adobe.post(
        "/data/foundation/import/batches",
        json={"datasetId": dataset_id, "inputFormat": {"format": "json"}},
    )
    batch_id = (await batch.json())["id"]
    policy = await adobe.post(
        "/data/core/ups/config/mergePolicies",
        json={
            "name": "Ours",
            "schema": {"name": "_xdm.context.profile"},
            "identityGraph": {"type": "pdg"},
            "attributeMerge": {"type": "timestampOrdered"},
        },
    )
    segment = await adobe.post(
        "/data/core/ups/segment/definitions",
        json={
            "name": "Ours",
            "expression": {"type": "PQL", "format": "pql/text", "value": '_id = "Ours"'},
            "schema": {"name": "_xdm.context.profile"},
        },
    )
    segment_id = (await segment.json())["id"]
    segment_job = await adobe.post("/data/core/ups/segment/jobs", json=[{"segmentId": segment_id}])
    return Ours(
        ids={
            "segment/definitions": segment_id,
            "segment/jobs": (await segment_job.json())["id"],
            "schemas": alt_id,
            "dataSets": dataset_id,
            "datasets": dataset_id,
            "batches": batch_id,
            "mergePolicies": (await policy.json())["id"],
        }
    )


async def test_a_stranger_is_refused_on_every_route(stranger: HttpClient):
    seen = {}
    for route in GUARDED:
        path = re.sub(r"\{[^}]*\}", "1", route.path)
        status = (await stranger.request(route.method, path)).status
        seen[path] = (status, 403 if path.startswith("/data/") else 401)
    assert {path: each for path, each in seen.items() if each[0] != each[1]} == {}


async def test_another_organisation_finds_none_of_our_things(
    foreign: HttpClient, adobe: HttpClient, ours: Ours
):
    seen = {}
    for route in OF_A_THING:
        answer = await foreign.request(route.method, ours.path(route.path), json={})
        text = await answer.text()
        seen[f"{route.method} {route.path}"] = answer.status
        assert answer.status < 500, (route.path, text)
        assert "Ours" not in text, route.path
    gone = {path: status for path, status in seen.items() if status not in {403, 404}}
    # What is wrong with the request itself may be said before it is looked whose the thing is.
    assert set(gone.values()) <= {400, 405, 415}, gone
    for path in (
        "catalog/dataSets/" + ours.ids["dataSets"],
        "catalog/batches/" + ours.ids["batches"],
    ):
        assert (await adobe.get("/data/foundation/" + path)).status == 200


async def test_another_organisation_lists_none_of_our_things(foreign: HttpClient, ours: Ours):
    lists = [route for route in GUARDED if route.method == "GET" and "{" not in route.path]
    assert lists
    for route in lists:
        listed = await (await foreign.get(route.path)).text()
        assert "Ours" not in listed, route.path
        assert not [id for id in ours.ids.values() if id in listed], route.path
