"""What schemas are composed of: classes, field groups and data types that callers registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NewType

from catalog.errors import InvalidField
from catalog.schema_documents import fields_of_part, references, title_of
from catalog.schemas import CLASS_FIELDS, Field
from catalog.standard_schemas import ADHOC, RECORD, STANDARD, TIME_SERIES, Document, Known

PartId = NewType("PartId", str)

#: What a class may be built on.
BEHAVIOURS: Final = frozenset({RECORD, TIME_SERIES, ADHOC})


class PartKind(StrEnum):
    """What a part is for; the word its id and its address have for it."""

    CLASS = "classes"  # what the rows of a schema are: one each
    FIELD_GROUP = "fieldgroups"  # fields at the top of a row: any number
    DATA_TYPE = "datatypes"  # fields beneath another field


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaPart:
    """One part as it stood at one moment."""

    id: PartId
    #: The id once more, in a form that needs no escaping in a URL.
    alt_id: str
    kind: PartKind
    title: str
    #: As the caller wrote it, without the ids we gave.
    document: Mapping[str, Any]
    #: Counts from 1 and rises with every change; 0: a standard one, which nobody changes.
    version: int
    created_by: str
    created_at: datetime
    updated_at: datetime


def known(parts: Iterable[SchemaPart]) -> Known:
    """All that schemas of a sandbox may refer to, by either id: its own parts, and the standard."""
    own = {
        id: {**part.document, "$id": part.id, "meta:resourceType": part.kind.value}
        for part in parts
        for id in (part.id, part.alt_id)
    }
    return {**STANDARD, **own}


def check(kind: PartKind, document: Document, others: Known) -> tuple[Field, ...]:
    """Read a part, and return the fields it brings; refuses one that cannot be read."""
    title_of(document)
    named = references(document)
    if classes := sorted(named & CLASS_FIELDS.keys()):
        raise InvalidField("allOf", f"{classes[0]} is a class: only a schema is of one")
    if kind is PartKind.CLASS and len(named & BEHAVIOURS) != 1:
        one_of = ", ".join(sorted(BEHAVIOURS))
        raise InvalidField("allOf", f"a class is built on one behaviour, by $ref: {one_of}")
    return fields_of_part(document, others)
