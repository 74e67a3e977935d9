"""Data sets in PostgreSQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from catalog.batches import BatchId, BatchState
from catalog.datasets import (
    TABLE_TAG,
    Dataset,
    DatasetDraft,
    DatasetId,
    DatasetInUse,
    LatestBatches,
    says,
)
from catalog.errors import NotFound
from catalog.filters import Wanted
from catalog.organisations import Scope
from catalog.schemas import EVENT_UNION, SchemaId
from catalog.store import filters, queries
from catalog.store.database import Connection, Record
from catalog.store.listing_columns import DATASET_COLUMNS

SQL = queries.beside(__file__)


class DatasetStore:
    """Data sets, read and changed inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def add(self, scope: Scope, id: DatasetId, draft: DatasetDraft, *, actor: str) -> Dataset:
        row = await SQL["add"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            schema_id=draft.schema_id,
            actor=actor,
            **_changeable(draft),
        )
        assert row is not None
        return _dataset(row)

    async def find(self, scope: Scope, id: DatasetId) -> Dataset:
        row = await SQL["find"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("data set", id)
        return _dataset(row)

    async def lock(self, scope: Scope, id: DatasetId) -> Dataset:
        """Find a data set and hold it against change until the transaction ends."""
        row = await SQL["lock"].row(
            self._db, id=id, sandbox_id=scope.sandbox_id, organisation_id=scope.organisation_id
        )
        if row is None:
            raise NotFound("data set", id)
        return _dataset(row)

    async def existing(self, scope: Scope, ids: Collection[str]) -> frozenset[DatasetId]:
        """Those of some ids that are data sets here."""
        rows = await SQL["existing"].rows(
            self._db,
            ids=list(ids),
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
        )
        return frozenset(DatasetId(row["id"]) for row in rows)

    async def in_use(self, scope: Scope, id: DatasetId) -> DatasetInUse:
        """Find a data set together with what its schema and its batches say of it."""
        rows = await self._in_use(scope, Wanted(), id=id, limit=1)
        if not rows:
            raise NotFound("data set", id)
        return rows[0]

    async def page(
        self, scope: Scope, wanted: Wanted, *, limit: int, skip: int = 0
    ) -> tuple[DatasetInUse, ...]:
        """One page of the data sets that pass a filter."""
        return await self._in_use(scope, wanted, limit=limit, skip=skip)

    async def revise(
        self, scope: Scope, id: DatasetId, draft: DatasetDraft, *, actor: str
    ) -> Dataset:
        """Change all a draft says but the schema, which a data set keeps."""
        row = await SQL["revise"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            actor=actor,
            **_changeable(draft),
        )
        if row is None:
            raise NotFound("data set", id)
        return _dataset(row)

    async def has_table(self, scope: Scope, name: str) -> bool:
        """Whether a data set is already called so as a table."""
        row = await SQL["table_of"].row(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            tag=TABLE_TAG,
            table=name,
        )
        return row is not None

    async def delete(self, scope: Scope, id: DatasetId, *, actor: str) -> None:
        """Hide a data set for good. What is in it is for :class:`ErasureStore` to take."""
        row = await SQL["delete"].row(
            self._db,
            id=id,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            actor=actor,
        )
        if row is None:
            raise NotFound("data set", id)

    async def _in_use(
        self,
        scope: Scope,
        wanted: Wanted,
        *,
        id: DatasetId | None = None,
        limit: int,
        skip: int = 0,
    ) -> tuple[DatasetInUse, ...]:
        rows = await filters.page(
            self._db,
            SQL["in_use"],
            DATASET_COLUMNS,
            wanted,
            limit=limit,
            skip=skip,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            id=id,
            event_union=EVENT_UNION,
        )
        return tuple(map(_in_use, rows))


def _changeable(draft: DatasetDraft) -> dict[str, Any]:
    """The columns a draft may set, then and later."""
    return {
        "name": draft.name,
        "description": draft.description,
        "schema_content_type": draft.schema_content_type,
        "tags": dict(draft.tags),
        "extras": dict(draft.extras),
        "is_profile_enabled": draft.feeds_profiles and says(draft.tags, "enabled"),
        "is_upsert": says(draft.tags, "isUpsert"),
    }


def _dataset(row: Record) -> Dataset:
    return Dataset(
        id=DatasetId(row["id"]),
        name=row["name"],
        description=row["description"],
        schema_id=SchemaId(row["schema_id"]),
        schema_content_type=row["schema_content_type"],
        tags=row["tags"],
        extras=row["extras"],
        is_profile_enabled=row["is_profile_enabled"],
        is_upsert=row["is_upsert"],
        version=row["version"],
        created_by=row["created_by"],
        updated_by=row["updated_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )


def _in_use(row: Record) -> DatasetInUse:
    latest = LatestBatches(
        last=row["last_id"] and BatchId(row["last_id"]),
        last_state=row["last_state"] and BatchState(row["last_state"]),
        last_successful=row["last_successful"] and BatchId(row["last_successful"]),
        last_failed=row["last_failed"] and BatchId(row["last_failed"]),
    )
    return DatasetInUse(dataset=_dataset(row), is_event=row["is_event"], latest=latest)
