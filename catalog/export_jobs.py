"""Export jobs: a request to write merged profiles to files, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.batches import BatchId
from catalog.jobs import Job
from catalog.merge_policies import MergeRules
from catalog.schemas import Field, Path

#: The only schema a profile export can be of, by the name callers give it.
PROFILE_SCHEMA_NAME = "_xdm.context.profile"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSelection:
    """Which events travel with their profiles, and which of their fields."""

    #: Paths below one event; empty means every field.
    fields: tuple[Path, ...] = ()
    #: Bounds on ingest time, not on the time of the event: from is exclusive, to inclusive.
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSelection:
    """Which merged profiles an export holds, and which of their fields. Resolved at submission."""

    #: The union schema as it was then, whole.
    profile_fields: tuple[Field, ...]
    event_fields: tuple[Field, ...]
    #: Paths asked for; empty means every field.
    fields: tuple[Path, ...]
    rules: MergeRules
    #: Null: no events at all.
    events: EventSelection | None
    #: Keep profiles whose last update is strictly later.
    updated_after: datetime | None
    #: Also export profiles that have events but no record.
    with_empty_profiles: bool
    #: Namespace codes as registered, by their lower-case form.
    namespaces: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """An export job with the batch it writes."""

    job: Job
    batch_id: BatchId
    #: The caller's own words, echoed in every answer.
    request: Mapping[str, Any]
    merge_policy_id: str | None
    merge_policy_version: int | None
