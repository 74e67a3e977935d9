"""The audit log in this dialect's manner. The route and the words are ours: an extension."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import Field

import catalog.audit as nouns
from service.surfaces.adobe.wire import Wire

AUDIT = "/data/foundation/audit/events"

#: The last instant a four-digit year can say.
_END_OF_TIME_MS = 253_402_300_799_999


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


Milliseconds = Annotated[int, Field(ge=0, le=_END_OF_TIME_MS)]


class Listing(Wire):
    """The query of a list call."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    before: Annotated[int, Field(ge=1, le=2**62)] | None = None
    since: Milliseconds | None = None
    until: Milliseconds | None = None
    actor: str | None = None
    action: nouns.Action | None = None
    object_kind: nouns.ObjectKind | None = None
    object_id: str | None = None

    def filter(self) -> nouns.AuditFilter:
        return nouns.AuditFilter(
            since=None if self.since is None else _instant(self.since),
            until=None if self.until is None else _instant(self.until),
            actor=self.actor,
            action=self.action,
            object_kind=self.object_kind,
            object_id=self.object_id,
        )


def page(asked: Listing, found: tuple[nouns.AuditEntry, ...]) -> dict[str, Any]:
    """One page, the newest first. ``found`` may hold one more than asked for: then more follow."""
    shown = found[: asked.limit]
    is_last = len(found) <= asked.limit
    return {
        "events": [_event(each) for each in shown],
        "_page": {"count": len(shown), "next": None if is_last else shown[-1].id},
    }


def _event(entry: nouns.AuditEntry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "timestamp": int(entry.at.timestamp() * 1000),
        "actor": entry.actor,
        "action": entry.action,
        "objectKind": entry.object_kind,
        "objectId": entry.object_id,
        "requestId": entry.request_id,
        "details": entry.details,
    }
