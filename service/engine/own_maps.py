"""Shows memberships in the own segments of the service in ``segmentMembership``."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from catalog.segments import OWN_NAMESPACE, MembershipStatus
from service.engine.arrow_types import INSTANT, MEMBERSHIP, Column
from service.engine.kernel import text_ranks
from service.engine.own_memberships import Own, Segments
from service.engine.ranking import Bools, Ints, ordered, run_offsets, run_starts

#: By whether the profile has left.
_STATUSES = pa.array([MembershipStatus.REALIZED.value, MembershipStatus.EXITED.value])


def with_own(maps: Column, own: Own, segments: Segments) -> Column:
    """Add own memberships to merged maps, one map for each profile; these are of one array.

    They replace what rows say of the same segments in the service's own namespace, however it is
    spelt. Maps stay sorted.
    """
    if not len(own):
        return maps
    told = _Told.in_maps(maps)
    if not len(told.profile):
        return _maps(_Told.of(own, segments), maps)
    told = told.kept(~told.is_overruled(own, segments))
    both = told.joined(_Told.of(own, segments))
    order = ordered(both.profile, text_ranks(both.namespace), text_ranks(both.segment))
    return _maps(both.kept(order), maps)


class _Told:
    """Memberships of profiles one by one, all columns parallel."""

    def __init__(
        self, profile: Ints, namespace: Column, segment: Column, membership: Column
    ) -> None:
        self.profile = profile
        self.namespace = namespace
        self.segment = segment
        self.membership = membership

    @classmethod
    def in_maps(cls, maps: Column) -> _Told:
        namespace_ends = maps.offsets.to_numpy()
        within = slice(int(namespace_ends[0]), int(namespace_ends[-1]))
        inner = maps.items[within]
        segment_ends = inner.offsets.to_numpy()
        entries = slice(int(segment_ends[0]), int(segment_ends[-1]))
        sizes = np.diff(segment_ends)
        owners = np.repeat(np.arange(len(maps)), np.diff(namespace_ends))
        return cls(
            np.repeat(owners, sizes),
            maps.keys[within].take(pa.array(np.repeat(np.arange(len(inner)), sizes))),
            inner.keys[entries],
            inner.items[entries],
        )

    @classmethod
    def of(cls, own: Own, segments: Segments) -> _Told:
        memberships = pa.StructArray.from_arrays(
            [
                pa.array(own.time).cast(INSTANT),
                _STATUSES.take(pa.array(own.has_left.astype(np.int8))),
                pa.nulls(len(own), pa.string()),
                _valid_until(own, segments),
            ],
            fields=list(MEMBERSHIP),
        )
        return cls(
            own.profile,
            pa.array([OWN_NAMESPACE]).take(pa.array(np.zeros(len(own), np.int8))),
            segments.texts.take(pa.array(own.segment)),
            memberships,
        )

    def kept(self, rows: Ints | Bools) -> _Told:
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        at = pa.array(rows)
        return _Told(
            self.profile[rows],
            self.namespace.take(at),
            self.segment.take(at),
            self.membership.take(at),
        )

    def joined(self, other: _Told) -> _Told:
        return _Told(
            np.concatenate([self.profile, other.profile]),
            pa.concat_arrays([self.namespace, other.namespace]),
            pa.concat_arrays([self.segment, other.segment]),
            pa.concat_arrays([self.membership, other.membership]),
        )

    def is_overruled(self, own: Own, segments: Segments) -> Bools:
        """Mark the memberships of which own ones tell."""
        is_ours = pc.equal(pc.utf8_lower(self.namespace), OWN_NAMESPACE)
        number = pc.index_in(self.segment, value_set=segments.texts).fill_null(-1).to_numpy()
        known = own.profile * len(segments) + own.segment
        is_known = np.isin(self.profile * len(segments) + number, known, assume_unique=False)
        overruled: Bools = is_known & is_ours.to_numpy(zero_copy_only=False) & (number >= 0)
        return overruled


def _valid_until(own: Own, segments: Segments) -> Column:
    lasts = segments.lasts[own.segment]
    is_unbound = own.has_left | (lasts < 0)
    return pa.array(own.time + lasts, mask=is_unbound).cast(INSTANT)


def _maps(told: _Told, before: Column) -> Column:
    """Make maps of sorted memberships; profiles that had none before and have none are null."""
    namespace = pc.dictionary_encode(told.namespace).indices.to_numpy()
    groups = run_starts(told.profile, namespace)
    inner = pa.MapArray.from_arrays(
        pa.array(np.append(groups, len(told.profile)), pa.int32()), told.segment, told.membership
    )
    offsets = run_offsets(told.profile[groups], len(before))
    has_map = np.append(before.is_valid().to_numpy(zero_copy_only=False), True)
    has_map[told.profile] = True
    return pa.MapArray.from_arrays(
        pa.array(offsets, pa.int32(), mask=~has_map),
        told.namespace.take(pa.array(groups)),
        inner,
    )
