"""Names of stored files. A key is written once and never again, by one attempt of one job."""

from __future__ import annotations

import secrets
from uuid import UUID


def upload_folder(sandbox_id: UUID, batch_id: str) -> str:
    """The folder of all that callers send for one batch."""
    return f"sandboxes/{sandbox_id}/uploads/{batch_id}"


def upload(sandbox_id: UUID, batch_id: str) -> str:
    """A fresh key for one file a caller sends; the caller's own path is kept in the catalog."""
    return f"{upload_folder(sandbox_id, batch_id)}/{secrets.token_hex(8)}"


def attempt_folder(sandbox_id: UUID, job_id: int, attempt: int) -> str:
    """A fresh folder for all that one attempt of a job writes.

    The random part keeps a worker that lost its lease from ever meeting the files of a later
    process that was given the same attempt number by a restored database.
    """
    return f"sandboxes/{sandbox_id}/jobs/{job_id}/{attempt}-{secrets.token_hex(4)}"
