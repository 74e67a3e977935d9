"""Writes one part: a Parquet file whose bytes depend on its rows alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

import pyarrow as pa
import pyarrow.parquet as pq

from service.engine.columns import ROOMY_FROM_BYTES, widened
from service.engine.projection import EVENTS_COLUMN
from service.storage.files import Files, Writing

#: Readers skip and share work by row groups: with fewer rows their headers weigh, with many
#: more a reader of one group needs much memory.
GROUP_ROWS = 128 << 10
#: Readers that want some rows of a group read whole pages.
PAGE_ROWS = 64 << 10
#: What is written gathers here before it is hashed and goes to the file.
BUFFER_BYTES = 1 << 20

#: Values of identities, of which next to none is in two profiles.
_UNIQUE = ("identityMap.key_value.value.list.element.id", "identities.list.element.id")


class PartWriter:
    """Gathers tables until they fill a row group."""

    def __init__(self, sink: Writing, schema: pa.Schema) -> None:
        self._schema = schema
        self._waiting: deque[pa.Table] = deque()
        self._waiting_rows = 0
        self.row_count = 0
        # Every page is several small writes, and each would wait for the interpreter's lock.
        self._sink = pa.BufferedOutputStream(pa.PythonFile(sink, mode="w"), BUFFER_BYTES)
        self._parquet = pq.ParquetWriter(
            self._sink,
            schema,
            compression="zstd",
            write_page_index=True,
            # Statistics are made batch by batch and page by page; with Arrow's own small ones they
            # take half of the time that texts with a dictionary take.
            write_batch_size=PAGE_ROWS,
            max_rows_per_page=PAGE_ROWS,
            use_dictionary=_text_columns(schema),
            # Without it, readers see plain Parquet and no trace of how Arrow held the columns.
            store_schema=False,
        )

    def write(self, rows: pa.Table) -> None:
        """Take rows, sorted after all that came before."""
        self._waiting.append(rows)
        self._waiting_rows += rows.num_rows
        # Half a group is kept back, so that the last one is none of a few rows.
        while 2 * self._waiting_rows >= 3 * GROUP_ROWS:
            self._write_group(GROUP_ROWS)

    @property
    def waiting_bytes(self) -> int:
        """How much is held until it fills a row group."""
        return sum(rows.nbytes for rows in self._waiting)

    @property
    def size_bytes(self) -> int:
        """How much was written, until the part is closed."""
        return int(self._sink.tell())

    def close(self) -> None:
        """Write the footer; of a part that failed it is thrown away with the file."""
        self._parquet.close()
        self._sink.detach()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting_rows:
            self._write_group(self._waiting_rows)

    def _write_group(self, row_count: int) -> None:
        """Write the first of the rows that wait."""
        pieces, missing = [], row_count
        while missing:
            rows = self._waiting.popleft()
            pieces.append(self._narrowed(rows.slice(0, missing)))
            if rows.num_rows > missing:
                self._waiting.appendleft(rows.slice(missing))
            missing -= pieces[-1].num_rows
        group = pa.concat_tables(pieces)
        # Arrow makes statistics of each piece of a column by itself.
        if group.nbytes < ROOMY_FROM_BYTES:
            group = group.combine_chunks()
        self._parquet.write_table(group, row_group_size=row_count)
        self._waiting_rows -= row_count
        self.row_count += row_count

    def _narrowed(self, rows: pa.Table) -> pa.Table:
        """Give columns that were made roomy the schema's types again; others are not touched."""
        if rows.schema == self._schema:
            return rows
        columns = [
            pa.chunked_array([widened(chunk, field.type) for chunk in column.chunks], field.type)
            for column, field in zip(rows.columns, self._schema, strict=True)
        ]
        return pa.Table.from_arrays(columns, schema=self._schema)


@contextmanager
def writing_part(files: Files, key: str, schema: pa.Schema) -> Iterator[tuple[PartWriter, Writing]]:
    """Write a part under a key; it is there when the block ends, or never."""
    with files.create(key) as sink, closing(PartWriter(sink, schema)) as writer:
        yield writer, sink
        writer.flush()


def _text_columns(schema: pa.Schema) -> list[str]:
    """Give the Parquet paths of texts that a dictionary may serve.

    Numbers only pay for it. So do texts that came without one: they had too many words.
    """
    paths: list[str] = []
    for field in schema:
        if field.name == EVENTS_COLUMN:
            paths += _texts_below(f"{field.name}.list.element", field.type.value_type)
        else:
            paths += _texts_below(field.name, field.type)
    return [path for path in paths if path not in _UNIQUE]


def _texts_below(path: str, type: pa.DataType) -> Iterable[str]:
    """Give the texts of a leaf or an object; only within lists and maps are they plain."""
    if pa.types.is_dictionary(type):
        yield path
    elif pa.types.is_struct(type):
        for field in type:
            yield from _texts_below(f"{path}.{field.name}", field.type)
    elif not pa.types.is_string(type):
        yield from _plain_texts(path, type)


def _plain_texts(path: str, type: pa.DataType) -> Iterable[str]:
    if pa.types.is_string(type):
        yield path
    elif pa.types.is_struct(type):
        for field in type:
            yield from _plain_texts(f"{path}.{field.name}", field.type)
    elif pa.types.is_map(type):
        yield from _plain_texts(f"{path}.key_value.key", type.key_type)
        yield from _plain_texts(f"{path}.key_value.value", type.item_type)
    elif pa.types.is_list(type):
        yield from _plain_texts(f"{path}.list.element", type.value_type)
