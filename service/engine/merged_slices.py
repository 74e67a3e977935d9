"""One slice while it is merged: its profiles, the rows they are made of, and what follows."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property

import numpy as np

from catalog.schemas import SEGMENT_MEMBERSHIP
from service.engine.attributes import Attributes
from service.engine.evaluating import Outcome
from service.engine.members import Fragments, Members, Owned
from service.engine.memberships import Memberships
from service.engine.orders import SegmentFilter
from service.engine.own_memberships import Own, Segments


class Slice:
    """Profiles that are merged together."""

    def __init__(
        self,
        everybody: Members,
        fragments: Fragments,
        events: Owned,
        *,
        read_mentions: Callable[[], Owned],
        own: Own,
        segments: Segments,
    ) -> None:
        """Take all profiles that may be exported; rows and memberships may be of more.

        Identities are read only if somebody asks who is named.
        """
        self.everybody = everybody
        self.fragments = fragments
        #: Those that stand.
        self.events = events
        #: Memberships in segments of the service's own, numbered through the slice.
        self.own = own
        self.segments = segments
        #: What an evaluation found out about everybody; null when nothing was evaluated.
        self.outcome: Outcome | None = None
        self._read_mentions = read_mentions

    @cached_property
    def mentions(self) -> Owned:
        """Rows of identities."""
        return self._read_mentions()

    def attributes(self, members: Members) -> Attributes:
        """Give what is merged of some profiles."""
        if members is self.everybody:
            return self._of_everybody
        return Attributes(members, self.fragments, self.own.of(members), self.segments)

    @cached_property
    def _of_everybody(self) -> Attributes:
        own = self.own.of(self.everybody)
        return Attributes(self.everybody, self.fragments, own, self.segments)

    def memberships(self, filter: SegmentFilter) -> Memberships:
        """Give all that is known of who belongs to what, to be filtered by."""
        ingested = self._of_everybody.ingested_memberships(SEGMENT_MEMBERSHIP.name)
        return Memberships(ingested, self.own.of(self.everybody), self.segments, filter)

    def renew(self, outcome: Outcome) -> None:
        """Take from now on the memberships that an evaluation has led to."""
        self.outcome = outcome
        self.own = replace(outcome.own, profile=self.everybody.in_slice(outcome.own.profile))
        self._of_everybody.renew(outcome.own)

    def own_in(self, segments: Collection[int]) -> Own:
        """Give the memberships of everybody in some segments."""
        own = self.own.of(self.everybody)
        if len(segments) == len(self.segments):
            return own
        return own.at(np.isin(own.segment, list(segments)))
