"""Properties: what of a profile may be asked for by a key, in GrowingIO's words.

An identity (``$basic_userId``) stands for a namespace, a user property (``usr_gender``) and a tag
(``tag_rfm``) each for a leaf of the union schema. A property holds no values: they are those of
the profile. A *column* is a property as it was asked for; an identity can be asked for in two
ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, NewType

from catalog.errors import InvalidField
from catalog.schemas import Field, Kind, Path

PropertyNumber = NewType("PropertyNumber", int)

#: Before the own key of an identity: its last value, or all of them.
LAST_VALUE: Final = "id_"
ALL_VALUES: Final = "ids_"
#: Before the own key of a user property and of a tag: a part of the key.
USER_PREFIX: Final = "usr_"
TAG_PREFIX: Final = "tag_"

#: Most columns of an export, as documented.
MOST_COLUMNS = 60
#: Most columns of a listing of users, as documented.
MOST_LISTED_COLUMNS = 20
#: Characters of a key, as documented.
KEY_LENGTH = 100

#: As documented: Latin letters, digits and underscores; predefined ones begin with a dollar.
_OWN_KEY = re.compile(r"\$?[A-Za-z_][A-Za-z0-9_]*")


class PropertyKind(StrEnum):
    IDENTITY = "identity"  # one of the profile's identities, of one namespace
    USER = "user"  # a leaf that tells what the person is
    TAG = "tag"  # a leaf that somebody worked out about the person

    @property
    def noun(self) -> str:
        """What callers are told that one is."""
        return "user property" if self is PropertyKind.USER else str(self)


class ValueType(StrEnum):
    """What values are, as callers are told; a list holds values of one."""

    STRING = "STRING"
    INT = "INT"
    DOUBLE = "DOUBLE"
    DATE = "DATE"


#: What the leaves of a schema are, in these words.
TYPE_OF: Final = {
    Kind.STRING: ValueType.STRING,
    Kind.BOOLEAN: ValueType.STRING,
    Kind.INTEGER: ValueType.INT,
    Kind.LONG: ValueType.INT,
    Kind.DOUBLE: ValueType.DOUBLE,
    Kind.DATE: ValueType.DATE,
    Kind.TIMESTAMP: ValueType.DATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyDraft:
    """What a caller says of a property."""

    #: ``usr_…`` or ``tag_…``, or that of an identity, which starts with a dollar.
    key: str
    #: In any language.
    name: str
    description: str = ""
    #: The leaf of the union schema; null for an identity.
    path: Path | None = None
    #: Code of an identity's namespace; null for the others.
    namespace: str | None = None
    #: Null: what the leaf is, and whether it is a list.
    value_type: ValueType | None = None
    is_array: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One identity, user property or tag."""

    number: PropertyNumber
    kind: PropertyKind
    key: str
    name: str
    description: str
    path: Path | None
    #: Spelled as registered.
    namespace: str | None
    value_type: ValueType
    is_array: bool
    created_by: str
    updated_by: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A property as it was asked for."""

    #: As asked for: what heads the column by key.
    key: str
    property: Property
    #: Whether all values of an identity were asked for, and not its last one alone.
    has_all_values: bool = False


def kind_of(key: str) -> PropertyKind:
    """Tell what a key is of; refuses one that no property can have."""
    own, kind = key, PropertyKind.IDENTITY
    for prefix, each in ((USER_PREFIX, PropertyKind.USER), (TAG_PREFIX, PropertyKind.TAG)):
        if key.startswith(prefix):
            own, kind = key.removeprefix(prefix), each
    if kind is PropertyKind.IDENTITY and not key.startswith("$"):
        raise InvalidField(
            "key", f"{key!r} must start with usr_ (user property), tag_ (tag) or $ (identity)"
        )
    if len(key) > KEY_LENGTH or not _OWN_KEY.fullmatch(own):
        raise InvalidField(
            "key",
            f"{key!r} must have at most {KEY_LENGTH} letters, digits and underscores, "
            "and no digit first",
        )
    return kind


def sought(key: str) -> tuple[str, bool]:
    """The key of the property that a column's key asks for, and whether it asks for all values."""
    for prefix in (ALL_VALUES, LAST_VALUE):
        if key.startswith(f"{prefix}$"):
            return key.removeprefix(prefix), prefix == ALL_VALUES
    return key, False


def value_type_of(field: Field | None, path: Path) -> tuple[ValueType, bool]:
    """What a leaf of the union schema holds, and whether it holds a list of that.

    Refuses what is no leaf, or holds objects.
    """
    where = ".".join(path)
    if field is None:
        raise InvalidField("path", f"the union schema has no field {where}")
    is_array = field.kind is Kind.ARRAY
    element = field.element if is_array else field
    if element is None or element.kind not in TYPE_OF:
        raise InvalidField(
            "path", f"{where} is {field.kind}: a property needs one value, or a list of values"
        )
    return TYPE_OF[element.kind], is_array
