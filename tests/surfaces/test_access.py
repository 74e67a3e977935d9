"""Scopes: each call needs one, and whoever lacks it is told so."""

from __future__ import annotations

import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from catalog.access import ALL, Access
from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from service.app import ROUTES, application
from service.surfaces.adobe import access as adobe
from service.surfaces.growingio import access as growingio
from service.surfaces.http import Operations, answer
from tests.specification import BY_ROUTE, OPERATIONS, template
from tests.surfaces.client import HttpClient, TestClient, headers_for, problem

GUARDED = [route for route in ROUTES if route.path.startswith("/data/")]
NEEDS = adobe.NEEDS

#: The same of GrowingIO's dialect.
BY_TOKEN = [
    route
    for route in ROUTES
    if route.path.startswith(("/v1/api/", "/v2/api/", "/download", "/graphql", "/projects/"))
]


def test_every_guarded_call_stands_in_the_table_and_no_other():
    assert {route.handler for route in GUARDED} == set(NEEDS)
    assert {route.handler for route in BY_TOKEN} == set(growingio.NEEDS)


def test_every_scope_is_good_for_something():
    assert {*NEEDS.values(), *growingio.NEEDS.values()} == ALL


#: Questions that are too long for an address.
ASKED_BY_POST = {
    # Where each field asks for the scope of what it does.
    "/graphql",
    "/projects/{project}/graphql",
    "/data/core/identity/v2/graph",
    "/data/core/ups/access/entities",
    "/data/core/ups/config/mergePolicies/bulk-get",
    "/data/core/ups/segment/definitions/bulk-get",
}


def test_whoever_may_only_read_changes_nothing():
    reads = [route for route in GUARDED if NEEDS[route.handler].endswith(":read")]
    reads += [route for route in BY_TOKEN if growingio.NEEDS[route.handler].endswith(":read")]
    assert {route.path for route in reads if route.method != "GET"} == ASKED_BY_POST


def test_the_specification_names_the_scope_of_each_call():
    said = {
        operation.id: operation.document["security"][0]["bearer"]
        for operation in OPERATIONS.values()
        if operation.path.startswith("/data/")
    }
    meant = {
        BY_ROUTE[route.method, template(route.path)].id: [NEEDS[route.handler].value]
        for route in GUARDED
    }
    # HEAD is answered by what answers GET, and may have a description of its own.
    assert meant.items() <= said.items()


def test_the_specification_names_the_scope_of_each_call_by_token():
    for route in BY_TOKEN:
        operation = BY_ROUTE[route.method, template(route.path)]
        needed = growingio.NEEDS[route.handler].value
        assert operation.document["security"] == [{"token": [needed]}], operation.id


@pytest.fixture
async def limited(
    running: TestServer, scope: Scope, database: Database, operations: Operations
) -> HttpClient:
    """Calls as a client that may do nothing."""
    nothing: frozenset[Access] = frozenset()
    headers = await headers_for(scope, database, operations, client_id="limited", scopes=nothing)
    return TestClient(running, headers=headers)


async def test_a_call_beyond_the_scopes_is_refused_by_name_on_every_route(limited: HttpClient):
    async with limited:
        for route in GUARDED:
            path = re.sub(r"\{[^}]*\}", "1", route.path)
            refused = await limited.request(route.method, path)
            needed = NEEDS[route.handler].value
            assert refused.status == 403, route.path
            assert (
                f'error="insufficient_scope", scope="{needed}"'
                in refused.headers["WWW-Authenticate"]
            )
            if route.method != "HEAD":
                body = await refused.json()
                assert problem(body) == (403, "insufficient_scope")
                assert needed in body["detail"]


@pytest.mark.parametrize("scope_", sorted(ALL), ids=str)
async def test_one_scope_opens_its_calls_and_no_others(
    stranger: HttpClient,
    scope: Scope,
    database: Database,
    operations: Operations,
    scope_: Access,
):
    headers = await headers_for(
        scope, database, operations, client_id="one", scopes=frozenset({scope_})
    )
    for route in GUARDED:
        path = re.sub(r"\{[^}]*\}", "1", route.path)
        answered = await stranger.request(route.method, path, headers=headers)
        is_refused = "insufficient_scope" in answered.headers.get("WWW-Authenticate", "")
        assert is_refused is (NEEDS[route.handler] is not scope_), (route.method, route.path)


async def test_a_route_that_was_forgotten_is_open_only_to_who_may_do_everything(
    scope: Scope, database: Database, operations: Operations
):
    async def forgotten(_: web.Request) -> web.Response:
        return answer({})

    app = application(operations)
    app.router.add_get("/data/forgotten", forgotten)
    most = await headers_for(
        scope, database, operations, client_id="most", scopes=ALL - {Access.AUDIT_READ}
    )
    everything = await headers_for(scope, database, operations, client_id="everything")
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/data/forgotten", headers=most)).status == 403
        assert (await client.get("/data/forgotten", headers=everything)).status == 200


async def test_a_scope_of_another_release_is_passed_over(
    stranger: HttpClient,
    db: Connection,
    scope: Scope,
    database: Database,
    operations: Operations,
):
    headers = await headers_for(scope, database, operations, client_id="old")
    await db.execute("UPDATE clients SET scopes = '{moon:walk,sandboxes:read}' WHERE id = 'old'")
    sandboxes = "/data/foundation/sandbox-management/sandboxes"
    assert (await stranger.get(sandboxes, headers=headers)).status == 200
    datasets = "/data/foundation/catalog/dataSets"
    assert (await stranger.get(datasets, headers=headers)).status == 403
