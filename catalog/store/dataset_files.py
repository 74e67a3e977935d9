"""The files of a whole data set, across its batches."""

from __future__ import annotations

from catalog.batches import DatasetFile
from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


class DatasetFileStore:
    """What readers find in a data set."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def first(self, scope: Scope, dataset_id: str, *, most: int) -> tuple[DatasetFile, ...]:
        """Files that have rows, the first opened batch first."""
        rows = await SQL["first"].rows(
            self._db,
            dataset_id=dataset_id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            most=most,
        )
        return tuple(DatasetFile(**row) for row in rows)
