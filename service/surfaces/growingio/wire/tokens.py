"""Personal tokens as this service tells of them: the documents have a page of the web for that."""

from __future__ import annotations

from typing import Any

from catalog.access import Access
from catalog.personal_tokens import PersonalToken
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import Wire, instant


class NewToken(Wire):
    name: str
    #: Missing: all its maker may do.
    scopes: list[Access] | None = None
    #: The short id of the project of calls that name none. Missing: that of the call.
    project_id: str | None = None


def token(found: PersonalToken, ids: HashIds) -> dict[str, Any]:
    return {
        "id": ids.of(Noun.TOKEN, found.number),
        "name": found.name,
        "scopes": sorted(found.scopes),
        "project": found.sandbox_name,
        "createdAt": instant(found.created_at),
        "revokedAt": instant(found.revoked_at) if found.revoked_at else None,
    }
