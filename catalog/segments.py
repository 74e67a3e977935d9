"""Segments: rules that say who belongs to an audience, and what profiles say of belonging."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: The namespace of segments that are named without one; those that are defined here are in it.
OWN_NAMESPACE = "ups"


class RuleFormat(StrEnum):
    TEXT = "pql/text"
    JSON = "pql/json"  # a tree of functions, fields and literals, as JSON text


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDefinition:
    """One version of a rule that says who belongs to an audience."""

    #: A UUID; what memberships in :data:`OWN_NAMESPACE` call it.
    id: str
    #: Another name of it, unique in the sandbox: ``seg_`` and letters and digits.
    key: str
    #: Counts from 1 and rises with every change.
    version: int
    name: str
    description: str
    format: RuleFormat
    #: The rule as its author wrote it, in its format.
    expression: str
    #: The same rule as PQL text that the service wrote: equal rules read alike.
    rule: str
    #: Whose merging decides. Of one that follows the default: what is the default now, or the
    #: built-in policy that merges nothing.
    merge_policy_id: str
    #: Whether it moves on when another policy becomes the default.
    follows_default: bool
    #: What callers wish of its evaluation. Kept and told: jobs evaluate every segment alike.
    is_batch: bool
    is_continuous: bool
    is_synchronous: bool
    #: How many days after its last qualification time a membership lasts; null is for ever.
    ttl_days: int | None
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentDraft:
    """What a caller may say of a segment, when making it and when changing it."""

    name: str
    schema_name: str
    format: RuleFormat
    expression: str
    description: str = ""
    #: Null, or what is the default: the default policy of the sandbox, whichever it is.
    merge_policy_id: str | None = None
    is_batch: bool = True
    is_continuous: bool = False
    is_synchronous: bool = False
    ttl_days: int | None = None


class SegmentSort(StrEnum):
    """What a listing of segments can be sorted by; of equals, by id."""

    CREATION = "creation"
    UPDATE = "update"
    NAME = "name"


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentListing:
    """Which segments a listing holds, and in which order. Null admits all."""

    is_continuous: bool | None = None
    sort: SegmentSort = SegmentSort.CREATION
    is_descending: bool = True


class MembershipStatus(StrEnum):
    REALIZED = "realized"  # the profile qualifies
    EXISTING = "existing"  # it still does, in the words of older writers
    EXITED = "exited"  # it no longer does


#: What says that a profile is a member. The documents tell the two apart in some editions and know
#: one of them alone in others, so whoever asks for either asks for members.
MEMBER = frozenset({MembershipStatus.REALIZED, MembershipStatus.EXISTING})


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentChoice:
    """A segment, and how a profile must stand to it."""

    segment_id: str
    #: As the caller wrote it; matched without regard to case.
    namespace: str = OWN_NAMESPACE
    #: Never empty.
    statuses: tuple[MembershipStatus, ...] = (MembershipStatus.REALIZED, MembershipStatus.EXISTING)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentFilter:
    """Profiles that stand to any of some segments as asked, by their merged memberships."""

    choices: tuple[SegmentChoice, ...]
    #: Bounds on ``lastQualificationTime``, both included; with one of them, a membership without
    #: a time does not count.
    qualified_from: datetime | None = None
    qualified_until: datetime | None = None
    #: Whether every choice gets a batch of its own, instead of one batch for all.
    is_split: bool = False
