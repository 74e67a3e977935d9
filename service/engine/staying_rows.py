"""Which rows of store files are read where they lie: those whose identity stands for its profile.

To know which rows to bring home, a plan looks up the identity of every row. It notes a bit for
each, so that who merges need not look them up again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from service.engine.ranking import Bools
from service.storage.files import Files

_SCHEMA = pa.schema(
    [("file", pa.int32()), ("group", pa.int32()), ("rows", pa.int64()), ("stays", pa.binary())]
)


class Staying(NamedTuple):
    """What stays of one group of a file; sorts by where that lies."""

    #: Of the file, in the snapshot.
    file: int
    #: In the file.
    group: int
    row_count: int
    #: A bit for each row.
    stays: bytes


def staying(file: int, group: int, stays: Bools) -> Staying:
    return Staying(file, group, len(stays), np.packbits(stays).tobytes())


def write_staying(groups: Sequence[Staying], key: str, files: Files) -> None:
    """Write a list that nobody needs after a loss of power."""
    told = zip(*groups, strict=True)
    columns = [pa.array(column, field.type) for column, field in zip(told, _SCHEMA, strict=True)]
    with files.create_passing(key) as sink, pa.ipc.new_file(sink, _SCHEMA) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SCHEMA))


class StayingRows:
    """What the lists of a plan say; may be read in several threads."""

    def __init__(self, keys: Iterable[str], files: Files) -> None:
        """Read lists. They are kept, a bit for each row."""
        groups: list[Staying] = []
        for key in keys:
            rows = pa.ipc.open_file(files.open(key)).read_all()
            groups += map(Staying, *(column.to_pylist() for column in rows.columns))
        by_file: dict[int, list[Bools]] = {}
        for each in sorted(groups):
            by_file.setdefault(each.file, []).append(_unpacked(each.stays, each.row_count))
        #: Of each file that the lists tell of: a bit for each row, in its order.
        self._bits = {file: np.packbits(np.concatenate(all)) for file, all in by_file.items()}

    def of(self, file: int, first: int, count: int) -> Bools | None:
        """Mark which of some rows of a file stay, from its row ``first`` on; None if not told."""
        bits = self._bits.get(file)
        if bits is None:
            return None
        before = first % 8
        marks = np.unpackbits(bits[first // 8 : (first + count + 7) // 8])
        return marks[before : before + count].view(np.bool_)


def _unpacked(bits: bytes, count: int) -> Bools:
    marks: npt.NDArray[np.uint8] = np.unpackbits(np.frombuffer(bits, np.uint8), count=count)
    return marks.view(np.bool_)
