"""Orders to merge a snapshot into profiles and write them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.segment_jobs import SegmentToEvaluate
from catalog.segments import MembershipStatus, SegmentDefinition
from service.engine.orders.messages import Document, NewFile, Order
from service.engine.orders.snapshots import (
    Fragments,
    HomeFile,
    MembershipSet,
    NewLabelling,
    SavedLabelling,
)
from service.engine.orders.tables import NewNumbering, SavedNumbering, Table


class EventChoice(Order):
    """Which events are attached; see :class:`catalog.export_jobs.EventSelection`."""

    fields: tuple[tuple[str, ...], ...] = ()
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


class SegmentChoice(Order):
    """One segment; see :class:`catalog.segments.SegmentChoice`."""

    segment_id: str
    namespace: str
    statuses: tuple[MembershipStatus, ...]


class SegmentFilter(Order):
    """Whose profiles are exported; see :class:`catalog.segments.SegmentFilter`."""

    choices: tuple[SegmentChoice, ...]
    qualified_from: datetime | None = None
    qualified_until: datetime | None = None
    is_split: bool = False


class Rule(Order):
    """What says who belongs to a segment."""

    segment_id: str
    #: PQL text.
    text: str
    #: How many days after its time a membership is over; null: never.
    ttl_days: int | None = None

    @classmethod
    def of(cls, segment: SegmentDefinition | SegmentToEvaluate) -> Rule:
        return cls(segment_id=segment.id, text=segment.rule, ttl_days=segment.ttl_days)


class Evaluation(Order):
    """Segments that are evaluated on merged profiles, all in one pass."""

    rules: tuple[Rule, ...]
    #: What ``now`` is in them, and when profiles enter and leave.
    evaluated_at: datetime


class Selection(Order):
    """What an export holds. Resolved when the job is submitted and pinned with it."""

    #: The union schema's profile and event fields, whole.
    profile_fields: tuple[Document, ...]
    event_fields: tuple[Document, ...]
    #: Paths to export; empty means all.
    fields: tuple[tuple[str, ...], ...] = ()
    identity_graph: IdentityGraph
    attribute_merge: AttributeMerge
    dataset_order: tuple[str, ...] = ()
    events: EventChoice | None = None
    updated_after: datetime | None = None
    with_empty_profiles: bool = False
    #: Null: every profile.
    segments: SegmentFilter | None = None
    #: What is found out goes before memberships that are kept.
    evaluation: Evaluation | None = None
    #: Whether rows are wanted at all, and not only who belongs to what.
    has_rows: bool = True
    #: Events one profile may carry; of more, the newest.
    events_per_profile: int = 100_000
    #: Namespace codes as registered, by lower-case code.
    namespaces: dict[str, str] = Field(default_factory=dict)
    #: Rows of flat columns instead of profiles; then there are no events, and one batch.
    table: Table | None = None

    @property
    def batch_count(self) -> int:
        """How many batches the export fills: one, or one for each segment."""
        return len(self.segments.choices) if self.segments and self.segments.is_split else 1


class FinishedPart(Order):
    """A part that an earlier attempt wrote: see :class:`Part`."""

    number: int
    batch: int
    row_count: int
    size_bytes: int
    exclusions: str | None


class ExportOrder(Selection):
    """Merge the fragments of a snapshot into profiles and write them as parts."""

    kind: Literal["export"] = "export"
    folder: str
    #: In the order (ingest number, key). Identities and links of the same snapshot included; those
    #: of memberships come last, in any order.
    files: tuple[Fragments, ...]
    #: What the files of memberships hold.
    membership_sets: tuple[MembershipSet, ...] = ()
    #: Memberships that are over by then are passed over; null: none are.
    asked_at: datetime | None = None
    identities_per_profile: int = 50
    #: Rows and bytes one part should have; and how much one thread may hold at a time.
    part_row_count: int = 1_000_000
    part_size_bytes: int = 256 << 20
    slice_size_bytes: int = 48 << 20
    threads: int = 2
    #: The newest labelling to start from.
    labelling: SavedLabelling | None = None
    #: Of the snapshot's files: those that need not all be read.
    homes: tuple[HomeFile, ...] = ()
    #: Links are divided on disk when sorting them at once would take more.
    labelling_size_bytes: int = 128 << 20
    #: The newest numbering to go on from, where identities are united or numbers are shown.
    numbering: SavedNumbering | None = None
    #: A plan of an earlier attempt to go on from, and the parts of it that are kept.
    plan_key: str | None = None
    finished: tuple[FinishedPart, ...] = ()


class Planned(Order):
    """The plan is stored: tasks 0 to ``task_count`` - 1 remain to be run."""

    kind: Literal["planned"] = "planned"
    key: str
    engine_version: str
    task_count: int
    #: Null when none was needed, or a saved one says the same.
    labelling: NewLabelling | None = None
    #: So for the numbers of profiles; and the key of the numbering that the plan goes by, null when
    #: the export shows no numbers.
    numbering: NewNumbering | None = None
    numbers: str | None = None


class Part(NewFile):
    """One finished file. Every task yields one for each of its batches, rows or not."""

    kind: Literal["part"] = "part"
    #: Of the task.
    number: int
    #: The place of its batch among those that the export fills.
    batch: int = 0
    #: Counters to be summed over parts: ``profiles``, ``events``, ``excluded`` profiles, those
    #: that were ``shortened`` of events and, by namespace as registered, ``namespace:CODE``.
    counters: dict[str, int]
    #: Key of the list of profiles that are not in it whole; null when all are.
    exclusions: str | None = None
