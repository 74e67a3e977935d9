"""``jobs``: the export jobs of a sandbox, listed, shown and cancelled."""

from __future__ import annotations

from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import click

from service.cli import exports
from service.cli.access import FindAccess, access_options
from service.cli.api import Service
from service.cli.console import (
    duration,
    instant,
    plain_table,
    print_json,
    results,
    run_client,
)
from service.cli.export import metrics_table
from service.cli.running import json_option

_STATUSES = ("NEW", "PROCESSING", "SUCCEEDED", "FAILED", "CANCELLED")
#: The most one page of the API holds.
_PAGE = 1_000


@click.group()
def jobs() -> None:
    """List, show and cancel export jobs."""


@jobs.command("list")
@click.option("--status", type=click.Choice(_STATUSES, case_sensitive=False), help="Only these.")
@click.option(
    "--limit", type=click.IntRange(min=1), default=20, show_default=True, help="The newest so many."
)
@json_option
@access_options
def list_(*, status: str | None, limit: int, as_json: bool, access: FindAccess) -> None:
    """List export jobs, newest first."""

    async def work() -> list[exports.Job]:
        async with Service.connect(access()) as service:
            return await _listed(service, status, limit)

    found = run_client(work())
    if as_json:
        print_json(found)
        return
    table = plain_table(">job", "status", "created (UTC)", ">took", ">profiles", "batch")
    for job in found:
        metrics = job["metrics"]
        took = metrics["totalTime"].get("totalTimeInMs")
        profiles = metrics.get("totalExportedProfileCounter")
        table.add_row(
            str(job["id"]),
            job["status"],
            instant(job["creationTime"]),
            "" if took is None else duration(took),
            "" if profiles is None else f"{profiles:,}",
            job["destination"].get("batchId", ""),
        )
    results().print(table if found else "no export jobs")


@jobs.command()
@click.argument("id", type=int)
@json_option
@access_options
def show(*, id: int, as_json: bool, access: FindAccess) -> None:
    """Show one export job: what was asked for and what became of it."""

    async def work() -> exports.Job:
        async with Service.connect(access()) as service:
            return await exports.find(service, id)

    job = run_client(work())
    if as_json:
        print_json(job)
        return
    console = results()
    console.print(f"export job {job['id']} is {job['status'].lower()}")
    table = plain_table("", "")
    table.show_header = False
    for words, value in _facts(job):
        table.add_row(words, value)
    console.print(table)
    console.print()
    console.print(metrics_table(job["metrics"]))
    if job["status"] == "SUCCEEDED":
        console.print(f"\nfetch its files with `export --job {id} --to FOLDER`")


@jobs.command()
@click.argument("id", type=int)
@json_option
@access_options
def cancel(*, id: int, as_json: bool, access: FindAccess) -> None:
    """Cancel an export job that has not ended."""

    async def work() -> Any:
        async with Service.connect(access()) as service:
            return await service.delete(f"{exports.JOBS}/{id}")

    answer = run_client(work())
    if as_json:
        print_json(answer)
    else:
        click.echo(f"export job {id} is cancelled")


async def _listed(service: Service, status: str | None, limit: int) -> list[exports.Job]:
    """The newest jobs, page by page as far as asked for."""
    query: dict[str, str | int] = {"limit": min(limit, _PAGE)}
    if status:
        query["status"] = status.upper()
    found: list[exports.Job] = []
    while len(found) < limit:
        page = await service.get(exports.JOBS, query)
        found += page["records"]
        following = parse_qs(urlsplit((page.get("link") or {}).get("next") or "").query)
        if not following.get("offset"):
            break
        query["offset"] = following["offset"][0]
    return list(islice(found, limit))


def _facts(job: exports.Job) -> list[tuple[str, str]]:
    policy = job.get("mergePolicy") or {}
    events = (job.get("additionalFields") or {}).get("eventList")
    facts = [
        ("created", f"{instant(job['creationTime'])} UTC"),
        ("data set", job["destination"]["datasetId"]),
        ("batch", job["destination"].get("batchId") or "none"),
        ("merge policy", policy.get("id") or "the default"),
        ("fields", job.get("fields") or "all"),
        ("events", "none" if events is None else events.get("fields") or "all fields"),
    ]
    facts += [("error", f"{each['code']}: {each['msg']}") for each in job.get("errors") or ()]
    return facts
