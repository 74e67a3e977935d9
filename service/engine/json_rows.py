"""Reads JSON files into rows: by whole columns where that is safe, else row by row.

Arrow's reader is trusted with a block only where it cannot differ from the reader of single
rows (:mod:`~service.engine.json_values`), which alone defines what a row means. A block that
Arrow refuses is tried again as it was seen to be written, then in small parts without the rows
that Arrow names as odd, so that a few odd rows cost little.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.json as pj

from catalog.schemas import Field
from service.engine.arrow_types import Column, arrow_type, has_column
from service.engine.fitting import fit
from service.engine.json_boundaries import BLOCK_BYTES, Block, Boundaries, Source, is_too_deep
from service.engine.json_expectations import Expectation
from service.engine.json_values import RowReader, Unfit
from service.engine.known_maps import spelt_out
from service.engine.nesting import Misfit, Positions, narrowed, whole
from service.engine.rows import UNREADABLE_ROW, Flaw, Rows, Step, together

#: One odd row in a thousand spoils a tenth of parts this small, yet they still pay as columns.
PART_BYTES = 64 << 10
#: So many more pieces of a part may be spoilt than not before the rest of it is read singly: where
#: most rows are odd, that costs less.
PATIENCE = 8
#: Fewer rows than this are read singly as fast.
FEW_ROWS = 16
#: A part is larger when a single row is; one of this size is read singly.
LARGEST_PART_BYTES = 4 * PART_BYTES
#: Rows that are looked at to learn how a block is written.
SAMPLE = 32
#: Keys of maps are learnt from the block itself; each time it is read again.
ATTEMPTS = 4

#: Where Arrow stumbled, counted from 0 in what it was given. A hint, and no more than that.
_STUMBLED = re.compile(r" in row (\d+)$")
_OBJECT = re.compile(rb"\s*\{")
_BOM = b"\xef\xbb\xbf"
#: Arrow takes these for numbers, though they are not JSON.
_NOT_A_NUMBER = re.compile(rb"[:,\[\s]-?(NaN|Inf)")


class _Stumbled(NamedTuple):
    """Arrow could not read a block."""

    #: The row that it names; null when it names none.
    row: int | None


class _Columns(NamedTuple):
    """Rows of a block as Arrow read them, of the types that were expected."""

    table: pa.Table
    #: Of the rows in the block.
    positions: Positions
    ignored: frozenset[str]


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
        return replace(
            self._converted(block), original=lambda number: block.row(number - block.first)
        )

    def _converted(self, block: Block) -> Rows:
        everything = np.arange(len(block))
        columns = self._columns(block, everything, unexpected="error")
        if not isinstance(columns, _Columns) and self._learn(block):
            columns = self._columns(block, everything, unexpected="error")
        if isinstance(columns, _Columns):
            return self._settled(block, [columns], everything[:0])
        read, singly = list[_Columns](), [everything[:0]]
        for part in np.split(everything, block.cuts(PART_BYTES)):
            self._read_part(block, part, read, singly)
        return self._settled(block, read, np.concatenate(singly))

    def _read_part(
        self, block: Block, part: Positions, read: list[_Columns], singly: list[Positions]
    ) -> None:
        """Add to what is read as columns all of a part that can be, to ``singly`` what cannot."""
        pending, patience = [part], PATIENCE
        while pending:
            rows = pending.pop()
            found: _Columns | _Stumbled | None = None
            if patience:
                found = self._columns(block.rows(rows[0], rows[-1] + 1), rows, unexpected="infer")
                patience += 1 if isinstance(found, _Columns) else -1
            match found:
                case _Columns():
                    read.append(found)
                case _Stumbled(row=int(row)) if row < len(rows):
                    singly.append(rows[row : row + 1])
                    pending += [some for some in (rows[row + 1 :], rows[:row]) if len(some)]
                case _Stumbled() if len(rows) > FEW_ROWS:
                    pending += [rows[len(rows) // 2 :], rows[: len(rows) // 2]]
                case _:
                    singly.append(rows)

    def _columns(
        self, block: Block, positions: Positions, *, unexpected: Literal["error", "infer"]
    ) -> _Columns | _Stumbled | None:
        """Read with Arrow; None if single rows might be read otherwise.

        Fields nobody expects are inferred only in small blocks: each is a column, which
        for a million different ones would take all memory there is.
        """
        text = block.text()
        is_small = len(text) <= LARGEST_PART_BYTES
        if not (is_small or unexpected == "error") or not _is_safe(block, text):
            return None
        for _ in range(ATTEMPTS):
            expected = self._expected
            if expected.is_too_wide or (expected.is_cluttered and unexpected == "infer"):
                return None
            schema = expected.schema
            table = _read(text, schema, unexpected, row_count=len(block))
            if not isinstance(table, pa.Table):
                return table
            surprises = expected.surprises(table.schema)
            if surprises.is_clutter:
                with self._lock:
                    self._expected = replace(self._expected, is_cluttered=True)
                return None
            if not surprises.keys:
                columns = [narrowed(whole(table.column(at.name)), at.type) for at in schema]
                narrow = pa.Table.from_arrays(columns, schema=schema)
                return _Columns(narrow, positions, frozenset(surprises.ignored))
            with self._lock:
                self._expected = self._expected.with_keys(surprises.keys)
        return None

    def _settled(self, block: Block, read: Sequence[_Columns], singly: Positions) -> Rows:
        """Join what was read as columns and what must be read singly, in the order of the rows.

        A row that has a misfit in its columns is read singly too: it may be odd and right.
        """
        fitted = []
        for same in _of_one_schema(read):
            rows, odd = self._fitted(same, block.first)
            fitted.append(rows)
            singly = np.concatenate([singly, odd])
        if len(singly):
            fitted.append(self._row_by_row(block, np.sort(singly)))
        return fitted[0] if len(fitted) == 1 else together(fitted).in_order()

    def _fitted(self, read: Sequence[_Columns], first: int) -> tuple[Rows, Positions]:
        """Convert columns to the schema; the second result are the positions that do not fit."""
        table = pa.concat_tables([each.table for each in read])
        positions = np.concatenate([each.positions for each in read])
        ignored = frozenset[str]().union(*(each.ignored for each in read))
        misfits: list[Misfit] = []
        columns = [whole(column) for column in table.columns]
        rows = Rows(table=self._table(columns, misfits), numbers=positions + first, ignored=ignored)
        if not misfits:
            return rows, positions[:0]
        odd = np.unique(np.concatenate([misfit.rows for misfit in misfits]))
        return rows.but(odd), positions[odd]

    def _row_by_row(self, block: Block, positions: Positions) -> Rows:
        reader = RowReader(self._fields)
        values, numbers, flaws = [], [], []
        for position in positions.tolist():
            number = block.first + position
            try:
                values.append(reader.read(block.row(position)))
                numbers.append(number)
            except Unfit as problem:
                flaws.append(Flaw(number, UNREADABLE_ROW, str(problem)))
        columns = [
            pa.array([row.get(field.name) for row in values], arrow_type(spelt_out(field)))
            for field in self._fields
        ]
        misfits: list[Misfit] = []
        rows = Rows(
            table=self._table(columns, misfits),
            numbers=np.array(numbers, np.int64),
            flaws=tuple(flaws),
            ignored=frozenset(reader.ignored),
        )
        return rows.without(misfits, UNREADABLE_ROW)

    def _table(self, columns: Sequence[Column], misfits: list[Misfit]) -> pa.Table:
        return pa.table(
            {
                field.name: fit(column, field, field.name, misfits)
                for field, column in zip(self._fields, columns, strict=True)
            }
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
            is_new = learnt != self._expected
            self._expected = learnt
        return is_new


def _of_one_schema(read: Iterable[_Columns]) -> list[list[_Columns]]:
    """Gather columns by the types they were read as; nearly always there is one schema."""
    gathered: list[list[_Columns]] = []
    for columns in read:
        for same in gathered:
            if same[0].table.schema.equals(columns.table.schema):
                same.append(columns)
                break
        else:
            gathered.append([columns])
    return gathered


def _is_safe(block: Block, text: bytes) -> bool:
    """Tell whether Arrow reads a block as strictly as Python would, and does not overflow."""
    if not _are_objects(block) or is_too_deep(block):
        return False
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
    others = np.flatnonzero(firsts != ord("{")).tolist()
    # An empty row must not be taken for the one behind it.
    return all(_OBJECT.match(block.data, block.starts[at], block.stops[at]) for at in others)


def _read(
    text: bytes, schema: pa.Schema, unexpected: Literal["error", "infer"], *, row_count: int
) -> pa.Table | _Stumbled | None:
    """Read with Arrow; None if it finds another number of rows."""
    try:
        table = pj.read_json(
            pa.BufferReader(text),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(text) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior=unexpected
            ),
        )
    except pa.ArrowException as error:
        named = _STUMBLED.search(str(error))
        return _Stumbled(int(named[1]) if named else None)
    return table if table.num_rows == row_count else None
