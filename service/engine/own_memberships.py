"""Memberships in segments that the service evaluates itself: how they are kept, and combined.

A membership says since when a profile belongs to a segment, or when it left. Files of memberships
have one row for each profile that has any, keyed by what represented it when they were written;
rows whose identities have become one profile since are combined, membership by membership.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from catalog.memberships import EXITED_FOR
from catalog.store_files import StoreFileKind
from service.engine.arrow_types import Column
from service.engine.labels import Labels
from service.engine.members import Members
from service.engine.orders import ExportOrder
from service.engine.ranking import Bools, Ints, Keys, ordered, places, run_offsets
from service.engine.slices import Opening, Rows, SliceReader
from service.engine.snapshot import Snapshot, micros
from service.engine.store_files import KEY_HI, KEY_LO, MEMBERSHIPS

#: One membership in a file: the number of the segment in its set, and the instant since when, in
#: microseconds since 1970.
MEMBERSHIP = pa.struct(
    [
        pa.field("segment", pa.int32(), nullable=False),
        pa.field("has_left", pa.bool_(), nullable=False),
        pa.field("time", pa.int64(), nullable=False),
    ]
)
_LIST = pa.list_(pa.field("membership", MEMBERSHIP, nullable=False))
SCHEMA = pa.schema([(KEY_HI, pa.uint64()), (KEY_LO, pa.uint64()), (MEMBERSHIPS, _LIST)])


_DAY = timedelta(days=1) // timedelta(microseconds=1)


class Segments:
    """The segments that an order knows of, numbered by the bytes of their ids."""

    def __init__(self, order: ExportOrder) -> None:
        own = {id for each in order.membership_sets for id in each.segment_ids.values()}
        if order.evaluation is not None:
            own |= {rule.segment_id for rule in order.evaluation.rules}
        #: By number.
        self.ids: list[str] = sorted(own, key=str.encode)
        self._numbers = {id: number for number, id in enumerate(self.ids)}
        lasts = {
            id: each.ttl_days[n]
            for each in order.membership_sets
            for n, id in each.segment_ids.items()
            if n in each.ttl_days
        }
        rules = order.evaluation.rules if order.evaluation is not None else ()
        lasts |= {rule.segment_id: rule.ttl_days for rule in rules if rule.ttl_days is not None}
        #: By number, how many microseconds a membership lasts; -1: for ever.
        self.lasts: Ints = np.array(
            [lasts[id] * _DAY if id in lasts else -1 for id in self.ids], np.int64
        )

    def __len__(self) -> int:
        return len(self.ids)

    def number(self, id: str) -> int | None:
        return self._numbers.get(id)

    def numbers(self, ids: Iterable[str]) -> list[int]:
        return [self._numbers[id] for id in ids]

    @cached_property
    def texts(self) -> Column:
        """Their ids as a column."""
        return pa.array(self.ids, pa.string())


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """Memberships of some profiles, all arrays parallel: sorted by profile, then segment."""

    profile: Ints
    segment: Ints
    has_left: Bools
    #: Since when, in microseconds since 1970.
    time: Ints

    def __len__(self) -> int:
        return len(self.profile)

    def at(self, rows: Ints | Bools) -> Own:
        return Own(
            profile=self.profile[rows],
            segment=self.segment[rows],
            has_left=self.has_left[rows],
            time=self.time[rows],
        )

    def of(self, members: Members) -> Own:
        """Keep those of members, numbered among them; ``profile`` counted through the slice."""
        number = members.number(self.profile)
        if number is self.profile:
            return self
        kept = self.at(number >= 0)
        return Own(
            profile=number[number >= 0],
            segment=kept.segment,
            has_left=kept.has_left,
            time=kept.time,
        )

    def combined(self) -> Own:
        """Sort, and keep of several in one segment the latest word; of equals, who belongs."""
        if _ascends(self.profile, self.segment):
            return self
        held = self.at(ordered(self.profile, self.segment, self.time, ~self.has_left))
        is_last = np.ones(len(held), np.bool_)
        is_last[:-1] = held.profile[1:] != held.profile[:-1]
        is_last[:-1] |= held.segment[1:] != held.segment[:-1]
        return held.at(is_last)

    @classmethod
    def joined(cls, several: list[Own]) -> Own:
        if not several:
            return NOBODY
        return cls(
            profile=np.concatenate([each.profile for each in several]),
            segment=np.concatenate([each.segment for each in several]),
            has_left=np.concatenate([each.has_left for each in several]),
            time=np.concatenate([each.time for each in several]),
        )


#: No memberships at all.
NOBODY = Own(
    profile=np.empty(0, np.int64),
    segment=np.empty(0, np.int64),
    has_left=np.empty(0, np.bool_),
    time=np.empty(0, np.int64),
)


class KeptMemberships:
    """Reads memberships slice by slice, in ascending order, for one thread."""

    def __init__(self, opening: Opening, labels: Labels | None) -> None:
        """Prepare, with the labelling of the plan as its other readers have it open."""
        snapshot = opening.snapshot
        self.segments = Segments(snapshot.order)
        self._snapshot = snapshot
        self._asked_at = snapshot.order.asked_at
        self._reader: SliceReader | None = None
        if snapshot.numbers(StoreFileKind.MEMBERSHIPS):
            self._reader = SliceReader(StoreFileKind.MEMBERSHIPS, opening, labels)
        self._numbering, self._first = _numbering(snapshot, self.segments)

    def read(self, prefix: int, profiles: Keys) -> Own:
        """Read what is known of profiles at home under a prefix; they ascend."""
        if self._reader is None:
            return NOBODY
        rows = self._reader.read(prefix)
        if not len(rows):
            return NOBODY
        return self._unfolded(rows, places(rows.profile, profiles)).combined()

    def _unfolded(self, rows: Rows, profile: Ints) -> Own:
        """Give the memberships of rows whose profiles are known; of segments that count alone."""
        profile_of_row = np.full(rows.stack.row_count, -1)
        profile_of_row[rows.at] = profile
        first_of_row = np.zeros(rows.stack.row_count, np.int64)
        first_of_row[rows.at] = self._first[self._snapshot.dataset[rows.source]]
        found, start = [], 0
        for chunk in rows.stack.column(MEMBERSHIPS, _LIST).chunks:
            ends = chunk.offsets.to_numpy()
            sizes = np.diff(ends)
            held = chunk.values.slice(int(ends[0]), int(ends[-1] - ends[0]))
            here = slice(start, start + len(chunk))
            number = np.repeat(first_of_row[here], sizes) + held.field("segment").to_numpy()
            own = Own(
                profile=np.repeat(profile_of_row[here], sizes),
                segment=self._numbering[number],
                has_left=held.field("has_left").to_numpy(zero_copy_only=False),
                time=held.field("time").to_numpy(),
            )
            counts = (own.profile >= 0) & (own.segment >= 0)
            if self._asked_at is not None:
                counts &= ~self._is_over(own, self._asked_at)
            found.append(own if counts.all() else own.at(counts))
            start += len(chunk)
        return found[0] if len(found) == 1 else Own.joined(found)

    def _is_over(self, own: Own, asked_at: datetime) -> Bools:
        """Mark what nobody is to be told of any more."""
        now = micros(asked_at)
        has_lasted = (own.segment >= 0) & ~own.has_left
        has_lasted &= self.segments.lasts[own.segment] >= 0
        has_lasted &= own.time + self.segments.lasts[own.segment] <= now
        is_long_gone = own.has_left & (own.time < micros(asked_at - EXITED_FOR))
        return has_lasted | is_long_gone


def rows_of(profiles: Keys, own: Own, numbers: Mapping[int, int]) -> pa.Table:
    """Give the rows of a file: one for each of some profiles that has a membership.

    ``numbers`` are those that the file's set has for segments.
    """
    known = np.array([numbers.get(n, -1) for n in range(max(numbers, default=-1) + 1)], np.int32)
    sizes = np.bincount(own.profile, minlength=len(profiles))
    has_any = np.flatnonzero(sizes)
    memberships = pa.StructArray.from_arrays(
        [pa.array(known[own.segment]), pa.array(own.has_left), pa.array(own.time)],
        fields=list(MEMBERSHIP),
    )
    offsets = run_offsets(own.profile, len(profiles))[np.append(has_any, len(profiles))]
    lists = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), memberships, type=_LIST)
    keys = profiles.at(has_any)
    return pa.Table.from_arrays([pa.array(keys.hi), pa.array(keys.lo), lists], schema=SCHEMA)


def _ascends(profile: Ints, segment: Ints) -> bool:
    is_later = profile[1:] > profile[:-1]
    is_later |= (profile[1:] == profile[:-1]) & (segment[1:] > segment[:-1])
    return bool(is_later.all())


def _numbering(snapshot: Snapshot, segments: Segments) -> tuple[npt.NDArray[np.int64], Ints]:
    """Say which segment each number of each set stands for, -1 of those that do not count.

    The numbers of all sets lie behind each other; the second array says where those of a set
    begin, by the place of its files' data set in the snapshot.
    """
    first = np.zeros(max(1, len(snapshot.dataset_ids)), np.int64)
    parts = [np.empty(0, np.int64)]
    count = 0
    for each in snapshot.order.membership_sets:
        if each.id not in snapshot.dataset_ids:
            continue  # it has no files
        first[snapshot.dataset_ids.index(each.id)] = count
        known = np.full(each.segment_count, -1)
        for number, id in each.segment_ids.items():
            known[number] = segments.number(id)
        parts.append(known)
        count += len(known)
    return np.concatenate(parts), first
