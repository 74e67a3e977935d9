"""``doctor``: look for what is wrong, and show how the settings were understood."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import click

from service import assembly
from service.cli.data_dir import DataDir
from service.cli.running import data_dir_option, json_option, must_be_there, read_settings, run
from service.operations.checkup import Findings
from service.settings import Settings, misspelt

_LIBRARIES = ("aiohttp", "asyncpg", "joserfc", "numpy", "pyarrow", "pydantic", "scipy")
#: As many names as fit a screen; ``--json`` has all.
_MOST_NAMES = 10


@click.command()
@data_dir_option
@json_option
@click.pass_context
def doctor(context: click.Context, data_dir: Path | None, *, as_json: bool) -> None:
    """Look for what is wrong. Repairs nothing; ends with 1 when something needs a person."""
    settings = read_settings(data_dir)
    must_be_there(settings)
    report = run(_examine(settings))
    if as_json:
        click.echo(json.dumps(report, default=str, indent=2))
    else:
        _print(report)
    if report["complaints"]:
        context.exit(1)


async def _examine(settings: Settings) -> dict[str, Any]:
    folder = settings.data.data_dir
    there = DataDir(folder).running()
    async with assembly.deployment(settings, is_migrating=False) as deployed:
        findings = await assembly.checkup(deployed).examine()
        postgres = deployed.postgres
        where = str(postgres.data) if postgres else "the server of DATABASE_URL"
    unknown = [f"{name} is set and means nothing" for name in misspelt(os.environ)]
    return {
        "complaints": [*findings.complaints, *unknown],
        "versions": _versions(findings),
        "service": asdict(there) if there else None,
        "data": {"folder": str(folder), "free_bytes": shutil.disk_usage(folder).free},
        "database": {
            "where": where,
            "is_private": postgres is not None,
            "size_bytes": findings.server.size_bytes,
            "applied": findings.applied_migrations,
            "missing": findings.missing_migrations,
        },
        "files": asdict(findings.files) if findings.files else None,
        "last_sweep": asdict(findings.last_sweep) if findings.last_sweep else None,
        "leases": [asdict(lease) for lease in findings.leases],
        "settings": {
            name: "" if value is None else str(value) for name, value in settings.by_name().items()
        },
    }


def _versions(findings: Findings) -> dict[str, str]:
    return {
        "profile-exports": _version("profile-exports"),
        "python": platform.python_version(),
        "postgresql": findings.server.version,
        **{name: _version(name) for name in _LIBRARIES},
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _print(report: dict[str, Any]) -> None:
    for topic in ("versions", "service", "data", "database", "settings"):
        _print_topic(topic, report[topic] or {"": "none runs here"})
    _print_topic("files", report["files"] or {"": "not compared: migrate first"})
    click.secho("last sweep", bold=True)
    swept = report["last_sweep"]
    click.echo(f"  {swept['ended_at']:%F %T} by {swept['actor']}" if swept else "  none yet")
    click.secho("leases", bold=True)
    for lease in report["leases"]:
        click.echo(f"  job {lease['job_id']} held by {lease['worker_id']}")
    if not report["complaints"]:
        click.secho("nothing wrong was found", fg="green")
    for complaint in report["complaints"]:
        click.secho(complaint, fg="red")


def _print_topic(topic: str, values: Mapping[str, object]) -> None:
    click.secho(topic, bold=True)
    width = max(map(len, values))
    for name, value in values.items():
        click.echo(f"  {name:<{width}}  {_short(value)}")


def _short(value: object) -> str:
    if not isinstance(value, tuple | list):
        return str(value)
    shown = ", ".join(map(str, value[:_MOST_NAMES]))
    return f"{len(value)}: {shown}{' ...' if len(value) > _MOST_NAMES else ''}" if value else "none"
