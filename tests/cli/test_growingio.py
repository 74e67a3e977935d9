"""What the commands of GrowingIO's dialect ask of the API, asked of the real application."""

from __future__ import annotations

import pytest

from service.cli import datasets, definitions
from service.cli.api import Refused
from service.cli.definitions import Definition
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
