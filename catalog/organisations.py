"""Organisations, their sandboxes, and the clients that may call for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import NewType
from uuid import UUID

from catalog.access import Access

OrganisationId = NewType("OrganisationId", str)
SandboxId = NewType("SandboxId", UUID)
ClientId = NewType("ClientId", str)

#: The sandbox a caller means who names none. Two known clients send no sandbox header at all.
DEFAULT_SANDBOX = "prod"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A walled-off part of an organisation: nothing in it is visible from another."""

    id: SandboxId
    #: Of all sandboxes of the deployment: what short ids of it are made from.
    number: int
    organisation_id: OrganisationId
    name: str
    title: str
    #: ``production`` or ``development``; only tells people, nothing behaves differently.
    kind: str
    is_default: bool
    created_at: datetime

    @property
    def scope(self) -> Scope:
        return Scope(
            organisation_id=self.organisation_id, sandbox_id=self.id, sandbox_name=self.name
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A program with credentials of its own; its id is also its API key."""

    id: ClientId
    organisation_id: OrganisationId
    name: str
    #: What its tokens let it do.
    scopes: frozenset[Access]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where a request may look: one sandbox of one organisation. Every query names both."""

    organisation_id: OrganisationId
    sandbox_id: SandboxId
    sandbox_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, where, and under which request id the answer will be logged."""

    client_id: ClientId
    scope: Scope
    request_id: str
    #: What the caller may do. Who makes a caller by hand and says nothing makes a powerless one.
    may: frozenset[Access] = frozenset()
