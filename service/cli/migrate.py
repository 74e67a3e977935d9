"""``migrate``: bring the database to this release's schema."""

from __future__ import annotations

from pathlib import Path

import click

from service import assembly
from service.cli.running import data_dir_option, read_settings, run
from service.settings import Settings


@click.command()
@data_dir_option
def migrate(data_dir: Path | None) -> None:
    """Apply the migrations that are missing. ``serve`` does the same when it starts."""
    applied = run(_migrate(read_settings(data_dir)))
    for name in applied:
        click.echo(f"applied {name}")
    if not applied:
        click.echo("nothing to apply: the database is up to date")


async def _migrate(settings: Settings) -> tuple[str, ...]:
    async with assembly.deployment(settings) as deployed:
        return deployed.migrated
