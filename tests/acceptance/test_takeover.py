"""A worker that is lost: another goes on in time, and does again only what was in its hands."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from catalog.store.embedded import EmbeddedPostgres
from tests.acceptance.service import PATIENCE_SECONDS, running
from tests.acceptance.test_kill import SMALL_PARTS, fill, wait_for_a_part

LEASE_SECONDS = 2
THREADS = 2
SETTINGS = {
    **SMALL_PARTS,
    "PROFILE_EXPORTS_WORKER_LEASE": str(LEASE_SECONDS),
    "PROFILE_EXPORTS_WORKER_COUNT": "2",
    "PROFILE_EXPORTS_ENGINE_THREADS": str(THREADS),
}
ORDER = {"mergePolicy": {"id": "timestampOrdered-pdg-mp"}, "additionalFields": {"eventList": {}}}


def asked(data_dir: Path, question: str, *values: object) -> list[Any]:
    """Rows of the service's own database."""

    async def ask() -> list[Any]:
        connection = await asyncpg.connect(**EmbeddedPostgres(data_dir / "postgres").connection)
        try:
            return list(await connection.fetch(question, *values))
        finally:
            await connection.close()

    return asyncio.run(ask())


def worker_of(data_dir: Path, job_id: int) -> int:
    (row,) = asked(data_dir, "SELECT worker_id FROM jobs WHERE id = $1", job_id)
    return int(row["worker_id"].rpartition("-")[2])


@contextmanager
def lost(pid: int):
    os.kill(pid, signal.SIGKILL)
    yield


@contextmanager
def stopped(pid: int):
    """A worker that sleeps through its lease, and then wakes up in the middle of its work."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_heartbeat_waits_for_no_engine(tmp_path: Path):
    """Work of an engine that does not move for three leases is still its worker's."""
    data_dir = tmp_path / "data"
    with running(data_dir, **SETTINGS) as service:
        job = service.submit(fill(service), **ORDER)
        wait_for_a_part(data_dir, job["id"])
        engines = [child for worker in service.workers() for child in worker.children()]
        for engine in engines:
            engine.suspend()
        lease = "SELECT lease_expires_at AS ends FROM jobs WHERE id = $1"
        (first,) = asked(data_dir, lease, int(job["id"]))
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            (last,) = asked(data_dir, lease, int(job["id"]))
            if (last["ends"] - first["ends"]).total_seconds() > 3 * LEASE_SECONDS:
                break
            assert time.monotonic() < deadline
        for engine in engines:
            engine.resume()
        done = service.finish(job)
    assert done["computeGatewayJobId"]["exportJob"] == f"{job['id']}-1", "it was tried again"


@pytest.mark.parametrize("gone", [lost, stopped], ids=["killed", "stopped"])
def test_another_worker_goes_on_within_lease_and_two_seconds(tmp_path: Path, gone: Callable):
    data_dir = tmp_path / "data"
    with running(data_dir, **SETTINGS) as service:
        job = service.submit(fill(service), **ORDER)
        wait_for_a_part(data_dir, job["id"])
        worker = worker_of(data_dir, int(job["id"]))
        (now,) = asked(data_dir, "SELECT clock_timestamp() AS at")
        with gone(worker):
            done = service.finish(job)
        claims = asked(
            data_dir,
            "SELECT at, attempt FROM job_events WHERE job_id = $1 AND event = 'claim' ORDER BY at",
            int(job["id"]),
        )
        batch_id = done["destination"]["batchId"]
        shown = asked(data_dir, "SELECT key FROM dataset_files WHERE batch_id = $1", batch_id)
    waited = claims[1]["at"] - now["at"]
    assert waited.total_seconds() <= LEASE_SECONDS + 2
    attempts = [re.search(r"/jobs/\d+/(\d+)-\w+/part-(\d+)", row["key"]) for row in shown]
    kept = {found[2] for found in attempts if found and found[1] == "1"}
    again = {found[2] for found in attempts if found and found[1] != "1"}
    begun = {
        path.name.lstrip(".").split(".")[0].removeprefix("part-")
        for path in data_dir.glob(f"files/sandboxes/*/jobs/{job['id']}/1-*/*part-*")
    }
    assert again, "it was not disturbed"
    assert len((begun - kept) & again) <= 2 * THREADS, "those in flight, and those not yet told"
