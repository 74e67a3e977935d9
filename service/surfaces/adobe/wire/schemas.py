"""Schemas, unions and descriptors as Adobe writes them: section 7 of the contract sheet."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from catalog.errors import InvalidField, NotFound
from catalog.organisations import OrganisationId
from catalog.schema_documents import UNION_TAG, described
from catalog.schemas import (
    EVENT_CLASS,
    PROFILE_CLASS,
    UNION_OF,
    Descriptor,
    Schema,
    tenant_id,
)
from catalog.unions import Union
from service.operations.schemas import DescriptorDraft
from service.surfaces.adobe.wire.batches import milliseconds

Shown = dict[str, Any]

#: What the registry itself says of a resource: a caller's word on it is not kept.
_OWN = frozenset(
    {"$id", "version", "imsOrg", "meta:altId", "meta:resourceType", "meta:class", "meta:extends"}
    | {"meta:tenantNamespace", "meta:containerId", "meta:registryMetadata", "meta:xdmType"}
    | {"meta:abstract", "meta:extensible", "meta:sandboxId", "meta:sandboxType"}
)
#: The behaviour each class is built on.
_BEHAVIOURS = {
    PROFILE_CLASS: "https://ns.adobe.com/xdm/data/record",
    EVENT_CLASS: "https://ns.adobe.com/xdm/data/time-series",
}
_UNION_TITLES = {
    PROFILE_CLASS: "XDM Individual Profile: union",
    EVENT_CLASS: "XDM ExperienceEvent: union",
}
#: What listings hold of a resource for callers who ask for ids.
_SUMMARY = ("title", "$id", "meta:altId", "version")
_CONDITION = re.compile(r"(?P<key>[^=!<>~]+)(?:(?P<sign>==|!=)(?P<value>.*))?")


def document(body: Mapping[str, Any]) -> Shown:
    """A schema as the caller wrote it, without what is the registry's to say."""
    if not isinstance(body.get("description", ""), str):
        raise InvalidField("description", "must be a string")
    return {key: value for key, value in body.items() if key not in _OWN}


def schema(found: Schema, organisation_id: OrganisationId, *, is_full: bool) -> Shown:
    """One schema as an answer. In full: its fields in one tree, references resolved."""
    tenant = tenant_id(organisation_id)
    shown = dict(found.document)
    if is_full:
        shown = {key: shown[key] for key in shown if key not in ("allOf", "definitions")}
        shown |= described(found.fields)
    return {
        **shown,
        "$id": found.id,
        "meta:altId": found.alt_id,
        "meta:resourceType": "schemas",
        "version": f"1.{found.version - 1}",
        "title": found.title,
        "description": found.document.get("description", ""),
        "type": "object",
        "imsOrg": organisation_id,
        "meta:class": found.class_id,
        "meta:extends": [found.class_id, _BEHAVIOURS[found.class_id]],
        "meta:abstract": False,
        "meta:extensible": False,
        "meta:tenantNamespace": f"_{tenant}",
        "meta:containerId": "tenant",
        "meta:xdmType": "object",
        "meta:registryMetadata": {
            "repo:createdDate": milliseconds(found.created_at),
            "repo:lastModifiedDate": milliseconds(found.updated_at),
            "xdm:createdClientId": found.created_by,
        },
    }


def unions(found: Union) -> list[Shown]:
    """The unions as answers: they always exist, also when no schema takes part."""
    return [_union(found, class_id) for class_id in UNION_OF]


def union(found: Union, id: str) -> Shown:
    """One union by its id or alternative id; refuses with NotFound."""
    for class_id, union_id in UNION_OF.items():
        if id in (union_id, _alt_id(union_id)):
            return _union(found, class_id)
    raise NotFound("union", id)


def is_union_id(id: str) -> bool:
    return any(id in (union_id, _alt_id(union_id)) for union_id in UNION_OF.values())


def _union(found: Union, class_id: str) -> Shown:
    id = UNION_OF[class_id]
    return {
        "$id": id,
        "meta:altId": _alt_id(id),
        "meta:resourceType": "unions",
        "version": "1.0",
        "title": _UNION_TITLES[class_id],
        "description": "Every field of the schemas that take part in the union of their class.",
        "type": "object",
        "meta:class": class_id,
        "meta:extends": [class_id, _BEHAVIOURS[class_id]],
        "meta:immutableTags": [UNION_TAG],
        "meta:abstract": True,
        "meta:extensible": False,
        "meta:containerId": "tenant",
        "meta:xdmType": "object",
        **described(found.of_class(class_id)),
    }


def _alt_id(union_id: str) -> str:
    return "_xdm.context." + union_id.rpartition("/")[2]


def listing(found: Iterable[Shown], properties: Sequence[str], accept: str) -> Shown:
    """All that meet every condition; for callers who ask for ids, a summary of each."""
    conditions = [_condition(each) for one in properties for each in one.split(",") if each]
    results = [each for each in found if all(condition(each) for condition in conditions)]
    if "-id+json" in accept:
        results = [{key: each[key] for key in _SUMMARY if key in each} for each in results]
    return {
        "results": results,
        "_page": {"orderby": "created", "next": None, "count": len(results)},
        "_links": {"next": None},
    }


class _Condition:
    """One ``property`` filter: a key that is there, is equal to a value, or is not."""

    def __init__(self, key: str, value: str, *, is_equal: bool | None) -> None:
        self._key = key
        self._value = value
        self._is_equal = is_equal

    def __call__(self, shown: Shown) -> bool:
        found = shown.get(self._key)
        if self._is_equal is None:
            return found is not None
        values = found if isinstance(found, list) else [found]
        return (self._value in values) is self._is_equal


def _condition(text: str) -> _Condition:
    match = _CONDITION.fullmatch(text.strip())
    if match is None:
        raise InvalidField("property", f"{text!r} must be KEY, KEY==VALUE or KEY!=VALUE")
    is_equal = None if match["sign"] is None else match["sign"] == "=="
    return _Condition(match["key"], match["value"] or "", is_equal=is_equal)


class NewDescriptor(BaseModel):
    """The body of a call that names an identity. Other keys are kept and echoed."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    type: Literal["xdm:descriptorIdentity"] = Field(alias="@type")
    source_schema: str = Field(alias="xdm:sourceSchema", min_length=1)
    source_property: str = Field(alias="xdm:sourceProperty", pattern=r"^(/[^/]+)+$")
    namespace: str = Field(alias="xdm:namespace", min_length=1, max_length=255)
    property: Literal["xdm:code", "xdm:id"] = Field("xdm:code", alias="xdm:property")
    is_primary: StrictBool = Field(default=False, alias="xdm:isPrimary")

    def draft(self, body: Mapping[str, Any]) -> DescriptorDraft:
        return DescriptorDraft(
            schema_id=self.source_schema,
            path=tuple(self.source_property[1:].split("/")),
            namespace=self.namespace,
            is_by_number=self.property == "xdm:id",
            is_primary=self.is_primary,
            document={
                "xdm:sourceVersion": 1,
                "xdm:property": self.property,
                **body,
                "xdm:isPrimary": self.is_primary,
            },
        )


def descriptor(found: Descriptor, organisation_id: OrganisationId) -> Shown:
    """One descriptor as an answer."""
    return {
        **found.document,
        "@id": found.id,
        "@type": "xdm:descriptorIdentity",
        "imsOrg": organisation_id,
        "version": "1",
        "meta:containerId": "tenant",
        "created": milliseconds(found.created_at),
    }


def stats(schemas: Sequence[Schema], organisation_id: OrganisationId) -> Shown:
    """What a tenant has: clients ask for ``tenantId``."""
    newest = sorted(schemas, key=lambda each: each.created_at, reverse=True)[:10]
    return {
        "imsOrg": organisation_id,
        "tenantId": tenant_id(organisation_id),
        "counts": {"schemas": len(schemas), "unions": len(UNION_OF)},
        "recentlyCreatedResources": [
            {
                "title": each.title,
                "$id": each.id,
                "meta:altId": each.alt_id,
                "meta:resourceType": "schemas",
                "version": f"1.{each.version - 1}",
            }
            for each in newest
        ],
    }
