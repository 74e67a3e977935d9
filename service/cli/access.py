"""Which service a command talks to, and as whom."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from catalog.organisations import DEFAULT_SANDBOX
from service.cli.data_dir import DataDir
from service.cli.running import data_dir_option, read_settings
from service.settings import PREFIX

FindAccess = Callable[[], "Access"]

_SET_THEM = f"set {PREFIX}CLIENT_ID, {PREFIX}CLIENT_SECRET and {PREFIX}ORG_ID"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """All that a client must know of a service."""

    base_url: str
    org_id: str
    client_id: str
    client_secret: str
    sandbox: str = DEFAULT_SANDBOX


def access_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that say which service it talks to.

    The command gets them as ``access``, a function that finds the service: called once the
    rest of its arguments make sense, so that these are complained of first.
    """

    @wraps(command)
    def with_access(
        *, data_dir: Path | None, base_url: str | None, sandbox: str | None, **others: Any
    ) -> None:
        def access() -> Access:
            return find_access(os.environ, data_dir=data_dir, base_url=base_url, sandbox=sandbox)

        command(access=access, **others)

    options = (
        click.option(
            "--sandbox", envvar=f"{PREFIX}SANDBOX", help="Sandbox to work in. Default: prod."
        ),
        click.option(
            "--base-url",
            help=f"Address of the service, when it runs elsewhere. Default: {PREFIX}BASE_URL.",
        ),
        data_dir_option,
    )
    described: Callable[..., None] = with_access
    for option in options:
        described = option(described)
    return described


def find_access(
    environment: Mapping[str, str],
    *,
    data_dir: Path | None = None,
    base_url: str | None = None,
    sandbox: str | None = None,
) -> Access:
    """Find a service and credentials for it.

    An address that was given wins over the data folder; credentials of the environment win over
    those of the data folder. A secret of a data folder is only ever sent to an address that is
    written there too, or that was given together with the folder.
    """
    folder = read_settings(data_dir).data.data_dir.absolute()
    said = _from_environment(environment)
    if data_dir is None:
        base_url = base_url or environment.get(f"{PREFIX}BASE_URL")
    if base_url and (said or not data_dir):
        access = replace(_said(said), base_url=base_url)
    else:
        access = _of_folder(folder, said, base_url)
    return replace(access, base_url=access.base_url.rstrip("/"), sandbox=sandbox or access.sandbox)


def _from_environment(environment: Mapping[str, str]) -> Access | None:
    """The credentials of the environment, when there are any. Refuses half of them."""
    names = [f"{PREFIX}{name}" for name in ("CLIENT_ID", "CLIENT_SECRET", "ORG_ID")]
    values = [environment.get(name, "") for name in names]
    if not values[0] and not values[1]:
        return None
    if missing := [name for name, value in zip(names, values, strict=True) if not value]:
        raise click.UsageError(f"the environment lacks {' and '.join(missing)}")
    client_id, client_secret, org_id = values
    return Access(base_url="", org_id=org_id, client_id=client_id, client_secret=client_secret)


def _said(said: Access | None) -> Access:
    if said is None:
        raise click.UsageError(f"no credentials for that address: {_SET_THEM}, or add --data-dir")
    return said


def _of_folder(folder: Path, said: Access | None, base_url: str | None) -> Access:
    data_dir = DataDir(folder)
    there = data_dir.running()
    address = base_url or (there and there.base_url)
    if not address:
        is_default = folder == read_settings().data.data_dir.absolute()
        where = "" if is_default else f" --data-dir {folder}"
        raise click.ClickException(
            f"no service runs on {folder}: start one with `profile-exports serve{where}`, "
            "or say --base-url of another"
        )
    if said:
        return replace(said, base_url=address)
    client = data_dir.client()
    if client is None:
        raise click.ClickException(f"{folder} holds no credentials: {_SET_THEM}")
    return Access(
        base_url=address,
        org_id=client.org_id,
        client_id=client.client_id,
        client_secret=client.client_secret,
        sandbox=client.sandbox,
    )
