"""What a file's JSON is expected to look like, learnt while reading it.

Arrow reads JSON into columns only of types that are declared beforehand, and knows no maps.
What a file does otherwise than the schema, such as numbers written as texts, and the keys its
maps have, it mostly does throughout: whatever one block teaches is declared for the next. An
expectation decides how fast a block is read, never what is read.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import pyarrow as pa
from pyarrow import types as pt

from catalog.schemas import Field, Kind
from service.engine.arrow_types import element_of, has_column
from service.engine.fitting import below
from service.engine.json_values import is_unicode
from service.engine.known_maps import spelt_out

#: Maps whose keys make more columns than this are not read as columns.
MOST_COLUMNS = 1024

_READ_AS: dict[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.BOOLEAN: pa.bool_(),
    Kind.INTEGER: pa.int64(),
    Kind.LONG: pa.int64(),
    Kind.DOUBLE: pa.float64(),
    # Arrow's own reading of days is numbers, and of instants too narrow.
    Kind.DATE: pa.string(),
    Kind.TIMESTAMP: pa.string(),
}
_WHOLE = frozenset({Kind.INTEGER, Kind.LONG})
_NESTED = frozenset({Kind.OBJECT, Kind.ARRAY, Kind.MAP})
_NO_KEYS: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Expectation:
    """How the next block is to be read. Paths name elements of lists ``[]`` and of maps ``{}``."""

    fields: tuple[Field, ...]
    #: Types other than those of the schema, by the path of the field.
    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    #: The keys seen so far, by the path of the map.
    keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    #: Fields that nobody expects are so many that columns do not pay for them.
    is_cluttered: bool = False

    @cached_property
    def is_too_wide(self) -> bool:
        """Whether the maps have so many keys that columns do not pay."""
        # Keys are counted first: the schema of too many would be costly itself.
        if sum(map(len, self.keys.values())) > MOST_COLUMNS:
            return True
        bare = Expectation(self.fields).schema
        return _leaf_count(self.schema) - _leaf_count(bare) > MOST_COLUMNS

    @cached_property
    def schema(self) -> pa.Schema:
        """What is declared to Arrow."""
        return pa.schema(list(self._struct(self.fields, "")))

    def _struct(self, fields: tuple[Field, ...], path: str) -> pa.DataType:
        return pa.struct(
            [
                pa.field(inner.name, self._type(inner, f"{path}.{inner.name}"))
                for inner in fields
                if has_column(inner)
            ]
        )

    def _type(self, field: Field, path: str) -> pa.DataType:
        field = spelt_out(field)
        match field.kind:
            case Kind.OBJECT:
                return self._struct(field.fields, path)
            case Kind.ARRAY:
                return pa.list_(self._type(element_of(field), f"{path}[]"))
            case Kind.MAP:
                element = self._type(element_of(field), f"{path}{{}}")
                return pa.struct([(key, element) for key in sorted(self.keys.get(path, _NO_KEYS))])
            case kind:
                return self.types.get(path, _READ_AS[kind])

    def surprises(self, schema: pa.Schema) -> Surprises:
        """Tell what Arrow found in a block beyond what was declared."""
        extra = _leaf_count(schema) - _leaf_count(self.schema)
        found = Surprises(set(), {}, is_clutter=extra > MOST_COLUMNS)
        self._compare_struct(pa.struct(list(schema)), self.fields, ("", ""), found)
        return found

    def _compare_struct(
        self, type: Any, fields: tuple[Field, ...], paths: tuple[str, str], found: Surprises
    ) -> None:
        inner, shown = paths
        known = {field.name: field for field in fields if has_column(field)}
        for child in type:
            if child.name in known:
                deeper = (f"{inner}.{child.name}", below(shown, child.name))
                self._compare(child.type, known[child.name], deeper, found)
            elif not pt.is_null(child.type):
                found.ignored.add(below(shown, child.name))

    def _compare(self, type: Any, field: Field, paths: tuple[str, str], found: Surprises) -> None:
        field = spelt_out(field)
        inner, shown = paths
        match field.kind:
            case Kind.OBJECT:
                self._compare_struct(type, field.fields, paths, found)
            case Kind.ARRAY:
                element = element_of(field)
                self._compare(type.value_type, element, (f"{inner}[]", shown), found)
            case Kind.MAP:
                known = self.keys.get(inner, _NO_KEYS)
                for child in type:
                    if child.name in known:
                        deeper = (f"{inner}{{}}", shown)
                        self._compare(child.type, element_of(field), deeper, found)
                    elif not pt.is_null(child.type):
                        found.keys.setdefault(inner, set()).add(child.name)

    def with_keys(self, keys: Mapping[str, Iterable[str]]) -> Expectation:
        """Expect these keys too."""
        more = {path: self.keys.get(path, _NO_KEYS) | set(new) for path, new in keys.items()}
        return replace(self, keys={**self.keys, **more})

    def learnt_from(self, rows: Iterable[Any]) -> Expectation:
        """Expect values to be written as they are in these rows of parsed JSON."""
        seen = _Seen({}, {})
        for row in rows:
            _look(row, Field("", Kind.OBJECT, fields=self.fields), "", seen)
        types = dict(self.types)
        for path, (kind, kinds) in seen.types.items():
            written = _written_as(kind, frozenset(kinds))
            if written is None:
                types.pop(path, None)
            else:
                types[path] = written
        return replace(self, types=types).with_keys(seen.keys)


class _Seen(NamedTuple):
    """What some rows of parsed JSON look like, by path."""

    #: The kind of each plain field, and the types of its values.
    types: dict[str, tuple[Kind, set[type]]]
    #: The keys of each map.
    keys: dict[str, set[str]]


@dataclass(frozen=True, slots=True)
class Surprises:
    """What a block holds that was not declared."""

    #: Paths of fields that the schema does not know.
    ignored: set[str]
    #: New keys by the path of their map: the block must be read again with them declared.
    keys: dict[str, set[str]]
    #: There is so much of it that what follows is better read singly.
    is_clutter: bool


def _look(value: Any, field: Field, path: str, seen: _Seen) -> None:
    """Note of which type each plain value is, and the keys of maps; of misshapen ones nothing."""
    field = spelt_out(field)
    if field.kind not in _NESTED:
        if value is not None:
            seen.types.setdefault(path, (field.kind, set()))[1].add(type(value))
        return
    if field.kind is Kind.MAP and isinstance(value, dict):
        seen.keys.setdefault(path, set()).update(filter(is_unicode, value))
    for below_it, inner, step in _held(value, field):
        _look(below_it, inner, path + step, seen)


def _held(value: Any, field: Field) -> Iterable[tuple[Any, Field, str]]:
    """Give what an object, a list or a map holds, with its field and its step in a path."""
    match field.kind, value:
        case Kind.OBJECT, dict():
            return [(value.get(inner.name), inner, f".{inner.name}") for inner in field.fields]
        case Kind.ARRAY, list():
            return [(element, element_of(field), "[]") for element in value]
        case Kind.MAP, dict():
            return [(element, element_of(field), "{}") for element in value.values()]
    return ()


def _written_as(kind: Kind, types: frozenset[type]) -> pa.DataType | None:
    """Give the type to read a field of a kind as whose values are of these types, if another."""
    if types == {str}:
        return pa.string()
    if types == {int} and kind in {Kind.STRING, Kind.TIMESTAMP}:
        return pa.int64()
    if float in types and types <= {int, float} and kind in _WHOLE:
        return pa.float64()
    if types == {bool}:
        return pa.bool_()
    return None


def _leaf_count(fields: Iterable[pa.Field[Any]]) -> int:
    return sum(_leaves_below(field.type) for field in fields)


def _leaves_below(type: Any) -> int:
    if pt.is_struct(type):
        return _leaf_count(type)
    return _leaves_below(type.value_type) if pt.is_list(type) else 1
