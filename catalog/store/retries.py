"""Answers to creates that callers may send again, in PostgreSQL."""

from __future__ import annotations

from typing import Any

from catalog.errors import KeyReused
from catalog.organisations import Scope
from catalog.retries import LASTS, Attempt, KeptAnswer
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


class RetryStore:
    """Keys and their answers, in the transaction of what is made."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def claim(self, scope: Scope, attempt: Attempt) -> KeptAnswer | None:
        """Take a key until the transaction ends, or return what it stands for.

        Of two calls at the same moment the second waits for the first: for its answer, or for
        its failure, after which it is the first itself. Refuses with KeyReused when the key
        stands for another request.
        """
        claimed = await SQL["claim"].row(
            self._db, **_of(scope, attempt), digest=attempt.digest, lasts=LASTS
        )
        if claimed is not None:
            return None
        row = await SQL["find"].row(self._db, **_of(scope, attempt))
        assert row is not None
        if row["request_digest"] != attempt.digest:
            raise KeyReused(f"the key {attempt.key} was sent with another request")
        return KeptAnswer(status=row["status"], headers=row["headers"], body=row["body"])

    async def keep(self, scope: Scope, attempt: Attempt, answer: KeptAnswer) -> None:
        """Let a claimed key stand for an answer."""
        await SQL["keep"].row(
            self._db,
            **_of(scope, attempt),
            status=answer.status,
            headers=dict(answer.headers),
            body=answer.body,
        )


def _of(scope: Scope, attempt: Attempt) -> dict[str, Any]:
    return {
        "sandbox_id": scope.sandbox_id,
        "organisation_id": scope.organisation_id,
        "operation": attempt.operation,
        "key": attempt.key,
    }
