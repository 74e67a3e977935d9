"""``sweep``: remove what has had its time, now."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import click

from service import assembly
from service.cli.running import data_dir_option, json_option, must_be_there, read_settings, run
from service.settings import Settings


@click.command()
@data_dir_option
@json_option
def sweep(data_dir: Path | None, *, as_json: bool) -> None:
    """Do at once what the workers do by themselves in rounds, and tell what was removed.

    Looks below every folder that is not in use, whether it is due or not, until nothing is left
    to remove.
    """
    settings = read_settings(data_dir)
    must_be_there(settings)
    swept = run(_sweep(settings))
    if as_json:
        click.echo(json.dumps(swept))
    elif swept is None:
        click.echo("a worker is sweeping at this moment: nothing to do")
    elif not any(swept.values()):
        click.echo("nothing to remove")
    else:
        for what, count in sorted(swept.items()):
            if count:
                click.echo(f"{what.replace('_', ' '):<20}{count}")


async def _sweep(settings: Settings) -> Counter[str] | None:
    swept: Counter[str] | None = None
    async with assembly.deployment(settings) as deployed:
        sweeper = assembly.sweeper(deployed, "sweep")
        while (found := await sweeper.sweep(is_eager=True)) is not None:
            swept = (swept or Counter()) + found
            if not any(found.values()):
                break
    return swept
