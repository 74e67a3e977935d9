"""Reads JSON rows one by one: slowly, forgivingly, and with a word for each that is refused.

Values are brought to the JSON type of their field where they are exactly one; lists and maps
keep their shape, which :mod:`~service.engine.fitting` settles for every format alike.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, TypeAlias

from catalog.schemas import Field, Kind
from service.engine import text_values
from service.engine.arrow_types import element_of, has_column
from service.engine.fitting import below, contradiction
from service.engine.json_boundaries import DEPTH, Structure
from service.engine.known_maps import spelt_out

Coercer: TypeAlias = "Callable[[Any], Any]"

_FOUND = {
    str: "a text",
    bool: "a boolean",
    dict: "an object",
    list: "a list",
    type(None): "null",
}


class Unfit(Exception):
    """A row, or a value in it, is not what the schema expects; the message says where and why."""


class RowReader:
    """Reads single rows of one schema, and remembers the fields it does not know."""

    def __init__(self, fields: tuple[Field, ...]) -> None:
        #: Paths that occurred and are not in the schema.
        self.ignored: set[str] = set()
        self._coerce = self._object(Field("", Kind.OBJECT, fields=fields), "")

    def read(self, row: bytes) -> dict[str, Any]:
        """Give a row's values, or raise :class:`Unfit`. Instants and days come as numbers."""
        coerced: dict[str, Any] = self._coerce(parsed_row(row))
        return coerced

    def _coercer(self, field: Field, path: str) -> Coercer:
        field = spelt_out(field)
        match field.kind:
            case Kind.OBJECT:
                return self._object(field, path)
            case Kind.ARRAY:
                return self._array(field, path)
            case Kind.MAP:
                return self._map(field, path)
            case kind:
                return _plain(kind, path)

    def _object(self, field: Field, path: str) -> Coercer:
        coercers = {
            inner.name: self._coercer(inner, below(path, inner.name))
            for inner in field.fields
            if has_column(inner)
        }

        def coerce(found: Any) -> dict[str, Any]:
            if not isinstance(found, dict):
                raise _unfit(found, Kind.OBJECT, path)
            values = {}
            for name, value in found.items():
                if value is None:
                    continue
                coercer = coercers.get(name)
                if coercer is None:
                    self.ignored.add(_printable(below(path, name)))
                else:
                    values[name] = coercer(value)
            return values

        return coerce

    def _array(self, field: Field, path: str) -> Coercer:
        coerce_element = self._coercer(element_of(field), path)

        def coerce(found: Any) -> list[Any]:
            if not isinstance(found, list):
                raise _unfit(found, Kind.ARRAY, path)
            return [coerce_element(element) for element in found if element is not None]

        return coerce

    def _map(self, field: Field, path: str) -> Coercer:
        coerce_element = self._coercer(element_of(field), path)
        coerce_key = _plain(Kind.STRING, path)

        def coerce(found: Any) -> list[tuple[str, Any]]:
            if not isinstance(found, dict):
                raise _unfit(found, Kind.MAP, path)
            return [
                (coerce_key(key), coerce_element(value))
                for key, value in found.items()
                if value is not None
            ]

        return coerce


def parsed_row(row: bytes) -> dict[str, Any]:
    """Give what a row says, whatever the schema; raises :class:`Unfit`."""
    if row.count(b"{") + row.count(b"[") > DEPTH and Structure(row).is_too_deep:
        raise Unfit(f"the row nests deeper than {DEPTH} levels")
    try:
        value = _parsed(row.decode())
    except UnicodeDecodeError:
        raise Unfit("the row is not UTF-8") from None
    except json.JSONDecodeError as problem:
        raise Unfit(f"the row is not JSON: {problem.msg}") from None
    if not isinstance(value, dict):
        raise Unfit(f"the row is {_found(value)} where an object is expected")
    return value


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # a number of more digits than Python converts
        return json.loads(text, parse_int=_whole_or_infinite)


def _whole_or_infinite(digits: str) -> float:
    try:
        return int(digits)
    except ValueError:
        return math.inf


def _plain(kind: Kind, path: str) -> Coercer:
    by_type = _BY_TYPE[kind]

    is_text = kind is Kind.STRING

    def coerce(found: Any) -> Any:
        if is_text and type(found) is str and found.isascii():
            return found  # most values of most rows
        convert = by_type.get(type(found))
        value = None if convert is None else convert(found)
        if value is None:
            raise _unfit(found, kind, path)
        return value

    return coerce


def _text(text: str) -> str | None:
    """Give the text back unless it holds half of a surrogate pair, which no UTF-8 can."""
    return text if is_unicode(text) else None


def is_unicode(text: str) -> bool:
    """Tell whether a text could be written as UTF-8: JSON may escape halves of a pair."""
    return text.isascii() or _printable(text) == text


def _printable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _number_as_text(number: float) -> str | None:
    return None if text_values.finite(number) is None else repr(number)


def _milliseconds(number: float) -> int | None:
    milliseconds = text_values.whole(number, Kind.LONG)
    return None if milliseconds is None else text_values.in_range(milliseconds * 1000)


def _whole(kind: Kind) -> Callable[[float], int | None]:
    return lambda number: text_values.whole(number, kind)


_BY_TYPE: dict[Kind, dict[type, Callable[[Any], Any]]] = {
    Kind.STRING: {
        str: _text,
        int: str,
        float: _number_as_text,
        bool: lambda value: "true" if value else "false",
    },
    Kind.BOOLEAN: {bool: lambda value: value, str: text_values.boolean},
    Kind.INTEGER: {
        int: _whole(Kind.INTEGER),
        float: _whole(Kind.INTEGER),
        str: text_values.integer,
    },
    Kind.LONG: {int: _whole(Kind.LONG), float: _whole(Kind.LONG), str: text_values.long},
    Kind.DOUBLE: {int: text_values.finite, float: text_values.finite, str: text_values.double},
    Kind.DATE: {str: text_values.day},
    Kind.TIMESTAMP: {str: text_values.instant, int: _milliseconds, float: _milliseconds},
}


def _found(value: Any) -> str:
    return _FOUND.get(type(value), "a number")


def _unfit(found: Any, kind: Kind, path: str) -> Unfit:
    return Unfit(contradiction(path, _found(found), kind))
