"""Batches with bad rows, as clients meet them: sent, set aside, looked at, mended."""

from __future__ import annotations

import json

from catalog.identities import MOST_BROUGHT_AT_ONCE
from service.engine.rows import TOO_MANY_NAMESPACES
from tests.acceptance.workbench import (
    EXPORT,
    IMPORT,
    call,
    dataset_id,
    exported,
    rows,
    send,
    submit,
    working,
)
from tests.surfaces.client import adobe, operations, running, settings

__all__ = ["adobe", "dataset_id", "operations", "running", "settings", "working"]

BAD = b'{"city": "nobody lives here"}\n{"city": oops}\n'


async def ended(adobe, batch_id, status):
    """Wait for a batch that may fail."""
    while True:
        shown = await call(adobe.get, f"{IMPORT}/{batch_id}")
        if shown["status"] not in {"loading", "loaded", "processing"}:
            assert shown["status"] == status, shown
            return shown


async def told(adobe, href):
    """The documents of a file of JSON lines, by its link."""
    answer = await adobe.session.get(href)
    assert answer.status == 200
    assert answer.content_type == "application/x-ndjson"
    return [json.loads(line) for line in (await answer.text()).splitlines()]


async def listed(adobe, path):
    entries = (await call(adobe.get, path))["data"]
    return {entry["name"]: entry for entry in entries}


async def test_bad_rows_are_set_aside_told_and_left_out_of_exports(adobe, working, dataset_id):
    async with working():
        batch_id = await send(
            adobe,
            dataset_id,
            rows(ann="Rome", bob="Oslo") + BAD,
            enableErrorDiagnostics=True,
            partialIngestionPercentage=50,
        )
        batch = await ended(adobe, batch_id, "success")
        assert await exported(adobe, await submit(adobe)) == {"ann": "Rome", "bob": "Oslo"}
    assert (batch["recordCount"], batch["failedRecordCount"]) == (2, 2)
    assert {name: batch["metrics"][name] for name in ("inputRecordCount", "recordsFailed")} == {
        "inputRecordCount": 4,
        "recordsFailed": 2,
    }
    summary, *reasons = batch["errors"]
    assert (summary["code"], summary["recordCount"]) == ("INGEST-1212-400", 2)
    assert [(reason["code"], reason["rows"]) for reason in reasons] == [
        ("INGEST-1401-400", ["a.json:4"]),
        ("INGEST-1555-400", ["a.json:3"]),
    ] or [(reason["code"], reason["rows"]) for reason in reasons] == [
        ("INGEST-1555-400", ["a.json:3"]),
        ("INGEST-1401-400", ["a.json:4"]),
    ]

    meta = await listed(adobe, f"{EXPORT}/batches/{batch_id}/meta")
    assert set(meta) == {"input_files", "row_errors", "row_errors_sample.json"}
    folder = await listed(adobe, f"{EXPORT}/batches/{batch_id}/meta?path=row_errors")
    first, second = await told(adobe, folder["part-00000.json"]["_links"]["self"]["href"])
    assert (first["city"], first["_filename"]) == ("nobody lives here", "a.json")
    assert second["_corrupt_record"] == '{"city": oops}'
    assert [error["code"] for error in second["_errors"]] == ["INGEST-1401-400"]
    sent = await listed(adobe, f"{EXPORT}/batches/{batch_id}/meta?path=input_files")
    (file,) = await told(adobe, sent["fileMetaData1.json"]["_links"]["self"]["href"])
    assert file["path"] == "a.json"

    failed = await listed(adobe, f"{EXPORT}/batches/{batch_id}/failed")
    assert {name: entry["length"] for name, entry in failed.items()} == {
        "_SUCCESS": "0",
        "part-00000.json": folder["part-00000.json"]["length"],
    }
    assert await told(adobe, failed["part-00000.json"]["_links"]["self"]["href"]) == [first, second]
    marker = await adobe.session.get(failed["_SUCCESS"]["_links"]["self"]["href"])
    assert (marker.status, await marker.read()) == (200, b"")


async def test_a_batch_over_its_share_fails_and_says_how_to_be_told_more(
    adobe, working, dataset_id
):
    async with working():
        batch_id = await send(
            adobe, dataset_id, rows(ann="Rome") + BAD, partialIngestionPercentage=5
        )
        batch = await ended(adobe, batch_id, "failed")
    assert batch["errors"][0]["code"] == "INGEST-1211-400"
    assert "enableErrorDiagnostics" in batch["errors"][0]["description"]
    assert batch["failedRecordCount"] == 2
    assert await listed(adobe, f"{EXPORT}/batches/{batch_id}/failed") == {}
    assert await listed(adobe, f"{EXPORT}/batches/{batch_id}/meta") == {}
    assert await listed(adobe, f"{EXPORT}/batches/{batch_id}/files") == {}


async def test_rows_of_an_ecid_without_its_form_are_counted_and_stay_out_of_profiles(
    adobe, working, dataset_id
):
    odd = {"identityMap": {"ECID": [{"id": "1", "primary": True}]}, "city": "Nowhere", "age": 4}
    async with working():
        batch_id = await send(
            adobe, dataset_id, rows(ann="Rome") + json.dumps(odd).encode() + b"\n"
        )
        batch = await ended(adobe, batch_id, "success")
        assert await exported(adobe, await submit(adobe)) == {"ann": "Rome"}
    assert (batch["recordCount"], batch["failedRecordCount"]) == (2, 0)
    assert batch["metrics"]["skippedRecordCount"] == 1
    assert [(error["code"], error["rows"]) for error in batch["errors"]] == [
        ("skipped_row", ["a.json:2"])
    ]
    assert batch["ignoredFields"] == ["age"]


async def test_a_batch_under_ingestion_can_be_looked_at(adobe, dataset_id):
    new = {"datasetId": dataset_id, "inputFormat": {"format": "csv"}}
    batch_id = (await call(adobe.post, IMPORT, json=new))["id"]
    here = f"{IMPORT}/{batch_id}/datasets/{dataset_id}"
    empty = await call(adobe.get, f"{here}/preview?format=csv")
    assert empty["preview"] == {"columns": [], "rows": []}
    await call(
        adobe.put,
        f"{here}/files/a.csv",
        data=b'person.name;city\nAnn;"Rome"\n;"=1+1"\n',
        headers={"Content-Type": "application/octet-stream"},
    )
    # As one known client asks, which forgets the format.
    asked = {"delimiter": ";", "quote": '"', "escape": "\\", "charset": "utf-8", "header": "True"}
    shown = await call(adobe.get, f"{here}/preview", params={**asked, "nrow": "5"})
    assert shown["formatParams"] == {
        "format": "csv",
        "delimiter": ";",
        "quote": '"',
        "escape": "\\",
        "charset": "UTF-8",
        "header": True,
    }
    assert shown["preview"] == {
        "columns": [{"cid": "0", "name": "person.name"}, {"cid": "1", "name": "city"}],
        "rows": [{"0": "Ann", "1": "Rome"}, {"1": "=1+1"}],
    }
    headless = await call(adobe.get, f"{here}/preview", params={"header": "false", "nrow": "1"})
    assert headless["preview"]["rows"] == [{"0": "person.name;city"}]
    wrong = await adobe.get(f"{here}/preview", params={"format": "parquet"})
    assert (wrong.status, (await wrong.json())["report"]["code"]) == (400, "invalid")
    for query in ("nrow=101", "charset=latin1", "format=avro", "delimiter=ab"):
        assert (await adobe.get(f"{here}/preview?{query}")).status == 400


async def test_others_cannot_look_at_a_batch(adobe, dataset_id):
    assert (await adobe.get(f"{IMPORT}/nope/datasets/{dataset_id}/preview")).status == 404
    new = {"datasetId": dataset_id}
    batch_id = (await call(adobe.post, IMPORT, json=new))["id"]
    assert (await adobe.get(f"{IMPORT}/{batch_id}/datasets/nope/preview")).status == 404


async def test_a_batch_that_names_more_namespaces_than_it_may_bring_registers_none(
    adobe, working, dataset_id
):
    """As of whoever puts identities where namespaces belong."""

    def sent(count):
        rows = [{"identityMap": {f"ann{n}@example.com": [{"id": "Email"}]}} for n in range(count)]
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    async def own_namespaces():
        found = await call(adobe.get, "/data/core/idnamespace/identities")
        return [each["code"] for each in found if each["custom"]]

    async with working():
        before = await own_namespaces()
        too_many = await send(
            adobe, dataset_id, sent(MOST_BROUGHT_AT_ONCE + 1), partialIngestionPercentage=50
        )
        failed = await ended(adobe, too_many, "failed")
        assert await own_namespaces() == before
        as_many = await send(adobe, dataset_id, sent(MOST_BROUGHT_AT_ONCE))
        await ended(adobe, as_many, "success")
        assert len(await own_namespaces()) == len(before) + MOST_BROUGHT_AT_ONCE
    _, reason = failed["errors"]
    assert reason["code"] == TOO_MANY_NAMESPACES
    assert "more than 1,000 namespaces that nobody has registered" in reason["description"]
