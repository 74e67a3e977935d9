"""Numbers the ends of links: distinct keys become dense numbers, in memory or by way of disk.

Ends are divided by the prefix of their key into buckets; each bucket is sorted by itself, and
because prefixes ascend, so do the numbers through all of them. With one bucket nothing touches
the disk. What is kept of each end is four bytes (eight beyond two billion identities).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np

from service.engine.identity import Numbers, number_type
from service.engine.ranking import Ints, Keys, distinct
from service.engine.store_files import prefixes

_END = np.dtype([("hi", np.uint64), ("lo", np.uint64), ("end", np.int64)])
_KEY = np.dtype([("hi", np.uint64), ("lo", np.uint64)])

#: A bucket takes about this much per end while it is sorted: measured, with copies.
SORTING_BYTES = 110
#: More buckets than open files are good for would be needed beyond five billion ends in 512 MiB.
MOST_DEPTH = 10
#: Links that are handed on together.
PORTION = 2 << 20


def depth_within(end_count: int, budget_bytes: int) -> int:
    """Choose the depth of buckets of which one can be sorted within a budget."""
    buckets = max(1, -(-end_count * SORTING_BYTES // max(1, budget_bytes)))
    return min(MOST_DEPTH, (buckets - 1).bit_length())


class LinkEnds:
    """Takes links, then numbers their ends."""

    def __init__(self, folder: Path, depth: int) -> None:
        """Divide by prefixes of ``depth`` bits; at 0 ``folder`` is left alone."""
        self.depth = depth
        self._folder = folder
        self._link_count = 0
        self._held: list[np.ndarray[tuple[int], np.dtype[np.void]]] = []
        self._sinks = [self._path("ends", n).open("wb") for n in self._buckets() if depth]

    def add(self, keys: Keys, others: Keys) -> None:
        """Take links between ``keys`` and ``others``."""
        for side, ends in enumerate((keys, others)):
            rows = np.empty(len(ends), _END)
            rows["hi"], rows["lo"] = ends.hi, ends.lo
            rows["end"] = (np.arange(len(ends)) + self._link_count) * 2 + side
            if self.depth:
                self._spill(rows)
            else:
                self._held.append(rows)
        self._link_count += len(keys)

    def numbered(self) -> NumberedEnds:
        """Number all ends that were taken; nothing may be added any more."""
        shape, type = (self._link_count, 2), number_type(2 * self._link_count)
        links: Numbers
        if self.depth:
            for sink in self._sinks:
                sink.close()
            links = np.memmap(self._path("links", 0), type, "w+", shape=(max(1, shape[0]), 2))
        else:
            links = np.empty(shape, type)
        first, keys = [0], []
        for bucket in self._buckets():
            known, ends, number = self._sorted(bucket)
            links.reshape(-1)[ends] = number + first[-1]
            first.append(first[-1] + len(known))
            keys.append(self._kept(bucket, known))
        return NumberedEnds(links[: self._link_count], first, keys)

    def _spill(self, rows: np.ndarray[tuple[int], np.dtype[np.void]]) -> None:
        bucket = prefixes(rows["hi"], self.depth).astype(np.uint16)
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(len(self._sinks) + 1))
        in_order = rows[order]
        for sink, start, stop in zip(self._sinks, bounds[:-1], bounds[1:], strict=True):
            in_order[start:stop].tofile(sink)

    def _sorted(self, bucket: int) -> tuple[Keys, Ints, Ints]:
        """Give the distinct keys of a bucket, its ends, and for each the place of its key."""
        if self.depth:
            path = self._path("ends", bucket)
            rows = np.fromfile(path, _END)
            path.unlink()
        else:
            rows = np.concatenate([np.empty(0, _END), *self._held])
            self._held.clear()
        ends = np.ascontiguousarray(rows["end"])
        keys = Keys(np.ascontiguousarray(rows["hi"]), np.ascontiguousarray(rows["lo"]))
        del rows
        known, number = distinct(keys)
        return known, ends, number

    def _kept(self, bucket: int, known: Keys) -> Keys:
        """Keep the keys of a bucket: with others on disk, mapped."""
        if not self.depth or not len(known):
            return known
        rows = np.empty(len(known), _KEY)
        rows["hi"], rows["lo"] = known.hi, known.lo
        rows.tofile(self._path("keys", bucket))
        mapped = np.memmap(self._path("keys", bucket), _KEY, "r")
        return Keys(mapped["hi"], mapped["lo"])

    def _buckets(self) -> range:
        return range(1 << self.depth)

    def _path(self, what: str, bucket: int) -> Path:
        return self._folder / f"{what}-{bucket}"


class NumberedEnds:
    """Links as pairs of numbers, and the key of each number, bucket by bucket."""

    def __init__(self, links: Numbers, first: list[int], keys: list[Keys]) -> None:
        self._links = links
        self._first = np.array(first)
        #: Distinct keys by bucket, ascending through all of them.
        self.keys = keys

    @property
    def identity_count(self) -> int:
        return int(self._first[-1])

    def numbers(self, bucket: int) -> slice:
        """Say which numbers the keys of a bucket have."""
        return slice(int(self._first[bucket]), int(self._first[bucket + 1]))

    def portions(self) -> Iterator[tuple[Numbers, Numbers]]:
        """Yield the links, some millions at a time, as the numbers of their ends."""
        for start in range(0, len(self._links), PORTION):
            portion = self._links[start : start + PORTION]
            yield portion[:, 0], portion[:, 1]

    def keys_at(self, numbers: Numbers) -> Keys:
        """Give the keys of some numbers, in any order."""
        if len(self.keys) == 1:
            return self.keys[0].at(numbers)
        found = Keys(np.empty(len(numbers), np.uint64), np.empty(len(numbers), np.uint64))
        bucket = np.searchsorted(self._first, numbers, side="right") - 1
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(len(self.keys) + 1))
        for number, (start, stop) in enumerate(pairwise(bounds)):
            rows = order[start:stop]
            if len(rows):
                of_bucket = self.keys[number].at(numbers[rows] - self._first[number])
                found.hi[rows], found.lo[rows] = of_bucket.hi, of_bucket.lo
        return found
