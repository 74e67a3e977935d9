"""Rows that a plan brings home, and what runs hold of them beside the columns of store files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.engine.labels import PROFILE_HI, PROFILE_LO
from service.engine.store_files import StoreFileWriter

#: Column of runs: the number of the source that a row came from, in the snapshot.
ORIGIN = "_origin"

#: What runs have beside the columns of the files that their rows came from.
ADDED = {PROFILE_HI: pa.uint64(), PROFILE_LO: pa.uint64(), ORIGIN: pa.int32()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Rows that lay together, by the prefix where their profile is at home."""

    rows: pa.RecordBatch
    #: Ascending.
    home: npt.NDArray[np.uint16]

    def under(self, prefix: int) -> pa.Table:
        start, stop = np.searchsorted(self.home, [prefix, prefix + 1]).tolist()
        return pa.Table.from_batches([self.rows.slice(start, stop - start)])


def write_run(sink: pa.NativeFile, waiting: Sequence[Moved], depth: int) -> None:
    """Write a run: rows with their profiles, cut at the prefixes of these, else in their order."""
    held = np.unique(np.concatenate([each.home for each in waiting]))
    starts = [np.searchsorted(each.home, held, "left").tolist() for each in waiting]
    stops = [np.searchsorted(each.home, held, "right").tolist() for each in waiting]
    schema = waiting[0].rows.schema
    with StoreFileWriter(sink, schema, depth=depth, secret=None, cut_at=PROFILE_HI) as writer:
        for at, prefix in enumerate(held.tolist()):
            pieces = [
                each.rows.slice(start[at], stop[at] - start[at])
                for each, start, stop in zip(waiting, starts, stops, strict=True)
                if stop[at] > start[at]
            ]
            writer.write(prefix, pa.Table.from_batches(pieces))
