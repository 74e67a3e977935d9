"""Decides from merged memberships which profiles belong to the segments that an export is for."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.segments import MEMBER, MembershipStatus
from service.engine.arrow_types import Column
from service.engine.orders import SegmentChoice, SegmentFilter
from service.engine.ranking import Bools, Ints, ordered, run_starts
from service.engine.snapshot import micros


class Memberships:
    """Every membership of some profiles in parallel columns, sorted by profile."""

    def __init__(self, maps: Column, filter: SegmentFilter) -> None:
        """Take one merged ``segmentMembership`` map of each profile."""
        self._profile_count = len(maps)
        namespace_ends = maps.offsets.to_numpy()
        namespaces = slice(int(namespace_ends[0]), int(namespace_ends[-1]))
        segments = maps.items[namespaces]
        segment_ends = segments.offsets.to_numpy()
        entries = slice(int(segment_ends[0]), int(segment_ends[-1]))
        self._sizes = np.diff(segment_ends)
        owners = np.repeat(np.arange(len(maps)), np.diff(namespace_ends))
        self._profile: Ints = np.repeat(owners, self._sizes)
        self._namespace = pc.utf8_lower(maps.keys[namespaces])
        self._segment = segments.keys[entries]
        memberships = segments.items[entries]
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
        wanted = set(statuses) | (MEMBER if MEMBER & set(statuses) else set())
        return _marks(pc.is_in(self._status, pa.array(sorted(wanted), pa.string())))

    def _within(self, filter: SegmentFilter) -> Bools:
        after, until = filter.qualified_from, filter.qualified_until
        inside = np.ones(len(self._time), np.bool_)
        if after is not None or until is not None:
            inside &= self._has_time
        if after is not None:
            inside &= self._time >= micros(after)
        if until is not None:
            inside &= self._time <= micros(until)
        return inside


def _marks(column: Column) -> Bools:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False))  # noqa: FBT003
