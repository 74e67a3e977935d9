"""What the engine is told and what it answers: the documents that pass between the processes.

Everything that could change a byte of the result stands in an order; the engine asks no clock
and no database. The models are frozen and travel as JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.batches import FileFormat
from catalog.labellings import Labelling
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.segments import MembershipStatus
from catalog.store_files import StoreFile, StoreFileKind

#: Part of every plan: a plan made by another version is discarded, never continued.
ENGINE_VERSION = "1"

Document = dict[str, object]


class Order(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex"
    )


class UploadedFile(Order):
    """One uploaded file; ``path`` orders the files of a batch, by its UTF-8 bytes."""

    path: str
    key: str
    size_bytes: int


class Reading(Order):
    """How uploads are parsed."""

    format: FileFormat
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None


class IdentityRules(Order):
    """What identities of rows may be beyond what :mod:`~service.engine.row_identities` says."""

    #: Digits an ECID has; rows with another one stay out of the profile store. 0: any will do.
    ecid_digits: int = 0
    #: Identities one row may name; a row with more is refused. 0: any number.
    most_per_row: int = 0
    #: Codes by the numbers that name the same namespaces, as keys of identity maps.
    codes: dict[str, str] = Field(default_factory=dict)


class Limits(Order):
    """What a child that reads what strangers wrote may take; it is ended at a breach. 0: no end."""

    #: Of memory that is its own: pages of files that are mapped or cached do not count.
    memory_bytes: int = 0
    #: From the order until the last answer.
    seconds: float = 0
    #: Between two answers that report progress.
    still_seconds: float = 0


class Identity(Order):
    """A field that holds an identity: see :class:`catalog.schemas.IdentityDescriptor`."""

    path: tuple[str, ...]
    namespace: str
    is_primary: bool


class PromotionOrder(Order):
    """Turn the uploads of one batch into data set files and, if asked, store files."""

    kind: Literal["promotion"] = "promotion"
    #: Everything is written below this key prefix.
    folder: str
    uploads: tuple[UploadedFile, ...]
    reading: Reading
    #: Whether rows are events (time series) rather than records.
    is_event: bool
    #: The schema's fields, as :meth:`catalog.schemas.Field.to_json` documents.
    fields: tuple[Document, ...]
    identities: tuple[Identity, ...]
    #: Namespaces (lower-case codes) whose identities link nothing.
    unlinked_namespaces: tuple[str, ...]
    #: Make store files as well as data set files.
    for_profile: bool
    is_upsert: bool
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes
    #: The share of rows, 0 to 100, that may be set aside without the batch failing.
    tolerated_percentage: float = 0
    #: Write the rows that are set aside to files, each with its reason.
    with_diagnostics: bool = False
    identity_rules: IdentityRules = IdentityRules()
    limits: Limits = Limits()
    threads: int = 2


class PeekOrder(Order):
    """Show the first rows of uploads as they were sent: no schema is asked."""

    kind: Literal["peek"] = "peek"
    uploads: tuple[UploadedFile, ...]
    reading: Reading
    #: The first row of CSV names the columns; else they have none but their numbers.
    has_header: bool = True
    row_count: int
    limits: Limits = Limits()
    threads: int = 1


class Peeked(Order):
    """The first rows of uploads, each with its values by the number of their column."""

    kind: Literal["peeked"] = "peeked"
    #: Paths of leaves with slashes between their parts, in order of first sight.
    columns: tuple[str, ...]
    #: Absent values are left out; long ones are cut.
    rows: tuple[dict[int, str], ...]


class RowError(Order):
    """One row that was refused or skipped."""

    path: str
    #: Counted from 1 in its file; 0 when the file as a whole cannot be read.
    row: int
    #: A code of the contract sheet, section 3.
    code: str
    message: str


class NewFile(Order):
    """A file the engine wrote."""

    key: str
    size_bytes: int
    row_count: int
    sha256: str


class NewStoreFile(NewFile):
    kind: StoreFileKind


class NewMetaFile(Order):
    """A file the engine wrote about a batch."""

    #: By what readers ask for it.
    path: str
    key: str
    size_bytes: int
    sha256: str


class Reason(Order):
    """Why rows were refused, and how many."""

    code: str
    message: str
    row_count: int


class Promoted(Order):
    """What became of a batch. A batch that is refused has no files but those about it."""

    kind: Literal["promoted"] = "promoted"
    #: More rows were refused than may be set aside, or a file cannot be read to its end.
    is_refused: bool = False
    dataset_files: tuple[NewFile, ...] = ()
    store_files: tuple[NewStoreFile, ...] = ()
    #: Namespace codes that occur, as first spelled, in order of first sight.
    namespaces: tuple[str, ...] = ()
    input_row_count: int = 0
    output_row_count: int = 0
    failed_row_count: int = 0
    #: Rows in the data set that did not enter the profile store.
    skipped_row_count: int = 0
    #: The first hundred rows that were refused, and of those that were skipped.
    errors: tuple[RowError, ...] = ()
    skipped: tuple[RowError, ...] = ()
    #: In order of first sight, the first hundred.
    reasons: tuple[Reason, ...] = ()
    #: Rows that were refused with their reasons, as far as diagnostics were asked for.
    meta_files: tuple[NewMetaFile, ...] = ()
    #: Fields that occur and are not in the schema: the first hundred paths. They are left out.
    ignored_fields: tuple[str, ...] = ()


class Source(Order):
    """What one batch has in a store file that was compacted."""

    #: In the file.
    number: int
    ingest_number: int
    ingested_at: datetime
    is_upsert: bool


class Fragments(Order):
    """One store file of the snapshot."""

    dataset_id: str
    kind: StoreFileKind
    key: str
    size_bytes: int
    row_count: int
    ingest_number: int
    ingested_at: datetime
    is_upsert: bool
    #: Commit number at which it joined the profile store.
    added: int
    #: Of a file that was compacted: the batches whose rows are of the snapshot. Rows of others
    #: are not, and what is said of the whole file above holds for none of its batches.
    sources: tuple[Source, ...] = ()
    #: How many batches its rows are numbered by, those among them that are gone.
    source_count: int = 1

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """Its sources; a file that was not compacted is one."""
        return self.sources or (
            Source(
                number=0,
                ingest_number=self.ingest_number,
                ingested_at=self.ingested_at,
                is_upsert=self.is_upsert,
            ),
        )

    @property
    def newest_at(self) -> datetime:
        """When the last of its rows was ingested."""
        return max(source.ingested_at for source in self.all_sources)

    @classmethod
    def of(cls, file: StoreFile) -> Fragments:
        return cls(
            dataset_id=file.dataset_id,
            kind=file.kind,
            key=file.key,
            size_bytes=file.size_bytes,
            row_count=file.row_count,
            ingest_number=file.ingest_number,
            ingested_at=file.ingested_at,
            is_upsert=file.is_upsert,
            added=file.added,
            sources=tuple(
                Source(
                    number=source.number,
                    ingest_number=source.ingest_number,
                    ingested_at=source.ingested_at,
                    is_upsert=source.is_upsert,
                )
                for source in file.sources
            ),
            source_count=file.source_count,
        )


class SavedLabelling(Order):
    """A labelling that is valid for the snapshot: no link that it was made from has gone since."""

    key: str
    #: It knows the files that were added by this commit number.
    commit: int
    #: The record data set whose keys represent profiles in it; null when there was none.
    main_dataset_id: str | None

    @classmethod
    def of(cls, labelling: Labelling | None) -> SavedLabelling | None:
        if labelling is None:
            return None
        return cls(
            key=labelling.key,
            commit=labelling.commit,
            main_dataset_id=labelling.main_dataset_id,
        )


class NewLabelling(NewFile):
    """The labelling of the order's snapshot, for later orders to start from."""

    main_dataset_id: str | None


class CompactedFile(Order):
    """A store file whose rows go into a larger one."""

    key: str
    #: For each number of its own batches that of the same batch in the larger file; -1 leaves
    #: the rows of a batch out. A file that is of one batch has one.
    numbers: tuple[int, ...]


class Merger(Order):
    """Store files of one data set and kind that become one."""

    kind: StoreFileKind
    files: tuple[CompactedFile, ...]


class CompactionOrder(Order):
    """Make one store file of several, which says the same."""

    kind: Literal["compaction"] = "compaction"
    folder: str
    mergers: tuple[Merger, ...]
    #: The deployment's secret for identity keys (32 bytes).
    secret: bytes
    threads: int = 2


class Compacted(Order):
    """The files that were made, one for each merger, in their order; empty ones too."""

    kind: Literal["compacted"] = "compacted"
    files: tuple[NewStoreFile, ...]


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
    #: Events one profile may carry; of more, the newest.
    events_per_profile: int = 100_000
    #: Namespace codes as registered, by lower-case code.
    namespaces: dict[str, str] = Field(default_factory=dict)

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
    #: In the order (ingest number, key). Identities and links of the same snapshot included.
    files: tuple[Fragments, ...]
    identities_per_profile: int = 50
    #: Rows and bytes one part should have; and how much one thread may hold at a time.
    part_row_count: int = 1_000_000
    part_size_bytes: int = 256 << 20
    slice_size_bytes: int = 48 << 20
    threads: int = 2
    #: The newest labelling to start from.
    labelling: SavedLabelling | None = None
    #: Links are divided on disk when sorting them at once would take more.
    labelling_size_bytes: int = 128 << 20
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


class Progress(Order):
    """How far the engine is; sent at most every quarter second."""

    kind: Literal["progress"] = "progress"
    #: What it is doing: ``reading``, ``sorting``, ``planning``, ``merging``.
    phase: str
    done: int
    total: int
    #: Of an export: what is written so far, by this attempt and kept of earlier ones.
    profiles: int = 0
    bytes: int = 0


class Done(Order):
    """Everything asked for was written."""

    kind: Literal["done"] = "done"
    #: For each batch of an export, the list of profiles that are not in it or not whole; null
    #: when there is none.
    exclusions: tuple[NewFile | None, ...] = ()


class Failed(Order):
    """The engine gave up. ``is_final`` when another attempt would end the same way."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    is_final: bool


Answer = Annotated[
    Promoted | Peeked | Compacted | Planned | Part | Progress | Done | Failed,
    Field(discriminator="kind"),
]
