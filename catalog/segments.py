"""Segments, and what profiles say of their membership in them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

#: The namespace of segments that are named without one.
OWN_NAMESPACE = "ups"


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
