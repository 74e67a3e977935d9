"""What the commands ask of the API, asked of the real application."""

from __future__ import annotations

import asyncio
import io
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import click
import pytest
from rich.console import Console

from catalog.batches import FileFormat
from catalog.merge_policies import IdentityGraph
from catalog.schemas import PROFILE_UNION
from service.cli import batches, datasets, exports
from service.cli.api import Refused
from service.cli.export import submit
from service.cli.jobs import _listed
from service.cli.sources import Files, Source, find_files, identity
from service.engine.inference import infer

RECORD = '{"crmId": "1", "email": "a@example.com", "person": {"age": 36, "since": "2020-01-31"}}\n'
EVENT = (
    '{"_id": "e", "timestamp": "2025-01-01T00:00:00Z", "eventType": "visit", "page": "home",'
    ' "identityMap": {"ECID": [{"id": "1", "primary": true}]}}\n'
)


def a_source(folder: Path, content: str, *identities: str, is_event: bool = False) -> Source:
    path = folder / "rows.jsonl"
    path.write_text(content)
    return Source(
        name="Customers",
        files=Files(root=folder, paths=(path,), format=FileFormat.JSON),
        is_event=is_event,
        identities=tuple(identity(each) for each in identities),
    )


async def make(api, source: Source) -> str:
    fields = infer(source.files.paths, source.files.format).fields
    return await datasets.make_dataset(api, source, fields)


async def schema_of(api, dataset_id: str):
    dataset = (await api.get(f"{datasets.DATASETS}/{dataset_id}"))[dataset_id]
    return await api.get(f"{datasets.SCHEMAS}/{quote(dataset['schemaRef']['id'], safe='')}")


async def test_a_data_set_is_made_with_all_that_profiles_need(api, tmp_path):
    source = a_source(tmp_path, RECORD, "crmId=crmId:primary", "email=EMAIL")
    id = await make(api, source)
    dataset = (await api.get(f"{datasets.DATASETS}/{id}"))[id]
    assert dataset["tags"]["unifiedProfile"] == ["enabled:true"]
    assert (await schema_of(api, id))["meta:immutableTags"] == ["union"]
    listed = (await api.get(datasets.DESCRIPTORS))["results"]
    found = {
        (each["xdm:sourceProperty"], each["xdm:namespace"].lower(), each["xdm:isPrimary"])
        for each in listed
    }
    assert found == {("/crmId", "crmid", True), ("/email", "email", False)}
    codes = [each["code"] for each in await api.get(datasets.NAMESPACES)]
    assert codes.count("crmId") == 1
    assert sum(code.lower() == "email" for code in codes) == 1


async def test_the_union_shows_the_fields_that_were_guessed(api, tmp_path):
    await make(api, a_source(tmp_path, RECORD, "crmId=crmId:primary"))
    union = await api.get(f"{datasets.SCHEMAS}/{quote(PROFILE_UNION, safe='')}")
    person = union["properties"]["person"]["properties"]
    assert person["age"]["meta:xdmType"] == "long"
    assert person["since"]["format"] == "date"


async def test_events_with_an_identity_map_need_no_descriptor(api, tmp_path):
    id = await make(api, a_source(tmp_path, EVENT, is_event=True))
    _, own = (await schema_of(api, id))["allOf"]
    assert own["properties"].keys() == {"page"}


@pytest.mark.parametrize(
    ("content", "identities", "is_event", "reason"),
    [
        (RECORD, [], False, "nothing says whom its rows are about"),
        (RECORD, ["crm=crmId"], False, "no row has a value in crm; there are values in crmId"),
        (RECORD, ["crmId=crmId"], True, "events need a field called timestamp"),
        ('{"timestamp": 7, "crmId": "1"}', ["crmId=crmId"], True, "means a timestamp in every"),
    ],
)
async def test_a_data_set_that_could_not_work_is_not_made(
    api, tmp_path, content, identities, is_event, reason
):
    source = a_source(tmp_path, content, *identities, is_event=is_event)
    with pytest.raises(click.ClickException, match=reason):
        await make(api, source)
    assert [each async for each in datasets.every_dataset(api)] == []


async def test_a_schema_that_profiles_do_not_take_leaves_nothing_behind(api, tmp_path):
    await make(api, a_source(tmp_path, RECORD, "crmId=crmId"))
    before = (await api.get(datasets.SCHEMAS))["results"]
    other = '{"crmId": "1", "person": "Ann"}'
    with pytest.raises(Refused, match="field person cannot be in the union"):
        await make(api, a_source(tmp_path, other, "crmId=crmId"))
    assert (await api.get(datasets.SCHEMAS))["results"] == before
    assert len((await api.get(datasets.DESCRIPTORS))["results"]) == 1
    assert len([each async for each in datasets.every_dataset(api)]) == 1


async def test_a_data_set_is_found_by_its_name_unless_several_have_it(api, tmp_path):
    source = a_source(tmp_path, RECORD, "crmId=crmId")
    assert await datasets.find_dataset(api, "Customers") is None
    id = await make(api, source)
    assert await datasets.find_dataset(api, "Customers") == id
    await make(api, source)
    with pytest.raises(click.ClickException, match="2 data sets are called Customers"):
        await datasets.find_dataset(api, "Customers")


async def test_every_page_of_data_sets_is_looked_at(api, monkeypatch):
    monkeypatch.setattr(datasets, "_PAGE", 2)
    made = [
        await datasets._make_dataset(api, f"D{number}", PROFILE_UNION, tags={})
        for number in range(5)
    ]
    assert {each.id async for each in datasets.every_dataset(api)} == set(made)


async def test_exports_share_one_data_set(api):
    first = await datasets.export_dataset(api)
    assert await datasets.export_dataset(api) == first


async def test_a_batch_is_sent_file_by_file_and_completed(api, tmp_path):
    id = await make(api, a_source(tmp_path, RECORD, "crmId=crmId"))
    folder = tmp_path / "in"
    (folder / "a b").mkdir(parents=True)
    (folder / "a b" / "ü#1.jsonl").write_text(RECORD * 3)
    (folder / "z.json").write_text(f"[{RECORD}]")
    sent: list[int] = []
    files = find_files(folder)
    batch_id = await batches.send(api, id, files, on_bytes=sent.append)
    assert sum(sent) == files.size_bytes
    batch = (await api.get(f"{batches.BATCHES}/{batch_id}"))[batch_id]
    assert batch["status"] == "loaded"
    assert batch["inputFormat"]["format"] == "json"
    assert batch["metrics"]["inputFileCount"] == 2


async def test_a_file_too_large_for_one_call_is_sent_in_parts(api, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "_ONE_CALL_BYTES", 500)
    monkeypatch.setattr(batches, "_PART_BYTES", 400)
    monkeypatch.setattr(batches, "_PIECE_BYTES", 150)
    source = a_source(tmp_path, RECORD * 11, "crmId=crmId")
    sent: list[int] = []
    id = await make(api, source)
    batch_id = await batches.send(api, id, source.files, on_bytes=sent.append)
    batch = (await api.get(f"{batches.BATCHES}/{batch_id}"))[batch_id]
    assert batch["metrics"]["inputByteSize"] == sum(sent) == source.files.size_bytes > 800


async def test_a_batch_that_cannot_be_sent_is_given_up(api, tmp_path):
    id = await make(api, a_source(tmp_path, RECORD, "crmId=crmId"))
    gone = Files(root=tmp_path, paths=(tmp_path / "gone.json",), format=FileFormat.JSON)
    with pytest.raises(FileNotFoundError):
        await batches.send(api, id, gone)
    (batch,) = (await api.get(batches.BATCHES)).values()
    assert batch["status"] == "aborted"
    settled = await batches.settled(api, batch["id"])
    assert (settled.is_active, settled.dataset_id) == (False, id)


async def test_a_policy_is_made_once_for_each_graph(api):
    first = await exports.policy_for(api, IdentityGraph.PRIVATE)
    assert await exports.policy_for(api, IdentityGraph.PRIVATE) == first
    other = await exports.policy_for(api, IdentityGraph.NONE)
    assert other != first


async def test_an_export_is_asked_for_in_all_its_words(api, tmp_path):
    await make(api, a_source(tmp_path, RECORD, "crmId=crmId"))
    target = await datasets.export_dataset(api)
    policy_id = await exports.policy_for(api, IdentityGraph.PRIVATE)
    since = datetime(2025, 1, 31, 12, tzinfo=UTC)
    job = await exports.submit(
        api,
        exports.Wanted(
            dataset_id=target,
            fields="person.age,crmId",
            event_fields="eventType",
            merge_policy_id=policy_id,
            updated_after=since,
            with_empty_profiles=True,
        ),
    )
    seen = await exports.find(api, job["id"])
    assert seen["status"] == "NEW"
    assert seen["destination"]["datasetId"] == target
    assert (seen["fields"], seen["mergePolicy"]["id"]) == ("person.age,crmId", policy_id)
    assert seen["additionalFields"] == {"eventList": {"fields": "eventType"}}
    assert seen["filter"]["emptyProfiles"] is True
    assert datetime.fromisoformat(seen["filter"]["fromIngestTimestamp"]) == since


async def test_jobs_are_listed_over_pages_by_status_and_cancelled(api, monkeypatch):
    monkeypatch.setattr("service.cli.jobs._PAGE", 2)
    target = await datasets.export_dataset(api)
    wanted = exports.Wanted(dataset_id=target)
    ids = [(await exports.submit(api, wanted))["id"] for _ in range(5)]
    assert [job["id"] for job in await _listed(api, None, 20)] == ids[::-1]
    assert [job["id"] for job in await _listed(api, None, 3)] == ids[:1:-1]
    await api.delete(f"{exports.JOBS}/{ids[0]}")
    assert [job["id"] for job in await _listed(api, "cancelled", 20)] == ids[:1]
    ended = await exports.follow(api, ids[0])
    with pytest.raises(click.ClickException, match=f"export job {ids[0]} is cancelled"):
        exports.must_have_succeeded(ended)


async def test_an_unknown_job_is_refused_with_a_request_id(api):
    with pytest.raises(Refused, match=r"no export job 7 \(404, request \S+\)"):
        await exports.find(api, 7)


@pytest.mark.parametrize("is_cancelled", [True, False])
async def test_a_job_whose_submission_is_interrupted_is_told_of_all_the_same(
    api, monkeypatch, is_cancelled
):
    """Whoever presses Ctrl-C before the answer has come would else know nothing of the job."""
    send, sent, may_answer, said = exports.submit, asyncio.Event(), asyncio.Event(), io.StringIO()

    async def send_and_wait(service, order):
        job = await send(service, order)
        sent.set()
        await may_answer.wait()
        return job

    monkeypatch.setattr(exports, "submit", send_and_wait)
    wanted = dict.fromkeys(("merge_policy_id", "graph", "dataset_id", "event_fields", "since"))
    wanted |= {"segments": (), "fields": "", "empty_profiles": False}
    submitting = asyncio.create_task(
        submit(api, wanted, Console(file=said), cancel_on_interrupt=is_cancelled)
    )
    await sent.wait()
    submitting.cancel()
    await asyncio.sleep(0)
    may_answer.set()
    with pytest.raises(asyncio.CancelledError):
        await submitting
    (job,) = await _listed(api, None, 20)
    assert job["status"] == ("CANCELLED" if is_cancelled else "NEW")
    what = "is cancelled" if is_cancelled else "goes on"
    assert f"export job {job['id']} {what}" in said.getvalue()
