"""``compact``: let small files of the profile store become one, now."""

from __future__ import annotations

from pathlib import Path

import click

from catalog.jobs import Job, JobKind
from service import assembly
from service.cli.running import data_dir_option, must_be_there, read_settings, run
from service.settings import Settings


@click.command()
@data_dir_option
def compact(data_dir: Path | None) -> None:
    """Submit what the workers submit by themselves, without waiting until it is worth it.

    Two files of a data set are enough. Where jobs wait it takes more. The workers do
    the rest; run it again after that until there is nothing to do.
    """
    settings = read_settings(data_dir)
    must_be_there(settings)
    jobs = run(_submit(settings))
    for job in jobs:
        does = "compacts" if job.kind is JobKind.COMPACTION else "rebuilds store files of"
        click.echo(f"job {job.id} {does} sandbox {job.scope.sandbox_name}")
    if not jobs:
        click.echo("nothing to do: the files are few, or jobs go first")


async def _submit(settings: Settings) -> tuple[Job, ...]:
    async with assembly.deployment(settings) as deployed:
        return await assembly.upkeep(deployed, least_files=2).submit_due()
