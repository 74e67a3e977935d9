"""Every example of sections 2.1 to 2.5 of the contract, from the rows to the downloaded file."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from datetime import timedelta
from urllib.parse import quote, unquote

import pytest
from aiohttp.test_utils import TestClient

from service.operations.hash_ids import Noun
from tests.acceptance.test_segments import files_of
from tests.acceptance.workbench import (
    a_dataset,
    call,
    reach,
    send,
    submit,
    working,
)
from tests.patience import PATIENCE_SECONDS
from tests.surfaces.client import adobe, foreign, operations, running, settings
from tests.surfaces.growingio import SCHEMAS, defined, foreign_gio, gio

__all__ = [
    "adobe",
    "defined",
    "foreign",
    "foreign_gio",
    "gio",
    "operations",
    "running",
    "settings",
    "working",
]

USERS = [
    {"id": "C001", "gender": "男", "tier": None, "email": "ann@example.com"},
    {"id": "C004", "gender": None, "tier": "低", "email": "bob@example.com"},
    {"id": "C007", "gender": "女", "tier": "高", "email": "cid@example.com"},
]


def a_row(user):
    crm = [{"id": user["id"], "primary": True}]
    row = {"identityMap": {"CRMID": crm, "Email": [{"id": user["email"]}]}}
    row["person"] = {"lastSeenAt": "2021-01-08T05:19:10.900Z"}
    if user["gender"]:
        row["person"]["gender"] = user["gender"]
    if user["tier"]:
        row["loyalty"] = {"tier": user["tier"]}
    return row


@pytest.fixture
async def ingested(adobe, defined, working):
    """The users of the examples, in a project in which all of it is defined."""
    (schema,) = (await call(adobe.get, SCHEMAS))["results"]
    tags = {"unifiedProfile": ["enabled:true"]}
    dataset_id = await a_dataset(adobe, schema["$id"], tags=tags)
    content = b"".join(json.dumps(a_row(user)).encode() + b"\n" for user in USERS)
    async with working():
        batch_id = await send(adobe, dataset_id, content)
        await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")
    return defined


async def finished(gio, submitted, *, path="/v1/api", stage="FINISH"):
    """Poll until a job has ended, as clients do; return its result."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            result = await call(gio.get, f"{path}/job/result/{submitted['id']}")
            if result["stage"] in {"FINISH", "ERROR"}:
                assert result["stage"] == stage, result
                return result
            assert result["uris"] == []
            await asyncio.sleep(0.05)


async def downloaded(gio, result):
    """The file of a job that has finished; its uri is put behind the address as it is."""
    (uri,) = result["uris"]
    answer = await gio.session.get(gio.make_url("/download?file=" + uri))
    assert answer.status == 200
    return await answer.text()


async def tag_list(gio, defined, **asked):
    path = f"{defined.of_space}/user_tags/tag_rfm/export_jobs"
    return await call(gio.post, path, json=asked)


def lines(text):
    return list(csv.reader(io.StringIO(text)))


async def computed(gio, defined):
    path = f"{defined.of_space}/segment_profiles/{defined.segment}"
    await call(gio.post, f"{path}/computes")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if (await call(gio.get, path))["detector"]["stage"] == "FINISH":
                return
            await asyncio.sleep(0.05)


async def test_csv_with_keys(gio, ingested, working):
    asked = ["id_$basic_userId", "usr_gender", "tag_rfm"]
    job = await tag_list(gio, ingested, properties=asked)
    async with working():
        text = await downloaded(gio, await finished(gio, job))
    header, *rows = text.splitlines()
    assert header == '"gio_id","id_$basic_userId","usr_gender","tag_rfm"'
    assert sorted(re.sub(r'^"\d+"', '"n"', row) for row in rows) == [
        '"n","C004",,"低"',
        '"n","C007","女","高"',
    ]


async def test_csv_with_names(gio, ingested, working):
    asked = ["id_$basic_userId", "usr_gender", "tag_rfm"]
    job = await tag_list(gio, ingested, properties=asked, fileFormat="csv", csvHeaderType="name")
    async with working():
        text = await downloaded(gio, await finished(gio, job))
    assert text.splitlines()[0] == '"gio_id","用户ID","性别","会员等级"'


async def test_json_is_one_object_a_line(gio, ingested, working):
    asked = ["id_$basic_userId", "usr_gender", "tag_rfm"]
    job = await tag_list(gio, ingested, properties=asked, fileFormat="json", csvHeaderType="name")
    async with working():
        text = await downloaded(gio, await finished(gio, job))
    users = [json.loads(line) for line in text.splitlines()]
    assert all(isinstance(user.pop("gio_id"), int) for user in users)
    assert sorted(users, key=str) == [
        {
            "identifications": {"id_$basic_userId": "C004"},
            "properties": {"usr_gender": None, "tag_rfm": "低"},
        },
        {
            "identifications": {"id_$basic_userId": "C007"},
            "properties": {"usr_gender": "女", "tag_rfm": "高"},
        },
    ]


@pytest.mark.parametrize("body", [b"", b"{}", b'{"properties": []}', b'{"properties": null}'])
async def test_without_properties_a_row_is_the_number_alone(gio, ingested, working, body):
    path = f"{ingested.of_space}/user_tags/tag_rfm/export_jobs"
    job = await call(gio.post, path, data=body, headers={"Content-Type": "application/json"})
    async with working():
        text = await downloaded(gio, await finished(gio, job))
    header, *rows = text.splitlines()
    assert header == '"gio_id"'
    assert len(rows) == 2
    assert all(re.fullmatch(r'"\d+"', row) for row in rows)


async def test_without_properties_a_line_of_json_is_the_number_alone(gio, ingested, working):
    job = await tag_list(gio, ingested, fileFormat="json")
    async with working():
        text = await downloaded(gio, await finished(gio, job))
    assert all(json.loads(line).keys() == {"gio_id"} for line in text.splitlines())


async def test_unknown_keys_are_refused_when_an_export_is_asked_for(gio, defined):
    path = f"{defined.of_space}/user_tags/tag_rfm/export_jobs"
    answer = await gio.post(path, json={"properties": ["usr_gender", "usr_nothing", "tag_none"]})
    body = await answer.json()
    assert (answer.status, body["code"]) == (400, "unknown_properties")
    assert "usr_nothing, tag_none" in body["message"]


async def test_more_than_sixty_properties_are_refused_when_an_export_is_asked_for(gio, defined):
    path = f"{defined.of_space}/user_tags/tag_rfm/export_jobs"
    asked = {"properties": [f"usr_{number}" for number in range(61)]}
    answer = await gio.post(path, json=asked, headers={"language": "CH"})
    body = await answer.json()
    assert (answer.status, body["code"]) == (400, "too_many_properties")
    assert body["message"] == "查询失败:最多可选 60 个属性,当前为 61 个"


async def test_a_segment_is_exported_with_the_users_it_has_for_adobes_callers(
    adobe, gio, ingested, working
):
    async with working():
        await computed(gio, ingested)
        path = f"{ingested.of_space}/segment_profiles/{ingested.segment}/export_jobs"
        job = await call(gio.post, path, json={"properties": ["id_$basic_userId"]})
        assert re.fullmatch(r"DES-\d{12}-\d{1,14}", job["name"])
        result = await finished(gio, job)
        users = {row[1] for row in lines(await downloaded(gio, result))[1:]}
        export = await submit(
            adobe,
            filter={"segments": [{"segmentId": ingested.segment_id}]},
            mergePolicy={"id": "timestampOrdered-pdg-mp"},
        )
        assert users == await _crm_ids(adobe, export) == {"C001"}
    (uri,) = result["uris"]
    assert "/" not in uri
    assert re.fullmatch(
        rf"/jobs/results/{job['name']}/高价值用户_\d{{4}}-\d\d-\d\d_UserList\.csv", unquote(uri)
    )


async def _crm_ids(adobe, job):
    await reach(adobe, f"/data/core/ups/export/jobs/{job['id']}", "SUCCEEDED")
    tables = await files_of(adobe, job["destination"]["batchId"])
    rows = [row for table in tables for row in table.to_pylist(maps_as_pydicts="strict")]
    return {row["identityMap"]["CRMID"][0]["id"] for row in rows}


@pytest.mark.parametrize(
    "path",
    [
        "{0.of_space}/user_tags/tag_rfm/export_jobs",
        "{0.of_project}/user_tags/tag_rfm/export_jobs",
        "/v1/api/projects/{0.space}/user_tags/tag_rfm/export_jobs",
        "/v1/api/user_tags/tag_rfm/export_jobs",
        "{0.of_space}/segment_profiles/{0.segment}/export_jobs",
        "{0.of_project}/segment_profiles/{0.segment}/export_jobs",
        "/v1/api/projects/{0.space}/segment_profiles/{0.segment}/export_jobs",
    ],
)
async def test_every_submit_path_makes_a_job_that_both_result_paths_know(gio, defined, path):
    submitted = await call(gio.post, path.format(defined), json={"properties": ["usr_gender"]})
    assert re.fullmatch(r"[a-zA-Z0-9]{8}", submitted["id"])
    assert submitted["name"].startswith("DES-" if "segment" in path else "DET-")
    for result in (
        f"/v1/api/job/result/{submitted['id']}",
        f"{defined.of_project}/job/result/{submitted['id']}",
        f"/v1/api/projects/{defined.space}/job/result/{submitted['id']}",
    ):
        assert await call(gio.get, result) == {"stage": "NONE", "uris": []}


async def test_a_segment_that_was_never_computed_ends_the_export_with_the_reason(
    gio, ingested, working
):
    path = f"{ingested.of_space}/segment_profiles/{ingested.segment}/export_jobs"
    job = await call(gio.post, path, json={})
    async with working():
        result = await finished(gio, job, stage="ERROR")
    assert result["uris"] == []
    assert "never been computed" in result["message"]
    asked = {"language": "CH"}
    chinese = await gio.get(f"/v1/api/job/result/{job['id']}", headers=asked)
    told = await chinese.json()
    assert told["message"] == "分群尚未计算,请先触发计算再导出"
    assert told["detail"] == result["message"]


async def test_a_property_that_was_deleted_ends_the_export_with_the_reason(gio, ingested, working):
    job = await tag_list(gio, ingested, properties=["usr_gender", "usr_age"])
    await gio.delete(f"{ingested.of_project}/user_properties/usr_age")
    async with working():
        result = await finished(gio, job, stage="ERROR")
    assert "usr_age was deleted" in result["message"]


async def test_storage_that_fails_ends_the_export_with_the_reason(
    gio, ingested, working, settings, operations, scope, monkeypatch
):
    """A file lies where the job's folder should be, in every attempt."""
    monkeypatch.setattr("service.worker.attempts.SHORTEST_DELAY", timedelta(0))
    job = await tag_list(gio, ingested, properties=["usr_gender"])
    number = (await operations.hash_ids.known()).number(Noun.JOB, job["id"])
    obstacle = settings.data.files_dir / f"sandboxes/{scope.sandbox_id}/jobs/{number}"
    obstacle.parent.mkdir(parents=True, exist_ok=True)
    obstacle.write_bytes(b"")
    async with working():
        result = await finished(gio, job, stage="ERROR")
    assert result["uris"] == []
    assert "files cannot be reached" in result["message"]
    query = f'{{ jobResult(id: "{job["id"]}") {{ stage uris jsonData }} }}'
    told = (await call(gio.post, "/graphql", json={"query": query}))["data"]["jobResult"]
    assert (told["stage"], told["uris"]) == ("ERROR", None)
    assert json.loads(told["jsonData"])["code"] == "storage_failed"


async def test_a_download_is_looked_up_among_jobs_and_comes_in_ranges(
    gio, stranger_to, ingested, working
):
    job = await tag_list(gio, ingested, properties=["usr_gender"])
    async with working():
        result = await finished(gio, job)
    (uri,) = result["uris"]
    address = gio.make_url("/download?file=" + uri)
    whole = await (await gio.session.get(address)).read()
    head = await gio.session.head(address)
    assert int(head.headers["Content-Length"]) == len(whole)
    part = await gio.session.get(address, headers={"Range": "bytes=3-9"})
    assert (part.status, await part.read()) == (206, whole[3:10])
    assert part.headers["Content-Range"] == f"bytes 3-9/{len(whole)}"
    beyond = await gio.session.get(address, headers={"Range": f"bytes={len(whole)}-"})
    assert beyond.status == 416
    again = await gio.session.get(address, headers={"If-None-Match": head.headers["ETag"]})
    assert again.status == 304
    any_version = await gio.session.get(address, headers={"If-None-Match": "*"})
    assert any_version.status == 304
    named = head.headers["Content-Disposition"]
    # Programs that know but the first name save under one that no other file has.
    assert named.startswith(f"attachment; filename=\"{job['name']}.csv\"; filename*=UTF-8''")
    assert unquote(named.rpartition("''")[2]).startswith("会员等级_")
    assert head.headers["Content-Type"] == "text/csv; charset=UTF-8"
    raw = quote(unquote(uri), safe="/")
    assert (await gio.session.get(gio.make_url("/download?file=" + raw))).status == 200
    for client in (stranger_to, gio):
        for path in ("/etc/passwd", uri + "x", "..%2F..%2Fetc%2Fpasswd", ""):
            answer = await client.get("/download?file=" + path)
            assert answer.status in ({400, 404} if client is gio else {401})
    assert (await stranger_to.get(f"/download?file={uri}")).status == 401


@pytest.fixture
async def stranger_to(running):
    async with TestClient(running) as client:
        yield client


async def test_another_organisation_sees_nothing_of_it(gio, foreign_gio, ingested, working):
    job = await tag_list(gio, ingested, properties=["usr_gender"])
    async with working():
        result = await finished(gio, job)
    (uri,) = result["uris"]
    of_project, of_space = ingested.of_project, ingested.of_space
    for method, path in (
        ("GET", f"/v1/api/job/result/{job['id']}"),
        ("GET", f"{of_project}/job/result/{job['id']}"),
        ("GET", f"{of_project}/user_tags"),
        ("GET", f"{of_project}/user_tags/tag_rfm"),
        ("DELETE", f"{of_project}/user_tags/tag_rfm"),
        ("GET", f"{of_space}/segment_profiles"),
        ("GET", f"{of_project}/segment_profiles/{ingested.segment}"),
        ("POST", f"{of_project}/segment_profiles/{ingested.segment}/export_jobs"),
        ("POST", f"{of_project}/segment_profiles/{ingested.segment}/computes"),
        ("POST", f"{of_space}/user_tags/tag_rfm/export_jobs"),
        ("POST", "/v1/api/user_tags/tag_rfm/export_jobs"),
        ("GET", f"/download?file={uri}"),
    ):
        answer = await foreign_gio.session.request(method, foreign_gio.make_url(path))
        assert answer.status == 404, path
        assert "会员等级" not in (await answer.text()).replace(unquote(uri), "")
    listed = await call(foreign_gio.get, "/v1/api/projects")
    assert ingested.project not in str(listed)


async def test_the_list_of_one_space_is_hidden_from_another(gio, defined, scope):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    other = await call(gio.post, spaces, json={"name": "其他"})
    job = await tag_list(gio, defined)
    elsewhere = await gio.get(f"/v1/api/projects/{other['id']}/job/result/{job['id']}")
    assert elsewhere.status == 404


async def listed(gio, path, asked):
    """A page of users; one that takes longer than a call may is asked for again, as told."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await gio.get(path, params=asked)
            if answer.status != 503:
                assert answer.status == 200, await answer.text()
                return await answer.json()
            assert "Retry-After" in answer.headers


async def test_users_of_a_tag_are_listed_page_by_page(gio, ingested, working):
    path = f"{ingested.of_space}/user_tags/tag_rfm/users"
    asked = [("properties", "ids_$basic_userId"), ("properties[]", "usr_gender"), ("limit", "1")]
    async with working():
        first = await listed(gio, path, asked)
        second = await listed(gio, path, [*asked, ("offset", "1")])
        beyond = await listed(gio, path, [*asked, ("offset", "2")])
    assert (first["totalCount"], first["hasNextPage"]) == (2, True)
    assert (second["hasNextPage"], second["hasPreviousPage"]) == (False, True)
    assert beyond["values"] == []
    users = first["values"] + second["values"]
    assert all(re.fullmatch(r"\d+", user.pop("gioId")) for user in users)
    assert sorted(users, key=str) == [
        {
            "identifications": {"id_$basic_userId": ["C004"]},
            "properties": {"usr_gender": None},
        },
        {
            "identifications": {"id_$basic_userId": ["C007"]},
            "properties": {"usr_gender": "女"},
        },
    ]


async def test_users_of_a_segment_are_those_of_its_export(gio, ingested, working):
    path = f"{ingested.of_project}/segment_profiles/{ingested.segment}/users"
    async with working():
        await computed(gio, ingested)
        page = await listed(gio, path, {"properties": "id_$basic_userId"})
    (user,) = page["values"]
    assert user["identifications"] == {"id_$basic_userId": ["C001"]}


async def test_more_than_twenty_properties_of_listed_users_are_refused(gio, defined):
    asked = [("properties", f"usr_{number}") for number in range(21)]
    answer = await gio.get(f"{defined.of_space}/user_tags/tag_rfm/users", params=asked)
    assert (answer.status, (await answer.json())["code"]) == (400, "too_many_properties")


@pytest.mark.parametrize("of", ["/v1/api", "{0.of_project}", "{0.of_space}"])
async def test_a_user_is_looked_up_by_an_identity(gio, ingested, working, of):
    """The number that nobody had yet is the one that exports show afterwards."""
    path = of.format(ingested) + "/users/$basic_userId"
    async with working():
        user = await listed(gio, f"{path}/C007", {})
        assert user["identifications"] == {"ids_$basic_userId": ["C007"]}
        assert user["properties"] == {"usr_gender": "女", "usr_age": None, "tag_rfm": "高"}
        job = await tag_list(gio, ingested, properties=["id_$basic_userId"])
        rows = lines(await downloaded(gio, await finished(gio, job)))
    assert [user["gioId"], "C007"] in rows
    nobody = await call(gio.get, f"{path}/C999")
    assert nobody == {"gioId": "0", "identifications": {}, "properties": {}}
