"""Takes list-like columns apart into flat ones and puts them together again.

Parents and children are matched by numbers kept beside them, so that what is decided about
children in one flat column can be said of the rows they belong to.
"""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from service.engine.arrow_types import Column

Positions = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]


class Misfit(NamedTuple):
    """Values that are not of the kind their field has."""

    #: Of the rows concerned; one may occur more than once.
    rows: Positions
    message: str


class Opened(NamedTuple):
    """A list-like column in parts."""

    #: Per row: whether it has a list at all.
    present: Marks
    #: Per child: the position of the row it belongs to, ascending.
    parents: Positions
    children: Any

    def kept(self, marks: Marks) -> Opened:
        """Leave out the children that are not marked; no row loses its list."""
        if marks.all():
            return self
        return Opened(self.present, self.parents[marks], self.children.filter(pa.array(marks)))

    def offsets(self) -> pa.Array[Any]:
        """Give where each row's children start and end, n + 1 numbers of 32 bits."""
        lengths = np.bincount(self.parents, minlength=len(self.present))
        return pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))

    def as_lists(self, children: Column) -> Column:
        """Close again, with these children instead."""
        return pa.ListArray.from_arrays(self.offsets(), children, mask=self._mask())

    def as_maps(self, keys: Column, items: Column) -> Column:
        """Close again, as maps."""
        return pa.MapArray.from_arrays(self.offsets(), keys, items, mask=self._mask())

    def _mask(self) -> Any:
        return None if self.present.all() else pa.array(~self.present)


def is_listing(type: pa.DataType) -> bool:
    """Tell whether a type is one of Arrow's lists."""
    return bool(pt.is_list(type) or pt.is_large_list(type) or pt.is_fixed_size_list(type))


def opened(column: Column) -> Opened:
    """Take a column of lists apart."""
    if pt.is_fixed_size_list(column.type):
        column = column.cast(pa.list_(column.type.value_type))
    present = valid(column)
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy().astype(np.int64)
    return Opened(present, np.repeat(np.arange(len(column)), lengths), pc.list_flatten(column))


def opened_map(column: Column) -> Opened:
    """Take a column of maps apart; children are structs of ``key`` and ``value``."""
    entry = pa.struct([("key", column.type.key_type), ("value", column.type.item_type)])
    return opened(column.cast(pa.list_(entry)))


def opened_struct(column: Column) -> Opened:
    """Take a column of structs apart as if their fields were keys; absent fields are left out."""
    names = sorted(child.name for child in column.type if not pt.is_null(child.type))
    rows = len(column)
    fields = dict(zip(column.type.names, cast("pa.StructArray", column).flatten(), strict=True))
    present = np.zeros((rows, len(names)), bool)
    parts = []
    for number, name in enumerate(names):
        present[:, number] = valid(fields[name])
        parts.append(fields[name])
    parents, numbers = np.nonzero(present)
    if not parts:
        children = pa.array([], pa.struct([("key", pa.string()), ("value", pa.null())]))
        return Opened(valid(column), parents, children)
    values = pa.concat_arrays(parts).take(pa.array(numbers * rows + parents))
    keys = pa.array(names, pa.string()).take(pa.array(numbers))
    children = pa.StructArray.from_arrays([keys, values], names=["key", "value"])
    return Opened(valid(column), parents, children)


def narrowed(column: Column, type: Any) -> Column:
    """Leave out the fields of structs, at any depth, that ``type`` does not have."""
    if column.type == type:
        return column
    if is_listing(type):
        lists = opened(column)
        return lists.as_lists(narrowed(lists.children, type.value_type))
    given = dict(zip(column.type.names, cast("pa.StructArray", column).flatten(), strict=True))
    parts = [narrowed(given[child.name], child.type) for child in type]
    if not parts:
        presence = pa.array(valid(column)).buffers()[1]
        return pa.Array.from_buffers(type, len(column), [presence])
    mask = pa.array(~valid(column)) if column.null_count else None
    return pa.StructArray.from_arrays(parts, fields=list(type), mask=mask)


def valid(column: Column) -> Marks:
    """Mark the values that are not null."""
    if not column.null_count:
        return np.ones(len(column), bool)
    return cast("Marks", column.is_valid().to_numpy(zero_copy_only=False))


def masked(column: Column, nulls: Marks) -> Column:
    """Make the marked values null."""
    if not nulls.any():
        return column
    return pc.if_else(pa.array(nulls), pa.scalar(None, column.type), column)


def whole(column: Any) -> Any:
    """Give a column of a table in one piece."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def taken(rows: pa.Table, order: Positions) -> pa.Table:
    """Choose and order rows, column by column: whole ones are several times faster to take from."""
    indices = pa.array(order)
    columns: list[Column] = [whole(column).take(indices) for column in rows.columns]
    return pa.Table.from_arrays(columns, schema=rows.schema)
