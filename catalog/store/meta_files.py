"""Files that tell about a batch: what an export left out."""

from __future__ import annotations

from collections.abc import Sequence

from catalog.batches import BatchId, MetaFile
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


class MetaFileStore:
    """What is told about batches beside their rows. Few files for each."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, batch_id: BatchId, files: Sequence[MetaFile]) -> None:
        """Tell about a batch; asked in the transaction that ends it, under the job's fence."""
        await SQL["add"].run_many(
            self._db,
            [
                {
                    "batch_id": batch_id,
                    "path": file.path,
                    "key": file.key,
                    "size_bytes": file.size_bytes,
                    "sha256": file.sha256,
                }
                for file in files
            ],
        )

    async def of_batch(self, scope: Scope, batch_id: BatchId) -> tuple[MetaFile, ...]:
        """All there is about a batch, by path; nothing while it has not ended."""
        rows = await SQL["of_batch"].rows(
            self._db,
            batch_id=batch_id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return tuple(MetaFile(**row) for row in rows)
