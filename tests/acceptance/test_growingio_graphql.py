"""GraphQL from the rows to the downloaded file, and back from a number to its user."""

from __future__ import annotations

import asyncio
import csv
import io
import json

import pytest

from tests.acceptance.test_growingio_exports import (
    adobe,
    defined,
    foreign,
    foreign_gio,
    gio,
    ingested,
    operations,
    running,
    settings,
    working,
)
from tests.acceptance.workbench import reach, send
from tests.patience import PATIENCE_SECONDS

__all__ = [
    "adobe",
    "defined",
    "foreign",
    "foreign_gio",
    "gio",
    "ingested",
    "operations",
    "running",
    "settings",
    "working",
]


async def ask(gio, query, **variables):
    answer = await gio.post("/graphql", json={"query": query, "variables": variables})
    told = await answer.json()
    assert "errors" not in told, told
    return told["data"]


async def result(gio, id):
    """Poll until a job has ended, as the client's own example does."""
    query = "query($id: String!) { jobResult(id: $id) { id stage uris jsonData } }"
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            found = (await ask(gio, query, id=id))["jobResult"]
            if found["uris"] or found["stage"] == "ERROR":
                return found
            await asyncio.sleep(0.05)


async def exported(gio, working, **parameter):
    """Submit a tag's list, wait for it, and give the path and the bytes of its file."""
    query = """mutation($parameter: TagUserExportJobByKeyInput!) {
        submitTagUserExportJobByKey(parameter: $parameter) { id } }"""
    submitted = await ask(gio, query, parameter={"tagKey": "tag_rfm", **parameter})
    async with working():
        found = await result(gio, submitted["submitTagUserExportJobByKey"]["id"])
    assert found["stage"] == "FINISH", found
    (path,) = found["uris"]
    answer = await gio.get("/download", params={"file": path})
    assert answer.status == 200
    return path, await answer.read()


@pytest.mark.parametrize(
    ("charset", "codec"), [(None, "utf-8"), ("UTF-16LE", "utf-16"), ("GBK", "gbk")]
)
@pytest.mark.usefixtures("ingested")
async def test_a_tags_list_has_the_tag_before_what_was_asked_for(gio, working, charset, codec):
    path, content = await exported(
        gio,
        working,
        exportFileName="会员",
        properties=["usr_gender", "id_$basic_userId"],
        charset=charset,
    )
    assert path.endswith("/会员.csv")
    header, *rows = csv.reader(io.StringIO(content.decode(codec)))
    assert header == ["gio_id", "会员等级", "性别", "用户ID"]
    assert {tuple(row[1:]) for row in rows} == {("低", "", "C004"), ("高", "女", "C007")}


@pytest.mark.usefixtures("ingested")
async def test_details_head_columns_by_keys(gio, working):
    _, content = await exported(gio, working, detailExport=True)
    assert content.startswith(b'"gio_id","tag_rfm"\n')


@pytest.mark.usefixtures("ingested")
async def test_a_number_leads_to_its_user(gio, working):
    _, content = await exported(gio, working, detailExport=True, properties=["usr_gender"])
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    (tag,) = (await ask(gio, "{ dataCenterTags { id } }"))["dataCenterTags"]
    for row in rows:
        query = """query($user: String!, $tags: [HashId!]) {
            dataCenterUserProfile(userId: $user, tags: $tags, properties: ["usr_gender"]) {
              id userId properties { key name value } } }"""
        found = await ask(gio, query, user=row["gio_id"], tags=[tag["id"]])
        assert found["dataCenterUserProfile"] == {
            "id": row["gio_id"],
            "userId": row["gio_id"],
            "properties": [
                {"key": tag["id"], "name": "会员等级", "value": row["tag_rfm"]},
                {"key": "usr_gender", "name": "性别", "value": row["usr_gender"] or None},
            ],
        }


async def test_dates_of_a_user_are_told_in_milliseconds(gio, ingested, working):
    """Files have them as ISO 8601 has; the look-up as the documents' examples."""
    made = await gio.post(
        f"{ingested.of_project}/user_properties",
        json={"key": "usr_seen", "name": "活跃时间", "path": "person.lastSeenAt"},
    )
    assert made.status == 200, await made.text()
    _, content = await exported(gio, working, detailExport=True, properties=["usr_seen"])
    rows = {row["usr_seen"]: row["gio_id"] for row in csv.DictReader(io.StringIO(content.decode()))}
    query = """query($user: String!) { dataCenterUserProfile(userId: $user,
        properties: ["usr_seen"]) { properties { value } } }"""
    found = await ask(gio, query, user=rows["2021-01-08 05:19:10.900000Z"])
    assert found["dataCenterUserProfile"]["properties"] == [{"value": "1610083150900"}]
    shown = await (await gio.get("/v1/api/users/$basic_userId/C004")).json()
    assert shown["properties"]["usr_seen"] == "2021-01-08T05:19:10.900000Z"
    nobody = await ask(gio, query, user="0")
    assert nobody == {"dataCenterUserProfile": None}


async def test_a_character_that_the_charset_lacks_fails_the_job_and_names_the_column(
    gio, defined, working
):
    made = await gio.post(
        f"{defined.of_project}/user_tags",
        json={"key": "tag_badges", "name": "徽章😀", "path": "loyalty.badges"},
    )
    assert made.status == 200, await made.text()
    query = """mutation { submitTagUserExportJobByKey(
        parameter: { tagKey: "tag_badges", charset: "GBK" }) { id } }"""
    submitted = await ask(gio, query)
    async with working():
        found = await result(gio, submitted["submitTagUserExportJobByKey"]["id"])
    assert found["stage"] == "ERROR"
    assert "tag_badges" in json.loads(found["jsonData"])["message"]


async def test_a_segment_that_was_never_computed_ends_in_an_error(gio, ingested, working):
    listed = await ask(
        gio, "query($p: HashId!) { segments(projectId: $p) { id } }", p=ingested.project
    )
    query = """mutation($p: HashId!, $s: HashId!) {
        submitSegmentUserExportJob(projectId: $p, segmentId: $s) { id } }"""
    submitted = await ask(gio, query, p=ingested.space, s=listed["segments"][0]["id"])
    async with working():
        found = await result(gio, submitted["submitSegmentUserExportJob"]["id"])
    assert json.loads(found["jsonData"])["code"] == "segment_not_computed"


async def test_numbers_of_users_that_merged_can_be_asked_for(gio, adobe, ingested, working):
    """The two users of the tag turn out to be one person: the older number stays."""
    _, before = await exported(gio, working, detailExport=True)
    path = f"{ingested.of_project}/merged_users"
    assert await (await gio.get(path)).json() == {"values": [], "hasNextPage": False}
    row = {"identityMap": {"CRMID": [{"id": "C004", "primary": True}, {"id": "C007"}]}}
    (dataset_id,) = await (await adobe.get("/data/foundation/catalog/dataSets")).json()
    async with working():
        batch_id = await send(adobe, dataset_id, json.dumps(row).encode() + b"\n")
        await reach(adobe, f"/data/foundation/catalog/batches/{batch_id}", "success")
    _, after = await exported(gio, working, detailExport=True)
    old = sorted(int(one["gio_id"]) for one in csv.DictReader(io.StringIO(before.decode())))
    (left,) = csv.DictReader(io.StringIO(after.decode()))
    assert int(left["gio_id"]) == old[0]
    (merged,) = (await (await gio.get(path)).json())["values"]
    assert (merged["gioId"], merged["mergedGioId"]) == (str(old[0]), str(old[1]))
    assert (await (await gio.get(path, params={"after": old[1]})).json())["values"] == []
