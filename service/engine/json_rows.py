"""Reads JSON files into rows: by whole columns where that is safe, else row by row.

Arrow's reader is trusted with a block only where it cannot differ from the reader of single
rows (:mod:`~service.engine.json_values`), which alone defines what a row means. A block that
Arrow refuses is tried again as it was seen to be written, then in small parts, so that a few odd
rows cost little.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from catalog.schemas import Field
from service.engine.arrow_types import arrow_type, has_column
from service.engine.fitting import fit
from service.engine.json_boundaries import BLOCK_BYTES, Block, Boundaries, Source, is_too_deep
from service.engine.json_expectations import Expectation
from service.engine.json_values import RowReader, Unfit
from service.engine.known_maps import spelt_out
from service.engine.nesting import Misfit, narrowed, whole
from service.engine.rows import UNREADABLE_ROW, Flaw, Rows, Step, together

#: One odd row in a thousand spoils a tenth of parts this small, yet they still pay as columns.
PART_BYTES = 64 << 10
#: Rows that are looked at to learn how a block is written.
SAMPLE = 32
#: Keys of maps are learnt from the block itself; each time it is read again.
ATTEMPTS = 4

_OBJECT = re.compile(rb"\s*\{")
_BOM = b"\xef\xbb\xbf"
#: Arrow takes these for numbers, though they are not JSON.
_NOT_A_NUMBER = re.compile(rb"[:,\[\s]-?(NaN|Inf)")


class JsonReader:
    """Turns blocks of JSON rows into columns. May be used by several threads at once."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        self._fields = tuple(field for field in fields if has_column(field))
        self._lock = threading.Lock()
        self._expected = Expectation(self._fields)

    def work(self, source: Source) -> Iterator[Step]:
        """Yield the file's rows in order. Raises :class:`FileRefused` where that ends early."""
        boundaries = Boundaries(source, BLOCK_BYTES)
        for block in boundaries.blocks():
            yield Step(partial(self.rows, block), boundaries.position)

    def rows(self, block: Block) -> Rows:
        """Read a block. The result depends on nothing but the block and the schema."""
        rows = self._by_columns(block)
        if rows is not None:
            return rows
        if self._learn(block) and (rows := self._by_columns(block)) is not None:
            return rows
        parts = [
            self._by_columns(part) or self._row_by_row(part) for part in block.parts(PART_BYTES)
        ]
        return together(parts)

    def _by_columns(self, block: Block) -> Rows | None:
        """Read with Arrow; None if it cannot, or if single rows might be read otherwise."""
        text = block.text()
        if not _is_safe(text) or not _are_objects(block) or is_too_deep(block):
            return None
        for _ in range(ATTEMPTS):
            expected = self._expected
            if expected.is_too_wide:
                return None
            schema = expected.schema()
            table = _read(text, schema)
            if table is None or table.num_rows != len(block):
                return None
            surprises = expected.surprises(table.schema)
            if not surprises.keys:
                return self._fitted(table, schema, block, surprises.ignored)
            with self._lock:
                self._expected = self._expected.with_keys(surprises.keys)
        return None

    def _fitted(
        self, table: pa.Table, schema: pa.Schema, block: Block, ignored: set[str]
    ) -> Rows | None:
        misfits: list[Misfit] = []
        columns = [
            fit(
                narrowed(whole(table.column(declared.name)), declared.type),
                field,
                field.name,
                misfits,
            )
            for field, declared in zip(self._fields, schema, strict=True)
        ]
        if misfits:
            return None
        return self._rows(columns, np.arange(len(block)) + block.first, ignored=ignored)

    def _row_by_row(self, block: Block) -> Rows:
        reader = RowReader(self._fields)
        values, numbers, flaws = [], [], []
        for position in range(len(block)):
            try:
                values.append(reader.read(block.row(position)))
                numbers.append(block.first + position)
            except Unfit as problem:
                flaws.append(Flaw(block.first + position, UNREADABLE_ROW, str(problem)))
        misfits: list[Misfit] = []
        columns = [
            fit(
                pa.array([row.get(field.name) for row in values], arrow_type(spelt_out(field))),
                field,
                field.name,
                misfits,
            )
            for field in self._fields
        ]
        rows = self._rows(columns, np.array(numbers, np.int64), flaws, reader.ignored)
        return rows.without(misfits, UNREADABLE_ROW)

    def _rows(
        self,
        columns: list[Any],
        numbers: np.ndarray[tuple[int], np.dtype[np.int64]],
        flaws: list[Flaw] | None = None,
        ignored: set[str] | None = None,
    ) -> Rows:
        table = pa.table(columns, names=[field.name for field in self._fields])
        return Rows(
            table=table,
            numbers=numbers,
            flaws=tuple(flaws or ()),
            ignored=frozenset(ignored or ()),
        )

    def _learn(self, block: Block) -> bool:
        """Look at the first rows of a block that could not be read; say if there is news."""
        sample = []
        for position in range(min(SAMPLE, len(block))):
            try:
                sample.append(json.loads(block.row(position)))
            except (ValueError, RecursionError):
                continue
        with self._lock:
            learnt = self._expected.learnt_from(sample)
            is_new = learnt.types != self._expected.types
            self._expected = learnt
        return is_new


def _is_safe(text: bytes) -> bool:
    """Tell whether Arrow reads a text as strictly as Python would."""
    if text.startswith(_BOM) or b"\0" in text:
        return False
    if (b"Inf" in text or b"NaN" in text) and _NOT_A_NUMBER.search(text):
        return False
    try:
        return text.isascii() or bool(text.decode())
    except UnicodeDecodeError:
        return False


def _are_objects(block: Block) -> bool:
    """Tell whether every row starts as an object does; Arrow takes a null for an empty one."""
    firsts = np.frombuffer(block.data, np.uint8)[block.starts]
    others = block.starts[firsts != ord("{")]
    return all(_OBJECT.match(block.data, start) for start in others.tolist())


def _read(text: bytes, schema: pa.Schema) -> pa.Table | None:
    try:
        return pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="infer"
            ),
        )
    except pa.ArrowException:
        return None
