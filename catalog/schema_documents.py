"""Schema documents: what a caller writes as JSON Schema with XDM's hints, read into fields.

A document names its class by ``$ref`` and adds properties of its own, inline or by way of its
own ``definitions``. Any property may be described in several places (that is what ``allOf`` is
for), so reading works on *parts*: all that is said of one place, with references followed.
Titles, enumerations and whatever else does not shape a row stay in the document and are not
read here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from catalog.errors import InvalidField
from catalog.schemas import (
    CLASS_FIELDS,
    IDENTITY_MAP,
    RESERVED_NAMES,
    SEGMENT_MEMBERSHIP,
    Field,
    Kind,
    Path,
)

Document = Mapping[str, Any]

#: The tag that puts a schema into the union of its class.
UNION_TAG = "union"
#: From the guardrails of the contract sheet, section 3: more fields than a row may have.
MOST_FIELDS = 10_000
#: Deeper documents are taken for ones that contain themselves. A guess: the deepest standard
#: schemas nest about ten levels.
MOST_LEVELS = 32
#: How often references and ``allOf`` are followed; ends documents that only refer to each other.
MOST_PARTS = 50_000

_SPECIAL = {field.name: field for field in (IDENTITY_MAP, SEGMENT_MEMBERSHIP)}
_TEXT: dict[str | None, Kind] = {
    "string": Kind.STRING,
    "date": Kind.DATE,
    "date-time": Kind.TIMESTAMP,
}
#: The kinds a JSON type may stand for, by the hint that goes with it; None: without a hint.
_KINDS: Mapping[str, Mapping[str | None, Kind]] = MappingProxyType(
    {
        "string": {None: Kind.STRING, **_TEXT},
        "boolean": {None: Kind.BOOLEAN, "boolean": Kind.BOOLEAN},
        "number": {None: Kind.DOUBLE, "number": Kind.DOUBLE, "double": Kind.DOUBLE},
        "integer": {
            None: Kind.LONG,
            "integer": Kind.LONG,
            "long": Kind.LONG,
            "int": Kind.INTEGER,
            "short": Kind.INTEGER,
            "byte": Kind.INTEGER,
        },
        "array": {None: Kind.ARRAY, "array": Kind.ARRAY},
        "object": {None: Kind.OBJECT, "object": Kind.OBJECT, "map": Kind.MAP},
    }
)
_HINTS = {hint: kind for hints in _KINDS.values() for hint, kind in hints.items() if hint}


def class_of(document: Document) -> str:
    """The id of the class a document is of. Refuses documents with none, or with two."""
    parts = document.get("allOf", [])
    if not isinstance(parts, list):
        raise InvalidField("allOf", f"must be an array, not {_named(parts)}")
    classes = sorted({part["$ref"] for part in (document, *parts) if _names_class(part)})
    if len(classes) != 1:
        found = " and ".join(classes) or "none"
        raise InvalidField(
            "allOf", f"must name one class by $ref ({' or '.join(CLASS_FIELDS)}), found {found}"
        )
    return str(classes[0])


def fields_of(document: Document) -> tuple[Field, ...]:
    """Every field a row of the schema may have: those of its class, then its own.

    Refuses with InvalidField, naming the place by its dotted path.
    """
    return _Reader(document).fields_of(class_of(document))


def is_union(document: Document) -> bool:
    """Whether the document asks to be part of the union schema."""
    tags = document.get("meta:immutableTags", [])
    if not isinstance(tags, list) or any(tag != UNION_TAG for tag in tags):
        raise InvalidField("meta:immutableTags", f'must be ["{UNION_TAG}"] or left out')
    return bool(tags)


def title_of(document: Document) -> str:
    title = document.get("title")
    if not isinstance(title, str) or not title.strip():
        raise InvalidField("title", "a schema needs a title, as a string that is not blank")
    return title


def described(fields: Sequence[Field]) -> dict[str, Any]:
    """Fields as ``properties`` (and ``required``) that :func:`fields_of` reads back equal."""
    document: dict[str, Any] = {"properties": {each.name: _described(each) for each in fields}}
    if required := [each.name for each in fields if each.is_required]:
        document["required"] = required
    return document


class _Reader:
    """Reads one document; counts, so that no document can make the reading endless."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._field_count = 0
        self._part_count = 0

    def fields_of(self, class_id: str) -> tuple[Field, ...]:
        of_class = described(CLASS_FIELDS[class_id])
        return self._fields([of_class, *self._parts(self._document, ())], ())

    def _fields(self, parts: Sequence[Document], at: Path) -> tuple[Field, ...]:
        """The fields of an object of which ``parts`` is all that is said."""
        said: dict[str, list[Document]] = {}
        required: set[str] = set()
        for part in parts:
            for name, schema in _mapping(part, "properties", at).items():
                _check_name(name, at)
                said.setdefault(name, []).append(schema)
            required.update(_required(part, at))
        if unknown := sorted(required - said.keys()):
            raise _refusal(at, f"requires {unknown[0]}, which no property describes")
        return tuple(
            self._field(name, schemas, (*at, name), is_required=name in required)
            for name, schemas in said.items()
        )

    def _field(
        self, name: str, schemas: Sequence[Document], at: Path, *, is_required: bool = False
    ) -> Field:
        self._field_count += 1
        if self._field_count > MOST_FIELDS:
            raise _refusal(at, f"a schema has at most {MOST_FIELDS:,} fields")
        if len(at) > MOST_LEVELS:
            raise _refusal(
                at[:4], f"nests deeper than {MOST_LEVELS} levels: does it contain itself?"
            )
        parts = [part for schema in schemas for part in self._parts(schema, at)]
        if len(at) == 1 and name in _SPECIAL:
            return replace(_SPECIAL[name], is_required=is_required)
        kind = _one_kind(parts, at)
        fields: tuple[Field, ...] = ()
        element: Field | None = None
        if kind is Kind.OBJECT:
            fields = self._fields(parts, at)
            if not fields:
                raise _refusal(at, "an object needs properties, or additionalProperties for a map")
        elif kind is Kind.ARRAY:
            element = self._element(parts, "items", at)
        elif kind is Kind.MAP:
            element = self._element(parts, "additionalProperties", at)
        return Field(name, kind, is_required=is_required, fields=fields, element=element)

    def _element(self, parts: Sequence[Document], key: str, at: Path) -> Field:
        schemas = [part[key] for part in parts if isinstance(part.get(key), Mapping)]
        if not schemas:
            raise _refusal(at, f"needs {key}: a schema of what it holds")
        return self._field("element", schemas, (*at, "*"))

    def _parts(self, schema: object, at: Path) -> Iterator[Document]:
        """All that one schema says of a place: itself, its ``allOf`` and its references."""
        if not isinstance(schema, Mapping):
            raise _refusal(at, f"must be described by an object, not {_named(schema)}")
        pending: deque[object] = deque([schema])
        while pending:
            part = pending.popleft()
            if not isinstance(part, Mapping):
                raise _refusal(at, f"allOf holds objects, not {_named(part)}")
            composed = part.get("allOf", [])
            if not isinstance(composed, list):
                raise _refusal(at, f"allOf must be an array, not {_named(composed)}")
            self._part_count += 1 + len(composed)
            if self._part_count > MOST_PARTS:
                raise _refusal(at, "refers to itself, or is composed of too many parts")
            pending.extendleft(reversed(composed))
            if "$ref" in part and not (at == () and _names_class(part)):
                pending.appendleft(self._target(part["$ref"], at))
            yield part

    def _target(self, reference: object, at: Path) -> object:
        if not isinstance(reference, str) or not reference.startswith("#/"):
            raise _refusal(
                at,
                f"nothing is known as $ref {reference}: a schema may refer to a class "
                f"({' or '.join(CLASS_FIELDS)}) in its own allOf, and to its own definitions "
                f"(#/definitions/...). Field groups and data types are not kept here: "
                f"write their properties inline",
            )
        target: object = self._document
        for step in reference[2:].split("/"):
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                raise _refusal(at, f"$ref {reference} leads nowhere in this document")
            target = target[name]
        return target


def _one_kind(parts: Sequence[Document], at: Path) -> Kind:
    kinds = {kind: None for part in parts if (kind := _kind(part, at))}
    if not kinds:
        raise _refusal(at, f"needs a type: one of {', '.join(_KINDS)}")
    if len(kinds) > 1:
        raise _refusal(at, f"is said to be {' and '.join(kinds)}: it can be only one")
    return next(iter(kinds))


def _kind(part: Document, at: Path) -> Kind | None:
    """The kind a part gives its field, or None when it leaves that to the other parts."""
    hint, type = _hint(part, at), _json_type(part, at)
    if type is None:
        return _HINTS[hint] if hint else None
    if hint not in _KINDS[type]:
        raise _refusal(at, f"meta:xdmType {hint} does not go with type {type}")
    if type == "string" and hint in (None, "string"):
        return _TEXT.get(str(part.get("format")), Kind.STRING)
    if type == "object" and "properties" not in part:
        return _bare_object(part, hint)
    return _KINDS[type][hint]


def _bare_object(part: Document, hint: str | None) -> Kind | None:
    """What an object is that lists no properties: a map, or as its references say."""
    if isinstance(part.get("additionalProperties"), Mapping):
        return Kind.MAP
    if hint is None and ("$ref" in part or "allOf" in part):
        return None
    return _KINDS["object"][hint]


def _hint(part: Document, at: Path) -> str | None:
    hint = part.get("meta:xdmType", part.get("xdm:type"))
    if hint is not None and not (isinstance(hint, str) and hint in _HINTS):
        raise _refusal(at, f"meta:xdmType {_shown(hint)} is unknown: one of {', '.join(_HINTS)}")
    return hint


def _json_type(part: Document, at: Path) -> str | None:
    type = part.get("type", "object" if "properties" in part else None)
    if isinstance(type, list) and len(rest := [each for each in type if each != "null"]) == 1:
        type = rest[0]
    if type is not None and not (isinstance(type, str) and type in _KINDS):
        raise _refusal(at, f"type {_shown(type)} is unknown: one of {', '.join(_KINDS)}")
    return type


def _names_class(part: object) -> bool:
    if not isinstance(part, Mapping):
        return False
    reference = part.get("$ref")
    return isinstance(reference, str) and reference in CLASS_FIELDS


def _mapping(part: Document, key: str, at: Path) -> Document:
    found = part.get(key, {})
    if not isinstance(found, Mapping):
        raise _refusal(at, f"{key} must be an object, not {_named(found)}")
    return found


def _required(part: Document, at: Path) -> list[str]:
    names = part.get("required", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _refusal(at, "required must be an array of property names")
    return names


def _check_name(name: str, at: Path) -> None:
    path = (*at, name)
    if not name.strip() or not name.isprintable():
        raise _refusal(path, "a field needs a name of printable characters")
    if "." in name or "/" in name:
        raise _refusal(path, f"field name {name!r} may hold neither a dot nor a slash: paths do")
    if not at and name in RESERVED_NAMES:
        raise _refusal(path, "this name is the service's own at the top of a row")


def _refusal(at: Path, problem: str) -> InvalidField:
    return InvalidField(".".join(at) or "schema", problem)


def _named(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean"}
    return names.get(type(value), "null" if value is None else "a number")


def _shown(value: object) -> str:
    return repr(value) if isinstance(value, str) else _named(value)


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
