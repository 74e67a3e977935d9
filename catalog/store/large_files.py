"""Large files in PostgreSQL: which chunks of them have come, and where those lie."""

from __future__ import annotations

from catalog.batches import BatchId
from catalog.large_files import Chunk, LargeFile, Span
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


class LargeFileStore:
    """Files that are sent in chunks. Whoever changes one holds its batch's row locked."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def begin(self, batch_id: BatchId, path: str) -> None:
        """Open a file, which :meth:`forget` has seen to that there is none of."""
        await SQL["begin"].row(self._db, batch_id=batch_id, path=path)

    async def find(self, batch_id: BatchId, path: str) -> LargeFile | None:
        row = await SQL["find"].row(self._db, batch_id=batch_id, path=path)
        if row is None:
            return None
        chunks = await SQL["chunks"].rows(self._db, batch_id=batch_id, path=path)
        return LargeFile(
            path=row["path"],
            is_complete=row["is_complete"],
            chunks=tuple(
                Chunk(
                    span=Span(
                        first_byte=chunk["first_byte"],
                        size_bytes=chunk["size_bytes"],
                        total_bytes=chunk["total_bytes"],
                    ),
                    key=chunk["key"],
                )
                for chunk in chunks
            ),
        )

    async def keep_chunk(self, batch_id: BatchId, path: str, chunk: Chunk) -> str | None:
        """Name stored bytes as a chunk of a file that was begun; return the key they replace."""
        row = await SQL["keep_chunk"].row(
            self._db,
            batch_id=batch_id,
            path=path,
            first_byte=chunk.span.first_byte,
            size_bytes=chunk.span.size_bytes,
            total_bytes=chunk.span.total_bytes,
            key=chunk.key,
        )
        return row["replaced_key"] if row else None

    async def complete(self, batch_id: BatchId, path: str) -> tuple[str, ...]:
        """Note that a file was joined, and return the keys of the chunks nobody needs any more."""
        await SQL["complete"].row(self._db, batch_id=batch_id, path=path)
        return await self._drop_chunks(batch_id, path)

    async def forget(self, batch_id: BatchId, path: str) -> tuple[str, ...]:
        """Forget a file, if there is one, and return the keys of its chunks."""
        keys = await self._drop_chunks(batch_id, path)
        await SQL["forget"].row(self._db, batch_id=batch_id, path=path)
        return keys

    async def unfinished(self, batch_id: BatchId) -> tuple[str, ...]:
        """The paths of a batch's files that were begun and not completed, in their order."""
        rows = await SQL["unfinished"].rows(self._db, batch_id=batch_id)
        return tuple(row["path"] for row in rows)

    async def _drop_chunks(self, batch_id: BatchId, path: str) -> tuple[str, ...]:
        rows = await SQL["drop_chunks"].rows(self._db, batch_id=batch_id, path=path)
        return tuple(row["key"] for row in rows)
