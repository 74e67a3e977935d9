"""A batch over HTTP, and the files that are sent for it."""

from __future__ import annotations

import pytest
from yarl import URL

from catalog.store.batches import BatchStore
from service.settings import HttpSettings
from tests.builders import a_dataset
from tests.surfaces.client import usual_settings

BATCHES = "/data/foundation/import/batches"
LIMIT = 4096


@pytest.fixture
def settings(tmp_path):
    http = HttpSettings(upload_bytes=LIMIT)
    return usual_settings().at(tmp_path / "data").model_copy(update={"http": http})


@pytest.fixture
def batches(db):
    return BatchStore(db)


@pytest.fixture
async def dataset_id(db, scope):
    return await a_dataset(db, scope)


@pytest.fixture
async def batch(adobe, dataset_id):
    answer = await adobe.post(BATCHES, json={"datasetId": dataset_id})
    assert answer.status == 201
    return await answer.json()


def file_url(batch, path="a.parquet", dataset_id=None):
    dataset_id = dataset_id or batch["relatedObjects"][0]["id"]
    return URL(f"{BATCHES}/{batch['id']}/datasets/{dataset_id}/files/{path}", encoded=True)


def put(client, batch, data=b"bytes", path="a.parquet", **asked):
    headers = {"Content-Type": "application/octet-stream", **asked.pop("headers", {})}
    return client.put(file_url(batch, path, **asked), data=data, headers=headers)


async def act(client, batch, action):
    return await client.post(f"{BATCHES}/{batch['id']}?action={action}")


def stored(settings):
    """The bytes of every file on disk, unfinished ones included."""
    found = settings.data.files_dir.rglob("*")
    return sorted(path.read_bytes() for path in found if path.is_file())


async def kept(db, batch):
    rows = await db.fetch("SELECT path, size_bytes FROM uploads WHERE batch_id = $1", batch["id"])
    return {row["path"]: row["size_bytes"] for row in rows}
