"""Spaces: views of a sandbox, in GrowingIO's words; the sandbox is what it calls a project.

A space has segments of its own, which other spaces do not see, and may use all of the sandbox's
properties or those that it was given.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NewType

from catalog.organisations import Caller, Sandbox
from catalog.properties import Property, PropertyKind
from catalog.segments import SegmentDefinition

SpaceNumber = NewType("SpaceNumber", int)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceDraft:
    """What a caller says of a space."""

    #: In any language; no other space of the sandbox has it.
    name: str
    description: str = ""
    #: Keys of what it may use, by kind. A kind that is missing: all there are and will be.
    allowed: Mapping[PropertyKind, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """One space as it stood at one moment."""

    number: SpaceNumber
    name: str
    description: str
    allowed: Mapping[PropertyKind, frozenset[str]]
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime

    def allows(self, asked: Property) -> bool:
        """Whether a property may be used here."""
        return asked.kind not in self.allowed or asked.key in self.allowed[asked.kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a caller of GrowingIO's dialect looks: a whole project, or one of its spaces."""

    #: Whose scope is that of the project.
    by: Caller
    sandbox: Sandbox
    #: Null: the project as a whole.
    space: Space | None

    @property
    def space_number(self) -> SpaceNumber | None:
        """Null: the project as a whole."""
        return self.space.number if self.space else None

    def allows(self, asked: Property) -> bool:
        """Whether a property may be used here."""
        return self.space is None or self.space.allows(asked)


class Stage(StrEnum):
    """How the last computation of a segment stands."""

    NONE = "NONE"  # nobody ever asked for one
    READY = "READY"
    RUNNING = "RUNNING"
    FINISH = "FINISH"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedSegment:
    """A segment with the space it belongs to, and what became of its last computation."""

    #: Of all segments of the deployment: what short ids of it are made from.
    number: int
    segment: SegmentDefinition
    #: Null: it belongs to the project, and every space of it sees it.
    space_number: SpaceNumber | None
    stage: Stage
    #: When it was last computed with success; or when that failed, if it did the last time.
    detected_at: datetime | None
    #: How many profiles were found to belong to it the last time; null until they were counted.
    member_count: int | None
    #: How many there were in all.
    profile_count: int | None
    #: Whether some memberships count: those of the last computation that succeeded.
    is_computed: bool
