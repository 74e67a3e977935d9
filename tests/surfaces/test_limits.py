"""What one client and one sandbox may have at a time; the others do not notice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestClient, TestServer

from catalog.errors import TooManyCalls
from catalog.organisations import ClientId, Scope
from catalog.store.database import Connection, Database
from service import assembly
from service.app import application
from service.operations import rates
from service.operations.rates import BURST_SECONDS, Rates
from service.settings import LimitSettings, Settings
from service.storage.files import Files
from service.surfaces.http import Operations
from tests.builders import a_dataset, a_loaded_batch
from tests.surfaces.client import HttpClient, headers_for, problem

SANDBOXES = "/data/foundation/sandbox-management/sandboxes"
EVERYTHING = """
    SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM job_events),
           (SELECT count(*) FROM batches), (SELECT count(*) FROM batch_events),
           (SELECT count(*) FROM audit_entries)
"""
UNION = "https://ns.adobe.com/xdm/context/profile__union"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rates, "time", clock)
    return clock


def taken(rates: Rates, client: str, *, calls: int) -> int:
    """How many of so many calls are let through."""
    count = 0
    for _ in range(calls):
        try:
            rates.take(ClientId(client))
        except TooManyCalls:
            continue
        count += 1
    return count


def test_a_client_may_call_at_its_rate_and_a_little_ahead_of_it(clock: Clock):
    rates = Rates(8)
    assert taken(rates, "amy", calls=100) == 8 * BURST_SECONDS
    clock.now += 0.5
    assert taken(rates, "amy", calls=100) == 4
    assert taken(rates, "bob", calls=100) == 8 * BURST_SECONDS
    clock.now += 3600
    assert taken(rates, "amy", calls=100) == 8 * BURST_SECONDS


def test_a_client_that_waits_as_long_as_it_is_told_is_let_through(clock: Clock):
    rates = Rates(4)
    taken(rates, "amy", calls=100)
    with pytest.raises(TooManyCalls) as refused:
        rates.take(ClientId("amy"))
    clock.now += refused.value.retry_after.total_seconds() + 1e-6
    rates.take(ClientId("amy"))


def test_no_limit_is_no_limit(clock: Clock):
    assert clock.now
    assert taken(Rates(0), "amy", calls=10_000) == 10_000


def test_clients_that_have_made_up_for_their_calls_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(rates, "_MOST_KNOWN", 100)
    some = Rates(1)
    for number in range(1000):
        some.take(ClientId(str(number)))
        clock.now += 0.1
    assert len(some._made_up_at) <= 101


@pytest.fixture
async def narrow(
    database: Database, settings: Settings, operations: Operations
) -> AsyncIterator[tuple[TestServer, Operations]]:
    """A service that takes three calls at once of a client, and two waiting jobs of a sandbox."""
    assert operations.tokens
    limits = LimitSettings.model_validate({"calls": 0, "queued_jobs": 2})
    made = assembly.operations(
        database,
        Files(settings.data.files_dir),
        settings.model_copy(update={"limit": limits}),
    )
    async with TestServer(application(made)) as server:
        yield server, made


async def test_a_client_that_calls_too_fast_is_told_when_to_come_back_and_others_are_not(
    database: Database, settings: Settings, operations: Operations, scope: Scope, clock: Clock
):
    assert clock.now  # stands still, however long calls take
    limits = LimitSettings.model_validate({"calls": 1})
    files = Files(settings.data.files_dir)
    slow = assembly.operations(database, files, settings.model_copy(update={"limit": limits}))
    amy = await headers_for(scope, database, operations, client_id="amy")
    bob = await headers_for(scope, database, operations, client_id="bob")
    async with TestClient(TestServer(application(slow))) as client:
        seen = [await client.get(SANDBOXES, headers=amy) for _ in range(10)]
        refused = [each for each in seen if each.status == 429]
        assert [each.status for each in seen[:2]] == [200, 200]
        assert refused
        assert problem(await refused[0].json()) == (429, "too_many_calls")
        assert int(refused[0].headers["Retry-After"]) >= 1
        assert (await client.get(SANDBOXES, headers=bob)).status == 200
        assert (await client.get("/health", headers=amy)).status == 200


async def test_a_sandbox_whose_queue_is_full_is_refused_before_anything_is_written(
    narrow: tuple[TestServer, Operations],
    database: Database,
    db: Connection,
    scope: Scope,
    foreign_scope: Scope,
):
    server, operations = narrow
    export = await an_export(db, scope)
    headers = await headers_for(scope, database, operations)
    async with TestClient(server, headers=headers) as client:
        for _ in range(2):
            assert (await client.post("/data/core/ups/export/jobs", json=export)).status == 200
        before = await db.fetchrow(EVERYTHING)
        refused = await client.post("/data/core/ups/export/jobs", json=export)
        assert problem(await refused.json()) == (429, "too_many_jobs")
        assert int(refused.headers["Retry-After"]) >= 1
        assert await db.fetchrow(EVERYTHING) == before
        theirs = await headers_for(foreign_scope, database, operations)
        other = await client.post(
            "/data/core/ups/export/jobs", json=await an_export(db, foreign_scope), headers=theirs
        )
        assert other.status == 200
        await db.execute("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = 1")
        assert (await client.post("/data/core/ups/export/jobs", json=export)).status == 200


async def test_promotions_count_as_waiting_jobs_and_are_refused_alike(
    narrow: tuple[TestServer, Operations], database: Database, db: Connection, scope: Scope
):
    server, operations = narrow
    for _ in range(2):
        await a_loaded_batch(db, scope)
    dataset_id = await a_dataset(db, scope)
    headers = await headers_for(scope, database, operations)
    imports = "/data/foundation/import/batches"
    async with TestClient(server, headers=headers) as client:
        opened = await client.post(imports, json={"datasetId": dataset_id})
        id = (await opened.json())["id"]
        refused = await client.post(f"{imports}/{id}?action=COMPLETE")
        assert problem(await refused.json()) == (429, "too_many_jobs")
        shown: HttpClient = client
        state = await (await shown.get(f"/data/foundation/catalog/batches/{id}")).json()
        assert state[id]["status"] == "loading"


async def an_export(db: Connection, scope: Scope) -> dict[str, object]:
    """The body of a call for an export to a data set of the scope."""
    return {
        "destination": {"datasetId": await a_dataset(db, scope, schema_id=UNION)},
        "schema": {"name": "_xdm.context.profile"},
    }
