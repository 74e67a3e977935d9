"""Numbers the ends of links: distinct keys become dense numbers, in memory or by way of disk.

Links lie in files that are sorted by one of their ends, the *near* one. They are read prefix by
prefix of it, through all files at once, so that what several files say is kept once; the *far*
end of each is put into the bucket of its own prefix. Each bucket is then numbered by itself, and
because prefixes ascend, so do the numbers through all of them. With one bucket nothing touches
the disk. What is kept of each link are eight bytes (sixteen beyond two billion identities).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from service.engine.identity import Numbers, number_type
from service.engine.lanes import in_order
from service.engine.ranking import Ints, Keys, changes, distinct, do_ascend, grouped
from service.engine.store_files import prefixes

#: Keys in two columns: that of a number lies in one place.
Pairs = npt.NDArray[np.uint64]
_Rows = np.ndarray[tuple[int], np.dtype[np.void]]

_FAR = np.dtype([("hi", np.uint64), ("lo", np.uint64), ("near", np.int64)])
_NOTHING: tuple[Pairs, _Rows] = (np.empty((0, 2), np.uint64), np.empty(0, _FAR))

#: A bucket takes about this much per end while it is sorted: measured, with copies.
SORTING_BYTES = 110
#: Each bucket is an open file, of which a process usually may have 1,024. One thread would need
#: more of them beyond two and a half billion ends in 512 MiB, and takes more memory instead.
MOST_DEPTH = 9
#: Links that are handed on together.
PORTION = 2 << 20
#: So many bits of a word tell apart the far ends of one near end; where they do not, those links
#: are sorted again. Each bit more makes it likelier that near ends are taken for one another, and
#: all have to be.
_FAR_BITS = 4


def depth_within(end_count: int, budget_bytes: int) -> int:
    """Choose the depth of buckets of which one can be sorted within a budget."""
    buckets = max(1, -(-end_count * SORTING_BYTES // max(1, budget_bytes)))
    return min(MOST_DEPTH, (buckets - 1).bit_length())


class Links(Protocol):
    """Links that are sorted by their near ends. They belong to one thread."""

    def under(self, prefix: int, depth: int) -> tuple[Keys, Keys]:
        """Give the ends, near and far, of those with a near end under a prefix, near ascending.

        Prefixes are asked for in ascending order, all of one depth.
        """


class LinkEnds:
    """Takes links, then numbers their ends."""

    def __init__(self, folder: Path, depth: int, pool: ThreadPoolExecutor, threads: int) -> None:
        """Divide by prefixes of ``depth`` bits; at 0 ``folder`` is left alone.

        So many threads of the pool work on buckets of their own.
        """
        self.depth = depth
        self._folder = folder
        self._pool, self._threads = pool, threads
        #: Of what follows: who adds to it waits for whoever does.
        self._lock = Lock()
        self._link_count = self._near_count = 0
        #: By bucket: the number of its first near end among those of all.
        self._first_near = [0 for _ in self._buckets()]
        #: Near ends, which ascend, and links; those of several buckets are on disk.
        self._held = _NOTHING
        self._sinks = [self._path("far", n).open("wb") for n in self._buckets() if depth]

    def take(self, links: Callable[[], Sequence[Links]]) -> None:
        """Take all links of some sources, which are opened anew for each thread."""
        count, shares = 1 << self.depth, min(self._threads, 1 << self.depth)
        # Near ends are the smaller ones, mostly: what is first by their prefix is most.
        buckets = [range(number, count, shares) for number in range(shares)]
        list(self._pool.map(lambda own: self._take_in(links(), own), buckets))

    def numbered(self) -> NumberedEnds:
        """Number the ends of all links that were taken."""
        for sink in self._sinks:
            sink.close()
        count, type = self._link_count, number_type(2 * self._link_count + self._near_count)
        near, far = self._space("near", count, type), self._space("far", count, type)
        number = np.empty(self._near_count, type)
        keys = self._path("keys", 0).open("wb") if self.depth else None
        kept = np.empty((0, 2), np.uint64)
        first, done = [0], 0
        ahead = self._threads - 1
        for bucket, each in enumerate(in_order(self._pool, self._sorted, self._buckets(), ahead)):
            start, stop = self._first_near[bucket], done + len(each.near)
            number[start : start + len(each.of_near)] = each.of_near + first[-1]
            near[done:stop], far[done:stop] = each.near, each.of_far + first[-1]
            done = stop
            first.append(first[-1] + len(each.keys))
            if keys is None:
                kept = each.keys
            else:
                each.keys.tofile(keys)
        if keys is not None:
            keys.close()
            if first[-1]:
                kept = np.memmap(keys.name, np.uint64, "r").reshape(-1, 2)
        return NumberedEnds(near[:count], far[:count], number, first, kept)

    def _take_in(self, links: Sequence[Links], buckets: range) -> None:
        """Take the links with near ends in some buckets, for one thread."""
        for bucket in buckets:
            pairs = [each.under(bucket, self.depth) for each in links]
            near = Keys.joined([near for near, _ in pairs])
            far = Keys.joined([far for _, far in pairs])
            known, numbers, far = _once(near, far)
            with self._lock:
                self._first_near[bucket] = self._near_count
                self._near_count += len(known)
                self._link_count += len(numbers)
            rows = np.empty(len(numbers), _FAR)
            rows["hi"], rows["lo"] = far.hi, far.lo
            rows["near"] = numbers + self._first_near[bucket]
            if self.depth:
                _pairs(known).tofile(self._path("near", bucket))
                self._divide(rows)
            else:
                self._held = _pairs(known), rows

    def _divide(self, rows: _Rows) -> None:
        """Write links into the buckets of their far ends."""
        bucket = prefixes(rows["hi"], self.depth).astype(np.uint16)
        order = np.argsort(bucket, kind="stable")  # sixteen bits are sorted by counting
        stops = np.cumsum(np.bincount(bucket, minlength=len(self._sinks))).tolist()
        divided = rows.take(order)
        with self._lock:
            for sink, start, stop in zip(self._sinks, [0, *stops], stops, strict=False):
                divided[start:stop].tofile(sink)

    def _sorted(self, bucket: int) -> _Bucket:
        """Sort the identities of a bucket: its near ends, and the far ends that lie in it."""
        known, rows = self._taken(bucket)
        ends = Keys(
            np.concatenate([known[:, 0], rows["hi"]]), np.concatenate([known[:, 1], rows["lo"]])
        )
        near = rows["near"].copy()
        near_count = len(known)
        del known, rows
        keys, place = distinct(ends)
        return _Bucket(_pairs(keys), place[:near_count], near, place[near_count:])

    def _taken(self, bucket: int) -> tuple[Pairs, _Rows]:
        """Give the near ends of a bucket, and the links with far ends in it, only once."""
        if not self.depth:
            held, self._held = self._held, _NOTHING
            return held
        known = np.fromfile(self._path("near", bucket), np.uint64).reshape(-1, 2)
        rows = np.fromfile(self._path("far", bucket), _FAR)
        for what in ("near", "far"):
            self._path(what, bucket).unlink()
        return known, rows

    def _space(self, what: str, count: int, type: np.dtype[np.integer]) -> Numbers:
        """Give room for numbers, on disk where the links of buckets are."""
        if not self.depth:
            return np.empty(count, type)
        return np.memmap(self._path(what, -1), type, "w+", shape=(max(1, count),))

    def _buckets(self) -> range:
        return range(1 << self.depth)

    def _path(self, what: str, bucket: int) -> Path:
        return self._folder / f"{what}-{bucket}"


class _Bucket(NamedTuple):
    """The identities of one bucket, and the links with far ends in it."""

    #: Distinct and ascending, in two columns.
    keys: Pairs
    #: Of each near end in the bucket, its place among the identities.
    of_near: Ints
    #: Of each link, the number of its near end among those of all buckets.
    near: Ints
    #: Of each link, the place of its far end among the identities.
    of_far: Ints


class NumberedEnds:
    """Links as pairs of numbers, and the key of each number, bucket by bucket."""

    def __init__(
        self, near: Numbers, far: Numbers, number: Numbers, first: list[int], keys: Pairs
    ) -> None:
        """Take links, of which ``number`` tells what their near ends come to."""
        self._near, self._far, self._number = near, far, number
        self._first = first
        #: Distinct and ascending.
        self._keys = keys

    @property
    def identity_count(self) -> int:
        return self._first[-1]

    def numbers(self, bucket: int) -> slice:
        """Say which numbers the keys of a bucket have."""
        return slice(self._first[bucket], self._first[bucket + 1])

    def keys(self, bucket: int) -> Keys:
        """Give the keys of a bucket, distinct and ascending."""
        return _in_halves(self._keys[self.numbers(bucket)])

    def keys_at(self, numbers: Ints) -> Keys:
        """Give the keys of some numbers, in any order."""
        return _in_halves(self._keys.take(numbers, axis=0))

    def portions(self) -> Iterator[tuple[Ints, Ints]]:
        """Yield the links, some millions at a time, as the numbers of their ends."""
        for start in range(0, len(self._near), PORTION):
            within = slice(start, start + PORTION)
            near = self._number.take(self._near[within].astype(np.int64))
            yield near.astype(np.int64), self._far[within].astype(np.int64)


def _once(near: Keys, far: Keys) -> tuple[Keys, Ints, Keys]:
    """Keep each link once: give distinct near ends, and of links the number of theirs and the far.

    Near ends ascend. Links of an identity with itself are left out.
    """
    if not len(near):
        return near, np.empty(0, np.int64), far
    order = _nearly_ordered(near, far)
    ordered_near, ordered_far = near.at(order), far.at(order)
    if not do_ascend(ordered_near):
        order = np.lexsort((far.lo, near.lo, near.hi))
        ordered_near, ordered_far = near.at(order), far.at(order)
    near, far = ordered_near, ordered_far
    is_first = changes(near)
    is_kept = is_first | changes(far)
    is_kept &= (near.lo != far.lo) | (near.hi != far.hi)
    kept = np.flatnonzero(is_kept)
    number = np.cumsum(is_first).take(kept) - 1
    return near.at(np.flatnonzero(is_first)), *_unmixed(number, far.at(kept))


def _unmixed(number: Ints, far: Keys) -> tuple[Ints, Keys]:
    """Keep links once where the bits of far ends that they were sorted by are those of several."""
    bits = far.lo >> np.uint64(64 - _FAR_BITS)
    is_mixed = (number[1:] == number[:-1]) & (bits[1:] == bits[:-1])
    if not is_mixed.any():
        return number, far
    has_mixed = np.zeros(int(number[-1]) + 1, np.bool_)
    has_mixed[number[1:][is_mixed]] = True
    is_of_mixed = has_mixed.take(number)
    rest, mixed = np.flatnonzero(~is_of_mixed), np.flatnonzero(is_of_mixed)
    mixed = mixed.take(grouped(number.take(mixed), far.at(mixed)))
    is_kept = changes(far.at(mixed))
    is_kept[1:] |= number[mixed[1:]] != number[mixed[:-1]]
    rows = np.concatenate([rest, mixed[is_kept]])
    return number.take(rows), far.at(rows)


def _nearly_ordered(near: Keys, far: Keys) -> Ints:
    """Give positions that bring equal links together, and near ends into order, nearly always.

    Keys are hashes: the leading bits tell near ends apart, and leave room in a word for some of
    the far end and for the position.
    """
    width = (len(near) - 1).bit_length()
    packed = near.hi - near.hi.min()
    shift = max(0, int(packed.max()).bit_length() + _FAR_BITS + width - 64)
    packed >>= np.uint64(shift)
    packed <<= np.uint64(_FAR_BITS)
    packed |= far.lo >> np.uint64(64 - _FAR_BITS)
    packed <<= np.uint64(width)
    packed |= np.arange(len(near), dtype=np.uint64)
    packed.sort()
    packed &= np.uint64((1 << width) - 1)
    order: Ints = packed.view(np.int64)
    return order


def _pairs(keys: Keys) -> Pairs:
    return np.stack([keys.hi, keys.lo], axis=1)


def _in_halves(pairs: Pairs) -> Keys:
    return Keys(np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1]))
