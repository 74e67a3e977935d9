"""What expressions stand for: a value for each row of a space, whatever its kind.

Objects are lazy: a leaf is fetched when it is named. A list is a space of its own within that
of its owner, and the values of that space's rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from service.engine.arrow_types import Column
from service.engine.nesting import is_listing, opened, opened_map
from service.engine.ranking import Bools, Ints, run_offsets
from service.engine.segments.spaces import Space

#: As the engine keeps instants, without their zone: Arrow needs no data base of zones then.
INSTANT = pa.timestamp("us")


@dataclass(frozen=True, slots=True, eq=False)
class Plain:
    """A boolean, number, text, date or instant."""

    space: Space
    #: Texts may be a dictionary; nulls of an unknown type have the type null.
    column: Column


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """An object. Null where all beneath it is."""

    space: Space
    names: tuple[str, ...]
    #: Gives the value of a field; asked once for each.
    fetch: Callable[[str], Value]
    _fetched: dict[str, Value] = field(default_factory=dict)

    def field(self, name: str) -> Value:
        """Give a field's value; nulls of one that nobody has."""
        if name not in self.names:
            return Plain(self.space, pa.nulls(self.space.count))
        if name not in self._fetched:
            self._fetched[name] = self.fetch(name)
        return self._fetched[name]


@dataclass(frozen=True, slots=True, eq=False)
class Listing:
    """A list."""

    space: Space
    #: Lies within ``space``. Has a row for each element, and maybe for others, which do not count.
    within: Space
    #: Of ``within``.
    element: Value
    #: The rows of ``within`` that count, in the order of the list; None when all do.
    kept: Ints | None = None
    #: Where there is no list; None when there is one everywhere.
    is_null: Bools | None = None

    def rows(self) -> Ints:
        """Give the rows of ``within`` that are elements, list by list and in order."""
        return np.arange(self.within.count) if self.kept is None else self.kept

    def owners(self) -> Ints:
        """Give for each element the row of ``space`` whose list it is in."""
        return self.within.parents if self.kept is None else self.within.parents[self.kept]

    def offsets(self) -> Ints:
        return run_offsets(self.owners(), self.space.count)


@dataclass(frozen=True, slots=True, eq=False)
class Mapping:
    """A map."""

    space: Space
    within: Space
    keys: Plain
    item: Value
    is_null: Bools | None = None


Value: TypeAlias = Plain | Record | Listing | Mapping


def value_of(column: Column, space: Space) -> Value:
    """Take a column apart, as far as is asked for."""
    type = column.type
    if pt.is_struct(type):
        names = tuple(type.names)
        # Flattened, not picked: what is beneath a null is null.
        return Record(space, names, lambda name: value_of(_beneath(column, name), space))
    if is_listing(type):
        parts = opened(column)
        within = Space(len(parts.children), space, parts.parents)
        nulls = None if parts.present.all() else ~parts.present
        return Listing(space, within, value_of(parts.children, within), is_null=nulls)
    if pt.is_map(type):
        parts = opened_map(column)
        within = Space(len(parts.children), space, parts.parents)
        nulls = None if parts.present.all() else ~parts.present
        keys = Plain(within, plain(parts.children.field("key")))
        return Mapping(space, within, keys, value_of(parts.children.field("value"), within), nulls)
    return Plain(space, plain(column))


def _beneath(column: Column, name: str) -> Column:
    return column.flatten()[column.type.get_field_index(name)]


def plain(column: Column) -> Column:
    """Give the column as one of the few types that rules know."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    type = column.type
    if pt.is_timestamp(type):
        if type.unit != "us":
            column = column.cast(pa.timestamp("us", type.tz))
        return column.view(pa.int64()).view(INSTANT)
    if pt.is_float32(type):
        return column.cast(pa.float64())
    if pt.is_dictionary(type) and not _is_text(type.value_type):
        return plain(column.cast(type.value_type))
    return column


def moved(value: Value, space: Space, rows: Ints) -> Value:
    """See a value from another space, each row of which has that of a row here; of -1, null."""
    match value:
        case Plain():
            return Plain(space, taken(value.column, rows))
        case Record():
            return Record(space, value.names, lambda name: moved(value.field(name), space, rows))
        case Listing():
            within, chosen, nulls = _spread(value, space, rows)
            element = moved(value.element, within, value.rows()[chosen])
            return Listing(space, within, element, is_null=nulls)
        case Mapping():
            whole = Listing(value.space, value.within, value.item, is_null=value.is_null)
            within, chosen, nulls = _spread(whole, space, rows)
            keys = Plain(within, taken(value.keys.column, chosen))
            return Mapping(space, within, keys, moved(value.item, within, chosen), nulls)


def _spread(lists: Listing, space: Space, rows: Ints) -> tuple[Space, Ints, Bools | None]:
    """Give each row the elements of a list: their space, their places, and who has no list."""
    offsets = lists.offsets()
    absent = rows < 0
    starts = offsets[np.where(absent, 0, rows)] if len(rows) else rows
    lengths = np.where(absent, 0, np.diff(offsets, append=0)[rows]) if len(rows) else rows
    parents = np.repeat(np.arange(len(rows)), lengths)
    nulls = absent if lists.is_null is None else absent | lists.is_null[rows]
    chosen = ranges(starts, lengths)
    return Space(len(parents), space, parents), chosen, nulls if nulls.any() else None


def ranges(starts: Ints, lengths: Ints) -> Ints:
    """Count up from each start, as far as its length, one range after the other."""
    ends = np.cumsum(lengths)
    total = int(ends[-1]) if len(ends) else 0
    return np.arange(total) - np.repeat(ends - lengths - starts, lengths)


def seen_from(value: Value, space: Space) -> Value:
    """Give the same value for the rows of a space within its own."""
    return value if value.space is space else moved(value, space, space.rows_in(value.space))


def plain_from(value: Plain, space: Space) -> Column:
    """Give the column of a value for the rows of a space within its own."""
    column: Column = value.column
    return column if value.space is space else taken(column, space.rows_in(value.space))


def taken(column: Column, rows: Ints) -> Column:
    """Give the values at some places, null at -1."""
    absent = rows < 0
    if not absent.any():
        return column.take(pa.array(rows))
    return column.take(pa.array(rows, mask=absent))


def spelt(column: Column) -> Column:
    """Give texts that are no dictionary."""
    return column.cast(column.type.value_type) if pt.is_dictionary(column.type) else column


def instants(column: Column) -> Column:
    """Give dates as their first instants; instants as they are."""
    return column if column.type == INSTANT else column.cast(INSTANT)


def _is_text(type: pa.DataType) -> bool:
    return bool(pt.is_string(type) or pt.is_large_string(type))


def alike(columns: Iterable[Column]) -> list[Column]:
    """Give columns of kinds that compare with each other in one type."""
    spelled = [spelt(column) for column in columns]
    types = {column.type for column in spelled if not pt.is_null(column.type)}
    if len(types) > 1 and any(pt.is_temporal(type) for type in types):
        spelled = [column.cast(INSTANT) for column in spelled]
    elif types:
        spelled = [column.cast(_widest(types), safe=False) for column in spelled]
    return spelled


def _widest(types: set[pa.DataType]) -> pa.DataType:
    if len(types) == 1:
        return next(iter(types))
    if any(_is_text(type) for type in types):
        return pa.large_string()
    return pa.float64() if any(pt.is_floating(type) for type in types) else pa.int64()


def is_absent(value: Value) -> Column:
    """Mark where a value is null; never null itself."""
    match value:
        case Plain():
            return pc.is_null(value.column)
        case Record():
            everything = pa.array(np.ones(value.space.count, np.bool_))
            for name in value.names:
                everything = pc.and_(everything, is_absent(value.field(name)))
            return everything
        case _:
            nulls = value.is_null
            return pa.array(np.zeros(value.space.count, np.bool_) if nulls is None else nulls)
