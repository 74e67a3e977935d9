"""Sandboxes as Adobe writes them."""

from __future__ import annotations

from typing import Any, Literal, Self
from uuid import UUID

import catalog.organisations as nouns
from service.surfaces.adobe.wire import Wire


class Sandbox(Wire):
    id: UUID
    name: str
    title: str
    state: Literal["active"] = "active"
    type: str
    region: str = "local"
    is_default: bool
    created_date: str

    @classmethod
    def of(cls, sandbox: nouns.Sandbox) -> Self:
        return cls(
            id=sandbox.id,
            name=sandbox.name,
            title=sandbox.title,
            type=sandbox.kind,
            is_default=sandbox.is_default,
            created_date=f"{sandbox.created_at:%Y-%m-%d %H:%M:%S}",
        )


class Sandboxes(Wire):
    sandboxes: list[Sandbox]


def named(sandbox: nouns.Sandbox) -> dict[str, Any]:
    """A sandbox as the answers about what is in it name it."""
    return {
        "sandboxId": str(sandbox.id),
        "sandboxName": sandbox.name,
        "type": sandbox.kind,
        "default": sandbox.is_default,
    }
