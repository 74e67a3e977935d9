"""Decides from merged memberships which profiles belong to the segments that an export is for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.segments import MEMBER, OWN_NAMESPACE, MembershipStatus
from service.engine.arrow_types import Column
from service.engine.orders import SegmentChoice, SegmentFilter
from service.engine.own_memberships import Own, Segments
from service.engine.ranking import Bools, Ints, ordered, run_offsets, run_starts
from service.engine.snapshot import micros


class Memberships:
    """Every membership of some profiles in parallel columns, sorted by profile."""

    def __init__(self, maps: Column, own: Own, segments: Segments, filter: SegmentFilter) -> None:
        """Take one merged ``segmentMembership`` map of each profile, as rows tell of it.

        ``own`` are what the service itself knows, which goes before what rows say of the same.
        """
        self._own = OwnMembers(own, segments, filter)
        self._profile_count = len(maps)
        namespace_ends = maps.offsets.to_numpy()
        namespaces = slice(int(namespace_ends[0]), int(namespace_ends[-1]))
        inner = maps.items[namespaces]
        segment_ends = inner.offsets.to_numpy()
        entries = slice(int(segment_ends[0]), int(segment_ends[-1]))
        self._sizes = np.diff(segment_ends)
        owners = np.repeat(np.arange(len(maps)), np.diff(namespace_ends))
        self._profile: Ints = np.repeat(owners, self._sizes)
        self._namespace = pc.utf8_lower(maps.keys[namespaces])
        self._segment = inner.keys[entries]
        memberships = inner.items[entries]
        self._status = memberships.field("status")
        instants = memberships.field("lastQualificationTime").cast(pa.int64())
        self._has_time: Bools = instants.is_valid().to_numpy(zero_copy_only=False)
        self._time: Ints = instants.fill_null(0).to_numpy()
        self._is_in_time = self._within(filter)

    def taken_by(self, choice: SegmentChoice) -> Bools:
        """Say for each profile whether it stands to the segment as asked."""
        found = self._of(choice)
        stands = self._has_status(choice.statuses)[found] & self._is_in_time[found]
        taken = np.zeros(self._profile_count, np.bool_)
        taken[self._profile[found[stands]]] = True
        self._own.correct(taken, choice)
        return taken

    def _of(self, choice: SegmentChoice) -> Ints:
        """Find what each profile says of a segment: its latest word, where spellings differ."""
        is_namespace = _marks(pc.equal(self._namespace, choice.namespace.lower()))
        is_segment = _marks(pc.equal(self._segment, choice.segment_id))
        found = np.flatnonzero(np.repeat(is_namespace, self._sizes) & is_segment)
        profile = self._profile[found]
        if not np.any(profile[1:] == profile[:-1]):
            return found
        found = found[ordered(profile, self._has_time[found], self._time[found])]
        ends = np.append(run_starts(self._profile[found])[1:], len(found)) - 1
        latest: Ints = found[ends]
        return latest

    def _has_status(self, statuses: Collection[MembershipStatus]) -> Bools:
        return _marks(pc.is_in(self._status, pa.array(sorted(_wanted(statuses)), pa.string())))

    def _within(self, filter: SegmentFilter) -> Bools:
        inside = _is_between(self._time, filter)
        if filter.qualified_from is not None or filter.qualified_until is not None:
            inside &= self._has_time
        return inside


class OwnMembers:
    """The members of the service's own segments."""

    def __init__(self, own: Own, segments: Segments, filter: SegmentFilter) -> None:
        self._own = own
        self._segments = segments
        self._filter = filter
        self._by_segment: tuple[Ints, Ints] | None = None

    def correct(self, taken: Bools, choice: SegmentChoice) -> None:
        """Say of those profiles of which it is known whether they stand to a segment as asked."""
        number = self._segments.number(choice.segment_id)
        if number is None or choice.namespace.lower() != OWN_NAMESPACE or not len(self._own):
            return
        own = self._own.at(self._rows_of(number))
        wanted = _wanted(choice.statuses)
        stands = np.where(
            own.has_left,
            MembershipStatus.EXITED in wanted,
            MembershipStatus.REALIZED in wanted,
        )
        taken[own.profile] = stands & _is_between(own.time, self._filter)

    def _rows_of(self, number: int) -> Ints:
        """Find the memberships in one segment, sorting them all once if several are asked for."""
        if len(self._filter.choices) == 1:
            return np.flatnonzero(self._own.segment == number)
        if self._by_segment is None:
            order = ordered(self._own.segment)
            self._by_segment = order, run_offsets(self._own.segment[order], len(self._segments))
        order, offsets = self._by_segment
        rows: Ints = order[offsets[number] : offsets[number + 1]]
        return rows


def _wanted(statuses: Collection[MembershipStatus]) -> set[MembershipStatus]:
    return set(statuses) | (MEMBER if MEMBER & set(statuses) else set())


def _is_between(time: Ints, filter: SegmentFilter) -> Bools:
    inside = np.ones(len(time), np.bool_)
    if filter.qualified_from is not None:
        inside &= time >= micros(filter.qualified_from)
    if filter.qualified_until is not None:
        inside &= time <= micros(filter.qualified_until)
    return inside


def _marks(column: Column) -> Bools:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False))  # noqa: FBT003
