"""Cuts the key space: how fine the slices of an export are, and which of them make one part."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from catalog.store_files import StoreFileKind
from service.engine.snapshot import READ, Snapshot
from service.engine.store_files import StoreFile
from service.storage.files import Files

#: Finer prefixes than 65,536 would cost more to visit than their slices save.
MAX_DEPTH = 16
#: With less than this for each thread, more parts than one would only make small files.
THREAD_BYTES = 16 << 20
#: Bytes that are read for each that is written: parts hold only winners, compressed. Of the
#: workload of ``benchmarks`` it is five; of texts that never repeat it is less, and parts are
#: larger than asked for.
READ_PER_WRITTEN = 4

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What lies under each prefix of one depth, as footers tell. Estimates, but always the same."""

    depth: int
    #: Of all columns that are needed.
    size_bytes: Floats
    #: Rows of the record data set that has most.
    row_count: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    dataset: int
    kind: StoreFileKind
    depth: int
    prefix: int
    row_count: int
    size_bytes: int


def load_of(snapshot: Snapshot, files: Files) -> Load:
    """Measure the files of a snapshot at the depth at which slices have the ordered size."""
    groups = list(_groups(snapshot, files))
    total = sum(group.size_bytes for group in groups)
    slice_count = max(-(-total // snapshot.order.slice_size_bytes), _least_tasks(snapshot, total))
    depth = min(MAX_DEPTH, (slice_count - 1).bit_length())
    by_dataset: dict[int, Floats] = {}
    size_bytes = np.zeros(1 << depth)
    for group in groups:
        first, stop = _span(group, depth)
        size_bytes[first:stop] += group.size_bytes / (stop - first)
        if group.kind is StoreFileKind.RECORDS:
            rows = by_dataset.setdefault(group.dataset, np.zeros(1 << depth))
            rows[first:stop] += group.row_count / (stop - first)
    most = max(by_dataset.values(), key=lambda rows: float(rows.sum()), default=size_bytes * 0)
    return Load(depth=depth, size_bytes=size_bytes, row_count=most)


def tasks(load: Load, snapshot: Snapshot) -> list[tuple[int, int]]:
    """Cut the prefixes into runs, first and stop, that make a part of the ordered size each."""
    order = snapshot.order
    shares = np.maximum(
        load.row_count / order.part_row_count,
        load.size_bytes / (READ_PER_WRITTEN * order.part_size_bytes),
    )
    total = float(shares.sum())
    count = max(int(np.ceil(total)), _least_tasks(snapshot, int(load.size_bytes.sum())))
    count = min(count, len(shares))
    if total == 0:
        shares, total = np.ones(len(shares)), float(len(shares))
    # The middle of each prefix decides which part it falls into.
    position = (np.cumsum(shares) - shares / 2) / total * count
    part = np.minimum(position.astype(np.int64), count - 1)
    starts = np.flatnonzero(np.diff(part, prepend=-1)).tolist()
    return list(zip(starts, [*starts[1:], len(shares)], strict=True))


def _least_tasks(snapshot: Snapshot, size_bytes: int) -> int:
    """Two parts for each thread, so that none waits long for the last; fewer of little data."""
    return max(1, min(2 * snapshot.order.threads, size_bytes // THREAD_BYTES))


def _span(group: _Group, depth: int) -> tuple[int, int]:
    """Give the prefixes at a depth that a row group's keys may have."""
    finer = depth - group.depth
    if finer >= 0:
        return group.prefix << finer, group.prefix + 1 << finer
    return group.prefix >> -finer, (group.prefix >> -finer) + 1


def _groups(snapshot: Snapshot, files: Files) -> Iterator[_Group]:
    for kind in READ:
        columns = snapshot.columns(kind)
        for number in snapshot.numbers(kind):
            file = StoreFile(files.open(snapshot.files[number].key))
            for group in file.groups(columns):
                yield _Group(
                    dataset=snapshot.dataset_of(number),
                    kind=kind,
                    depth=file.layout.depth,
                    prefix=group.prefix,
                    row_count=group.row_count,
                    size_bytes=group.size_bytes,
                )
