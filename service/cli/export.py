"""``export``: merged profiles into a folder: job, progress and download in one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote
from typing import Any

import click
from rich.console import Console

from catalog.merge_policies import IdentityGraph
from service.cli import datasets, downloads, exports, segmentations
from service.cli.access import FindAccess, access_options
from service.cli.api import Service
from service.cli.console import (
    byte_progress,
    duration,
    messages,
    plain_table,
    print_json,
    results,
    run_client,
    say_to,
    size,
    step_progress,
)
from service.cli.interrupts import leave, seen_through, told_if_interrupted
from service.cli.running import json_option
from service.engine import peek


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A job that succeeded, and its files on this machine."""

    job: exports.Job
    files: list[downloads.Fetched]

    def to_json(self) -> dict[str, Any]:
        return {
            "job_id": self.job["id"],
            "batch_id": self.job["destination"]["batchId"],
            "metrics": self.job["metrics"],
            "files": [
                {
                    "path": str(file.path),
                    "size_bytes": file.size_bytes,
                    "row_count": peek.row_count(file.path),
                }
                for file in self.files
            ],
        }


def _instant(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter("write it like 2025-01-31T12:00:00Z") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@click.command()
@click.option("--dataset", "dataset_id", metavar="ID", help="Data set to export to.")
@click.option("--fields", default="", metavar="a,b", help="Only these fields. Default: all.")
@click.option(
    "--events",
    "event_fields",
    is_flag=False,
    flag_value="",
    default=None,
    metavar="[a,b]",
    help="Events too; only these fields of them, when some are named.",
)
@click.option("--merge-policy", "merge_policy_id", metavar="ID", help="How rows become profiles.")
@click.option(
    "--graph",
    type=click.Choice([each.value for each in IdentityGraph]),
    help="Instead of a policy: the newest value wins, and identities seen together are one "
    "person (pdg) or are not (none).",
)
@click.option(
    "--since",
    callback=_instant,
    metavar="TIME",
    help="Only profiles that were updated later, by the time of ingestion.",
)
@click.option(
    "--segment",
    "segments",
    multiple=True,
    metavar="NAME",
    help="Only members of this segment, by its name or id; of any, when repeated.",
)
@click.option("--empty-profiles", is_flag=True, help="Also profiles that have only events.")
@click.option("--job", "job_id", type=int, help="Go on with a job that exists already.")
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the files. Default: profile-export-JOB. A second run skips what is there.",
)
@click.option("--cancel-on-interrupt", is_flag=True, help="Ctrl-C also cancels the job.")
@json_option
@access_options
def export(
    *,
    folder: Path | None,
    job_id: int | None,
    cancel_on_interrupt: bool,
    as_json: bool,
    access: FindAccess,
    **wanted: Any,
) -> None:
    """Export merged profiles, follow the job and download its files.

    Interrupted, the job goes on without you unless --cancel-on-interrupt is given.
    """
    if wanted["graph"] and wanted["merge_policy_id"]:
        raise click.UsageError("say either --merge-policy or --graph")
    if job_id is not None and (any(wanted.values()) or wanted["event_fields"] is not None):
        raise click.UsageError("--job goes on with a job as it was submitted: nothing can be added")

    async def work() -> Exported:
        async with Service.connect(access()) as service:
            console = messages()
            id = job_id
            if id is None:
                id = await submit(service, wanted, console, cancel_on_interrupt=cancel_on_interrupt)
            job = await follow(service, id, console, cancel_on_interrupt=cancel_on_interrupt)
            exports.must_have_succeeded(job)
            target = folder or Path(f"profile-export-{id}")
            # A second run finds what is there, also half a file.
            again = f"`export --job {id} --to {quote(str(target))}`"
            words = f"export job {id} succeeded: {again} fetches what is missing"
            with told_if_interrupted(say_to(console), words):
                return Exported(job=job, files=await download(service, job, target, console))

    exported = run_client(work())
    if as_json:
        print_json(exported.to_json())
    else:
        show(exported, results())


async def submit(
    service: Service,
    wanted: Mapping[str, Any],
    console: Console,
    *,
    cancel_on_interrupt: bool = False,
) -> int:
    """Submit a job. Its answer is waited for when that is interrupted: the job may be there."""
    say = say_to(console)
    with told_if_interrupted(say, "no export job was submitted"):
        order = await _order(service, wanted)
    job = await seen_through(
        exports.submit(service, order),
        "the export job",
        say=say,
        on_interrupt=lambda job: _leave(
            service, int(job["id"]), console, is_cancelled=cancel_on_interrupt
        ),
    )
    return int(job["id"])


async def _order(service: Service, wanted: Mapping[str, Any]) -> exports.Wanted:
    policy = wanted["merge_policy_id"]
    if wanted["graph"]:
        policy = await exports.policy_for(service, IdentityGraph(wanted["graph"]))
    segment_ids = [(await segmentations.find(service, word))["id"] for word in wanted["segments"]]
    return exports.Wanted(
        dataset_id=wanted["dataset_id"] or await datasets.export_dataset(service),
        fields=wanted["fields"],
        event_fields=wanted["event_fields"],
        merge_policy_id=policy,
        segment_ids=tuple(segment_ids),
        updated_after=wanted["since"],
        with_empty_profiles=wanted["empty_profiles"],
    )


async def follow(
    service: Service, id: int, console: Console, *, cancel_on_interrupt: bool = False
) -> exports.Job:
    """Follow a job with a bar, and say how to go on when the follower is interrupted."""
    try:
        with step_progress(console) as progress:
            task = progress.add_task(f"export job {id}", total=None, note="")

            def look(job: exports.Job) -> None:
                seen = job["metrics"].get("progress") or {}
                progress.update(
                    task,
                    description=f"export job {id}: {seen.get('phase', job['status'].lower())}",
                    completed=seen.get("percent", 0),
                    total=100 if seen.get("percent") else None,
                    note=_note(seen),
                )

            return await exports.follow(service, id, on_look=look)
    except asyncio.CancelledError:
        await _leave(service, id, console, is_cancelled=cancel_on_interrupt)
        raise


async def _leave(service: Service, id: int, console: Console, *, is_cancelled: bool) -> None:
    """Cancel a job that its follower was interrupted at, or say how to go on with it."""
    await leave(
        service,
        f"export job {id}",
        f"{exports.JOBS}/{id}",
        say=say_to(console),
        is_cancelled=is_cancelled,
        hint=f"See `jobs show {id}`; fetch it with `export --job {id}`",
    )


async def download(
    service: Service, job: exports.Job, folder: Path, console: Console
) -> list[downloads.Fetched]:
    """Bring the files of a job that succeeded into a folder, with a bar."""
    remote = await downloads.list_files(service, job["destination"]["batchId"])
    with byte_progress(console) as progress:
        task = progress.add_task("downloading", total=sum(file.size_bytes for file in remote))
        return await downloads.fetch(
            service, remote, folder, on_bytes=partial(progress.advance, task)
        )


def show(exported: Exported, console: Console) -> None:
    """Show the files and what the job counted."""
    folder = exported.files[0].path.parent
    table = plain_table(f"file in {folder}", ">size", ">rows", "")
    for file in exported.files:
        table.add_row(
            file.path.name,
            size(file.size_bytes),
            f"{peek.row_count(file.path):,}",
            "was there" if file.was_there else "",
        )
    console.print(table)
    console.print()
    console.print(metrics_table(exported.job["metrics"]))


def metrics_table(metrics: Mapping[str, Any]) -> Any:
    """A job's metrics, each under a name for people."""
    table = plain_table("metric", ">value")
    for key, words in (
        ("totalExportedProfileCounter", "profiles"),
        ("totalExportedEventCounter", "events"),
        ("excludedProfileCounter", "profiles left out: too many identities"),
    ):
        if key in metrics:
            table.add_row(words, f"{metrics[key]:,}")
    for namespace, count in (metrics.get("exportedProfileByNamespaceCounter") or {}).items():
        table.add_row(f"profiles with {namespace}", f"{count:,}")
    for key, words in (
        ("profileExportTime", "merging"),
        ("aCPDatasetWriteTime", "writing"),
        ("totalTime", "in all"),
    ):
        if "totalTimeInMs" in metrics.get(key, {}):
            table.add_row(words, duration(metrics[key]["totalTimeInMs"]))
    return table


def _note(seen: Mapping[str, Any]) -> str:
    parts = []
    if seen.get("profiles"):
        parts.append(f"{seen['profiles']:,} profiles")
    if seen.get("bytes"):
        parts.append(size(seen["bytes"]))
    return ", ".join(parts)
