"""Keeps worker processes running beside the service, and none once it is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import structlog

from catalog.store import leash

#: Between a worker's death and the next, doubling: a worker that cannot start must not fill the
#: log, and one that died of a passing trouble must be back before its lease runs out.
FIRST_PAUSE = timedelta(milliseconds=500)
LONGEST_PAUSE = timedelta(seconds=30)
#: A worker that lived this long is not one that cannot start.
HEALTHY_AFTER = timedelta(seconds=60)

log = structlog.stdlib.get_logger(__name__)


class Supervisor:
    """Runs ``count`` processes of one command and replaces those that end.

    They are killed by the system when this process ends in any way: their jobs' leases run out
    and others go on. Use it from the main thread.
    """

    def __init__(self, command: Sequence[str], *, count: int) -> None:
        self._command = command
        self._stopping = asyncio.Event()
        self._threads = ThreadPoolExecutor(max(count, 1), thread_name_prefix="worker-watch")
        self._running: set[subprocess.Popen[bytes]] = set()
        self._keepers = [asyncio.create_task(self._keep()) for _ in range(count)]

    async def stop(self, *, grace: timedelta) -> None:
        """Tell the workers to hand back their jobs; kill those that have not after ``grace``."""
        self._stopping.set()
        self._signal(signal.SIGTERM)
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=grace.total_seconds())
            if late:
                log.warning("workers did not end in time", count=len(late))
                self._signal(signal.SIGKILL)
                await asyncio.wait(late)
        self._threads.shutdown()

    def _signal(self, which: signal.Signals) -> None:
        for process in self._running:
            process.send_signal(which)

    async def _keep(self) -> None:
        """Run one worker after another until told to stop."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE
        while not self._stopping.is_set():
            process = self._start()
            started = loop.time()
            self._running.add(process)
            status = await loop.run_in_executor(self._threads, process.wait)
            self._running.discard(process)
            if self._stopping.is_set():
                return
            if loop.time() - started > HEALTHY_AFTER.total_seconds():
                pause = FIRST_PAUSE
            log.warning(
                "a worker ended", pid=process.pid, status=status, next_in=pause.total_seconds()
            )
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause.total_seconds())
            pause = min(pause * 2, LONGEST_PAUSE)

    def _start(self) -> subprocess.Popen[bytes]:
        process = leash.start(
            self._command,
            last_signal=signal.SIGKILL,
            environment=_environment(),
            output=sys.stderr.fileno(),
        )
        log.info("a worker started", pid=process.pid)
        return process


def _environment() -> dict[str, str]:
    """Ours; and a worker of a clone that was never installed finds it from any directory."""
    root = Path(__file__).parents[2]
    if "site-packages" in root.parts:
        return dict(os.environ)
    paths = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def worker_command(data_dir: str) -> list[str]:
    """The command line of one worker on a data folder."""
    return [sys.executable, "-m", "service.cli", "work", "--data-dir", data_dir]
