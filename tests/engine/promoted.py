"""What tests of promotion send and read: people with their CRM ids, and whom rows name."""

from __future__ import annotations

from typing import Any

from catalog.schemas import IDENTITY_MAP, Field
from catalog.store_files import StoreFileKind
from tests.engine.intake import TEXT, TIME, identity

NAME = Field("name", TEXT)
CRM = Field("crm", TEXT)
RECORD = (NAME, CRM, Field("email", TEXT), IDENTITY_MAP)
EVENT = (Field("_id", TEXT), Field("timestamp", TIME), CRM, IDENTITY_MAP)
BY_CRM = {"for_profile": True, "identities": (identity("crm", "CRM", primary=True),)}
EVENTS = {**BY_CRM, "is_event": True}
NOON = "2022-11-22T12:00:00Z"

RECORDS, EVENT_ROWS = StoreFileKind.RECORDS, StoreFileKind.EVENTS
IDENTITIES, LINKS = StoreFileKind.IDENTITIES, StoreFileKind.LINKS


def named(*entries: str) -> Any:
    """An identity map of entries such as ``crm:1``; ``!`` behind marks the primary one."""
    found: dict[str, Any] = {}
    for entry in entries:
        namespace, _, value = entry.partition(":")
        flag = {"primary": True} if value.endswith("!") else {}
        found.setdefault(namespace, []).append({"id": value.rstrip("!"), **flag})
    return {"identityMap": found}


def key(row: dict[str, Any], name: str = "_key") -> int:
    return row[f"{name}_hi"] << 64 | row[f"{name}_lo"]
