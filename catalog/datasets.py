"""Data sets: batches of rows that share a schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, NewType

from catalog.batches import BatchId, BatchState, DatasetFile
from catalog.errors import InvalidField
from catalog.schemas import SchemaId

DatasetId = NewType("DatasetId", str)

#: The tag that says whether batches reach the profile store, and how.
PROFILE_TAG = "unifiedProfile"
#: The tag that names the data set as a table.
TABLE_TAG = "adobe/pqs/table"

#: Where a data set says how long its rows are kept; the sweeper looks there, see
#: ``catalog/store/sweeping.sql``.
_EXPIRATION = ("extensions", "adobe_lakeHouse", "rowExpiration", "ttlValue")
_DURATION = re.compile(
    r"P(?=.)(?:(\d{1,6})Y)?(?:(\d{1,6})M)?(?:(\d{1,6})W)?(?:(\d{1,6})D)?", re.ASCII
)
_DAYS = (366, 31, 7, 1)
#: A thousand years. The sweeper counts back from today, and PostgreSQL knows no day before 4713 BC.
_LONGEST_DAYS = 366_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One data set as it stood at one moment."""

    id: DatasetId
    name: str
    description: str
    #: A registered schema, or the union schema for data sets that receive exports.
    schema_id: SchemaId
    #: The media type callers asked for the schema in; echoed, and otherwise without effect.
    schema_content_type: str
    #: Lists of strings by tag name, as the caller wrote them.
    tags: Mapping[str, list[str]]
    #: Anything else the caller said of it (``fileDescription`` and the like); echoed.
    extras: Mapping[str, Any]
    #: Batches ingested while true reach the profile store.
    is_profile_enabled: bool
    #: Rows of one record patch it field by field instead of replacing it whole.
    is_upsert: bool
    #: Counts from 1 and rises with every change.
    version: int
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LatestBatches:
    """The newest batches of a data set; null where there is none."""

    last: BatchId | None = None
    last_state: BatchState | None = None
    last_successful: BatchId | None = None
    last_failed: BatchId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInUse:
    """A data set with what its schema and its batches say of it."""

    dataset: Dataset
    is_event: bool
    latest: LatestBatches


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedFile:
    """A file that readers find in a data set, and who sent its batch."""

    file: DatasetFile
    created_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDraft:
    """What a caller may say of a data set, when making it and when changing it."""

    #: Blank: named after its id.
    name: str = ""
    description: str = ""
    schema_id: SchemaId
    schema_content_type: str
    tags: Mapping[str, list[str]] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)
    #: Its class is one that profiles are made of; the tag that enables it has no effect otherwise.
    feeds_profiles: bool = True


def view_id(dataset_id: DatasetId) -> str:
    """The id of the one view a data set has; always the same one."""
    return blake2b(dataset_id.encode(), digest_size=12, person=b"view").hexdigest()


def table_name(name: str) -> str:
    """The name as that of an SQL table: lower case, letters, digits and underscores."""
    words = re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_")
    return f"_{words}" if words[:1].isdigit() else words or "dataset"


def says(tags: Mapping[str, list[str]], flag: str) -> bool:
    """Whether the profile tag sets a flag, such as ``enabled``, to true.

    Callers write ``enabled:true`` and ``enabled: true``; both are documented.
    """
    return f"{flag}:true" in (value.replace(" ", "") for value in tags.get(PROFILE_TAG, []))


def checked_expiration(extras: Mapping[str, Any]) -> None:
    """Refuse with InvalidField a word on how long rows are kept that is no duration.

    What is not understood must not keep rows for ever, nor let them go at once.
    """
    found: Any = extras
    for name in _EXPIRATION:
        if found is None:
            return
        if not isinstance(found, Mapping):
            raise InvalidField(".".join(_EXPIRATION), f"{name} must be below an object")
        found = found.get(name)
    if found is None:
        return
    match = _DURATION.fullmatch(found) if isinstance(found, str) else None
    counts = match.groups(default="0") if match is not None else "0000"
    days = sum(int(count) * each for count, each in zip(counts, _DAYS, strict=True))
    if not 1 <= days <= _LONGEST_DAYS:
        raise InvalidField(
            ".".join(_EXPIRATION),
            "must be a duration of a day or more and at most a thousand years, such as P90D, P3M"
            " or P1Y",
        )


def checked_tags(tags: object) -> dict[str, list[str]]:
    """The tags, or a refusal with InvalidField that says which one is malformed."""
    if not isinstance(tags, Mapping):
        raise InvalidField("tags", "must be an object of arrays of strings")
    for name, values in tags.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise InvalidField(f"tags.{name}", 'must be an array of strings, such as ["a", "b"]')
    return dict(tags)
