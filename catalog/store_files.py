"""Store files: the profile store's own Parquet files, in which exports look for fragments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from catalog.organisations import Scope

StoreFileId = NewType("StoreFileId", int)


class StoreFileKind(StrEnum):
    RECORDS = "records"  # rows of a record data set, as leaf columns
    EVENTS = "events"  # rows of an event data set, as leaf columns
    IDENTITIES = "identities"  # who is named by the rows of which primary identity
    LINKS = "links"  # which identities occur together in a row
    MEMBERSHIPS = "memberships"  # which profiles belong to which segments; of no batch


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStoreFile:
    """One file that is stored and about to join the profile store with its batch."""

    kind: StoreFileKind
    key: str
    size_bytes: int
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFileSource:
    """A batch whose rows lie in a compacted file."""

    #: In the file.
    number: int
    batch_id: str
    ingest_number: int
    ingested_at: datetime
    is_upsert: bool
    #: Commit number of the first snapshot that has it, in whatever file.
    added: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFile:
    """One file of the profile store, and when it came and went."""

    id: StoreFileId
    dataset_id: str
    #: Null of a file that was compacted.
    batch_id: str | None
    kind: StoreFileKind
    key: str
    size_bytes: int
    row_count: int
    #: The batch's place in merge order.
    ingest_number: int
    #: When its batch became visible, by the database's clock.
    ingested_at: datetime
    #: Rows of this file patch records instead of replacing them.
    is_upsert: bool
    #: Commit number of the first snapshot that has it.
    added: int
    #: Of a file that was compacted: the batches whose rows count; what is said of one batch above
    #: holds for none of them.
    sources: tuple[StoreFileSource, ...] = ()
    #: How many batches its rows are numbered by, those that count no more included.
    source_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFile:
    """One file of a sandbox's last snapshot, as those see it who keep the store in order."""

    id: StoreFileId
    scope: Scope
    dataset_id: str
    kind: StoreFileKind
    size_bytes: int
    #: It holds rows of a batch that are to be erased.
    is_to_be_rid: bool
    #: Jobs wait in its sandbox.
    is_busy: bool = False
    #: It has no home file, and there is a labelling by which one could be written.
    is_homeless: bool = False
