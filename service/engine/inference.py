"""Guesses the fields of rows by looking at them.

The guess is the narrowest type that holds every value seen: whole numbers are ``long``, numbers
of both sorts ``double``, texts a day or an instant only when every single one is, and anything
mixed is text. Names that never had a value are left out, since nothing is known of them. Fields
come in the order in which they were first seen, so the same files give the same fields.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path as FilePath
from typing import Any

import pyarrow as pa
from pyarrow import types as pt

from catalog.batches import FileFormat
from catalog.errors import Invalid
from catalog.schemas import IDENTITY_MAP, SEGMENT_MEMBERSHIP, Field, Kind, Path
from service.engine import peek

#: Rows looked at unless the caller says otherwise: a second or two of work.
ROWS_LOOKED_AT = 100_000

#: A JSON or CSV number beyond this is kept as text: no column of whole numbers could hold it.
_LONGEST_LONG = 1 << 63

_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(:\d\d(\.\d+)?)?([Zz]|[+-]\d\d:?\d\d)")
_WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9]\d*)\.\d+([eE][+-]?\d+)?")

_NUMBERS = frozenset({Kind.LONG, Kind.DOUBLE})
_NESTED = frozenset({Kind.OBJECT, Kind.ARRAY})

#: Top-level names whose meaning is the service's own, whatever they hold in these files.
_OWN = {each.name: each for each in (IDENTITY_MAP, SEGMENT_MEMBERSHIP)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Inferred:
    """What was found out about the rows of some files."""

    fields: tuple[Field, ...]
    #: Rows looked at: all there are, unless the limit was reached.
    row_count: int
    reached_limit: bool


@dataclass(slots=True)
class _Seen:
    """What was seen under one name so far."""

    kinds: set[Kind] = field(default_factory=set)
    fields: dict[str, _Seen] = field(default_factory=dict)
    element: _Seen | None = None


def infer(
    files: Iterable[FilePath],
    format: FileFormat,
    *,
    texts: frozenset[Path] = frozenset(),
    row_limit: int = ROWS_LOOKED_AT,
) -> Inferred:
    """Guess the fields of all rows of these files, taken as one.

    ``texts`` are kept as text whatever they look like: identities, whose leading zeros count.
    Parquet says its own types, so none of its rows is read. Refuses files whose rows disagree on
    whether a name holds values, objects or lists.
    """
    if format is FileFormat.PARQUET:
        return _infer_from_footers(list(files), texts)
    rows = itertools.chain.from_iterable(peek.rows(file, format) for file in files)
    root, count = _Seen(), 0
    look = _look_at_texts if format is FileFormat.CSV else _look
    for row in itertools.islice(rows, row_limit):
        count += 1
        look(root, row)
    reached_limit = count == row_limit and next(rows, None) is not None
    return Inferred(
        fields=tuple(_fields(root, (), texts)), row_count=count, reached_limit=reached_limit
    )


def _look(seen: _Seen, row: dict[str, Any]) -> None:
    """Take in one object: its names, and what each holds."""
    for name, value in row.items():
        if value is None:
            continue
        inner = seen.fields.get(name)
        if inner is None:
            inner = seen.fields[name] = _Seen()
        _take(inner, value)


def _take(seen: _Seen, value: Any) -> None:
    if isinstance(value, str):
        if Kind.STRING not in seen.kinds:
            seen.kinds.add(_kind_of_text(value))
    elif isinstance(value, dict):
        seen.kinds.add(Kind.OBJECT)
        _look(seen, value)
    elif isinstance(value, list):
        seen.kinds.add(Kind.ARRAY)
        seen.element = seen.element or _Seen()
        for each in value:
            if each is not None:
                _take(seen.element, each)
    else:
        seen.kinds.add(_kind_of_number(value))


def _kind_of_number(value: Any) -> Kind:
    if isinstance(value, bool):
        return Kind.BOOLEAN
    if isinstance(value, float):
        return Kind.DOUBLE
    return Kind.LONG if -_LONGEST_LONG <= value < _LONGEST_LONG else Kind.STRING


def _look_at_texts(seen: _Seen, row: dict[str, Any]) -> None:
    """Take in one row of CSV, where numbers and truth values are text too."""
    for name, value in row.items():
        if value is None:
            continue
        inner = seen.fields.setdefault(name, _Seen())
        if isinstance(value, dict):
            inner.kinds.add(Kind.OBJECT)
            _look_at_texts(inner, value)
        elif Kind.STRING not in inner.kinds:
            inner.kinds.add(_kind_of_cell(value))


def _kind_of_text(text: str) -> Kind:
    try:
        if _DAY.fullmatch(text):
            date.fromisoformat(text)
            return Kind.DATE
        if _INSTANT.fullmatch(text):
            datetime.fromisoformat(text.upper())
            return Kind.TIMESTAMP
    except ValueError:
        pass
    return Kind.STRING


def _kind_of_cell(text: str) -> Kind:
    if _WHOLE.fullmatch(text):
        return Kind.LONG
    if _DECIMAL.fullmatch(text):
        return Kind.DOUBLE
    if text in {"true", "false"}:
        return Kind.BOOLEAN
    return _kind_of_text(text)


def _fields(seen: _Seen, above: Path, texts: frozenset[Path]) -> Iterator[Field]:
    for name, inner in seen.fields.items():
        path = (*above, name)
        if not above and name in _OWN:
            yield _OWN[name]
        elif found := _field(name, inner, path, texts):
            yield found


def _field(name: str, seen: _Seen, path: Path, texts: frozenset[Path]) -> Field | None:
    """The field that holds all that was seen, or nothing when nothing was."""
    if "." in name or not name:
        raise Invalid(f"{'/'.join(path)}: a field cannot be called {name!r}")
    match _kind(seen, path):
        case None:
            return None
        case Kind.OBJECT:
            fields = tuple(_fields(seen, path, texts))
            return Field(name, Kind.OBJECT, fields=fields) if fields else None
        case Kind.ARRAY:
            element = _field("items", seen.element or _Seen(), (*path, "items"), texts)
            return Field(name, Kind.ARRAY, element=element) if element else None
        case kind:
            return Field(name, Kind.STRING if path in texts else kind)


def _kind(seen: _Seen, path: Path) -> Kind | None:
    if not seen.kinds:
        return None
    if len(seen.kinds) == 1:
        return next(iter(seen.kinds))
    if seen.kinds & _NESTED:
        mixed = " and ".join(sorted(seen.kinds))
        raise Invalid(f"{'.'.join(path)} holds {mixed} in different rows: no one field can be both")
    return Kind.DOUBLE if seen.kinds == _NUMBERS else Kind.STRING


def _infer_from_footers(files: list[FilePath], texts: frozenset[Path]) -> Inferred:
    schemas = [peek.parquet_schema(file) for file in files]
    try:
        schema = pa.unify_schemas(schemas, promote_options="permissive")
    except pa.ArrowInvalid as problem:
        raise Invalid(f"the files do not agree on their columns: {problem}") from None
    fields = (
        _OWN.get(column.name) or _of_type(column.name, column.type, (column.name,), texts)
        for column in schema
    )
    return Inferred(
        fields=tuple(each for each in fields if each),
        row_count=sum(peek.row_count(file) for file in files),
        reached_limit=False,
    )


def _of_type(name: str, type: pa.DataType, path: Path, texts: frozenset[Path]) -> Field | None:
    if isinstance(type, pa.DictionaryType):
        return _of_type(name, type.value_type, path, texts)
    if isinstance(type, pa.StructType):
        inner = (_of_type(each.name, each.type, (*path, each.name), texts) for each in type.fields)
        fields = tuple(each for each in inner if each)
        return Field(name, Kind.OBJECT, fields=fields) if fields else None
    if isinstance(type, pa.MapType):
        element = _of_type("values", type.item_type, (*path, "values"), texts)
        return Field(name, Kind.MAP, element=element) if element else None
    if isinstance(type, pa.ListType | pa.LargeListType | pa.FixedSizeListType):
        element = _of_type("items", type.value_type, (*path, "items"), texts)
        return Field(name, Kind.ARRAY, element=element) if element else None
    kind = _plain(type, path)
    if kind is None:
        return None
    return Field(name, Kind.STRING if path in texts else kind)


_TESTS = (
    (pt.is_boolean, Kind.BOOLEAN),
    (pt.is_uint32, Kind.LONG),
    (pt.is_int64, Kind.LONG),
    (pt.is_uint64, Kind.LONG),
    (pt.is_integer, Kind.INTEGER),
    (pt.is_floating, Kind.DOUBLE),
    (pt.is_decimal, Kind.DOUBLE),
    (pt.is_date, Kind.DATE),
    (pt.is_timestamp, Kind.TIMESTAMP),
    (pt.is_string, Kind.STRING),
    (pt.is_large_string, Kind.STRING),
    (pt.is_string_view, Kind.STRING),
)


def _plain(type: pa.DataType, path: Path) -> Kind | None:
    if pt.is_null(type):
        return None
    for is_it, kind in _TESTS:
        if is_it(type):
            return kind
    raise Invalid(f"{'.'.join(path)}: no field holds values of the type {type}")
