"""Rows of batches as the noun."""

from __future__ import annotations

from typing import Any

from catalog.batches import (
    Batch,
    BatchError,
    BatchId,
    BatchMetric,
    BatchState,
    FileFormat,
    InputFormat,
    Replay,
)
from catalog.store.database import Record


def batch_of(row: Record) -> Batch:
    """A batch from a row of ``batches`` with whether a worker is at it, and how far it is."""
    return Batch(
        id=row["id"],
        dataset_id=row["dataset_id"],
        state=BatchState(row["state"]),
        input_format=InputFormat(
            **{**row["input_format"], "format": FileFormat(row["input_format"]["format"])}
        ),
        external_id=row["external_id"],
        tags=row["tags"],
        replay=_replay(row["replay"]),
        tolerated_percentage=row["tolerated_percentage"],
        has_diagnostics=row["has_diagnostics"],
        ingest_number=row["ingest_number"],
        job_id=row["job_id"],
        is_worked_on=row["is_worked_on"],
        progress=row.get("progress") or {},
        metrics={BatchMetric(name): count for name, count in row["metrics"].items()},
        errors=tuple(
            BatchError(**{**error, "rows": tuple(error["rows"])}) for error in row["errors"]
        ),
        ignored_fields=tuple(row["ignored_fields"]),
        version=row["version"],
        created_by=row["created_by"],
        updated_by=row["updated_by"] or row["created_by"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
    )


def _replay(document: dict[str, Any] | None) -> Replay | None:
    if document is None:
        return None
    return Replay(
        predecessors=tuple(BatchId(id) for id in document["predecessors"]),
        reason=document["reason"],
    )
