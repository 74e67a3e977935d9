"""Nothing of GrowingIO's dialect leads from one organisation, or from one space, into another."""

from __future__ import annotations

import re

import pytest
from aiohttp.web import RouteDef

from catalog.organisations import Scope
from service.app import ROUTES
from service.surfaces.growingio.callers import speaks_at
from tests.surfaces.client import HttpClient
from tests.surfaces.growingio import Defined

OF_A_THING = [route for route in ROUTES if speaks_at(route.path) and "{" in route.path]

#: What a call needs so that nothing is wrong with it but whose the thing is.
BODIES = {
    "user_tags": {"key": "tag_theirs", "name": "x", "path": "loyalty.tier"},
    "user_properties": {"key": "usr_theirs", "name": "x", "path": "loyalty.tier"},
    "user_identities": {"key": "$theirs", "name": "x", "namespace": "CRMID"},
    "spaces": {"name": "theirs"},
    "graphql": {"query": "{ dataCenterTags { key } }"},
}


@pytest.fixture
async def ids(gio: HttpClient, defined: Defined, scope: Scope) -> dict[str, str]:
    """What stands in paths, by what is before it or by its own name."""
    job = await gio.post(f"{defined.of_project}/user_tags/tag_rfm/export_jobs", json={})
    token = await gio.post("/v1/api/tokens", json={"name": "ours"})
    return {
        "project": defined.project,
        "space": defined.space,
        "enterprise": scope.organisation_id,
        "user_tags/{key}": "tag_rfm",
        "user_properties/{key}": "usr_gender",
        "user_identities/{key}": "$basic_userId",
        "segment_profiles/{key}": defined.segment,
        "job/result/{id}": (await job.json())["id"],
        "tokens/{id}": (await token.json())["id"],
        "identity_key": "$basic_userId",
        "value": "C001",
    }


def path_of(route: RouteDef, ids: dict[str, str]) -> str:
    filled = route.path
    for name, id in ids.items():
        pattern = name if "{" in name else f"{{{name}}}"
        filled = filled.replace(pattern, pattern[: pattern.index("{")] + id)
    assert "{" not in filled, filled
    return filled


def body_of(route: RouteDef) -> dict[str, str]:
    named = [name for name in re.split(r"[/{}]+", route.path) if name in BODIES]
    return BODIES[named[-1]] if named and "export_jobs" not in route.path else {"name": "theirs"}


@pytest.mark.parametrize("route", OF_A_THING, ids=lambda route: f"{route.method} {route.path}")
async def test_another_organisation_finds_nothing_of_ours(
    gio: HttpClient, foreign_gio: HttpClient, ids: dict[str, str], route: RouteDef
):
    path = path_of(route, ids)
    answer = await foreign_gio.request(route.method, path, json=body_of(route))
    told = await answer.json()
    assert (answer.status, told["code"]) == (404, "not_found"), told
    assert set(told) == {"success", "code", "message", "detail", "requestId"}
    spaces = f"/v2/api/enterprise/{ids['enterprise']}/projects/{ids['project']}/spaces"
    assert [each["name"] for each in await (await gio.get(spaces)).json()] == ["运营"]


@pytest.mark.parametrize(
    "query",
    [
        '{{ tags(projectId: "{project}") {{ id }} }}',
        '{{ tag(projectId: "{space}", id: "{tag}") {{ id }} }}',
        '{{ segments(projectId: "{project}") {{ id }} }}',
        '{{ segment(projectId: "{project}", id: "{segment}") {{ id }} }}',
        '{{ userProfile(projectId: "{project}", userId: "1") {{ id }} }}',
        '{{ dataCenterUserProfile(userId: "1", tags: ["{tag}"]) {{ id }} }}',
        '{{ jobResult(id: "{job}") {{ id }} }}',
        'mutation {{ submitTagUserExportJob(tagId: "{tag}") {{ id }} }}',
        'mutation {{ submitTagUserExportJobByKey(parameter: {{tagKey: "tag_rfm"}}) {{ id }} }}',
        (
            'mutation {{ submitSegmentUserExportJob(projectId: "{project}", '
            'segmentId: "{segment}") {{ id }} }}'
        ),
        (
            'mutation {{ submitSegmentUserExportJob(projectId: "{their_project}", '
            'segmentId: "{segment}") {{ id }} }}'
        ),
    ],
)
async def test_another_organisations_documents_find_nothing_of_ours(
    gio: HttpClient, foreign_gio: HttpClient, defined: Defined, ids: dict[str, str], query: str
):
    (tag,) = (await (await gio.get("/v1/api/user_tags")).json())["values"]
    listed = await (await gio.get(f"{defined.of_project}/segment_profiles")).json()
    theirs = await (await foreign_gio.get("/v1/api/projects")).json()
    document = query.format(
        project=defined.project,
        space=defined.space,
        tag=tag["id"],
        segment=listed["values"][0]["id"],
        job=ids["job/result/{id}"],
        their_project=theirs[0]["id"],
    )
    answer = await (await foreign_gio.post("/graphql", json={"query": document})).json()
    assert answer["errors"][0]["extensions"]["code"] == "not_found"
    assert not any((answer["data"] or {}).values())


@pytest.mark.parametrize(
    "path", [route.path for route in ROUTES if speaks_at(route.path) and "{" not in route.path]
)
async def test_what_is_listed_for_another_organisation_is_its_own(
    foreign_gio: HttpClient, ids: dict[str, str], defined: Defined, path: str
):
    text = await (await foreign_gio.get(path)).text()
    for ours in (defined.project, defined.space, defined.segment, "tag_rfm", ids["tokens/{id}"]):
        assert ours not in text or path == "/graphql/schema"
