"""Fields written as documents: what schemas look like when they are read in full."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from catalog.schemas import Field, Kind
from catalog.standard_schemas import Document


def described(fields: Sequence[Field]) -> dict[str, Any]:
    """Fields as ``properties`` (and ``required``), to be read back as the same fields."""
    document: dict[str, Any] = {"properties": {each.name: _described(each) for each in fields}}
    if required := [each.name for each in fields if each.is_required]:
        document["required"] = required
    return document


def _described(field: Field) -> dict[str, Any]:
    document = dict(_DESCRIPTIONS[field.kind])
    if field.kind is Kind.OBJECT:
        document |= described(field.fields)
    elif field.kind is Kind.ARRAY and field.element:
        document["items"] = _described(field.element)
    elif field.kind is Kind.MAP and field.element:
        document["additionalProperties"] = _described(field.element)
    return document


_STRING = {"type": "string", "meta:xdmType": "string"}
_INSTANT = {"type": "string", "format": "date-time", "meta:xdmType": "date-time"}
_MAP = {"type": "object", "meta:xdmType": "map"}
_IDENTITY = {
    "type": "object",
    "meta:xdmType": "object",
    "properties": {
        "id": _STRING,
        "authenticatedState": {**_STRING, "enum": ["ambiguous", "authenticated", "loggedOut"]},
        "primary": {"type": "boolean", "meta:xdmType": "boolean"},
    },
}
_MEMBERSHIP = {
    "type": "object",
    "meta:xdmType": "object",
    "properties": {
        "lastQualificationTime": _INSTANT,
        "status": _STRING,
        "version": _STRING,
        "validUntil": _INSTANT,
    },
}
_DESCRIPTIONS: Mapping[Kind, Document] = MappingProxyType(
    {
        Kind.STRING: _STRING,
        Kind.BOOLEAN: {"type": "boolean", "meta:xdmType": "boolean"},
        Kind.INTEGER: {
            "type": "integer",
            "meta:xdmType": "int",
            "minimum": -(2**31),
            "maximum": 2**31 - 1,
        },
        Kind.LONG: {"type": "integer", "meta:xdmType": "long"},
        Kind.DOUBLE: {"type": "number", "meta:xdmType": "number"},
        Kind.DATE: {"type": "string", "format": "date", "meta:xdmType": "date"},
        Kind.TIMESTAMP: _INSTANT,
        Kind.OBJECT: {"type": "object", "meta:xdmType": "object"},
        Kind.ARRAY: {"type": "array", "meta:xdmType": "array"},
        Kind.MAP: _MAP,
        Kind.IDENTITY_MAP: {
            **_MAP,
            "additionalProperties": {
                "type": "array",
                "meta:xdmType": "array",
                "items": _IDENTITY,
            },
        },
        Kind.SEGMENT_MEMBERSHIP: {
            **_MAP,
            "additionalProperties": {**_MAP, "additionalProperties": _MEMBERSHIP},
        },
    }
)
