"""What load balancers and monitoring ask."""

from __future__ import annotations

from catalog.store.database import Database
from tests.surfaces.client import HttpClient


async def test_a_service_with_its_database_is_ready(stranger: HttpClient):
    assert (await stranger.get("/health")).status == 200
    assert (await stranger.get("/ready")).status == 200


async def test_a_service_without_its_database_is_alive_and_not_ready(
    stranger: HttpClient, database: Database
):
    await database.close()
    assert (await stranger.get("/health")).status == 200
    answer = await stranger.get("/ready")
    assert answer.status == 503
    assert (await answer.json())["reason"] == "the database does not answer"
