"""The specification and its page, as they are served; and the check that answers are held to it.

That every other answer of these tests is what the specification promises is seen to where the
service is made for them: ``tests/surfaces/client.py``.
"""

from __future__ import annotations

import re
import sys
from http import HTTPStatus

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from service.app import application
from service.surfaces.http import Operations, answer
from tests.specification import DOCUMENT, FILE, Conformance
from tests.surfaces.client import HttpClient


async def test_the_specification_is_served_to_everybody_as_it_is_written(stranger: HttpClient):
    answer = await stranger.get("/openapi.yaml")
    assert answer.content_type == "application/yaml"
    content = await answer.read()
    assert content == FILE.read_bytes()
    assert yaml.safe_load(content) == DOCUMENT


async def test_the_page_loads_nothing_from_elsewhere(stranger: HttpClient):
    answer = await stranger.get("/docs")
    text = await answer.text()
    assert answer.content_type == "text/html"
    links = re.findall(r'(?:src|href)="([^"]+)"', text)
    assert [link for link in links if not link.startswith(("/docs/", "data:"))] == []
    for link in links:
        if link.startswith("/"):
            assert (await stranger.get(link)).status == 200
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in policy


async def test_the_page_starts_swagger_ui_on_our_specification(stranger: HttpClient):
    start = await (await stranger.get("/docs/start.js")).text()
    assert 'url: "/openapi.yaml"' in start
    assert "validatorUrl: null" in start


async def test_swagger_ui_is_new_enough_for_openapi_3_1(stranger: HttpClient):
    bundle = await (await stranger.get("/docs/swagger-ui-bundle.js")).text()
    found = re.search(r'PACKAGE_VERSION:"(\d+)\.', bundle)
    assert found is not None
    assert int(found[1]) >= 5


@pytest.mark.parametrize("name", ["nothing.js", "LICENSE", "..%2F__init__.py", "%2Fetc%2Fpasswd"])
async def test_nothing_else_is_served_beside_the_page(stranger: HttpClient, name: str):
    assert (await stranger.get(f"/docs/{name}")).status == 404


async def test_serving_the_page_brings_no_flask_into_the_process(stranger: HttpClient):
    await stranger.get("/docs/swagger-ui.css")
    assert "flask" not in sys.modules


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (lambda: answer({"status": "fine"}), "is not one of ['ok']"),
        (lambda: answer({"status": "ok", "since": 5}), "'since' was unexpected"),
        (lambda: web.Response(text="ok"), "does not promise text/plain"),
        (lambda: answer({}, HTTPStatus.CREATED), "does not promise status 201"),
        (
            lambda: answer({"status": "ok"}, headers={"X-New": "1"}),
            "does not promise headers ['x-new']",
        ),
    ],
)
async def test_an_answer_that_was_not_promised_is_noticed(
    operations: Operations, broken, said: str
):
    app = application(operations)
    conformance = Conformance(app)

    @web.middleware
    async def instead(request, handler):  # noqa: ARG001 -- the library passes them by name
        return broken()

    app.middlewares.append(instead)
    async with TestServer(app) as server, TestClient(server) as client:
        await client.get("/health")
    (violation,) = conformance.violations
    assert said in violation
