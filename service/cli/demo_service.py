"""A service for one demo: on a folder of its own, and gone with it."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click

from catalog.store.embedded import EmbeddedPostgres
from service.settings import PREFIX

#: Settings that a demo may be tried with; all others are its own, above all the database.
_TAKEN_OVER = tuple(f"{PREFIX}{topic}_" for topic in ("ENGINE", "WORKER", "LOG"))
_OTHERS_DATABASE = frozenset({"DATABASE_URL"})

#: The first start makes a database: two seconds, or some more on a busy machine. What cannot be
#: put right ends the service by itself, so this is only for one that hangs.
_START_SECONDS = 600
#: How often it is said meanwhile that there is something to wait for.
_WORD_SECONDS = 15
_STOP_SECONDS = 25
_LOOK_AGAIN_SECONDS = 0.05
#: Lines of its log that are shown when it does not start.
_LAST_LINES = 15

_LISTENING = re.compile(r"^listening on (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoService:
    """A service that runs."""

    base_url: str
    pid: int
    #: Holds its data folder, its log, and what the demo makes.
    folder: Path
    #: How long it took to listen.
    start_milliseconds: float

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"


@contextmanager
def demo_folder(*, keep: bool) -> Iterator[Path]:
    """A folder for all that a demo makes. It stays only when asked for, and nothing failed."""
    folder = Path(tempfile.mkdtemp(prefix="profile-exports-demo-"))
    if os.geteuid() == 0:
        # As root the private database runs as another user, who must pass through.
        folder.chmod(0o711)
    try:
        yield folder
    except BaseException:
        _remove(folder)
        raise
    if not keep:
        _remove(folder)


@asynccontextmanager
async def demo_service(
    folder: Path, *, keep: bool, say: Callable[[str], object]
) -> AsyncIterator[DemoService]:
    """Start a service below a folder and wait until it listens; stop it when the block ends.

    It goes on only when asked for, and nothing failed. A start that takes long is told.
    """
    log, began = folder / "serve.log", time.perf_counter()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "service.cli", "serve"),
            *("--port", "0", "--data-dir", str(folder / "data")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            env=_environment(os.environ),
            # Ctrl-C is for the demo, which then stops the service in order.
            start_new_session=True,
        )
    is_done = False
    try:
        base_url = await _address(process, log, say)
        took = (time.perf_counter() - began) * 1000
        yield DemoService(
            base_url=base_url, pid=process.pid, folder=folder, start_milliseconds=took
        )
        is_done = True
    finally:
        if not (is_done and keep):
            await _stop(process)


def _remove(folder: Path) -> None:
    # The private database may lie elsewhere, where its user can reach it.
    with suppress(RuntimeError):
        EmbeddedPostgres(folder / "data" / "postgres").remove()
    shutil.rmtree(folder, ignore_errors=True)


def _environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without anything that would lead a demo to somebody's real data."""
    return {
        name: value
        for name, value in environment.items()
        if name not in _OTHERS_DATABASE
        and (not name.startswith(PREFIX) or name.startswith(_TAKEN_OVER))
    }


async def _address(
    process: asyncio.subprocess.Process, log: Path, say: Callable[[str], object]
) -> str:
    """Wait until the service says where it listens, for as long as it lives."""
    began = last_word = time.monotonic()
    while process.returncode is None and (now := time.monotonic()) - began < _START_SECONDS:
        if said := _LISTENING.search(await _written(log)):
            return said[1]
        if now - last_word > _WORD_SECONDS:
            last_word = now
            say(f"the service is still starting after {now - began:.0f} s: is the machine busy?")
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)
    if process.returncode is None:
        what = f"the service runs, but did not listen within {_START_SECONDS} s"
    else:
        what = f"the service ended with {process.returncode} before it listened"
    last = "\n".join((await _written(log)).splitlines()[-_LAST_LINES:])
    raise click.ClickException(f"{what}. " + (f"It said:\n{last}" if last else "It said nothing."))


async def _written(log: Path) -> str:
    return await asyncio.to_thread(log.read_text, "utf-8", "replace")


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Stop the service in order, and what is left of it by force."""
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(_STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
