"""The files commands leave in the data folder for one another.

``serve.lock`` is held as long as a service runs on the folder; ``service.json`` says where it is
reached; ``credentials.json`` holds the client that was made for the operator. The last two can be
read by their owner alone.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO

from catalog.organisations import DEFAULT_SANDBOX
from catalog.store.obstacles import Obstacle
from service.operations.tokens import new_secret
from service.storage.folders import make_data_dir

_BETWEEN_TRIES_SECONDS = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorClient:
    """The client of whoever may read the data folder."""

    org_id: str
    client_id: str
    client_secret: str = field(repr=False)
    sandbox: str = DEFAULT_SANDBOX

    @classmethod
    def fresh(cls, org_id: str) -> Self:
        return cls(org_id=org_id, client_id=secrets.token_hex(16), client_secret=new_secret())


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningService:
    """A service that runs on the data folder."""

    base_url: str
    pid: int


class DataDir:
    """The data folder as commands see it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Be the one service of this folder while the block lasts, or raise Obstacle.

        The system lets go of the lock when the process ends, however it does.
        """
        self._make()
        with (self.path / "serve.lock").open("a+", encoding="ascii") as lock:
            if not _is_ours(lock):
                there = self.running()
                where = f" on {there.base_url} (process {there.pid})" if there else ""
                raise Obstacle(
                    f"a service already runs on {self.path}{where}: stop it first, or choose "
                    "another --data-dir"
                )
            try:
                yield
            finally:
                (self.path / "service.json").unlink(missing_ok=True)

    def announce(self, base_url: str) -> None:
        """Tell other commands where this service is reached."""
        there = RunningService(base_url=base_url, pid=os.getpid())
        _replace(self.path / "service.json", asdict(there))

    def running(self) -> RunningService | None:
        """The service that runs here now. What a killed one left behind is not believed."""
        try:
            with (self.path / "serve.lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            with suppress(FileNotFoundError):
                return RunningService(**_read(self.path / "service.json"))
        except FileNotFoundError:
            pass
        return None

    def client(self) -> OperatorClient | None:
        """The operator's client, or None before the first start."""
        try:
            return OperatorClient(**_read(self.path / "credentials.json"))
        except FileNotFoundError:
            return None
        except TypeError as error:
            raise Obstacle(f"{self.path / 'credentials.json'} is not ours: {error}") from error

    def client_or_fresh(self, org_id: str) -> OperatorClient:
        """The operator's client, made now if there is none; of two makers the first wins."""
        self._make()
        fresh = _fresh(self.path / "credentials.json", asdict(OperatorClient.fresh(org_id)))
        with suppress(FileExistsError):
            os.link(fresh, self.path / "credentials.json")
        fresh.unlink()
        client = self.client()
        if client is None:
            raise Obstacle(f"{self.path / 'credentials.json'} was removed while it was read")
        return client

    def _make(self) -> None:
        try:
            make_data_dir(self.path)
        except OSError as error:
            raise Obstacle(
                f"the data folder {self.path} cannot be made ({error.strerror}): choose another "
                "with --data-dir"
            ) from error


def _is_ours(lock: TextIO) -> bool:
    """Take the lock, unless a service has it.

    A command that only looks shares it for a moment, or for as long as it has no processor.
    """
    while True:
        with suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        fcntl.flock(lock, fcntl.LOCK_UN)
        time.sleep(_BETWEEN_TRIES_SECONDS)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except PermissionError as error:
        raise Obstacle(f"{path} belongs to {path.owner()}: run this as that user") from error
    except ValueError as error:
        raise Obstacle(f"{path} is damaged: remove it") from error
    return content if isinstance(content, dict) else {}


def _fresh(path: Path, content: dict[str, Any]) -> Path:
    """Write a file beside ``path`` that its owner alone can read."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        fresh.touch(mode=0o600, exist_ok=False)
    except PermissionError as error:
        raise Obstacle(
            f"{path.parent} is not writable: choose another --data-dir, or run this as "
            f"{path.parent.owner()}"
        ) from error
    fresh.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return fresh


def _replace(path: Path, content: dict[str, Any]) -> None:
    _fresh(path, content).rename(path)
