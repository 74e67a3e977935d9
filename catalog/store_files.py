"""Store files: the profile store's own Parquet files, in which exports look for fragments."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class StoreFileKind(StrEnum):
    RECORDS = "records"  # rows of a record data set, as leaf columns
    EVENTS = "events"  # rows of an event data set, as leaf columns
    IDENTITIES = "identities"  # who is named by the rows of which primary identity
    LINKS = "links"  # which identities occur together in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class NewStoreFile:
    """One file that is stored and about to join the profile store with its batch."""

    kind: StoreFileKind
    key: str
    size_bytes: int
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreFile:
    """One file of the profile store, and when it came and went."""

    dataset_id: str
    batch_id: str
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
