"""Batches: files that become visible in a data set together, or not at all."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType

from catalog.errors import Conflict, InvalidField, NotFound
from catalog.jobs import JobId
from catalog.lifecycle import Lifecycle

BatchId = NewType("BatchId", str)

#: Characters in an upload's path. Ours: a URL may be 2,000 characters long.
LONGEST_PATH: Final = 1024
#: Characters of a caller's own name for a batch: an index has room for 2,700 bytes.
EXTERNAL_ID_LENGTH: Final = 500


class BatchState(StrEnum):
    LOADING = "loading"  # files may be uploaded
    LOADED = "loaded"  # complete: its ingest number is given and its promotion queued
    EXPORTING = "exporting"  # an export job is writing its files
    ACTIVE = "active"  # its files are visible
    FAILED = "failed"  # nothing of it is visible; its errors say why
    ABORTED = "aborted"  # a caller gave it up before it was active
    INACTIVE = "inactive"  # it was active; nothing of it is in the data set or later exports


class BatchEvent(StrEnum):
    COMPLETE = "complete"
    ACTIVATE = "activate"
    FAIL = "fail"
    ABORT = "abort"
    REVERT = "revert"
    REPLACE = "replace"  # another batch, naming it as a predecessor, became active
    EXPIRE = "expire"  # its data set keeps no rows as old as its own


LIFECYCLE = Lifecycle(
    "batch",
    frozenset({BatchState.LOADING, BatchState.EXPORTING}),
    {
        BatchState.LOADING: {
            BatchEvent.COMPLETE: BatchState.LOADED,
            BatchEvent.FAIL: BatchState.FAILED,
            BatchEvent.ABORT: BatchState.ABORTED,
        },
        BatchState.LOADED: {
            BatchEvent.ACTIVATE: BatchState.ACTIVE,
            BatchEvent.FAIL: BatchState.FAILED,
            BatchEvent.ABORT: BatchState.ABORTED,
        },
        BatchState.EXPORTING: {
            BatchEvent.ACTIVATE: BatchState.ACTIVE,
            BatchEvent.FAIL: BatchState.FAILED,
            BatchEvent.ABORT: BatchState.ABORTED,
        },
        BatchState.ACTIVE: {
            BatchEvent.REVERT: BatchState.INACTIVE,
            BatchEvent.REPLACE: BatchState.INACTIVE,
            BatchEvent.EXPIRE: BatchState.INACTIVE,
        },
        BatchState.FAILED: {},
        BatchState.ABORTED: {},
        BatchState.INACTIVE: {},
    },
)

#: States with an end: ``finished_at`` is set in these and only in these. It stays what it was
#: when an active batch becomes inactive; ``updated_at`` tells when that was.
ENDED = frozenset({BatchState.ACTIVE, BatchState.FAILED, BatchState.ABORTED, BatchState.INACTIVE})


class FileFormat(StrEnum):
    JSON = "json"
    PARQUET = "parquet"
    CSV = "csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class InputFormat:
    """How the files of a batch are to be read."""

    format: FileFormat = FileFormat.PARQUET
    #: Kept and echoed only: arrays, objects and lines are told apart by looking.
    is_multi_line_json: bool = False
    delimiter: str = ","
    quote: str = '"'
    escape: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchError:
    """Why a batch failed, or what was set aside in one that did not."""

    code: str
    description: str
    #: The first rows concerned, as ``path:row`` with rows counted from 1.
    rows: tuple[str, ...] = ()
    record_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Which batches of its data set a batch takes the place of, once it is active."""

    predecessors: tuple[BatchId, ...] = ()
    #: Callers' own names of more of them; replaced by ids when the batch is opened.
    external_ids: tuple[str, ...] = ()
    #: The caller's word for it. Nothing depends on it.
    reason: str | None = None


class BatchMetric(StrEnum):
    """What is counted of a batch. Input is what callers sent, output what readers find."""

    INPUT_FILE_COUNT = "input_file_count"
    INPUT_SIZE_BYTES = "input_size_bytes"
    INPUT_ROW_COUNT = "input_row_count"
    OUTPUT_FILE_COUNT = "output_file_count"
    OUTPUT_SIZE_BYTES = "output_size_bytes"
    OUTPUT_ROW_COUNT = "output_row_count"
    FAILED_ROW_COUNT = "failed_row_count"
    SKIPPED_ROW_COUNT = "skipped_row_count"  # in the data set and not in the profile store


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One batch as it stood at one moment."""

    id: BatchId
    dataset_id: str
    state: BatchState
    input_format: InputFormat
    external_id: str | None
    tags: Mapping[str, list[str]]
    replay: Replay | None
    #: The share of its rows, 0 to 100, that may be set aside; with one more it fails.
    tolerated_percentage: float
    #: Rows that are set aside are told, with their reasons, in files beside it.
    has_diagnostics: bool
    #: Orders merging within the sandbox. Given by COMPLETE; null for exported batches.
    ingest_number: int | None
    #: The job that fills it: a promotion, or the export job that made it.
    job_id: JobId | None
    #: A worker holds its job at this moment.
    is_worked_on: bool
    #: What that worker last said: its ``phase``, what it has ``done`` of a ``total`` of bytes.
    progress: Mapping[str, Any]
    #: What is sent is counted when it is completed, the rest when it is active or failed.
    metrics: Mapping[BatchMetric, int]
    errors: tuple[BatchError, ...]
    #: Paths that its rows have and its schema has not: the first hundred. They were left out.
    ignored_fields: tuple[str, ...]
    #: Counts from 1 and rises with every change, those of its state among them.
    version: int
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime
    #: When it was completed by its caller, or its export job was submitted.
    started_at: datetime | None
    finished_at: datetime | None


def upload_path(written: str) -> str:
    """The path a caller sent a file under, unchanged, or a refusal that says what is wrong.

    Paths only name and order the files of a batch; they are never a place on a disk. What a
    disk would take for another place is refused all the same, since readers may unpack a batch
    by its paths.
    """
    if len(written) > LONGEST_PATH:
        raise InvalidField("path", f"{len(written)} characters, {LONGEST_PATH} is the most")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in written):
        raise InvalidField("path", "control characters are not allowed")
    for part in written.split("/"):
        if part in {"", ".", ".."}:
            raise InvalidField("path", f"{written!r} has a part {part!r}: name every part")
    return written


def must_take_uploads(batch: Batch, dataset_id: str) -> None:
    """Refuse a batch that files of this data set cannot be sent to now."""
    if batch.dataset_id != dataset_id:
        raise NotFound(f"batch {batch.id} of data set", dataset_id)
    if batch.state is not BatchState.LOADING:
        raise Conflict(f"batch {batch.id} is {batch.state}: it takes no more files")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """One file a caller sent for a batch. A repeat under the same path replaces it."""

    path: str
    key: str
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDatasetFile:
    """One Parquet file that is stored and about to become part of a batch.

    Files are numbered in the order in which they are given.
    """

    batch_id: BatchId
    #: What a reader who downloads it calls it.
    name: str
    key: str
    size_bytes: int
    row_count: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFile:
    """One Parquet file of an active batch, as Data Access serves it."""

    batch_id: BatchId
    dataset_id: str
    #: Counts from 1 in a batch.
    number: int
    name: str
    key: str
    size_bytes: int
    row_count: int
    sha256: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaFile:
    """A stored file that tells about a batch and holds none of its rows."""

    #: By what readers ask for it; it may have folders.
    path: str
    key: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NewBatch:
    """What a caller asks for when opening a batch."""

    dataset_id: str
    input_format: InputFormat = field(default_factory=InputFormat)
    #: The caller's own name for it; nothing depends on it.
    external_id: str | None = None
    tags: Mapping[str, list[str]] = field(default_factory=dict)
    replay: Replay | None = None
    #: See :class:`Batch`.
    tolerated_percentage: float = 0
    has_diagnostics: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Amendment:
    """What a caller makes of a batch, apart from its rows: new words for it, or a step of its own.

    Never both: a step may be refused, or take a while, where words may not.
    """

    external_id: str | None
    tags: Mapping[str, list[str]]
    #: A step callers may ask for; null: none.
    event: BatchEvent | None = None

    def must_be_one_thing(self, batch: Batch) -> None:
        """Refuse with InvalidField words and a step at once."""
        is_said_anew = (self.external_id, self.tags) != (batch.external_id, batch.tags)
        if is_said_anew and self.event is not None:
            raise InvalidField("status", f"batch {batch.id}: change it in a call of its own")
