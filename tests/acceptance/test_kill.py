"""A worker that is killed in the middle of an export changes nothing about its batch."""

import json
from hashlib import sha256

import psutil

from catalog.schemas import EVENT_CLASS, PROFILE_CLASS, PROFILE_UNION
from tests.acceptance.holding import Hold, until_half_done
from tests.acceptance.service import running
from tests.patience import PATIENCE_SECONDS

PEOPLE = 20_000
STRING = {"type": "string"}


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


def digests(paths):
    return [(path.name, sha256(path.read_bytes()).hexdigest()) for path in paths]


def test_a_killed_worker_leaves_the_same_batch_as_an_undisturbed_run(tmp_path):
    order = {
        "mergePolicy": {"id": "timestampOrdered-pdg-mp"},
        "additionalFields": {"eventList": {}},
    }
    hold = Hold(tmp_path)
    with running(tmp_path / "data", **hold.environment) as service:
        destination = fill(service)
        quiet = service.finish(service.submit(destination, **order))
        expected = digests(service.download(quiet["destination"]["batchId"], tmp_path / "quiet"))
        hold.hold()
        job = service.submit(destination, **order)
        until_half_done(service, int(job["id"]))
        workers = service.workers()
        for worker in workers:
            worker.kill()
        psutil.wait_procs(workers, timeout=PATIENCE_SECONDS)
        hold.let_go()
        # As if the lease had run out.
        service.rows("UPDATE jobs SET lease_expires_at = now() WHERE id = $1", int(job["id"]))
        killed = service.finish(job)
        found = digests(service.download(killed["destination"]["batchId"], tmp_path / "killed"))
    assert len(expected) > 5
    assert found == expected
    assert killed["computeGatewayJobId"]["exportJob"] == f"{job['id']}-2", "it was not disturbed"
    counters = ("totalExportedProfileCounter", "totalExportedEventCounter")
    assert [killed["metrics"][name] for name in counters] == [PEOPLE // 2, PEOPLE * 3]
