"""Rows that a plan brings home, and what runs hold of them beside the columns of store files."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.engine.labels import PROFILE_HI, PROFILE_LO

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
