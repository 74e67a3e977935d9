"""GrowingIO's dialect: what is defined in a project, and by whom it may be seen."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from catalog.access import ALL, Access
from catalog.jobs import Job, JobError, JobEvent, WorkerId
from catalog.organisations import Scope
from catalog.store.database import Connection, Database
from catalog.store.jobs import JobStore
from service.surfaces.growingio.wire import instant
from service.surfaces.http import Operations
from tests.surfaces.client import HttpClient, a_client
from tests.surfaces.growingio import Defined, a_caller, a_segment, a_token

DETECTOR = "stage detectedAt totalUsers usersRatio"

#: As documented: eight letters and digits, none of those that the scheme separates numbers by.
SHORT_ID = re.compile(r"[A-BDEGJ-RV-Za-bdegj-rv-z0-9]{8}")


async def test_a_project_is_a_sandbox_of_the_organisation(gio: HttpClient):
    (project,) = await (await gio.get("/v1/api/projects")).json()
    assert (project["name"], project["key"]) == ("Production", "prod")
    assert SHORT_ID.fullmatch(project["id"])


async def test_a_project_is_made_once_and_renamed(gio: HttpClient):
    asked = {"key": "test", "name": "测试"}
    made = await (await gio.post("/v1/api/projects", json=asked)).json()
    again = await (await gio.post("/v1/api/projects", json=asked)).json()
    assert made == again
    path = f"/v1/api/projects/{made['id']}"
    renamed = await (await gio.put(path, json={"name": "试验"})).json()
    assert renamed == {**made, "name": "试验"}
    listed = await (await gio.get("/v1/api/projects")).json()
    assert [each["key"] for each in listed] == ["prod", "test"]


@pytest.mark.parametrize("key", ["", "with blank", "-first", "a" * 64, "名"])
async def test_the_key_of_a_project_can_stand_in_a_header(gio: HttpClient, key: str):
    answer = await gio.post("/v1/api/projects", json={"key": key, "name": "x"})
    assert answer.status == 400


@pytest.mark.parametrize("name", ["", " ", "名" * 31, "a\nb"])
async def test_a_project_has_a_name_that_people_can_read(gio: HttpClient, name: str):
    made = await gio.post("/v1/api/projects", json={"key": "test", "name": name})
    (project,) = await (await gio.get("/v1/api/projects")).json()
    renamed = await gio.put(f"/v1/api/projects/{project['id']}", json={"name": name})
    for refused in (made, renamed):
        assert (refused.status, (await refused.json())["code"]) == (400, "invalid_field")


async def test_a_project_is_not_renamed_by_one_of_its_spaces(gio: HttpClient, defined: Defined):
    refused = await gio.put(f"/v1/api/projects/{defined.space}", json={"name": "别的"})
    assert (refused.status, (await refused.json())["detail"]) == (
        404,
        f"no project {defined.space}",
    )
    (project,) = await (await gio.get("/v1/api/projects")).json()
    assert project["name"] == "Production"


async def test_ids_of_different_nouns_differ(gio: HttpClient, defined: Defined):
    """Each is the first of its kind: without more, all would be the same number's."""
    tags = await (await gio.get("/v1/api/user_tags")).json()
    segment = await (
        await gio.get(f"{defined.of_project}/segment_profiles/{defined.segment}")
    ).json()
    ids = {defined.project, defined.space, tags["values"][0]["id"], segment["id"]}
    assert len(ids) == 4
    assert all(SHORT_ID.fullmatch(id) for id in ids)


async def test_a_tag_is_told_as_documented(gio: HttpClient, defined: Defined):
    page = await (await gio.get("/v1/api/user_tags")).json()
    assert {name: page[name] for name in page if name != "values"} == {
        "offset": 0,
        "limit": 1000,
        "totalCount": 1,
        "hasNextPage": False,
        "hasPreviousPage": False,
    }
    (tag,) = page["values"]
    assert tag["key"] == "tag_rfm"
    assert tag["name"] == "会员等级"
    assert tag["valueType"] == {"type": "STRING", "isArray": False}
    assert tag["detector"]["stage"] == "FINISH"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", tag["createdAt"])
    of_space = await (await gio.get(f"{defined.of_space}/user_tags")).json()
    assert of_space == page


async def test_pages_say_whether_there_are_others(gio: HttpClient, defined: Defined):
    path = f"{defined.of_project}/user_properties"
    first = await (await gio.get(path, params={"limit": 1})).json()
    second = await (await gio.get(path, params={"limit": 1, "offset": 1})).json()
    assert [each["key"] for each in first["values"]] == ["usr_gender"]
    assert [each["key"] for each in second["values"]] == ["usr_age"]
    assert (first["hasNextPage"], first["hasPreviousPage"]) == (True, False)
    assert (second["hasNextPage"], second["hasPreviousPage"]) == (False, True)


@pytest.mark.parametrize(
    ("collection", "property", "problem"),
    [
        ("user_tags", {"key": "usr_x", "name": "x", "path": "loyalty.tier"}, "no key of what"),
        ("user_tags", {"key": "rfm", "name": "x", "path": "loyalty.tier"}, "must start with"),
        ("user_tags", {"key": "tag_x-y", "name": "x", "path": "loyalty.tier"}, "letters, digits"),
        ("user_tags", {"key": "tag_1", "name": "x", "path": "loyalty.tier"}, "no digit first"),
        ("user_tags", {"key": "tag_x", "name": "x", "path": "loyalty.teir"}, "no field"),
        ("user_tags", {"key": "tag_x", "name": "x", "path": "loyalty"}, "is object"),
        ("user_tags", {"key": "tag_x", "name": "x", "path": "identityMap"}, "is identityMap"),
        ("user_tags", {"key": "tag_x", "name": "x"}, "needs the path"),
        ("user_tags", {"key": "tag_x", "name": " ", "path": "loyalty.tier"}, "1 to 30"),
        ("user_tags", {"key": "tag_x", "name": "长" * 31, "path": "loyalty.tier"}, "1 to 30"),
        ("user_tags", {"key": "tag_x", "name": "x\ny", "path": "loyalty.tier"}, "control"),
        (
            "user_tags",
            {"key": "tag_x", "name": "x", "path": "loyalty.tier", "description": "x" * 1001},
            "at most 1000",
        ),
        (
            "user_tags",
            {"key": "tag_x", "name": "x", "path": "person.age", "valueType": {"type": "STRING"}},
            "holds INT",
        ),
        (
            "user_tags",
            {
                "key": "tag_x",
                "name": "x",
                "path": "loyalty.badges",
                "valueType": {"type": "STRING", "isArray": False},
            },
            "loyalty.badges is a list",
        ),
        ("user_identities", {"key": "$x", "name": "x", "namespace": "NONE"}, "no namespace"),
        ("user_identities", {"key": "$x", "name": "x", "path": "person.age"}, "needs the code"),
    ],
)
async def test_what_cannot_be_a_property_is_refused(
    gio: HttpClient, defined: Defined, collection: str, property: dict[str, str], problem: str
):
    answer = await gio.post(f"{defined.of_project}/{collection}", json=property)
    body = await answer.json()
    assert answer.status == 400, body
    assert problem in body["message"]


@pytest.mark.parametrize(
    "taken",
    [
        {"key": "tag_rfm", "name": "other", "path": "loyalty.tier"},
        {"key": "tag_other", "name": "会员等级", "path": "loyalty.tier"},
    ],
)
async def test_keys_and_names_are_taken_once(
    gio: HttpClient, defined: Defined, taken: dict[str, str]
):
    answer = await gio.post(f"{defined.of_project}/user_tags", json=taken)
    assert (answer.status, (await answer.json())["code"]) == (409, "already_exists")


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("usr_gender", 200),
        ("gender", 200),
        ("usr_$basic_userId", 200),
        ("id_$basic_userId", 200),
        ("ids_$basic_userId", 200),
        ("id_$first", 400),
        ("ids_$first", 400),
        ("$first", 200),
        ("id_usr_gender", 400),
        ("basic_userId", 400),
    ],
)
async def test_a_key_asks_for_an_identity_or_for_a_user_property(
    gio: HttpClient, defined: Defined, key: str, status: int
):
    for own in ("usr_$basic_userId", "usr_$first"):
        asked = {"key": own, "name": own, "path": "person.gender"}
        assert (await gio.post(f"{defined.of_project}/user_properties", json=asked)).status == 200
    path = f"{defined.of_project}/user_tags/tag_rfm/export_jobs"
    answer = await gio.post(path, json={"properties": [key]})
    assert answer.status == status


async def test_a_bare_key_of_both_asks_for_the_user_property(
    gio: HttpClient, defined: Defined, db: Connection
):
    """The oldest documents ask for user properties without usr_."""
    asked = {"key": "usr_$basic_userId", "name": "编号", "path": "person.gender"}
    assert (await gio.post(f"{defined.of_project}/user_properties", json=asked)).status == 200
    path = f"{defined.of_project}/user_tags/tag_rfm/export_jobs"
    assert (await gio.post(path, json={"properties": ["$basic_userId"]})).status == 200
    order = await db.fetchval('SELECT "order" FROM jobs ORDER BY id DESC LIMIT 1')
    column = order["selection"]["table"]["columns"][1]
    assert (column["key"], column["path"]) == ("$basic_userId", ["person", "gender"])


async def test_a_list_of_values_is_told_to_be_one(gio: HttpClient, defined: Defined):
    tag = {"key": "tag_badges", "name": "徽章", "path": "loyalty.badges"}
    made = await (await gio.post(f"{defined.of_project}/user_tags", json=tag)).json()
    assert made["valueType"] == {"type": "STRING", "isArray": True}


async def test_a_property_is_changed_but_for_its_key(gio: HttpClient, defined: Defined):
    path = f"{defined.of_project}/user_tags/tag_rfm"
    changed = await gio.put(path, json={"name": "等级", "path": "loyalty.tier"})
    assert (await changed.json())["name"] == "等级"
    assert (await (await gio.get(path)).json())["name"] == "等级"
    refused = await gio.put(path, json={"key": "tag_x", "name": "x", "path": "loyalty.tier"})
    assert refused.status == 400


async def test_a_property_is_removed(gio: HttpClient, defined: Defined):
    path = f"{defined.of_project}/user_tags/tag_rfm"
    assert (await gio.delete(path)).status == 204
    assert (await gio.get(path)).status == 404
    assert (await gio.delete(path)).status == 404


async def test_a_space_may_use_what_it_was_given(gio: HttpClient, defined: Defined, scope: Scope):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    asked = {"name": "投放", "userProperties": ["usr_gender"], "tags": []}
    space = await (await gio.post(spaces, json=asked)).json()
    assert (space["identities"], space["userProperties"], space["tags"]) == (
        None,
        ["usr_gender"],
        [],
    )
    path = f"{defined.of_project}/spaces/{space['id']}"
    assert (await (await gio.get(f"{path}/user_tags")).json())["values"] == []
    refused = await gio.post(
        f"{path}/segment_profiles/{defined.segment}/export_jobs",
        json={"properties": ["usr_gender", "usr_age"]},
    )
    body = await refused.json()
    assert (refused.status, body["code"]) == (400, "unknown_properties")
    assert "usr_age" in body["message"]
    assert "usr_gender," not in body["message"]
    opened = await gio.put(f"{spaces}/{space['id']}", json={"name": "投放"})
    assert (await opened.json())["tags"] is None
    assert (await gio.delete(f"{spaces}/{space['id']}")).status == 204
    assert (await gio.get(f"{path}/user_tags")).status == 404


async def test_a_space_is_given_only_what_is_there(gio: HttpClient, defined: Defined, scope: Scope):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    answer = await gio.post(spaces, json={"name": "x", "tags": ["usr_gender"]})
    told = await answer.json()
    assert (answer.status, told["message"]) == (400, "tags: the project has no tag usr_gender")
    answer = await gio.post(spaces, json={"name": "x", "userProperties": ["usr_no"]})
    told = await answer.json()
    assert told["message"] == "userProperties: the project has no user property usr_no"


async def test_nothing_is_defined_in_a_space_that_the_space_would_not_see(
    gio: HttpClient, defined: Defined, scope: Scope
):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    space = await (await gio.post(spaces, json={"name": "投放", "tags": ["tag_rfm"]})).json()
    of_space = f"/v1/api/projects/{space['id']}"
    tag = {"key": "tag_badges", "name": "徽章", "path": "loyalty.badges"}
    refused = await gio.post(f"{of_space}/user_tags", json=tag)
    assert (refused.status, (await refused.json())["code"]) == (409, "conflict")
    user = {"key": "usr_tier", "name": "等级", "path": "loyalty.tier"}
    assert (await gio.post(f"{of_space}/user_properties", json=user)).status == 200
    listed = await (await gio.get(f"{defined.of_project}/user_tags")).json()
    assert [each["key"] for each in listed["values"]] == ["tag_rfm"]


async def test_the_portal_knows_the_callers_enterprise_alone(gio: HttpClient, defined: Defined):
    path = f"/v2/api/enterprise/THEIRS@AdobeOrg/projects/{defined.project}/spaces"
    answer = await gio.get(path)
    assert (answer.status, (await answer.json())["message"]) == (
        404,
        "no enterprise THEIRS@AdobeOrg",
    )


async def test_a_segment_of_one_space_is_hidden_from_another(
    adobe: HttpClient, gio: HttpClient, defined: Defined, scope: Scope
):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    other = await (await gio.post(spaces, json={"name": "其他"})).json()
    segment = await a_segment(adobe, name="运营分群")
    given = await gio.put(f"{defined.of_space}/segment_profiles/{segment['key']}")
    assert (await given.json())["spaceId"] == defined.space

    async def keys(path: str) -> list[str]:
        page = await (await gio.get(f"{path}/segment_profiles")).json()
        return [each["key"] for each in page["values"]]

    elsewhere = f"{defined.of_project}/spaces/{other['id']}"
    assert await keys(defined.of_space) == [defined.segment, segment["key"]]
    assert await keys(elsewhere) == [defined.segment]
    assert await keys(defined.of_project) == [defined.segment, segment["key"]]
    hidden = f"{elsewhere}/segment_profiles/{segment['key']}"
    assert (await gio.get(hidden)).status == 404
    assert (await gio.post(f"{hidden}/export_jobs", json={})).status == 404
    await gio.put(f"{defined.of_project}/segment_profiles/{segment['key']}")
    assert (await gio.get(hidden)).status == 200


async def test_a_space_is_given_no_segment_of_identities_one_by_one(
    adobe: HttpClient, gio: HttpClient, defined: Defined
):
    segment = await a_segment(adobe, name="身份", policy_id="timestampOrdered-none-mp")
    refused = await gio.put(f"{defined.of_space}/segment_profiles/{segment['key']}")
    assert (refused.status, (await refused.json())["code"]) == (409, "conflict")
    given = await gio.put(f"{defined.of_project}/segment_profiles/{segment['key']}")
    assert given.status == 200


async def test_the_policy_of_a_spaces_segment_goes_on_uniting_identities(
    adobe: HttpClient, gio: HttpClient, defined: Defined
):
    definitions = "/data/core/ups/segment/definitions"
    policies = "/data/core/ups/config/mergePolicies"
    policy = {"name": "united", "identityGraph": {"type": "pdg"}}
    policy |= {"schema": {"name": "_xdm.context.profile"}}
    policy["attributeMerge"] = {"type": "timestampOrdered"}
    made = await (await adobe.post(policies, json=policy)).json()
    segment = await a_segment(adobe, name="运营分群", policy_id=made["id"])
    path = f"{defined.of_space}/segment_profiles/{segment['key']}"
    assert (await gio.put(path)).status == 200
    apart = {**policy, "identityGraph": {"type": "none"}}
    graph = [{"op": "replace", "path": "/identityGraph.type", "value": "none"}]
    headers = {"Content-Type": "application/json"}
    one = await adobe.patch(f"{policies}/{made['id']}", json=graph, headers=headers)
    two = await adobe.put(f"{policies}/{made['id']}", json=apart)
    named = {"mergePolicyId": "timestampOrdered-none-mp"}
    three = await adobe.patch(f"{definitions}/{segment['id']}", json=named)
    for refused in (one, two, three):
        told = await refused.json()
        assert refused.status == 409, told
        assert segment["key"] in told["detail"]
    assert (await gio.put(f"{defined.of_project}/segment_profiles/{segment['key']}")).status == 200
    assert (await adobe.put(f"{policies}/{made['id']}", json=apart)).status == 200


async def test_a_segment_that_follows_the_default_keeps_it_from_uniting_nothing(
    adobe: HttpClient, gio: HttpClient, defined: Defined
):
    """Without a default, profiles are merged under a policy that unites no identities."""
    policies = "/data/core/ups/config/mergePolicies"
    policy = {"name": "united", "identityGraph": {"type": "pdg"}, "default": True}
    policy |= {"schema": {"name": "_xdm.context.profile"}}
    policy["attributeMerge"] = {"type": "timestampOrdered"}
    made = await (await adobe.post(policies, json=policy)).json()
    segment = await a_segment(adobe, name="运营分群", policy_id=made["id"])
    path = f"{defined.of_space}/segment_profiles/{segment['key']}"
    assert (await gio.put(path)).status == 200
    apart = {**policy, "name": "apart", "identityGraph": {"type": "none"}}
    replaced = await adobe.post(policies, json=apart)
    given_up = await adobe.put(f"{policies}/{made['id']}", json={**policy, "default": False})
    removed = await adobe.delete(f"{policies}/{made['id']}")
    for refused in (replaced, given_up, removed):
        told = await refused.json()
        assert refused.status == 409, told
        assert segment["key"] in told["detail"]
    assert (await (await adobe.get(f"{policies}/{made['id']}")).json())["default"] is True
    assert (await gio.put(f"{defined.of_project}/segment_profiles/{segment['key']}")).status == 200
    assert (await adobe.delete(f"{policies}/{made['id']}")).status in {200, 204}


async def test_a_path_may_call_a_space_a_project(gio: HttpClient, defined: Defined):
    """What is a project to version 2.9 is a space to the next."""
    page = await gio.get(f"/v1/api/projects/{defined.space}/segment_profiles")
    (segment,) = (await page.json())["values"]
    assert segment["key"] == defined.segment
    assert segment["detector"] == {"stage": "NONE", "detectedAt": None}


async def test_a_computation_is_triggered_once_at_a_time(gio: HttpClient, defined: Defined):
    path = f"{defined.of_project}/segment_profiles/{defined.segment}/computes"
    triggered = await gio.post(path, headers={"language": "CH"})
    assert await triggered.json() == {"value": True, "message": "触发计算成功"}
    again = await gio.post(path)
    assert (again.status, (await again.json())["code"]) == (409, "conflict")
    page = await (await gio.get(f"{defined.of_project}/segment_profiles")).json()
    assert page["values"][0]["detector"]["stage"] == "READY"


async def test_a_segment_tells_what_was_found_last_while_it_is_computed_again(
    gio: HttpClient, defined: Defined, db: Connection
):
    path = f"{defined.of_project}/segment_profiles/{defined.segment}"

    async def detector() -> dict[str, object]:
        query = f'{{ segments(projectId: "{defined.project}") {{ detector {{ {DETECTOR} }} }} }}'
        (segment,) = (await (await gio.post("/graphql", json={"query": query})).json())["data"][
            "segments"
        ]
        told: dict[str, object] = segment["detector"]
        assert (await (await gio.get(path)).json())["detector"].items() <= told.items()
        return told

    async def ended(event: JobEvent, **how: Any) -> Job:
        jobs = JobStore(db)
        job = await jobs.claim_next(WorkerId("w"), lease=timedelta(minutes=1))
        assert job is not None
        assert (await detector())["stage"] == "RUNNING"
        return await jobs.move(job, event, actor="test", **how)

    metrics = {
        "segments": {defined.segment_id: {"entered": 3, "stayed": 1, "left": 0}},
        "profiles": {"timestampOrdered-pdg-mp": 16},
    }
    await gio.post(f"{path}/computes")
    done = await ended(JobEvent.COMPLETE, metrics=metrics)
    assert done.finished_at is not None
    found = {"detectedAt": instant(done.finished_at), "totalUsers": 4, "usersRatio": 0.25}
    assert await detector() == {"stage": "FINISH", **found}
    await gio.post(f"{path}/computes")
    assert await detector() == {"stage": "READY", **found}
    failed = await ended(JobEvent.FAIL, failure=JobError(code="any", message="any"))
    assert failed.finished_at is not None
    failed_at = {"detectedAt": instant(failed.finished_at)}
    assert await detector() == {"stage": "ERROR", **found, **failed_at}


async def test_messages_come_in_the_language_asked_for(gio: HttpClient):
    path = "/v1/api/job/result/kqQeWeGr"
    chinese = await (await gio.get(path, headers={"language": "CH"})).json()
    english = await (await gio.get(path, headers={"language": "US"})).json()
    assert chinese["message"] == "导出任务 kqQeWeGr 不存在"
    assert english["message"] == "no user list kqQeWeGr"
    assert chinese["code"] == english["code"] == "not_found"
    assert chinese["success"] is False
    assert chinese["detail"] == english["detail"] == english["message"]


@pytest.mark.parametrize(
    ("path", "thing"),
    [
        ("user_tags/tag_no", "用户标签 tag_no"),
        ("user_tags/usr_gender", "用户标签 usr_gender"),
        ("user_properties/usr_no", "用户属性 usr_no"),
        ("user_identities/$no", "用户身份 $no"),
        ("segment_profiles/seg_no", "分群 seg_no"),
        ("users/$no/x", "用户身份 $no"),
    ],
)
async def test_what_is_missing_is_called_what_it_is(
    gio: HttpClient, defined: Defined, path: str, thing: str
):
    answer = await gio.get(f"{defined.of_project}/{path}", headers={"language": "CH"})
    assert (answer.status, (await answer.json())["message"]) == (404, f"{thing} 不存在")


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"null", {}, "请求体 无效"),
        (b"{", {}, "请求体 无效"),
        (b'{"name": "\\u0000"}', {}, "请求体 无效"),
        (b"{}", {"Idempotency-Key": "é"}, "请求头 Idempotency-Key 无效"),
        (b'{"properties": 5}', {}, "参数 properties 无效"),
        (b'{"properties": [""]}', {}, "属性不存在或未授权:''"),
    ],
)
async def test_what_of_a_request_is_wrong_is_said_in_chinese(
    gio: HttpClient, defined: Defined, body: bytes, headers: dict[str, str], message: str
):
    headers = {"Content-Type": "application/json", "language": "CH", **headers}
    path = f"{defined.of_project}/user_tags/tag_rfm/export_jobs"
    answer = await gio.post(path, data=body, headers=headers)
    assert (answer.status, (await answer.json())["message"]) == (400, message)


async def test_what_is_null_or_empty_counts_as_missing(gio: HttpClient, defined: Defined):
    """Clients of some languages send every field of a body."""
    path = f"{defined.of_project}/user_tags/tag_rfm/export_jobs"
    for nothing in (None, ""):
        asked = {"properties": None, "fileFormat": nothing, "csvHeaderType": nothing}
        assert (await gio.post(path, json=asked)).status == 200
    tag = {"key": "tag_badges", "name": "徽章", "path": "loyalty.badges"}
    nulls = {"description": None, "namespace": None, "valueType": None}
    made = await gio.post(f"{defined.of_project}/user_tags", json={**tag, **nulls})
    assert (await made.json())["description"] == ""


async def test_a_user_of_an_identity_that_none_can_have_is_nobody(
    gio: HttpClient, defined: Defined
):
    answer = await gio.get(f"{defined.of_project}/users/$basic_userId/{'x' * 1025}")
    assert await answer.json() == {"gioId": "0", "identifications": {}, "properties": {}}


async def test_a_download_says_which_file(gio: HttpClient):
    answer = await gio.get("/download")
    assert (answer.status, (await answer.json())["code"]) == (400, "invalid_field")


CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("POST", "/user_tags", {"key": "x", "name": "x", "path": "no.such"}, "key"),
        ("POST", "/user_tags", {"key": "tag_rfm", "name": "新", "path": "loyalty.tier"}, ""),
        ("POST", "/user_tags/tag_rfm/export_jobs", {"properties": ["usr_no"]}, "usr_no"),
        ("POST", "/user_tags/tag_rfm/export_jobs", {"fileFormat": "xml"}, "fileFormat"),
        ("GET", "/nowhere", None, ""),
        ("DELETE", "/job/result/kqQeWeGr", None, ""),
    ],
)
async def test_chinese_messages_have_no_english_in_them_but_names(
    gio: HttpClient, defined: Defined, method: str, path: str, body: object, named: str
):
    answer = await gio.request(
        method, defined.of_project + path, json=body, headers={"language": "CH"}
    )
    told = await answer.json()
    assert answer.status >= 400
    assert named in told["message"]
    assert CHINESE.search(told["message"])
    assert not re.search("[a-z]", told["message"].replace(named, ""))
    assert told["detail"]
    assert not CHINESE.search(told["detail"].replace("新", ""))


@pytest.mark.parametrize("scheme", ["Bearer {}", "Token {}", "{}", "bearer {}"])
async def test_a_token_comes_in_any_spelling(
    stranger: HttpClient, operations: Operations, scope: Scope, scheme: str
):
    token = await a_token(operations, scope)
    headers = {"Authorization": scheme.format(token)}
    assert (await stranger.get("/v1/api/projects", headers=headers)).status == 200


@pytest.mark.parametrize(
    "said", [None, "", "Bearer", "Bearer x", "Bearer 0f8fad5b-d9cb-469f-a165-70867728950e", "é"]
)
async def test_who_has_no_token_is_told_401(stranger: HttpClient, said: str | None):
    headers = {} if said is None else {"Authorization": said}
    answer = await stranger.get("/v1/api/projects", headers=headers)
    assert answer.status == 401
    assert "WWW-Authenticate" in answer.headers
    assert (await stranger.get("/v1/api/nowhere", headers=headers)).status == 401


async def test_a_token_is_told_once_and_good_until_it_is_revoked(
    gio: HttpClient, stranger: HttpClient
):
    made = await (await gio.post("/v1/api/tokens", json={"name": "夜间导出"})).json()
    headers = {"Authorization": f"Bearer {made['token']}"}
    listed = await (await gio.get("/v1/api/tokens")).json()
    assert made["token"] not in str(listed)
    assert {"name": "夜间导出", "project": "prod"}.items() <= listed[-1].items()
    assert (await gio.delete(f"/v1/api/tokens/{made['id']}")).status == 204
    assert (await stranger.get("/v1/api/projects", headers=headers)).status == 401
    assert (await gio.delete("/v1/api/tokens/kqQeWeGr")).status == 404


async def test_a_token_is_made_for_a_project(
    gio: HttpClient, stranger: HttpClient, defined: Defined
):
    asked = {"key": "other", "name": "其他"}
    other = await (await gio.post("/v1/api/projects", json=asked)).json()
    for project, expected in (
        (other["id"], []),
        (defined.project, ["tag_rfm"]),
        (None, ["tag_rfm"]),
    ):
        made = await gio.post("/v1/api/tokens", json={"name": "any", "projectId": project})
        token = (await made.json())["token"]
        headers = {"Authorization": token}
        listed = await (await stranger.get("/v1/api/user_tags", headers=headers)).json()
        assert [each["key"] for each in listed["values"]] == expected
    refused = await gio.post("/v1/api/tokens", json={"name": "any", "projectId": "AAAAAAAA"})
    assert (refused.status, (await refused.json())["code"]) == (404, "not_found")


async def test_a_token_may_do_less_than_its_maker_and_never_more(
    gio: HttpClient, stranger: HttpClient
):
    asked = {"name": "reader", "scopes": ["properties:read", "tokens:write"]}
    made = await (await gio.post("/v1/api/tokens", json=asked)).json()
    headers = {"Authorization": f"Bearer {made['token']}", "language": "US"}
    assert (await stranger.get("/v1/api/projects", headers=headers)).status == 200
    refused = await stranger.post("/v1/api/projects", json={}, headers=headers)
    assert (refused.status, (await refused.json())["code"]) == (403, "insufficient_scope")
    more = {"name": "more", "scopes": ["exports:write"]}
    beyond = await stranger.post("/v1/api/tokens", json=more, headers=headers)
    assert (beyond.status, (await beyond.json())["code"]) == (403, "forbidden")


async def test_a_token_does_no_more_than_its_client_still_may(
    stranger: HttpClient, operations: Operations, scope: Scope, database: Database
):
    await a_client(scope, database, client_id="a-program", scopes=ALL - {Access.PROPERTIES_READ})
    token = await a_token(operations, scope)
    headers = {"Authorization": token}
    assert (await stranger.get("/v1/api/projects", headers=headers)).status == 403
    assert (await stranger.get("/v1/api/tokens", headers=headers)).status == 200


async def test_a_token_of_a_client_that_was_disabled_is_refused(
    stranger: HttpClient, operations: Operations, scope: Scope, database: Database
):
    await a_client(scope, database, client_id="a-program")
    token = await a_token(operations, scope)
    client_id = a_caller(scope).client_id
    await operations.clients.disable(scope.organisation_id, client_id, by=client_id)
    answer = await stranger.get("/v1/api/projects", headers={"Authorization": token})
    assert answer.status == 401


async def test_tokens_are_not_kept_as_they_are(
    operations: Operations, scope: Scope, database: Database
):
    token = await a_token(operations, scope)
    async with database.transaction() as db:
        rows = await db.fetch("SELECT personal_tokens::text AS row FROM personal_tokens")
    assert token not in str([row["row"] for row in rows])


FORM = {"grant_type": "client_credentials", "client_id": "api", "scope": "system"}


async def test_a_secret_alone_gets_a_token_for_any_call(
    stranger: HttpClient, scope: Scope, database: Database
):
    await a_client(scope, database, client_id="ours", secret="a secret")  # noqa: S106
    answer = await stranger.post(
        "/accounts/oauth/access_token", data={**FORM, "client_secret": "a secret"}
    )
    token = (await answer.json())["access_token"]
    for said in (f"Token {token}", token, f"Bearer {token}"):
        called = await stranger.get("/v1/api/projects", headers={"Authorization": said})
        assert called.status == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({**FORM, "client_secret": "wrong"}, 401, "invalid_client"),
        (FORM, 400, "invalid_request"),
        ({**FORM, "more": "\0"}, 400, "invalid_request"),
        ({**FORM, "grant_type": "password"}, 400, "unsupported_grant_type"),
        ({**FORM, "client_secret": "x", "scope": "all"}, 400, "invalid_scope"),
        ({}, 400, "invalid_request"),
    ],
)
async def test_what_gets_no_token_is_told_why(
    stranger: HttpClient, form: dict[str, str], status: int, error: str
):
    answer = await stranger.post("/accounts/oauth/access_token", data=form)
    assert (answer.status, (await answer.json())["error"]) == (status, error)
