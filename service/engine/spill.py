"""Sorts more rows than memory holds: sorted runs on disk, merged band by band of the key space.

A run is an Arrow file whose batches are the non-empty bands of the key, so that merging reads
of each run only what belongs together. What sorting means, and which rows it drops, is the
caller's: it must not matter whether rows are sorted at once or in runs and then again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import pyarrow as pa

from service.engine.store_files import KEY_HI, Uint64s, prefixes

#: 256 bands: of a run of 32 MiB each is 128 KiB, still a batch worth its header; and of 100 runs
#: one band is 12 MiB.
BAND_DEPTH = 8

Sorting: TypeAlias = "Callable[[pa.Table], pa.Table]"


class SortedRows:
    """Takes rows in any order and gives them back sorted. Not to be shared between threads."""

    def __init__(self, folder: Path, schema: pa.Schema, sorting: Sorting, run_bytes: int) -> None:
        self._folder = folder
        self._schema = schema
        self._sorting = sorting
        self._run_bytes = run_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._runs: list[_Run] = []
        #: Of what was added, before any is dropped.
        self.size_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows; those added earlier stay first where sorting leaves them equal."""
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        self.size_bytes += rows.nbytes
        if self._held_bytes > self._run_bytes:
            self._runs.append(_Run(self._folder / f"{len(self._runs)}.arrow", self._sorted_held()))

    def slices(self, depth: int) -> Iterator[pa.Table]:
        """Yield all rows, sorted; no prefix of this depth is divided between two slices."""
        if not self._runs:
            yield self._sorted_held()
            return
        last = self._sorted_held()
        depth = min(depth, BAND_DEPTH)
        bands = 1 << (BAND_DEPTH - depth)
        numbers = prefixes(_keys(last), BAND_DEPTH)
        for first in range(0, 1 << BAND_DEPTH, bands):
            start, stop = np.searchsorted(numbers, np.array([first, first + bands], np.uint64))
            parts = [run.bands(first, first + bands) for run in self._runs]
            yield self._sorting(pa.concat_tables([*parts, last.slice(start, stop - start)]))

    def _sorted_held(self) -> pa.Table:
        held, self._held, self._held_bytes = self._held, [], 0
        return self._sorting(pa.concat_tables([self._schema.empty_table(), *held]))


class _Run:
    """One sorted file, readable band by band."""

    def __init__(self, path: Path, rows: pa.Table) -> None:
        self._path = path
        self._schema = rows.schema
        numbers = prefixes(_keys(rows), BAND_DEPTH).astype(np.int64)
        #: Of each batch, in order.
        self._bands, starts = np.unique(numbers, return_index=True)
        stops = [*starts[1:].tolist(), len(numbers)]
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
            for start, stop in zip(starts.tolist(), stops, strict=True):
                writer.write_table(rows.slice(start, stop - start), max_chunksize=None)
        self._file: pa.ipc.RecordBatchFileReader | None = None

    def bands(self, first: int, stop: int) -> pa.Table:
        """Read the rows of the bands from ``first`` until before ``stop``."""
        if self._file is None:
            self._file = pa.ipc.open_file(pa.OSFile(str(self._path)))
        start, end = np.searchsorted(self._bands, [first, stop])
        batches = [self._file.get_batch(number) for number in range(start, end)]
        return pa.Table.from_batches(batches, self._schema)


def _keys(rows: pa.Table) -> Uint64s:
    return cast("Uint64s", rows.column(KEY_HI).to_numpy())
