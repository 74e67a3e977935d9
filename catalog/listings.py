"""What the listings of the catalog can be filtered and sorted by, in the service's own words."""

from __future__ import annotations

from typing import Final

from catalog.filters import Fields, Kind

#: A batch whose promotion a worker holds stands apart from one that waits for it.
PROMOTING: Final = "promoting"

DATASET_FIELDS: Final[Fields] = {
    "id": Kind.TEXT,
    "name": Kind.TEXT,
    "description": Kind.TEXT,
    "schema_id": Kind.TEXT,
    "tags": Kind.TAGS,
    "version": Kind.VERSION,
    "created_at": Kind.NUMBER,
    "updated_at": Kind.NUMBER,
    "created_by": Kind.TEXT,
    "updated_by": Kind.TEXT,
    "organisation_id": Kind.TEXT,
    "sandbox_id": Kind.TEXT,
    "behaviour": Kind.CHOICE,
    "last_batch": Kind.TEXT,
    "last_state": Kind.CHOICE,
    "last_successful": Kind.TEXT,
    "last_failed": Kind.TEXT,
    "file_description": Kind.PRESENCE,
    "extensions": Kind.PRESENCE,
    "error_diagnostics": Kind.CHOICE,
}

BATCH_FIELDS: Final[Fields] = {
    "id": Kind.TEXT,
    "dataset_id": Kind.TEXT,
    "state": Kind.CHOICE,
    "external_id": Kind.TEXT,
    "tags": Kind.TAGS,
    "version": Kind.VERSION,
    "created_at": Kind.NUMBER,
    "updated_at": Kind.NUMBER,
    "started_at": Kind.NUMBER,
    "finished_at": Kind.NUMBER,
    "row_count": Kind.NUMBER,
    "failed_row_count": Kind.NUMBER,
    "size_bytes": Kind.NUMBER,
    "created_by": Kind.TEXT,
    "updated_by": Kind.TEXT,
    "organisation_id": Kind.TEXT,
    "sandbox_id": Kind.TEXT,
    "input_format": Kind.PRESENCE,
    "replay": Kind.PRESENCE,
    "errors": Kind.PRESENCE,
    "metrics": Kind.PRESENCE,
}

FILE_FIELDS: Final[Fields] = {
    "id": Kind.TEXT,
    "batch_id": Kind.TEXT,
    "dataset_id": Kind.TEXT,
    "created_at": Kind.NUMBER,
    "updated_at": Kind.NUMBER,
    "size_bytes": Kind.NUMBER,
    "row_count": Kind.NUMBER,
    "created_by": Kind.TEXT,
}
