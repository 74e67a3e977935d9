"""Who did what is written down with it, once, for good, and shown to those who may see it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from catalog.organisations import Scope
from catalog.store.database import Connection
from service.settings import Settings
from tests.builders import a_batch, a_dataset
from tests.surfaces.client import HttpClient, problem

EVENTS = "/data/foundation/audit/events"
EXPORTS = "/data/core/ups/export/jobs"
FILES = "/data/foundation/export/files"
UNION = "https://ns.adobe.com/xdm/context/profile__union"
CONTENT = b"PAR1" + bytes(range(250)) * 40


async def events(client: HttpClient, **asked: object) -> list[dict[str, Any]]:
    answer = await client.get(EVENTS, params={key: str(value) for key, value in asked.items()})
    assert answer.status == 200, await answer.text()
    found: list[dict[str, Any]] = (await answer.json())["events"]
    return found


def told(entry: dict[str, Any]) -> tuple[str, str, str]:
    return entry["action"], entry["objectKind"], entry["objectId"]


async def a_job(client: HttpClient, db: Connection, scope: Scope) -> str:
    target = await a_dataset(db, scope, schema_id=UNION)
    body = {"destination": {"datasetId": target}, "schema": {"name": "_xdm.context.profile"}}
    answer = await client.post(EXPORTS, json=body, headers={"x-request-id": "the-call"})
    return str((await answer.json())["id"])


async def a_file(db: Connection, scope: Scope, settings: Settings) -> str:
    """An active batch with one file; return the path its bytes are read under."""
    batch = await a_batch(db, scope)
    stored = settings.data.files_dir / "stored"
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(CONTENT)
    await db.execute(
        "UPDATE batches SET state = 'active', ingest_number = 1, finished_at = now() WHERE id = $1",
        batch.id,
    )
    await db.execute(
        "INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)"
        " VALUES ($1, 1, 'part.parquet', 'stored', $2, 1, 'hash')",
        batch.id,
        len(CONTENT),
    )
    return f"{FILES}/{batch.id}-1?path=part.parquet"


async def test_an_entry_says_who_did_what_to_what_and_in_which_call(
    adobe: HttpClient, db: Connection, scope: Scope
):
    id = await a_job(adobe, db, scope)
    (entry,) = await events(adobe)
    assert told(entry) == ("create", "export_job", id)
    assert entry["actor"] == f"client-of-{scope.organisation_id}"
    assert entry["requestId"] == "the-call"
    assert set(entry["details"]) == {"dataset"}


async def test_a_cancel_is_noted_once_and_polling_never(
    adobe: HttpClient, db: Connection, scope: Scope
):
    id = await a_job(adobe, db, scope)
    for _ in range(3):
        await adobe.get(f"{EXPORTS}/{id}")
        await adobe.delete(f"{EXPORTS}/{id}")
    assert [told(each)[0] for each in await events(adobe)] == ["cancel", "create"]


async def test_what_was_refused_was_not_done(adobe: HttpClient, db: Connection, scope: Scope):
    source = await a_dataset(db, scope)
    body = {"destination": {"datasetId": source}, "schema": {"name": "_xdm.context.profile"}}
    assert (await adobe.post(EXPORTS, json=body)).status == 400
    assert (await adobe.delete(f"{EXPORTS}/404404")).status == 404
    assert await events(adobe) == []


async def test_whole_downloads_are_noted_one_by_one(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    path = await a_file(db, scope, settings)
    for _ in range(2):
        assert await (await adobe.get(path)).read() == CONTENT
    noted = await events(adobe)
    assert [each["action"] for each in noted] == ["download", "download"]
    assert noted[0]["objectKind"] == "file"
    assert noted[0]["objectId"].endswith("/part.parquet")


async def test_all_ranges_of_a_download_are_one_entry_though_they_come_at_once(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    path = await a_file(db, scope, settings)

    async def part(number: int) -> bytes:
        span = f"bytes={number * 500}-{number * 500 + 499}"
        answer = await adobe.get(path, headers={"Range": span})
        assert answer.status == 206
        return await answer.read()

    parts = await asyncio.gather(*(part(number) for number in range(20)))
    assert b"".join(parts) == CONTENT[:10_000]
    assert len(await events(adobe, action="download")) == 1


async def test_ranges_of_another_day_are_another_download(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    path = await a_file(db, scope, settings)
    batch_id = path.removeprefix(f"{FILES}/").partition("-1?")[0]
    await db.execute(
        "INSERT INTO audit_entries (at, sandbox_id, organisation_id, actor, action, object_kind,"
        " object_id, request_id) VALUES (now() - interval '1 day', $1, $2, $3, 'download',"
        " 'file', $4, 'r')",
        scope.sandbox_id,
        scope.organisation_id,
        f"client-of-{scope.organisation_id}",
        f"{batch_id}/part.parquet",
    )
    await adobe.get(path, headers={"Range": "bytes=0-1"})
    assert len(await events(adobe)) == 2


async def test_a_look_at_a_file_is_no_download(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    path = await a_file(db, scope, settings)
    await adobe.head(path)
    assert (await adobe.get(path, headers={"If-None-Match": '"hash"'})).status == 304
    assert (await adobe.get(path, headers={"Range": "bytes=99999-"})).status == 416
    assert (await adobe.get(path.partition("?")[0])).status == 200
    assert await events(adobe) == []


async def test_a_download_is_noted_before_its_first_byte_is_sent(
    adobe: HttpClient, db: Connection, scope: Scope, settings: Settings
):
    path = await a_file(db, scope, settings)
    (settings.data.files_dir / "stored").unlink()
    assert (await adobe.get(path)).status == 500
    assert len(await events(adobe, action="download")) == 1


async def test_a_preview_is_a_read_of_its_data_set(adobe: HttpClient, db: Connection, scope: Scope):
    id = await a_dataset(db, scope)
    assert (await adobe.get(f"/data/foundation/export/datasets/{id}/preview")).status == 200
    assert [told(each) for each in await events(adobe)] == [("read", "dataset", id)]


async def test_a_preview_of_what_was_sent_is_a_read_of_its_batch(
    adobe: HttpClient, db: Connection, scope: Scope
):
    batch = await a_batch(db, scope)
    here = f"/data/foundation/import/batches/{batch.id}/datasets/{batch.dataset_id}/preview"
    assert (await adobe.get(here)).status == 200
    assert [told(each) for each in await events(adobe)] == [("read", "batch", batch.id)]


@pytest.mark.parametrize(
    "rewriting",
    [
        "UPDATE audit_entries SET actor = 'nobody'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
    ],
)
async def test_the_database_refuses_to_rewrite_history(
    adobe: HttpClient, db: Connection, scope: Scope, rewriting: str
):
    await a_job(adobe, db, scope)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append only"):
        await db.execute(rewriting)
    assert len(await events(adobe)) == 1


async def test_entries_are_paged_from_the_newest_on(
    adobe: HttpClient, db: Connection, scope: Scope
):
    made = [await a_job(adobe, db, scope) for _ in range(5)]
    seen, asked = [], {"limit": "2"}
    while True:
        page = await (await adobe.get(EVENTS, params=asked)).json()
        seen += [each["objectId"] for each in page["events"]]
        assert page["_page"]["count"] == len(page["events"]) <= 2
        if page["_page"]["next"] is None:
            break
        asked["before"] = str(page["_page"]["next"])
    assert seen == list(reversed(made))


async def test_entries_are_found_by_time_actor_action_and_object(
    adobe: HttpClient, db: Connection, scope: Scope
):
    first, second = await a_job(adobe, db, scope), await a_job(adobe, db, scope)
    await adobe.delete(f"{EXPORTS}/{first}")
    newest = (await events(adobe))[0]
    assert [told(each)[0] for each in await events(adobe, objectId=first)] == ["cancel", "create"]
    assert [told(each)[2] for each in await events(adobe, action="create")] == [second, first]
    assert len(await events(adobe, actor=newest["actor"], objectKind="export_job")) == 3
    assert await events(adobe, actor="nobody") == []
    assert await events(adobe, objectKind="batch") == []
    assert await events(adobe, until=newest["timestamp"] - 60_000) == []
    assert len(await events(adobe, since=newest["timestamp"] - 60_000)) == 3


@pytest.mark.parametrize(
    "asked",
    ["limit=0", "limit=1001", "action=think", "objectKind=moon", "since=soon", "before=0"],
)
async def test_what_cannot_be_asked_is_refused_by_name(adobe: HttpClient, asked: str):
    refused = await adobe.get(f"{EVENTS}?{asked}")
    body = await refused.json()
    assert problem(body) == (400, "invalid_field")
    assert body["detail"].startswith(asked.partition("=")[0])


async def test_nobody_sees_what_was_done_in_another_sandbox(
    adobe: HttpClient, foreign: HttpClient, db: Connection, scope: Scope
):
    await a_job(adobe, db, scope)
    assert await events(foreign) == []
