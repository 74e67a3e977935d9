"""What the engine is told and what it answers: the documents that pass between the processes.

Everything that could change a byte of the result stands in an order; the engine asks no clock
and no database. The models are frozen and travel as JSON.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from catalog.batches import FileFormat
from catalog.merge_policies import AttributeMerge, IdentityGraph
from catalog.store_files import StoreFileKind

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
    threads: int = 2


class RowError(Order):
    """One row that was refused."""

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


class Promoted(Order):
    """What became of a batch. Without files when ``errors`` is not empty: then it fails."""

    kind: Literal["promoted"] = "promoted"
    dataset_files: tuple[NewFile, ...] = ()
    store_files: tuple[NewStoreFile, ...] = ()
    #: Namespace codes that occur, as first spelled, in order of first sight.
    namespaces: tuple[str, ...] = ()
    input_row_count: int = 0
    output_row_count: int = 0
    failed_row_count: int = 0
    #: The first hundred.
    errors: tuple[RowError, ...] = ()
    #: Fields that occur and are not in the schema: the first hundred paths. They are left out.
    ignored_fields: tuple[str, ...] = ()


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


class EventChoice(Order):
    """Which events are attached; see :class:`catalog.export_jobs.EventSelection`."""

    fields: tuple[tuple[str, ...], ...] = ()
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


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
    #: Namespace codes as registered, by lower-case code.
    namespaces: dict[str, str] = Field(default_factory=dict)


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
    #: A plan of an earlier attempt to go on from, and the task numbers that are done.
    plan_key: str | None = None
    finished_tasks: tuple[int, ...] = ()


class Planned(Order):
    """The plan is stored: tasks 0 to ``task_count`` - 1 remain to be run."""

    kind: Literal["planned"] = "planned"
    key: str
    engine_version: str
    task_count: int
    #: One row for each profile that is left out; null when none is.
    exclusions: NewFile | None = None


class Part(NewFile):
    """One finished task. Every task yields one part, also when no profile falls into it."""

    kind: Literal["part"] = "part"
    number: int
    #: Counters to be summed over parts: ``profiles``, ``events``, ``excluded`` and, by
    #: namespace as registered, ``namespace:CODE``.
    counters: dict[str, int]


class Progress(Order):
    """How far the engine is; sent at most every quarter second."""

    kind: Literal["progress"] = "progress"
    #: What it is doing: ``reading``, ``sorting``, ``planning``, ``merging``.
    phase: str
    done: int
    total: int


class Done(Order):
    """Everything asked for was written."""

    kind: Literal["done"] = "done"


class Failed(Order):
    """The engine gave up. ``is_final`` when another attempt would end the same way."""

    kind: Literal["failed"] = "failed"
    code: str
    message: str
    is_final: bool


Answer = Annotated[
    Promoted | Planned | Part | Progress | Done | Failed, Field(discriminator="kind")
]
