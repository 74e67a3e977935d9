"""Reads Parquet files into rows: columns are matched to the schema by name, at every depth."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import types as pt

from catalog.schemas import Field, Kind
from service.engine.arrow_types import element_of, has_column
from service.engine.fitting import below, fit
from service.engine.known_maps import spelt_out
from service.engine.nesting import Misfit, is_listing
from service.engine.rows import EMPTY_FILE, UNREADABLE_ROW, FileRefused, Rows, Step

#: Bytes, before compression, that are decoded at a time.
BLOCK_BYTES = 8 << 20
#: Bytes of each column that are read at a time.
PAGE_BYTES = 1 << 20
#: Of a file no larger than this, columns are read at once, as far as the file has them.
SMALL_FILE_BYTES = 32 << 20
#: No row may take more: as for JSON.
ROW_BYTES = 32 << 20
#: Rows at a time, whatever their size.
MOST_ROWS = 1 << 16
#: Rows that are decoded first, to see what a row takes.
LOOKED_AT_ROWS = 64
#: Rows that take this many blocks are decoded by fewer at a time from then on.
OUTGROWN = 8
#: The documented most of fields in a row.
MOST_COLUMNS = 10_000
#: Of any text or list in a footer: far more than that many columns in thousands of row groups
#: need, and few enough to be read in a second or two.
MOST_FOOTER_BYTES, MOST_FOOTER_ITEMS = 16 << 20, 100_000
#: Files pack well, but not a thousandfold: what unpacks to more, and to more than this much, was
#: made to fill memory or disk.
MOST_TIMES, UNPACKED_BYTES = 1_000, 256 << 20


class _Unpacked:
    """Counts what a file becomes, in every thread; refuses one that was made to fill a disk."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._unpacked_bytes = 0
        self._lock = threading.Lock()
        #: It was refused: nothing more of it need be read.
        self.is_over = False

    def add(self, more_bytes: int) -> None:
        most = max(UNPACKED_BYTES, MOST_TIMES * self._size_bytes)
        with self._lock:
            self._unpacked_bytes += more_bytes
            is_new = self._unpacked_bytes > most and not self.is_over
            self.is_over |= is_new
        if is_new:
            raise FileRefused(
                f"the file's {self._size_bytes:,} bytes unpack to more than {MOST_TIMES:,} times"
                " as many"
            )


class ParquetReader:
    """Turns Parquet files of one schema into rows, some of a row group at a time."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._fields = tuple(field for field in fields if has_column(field))

    def work(self, source: io.RawIOBase) -> Iterator[Step]:
        """Yield the file's rows in order. Raises :class:`FileRefused` where that ends early."""
        size_bytes = source.seek(0, io.SEEK_END)
        if not size_bytes:
            raise FileRefused("the file is empty", code=EMPTY_FILE)
        with refusing():
            file = opened(source)
            ignored = frozenset(_unknown(file.schema_arrow, self._fields, ""))
            known = [field.name for field in self._fields if field.name in file.schema_arrow.names]
            first, unpacked = 1, _Unpacked(size_bytes)
            for batch in _batches(file, known, self._each_bytes):
                yield Step(
                    partial(self._rows, batch, first, ignored, unpacked),
                    min(size_bytes, size_bytes * first // max(1, file.metadata.num_rows)),
                )
                first += batch.num_rows
                if unpacked.is_over:
                    return
            if first - 1 != file.metadata.num_rows:
                said = f"{file.metadata.num_rows:,} rows by what it says of itself"
                raise FileRefused(f"the file has {said}, and {first - 1:,} can be read")

    def _each_bytes(self, batch: pa.RecordBatch) -> int:
        """Tell about how much one of these rows takes, as it is and as it will be."""
        fitted = self._fitted(batch, 1, frozenset()).table
        return max(1, max(int(batch.nbytes), int(fitted.nbytes)) // max(1, int(batch.num_rows)))

    def _rows(
        self, batch: pa.RecordBatch, first: int, ignored: frozenset[str], unpacked: _Unpacked
    ) -> Rows:
        with refusing():
            rows = self._fitted(batch, first, ignored)
        unpacked.add(rows.table.nbytes)
        return rows

    def _fitted(self, batch: pa.RecordBatch, first: int, ignored: frozenset[str]) -> Rows:
        misfits: list[Misfit] = []
        given = dict(zip(batch.schema.names, batch.columns, strict=True))
        missing = pa.nulls(batch.num_rows)
        columns = [
            fit(given.get(field.name, missing), field, field.name, misfits)
            for field in self._fields
        ]
        rows = Rows(
            table=pa.table(columns, names=[field.name for field in self._fields]),
            numbers=np.arange(batch.num_rows) + first,
            ignored=ignored,
            original=partial(_original, batch, first),
        )
        return rows.without(misfits, UNREADABLE_ROW)


@contextmanager
def refusing() -> Iterator[None]:
    """Refuse a file as such when what it holds cannot be read."""
    try:
        yield
    except FileNotFoundError:
        raise  # the upload is gone, which says nothing about what was in it
    except MemoryError:
        raise  # Arrow's own is one of its errors too
    except (pa.ArrowException, OSError, ValueError) as problem:
        said = str(problem).partition("\n")[0]
        raise FileRefused(f"not readable as Parquet: {said}") from None


def opened(source: io.RawIOBase) -> pq.ParquetFile:
    """Open a file that anybody may have made. Arrow refuses schemas of more than 100 levels."""
    # A row group may be as large as the file: then pages are read as they are needed. But Arrow
    # makes room for as much as a page says it has, and writes zeros where the file has less: a few
    # hundred bytes would take seconds and gigabytes. What is read at once cannot lie about that.
    is_small = source.seek(0, io.SEEK_END) <= SMALL_FILE_BYTES
    file = pq.ParquetFile(
        source,
        buffer_size=0 if is_small else PAGE_BYTES,
        pre_buffer=False,
        page_checksum_verification=True,
        thrift_string_size_limit=MOST_FOOTER_BYTES,
        thrift_container_size_limit=MOST_FOOTER_ITEMS,
    )
    if file.metadata.num_columns > MOST_COLUMNS:
        count = file.metadata.num_columns
        raise FileRefused(f"the file has {count:,} columns: {MOST_COLUMNS:,} is the most")
    if any(group.num_rows < 0 for group in _groups(file.metadata)):
        raise FileRefused("a row group has fewer than no rows, by what the file says of itself")
    return file


def value(cell: Any) -> object:
    """Give a value as Python has it, or None for one that it cannot hold."""
    try:
        return cast("object", cell.as_py())
    except (ValueError, OverflowError, pa.ArrowException):
        return None  # such as text that is not UTF-8, or a year that Python does not count


def _original(batch: pa.RecordBatch, first: int, number: int) -> dict[str, object]:
    """Give a row's values by column; those that Python cannot hold are left out."""
    return {
        name: found
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if (found := value(column[number - first])) is not None
    }


def _batches(
    file: pq.ParquetFile, columns: list[str], each_bytes: Callable[[pa.RecordBatch], int]
) -> Iterator[pa.RecordBatch]:
    """Yield the rows, so many at a time that they take about as much as a block.

    What rows take is only known once they are decoded, since a dictionary may hold anything:
    the first few are looked at, and where later ones outgrow a block their group is read anew
    by fewer at a time.
    """
    count = _rows_of(file.metadata)
    for batch in file.iter_batches(batch_size=LOOKED_AT_ROWS, columns=columns):
        count = max(1, min(count, BLOCK_BYTES // each_bytes(batch)))
        break
    group = done = 0
    while group < file.num_row_groups:
        groups = range(group, file.num_row_groups)
        group = file.num_row_groups
        skipped = 0
        for batch in file.iter_batches(batch_size=count, row_groups=groups, columns=columns):
            fresh = batch.slice(max(0, done - skipped))
            skipped += batch.num_rows
            if fresh.num_rows:
                done += fresh.num_rows
                yield fresh
            if batch.nbytes > OUTGROWN * BLOCK_BYTES and batch.num_rows > 1:
                count = max(1, int(batch.num_rows) // OUTGROWN)
                group = 0
                break


def _groups(metadata: pq.FileMetaData) -> Iterator[pq.RowGroupMetaData]:
    return (metadata.row_group(number) for number in range(metadata.num_row_groups))


def _rows_of(metadata: pq.FileMetaData) -> int:
    """Choose how many rows to decode at a time, by the size that the file says they have."""
    size_bytes = int(sum(group.total_byte_size for group in _groups(metadata)))
    if size_bytes > ROW_BYTES * max(1, metadata.num_rows):
        limit = ROW_BYTES >> 20
        raise FileRefused(f"rows take more than {limit} MiB each, by what the file says of itself")
    fitting = BLOCK_BYTES * int(metadata.num_rows) // max(size_bytes, 1)
    return max(1, min(MOST_ROWS, fitting))


def _unknown(children: Any, fields: tuple[Field, ...], path: str) -> Iterator[str]:
    """Yield the paths of columns that the schema does not have."""
    known = {field.name: field for field in fields if has_column(field)}
    for child in children:
        deeper = below(path, child.name)
        if child.name in known:
            yield from _unknown_below(child.type, known[child.name], deeper)
        else:
            yield deeper


def _unknown_below(type: Any, field: Field, path: str) -> Iterator[str]:
    field = spelt_out(field)
    if field.kind is Kind.OBJECT and pt.is_struct(type):
        yield from _unknown(type, field.fields, path)
    elif field.kind is Kind.ARRAY and is_listing(type):
        yield from _unknown_below(type.value_type, element_of(field), path)
    elif field.kind is Kind.MAP and pt.is_map(type):
        yield from _unknown_below(type.item_type, element_of(field), path)
    elif field.kind is Kind.MAP and pt.is_struct(type):
        for child in type:
            yield from _unknown_below(child.type, element_of(field), path)
