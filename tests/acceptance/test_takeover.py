"""A worker that is lost: another goes on in time, and does again only what was in its hands."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Self

import pytest

from tests.acceptance.holding import KEPT, Hold, until_half_done
from tests.acceptance.service import POLL_SECONDS, Service, running
from tests.acceptance.test_kill import fill
from tests.patience import PATIENCE_SECONDS

LEASE_SECONDS = 4
THREADS = 2
SETTINGS = {
    "PROFILE_EXPORTS_WORKER_LEASE": str(LEASE_SECONDS),
    "PROFILE_EXPORTS_WORKER_COUNT": "2",
    "PROFILE_EXPORTS_ENGINE_THREADS": str(THREADS),
}
ORDER = {"mergePolicy": {"id": "timestampOrdered-pdg-mp"}, "additionalFields": {"eventList": {}}}


def worker_of(service: Service, job_id: int) -> int:
    (row,) = service.rows("SELECT worker_id FROM jobs WHERE id = $1", job_id)
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
    """A lease is renewed again and again while the engine does not move at all."""
    hold, seen = Hold(tmp_path), set()
    with running(tmp_path / "data", **hold.environment) as service:
        destination = fill(service)
        hold.hold()
        job = service.submit(destination, **ORDER)
        until_half_done(service, int(job["id"]))
        engines = [child for worker in service.workers() for child in worker.children()]
        for engine in engines:
            engine.suspend()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(seen) < 5:
            assert time.monotonic() < deadline
            lease = "SELECT lease_expires_at AS ends FROM jobs WHERE id = $1"
            seen |= {row["ends"] for row in service.rows(lease, int(job["id"]))}
            time.sleep(POLL_SECONDS)
        for engine in engines:
            engine.resume()
        hold.let_go()
        done = service.finish(job)
    assert done["computeGatewayJobId"]["exportJob"] == f"{job['id']}-1", "it was tried again"


class Stalls(Thread):
    """How long this process waited for a processor while it wanted one: so did others."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seconds = 0.0
        self._is_over = Event()

    def run(self) -> None:
        while True:
            began_at = time.monotonic()
            if self._is_over.wait(0.05):
                return
            self.seconds += time.monotonic() - began_at - 0.05

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self.join()


@pytest.mark.parametrize("gone", [lost, stopped], ids=["killed", "stopped"])
def test_another_worker_goes_on_within_lease_and_two_seconds(tmp_path: Path, gone: Callable):
    data_dir, hold = tmp_path / "data", Hold(tmp_path)
    with running(data_dir, **SETTINGS, **hold.environment) as service:
        destination = fill(service)
        hold.hold()
        job = service.submit(destination, **ORDER)
        until_half_done(service, int(job["id"]))
        worker = worker_of(service, int(job["id"]))
        left = data_dir.glob(f"files/sandboxes/*/jobs/{job['id']}/1-*/*part-*")
        begun = {found[1] for path in left if (found := re.search(r"part-(\d+)", path.name))}
        with Stalls() as stalls:
            (now,) = service.rows("SELECT clock_timestamp() AS at")
            with gone(worker):
                hold.let_go()
                done = service.finish(job)
        claims = service.rows(
            "SELECT at, attempt FROM job_events WHERE job_id = $1 AND event = 'claim' ORDER BY at",
            int(job["id"]),
        )
        batch_id = done["destination"]["batchId"]
        shown = service.rows("SELECT key FROM dataset_files WHERE batch_id = $1", batch_id)
    waited = claims[1]["at"] - now["at"]
    assert waited.total_seconds() <= LEASE_SECONDS + 2 + stalls.seconds
    attempts = [re.search(r"/jobs/\d+/(\d+)-\w+/part-(\d+)", row["key"]) for row in shown]
    kept = {found[2] for found in attempts if found and found[1] == "1"}
    again = {found[2] for found in attempts if found and found[1] != "1"}
    assert len(kept) >= KEPT
    assert again, "it was not disturbed"
    assert begun >= kept
    assert len((begun - kept) & again) <= 2 * THREADS, "those in flight, and those not yet told"
