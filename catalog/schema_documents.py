"""Schema documents: what a caller writes as JSON Schema with XDM's hints, read into fields.

A document names its class by ``$ref`` and adds properties of its own: inline, by way of its own
``definitions``, or by the ``$ref`` of field groups and data types. Any property may be described in
several places (that is what ``allOf`` is for), so reading works on *parts*: all that is said of one
place, with references followed. What is known besides the document itself comes as ``known``:
other documents by their ids.
Titles, enumerations and whatever else does not shape a row stay in the document and are not
read here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

from catalog.errors import InvalidField
from catalog.field_documents import described
from catalog.schemas import (
    CLASS_FIELDS,
    EVENT_CLASS,
    IDENTITY_MAP,
    RESERVED_NAMES,
    SEGMENT_MEMBERSHIP,
    Field,
    Kind,
    Path,
)
from catalog.standard_schemas import STANDARD, TIME_SERIES, Document, Known

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


def class_of(document: Document, known: Known = STANDARD) -> str:
    """The id of the class a document is of. Refuses documents with none, or with two."""
    parts = document.get("allOf", [])
    if not isinstance(parts, list):
        raise InvalidField("allOf", f"must be an array, not {_named(parts)}")
    classes = sorted(
        {class_id for part in (document, *parts) if (class_id := _class_named(part, known))}
    )
    if len(classes) != 1:
        found = " and ".join(classes) or "none"
        raise InvalidField(
            "allOf", f"must name one class by $ref ({' or '.join(CLASS_FIELDS)}), found {found}"
        )
    return classes[0]


def is_of_events(class_id: str, known: Known = STANDARD) -> bool:
    """Whether rows of a class happened at a time, by what the class is built on."""
    return class_id == EVENT_CLASS or TIME_SERIES in all_references(known.get(class_id, {}), known)


def fields_of(document: Document, known: Known = STANDARD) -> tuple[Field, ...]:
    """Every field a row of the schema may have: those of its class, then its own.

    Refuses with InvalidField, naming the place by its dotted path.
    """
    return _Reader(document, known).fields_of(class_of(document, known))


def fields_of_part(document: Document, known: Known = STANDARD) -> tuple[Field, ...]:
    """What a field group, a data type or a class brings; refuses as :func:`fields_of` does."""
    return _Reader(document, known).own_fields()


def references(document: object) -> set[str]:
    """Every other document that one refers to itself."""
    if isinstance(document, list):
        return {each for part in document for each in references(part)}
    if not isinstance(document, Mapping):
        return set()
    found = {each for part in document.values() for each in references(part)}
    reference = document.get("$ref")
    if isinstance(reference, str) and (id := reference.partition("#")[0]):
        found.add(id)
    return found


def all_references(document: Document, known: Known) -> frozenset[str]:
    """Every document that one refers to, itself or by way of others; by ids where known."""
    found: set[str] = set()
    pending = list(references(document))
    while pending:
        reference = pending.pop()
        id = str(known.get(reference, {}).get("$id", reference))
        if id not in found:
            found.add(id)
            pending += references(known.get(id, {}))
    return frozenset(found)


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


class _Part(NamedTuple):
    """Something that is said of a place, and the document in which it is said."""

    said: Any
    document: Document


class _Reader:
    """Reads one document; counts, so that no document can make the reading endless."""

    def __init__(self, document: Document, known: Known) -> None:
        self._document = document
        self._known = known
        self._class_id: str | None = None
        self._field_count = 0
        self._part_count = 0

    def fields_of(self, class_id: str) -> tuple[Field, ...]:
        self._class_id = class_id
        of_class: Document = (
            described(CLASS_FIELDS[class_id]) if class_id in CLASS_FIELDS else self._known[class_id]
        )
        parts = [*self._parts(_Part(of_class, of_class), ()), *self._own_parts()]
        return self._fields(parts, ())

    def own_fields(self) -> tuple[Field, ...]:
        return self._fields([*self._own_parts()], ())

    def _own_parts(self) -> Iterator[_Part]:
        return self._parts(_Part(self._document, self._document), ())

    def _fields(self, parts: Sequence[_Part], at: Path) -> tuple[Field, ...]:
        """The fields of an object of which ``parts`` is all that is said."""
        said: dict[str, list[_Part]] = {}
        required: set[str] = set()
        for part in parts:
            for name, schema in _mapping(part.said, "properties", at).items():
                _check_name(name, at)
                said.setdefault(name, []).append(_Part(schema, part.document))
            required.update(_required(part.said, at))
        if unknown := sorted(required - said.keys()):
            raise _refusal(at, f"requires {unknown[0]}, which no property describes")
        return tuple(
            self._field(name, schemas, (*at, name), is_required=name in required)
            for name, schemas in said.items()
        )

    def _field(
        self, name: str, schemas: Sequence[_Part], at: Path, *, is_required: bool = False
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
        kind = _one_kind([part.said for part in parts], at)
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

    def _element(self, parts: Sequence[_Part], key: str, at: Path) -> Field:
        schemas = [
            _Part(part.said[key], part.document)
            for part in parts
            if isinstance(part.said.get(key), Mapping)
        ]
        if not schemas:
            raise _refusal(at, f"needs {key}: a schema of what it holds")
        return self._field("element", schemas, (*at, "*"))

    def _parts(self, schema: _Part, at: Path) -> Iterator[_Part]:
        """All that one schema says of a place: itself, its ``allOf`` and its references."""
        if not isinstance(schema.said, Mapping):
            raise _refusal(at, f"must be described by an object, not {_named(schema.said)}")
        pending: deque[_Part] = deque([schema])
        while pending:
            part = pending.popleft()
            if not isinstance(part.said, Mapping):
                raise _refusal(at, f"allOf holds objects, not {_named(part.said)}")
            composed = part.said.get("allOf", [])
            if not isinstance(composed, list):
                raise _refusal(at, f"allOf must be an array, not {_named(composed)}")
            self._part_count += 1 + len(composed)
            if self._part_count > MOST_PARTS:
                raise _refusal(at, "refers to itself, or is composed of too many parts")
            pending.extendleft(_Part(each, part.document) for each in reversed(composed))
            names_its_class = at == () and _class_named(part.said, self._known) == self._class_id
            if "$ref" in part.said and not (self._class_id and names_its_class):
                pending.appendleft(self._target(part.said["$ref"], part.document, at))
            yield part

    def _target(self, reference: object, document: Document, at: Path) -> _Part:
        """What a reference leads to: a place in the same document, or in another, or that one."""
        id, sign, way = str(reference).partition("#")
        if id:
            if id not in self._known:
                raise _refusal(
                    at,
                    f"nothing is known as $ref {reference}: register the field group or data type "
                    f"first, or refer to the document's own definitions (#/definitions/...)",
                )
            document = self._known[id]
        if (sign and not way.startswith("/")) or not isinstance(reference, str):
            raise _refusal(at, f"$ref {_shown(reference)} must be an id, a #/path, or both")
        target: object = document
        for step in way.split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if not isinstance(target, Mapping) or name not in target:
                raise _refusal(at, f"$ref {reference} leads nowhere in its document")
            target = target[name]
        return _Part(target, document)


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


def _class_named(part: object, known: Known) -> str | None:
    """The id of the class a part refers to, or None: it refers to none."""
    reference = part.get("$ref") if isinstance(part, Mapping) else None
    if not isinstance(reference, str):
        return None
    if reference in CLASS_FIELDS:
        return reference
    found = known.get(reference, {})
    return str(found["$id"]) if found.get("meta:resourceType") == "classes" else None


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
