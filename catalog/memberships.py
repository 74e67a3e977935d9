"""Membership sets: who belongs to the segments of this service, as its segment jobs found out.

A set is what one job found out under one merge policy. Of each segment the set of the newest
job that succeeded counts, and what older ones say of it is passed over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NewType

MembershipSetId = NewType("MembershipSetId", int)

#: Whoever left a segment is told of as having left it for so long.
EXITED_FOR = timedelta(days=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipFile:
    """A store file of memberships."""

    key: str
    size_bytes: int
    row_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NewMembershipSet:
    """A set whose files are stored and about to count."""

    merge_policy_id: str
    evaluated_at: datetime
    #: By the numbers that the files have for them.
    segment_ids: tuple[str, ...]
    files: tuple[MembershipFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MembershipSet:
    """A set as it counts in one snapshot."""

    id: MembershipSetId
    evaluated_at: datetime
    #: Commit number of the first snapshot that has it.
    added: int
    #: Segments that count, by the numbers that the files have for them.
    segment_ids: Mapping[int, str]
    #: By these numbers too, how many days memberships last; of others, for ever.
    ttl_days: Mapping[int, int]
    #: How many numbers the files have, those of segments that do not count included.
    segment_count: int
    #: Those with rows.
    files: tuple[MembershipFile, ...]
