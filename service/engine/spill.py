"""Sorts more rows than memory holds: runs on disk, divided by key, sorted band by band.

A run is an Arrow file whose batches are the non-empty bands of the key, so that of each run only
what belongs together is read. Rows are sorted once, when their band is: dividing them is a
tenth of the work of sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.engine.nesting import taken
from service.engine.store_files import KEY_HI, prefixes

#: 256 bands: of a run of 32 MiB each is 128 KiB, still a batch worth its header; and of 100 runs
#: one band is 12 MiB.
BAND_DEPTH = 8

Sorting: TypeAlias = "Callable[[pa.Table], pa.Table]"
#: Brings rows that were added at different times into one form.
Settling: TypeAlias = "Callable[[pa.Table], pa.Table]"


class SortedRows:
    """Takes rows in any order and gives them back sorted. Not to be shared between threads."""

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        sorting: Sorting,
        run_bytes: int,
        settling: Settling,
    ) -> None:
        """Take rows of a schema; those added may differ from it in what ``settling`` evens out."""
        self._folder = folder
        self._settling = settling
        self._schema = schema
        self._sorting = sorting
        self._run_bytes = run_bytes
        self._held: list[pa.Table] = []
        self._held_bytes = 0
        self._runs: list[_Run] = []
        #: Of what was added, before any is dropped.
        self.size_bytes = 0

    def add(self, rows: pa.Table) -> None:
        """Take rows; those added earlier come first where sorting leaves them equal."""
        self._held.append(rows)
        self._held_bytes += rows.nbytes
        self.size_bytes += rows.nbytes
        if self._held_bytes > self._run_bytes:
            path = self._folder / f"{len(self._runs)}.arrow"
            self._runs.append(_Run(path, _by_band(self._taken_over())))

    def slices(self, depth: int) -> Iterator[pa.Table]:
        """Yield all rows, sorted; no prefix of this depth is divided between two slices."""
        last = self._taken_over()
        if not self._runs:
            yield self._sorting(last)
            return
        last = _by_band(last)
        bands = 1 << (BAND_DEPTH - min(depth, BAND_DEPTH))
        numbers = _bands(last)
        for first in range(0, 1 << BAND_DEPTH, bands):
            start, stop = np.searchsorted(numbers, [first, first + bands])
            parts = [self._settling(run.bands(first, first + bands)) for run in self._runs]
            yield self._sorting(pa.concat_tables([*parts, last.slice(start, stop - start)]))

    def _taken_over(self) -> pa.Table:
        held, self._held, self._held_bytes = self._held, [], 0
        settled = [self._settling(rows) for rows in held]
        return pa.concat_tables(settled) if settled else self._settling(self._schema.empty_table())


class _Run:
    """One file of rows in the order of their bands, readable band by band."""

    def __init__(self, path: Path, rows: pa.Table) -> None:
        self._path = path
        self._schema = rows.schema
        numbers = _bands(rows)
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


def _bands(rows: pa.Table) -> npt.NDArray[np.int64]:
    return prefixes(rows.column(KEY_HI).to_numpy(), BAND_DEPTH).astype(np.int64)


def _by_band(rows: pa.Table) -> pa.Table:
    """Bring rows into the order of their bands, keeping their own within each."""
    # Eight bits are sorted by counting.
    return taken(rows, np.argsort(_bands(rows).astype(np.uint8), kind="stable"))
