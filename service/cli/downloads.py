"""The files of a batch, brought into a folder: whole under their names, or not there at all."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

import aiohttp
import click

from service.cli.api import Service

BATCHES = "/data/foundation/export/batches"
FILES = "/data/foundation/export/files"

#: Files that are fetched at a time: more would only share the same line.
_AT_A_TIME = 4
_CHUNK_BYTES = 1 << 18
_PAGE = 100
#: A broken download is taken up again this often, from where it broke.
_TRIES = 5

_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """One file as Data Access lists it."""

    file_id: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """One file that lies in the folder, whole."""

    path: Path
    size_bytes: int
    #: It lay there already, from an earlier run.
    was_there: bool


async def list_files(service: Service, batch_id: str) -> list[Remote]:
    """Every file of a batch, in its order."""
    return [
        Remote(
            file_id=listed["dataSetFileId"],
            name=str(entry["name"]),
            size_bytes=int(entry["length"]),
        )
        async for listed in _pages(service, f"{BATCHES}/{batch_id}/files")
        async for entry in _pages(service, f"{FILES}/{quote(listed['dataSetFileId'], safe='')}")
    ]


async def fetch(
    service: Service,
    files: list[Remote],
    folder: Path,
    *,
    on_bytes: Callable[[int], None] = lambda _: None,
) -> list[Fetched]:
    """Bring files into a folder, several at a time; what is there already is not fetched again.

    A download that broke is taken up where it broke, in this run or the next. ``on_bytes`` is
    told how many bytes came, those that were there included.
    """
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    slots = asyncio.Semaphore(_AT_A_TIME)

    async def one(file: Remote) -> Fetched:
        async with slots:
            return await _Download(service, file, _inside(folder, file.name), on_bytes).run()

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(file)) for file in files]
    except ExceptionGroup as problems:
        raise problems.exceptions[0] from None
    return [task.result() for task in tasks]


class _Download:
    """One file on its way."""

    def __init__(
        self, service: Service, file: Remote, target: Path, on_bytes: Callable[[int], None]
    ) -> None:
        self._service = service
        self._file = file
        self._target = target
        # With the file's id: a file of another batch may have the same name.
        self._partial = target.with_name(f".{target.name}.{file.file_id}.partial")
        self._on_bytes = on_bytes
        self._told = 0
        self._address = f"{FILES}/{quote(file.file_id, safe='')}"

    async def run(self) -> Fetched:
        if await self._is_there():
            self._tell(self._file.size_bytes)
            return self._fetched(was_there=True)
        for attempt in range(_TRIES):
            try:
                await self._fetch_rest()
                break
            except aiohttp.ClientError:
                if attempt == _TRIES - 1:
                    raise click.ClickException(
                        f"{self._file.name} broke off {_TRIES} times; the next run goes on with it"
                    ) from None
        await asyncio.to_thread(self._partial.rename, self._target)
        return self._fetched(was_there=False)

    def _fetched(self, *, was_there: bool) -> Fetched:
        return Fetched(path=self._target, size_bytes=self._file.size_bytes, was_there=was_there)

    async def _is_there(self) -> bool:
        """Whether the file lies there whole: by its length, and its hash where that is told."""
        if _length(self._target) != self._file.size_bytes:
            return False
        headers = await self._service.head(self._address, {"path": self._file.name})
        said = _SHA256.fullmatch(headers.get("ETag", ""))
        return said is None or await asyncio.to_thread(_sha256, self._target) == said[1]

    async def _fetch_rest(self) -> None:
        start = _length(self._partial) or 0
        if start >= self._file.size_bytes:
            start = 0
        query = {"path": self._file.name}
        async with self._service.download(self._address, query, start=start) as answer:
            goes_on = answer.status == 206 and start > 0  # noqa: PLR2004
            with self._partial.open("ab" if goes_on else "wb") as partial:
                async for chunk in answer.content.iter_chunked(_CHUNK_BYTES):
                    await asyncio.to_thread(partial.write, chunk)
                    self._tell(partial.tell())
            said = _SHA256.fullmatch(answer.headers.get("ETag", ""))
        await asyncio.to_thread(self._check, said[1] if said else None)

    def _tell(self, position: int) -> None:
        """Say how far the file is; a new start takes back what was said."""
        self._on_bytes(position - self._told)
        self._told = position

    def _check(self, sha256: str | None) -> None:
        length = _length(self._partial)
        if length != self._file.size_bytes:
            self._partial.unlink()
            raise click.ClickException(
                f"{self._file.name} has {length} bytes, {self._file.size_bytes} were announced"
            )
        if sha256 is not None and _sha256(self._partial) != sha256:
            self._partial.unlink()
            raise click.ClickException(f"{self._file.name} arrived damaged: run this again")


async def _pages(service: Service, address: str) -> AsyncIterator[dict[str, Any]]:
    start = 0
    while True:
        page = await service.get(address, {"start": start, "limit": _PAGE})
        for entry in page["data"]:
            yield entry
        start += len(page["data"])
        if not page["data"] or start >= int(page["_page"]["count"]):
            return


def _inside(folder: Path, name: str) -> Path:
    """Where a file of that name goes. Refuses names that lead elsewhere: a server chose them."""
    parts = PurePosixPath(name).parts
    if len(parts) != 1 or parts[0] in {"..", "/"} or "\\" in name:
        raise click.ClickException(f"the service names a file {name!r}: that is no file name")
    return folder / name


def _length(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
