"""The attributes of some profiles, merged when they are asked for and each once."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from catalog.schemas import SEGMENT_MEMBERSHIP, Field, Kind
from service.engine.arrow_types import Column, arrow_type
from service.engine.kernel import Contest
from service.engine.leaves import Leaves
from service.engine.maps import segment_membership
from service.engine.members import Fragments, Members
from service.engine.own_maps import with_own
from service.engine.own_memberships import Own, Segments


class Attributes:
    """Merges leaves of profiles, for whoever exports them and whoever decides about them."""

    def __init__(
        self, members: Members, fragments: Fragments, own: Own, segments: Segments
    ) -> None:
        """``own`` are the members' memberships, numbered among them."""
        number = members.number(fragments.profile)
        at, place, rank = fragments.rows.at, fragments.place, fragments.rank
        if members.numbers is not None:
            stays = np.flatnonzero(number >= 0)
            number, at, place, rank = number[stays], at[stays], place[stays], rank[stays]
        self._count, self._number, self._at, self._rank = len(members), number, at, rank
        self._stack = fragments.rows.stack
        # Where every fragment is one row, the place says nothing that the rank does not.
        self._contested = (rank,) if np.array_equal(place, rank) else (place, rank)
        self._own, self._segments = own, segments
        self._merged: dict[str, Column] = {}

    @cached_property
    def _leaves(self) -> Leaves:
        contest = Contest.between(self._at, self._number, self._count, *self._contested)
        return Leaves(self._stack, contest)

    def merged(self, path: str, field: Field) -> Column:
        """Give a leaf by its dotted path: one value for each profile."""
        if path not in self._merged:
            self._merged[path] = self._of(path, field)
        return self._merged[path]

    def renew(self, own: Own) -> None:
        """Take other memberships from now on."""
        self._own = own
        self._merged.pop(SEGMENT_MEMBERSHIP.name, None)

    def ingested_memberships(self, path: str) -> Column:
        """Give the map of memberships of each profile that its rows tell of."""
        maps = self._stack.values(path, arrow_type(SEGMENT_MEMBERSHIP), self._at)
        return segment_membership(maps, self._number, self._rank, self._count)

    def _of(self, path: str, field: Field) -> Column:
        if field.kind is not Kind.SEGMENT_MEMBERSHIP:
            return self._leaves.merged(path, field)
        ingested = self.ingested_memberships(path)
        if path != SEGMENT_MEMBERSHIP.name:
            return ingested
        return with_own(ingested, self._own, self._segments)
