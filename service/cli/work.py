"""``work``: claim jobs and do them, beside a service or on a machine of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import click

from catalog.jobs import WorkerId
from catalog.store.notices import Notices
from service import assembly
from service.cli.running import data_dir_option, read_settings, run
from service.settings import Settings
from service.telemetry import start_logging


@click.command()
@data_dir_option
def work(data_dir: Path | None) -> None:
    """Run a worker until it is told to stop; then its jobs are handed back."""
    settings = read_settings(data_dir)
    start_logging(level=settings.log.level, format=settings.log.format)
    run(_work(settings))


async def _work(settings: Settings) -> None:
    async with (
        assembly.deployment(settings) as deployed,
        assembly.worker(deployed, _name()) as worker,
        Notices(**deployed.where) as notices,
    ):
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, worker.stop)
        helpers = [
            asyncio.create_task(_sweep(deployed)),
            asyncio.create_task(_look_after_the_store(deployed)),
        ]
        try:
            await worker.run(notices)
        finally:
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)


async def _sweep(deployed: assembly.Deployment) -> None:
    every = deployed.settings.sweep.every
    if every:
        await assembly.sweeper(deployed, _name()).run(every)


async def _look_after_the_store(deployed: assembly.Deployment) -> None:
    every = deployed.settings.compaction.every
    if every:
        await assembly.upkeep(deployed).run(every)


def _name() -> WorkerId:
    """A name for people who read the history of a job. Nothing rests on its being unique."""
    return WorkerId(f"{socket.gethostname()}-{os.getpid()}")
