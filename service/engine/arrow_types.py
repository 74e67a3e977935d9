"""The Arrow types of schema fields: nested for data set files, one per leaf for store files.

An object without any leaf beneath it holds nothing that could be stored, and Parquet cannot
write it: it has no column anywhere, and neither has an array or a map of such objects.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import pyarrow as pa

from catalog.schemas import Field, Kind, leaves

#: A column or a part of one, whatever its type: types are known only once a schema is.
Column: TypeAlias = "pa.Array[Any]"
Chunks: TypeAlias = "pa.ChunkedArray[Any]"

#: Instants are kept in microseconds UTC, which spans the years 1 to 9999 and far beyond.
INSTANT = pa.timestamp("us", tz="UTC")

#: One identity as a row names it.
IDENTITY = pa.struct(
    [("id", pa.string()), ("authenticatedState", pa.string()), ("primary", pa.bool_())]
)
#: Namespace code to its identities.
IDENTITY_MAP = pa.map_(pa.string(), pa.list_(IDENTITY))

#: One membership; older writers call the time ``timestamp``, which readers accept.
MEMBERSHIP = pa.struct(
    [
        ("lastQualificationTime", INSTANT),
        ("status", pa.string()),
        ("version", pa.string()),
        ("validUntil", INSTANT),
    ]
)
#: Namespace code to segment id to membership.
SEGMENT_MEMBERSHIP = pa.map_(pa.string(), pa.map_(pa.string(), MEMBERSHIP))

_PLAIN: dict[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int32(),
    Kind.LONG: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    Kind.DATE: pa.date32(),
    Kind.TIMESTAMP: INSTANT,
    Kind.IDENTITY_MAP: IDENTITY_MAP,
    Kind.SEGMENT_MEMBERSHIP: SEGMENT_MEMBERSHIP,
}

#: As :mod:`catalog.unions` has it: what holds the values of two types without loss.
_WIDER = {
    frozenset({pa.int32(), pa.int64()}): pa.int64(),
    frozenset({pa.int32(), pa.float64()}): pa.float64(),
}


def has_column(field: Field) -> bool:
    """Tell whether the field can hold a value: false for objects without leaves."""
    if field.kind is Kind.OBJECT:
        return any(has_column(inner) for inner in field.fields)
    return field.element is None or has_column(field.element)


def element_of(field: Field) -> Field:
    """Give what an array or a map holds."""
    if field.element is None:
        raise ValueError(f"{field.name} is neither an array nor a map")
    return field.element


def arrow_type(field: Field) -> pa.DataType:
    """Give the type of the field's column, nested as the schema nests it.

    Raises :class:`ValueError` for a field without a column: ask :func:`has_column` first.
    """
    if not has_column(field):
        raise ValueError(f"{field.name} holds no leaf: it has no column")
    match field.kind:
        case Kind.OBJECT:
            return pa.struct(list(arrow_schema(field.fields)))
        case Kind.ARRAY:
            return pa.list_(arrow_type(element_of(field)))
        case Kind.MAP:
            return pa.map_(pa.string(), arrow_type(element_of(field)))
        case plain:
            return _PLAIN[plain]


def arrow_schema(fields: Iterable[Field]) -> pa.Schema:
    """Give the nested schema of rows with these fields, in the schema's own order.

    Every column is nullable: whether a value may be missing is a rule about rows, not a type.
    """
    return pa.schema([pa.field(f.name, arrow_type(f)) for f in fields if has_column(f)])


def leaf_types(fields: Iterable[Field]) -> dict[str, pa.DataType]:
    """Give the type of every leaf by its dotted path, depth first, in the schema's own order."""
    return {
        ".".join(path): arrow_type(leaf) for path, leaf in leaves(tuple(fields)) if has_column(leaf)
    }


def united_type(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    """Give the type that holds the values of both, as :func:`~service.engine.columns.widened` does.

    Raises :class:`ValueError` when there is none.
    """
    if one == other:
        return one
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        theirs = {field.name: field.type for field in other}
        fields = {
            field.name: united_type(field.type, theirs.get(field.name, field.type)) for field in one
        }
        return pa.struct(list((theirs | fields).items()))
    if pa.types.is_list(one) and pa.types.is_list(other):
        return pa.list_(united_type(one.value_type, other.value_type))
    if pa.types.is_map(one) and pa.types.is_map(other):
        return pa.map_(one.key_type, united_type(one.item_type, other.item_type))
    wider = _WIDER.get(frozenset({one, other}))
    if wider is None:
        raise ValueError(f"no type holds both {one} and {other}")
    return wider
