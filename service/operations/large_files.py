"""What may be asked of large files: begin one, send its chunks, see what has come, join them."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import dataclass

from catalog.audit import Action, ObjectKind
from catalog.batches import BatchId, Upload, must_take_uploads, upload_path
from catalog.errors import Conflict, Invalid, NotFound, TooLarge
from catalog.large_files import Chunk, LargeFile, Span, received, whole_size
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.batches import BatchStore
from catalog.store.database import Connection, Database
from catalog.store.folders import FolderStore
from catalog.store.large_files import LargeFileStore
from service.operations.superseded import delete, naming
from service.storage import keys, streams
from service.storage.files import Files, Written

#: Chunks of one file; ours. All of them are looked at whenever one comes: of the smallest that
#: are worth a call, 5 MB, ten thousand are 50 GB.
MOST_CHUNKS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a caller sends a large file to."""

    batch_id: BatchId
    dataset_id: str
    path: str


class LargeFiles:
    """Files too large for one call, of the batches in a caller's sandbox.

    A chunk is on disk before the row that names it is written, so that whatever happens rows
    name whole chunks; what a failure leaves are bytes that no row names.
    """

    def __init__(
        self,
        database: Database,
        files: Files,
        *,
        largest_chunk_bytes: int,
        largest_file_bytes: int,
        most_files: int,
    ) -> None:
        self._database = database
        self._files = files
        self._largest_chunk_bytes = largest_chunk_bytes
        self._largest_file_bytes = largest_file_bytes
        self._most_files = most_files

    async def begin(self, place: Place, *, by: Caller) -> None:
        """Get ready for a file's chunks. A file that was begun before is begun anew, from nothing.

        What was uploaded under its path stays until the new one is complete.
        """
        upload_path(place.path)
        async with self._database.transaction() as db:
            must_take_uploads(await BatchStore(db).lock(by.scope, place.batch_id), place.dataset_id)
            await must_have_room(db, place.batch_id, place.path, most_files=self._most_files)
            superseded = await LargeFileStore(db).forget(place.batch_id, place.path)
            await LargeFileStore(db).begin(place.batch_id, place.path)
            folder = keys.upload_folder(by.scope.sandbox_id, place.batch_id)
            await FolderStore(db).note_uploads(place.batch_id, folder)
        await delete(self._files, superseded)

    async def receive(
        self,
        place: Place,
        span: Span,
        content: AsyncIterable[bytes],
        *,
        announced_bytes: int | None,
        by: Caller,
    ) -> tuple[Span, ...]:
        """Keep one chunk and return what has come by now; a repeat replaces it.

        Chunks come in any order. Whether they fit together is asked when the file is completed.
        """
        if span.size_bytes > self._largest_chunk_bytes:
            raise TooLarge(
                f"{span.size_bytes} bytes are announced, {self._largest_chunk_bytes} is the most"
                " in one chunk"
            )
        if max(span.end, span.total_bytes or 0) > self._largest_file_bytes:
            raise TooLarge(
                f"{max(span.end, span.total_bytes or 0)} bytes are announced,"
                f" {self._largest_file_bytes} is the most in one file"
            )
        if announced_bytes is not None:
            _must_be_all(span, announced_bytes)
        async with self._database.transaction() as db:
            batch = await BatchStore(db).find(by.scope, place.batch_id)
            must_take_uploads(batch, place.dataset_id)
            await _being_sent(db, place)
        written = await streams.store(
            self._files,
            keys.upload(by.scope.sandbox_id, place.batch_id),
            content,
            at_most=span.size_bytes,
        )
        async with naming(self._files, written.key) as superseded:
            _must_be_all(span, written.size_bytes)
            file, replaced = await self._keep(place, Chunk(span=span, key=written.key), by=by)
            superseded.extend([replaced] if replaced else [])
        return received(file.spans)

    async def received(self, place: Place, *, by: Caller) -> tuple[Span, ...]:
        """What has come of a file, also of one that is complete or was sent in one call."""
        async with self._database.transaction() as db:
            await _expect_batch(db, place, by)
            file = await LargeFileStore(db).find(place.batch_id, place.path)
            if file is not None and not file.is_complete:
                return received(file.spans)
            upload = await BatchStore(db).upload(place.batch_id, place.path)
        if upload is None:
            raise NotFound(f"file in batch {place.batch_id} under", place.path)
        whole = Span(first_byte=0, size_bytes=upload.size_bytes)
        return (whole,) if upload.size_bytes else ()

    async def complete(self, place: Place, *, by: Caller) -> Upload:
        """Join the chunks of a file, which from then on is an upload like any other.

        Safe to repeat. Refuses chunks that overlap or leave something out; they stay as they
        are, so that what is missing can be sent.
        """
        async with self._database.transaction() as db:
            # Locked: a file and its chunks are two reads, and another may be completing it.
            batch = await BatchStore(db).lock(by.scope, place.batch_id)
            await _expect_batch(db, place, by)
            file = await LargeFileStore(db).find(place.batch_id, place.path)
            if file is not None and file.is_complete:
                return await _uploaded(db, place)
            must_take_uploads(batch, place.dataset_id)
            file = await _being_sent(db, place)
        written = await self._join(file, keys.upload(by.scope.sandbox_id, place.batch_id))
        async with naming(self._files, written.key if written else None) as superseded:
            async with self._database.transaction() as db:
                upload, replaced = await _settle(db, place, file, written, by=by)
            superseded.extend(replaced)
        return upload

    async def _keep(
        self, place: Place, chunk: Chunk, *, by: Caller
    ) -> tuple[LargeFile, str | None]:
        """Name stored bytes as a chunk; return the file as it is now, and the key they replace."""
        async with self._database.transaction() as db:
            batch = await BatchStore(db).lock(by.scope, place.batch_id)
            must_take_uploads(batch, place.dataset_id)
            await _being_sent(db, place)
            replaced = await LargeFileStore(db).keep_chunk(place.batch_id, place.path, chunk)
            file = await _being_sent(db, place)
            self._must_hold(file)
            return file, replaced

    def _must_hold(self, file: LargeFile) -> None:
        """Refuse chunks that are more than a file of theirs can be: they may overlap."""
        if len(file.chunks) > MOST_CHUNKS:
            raise TooLarge(f"file {file.path}: {MOST_CHUNKS} chunks are the most")
        if sum(span.size_bytes for span in file.spans) > self._largest_file_bytes:
            raise TooLarge(
                f"file {file.path}: its chunks have more than {self._largest_file_bytes} bytes"
            )

    async def _join(self, file: LargeFile, key: str) -> Written | None:
        """Copy the chunks into one file. None: they went meanwhile, so somebody was quicker."""
        size = whole_size(file)
        try:
            return await streams.store(self._files, key, self._content(file), at_most=size)
        except FileNotFoundError:
            return None

    async def _content(self, file: LargeFile) -> AsyncIterator[bytes]:
        for chunk in file.chunks:
            async for piece in streams.stream(self._files, chunk.key, 0, chunk.span.size_bytes):
                yield piece


async def _settle(
    db: Connection, place: Place, file: LargeFile, written: Written | None, *, by: Caller
) -> tuple[Upload, list[str]]:
    """Make a joined file an upload; return it, and the keys that no row names any more."""
    batches, large_files = BatchStore(db), LargeFileStore(db)
    batch = await batches.lock(by.scope, place.batch_id)
    found = await large_files.find(place.batch_id, place.path)
    if found is not None and found.is_complete:
        return await _uploaded(db, place), [written.key] if written else []
    must_take_uploads(batch, place.dataset_id)
    if found != file:
        raise Conflict(f"file {place.path} was changed while it was completed: complete it again")
    if written is None:
        raise FileNotFoundError(f"chunks of {place.path} in batch {place.batch_id}")
    upload = Upload(path=place.path, key=written.key, size_bytes=written.size_bytes)
    replaced = await batches.keep_upload(place.batch_id, upload, sha256=written.sha256)
    joined = await large_files.complete(place.batch_id, place.path)
    await AuditStore(db).note(by, Action.UPLOAD, ObjectKind.BATCH, place.batch_id, path=place.path)
    return upload, [*joined, *([replaced] if replaced else [])]


async def must_have_room(db: Connection, batch_id: BatchId, path: str, *, most_files: int) -> None:
    """Refuse one more file in a batch that has as many as it may. Holds with the batch locked."""
    if await BatchStore(db).count_others(batch_id, path) >= most_files:
        raise TooLarge(f"batch {batch_id} has {most_files} files, which is the most in one batch")


def _must_be_all(span: Span, size_bytes: int) -> None:
    if size_bytes != span.size_bytes:
        raise Invalid(f"the body has {size_bytes} bytes, Content-Range tells {span.size_bytes}")


async def _expect_batch(db: Connection, place: Place, by: Caller) -> None:
    """Refuse a batch that is not the caller's, or of another data set; its state is all one."""
    batch = await BatchStore(db).find(by.scope, place.batch_id)
    if batch.dataset_id != place.dataset_id:
        raise NotFound(f"batch {batch.id} of data set", place.dataset_id)


async def _being_sent(db: Connection, place: Place) -> LargeFile:
    file = await LargeFileStore(db).find(place.batch_id, place.path)
    if file is None:
        raise NotFound(f"file begun with INITIALIZE in batch {place.batch_id} under", place.path)
    if file.is_complete:
        raise Conflict(f"file {place.path} is complete: begin it anew with INITIALIZE")
    return file


async def _uploaded(db: Connection, place: Place) -> Upload:
    upload = await BatchStore(db).upload(place.batch_id, place.path)
    if upload is None:
        raise AssertionError("a completed large file is an upload")
    return upload
