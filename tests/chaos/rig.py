"""The service under attack: PostgreSQL behind a proxy, a server, two workers; real processes."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from socket import socket
from typing import Any
from urllib.parse import quote

import psutil

from catalog.store import leash
from catalog.store.embedded import EmbeddedPostgres
from tests.chaos.proxy import Proxy
from tests.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "service.cli"]
WORKERS = 2
#: A process that ended is started again after so long.
PAUSE_SECONDS = 0.2
#: A PostgreSQL that is told to end and has not after so long never does.
ENDING_SECONDS = 5

LEASE_SECONDS = 1.0
#: Linux gives ports from 32,768 on, others from 49,152 on.
_NOT_GIVEN = range(20_000, 32_000)
#: Short leases, several jobs at once, and parts so small that a kill meets exports half done.
SETTINGS = {
    "PROFILE_EXPORTS_WORKER_LEASE": str(LEASE_SECONDS),
    "PROFILE_EXPORTS_WORKER_HEARTBEAT": "0.3",
    "PROFILE_EXPORTS_WORKER_GRACE": "1",
    "PROFILE_EXPORTS_WORKER_POLL": "0.5",
    "PROFILE_EXPORTS_WORKER_SLOTS": "2",
    "PROFILE_EXPORTS_WORKER_ATTEMPTS": "8",
    "PROFILE_EXPORTS_ENGINE_THREADS": "1",
    "PROFILE_EXPORTS_ENGINE_PART_ROW_COUNT": "250",
    "PROFILE_EXPORTS_ENGINE_SLICE_SIZE_BYTES": str(1 << 20),
    "PROFILE_EXPORTS_HTTP_SHUTDOWN_GRACE": "3",
    "PROFILE_EXPORTS_LOG_FORMAT": "json",
    "PROFILE_EXPORTS_COMPACTION_EVERY": "2",
    "PROFILE_EXPORTS_COMPACTION_FILES": "3",
    # Whatever is superseded goes with the next compaction, so that most reverts need a rebuild.
    "PROFILE_EXPORTS_COMPACTION_REVERTIBLE": "0",
    "PROFILE_EXPORTS_COMPACTION_PATIENCE": "5",
    "PROFILE_EXPORTS_COMPACTION_HOME_FROM_BYTES": "0",
    # Replays read the snapshots of the attack: nothing of them may go before.
    "PROFILE_EXPORTS_SWEEP_EVERY": "0",
}
#: Who is to be undisturbed, before the attack and behind it, must not lose a lease of a second
#: because the machine is busy besides.
CALM = {"PROFILE_EXPORTS_WORKER_LEASE": "60", "PROFILE_EXPORTS_WORKER_HEARTBEAT": "5"}
#: Batches whose opening was never answered are nobody's: the last sweep waits for none of them.
LAST_SWEEP = {"PROFILE_EXPORTS_SWEEP_LOADING": "0"}


class Kept:
    """A process that is started again whenever it ends."""

    def __init__(self, name: str, command: list[str], environment: dict[str, str], log: Path):
        self.name = name
        self.starts = 0
        self._command = command
        self._environment = environment
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The process that runs now, if one does."""
        if self._process is None or self._process.poll() is not None:
            return None
        return self._process.pid

    def start(self) -> None:
        self._keeper = asyncio.create_task(self._keep())

    async def end(self, last: signal.Signals = signal.SIGKILL) -> None:
        """End it for good, stopped or not."""
        if self._keeper is not None:
            self._keeper.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeper
        if (process := self._process) is not None and process.poll() is None:
            for each in (signal.SIGCONT, last):
                process.send_signal(each)
            await asyncio.to_thread(process.wait, PATIENCE_SECONDS)

    async def _keep(self) -> None:
        while True:
            with self._log.open("ab") as log:
                self._process = leash.start(
                    self._command,
                    last_signal=signal.SIGKILL,
                    environment=self._environment,
                    output=log,
                )
            self.starts += 1
            while self._process.poll() is None:  # noqa: ASYNC110  # a child's end wakes no loop
                await asyncio.sleep(0.05)
            await asyncio.sleep(PAUSE_SECONDS)


class Rig:
    """The service of one run, in one folder."""

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._settings = {**SETTINGS, **settings}
        self.data_dir = folder / "data"
        self.postgres = EmbeddedPostgres(folder / "postgres")
        self.proxy = Proxy(Path())
        self._faults = folder / "faults.json"
        self.port = _free_port()
        self.server: Kept
        self.workers: list[Kept] = []
        #: Of those that were attacked.
        self.worker_starts = 0
        #: Held while PostgreSQL is taken down and up: it is one attack at a time.
        self._postgres_lock = asyncio.Lock()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def files(self) -> Path:
        return self.data_dir / "files"

    @property
    def direct(self) -> dict[str, Any]:
        """PostgreSQL itself, for who watches."""
        return self.postgres.connection

    async def start(self, *, is_calm: bool) -> None:
        await self.postgres.start()
        self.proxy = Proxy(self.postgres.socket_directory / ".s.PGSQL.5432")
        await self.proxy.open()
        environment = self.environment()
        self.server = Kept(
            "server",
            [*COMMAND, "serve", "--workers", "0", "--port", str(self.port), *self._data_dir()],
            environment,
            self.log("server"),
        )
        self.server.start()
        self._start_workers(self.environment(**CALM) if is_calm else environment)

    def _start_workers(self, environment: dict[str, str]) -> None:
        command, log = [*COMMAND, "work", *self._data_dir()], self.log("work")
        self.workers = [Kept(f"worker-{n}", command, environment, log) for n in range(WORKERS)]
        for worker in self.workers:
            worker.start()

    async def rouse(self) -> None:
        """Let workers that may be attacked take over from those that were started calm."""
        calm = self.workers
        self._start_workers(self.environment())
        for worker in calm:
            await worker.end(signal.SIGTERM)

    async def calm_down(self) -> None:
        """Let other workers do what follows: with leases that no busy machine makes them lose."""
        self.worker_starts = sum(worker.starts for worker in self.workers)
        for worker in self.workers:
            await worker.end(signal.SIGTERM)
        self._start_workers(self.environment(**CALM))

    def environment(self, **more: str) -> dict[str, str]:
        """What the service's processes are told."""
        known = self.postgres.connection
        user, password = quote(known["user"]), quote(known["password"])
        return {
            **{name: value for name, value in os.environ.items() if "PROFILE_EXPORTS" not in name},
            **self._settings,
            "DATABASE_URL": f"postgresql://{user}:{password}@127.0.0.1:{self.proxy.port}/"
            f"{known['database']}",
            "PYTHONPATH": os.pathsep.join(
                [
                    str(Path(__file__).parent / "faults"),
                    str(ROOT),
                    *filter(None, [os.environ.get("PYTHONPATH")]),
                ]
            ),
            "CHAOS_FAULTS": str(self._faults),
            **more,
        }

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run one of the service's commands to its end."""
        return subprocess.run(
            [*COMMAND, *arguments, *self._data_dir()],
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            env=self.environment(**more),
        )

    def begin_sweep(self) -> subprocess.Popen[bytes]:
        """Start a sweep that may be killed."""
        with self.log("sweep").open("ab") as log:
            return leash.start(
                [*COMMAND, "sweep", *self._data_dir()],
                last_signal=signal.SIGKILL,
                environment=self.environment(**LAST_SWEEP),
                output=log,
            )

    def spoil(self, fault: str, share: float = 1.0) -> None:
        """Let storage fail from now on; see ``faults/sitecustomize.py``."""
        fresh = self._faults.with_suffix(".new")
        fresh.write_text(json.dumps({"fault": fault, "share": share}), encoding="utf-8")
        fresh.rename(self._faults)

    def mend(self) -> None:
        self._faults.unlink(missing_ok=True)

    def engines(self, worker_pid: int | None = None) -> list[int]:
        """Engine processes, of one worker or of all; those that stand ready included."""
        pids = [worker_pid] if worker_pid else [worker.pid for worker in self.workers]
        return sorted(
            child.pid for pid in pids if pid for child in _children(pid) if _is_engine(child)
        )

    def postmaster(self) -> int:
        lines = (self.postgres.data / "postmaster.pid").read_text(encoding="ascii").splitlines()
        return int(lines[0])

    def sessions(self) -> list[int]:
        """Server processes of PostgreSQL that answer somebody."""
        return sorted(
            child.pid
            for child in _children(self.postmaster())
            if _title(child).startswith("postgres: app ")
        )

    def all_of_postgres(self) -> list[int]:
        own = self.postmaster()
        return [own, *(child.pid for child in _children(own))]

    async def take_down_postgres(self, how: signal.Signals) -> None:
        """End PostgreSQL in some way, and start it again.

        One that does not end is told to quit at once, as the service tells its own: PostgreSQL 18
        never ends when it is told to in an orderly way in the middle of a recovery from a crash.
        """
        async with self._postgres_lock:
            os.kill(self.postmaster(), how)
            deadline = time.monotonic() + ENDING_SECONDS
            while self.postgres.is_running:
                if time.monotonic() > deadline:
                    with suppress(OSError):  # it has just ended
                        os.kill(self.postmaster(), signal.SIGQUIT)
                    deadline += ENDING_SECONDS
                await asyncio.sleep(0.02)
            await self.postgres.start()

    async def end(self) -> None:
        """End every process of the service at once, and leave its files and its database."""
        self.mend()
        self.proxy.speak()
        for kept in (*self.workers, self.server):
            await kept.end()

    async def remove(self) -> None:
        await self.end()
        await self.proxy.close()
        await asyncio.to_thread(self.postgres.remove)

    def _data_dir(self) -> list[str]:
        return ["--data-dir", str(self.data_dir)]


@asynccontextmanager
async def running(
    folder: Path | None = None, *, is_calm: bool = False, **settings: str
) -> AsyncIterator[Rig]:
    """A service that runs for as long as the block lasts; its folder stays when one is named.

    ``settings`` are variables of its environment that are to differ from :data:`SETTINGS`. Its
    workers are calm until they are roused, if that is asked for.
    """
    with tempfile.TemporaryDirectory(prefix="chaos-") as own:
        place = folder or Path(own)
        place.mkdir(parents=True, exist_ok=True)
        place.chmod(0o711)  # root's PostgreSQL is another user's, who passes through
        rig = Rig(place, settings)
        try:
            await rig.start(is_calm=is_calm)
            yield rig
        finally:
            await rig.remove()


def signal_all(pids: Iterable[int], which: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, which)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _is_engine(process: psutil.Process) -> bool:
    return "service.engine.child" in _title(process)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _free_port() -> int:
    """A port that nobody listens on, of those that the system gives to no outgoing connection.

    It is free whenever the server is down, and hundreds of connections come and go meanwhile.
    """
    while True:
        port = secrets.choice(_NOT_GIVEN)
        with socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
