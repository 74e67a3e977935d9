"""Export jobs by way of the API: submitted, and followed to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import click

from catalog.export_jobs import PROFILE_SCHEMA_NAME
from catalog.merge_policies import AttributeMerge, IdentityGraph
from service.cli.api import Service
from service.cli.batches import pauses

JOBS = "/data/core/ups/export/jobs"
POLICIES = "/data/core/ups/config/mergePolicies"

#: Statuses that nothing follows.
ENDED = frozenset({"SUCCEEDED", "FAILED", "CANCELLED"})

Job = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an export is to hold."""

    dataset_id: str
    #: Comma-separated paths; empty means every field.
    fields: str = ""
    #: The same of events; None means no events at all.
    event_fields: str | None = None
    #: None: the sandbox's default policy.
    merge_policy_id: str | None = None
    #: Only members of these; none are named: every profile.
    segment_ids: tuple[str, ...] = ()
    updated_after: datetime | None = None
    with_empty_profiles: bool = False

    def body(self) -> dict[str, Any]:
        """The body of the create call."""
        body: dict[str, Any] = {
            "schema": {"name": PROFILE_SCHEMA_NAME},
            "destination": {"datasetId": self.dataset_id},
            "filter": {"emptyProfiles": self.with_empty_profiles},
        }
        if self.fields:
            body["fields"] = self.fields
        if self.event_fields is not None:
            body["additionalFields"] = {"eventList": {"fields": self.event_fields}}
        if self.merge_policy_id:
            body["mergePolicy"] = {"id": self.merge_policy_id}
        if self.segment_ids:
            body["filter"]["segments"] = [{"segmentId": id} for id in self.segment_ids]
        if self.updated_after:
            body["filter"]["fromIngestTimestamp"] = self.updated_after.isoformat()
        return body


async def policy_for(service: Service, graph: IdentityGraph) -> str:
    """A merge policy of that graph in which the newest value wins; made when there is none."""
    page = await service.get(POLICIES, {"limit": 100})
    for policy in page["children"]:
        if (
            policy["identityGraph"]["type"] == graph
            and policy["attributeMerge"]["type"] == AttributeMerge.TIMESTAMP_ORDERED
        ):
            return str(policy["id"])
    made = await service.post(
        POLICIES,
        {
            "name": f"newest first, graph {graph}",
            "schema": {"name": PROFILE_SCHEMA_NAME},
            "identityGraph": {"type": graph.value},
            "attributeMerge": {"type": AttributeMerge.TIMESTAMP_ORDERED.value},
            "default": False,
        },
    )
    return str(made["id"])


async def submit(service: Service, wanted: Wanted) -> Job:
    job: Job = await service.post(JOBS, wanted.body())
    return job


async def find(service: Service, id: int) -> Job:
    job: Job = await service.get(f"{JOBS}/{id}")
    return job


async def follow(
    service: Service, id: int, *, on_look: Callable[[Job], None] = lambda _: None
) -> Job:
    """Wait for the end of a job, whatever it is. ``on_look`` gets the job as it was seen."""
    for pause in pauses():
        job = await find(service, id)
        on_look(job)
        if job["status"] in ENDED:
            return job
        await asyncio.sleep(pause)
    raise AssertionError("pauses never end")


def must_have_succeeded(job: Job) -> None:
    """Refuse a job that ended otherwise, with its own reasons."""
    if job["status"] == "SUCCEEDED":
        return
    reasons = "; ".join(error["msg"] for error in job.get("errors") or ())
    raise click.ClickException(
        f"export job {job['id']} is {str(job['status']).lower()}"
        + (f": {reasons}" if reasons else "")
    )
