"""Unions: one schema that the rows of many schemas fit, and which changes keep rows fitting.

Integers widen to long or to double: neither loses a digit. Objects are combined field by
field, and so is what arrays and maps hold. Anything else must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from catalog.errors import Conflict
from catalog.schemas import CLASS_FIELDS, EVENT_CLASS, Field, Kind, Path, Schema

Fields = tuple[Field, ...]

#: What holds both kinds without loss. A long does not fit a double beyond 2^53.
_WIDER: Mapping[frozenset[Kind], Kind] = MappingProxyType(
    {
        frozenset({Kind.INTEGER, Kind.LONG}): Kind.LONG,
        frozenset({Kind.INTEGER, Kind.DOUBLE}): Kind.DOUBLE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Union:
    """What a merged profile and each of its events look like."""

    profile_fields: Fields
    event_fields: Fields

    def of_class(self, class_id: str) -> Fields:
        """One class's fields; a profile's end with the list of its events."""
        if class_id == EVENT_CLASS:
            return self.event_fields
        event = Field("element", Kind.OBJECT, fields=self.event_fields)
        return (*self.profile_fields, Field("timeSeriesEvents", Kind.ARRAY, element=event))


class Disagreement(Exception):
    """Two schemas say of one field that it is two things."""

    def __init__(self, path: Path, ours: Kind, theirs: Kind) -> None:
        super().__init__(f"{'.'.join(path)} is {ours} and {theirs}")
        self.path, self.ours, self.theirs = path, ours, theirs


def union(class_id: str, schemas: Sequence[Schema]) -> Fields:
    """Combine the schemas of a class into one that the rows of all of them fit.

    A field is required only if the class requires it: rows of other schemas lack it. Refuses
    with Conflict, naming the path and both schemas, when one field is said to be two things.
    """
    together = CLASS_FIELDS[class_id]
    for number, schema in enumerate(schemas):
        try:
            together = combined(together, schema.fields)
        except Disagreement:
            _refuse(schema, class_id, schemas[:number])
            raise
    return together


def combined(ours: Fields, theirs: Fields, above: Path = ()) -> Fields:
    """The fields of both, ours first. Raises Disagreement."""
    others = {field.name: field for field in theirs}
    known = [
        _both(field, others.pop(field.name), above) if field.name in others else _optional(field)
        for field in ours
    ]
    return (*known, *(_optional(field) for field in others.values()))


def breaking_changes(old: Fields, new: Fields, above: Path = ()) -> Iterator[str]:
    """Every way in which rows that fitted the old fields do not fit the new ones, in words."""
    then = {field.name: field for field in old}
    now = {field.name: field for field in new}
    for name, field in then.items():
        path = (*above, name)
        if name not in now:
            yield f"field {'.'.join(path)} is gone"
        elif _WIDER.get(frozenset({field.kind, now[name].kind}), field.kind) != now[name].kind:
            yield f"field {'.'.join(path)} was {field.kind} and is {now[name].kind}"
        else:
            yield from breaking_changes(_beneath(field), _beneath(now[name]), path)
    for name, field in now.items():
        if field.is_required and not (name in then and then[name].is_required):
            yield f"field {'.'.join((*above, name))} was not required and is"


def _both(ours: Field, theirs: Field, above: Path) -> Field:
    path = (*above, ours.name)
    kind = ours.kind
    if ours.kind != theirs.kind:
        wider = _WIDER.get(frozenset({ours.kind, theirs.kind}))
        if wider is None:
            raise Disagreement(path, ours.kind, theirs.kind)
        kind = wider
    element = ours.element
    if ours.element and theirs.element:
        element = _both(ours.element, theirs.element, path)
    return replace(
        ours,
        kind=kind,
        is_required=ours.is_required and theirs.is_required,
        fields=combined(ours.fields, theirs.fields, path),
        element=element,
    )


def _optional(field: Field) -> Field:
    return replace(
        field,
        is_required=False,
        fields=tuple(_optional(each) for each in field.fields),
        element=_optional(field.element) if field.element else None,
    )


def _beneath(field: Field) -> Fields:
    return (field.element,) if field.element else field.fields


def _refuse(schema: Schema, class_id: str, others: Sequence[Schema]) -> None:
    """Refuse a schema by the first of the others that it disagrees with."""
    sources = [("the class itself", CLASS_FIELDS[class_id])]
    sources += [(f"schema {other.title!r} ({other.id})", other.fields) for other in others]
    for name, fields in sources:
        try:
            combined(fields, schema.fields)
        except Disagreement as found:
            raise Conflict(
                f"field {'.'.join(found.path)} cannot be in the union: "
                f"schema {schema.title!r} ({schema.id}) says it is {found.theirs}, "
                f"{name} says it is {found.ours}"
            ) from None
