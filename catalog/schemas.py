"""Schemas: the typed tree of fields that the rows of a data set have.

A field is a leaf (merged as one value) or an object (merged leaf by leaf). Arrays and maps are
leaves: their elements have no identity by which two versions could be merged. The two maps the
service itself understands, :data:`IDENTITY_MAP` and :data:`SEGMENT_MEMBERSHIP`, are kinds of
their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NewType, Self

SchemaId = NewType("SchemaId", str)

PROFILE_CLASS = "https://ns.adobe.com/xdm/context/profile"
EVENT_CLASS = "https://ns.adobe.com/xdm/context/experienceevent"
PROFILE_UNION = "https://ns.adobe.com/xdm/context/profile__union"

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


def leaves(fields: tuple[Field, ...], above: Path = ()) -> Iterator[tuple[Path, Field]]:
    """Every leaf with its path, depth first, in the schema's own order."""
    for field in fields:
        path = (*above, field.name)
        if field.kind is Kind.OBJECT:
            yield from leaves(field.fields, path)
        else:
            yield path, field


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityDescriptor:
    """Says that a field of a schema holds an identity of a namespace."""

    #: The field, from the root of the row. Always a leaf that is neither array nor map.
    path: Path
    #: The namespace's code, as the caller wrote it; matched without regard to case.
    namespace: str
    is_primary: bool
