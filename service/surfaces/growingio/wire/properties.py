"""Identities, user properties and tags as GrowingIO writes them: 6.2 and 6.4 of the sheet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import catalog.properties as nouns
from catalog.properties import PropertyDraft, PropertyKind, ValueType
from service.operations.hash_ids import HashIds, Noun
from service.surfaces.growingio.wire import Wire, instant
from service.surfaces.growingio.wire.pages import making

#: The collection that holds the properties of a kind, as its path says.
COLLECTIONS: Final = {
    "user_tags": PropertyKind.TAG,
    "user_properties": PropertyKind.USER,
    "user_identities": PropertyKind.IDENTITY,
}

#: How tags came to be, in the words of the documents: their values come with the data.
_TAG_TYPE: Final = "DATA_SET_ATTRIBUTE"


class Holding(Wire):
    """What values are, when the caller wants to be sure of it: the leaf tells."""

    type: ValueType
    is_array: bool | None = None


class NewProperty(Wire):
    """The body of a create or replace call. The key of a replaced one stands in the path."""

    key: str | None = None
    name: str
    description: str | None = None
    #: Of a user property and a tag: the leaf, from the root of the union schema, with dots.
    path: str | None = None
    #: Of an identity.
    namespace: str | None = None
    value_type: Holding | None = None

    def draft(self, key: str) -> PropertyDraft:
        return PropertyDraft(
            key=key,
            name=self.name,
            description=self.description or "",
            path=tuple(self.path.split(".")) if self.path else None,
            namespace=self.namespace,
            value_type=self.value_type.type if self.value_type else None,
            is_array=self.value_type.is_array if self.value_type else None,
        )


def property(found: nouns.Property, names: Mapping[str, str], ids: HashIds) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": ids.of(Noun.PROPERTY, found.number),
        "name": found.name,
        "key": found.key,
        "description": found.description,
        "valueType": {"type": found.value_type, "isArray": found.is_array},
        **making(found, names, ids),
    }
    if found.kind is PropertyKind.IDENTITY:
        return {**told, "namespace": found.namespace}
    told["path"] = ".".join(found.path or ())
    if found.kind is PropertyKind.USER:
        return told
    detector = {"stage": "FINISH", "detectedAt": instant(found.updated_at)}
    return {**told, "type": _TAG_TYPE, "detector": detector}
