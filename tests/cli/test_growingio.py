"""What the commands of GrowingIO's dialect ask of the API, asked of the real application."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import ClientSession
from click.testing import CliRunner
from structlog.testing import capture_logs

from service.cli import datasets, definitions, main
from service.cli.api import Refused
from service.cli.definitions import Definition
from service.settings import PREFIX
from tests.cli.test_against_the_service import RECORD, a_source, make


async def test_properties_are_defined_in_the_project_of_the_sandbox(api, tmp_path):
    await make(api, a_source(tmp_path, RECORD, "crmId=crmId:primary"))
    wanted = [
        Definition(key="$crm_id", name="客户编号", namespace="CRMID"),
        Definition(key="usr_age", name="年龄", path="person.age"),
        Definition(key="tag_since", name="注册日期", path="person.since"),
    ]
    made = await definitions.define(api, wanted)
    assert [each["key"] for each in made] == ["$crm_id", "usr_age", "tag_since"]
    assert made[0]["namespace"] == "crmId"
    assert made[1]["valueType"] == {"type": "INT", "isArray": False}
    project = await definitions.project(api)
    assert project["key"] == api.access.sandbox
    listed = await api.get(f"{definitions.V1}/projects/{project['id']}/user_tags")
    assert [each["key"] for each in listed["values"]] == ["tag_since"]


async def test_what_cannot_be_defined_is_said_in_english(api):
    wanted = [Definition(key="usr_age", name="年龄", path="person.age")]
    with pytest.raises(Refused, match="the union schema has no field person"):
        await definitions.define(api, wanted)
    assert await api.get(datasets.DATASETS) == {}


@pytest.fixture
def call(access, monkeypatch):
    """Calls ``growingio`` as a person does, and gives what it says."""
    for name in ("base_url", "client_id", "client_secret", "org_id"):
        monkeypatch.setenv(f"{PREFIX}{name.upper()}", getattr(access, name))

    async def invoke(*arguments, exit_code=0):
        named = ["growingio", *arguments]
        with capture_logs():  # of the service, which is of the same process
            result = await asyncio.to_thread(CliRunner().invoke, main, named)
        assert result.exit_code == exit_code, result.output
        return result.output

    return invoke


async def test_what_is_defined_by_commands_is_shown_and_removed(call, api, tmp_path):
    await make(api, a_source(tmp_path, RECORD, "crmId=crmId:primary"))
    await call("define", "$crm_id", "客户编号", "--namespace", "CRMID")
    await call("define", "usr_age", "年龄", "--path", "person.age", "--description", "整数")
    made = json.loads(await call("define", "tag_since", "注册", "--path", "person.since", "--json"))
    assert (made["key"], made["valueType"]["type"]) == ("tag_since", "DATE")
    space = json.loads(await call("space", "运营", "--only", "id_$crm_id", "--json"))
    assert (space["identities"], space["tags"]) == (["$crm_id"], None)
    shown = await call("show")
    for word in ("prod", "运营", space["id"], "$crm_id", "crmId", "年龄", "person.since"):
        assert word in shown
    assert "no user property usr_no" in await call("remove", "usr_no", exit_code=1)
    await call("remove", "usr_age")
    left = json.loads(await call("show", "--json"))
    assert [each["key"] for each in left["properties"]] == ["$crm_id", "tag_since"]


async def test_a_token_looks_where_the_command_that_made_it_works(call, api):
    await call("project", "other", "其他项目")
    made = json.loads(await call("token", "夜间", "--sandbox", "other", "--json"))
    assert made["project"] == "other"
    few = json.loads(await call("token", "少", "--scope", "exports:write", "--json"))
    assert (few["project"], few["scopes"]) == (api.access.sandbox, ["exports:write"])
    whole = (await call("token", "全")).strip()
    headers = {"Authorization": f"Bearer {whole}"}
    async with (
        ClientSession(api.access.base_url, headers=headers) as session,
        session.get("/v1/api/projects") as answer,
    ):
        assert [each["key"] for each in await answer.json()] == ["prod", "other"]
    await call("revoke", made["id"])
    listed = await call("tokens")
    assert all(name in listed for name in ("夜间", "少", "全"))
    assert made["token"] not in listed
    assert "no project nowhere" in await call("token", "x", "--sandbox", "nowhere", exit_code=1)
