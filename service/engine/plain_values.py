"""Converts columns of plain values to the type of a kind, from whatever type they were written in.

Nothing is rounded, wrapped or guessed: a value that is not exactly one of the kind becomes null,
and the caller compares what was there with what is left.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as pt

from catalog.schemas import Kind
from service.engine.arrow_types import INSTANT, Column
from service.engine.nesting import masked, valid
from service.engine.text_values import (
    EXACT_DOUBLE,
    FIRST_INSTANT,
    LAST_INSTANT,
    finite,
    outside,
    read_texts,
    whole,
)

_WHOLE_TYPES = {Kind.INTEGER: pa.int32(), Kind.LONG: pa.int64()}
_MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
_DAY = 86_400_000_000
_NANOSECONDS = 1_000


def plain(column: Column, kind: Kind) -> Column | None:
    """Convert a column to a kind that holds no other values; None if its type never fits.

    Instants without a zone are UTC, whole numbers for instants are milliseconds since 1970, and
    what is finer than a microsecond is cut off. There is no negative zero.
    """
    column = _unwrapped(column)
    if kind is Kind.STRING:
        return _texts(column)
    if pt.is_string(column.type):
        return read_texts(_valid_utf8(column), kind)
    return _CONVERTERS[kind](column)


def _unwrapped(column: Any) -> Any:
    """Give plain values for encodings and types that differ only in how they are stored."""
    if pt.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pt.is_large_string(column.type) or pt.is_string_view(column.type):
        return column.cast(pa.string())
    if _is_bytes(column.type):
        return _decoded(column)
    return column


def _is_bytes(type: pa.DataType) -> bool:
    kinds = (pt.is_binary, pt.is_large_binary, pt.is_fixed_size_binary, pt.is_binary_view)
    return any(is_kind(type) for is_kind in kinds)


def _decoded(column: Any) -> Any:
    """Read bytes as UTF-8; what is not UTF-8 becomes null."""
    column = column.cast(pa.binary())
    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(value) for value in column.to_pylist()], pa.string())


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _texts(column: Column) -> Column | None:
    type = column.type
    if pt.is_string(type):
        return _valid_utf8(column)
    if pt.is_integer(type) or pt.is_boolean(type) or pt.is_decimal(type) or pt.is_date(type):
        return column.cast(pa.string())
    if pt.is_floating(type):
        return _each(column, pa.string(), lambda found: repr(found) if _is_finite(found) else None)
    return None


def _is_finite(number: float) -> bool:
    return finite(number) is not None


def _valid_utf8(column: Column) -> Column:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return cast("Column", _decoded(column))
    return column


def _booleans(column: Column) -> Column | None:
    return column if pt.is_boolean(column.type) else None


def _is_number(type: pa.DataType) -> bool:
    return bool(pt.is_integer(type) or pt.is_floating(type) or pt.is_decimal(type))


def _whole_numbers(kind: Kind) -> Callable[[Column], Column | None]:
    type = _WHOLE_TYPES[kind]

    def convert(column: Column) -> Column | None:
        if column.type == type:
            return column
        if not _is_number(column.type):
            return None
        if not pt.is_floating(column.type) or _are_exact(column):
            try:
                return pc.cast(column, type)
            except pa.ArrowInvalid:
                pass  # some number is too large or not whole
        return _each(column, type, lambda number: _whole(number, kind))

    return convert


def _whole(number: float | Decimal, kind: Kind) -> int | None:
    if isinstance(number, Decimal):
        return whole(int(number), kind) if number == number.to_integral_value() else None
    return whole(number, kind)


def _are_exact(column: Column) -> bool:
    doubles = column.cast(pa.float64()).fill_null(0.0).to_numpy(zero_copy_only=False)
    return bool((np.abs(doubles) <= EXACT_DOUBLE).all())


def _doubles(column: Column) -> Column | None:
    if not _is_number(column.type):
        return None
    if pt.is_decimal(column.type):
        column = column.cast(pa.string())  # by way of texts, Arrow finds the nearest double
    doubles = pc.add(pc.cast(column, pa.float64(), safe=False), 0.0)
    numbers = doubles.fill_null(0.0).to_numpy(zero_copy_only=False)
    return masked(doubles, ~np.isfinite(numbers))


def _days(column: Column) -> Column | None:
    if not pt.is_date(column.type):
        return None
    days = column.cast(pa.date32())
    return masked(days, outside(days, Kind.DATE))


def _instants(column: Column) -> Column | None:
    type = column.type
    if type == INSTANT:
        return masked(column, outside(column, Kind.TIMESTAMP))
    if pt.is_date(type):
        return _scaled(column, column.cast(pa.date32()).cast(pa.int32()), _DAY)
    if pt.is_timestamp(type):
        numbers = column.cast(pa.int64())
        if type.unit == "ns":
            return _from_numpy(column, _numbers(numbers) // _NANOSECONDS)
        return _scaled(column, numbers, _MICROSECONDS[type.unit])
    milliseconds = _CONVERTERS[Kind.LONG](column)
    return None if milliseconds is None else _scaled(milliseconds, milliseconds, 1_000)


def _scaled(column: Column, numbers: Column, scale: int) -> Column:
    """Give instants of ``numbers`` times ``scale`` microseconds; beyond year 9999 becomes null."""
    counted = _numbers(numbers)
    far = (counted < FIRST_INSTANT // scale) | (counted > LAST_INSTANT // scale)
    return masked(_from_numpy(column, np.where(far, 0, counted) * scale), far)


def _numbers(column: Column) -> npt.NDArray[np.int64]:
    numbers = column.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    return cast("npt.NDArray[np.int64]", numbers)


def _from_numpy(column: Column, microseconds: npt.NDArray[np.int64]) -> Column:
    return pa.array(microseconds, pa.int64(), mask=~valid(column)).cast(INSTANT)


def _each(column: Column, type: pa.DataType, convert: Callable[[Any], Any]) -> Column:
    """Convert values one by one, each distinct value once: for columns that hold a misfit."""
    distinct: Any = pc.dictionary_encode(column)
    converted = [convert(value) for value in distinct.dictionary.to_pylist()]
    return pa.array(converted, type).take(distinct.indices)


_CONVERTERS: dict[Kind, Callable[[Column], Column | None]] = {
    Kind.BOOLEAN: _booleans,
    Kind.INTEGER: _whole_numbers(Kind.INTEGER),
    Kind.LONG: _whole_numbers(Kind.LONG),
    Kind.DOUBLE: _doubles,
    Kind.DATE: _days,
    Kind.TIMESTAMP: _instants,
}
