"""Reads Parquet files into rows: columns are matched to the schema by name, at every depth."""

from __future__ import annotations

import io
from collections.abc import Iterator
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
from service.engine.rows import EMPTY_FILE, UNREADABLE_ROW, FileRefused, Rows, Step, Work

#: Bytes, before compression, that are decoded at a time.
BLOCK_BYTES = 8 << 20
#: Bytes of each column that are read at a time.
PAGE_BYTES = 1 << 20
#: Rows at a time, whatever their size.
MOST_ROWS = 1 << 16


class ParquetReader:
    """Turns Parquet files of one schema into rows, some of a row group at a time."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._fields = tuple(field for field in fields if has_column(field))

    def work(self, source: io.RawIOBase) -> Iterator[Step]:
        """Yield the file's rows in order. Raises :class:`FileRefused` where that ends early."""
        size_bytes = source.seek(0, io.SEEK_END)
        if not size_bytes:
            raise FileRefused("the file is empty", code=EMPTY_FILE)
        try:
            # A row group may be as large as the file: pages are read as they are needed.
            file = pq.ParquetFile(
                source, buffer_size=PAGE_BYTES, pre_buffer=False, page_checksum_verification=True
            )
            ignored = frozenset(_unknown(file.schema_arrow, self._fields, ""))
            known = [field.name for field in self._fields if field.name in file.schema_arrow.names]
            for work, read in self._batches(file, known, ignored, _rows_of(file.metadata)):
                yield Step(work, size_bytes * read // file.metadata.num_rows)
        except FileNotFoundError:
            raise  # the upload is gone, which says nothing about what was in it
        except (pa.ArrowException, OSError, ValueError) as problem:
            said = str(problem).partition("\n")[0]
            raise FileRefused(f"not readable as Parquet: {said}") from None

    def _batches(
        self, file: pq.ParquetFile, known: list[str], ignored: frozenset[str], rows: int
    ) -> Iterator[tuple[Work, int]]:
        """Yield the rows, and how many have been read."""
        first = 1
        for batch in file.iter_batches(batch_size=rows, columns=known):
            if batch.num_rows:
                work = partial(self._rows, batch, first, ignored)
                first += batch.num_rows
                yield work, first - 1

    def _rows(self, batch: pa.RecordBatch, first: int, ignored: frozenset[str]) -> Rows:
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


def _original(batch: pa.RecordBatch, first: int, number: int) -> dict[str, object]:
    """Give a row's values by column; those that Python cannot hold are left out."""
    return {
        name: value
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
        if (value := _value(column[number - first])) is not None
    }


def _value(cell: Any) -> object:
    try:
        return cast("object", cell.as_py())
    except (ValueError, OverflowError, pa.ArrowException):
        return None  # such as text that is not UTF-8, or a year that Python does not count


def _rows_of(metadata: pq.FileMetaData) -> int:
    """Choose how many rows to decode at a time, by their size."""
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    size_bytes = sum(group.total_byte_size for group in groups)
    fitting = BLOCK_BYTES * metadata.num_rows // max(size_bytes, 1)
    return max(1, min(MOST_ROWS, int(fitting)))


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
