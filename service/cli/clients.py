"""``clients``: credentials for programs that may do less than the operator."""

from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import click

from catalog.access import ALL, Access
from catalog.errors import NotFound
from catalog.organisations import Client, ClientId, OrganisationId
from catalog.store.obstacles import Obstacle
from service import assembly
from service.cli.data_dir import DataDir
from service.cli.first_start import welcome
from service.cli.running import data_dir_option, json_option, read_settings, run
from service.operations.clients import Clients
from service.settings import Settings


@click.group()
def clients() -> None:
    """Make credentials, list whose there are, shut one out."""


@clients.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(sorted(each.value for each in Access)),
    help="What it may do; may be given several times. Default: everything.",
)
@data_dir_option
@json_option
def add(name: str, scopes: tuple[str, ...], data_dir: Path | None, *, as_json: bool) -> None:
    """Make credentials for a program called NAME. The secret is shown this once."""
    may = frozenset(map(Access, scopes)) or ALL
    _show(run(_add(read_settings(data_dir), name, may)), as_json=as_json)


@clients.command("list")
@data_dir_option
@json_option
def list_all(data_dir: Path | None, *, as_json: bool) -> None:
    """List the clients of the organisation, the first made first."""
    found = run(_list(read_settings(data_dir)))
    if as_json:
        click.echo(json.dumps(found))
        return
    for client in found:
        _show(client, as_json=False)
        click.echo()


@clients.command()
@click.argument("client_id")
@data_dir_option
def disable(client_id: str, data_dir: Path | None) -> None:
    """Shut a client out. Its tokens are refused within five seconds."""
    run(_disable(read_settings(data_dir), client_id))
    click.echo(f"client {client_id} is disabled")


async def _add(settings: Settings, name: str, may: frozenset[Access]) -> dict[str, Any]:
    folder = DataDir(settings.data.data_dir)
    async with assembly.deployment(settings) as deployed:
        operator = await welcome(deployed, folder)
        client = Client(
            id=ClientId(secrets.token_hex(16)),
            organisation_id=OrganisationId(operator.org_id),
            name=name,
            scopes=may,
        )
        secret = await Clients(deployed.database).add(client, by=ClientId(operator.client_id))
    return {
        "client_id": client.id,
        "client_secret": secret,
        "org_id": client.organisation_id,
        "scopes": sorted(client.scopes),
    }


async def _list(settings: Settings) -> list[dict[str, Any]]:
    async with assembly.deployment(settings) as deployed:
        operator = await welcome(deployed, DataDir(settings.data.data_dir))
        found = await Clients(deployed.database).list(OrganisationId(operator.org_id))
    return [
        {
            "client_id": each.client.id,
            "name": each.client.name,
            "scopes": sorted(each.client.scopes),
            "created_at": each.created_at.isoformat(),
            "disabled_at": each.disabled_at.isoformat() if each.disabled_at else None,
        }
        for each in found
    ]


async def _disable(settings: Settings, client_id: str) -> None:
    async with assembly.deployment(settings) as deployed:
        operator = await welcome(deployed, DataDir(settings.data.data_dir))
        if client_id == operator.client_id:
            raise Obstacle("this is the client of the data folder, which the commands need")
        try:
            await Clients(deployed.database).disable(
                OrganisationId(operator.org_id),
                ClientId(client_id),
                by=ClientId(operator.client_id),
            )
        except NotFound as missing:
            raise Obstacle(str(missing)) from missing


def _show(shown: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(shown))
        return
    for name, value in shown.items():
        text = " ".join(value) if isinstance(value, list) else str(value or "")
        click.echo(f"{name:<14}{text}")
