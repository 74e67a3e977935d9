"""What may be asked of the audit log. It is written where what it tells of is done."""

from __future__ import annotations

from catalog.audit import AuditEntry, AuditEntryId, AuditFilter
from catalog.organisations import Caller
from catalog.store.audit import AuditStore
from catalog.store.database import Database


class AuditLog:
    """Who changed, read and downloaded what in a caller's sandbox."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(
        self, wanted: AuditFilter, *, limit: int, before: AuditEntryId | None, by: Caller
    ) -> tuple[AuditEntry, ...]:
        """The newest entries that pass a filter, or those that follow the one a cursor names."""
        async with self._database.transaction() as db:
            return await AuditStore(db).page(by.scope, wanted, limit=limit, before=before)
