"""Shows the first rows of uploads before they become anything: what was sent, not what it means.

It is run by a child under the limits of its order, as promotions are: what it reads comes from
anybody.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from catalog.batches import FileFormat
from catalog.errors import Invalid
from service.engine import parquet_rows
from service.engine.csv_rows import BLOCK_BYTES, parsing
from service.engine.json_boundaries import BLOCK_BYTES as JSON_BLOCK_BYTES
from service.engine.json_boundaries import Boundaries
from service.engine.json_values import Unfit, parsed_row
from service.engine.orders import Peeked, PeekOrder
from service.engine.row_errors import plain
from service.engine.rows import FileRefused
from service.engine.uploads import Upload
from service.storage.files import Files

#: Columns that are shown. A row can have a million: nobody looks at them.
MOST_COLUMNS = 1_000
#: Characters of a value that are shown.
LONGEST_VALUE = 1_024


def peek(order: PeekOrder, files: Files) -> Peeked:
    """Give the first rows of uploads in the order of their paths; refuses what cannot be read."""
    shown = _Shown()
    rows = itertools.islice(_rows(order, files), order.row_count)
    return Peeked(rows=tuple(shown.row(row) for row in rows), columns=tuple(shown.columns))


class _Shown:
    """Numbers columns as they are met."""

    def __init__(self) -> None:
        self.columns: dict[str, int] = {}

    def row(self, row: Mapping[str, object]) -> dict[int, str]:
        cells = {}
        for path, value in _leaves(row, ""):
            number = self.columns.get(path)
            if number is None and len(self.columns) < MOST_COLUMNS:
                number = self.columns.setdefault(path, len(self.columns))
            if number is not None and value is not None:
                cells[number] = _shown(value)
        return cells


def _leaves(value: Mapping[str, object], path: str) -> Iterator[tuple[str, object]]:
    for name, inner in value.items():
        deeper = f"{path}/{name}" if path else name
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, deeper)
        else:
            yield deeper, inner


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(plain(value), ensure_ascii=False)
    text = text.encode(errors="replace").decode()
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"


def _rows(order: PeekOrder, files: Files) -> Iterator[Mapping[str, object]]:
    read = {FileFormat.JSON: _json, FileFormat.CSV: _csv, FileFormat.PARQUET: _parquet}
    for upload in sorted(order.uploads, key=lambda upload: upload.path.encode()):
        if not upload.size_bytes:
            continue
        source = Upload(files, upload.key, upload.size_bytes)
        try:
            yield from read[order.reading.format](source, order)
        except FileRefused as refused:
            raise Invalid(f"file {upload.path}: {refused}") from None
        except Unfit as unfit:
            raise Invalid(f"file {upload.path}: {unfit}") from None


def _json(source: Upload, order: PeekOrder) -> Iterator[Mapping[str, object]]:
    del order
    for block in Boundaries(source, JSON_BLOCK_BYTES).blocks():
        for position in range(len(block)):
            yield parsed_row(block.row(position))


def _csv(source: Upload, order: PeekOrder) -> Iterator[Mapping[str, object]]:
    """Read the first block alone: no preview needs more."""
    marks = parsing(order.reading)
    text = source.read(BLOCK_BYTES).decode("utf-8-sig", "replace")
    lines = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=marks["delimiter"],
        quotechar=marks["quote_char"] or None,
        quoting=csv.QUOTE_MINIMAL if marks["quote_char"] else csv.QUOTE_NONE,
        escapechar=marks["escape_char"] or None,
    )
    try:
        filled = (line for line in lines if line)
        header = next(filled, []) if order.has_header else []
        for line in filled:
            names = (
                header[number] if number < len(header) and header[number] else str(number)
                for number in range(len(line))
            )
            yield {name: cell for name, cell in zip(names, line, strict=True) if cell}
    except csv.Error as problem:
        raise FileRefused(f"not readable as CSV: {problem}") from None


def _parquet(source: Upload, order: PeekOrder) -> Iterator[Mapping[str, object]]:
    with parquet_rows.refusing():
        file = parquet_rows.opened(source)
        for batch in file.iter_batches(batch_size=max(1, order.row_count)):
            for position in range(batch.num_rows):
                yield _row(batch, position)


def _row(batch: pa.RecordBatch, position: int) -> Mapping[str, Any]:
    return {
        name: parquet_rows.value(column[position])
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    }
