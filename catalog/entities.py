"""Profiles as callers look them up one by one, and what the identity graph says of identities."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from catalog.schemas import Path

#: Names an identity without telling it: its key in the profile store, spelled in 22 characters.
#: Keys are hashes keyed with a secret of the deployment; neither the identity nor the secret can
#: be worked out from them.
Xid = NewType("Xid", str)

#: Identities one call may ask for. Ours: each may be a profile of a hundred thousand events.
MOST_IDENTITIES = 100
#: Events of one page.
MOST_EVENTS = 1000

_KEY_BYTES = 16


def xid_of(key: str) -> Xid:
    """Spell a key of 32 hexadecimal digits."""
    return Xid(base64.urlsafe_b64encode(bytes.fromhex(key)).decode().rstrip("="))


def key_of(xid: str) -> str | None:
    """Read an XID back; None when it is none."""
    try:
        key = base64.b64decode(f"{xid}==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return key.hex() if len(key) == _KEY_BYTES and xid_of(key.hex()) == xid else None


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedIdentity:
    """An identity as a caller names it."""

    #: The value; without a namespace, an XID.
    id: str
    #: Code in any spelling, or number.
    namespace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventWindow:
    """Which events of a profile are wanted, by their own time."""

    #: Inclusive, then exclusive.
    since: datetime | None = None
    until: datetime | None = None
    is_newest_first: bool = False
    start: int = 0
    limit: int = MOST_EVENTS


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityRequest:
    """A look-up of one profile or several."""

    identities: tuple[AskedIdentity, ...]
    #: Null: the default policy.
    merge_policy_id: str | None = None
    #: Of profiles, or of events when those are asked for. Empty: all.
    fields: tuple[Path, ...] = ()
    #: Null: attributes are wanted, not events.
    events: EventWindow | None = None
    is_explained: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One identity of a profile."""

    xid: Xid
    #: As registered, with its number; null of an identity that no row names any more.
    namespace: str | None
    namespace_id: int | None
    value: str | None


class Rule(StrEnum):
    """Why one value of a leaf won."""

    ONLY_VALUE = "onlyValue"  # no other row has one
    NEWEST_FRAGMENT = "newestFragment"  # of those that have one, it is the newest
    DATASET_PRECEDENCE = "dataSetPrecedence"  # its data set stands before the others


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The row that something comes from."""

    dataset_id: str
    batch_id: str
    ingest_number: int
    #: Running number in the batch, its files in order of their paths, from 0.
    row: int
    #: The row's primary identity.
    identity: Member


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainedLeaf:
    path: Path
    rule: Rule
    origin: Origin
    #: Rows that have another say on the leaf, and lost.
    beaten_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EntityEvent:
    """One event of a profile."""

    id: str | None
    time: datetime | None
    fields: Mapping[str, object]
    origin: Origin
    ingested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """What there is of one identity that was asked for."""

    asked: AskedIdentity
    xid: Xid
    members: tuple[Member, ...]
    #: The merged profile, as a row of an export; null when no row is about it.
    attributes: Mapping[str, object] | None
    merge_policy_id: str | None
    dataset_ids: tuple[str, ...]
    batch_ids: tuple[str, ...]
    #: When the last of its rows was ingested.
    updated_at: datetime | None
    #: The value that was named last, by lower-case code of its namespace.
    last_named: Mapping[str, str]
    explanation: tuple[ExplainedLeaf, ...]
    events: tuple[EntityEvent, ...]
    has_more_events: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """Two identities that rows of some batches name together."""

    ends: tuple[Member, Member]
    dataset_ids: tuple[str, ...]
    batch_ids: tuple[str, ...]
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """The identities linked with one that was asked for, itself included."""

    asked: AskedIdentity
    members: tuple[Member, ...]
    edges: tuple[Edge, ...]
