"""A worker that is killed in the middle of an export changes nothing about its batch."""

import json
import time
from hashlib import sha256

from catalog.schemas import EVENT_CLASS, PROFILE_CLASS, PROFILE_UNION
from tests.acceptance.service import PATIENCE_SECONDS, running

PEOPLE = 20_000
STRING = {"type": "string"}
#: Small parts, so that a kill meets an export with some done and some to do.
SMALL_PARTS = {
    "PROFILE_EXPORTS_ENGINE_PART_ROW_COUNT": "500",
    "PROFILE_EXPORTS_ENGINE_SLICE_SIZE_BYTES": str(1 << 20),
    "PROFILE_EXPORTS_WORKER_LEASE": "2",
}


def lines(rows):
    return "\n".join(json.dumps(row) for row in rows).encode()


def people():
    for number in range(PEOPLE):
        email = [{"id": f"p{number}@example.com", "primary": True}]
        device = [{"id": f"device-{number % (PEOPLE // 2)}"}]
        yield {"nickname": f"n{number}", "identityMap": {"Email": email, "Device": device}}


def clicks():
    for number in range(PEOPLE * 3):
        yield {
            "_id": f"click-{number}",
            "timestamp": "2026-01-01T00:00:00Z",
            "eventType": "click",
            "identityMap": {"Email": [{"id": f"p{number % PEOPLE}@example.com", "primary": True}]},
        }


def fill(service):
    """Ingest people and their clicks; return a data set to export to."""
    records = service.a_schema("People", PROFILE_CLASS, {"nickname": STRING})
    events = service.a_schema("Clicks", EVENT_CLASS, {})
    service.ingest(service.a_dataset("people", records), {"people.json": lines(people())})
    service.ingest(service.a_dataset("clicks", events), {"clicks.json": lines(clicks())})
    return service.a_dataset("exported", PROFILE_UNION, for_profile=False)


def wait_for_a_part(data_dir, job_id):
    """Return as soon as a job has written a part: the next heartbeat would be too late."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not list(data_dir.glob(f"files/sandboxes/*/jobs/{job_id}/*/part-*.parquet")):
        assert time.monotonic() < deadline
        time.sleep(0.005)


def digests(paths):
    return [(path.name, sha256(path.read_bytes()).hexdigest()) for path in paths]


def test_a_killed_worker_leaves_the_same_batch_as_an_undisturbed_run(tmp_path):
    order = {
        "mergePolicy": {"id": "timestampOrdered-pdg-mp"},
        "additionalFields": {"eventList": {}},
    }
    with running(tmp_path / "data", **SMALL_PARTS) as service:
        destination = fill(service)
        quiet = service.finish(service.submit(destination, **order))
        expected = digests(service.download(quiet["destination"]["batchId"], tmp_path / "quiet"))
        job = service.submit(destination, **order)
        wait_for_a_part(tmp_path / "data", job["id"])
        for worker in service.workers():
            worker.kill()
        killed = service.finish(job)
        found = digests(service.download(killed["destination"]["batchId"], tmp_path / "killed"))
    assert len(expected) > 5
    assert found == expected
    assert killed["computeGatewayJobId"]["exportJob"] == f"{job['id']}-2", "it was not disturbed"
    counters = ("totalExportedProfileCounter", "totalExportedEventCounter")
    assert [killed["metrics"][name] for name in counters] == [PEOPLE // 2, PEOPLE * 3]
