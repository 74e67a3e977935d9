"""Texts of callers that indexes hold: longer ones are refused before an index does it."""

from __future__ import annotations

import secrets

import pytest

from catalog.organisations import Scope
from catalog.store.database import Connection
from tests.builders import a_batch, a_dataset
from tests.surfaces.client import HttpClient, problem
from tests.surfaces.growingio import Defined

#: Such as no compression makes short enough.
LONG = secrets.token_hex(5000)
BATCHES = "/data/foundation/import/batches"
CATALOG = "/data/foundation/catalog/batches"


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        (BATCHES, {"inputFormat": {"format": "json"}}),
        (CATALOG, {"status": "loading", "inputFormat": {"format": "json"}}),
    ],
)
async def test_a_batch_is_called_something_short(
    adobe: HttpClient, db: Connection, scope: Scope, path: str, asked: dict[str, object]
):
    asked = {**asked, "datasetId": await a_dataset(db, scope)}
    made = await adobe.post(path, json={**asked, "externalId": "é" * 500})
    assert made.status == 201
    refused = await adobe.post(path, json={**asked, "externalId": LONG})
    assert problem(await refused.json()) == (400, "invalid_field")


@pytest.mark.parametrize("method", ["patch", "put"])
async def test_a_batch_is_called_nothing_long_later(
    adobe: HttpClient, db: Connection, scope: Scope, method: str
):
    batch = await a_batch(db, scope)
    refused = await adobe.request(method, f"{CATALOG}/{batch.id}", json={"externalId": LONG})
    assert problem(await refused.json()) == (400, "invalid_field")


@pytest.mark.parametrize("name", ["", " ", "名" * 31, LONG])
async def test_a_space_has_a_name_and_a_short_one(
    gio: HttpClient, defined: Defined, scope: Scope, name: str
):
    spaces = f"/v2/api/enterprise/{scope.organisation_id}/projects/{defined.project}/spaces"
    assert (await gio.post(spaces, json={"name": "名" * 30})).status == 200
    refused = await gio.post(spaces, json={"name": name})
    assert (refused.status, (await refused.json())["code"]) == (400, "invalid_field")
    changed = await gio.put(f"{spaces}/{defined.space}", json={"name": name})
    assert (changed.status, (await changed.json())["code"]) == (400, "invalid_field")
