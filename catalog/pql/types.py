"""What values of a rule are. A type is a :class:`~catalog.schemas.Field` whose name does not count.

The literal null has the type None, which fits any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeAlias

from catalog.pql.occasions import is_date
from catalog.pql.spelling import Constant
from catalog.schemas import Field, Kind

Type: TypeAlias = Field | None

BOOLEAN = Field("", Kind.BOOLEAN)
WHOLE = Field("", Kind.LONG)
DOUBLE = Field("", Kind.DOUBLE)
TEXT = Field("", Kind.STRING)
DATE = Field("", Kind.DATE)
INSTANT = Field("", Kind.TIMESTAMP)
_IDENTITY = Field(
    "",
    Kind.OBJECT,
    fields=(
        Field("id", Kind.STRING),
        Field("authenticatedState", Kind.STRING),
        Field("primary", Kind.BOOLEAN),
    ),
)
_MEMBERSHIP = Field(
    "",
    Kind.OBJECT,
    fields=(
        Field("lastQualificationTime", Kind.TIMESTAMP),
        Field("status", Kind.STRING),
        Field("version", Kind.STRING),
        Field("validUntil", Kind.TIMESTAMP),
    ),
)


def list_of(element: Type) -> Field:
    return Field("", Kind.ARRAY, element=element)


#: What a map holds, of the two that say so by their kind.
_KNOWN: Mapping[Kind, Field] = MappingProxyType(
    {
        Kind.IDENTITY_MAP: list_of(_IDENTITY),
        Kind.SEGMENT_MEMBERSHIP: Field("", Kind.MAP, element=_MEMBERSHIP),
    }
)
#: Kinds by what they compare with: those of one group do with each other.
_GROUPS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.BOOLEAN: "true or false",
        Kind.INTEGER: "a number",
        Kind.LONG: "a number",
        Kind.DOUBLE: "a number",
        Kind.STRING: "a text",
        Kind.DATE: "a date or an instant",
        Kind.TIMESTAMP: "a date or an instant",
    }
)
NUMBER, TEXTS, TIME = "a number", "a text", "a date or an instant"
#: What has a smallest and a largest.
ORDERED = frozenset({NUMBER, TEXTS, TIME})
_WORDS: Mapping[Kind, str] = MappingProxyType(
    {
        Kind.STRING: "a text",
        Kind.BOOLEAN: "true or false",
        Kind.INTEGER: "a whole number",
        Kind.LONG: "a whole number",
        Kind.DOUBLE: "a double",
        Kind.DATE: "a date",
        Kind.TIMESTAMP: "an instant",
        Kind.OBJECT: "an object",
        Kind.MAP: "a map",
        Kind.IDENTITY_MAP: "a map of lists of identities",
        Kind.SEGMENT_MEMBERSHIP: "a map of maps of memberships",
    }
)
_PLURALS = MappingProxyType(
    {"a text": "texts", "true or false": "booleans", "a double": "doubles", "a date": "dates"}
)


def of_constant(value: Constant) -> Type:
    """The type of a literal."""
    if value is None:
        return None
    if isinstance(value, bool):
        return BOOLEAN
    if isinstance(value, int):
        return WHOLE
    if isinstance(value, float):
        return DOUBLE
    if isinstance(value, datetime):
        return INSTANT
    return DATE if is_date(value) else TEXT


def group(type: Type) -> str | None:
    """What a plain value compares with; None of objects, lists and maps, and of null."""
    return _GROUPS.get(type.kind) if type else None


def is_whole(type: Type) -> bool:
    return type is not None and type.kind in (Kind.INTEGER, Kind.LONG)


def held(type: Field) -> Type:
    """What a map holds under each key; None when it is no map."""
    return _KNOWN.get(type.kind) or (type.element if type.kind is Kind.MAP else None)


def fit(one: Type, other: Type) -> bool:
    """Whether values of both can be compared, or be elements of one list."""
    if one is None or other is None:
        return True
    if one.kind is Kind.ARRAY and other.kind is Kind.ARRAY:
        return fit(one.element, other.element)
    return group(one) is not None and group(one) == group(other)


def wider(one: Type, other: Type) -> Type:
    """The type that holds values of two that fit."""
    if one is None or other is None:
        return one or other
    if one.kind is Kind.ARRAY:
        return replace(one, element=wider(one.element, other.element))
    if group(one) == NUMBER:
        return WHOLE if is_whole(one) and is_whole(other) else DOUBLE
    return one if one.kind is other.kind else INSTANT


def described(type: Type) -> str:
    """A type in words."""
    if type is None:
        return "null"
    if type.kind is Kind.ARRAY:
        if type.element is None:
            return "an empty list"
        of = described(type.element)
        plural = _PLURALS.get(of) or f"{of.removeprefix('an ').removeprefix('a ')}s"
        return f"a list of {plural}"
    return _WORDS[type.kind]
