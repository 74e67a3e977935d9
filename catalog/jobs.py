"""Jobs: long work that a worker does under a lease.

Promotions, export jobs and others differ in what is done, not in how it is queued, leased, fenced,
retried and ended; so they share one lifecycle, one table and one worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NewType

from catalog.lifecycle import Lifecycle
from catalog.organisations import Scope

JobId = NewType("JobId", int)
WorkerId = NewType("WorkerId", str)


class JobKind(StrEnum):
    PROMOTION = "promotion"  # turns the uploads of a batch into data set files and store files
    EXPORT = "export"  # turns store files into one batch of merged profiles
    COMPACTION = "compaction"  # turns store files into fewer and larger ones that say the same
    REBUILD = "rebuild"  # makes store files anew of a data set's own files, since they lack rows
    SEGMENTATION = "segmentation"  # finds out which profiles belong to which segments
    USER_LIST = "user_list"  # turns store files into one file of flat rows


#: Kinds of jobs that fill batches, which end with them.
FILLS_BATCHES = frozenset({JobKind.PROMOTION, JobKind.EXPORT})


class JobState(StrEnum):
    QUEUED = "queued"  # any worker may claim it
    RUNNING = "running"  # one worker holds its lease
    SUCCEEDED = "succeeded"  # all it wrote is visible, in one transaction
    FAILED = "failed"  # attempts ran out, or the request can never succeed
    CANCELLED = "cancelled"  # a caller stopped it; nothing it wrote is ever visible


#: Why a job was taken from its worker, in its history.
WENT_SILENT = "the worker went silent"


class JobEvent(StrEnum):
    CLAIM = "claim"
    COMPLETE = "complete"
    FAIL = "fail"
    RELEASE = "release"  # its lease ran out, its attempt failed, or its worker is shutting down
    CANCEL = "cancel"


LIFECYCLE = Lifecycle(
    "job",
    frozenset({JobState.QUEUED}),
    {
        JobState.QUEUED: {
            JobEvent.CLAIM: JobState.RUNNING,
            JobEvent.CANCEL: JobState.CANCELLED,
        },
        JobState.RUNNING: {
            JobEvent.COMPLETE: JobState.SUCCEEDED,
            JobEvent.FAIL: JobState.FAILED,
            JobEvent.RELEASE: JobState.QUEUED,
            JobEvent.CANCEL: JobState.CANCELLED,
        },
        JobState.SUCCEEDED: {},
        JobState.FAILED: {},
        JobState.CANCELLED: {},
    },
)

#: States with an end: ``finished_at`` is set in these and only in these.
ENDED = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    """One reason a job gives for not succeeding. Written for people: no path, no stack."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One job as it stood at one moment."""

    id: JobId
    kind: JobKind
    scope: Scope
    state: JobState
    #: The data set a promotion fills, an export writes to, a compaction begins with, or a rebuild
    #: is about; null for segmentations and user lists, which read all of them.
    dataset_id: str | None
    #: What to do, exactly as accepted. Never edited: a changed request is a new job.
    order: Mapping[str, Any]
    #: The commit number that is read at, in every attempt; null for promotions.
    snapshot: int | None
    #: How often a worker has claimed it. Counts from 1 at the first claim; the fencing token.
    attempt: int
    #: Attempts that ended badly; a job that runs out of them fails.
    failed_attempts: int
    #: Who holds the lease, while it runs.
    worker_id: WorkerId | None
    #: What the engine reports while it works: counts so far. At most a second old.
    progress: Mapping[str, Any]
    #: What the engine counted, once it succeeded.
    metrics: Mapping[str, Any]
    errors: tuple[JobError, ...]
    created_by: str
    request_id: str
    created_at: datetime
    updated_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
