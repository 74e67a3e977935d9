"""How much one batch may hold: files, and bytes of a file that is sent in chunks."""

from __future__ import annotations

import pytest

from service.settings import IngestionSettings
from tests.builders import a_dataset
from tests.surfaces.client import problem, usual_settings

BATCHES = "/data/foundation/import/batches"
BYTES = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def settings(tmp_path):
    ingestion = IngestionSettings(batch_files=2, large_file_bytes=100)
    return usual_settings().at(tmp_path / "data").model_copy(update={"ingestion": ingestion})


@pytest.fixture
async def here(adobe, db, scope):
    """Where the files of a batch are sent to."""
    dataset_id = await a_dataset(db, scope)
    batch = await (await adobe.post(BATCHES, json={"datasetId": dataset_id})).json()
    return f"{BATCHES}/{batch['id']}/datasets/{dataset_id}/files"


async def put(adobe, here, path):
    return (await adobe.put(f"{here}/{path}", data=b"x", headers=BYTES)).status


async def chunk(adobe, here, span, size):
    headers = {**BYTES, "Content-Range": f"bytes {span}"}
    return await adobe.patch(f"{here}/a", data=b"x" * size, headers=headers)


def stored(settings):
    return [path for path in settings.data.files_dir.rglob("*") if path.is_file()]


async def test_a_batch_has_a_most_of_files_however_they_are_sent(adobe, settings, here):
    assert (await adobe.post(f"{here}/a?action=INITIALIZE")).status == 201
    assert await put(adobe, here, "b") == 200
    refused = await adobe.put(f"{here}/c", data=b"x", headers=BYTES)
    assert problem(await refused.json()) == (413, "too_large")
    refused = await adobe.post(f"{here}/c?action=INITIALIZE")
    assert problem(await refused.json()) == (413, "too_large")
    # What is there already may be sent again, in either way.
    assert await put(adobe, here, "b") == 200
    assert await put(adobe, here, "a") == 200
    assert (await adobe.post(f"{here}/b?action=INITIALIZE")).status == 201
    assert len(stored(settings)) == 2


@pytest.mark.parametrize("span", ["0-9/101", "95-104/*", "100-100/*", "0-100/101"])
async def test_a_large_file_that_announces_too_much_is_refused_before_its_bytes_are_read(
    adobe, settings, here, span
):
    await adobe.post(f"{here}/a?action=INITIALIZE")
    first, last = span.split("/")[0].split("-")
    refused = await chunk(adobe, here, span, int(last) - int(first) + 1)
    assert problem(await refused.json()) == (413, "too_large")
    assert stored(settings) == []


async def test_chunks_that_overlap_cannot_hold_more_than_a_file(adobe, settings, here):
    await adobe.post(f"{here}/a?action=INITIALIZE")
    assert (await chunk(adobe, here, "0-59/100", 60)).status == 200
    refused = await chunk(adobe, here, "1-60/100", 60)
    assert problem(await refused.json()) == (413, "too_large")
    assert (await chunk(adobe, here, "60-99/100", 40)).status == 200
    assert (await adobe.post(f"{here}/a?action=COMPLETE")).status == 201
    assert [path.stat().st_size for path in stored(settings)] == [100]
