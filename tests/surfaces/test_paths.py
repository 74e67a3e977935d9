"""Paths in every spelling that documents and clients use."""

from __future__ import annotations

import pytest

from service.app import ROUTES
from tests.surfaces.client import HttpClient


@pytest.mark.parametrize(
    "path",
    [
        "/data/foundation/catalog/dataSets",
        "/data/foundation/catalog/dataSets/",
        "/data/foundation/catalog/datasets",
        "/data/foundation/catalog/dataSet",
        "/data/foundation/catalog/batches/",
        "/data/foundation/catalog/batch",
        "/data/core/ups/config/mergepolicies",
        "/data/core/ups/export/jobs/",
        "/data/foundation/sandbox-management/sandboxes/",
        "/data/foundation/%63atalog/dataSets",
    ],
)
async def test_a_collection_is_found_in_every_spelling(adobe: HttpClient, path: str):
    assert (await adobe.get(path)).status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/data/foundation/catalog/dataSets//",
        "/data/foundation/catalog/dataSetss",
        "/data/foundation/catalogs/dataSets",
        "/data/core/ups/export/job",
    ],
)
async def test_nothing_else_is(adobe: HttpClient, path: str):
    assert (await adobe.get(path)).status == 404


async def test_metrics_name_routes_as_they_are_written_and_never_paths(adobe: HttpClient):
    await adobe.get("/data/foundation/catalog/DATASETS/no-such-dataset/")
    await adobe.get("/data/no/such/path")
    metrics = await (await adobe.get("/metrics")).text()
    assert 'route="/data/foundation/catalog/dataSets/{id}",status="404"' in metrics
    assert "no-such-dataset" not in metrics
    assert "/data/no/such/path" not in metrics


def test_no_route_is_listed_twice():
    listed = [(route.method, route.path) for route in ROUTES]
    assert len(listed) == len(set(listed))
