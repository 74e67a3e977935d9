"""Segments and segment jobs by way of the API: defined, found, evaluated, followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import click

from catalog.export_jobs import PROFILE_SCHEMA_NAME
from service.cli.api import Service
from service.cli.batches import pauses
from service.cli.exports import ENDED

DEFINITIONS = "/data/core/ups/segment/definitions"
JOBS = "/data/core/ups/segment/jobs"

#: The most one page of the API holds.
_PAGE = 1_000

Segment = Mapping[str, Any]
Job = Mapping[str, Any]


def body(
    name: str,
    rule: str,
    *,
    format: str = "pql/text",
    description: str = "",
    merge_policy_id: str | None = None,
    ttl_days: int | None = None,
) -> dict[str, Any]:
    """The body of the call that defines a segment."""
    return {
        "name": name,
        "description": description,
        "expression": {"type": "PQL", "format": format, "value": rule},
        "schema": {"name": PROFILE_SCHEMA_NAME},
        "mergePolicyId": merge_policy_id,
        "ttlInDays": ttl_days,
    }


async def every(service: Service) -> list[Segment]:
    """All segments of the sandbox, newest first."""
    found: list[Segment] = []
    while True:
        page = await service.get(DEFINITIONS, {"limit": _PAGE, "start": len(found)})
        found += page["segments"]
        if not page["link"]:
            return found


async def find(service: Service, word: str) -> Segment:
    """The segment that has a word for its id, its key or its name."""
    return among(await every(service), word)


def among(segments: Sequence[Segment], word: str) -> Segment:
    """The one of some segments that has a word for its id, its key or its name."""
    for segment in segments:
        if word in {segment["id"], segment["key"], segment["name"]}:
            return segment
    raise click.ClickException(f"no segment has the id, the key or the name {word}")


async def submit(service: Service, ids: Sequence[str] | None) -> Job:
    """Have segments evaluated; ``None`` is all of the sandbox."""
    named = [{"segmentId": id} for id in ids] if ids is not None else [{"segmentId": "*"}]
    job: Job = await service.post(JOBS, named)
    return job


async def follow(
    service: Service, id: str, *, on_look: Callable[[Job], None] = lambda _: None
) -> Job:
    """Wait for the end of a job, whatever it is. ``on_look`` gets the job as it was seen."""
    address = f"{JOBS}/{quote(id, safe='')}"
    for pause in pauses():
        job: Job = await service.get(address)
        on_look(job)
        if job["status"] in ENDED:
            return job
        await asyncio.sleep(pause)
    raise AssertionError("pauses never end")


async def last_success(service: Service, segment_id: str) -> Job | None:
    """The newest job that succeeded in evaluating a segment."""
    query: dict[str, str | int] = {
        "status": "SUCCEEDED",
        "property": f"segments~segmentId=={segment_id}",
        "sort": "updateTime:desc",
        "limit": 1,
    }
    page = await service.get(JOBS, query)
    return next(iter(page["children"]), None)


def must_have_succeeded(job: Job) -> None:
    """Refuse a job that ended otherwise, with its own reasons."""
    if job["status"] == "SUCCEEDED":
        return
    reasons = "; ".join(error["msg"] for error in job["errors"])
    raise click.ClickException(
        f"segment job {job['id']} is {str(job['status']).lower()}"
        + (f": {reasons}" if reasons else "")
    )


def member_counts(job: Job) -> dict[str, tuple[int, int]]:
    """Of each segment of a job that succeeded, how many belong to it and how many no longer do."""
    by_status = job["metrics"]["segmentedProfileByStatusCounter"]
    return {id: (counts["realized"], counts["exited"]) for id, counts in by_status.items()}
