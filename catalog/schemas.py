"""Schemas: the typed tree of fields that the rows of a data set have.

A field is a leaf (merged as one value) or an object (merged leaf by leaf). Arrays and maps are
leaves: their elements have no identity by which two versions could be merged. The two maps the
service itself understands, :data:`IDENTITY_MAP` and :data:`SEGMENT_MEMBERSHIP`, are kinds of
their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from types import MappingProxyType
from typing import Any, NewType, Self

SchemaId = NewType("SchemaId", str)

PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"
EVENT_CLASS = "https://ns.adobe.com/xdm/context/experienceevent"
PROFILE_UNION = SchemaId("https://ns.adobe.com/xdm/context/profile__union")
EVENT_UNION = SchemaId("https://ns.adobe.com/xdm/context/experienceevent__union")

#: Path of a field from the root of its row, outermost name first.
Path = tuple[str, ...]


class Kind(StrEnum):
    """What a field holds."""

    STRING = "string"
    BOOLEAN = "boolean"
    INTEGER = "integer"  # 32 bit, signed
    LONG = "long"  # 64 bit, signed
    DOUBLE = "double"  # IEEE 754, 64 bit
    DATE = "date"  # a day, without a zone
    TIMESTAMP = "timestamp"  # an instant, kept in microseconds UTC
    OBJECT = "object"  # named fields, merged leaf by leaf
    ARRAY = "array"  # elements of one type, atomic
    MAP = "map"  # string keys, values of one type, atomic
    IDENTITY_MAP = "identityMap"  # namespace -> list of {id, authenticatedState, primary}
    SEGMENT_MEMBERSHIP = "segmentMembership"  # namespace -> segment -> {status, times}


@dataclass(frozen=True, slots=True)
class Field:
    """One field, with what lies beneath it."""

    name: str
    kind: Kind
    #: A row without it is invalid.
    is_required: bool = False
    #: Of an object: its fields in the schema's own order.
    fields: tuple[Field, ...] = ()
    #: Of an array or a map: what it holds. Its name is not used.
    element: Field | None = None

    def to_json(self) -> dict[str, Any]:
        """The field as a document that :meth:`from_json` reads back equal."""
        return {
            "name": self.name,
            "kind": self.kind.value,
            "required": self.is_required,
            "fields": [field.to_json() for field in self.fields],
            "element": self.element.to_json() if self.element else None,
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        element = document["element"]
        return cls(
            name=document["name"],
            kind=Kind(document["kind"]),
            is_required=document["required"],
            fields=tuple(cls.from_json(field) for field in document["fields"]),
            element=cls.from_json(element) if element else None,
        )


IDENTITY_MAP = Field("identityMap", Kind.IDENTITY_MAP)
SEGMENT_MEMBERSHIP = Field("segmentMembership", Kind.SEGMENT_MEMBERSHIP)

#: What every schema of a class has before its own fields.
CLASS_FIELDS: Mapping[str, tuple[Field, ...]] = MappingProxyType(
    {
        PROFILE_CLASS: (Field("_id", Kind.STRING), IDENTITY_MAP, SEGMENT_MEMBERSHIP),
        EVENT_CLASS: (
            Field("_id", Kind.STRING),
            Field("timestamp", Kind.TIMESTAMP, is_required=True),
            Field("eventType", Kind.STRING),
            Field("producedBy", Kind.STRING),
            IDENTITY_MAP,
        ),
    }
)
#: The union schema of each class.
UNION_OF: Mapping[str, SchemaId] = MappingProxyType(
    {PROFILE_CLASS: PROFILE_UNION, EVENT_CLASS: EVENT_UNION}
)
#: Top-level names no schema may use: the columns store files add, and the list of events that
#: exported profiles carry.
RESERVED_NAMES = frozenset({"_key_hi", "_key_lo", "_seq", "_mark", "timeSeriesEvents"})


def leaves(fields: tuple[Field, ...], above: Path = ()) -> Iterator[tuple[Path, Field]]:
    """Every leaf with its path, depth first, in the schema's own order."""
    for field in fields:
        path = (*above, field.name)
        if field.kind is Kind.OBJECT:
            yield from leaves(field.fields, path)
        else:
            yield path, field


def with_only(
    fields: tuple[Field, ...], is_kept: Callable[[Path], bool], above: Path = ()
) -> tuple[Field, ...]:
    """The same fields without the leaves that are not kept, and objects that then hold none."""
    kept = []
    for field in fields:
        path = (*above, field.name)
        if field.kind is Kind.OBJECT:
            below = with_only(field.fields, is_kept, path)
            kept += [replace(field, fields=below)] if below else []
        elif is_kept(path):
            kept.append(field)
    return tuple(kept)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDescriptor:
    """Says that a field of a schema holds an identity of a namespace."""

    #: The field, from the root of the row. Always a leaf that is neither array nor map.
    path: Path
    #: The namespace's code, as the caller wrote it; matched without regard to case.
    namespace: str
    is_primary: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """One registered schema as it stood at one moment."""

    id: SchemaId
    #: The id once more, in a form that needs no escaping in a URL.
    alt_id: str
    class_id: str
    title: str
    #: As the caller wrote it, without the ids we gave.
    document: Mapping[str, Any]
    #: What the document means: see :mod:`catalog.schema_documents`.
    fields: tuple[Field, ...]
    #: Takes part in the union schema of its class. Cannot be undone.
    is_union: bool
    #: Counts from 1 and rises with every change.
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime
    #: Rows happened at a time, rather than describe something until further notice.
    is_event: bool

    @property
    def is_about_people(self) -> bool:
        """Whether rows may become part of profiles: those of other classes never do."""
        return self.class_id in UNION_OF


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """Something that was said of a schema besides its document."""

    id: str
    schema_id: SchemaId
    #: What kind of thing it says, in the caller's word.
    type: str
    #: The identity it tells of. Null: it tells of something else, which is kept without effect.
    identity: IdentityDescriptor | None
    #: As the caller wrote it.
    document: Mapping[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RowShape:
    """What the rows of one data set look like, and who they are about."""

    fields: tuple[Field, ...]
    is_event: bool
    #: In the order they were registered.
    identities: tuple[IdentityDescriptor, ...]
    #: Lower-case codes of namespaces whose identities link nothing.
    unlinked_namespaces: tuple[str, ...]


def tenant_id(organisation_id: str) -> str:
    """The short name of an organisation that its schema ids carry; always the same one."""
    return "t" + blake2b(organisation_id.encode(), digest_size=6).hexdigest()


def field_at(fields: tuple[Field, ...], path: Path) -> Field | None:
    """The field at a path, or None. Does not look into arrays and maps."""
    found: Field | None = None
    for name in path:
        found = next((field for field in fields if field.name == name), None)
        if found is None:
            return None
        fields = found.fields
    return found
