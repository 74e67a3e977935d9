"""Numbers the ends of links: distinct keys become dense numbers, in memory or by way of disk.

Ends are divided by the prefix of their key into buckets; each bucket is sorted by itself, and
because prefixes ascend, so do the numbers through all of them. With one bucket nothing touches
the disk. What is kept of each end is four bytes (eight beyond two billion identities).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from threading import Lock

import numpy as np

from service.engine.identity import Numbers, number_type
from service.engine.lanes import in_order
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

    def __init__(self, folder: Path, depth: int, pool: ThreadPoolExecutor, threads: int) -> None:
        """Divide by prefixes of ``depth`` bits; at 0 ``folder`` is left alone.

        So many threads of the pool work on buckets of their own.
        """
        self.depth = depth
        self._folder = folder
        self._pool, self._threads = pool, threads
        #: Of buckets: who writes to one waits for whoever does.
        self._lock = Lock()
        self._spilling: deque[Future[None]] = deque()
        self._link_count = 0
        self._held: list[np.ndarray[tuple[int], np.dtype[np.void]]] = []
        self._sinks = [self._path("ends", n).open("wb") for n in self._buckets() if depth]

    def add(self, keys: Keys, others: Keys) -> None:
        """Take links between ``keys`` and ``others``."""
        first = self._link_count
        self._link_count += len(keys)
        for side, ends in enumerate((keys, others)):
            if not self.depth:
                self._held.append(_ends(ends, first, side))
                continue
            self._spilling.append(self._pool.submit(self._spill, ends, first, side))
            if len(self._spilling) > self._threads:
                self._spilling.popleft().result()

    def numbered(self) -> NumberedEnds:
        """Number all ends that were taken; nothing may be added any more."""
        shape, type = (self._link_count, 2), number_type(2 * self._link_count)
        links: Numbers
        if self.depth:
            for spilling in self._spilling:
                spilling.result()
            for sink in self._sinks:
                sink.close()
            links = np.memmap(self._path("links", 0), type, "w+", shape=(max(1, shape[0]), 2))
        else:
            links = np.empty(shape, type)
        first = [0]
        keys: list[Keys] = []
        ahead = self._threads - 1
        for known, ends, number in in_order(self._pool, self._sorted, self._buckets(), ahead):
            links.reshape(-1)[ends] = number + first[-1]
            keys.append(self._kept(len(keys), known))
            first.append(first[-1] + len(known))
        return NumberedEnds(links[: self._link_count], first, keys)

    def _spill(self, ends: Keys, first: int, side: int) -> None:
        rows = _ends(ends, first, side)
        bucket = prefixes(rows["hi"], self.depth).astype(np.uint16)
        order = np.argsort(bucket, kind="stable")
        bounds = np.searchsorted(bucket[order], np.arange(len(self._sinks) + 1))
        divided = rows[order]
        with self._lock:
            for sink, start, stop in zip(self._sinks, bounds[:-1], bounds[1:], strict=True):
                divided[start:stop].tofile(sink)

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


def _ends(keys: Keys, first: int, side: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """Give the ends on one side of links, which are numbered from ``first``."""
    rows = np.empty(len(keys), _END)
    rows["hi"], rows["lo"] = keys.hi, keys.lo
    rows["end"] = (np.arange(len(keys)) + first) * 2 + side
    return rows


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
