"""Columns of several tables read as one: picking rows, widening types, nesting leaves.

Store files of one data set may lack leaves that later ones have, or hold them in a narrower
type. Picking evens that out, and only touches the tables that hold the leaf.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from catalog.schemas import Field, Kind
from service.engine.arrow_types import Chunks, Column, has_column
from service.engine.ranking import Bools, Ints
from service.engine.vocabulary import Places, Vocabulary, Worded

#: Texts and lists have 32-bit offsets. From half their reach on, columns are given 64-bit ones
#: before they are joined; the writer narrows them again, row group by row group.
ROOMY_FROM_BYTES = 1 << 30
#: Rows are few when there are so many times more.
FEW = 8

Number = TypeVar("Number", np.int8, np.int64, np.uint64)


class Stack:
    """Tables on top of each other. Rows are numbered through, from the top of the first.

    Columns that are words of a vocabulary are held as the codes that each file has for them.
    """

    def __init__(
        self,
        tables: Sequence[pa.Table],
        vocabulary: Vocabulary | None = None,
        files: Sequence[int] = (),
    ) -> None:
        """Stack tables; with a vocabulary, ``files`` are the places of the tables' files in it."""
        self._vocabulary = vocabulary
        filled = [number for number, table in enumerate(tables) if table.num_rows]
        self.tables = [tables[number] for number in filled]
        self._files = [files[number] for number in filled] if vocabulary else []
        self.row_count = sum(table.num_rows for table in self.tables)
        holders: dict[str, list[int]] = {}
        for number, table in enumerate(self.tables):
            for name in table.schema.names:
                holders.setdefault(name, []).append(number)
        self._holders = {name: tuple(numbers) for name, numbers in holders.items()}
        self._places: dict[tuple[int, ...], Places] = {}

    def holders(self, name: str) -> tuple[int, ...]:
        """Say which tables hold a column."""
        return self._holders.get(name, ())

    def rows_within(self, holders: tuple[int, ...]) -> Ints | None:
        """Say where each row lies when only ``holders`` are stacked: -1 for rows of others.

        None when these are all the tables, and nothing moves.
        """
        if len(holders) == len(self.tables):
            return None
        moved = np.full(self.row_count, -1)
        start = within = 0
        for number, table in enumerate(self.tables):
            if number in holders:
                moved[start : start + table.num_rows] = np.arange(within, within + table.num_rows)
                within += table.num_rows
            start += table.num_rows
        return moved

    def column(self, name: str, type: pa.DataType) -> Chunks:
        """Give a column without words of those tables that hold it, stacked and in one type."""
        held = [self.tables[number].column(name) for number in self.holders(name)]
        chunks = [widened(chunk, type) for column in held for chunk in column.chunks]
        return pa.chunked_array(chunks, type)

    def values(self, name: str, type: pa.DataType, rows: Ints) -> Column:
        """Give a column at some rows, null where a row's table lacks it or the row is -1."""
        values = self.values_spelt(name, type, rows)
        return values.cast(type) if pa.types.is_dictionary(values.type) else values

    def values_spelt(self, name: str, type: pa.DataType, rows: Ints) -> Column:
        """Give the same values, as a dictionary where the column has words."""
        holders = self.holders(name)
        moved = self.rows_within(holders)
        if moved is not None:
            rows = np.where(rows < 0, -1, moved[rows])
        words = self.words(name)
        return pick(self.column(name, type), rows) if words is None else words.at(rows)

    def words(self, name: str) -> Worded | None:
        """Give a column that has words, of those tables that hold it; None of other columns."""
        if self._vocabulary is None or name not in self._vocabulary.words:
            return None
        held = self.holders(name)
        columns = [(self._files[number], self.tables[number].column(name)) for number in held]
        return self._vocabulary.worded(name, columns, self._place_among(held))

    def _place_among(self, holders: tuple[int, ...]) -> Places:
        """Say in which of some tables each row is, when only these are stacked."""
        if holders not in self._places:
            counts = [self.tables[number].num_rows for number in holders]
            numbers = np.arange(len(holders), dtype=np.min_scalar_type(len(holders)))
            self._places[holders] = np.repeat(numbers, counts)
        return self._places[holders]

    def numbers(self, name: str, dtype: type[Number]) -> npt.NDArray[Number]:
        """Give a column without nulls that every table holds."""
        held: list[npt.NDArray[Number]] = [t.column(name).to_numpy() for t in self.tables]
        return np.concatenate([np.empty(0, dtype), *held])


def pick(column: Chunks, rows: Ints) -> Column:
    """Give the values at some rows, null where the row is -1.

    A column that together is too big for 32-bit offsets comes back with 64-bit ones.
    """
    if not len(column):
        return pa.nulls(len(rows), column.type)
    if column.num_chunks > 1 and FEW * len(rows) < len(column):
        return _picked_few(column, rows)
    if column.num_chunks > 1 and column.nbytes > ROOMY_FROM_BYTES:
        column = column.cast(roomy(column.type))
    return _picked(_in_one(column), rows)


def _picked_few(column: Chunks, rows: Ints) -> Column:
    """Pick from each chunk by itself, because to join them costs more."""
    stops = np.cumsum([len(chunk) for chunk in column.chunks])
    chunk_of = np.where(rows < 0, -1, np.searchsorted(stops, rows, side="right"))
    pieces, order = [pa.array([], column.type)], [np.empty(0, np.int64)]
    for number in np.unique(chunk_of):
        at = np.flatnonzero(chunk_of == number)
        chunk = column.chunk(max(int(number), 0))
        within = rows[at] - (int(stops[number]) - len(chunk) if number >= 0 else 0)
        pieces.append(_picked(chunk, within))
        order.append(at)
    place = np.empty(len(rows), np.int64)
    place[np.concatenate(order)] = np.arange(len(rows))
    return pa.concat_arrays(pieces).take(pa.array(place))


def _picked(whole: Column, rows: Ints) -> Column:
    absent = rows < 0
    if not absent.any():
        return whole.take(pa.array(rows))
    if not _is_plain_number(whole.type) or not len(whole):
        return whole.take(pa.array(rows, mask=absent))
    # Arrow takes by indices with nulls ten times slower than by others.
    taken = whole.take(pa.array(np.where(absent, 0, rows)))
    present = ~absent
    if taken.null_count:
        present &= taken.is_valid().to_numpy(zero_copy_only=False)
    bitmap = pa.py_buffer(np.packbits(present, bitorder="little"))
    return pa.Array.from_buffers(taken.type, len(taken), [bitmap, taken.buffers()[1]])


def _is_plain_number(type: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(type) or pa.types.is_floating(type) or pa.types.is_temporal(type)
    )


def _in_one(column: Chunks) -> Column:
    whole = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) else whole


def column_in(table: pa.Table, name: str, type: pa.DataType) -> Chunks:
    """Give a column of a table in a type that can hold it; nulls when the table lacks it."""
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(table.num_rows, type)], type)
    column = table.column(name)
    if column.type == type:
        return column
    return pa.chunked_array([widened(chunk, type) for chunk in column.chunks], type)


def validity(column: Chunks) -> Bools | None:
    """Say which values are there; None when all are."""
    if not column.null_count:
        return None
    return np.asarray(column.is_valid().to_numpy())


def roomy(type: pa.DataType) -> pa.DataType:
    """Give the type with 64-bit offsets wherever it has 32-bit ones and Arrow knows better."""
    if pa.types.is_string(type):
        return pa.large_string()
    if pa.types.is_binary(type):
        return pa.large_binary()
    if pa.types.is_map(type):
        return pa.map_(roomy(type.key_type), roomy(type.item_type))
    if pa.types.is_list(type):
        return pa.large_list(roomy(type.value_type))
    if pa.types.is_struct(type):
        return pa.struct([pa.field(f.name, roomy(f.type), f.nullable) for f in type])
    return type


def widened(column: Column, type: pa.DataType) -> Column:
    """Give the same values in a type that can hold them all; what it lacks becomes null.

    Raises :class:`pyarrow.ArrowInvalid` where a value would change.
    """
    if column.type == type:
        return column
    if pa.types.is_struct(type):
        return _widened_struct(column, type)
    if pa.types.is_map(type):
        return _widened_map(column, type)
    if pa.types.is_list(type):
        offsets, start, length = _rebased(column)
        values = widened(column.values.slice(start, length), type.value_type)
        return pa.ListArray.from_arrays(offsets, values, type=type)
    if pa.types.is_dictionary(type):
        return column.cast(type.value_type).dictionary_encode()
    return column.cast(type)


def _widened_struct(column: pa.StructArray, type: pa.StructType) -> Column:
    names = {field.name for field in column.type}
    fields = [
        widened(column.field(field.name), field.type)
        if field.name in names
        else pa.nulls(len(column), field.type)
        for field in type
    ]
    return pa.StructArray.from_arrays(fields, fields=list(type), mask=column.is_null())


def _widened_map(column: Column, type: pa.DataType) -> Column:
    offsets, start, length = _rebased(column)
    keys = widened(column.keys.slice(start, length), type.key_type)
    items = widened(column.items.slice(start, length), type.item_type)
    return pa.MapArray.from_arrays(offsets, keys, items, type=type)


def _rebased(column: Column) -> tuple[Column, int, int]:
    """Give 32-bit offsets from 0, null where the value is, and the span of children they cover."""
    offsets = column.offsets.to_numpy()
    start, stop = int(offsets[0]), int(offsets[-1])
    absent = np.append(column.is_null().to_numpy(zero_copy_only=False), False)
    return pa.array(offsets - start, pa.int32(), mask=absent), start, stop - start


def nested(field: Field, leaves: Mapping[str, Column], above: str = "") -> Column:
    """Build the column of a field from its leaves by dotted path.

    An object is null where all beneath it is. The leaves may have roomy types.
    """
    path = above + field.name
    if field.kind is not Kind.OBJECT:
        return leaves[path]
    whole = structs(field.fields, leaves, f"{path}.")
    empty = reduce(pc.and_, (part.is_null() for part in whole.flatten()))
    return pa.StructArray.from_arrays(whole.flatten(), fields=list(whole.type), mask=empty)


def structs(fields: Iterable[Field], leaves: Mapping[str, Column], above: str) -> pa.StructArray:
    """Build structs from leaves by dotted path; none is null, even where all beneath it is."""
    parts = {part.name: nested(part, leaves, above) for part in fields if has_column(part)}
    return pa.StructArray.from_arrays(list(parts.values()), names=list(parts))
