"""Projects and spaces as GrowingIO writes them."""

from __future__ import annotations

from typing import Any

from catalog.organisations import Sandbox
from catalog.properties import PropertyKind
from catalog.spaces import Space, SpaceDraft
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import Wire


class NewProject(Wire):
    #: The sandbox's name, as other dialects have it in a header.
    key: str
    name: str


class NewTitle(Wire):
    name: str


class NewSpace(Wire):
    """The body of a create or replace call. Lists that are missing: all there are and will be."""

    name: str
    description: str | None = None
    identities: list[str] | None = None
    user_properties: list[str] | None = None
    tags: list[str] | None = None

    def draft(self) -> SpaceDraft:
        lists = {
            PropertyKind.IDENTITY: self.identities,
            PropertyKind.USER: self.user_properties,
            PropertyKind.TAG: self.tags,
        }
        return SpaceDraft(
            name=self.name,
            description=self.description or "",
            allowed={kind: frozenset(keys) for kind, keys in lists.items() if keys is not None},
        )


def project(sandbox: Sandbox, ids: HashIds) -> dict[str, str]:
    return {
        "id": ids.of(Noun.PROJECT, sandbox.number),
        "name": sandbox.title,
        "key": sandbox.name,
    }


def space(found: Space, ids: HashIds) -> dict[str, Any]:
    def allowed(kind: PropertyKind) -> list[str] | None:
        return sorted(found.allowed[kind]) if kind in found.allowed else None

    return {
        "id": ids.of(Noun.SPACE, found.number),
        "name": found.name,
        "description": found.description,
        "ownerId": ids.of_text(Noun.MEMBER, found.created_by),
        "identities": allowed(PropertyKind.IDENTITY),
        "userProperties": allowed(PropertyKind.USER),
        "tags": allowed(PropertyKind.TAG),
    }
