"""The audit log in PostgreSQL, which refuses to change what it holds."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from catalog.audit import Action, AuditEntry, AuditEntryId, AuditFilter, ObjectKind
from catalog.organisations import Caller, ClientId, Scope
from catalog.store import queries
from catalog.store.database import Connection, Record

SQL = queries.beside(__file__)

#: Ranges of one file that one client asks for within this time are one download.
ONE_DOWNLOAD = timedelta(hours=1)


class AuditStore:
    """Entries, added inside the transaction of what they tell of."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    async def note(
        self, by: Caller, action: Action, kind: ObjectKind, id: object, **details: Any
    ) -> None:
        """Add an entry. It is there when the transaction is, and not otherwise.

        ``details`` name further things, such as the data set of a batch; never rows.
        """
        await SQL["note"].row(
            self._db,
            sandbox_id=by.scope.sandbox_id,
            organisation_id=by.scope.organisation_id,
            actor=by.client_id,
            action=action,
            object_kind=kind,
            object_id=str(id),
            request_id=by.request_id,
            details=details or None,
        )

    async def note_range(self, by: Caller, id: object, **details: Any) -> None:
        """Note the download of a file that comes in ranges, unless this client began it lately.

        Of ranges that are asked for at the same moment one is noted.
        """
        asked = {"sandbox_id": by.scope.sandbox_id, "actor": by.client_id, "object_id": str(id)}
        await SQL["queue_up"].row(self._db, name="/".join(map(str, asked.values())))
        found = await SQL["is_noted"].row(
            self._db, **asked, organisation_id=by.scope.organisation_id, within=ONE_DOWNLOAD
        )
        if found is None or not found["answer"]:
            await self.note(by, Action.DOWNLOAD, ObjectKind.FILE, id, **details)

    async def page(
        self, scope: Scope, wanted: AuditFilter, *, limit: int, before: AuditEntryId | None = None
    ) -> tuple[AuditEntry, ...]:
        """The newest entries that pass a filter, or those that follow the one a cursor names."""
        rows = await SQL["page"].rows(
            self._db,
            sandbox_id=scope.sandbox_id,
            organisation_id=scope.organisation_id,
            before_id=before,
            since=wanted.since,
            until=wanted.until,
            actor=wanted.actor,
            action=wanted.action,
            object_kind=wanted.object_kind,
            object_id=wanted.object_id,
            limit=limit,
        )
        return tuple(_entry(row) for row in rows)


def _entry(row: Record) -> AuditEntry:
    return AuditEntry(
        id=AuditEntryId(row["id"]),
        at=row["at"],
        actor=ClientId(row["actor"]),
        action=Action(row["action"]),
        object_kind=ObjectKind(row["object_kind"]),
        object_id=row["object_id"],
        request_id=row["request_id"],
        details=row["details"] or {},
    )
