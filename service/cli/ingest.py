"""``ingest``: a local file or folder into a data set, which is made when there is none."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from catalog.batches import FileFormat
from catalog.errors import Invalid
from catalog.schemas import Field, IdentityDescriptor, Kind
from service.cli import batches, datasets
from service.cli.access import FindAccess, access_options
from service.cli.api import Service
from service.cli.console import (
    byte_progress,
    messages,
    plain_table,
    print_json,
    results,
    run_client,
    say_to,
)
from service.cli.interrupts import Say, seen_through, told_if_interrupted
from service.cli.running import json_option
from service.cli.sources import Files, Source, find_files, identity
from service.engine.inference import infer

_NOTHING_DONE = "nothing was made or sent"


def _identities(
    _ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]
) -> tuple[IdentityDescriptor, ...]:
    try:
        return tuple(identity(text) for text in texts)
    except Invalid as problem:
        raise click.BadParameter(str(problem)) from None


@click.command()
@click.argument("path", type=click.Path(path_type=Path, exists=True))
@click.option("--dataset", "dataset_id", metavar="ID", help="The data set to put it into.")
@click.option("--name", help="The data set by its name; it is made when there is none.")
@click.option(
    "--identity",
    "identities",
    callback=_identities,
    metavar="FIELD=NAMESPACE[:primary]",
    multiple=True,
    help="A field that says whom a row is about, and what kind of id it holds.",
)
@click.option(
    "--event/--record",
    "is_event",
    default=None,
    help="Rows are events, or records of people. Asked for when rows look like events.",
)
@click.option(
    "--format",
    type=click.Choice([each.value for each in FileFormat], case_sensitive=False),
    help="What the files are, when their names do not tell.",
)
@json_option
@access_options
def ingest(
    *,
    path: Path,
    dataset_id: str | None,
    name: str | None,
    identities: tuple[IdentityDescriptor, ...],
    is_event: bool | None,
    format: str | None,
    as_json: bool,
    access: FindAccess,
) -> None:
    """Put a file, or all files of a folder as one batch, into a data set.

    PATH holds JSON (lines, a list or one object), CSV or Parquet. With --name and --identity a
    missing data set is made: its schema is guessed from the rows, and it takes part in profiles.

    Interrupted before all is sent, the batch is aborted; later it is promoted without you.
    """
    if (dataset_id is None) == (name is None):
        raise click.UsageError("say either --dataset ID or --name NAME")
    if dataset_id and (identities or is_event is not None):
        raise click.UsageError("--identity and --event describe a new data set: say --name")

    async def work() -> tuple[batches.Settled, bool]:
        source = Source(
            name=name or "",
            files=find_files(path, FileFormat(format) if format else None),
            is_event=bool(is_event),
            identities=identities,
        )
        console = messages()
        async with Service.connect(access()) as service:
            with told_if_interrupted(say_to(console), _NOTHING_DONE):
                found = dataset_id or await datasets.find_dataset(service, source.name)
            target = found or await _new_dataset(
                service, source, console, is_sure=is_event is not None
            )
            return await _ingest(service, target, source.files, console), found is None

    settled, is_new = run_client(work())
    _show(settled, as_json=as_json)
    if not settled.is_active:
        if is_new:
            _tell_what_stays(settled.dataset_id, messages())
        raise SystemExit(1)


def _tell_what_stays(dataset_id: str, console: Console) -> None:
    """What a first batch that failed leaves behind, and what can be done with it."""
    console.print(
        f"data set {dataset_id} was made for it and stays, without rows: send others with"
        f" --dataset {dataset_id}, or erase it with DELETE {datasets.DATASETS}/{dataset_id}."
        " Its fields stay in the profiles' schema."
    )


async def _new_dataset(service: Service, source: Source, console: Console, *, is_sure: bool) -> str:
    """Make a data set for rows nobody described."""
    say = say_to(console)
    with told_if_interrupted(say, _NOTHING_DONE), console.status("looking at the rows"):
        inferred = await asyncio.to_thread(
            infer,
            source.files.paths,
            source.files.format,
            texts=frozenset(each.path for each in source.identities),
        )
    if not is_sure and looks_like_events(inferred.fields):
        raise click.UsageError(
            f"{source.name}: rows with _id and timestamp look like events, and what enters the "
            "profiles' schema stays there: say --event or --record"
        )
    made = await seen_through(
        datasets.make_dataset(service, source, inferred.fields),
        f"data set {source.name}",
        say=say,
        on_interrupt=partial(_tell_what_was_made, say),
    )
    looked = "the first rows" if inferred.reached_limit else "all rows"
    console.print(f"made data set {made}, its fields guessed from {looked}: {inferred.row_count:,}")
    return made


async def _tell_what_was_made(say: Say, dataset_id: str) -> None:
    say(f"made data set {dataset_id} and sent nothing: say --dataset {dataset_id} to go on")


async def _ingest(
    service: Service, dataset_id: str, files: Files, console: Console
) -> batches.Settled:
    say = say_to(console)
    for skipped in files.skipped:
        say(f"left out {skipped}: not JSON, CSV or Parquet by its name")
    with byte_progress(console) as progress:
        task = progress.add_task("uploading", total=files.size_bytes)
        batch_id = await batches.send(
            service, dataset_id, files, on_bytes=partial(progress.advance, task), say=say
        )
    with console.status(f"batch {batch_id} is being promoted"):
        return await batches.settled(service, batch_id, say=say)


def _show(settled: batches.Settled, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "batch_id": settled.id,
                "dataset_id": settled.dataset_id,
                "status": settled.status,
                "metrics": dict(settled.metrics),
                "errors": [dict(error) for error in settled.errors],
            }
        )
        return
    console = results()
    metrics = settled.metrics
    if settled.is_active:
        console.print(
            f"batch {settled.id} is active: {settled.row_count:,} of "
            f"{metrics.get('inputRecordCount', settled.row_count):,} rows "
            f"in data set {settled.dataset_id}"
        )
    else:
        console.print(f"batch {settled.id} is {settled.status}: nothing of it is visible")
    if settled.errors:
        table = plain_table("code", "rows", "reason")
        for error in settled.errors:
            rows = ", ".join(str(row) for row in error.get("rows") or ())
            table.add_row(str(error.get("code", "")), rows, str(error.get("description", "")))
        console.print(table)


def looks_like_events(fields: Sequence[Field]) -> bool:
    """Whether rows have what every event has and no record needs: an id and an instant."""
    kinds = {field.name: field.kind for field in fields}
    return "_id" in kinds and kinds.get("timestamp") is Kind.TIMESTAMP
