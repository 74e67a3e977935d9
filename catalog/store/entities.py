"""What a look-up must know of the catalog: which batches its rows came with."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from catalog.organisations import Scope
from catalog.store import queries
from catalog.store.database import Connection

SQL = queries.beside(__file__)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestedBatch:
    """A batch by its place in merge order."""

    batch_id: str
    dataset_id: str
    #: When its rows became visible; the end of its promotion.
    ingested_at: datetime


class EntityStore:
    """The catalog's side of look-ups, read inside one transaction."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def commit(self, scope: Scope) -> int:
        """The sandbox's last commit number, which nothing pins: a file of it may be swept."""
        row = await SQL["commit"].row(self._db, **_of(scope))
        return 0 if row is None else int(row["commit_number"])

    async def batches(
        self, scope: Scope, ingest_numbers: Collection[int]
    ) -> dict[int, IngestedBatch]:
        """Find batches by their ingest numbers."""
        rows = await SQL["batches"].rows(
            self._db, **_of(scope), ingest_numbers=sorted(ingest_numbers)
        )
        return {
            row["ingest_number"]: IngestedBatch(
                batch_id=row["id"],
                dataset_id=row["dataset_id"],
                ingested_at=row["finished_at"] or row["updated_at"],
            )
            for row in rows
        }


def _of(scope: Scope) -> dict[str, object]:
    return {"sandbox_id": scope.sandbox_id, "organisation_id": scope.organisation_id}
