"""Batches that are active already; how they became so is told elsewhere."""

from __future__ import annotations

from catalog.batches import BatchId
from catalog.organisations import Scope
from catalog.store.batches import BatchStore
from catalog.store.database import Connection


async def activate(db: Connection, scope: Scope, dataset_id: str, id: BatchId) -> None:
    """Add an active batch with one file of its own."""
    await db.execute(
        "INSERT INTO batches (id, sandbox_id, organisation_id, dataset_id, state, input_format,"
        " ingest_number, created_by, finished_at)"
        " VALUES ($1, $2, $3, $4, 'active', '{}', $5, 'amy', now())",
        id,
        scope.sandbox_id,
        scope.organisation_id,
        dataset_id,
        await BatchStore(db).next_ingest_number(scope),
    )
    await db.execute(
        "INSERT INTO dataset_files (batch_id, number, name, key, size_bytes, row_count, sha256)"
        " VALUES ($1, 1, 'part', 'own/' || $1, 1, 1, '')",
        id,
    )
