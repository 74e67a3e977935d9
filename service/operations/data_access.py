"""What readers may ask: which files a batch has, and what is in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from catalog.batches import BatchId, DatasetFile
from catalog.organisations import Caller
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from service.storage import streams
from service.storage.files import Files


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePage:
    """Some of a batch's files, and how many there are in all."""

    files: tuple[DatasetFile, ...]
    total_count: int


class DataAccess:
    """The files of active batches in a caller's sandbox. Other batches have none."""

    def __init__(self, database: Database, files: Files) -> None:
        self._database = database
        self._files = files

    async def files(self, batch_id: BatchId, *, skip: int, most: int, by: Caller) -> FilePage:
        """One page of a batch's files, by number."""
        async with self._database.transaction() as db:
            batches = BatchStore(db)
            total_count = await batches.count_files(by.scope, batch_id)
            if total_count == 0:
                return FilePage(files=(), total_count=0)
            files = await batches.files(by.scope, batch_id, skip=skip, most=most)
            return FilePage(files=files, total_count=total_count)

    async def file(self, batch_id: BatchId, number: int, *, by: Caller) -> DatasetFile:
        async with self._database.transaction() as db:
            return await BatchStore(db).file(by.scope, batch_id, number)

    def content(self, file: DatasetFile, start: int, length: int) -> AsyncIterator[bytes]:
        """Stream bytes of a file the caller was handed by this class."""
        return streams.stream(self._files, file.key, start, length)
