"""Export jobs: a request to write merged profiles to files, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from catalog.batches import BatchId, MetaFile
from catalog.jobs import Job
from catalog.merge_policies import AttributeMerge, IdentityGraph, MergeRules
from catalog.schemas import Path

#: The only schema a profile export can be of, by the name callers give it.
PROFILE_SCHEMA_NAME = "_xdm.context.profile"

#: What may be asked of the older view of a profile's identities, a list beside the map.
IDENTITIES_PATHS: frozenset[Path] = frozenset(
    {
        ("identities",),
        ("identities", "id"),
        ("identities", "namespace"),
        ("identities", "namespace", "code"),
        ("identities", "primary"),
    }
)

#: Policies every sandbox has, by the ids the published samples use.
BUILT_IN_POLICIES = {
    f"{AttributeMerge.TIMESTAMP_ORDERED}-{graph}-mp": MergeRules(identity_graph=graph)
    for graph in IdentityGraph
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventSelection:
    """Which events travel with their profiles, and which of their fields."""

    #: Paths below one event; empty means every field.
    fields: tuple[Path, ...] = ()
    #: Bounds on ingest time, not on the time of the event: after is exclusive, until inclusive.
    ingested_after: datetime | None = None
    ingested_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What a caller asks for, before anything was looked up."""

    dataset_id: str
    schema_name: str
    #: Paths asked for; empty means every field.
    fields: tuple[Path, ...] = ()
    #: Null: the default policy of the sandbox, or no merging when it has none.
    merge_policy_id: str | None = None
    merge_policy_version: int | None = None
    #: Null: no events at all.
    events: EventSelection | None = None
    #: Keep profiles whose last update is strictly later.
    updated_after: datetime | None = None
    #: Also export profiles that have events but no record.
    with_empty_profiles: bool = False
    #: The caller's own words, kept to be echoed in every answer.
    echo: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """Where the engine's plan of a job lies, and how many parts it will have."""

    key: str
    engine_version: str
    task_count: int
    #: The list of profiles that are left out; null when none is.
    exclusions: MetaFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """One finished file of an export that has not succeeded yet."""

    number: int
    key: str
    size_bytes: int
    row_count: int
    sha256: str
    #: Counts to be summed over the parts of a job.
    counters: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """An export job with the batch it writes."""

    job: Job
    batch_id: BatchId
    #: The caller's own words, echoed in every answer.
    echo: Mapping[str, Any]
    merge_policy_id: str | None
    merge_policy_version: int | None
