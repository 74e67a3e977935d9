"""``serve``: HTTP, the workers beside it, and the private database below it."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import click
import structlog

from catalog.store.embedded import EmbeddedPostgres
from catalog.store.obstacles import Obstacle
from service import assembly
from service.app import application
from service.cli.data_dir import DataDir
from service.cli.first_start import welcome
from service.cli.listening import address_of, bound, listening
from service.cli.running import data_dir_option, read_settings, run
from service.cli.supervisor import Supervisor, worker_command
from service.settings import Settings
from service.telemetry import start_logging

#: How soon a private server that was killed is started again.
_LOOK_AGAIN_SECONDS = 1.0
#: Between two looks for garbage among what is new: as much as some ten calls make.
_NEW_OBJECTS = 10_000
#: What a worker needs beyond its own grace to hand its jobs back and end.
_HAND_BACK = timedelta(seconds=5)

log = structlog.stdlib.get_logger(__name__)


@click.command()
@click.option("--host", help="The address to listen on. Default: 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="The port to listen on; 0 takes any that is free. Default: 8080.",
)
@data_dir_option
@click.option(
    "--workers",
    type=click.IntRange(0, 64),
    help="Worker processes to run beside it; 0 for none. Default: 1.",
)
def serve(host: str | None, port: int | None, data_dir: Path | None, workers: int | None) -> None:
    """Run the service until it is told to stop."""
    settings = read_settings(data_dir)
    http = {"host": host, "port": port}
    given = {name: value for name, value in http.items() if value is not None}
    settings = settings.model_copy(update={"http": settings.http.model_copy(update=given)})
    start_logging(level=settings.log.level, format=settings.log.format)
    run(_serve(settings, worker_count=settings.worker.count if workers is None else workers))


async def _serve(settings: Settings, *, worker_count: int) -> None:
    folder = DataDir(settings.data.data_dir)
    stopping = _told_to_stop()
    with folder.claimed(), bound(settings.http.host, settings.http.port) as sockets:
        async with assembly.deployment(settings, is_owner=True) as deployed:
            await welcome(deployed, folder)
            operations = assembly.operations(deployed.database, deployed.files, settings)
            app = application(
                operations,
                address_characters=settings.http.address_characters,
                document_bytes=settings.http.document_bytes,
            )
            async with (
                _kept_alive(deployed.postgres),
                _workers(folder, worker_count, settings),
                listening(app, sockets, settings.http),
            ):
                address = address_of(settings.http.host, sockets)
                _look_through_memory_less()
                folder.announce(address)
                click.echo(f"listening on {address}")
                await stopping.wait()
                log.info("stopping")
                operations.readiness.stop()
                await asyncio.sleep(settings.http.shutdown_delay.total_seconds())


def _look_through_memory_less() -> None:
    """Leave what was made until now out of every collection of garbage.

    It stays until the end, and takes a tenth of a second to look through: calls that came
    meanwhile waited for that. What a call makes is gone when it was answered, without any.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def _told_to_stop() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second ends the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        told.set()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    return told


@asynccontextmanager
async def _workers(folder: DataDir, count: int, settings: Settings) -> AsyncIterator[None]:
    supervisor = Supervisor(worker_command(str(folder.path)), count=count)
    try:
        yield
    finally:
        own = settings.worker.grace + _HAND_BACK
        await supervisor.stop(grace=max(settings.http.shutdown_grace, own))


@asynccontextmanager
async def _kept_alive(postgres: EmbeddedPostgres | None) -> AsyncIterator[None]:
    """Start the private server again when it died while we did not."""
    keeper = asyncio.create_task(_keep_alive(postgres)) if postgres is not None else None
    try:
        yield
    finally:
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper


async def _keep_alive(postgres: EmbeddedPostgres) -> None:
    while True:
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        if not postgres.is_running:
            log.error("the private PostgreSQL died: starting it again")
            try:
                await postgres.start()
            except Obstacle:
                log.exception("the private PostgreSQL does not start")
