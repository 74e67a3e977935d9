"""Segment jobs: a request to find out who belongs to some segments, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType

from catalog.jobs import Job, JobState
from catalog.merge_policies import MergeRules

#: A UUID, as text.
SegmentJobId = NewType("SegmentJobId", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentToEvaluate:
    """A segment as it was when its job was submitted."""

    id: str
    version: int
    #: The rule as PQL text that the service wrote.
    rule: str
    #: How many days after its last qualification time a membership lasts; null is for ever.
    ttl_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentJobRequest:
    """What a caller asks for, before anything was looked up."""

    #: Ids or keys of segments; null: all there are.
    segment_ids: tuple[str, ...] | None
    #: The caller's own words, kept to be echoed in every answer.
    echo: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentsOfPolicy:
    """The segments of a job that are evaluated together: those of one merge policy."""

    merge_policy_id: str
    merge_policy_version: int
    rules: MergeRules
    segments: tuple[SegmentToEvaluate, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCount:
    """How many profiles stand how to a segment since a job. None is in two."""

    #: They did not qualify before, or nobody had asked.
    entered: int = 0
    #: They qualify as before.
    stayed: int = 0
    #: They qualified before and no longer do.
    left: int = 0
    #: Of those that qualify, how many have an identity of each namespace, as registered.
    by_namespace: Mapping[str, int]

    @property
    def member_count(self) -> int:
        """How many qualify."""
        return self.entered + self.stayed


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentCounts:
    """What a segment job that succeeded has counted."""

    #: Of each merge policy, how many profiles there are; also those with events alone.
    profiles: Mapping[str, int]
    segments: Mapping[str, SegmentCount]
    #: Milliseconds since 1970.
    evaluation_started_ms: int
    evaluation_finished_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentJob:
    """A segment job as it stood at one moment."""

    id: SegmentJobId
    job: Job
    policies: tuple[SegmentsOfPolicy, ...]
    echo: Mapping[str, Any]
    #: Null until it has succeeded.
    counts: SegmentCounts | None


class SegmentJobSort(StrEnum):
    """What a listing of segment jobs can be sorted by; of equals, by submission."""

    CREATION = "creation"
    UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentJobFilter:
    """Which segment jobs a listing holds, and in which order."""

    states: tuple[JobState, ...] = tuple(JobState)
    #: Only jobs that evaluate this segment.
    segment_id: str | None = None
    sort: SegmentJobSort = SegmentJobSort.CREATION
    is_descending: bool = True
