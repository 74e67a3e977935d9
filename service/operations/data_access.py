"""What readers may ask: which files a batch has, and what is in them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from catalog.audit import Action, ObjectKind
from catalog.batches import BatchId, DatasetFile, MetaFile
from catalog.datasets import DatasetId
from catalog.organisations import Caller, ClientId, Scope
from catalog.schemas import Field, Path, with_only
from catalog.store.audit import ONE_DOWNLOAD, AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Database
from catalog.store.dataset_files import DatasetFileStore
from catalog.store.datasets import DatasetStore
from catalog.store.meta_files import MetaFileStore
from catalog.store.schemas import SchemaStore
from service.engine import peek, row_errors
from service.operations.remembered import Remembered
from service.storage import streams
from service.storage.files import Files

#: Rows in a preview: as documented.
PREVIEW_ROWS = 100
#: Rows of thousands of events make a preview shorter: this much is read at most, and a bit more.
PREVIEW_BYTES = 8 * 1024 * 1024
#: Files whose footers are read to see which fields have values. Ours: a tenth of a second or so.
OBSERVED_FILES = 100


#: As the original marks a folder that is whole. Nothing is stored for it.
ALL_THERE: Final = MetaFile(path="_SUCCESS", key="", size_bytes=0, sha256=sha256(b"").hexdigest())


#: What saves a query for each range of a download, and is asked anew long before it is over.
_STILL_ONE_DOWNLOAD = ONE_DOWNLOAD / 2
_MOST_DOWNLOADS = 10_000


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
        self._noted: Remembered[tuple[Scope, ClientId, str], bool] = Remembered(
            most=_MOST_DOWNLOADS
        )

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

    async def meta(self, batch_id: BatchId, *, by: Caller) -> tuple[MetaFile, ...]:
        """The files that tell about a batch, by path. A batch that has not ended has none."""
        async with self._database.transaction() as db:
            await BatchStore(db).find(by.scope, batch_id)
            return await MetaFileStore(db).of_batch(by.scope, batch_id)

    async def failed(self, batch_id: BatchId, *, by: Caller) -> tuple[MetaFile, ...]:
        """The files of a batch's refused rows by name, and an empty one that says they are all.

        A batch that has none has neither.
        """
        found = await self.meta(batch_id, by=by)
        folder = f"{row_errors.FOLDER}/"
        files = [
            replace(file, path=file.path.removeprefix(folder))
            for file in found
            if file.path.startswith(folder)
        ]
        return (ALL_THERE, *files) if files else ()

    async def preview(self, dataset_id: DatasetId, *, by: Caller) -> list[dict[str, Any]]:
        """The first rows of a data set, nulls left out; of the batch that was opened first."""
        async with self._database.transaction() as db:
            await DatasetStore(db).find(by.scope, dataset_id)
            files = await DatasetFileStore(db).first(by.scope, dataset_id, most=PREVIEW_ROWS)
            await AuditStore(db).note(by, Action.READ, ObjectKind.DATASET, dataset_id)
        return await asyncio.to_thread(self._first_rows, [file.key for file in files])

    async def observed(self, dataset_id: DatasetId, *, by: Caller) -> tuple[Field, ...]:
        """The fields of a data set that rows of its newest files have values in."""
        async with self._database.transaction() as db:
            await DatasetStore(db).find(by.scope, dataset_id)
            shape = await SchemaStore(db).row_shape(by.scope, dataset_id)
            files = await DatasetFileStore(db).last(by.scope, dataset_id, most=OBSERVED_FILES)
        filled = await asyncio.to_thread(self._filled, [file.key for file in files])
        return with_only(shape.fields, lambda path: path in filled)

    def _filled(self, keys: Iterable[str]) -> set[Path]:
        """Every path that leads to a value, or to a list or a map with values below it."""
        filled: set[Path] = set()
        for key in keys:
            with self._files.open(key) as file:
                columns = peek.filled_columns(file)
            filled |= {column[:end] for column in columns for end in range(1, len(column) + 1)}
        return filled

    def _first_rows(self, keys: Iterable[str]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        size_bytes = PREVIEW_BYTES
        for key in keys:
            if len(rows) >= PREVIEW_ROWS or size_bytes <= 0:
                break
            with self._files.open(key) as file:
                found, read_bytes = peek.preview(file, PREVIEW_ROWS - len(rows), size_bytes)
            rows += found
            size_bytes -= read_bytes
        return rows

    async def note_download(self, called: str, *, is_whole: bool, by: Caller) -> None:
        """Note that a file is sent, under what it is called, before its first byte is.

        A file that is sent whole is a download; so are, together, all ranges of it that one
        client asks for within an hour.
        """
        download = (by.scope, by.client_id, called)
        if not is_whole and self._noted.get(download):
            return
        async with self._database.transaction() as db:
            if is_whole:
                await AuditStore(db).note(by, Action.DOWNLOAD, ObjectKind.FILE, called)
            else:
                await AuditStore(db).note_range(by, called)
        self._noted.keep(download, True, lasts=_STILL_ONE_DOWNLOAD)  # noqa: FBT003 -- the value

    def content(
        self, file: DatasetFile | MetaFile, start: int, length: int
    ) -> AsyncIterator[bytes]:
        """Stream bytes of a file the caller was handed by this class."""
        return streams.stream(self._files, file.key, start, length)
