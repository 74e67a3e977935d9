"""Brings columns of any Arrow type into the types of a schema, without loss or with a word of it.

Values are converted where they are exactly a value of the type wanted; any other is a misfit,
noted with the position of its row. Nulls in lists and maps stand for nothing and are dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.schemas import Field, Kind
from service.engine import known_maps
from service.engine.arrow_types import Column, arrow_type, element_of
from service.engine.nesting import (
    Misfit,
    Opened,
    Positions,
    is_listing,
    opened,
    opened_map,
    opened_struct,
    valid,
)
from service.engine.plain_values import plain

#: What a value of each kind looks like, for people whose value does not.
EXPECTED = {
    Kind.STRING: "a text",
    Kind.BOOLEAN: "true or false",
    Kind.INTEGER: "a whole number of 32 bits",
    Kind.LONG: "a whole number of 64 bits",
    Kind.DOUBLE: "a finite number",
    Kind.DATE: "a day such as 2004-09-25",
    Kind.TIMESTAMP: "an instant such as 2004-09-25T06:30:00Z",
    Kind.OBJECT: "an object",
    Kind.ARRAY: "a list",
    Kind.MAP: "an object",
}


def contradiction(path: str, found: str, kind: Kind) -> str:
    """Say what stands where something else is expected."""
    if kind is Kind.STRING and found == "a text":
        return f"{path}: a text that is not Unicode"
    return f"{path}: {found} where {EXPECTED[kind]} is expected"


_NESTED = frozenset({Kind.OBJECT, Kind.ARRAY, Kind.MAP})

_FitParts: TypeAlias = "Callable[[Column, Field, str, list[Misfit]], Column]"


def below(path: str, name: str) -> str:
    """Give the path of a field under another; elements of lists and maps add no name."""
    return f"{path}.{name}" if path and name else path or name


def fit(column: Column, field: Field, path: str, misfits: list[Misfit]) -> Column:
    """Convert a column to the type of a field; what cannot be becomes null and is noted."""
    if column.null_count == len(column):
        return pa.nulls(len(column), arrow_type(field))
    if field.kind is Kind.IDENTITY_MAP:
        maps = fit(column, known_maps.spelt_out(field), path, misfits)
        return known_maps.tidy_identities(maps, path, misfits)
    if field.kind is Kind.SEGMENT_MEMBERSHIP:
        return known_maps.tidy_memberships(fit(column, known_maps.spelt_out(field), path, misfits))
    if (fit_parts := _nested(column.type, field.kind)) is not None:
        return fit_parts(column, field, path, misfits)
    fitted = None if field.kind in _NESTED else plain(column, field.kind)
    if fitted is None:
        fitted = pa.nulls(len(column), arrow_type(field))
    lost = np.flatnonzero(valid(column) & ~valid(fitted))
    if len(lost):
        misfits.append(Misfit(lost, contradiction(path, _name_of(column.type), field.kind)))
    return fitted


def _nested(type: pa.DataType, kind: Kind) -> _FitParts | None:
    """Choose how to go on below a column that is as nested as its field; None if it is not."""
    if kind is Kind.OBJECT and pt.is_struct(type):
        return _fit_object
    if kind is Kind.ARRAY and is_listing(type):
        return _fit_array
    if kind is Kind.MAP and (pt.is_map(type) or pt.is_struct(type)):
        return _fit_map
    return None


def _fit_object(column: Column, field: Field, path: str, misfits: list[Misfit]) -> Column:
    given = dict(zip(column.type.names, cast("pa.StructArray", column).flatten(), strict=True))
    missing: Column = pa.nulls(len(column))
    parts = [
        fit(given.get(inner.name, missing), inner, below(path, inner.name), misfits)
        for inner in field.fields
    ]
    mask = None if not column.null_count else column.is_null()
    return pa.StructArray.from_arrays(parts, fields=list(arrow_type(field)), mask=mask)


def _fit_array(column: Column, field: Field, path: str, misfits: list[Misfit]) -> Column:
    lists = opened(column)
    lists = lists.kept(valid(lists.children))
    children = _fit_children(lists, lists.children, element_of(field), path, misfits)
    return lists.as_lists(children)


def _fit_map(column: Column, field: Field, path: str, misfits: list[Misfit]) -> Column:
    maps = opened_map(column) if pt.is_map(column.type) else opened_struct(column)
    keys, items = maps.children.flatten()
    marks = valid(keys) & valid(items)
    maps = maps.kept(marks)
    keys, items = maps.children.flatten()
    keys = _fit_children(maps, keys, Field("", Kind.STRING), path, misfits)
    items = _fit_children(maps, items, element_of(field), path, misfits)
    keys = pc.fill_null(keys, "")
    order = _sorted_and_distinct(maps.parents, keys)
    if order is not None:
        maps = Opened(maps.present, maps.parents[order], None)
        keys, items = keys.take(pa.array(order)), items.take(pa.array(order))
    return maps.as_maps(keys, items)


def _fit_children(
    lists: Opened, children: Column, element: Field, path: str, misfits: list[Misfit]
) -> Column:
    inner: list[Misfit] = []
    fitted = fit(children, element, path, inner)
    misfits += [Misfit(lists.parents[positions], message) for positions, message in inner]
    return fitted


def _sorted_and_distinct(parents: Positions, keys: Any) -> Positions | None:
    """Give the order that sorts each row's keys, the last of equal ones only; None if it is so."""
    if len(parents) < 2:  # noqa: PLR2004
        return None
    ascending = pc.less(keys[:-1], keys[1:]).to_numpy(zero_copy_only=False)
    if (ascending | (parents[:-1] != parents[1:])).all():
        return None
    ranks = pc.rank(keys, tiebreaker="dense").to_numpy().astype(np.int64)
    order = np.lexsort((ranks, parents))
    same = (parents[order][:-1] == parents[order][1:]) & (ranks[order][:-1] == ranks[order][1:])
    return cast("Positions", order[np.append(~same, True)])


def _name_of(type: pa.DataType) -> str:
    """Name what was found, in words that fit every format."""
    if pt.is_struct(type) or pt.is_map(type):
        return "an object"
    if is_listing(type):
        return "a list"
    if pt.is_boolean(type):
        return "a boolean"
    if pt.is_integer(type) or pt.is_floating(type) or pt.is_decimal(type):
        return "a number"
    if pt.is_temporal(type):
        return f"a {type}"
    return "a text"
