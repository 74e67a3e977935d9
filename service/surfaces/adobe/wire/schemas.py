"""Schemas, unions and descriptors as Adobe writes them: section 7 of the contract sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool

from catalog.errors import InvalidField, NotFound
from catalog.field_documents import described
from catalog.organisations import OrganisationId
from catalog.schema_documents import UNION_TAG, references
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
from service.surfaces.adobe.wire.registry import Shown

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


def document(body: Mapping[str, Any]) -> Shown:
    """A schema as the caller wrote it, without what is the registry's to say."""
    if not isinstance(body.get("description", ""), str | None):
        raise InvalidField("description", "must be a string")
    kept = {key: value for key, value in body.items() if key not in _OWN}
    return {key: value for key, value in kept.items() if (key, value) != ("description", None)}


def schema(
    found: Schema,
    organisation_id: OrganisationId,
    accept: str = "",
    descriptors: Sequence[Descriptor] = (),
) -> Shown:
    """One schema as an answer, in the form that ``Accept`` asks for.

    In full: its fields in one tree, references resolved; with its descriptors, or without what is
    only for people, if that is asked for too.
    """
    shown = _shown(found, organisation_id, is_full="-full" in accept)
    if "-desc" in accept:
        shown["meta:descriptors"] = [descriptor(each, organisation_id) for each in descriptors]
    return _without_text(shown) if "-notext" in accept else shown


def _without_text(shown: Any) -> Any:
    if isinstance(shown, list):
        return [_without_text(each) for each in shown]
    if not isinstance(shown, dict):
        return shown
    return {
        key: {name: _without_text(each) for name, each in value.items()}
        if key in ("properties", "definitions")
        else _without_text(value)
        for key, value in shown.items()
        if not (key in ("title", "description") and isinstance(value, str))
    }


def _shown(found: Schema, organisation_id: OrganisationId, *, is_full: bool) -> Shown:
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
        "meta:extends": _extends(found),
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


def _extends(found: Schema) -> list[str]:
    """What a schema is built on: its class, the behaviour of that, and all it refers to."""
    behaviour = _BEHAVIOURS[EVENT_CLASS if found.is_event else PROFILE_CLASS]
    others = references(found.document) - {found.class_id, behaviour}
    return [found.class_id, behaviour, *sorted(others)]


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


class NewDescriptor(BaseModel):
    """The body of a call that names an identity. Other keys are kept and echoed."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True)

    type: Literal["xdm:descriptorIdentity"] = Field(alias="@type")
    source_schema: str = Field(alias="xdm:sourceSchema", min_length=1)
    source_property: str = Field(alias="xdm:sourceProperty", pattern=r"^(/[^/]+)+$")
    namespace: str = Field(alias="xdm:namespace", min_length=1, max_length=255)
    property: Literal["xdm:code", "xdm:id"] | None = Field("xdm:code", alias="xdm:property")
    is_primary: StrictBool | None = Field(default=False, alias="xdm:isPrimary")

    def draft(self, body: Mapping[str, Any]) -> DescriptorDraft:
        return DescriptorDraft(
            schema_id=self.source_schema,
            path=tuple(self.source_property[1:].split("/")),
            namespace=self.namespace,
            is_by_number=self.property == "xdm:id",
            is_primary=bool(self.is_primary),
            document={
                "xdm:sourceVersion": 1,
                **{key: value for key, value in body.items() if value is not None},
                "xdm:property": self.property or "xdm:code",
                "xdm:isPrimary": bool(self.is_primary),
            },
        )


class OtherDescriptor(BaseModel):
    """The body of a call that says something else of a schema. It is kept and echoed."""

    model_config = ConfigDict(extra="ignore")

    type: str = Field(alias="@type", pattern=r"^xdm:[A-Za-z0-9]{1,100}$")
    source_schema: str = Field(alias="xdm:sourceSchema", min_length=1)


def descriptors(found: Sequence[Descriptor], organisation_id: OrganisationId, accept: str) -> Shown:
    """All descriptors by their types: as ids, as paths, or whole, as ``Accept`` asks for."""
    by_type: dict[str, list[Any]] = {}
    for each in found:
        form: Any = descriptor(each, organisation_id)
        if "-id+json" in accept:
            form = each.id
        elif "-link+json" in accept:
            form = f"/tenant/descriptors/{each.id}"
        by_type.setdefault(each.type, []).append(form)
    return dict(by_type)


def descriptor(found: Descriptor, organisation_id: OrganisationId) -> Shown:
    """One descriptor as an answer."""
    return {
        **found.document,
        "@id": found.id,
        "@type": found.type,
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
