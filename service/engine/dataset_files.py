"""Writes the files of a data set: rows as they arrived, for people and programs to read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types as pt

from service.engine.nesting import opened, opened_map, whole
from service.engine.orders import NewFile
from service.storage.files import Files, Writing

#: Readers skip and parallelise by row groups: this many rows suit DuckDB, Spark and Polars.
GROUP_ROWS = 1 << 17
#: Rows of many kilobytes make smaller groups, so that neither side holds gigabytes.
GROUP_BYTES = 64 << 20
#: A file is closed at the first row group that reaches either.
FILE_ROWS = 1 << 20
FILE_BYTES = 256 << 20


#: Rows at the start of a file that are looked at to see which texts repeat.
SAMPLE_ROWS = 1 << 12


class DatasetFiles:
    """Writes rows into as many files as they need; at least one, for its schema."""

    def __init__(self, files: Files, folder: str, schema: pa.Schema) -> None:
        self._files = files
        self._folder = folder
        self._schema = schema
        self._held: list[pa.Table] = []
        self._held_rows = 0
        self._held_bytes = 0
        self._written: list[NewFile] = []
        self._open: _OpenFile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        type_: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give up the file that is open, if :meth:`close` was not reached."""
        if self._open is not None:
            self._open.abandon()

    def add(self, rows: pa.Table) -> None:
        self._held.append(rows)
        self._held_rows += rows.num_rows
        self._held_bytes += rows.nbytes
        while self._held_rows >= GROUP_ROWS:
            self._write(GROUP_ROWS)
        if self._held_bytes >= GROUP_BYTES:
            self._write(self._held_rows)

    def close(self) -> tuple[NewFile, ...]:
        """Write what is held and close; gives all files, in the order of their rows."""
        if self._held_rows or not (self._written or self._open):
            self._write(self._held_rows)
        self._close_file()
        return tuple(self._written)

    def _write(self, count: int) -> None:
        rows = pa.concat_tables([self._schema.empty_table(), *self._held])
        rest = rows.slice(count)
        self._held, self._held_rows, self._held_bytes = [rest], rest.num_rows, rest.nbytes
        if self._open is None:
            number = len(self._written) + 1
            key = f"{self._folder}/dataset-{number:05}.parquet"
            self._open = _OpenFile(self._files, key, rows)
        self._open.write(rows.slice(0, count))
        if self._open.row_count >= FILE_ROWS or self._open.writing.size_bytes >= FILE_BYTES:
            self._close_file()

    def _close_file(self) -> None:
        if self._open is not None:
            self._written.append(self._open.close())
            self._open = None


class _OpenFile:
    def __init__(self, files: Files, key: str, rows: pa.Table) -> None:
        self._stack = ExitStack()
        self.writing: Writing = self._stack.enter_context(files.create(key))
        self.row_count = 0
        self._writer = pq.ParquetWriter(
            pa.PythonFile(self.writing, mode="w"),
            rows.schema,
            compression="zstd",
            use_dictionary=_repetitive(rows.slice(0, SAMPLE_ROWS)),
            write_page_index=True,
        )

    def write(self, rows: pa.Table) -> None:
        # Pages must not depend on how rows happened to arrive.
        self._writer.write_table(rows.combine_chunks(), row_group_size=max(1, rows.num_rows))
        self.row_count += rows.num_rows

    def close(self) -> NewFile:
        with self._stack:
            self._writer.close()
        written = self.writing.written()
        return NewFile(
            key=written.key,
            size_bytes=written.size_bytes,
            row_count=self.row_count,
            sha256=written.sha256,
        )

    def abandon(self) -> None:
        """Leave nothing under the key."""
        with suppress(pa.ArrowException, OSError):
            self._writer.close()  # else its destructor would write to a closed file
        self._stack.__exit__(_Abandoned, _Abandoned(), None)


class _Abandoned(Exception):
    pass


def _repetitive(rows: pa.Table) -> list[str]:
    """Name the columns of texts that repeat, by their path in Parquet: dictionaries pay there."""
    return [
        path
        for name, column in zip(rows.schema.names, rows.columns, strict=True)
        for path in _repetitive_below(whole(column), name)
    ]


def _repetitive_below(column: Any, path: str) -> Iterator[str]:
    type = column.type
    if pt.is_struct(type):
        for field, inner in zip(type, column.flatten(), strict=True):
            yield from _repetitive_below(inner, f"{path}.{field.name}")
    elif pt.is_list(type):
        yield from _repetitive_below(opened(column).children, f"{path}.list.element")
    elif pt.is_map(type):
        keys, items = opened_map(column).children.flatten()
        yield from _repetitive_below(keys, f"{path}.key_value.key")
        yield from _repetitive_below(items, f"{path}.key_value.value")
    elif pt.is_string(type) and 2 * pc.count_distinct(column).as_py() <= len(column):
        yield path
