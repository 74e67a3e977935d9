"""Runs the export jobs of an attack once more, undisturbed, and compares what was written."""

from __future__ import annotations

import json
from collections import defaultdict

import asyncpg

from catalog.jobs import JobKind
from catalog.organisations import OrganisationId, SandboxId, Scope
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Record
from catalog.store.jobs import JobStore
from tests.chaos.audit import AUDITOR
from tests.chaos.evidence import Evidence


async def replay(db: Connection, evidence: Evidence) -> dict[int, list[int]]:
    """Queue each successful export again, at the snapshot it was pinned to.

    Jobs that asked for the same at the same snapshot share one replay. Return the jobs by replay.
    """
    alike: dict[str, list[Record]] = defaultdict(list)
    for job in evidence.jobs.values():
        if job["kind"] == JobKind.EXPORT and job["state"] == "succeeded":
            selection = json.dumps(job["order"]["selection"], sort_keys=True)
            alike[f"{job['snapshot']} {selection}"].append(job)
    replays = {}
    for same in alike.values():
        replays[await _submit(db, same[0])] = [job["id"] for job in same]
    return replays


async def _submit(db: Connection, job: asyncpg.Record) -> int:
    scope = Scope(
        organisation_id=OrganisationId(job["organisation_id"]),
        sandbox_id=SandboxId(job["sandbox_id"]),
        sandbox_name=job["sandbox_name"],
    )
    async with db.transaction():
        again = await JobStore(db).submit(
            scope,
            kind=JobKind.EXPORT,
            dataset_id=job["dataset_id"],
            order=job["order"],
            snapshot=job["snapshot"],
            actor=AUDITOR,
            request_id=f"replay-{job['id']}",
        )
        await BatchStore(db).open_for_export(
            scope, dataset_id=job["dataset_id"], job_id=again.id, actor=AUDITOR
        )
    return again.id


def differences(evidence: Evidence, replays: dict[int, list[int]]) -> list[str]:
    """Where a job wrote other files, or counted otherwise, than its undisturbed replay."""
    found = []
    for id, originals in replays.items():
        if evidence.jobs[id]["state"] != "succeeded":
            found.append(f"the replay {id} of job {originals[0]} is {evidence.jobs[id]['state']}")
            continue
        for original in originals:
            if _written(evidence, original) != _written(evidence, id):
                found.append(f"job {original} wrote other files than undisturbed (job {id})")
            if _counted(evidence, original) != _counted(evidence, id):
                found.append(f"job {original} counted otherwise than undisturbed (job {id})")
    return found


def _written(evidence: Evidence, job_id: int) -> list[tuple[str, int, int, str]]:
    return [
        (row["name"], row["size_bytes"], row["row_count"], row["sha256"])
        for batch in evidence.batches_of(job_id)
        for row in evidence.files.get(batch["id"], [])
    ]


def _counted(evidence: Evidence, job_id: int) -> object:
    return evidence.jobs[job_id]["metrics"]["counters"]
