"""Rows of a file as plain Python values, for people to look at and for schemas to be guessed from.

Nothing here is fast and nothing here is part of taking data in: what a row means is decided by
:mod:`~service.engine.promotion` alone. Files are read front to back and never held whole.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from catalog.batches import FileFormat
from catalog.errors import Invalid

Row = dict[str, Any]

#: Characters read at a time: one read is far more than one row.
_CHUNK = 1 << 20
#: What may stand between two rows of a JSON file: a list's own punctuation, or nothing.
_BETWEEN = re.compile(r"[\s,\[\]]*")
#: Characters in one row: far more than any platform takes, and an end to looking for its end.
_LONGEST_ROW = 64 << 20
#: Rows turned into Python values at a time.
_ROWS = 1_000
#: The same for previews, whose rows may be large: some can be read without the others.
_PREVIEWED_ROWS = 10


def rows(path: Path, format: FileFormat) -> Iterator[Row]:
    """Yield every row of a local file, in its order. Refuses what cannot be read as rows.

    JSON may be lines, a list or one object. Values of CSV are text or, when empty, None; a
    dotted heading is a nested field.
    """
    match format:
        case FileFormat.JSON:
            with path.open(encoding="utf-8-sig") as file:
                yield from _json_rows(file, path.name)
        case FileFormat.CSV:
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file, restkey="", restval=""):
                    yield nested({name.strip(): cell for name, cell in row.items() if name.strip()})
        case FileFormat.PARQUET:
            yield from parquet_rows(path)


def parquet_rows(path: Path, columns: list[str] | None = None) -> Iterator[Row]:
    """Yield the rows of a Parquet file, or only these top-level columns of them."""
    with _opened(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
            yield from batch.to_pylist(maps_as_pydicts="strict")


def first_rows(path: Path, count: int, columns: list[str] | None = None) -> list[Row]:
    """Give the first rows of a Parquet file, or only these top-level columns of them."""
    return list(itertools.islice(parquet_rows(path, columns), count))


def preview(file: pa.NativeFile, count: int, size_bytes: int) -> tuple[list[Row], int]:
    """Give the first rows of a stored Parquet file, nulls left out, and the bytes they took.

    No more than ``count``, and no more once they take ``size_bytes`` as Arrow: rows may hold
    thousands of events.
    """
    found: list[Row] = []
    read_bytes = 0
    with pq.ParquetFile(file) as source:
        for batch in source.iter_batches(batch_size=min(_PREVIEWED_ROWS, count)):
            rows = batch.to_pylist(maps_as_pydicts="strict")
            found += [_without_nulls(row) for row in rows]
            read_bytes += batch.nbytes
            if len(found) >= count or read_bytes >= size_bytes:
                break
    return found[:count], read_bytes


def filled_columns(file: pa.NativeFile) -> set[tuple[str, ...]]:
    """The columns of a stored Parquet file that hold a value, by its footer alone.

    Each is a path as Parquet writes it, in which lists and maps have steps of their own.
    """
    found: set[tuple[str, ...]] = set()
    with pq.ParquetFile(file) as source:
        for group in range(source.metadata.num_row_groups):
            row_group = source.metadata.row_group(group)
            for index in range(row_group.num_columns):
                column = row_group.column(index)
                counted = column.statistics
                if counted is None or not counted.has_null_count or counted.num_values:
                    found.add(tuple(column.path_in_schema.split(".")))
    return found


def row_at(path: Path, number: int, columns: list[str] | None = None) -> Row:
    """Give one row of a Parquet file by its number, from 0, or only these columns of it."""
    with _opened(path) as file:
        before = 0
        for group in range(file.num_row_groups):
            count = file.metadata.row_group(group).num_rows
            if number < before + count:
                table = file.read_row_group(group, columns).slice(number - before, 1)
                (row,) = table.to_pylist(maps_as_pydicts="strict")
                return Row(row)
            before += count
    raise IndexError(number)


def row_count(path: Path) -> int:
    """Count the rows of a Parquet file by its footer alone."""
    return int(pq.read_metadata(path).num_rows)


def column_names(path: Path) -> list[str]:
    """Give the names of a Parquet file's top-level columns."""
    return [str(name) for name in parquet_schema(path).names]


def parquet_schema(path: Path) -> pa.Schema:
    """Give the Arrow schema of a Parquet file."""
    with _opened(path) as file:
        return file.schema_arrow


def nested(row: Row) -> Row:
    """Put the values of dotted names where the names say: ``{"a.b": 1}`` is ``{"a": {"b": 1}}``."""
    result: Row = {}
    for name, value in row.items():
        *above, last = name.split(".")
        inner = result
        for part in above:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Invalid(
                    f"column {name} lies beneath column {part}, which holds values itself"
                )
        inner[last] = value if value != "" else None
    return result


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _opened(path: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(path)
    except pa.ArrowInvalid as problem:
        raise Invalid(f"{path.name} is not a Parquet file: {problem}") from None


def _json_rows(file: TextIO, name: str) -> Iterator[Row]:
    decode = json.JSONDecoder().raw_decode
    text, at, number = file.read(_CHUNK), 0, 0
    while True:
        at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
        try:
            row, end = decode(text, at)
        except json.JSONDecodeError as problem:
            more = file.read(_CHUNK)
            if not more and at >= len(text):
                return
            if not more or len(text) - at > _LONGEST_ROW:
                raise Invalid(f"{name}: row {number + 1} is not JSON: {problem.msg}") from None
            text, at = text[at:] + more, 0
            continue
        number += 1
        if not isinstance(row, dict):
            raise Invalid(f"{name}: row {number} is not an object but {json.dumps(row)[:40]}")
        yield row
        at = end
