"""Writes one part of a table: CSV or lines of JSON, whose bytes depend on its rows alone.

Parts are put together by whoever reads them: the first alone begins with the mark of the charset
and the header, and every row ends its line. Each text is hashed and written by a thread of its own,
while the next is made: neither holds the interpreter's lock for long.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
import pyarrow.csv

from catalog.errors import InvalidField
from catalog.user_lists import Charset, ListFormat
from service.engine.arrow_types import Column
from service.engine.cells import csv_cells, json_values, together
from service.engine.lanes import Lane
from service.engine.orders.tables import Source, Table
from service.storage.files import Files, Writing

#: Rows that are prepared at once: arrays of some megabytes.
CHUNK_ROWS = 1 << 15
#: Rows whose text is made and written at once: some megabytes, which the processor still has at
#: hand when they are hashed and written. A quarter faster than all rows of a chunk.
TEXT_ROWS = 1 << 12

_OPTIONS = pa.csv.WriteOptions(
    include_header=False, batch_size=TEXT_ROWS, quoting_style="all_valid"
)
_CODEC = {
    Charset.UTF_8: "utf-8",
    Charset.UTF_8_MARKED: "utf-8",
    Charset.UTF_16LE: "utf-16-le",
    Charset.GBK: "gbk",
    Charset.GB18030: "gb18030",
}
_MARK = {Charset.UTF_8_MARKED: b"\xef\xbb\xbf", Charset.UTF_16LE: b"\xff\xfe"}
_LAST_OF_ASCII = 0x7F
#: Charsets in which ASCII is as it is.
_HAS_ASCII = frozenset(_CODEC) - {Charset.UTF_16LE}


class TableWriter:
    """Takes rows of a table, and writes them at once."""

    def __init__(self, sink: Writing, table: Table, lane: Lane, *, is_first: bool) -> None:
        self._sink = sink
        self._table = table
        self._lane = lane
        # One is filled while the other is written.
        self._rooms = deque([pa.allocate_buffer(0), pa.allocate_buffer(0)])
        self.row_count = 0
        if table.format is ListFormat.CSV and is_first:
            self._sink.write(_MARK.get(table.charset, b"") + self._header())

    #: Nothing is held back.
    waiting_bytes = 0

    def write(self, rows: pa.Table) -> None:
        """Take rows, sorted after all that came before; columns are those of the table, in order.

        Refuses with InvalidField a text that cannot be written in the charset.
        """
        for batch in rows.to_batches(max_chunksize=CHUNK_ROWS):
            if self._table.format is ListFormat.JSON:
                self._write_json(batch)
            else:
                self._write_csv(batch)
            self.row_count += batch.num_rows
        self._lane.settle()

    def flush(self) -> None:
        """Write what waits: nothing does."""

    def _header(self) -> bytes:
        cells = (column.header.replace('"', '""') for column in self._table.columns)
        line = ",".join(f'"{cell}"' for cell in cells) + "\n"
        try:
            return line.encode(_CODEC[self._table.charset])
        except UnicodeEncodeError as error:
            character = line[error.start]
            culprit = next(c for c in self._table.columns if character in c.header)
            raise self._lacks(character, f"the name of {culprit.key}") from None

    def _write_csv(self, batch: pa.RecordBatch) -> None:
        is_guarded = self._table.is_guarded
        cells = [csv_cells(column, is_guarded=is_guarded) for column in batch.columns]
        prepared = pa.RecordBatch.from_arrays(cells, names=batch.schema.names)
        for start in range(0, prepared.num_rows, TEXT_ROWS):
            rows = prepared.slice(start, TEXT_ROWS)
            self._lane.run(self._sink.write, self._encoded(self._text(rows), rows))

    def _text(self, rows: pa.RecordBatch) -> memoryview:
        """Give the text of some rows; it stays until the second text after it is asked for.

        It is written where an earlier one was, since memory that is new costs as much as the text.
        Where there is too little room there will be more.
        """
        self._rooms.rotate()
        room = pa.FixedSizeBufferWriter(self._rooms[0])
        try:
            pa.csv.write_csv(rows, room, _OPTIONS)
        except OSError:
            grown = pa.BufferOutputStream()
            pa.csv.write_csv(rows, grown, _OPTIONS)
            text = grown.getvalue()
            self._rooms[0] = pa.allocate_buffer(text.size + text.size // 4)
            return memoryview(text)
        return memoryview(self._rooms[0])[: room.tell()]

    def _encoded(self, text: memoryview, rows: pa.RecordBatch) -> bytes | memoryview:
        charset = self._table.charset
        if charset in {Charset.UTF_8, Charset.UTF_8_MARKED}:
            return text
        raw = np.frombuffer(text, np.uint8)
        if raw.max(initial=0) <= _LAST_OF_ASCII:
            return text if charset in _HAS_ASCII else raw.astype("<u2").data.cast("B")
        try:
            return str(text, "utf-8").encode(_CODEC[charset])
        except UnicodeEncodeError:
            raise self._culprit(rows) from None

    def _culprit(self, rows: pa.RecordBatch) -> InvalidField:
        """Find the first column with a character that the charset lacks."""
        for column, asked in zip(rows.columns, self._table.columns, strict=True):
            text = "".join(filter(None, column.cast(pa.string()).to_pylist()))
            try:
                text.encode(_CODEC[self._table.charset])
            except UnicodeEncodeError as error:
                return self._lacks(text[error.start], asked.key)
        raise AssertionError("every column can be written, but not together")

    def _lacks(self, character: str, where: str) -> InvalidField:
        charset = self._table.charset
        return InvalidField(
            "charset",
            f"{charset} lacks the character {character!r} (U+{ord(character):04X}), which {where} "
            f"has: choose {Charset.UTF_8} or {Charset.GB18030}",
        )

    def _write_json(self, batch: pa.RecordBatch) -> None:
        values = [json_values(column) for column in batch.columns]
        lines = together(*self._pieces(values)).cast(pa.large_string())
        if not len(lines):
            return
        _, offsets, text = lines.buffers()  # the texts lie one after the other already
        ends = np.frombuffer(offsets, np.int64)[lines.offset : lines.offset + len(lines) + 1]
        self._lane.run(self._sink.write, memoryview(text)[ends[0] : ends[-1]])

    def _pieces(self, values: list[Column]) -> Iterator[str | Column]:
        """Give what a line is made of: constants, and the values between them.

        A line has the number alone when nothing else was asked for.
        """
        groups: dict[str, list[tuple[str, Column]]] = {"identifications": [], "properties": []}
        before = "{"
        for column, value in zip(self._table.columns, values, strict=True):
            match column.source:
                case Source.GIO_ID:
                    yield f"{before}{_quoted(column.key)}:"
                    yield value
                    before = ","
                case Source.LEAF:
                    groups["properties"].append((column.key, value))
                case Source.LAST_IDENTITY | Source.ALL_IDENTITIES:
                    groups["identifications"].append((column.key, value))
        if any(groups.values()):
            for name, members in groups.items():
                yield f"{before}{_quoted(name)}:{{"
                before = "},"
                for place, (key, value) in enumerate(members):
                    yield f"{',' if place else ''}{_quoted(key)}:"
                    yield value
            yield "}"
        yield "}\n"


@contextmanager
def writing_table_part(
    files: Files, key: str, table: Table, *, is_first: bool
) -> Iterator[tuple[TableWriter, Writing]]:
    """Write a part of a table under a key; it is there when the block ends, or never."""
    with files.create(key) as sink, Lane() as lane:
        yield TableWriter(sink, table, lane, is_first=is_first), sink


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
