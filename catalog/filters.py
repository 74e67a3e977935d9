"""Filters and orders of listings: conditions on named fields, which the store decides.

A listing has a table of its fields, by the names the service itself gives them, each of a
:class:`Kind`. What may be asked of a field follows from its kind alone, so a condition that was
made by :func:`condition` can always be asked of the database.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from catalog.errors import InvalidField


class Kind(StrEnum):
    """What a field holds, as far as filters care."""

    TEXT = "text"
    NUMBER = "number"  # a whole number; instants are milliseconds since 1970
    VERSION = "version"  # numbers with dots between, compared number by number
    CHOICE = "choice"  # one of a few words: equal or not, but neither more nor less
    PRESENCE = "presence"  # something with an inside: there, or not
    TAGS = "tags"  # lists of texts by name


class Operator(StrEnum):
    EXISTS = "exists"
    IS_MISSING = "is missing"
    IS_ANY_OF = "is any of"
    IS_NONE_OF = "is none of"  # also where the field is missing
    FITS_ANY_OF = "fits any of"  # patterns in which ``*`` stands for anything
    FITS_NONE_OF = "fits none of"
    MATCHES = "matches"  # a regular expression, somewhere in the text
    IS_LESS = "is less than"
    IS_AT_MOST = "is at most"
    IS_MORE = "is more than"
    IS_AT_LEAST = "is at least"
    HAS_TAG = "has tag"  # a name and a pattern; a lone ``*`` fits any tag of that name


Fields = Mapping[str, Kind]
Value = str | int

_ALWAYS = frozenset({Operator.EXISTS, Operator.IS_MISSING})
_EQUALITY = frozenset({Operator.IS_ANY_OF, Operator.IS_NONE_OF})
_ORDER = frozenset({Operator.IS_LESS, Operator.IS_AT_MOST, Operator.IS_MORE, Operator.IS_AT_LEAST})
_FIT = frozenset({Operator.FITS_ANY_OF, Operator.FITS_NONE_OF})

#: What may be asked of a field of each kind.
ALLOWED: Final[Mapping[Kind, frozenset[Operator]]] = {
    Kind.TEXT: _ALWAYS | _EQUALITY | _FIT | _ORDER | {Operator.MATCHES},
    Kind.NUMBER: _ALWAYS | _EQUALITY | _ORDER | {Operator.MATCHES},
    Kind.VERSION: _ALWAYS | _EQUALITY | _ORDER | {Operator.MATCHES},
    Kind.CHOICE: _ALWAYS | _EQUALITY,
    Kind.PRESENCE: _ALWAYS,
    Kind.TAGS: _ALWAYS | {Operator.HAS_TAG},
}
#: What a listing can be sorted by.
SORTABLE = frozenset({Kind.TEXT, Kind.NUMBER, Kind.VERSION, Kind.CHOICE})

_LARGEST_NUMBER = 2**63 - 1
_VERSION = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Something that has to be true of a row."""

    field: str
    operator: Operator
    #: None for EXISTS and IS_MISSING, one for comparisons, a name and a pattern for HAS_TAG.
    values: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sort:
    """One field rows are ordered by."""

    field: str
    is_descending: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows a listing holds, and in which order: by one field, then the next."""

    conditions: tuple[Condition, ...] = ()
    order: tuple[Sort, ...] = ()


def condition(
    fields: Fields, field: str, operator: Operator, texts: Sequence[str] = (), *, called: str
) -> Condition:
    """Ask something of a field, in the words of a caller, who named it ``called``.

    Refuses with InvalidField what the field's kind does not allow, and values it cannot have.
    """
    kind = fields[field]
    if operator not in ALLOWED[kind]:
        allowed = ", ".join(sorted(ALLOWED[kind]))
        raise InvalidField(called, f"cannot be asked whether it {operator}: only {allowed}")
    values = tuple(_value(kind, operator, text, called) for text in texts)
    return Condition(field=field, operator=operator, values=values)


def _value(kind: Kind, operator: Operator, text: str, called: str) -> Value:
    if operator is Operator.MATCHES:
        return text
    if kind is Kind.NUMBER:
        if not re.fullmatch(r"[0-9]{1,19}", text) or int(text) > _LARGEST_NUMBER:
            raise InvalidField(called, f"{text!r} is no whole number")
        return int(text)
    if kind is Kind.VERSION and not _VERSION.fullmatch(text):
        raise InvalidField(called, f"{text!r} is no version, such as 1.0.3")
    return text
