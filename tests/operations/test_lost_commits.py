"""Uploads whose last commit is made and never answered: the row may stand, so its file has to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.errors import OutcomeUnknown
from catalog.large_files import Span
from catalog.organisations import Caller, Scope
from catalog.store.database import Connection, Database
from service import assembly
from service.operations.large_files import Place
from service.settings import DataSettings, Settings
from service.storage.files import Files
from service.surfaces.http import Operations
from tests.builders import a_batch
from tests.chaos.proxy import Proxy
from tests.patience import PATIENCE_SECONDS

CONTENT = b"{}\n"
WHOLE = Span(first_byte=0, size_bytes=len(CONTENT))


class Watched(Files):
    """Files that tell when one is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.when_read: Callable[[], None] = lambda: None

    def read(self, key: str, start: int, length: int) -> bytes:
        self.when_read()
        return super().read(key, start, length)


@pytest.fixture
def files(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


@pytest.fixture
async def distant(
    proxy: Proxy, where: dict[str, Any], files: Watched, tmp_path: Path
) -> AsyncIterator[Operations]:
    """What may be asked of a service that reaches its database through the proxy."""
    database = await Database.connect(**{**where, "host": "127.0.0.1", "port": proxy.port})
    settings = Settings(data=DataSettings(data_dir=tmp_path))
    yield assembly.operations(database, files, settings)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await database.close()


@pytest.fixture
async def place(db: Connection, scope: Scope) -> Place:
    batch = await a_batch(db, scope)
    return Place(batch_id=batch.id, dataset_id=batch.dataset_id, path="a.json")


async def sent(then: Callable[[], None] = lambda: None) -> AsyncIterator[bytes]:
    yield CONTENT
    then()


async def only_key(db: Connection, table: str) -> str:
    """The one key in a table, once it is there: nobody tells when the server has committed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not (rows := await db.fetch(f"SELECT key FROM {table}")):  # noqa: ASYNC110, S608  # ours
            await asyncio.sleep(0.01)
    (row,) = rows
    return str(row["key"])


async def test_a_file_stays_that_may_have_been_kept(
    distant: Operations,
    proxy: Proxy,
    db: Connection,
    place: Place,
    caller: Caller,
    files: Watched,
):
    with pytest.raises(OutcomeUnknown):
        await distant.batches.upload(
            place.batch_id,
            place.dataset_id,
            place.path,
            sent(then=proxy.lose_a_commit),
            announced_bytes=None,
            by=caller,
        )
    assert files.read(await only_key(db, "uploads"), 0, 9) == CONTENT


async def test_a_chunk_stays_that_may_have_been_kept(
    distant: Operations,
    proxy: Proxy,
    db: Connection,
    place: Place,
    caller: Caller,
    files: Watched,
):
    await distant.large_files.begin(place, by=caller)
    with pytest.raises(OutcomeUnknown):
        await distant.large_files.receive(
            place, WHOLE, sent(then=proxy.lose_a_commit), announced_bytes=None, by=caller
        )
    assert files.read(await only_key(db, "chunks"), 0, 9) == CONTENT


async def test_a_joined_file_stays_that_may_have_been_kept(
    distant: Operations,
    proxy: Proxy,
    db: Connection,
    place: Place,
    caller: Caller,
    files: Watched,
):
    await distant.large_files.begin(place, by=caller)
    await distant.large_files.receive(place, WHOLE, sent(), announced_bytes=None, by=caller)
    files.when_read = proxy.lose_a_commit
    with pytest.raises(OutcomeUnknown):
        await distant.large_files.complete(place, by=caller)
    assert files.read(await only_key(db, "uploads"), 0, 9) == CONTENT
