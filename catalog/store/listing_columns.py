"""The fields of the catalog's listings as expressions over the rows of their queries.

Each table stands for the fields of the same name in :mod:`catalog.listings`, over the query
that its store names.
"""

from __future__ import annotations

from typing import Final

from catalog.filters import Kind
from catalog.listings import PROMOTING
from catalog.store.filters import Column, Columns, milliseconds

_ID = Column(sql="found.id", kind=Kind.TEXT)
_TAGS = Column(sql="found.tags", kind=Kind.TAGS)
#: What is shown of a version that counts from 1.
_VERSION = Column(sql="('1.0.' || (found.version - 1))", kind=Kind.VERSION)
_OF_A_SCOPE: Final[Columns] = {
    "organisation_id": Column(sql="found.organisation_id", kind=Kind.TEXT),
    "sandbox_id": Column(sql="found.sandbox_id::text", kind=Kind.TEXT),
}
_LATEST: Final[Columns] = {
    "last_batch": Column(sql="found.last_id", kind=Kind.TEXT, is_nullable=True),
    "last_state": Column(sql="found.last_state", kind=Kind.CHOICE, is_nullable=True),
    "last_successful": Column(sql="found.last_successful", kind=Kind.TEXT, is_nullable=True),
    "last_failed": Column(sql="found.last_failed", kind=Kind.TEXT, is_nullable=True),
}

DATASET_COLUMNS: Final[Columns] = {
    "id": _ID,
    "name": Column(sql="found.name", kind=Kind.TEXT),
    "description": Column(sql="found.description", kind=Kind.TEXT),
    "schema_id": Column(sql="found.schema_id", kind=Kind.TEXT),
    "tags": _TAGS,
    "version": _VERSION,
    "created_at": milliseconds("created_at"),
    "updated_at": milliseconds("updated_at"),
    "created_by": Column(sql="found.created_by", kind=Kind.TEXT),
    "updated_by": Column(sql="found.updated_by", kind=Kind.TEXT),
    **_OF_A_SCOPE,
    "behaviour": Column(
        sql="CASE WHEN found.is_event THEN 'event' ELSE 'record' END", kind=Kind.CHOICE
    ),
    **_LATEST,
    "file_description": Column(sql="found.extras", kind=Kind.PRESENCE),
    "extensions": Column(sql="found.extras -> 'extensions'", kind=Kind.PRESENCE),
    "error_diagnostics": Column(
        sql="found.extras ->> 'enableErrorDiagnostics'", kind=Kind.CHOICE, is_nullable=True
    ),
}

BATCH_COLUMNS: Final[Columns] = {
    "id": _ID,
    "dataset_id": Column(sql="found.dataset_id", kind=Kind.TEXT),
    "state": Column(
        sql=f"CASE WHEN found.is_worked_on AND found.state = 'loaded' THEN '{PROMOTING}'"
        " ELSE found.state END",
        kind=Kind.CHOICE,
    ),
    "external_id": Column(sql="found.external_id", kind=Kind.TEXT, is_nullable=True),
    "tags": _TAGS,
    "version": _VERSION,
    "created_at": milliseconds("created_at"),
    "updated_at": milliseconds("updated_at"),
    "started_at": milliseconds("started_at", is_nullable=True),
    "finished_at": milliseconds("finished_at", is_nullable=True),
    "row_count": Column(
        sql="coalesce(found.metrics -> 'output_row_count', found.metrics -> 'input_row_count',"
        " '0')::bigint",
        kind=Kind.NUMBER,
    ),
    "failed_row_count": Column(
        sql="coalesce(found.metrics -> 'failed_row_count', '0')::bigint", kind=Kind.NUMBER
    ),
    "size_bytes": Column(
        sql="coalesce(found.metrics -> 'output_size_bytes', '0')::bigint", kind=Kind.NUMBER
    ),
    "created_by": Column(sql="found.created_by", kind=Kind.TEXT),
    "updated_by": Column(sql="coalesce(found.updated_by, found.created_by)", kind=Kind.TEXT),
    **_OF_A_SCOPE,
    "input_format": Column(sql="found.input_format", kind=Kind.PRESENCE),
    "replay": Column(sql="found.replay", kind=Kind.PRESENCE),
    "errors": Column(sql="found.errors", kind=Kind.PRESENCE),
    "metrics": Column(sql="found.metrics", kind=Kind.PRESENCE),
}

FILE_COLUMNS: Final[Columns] = {
    "id": Column(sql="found.id", kind=Kind.TEXT),
    "batch_id": Column(sql="found.batch_id", kind=Kind.TEXT),
    "dataset_id": Column(sql="found.dataset_id", kind=Kind.TEXT),
    "created_at": milliseconds("created_at"),
    "updated_at": milliseconds("created_at"),
    "size_bytes": Column(sql="found.size_bytes", kind=Kind.NUMBER),
    "row_count": Column(sql="found.row_count", kind=Kind.NUMBER),
    "created_by": Column(sql="found.created_by", kind=Kind.TEXT),
}
