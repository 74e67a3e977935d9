"""What look-ups are told and what they answer: documents between the server and its child."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from service.engine.orders import Document, ExportOrder, Failed, Order


class EventPage(Order):
    """Which events of a profile are looked up, by their own time."""

    #: Inclusive, then exclusive.
    since: datetime | None = None
    until: datetime | None = None
    is_newest_first: bool = False
    #: Events to skip.
    start: int = 0
    limit: int = 1000


class LookupOrder(Order):
    """Find the profiles of a few identities, merged as an export would merge them."""

    kind: Literal["lookup"] = "lookup"
    #: What an export of the same snapshot under the same policy would be told.
    export: ExportOrder
    #: Keys of identities, each as 32 hexadecimal digits.
    identities: tuple[str, ...]
    #: Merge attributes; else only who is linked with whom is looked up.
    with_profiles: bool = True
    #: Null: no events.
    events: EventPage | None = None
    #: Name for every leaf the fragment that won it.
    with_explanation: bool = False
    #: Tell which batches link which identities.
    with_links: bool = False


class Linked(Order):
    """One identity of a profile."""

    key: str
    #: Lower-case code and value; null when no row that is left names the identity.
    namespace: str | None
    value: str | None


class Link(Order):
    """Two identities that rows of some batches name together."""

    keys: tuple[str, str]
    #: Of the batches, ascending.
    ingest_numbers: tuple[int, ...]


class Source(Order):
    """Where a value comes from."""

    dataset_id: str
    ingest_number: int
    #: Running number of the row in its batch, files in order of their paths, from 0.
    row: int
    #: The row's primary identity.
    identity: Linked


class Explained(Order):
    """Why a leaf is what it is."""

    path: tuple[str, ...]
    rule: Literal["onlyValue", "newestFragment", "dataSetPrecedence"]
    source: Source
    #: Rows that have another say on the leaf, and lost.
    beaten_count: int


class FoundEvent(Order):
    #: Null where the event has none.
    id: str | None
    time: datetime | None
    entity: Document
    source: Source
    ingested_at: datetime


class FoundProfile(Order):
    """What there is of one identity that was asked for."""

    key: str
    #: Identities of the profile, the one asked for included, by ascending key.
    members: tuple[Linked, ...]
    #: More identities than one person can have: nothing else is told, and the members not all.
    is_excluded: bool = False
    #: Null when no row of the store is about the profile.
    entity: Document | None = None
    #: Data sets and ingest numbers of the rows it was merged from, ascending.
    dataset_ids: tuple[str, ...] = ()
    ingest_numbers: tuple[int, ...] = ()
    #: When the latest of these rows was ingested.
    updated_at: datetime | None = None
    #: By lower-case namespace: the identity that was named last, as tables of exports have it.
    last_named: dict[str, str] = Field(default_factory=dict)
    explanation: tuple[Explained, ...] = ()
    events: tuple[FoundEvent, ...] = ()
    #: There are events after these.
    has_more_events: bool = False
    links: tuple[Link, ...] = ()


class Found(Order):
    """Answers a lookup: one entry for each identity, in the order they were asked for."""

    kind: Literal["found"] = "found"
    profiles: tuple[FoundProfile, ...]


Reply = Annotated[Found | Failed, Field(discriminator="kind")]
