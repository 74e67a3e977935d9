"""A private PostgreSQL for people who configured none: found, initialised, run and ended here.

It listens on a socket of mode 0700 and nowhere else. The first process to start it owns it;
any other that names the same folder attaches. It ends with its owner, however that ends.

The folder holds ``owner.lock``, ``password``, ``postgres.log`` and ``data``. Two of these may
have to lie elsewhere, and a file then says where: ``data.location`` when the server's user
cannot enter the folder (:mod:`~catalog.store.accounts`), ``socket.location`` when the path of
the folder is too long for a socket.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, TextIO

import asyncpg

from catalog.store import binaries, clusters, leash
from catalog.store.accounts import Account, name_of, unprivileged
from catalog.store.obstacles import Obstacle

ROLE = "app"
#: A socket's path may have 107 bytes; this one's name is ``/.s.PGSQL.5432``.
LONGEST_SOCKET_DIRECTORY = 107 - len("/.s.PGSQL.5432")
#: How long a start may take in all. Recovery after a crash reads at most ``max_wal_size``.
START_TIMEOUT_SECONDS = 120
#: How long a fast shutdown may take before the server is told to quit at once.
STOP_TIMEOUT_SECONDS = 30
_LOOK_AGAIN_SECONDS = 0.03

_NOT_YET = (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError)


class EmbeddedPostgres:
    """The server of one folder. Start it from the main thread, stop it from any."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str] = MappingProxyType({})) -> None:
        """``settings`` are PostgreSQL's own, where they are to differ from its defaults."""
        self.folder = folder.resolve()
        self.is_owner = False
        self._settings = settings
        self._lock: TextIO | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._log_offset = 0

    async def start(self) -> None:
        """Own the server and start it, or attach to the one that runs, whichever is possible.

        An owner that dies while others wait for it is replaced by one of them. An owner whose
        server was killed may call this again. Raises :class:`Obstacle` when something on this
        machine has to be put right first; nothing is running then.
        """
        self._prepare_folder()
        try:
            await self._start_or_attach(time.monotonic() + START_TIMEOUT_SECONDS)
        except BaseException:
            self.stop()
            raise

    async def _start_or_attach(self, deadline: float) -> None:
        earlier = self._server
        while True:
            if self._server is None and self._is_locked():
                await self._serve(deadline)
            try:
                connection = await asyncpg.connect(**self.connection, timeout=5)
            except _NOT_YET as error:
                if self._server is not None and self._server is not earlier:
                    self._give_up_when_it_ended()
                elif not self.is_running:  # it was killed, and may have ended just now
                    self._server = None
                self._give_up_when_late(deadline, error)
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            except asyncpg.InvalidPasswordError as error:
                raise Obstacle(
                    f"{self._password} is not the password {self.data} was made with: put the "
                    f"right one back, or remove {self.folder}"
                ) from error
            else:
                await connection.close()
                return

    async def _serve(self, deadline: float) -> None:
        """Run the server, making its database when there is none yet."""
        account = self._account()
        programs = binaries.find(account)
        data = self._settle_data(account)
        password = self._password
        if not clusters.exists(data):
            _write_secret(password)
            clusters.make(data, programs, account, role=ROLE, password=password)
        elif not password.exists():
            raise Obstacle(f"{password} is missing: put it back, or remove {self.folder}")
        clusters.refuse_other_version(data, programs, role=ROLE, password=password)
        await _wait_for_orphans(data, deadline)
        self._settle_socket(data, account)
        with (self.folder / "postgres.log").open("ab") as log:
            self._log_offset = log.tell()
            self._server = leash.start(
                [programs / "postgres", "-D", data, *self._options()],
                last_signal=signal.SIGINT,
                uid=account.uid if account else leash.SAME,
                gid=account.gid if account else leash.SAME,
                environment={**clusters.environment(), **clusters.ignoring_stale_pid(data)},
                output=log,
            )

    def _options(self) -> list[str]:
        settings = {
            **self._settings,
            "listen_addresses": "",
            "unix_socket_directories": str(self.socket_directory),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "logging_collector": "off",
            "timezone": "UTC",
        }
        return [part for pair in settings.items() for part in ("-c", "=".join(pair))]

    def _prepare_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (uid := self.folder.stat().st_uid) != os.geteuid():
            owner = name_of(uid)
            raise Obstacle(
                f"{self.folder} belongs to {owner}: run this as {owner}, or choose another "
                "--data-dir"
            )
        # As root the server's user passes through, to reach the one directory that is its own.
        self.folder.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def _is_locked(self) -> bool:
        """Take the owner's lock unless it is ours already or another's. The system frees it."""
        if self.is_owner:
            return True
        if self._lock is None:
            self._lock = (self.folder / "owner.lock").open("a+", encoding="ascii")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        self.is_owner = True
        return True

    def _account(self) -> Account | None:
        if clusters.exists(self.data):
            return clusters.owner(self.data)
        return unprivileged()

    def _settle_data(self, account: Account | None) -> Path:
        """Decide where the database lies, where its user can reach it, and remember it."""
        data = self.data
        if account is None or account.can_enter(data.parent):
            return data
        if clusters.exists(data):
            raise Obstacle(
                f"the user {account.name}, to whom {data} belongs, can no longer enter it: allow "
                f"it to pass through the directories above (chmod o+x), or set DATABASE_URL"
            )
        _point(self.folder / "data.location", clusters.room_elsewhere(self.folder, account))
        return self.data

    def _settle_socket(self, data: Path, account: Account | None) -> None:
        """Decide where the socket lies. A comma would end the path in PostgreSQL's settings."""
        self._forget_socket()
        path = str(data)
        if len(os.fsencode(path)) <= LONGEST_SOCKET_DIRECTORY and not set(path) & set(',"'):
            return
        directory = Path(tempfile.mkdtemp(prefix="profile-exports-", dir="/tmp"))
        if account is not None:
            os.chown(directory, account.uid, account.gid)
        _point(self.folder / "socket.location", directory)

    def _forget_socket(self) -> None:
        pointer = self.folder / "socket.location"
        if directory := _followed(pointer):
            shutil.rmtree(directory, ignore_errors=True)
            pointer.unlink()

    def _give_up_when_it_ended(self) -> None:
        if not self.is_running:
            with (self.folder / "postgres.log").open("rb") as log:
                log.seek(self._log_offset)
                said = log.read().decode(errors="replace").strip()
            raise Obstacle(f"PostgreSQL did not start:\n{said}")

    def _give_up_when_late(self, deadline: float, error: Exception) -> None:
        if time.monotonic() > deadline:
            whose = "its owner has" if self._server is None else "it has"
            raise Obstacle(
                f"no answer from PostgreSQL in {self.folder} for {START_TIMEOUT_SECONDS} s "
                f"({error}); {whose} not made it ready: see postgres.log there"
            )

    @property
    def is_running(self) -> bool:
        """Whether the server is ours and alive. One that is another process's is not known."""
        return self._server is not None and self._server.poll() is None

    @property
    def _password(self) -> Path:
        return self.folder / "password"

    @property
    def connection(self) -> dict[str, Any]:
        """What :func:`asyncpg.connect` has to be told to reach the server."""
        return {
            "host": str(self.socket_directory),
            "port": 5432,
            "user": ROLE,
            "database": "postgres",
            "password": self._password.read_text(encoding="ascii"),
        }

    @property
    def data(self) -> Path:
        """Where the database itself lies: in the folder, or where the folder says."""
        return _followed(self.folder / "data.location") or self.folder / "data"

    @property
    def socket_directory(self) -> Path:
        """Where the server's socket lies: in the database, or where the folder says."""
        return _followed(self.folder / "socket.location") or self.data

    def stop(self) -> None:
        """End the server when it is ours, and in any case let go of it."""
        if self._server is not None:
            self._server.send_signal(signal.SIGINT)  # fast: sessions end, the log is closed
            try:
                self._server.wait(STOP_TIMEOUT_SECONDS)
            except subprocess.TimeoutExpired:
                self._server.send_signal(signal.SIGQUIT)
                self._server.wait()
            self._server = None
        if self.is_owner:
            self._forget_socket()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        self.is_owner = False

    def remove(self) -> None:
        """Stop, and delete the database and the folder with all that is kept in it.

        Another process's server is left alone, and that is an error of whoever asked.
        """
        self.stop()
        if not self.folder.exists():
            return
        if not self._is_locked():
            self.stop()
            raise RuntimeError(f"the server in {self.folder} is another process's")
        self._forget_socket()
        elsewhere = _followed(self.folder / "data.location")
        if elsewhere is not None:
            shutil.rmtree(elsewhere.parent, ignore_errors=True)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.stop()


async def _wait_for_orphans(data: Path, deadline: float) -> None:
    """Let a server whose owner was killed finish: it has been told, and may still be writing.

    One that does not is told to quit at once, as ours is: PostgreSQL 18 that is told to end in
    the middle of its recovery from a crash never does.
    """
    patience = time.monotonic() + STOP_TIMEOUT_SECONDS
    while orphans := clusters.processes_in(data):
        if time.monotonic() > patience:
            patience = deadline
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGQUIT)
        if time.monotonic() > deadline:
            raise Obstacle(
                f"PostgreSQL processes that nobody owns are still at work in {data} and do not "
                f"end: {', '.join(map(str, orphans))}. End them, and start again."
            )
        await asyncio.sleep(_LOOK_AGAIN_SECONDS)


def _write_secret(path: Path) -> None:
    """Write a new password that nobody else can read, whole or not at all."""
    if path.exists():
        return
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600, exist_ok=False)
    fresh.write_text(secrets.token_urlsafe(24), encoding="ascii")
    fresh.rename(path)


def _followed(pointer: Path) -> Path | None:
    try:
        return Path(pointer.read_text(encoding="utf-8").rstrip("\n"))
    except FileNotFoundError:
        return None


def _point(pointer: Path, target: Path) -> None:
    fresh = pointer.with_suffix(".new")
    fresh.write_text(f"{target}\n", encoding="utf-8")
    fresh.rename(pointer)
