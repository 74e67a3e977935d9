"""How commands run: the options they share, their settings, and their event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from catalog.store.obstacles import Obstacle
from service.settings import Settings, problems

Result = TypeVar("Result")

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder of all that is stored. Default: PROFILE_EXPORTS_DATA_DIR, else "
    "~/.local/share/profile-exports.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON, for machines.")


def read_settings(data_dir: Path | None = None) -> Settings:
    """Read the environment. Raises :class:`Obstacle` naming the variables that are wrong."""
    if wrong := problems():
        raise Obstacle("the settings are wrong\n" + "\n".join(wrong))
    return Settings().at(data_dir)


def must_be_there(settings: Settings) -> None:
    """Raise :class:`Obstacle` where nothing was ever stored: to look must not make a database."""
    data = settings.data
    if data.database_url is None and not (data.data_dir / "postgres").is_dir():
        raise Obstacle(
            f"nothing was ever stored in {data.data_dir}: start a service there with "
            "'profile-exports serve', or name another folder with --data-dir"
        )


def run(program: Coroutine[Any, Any, Result]) -> Result:
    """Run a command's coroutine to its end, in the main thread."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(program)
