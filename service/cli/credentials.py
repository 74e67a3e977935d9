"""``credentials``: how to reach the service, and as whom."""

from __future__ import annotations

import json
from pathlib import Path

import click

from service import assembly
from service.cli.data_dir import DataDir
from service.cli.first_start import client_of, welcome
from service.cli.running import data_dir_option, json_option, read_settings, run
from service.settings import Settings


@click.command()
@data_dir_option
@json_option
def credentials(data_dir: Path | None, *, as_json: bool) -> None:
    """Show how to reach the service as the client that was made at its first start."""
    settings = read_settings(data_dir)
    shown = run(_credentials(settings))
    is_running = DataDir(settings.data.data_dir).running() is not None
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        click.echo(f"{name:<14}{value or ''}")
    if not is_running:
        click.echo("nothing listens there now: start it with profile-exports serve", err=True)


async def _credentials(settings: Settings) -> dict[str, str | None]:
    """Tokens of an external issuer are that issuer's to give: then there is none here."""
    folder = DataDir(settings.data.data_dir)
    there = folder.running()
    async with assembly.deployment(settings) as deployed:
        operator = await welcome(deployed, folder)
        tokens = assembly.operations(deployed.database, deployed.files, settings).tokens
        is_ours = settings.token.issuer is None
        token = (await tokens.sign(client_of(operator))).token if is_ours else None
    host, port = settings.http.host, settings.http.port
    return {
        "base_url": there.base_url if there else f"http://{host}:{port}",
        "org_id": operator.org_id,
        "client_id": operator.client_id,
        "client_secret": operator.client_secret,
        "sandbox": operator.sandbox,
        "access_token": token,
    }
