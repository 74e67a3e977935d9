"""Export jobs: a request to write merged profiles to files, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from catalog.batches import BatchId
from catalog.jobs import Job, JobId, JobState
from catalog.merge_policies import AttributeMerge, IdentityGraph, MergeRules
from catalog.schemas import Path
from catalog.segments import SegmentChoice, SegmentFilter

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

#: Policies every sandbox has, by the ids the published samples use. They have one version, 1.
BUILT_IN_POLICIES = {
    f"{AttributeMerge.TIMESTAMP_ORDERED}-{graph}-mp": MergeRules(identity_graph=graph)
    for graph in IdentityGraph
}
#: The one among them that merges as is merged where no policy is the default.
UNMERGED_POLICY = f"{AttributeMerge.TIMESTAMP_ORDERED}-{IdentityGraph.NONE}-mp"


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
    #: Null: that of the segments asked for, else the default policy of the sandbox, or no merging
    #: when it has none.
    merge_policy_id: str | None = None
    merge_policy_version: int | None = None
    #: Null: no events at all.
    events: EventSelection | None = None
    #: Keep profiles whose last update is strictly later.
    updated_after: datetime | None = None
    #: Also export profiles that have events but no record.
    with_empty_profiles: bool = False
    #: Null: every profile.
    segments: SegmentFilter | None = None
    #: Evaluate the segments that are defined under the policy, for this export alone, before
    #: anything is decided by them.
    is_evaluated: bool = False
    #: The caller's own words, kept to be echoed in every answer.
    echo: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPlan:
    """Where the engine's plan of a job lies, and how many tasks it has."""

    key: str
    engine_version: str
    task_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportPart:
    """One finished file of an export that has not succeeded yet."""

    #: Of the task that wrote it.
    number: int
    #: The place of its batch among those that the job fills.
    batch: int
    key: str
    size_bytes: int
    row_count: int
    sha256: str
    #: Counts to be summed over the parts of a job.
    counters: Mapping[str, int]
    #: Key of the list of profiles that are not in it whole; null when all are.
    exclusions: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentBatch:
    """The batch of one segment, of a job that fills one for each."""

    batch_id: BatchId
    choice: SegmentChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportJob:
    """An export job with the batches it writes."""

    job: Job
    #: In the order of the segments they are for; one alone when they are not split.
    batch_ids: tuple[BatchId, ...]
    #: One for each segment; null when all profiles go into one batch.
    segment_batches: tuple[SegmentBatch, ...] | None
    #: The caller's own words, echoed in every answer.
    echo: Mapping[str, Any]
    merge_policy_id: str | None
    merge_policy_version: int | None


class ExportSort(StrEnum):
    """What a listing of export jobs can be sorted by; of equals, by id."""

    CREATION = "creation"
    UPDATE = "update"
    STATE = "state"  # by name
    ID = "id"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportCursor:
    """A place in a listing: that of a job, as it stood when it was listed.

    The place stays where it is when the job is moved on or removed. Only the field that the
    listing is sorted by counts.
    """

    id: JobId
    at: datetime | None = None
    state: JobState | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportFilter:
    """Which export jobs a listing holds, in which order, and where it begins."""

    states: tuple[JobState, ...] = tuple(JobState)
    sort: ExportSort = ExportSort.CREATION
    is_descending: bool = True
    after: ExportCursor | None = None
