"""The files of a whole data set, across its batches."""

from __future__ import annotations

from catalog.batches import DatasetFile
from catalog.datasets import ListedFile
from catalog.filters import Wanted
from catalog.organisations import Scope
from catalog.store import filters, queries
from catalog.store.database import Connection, Record
from catalog.store.listing_columns import FILE_COLUMNS

SQL = queries.beside(__file__)


class DatasetFileStore:
    """What readers find in a data set."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def first(self, scope: Scope, dataset_id: str, *, most: int) -> tuple[DatasetFile, ...]:
        """Files that have rows, the first opened batch first."""
        return await self._some("first", scope, dataset_id, most)

    async def last(self, scope: Scope, dataset_id: str, *, most: int) -> tuple[DatasetFile, ...]:
        """Files that have rows, the last opened batch first."""
        return await self._some("last", scope, dataset_id, most)

    async def page(
        self, scope: Scope, wanted: Wanted, *, limit: int, skip: int
    ) -> tuple[ListedFile, ...]:
        """One page of the files of active batches that pass a filter, of all data sets."""
        rows = await filters.page(
            self._db,
            SQL["listing"],
            FILE_COLUMNS,
            wanted,
            limit=limit,
            skip=skip,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return tuple(_listed(row) for row in rows)

    async def _some(
        self, query: str, scope: Scope, dataset_id: str, most: int
    ) -> tuple[DatasetFile, ...]:
        rows = await SQL[query].rows(
            self._db,
            dataset_id=dataset_id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            most=most,
        )
        return tuple(DatasetFile(**row) for row in rows)


def _listed(row: Record) -> ListedFile:
    of_file = {key: value for key, value in row.items() if key not in {"id", "created_by"}}
    return ListedFile(file=DatasetFile(**of_file), created_by=row["created_by"])
