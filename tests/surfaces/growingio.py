"""What tests of GrowingIO's dialect call with: a token alone, and a project that is defined."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from catalog.access import ALL
from catalog.organisations import Caller, ClientId, Scope
from service.surfaces.http import Operations
from tests.surfaces.client import HttpClient

SCHEMAS = "/data/foundation/schemaregistry/tenant/schemas"

PERSON: Mapping[str, Any] = {
    "title": "Person",
    "type": "object",
    "allOf": [{"$ref": "https://ns.adobe.com/xdm/context/profile"}],
    "properties": {
        "person": {
            "type": "object",
            "properties": {
                "gender": {"type": "string"},
                "age": {"type": "integer"},
                "lastSeenAt": {"type": "string", "format": "date-time"},
            },
        },
        "loyalty": {
            "type": "object",
            "properties": {
                "tier": {"type": "string"},
                "badges": {"type": "array", "items": {"type": "string"}},
            },
        },
    },
    "meta:immutableTags": ["union"],
}


def a_caller(scope: Scope) -> Caller:
    return Caller(client_id=ClientId("a-program"), scope=scope, request_id="r-1", may=ALL)


async def a_token(operations: Operations, scope: Scope) -> str:
    """A personal token of a client of an organisation."""
    _, token = await operations.personal_tokens.make("any", None, by=a_caller(scope))
    return token


@pytest.fixture
async def gio(
    running: TestServer, operations: Operations, scope: Scope
) -> AsyncIterator[HttpClient]:
    """Calls as the documents do: with a token, and in English."""
    token = await a_token(operations, scope)
    headers = {"Authorization": f"Bearer {token}", "language": "US"}
    async with TestClient(running, headers=headers) as client:
        yield client


@pytest.fixture
async def foreign_gio(
    running: TestServer, operations: Operations, foreign_scope: Scope
) -> AsyncIterator[HttpClient]:
    """The same of another organisation."""
    token = await a_token(operations, foreign_scope)
    headers = {"Authorization": f"Bearer {token}", "language": "US"}
    async with TestClient(running, headers=headers) as client:
        yield client


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """Short ids of what is defined, and the key of a segment."""

    project: str
    space: str
    segment: str
    segment_id: str

    @property
    def of_project(self) -> str:
        return f"/v1/api/projects/{self.project}"

    @property
    def of_space(self) -> str:
        return f"{self.of_project}/spaces/{self.space}"


@pytest.fixture
async def defined(adobe: HttpClient, gio: HttpClient, scope: Scope) -> Defined:
    """The properties of the documents' examples, a space, and a segment."""
    assert (await adobe.post(SCHEMAS, json=PERSON)).status == 201
    namespace = {"code": "CRMID", "name": "CRM", "idType": "CROSS_DEVICE"}
    await adobe.post("/data/core/idnamespace/identities", json=namespace)
    (project,) = await (await gio.get("/v1/api/projects")).json()
    of_project = f"/v1/api/projects/{project['id']}"
    for collection, property in (
        ("user_identities", {"key": "$basic_userId", "name": "用户ID", "namespace": "CRMID"}),
        ("user_properties", {"key": "usr_gender", "name": "性别", "path": "person.gender"}),
        ("user_properties", {"key": "usr_age", "name": "年龄", "path": "person.age"}),
        ("user_tags", {"key": "tag_rfm", "name": "会员等级", "path": "loyalty.tier"}),
    ):
        made = await gio.post(f"{of_project}/{collection}", json=property)
        assert made.status == 200, await made.text()
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{project['id']}/spaces"
    space = await (await gio.post(spaces, json={"name": "运营"})).json()
    segment = await a_segment(adobe)
    return Defined(
        project=project["id"],
        space=space["id"],
        segment=segment["key"],
        segment_id=segment["id"],
    )


async def a_segment(
    adobe: HttpClient, *, name: str = "高价值用户", policy_id: str = "timestampOrdered-pdg-mp"
) -> dict[str, str]:
    """A segment that Adobe's dialect defined; its id and its key."""
    answer = await adobe.post(
        "/data/core/ups/segment/definitions",
        json={
            "name": name,
            "schema": {"name": "_xdm.context.profile"},
            "mergePolicyId": policy_id,
            "expression": {
                "type": "PQL",
                "format": "pql/text",
                "value": 'person.gender = "男"',
            },
        },
    )
    made = await answer.json()
    assert answer.status in {200, 201}, made
    return {"id": made["id"], "name": name, "key": made["key"]}
